"""PyAV's seam: video and audio. Errors are ``MediaUnreadable`` with the bare reason."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from trainset.errors import MediaUnreadable, MissingExtra

Source = bytes | Path | BinaryIO  # a file: seekable, read where a decoder looks


class TimedFacts(NamedTuple):
    """``width`` and ``height`` upright, in pixels, None for audio; ``duration`` in seconds."""

    modality: str  # video or audio: what the streams say, whatever the container is called
    width: int | None
    height: int | None
    duration: float | None


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    try:
        import av
    except ImportError as err:
        raise MissingExtra("reading video and audio", "media") from err

    av.logging.set_level(None)  # FFmpeg would print its own view of broken files
    place: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    if isinstance(place, Path):
        place = str(place)
    try:
        with av.open(place, metadata_errors="ignore") as container:
            yield container
    except MediaUnreadable:
        raise
    except (av.error.InvalidDataError, av.error.EOFError) as err:
        raise MediaUnreadable("no video or audio can be found in its content") from err
    except MemoryError as err:
        raise MediaUnreadable("decoding it needs more memory than there is") from err
    except Exception as err:  # FFmpeg errors carry many types, and demuxers raise plain ones
        text = getattr(err, "strerror", None) or str(err) or type(err).__name__
        raise MediaUnreadable(f"it cannot be decoded ({str(text)[:160]})") from err


def probe_timed(source: Source) -> TimedFacts:
    """Streams, duration and size, after decoding the first frame.

    A file that ends before the last packet of its index is unreadable: the rest would be missing.
    """
    size = _size(source)
    with _opened(source) as container:
        video = _picture_stream(container)
        stream = video or next(iter(container.streams.audio), None)
        if stream is None:
            raise MediaUnreadable("it holds neither a video nor an audio stream")
        index = stream.index_entries
        if len(index) and index[-1].pos + index[-1].size > size:
            end = index[-1].pos + index[-1].size
            raise MediaUnreadable(f"it is cut off: its index reaches to byte {end:,} of {size:,}")
        frame = next(container.decode(stream), None)
        if frame is None:
            raise MediaUnreadable("it holds no frame that can be decoded")
        duration = None
        if container.duration:
            duration = container.duration / 1_000_000
        elif stream.duration:
            duration = float(stream.duration * stream.time_base)
        if video is None:
            return TimedFacts("audio", None, None, duration)
        width, height = frame.width, frame.height
        if int(frame.rotation) % 180:
            width, height = height, width
        return TimedFacts("video", width, height, duration)


def _size(source: Source) -> int:
    """In bytes; a file is left at its start."""
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, Path):
        return source.stat().st_size
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    return size


def first_frame(source: Source) -> Image.Image:
    """The first frame of a video, upright, RGB."""
    with _opened(source) as container:
        stream = _picture_stream(container)
        frame = None if stream is None else next(container.decode(stream), None)
        if frame is None:
            raise MediaUnreadable("it holds no video frame that can be decoded")
        image: Image.Image = frame.to_image()
        # FFmpeg's display matrix turns counter-clockwise, as Pillow does.
        return image.rotate(int(frame.rotation), expand=True) if frame.rotation else image


def _picture_stream(container: Any) -> Any:
    """The first video stream that is not a cover picture of a song."""
    import av

    attached = av.stream.Disposition.attached_pic
    return next((s for s in container.streams.video if not s.disposition & attached), None)
