"""Runs that wait until somebody approves them: what is kept of each, in the home."""

from __future__ import annotations

from datetime import datetime

from trainset.errors import InputError, NotFound
from trainset.home import Home
from trainset.model import Frozen
from trainset.run.context import KEEP, Run, RunContext, branches_of
from trainset.run.reports import Published

PLACE = "waiting/"
NEVER = "never"


class Waiting(Frozen):
    """What is left to do of a run whose commit somebody is to approve.

    Attributes:
        published: as the run ended; ``waits`` is the commit, ``gate`` what the gate looked at.
    """

    run_id: str
    started_at: datetime
    flow_run_id: str | None = None
    published: Published

    @property
    def commit(self) -> str:
        assert self.published.waits is not None, "only what waits is kept here"
        return self.published.waits


def keep_waiting(context: RunContext, published: Published) -> Published:
    """Note that the run waits; the newest note of a run counts."""
    waiting = Waiting(
        run_id=context.run_id,
        started_at=context.started_at,
        flow_run_id=context.flow_run_id,
        published=published,
    )
    body = waiting.model_dump_json(indent=2).encode()
    Run(context).home.store.put(_place(context.run_id), body, content_type="application/json")
    return published


def end_waiting(home: Home, run_id: str) -> None:
    """Forget the note of a run that is decided; no error where there is none."""
    home.store.delete(_place(run_id))


def read_waiting(home: Home, run_id: str) -> Waiting | None:
    """The note of one run; None: it does not wait."""
    try:
        return Waiting.model_validate_json(home.store.get(_place(run_id)))
    except NotFound:
        return None


def waiting_runs(home: Home) -> list[Waiting]:
    """All runs that wait, oldest first. Those that waited too long have lost their branch, and go.

    A run waits as long as a failed run's branch is kept, see ``context.KEEP``.
    """
    found = []
    for info in home.store.list(PLACE):
        run_id = info.key.removeprefix(PLACE).removesuffix(".json")
        waiting = read_waiting(home, run_id)
        if waiting is None:
            continue
        if _is_lost(home, waiting):
            end_waiting(home, run_id)
        else:
            found.append(waiting)
    return sorted(found, key=lambda waiting: waiting.started_at)


def choose_waiting(home: Home, run_id: str | None = None) -> Waiting:
    """The run of that id, or the only one that waits.

    Raises:
        InputError: none waits, several do, or not that one; names those that do.
    """
    there = waiting_runs(home)
    if run_id is not None:
        there = [waiting for waiting in there if waiting.run_id == run_id] or there
    if len(there) == 1 and run_id in (None, there[0].run_id):
        return there[0]
    if not there:
        raise InputError(
            f"no run of {home.url} waits for approval (they do for {KEEP.days} days); look at "
            "its summary under runs/, or run the pipeline again"
        )
    names = ", ".join(waiting.run_id for waiting in there)
    if run_id is None:
        raise InputError(f"{len(there)} runs wait for approval: {names}; say which by --run")
    raise InputError(f"run {run_id} does not wait for approval; those that do: {names}")


def as_waited(context: RunContext, waiting: Waiting) -> RunContext:
    """The context of the run itself, from that of the one who answers."""
    then = {"run_id": waiting.run_id, "started_at": waiting.started_at}
    return context.model_copy(update=then)


def merged_as(home: Home, waiting: Waiting) -> str | None:
    """The commit on main that the run became: an answer that was cut off had come so far."""
    for commit in home.versions.log():
        if commit.id == waiting.published.base:
            return None
        if commit.metadata.get("run_id") == waiting.run_id:
            return commit.id
    return None


def _is_lost(home: Home, waiting: Waiting) -> bool:
    branches = branches_of(home.versions, waiting.run_id)
    return not branches and merged_as(home, waiting) is None


def _place(run_id: str) -> str:
    return f"{PLACE}{run_id}.json"
