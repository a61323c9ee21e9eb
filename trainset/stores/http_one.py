"""``HttpFileStore``: one file on a web server, as a store that holds it alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from trainset.errors import NotFound
from trainset.stores.atomic import replacing, sweep
from trainset.stores.base import ObjectInfo
from trainset.stores.http_client import HttpClient
from trainset.stores.http_file import HttpFiles
from trainset.stores.local_errors import translated
from trainset.stores.urls import Url, parse_url, safe_url


class HttpFileStore:
    """The file behind one http(s) URL; its key is its name, ``version`` as ``UrlFacts``.

    Raises:
        InputError: it is no such URL; the text shows no secret.
    """

    def __init__(self, url: str, *, client: HttpClient | None = None) -> None:
        self._target = parse_url(url)
        self.url = safe_url(self._target.request)
        self.key = self._target.key.rpartition("/")[2]
        self._files = HttpFiles(client or HttpClient())

    def __repr__(self) -> str:
        return f"HttpFileStore({self.url!r})"

    def uri(self, key: str) -> str:
        return safe_url(self._of(key).request)

    def local_path(self, key: str) -> Path | None:
        return None

    def head(self, key: str) -> ObjectInfo | None:
        if key != self.key:
            return None  # a web server is not asked for what nobody named
        try:
            facts = self._files.look(self._target)
        except NotFound:
            return None
        return ObjectInfo(key=key, size=facts.size, version=facts.version, modified=facts.modified)

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        return self._files.client.get(self._of(key), start, length)

    def open(self, key: str) -> BinaryIO:
        return self._files.open(self._of(key), key)

    def fetch_file(self, key: str, path: Path, *, durable: bool = True) -> None:
        with self.open(key) as source, translated(f"{path} (from {self.uri(key)})"):
            sweep(path.parent)
            with replacing(path, durable=durable) as handle:
                while block := source.read(8 * 2**20):
                    handle.write(block)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        if self.key.startswith(prefix) and self.key > start_after:
            info = self.head(self.key)
            yield from () if info is None else (info,)

    def _of(self, key: str) -> Url:
        if key != self.key:
            raise NotFound(f"{key!r} is not at {self.url}, which is one file; mend the path")
        return self._target
