"""Lists of files, and the files of a run that they and conditions choose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainset.errors import InputError, NotFound, SpecError
from trainset.transfer.attributes import LISTED, OF_DEAD_LETTERS, row_of, row_of_letter
from trainset.transfer.base import SourceFile, deferred, failed
from trainset.transfer.ledger.base import DeadLetter
from trainset.transfer.names import read_names
from trainset.transfer.report import write_transfer_report
from trainset.transfer.selection import Only, Selection

AT = datetime(2026, 11, 22, tzinfo=UTC)


def file(path: str, size: int = 3) -> SourceFile:
    return SourceFile(
        key=f"cam/{path}",
        source="cam",
        path=path,
        uri=f"/src/{path}",
        size=size,
        version="1",
        modified=AT,
    )


FILES = [file("a.jpg"), file("b.jpg", 30), file("c.mp4", 300), file("\udcff.bin")]


def text(folder: Path) -> Path:
    path = folder / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfcam/a.jpg\r\n\n/src/c.mp4\ncam/nowhere.jpg\ncam/nowhere.jpg\n")
    return path


def table(folder: Path) -> Path:
    path = folder / "list.csv"
    path.write_text("size,key\n1,cam/a.jpg\n2,/src/c.mp4\n\n3,cam/nowhere.jpg\n", encoding="utf-8")
    return path


def parquet(folder: Path) -> Path:
    path = folder / "list.parquet"
    names = ["cam/a.jpg", "/src/c.mp4", None, "cam/nowhere.jpg"]
    pq.write_table(pa.table({"n": [1, 2, 3, 4], "key": names}), path)
    return path


@pytest.mark.parametrize("make", [text, table, parquet])
def test_a_list_of_files_chooses_them_and_names_what_is_not_there(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    chosen = Selection(Only(manifest=make(tmp_path)))
    assert [f.path for f in chosen.select(FILES)] == ["a.jpg", "c.mp4"]
    assert chosen.found == 2
    ((name, place),) = chosen.unseen()
    assert name == "cam/nowhere.jpg"
    assert place.startswith(f"{make(tmp_path)}, ")
    assert place.split(", ")[-1] in ("line 4", "line 5", "row 4")


def test_the_report_of_a_run_is_such_a_list(tmp_path: Path) -> None:
    outcomes = [deferred(FILES[0], "transient", "later, perhaps"), failed(FILES[1], "input", "no")]
    write_transfer_report(outcomes, tmp_path)
    for name in ("transfer.csv", "transfer.parquet"):
        chosen = Selection(Only(manifest=tmp_path / name))
        assert [f.path for f in chosen.select(FILES)] == ["a.jpg", "b.jpg"], name
    write_transfer_report(outcomes, tmp_path, csv_rows=1)
    with pytest.raises(InputError, match=r"line 3: 1 fields .* 1 more files, in transfer\.parquet"):
        Selection(Only(manifest=tmp_path / "transfer.csv"))


def test_a_name_that_is_not_unicode_is_found(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"cam/\xff.bin\n")
    assert list(Selection(Only(manifest=tmp_path / "list")).select(FILES)) == [FILES[3]]


def test_names_and_a_condition_must_both_fit() -> None:
    only = Only(files=("cam/a.jpg", "cam/b.jpg"), where="size > 10 and mime like 'image/%'")
    assert [f.path for f in Selection(only).select(FILES)] == ["b.jpg"]
    assert [f.path for f in Selection(Only(where="path like '%.mp4'")).select(FILES)] == ["c.mp4"]
    assert not Selection(Only(where="true")).names("cam/odd"), "nobody named it"
    with pytest.raises(SpecError, match=r"width is no attribute of a file.* key, path, source"):
        Selection(Only(where="width > 5"))


def test_what_is_no_list_of_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such list"):
        list(read_names(tmp_path / "nowhere.csv"))
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"no column of names .* but a, b"):
        list(read_names(tmp_path / "odd.csv"))
    (tmp_path / "odd.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"odd\.parquet: .*give a list of files"):
        list(read_names(tmp_path / "odd.parquet"))
    (tmp_path / "empty").write_text("\n\n")
    with pytest.raises(InputError, match="names no file"):
        Selection(Only(manifest=tmp_path / "empty"))


def test_conditions_may_ask_for_just_what_is_known() -> None:
    from flows import arguments

    assert row_of(FILES[0], None).keys() >= LISTED.keys()
    letter = DeadLetter(
        key="cam/a/b.jpg",
        source_uri="/src/a/b.jpg",
        version="1",
        size=3,
        kind="input",
        reason="no",
        attempts=2,
        since=AT,
    )
    row = row_of_letter(letter)
    assert row.keys() == OF_DEAD_LETTERS.keys()
    assert (row["source"], row["path"], row["mime"]) == ("cam", "a/b.jpg", "image/jpeg")
    assert ", ".join(LISTED) == arguments.LISTED
    assert ", ".join(OF_DEAD_LETTERS) == arguments.OF_DEAD_LETTERS
