"""Blocks of destinations, customer keys and the shared ledger: resolved whole, and silent."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.blocks.core import Block
from pydantic import SecretStr, ValidationError

from blocks import B2Credentials, LedgerDatabase, LocalStore, MediaDestination
from blocks.register import register_blocks
from blocks.resolve import resolve_credentials, resolve_destination, resolve_ledger_url
from trainset.errors import InputError, NotFound, SpecError
from trainset.model import Protection
from trainset.stores import credentials_from_environment

ENDPOINT = "https://s3.us-west-004.backblazeb2.com"
KEY = "K004-very-secret"
OWN = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="  # 32 bytes
PASSWORD = "pass/w@rd: ü"
FILE = """
[b2-credentials.archive]
key_id = "0041"
application_key = "$TEST_APPLICATION_KEY"
endpoint = "s3.us-west-004.backblazeb2.com"
customer_key = "$TEST_OWN_KEY"
[media-destination.archive]
bucket_name = "acme-archive"
bucket_folder = "scenes/"
credentials = "archive"
lock = "compliance"
lock_days = 30
encryption = "customer"
requests_per_second = 100
bandwidth = "50MB/s"
[ledger-database.shared]
host = "db.acme.example"
database = "trainset"
user = "transfer"
password = "$TEST_PASSWORD"
"""


def _credentials(**more: Any) -> B2Credentials:
    return B2Credentials(key_id="0041", application_key=KEY, endpoint=ENDPOINT, **more)


def _ledger(**more: Any) -> LedgerDatabase:
    fields = {"host": "db", "database": "t", "user": "u", "password": PASSWORD}
    return LedgerDatabase(**{**fields, **more})


@pytest.mark.parametrize(
    "block",
    [
        _credentials(customer_key=OWN),
        MediaDestination(bucket_name="acme", credentials=_credentials(customer_key=OWN)),
        _ledger(),
    ],
    ids=lambda block: type(block).__name__,
)
def test_no_text_of_a_block_shows_a_secret(block: Block, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("trainset").warning("%s %r", block, block)
    shown = [repr(block), str(block), block.model_dump_json(), str(block.model_dump()), caplog.text]
    if isinstance(block, LedgerDatabase):
        shown += [repr(block.url), str(block.url), f"{block.url}"]
    else:
        given = block.to_credentials()  # type: ignore[attr-defined]
        shown += [repr(given), given.model_dump_json()]
        assert given.customer_key.get_secret_value() == OWN
    for text in shown:
        for secret in (KEY, OWN, PASSWORD):
            assert secret not in text
    assert pickle.loads(pickle.dumps(block)) == block


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (B2Credentials, {"key_id": "1", "application_key": KEY, "customer_key": OWN}),
        (_credentials, {"customer_key": "bm90IDMyIGJ5dGVz"}),
        (_credentials, {"customer_key": "very secret, no base64"}),
        (_ledger, {"port": 0}),
        (LedgerDatabase, {"password": PASSWORD}),
        (MediaDestination, {"bucket_name": "x", "credentials": {"application_key": KEY}}),
    ],
)
def test_what_is_wrong_with_a_block_is_told_without_its_secrets(make: Any, fields: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        make(**fields)
    for secret in (KEY, OWN, PASSWORD, "very secret", "bm90IDMyIGJ5dGVz"):
        assert secret not in str(caught.value)


def test_a_customer_key_left_empty_in_a_form_is_none() -> None:
    assert _credentials(customer_key="").customer_key is None
    assert _credentials(customer_key=SecretStr("")).to_credentials().customer_key is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lock": "governance"}, "say both, or neither"),
        ({"lock_days": 3}, "say both, or neither"),
        ({"encryption": "customer"}, "needs credentials with a customer key"),
        ({"lock": "forever"}, "governance"),
    ],
)
def test_a_destination_that_makes_no_sense_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MediaDestination(bucket_name="acme", credentials=_credentials(), **fields)


def test_a_destination_without_a_word_protects_nothing() -> None:
    block = MediaDestination(bucket_name="acme", credentials=_credentials())
    assert block.protection == Protection()
    assert block.options.bandwidth is None
    assert block.url == "b2://acme"
    hold = MediaDestination(bucket_name="acme", credentials=_credentials(), legal_hold=True)
    assert hold.protection.locks


@given(user=st.text(min_size=1), password=st.text(), database=st.text(min_size=1))
def test_any_login_comes_back_whole_out_of_the_ledgers_url(
    user: str, password: str, database: str
) -> None:
    url = _ledger(user=user, password=password, database=database).url.get_secret_value()
    parts = urlsplit(url)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)
    assert unquote(parts.path[1:]) == database
    assert (parts.hostname, parts.port) == ("db", 5432)


def test_postgresql_reads_the_ledgers_url_as_it_was_meant() -> None:
    psycopg = pytest.importorskip("psycopg.conninfo")
    url = _ledger(host="::1", sslmode="require").url.get_secret_value()
    found = psycopg.conninfo_to_dict(url)
    assert found == {
        "host": "::1",
        "port": "5432",
        "dbname": "t",
        "user": "u",
        "password": PASSWORD,
        "sslmode": "require",
    }


def test_forms_explain_every_field_of_the_new_blocks() -> None:
    for block in (MediaDestination, LedgerDatabase, B2Credentials):
        assert block.get_description()
        assert f"{block.__name__}(" in block.get_code_example()
        assert str(block._logo_url).startswith("https://")
        for name, field in block.model_fields.items():
            assert field.title, f"{block.__name__}.{name}"
            assert field.description, f"{block.__name__}.{name}"


@pytest.mark.usefixtures("prefect_server")
def test_a_spec_finds_its_destination_and_its_ledger_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_APPLICATION_KEY", KEY)
    monkeypatch.setenv("TEST_OWN_KEY", OWN)
    monkeypatch.setenv("TEST_PASSWORD", PASSWORD)
    file = tmp_path / "blocks.toml"
    file.write_text(FILE)
    assert register_blocks(file) == 0

    place = resolve_destination("block:archive")
    assert place.url == "b2://acme-archive/scenes"
    assert place.options is not None
    assert place.options.requests_per_s == 100
    assert place.options.protection == Protection(
        lock="compliance", lock_days=30, encryption="customer"
    )
    assert place.credentials == resolve_credentials("archive")
    assert place.credentials is not None
    assert place.credentials.customer_key == SecretStr(OWN)
    stored = MediaDestination.load("archive")
    assert stored.credentials._block_document_name == "archive", "a reference, not a copy"

    url = resolve_ledger_url("shared")
    assert url is not None
    assert url == LedgerDatabase.load("shared").url
    assert "db.acme.example:5432/trainset" in url.get_secret_value()

    LocalStore(folder=tmp_path).save("nas", overwrite=True)
    assert resolve_destination("block:local-store/nas") == (str(tmp_path), None, None)
    with pytest.raises(InputError, match="is no place; name a media-destination"):
        resolve_destination("block:ledger-database/shared")
    with pytest.raises(InputError, match="is no ledger-database"):
        resolve_ledger_url("media-destination/archive")
    with pytest.raises(NotFound, match="media-destination/absent"):
        resolve_destination("block:absent")
    with pytest.raises(NotFound, match="ledger-database/absent"):
        resolve_ledger_url("absent")


def test_a_url_is_its_own_destination() -> None:
    assert resolve_destination("b2://acme/x") == ("b2://acme/x", None, None)
    assert resolve_ledger_url(None) is None


def test_a_destinations_fault_in_the_file_is_named_without_the_key(tmp_path: Path) -> None:
    file = tmp_path / "blocks.toml"
    file.write_text(
        FILE.replace('"$TEST_APPLICATION_KEY"', f'"{KEY}"')
        .replace('"$TEST_OWN_KEY"', f'"{OWN}"')
        .replace("lock_days = 30", "lock_days = 0")
    )
    with pytest.raises(SpecError, match=r"\[media-destination\.archive\].*both, or neither") as got:
        register_blocks(file)
    assert KEY not in str(got.value)


def test_the_environment_gives_a_customer_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("B2_KEY_ID", "1"),
        ("B2_APPLICATION_KEY", KEY),
        ("TRAINSET_S3_ENDPOINT", ENDPOINT),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TRAINSET_SSE_C_KEY", raising=False)
    assert credentials_from_environment().customer_key is None
    monkeypatch.setenv("TRAINSET_SSE_C_KEY", OWN)
    found = credentials_from_environment()
    assert found.customer_key == SecretStr(OWN)
    assert OWN not in repr(found)
