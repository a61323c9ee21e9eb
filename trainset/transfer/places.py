"""Places: where the bytes of a file go, and what is there already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from trainset.errors import StoreReply
from trainset.home import Home
from trainset.model import Protection, StoreOptions
from trainset.stores import open_store
from trainset.stores.base import ObjectInfo, ObjectStore
from trainset.stores.held import hash_object
from trainset.transfer.ledger.base import Content, Ledger
from trainset.transfer.route import HOME, Decision
from trainset.transfer.streams import is_stream, parse_note

if TYPE_CHECKING:
    from trainset.transfer.place_objects import PlaceObjects

LOOKS = 100  # single looks of a run at one place before its listing costs less


@dataclass(frozen=True)
class Place:
    """A folder of content-addressed media: in the home, or in another bucket or folder.

    Attributes:
        root: key prefix in ``store``, without slashes at its ends.
        absolute: uris are the store's own; else they are relative to the home.
    """

    store: ObjectStore
    root: str
    absolute: bool = False

    def key(self, sha256: str) -> str:
        return f"{self.root}/{sha256[:2]}/{sha256}"

    def stream_key(self, upload: str) -> str:
        """For bytes whose sha256 is not known before they are sent."""
        return f"{self.root}/u/{upload}"

    def uri(self, key: str) -> str:
        return self.store.uri(key) if self.absolute else key

    @property
    def prefix(self) -> str:
        """What the uris of this place begin with."""
        return self.uri(f"{self.root}/x").removesuffix("x")


# (url of a bucket or folder, protection or None: as the dataset says) -> its store
OpenPlace = Callable[[str, Protection | None], ObjectStore]


def open_place(url: str, protection: Protection | None) -> ObjectStore:
    """A place that the environment's credentials open."""
    return open_store(url, options=StoreOptions(protection=protection or Protection()))


class Places:
    """The places of one batch: the home, and where its rules send files. Threads share it."""

    def __init__(self, home: Home, open_place: OpenPlace = open_place) -> None:
        self._home, self._open = home, open_place
        self._known: dict[Decision, Place] = {HOME: Place(home.store, home.config.media)}
        self._guard = threading.Lock()

    def of(self, decision: Decision) -> Place:
        """Where a decision sends a file."""
        place = self._known.get(decision)
        if place is None:
            with self._guard:
                key = replace(decision, rule=None)
                if key not in self._known:
                    self._known[key] = self._make(key)
                place = self._known[decision] = self._known[key]
        return place

    def _make(self, decision: Decision) -> Place:
        media = self._home.config.media
        root = f"{media}/{decision.prefix}" if decision.prefix else media
        if decision.to is not None:
            return Place(self._open(decision.to, decision.protection), root, absolute=True)
        if decision.protection is not None:
            return Place(self._open(self._home.url, decision.protection), root)
        return Place(self._home.store, root)


@dataclass(frozen=True)
class Held:
    """An object that holds the wanted bytes.

    ``retention_until`` and ``reply``: of one that was made just now.
    """

    uri: str
    version_id: str | None = None
    etag: str | None = None
    retention_until: datetime | None = None
    reply: StoreReply | None = None

    @classmethod
    def of(cls, uri: str, info: ObjectInfo) -> Held:
        return cls(uri, info.version_id, info.version, info.retention_until, info.reply)


class Presence:
    """What places hold. Threads share it.

    The ledger says what may be there, and one look at the store confirms it; from some looks on,
    one listing for all. What the ledger does not know is not looked for: a look a file would halve
    the rate at which a bucket takes files.

    Args:
        run_id: batches of one run share the listing.
        prove: an object is not believed by its name and size, but read back, once.
    """

    def __init__(self, ledger: Ledger, run_id: str | None = None, *, prove: bool = False) -> None:
        self._ledger, self._run_id, self._prove = ledger, run_id or f"{id(self)}", prove
        self._seen: dict[str, Held] = {}  # uri -> what was found or put by this batch
        self._guard = threading.Lock()

    def must_look(self, place: Place) -> bool:
        """Whether the store is asked in any case, also for what the ledger does not know."""
        return self._prove or place.store.local_path(place.root) is not None

    def seen(self, place: Place, sha256: str) -> Held | None:
        """What this batch found or put there."""
        return self._seen.get(place.uri(place.key(sha256)))

    def find(self, place: Place, sha256: str, size: int, *, look: bool = False) -> Held | None:
        """The object with these bytes in ``place``, or None.

        Args:
            look: ask the store even where the ledger knows nothing (a send was cut off).
        """
        uri = place.uri(place.key(sha256))
        with self._guard:
            if uri in self._seen:
                return self._seen[uri]
        held = self._look(place, sha256, size, look=look or self._prove)
        if held is not None and self._prove:
            name = held.uri.removeprefix(place.prefix)
            found = hash_object(place.store, f"{place.root}/{name}", held.version_id)
            if found != (size, sha256):
                return None  # it is sent again, in its place
        return held and self.note(held)

    def _look(self, place: Place, sha256: str, size: int, *, look: bool) -> Held | None:
        key = place.key(sha256)
        uri = place.uri(key)
        local = place.store.local_path(key) is not None
        known = self._ledger.find_content(sha256, place.prefix)
        if known is not None and (name := known.uri.removeprefix(place.prefix)).startswith("u/"):
            info = place.store.head(f"{place.root}/{name}")  # streamed: named by its upload
            if info is not None and info.size == size:
                return Held(known.uri, info.version_id, info.version)
        if not (look or local or known):
            return None
        listed = _listed(self._run_id, place.prefix)
        if not (look or local) and listed.is_due() and listed.holds(place, sha256, size):
            return Held(uri)  # what came after the listing is looked for below
        info = place.store.head(key)
        if info is None or info.size != size or info.sha256 not in (None, sha256):
            return None
        return Held(uri, info.version_id, info.version)

    def note(self, held: Held) -> Held:
        """Remember an object that was found or put."""
        with self._guard:
            self._seen[held.uri] = held
        return held


def learn_contents(ledger: Ledger, place: Place) -> None:
    """Tell a new ledger what a bucket holds already, by one listing; all of it or nothing.

    A folder needs none: there each file is looked for.
    """
    if place.store.local_path(place.root) is not None:
        return
    ledger.know_contents(_contents(place))


def _contents(place: Place) -> Iterator[tuple[str, Content]]:
    """(sha256, content) of all objects; a streamed one is known by the note beside it."""
    streams: dict[str, Content] = {}
    notes: list[tuple[str, str]] = []
    for info in place.store.list(f"{place.root}/"):
        content = Content(place.uri(info.key), info.size, info.version_id)
        name = info.key.rsplit("/", 1)[-1]
        if is_stream(info.key):
            if (noted := parse_note(info.key)) is not None:
                notes.append(noted)
            else:
                streams[info.key] = content
        elif len(name) == 64:
            yield name, content
    for key, sha256 in notes:
        if key in streams:
            yield sha256, streams[key]


class _Listed:
    """The looks of one run at one place, and from some looks on what one listing shows."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._looks = 0
        self._objects: PlaceObjects | None = None

    def is_due(self) -> bool:
        """Count one look; whether it should be answered by the listing."""
        with self._guard:
            self._looks += 1
            return self._looks > LOOKS

    def holds(self, place: Place, sha256: str, size: int) -> bool:
        from trainset.transfer.place_objects import PlaceObjects  # late: numpy

        with self._guard:
            if self._objects is None:
                self._objects = PlaceObjects(place.store.list(f"{place.root}/"))
        return self._objects.holds(sha256, size)


@lru_cache(maxsize=8)
def _listed(run_id: str, prefix: str) -> _Listed:
    return _Listed()
