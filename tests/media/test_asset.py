"""``Asset`` decodes once, upright, and names the key where it cannot."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from trainset.errors import MediaUnreadable
from trainset.media.asset import Asset
from trainset.sample.paper import make_pdf
from trainset.sample.timed import make_video


def jpeg(orientation: int = 1, size: tuple[int, int] = (80, 40)) -> bytes:
    image = Image.new("RGB", size, "green")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_ways_of_decoding_give_the_same_upright_pixels(orientation: int) -> None:
    data = jpeg(orientation)
    by_torch = Asset("a", data, "image/jpeg", "image").pixels().numpy()
    by_pillow = np.asarray(Asset("a", data, "image/jpeg", "image").pil()).transpose(2, 0, 1)
    assert by_torch.shape == by_pillow.shape
    assert np.abs(by_torch.astype(int) - by_pillow).max() <= 2


@pytest.mark.parametrize("first", ["pil", "pixels"])
def test_pixels_follow_what_pillow_decoded(first: str) -> None:
    asset = Asset("a", jpeg(), "image/jpeg", "image")
    getattr(asset, first)()
    asset.pixels()
    asset.pixels()
    assert asset.decodes == 1


def test_a_transparent_png_lies_on_white_both_ways() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(out, "PNG")
    asset = Asset("a", out.getvalue(), "image/png", "image")
    assert asset.pil().getpixel((0, 0)) == (255, 255, 255)
    assert asset.pixels().min() == 255


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(out, "PNG")
    asset = Asset("a", out.getvalue(), "image/png", "image")
    assert asset.pil().getpixel((0, 0)) == (128, 128, 128)


def test_a_video_gives_its_first_frame_and_a_pdf_its_first_page() -> None:
    assert Asset("v", make_video((64, 48)), "video/mp4", "video").pil().size == (64, 48)
    page = Asset("d", make_pdf(), "application/pdf", "document").pil()
    assert page.size == (1240, 1755)  # A4 at 150 dpi
    assert page.getpixel((3, 3)) == (255, 255, 255)


def test_pages_have_text_where_there_is_a_layer_and_a_picture_always() -> None:
    asset = Asset("d", make_pdf(), "application/pdf", "document")
    first, second = asset.pages()
    assert "red circle" in first.text
    assert second.text == ""
    assert second.render(72).size == (595, 842)
    assert [page.number for page in asset.pages(1)] == [1]
    assert asset.page_count == 2


def test_pages_of_a_tiff_are_its_frames() -> None:
    out = io.BytesIO()
    frames = [Image.new("L", (20, 30), shade) for shade in (10, 200)]
    frames[0].save(out, "TIFF", save_all=True, append_images=frames[1:])
    pages = Asset("t", out.getvalue(), "image/tiff", "image").pages()
    assert [page.render(150).getpixel((0, 0))[0] for page in pages] == [10, 200]


@pytest.mark.parametrize(
    ("data", "mime", "modality"),
    [
        (jpeg()[:500], "image/jpeg", "image"),
        (b"no video", "video/mp4", "video"),
        (b"%PDF-no", "application/pdf", "document"),
        (b"RIFF", "audio/wav", "audio"),
    ],
)
def test_what_cannot_be_decoded_names_the_key(data: bytes, mime: str, modality: str) -> None:
    asset = Asset("photos/x", data, mime, modality)  # type: ignore[arg-type]
    with pytest.raises(MediaUnreadable, match="'photos/x'"):
        asset.pil()
