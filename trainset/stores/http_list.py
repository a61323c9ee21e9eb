"""``HttpListStore``: the files behind a list of URLs, as a store to read from."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from trainset.errors import NotFound, TrainsetError
from trainset.stores.atomic import replacing, sweep
from trainset.stores.base import ObjectInfo
from trainset.stores.http_client import HttpClient
from trainset.stores.http_errors import NoSize, Unreachable
from trainset.stores.http_file import HttpFiles, UrlFacts
from trainset.stores.http_ranges import ranges_of
from trainset.stores.keys import check_key
from trainset.stores.local_errors import translated as local_translated
from trainset.stores.tree_walk import EVERYTHING, Watch
from trainset.stores.url_index import UrlIndex
from trainset.stores.url_rows import read_urls
from trainset.stores.urls import Url, parse_url, safe_url

_LOOKS = 16  # files looked at at once
_AHEAD = 64  # files whose facts may wait for their turn
_GIVE_UP = 5  # unreachable files in a row, and the rest of their host is not tried
_KEPT = 4  # indexes a process keeps: each task opens the source anew

_indexes: OrderedDict[tuple[str, str], UrlIndex] = OrderedDict()
_indexes_lock = threading.Lock()

_Look = tuple[str, Url, "Future[UrlFacts]"]


class HttpListStore:
    """Media behind the URLs of a list; keys as in ``urls.parse_url``, ``version`` as ``UrlFacts``.

    Listing asks every server for size and version (16 at once, none of the bytes), so that an
    unchanged file is not fetched again. Nothing is sent to a host but what its URL says.

    Args:
        place: a local file or an http(s) URL: a text file, a line a URL and ``#`` for comments, or
            a table (``url_rows``).
    """

    def __init__(self, place: str, *, client: HttpClient | None = None) -> None:
        self._place = place
        self.url = safe_url(place) if _is_remote(place) else place
        self._files = HttpFiles(client or HttpClient())
        self._opening = threading.Lock()
        self._found: UrlIndex | None = None

    def __repr__(self) -> str:
        return f"HttpListStore({self.url!r})"

    def uri(self, key: str) -> str:
        return safe_url(self._url(key).request)

    def local_path(self, key: str) -> Path | None:
        return None

    def head(self, key: str) -> ObjectInfo | None:
        try:
            return _info(key, self._files.look(self._url(key)))
        except NotFound:
            return None

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        return self._files.client.get(self._url(key), start, length)

    def open(self, key: str) -> BinaryIO:
        return self._files.open(self._url(key), key)

    def pinned_ranges(
        self, key: str, *, size: int, version: str
    ) -> Callable[[int, int], bytes] | None:
        """Reads ranges of one version (start, length); None where the server names no version that
        stands for the very bytes, or sends no ranges."""
        return ranges_of(self._files.client, self._url(key), key, size, version)

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
        """As ``list``, ascending by key, with 64 files' facts in memory at most.

        Refused, before anything is listed: lines that are no URL (``bad-url``), and URLs whose
        key an earlier line has (``duplicate-url``); later files that are not there (``not-found``)
        and endless ones (``no-size``). What else fails is unreadable: a file by its key, and
        ``<host>/`` when a host does not answer five times in a row.
        """
        index = self._index()
        if watch.refused is not None and not start_after:
            for refusal in index.refusals():
                watch.refuse(*refusal)
        failures: Counter[str] = Counter()
        pool = ThreadPoolExecutor(_LOOKS, thread_name_prefix="look")
        waiting: deque[_Look] = deque()
        try:
            for key, text in index.items(prefix, start_after):
                if not watch.takes(key):
                    continue
                url = parse_url(text)
                if failures[url.host] >= _GIVE_UP:
                    continue  # told of as a whole
                waiting.append((key, url, pool.submit(self._files.look, url)))
                if len(waiting) >= _AHEAD:
                    yield from _seen(waiting.popleft(), failures, watch)
            while waiting:
                yield from _seen(waiting.popleft(), failures, watch)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _url(self, key: str) -> Url:
        text = self._index().url(check_key(key))
        if text is None:
            raise NotFound(f"{key!r} is not in the list {self.url}; list it again")
        return parse_url(text)

    def _index(self) -> UrlIndex:
        with self._opening:
            if self._found is None:
                remote = _is_remote(self._place)
                self._found = self._remote_index() if remote else _index_of(self._place)
            return self._found

    def _remote_index(self) -> UrlIndex:
        url = parse_url(self._place)
        name = safe_url(url.request)
        facts = self._files.look(url)

        def fetched() -> UrlIndex:
            handle, path = tempfile.mkstemp(prefix="trainset-list-")
            try:
                with os.fdopen(handle, "wb") as target, self._files.open(url, name) as source:
                    while block := source.read(2**20):
                        target.write(block)
                return _build(Path(path), urlsplit(name).path)
            finally:
                os.unlink(path)

        if facts.version.startswith("size-"):
            return fetched()  # the server names no version: it may be another list
        return _cached((self._place, facts.version), fetched)


def _index_of(place: str) -> UrlIndex:
    with local_translated(place):
        found = os.stat(place)
    token = f"{found.st_size} {found.st_mtime_ns}"
    return _cached((place, token), lambda: _build(Path(place), place))


def _build(path: Path, name: str) -> UrlIndex:
    return UrlIndex(read_urls(path, name), Path(name).name)


def _cached(token: tuple[str, str], build: Callable[[], UrlIndex]) -> UrlIndex:
    with _indexes_lock:
        if token not in _indexes:
            _indexes[token] = build()
            while len(_indexes) > _KEPT:
                _indexes.popitem(last=False)
        _indexes.move_to_end(token)
        return _indexes[token]


def _seen(look: _Look, failures: Counter[str], watch: Watch) -> Iterator[ObjectInfo]:
    """One file's info when it has one; else somebody is told."""
    key, url, future = look
    try:
        facts = future.result()
    except (NotFound, NoSize) as err:
        watch.refuse(key, err.kind, str(err))
    except TrainsetError as err:
        if watch.unreadable is None:
            raise
        if failures[url.host] >= _GIVE_UP:
            return  # it was under way when the host was given up: told of as a whole
        failures[url.host] = failures[url.host] + 1 if isinstance(err, Unreachable) else 0
        if failures[url.host] == _GIVE_UP:
            watch.unreadable(f"{url.host}/", f"{err}; {_GIVE_UP} files in a row failed so")
        else:
            watch.unreadable(key, str(err))
        return
    else:
        yield _info(key, facts)
    if failures[url.host] < _GIVE_UP:
        failures[url.host] = 0


def _info(key: str, facts: UrlFacts) -> ObjectInfo:
    return ObjectInfo(key=key, size=facts.size, version=facts.version, modified=facts.modified)


def _is_remote(place: str) -> bool:
    return place.lower().startswith(("http://", "https://"))
