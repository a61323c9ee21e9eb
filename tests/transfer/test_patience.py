"""Disks and shares that fail now and work in a moment, as the system's own errors say it."""

from __future__ import annotations

import errno
import io
import os
from collections import Counter
from typing import Any, BinaryIO

import pytest
from transfer_bench import Bench, statuses

from trainset.spec import MediaSource
from trainset.stores import local
from trainset.stores.retry import Retrier
from trainset.transfer import patience
from trainset.transfer.adopt import adopt_batch
from trainset.transfer.ledger import open_ledger
from trainset.transfer.listing import list_source

LARGE = 300_000


class BadDisk:
    """The system calls of one file: fails its first ``times`` opens, or reads, with ``number``."""

    def __init__(self, name: str, number: int, times: int, *, while_read: bool) -> None:
        self.name, self.number, self.times, self.while_read = name, number, times, while_read
        self.opens: Counter[str] = Counter()

    def __call__(self, name: str, buffering: int = -1) -> BinaryIO:
        short = os.path.basename(name)
        self.opens[short] += 1
        failing = short == self.name and self.opens[short] <= self.times
        if failing and not self.while_read:
            raise OSError(self.number, os.strerror(self.number), name)
        handle: Any = open(name, "rb", buffering)  # noqa: SIM115
        if not failing:
            return handle
        handle.close()
        raw = _BrokenOff(name, self.number)
        return raw if buffering == 0 else io.BufferedReader(raw)  # type: ignore[return-value]

    def read_whole(self, name: str) -> bytes:
        with self(name) as handle:
            return handle.read()


class _BrokenOff(io.FileIO):
    """Gives some bytes, then the error."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name)
        self._number, self._left = number, 100

    def _take(self) -> None:
        if self._left <= 0:
            raise OSError(self._number, os.strerror(self._number))
        self._left -= 100

    def readinto(self, buffer: Any) -> int:
        self._take()
        return super().readinto(memoryview(buffer)[:100])

    def read(self, size: int | None = -1) -> bytes:
        self._take()
        raise OSError(self._number, os.strerror(self._number))

    def readall(self) -> bytes:
        return self.read()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "RETRIER", Retrier(attempts=7, base_s=0.0, cap_s=0.0))


def _disk(monkeypatch: pytest.MonkeyPatch, *how: Any, while_read: bool = False) -> BadDisk:
    disk = BadDisk(*how, while_read=while_read)
    monkeypatch.setattr(local, "_open_file", disk)
    monkeypatch.setattr(local, "_read_whole", disk.read_whole)
    return disk


_AT_OPEN = [
    (errno.EIO, 2, "sent"),
    (errno.EIO, 3, "failed"),
    (errno.ESTALE, 7, "sent"),
    (errno.ESTALE, 8, "deferred"),
    (errno.EHOSTDOWN, 8, "deferred"),
    (errno.EACCES, 1, "failed"),
    (errno.ELOOP, 1, "failed"),
    (errno.ENOENT, 1, "deferred"),
]
_WHILE_READ = _AT_OPEN[:5]  # a read does not say the others


@pytest.mark.parametrize("size", [1000, LARGE], ids=["in memory", "hashed first"])
@pytest.mark.parametrize(
    ("number", "times", "ends", "while_read"),
    [(*case, False) for case in _AT_OPEN] + [(*case, True) for case in _WHILE_READ],
    ids=[f"{errno.errorcode[n]} {t}x at open" for n, t, _ in _AT_OPEN]
    + [f"{errno.errorcode[n]} {t}x while read" for n, t, _ in _WHILE_READ],
)
def test_each_error_of_the_system_has_its_patience(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    times: int,
    ends: str,
    size: int,
    while_read: bool,
) -> None:
    bench.write("bad.bin", os.urandom(size))
    bench.write("good.bin", os.urandom(size))
    disk = _disk(monkeypatch, "bad.bin", number, times, while_read=while_read)
    outcomes = bench.run(memory_bytes=LARGE // 2)
    assert statuses(outcomes) == {"bad.bin": ends, "good.bin": "sent"}
    if ends != "sent":
        assert disk.opens["bad.bin"] == times, "no try more than its class has"
        (bad,) = [o for o in outcomes if o.file.path == "bad.bin"]
        assert os.strerror(number).lower() in str(bad.reason).lower()


def test_a_file_of_a_share_is_adopted_when_its_handle_is_fresh_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("bad.bin", os.urandom(1000))
    spec = MediaSource.model_validate(
        {"name": "cam", "from": str(bench.folder), "mode": "reference"}
    )
    _disk(monkeypatch, "bad.bin", errno.ESTALE, 3)
    with open_ledger(bench.home.state, bench.home.url) as ledger:
        files = list(list_source(spec, bench.store))
        (outcome,) = adopt_batch(files, sources={"cam": bench.store}, ledger=ledger)
    assert outcome.arrived
