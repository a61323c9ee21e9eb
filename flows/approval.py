"""Asking somebody in the Prefect UI: a flow run of a deployment suspends with a form."""

from __future__ import annotations

from typing import Literal

from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from trainset.model import Decision
from trainset.report.markdown import gate_markdown
from trainset.run.context import KEEP, Run, RunContext
from trainset.run.waiting import NEVER, Waiting, read_waiting, waiting_runs


class Approval(RunInput):
    """Whether main moves to the version that this run made."""

    decision: Literal["approve", "reject"] = Field(
        default="reject", description="Rejected, the version stays on its branch for a week."
    )
    by: str = Field(min_length=1, description="Who decides; it stands in the run's summary.")
    note: str = Field(default="", description="Why, for those who read it later.")


def asked_before(run: RunContext) -> Waiting | None:
    """What this very flow run had asked before it was suspended; None: it begins."""
    if run.spec.gate.approve == NEVER:
        return None
    there = waiting_runs(Run(run).home)
    return next((one for one in there if one.flow_run_id == run.flow_run_id), None)


def ask_if_it_waits(run: RunContext) -> None:
    """Suspend the flow run until somebody answers, if its work waits for that.

    A flow run without a deployment cannot be suspended: it ends, and a command answers.
    """
    if run.spec.gate.approve == NEVER or not deployment.id:
        return
    if (waiting := read_waiting(Run(run).home, run.run_id)) is not None:
        answer(run, waiting)


def answer(run: RunContext, waiting: Waiting) -> Decision:
    """What the form of this very commit says; suspends the flow run until it says something."""
    look = f"Look at it first: `trainset query {run.spec.home} --ref {waiting.commit[:12]}`"
    form = Approval.with_initial_data(description=f"{look}\n\n{gate_markdown(waiting.published)}")
    said = suspend_flow_run(
        wait_for_input=form, key=waiting.commit, timeout=int(KEEP.total_seconds())
    )
    assert said is not None, "a form is always asked for"
    return Decision(approved=said.decision == "approve", by=said.by, note=said.note)
