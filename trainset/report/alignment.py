"""How labels met media, in words: from the alignment's report to counts and findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainset.model import Frozen

EXAMPLES = 10
_METHODS = {
    "key": "matched by key",
    "path": "matched by path",
    "near": "matched under the label file's own folder",
    "filename": "matched by file name",
    "sha256": "matched by content",
}
_COUNTS = {
    "orphan_records": "media file not here",
    "ambiguous": "fit several files: not guessed",
    "labelled_media": "media files with a label",
    "empty_media": "media files looked at and found empty",
    "orphan_media": "media files without any label",
}
_FINDINGS = {
    "duplicates": "labels that say again what another label says",
    "boxes_outside": "boxes that leave their image by more than a pixel",
    "boxes_without_area": "boxes without area",
    "orphan_media": "media files without any label",
}


class Finding(Frozen):
    """Something about labels that a person should look at; it is kept as it is."""

    title: str
    count: int
    examples: tuple[str, ...] = ()


def alignment_counts(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Records and media by how they met; [] when nothing was aligned."""
    if not report:
        return []
    matched = report.get("matched") or {}
    rows = [("label records", int(report.get("records", 0)))]
    rows += [(_METHODS.get(m, f"matched by {m}"), int(n)) for m, n in matched.items()]
    rows += [(words, int(report[name])) for name, words in _COUNTS.items() if name in report]
    return rows


def label_findings(report: Mapping[str, Any]) -> list[Finding]:
    """What is odd about the labels, with examples that can be looked up."""
    examples = report.get("examples") or {}
    found = [
        Finding(title=words, count=int(report[name]), examples=_first(examples.get(name, ())))
        for name, words in _FINDINGS.items()
        if report.get(name)
    ]
    if fits := report.get("candidates"):
        names = [f"{name} fits {', '.join(keys)}" for name, keys in fits.items()]
        found.append(
            Finding(
                title="names that fit several media files", count=len(fits), examples=_first(names)
            )
        )
    if new := report.get("new_classes"):
        found.append(
            Finding(
                title="classes that no earlier version has", count=len(new), examples=_first(new)
            )
        )
    return found


def _first(examples: Any) -> tuple[str, ...]:
    return tuple(str(example) for example in list(examples)[:EXAMPLES])
