"""Sending one file: known? read, looked into, there already? put, noted in the ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trainset.errors import (
    ChecksumMismatch,
    InputError,
    MissingExtra,
    NotFound,
    SourceChanged,
    StoreFull,
    TransientError,
)
from trainset.home import Home
from trainset.model import MediaFacts
from trainset.stores.base import ObjectStore
from trainset.transfer.base import Outcome, SourceFile, deferred, failed
from trainset.transfer.claims import ByteBudget, Claims
from trainset.transfer.ledger import Ledger
from trainset.transfer.read import Content, Probe, check_unchanged, read_pinned

IN_FLIGHT_BYTES = 512 * 2**20  # of files held in memory, over all threads


class HomeRefused(Exception):
    """The home cannot take files at all; ``__cause__`` says why. Ends the batch."""


class HomeBusy(Exception):
    """The home did not take this file for a passing reason, in spite of all retries."""


class FileSender:
    """Sends files one by one; threads share it. See ``send.send_batch``."""

    def __init__(
        self,
        sources: Mapping[str, ObjectStore],
        home: Home,
        ledger: Ledger,
        probe: Probe,
        memory_bytes: int,
    ) -> None:
        self._sources, self._home, self._ledger, self._probe = sources, home, ledger, probe
        self._memory_bytes = memory_bytes
        self._claims, self._memory = Claims(), ByteBudget(IN_FLIGHT_BYTES)
        self._spool = home.state / "spool"
        self._present: dict[str, str | None] = {}  # sha256 -> version id, seen in this batch
        self._present_guard = threading.Lock()

    def send(self, file: SourceFile) -> Outcome:
        """What became of the file; never raises for a fault of this file alone.

        Raises:
            HomeRefused, StoreFull, MissingExtra: no file can be sent.
        """
        if (known := self._known(file)) is not None:
            return known
        try:
            outcome = self._read_and_send(file)
        except (StoreFull, MissingExtra):
            raise
        except HomeBusy as err:
            outcome = deferred(file, "transient", f"{file.uri} waits: {err.__cause__}")
        except SourceChanged:
            reason = f"{file.uri} changed while it was read; it is taken in the next run"
            outcome = deferred(file, SourceChanged.kind, reason)
        except NotFound as err:
            outcome = deferred(file, NotFound.kind, str(err))
        except TransientError as err:
            outcome = deferred(file, TransientError.kind, str(err))
        except InputError as err:
            outcome = failed(file, err.kind, str(err))
        except OSError as err:
            reason = f"{file.uri}: {err.strerror or err}; check the file and its disk"
            outcome = failed(file, InputError.kind, reason)
        self._ledger.record(outcome)
        return outcome

    def _known(self, file: SourceFile) -> Outcome | None:
        """``skipped`` when the ledger knows this version and the home holds its bytes."""
        row = self._ledger.find(file)
        if row is None or not row.arrived or row.sha256 is None or row.facts is None:
            return None
        try:
            there, version_id = self._find(row.sha256, file.size)
        except HomeBusy as err:
            return deferred(file, "transient", f"{file.uri} waits: {err.__cause__}")
        if not there:
            return None  # someone removed it from the home: it is read and sent again
        return Outcome(
            file=file,
            status="skipped",
            sha256=row.sha256,
            uri=self._home.media_uri(row.sha256),
            version_id=version_id or row.version_id,
            facts=row.facts,
        )

    def _read_and_send(self, file: SourceFile) -> Outcome:
        store = self._sources[file.source]
        limit = self._memory_bytes
        held = file.size if file.size <= limit else 0
        with (
            self._memory.hold(held),
            read_pinned(file, store, self._spool, memory_bytes=limit) as content,
        ):
            facts = content.probe(self._probe, file.path)
            with self._claims.hold(content.sha256):
                there, version_id = self._find(content.sha256, file.size)
                if not there:
                    version_id = self._put(file, content, facts)
        return Outcome(
            file=file,
            status="duplicate" if there else "sent",
            sha256=content.sha256,
            uri=self._home.media_uri(content.sha256),
            version_id=version_id,
            moved_bytes=0 if there else file.size,
            facts=facts,
        )

    def _find(self, sha256: str, size: int) -> tuple[bool, str | None]:
        """Whether the home holds this content, and its version id."""
        with self._present_guard:
            if sha256 in self._present:
                return True, self._present[sha256]
        with _home_errors():
            info = self._home.store.head(self._home.media_uri(sha256))
        if info is None or info.size != size or info.sha256 not in (None, sha256):
            return False, None
        self._note_present(sha256, info.version_id)
        return True, info.version_id

    def _put(self, file: SourceFile, content: Content, facts: MediaFacts) -> str | None:
        """Store the content; checked by the store against its sha256. Returns the version id."""
        try:
            version_id = self._put_once(content, facts)
        except ChecksumMismatch:
            # Changed under our hands, or damaged on the way: the second says which.
            check_unchanged(file, self._sources[file.source])
            version_id = self._put_once(content, facts)
        self._note_present(content.sha256, version_id)
        return version_id

    def _put_once(self, content: Content, facts: MediaFacts) -> str | None:
        store, sha256 = self._home.store, content.sha256
        uri = self._home.media_uri(sha256)
        with _home_errors():
            # From folder to folder by file: a clone, where the file system can.
            by_file = content.path is not None and store.local_path(uri) is not None
            if content.data is None or by_file:
                assert content.path is not None
                info = store.put_file(uri, content.path, sha256=sha256, content_type=facts.mime)
            else:
                info = store.put(uri, content.data, sha256=sha256, content_type=facts.mime)
        return info.version_id

    def _note_present(self, sha256: str, version_id: str | None) -> None:
        with self._present_guard:
            self._present[sha256] = version_id


@contextmanager
def _home_errors() -> Iterator[None]:
    """Mark the errors of the home's store: they mean more than one file."""
    try:
        yield
    except (ChecksumMismatch, SourceChanged, StoreFull):
        raise
    except TransientError as err:
        raise HomeBusy from err
    except InputError as err:
        raise HomeRefused from err
