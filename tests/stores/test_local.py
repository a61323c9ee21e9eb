"""What the folder store does beyond the contract."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from services.real import need

from trainset.errors import AccessDenied, NotFound, StoreFull, TransientError
from trainset.stores.atomic import TEMP_PREFIX, replacing
from trainset.stores.local import LocalStore
from trainset.stores.local_errors import translated


def test_a_failed_write_leaves_the_old_bytes_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def fail_halfway() -> None:
        with replacing(target) as handle:
            handle.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_temporary_files_are_not_listed_and_old_ones_are_swept(tmp_path: Path) -> None:
    young, old = tmp_path / f"{TEMP_PREFIX}1", tmp_path / f"{TEMP_PREFIX}2"
    young.touch()
    old.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    store = LocalStore(tmp_path)
    store.put("a", b"x")
    assert [i.key for i in store.list()] == ["a"]
    assert young.exists()
    assert not old.exists()


def test_a_folder_is_no_object(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a/b", b"x")
    assert store.head("a") is None
    with pytest.raises(NotFound):
        store.get("a")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(28, StoreFull), (122, StoreFull), (13, AccessDenied), (2, NotFound), (116, TransientError)],
)
def test_errors_of_the_system_name_the_place_and_the_next_step(
    number: int, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="/some/place") as caught, translated("/some/place"):
        raise OSError(number, os.strerror(number))
    assert isinstance(caught.value.__cause__, OSError)
    assert ";" in str(caught.value)


def test_two_keys_of_one_odd_name_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff")).write_bytes(b"odd")
    store = LocalStore(tmp_path)
    assert store.get("a\\xff") == b"odd"
    assert [i.key for i in store.list()] == ["a\\xff"]


def test_a_file_that_does_not_tell_its_size_is_read_whole() -> None:
    if not Path("/proc/self/status").exists():
        need("a file without a size", "run the tests on Linux")
    assert b"VmRSS" in LocalStore(Path("/proc/self")).get("status")


def test_what_cannot_be_read_leaves_no_file_open(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    store, free = LocalStore(tmp_path), _lowest_free()
    for read in (store.get, store.open):
        with pytest.raises(NotFound):
            read("folder")
    assert _lowest_free() == free


def _lowest_free() -> int:
    """The number that the system gives the next open file."""
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    return number
