"""The files of one verification and their verdicts, in a temporary database that goes with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice

from trainset.transfer.verify_report import (
    Expected,
    FileCheck,
    Level,
    ObjectFault,
    Source,
    lot,
)

_TABLES = """
CREATE TABLE file (
    id INTEGER PRIMARY KEY, place TEXT, object TEXT, lot INTEGER, version_id TEXT, sha256 TEXT,
    key TEXT, uri TEXT, data TEXT
);
CREATE TABLE verdict (id INTEGER PRIMARY KEY, level TEXT, fault TEXT);
"""
_CLEAN = "FROM file JOIN verdict USING (id) WHERE verdict.fault IS NULL"
_OBJECT = "place, object, coalesce(version_id, '')"


class VerifyTable:
    """Sorts and remembers more files than memory holds. Used by one thread."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a file of SQLite's own, removed
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def add(self, files: Iterable[tuple[str, str, Expected]], seed: int) -> None:
        """Take in (place, object key there, file)."""
        rows = (
            (
                place,
                key,
                lot(file.uri, file.version_id, seed),
                file.version_id,
                file.sha256,
                file.key,
                file.uri,
                json.dumps([file.size, file.etag, file.pinned, file.source, file.source_uri]),
            )
            for place, key, file in files
        )
        self._db.execute("BEGIN")
        while some := list(islice(rows, 5_000)):
            self._db.executemany("INSERT INTO file VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", some)
        self._db.execute("CREATE INDEX by_object ON file (place, object)")
        self._db.execute("COMMIT")

    def judge(self, verdicts: Iterable[tuple[int, Level, ObjectFault | None]]) -> None:
        """Note verdicts; a later one of the same file takes the place of the earlier."""
        rows = ((i, level, f.model_dump_json() if f else None) for i, level, f in verdicts)
        self._db.execute("BEGIN")
        while some := list(islice(rows, 5_000)):
            self._db.executemany("INSERT OR REPLACE INTO verdict VALUES (?, ?, ?)", some)
        self._db.execute("COMMIT")

    def places(self) -> list[str]:
        found = self._db.execute("SELECT DISTINCT place FROM file")
        return sorted(row[0] for row in found)

    def prefix(self, place: str) -> str:
        """The folder that holds all objects of a place."""
        query = "SELECT min(object), max(object) FROM file WHERE place = ?"
        first, last = self._db.execute(query, (place,)).fetchone()
        alike = 0
        while alike < len(first) and first[alike] == last[alike : alike + 1]:
            alike += 1
        return str(first[: first.rfind("/", 0, alike) + 1])

    def of_place(self, place: str) -> Iterator[tuple[str, int, Expected]]:
        """(object key, id, file), by the bytes of the object key."""
        query = f"SELECT object, id, {_COLUMNS} FROM file WHERE place = ? ORDER BY object, id"
        for key, number, *rest in self._db.execute(query, (place,)):
            yield key, number, _expected(rest)

    def of_object(self, place: str, key: str, version_id: str | None) -> list[tuple[int, Expected]]:
        """The files without a fault so far that share an object."""
        query = f"SELECT id, {_COLUMNS} {_CLEAN} AND place = ? AND object = ? AND version_id IS ?"
        rows = self._db.execute(query, (place, key, version_id))
        return [(number, _expected(rest)) for number, *rest in rows]

    def has(self, place: str, key: str) -> bool:
        """Whether some file has this object."""
        query = "SELECT 1 FROM file WHERE place = ? AND object = ? LIMIT 1"
        return self._db.execute(query, (place, key)).fetchone() is not None

    def count_objects(self) -> tuple[int, int]:
        """Distinct objects without a fault so far, and how many of them have no known sha256."""
        query = (
            f"SELECT count(*), coalesce(sum(hash IS NULL), 0) FROM (SELECT max(sha256) AS hash "
            f"{_CLEAN} GROUP BY {_OBJECT})"
        )
        total, unhashed = self._db.execute(query).fetchone()
        return total, unhashed

    def draw(self, count: int) -> list[tuple[str, str, str | None]]:
        """(place, object key, version id) of so many objects with a known sha256, by their lot."""
        query = (
            f"SELECT place, object, version_id {_CLEAN} AND sha256 IS NOT NULL "
            f"GROUP BY {_OBJECT} ORDER BY min(lot), place, object LIMIT ?"
        )
        return self._db.execute(query, (count,)).fetchall()

    def place_loads(self) -> list[tuple[str, int, int, int]]:
        """(place, distinct objects, their bytes, those without a known sha256), by place."""
        query = (
            "SELECT place, count(*), sum(size), sum(hash IS NULL) FROM (SELECT place, "
            f"max(json_extract(data, '$[0]')) AS size, max(sha256) AS hash FROM file "
            f"GROUP BY {_OBJECT}) GROUP BY place ORDER BY place"
        )
        return self._db.execute(query).fetchall()

    def source_loads(self) -> list[tuple[str, int, int]]:
        """(source, its files that are still there, their bytes), by name."""
        query = (
            "SELECT json_extract(data, '$[3][0]') AS name, count(*), "
            "sum(json_extract(data, '$[3][2]')) FROM file WHERE name IS NOT NULL "
            "GROUP BY name ORDER BY name"
        )
        return self._db.execute(query).fetchall()

    def counts(self) -> tuple[int, int, dict[str, int]]:
        """(files, faulty ones, clean ones by level)."""
        (files,) = self._db.execute("SELECT count(*) FROM file").fetchone()
        (faulty,) = self._db.execute("SELECT count(fault) FROM verdict").fetchone()
        levels = "SELECT level, count(*) FROM verdict WHERE fault IS NULL GROUP BY level"
        return files, faulty, dict(self._db.execute(levels).fetchall())

    def faults(self, limit: int) -> Iterator[ObjectFault]:
        query = (
            "SELECT fault FROM verdict JOIN file USING (id) WHERE fault IS NOT NULL "
            "ORDER BY place, object, id LIMIT ?"
        )
        for (text,) in self._db.execute(query, (limit,)):
            yield ObjectFault.model_validate_json(text)

    def checks(self) -> Iterator[FileCheck]:
        """How every file did, in the order they came in."""
        query = (
            f"SELECT level, fault, {_COLUMNS} FROM file LEFT JOIN verdict USING (id) ORDER BY id"
        )
        for level, text, *rest in self._db.execute(query):
            found = ObjectFault.model_validate_json(text) if text else None
            yield FileCheck(_expected(rest), None if found else level, found)


_COLUMNS = "key, uri, version_id, sha256, data"


def _expected(row: list[str]) -> Expected:
    key, uri, version_id, sha256, data = row
    size, etag, pinned, source, source_uri = json.loads(data)
    return Expected(
        key=key,
        uri=uri,
        size=size,
        etag=etag,
        version_id=version_id,
        sha256=sha256,
        pinned=pinned,
        source=Source(*source) if source else None,
        source_uri=source_uri,
    )
