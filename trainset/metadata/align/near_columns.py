"""The ``near`` step for many references at once; see ``MediaIndex._near`` for what it promises."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.groups import Groups
from trainset.metadata.align.name_columns import Ints, Slashes, cut, texts


class NearIndex:
    """Media by their name and by every folder above them, down from the media source's own.

    Args:
        names: (M,) name group of each medium.
        places: (M,) where each lies; relatives: the part of it below the media source's folder.
    """

    def __init__(self, names: Ints, places: pa.LargeStringArray, relatives: pa.LargeStringArray):
        self._names = names
        lies = Slashes(places)
        folders = lies.folder().dictionary_encode()
        self._folders = [f.split("/") if f else [] for f in folders.dictionary.to_pylist()]
        self._folder_of = folders.indices.to_numpy()
        below = texts(relatives)
        cuts = lies.of.ends - (below.ends - below.starts)
        fits = cuts >= lies.of.starts
        cuts = np.maximum(cuts, lies.of.starts)
        same = pc.equal(cut(lies.of, cuts, lies.of.ends), relatives)
        self._inside = fits & same.to_numpy(zero_copy_only=False)
        # Folders of the source's root: what stands before the relative path, ending in a slash.
        open_end = cuts > lies.of.starts
        open_end[open_end] = lies.of.data[cuts[open_end] - 1] != ord("/")
        self._root_depth = lies.before(cuts) + open_end

    def find(self, names: Ints, folder_of: Ints, folders: list[str]) -> list[tuple[Groups, Ints]]:
        """Media of a name under the deepest folder that holds some and the label file.

        Args:
            names: (Q,) name group of each reference, -1: no medium is called so.
            folder_of: (Q,) which of ``folders`` the label file lies in; -1: none.
        Returns:
            Groups of media, and for each reference its group or -1; a reference is found in one
            of the pairs at most.
        """
        found: list[tuple[Groups, Ints]] = []
        above = [folder.split("/") for folder in folders]
        left = np.flatnonzero((names >= 0) & (folder_of >= 0))
        if not len(left):
            return found
        wanted = np.zeros(int(names.max()) + 1, bool)
        wanted[names[left]] = True
        media = np.flatnonzero(self._inside & (self._names >= 0))
        media = media[self._names[media] < len(wanted)]
        media = media[wanted[self._names[media]]]
        for depth in range(max(map(len, above)), -1, -1):
            mine, theirs, count = _prefixes(self._folders, above, depth)
            at = media[self._root_depth[media] <= depth]
            at = at[mine[self._folder_of[at]] >= 0]
            asking = left[theirs[folder_of[left]] >= 0]
            if not len(at) or not len(asking):
                continue
            keys = self._names[at] * count + mine[self._folder_of[at]]
            known, codes = np.unique(keys, return_inverse=True)
            ask = names[asking] * count + theirs[folder_of[asking]]
            slot = np.minimum(np.searchsorted(known, ask), len(known) - 1)
            hit = known[slot] == ask
            all_codes = np.full(len(self._names), -1, np.int64)
            all_codes[at] = codes
            answers = np.full(len(names), -1, np.int64)
            answers[asking[hit]] = slot[hit]
            found.append((Groups(all_codes, len(known)), answers))
            left = left[answers[left] < 0]
            if not len(left):
                break
        return found


def _prefixes(mine: list[list[str]], theirs: list[list[str]], depth: int) -> tuple[Ints, Ints, int]:
    """The first ``depth`` segments of each folder as a number, -1 where it has fewer."""
    numbers: dict[tuple[str, ...], int] = {}
    codes = [
        np.array(
            [
                numbers.setdefault(tuple(f[:depth]), len(numbers)) if len(f) >= depth else -1
                for f in folders
            ],
            np.int64,
        )
        for folders in (mine, theirs)
    ]
    return codes[0], codes[1], max(len(numbers), 1)
