"""What stands beside label files: class names, and the medium that a label file is named after."""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import Any

import yaml

from trainset.errors import InputError
from trainset.metadata.labels.registry import Beside
from trainset.metadata.tabular import decode


def medium_of(place: str) -> str:
    """The medium of a label file that bears its name, without extension, relative to its folder.

    A folder ``labels`` has its media in ``images`` beside it; other folders hold both.
    """
    folder, name = posixpath.split(place)
    stem = name.rpartition(".")[0] or name
    parts = folder.split("/")
    for i in range(len(parts) - 1, max(len(parts) - 4, -1), -1):
        if parts[i].lower() == "labels":
            below = parts[i + 1 :]
            return "/".join([*[".."] * (len(below) + 1), "images", *below, stem])
    return stem


def class_names(beside: Beside) -> dict[int, str] | None:
    """Class names by number, from the nearest file that has some; None when none has.

    Raises:
        InputError: a ``data.yaml`` cannot be read, or its ``names`` are no names.
    """
    return _class_names(tuple(beside))


@lru_cache(maxsize=8)  # thousands of label files share them, and YAML is slow to read
def _class_names(beside: Beside) -> dict[int, str] | None:
    for name, data in beside:
        found = _from_yaml(name, data) if name.lower().endswith((".yaml", ".yml")) else None
        if found is None and not name.lower().endswith((".yaml", ".yml")):
            lines = decode(data).splitlines()
            while lines and not lines[-1].strip():
                lines.pop()
            found = {i: line.strip() for i, line in enumerate(lines)}
        if found:
            return found
    return None


def _from_yaml(name: str, data: bytes) -> dict[int, str] | None:
    """``names`` of a data.yaml: a list, or a mapping of numbers; None when it has none."""
    try:
        top: Any = yaml.safe_load(data)
    except yaml.YAMLError as err:
        raise InputError(f"{name}: broken YAML ({err}); mend it, class names come from it") from err
    names = top.get("names") if isinstance(top, dict) else None
    if names is None:
        return None
    if isinstance(names, list):
        return {i: str(value) for i, value in enumerate(names)}
    if isinstance(names, dict) and all(str(key).isdecimal() for key in names):
        return {int(key): str(value) for key, value in names.items()}
    raise InputError(f"{name}: 'names' is neither a list nor numbered names; mend it")
