"""The label formats that trainset reads, by name: one line each; a second one is a second file."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainset.metadata.base import Rejected
    from trainset.metadata.records import Record

Beside = Sequence[tuple[str, bytes]]  # name and content of companion files, the nearest first


@dataclass(frozen=True)
class LabelFormat:
    """One format of label files, and who reads it.

    Attributes:
        name: what the spec and ``read_labels`` call it.
        title: what messages call it.
        reader: ``<module of this package>:<function>`` of
            ``(data, *, stream, place) -> Iterator[Record | Rejected]``; with ``beside``, the
            function takes ``beside`` too.
        one_file: False when a data set is thousands of small files, one a medium: the files of
            one folder are then one stream, its records are named ``<file>#…``, and what is
            rejected stands at ``<file> …``.
        beside: patterns (lower case) of companion files, in the label file's folder or above, that
            the reader needs: class names. The first pattern is the strongest.
        aside: patterns of files that belong to the format and hold no labels.
        suffix: of the files of a format that is not ``one_file``.
    """

    name: str
    title: str
    reader: str
    one_file: bool = True
    beside: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    suffix: str = ""

    def read(
        self, data: bytes, *, stream: str, place: str, beside: Beside = ()
    ) -> Iterator[Record | Rejected]:
        """Records of one file.

        Args:
            data: the whole file.
            stream: name for the rejected.
            place: the file, for messages.
            beside: companion files, the nearest first.
        Raises:
            InputError: the file as a whole cannot be read.
        """
        module, _, function = self.reader.partition(":")
        read: Callable[..., Iterator[Record | Rejected]] = getattr(
            importlib.import_module(f"{__package__}.{module}"), function
        )
        if self.beside:
            return read(data, stream=stream, place=place, beside=beside)
        return read(data, stream=stream, place=place)

    def owns(self, name: str) -> bool:
        """Whether a file of that name is a companion of this format's label files."""
        return any(fnmatchcase(name.lower(), p) for p in (*self.beside, *self.aside))


_ALL = (
    LabelFormat("coco", "COCO JSON", "coco:read_coco"),
    LabelFormat("label-studio", "Label Studio JSON", "label_studio:read_label_studio"),
    LabelFormat("cvat", "CVAT XML", "cvat:read_cvat"),
    LabelFormat("labelbox", "Labelbox NDJSON", "labelbox:read_labelbox"),
    LabelFormat("hf-folder", "Hugging Face metadata", "hf_folder:read_hf_folder"),
    LabelFormat("subtitles", "SRT, WebVTT, ASS or Whisper subtitles", "subtitles:read_subtitles"),
    LabelFormat(
        "yolo",
        "YOLO text",
        "yolo:read_yolo",
        one_file=False,
        beside=("data.yaml", "data.yml", "*.yaml", "*.yml", "classes.txt", "*.names"),
        aside=("train.txt", "val.txt", "valid.txt", "test.txt", "*.data", "notes.json"),
        suffix=".txt",
    ),
    LabelFormat("voc", "Pascal VOC XML", "voc:read_voc", one_file=False, suffix=".xml"),
    LabelFormat(
        "open-images",
        "Open Images CSV",
        "open_images:read_open_images",
        beside=("*class-descriptions*.csv",),
        aside=("*image_ids*.csv", "*images-with-rotation*.csv", "*hierarchy*.json", "images.meta"),
    ),
)
FORMATS: dict[str, LabelFormat] = {item.name: item for item in _ALL}
