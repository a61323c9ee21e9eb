"""What a connector may do, and what becomes of it: one run of a program, good, bad or killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from services.fake_connector import write_connector

from trainset.errors import AccessDenied, InputError, NotFound, TransientError
from trainset.metadata.airbyte import open_airbyte, process
from trainset.metadata.airbyte.process import ConnectorProcess
from trainset.metadata.table_base import TableBatch, TableReader

SECRET = "t0ken-that-nobody-sees"
COUNTS = """
def read():
    start = state[0]["stream"]["stream_state"]["n"] if state else 0
    for n in range(start + 1, config.get("until", 3) + 1):
        record(id=n, n=n, text="x")
        reached(n=n)
"""


@pytest.fixture(autouse=True)
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _reader(folder: Path, script: str = "", **config: Any) -> TableReader:
    return open_airbyte(write_connector(folder, script), config={"token": SECRET, **config})


def _read(
    reader: TableReader, state: dict[str, Any], *, full: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with reader.open("t", full=full) as session:
        for batch in session.read(state):
            rows += batch.rows.to_pylist()
            state = batch.state
    return rows, state


def _left(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


def test_a_stream_has_columns_key_and_cursor(tmp_path: Path) -> None:
    reader = _reader(tmp_path)
    reader.check()
    (found,) = reader.discover()
    assert (found.name, found.key, found.cursor) == ("t", ("id",), "n")
    assert found.columns.names == ["id", "n", "text", "_undeclared"]
    assert reader.spec()["properties"]["config"]["properties"]["token"]["airbyte_secret"]


def test_a_second_read_asks_for_what_changed(tmp_path: Path, own_temp: Path) -> None:
    rows, state = _read(_reader(tmp_path, COUNTS), {})
    assert [r["id"] for r in rows] == [1, 2, 3]
    assert _read(_reader(tmp_path, COUNTS), state) == ([], state)
    rows, state = _read(_reader(tmp_path, COUNTS, until=5), state)
    assert [r["id"] for r in rows] == [4, 5]
    rows, _ = _read(_reader(tmp_path, COUNTS, until=5), state, full=True)
    assert [r["id"] for r in rows] == [1, 2, 3, 4, 5]
    assert _left(own_temp) == []


def test_a_full_read_that_was_cut_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainset.metadata.airbyte.batches.SOME", 2)
    with _reader(tmp_path, COUNTS).open("t", full=True) as session:
        first = next(iter(session.read({})))
    assert [r["id"] for r in first.rows.to_pylist()] == [1, 2]
    rows, _ = _read(_reader(tmp_path, COUNTS), first.state, full=True)
    assert [r["id"] for r in rows] == [3]


def test_a_connector_that_dies_has_given_what_its_states_cover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainset.metadata.airbyte.batches.SOME", 2)
    dying = """
def read():
    for n in (1, 2, 3):
        record(id=n, n=n, text="x")
        if n < 3: reached(n=n)
    sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)
"""
    given: list[TableBatch] = []
    with (
        _reader(tmp_path, dying).open("t") as session,
        pytest.raises(TransientError, match="SIGKILL"),
    ):
        given.extend(session.read({}))  # keeps what came before the error
    assert [r["id"] for b in given for r in b.rows.to_pylist()] == [1, 2]
    rows, _ = _read(_reader(tmp_path, COUNTS), given[-1].state)
    assert [r["id"] for r in rows] == [3]


def test_a_stream_without_a_cursor_is_read_whole_and_knows_its_keys(tmp_path: Path) -> None:
    whole = (
        'STREAM["supported_sync_modes"] = ["full_refresh"]\n'
        "def read():\n    assert state is None\n"
        "    record(id=1); record(id=2); reached(done=True)\n"
    )
    reader = _reader(tmp_path, whole)
    rows, state = _read(reader, {})
    assert _read(reader, state) == (rows, state)
    with reader.open("t") as session:
        list(session.read(state))
        keys = session.live_keys()
        assert keys is not None
        assert [r for k in keys for r in k.to_pylist()] == [{"id": 1}, {"id": 2}]
    with _reader(tmp_path, COUNTS).open("t") as session:
        list(session.read({}))
        assert session.live_keys() is None


def test_a_state_of_another_connector_is_refused(tmp_path: Path) -> None:
    _, state = _read(_reader(tmp_path, COUNTS), {})
    other = open_airbyte(write_connector(tmp_path, COUNTS, "source-other"))
    with pytest.raises(InputError, match="not written by source-other"):
        _read(other, state)


def test_values_that_do_not_fit_and_new_fields_are_kept(tmp_path: Path) -> None:
    odd = 'def read():\n    record(id=1, n="many", text="a", new={"b": 1}); record(id=2, n=2)\n'
    with _reader(tmp_path, odd).open("t") as session:
        (batch,) = session.read({})
    assert batch.rows.schema.field("n").type == pa.string()
    assert batch.rows["n"].to_pylist() == ["many", "2"]
    assert batch.rows["_undeclared"].to_pylist() == ['{"new":{"b":1}}', None]


@pytest.mark.parametrize(
    ("script", "wanted", "says"),
    [
        ('fail("HTTP 401 for " + config["token"], "config_error")', AccessDenied, r"\*\*\*"),
        ('fail("no project 7", "config_error")', InputError, "no project 7"),
        ('fail("a moment please", "transient_error")', TransientError, "a moment"),
        (
            'fail("Something went wrong in the connector.", internal_message="boom")',
            InputError,
            "failed: boom",
        ),
        ('fail("in spite of it", status=0)', InputError, "in spite of it"),
        ('sys.exit("cannot: " + config["token"])', InputError, r"status 1: cannot: \*\*\*"),
        ('print("x"); sys.exit(3)', InputError, "exit status 3"),
        ('raise RuntimeError(config["token"])', InputError, r"RuntimeError: \*\*\*"),
        (
            'say(type="TRACE", trace={"type": "STREAM_STATUS", "stream_status": '
            '{"stream_descriptor": {"name": "t"}, "status": "INCOMPLETE"}})',
            InputError,
            "incomplete",
        ),
        ('print(\'{"type":"RECORD","record":{"da\')', InputError, "no JSON"),
        ('record("another", id=1)', InputError, "record of 'another'"),
        ('say(type="RECORD", record={"stream": "t", "data": [1]})', InputError, "no object"),
    ],
)
def test_a_failing_read_is_an_error_without_secrets(
    tmp_path: Path,
    own_temp: Path,
    caplog: pytest.LogCaptureFixture,
    script: str,
    wanted: type[Exception],
    says: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    body = f"def read():\n    record(id=1, n=1)\n    {script}\n"
    with pytest.raises(wanted, match=says) as found:
        _read(_reader(tmp_path, body), {})
    assert type(found.value) is wanted
    assert SECRET not in f"{found.value!r} {found.value.__cause__} {caplog.text}"
    assert _left(own_temp) == []


def test_a_refused_check_says_why(tmp_path: Path) -> None:
    refused = (
        'def check(): say(type="CONNECTION_STATUS", connectionStatus={"status": "FAILED", '
        '"message": "403 for " + config["token"]})'
    )
    with pytest.raises(AccessDenied, match=r"403 for \*\*\*"):
        _reader(tmp_path, refused).check()


@pytest.mark.parametrize("verb", ["spec", "check", "discover"])
def test_a_program_that_does_not_speak_the_protocol_is_named(tmp_path: Path, verb: str) -> None:
    reader = _reader(tmp_path, f"def {verb}(): print('hello')")
    ask = reader.discover if verb == "discover" else reader.check
    with pytest.raises(InputError, match="is this an Airbyte source"):
        ask()


def test_a_stream_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there are t"):
        _reader(tmp_path).open("u")
    named = open_airbyte(write_connector(tmp_path, ""), streams=["v"])
    with pytest.raises(NotFound, match="no stream 'v'; there are t"):
        named.discover()


def test_what_a_connector_prints_and_logs_is_in_our_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainset.connector")
    talks = """
def read():
    print("a library says " + config["token"])
    say(type="LOG", log={"level": "WARN", "message": "careful with " + config["token"]})
"""
    _read(_reader(tmp_path, talks), {})
    said = [(r.levelname, r.getMessage()) for r in caplog.records]
    assert ("INFO", "source-fake: a library says ***") in said
    assert ("WARNING", "source-fake: careful with ***") in said


def test_its_files_are_private_and_our_keys_are_not_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2_APPLICATION_KEY", "K004")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    looks = """
def read():
    path = options["--config"]
    record(id=os.stat(path).st_mode & 0o777, n=os.stat(os.path.dirname(path)).st_mode & 0o777)
    record(id=1, text=json.dumps(dict(os.environ)))
"""
    rows, _ = _read(_reader(tmp_path, looks), {})
    assert (rows[0]["id"], rows[0]["n"]) == (0o600, 0o700)
    seen = rows[1]["text"]
    assert "K004" not in seen
    assert "/elsewhere" not in seen
    assert '"DO_NOT_TRACK": "1"' in seen
    assert "http://proxy" in seen


def test_a_renewed_configuration_is_used_from_then_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    renews = """
def read():
    record(id=1, text=config["token"])
    print("was t0ken-that-nobody-sees is " + config["token"])
    say(type="CONTROL", control={"type": "CONNECTOR_CONFIG", "emitted_at": 1,
        "connectorConfig": {"config": {"token": "renewed"}}})
"""
    reader = _reader(tmp_path, renews)
    assert _read(reader, {})[0][0]["text"] == SECRET
    assert _read(reader, {})[0][0]["text"] == "renewed"
    caplog.set_level(logging.INFO)
    list(reader.open("t").read({}))
    assert "was *** is ***" in caplog.text


STUBBORN = """
def read():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record(id=child.pid, n=os.getpid(), text="x")
    reached(n=1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    record(id=1, n=1)
    reached(n=2)
    time.sleep(60)
"""


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_leaving_a_session_ends_the_connector_and_its_children(
    tmp_path: Path, own_temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    monkeypatch.setattr("trainset.metadata.airbyte.batches.SOME", 2)
    with _reader(tmp_path, STUBBORN).open("t") as session:
        reading = session.read({})
        batch = next(iter(reading))
        one = batch.rows.to_pylist()[0]
        assert _runs(one["id"])
        assert _runs(one["n"])
    for pid in (one["id"], one["n"]):
        for _ in range(200):  # the kernel takes a moment
            if not _runs(pid):
                break
            time.sleep(0.02)
        assert not _runs(pid)
    assert _left(own_temp) == []


def test_a_child_that_stays_behind_does_not_hold_the_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_POLL_S", 0.2)
    leaves = """
def read():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record(id=child.pid)
"""
    rows, _ = _read(_reader(tmp_path, leaves), {})
    for _ in range(200):
        if not _runs(rows[0]["id"]):
            break
        time.sleep(0.02)
    assert not _runs(rows[0]["id"])


def test_a_connector_that_falls_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_POLL_S", 0.05)
    program = write_connector(tmp_path, "def spec(): time.sleep(60)")
    with (
        ConnectorProcess(program, "spec", {}, os.environ, silent_s=0.2) as one,
        pytest.raises(TransientError, match="said nothing"),
    ):
        list(one.lines())


def test_a_killed_process_leaves_no_secret_on_disk_and_no_connector(
    tmp_path: Path, own_temp: Path
) -> None:
    program = write_connector(tmp_path, "def read(): record(id=os.getpid()); time.sleep(60)")
    code = f"""
        import os, signal, sys, tempfile
        tempfile.tempdir = {str(own_temp)!r}
        from trainset.metadata.airbyte.process import ConnectorProcess
        with ConnectorProcess({str(program)!r}, "read", {{"config": b'{{"token": "{SECRET}"}}'}},
                              os.environ) as one:
            sys.stdout.buffer.write(next(one.lines()))
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    pid = json.loads(done.stdout)["record"]["data"]["id"]
    for _ in range(1000):
        if not _runs(pid) and not _left(own_temp):
            break
        time.sleep(0.02)
    assert not _runs(pid)
    assert _left(own_temp) == []


def test_a_missing_connector_says_how_to_install_it(tmp_path: Path) -> None:
    reader = open_airbyte("source-faker==7.2.1", folder=tmp_path)
    with pytest.raises(NotFound, match=r"install-connector source-faker==7\.2\.1"):
        reader.check()
    with pytest.raises(NotFound, match="no such program"):
        open_airbyte(tmp_path / "gone").check()
    with pytest.raises(InputError, match="no connector"):
        open_airbyte("source faker; rm")
