"""The report of a real home, and the lines of code that it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from services.small_home import PICTURES, SmallHome, make_small_home

from trainset.compute.base import Function, ItemError
from trainset.export import run_export
from trainset.model import RunSummary
from trainset.report import Hit, Search, write_report
from trainset.report.facts import CARDS, gather_facts
from trainset.report.howto import open_dataset, open_export
from trainset.report.thumbs import draw_thumbs
from trainset.spec import DatasetSpec, ExportSpec, parse_spec


@pytest.fixture(scope="module")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> SmallHome:
    return make_small_home(str(tmp_path_factory.mktemp("report") / "home"))


@pytest.fixture(scope="module")
def own_spec(small_home: SmallHome) -> DatasetSpec:
    return parse_spec(
        {
            "name": "small",
            "home": small_home.home.url,
            "media": [{"name": "cameras", "from": "/nas/cameras"}],
            "exports": {"shards": {"format": "webdataset"}, "hub": {"format": "huggingface"}},
        },
        folder=Path("/"),
    )


def test_facts_are_those_of_the_tables(small_home: SmallHome) -> None:
    facts = gather_facts(small_home.open("v1"))
    assert (facts.media_count, facts.unreadable, facts.missing) == (14, 1, 0)
    assert (facts.labels, facts.labelled_media) == (4, 2)
    assert facts.classes == (("car", 3), ("bus", 1))
    assert facts.matches == (("key", 3), ("orphan", 1))
    assert len(facts.cards) == 13 <= CARDS
    labelled = {card.key: card.labels for card in facts.cards if card.labels}
    assert labelled == {"cameras/03.png": ("bus", "car"), "cameras/05.png": ("car",)}


def test_computed_columns_are_shown_and_thumbnails_taken_from_theirs(tmp_path: Path) -> None:
    small = make_small_home(str(tmp_path / "home"))
    small.home.store.put("thumbs/aa/x.jpg", PICTURES["cameras/01.png"])
    thumbnail = Function(operator="thumbnail", version="1", params={"size": 256}, output="string")
    cells = dict.fromkeys(PICTURES, "thumbs/aa/x.jpg") | {
        "cameras/02.png": ItemError(kind="decode", message="cut off")
    }
    small.compute("run-2", "thumb", thumbnail, pa.string(), cells)
    facts = gather_facts(small.open())
    [state] = facts.columns
    assert (state.name, state.operator, state.type) == ("thumb", "thumbnail", "string")
    assert (state.filled, state.failed, state.empty) == (11, 1, 2)
    read: list[str] = []

    def reading(uri: str, version_id: str | None) -> bytes:
        read.append(uri)
        return small.home.read_media(uri, version_id)

    assert len(draw_thumbs(facts.cards, reading)) == 13
    assert read.count("thumbs/aa/x.jpg") == 11, "media themselves only where there is no thumbnail"


def test_the_page_has_a_thumbnail_of_every_card_and_answer(
    small_home: SmallHome, own_spec: DatasetSpec
) -> None:
    dataset = small_home.open("v1")
    summary = RunSummary(run_id="r", status="completed", commit=dataset.commit.id, tag="v1")
    hits = (Hit(key="cameras/03.png", score=0.5), Hit(key="cameras/broken.jpg", score=0.1))
    page = write_report(
        summary,
        dataset,
        spec=own_spec,
        searches=[Search(kind="text", query="a car", hits=hits)],
    )
    assert page.count("data:image/jpeg;base64,") == 14
    assert len(page) < 200_000


def test_the_lines_that_open_a_dataset_work(small_home: SmallHome, own_spec: DatasetSpec) -> None:
    code = open_dataset(own_spec, "v1").replace("width >= 640", "width >= 50")
    assert "\n2\n" in run(f"{code}\nprint(len(media.where('width > 49').to_pandas()))")


def test_the_lines_that_load_an_export_work(
    small_home: SmallHome, own_spec: DatasetSpec, tmp_path: Path
) -> None:
    shards = run_export(small_home.open("v1"), "shards", ExportSpec(format="webdataset")).result
    code = open_export(shards, own_spec.home)
    assert "\n13\n" in run(f"{code}\nprint(sum(1 for _ in data))")
    hub = run_export(small_home.open("v1"), "hub", ExportSpec(format="huggingface")).result
    code = open_export(hub, own_spec.home)
    found = run(f"{code}\nprint(len(data['train']))", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert "\n13\n" in found


def run(code: str, **environment: str) -> str:
    """What a program prints, with a line break before it."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return "\n" + done.stdout
