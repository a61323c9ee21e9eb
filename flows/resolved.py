"""What a spec names by blocks, resolved when a flow begins; it goes into no state and no log."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import SecretStr

from trainset.model import Credentials
from trainset.run.destinations import Destination
from trainset.spec import DatasetSpec
from trainset.spec_media import BLOCK
from trainset.versions.lakefs.access import LakeFSAccess


def has_blocks(spec: DatasetSpec) -> bool:
    """Whether the places of a spec are known to a Prefect server only."""
    return spec.credentials is not None or spec.versions.startswith(BLOCK) or bool(_named(spec))


def placed(spec: DatasetSpec) -> tuple[DatasetSpec, LakeFSAccess | None]:
    """The spec with the name of its lakeFS repository, and the way to that server.

    None leaves the way to the environment.
    """
    if not spec.versions.startswith(BLOCK):
        return spec, None
    from blocks.resolve import resolve_versions  # late, as below

    url, access = resolve_versions(spec.versions)
    return spec.model_copy(update={"versions": url}), access


def credentials_of(spec: DatasetSpec) -> Credentials | None:
    """The dataset's credentials; None leaves the choice to the environment."""
    if spec.credentials is None:
        return None
    from blocks.resolve import resolve_credentials  # late: its AWS libraries take seconds

    return resolve_credentials(spec.credentials)


def ledger_url_of(spec: DatasetSpec) -> SecretStr | None:
    """The shared ledger's url; None: a local file, or what TRAINSET_LEDGER says."""
    if spec.transfer.ledger is None:
        return None
    from blocks.resolve import resolve_ledger_url

    return resolve_ledger_url(spec.transfer.ledger)


def destinations_of(spec: DatasetSpec) -> dict[str, Destination]:
    """The places of rules that say ``to: block:<name>``, by that word."""
    named = _named(spec)
    if not named:
        return {}
    from blocks.resolve import resolve_destination

    return {to: resolve_destination(to) for to in named}


class Aside(NamedTuple):
    """What a command that runs no flow takes from blocks; see ``placed``."""

    spec: DatasetSpec
    credentials: Credentials | None
    destinations: dict[str, Destination]
    lakefs: LakeFSAccess | None


def resolved_aside(spec: DatasetSpec) -> Aside:
    """All of it; a server is asked only if it must be."""
    if not has_blocks(spec):
        return Aside(spec, None, {}, None)
    from flows.server import managed_server  # blocks lie on a server

    with managed_server():
        credentials, destinations = credentials_of(spec), destinations_of(spec)
        spec, lakefs = placed(spec)
        return Aside(spec, credentials, destinations, lakefs)


def _named(spec: DatasetSpec) -> list[str]:
    places = (route.to for route in spec.transfer.routes)
    return list(dict.fromkeys(to for to in places if to is not None and to.startswith(BLOCK)))
