"""The doctor's look at the lakeFS server that keeps a dataset's versions. Shows no secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flows.doctor_check import Check, failed
from trainset.errors import TrainsetError
from trainset.model import LAKEFS

if TYPE_CHECKING:
    from trainset.spec import DatasetSpec
    from trainset.versions.lakefs.objects import Repository

OLDEST = (1, 47)  # of the server; older ones answer some of our requests otherwise
VARIABLES = "set LAKEFS_ENDPOINT, LAKEFS_ACCESS_KEY_ID and LAKEFS_SECRET_ACCESS_KEY"


def lakefs_checks(home: str | None, spec: DatasetSpec | None) -> list[Check]:
    """Lines about the server and the repository, where a home or a spec names one."""
    url = home if home is not None and home.startswith(LAKEFS) else None
    access = None
    try:
        if spec is not None and url is None:
            from flows.resolved import resolved_aside  # late: blocks may need a server started

            dataset, _, _, access = resolved_aside(spec)
            url = dataset.versions if dataset.versions.startswith(LAKEFS) else None
        if url is None:
            return []
        from trainset.versions.lakefs.home import open_repository

        return _look(open_repository(url, access))
    except TrainsetError as err:
        return [failed("lakeFS server", err, VARIABLES)]


def _look(repository: Repository) -> list[Check]:
    version, store = repository.server_version(), repository.block_store()
    said = f"{version} at {repository.access.url}, objects in a store of kind {store}"
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        fix = f"update it to {'.'.join(map(str, OLDEST))} or later"
        return [Check("lakeFS server", "fail", said, fix)]
    return [Check("lakeFS server", "ok", said), _repository(repository)]


def _repository(repository: Repository) -> Check:
    from trainset.versions.base import MAIN
    from trainset.versions.lakefs.access import NAMESPACE

    name, namespace = "lakeFS repository", repository.namespace()
    if namespace is not None:
        said = f"{repository.name}, in {namespace}"
        if repository.is_protected(MAIN):
            return Check(name, "ok", f"{said}; {MAIN} moves by merge only")
        fix = f"protect {MAIN} in the repository's settings, under branches"
        return Check(name, "warn", f"{said}; anybody may write to {MAIN}", fix)
    if parent := repository.access.storage_namespace:
        said = f"the first run makes {repository.name} below {parent}"
        return Check(name, "ok", said)
    fix = f"set {NAMESPACE}=s3://bucket/lakefs, the place below which the first run makes it"
    return Check(name, "fail", f"there is no repository {repository.name}", fix)
