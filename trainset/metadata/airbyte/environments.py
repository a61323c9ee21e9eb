"""Where connectors are installed: each in an environment of its own, with a note of what it is.

The folder can be removed at any time: ``install_connector`` makes it again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from trainset.errors import InputError, NotFound
from trainset.metadata.airbyte.manifest import PROGRAM
from trainset.model import Frozen

NOTE = "connector.json"  # written last: an environment without it is not whole
CDK, DLT = "airbyte-cdk", "dlt"  # they run what is no package of its own
_NAME = re.compile(r"([a-z0-9][a-z0-9._-]*)(?:==([A-Za-z0-9][A-Za-z0-9.!+_-]*))?")


class Wanted(Frozen):
    """A connector by name, and its version where one is said."""

    name: str
    version: str | None = None

    @staticmethod
    def parse(text: str) -> Wanted:
        """``source-faker`` or ``source-faker==7.2.1``. Raises InputError."""
        match = _NAME.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"{text!r} is no connector; write its name and a version, as in "
                "source-faker==7.2.1, or the path of an executable or a manifest"
            )
        return Wanted(name=match[1], version=match[2])

    @property
    def package(self) -> str:
        """As the package index calls it."""
        return self.name if self.name in (CDK, DLT) else f"airbyte-{self.name}"

    @property
    def program(self) -> str:
        return PROGRAM if self.name == CDK else self.name

    @property
    def pinned(self) -> str:
        return self.name if self.version is None else f"{self.name}=={self.version}"


class Installed(Frozen):
    """``connector.json``: what an environment holds, and what its connector says it takes."""

    name: str
    version: str
    program: str
    spec: dict[str, Any] | None = None


def connectors_folder(environment: Mapping[str, str]) -> Path:
    """``TRAINSET_CONNECTORS``, else in the user's cache."""
    if named := environment.get("TRAINSET_CONNECTORS"):
        return Path(named).expanduser().absolute()
    return Path(environment.get("TRAINSET_STATE") or "~/.cache/trainset").expanduser() / (
        "connectors"
    )


def environment_of(folder: Path, wanted: Wanted) -> Path:
    """Where the environment of a connector lies, or will lie."""
    return folder / wanted.pinned


def read_note(environment: Path) -> Installed | None:
    """What is installed there; None when nothing whole is."""
    try:
        found = Installed.model_validate_json((environment / NOTE).read_bytes())
    except (OSError, ValueError):
        return None
    return found if os.access(environment / "bin" / found.program, os.X_OK) else None


def write_note(environment: Path, note: Installed) -> None:
    (environment / NOTE).write_bytes(orjson.dumps(note.model_dump(mode="json")))


def find_connector(folder: Path, wanted: Wanted) -> tuple[Path, Installed]:
    """The environment of a connector, and its note; without a version the newest.

    Raises:
        NotFound: says how to install it.
    """
    found = []
    for place in (environment_of(folder, wanted), *folder.glob(f"{wanted.name}*")):
        note = read_note(place)
        if note and note.name == wanted.name and wanted.version in (None, note.version):
            found.append((place, note))
    if not found:
        raise NotFound(
            f"{wanted.pinned} is not installed (looked in {folder}); run: "
            f"python -m flows install-connector {wanted.pinned}"
        )
    return max(found, key=lambda one: _order(one[1].version))


def _order(version: str) -> list[tuple[int, str]]:
    return [(int(n or 0), word) for n, word in re.findall(r"(\d+)|([a-z]+)", version)]
