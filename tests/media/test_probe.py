"""``probe_media``: facts by content, broken files named, nothing raised, nothing printed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from trainset.media.probe import probe_media
from trainset.sample.paper import make_pdf
from trainset.sample.timed import make_video, make_voice

DATA = Path(__file__).parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real inputs is not here")


def picture(kind: str = "JPEG", size: tuple[int, int] = (96, 64), **options: object) -> bytes:
    out = io.BytesIO()
    Image.effect_mandelbrot(size, (-2, -1.2, 1, 1.2), 60).convert("RGB").save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def video() -> bytes:
    return make_video((64, 48))


@pytest.mark.parametrize(
    ("kind", "mime"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
    ],
)
def test_an_image_is_known_by_its_content_whatever_its_name(kind: str, mime: str) -> None:
    facts = probe_media(picture(kind), "misnamed.mp4")
    assert (facts.mime, facts.modality, facts.unreadable) == (mime, "image", None)
    assert (facts.width, facts.height) == (96, 64)


def test_sizes_are_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    facts = probe_media(picture(exif=exif), "a.jpg")
    assert (facts.width, facts.height) == (64, 96)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_truncated_image_is_unreadable(kind: str, share: float) -> None:
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    data = picture(kind, (300, 200), **options)
    facts = probe_media(data[: int(len(data) * share)], "cut.jpg")
    assert facts.unreadable
    assert facts.modality == "image"
    assert facts.width is None


def test_a_truncated_progressive_jpeg_is_unreadable() -> None:
    data = picture("JPEG", (400, 300), progressive=True)
    assert probe_media(data[: len(data) * 3 // 4], "a.jpg").unreadable


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "a.jpg", "empty"),
        (b"this is a bad video\n", "bad_video.mp4", "named as video/mp4"),
        (b"<html><body>404</body></html>", "photo.jpg", "text/html"),
        (b"\0" * 5000, "a.png", "zero bytes"),
        (b"%PDF-1.4\nnothing", "a.pdf", "damaged"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a.wav", "no video or audio"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a.jpg", "image"),
    ],
)
def test_a_broken_file_is_unreadable_with_its_reason(data: bytes, name: str, reason: str) -> None:
    assert reason in (probe_media(data, name).unreadable or "")


@pytest.mark.parametrize(
    ("data", "name", "mime"),
    [
        (b"a,b\n1,2\n", "t.csv", "text/csv"),
        (b'{"images": []}', "x.json", "application/json"),
        (b"", "notes.txt", "text/plain"),
        (b"PK\x03\x04rest", "a.zip", "application/zip"),
        (b"\x01\x02\x00\x03", "weights.bin", "application/octet-stream"),
    ],
)
def test_what_is_no_medium_is_other_and_not_unreadable(data: bytes, name: str, mime: str) -> None:
    facts = probe_media(data, name)
    assert (facts.modality, facts.mime, facts.unreadable) == ("other", mime, None)


def test_duration_size_and_pages(video: bytes, tmp_path: Path) -> None:
    clip = probe_media(video, "a.mp4")
    assert (clip.modality, clip.width, clip.height) == ("video", 64, 48)
    assert clip.duration == pytest.approx(3.0, abs=0.1)
    voice = probe_media(make_voice(1.5), "a.wav")
    assert (voice.modality, voice.width) == ("audio", None)
    assert voice.duration == pytest.approx(1.5, abs=0.01)
    path = tmp_path / "report"
    path.write_bytes(make_pdf())
    assert probe_media(path, "report").pages == 2


def test_a_tiff_counts_its_pages() -> None:
    out = io.BytesIO()
    pages = [Image.new("L", (20, 30), shade) for shade in (0, 100, 200)]
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    assert probe_media(out.getvalue(), "scan.tif").pages == 3


def test_a_decompression_bomb_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "decompression bomb" in (probe_media(picture(), "a.jpg").unreadable or "")


def test_a_cut_video_whose_index_stands_in_front_is_unreadable(
    video: bytes, tmp_path: Path
) -> None:
    import av

    out = str(tmp_path / "front.mp4")
    with (
        av.open(io.BytesIO(video)) as source,
        av.open(out, "w", format="mp4", options={"movflags": "+faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = Path(out).read_bytes()
    assert probe_media(data, "a.mp4").unreadable is None
    assert probe_media(data[: len(data) * 2 // 3], "a.mp4").unreadable


@settings(max_examples=150, deadline=None)
@given(
    head=st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"II*\0",
            b"%PDF-1.7\n",
            b"\0\0\0\x18ftypmp42",
            b"fLaC",
            b"OggS",
            b"ID3",
            b"BM",
            b"RIFF\0\0\0\0WEBPVP8 ",
        ]
    ),
    body=st.binary(max_size=300),
    name=st.sampled_from(["a.jpg", "b", "c.mp4", "d.pdf", "e.mp3", "f.txt", "g.tif"]),
)
def test_rubbish_never_raises(head: bytes, body: bytes, name: str) -> None:
    facts = probe_media(head + body, name)
    assert facts.unreadable is None or (facts.unreadable and "\n" not in facts.unreadable)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str], video: bytes) -> None:
    for data, name in (
        (picture()[:900], "a.jpg"),
        (video[:800], "a.mp4"),
        (picture("TIFF")[:3000], "a.tif"),
        (make_pdf()[:4000], "a.pdf"),
    ):
        probe_media(data, name)
    assert capfd.readouterr() == ("", "")


@real
def test_real_files_are_read_and_the_broken_one_is_found() -> None:
    broken = [
        path.name
        for path in sorted(DATA.rglob("*"))
        if path.is_file() and probe_media(path, path.name).unreadable
    ]
    assert broken == ["bad_video.mp4"]


@real
def test_bytes_and_path_say_the_same() -> None:
    for name in ("video/test_13_frames.mp4", "audio/sample.mp3", "ocr/phototest.tif"):
        path = DATA / name
        assert probe_media(path, name) == probe_media(path.read_bytes(), name)
