"""Which kind of source a url opens."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from trainset.errors import InputError, MissingExtra, NotFound, SpecError
from trainset.model import Credentials
from trainset.spec import DatasetSpec, parse_spec
from trainset.stores import open_source
from trainset.stores.fsspec_store import FsspecStore
from trainset.stores.http_list import HttpListStore
from trainset.stores.local import LocalStore
from trainset.stores.s3 import S3Store

KEYS = Credentials(key_id="k", application_key=SecretStr("s"), endpoint="https://s3.x-y.test")


def test_each_url_opens_its_kind(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    for url, kind in {
        str(tmp_path): LocalStore,
        f"file://{tmp_path}": LocalStore,
        str(tmp_path / "folder.txt"): LocalStore,
        "a:b?#": LocalStore,
        "s3://bucket/x": S3Store,
        "b2://bucket/x": S3Store,
        str(tmp_path / "urls.txt"): HttpListStore,
        f"file://{tmp_path}/urls.csv": HttpListStore,
        "https://host/list.parquet?v=1": HttpListStore,
        "HTTP://host/list.txt": HttpListStore,
        "memory://x": FsspecStore,
        f"zip://::file://{tmp_path}/x.zip": FsspecStore,
        "simplecache::memory://x": FsspecStore,
    }.items():
        assert type(open_source(url, KEYS)) is kind, url


def test_what_cannot_be_opened_says_what_can() -> None:
    with pytest.raises(InputError, match="no list of URLs"):
        open_source("https://me:word@host/photo.jpg")
    with pytest.raises(InputError, match=r"'nope' are not known.*gcs.*webhdfs"):
        open_source("nope://x")
    with pytest.raises(MissingExtra, match="pip install gcsfs"):
        open_source("gs://bucket")


def test_a_list_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"urls\.txt"):
        list(open_source(str(tmp_path / "urls.txt")).list())


def spec(place: str, folder: Path) -> DatasetSpec:
    media = [{"name": "m", "from": place}]
    return parse_spec({"name": "d", "home": "h", "media": media}, folder=folder)


def test_a_spec_names_a_list_beside_it(tmp_path: Path) -> None:
    assert spec("urls.txt", tmp_path).media[0].from_ == str(tmp_path / "urls.txt")
    for url in ("https://host/a.txt", "memory://x", "zip://::file:///x.zip"):
        assert spec(url, tmp_path).media[0].from_ == url


@pytest.mark.parametrize(
    "place", ["sftp://me:word@host/x", "https://host/list.txt?X-Amz-Signature=word"]
)
def test_a_spec_takes_no_password(tmp_path: Path, place: str) -> None:
    with pytest.raises(SpecError, match=r"from: a password") as caught:
        spec(place, tmp_path)
    assert "word@" not in str(caught.value)
    assert "=word" not in str(caught.value)
