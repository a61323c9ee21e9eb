"""Names of events: UUIDs of version 7, which sort by time, and are the same in every try."""

from __future__ import annotations

import hashlib

_VERSION, _VARIANT = 7 << 76, 2 << 62
_LOW_62 = 2**62 - 1


def event_id(run_id: str, seq: int, time_us: int) -> str:
    """The id of event ``seq`` of a run, by its time in µs since 1970.

    A step that is repeated must write the same bytes, so what is random elsewhere is a hash here;
    the 12 bits before it count, so that events of one millisecond keep their order.

    Source:
        RFC 9562, 5.7 (UUIDv7) and 6.2 (a counter in ``rand_a``).
    """
    seed = hashlib.sha256(f"{run_id}/{seq}".encode()).digest()
    low = int.from_bytes(seed[:8], "big") & _LOW_62
    milliseconds = time_us // 1000 & (2**48 - 1)
    text = f"{milliseconds << 80 | _VERSION | (seq & 0xFFF) << 64 | _VARIANT | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
