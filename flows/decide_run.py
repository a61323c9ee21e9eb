"""Answer a run that waits for approval."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from flows import stages
from flows.dataset_run import waiting_run
from flows.naming import run_name
from trainset.model import Decision, RunSummary


@flow(name="decide-run", flow_run_name=run_name, persist_result=False)
def decide_run(
    spec: str,
    decision: Literal["approve", "reject"],
    by: str,
    note: str = "",
    run: str | None = None,
    prefer: Literal["ours", "theirs"] | None = None,
) -> RunSummary:
    """Move main to the commit of a run that waits, or leave it where it is, as somebody decided.

    A flow run that is suspended asks by a form of its own; this is for runs that cannot.

    Args:
        spec: Path of dataset.yaml.
        decision: What was decided.
        by: Who decided; it stands in the run's summary.
        note: Why, for those who read it later.
        run: Id of the run; left out: the only one that waits.
        prefer: Where main moved since the run asked and both changed the same value: ours keeps
            main's, theirs takes the run's. Left out: the run goes on waiting, and lists them.
    """
    said = Decision(approved=decision == "approve", by=by, note=note)
    with waiting_run(spec, run, prefer=prefer) as (context, waiting):
        commit = stages.decide(context, waiting, said)
        exports = stages.export(context, commit)
        return stages.report(context, commit, exports)
