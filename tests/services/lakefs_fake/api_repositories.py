"""Routes of the server itself: configuration, repositories, their settings."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from services.lakefs_fake.api import list_page, route
from services.lakefs_fake.errors import Exists
from services.lakefs_fake.lakefs import VERSION, LakeFS
from services.lakefs_fake.repository import USER, Repository
from services.lakefs_fake.tree import names_from
from services.lakefs_fake.wire import Reply, Request, json_reply

_ONE = "/repositories/{repository}"


def _storage(lakefs: LakeFS) -> dict[str, Any]:
    kind = lakefs.blocks.kind
    return {
        "blockstore_type": kind,
        "blockstore_namespace_example": f"{kind}://example/",
        "blockstore_namespace_ValidityRegex": f"^{kind}://",
        "pre_sign_support": kind == "s3",
        "pre_sign_support_ui": False,
        "import_support": True,
        "import_validity_regex": f"^{kind}://",
        "pre_sign_multipart_upload": False,
    }


def _version() -> dict[str, Any]:
    return {"version": VERSION, "version_context": "fake-for-tests", "upgrade_recommended": False}


@route("GET", "/config")
def config(lakefs: LakeFS, request: Request) -> Reply:
    return json_reply(200, {"version_config": _version(), "storage_config": _storage(lakefs)})


@route("GET", "/config/version")
def config_version(lakefs: LakeFS, request: Request) -> Reply:
    return json_reply(200, _version())


@route("GET", "/config/storage")
def config_storage(lakefs: LakeFS, request: Request) -> Reply:
    return json_reply(200, _storage(lakefs))


@route("GET", "/user")
def user(lakefs: LakeFS, request: Request) -> Reply:
    return json_reply(200, {"user": {"id": USER, "creation_date": 0}})


def _rendered(repository: Repository) -> dict[str, Any]:
    return {
        "id": repository.name,
        "creation_date": int(repository.created),
        "default_branch": repository.refs.default_branch,
        "storage_id": "",
        "storage_namespace": repository.namespace,
        "read_only": False,
    }


@route("GET", "/repositories")
def list_repositories(lakefs: LakeFS, request: Request) -> Reply:
    found = dict(lakefs.repositories)
    return list_page(request, names_from(sorted(found)), lambda item: _rendered(found[item.name]))


@route("POST", "/repositories")
def create_repository(lakefs: LakeFS, request: Request) -> Reply:
    return json_reply(201, _rendered(lakefs.create_repository(request.json())))


@route("GET", _ONE)
def get_repository(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    return json_reply(200, _rendered(lakefs.repository(repository)))


@route("DELETE", _ONE)
def delete_repository(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    lakefs.delete_repository(repository)
    return Reply(204)


def _etag(patterns: list[str]) -> str:
    return hashlib.md5(json.dumps(patterns).encode()).hexdigest()


@route("GET", f"{_ONE}/settings/branch_protection")
def get_protection(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    patterns = lakefs.repository(repository).protected
    return json_reply(200, [{"pattern": p} for p in patterns], ETag=_etag(patterns))


@route("PUT", f"{_ONE}/settings/branch_protection")
def set_protection(lakefs: LakeFS, request: Request, repository: str) -> Reply:
    """In force at once; a real server takes up to some seconds."""
    found = lakefs.repository(repository)
    with found.lock:
        seen = request.headers.get("if-match", "").strip('"')
        if seen and seen != _etag(found.protected):
            raise Exists("precondition failed: the rules changed")
        found.protected = [rule["pattern"] for rule in request.json()]
    return Reply(204)
