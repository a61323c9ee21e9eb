"""The first transfer step of a run: the plan. Then ``sending``, and ``media_rows`` writes rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Container, Iterator

from trainset.errors import InputError
from trainset.model import LeftOut, Protection, TransferTotals
from trainset.run.context import Run, RunContext
from trainset.run.destinations import protection_of
from trainset.run.plan_inputs import gone_keys
from trainset.run.provenance import origin_of
from trainset.run.replay import EVERY, SELECTED, revive_letters
from trainset.run.reports import TransferBatch, TransferWork
from trainset.run.scratch import lines_path, open_lines
from trainset.stores import check_adoptable, open_store
from trainset.tables.base import Table
from trainset.transfer.base import (
    Outcome,
    SourceFile,
)
from trainset.transfer.base_index import BaseIndex
from trainset.transfer.base_rows import BaseFiles, BaseRows
from trainset.transfer.ledger import fetch_from_store
from trainset.transfer.listing import list_source
from trainset.transfer.plan import Planner
from trainset.transfer.preflight import check_destination
from trainset.transfer.route import Router
from trainset.transfer.selection import Selection

UNLISTED = "unreadable-folder"
NOT_LISTED = "not-listed"

# What the plan leaves in the scratch folder beside its batches, as JSON lines.
OUTCOMES = "outcomes-plan.jsonl"  # of files that wait, or that a rule turned away
MISSING = "missing.jsonl"  # keys of rows whose file is gone from its source
RETURNED = "returned.jsonl"  # keys of rows that said missing, whose file is back


def plan_work(context: RunContext, *, task_run_id: str | None = None) -> TransferWork:
    """List the sources, subtract the media table, route, and write it all to the scratch folder.

    Args:
        task_run_id: the orchestrator's, for the events.
    """
    run = Run(context)
    if run.spec.protect != Protection():
        check_destination(run.home.store, run.spec.protect, now=context.started_at)
    _check_places(run)
    for source in run.spec.media:
        if source.mode == "reference":
            check_adoptable(open_store(source.from_, context.credentials))
    only = None if context.only is None else Selection(context.only)
    _open_ledger(run)
    unlisted: dict[str, str] = {}
    refused: list[LeftOut] = []
    returned = 0
    told: Counter[str] = Counter()
    batches = []
    with (
        open_lines(run.scratch / OUTCOMES) as outcomes,
        open_lines(run.scratch / RETURNED) as back,
        open_lines(run.scratch / MISSING) as gone,
    ):

        def note(outcome: Outcome) -> None:
            told[outcome.status] += 1
            outcomes.write(f"{outcome.model_dump_json()}\n")

        def note_returned(key: str) -> None:
            nonlocal returned
            returned += 1
            back.write(f"{json.dumps(key)}\n")

        planner = Planner(
            _base(run.table("media")),
            context.spec.media,
            now=context.started_at,
            route=Router(context.spec.transfer).route,
            unlisted=unlisted.keys(),
            gone=_due_anyway(run),
            on_outcome=note,
            on_returned=note_returned,
        )
        for number, files in enumerate(planner.batches(_listing(run, unlisted, refused, only))):
            with open_lines(lines_path(run, "batch", number)) as lines:
                lines.writelines(f"{file.model_dump_json()}\n" for file in files)
            batches.append((len(files), sum(file.size for file in files)))
        missing = 0
        for key, was_missing in planner.missing() if only is None else ():
            if not was_missing:
                missing += 1
                gone.write(f"{json.dumps(key)}\n")
    if only is not None:
        refused += _not_there(only, unlisted)
    return TransferWork(
        batches=tuple(
            TransferBatch(number=number, of=len(batches), files=files, bytes=size)
            for number, (files, size) in enumerate(batches)
        ),
        totals=TransferTotals(
            planned=planner.unchanged + sum(told.values()) + len(refused),
            skipped=planner.unchanged + told["skipped"],
            deferred=told["deferred"],
            failed=told["failed"] + len(refused),
        ),
        left_out=(*refused, *(_not_listed(prefix, why) for prefix, why in unlisted.items())),
        outcomes=sum(told.values()),
        missing=missing,
        returned=returned,
        refused=len(refused),
        origin=origin_of(context.spec, context.flow_run_id, task_run_id),
    )


def _check_places(run: Run) -> None:
    """Make sure that the places of rules are known, and can keep what is asked of them.

    Raises:
        InputError: a block that nobody resolved; or lists what must be mended.
    """
    seen = set[tuple[str, Protection]]()
    for route in run.spec.transfer.routes:
        if route.to is None:
            continue
        place = run.open_place(route.to, route.protect)  # makes no request
        asked = route.protect or protection_of(route.to, run.context.destinations)
        asked = asked or run.spec.protect
        if asked == Protection() or (route.to, asked) in seen:
            continue
        seen.add((route.to, asked))
        check_destination(place, asked, now=run.context.started_at, mode="destination")


def _open_ledger(run: Run) -> None:
    """Take over the copy of a lost ledger; with ``retry_dead`` let its dead letters be tried."""
    with run.ledger as ledger:
        fetch_from_store(ledger, run.home.store)
        if run.context.retry_dead:
            revive_letters(run, ledger)


def _base(media: Table | None) -> BaseFiles:
    return BaseRows({}) if media is None else BaseIndex.of_table(media)


def _due_anyway(run: Run) -> Container[str]:
    """Keys that are due, though size and version are as their row says."""
    if run.context.replay is not None:
        return EVERY
    return gone_keys(run.table("media"), run.spec, run.context.credentials)


def _listing(
    run: Run, unlisted: dict[str, str], refused: list[LeftOut], only: Selection | None
) -> Iterator[SourceFile]:
    def refuse(key: str, kind: str, reason: str) -> None:
        if only is None or only.names(key):
            refused.append(LeftOut(key=key, stage="transfer", kind=kind, reason=reason))

    stores = run.sources()
    with open_lines(run.scratch / SELECTED) as lines:
        for source in run.spec.media:
            listed = list_source(
                source,
                stores[source.name],
                home=run.home.url,
                on_unreadable=unlisted.__setitem__,
                on_refused=refuse,
            )
            if only is None:
                yield from listed
                continue
            for file in only.select(listed):
                lines.write(f"{json.dumps(file.key)}\n")
                yield file


def _not_there(only: Selection, unlisted: Collection[str]) -> list[LeftOut]:
    """The names that someone gave and no source lists, each with its reason.

    Raises:
        InputError: there is none of them.
    """
    blind, left_out = tuple(unlisted), []
    for name, place in only.unseen():
        if name.startswith(blind):
            continue  # its folder could not be listed: that is told
        reason = (
            f"{place}: no source of the spec lists it; mend the name (a key, or a source uri), or "
            "see whether the file is there and its source takes it (include, exclude)"
        )
        left_out.append(LeftOut(key=name, stage="transfer", kind=NOT_LISTED, reason=reason))
    if left_out and only.found == 0:
        first = left_out[0]
        raise InputError(f"{first.key!r}, {first.reason}; so it is with all that were named")
    return left_out


def _not_listed(prefix: str, why: str) -> LeftOut:
    return LeftOut(key=prefix, stage="transfer", kind=UNLISTED, reason=why)
