"""Whether something still refers to objects that a commit does not: other commits, the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from trainset.home import Home
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTableStore
from trainset.transfer.ledger import Ledger
from trainset.versions.base import MAIN

_IN_ONE_QUERY = 1_000


def references(home: Home, ledger: Ledger, uris: Collection[str]) -> dict[str, str]:
    """Which of some absolute uris are referred to, and by what, in words.

    Looks at all commits of main, branches and tags, newest first, until each uri is found; then at
    the ledger: what was sent and not committed yet.
    """
    inside = home.store.uri("x").removesuffix("x")
    left = {uri.removeprefix(inside): uri for uri in uris}
    found: dict[str, str] = {}
    for commit, location in _tables(home):
        if not left:
            break
        table, names = LanceTableStore().open(location), sorted(left)
        for at in range(0, len(names), _IN_ONE_QUERY):
            asked = ", ".join(
                "'" + n.replace("'", "''") + "'" for n in names[at : at + _IN_ONE_QUERY]
            )
            for batch in table.scan(["uri"], where=f"uri in ({asked})"):
                for name in batch["uri"].to_pylist():
                    if (uri := left.pop(name, None)) is not None:
                        found[uri] = f"commit {commit[:12]}"
    for _, row in ledger.rows() if left else ():
        if row.arrived and (uri := left.pop(str(row.uri), None)) is not None:
            found[uri] = "the ledger (sent, and not committed yet)"
    return found


def _tables(home: Home) -> Iterator[tuple[str, TableLocation]]:
    """(commit, its media table); commits with the same table come once."""
    versions, store = home.versions, LanceTableStore()
    seen: set[str] = set()
    tables: set[tuple[str, int | None]] = set()
    for ref in (MAIN, *versions.branches(), *versions.tags()):
        for commit in versions.log(ref):
            if commit.id in seen:
                break  # and so are those before it
            seen.add(commit.id)
            location = versions.snapshot(commit.id).table("media")
            known = (location.uri, location.version)
            if known not in tables and store.exists(location):
                tables.add(known)
                yield commit.id, location
