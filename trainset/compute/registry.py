"""Operators by name: one line each; their modules load when they are asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from trainset.compute.base import Function, Operator, TextEncoder
from trainset.compute.context import BuildContext, Put, no_destination
from trainset.errors import SpecError
from trainset.spec import ColumnSpec

OPERATORS = {
    "image_info": "trainset.compute.operators.image_info:ImageInfo",
    "thumbnail": "trainset.compute.operators.thumbnail:Thumbnail",
    "phash": "trainset.compute.operators.phash:PHash",
    "ocr": "trainset.compute.operators.ocr:Ocr",
    "open_clip": "trainset.compute.operators.clip:OpenClip",
}


def build(
    name: str,
    column: ColumnSpec,
    *,
    models: Path | None = None,
    put: Put | None = None,
    download: bool = True,
) -> Operator:
    """Build the operator of column ``name``; its ``function`` is known afterwards.

    Args:
        models: folder of model weights, looked at before the Hugging Face cache.
        put: where generated media go (``context.home_destination``); for thumbnails.
        download: fetch weights that are not on this machine, with a progress bar.
    Raises:
        SpecError: a parameter is unknown or not allowed; names the field, found and allowed.
        WeightsMissing: model weights are not here and cannot be fetched.
        MissingExtra: the operator's packages are not installed.
    """
    operator = load_class(column.op)
    fields = operator.Params.model_fields
    try:
        params = operator.Params.model_validate(column.params)
    except ValidationError as err:
        raise SpecError("\n".join(_explain(name, e, fields) for e in err.errors())) from None
    context = BuildContext(
        models=models, to=column.to, put=put or no_destination, download=download
    )
    return cast(Operator, operator(params, context))


def encoder_for(function: Function, *, models: Path | None = None) -> TextEncoder | None:
    """The encoder that made the vectors of ``function``, ready to encode a query; None for others.

    What comes back is the operator itself: ``prepare`` and ``compute`` encode an image.

    Raises:
        WeightsMissing: the weights of that very sha256 are not on this machine.
    """
    operator = load_class(function.operator) if function.operator in OPERATORS else None
    if operator is None or not hasattr(operator, "from_function"):
        return None
    return cast(TextEncoder, operator.from_function(function, models))


def load_class(op: str) -> Any:
    """The class of an operator. Raises SpecError for an unknown name."""
    if op not in OPERATORS:
        raise SpecError(f"op: found {op!r}; this version has {', '.join(sorted(OPERATORS))}")
    module, _, attribute = OPERATORS[op].partition(":")
    return getattr(importlib.import_module(module), attribute)


def _explain(column: str, error: Any, fields: dict[str, Any]) -> str:
    where = ".".join(["columns", column, *map(str, error["loc"])])
    found = error.get("input")
    if error["type"] == "extra_forbidden":
        known = ", ".join(sorted([*fields, "op", "where", "index", "to"]))
        return f"{where}: unknown field, found {found!r:.60}; allowed are {known}"
    if error["type"] == "missing":
        return f"{where}: missing; this operator needs it"
    return f"{where}: found {found!r:.60}; {error['msg'].removeprefix('Value error, ')}"
