"""Run one flow from the command line, against a Prefect server, and say how it went."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from flows.arguments import DECISIONS
from flows.server import managed_server
from trainset.errors import InputError
from trainset.model import RunSummary
from trainset.run.summary import read_text
from trainset.spec import DatasetSpec, load_spec
from trainset.spec_media import BLOCK


def run_flow(options: argparse.Namespace) -> int:
    """Run the flow that ``options.command`` names; returns the exit status."""
    spec = load_spec(options.spec)  # a fault in the spec is told before a server is started
    if options.dry_run:
        print(_dry_run(spec, options))
        return 0
    with managed_server():
        state = _flow(options.command)(str(options.spec), **_parameters(options), return_state=True)
        return tell(state, spec)


def run_replay(options: argparse.Namespace) -> int:
    """Run the flow that a replay is: a transfer, or from its last stage on a verification."""
    if options.stage != "verify":
        options.command, options.replay = "transfer-media", options.stage
        return run_flow(options)
    if options.where is not None:
        raise InputError("a replay from verify takes names of files; leave --where out")
    options.level, options.sample, options.seed = "L3", 1.0, 0
    options.ref, options.rates = "main", None
    return run_verify(options)


def _dry_run(spec: DatasetSpec, options: argparse.Namespace) -> str:
    from flows.dataset_run import choose_files
    from flows.resolved import resolved_aside
    from trainset.run.estimate import estimate_run
    from trainset.run.replay import count_letters

    given = _parameters(options)
    choice = choose_files(
        retry_dead=given.get("retry_dead", False),
        where=given.get("where"),
        manifest=given.get("from_manifest"),
        replay=given.get("replay"),
        files=given.get("files", ()),
    )
    spec, credentials, _, lakefs = resolved_aside(spec)
    about = {"only": choice["only"], "replay": choice["replay"] is not None, "lakefs": lakefs}
    if any(source.from_.startswith(BLOCK) for source in spec.metadata):
        with managed_server():  # where the addresses of its databases are kept
            from tasks.secret_blocks import open_block

            lines = estimate_run(spec, credentials, open_block=open_block, **about).lines()
    else:
        lines = estimate_run(spec, credentials, **about).lines()
    if given.get("retry_dead"):
        fit, all_ = count_letters(spec, choice["retry_where"])
        lines.append(f"Dead letters: {fit:,} of {all_:,} are tried again.")
    return "\n".join(lines)


def run_verify(options: argparse.Namespace) -> int:
    """Run the verification and print what it found; returns 1 when there are faults, else 0."""
    from trainset.run.verify_transfer import verify_text
    from trainset.transfer.verify_report import VerifyResult

    spec = load_spec(options.spec)  # a fault in it is told before a server is started
    if options.dry_run:
        print(_verify_estimate(spec, options))
        return 0
    with managed_server():
        from flows.verify_transfer import verify_transfer

        found = verify_transfer(
            str(options.spec),
            level=options.level,
            sample=options.sample,
            ref=options.ref,
            seed=options.seed,
            **{n: v for n, v in _parameters(options).items() if n in ("from_manifest", "files")},
            return_state=True,
        ).result(raise_on_failure=False)
    if not isinstance(found, VerifyResult):
        print(f"verify-transfer: failed: {found}", file=sys.stderr)
        return 1
    print(verify_text(found))
    return int(not found.ok)


def _verify_estimate(spec: DatasetSpec, options: argparse.Namespace) -> str:
    from datetime import UTC, datetime

    from flows.resolved import resolved_aside
    from trainset.run.verify_estimate import estimate_verify
    from trainset.run.verify_transfer import VerifyWork
    from trainset.transfer.rates import load_rates

    rates = load_rates(options.rates)
    spec, credentials, destinations, lakefs = resolved_aside(spec)
    work = VerifyWork(
        run_id="dry-run",
        at=datetime.now(UTC),
        spec=spec,
        ref=options.ref,
        sample=spec.transfer.sample if options.sample is None else options.sample,
        seed=options.seed,
        credentials=credentials,
        destinations=destinations,
        lakefs=lakefs,
    )
    return estimate_verify(work, rates).text()


def tell(state: Any, spec: DatasetSpec) -> int:
    """Print how a flow ended; returns the exit status."""
    outcome = state.result(raise_on_failure=False)
    if not isinstance(outcome, RunSummary):
        print(f"{spec.name}: failed: {outcome}", file=sys.stderr)
        print("The same command takes up the work where it stopped.", file=sys.stderr)
        return 1
    from flows.resolved import resolved_aside  # late: it may ask a server for blocks

    at = resolved_aside(spec)
    print(read_text(at.spec, outcome, credentials=at.credentials, lakefs=at.lakefs))
    return outcome.exit_code


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    names = ("retry_failed", "retry_dead", "prefer", "models", "ref", "name", "by", "run", "note")
    chosen = ("where", "from_manifest", "replay", "files")
    given = {name: getattr(options, name, None) for name in (*names, *chosen)}
    given["decision"] = options.command if options.command in DECISIONS else None
    return {name: value for name, value in given.items() if value not in (None, False, [])}


def _flow(command: str) -> Any:
    # Imported late: a flow module imports Prefect, whose settings the server must have set first.
    if command == "pipeline":
        from flows.pipeline import pipeline as flow
    elif command == "transfer-media":
        from flows.transfer_media import transfer_media as flow
    elif command == "sync-metadata":
        from flows.sync_metadata import sync_metadata as flow
    elif command == "build-tables":
        from flows.build_tables import build_tables as flow
    elif command == "compute-columns":
        from flows.compute_columns import compute_columns as flow
    elif command in DECISIONS:
        from flows.decide_run import decide_run as flow
    else:
        from flows.export_dataset import export_dataset as flow
    return flow
