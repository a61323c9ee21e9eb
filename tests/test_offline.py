"""Without network at run time the demo gives the same dataset (DESIGN.md, "Same")."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from services import demo as demo_service
from services import real

import trainset
from trainset.dataset import Dataset
from trainset.tables.root_hash import root_hash
from trainset.versions.rowstate import computed_columns

ALONE = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


@pytest.fixture(scope="module")
def offline(demo: demo_service.Demo, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The demo made again in a network namespace that holds the loopback device only.

    Caches of downloads are empty ones, so that nothing which ``demo`` may have fetched helps.
    """
    folder = tmp_path_factory.mktemp("offline")
    if subprocess.run([*ALONE, "true"], capture_output=True).returncode:
        real.need(
            "a network namespace (unshare -rn)",
            "apt-get install util-linux iproute2; sysctl kernel.unprivileged_userns_clone=1",
        )
    caches = {name: str(folder / name) for name in ("HF_HOME", "TORCH_HOME")}
    made = demo_service.run(
        folder / "home",
        before=ALONE,
        environment=caches | {"TRAINSET_PREFECT_HOME": str(folder / "prefect")},
    )
    assert made.exit_code == demo.exit_code
    return trainset.open(str(made.home))


@pytest.fixture(scope="module")
def online(demo_home: Path) -> Dataset:
    return trainset.open(str(demo_home))


def _alone(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ALONE, *command], capture_output=True, text=True)


@pytest.mark.demo
@pytest.mark.timeout(2000)
def test_there_was_no_network(offline: Dataset) -> None:
    seen = _alone(["cat", "/proc/net/dev"]).stdout.splitlines()[2:]
    assert [line.split(":")[0].strip() for line in seen] == ["lo"]


@pytest.mark.demo
@pytest.mark.timeout(2000)
def test_the_same_rows_and_functions_have_the_same_root_hash(
    online: Dataset, offline: Dataset
) -> None:
    hashes = [
        root_hash({name: ds.open_table(name) for name in ds.tables()}) for ds in (online, offline)
    ]
    assert hashes[0] == hashes[1]
    assert list(online.tables()) == list(offline.tables())


@pytest.mark.demo
@pytest.mark.timeout(2000)
@pytest.mark.parametrize("name", ["media", "annotations"])
def test_cells_are_the_same_and_embeddings_point_the_same_way(
    name: str, online: Dataset, offline: Dataset
) -> None:
    one, two = (_rows(ds, name) for ds in (online, offline))
    assert one.num_rows == two.num_rows > 0
    assert one["row_id"].equals(two["row_id"])
    for column in computed_columns(one.column_names):
        first, second = one[column].to_pylist(), two[column].to_pylist()
        if pa.types.is_fixed_size_list(one.schema.field(column).type):
            pairs = zip(first, second, strict=True)
            assert min(_cosine(a, b) for a, b in pairs if a is not None) >= 0.9999
            assert [a is None for a in first] == [b is None for b in second]
        else:
            assert first == second, column


def _rows(dataset: Dataset, name: str) -> pa.Table:
    return dataset.open_table(name).scan().read_all().sort_by("row_id")


def _cosine(a: list[float], b: list[float] | None) -> float:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
