"""Low-code manifests: a REST source written down as YAML or JSON, run by the Airbyte CDK."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trainset.errors import InputError, NotFound

SUFFIXES = (".yaml", ".yml", ".json")
PROGRAM = "source-declarative-manifest"


def is_manifest(source: str) -> bool:
    return source.lower().endswith(SUFFIXES)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest in a file.

    Raises:
        NotFound: there is no such file.
        InputError: this is no manifest.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML too
    except FileNotFoundError as err:
        raise NotFound(f"{path}: there is no such file; mend the name of the manifest") from err
    except (OSError, ValueError, yaml.YAMLError) as err:
        raise InputError(f"{path}: this is not YAML ({err}); mend it") from err
    if not isinstance(found, dict) or not {"version", "check"} <= found.keys():
        raise InputError(
            f"{path}: this is no low-code manifest; one has version:, type: DeclarativeSource, "
            "check: and streams:"
        )
    return found


def manifest_spec(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON schema of the configuration that a manifest asks for."""
    spec = manifest.get("spec")
    found = spec.get("connection_specification") if isinstance(spec, Mapping) else None
    return found if isinstance(found, Mapping) else {}
