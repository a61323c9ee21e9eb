"""The guess of a spec knows Parquet, Excel and compressed tables, and says what holds no labels."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainset.metadata import open_reader
from trainset.metadata.discover import Guess, guess_spec

ROWS = [{"n": 1, "picture": "day 1/a.jpg"}, {"n": 2, "picture": "c.png"}]
CSV = "n,picture\n1,day 1/a.jpg\n2,c.png\n"


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    return out.getvalue()


def _xlsx() -> bytes:
    book = openpyxl.Workbook()
    for row in (list(ROWS[0]), *(list(row.values()) for row in ROWS)):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set" / "day 1").mkdir(parents=True)
    for name in ("day 1/a.jpg", "c.png"):
        (tmp_path / "set" / name).write_bytes(b"x")
    return tmp_path / "set"


def _guess(folder: Path) -> Guess:
    return guess_spec(folder, home="/nowhere/home", name="photos")


@pytest.mark.parametrize(
    ("name", "body", "format_"),
    [
        ("labels.parquet", _parquet(), "parquet"),
        ("labels.xlsx", _xlsx(), "xlsx"),
        ("labels.csv.gz", gzip.compress(CSV.encode()), "csv"),
        ("labels", gzip.compress(_parquet()), "parquet"),
        ("labels.csv", CSV.encode("utf-16"), "csv"),
    ],
)
def test_a_table_of_any_format_counts_and_can_be_read(
    folder: Path, name: str, body: bytes, format_: str
) -> None:
    (folder / name).write_bytes(body)
    guess = _guess(folder)
    (source,) = guess.spec.metadata
    assert (source.format, source.media_column) == (format_, "picture")
    reader = open_reader(source)
    (stream,) = reader.discover()
    (batch,) = reader.read(stream.name, {})
    assert batch.records["media_ref"].to_pylist() == ["day 1/a.jpg", "c.png"]


def test_broken_tables_are_noted_and_the_guess_goes_on(folder: Path) -> None:
    (folder / "cut.parquet").write_bytes(_parquet()[:-20])
    (folder / "cut.xlsx").write_bytes(_xlsx()[:-200])
    (folder / "cut.csv.gz").write_bytes(gzip.compress(CSV.encode() * 50)[:-9])
    (folder / "good.csv").write_text(CSV)
    guess = _guess(folder)
    assert [source.name for source in guess.spec.metadata] == ["good"]
    for name in ("cut.parquet", "cut.xlsx", "cut.csv.gz"):
        assert any(name in note and "broken" in note for note in guess.notes)


def test_a_file_of_a_format_that_holds_no_labels_is_not_called_unread(folder: Path) -> None:
    (folder / "image_ids.csv").write_text("ImageID,Subset\na,train\nb,test\n")
    (note,) = (note for note in _guess(folder).notes if "image_ids" in note)
    assert "holds no labels" in note
    assert "not read" not in note


def test_label_files_of_thousands_are_not_read_when_they_are_compressed(folder: Path) -> None:
    (folder / "1.txt.gz").write_bytes(gzip.compress(b"0 .5 .5 .1 .1\n"))
    assert _guess(folder).ignored == {"gz": 1}
