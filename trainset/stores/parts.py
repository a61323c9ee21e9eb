"""How a large file is cut into parts: the one rule that hashing, sending and planning share."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

MIB = 2**20
MULTIPART_BYTES = 100 * MIB  # files from this size on go in parts; B2 advises one PUT up to here
MIN_PART = 5 * MIB  # the least that S3 takes (all but the last part)
MAX_PARTS = 9000  # S3 allows 10,000


def part_bytes(size: int) -> int:
    """Bytes a part for a file of ``size`` bytes: whole MiB, at most 9,000 parts."""
    least = -(-size // MAX_PARTS)
    if size < MULTIPART_BYTES:
        return max(MIN_PART, least)
    wanted = 100 * MIB if size >= 2**30 else 16 * MIB
    return max(wanted, -(-least // MIB) * MIB)


def hash_parts(stream: BinaryIO, part_size: int) -> tuple[str, tuple[str, ...]]:
    """sha256 of a stream, and of each piece of ``part_size`` bytes of it; read once."""
    whole, parts = hashlib.sha256(), []
    while True:
        part, left = hashlib.sha256(), part_size
        while left and (block := stream.read(min(MIB, left))):
            whole.update(block)
            part.update(block)
            left -= len(block)
        if left == part_size:
            break
        parts.append(part.hexdigest())
        if left:
            break
    return whole.hexdigest(), tuple(parts)
