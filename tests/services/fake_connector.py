"""Connectors made for a test: a program that says what a script of the test tells it to.

They speak the protocol's corner cases; the real connectors are in ``services.connectors``.
"""

from __future__ import annotations

import sys
from pathlib import Path

_HEAD = """#!{python}
import json, os, signal, subprocess, sys, time
verb, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2]))
files = {{name[2:]: json.load(open(path)) for name, path in options.items()}}
config, state = files.get("config", {{}}), files.get("state")
def say(**message): print(json.dumps(message), flush=True)
def record(stream="t", **data):
    say(type="RECORD", record={{"stream": stream, "data": data, "emitted_at": 1}})
def reached(**at):
    one = {{"stream_descriptor": {{"name": "t"}}, "stream_state": at}}
    counted = {{"recordCount": 1.0}}
    say(type="STATE", state={{"type": "STREAM", "stream": one, "sourceStats": counted}})
def fail(message, kind="system_error", status=1, **more):
    error = {{"message": message, "failure_type": kind, **more}}
    say(type="TRACE", trace={{"type": "ERROR", "emitted_at": 1, "error": error}})
    sys.exit(status)
SCHEMA = {{"type": "object", "properties": {{"id": {{"type": "integer"}},
    "n": {{"type": ["null", "integer"]}}, "text": {{"type": "string"}}}}}}
STREAM = {{"name": "t", "json_schema": SCHEMA,
    "supported_sync_modes": ["full_refresh", "incremental"],
    "source_defined_cursor": True, "default_cursor_field": ["n"],
    "source_defined_primary_key": [["id"]]}}
SPEC = {{"type": "object", "properties": {{"token": {{"type": "string", "airbyte_secret": True}}}}}}
def spec(): say(type="SPEC", spec={{"connectionSpecification": SPEC}})
def check(): say(type="CONNECTION_STATUS", connectionStatus={{"status": "SUCCEEDED"}})
def discover(): say(type="CATALOG", catalog={{"streams": [STREAM]}})
def read(): pass
"""
_FOOT = """
{"spec": spec, "check": check, "discover": discover, "read": read}[verb]()
"""


def write_connector(folder: Path, script: str, name: str = "source-fake") -> Path:
    """A program in ``folder``; ``script`` redefines spec, check, discover, read or their data."""
    program = folder / name
    program.write_text(_HEAD.format(python=sys.executable) + script + _FOOT, encoding="utf-8")
    program.chmod(0o755)
    return program
