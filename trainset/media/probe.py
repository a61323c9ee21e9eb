"""``probe_media``: what one file is and whether it can be decoded, in one look."""

from __future__ import annotations

from pathlib import Path

from trainset.errors import MediaUnreadable
from trainset.media.kinds import HEAD_BYTES, Kind, sniff
from trainset.model import MediaFacts


def probe_media(data: bytes | Path, name: str) -> MediaFacts:
    """Facts of one medium, from its content; the name only helps where the content says too little.

    A broken file comes back with ``unreadable`` set to the reason, one sentence without the name;
    a file that is no medium has the modality ``other`` and is not unreadable.

    Args:
        data: the bytes, or the path of a local file of any size (it is not read whole at once).
        name: the file's name or key.
    Returns:
        Sizes are upright (EXIF and video rotation applied); ``pages`` is for PDF and TIFF.
    Raises:
        MissingExtra: the optional packages that read this kind are not installed.
        OSError: ``data`` is a path that cannot be read.
    """
    kind = sniff(_head(data), name)
    try:
        if not kind.certain:
            _check_promise(data, kind)
        return _facts(data, kind)
    except MediaUnreadable as err:
        return MediaFacts(mime=kind.mime, modality=kind.modality, unreadable=str(err))


def _facts(data: bytes | Path, kind: Kind) -> MediaFacts:
    if kind.modality == "image":
        from trainset.media.pictures import probe_picture

        if kind.mime == "image/heic":
            raise MediaUnreadable("HEIC images are not decoded by this version; convert it to JPEG")
        width, height, pages = probe_picture(data)
        return MediaFacts(mime=kind.mime, modality="image", width=width, height=height, pages=pages)
    if kind.modality == "document":
        from trainset.media.paper import probe_pdf

        return MediaFacts(mime=kind.mime, modality="document", pages=probe_pdf(data))
    if kind.modality in ("video", "audio"):
        from trainset.media.timed import probe_timed

        facts = probe_timed(data)
        if facts.modality == "audio":
            mime = "audio/" + kind.mime.split("/")[1]
            return MediaFacts(mime=mime, modality="audio", duration=facts.duration)
        return MediaFacts(
            mime="video/" + kind.mime.split("/")[1],
            modality="video",
            width=facts.width,
            height=facts.height,
            duration=facts.duration,
        )
    return MediaFacts(mime=kind.mime, modality="other")


def _check_promise(data: bytes | Path, kind: Kind) -> None:
    """Say in plain words what a file with a medium's name and no medium's content is."""
    head = _head(data)
    if not head:
        raise MediaUnreadable("the file is empty (0 bytes)")
    found = sniff(head, "")
    if found.mime != "application/octet-stream":
        raise MediaUnreadable(f"named as {kind.mime}, but the content is {found.mime}")
    if not any(head):
        raise MediaUnreadable("the file holds only zero bytes")


def _head(data: bytes | Path) -> bytes:
    if isinstance(data, bytes):
        return data[:HEAD_BYTES]
    with data.open("rb") as file:
        return file.read(HEAD_BYTES)
