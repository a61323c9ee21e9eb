"""Folders of thousands of small label files, each one stream: which they are, and reading them."""

from __future__ import annotations

import hashlib
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.registry import FORMATS, Beside, LabelFormat
from trainset.metadata.names import safe_name
from trainset.metadata.records import BadRecord, Record, rejected
from trainset.stores.base import ObjectInfo, ObjectStore

_SAMPLE = 5  # files of a folder that are looked at; the rest is taken to be like them
_AT_ONCE = 256  # files in flight; a bucket answers them side by side


def is_folder_format(name: str | None) -> bool:
    return name in FORMATS and not FORMATS[name].one_file


def folder_stream(name: str, folder: str) -> str:
    """The stream of a folder's files of one format."""
    return safe_name(f"{folder or '.'}:{name}")


def said_formats(
    name: str, files: Mapping[str, ObjectInfo], *, single: bool
) -> dict[str, str | None]:
    """The format the user said, for the files that may be in it."""
    known = FORMATS.get(name)
    if known is None or single:
        return dict.fromkeys(files, name)
    return {
        key: name if key.lower().endswith(known.suffix) and not _owned(known, key) else None
        for key in files
    }


def found_formats(
    files: Mapping[str, ObjectInfo], look: Callable[[ObjectInfo], str | None]
) -> dict[str, str | None]:
    """The format of each file; of a folder of many alike, from a few of them.

    A file without content beside YOLO files is a YOLO file: its medium holds nothing.
    """
    found: dict[str, str | None] = {}
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in files:
        suffix = posixpath.splitext(key)[1].lower()
        groups[posixpath.dirname(key), suffix].append(key)
    for (_, suffix), keys in groups.items():
        kinds = [f for f in FORMATS.values() if not f.one_file and f.suffix == suffix]
        labels = [key for key in keys if not any(_owned(kind, key) for kind in kinds)]
        full = [key for key in labels if files[key].size]
        sample = full[:: max(1, len(full) // _SAMPLE)][:_SAMPLE]
        seen = {key: look(files[key]) for key in sample} if kinds else {}
        alike = set(seen.values())
        same = alike.pop() if len(alike) == 1 and len(full) > _SAMPLE else None
        for key in keys:
            if is_folder_format(same) and key in labels:
                found[key] = same
            else:
                found[key] = seen[key] if key in seen else look(files[key])
        if "yolo" in (found[key] for key in full):
            found |= {key: "yolo" for key in labels if not files[key].size}
    return {key: found[key] for key in files}


def by_folder(formats: Mapping[str, str | None]) -> dict[tuple[str, str], list[str]]:
    """Files of folder formats by (format, folder)."""
    found: dict[tuple[str, str], list[str]] = {}
    for key, name in formats.items():
        if name is not None and is_folder_format(name):
            found.setdefault((name, posixpath.dirname(key)), []).append(key)
    return found


def companions(
    known: LabelFormat, store: ObjectStore, files: Mapping[str, ObjectInfo], folder: str
) -> Beside:
    """Companion files of a format in a folder and those above it, the nearest first."""
    found: list[tuple[str, bytes]] = []
    names: dict[str, list[str]] = defaultdict(list)
    for key in files:
        if _rank(known, key) is not None:
            names[posixpath.dirname(key)].append(key)
    while True:
        keys = sorted(names.get(folder, ()), key=lambda key: (_rank(known, key), key))
        found += [(key, store.get(key)) for key in keys]
        if not folder:
            return found
        folder = posixpath.dirname(folder)


def companions_above(known: LabelFormat, above: Sequence[ObjectStore]) -> Beside:
    """Companion files with names that are known, in folders that are not listed."""
    names = [n for n in (*known.beside, "obj.names") if "*" not in n and known.owns(n)]
    return [(n, store.get(n)) for store in above for n in names if store.head(n) is not None]


def folder_changed(
    store: ObjectStore, infos: Sequence[ObjectInfo], held: Mapping[str, str]
) -> bool:
    """Whether a file came, went or has other bytes; a touched file is the same file."""
    if {info.key for info in infos} != held.keys():
        return True
    for info in infos:
        version, size, digest = held[info.key].rsplit(" ", 2)
        if (version, size) != (info.version, str(info.size)) and digest != _digest(
            store.get(info.key)
        ):
            return True
    return False


def read_folder(
    store: ObjectStore,
    infos: Sequence[ObjectInfo],
    known: LabelFormat,
    stream: str,
    beside: Beside,
    facts: dict[str, str],
) -> Iterator[Record | Rejected]:
    """Records of all files of a folder, in the order given.

    Args:
        facts: filled in: ``version size digest`` of each file as it was read, by key.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        for start in range(0, len(infos), _AT_ONCE):
            some = infos[start : start + _AT_ONCE]
            for info, data in zip(some, pool.map(store.get, [i.key for i in some]), strict=True):
                facts[info.key] = f"{info.version} {len(data)} {_digest(data)}"
                place = store.uri(info.key)
                try:
                    yield from known.read(data, stream=stream, place=place, beside=beside)
                except InputError as err:  # this file; the others are read all the same
                    fault = BadRecord("bad-file", str(err))
                    yield rejected(stream, info.key, fault, data.decode("utf-8", "replace"))


def _owned(known: LabelFormat, key: str) -> bool:
    return known.owns(posixpath.basename(key))


def _rank(known: LabelFormat, key: str) -> int | None:
    name = posixpath.basename(key).lower()
    return next((i for i, p in enumerate(known.beside) if fnmatchcase(name, p)), None)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
