"""Object stores: a folder or an S3-compatible bucket behind one protocol (see ``base``)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from trainset.errors import AccessDenied, InputError
from trainset.model import Credentials, StoreOptions
from trainset.stores.base import ObjectInfo, ObjectStore, ReadStore

__all__ = [
    "ObjectInfo",
    "ObjectStore",
    "ReadStore",
    "check_adoptable",
    "credentials_from_environment",
    "open_source",
    "open_store",
]

_VARIABLES = ("B2_KEY_ID", "B2_APPLICATION_KEY", "TRAINSET_S3_ENDPOINT")


def open_store(
    url: str, credentials: Credentials | None = None, options: StoreOptions | None = None
) -> ObjectStore:
    """Open the store at a folder path, ``file://…``, ``s3://bucket/prefix`` or ``b2://…``.

    Nothing is created and no request is made: a folder or bucket that is not there is reported
    by the first call that needs it.

    Args:
        credentials: of the bucket; None: from ``B2_KEY_ID``, ``B2_APPLICATION_KEY`` and
            ``TRAINSET_S3_ENDPOINT``. A folder needs none.
        options: how a bucket is used; None: the defaults. A folder heeds none.
    Raises:
        InputError: the url is of no known kind.
        AccessDenied: a bucket, and no credentials; names the missing variables.
    """
    scheme = _scheme(url)
    if scheme in ("", "file"):
        from trainset.stores.local import LocalStore

        return LocalStore(_local_place(url))
    if scheme in ("s3", "b2"):
        bucket, _, prefix = url.split("://", 1)[1].partition("/")
        if not bucket:
            raise InputError(f"{url!r} names no bucket; write {scheme}://bucket/prefix")
        from trainset.stores.s3 import S3Store

        return S3Store(
            bucket,
            prefix.strip("/"),
            credentials or credentials_from_environment(),
            options=options or StoreOptions(),
        )
    raise InputError(
        f"stores of kind {scheme!r} are not known; "
        "write a folder, s3://bucket/prefix or b2://bucket/prefix"
    )


def credentials_from_environment() -> Credentials:
    """The bucket's credentials, and ``TRAINSET_SSE_C_KEY`` if it is set.

    Raises:
        AccessDenied: names the variables that are not set.
    """
    values = [os.environ.get(name, "") for name in _VARIABLES]
    missing = [name for name, value in zip(_VARIABLES, values, strict=True) if not value]
    if missing:
        raise AccessDenied(
            f"no credentials for the bucket: set {', '.join(missing)} "
            "(the endpoint reads https://s3.<region>.backblazeb2.com, see the bucket's page)"
        )
    own = os.environ.get("TRAINSET_SSE_C_KEY")
    return Credentials(
        key_id=values[0],
        application_key=SecretStr(values[1]),
        endpoint=values[2],
        customer_key=SecretStr(own) if own else None,
    )


def open_source(
    url: str, credentials: Credentials | None = None, options: StoreOptions | None = None
) -> ReadStore:
    """Open a place that media come from; as ``open_store``, and more kinds, to read only.

    Also opened: a list of URLs (a local file, or at an http(s) URL, that ends in .txt, .csv, .tsv,
    .jsonl or .parquet), and every url that fsspec has a driver for (gs, abfs, hdfs, sftp, …).

    Args:
        credentials, options: of a bucket at s3:// or b2://; no other kind gets them.
    Raises:
        InputError: the url is of no known kind; names those that are.
        MissingExtra: names the package that the kind needs.
    """
    from trainset.stores.url_rows import ending

    scheme = _scheme(url)
    if scheme in ("http", "https"):
        from trainset.stores.http_list import HttpListStore
        from trainset.stores.urls import safe_url

        if ending(urlsplit(url).path) is None:
            raise InputError(
                f"{safe_url(url)!r} is no list of URLs; an http(s) source ends in .txt, .csv, "
                ".tsv, .jsonl or .parquet, and holds a URL a line or a column 'url'"
            )
        return HttpListStore(url)
    if scheme in ("", "file") and ending(url) is not None:
        place = _local_place(url)
        if not place.is_dir():
            from trainset.stores.http_list import HttpListStore

            return HttpListStore(str(place))
    if scheme in ("", "file", "s3", "b2"):
        return open_store(url, credentials, options)
    from trainset.stores.fsspec_store import FsspecStore

    return FsspecStore(url)


def _scheme(url: str) -> str:
    """The scheme, of a chain the first; "" of a path."""
    # Not urlsplit first: a folder may be called "a:b" or hold "?" and "#".
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)(::[A-Za-z][A-Za-z0-9+.:-]*)?://", url)
    return match[1].lower() if match else ""


def _local_place(url: str) -> Path:
    place = unquote(urlsplit(url).path) if _scheme(url) else url
    if not place:
        raise InputError(f"{url!r} names no folder; write a path, e.g. /data/photos")
    return Path(place).expanduser().absolute()


def check_adoptable(store: ReadStore) -> None:
    """Refuse a bucket that may delete what reference mode pins; see ``s3_adoptable``."""
    if store.url.startswith("s3://"):
        from trainset.stores import s3_adoptable  # late: boto3 comes with it

        s3_adoptable.check_adoptable(store)
