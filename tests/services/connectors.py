"""Real Airbyte connectors, and dlt, in environments of their own; ``.ci/run`` installs them.

As a script it installs them: ``python tests/services/connectors.py``
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAKER, CDK = "source-faker==7.2.1", "airbyte-cdk==6.61.6"  # of one CDK: one download serves both
DLT = "dlt==1.31.0"


def installed() -> Path:
    """The folder of the environments, or skip the test where they are not installed."""
    from services.real import need
    from trainset.errors import NotFound
    from trainset.metadata.airbyte.environments import Wanted, find_connector

    folder = _folder()
    try:
        for name in (FAKER, CDK, DLT):
            find_connector(folder, Wanted.parse(name))
    except NotFound:
        need("Airbyte connectors", "python tests/services/connectors.py")
    return folder


def _folder() -> Path:
    return Path(os.environ.get("TRAINSET_CONNECTORS") or ROOT / ".venv-connectors").absolute()


if __name__ == "__main__":
    from trainset.metadata.airbyte.install import install_connector

    for name in (FAKER, CDK, DLT):
        install_connector(name, folder=_folder())
