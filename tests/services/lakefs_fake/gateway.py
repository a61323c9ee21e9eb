"""The S3 gateway: bucket = repository, key = ref/path; objects one at a time."""

from __future__ import annotations

import contextlib
import time
from urllib.parse import unquote, unquote_plus

from services.lakefs_fake import gateway_lists, gateway_uploads, sigv4
from services.lakefs_fake.api_objects import object_reply, wants_absent
from services.lakefs_fake.errors import (
    BytesGone,
    Exists,
    NotFound,
    NotServed,
    Protected,
    Refused,
)
from services.lakefs_fake.gateway_uploads import META
from services.lakefs_fake.gateway_xml import S3Error, element, xml_reply
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.repository import Repository
from services.lakefs_fake.wire import Reply, Request

_CODES = {
    Exists: "PreconditionFailed",
    Protected: "ErrWriteToProtectedBranch",
    BytesGone: "NoSuchVersion",
    NotFound: "NoSuchKey",
    NotServed: "NotImplemented",
}


def answer(lakefs: LakeFS, request: Request) -> Reply:
    try:
        if (code := sigv4.refusal(request, lakefs.key_id, lakefs.secret)) is not None:
            raise S3Error(code)
        return _serve(lakefs, request)
    except S3Error as error:
        return error.reply(request)
    except Refused as error:
        return S3Error(_CODES.get(type(error), "InternalError"), str(error)).reply(request)


def _serve(lakefs: LakeFS, request: Request) -> Reply:
    bucket, _, key = unquote(request.path).removeprefix("/").partition("/")
    if not bucket:
        return gateway_lists.list_buckets(lakefs)
    try:
        repository = lakefs.repository(bucket)
    except NotFound as error:
        code = "NotImplemented" if request.method == "PUT" and not key else "NoSuchBucket"
        raise S3Error(code) from error
    if not key:
        return _serve_bucket(lakefs, request, repository)
    ref, _, path = key.partition("/")
    if not path:
        return Reply(404)  # a ref alone is no object
    action = {
        "GET": _get,
        "HEAD": _get,
        "PUT": _put,
        "POST": gateway_uploads.post,
        "DELETE": _delete,
    }[request.method]
    return action(lakefs, request, repository, ref, path)


def _serve_bucket(lakefs: LakeFS, request: Request, repository: Repository) -> Reply:
    if request.method == "HEAD":
        return Reply(200)
    if request.method == "GET":
        return gateway_lists.list_objects(request, repository)
    if request.method == "POST" and "delete" in request.query:
        return gateway_lists.delete_objects(request, repository)
    if request.method == "PUT":
        raise S3Error("BucketAlreadyExists")
    raise S3Error("ERRLakeFSNotSupported")


def _get(lakefs: LakeFS, request: Request, repository: Repository, ref: str, path: str) -> Reply:
    entry = repository.refs.entry(ref, path)
    reply = object_reply(lakefs, request, entry)
    if reply.status == 416:
        raise S3Error("InvalidRange")
    reply.headers |= {k.title(): v for k, v in entry.metadata.items() if k.startswith(META)}
    return reply


def _put(lakefs: LakeFS, request: Request, repository: Repository, ref: str, path: str) -> Reply:
    gateway_uploads.check_writable(repository, ref)
    if "uploadId" in request.query:
        return gateway_uploads.put_part(lakefs, request, repository)
    if "x-amz-copy-source" in request.headers:
        return _copy(lakefs, request, repository, ref, path)
    if_absent = wants_absent(request)
    if if_absent and repository.refs.view(ref).get(path) is not None:
        raise S3Error("PreconditionFailed")
    kind = request.headers.get("content-type", "")
    entry = lakefs.store(repository, request.body, kind, gateway_uploads.metadata_of(request))
    repository.stage(ref, path, entry, if_absent=if_absent)
    return Reply(200, headers={"ETag": f'"{entry.checksum}"'})


def _copy(lakefs: LakeFS, request: Request, repository: Repository, ref: str, path: str) -> Reply:
    given = unquote_plus(request.headers["x-amz-copy-source"]).removeprefix("/")
    if given.count("/") < 2:
        raise S3Error("InvalidArgument", "a copy source is repository/ref/path")
    bucket, ref_from, path_from = given.split("/", 2)
    source = lakefs.repository(bucket).refs.entry(ref_from, path_from)
    replace = request.headers.get("x-amz-metadata-directive", "").upper() == "REPLACE"
    entry = lakefs.store(
        repository,
        lakefs.blocks.get(source.address),
        source.content_type,
        gateway_uploads.metadata_of(request) if replace else source.metadata,
        source.checksum,
    )
    try:
        repository.stage(ref, path, entry)
    except Protected as error:
        raise S3Error("InvalidRequest", str(error)) from error
    root = element("CopyObjectResult")
    element("LastModified", time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), root)
    element("ETag", f'"{entry.checksum}"', root)
    return xml_reply(root)


def _delete(lakefs: LakeFS, request: Request, repository: Repository, ref: str, path: str) -> Reply:
    """204 also for what is not there, and for a ref that is no branch: nothing happens then."""
    if "uploadId" in request.query:
        return gateway_uploads.abort(lakefs, request)
    with contextlib.suppress(NotFound):
        repository.stage(ref, path, None)
    return Reply(204)
