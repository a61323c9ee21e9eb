"""A run's summary, spec and facts as the report tests use them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainset.model import (
    CellTotals,
    ExportResult,
    LeftOut,
    MetadataTotals,
    RunSummary,
    TransferTotals,
)
from trainset.report.model import Card, ColumnState, DatasetFacts, MediaCount
from trainset.spec import DatasetSpec, parse_spec

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def spec() -> DatasetSpec:
    return parse_spec(
        {
            "name": "street-scenes",
            "home": "s3://bucket/street-scenes",
            "media": [{"name": "cameras", "from": "s3://raw/cameras"}],
            "exports": {
                "shards": {
                    "format": "webdataset",
                    "where": "width >= 640",
                    "split": {"train": 0.8, "val": 0.1, "test": 0.1},
                }
            },
        },
        folder=Path("/"),
    )


@pytest.fixture
def summary() -> RunSummary:
    orphans = [
        LeftOut(
            key=f"boxes/instances#{i:02d}",
            stage="metadata",
            kind="orphan-record",
            reason=f"'{i}.jpg' fits no medium; bring the medium in, or mend the name",
        )
        for i in range(16)
    ]
    broken = LeftOut(
        key=f"cameras/{EVIL} a|b.mp4",
        stage="transfer",
        kind="unreadable",
        reason="it ends after 20 bytes; replace the file at its source",
    )
    return RunSummary(
        run_id="20261122-143000-ab12cd34",
        status="completed",
        commit="0f3c9a" * 6 + "abcd",
        tag="v1",
        transfer=TransferTotals(planned=1215, sent=1201, duplicate=10, deferred=1, failed=3),
        metadata=MetadataTotals(rows=4312, matched=4300, orphan_records=10, ambiguous=2),
        cells=CellTotals(computed=6010, failed=4),
        exports=(
            ExportResult(
                name="shards",
                format="webdataset",
                path="exports/shards",
                samples=740,
                sha256="ab" * 32,
            ),
        ),
        left_out=(*orphans, broken),
        known_left_out=3,
    )


@pytest.fixture
def facts() -> DatasetFacts:
    return DatasetFacts(
        media=(
            MediaCount(modality="image", count=1204, bytes=181_000_000),
            MediaCount(modality="audio", count=1, bytes=2_000_000),
        ),
        missing=1,
        unreadable=2,
        labels=4312,
        labelled_media=988,
        classes=(("person", 1500), (EVIL, 3)),
        kinds=(("box", 4312),),
        matches=(("path", 4302), ("orphan", 10)),
        columns=(
            ColumnState(
                name="clip",
                operator="open_clip",
                model="ViT-B-32/laion2b",
                type="float16[512]",
                filled=1200,
                failed=4,
                empty=1,
            ),
        ),
        cards=(
            Card(
                key=f"cameras/{EVIL}.jpg",
                uri="media/aa/bb",
                sha256="aa",
                mime="image/jpeg",
                modality="image",
                size=40_000,
                detail="640 × 480",
                labels=("person",),
            ),
        ),
    )
