"""Vector and full-text search of Lance tables, and when an index is worth its bytes.

Below ``VECTOR_INDEX_ROWS`` a flat search takes less than 0.1 CPU-seconds and is exact, so no index
is built (facts/tables.md, measured on 200,000 x 512 float16).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.errors import InputError
from trainset.tables import bm25

VECTOR_INDEX_ROWS = 200_000
TEXT_INDEX_ROWS = 5_000
SCALAR_INDEX_ROWS = 50_000
MERGE_AFTER = 8  # index segments; small ones are appended nightly and merged seldom
# IVF_SQ, 200,000 x 512: recall@10 0.965 at these settings, 8 times less CPU than flat.
PROBES, REFINE = 20, 10


def nearest(
    dataset: Any,
    column: str,
    vector: Sequence[float],
    *,
    k: int,
    where: str | None,
    columns: Sequence[str] | None,
) -> pa.Table:
    """See ``Table.nearest``; rows without a vector are never found."""
    query = np.asarray(vector, dtype=np.float32)
    type_ = dataset.schema.field(column).type
    if not pa.types.is_fixed_size_list(type_):
        raise InputError(f"{column!r} is {type_}, not a vector; search an embedding column")
    if query.shape != (type_.list_size,):
        raise InputError(
            f"{column!r} holds vectors of {type_.list_size} numbers, the query has {query.size}; "
            "encode the query with the column's own model"
        )
    if not np.isfinite(query).all() or not query.any():
        raise InputError("the query vector is all zeros or not finite; it has no direction")
    names = list(columns) if columns is not None else list(dataset.schema.names)
    found = dataset.scanner(
        columns=[*names, "_distance"],
        filter=where,
        prefilter=True,
        nearest={
            "column": column,
            "q": query,
            "k": k,
            "metric": "cosine",
            "minimum_nprobes": PROBES,
            "refine_factor": REFINE,
        },
    ).to_table()
    cosine = pc.subtract(pa.scalar(1.0, pa.float32()), found["_distance"])
    cosine = pc.min_element_wise(pc.max_element_wise(cosine, -1.0), 1.0).cast(pa.float32())
    found = found.drop_columns(["_distance"]).append_column("_score", cosine)
    return found.sort_by([("_score", "descending")])


def match(
    dataset: Any,
    column: str,
    words: str,
    *,
    k: int,
    where: str | None,
    columns: Sequence[str] | None,
) -> pa.Table:
    """See ``Table.match``; a row fits when it holds at least one of the words."""
    type_ = dataset.schema.field(column).type
    if not (pa.types.is_string(type_) or pa.types.is_large_string(type_)):
        raise InputError(f"{column!r} is {type_}, not text; match words in a string column")
    if not bm25.tokenize(words):
        raise InputError(f"{words!r} holds no word to look for; give at least one")
    names = list(columns) if columns is not None else list(dataset.schema.names)
    if _index_of(dataset, column) is None:
        return _match_flat(dataset, column, words, k=k, where=where, names=names)
    found: pa.Table = dataset.scanner(
        columns=[*names, "_score"],
        filter=where,
        prefilter=True,
        full_text_query={"query": words, "columns": [column]},
        limit=k,
    ).to_table()
    return found.sort_by([("_score", "descending")])


def _match_flat(
    dataset: Any, column: str, words: str, *, k: int, where: str | None, names: list[str]
) -> pa.Table:
    # Lance searches without an index too, but then by exact case and other tokens than with one.
    def documents() -> Any:
        reader = dataset.scanner(columns=[column], with_row_id=True).to_reader()
        for batch in reader:
            texts, ids = batch.column(column).to_pylist(), batch.column("_rowid").to_pylist()
            yield from ((i, text) for i, text in zip(ids, texts, strict=True) if text is not None)

    scores = bm25.scores(documents(), words)
    if where is not None and scores:
        fits = dataset.scanner(columns=[], filter=where, with_row_id=True).to_table()
        allowed = set(fits["_rowid"].to_pylist())
        scores = {i: score for i, score in scores.items() if i in allowed}
    best = sorted(scores, key=lambda i: (-scores[i], i))[:k]
    rowids = ", ".join(map(str, best)) or "18446744073709551615"
    found = dataset.scanner(
        columns=names, filter=f"_rowid in ({rowids})", with_row_id=True
    ).to_table()
    score = pa.array([scores[i] for i in found["_rowid"].to_pylist()], pa.float32())
    found = found.drop_columns(["_rowid"]).append_column("_score", score)
    return found.sort_by([("_score", "descending")])


def ensure_index(dataset: Any, column: str, kind: str) -> None:
    """Build the index where the table has grown enough, or take new rows into it."""
    due = {"cosine": VECTOR_INDEX_ROWS, "text": TEXT_INDEX_ROWS, "scalar": SCALAR_INDEX_ROWS}
    if kind not in due:
        raise InputError(f"no index kind {kind!r}; there are {', '.join(due)}")
    index = _index_of(dataset, column)
    if index is not None:
        _take_in(dataset, index)
    elif dataset.count_rows(filter=f"`{column}` is not null") >= due[kind]:
        _build(dataset, column, kind)


def _build(dataset: Any, column: str, kind: str) -> None:
    if kind == "cosine":
        partitions = max(16, int(math.sqrt(dataset.count_rows()) / 8))
        # float16 training is five times dearer than float32: a small sample is enough for IVF.
        dataset.create_index(
            column, "IVF_SQ", metric="cosine", num_partitions=partitions, sample_rate=32
        )
    elif kind == "text":
        dataset.create_scalar_index(
            column,
            "INVERTED",
            stem=False,
            remove_stop_words=False,
            ascii_folding=True,
            max_token_length=bm25.MAX_TOKEN,
            with_position=False,
        )
    else:
        dataset.create_scalar_index(column, "BTREE")


def _take_in(dataset: Any, index: Any) -> None:
    covered = {fragment for segment in index.segments for fragment in segment.fragment_ids}
    if covered >= {fragment.fragment_id for fragment in dataset.get_fragments()}:
        return
    if len(index.segments) >= MERGE_AFTER:
        dataset.optimize.optimize_indices(index_names=[index.name])
    else:  # merging rewrites the whole index; a new segment costs its own rows only
        dataset.optimize.optimize_indices(index_names=[index.name], num_indices_to_merge=0)


def _index_of(dataset: Any, column: str) -> Any | None:
    for index in dataset.describe_indices():
        if list(index.field_names) == [column]:
            return index
    return None
