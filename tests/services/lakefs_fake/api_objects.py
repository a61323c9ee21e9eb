"""Routes of objects: reads, listing, uploads, copies, deletes."""

from __future__ import annotations

import re
import time
from typing import Any

from services.lakefs_fake.api import list_page, route
from services.lakefs_fake.errors import Exists, Forbidden, Invalid, NotFound, NotServed, Refused
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.tree import Entry, Listed
from services.lakefs_fake.wire import Range, Reply, Request, json_reply

_ONE = "/repositories/{repository}"
_BRANCH = f"{_ONE}/branches/{{branch}}"
_REF = f"{_ONE}/refs/{{ref}}"
_META = "x-lakefs-meta-"


def rendered(path: str, entry: Entry, address: str) -> dict[str, Any]:
    return {
        "path": path,
        "path_type": "object",
        "physical_address": address,
        "checksum": entry.checksum,
        "size_bytes": entry.size,
        "mtime": entry.mtime,
        "metadata": dict(entry.metadata),
        "content_type": entry.content_type,
    }


def _seen(lakefs: LakeFS, request: Request, path: str, entry: Entry) -> dict[str, Any]:
    """``rendered``, as the query's user_metadata and presign ask for it."""
    shown = rendered(path, entry, lakefs.blocks.shown(entry.address))
    if request.get("user_metadata", "true") != "true":
        shown["metadata"] = {}
    if request.flag("presign"):
        url, expiry = lakefs.blocks.presigned(entry.address, "get_object")
        shown |= {"physical_address": url, "physical_address_expiry": expiry}
    return shown


# -- reading


@route("GET", f"{_REF}/objects")
def get_object(lakefs: LakeFS, request: Request, repository: str, ref: str) -> Reply:
    entry = lakefs.repository(repository).refs.entry(ref, request.get("path"))
    if request.flag("presign"):
        url, _ = lakefs.blocks.presigned(entry.address, "get_object")
        return Reply(302, headers={"Location": url})
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
    entry = lakefs.repository(repository).refs.entry(ref, request.get("path"))
    return json_reply(200, _seen(lakefs, request, request.get("path"), entry))


@route("GET", f"{_REF}/objects/ls")
def list_objects(lakefs: LakeFS, request: Request, repository: str, ref: str) -> Reply:
    found = lakefs.repository(repository)
    with found.lock:
        view = found.refs.view(ref)

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
                shown = _seen(lakefs, request, item.name, entry)
            except Forbidden as error:  # one such link, and the whole page fails
                raise Refused(str(error)) from error
            if not shown["metadata"]:
                del shown["metadata"]
            return shown

        return list_page(request, view.first_from, render)


# -- writing


@route("POST", f"{_BRANCH}/objects")
def upload_object(lakefs: LakeFS, request: Request, repository: str, branch: str) -> Reply:
    found, path = lakefs.repository(repository), request.get("path")
    if_absent = wants_absent(request)
    found.refs.branch(branch)
    if if_absent and found.refs.view(branch).get(path) is not None:
        raise Exists("path already exists")
    content_type, data = _content(request)
    metadata = {
        name.removeprefix(_META): value
        for name, value in request.headers.items()
        if name.startswith(_META)
    }
    entry = lakefs.store(found, data, content_type, metadata)
    found.stage(branch, path, entry, if_absent=if_absent)
    return json_reply(201, rendered(path, entry, entry.address))


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
        raise Invalid("request size exceeded, max paths is set to 1000")
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
    found.refs.branch(branch)
    if wanted.get("shallow"):
        raise NotServed("shallow copies are not served")
    source = found.refs.entry(wanted.get("src_ref") or branch, wanted["src_path"])
    data = lakefs.blocks.get(source.address)
    entry = lakefs.store(found, data, source.content_type, source.metadata, source.checksum)
    found.stage(branch, request.get("dest_path"), entry)
    return json_reply(201, rendered(request.get("dest_path"), entry, entry.address))
