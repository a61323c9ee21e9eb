"""Routes of objects: uploads, reads, listing, links to outside addresses, imports."""

from __future__ import annotations

import re
import time
from typing import Any

from services.lakefs_fake.api import list_page, route
from services.lakefs_fake.api_refs import rendered as rendered_commit
from services.lakefs_fake.errors import Exists, Invalid, NotFound, NotServed, Refused
from services.lakefs_fake.imports import Import
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.tree import Entry, Listed
from services.lakefs_fake.wire import Range, Reply, Request, json_reply

_ONE = "/repositories/{repository}"
_BRANCH = f"{_ONE}/branches/{{branch}}"
_REF = f"{_ONE}/refs/{{ref}}"
_META = "x-lakefs-meta-"


def rendered(path: str, entry: Entry) -> dict[str, Any]:
    return {
        "path": path,
        "path_type": "object",
        "physical_address": entry.address,
        "checksum": entry.checksum,
        "size_bytes": entry.size,
        "mtime": entry.mtime,
        "metadata": dict(entry.metadata),
        "content_type": entry.content_type,
    }


# -- reading


@route("GET", f"{_REF}/objects")
def get_object(lakefs: LakeFS, request: Request, repository: str, ref: str) -> Reply:
    entry = lakefs.repository(repository).entry(ref, request.get("path"))
    return object_reply(lakefs, request, entry)


@route("HEAD", f"{_REF}/objects")
def head_object(lakefs: LakeFS, request: Request, repository: str, ref: str) -> Reply:
    return get_object(lakefs, request, repository, ref)


def object_reply(lakefs: LakeFS, request: Request, entry: Entry) -> Reply:
    """The bytes, or the range of them that was asked for; HEAD reads none."""
    wanted = Range(request.headers.get("range"), entry.size)
    headers = {
        "ETag": f'"{entry.checksum}"',
        "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(entry.mtime)),
        "Content-Type": entry.content_type or "application/octet-stream",
        "Accept-Ranges": "bytes",
        "Content-Length": str(wanted.stop - wanted.start),
        **wanted.headers,
    }
    if not wanted.satisfiable:
        return json_reply(416, {"message": "Requested Range Not Satisfiable"})
    body = b""
    if request.method != "HEAD":
        body = lakefs.blocks.get(entry.address, wanted.start, wanted.stop)
    return Reply(206 if wanted.partial else 200, body, headers)


@route("GET", f"{_REF}/objects/stat")
def stat_object(lakefs: LakeFS, request: Request, repository: str, ref: str) -> Reply:
    entry = lakefs.repository(repository).entry(ref, request.get("path"))
    lakefs.blocks.check(entry.address)
    return json_reply(200, rendered(request.get("path"), entry))


@route("GET", f"{_REF}/objects/ls")
def list_objects(lakefs: LakeFS, request: Request, repository: str, ref: str) -> Reply:
    found = lakefs.repository(repository)
    with found.lock:
        view = found.view(ref)

        def render(item: Listed) -> dict[str, Any]:
            entry = None if item.group else view.get(item.name)
            if entry is None:
                return {
                    "path": item.name,
                    "path_type": "common_prefix",
                    "checksum": "",
                    "mtime": 0,
                    "physical_address": "",
                }
            try:
                lakefs.blocks.check(entry.address)
            except Refused as error:  # one bad link, and the whole page fails
                raise Refused(str(error)) from error
            return rendered(item.name, entry)

        return list_page(request, view.first_from, render)


# -- writing


@route("POST", f"{_BRANCH}/objects")
def upload_object(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    found, path = lakefs.repository(repository), request.get("path")
    if_absent = wants_absent(request)
    found.branch(branch)
    if if_absent and found.view(branch).get(path) is not None:
        raise Exists("path already exists")
    content_type, data = _content(request)
    metadata = {
        name.removeprefix(_META): value
        for name, value in request.headers.items()
        if name.startswith(_META)
    }
    entry = lakefs.store(found, data, content_type, metadata)
    found.stage(branch, path, entry, if_absent=if_absent)
    return json_reply(201, rendered(path, entry))


def wants_absent(request: Request) -> bool:
    """Whether the write is to happen only where no object is."""
    if "if-match" in request.headers or request.headers.get("if-none-match", "*") != "*":
        raise NotServed("only If-None-Match: * is served")
    return "if-none-match" in request.headers


def _content(request: Request) -> tuple[str, bytes]:
    """The content type and the bytes, sent plainly or as the form field ``content``."""
    given = request.headers.get("content-type", "application/octet-stream")
    if not given.startswith("multipart/form-data"):
        return given, request.body
    boundary = given.partition("boundary=")[2].strip('"').encode()
    for part in request.body.split(b"--" + boundary)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        if b'name="content"' in head:
            kind = re.search(rb"(?i)content-type: *([^\r]+)", head)
            return kind[1].decode() if kind else "", data[: -len(b"\r\n")]
    raise Refused("multipart upload without the key 'content'")


@route("DELETE", f"{_BRANCH}/objects")
def delete_object(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    lakefs.repository(repository).stage(branch, request.get("path"), None)
    return Reply(204)


@route("POST", f"{_BRANCH}/objects/delete")
def delete_objects(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    """Errors come one a path; what is not there is no error, nor is a branch that is not."""
    found, errors = lakefs.repository(repository), []
    paths = request.json()["paths"]
    if len(paths) > 1000:
        errors = [{"path": p, "status_code": 500, "message": "more than 1000"} for p in paths]
        return json_reply(200, {"errors": errors})
    with found.lock:
        for path in paths:
            try:
                found.stage(branch, path, None)
            except NotFound:
                continue
            except Refused as error:
                errors.append({"path": path, "status_code": error.status, "message": str(error)})
    return json_reply(200, {"errors": errors})


@route("POST", f"{_BRANCH}/objects/copy")
def copy_object(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    found, wanted = lakefs.repository(repository), request.json()
    found.branch(branch)
    if wanted.get("shallow"):
        raise NotServed("shallow copies are not served")
    source = found.entry(wanted.get("src_ref") or branch, wanted["src_path"])
    data = lakefs.blocks.get(source.address)
    entry = lakefs.store(found, data, source.content_type, source.metadata, source.checksum)
    found.stage(branch, request.get("dest_path"), entry)
    return json_reply(201, rendered(request.get("dest_path"), entry))


# -- addresses and imports


@route("GET", f"{_BRANCH}/staging/backing")
def get_physical_address(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    if request.flag("presign"):
        raise Refused("the block store gives no presigned addresses")
    found = lakefs.repository(repository)
    address = lakefs.signed_address(found, branch, request.get("path"))
    return json_reply(200, {"physical_address": address})


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
    return json_reply(200, rendered(path, entry))


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
