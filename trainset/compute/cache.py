"""The compute cache: values by (content sha256, fn_id), shared by tables, branches and runs.

One SQLite file in the home's state folder. A batch is one transaction: kill -9 loses at most the
batch in flight. Errors are not cached. The cache is rebuildable: a damaged file is set aside.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from trainset.home import Home

_IN_ONE_QUERY = 500  # below SQLite's smallest limit of variables
_TABLE = """
CREATE TABLE IF NOT EXISTS cells (
    sha256 TEXT NOT NULL, fn_id TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (sha256, fn_id)
) WITHOUT ROWID
"""


class CellCache:
    """One connection; each worker (thread or process) opens its own, and closes it.

    Values are Arrow IPC record batches of one row and one column, without their schema: the fn_id
    fixes the type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _connect(path)
        except sqlite3.OperationalError:
            raise  # locked or no space: not the file's fault
        except sqlite3.DatabaseError:
            path.rename(path.with_suffix(f".broken-{time.time_ns()}"))
            self._db = _connect(path)

    def __enter__(self) -> CellCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def get(self, fn_id: str, sha256s: Sequence[str], output: pa.DataType) -> dict[str, Any]:
        """The values there are, as one-element Arrow arrays of type ``output``, by sha256."""
        schema = pa.schema([pa.field("value", output)])
        found: dict[str, Any] = {}
        for start in range(0, len(sha256s), _IN_ONE_QUERY):
            some = sha256s[start : start + _IN_ONE_QUERY]
            marks = ",".join("?" * len(some))
            rows = self._db.execute(
                f"SELECT sha256, value FROM cells WHERE fn_id = ? AND sha256 IN ({marks})",
                (fn_id, *some),
            )
            for sha256, blob in rows:
                batch = pa.ipc.read_record_batch(pa.py_buffer(blob), schema)
                found[sha256] = batch.column(0)
        return found

    def put(self, values: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Store one batch, whole or not at all.

        Args:
            values: (fn_id, {sha256: one-element Arrow array}) of each function.
        """
        rows = [
            (sha256, fn_id, pa.record_batch([array], names=["value"]).serialize().to_pybytes())
            for fn_id, cells in values
            for sha256, array in cells.items()
        ]
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?)", rows)


def open_cache(home: Home) -> CellCache:
    """The cache of a home."""
    return CellCache(home.state / "cache" / "cells.sqlite")


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=120)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(_TABLE)
    db.commit()
    return db
