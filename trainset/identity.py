"""Hashes that name things: row ids, row fingerprints, cell sources, function ids.

All are BLAKE2b over canonical JSON, so that they are the same on every machine and Python version.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson


def canonical_json(value: Any) -> bytes:
    """Encode ``value`` with sorted keys and no white space; times as ISO 8601, bytes as hex."""
    try:
        found = orjson.dumps(value, option=_FAST)
    except TypeError:  # times, bytes, long integers: what JSON has not
        return _ENCODER.encode(value).encode()
    # The form of ``json`` stays for ever; orjson's differs in numbers that are or may be written
    # with an exponent (1e16 for 1e+16), and in NaN and infinities, which are null.
    if not _is_usual(value) and (
        (b"0.0000" in found and any(_is_number(found, m.start() + 1) for m in _SMALL(found)))
        or (b"e" in found and any(_is_number(found, m.start()) for m in _EXPONENTS(found)))
        or (b"u" in found and b"null" in found and _holds_no_number(value))  # one byte: fast
    ):
        return _ENCODER.encode(value).encode()
    return found


def _is_usual(value: Any) -> bool:
    """Whether no number of a small value is odd; many numbers are faster looked at as text."""
    kind = value.__class__
    if kind is list and len(value) > _FEW:
        return False
    for item in value.values() if kind is dict else value if kind is list else (value,):
        kind = item.__class__
        if kind is float:
            if not (_LEAST <= item < _MOST or _LEAST <= -item < _MOST or item == 0):
                return False
        elif kind is list or kind is dict:
            if not _is_usual(item):
                return False
        elif not (kind is str or kind is int or item is None or kind is bool):
            return False
    return True


def _is_number(text: bytes, end: int) -> bool:
    """Whether a number of compact JSON, and not a part of a string, may stand before ``end``."""
    start = end
    while start and text[start - 1] in b"0123456789.-":
        start -= 1
    return start == 0 or text[start - 1] in b"[,:"


def _holds_no_number(value: Any) -> bool:
    """Whether NaN or an infinity is in it."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return False
    return any(_holds_no_number(v) for v in value if v is not None and v.__class__ is not str)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no canonical form")


_LEAST, _MOST = 1e-4, 1e16  # numbers between are never written with an exponent
_FEW = 8
_FAST = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
)
_SMALL = re.compile(rb"0(?<![0-9]0)\.0000").finditer
_EXPONENTS = re.compile(rb"e(?<=[0-9]e)[-0-9]").finditer
# Made once: ``json.dumps`` makes one a call, which costs more than hashing a key.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
)


def hash128(value: Any) -> str:
    """128-bit hash of a JSON-like value, as 32 hex digits."""
    return hashlib.blake2b(canonical_json(value), digest_size=16).hexdigest()


def hash64(value: Any) -> int:
    """64-bit hash of a JSON-like value, as an unsigned integer."""
    return int(hash64_hex(value), 16)


def hash64_hex(value: Any) -> str:
    """``hash64`` as 16 hex digits."""
    return hashlib.blake2b(canonical_json(value), digest_size=8).hexdigest()


def row_id(key: str) -> str:
    """The row id of a key: 32 hex digits, the same in every table and on every branch."""
    return hash128(key)


def row_fingerprint(row: Mapping[str, Any], columns: Iterable[str]) -> int:
    """``row_fp``: 64-bit hash of the named columns of one row; nulls count, order does not."""
    return hash64({name: row.get(name) for name in columns})
