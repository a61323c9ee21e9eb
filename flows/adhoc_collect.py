"""``python -m flows collect-garbage``: said in this process; removed by the flow, on a server."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from flows.resolved import resolved_aside
from flows.server import managed_server
from trainset.run.collect import CollectReport, CollectWork, collect_garbage
from trainset.spec import load_spec


def run_collect(options: argparse.Namespace) -> int:
    """Print what was found; returns 1 where the store refused to remove something, else 0."""
    spec = load_spec(options.spec)  # a fault in it is told before a server is started
    if options.apply:
        with managed_server():
            from flows.collect_garbage import collect_garbage as flow

            found = flow(
                str(options.spec),
                keep_days=options.keep_days,
                apply=True,
                hidden=options.hidden,
                return_state=True,
            ).result(raise_on_failure=False)
    else:
        found = collect_garbage(
            CollectWork(
                spec=spec,
                now=datetime.now(UTC),
                keep_days=options.keep_days,
                hidden=options.hidden,
                credentials=resolved_aside(spec).credentials,
            )
        )
    if not isinstance(found, CollectReport):
        print(f"collect-garbage: failed: {found}", file=sys.stderr)
        return 1
    as_json = options.format == "json"
    print(found.model_dump_json(indent=2) if as_json else "\n".join(found.lines))
    return int(found.done is not None and bool(found.done.refused))
