"""How labels met media, in words: from the alignment's report to counts, findings and drift.

The report is taken as plain data (the fields of ``AlignReport``), as ``alignment.json`` of a run
holds it, so that pages of older runs can be drawn again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from trainset.model import Frozen, LeftOut
from trainset.report.wording import many

EXAMPLES = 10
CLASSES = 24  # bars shown; new and gone classes come on top
_MARKED = 12  # new classes, and gone ones, that are shown though they are rare
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
# Field -> one, several, and what to do about it.
_FINDINGS = {
    "orphan_records": (
        "label whose media file is not here",
        "labels whose media file is not here",
        "bring the media in, or mend the names in the label file",
    ),
    "ambiguous": (
        "label that fits several media files: not guessed",
        "labels that fit several media files: not guessed",
        "name the file by its key or path; see which files below",
    ),
    "duplicates": (
        "label that says again what another label says",
        "labels that say again what another label says",
        "delete one of the two at its source, if it is no second opinion",
    ),
    "boxes_outside": (
        "box that leaves its image by more than a pixel",
        "boxes that leave their image by more than a pixel",
        "look whether the label belongs to another size of the image",
    ),
    "boxes_without_area": (
        "box without area",
        "boxes without area",
        "draw it again, or delete it at its source",
    ),
    "beyond_media": (
        "label that goes on when its medium has ended",
        "labels that go on when their medium has ended",
        "look whether the label belongs to another cut",
    ),
    "orphan_media": (
        "media file without any label",
        "media files without any label",
        "label what should have labels; media without any can be exported, too",
    ),
    "duplicate_media": (
        "media file with the bytes of another",
        "media files with the bytes of another",
        "its bytes are kept once; exclude it, if it is no medium of its own",
    ),
}
_QUARANTINED = re.compile(r"\((?P<kind>[\w-]+)\); the original is kept in (?P<place>\S+)")


class Finding(Frozen):
    """Something about labels that a person should look at; it is kept as it is.

    Attributes:
        name: the value of ``finding`` in alignment.parquet, which has all; "" where it has none.
    """

    name: str = ""
    title: str
    count: int
    step: str = ""
    examples: tuple[str, ...] = ()


class ClassBar(Frozen):
    """Labels of one class now and at the commit before (None: there was none)."""

    name: str
    count: int
    before: int | None = None
    mark: str = ""  # new, gone


def alignment_counts(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Records and media by how they met; [] when nothing was aligned."""
    if not report:
        return []
    matched = report.get("matched") or {}
    rows = [("label records", int(report.get("records", 0)))]
    rows += [(_METHODS.get(m, f"matched by {m}"), int(n)) for m, n in matched.items()]
    rows += [(words, int(report[name])) for name, words in _COUNTS.items() if name in report]
    return rows


def alignment_headline(report: Mapping[str, Any]) -> str:
    """One sentence: how many labels found their media, and how many at the commit before."""
    records, matched = int(report.get("records", 0)), sum((report.get("matched") or {}).values())
    share = f" ({100 * matched / records:.1f} %)" if records else ""
    text = f"{matched:,} of {many(records, 'label record')}{share} found their media file"
    before = report.get("before")
    if before:
        text += f"; at the commit before {before['matched']:,} of {before['records']:,}"
    return f"{text}."


def source_rows(report: Mapping[str, Any]) -> list[tuple[str, int, int, int, int, str]]:
    """Source, records, matched, media file not here, ambiguous, when it last brought news (UTC)."""
    return [
        (
            s["source"],
            *(int(s[name]) for name in ("records", "matched", "orphan_records", "ambiguous")),
            (s.get("read_last") or "")[:16].replace("T", " "),
        )
        for s in report.get("sources") or ()
    ]


def class_bars(report: Mapping[str, Any]) -> tuple[list[ClassBar], int]:
    """The classes worth a bar, the most frequent first, and how many are not shown.

    New classes and gone ones are among them even when they are rare.
    """
    now, before = report.get("classes") or {}, report.get("classes_before")
    new, gone = report.get("new_classes") or (), report.get("gone_classes") or ()
    ranked = sorted(now, key=lambda name: (-now[name], name))
    shown = set(ranked[:CLASSES]) | set(sorted(new, key=lambda name: -now.get(name, 0))[:_MARKED])
    lost = sorted(gone, key=lambda name: (-(before or {}).get(name, 0), name))[:_MARKED]
    marks = dict.fromkeys(new, "new") | dict.fromkeys(gone, "gone")
    bars = [
        ClassBar(
            name=name,
            count=int(now.get(name, 0)),
            before=None if before is None else int(before.get(name, 0)),
            mark=marks.get(name, ""),
        )
        for name in (*(name for name in ranked if name in shown), *lost)
    ]
    return bars, len(set(now) | set(gone)) - len(bars)


def drift_words(report: Mapping[str, Any]) -> str:
    """How far classes moved since the commit before; "" without one."""
    if not report or report.get("classes_before") is None:
        return ""
    drift, new, gone = (report.get(n) for n in ("class_drift", "new_classes", "gone_classes"))
    text = "" if drift is None else f"{100 * drift:.1f} % of the labels lie in other classes than "
    text += "at the commit before" if text else "Compared with the commit before"
    told = [
        f"{many(len(names), 'class', 'classes')} {words}"
        for names, words in ((new, "new"), (gone, "gone"))
        if names
    ]
    return f"{text}: {', '.join(told) or 'no class is new and none is gone'}."


def label_findings(report: Mapping[str, Any]) -> list[Finding]:
    """What is odd about the labels, with examples that can be looked up and what to do."""
    examples = report.get("examples") or {}
    found = [
        Finding(
            name=name,
            title=one if int(report[name]) == 1 else several,
            count=int(report[name]),
            step=step,
            examples=_first(examples.get(name, ())),
        )
        for name, (one, several, step) in _FINDINGS.items()
        if report.get(name)
    ]
    if fits := report.get("candidates"):
        names = [f"{name} fits {', '.join(keys)}" for name, keys in fits.items()]
        title = "name that fits" if len(fits) == 1 else "names that fit"
        found.append(
            Finding(
                title=f"{title} several media files",
                count=len(fits),
                step="say in the label file which one it is",
                examples=_first(names),
            )
        )
    if new := report.get("new_classes"):
        title = "class that" if len(new) == 1 else "classes that"
        found.append(
            Finding(
                title=f"{title} no earlier version has",
                count=len(new),
                step="look whether it is a new class or a typing error",
                examples=_first(new),
            )
        )
    return found


def quarantine_rows(items: Iterable[LeftOut]) -> list[tuple[str, str, int, str]]:
    """Source, kind, how many records, and where their originals lie; the most first."""
    counts: dict[tuple[str, str, str], int] = {}
    for item in items:
        if item.kind == "quarantined":
            found = _QUARANTINED.search(item.reason)
            kind, place = (found["kind"], found["place"].rstrip(";")) if found else ("other", "")
            at = (item.key.split("/", 1)[0], kind, place)
            counts[at] = counts.get(at, 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(source, kind, count, place) for (source, kind, place), count in ranked]


def _first(examples: Any) -> tuple[str, ...]:
    return tuple(str(example) for example in list(examples)[:EXAMPLES])
