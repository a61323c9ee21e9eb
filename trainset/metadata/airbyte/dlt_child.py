"""A dlt source as an Airbyte source; runs in an environment that has dlt, and needs nothing else.

    python dlt_child.py [--stream NAME …] FILE.py:FUNCTION VERB [--config FILE] [--state FILE] …

``FUNCTION`` gives a dlt source or resource; it is called with the configuration as its arguments.
What dlt knows of a stream (primary key, incremental cursor, columns) goes into the catalog; the
types of other fields are those of its first page. dlt's own state is the stream's state, said once
a stream is read to its end, because dlt's cursor holds only then. Source: dlthub.com/docs.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

_OUT = sys.stdout
_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": ["null", "string"]},
    "bigint": {"type": ["null", "integer"]},
    "double": {"type": ["null", "number"]},
    "bool": {"type": ["null", "boolean"]},
    "timestamp": {"type": ["null", "string"], "format": "date-time"},
    "date": {"type": ["null", "string"], "format": "date"},
}


def main() -> int:
    options = _options()
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    sys.stdout = sys.stderr  # what a source prints is no message
    try:
        function = load(options.source)
        if options.verb == "spec":
            say("SPEC", spec={"connectionSpecification": configuration_of(function)})
            return 0
        made = function(**_read(options.config, {}))
        resources = resources_of(made, function)
        if options.verb == "check":
            say("CONNECTION_STATUS", connectionStatus={"status": "SUCCEEDED"})
        elif options.verb == "discover":
            wanted = [n for n in resources if not options.stream or n in options.stream]
            others = [{"name": name, "json_schema": {}} for name in resources if name not in wanted]
            streams = [describe(resources[name], made) for name in wanted]
            say("CATALOG", catalog={"streams": [*streams, *others]})
        else:
            (asked,) = _read(options.catalog, {})["streams"]
            read(made, resources, asked, _read(options.state, []))
    except Exception as err:
        error = {
            "message": f"{type(err).__name__}: {err}",
            "failure_type": "config_error" if options.verb != "read" else "system_error",
            "stack_trace": traceback.format_exc(),
        }
        say("TRACE", trace={"type": "ERROR", "emitted_at": time.time() * 1000, "error": error})
        return 1
    return 0


def load(source: str) -> Callable[..., Any]:
    """The function that ``FILE.py:FUNCTION`` or ``package.module:FUNCTION`` names."""
    place, _, name = source.rpartition(":")
    if place.endswith(".py"):
        path = Path(place)
        sys.path.insert(0, str(path.parent))
        found = importlib.util.spec_from_file_location(path.stem, path)
        if found is None or found.loader is None or not path.exists():
            raise FileNotFoundError(f"{place}: there is no such file; mend dlt: in the spec")
        module = importlib.util.module_from_spec(found)
        sys.modules[path.stem] = module
        found.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    function = getattr(module, name, None)
    if not callable(function):
        raise AttributeError(f"{place} has no function {name!r}; mend dlt: in the spec")
    found_function: Callable[..., Any] = function
    return found_function


def configuration_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments of the function as a JSON schema; dlt's secrets are marked."""
    import dlt  # here and below: this module is part of a library that does without

    properties: dict[str, Any] = {}
    for name, one in inspect.signature(function).parameters.items():
        secret = one.default is dlt.secrets.value or "Secret" in str(one.annotation)
        properties[name] = {"airbyte_secret": True} if secret else {}
    return {"type": "object", "properties": properties}


def resources_of(made: Any, function: Callable[..., Any]) -> dict[str, Any]:
    """Resources by name; a plain generator becomes one, called as its function."""
    import dlt

    if hasattr(made, "selected_resources"):
        return dict(made.selected_resources)
    if not hasattr(made, "compute_table_schema"):
        made = dlt.resource(made, name=getattr(function, "__name__", "rows"))
    return {made.name: made}


def describe(resource: Any, made: Any) -> dict[str, Any]:
    """One stream of the catalog."""
    columns = resource.compute_table_schema().get("columns", {})
    properties = {name: property_of(rows) for name, rows in _first_page(resource, made).items()}
    for name, hints in columns.items():
        if known := _TYPES.get(hints.get("data_type", "")):
            properties[name] = known
    key = [[name] for name, hints in columns.items() if hints.get("primary_key")]
    cursor = cursor_of(resource)
    stream: dict[str, Any] = {
        "name": resource.name,
        "json_schema": {"type": "object", "properties": properties},
        "supported_sync_modes": ["full_refresh"] + (["incremental"] if cursor else []),
        "source_defined_primary_key": key,
    }
    if cursor:
        stream |= {"source_defined_cursor": True, "default_cursor_field": cursor.split(".")}
    return stream


def cursor_of(resource: Any) -> str | None:
    """The path of its incremental cursor; None: it gives everything each time."""
    wrapper = getattr(resource, "incremental", None)
    found = getattr(wrapper, "incremental", None) or wrapper
    path = getattr(found, "cursor_path", None)
    return str(path).removeprefix("$.") if path else None


def property_of(values: list[Any]) -> dict[str, Any]:
    """The type that all values of a field have; text where they have several."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, bool} and bool in kinds and len(kinds) > 1:
        return _TYPES["text"]
    if kinds and kinds <= {int, float} and kinds != {int}:
        return _TYPES["double"]
    names = {int: "bigint", bool: "bool", datetime: "timestamp", date: "date", str: "text"}
    name = names.get(kinds.pop()) if len(kinds) == 1 else None
    return _TYPES[name] if name else {}


def read(made: Any, resources: dict[str, Any], asked: dict[str, Any], states: Any) -> None:
    """Say the records of one stream, and then its state."""
    from dlt.common.json import json as dlt_json

    name = asked["stream"]["name"]
    wanted = asked["sync_mode"] == "incremental"
    known = [one["stream"]["stream_state"] for one in states if one.get("type") == "STREAM"]
    past = dlt_json.typed_loads(known[-1]["dlt"]) if known and wanted else {}
    with _state(past) as state:
        for row in rows_of(resources[name], made):
            record = {"stream": name, "data": row, "emitted_at": int(time.time() * 1000)}
            say("RECORD", record=record)
    if wanted:
        kept = {"dlt": dlt_json.typed_dumps(state)}  # times in it stay times
        stream = {"stream_descriptor": {"name": name}, "stream_state": kept}
        say("STATE", state={"type": "STREAM", "stream": stream})


def rows_of(resource: Any, made: Any) -> Iterator[Any]:
    """Rows of a resource; pages, Arrow tables and data frames are taken apart."""
    source = made.with_resources(resource.name) if hasattr(made, "with_resources") else resource
    for page in source:
        if hasattr(page, "to_pylist"):
            yield from page.to_pylist()
        elif hasattr(page, "to_dict") and hasattr(page, "columns"):
            yield from page.to_dict("records")
        elif isinstance(page, list):
            yield from page
        else:
            yield page


@contextmanager
def _state(past: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Let sources find the state of before; gives what they make of it."""
    from dlt.common.configuration.container import Container
    from dlt.common.pipeline import StateInjectableContext

    context = StateInjectableContext(state=past)
    with Container().injectable_context(context):
        yield context.state


def _first_page(resource: Any, made: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    with _state({}):
        rows = rows_of(resource, made)
        for _, row in zip(range(100), rows, strict=False):
            for name, value in row.items() if isinstance(row, dict) else ():
                found.setdefault(str(name), []).append(value)
    return found


def say(kind: str, **body: Any) -> None:
    from dlt.common.json import json as dlt_json

    _OUT.write(dlt_json.dumps({"type": kind, **body}) + "\n")
    _OUT.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stream", action="append", help="look at no other's first page")
    parser.add_argument("source")
    parser.add_argument("verb", choices=["spec", "check", "discover", "read"])
    for name in ("config", "catalog", "state"):
        parser.add_argument(f"--{name}", type=Path)
    return parser.parse_args()


def _read(path: Path | None, otherwise: Any) -> Any:
    return otherwise if path is None else json.loads(path.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
