"""Small pictures of media as ``data:`` addresses, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from trainset.errors import TrainsetError
from trainset.report.model import Card

EDGE = 200  # pixels, the longer side
QUALITY = 68
MAX_MEDIA_BYTES = 64 * 2**20  # larger media are not read for a thumbnail
THREADS = 4

Read = Callable[[str, str | None], bytes]  # uri and version id of the media table to bytes


def draw_thumbs(cards: Iterable[Card], read: Read) -> dict[str, str]:
    """``data:image/jpeg`` addresses by key.

    Media without a picture (audio), too large, gone or broken get none: the page then shows what
    kind of medium it is. Their faults are reported by the stages that meet them, not here.
    """
    wanted = [c for c in cards if c.modality in ("image", "video", "document")]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="thumbs") as pool:
        drawn = pool.map(lambda card: _draw(card, read), wanted)
        return {
            card.key: thumb for card, thumb in zip(wanted, drawn, strict=True) if thumb is not None
        }


def _draw(card: Card, read: Read) -> str | None:
    from trainset.media.asset import Asset

    if card.thumb is None and (card.uri is None or card.size > MAX_MEDIA_BYTES):
        return None
    try:
        if card.thumb is not None:
            asset = Asset(card.key, read(card.thumb, None), "image/jpeg", "image")
        else:
            asset = Asset(card.key, read(str(card.uri), card.version_id), card.mime, card.modality)
        picture = asset.pil().copy()
    except TrainsetError:
        return None
    picture.thumbnail((EDGE, EDGE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
