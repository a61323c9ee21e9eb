"""Where a finished export goes: a folder of the home, or a prefix of its bucket."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pydantic import ValidationError

from trainset.export.manifest import MANIFEST, Manifest
from trainset.home import Home


def find_export(home: Home, name: str) -> Manifest | None:
    """The manifest of an export whose files are all there with their sizes, else None."""
    if home.store.head(f"exports/{name}/{MANIFEST}") is None:
        return None
    try:
        manifest = Manifest.model_validate_json(home.store.get(f"exports/{name}/{MANIFEST}"))
    except ValidationError:
        return None  # of another layout, or cut short: it is written again
    for file in manifest.files:
        found = home.store.head(f"exports/{name}/{file.path}")
        if found is None or found.size != file.size:
            return None
    return manifest


def publish(home: Home, name: str, build: Path, manifest: Manifest) -> None:
    """Put the built folder in place of the export that was there.

    In a folder that is two renames; in a bucket the old manifest goes first and the new one comes
    last. Killed in between, there is no manifest, and the next run exports again.
    """
    target = home.store.local_path(f"exports/{name}")
    if target is not None:
        old = target.with_name(f".{name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        build.rename(target)
        _sync_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)
        return
    prefix = f"exports/{name}/"
    home.store.delete(prefix + MANIFEST)
    wanted = {prefix + file.path for file in manifest.files}
    for there in [info.key for info in home.store.list(prefix) if info.key not in wanted]:
        home.store.delete(there)
    for file in manifest.files:
        home.store.put_file(prefix + file.path, build / file.path, sha256=file.sha256)
    home.store.put_file(prefix + MANIFEST, build / MANIFEST, content_type="application/json")
    shutil.rmtree(build)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
