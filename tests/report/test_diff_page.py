"""The page of a diff: counts, rows with both values, and pictures of what came, went or changed."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from services.small_home import LABELS, SmallHome, make_small_home, picture

from trainset.report import diff_page


@pytest.fixture(scope="module")
def changed_home(tmp_path_factory: pytest.TempPathFactory) -> SmallHome:
    """v1, and main with one medium more, one with other bytes, and another class of a label."""
    small = make_small_home(str(tmp_path_factory.mktemp("diff") / "home"))
    labels = [{**LABELS[0], "class": "<b>van</b>", "bbox": [1.0, 2.0, 3.0, 5.0]}]
    files = {"cameras/00.png": picture(30), "cameras/new.png": picture(31)}
    small.commit("run-2", files, labels)
    return small


def test_media_are_shown_and_values_stand_side_by_side(changed_home: SmallHome) -> None:
    page = changed_home.open().diff("v1").to_html()
    assert page.count("data:image/jpeg;base64,") == 3  # the new one; the changed one, twice
    assert "before and after" in page
    assert '<td>class</td><td class="key">car</td>' in page
    assert "&lt;b&gt;van&lt;/b&gt;" in page
    assert "<b>van</b>" not in page
    assert "[1.0, 2.0, 3.0, 5.0]" in page
    assert "http" not in page.replace("http-equiv", "")


def test_what_went_is_shown_from_the_older_version(changed_home: SmallHome) -> None:
    page = changed_home.open("v1").diff("main").to_html()
    assert "<h3>Removed</h3>" in page
    assert page.count('alt="cameras/new.png"') == 1


def test_what_is_not_written_out_is_counted(
    changed_home: SmallHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_home.commit("run-3", {f"more/{n}.png": picture(n) for n in range(5)}, [])
    monkeypatch.setattr(diff_page, "ROWS", 3)
    monkeypatch.setattr(diff_page, "PICTURES", 2)
    page = changed_home.open().diff("v1").to_html()
    assert "The first 2 of 6 added." in page
    assert "… and 3 more" in page


def test_a_page_of_no_difference_says_so(changed_home: SmallHome) -> None:
    assert "No row differs." in changed_home.open().diff("main").to_html()


def test_every_row_goes_to_a_parquet_file(changed_home: SmallHome, tmp_path: Path) -> None:
    diff = changed_home.open().diff("v1")
    count = diff.to_parquet(tmp_path / "diff.parquet")
    lines = pq.read_table(tmp_path / "diff.parquet").to_pylist()
    assert len(lines) == count
    [box] = [line for line in lines if line["column"] == "bbox"]
    assert (box["table"], box["how"], box["key"]) == ("annotations", "changed", "boxes/instances/0")
    assert json.loads(box["before"]) == [1.0, 2.0, 3.0, 4.0]
    assert json.loads(box["after"]) == [1.0, 2.0, 3.0, 5.0]
    added = [line["key"] for line in lines if line["how"] == "added"]
    assert len(added) == diff.summary()["media"]["added"]
