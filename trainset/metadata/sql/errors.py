"""Databases' errors as ours: what to do next, and no secret in the text."""

from __future__ import annotations

import re

from trainset.errors import AccessDenied, InputError, NotFound, TrainsetError, TransientError
from trainset.metadata.sql.connection import SqlConnection

# SQLSTATE classes: the first two characters say what kind of error it is.
_PASSING = ("08", "40", "53", "55", "57")
_DENIED_STATES = ("28", "42501")
_MISSING_STATES = ("3D000", "3F000", "42P01", "42703")
_DENIED = (
    "password authentication failed", "pg_hba.conf", "no password supplied", "access denied",
    "permission denied", 'role "',
)  # fmt: skip
_MISSING = ("no such table", "unable to open database file", "no such column")
_RESETS = (
    "could not connect", "connection refused", "server closed the connection", "timeout",
    "timed out", "terminating connection", "starting up", "shutting down", "database is locked",
    "connection reset", "too many clients", "could not translate host name", "no connection to",
)  # fmt: skip
_GONE = re.compile(r'(database|relation|column) ".*" does not exist')


def translated(err: Exception, connection: SqlConnection) -> TrainsetError:
    """The error a user reads; ``raise ... from None``: the vendor's text may hold the url."""
    if isinstance(err, TrainsetError):
        return err
    text = " ".join(connection.masked(str(err)).split())
    state = str(getattr(err, "sqlstate", None) or "")
    lower = text.lower()
    place = connection.place
    if state.startswith(_DENIED_STATES) or (not state and any(w in lower for w in _DENIED)):
        return AccessDenied(
            f"{place}: access denied: {text}; check user and password, and that this user has "
            "SELECT on the tables"
        )
    if state.startswith(_MISSING_STATES) or _GONE.search(text) or any(w in lower for w in _MISSING):
        return NotFound(f"{place}: {text}; check the names of database, tables and columns")
    if state.startswith(_PASSING) or any(word in lower for word in _RESETS):
        return TransientError(f"{place}: {text}; try again when the database can be reached")
    return InputError(f"{place}: the database refused: {text}; check the url and the options")
