"""A connector by its own command line: spec, check, discover, read. One process a call.

What it logs goes to our log, what it prints beside the protocol too; secrets are masked in both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from trainset.errors import InputError
from trainset.metadata.airbyte.config import Config, masking
from trainset.metadata.airbyte.failures import ended, failure, failure_of
from trainset.metadata.airbyte.process import ConnectorProcess
from trainset.metadata.airbyte.protocol import CatalogStream, States, parse_line

_log = logging.getLogger("trainset.connector")
# Its failures are errors that are raised here; what else it logs as one is a warning.
_LEVELS = {
    "FATAL": logging.WARNING,
    "ERROR": logging.WARNING,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
}


class Message(NamedTuple):
    """A message of the protocol; ``size`` in bytes of its line."""

    kind: str
    body: dict[str, Any]
    size: int


class Connector:
    """One connector with its configuration; not for threads.

    Args:
        name: for people, states and the log.
        program: its executable, found when it is first run.
        config: what it is configured with.
        environment: ours.
        spec: the JSON schema of its configuration where that is known; None: it is asked.
        manifest: for the CDK's own program: the low-code manifest that it runs.
        script: for a Python that runs the connector: the script and its arguments.
    """

    def __init__(
        self,
        name: str,
        program: Callable[[], Path],
        config: Config,
        environment: Mapping[str, str],
        *,
        spec: Callable[[], Mapping[str, Any] | None],
        manifest: Mapping[str, Any] | None = None,
        script: Sequence[str] = (),
    ) -> None:
        self.name, self._script = name, script
        self._program, self._config, self._environment = program, config, environment
        self._known_spec, self._manifest = spec, manifest
        self._spec: Mapping[str, Any] | None = None
        self._secrets: list[str] = []
        self._mask = masking([])

    def spec(self) -> Mapping[str, Any]:
        """The JSON schema of its configuration."""
        if self._spec is None:
            found = self._known_spec()
            if found is None:
                self._hide({})
                found = (
                    self._only("spec", "SPEC", {})
                    .get("spec", {})
                    .get("connectionSpecification", {})
                )
            self._config.refuse_clear_secrets(found)
            self._hide(found)
            self._spec = found
        return self._spec

    def check(self) -> None:
        """Raises what ``failure`` makes of a refusal."""
        self.spec()
        files = {"config": self._config.encode(self._manifest)}
        status = self._only("check", "CONNECTION_STATUS", files).get("connectionStatus", {})
        if status.get("status") != "SUCCEEDED":
            text = self._mask(str(status.get("message") or "the check failed"))
            raise failure(text, None, self.name)

    def discover(self) -> Mapping[str, Any]:
        """Its catalog."""
        self.spec()
        files = {"config": self._config.encode(self._manifest)}
        found = self._only("discover", "CATALOG", files).get("catalog")
        return found if isinstance(found, Mapping) else {}

    def read(self, stream: CatalogStream, states: States) -> Iterator[Message]:
        """Its RECORD and STATE messages, in order; closing the iterator ends it.

        Raises:
            InputError, AccessDenied, TransientError: it failed; what came before is good.
        """
        self.spec()
        files = {
            "config": self._config.encode(self._manifest),
            "catalog": orjson.dumps(stream.configured()),
        }
        if (known := states.for_connector()) is not None:
            files["state"] = orjson.dumps(known)
        return self._run("read", files)

    def _only(self, verb: str, kind: str, files: Mapping[str, bytes]) -> dict[str, Any]:
        """The body of the last message of this kind."""
        found = [m.body for m in self._run(verb, files) if m.kind == kind]
        if not found:
            raise InputError(
                f"{self.name} answered {verb!r} without {kind}; is this an Airbyte source?"
            )
        return found[-1]

    def _run(self, verb: str, files: Mapping[str, bytes]) -> Iterator[Message]:
        failed: list[Mapping[str, Any]] = []
        answered = False
        with ConnectorProcess(
            self._program(), verb, files, self._environment, script=self._script
        ) as process:
            for line in process.lines():
                try:
                    message = parse_line(line)
                except ValueError as err:
                    raise InputError(
                        f"{self.name}: {self._mask(str(err))}; nothing after it was read, and the "
                        "next sync asks for it again: mend that record, or try another version"
                    ) from None
                if message is None:
                    self._say("INFO", line.decode("utf-8", "replace"))
                    continue
                kind = message["type"]
                if kind == "LOG":
                    log = message.get("log") or {}
                    self._say(str(log.get("level")), str(log.get("message")))
                elif kind == "TRACE":
                    failed += self._failures(message.get("trace") or {})
                elif kind == "CONTROL":
                    self._controlled(message.get("control") or {})
                else:
                    answered = answered or kind == "CONNECTION_STATUS"
                    yield Message(kind, message, len(line))
            status = process.exit_status
            complaints = self._mask(process.complaints)
        if failed:
            if complaints:
                self._say("DEBUG", complaints)
            raise failure_of(failed[0], self.name)
        if not answered and (error := ended(status, complaints, self.name)) is not None:
            raise error

    def _failures(self, trace: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if trace.get("type") == "ERROR":
            error = trace.get("error") or {}
            self._say("DEBUG", str(error.get("stack_trace")))
            yield {
                name: self._mask(value) if isinstance(value, str) else value
                for name, value in error.items()
            }
        status = trace.get("stream_status") or {}
        if status.get("status") == "INCOMPLETE":
            yield {"message": "it says that the stream is incomplete"}

    def _controlled(self, control: Mapping[str, Any]) -> None:
        renewed = (control.get("connectorConfig") or {}).get("config")
        if not isinstance(renewed, Mapping):
            return
        self._config.update(renewed)
        self._hide(self._spec or {})
        self._say(
            "WARN",
            "it renewed its configuration, which holds for this sync only; where an API gives out "
            "tokens that are good for one use, save the new one in the block",
        )

    def _hide(self, spec: Mapping[str, Any]) -> None:
        """Mask the secrets of now as well; those of before stay masked."""
        self._secrets += self._config.secrets(spec)
        self._mask = masking(self._secrets)

    def _say(self, level: str, text: str) -> None:
        first, _, rest = self._mask(text).partition("\n")
        _log.log(_LEVELS.get(level, logging.DEBUG), "%s: %s", self.name, first)
        if rest:  # a traceback, mostly
            _log.debug("%s: %s", self.name, rest)
