"""``FileReader``: label files of one place, one stream a file.

A file is read when its version or size differs from the state's, and handed on when its content
does too: a touched file is the same file. It is read whole, and its rows replace its stream's.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from trainset.errors import NotFound
from trainset.identity import hash128
from trainset.metadata.base import Batch, Rejected, State, Stream
from trainset.metadata.labels.folders import (
    by_folder,
    companions,
    companions_above,
    folder_changed,
    folder_stream,
    found_formats,
    is_folder_format,
    read_folder,
    said_formats,
)
from trainset.metadata.labels.registry import FORMATS, Beside
from trainset.metadata.names import EXTENSIONS, extension, safe_name
from trainset.metadata.recognise import (
    HEAD_BYTES,
    LATER,
    MORE_BYTES,
    READ,
    SUPPORTED,
    Recognised,
    recognise,
    unknown,
)
from trainset.metadata.records import Record, to_table
from trainset.metadata.tabular import TableFormat
from trainset.model import Credentials
from trainset.stores.base import ObjectInfo, ObjectStore

BATCH_ROWS = 50_000
_TABLES: dict[str, TableFormat] = {"csv": "csv", "jsonl": "jsonl", "json": "json"}
READING = 1  # goes up when a file is read into other records than before


class FileReader:
    """Reads the label files (``recognise.READ``) of a folder, a bucket prefix, or one file.

    In a folder, media are passed over, and files in no known format are listed as streams that say
    why they are not read. Files whose name starts with a dot are nobody's labels.

    Args:
        source: the ``metadata:`` entry's name.
        store: holds the files.
        key: the one file to read; None: all files of the store.
        format_: said by the user; None: recognised by content.
        media_column: said by the user; None: found.
        above: the folders over the store's, nearest first, where class names may stand.
    """

    def __init__(
        self,
        source: str,
        store: ObjectStore,
        *,
        key: str | None = None,
        format_: str | None = None,
        media_column: str | None = None,
        above: Sequence[ObjectStore] = (),
    ) -> None:
        self._source, self._store, self._key = source, store, key
        self._above = above
        self._format, self._media_column = format_, media_column

    def spec(self) -> Mapping[str, Any]:
        return {
            "type": "object",
            "properties": {
                "format": {"enum": [*READ, None]},
                "media_column": {"type": ["string", "null"]},
            },
        }

    def check(self) -> None:
        if self._key is None:
            next(iter(self._store.list()), None)  # raises when the place cannot be listed
        elif self._store.head(self._key) is None:
            raise NotFound(f"{self._store.uri(self._key)}: there is no such file; mend 'from'")

    def discover(self) -> Sequence[Stream]:
        streams: list[Stream] = []
        left: dict[tuple[str | None, str], list[str]] = {}
        formats = self._formats
        owners = {FORMATS[f] for f in formats.values() if f in FORMATS}
        for (name, folder), keys in self._folders.items():
            uri = self._store.uri(keys[0])  # its folder is what matters
            streams.append(Stream(name=folder_stream(name, folder), format=name, uri=uri))
        for key, found in formats.items():
            if is_folder_format(found) and self._key is None:
                continue
            if found in READ or self._key is not None:
                uri = self._store.uri(key)
                streams.append(Stream(name=safe_name(key), format=found or "unknown", uri=uri))
            elif not any(owner.owns(posixpath.basename(key)) for owner in owners):
                left.setdefault((found, posixpath.dirname(key)), []).append(key)
        streams += [self._left(found, folder, keys) for (found, folder), keys in left.items()]
        return streams

    def read(self, stream: str, state: State) -> Iterator[Batch]:
        """See ``Reader.read``.

        Raises:
            InputError: the file as a whole cannot be used; names it, the reason and the next step.
        """
        if stream in self._by_folder_stream:
            yield from self._read_folder(stream, state)
            return
        info = self._info(stream)
        uri = self._store.uri(info.key)
        known = dict(state.get("files", {}).get(info.key, {}))
        found = self._format or self._format_of(info).format
        beside = self._beside(found, posixpath.dirname(info.key))
        options = self._options(beside)
        same_reading = state.get("options") == options
        if same_reading and (known.get("version"), known.get("size")) == (info.version, info.size):
            return
        data = self._store.get(info.key)
        sha256 = hashlib.sha256(data).hexdigest()
        if same_reading and known.get("sha256") == sha256:
            return
        fact = {"version": info.version, "size": len(data), "sha256": sha256}
        after = {"files": {info.key: fact}, "options": options, "format": found}
        items = self._parse(data, found, stream=stream, uri=uri, beside=beside)
        first = True
        while chunk := list(islice(items, BATCH_ROWS)):
            yield self._batch(stream, chunk, after)
            first = False
        if first:
            yield self._batch(stream, [], after)

    def _parse(
        self, data: bytes, found: str | None, *, stream: str, uri: str, beside: Beside = ()
    ) -> Iterator[Record | Rejected]:
        if (known := FORMATS.get(found or "")) is not None:
            return known.read(data, stream=stream, place=uri, beside=beside)
        if table := _TABLES.get(found or ""):
            from trainset.metadata.shapes import read_table

            column = self._media_column
            return read_table(data, table, stream=stream, place=uri, media_column=column)
        raise unknown(uri, found)

    def _read_folder(self, stream: str, state: State) -> Iterator[Batch]:
        """All files of a folder, when one of them changed, came or went; one state for them."""
        name, keys = self._by_folder_stream[stream]
        infos = [self._files[key] for key in keys]
        beside = self._beside(name, posixpath.dirname(keys[0]))
        options = self._options(beside)
        held: Mapping[str, str] = state.get("files", {})
        if state.get("options") == options and not folder_changed(self._store, infos, held):
            return
        facts: dict[str, str] = {}
        items = read_folder(self._store, infos, FORMATS[name], stream, beside, facts)
        while chunk := list(islice(items, BATCH_ROWS)):
            yield self._batch(stream, chunk, {})
        # Only now are all files read: the last batch brings their state.
        yield self._batch(stream, [], {"files": facts, "options": options, "format": name})

    def _options(self, beside: Beside) -> str:
        names = [[name, hashlib.sha256(data).hexdigest()] for name, data in beside]
        return hash128([READING, self._format, self._media_column, *([names] if names else [])])

    def _beside(self, found: str | None, folder: str) -> Beside:
        known = FORMATS.get(found or "")
        if known is None or not known.beside:
            return ()
        if self._key is not None:
            return companions_above(known, (self._store, *self._above))
        inside = companions(known, self._store, self._files, folder)
        return inside or companions_above(known, self._above)

    @cached_property
    def _formats(self) -> dict[str, str | None]:
        """The format of every file."""
        if self._format is not None:
            return said_formats(self._format, self._files, single=self._key is not None)
        return found_formats(self._files, lambda info: self._format_of(info).format)

    @cached_property
    def _folders(self) -> dict[tuple[str, str], list[str]]:
        """Files by folder, of formats that have thousands of them."""
        return {} if self._key is not None else by_folder(self._formats)

    @cached_property
    def _by_folder_stream(self) -> dict[str, tuple[str, list[str]]]:
        return {folder_stream(n, f): (n, keys) for (n, f), keys in self._folders.items()}

    def _batch(self, stream: str, chunk: list[Record | Rejected], state: dict[str, Any]) -> Batch:
        rows = [item for item in chunk if not isinstance(item, Rejected)]
        return Batch(
            records=to_table(rows, source=self._source, stream=stream),
            rejected=tuple(item for item in chunk if isinstance(item, Rejected)),
            state=state,
        )

    @cached_property
    def _files(self) -> dict[str, ObjectInfo]:
        """Files that may be labels, by key."""
        if self._key is not None:
            self.check()
            info = self._store.head(self._key)
            return {self._key: info} if info else {}
        return {
            info.key: info
            for info in self._store.list()
            if extension(info.key) not in EXTENSIONS
            and not any(part.startswith(".") for part in info.key.split("/"))
        }

    def _info(self, stream: str) -> ObjectInfo:
        if stream not in self._by_stream:
            raise NotFound(f"{self._source}: there is no stream {stream!r}; discover lists them")
        return self._by_stream[stream]

    @cached_property
    def _by_stream(self) -> dict[str, ObjectInfo]:
        return {safe_name(key): info for key, info in self._files.items()}

    def _format_of(self, info: ObjectInfo) -> Recognised:
        if self._format is not None:
            return Recognised(format=self._format)
        found = Recognised(format=None, more=True)
        for length in (HEAD_BYTES, MORE_BYTES):
            if found.more:
                head = self._store.get(info.key, length=length)
                found = recognise(head, whole=len(head) >= info.size)
        return found

    def _left(self, found: str | None, folder: str, keys: list[str]) -> Stream:
        kinds = Counter(extension(key) or "no extension" for key in keys)
        listed = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(5))
        what = f"{LATER[found]}, not read by this version" if found in LATER else "no known labels"
        return Stream(
            name=safe_name(f"{folder or '.'}:{found}"),
            format=found or "unknown",
            uri=self._store.uri(keys[0]),
            covers=tuple(map(safe_name, keys)),
            unread=(
                f"{folder or 'top folder'}: {listed} (first {posixpath.basename(keys[0])!r}): "
                f"{what}; trainset reads {SUPPORTED}; point 'from' at the label files alone"
            ),
        )


def open_file_reader(
    source: str,
    place: str,
    *,
    format_: str | None = None,
    media_column: str | None = None,
    credentials: Credentials | None = None,
) -> FileReader:
    """A reader of the file, folder or bucket prefix at ``place``.

    Raises:
        InputError: the place is of no known kind.
    """
    from trainset.stores import open_store

    key: str | None = None
    if "://" not in place:
        path = Path(place).expanduser().absolute()
        if not path.exists():
            raise NotFound(f"{path}: there is no such file or folder; mend 'from' of {source!r}")
        key = path.name if path.is_file() else None
        store = open_store(str(path.parent if key else path))
    else:
        store = open_store(place, credentials)
        parent, _, name = place.rstrip("/").rpartition("/")
        if not parent.endswith(":/"):  # below a bucket: an object, or a prefix of some
            above = open_store(parent, credentials)
            if above.head(name) is not None:
                store, key = above, name
    return FileReader(
        source, store, key=key, format_=format_, media_column=media_column, above=_above(store)
    )


def _above(store: ObjectStore) -> list[ObjectStore]:
    """The three folders over a local store's own: class names often stand beside ``labels``."""
    from trainset.stores import open_store

    if "://" in store.url and not store.url.startswith("file://"):
        return []
    root = Path(store.url.removeprefix("file://"))
    return [open_store(str(folder)) for folder in list(root.parents)[:3] if folder.parent != folder]
