"""A home: the folder or bucket prefix that holds one dataset, and how to open it."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from trainset.errors import InputError, NotFound
from trainset.model import Credentials, Frozen, StoreOptions
from trainset.stores import open_store
from trainset.stores.base import ObjectStore

if TYPE_CHECKING:
    from trainset.versions.base import VersionStore

CONFIG = "trainset.json"
LAYOUT = 1


class HomeConfig(Frozen):
    """``HOME/trainset.json``: how to open the home. Published layouts keep opening."""

    layout: int = LAYOUT
    versions: Literal["git"] = "git"
    media: str = "media"


class Home:
    """One open home.

    Attributes:
        url: as the user gave it, made absolute.
        store: the object store rooted at the home.
        state: local folder for ledger, caches and work trees; rebuildable, never the truth.
    """

    def __init__(self, url: str, store: ObjectStore, state: Path, config: HomeConfig) -> None:
        self.url, self.store, self.state, self.config = url, store, state, config

    @cached_property
    def versions(self) -> VersionStore:
        from trainset.versions import open_versions

        return open_versions(self)

    def media_uri(self, sha256: str) -> str:
        """Where a medium of this content lies in copy mode, relative to the home."""
        return f"{self.config.media}/{sha256[:2]}/{sha256}"

    def read_media(self, uri: str) -> bytes:
        """The bytes behind a ``uri`` of the media table. Raises NotFound."""
        if "://" in uri:
            raise InputError(f"{uri}: media outside the home (reference mode) is not opened yet")
        return self.store.get(uri)


def open_home(
    url: str,
    *,
    credentials: Credentials | None = None,
    create: bool = False,
    options: StoreOptions | None = None,
) -> Home:
    """Open the home at a folder, ``s3://bucket/prefix`` or ``b2://bucket/prefix``.

    Args:
        credentials: of the bucket; None: from the environment (``B2_KEY_ID`` …).
        create: make a new home where there is none; else that is NotFound.
        options: how a bucket is used; None: the defaults.
    Raises:
        NotFound: there is no home here.
        InputError: the home was written by a newer layout.
    """
    store = open_store(url, credentials, options)
    if store.head(CONFIG) is None:
        if not create:
            raise NotFound(
                f"{url} holds no dataset ({CONFIG} is not there); make one with "
                "'python -m flows pipeline dataset.yaml', or mend the path"
            )
        body = json.dumps(HomeConfig().model_dump(), indent=2) + "\n"
        store.put(CONFIG, body.encode(), content_type="application/json")
    try:
        raw = json.loads(store.get(CONFIG))
        if raw.get("layout", 0) > LAYOUT:
            raise InputError(
                f"{url} has layout {raw['layout']}, this version of trainset reads up to {LAYOUT}; "
                "run: pip install -U trainset"
            )
        config = HomeConfig.model_validate(raw)
    except (ValidationError, json.JSONDecodeError) as err:
        raise InputError(
            f"{url}/{CONFIG} cannot be read ({err}); restore it from a backup"
        ) from err
    return Home(store.url, store, _state_folder(store), config)


def _state_folder(store: ObjectStore) -> Path:
    local = store.local_path(".state")
    if local is None:
        root = os.environ.get("TRAINSET_STATE") or "~/.cache/trainset"
        name = hashlib.sha256(store.url.encode()).hexdigest()[:16]
        local = Path(root).expanduser() / name
    local.mkdir(parents=True, exist_ok=True)
    return local
