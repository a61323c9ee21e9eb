"""Which split a sample goes to: a pure function of its group, the seed and the shares.

A group's place is ``blake2b(seed, group) / 2**64`` on the line from 0 to 1, cut at the cumulative
shares in the order test, val, train. So a group never moves when samples come or go, and a larger
``val`` takes from ``train`` only: what was in ``test`` or ``val`` stays there.

Copies of one content must not stand on both sides of a cut. By default (``by: sha256``) copies are
one group, where the sha256 is known: a medium that was adopted unread (reference mode) stands by
its uri until computing fills in its sha256. With any other ``by``, copies may fall into groups of
different splits: then the copies in the evaluation split stay (test before val before train) and
the others are left out, named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from trainset.identity import canonical_json
from trainset.model import LeftOut
from trainset.spec import SplitSpec

CUT_ORDER = ("test", "val", "train")
SHARD_ORDER = ("train", "val", "test")
RULE = (
    "split = the first of test, val, train whose cumulative share exceeds "
    "blake2b-64(canonical JSON of [seed, group]) / 2^64; group = the value of `by`, or the sha256 "
    "where it is null (the uri where that is not known); of copies that fall into several splits, "
    "the first of test, val, train keeps its own"
)


def split_of(group: Any, spec: SplitSpec) -> str:
    """The split of one group: ``train``, ``val`` or ``test``; never one whose share is 0."""
    digest = hashlib.blake2b(canonical_json([spec.seed, group]), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    shares = [(name, getattr(spec, name)) for name in CUT_ORDER if getattr(spec, name) > 0]
    cut = 0.0
    for name, share in shares[:-1]:
        cut += share
        if place < cut:
            return name
    return shares[-1][0]  # the rest, so that rounding of the sum leaves no gap


def order_of(key: str, spec: SplitSpec) -> bytes:
    """Sort by this for the order inside a split: shuffled, and the same in every export."""
    return hashlib.blake2b(canonical_json([spec.seed, "order", key]), digest_size=8).digest()


def assign_splits(
    keys: Sequence[str], contents: Sequence[str], groups: Sequence[Any], spec: SplitSpec
) -> tuple[list[str | None], list[LeftOut]]:
    """The split of every sample, in their order; None where a copy was left out.

    Args:
        keys: N media keys, unique.
        contents: N sha256, or any content id.
        groups: N values of the ``by`` column; None stands for the content itself.
    """
    splits: list[str | None] = [
        split_of(content if group is None else group, spec)
        for content, group in zip(contents, groups, strict=True)
    ]
    home: dict[str, str] = {}  # content -> the split that keeps it
    for content, split in zip(contents, splits, strict=True):
        assert split is not None
        if CUT_ORDER.index(split) < CUT_ORDER.index(home.get(content, "train")):
            home[content] = split
    left_out = []
    for i, (key, content) in enumerate(zip(keys, contents, strict=True)):
        kept = home.get(content, "train")
        if splits[i] != kept:
            left_out.append(_straddles(key, str(splits[i]), kept, spec.by))
            splits[i] = None
    return splits, left_out


def count_splits(splits: Sequence[str | None]) -> Mapping[str, int]:
    """Samples of each split that has any, in shard order."""
    return {name: n for name in SHARD_ORDER if (n := sum(s == name for s in splits))}


def _straddles(key: str, split: str, kept: str, by: str) -> LeftOut:
    return LeftOut(
        key=key,
        stage="export",
        kind="copy-in-two-splits",
        reason=(
            f"its group (by {by}) is in {split}, but a copy of the same bytes is in {kept}, which "
            f"was exported instead; remove one of the copies, or split by sha256"
        ),
    )
