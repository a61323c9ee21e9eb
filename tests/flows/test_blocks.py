"""Blocks: saved and loaded as they were, secrets hidden, and opening real stores."""

from __future__ import annotations

import pickle
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from prefect import flow
from prefect.blocks.core import Block
from pydantic import ValidationError

from blocks import B2Bucket, B2Credentials, LocalStore
from blocks.register import register_blocks
from blocks.resolve import resolve_credentials
from trainset.errors import InputError, NotFound, SpecError

ENDPOINT = "https://s3.us-west-004.backblazeb2.com"
KEY = "K004-very-secret"
FILE = """
[b2-credentials.training]
key_id = "0041"
application_key = "$TEST_APPLICATION_KEY"
endpoint = "s3.us-west-004.backblazeb2.com"
[b2-bucket.scenes]
bucket_name = "acme-training"
bucket_folder = "scenes/"
credentials = "training"
[local-store.nas]
folder = "/mnt/nas"
"""


def _credentials(endpoint: str = ENDPOINT) -> B2Credentials:
    return B2Credentials(key_id="0041", application_key=KEY, endpoint=endpoint)


def test_the_library_gets_the_same_credentials_and_no_text_shows_the_key() -> None:
    block = _credentials(f"{ENDPOINT}/")
    given = block.to_credentials()
    assert (given.key_id, given.endpoint) == ("0041", ENDPOINT)
    assert given.application_key.get_secret_value() == KEY
    for shown in (repr(block), str(block), repr(given), str(block.model_dump())):
        assert KEY not in shown


def test_an_endpoint_with_a_path_is_refused_with_an_example() -> None:
    with pytest.raises(ValidationError, match=r"it reads https://s3\.<region>\.backblazeb2\.com"):
        _credentials(f"{ENDPOINT}/bucket")


def test_urls_read_as_a_spec_writes_them(tmp_path: Path) -> None:
    assert B2Bucket(bucket_name="acme", credentials=_credentials()).url == "b2://acme"
    bucket = B2Bucket(bucket_name="acme", credentials=_credentials(), bucket_folder="a/b/")
    assert bucket.url == "b2://acme/a/b"
    assert LocalStore(folder=tmp_path).url == str(tmp_path)


def test_credentials_travel_to_workers_without_their_client() -> None:
    block = _credentials()
    assert block.get_s3_client() is block.get_client(), "one client for one key"
    assert len(pickle.dumps(block)) < 2000


def test_a_local_store_opens_its_folder(tmp_path: Path) -> None:
    store = LocalStore(folder=tmp_path).open()
    store.put("a/b.txt", b"hello")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"hello"


def test_the_blocks_are_found_by_prefect_servers_and_workers() -> None:
    found = [e for e in entry_points(group="prefect.collections") if e.name == "trainset"]
    assert [e.load().B2Bucket for e in found] == [B2Bucket]


def test_forms_explain_every_field() -> None:
    for block in (B2Credentials, B2Bucket, LocalStore):
        assert block.get_description()
        assert f"import {block.__name__}" in block.get_code_example()
        for name, field in block.model_fields.items():
            assert field.title, f"{block.__name__}.{name}"
            assert field.description, f"{block.__name__}.{name}"


@pytest.mark.usefixtures("prefect_server")
def test_blocks_of_a_file_are_saved_loaded_and_updated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEST_APPLICATION_KEY", KEY)
    file = tmp_path / "blocks.toml"
    file.write_text(FILE)
    assert register_blocks(file) == 0
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "saved b2-credentials/training",
        "saved b2-bucket/scenes",
        "saved local-store/nas",
    ]

    bucket = B2Bucket.load("scenes")
    assert bucket.url == "b2://acme-training/scenes"
    assert bucket.credentials.application_key.get_secret_value() == KEY
    assert bucket.credentials._block_document_name == "training", "a reference, not a copy"
    assert Block.load("b2-bucket/scenes") == bucket
    assert LocalStore.load("nas").folder == Path("/mnt/nas")

    file.write_text(FILE.replace("us-west-004", "eu-central-003"))
    register_blocks(file)
    assert B2Bucket.load("scenes").credentials.endpoint.startswith("https://s3.eu-central-003.")
    resolved = resolve_credentials("training")
    assert resolved is not None
    assert resolved.endpoint.startswith("https://s3.eu-central-003.")
    assert resolve_credentials("b2-bucket/scenes") == resolved


@pytest.mark.usefixtures("prefect_server")
def test_a_block_is_a_flow_parameter() -> None:
    _credentials().save("as-parameter", overwrite=True)

    @flow
    def who(credentials: B2Credentials) -> str:
        return credentials.key_id

    assert who(B2Credentials.load("as-parameter")) == "0041"


@pytest.mark.usefixtures("prefect_server")
def test_without_a_file_the_environment_is_saved_and_what_lacks_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("B2_APPLICATION_KEY", raising=False)
    monkeypatch.setenv("B2_KEY_ID", "0042")
    monkeypatch.setenv("TRAINSET_S3_ENDPOINT", ENDPOINT)
    with pytest.raises(NotFound, match="B2_APPLICATION_KEY is not set"):
        register_blocks()
    monkeypatch.setenv("B2_APPLICATION_KEY", KEY)
    register_blocks()
    assert B2Credentials.load("default").key_id == "0042"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[b2-credential.x]\n", r"\[b2-credential\]: no such kind of block; there are b2-cred"),
        ("[b2-credentials]\nx = 1\n", r"\[b2-credentials\.x\]: found 1; it must be a table"),
        ("[b2-credentials.x]\nkey_id = '1'\nendpoint = 'e'\n", r"x\] application_key: Field req"),
        ("[local-store.x]\nfolder = '$NOT_SET_ANYWHERE'\n", r"NOT_SET_ANYWHERE is not set"),
    ],
)
def test_a_fault_in_the_file_is_named_before_anything_is_saved(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "blocks.toml"
    file.write_text(text)
    with pytest.raises((SpecError, NotFound), match=said):
        register_blocks(file)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "blocks.toml"
    file.write_text("[")
    with pytest.raises(InputError, match=r"blocks\.toml cannot be read"):
        register_blocks(file)


@pytest.mark.parametrize("folder", ["", "results"])
def test_a_bucket_reads_and_writes_for_prefect_and_for_trainset(
    tmp_path: Path, folder: str
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        credentials = _credentials(f"http://{host}:{port}")
        credentials.get_s3_client().create_bucket(Bucket="acme")
        bucket = B2Bucket(bucket_name="acme", credentials=credentials, bucket_folder=folder)
        bucket.write_path("a/one.txt", b"1")
        assert bucket.open().get("a/one.txt") == b"1"
        bucket.open().put("a/two.txt", b"2")
        assert bucket.read_path("a/two.txt") == b"2"
        bucket.get_directory(local_path=str(tmp_path))
        assert (tmp_path / "a" / "two.txt").read_bytes() == b"2"
    finally:
        server.stop()
