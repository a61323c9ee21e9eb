"""What an operator is built from: its parameters, where models lie, where generated media go."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from trainset.errors import InputError
from trainset.home import Home

Put = Callable[[str, bytes, str], None]  # uri relative to the home, bytes, their sha256


class Params(BaseModel):
    """Base of all operators' parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoParams(Params):
    """Of operators that have nothing to set."""


def no_destination(uri: str, data: bytes, sha256: str) -> None:
    """The ``put`` of an operator that was given none. Raises InputError."""
    raise InputError(
        "this operator writes media, but was built without a destination; build it with "
        "put=home_destination(home)"
    )


@dataclass(frozen=True)
class BuildContext:
    """What ``registry.build`` hands to an operator.

    Attributes:
        models: folder of model weights that is looked at first.
        to: the column's ``to``: folder for generated media, relative to the home.
        put: writes a generated medium.
        download: weights that are not here may be fetched.
    """

    models: Path | None = None
    to: str | None = None
    put: Put = no_destination
    download: bool = True


def home_destination(home: Home) -> Put:
    """A ``put`` that writes into the home; content that is there already is left alone."""

    def put(uri: str, data: bytes, sha256: str) -> None:
        if home.store.head(uri) is None:
            home.store.put(uri, data, sha256=sha256, content_type="image/jpeg")

    return put


def processors() -> int:
    """Processors that this process may use, at least 1."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
