"""The shape of one label record, shared by every reader, and the checks its values must pass.

A *record* here is one row to be: an ``annotations`` row before alignment. Readers yield records as
plain dicts made by ``record``, or ``Rejected`` for what they could not use.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

import pyarrow as pa

from trainset.identity import canonical_json, hash64_hex
from trainset.metadata.base import Rejected
from trainset.tables.schema import ANNOTATIONS

Record = dict[str, Any]

FILLED_BY_ALIGNMENT = ("row_id", "media_id", "media_key", "match", "row_fp")
RECORDS = pa.schema([f for f in ANNOTATIONS if f.name not in FILLED_BY_ALIGNMENT])
QUARANTINE = pa.schema(
    [(name, pa.string()) for name in ("stream", "record", "kind", "reason", "original")]
)


_NO_NUMBERS = frozenset((bool,))  # though ``float`` takes them


class BadRecord(ValueError):
    """One record breaks a rule; the reader turns it into ``Rejected`` and goes on."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(reason)


def record(
    record_id: str | None,
    media_ref: str,
    kind: str,
    *,
    class_: str | None = None,
    bbox: Sequence[float] | None = None,
    geometry: Any = None,
    text: str | None = None,
    score: float | None = None,
    attributes: dict[str, Any] | None = None,
) -> Record:
    """One record; ``record_id`` None is filled in by ``NameRecords``; JSON values are encoded.

    Raises:
        BadRecord: a text holds half a character (JSON can say so, UTF-8 cannot).
    """
    try:
        for value in (record_id, media_ref, class_, text):
            if value and not value.isascii():
                value.encode()
        return {
            "record_id": record_id,
            "media_ref": media_ref,
            "kind": kind,
            "class": class_,
            "bbox": None if bbox is None else [*map(float, bbox)],
            "geometry": None if geometry is None else canonical_json(geometry).decode(),
            "text": text,
            "score": score,
            "attributes": canonical_json(attributes).decode() if attributes else None,
        }
    except UnicodeEncodeError:
        raise BadRecord("encoding", "a text is not valid Unicode; write it as UTF-8") from None


def rejected(stream: str, where: str, fault: BadRecord, original: Any) -> Rejected:
    """``Rejected`` for one record; ``original`` is kept as found, or as JSON when not a text."""
    if isinstance(original, str):
        kept = original.encode("utf-8", "backslashreplace").decode()
    else:
        kept = json.dumps(original)  # ASCII, so that broken texts can be kept too
    return Rejected(
        stream=stream, record=where, kind=fault.kind, reason=fault.reason, original=kept
    )


class NameRecords:
    """Gives records of one stream unique ids that do not depend on their position.

    A record without an id of its own is named by a hash of its content, so that a line put in at
    the top of a file does not make every row below it a new row. An id met again gets ``~2``,
    ``~3`` …: two labels under one id are two labels.
    """

    def __init__(self) -> None:
        self._met: dict[str, int] = {}

    def name(self, row: Record) -> Record:
        base = row["record_id"]
        if base is None:
            base = hash64_hex(row)
        times = self._met[base] = self._met.get(base, 0) + 1
        row["record_id"] = base if times == 1 else f"{base}~{times}"
        return row


def to_table(rows: Iterable[Record], *, source: str, stream: str) -> pa.Table:
    """Records as Arrow, in the schema ``RECORDS``."""
    rows = list(rows)
    same = {"source": source, "stream": stream}
    columns = [
        pa.repeat(pa.scalar(same[name], kind), len(rows))
        if name in same
        else pa.array([*map(itemgetter(name), rows)], kind)
        for name, kind in zip(RECORDS.names, RECORDS.types, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=RECORDS)


def load_json(text: str | bytes) -> Any:
    """Parse JSON; NaN and infinities, which JSON has not, become the strings they were.

    Raises:
        ValueError: not JSON, or nested deeper than can be read.
    """
    try:
        return json.loads(text, parse_constant=str)
    except RecursionError as err:
        raise ValueError("nested too deeply to be read") from err


def number(value: Any, what: str, *, fault: str = "bad-value") -> float:
    """A finite number out of a JSON value or a CSV cell. Raises BadRecord of kind ``fault``."""
    if value.__class__ is float and math.isfinite(value):
        return value
    if isinstance(value, bool) or value is None:
        raise BadRecord(fault, f"{what} is {value!r}, not a number")
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadRecord(fault, f"{what} is {str(value)[:60]!r}, not a number") from None
    if not math.isfinite(found):
        raise BadRecord(fault, f"{what} is {value!r}, not a finite number")
    return found


def numbers(values: Any, what: str | Sequence[str]) -> list[float]:
    """A list of finite numbers; ``what`` names all of them, or each. Raises BadRecord."""
    if not isinstance(values, (list, tuple)):
        raise BadRecord("bad-geometry", f"{what} is {str(values)[:60]!r}, not a list of numbers")
    try:
        found = [*map(float, values)]
        if math.isfinite(sum(found)) and _NO_NUMBERS.isdisjoint(map(type, values)):
            return found
    except (TypeError, ValueError, OverflowError):
        pass  # ``number`` says which
    each = repeat(what, len(values)) if isinstance(what, str) else what
    return [number(v, w, fault="bad-geometry") for v, w in zip(values, each, strict=True)]


def box(values: Any, what: str = "bbox") -> list[float]:
    """``[x, y, width, height]``; zero sizes pass (alignment reports them). Raises BadRecord."""
    return sized(numbers(values, what), what)


def sized(found: list[float], what: str = "bbox") -> list[float]:
    """As ``box``, of numbers that are finite already."""
    if len(found) != 4:
        raise BadRecord("bad-geometry", f"{what} has {len(found)} numbers, a box has 4")
    if found[2] < 0 or found[3] < 0:
        raise BadRecord("bad-geometry", f"{what} has a negative size ({found[2]:g} x {found[3]:g})")
    return found
