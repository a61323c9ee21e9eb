"""Where label files lie: a file, a folder, a bucket, a web server, or whatever fsspec can open."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from trainset.errors import NotFound
from trainset.metadata.files import FileReader
from trainset.metadata.reading import TableOptions
from trainset.model import Credentials
from trainset.stores.base import ReadStore

_BUCKETS = ("s3", "b2")


def open_file_reader(
    source: str,
    place: str,
    *,
    format_: str | None = None,
    options: TableOptions | None = None,
    credentials: Credentials | None = None,
) -> FileReader:
    """A reader of the file or the folder at ``place``.

    Args:
        place: a path, ``file://``, ``s3://`` or ``b2://``, the ``http(s)://`` url of one file, or
            any url that fsspec has a driver for (gs, abfs, hdfs, sftp, …).
        credentials: of a bucket at s3:// or b2://; no other place gets them.
    Raises:
        InputError: the place is of no known kind.
        NotFound: there is no such file or folder here.
    """
    scheme = urlsplit(place).scheme.lower() if "://" in place else ""
    if scheme in ("", "file"):
        store, key = _local(source, place)
    elif scheme in ("http", "https"):
        from trainset.stores.http_one import HttpFileStore

        store = HttpFileStore(place)
        key = store.key
    else:
        store, key = _remote(place, credentials if scheme in _BUCKETS else None)
    return FileReader(source, store, key=key, format_=format_, options=options, above=_above(store))


def _local(source: str, place: str) -> tuple[ReadStore, str | None]:
    from trainset.stores import open_store

    path = Path(place).expanduser().absolute()
    if "://" in place:
        path = Path(open_store(place).url)
    if not path.exists():
        raise NotFound(f"{path}: there is no such file or folder; mend 'from' of {source!r}")
    key = path.name if path.is_file() else None
    return open_store(str(path.parent if key else path)), key


def _remote(place: str, credentials: Credentials | None) -> tuple[ReadStore, str | None]:
    """The store, and the key where the place is one object: only asking tells it from a prefix."""
    from trainset.stores import open_source

    folder, _, name = place.rstrip("/").rpartition("/")
    if "::" in place or folder.endswith(":/"):  # an archive, or a bucket, as a whole
        return open_source(place, credentials), None
    above = open_source(folder, credentials)
    return (
        (above, name) if above.head(name) is not None else (open_source(place, credentials), None)
    )


def _above(store: ReadStore) -> list[ReadStore]:
    """The three folders over a local store's own: class names often stand beside ``labels``."""
    from trainset.stores import open_store

    if "://" in store.url and not store.url.startswith("file://"):
        return []
    root = Path(store.url.removeprefix("file://"))
    return [open_store(str(folder)) for folder in list(root.parents)[:3] if folder.parent != folder]
