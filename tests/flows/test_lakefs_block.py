"""A lakeFS repository behind a block: found by its name, by workers that have no environment."""

from __future__ import annotations

import logging
import pickle
import uuid
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from pydantic import ValidationError
from services.lakefs_homes import LakeFSHomes
from services.tiny_source import MEDIA, make_tiny_source

from blocks import LakeFSRepository, LocalStore
from blocks.register import register_blocks
from blocks.resolve import resolve_versions
from flows import adhoc
from flows.__main__ import main
from flows.doctor_lakefs import lakefs_checks
from flows.pipeline import pipeline
from flows.verify_transfer import verify_transfer
from trainset.errors import InputError, NotFound
from trainset.model import RunSummary

SECRET = "lakefs-very-secret"


def _block(**more: str) -> LakeFSRepository:
    fields = {"key_id": "AKIA1", "secret_key": SECRET, "repository": "street-scenes"}
    return LakeFSRepository(**{"endpoint": "http://lakefs:8000/api/v1", **fields, **more})


def test_no_text_of_the_block_shows_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    block = _block()
    logging.getLogger("trainset").warning("%s %r", block, block.to_access())
    shown = [repr(block), str(block), block.model_dump_json(), repr(block.to_access()), caplog.text]
    assert not [text for text in shown if SECRET in text]
    assert pickle.loads(pickle.dumps(block)) == block
    access = block.to_access()
    assert (access.url, access.storage_namespace) == ("http://lakefs:8000", None)
    assert access.secret_key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("repository", "Street", "pattern"),
        ("repository", "a", "pattern"),
        ("endpoint", "http://lakefs/repositories", "is no lakeFS server"),
        ("key_id", "", "at least 1"),
    ],
)
def test_what_is_wrong_with_the_block_is_told_without_its_secret(
    field: str, value: str, said: str
) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        _block(**{field: value})
    assert SECRET not in str(caught.value)


def test_its_form_explains_every_field() -> None:
    assert "from blocks import LakeFSRepository" in str(LakeFSRepository.get_code_example())
    for name, field in LakeFSRepository.model_fields.items():
        assert field.title, name
        assert field.description, name


@pytest.mark.usefixtures("prefect_server")
def test_a_block_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    assert resolve_versions("git") == ("git", None)
    with pytest.raises(NotFound, match=r"lakefs-repository/absent.*after 'versions:'"):
        resolve_versions("block:absent")
    LocalStore(folder=tmp_path).save("no-lakefs", overwrite=True)
    with pytest.raises(InputError, match="is no lakefs-repository"):
        resolve_versions("block:local-store/no-lakefs")


def test_a_run_finds_its_repository_by_the_block_alone(
    prefect_server: str,
    lakefs_in_a_folder: LakeFSHomes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    repository = f"block-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)  # of commands that run no flow
    monkeypatch.setenv("LAKEFS_REPOSITORY", repository)
    monkeypatch.delenv("B2_KEY_ID", raising=False)
    assert register_blocks() == 0
    assert "saved lakefs-repository/default" in capsys.readouterr().out
    for name in lakefs_in_a_folder.server.environment:
        monkeypatch.delenv(name, raising=False)
    tiny = make_tiny_source(tmp_path)
    tiny.write_spec(
        home=lakefs_in_a_folder.new_root(), versions="block:default", columns={}, exports={}
    )
    spec = str(tiny.spec_file)
    first = pipeline(spec)
    assert isinstance(first, RunSummary)
    assert (first.status, first.transfer.sent) == ("completed", MEDIA)
    again = pipeline(spec, return_state=True)
    assert adhoc.tell(again, tiny.spec) == 0
    assert "Nothing had changed" in capsys.readouterr().out
    assert verify_transfer(spec).ok
    for command in ("plan-transfer", "pipeline --dry-run"):
        name, *options = command.split()
        assert main([name, spec, *options]) == 0
    assert main(["collect-garbage", spec]) == 1
    assert "lakeFS, which has a garbage collection of its own" in capsys.readouterr().err
    (server, found) = lakefs_checks(None, tiny.spec)
    assert (server.state, found.state) == ("ok", "ok")
    assert found.found.startswith(f"{repository}, in ")
    access = LakeFSRepository.load("default").to_access()
    secret = access.secret_key.get_secret_value().encode()
    assert secret.decode() not in caplog.text
    database = Path(str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition("///")[2])
    for place in (database.parent, Path(tiny.spec.home)):
        for path in place.rglob("*"):
            if path.is_file() and not path.is_socket():
                assert secret not in path.read_bytes(), path
