"""``python -m flows``: run flows ad hoc, on your Prefect server or on one started for the run."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from flows.arguments import PLAN, REPLAY, parser
from trainset.errors import TrainsetError


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
    if options.command == "install-connector":
        from trainset.metadata.airbyte.install import install_connector

        for name in options.connectors:
            install_connector(name, python=options.python, wheels=options.wheels)
        return 0
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
    if options.command == PLAN:
        from flows.adhoc_plan import run_plan

        return run_plan(options)
    if options.command == "register-blocks":
        from flows.server import managed_server

        with managed_server():
            from blocks.register import register_blocks

            return register_blocks(options.file)
    if options.command == "demo":
        from flows.demo import run_demo

        return run_demo(options)
    if options.command == "collect-garbage":
        from flows.adhoc_collect import run_collect

        return run_collect(options)
    from flows.adhoc import run_flow, run_replay, run_verify

    if options.command == "verify-transfer":
        return run_verify(options)
    if options.command == REPLAY:
        return run_replay(options)
    return run_flow(options)


if __name__ == "__main__":
    logging.captureWarnings(True)
    sys.exit(main())
