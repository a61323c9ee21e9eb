"""Adopting one file: known? else pinned, read once or looked into, and noted in the ledger."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trainset.errors import (
    InputError,
    MissingExtra,
    NotFound,
    SourceChanged,
    TrainsetError,
    TransientError,
    VersionGone,
)
from trainset.model import MediaFacts
from trainset.stores.base import ReadStore
from trainset.stores.pinned import (
    ETAG,
    LOOK_BYTES,
    MTIME,
    Pinned,
    ReadEnough,
    get_pinned,
    head_pinned,
    open_pinned,
)
from trainset.transfer.base import Outcome, SourceFile, deferred, failed
from trainset.transfer.claims import shared_lanes
from trainset.transfer.patience import patiently
from trainset.transfer.read import Probe, check_listed, listed_pin
from trainset.transfer.remote import MOST_LOOK_BYTES

if TYPE_CHECKING:
    from trainset.transfer.adopt import Notes

LookProbe = Probe

_SHA256 = re.compile(r"[0-9a-f]{64}")


class FileAdopter:
    """Adopts files one by one; threads share it. See ``adopt.adopt_batch``."""

    def __init__(
        self,
        sources: Mapping[str, ReadStore],
        ledger: Notes,
        hashed: Callable[[str], bool],
        probe: LookProbe,
        memory_bytes: int,
        *,
        anew: bool = False,
    ) -> None:
        self._sources, self._ledger, self._hashed, self._probe = sources, ledger, hashed, probe
        self._memory_bytes, self._anew = memory_bytes, anew
        self._memory = shared_lanes().memory

    def adopt(self, file: SourceFile) -> Outcome:
        """What became of the file; never raises for a fault of this file alone.

        Raises:
            MissingExtra: no file of this kind can be looked into.
        """
        began = time.monotonic()
        try:
            local = self._sources[file.source].local_path(file.path) is not None
            outcome = patiently(lambda: self._adopt(file), local=local)
        except MissingExtra:
            raise
        except (TrainsetError, OSError) as err:
            outcome = _kept_back(file, err)
        took = round(1000 * (time.monotonic() - began))
        outcome = outcome.model_copy(update={"duration_ms": took, "at": datetime.now(UTC)})
        self._ledger.record(outcome)
        return outcome

    def _adopt(self, file: SourceFile) -> Outcome:
        store = self._sources[file.source]
        if not self._anew and (known := self._known(file, store)) is not None:
            return known
        if not self._hashed(file.source):
            found = self._head(file, store)
            return _adopted(file, found, _said_sha256(found), _guess(file, found))
        if file.size <= self._memory_bytes:
            with self._memory.hold(file.size):
                data, found = get_pinned(store, file.path, listed_pin(file, store))
                check_listed(file, found)
                sha256 = hashlib.sha256(data).hexdigest()
                return _adopted(file, found, sha256, self._probe(data, file.path))
        found = self._head(file, store)
        with open_pinned(
            store, file.path, found.pin, block=LOOK_BYTES, most_bytes=MOST_LOOK_BYTES
        ) as look:
            facts = self._probe(look, file.path)
            fault = getattr(look, "fault", None)  # the decoder took it for a broken medium
            if isinstance(fault, ReadEnough):
                facts = _guess(file, found)  # computing, which reads it whole, says more
            elif fault is not None:
                raise fault
        return _adopted(file, found, _said_sha256(found), facts)

    def _known(self, file: SourceFile, store: ReadStore) -> Outcome | None:
        """What the ledger knows of this file, if the bucket's newest version is that one still.

        The same bytes written anew have the same ETag and another version id: the row must name
        the version that is going to stay.
        """
        row = self._ledger.find(file)
        if row is None or row.uri != file.uri or row.facts is None or row.version_id is None:
            return None
        if row.sha256 is None and self._hashed(file.source) and file.size <= self._memory_bytes:
            return None
        found = self._head(file, store)
        return _adopted(file, found, row.sha256, row.facts) if found.pin == row.version_id else None

    def _head(self, file: SourceFile, store: ReadStore) -> Pinned:
        found = head_pinned(store, file.path, listed_pin(file, store))
        check_listed(file, found)
        return found


def _kept_back(file: SourceFile, err: TrainsetError | OSError) -> Outcome:
    """The outcome of a file that could not be adopted."""
    if isinstance(err, OSError):
        reason = f"{file.uri}: {err.strerror or err}; check the file and its disk"
        return failed(file, InputError.kind, reason)
    if isinstance(err, SourceChanged | VersionGone):
        reason = f"{file.uri} changed since it was listed; it is taken in the next run"
        outcome = deferred(file, SourceChanged.kind, reason)
    elif isinstance(err, NotFound):
        outcome = deferred(file, NotFound.kind, str(err))
    elif isinstance(err, TransientError):
        outcome = deferred(file, TransientError.kind, str(err))
    else:
        outcome = failed(file, err.kind, str(err))
    return outcome.model_copy(update={"reply": err.reply})


def _said_sha256(found: Pinned) -> str | None:
    """The sha256 that the object's writer left in its metadata."""
    said = (found.info.sha256 or "").lower()
    return said if _SHA256.fullmatch(said) else None


def _guess(file: SourceFile, found: Pinned) -> MediaFacts:
    from trainset.media.probe import guess_media

    return guess_media(file.path, found.content_type)


def _adopted(file: SourceFile, found: Pinned, sha256: str | None, facts: MediaFacts) -> Outcome:
    how = "adopted in place"
    if found.pin.startswith((ETAG, MTIME)):
        by = "its ETag" if found.pin.startswith(ETAG) else "its time of change"
        how += f", pinned by {by} only: no old versions are kept there"
    return Outcome(
        file=file,
        status="skipped",
        sha256=sha256,
        uri=file.uri,
        version_id=found.pin,
        etag=None if found.pin.startswith(MTIME) else found.info.version,
        facts=facts,
        reason=how,
    )
