"""Answering a search: which column, which model encodes the query, and words as the fallback."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from trainset.compute.base import Function, ItemError
from trainset.errors import InputError
from trainset.tables.base import Table
from trainset.tables.columns import computed_functions

if TYPE_CHECKING:
    from trainset.dataset import Dataset

log = logging.getLogger(__name__)

# Computed strings that are names of things, not words that someone would look for.
_NOT_WORDS = frozenset({"thumbnail", "phash", "image_info"})


@dataclass(frozen=True)
class Query:
    """What is looked for: ``text``, or an ``image`` (path, bytes, PIL image); ``words`` says that
    the text is matched word by word and not by meaning."""

    k: int
    column: str | None = None
    text: str | None = None
    image: Any = field(default=None, repr=False)
    words: bool = False

    def __post_init__(self) -> None:
        if (self.text is None) == (self.image is None):
            raise InputError("search for a text or for an image: give one of the two")
        if self.k < 1:
            raise InputError(f"k is {self.k}; ask for 1 row or more")


def run_query(
    dataset: Dataset,
    table: Table,
    query: Query,
    *,
    where: str | None,
    columns: Sequence[str] | None,
) -> pa.Table:
    """The rows of ``query``, best first, with ``_score``.

    Raises:
        InputError: no column of the table can answer it; the text says which are there.
    """
    if not query.words and (query.column is None or _is_vector(table, query.column)):
        for column in [query.column] if query.column else _vector_columns(table):
            vector = _encode(dataset, table, column, query)
            if vector is not None:
                return table.nearest(column, vector, k=query.k, where=where, columns=columns)
    if query.text is None:
        raise InputError(
            "no column of this table can be compared with an image; add a column with "
            "'op: open_clip' to the spec and run the pipeline"
        )
    if not query.words and query.column is None:
        log.info("no embedding that text can be compared with: looking for the words instead")
    found = [
        table.match(column, query.text, k=query.k, where=where, columns=columns)
        for column in ([query.column] if query.column else _text_columns(dataset, table))
    ]
    if not found:
        raise InputError(
            "no column of this table holds an embedding or text to search; add one with "
            "'op: open_clip' or 'op: ocr' to the spec, or name one with column="
        )
    return _best(found, query.k)


def _best(found: Sequence[pa.Table], k: int) -> pa.Table:
    """The best ``k`` of several answers; a row found in two columns comes once, by its best."""
    if len(found) == 1:
        return found[0]
    rows = pa.concat_tables(found).sort_by([("_score", "descending")])
    if "row_id" not in rows.column_names:
        return rows.slice(0, k)
    first: dict[str, int] = {}
    for at, id_ in enumerate(rows["row_id"].to_pylist()):
        first.setdefault(id_, at)
    return rows.take(list(first.values())[:k])


def _vector_columns(table: Table) -> list[str]:
    return [n for n in table.schema.names if _is_vector(table, n) and _is_computed(table, n)]


def _text_columns(dataset: Dataset, table: Table) -> list[str]:
    """Strings that an operator read out of media; and ``text`` of tables such as annotations."""
    found = []
    for field_ in table.schema:
        if not pa.types.is_string(field_.type):
            continue
        if _is_computed(table, field_.name):
            function = _function(dataset, table, field_.name)
            if function is not None and function.operator not in _NOT_WORDS:
                found.append(field_.name)
        elif field_.name == "text":
            found.append(field_.name)
    return found


def _is_vector(table: Table, column: str) -> bool:
    if column not in table.schema.names:
        raise InputError(f"no column {column!r}; the columns are {', '.join(table.schema.names)}")
    type_ = table.schema.field(column).type
    return bool(pa.types.is_fixed_size_list(type_) and pa.types.is_floating(type_.value_type))


def _is_computed(table: Table, column: str) -> bool:
    return f"{column}__fn" in table.schema.names


def _function(dataset: Dataset, table: Table, column: str) -> Function | None:
    """The function that made most cells of the column."""
    made = computed_functions(table, column).most_common(1)
    return dataset.function(made[0][0]) if made else None


def _encode(dataset: Dataset, table: Table, column: str, query: Query) -> Sequence[float] | None:
    """The query as a vector of ``column``; None where its model cannot encode it."""
    function = _function(dataset, table, column) if _is_computed(table, column) else None
    if function is None:
        if query.column is not None:
            raise InputError(
                f"{column!r} does not say which model made it, so a query cannot be encoded; "
                "search a computed column"
            )
        return None
    from trainset.compute.registry import encoder_for  # loads the operator's packages

    encoder = encoder_for(function)
    if encoder is None:
        if query.column is not None:
            raise InputError(
                f"{column!r} was made by {function.operator!r}, which cannot encode a query; "
                "search a column of 'op: open_clip'"
            )
        return None
    if query.image is not None:
        return _encode_image(encoder, query.image)
    return [float(x) for x in encoder.encode_text([str(query.text)])[0]]


def _encode_image(encoder: Any, image: Any) -> Sequence[float]:
    from trainset.media.asset import Asset

    data, name = _image_bytes(image)
    value = encoder.compute([encoder.prepare(Asset(name, data, "image/*", "image"))])[0]
    if isinstance(value, ItemError):
        raise InputError(f"{name}: {value.message}; give another image")
    return [float(x) for x in value]


def _image_bytes(image: Any) -> tuple[bytes, str]:
    if isinstance(image, (bytes, bytearray)):
        return bytes(image), "the query image"
    if isinstance(image, (str, Path)):
        try:
            return Path(image).expanduser().read_bytes(), str(image)
        except OSError as err:
            raise InputError(f"{image}: cannot be read ({err.strerror}); mend the path") from err
    if hasattr(image, "save"):  # PIL, which need not be loaded to know
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, format="PNG")
        return buffer.getvalue(), "the query image"
    raise InputError(
        f"an image is a path, the bytes of a file or a PIL image, not {type(image).__name__}"
    )
