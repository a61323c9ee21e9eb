"""Which events an outcome stands for; their names are NiFi's, where NiFi has one.

RECEIVE (listed) · FETCH (read) · ROUTE · SEND · DUPLICATE · SKIP · DROP (waits for a later run) ·
RETRY · VERIFY · DEADLETTER · REPLAY (a dead letter that is tried again) · ADOPT.

NiFi has no word for ADOPT, the end of a file in reference mode: it only knows contents that came
into its own repository (RECEIVE, DOWNLOAD) or left it (SEND, UPLOAD), and here no byte moves: the
dataset pins an object where it lies.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from trainset.identity import row_id
from trainset.model import MediaFacts
from trainset.spec import RouteSpec
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.verify_report import FileCheck, ObjectFault


class Event(NamedTuple):
    """One event before it has its place in a chain; see ``SCHEMA`` for the fields."""

    type: str
    key: str
    source_uri: str
    time: datetime
    source_version: str | None = None
    source_size: int | None = None
    duration_ms: int | None = None
    uri: str | None = None
    version_id: str | None = None
    etag: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    attempt: int | None = None
    component: str | None = None
    relationship: str | None = None
    rule_id: str | None = None
    verified: str | None = None
    kind: str | None = None
    reason: str | None = None
    parent_ids: tuple[str, ...] | None = None
    child_ids: tuple[str, ...] | None = None
    sha256_before: str | None = None
    http_status: int | None = None
    error_code: str | None = None
    request_id: str | None = None
    retention_until: datetime | None = None
    attributes_changed: tuple[tuple[str, str], ...] | None = None


_ENDS = {
    "sent": "SEND",
    "duplicate": "DUPLICATE",
    "skipped": "SKIP",
    "deferred": "DROP",
    "failed": "DROP",
}
_COMPONENTS = {"SEND": "send", "DUPLICATE": "send", "ADOPT": "read", "SKIP": "list"}
_LEVELS = {
    "L1": "the store checked the upload",
    "L2": "and a listing of the store shows it",
    "L3": "and it was read back",
    "L4": "and its source was read again",
}


def outcome_events(
    outcome: Outcome,
    *,
    listed_at: datetime,
    rules: Mapping[str, str],
    dead: Container[str] | None = None,
    replayed: Container[str] = (),
    replay: str | None = None,
    faults: Mapping[str, ObjectFault] | None = None,
    parents: Mapping[str, str] | None = None,
) -> Iterator[Event]:
    """The events of one file, in the order they happened.

    Args:
        listed_at: of RECEIVE, and of what has no time of its own.
        rules: the spec's rules in words, by name.
        dead: keys that no run tries again by itself; None: every file that failed.
        replayed: keys of files that someone let this run try again: dead letters, or a replay.
        replay: the stage that a replay began from.
        faults: what a verification found wrong with files that had arrived, by key: they are
            not taken into the dataset, and the next run looks again.
        parents: of duplicates, by key: the ``file_id`` of the file that brought the bytes first.
    """
    o = outcome
    at = o.at or listed_at
    begun = _event("RECEIVE", o.file, listed_at, "list")
    if o.file.key in replayed:
        begun = begun._replace(type="REPLAY", reason=replay and f"from {replay}")
    yield begun
    if o.route is not None:
        routed = _event("ROUTE", o.file, at, "route")._replace(reason=rules.get(o.route))
        yield routed._replace(relationship=o.route, rule_id=o.route)
    if o.sha256 is not None and o.status != "skipped":
        read = _event("FETCH", o.file, at, "read")
        learned = None if o.facts is None else _texts(o.facts)
        yield read._replace(sha256=o.sha256, relationship="success", attributes_changed=learned)
    if o.attempts > 1:
        reason = f"tried {o.attempts} times in this run"
        yield _event("RETRY", o.file, at, None)._replace(attempt=o.attempts, reason=reason)
    if o.status == "failed" and o.sha256 is not None:
        # It was read, so it was the sending that failed.
        failed = _event("SEND", o.file, at, "send")._replace(kind=o.kind, reason=o.reason)
        failed = failed._replace(sha256_before=o.sha256, **_reply(o))
        yield failed._replace(relationship="failure", sha256=o.sha256, attempt=o.attempts)
    end = _end(o, at, dead)
    if end.type == "DUPLICATE" and parents and (first := parents.get(o.file.key)) is not None:
        end = end._replace(parent_ids=(first,), child_ids=(row_id(o.file.key),))
    yield end
    if o.arrived and o.verified is not None and o.verified in _LEVELS:
        proof = _event("VERIFY", o.file, at, "verify")._replace(relationship="success")
        proof = proof._replace(
            verified=o.verified, reason=_LEVELS[o.verified], sha256_before=o.sha256
        )
        yield proof._replace(uri=o.uri, version_id=o.version_id, etag=o.etag, sha256=o.sha256)
    if o.arrived and faults and (fault := faults.get(o.file.key)) is not None:
        found = _event("VERIFY", o.file, at, "verify")._replace(
            relationship="failure", kind=fault.kind, reason=_said(fault)
        )
        yield found._replace(
            verified=fault.level,
            uri=o.uri,
            version_id=o.version_id,
            etag=o.etag,
            sha256_before=o.sha256,
            sha256=o.sha256,
        )
        yield found._replace(type="DROP", rule_id=o.route)


def check_events(check: FileCheck, at: datetime) -> Iterator[Event]:
    """The event of one file of a verification; none where it was not looked at."""
    file, fault = check.file, check.fault
    if check.level is None and fault is None:
        return
    source = file.source
    yield Event(
        "VERIFY",
        file.key,
        file.source_uri or file.uri,
        at,
        None if source is None else source.version,
        file.size,
        uri=file.uri,
        version_id=file.version_id,
        etag=file.etag,
        sha256_before=file.sha256,
        sha256=file.sha256,
        component="verify",
        relationship="success" if fault is None else "failure",
        verified=check.level if fault is None else fault.level,
        kind=None if fault is None else fault.kind,
        reason=_LEVELS.get(str(check.level)) if fault is None else _said(fault),
    )


def _said(fault: ObjectFault) -> str:
    return f"{fault.reason}; {fault.step}"


def describe_routes(routes: Iterable[RouteSpec]) -> dict[str, str]:
    """Each rule of the spec in words, by name: what ROUTE events give as their reason."""
    return {
        route.name: ", ".join(
            f"{name} {', '.join(value) if isinstance(value, list) else value}"
            for name, value in route.model_dump(mode="json", exclude_defaults=True).items()
            if name not in ("name", "protect", "skip")
        )
        for route in routes
    }


def _end(o: Outcome, at: datetime, dead: Container[str] | None) -> Event:
    """The event that says what became of the file."""
    left_out = o.status in ("deferred", "failed")
    given_up = o.status == "failed" if dead is None else o.file.key in dead
    type_ = _ENDS[o.status]
    if left_out and given_up:
        type_ = "DEADLETTER"
    elif o.arrived and o.uri == o.file.uri:
        type_ = "ADOPT"  # it lies where it lay
    relationship = "success" if o.arrived else "skip" if o.status == "skipped" else "failure"
    return _event(type_, o.file, at, _COMPONENTS.get(type_))._replace(
        duration_ms=o.duration_ms,
        uri=o.uri,
        version_id=o.version_id,
        etag=o.etag,
        sha256_before=o.sha256,
        sha256=o.sha256,
        bytes=o.moved_bytes,
        attempt=o.attempts,
        relationship=relationship,
        rule_id=o.route,
        kind=o.kind,
        reason=o.reason,
        retention_until=o.retention_until,
        **_reply(o),
    )


def _reply(o: Outcome) -> dict[str, Any]:
    """What the store answered, on the event that it ended."""
    if o.reply is None:
        return {}
    status, code, request_id = o.reply
    return {"http_status": status, "error_code": code, "request_id": request_id}


def _texts(facts: MediaFacts) -> tuple[tuple[str, str], ...]:
    """What a look into the bytes taught, as texts by name."""
    named = vars(facts).items()
    return tuple((n, str(v)) for n, v in named if v is not None and n != "unreadable")


def _event(type_: str, file: SourceFile, at: datetime, component: str | None) -> Event:
    return Event(type_, file.key, file.uri, at, file.version, file.size, component=component)
