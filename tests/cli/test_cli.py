"""The console command: answers on stdout alone, and exit codes."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from services.small_home import make_small_home, picture

from trainset.cli import main
from trainset.identity import row_id

Run = Any


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*argv: str) -> tuple[int, str, str]:
        status = main(argv)
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def own_home(home_url: str, tmp_path: Path) -> str:
    """A copy that a test may write to."""
    shutil.copytree(home_url, tmp_path / "home")
    return str(tmp_path / "home")


def as_json(answer: tuple[int, str, str]) -> Any:
    status, out, err = answer
    assert (status, err) == (0, "")
    return json.loads(out)


def test_query_gives_rows_as_json_csv_and_table(run: Run, home_url: str) -> None:
    where = ("--where", "annotations.class = 'car' and width >= 200", "--select", "key,width,clip")
    [row] = as_json(run("query", home_url, *where, "--format", "json"))
    assert (row["key"], row["width"], len(row["clip"])) == ("cam/2.jpg", 200, 16)
    _, out, _ = run("query", home_url, *where, "--format", "csv")
    assert next(csv.DictReader(io.StringIO(out)))["key"] == "cam/2.jpg"
    _, out, _ = run("query", home_url, *where)
    assert out.splitlines()[0].split() == ["key", "width", "clip"]
    assert "<16 floats>" in out


def test_query_without_select_leaves_bookkeeping_out(run: Run, home_url: str) -> None:
    rows = as_json(run("query", home_url, "--format", "json"))
    assert len(rows) == 4
    assert {"row_id", "key", "uri", "text", "ingested_at"} <= set(rows[0])
    assert not {"clip", "clip__fn", "text__src", "row_fp"} & set(rows[0])
    labels = as_json(run("query", home_url, "--table", "annotations", "--format", "json"))
    assert labels[0]["bbox"] == [1.0, 2.0, 3.0, 4.0]


def test_a_cut_table_says_so_on_stderr(run: Run, home_url: str) -> None:
    status, out, err = run("query", home_url, "--limit", "2")
    assert status == 0
    assert len(out.splitlines()) == 4
    assert "2 of 4 rows" in err


def test_an_older_ref_gives_older_answers(run: Run, home_url: str) -> None:
    for ref, rows in (("v1", 3), ("v2", 4)):
        assert len(as_json(run("query", home_url, "--ref", ref, "--format", "json"))) == rows


def test_search_by_words_has_scores_best_first(run: Run, home_url: str) -> None:
    rows = as_json(run("search", home_url, "stop", "--words", "-k", "2", "--format", "json"))
    assert [row["key"] for row in rows] == ["cam/3.jpg", "cam/1.jpg"]
    assert rows[0]["_score"] > rows[1]["_score"]


def test_log_and_show_tell_commits_tables_and_fill(run: Run, home_url: str) -> None:
    commits = as_json(run("log", home_url, "--format", "json"))
    assert [c["tags"] for c in commits] == [["v2"], ["v1"]]
    assert len(as_json(run("log", home_url, "--limit", "1", "--format", "json"))) == 1
    shown = as_json(run("show", home_url, "v1", "--format", "json"))
    assert {t["name"]: t["rows"] for t in shown["tables"]} == {"annotations": 2, "media": 3}
    columns = {c["name"]: c for t in shown["tables"] for c in t["columns"]}
    assert (columns["text"]["operator"], columns["text"]["filled"]) == ("ocr", 3)
    _, out, _ = run("show", home_url, "--ref", "v2")
    assert "media: 4 rows" in out
    assert "ViT-T/test" in out


def test_diff_counts_rows_between_two_refs(run: Run, home_url: str) -> None:
    found = as_json(run("diff", home_url, "v1", "v2", "--format", "json"))
    assert [(t["table"], t["added"]) for t in found["tables"]] == [("annotations", 1), ("media", 1)]
    _, out, _ = run("diff", home_url, "v1")
    assert out.startswith("v1 (")
    _, out, _ = run("diff", home_url, "v1", "v1")
    assert "no row differs" in out


def test_diff_lists_rows_of_a_table_up_to_a_limit_that_is_said(run: Run, home_url: str) -> None:
    asked = ("diff", home_url, "v2", "v1", "--table", "media")
    assert as_json(run(*asked, "--format", "json")) == [
        {
            "table": "media",
            "how": "removed",
            "row_id": row_id("cam/4.jpg"),
            "key": "cam/4.jpg",
            "column": None,
            "before": None,
            "after": None,
        }
    ]
    status, out, err = run(*asked)
    assert (status, err) == (0, "")
    assert out.splitlines()[2].split() == ["how", "key"]
    assert out.splitlines()[4].split() == ["removed", "cam/4.jpg"]


def test_a_limit_of_diff_says_what_it_leaves_out(run: Run, tmp_path: Path) -> None:
    small = make_small_home(str(tmp_path / "home"))
    small.commit("run-2", {f"new/{n}.png": picture(n) for n in range(21)}, [])
    asked = ("diff", small.home.url, "v1", "--table", "media")
    _, out, err = run(*asked)
    assert out.count("added") == 20
    assert err == "trainset: 20 of 21 rows added; say --limit 21 for all\n"
    assert run(*asked, "--limit", "21")[2] == ""
    assert len(as_json(run(*asked, "--format", "json"))) == 21


def test_diff_writes_a_page_or_every_row(run: Run, home_url: str, tmp_path: Path) -> None:
    page, rows = tmp_path / "diff.html", tmp_path / "diff.parquet"
    status, _, err = run("diff", home_url, "v1", "--out", str(page))
    assert status == 0
    assert str(page) in err
    assert "cam/4.jpg" in page.read_text()
    _, out, _ = run("diff", home_url, "v1", "--out", str(rows), "--format", "json")
    assert json.loads(out)["lines"] == 2
    lines = pq.read_table(rows).to_pylist()
    assert {(line["table"], line["how"]) for line in lines} == {
        ("annotations", "added"),
        ("media", "added"),
    }
    with pytest.raises(SystemExit):
        run("diff", home_url, "v1", "--out", str(tmp_path / "diff.txt"))


def test_lineage_tells_where_a_row_comes_from(run: Run, home_url: str) -> None:
    found = as_json(run("lineage", home_url, "cam/1.jpg", "--format", "json"))
    assert found["row_id"] == row_id("cam/1.jpg")
    _, out, _ = run("lineage", home_url, row_id("cam/4.jpg"))
    assert "/nas/4.jpg" in out
    assert "failed by ocr" in out
    assert "the page is black" in out


def test_verify_hashes_again_and_names_what_is_wrong(run: Run, own_home: str) -> None:
    report = as_json(run("verify", own_home, "--format", "json"))
    assert report["ok"]
    assert (report["checked"], report["root_hash"]) == (4, report["recorded_root_hash"])
    assert report["runs"] == 2
    assert as_json(run("verify", own_home, "--sample", "2", "--format", "json"))["checked"] == 2
    rows = as_json(run("query", own_home, "--format", "json"))
    uris = {row["key"]: row["uri"] for row in rows}
    for key, body in (("cam/1.jpg", b"other bytes"), ("cam/2.jpg", None)):
        path = Path(own_home) / uris[key]
        path.chmod(0o644)
        path.unlink() if body is None else path.write_bytes(body)
    status, out, err = run("verify", own_home, "--format", "json")
    assert status == 1
    kinds = {fault["key"]: fault["kind"] for fault in json.loads(out)["faults"]}
    assert kinds == {"cam/1.jpg": "checksum-mismatch", "cam/2.jpg": "not-found"}
    assert "cam/1.jpg" in err


def test_rollback_makes_main_what_it_was(run: Run, own_home: str) -> None:
    before = as_json(run("log", own_home, "--format", "json"))[0]["id"]
    status, out, said = run("rollback", own_home, "--to", "v1", "--format", "json")
    assert status == 0
    commit = json.loads(out)["id"]
    assert f"trainset rollback {own_home} --to {before[:12]}" in said
    _, table, _ = run("rollback", own_home, "--to", before[:12])
    (row,) = [line.split() for line in table.splitlines() if " media " in line]
    assert row[2:] == ["1", "0", "0", "0"]
    run("rollback", own_home, "--to", "v1")
    commit = as_json(run("log", own_home, "--format", "json"))[0]["id"]
    assert len(as_json(run("query", own_home, "--format", "json"))) == 3
    assert len(as_json(run("query", own_home, "--ref", "v2", "--format", "json"))) == 4
    assert as_json(run("log", own_home, "--format", "json"))[0]["id"] == commit


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("query", "--where", "nope = 1"), "the columns are row_id, key"),
        (("query", "--ref", "v11"), "'v11' is no branch, tag or commit"),
        (("query", "--table", "frames"), "has no table 'frames'"),
        (("lineage", "cam/9"), "no row 'cam/9'"),
        (("search", "--image", "no-such.jpg"), "no-such.jpg"),
        (("export", "--name", "x"), "has no export 'x'"),
    ],
)
def test_errors_are_one_line_on_stderr_and_exit_1(
    run: Run, home_url: str, argv: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainset.compute import registry

    monkeypatch.setattr(registry, "encoder_for", lambda function, **_: object())  # needs weights
    status, out, err = run(argv[0], home_url, *argv[1:])
    assert (status, out) == (1, "")
    assert err.startswith("trainset: ")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "argv", [(), ("query",), ("search", "home"), ("query", "home", "--limit", "-1"), ("nope",)]
)
def test_usage_errors_exit_2(argv: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
