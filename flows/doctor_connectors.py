"""The doctor's look at Airbyte connectors: whether those that a spec names are installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flows.doctor_check import Check, failed
from trainset.errors import TrainsetError

if TYPE_CHECKING:
    from trainset.spec import DatasetSpec

INSTALL = "run: python -m flows install-connector NAME==VERSION"


def connector_checks(spec: DatasetSpec, environment: Mapping[str, str]) -> list[Check]:
    """A line for each connector of the spec; none of them is started."""
    from trainset.spec_metadata import DLT

    found = [(s.connector, s.cdk) for s in spec.metadata if s.connector is not None]
    said = [one for one, _ in found if not one.startswith(DLT)]
    runners = [cdk or "airbyte-cdk" for one, cdk in found if _is_manifest(one)]
    runners += [cdk or "dlt" for one, cdk in found if one.startswith(DLT)]
    return [_check(one, environment) for one in dict.fromkeys([*said, *runners])]


def _is_manifest(connector: str | None) -> bool:
    from trainset.metadata.airbyte.manifest import is_manifest

    return connector is not None and is_manifest(connector)


def _check(connector: str, environment: Mapping[str, str]) -> Check:
    from trainset.metadata.airbyte.environments import Wanted, connectors_folder, find_connector
    from trainset.metadata.airbyte.manifest import read_manifest

    name = f"connector {Path(connector).name}"
    try:
        if _is_manifest(connector):
            read_manifest(Path(connector))
            return Check(name, "ok", f"a manifest, at {connector}")
        if "/" in connector:
            there = Path(connector).is_file()
            fix = "" if there else "mend airbyte: in the spec, or install it there"
            said = connector if there else f"{connector} is not there"
            return Check(name, "ok" if there else "fail", said, fix)
        place, note = find_connector(connectors_folder(environment), Wanted.parse(connector))
    except TrainsetError as err:
        return failed(name, err, INSTALL)
    return Check(name, "ok", f"{note.version}, in {place}")
