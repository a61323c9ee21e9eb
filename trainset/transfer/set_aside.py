"""Files that a run could not bring for a passing reason, and tries again before it ends.

A store or a share may be down for longer than the tries of one request last (Backblaze: up to half
an hour for one vault). So such a file is set aside, the run goes on with the others, and at its end
these are tried again, in a few passes. What waits still is reported as deferred.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from trainset.errors import SourceChanged, TransientError
from trainset.model import Frozen
from trainset.transfer.base import Outcome, SourceFile

PASSES_S = (10.0, 40.0, 160.0)  # pause before each pass: a random time of its second half
MOST = 10_000  # files of a run that are set aside; more is no fault of single files
PIECE = 2_000  # files that are sent at once

_KINDS = (TransientError.kind, SourceChanged.kind)
_log = logging.getLogger(__name__)


class Aside(Frozen):
    """A file that waits for its next try; ``outcome``: of the last one."""

    outcome: Outcome
    next_try_at: datetime


Send = Callable[[Sequence[SourceFile]], Sequence[Outcome]]
OnWait = Callable[[int, float], None]
Refresh = Callable[[SourceFile], SourceFile | None]


def may_pass(outcome: Outcome) -> bool:
    """Whether another try in the same run may bring the file."""
    return outcome.status == "deferred" and outcome.kind in _KINDS


def set_aside(
    outcome: Outcome, *, at: datetime, number: int = 0, min_age: timedelta = timedelta(0)
) -> Aside:
    """A file and when it is tried again.

    Args:
        at: when its last try ended.
        number: passes that it had.
        min_age: of its source: a file that changed must be left alone for so long.
    """
    pause = PASSES_S[min(number, len(PASSES_S) - 1)]
    wait = timedelta(seconds=random.uniform(pause / 2, pause))
    if outcome.kind == SourceChanged.kind:
        wait = max(wait, min_age)
    return Aside(outcome=outcome, next_try_at=at + wait)


def try_again(
    waiting: Iterable[Aside],
    send: Send,
    *,
    refresh: Refresh,
    give_up_at: datetime,
    min_age: Callable[[SourceFile], timedelta] = lambda file: timedelta(0),
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    on_wait: OnWait = lambda files, seconds: None,
) -> list[Outcome]:
    """One outcome for each file; ``attempts`` counts the tries before, too.

    Args:
        send: brings files, as ``send_batch`` does. A TransientError of it (the place does not
            answer at all) ends the pass, and nothing else.
        refresh: looks at a file that had changed; None: it is gone.
        give_up_at: no pass begins later.
        on_wait: told before each pause: files, seconds.
    """
    rest, done = list(waiting), list[Outcome]()
    for number in range(1, len(PASSES_S) + 1):
        if not rest or (due := max(a.next_try_at for a in rest)) > give_up_at:
            break
        wait = (due - clock()).total_seconds()
        if wait > 0:
            on_wait(len(rest), wait)
            sleep(wait)
        ended, gone = _pass(rest, send, refresh)
        done += gone
        again = [o for o in ended if may_pass(o)]
        done += [o for o in ended if not may_pass(o)]
        now = clock()
        rest = [set_aside(o, at=now, number=number, min_age=min_age(o.file)) for o in again]
    return done + [a.outcome for a in rest]


def _pass(
    rest: Sequence[Aside], send: Send, refresh: Refresh
) -> tuple[list[Outcome], list[Outcome]]:
    """What became of the files that were tried, and the last outcome of those that are gone."""
    ended, gone = list[Outcome](), list[Outcome]()
    before: dict[str, Outcome] = {}
    files: list[SourceFile] = []
    for aside in rest:
        file: SourceFile | None = aside.outcome.file
        if aside.outcome.kind == SourceChanged.kind:
            file = refresh(aside.outcome.file)
        if file is None:
            gone.append(aside.outcome)  # its own reason stands; the next run lists it or not
            continue
        before[file.key] = aside.outcome
        files.append(file)
    for start in range(0, len(files), PIECE):
        piece = files[start : start + PIECE]
        try:
            found = send(piece)
        except TransientError as err:
            _log.warning("the place does not answer; %d files wait: %s", len(piece), err)
            ended += [before[file.key] for file in piece]
            continue
        for outcome in found:
            last = before[outcome.file.key]
            tries = outcome.attempts + last.attempts
            took = outcome.duration_ms + last.duration_ms
            ended.append(outcome.model_copy(update={"attempts": tries, "duration_ms": took}))
    return ended, gone
