"""One of several processes that merge into the same home at the same moment. Usage: <home> <n>

Says ``ready`` once its run is committed, merges when it is told to go on, looks for itself whether
main has the commit that it was told of, and says ``merged <id>``.
"""

from __future__ import annotations

import sys
from typing import Any

from version_rows import TABLES, put_rows

from trainset.home import open_home
from trainset.versions.base import MainMoved
from trainset.versions.replay import replay


def main(home: str, number: int) -> None:
    versions = open_home(home).versions
    workspace: Any = versions.begin(f"w{number}")
    put_rows(workspace, "media", {f"new{number}": (number, "new"), f"k{number}": (-1, "changed")})
    TABLES.open(workspace.table("media")).delete(f"key = 'gone{number}'")
    assert workspace.commit(f"w{number}", {}) is not None
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        try:
            merged = workspace.merge().id
            assert merged in {commit.id for commit in open_home(home).versions.log()}
            print("merged", merged, flush=True)
            return
        except MainMoved:
            workspace = replay(versions, workspace).workspace
            assert workspace.commit(f"w{number}", {}) is not None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
