"""Records of a table as label records: one each, or one for each object or name in it.

Known shapes: columns that name a class, a text, a score, a box; lists of objects as FiftyOne
(``detections`` with boxes as fractions) and Hugging Face (``objects`` as a dict of lists) write
them. What has no meaning of its own is kept in ``attributes``, nested as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trainset.metadata.base import Rejected
from trainset.metadata.formats.chunks import Chunk, Data, Rows, TableFormat
from trainset.metadata.formats.table_file import TableFile
from trainset.metadata.layout import (
    CLASS,
    OBJECTS,
    SCORE,
    TEXT,
    Fields,
    Layout,
    box_values,
    find_box,
    find_named,
    get,
    plain_name,
)
from trainset.metadata.meaning import Meaning, find_meaning
from trainset.metadata.records import (
    BadRecord,
    NameRecords,
    Record,
    box,
    number,
    numbers,
    record,
    rejected,
)
from trainset.metadata.units import are_fractions


def read_table(
    data: Data, format_: TableFormat, *, stream: str, place: str, media_column: str | None = None
) -> Iterator[Record | Rejected]:
    """Records of one table file.

    Boxes are in pixels; when all boxes of a file lie within the unit square, they are fractions,
    and become pixels where the record says the image's size, else ``geometry`` holds them as
    ``{"bbox_fraction": [x, y, w, h]}`` until alignment knows the size.

    Args:
        data: the whole file, or where it lies.
        stream: name for the rejected.
        place: the file, for messages.
        media_column: the field that names the medium (dotted to reach inside); None: found.
    Raises:
        InputError: the file as a whole cannot be read, or no field names a medium.
    """
    table = TableFile(data, format_, stream=stream, place=place)
    meaning = find_meaning(table, media=media_column, unroll=unrolled)
    names = NameRecords()
    for chunk in table:
        yield from chunk.rejected
        for item in label_records(chunk, meaning, stream) if meaning else ():
            yield item if isinstance(item, Rejected) else names.name(item)


def label_rows(
    plain: Sequence[tuple[str, Fields]], layout: Layout, *, stream: str
) -> Iterator[Record | Rejected]:
    """Records of all rows of a file or table at hand: each with where it stands, and its fields."""
    rows = Rows([where for where, _ in plain], [unrolled(fields) for _, fields in plain])
    meaning = Meaning(layout, are_fractions(rows.fields(), layout))
    names = NameRecords()
    for item in label_records(rows, meaning, stream):
        yield item if isinstance(item, Rejected) else names.name(item)


def label_records(chunk: Chunk, meaning: Meaning, stream: str) -> Iterator[Record | Rejected]:
    """Label records of some records of a table; those without an id have no name yet."""
    for i, fields in enumerate(map(unrolled, chunk.fields())):
        where = chunk.where(i)
        try:
            for part, found in _labels(fields, meaning.layout, meaning.fractions):
                if isinstance(found, BadRecord):
                    yield rejected(stream, where + part, found, fields)
                else:
                    yield found
        except BadRecord as fault:
            yield rejected(stream, where, fault, fields)


def _labels(
    fields: Fields, layout: Layout, fractions: bool
) -> Iterator[tuple[str, Record | BadRecord]]:
    """The labels of one record; with several, a bad one does not spoil the others."""
    ref = get(fields, layout.media)
    if ref is None or isinstance(ref, (dict, list)):
        raise BadRecord("no-media-ref", f"{layout.media} is {str(ref)[:60]!r}, not one medium")
    size = _image_size(fields, layout)
    class_ = get(fields, layout.class_) if layout.class_ else None
    text = get(fields, layout.text) if layout.text else None
    if layout.objects:
        rest = _without(fields, (layout.media, layout.objects))
        objects = get(fields, layout.objects)
        yield from _objects(objects, str(ref), layout, size, fractions, rest)
        if objects is not None and not class_ and not text:
            return
    rest = _without(fields, layout.taken)
    if layout.objects and get(fields, layout.objects) is None:
        rest[layout.objects] = None  # never labelled, as the record itself says
    values = box_values(fields, layout.box) if layout.box else None
    score = get(fields, layout.score) if layout.score else None
    record_id = get(fields, layout.record_id) if layout.record_id else None
    if class_ == [] and text is None and values is None:
        yield "", record(None, str(ref), "empty", attributes=rest)
        return
    pairs = [(c, t) for c in _words(class_) for t in _words(text)]
    for i, (one_class, one_text) in enumerate(pairs):
        name = None if record_id is None else str(record_id)
        yield (
            "",
            _label(
                name if name is None or len(pairs) == 1 else f"{name}.{i}",
                str(ref),
                class_=one_class,
                text=one_text,
                score=score,
                values=values,
                corners=bool(layout.box and layout.box.corners),
                size=size,
                fractions=fractions,
                attributes=rest,
            ),
        )


def _objects(
    objects: Any,
    ref: str,
    layout: Layout,
    size: tuple[float, float] | None,
    fractions: bool,
    rest: Fields,
) -> Iterator[tuple[str, Record | BadRecord]]:
    if objects is None:
        return
    if not isinstance(objects, list) or not all(isinstance(o, dict) for o in objects):
        raise BadRecord("bad-record", f"{layout.objects} is not a list of objects")
    if not objects:
        yield "", record(None, ref, "empty", attributes=rest)
    for i, item in enumerate(objects):
        try:
            found: Record | BadRecord = _object(item, ref, layout, size, fractions, rest)
        except BadRecord as fault:
            found = fault
        yield f" {layout.objects}[{i}]", found


def _object(
    item: Fields,
    ref: str,
    layout: Layout,
    size: tuple[float, float] | None,
    fractions: bool,
    rest: Fields,
) -> Record:
    place = find_box(item)
    class_, text, score = (find_named(item, names) for names in (CLASS, TEXT, SCORE))
    taken = tuple(n for n in (class_, text, score) if n) + (place.fields if place else ())
    attributes = {**_without(item, taken), "field": layout.objects}
    if rest:
        attributes["record"] = rest
    return _label(
        None,
        ref,
        class_=_word(get(item, class_) if class_ else None),
        text=_word(get(item, text) if text else None),
        score=get(item, score) if score else None,
        values=box_values(item, place) if place else None,
        corners=bool(place and place.corners),
        size=size,
        fractions=fractions,
        attributes=attributes,
    )


def _label(
    record_id: str | None,
    ref: str,
    *,
    class_: str | None,
    text: str | None,
    score: Any,
    values: Sequence[Any] | None,
    corners: bool,
    size: tuple[float, float] | None,
    fractions: bool,
    attributes: Fields,
) -> Record:
    bbox, geometry = None, None
    if values is not None:
        if corners:
            x1, y1, x2, y2 = numbers(list(values), "box corners")
            values = [x1, y1, x2 - x1, y2 - y1]
        bbox = box(list(values))
        if fractions and size is None:
            bbox, geometry = None, {"bbox_fraction": bbox}
        elif fractions and size is not None:
            bbox = [v * size[i % 2] for i, v in enumerate(bbox)]
    kind = "box" if values is not None else "caption" if text else "class" if class_ else "record"
    return record(
        record_id,
        ref,
        kind,
        class_=class_,
        bbox=bbox,
        geometry=geometry,
        text=text,
        score=None if score is None else number(score, "score"),
        attributes=attributes,
    )


def unrolled(fields: Fields) -> Fields:
    """``objects`` as a dict of equally long lists (Hugging Face) made a list of objects."""
    for name, value in fields.items():
        if plain_name(name) not in OBJECTS or not isinstance(value, dict):
            continue
        lists = {k: v for k, v in value.items() if isinstance(v, list)}
        lengths = {len(v) for v in lists.values()}
        if len(lengths) == 1 and len(lists) == len(value) and find_box(value):
            objects = [{k: v[i] for k, v in lists.items()} for i in range(lengths.pop())]
            return {**fields, name: objects}
    return fields


def _image_size(fields: Fields, layout: Layout) -> tuple[float, float] | None:
    if layout.size is None or any(get(fields, name) is None for name in layout.size):
        return None
    width, height = (number(get(fields, name), name) for name in layout.size)
    return (width, height) if width > 0 and height > 0 else None


def _without(fields: Fields, taken: Sequence[str]) -> Fields:
    """The fields that are left; objects left empty and empty cells are left out."""
    left: Fields = {}
    for name, value in fields.items():
        inner = [t[len(name) + 1 :] for t in taken if t.startswith(name + ".")]
        if inner and isinstance(value, dict):
            value = _without(value, inner)
            if not value:
                continue
        if name not in taken and value != "":
            left[name] = value
    return left


def _words(value: Any) -> list[str | None]:
    """A name, or several, as texts; never an empty list."""
    return [_word(v) for v in value] or [None] if isinstance(value, list) else [_word(value)]


def _word(value: Any) -> str | None:
    if isinstance(value, (dict, list)):
        raise BadRecord("bad-record", f"{str(value)[:60]!r} stands where a name should")
    return None if value is None else str(value)
