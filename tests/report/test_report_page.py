"""The HTML page: self-contained, safe, and it says what a stranger needs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from trainset.model import LeftOut, RunSummary
from trainset.report.model import DatasetFacts, Hit, Search
from trainset.report.page import ROWS, render
from trainset.spec import DatasetSpec

EVIL = "<script>alert(1)</script>"
DOT = "data:image/jpeg;base64,AAAA"


class Reader(HTMLParser):
    """Collects tags, attributes and visible text, and checks that tags are closed in order."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(v) for k, v in attrs if k in ("src", "href", "action", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture
def parts(summary: RunSummary, facts: DatasetFacts, spec: DatasetSpec) -> dict[str, Any]:
    search = Search(
        kind="image", query="cameras/a.jpg", hits=(Hit(key="cameras/b.jpg", score=0.91),)
    )
    return {
        "summary": summary,
        "facts": facts,
        "spec": spec,
        "made": datetime(2026, 11, 22, 14, 30, tzinfo=UTC),
        "commit": summary.commit,
        "thumbs": {"cameras/a.jpg": DOT},
        "align_report": {"duplicates": 3, "examples": {"duplicates": ["a.jpg: box 'car'"]}},
        "gate": (),
        "notes": ["Text search is off."],
        "searches": [search, Search(kind="words", query="stop", note="no picture holds it")],
        "timings": {"transfer": 12.3},
        "known": [],
    }


def test_the_page_loads_nothing_and_runs_nothing(parts: dict[str, Any]) -> None:
    page = render(**parts)
    found = Reader(page)
    assert not found.open, "every tag is closed"
    assert {"script", "link", "iframe", "form"}.isdisjoint(found.tags)
    assert all(load.startswith(("data:", "#")) for load in found.loads)
    assert "@import" not in page
    assert "url(" not in page


def test_names_from_outside_are_text_never_markup(parts: dict[str, Any]) -> None:
    page = render(**parts)
    assert EVIL not in page
    assert EVIL in "".join(Reader(page).text)


def test_the_page_says_version_counts_reasons_and_next_steps(parts: dict[str, Any]) -> None:
    text = re.sub(r"\s+", " ", " ".join(Reader(render(**parts)).text))
    for words in (
        "street-scenes v1 completed",
        "commit 0f3c9a0f3c9a",
        "22 November 2026, 14:30 UTC",
        "1,205 media files",
        "s3://bucket/street-scenes",
        "Text search is off.",
        "16 Labels whose media file is not here",
        "it ends after 20 bytes replace the file at its source",
        "3 items that earlier runs reported already are still left out",
        "person",
        "ViT-B-32/laion2b",
        "score 0.910",
        "3 labels that say again what another label says Next: delete one of the two at its source",
        "a.jpg: box 'car' … and 2 more, in alignment.parquet where finding = 'duplicates'",
        "no picture holds it",
        "740 samples, WebDataset tar shards",
        "train 80%, val 10%, test 10%",
        "trainset.open('s3://bucket/street-scenes', ref='v1')",
    ):
        assert words in text


def test_a_run_without_a_commit_still_has_a_page(parts: dict[str, Any]) -> None:
    failed = RunSummary(run_id="r", status="failed", error="OSError: disk full")
    page = render(**{**parts, "summary": failed, "facts": None, "commit": None, "made": None})
    text = " ".join(Reader(page).text)
    assert "The run failed; main stays where it was." in text
    assert "OSError: disk full" in text
    assert "Nothing new was left out." in text


def test_known_items_are_listed_but_folded(parts: dict[str, Any]) -> None:
    item = LeftOut(key="old.jpg", stage="transfer", kind="unreadable", reason="cut off; mend it")
    page = render(**{**parts, "known": [item]})
    folded = page[page.index("1 item that earlier runs reported already") :]
    assert "old.jpg" in folded
    assert "<details><summary>1 item that earlier" in page


def test_a_hundred_thousand_left_out_items_do_not_swell_the_page(parts: dict[str, Any]) -> None:
    items = tuple(
        LeftOut(key=f"k{i:06d}", stage="metadata", kind="orphan-record", reason="no medium; x")
        for i in range(100_000)
    )
    page = render(**{**parts, "summary": parts["summary"].model_copy(update={"left_out": items})})
    assert len(page) < 200_000
    assert f"{100_000 - ROWS:,} more" in page
