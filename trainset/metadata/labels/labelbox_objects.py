"""One object or answer of a Labelbox label as a record; shapes are in pixels already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainset.metadata.labels.rotated import hull
from trainset.metadata.records import BadRecord, Record, box, number, record
from trainset.stores.urls import safe_url

Read = tuple[str, Record | BadRecord, Any]  # where, what, its original
Geometry = tuple[str, list[float] | None, dict[str, Any] | None]  # kind, bbox, geometry


@dataclass(frozen=True)
class Owner:
    """The label that objects belong to: its medium, and attributes of all its records."""

    ref: str
    name: str
    facts: dict[str, Any]


def object_record(item: Any, owner: Owner, nth: int, frame: int | None) -> Record:
    """The record of one object; ``frame`` of a video counts from 0. Raises BadRecord."""
    if not isinstance(item, dict):
        raise BadRecord("bad-record", f"an object is {type(item).__name__}")
    class_ = item.get("name") or item.get("value")
    if not isinstance(class_, str):
        raise BadRecord("no-class", "an object has neither 'name' nor 'value'")
    kind, bbox, geometry = _geometry(item)
    feature = str(item.get("feature_id") or f"#{nth}")
    facts = {**owner.facts, "feature": feature}
    if item.get("classifications"):
        facts["answers"] = _nested(item["classifications"])
    return record(
        _record_id(owner, feature, frame),
        owner.ref,
        kind,
        class_=class_,
        bbox=bbox,
        geometry=_at(geometry, frame),
        attributes=facts,
    )


def answers(classifications: Any, owner: Owner, frame: int | None) -> Iterator[Read]:
    """Answers about the whole medium: a class each for radio and checklist, a caption for text."""
    if not isinstance(classifications, list):
        fault = BadRecord("bad-record", "'classifications' is not a list")
        yield ", classifications", fault, classifications
        return
    for i, item in enumerate(classifications):
        try:
            rows = list(_answer(item, owner, i, frame))
        except BadRecord as fault:
            yield f", classifications[{i}]", fault, item
        else:
            yield from (("", row, item) for row in rows)


def _answer(item: Any, owner: Owner, nth: int, frame: int | None) -> Iterator[Record]:
    if not isinstance(item, dict):
        raise BadRecord("bad-record", f"a classification is {type(item).__name__}")
    feature = str(item.get("feature_id") or f"answer-#{nth}")
    facts = {**owner.facts, "feature": feature, "question": item.get("name") or item.get("value")}
    name = _record_id(owner, feature, frame)
    if isinstance(text := item.get("text_answer"), dict):
        yield record(
            name,
            owner.ref,
            "caption",
            text=str(text.get("content", "")),
            geometry=_at(None, frame),
            attributes=facts,
        )
        return
    for i, chosen in enumerate(_chosen(item)):
        more = {"answers": _nested(inner)} if (inner := chosen.get("classifications")) else {}
        yield record(
            name if "radio_answer" in item else f"{name}.{chosen.get('feature_id') or i}",
            owner.ref,
            "class",
            class_=_name(chosen),
            geometry=_at(None, frame),
            attributes={**facts, **more},
        )


def _chosen(item: dict[str, Any]) -> list[dict[str, Any]]:
    found = item.get("radio_answer")
    found = item.get("checklist_answers") if found is None else [found]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadRecord("bad-record", "it has no radio, checklist or text answer")
    return found


def _nested(classifications: Any) -> dict[str, Any]:
    """Answers below an object or an answer, by question; deeper ones are kept as they are."""
    if not isinstance(classifications, list):
        raise BadRecord("bad-record", "'classifications' is not a list")
    found: dict[str, Any] = {}
    for item in classifications:
        if not isinstance(item, dict):
            raise BadRecord("bad-record", f"a classification is {type(item).__name__}")
        question = str(item.get("name") or item.get("value"))
        if isinstance(text := item.get("text_answer"), dict):
            found[question] = text.get("content")
            continue
        chosen = _chosen(item)
        if any(one.get("classifications") for one in chosen):
            found[question] = chosen
        else:
            words = [_name(one) for one in chosen]
            found[question] = words[0] if "radio_answer" in item else words
    return found


def _name(answer: dict[str, Any]) -> str:
    name = answer.get("name") or answer.get("value")
    if not isinstance(name, str):
        raise BadRecord("no-class", "an answer has neither 'name' nor 'value'")
    return name


def _geometry(item: dict[str, Any]) -> Geometry:
    if (found := item.get("bounding_box")) is not None:
        return "box", box([_number(found, n) for n in ("left", "top", "width", "height")]), None
    if (found := item.get("polygon")) is not None:
        flat = _points(found, least=3)
        return "polygon", hull(flat), {"polygons": [flat]}
    if (found := item.get("line")) is not None:
        flat = _points(found, least=2)
        return "polyline", hull(flat), {"polyline": flat}
    if (found := item.get("point")) is not None:
        return "keypoints", None, {"keypoints": [_number(found, "x"), _number(found, "y"), 2]}
    for name in ("mask", "composite_mask"):
        if isinstance(found := item.get(name), dict) and isinstance(found.get("url"), str):
            # Its pixels lie at Labelbox; a signature in the address would be a secret.
            rest = {k: v for k, v in found.items() if k != "url"}
            return "mask", None, {"mask_url": safe_url(found["url"]), **rest}
    if isinstance(found := item.get("location"), dict):
        start, end = _number(found, "start"), _number(found, "end")
        return "class", None, {"start_char": start, "end_char": end}
    kind = item.get("annotation_kind", "an object without a shape")
    raise BadRecord("unknown-shape", f"{kind} is not read by this version")


def _record_id(owner: Owner, feature: str, frame: int | None) -> str:
    return f"{owner.name}-{feature}" + ("" if frame is None else f"@{frame}")


def _at(geometry: dict[str, Any] | None, frame: int | None) -> dict[str, Any] | None:
    return geometry if frame is None else {**(geometry or {}), "frame": frame}


def _number(fields: Any, name: str) -> float:
    if not isinstance(fields, dict):
        raise BadRecord("bad-geometry", f"{str(fields)[:60]!r} stands where {name} should")
    return number(fields.get(name), name, fault="bad-geometry")


def _points(values: Any, *, least: int) -> list[float]:
    if not isinstance(values, list) or len(values) < least:
        raise BadRecord("bad-geometry", f"the shape needs {least} or more points")
    flat: list[float] = []
    for point in values:
        flat += (_number(point, "x"), _number(point, "y"))
    return flat
