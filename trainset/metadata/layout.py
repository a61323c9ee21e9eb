"""Which field of a table of records means what: decided once a file, from its names and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainset.errors import InputError
from trainset.metadata.names import looks_like_media
from trainset.metadata.records import BadRecord, load_json, number

Fields = dict[str, Any]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Names are compared in lower case without punctuation; what stands first is preferred.
MEDIA = _names(
    "filename file filepath path imagepath imagefile imagefilename imagename image img imgpath "
    "imageurl imageid mediapath media mediakey key audiopath audiofile audio videopath videofile "
    "video documentpath document pdf url uri source fileupload sha256"
)
CLASS = _names("class label category classname categoryname labelname classes labels categories")
TEXT = _names("caption text transcript transcription sentence captions texts description")
SCORE = _names("score confidence probability")
IDS = _names("recordid annotationid id uuid")
BOX = _names("bbox box boundingbox bboxxywh xywh")
CORNER_BOX = _names("bboxxyxy xyxy")
BOX_PARTS = (
    ("x y w h", False),
    ("x y width height", False),
    ("bboxx bboxy bboxw bboxh", False),
    ("bboxx bboxy bboxwidth bboxheight", False),
    ("left top width height", False),
    ("xmin ymin xmax ymax", True),
    ("bboxxmin bboxymin bboxxmax bboxymax", True),
    ("x1 y1 x2 y2", True),
    ("left top right bottom", True),
)
SIZES = ("metadata.width metadata.height", "imagewidth imageheight", "width height")
OBJECTS = _names("detections objects annotations boxes instances bboxes")


@dataclass(frozen=True)
class Box:
    """Where a box stands: one field with four numbers, or four fields."""

    fields: tuple[str, ...]
    corners: bool  # x1, y1, x2, y2 instead of x, y, width, height


@dataclass(frozen=True)
class Layout:
    """What the fields of one file mean; None where there is no such field."""

    media: str
    record_id: str | None = None
    class_: str | None = None
    text: str | None = None
    score: str | None = None
    box: Box | None = None
    size: tuple[str, str] | None = None
    objects: str | None = None  # a list of objects on one medium, one label each

    @property
    def taken(self) -> tuple[str, ...]:
        """Fields that have a column of their own in the table; the rest are attributes."""
        named = (self.media, self.record_id, self.class_, self.text, self.score, self.objects)
        return tuple(n for n in named if n) + (self.box.fields if self.box else ())


def plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def get(fields: Fields, name: str) -> Any:
    """A field by name; a dotted name also reaches into objects. None when empty or not there."""
    value = fields.get(name)
    if value is None and "." in name:
        head, _, rest = name.partition(".")
        inner = fields.get(head)
        value = get(inner, rest) if isinstance(inner, dict) else None
    return None if value == "" else value


def leaves(fields: Fields, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Field names, those of objects inside as dotted names, with their values."""
    for name, value in fields.items():
        if isinstance(value, dict) and prefix.count(".") < 2:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def find_layout(records: Sequence[Fields], *, media: str | None, place: str) -> Layout:
    """The layout of one file's records.

    Args:
        records: all of them, for only unique ids are ids.
        media: the field that names the medium; None: found by values, then by name.
        place: the file, for messages.
    Raises:
        InputError: no field names a medium.
    """
    columns = columns_of(records[:1000])
    media = _media_field(columns, records, media, place)
    others = {n: v for n, v in columns.items() if n != media}
    objects = next((n for n in others if _is_objects(n, others[n])), None)
    if objects:  # what stands inside the objects is theirs
        others = {n: v for n, v in others.items() if not n.startswith(objects + ".")}
    box = _box(others)
    record_id = _named(others, IDS, _is_scalar)
    if record_id and len({str(get(r, record_id)) for r in records}) < len(records):
        record_id = None
    return Layout(
        media=media,
        record_id=record_id,
        class_=_named(others, CLASS, _is_words),
        text=_named(others, TEXT, _is_words),
        score=_named(others, SCORE, _is_number),
        box=box,
        size=_size(others, box),
        objects=objects,
    )


def columns_of(records: Sequence[Fields]) -> dict[str, list[Any]]:
    """Non-empty values by (dotted) field name."""
    columns: dict[str, list[Any]] = {}
    for fields in records:
        for name, value in leaves(fields):
            values = columns.setdefault(name, [])
            if value not in (None, ""):
                values.append(value)
    return columns


def box_values(fields: Fields, box: Box) -> list[Any] | None:
    """The four values of a box as found, None when the record has none. Raises BadRecord."""
    found = [get(fields, name) for name in box.fields]
    if all(value is None for value in found):
        return None
    if len(found) == 4:
        return found
    value = found[0]
    if isinstance(value, str):  # a CSV cell: [1,2,3,4] or 1 2 3 4
        try:
            value = load_json(value)
        except ValueError:
            value = [part for part in re.split(r"[\s,;]+", value.strip("[]() ")) if part]
    if not isinstance(value, list) or len(value) != 4:
        raise BadRecord("bad-geometry", f"{box.fields[0]} is {str(value)[:60]!r}, a box has 4")
    return value


def find_box(fields: Fields) -> Box | None:
    """The box of one object by its names alone."""
    return _box({name: [value] for name, value in fields.items()})


def find_named(fields: Fields, names: Sequence[str]) -> str | None:
    """The field of one object that bears one of the names."""
    return _named({name: [value] for name, value in fields.items()}, names, _is_scalar)


def _media_field(
    columns: dict[str, list[Any]], records: Sequence[Fields], media: str | None, place: str
) -> str:
    if media is not None:
        if records and all(get(fields, media) is None for fields in records):
            raise InputError(
                f"{place}: no record has the media_column {media!r}; the columns are "
                f"{', '.join(sorted(columns)) or '(none)'}"
            )
        return media

    def rank(name: str) -> tuple[float, int]:
        values = columns[name]
        share = sum(map(looks_like_media, values)) / len(values) if values else 0.0
        last = plain_name(name.rpartition(".")[2])
        place_in_list = MEDIA.index(last) if last in MEDIA and _share(values, _is_scalar) else 999
        return (share if share >= 0.5 else 0.0, -place_in_list)

    best = max(columns, key=rank, default=None)
    if best is None or rank(best) == (0.0, -999):
        raise InputError(
            f"{place}: no column names a medium (columns: {', '.join(sorted(columns)) or 'none'}); "
            "say media_column in the spec"
        )
    return best


def _named(
    columns: dict[str, list[Any]], names: Sequence[str], fits: Callable[[Any], bool]
) -> str | None:
    """The column whose name (or last dotted part) stands first in ``names``, if values fit."""
    found = {
        name: plain_name(name.rpartition(".")[2])
        for name, values in columns.items()
        if _share(values, fits) >= 0.5
    }
    ranked = [name for name in found if found[name] in names]
    return min(ranked, key=lambda n: (names.index(found[n]), n.count(".")), default=None)


def _box(columns: dict[str, list[Any]]) -> Box | None:
    by_name = {plain_name(name): name for name in reversed(columns)}
    for name in (*BOX, *CORNER_BOX):
        if name in by_name:
            return Box((by_name[name],), name in CORNER_BOX)
    for parts, corners in BOX_PARTS:
        if all(part in by_name for part in parts.split()):
            return Box(tuple(by_name[part] for part in parts.split()), corners)
    return None


def _size(columns: dict[str, list[Any]], box: Box | None) -> tuple[str, str] | None:
    free = {
        ".".join(map(plain_name, name.split("."))): name
        for name in columns
        if not box or name not in box.fields
    }
    for pair in SIZES:
        width, height = pair.split()
        if width in free and height in free:
            return free[width], free[height]
    return None


def _is_objects(name: str, values: list[Any]) -> bool:
    return plain_name(name.rpartition(".")[2]) in OBJECTS and any(
        isinstance(v, list) and all(isinstance(o, dict) for o in v) for v in values
    )


def _share(values: list[Any], fits: Callable[[Any], bool]) -> float:
    return sum(map(fits, values)) / len(values) if values else 0.0


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _is_words(value: Any) -> bool:
    return _is_scalar(value) or (isinstance(value, list) and all(map(_is_scalar, value)))


def _is_number(value: Any) -> bool:
    try:
        number(value, "")
    except BadRecord:
        return False
    return True
