"""How many batches are sent at once, by all runs of one Prefect server: the limit of a tag.

Batches carry the tag ``b2-upload``. A limit of that tag holds back the batches of every run of the
server; without one each run sends as many as its task runner has threads. Prefect itself shows a
batch that waits as Pending and logs nothing, so the flow says it before the first batch.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from trainset.errors import InputError
from trainset.report.wording import many

LOG = logging.getLogger(__name__)

UPLOAD_TAG = "b2-upload"
BATCHES = 4  # on the managed server: each batch has threads of its own, and all share one line
NAME = f"tag:{UPLOAD_TAG}"  # as Prefect's list of concurrency limits shows it
SET_LIMIT = f"prefect concurrency-limit create {UPLOAD_TAG} {BATCHES}"


class UploadLimit(NamedTuple):
    """The limit of the tag on a server.

    Attributes:
        slots: batches at once.
        taken: slots that the server counts as taken.
        held: slots that running batches hold. Fewer than ``taken``: a server that was killed has
            forgotten who held the others, and nobody gives them back.
    """

    slots: int
    taken: int
    held: int


def keep_upload_limit(api: str, *, patience_s: float = 60.0) -> bool:
    """Give a server of ours, just started, the limit; a number that the user set stays.

    No batch holds a slot yet, so what an earlier, killed server counted as taken is free again.
    A run needs no limit: a server that does not take it is told in a warning, and the run goes on.

    Args:
        api: URL of the server's API.
        patience_s: how long a server is asked again that answers 503: its database is busy while
            its services start.
    Returns:
        Whether the server has the limit now.
    """
    give_up = time.monotonic() + patience_s
    while True:
        try:
            _keep(api)
        except OSError as err:
            busy = isinstance(err, urllib.error.HTTPError) and err.code == 503
            if busy and time.monotonic() <= give_up:
                time.sleep(0.5)
                continue
            LOG.warning(
                "the Prefect server did not take the limit %s (%s): each run sends as many batches "
                "at once as it has threads; to set it: %s",
                *(NAME, err, SET_LIMIT),
            )
            return False
        return True


def _keep(api: str) -> None:
    new = {"name": NAME, "limit": BATCHES, "active": True, "active_slots": 0}
    try:
        _send(f"{api}/v2/concurrency_limits/", "POST", new)
    except urllib.error.HTTPError as err:
        if err.code != 409:  # it is there
            raise
        _send(f"{api}/v2/concurrency_limits/{NAME}", "PATCH", {"active_slots": 0})


def read_upload_limit() -> UploadLimit | None:
    """The limit on the server that this process uses; None: none is set, or it is switched off."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            limit = client.read_global_concurrency_limit_by_name(NAME)
            if not limit.active:
                return None
            holders = client.read_concurrency_limit_by_tag(UPLOAD_TAG).active_slots
        except ObjectNotFound:
            return None
    return UploadLimit(limit.limit, limit.active_slots, len(holders))


def say_upload_limit(limit: UploadLimit | None, batches: int) -> str:
    """One line on what the limit means for a run of so many batches.

    Raises:
        InputError: it lets no batch start.
    """
    counted = many(batches, "batch", "batches")
    if limit is None:
        return (
            f"{counted}; no limit for the tag {UPLOAD_TAG} on this Prefect server "
            f"(set one for all runs together: {SET_LIMIT})"
        )
    if limit.slots == 0:
        raise InputError(
            f"the concurrency limit {NAME} of this Prefect server is 0, so no batch can start; "
            f"raise it: prefect gcl update {NAME} --limit {BATCHES}"
        )
    text = f"{counted}, at most {limit.slots} at once over all runs (limit {NAME})"
    if (lost := limit.taken - limit.held) > 0 and limit.taken >= limit.slots:
        return (
            f"{text}; {lost} slots are taken by nobody, as after a killed server, and batches "
            f"would wait for them: prefect gcl update {NAME} --active-slots {limit.held}"
        )
    if limit.taken >= limit.slots:
        return f"{text}; all are taken now: batches wait as Pending until another run's are done"
    return text


def _send(url: str, method: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    urllib.request.urlopen(request, timeout=30).close()
