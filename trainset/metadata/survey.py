"""Which files of a folder are labels of its media: by content; tables when they resolve."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trainset.errors import InputError
from trainset.metadata.align.ladder import MediaIndex
from trainset.metadata.at_hand import at_hand
from trainset.metadata.base import Rejected
from trainset.metadata.formats.packing import unpacked
from trainset.metadata.labels.folders import is_folder_format
from trainset.metadata.labels.registry import FORMATS, LabelFormat
from trainset.metadata.layout import MEDIA, columns_of, plain_name
from trainset.metadata.reading import format_inside
from trainset.metadata.recognise import ASIDE, HEAD_BYTES, LATER, MORE_BYTES, recognise
from trainset.metadata.tabular import TABLES, TableFormat, read_plain
from trainset.spec import MatchMethod
from trainset.stores.base import ObjectInfo, ObjectStore

SAMPLE = 200  # records of a table that are looked at
WHOLE_BYTES = 2**29  # JSON above this size is not opened for a guess
_METHODS: tuple[MatchMethod, ...] = ("key", "path", "near", "filename", "sha256")


@dataclass(frozen=True)
class FoundLabels:
    """A label file that can be read: ``media_column`` for tables, ``about`` for a person."""

    path: str
    format: str
    media_column: str | None
    about: str


@dataclass(frozen=True)
class NotLabels:
    """A file that looks like labels or a table, and why it is not taken."""

    path: str
    kind: str  # a name in recognise.LATER or ASIDE, of a folder format, ``table``, or ``broken``
    why: str


def survey_file(
    store: ObjectStore, info: ObjectInfo, media: MediaIndex
) -> FoundLabels | NotLabels | None:
    """Look at one file; None when it is nothing like labels.

    Args:
        store: holds the file.
        info: the file, as the store lists it.
        media: what a table's values may name.
    """
    head = store.get(info.key, length=HEAD_BYTES)
    found = recognise(head, whole=len(head) >= info.size)
    if found.more:
        head = store.get(info.key, length=MORE_BYTES)
        found = recognise(head, whole=len(head) >= info.size)
    if found.format is None:
        return None
    if found.format in ASIDE:
        return NotLabels(info.key, found.format, ASIDE[found.format])
    if found.format in LATER:
        return NotLabels(info.key, found.format, f"{LATER[found.format]}: found, not read yet")
    known = FORMATS.get(found.format)
    if known and is_folder_format(known.name):
        why = f"{known.title}: name the folder in the spec to read it"
        return NotLabels(info.key, known.name, why)
    try:
        with at_hand(store, info) as path, unpacked(path, info.key) as plain:
            return _look(plain, format_inside(plain, found.format), info, store, media)
    except InputError as error:
        return NotLabels(info.key, "broken", str(error))


def _look(
    path: Path, found: str | None, info: ObjectInfo, store: ObjectStore, media: MediaIndex
) -> FoundLabels | NotLabels:
    known = FORMATS.get(found or "")
    if (known or found == "json") and path.stat().st_size > WHOLE_BYTES:
        return NotLabels(info.key, "broken", "too large for a guess; name it in the spec")
    if known:
        return _whole(path, info, known)
    return _table(path, info, TABLES[found or ""], media, store.uri(info.key))


def _whole(path: Path, info: ObjectInfo, format_: LabelFormat) -> FoundLabels:
    good = bad = 0
    for item in format_.read(path.read_bytes(), stream=info.key, place=info.key):
        bad, good = (bad + 1, good) if isinstance(item, Rejected) else (bad, good + 1)
    faults = f", {bad} that cannot be used" if bad else ""
    name = "COCO" if format_.name == "coco" else format_.title
    return FoundLabels(info.key, format_.name, None, f"{name}, {good} labels{faults}")


def _table(
    path: Path, info: ObjectInfo, format_: TableFormat, media: MediaIndex, uri: str
) -> FoundLabels | NotLabels:
    plain = read_plain(path, format_, stream=info.key, place=info.key)
    records = list(islice((item[1] for item in plain if not isinstance(item, Rejected)), SAMPLE))
    shares = {
        name: _share_that_resolves(name, values, media, uri)
        for name, values in columns_of(records).items()
    }
    column = max(shares, key=lambda n: (shares[n], -_rank(n)), default=None)
    if column is None or shares[column] < 0.5:
        closest = f" (the closest is {column!r}, {shares[column]:.0%})" if column else ""
        why = f"a table, but no column names media for half of its rows{closest}"
        return NotLabels(info.key, "table", why)
    about = f"{format_}, media named by {column!r} ({shares[column]:.0%} found here)"
    return FoundLabels(info.key, format_, column, about)


def _share_that_resolves(name: str, values: list[Any], media: MediaIndex, uri: str) -> float:
    """How many values of a column name media. A number does only where the name says so: row
    numbers would else meet the media that are called 1.jpg, 2.jpg …
    """
    texts = [value for value in values if isinstance(value, str)]
    named = plain_name(name.rpartition(".")[2]) in MEDIA
    if not texts or (not named and all(text.strip().isdecimal() for text in texts)):
        return 0.0
    found = sum(bool(media.resolve(t, _METHODS, label_uri=uri).candidates) for t in texts)
    return found / len(values)


def _rank(name: str) -> int:
    last = plain_name(name.rpartition(".")[2])
    return MEDIA.index(last) if last in MEDIA else len(MEDIA)
