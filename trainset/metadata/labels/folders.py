"""Folders of thousands of small label files, each one stream: which they are, and reading them.

Only files that came or changed are read. Records of such formats are named ``<file>#…`` and what is
rejected stands at ``<file> …``, so that one file's rows can be replaced among the others.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trainset.errors import InputError
from trainset.metadata.base import Batch, Rejected, State
from trainset.metadata.labels.companions import Companions
from trainset.metadata.labels.registry import FORMATS, Beside, LabelFormat
from trainset.metadata.names import safe_name
from trainset.metadata.reading import in_parts
from trainset.metadata.records import RECORDS, BadRecord, Record, rejected
from trainset.stores.base import ObjectInfo, ReadStore

_SAMPLE = 5  # files of a folder that are looked at; the rest is taken to be like them
_WORKERS = 8  # a bucket answers them side by side
_A_WORKER = 32  # files that one gets, one after the other


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
        labels = {key for key in keys if not any(_owned(kind, key) for kind in kinds)}
        full = [key for key in keys if key in labels and files[key].size]
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


@dataclass(frozen=True)
class Folder:
    """The files of one folder in one format; ``path`` is the folder's."""

    format: LabelFormat
    path: str
    infos: Sequence[ObjectInfo]

    @property
    def stream(self) -> str:
        return folder_stream(self.format.name, self.path)


def by_folder(
    formats: Mapping[str, str | None], files: Mapping[str, ObjectInfo]
) -> Iterator[Folder]:
    """Files of folder formats, together with their neighbours."""
    found: dict[tuple[str, str], list[ObjectInfo]] = {}
    for key, name in formats.items():
        if name is not None and is_folder_format(name):
            found.setdefault((name, posixpath.dirname(key)), []).append(files[key])
    for (name, path), infos in found.items():
        yield Folder(FORMATS[name], path, infos)


def read_folder(
    store: ReadStore, folder: Folder, source: str, options: Companions, state: State
) -> Iterator[Batch]:
    """Records of the files that came or changed; nothing when none came, went or changed.

    The last batch names the files whose rows are replaced, and brings the state. A file of another
    version with the same bytes is the same file.
    """
    held: dict[str, str] = dict(state.get("files", {}))
    again = state.get("options") == options.name
    if not again:
        held = {}
    keys = {info.key for info in folder.infos}
    facts = {key: fact for key, fact in held.items() if key in keys}
    suspects = [info for info in folder.infos if not _is_as_held(info, held)]
    changed = held.keys() - keys
    items = _read(store, suspects, folder, options.beside, facts, changed)
    for part in in_parts(items, source=source, stream=folder.stream):
        yield Batch(records=part.records, rejected=tuple(part.rejected), state={})
    if changed or not again:
        # Only now are all files read.
        after = {"files": facts, "options": options.name, "format": folder.format.name}
        names = tuple(sorted(map(posixpath.basename, changed))) if again else None
        yield Batch(records=RECORDS.empty_table(), state=after, replaces=names)


def _read(
    store: ReadStore,
    infos: Sequence[ObjectInfo],
    folder: Folder,
    beside: Beside,
    facts: dict[str, str],
    changed: set[str],
) -> Iterator[Record | Rejected]:
    """Records of the files whose bytes are not those held.

    Args:
        facts: ``version size digest`` by key, as held; brought up to date.
        changed: keys of files that are read are added.
    """
    for info, data in _contents(store, infos):
        digest = _digest(data)
        same = facts.get(info.key, "").endswith(f" {digest}")
        facts[info.key] = f"{info.version} {len(data)} {digest}"
        if same:
            continue
        changed.add(info.key)
        place = store.uri(info.key)
        try:
            yield from folder.format.read(data, stream=folder.stream, place=place, beside=beside)
        except InputError as err:  # this file; the others are read all the same
            fault = BadRecord("bad-file", str(err))
            name = posixpath.basename(info.key)
            original = data.decode("utf-8", "replace")
            yield rejected(folder.stream, name, fault, original)


def _contents(store: ReadStore, infos: Sequence[ObjectInfo]) -> Iterator[tuple[ObjectInfo, bytes]]:
    """The files with their bytes, some at a time: a thread a file would cost more than reading."""

    def get(some: Sequence[ObjectInfo]) -> list[bytes]:
        return [store.get(info.key) for info in some]

    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        for start in range(0, len(infos), _WORKERS * _A_WORKER):
            block = infos[start : start + _WORKERS * _A_WORKER]
            shares = [block[i : i + _A_WORKER] for i in range(0, len(block), _A_WORKER)]
            for share, data in zip(shares, pool.map(get, shares), strict=True):
                yield from zip(share, data, strict=True)


def _is_as_held(info: ObjectInfo, held: Mapping[str, str]) -> bool:
    return held.get(info.key, "").startswith(f"{info.version} {info.size} ")


def _owned(known: LabelFormat, key: str) -> bool:
    return known.owns(posixpath.basename(key))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
