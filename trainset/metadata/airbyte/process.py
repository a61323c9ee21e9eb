"""One run of a connector's program: its files, its output line by line, and its end.

Configuration, catalog and state are files that only this user can read, in a folder that goes away
with the run. The program has a process group of its own, so that its end takes its children along.
A guard does both when this process is killed: a shell that waits for its end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from trainset.errors import InputError, NotFound, TransientError

PREFIX = "trainset-connector-"
SILENT_S = 3600.0  # an API may be slow to answer, but not so slow
GRACE_S = 10.0  # between SIGTERM and SIGKILL
_POLL_S = 2.0
_TAIL = 40  # lines of stderr that an error shows
# Ours to know: a connector has what it needs in its configuration.
_OURS = ("B2_", "AWS_", "LAKEFS_", "PREFECT_", "TRAINSET_")
_OTHER_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_GUARD = """
read -r _ && exit
kill -s TERM -- "-$1"; sleep 5; kill -s KILL -- "-$1"; rm -rf -- "$2"
"""


class ConnectorProcess:
    """A context manager around one run.

    Args:
        program: the connector's executable.
        script: what it is given before the verb, where it only runs the connector.
        verb: spec, check, discover or read.
        files: option -> the contents of its file.
        environment: ours; what a connector must not see is left out.
        silent_s: seconds without a line after which it is given up.
    """

    def __init__(
        self,
        program: Path,
        verb: str,
        files: Mapping[str, bytes],
        environment: Mapping[str, str],
        *,
        script: Sequence[str] = (),
        silent_s: float = SILENT_S,
    ) -> None:
        self._program, self._verb, self._files = program, verb, files
        self._script = script
        self._environment, self._silent_s = environment, silent_s
        self._errors: deque[str] = deque(maxlen=_TAIL)
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ConnectorProcess:
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            self._process = self._start(self._folder)
            self._guard = _guard(self._process.pid, self._folder)
        except BaseException:
            self.stop()
            self._clear()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.stop()
        finally:
            self._clear()

    @property
    def exit_status(self) -> int:
        """After ``lines``: of the program; negative: the signal that ended it."""
        assert self._process is not None
        try:
            return self._process.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            self.stop()
            return self._process.returncode

    @property
    def complaints(self) -> str:
        """The last lines of stderr."""
        return "\n".join(self._errors)

    def lines(self) -> Iterator[bytes]:
        """Lines of stdout, until it ends.

        Raises:
            TransientError: nothing was said for ``silent_s``.
        """
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        pieces: dict[int, list[bytes]] = {}
        out, err = process.stdout.fileno(), process.stderr.fileno()
        silent = 0.0
        with selectors.DefaultSelector() as wait:
            for handle in (out, err):
                wait.register(handle, selectors.EVENT_READ)
                pieces[handle] = []
            while out in wait.get_map():
                ready = wait.select(min(_POLL_S, self._silent_s))
                silent = 0.0 if ready else silent + _POLL_S
                if not ready and process.poll() is not None:
                    break  # a child of it keeps the pipe open
                if silent >= self._silent_s:
                    raise TransientError(
                        f"{self._program.name} said nothing for {silent / 60:.0f} minutes; it was "
                        "stopped: try again, and ask for less at once if it goes on so"
                    )
                for key, _ in ready:
                    data = os.read(key.fd, 2**20)
                    if not data:
                        wait.unregister(key.fd)
                    found = _whole_lines(pieces[key.fd], data)
                    if key.fd == out:
                        yield from found
                    else:
                        self._errors += [line.decode("utf-8", "replace") for line in found]
            if err in wait.get_map():
                os.set_blocking(err, False)
                with contextlib.suppress(BlockingIOError):
                    while data := os.read(err, 2**20):
                        pieces[err].append(data)
        self._errors += b"".join(pieces[err]).decode("utf-8", "replace").splitlines()
        if last := b"".join(pieces[out]):
            yield last

    def stop(self) -> None:
        """End the program and what it started, if they still run: SIGTERM, later SIGKILL."""
        process = self._process
        if process is None or process.stdout is None or process.stdout.closed:
            return
        if process.poll() is None:
            self._signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=GRACE_S)
        # While its children live, no other group can have this number.
        if process.returncode is None or _is_held_open(process):
            self._signal(process, signal.SIGKILL)
        process.wait()

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        command = [str(self._program), *self._script, self._verb]
        for option, data in self._files.items():
            path = folder / f"{option}.json"
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            command += [f"--{option}", str(path)]
        try:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=_kept(self._environment) | {"DO_NOT_TRACK": "1", "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except FileNotFoundError as err:
            raise NotFound(
                f"{self._program}: there is no such program; install the connector again"
            ) from err
        except OSError as err:
            raise InputError(
                f"{self._program} cannot be run ({err.strerror}); name the connector's executable"
            ) from err

    def _signal(self, process: subprocess.Popen[bytes], number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)

    def _clear(self) -> None:
        if self._process is not None:
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.write(b"done\n")
            self._guard.stdin.close()
            self._guard.wait()


def _whole_lines(pieces: list[bytes], data: bytes) -> Sequence[bytes]:
    """Lines that ``data`` ends; the rest waits in ``pieces``."""
    if b"\n" not in data:
        pieces.append(data)
        return ()
    *lines, rest = data.split(b"\n")
    lines[0] = b"".join([*pieces, lines[0]])
    pieces[:] = [rest] if rest else []
    return lines


def _is_held_open(process: subprocess.Popen[bytes]) -> bool:
    """Whether someone still holds the output of a program that has ended."""
    assert process.stdout is not None
    handle = process.stdout.fileno()
    os.set_blocking(handle, False)
    try:
        while os.read(handle, 2**20):
            pass
    except BlockingIOError:
        return True
    return False


def _kept(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_OURS) and name not in _OTHER_PYTHON
    }


def _guard(group: int, folder: Path) -> subprocess.Popen[bytes]:
    """A shell whose input ends when this process does, however that comes."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "sh", str(group), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        bufsize=0,
    )
