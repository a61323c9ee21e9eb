"""Export step of a run."""

from __future__ import annotations

from trainset.dataset import open as open_dataset
from trainset.errors import InputError
from trainset.export import run_export
from trainset.model import LeftOut
from trainset.run.context import RunContext
from trainset.run.reports import Exported, Published


def export_work(context: RunContext, published: Published, name: str) -> Exported:
    """Write one export of the published commit.

    An export that cannot be made is left out with its reason: the commit stands, and so do the
    other exports.
    """
    ref = published.tag or published.commit
    assert ref is not None, "flows export commits only"
    dataset = open_dataset(
        context.spec.home, ref, credentials=context.credentials, lakefs=context.lakefs
    )
    try:
        outcome = run_export(dataset, name, context.spec.exports[name])
    except InputError as err:
        item = LeftOut(key=f"exports/{name}", stage="export", kind=err.kind, reason=str(err))
        return Exported(name=name, left_out=(item,))
    return Exported(
        name=name,
        result=outcome.result,
        left_out=tuple(outcome.left_out),
        known=frozenset(item.identity for item in outcome.known),
    )
