"""The story of a file over all runs, told from provenance, the ledger and the media table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from trainset.model import Frozen
from trainset.report.wording import size
from trainset.transfer.ledger.base import Attempt, DeadLetter


class Happening(Frozen):
    """One line of a story: an event, or a try that only the ledger knows (type ATTEMPT).

    ``facts`` are all fields of the event.
    """

    time: datetime
    type: str
    run_id: str | None
    key: str | None
    text: str
    facts: dict[str, Any]


class FileNow(Frozen):
    """What is true of a file in the commit that was asked.

    Attributes:
        state: present, missing (gone at its source), or absent: the commit has no row of it.
        unreadable: why it cannot be decoded.
        dead_letter: why no run tries its newest version again by itself.
        why: of an absent file: what its last event says.
    """

    key: str
    row_id: str | None = None
    state: str
    missing_since: datetime | None = None
    unreadable: str | None = None
    dead_letter: str | None = None
    why: str | None = None
    source_uri: str | None = None
    uri: str | None = None
    version_id: str | None = None
    sha256: str | None = None
    size: int | None = None

    @property
    def said(self) -> str:
        """In a few words."""
        words = [self.state]
        if self.missing_since is not None:
            words.append(f"since {self.missing_since.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
        if self.unreadable:
            words.append(f"unreadable: {self.unreadable}")
        if self.why:
            words.append(self.why)
        if self.dead_letter:
            words.append(f"a dead letter: {self.dead_letter}")
        return "; ".join(words)


def build_story(
    events: Iterable[Mapping[str, Any]],
    attempts: Iterable[Attempt] = (),
    names: Mapping[str, str] | None = None,
) -> list[Happening]:
    """What happened, in order of time; what the ledger tells and an event tells too comes once.

    Args:
        events: rows of ``provenance.SCHEMA``, in the order of their chains.
        attempts: the ledger's, of the same files.
        names: keys of files that events name by their row id.
    """
    told = list(events)
    # Older versions gave all events of a run one time; then the chain knows the order.
    places = {run: n for n, run in enumerate(_runs(told))}
    known = {(e["run_id"], e["source_uri"], e["kind"]) for e in told if e["kind"]}
    keys = {e["source_uri"]: e["key"] for e in told}
    named = names or {}
    lines = [(e["time"], places[e["run_id"]], e["seq"], _happening(e, named)) for e in told]
    for a in attempts:
        if (a.run_id, a.source_uri, a.kind) not in known:
            lines.append((a.at, len(places), 0, _tried(a, keys.get(a.source_uri))))
    return [line[-1] for line in sorted(lines, key=lambda line: line[:3])]


def files_now(
    rows: Iterable[Mapping[str, Any]],
    story: Iterable[Happening],
    dead: Iterable[DeadLetter] = (),
) -> list[FileNow]:
    """Every file of the story as it is now, by key.

    Args:
        rows: of the commit's media table.
        dead: dead letters of these files; one of an older version may stand beside a good row.
    """
    letters = {letter.key: letter for letter in dead}
    found = {
        row["key"]: FileNow(
            key=row["key"],
            row_id=row["row_id"],
            state=row["source_state"] or "present",
            dead_letter=letters[row["key"]].reason if row["key"] in letters else None,
            **{
                name: row[name]
                for name in ("missing_since", "unreadable", "source_uri", "uri", "version_id")
            },
            **{name: row[name] for name in ("sha256", "size")},
        )
        for row in rows
    }
    last = {h.key: h for h in story if h.key is not None and h.type not in ("RECEIVE", "VERIFY")}
    for key in (last.keys() | letters.keys()) - found.keys():
        letter, event = letters.get(key), last.get(key)
        found[key] = FileNow(
            key=key,
            state="absent",
            dead_letter=letter.reason if letter else None,
            why=event.text if event and not letter else None,
            source_uri=letter.source_uri
            if letter
            else event.facts["source_uri"]
            if event
            else None,
        )
    return [found[key] for key in sorted(found)]


def _runs(events: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(e["run_id"] for e in events))


def _happening(event: Mapping[str, Any], names: Mapping[str, str]) -> Happening:
    return Happening(
        time=event["time"],
        type=event["type"],
        run_id=event["run_id"],
        key=event["key"],
        text="; ".join(_words(event, names)),
        facts=dict(event),
    )


def _tried(a: Attempt, key: str | None) -> Happening:
    words = [f"{a.state} ({a.kind})" if a.kind else a.state, *([a.reason] if a.reason else [])]
    facts = a.model_dump()
    return Happening(
        time=a.at, type="ATTEMPT", run_id=a.run_id, key=key, text=": ".join(words), facts=facts
    )


_FIRST = {
    "RECEIVE": "listed as {source_uri}",
    "REPLAY": "tried again on demand: {source_uri}",
    "FETCH": "read",
    "ROUTE": "rule {rule_id}",
    "SEND": "sent to {uri}",
    "DUPLICATE": "these bytes were there: {uri}",
    "ADOPT": "stays at {uri}",
    "SKIP": "there already: {uri}",
    "DROP": "waits for a later run",
    "DEADLETTER": "given up",
    "VERIFY": "verified at {verified}",
}


def _words(e: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    if e["type"] == "SEND" and e["relationship"] == "failure":
        yield "sending failed"
    elif e["type"] == "VERIFY" and e["relationship"] == "failure":
        yield f"verification failed at {e['verified']}"
    elif e["type"] == "SKIP" and e["uri"] is None:
        yield "taken by no rule" if e["rule_id"] is None else f"turned away by rule {e['rule_id']}"
    elif e["type"] in _FIRST:
        yield _FIRST[e["type"]].format_map(e)
    if e["type"] in ("RECEIVE", "REPLAY"):
        yield f"version {e['source_version']}, {size(e['source_size'] or 0)}"
    if e["type"] == "FETCH":
        yield f"sha256 {e['sha256']}"
    if e["type"] == "SEND" and e["version_id"]:
        yield f"version id {e['version_id']}"
    if e["bytes"]:
        yield f"{size(e['bytes'])} moved"
    if e["attempt"] and e["attempt"] > 1 and e["type"] != "RETRY":
        yield f"try {e['attempt']}"
    if e["duration_ms"]:
        yield f"{e['duration_ms']:,} ms"
    if e["type"] == "DUPLICATE" and e["parent_ids"]:
        first = e["parent_ids"][0]
        yield f"brought first by {names.get(first, f'the file {first}')}"
    if e["retention_until"] is not None:
        yield f"locked until {e['retention_until'].astimezone(UTC):%Y-%m-%d %H:%M}"
    if e["kind"] and e["http_status"]:
        answer = " ".join(filter(None, (str(e["http_status"]), e["error_code"])))
        yield f"the store answered {answer}"
        if e["request_id"]:
            yield f"request {e['request_id']}"
    if e["reason"]:
        yield f"{e['kind']}: {e['reason']}" if e["kind"] else str(e["reason"])
