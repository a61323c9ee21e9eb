"""Labels through whole runs: thresholds before the merge, labels that come before their media."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.tiny_source import MEDIA, TinySource, make_tiny_source, picture

from trainset.metadata.align import AlignReport
from trainset.run import local
from trainset.run.summary import RunSummary
from trainset.tables.label_states import STATUS


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    source = make_tiny_source(tmp_path)
    source.write_spec(exports={}, columns={})
    return source


def _report(tiny: TinySource, summary: RunSummary) -> AlignReport:
    raw = tiny.home.store.get(f"runs/{summary.run_id}/alignment.json")
    return AlignReport.model_validate_json(raw)


def _tip(tiny: TinySource) -> str:
    head = tiny.home.versions.head()
    assert head is not None
    return head.id


def test_too_many_labels_without_media_are_refused_before_the_merge(tiny: TinySource) -> None:
    boxes, notes = tiny.spec_fields["metadata"]
    tiny.write_spec(metadata=[notes], gate={"orphan_records": "1%"})
    assert local.run_pipeline(tiny.spec).status == "completed"
    before = _tip(tiny)
    tiny.write_spec(metadata=[boxes, notes])
    refused = local.run_pipeline(tiny.spec)
    assert refused.status == "refused"
    assert _tip(tiny) == before
    assert tiny.open().table("annotations").count() == 2
    assert _report(tiny, refused).orphan_records == 1
    tiny.write("nowhere.png", picture(99))
    assert local.run_pipeline(tiny.spec).status == "completed"
    assert tiny.open().table("annotations").where("match = 'orphan'").count() == 0


def test_a_label_that_waits_is_matched_when_its_medium_comes_and_counts_as_unchanged(
    tiny: TinySource,
) -> None:
    tiny.write_spec(gate={"labels_changed": "0%"})
    first = local.run_pipeline(tiny.spec)
    assert first.metadata.orphan_records == 1
    assert tiny.open().table(STATUS).where("state = 'labelled'").count() == 14
    tiny.write("nowhere.png", picture(99))
    second = local.run_pipeline(tiny.spec)
    assert second.status == "completed"
    report = _report(tiny, second)
    assert (report.late_matched, report.once_matched, report.orphan_records) == (1, 0, 0)
    states = tiny.open().table(STATUS)
    assert states.where("media_key = 'cam/nowhere.png' and state = 'labelled'").count() == 1
    assert len(set(states.select(["media_id"]).to_arrow()["media_id"].to_pylist())) == MEDIA + 1
    changed = (tiny.root / "labels" / "notes.csv").read_text().replace("a first", "another")
    (tiny.root / "labels" / "notes.csv").write_text(changed)
    assert local.run_pipeline(tiny.spec).status == "refused"
