"""A table published to a bucket is read in place, by a store that refuses conditional PUTs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from services.s3_endpoint import S3Bucket

from trainset.errors import AccessDenied, NotFound
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTableStore

SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("v", pa.list_(pa.float16(), 2)),
        pa.field("row_fp", pa.uint64()),
    ]
)


@pytest.fixture
def published(tmp_path: Path, s3_bucket: S3Bucket) -> TableLocation:
    """A local table whose version's files were put into the bucket, and nothing else."""
    local = LanceTableStore().create(TableLocation(str(tmp_path / "t")), SCHEMA)
    data = [
        {"row_id": f"r{n}", "text": f"word{n}", "v": [float(n), 1.0], "row_fp": n}
        for n in range(20)
    ]
    local.upsert(pa.Table.from_pylist(data, schema=SCHEMA))
    local.delete("row_id = 'r3'")
    store = s3_bucket.store("home")
    for file in local.files():
        store.put_file(f"tables/t/{file}", tmp_path / "t" / file)
    return TableLocation(store.uri("tables/t"), local.version, store.storage_options())


def test_a_table_in_a_bucket_is_read_and_searched_in_place(published: TableLocation) -> None:
    table = LanceTableStore().open(published)
    assert table.count() == 19
    assert table.scan(["text"], where="row_id = 'r7'").read_all()["text"].to_pylist() == ["word7"]
    assert table.nearest("v", [0.0, 1.0], k=1)["row_id"].to_pylist() == ["r0"]
    assert table.match("text", "Word9", k=3)["row_id"].to_pylist() == ["r9"]
    assert [f for f in table.files() if f.startswith("_versions/")]


def test_what_is_not_in_the_bucket_is_not_found(published: TableLocation) -> None:
    store = LanceTableStore()
    for uri, version in (
        (published.uri, 99),
        (published.uri + "x", 1),
        (published.uri + "x", None),
    ):
        assert not store.exists(TableLocation(uri, version, published.storage_options))
    with pytest.raises(NotFound, match="no table at"):
        store.open(TableLocation(published.uri, 99, published.storage_options))


def test_a_wrong_key_is_denied_without_showing_it(
    published: TableLocation, s3_bucket: S3Bucket
) -> None:
    assert published.storage_options["aws_secret_access_key"] not in repr(published)
    if s3_bucket.endpoint.kind == "moto":
        pytest.skip("moto takes every key")
    options = {**published.storage_options, "aws_secret_access_key": "not-the-secret"}
    with pytest.raises(AccessDenied) as denied:
        LanceTableStore().open(TableLocation(published.uri, published.version, options))
    assert "not-the-secret" not in str(denied.value)
