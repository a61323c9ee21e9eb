"""One of several processes that merge into the same home. Usage: <home> <n> <runs>"""

from __future__ import annotations

import sys
from typing import Any

from version_rows import open_git, put_rows

from trainset.home import open_home
from trainset.versions.base import MainMoved
from trainset.versions.replay import replay


def main(home: str, number: int, runs: int) -> None:
    versions = open_git(open_home(home))
    for m in range(runs):
        workspace: Any = versions.begin(f"w{number}-{m}")
        put_rows(workspace, "media", {f"w{number}-{m}": (number, str(m))})
        while True:
            assert workspace.commit(f"w{number}-{m}", {}) is not None
            try:
                workspace.merge()
                break
            except MainMoved:
                workspace = replay(versions, workspace).workspace


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
