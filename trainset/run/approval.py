"""What becomes of a run that waited: main moves to its commit, or stays where it is."""

from __future__ import annotations

from collections.abc import Callable

from trainset.errors import InputError
from trainset.metadata.tables.open import OpenBlock
from trainset.model import Commit, Decision
from trainset.run.conflicts import note_settled
from trainset.run.context import Run, RunContext, branches_of
from trainset.run.judging import tables_of
from trainset.run.overtaken import replayed_on_main
from trainset.run.publish import publish, tag_commit
from trainset.run.reports import Published
from trainset.run.waiting import Waiting, merged_as
from trainset.tables.root_hash import root_hash
from trainset.versions.base import MainMoved


def decide(
    context: RunContext,
    waiting: Waiting,
    decision: Decision,
    *,
    open_block: OpenBlock | None = None,
    progress: Callable[[int], None] | None = None,
) -> Published:
    """Do what somebody said of a run that waits; safe to repeat, also after a kill.

    Main moves to the very commit that was approved. Where main has moved meanwhile there is no
    such commit: the run is replayed on the newest main, judged again, and waits again.

    Args:
        context: as of the run itself, with its id.
        open_block, progress: as for ``publish``, of that case.
    Raises:
        RowConflicts: as ``publish``; the run still waits.
        InputError: main moved, and the run's tables are on another machine.
    """
    run, asked = Run(context), waiting.published
    if (made := merged_as(run.home, waiting)) is not None:
        run.workspace.discard()  # of the cut off answer nothing is left but this
        return _done(run, asked, run.home.versions.resolve(made), decision)
    if not decision.approved:
        said = f"{decision.said}; mend what is wrong, and run again"
        return _ended(asked, decision, status="refused", reasons=(said,))
    branch = branches_of(run.home.versions, context.run_id)[-1]
    work = Run(context.model_copy(update={"run_id": branch}))
    try:
        return _done(run, asked, work.workspace.merge(), decision)
    except MainMoved:
        _check_is_here(work, waiting)
        _, settled = replayed_on_main(work, open_block)
        note_settled(run, settled)
        again = publish(context, asked.report, open_block=open_block, progress=progress)
        moved = "main had moved since it was asked for, so the approval was of another version"
        return again.model_copy(update={"notes": (*again.notes, moved)})


def _check_is_here(run: Run, waiting: Waiting) -> None:
    """The run's tables must be on this machine to be replayed; in lakeFS they are everywhere."""
    commit = run.home.versions.resolve(waiting.commit)
    if root_hash(tables_of(run)) != commit.metadata["root"]:
        raise InputError(
            f"main moved since run {waiting.run_id} asked, and its tables are on the machine that "
            "made them: approve it there, or run the pipeline again (what was sent and computed is "
            "not sent and computed again)"
        )


def _done(run: Run, asked: Published, made: Commit, decision: Decision) -> Published:
    tag = tag_commit(run, made)
    return _ended(asked, decision, status="completed", commit=made.id, tag=tag)


def _ended(asked: Published, decision: Decision, **facts: object) -> Published:
    return asked.model_copy(update={"waits": None, "decision": decision, **facts})
