"""A two-page PDF, written by hand: a page of text, and a scan of a page without a text layer."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

REPORT = (
    "Field report, week 45",
    "",
    "The red circle was seen on grass before noon.",
    "Two blue squares stood on stone; one was moved.",
    "The camera on the north gate needs a new battery.",
    "Invoice 2024-117 over 480 euros is still open.",
)
SCAN = (
    "DELIVERY NOTE 8841",
    "12 yellow stars",
    "3 green triangles",
    "Received in good order",
)


def make_pdf() -> bytes:
    """The document's bytes; no dates and no ids in it, so always the same."""
    scan = _scan_of(SCAN)
    picture = io.BytesIO()
    scan.save(picture, "JPEG", quality=80)
    text = "BT /F1 16 Tf 72 760 Td 24 TL "
    text += " ".join(f"({line}) Tj T*" for line in REPORT) + " ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R "
        b"/Resources << /Font << /F1 7 0 R >> >> >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 6 0 R "
        b"/Resources << /XObject << /Im1 8 0 R >> >> >>",
        _stream(b"", text.encode("ascii")),
        _stream(b"", b"q 595 0 0 842 0 0 cm /Im1 Do Q"),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        _stream(
            b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray "
            b"/BitsPerComponent 8 /Filter /DCTDecode " % scan.size,
            picture.getvalue(),
        ),
    ]
    return _assemble(objects)


def _scan_of(lines: tuple[str, ...]) -> Image.Image:
    page = Image.new("L", (827, 1170), 246)  # A4 at 100 dpi
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=34)
    for i, line in enumerate(lines):
        draw.text((110, 130 + i * 80), line, font=font, fill=30)
    return page.rotate(0.6, resample=Image.Resampling.BILINEAR, fillcolor=246)


def _stream(head: bytes, body: bytes) -> bytes:
    return b"<< %s/Length %d >>\nstream\n%s\nendstream" % (head, len(body), body)


def _assemble(objects: list[bytes]) -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1))
    out.write(b"startxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()
