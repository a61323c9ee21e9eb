"""Connections to PostgreSQL: a small pool, its errors as ours, no password in any text."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from trainset.errors import (
    AccessDenied,
    InputError,
    MissingExtra,
    NotFound,
    StoreFull,
    TrainsetError,
    TransientError,
)

try:
    import psycopg
    from psycopg import conninfo, errors
except ImportError as err:
    raise MissingExtra("a ledger in PostgreSQL", "sql") from err

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

_CONNECTIONS = 4  # of one ledger; threads wait for one
_TRIES = 4  # of a transaction that the server ended: a deadlock, a restart
_CONNECT_S = 10
_DENIED = ("password authentication failed", "pg_hba.conf", "no password supplied", 'role "')


class Session:
    """Short transactions on few connections; threads share it."""

    def __init__(self, url: str) -> None:
        self._params = _params(url)
        self.place = _place(self._params)
        self._idle: list[Connection] = []
        self._guard = threading.Lock()
        self._free = threading.BoundedSemaphore(_CONNECTIONS)

    def __repr__(self) -> str:
        return f"Session({self.place})"

    def run(self, work: Callable[[Connection], T]) -> T:
        """``work`` in one transaction, again when the server ended it for a passing reason.

        When the connection is lost at the very moment of a commit, ``work`` may be done twice:
        it must bear that (counts of tries may then be one too high).
        """
        for left in reversed(range(_TRIES)):
            try:
                with self.connection() as db, db.transaction():
                    return work(db)
            except TransientError:
                if not left:
                    raise
                time.sleep(0.02 * 4 ** (_TRIES - 1 - left))
        raise AssertionError("unreachable")

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection out of the pool, in autocommit; a broken one does not come back."""
        with self._free, _translated(self.place):
            with self._guard:
                db = self._idle.pop() if self._idle else None
            if db is None:
                db = psycopg.connect(**self._params, autocommit=True)
                db.prepare_threshold = None  # poolers between us and the server may not bear it
            try:
                yield db
            finally:
                if db.broken or db.closed or db.info.transaction_status != _AT_REST:
                    db.close()
                    with self._guard:  # a restart broke the others too
                        idle, self._idle = self._idle, []
                    for other in idle:
                        other.close()
                else:
                    with self._guard:
                        self._idle.append(db)

    def close(self) -> None:
        with self._guard:
            idle, self._idle = self._idle, []
        for db in idle:
            db.close()


_AT_REST = psycopg.pq.TransactionStatus.IDLE


def _params(url: str) -> dict[str, Any]:
    try:
        params = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        # Not the vendor's text, nor "from err": it quotes pieces of the url, the password too.
        raise InputError(
            "the ledger's url cannot be read; write postgresql://user:password@host:5432/database "
            "and put % codes for special characters (@ is %40, / is %2F)"
        ) from None
    defaults = {"connect_timeout": _CONNECT_S, "application_name": "trainset"}
    return {**defaults, **params, "client_encoding": "UTF8"}


def _place(params: dict[str, Any]) -> str:
    """For people; never with the password."""
    host = f"{params.get('host', 'localhost')}:{params.get('port', 5432)}"
    return f"postgresql://{host}/{params.get('dbname') or params.get('user', '')}"


@contextmanager
def _translated(place: str) -> Iterator[None]:
    """psycopg's errors as ours."""
    try:
        yield
    except psycopg.Error as err:
        raise _ours(err, place) from err


def _ours(err: psycopg.Error, place: str) -> TrainsetError:
    text = " ".join(str(err).split()) or type(err).__name__
    said = f"the ledger at {place}: {text}"
    if isinstance(err, errors.DiskFull):
        return StoreFull(f"{said}; make room in the database and run again")
    if isinstance(err, errors.InsufficientPrivilege) or (
        err.sqlstate is None and any(word in text for word in _DENIED)
    ):
        return AccessDenied(f"{said}; check user and password, and let the user create a schema")
    if err.sqlstate is None and "database" in text and "does not exist" in text:
        return NotFound(f"{said}; make the database, or mend the url")
    if isinstance(err, errors.ReadOnlySqlTransaction):
        return InputError(f"{said}; name the primary server in the url, not a standby")
    if isinstance(err, psycopg.OperationalError | psycopg.InterfaceError):
        return TransientError(f"{said}; try again, or look at the server")
    return InputError(f"{said}; this version of trainset does not fit what is in the database")
