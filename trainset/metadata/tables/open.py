"""From a ``metadata:`` entry whose streams are tables to its reader, and to its secrets.

A spec names secrets and never holds them: what ``block:<name>`` stands for is looked up by whoever
runs the sync, inside the process that connects.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from trainset.errors import InputError
from trainset.metadata.table_base import TableReader
from trainset.spec_metadata import BLOCK, MetadataSource

OpenBlock = Callable[[str], str]  # the name of a block -> the secret text that it holds
SALT = "TRAINSET_HASH_SALT"


def open_tables(source: MetadataSource, open_block: OpenBlock | None = None) -> TableReader:
    """The reader of one entry; it connects when it is asked something.

    Args:
        open_block: looks blocks up; None: this process knows none.
    Raises:
        InputError: the entry names a block and there is nobody to ask.
    """
    from trainset.metadata.sql import open_sql

    url = _secret(source, source.from_, open_block) or source.from_
    return open_sql(
        url,
        tables=source.tables,
        key=source.key or None,
        cursor=source.cursor,
        lag=None if source.lag is None else source.lag.total_seconds(),
    )


def salt_of(source: MetadataSource, open_block: OpenBlock | None = None) -> bytes:
    """The key of hashed columns; empty when the entry hashes none or there is none."""
    if not any(rule.hash for rule in source.columns.values()):
        return b""
    if source.salt is not None:
        return (_secret(source, source.salt, open_block) or "").encode()
    return os.environ.get(SALT, "").encode()


def _secret(source: MetadataSource, said: str, open_block: OpenBlock | None) -> str | None:
    """What ``said`` stands for; None when it names no block."""
    if not said.startswith(BLOCK):
        return None
    if open_block is None:
        raise InputError(
            f"{source.name}: {said} is a block of a Prefect server, which only flows look up; run "
            "'python -m flows sync-metadata', or write the database's url without its password"
        )
    return open_block(said.removeprefix(BLOCK))
