"""The step behind ``python -m flows verify-transfer``: a commit's media against their places."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic import Field, SecretStr

from trainset.dataset import Dataset
from trainset.errors import NotFound
from trainset.home import Home, open_home
from trainset.model import Credentials, Frozen
from trainset.report.markdown_transfer import LEVELS
from trainset.report.wording import size
from trainset.run.destinations import Destinations, open_destination
from trainset.run.provenance import origin_of, verify_events
from trainset.run.referenced import references
from trainset.spec import DatasetSpec
from trainset.stores import open_source
from trainset.tables.base import Table
from trainset.transfer.ledger import open_ledger
from trainset.transfer.selection import Only, Selection
from trainset.transfer.verify import same_place, verify_files
from trainset.transfer.verify_report import Expected, Level, Source, VerifyResult
from trainset.versions.lakefs.access import LakeFSAccess

SHOWN = 20  # faults in the terminal and in the UI; verify.json has all that are listed

_BESIDE = {
    "stream": "streams unreferenced",
    "hidden": "hidden objects",
    "versions": "surplus versions of",
    "upload": "unfinished uploads",
}
_COLUMNS = (
    *("key", "uri", "size", "version_id", "sha256"),
    *("source_uri", "source_version", "source_state"),
)


class VerifyWork(Frozen):
    """What to verify, and how much of it.

    Attributes:
        run_id: names the folder of ``verify.json``.
        level: at least L2.
        sample: share of objects (0 to 1) that L3 and L4 read.
    """

    run_id: str
    at: datetime
    flow_run_id: str | None = None  # the orchestrator's
    spec: DatasetSpec
    ref: str = "main"
    level: Level = "L2"
    sample: float = 1.0
    seed: int = 0
    only: Only = Only()  # by name; empty: all of the commit
    credentials: Credentials | None = None
    lakefs: LakeFSAccess | None = None  # the server that keeps versions; None: the environment
    destinations: Destinations = Field(default_factory=dict)  # behind blocks that rules name
    ledger_url: SecretStr | None = None  # of a PostgreSQL ledger; None: TRAINSET_LEDGER, or a file


def _plain(url: SecretStr | None) -> str | None:
    return None if url is None else url.get_secret_value()


def verify_transfer(
    work: VerifyWork,
    *,
    progress: Callable[[int, int], None] | None = None,
    task_run_id: str | None = None,
) -> VerifyResult:
    """Verify all media of a commit, and leave ``runs/<run id>/verify.json`` in the home.

    Beside it ``provenance/`` has a VERIFY event for every file that was looked at.

    Args:
        progress: gets the number of files done so far, and of all.
        task_run_id: the orchestrator's, for the events.
    Raises:
        NotFound: no home, or no such ref.
        TransientError: a store failed too often; run again.
    """
    spec = work.spec
    home = open_home(
        spec.home, credentials=work.credentials, options=spec.store_options, lakefs=work.lakefs
    )
    origin = origin_of(spec, work.flow_run_id, task_run_id)
    dataset = Dataset(home, home.versions.snapshot(work.ref), work.ref)
    with (
        open_ledger(home.state, home.url, url=_plain(work.ledger_url)) as ledger,
        verify_events(home, work.run_id, work.at, origin) as (on_file, head),
    ):
        chosen = Selection(work.only) if work.only.names_files else None
        result = verify_files(
            media_of(dataset.open_table("media"), chosen),
            home=home,
            sources={m.name: open_source(m.from_, work.credentials) for m in spec.media},
            level=max(work.level, "L2"),
            sample=work.sample,
            seed=work.seed,
            whole=chosen is None,
            open_place=lambda place: open_destination(
                place,
                work.destinations,
                credentials=work.credentials,
                options=spec.store_options,
            ),
            progress=progress,
            on_file=on_file,
            referenced=lambda uris: references(home, ledger, uris),
            parts=ledger.part_log(),
        )
    _leave(home, work, dataset.commit.id, result, head)
    if chosen is not None and (unseen := list(islice(chosen.unseen(), 1))):
        name, place = unseen[0]
        raise NotFound(
            f"{name!r} ({place}) is no file of {work.ref}; mend the list of files "
            f"({result.expected:,} others were verified: runs/{work.run_id}/verify.json)"
        )
    return result


def media_of(table: Table, chosen: Selection | None = None) -> Iterator[Expected]:
    """What every row with a place says of its file, in constant memory.

    Args:
        chosen: only these, by key or source uri.
    """
    for batch in table.scan(_COLUMNS):
        for row in batch.to_pylist():
            if row["uri"] is not None and (
                chosen is None or chosen.names(row["key"], row["source_uri"])
            ):
                yield _expected(row)


def _expected(row: dict[str, Any]) -> Expected:
    name, _, path = row["key"].partition("/")
    there = row["source_state"] != "missing"  # a missing file is known: nothing to read again
    return Expected(
        key=row["key"],
        uri=row["uri"],
        size=row["size"],
        version_id=row["version_id"],
        sha256=row["sha256"],
        pinned=same_place(row["uri"], row["source_uri"] or ""),
        source=Source(name, path, row["size"], row["source_version"], None) if there else None,
        source_uri=row["source_uri"],
    )


def _leave(
    home: Home, work: VerifyWork, commit: str, result: VerifyResult, head: Sequence[str]
) -> None:
    page = {
        "run_id": work.run_id,
        "at": work.at.isoformat(),
        "ref": work.ref,
        "commit": commit,
        "ok": result.ok,
        "statement": result.statement,
        "provenance": head[0] if head else None,
        **result.model_dump(mode="json"),
    }
    body = json.dumps(page, indent=2, ensure_ascii=False) + "\n"
    home.store.put(f"runs/{work.run_id}/verify.json", body.encode("utf-8", "backslashreplace"))


def verify_text(result: VerifyResult) -> str:
    """The report for a terminal."""
    lines = [f"{name:<22}{found}" for name, found in verify_rows(result)]
    for fault in result.faults[:SHOWN]:
        lines += [f"\n{fault.key}: {fault.kind}: {fault.reason}", f"  -> {fault.step}"]
    if (more := result.faulty - SHOWN) > 0:
        lines.append(f"\n… and {more:,} more, in verify.json")
    for left in result.leftovers[:SHOWN]:
        lines += [f"\n{left.uri}: {left.kind}: {left.reason}", f"  -> {left.step}"]
    if (more := sum(k.count for k in result.beside) - SHOWN) > 0:
        lines.append(f"\n… and {more:,} more left over, the first of each kind in verify.json")
    return "\n".join(lines)


def verify_rows(result: VerifyResult) -> Sequence[tuple[str, str]]:
    """What was found, as pairs of words; the same in the terminal and in Prefect's UI."""
    reached = ", ".join(f"{count:,} {level}" for level, count in sorted(result.reached.items()))
    rows = [
        ("files expected", f"{result.expected:,}"),
        ("checked", f"{result.checked:,} ({reached or 'none'} clean, {result.faulty:,} faulty)"),
        ("not checked", f"{result.unchecked:,}"),
        ("objects", f"{result.objects:,}"),
        ("read back", f"{result.statement}; {size(result.bytes_read)}"),
    ]
    if result.unhashed:
        rows.append(("no sha256 known yet", f"{result.unhashed:,} objects: not read back"))
    if result.extra is not None:
        rows.append(("beside these", f"{result.extra:,} objects (older commits may own them)"))
    for found in result.beside:
        rows.append((_BESIDE[found.kind], f"{found.count:,} ({size(found.bytes)})"))
    rows += [("not looked for", said) for said in result.not_listed]
    return rows


def verify_markdown(result: VerifyResult, work: VerifyWork) -> str:
    """The report for Prefect's UI."""
    lines = [
        f"**{'All as sent.' if result.ok else 'Faults found.'}** Media of `{work.ref}` of "
        f"{work.spec.name}, compared with their places up to {result.level}.",
        "",
        *("| what | found |", "|---|---|"),
        *(f"| {a} | {b} |" for a, b in verify_rows(result)),
        "",
        *(f"- {at}: {LEVELS[at]}" for at in sorted(result.reached)),
    ]
    if result.faults:
        lines += ["", "| file | what | reason | next step |", "|---|---|---|---|"]
        lines += [
            f"| {_cell(f.key)} | {f.kind} | {_cell(f.reason)} | {_cell(f.step)} |"
            for f in result.faults[:SHOWN]
        ]
    if (more := result.faulty - SHOWN) > 0:
        lines += ["", f"… and {more:,} more."]
    lines += ["", f"All of it: `{work.spec.home}/runs/{work.run_id}/verify.json`."]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
