"""Copies that the store makes itself, where one key reaches source and place."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from trainset.errors import InputError, NotFound, SourceChanged, StoreFull
from trainset.stores.base import ReadStore
from trainset.stores.pinned import Pinned
from trainset.transfer.base import SourceFile
from trainset.transfer.deliver import Put, errors_of
from trainset.transfer.places import Held, Place
from trainset.transfer.read import check_unchanged

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

COPIED = "copied by the store itself"

_log = logging.getLogger(__name__)


class CopyRefused(Exception):
    """The store makes no such copy (its rights, say): the bytes must go through this machine."""


class ServerCopier:
    """Threads share it; a way that was refused once is not tried again."""

    def __init__(self) -> None:
        self._refused: set[tuple[str, str]] = set()  # (source, prefix of the place)

    def can(self, file: SourceFile, source: ReadStore, place: Place) -> bool:
        """Whether it is worth a try."""
        if not (source.url.startswith("s3://") and place.store.url.startswith("s3://")):
            return False
        from trainset.stores.s3 import S3Store, same_endpoint  # late: boto3 comes with it

        if not (isinstance(source, S3Store) and isinstance(place.store, S3Store)):
            return False
        return (file.source, place.prefix) not in self._refused and same_endpoint(
            source, place.store
        )

    def copy(
        self,
        file: SourceFile,
        source: ReadStore,
        found: Pinned,
        place: Place,
        sha256: str,
        mime: str | None,
    ) -> Put:
        """Copy the version ``found``, whose bytes are ``sha256``; ``can`` said that it may go.

        The copy's metadata name the sha256, and it has the size that was listed: looked up.

        Raises:
            CopyRefused, SourceChanged, HomeBusy, StoreFull.
        """
        key = place.key(sha256)
        target, origin = cast("S3Store", place.store), cast("S3Store", source)
        pinned = None if found.pin.startswith("etag:") else found.pin
        try:
            with errors_of(place):
                try:
                    info = target.copy_from(
                        key,
                        origin,
                        file.path,
                        etag=found.info.version,
                        version_id=pinned,
                        size=file.size,
                        sha256=sha256,
                        content_type=mime,
                    )
                except (SourceChanged, StoreFull):
                    raise
                except InputError as err:
                    raise CopyRefused from err
        except CopyRefused as err:
            if isinstance(err.__cause__, NotFound):
                check_unchanged(file, source)
            self._refused.add((file.source, place.prefix))
            _log.warning(
                "the store does not copy from %s to %s (%s); the files are read and sent instead",
                source.url,
                place.store.url,
                err.__cause__,
            )
            raise
        return Put(Held.of(place.uri(key), info), 0, COPIED)
