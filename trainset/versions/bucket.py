"""The git store of a home in a bucket: packs mirrored to a local folder, refs as numbered objects.

``repo.git/objects/pack/*`` are immutable. A ref is ``repo.git/refs/heads/<name>/<seq>``: the object
of the highest number holds the commit id. B2 has no conditional PUT, so after a PUT the store is
asked which versions of that key exist: the oldest one counts, for writers and for readers. A writer
whose version does not count has lost the race and takes it back. One that saw only its own version,
because an older one showed late, believes that it won: its version stays, and ``forks`` heals it.

A store that cannot list versions is read back instead, which tells the writer who was overwritten
before it looked, but not after: two machines need a store with versions (B2 has them).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Protocol, runtime_checkable

from trainset.errors import AccessDenied, NotFound
from trainset.stores.base import ObjectInfo, ObjectStore
from trainset.versions.durable import write_whole
from trainset.versions.locks import StoreLock
from trainset.versions.refs import RUNS, TAGS, RefMoved

ROOT = "repo.git"
THREADS = 16  # requests in flight
_SEQ = re.compile(r"(.+)/(\d{12})")
_GONE = "deleted"  # a deleted branch keeps counting: its old keys still have versions


class Version(Protocol):
    """One version of a key."""

    @property
    def version_id(self) -> str: ...

    @property
    def etag(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def modified(self) -> datetime: ...

    @property
    def is_latest(self) -> bool:
        """Whether a reader of the key gets it."""
        ...


@runtime_checkable
class VersionedStore(Protocol):
    """What a store adds that can keep old versions of its objects."""

    def iter_versions(self, prefix: str) -> Iterator[tuple[str, Version]]:
        """Versions of all keys below ``prefix``, by key, newest first, without delete markers."""
        ...

    def list_versions(self, key: str) -> Sequence[Version]:
        """All versions of exactly ``key``, oldest first, without delete markers."""
        ...

    def get_version(self, key: str, version_id: str) -> bytes: ...

    def delete_version(self, key: str, version_id: str) -> None: ...


class BucketRefs:
    """Refs in a bucket; ``lock`` keeps the processes of this machine apart."""

    def __init__(self, store: ObjectStore, lock: StoreLock, cache: Path) -> None:
        self._store, self._lock, self._cache_file = store, lock, cache
        self._kept = self._read_cache()
        self._cache = dict(self._kept)  # commits by tag, and by ETag (MD5) of a ref's object

    def all(self) -> Mapping[str, str]:
        return {name: commit for name, (_, commit) in self._tips().items() if commit != _GONE}

    def move(self, name: str, commit: str, *, expected: str | None) -> None:
        with self._lock:
            seq, found = self._tips().get(name, (0, _GONE))
            if (None if found == _GONE else found) != expected:
                raise RefMoved(name, expected=expected, found=None if found == _GONE else found)
            self._put(name, seq + 1, commit, expected)

    def delete(self, name: str) -> None:
        with self._lock:
            tip = self._tips().get(name)
            if tip is None:
                return
            if name.startswith(RUNS):  # has one writer: no other can mistake its numbers
                for info in list(self._store.list(f"{ROOT}/refs/{name}/")):
                    self._store.delete(info.key)
            else:
                self._put(name, tip[0] + 1, _GONE, tip[1])

    def forks(self) -> Iterable[tuple[str, str]]:
        """Branch and commit of every version that does not count."""
        for name in self._tips():
            if not name.startswith((TAGS, RUNS)):
                for key, beside in self._beside(name):
                    for version in beside:
                        with suppress(NotFound):  # its writer took it back meanwhile
                            yield name, self._read(key, version)

    def withdraw(self, name: str, commit: str) -> None:
        for key, beside in self._beside(name):
            self._take_back(key, beside, commit)

    def _put(self, name: str, seq: int, commit: str, expected: str | None) -> None:
        key = f"{ROOT}/refs/{name}" if name.startswith(TAGS) else f"{ROOT}/refs/{name}/{seq:012d}"
        self._store.put(key, f"{commit}\n".encode())
        versions = self._versions(key)
        winner = self._read(key, versions[0] if versions else None)
        if winner != commit:
            self._take_back(key, versions[1:], commit)
            raise RefMoved(name, expected=expected, found=winner)

    def _tips(self) -> dict[str, tuple[int, str]]:
        newest: dict[str, tuple[int, ObjectInfo]] = {}
        for info in self._store.list(f"{ROOT}/refs/"):
            name = info.key.removeprefix(f"{ROOT}/refs/")
            seq = 0
            if not name.startswith(TAGS):
                if (match := _SEQ.fullmatch(name)) is None:
                    continue
                name, seq = match[1], int(match[2])
            if name not in newest or seq > newest[name][0]:
                newest[name] = (seq, info)
        with ThreadPoolExecutor(THREADS) as pool:
            values = pool.map(self._value, (info for _, info in newest.values()))
            tips = {
                name: (seq, value)
                for (name, (seq, _)), value in zip(newest.items(), values, strict=True)
                if value is not None
            }
        self._keep_cache({commit for _, commit in tips.values()})
        return tips

    def _value(self, info: ObjectInfo) -> str | None:
        """The commit id that counts under a key: that of its oldest version.

        A run's ref has one writer, who may delete it and begin again: there it is the newest, and
        None where the run ended after it was listed. A tag never moves, so it is asked for once.
        """
        name = info.key.removeprefix(f"{ROOT}/refs/")
        if name.startswith(TAGS) and name in self._cache:
            return self._cache[name]
        if name.startswith(RUNS):
            with suppress(NotFound):
                return self._cache.get(info.version) or self._read(info.key, None)
            return None
        versions = self._versions(info.key)
        etag = versions[0].etag if versions else info.version
        found = self._cache.get(etag) or self._read(info.key, versions[0] if versions else None)
        if name.startswith(TAGS):
            self._cache[name] = found
        return found

    def _read(self, key: str, version: Version | None) -> str:
        if version is None or not isinstance(self._store, VersionedStore):
            data = self._store.get(key)
        else:
            data = self._store.get_version(key, version.version_id)
        commit = data.decode().strip()
        # Not the ETag that a listing told: the object may have changed since.
        self._cache[hashlib.md5(data, usedforsecurity=False).hexdigest()] = commit
        return commit

    def _versions(self, key: str) -> Sequence[Version]:
        """Oldest first; [] of a store that keeps none."""
        return self._store.list_versions(key) if isinstance(self._store, VersionedStore) else []

    def _beside(self, name: str) -> Iterator[tuple[str, Sequence[Version]]]:
        """Keys of a branch that have versions that do not count, and these."""
        if isinstance(self._store, VersionedStore):
            found = self._store.iter_versions(f"{ROOT}/refs/{name}/")
            for key, entries in groupby(found, key=lambda entry: entry[0]):
                match = _SEQ.fullmatch(key.removeprefix(f"{ROOT}/refs/"))
                versions = [version for _, version in entries]
                if len(versions) > 1 and match is not None and match[1] == name:
                    yield key, versions[:-1]

    def _take_back(self, key: str, versions: Iterable[Version], commit: str) -> None:
        if not isinstance(self._store, VersionedStore):
            return
        for version in versions:
            # NotFound: another's, who took it back. AccessDenied: this key may not; then it stays,
            # and is healed to nothing, as its rows are there already.
            with suppress(NotFound, AccessDenied):
                if self._read(key, version) == commit:
                    self._store.delete_version(key, version.version_id)

    def _read_cache(self) -> dict[str, str]:
        try:
            held: dict[str, str] = json.loads(self._cache_file.read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return held

    def _keep_cache(self, current: Set[str]) -> None:
        kept = {etag: commit for etag, commit in self._cache.items() if commit in current}
        if kept != self._kept:
            write_whole(self._cache_file, json.dumps(kept).encode())
            self._cache, self._kept = dict(kept), kept


class PackMirror:
    """Keeps the packs of a bucket and those of a local git folder the same."""

    def __init__(self, store: ObjectStore, packs: Path) -> None:
        self._store, self._packs = store, packs

    def push(self) -> None:
        """Upload the packs that are only here, ``.pack`` before ``.idx``.

        All of them, not just the newest: a commit may build on objects that a killed process wrote
        here and never sent.
        """
        there = {Path(info.key).name for info in self._store.list(f"{ROOT}/objects/pack/")}
        for index in sorted(self._packs.glob("*.idx")):
            if index.name not in there:
                for path in (index.with_suffix(".pack"), index):
                    self._store.put_file(f"{ROOT}/objects/pack/{path.name}", path)

    def pull(self) -> None:
        """Download the packs that are not here."""
        self._packs.mkdir(parents=True, exist_ok=True)
        keys = {info.key for info in self._store.list(f"{ROOT}/objects/pack/")}
        whole = [key.removesuffix(".idx") for key in keys if key.endswith(".idx")]
        for suffix in (".pack", ".idx"):
            wanted = [f"{k}{suffix}" for k in whole if f"{k}.pack" in keys]
            missing = [k for k in wanted if not (self._packs / Path(k).name).exists()]
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(self._fetch, missing))

    def _fetch(self, key: str) -> None:
        try:
            self._store.fetch_file(key, self._packs / Path(key).name)
        except NotFound as err:
            raise NotFound(f"{key} went away while the home was opened; open it again") from err
