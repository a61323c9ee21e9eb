"""pypdfium2's seam: PDF pages, their text layer and their picture.

PDFium is not thread safe: one lock guards every call. Errors are ``MediaUnreadable`` with the bare
reason.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from trainset.errors import MediaUnreadable, MissingExtra

Source = bytes | Path | BinaryIO  # a file: seekable, read where a decoder looks

_LOCK = threading.RLock()
MAX_RENDER_PIXELS = 50_000_000  # a page as large as a wall is rendered smaller, not refused


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    try:
        import pypdfium2
    except ImportError as err:
        raise MissingExtra("reading PDF files", "media") from err

    with _LOCK:
        try:
            document = pypdfium2.PdfDocument(source)
        except pypdfium2.PdfiumError as err:
            if "password" in str(err).lower():
                raise MediaUnreadable("the PDF asks for a password") from err
            raise MediaUnreadable("the PDF is damaged or cut off") from err
        try:
            yield document
        except pypdfium2.PdfiumError as err:
            raise MediaUnreadable(f"a page of the PDF cannot be read ({err})") from err
        finally:
            document.close()


def probe_pdf(source: Source) -> int:
    """Number of pages, after loading the first one."""
    with _opened(source) as document:
        pages = len(document)
        if not pages:
            raise MediaUnreadable("the PDF has no pages")
        document[0].close()
        return pages


def page_texts(source: Source, limit: int | None = None) -> list[str]:
    """The text layers of the first ``limit`` pages, without empty lines; empty for a scan."""
    with _opened(source) as document:
        count = len(document) if limit is None else min(limit, len(document))
        texts = [document[page].get_textpage().get_text_bounded() for page in range(count)]
    return ["\n".join(line for raw in text.splitlines() if (line := raw.strip())) for text in texts]


def render_page(source: Source, page: int, dpi: int) -> Image.Image:
    """One page (0-based) as an RGB image on white paper."""
    with _opened(source) as document:
        sheet = document[page]
        width, height = sheet.get_size()  # points, 72 an inch
        scale = min(dpi / 72, (MAX_RENDER_PIXELS / max(1.0, width * height)) ** 0.5)
        image: Image.Image = sheet.render(scale=scale).to_pil().convert("RGB")
        return image
