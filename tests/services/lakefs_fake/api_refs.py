"""Routes of branches, tags, commits, the log, diffs, merges and reverts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.lakefs_fake import history, merging, names
from services.lakefs_fake.api import amount_of, list_page, page_reply, route
from services.lakefs_fake.errors import Conflict, Invalid, NotFound
from services.lakefs_fake.history import Commit
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.merging import Change
from services.lakefs_fake.repository import Repository
from services.lakefs_fake.tree import Listed, names_from
from services.lakefs_fake.wire import Reply, Request, json_reply

_ONE = "/repositories/{repository}"
_BRANCH = f"{_ONE}/branches/{{branch}}"


def rendered(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.id,
        "parents": list(commit.parents),
        "committer": commit.committer,
        "message": commit.message,
        "creation_date": int(commit.created),
        "meta_range_id": commit.tree.id,
        "metadata": dict(commit.metadata),
        "generation": commit.generation,
        "version": 1,
    }


# -- branches and tags


@route("GET", f"{_ONE}/branches")
def list_branches(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    found = lakefs.repository(repository)
    with found.lock:
        heads = {name: branch.commit for name, branch in found.branches.items()}
    return _refs(request, heads)


@route("GET", f"{_ONE}/tags")
def list_tags(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    return _refs(request, dict(lakefs.repository(repository).tags))


def _refs(request: Request, heads: Mapping[str, str]) -> Reply:
    def render(item: Listed) -> dict[str, Any]:
        return {"id": item.name, "commit_id": heads[item.name]}

    return list_page(request, names_from(sorted(heads)), render)


@route("POST", f"{_ONE}/branches")
def create_branch(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    wanted = request.json()
    commit = lakefs.repository(repository).create_branch(wanted["name"], wanted["source"])
    return Reply(201, commit.id.encode(), {"Content-Type": "text/html"})


@route("GET", _BRANCH)
def get_branch(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    found = lakefs.repository(repository).branch(branch)
    return json_reply(200, {"id": branch, "commit_id": found.commit})


@route("DELETE", _BRANCH)
def delete_branch(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    lakefs.repository(repository).delete_branch(branch)
    return Reply(204)


@route("PUT", _BRANCH)
def reset_branch(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    wanted = request.json()
    path = wanted.get("path") or ""
    fits = {
        "reset": lambda name: True,
        "common_prefix": lambda name: name.startswith(path),
        "object": lambda name: name == path,
    }.get(wanted["type"])
    if fits is None:
        raise Invalid("unknown reset type")
    lakefs.repository(repository).reset(branch, fits)
    return Reply(204)


@route("POST", f"{_ONE}/tags")
def create_tag(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    wanted = request.json()
    commit = lakefs.repository(repository).create_tag(wanted["id"], wanted["ref"])
    return json_reply(201, {"id": wanted["id"], "commit_id": commit.id})


@route("GET", f"{_ONE}/tags/{{tag}}")
def get_tag(lakefs: LakeFS, request: Request, repository: str, tag: str) -> Reply:
    names.check_tag(tag)
    commit = lakefs.repository(repository).tags.get(tag)
    if commit is None:
        raise NotFound(f"tag {tag!r} not found")
    return json_reply(200, {"id": tag, "commit_id": commit})


@route("DELETE", f"{_ONE}/tags/{{tag}}")
def delete_tag(lakefs: LakeFS, request: Request, repository: str, tag: str) -> Reply:
    lakefs.repository(repository).delete_tag(tag)
    return Reply(204)


# -- commits


@route("POST", f"{_BRANCH}/commits")
def commit(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    wanted = request.json()
    made = lakefs.repository(repository).commit(
        branch,
        wanted["message"],
        wanted.get("metadata") or {},
        allow_empty=bool(wanted.get("allow_empty")),
    )
    return json_reply(201, rendered(made))


@route("GET", f"{_ONE}/commits/{{commit}}")
def get_commit(lakefs: LakeFS, request: Request, repository: str, commit: str) -> Reply:
    return json_reply(200, rendered(lakefs.repository(repository).resolve(commit)))


@route("GET", f"{_ONE}/refs/{{ref}}/commits")
def log_commits(lakefs: LakeFS, request: Request, repository: str, ref: str) -> Reply:
    found = lakefs.repository(repository)
    with found.lock:
        commits = dict(found.commits)
        start = found.resolve(ref).id
        stop_at = found.resolve(request.get("stop_at")).id if request.get("stop_at") else None
    since = request.get("since")
    oldest = datetime.fromisoformat(since).timestamp() if since else 0
    amount, after = amount_of(request), request.get("after")
    chosen: list[Commit] = []
    for one in history.log(commits, start, first_parent=request.flag("first_parent")):
        if one.created < oldest:
            break
        if after:  # everything up to it was on earlier pages
            after = "" if one.id == after else after
        elif _touches(commits, one, request):
            chosen.append(one)
        if one.id == stop_at or len(chosen) > amount:
            break
    shown = chosen[:amount]
    more = len(chosen) > amount and not request.flag("limit")
    return page_reply([rendered(one) for one in shown], more, shown[-1].id if shown else "")


def _touches(commits: Mapping[str, Commit], one: Commit, request: Request) -> bool:
    """Whether the commit changed one of the paths that the query names; without any, yes."""
    objects, prefixes = request.query.get("objects", []), request.query.get("prefixes", [])
    if not objects and not prefixes:
        return True
    before = commits[one.parents[0]].tree.entries if one.parents else {}
    changed = merging.diff(before, one.tree.entries)
    return any(path in objects or path.startswith(tuple(prefixes)) for path in changed)


# -- diffs, merges, reverts


@route("GET", f"{_BRANCH}/diff")
def diff_branch(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    return _changes(request, lakefs.repository(repository).uncommitted(branch))


@route("GET", f"{_ONE}/refs/{{left}}/diff/{{right}}")
def diff_refs(lakefs: LakeFS, request: Request, repository: str, left: str, right: str) -> Reply:
    found = lakefs.repository(repository)
    with found.lock:
        one, other = found.resolve(left), found.resolve(right)
        base = history.merge_base(found.commits, one.id, other.id)
    if request.get("type", "three_dot") == "two_dot":
        changes = merging.diff(one.tree.entries, other.tree.entries)
    else:
        changes = merging.three_way(base.tree.entries, other.tree.entries, one.tree.entries)
    return _changes(request, changes)


def _changes(request: Request, changes: Mapping[str, Change]) -> Reply:
    def render(item: Listed) -> dict[str, Any]:
        if item.group:
            return {"type": "prefix_changed", "path": item.name, "path_type": "common_prefix"}
        kind, entry = changes[item.name]
        shown = {"type": kind, "path": item.name, "path_type": "object", "size_bytes": entry.size}
        if request.flag("include_right_stats"):
            shown["right"] = {
                "checksum": entry.checksum,
                "mtime": entry.mtime,
                "content_type": entry.content_type,
                "metadata": dict(entry.metadata),
            }
        return shown

    return list_page(request, names_from(list(changes)), render)


_MERGE = f"{_ONE}/refs/{{source}}/merge/{{target}}"


@route("POST", _MERGE)
def merge(lakefs: LakeFS, request: Request, repository: str, source: str, target: str) -> Reply:
    try:
        made = lakefs.repository(repository).merge(source, target, request.json())
    except Conflict:
        return json_reply(409, {"reference": ""})  # the server does not say which paths
    return json_reply(200, {"reference": made.id})


@route("GET", _MERGE)
def merge_base(
    lakefs: LakeFS, request: Request, repository: str, source: str, target: str
) -> Reply:
    found: Repository = lakefs.repository(repository)
    with found.lock:
        one, other = found.resolve(source), found.resolve(target)
        base = history.merge_base(found.commits, one.id, other.id)
    shown = {"source_commit_id": one.id, "destination_commit_id": other.id}
    return json_reply(200, {**shown, "base_commit_id": base.id})


@route("POST", f"{_BRANCH}/revert")
def revert(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    wanted = request.json()
    lakefs.repository(repository).revert(
        branch, wanted["ref"], int(wanted["parent_number"]), wanted
    )
    return Reply(204)
