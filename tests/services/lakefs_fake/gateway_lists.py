"""The S3 gateway's lists: buckets, branches as prefixes, objects; and deletes in bulk."""

from __future__ import annotations

import time

from services.lakefs_fake.errors import NotFound, Protected, Refused
from services.lakefs_fake.gateway_xml import S3Error, element, texts, xml_reply
from services.lakefs_fake.lakefs import LakeFS
from services.lakefs_fake.repository import Repository
from services.lakefs_fake.tree import Listed, Tree, View, names_from, page
from services.lakefs_fake.wire import Reply, Request

_MAX_KEYS = 1000


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def list_buckets(lakefs: LakeFS) -> Reply:
    root = element("ListAllMyBucketsResult")
    buckets = element("Buckets", parent=root)
    for repository in list(lakefs.repositories.values()):
        one = element("Bucket", parent=buckets)
        element("Name", repository.name, one)
        element("CreationDate", _time(repository.created), one)
    return xml_reply(root)


def list_objects(request: Request, repository: Repository) -> Reply:
    """ListObjectsV2 and the older ListObjects; without a ``/`` in the prefix, the branches."""
    if "location" in request.query:
        return xml_reply(element("LocationConstraint"))
    if "versioning" in request.query:
        return xml_reply(element("VersioningConfiguration"))
    version_2 = request.get("list-type") == "2"
    prefix, delimiter = request.get("prefix"), request.get("delimiter")
    wanted = int(request.get("max-keys", str(_MAX_KEYS)))
    amount = min(wanted, _MAX_KEYS)
    marker = request.get("continuation-token") or request.get("start-after")
    if not version_2:
        marker = request.get("marker")
    ref, slash, path = prefix.partition("/")
    with repository.lock:
        if slash:
            view = _view(repository, ref, version_2)
            behind = ref + "/"
            if marker and not marker.startswith(behind):
                raise S3Error("BadRequest")
            after = marker.removeprefix(behind)
            found, more = page(view.first_from, path, after, delimiter, amount)
        else:
            view, behind = View(Tree({})), ""
            branches = names_from(sorted(repository.refs.branches))
            names, more = page(branches, ref, marker.removesuffix("/"), "", amount)
            found = [Listed(item.name + "/", True) for item in names]
        root = element("ListBucketResult")
        for name, value in (
            ("Name", repository.name),
            ("Prefix", prefix),
            ("Delimiter", delimiter),
        ):
            element(name, value, root)
        element("MaxKeys", str(wanted), root)
        element("KeyCount", str(len(found)), root)
        element("IsTruncated", str(more).lower(), root)
        if more and found and (version_2 or delimiter):
            name = "NextContinuationToken" if version_2 else "NextMarker"
            element(name, behind + found[-1].name, root)
        for item in found:
            entry = None if item.group else view.get(item.name)
            if entry is None:
                element("Prefix", behind + item.name, element("CommonPrefixes", parent=root))
                continue
            one = element("Contents", parent=root)
            element("Key", behind + item.name, one)
            element("LastModified", _time(entry.mtime), one)
            element("ETag", f'"{entry.checksum}"', one)
            element("Size", str(entry.size), one)
            element("StorageClass", "STANDARD", one)
    return xml_reply(root)


def _view(repository: Repository, ref: str, version_2: bool) -> View:
    """Under a ref that is not there, the older call finds nothing and the newer one fails."""
    try:
        return repository.refs.view(ref)
    except NotFound as error:
        if version_2:
            raise S3Error("BadRequest", str(error)) from error
        return View(Tree({}))


def delete_objects(request: Request, repository: Repository) -> Reply:
    keys = texts(request.body, "Key")
    if not 0 < len(keys) <= _MAX_KEYS:
        raise S3Error("MalformedXML")
    quiet = texts(request.body, "Quiet") == ["true"]
    root = element("DeleteResult")
    for key in keys:
        ref, _, path = key.partition("/")
        try:
            if path:
                repository.stage(ref, path, None)
        except NotFound:
            pass
        except Refused as error:
            one = element("Error", parent=root)
            protected = isinstance(error, Protected)
            element("Code", "ErrWriteToProtectedBranch" if protected else "ErrDeletingKey", one)
            element("Key", key, one)
            element("Message", f"error deleting object: {error}", one)
            continue
        if not quiet:
            element("Key", key, element("Deleted", parent=root))
    return xml_reply(root)
