"""What stops a sync before it writes: too many rows gone, or too many that do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from trainset.metadata.base import Rejected
from trainset.metadata.tables.contract import ContractBroken
from trainset.spec_metadata import MetadataSource

FEW = 10  # rows: fewer never stop a sync, whatever share of a table they are


def check_vanished(vanished: int, rows: int, source: MetadataSource, place: str) -> None:
    """Raises ContractBroken when more than ``max_deleted`` of the stored rows are gone.

    Args:
        rows: stored before this sync.
    """
    if vanished > max(FEW, source.max_deleted * rows):
        raise ContractBroken(
            f"{place}: {vanished} of {rows} rows are gone from the source, more than max_deleted "
            f"({source.max_deleted:.0%}); look at the source, and if it is right, say "
            "max_deleted: 100% for one run"
        )


def check_misfits(
    rejected: Sequence[Rejected], rows: int, source: MetadataSource, place: str
) -> None:
    """Raises ContractBroken when more than ``max_quarantined`` of the rows do not fit.

    Args:
        rejected: all that stands in the quarantine.
        rows: of the table, with those that have no key.
    """
    bad = len({item.record for item in rejected})
    limit = source.contract.max_quarantined
    if bad > max(FEW, limit * rows):
        first = rejected[0]
        raise ContractBroken(
            f"{place}: {bad} of {rows} rows do not fit, more than max_quarantined ({limit:.0%}); "
            f"the first is {first.record}: {first.reason}; mend them, say contract: widen, or "
            "raise contract: {max_quarantined: …}"
        )
