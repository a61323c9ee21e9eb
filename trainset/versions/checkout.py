"""Materialising tables of a commit as ordinary local Lance datasets."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from trainset.versions.pool import FilePool
from trainset.versions.tree import TABLES, CommitTree

_PREFIX = ".making-"


def checkout_table(tree: CommitTree, name: str, pool: FilePool, target: Path) -> None:
    """Make ``target`` the table as the commit pins it.

    The folder appears whole, by one rename: what a kill leaves is a hidden folder beside it, which
    ``clear_leftovers`` removes. When ``target`` is there already, it stays as it is.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    making = target.parent / f"{_PREFIX}{secrets.token_hex(6)}"
    making.mkdir()
    try:
        add_version(tree, name, pool, making)
        os.replace(making, target)
    except OSError:
        if not target.exists():  # else another process made the same checkout first
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def add_version(tree: CommitTree, name: str, pool: FilePool, folder: Path) -> None:
    """Lay the files of one more pinned version into a table's folder, manifest last."""
    top = f"{TABLES}{name}/"
    files = [(p, folder / p.path.removeprefix(top)) for p in tree.table_pointers(name)]
    pool.link((pointer, local) for pointer, local in files if not local.exists())
    for path, manifest in tree.manifests(name).items():
        local = folder / path.removeprefix(top)
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(manifest)


def clear_leftovers(folder: Path) -> None:
    """Remove half-made checkouts; only for a folder that nobody else works in."""
    for left in folder.glob(f"{_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
