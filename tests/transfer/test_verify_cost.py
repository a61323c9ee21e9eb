"""What a verification would cost, against figures worked out by hand and against a real one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest
from services.b2_strict import Request
from services.s3_endpoint import S3Bucket
from services.tiny_source import picture

from trainset.run.context import now
from trainset.run.local import run_pipeline
from trainset.run.verify_estimate import estimate_verify
from trainset.run.verify_transfer import VerifyWork, verify_transfer
from trainset.spec import parse_spec
from trainset.transfer.rates import load_rates
from trainset.transfer.verify_cost import PlaceLoad, SourceLoad, price_levels

OLD = load_rates(Path("backblaze-2025"))
GB = 10**9


def test_each_level_in_figures() -> None:
    places = [PlaceLoad(True, 100_000, 500 * GB, 0), PlaceLoad(False, 100, GB, 0)]
    sources = [SourceLoad(False, 90_000, 400 * GB), SourceLoad(True, 10_100, 101 * GB)]
    l2, l3, l4 = price_levels(
        places, sources, OLD, sample=0.5, requests_per_s=500, bytes_per_s=10**8
    )
    assert [c.objects for c in (l2, l3, l4)] == [100_100] * 3
    assert [c.lists for c in (l2, l3, l4)] == [101] * 3, "a page a thousand, one of uploads"
    assert (l2.read, l2.gets, l2.once) == (0, 0, 0), "lists are free below 2,500 a day"
    assert (l3.read, l3.gets, l3.read_bytes) == (50_050, 50_000, 250 * GB + GB // 2)
    assert l3.once == Decimal(50_000 - 2_500) / 10_000 * Decimal("0.004"), "egress is free to 3x"
    assert l3.seconds == 2_500, "250 GB at 100 MB/s; 50,101 calls take 100 s"
    assert (l4.source_files, l4.source_reads, l4.source_bytes) == (50_050, 2 * 5_050, 501 * GB // 2)
    assert l4.once - l3.once == OLD.source.egress_per_gb * Decimal("50.5") + (
        OLD.source.reads_per_10000 * Decimal("1.01")
    )


def test_nothing_costs_nothing() -> None:
    for cost in price_levels([], [], OLD, sample=1.0, requests_per_s=450):
        assert (cost.objects, cost.lists, cost.once, cost.seconds) == (0, 0, 0, 0)


def test_what_nobody_can_compare_is_not_counted_as_read() -> None:
    _, l3, _ = price_levels([PlaceLoad(True, 10, 1000, 4)], [], OLD, sample=1.0, requests_per_s=450)
    assert (l3.read, l3.gets) == (6, 6)


def _asks_media(request: Request) -> bool:
    """Whether it reads or lists objects of the home's media."""
    return "/home/media/" in request.path or "prefix=home/media" in unquote(request.query)


def test_a_dry_run_says_the_requests_that_the_verification_then_makes(
    s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    (tmp_path / "source").mkdir()
    for number in range(5):
        (tmp_path / "source" / f"{number}.png").write_bytes(picture(number))
    (tmp_path / "source" / "copy.png").write_bytes(picture(0))
    home = f"{s3_bucket.url}/home"
    media = [{"name": "cam", "from": str(tmp_path / "source")}]
    spec = parse_spec({"name": "lab", "home": home, "media": media}, folder=tmp_path)
    keys = s3_bucket.endpoint.credentials
    run_pipeline(spec, credentials=keys)
    s3_bucket.proxy.reset()
    work = VerifyWork(run_id="verify", at=now(), spec=spec, credentials=keys, level="L3")
    found = estimate_verify(work)
    assert not [r for r in s3_bucket.proxy.requests if _asks_media(r)]
    assert (found.files, found.objects) == (6, 5)
    assert found.bytes == sum(len(picture(n)) for n in range(5))
    s3_bucket.proxy.reset()
    verify_transfer(work)
    asked = [r for r in s3_bucket.proxy.requests if r.method == "GET" and _asks_media(r)]
    reads = [r for r in asked if "/home/media/" in r.path]
    lists = [r for r in asked if r not in reads]
    l2, l3, l4 = found.levels
    assert (len(lists), len(reads)) == (l3.lists, l3.gets) == (2, 5)
    assert (l2.gets, l4.source_files) == (0, 6)
    text = found.text()
    assert "6 files in 5 objects" in text
    assert load_rates().date.isoformat() in text
