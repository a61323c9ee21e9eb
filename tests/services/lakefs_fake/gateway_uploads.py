"""The S3 gateway's multipart uploads; parts wait in memory."""

from __future__ import annotations

import hashlib
import uuid

from services.lakefs_fake.errors import Invalid, NotFound
from services.lakefs_fake.gateway_xml import S3Error, element, texts, xml_reply
from services.lakefs_fake.lakefs import LakeFS, Upload
from services.lakefs_fake.repository import Repository
from services.lakefs_fake.wire import Range, Reply, Request

META = "X-Amz-Meta-"  # lakeFS keeps the prefix in the names of an entry's metadata


def metadata_of(request: Request) -> dict[str, str]:
    names = [name for name in request.headers if name.startswith(META.lower())]
    return {META + name[len(META) :]: request.headers[name] for name in names}


def check_writable(repository: Repository, ref: str) -> None:
    """Only branches are written; a name that no branch can have is an error of the server."""
    try:
        repository.refs.branch(ref)
    except Invalid as error:
        raise S3Error("InternalError", str(error)) from error
    except NotFound as error:
        raise S3Error("NoSuchBucket", str(error)) from error


def post(lakefs: LakeFS, request: Request, repository: Repository, ref: str, path: str) -> Reply:
    if "uploads" in request.query:
        return _create(lakefs, request, repository, ref, path)
    if "uploadId" in request.query:
        return _complete(lakefs, request, repository, ref, path)
    raise S3Error("ERRLakeFSNotSupported")


def _create(lakefs: LakeFS, request: Request, repository: Repository, ref: str, path: str) -> Reply:
    check_writable(repository, ref)
    kind = request.headers.get("content-type", "")
    upload_id = uuid.uuid4().hex
    lakefs.uploads[upload_id] = Upload(kind, metadata_of(request))
    root = element("InitiateMultipartUploadResult")
    element("Bucket", repository.name, root)
    element("Key", f"{ref}/{path}", root)
    element("UploadId", upload_id, root)
    return xml_reply(root)


def _upload(lakefs: LakeFS, request: Request) -> Upload:
    upload = lakefs.uploads.get(request.get("uploadId"))
    if upload is None:
        raise S3Error("InternalError", "no such upload")
    return upload


def put_part(lakefs: LakeFS, request: Request, repository: Repository) -> Reply:
    data = request.body
    source = request.headers.get("x-amz-copy-source", "")
    if source:
        bucket, ref, path = source.removeprefix("/").split("/", 2)
        entry = lakefs.repository(bucket).refs.entry(ref, path)
        part = Range(request.headers.get("x-amz-copy-source-range"), entry.size)
        data = lakefs.blocks.get(entry.address, part.start, part.stop)
    _upload(lakefs, request).parts[int(request.get("partNumber"))] = data
    etag = f'"{hashlib.md5(data).hexdigest()}"'
    if not source:
        return Reply(200, headers={"ETag": etag})
    root = element("CopyPartResult")
    element("ETag", etag, root)
    return xml_reply(root)


def _complete(
    lakefs: LakeFS, request: Request, repository: Repository, ref: str, path: str
) -> Reply:
    upload = _upload(lakefs, request)
    numbers = sorted(int(number) for number in texts(request.body, "PartNumber"))
    if not numbers or not upload.parts.keys() >= set(numbers):
        raise S3Error("InternalError", "a part that was never sent")
    parts = [upload.parts[number] for number in numbers]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    checksum = hashlib.md5(digests).hexdigest()
    data = b"".join(parts)
    entry = lakefs.store(repository, data, upload.content_type, upload.metadata, checksum)
    absent = request.headers.get("if-none-match") == "*"
    try:
        repository.stage(ref, path, entry, if_absent=absent)
    except NotFound as error:
        raise S3Error("InternalError", str(error)) from error
    lakefs.uploads.pop(request.get("uploadId"), None)
    root = element("CompleteMultipartUploadResult")
    element("Bucket", repository.name, root)
    element("Key", f"{ref}/{path}", root)
    element("ETag", f'"{checksum}-{len(parts)}"', root)
    return xml_reply(root)


def abort(lakefs: LakeFS, request: Request) -> Reply:
    if lakefs.uploads.pop(request.get("uploadId"), None) is None:
        raise S3Error("NoSuchKey")
    return Reply(204)
