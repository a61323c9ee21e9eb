"""A connector's secrets are found, kept out of files, and masked; its failures say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainset.errors import AccessDenied, InputError, NotFound, TransientError
from trainset.metadata.airbyte.config import Config, masking, secret_paths
from trainset.metadata.airbyte.failures import ended, failure_of

SPEC = {
    "properties": {
        "url": {"type": "string"},
        "credentials": {
            "oneOf": [
                {"properties": {"token": {"airbyte_secret": True}}},
                {"properties": {"user": {}, "password": {"airbyte_secret": True}}},
            ]
        },
        "keys": {"items": {"properties": {"key": {"airbyte_secret": True}}}},
    }
}


def test_secrets_are_found_in_branches_and_lists() -> None:
    assert secret_paths(SPEC) == [
        ("credentials", "token"),
        ("credentials", "password"),
        ("keys", "*", "key"),
    ]
    config = Config(
        {"url": "u", "credentials": {"token": "t0ken"}, "keys": [{"key": "k1"}, {"key": 42}]}, {}
    )
    assert config.secrets(SPEC) == ["t0ken", "k1", "42"]
    assert "t0ken" not in repr(config)


def test_a_secret_is_masked_however_it_is_written() -> None:
    secret = 'p@ss/w"rd +ü\nline two of it'
    mask = masking([secret])
    for text in (
        secret,
        json.dumps({"p": secret}),
        "https://x?p=p%40ss%2Fw%22rd%20%2B%C3%BC%0Aline%20two%20of%20it",
        repr(secret),
        "line two of it",
    ):
        assert "w" not in mask(text).replace("two", ""), text
        assert "two" not in mask(text)
    assert masking([])("plain") == "plain"


def test_a_file_holds_secrets_only_as_variables(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"credentials": {"token": "in clear"}}')
    with pytest.raises(InputError, match=r"credentials\.token is a secret") as found:
        Config.read(file, {}).refuse_clear_secrets(SPEC)
    assert "in clear" not in str(found.value).replace("stands there in clear", "")
    file.write_text('{"url": "u", "credentials": {"token": "${TOKEN}"}}')
    config = Config.read(file, {"TOKEN": "s3cret"})
    config.refuse_clear_secrets(SPEC)
    assert json.loads(config.encode())["credentials"] == {"token": "s3cret"}
    assert "s3cret" in config.secrets({})  # from the environment: secret, whatever the spec says
    with pytest.raises(NotFound, match="TOKEN is not set"):
        Config.read(file, {})
    file.write_text("[1]")
    with pytest.raises(InputError, match="JSON object"):
        Config.read(file, {})


@pytest.mark.parametrize(
    ("message", "kind", "wanted"),
    [
        ("no such project", "config_error", InputError),
        ("HTTP 401: unauthorized", "config_error", AccessDenied),
        ("HTTP 401", "system_error", AccessDenied),
        ("slow down", "transient_error", TransientError),
        ("HTTP 503", "system_error", TransientError),
        ("KeyError: 'x' in 5000 records", None, InputError),
    ],
)
def test_a_failure_says_what_to_do_about_it(
    message: str, kind: str | None, wanted: type[Exception]
) -> None:
    found = failure_of({"message": message, "failure_type": kind}, "source-x")
    assert type(found) is wanted
    assert str(found).startswith("source-x")
    assert message in str(found)


def test_an_exit_status_is_an_error_too() -> None:
    assert ended(0, "warnings", "source-x") is None
    assert type(ended(1, "Traceback: boom", "source-x")) is InputError
    assert type(ended(-9, "", "source-x")) is TransientError
    assert "SIGKILL" in str(ended(-9, "", "source-x"))
