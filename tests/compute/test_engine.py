"""The engine computes what is due, once, loses no row, and keeps every finished batch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from workbench import RED, Recorder, make_home, make_table, media_row, picture

from trainset.compute.cache import open_cache
from trainset.compute.engine import PartitionResult, commit_partitions, compute_partition
from trainset.compute.functions import decode_function, register_functions
from trainset.compute.plan import add_computed_columns, is_due, plan_cells
from trainset.errors import InputError
from trainset.home import Home, open_home
from trainset.identity import hash64
from trainset.model import CellTotals
from trainset.spec import ColumnSpec
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTable, LanceTableStore
from trainset.tables.schema import finish_rows


def compute(home: Home, table: LanceTable, columns: Any, operators: Any, **how: Any) -> Any:
    """Plan, compute every partition, commit; returns totals and errors."""
    add_computed_columns(table, operators)
    plan = plan_cells(table, columns, operators, retry_failed=how.get("retry_failed", False))
    results: list[PartitionResult] = []
    with open_cache(home) as cache:
        for partition in plan.partitions:
            results.append(
                compute_partition(
                    table, partition.fragment, columns, operators, home=home, cache=cache, **how
                )
            )
    commit_partitions(table, [result.token for result in results])
    totals = sum((result.totals for result in results), CellTotals())
    return totals, [error for result in results for error in result.errors]


def cells(table: LanceTable, column: str = "red") -> dict[str, Any]:
    rows = table.scan(["key", column]).read_all().to_pylist()
    return {row["key"]: row[column] for row in rows}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path)


@pytest.fixture
def table(home: Home, tmp_path: Path) -> LanceTable:
    pieces = [
        [media_row(home, f"a/{i}", picture(i)) for i in range(6)],
        [media_row(home, f"b/{i}", picture(10 + i)) for i in range(3)],
    ]
    return make_table(home, tmp_path, pieces)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "log")


def test_every_cell_is_computed_once_and_a_second_time_nothing(
    home: Home, table: LanceTable, recorder: Recorder
) -> None:
    assert plan_cells(table, RED, {"red": recorder}).cells == 9
    totals, errors = compute(home, table, RED, {"red": recorder})
    assert (totals, errors) == (CellTotals(computed=9), [])
    assert sorted(recorder.computed()) == sorted(cells(table))
    assert cells(table)["a/2"] == 74
    version = table.version
    assert compute(home, table, RED, {"red": recorder})[0] == CellTotals()
    assert table.version == version


def test_only_new_and_changed_cells_are_computed(
    home: Home, table: LanceTable, recorder: Recorder, tmp_path: Path
) -> None:
    compute(home, table, RED, {"red": recorder})
    recorder.log.unlink()
    table.upsert(
        finish_rows(
            "media", [media_row(home, "a/1", picture(50)), media_row(home, "c/new", picture(51))]
        )
    )
    totals, _ = compute(home, table, RED, {"red": recorder})
    assert totals == CellTotals(computed=2)
    assert sorted(recorder.computed()) == ["a/1", "c/new"]
    assert cells(table)["a/1"] == 50 * 37 % 256
    assert None not in cells(table).values()


def test_another_function_makes_all_cells_stale(
    home: Home, table: LanceTable, recorder: Recorder
) -> None:
    compute(home, table, RED, {"red": recorder})
    newer = Recorder(recorder.log, version="2")
    assert plan_cells(table, RED, {"red": newer}).due == {"red": 9}
    assert compute(home, table, RED, {"red": newer})[0] == CellTotals(computed=9)
    functions = {row["red__fn"] for row in table.scan(["red__fn"]).read_all().to_pylist()}
    assert functions == {newer.function.fn_id}


def test_the_cache_is_shared_between_tables(
    home: Home, table: LanceTable, recorder: Recorder, tmp_path: Path
) -> None:
    compute(home, table, RED, {"red": recorder})
    recorder.log.unlink()
    rows = [media_row(home, "other/name", picture(3)), media_row(home, "other/x", picture(99))]
    (tmp_path / "second").mkdir()
    second = make_table(home, tmp_path / "second", [rows])
    seen: list[int] = []
    totals, _ = compute(home, second, RED, {"red": recorder}, progress=seen.append)
    assert totals == CellTotals(computed=1, cached=1)
    assert recorder.computed() == ["other/x"]
    assert cells(second)["other/name"] == cells(table)["a/3"]
    assert sum(seen) == 2


def test_copies_of_one_content_are_computed_once(
    home: Home, recorder: Recorder, tmp_path: Path
) -> None:
    rows = [media_row(home, f"copy/{i}", picture(7)) for i in range(4)]
    table = make_table(home, tmp_path, [rows])
    assert compute(home, table, RED, {"red": recorder})[0] == CellTotals(computed=1, cached=3)
    assert set(cells(table).values()) == {7 * 37 % 256}


def test_a_bad_item_costs_its_own_cell_only(home: Home, recorder: Recorder, tmp_path: Path) -> None:
    rows = [media_row(home, key, picture(i)) for i, key in enumerate(("x", "bad", "y", "poison"))]
    rows.append(media_row(home, "cut", picture(80)[:40]))
    gone = media_row(home, "gone", picture(81))
    home.store.delete(gone["uri"])
    table = make_table(home, tmp_path, [[*rows, gone]])
    totals, errors = compute(home, table, RED, {"red": recorder})
    assert totals == CellTotals(computed=3, failed=3)
    assert {(error.key, error.kind) for error in errors} == {
        ("bad#red", "op"),
        ("cut#red", "decode"),
        ("gone#red", "fetch"),
    }
    found = cells(table)
    assert len(found) == 6
    assert [key for key, value in sorted(found.items()) if value is None] == ["bad", "cut", "gone"]
    reasons = {k: json.loads(v)["message"] for k, v in cells(table, "red__err").items() if v}
    assert "'cut'" in reasons["cut"]


def test_errors_that_may_pass_are_tried_again_the_others_when_asked(
    home: Home, recorder: Recorder, tmp_path: Path
) -> None:
    rows = [media_row(home, key, picture(i)) for i, key in enumerate(("fine", "bad", "flaky"))]
    table = make_table(home, tmp_path, [rows])
    compute(home, table, RED, {"red": recorder})
    recorder.log.unlink()
    compute(home, table, RED, {"red": recorder})
    assert recorder.computed() == ["flaky"]
    recorder.log.unlink()
    compute(home, table, RED, {"red": recorder}, retry_failed=True)
    assert sorted(recorder.computed()) == ["bad", "flaky"]


def test_unreadable_rows_other_modalities_and_rows_outside_where_stay_empty(
    home: Home, recorder: Recorder, tmp_path: Path
) -> None:
    rows = [
        media_row(home, "yes", picture(1)),
        media_row(home, "broken", picture(2), unreadable="cut off"),
        media_row(home, "sound", picture(3), modality="audio"),
        media_row(home, "small", picture(4), width=3),
    ]
    table = make_table(home, tmp_path, [rows])
    wide = {"red": ColumnSpec(op="image_info", where="width > 10 or width is null")}
    assert compute(home, table, wide, {"red": recorder})[0] == CellTotals(computed=1)
    assert [key for key, value in cells(table).items() if value is not None] == ["yes"]
    wrong = {"red": ColumnSpec(op="image_info", where="wdith > 10")}
    with pytest.raises(InputError, match=r"columns\.red\.where"):
        plan_cells(table, wrong, {"red": recorder})


def test_each_medium_is_read_and_decoded_once_for_all_columns(
    home: Home, table: LanceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    real = home.read_media
    monkeypatch.setattr(home, "read_media", lambda uri, pin: (reads.append(uri), real(uri, pin))[1])
    operators = {
        "red": Recorder(tmp_path / "one"),
        "again": Recorder(tmp_path / "two", version="b"),
    }
    columns = dict.fromkeys(operators, RED["red"])
    totals, _ = compute(home, table, columns, operators)
    assert totals == CellTotals(computed=18)
    assert len(reads) == len(set(reads)) == 9


def test_a_row_that_is_due_in_one_column_keeps_its_cells_in_the_others(
    home: Home, table: LanceTable, recorder: Recorder, tmp_path: Path
) -> None:
    compute(home, table, RED, {"red": recorder})
    before = cells(table)
    operators = {
        "red": recorder,
        "late": Recorder(tmp_path / "late", version="late"),
    }
    columns = dict.fromkeys(operators, RED["red"])
    table.upsert(finish_rows("media", [media_row(home, "b/0", picture(70))]))
    assert compute(home, table, columns, operators)[0] == CellTotals(computed=10)
    after = cells(table)
    assert {k: v for k, v in after.items() if k != "b/0"} == {
        k: v for k, v in before.items() if k != "b/0"
    }
    assert after == cells(table, "late")


def test_a_column_of_another_type_needs_another_name(
    home: Home, table: LanceTable, recorder: Recorder
) -> None:
    import pyarrow as pa

    compute(home, table, RED, {"red": recorder})
    recorder.output = pa.string()  # type: ignore[misc]
    with pytest.raises(InputError, match="another name"):
        add_computed_columns(table, {"red": recorder})


def test_is_due() -> None:
    here = {"fn_id": "f", "retry_failed": False}
    src = hash64("s")
    assert is_due("s", None, None, None, **here)
    assert not is_due("s", src, "f", None, **here)
    assert is_due("s", hash64("t"), "f", None, **here)
    assert is_due("s", src, "g", None, **here)
    assert is_due("s", src, "f", '{"retryable": true}', **here)
    assert not is_due("s", src, "f", '{"retryable": false}', **here)
    assert is_due("s", src, "f", '{"retryable": false}', fn_id="f", retry_failed=True)


def test_functions_are_registered_once(recorder: Recorder) -> None:
    class Files(dict[str, bytes]):
        def list(self, prefix: str = "") -> list[str]:
            return sorted(self)

        def write(self, path: str, data: bytes) -> None:
            self[path] = data

    files = Files()
    assert register_functions(files, {"red": recorder}) == [recorder.function.fn_id]
    (stored,) = files.values()
    assert decode_function(stored).fn_id == recorder.function.fn_id
    assert register_functions(files, {"green": recorder}) == []
    assert list(files.values()) == [stored]


def test_a_killed_computation_computes_only_the_batches_in_flight_again(
    home: Home, tmp_path: Path
) -> None:
    count, batch = 32, 4
    rows = [media_row(home, f"k/{i}", picture(i)) for i in range(count)]
    table = make_table(home, tmp_path, [rows])
    log = tmp_path / "log"
    command = [sys.executable, __file__, str(tmp_path), str(log), str(batch)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for stop_at in (9, 18):
        process = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 240
        while len(log.read_text().split() if log.exists() else []) < stop_at:
            assert process.poll() is None, "the computation ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, env=environment, check=True, timeout=240)
    times = Counter(log.read_text().split())
    assert set(times) == {f"k/{i}" for i in range(count)}
    assert sum(times.values()) - count <= 2 * batch  # the batch in flight at each of two kills
    assert None not in cells(LanceTableStore().open(table.location)).values()


def _main() -> None:
    """The computation that the test above kills: the command is the same each time."""
    folder, log, batch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    home = open_home(str(folder / "home"))
    table = LanceTableStore().open(TableLocation(uri=str(folder / "media.lance")))
    operator = Recorder(log, batch_size=batch, delay_s=0.15)
    compute(home, table, RED, {"red": operator})


if __name__ == "__main__":
    _main()
