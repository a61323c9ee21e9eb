"""The terminal's and Prefect's versions of the report."""

from __future__ import annotations

from types import SimpleNamespace

from trainset.metadata.align import AlignReport
from trainset.model import LeftOut, RunSummary, TransferTotals
from trainset.report import Hit, Search, text_summary
from trainset.report.markdown import (
    align_markdown,
    gate_markdown,
    run_markdown,
    transfer_markdown,
)
from trainset.spec import DatasetSpec


def test_the_terminal_text_names_everything_a_user_asks_for(
    summary: RunSummary, spec: DatasetSpec
) -> None:
    searches = [
        Search(kind="text", query="a red bus", hits=(Hit(key="cameras/b.jpg", score=0.31),)),
        Search(kind="filter", query="width > 600", hits=(Hit(key="cameras/c.jpg", text="car"),)),
        Search(kind="words", query="stop", note="no picture holds it"),
    ]
    text = text_summary(
        summary, spec=spec, searches=searches, notes=["n"], report="out/report.html", seconds=207
    )
    for words in (
        "street-scenes: completed in 3 min 27 s",
        "commit 0f3c9a0f3c9a   tag v1",
        "1,201 files (0 B), 10 same bytes as another",
        "4,300 of 4,312 label records",
        "6,010 values, 4 failed",
        "Labels whose media file is not here: 16",
        "… and 13 more, in the report",
        "→ replace the file at its source",
        "reported by earlier runs already: 3",
        "pictures that show a red bus",
        " 0.310  cameras/b.jpg",
        "cameras/c.jpg   car",
        "no picture holds it",
        "s3://bucket/street-scenes/exports/shards",
        "out/report.html",
        "trainset query s3://bucket/street-scenes --ref v1",
    ):
        assert words in text


def test_a_failed_run_says_why_and_offers_no_commands_that_cannot_work(spec: DatasetSpec) -> None:
    text = text_summary(RunSummary(run_id="r", status="failed", error="disk full"), spec=spec)
    assert "disk full" in text
    assert "The run failed" in text
    assert "trainset query" not in text


def test_no_line_but_keys_is_wider_than_the_terminal(
    summary: RunSummary, spec: DatasetSpec
) -> None:
    wide = [line for line in text_summary(summary, spec=spec).splitlines() if len(line) > 110]
    assert not wide


def rows(markdown: str) -> list[int]:
    """Cells of each table line, unescaped bars only."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [line.replace("\\|", "").count("|") for line in lines]


def test_markdown_tables_hold_whatever_a_key_holds(summary: RunSummary) -> None:
    text = run_markdown(summary)
    assert set(rows(text)) <= {3, 4}
    assert "<script>" not in text
    assert "a\\|b.mp4" in text


def test_transfer_markdown_says_when_totals_do_not_balance() -> None:
    assert "The totals balance." in transfer_markdown(TransferTotals(planned=1, sent=1))
    assert "do not balance" in transfer_markdown(TransferTotals(planned=2, sent=1))


def test_transfer_markdown_takes_a_stage_report() -> None:
    item = LeftOut(key="a.jpg", stage="transfer", kind="source-changed", reason="changed; wait")
    report = SimpleNamespace(transfer=TransferTotals(planned=1, deferred=1), left_out=(item,))
    text = transfer_markdown(report)
    assert "| waiting for the next run | 1 |" in text
    assert "| `a.jpg` | changed | wait |" in text


def test_align_markdown_counts_first_and_lists_what_is_odd() -> None:
    report = AlignReport(
        records=1200,
        matched={"path": 1190, "near": 4},
        ambiguous=6,
        boxes_outside=12,
        new_classes=("tram",),
        candidates={"a.jpg": ("north/a.jpg", "south/a.jpg")},
        examples={"boxes_outside": ("boxes/instances#1: a<b>.jpg",)},
    ).model_dump()
    for text in (align_markdown(report), align_markdown(SimpleNamespace(alignment=report))):
        assert "| label records | 1,200 |" in text
        assert "| matched by path | 1,190 |" in text
        assert "| fit several files: not guessed | 6 |" in text
        assert "**12 boxes that leave their image by more than a pixel**" in text
        assert "- boxes/instances#1: a&lt;b&gt;.jpg" in text
        assert "… and 11 more" in text
        assert "- tram" in text
        assert "- a.jpg fits north/a.jpg, south/a.jpg" in text
    assert align_markdown({}) == "There are no labels."


def test_gate_markdown_says_where_main_is() -> None:
    row = SimpleNamespace(check="unreadable", value="3%", limit="1%", verdict="refused")
    refused = SimpleNamespace(
        status="refused",
        commit=None,
        tag=None,
        gate=(row,),
        reasons=("unreadable 3% > 1%",),
        waits=None,
        decision=None,
    )
    text = gate_markdown(refused)
    assert "main stays where it was" in text
    assert "| unreadable | refused | 3% | 1% |" in text
    passed = SimpleNamespace(
        status="completed",
        commit="0f3c9a0f3c9aff",
        tag="v1",
        gate=(),
        reasons=(),
        waits=None,
        decision=None,
    )
    assert "main moved to `0f3c9a0f3c9a`, tagged `v1`" in gate_markdown(passed)
    waiting = SimpleNamespace(**{**vars(passed), "status": "waiting", "waits": "1f3c9a0f3c9aff"})
    assert "until somebody approves `1f3c9a0f3c9a`" in gate_markdown(waiting)
