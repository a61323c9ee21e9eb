"""Diffs count rows by what happened to them, and say which columns changed."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from version_rows import TABLES, open_git, put_rows, run_once

from trainset.home import Home
from trainset.identity import row_id
from trainset.tables.schema import computed_fields
from trainset.versions.base import TableChange
from trainset.versions.diff import diff_parts, diff_snapshots, diff_tables
from trainset.versions.diffrows import RowChange, row_changes


def test_rows_are_added_removed_changed_or_computed_again(folder_home: Home) -> None:
    versions = open_git(folder_home)
    first = run_once(versions, "r1", {"media": {k: (1, k) for k in "abcd"}, "same": {"s": (1, "")}})
    workspace = versions.begin("r2")
    put_rows(workspace, "media", {"a": (2, "a"), "e": (5, "e")})
    table = TABLES.open(workspace.table("media"))
    table.delete("key = 'b'")
    table.add_columns(computed_fields("c", pa.int64()))
    for fragment in table.fragments():
        rows = table.read_fragment(fragment, ["row_id", "key"])
        wanted = rows.filter(pa.compute.is_in(rows["key"], value_set=pa.array(["a", "c"])))
        if wanted.num_rows:
            ones = pa.array([1] * wanted.num_rows)
            cells = pa.table(
                {"row_id": wanted["row_id"], "c": ones, "c__src": ones.cast(pa.uint64())}
            )
            cells = cells.append_column("c__fn", pa.array(["f"] * wanted.num_rows))
            cells = cells.append_column("c__err", pa.nulls(wanted.num_rows, pa.string()))
            table.commit_fills([table.stage_fill(fragment, cells)])
    put_rows(workspace, "fresh", {"x": (1, ""), "y": (2, "")})
    assert workspace.commit("second", {})
    workspace.merge()

    before, after = versions.snapshot(first.id), versions.snapshot("main")
    diff = diff_snapshots(before, after)
    assert diff.tables == (
        TableChange(table="fresh", added=2, fate="new"),
        TableChange(
            table="media", added=1, removed=1, changed=1, recomputed=1, columns_added=("c",)
        ),
    )
    assert diff.summary()["fresh"] == {"added": 2, "removed": 0, "changed": 0, "recomputed": 0}
    assert diff_snapshots(after, after).tables == ()
    assert diff_snapshots(None, before).summary()["media"]["added"] == 4

    old, new = (TABLES.open(s.table("media")) for s in (before, after))
    rows = diff_tables(old, new)
    assert rows.added.to_pylist() == [row_id("e")]
    assert rows.removed.to_pylist() == [row_id("b")]
    assert rows.recomputed.to_pylist() == [row_id("c")]
    assert set(rows.cells["c"].to_pylist()) == {row_id("a"), row_id("c")}
    changes = sorted(row_changes("things", old, new, [rows]), key=lambda c: c.key)
    assert changes == [
        RowChange(row_id("a"), "a", {"x": (1, 2)}, "changed"),
        RowChange(row_id("b"), "b", how="removed"),
        RowChange(row_id("c"), "c", {"c": (None, 1)}, "recomputed"),
        RowChange(row_id("e"), "e", how="added"),
    ]
    back = sorted(row_changes("things", new, old, [diff_tables(new, old)]), key=lambda c: c.key)
    assert [(c.key, c.how) for c in back] == [
        ("a", "changed"),
        ("b", "added"),
        ("c", "recomputed"),
        ("e", "removed"),
    ]


def test_columns_that_come_go_or_change_their_type_are_said(folder_home: Home) -> None:
    versions = open_git(folder_home)
    run_once(versions, "r1", {"media": {"a": (1, "one")}, "gone": {"x": (1, "")}})
    versions.create_branch("wide")
    workspace = versions.begin("r2", base="wide")
    put_rows(workspace, "fresh", {"n": (1, "")})
    table = TABLES.open(workspace.table("media"))
    table.add_columns([pa.field("z", pa.string())])
    assert workspace.commit("wider", {})
    workspace.merge()
    before, after = versions.snapshot("main"), versions.snapshot("wide")
    there = diff_snapshots(before, after).tables
    assert there == (
        TableChange(table="fresh", added=1, fate="new"),
        TableChange(table="media", columns_added=("z",)),
    )
    assert there[1].said == (
        "media: 0 added, 0 removed, 0 changed, 0 computed again; new columns: z"
    )
    assert there[0].said.endswith("computed again; a new table")
    assert diff_snapshots(after, before).tables == (
        TableChange(table="fresh", removed=1, fate="gone"),
        TableChange(table="media", columns_removed=("z",)),
    )


@pytest.mark.parametrize("rows_at_once", [1, 7, 40, 10_000])
def test_in_parts_a_diff_is_the_same(folder_home: Home, rows_at_once: int) -> None:
    versions = open_git(folder_home)
    first = run_once(versions, "r1", {"media": {f"k{n}": (n, "v") for n in range(60)}})
    workspace = versions.begin("r2")
    put_rows(workspace, "media", {f"k{n}": (n + n % 2, "w"[: n % 2]) for n in range(50, 90)})
    TABLES.open(workspace.table("media")).delete("x < 10")
    assert workspace.commit("second", {})
    workspace.merge()
    old, new = (TABLES.open(versions.snapshot(r).table("media")) for r in (first.id, "main"))
    parts = list(diff_parts(old, new, rows_at_once=rows_at_once))
    assert (len(parts) > 1) == (rows_at_once < 60)
    whole = sum(parts[1:], parts[0])
    assert set(whole.added.to_pylist()) == {row_id(f"k{n}") for n in range(60, 90)}
    assert set(whole.removed.to_pylist()) == {row_id(f"k{n}") for n in range(10)}
    assert set(whole.changed.to_pylist()) == {row_id(f"k{n}") for n in range(50, 60)}
    assert [len(a) for a in (whole.added, whole.removed, whole.changed)] == [30, 10, 10]
    said = [change.key for change in row_changes("things", old, new, parts)]
    assert sorted(said) == sorted(f"k{n}" for n in (*range(10), *range(50, 90)))
    nothing = list(diff_parts(None, new, rows_at_once=rows_at_once))
    assert sum(len(part.added) for part in nothing) == new.count()


def test_a_limit_holds_for_each_kind_over_all_parts(folder_home: Home) -> None:
    versions = open_git(folder_home)
    first = run_once(versions, "r1", {"media": {f"k{n}": (n, "v") for n in range(60)}})
    workspace = versions.begin("r2")
    put_rows(workspace, "media", {f"k{n}": (n + 1, "v") for n in range(30, 90)})
    TABLES.open(workspace.table("media")).delete("x < 10")
    assert workspace.commit("second", {})
    workspace.merge()
    old, new = (TABLES.open(versions.snapshot(r).table("media")) for r in (first.id, "main"))
    parts = diff_parts(old, new, rows_at_once=7)
    found = Counter(change.how for change in row_changes("media", old, new, parts, limit=4))
    assert found == {"added": 4, "removed": 4, "changed": 4}
