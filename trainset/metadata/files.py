"""``FileReader``: label files of one place, one stream a file, or a folder of small files.

A file is read when its version or size differs from the state's, and handed on when its content
does too: a touched file is the same file. It is read whole, and its rows replace its stream's.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from trainset.errors import NotFound
from trainset.metadata.at_hand import at_hand, sha256_of
from trainset.metadata.base import Batch, State, Stream
from trainset.metadata.formats.packing import unpacked
from trainset.metadata.labels.companions import Companions
from trainset.metadata.labels.folders import (
    Folder,
    by_folder,
    found_formats,
    is_folder_format,
    read_folder,
    said_formats,
)
from trainset.metadata.labels.registry import FORMATS
from trainset.metadata.names import EXTENSIONS, extension, safe_name
from trainset.metadata.reading import TableOptions, format_inside, read_file
from trainset.metadata.recognise import (
    ASIDE,
    HEAD_BYTES,
    LATER,
    MORE_BYTES,
    READ,
    SUPPORTED,
    Recognised,
    recognise,
)
from trainset.metadata.records import RECORDS
from trainset.metadata.table_records import Part
from trainset.stores.base import ObjectInfo, ReadStore

READING = 2  # goes up when a file is read into other records than before


class FileReader:
    """Reads the label files (``recognise.READ``) of a folder, a bucket prefix, or one file.

    In a folder, media are passed over, and files in no known format are listed as streams that say
    why they are not read. Files whose name starts with a dot are nobody's labels.

    Args:
        source: the ``metadata:`` entry's name.
        store: holds the files.
        key: the one file to read; None: all files of the store.
        format_: said by the user; None: recognised by content.
        options: said by the user, of tables.
        above: the folders over the store's, nearest first, where class names may stand.
    """

    def __init__(
        self,
        source: str,
        store: ReadStore,
        *,
        key: str | None = None,
        format_: str | None = None,
        options: TableOptions | None = None,
        above: Sequence[ReadStore] = (),
    ) -> None:
        self._source, self._store, self._key = source, store, key
        self._above = above
        self._format, self._said = format_, options or TableOptions()

    def spec(self) -> Mapping[str, Any]:
        return {
            "type": "object",
            "properties": {
                "format": {"enum": [*READ, None]},
                "media_column": {"type": ["string", "null"]},
                "sheet": {"type": ["string", "null"]},
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
        for folder in self._folders.values():
            uri = self._store.uri(folder.infos[0].key)  # its folder is what matters
            streams.append(Stream(name=folder.stream, format=folder.format.name, uri=uri))
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
        if (folder := self._folders.get(stream)) is not None:
            options = self._options(folder.format.name, folder.path)
            yield from read_folder(self._store, folder, self._source, options, state)
            return
        info = self._info(stream)
        known = state.get("files", {}).get(info.key, {})
        found = self._format or self._format_of(info).format
        options = self._options(found, posixpath.dirname(info.key))
        same_reading = state.get("options") == options.name
        if same_reading and (known.get("version"), known.get("size")) == (info.version, info.size):
            return
        uri = self._store.uri(info.key)
        with at_hand(self._store, info) as path:
            sha256, size = sha256_of(path, uri)
            if same_reading and known.get("sha256") == sha256:
                return
            fact = {"version": info.version, "size": size, "sha256": sha256}
            fact["modified"] = info.modified.isoformat()
            with unpacked(path, uri) as plain:
                found = found if self._format else format_inside(plain, found)
                after = {"files": {info.key: fact}, "options": options.name, "format": found}
                parts = read_file(
                    plain,
                    found,
                    source=self._source,
                    stream=stream,
                    place=uri,
                    options=self._said,
                    beside=options.beside,
                )
                some = False
                for part in parts:
                    yield _batch(part, after)
                    some = True
                if not some:
                    yield Batch(records=RECORDS.empty_table(), state=after)

    def _options(self, found: str | None, folder: str) -> Companions:
        """What the records depend on besides the file."""
        known = FORMATS.get(found or "")
        inside = None if self._key is not None else self._files
        said = [READING, self._format, self._said.media_column]
        said += [self._said.sheet] if self._said.sheet else []
        return Companions.find(known, self._store, self._above, inside, folder, said)

    @cached_property
    def _formats(self) -> dict[str, str | None]:
        """The format of every file."""
        if self._format is not None:
            return said_formats(self._format, self._files, single=self._key is not None)
        return found_formats(self._files, lambda info: self._format_of(info).format)

    @cached_property
    def _folders(self) -> dict[str, Folder]:
        """Folders of files in formats that have thousands of them, by stream."""
        if self._key is not None:
            return {}
        return {f.stream: f for f in by_folder(self._formats, self._files)}

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
        what = ASIDE.get(found or "", what)
        return Stream(
            name=safe_name(f"{folder or '.'}:{found or 'unknown'}"),
            format=found or "unknown",
            uri=self._store.uri(keys[0]),
            covers=tuple(map(safe_name, keys)),
            unread=(
                f"{folder or 'top folder'}: {listed} (first {posixpath.basename(keys[0])!r}): "
                f"{what}; trainset reads {SUPPORTED}; point 'from' at the label files alone"
            ),
        )


def _batch(part: Part, state: dict[str, Any]) -> Batch:
    return Batch(records=part.records, rejected=tuple(part.rejected), state=state)
