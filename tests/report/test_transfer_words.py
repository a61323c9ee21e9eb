"""The transfer report: its numbers are the run's, and each thing is said once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from trainset.model import LeftOut, TransferTotals
from trainset.report.markdown import transfer_markdown
from trainset.transfer.base import Outcome, SourceFile, failed, skipped
from trainset.transfer.report_facts import FactsOf

AT = datetime(2026, 11, 26, 1, 0, tzinfo=UTC)


def file(key: str, size: int = 1_000_000) -> SourceFile:
    source, _, path = key.partition("/")
    return SourceFile(
        key=key, source=source, path=path, uri=f"/x/{path}", size=size, version="1", modified=AT
    )


def facts_of(outcomes: list[Outcome]) -> FactsOf:
    seen = FactsOf()
    for outcome in outcomes:
        seen.add(outcome)
    return seen


def sent(key: str, ends_at_s: float, *, took_ms: int) -> Outcome:
    return Outcome(
        file=file(key),
        status="sent",
        uri="media/aa/bb",
        moved_bytes=1_000_000,
        duration_ms=took_ms,
        at=AT + timedelta(seconds=ends_at_s),
        verified="L3",
    )


def test_facts_add_up_by_source_and_tell_how_long_it_took() -> None:
    facts = facts_of(
        [
            sent("cam/a.jpg", 1, took_ms=1000),
            sent("cam/b.jpg", 4, took_ms=500),
            skipped(file("mic/c.wav"), "skipped-by-rule", "copies are not for training", route="d"),
            failed(file("mic/d.wav"), "input", "no; mend it"),
        ]
    ).facts()
    cam, mic = facts.sources
    assert (cam.source, cam.sent, cam.bytes, cam.failed) == ("cam", 2, 2_000_000, 0)
    assert (mic.source, mic.skipped, mic.failed, mic.bytes) == ("mic", 1, 1, 0)
    assert facts.seconds == 4.0
    assert facts.turned_away == 1
    assert facts_of([]).facts().seconds is None


def test_the_artifact_tells_rules_apart_from_what_is_there_and_every_step_once() -> None:
    facts = facts_of(
        [
            sent("cam/a.jpg", 1, took_ms=1000),
            skipped(file("cam/c.jpg"), "skipped-by-rule", "copies are not for training", route="d"),
            failed(file("cam/d.jpg"), "input", "x"),
        ]
    ).facts()
    item = LeftOut(
        key="cam/d.jpg", stage="transfer", kind="input", reason="loop; mend it; then: --retry-dead"
    )
    report = SimpleNamespace(
        transfer=TransferTotals(planned=9, sent=1, skipped=7, failed=1, bytes=1_000_000),
        left_out=(item,),
    )
    text = transfer_markdown(report, facts, run_id="r1", home="b2://b/home", provenance="ab" * 32)
    for words in (
        "| there already | 6 |",
        "| passed over by a rule | 1 |",
        "| **seen at the sources** | **9** |",
        "| speed | 1.0 MB/s, 1.0 files/s over 1.0 s |",
        "| verified | 1 at L3 (read back and hashed) |",
        "| provenance head | `abababababababab` |",
        "| `cam` | 1 | 1 | 0 | 0 | 1 | 976.6 KiB |",
        "**Files that a rule passes over: 1.** First `cam/c.jpg`: copies are not for training.",
        "| `cam/d.jpg` | loop | mend it, then: --retry-dead |",
        "`runs/r1/transfer.parquet`",
        "`trainset dead-letters b2://b/home`",
    ):
        assert words in text
    assert text.count("cam/d.jpg") == 1


def test_a_step_that_all_share_is_said_once() -> None:
    items = tuple(
        LeftOut(key=f"cam/{i}.jpg", stage="transfer", kind="transient", reason="busy; wait")
        for i in range(3)
    )
    report = SimpleNamespace(transfer=TransferTotals(planned=3, deferred=3), left_out=items)
    text = transfer_markdown(report)
    assert text.count("wait.") == 1
    assert "| `cam/2.jpg` | busy |" in text
