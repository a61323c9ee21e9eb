"""The ``result`` list of one Label Studio annotation or prediction, as records.

Items under one id are one region: its shape, its labels, its transcription and the answers to
questions about it. Items without a shape answer for the whole medium. Relations become attributes
of the region that they start from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from trainset.metadata.labels.label_studio_shapes import Shape, shapes_of
from trainset.metadata.records import BadRecord, Record, number, record

Item = dict[str, Any]
Found = tuple[str, Record | BadRecord, Any]  # where, what, its original

_GEOMETRY = frozenset(  # of a region; items about it repeat them
    (
        *("x", "y", "width", "height", "rotation", "points", "closed", "radiusX", "radiusY"),
        *("rle", "start", "end", "sequence", "vertices", "channel", "framesCount", "duration"),
        "format",
    )
)
_NO_NAMES = frozenset((dict, list, type(None)))
_SIDES = (("original_width", "image_width"), ("original_height", "image_height"))
_TOLD = frozenset(("text", "choices"))  # of a region's value, elsewhere
_TAKEN = frozenset(("id", "type", "value", "original_width", "original_height", "score"))


@dataclass(frozen=True)
class Context:
    """What all records of one annotation share.

    Attributes:
        ref_of: the medium that an item is about; raises BadRecord.
        name: goes before the region's id in the record id.
        facts: attributes of every record.
        score: of the whole prediction; a region's own is preferred.
        predicted: a model said it: kind ``prediction``, what it would be in ``shape``.
    """

    ref_of: Callable[[Item], str]
    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    score: Any = None
    predicted: bool = False

    def record(
        self,
        part: str,
        item: Item,
        kind: str,
        facts: dict[str, Any],
        *,
        class_: str | None = None,
        bbox: list[float] | None = None,
        geometry: dict[str, Any] | None = None,
        text: str | None = None,
    ) -> Record:
        """One record; ``facts`` are added to the shared ones."""
        score = item.get("score", self.score)
        attributes = self.facts | facts
        if self.predicted:
            kind, attributes["shape"] = "prediction", kind
        return record(
            f"{self.name}-{part}",
            self.ref_of(item),
            kind,
            class_=class_,
            bbox=bbox,
            geometry=geometry,
            text=text,
            score=None if score is None else number(score, "score"),
            attributes=attributes,
        )


def read_results(where: str, results: Any, context: Context) -> Iterator[Found]:
    """Records of one ``result`` list, each with its place in it; bad regions with their items.

    Args:
        where: the annotation's place.
    """
    if not isinstance(results, list):
        yield where, BadRecord("bad-record", "'result' is not a list"), results
        return
    regions: dict[str, list[Item]] = {}
    relations: dict[str, list[Item]] = {}
    for i, item in enumerate(results):
        if not isinstance(item, dict):
            fault = BadRecord("bad-record", f"a result is {type(item).__name__}, not an object")
            yield f"{where}.result[{i}]", fault, item
        elif item.get("type") == "relation":
            relations.setdefault(str(item.get("from_id")), []).append(item)
        else:
            regions.setdefault(str(item.get("id") or f"#{i}"), []).append(item)
    for region, items in regions.items():
        linked = [_relation(item) for item in relations.pop(region)] if region in relations else []
        here = f"{where}.result[{region}]"
        try:
            rows = [*_region(region, items, {"relations": linked} if linked else {}, context)]
        except BadRecord as fault:
            yield here, fault, [*items, *linked]
        else:
            for row in rows:
                yield here, row, items
    for region, loose in relations.items():
        lost = BadRecord("bad-relation", f"it starts from region {region!r}, which is not here")
        yield from ((f"{where}.result", lost, item) for item in loose)


def _region(
    region: str, items: list[Item], facts: dict[str, Any], context: Context
) -> Iterator[Record]:
    for item in items:
        if shapes := shapes_of(item):
            break
    else:
        for i, item in enumerate(items):
            part = region if i == 0 else f"{region}.{item.get('from_name', i)}"
            yield from _answer(part, item, facts, context)
        return
    classes: list[str] = []
    texts: list[str] = []
    answers: dict[str, Any] = {}
    for one in items:
        value = one.get("value")
        value = value if isinstance(value, dict) else {}
        labels = _labels(one, value)
        classes += [c for c in labels if c not in classes] if classes else labels
        texts += _texts(one, value)
        if (answer := _plain_answer(one, value)) is not None:
            answers[str(one.get("from_name", one.get("type")))] = answer
    if not classes and len(chosen := _chosen(items)) == 1:
        classes = chosen
    shared = facts | _rest(item, shapes[0])
    if answers:
        shared["answers"] = answers
    text = "\n".join(texts) if texts else None
    for n, shape in enumerate(shapes):
        for c, class_ in enumerate(classes or [None]):
            part = region if len(shapes) == 1 else f"{region}@{n}"
            part = part if len(classes) < 2 else f"{part}.{c}"
            yield context.record(
                part,
                item,
                "caption" if text and shape.kind == "class" and not class_ else shape.kind,
                {**shared, **(shape.facts or {}), "region": region},
                class_=class_,
                bbox=shape.bbox,
                geometry=shape.geometry,
                text=text,
            )


def _answer(part: str, item: Item, facts: dict[str, Any], context: Context) -> Iterator[Record]:
    """An item about the whole medium: classes, texts, or anything else as a plain record."""
    value = item.get("value")
    if not isinstance(value, dict):
        raise BadRecord("bad-record", "a result has no 'value'")
    facts = {**facts, **_rest(item, None)}
    classes, texts = _chosen([item]) or _labels(item, value), _texts(item, value)
    if not classes and not texts:
        yield context.record(part, item, "record", {**facts, "answer": value})
    for i, word in enumerate(classes):
        one = part if len(classes) == 1 else f"{part}.{i}"
        yield context.record(one, item, "class", facts, class_=word)
    for i, word in enumerate(texts):
        one = part if len(texts) == 1 else f"{part}.{i}"
        yield context.record(one, item, "caption", facts, text=word)


def _labels(item: Item, value: dict[str, Any]) -> list[str]:
    """What ``…labels`` controls say; a control's own name is tried first."""
    kind = str(item.get("type"))
    if kind.endswith("labels") and kind in value:
        return _names(value[kind], kind)
    for name in value:
        if name.endswith("labels"):
            return _names(value[name], name)
    return []


def _chosen(items: list[Item]) -> list[str]:
    """Classes chosen outside of labels: choices by name, taxonomy by path."""
    found: list[str] = []
    for item in items:
        value = item.get("value")
        if isinstance(value, dict):
            found += _names(value.get("choices") or [], "choices")
            paths = value.get("taxonomy") or []
            if not isinstance(paths, list):
                raise BadRecord("bad-record", "'taxonomy' is not a list of paths")
            found += ["/".join(_names(path, "a path of the taxonomy")) for path in paths]
    return found


def _texts(item: Item, value: dict[str, Any]) -> list[str]:
    said = value.get("text")
    if item.get("type") == "textarea" or (said is not None and "start" in value):
        return _names(said if isinstance(said, list) else [said], "text")
    return []


def _plain_answer(item: Item, value: dict[str, Any]) -> Any:
    """What an item of a region says besides shape, labels and text; None when nothing."""
    if _draws(item):
        return None
    left = {
        k: v
        for k, v in value.items()
        if k not in _GEOMETRY and k != "text" and not k.endswith("labels")
    }
    return (next(iter(left.values())) if len(left) == 1 else left) if left else None


_DRAWING = frozenset(
    (
        *("rectangle", "polygon", "ellipse", "brush", "keypoint", "bitmask", "vector"),
        *("videorectangle", "textarea"),
    )
)


def _draws(item: Item) -> bool:
    """Whether an item's control draws, so that its odd fields are its shape's."""
    return _is_drawn(str(item.get("type", "")))


@lru_cache(maxsize=64)
def _is_drawn(kind: str) -> bool:
    return kind.endswith("labels") or kind in _DRAWING


def _names(values: Any, what: str) -> list[str]:
    values = [values] if isinstance(values, str) else values
    if not isinstance(values, list) or not _NO_NAMES.isdisjoint(map(type, values)):
        raise BadRecord("bad-record", f"{what} is {str(values)[:60]!r}, not a list of names")
    return [*map(str, values)]


def _relation(item: Item) -> Item:
    left = {k: v for k, v in item.items() if k not in ("type", "from_id")}
    return {k: v for k, v in left.items() if v not in (None, [], "")}


def _rest(item: Item, shape: Shape | None) -> dict[str, Any]:
    """What an item holds besides what has a column of its own."""
    rest = {k: v for k, v in item.items() if v and k not in _TAKEN}
    for side, name in _SIDES:
        if (pixels := item.get(side)) is not None:
            rest[name] = pixels
    if shape is not None and isinstance(item.get("value"), dict):
        more = item["value"].keys() - shape.taken - _TOLD
        left = {k: item["value"][k] for k in more if not k.endswith("labels")}
        if left and _draws(item):
            rest["value"] = left
    return rest
