"""Routes of branches, tags, commits, the log, diffs, merges and reverts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.lakefs_fake import history, merging, names
from services.lakefs_fake.api import amount_of, list_page, page_reply, route
from services.lakefs_fake.errors import Conflict, Invalid, NotFound, Refused
from services.lakefs_fake.history import Commit
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.merging import Change
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
        heads = {name: branch.commit for name, branch in found.refs.branches.items()}
    return _refs(request, heads)


@route("GET", f"{_ONE}/tags")
def list_tags(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    return _refs(request, dict(lakefs.repository(repository).refs.tags))


def _refs(request: Request, heads: Mapping[str, str]) -> Reply:
    def render(item: Listed) -> dict[str, Any]:
        return {"id": item.name, "commit_id": heads[item.name]}

    return list_page(request, names_from(sorted(heads)), render)


@route("POST", f"{_ONE}/branches")
def create_branch(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    wanted = request.json()
    commit = lakefs.repository(repository).refs.create_branch(wanted["name"], wanted["source"])
    return Reply(201, commit.id.encode(), {"Content-Type": "text/html"})


@route("GET", _BRANCH)
def get_branch(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    found = lakefs.repository(repository).refs.branch(branch)
    return json_reply(200, {"id": branch, "commit_id": found.commit})


@route("DELETE", _BRANCH)
def delete_branch(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    lakefs.repository(repository).refs.delete_branch(branch)
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
    commit = lakefs.repository(repository).refs.create_tag(wanted["id"], wanted["ref"])
    return json_reply(201, {"id": wanted["id"], "commit_id": commit.id})


@route("GET", f"{_ONE}/tags/{{tag}}")
def get_tag(lakefs: LakeFS, request: Request, repository: str, tag: str) -> Reply:
    names.check_tag(tag)
    commit = lakefs.repository(repository).refs.tags.get(tag)
    if commit is None:
        raise NotFound(f"tag {tag!r} not found")
    return json_reply(200, {"id": tag, "commit_id": commit})


@route("DELETE", f"{_ONE}/tags/{{tag}}")
def delete_tag(lakefs: LakeFS, request: Request, repository: str, tag: str) -> Reply:
    lakefs.repository(repository).refs.delete_tag(tag)
    return Reply(204)


# -- commits


@route("POST", f"{_BRANCH}/commits")
def commit(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    wanted = request.json()
    made = lakefs.repository(repository).commit(branch, wanted["message"], wanted)
    return json_reply(201, rendered(made))


@route("GET", f"{_ONE}/commits/{{commit}}")
def get_commit(lakefs: LakeFS, request: Request, repository: str, commit: str) -> Reply:
    try:
        return json_reply(200, rendered(lakefs.repository(repository).refs.resolve(commit)))
    except Invalid as error:  # this route of lakeFS calls a bad ref an error of its own
        raise Refused(str(error)) from error


@route("GET", f"{_ONE}/refs/{{ref}}/commits")
def log_commits(lakefs: LakeFS, request: Request, repository: str, ref: str) -> Reply:
    found = lakefs.repository(repository).refs
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
    if len(one.parents) != 1:  # lakeFS leaves merges out here
        return False
    changed = merging.diff(commits[one.parents[0]].tree.entries, one.tree.entries)
    return any(path in objects or path.startswith(tuple(prefixes)) for path in changed)


# -- diffs, merges, reverts


@route("GET", f"{_BRANCH}/diff")
def diff_branch(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    return _changes(request, lakefs.repository(repository).uncommitted(branch))


@route("GET", f"{_ONE}/refs/{{left}}/diff/{{right}}")
def diff_refs(lakefs: LakeFS, request: Request, repository: str, left: str, right: str) -> Reply:
    refs = lakefs.repository(repository).refs
    with refs.lock:
        if request.get("type") == "two_dot":
            staged = right.endswith("$")
            other = refs.view(right).entries() if staged else refs.resolve(right).tree.entries
            changes = merging.diff(refs.resolve(left).tree.entries, other)
        else:
            ours, theirs, base = refs.merge_base(left, right)
            changes = merging.three_way(base.tree.entries, theirs.tree.entries, ours.tree.entries)
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
    """As lakeFS answers: the source's commit under destination_commit_id, and the reverse."""
    one, other, base = lakefs.repository(repository).refs.merge_base(source, target)
    shown = {"source_commit_id": other.id, "destination_commit_id": one.id}
    return json_reply(200, {**shown, "base_commit_id": base.id})


@route("POST", f"{_BRANCH}/revert")
def revert(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    wanted = request.json()
    lakefs.repository(repository).revert(
        branch, wanted["ref"], int(wanted["parent_number"]), wanted
    )
    return Reply(204)
