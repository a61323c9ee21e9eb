"""One sync of all tables of a source into a workspace."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from trainset.errors import InputError
from trainset.metadata.counted import Counter, Tell
from trainset.metadata.counted_tables import CountedTables
from trainset.metadata.store import streams_of
from trainset.metadata.sync import SyncReport, Tally, drop_stream
from trainset.metadata.table_base import TableReader
from trainset.metadata.tables.contract import ContractBroken
from trainset.metadata.tables.sync import TableSync, sync_table
from trainset.spec_metadata import MetadataSource
from trainset.versions.base import Workspace


def sync_tables(
    reader: TableReader,
    source: MetadataSource,
    workspace: Workspace,
    *,
    sync_id: str,
    now: datetime,
    salt: bytes = b"",
    chunks: Path | None = None,
    progress: Tell | None = None,
) -> SyncReport:
    """Bring the tables that the entry names up to date; write nothing where nothing changed.

    A table that cannot be read keeps the rows of the last good sync and is reported. A table that
    the entry no longer names is dropped.

    Args:
        salt: key of hashed columns.
        chunks: local folder that keeps what killed first reads had read.
        progress: is told of every batch of rows that is read.
    Raises:
        ContractBroken: a table changed as its contract does not take.
        TransientError: try again.
    """
    tally = Tally(source.name)
    streams = {name: stream_name(name) for name in source.tables}
    count = Counter(progress, of=len(streams))
    reader = CountedTables(reader, count)
    for name, stream in streams.items():
        count.begin(name)
        try:
            done = sync_table(
                reader,
                name,
                source,
                workspace,
                sync_id=sync_id,
                now=now,
                stream=stream,
                salt=salt,
                chunks=None if chunks is None else chunks / source.name / stream,
            )
        except ContractBroken:
            raise
        except InputError as error:
            tally.fail(stream, f"{source.name}/{name}", error)
            tally.keep(workspace, stream)
            continue
        finally:
            count.end()
        tally.notes += _notes(name, done)
        (tally.read if done.changed else tally.unchanged).append(stream)
        tally.keep(workspace, stream)
    for stream in set(streams_of(workspace, source.name)) - set(streams.values()):
        drop_stream(workspace, source.name, stream)
        tally.vanished.append(stream)
    return tally.report()


def _notes(table: str, done: TableSync) -> list[str]:
    """What a person wants to know of a sync that changed something."""
    if not done.changed:
        return []
    c = done.counts
    said = [f"{table}: {c.added:,} rows added, {c.changed:,} changed, {c.deleted:,} deleted"]
    if done.evolution is not None:
        e = done.evolution
        said += [f"{table}: new column {name!r}" for name in e.added]
        said += [f"{table}: new column {name!r} is not taken (contract)" for name in e.ignored]
        said += [f"{table}: column {name!r} is gone, and null in new rows" for name in e.removed]
        said += [f"{table}: {name!r} was {old} and is {new} now" for name, old, new in e.widened]
        said += [
            f"{table}: {name!r} is {new} now and stays {old} (contract)"
            for name, old, new in e.kept
        ]
    return said


def stream_name(table: str) -> str:
    """The folder of a table: its name, with what no path takes percent-encoded."""
    return quote(table, safe="")
