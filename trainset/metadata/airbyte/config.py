"""A connector's configuration: where its secrets stand, and texts without them.

The connector's own spec marks secret fields (``airbyte_secret``). A file may hold ``${NAME}`` in
their place, which is read from the environment; the secret itself never stands in a file that is
kept beside a spec.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from trainset.errors import InputError, NotFound

EVERY = "*"  # in a path: each item of a list
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Config:
    """What a connector is configured with; shows none of it.

    Args:
        values: as the connector takes them; a text ``${NAME}`` stands for that variable.
        variables: the environment.
        file: where the values were read; None: they were handed over.
    Raises:
        NotFound: a variable is not set.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        variables: Mapping[str, str],
        *,
        file: Path | None = None,
    ) -> None:
        self._file = file
        self._from_environment: list[str] = []
        self._clear = dict(values)
        self._values = self._filled(self._clear, variables)

    def __repr__(self) -> str:
        return "Config(***)"

    @staticmethod
    def read(file: Path, variables: Mapping[str, str]) -> Config:
        """The JSON object in a file.

        Raises:
            NotFound: there is no such file, or a variable is not set.
            InputError: it holds no JSON object.
        """
        try:
            found = orjson.loads(file.read_bytes())
        except FileNotFoundError as err:
            raise NotFound(f"{file}: there is no such file; mend config:") from err
        except (OSError, ValueError) as err:
            raise InputError(f"{file}: this is no JSON ({err}); mend it") from err
        if not isinstance(found, dict):
            raise InputError(f"{file}: a connector's configuration is a JSON object; mend it")
        return Config(found, variables, file=file)

    def refuse_clear_secrets(self, spec: Mapping[str, Any]) -> None:
        """Raises InputError when a field that ``spec`` marks secret stands in a file in clear."""
        if self._file is None:
            return
        for path in secret_paths(spec):
            for value in _values_at(self._clear, path):
                if value not in (None, "") and not _is_variable(value):
                    raise InputError(
                        f"{self._file}: {'.'.join(path)} is a secret and stands there in clear; "
                        'write "${NAME}" and set that variable, or save a block '
                        "(config: block:<name>)"
                    )

    def secrets(self, spec: Mapping[str, Any]) -> list[str]:
        """Texts that nobody may see: secret fields, and what came from the environment."""
        found = [v for path in secret_paths(spec) for v in _values_at(self._values, path)]
        return [*self._from_environment, *(_plain(v) for v in found if v is not None)]

    def update(self, values: Mapping[str, Any]) -> None:
        """Take what the connector says its configuration is from now on (a renewed token)."""
        self._values = dict(values)

    def encode(self, manifest: Mapping[str, Any] | None = None) -> bytes:
        """The file that a connector is given."""
        injected = {} if manifest is None else {"__injected_declarative_manifest": dict(manifest)}
        return orjson.dumps({**self._values, **injected}, option=orjson.OPT_NON_STR_KEYS)

    def _filled(self, value: Any, variables: Mapping[str, str]) -> Any:
        if isinstance(value, Mapping):
            return {name: self._filled(one, variables) for name, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one, variables) for one in value]
        if not _is_variable(value):
            return value
        name = value[2:-1]
        if not variables.get(name):
            raise NotFound(
                f"{self._file or 'config'}: the environment variable {name} is not set; set it"
            )
        self._from_environment.append(variables[name])
        return variables[name]


def masking(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that gives texts without these secrets, however they are written there."""
    forms = {form for secret in secrets for form in _forms(secret)} - {""}
    if not forms:
        return lambda text: text
    # Longest first: a secret may hold another.
    any_of = re.compile("|".join(re.escape(f) for f in sorted(forms, key=len, reverse=True)))
    return lambda text: any_of.sub("***", text)


def secret_paths(spec: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Paths of the fields that a connector's spec (a JSON schema) marks as secret."""
    return list(dict.fromkeys(_secret_paths(spec, ())))


def _secret_paths(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not isinstance(schema, Mapping):
        return
    if schema.get("airbyte_secret") is True and path:
        yield path
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for name, one in properties.items():
            yield from _secret_paths(one, (*path, name))
    yield from _secret_paths(schema.get("items"), (*path, EVERY))
    for word in ("oneOf", "anyOf", "allOf"):
        for branch in schema.get(word) or ():
            yield from _secret_paths(branch, path)


def _values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if not path:
        yield value
    elif path[0] == EVERY and isinstance(value, list):
        for one in value:
            yield from _values_at(one, path[1:])
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _values_at(value[path[0]], path[1:])


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield base64.b64encode(secret.encode("utf-8", "replace")).decode()
    yield from (line for line in secret.splitlines() if len(line) > 8)  # of a private key
