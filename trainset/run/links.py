"""Media in the version store, by reference: which rows of the run are linked, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from trainset.home import Home, is_outside
from trainset.model import Frozen
from trainset.run.context import Run
from trainset.tables.base import Table
from trainset.tables.lance_store import LanceTableStore
from trainset.versions.base import MediaLink, MediaLinks

MEDIA = "media"
AUTO_MOST = 1_000_000  # media rows; above that `auto` means `tags`
TOLD = 3  # reasons that are written out
_COLUMNS = ["key", "uri", "version_id", "sha256", "size", "mime"]


class Shown(Frozen):
    """What a run's commit shows of its media, and what it could not show and why."""

    links: MediaLinks = MediaLinks()
    pinned: int = 0  # media known by version id only
    elsewhere: int = 0  # media that lie in no block store

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each reason, with the next step. Nothing is lost by any of them."""
        said = []
        if self.pinned:
            said.append(
                f"{self.pinned:,} media are known only by their version id, which a link cannot "
                "name: the media table pins them, lakeFS does not list them; "
                "`mode: copy` under media: would link them"
            )
        if self.elsewhere:
            said.append(
                f"{self.elsewhere:,} media lie in no store that lakeFS reads: the media table "
                "pins them; bring them into the home to link them (`mode: copy`)"
            )
        if self.links.left:
            reasons = [f"{at}: {why}" for at, why in sorted(self.links.refused.items())]
            more = f"; and {len(reasons) - TOLD:,} more" if len(reasons) > TOLD else ""
            said.append(
                f"{self.links.left:,} media are not linked, the media table pins them; "
                f"{'; '.join(reasons[:TOLD])}{more}"
            )
        return tuple(said)


def link_media(run: Run, progress: Callable[[int], None] | None = None) -> Shown:
    """Link the media of the run's rows as ``link_media`` of the spec says.

    ``tags`` links what gets a tag, and every commit of a run does. It differs from ``always`` in
    what has no tag: a rollback, or the merge of a branch, then carries no links.
    """
    table = run.table(MEDIA)
    if run.spec.link_media == "never" or table is None:
        links = run.workspace.link_media(())
        return Shown(links=links or MediaLinks())
    linked = _Linkable(run.home, table)
    base = run.workspace.base
    before: Iterator[MediaLink] | None = None
    if base is not None:
        snapshot = run.home.versions.snapshot(base.id)
        if MEDIA in snapshot.tables():
            held = LanceTableStore().open(snapshot.table(MEDIA))
            before = iter(_Linkable(run.home, held))
    links = run.workspace.link_media(iter(linked), before=before, progress=progress)
    if links is None:
        return Shown()
    return Shown(links=links, pinned=linked.pinned, elsewhere=linked.elsewhere)


class _Linkable:
    """Links of a table's rows, ascending by path; counts the rows that have none."""

    def __init__(self, home: Home, table: Table) -> None:
        self._home, self._table = home, table
        self.pinned = self.elsewhere = 0

    def __iter__(self) -> Iterator[MediaLink]:
        rows = self._table.scan(_COLUMNS).read_all()
        for batch in _by_key(rows).to_batches(max_chunksize=10_000):
            for row in zip(*(batch.column(name).to_pylist() for name in _COLUMNS), strict=True):
                if (link := self._link(*row)) is not None:
                    yield link

    def _link(
        self,
        key: str,
        uri: str | None,
        version_id: str | None,
        sha256: str | None,
        size: int | None,
        mime: str | None,
    ) -> MediaLink | None:
        if uri is None:
            return None  # never arrived: the run lists it as left out
        by_content = not is_outside(uri) or (sha256 is not None and sha256 in uri)
        if sha256 is None or (version_id is not None and not by_content):
            self.pinned += 1
            return None
        found = block_address(self._home, uri)
        if found is None:
            self.elsewhere += 1
            return None
        address, place = found
        mime = mime or "application/octet-stream"
        return MediaLink(f"{MEDIA}/{key}", address, sha256, size or 0, mime, place)


def block_address(home: Home, uri: str) -> tuple[str, str] | None:
    """Where a row's bytes lie as a block store has it, and what all addresses there begin with.

    None: it is no place that a block store could be (a web server, another cloud).
    """
    if is_outside(uri):
        scheme, _, rest = uri.partition("://")
        if scheme in ("s3", "b2"):
            return f"s3://{rest}", f"s3://{rest.partition('/')[0]}"
        if not uri.startswith(("/", "file://")):
            return None
    store, key = home.media_store(uri)
    if (local := store.local_path(key)) is None:
        found = store.uri(key).replace("b2://", "s3://", 1)
        return found, found.removesuffix(key)
    place = local.parent if is_outside(uri) else store.local_path(home.config.media)
    return f"local://{local}", f"local://{place}"


def _by_key(rows: pa.Table) -> pa.Table:
    """In the order of paths: of bytes, as the server lists them."""
    return rows.take(pc.sort_indices(rows, sort_keys=[("key", "ascending")]))
