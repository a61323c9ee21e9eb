"""Keeps the events of a run that made no commit in the home."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trainset.stores.base import ObjectStore
from trainset.transfer.provenance.write import SUMS


def put_events(store: ObjectStore, folder: str, parts: Iterable[Path], sums: bytes) -> None:
    """Store a run's parts below ``folder``, and SHA256SUMS last: with it they are whole.

    Args:
        store: of the home.
        folder: ``runs/<run_id>/provenance``.
        parts: local files, named as in the log.
        sums: ``EventLog.sums``.
    """
    names = dict(line.split("  ", 1)[::-1] for line in sums.decode().splitlines())
    for part in parts:
        store.put_file(f"{folder}/{part.name}", part, sha256=names[part.name])
    store.put(f"{folder}/{SUMS}", sums, content_type="text/plain")
