"""Moving media into the home: list, plan, send, and prove it."""

from trainset.transfer.adopt import adopt_batch
from trainset.transfer.base import (
    Outcome,
    SourceFile,
    transfer_left_out,
    transfer_totals,
)
from trainset.transfer.base_rows import BaseRow, BaseRows
from trainset.transfer.ledger import Ledger
from trainset.transfer.listing import list_source
from trainset.transfer.plan import Planner, TransferPlan, plan_transfer
from trainset.transfer.route import Decision, Router
from trainset.transfer.send import send_batch

__all__ = [
    "BaseRow",
    "BaseRows",
    "Decision",
    "Ledger",
    "Outcome",
    "Planner",
    "Router",
    "SourceFile",
    "TransferPlan",
    "adopt_batch",
    "list_source",
    "plan_transfer",
    "send_batch",
    "transfer_left_out",
    "transfer_totals",
]
