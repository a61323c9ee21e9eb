"""A run whose machine never comes back: others may answer it, or discard it after a week."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from services.dying import killed_after
from services.s3_endpoint import S3Bucket
from services.tiny_source import TinySource, make_tiny_source, picture

from trainset.errors import InputError
from trainset.model import Decision
from trainset.run.context import begin_run, end_run
from trainset.run.local import decide_run, new_context, run_pipeline

YES = Decision(approved=True, by="maria")

COMMIT = {
    "git": "trainset.versions.workspace:GitWorkspace.commit",
    "lakeFS": "trainset.versions.lakefs.workspace:LakeFSWorkspace.commit",
}


class Fleet:
    """Machines that share one home in a bucket, and nothing else."""

    def __init__(self, tiny: TinySource, states: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tiny, self._states, self._patch = tiny, states, monkeypatch

    def use(self, name: str) -> None:
        self._patch.setenv("TRAINSET_STATE", str(self._states / name))

    def runs(self) -> list[str]:
        return list(self.tiny.home.versions.runs())

    def runs_seen_in(self, days: float) -> list[str]:
        """Branches that a run which begins so many days from now finds beside its own."""
        context = new_context(self.tiny.spec)
        later = context.started_at + timedelta(days=days)
        context = context.model_copy(update={"started_at": later})
        run = begin_run(context)
        found = [name for name in run.home.versions.runs() if name != context.run_id]
        run.workspace.discard()
        end_run(context)
        return found


@pytest.fixture(params=list(COMMIT))
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fleet(
    store: str,
    request: pytest.FixtureRequest,
    s3_bucket: S3Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Fleet:
    """The tiny source, after its first run on machine ``a``."""
    for name, value in s3_bucket.endpoint.environment.items():
        monkeypatch.setenv(name, value)
    tiny = make_tiny_source(tmp_path, pictures=4)
    tiny.write_spec(home=f"{s3_bucket.url}/home", columns={}, exports={})
    if store == "lakeFS":
        homes = request.getfixturevalue("lakefs_in_a_bucket")
        tiny.write_spec(home=homes.new_root(), versions=homes.new_url())
    made = Fleet(tiny, tmp_path / "machines", monkeypatch)
    made.use("a")
    assert run_pipeline(tiny.spec).tag == "v1"
    return made


def test_a_branch_that_a_dead_machine_left_goes_after_a_week(fleet: Fleet, store: str) -> None:
    tiny = fleet.tiny
    tiny.write("added.png", picture(100))
    killed_after(tiny.spec_file, COMMIT[store])
    left = fleet.runs()
    assert len(left) == 1
    fleet.use("b")
    assert run_pipeline(tiny.spec).tag == "v2"
    assert "added.png" in tiny.media_rows()
    head = tiny.home.versions.head()
    assert fleet.runs() == fleet.runs_seen_in(days=6) == left, "who knows, it may be at work"
    assert fleet.runs_seen_in(days=8) == []
    assert fleet.runs() == []
    assert tiny.home.versions.head() == head
    fleet.use("a")  # it comes back after all
    assert run_pipeline(tiny.spec).status == "unchanged"
    assert fleet.runs() == []
    assert list((tiny.home.state / "locks").iterdir()) == []


def test_a_branch_that_failed_stays_a_week_on_its_own_machine_too(fleet: Fleet) -> None:
    failed = new_context(fleet.tiny.spec)
    begin_run(failed)
    end_run(failed)
    assert fleet.runs() == fleet.runs_seen_in(days=6) == [failed.run_id]
    assert fleet.runs_seen_in(days=8) == []
    assert list((fleet.tiny.home.state / "locks").iterdir()) == []


def test_another_machine_answers_a_run_that_waits(fleet: Fleet, store: str) -> None:
    tiny = fleet.tiny
    tiny.write_spec(gate={"approve": "always"})
    tiny.write("added.png", picture(100))
    first, second = run_pipeline(tiny.spec), run_pipeline(tiny.spec)
    fleet.use("b")
    assert decide_run(tiny.spec, YES, run_id=first.run_id).tag == "v2"
    assert "added.png" in tiny.media_rows("v2")
    tiny.write("more.png", picture(101))
    third = run_pipeline(tiny.spec)
    fleet.use("c")
    if store == "git":  # the rows of a run lie on its machine until they are on main
        with pytest.raises(InputError, match="approve it there, or run the pipeline again"):
            decide_run(tiny.spec, YES, run_id=second.run_id)
        fleet.use("a")
    assert decide_run(tiny.spec, YES, run_id=second.run_id).status == "unchanged"
    fleet.use("c")
    assert decide_run(tiny.spec, YES, run_id=third.run_id).tag == "v3"
    assert "more.png" in tiny.media_rows("v3")
    fleet.use("b")
    assert fleet.runs() == []
