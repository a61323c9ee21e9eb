"""Slices of a table by its key: each begins behind the last key of the one before.

The way of tables that have no physical order to go by. Rows whose key has a null (views, SQLite)
come first, because no comparison finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from trainset.metadata.sql.base import Chunk

ROWS = 50_000  # of a slice

Query = Callable[[str], pa.Table]
Literal = Callable[[int, Sequence[Any]], str]


def key_chunks(
    query: Query,
    source: str,
    keys: Sequence[str],
    texts: Sequence[Sequence[str]],
    literal: Literal,
    *,
    where: str | None,
    after: Mapping[str, Any] | None,
    nulls: bool = True,
) -> Iterator[Chunk]:
    """Slices of at most ``ROWS`` rows (more when that many share one key).

    Args:
        keys: the key's columns, quoted.
        texts: for each, the expressions that are kept in the position.
        literal: number of the column and what its ``texts`` gave -> SQL.
        after: the position of an earlier slice.
        nulls: the key may be null.
    """
    last: list[list[Any]] = list((after or {}).get("key", []))
    if after is None and nulls:
        yield Chunk(_all(where, " OR ".join(f"{k} IS NULL" for k in keys)), {"key": []})
    listed = ", ".join(keys)
    flat = ", ".join(f"{e} AS t{i}_{j}" for i, es in enumerate(texts) for j, e in enumerate(es))
    some = " AND ".join(f"{k} IS NOT NULL" for k in keys) if nulls else None
    while True:
        behind = _compare(keys, ">", literal, last) if last else None
        condition = _all(where, some, behind)
        rows = query(
            f"SELECT {flat} FROM (SELECT {listed} FROM {source}{_where(condition)} "
            f"ORDER BY {listed} LIMIT {ROWS}) AS slice "
            f"ORDER BY {', '.join(f'{k} DESC' for k in keys)} LIMIT 1"
        ).to_pylist()
        if not rows:
            return
        last = [[rows[0][f"t{i}_{j}"] for j in range(len(es))] for i, es in enumerate(texts)]
        upto = _compare(keys, "<=", literal, last)
        yield Chunk(_all(condition, upto), {"key": last})


def _compare(keys: Sequence[str], how: str, literal: Literal, values: list[list[Any]]) -> str:
    made = ", ".join(literal(i, v) for i, v in enumerate(values))
    return f"({', '.join(keys)}) {how} ({made})"


def _all(*conditions: str | None) -> str | None:
    return " AND ".join(f"({c})" for c in conditions if c) or None


def _where(condition: str | None) -> str:
    return f" WHERE {condition}" if condition else ""


def text_literal(text: str) -> str:
    """A string of standard SQL."""
    return "'" + text.replace("'", "''") + "'"
