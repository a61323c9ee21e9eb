"""Files that are tried again because someone said so: dead letters, and those of a replay."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator

from trainset.home import open_home
from trainset.run.context import Run
from trainset.spec import DatasetSpec
from trainset.transfer.answers import TRUE
from trainset.transfer.attributes import OF_DEAD_LETTERS, row_of_letter
from trainset.transfer.ledger import open_ledger
from trainset.transfer.ledger.base import DeadLetter, Ledger

REPLAYED = "replayed.jsonl"  # keys of dead letters that this run was told to try again
SELECTED = "selected.jsonl"  # keys of the files that a run is about, when it is not about all


def fitting_letters(ledger: Ledger, where: str | None) -> Iterator[DeadLetter]:
    """The dead letters that a condition fits; None: all.

    Raises:
        SpecError: it is no condition over ``attributes.OF_DEAD_LETTERS``.
    """
    if where is None:
        return ledger.dead_letters()
    from trainset.transfer.conditions import parse_condition  # late: its SQL parser takes 30 MB

    fits = parse_condition(where, OF_DEAD_LETTERS)
    return (letter for letter in ledger.dead_letters() if fits(row_of_letter(letter)) == TRUE)


def count_letters(spec: DatasetSpec, where: str | None) -> tuple[int, int]:
    """How many dead letters a condition fits, of how many; the ledger is only read."""
    home = open_home(spec.home)
    with open_ledger(home.state, home.url) as ledger:
        fit = sum(1 for _ in fitting_letters(ledger, where))
        return fit, sum(1 for _ in ledger.dead_letters())


def revive_letters(run: Run, ledger: Ledger) -> None:
    """Let the dead letters that are meant be tried again, and remember which they are.

    A second try of the step finds none any more: what the first has noted stays.
    """
    keys = [letter.key for letter in fitting_letters(ledger, run.context.retry_where)]
    with (run.scratch / REPLAYED).open("a", encoding="utf-8", newline="\n") as lines:
        lines.writelines(f"{json.dumps(key)}\n" for key in keys)
    ledger.revive(keys)


def replayed_keys(run: Run) -> Container[str]:
    """Files whose story goes on by REPLAY, not by RECEIVE."""
    if run.context.replay is not None:
        return EVERY
    return selected_keys(run, REPLAYED)


def selected_keys(run: Run, name: str = SELECTED) -> frozenset[str]:
    """The keys that a step has noted; none when it has not."""
    path = run.scratch / name
    if not path.exists():
        return frozenset()
    with path.open(encoding="utf-8", newline="\n") as lines:
        return frozenset(json.loads(line) for line in lines)


class _Every(Container[str]):
    def __contains__(self, key: object) -> bool:
        return True


EVERY: Container[str] = _Every()
