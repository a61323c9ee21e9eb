"""Opening and making a home whose versions a lakeFS server keeps: ``lakefs://<repository>``.

The repository holds tables, files and ``trainset.json``. Media, exports and reports lie in the same
block store but outside the repository's storage namespace, at the home's *root*: where a namespace
is ``s3://bucket/lakefs/<repository>``, the root is ``s3://bucket``. A ``trainset.json`` there says
whose it is, so that no two datasets share a root, and opening the root opens the home, too.
"""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable
from contextlib import suppress

from trainset.errors import InputError, NotFound, TrainsetError
from trainset.home import CONFIG, HomeConfig, decode_config, encode_config
from trainset.stores.base import ObjectStore
from trainset.versions.base import MAIN
from trainset.versions.lakefs.access import NAMESPACE, LakeFSAccess, access_from_environment
from trainset.versions.lakefs.commits import SETUP
from trainset.versions.lakefs.errors import NothingToDo, Taken
from trainset.versions.lakefs.files import PROBE
from trainset.versions.lakefs.names import SETUP_RUN, check_repository
from trainset.versions.lakefs.objects import Repository

SCHEME = "lakefs://"
LAKEFS_LAYOUT = 2
_HOUSED = {"s3": "s3://bucket/prefix or b2://bucket/prefix", "local": "a folder"}


def open_repository(url: str, access: LakeFSAccess | None = None) -> Repository:
    """The repository that ``lakefs://<repository>`` names; no request is made yet."""
    name = check_repository(url.removeprefix(SCHEME).rstrip("/"))
    return Repository(access or access_from_environment(), name)


def find_config(repository: Repository) -> HomeConfig | None:
    """``trainset.json`` of a repository; None when it holds no dataset, or does not exist."""
    if repository.namespace() is None or repository.stat(MAIN, CONFIG) is None:
        return None
    return decode_config(repository.read(MAIN, CONFIG), SCHEME + repository.name)


def missing_home(repository: Repository) -> NotFound:
    """The error for a repository that does not exist, which names close ones, or holds nothing."""
    url = SCHEME + repository.name
    if repository.namespace() is not None:
        return NotFound(
            f"{url} holds no dataset ({CONFIG} is not on its {MAIN}); make one with "
            f"'python -m flows pipeline dataset.yaml' where the spec says versions: {url}"
        )
    names = repository.neighbours()
    close = difflib.get_close_matches(repository.name, names, n=3, cutoff=0.4) or names[:5]
    there = f"it has {', '.join(close)}" if close else "it has none that this key may see"
    return NotFound(
        f"there is no repository {repository.name} on the lakeFS server at "
        f"{repository.access.url}: {there}; mend the name, or make a dataset with "
        f"'python -m flows pipeline dataset.yaml' where the spec says versions: {url}"
    )


def check_root(store: ObjectStore, url: str) -> None:
    """Refuse a root that another dataset uses, or that is not the one the home was made with."""
    if store.head(CONFIG) is None:
        raise InputError(
            f"{store.url} is not the place that holds the media of {url}: its {CONFIG} is missing; "
            "use the credentials and endpoint of the block store that the lakeFS server uses"
        )
    found = decode_config(store.get(CONFIG), store.url).versions
    if found != url:
        raise InputError(
            f"{store.url} belongs to another dataset ({found}), not to {url}; give this one a "
            f"place of its own, e.g. {NAMESPACE}=s3://bucket/<name>/lakefs"
        )


def make_lakefs_home(
    repository: Repository, root: ObjectStore | None, open_at: Callable[[str], ObjectStore]
) -> HomeConfig:
    """Create what is missing of repository, protection, root and ``trainset.json``.

    Repeating it after a kill goes on. Nothing is written to the root before the server has been
    seen to use its kind of store, and nothing but ``trainset.json`` before it has read that back.

    Args:
        root: None: beside the repository's storage namespace.
        open_at: opens the store at a url.
    """
    url, place = SCHEME + repository.name, repository.block_store()
    if repository.namespace() is None:
        with suppress(Taken):  # another process was quicker
            repository.create(_new_namespace(repository), MAIN)
    repository.protect(MAIN)
    at = repository.branch(MAIN)
    assert at is not None, "a repository has its default branch"
    branch = f"{SETUP_RUN}{secrets.token_hex(4)}"
    repository.create_branch(branch, at)
    try:
        address = repository.write(branch, PROBE, b"where objects lie").address
        store = root or open_at(_beside(repository, address))
        config = HomeConfig(layout=LAKEFS_LAYOUT, versions=url, root=store.url)
        _claim(repository, branch, store, place, config)
        repository.write(branch, CONFIG, encode_config(config))
        repository.delete(branch, [PROBE])
        metadata = {SETUP: "yes"}
        repository.commit_branch(branch, f"Set up {url}", metadata)
        with suppress(NothingToDo):
            repository.merge(branch, MAIN, f"Set up {url}", metadata)
    finally:
        with suppress(NotFound):
            repository.delete_branch(branch)
    return config


def _claim(
    repository: Repository, branch: str, store: ObjectStore, place: str, config: HomeConfig
) -> None:
    """Put the root's ``trainset.json``, and read it back through the server."""
    local = store.local_path(CONFIG)
    if (place == "local") != (local is not None) or place not in _HOUSED:
        raise InputError(
            f"the lakeFS server keeps its objects in a store of kind {place!r}, and {store.url} is "
            f"none; the home must lie in that store: give {_HOUSED.get(place, 'another server')}"
        )
    if is_new := store.head(CONFIG) is None:
        store.put(CONFIG, encode_config(config), content_type="application/json")
    check_root(store, config.versions)
    body = store.get(CONFIG)
    address = store.uri(CONFIG) if local is None else f"local://{local}"
    try:
        repository.link(branch, PROBE, address, sha256="probe", size=len(body))
        same = repository.read(branch, PROBE) == body
        why = "it finds other bytes there"
    except TrainsetError as err:
        same, why = False, str(err)
    if not same:
        if is_new:
            store.delete(CONFIG)
        raise InputError(
            f"the lakeFS server cannot read {address}: {why}; the home must lie in the block store "
            "that the server uses (for a folder: inside it, or in its allowed_external_prefixes)"
        )


def _new_namespace(repository: Repository) -> str:
    parent = repository.access.storage_namespace
    if not parent:
        raise InputError(
            f"there is no lakeFS repository {repository.name}; to have it made set {NAMESPACE}, "
            "the place below which repositories lie, e.g. s3://bucket/lakefs"
        )
    return f"{parent.rstrip('/')}/{repository.name}"


def _beside(repository: Repository, address: str) -> str:
    """The default root: beside the folder that the repository's namespace is in.

    Args:
        address: of an object in the namespace, as the server's block store has it.
    """
    namespace = str(repository.namespace()).rstrip("/")
    name = namespace.partition("://")[2].strip("/")
    before, found, _ = address.partition(f"/{name}/")
    whole = f"{before}/{name}" if found else namespace
    root = whole.rpartition("/")[0].rpartition("/")[0]
    if root.endswith(":/") or not root:
        raise InputError(
            f"there is no place beside {namespace} for media; set {NAMESPACE} to a folder of a "
            "bucket, e.g. s3://bucket/lakefs"
        )
    return root.removeprefix("local://")
