"""The compute cache keeps values of every type, whole batches, and survives damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from trainset.compute.cache import CellCache

TYPES = [
    (pa.uint64(), 2**64 - 1),
    (pa.string(), "Grüße"),
    (pa.list_(pa.float16(), 3), np.array([0.5, -1, 2], np.float16)),
    (pa.struct([pa.field("a", pa.string()), pa.field("b", pa.float32())]), {"a": None, "b": 2.5}),
]


@pytest.mark.parametrize(("kind", "value"), TYPES, ids=str)
def test_a_value_comes_back_as_it_was(tmp_path: Path, kind: pa.DataType, value: object) -> None:
    array = pa.array([value], type=kind)
    with CellCache(tmp_path / "c.sqlite") as cache:
        cache.put([("fn", {"sha": array})])
    with CellCache(tmp_path / "c.sqlite") as cache:
        assert cache.get("fn", ["sha", "other"], kind) == {"sha": array}
        assert cache.get("other", ["sha"], kind) == {}


def test_many_keys_are_found(tmp_path: Path) -> None:
    with CellCache(tmp_path / "c.sqlite") as cache:
        cache.put([("f", {str(i): pa.array([i], pa.int64()) for i in range(1200)})])
        found = cache.get("f", [str(i) for i in range(2000)], pa.int64())
    assert {key: array[0].as_py() for key, array in found.items()} == {
        str(i): i for i in range(1200)
    }


def test_a_damaged_cache_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"this is no database " * 500)
    with CellCache(path) as cache:
        cache.put([("f", {"a": pa.array([1])})])
        assert len(cache.get("f", ["a"], pa.int64())) == 1
    assert [p.suffix.startswith(".broken") for p in tmp_path.iterdir() if p != path].count(
        True
    ) == 1
