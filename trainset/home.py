"""A home: the folder or bucket prefix that holds one dataset, and how to open it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError

from trainset.errors import InputError, NotFound
from trainset.model import GIT, LAKEFS, VERSIONS, Credentials, Frozen, StoreOptions
from trainset.stores import open_store
from trainset.stores.base import ObjectStore
from trainset.stores.pinned import get_pinned, open_pinned

if TYPE_CHECKING:
    from trainset.versions.base import VersionStore
    from trainset.versions.lakefs.access import LakeFSAccess

CONFIG = "trainset.json"
LAYOUT = 2  # the newest that is read; 1: versions in git, 2: on a lakeFS server


class HomeConfig(Frozen):
    """``HOME/trainset.json``: how to open the home. Published layouts keep opening.

    Attributes:
        versions: ``git`` (inside the home) or ``lakefs://<repository>``.
        root: url of the home's store; None: this very file lies in it.
    """

    layout: int = 1
    versions: str = Field(default=GIT, pattern=VERSIONS)
    media: str = "media"
    root: str | None = None


class Home:
    """One open home. Safe to share by threads.

    Attributes:
        url: as the user gave it, made absolute.
        store: the object store rooted at the home.
        state: local folder for ledger, caches and work trees; rebuildable, never the truth.

    Args:
        credentials: of buckets that hold media outside the home; None: from the environment.
        options: how those buckets are used.
        lakefs: the way to the lakeFS server; None: from the environment.
    """

    def __init__(
        self,
        url: str,
        store: ObjectStore,
        state: Path,
        config: HomeConfig,
        *,
        credentials: Credentials | None = None,
        options: StoreOptions | None = None,
        lakefs: LakeFSAccess | None = None,
    ) -> None:
        self.url, self.store, self.state, self.config = url, store, state, config
        self._credentials, self._options, self.lakefs = credentials, options, lakefs
        self._places: dict[str, ObjectStore] = {}
        self._guard = threading.Lock()

    @cached_property
    def versions(self) -> VersionStore:
        from trainset.versions import open_versions

        return open_versions(self)

    def media_uri(self, sha256: str) -> str:
        """Where a medium of this content lies in copy mode, relative to the home."""
        return f"{self.config.media}/{sha256[:2]}/{sha256}"

    def read_media(self, uri: str, version_id: str | None = None) -> bytes:
        """The bytes behind a ``uri`` of the media table.

        Args:
            version_id: the row's; outside the home just that version is read. Inside it the uri
                says the content, and any version of it will do.
        Raises:
            NotFound: nothing is there.
            VersionGone: the pinned version is not there any more.
        """
        if not is_outside(uri):
            return self.store.get(uri)
        store, key = self._place(uri)
        return get_pinned(store, key, version_id)[0]

    def open_media(self, uri: str, version_id: str | None = None) -> BinaryIO:
        """A reader of a medium of any size, to be closed; raises as ``read_media``."""
        if not is_outside(uri):
            return self.store.open(uri)
        store, key = self._place(uri)
        return open_pinned(store, key, version_id)

    def media_store(self, uri: str) -> tuple[ObjectStore, str]:
        """The store that holds a medium, and its key there."""
        return self._place(uri) if is_outside(uri) else (self.store, uri)

    def use_place(self, url: str, store: ObjectStore) -> None:
        """Read media of a bucket (``s3://<bucket>``) by this store, not by the home's credentials.

        Args:
            store: rooted at the bucket.
        """
        with self._guard:
            self._places[url] = store

    def _place(self, uri: str) -> tuple[ObjectStore, str]:
        """Store and key of a uri outside the home; a bucket is opened once."""
        if uri.startswith(("/", "file://")):
            path = uri if uri.startswith("/") else unquote(urlsplit(uri).path)
            return open_store("/"), path.lstrip("/")
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        url = f"{scheme}://{bucket}"
        with self._guard:
            if url not in self._places:
                self._places[url] = open_store(url, self._credentials, self._options)
            return self._places[url], key


def is_outside(uri: str) -> bool:
    """Whether a ``uri`` of the media table is of a place outside the home."""
    return "://" in uri or uri.startswith("/")


def open_home(
    url: str,
    *,
    credentials: Credentials | None = None,
    create: bool = False,
    options: StoreOptions | None = None,
    versions: str | None = None,
    lakefs: LakeFSAccess | None = None,
) -> Home:
    """Open the home at a folder, ``s3://bucket/prefix``, ``b2://…`` or ``lakefs://repository``.

    Args:
        credentials: of the bucket; None: from the environment (``B2_KEY_ID`` …).
        create: make a new home where there is none; else that is NotFound.
        options: how a bucket is used; None: the defaults.
        versions: ``git`` or ``lakefs://repository``, of a new home; None: git in a folder or
            bucket. A home that is there must have this one.
        lakefs: the way to the lakeFS server that keeps the versions; None: from the environment
            (``LAKEFS_ENDPOINT`` …).
    Raises:
        NotFound: there is no home here.
        InputError: the home was written by a newer layout, or is not as ``versions`` says.
    """
    if url.startswith(LAKEFS):
        store, config = _open_on_lakefs(url, None, credentials, options, lakefs, create=create)
    else:
        store = open_store(url, credentials, options)
        try:
            text = store.get(CONFIG)
        except NotFound as err:
            if not create:
                raise _no_home(url) from err
            if versions in (None, GIT):
                text = encode_config(HomeConfig())
                store.put(CONFIG, text, content_type="application/json")
            else:
                _open_on_lakefs(versions, store, credentials, options, lakefs, create=True)
                text = store.get(CONFIG)
        config = decode_config(text, url)
        if create and config.versions.startswith(LAKEFS):  # a kill may have cut its making off
            _open_on_lakefs(config.versions, store, credentials, options, lakefs, create=True)
    if versions not in (None, config.versions):
        raise InputError(
            f"{url} has its versions in {config.versions}, not in {versions}; say so in the spec "
            f"(versions: {config.versions}), or make a new home elsewhere"
        )
    return Home(
        store.url,
        store,
        _state_folder(store),
        config,
        credentials=credentials,
        options=options,
        lakefs=lakefs,
    )


def encode_config(config: HomeConfig) -> bytes:
    """``trainset.json`` of a home."""
    return (json.dumps(config.model_dump(exclude_none=True), indent=2) + "\n").encode()


def decode_config(body: bytes, url: str) -> HomeConfig:
    """Read ``trainset.json`` of the home at ``url``; raises InputError."""
    try:
        raw = json.loads(body)
        if raw.get("layout", 0) > LAYOUT:
            raise InputError(
                f"{url} has layout {raw['layout']}, this version of trainset reads up to {LAYOUT}; "
                "run: pip install -U trainset"
            )
        return HomeConfig.model_validate(raw)
    except (ValidationError, json.JSONDecodeError) as err:
        raise InputError(
            f"{url}/{CONFIG} cannot be read ({err}); restore it from a backup"
        ) from err


def _open_on_lakefs(
    url: str,
    root: ObjectStore | None,
    credentials: Credentials | None,
    options: StoreOptions | None,
    access: LakeFSAccess | None,
    *,
    create: bool,
) -> tuple[ObjectStore, HomeConfig]:
    """Root and config of the home in a lakeFS repository, made if need be."""
    from trainset.versions.lakefs import home as lakefs

    def open_at(url: str) -> ObjectStore:
        return open_store(url, credentials, options)

    repository = lakefs.open_repository(url, access)
    config = lakefs.find_config(repository)
    if config is None:
        if not create:
            raise lakefs.missing_home(repository)
        config = lakefs.make_lakefs_home(repository, root, open_at)
    store = root or open_at(str(config.root))
    lakefs.check_root(store, config.versions)
    return store, config


def _no_home(url: str) -> NotFound:
    return NotFound(
        f"{url} holds no dataset ({CONFIG} is not there); make one with "
        "'python -m flows pipeline dataset.yaml', or mend the path"
    )


def _state_folder(store: ObjectStore) -> Path:
    local = store.local_path(".state")
    if local is None:
        root = os.environ.get("TRAINSET_STATE") or "~/.cache/trainset"
        name = hashlib.sha256(store.url.encode()).hexdigest()[:16]
        local = Path(root).expanduser() / name
    local.mkdir(parents=True, exist_ok=True)
    return local
