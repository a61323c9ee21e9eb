"""The key ladder for a column of references: the same answers as ``ladder.MediaIndex.resolve``.

``MediaIndex`` climbs with one reference and says what the steps mean; here each step is a few
look-ups for all references that are still on the ladder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.found import Answer, Asking, Found
from trainset.metadata.align.ladder import label_folder
from trainset.metadata.align.ladder_columns import MediaColumns, MediaPaths, numbers_in
from trainset.metadata.align.name_columns import Ints, Slashes, column, stems, without_tool_prefixes
from trainset.metadata.align.named import SEVERAL, Named
from trainset.metadata.align.spelling import Spelling, spell, spell_decoded
from trainset.metadata.names import normal
from trainset.spec import MatchMethod

_DIGEST = "^(?:sha256:)?(?P<digest>[0-9a-fA-F]{64})$"
_SLASH = pa.scalar("/", pa.large_string())
_DIGEST_LENGTHS = pa.array([64, 71], pa.int64())


def resolve(
    media: MediaColumns,
    refs: pa.Array | pa.ChunkedArray,
    methods: Sequence[MatchMethod],
    *,
    label_uris: Sequence[str] = (),
    label_of: Ints | None = None,
    digests: pa.Array | pa.ChunkedArray | None = None,
) -> Found:
    """The medium of every reference; see ``MediaIndex.resolve`` for the rules.

    Args:
        refs: (Q,) as the records have them.
        label_uris: label files.
        label_of: (Q,) which of them holds each record, -1: not known; None: of none.
        digests: (Q,) sha256 of the medium where the record says it, else null.
    """
    climb = _Climb(media, column(refs), label_uris, label_of, digests)
    found = Found(len(refs))
    for number, method in enumerate(methods):
        content = method == "sha256"
        open_ = found.open(also_several=content or method == "near")
        asked = climb.by_content(open_) if content else climb.by_name(method, open_)
        for queries, groups, codes in asked:
            found.note(queries, groups, codes, number, narrows=method == "near")
    return found


class _Climb:
    """The references of one climb, in each spelling."""

    def __init__(
        self,
        media: MediaColumns,
        refs: pa.LargeStringArray,
        label_uris: Sequence[str],
        label_of: Ints | None,
        digests: pa.Array | pa.ChunkedArray | None,
    ) -> None:
        self.media = media
        first = spell(refs)
        self.spellings = [(np.arange(len(refs)), Named(media, first))]
        again, second = spell_decoded(refs, first)
        if len(again):
            rows = np.full(len(refs), -1, np.int64)
            rows[again] = np.arange(len(again))
            self.spellings.append((rows, Named(media, second)))
        wanted = [named.media_looked_up() for _, named in self.spellings]
        self.paths = MediaPaths(media, np.logical_or.reduce(wanted))
        self.folders = [label_folder(uri) for uri in label_uris]
        self.folder_of = np.full(len(refs), -1, np.int64) if label_of is None else label_of
        known = np.array([bool(folder) for folder in self.folders] + [False])
        self.folder_of = np.where(known[self.folder_of], self.folder_of, -1)
        self.digests = digests

    def by_content(self, queries: Ints) -> list[Answer]:
        said = _pick(self.spellings[0][1].spelling.ref, queries)
        if self.digests is not None:
            given = _pick(column(self.digests), queries)
            said = pc.if_else(pc.equal(given, ""), said, given)
        length = pc.binary_length(said)
        maybe = pc.is_in(length, value_set=_DIGEST_LENGTHS).to_numpy(zero_copy_only=False)
        at = np.flatnonzero(maybe)
        asking = Asking(queries[at], at)
        if len(at):
            found = pc.extract_regex(_pick(said, at), _DIGEST)
            digest = column(pc.ascii_lower(pc.struct_field(found, "digest")))
            asking.answer(self.media.by_sha256, self.media.by_sha256.find(digest))
        return asking.answers

    def by_name(self, method: MatchMethod, queries: Ints) -> list[Answer]:
        step = {
            "key": self._key,
            "path": self._path,
            "near": self._near,
            "filename": self._filename,
        }[method]
        answers: list[Answer] = []
        for rows, named in self.spellings:
            queries = queries[rows[queries] >= 0]
            asking = Asking(queries, rows[queries])
            step(asking, named)
            queries = asking.unanswered(queries)
            answers += asking.answers
        return answers

    def _key(self, asking: Asking, named: Named) -> None:
        only = named.only[asking.rows]
        named.compare_keys(asking.part(only >= 0))
        asking = asking.part(only == SEVERAL)
        by_key = self.paths.by_key
        asking.answer(by_key, by_key.find(_pick(named.spelling.ref, asking.rows)))

    def _path(self, asking: Asking, named: Named) -> None:
        only = named.only[asking.rows]
        alone = asking.part(only >= 0)
        named.compare_paths(alone, *self._placed(alone, named.spelling))
        self._look_up_paths(asking.part(only == SEVERAL), named.spelling)

    def _look_up_paths(self, asking: Asking, spelling: Spelling) -> None:
        media = self.paths
        placed, at = self._placed(asking, spelling)
        asking.answer(media.by_place, media.by_place.find(_pick(placed, at)))
        asking.answer(media.by_relative, media.by_relative.find(_pick(spelling.ref, asking.rows)))
        # A bare name is for ``near`` and ``filename``.
        cuts = Slashes(_pick(spelling.tail, asking.rows))
        asking.keep(cuts.segments > 1)
        segments = cuts.segments[cuts.segments > 1]
        rows = asking.rows
        for count in numbers_in(segments):
            at = np.flatnonzero(np.isin(asking.rows, rows[segments == count], assume_unique=True))
            tails = _pick(spelling.tail, asking.rows[at])
            asking.answer(media.suffixes(count), media.suffixes(count).find(tails), at)
        # The record may know more folders than we have.
        for start in range(1, max(segments, default=0) - 1):
            cuts = Slashes(_pick(spelling.tail, asking.rows))
            asking.keep(cuts.segments > start + 1)
            counts = cuts.segments[cuts.segments > start + 1] - start
            for count in np.intersect1d(numbers_in(counts), media.relative_depths):
                cuts = Slashes(_pick(spelling.tail, asking.rows))
                at = np.flatnonzero(cuts.segments - start == count)
                tails = _pick(cuts.last(count), at)
                asking.answer(media.by_relative, media.by_relative.find(tails), at)

    def _placed(self, asking: Asking, spelling: Spelling) -> tuple[pa.LargeStringArray, Ints]:
        """Each place; of a relative one, where that is beside the label file."""
        folder_of = self.folder_of[asking.queries]
        if not (folder_of >= 0).any():
            return spelling.place, asking.rows
        ref, place = (_pick(c, asking.rows) for c in (spelling.ref, spelling.place))
        everywhere = np.arange(len(place))
        beside = pc.equal(ref, place).to_numpy(zero_copy_only=False) & (folder_of >= 0)
        at = np.flatnonzero(beside)
        if not len(at):
            return place, everywhere
        folders = pa.array(self.folders, pa.large_string()).take(pa.array(folder_of[at]))
        joined = pc.binary_join_element_wise(folders, _pick(ref, at), _SLASH)
        bent = np.array([normal(f"{folder}/x/") != f"{folder}/x/" for folder in self.folders])
        odd = spelling.odd[asking.rows[at]] | bent[folder_of[at]]
        if odd.any():
            mask = pa.array(odd)
            mended = [normal(path) for path in joined.filter(mask).to_pylist()]
            joined = pc.replace_with_mask(joined, mask, pa.array(mended, pa.large_string()))
        return pc.replace_with_mask(place, pa.array(beside), joined), everywhere

    def _near(self, asking: Asking, named: Named) -> None:
        folder_of = self.folder_of[asking.queries]
        if not (folder_of >= 0).any():
            return
        names = named.group[asking.rows]
        for groups, codes in self.media.near.find(names, folder_of, self.folders):
            at = np.flatnonzero(codes >= 0)
            asking.answers.append((asking.queries[at], groups, codes[at]))

    def _filename(self, asking: Asking, named: Named) -> None:
        by_name, by_stem = self.media.by_name, self.media.by_stem
        name = named.spelling.name
        asking.answer(by_name, named.group[asking.rows])
        names, shorter = without_tool_prefixes(_pick(name, asking.rows))
        at = np.flatnonzero(shorter)
        asking.answer(by_name, by_name.find(_pick(names, at)), at)
        asking.answer(by_stem, by_stem.find(stems(_pick(name, asking.rows))))
        names, shorter = without_tool_prefixes(_pick(name, asking.rows))
        at = np.flatnonzero(shorter)
        asking.answer(by_stem, by_stem.find(stems(_pick(names, at))), at)


def _pick(values: pa.LargeStringArray, rows: Ints) -> pa.LargeStringArray:
    """``take``, without a copy where all are taken; rows are ascending and none comes twice."""
    return values if len(rows) == len(values) else values.take(pa.array(rows))
