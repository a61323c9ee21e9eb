"""Text files in an encoding that their first bytes tell, opened without holding them whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from trainset.metadata.formats.chunks import Data

UTF16 = (b"\xff\xfe", b"\xfe\xff")
UTF8_MARK = b"\xef\xbb\xbf"


def decode(data: bytes) -> str:
    """Text of a file; bytes that are not UTF-8 stay as lone surrogates, to reject their record."""
    if data.startswith(UTF16):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "surrogateescape")


def open_binary(data: Data) -> BinaryIO:
    return open(data, "rb") if isinstance(data, Path) else io.BytesIO(data)


def open_text(data: Data, *, newline: str) -> TextIO:
    """A text file to be read line by line, decoded as ``decode`` does."""
    binary = open_binary(data)
    start = binary.read(2)
    binary.seek(0)
    encoding, errors = ("utf-16", "replace") if start in UTF16 else ("utf-8-sig", "surrogateescape")
    return cast(TextIO, io.TextIOWrapper(binary, encoding, errors, newline=newline))
