"""Row merges against a reference written with dictionaries."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from version_rows import TABLES

from trainset.identity import row_fingerprint
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTable
from trainset.versions.rowapply import plan_table
from trainset.versions.rowmerge import Prefer, RowConflict, plan_merge
from trainset.versions.rowstate import slim

Cell = tuple[float | None, int | None, str | None, str | None]  # value, source, function, error
Row = dict[str, Any]
Rows = dict[str, Row]

SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("x", pa.int64()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("row_fp", pa.uint64()),
        pa.field("c", pa.list_(pa.float32(), 2)),
        pa.field("c__src", pa.uint64()),
        pa.field("c__fn", pa.string()),
        pa.field("c__err", pa.string()),
    ]
)
USER = ("sha256", "x", "tags")
CELL = ("c", "c__src", "c__fn", "c__err")
EMPTY: Row = dict.fromkeys(CELL)


def computed(row: Row, function: str, error: str | None = None) -> Row:
    """The row with its cell computed from its content."""
    source = int(row["sha256"], 16)
    value = None if error else [float(source), float(len(function))]
    return row | {"c": value, "c__src": source, "c__fn": function, "c__err": error}


def reference(
    base: Rows, ours: Rows, theirs: Rows, prefer: Prefer | None = None
) -> tuple[Rows, set[tuple[str, str | None]]]:
    """What a merge must give: the merged rows, and conflicts as (row, column)."""
    merged: Rows = {}
    conflicts: set[tuple[str, str | None]] = set()
    for key in base.keys() | ours.keys() | theirs.keys():
        b, o, t = base.get(key), ours.get(key), theirs.get(key)
        if o is None and t is None:
            continue
        if o is None or t is None:
            left = t if o is None else o
            assert left is not None
            if b is None:
                merged[key] = left
            elif _user(left) != _user(b):
                conflicts.add((key, None))
                kept = t if prefer == "theirs" else o
                if kept is not None:
                    merged[key] = kept
            continue
        row: Row = {}
        for name in USER:
            was = None if b is None else b[name]
            if o[name] == t[name] or (b is not None and t[name] == was):
                row[name] = o[name]
            elif b is not None and o[name] == was:
                row[name] = t[name]
            else:
                conflicts.add((key, name))
                row[name] = t[name] if prefer == "theirs" else o[name]
        merged[key] = row | _cell(b, o, t, row["sha256"])
    return merged, conflicts


def _cell(b: Row | None, o: Row, t: Row, content: str) -> Row:
    was = EMPTY if b is None else {n: b[n] for n in CELL}
    mine, new = {n: o[n] for n in CELL}, {n: t[n] for n in CELL}
    fits_mine, fits_new = o["sha256"] == content, t["sha256"] == content
    if not fits_mine:
        return new if fits_new else EMPTY
    if not fits_new or new == was:
        return mine
    if mine == was:
        return new
    return new if _rank(new) > _rank(mine) else mine


def _rank(cell: Row) -> int:
    return 0 if cell["c__fn"] is None else 1 if cell["c__err"] is not None else 2


def _user(row: Row) -> list[Any]:
    return [row[n] for n in USER]


def as_table(rows: Rows, folder: str) -> LanceTable:
    table = TABLES.create(TableLocation(folder), SCHEMA)
    made = [
        {"row_id": key, **row, "row_fp": row_fingerprint(row, USER)} for key, row in rows.items()
    ]
    # In two halves, so that there is more than one fragment.
    for part in (made[::2], made[1::2]):
        if part:
            table.upsert(pa.Table.from_pylist(part, schema=SCHEMA))
    return table


def grown(base: LanceTable, was: Rows, now: Rows, folder: str, *, first: bool) -> LanceTable:
    """A copy of ``base`` edited to hold ``now``, as runs edit: most files stay those of the base.

    Args:
        first: upsert before cells are filled; else after.
    """
    shutil.copytree(base.location.uri, folder)
    table = TABLES.open(TableLocation(folder))
    changed = {k: r for k, r in now.items() if k not in was or _user(r) != _user(was[k])}
    made = [{"row_id": k, **r, "row_fp": row_fingerprint(r, USER)} for k, r in changed.items()]
    filled = {k: r for k, r in now.items() if k not in changed and r != was[k]}
    if first:
        table.upsert(pa.Table.from_pylist(made, schema=SCHEMA))
    schema = pa.schema([SCHEMA.field(name) for name in ("row_id", *CELL)])
    for fragment in table.fragments():
        ids = table.read_fragment(fragment, ["row_id"])["row_id"].to_pylist()
        cells = [{"row_id": k, **{n: filled[k][n] for n in CELL}} for k in ids if k in filled]
        if cells:
            staged = table.stage_fill(fragment, pa.Table.from_pylist(cells, schema=schema))
            table.commit_fills([staged])
    if not first:
        table.upsert(pa.Table.from_pylist(made, schema=SCHEMA))
    if gone := was.keys() - now.keys():
        table.delete(f"row_id IN ({', '.join(map(repr, sorted(gone)))})")
    assert as_rows(table) == now
    return table


def as_rows(table: LanceTable) -> Rows:
    found = table.scan().read_all().to_pylist()
    for row in found:
        assert row["row_fp"] == row_fingerprint(row, USER)
    return {r["row_id"]: {n: r[n] for n in (*USER, *CELL)} for r in found}


users = st.fixed_dictionaries(
    {
        "sha256": st.sampled_from(["1", "2", "3"]),
        "x": st.sampled_from([None, 1, 2]),
        "tags": st.sampled_from([None, [], ["a"], ["a", "b"]]),
    }
)


@st.composite
def row(draw: st.DrawFn) -> Row:
    made: Row = {**draw(users), **EMPTY}
    how = draw(st.sampled_from(["empty", "f1", "f2", "error"]))
    if how == "empty":
        return made
    return computed(made, "f1" if how == "error" else how, "boom" if how == "error" else None)


@st.composite
def edited(draw: st.DrawFn, base: Rows) -> Rows:
    """A side that comes from ``base`` by the edits runs make."""
    side: Rows = {}
    for key, was in base.items():
        edit = draw(st.sampled_from(["keep", "keep", "remove", "change", "compute", "both"]))
        now = dict(was)
        if edit == "remove":
            continue
        if edit in ("change", "both"):
            for name, value in draw(users).items():
                if draw(st.booleans()):
                    now[name] = value
            if _user(now) != _user(was):
                now |= EMPTY
        if edit in ("compute", "both"):
            error = draw(st.sampled_from([None, None, "boom"]))
            now = computed(now, draw(st.sampled_from(["f1", "f2"])), error)
        side[key] = now
    for key in draw(st.sets(st.sampled_from(["n1", "n2", "n3"]))):
        side[key] = draw(row())
    return side


@st.composite
def histories(draw: st.DrawFn) -> tuple[Rows, Rows, Rows]:
    keys = draw(st.sets(st.sampled_from("abcdef")))
    base = {key: draw(row()) for key in sorted(keys)}
    return base, draw(edited(base)), draw(edited(base))


@settings(max_examples=60, deadline=None)
@given(history=histories())
def test_a_merge_gives_what_the_reference_gives(
    history: tuple[Rows, Rows, Rows], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    base, ours, theirs = (
        as_table(rows, str(folder / name))
        for rows, name in zip(history, ("base", "ours", "theirs"), strict=True)
    )
    _merge_is_the_reference(history, base, ours, theirs)


@settings(max_examples=120, deadline=None)
@given(
    history=histories(),
    first=st.tuples(st.booleans(), st.booleans()),
    most=st.sampled_from([0.0, 0.3, 1.0]),
    prefer=st.sampled_from([None, "ours", "theirs"]),
)
def test_versions_that_share_files_merge_as_those_that_share_none(
    history: tuple[Rows, Rows, Rows],
    first: tuple[bool, bool],
    most: float,
    prefer: Prefer | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("grown")
    base = as_table(history[0], str(folder / "base"))
    ours, theirs = (
        grown(base, history[0], rows, str(folder / name), first=order)
        for rows, name, order in zip(history[1:], ("ours", "theirs"), first, strict=True)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainset.tables.lance_places._MOST", most)  # whole fragments, or rows
        _merge_is_the_reference(history, base, ours, theirs, prefer)


def _merge_is_the_reference(
    history: tuple[Rows, Rows, Rows],
    base: LanceTable,
    ours: LanceTable,
    theirs: LanceTable,
    prefer: Prefer | None = None,
) -> None:
    expected, conflicts = reference(*history, prefer)
    merge = plan_table("things", base, ours, theirs, prefer=prefer)
    found = {(c.row_id, c.column) for c in merge.conflicts}
    # A broken fingerprint list would hide conflicts: compare both ways.
    assert found == conflicts
    if not conflicts or prefer:
        merge.apply()
        assert as_rows(TABLES.open(TableLocation(ours.location.uri))) == expected
        again = plan_table("things", base, TABLES.open(ours.location), theirs, prefer=prefer)
        again.apply()
        assert as_rows(TABLES.open(ours.location)) == expected


def test_a_conflict_names_the_key_and_both_sides(tmp_path_factory: pytest.TempPathFactory) -> None:
    start: Row = {"sha256": "1", "x": 1, "tags": None, **EMPTY}
    sides = [start, start | {"x": 2}, start | {"x": 3}]
    folder = tmp_path_factory.mktemp("conflict")
    tables = [as_table({"k": row}, str(folder / str(n))) for n, row in enumerate(sides)]
    merge = plan_table("things", *tables)
    assert merge.conflicts == [
        RowConflict(table="things", row_id="k", key="k", column="x", base="1", ours="2", theirs="3")
    ]


def test_a_better_cell_comes_along_with_a_row_that_merges_to_what_ours_is(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    start: Row = {"sha256": "1", "x": None, "tags": None, **EMPTY}
    ours = computed(start | {"x": 2, "tags": []}, "f1", "boom")
    theirs = computed(start | {"x": 2}, "f1")
    folder = tmp_path_factory.mktemp("better")
    sides = [{"k": row} for row in (start, ours, theirs)]
    tables = [as_table(rows, str(folder / str(n))) for n, rows in enumerate(sides)]
    _merge_is_the_reference((sides[0], sides[1], sides[2]), *tables)
    assert as_rows(TABLES.open(tables[1].location))["k"]["c"] == theirs["c"]


def test_a_million_rows_are_planned() -> None:
    count = 1_000_000
    ids = pa.array([f"{n:032x}" for n in range(count)])
    prints = np.arange(count, dtype=np.uint64)

    def table(changed: slice, columns: bool) -> pa.Table:
        now = prints.copy()
        now[changed] += np.uint64(count)
        made = {"row_id": ids, "row_fp": now}
        if columns:
            made |= {
                "c__src": prints,
                "c__fn": pa.array(["f"] * count).dictionary_encode().cast(pa.string()),
                "c__err": pa.nulls(count, pa.string()),
            }
        return pa.table(made)

    plan = plan_merge(
        table(slice(0, 0), False), table(slice(0, 100), False), table(slice(50, 300), True)
    )
    assert int(plan.take.sum()) == 200
    assert int(plan.both.sum()) == 0  # both changed rows 50 to 99 alike
    assert int(plan.fills("c").sum()) == count - 100 - 200 + 50


def test_slim_views_do_not_read_values(tmp_path_factory: pytest.TempPathFactory) -> None:
    table = as_table({}, str(tmp_path_factory.mktemp("slim") / "t"))
    (view,) = slim([table])
    assert view.column_names == ["row_id", "row_fp", "sha256", "c__src", "c__fn", "c__err"]


def test_many_rows_are_carried_over_by_scanning(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    start: Row = {"sha256": "1", "x": 1, "tags": ["a"], **EMPTY}
    base = {f"k{n:05d}": start for n in range(4000)}
    ours = {key: computed(row, "f1") for key, row in base.items()}
    theirs = {k: row for n, (k, row) in enumerate(base.items()) if n >= 1300}
    theirs |= {f"k{n:05d}": start | {"x": 2} for n in range(1500, 3500)}
    theirs |= {f"new{n}": computed(start, "f2") for n in range(1500)}
    folder = tmp_path_factory.mktemp("many")
    tables = [
        as_table(rows, str(folder / name))
        for rows, name in zip((base, ours, theirs), ("base", "ours", "theirs"), strict=True)
    ]
    plan_table("things", *tables).apply()
    expected, conflicts = reference(base, ours, theirs)
    assert conflicts == set()
    assert as_rows(TABLES.open(tables[1].location)) == expected
