"""Connectors and manifests in whole runs: real ones from PyPI, made ones for what goes wrong."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from services import connectors, real
from services.fake_connector import write_connector
from services.rest_api import MANIFEST, TOKEN, RestApi
from services.tiny_source import TinySource, make_tiny_source

from trainset.errors import SpecError, TransientError
from trainset.metadata.airbyte.environments import NOTE
from trainset.metadata.store import load_rejected
from trainset.metadata.tables import parts as table_parts
from trainset.metadata.tables.open import open_tables
from trainset.metadata.tables.rows import load_rows
from trainset.model import RunSummary
from trainset.run.local import run_pipeline
from trainset.spec import load_spec

ALONE = "unshare -rn sh -c 'ip link set lo up && exec \"$@\"' sh"


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    source = make_tiny_source(tmp_path, pictures=2)
    source.write_spec(columns={}, exports={})
    return source


@pytest.fixture
def api() -> Iterator[RestApi]:
    server = RestApi()
    yield server
    server.stop()


def _run(tiny: TinySource, **source: Any) -> RunSummary:
    tiny.write_spec(metadata=[{"name": "saas", **source}])
    return run_pipeline(tiny.spec)


def _stored(tiny: TinySource, stream: str) -> list[dict[str, Any]]:
    rows = load_rows(tiny.home.versions.snapshot("main"), "saas", stream).to_pylist()
    plain = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
    return sorted(plain, key=lambda row: row["id"])


def _offline_copy(place: Path, folder: Path) -> None:
    """The environment at ``place`` once more, in ``folder``; its program sees no network."""
    copy = folder / place.name
    (copy / "bin").mkdir(parents=True)
    shutil.copy(place / NOTE, copy)
    program = json.loads((place / NOTE).read_text())["program"]
    (copy / "bin" / program).write_text(f'#!/bin/sh\nexec {ALONE} {place}/bin/{program} "$@"\n')
    (copy / "bin" / program).chmod(0o755)


def test_a_real_connector_syncs_incrementally_without_network(
    tiny: TinySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = connectors.installed()
    if subprocess.run([*ALONE.split()[:2], "true"], capture_output=True).returncode:
        real.need(
            "a network namespace (unshare -rn)",
            "apt-get install util-linux iproute2; sysctl kernel.unprivileged_userns_clone=1",
        )
    _offline_copy(folder / connectors.FAKER, tmp_path / "connectors")
    monkeypatch.setenv("TRAINSET_CONNECTORS", str(tmp_path / "connectors"))
    (tmp_path / "faker.json").write_text('{"count": 30, "seed": 7, "always_updated": false}')
    words = {"from": {"airbyte": connectors.FAKER, "config": "faker.json"}, "stream": "users"}
    first = _run(tiny, **words)
    rows = _stored(tiny, "users")
    assert [row["id"] for row in rows] == list(range(1, 31))
    assert all(row["created_at"].tzinfo and "@" in row["email"] for row in rows)
    assert json.loads(rows[0]["address"]).keys() >= {"city", "state"}
    again = _run(tiny, **words)
    assert (again.status, again.commit) == ("unchanged", first.commit)
    (tmp_path / "faker.json").write_text('{"count": 30, "seed": 7, "always_updated": true}')
    _run(tiny, **words)
    updated = _stored(tiny, "users")
    assert [row["id"] for row in updated] == [row["id"] for row in rows]
    assert min(r["updated_at"] for r in updated) > max(r["updated_at"] for r in rows)


def test_a_manifest_asks_the_server_for_what_changed(
    tiny: TinySource,
    tmp_path: Path,
    api: RestApi,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TRAINSET_CONNECTORS", str(connectors.installed()))
    monkeypatch.setenv("CAPTIONS_TOKEN", TOKEN)
    (tmp_path / "captions.yaml").write_text(MANIFEST)
    (tmp_path / "conf.json").write_text(json.dumps({"url": api.url, "token": "${CAPTIONS_TOKEN}"}))
    words = {
        "from": {"airbyte": "captions.yaml", "config": "conf.json", "cdk": connectors.CDK},
        "streams": ["captions"],
        "media_column": "file_name",
    }
    for n in range(25):
        api.put(n, f"2026-02-{n + 1:02d}T00:00:00Z", file_name="00.png", text=f"a {n}", score=n / 2)
    first = _run(tiny, **words)
    assert (first.status, first.metadata.rows, first.metadata.matched) == ("completed", 25, 25)
    assert {q["offset"] for q in api.asked if "offset" in q} == {"10", "20"}
    assert _stored(tiny, "captions")[24]["text"] == "a 24"

    api.asked.clear()
    api.put(3, "2026-03-01T00:00:00Z", file_name="00.png", text="mended", score=9)
    api.put(99, "2026-03-02T00:00:00Z", file_name="01.png", text="new", score="very high", mood="x")
    (tmp_path / "captions.yaml").write_text(
        MANIFEST.replace("          score:", "          mood: {type: string}\n          score:")
    )
    summary = _run(tiny, **words)
    assert {q["updated_since"] for q in api.asked} == {"2026-02-25T00:00:00Z"}
    assert summary.metadata.rows == 26
    rows = {row["id"]: row for row in _stored(tiny, "captions")}
    assert (rows[3]["text"], rows[3]["score"], rows[3]["mood"]) == ("mended", 9.0, None)
    assert (rows[99]["mood"], rows[99]["score"]) == ("x", None)
    (bad,) = load_rejected(tiny.home.versions.snapshot("main"), "saas", "captions")
    assert (bad.record, bad.original) == ("id=99", '"very high"')
    assert summary.exit_code == 3

    kept = [p for p in tmp_path.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]
    assert kept == []
    assert TOKEN not in caplog.text


GROWING = """
def read():
    start = state[0]["stream"]["stream_state"]["n"] if state else 0
    for n in range(start + 1, config["until"] + 1):
        record(id=n, n=n, text="row %d" % n)
        reached(n=n)
        if n == config.get("dies"): os.kill(os.getpid(), signal.SIGKILL)
        if n == config.get("fails"): fail("no such thing: " + config["token"], "config_error")
    record(id=0, n=len(state or []), text="seen by every read")
"""


def _config(tmp_path: Path, **config: Any) -> None:
    (tmp_path / "fake.json").write_text(json.dumps({"token": "${FAKE_TOKEN}", **config}))


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A source whose connector counts up to ``until``."""
    monkeypatch.setenv("FAKE_TOKEN", "f4ke-s3cret")
    write_connector(tmp_path, GROWING)
    _config(tmp_path, until=20)
    return {"from": {"airbyte": "./source-fake", "config": "fake.json"}, "stream": "t"}


def test_a_stream_that_fails_keeps_its_rows_and_is_told_without_secrets(
    tiny: TinySource, tmp_path: Path, words: dict[str, Any]
) -> None:
    _run(tiny, **words)
    before = _stored(tiny, "t")
    _config(tmp_path, until=30, fails=25)
    summary = _run(tiny, **words)
    (told,) = [item for item in summary.left_out if item.kind == "unreadable-source"]
    assert "no such thing: ***; mend its configuration" in told.reason
    assert "f4ke" not in summary.model_dump_json()
    assert _stored(tiny, "t") == before
    _config(tmp_path, until=30)
    _run(tiny, **words)
    assert [row["id"] for row in _stored(tiny, "t")] == list(range(31))


def test_a_first_read_whose_connector_dies_goes_on_from_what_was_stored(
    tiny: TinySource, tmp_path: Path, words: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_parts, "PART_ROWS", 4)
    monkeypatch.setattr("trainset.metadata.airbyte.batches.SOME", 2)
    _config(tmp_path, until=20, dies=11)
    with pytest.raises(TransientError, match="SIGKILL"):
        _run(tiny, **words)
    _config(tmp_path, until=20)
    _run(tiny, **words)
    rows = _stored(tiny, "t")
    assert [row["id"] for row in rows] == list(range(21))
    assert rows[0]["n"] == 1, "the second read was sent the state of the first"


def test_the_modes_of_a_stream(tiny: TinySource, tmp_path: Path, words: dict[str, Any]) -> None:
    _run(tiny, **words, mode="full-overwrite")
    _config(tmp_path, until=15)
    _run(tiny, **words, mode="full-overwrite")
    rows = _stored(tiny, "t")
    assert [row["id"] for row in rows] == list(range(16))
    assert rows[0]["n"] == 0, "a full read is sent no state"
    _run(tiny, **words, mode="incremental-append")
    _config(tmp_path, until=17)
    _run(tiny, **words, mode="incremental-append")
    assert [row["id"] for row in _stored(tiny, "t")] == [0, *range(18)]  # row 0 changed: a history


def test_a_secret_in_clear_in_the_config_file_is_refused(
    tiny: TinySource, tmp_path: Path, words: dict[str, Any]
) -> None:
    (tmp_path / "fake.json").write_text('{"token": "in-clear-s3cret", "until": 3}')
    summary = _run(tiny, **words)
    (told,) = [item for item in summary.left_out if item.kind == "unreadable-source"]
    assert "token is a secret" in told.reason
    assert "in-clear-s3cret" not in summary.model_dump_json()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"from": {"airbyte": "source-x", "token": "t"}, "stream": "s"}, "config: block:<name>"),
        ({"from": {"config": "x"}, "stream": "s"}, "a mapping names a connector"),
        ({"from": {"airbyte": "source-x"}}, "streams: missing"),
        ({"from": {"airbyte": "source-x"}, "stream": "s", "lag": "5m"}, "lag:"),
        ({"from": {"airbyte": "source-x"}, "stream": "s", "table": "t"}, "not both"),
        ({"from": "sqlite:///x.db", "table": "t", "config": "block:x"}, "config: is said of conn"),
    ],
)
def test_words_that_do_not_belong_are_refused(
    tiny: TinySource, words: dict[str, Any], says: str
) -> None:
    tiny.write_spec(metadata=[{"name": "saas", **words}])
    with pytest.raises(SpecError, match=says):
        load_spec(tiny.spec_file)


def test_the_spec_that_is_kept_says_the_same(tiny: TinySource, words: dict[str, Any]) -> None:
    tiny.write_spec(metadata=[{"name": "saas", **words}])
    spec = tiny.spec
    again = tiny.root / "again.yaml"
    again.write_text(spec.to_yaml())
    assert load_spec(again) == spec


def test_a_block_holds_a_connectors_configuration(
    tiny: TinySource, prefect_server: str, words: dict[str, Any]
) -> None:
    from prefect.blocks.system import Secret

    from tasks.secret_blocks import open_block

    Secret(value={"token": "bl0ck-s3cret", "until": 2}).save("counted", overwrite=True)
    words["from"]["config"] = "block:counted"
    tiny.write_spec(metadata=[{"name": "saas", **words}])
    (source,) = tiny.spec.metadata
    with open_tables(source, open_block).open("t") as session:
        assert sum(batch.rows.num_rows for batch in session.read({})) == 3
