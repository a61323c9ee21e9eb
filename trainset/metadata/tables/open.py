"""From a ``metadata:`` entry whose streams are tables to its reader, and to its secrets.

A spec names secrets and never holds them: what ``block:<name>`` stands for is looked up by whoever
runs the sync, inside the process that connects.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    if source.connector is not None:
        return _open_connector(source, source.connector, open_block)
    from trainset.metadata.sql import open_sql

    url = _secret(source, source.from_, open_block) or source.from_
    return open_sql(
        url,
        tables=source.tables,
        key=source.key or None,
        cursor=source.cursor,
        lag=None if source.lag is None else source.lag.total_seconds(),
    )


def _open_connector(
    source: MetadataSource, connector: str, open_block: OpenBlock | None
) -> TableReader:
    from trainset.metadata.airbyte import open_airbyte

    said = source.config
    block = None if said is None else _secret(source, said, open_block)
    return open_airbyte(
        connector,
        config=_settings(source, block) if block else None if said is None else Path(said),
        streams=source.tables,
        key=source.key or None,
        cursor=source.cursor,
        cdk=source.cdk,
    )


def _settings(source: MetadataSource, text: str) -> dict[str, Any]:
    """The JSON object that a block holds; what it is instead is not shown."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(
            f"{source.name}: {source.config} holds no JSON object; save in it what the connector "
            "asks for"
        )
    return found


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
            "'python -m flows sync-metadata', or write it without its secrets"
        )
    return open_block(said.removeprefix(BLOCK))
