"""``Asset``: one medium's bytes, decoded at most once however many operators look at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from trainset.errors import MediaUnreadable
from trainset.media.pictures import PictureFacts, open_upright, probe_picture
from trainset.model import Modality

FIRST_PAGE_DPI = 150
T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """One page of a document or one frame of a TIFF.

    Attributes:
        number: 1-based, as people count.
        text: the text layer; empty where there is none.
        render: draws the page as an RGB image at a resolution in dots an inch.
    """

    number: int
    text: str
    render: Callable[[int], Image.Image]


class Asset:
    """One medium as operators see it. Used by one thread at a time.

    Args:
        key: named in errors.
        data: its bytes, or the path of a local file.
        mime, modality: as ``probe_media`` found them.
    """

    def __init__(self, key: str, data: bytes | Path, mime: str, modality: Modality) -> None:
        self.key, self.data, self.mime, self.modality = key, data, mime, modality
        self._tensor: Any = None
        self.decodes = 0  # how often pixels were decoded; the engine's tests look at it

    def pil(self) -> Image.Image:
        """The picture, upright, 8-bit RGB; shared, so copy it before changing it.

        A video gives its first frame, a PDF its first page at 150 dpi, a TIFF its first page.

        Raises:
            MediaUnreadable: names the key and the reason.
        """
        return self._picture

    def pixels(self) -> Any:
        """The picture as a torch tensor: uint8, (3, H, W), RGB, upright.

        Pixels that ``pil()`` has decoded are used again. Else torchvision decodes (half the time of
        Pillow on large JPEGs, the same pixels but for the library's version), and Pillow what
        torchvision does not know. Raises MediaUnreadable.
        """
        if self._tensor is None:
            from trainset.media.tensors import decode_tensor, to_tensor

            if self.modality == "image" and "_picture" not in self.__dict__:
                self._tensor = decode_tensor(self.data, self.mime)
            if self._tensor is None:
                self._tensor = to_tensor(self.pil())
            else:
                self.decodes += 1
        return self._tensor

    def picture_facts(self) -> PictureFacts:
        """Upright size and frames of an image. Raises MediaUnreadable."""
        return self.named(lambda: probe_picture(self.data))

    def pages(self, limit: int | None = None) -> Sequence[Page]:
        """The first ``limit`` pages of a document or a TIFF (None: all). Raises MediaUnreadable."""
        if self.modality == "document":
            from trainset.media.paper import page_texts

            texts = self.named(lambda: page_texts(self.data, limit))
            return [Page(n + 1, text, self._draw(n)) for n, text in enumerate(texts)]
        count = self.picture_facts().pages or 1
        return [
            Page(n + 1, "", self._draw(n))
            for n in range(count if limit is None else min(limit, count))
        ]

    @property
    def page_count(self) -> int:
        """Pages of a document, frames of a TIFF, else 1. Raises MediaUnreadable."""
        if self.modality == "document":
            from trainset.media.paper import probe_pdf

            return self.named(lambda: probe_pdf(self.data))
        return (self.picture_facts().pages or 1) if self.mime == "image/tiff" else 1

    @cached_property
    def _picture(self) -> Image.Image:
        self.decodes += 1
        if self.modality == "image":
            return self.named(lambda: open_upright(self.data))
        if self.modality == "video":
            from trainset.media.timed import first_frame

            return self.named(lambda: first_frame(self.data))
        if self.modality == "document":
            return self._draw(0)(FIRST_PAGE_DPI)
        raise MediaUnreadable(f"{self.key!r}: a medium of kind {self.modality} has no picture")

    def _draw(self, page: int) -> Callable[[int], Image.Image]:
        if self.modality == "document":
            from trainset.media.paper import render_page

            return lambda dpi: self.named(lambda: render_page(self.data, page, dpi))
        if page == 0:
            return lambda dpi: self.pil()
        return lambda dpi: self.named(lambda: open_upright(self.data, page))

    def named(self, decode: Callable[[], T]) -> T:
        """What ``decode`` gives; its MediaUnreadable gets the key and the next step."""
        try:
            return decode()
        except MediaUnreadable as err:
            raise MediaUnreadable(
                f"{self.key!r}: {err}; replace the file at its source, or take it out"
            ) from err
