"""What a store holds under each key, with all its versions where it keeps any; and reading one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from trainset.errors import InputError
from trainset.stores.base import ReadStore
from trainset.stores.s3_errors import translated

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

_PIECE = 4 * 2**20


class Version(NamedTuple):
    """One version; ``size`` in bytes. A folder has neither id nor ETag."""

    size: int
    etag: str | None
    version_id: str | None


class Held(NamedTuple):
    """One key; ``versions`` newest first. ``hidden``: a delete marker is the newest of all."""

    key: str
    versions: tuple[Version, ...]
    hidden: bool = False


def list_held(store: ReadStore, prefix: str, start_after: str = "") -> Iterator[Held]:
    """Keys with ``prefix`` after ``start_after``, ascending; one page or one key in memory.

    A bucket that refuses to list versions is listed without them.
    """
    from trainset.stores.s3 import S3Store

    if isinstance(store, S3Store):
        pages = _pages(store, prefix, start_after)
        try:
            first = next(pages, [])
        except InputError:  # no versions here, or none that this key may see
            yield from _current(store, prefix, start_after, with_etag=True)
            return
        yield from _grouped(first, pages, len(store.root))
    else:
        yield from _current(store, prefix, start_after, with_etag=False)


def hash_object(store: ReadStore, key: str, version_id: str | None = None) -> tuple[int, str]:
    """Size and sha256 of an object, or of one version of it, read to its end.

    Raises:
        NotFound, AccessDenied, InputError, TransientError: of the store.
    """
    from trainset.stores.s3 import S3Store

    if version_id is not None and isinstance(store, S3Store):
        return _hash_version(store, key, version_id)
    with store.open(key) as stream:
        return _hash(stream)


def _hash_version(store: S3Store, key: str, version_id: str) -> tuple[int, str]:
    def attempt() -> tuple[int, str]:
        body = store.named("get_object", key, VersionId=version_id)["Body"]
        try:
            with translated("get", key=key, bucket=store.bucket, endpoint=store.endpoint):
                return _hash(body)
        finally:
            body.close()

    return store.request("get", key, attempt)


def _hash(stream: Any) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while piece := stream.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _current(store: ReadStore, prefix: str, start_after: str, *, with_etag: bool) -> Iterator[Held]:
    for info in store.list(prefix, start_after=start_after):
        version = Version(info.size, info.version if with_etag else None, None)
        yield Held(info.key, (version,))


# (key, whether it is the latest, version or None for a delete marker)
_Entry = tuple[str, bool, Version | None]


def _pages(store: S3Store, prefix: str, start_after: str) -> Iterator[list[_Entry]]:
    """Versions and delete markers, in the order of keys."""
    query = {"Bucket": store.bucket, "Prefix": store.root + prefix}
    if start_after:
        query["KeyMarker"] = store.root + start_after
    more = True
    while more:
        page = store.request("list", prefix, lambda: store.client.list_object_versions(**query))
        found: list[_Entry] = [
            (v["Key"], v["IsLatest"], Version(v["Size"], v["ETag"].strip('"'), _id(v)))
            for v in page.get("Versions", ())
        ]
        found += [(m["Key"], m["IsLatest"], None) for m in page.get("DeleteMarkers", ())]
        # Two lists, each in order; a stable sort keeps the newest version of a key first.
        yield sorted(found, key=lambda entry: entry[0].encode("utf-8", "surrogatepass"))
        more = page["IsTruncated"]
        if more:
            query["KeyMarker"] = page["NextKeyMarker"]
            query["VersionIdMarker"] = page["NextVersionIdMarker"]


def _id(version: dict[str, Any]) -> str | None:
    found = version.get("VersionId")
    return None if found in (None, "null") else str(found)


def _grouped(first: list[_Entry], pages: Iterator[list[_Entry]], root: int) -> Iterator[Held]:
    def entries() -> Iterator[_Entry]:
        yield from first
        for page in pages:
            yield from page

    for name, group in groupby(entries(), key=lambda entry: entry[0]):
        versions, hidden = [], False
        for _, latest, version in group:
            if version is not None:
                versions.append(version)
            else:
                hidden = hidden or latest
        yield Held(name[root:], tuple(versions), hidden)
