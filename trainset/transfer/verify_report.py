"""What a verification expects, finds and may claim. Pure arithmetic and words."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from trainset.model import Frozen
from trainset.transfer.leftovers import KindCount, Leftover

Level = Literal["L0", "L1", "L2", "L3", "L4"]

CONFIDENCE = 0.95
FAULTS_LISTED = 10_000
EXTRAS_LISTED = 100

NEXT_STEP = {
    "missing": "run the transfer again after deleting the ledger, or restore the object",
    "hidden": "delete the newest delete marker of the key: the bytes are still there",
    "wrong-size": "restore the version before, or delete the object and run the transfer again",
    "wrong-etag": "restore the version before, or delete the object and run the transfer again",
    "other-version": "restore the pinned version (copy it over itself), or delete the newer one",
    "version-gone": "look who deletes versions (a lifecycle rule, a key with deleteFiles); "
    "run the transfer again",
    "checksum-mismatch": "delete the object and run the transfer again",
    "source-changed": "run the transfer: it takes the new version",
    "source-missing": "the home has its bytes; run the transfer to mark the row as missing",
    "no-place": "mend the credentials or the address of this place",
}


class Source(NamedTuple):
    """Where a file came from, and the version that was read."""

    name: str
    path: str
    size: int
    version: str | None
    version_id: str | None


class Expected(NamedTuple):
    """One file that must be at its destination.

    Attributes:
        key: of the media row.
        uri: relative to the home, or absolute.
        pinned: reference mode: the version counts, also when a newer one is current.
        source_uri: absolute, for people and provenance.
    """

    key: str
    uri: str
    size: int
    etag: str | None = None
    version_id: str | None = None
    sha256: str | None = None
    pinned: bool = False
    source: Source | None = None
    source_uri: str | None = None


class ObjectFault(Frozen):
    """One file that is not at its destination as it was sent; ``step`` says what to do."""

    key: str
    uri: str
    level: Level  # at which it was found
    kind: str
    reason: str
    step: str


class FileCheck(NamedTuple):
    """How one file did: the level that it reached, or its fault. Neither: it was not looked at."""

    file: Expected
    level: Level | None
    fault: ObjectFault | None

    @property
    def key(self) -> str:
        return self.file.key


FileSink = Callable[[FileCheck], None]


class VerifyResult(Frozen):
    """Counts of files, unless said otherwise. checked + unchecked = expected.

    Attributes:
        level: that was asked.
        checked: those that were looked at; clean ones stand in ``reached``, others in ``faulty``.
        reached: clean files by the highest level they reached.
        objects: distinct objects; ``read`` of them were read back, and ``clean`` of these held
            the bytes they should.
        unhashed: objects whose sha256 nobody knows yet: they cannot be read against anything.
        extra: objects beside the expected ones; older commits may own them, so they are no fault.
        beside, leftovers: what is stored without need, by kind, and the first of each kind;
            ``not_listed`` says what could not be looked for.
        faults: the first ``FAULTS_LISTED``, by key of the object; ``faulty`` counts all.
    """

    level: Level
    sample: float
    seed: int
    expected: int
    checked: int
    unchecked: int
    faulty: int
    reached: dict[str, int]
    objects: int
    read: int = 0
    clean: int = 0
    bytes_read: int = 0
    unhashed: int = 0
    extra: int | None = None
    extras: tuple[str, ...] = ()
    beside: tuple[KindCount, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    not_listed: tuple[str, ...] = ()
    faults: tuple[ObjectFault, ...] = ()

    @property
    def balances(self) -> bool:
        return (
            self.checked + self.unchecked == self.expected
            and sum(self.reached.values()) + self.faulty == self.checked
        )

    @property
    def ok(self) -> bool:
        return self.balances and not self.faulty

    @property
    def statement(self) -> str:
        """What reading back so many objects proves."""
        if not self.read:
            return "nothing was read back"
        if self.clean < self.read:
            return f"{self.clean:,} clean of {self.read:,} read: read all of them (--sample 100%)"
        if self.read >= self.objects:
            return f"{self.clean:,} clean of {self.read:,} read: these are all"
        share = most_bad(self.read)
        return (
            f"{self.clean:,} clean of {self.read:,} read: with {CONFIDENCE:.0%} confidence fewer "
            f"than {_percent(share)} of {self.objects:,} are bad"
        )

    @property
    def said(self) -> str:
        """One line for the log."""
        text = f"{self.level}: {self.checked:,} of {self.expected:,} files checked"
        if self.read:
            text += f", {self.statement}"
        return f"{text}; {self.faulty:,} faulty" if self.faulty else f"{text}; all as sent"


def most_bad(read: int) -> float:
    """The share of bad objects that a clean draw of so many rules out with 95 % confidence.

    With a share p of bad ones a draw of n is clean with probability (1 - p)^n: the exact form of
    the rule of three (about 3 / n).
    """
    return 1.0 if read < 1 else -math.expm1(math.log1p(-CONFIDENCE) / read)


def needed(share: float) -> int:
    """How many clean reads rule out that ``share`` (0 to 1) of all is bad; 2,995 for 0.1 %."""
    if share >= 1:
        return 1
    return math.ceil(math.log1p(-CONFIDENCE) / math.log1p(-share))


def drawn(count: int, sample: float) -> int:
    """How many of ``count`` objects a share means; one at least, where there is any."""
    return min(count, max(1, math.ceil(count * sample - 1e-9))) if count and sample > 0 else 0


def lot(uri: str, version_id: str | None, seed: int) -> int:
    """The object's number in the draw, 63 bits: the lowest are read. The same for every order."""
    digest = hashlib.sha256(f"{seed}\0{uri}\0{version_id or ''}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def fault(file: Expected, level: Level, kind: str, reason: str) -> ObjectFault:
    step = NEXT_STEP.get(kind, "mend what it names, and verify again")
    return ObjectFault(key=file.key, uri=file.uri, level=level, kind=kind, reason=reason, step=step)


def _percent(share: float) -> str:
    # Rounded up: nothing may be claimed that the numbers do not say.
    digits = 1 if share >= 0.1 else 2 if share >= 0.01 else 4
    step = 10.0 ** -(digits + 2)
    return (
        f"{100 * math.ceil(share / step - 1e-9) * step:.{digits}f}".rstrip("0").rstrip(".") + " %"
    )
