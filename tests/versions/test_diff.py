"""Diffs count rows by what happened to them, and say which columns changed."""

from __future__ import annotations

import pyarrow as pa
from version_rows import TABLES, open_git, put_rows, run_once

from trainset.home import Home
from trainset.identity import row_id
from trainset.tables.schema import computed_fields
from trainset.versions.base import TableChange
from trainset.versions.diff import changed_columns, diff_snapshots, diff_tables


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
        TableChange(table="fresh", added=2),
        TableChange(table="media", added=1, removed=1, changed=1, recomputed=1),
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
    (change,) = changed_columns("things", old, new, rows.changed)
    assert (change.key, change.columns) == ("a", {"x": (1, 2)})
