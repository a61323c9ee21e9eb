"""The function registry of a commit: ``_meta/functions/<fn_id>.json``, one file a function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from trainset.compute.base import Function, Operator

FOLDER = "_meta/functions"


class Files(Protocol):
    """What is needed of a workspace."""

    def list(self, prefix: str = "") -> object: ...
    def write(self, path: str, data: bytes) -> None: ...


def function_path(fn_id: str) -> str:
    return f"{FOLDER}/{fn_id}.json"


def encode_function(function: Function, column: str) -> bytes:
    """The registry file: the function, with the column's name and library versions in its notes."""
    noted = function.model_copy(update={"notes": {**function.notes, "column": column}})
    return (json.dumps(noted.model_dump(), sort_keys=True, indent=1) + "\n").encode()


def decode_function(data: bytes) -> Function:
    """The function of a registry file."""
    return Function.model_validate_json(data)


def register_functions(files: Files, operators: Mapping[str, Operator]) -> list[str]:
    """Write the functions that the registry has not yet; returns their fn_ids.

    A file that is there stays as it is: other versions of libraries are no change of the function.
    """
    known = set(files.list(FOLDER))  # type: ignore[call-overload]
    new = []
    for column in sorted(operators):
        function = operators[column].function
        path = function_path(function.fn_id)
        if path not in known:
            files.write(path, encode_function(function, column))
            known.add(path)
            new.append(function.fn_id)
    return new
