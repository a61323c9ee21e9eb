"""Which files a run is about, when it is not about all: by name, and by a condition."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from trainset.errors import InputError
from trainset.model import Frozen
from trainset.transfer.answers import TRUE, Condition
from trainset.transfer.attributes import LISTED, row_of
from trainset.transfer.base import SourceFile
from trainset.transfer.names import read_names

_CHUNK = 1_024  # listed files that are looked up at once


class Only(Frozen):
    """The files of a run; all that is said must fit.

    Attributes:
        manifest: a list of files (``names.read_names``).
        files: more names, beside those of the manifest.
        where: a condition as rules have it, over what a listing shows.
    """

    manifest: Path | None = None
    files: tuple[str, ...] = ()
    where: str | None = None

    @property
    def names_files(self) -> bool:
        return self.manifest is not None or bool(self.files)


class Selection:
    """Filters listings; 9 bytes a name.

    Raises:
        SpecError: the condition is none. NotFound, InputError: the manifest.
    """

    def __init__(self, only: Only) -> None:
        self._only = only
        self._condition = _condition(only.where) if only.where else None
        self._hashes = np.unique(np.fromiter((_hash(name) for name, _ in self._names()), np.int64))
        self._seen = np.zeros(len(self._hashes), bool)
        if only.names_files and not len(self._hashes):
            raise InputError(f"{only.manifest} names no file; write one name a line")

    def select(self, files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        """Those that are meant, in the same order."""
        rest = iter(files)
        while chunk := list(islice(rest, _CHUNK)):
            named = self._find([f.key for f in chunk]) | self._find([f.uri for f in chunk])
            for file, named_so in zip(chunk, named.tolist(), strict=True):
                if (named_so or not self._only.names_files) and self._fits(file):
                    yield file

    @property
    def found(self) -> int:
        """Names that some listed file had."""
        return int(self._seen.sum())

    def names(self, *names: str | None) -> bool:
        """Whether someone named a file that goes by these names, whatever the condition says."""
        return bool(self._find([name for name in names if name is not None]).any())

    def unseen(self) -> Iterator[tuple[str, str]]:
        """(name, where it stands) of every name that no file of a listing had."""
        told = set[int]()
        for name, place in self._names():
            at = int(np.searchsorted(self._hashes, _hash(name)))
            if not self._seen[at] and at not in told:
                told.add(at)  # once, however often it is named
                yield name, place

    def _names(self) -> Iterator[tuple[str, str]]:
        manifest = self._only.manifest
        told = ((name, "as given") for name in self._only.files)
        listed: Iterable[tuple[str, str]] = ()
        if manifest is not None:
            listed = ((n, f"{manifest}, {place}") for n, place in read_names(manifest))
        return chain(told, listed)

    def _find(self, names: Sequence[str]) -> np.ndarray:
        """Which of some names are meant; they count as seen."""
        if not len(self._hashes):
            return np.zeros(len(names), bool)
        wanted = np.fromiter(map(_hash, names), np.int64, len(names))
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        found: np.ndarray = self._hashes[at] == wanted
        self._seen[at[found]] = True
        return found

    def _fits(self, file: SourceFile) -> bool:
        return self._condition is None or self._condition(row_of(file, None)) == TRUE


def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _condition(where: str) -> Condition:
    from trainset.transfer.conditions import parse_condition  # late: its SQL parser takes 30 MB

    return parse_condition(where, LISTED)
