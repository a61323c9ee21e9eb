"""Three-way merge of the files beside the tables: which of theirs go into ours. Pure.

Rules by path, where both sides changed the same file differently:

- ``meta/<source>/<stream>/…``: a stream that moved on both sides is ours alone; theirs is held back
  whole, because cursors are never merged. The flow syncs it again.
- ``_meta/functions/…`` and ``provenance/…`` are unions: their names say what they hold, ours stays.
- ``_meta/left_out.json`` and ``_meta/spec.yaml`` describe the newest run: theirs.
- Anything else is a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from trainset.errors import ConflictError
from trainset.versions.base import FileChange

_UNIONS = ("_meta/functions/", "provenance/")
_NEWEST_RUN = ("_meta/left_out.json", "_meta/spec.yaml")

Stream = tuple[str, str]  # source, stream


class FileConflicts(ConflictError):
    """Files that both sides changed differently."""

    kind = "file-conflict"

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        super().__init__(
            f"both sides changed {', '.join(self.paths)} differently; make them the same on one "
            "side and merge again, or run again with --prefer ours (main's) or theirs (the run's)"
        )


@dataclass(frozen=True)
class FilePlan:
    """Paths to carry over (and how theirs changed them), and the streams that are held back.

    ``settled``: paths that conflicted, of which the preferred side's counts.
    """

    carry: Mapping[str, FileChange]
    moved_streams: tuple[Stream, ...]
    settled: tuple[str, ...] = ()


def stream_of(path: str) -> Stream | None:
    """The stream that a file under ``meta/`` belongs to."""
    parts = path.split("/")
    return (parts[1], parts[2]) if parts[0] == "meta" and len(parts) > 3 else None


def plan_files(
    theirs: Mapping[str, FileChange],
    ours: Set[str],
    *,
    same: Mapping[str, bool],
    prefer: Literal["ours", "theirs"] | None = None,
) -> FilePlan:
    """Decide for every file that theirs changed.

    Args:
        theirs: how they changed files against the base.
        ours: paths that we changed against the base.
        same: for paths that both changed: whether they are alike now.
        prefer: whose file counts where there is no rule.
    Raises:
        FileConflicts: names all paths that have no rule, and no side is preferred.
    """
    both_moved = {s for p in theirs if (s := stream_of(p)) and not same.get(p, False)}
    both_moved &= {s for p in ours if (s := stream_of(p))}
    carry: dict[str, FileChange] = {}
    conflicts = []
    for path, how in theirs.items():
        if stream_of(path) in both_moved:
            continue
        if path not in ours or path in _NEWEST_RUN:
            carry[path] = how
        elif not same[path] and not path.startswith(_UNIONS):
            conflicts.append(path)
            if prefer == "theirs":
                carry[path] = how
    if conflicts and prefer is None:
        raise FileConflicts(sorted(conflicts))
    return FilePlan(carry, tuple(sorted(both_moved)), tuple(sorted(conflicts)))
