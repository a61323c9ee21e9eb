"""``Ledger``: which source files are at the destination already, and what became of each try.

Rebuildable, never the truth: without it a run reads the sources again, and the home still knows
its own objects. Contract (tests/transfer/test_ledger_contract.py runs over every implementation):

- An identity is (source uri, version, size): another version of a file is another row.
- A file is sent by whoever holds its claim; a claim ends by ``record``, ``release`` or its lease.
- What once arrived stays known: a later failure of the same version does not forget it.
- ``record`` is durable after ``flush``; claims, parts and dead letters when their call returns.
- What ``record`` was told is seen at once by this instance, and by others after ``flush``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from trainset.model import Frozen, MediaFacts
from trainset.stores.base import PartLog
from trainset.transfer.base import Outcome, SourceFile

Identity = tuple[str, str, int]  # source uri, version, size

LEASE_S = 600.0  # of a claim; renewed while its batch runs


class LedgerRow(NamedTuple):
    """What is known of one version of a source file; ``state`` as ``Outcome.status``, or sending.

    ``attempts`` counts tries over all runs. ``dead``: no run tries it until it is revived.
    """

    state: str
    sha256: str | None
    uri: str | None
    version_id: str | None
    facts: MediaFacts | None
    attempts: int
    kind: str | None
    reason: str | None
    dead: bool = False

    @property
    def arrived(self) -> bool:
        return self.uri is not None


class Claim(NamedTuple):
    """What ``claim`` says of one file.

    mine: whether this owner may send it now; else another owner is at it.
    interrupted: an earlier owner began and never ended (killed): its bytes may be there already.
        Said until the file arrives, so that a release or a failure in between hides nothing.
    row: what was known before.
    """

    mine: bool
    interrupted: bool
    row: LedgerRow | None


class DeadLetter(Frozen):
    """A file that no run tries again by itself; ``python -m flows transfer-media --retry-dead``."""

    key: str
    source_uri: str
    version: str
    size: int
    kind: str
    reason: str
    attempts: int
    since: datetime
    run_id: str | None = None


class Attempt(Frozen):
    """One try of one file, for its story; kept for every file that did not arrive at once."""

    source_uri: str
    version: str
    at: datetime
    state: str
    kind: str | None = None
    reason: str | None = None
    run_id: str | None = None


class Content(NamedTuple):
    """Bytes that a destination holds, by sha256."""

    uri: str
    size: int
    version_id: str | None


class Ledger(Protocol):
    """Threads may share an instance, processes may share the ledger."""

    @property
    def is_new(self) -> bool:
        """Whether nothing was in it when it was opened: lost, or the first run."""
        ...

    def find(self, file: SourceFile) -> LedgerRow | None:
        """What is known of this version of the file."""
        ...

    def claim(
        self, files: Sequence[SourceFile], *, owner: str, lease_s: float = LEASE_S
    ) -> list[Claim]:
        """Take files that nobody else holds; one transaction for all, in the order of ``files``.

        A file that arrived already is not held (``mine`` is True, ``row.arrived``), nor is a dead
        one (``mine`` is True, ``row.dead``). Repeating the call of the same owner is harmless.

        Args:
            owner: see ``owner.new_owner``; claims of a process that is gone are taken at once.
            lease_s: seconds until others may take it all the same; 0: at once.
        """
        ...

    def renew(self, owner: str, *, lease_s: float = LEASE_S) -> None:
        """Prolong all claims and contents that ``owner`` holds."""
        ...

    def release(self, owner: str) -> None:
        """Let go of what ``owner`` holds and has not recorded; it counts as never begun."""
        ...

    def hold_content(self, sha256: str, *, owner: str, lease_s: float = LEASE_S) -> bool:
        """Keep others from sending these bytes; False while another owner is at it.

        Ask ``find_content`` again once it is held: another owner may have brought them meanwhile.
        An owner may hold a content twice; threads of one owner agree among themselves.
        """
        ...

    def take_content(
        self, sha256: str, place: str, *, owner: str, lease_s: float = LEASE_S
    ) -> bool:
        """Hold these bytes if no file brought them to ``place``, and nobody else holds them.

        One step, for the usual case; after False ``find_content`` and ``hold_content`` tell more.
        """
        ...

    def let_go_content(self, sha256: str, owner: str) -> None:
        """Others may hold it again, once they can see what was recorded of it before this call.

        So ``record`` first, then let go; no error when it is not held.
        """
        ...

    def record(self, outcome: Outcome, *, run_id: str | None = None, dead: bool = False) -> None:
        """Note what became of a file, and end its claim; durable a window later.

        Args:
            dead: a failure that no run tries again by itself.
        """
        ...

    def flush(self) -> None:
        """Commit what waits."""
        ...

    def find_content(self, sha256: str, place: str = "") -> Content | None:
        """Where these bytes are, if some file brought them to a uri that starts with ``place``."""
        ...

    def know_contents(self, contents: Iterable[tuple[str, Content]]) -> None:
        """Take over (sha256, content) pairs that a listing of the home found."""
        ...

    def part_log(self) -> PartLog:
        """Memory of multipart uploads."""
        ...

    def dead_letters(self) -> Iterator[DeadLetter]:
        """All of them, by key."""
        ...

    def revive(self, keys: Iterable[str] | None = None) -> int:
        """Let dead letters be tried again: those of ``keys``, or all; how many there were."""
        ...

    def attempts(self, source_uri: str) -> Iterator[Attempt]:
        """The tries of all versions of one file, oldest first."""
        ...

    def files_of(self, sha256: str) -> Iterator[str]:
        """Source uris that brought these bytes, ascending."""
        ...

    def rows(self) -> Iterator[tuple[Identity, LedgerRow]]:
        """All that is known, in no order and constant memory."""
        ...

    def close(self) -> None:
        """Commit what waits, and let go of files and connections."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
