"""Trying again what someone chose: dead letters, listed files, and files that are there already."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from services.tiny_source import PICTURES, TinySource, make_tiny_source, picture

from flows import adhoc
from flows.__main__ import main
from trainset.errors import InputError, SpecError
from trainset.run.left_out import known_left_out
from trainset.run.local import run_transfer
from trainset.transfer.selection import Only


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    source = make_tiny_source(tmp_path)
    source.write_spec(metadata=[], columns={}, exports={})
    return source


def break_and_mend(tiny: TinySource, name: str) -> None:
    """A file that a run gives up; then mended, in the same version."""
    path = tiny.media / name
    path.symlink_to(name)
    assert run_transfer(tiny.spec).transfer.failed >= 1
    stamp = os.lstat(path)
    path.unlink()
    path.write_bytes(picture(70)[: stamp.st_size].ljust(stamp.st_size, b"\0"))
    os.utime(path, ns=(stamp.st_mtime_ns, stamp.st_mtime_ns))


def told(tiny: TinySource, key: str) -> list[str]:
    return [h.type for h in tiny.open().trace(key).story]


def test_only_dead_letters_that_fit_are_tried_again(tiny: TinySource) -> None:
    for name in ("odd.png", "odd.mp4"):
        break_and_mend(tiny, name)
    with pytest.raises(SpecError, match="rules know key, path, source, size"):
        run_transfer(tiny.spec, retry_dead=True, retry_where="width > 5")
    summary = run_transfer(tiny.spec, retry_dead=True, retry_where="path like '%.mp4'")
    assert summary.transfer.failed == 1
    assert "REPLAY" in told(tiny, "cam/odd.mp4")
    assert "REPLAY" not in told(tiny, "cam/odd.png")
    where = "kind = 'input' and attempts = 1 and since > '2026-01-01' and size < 1e6"
    assert run_transfer(tiny.spec, retry_dead=True, retry_where=where).transfer.failed == 0


def test_a_list_of_files_brings_just_these_and_fails_for_what_is_not_there(
    tiny: TinySource, tmp_path: Path
) -> None:
    (tiny.media / "aa.png").symlink_to("aa.png")
    names = tmp_path / "names.txt"
    names.write_text(f"cam/03.png\n{tiny.media}/04.png\ncam/gone.png\n", encoding="utf-8")
    summary = run_transfer(tiny.spec, only=Only(manifest=names))
    assert (summary.transfer.planned, summary.transfer.sent, summary.transfer.failed) == (3, 2, 1)
    assert summary.exit_code == 3
    (item,) = summary.left_out
    assert (item.key, item.kind) == ("cam/gone.png", "not-listed")
    assert "names.txt, line 3: no source of the spec lists it" in item.reason
    assert set(tiny.media_rows()) == {"03.png", "04.png"}

    run_transfer(tiny.spec)  # all of the source; aa.png is left out
    (tiny.media / "05.png").unlink()
    again = run_transfer(tiny.spec, only=Only(files=("cam/03.png",)))
    assert (again.transfer.planned, again.transfer.skipped) == (1, 1)
    rows = tiny.media_rows()
    assert rows["05.png"]["source_state"] == "present", "nobody asked for it"
    (tiny.media / "new.png").write_bytes(picture(90))
    run_transfer(tiny.spec, only=Only(files=("cam/new.png",)))
    head = tiny.home.versions.resolve("main")
    from trainset.run.context import Run
    from trainset.run.local import new_context

    kept = {i.key for i in known_left_out(Run(new_context(tiny.spec)), head.id)}
    assert "cam/aa.png" in kept, "other files are left out as before"


def test_names_of_which_none_is_there_end_the_run(tiny: TinySource) -> None:
    with pytest.raises(InputError, match=r"'cam/x', as given: no source .* all that were named"):
        run_transfer(tiny.spec, only=Only(files=("cam/x", "cam/y")))


def test_a_replay_from_read_reads_and_sends_nothing_that_is_there(tiny: TinySource) -> None:
    run_transfer(tiny.spec)
    objects = tiny.media_objects()
    summary = run_transfer(tiny.spec, only=Only(files=("cam/03.png",)), replay="read")
    assert summary.transfer.model_dump(exclude={"bytes"}) == {
        **dict.fromkeys(("sent", "skipped", "deferred", "failed"), 0),
        "planned": 1,
        "duplicate": 1,
    }
    assert tiny.media_objects() == objects
    story = [h for h in tiny.open().trace("cam/03.png").story if h.run_id == summary.run_id]
    assert [h.type for h in story] == ["REPLAY", "FETCH", "DUPLICATE", "VERIFY"]
    assert "from read" in story[0].text


def test_a_replay_from_send_mends_an_object_that_holds_other_bytes(tiny: TinySource) -> None:
    run_transfer(tiny.spec)
    place = Path(tiny.home.url) / tiny.media_rows()["03.png"]["uri"]
    data = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    only = Only(where="path in ('03.png', '04.png')")
    assert run_transfer(tiny.spec, only=only, replay="read").transfer.duplicate == 2, (
        "size is right"
    )
    summary = run_transfer(tiny.spec, only=only, replay="send")
    assert (summary.transfer.sent, summary.transfer.duplicate) == (1, 1)
    assert place.read_bytes() == data


def test_a_replay_from_route_follows_the_rules_of_now(tiny: TinySource, tmp_path: Path) -> None:
    run_transfer(tiny.spec)
    archive = str(tmp_path / "archive")
    rules = {"routes": [{"name": "low", "path": "0*.png", "to": archive}], "unmatched": "home"}
    tiny.write_spec(transfer=rules)
    assert run_transfer(tiny.spec).transfer.sent == 0, "what is there stays"
    summary = run_transfer(tiny.spec, only=Only(where="true"), replay="route")
    low = min(PICTURES, 10)
    assert (summary.transfer.sent, summary.transfer.skipped) == (
        low,
        summary.transfer.planned - low,
    )
    rows = tiny.media_rows()
    assert rows["03.png"]["uri"].startswith(archive)
    assert rows["10.png"]["uri"].startswith("media/")
    assert tiny.open().trace("cam/03.png").story[-2].facts["rule_id"] == "low"


@pytest.fixture
def here(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's Prefect server instead of one for the command."""
    monkeypatch.setattr(adhoc, "managed_server", nullcontext)


def run(*arguments: Any) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.usefixtures("here")
def test_the_commands_choose_files(
    tiny: TinySource, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_and_mend(tiny, "odd.png")
    spec = tiny.spec_file
    retry = ("transfer-media", spec, "--retry-dead", "--where", "kind = 'transient'")
    assert run(*retry, "--dry-run") == 0
    assert "Dead letters: 0 of 1 are tried again." in capsys.readouterr().out
    assert run("transfer-media", spec, "--where", "size > 1") == 1
    assert "say which: --retry-dead" in capsys.readouterr().err
    assert run("transfer-media", spec, "--retry-dead", "--where", "kind = 'input'") == 3, (
        "undecodable"
    )
    assert "REPLAY" in told(tiny, "cam/odd.png")
    (tmp_path / "names").write_text("cam/03.png\ncam/nowhere.png\n")
    capsys.readouterr()
    assert run("transfer-media", spec, "--from-manifest", tmp_path / "names", "--dry-run") == 0
    assert f"cam/nowhere.png ({tmp_path / 'names'}, line 2) is in no s" in capsys.readouterr().out
    assert run("transfer-media", spec, "--from-manifest", tmp_path / "names") == 3
    assert run("replay", spec, "--from", "read") == 1
    assert "a replay of which files?" in capsys.readouterr().err
    assert run("replay", spec, "--from", "read", "--where", "path like '0%'") == 0
    assert run("replay", spec, "--from", "verify", "--files", "cam/03.png") == 0
    assert "1 L3 clean, 0 faulty" in capsys.readouterr().out
    assert run("replay", spec, "--from", "verify", "--files", "cam/03.png", "cam/nowhere.png") == 1
    assert "'cam/nowhere.png' (as given) is no file of main" in capsys.readouterr().err
