"""``Delivery``: what all ways of sending share: the rules, and each content brought once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from trainset.errors import (
    ChecksumMismatch,
    InputError,
    NotFound,
    SourceChanged,
    StoreFull,
    TransientError,
)
from trainset.model import MediaFacts
from trainset.retry_class import confirm_fatal
from trainset.stores.seam import Seam
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.claims import Lanes
from trainset.transfer.ledger.base import Ledger
from trainset.transfer.places import Held, Place, Places, Presence
from trainset.transfer.route import Decision

# What the spec's rules say of a file; with facts never "read". ``Router.route``.
Route = Callable[[SourceFile, MediaFacts | None], Decision]

CONTENT_WAIT_S = 60.0  # for another process that sends the same bytes


class HomeRefused(Exception):
    """The home cannot take files at all; ``__cause__`` says why. Ends the batch."""


class HomeBusy(Exception):
    """The home did not take this file for a passing reason, in spite of all retries."""


class Put(NamedTuple):
    """An object that was made; ``moved_bytes`` left this machine for it, ``reason`` says how."""

    held: Held
    moved_bytes: int
    reason: str | None = None


class Delivery:
    """Brings contents to their places, equal ones once. Threads share it."""

    def __init__(
        self,
        places: Places,
        ledger: Ledger,
        lanes: Lanes,
        route: Route,
        run_id: str | None,
        *,
        prove: bool = False,
    ) -> None:
        self.route, self.places = route, places
        self._lanes, self._ledger = lanes, ledger
        self._presence = Presence(ledger, run_id, prove=prove)

    def bring(
        self,
        file: SourceFile,
        facts: MediaFacts,
        decision: Decision,
        sha256: str,
        owner: str,
        put: Callable[[], Put],
        *,
        look: bool = False,
    ) -> Outcome:
        """Call ``put`` unless the place holds these bytes.

        The content stays held by ``owner`` in the ledger.

        Args:
            look: ask the store even where the ledger knows nothing (a send was cut off).
        Raises:
            HomeBusy: another process still sends these bytes, or the place failed.
            HomeRefused: the place takes no files.
        """
        place = self.places.of(decision)
        with self._lanes.contents.hold(place.uri(sha256)):
            held = self._presence.seen(place, sha256)
            if held is None and not self._take(place, sha256, owner, look=look):
                held = self.find(place, sha256, file.size, look=look)
                if held is None:
                    self._wait_for_content(sha256, owner)
                    # Another process may have brought these bytes before it let us have them.
                    held = self.find(place, sha256, file.size, look=look)
            there = held is not None
            made = Put(held, 0) if held is not None else put()
            self._presence.note(made.held)
        return Outcome(
            file=file,
            status="duplicate" if there else "sent",
            sha256=sha256,
            uri=made.held.uri,
            version_id=made.held.version_id,
            etag=made.held.etag,
            moved_bytes=made.moved_bytes,
            facts=facts,
            route=decision.rule,
            verified="L1",
            reason=made.reason,
            retention_until=None if there else made.held.retention_until,
            reply=None if there else made.held.reply,
        )

    def find(self, place: Place, sha256: str, size: int, *, look: bool = False) -> Held | None:
        """The object with these bytes in ``place``, or None."""
        with errors_of(place):
            return self._presence.find(place, sha256, size, look=look)

    def _take(self, place: Place, sha256: str, owner: str, *, look: bool) -> bool:
        """Hold the content in the ledger if that alone says that it is new, and ours to send."""
        if look or self._presence.must_look(place):
            return False
        return self._ledger.take_content(sha256, place.prefix, owner=owner)

    def _wait_for_content(self, sha256: str, owner: str) -> None:
        """Hold the content in the ledger; wait while another process does."""
        give_up_at = time.monotonic() + CONTENT_WAIT_S
        while not self._ledger.hold_content(sha256, owner=owner):
            if time.monotonic() > give_up_at:
                raise HomeBusy from TransientError("another process sends the same bytes")
            time.sleep(0.05)


def errors_of(place: Place) -> Seam:
    """Mark the errors of the place that mean more than one file."""
    return Seam(_marked, place)


def _marked(err: BaseException, place: Place) -> Exception | None:
    if isinstance(err, ChecksumMismatch | SourceChanged | StoreFull):
        return None
    if isinstance(err, TransientError):
        return HomeBusy()
    if isinstance(err, InputError):
        local = place.store.local_path(place.root) is not None
        if local or isinstance(err, NotFound) or confirm_fatal(err, lambda: _try_put(place)):
            return HomeRefused()
    return None  # of an InputError, this key alone: too long, say


def _try_put(place: Place) -> None:
    """A PUT that leaves nothing: its hash is a lie, which a store that takes puts refuses."""
    place.store.put(f"{place.root}/.trainset-probe", b"x", sha256="0" * 64)
