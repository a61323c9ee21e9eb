"""``probe_media``: what one file is and whether it can be decoded, in one look."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

from trainset.errors import MediaUnreadable
from trainset.media.kinds import HEAD_BYTES, Kind, kind_of_name, sniff
from trainset.model import MediaFacts, Modality


def probe_media(data: bytes | Path | BinaryIO, name: str) -> MediaFacts:
    """Facts of one medium, from its content; the name only helps where the content says too little.

    A broken file comes back with ``unreadable`` set to the reason, one sentence without the name;
    a file that is no medium has the modality ``other`` and is not unreadable.

    Args:
        data: the bytes, or the path of a local file of any size, or a seekable file; neither is
            read whole at once.
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


def guess_media(name: str, content_type: str | None = None) -> MediaFacts:
    """Facts that need no byte: the kind by the name, else as the object's writer said it.

    Whether it can be decoded is not known: ``unreadable`` is null.
    """
    kind = kind_of_name(name) or _said(content_type)
    return MediaFacts(mime=kind.mime, modality=kind.modality)


def _said(content_type: str | None) -> Kind:
    mime = (content_type or "").partition(";")[0].strip().lower()
    modality = {"image": "image", "video": "video", "audio": "audio"}.get(mime.split("/")[0])
    if mime == "application/pdf":
        modality = "document"
    return Kind(mime or "application/octet-stream", cast(Modality, modality or "other"))


def _facts(data: bytes | Path | BinaryIO, kind: Kind) -> MediaFacts:
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


def _check_promise(data: bytes | Path | BinaryIO, kind: Kind) -> None:
    """Say in plain words what a file with a medium's name and no medium's content is."""
    head = _head(data)
    if not head:
        raise MediaUnreadable("the file is empty (0 bytes)")
    found = sniff(head, "")
    if found.mime != "application/octet-stream":
        raise MediaUnreadable(f"named as {kind.mime}, but the content is {found.mime}")
    if not any(head):
        raise MediaUnreadable("the file holds only zero bytes")


def _head(data: bytes | Path | BinaryIO) -> bytes:
    if isinstance(data, bytes):
        return data[:HEAD_BYTES]
    if not isinstance(data, Path):
        data.seek(0)
        head = data.read(HEAD_BYTES)
        data.seek(0)
        return head
    with data.open("rb") as file:
        return file.read(HEAD_BYTES)
