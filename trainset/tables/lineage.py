"""Where a row comes from: source, transfer events, labels, and the functions of its cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from trainset.compute.base import Function
from trainset.errors import NotFound
from trainset.identity import row_id
from trainset.model import Commit, Frozen
from trainset.tables.base import Table

if TYPE_CHECKING:
    from trainset.versions.base import Snapshot


class CellLineage(Frozen):
    """One computed cell: ``state`` is filled, failed or empty."""

    column: str
    state: str
    fn_id: str | None = None
    function: Function | None = None
    error: dict[str, Any] | None = None


class Lineage(Frozen):
    """All that the commit knows of how one row came to be."""

    row_id: str
    key: str
    commit: Commit
    source: dict[str, Any]
    events: tuple[dict[str, Any], ...]
    labels: tuple[dict[str, Any], ...]
    cells: tuple[CellLineage, ...]


def trace_row(
    row: str,
    *,
    media: Table,
    annotations: Table | None,
    snapshot: Snapshot,
    functions: Callable[[str], Function | None],
) -> Lineage:
    """The lineage of one row of ``media``, named by row id or key.

    Raises:
        NotFound: the commit has no such row.
    """
    facts = fact_columns(media)
    ids = ", ".join(f"'{id_}'" for id_ in {_quoted(row), row_id(row)})
    columns = [*facts, *_cell_columns(media)]
    found = media.scan(columns, where=f"row_id in ({ids})").read_all().to_pylist()
    if not found:
        raise NotFound(
            f"commit {snapshot.commit.id[:12]} has no row {row!r}; give a row_id or a key as "
            "'trainset query' shows them"
        )
    values = found[0]
    return Lineage(
        row_id=values["row_id"],
        key=values["key"],
        commit=snapshot.commit,
        source={name: values[name] for name in facts if name not in ("row_id", "key")},
        events=tuple(_events(snapshot, values["key"])),
        labels=tuple(_labels(annotations, values["row_id"])),
        cells=tuple(_cell(values, column, functions) for column in _computed(media)),
    )


def trace_cells(
    id_: str, *, media: Table, functions: Callable[[str], Function | None]
) -> tuple[CellLineage, ...]:
    """The computed cells of the row with this id."""
    columns = ["row_id", *_cell_columns(media)]
    found = media.scan(columns, where=f"row_id = '{_quoted(id_)}'").read_all().to_pylist()
    return tuple(_cell(row, column, functions) for row in found for column in _computed(media))


def fact_columns(media: Table) -> list[str]:
    """Columns of ``media`` that no function computed."""
    computed = _computed(media)
    return [n for n in media.schema.names if n.split("__")[0] not in computed and n != "row_fp"]


def _computed(media: Table) -> list[str]:
    return [n.removesuffix("__fn") for n in media.schema.names if n.endswith("__fn")]


def _cell_columns(media: Table) -> list[str]:
    return [f"{c}{part}" for c in _computed(media) for part in ("__fn", "__err")]


def _cell(
    values: dict[str, Any], column: str, functions: Callable[[str], Function | None]
) -> CellLineage:
    fn_id, error = values[f"{column}__fn"], values[f"{column}__err"]
    return CellLineage(
        column=column,
        state="failed" if error else "filled" if fn_id else "empty",
        fn_id=fn_id,
        function=functions(fn_id) if fn_id else None,
        error=json.loads(error) if error else None,
    )


def _labels(annotations: Table | None, id_: str) -> list[dict[str, Any]]:
    if annotations is None:
        return []
    rows: list[dict[str, Any]] = (
        annotations.scan(where=f"media_id = '{id_}'").read_all().drop_columns(["row_fp"])
    ).to_pylist()
    return sorted(rows, key=lambda r: (r["source"], r["stream"], r["record_id"]))


def _events(snapshot: Snapshot, key: str) -> Iterator[dict[str, Any]]:
    """Provenance events that name the key, in the order of the commit's files."""
    from trainset.transfer.provenance import read_events

    for path in snapshot.list("provenance/"):
        if path.endswith(".parquet"):
            yield from read_events(snapshot.fetch(path), {key})


def _quoted(text: str) -> str:
    return text.replace("'", "''")
