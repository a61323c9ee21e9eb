"""Operators against known truth."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFont

from trainset.compute.base import Operator
from trainset.compute.operators.reading import Box, reading_order
from trainset.compute.registry import OPERATORS, build, encoder_for
from trainset.errors import InputError, MediaUnreadable, SpecError
from trainset.media.asset import Asset
from trainset.sample.paper import make_pdf
from trainset.sample.scenes import draw_scene, random_scene
from trainset.sample.timed import make_video
from trainset.spec import ColumnSpec

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def photo(seed: int = 1, size: tuple[int, int] = (320, 240)) -> Image.Image:
    import random

    return draw_scene(random_scene(random.Random(seed)), *size).image


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(image: Image.Image, **options: Any) -> Asset:
    return Asset("photos/a.jpg", encoded(image, **options), "image/jpeg", "image")


def value(operator: Operator, asset: Asset) -> Any:
    operator.setup()
    return operator.compute([operator.prepare(asset)])[0]


@pytest.fixture
def written() -> dict[str, bytes]:
    return {}


def make(op: str, written: dict[str, bytes] | None = None, **params: Any) -> Operator:
    def put(uri: str, data: bytes, sha256: str) -> None:
        assert written is not None
        written[uri] = data

    return build("c", ColumnSpec(op=op, **params), put=put)


def test_image_info_says_what_the_header_says() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Acme", "One"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:11:01 10:20:30"
    info = value(make("image_info"), jpeg(Image.new("L", (64, 48), 200), exif=exif))
    assert info | {"brightness": round(info["brightness"])} == {
        "format": "JPEG",
        "mode": "L",
        "orientation": 6,
        "taken_at": "2026-11-01T10:20:30",
        "camera": "Acme One",
        "brightness": 200,
        "sharpness": 0.0,
    }


def test_a_blurred_copy_is_less_sharp() -> None:
    from PIL import ImageFilter

    info = make("image_info")
    sharp, soft = photo(), photo().filter(ImageFilter.GaussianBlur(3))
    assert value(info, jpeg(sharp))["sharpness"] > 2 * value(info, jpeg(soft))["sharpness"]


def test_phash_survives_encoding_again_and_tells_pictures_apart() -> None:
    phash = make("phash")
    first, again = (
        value(phash, jpeg(photo(1), quality=95)),
        value(phash, jpeg(photo(1), quality=40)),
    )
    half = value(phash, jpeg(photo(1).resize((160, 120))))
    other = value(phash, jpeg(photo(2)))
    assert (first ^ again).bit_count() <= 4
    assert (first ^ half).bit_count() <= 4
    assert (first ^ other).bit_count() > 12
    pa.array([first, other], type=phash.output)


def test_a_thumbnail_is_small_upright_and_named_by_its_content(written: dict[str, bytes]) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    thumb = make("thumbnail", written, size=64, to="small/")
    uri = value(thumb, jpeg(photo(size=(320, 240)), exif=exif))
    assert uri.startswith("small/")
    with Image.open(io.BytesIO(written[uri])) as image:
        assert (image.format, image.size) == ("JPEG", (48, 64))
    assert value(thumb, jpeg(photo(size=(320, 240)), exif=exif)) == uri


def test_thumbnails_of_video_and_pdf(written: dict[str, bytes]) -> None:
    thumb = make("thumbnail", written, size=64)
    clip = value(thumb, Asset("v", make_video((128, 96)), "video/mp4", "video"))
    page = value(thumb, Asset("d", make_pdf(), "application/pdf", "document"))
    sizes = [Image.open(io.BytesIO(written[uri])).size for uri in (clip, page)]
    assert sizes == [(64, 48), (45, 64)]


def test_a_thumbnail_operator_without_a_destination_says_so() -> None:
    operator = build("t", ColumnSpec(op="thumbnail"))
    with pytest.raises(InputError, match="destination"):
        operator.setup()


@pytest.fixture(scope="module")
def reader() -> Operator:
    return make("ocr")


def test_ocr_reads_rendered_text_in_reading_order(reader: Operator) -> None:
    page = Image.new("RGB", (640, 220), "white")
    draw = ImageDraw.Draw(page)
    lines = ("Order 4711 of 3 May", "Total 128.50 EUR", "Thank you")
    for i, line in enumerate(lines):
        draw.text((30, 25 + i * 62), line, font=ImageFont.load_default(size=32), fill="black")
    assert value(reader, jpeg(page)).split("\n") == list(lines)


def test_ocr_takes_the_text_layer_first_and_reads_pages_without_one(reader: Operator) -> None:
    document = Asset("d", make_pdf(), "application/pdf", "document")
    first, second = value(reader, document).split("\f")
    assert first.startswith("Field report, week 45")
    assert "DELIVERY NOTE 8841" in second
    assert "12 yellow stars" in second
    assert document.decodes == 0  # no page was drawn that did not have to be


def test_ocr_says_which_pages_it_did_not_read() -> None:
    document = Asset("d", make_pdf(), "application/pdf", "document")
    assert value(make("ocr", max_pages=1), document).endswith(
        "\f[pages 2 to 2 were not read: max_pages]"
    )


def test_ocr_of_a_picture_without_text_is_empty(reader: Operator) -> None:
    assert value(reader, jpeg(Image.new("RGB", (200, 100), "grey"))) == ""


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real inputs is not here")
def test_ocr_reads_a_real_scan(reader: Operator) -> None:
    scan = (DATA / "ocr/phototest.tif").read_bytes()
    truth = (DATA / "ocr/phototest.gold.txt").read_text().split()
    read = value(reader, Asset("s", scan, "image/tiff", "image")).split()
    assert len(set(truth) & set(read)) >= 0.95 * len(set(truth))


def test_reading_order_joins_a_tilted_line_that_was_cut_in_two() -> None:
    def box(text: str, x: float, y: float) -> Box:
        return Box(text, [[x, y], [x + 90, y + 5], [x + 90, y + 25], [x, y + 20]])

    boxes = [box("world", 200, 11), box("again", 5, 48), box("hello", 100, 5.5), box("Oh", 0, 0)]
    lines = [[b.text for b in line] for line in reading_order(boxes)]
    assert lines == [["Oh", "hello", "world"], ["again"]]
    assert reading_order([]) == []


@pytest.mark.parametrize("op", ["image_info", "phash", "thumbnail", "ocr"])
def test_a_broken_picture_names_its_key(op: str, written: dict[str, bytes]) -> None:
    operator = make(op, written)
    operator.setup()
    with pytest.raises(MediaUnreadable, match="'photos/x'"):
        operator.prepare(Asset("photos/x", encoded(photo())[:700], "image/jpeg", "image"))


def test_a_wrong_parameter_is_refused_by_field_found_and_allowed() -> None:
    with pytest.raises(
        SpecError, match=r"columns\.c\.sise: unknown field, found 64; allowed .*size"
    ):
        make("thumbnail", sise=64)
    with pytest.raises(SpecError, match=r"columns\.c\.size: found 0"):
        make("thumbnail", size=0)


def test_the_function_changes_with_what_changes_values_and_nothing_else() -> None:
    same = {make("thumbnail", size=64).function.fn_id for _ in range(2)}
    assert len(same) == 1
    assert make("thumbnail", size=65).function.fn_id not in same
    one, two = make("ocr").function, make("ocr").function
    assert one.weights_sha256 is not None
    assert one.model_copy(update={"notes": {"rapidocr": "99"}}).fn_id == two.fn_id


def test_only_embeddings_have_an_encoder() -> None:
    assert encoder_for(make("phash").function) is None
    assert set(OPERATORS) == {"image_info", "thumbnail", "phash", "ocr", "open_clip"}
