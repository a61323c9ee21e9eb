"""Labelbox NDJSON (export v2): one data row a line, with the labels of each project.

A label without objects and answers is ``empty``, a skipped one ``skipped``; a data row that nobody
labelled is a plain ``record``.

Source: https://docs.labelbox.com/reference/export-image-annotations
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.labelbox_objects import Owner, Read, answers, object_record
from trainset.metadata.names import looks_like_media
from trainset.metadata.records import (
    BadRecord,
    NameRecords,
    Record,
    load_json,
    record,
    rejected,
)
from trainset.metadata.tabular import decode
from trainset.stores.urls import safe_url

_REFERENCES = ("global_key", "external_id", "row_data")  # what stands first is preferred
_OF_LABEL = ("created_at", "updated_at", "created_by", "is_benchmark_reference")


def read_labelbox(data: bytes, *, stream: str, place: str) -> Iterator[Record | Rejected]:
    """Records of one file.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file, for messages.
    Raises:
        InputError: no line of the file is a data row.
    """
    names = NameRecords()
    lines = [(i, line) for i, line in enumerate(decode(data).split("\n"), 1) if line.strip()]
    good = 0
    kept: list[Rejected] = []  # until the first data row shows that this is Labelbox's
    for number, line in lines:
        where = f"line {number}"
        try:
            row = load_json(line)
            if not isinstance(row, dict) or not isinstance(row.get("data_row"), dict):
                raise BadRecord("bad-record", f"{where} is no data row: it has no 'data_row'")
        except BadRecord as fault:
            kept.append(rejected(stream, where, fault, line))
        except ValueError as err:
            broken = BadRecord("bad-record", f"{where} is not JSON: {err}")
            kept.append(rejected(stream, where, broken, line))
        else:
            good += 1
            for part, item, original in _row(row):
                if isinstance(item, BadRecord):
                    kept.append(rejected(stream, where + part, item, original))
                else:
                    yield names.name(item)
        if good:
            yield from kept
            kept = []
    if lines and not good:
        raise InputError(
            f"{place}: not Labelbox NDJSON, for no line has a 'data_row'; export with version 2 "
            "as NDJSON, or say the file's format"
        )


def _row(row: dict[str, Any]) -> Iterator[Read]:
    """Records of one data row, each with its place; a bad one with its original."""
    data_row = row["data_row"]
    try:
        ref = _reference(data_row)
        facts = _facts(row)
        projects = row.get("projects") or {}
        if not isinstance(projects, dict):
            raise BadRecord("bad-record", "'projects' is not an object")
    except BadRecord as fault:
        yield "", fault, row
        return
    labelled = False
    for project_id, project in projects.items():
        labels = project.get("labels") if isinstance(project, dict) else None
        if not isinstance(labels, list):
            broken = BadRecord("bad-record", f"project {project_id} has no list of labels")
            yield f", project {project_id}", broken, project
            labelled = True  # or not: nobody can tell
            continue
        about = {"project": project.get("name") or project_id}
        details = project.get("project_details")
        if isinstance(details, dict) and details.get("workflow_status"):
            about["workflow_status"] = details["workflow_status"]
        for i, label in enumerate(labels):
            labelled = True
            yield from _label(label, f"{data_row.get('id', ref)}.{i}", ref, facts | about)
    if not labelled:
        yield (
            "",
            record(f"data-row-{data_row.get('id', ref)}", ref, "record", attributes=facts),
            row,
        )


def _label(label: Any, name: str, ref: str, facts: dict[str, Any]) -> Iterator[Read]:
    if not isinstance(label, dict) or not isinstance(label.get("annotations"), dict):
        yield ", label", BadRecord("bad-record", "a label has no 'annotations'"), label
        return
    name = str(label.get("id") or name)
    where = f", label {name}"
    facts = {**facts, "label": name}
    details = label.get("label_details")
    if isinstance(details, dict):
        facts |= {k: details[k] for k in _OF_LABEL if details.get(k)}
        facts |= {"reviews": details["reviews"]} if details.get("reviews") else {}
    performance = label.get("performance_details")
    performance = performance if isinstance(performance, dict) else {}
    if performance.get("seconds_to_create"):
        facts["seconds_to_create"] = performance["seconds_to_create"]
    owner = Owner(ref, name, facts)
    if performance.get("skipped"):
        left = {k: v for k, v in label["annotations"].items() if v}
        extra = {"annotations": left} if left else {}
        yield where, record(f"{name}-skipped", ref, "skipped", attributes={**facts, **extra}), label
        return
    found = False
    for part, item, original in _annotations(label["annotations"], owner):
        found = True
        yield where + part, item, original
    if not found:
        yield where, record(f"{name}-empty", ref, "empty", attributes=facts), label


def _annotations(annotations: dict[str, Any], owner: Owner) -> Iterator[Read]:
    """Objects and answers of one label, or of each frame of a video."""
    yield from _objects(annotations.get("objects") or [], owner, None)
    yield from answers(annotations.get("classifications") or [], owner, None)
    for relation in annotations.get("relationships") or []:
        yield (
            ", relationship",
            BadRecord("unknown-shape", "relationships are not read by this version"),
            relation,
        )
    frames = annotations.get("frames") or {}
    if not isinstance(frames, dict):
        yield ", frames", BadRecord("bad-record", "'frames' is not an object"), frames
        return
    for number, frame in frames.items():
        where = f", frame {number}"
        if not str(number).isdecimal() or not isinstance(frame, dict):
            yield where, BadRecord("bad-record", f"{number!r} is no frame"), frame
            continue
        at = int(number) - 1  # Labelbox counts from 1, our geometry from 0
        objects = frame.get("objects") or []
        for part, item, original in (
            *_objects(list(objects.values()) if isinstance(objects, dict) else objects, owner, at),
            *answers(frame.get("classifications") or [], owner, at),
        ):
            yield where + part, item, original


def _objects(objects: Any, owner: Owner, frame: int | None) -> Iterator[Read]:
    if not isinstance(objects, list):
        yield "", BadRecord("bad-record", "'objects' is not a list"), objects
        return
    for i, item in enumerate(objects):
        try:
            yield "", object_record(item, owner, i, frame), item
        except BadRecord as fault:
            yield f", objects[{i}]", fault, item


def _reference(data_row: dict[str, Any]) -> str:
    """The medium of a data row: the first name that reads like one, else the first name."""
    said = [v for n in _REFERENCES if isinstance(v := data_row.get(n), str) and v.strip()]
    if not said:
        raise BadRecord("no-media-ref", f"the data row has none of {', '.join(_REFERENCES)}")
    found = next((v for v in said if looks_like_media(v)), said[0])
    return safe_url(found) if "://" in found else found  # a "#" in a file name is its own


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    """Attributes of all records of a data row."""
    data_row, media = row["data_row"], row.get("media_attributes")
    facts = {"data_row": data_row.get("id")}
    facts |= {name: data_row.get(name) for name in ("global_key", "external_id")}
    if isinstance(media, dict):
        facts |= {f"image_{side}": media.get(side) for side in ("width", "height")}
        facts["frame_rate"] = media.get("frame_rate")
    if row.get("metadata_fields"):
        facts["metadata"] = row["metadata_fields"]
    return {k: v for k, v in facts.items() if v is not None}
