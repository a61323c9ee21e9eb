"""Which kinds of sources fsspec can open here, and what is missing for the others."""

from __future__ import annotations

import re

import fsspec
from fsspec.registry import known_implementations

from trainset.errors import InputError
from trainset.stores.fsspec_errors import MissingDriver
from trainset.stores.urls import safe_url

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?=::|://)")


def check_driver(url: str) -> None:
    """Raise unless every scheme of ``url`` has a driver that can be imported."""
    for scheme in _SCHEME.findall(url):
        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError:
            known = ", ".join(sorted(name for name in known_implementations if name != "s3a"))
            raise InputError(
                f"{safe_url(url)!r}: sources of kind {scheme!r} are not known; write a folder, "
                "s3://bucket/prefix, b2://bucket/prefix, a list of URLs (.txt, .csv, .jsonl, "
                f".parquet), or one of fsspec's: {known}"
            ) from None
        except ImportError as err:
            module = known_implementations[scheme]["class"].partition(".")[0]
            missing = getattr(err.__cause__, "name", None) or module
            package = missing if module == "fsspec" else module
            raise MissingDriver(scheme, package.partition(".")[0]) from err


# Schemes whose drivers read a range without what lies before it; an archive's member is unpacked
# up to it, so chained urls are not among them.
_RANGED = [
    "gs",
    "gcs",
    "abfs",
    "abfss",
    "az",
    "adl",
    "hdfs",
    "webhdfs",
    "sftp",
    "ssh",
    "smb",
    "oss",
    "oci",
    "memory",
]


def reads_ranges(url: str, version: str) -> bool:
    """Whether ranges of a file can stand for one version of it; ``version`` as the listing says."""
    return url.partition("://")[0].lower() in _RANGED and not version.startswith("size-")
