"""Install a connector: a virtual environment, its package in it, and a first question to it.

An explicit step with network; syncs never install anything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from trainset.errors import InputError, TransientError
from trainset.metadata.airbyte.config import Config
from trainset.metadata.airbyte.connector import Connector
from trainset.metadata.airbyte.environments import (
    CDK,
    DLT,
    Installed,
    Wanted,
    connectors_folder,
    environment_of,
    read_note,
    write_note,
)
from trainset.versions.locks import StoreLock

Say = Callable[[str], None]
_VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
_OFFLINE = ("network", "connect", "failed to resolve", "dns", "timed out", "retries")


def install_connector(
    connector: str,
    *,
    python: str | None = None,
    wheels: Path | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    say: Say = print,
) -> Installed:
    """Make the environment of a connector, unless it is there.

    Args:
        connector: ``source-faker==7.2.1``; without a version the newest is taken, and recorded.
            ``airbyte-cdk`` runs low-code manifests, ``dlt`` sources of dlt.
        python: the interpreter that the connector asks for; None: the one that runs this.
        wheels: a folder of packages to install from, for machines without network.
        folder: of all environments; None: ``TRAINSET_CONNECTORS``, else the user's cache.
        environment: variables for the installer; None: those of this process.
        say: is given lines of progress.
    Raises:
        InputError: there is no such package, it does not fit this Python, or it does not run.
        TransientError: the package index cannot be reached.
    """
    environment = dict(os.environ) if environment is None else environment
    wanted = Wanted.parse(connector)
    root = folder or connectors_folder(environment)
    place = environment_of(root, wanted)
    with StoreLock(root / f".{wanted.pinned}.lock"):
        if (there := read_note(place)) is not None:
            say(f"{wanted.name} {there.version} is installed in {place}")
            return there
        say(f"installing {wanted.pinned} in {place}")
        shutil.rmtree(place, ignore_errors=True)  # what a killed try left
        settings = _settings(environment)
        for command in _commands(wanted, place, python or sys.executable, wheels):
            _run(command, settings, wanted, say)
        note = _asked(wanted, place, environment)
        write_note(place, note)
    say(f"{wanted.name} {note.version} is ready")
    return note


def _commands(
    wanted: Wanted, place: Path, python: str, wheels: Path | None
) -> Iterator[Sequence[str]]:
    requirement = wanted.package + (f"=={wanted.version}" if wanted.version else "")
    local = () if wheels is None else ("--no-index", "--find-links", str(wheels.absolute()))
    inside = str(place / "bin" / "python")
    if uv := _uv():
        yield [uv, "venv", "--quiet", "--no-project", "--python", python, str(place)]
        compiled = "--compile-bytecode"  # once, and not at every start where that is not allowed
        yield [uv, "pip", "install", compiled, "--python", inside, *local, requirement]
    else:
        yield [python, "-m", "venv", str(place)]
        yield [inside, "-m", "pip", "install", "--disable-pip-version-check", *local, requirement]


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    """uv reads its own settings only: hand pip's mirror on, as the set-up of this project does."""
    kept = {n: v for n, v in environment.items() if n not in ("PYTHONPATH", "VIRTUAL_ENV")}
    if "UV_DEFAULT_INDEX" not in kept:
        asked = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
            env=kept,
            capture_output=True,
            text=True,
        )
        if mirror := kept.get("PIP_INDEX_URL") or asked.stdout.strip():
            kept["UV_DEFAULT_INDEX"] = mirror
    return {"UV_SYSTEM_CERTS": "1"} | kept


def _run(command: Sequence[str], settings: Mapping[str, str], wanted: Wanted, say: Say) -> None:
    said: list[str] = []
    with subprocess.Popen(
        command,
        env=dict(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip())
            if line.strip() and not line.startswith(" + "):  # one line for each package
                say(line.rstrip())
    if process.returncode == 0:
        return
    text = " ".join(" ".join(said[-12:]).split())[-1000:]
    offline = (
        f"without network, fetch the packages elsewhere (pip download {wanted.package} -d wheels) "
        f"and run: python -m flows install-connector {wanted.pinned} --wheels wheels"
    )
    kind = TransientError if any(w in text.lower() for w in _OFFLINE) else InputError
    raise kind(
        f"{wanted.pinned} could not be installed: {text}; check the name, the version and the "
        f"Python that it asks for (--python); {offline}"
    )


def _asked(wanted: Wanted, place: Path, environment: Mapping[str, str]) -> Installed:
    """The note of an environment, from what is in it. Raises InputError when it does not run."""
    version = subprocess.run(
        [place / "bin" / "python", "-c", _VERSION, wanted.package],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    program = place / "bin" / wanted.program
    if not program.exists():
        raise InputError(
            f"{wanted.package} {version} brings no program {wanted.program!r}; is this a source?"
        )
    spec = None
    if wanted.name not in (CDK, DLT):
        asked = Connector(
            wanted.name, lambda: program, Config({}, {}), environment, spec=lambda: None
        )
        spec = dict(asked.spec())
    return Installed(name=wanted.name, version=version, program=wanted.program, spec=spec)
