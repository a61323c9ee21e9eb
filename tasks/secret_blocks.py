"""Secrets that a spec names as ``block:<name>``: looked up inside the task that needs them.

Never in a flow: Prefect keeps what tasks are given and what they return.
"""

from __future__ import annotations

import json

from prefect.blocks.core import Block
from pydantic import SecretStr

from trainset.errors import InputError, NotFound


def open_block(name: str) -> str:
    """The secret text of a block: a database's url, a salt, a connector's settings as JSON.

    Args:
        name: of a block of type Secret; or ``<type>/<name>`` of a block that has a secret ``url``.
    Raises:
        NotFound: no such block on this Prefect server.
        InputError: the block holds no secret text.
    """
    reference = name if "/" in name else f"secret/{name}"
    try:
        block = Block.load(reference)
    except ValueError as err:
        raise NotFound(
            f"the Prefect server has no block {reference!r}; save one of type Secret with "
            "'python -m flows register-blocks', or mend the name after block:"
        ) from err
    held = block.get() if hasattr(block, "get") else getattr(block, "url", None)
    if isinstance(held, SecretStr):
        held = held.get_secret_value()
    if isinstance(held, dict):
        return json.dumps(held)
    if not isinstance(held, str) or not held:
        raise InputError(
            f"block:{name}: this block holds no secret text; name one of type Secret, whose value "
            "is the url of the database"
        )
    return held
