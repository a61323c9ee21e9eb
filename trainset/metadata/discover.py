"""A first spec for a folder that nobody described: its media, and the labels found by content."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainset.errors import InputError
from trainset.media.kinds import HEAD_BYTES, sniff
from trainset.metadata.align.ladder import MediaIndex
from trainset.metadata.labels.folders import is_folder_format
from trainset.metadata.names import EXTENSIONS, extension
from trainset.metadata.recognise import ASIDE, LATER
from trainset.metadata.survey import FoundLabels, NotLabels, survey_file
from trainset.model import Modality
from trainset.spec import (
    ColumnSpec,
    DatasetSpec,
    ExportSpec,
    MediaSource,
    MetadataSource,
    SplitSpec,
)
from trainset.stores.base import ObjectInfo
from trainset.stores.local import LocalStore
from trainset.stores.tree_walk import Watch

SPLIT = SplitSpec(train=0.8, val=0.1, test=0.1)
_NAMED = 3  # files named in a note, the rest is counted


@dataclass(frozen=True)
class MediaCount:
    """How many media of one modality, and how large."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Guess:
    """What a folder seems to be.

    Attributes:
        spec: to be written to ``dataset.yaml``.
        labels: the files behind the spec's ``metadata``.
        notes: what was seen and not taken, and why; one sentence each.
        ignored: files that are neither media nor like labels, by extension.
        media: counts by modality.
    """

    spec: DatasetSpec
    labels: tuple[FoundLabels, ...]
    notes: tuple[str, ...]
    ignored: Mapping[str, int]
    media: Mapping[Modality, MediaCount]

    def lines(self) -> list[str]:
        """The guess as a person reads it before anything happens."""
        from trainset.report.wording import size

        counts = [
            f"{kind} {count.files} ({size(count.bytes)})" for kind, count in self.media.items()
        ]
        lines = [f"Media in {self.spec.media[0].from_}: {', '.join(counts)}."]
        lines += [f"Labels: {label.path} ({label.about})." for label in self.labels]
        if not self.labels:
            lines.append("Labels: none found.")
        lines += [f"Note: {note}." for note in self.notes]
        if self.ignored:
            kinds = ", ".join(f"{n} {kind}" for kind, n in self.ignored.items())
            lines.append(f"Left aside, neither media nor labels: {kinds}.")
        return lines


@dataclass
class _Walk:
    """One look over the folder's names."""

    media: list[ObjectInfo] = field(default_factory=list)
    others: list[ObjectInfo] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def guess_spec(
    folder: Path, *, home: str, name: str, clip: Mapping[str, Any] | None = None
) -> Guess:
    """Look through a folder and say what a dataset of it would be.

    Media go by extension (a file that breaks the promise of its name is found out later, and
    listed). Labels go by content; a table counts only if one of its columns names media of the
    folder for half of its rows.

    Args:
        folder: with media at any depth; hidden files and folders are passed over.
        home: where the dataset will live; not looked into when it lies inside the folder.
        name: of the dataset.
        clip: parameters of the ``open_clip`` column (model, weights); None: no such column.
    Raises:
        InputError: the folder is not there or holds no media.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name a folder with media in it")
    store = LocalStore(folder.absolute())
    walk = _look_over(store, home)
    if not walk.media:
        raise InputError(
            f"{folder} holds no media that trainset knows by name "
            f"({', '.join(sorted(EXTENSIONS))}); name a folder that does"
        )
    source = _spec_name(folder.absolute().name or "media", taken=())
    index = MediaIndex(
        [f"{source}/{info.key}" for info in walk.media],
        [store.uri(info.key) for info in walk.media],
        [None] * len(walk.media),
    )
    labels: list[FoundLabels] = []
    not_labels: list[NotLabels] = []
    ignored: Counter[str] = Counter()
    for info in walk.others:
        found = survey_file(store, info, index)
        if isinstance(found, FoundLabels):
            labels.append(found)
        elif isinstance(found, NotLabels):
            not_labels.append(found)
        elif not _is_nameless_medium(store, info, walk.notes):
            ignored[extension(info.key) or "without extension"] += 1
    media: dict[Modality, MediaCount] = {}
    for info in walk.media:
        kind = EXTENSIONS[extension(info.key)]
        so_far = media.get(kind, MediaCount())
        media[kind] = MediaCount(so_far.files + 1, so_far.bytes + info.size)
    spec = DatasetSpec(
        name=_spec_name(name, taken=()),
        home=home,
        media=(
            MediaSource.model_validate(
                {"name": source, "from": store.url, "include": _globs(walk.media)}
            ),
        ),
        metadata=_metadata(store, labels),
        columns=_columns(clip),
        exports={
            "train-shards": ExportSpec(format="webdataset", split=SPLIT),
            "hub": ExportSpec(format="huggingface", split=SPLIT),
        },
    )
    return Guess(
        spec=spec,
        labels=tuple(labels),
        notes=tuple(walk.notes + _notes(not_labels)),
        ignored=dict(ignored.most_common()),
        media=dict(sorted(media.items(), key=lambda item: -item[1].files)),
    )


def _look_over(store: LocalStore, home: str) -> _Walk:
    walk = _Walk()
    inside = f"{Path(home).expanduser().absolute()}/" if "://" not in home else None
    for info in store.walk(watch=Watch(unreadable=lambda folder, why: walk.notes.append(why))):
        if info.key.startswith(".") or "/." in info.key:
            continue
        if inside and store.uri(info.key).startswith(inside):
            continue
        (walk.media if extension(info.key) in EXTENSIONS else walk.others).append(info)
    return walk


def _is_nameless_medium(store: LocalStore, info: ObjectInfo, notes: list[str]) -> bool:
    kind = sniff(store.get(info.key, length=HEAD_BYTES), info.key)
    if kind.modality == "other" or not kind.certain:
        return False
    notes.append(
        f"{info.key} is {kind.mime} by its content, but its name does not say so; "
        "rename it, or add it to 'include'"
    )
    return True


def _globs(media: Iterable[ObjectInfo]) -> tuple[str, ...]:
    """Patterns for the extensions that were found, in both cases and as they were found."""
    found = {info.key.rpartition(".")[2] for info in media}
    every = {form for ext in found for form in (ext, ext.lower(), ext.upper())}
    return tuple(f"**/*.{ext}" for ext in sorted(every, key=lambda e: (e.lower(), e.swapcase())))


def _metadata(store: LocalStore, labels: Iterable[FoundLabels]) -> tuple[MetadataSource, ...]:
    sources: list[MetadataSource] = []
    for label in labels:
        stem = posixpath.basename(label.path).rpartition(".")[0] or posixpath.basename(label.path)
        taken = {source.name for source in sources}
        name = _spec_name(stem, taken=taken)
        if name != _spec_name(stem, taken=()):  # taken: say the folder too
            name = _spec_name(f"{label.path.split('/')[0]}-{stem}", taken=taken)
        entry = {
            "name": name,
            "from": store.uri(label.path),
            "format": label.format,
            "media_column": label.media_column,
        }
        sources.append(MetadataSource.model_validate(entry))
    return tuple(sources)


def _columns(clip: Mapping[str, Any] | None) -> dict[str, ColumnSpec]:
    columns = {
        "info": ColumnSpec(op="image_info"),
        "thumb": ColumnSpec.model_validate({"op": "thumbnail", "size": 256, "to": "thumbs/"}),
        "phash": ColumnSpec(op="phash"),
        "text": ColumnSpec(op="ocr", where="modality in ('image', 'document')", index="text"),
    }
    if clip is not None:
        columns["clip"] = ColumnSpec.model_validate({"op": "open_clip", **clip, "index": "cosine"})
    return columns


def _notes(found: Iterable[NotLabels]) -> list[str]:
    """One note for each kind of file that is not read alone, one for each file else."""
    notes: list[str] = []
    later: dict[str, list[str]] = {}
    for item in found:
        if item.kind in LATER or item.kind in ASIDE or is_folder_format(item.kind):
            later.setdefault(item.why, []).append(item.path)
        else:
            notes.append(f"{item.path}: {item.why}")
    for why, paths in later.items():
        named = ", ".join(paths[:_NAMED]) + (" …" if len(paths) > _NAMED else "")
        notes.append(f"{why}; files: {len(paths)} ({named})")
    return notes


def _spec_name(text: str, *, taken: Collection[str]) -> str:
    """A name that the spec allows, with ``-2``, ``-3`` … where it is taken."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._")[:56] or "data"
    name, n = plain, 1
    while name in taken:
        n += 1
        name = f"{plain}-{n}"
    return name
