"""Runs whose main moved: their changes are replayed, and no row of either side is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest
from version_rows import TABLES, Reopen, held, open_git, open_or_create, put_rows, run_once

from trainset.home import Home
from trainset.tables.schema import ANNOTATIONS, computed_fields, finish_rows
from trainset.versions.base import MainMoved
from trainset.versions.filemerge import FileConflicts
from trainset.versions.replay import replay
from trainset.versions.rowmerge import RowConflicts


def fill(place: Any, values: dict[str, float]) -> None:
    """Compute column ``c`` of table media for some keys."""
    table = TABLES.open(place.table("media"))
    table.add_columns(computed_fields("c", pa.float64()))
    for fragment in table.fragments():
        rows = table.read_fragment(fragment, ["row_id", "key"]).to_pylist()
        cells = [
            {
                "row_id": r["row_id"],
                "c": values[r["key"]],
                "c__src": 1,
                "c__fn": "f",
                "c__err": None,
            }
            for r in rows
            if r["key"] in values
        ]
        if cells:
            fields = [pa.field("row_id", pa.string()), *computed_fields("c", pa.float64())]
            made = pa.Table.from_pylist(cells, schema=pa.schema(fields))
            table.commit_fills([table.stage_fill(fragment, made)])


def cells(place: Any) -> dict[str, float | None]:
    found = TABLES.open(place.table("media")).scan(["key", "c"]).read_all().to_pylist()
    return {row["key"]: row["c"] for row in found}


def labels(place: Any, source: str, stream: str, texts: dict[str, str]) -> None:
    rows: list[dict[str, object]] = [
        {
            "row_id": f"{source}-{stream}-{record}",
            "source": source,
            "stream": stream,
            "record_id": record,
            "text": text,
        }
        for record, text in texts.items()
    ]
    open_or_create(place.table("annotations"), ANNOTATIONS).upsert(finish_rows("annotations", rows))


def texts(place: Any) -> dict[str, str]:
    found = TABLES.open(place.table("annotations")).scan(["row_id", "text"]).read_all()
    return {row["row_id"]: row["text"] for row in found.to_pylist()}


def test_two_runs_from_one_base_leave_all_rows_of_both(reopen: Reopen, tmp_path: Path) -> None:
    versions = reopen()
    start = {f"k{n}": (n, "v") for n in range(6)}
    run_once(versions, "r1", {"media": start})
    part = tmp_path / "part"
    part.write_bytes(b"events")
    one, two = versions.begin("one"), versions.begin("two")
    put_rows(one, "media", {"k0": (100, "v"), "new1": (1, "n")})
    TABLES.open(one.table("media")).delete("key = 'k5'")
    one.write("_meta/functions/a.json", b"a")
    put_rows(two, "media", {"k0": (0, "changed"), "k1": (11, "v"), "new2": (2, "n")})
    put_rows(two, "only-two", {"z": (1, "z")})
    TABLES.open(two.table("media")).delete("key = 'k4'")
    fill(two, {"k1": 1.5, "k2": 2.5, "k5": 5.5})
    two.write("_meta/functions/b.json", b"b")
    two.write("_meta/left_out.json", b"two")
    two.put_file("provenance/two/events.parquet", part)
    for workspace in (one, two):
        assert workspace.commit("work", {}) is not None
    one.merge()
    with pytest.raises(MainMoved):
        two.merge()

    again, moved, _ = replay(versions, two)
    assert moved == ()
    assert "two" not in versions.runs()
    assert again.commit("work, replayed", {}) is not None
    again.merge()
    main = reopen().snapshot("main")
    expected = {
        "k0": (100, "changed"),  # both changed the row, each another column
        "k1": (11, "v"),
        "k2": (2, "v"),
        "k3": (3, "v"),
        "new1": (1, "n"),
        "new2": (2, "n"),
    }
    assert held(main, "media") == expected
    assert cells(main) == {**dict.fromkeys(expected), "k1": 1.5, "k2": 2.5}
    assert held(main, "only-two") == {"z": (1, "z")}
    assert main.list() == [
        "_meta/functions/a.json",
        "_meta/functions/b.json",
        "_meta/left_out.json",
        "provenance/two/events.parquet",
    ]
    assert main.fetch("provenance/two/events.parquet").read_bytes() == b"events"
    assert versions.runs() == []


def test_a_run_that_main_already_holds_replays_to_nothing(reopen: Reopen) -> None:
    versions = reopen()
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    workspace = versions.begin("two")
    put_rows(workspace, "media", {"b": (2, "two")})
    run_once(versions, "r2", {"media": {"b": (2, "two")}})
    again, *_ = replay(versions, workspace)
    assert again.commit("nothing", {}) is None


def test_the_first_two_runs_of_a_home_are_merged_by_row(reopen: Reopen) -> None:
    versions = reopen()
    workspace = versions.begin("two")
    put_rows(workspace, "media", {"b": (2, "two")})
    assert workspace.commit("two", {})
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    with pytest.raises(MainMoved):
        workspace.merge()
    again, *_ = replay(versions, workspace)
    assert again.commit("two", {})
    again.merge()
    assert held(versions.snapshot("main"), "media") == {"a": (1, "one"), "b": (2, "two")}


def test_conflicting_rows_stop_the_replay_and_lose_nothing(folder_home: Home) -> None:
    versions = open_git(folder_home)
    run_once(versions, "r1", {"media": {"a": (1, "one"), "b": (2, "two")}})
    workspace = versions.begin("two")
    put_rows(workspace, "media", {"a": (3, "one")})
    TABLES.open(workspace.table("media")).delete("key = 'b'")
    run_once(versions, "r2", {"media": {"a": (4, "one"), "b": (9, "two")}})
    with pytest.raises(
        RowConflicts, match=r"'4' here \(run \w+\), '3' there \(run two\)"
    ) as caught:
        replay(versions, workspace)
    found = {(c.key, c.column, c.ours, c.theirs) for c in caught.value.conflicts}
    assert found == {("a", "x", "4", "3"), ("b", None, "changed", "removed")}
    assert versions.runs() == ["two"]
    assert held(versions.begin("two"), "media") == {"a": (3, "one")}


@pytest.mark.parametrize("prefer", ["ours", "theirs"])
def test_a_preferred_side_settles_conflicts_and_lists_them(
    reopen: Reopen, prefer: Literal["ours", "theirs"]
) -> None:
    versions = reopen()
    run_once(versions, "r1", {"media": {"a": (1, "one"), "b": (2, "two"), "c": (3, "x")}})
    workspace = versions.begin("two")
    put_rows(workspace, "media", {"a": (3, "one"), "c": (33, "x"), "d": (5, "five")})
    TABLES.open(workspace.table("media")).delete("key = 'b'")
    other = versions.begin("r2")
    put_rows(other, "media", {"a": (4, "main"), "b": (9, "two")})
    TABLES.open(other.table("media")).delete("key = 'c'")
    other.write("notes.json", b"ours")
    assert other.commit("r2", {"run_id": "the-other-run"})
    other.merge()
    with pytest.raises(RowConflicts, match=r"here \(run the-other-run\), '3' there \(run two\)"):
        replay(versions, workspace)
    workspace.write("notes.json", b"theirs")
    replayed = replay(versions, versions.begin("two"), prefer=prefer)
    again = replayed.workspace
    expected = (
        {"a": (4, "main"), "b": (9, "two"), "d": (5, "five")}
        if prefer == "ours"
        else {"a": (3, "main"), "c": (33, "x"), "d": (5, "five")}
    )
    assert held(again, "media") == expected
    assert again.read("notes.json") == prefer.encode()
    assert {(c.key, c.column) for c in replayed.settled} == {
        ("a", "x"),
        ("b", None),
        ("c", None),
        ("notes.json", None),
    }
    (first,) = (c for c in replayed.settled if c.key == "a")
    assert (first.ours_run, first.theirs_run) == ("the-other-run", "two")
    assert again.commit("two", {})
    again.merge()
    assert held(reopen().snapshot("main"), "media") == expected


def test_a_stream_that_moved_on_both_sides_is_mains(folder_home: Home) -> None:
    versions = open_git(folder_home)
    workspace = versions.begin("r1")
    labels(workspace, "boxes", "s", {"1": "old"})
    labels(workspace, "other", "s", {"1": "old"})
    for source in ("boxes", "other"):
        workspace.write(f"meta/{source}/s/_state.json", b"1")
    assert workspace.commit("first", {})
    workspace.merge()

    late = versions.begin("late")
    labels(late, "boxes", "s", {"1": "late", "2": "late"})
    labels(late, "other", "s", {"1": "late"})
    for source in ("boxes", "other"):
        late.write(f"meta/{source}/s/_state.json", b"late")
    late.write("meta/boxes/s/part-late.parquet", b"late")
    early = versions.begin("early")
    labels(early, "boxes", "s", {"1": "early", "3": "early"})
    early.write("meta/boxes/s/_state.json", b"early")
    assert early.commit("early", {})
    early.merge()

    again, moved, _ = replay(versions, late)
    assert moved == (("boxes", "s"),)
    assert texts(again) == {"boxes-s-1": "early", "boxes-s-3": "early", "other-s-1": "late"}
    assert again.read("meta/boxes/s/_state.json") == b"early"
    assert again.read("meta/other/s/_state.json") == b"late"
    assert "meta/boxes/s/part-late.parquet" not in again.list()


def test_files_without_a_rule_conflict_and_say_which(folder_home: Home) -> None:
    versions = open_git(folder_home)
    late = versions.begin("late")
    late.write("notes.json", b"late")
    late.write("_meta/functions/f.json", b"late")
    early = versions.begin("early")
    early.write("notes.json", b"early")
    early.write("_meta/functions/f.json", b"early")
    assert early.commit("early", {})
    early.merge()
    with pytest.raises(FileConflicts, match=r"notes\.json"):
        replay(versions, late)
    late.remove("notes.json")
    again, *_ = replay(versions, late)
    assert again.read("_meta/functions/f.json") == b"early"
