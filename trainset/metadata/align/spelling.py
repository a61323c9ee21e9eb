"""A column of references in the normal spellings that ``names`` gives to each.

Texts that ``names`` would change (white space, percent signs, ``..`` …) are few: they go through
its functions one by one, so both ways always agree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.name_columns import Ints, Mask, Slashes, cut
from trainset.metadata.names import decoded, normal, without_scheme

_SLASH, _DOT, _COLON = b"/.:"
_SPECIAL = b"\\?#%"  # a backslash, and what an address gives a meaning of its own
_BLOCK = 2**18  # bytes looked at together: they stay in the processor's cache


class Spelling(NamedTuple):
    """References in one normal spelling; all columns of one length.

    Attributes:
        ref: ``names.normal`` or ``names.decoded`` of what the record says.
        place: without scheme and leading slash.
        tail: ``place`` without ``..`` segments.
        name: the last segment of ``ref``, and of ``place``.
        odd: which went through Python; joined to a folder they have to again.
    """

    ref: pa.LargeStringArray
    place: pa.LargeStringArray
    tail: pa.LargeStringArray
    name: pa.LargeStringArray
    odd: Mask


def spell(refs: pa.LargeStringArray) -> Spelling:
    """``names.normal`` of every reference."""
    cuts = Slashes(refs)
    odd, places = _odd(cuts)
    as_is = bool((places == cuts.of.starts).all())
    place = refs if as_is else cut(cuts.of, places, cuts.of.ends)
    name = cuts.last(1)
    if not odd.any():
        return Spelling(refs, place, place, name, odd)
    mended = _spell_each([normal(ref) for ref in refs.filter(pa.array(odd)).to_pylist()])
    ref, place, tail, name = (
        pc.replace_with_mask(whole, pa.array(odd), part)
        for whole, part in zip((refs, place, place, name), mended[:4], strict=True)
    )
    return Spelling(ref, place, tail, name, odd)


def spell_decoded(refs: pa.LargeStringArray, first: Spelling) -> tuple[Ints, Spelling]:
    """The references that read as addresses are spelled otherwise, and that spelling of them."""
    at = np.flatnonzero(first.odd)
    taken = pa.array(at)
    second = [decoded(ref) for ref in refs.take(taken).to_pylist()]
    differs = [a != b for a, b in zip(second, first.ref.take(taken).to_pylist(), strict=True)]
    kept = [s for s, d in zip(second, differs, strict=True) if d]
    return at[np.array(differs, bool)], _spell_each(kept)


def _spell_each(spelled: list[str]) -> Spelling:
    places = [without_scheme(ref) for ref in spelled]
    tails = ["/".join(s for s in place.split("/") if s != "..") for place in places]
    names = [ref.rpartition("/")[2] for ref in spelled]
    ref, place, tail, name = (
        pa.array(column, pa.large_string()) for column in (spelled, places, tails, names)
    )
    return Spelling(ref, place, tail, name, np.ones(len(spelled), bool))


def _odd(cuts: Slashes) -> tuple[Mask, Ints]:
    """Texts that may not be normal as they stand, and where the place of each other one begins."""
    of = cuts.of
    odd = np.zeros(len(of), bool)
    data = of.data
    odd[of.owners(_strange(data))] = True
    dots = np.flatnonzero(data[:-1] == _DOT)
    pairs = dots[np.isin(data[dots + 1], (_SLASH, _DOT))]
    odd[of.owners(pairs)] = True  # "./" and "..", or two texts that meet so: Python says
    some = of.ends - of.starts > 1
    ends = of.ends[some]
    odd[some] |= (data[ends - 1] == _DOT) & (data[ends - 2] == _SLASH)
    places = of.starts.copy()
    rooted = of.ends > of.starts
    rooted[rooted] = data[of.starts[rooted]] == _SLASH
    places[rooted] += 1
    double = cuts.at[:-1][np.diff(cuts.at) == 1]
    owners = of.owners(double)
    inside = double + 1 < of.ends[owners]  # not where two texts meet
    owners, double = owners[inside], double[inside]
    odd[owners[np.flatnonzero(np.diff(owners, prepend=-1) == 0)]] = True  # more than one
    single = np.flatnonzero(~odd[owners])
    owners, double = owners[single], double[single]
    schemed = double - of.starts[owners] > 1
    schemed &= data[double - 1] == _COLON
    odd[owners[~schemed]] = True
    owners, double = owners[schemed], double[schemed]
    schemes = cut(of, of.starts[owners], double - 1).dictionary_encode()
    fine = np.array([_is_scheme(s) for s in schemes.dictionary.to_pylist()], bool)
    odd[owners[~fine[schemes.indices.to_numpy()]]] = True
    places[owners] = double + 2
    return odd, np.minimum(places, of.ends)


def _strange(data: npt.NDArray[np.uint8]) -> Ints:
    """Where bytes are not printable ASCII, or special."""
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        odd = block - np.uint8(0x21) > 0x7E - 0x21  # smaller ones wrap around
        for code in _SPECIAL:
            odd |= block == code
        if odd.any():
            found.append(np.flatnonzero(odd) + start)
    return np.concatenate(found)


def _is_scheme(text: str) -> bool:
    """Whether ``normal`` keeps it before ``://``, and ``without_scheme`` takes it off."""
    path = f"{text}://x"
    return normal(path) == path and without_scheme(path) == "x"
