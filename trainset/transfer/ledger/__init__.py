"""The ledger of transfers: one SQLite file a machine, or PostgreSQL shared by several hosts."""

from trainset.transfer.ledger.base import LedgerRow
from trainset.transfer.ledger.sqlite import SqliteLedger

Ledger = SqliteLedger

__all__ = ["Ledger", "LedgerRow", "SqliteLedger"]
