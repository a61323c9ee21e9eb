"""``BufferedLedger``: what all ledgers share: outcomes wait in memory for one commit a window."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

from trainset.model import MediaFacts
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.ledger.base import (
    LEASE_S,
    Attempt,
    Content,
    DeadLetter,
    Identity,
    LedgerRow,
)

_WINDOW_ROWS = 500  # a crash loses at most this many rows …
_WINDOW_S = 0.25  # … or those of this time; their claims say "interrupted", a HEAD finds the bytes


class Noted(NamedTuple):
    """An outcome that waits for its commit."""

    identity: Identity
    outcome: Outcome
    run_id: str | None
    dead: bool
    at: float  # Unix seconds

    @property
    def tries(self) -> int:
        return 0 if self.outcome.status == "skipped" else self.outcome.attempts

    @property
    def facts(self) -> str | None:
        facts = self.outcome.facts
        return None if facts is None else facts.model_dump_json(exclude_none=True)


def identity_of(file: SourceFile) -> Identity:
    return (file.uri, file.version, file.size)


def ledger_row(values: Sequence[Any]) -> LedgerRow:
    """From state, sha256, uri, version_id, facts, attempts, kind, reason, dead."""
    state, sha256, uri, version_id, facts, attempts, kind, reason, dead = values
    known = None if facts is None else MediaFacts.model_validate_json(facts)
    return LedgerRow(state, sha256, uri, version_id, known, attempts, kind, reason, bool(dead))


def dead_letter(values: Sequence[Any]) -> DeadLetter:
    """From key, source uri, version, size, kind, reason, attempts, since, run id."""
    key, uri, version, size, kind, reason, attempts, since, run_id = values
    return DeadLetter(
        key=key,
        source_uri=uri,
        version=version,
        size=size,
        kind=kind or "error",
        reason=reason or "",
        attempts=attempts,
        since=_moment(since),
        run_id=run_id,
    )


def attempt(source_uri: str, values: Sequence[Any]) -> Attempt:
    """From version, at, state, kind, reason, run id."""
    version, at, state, kind, reason, run_id = values
    return Attempt(
        source_uri=source_uri,
        version=version,
        at=_moment(at),
        state=state,
        kind=kind,
        reason=reason,
        run_id=run_id,
    )


def _moment(at: float | datetime) -> datetime:
    return at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)


class BufferedLedger(ABC):
    """The waiting outcomes of one instance; subclasses write them in one transaction."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: dict[Identity, Noted] = {}
        self._fresh: dict[str, list[Content]] = {}  # sha256 -> what waits of it
        self._leaving: dict[str, str] = {}  # sha256 -> owner that lets go with the next commit
        self._written_at = time.monotonic()

    @abstractmethod
    def _write(self, noted: Sequence[Noted], leaving: Sequence[tuple[str, str]]) -> None:
        """Commit outcomes, end their claims, and let go of (sha256, owner): one transaction."""

    @abstractmethod
    def _find_content(self, sha256: str, place: str) -> Content | None: ...

    @abstractmethod
    def _hold(self, sha256: str, owner: str, lease_s: float) -> bool: ...

    def _take(self, sha256: str, place: str, owner: str, lease_s: float) -> bool:
        # In this order: what another owner brought is seen once it has let go.
        return self._hold(sha256, owner, lease_s) and self._find_content(sha256, place) is None

    @abstractmethod
    def _let_go(self, sha256: str, owner: str) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def record(self, outcome: Outcome, *, run_id: str | None = None, dead: bool = False) -> None:
        """Note what became of a file, and end its claim; durable a window later.

        Args:
            dead: a failure that no run tries again by itself; durable at once.
        """
        identity = identity_of(outcome.file)
        noted = Noted(identity, outcome, run_id, dead, time.time())
        with self._lock:
            if identity in self._waiting:
                self.flush()
            self._waiting[identity] = noted
            if outcome.arrived and outcome.sha256 and outcome.uri:
                content = Content(outcome.uri, outcome.file.size, outcome.version_id)
                self._fresh.setdefault(outcome.sha256, []).append(content)
            late = time.monotonic() - self._written_at > _WINDOW_S
            if dead or late or len(self._waiting) >= _WINDOW_ROWS:
                self.flush()

    def flush(self) -> None:
        """Commit what waits; after an error it still waits."""
        with self._lock:
            if self._waiting or self._leaving:
                self._write(list(self._waiting.values()), list(self._leaving.items()))
                self._waiting.clear()
                self._fresh.clear()
                self._leaving.clear()
            self._written_at = time.monotonic()

    def find_content(self, sha256: str, place: str = "") -> Content | None:
        """Where these bytes are, if some file brought them to a uri that starts with ``place``."""
        with self._lock:
            for content in self._fresh.get(sha256, ()):
                if content.uri.startswith(place):
                    return content
        return self._find_content(sha256, place)

    def hold_content(self, sha256: str, *, owner: str, lease_s: float = LEASE_S) -> bool:
        """Keep others from sending these bytes; False while another owner is at it."""
        with self._lock:
            if sha256 in self._leaving:
                self.flush()
        return self._hold(sha256, owner, lease_s)

    def take_content(
        self, sha256: str, place: str, *, owner: str, lease_s: float = LEASE_S
    ) -> bool:
        """Hold these bytes if no file brought them to ``place``, and nobody else holds them."""
        with self._lock:
            if sha256 in self._fresh:
                return False
        return self._take(sha256, place, owner, lease_s)

    def let_go_content(self, sha256: str, owner: str) -> None:
        """Others may hold it again, once they can see what was recorded of it before."""
        with self._lock:
            if sha256 in self._fresh:
                self._leaving[sha256] = owner
                return
        self._let_go(sha256, owner)

    def close(self) -> None:
        """Commit what waits, and let go of files and connections."""
        with self._lock:
            try:
                self.flush()
            finally:
                self._close()

    def _flush_if_waiting(self, files: Sequence[SourceFile]) -> None:
        with self._lock:
            if self._waiting and any(identity_of(file) in self._waiting for file in files):
                self.flush()


def chunks(items: Iterator[Any], rows: int) -> Iterator[list[Any]]:
    """Lists of at most ``rows`` items, in order."""
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == rows:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
