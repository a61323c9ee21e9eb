"""``FsspecStore``: whatever fsspec has a driver for, as a store to read from."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import fsspec

from trainset.errors import InputError, NotFound, SourceChanged, TrainsetError, TransientError
from trainset.stores.atomic import replacing, sweep
from trainset.stores.base import ObjectInfo
from trainset.stores.fsspec_drivers import check_driver, reads_ranges
from trainset.stores.fsspec_errors import translated
from trainset.stores.fsspec_info import kind_of, object_info
from trainset.stores.keys import check_key
from trainset.stores.local_errors import translated as local_translated
from trainset.stores.resume import Stream, resuming
from trainset.stores.retry import Retrier
from trainset.stores.tree_walk import EVERYTHING, OpenFolder, Watch, walk_tree
from trainset.stores.urls import safe_url

T = TypeVar("T")


class FsspecStore:
    """Files of a cloud, a server or an archive, below the url; ``version`` as ``object_info``.

    Safe for threads: each has a driver of its own, because many of them hold one connection. A
    driver that broke is made anew. Logins come from the driver's own places, from fsspec's
    configuration (``FSSPEC_<SCHEME>_<OPTION>``) or the url, never from the home's credentials.

    Args:
        url: any fsspec url, chained ones too (``zip://inner::file:///a.zip``).
        retrier: budget of each request.
    Raises:
        MissingDriver: names the package to install.
        InputError: fsspec does not know the scheme.
    """

    def __init__(self, url: str, *, retrier: Retrier | None = None) -> None:
        check_driver(url)
        self._given = url
        self.url = re.sub(r"(?<![:/])/+$", "", safe_url(url))
        self._retrier = retrier or Retrier(attempts=4, cap_s=8.0)
        self._own = threading.local()

    def __repr__(self) -> str:
        return f"FsspecStore({self.url!r})"

    def uri(self, key: str) -> str:
        first, chain, rest = self.url.partition("::")
        slash = "" if first.endswith("/") else "/"
        return f"{first}{slash}{check_key(key)}{chain}{rest}"

    def local_path(self, key: str) -> Path | None:
        return None

    def head(self, key: str) -> ObjectInfo | None:
        try:
            return self._call(key, partial(self._look, key))
        except NotFound:
            return None

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        end = None if length is None else start + length
        if start or length is not None:  # drivers differ in what they do past the end
            size = self._need(key).size
            if start >= size or length == 0:
                return b""
            end = min(size, size if end is None else end)
        data: bytes = self._call(
            key, lambda fs, path: fs.cat_file(path, start=start or None, end=end)
        )
        return data

    def open(self, key: str) -> BinaryIO:
        first = self._need(key)
        return resuming(partial(self._open_at, key, first), self._retrier.call)

    def pinned_ranges(
        self, key: str, *, size: int, version: str
    ) -> Callable[[int, int], bytes] | None:
        """Reads ranges (start, length) of a file whose driver has them; else None.

        No driver pins a version: look at the file again when all is read.
        """
        if not reads_ranges(self._given, version):
            return None

        def read_range(start: int, length: int) -> bytes:
            data: bytes = self._call(
                key, lambda fs, path: fs.cat_file(path, start=start, end=start + length)
            )
            if len(data) != length:
                raise SourceChanged(key)
            return data

        return read_range

    def fetch_file(self, key: str, path: Path, *, durable: bool = True) -> None:
        with self.open(key) as source, local_translated(f"{path} (from {self.uri(key)})"):
            sweep(path.parent)
            with replacing(path, durable=durable) as handle:
                while block := source.read(8 * 2**20):
                    handle.write(block)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        return self.walk(prefix, start_after=start_after)

    def walk(
        self, prefix: str = "", *, start_after: str = "", watch: Watch = EVERYTHING
    ) -> Iterator[ObjectInfo]:
        """As ``list``; memory grows with the largest folder, not with the number of files.

        Refused: ``special-file``, ``linked-folder`` (it may lead in circles), ``bad-name`` and
        ``no-size``. A folder that cannot be listed is unreadable.

        Raises:
            NotFound: the root is not there.
        """
        folder: OpenFolder[Mapping[str, Any]] = partial(self._folder, watch)
        for key, info in walk_tree(folder, prefix, start_after, watch):
            found = self._listed(key, info, watch)
            if found is not None:
                yield found

    def _folder(self, watch: Watch, folder: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
        try:
            listed = self._call(folder, lambda fs, path: (path, fs.ls(path, detail=True)))
        except NotFound:
            if not folder:
                raise
            return []  # removed while we walked
        except TrainsetError as err:
            if not folder or watch.unreadable is None:
                raise
            watch.unreadable(folder, str(err))
            return []
        path, entries = listed
        found = {}
        for info in entries:
            name = str(info["name"]).rstrip("/")
            if name.strip("/") == path.strip("/"):
                if not folder and kind_of(info) == "file":
                    raise InputError(f"{self.url} is a file; name the folder that it is in")
                continue  # the folder itself, which some drivers list too
            name = name.rpartition("/")[2]
            if name in ("", ".", "..") or not _is_unicode(name):
                shown = folder + name.encode("utf-8", "backslashreplace").decode()
                watch.refuse(
                    shown, "bad-name", f"{shown!r} in {self.url} is no name for a key; rename it"
                )
                continue
            found[name + ("/" if kind_of(info) == "folder" else "")] = info
        return sorted(found.items(), key=lambda item: item[0])

    def _listed(self, key: str, info: Mapping[str, Any], watch: Watch) -> ObjectInfo | None:
        if kind_of(info) == "link":
            try:
                info = self._call(key, lambda fs, path: fs.info(path))
            except NotFound:
                info = {**info, "type": "file"}  # to nothing: it is not overlooked
        kind = kind_of(info)
        if kind == "folder":
            reason = "is a link to a folder, which is not followed; add that folder as a source"
            watch.refuse(key, "linked-folder", f"{self.uri(key)} {reason}")
        elif kind != "file":
            reason = "is no file (a device, a link to a link); move it away or exclude it"
            watch.refuse(key, "special-file", f"{self.uri(key)} {reason}")
        elif (found := object_info(key, info)) is None:
            reason = "has no size that the driver knows; exclude it"
            watch.refuse(key, "no-size", f"{self.uri(key)} {reason}")
        else:
            return found
        return None

    def _look(self, key: str, fs: Any, path: str) -> ObjectInfo:
        info = fs.info(path)
        found = object_info(key, info) if kind_of(info) != "folder" else None
        if found is None:
            raise NotFound(f"{self.uri(key)} is no file; name a file")
        return found

    def _need(self, key: str) -> ObjectInfo:
        return self._call(key, partial(self._look, key))

    def _open_at(self, key: str, first: ObjectInfo, start: int) -> Stream:
        fs, path = self._driver(key)
        with self._errors(key):
            now = first if start == 0 else self._look(key, fs, path)
            if (now.size, now.version) != (first.size, first.version):
                raise SourceChanged(key)
            handle = fs.open(path, "rb")
            if start:
                handle.seek(start)
        return _FsspecStream(handle, first.size, partial(self._errors, key))

    def _call(self, key: str, request: Callable[[Any, str], T]) -> T:
        def attempt() -> T:
            fs, path = self._driver(key)
            with self._errors(key):
                return request(fs, path)

        return self._retrier.call(attempt)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            with translated(self.uri(key) if key else self.url):
                yield
        except TransientError:
            self._own.__dict__.pop("fs", None)  # its connection may be broken
            raise

    def _driver(self, key: str) -> tuple[Any, str]:
        """This thread's driver, and its path of a key ("" for the root)."""
        path = check_key(key) if key else ""
        if not hasattr(self._own, "fs"):
            with translated(self.url):
                fs, root = fsspec.core.url_to_fs(self._given, skip_instance_cache=True)
            if hasattr(fs, "dircache"):
                fs.dircache.use_listings_cache = False  # a listing is of now, and is not kept
            self._own.fs, self._own.root = fs, root
        root = self._own.root
        if not path:
            return self._own.fs, root
        return self._own.fs, f"{root.rstrip('/')}/{path}".removesuffix("/") if root else path


class _FsspecStream:
    """The rest of a file, as ``resume.Stream``."""

    def __init__(
        self, handle: Any, size: int, errors: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.size: int | None = size
        self._handle, self._errors = handle, errors

    def read(self, size: int) -> bytes:
        with self._errors():
            data: bytes = self._handle.read(size)
            return data

    def close(self) -> None:
        self._handle.close()


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
