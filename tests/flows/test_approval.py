"""Main moves on somebody's word: what is asked, what each answer does, and when it is too late."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from services.lakefs_homes import LakeFSHomes
from services.tiny_source import MEDIA, TinySource, make_tiny_source, picture

from flows.__main__ import main
from trainset.errors import InputError, SpecError
from trainset.home import Home
from trainset.model import Decision
from trainset.run.approval import decide
from trainset.run.context import KEEP, KEPT
from trainset.run.local import decide_run, new_context, run_pipeline, running
from trainset.run.waiting import as_waited, choose_waiting, waiting_runs
from trainset.spec import parse_spec

YES = Decision(approved=True, by="maria", note="looked at the new ones")
NO = Decision(approved=False, by="jon", note="one is upside down")


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    """The tiny source without columns; every change is to be approved."""
    source = make_tiny_source(tmp_path)
    source.write_spec(columns={}, gate={"approve": "always"})
    return source


@pytest.fixture(params=["git", "lakefs"])
def anywhere(request: pytest.FixtureRequest, tiny: TinySource, tmp_path: Path) -> TinySource:
    """``tiny`` in each version store."""
    if request.param == "lakefs":
        homes: LakeFSHomes = request.getfixturevalue("lakefs_in_a_folder")
        tiny.write_spec(home=homes.new_root(), versions=homes.new_url())
    return tiny


def summary_of(home: Home, run_id: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(home.store.get(f"runs/{run_id}/summary.json"))
    return summary


def test_main_moves_to_the_very_commit_that_was_approved(anywhere: TinySource) -> None:
    asked = run_pipeline(anywhere.spec)
    assert (asked.status, asked.exit_code, asked.commit, asked.tag) == ("waiting", 4, None, None)
    assert asked.transfer.sent == MEDIA
    home = anywhere.home
    assert home.versions.head() is None
    assert asked.waits is not None
    assert anywhere.open(asked.waits).table("media").count() == MEDIA  # may be looked at
    text = home.store.get(f"runs/{asked.run_id}/summary.txt").decode()
    assert f"python -m flows approve dataset.yaml --run {asked.run_id} --by NAME" in text
    assert "flows reject" in home.store.get("report.html").decode()

    done = decide_run(anywhere.spec, YES)
    assert (done.run_id, done.status, done.tag, done.exit_code) == (
        asked.run_id,
        "completed",
        "v1",
        3,  # what the run left out is told with its end
    )
    assert done.transfer == asked.transfer
    assert [export.name for export in done.exports] == ["shards"]
    head = home.versions.head()
    assert head is not None
    assert head.id == done.commit
    assert head.metadata["root"] == home.versions.resolve(asked.waits).metadata["root"]
    assert summary_of(home, asked.run_id)["decision"] == YES.model_dump()
    assert "maria approved it: looked at the new ones" in home.store.get("report.html").decode()
    assert (waiting_runs(home), list(home.versions.runs())) == ([], [])
    again = run_pipeline(anywhere.spec)
    assert (again.status, again.transfer.sent) == ("unchanged", 0)
    with pytest.raises(InputError, match=r"no run of .* waits for approval"):
        decide_run(anywhere.spec, YES)


def test_after_a_no_main_stays_and_nothing_is_sent_again(anywhere: TinySource) -> None:
    asked = run_pipeline(anywhere.spec)
    done = decide_run(anywhere.spec, NO, run_id=asked.run_id)
    assert (done.status, done.exit_code, done.commit) == ("refused", 1, None)
    home = anywhere.home
    assert home.versions.head() is None
    assert waiting_runs(home) == []
    text = home.store.get(f"runs/{asked.run_id}/summary.txt").decode()
    assert "jon rejected it: one is upside down" in text
    again = run_pipeline(anywhere.spec)
    assert (again.status, again.transfer.sent) == ("waiting", 0)


def test_where_main_moved_the_run_asks_again_for_what_it_is_now(anywhere: TinySource) -> None:
    first = run_pipeline(anywhere.spec)
    decide_run(anywhere.spec, YES)
    anywhere.write("added.png", picture(100))
    second = run_pipeline(anywhere.spec)
    (anywhere.media / "added.png").unlink()
    anywhere.write("other.png", picture(101))
    third = run_pipeline(anywhere.spec)
    assert decide_run(anywhere.spec, YES, run_id=second.run_id).tag == "v2"
    moved = decide_run(anywhere.spec, YES, run_id=third.run_id)
    assert (moved.status, moved.run_id, moved.commit) == ("waiting", third.run_id, None)
    assert moved.waits not in (third.waits, None)
    assert set(anywhere.media_rows()) == {*anywhere.media_rows("v1"), "added.png"}
    assert decide_run(anywhere.spec, YES).tag == "v3"
    assert {"added.png", "other.png"} <= set(anywhere.media_rows())
    assert list(anywhere.home.versions.runs()) == []
    assert first.waits is not None


def test_an_answer_that_was_cut_off_is_taken_up(anywhere: TinySource) -> None:
    run_pipeline(anywhere.spec)
    waiting = choose_waiting(anywhere.home)
    context = as_waited(new_context(anywhere.spec), waiting)
    with running(context):
        merged = decide(context, waiting, YES)  # and then nothing: no report, no exports
    assert merged.tag == "v1"
    assert anywhere.home.versions.resolve("v1").id == merged.commit
    done = decide_run(anywhere.spec, YES)
    assert (done.status, done.commit, done.tag) == ("completed", merged.commit, "v1")
    assert list(anywhere.home.versions.runs()) == []


def test_only_what_the_gate_does_not_let_pass_is_asked_for(tiny: TinySource) -> None:
    tiny.write_spec(gate={"approve": "when_failed", "unreadable": 0.01})
    asked = run_pipeline(tiny.spec)
    assert asked.status == "waiting"
    waiting = choose_waiting(tiny.home)
    assert "1 of 14 media cannot be read" in waiting.published.reasons[0]
    assert decide_run(tiny.spec, YES).tag == "v1"
    tiny.write_spec(gate={"approve": "when_failed", "unreadable": 0.5})
    tiny.write("added.png", picture(100))
    assert run_pipeline(tiny.spec).tag == "v2"
    assert run_pipeline(tiny.spec).status == "unchanged"
    assert tiny.home.versions.runs() == []


def test_what_is_as_on_main_needs_nobody(tiny: TinySource) -> None:
    run_pipeline(tiny.spec)
    run_pipeline(tiny.spec)
    with pytest.raises(InputError, match=r"2 runs wait for approval: .*--run"):
        decide_run(tiny.spec, YES)
    first, second = (waiting.run_id for waiting in waiting_runs(tiny.home))
    with pytest.raises(InputError, match="run nobody does not wait"):
        decide_run(tiny.spec, YES, run_id="nobody")
    assert decide_run(tiny.spec, YES, run_id=first).tag == "v1"
    later = decide_run(tiny.spec, YES, run_id=second)
    assert (later.status, later.tag) == ("unchanged", "v1")
    assert (waiting_runs(tiny.home), tiny.home.versions.runs()) == ([], [])


def test_nobody_answered_for_a_week(tiny: TinySource) -> None:
    asked = run_pipeline(tiny.spec)
    kept = tiny.home.state / "locks" / f"{asked.run_id}{KEPT}"
    long_ago = kept.stat().st_mtime - (KEEP + timedelta(hours=1)).total_seconds()
    os.utime(kept, (long_ago, long_ago))
    later = run_pipeline(tiny.spec)
    assert (later.status, later.transfer.sent) == ("waiting", 0)
    assert [waiting.run_id for waiting in waiting_runs(tiny.home)] == [later.run_id]


def test_commands_answer_what_an_ad_hoc_run_asked(
    tiny: TinySource, prefect_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(tiny.spec_file)
    assert main(["pipeline", spec]) == 4
    assert "Somebody is to approve this version" in capsys.readouterr().out
    assert main(["reject", spec, "--by", "jon", "--note", "dark"]) == 1
    assert "jon rejected it: dark" in capsys.readouterr().out
    assert main(["pipeline", spec]) == 4
    assert main(["approve", spec, "--by", "maria"]) == 3
    assert "maria approved it" in capsys.readouterr().out
    assert tiny.home.versions.resolve("v1").tags == ("v1",)
    assert main(["approve", spec, "--by", "maria"]) == 1
    assert "no run of" in capsys.readouterr().err


def test_the_spec_takes_three_words(tmp_path: Path) -> None:
    data = {"name": "a", "home": "h", "media": [{"name": "m", "from": "f"}]}
    for word in ("never", "always", "when_failed"):
        spec = parse_spec({**data, "gate": {"approve": word}}, folder=tmp_path)
        assert spec.gate.approve == word
    with pytest.raises(SpecError, match=r"gate\.approve: found 'sometimes'"):
        parse_spec({**data, "gate": {"approve": "sometimes"}}, folder=tmp_path)
