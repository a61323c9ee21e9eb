"""The arguments of ``python -m flows``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

# As ``trainset.transfer.attributes`` has them, whose import would make --help slow.
LISTED = "key, path, source, size, mime, modality, modified"
OF_DEAD_LETTERS = "key, path, source, size, mime, modality, kind, reason, attempts, since, run"

PLAN = "plan-transfer"
FLOWS = {
    "pipeline": "transfer, sync, align, compute, commit and export: what dataset.yaml says",
    PLAN: "say what a transfer would move and cost, by rule; reads no file, needs no server",
    "transfer-media": "move new and changed media into the home, and commit their rows",
    "sync-metadata": "read new and changed labels, match them with media, and commit",
    "build-tables": "match all labels with all media again, and commit what changed",
    "compute-columns": "fill new, changed and failed cells of computed columns, and commit",
    "export-dataset": "write the exports of a commit or tag",
}
REPLAY = "replay"
DECISIONS = {
    "approve": "let main move to the commit of a run that waits for it",
    "reject": "leave main where it is, and say why",
}
OTHERS = {
    REPLAY: "take files that are there already through a stage of the transfer again",
    "demo": "the whole way on a folder (or on a generated sample), no spec to write",
    "verify-transfer": "compare a commit's media with the places they were sent to",
    "collect-garbage": "remove table files and media that no commit, tag or run needs any more",
    "doctor": "what this machine, its credentials and B2 settings lack, and how to mend it",
    "ui": "open the Prefect UI over the runs that were recorded here",
    "install-connector": "install an Airbyte connector in an environment of its own",
    "register-blocks": "save the Prefect blocks for credentials and stores from the environment",
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m flows",
        description="Run flows on your Prefect server, or on one started for the run.",
        epilog="exit status: 0 done, 1 failed, 2 usage, 3 done but something new was left out, "
        "4 waiting for approval",
    )
    commands = top.add_subparsers(
        dest="command", required=True, metavar="FLOW", title="flows, in the order of the data's way"
    )
    for name, text in FLOWS.items():
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("spec", type=Path, help="the dataset spec, dataset.yaml")
        if name == PLAN:
            _plan_arguments(one)
            continue
        one.add_argument("--dry-run", action="store_true", help="say what would happen, and stop")
        if name in ("pipeline", "compute-columns"):
            one.add_argument(
                "--retry-failed", action="store_true", help="compute failed cells again as well"
            )
        if name in ("pipeline", "transfer-media"):
            one.add_argument(
                "--retry-dead", action="store_true", help="send given-up files again as well"
            )
            one.add_argument(
                "--where",
                metavar="CONDITION",
                help="of --retry-dead: only those that fit, in the language of rules, over "
                f"{OF_DEAD_LETTERS}: \"kind = 'access-denied' and path like 'a/%%'\"",
            )
        if name == "transfer-media":
            one.add_argument("--from-manifest", type=Path, metavar="FILE", help=_MANIFEST)
        if name != "export-dataset":
            _prefer_argument(one)
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
    demo.add_argument(
        "--versions",
        default="git",
        help="git (in the home), lakefs, or lakefs://<repository>; lakeFS needs LAKEFS_ENDPOINT …",
    )
    demo.add_argument("--dry-run", action="store_true", help="say what would happen, and stop")
    for name, text in DECISIONS.items():
        _decision_arguments(commands.add_parser(name, help=text, description=text))
    _verify_arguments(commands)
    _collect_arguments(commands)
    _replay_arguments(commands)
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
    text = OTHERS["install-connector"]
    connector = commands.add_parser("install-connector", help=text, description=text)
    connector.add_argument(
        "connectors",
        nargs="+",
        metavar="NAME==VERSION",
        help="source-faker==7.2.1; airbyte-cdk runs low-code manifests, dlt its own sources",
    )
    connector.add_argument("--python", help="the interpreter it asks for (default: this one)")
    connector.add_argument(
        "--wheels", type=Path, help="a folder of packages, for machines without network"
    )
    blocks = commands.add_parser(
        "register-blocks", help=OTHERS["register-blocks"], description=OTHERS["register-blocks"]
    )
    blocks.add_argument("--from", dest="file", type=Path, help="a TOML file of blocks")
    return top


def _decision_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("spec", type=Path, help="the dataset spec, dataset.yaml")
    one.add_argument("--by", required=True, metavar="NAME", help="who decides")
    one.add_argument("--run", metavar="ID", help="of the run (default: the only one that waits)")
    one.add_argument("--note", help="why, for those who read the run's summary")
    _prefer_argument(one)
    one.set_defaults(dry_run=False)


def _plan_arguments(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("--bandwidth", help="of your line, as 500Mbit/s (default: the spec's limit)")
    plan.add_argument(
        "--rates", type=Path, help="a file of prices, or backblaze-2025 (default: the newest)"
    )
    plan.add_argument(
        "--verify",
        choices=["L0", "L1", "L2", "L3", "L4"],
        help="count the calls of a verification too (default: the spec's level)",
    )
    plan.add_argument(
        "--sample", type=_share, help="how much L3 and L4 read: 1%% or 0.01 (default: the spec's)"
    )
    plan.add_argument("--format", choices=["table", "json"], default="table")


def _verify_arguments(commands: Any) -> None:
    text = OTHERS["verify-transfer"]
    verify = commands.add_parser("verify-transfer", help=text, description=text)
    verify.add_argument("spec", type=Path, help="the dataset spec, dataset.yaml")
    verify.add_argument(
        "--level",
        choices=["L2", "L3", "L4"],
        help="L2: a listing; L3: also read objects back; L4: also read the sources again "
        "(default: the spec's, at least L2)",
    )
    verify.add_argument(
        "--sample", type=_share, help="how much L3 and L4 read: 1%% or 0.01 (default: the spec's)"
    )
    verify.add_argument(
        "--dry-run", action="store_true", help="say what each level would ask and cost, and stop"
    )
    verify.add_argument(
        "--rates", type=Path, help="of a dry run: a file of prices, or backblaze-2025"
    )
    verify.add_argument("--seed", type=int, default=0, help="chooses the sample (default: 0)")
    verify.add_argument("--ref", default="main", help="branch, tag or commit (default: main)")


_MANIFEST = (
    "look at these files only: a key or source uri a line, or CSV or Parquet with a column `key` "
    "(so also a run's transfer.csv); a name that no source lists is a failure of its own"
)


def _replay_arguments(commands: Any) -> None:
    text = OTHERS[REPLAY]
    replay = commands.add_parser(
        REPLAY,
        help=text,
        description=f"{text}. route: ask the rules again, and send what they now send elsewhere. "
        "read: also read the source again. send: also read back what lies at the destination, and "
        "replace other bytes. verify: read back what lies there, and change nothing.",
    )
    replay.add_argument("spec", type=Path, help="the dataset spec, dataset.yaml")
    replay.add_argument(
        "--from",
        dest="stage",
        choices=["route", "read", "send", "verify"],
        required=True,
        help="the stage to begin from",
    )
    replay.add_argument(
        "--files", nargs="+", metavar="NAME", help="these files: a key or a source uri each"
    )
    replay.add_argument("--from-manifest", type=Path, metavar="FILE", help=_MANIFEST)
    replay.add_argument(
        "--where",
        metavar="CONDITION",
        help=f"only files that fit, in the language of rules, over {LISTED}",
    )
    replay.add_argument("--dry-run", action="store_true", help="say what would happen, and stop")


def _prefer_argument(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--prefer",
        choices=["ours", "theirs"],
        help="where main moved meanwhile and both changed a value: keep main's (ours) or "
        "take this run's (theirs); default: stop and list them",
    )


def _collect_arguments(commands: Any) -> None:
    text = OTHERS["collect-garbage"]
    collect = commands.add_parser("collect-garbage", help=text, description=text)
    collect.add_argument("spec", type=Path, help="the dataset spec, dataset.yaml")
    collect.add_argument(
        "--apply", action="store_true", help="remove it (default: say what would go, and stop)"
    )
    collect.add_argument(
        "--keep-days",
        type=float,
        default=7,
        help="what changed in the last DAYS stays (default: 7)",
    )
    collect.add_argument(
        "--hidden",
        action="store_true",
        help="on a bucket that keeps versions: remove for good, old versions too",
    )
    collect.add_argument("--format", choices=["table", "json"], default="table")


def _share(text: str) -> float:
    share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: write 0% to 100%, or 0 to 1")
    return share
