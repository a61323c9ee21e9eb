"""Routes that give entries to bytes which are elsewhere: addresses, links, imports."""

from __future__ import annotations

import time
from typing import Any

from services.lakefs_fake.api import route
from services.lakefs_fake.api_objects import rendered, wants_absent
from services.lakefs_fake.api_refs import rendered as rendered_commit
from services.lakefs_fake.errors import Invalid, NotFound, Refused
from services.lakefs_fake.imports import Import
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.tree import Entry
from services.lakefs_fake.wire import Reply, Request, json_reply

_BRANCH = "/repositories/{repository}/branches/{branch}"


@route("GET", f"{_BRANCH}/staging/backing")
def get_physical_address(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    address = lakefs.signed_address(lakefs.repository(repository), branch, request.get("path"))
    shown: dict[str, Any] = {"physical_address": address, "presigned_url": None}
    if request.flag("presign"):
        try:
            url, expiry = lakefs.blocks.presigned(address, "put_object")
        except Invalid as error:  # this route of lakeFS has another status for it
            raise Refused(str(error)) from error
        shown |= {"presigned_url": url, "presigned_url_expiry": expiry}
    return json_reply(200, shown)


@route("PUT", f"{_BRANCH}/staging/backing")
def link_physical_address(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    """Nothing is read at the address: a link to nothing is taken like any other."""
    found, path, wanted = lakefs.repository(repository), request.get("path"), request.json()
    address = wanted["staging"]["physical_address"]
    lakefs.check_link(found, branch, path, address)
    checksum = wanted["checksum"].strip(' "')
    if not checksum:
        raise Invalid("checksum is required")
    entry = Entry(
        address,
        checksum,
        wanted["size_bytes"],
        wanted.get("mtime") or int(time.time()),
        wanted.get("content_type") or "application/octet-stream",
        wanted.get("user_metadata") or {},
    )
    found.stage(branch, path, entry, if_absent=wants_absent(request))
    return json_reply(200, rendered(path, entry, address))


@route("POST", f"{_BRANCH}/import")
def start_import(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    started = Import(lakefs.repository(repository), branch, lakefs.blocks, request.json())
    lakefs.imports[started.id] = started
    return json_reply(202, {"id": started.id})


@route("GET", f"{_BRANCH}/import")
def import_status(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    lakefs.repository(repository)
    found = lakefs.imports.get(request.get("id"))
    if found is None:
        raise NotFound(f"import {request.get('id')!r} not found")
    shown: dict[str, Any] = {
        "completed": found.commit is not None,
        "update_time": found.updated.isoformat(),
        "ingested_objects": found.ingested,
    }
    if found.commit is not None:
        shown["commit"] = rendered_commit(found.commit)
        shown["metarange_id"] = found.commit.tree.id
    if found.error is not None:
        shown["error"] = {"message": found.error}
    return json_reply(200, shown)
