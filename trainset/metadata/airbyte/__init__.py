"""Airbyte connectors and low-code REST manifests as streams of rows.

A connector is a program of its own environment that speaks the Airbyte protocol; nothing of it is
imported here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainset.metadata.airbyte.reader import Names
from trainset.metadata.table_base import TableReader

if TYPE_CHECKING:
    from trainset.metadata.airbyte.environments import Installed

__all__ = ["open_airbyte"]


def open_airbyte(
    source: str | Path,
    *,
    config: Mapping[str, Any] | Path | None = None,
    streams: Sequence[str] | None = None,
    key: Names = None,
    cursor: str | Mapping[str, str] | None = None,
    cdk: str | Path = "airbyte-cdk",
    folder: Path | None = None,
) -> TableReader:
    """A reader of a connector's streams; runs the connector when it is asked something.

    Args:
        source: a connector that ``install_connector`` installed (``source-faker``,
            ``source-faker==7.2.1``), the path of any connector's executable, or a low-code manifest
            (``.yaml``, ``.json``).
        config: what the connector asks for, or a JSON file of it. A text ``${NAME}`` stands for
            that environment variable; a file may hold its secrets only so.
        streams: names; None: all.
        key: fields that identify a record (nested: with dots); None: the connector's own.
        cursor: the field that grows with every change, where the connector leaves it open.
        cdk: what runs a manifest: ``airbyte-cdk``, ``airbyte-cdk==6.61.6``, or the path of a
            ``source-declarative-manifest``.
        folder: of the connectors' environments; None: ``TRAINSET_CONNECTORS``, else the user's
            cache.
    Raises:
        InputError: this names no connector, or the configuration cannot be read.
    """
    from trainset.metadata.airbyte.config import Config
    from trainset.metadata.airbyte.connector import Connector
    from trainset.metadata.airbyte.environments import connectors_folder
    from trainset.metadata.airbyte.manifest import is_manifest, manifest_spec, read_manifest
    from trainset.metadata.airbyte.reader import AirbyteReader

    environment = dict(os.environ)
    root = folder or connectors_folder(environment)
    manifest = None
    if is_manifest(str(source)):
        path = Path(source).expanduser()
        manifest, name = read_manifest(path), path.name
        program = _Program(str(cdk), root)
    else:
        program = _Program(str(source), root)
        name = program.name
    filled = (
        Config.read(config, environment)
        if isinstance(config, Path)
        else Config(config or {}, environment)
    )
    known = program.spec if manifest is None else lambda: manifest_spec(manifest)
    connector = Connector(name, program.path, filled, environment, spec=known, manifest=manifest)
    return AirbyteReader(connector, streams=streams, key=key, cursor=cursor)


class _Program:
    """An executable by its path, or by the name of an installed connector."""

    def __init__(self, said: str, root: Path) -> None:
        from trainset.metadata.airbyte.environments import Wanted

        self._root = root
        self._path = Path(said).expanduser().absolute() if os.sep in said else None
        self._wanted = None if self._path else Wanted.parse(said)
        self.name = self._path.name if self._path else said.partition("==")[0]

    def path(self) -> Path:
        if self._path is not None:
            return self._path
        place, note = self._found()
        return place / "bin" / note.program

    def spec(self) -> Mapping[str, Any] | None:
        return None if self._path else self._found()[1].spec

    def _found(self) -> tuple[Path, Installed]:
        from trainset.metadata.airbyte.environments import find_connector

        assert self._wanted is not None
        return find_connector(self._root, self._wanted)
