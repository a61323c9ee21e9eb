"""Label Studio: the raw JSON export, and single tasks or annotations as its storages write them.

Each annotation of a task gives its own records: annotators are not merged. What a model said
before a person looked is of kind ``prediction``. A cancelled annotation is of kind ``skipped``, a
submitted one without results ``empty``, and a task that nobody annotated a plain ``record``.

Source: https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.json_lists import BrokenJson, JsonList, open_json
from trainset.metadata.labels.label_studio_media import media_of
from trainset.metadata.labels.label_studio_results import Context, read_results
from trainset.metadata.records import (
    BadRecord,
    NameRecords,
    Record,
    load_json,
    rejected,
)

_OF_TASK = ("project", "inner_id", "meta", "is_labeled", "overlap")
_OF_ANNOTATION = (
    *("created_at", "updated_at", "lead_time", "ground_truth", "unique_id", "model_version"),
    *("cluster", "neighbors", "parent_prediction", "parent_annotation", "last_action"),
)


def read_label_studio(data: bytes, *, stream: str, place: str) -> Iterator[Record | Rejected]:
    """Records of one file: an array of tasks, one task, or one annotation that holds its task.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file, for messages.
    Raises:
        InputError: the file is not Label Studio's at all.
    """
    try:
        yield from read_tasks(_tasks(data, place), stream=stream)
    except BrokenJson as err:
        raise InputError(f"{place}: broken JSON ({err}); export it again") from err


def _tasks(data: bytes, place: str) -> Sequence[Any]:
    top = open_json(data)
    if isinstance(top, dict):
        top = load_json(data)  # one task; parts of it are kept as they are
    if isinstance(top, dict) and isinstance(top.get("task"), dict) and "result" in top:
        task = top["task"]
        top = [{**task, "annotations": [{k: v for k, v in top.items() if k != "task"}]}]
    elif isinstance(top, dict) and "data" in top:
        top = [top]
    if not isinstance(top, (list, JsonList)):
        raise InputError(
            f"{place}: not Label Studio's JSON, which is a list of tasks with 'data' and "
            "'annotations'; export as JSON (not JSON-MIN), or say the file's format"
        )
    return top


def read_tasks(
    tasks: Sequence[Any], *, stream: str, names: NameRecords | None = None
) -> Iterator[Record | Rejected]:
    """As ``read_label_studio``, for parsed tasks; ``names``: of the stream, when it has more."""
    names = names or NameRecords()
    for i, task in enumerate(tasks):
        where = f"[{i}]"
        if isinstance(task, dict) and task.get("id") is not None:
            where = f"task {task['id']}"
        for part, item, original in _task(task):
            if isinstance(item, BadRecord):
                yield rejected(stream, where + part, item, original)
            else:
                yield names.name(item)


def _task(task: Any) -> Iterator[tuple[str, Record | BadRecord, Any]]:
    """Records of one task, each with its place in it; a bad part with its original."""
    try:
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise BadRecord("bad-record", "a task is an object with 'data'; this is not")
        media = media_of(task)
        said = {name: _list(task, name) for name in ("annotations", "completions", "predictions")}
    except BadRecord as fault:
        yield "", fault, task
        return
    facts = {"task": task.get("id")} | {n: task[n] for n in _OF_TASK if task.get(n)}
    if left := media.left:
        facts["data"] = left
    annotations = said["annotations"] or said["completions"]  # the name before version 1.0
    number_of = task.get("id", "?")
    for i, annotation in enumerate(annotations):
        name = f"annotation {annotation['id']}" if _has_id(annotation) else f"annotations[{i}]"
        own = annotation["id"] if _has_id(annotation) else f"{number_of}.{i}"
        made = Context(media.ref_of, str(own), facts | _facts(annotation, "annotation"))
        yield from _annotation(f", {name}", annotation, made)
    for i, prediction in enumerate(said["predictions"]):
        name = f"prediction {prediction['id']}" if _has_id(prediction) else f"predictions[{i}]"
        own = prediction["id"] if _has_id(prediction) else f"{number_of}.{i}"
        score = prediction.get("score") if isinstance(prediction, dict) else None
        made = Context(
            media.ref_of,
            f"prediction-{own}",
            facts | _facts(prediction, "prediction"),
            score=score,
            predicted=True,
        )
        yield from _annotation(f", {name}", prediction, made)
    drafts = task.get("drafts")
    if not annotations or (isinstance(drafts, list) and drafts):
        extra = {"drafts": drafts} if isinstance(drafts, list) and drafts else {}
        bare = Context(media.ref_of, f"task-{number_of}", facts | extra)
        try:
            yield "", bare.record("data", {}, "record", {}), task
        except BadRecord as fault:
            yield "", fault, task


def _annotation(
    where: str, annotation: Any, context: Context
) -> Iterator[tuple[str, Record | BadRecord, Any]]:
    if not isinstance(annotation, dict):
        fault = BadRecord("bad-record", f"is {type(annotation).__name__}, not an object")
        yield where, fault, annotation
        return
    cancelled, results = annotation.get("was_cancelled"), annotation.get("result")
    alone = partial(context.record, "0", {})
    try:
        if cancelled:  # what was drawn before it was skipped is no label
            drawn = {"result": results} if results else {}
            yield where, alone("skipped", drawn), annotation
            return
        if results == []:
            yield where, alone("empty", {}), annotation
            return
    except BadRecord as fault:
        yield where, fault, annotation
        return
    yield from read_results(where, results, context)


def _facts(annotation: Any, what: str) -> dict[str, Any]:
    """Attributes that an annotation or prediction gives to its records."""
    if not isinstance(annotation, dict):
        return {}
    facts = {what: annotation.get("id")}
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    facts["annotator"] = who
    facts |= {name: annotation.get(name) for name in _OF_ANNOTATION}
    return {k: v for k, v in facts.items() if v}


def _list(task: dict[str, Any], name: str) -> list[Any]:
    found = task.get(name)
    if isinstance(found, int) or found is None:
        return []  # a count, where the export leaves them out
    if not isinstance(found, list):
        raise BadRecord("bad-record", f"{name!r} is not a list")
    return found


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and item.get("id") is not None
