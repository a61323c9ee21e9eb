"""Guessing a spec from a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from services.shared_data import DATA, needs_data

from trainset.errors import InputError
from trainset.metadata import open_reader
from trainset.metadata.discover import Guess, guess_spec
from trainset.spec import load_spec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos"
    (folder / "day 1").mkdir(parents=True)
    for name in ("day 1/a.jpg", "day 1/b.JPG", "c.Png", "talk.mp3", "1.jpg", "2.jpg"):
        (folder / name).write_bytes(b"x")
    return folder


def _guess(folder: Path, home: str = "/nowhere/home") -> Guess:
    return guess_spec(folder, home=home, name="photos")


@needs_data
def test_the_real_folder() -> None:
    guess = guess_spec(DATA, home="/nowhere/home", name="data", clip={"model": "m", "weights": "w"})
    assert {kind: count.files for kind, count in guess.media.items()} == {
        "image": 259,
        "document": 3,
        "video": 3,
        "audio": 2,
    }
    assert {(s.name, s.format, s.media_column) for s in guess.spec.metadata} == {
        ("coco-records", "json", "filepath"),
        ("captions_train", "coco", None),
        ("captions_val", "coco", None),
        ("instances_train", "coco", None),
        ("instances_val", "coco", None),
        ("data", "label-studio", None),
        ("data_obb", "label-studio", None),
        ("data_polygons", "label-studio", None),
        ("oidv6-train-annotations-bbox", "open-images", None),
        ("oidv6-train-annotations-human-imagelabels", "open-images", None),
        ("test-annotations-bbox", "open-images", None),
        ("test-annotations-human-imagelabels", "open-images", None),
        ("train-annotations-object-segmentation", "open-images", None),
    }
    notes = "\n".join(guess.notes)
    for word in ("Open Images", "Pascal VOC", "YOLO"):
        assert f"{word}" in notes
    assert "tabular/world-population.csv" in notes
    assert guess.ignored == {"txt": 4, "xml": 3, "names": 3, "md": 1, "meta": 1, "data": 1}
    assert guess.spec.columns["clip"].params == {"model": "m", "weights": "w"}
    assert len(guess.lines()) > 8
    # every file of the folder is told of: media, labels, notes, ignored
    files = sum(path.is_file() for path in DATA.rglob("*"))
    later = 3 + 1 + 4
    told = sum(c.files for c in guess.media.values()) + len(guess.labels)
    assert told + later + 1 + sum(guess.ignored.values()) == files


@needs_data
def test_what_is_guessed_can_be_read() -> None:
    guess = guess_spec(DATA, home="/nowhere/home", name="data")
    for source in guess.spec.metadata:
        reader = open_reader(source)
        reader.check()
        (stream,) = reader.discover()
        assert sum(batch.records.num_rows for batch in reader.read(stream.name, {})) > 0


def test_the_spec_can_be_written_and_read_again(folder: Path, tmp_path: Path) -> None:
    (folder / "labels.csv").write_text("image,label\na.jpg,cat\n")
    guess = _guess(folder)
    path = tmp_path / "dataset.yaml"
    path.write_text(guess.spec.to_yaml())
    assert load_spec(path) == guess.spec
    assert guess.spec.media[0].name == "my-photos"
    assert "clip" not in guess.spec.columns


def test_include_takes_exactly_the_media_that_were_found(folder: Path) -> None:
    from trainset.transfer.globs import path_filter

    media = _guess(folder).spec.media[0]
    wanted = path_filter(media.include, media.exclude)
    for name in ("day 1/a.jpg", "day 1/b.JPG", "c.Png", "talk.mp3", "later.PNG"):
        assert wanted(name)
    assert not wanted("labels.csv")
    assert not wanted("film.mp4")


@pytest.mark.parametrize(
    ("name", "body", "column"),
    [
        ("x.csv", "n,picture\n1,day 1/a.jpg\n2,c.Png\n", "picture"),
        ("x.data", "picture;n\nb.JPG;1\ngone.jpg;2\n", "picture"),
        ("x.jsonl", '{"data": {"url": "http://host/day%201/a.jpg?x=1"}}\n', "data.url"),
        ("x.json", '[{"image_id": "1"}, {"image_id": "2"}]', "image_id"),
    ],
)
def test_a_table_counts_when_a_column_names_media(
    folder: Path, name: str, body: str, column: str
) -> None:
    (folder / name).write_text(body)
    (source,) = _guess(folder).spec.metadata
    assert source.media_column == column
    assert source.from_ == str(folder / name)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("x.csv", "n,picture\n1,gone.jpg\n2,gone2.jpg\n3,a.jpg\n"),
        ("x.csv", "rank,city\n1,Oslo\n2,Rome\n"),  # numbers that happen to be stems of media
        ("x.json", '[{"rank": "1"}, {"rank": "2"}]'),
        ("x.jsonl", '{"text": "hello"}\n'),
    ],
)
def test_a_table_without_media_does_not_count_and_says_so(
    folder: Path, name: str, body: str
) -> None:
    (folder / name).write_text(body)
    guess = _guess(folder)
    assert guess.spec.metadata == ()
    assert any(name in note and "no column names media" in note for note in guess.notes)


def test_a_coco_file_counts_by_its_content_alone(folder: Path) -> None:
    body = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}
    (folder / "labels.txt").write_text(json.dumps(body))
    (folder / "cut.json").write_text(json.dumps(body)[:-5])
    guess = _guess(folder)
    assert [(s.name, s.format) for s in guess.spec.metadata] == [("labels", "coco")]
    assert any("cut.json" in note for note in guess.notes)


def test_label_files_of_one_name_get_names_of_their_own(folder: Path) -> None:
    for part in ("x", "y", "x/z"):
        (folder / part).mkdir()
        (folder / part / "labels.csv").write_text("file,label\na.jpg,cat\n")
    names = [source.name for source in _guess(folder).spec.metadata]
    assert len(set(names)) == 3


def test_hidden_files_and_the_home_are_not_looked_into(folder: Path) -> None:
    for part in (".git", "out/home/media"):
        (folder / part).mkdir(parents=True)
        (folder / part / "z.gif").write_bytes(b"x")
        (folder / part / "labels.csv").write_text("file,label\na.jpg,cat\n")
    guess = _guess(folder, home=str(folder / "out" / "home"))
    assert guess.spec.metadata == ()
    assert "**/*.gif" not in guess.spec.media[0].include


def test_a_medium_without_a_known_name_is_noted(folder: Path) -> None:
    (folder / "IMG_0001").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    guess = _guess(folder)
    assert any("IMG_0001 is image/png" in note for note in guess.notes)
    assert guess.ignored == {}


def test_a_folder_without_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="holds no media"):
        _guess(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        _guess(tmp_path / "gone")
