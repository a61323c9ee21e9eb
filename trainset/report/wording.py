"""Numbers and reasons as people read them; shared by the page, the terminal and Prefect's UI."""

from __future__ import annotations

from collections.abc import Iterable

from trainset.model import LeftOut

# One line each for what the kinds of left-out items mean to someone who sees them first.
KINDS = {
    "unreadable": "Files that cannot be decoded",
    "unreadable-source": "Sources and label files that could not be read",
    "source-changed": "Files that changed while they were read",
    "too-young": "Files still being written",
    "transient": "Files that wait for a store that was busy or away",
    "busy": "Files that another run is sending",
    "not-found": "Files that were gone when they were to be read",
    "access-denied": "Files that may not be read",
    "input": "Files that could not be sent",
    "special-file": "Entries that are no files (pipes, sockets, devices)",
    "skipped-by-rule": "Files that a rule passes over",
    "version-gone": "Files whose pinned version is gone",
    "repinned": "Files whose pinned version was renewed; they stay where they are",
    "no-media-column": "Tables without a column that names a medium",
    "no-label": "Rows of tables that are no label",
    "unmatched": "Files that no rule takes",
    "unreadable-folder": "Folders that could not be listed",
    "orphan-record": "Labels whose media file is not here",
    "ambiguous": "Labels that fit more than one media file",
    "quarantined": "Label records that could not be used",
    "decode": "Cells that failed because the file could not be decoded",
    "model": "Cells that failed in the model",
    "op": "Cells that failed in the operator",
    "fetch": "Cells whose media could not be fetched",
    "missing-bytes": "Samples whose bytes are gone",
    "checksum-mismatch": "Samples whose bytes changed",
    "wrong-field": "Media of another kind than the export's field",
    "too-large": "Media too large for the export's format",
    "row-conflict": "Values that main and the run changed differently",
    "file-conflict": "Files that main and the run changed differently",
    "conflict-settled": "Values that main and the run changed differently; one side's was taken",
    "copy-in-two-splits": "Copies that would leak between splits",
}
STATUS = {
    "completed": "A new version was made.",
    "unchanged": "Nothing had changed, so no new version was made.",
    "waiting": "Somebody is to approve this version; main stays where it was until then.",
    "refused": "This version was refused; main stays where it was.",
    "failed": "The run failed; main stays where it was.",
}


def size(count: float) -> str:
    """Bytes in binary units: ``0 B``, ``39.8 KiB``, ``1.2 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def clock(seconds: float) -> str:
    """A media duration: ``0:09``, ``12:30``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def took(seconds: float) -> str:
    """A working time: ``0.4 s``, ``37 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def many(count: int, noun: str, plural: str = "") -> str:
    """``1 label``, ``1,200 labels``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def kind_title(kind: str) -> str:
    return KINDS.get(kind, kind.replace("-", " ").capitalize())


def reason_and_step(reason: str) -> tuple[str, str]:
    """An error's text and its next step, which by our habit follows the last semicolon."""
    what, mark, step = reason.rpartition("; ")
    if step.startswith("then: "):  # two steps, one after the other
        before, two, first = what.rpartition("; ")
        what, step = (before, f"{first}, {step}") if two else (what, step)
    return (what, step) if mark else (reason, "")


def by_kind(items: Iterable[LeftOut]) -> list[tuple[str, list[LeftOut]]]:
    """Items grouped by kind, the largest group first, keys ascending inside."""
    groups: dict[str, list[LeftOut]] = {}
    for item in items:
        groups.setdefault(item.kind, []).append(item)
    for group in groups.values():
        group.sort(key=lambda item: item.key)
    return sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))


def short(text: str, limit: int = 60) -> str:
    """The text on one line, its middle left out when it is longer: both ends of a key matter."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    head = limit // 2 - 1
    return f"{text[:head]}…{text[-(limit - head - 1) :]}"
