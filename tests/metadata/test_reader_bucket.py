"""Label files in a bucket (moto): a file, a prefix, and a whole bucket."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from trainset.metadata import open_reader
from trainset.model import Credentials
from trainset.spec import MetadataSource


@pytest.fixture(scope="module")
def credentials() -> Iterator[Credentials]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    found = Credentials(
        key_id="key", application_key=SecretStr("secret"), endpoint=f"http://{host}:{port}"
    )
    client = boto3.client(
        "s3",
        endpoint_url=found.endpoint,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="labels-here")
    for key, name in (("deep/a.csv", "a.jpg"), ("top.csv", "b.jpg")):
        body = f"file_name,label\n{name},cat\n".encode()
        client.put_object(Bucket="labels-here", Key=key, Body=body)
    yield found
    server.stop()


@pytest.mark.parametrize(
    ("place", "refs"),
    [
        ("s3://labels-here", ["a.jpg", "b.jpg"]),
        ("s3://labels-here/deep", ["a.jpg"]),
        ("s3://labels-here/deep/", ["a.jpg"]),
        ("s3://labels-here/deep/a.csv", ["a.jpg"]),
        ("b2://labels-here/top.csv", ["b.jpg"]),
        ("s3://labels-here/gone", []),
    ],
)
def test_a_bucket_is_read_like_a_folder(
    place: str, refs: list[str], credentials: Credentials
) -> None:
    source = MetadataSource.model_validate({"name": "labels", "from": place})
    reader = open_reader(source, credentials)
    reader.check()
    found = []
    for stream in reader.discover():
        batches = list(reader.read(stream.name, {}))
        found += [ref for batch in batches for ref in batch.records["media_ref"].to_pylist()]
        assert list(reader.read(stream.name, batches[-1].state)) == []
    assert sorted(found) == refs
