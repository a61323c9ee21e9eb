"""``LabelStudioReader``: the projects of a Label Studio server, read incrementally.

A stream is a thousand task ids of a project. Every sync lists all tasks without their annotations
(id, time of the last update, counts) and reads again, whole, the streams where that list differs
from the one the stream was read with. So deleted tasks and annotations are seen, and there is no
cursor that a late commit could slip under. What Label Studio changes without touching the task's
time or counts (a comment, for one) is not seen.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from trainset.errors import InputError, NotFound
from trainset.identity import hash128
from trainset.metadata.base import Batch, Rejected, State, Stream
from trainset.metadata.labels.label_studio import read_tasks
from trainset.metadata.labels.label_studio_http import LabelStudioServer
from trainset.metadata.records import to_table
from trainset.stores.urls import safe_url

FORMAT = "label-studio-api"
TASKS_A_STREAM = 1000  # ids; changing it makes every stream a new one
READING = 1  # goes up when a task is read into other records than before
_LIST_PAGE, _READ_PAGE = 500, 100  # tasks a request; a server may give fewer
_SEEN_CHANGES = ("updated_at", "total_annotations", "cancelled_annotations", "total_predictions")
TOKEN = "LABEL_STUDIO_API_KEY"  # as Label Studio's own SDK calls it
_PROJECT = re.compile(r"(.*)/projects/(\d+)(?:/.*)?")
_STREAM = re.compile(r"project-(\d+)-tasks-(\d+)")

Listed = dict[int, tuple[Any, ...]]  # what a list of tasks says of each, by id


class LabelStudioReader:
    """Reads tasks, annotations and predictions of one server.

    Args:
        source: the ``metadata:`` entry's name.
        server: where to ask.
        projects: ids; None: all that the token's user sees.
    """

    def __init__(
        self, source: str, server: LabelStudioServer, *, projects: Sequence[int] | None = None
    ) -> None:
        self._source, self._server, self._projects = source, server, projects

    def spec(self) -> Mapping[str, Any]:
        return {
            "type": "object",
            "required": ["url"],
            "properties": {
                "url": {"type": "string"},
                "projects": {"type": ["array", "null"], "items": {"type": "integer"}},
            },
        }

    def check(self) -> None:
        """See ``Reader.check``."""
        self._server.get("/api/projects", page=1, page_size=1)

    def discover(self) -> Sequence[Stream]:
        return [
            Stream(
                name=f"project-{project}-tasks-{first}",
                format=FORMAT,
                uri=f"{self._server.url}/projects/{project}/",
            )
            for project, first in self._listed
        ]

    def read(self, stream: str, state: State) -> Iterator[Batch]:
        """See ``Reader.read``: a stream that changed is read whole, as one batch."""
        named = _STREAM.fullmatch(stream)
        key = (int(named[1]), int(named[2])) if named else None
        if key is None or key not in self._listed:
            raise NotFound(f"{self._source}: there is no stream {stream!r}; discover lists them")
        listed = self._listed[key]
        digest = _digest(self._server.url, listed)
        if digest is not None and state.get("digest") == digest:
            return
        tasks = self._tasks(*key)
        # Changed since they were listed, or skipped because one before was deleted: read again.
        same = {i: task.get("updated_at") for i, task in tasks.items()} == {
            i: facts[0] for i, facts in listed.items()
        }
        items = list(read_tasks(list(tasks.values()), stream=stream))
        rows = [item for item in items if not isinstance(item, Rejected)]
        yield Batch(
            records=to_table(rows, source=self._source, stream=stream),
            rejected=tuple(item for item in items if isinstance(item, Rejected)),
            state={"digest": digest if same else None, "tasks": len(tasks), "format": FORMAT},
        )

    @cached_property
    def _listed(self) -> dict[tuple[int, int], Listed]:
        """All tasks by stream, as the server lists them; asked for once a sync."""
        found: dict[tuple[int, int], Listed] = {}
        for project in self._project_ids():
            for page in self._pages(project, _LIST_PAGE, fields="task_only"):
                for task in page:
                    first = task["id"] // TASKS_A_STREAM * TASKS_A_STREAM
                    facts = tuple(task.get(name) for name in _SEEN_CHANGES)
                    found.setdefault((project, first), {})[task["id"]] = facts
        return found

    def _project_ids(self) -> Sequence[int]:
        if self._projects is not None:
            return self._projects
        pages = self._server.pages("/api/projects", "results", page_size=100)
        return [project["id"] for page in pages for project in page]

    def _tasks(self, project: int, first: int) -> dict[int, dict[str, Any]]:
        last = first + TASKS_A_STREAM - 1
        wanted = {
            "filter": "filter:tasks:id",
            "operator": "in",
            "type": "Number",
            "value": {"min": first, "max": last},
        }
        pages = self._pages(project, _READ_PAGE, wanted, fields="all")
        # A server that does not know the filter gives all tasks.
        return {t["id"]: t for page in pages for t in page if first <= t["id"] <= last}

    def _pages(
        self, project: int, page_size: int, *filters: dict[str, Any], fields: str
    ) -> Iterator[list[dict[str, Any]]]:
        query: dict[str, Any] = {"ordering": ["tasks:id"]}
        if filters:
            query["filters"] = {"conjunction": "and", "items": list(filters)}
        for page in self._server.pages(
            "/api/tasks",
            "tasks",
            page_size=page_size,
            project=project,
            fields=fields,
            resolve_uri="false",  # else media are named by addresses that expire
            query=json.dumps(query),
        ):
            if not all(isinstance(t, dict) and isinstance(t.get("id"), int) for t in page):
                raise InputError(
                    f"{self._server.url}/api/tasks: a task has no id; is this a Label Studio?"
                )
            yield page


def _digest(url: str, listed: Listed) -> str | None:
    """What a stream's list says, as one word; None when it does not tell changes."""
    if any(facts[0] is None for facts in listed.values()):
        return None
    return hash128([READING, url, sorted(listed.items())])


def open_label_studio(source: str, place: str, token: str | None = None) -> LabelStudioReader:
    """A reader of the server, or of one of its projects, at ``place``.

    Args:
        source: the ``metadata:`` entry's name.
        place: ``https://host`` for all projects, ``https://host/projects/7`` for one of them.
        token: legacy or personal access token of a user who sees the projects; None: from the
            environment (``LABEL_STUDIO_API_KEY``).
    Raises:
        InputError: the address is none or has a secret in it, or there is no token.
    """
    token = token or os.environ.get(TOKEN)
    if not token:
        raise InputError(
            f"{source}: no token for {safe_url(place)}; set {TOKEN} to one from Label Studio's "
            "Account & Settings"
        )
    named = _PROJECT.fullmatch(place)
    url, projects = (named[1], [int(named[2])]) if named else (place, None)
    return LabelStudioReader(source, LabelStudioServer(url, token), projects=projects)
