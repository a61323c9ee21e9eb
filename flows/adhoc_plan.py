"""``python -m flows plan-transfer``: the plan in this process; no server, nothing is written."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from tqdm import tqdm

from flows.resolved import resolved_aside
from trainset.run.plan_report import plan_report
from trainset.run.plan_text import plan_text
from trainset.spec import load_spec
from trainset.transfer.rates import load_rates


def run_plan(options: argparse.Namespace) -> int:
    """Print what a transfer would move and cost; progress goes to stderr."""
    spec = load_spec(options.spec)
    rates = load_rates(options.rates)
    spec, credentials, destinations, lakefs = resolved_aside(spec)
    with tqdm(desc="listing", unit=" files", disable=None) as bar:

        def show(listed: int) -> None:
            bar.update(listed - bar.n)

        report = plan_report(
            spec,
            credentials,
            destinations=destinations,
            lakefs=lakefs,
            now=datetime.now(UTC),
            bandwidth=options.bandwidth,
            rates=rates,
            verify=options.verify,
            sample=options.sample,
            progress=show,
        )
    print(report.model_dump_json(indent=2) if options.format == "json" else plan_text(report))
    return 0
