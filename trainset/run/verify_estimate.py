"""``verify-transfer --dry-run``: what each level would look at and cost; asks no destination."""

from __future__ import annotations

from trainset.dataset import Dataset
from trainset.home import open_home
from trainset.model import Frozen
from trainset.report.wording import many, size, took
from trainset.run.plan_inputs import is_bucket
from trainset.run.plan_report import slowest_rate
from trainset.run.plan_text import money
from trainset.run.verify_transfer import VerifyWork, media_of
from trainset.transfer.rates import RateCard, load_rates
from trainset.transfer.verify import HOME, place_of
from trainset.transfer.verify_cost import LevelCost, PlaceLoad, SourceLoad, price_levels
from trainset.transfer.verify_table import VerifyTable


class VerifyEstimate(Frozen):
    """The cost of each level over one commit."""

    ref: str
    commit: str
    files: int
    objects: int
    bytes: int
    unhashed: int
    sample: float
    levels: tuple[LevelCost, ...]
    card: str
    card_date: str
    currency: str

    def text(self) -> str:
        lines = [
            f"{self.ref} ({self.commit[:12]}): {many(self.files, 'file')} in "
            f"{many(self.objects, 'object')} ({size(self.bytes)}); nothing was asked or read.",
            "",
        ]
        lines += [f"{cost.level}  {_said(cost, self.currency)}" for cost in self.levels]
        if self.unhashed:
            lines.append(f"{self.unhashed:,} objects have no known sha256: they are not read back.")
        share = f"{self.sample:.4g} of the objects are drawn for L3 and L4."
        lines += ["", f"{share} Prices: {self.card}, {self.card_date}."]
        return "\n".join(lines)


def estimate_verify(work: VerifyWork, rates: RateCard | None = None) -> VerifyEstimate:
    """Count what a verification of ``work.ref`` would do, from the media table alone.

    Raises:
        NotFound: no home, or no such ref.
    """
    spec, card = work.spec, rates or load_rates()
    home = open_home(
        spec.home, credentials=work.credentials, options=spec.store_options, lakefs=work.lakefs
    )
    dataset = Dataset(home, home.versions.snapshot(work.ref), work.ref)
    table = VerifyTable()
    try:
        media = media_of(dataset.open_table("media"))
        table.add(((*place_of(file.uri), file) for file in media), work.seed)
        places = [
            PlaceLoad(is_bucket(spec.home if place == HOME else place), *counts)
            for place, *counts in table.place_loads()
        ]
        froms = {source.name: source.from_ for source in spec.media}
        sources = [
            SourceLoad(is_bucket(froms[name]), *counts)
            for name, *counts in table.source_loads()
            if name in froms
        ]
        files, _, _ = table.counts()
    finally:
        table.close()
    return VerifyEstimate(
        ref=work.ref,
        commit=dataset.commit.id,
        files=files,
        objects=sum(place.objects for place in places),
        bytes=sum(place.bytes for place in places),
        unhashed=sum(place.unhashed for place in places),
        sample=work.sample,
        levels=price_levels(
            places,
            sources,
            card,
            sample=work.sample,
            requests_per_s=spec.transfer.requests_per_second,
            bytes_per_s=slowest_rate(spec.transfer.bandwidth),
        ),
        card=card.name,
        card_date=card.date.isoformat(),
        currency=card.currency,
    )


def _said(cost: LevelCost, currency: str) -> str:
    text = f"{cost.lists:,} List calls"
    if cost.level >= "L3":
        text += f", {many(cost.read, 'object')} read back ({size(cost.read_bytes)})"
        text += f" by {cost.gets:,} GETs" if cost.gets else ""
    if cost.level >= "L4":
        text += f", {many(cost.source_files, 'source file')} read again ({size(cost.source_bytes)})"
    return f"{text}; {money(cost.once, currency)}, {took(cost.seconds)} at least"
