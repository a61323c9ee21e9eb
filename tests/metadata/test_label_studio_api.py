"""Reading a Label Studio server: pages, tokens, and what a later sync reads again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from services.label_studio import LEGACY, PERSONAL, LabelStudio

from trainset.errors import AccessDenied, InputError, NotFound, TransientError
from trainset.home import open_home
from trainset.metadata import open_reader
from trainset.metadata.labels.label_studio_api import LabelStudioReader, open_label_studio
from trainset.metadata.labels.label_studio_http import LabelStudioServer
from trainset.metadata.store import load_records
from trainset.metadata.sync import SyncReport, sync_source
from trainset.spec import MetadataSource
from trainset.stores.http_client import HttpClient
from trainset.stores.retry import Retrier


@pytest.fixture
def studio() -> Iterator[LabelStudio]:
    server = LabelStudio()
    yield server
    server.stop()


def _reader(studio: LabelStudio, token: str = LEGACY, **options: Any) -> LabelStudioReader:
    client = HttpClient(retrier=lambda: Retrier(attempts=3, cap_s=0.01))
    return LabelStudioReader("ls", LabelStudioServer(studio.url, token, client=client), **options)


def _read_all(
    studio: LabelStudio, states: dict[str, Any] | None = None, **options: Any
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Rows by stream of the streams that were read, and the states afterwards."""
    reader = _reader(studio, **options)
    found: dict[str, list[dict[str, Any]]] = {}
    after = dict(states or {})
    for stream in reader.discover():
        for batch in reader.read(stream.name, after.get(stream.name, {})):
            found[stream.name] = batch.records.to_pylist()
            after[stream.name] = json.loads(json.dumps(batch.state))
    return found, after


def test_all_projects_are_read_in_pages_and_streams_of_task_ids(studio: LabelStudio) -> None:
    studio.page_cap = 3
    for task in (1, 2, 3, 4, 999, 1000, 2500):
        studio.add(7, task)
    studio.add(8, 5)
    found, _ = _read_all(studio)
    assert {name: len(rows) for name, rows in found.items()} == {
        "project-7-tasks-0": 5,
        "project-7-tasks-1000": 1,
        "project-7-tasks-2000": 1,
        "project-8-tasks-0": 1,
    }
    row = found["project-7-tasks-2000"][0]
    assert (row["media_ref"], row["class"], row["record_id"]) == (
        "s3://b/2500.jpg",
        "cat",
        "25000-r1",
    )
    assert all(query["resolve_uri"] == "false" for query in studio.full_reads())


def test_nothing_changed_reads_no_task(studio: LabelStudio) -> None:
    studio.add(7, 1)
    _, states = _read_all(studio)
    studio.asked.clear()
    found, _ = _read_all(studio, states)
    assert found == {}
    assert studio.full_reads() == []


@pytest.mark.parametrize("change", ["updated", "annotated without a new time", "added", "deleted"])
def test_only_the_stream_that_changed_is_read_again(studio: LabelStudio, change: str) -> None:
    for task in (1, 2, 1500):
        studio.add(7, task)
    _, states = _read_all(studio)
    if change == "updated":
        studio.add(7, 1, "2026-01-02", annotations=[])
    elif change == "added":
        studio.add(7, 3, "2020-01-01")  # a task that was committed late has an old time
    elif change == "deleted":
        del studio.tasks[7][2]
    else:
        studio.add(7, 1, total_annotations=0, annotations=[])
    found, states = _read_all(studio, states)
    expected = {"added": ["cat"] * 3, "deleted": ["cat"]}.get(change, [None, "cat"])
    assert {name: [row["class"] for row in rows] for name, rows in found.items()} == {
        "project-7-tasks-0": expected
    }
    assert _read_all(studio, states)[0] == {}


def test_a_task_deleted_while_pages_are_read_costs_no_other_task(studio: LabelStudio) -> None:
    for task in range(1, 251):
        studio.add(7, task)

    def delete_the_first(page: int) -> None:
        if page == 2:
            studio.tasks[7].pop(1, None)  # all later tasks move up by one: 101 is skipped

    studio.before_page = delete_the_first
    found, states = _read_all(studio)
    assert len(found["project-7-tasks-0"]) == 249  # 1 is still there, 101 is not
    studio.before_page = None
    found, states = _read_all(studio, states)
    assert len(found["project-7-tasks-0"]) == 249
    assert "s3://b/101.jpg" in {row["media_ref"] for row in found["project-7-tasks-0"]}
    assert _read_all(studio, states)[0] == {}


def test_a_server_that_tells_no_times_is_read_every_time(studio: LabelStudio) -> None:
    studio.add(7, 1, None)
    _, states = _read_all(studio)
    assert len(_read_all(studio, states)[0]) == 1


def test_a_server_that_does_not_know_filters_gives_the_same_rows(studio: LabelStudio) -> None:
    for task in (1, 1500):
        studio.add(7, task)
    studio.knows_filters = False
    found, _ = _read_all(studio)
    assert {name: len(rows) for name, rows in found.items()} == {
        "project-7-tasks-0": 1,
        "project-7-tasks-1000": 1,
    }


def test_only_the_projects_asked_for_are_read(studio: LabelStudio) -> None:
    studio.add(7, 1)
    studio.add(8, 1)
    assert list(_read_all(studio, projects=[8])[0]) == ["project-8-tasks-0"]
    with pytest.raises(NotFound, match="project"):
        _reader(studio, projects=[9]).discover()
    with pytest.raises(NotFound, match="discover"):
        list(_reader(studio).read("project-9-tasks-0", {}))


def test_a_personal_token_gets_new_access_when_the_old_one_has_expired(
    studio: LabelStudio,
) -> None:
    studio.add(7, 1)
    studio.lasts = 2
    reader = _reader(studio, PERSONAL)
    for _ in range(3):
        reader.check()
    assert [stream.name for stream in reader.discover()] == ["project-7-tasks-0"]
    assert studio.access_tokens == 3  # 3 checks, 1 list of projects, 1 of tasks; 2 each


@pytest.mark.parametrize("token", ["wrong", "aaa.bbb.ccc"])
def test_a_refused_token_is_told_without_showing_it(studio: LabelStudio, token: str) -> None:
    with pytest.raises(AccessDenied, match="refuses the token") as caught:
        _reader(studio, token).check()
    assert token not in str(caught.value)


def test_a_busy_server_is_asked_again_and_a_broken_one_is_transient(studio: LabelStudio) -> None:
    studio.replies = [503, 502]
    _reader(studio).check()
    studio.replies = [500] * 5
    with pytest.raises(TransientError):
        _reader(studio).check()


def test_a_secret_in_the_address_is_refused_and_the_refresh_token_follows_no_redirect(
    studio: LabelStudio,
) -> None:
    for url in ("http://me:pw@host", "http://host/?token=s3cret"):
        with pytest.raises(InputError) as caught:
            open_label_studio("ls", url, LEGACY)
        assert "pw" not in str(caught.value)
        assert "s3cret" not in str(caught.value)
    studio.replies = [302]
    with pytest.raises(InputError, match="302"):
        _reader(studio, PERSONAL).check()


def test_the_spec_names_a_server_or_one_project_and_the_environment_the_token(
    studio: LabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.add(7, 1)
    studio.add(8, 1)

    def streams(place: str) -> list[str]:
        entry = {"name": "ls", "from": place, "format": "label-studio-api"}
        return [s.name for s in open_reader(MetadataSource.model_validate(entry)).discover()]

    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    with pytest.raises(InputError, match="LABEL_STUDIO_API_KEY"):
        streams(studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LEGACY)
    assert streams(studio.url) == ["project-7-tasks-0", "project-8-tasks-0"]
    assert streams(f"{studio.url}/projects/8/data?tab=3") == ["project-8-tasks-0"]


def test_a_sync_keeps_state_and_rows_together_and_drops_what_is_gone(
    studio: LabelStudio, tmp_path: Path
) -> None:
    for task in (1, 1500):
        studio.add(7, task)
    source = MetadataSource.model_validate({"name": "ls", "from": studio.url})
    versions = open_home(str(tmp_path / "home"), create=True).versions

    def sync(run_id: str) -> tuple[SyncReport, list[str]]:
        workspace = versions.begin(run_id)
        now = datetime(2026, 11, 1, tzinfo=UTC)
        report = sync_source(_reader(studio), source, workspace, sync_id=run_id, now=now)
        if workspace.commit(run_id, {}) is None:
            workspace.discard()
        else:
            workspace.merge()
        rows = load_records(versions.snapshot("main"))
        return report, sorted(rows["media_ref"].to_pylist())

    report, refs = sync("r1")
    assert (report.rows, report.failed, refs) == (2, (), ["s3://b/1.jpg", "s3://b/1500.jpg"])
    report, refs = sync("r2")
    assert not report.changed
    del studio.tasks[7][1500]
    studio.add(7, 2)
    report, refs = sync("r3")
    assert (report.read, report.vanished) == (("project-7-tasks-0",), ("project-7-tasks-1000",))
    assert refs == ["s3://b/1.jpg", "s3://b/2.jpg"]
    studio.replies = [401] * 9
    report, refs = sync("r4")
    assert (report.failed, refs) == (("ls",), ["s3://b/1.jpg", "s3://b/2.jpg"])
