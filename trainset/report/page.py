"""The report page: one self-contained HTML file that needs no network, no script, no other file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trainset.model import LeftOut, RunSummary
from trainset.report import wording
from trainset.report.alignment import (
    alignment_counts,
    alignment_headline,
    class_bars,
    drift_words,
    label_findings,
    quarantine_rows,
    source_rows,
)
from trainset.report.facts import cards_of, gather_facts
from trainset.report.howto import approve_run, in_terminal, open_dataset, open_export
from trainset.report.markdown_transfer import LEVELS
from trainset.report.model import DatasetFacts, Search
from trainset.report.plot import class_plot
from trainset.report.templates import page_templates
from trainset.report.thumbs import draw_thumbs
from trainset.spec import DatasetSpec, ExportSpec
from trainset.versions.gate import Check

if TYPE_CHECKING:
    from trainset.dataset import Dataset
    from trainset.transfer.report_facts import TransferFacts

MAX_THUMBS = 60
HITS = 6  # answers shown of one search
CLASSES = 24  # bars shown
ROWS = 200  # items of one kind written out; the rest is counted


def write_report(
    summary: RunSummary,
    dataset: Dataset | None,
    *,
    spec: DatasetSpec,
    align_report: Mapping[str, Any] | None = None,
    gate: Sequence[Check] | None = None,
    notes: Sequence[str] = (),
    searches: Sequence[Search] = (),
    timings: Mapping[str, float] | None = None,
    known: Sequence[LeftOut] = (),
    transfer: TransferFacts | None = None,
    provenance: str | None = None,
) -> str:
    """The report of one run as an HTML page, about 0.5 MB.

    Args:
        dataset: open at the run's commit (or, when the run made none, at main); None when there is
            no commit at all: then the page tells of the run only.
        align_report: the fields of ``metadata.AlignReport``: odd labels are shown from it.
        gate: what the gate looked at.
        notes: sentences for the reader, e.g. why there is no text search.
        timings: seconds by stage.
        known: what earlier runs reported already; folded away.
        transfer: what the per-file report of the transfer adds up to.
        provenance: head of the hash chain of the run's events.
    """
    facts = gather_facts(dataset) if dataset is not None else None
    thumbs = _thumbs(dataset, facts, searches) if dataset is not None and facts else {}
    return render(
        summary,
        facts,
        spec=spec,
        made=dataset.commit.created_at if dataset is not None else None,
        commit=dataset.commit.id if dataset is not None else summary.commit,
        thumbs=thumbs,
        align_report=align_report or {},
        gate=gate or (),
        notes=notes,
        searches=searches,
        timings=timings or {},
        known=known,
        transfer=transfer,
        provenance=provenance,
    )


def render(
    summary: RunSummary,
    facts: DatasetFacts | None,
    *,
    spec: DatasetSpec,
    made: datetime | None,
    commit: str | None,
    thumbs: Mapping[str, str],
    align_report: Mapping[str, Any],
    gate: Sequence[Check],
    notes: Sequence[str],
    searches: Sequence[Search],
    timings: Mapping[str, float],
    known: Sequence[LeftOut],
    transfer: TransferFacts | None = None,
    provenance: str | None = None,
) -> str:
    """The page from facts that are gathered already; pure."""
    from markupsafe import Markup

    bars, rarer = class_bars(align_report)
    environment = page_templates()
    environment.filters |= {
        "took": wording.took,
        "split_reason": wording.reason_and_step,
        "kind_title": wording.kind_title,
        "sum_lengths": lambda groups: sum(len(items) for _, items in groups),
        "split_words": _split_words,
    }
    return environment.get_template("page.html.j2").render(
        summary=summary,
        facts=facts,
        spec=spec,
        made=made,
        commit=commit,
        status_text=wording.STATUS[summary.status],
        thumbs=thumbs,
        findings=label_findings(align_report),
        met=alignment_counts(align_report),
        met_headline=alignment_headline(align_report),
        label_sources=source_rows(align_report),
        plot=Markup(class_plot(bars)),  # it escapes the names itself
        rarer=rarer,
        compared=align_report.get("before") is not None,
        drift=drift_words(align_report),
        set_aside=quarantine_rows((*summary.left_out, *known)),
        levels=LEVELS,
        provenance=provenance,
        gate=gate,
        notes=notes,
        searches=searches,
        timings=timings,
        left_out=wording.by_kind(summary.left_out),
        known=wording.by_kind(known),
        transfer=transfer,
        exports=[(e, spec.exports.get(e.name), open_export(e, spec.home)) for e in summary.exports],
        approve=approve_run(summary.run_id) if summary.waits else None,
        open_dataset=open_dataset(spec, summary.tag or commit),
        in_terminal=in_terminal(spec, summary.tag or commit),
        max_hits=HITS,
        max_classes=CLASSES,
        max_rows=ROWS,
    )


def _split_words(export: ExportSpec) -> str:
    shares = {name: getattr(export.split, name) for name in ("train", "val", "test")}
    return ", ".join(f"{name} {100 * share:.4g}%" for name, share in shares.items() if share)


def _thumbs(dataset: Dataset, facts: DatasetFacts, searches: Iterable[Search]) -> Mapping[str, str]:
    """Thumbnails of the answers first, then of the contact sheet, up to ``MAX_THUMBS``."""
    wanted = {hit.key for search in searches for hit in search.hits[:HITS]}
    wanted |= {search.query for search in searches if search.kind == "image"}
    cards = {card.key: card for card in cards_of(dataset, wanted)}
    cards |= {card.key: card for card in facts.cards}
    return draw_thumbs(list(cards.values())[:MAX_THUMBS], dataset.home.read_media)
