"""``S3Store``: a bucket prefix as an object store, with the settings that Backblaze B2 needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from trainset.errors import NotFound, StaleSignature
from trainset.model import Credentials, StoreOptions
from trainset.stores.base import ObjectInfo, PartLog
from trainset.stores.clock import clock_of
from trainset.stores.endpoint import normal_endpoint, region_of
from trainset.stores.keys import check_key
from trainset.stores.local_errors import translated as local_translated
from trainset.stores.parts import MULTIPART_BYTES
from trainset.stores.retry import Retrier
from trainset.stores.s3_copy import copy_object
from trainset.stores.s3_errors import translated
from trainset.stores.s3_get import fetch_object, get_bytes, open_object
from trainset.stores.s3_list import ObjectVersion, iter_versions, list_objects, list_versions
from trainset.stores.s3_pool import Workers
from trainset.stores.s3_protect import Protector
from trainset.stores.s3_put import put_bytes, put_open_file, server_checks_sha256
from trainset.stores.s3_ranges import ReadRange, upload_ranges
from trainset.stores.seam import Seam
from trainset.stores.sender import known_version
from trainset.stores.sender_choice import make_sender
from trainset.stores.throttle import shared_gate

T = TypeVar("T")


class S3Store:
    """Bytes in one bucket, below ``prefix``; ``version`` is the ETag. Safe to share by threads.

    Args:
        prefix: without slashes at its ends; "" for the whole bucket.
        retrier: budget of each request; also the pause that all threads keep when throttled.
        options: sender, limits and protection.
        multipart_bytes: files of this size and more go in parts (B2 advises a single PUT up to
            100 MB).
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        credentials: Credentials,
        *,
        retrier: Retrier | None = None,
        multipart_bytes: int = MULTIPART_BYTES,
        options: StoreOptions | None = None,
    ) -> None:
        self.bucket, self.prefix = bucket, prefix
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self.endpoint = normal_endpoint(credentials.endpoint)
        self.clock = clock_of(self.endpoint)
        self._credentials = credentials
        self.options = options or StoreOptions()
        self.protector = Protector(self.options.protection, credentials)
        self.workers = Workers()
        self.root = f"{prefix}/" if prefix else ""
        self._retrier = retrier or Retrier(
            gate=shared_gate(self.endpoint, credentials.key_id, self.options), renew=self._renew
        )
        pace = self._retrier.gate.pace
        self.sender = make_sender(
            self.options.sender, lambda: self.client, credentials, bucket, pace
        )
        self.multipart_bytes = multipart_bytes

    @cached_property
    def client(self) -> Any:
        """boto3's, for all requests but those that carry bytes."""
        from trainset.stores.s3_client import make_client  # late: boto3 costs a quarter of a second

        return make_client(self._credentials)

    @property
    def key_id(self) -> str:
        return self._credentials.key_id

    def __repr__(self) -> str:
        return f"S3Store({self.url!r}, endpoint={self.endpoint!r})"

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.full_key(key)}"

    def full_key(self, key: str) -> str:
        """The object's name in the bucket."""
        return self.root + check_key(key)

    def local_path(self, key: str) -> Path | None:
        return None

    def storage_options(self) -> dict[str, str]:
        return {
            "aws_access_key_id": self._credentials.key_id,
            "aws_secret_access_key": self._credentials.application_key.get_secret_value(),
            "aws_endpoint": self.endpoint,
            "aws_region": region_of(self.endpoint),
            "aws_virtual_hosted_style_request": "false",
            "allow_http": "true" if self.endpoint.startswith("http://") else "false",
        }

    def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo | None:
        which = {} if version_id is None else {"VersionId": version_id}
        try:
            reply = self.request("head", key, lambda: self.named("head_object", key, **which))
        except NotFound:
            return None
        return ObjectInfo(
            key=key,
            size=reply["ContentLength"],
            version=reply["ETag"].strip('"'),
            version_id=known_version(reply.get("VersionId")),
            modified=reply["LastModified"],
            sha256=reply.get("Metadata", {}).get("sha256"),
        )

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        return get_bytes(self, key, start, length, None)

    def open(self, key: str) -> BinaryIO:
        return open_object(self, self._retrier, key, None)

    def put(
        self, key: str, data: bytes, *, sha256: str | None = None, content_type: str | None = None
    ) -> ObjectInfo:
        return put_bytes(self, key, data, sha256, content_type)

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        sha256: str | None = None,
        content_type: str | None = None,
        part_hashes: Sequence[str] = (),
        parts: PartLog | None = None,
    ) -> ObjectInfo:
        with local_translated(f"{self.uri(key)} (from {path})"), open(path, "rb") as source:
            return put_open_file(self, key, source, sha256, content_type, part_hashes, parts)

    def put_ranges(
        self,
        key: str,
        size: int,
        read_range: ReadRange,
        *,
        content_type: str | None = None,
        parts: PartLog | None = None,
    ) -> tuple[ObjectInfo, str]:
        """Store ``size`` bytes that ``read_range(start, length)`` reads; with their sha256.

        For large objects from a network source: at most four parts are held in memory, nothing on
        disk. ``read_range`` is called by several threads, and must read one version of the source.
        The key must be new: the object bears no sha256, which is known only at the end.
        """
        return upload_ranges(self, key, size, read_range, content_type, parts)

    def copy_from(
        self,
        key: str,
        source: S3Store,
        path: str,
        *,
        etag: str,
        version_id: str | None = None,
        size: int,
        sha256: str | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        """Let the store copy ``path`` of ``source``: no byte comes here. See ``same_endpoint``.

        Args:
            sha256, content_type: what the copy's metadata say; without ``sha256`` the source's own
                metadata come along.
        Raises:
            SourceChanged: the source is no longer the version of ``etag``.
        """
        return copy_object(self, key, source, path, etag, version_id, size, sha256, content_type)

    def fetch_file(
        self, key: str, path: Path, *, sha256: str | None = None, durable: bool = True
    ) -> None:
        fetch_object(self, key, path, durable, sha256)

    def delete(self, key: str) -> None:
        self.request("delete", key, lambda: self.named("delete_object", key))

    def iter_versions(self, prefix: str = "") -> Iterator[tuple[str, ObjectVersion]]:
        """Versions of all keys below ``prefix``, by key, newest first; in constant memory.

        Delete markers are not shown: no version of a key that was deleted is the latest.
        """
        return iter_versions(self, prefix)

    def list_versions(self, key: str) -> list[ObjectVersion]:
        """All versions of one key, oldest first, without hide markers; [] when it never was."""
        return list_versions(self, key)

    def get_version(self, key: str, version_id: str) -> bytes:
        """The bytes of one version of a key. Raises NotFound."""
        return get_bytes(self, key, 0, None, version_id)

    def delete_version(self, key: str, version_id: str) -> None:
        """Remove one version of a key for good. Raises AccessDenied where the key may not."""
        self.request("delete", key, lambda: self.named("delete_object", key, VersionId=version_id))

    def open_version(self, key: str, version_id: str) -> BinaryIO:
        """As ``open``, of one version of a key."""
        return open_object(self, self._retrier, key, version_id)

    @cached_property
    def checks_sha256(self) -> bool:
        """Whether the server compares the signed sha256 with the bytes; asked once a store."""
        return server_checks_sha256(self)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        return list_objects(self, prefix, start_after)

    def request(
        self,
        what: str,
        key: str,
        send: Callable[[], T],
        *,
        found: Callable[[], T | None] | None = None,
    ) -> T:
        """Run one request with our errors and retries; ``found`` as in ``Retrier.call``."""

        def attempt() -> T:
            try:
                with self.errors(what, key):
                    return send()
            except StaleSignature as err:
                self.clock.learn(err.server_time)
                raise

        return self._retrier.call(attempt, found=found)

    def errors(self, what: str, key: str) -> Seam:
        """Turns errors of one request into ours."""
        return translated(what, key=key, bucket=self.bucket, endpoint=self.endpoint)

    def stored(self, key: str, size: int, sha256: str) -> ObjectInfo | None:
        """The object if it holds just these bytes: the answer when a reply was lost."""
        info = self.head(key)
        return info if info and (info.size, info.sha256) == (size, sha256) else None

    def named(self, operation: str, key: str, **arguments: Any) -> Any:
        if operation in ("head_object", "get_object"):
            arguments = {**self.protector.read(), **arguments}
        return getattr(self.client, operation)(
            Bucket=self.bucket, Key=self.full_key(key), **arguments
        )

    def _renew(self) -> None:
        """Drop idle connections: the next may lead to a part of the store that works."""
        self.sender.close()
        if "client" in self.__dict__:
            self.client.close()


def same_endpoint(a: S3Store, b: S3Store) -> bool:
    """Whether one key reaches both stores, so that one can copy from the other."""
    return (a.endpoint, a.key_id) == (b.endpoint, b.key_id)
