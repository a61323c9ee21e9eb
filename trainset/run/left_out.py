"""The list of everything that did not make it, and which of it earlier runs told already.

Rows are the record: unreadable media, failed cells and unmatched labels are read from the tables
at every run, so that an item leaves the list when its cause is gone. Only what has no row (a source
file that could not be read) is carried in the commit, in ``_meta/left_out.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from trainset.compute.base import ItemError
from trainset.errors import NotFound
from trainset.metadata.align import left_out as unmatched
from trainset.model import LeftOut, Stage
from trainset.run.context import Run
from trainset.run.replay import selected_keys
from trainset.tables.base import Table, to_rows

PATH = "_meta/left_out.json"
# What the tables tell by themselves (failed cells too); other kinds are carried in the commit.
IN_ROWS = frozenset(
    {("transfer", "unreadable"), ("metadata", "orphan-record"), ("metadata", "ambiguous")}
)

TOLD_ONCE = frozenset({"conflict-settled"})  # what happened in one run, not a state of the dataset


def current_left_out(
    run: Run, *, rowless: Iterable[LeftOut], ran: frozenset[Stage]
) -> list[LeftOut]:
    """All items that are left out as the run's tables stand now, by key.

    Args:
        rowless: items of this run that no row stands for.
        ran: stages that ran; of the others the base's rowless items are still true.
    """
    items = list(rowless)
    base = run.workspace.base
    known = known_left_out(run, None if base is None else base.id)
    lasting = [item for item in known if not _in_rows(item) and item.kind not in TOLD_ONCE]
    items += [item for item in lasting if item.stage not in ran]
    if run.context.only is not None and "transfer" in ran:  # of other files it says nothing
        seen = selected_keys(run)
        items += [item for item in lasting if item.stage == "transfer" and item.key not in seen]
    if (media := run.table("media")) is not None:
        items += _unreadable(media)
        items += _failed_cells(media, list(run.spec.columns))
    if (annotations := run.table("annotations")) is not None:
        items += unmatched(annotations.scan(where="media_id IS NULL").read_all())
    unique = {item.identity: item for item in items}
    return sorted(unique.values(), key=lambda item: item.identity)


def known_left_out(run: Run, base: str | None) -> list[LeftOut]:
    """The list as the commit ``base`` has it."""
    if base is None:
        return []
    try:
        raw = run.home.versions.snapshot(base).read(PATH)
    except NotFound:
        return []
    return [LeftOut.model_validate(item) for item in json.loads(raw)]


def _in_rows(item: LeftOut) -> bool:
    """Whether the tables tell it by themselves."""
    return item.stage == "compute" or (item.stage, item.kind) in IN_ROWS


def encode(items: Iterable[LeftOut]) -> bytes:
    body = [item.model_dump() for item in items]
    return (json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _unreadable(media: Table) -> list[LeftOut]:
    found = media.scan(["key", "unreadable"], where="unreadable IS NOT NULL").read_all()
    return [
        LeftOut(
            key=row["key"],
            stage="transfer",
            kind="unreadable",
            reason=f"{row['unreadable']}; replace the file at its source, the next run takes it",
        )
        for row in to_rows(found)
    ]


def _failed_cells(media: Table, columns: Iterable[str]) -> list[LeftOut]:
    items = []
    for name in columns:
        error = f"{name}__err"
        if error not in media.schema.names:
            continue
        found = media.scan(["key", error], where=f"{error} IS NOT NULL").read_all()
        for row in to_rows(found):
            reason = ItemError.model_validate_json(row[error])
            items.append(
                LeftOut(
                    key=f"{row['key']}#{name}",
                    stage="compute",
                    kind=reason.kind,
                    reason=f"{reason.message}; mend the file, or run again with --retry-failed",
                )
            )
    return items
