"""What ``benchmarks/metadata.py`` measures, each in a process of its own: trainset and its peers.

Libraries are imported before the clock starts, for everybody.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

TABLE = "annotations"


def _import(*names: str) -> None:
    for name in names:
        if importlib.util.find_spec(name.split(".")[0]) is not None:
            importlib.import_module(name)


_CLIENT = os.environ.get("TRAINSET_BENCHMARK_CLIENT", "")  # of this process
if _CLIENT == "trainset":
    _import(
        "adbc_driver_postgresql.dbapi", "duckdb", "trainset.home", "trainset.tables.lance_store"
    )
    _import("trainset.metadata.tables.source", "trainset.metadata.tables.open")
    _import("trainset.metadata.sql.postgres", "trainset.versions.git", "trainset.stores.local")
elif _CLIENT in ("connectorx", "pandas"):
    _import(_CLIENT, "pyarrow.parquet", "sqlalchemy", "psycopg")


def trainset(url: str, home: str, run_id: str) -> dict[str, int]:
    """One sync into a run branch, committed and merged."""
    from trainset.home import open_home
    from trainset.metadata.tables.open import open_tables
    from trainset.metadata.tables.source import sync_tables
    from trainset.spec_metadata import MetadataSource

    source = MetadataSource.model_validate(
        {"name": "db", "from": "block:benchmark", "table": TABLE, "contract": "widen"}
    )
    workspace = open_home(home, create=True).versions.begin(run_id)
    report = sync_tables(
        open_tables(source, lambda name: url),
        source,
        workspace,
        sync_id=run_id,
        now=datetime.now(UTC),
    )
    if report.failed:
        raise SystemExit(report.rejected[0].reason)
    if workspace.commit("benchmark", {}) is None:
        workspace.discard()
        return {"rows": report.rows, "changed": 0}
    workspace.merge()
    return {"rows": report.rows, "changed": 1}


def copy(url: str, folder: str) -> int:
    """``psql \\copy`` to CSV: what the server and the wire allow."""
    target = Path(folder) / "copy.csv"
    command = ["psql", url, "--quiet", "--command", f"\\copy {TABLE} to '{target}' csv"]
    subprocess.run(command, check=True)
    return target.stat().st_size


def connectorx(url: str, folder: str) -> int:
    """ConnectorX to Arrow, then one Parquet file."""
    import connectorx
    import pyarrow.parquet as pq

    found = connectorx.read_sql(url, f"SELECT * FROM {TABLE}", return_type="arrow")
    pq.write_table(found, Path(folder) / "connectorx.parquet", compression="zstd")
    return len(found)


def pandas(url: str, folder: str) -> int:
    """pandas through SQLAlchemy, then one Parquet file."""
    import pandas
    import sqlalchemy

    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = pandas.read_sql(f"SELECT * FROM {TABLE}", connection)
    for name in found.columns[found.dtypes == "object"]:
        found[name] = found[name].astype("string")  # lists of JSON are no type of Parquet here
    found.to_parquet(Path(folder) / "pandas.parquet", compression="zstd")
    return len(found)


def dlt(url: str, folder: str, python: str) -> int:
    """dlt's ``sql_table`` with its Arrow backend into Parquet files, in a Python that has it."""
    command = [python, "-c", _DLT, url, folder]
    quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}
    subprocess.run(command, check=True, env={**os.environ, **quiet}, stdout=sys.stderr, cwd=folder)
    return 1


_DLT = f"""
import sys, dlt
from dlt.sources.sql_database import sql_table
url, folder = sys.argv[1:]
table = sql_table(url, table="{TABLE}", backend="pyarrow")
place = dlt.destinations.filesystem(bucket_url="file://" + folder + "/dlt")
dlt.pipeline("benchmark", pipelines_dir=folder + "/state", destination=place,
             dataset_name="d").run(table, loader_file_format="parquet")
"""
