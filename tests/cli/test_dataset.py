"""``trainset.open``: any ref, read only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import trainset
from trainset.compute import registry
from trainset.compute.base import Function
from trainset.errors import InputError, NotFound
from trainset.identity import row_id


class Axes:
    """Encodes "axis 2" as the vector along axis 2; stands in for a model that needs weights."""

    def encode_text(self, texts: list[str]) -> list[list[float]]:
        return [vector(int(text.split()[-1])) for text in texts]

    def prepare(self, asset: Any) -> bytes:
        return bytes(asset.data)

    def compute(self, batch: list[bytes]) -> list[list[float]]:
        return [vector(int(body.split()[-1])) for body in batch]


def vector(axis: int) -> list[float]:
    return [1.0 if i == axis else 0.0 for i in range(16)]


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> None:
    def encoder_for(function: Function, **_: Any) -> Axes:
        assert function.params["model"] == "ViT-T"
        return Axes()

    monkeypatch.setattr(registry, "encoder_for", encoder_for)


def test_a_ref_shows_its_own_rows(home_url: str) -> None:
    assert trainset.open(home_url, ref="v1").table("media").count() == 3
    newest = trainset.open(home_url)
    assert newest.table("media").count() == 4
    assert list(newest.tables()) == ["annotations", "media"]
    assert [commit.message for commit in newest.log()] == ["run two", "run one"]
    assert trainset.open(home_url, ref=newest.commit.id[:10]).commit.id == newest.commit.id


def test_what_is_not_there_is_named(home_url: str, tmp_path: Any) -> None:
    with pytest.raises(NotFound, match="holds no dataset"):
        trainset.open(str(tmp_path / "nowhere"))
    with pytest.raises(NotFound, match="v1"):
        trainset.open(home_url, ref="v11")
    ds = trainset.open(home_url)
    with pytest.raises(NotFound, match="annotations, media"):
        ds.table("frames")
    with pytest.raises(InputError, match="it has row_id, key"):
        ds.table("media").select(["nope"])


def test_views_filter_select_limit_and_stay_unchanged(home_url: str) -> None:
    media = trainset.open(home_url).table("media")
    cars = media.where("annotations.class = 'car'").where("width >= 200").select(["key", "width"])
    assert cars.to_arrow().to_pylist() == [{"key": "cam/2.jpg", "width": 200}]
    assert list(cars.to_pandas().columns) == ["key", "width"]
    assert cars.schema.names == ["key", "width"]
    assert cars.count() == 1
    assert media.limit(2).count() == 2
    assert media.limit(2).to_arrow().num_rows == 2
    assert sum(batch.num_rows for batch in media.to_batches()) == 4
    assert media.count() == 4


def test_where_sees_the_labels_of_its_own_ref(home_url: str) -> None:
    where = "annotations.class = 'car'"
    assert trainset.open(home_url, "v1").table("media").where(where).count() == 1
    assert trainset.open(home_url, "v2").table("media").where(where).count() == 2


def test_columns_say_operator_model_and_fill(home_url: str) -> None:
    columns = {c.name: c for c in trainset.open(home_url).table("media").columns}
    assert (columns["text"].operator, columns["text"].filled, columns["text"].failed) == (
        "ocr",
        3,
        1,
    )
    assert columns["clip"].model == "ViT-T/test"
    assert columns["clip"].type == "float16[16]"
    assert columns["clip"].stale == 0
    assert columns["width"].filled is None
    assert "clip__fn" not in columns
    assert "open_clip" in repr(trainset.open(home_url).table("media").columns)


@pytest.mark.usefixtures("axes")
def test_search_finds_by_text_and_by_image_with_scores(home_url: str) -> None:
    media = trainset.open(home_url).table("media")
    found = media.search("axis 2", k=2).to_arrow()
    assert found["key"][0].as_py() == "cam/2.jpg"
    np.testing.assert_allclose(found["_score"].to_numpy(), [1.0, 0.0], atol=1e-3)
    found = media.select(["key"]).search(image=b"like 3", k=1).to_arrow()
    assert found.column_names == ["key", "_score"]
    assert found["key"][0].as_py() == "cam/3.jpg"
    narrowed = media.where("width < 200").search("axis 2", k=5)
    assert narrowed.select(["key", "_score"]).to_arrow()["key"].to_pylist() == ["cam/1.jpg"]
    assert narrowed.count() == 1


@pytest.mark.usefixtures("axes")
def test_search_is_pinned_to_the_ref(home_url: str) -> None:
    for ref, expected in (("v1", 0.0), ("v2", 1.0)):
        best = trainset.open(home_url, ref).table("media").search("axis 4", k=1).to_arrow()
        assert best["_score"][0].as_py() == pytest.approx(expected, abs=1e-3)


def test_words_are_found_in_computed_text(home_url: str) -> None:
    media = trainset.open(home_url).table("media")
    found = media.match("STOP").to_arrow()
    assert found["key"].to_pylist() == ["cam/3.jpg", "cam/1.jpg"]
    assert found["_score"][0].as_py() > found["_score"][1].as_py() > 0
    assert media.match("cafe").to_arrow()["key"].to_pylist() == ["cam/2.jpg"]
    assert media.match("nothing").count() == 0


def test_search_falls_back_on_words(home_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "encoder_for", lambda function, **_: None)
    media = trainset.open(home_url).table("media")
    assert media.search("red light").to_arrow()["key"].to_pylist() == ["cam/1.jpg"]
    with pytest.raises(InputError, match="open_clip"):
        media.search(image=b"x").to_arrow()
    with pytest.raises(InputError, match="cannot encode a query"):
        media.search("x", column="clip").to_arrow()


def test_a_search_that_cannot_work_says_why(home_url: str) -> None:
    ds = trainset.open(home_url)
    with pytest.raises(InputError, match="give one of the two"):
        ds.table("media").search()
    with pytest.raises(InputError, match="k is 0"):
        ds.table("media").search("x", k=0)
    with pytest.raises(InputError, match="no column 'nope'"):
        ds.table("media").search("x", column="nope").to_arrow()
    with pytest.raises(InputError, match="open_clip"):
        ds.table("annotations").search(image=b"x").to_arrow()
    with pytest.raises(InputError, match="search already"):
        ds.table("media").match("x").search("y")


def test_lineage_names_source_labels_and_functions(home_url: str) -> None:
    ds = trainset.open(home_url)
    found = ds.lineage("cam/1.jpg")
    assert found.row_id == row_id("cam/1.jpg")
    assert found.source["source_uri"] == "/nas/1.jpg"
    assert [e["type"] for e in found.events if e["run_id"] == "two"] == ["RECEIVE", "FETCH", "SEND"]
    assert [label["class"] for label in found.labels] == ["car", "bus"]
    assert {c.column: c.state for c in found.cells} == {"text": "filled", "clip": "filled"}
    assert found.cells[0].function is not None
    assert ds.lineage(row_id("cam/4.jpg")).cells[0].error == {
        "kind": "decode",
        "message": "the page is black",
        "retryable": False,
    }
    with pytest.raises(NotFound, match="no row 'cam/9'"):
        ds.lineage("cam/9")


def test_media_bytes_are_read_by_uri(home_url: str) -> None:
    ds = trainset.open(home_url)
    [row] = ds.table("media").where("key = 'cam/2.jpg'").to_arrow().to_pylist()
    assert ds.read_media(row["uri"]) == b"bytes of 2"


def test_diff_counts_rows_and_names_them(home_url: str) -> None:
    ds = trainset.open(home_url, "v2")
    found = ds.diff("v1")
    assert {c.table: (c.added, c.removed, c.changed) for c in found.tables} == {
        "annotations": (1, 0, 0),
        "media": (1, 0, 0),
    }
    assert found.summary()["media"] == {"added": 1, "removed": 0, "changed": 0, "recomputed": 0}
    assert "media: 1 added, 0 removed, 0 changed, 0 computed again" in repr(found)
    assert found.rows("media").added.to_pylist() == [row_id("cam/4.jpg")]
    assert found.changed("media") == []
    assert "no row differs" in repr(ds.diff("v2"))
