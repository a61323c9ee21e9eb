"""The reader of each format that is read as one file; imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from trainset.metadata.base import Rejected
from trainset.metadata.records import Record


class ReadLabels(Protocol):
    """Reads one whole file. Raises InputError when it is not of the format at all."""

    def __call__(self, data: bytes, *, stream: str, place: str) -> Iterator[Record | Rejected]: ...


def reader_of(format_: str | None) -> ReadLabels | None:
    """The reader of a format; None when it is no format of whole files."""
    match format_:
        case "coco":
            from trainset.metadata.coco import read_coco

            return read_coco
        case "label-studio":
            from trainset.metadata.labels.label_studio import read_label_studio

            return read_label_studio
        case "cvat":
            from trainset.metadata.labels.cvat import read_cvat

            return read_cvat
        case "labelbox":
            from trainset.metadata.labels.labelbox import read_labelbox

            return read_labelbox
        case "hf-folder":
            from trainset.metadata.labels.hf_folder import read_hf_folder

            return read_hf_folder
        case "subtitles":
            from trainset.metadata.labels.subtitles import read_subtitles

            return read_subtitles
    return None
