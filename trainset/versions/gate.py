"""The gate: may main move to what this run made? Pure; everything that was looked at is listed.

Without numbers in the spec it refuses only what is certainly broken: no rows in media, totals that
do not balance, a lost key column, more than half of the media unreadable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from trainset.model import Frozen, TransferTotals
from trainset.spec import GateSpec

KEY_COLUMNS = ("row_id", "key", "row_fp", "media_id", "source", "stream", "record_id")
BROKEN_UNREADABLE = 0.5  # share of media

Outcome = Literal["passed", "refused", "reported"]


class Total(Frozen):
    """A total that must be the sum of its parts."""

    total: int
    parts: Mapping[str, int]

    @property
    def balances(self) -> bool:
        return self.total == sum(self.parts.values())


class GateInput(Frozen):
    """What a run knows at its end. Counts are of rows unless said otherwise.

    Attributes:
        unreadable: media rows whose file cannot be decoded.
        label_rows: rows of ``annotations`` now; ``labels_before``: at the base commit.
        orphan_records: label rows that match no medium.
        labels_changed: labels of the base that were changed or removed; new labels do not count,
            nor those that only found or lost their medium.
        media_before: rows of ``media`` at the base commit whose bytes are known by sha256.
        media_changed: of these, rows whose sha256 is another now: a sign of poisoning where nobody
            meant it. ``media_changed_silently``: of these, rows whose size and source version
            (time of change, or ETag) are as they were: a sign of rot, or of one who hides.
        root_hash: the dataset's, over all tables; "": not computed.
        lost_columns: per table the columns that the base had and this run has not.
        totals: further totals to balance, by name.
    """

    media_rows: int
    unreadable: int = 0
    label_rows: int = 0
    orphan_records: int = 0
    labels_before: int = 0
    labels_changed: int = 0
    media_before: int = 0
    media_changed: int = 0
    media_changed_silently: int = 0
    root_hash: str = ""
    lost_columns: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    transfer: TransferTotals = TransferTotals()
    totals: Mapping[str, Total] = Field(default_factory=dict)
    spec: GateSpec = GateSpec()


class Check(Frozen):
    """One thing the gate looked at, as a row of the table that people read."""

    check: str
    value: str
    limit: str
    verdict: Outcome


class Verdict(Frozen):
    """``passed`` is false exactly when ``reasons`` has entries; each names the next step."""

    passed: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]


def judge(given: GateInput) -> Verdict:
    """Judge one run."""
    judging = _Judging()
    judging.check(
        "media rows",
        str(given.media_rows),
        "at least 1",
        None if given.media_rows else "the dataset has no media; check the spec's media entries",
    )
    _judge_totals(judging, given)
    _judge_columns(judging, given.lost_columns)
    unreadable = _share(given.unreadable, given.media_rows)
    judging.share(
        "unreadable media",
        unreadable,
        given.spec.unreadable,
        f"{given.unreadable} of {given.media_rows} media cannot be read; see left_out, mend or "
        "exclude the files",
        broken=BROKEN_UNREADABLE,
    )
    judging.share(
        "labels without a medium",
        _share(given.orphan_records, given.label_rows),
        given.spec.orphan_records,
        f"{given.orphan_records} of {given.label_rows} labels match no medium; bring the media in "
        "or mend the names",
    )
    judging.share(
        "labels changed or removed",
        _share(given.labels_changed, given.labels_before),
        given.spec.labels_changed,
        f"{given.labels_changed} of {given.labels_before} labels changed since the last commit; "
        "if that is meant, raise gate.labels_changed for this run",
    )
    judging.share(
        "media whose bytes changed",
        _share(given.media_changed, given.media_before),
        given.spec.media_changed,
        f"{given.media_changed} of {given.media_before} media hold other bytes under the same key; "
        "if that is meant, raise gate.media_changed for this run",
    )
    judging.share(
        "… under the same size and time",
        _share(given.media_changed_silently, given.media_before),
        given.spec.media_changed_silently,
        f"{given.media_changed_silently} of {given.media_before} media hold other bytes though the "
        "source says that nothing changed; compare the files with a backup, it may be rot",
    )
    if given.root_hash:
        judging.check("root hash", given.root_hash, "recorded", None)
    return judging.verdict()


def lost_columns(
    before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Columns (or whole tables' columns) that ``before`` has and ``after`` has not, by table."""
    lost = {
        table: tuple(c for c in columns if c not in after.get(table, ()))
        for table, columns in before.items()
    }
    return {table: columns for table, columns in lost.items() if columns}


def _judge_totals(judging: _Judging, given: GateInput) -> None:
    t = given.transfer
    parts = {n: getattr(t, n) for n in ("sent", "skipped", "duplicate", "deferred", "failed")}
    for name, total in {"files": Total(total=t.planned, parts=parts), **given.totals}.items():
        listed = " + ".join(f"{count} {part}" for part, count in total.parts.items())
        fault = f"{name} do not balance: {total.total} is not {listed}; look at the run's log"
        judging.check(
            f"{name} balance",
            f"{total.total} = {listed}" if total.balances else f"{total.total} ≠ {listed}",
            "equal",
            None if total.balances else fault,
        )


def _judge_columns(judging: _Judging, lost: Mapping[str, tuple[str, ...]]) -> None:
    keys = [f"{t}.{c}" for t, columns in lost.items() for c in columns if c in KEY_COLUMNS]
    judging.check(
        "key columns",
        f"lost: {', '.join(keys)}" if keys else "all there",
        "none lost",
        f"lost key columns {', '.join(keys)}; take back the change that dropped them"
        if keys
        else None,
    )
    others = [f"{t}.{c}" for t, columns in lost.items() for c in columns if c not in KEY_COLUMNS]
    if others:
        judging.report("other columns", f"lost: {', '.join(others)}")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


class _Judging:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.warnings: list[str] = []
        self.checks: list[Check] = []

    def check(self, name: str, value: str, limit: str, fault: str | None) -> None:
        outcome: Outcome = "refused" if fault else "passed"
        self.checks.append(Check(check=name, value=value, limit=limit, verdict=outcome))
        if fault:
            self.reasons.append(fault)

    def report(self, name: str, value: str) -> None:
        self.checks.append(Check(check=name, value=value, limit="none", verdict="reported"))
        self.warnings.append(f"{name}: {value}")

    def share(
        self,
        name: str,
        found: float,
        limit: float | None,
        fault: str,
        *,
        broken: float | None = None,
    ) -> None:
        """Refuse above ``limit`` (the spec's, else ``broken``); else report what is not zero."""
        bound = limit if limit is not None else broken
        if bound is not None:
            over = found > bound
            self.check(name, f"{found:.2%}", f"at most {bound:.2%}", fault if over else None)
            if not over and found:
                self.warnings.append(fault)
        elif found:
            self.checks.append(
                Check(check=name, value=f"{found:.2%}", limit="none", verdict="reported")
            )
            self.warnings.append(fault)
        else:
            self.check(name, f"{found:.2%}", "none", None)

    def verdict(self) -> Verdict:
        return Verdict(
            passed=not self.reasons,
            reasons=tuple(self.reasons),
            warnings=tuple(self.warnings),
            checks=tuple(self.checks),
        )
