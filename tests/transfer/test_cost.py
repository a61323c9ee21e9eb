"""The cost of a transfer, against figures worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from trainset.errors import SpecError
from trainset.stores.parts import MIB
from trainset.transfer.cost import Requests, Workload, count_requests, price
from trainset.transfer.rates import load_rates

OLD = Path("backblaze-2025")
GB, TB = 10**9, 10**12


def work(*sizes: int, bucket: bool = False, lock_days: int | None = None) -> Workload:
    done = Workload()
    for size in sizes:
        done.add_moving(size, from_bucket=bucket, lock_days=lock_days)
    return done


def million() -> Workload:
    return Workload(single=1_000_000, bytes=50 * GB, there=500_500, there_bytes=25 * GB)


@pytest.mark.parametrize(
    ("sizes", "calls"),
    [
        ([0], 1),
        ([100 * MIB - 1], 1),
        ([100 * MIB], 7 + 2),  # seven parts of 16 MiB, Create and Complete
        ([2**30], 11 + 2),  # eleven parts of 100 MiB
        ([10 * TB], 8997 + 2),  # parts of 1,060 MiB: never more than 9,000
        ([1, 2, 100 * MIB], 2 + 9),
    ],
)
def test_uploads_are_counted_by_the_rule_that_cuts_files_into_parts(
    sizes: list[int], calls: int
) -> None:
    assert calls == count_requests(work(*sizes), verify="L0", sample=1).A


def test_each_level_adds_its_own_calls() -> None:
    load = work(*[1000] * 2_500, 2**30, bucket=True)
    load.bucket_listed = {"a": 2_501, "b": 1_000, "c": 1}
    load.there = 1_500
    calls = {
        level: count_requests(load, verify=level, sample=0.01)
        for level in ("L0", "L1", "L2", "L3", "L4")
    }
    uploads = {"A": 2_500 + 13, "source_lists": 3 + 1 + 1}
    assert calls["L0"] == Requests(**uploads, B=0, C=0, source_reads=5_002)
    assert calls["L1"] == Requests(**uploads, B=1, C=0, source_reads=5_002)
    assert calls["L2"] == Requests(**uploads, B=1, C=5, source_reads=5_002)  # 4,001 by thousands
    assert calls["L3"] == Requests(**uploads, B=1 + 26, C=5, source_reads=5_002)
    assert calls["L4"] == Requests(**uploads, B=1 + 26, C=5, source_reads=5_002 + 26)


def test_a_terabyte_a_month_costs_what_the_card_says() -> None:
    cost = price(work(*[10 * GB] * 101), load_rates())
    assert cost.storage_month == Decimal("6.95")  # 1,010 GB, of which 10 are free
    assert (cost.once, cost.currency, cost.card_date) == (0, "USD", "2026-09-07")
    old = price(work(*[10 * GB] * 101), load_rates(OLD))
    assert (old.storage_month, old.card_date) == (Decimal("6.00"), "2025-06-30")


def test_what_is_there_already_uses_up_the_free_part() -> None:
    load = work(5 * GB)
    load.add_there(8 * GB)
    cost = price(load, load_rates())
    assert cost.storage_month_after == Decimal("3") * Decimal("6.95") / 1000
    assert cost.storage_month == cost.storage_month_after


def test_old_contracts_pay_for_calls_beyond_the_free_ones_of_a_day() -> None:
    load = million()
    cost = price(load, load_rates(OLD), verify="L3", sample=0.5)
    assert (cost.requests.A, cost.requests.B, cost.requests.C) == (1_000_000, 500_000, 1_501)
    # (500,000 - 2,500) * 0.004 / 10,000; the lists are within 2,500
    assert cost.requests_once == Decimal("0.199")
    assert cost.egress_once == 0  # 25 GB read back, of 3 * 75 GB
    assert price(load, load_rates(), verify="L3", sample=0.5).once == 0


def test_free_calls_count_for_each_day_that_the_run_takes() -> None:
    load = Workload(single=0, large=30_000, parts=60_000, bytes=TB)
    # B: 30,000 HEADs; 150,000 calls at 0.5/s are 300,000 s: four days, 10,000 of them free
    cost = price(load, load_rates(OLD), requests_per_s=0.5)
    assert cost.requests_once == Decimal(20_000) / 10_000 * Decimal("0.004")


def test_object_lock_makes_storage_certain() -> None:
    cost = price(work(TB, TB, lock_days=60), load_rates())
    assert cost.locked == Decimal("6.95") * 2 * 2
    both = work(TB, lock_days=30)
    both.add_moving(TB, from_bucket=False, lock_days=15)
    both.add_moving(TB, from_bucket=False)
    assert price(both, load_rates()).locked == Decimal("6.95") * Decimal("1.5")


def test_what_leaves_other_clouds_is_paid_there(tmp_path: Path) -> None:
    card = tmp_path / "mine.yaml"
    card.write_text(
        "name: mine\ndate: 2026-10-01\nnote: my bill\nstorage: {per_tb_month: '6.95'}\n"
        "egress: {per_gb: '0.01', free_times_stored: '0.5'}\n"
        "source: {egress_per_gb: '0.09', reads_per_10000: '0.004', lists_per_10000: '0.05'}\n"
    )
    load = work(*[GB // 10] * 20_000, bucket=True)
    load.bucket_listed = {"a": 10_000_000}
    cost = price(load, load_rates(card), verify="L4", sample=1)
    reads = Decimal(60_000) / 10_000 * Decimal("0.004")
    assert cost.source_once == 4_000 * Decimal("0.09") + reads + Decimal("0.05")
    assert cost.egress_once == 1_000 * Decimal("0.01")  # 2,000 GB read back, half of it free
    assert price(work(GB), load_rates(card)).source_once == 0


def test_time_is_bound_by_the_line_or_by_the_calls() -> None:
    load = work(*[1_000_000] * 9_000)
    by_calls = price(load, load_rates(), requests_per_s=450, bytes_per_s=1e9)
    assert (by_calls.seconds, by_calls.bound) == (20.0, "requests")
    by_line = price(load, load_rates(), requests_per_s=450, bytes_per_s=62.5e6)
    assert (by_line.seconds, by_line.bound) == (144.0, "bandwidth")  # 9 GB at 500 Mbit/s
    read_back = price(load, load_rates(), verify="L3", sample=0.5, bytes_per_s=62.5e6)
    assert read_back.bandwidth_s == 216.0
    assert price(load, load_rates()).bandwidth_s is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: x\ndate: 2026-01-01\nnote: y", "storage"),
        ("{", "not YAML"),
        ("[]", "(top)"),
        ("name: x\ndate: 2026-01-01\nnote: y\nstorage: {per_tb_month: -1}", "storage.per_tb_month"),
        ("name: x\ndate: soon\nnote: y\nstorage: {per_tb_month: 1}", "date"),
        ("name: x\ndate: 2026-01-01\nnote: y\nstorage: {per_tb: 1}", "storage.per_tb"),
    ],
)
def test_a_card_that_cannot_be_read_is_said_with_its_field(
    text: str, says: str, tmp_path: Path
) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_rates(card)
    assert says in str(caught.value)
    assert str(card) in str(caught.value)


def test_a_card_that_is_not_there_is_said() -> None:
    with pytest.raises(
        SpecError, match=r"no such file; .* or one of backblaze-2025, backblaze-2026-09"
    ):
        load_rates(Path("backblaze-1999"))
