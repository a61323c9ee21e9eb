"""The ledger of transfers: one SQLite file a machine, or PostgreSQL shared by several hosts."""

from __future__ import annotations

import os
from pathlib import Path

from trainset.errors import InputError
from trainset.transfer.ledger.base import (
    Attempt,
    Claim,
    Content,
    DeadLetter,
    Ledger,
    LedgerRow,
)
from trainset.transfer.ledger.copy import copy_to_store, fetch_from_store
from trainset.transfer.ledger.owner import new_owner, owner_is_gone
from trainset.transfer.ledger.sqlite import SqliteLedger

__all__ = [
    "Attempt",
    "Claim",
    "Content",
    "DeadLetter",
    "Ledger",
    "LedgerRow",
    "SqliteLedger",
    "copy_to_store",
    "fetch_from_store",
    "new_owner",
    "open_ledger",
    "owner_is_gone",
]

LEDGER_FILE = "ledger.sqlite"
_VARIABLE = "TRAINSET_LEDGER"


def open_ledger(home_state: Path, home_url: str, *, url: str | None = None) -> Ledger:
    """Open the ledger of a home; a new one is begun where there is none. Close it.

    Args:
        home_state: local folder of the home's state, for the SQLite file.
        home_url: tells homes apart that share a PostgreSQL database.
        url: ``postgresql://user:password@host/database``; None: what ``TRAINSET_LEDGER`` says,
            else the SQLite file.
    Raises:
        InputError: the url is of another kind, or the database cannot be used.
        AccessDenied: the database does not let us in.
        MissingExtra: the ``sql`` extra is not installed.
        TransientError: the database does not answer.
    """
    url = url or os.environ.get(_VARIABLE)
    if not url:
        return SqliteLedger(home_state / LEDGER_FILE)
    if not url.startswith(("postgresql://", "postgres://")):
        kind = url.partition("://")[0] if "://" in url else "a path"  # never more: it may be secret
        raise InputError(
            f"the ledger's url is {kind}; write postgresql://user:password@host/database, or "
            f"unset {_VARIABLE} to keep the ledger in a file"
        )
    from trainset.transfer.ledger.postgres import PostgresLedger

    return PostgresLedger(url, home_url)
