"""Sources of dlt in whole runs: a real dlt, in an environment and a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from services import connectors
from services.tiny_source import TinySource, make_tiny_source

from flows.doctor_connectors import connector_checks
from trainset.errors import SpecError
from trainset.metadata.tables.rows import load_rows
from trainset.model import RunSummary
from trainset.run.local import run_pipeline

TOKEN = "open-sesame"
SHOP = """
import datetime, json
from pathlib import Path
import dlt

@dlt.source
def shop(file: str, token: str = dlt.secrets.value):
    @dlt.resource(primary_key="id")
    def orders(changed=dlt.sources.incremental("changed")):
        print("asked from", changed.last_value, "with", token)
        rows = json.loads(Path(file).read_text())
        for row in rows:
            row["changed"] = datetime.datetime.fromisoformat(row["changed"])
        yield rows[:2]
        yield from rows[2:]

    @dlt.resource
    def kinds():
        yield {"kind": "a", "share": 1}
        yield {"kind": "b", "share": 2.5, "more": {"x": [1]}}

    @dlt.resource
    def untouched():
        raise RuntimeError("nobody asked for this")

    return orders, kinds, untouched

def plain(file: str):
    yield from json.loads(Path(file).read_text())

def broken():
    raise ValueError(f"the server said no to {Path.cwd().name}")
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinySource:
    monkeypatch.setenv("TRAINSET_CONNECTORS", str(connectors.installed()))
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    source = make_tiny_source(tmp_path, pictures=2)
    (tmp_path / "shop.py").write_text(SHOP)
    config = {"file": str(tmp_path / "rows.json"), "token": "${SHOP_TOKEN}"}
    (tmp_path / "shop.json").write_text(json.dumps(config))
    (tmp_path / "plain.json").write_text(json.dumps({"file": config["file"]}))
    source.write_spec(columns={}, exports={})
    return source


def orders(tiny: TinySource, *changed: str) -> None:
    rows = [{"id": n, "changed": day, "file": f"{n:02d}.png"} for n, day in enumerate(changed)]
    (tiny.root / "rows.json").write_text(json.dumps(rows))


def run(tiny: TinySource, **words: Any) -> RunSummary:
    tiny.write_spec(metadata=[{"name": "saas", **words}])
    return run_pipeline(tiny.spec)


def stored(tiny: TinySource, stream: str) -> list[dict[str, Any]]:
    rows = load_rows(tiny.home.versions.snapshot("main"), "saas", stream).to_pylist()
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]


def test_a_source_syncs_by_its_own_cursor_and_key(
    tiny: TinySource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="trainset.connector")
    words = {"from": {"dlt": "shop.py:shop", "config": "shop.json"}, "streams": ["orders", "kinds"]}
    orders(tiny, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
    first = run(tiny, **words)
    assert first.status == "completed"
    assert [row["id"] for row in stored(tiny, "orders")] == [0, 1]
    assert stored(tiny, "orders")[1]["changed"].isoformat() == "2026-01-02T00:00:00+00:00"
    assert [(row["kind"], row["share"]) for row in stored(tiny, "kinds")] == [("a", 1), ("b", 2.5)]
    days = ("2026-01-05T00:00:00+00:00", "2026-01-02T00:00:00+00:00", "2026-01-04T00:00:00+00:00")
    orders(tiny, *days)
    assert run(tiny, **words).status == "completed"
    found = {row["id"]: row["changed"].day for row in stored(tiny, "orders")}
    assert found == {0: 5, 1: 2, 2: 4}
    assert run(tiny, **words).status == "unchanged"
    tiny.home.versions.rollback("v1")
    assert run(tiny, **words).status == "completed"  # the cursor went back with the rows
    assert {row["id"] for row in stored(tiny, "orders")} == {0, 1, 2}
    for path in (p for p in Path(tiny.spec.home).rglob("*") if p.is_file() and not p.is_socket()):
        assert TOKEN.encode() not in path.read_bytes(), path
    assert TOKEN not in caplog.text


def test_a_plain_generator_is_a_stream_that_is_read_whole(tiny: TinySource) -> None:
    words = {"from": {"dlt": "shop.py:plain", "config": "plain.json"}, "stream": "plain"}
    orders(tiny, "2026-01-01", "2026-01-02")
    run(tiny, **words, key=["id"])
    orders(tiny, "2026-01-01")
    run(tiny, **words, key=["id"], max_deleted=1.0)
    assert [row["id"] for row in stored(tiny, "plain")] == [0]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("shop.py:broken", "the server said no"),
        ("shop.py:absent", "has no function 'absent'"),
        ("nowhere.py:shop", "there is no such file"),
        ("no_such_module:shop", "No module named 'no_such_module'"),
    ],
)
def test_what_goes_wrong_is_told_with_its_reason(tiny: TinySource, named: str, said: str) -> None:
    summary = run(tiny, **{"from": {"dlt": named}, "stream": "orders"})
    assert summary.exit_code == 3
    reasons = [item.reason for item in summary.left_out if item.key.startswith("saas")]
    assert len(reasons) == 1
    assert said in reasons[0]


def test_what_is_wrong_in_the_spec_is_told_before_anything_runs(tiny: TinySource) -> None:
    for words in ({"dlt": "shop.py"}, {"dlt": "a:b", "airbyte": "c"}, {"dlt": "a:b", "key": "c"}):
        tiny.write_spec(metadata=[{"name": "saas", "from": words, "stream": "orders"}])
        with pytest.raises(SpecError, match=r"names a (function|connector)"):
            _ = tiny.spec


def test_the_doctor_says_how_to_install_it(
    tiny: TinySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"name": "saas", "from": {"dlt": "shop.py:shop"}, "stream": "orders"}
    tiny.write_spec(metadata=[source])
    folder = {"TRAINSET_CONNECTORS": str(connectors.installed())}
    (there,) = connector_checks(tiny.spec, folder)
    assert (there.name, there.state) == ("connector dlt", "ok")
    (absent,) = connector_checks(tiny.spec, {"TRAINSET_CONNECTORS": str(tmp_path / "none")})
    assert absent.state == "fail"
    assert "install-connector dlt" in absent.fix
