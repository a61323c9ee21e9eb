"""The gate refuses what is broken or above the spec's numbers, and lists what it looked at."""

from __future__ import annotations

import pytest

from trainset.model import TransferTotals
from trainset.spec import GateSpec
from trainset.versions.gate import GateInput, Total, judge, lost_columns

GOOD = GateInput(
    media_rows=100,
    unreadable=10,
    label_rows=200,
    orphan_records=50,
    labels_before=100,
    labels_changed=90,
    media_before=100,
    media_changed=40,
    media_changed_silently=4,
    root_hash="0123abcd",
    transfer=TransferTotals(planned=3, sent=1, duplicate=1, failed=1),
)


def changed(**values: object) -> GateInput:
    return GOOD.model_copy(update=values)


def test_without_numbers_it_reports_and_lets_pass() -> None:
    verdict = judge(GOOD)
    assert verdict.passed
    assert verdict.reasons == ()
    assert len(verdict.warnings) == 5
    assert [(c.check, c.verdict) for c in verdict.checks] == [
        ("media rows", "passed"),
        ("files balance", "passed"),
        ("key columns", "passed"),
        ("unreadable media", "passed"),
        ("labels without a medium", "reported"),
        ("labels changed or removed", "reported"),
        ("media whose bytes changed", "reported"),
        ("… under the same size and time", "reported"),
        ("root hash", "passed"),
    ]
    assert verdict.checks[-1].value == "0123abcd"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (changed(media_rows=0, unreadable=0), "no media"),
        (changed(transfer=TransferTotals(planned=4, sent=1)), "files do not balance: 4 is not 1"),
        (
            changed(totals={"cells": Total(total=5, parts={"computed": 2, "failed": 2})}),
            "cells do not balance: 5 is not 2 computed \\+ 2 failed",
        ),
        (changed(lost_columns={"media": ("key", "x")}), r"media\.key"),
        (changed(unreadable=51), "51 of 100 media cannot be read"),
    ],
)
def test_it_always_refuses_what_is_broken(given: GateInput, words: str) -> None:
    verdict = judge(given)
    assert not verdict.passed
    assert len(verdict.reasons) == 1
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(verdict.reasons[0])
    assert sum(c.verdict == "refused" for c in verdict.checks) == 1


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("unreadable", 0.1),
        ("orphan_records", 0.25),
        ("labels_changed", 0.9),
        ("media_changed", 0.4),
        ("media_changed_silently", 0.04),
    ],
)
def test_numbers_of_the_spec_are_limits(name: str, share: float) -> None:
    assert judge(changed(spec=GateSpec(**{name: share}))).passed
    refused = judge(changed(spec=GateSpec(**{name: share - 0.01})))
    assert len(refused.reasons) == 1
    assert not refused.passed


def test_a_number_above_a_half_lets_most_be_unreadable() -> None:
    assert judge(changed(unreadable=80, spec=GateSpec(unreadable=0.9))).passed


def test_a_lost_column_that_is_no_key_is_a_warning() -> None:
    lost = lost_columns({"media": ("row_id", "x"), "gone": ("y",)}, {"media": ("row_id", "new")})
    assert lost == {"media": ("x",), "gone": ("y",)}
    verdict = judge(changed(lost_columns=lost))
    assert verdict.passed
    assert any("gone.y" in warning for warning in verdict.warnings)
