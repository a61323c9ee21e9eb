"""From a block's name in the spec to the credentials that the library takes."""

from __future__ import annotations

from prefect.blocks.core import Block

from trainset.errors import NotFound
from trainset.model import Credentials


def resolve_credentials(name: str | None) -> Credentials | None:
    """Credentials of the block called ``name``; None leaves the choice to the environment.

    Args:
        name: ``b2-credentials/<name>``, or ``<name>`` alone.
    Raises:
        NotFound: no such block on this Prefect server.
    """
    if name is None:
        return None
    reference = name if "/" in name else f"b2-credentials/{name}"
    try:
        block = Block.load(reference)
    except ValueError as err:
        raise NotFound(
            f"the Prefect server has no block {reference!r}; save it with "
            "'python -m flows register-blocks', or take 'credentials:' out of the spec"
        ) from err
    found: Credentials = block.to_credentials()
    return found
