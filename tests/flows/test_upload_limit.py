"""The limit of the tag b2-upload: kept on a server of ours, told to people, and never a hang."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from services.tiny_source import make_tiny_source

from flows.limits import (
    BATCHES,
    NAME,
    UPLOAD_TAG,
    UploadLimit,
    keep_upload_limit,
    read_upload_limit,
    say_upload_limit,
)
from trainset.errors import InputError


@pytest.fixture
def server(prefect_server: str) -> Iterator[str]:
    """The throw-away server, without a limit before and after."""
    _remove()
    yield prefect_server
    _remove()


def _remove() -> None:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.delete_global_concurrency_limit_by_name(NAME)
        except ObjectNotFound:
            return


def _update(**fields: int | bool) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(NAME, GlobalConcurrencyLimitUpdate(**fields))


def test_batches_carry_the_tag_that_the_limit_is_for() -> None:
    from tasks.transfer import transfer_batch

    assert transfer_batch.tags == {UPLOAD_TAG}


def test_a_new_server_gets_the_limit_and_a_users_number_stays(server: str) -> None:
    assert read_upload_limit() is None
    keep_upload_limit(server)
    assert read_upload_limit() == UploadLimit(BATCHES, 0, 0)
    _update(limit=2, active_slots=2)  # the user's number; slots of a server that was killed
    assert read_upload_limit() == UploadLimit(2, 2, 0)
    keep_upload_limit(server)
    assert read_upload_limit() == UploadLimit(2, 0, 0)
    _update(active=False)
    assert read_upload_limit() is None


def test_a_server_that_refuses_is_named_and_the_run_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert not keep_upload_limit("http://127.0.0.1:9/api")
    [warning] = caplog.records
    assert warning.levelname == "WARNING"
    assert "did not take the limit tag:b2-upload" in warning.getMessage()
    assert "to set it: prefect concurrency-limit create b2-upload 4" in warning.getMessage()


def test_a_server_whose_database_is_busy_is_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(503 if len(asked) < 3 else 201)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/api"
        assert keep_upload_limit(url)
        assert len(asked) == 3
        assert not caplog.records
        asked.clear()
        assert not keep_upload_limit(url, patience_s=0)
        assert "503" in caplog.text
    finally:
        server.shutdown()
        server.server_close()


def test_what_the_limit_means_is_said() -> None:
    assert "prefect concurrency-limit create b2-upload" in say_upload_limit(None, 3)
    assert say_upload_limit(UploadLimit(4, 1, 1), 3) == (
        "3 batches, at most 4 at once over all runs (limit tag:b2-upload)"
    )
    assert "until another run's are done" in say_upload_limit(UploadLimit(2, 2, 2), 3)
    assert "update tag:b2-upload --active-slots 1" in say_upload_limit(UploadLimit(2, 2, 1), 3)
    with pytest.raises(InputError, match="is 0, so no batch can start; raise it: prefect gcl"):
        say_upload_limit(UploadLimit(0, 0, 0), 3)


def test_the_commands_that_are_named_are_prefects(server: str) -> None:
    def prefect(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            capture_output=True,
            text=True,
            env={**os.environ, "PREFECT_API_URL": server},
        )
        assert done.returncode == 0, done.stdout + done.stderr

    prefect("concurrency-limit", "create", UPLOAD_TAG, "3")
    assert read_upload_limit() == UploadLimit(3, 0, 0)
    _update(active_slots=3)
    prefect("gcl", "update", NAME, "--active-slots", "0")
    prefect("gcl", "update", NAME, "--limit", "5")
    assert read_upload_limit() == UploadLimit(5, 0, 0)


@pytest.mark.timeout(180)
def test_a_transfer_runs_without_a_limit_and_with_one_slot_and_a_limit_of_0_ends_it(
    server: str, tmp_path: Path
) -> None:
    from flows.transfer_media import transfer_media

    source = make_tiny_source(tmp_path, pictures=3)
    data = source.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name in ("columns", "metadata", "exports"):
        data.pop(name, None)
    spec = tmp_path / "dataset.yaml"
    spec.write_text(type(source.spec).model_validate(data).to_yaml())

    keep_upload_limit(server)
    _update(limit=0)
    refused = transfer_media(str(spec), return_state=True)
    with pytest.raises(InputError, match="is 0, so no batch can start"):
        refused.result()
    _update(limit=1)
    assert transfer_media(str(spec)).transfer.sent > 0
    assert read_upload_limit() == UploadLimit(1, 0, 0), "the slot was given back"
    _remove()
    assert transfer_media(str(spec)).transfer.failed == 0
