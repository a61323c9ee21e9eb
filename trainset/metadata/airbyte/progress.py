"""What a sync's state holds: the connector's own states, and whether a full read ended. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from trainset.errors import InputError
from trainset.metadata.base import State
from trainset.model import Frozen


class Progress(Frozen):
    """How far a stream has been read.

    Attributes:
        connector: who wrote the states.
        states: state messages, opaque; () when the next sync reads all.
        unfinished: a full read is under way; the states go on with it.
    """

    version: int = 1
    connector: str
    states: tuple[dict[str, Any], ...] = ()
    unfinished: bool = False

    @staticmethod
    def of_state(state: State, connector: str) -> Progress | None:
        """None for {}: nothing was read yet."""
        if not state:
            return None
        try:
            found = Progress.model_validate(dict(state))
        except ValidationError:
            found = None
        if found is None or found.connector != connector:
            raise InputError(
                f"the state of this stream was not written by {connector}; use another name for "
                "the source, or sync it again from the beginning"
            )
        return found

    def to_state(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True) | {"version": self.version}
