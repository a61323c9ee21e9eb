"""From a block's name in the spec to what the library takes."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.destination import MediaDestination
from blocks.lakefs import LakeFSRepository
from blocks.ledger import LedgerDatabase
from trainset.errors import InputError, NotFound
from trainset.model import Credentials
from trainset.run.destinations import Destination
from trainset.spec_media import BLOCK
from trainset.versions.lakefs.access import LakeFSAccess


def resolve_credentials(name: str | None) -> Credentials | None:
    """Credentials of the block called ``name``; None leaves the choice to the environment.

    Args:
        name: ``b2-credentials/<name>``, or ``<name>`` alone.
    Raises:
        NotFound: no such block on this Prefect server.
    """
    if name is None:
        return None
    block = _load(name, "b2-credentials", "take 'credentials:' out of the spec")
    found: Credentials = block.to_credentials()
    return found


def resolve_destination(to: str) -> Destination:
    """The place that a rule's ``to`` names.

    Args:
        to: ``block:<name>`` of a media destination, ``block:<type>/<name>`` of a bucket or folder;
            all else is a url or a folder, and comes back as it is.
    Raises:
        NotFound: no such block on this Prefect server.
        InputError: a block of a kind that is no place.
    """
    if not to.startswith(BLOCK):
        return Destination(to, None, None)
    name = to.removeprefix(BLOCK)
    block = _load(name, "media-destination", "write a bucket's url after 'to:'")
    if isinstance(block, MediaDestination):
        return Destination(block.url, block.to_credentials(), block.options)
    if not hasattr(block, "url") or not hasattr(block, "to_credentials"):
        raise InputError(
            f"to: {to}: a block of type {block.get_block_type_slug()!r} is no place; name a "
            "media-destination, b2-bucket or local-store"
        )
    return Destination(str(block.url), block.to_credentials(), None)


def resolve_ledger_url(name: str | None) -> SecretStr | None:
    """The database url of the ledger block called ``name``; None: the ledger is a local file.

    Args:
        name: ``ledger-database/<name>``, or ``<name>`` alone.
    Raises:
        NotFound: no such block on this Prefect server.
        InputError: a block of another kind.
    """
    if name is None:
        return None
    block = _load(name, "ledger-database", "take 'ledger:' out of the spec")
    if not isinstance(block, LedgerDatabase):
        raise InputError(f"ledger: {name}: this block is no ledger-database; name one that is")
    return block.url


def resolve_versions(versions: str) -> tuple[str, LakeFSAccess | None]:
    """Where ``versions`` of a spec says that they are kept, and the way there.

    Args:
        versions: ``block:<name>`` of a lakeFS repository gives ``lakefs://<repository>``; all else
            comes back as it is, and how a server is reached is in the environment.
    Raises:
        NotFound: no such block on this Prefect server.
        InputError: a block of another kind.
    """
    if not versions.startswith(BLOCK):
        return versions, None
    name = versions.removeprefix(BLOCK)
    block = _load(name, "lakefs-repository", "write lakefs://<repository> after 'versions:'")
    if not isinstance(block, LakeFSRepository):
        raise InputError(
            f"versions: {versions}: this block is no lakefs-repository; name one that is"
        )
    return block.url, block.to_access()


def _load(name: str, slug: str, otherwise: str) -> Block:
    reference = name if "/" in name else f"{slug}/{name}"
    try:
        return Block.load(reference)
    except ValueError as err:
        raise NotFound(
            f"the Prefect server has no block {reference!r}; save it with "
            f"'python -m flows register-blocks', or {otherwise}"
        ) from err
