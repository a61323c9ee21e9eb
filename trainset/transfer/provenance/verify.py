"""Checks the chain of a run's events, whatever version of trainset wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.errors import InputError
from trainset.transfer.provenance.schema import batch_hashes, first_hash, version_of

_STEP = "compare the files with a copy (SHA256SUMS)"


def verify_events(parts: Iterable[bytes | Path], run_id: str) -> str:
    """Check a run's parts, in order, one in memory at a time.

    Returns:
        The head hash, to compare with the commit's: without that nobody sees that the last events
        are gone.

    Raises:
        InputError: names the first event that does not fit, or the part that cannot be read.
    """
    head, seq = first_hash(run_id), 0
    for number, part in enumerate(parts):
        try:
            file = pq.ParquetFile(part if isinstance(part, Path) else BytesIO(part))
            version = version_of(file.schema_arrow)
            if version is None:
                raise InputError(
                    f"provenance of run {run_id}: part {number} has columns that no version up to "
                    f"this one writes; update trainset, or {_STEP}"
                )
            for batch in file.iter_batches():
                for place, before, stored, computed, run in batch_hashes(batch, version):
                    if (place, before, stored, run) != (seq, head, computed, run_id):
                        raise InputError(
                            f"provenance of run {run_id}: event {seq} was changed, removed or put "
                            f"in; {_STEP}"
                        )
                    head, seq = stored, seq + 1
        except (pa.ArrowException, OSError) as err:
            raise InputError(
                f"provenance of run {run_id}: part {number} cannot be read ({err}); {_STEP}"
            ) from err
    return head
