"""Importing the library costs nothing that is not used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("lance", "torch", "duckdb", "boto3", "prefect", "pyarrow", "sqlglot", "pygit2", "PIL")


def loaded(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_import_trainset_loads_nothing_heavy() -> None:
    assert not loaded("import trainset; trainset.open; trainset.__version__") & set(HEAVY)


def test_opening_a_dataset_needs_no_lance_before_a_table_is_read() -> None:
    assert not loaded("import trainset.dataset") & {"lance", "torch", "duckdb", "boto3", "prefect"}


def test_help_needs_no_lance() -> None:
    assert not loaded("import trainset.cli") & {"lance", "torch", "duckdb", "boto3", "prefect"}
