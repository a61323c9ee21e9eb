"""A home on a lakeFS server in an archive: taken from one server, laid on another.

``repository.json`` has the commits with what each changed, oldest first, branches and tags;
``objects/<sha256>`` the bytes; ``root/`` what lies outside the repository. Only calls that every
lakeFS server answers are made, so what the archive holds depends on no later version of trainset.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from services.lakefs_homes import LakeFSHome, LakeFSHomes
from trainset.stores import open_store
from trainset.stores.s3 import S3Store
from trainset.versions.lakefs.home import open_repository
from trainset.versions.lakefs.objects import Repository
from trainset.versions.lakefs.refs import RawCommit

CONFIG, MAIN = "trainset.json", "main"
OUTSIDE = ("media/", CONFIG)
NOWHERE = {"versions": "lakefs://archived", "root": "archived"}  # until it is restored


def save_home(home: LakeFSHome, archive: Path) -> None:
    """Write the archive; ids in it are the old server's."""
    repository, store = open_repository(home.url), open_store(home.root, home.credentials)
    branches, files = repository.branches(), dict[str, bytes]()
    commits = [
        {
            "id": commit.id,
            "parents": commit.parents,
            "message": commit.message,
            "metadata": {k: v for k, v in commit.metadata.items() if k[0] != "."},
            "changes": _changes(repository, commit, files),
        }
        for commit in _oldest_first(repository, [*branches.values(), *repository.tags().values()])
    ]
    facts = {"branches": branches, "tags": repository.tags(), "commits": commits}
    files["repository.json"] = json.dumps(facts, indent=1).encode()
    for prefix in OUTSIDE:
        for info in store.list(prefix):
            files[f"root/{info.key}"] = _moved(info.key, store.get(info.key), NOWHERE)
    with tarfile.open(archive, "w:gz") as out:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))


def restore_home(archive: Path, homes: LakeFSHomes) -> LakeFSHome:
    """Lay the home in a new repository, commit by commit, through the server's gateway."""
    with tarfile.open(archive) as packed:
        members = [m for m in packed.getmembers() if m.isfile()]
        files = {m.name: opened.read() for m in members if (opened := packed.extractfile(m))}
    home = LakeFSHome(homes.new_url(), homes.new_root(), homes.credentials)
    store = open_store(home.root, home.credentials)
    place = {"versions": home.url, "root": store.url}
    for name, data in files.items():
        if name.startswith("root/"):
            key = name.removeprefix("root/")
            store.put(key, _moved(key, data, place))
    repository = open_repository(home.url)
    repository.create(f"{homes.server.storage}/{repository.name}", MAIN)
    facts = json.loads(files["repository.json"])
    ids: dict[str, str] = {}
    for commit in facts["commits"]:
        for path, sha256 in commit["changes"].items():
            if sha256 is not None:
                commit["changes"][path] = _moved(path, files[f"objects/{sha256}"], place)
        ids[commit["id"]] = _commit_again(repository, commit, ids, _owner(commit["id"], facts))
    for name, at in facts["tags"].items():
        repository.create_tag(name, ids[at])
    assert repository.branches() == {name: ids[at] for name, at in facts["branches"].items()}
    return home


def _oldest_first(repository: Repository, tips: list[str]) -> list[RawCommit]:
    found = {commit.id: commit for tip in tips for commit in repository.log(tip)}
    ordered: dict[str, RawCommit] = {}

    def visit(commit: str) -> None:
        if commit not in ordered:
            for parent in found[commit].parents:
                visit(parent)
            ordered[commit] = found[commit]

    for tip in tips:
        visit(tip)
    return list(ordered.values())


def _changes(
    repository: Repository, commit: RawCommit, files: dict[str, bytes]
) -> dict[str, str | None]:
    """Sha256 by path against the first parent, None: removed; the bytes go into ``files``."""
    changes: dict[str, str | None] = {}
    for change in repository.changed(commit.parents[0], commit.id) if commit.parents else ():
        changes[change.path] = None
        if change.how != "removed":
            data = _moved(change.path, repository.read(commit.id, change.path), NOWHERE)
            changes[change.path] = sha256 = hashlib.sha256(data).hexdigest()
            files[f"objects/{sha256}"] = data
    return changes


def _owner(commit: str, facts: dict[str, Any]) -> str | None:
    """The branch, main first, on whose line of first parents a commit is; None: a run's."""
    parents = {one["id"]: one["parents"] for one in facts["commits"]}
    for name, at in sorted(facts["branches"].items(), key=lambda branch: branch[0] != MAIN):
        while at != commit and parents[at]:
            at = parents[at][0]
        if at == commit:
            return str(name)
    return None


def _commit_again(
    repository: Repository, commit: dict[str, Any], ids: dict[str, str], owner: str | None
) -> str:
    if not commit["parents"]:
        first = repository.branch(MAIN)
        assert first is not None
        return first
    parents = [ids[parent] for parent in commit["parents"]]
    metadata = {key: ids.get(value, value) for key, value in commit["metadata"].items()}
    aside = f"restore-{commit['id'][:12]}"
    if len(parents) == 1:
        assert owner is None, "main and users' branches move by merges"
        repository.create_branch(aside, parents[0])
        _write(repository, aside, commit["changes"])
        made = repository.commit_branch(aside, commit["message"], metadata).id
    else:
        assert owner is not None, "runs make no merge commits"
        if repository.branch(owner) is None:
            repository.create_branch(owner, parents[0])
        assert repository.branch(owner) == parents[0]
        repository.create_branch(aside, parents[1])
        made = repository.merge(aside, owner, commit["message"], metadata)
    repository.delete_branch(aside)
    return made


def _write(repository: Repository, branch: str, changes: dict[str, bytes | None]) -> None:
    gateway = S3Store(repository.name, "", repository.access.gateway())
    repository.delete(branch, [path for path, data in changes.items() if data is None])
    for path, data in changes.items():
        if data is not None:
            gateway.put(f"{branch}/{path}", data)


def _moved(path: str, data: bytes, place: dict[str, str]) -> bytes:
    """``trainset.json`` says where the home is; other files stay as they are."""
    if path != CONFIG:
        return data
    return json.dumps(json.loads(data) | place, indent=2).encode()
