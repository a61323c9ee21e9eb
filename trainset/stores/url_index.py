"""A list of URLs as a sorted index of keys, on disk: a million lines need no memory."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from trainset.errors import InputError
from trainset.stores.url_rows import Row
from trainset.stores.urls import parse_url, safe_url

_BATCH = 5_000  # rows


class Refusal(NamedTuple):
    """One line that gives no medium; ``name`` reads ``<list>:<line>``."""

    name: str
    kind: str
    reason: str


class UrlIndex:
    """Key -> URL, ascending by key. Its private temporary file goes with the object.

    Args:
        rows: of ``read_urls``.
        name: of the list, for the texts.
    """

    def __init__(self, rows: Iterable[Row], name: str) -> None:
        self._name = name
        handle, path = tempfile.mkstemp(prefix="trainset-urls-")  # mode 0600: URLs may be signed
        os.close(handle)
        self._path = Path(path)
        weakref.finalize(self, self._path.unlink, missing_ok=True)
        self._lock = threading.Lock()
        self._db = self._connect()
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE urls (key TEXT, url TEXT, line INTEGER);"
            "CREATE TABLE refused (line INTEGER, kind TEXT, reason TEXT);"
        )
        source = iter(rows)
        while batch := list(islice(source, _BATCH)):
            self._add(batch)
        self._db.execute("CREATE INDEX by_key ON urls (key, line, url)")
        self._db.commit()

    def url(self, key: str) -> str | None:
        """The URL of ``key`` on its first line; it may hold secrets."""
        query = "SELECT url FROM urls WHERE key = ? ORDER BY line LIMIT 1"
        with self._lock:
            found = self._db.execute(query, (key,)).fetchone()
        return str(found[0]) if found else None

    def items(self, prefix: str, start_after: str) -> Iterator[tuple[str, str]]:
        """(key, URL) ascending; a key that several lines have comes once, with the first."""
        query = "SELECT key, url FROM urls WHERE key > ? AND key >= ? ORDER BY key, line"
        before = None
        for key, url in self._rows(query, (start_after, prefix)):
            if not key.startswith(prefix):
                return
            if key != before:
                yield key, url
            before = key

    def refusals(self) -> Iterator[Refusal]:
        """Lines that are no URL, then lines whose medium an earlier line has."""
        for line, kind, reason in self._rows("SELECT * FROM refused ORDER BY line", ()):
            yield Refusal(f"{self._name}:{line}", kind, reason)
        first = ("", "")
        for key, line, url in self._rows("SELECT key, line, url FROM urls ORDER BY key, line", ()):
            if key != first[0]:
                first = (key, line)
                continue
            yield Refusal(
                f"{self._name}:{line}",
                "duplicate-url",
                f"{self._name} line {line}: {safe_url(url)} is the medium of line {first[1]} "
                "again; remove one of the two",
            )

    def _add(self, rows: Iterable[Row]) -> None:
        taken, refused = [], []
        for line, text in rows:
            try:
                url = parse_url(text) if text else None
            except InputError as err:
                refused.append((line, "bad-url", f"{self._name} line {line}: {err}"))
                continue
            if url is None:
                reason = f"{self._name} line {line} has no URL; fill it in or remove it"
                refused.append((line, "bad-url", reason))
            else:
                taken.append((url.key, text.strip(), line))
        self._db.executemany("INSERT INTO urls VALUES (?, ?, ?)", taken)
        self._db.executemany("INSERT INTO refused VALUES (?, ?, ?)", refused)

    def _rows(self, query: str, values: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        db = self._connect()  # a cursor of its own: listing and look-ups may run side by side
        try:
            yield from db.execute(query, values)
        finally:
            db.close()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, check_same_thread=False)
        db.execute("PRAGMA cache_size = -8000")  # kB
        return db
