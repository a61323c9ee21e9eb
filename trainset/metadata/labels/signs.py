"""By what files of labelling tools and subtitles are known from their beginning."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trainset.metadata.labels.ass import is_ass
from trainset.metadata.outline import Outline

_CUE = re.compile(r"^(?:\d{1,3}:)?\d{1,2}:\d\d[.,]\d{1,3}[ \t]+-->[ \t]", re.MULTILINE)
_ROOT = re.compile(r"<([A-Za-z][\w.-]*)[\s>/]")
_WORK = {"annotations", "completions", "predictions"}


def sign_of_json(found: Outline) -> str | None:
    """The format of a JSON text, or of the first line of JSON Lines."""
    if found.top == "array":
        first = set(found.inner.get("", ()))
        return "label-studio" if "data" in first and first & _WORK else None
    keys, inner = set(found.keys), found.inner
    if "data_row" in keys:
        return "labelbox"
    if ("data" in keys and keys & _WORK and "data" not in inner) or {"result", "task"} <= keys:
        return "label-studio"
    if {"start", "end", "text"} <= set(inner.get("segments", ())):
        return "subtitles"
    if {"offsets", "text"} <= set(inner.get("transcription", ())):
        return "subtitles"
    return None


def sign_of_xml(text: str) -> str | None:
    """CVAT's root is ``annotations``; Pascal VOC's is ``annotation``."""
    root = _ROOT.search(text[:4000])
    if root is None or root[1] != "annotations":
        return None
    return "cvat" if re.search(r"<(?:version|meta|image|track)[\s>/]", text) else None


def sign_of_text(start: str) -> str | None:
    """Subtitles; ``start``: a text without white space before it."""
    if start.startswith("WEBVTT") or is_ass(start) or _CUE.search(start[:2000]):
        return "subtitles"
    return None


def sign_of_columns(names: Iterable[str]) -> str | None:
    """A Hugging Face metadata file whose rows name several files; with one it is any table."""
    files = [name for name in names if name.endswith(("_file_name", "file_names"))]
    return "hf-folder" if files else None
