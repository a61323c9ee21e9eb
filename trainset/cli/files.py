"""Commands about single files and their transfers: ``trace`` and ``dead-letters``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trainset.cli.commands import say
from trainset.cli.output import Answer
from trainset.dataset import open as open_dataset
from trainset.errors import TrainsetError
from trainset.home import Home, open_home
from trainset.report.wording import kind_title, many, reason_and_step

if TYPE_CHECKING:
    from trainset.tables.trace import Trace
    from trainset.transfer.ledger import DeadLetter, Ledger

RETRY = "python -m flows transfer-media SPEC --retry-dead"


def trace(options: argparse.Namespace) -> Answer:
    dataset = open_dataset(options.home, options.ref)
    with _ledger_if_any(dataset.home) as ledger:
        found = dataset.trace(options.file, ledger=ledger)
    many_files = len(found.files) > 1
    rows = [
        {
            "time": _utc(h.time),
            "event": h.type,
            "run": h.run_id,
            **({"key": h.key} if many_files or options.format == "csv" else {}),
            "what": h.text,
        }
        for h in found.story
    ]
    return Answer(found, rows, [*_title(found), ""], max_cell=200)


def dead_letters(options: argparse.Namespace) -> Answer:
    from trainset.run.replay import fitting_letters

    with closing(_open(open_home(options.home))) as ledger:
        letters = fitting_letters(ledger, options.where)
        found = [d for d in letters if options.kind in (None, d.kind)]
    return list_dead_letters(found)


def list_dead_letters(letters: Iterable[DeadLetter]) -> Answer:
    """What waits for someone, each with its reason and what to do."""
    found = list(letters)
    rows: list[dict[str, Any]] = []
    for letter in found:
        what, step = reason_and_step(letter.reason)
        rows.append(
            {
                "key": letter.key,
                "kind": letter.kind,
                "tries": letter.attempts,
                "since": _utc(letter.since),
                "why": what,
                "next": step.removeprefix("then: "),
            }
        )
    kinds = sorted({letter.kind for letter in found})
    title = [f"{many(len(found), 'dead letter')}: no run tries these files again by itself"]
    title += [f"  {kind_title(k)}: {sum(d.kind == k for d in found):,} ({k})" for k in kinds]
    title += [f"when the cause is gone: {RETRY}"] if found else []
    return Answer(found, rows, [*title, ""], max_cell=160)


def _title(found: Trace) -> Iterator[str]:
    yield f"in commit {found.commit.id[:12]} of {_utc(found.commit.created_at)}"
    for file in found.files:
        yield f"{file.key}: {file.said}"
        for name in ("source_uri", "uri", "version_id", "sha256", "row_id"):
            if (value := getattr(file, name)) is not None:
                yield f"  {name.replace('_', ' '):11}{value}"
        if cells := found.cells.get(file.key):
            yield f"  {'cells':11}{', '.join(f'{c.column} {c.state}' for c in cells)}"


@contextmanager
def _ledger_if_any(home: Home) -> Iterator[Ledger | None]:
    """The ledger; without one a story is told from the home alone."""
    try:
        ledger = _open(home)
    except TrainsetError as err:
        say(f"the ledger is not asked: {err}")
        yield None
        return
    with closing(ledger):
        yield ledger


def _open(home: Home) -> Ledger:
    """This machine's ledger or the shared one; on another machine the bucket's copy of it."""
    from trainset.transfer.ledger import fetch_from_store, open_ledger

    ledger = open_ledger(home.state, home.url)
    fetch_from_store(ledger, home.store)
    return ledger


def _utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
