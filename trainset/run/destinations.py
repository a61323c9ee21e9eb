"""Places that rules of the spec send files to by the name of a block: what flows found behind it.

The library knows no blocks: a flow resolves them before the run, and hands over url, credentials
and limits. None of it is written anywhere; the spec and its commits hold the block's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from trainset.errors import InputError
from trainset.home import Home
from trainset.model import Credentials, Protection, StoreOptions
from trainset.spec_media import BLOCK
from trainset.stores import open_store
from trainset.stores.base import ObjectStore


class Destination(NamedTuple):
    """A place, as ``trainset.stores.open_store`` takes it; None: as the dataset has it."""

    url: str
    credentials: Credentials | None
    options: StoreOptions | None


Destinations = Mapping[str, Destination]  # by what the rule says: ``block:<name>``


def open_destination(
    to: str,
    destinations: Destinations,
    *,
    protection: Protection | None = None,
    credentials: Credentials | None,
    options: StoreOptions,
) -> ObjectStore:
    """Open what a rule's ``to`` names, or the bucket that an object's uri names.

    Args:
        protection: the rule's own; None: the block's, else the dataset's.
        credentials, options: the dataset's.
    Raises:
        InputError: a block that nobody resolved.
    """
    found = destinations.get(to) or _of_bucket(to, destinations)
    if found is None and to.startswith(BLOCK):
        raise InputError(
            f"to: {to}: blocks lie on a Prefect server, and nobody asked it; run the dataset with "
            "'python -m flows', pass destinations={…}, or write the bucket's url"
        )
    url = to if found is None or not to.startswith(BLOCK) else found.url
    if found is not None:
        credentials, options = found.credentials or credentials, found.options or options
    if protection is not None:
        options = options.model_copy(update={"protection": protection})
    return open_store(url, credentials, options)


def buckets_of(destinations: Destinations) -> dict[str, Destination]:
    """The buckets with credentials of their own, by ``s3://<bucket>``."""
    return {
        f"s3://{_bucket(one.url)}": one
        for one in destinations.values()
        if one.credentials is not None and "://" in one.url
    }


def use_destinations(home: Home, destinations: Destinations) -> None:
    """Let readers of the dataset reach the media that lie in these places."""
    for url, one in buckets_of(destinations).items():
        home.use_place(url, open_store(url, one.credentials, one.options))


def protection_of(to: str, destinations: Destinations) -> Protection | None:
    """How the block behind a rule's ``to`` keeps its objects; None: it does not say."""
    found = destinations.get(to)
    return None if found is None or found.options is None else found.options.protection


def _of_bucket(place: str, destinations: Destinations) -> Destination | None:
    if not place.startswith(("s3://", "b2://")):
        return None
    return buckets_of(destinations).get(f"s3://{_bucket(place)}")


def _bucket(url: str) -> str:
    return urlsplit(url).netloc
