"""The git store of a home in a bucket: packs mirrored to a local folder, refs as numbered objects.

``repo.git/objects/pack/*`` are immutable. A ref is ``repo.git/refs/heads/<name>/<seq>``: the object
of the highest number holds the commit id. B2 has no conditional PUT, so after a PUT the store is
asked which versions of that key exist: the oldest one counts, for writers and for readers, and any
other is a lost race that nobody reads. A store that cannot list versions is read back instead,
which tells the writer who was overwritten before it looked, but not after: two machines need a
store with versions (B2 has them).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, runtime_checkable

from trainset.errors import NotFound
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


@runtime_checkable
class VersionedStore(Protocol):
    """What a store adds that can keep old versions of its objects."""

    def list_versions(self, key: str) -> Sequence[Version]:
        """All versions of exactly ``key``, oldest first, without delete markers."""
        ...

    def get_version(self, key: str, version_id: str) -> bytes: ...


class BucketRefs:
    """Refs in a bucket; ``lock`` keeps the processes of this machine apart."""

    def __init__(self, store: ObjectStore, lock: StoreLock, cache: Path) -> None:
        self._store, self._lock, self._cache_file = store, lock, cache
        self._cache: dict[str, str] | None = None

    def all(self) -> Mapping[str, str]:
        return {name: commit for name, (_, commit) in self._tips().items() if commit != _GONE}

    def move(self, name: str, commit: str, *, expected: str | None) -> None:
        with self._lock:
            seq, found = self._tips().get(name, (0, _GONE))
            if (None if found == _GONE else found) != expected:
                raise RefMoved(name, expected=expected, found=None if found == _GONE else found)
            if name.startswith(TAGS):
                self._store.put(f"{ROOT}/refs/{name}", f"{commit}\n".encode())
            else:
                self._put(name, seq + 1, commit, expected)

    def delete(self, name: str) -> None:
        with self._lock:
            tip = self._tips().get(name)
            if tip is None:
                return
            if name.startswith(TAGS):
                self._store.delete(f"{ROOT}/refs/{name}")
            elif name.startswith(RUNS):  # has one writer: no other can mistake its numbers
                for info in list(self._store.list(f"{ROOT}/refs/{name}/")):
                    self._store.delete(info.key)
            else:
                self._put(name, tip[0] + 1, _GONE, tip[1])

    def _put(self, name: str, seq: int, commit: str, expected: str | None) -> None:
        key = f"{ROOT}/refs/{name}/{seq:012d}"
        self._store.put(key, f"{commit}\n".encode())
        if (winner := self._value(key)) != commit:
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
        known = self._known()
        missing = {
            f"{info.key} {info.version}": info.key
            for _, info in newest.values()
            if f"{info.key} {info.version}" not in known
        }
        if missing:
            with ThreadPoolExecutor(THREADS) as pool:
                values = pool.map(self._value, missing.values())
                known.update(zip(missing, values, strict=True))
            current = {f"{info.key} {info.version}" for _, info in newest.values()}
            self._cache = {entry: value for entry, value in known.items() if entry in current}
            write_whole(self._cache_file, json.dumps(self._cache).encode())
            known = self._cache
        return {
            name: (seq, known[f"{info.key} {info.version}"]) for name, (seq, info) in newest.items()
        }

    def _known(self) -> dict[str, str]:
        if self._cache is None:
            try:
                self._cache = json.loads(self._cache_file.read_bytes())
            except (FileNotFoundError, json.JSONDecodeError):
                self._cache = {}
        return dict(self._cache or {})

    def _value(self, key: str) -> str:
        """The commit id that counts under ``key``: that of its oldest version.

        A run's ref has one writer, who may delete it and begin again: there it is the newest.
        """
        if isinstance(self._store, VersionedStore) and not key.startswith(f"{ROOT}/refs/{RUNS}"):
            versions = self._store.list_versions(key)
            if len(versions) > 1:
                return self._store.get_version(key, versions[0].version_id).decode().strip()
        return self._store.get(key).decode().strip()


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
