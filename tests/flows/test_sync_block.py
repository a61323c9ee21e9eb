"""A database behind a block: looked up inside the task, and its password is written nowhere."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prefect.artifacts import Artifact
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_HOME
from services.postgres import PASSWORD, Postgres
from services.tiny_source import TinySource, make_tiny_source

from blocks.register import register_blocks
from flows import adhoc
from flows.__main__ import main
from flows.sync_metadata import sync_metadata
from flows.transfer_media import transfer_media
from tasks.secret_blocks import open_block
from trainset.errors import InputError, NotFound
from trainset.metadata.tables.rows import load_rows
from trainset.model import RunSummary

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    tiny = make_tiny_source(tmp_path, pictures=2)
    tiny.write_spec(columns={}, exports={}, metadata=[])
    assert isinstance(transfer_media(str(tiny.spec_file)), RunSummary)
    return tiny


def _entry(**options: Any) -> list[dict[str, Any]]:
    return [{"name": "db", "from": "block:labels-db", "table": "reviews", **options}]


def test_a_block_of_a_database_is_synced_and_its_password_is_nowhere(
    tiny: TinySource, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE reviews (id int PRIMARY KEY, file_name text, label text)")
        db.execute("INSERT INTO reviews VALUES (1, '00.png', 'car'), (2, '01.png', 'bus')")
    monkeypatch.setenv("LABELS_DB_URL", url)
    file = tmp_path / "blocks.toml"
    file.write_text('[secret.labels-db]\nvalue = "$LABELS_DB_URL"\n')
    register_blocks(file)
    tiny.write_spec(metadata=_entry())
    summary = sync_metadata(str(tiny.spec_file))
    assert (summary.status, summary.metadata.matched) == ("completed", 2)
    assert len(load_rows(tiny.home.versions.snapshot("main"), "db", "reviews")) == 2
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("ALTER TABLE reviews RENAME TO elsewhere")
    failing = sync_metadata(str(tiny.spec_file))
    assert failing.exit_code == 3, "the table is gone: its rows are kept, and it is listed"
    coded = url.split(":")[2].split("@")[0]
    secrets = {PASSWORD.encode(), coded.encode()}
    assert not [s for s in secrets if s.decode() in caplog.text]
    database = Path(str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition("///")[2])
    assert database.is_file(), "where the server keeps states, parameters, artifacts and logs"
    places = [Path(tiny.spec.home), tiny.spec_file, Path(PREFECT_HOME.value()), database.parent]
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file() and not path.is_socket():
                data = path.read_bytes()
                assert not [s for s in secrets if s in data], path


def test_a_dry_run_looks_into_the_database_of_a_block_and_a_sync_shows_how_far_it_is(
    tiny: TinySource,
    postgres: Postgres,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adhoc, "managed_server", nullcontext)  # the server of this test runs
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE reviews (id int PRIMARY KEY, file_name text, label text)")
        db.execute("INSERT INTO reviews VALUES (1, '00.png', 'car'), (2, '01.png', 'bus')")
        db.execute("ANALYZE reviews")
    Secret(value=url).save("looked-at-db", overwrite=True)
    tiny.write_spec(metadata=_entry(**{"from": "block:looked-at-db"}))
    assert main(["sync-metadata", str(tiny.spec_file), "--dry-run"]) == 0
    assert "db/reviews: about 2 rows" in capsys.readouterr().out
    sync_metadata(str(tiny.spec_file))
    shown = Artifact.get("sync-progress")
    assert shown is not None
    assert shown.data == 100.0
    assert shown.description == "db: 2 records read, 1 of 1 streams looked at"


def test_what_a_block_must_hold_is_said(tiny: TinySource) -> None:
    with pytest.raises(NotFound, match=r"secret/nowhere.*register-blocks"):
        open_block("nowhere")
    Secret(value={"host": "x"}).save("settings", overwrite=True)
    assert open_block("settings") == '{"host": "x"}', "a connector's settings"
    Secret(value="").save("nothing", overwrite=True)
    with pytest.raises(InputError, match="holds no secret text"):
        open_block("nothing")


def test_hashed_columns_take_their_salt_from_a_block(tiny: TinySource) -> None:
    with sqlite3.connect(tiny.root / "labels.db") as db:
        db.execute("CREATE TABLE reviews (id INTEGER PRIMARY KEY, file_name TEXT, who TEXT)")
        db.execute("INSERT INTO reviews VALUES (1, '00.png', 'ann@example.com')")
    Secret(value="pepper").save("salt", overwrite=True)
    hashed = {"columns": {"who": {"hash": True}}, "from": "sqlite:///labels.db"}
    tiny.write_spec(metadata=_entry(**hashed, salt="block:salt"))
    assert sync_metadata(str(tiny.spec_file)).status == "completed"
    (row,) = load_rows(tiny.home.versions.snapshot("main"), "db", "reviews").to_pylist()
    assert len(row["who"]) == 32
    for path in Path(tiny.spec.home).rglob("*"):
        assert not path.is_file() or b"ann@example.com" not in path.read_bytes(), path
