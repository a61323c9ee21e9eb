"""torchvision's seam: a JPEG or PNG straight into a uint8 tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

FAST = frozenset({"image/jpeg", "image/png"})  # where torchvision gives Pillow's pixels


def decode_tensor(data: bytes | Path, mime: str) -> Any:
    """(3, H, W) uint8 RGB, upright; None where Pillow must look (other format, or an error).

    Only plain RGB and grey files come here: what has transparency, 16 bits or a palette is laid on
    white or scaled by Pillow in one agreed way.
    """
    if mime not in FAST:
        return None
    import torch
    from torchvision.io import ImageReadMode, decode_image

    raw = data if isinstance(data, bytes) else data.read_bytes()
    if mime == "image/png" and not _plain_png(raw):
        return None
    try:
        return decode_image(
            torch.frombuffer(bytearray(raw), dtype=torch.uint8),
            mode=ImageReadMode.RGB,
            apply_exif_orientation=True,
        )
    except RuntimeError:  # Pillow says what is wrong with the file in better words
        return None


def to_tensor(image: Image.Image) -> Any:
    """A Pillow RGB image as a (3, H, W) uint8 tensor with memory of its own."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _plain_png(raw: bytes) -> bool:
    """8 bits, grey or RGB, without a transparent colour (IHDR bytes 24 and 25)."""
    head = raw[:4096]
    return raw[24:25] == b"\x08" and raw[25:26] in (b"\x00", b"\x02") and b"tRNS" not in head
