"""``python -m flows``: run flows ad hoc, on your Prefect server or on one started for the run."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from trainset.errors import TrainsetError

FLOWS = {
    "pipeline": "transfer, sync, align, compute, commit and export: what dataset.yaml says",
    "transfer-media": "move new and changed media into the home, and commit their rows",
    "sync-metadata": "read new and changed labels, match them with media, and commit",
    "build-tables": "match all labels with all media again, and commit what changed",
    "compute-columns": "fill new, changed and failed cells of computed columns, and commit",
    "export-dataset": "write the exports of a commit or tag",
}
OTHERS = {
    "demo": "the whole way on a folder (or on a generated sample), no spec to write",
    "doctor": "what this machine, its credentials and B2 settings lack, and how to mend it",
    "ui": "open the Prefect UI over the runs that were recorded here",
    "register-blocks": "save the Prefect blocks for credentials and stores from the environment",
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m flows",
        description="Run flows on your Prefect server, or on one started for the run.",
        epilog="exit status: 0 done, 1 failed, 2 usage, 3 done but something new was left out",
    )
    commands = top.add_subparsers(
        dest="command", required=True, metavar="FLOW", title="flows, in the order of the data's way"
    )
    for name, text in FLOWS.items():
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("spec", type=Path, help="the dataset spec, dataset.yaml")
        one.add_argument("--dry-run", action="store_true", help="say what would happen, and stop")
        if name in ("pipeline", "compute-columns"):
            one.add_argument(
                "--retry-failed", action="store_true", help="compute failed cells again as well"
            )
        if name in ("pipeline", "transfer-media"):
            one.add_argument(
                "--retry-dead", action="store_true", help="send given-up files again as well"
            )
        if name == "export-dataset":
            one.add_argument("--ref", default="main", help="branch, tag or commit (default: main)")
            one.add_argument("--name", help="only this export of the spec")
        if name in ("pipeline", "compute-columns"):
            one.add_argument("--models", type=Path, help="folder of model weights")
    demo = commands.add_parser("demo", help=OTHERS["demo"], description=OTHERS["demo"])
    demo.add_argument("--source", type=Path, help="your folder of media and labels")
    demo.add_argument("--out", default="out/demo", help="the home: a folder or b2://bucket/prefix")
    demo.add_argument(
        "--model",
        help="another OpenCLIP model, as <name>/<weights>, e.g. "
        "ViT-B-32/laion2b_s34b_b79k; it is fetched where it is not on disk",
    )
    demo.add_argument("--dry-run", action="store_true", help="say what would happen, and stop")
    doctor = commands.add_parser("doctor", help=OTHERS["doctor"], description=OTHERS["doctor"])
    doctor.add_argument("--home", help="also look at this home or bucket")
    doctor.add_argument("--spec", type=Path, help="also look at the buckets that this spec names")
    doctor.add_argument(
        "--probe-lock",
        action="store_true",
        help="try whether the key may lock: leaves an object that governance locks for a day",
    )
    doctor.add_argument("--format", choices=["table", "json"], default="table")
    commands.add_parser("ui", help=OTHERS["ui"], description=OTHERS["ui"])
    blocks = commands.add_parser(
        "register-blocks", help=OTHERS["register-blocks"], description=OTHERS["register-blocks"]
    )
    blocks.add_argument("--from", dest="file", type=Path, help="a TOML file of blocks")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return _dispatch(options)
    except TrainsetError as err:
        print(f"{options.command}: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.command}: stopped; the same command takes up the work", file=sys.stderr)
        return 130


def _dispatch(options: argparse.Namespace) -> int:
    if options.command == "doctor":
        from flows.doctor import run_doctor

        return run_doctor(
            options.home, options.format, spec=options.spec, probe_lock=options.probe_lock
        )
    if options.command == "ui":
        from flows.server import serve_ui

        return serve_ui()
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
    if options.command == "register-blocks":
        from flows.server import managed_server

        with managed_server():
            from blocks.register import register_blocks

            return register_blocks(options.file)
    if options.command == "demo":
        from flows.demo import run_demo

        return run_demo(options)
    from flows.adhoc import run_flow

    return run_flow(options)


if __name__ == "__main__":
    logging.captureWarnings(True)
    sys.exit(main())
