"""Two runs of one dataset at the same time: both end on main, or the second says what clashes."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Literal

import pytest
from services.tiny_source import COLUMNS, MEDIA, TinySource, make_tiny_source, picture

from trainset.errors import TransientError
from trainset.model import Commit
from trainset.run import local
from trainset.run.context import RunContext, begin_run, end_run
from trainset.run.publish import publish
from trainset.run.reports import StageReport
from trainset.versions.rowmerge import RowConflicts
from trainset.versions.workspace import GitWorkspace


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    """The tiny source after its first run, without labels."""
    source = make_tiny_source(tmp_path)
    source.write_spec(exports={})
    local.run_pipeline(source.spec)
    return source


def worked(tiny: TinySource, run_id: str) -> tuple[RunContext, StageReport]:
    """A run that has done everything but publish."""
    context = local.new_context(tiny.spec, run_id=run_id)
    begin_run(context)
    return context, local.transfer(context) + local.sync(context) + local.compute(context)


def test_of_two_runs_from_one_base_all_rows_are_on_main(tiny: TinySource) -> None:
    tiny.write("a.png", picture(100))
    a, report_a = worked(tiny, "a")
    (tiny.media / "a.png").unlink()
    tiny.write("b.png", picture(101))
    tiny.write("03.png", picture(102))
    b, report_b = worked(tiny, "b")
    first = publish(a, report_a)
    assert (first.status, first.replayed, first.tag) == ("completed", 0, "v2")
    second = publish(b, report_b)
    assert (second.status, second.replayed, second.tag) == ("completed", 1, "v3")
    assert second.base == first.commit
    end_run(a)
    end_run(b)
    rows = tiny.media_rows()
    assert len(rows) == MEDIA + 2
    assert rows["03.png"]["sha256"] != tiny.media_rows("v1")["03.png"]["sha256"]
    assert all(rows[name]["phash"] for name in ("a.png", "b.png", "03.png"))
    after = local.run_pipeline(tiny.spec)  # a.png is gone meanwhile
    assert (after.transfer.sent, after.cells.computed, after.cells.cached) == (0, 0, 0)
    assert tiny.home.versions.runs() == []


def test_two_runs_that_saw_the_same_leave_main_with_one_of_each_row(tiny: TinySource) -> None:
    tiny.write("a.png", picture(100))
    tiny.write("nowhere.png", picture(101))  # a label waits for it
    a, report_a = worked(tiny, "a")
    b, report_b = worked(tiny, "b")
    # The second finds the bytes, and the cells, of the first.
    assert report_a.transfer is not None
    assert report_b.transfer is not None
    assert report_b.cells is not None
    assert (report_a.transfer.sent, report_b.transfer.sent) == (2, 0)
    assert (report_b.cells.computed, report_b.cells.cached) == (0, 2 * len(COLUMNS))
    first, second = publish(a, report_a), publish(b, report_b)
    end_run(a)
    end_run(b)
    assert (first.status, first.tag) == ("completed", "v2")
    # Main has all that the second did: no commit of nothing, no tag.
    assert (second.status, second.tag, second.commit) == ("unchanged", "v2", first.commit)
    assert {item.kind for item in second.left_out} == {"unreadable"}
    assert len(tiny.media_rows()) == MEDIA + 2
    assert local.run_pipeline(tiny.spec).status == "unchanged"


def test_when_both_runs_changed_a_row_the_second_says_so_and_nothing_is_merged(
    tiny: TinySource,
) -> None:
    tiny.write("03.png", picture(100))
    a, report_a = worked(tiny, "a")
    tiny.write("03.png", picture(101))
    tiny.write("b.png", picture(102))
    b, report_b = worked(tiny, "b")
    first = publish(a, report_a)
    with pytest.raises(RowConflicts, match=r"03\.png"):
        publish(b, report_b)
    end_run(a)
    end_run(b)
    head = tiny.home.versions.head()
    assert head is not None
    assert head.id == first.commit
    assert "b.png" not in tiny.media_rows()
    # The next run starts from main, and needs to send nothing.
    later = local.run_pipeline(tiny.spec)
    assert (later.status, later.transfer.sent) == ("completed", 0)
    assert tiny.media_rows().keys() >= {"b.png"}


@pytest.mark.parametrize("prefer", ["ours", "theirs"])
def test_a_run_that_prefers_a_side_is_merged_and_lists_what_it_settled(
    tiny: TinySource, prefer: Literal["ours", "theirs"]
) -> None:
    tiny.write("03.png", picture(100))
    a, report_a = worked(tiny, "a")
    tiny.write("03.png", picture(101))
    tiny.write("b.png", picture(102))
    b, report_b = worked(tiny, "b")
    publish(a, report_a)
    of_a = tiny.media_rows()["03.png"]["sha256"]
    b = b.model_copy(update={"prefer": prefer})
    second = publish(b, report_b)
    end_run(a)
    end_run(b)
    assert (second.status, second.replayed) == ("completed", 1)
    rows = tiny.media_rows()
    assert "b.png" in rows
    assert (rows["03.png"]["sha256"] == of_a) == (prefer == "ours")
    assert all(rows[name]["phash"] for name in ("b.png", "03.png"))
    settled = [item for item in second.left_out if item.kind == "conflict-settled"]
    assert any(item.key.endswith("03.png#sha256") for item in settled)
    assert all("main (run a) made it" in item.reason for item in settled)
    later = local.run_pipeline(tiny.spec)  # it was told once
    assert not [i for i in later.left_out if i.kind == "conflict-settled"]


def test_a_run_that_conflicts_leaves_a_summary_that_lists_every_value(tiny: TinySource) -> None:
    tiny.write("03.png", picture(100))
    a, report_a = worked(tiny, "a")
    tiny.write("03.png", picture(101))
    b = local.new_context(tiny.spec, run_id="b")

    def run() -> None:
        with local.running(b):
            report = local.transfer(b) + local.sync(b) + local.compute(b)
            publish(a, report_a)
            publish(b, report)

    with pytest.raises(RowConflicts):
        run()
    end_run(a)
    summary = json.loads(tiny.home.store.get("runs/b/summary.json"))
    assert summary["status"] == "failed"
    assert {item["kind"] for item in summary["left_out"]} == {"row-conflict"}
    assert all("run a" in item["reason"] for item in summary["left_out"])
    assert any(item["key"].endswith("03.png#sha256") for item in summary["left_out"])


def test_a_replayed_run_whose_merge_is_cut_off_is_taken_up_by_the_retry(
    tiny: TinySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write("a.png", picture(100))
    a, report_a = worked(tiny, "a")
    tiny.write("b.png", picture(101))
    b, report_b = worked(tiny, "b")
    publish(a, report_a)
    merge, calls = GitWorkspace.merge, []

    def faulty(workspace: GitWorkspace) -> Commit:
        calls.append(workspace.run_id)
        if len(calls) == 2:  # the replayed branch
            raise TransientError("the store is busy")
        return merge(workspace)

    monkeypatch.setattr(GitWorkspace, "merge", faulty)
    with pytest.raises(TransientError):
        publish(b, report_b)
    second = publish(b, report_b)  # as the task does
    assert (second.status, second.tag) == ("completed", "v3")
    assert tiny.media_rows().keys() >= {"a.png", "b.png"}
    end_run(a)
    end_run(b)
    assert tiny.home.versions.runs() == []


def test_runs_that_begin_at_the_same_moment_all_begin(tiny: TinySource) -> None:
    contexts = [local.new_context(tiny.spec, run_id=f"run.{n}") for n in range(8)]
    gate, faults = threading.Barrier(len(contexts)), []

    def begin(context: RunContext) -> None:
        gate.wait()
        try:
            begin_run(context)
        except BaseException as err:
            faults.append(err)

    threads = [threading.Thread(target=begin, args=(context,)) for context in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert set(tiny.home.versions.runs()) == {context.run_id for context in contexts}
    for context in contexts:
        end_run(context)
    # They ended without a merge or a discard: kept for a look, not taken for crashed.
    local.run_pipeline(tiny.spec)
    assert set(tiny.home.versions.runs()) == {context.run_id for context in contexts}
