"""Pillow's seam: still images of every format, upright, RGB, and never a bomb.

Everything raised here is ``MediaUnreadable`` whose text is the bare reason; callers add the name.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from trainset.errors import MediaUnreadable

Source = bytes | Path | BinaryIO  # a file: seekable, read where a decoder looks

# Pillow warns on stderr about odd EXIF and large images; what matters is raised or recorded here.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


class PictureFacts(NamedTuple):
    """Upright size in pixels; ``pages`` is the number of frames of a TIFF, else None."""

    width: int
    height: int
    pages: int | None


@contextmanager
def opened(source: Source) -> Iterator[Image.Image]:
    """A Pillow image, closed afterwards; decoder errors become ``MediaUnreadable(reason)``."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield image
    except MediaUnreadable:
        raise
    except UnidentifiedImageError as err:
        raise MediaUnreadable(
            "its image header is damaged, cut off, or of a kind that cannot be read here"
        ) from err
    except Image.DecompressionBombError as err:
        raise MediaUnreadable(
            f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, "
            "which is refused as a decompression bomb"
        ) from err
    except MemoryError as err:
        raise MediaUnreadable("decoding it needs more memory than there is") from err
    except Exception as err:  # decoders raise OSError, SyntaxError, struct.error, ValueError, …
        raise MediaUnreadable(f"its image data cannot be decoded ({_line(err)})") from err


def probe_picture(source: Source) -> PictureFacts:
    """Size and frames, after decoding as cheaply as finds a truncated file.

    A JPEG is decoded at an eighth of its size (all its entropy-coded data are read); other formats
    whole; of a TIFF the first and the last frame.
    """
    with opened(source) as image:
        width, height = image.size
        if image.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED:
            width, height = height, width
        pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else None
        if image.format == "JPEG":
            image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
        image.load()
        if pages and pages > 1:
            image.seek(pages - 1)
            image.load()
        return PictureFacts(width, height, pages)


def open_upright(source: Source, frame: int = 0) -> Image.Image:
    """One frame as an upright RGB image; transparency is laid on white."""
    with opened(source) as image:
        if frame:
            image.seek(frame)
        return to_rgb(ImageOps.exif_transpose(image))


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB: 16-bit grey is scaled (not clipped), transparency laid on white."""
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        paper = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(paper, over).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _line(err: BaseException) -> str:
    text = " ".join(str(err).split())
    return (text or type(err).__name__)[:160].rstrip(".")
