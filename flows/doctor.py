"""``python -m flows doctor``: what the machine, credentials and bucket lack, and what to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from flows.doctor_bucket import Place, bucket_checks, place_checks, places_of
from flows.doctor_check import Check, State, as_table, failed
from flows.doctor_connectors import connector_checks
from flows.doctor_lakefs import lakefs_checks
from flows.server import check_reachable, configured_url, prefect_home
from trainset.errors import TrainsetError
from trainset.spec import DatasetSpec, load_spec

GIB = 2**30

PARTS = {  # what a part needs, and the extra that brings it
    "embeddings": ("clip", ("torch", "open_clip", "safetensors")),
    "OCR": ("ocr", ("rapidocr", "onnxruntime")),
    "video, audio, PDF": ("media", ("av", "pypdfium2", "imagehash")),
}


def run_doctor(
    home: str | None = None,
    output: str = "table",
    *,
    spec: Path | None = None,
    probe_lock: bool = False,
) -> int:
    """Print the report on stdout; returns 1 when something must be mended, else 0.

    Args:
        home: a folder or bucket to look at as well; default: OUT of the environment.
        output: table or json.
        spec: a dataset spec whose home and buckets are looked at, with what it asks of them.
        probe_lock: write an object with a lock of a day where the spec locks.
    """
    dataset = load_spec(spec) if spec else None
    home = home or (dataset.home if dataset else os.environ.get("OUT")) or None
    found = checks(home, os.environ, dataset, probe_lock=probe_lock)
    if output == "json":
        print(json.dumps([asdict(check) for check in found], indent=2))
    else:
        print(as_table(found))
    return int(any(check.state == "fail" for check in found))


def checks(
    home: str | None,
    environment: Mapping[str, str],
    spec: DatasetSpec | None = None,
    *,
    probe_lock: bool = False,
) -> list[Check]:
    """Look at everything; problems are lines of the report, never errors."""
    local = home is None or "://" not in home
    found = [_python(), *_packages(), *_parts(), *_tools(), *_disks(home if local else None)]
    if home is not None and local:
        found.append(_dataset(home))
    now = datetime.now(UTC)
    first, *others = [*_places(home, spec), None]
    lines = bucket_checks(first, environment, now, probe_lock=probe_lock)
    found += lines
    if not any(line.state == "fail" and line.name in ("credentials", "endpoint") for line in lines):
        for place in filter(None, others):
            found += [
                replace(line, name=f"{line.name} ({place.url})")
                for line in place_checks(place, now, probe_lock=probe_lock)
            ]
    found += lakefs_checks(home, spec)
    if spec is not None:
        found += connector_checks(spec, environment)
    return [*found, _prefect()]


def _places(home: str | None, spec: DatasetSpec | None) -> list[Place]:
    """Buckets to look at, the home first."""
    places = list(places_of(spec)) if spec else []
    if home is not None and "://" in home and home not in [place.url for place in places]:
        places.insert(0, Place(home))
    return places


def _python() -> Check:
    fits = (3, 11) <= sys.version_info[:2] < (3, 15)
    fix = "" if fits else "install Python 3.11 to 3.14, remove .venv, and run: make setup"
    return Check("Python", "ok" if fits else "fail", sys.version.split()[0], fix)


def _packages() -> list[Check]:
    """Installed versions against what the project asks for."""
    try:
        wanted = [Requirement(text) for text in distribution("trainset").requires or ()]
    except PackageNotFoundError:
        return [Check("trainset", "fail", "not installed", "run: make setup")]
    wrong = []
    for need in wanted:
        if need.marker and not need.marker.evaluate({"extra": "app"}):
            continue  # of another extra, or of another system
        try:
            has = version(need.name)
        except PackageNotFoundError:
            wrong.append(f"{need.name} is missing")
            continue
        if not need.specifier.contains(has, prereleases=True):
            wrong.append(f"{need.name} {has} (needs {need.specifier})")
    state: State = "fail" if wrong else "ok"
    said = ", ".join(wrong) or ", ".join(
        f"{name} {version(name)}"
        for name in ("trainset", "pylance", "pygit2", "prefect", "fastapi")
    )
    return [Check("packages", state, said, "run: make setup" if wrong else "")]


def _parts() -> list[Check]:
    lines = []
    for part, (extra, modules) in PARTS.items():
        missing = [name for name in modules if find_spec(name) is None]
        fix = f"run: make setup, or: pip install 'trainset[{extra}]'" if missing else ""
        said = f"{', '.join(missing)} missing" if missing else ", ".join(modules)
        lines.append(Check(part, "warn" if missing else "ok", said, fix))
    return lines


def _tools() -> list[Check]:
    lines = []
    for name in ("make", "git"):
        where = shutil.which(name)
        fix = "" if where else f"install it, e.g.: sudo apt-get install -y {name}"
        lines.append(Check(name, "ok" if where else "warn", where or "not on PATH", fix))
    return lines


def _disks(home: str | None) -> list[Check]:
    """Free space and reflinks where the home lies; free space where Prefect's database lies."""
    lines = [_space("disk for Prefect", _existing(prefect_home()))]
    if home is not None:
        folder = _existing(Path(home).expanduser().absolute())
        lines += [_space("disk for the home", folder), _reflink(folder)]
    return lines


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.is_dir())


def _space(name: str, folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    state: State = "ok" if free > 5 * GIB else "warn" if free > GIB else "fail"
    fix = "" if state == "ok" else "make room, or put the home on another disk (OUT=…)"
    return Check(name, state, f"{free / GIB:.1f} GiB free at {folder}", fix)


def _reflink(folder: Path) -> Check:
    from trainset.stores.atomic import can_clone

    try:
        shares = can_clone(folder)
    except OSError as err:
        return Check(
            "write to the home", "fail", f"{folder}: {err.strerror}", "allow it, or choose OUT=…"
        )
    said = "yes: copies share disk blocks" if shares else "no: copies take as much disk as media"
    return Check("reflinks", "ok", said)


def _dataset(home: str) -> Check:
    from trainset.home import CONFIG, open_home

    if not (Path(home).expanduser() / CONFIG).exists():
        return Check("home", "ok", f"{home}: no dataset yet", "")
    try:
        found = open_home(home)
        head = found.versions.head()
    except TrainsetError as err:
        return failed("home", err, "restore it from a backup")
    said = f"layout {found.config.layout}, main at {head.id[:12]}" if head else "no commit yet"
    return Check("home", "ok", f"{home}: {said}")


def _prefect() -> Check:
    try:
        url = configured_url()
        if url:
            check_reachable(url)
            return Check("Prefect server", "ok", f"yours, at {url}")
    except TrainsetError as err:
        return failed("Prefect server", err, "mend PREFECT_API_URL")
    with socket.socket() as probe:
        free = probe.connect_ex(("127.0.0.1", 4200)) != 0
    port = "port 4200" if free else "another port than 4200, which is taken"
    return Check(
        "Prefect server", "ok", f"started for each run, on {port}; kept in {prefect_home()}"
    )
