"""Airbyte connectors, low-code REST manifests and dlt sources as streams of rows.

A connector is a program of its own environment that speaks the Airbyte protocol; nothing of it is
imported here. A dlt source is made one by a script of ours, ``dlt_child``.
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

DLT_SOURCE = "dlt:"
DLT_CHILD = Path(__file__).with_name("dlt_child.py")


def open_airbyte(
    source: str | Path,
    *,
    config: Mapping[str, Any] | Path | None = None,
    streams: Sequence[str] | None = None,
    key: Names = None,
    cursor: str | Mapping[str, str] | None = None,
    cdk: str | Path | None = None,
    folder: Path | None = None,
) -> TableReader:
    """A reader of a connector's streams; runs the connector when it is asked something.

    Args:
        source: a connector that ``install_connector`` installed (``source-faker``,
            ``source-faker==7.2.1``), the path of any connector's executable, a low-code manifest
            (``.yaml``, ``.json``), or ``dlt:file.py:function`` (``dlt:package.module:function``).
        config: what the connector asks for, or a JSON file of it. A text ``${NAME}`` stands for
            that environment variable; a file may hold its secrets only so.
        streams: names; None: all.
        key: fields that identify a record (nested: with dots); None: the connector's own.
        cursor: the field that grows with every change, where the connector leaves it open.
        cdk: what runs a manifest: ``airbyte-cdk``, ``airbyte-cdk==6.61.6``, or the path of a
            ``source-declarative-manifest``. Of a dlt source: ``dlt``, ``dlt==1.31.0``, or the path
            of a Python that has it. None: what is installed.
        folder: of the connectors' environments; None: ``TRAINSET_CONNECTORS``, else the user's
            cache.
    Raises:
        InputError: this names no connector, or the configuration cannot be read.
    """
    from trainset.metadata.airbyte.config import Config
    from trainset.metadata.airbyte.connector import Connector
    from trainset.metadata.airbyte.environments import CDK, DLT, connectors_folder
    from trainset.metadata.airbyte.manifest import is_manifest, manifest_spec, read_manifest
    from trainset.metadata.airbyte.reader import AirbyteReader

    environment = dict(os.environ)
    root = folder or connectors_folder(environment)
    manifest, script = None, list[str]()
    if str(source).startswith(DLT_SOURCE):
        named = str(source).removeprefix(DLT_SOURCE)
        asked = [f"--stream={stream}" for stream in streams or ()]
        name, script = named.rpartition(":")[2], [str(DLT_CHILD), *asked, named]
        program = _Program(str(cdk or DLT), root, run="python")
    elif is_manifest(str(source)):
        path = Path(source).expanduser()
        manifest, name = read_manifest(path), path.name
        program = _Program(str(cdk or CDK), root)
    else:
        program = _Program(str(source), root)
        name = program.name
    filled = (
        Config.read(config, environment)
        if isinstance(config, Path)
        else Config(config or {}, environment)
    )
    known = program.spec if manifest is None else lambda: manifest_spec(manifest)
    connector = Connector(
        name, program.path, filled, environment, spec=known, manifest=manifest, script=script
    )
    return AirbyteReader(connector, streams=streams, key=key, cursor=cursor)


class _Program:
    """An executable by its path, or by the name of an installed connector.

    Args:
        run: another program of the connector's environment than its own.
    """

    def __init__(self, said: str, root: Path, *, run: str | None = None) -> None:
        from trainset.metadata.airbyte.environments import Wanted

        self._root, self._run = root, run
        self._path = Path(said).expanduser().absolute() if os.sep in said else None
        self._wanted = None if self._path else Wanted.parse(said)
        self.name = self._path.name if self._path else said.partition("==")[0]

    def path(self) -> Path:
        if self._path is not None:
            return self._path
        place, note = self._found()
        return place / "bin" / (self._run or note.program)

    def spec(self) -> Mapping[str, Any] | None:
        return None if self._path else self._found()[1].spec

    def _found(self) -> tuple[Path, Installed]:
        from trainset.metadata.airbyte.environments import find_connector

        assert self._wanted is not None
        return find_connector(self._root, self._wanted)
