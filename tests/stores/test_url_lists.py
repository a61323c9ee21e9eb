"""Reading lists of URLs, and their index."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainset.errors import InputError, NotFound
from trainset.stores import url_index
from trainset.stores.url_index import UrlIndex
from trainset.stores.url_rows import Row, ending, read_urls

URLS = ["https://h/a.jpg", "https://h/b,c.jpg", "https://h/d.jpg"]


def rows(folder: Path, name: str, data: str | bytes) -> list[Row]:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_urls(path, name))


def test_a_text_file_has_a_url_a_line(tmp_path: Path) -> None:
    text = "\ufeff# my list\n\nhttps://h/a.jpg\r\n  https://h/b,c.jpg  \n#x\nhttps://h/d.jpg"
    assert rows(tmp_path, "u.txt", text) == list(zip((3, 4, 6), URLS, strict=True))


@pytest.mark.parametrize("column", ["url", "URL", "image_url", "media uri", "Link"])
def test_tables_have_a_column_of_urls(tmp_path: Path, column: str) -> None:
    table = pa.table({"id": [1, 2, 3], column: URLS})
    pq.write_table(table, tmp_path / "u.parquet")
    quoted = [f'"{url}"' for url in URLS]
    lines = [json.dumps({"id": 1, column: url}) for url in URLS]
    found = {
        "csv": rows(tmp_path, "u.csv", f"id,{column}\n" + "".join(f"1,{q}\n" for q in quoted)),
        "tsv": rows(tmp_path, "u.tsv", f"id\t{column}\n" + "".join(f"1\t{u}\n" for u in URLS)),
        "jsonl": rows(tmp_path, "u.jsonl", "\n".join(lines)),
        "parquet": list(read_urls(tmp_path / "u.parquet", "u.parquet")),
    }
    assert {name: [url for _, url in got] for name, got in found.items()} == dict.fromkeys(
        found, URLS
    )
    assert found["csv"][0][0] == 2


def test_rows_without_a_url_are_kept_with_their_number(tmp_path: Path) -> None:
    assert rows(tmp_path, "u.csv", "url,id\nhttps://h/a,1\n,2\n") == [(2, "https://h/a"), (3, "")]
    assert rows(tmp_path, "u.jsonl", '{"url": "x"}\n{"id": 1}\n"https://h/a"\n') == [
        (1, "x"),
        (2, ""),
        (3, "https://h/a"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("u.csv", "id,name\n1,2\n", "no column 'url'"),
        ("u.csv", "image_url,page_url\n1,2\n", "no column 'url'"),
        ("u.csv", "", "no column 'url'"),
        ("u.jsonl", '{"url": "x"}\n{oops\n', "line 2 is no JSON"),
        ("u.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("u.parquet", "no parquet at all", "no Parquet file"),
        ("u.txt", "x" * 2**21, "line 1 is no URL"),
    ],
)
def test_what_is_no_list_is_refused_with_its_place(
    tmp_path: Path, name: str, data: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        rows(tmp_path, name, data)


def test_the_ending_says_what_is_a_list(tmp_path: Path) -> None:
    assert [ending(n) for n in ("a/u.TXT", "u.parquet", "u.jpg", "u")] == [
        ".txt",
        ".parquet",
        None,
        None,
    ]
    with pytest.raises(NotFound, match=r"no\.txt"):
        list(read_urls(tmp_path / "no.txt", "no.txt"))


def test_bad_lines_and_second_lines_of_a_medium_are_kept_with_their_reason() -> None:
    index = UrlIndex(
        [
            (1, "https://h/a"),
            (2, "file:///a"),
            (3, "http://h/a#x"),
            (4, ""),
            (5, "https://\udcff/"),
        ],
        "u.txt",
    )
    assert list(index.items("", "")) == [("h/a", "https://h/a")]
    assert [(r.name, r.kind) for r in index.refusals()] == [
        ("u.txt:2", "bad-url"),
        ("u.txt:4", "bad-url"),
        ("u.txt:5", "bad-url"),
        ("u.txt:3", "duplicate-url"),
    ]
    assert "line 1 again" in list(index.refusals())[-1].reason
    assert index.url("h/a") == "https://h/a"
    assert index.url("h/b") is None


def test_the_index_goes_with_its_file() -> None:
    index = UrlIndex([(1, "https://h/a")], "u.txt")
    path = index._path
    assert os.stat(path).st_mode & 0o777 == 0o600
    del index
    gc.collect()
    assert not path.exists()


def test_a_long_list_is_never_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_index, "_BATCH", 500)
    count = 12_000  # whose keys alone are more than 1 MB
    lines = ((n, f"https://h{n % 7}.test/i/{n * 7919 % count:07}.jpg") for n in range(count))
    tracemalloc.start()
    try:
        before = ""
        for key, _ in UrlIndex(lines, "u.txt").items("", ""):
            assert before < key
            before = key
        assert tracemalloc.get_traced_memory()[1] < 2**19
    finally:
        tracemalloc.stop()
