"""Run the fake until it is interrupted: ``PYTHONPATH=tests python -m services.lakefs_fake``.

The first line on stdout is its URL.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import threading
from pathlib import Path

from services.lakefs_fake.blocks import Blocks, LocalBlocks, S3Blocks
from services.lakefs_fake.server import WARNING, LakeFSFake


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.lakefs_fake", description=WARNING)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--folder", type=Path, help="of the bytes (a new one, removed at the end)")
    parser.add_argument(
        "--external", action="append", default=[], help="a folder that links may name; repeatable"
    )
    parser.add_argument(
        "--s3",
        help="URL of an S3 server on loopback for the bytes; keys: S3_ACCESS_KEY, S3_SECRET_KEY",
    )
    given = parser.parse_args()
    with contextlib.ExitStack() as scratch:
        blocks: Blocks
        if given.s3:
            blocks = S3Blocks(given.s3, os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"])
        else:
            folder = given.folder or Path(
                scratch.enter_context(tempfile.TemporaryDirectory(prefix="lakefs-fake-"))
            )
            blocks = LocalBlocks(folder, given.external)
        fake = LakeFSFake(blocks, port=given.port)
        print(fake.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        fake.stop()


if __name__ == "__main__":
    main()
