"""How ``from:`` of a metadata source names a connector: Airbyte's, a manifest, or a dlt source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

AIRBYTE = "airbyte:"  # {airbyte: source-faker} and airbyte:source-faker are the same
DLT = "dlt:"  # {dlt: shop.py:orders} and dlt:shop.py:orders, too
OF_CONNECTORS = {"config", "cdk"}


def connector_of(from_: str) -> str | None:
    """The connector, executable, manifest or ``dlt:`` source that is named; None: it is none.

    Raises:
        ValueError: a dlt source is named without its function.
    """
    if from_.startswith(DLT) and not re.fullmatch(r".+:[^\W\d]\w*", from_.removeprefix(DLT)):
        raise ValueError(
            "dlt: names a function that gives a source, as in sources/shop.py:orders or "
            "package.module:orders"
        )
    return from_.removeprefix(AIRBYTE) if from_.startswith((AIRBYTE, DLT)) else None


def connector_words(data: dict[str, Any]) -> dict[str, Any]:
    """The words of a source whose ``from:`` is a mapping, as if they stood beside it."""
    words = data["from"]
    kinds = [kind for kind in (AIRBYTE, DLT) if isinstance(words.get(kind[:-1]), str)]
    if len(kinds) != 1 or words.keys() - {kinds[0][:-1], "config", "cdk"}:
        raise ValueError(
            "from: a mapping names a connector, as in {airbyte: source-faker==7.2.1, config: "
            "block:<name>} or {dlt: shop.py:orders}; cdk: may stand beside, and nothing else"
        )
    rest = {name: words[name] for name in words.keys() & OF_CONNECTORS}
    return {**data, **rest, "from": kinds[0] + words[kinds[0][:-1]]}


def placed_connector(said: str, folder: Path) -> str:
    """``from:`` of a connector, a path in it taken from ``folder``."""
    if not said.startswith(DLT):
        return AIRBYTE + placed_program(said, folder)
    place, _, function = said.removeprefix(DLT).rpartition(":")
    return f"{DLT}{absolute(place, folder) if place.endswith('.py') else place}:{function}"


def placed_program(said: str, folder: Path) -> str:
    """A path is taken from ``folder``; the name of an installed connector is none."""
    is_path = "/" in said or said.lower().endswith((".yaml", ".yml", ".json"))
    return absolute(said, folder) if is_path else said


def absolute(path: str, folder: Path) -> str:
    """A path, taken from ``folder``."""
    return str((folder / Path(path).expanduser()).resolve())
