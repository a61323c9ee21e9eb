"""Searching tables: scores, filters, and the same answers with and without an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from trainset.errors import InputError
from trainset.tables import bm25, lance_search
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTable, LanceTableStore

SIZE = 8
SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("n", pa.int64()),
        pa.field("text", pa.string()),
        pa.field("v", pa.list_(pa.float16(), SIZE)),
        pa.field("row_fp", pa.uint64()),
    ]
)
WORDS = ["red", "green", "blue", "Café", "stop", "light", "night", "car", "bus", "street"]


def rows(start: int, stop: int) -> pa.Table:
    vectors = np.random.default_rng(start).normal(size=(stop - start, SIZE))
    data = [
        {
            "row_id": f"r{n:04}",
            "n": n,
            "text": f"{WORDS[n % 10]} {WORDS[n // 10 % 10]} number{n}" if n % 17 else None,
            "v": vectors[n - start].tolist() if n % 13 else None,
            "row_fp": n,
        }
        for n in range(start, stop)
    ]
    return pa.Table.from_pylist(data, schema=SCHEMA)


@pytest.fixture
def table(tmp_path: Path) -> LanceTable:
    created = LanceTableStore().create(TableLocation(str(tmp_path / "t")), SCHEMA)
    created.upsert(rows(0, 300))
    return created


def cosines(table: LanceTable, query: list[float]) -> dict[str, float]:
    """Exact scores in float64, as the reference."""
    found = table.scan(["row_id", "v"]).read_all().to_pylist()
    q = np.array(query) / np.linalg.norm(query)
    scores = {}
    for row in found:
        if row["v"] is not None:
            v = np.array([float(x) for x in row["v"]])
            scores[row["row_id"]] = float(v @ q / np.linalg.norm(v))
    return scores


def test_nearest_gives_the_highest_cosines_best_first(table: LanceTable) -> None:
    query = [1.0, -0.5, 0.25, 0.0, 2.0, 0.0, 0.0, 1.0]
    exact = cosines(table, query)
    found = table.nearest("v", query, k=10, columns=["row_id"]).to_pylist()
    assert [r["row_id"] for r in found] == sorted(exact, key=lambda i: -exact[i])[:10]
    for row in found:
        assert row["_score"] == pytest.approx(exact[row["row_id"]], abs=2e-3)


def test_nearest_filters_before_it_ranks(table: LanceTable) -> None:
    found = table.nearest("v", [1.0] * SIZE, k=5, where="n < 20").to_pylist()
    assert len(found) == 5
    assert all(row["n"] < 20 for row in found)
    assert len(table.nearest("v", [1.0] * SIZE, k=50, where="n < 20")) == 18  # two without vector


@pytest.mark.parametrize(
    ("column", "vector", "message"),
    [
        ("v", [1.0, 2.0], "holds vectors of 8 numbers, the query has 2"),
        ("v", [0.0] * SIZE, "no direction"),
        ("v", [float("nan")] * SIZE, "no direction"),
        ("text", [1.0] * SIZE, "not a vector"),
        ("nope", [1.0] * SIZE, "no column 'nope'"),
    ],
)
def test_a_bad_vector_query_is_refused(
    table: LanceTable, column: str, vector: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        table.nearest(column, vector, k=3)


def test_a_vector_index_keeps_finding_old_and_new_rows(
    table: LanceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_search, "VECTOR_INDEX_ROWS", 256)
    before = table.version
    table.ensure_index("v", "cosine")
    assert table.version > before
    table.upsert(rows(300, 330))
    target = table.scan(["row_id", "v"], where="n = 310").read_all().to_pylist()[0]
    query = [float(x) for x in target["v"]]
    assert table.nearest("v", query, k=1)["row_id"].to_pylist() == ["r0310"]
    table.ensure_index("v", "cosine")
    found = table.nearest("v", query, k=1, columns=["row_id"]).to_pylist()[0]
    assert found["row_id"] == "r0310"
    assert found["_score"] == pytest.approx(1.0, abs=1e-2)
    version = table.version
    table.ensure_index("v", "cosine")
    assert table.version == version


def answers(table: LanceTable, words: str, **more: str) -> dict[str, float]:
    found = table.match("text", words, k=400, columns=["row_id"], **more).to_pylist()
    assert [r["_score"] for r in found] == sorted((r["_score"] for r in found), reverse=True)
    return {row["row_id"]: round(row["_score"], 3) for row in found}


QUERIES = ("red", "RED night", "cafe", "number42", "red number42 nothing")


def test_words_have_the_same_answers_with_and_without_an_index(
    table: LanceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = {query: answers(table, query) for query in QUERIES}
    narrow = answers(table, "red", where="n < 50")
    assert all(flat.values())
    monkeypatch.setattr(lance_search, "TEXT_INDEX_ROWS", 100)
    table.ensure_index("text", "text")
    assert {query: answers(table, query) for query in QUERIES} == flat
    assert answers(table, "red", where="n < 50") == narrow


def test_words_in_rows_after_the_index_are_found(
    table: LanceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_search, "TEXT_INDEX_ROWS", 100)
    table.ensure_index("text", "text")
    table.upsert(rows(300, 330))
    assert set(answers(table, "NUMBER311")) == {"r0311"}
    table.ensure_index("text", "text")
    assert set(answers(table, "number311")) == {"r0311"}
    table.delete("n = 311")
    assert answers(table, "number311") == {}


def test_small_tables_get_no_index(table: LanceTable) -> None:
    version = table.version
    for column, kind in (("v", "cosine"), ("text", "text"), ("n", "scalar")):
        table.ensure_index(column, kind)
    assert table.version == version
    with pytest.raises(InputError, match="no index kind 'hash'"):
        table.ensure_index("n", "hash")


def test_a_query_without_words_is_refused(table: LanceTable) -> None:
    for words in ("", "  ", "?!"):
        with pytest.raises(InputError, match="holds no word"):
            table.match("text", words, k=3)
    with pytest.raises(InputError, match="not text"):
        table.match("n", "red", k=3)


def test_bm25_ranks_rare_and_repeated_words_higher() -> None:
    documents = [(1, "cat cat dog"), (2, "cat dog dog"), (3, "dog dog dog"), (4, "bird")]
    scores = bm25.scores(documents, "cat")
    assert scores.keys() == {1, 2}
    assert scores[1] > scores[2]
    both = bm25.scores(documents, "bird dog")
    assert max(both, key=lambda i: both[i]) == 4
    assert bm25.scores([], "cat") == {}


def test_tokens_are_lower_case_without_accents() -> None:
    assert bm25.tokenize("Ça va, l'ÉTÉ_2024?") == ["ca", "va", "l", "ete", "2024"]
    assert bm25.tokenize("東京 tower") == ["東京", "tower"]
