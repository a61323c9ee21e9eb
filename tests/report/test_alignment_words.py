"""What pages and artifacts say of labels: the numbers of the report, classes drawn and marked."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.tiny_source import make_tiny_source

from trainset.model import LeftOut
from trainset.report.alignment import (
    CLASSES,
    ClassBar,
    alignment_headline,
    class_bars,
    drift_words,
    label_findings,
    quarantine_rows,
)
from trainset.report.markdown import align_markdown
from trainset.report.markdown_labels import BAR, bar
from trainset.report.plot import class_plot
from trainset.report.wording import reason_and_step
from trainset.run.local import run_pipeline

EVIL = '<img src=x onerror=alert(1)> & "q" |`pipe'


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "records": 147,
        "matched": {"filename": 100, "path": 10},
        "orphan_records": 19,
        "ambiguous": 18,
        "classes": {"car": 90, EVIL: 40, "scooter": 1},
        "classes_before": {"car": 100, EVIL: 40, "chair": 2},
        "new_classes": ["scooter"],
        "gone_classes": ["chair"],
        "class_drift": 0.125,
        "before": {"records": 142, "matched": 120, "orphan_records": 12, "ambiguous": 10},
        "sources": [
            {
                "source": "boxes",
                "records": 147,
                "matched": 110,
                "orphan_records": 19,
                "ambiguous": 18,
                "read_last": "2026-11-26T00:27:38.5+00:00",
            }
        ],
        "examples": {"orphan_records": ["boxes/a#1: gone.jpg"]},
    }


def test_the_artifact_has_the_numbers_of_the_report(report: dict[str, Any]) -> None:
    text = align_markdown(report, run_id="r1")
    assert alignment_headline(report) in text
    for words in (
        "110 of 147 label records (74.8 %) found their media file; at the commit before 120 of 142",
        "| matched by file name | 100 |",
        "| `boxes` | 147 | 110 | 19 | 18 | 2026-11-26 00:27 |",
        "12.5 % of the labels lie in other classes than at the commit before: 1 class new, 1 class "
        "gone.",
        "| `scooter` **new** | 1 | 0 |",
        "| `chair` **gone** | 0 | 2 |",
        "**19 labels whose media file is not here**",
        "Next: bring the media in",
        "… and 18 more, in `runs/r1/alignment.parquet` where `finding = 'orphan_records'`",
    ):
        assert words in text
    assert "<img" not in text


def test_one_thing_is_not_said_in_the_plural() -> None:
    [found] = label_findings({"boxes_outside": 1})
    assert found.title == "box that leaves its image by more than a pixel"


def test_without_a_commit_before_nothing_is_new_and_nothing_drifted() -> None:
    report = {"records": 2, "classes": {"car": 2}, "classes_before": None}
    assert drift_words(report) == ""
    assert class_bars(report) == ([ClassBar(name="car", count=2)], 0)


def test_a_rare_new_class_is_shown_and_the_rest_is_counted() -> None:
    classes = {f"c{i:03d}": 1000 - i for i in range(100)}
    report = {"classes": classes, "classes_before": {}, "new_classes": ["c099"]}
    bars, more = class_bars(report)
    assert (len(bars), more) == (CLASSES + 1, 100 - CLASSES - 1)
    assert (bars[-1].name, bars[-1].mark) == ("c099", "new")


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), max_size=40),
            st.integers(0, 10**9),
            st.none() | st.integers(0, 10**9),
            st.sampled_from(("", "new", "gone")),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_the_plot_is_well_formed_and_every_bar_stays_inside(rows: list[tuple[Any, ...]]) -> None:
    names = ("name", "count", "before", "mark")
    bars = [ClassBar(**dict(zip(names, row, strict=True))) for row in rows]
    root = ElementTree.fromstring(class_plot(bars))
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    assert len(root.findall("g")) == len(bars)
    for box in root.iter("rect"):
        x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x + w <= width
        assert y + h <= height


def test_the_plot_names_hostile_classes_as_text() -> None:
    drawn = class_plot([ClassBar(name=EVIL, count=3, before=1, mark="new")])
    assert "<img" not in drawn
    title = ElementTree.fromstring(drawn).find("g/title")
    assert title is not None
    assert title.text == f"{EVIL}: 3, 1 at the commit before"


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_bar_of_blocks_is_as_long_as_its_share_and_seen_when_there_is_one(
    n: int, of: int
) -> None:
    drawn = bar(min(n, of), of)
    assert len(drawn) <= BAR
    assert bool(drawn) == (n > 0)
    assert len(bar(of, of)) == BAR


def test_two_next_steps_stay_together() -> None:
    what, step = reason_and_step("x: no loop; check the disk; then: run --retry-dead")
    assert (what, step) == ("x: no loop", "check the disk, then: run --retry-dead")
    assert reason_and_step("gone; then: run") == ("gone", "then: run")


def test_set_aside_records_are_counted_by_source_and_kind_as_a_real_sync_words_them(
    tmp_path: Path,
) -> None:
    source = make_tiny_source(tmp_path, pictures=2)
    labels = tmp_path / "broken"
    labels.mkdir()
    (labels / "instances.json").write_text(
        '{"images": [{"id": 1, "file_name": "00.png", "width": 64, "height": 64}],'
        '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]},'
        '{"id": 2, "image_id": 9, "category_id": 1, "bbox": [1, 1, 2, 2]},'
        '{"id": 3, "image_id": 8, "category_id": 1, "bbox": [1, 1, 2, 2]}],'
        '"categories": [{"id": 1, "name": "star"}]}'
    )
    data = source.spec.model_dump(by_alias=True, exclude_defaults=True)
    data["metadata"] = [{"name": "boxes", "from": str(labels)}]
    for name in ("columns", "exports"):
        data.pop(name, None)
    summary = run_pipeline(type(source.spec).model_validate(data))
    assert summary.metadata.quarantined == 2
    place = "meta/boxes/instances.json/_quarantine/"
    assert quarantine_rows(summary.left_out) == [("boxes", "unknown-image", 2, place)]
    text = align_markdown({"records": 1}, left_out=summary.left_out)
    assert f"| `boxes` | unknown-image | 2 | `{place}` |" in text
    page = (Path(source.spec.home) / "report.html").read_text()
    assert place in page
    assert f"1 of {summary.metadata.rows} label record" in page


def test_a_record_set_aside_in_other_words_is_counted_all_the_same() -> None:
    item = LeftOut(key="db/t#1", stage="metadata", kind="quarantined", reason="too long; cut it")
    assert quarantine_rows([item]) == [("db", "other", 1, "")]


def test_read_times_are_told_in_utc(report: dict[str, Any]) -> None:
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC).isoformat()
    report["sources"][0]["read_last"] = at
    assert "| 2026-01-02 03:04 |" in align_markdown(report)
