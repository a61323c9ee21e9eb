"""Numbers and reasons as people read them."""

from __future__ import annotations

import pytest

from trainset.errors import ChecksumMismatch
from trainset.model import LeftOut
from trainset.report import wording


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (40_755, "39.8 KiB"),
        (3 * 2**30, "3.0 GiB"),
        (2**41, "2.0 TiB"),
    ],
)
def test_sizes_are_binary(count: int, text: str) -> None:
    assert wording.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (37.2, "37 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")],
)
def test_working_times_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert wording.took(seconds) == text


def test_durations_look_as_on_a_player() -> None:
    assert [wording.clock(s) for s in (9, 750, 3723)] == ["0:09", "12:30", "1:02:03"]


def test_an_error_is_divided_into_reason_and_next_step() -> None:
    what, step = wording.reason_and_step(str(ChecksumMismatch("a", expected="1", found="2")))
    assert what == "'a': the store holds sha256 2, the manifest says 1"
    assert step == "delete the object and run the transfer again"
    assert wording.reason_and_step("just broken") == ("just broken", "")


def test_a_short_key_keeps_both_ends() -> None:
    assert wording.short("cameras/" + "x" * 90 + "/night.jpg", 30).endswith("xxx/night.jpg")
    assert wording.short("cameras/" + "x" * 90 + "/night.jpg", 30).startswith("cameras/")
    assert len(wording.short("y" * 500, 30)) == 30


def test_groups_come_largest_first_with_sorted_keys() -> None:
    def item(key: str, kind: str) -> LeftOut:
        return LeftOut(key=key, stage="transfer", kind=kind, reason="r")

    groups = wording.by_kind([item("b", "x"), item("c", "y"), item("a", "x")])
    assert [(kind, [i.key for i in items]) for kind, items in groups] == [
        ("x", ["a", "b"]),
        ("y", ["c"]),
    ]
