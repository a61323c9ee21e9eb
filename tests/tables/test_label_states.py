"""``media_labels_status``: what it says of each medium, how it is asked, and how it is merged."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.small_home import SmallHome, make_small_home

from trainset.export.select import select_samples
from trainset.identity import row_id
from trainset.spec import ExportSpec
from trainset.tables.label_states import (
    STATUS,
    label_states,
    put_label_states,
    read_label_states,
)
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.schema import LABELS_STATUS, finish_rows
from trainset.versions.base import Workspace
from trainset.versions.replay import replay

STORE = LanceTableStore()
_said = st.tuples(
    st.sampled_from(["m0", "m1", "m2", "gone", None]),
    st.sampled_from(["b-source", "a-source", "it's"]),
    st.sampled_from(["box", "caption", "empty", "skipped", "prediction", "record", None]),
)


def _state(kinds: set[str | None]) -> str:
    if kinds - {"empty", "skipped", "prediction", "record", None}:
        return "labelled"
    return (
        "labelled_empty" if "empty" in kinds else "skipped" if "skipped" in kinds else "unlabelled"
    )


@given(st.lists(_said, max_size=12))
def test_each_medium_and_source_has_the_best_state_that_its_records_say(
    said: list[tuple[str | None, str, str | None]],
) -> None:
    media = pa.table({"row_id": ["m0", "m1", "m2"], "key": ["cam/0", "cam/1", "cam/2"]})
    columns = zip(*said, strict=True) if said else ([], [], [])
    names = ("media_id", "source", "kind")
    labels = pa.table(dict(zip(names, (pa.array(c, pa.string()) for c in columns), strict=True)))
    found = label_states(labels, media)
    assert found.schema.equals(LABELS_STATUS)
    wanted: dict[tuple[str, str | None], str] = {}
    for medium in ("m0", "m1", "m2"):
        mine = [(source, kind) for of, source, kind in said if of == medium]
        for name in {source for source, _ in mine}:
            wanted[medium, name] = _state({kind for source, kind in mine if source == name})
        if not mine:
            wanted[medium, None] = "unlabelled"
    rows = found.to_pylist()
    assert {(row["media_id"], row["source"]): row["state"] for row in rows} == wanted
    assert len(rows) == len(wanted)
    finished = finish_rows(STATUS, [dict(row) for row in rows])
    assert finished["row_fp"].to_pylist() == [row["row_fp"] for row in rows]


LABELS = [
    {"media_key": "cameras/00.png", "class": "car"},
    {"media_key": "cameras/00.png", "class": "bus", "kind": "prediction"},
    {"media_key": "cameras/01.png", "kind": "empty"},
    {"media_key": "cameras/02.png", "kind": "skipped"},
    {"media_key": "cameras/03.png", "class": "bus", "kind": "prediction"},
]


@pytest.fixture
def small(tmp_path: Path) -> SmallHome:
    """A small home whose first five labels are ``LABELS``, with their states, tagged v2."""
    small = make_small_home(str(tmp_path / "home"))
    small.commit("run-2", {}, LABELS)
    workspace = small.home.versions.begin("run-3")
    _state_anew(workspace)
    assert workspace.commit("states", {})
    workspace.merge()
    small.home.versions.tag("v2")
    return small


def _state_anew(workspace: Workspace) -> None:
    tables = (STORE.open(workspace.table(name)) for name in ("annotations", "media"))
    put_label_states(STORE, workspace.table(STATUS), *read_label_states(*tables))


def _states(small: SmallHome, key: str, ref: str = "main") -> list[str]:
    view = small.open(ref).table(STATUS).where(f"media_key = '{key}'")
    return [row["state"] for row in view.to_arrow().to_pylist()]


def test_media_are_found_by_what_is_said_of_them(small: SmallHome) -> None:
    media = small.open("v2").table("media").select(["key"])

    def ask(where: str) -> list[str]:
        return sorted(row["key"] for row in media.where(where).to_arrow().to_pylist())

    assert ask(f"{STATUS}.state = 'labelled'") == ["cameras/00.png"]
    assert ask(f"{STATUS}.state = 'labelled_empty'") == ["cameras/01.png"]
    assert ask(f"{STATUS}.state = 'skipped'") == ["cameras/02.png"]
    open_ = ask(f"{STATUS}.state = 'unlabelled'")
    assert open_ == sorted(set(ask("key is not null")) - {f"cameras/0{n}.png" for n in (0, 1, 2)})
    assert "cameras/03.png" not in ask(f"{STATUS}.source is null")
    assert STATUS not in small.open("v1").tables()


def test_an_export_hands_out_labels_and_no_guesses(small: SmallHome) -> None:
    spec = ExportSpec(format="webdataset", where=f"{STATUS}.source = 'boxes'")
    found = {item.row["key"]: item.fields["json"] for item in select_samples(small.open(), spec)}
    said = {key: [label["class"] for label in labels] for key, labels in found.items()}
    assert said == {
        "cameras/00.png": ["car"],
        "cameras/01.png": [],
        "cameras/02.png": [],
        "cameras/03.png": [],
    }


def test_states_follow_the_merged_labels_where_two_runs_meet(small: SmallHome) -> None:
    versions = small.home.versions
    first, second = versions.begin("first"), versions.begin("second")
    STORE.open(first.table("annotations")).delete("record_id = '0'")
    _state_anew(first)
    key = "cameras/00.png"
    label: dict[str, object] = {"row_id": "x", "source": "boxes", "stream": "s", "record_id": "9"}
    label |= {"media_id": row_id(key), "media_key": key, "kind": "box", "class": "van"}
    STORE.open(second.table("annotations")).upsert(finish_rows("annotations", [label]))
    _state_anew(second)  # as before: labelled
    assert first.commit("first", {})
    first.merge()
    assert _states(small, key) == ["unlabelled"]
    again, moved, _ = replay(versions, second)
    assert moved == ()
    assert again.commit("second", {})
    again.merge()
    assert _states(small, key) == ["labelled"]
    assert _states(small, key, "v2") == ["labelled"]
    assert {c.table for c in small.open().diff("v2").tables} == {"annotations"}
