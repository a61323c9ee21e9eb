"""What a dry run says of tables: their catalog's own count of rows; none of them is read."""

from __future__ import annotations

from typing import NamedTuple

from trainset.errors import TrainsetError
from trainset.metadata.store import CommitFiles, read_manifest
from trainset.metadata.table_base import TableStream
from trainset.metadata.tables.open import OpenBlock, open_tables
from trainset.metadata.tables.source import stream_name
from trainset.spec_metadata import MetadataSource

ROWS_PER_S = 300_000  # read and stored, of a first sync


class TablesLook(NamedTuple):
    """``said``: a line a table; ``seconds``: of syncing those that the dataset has not yet."""

    said: tuple[str, ...] = ()
    seconds: float = 0.0
    faults: tuple[str, ...] = ()


def look_at_tables(
    source: MetadataSource, files: CommitFiles | None, open_block: OpenBlock | None
) -> TablesLook:
    """Ask a database for its tables; what cannot be asked is a fault, and the dry run goes on.

    Args:
        files: of the home's newest commit; None: there is none.
        open_block: looks up the block that the entry names.
    """
    if source.connector is not None:
        listed = ", ".join(source.tables)
        return TablesLook(faults=(f"{source.name}: a dry run starts no connector ({listed})",))
    try:
        found = open_tables(source, open_block).discover()
    except TrainsetError as err:
        return TablesLook(faults=(f"{source.name}: {err}",))
    looks = [_look(source, table, files) for table in found]
    return TablesLook(tuple(said for said, _ in looks), sum(seconds for _, seconds in looks))


def _look(
    source: MetadataSource, table: TableStream, files: CommitFiles | None
) -> tuple[str, float]:
    rows = "rows that its database does not count"
    if table.rows is not None:
        rows = f"about {table.rows:,} rows, as its database estimates"
    held = None
    if files is not None:
        held = read_manifest(files, source.name, stream_name(table.name))
    if held is None:
        first = f"{source.name}/{table.name}: {rows}; all are read, the dataset has none yet"
        return first, (table.rows or 0) / ROWS_PER_S
    return f"{source.name}/{table.name}: {rows}; the dataset has {held.rows:,}", 0.0
