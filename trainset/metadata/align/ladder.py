"""The key ladder: which medium a record means, by ever weaker signs; never a guess.

Steps, in the order that the spec says: ``key`` (the media key), ``path`` (the same file: beside
the label file, by relative path, by full uri, or by two or more last segments that no other medium
has), ``near`` (the only file of that name under the label file's nearest folder that holds one),
``filename`` (the only file of that name, else of that stem), ``sha256`` (the content).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from trainset.metadata.names import (
    SHA256,
    decoded,
    normal,
    stem,
    without_scheme,
    without_tool_prefix,
)
from trainset.spec import MatchMethod

Positions = dict[str, list[int]]


@dataclass(frozen=True)
class Match:
    """One medium by ``method``; several candidates without one; or neither (an orphan)."""

    method: MatchMethod | None = None
    candidates: tuple[int, ...] = ()


ORPHAN = Match()


class MediaIndex:
    """Media by everything a record may call them; positions are those of the sequences given.

    Args:
        keys: ``<source name>/<relative path>``.
        source_uris: where each lay, a path or a uri; None where that is not known.
        sha256s: hex digests; None where that is not known.
    """

    def __init__(
        self,
        keys: Sequence[str],
        source_uris: Sequence[str | None],
        sha256s: Sequence[str | None],
    ) -> None:
        self._keys = [normal(key) for key in keys]
        self._relative = [key.partition("/")[2] for key in self._keys]
        self._places = [
            without_scheme(normal(uri)) if uri else key
            for uri, key in zip(source_uris, self._keys, strict=True)
        ]
        self._sha256s = sha256s
        self._by_suffix: dict[int, Positions] = {}
        self._near_found: dict[tuple[str, str], tuple[int, ...]] = {}

    def resolve(
        self,
        ref: str,
        methods: Sequence[MatchMethod],
        *,
        label_uri: str | None = None,
        sha256: str | None = None,
    ) -> Match:
        """The medium that a record means.

        A step that finds several media ends the climb, except that ``near`` may single out one of
        the several, and that ``sha256`` goes by content and not by name.

        Args:
            ref: as the record has it.
            label_uri: the file that holds the record.
            sha256: of the medium, when the record says it.
        """
        folder = label_folder(label_uri) if label_uri else None
        spellings = list(dict.fromkeys((normal(ref), decoded(ref))))
        several: tuple[int, ...] = ()
        for method in methods:
            if several and method not in ("near", "sha256"):
                continue
            found = self._step(method, spellings, folder, sha256)
            if several and method == "near":
                found = tuple(i for i in found if i in several)
            if len(found) == 1:
                return Match(method, found)
            several = several or found
        return Match(candidates=several) if several else ORPHAN

    def _step(
        self, method: MatchMethod, spellings: list[str], folder: str | None, sha256: str | None
    ) -> tuple[int, ...]:
        if method == "sha256":
            digest = SHA256.fullmatch(sha256 or spellings[0])
            return tuple(self._by_sha256.get(digest[1].lower(), ())) if digest else ()
        for spelling in spellings:
            if method == "key":
                found = tuple(self._by_key.get(spelling, ()))
            elif method == "path":
                found = self._path(spelling, folder)
            elif method == "near":
                found = self._near(posixpath.basename(spelling), folder) if folder else ()
            else:
                found = self._filename(posixpath.basename(spelling))
            if found:
                return found
        return ()

    def _path(self, ref: str, folder: str | None) -> tuple[int, ...]:
        place = without_scheme(ref)
        if folder and place == ref:  # relative: beside the label file, as its writer saw it
            if found := self._by_place.get(normal(f"{folder}/{ref}")):
                return tuple(found)
        elif found := self._by_place.get(place):
            return tuple(found)
        if found := self._by_relative.get(ref):
            return tuple(found)
        segments = [s for s in place.split("/") if s != ".."]
        if len(segments) < 2:
            return ()  # a bare name is for ``near`` and ``filename``
        if found := self._suffixes(len(segments)).get("/".join(segments)):
            return tuple(found)
        for start in range(1, len(segments) - 1):  # the record knows more folders than we have
            if found := self._by_relative.get("/".join(segments[start:])):
                return tuple(found)
        return ()

    def _near(self, name: str, folder: str) -> tuple[int, ...]:
        """Media called ``name`` under the deepest folder that holds some and the label file.

        Folders above the media source's own are not looked at: what else lies on the disk says
        nothing.
        """
        known = self._near_found.get((name, folder))
        if known is None:
            above = folder.split("/")
            depths = {i: self._shared_depth(i, above) for i in self._by_name.get(name, ())}
            deepest = max(depths.values(), default=-1)
            known = tuple(i for i, depth in depths.items() if depth == deepest and depth >= 0)
            self._near_found[name, folder] = known
        return known

    def _shared_depth(self, i: int, above: list[str]) -> int:
        """How many folders medium and label share; -1 when not all of the media source's."""
        place, relative = self._places[i], self._relative[i]
        if not place.endswith(relative):
            return -1
        root = place[: len(place) - len(relative)].rstrip("/")
        depth = 0
        for mine, theirs in zip(place.split("/")[:-1], above, strict=False):
            if mine != theirs:
                break
            depth += 1
        return depth if depth >= (root.count("/") + 1 if root else 0) else -1

    def _filename(self, name: str) -> tuple[int, ...]:
        uploaded = without_tool_prefix(name)
        return tuple(
            self._by_name.get(name)
            or self._by_name.get(uploaded)
            or self._by_stem.get(stem(name))
            or self._by_stem.get(stem(uploaded))
            or ()
        )

    def _suffixes(self, length: int) -> Positions:
        """Media by the last ``length`` segments of their place."""
        if length not in self._by_suffix:
            tails = (place.split("/")[-length:] for place in self._places)
            self._by_suffix[length] = _positions(
                "/".join(tail) if len(tail) == length else None for tail in tails
            )
        return self._by_suffix[length]

    @cached_property
    def _by_key(self) -> Positions:
        return _positions(self._keys)

    @cached_property
    def _by_relative(self) -> Positions:
        return _positions(self._relative)

    @cached_property
    def _by_place(self) -> Positions:
        return _positions(self._places)

    @cached_property
    def _by_name(self) -> Positions:
        return _positions(posixpath.basename(key) for key in self._keys)

    @cached_property
    def _by_stem(self) -> Positions:
        return _positions(stem(posixpath.basename(key)) for key in self._keys)

    @cached_property
    def _by_sha256(self) -> Positions:
        return _positions(digest.lower() if digest else None for digest in self._sha256s)


@lru_cache(maxsize=1024)
def label_folder(label_uri: str) -> str:
    """The folder of a label file, without scheme and leading slash, as places are."""
    return without_scheme(normal(posixpath.dirname(label_uri)))


def _positions(names: Iterable[str | None]) -> Positions:
    found: Positions = {}
    for i, name in enumerate(names):
        if name:
            found.setdefault(name, []).append(i)
    return found
