"""Objects at a ref of lakeFS, and how they differ, in plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from trainset.errors import NotFound
from trainset.versions.base import FileChange
from trainset.versions.lakefs.errors import Reply, explain
from trainset.versions.lakefs.refs import RefCalls

SMALL_BYTES = 2**20
BULK = 1000  # paths deleted a request


class Entry(NamedTuple):
    """An object, or a common prefix (its path ends in ``/``)."""

    path: str
    size: int
    checksum: str
    address: str
    modified: int  # seconds since the epoch, by the server's clock
    mime: str = "application/octet-stream"

    @property
    def is_folder(self) -> bool:
        return self.path.endswith("/")


class Change(NamedTuple):
    """How one path differs: ``added``, ``changed`` or ``removed``; of a folder, something below."""

    path: str
    how: str
    size: int

    @property
    def kind(self) -> FileChange:
        """As a workspace says it; small files are read whole when they are carried over."""
        if self.how == "removed":
            return "removed"
        return "written" if self.size <= SMALL_BYTES else "put"


class Repository(RefCalls):
    """One repository: its refs and its objects."""

    def list(
        self, ref: str, prefix: str = "", *, folders: bool = False, most: int | None = None
    ) -> Iterator[Entry]:
        """Objects below ``prefix``, ascending.

        Args:
            folders: one level only, deeper ones as common prefixes.
            most: how many are wanted; None: all.
        """
        found = self.pages(
            f"list {prefix or 'objects'} at {ref[:12]}",
            self.sdk.objects_api.list_objects,
            self.name,
            ref,
            prefix=prefix,
            delimiter="/" if folders else "",
            user_metadata=False,
            most=most,
        )
        return map(_entry, found)

    def stat(self, ref: str, path: str) -> Entry | None:
        """One object, or None."""
        try:
            api = self.sdk.objects_api.stat_object
            what = f"look at {path} at {ref[:12]}"
            return _entry(self.call(what, api, self.name, ref, path, user_metadata=False))
        except NotFound:
            return None

    def read(self, ref: str, path: str) -> bytes:
        """A small object's bytes, through the server's block store."""
        api = self.sdk.objects_api.get_object
        return bytes(self.call(f"read {path} at {ref[:12]}", api, self.name, ref, path))

    def block_folder(self, ref: str) -> str:
        """The folder of a server's local block store; ``ref`` holds an object of the repository."""
        name = str(self.namespace()).partition("://")[2].strip("/")
        for entry in self.list(ref):
            before, found, _ = entry.address.removeprefix("local://").partition(f"/{name}/")
            if found:
                return before
        return ""

    def read_start(self, ref: str, path: str) -> bytes:
        """The first byte of an object, through the server's block store."""
        api, what = self.sdk.objects_api.get_object, f"read {path} at {ref[:12]}"
        return bytes(self.call(what, api, self.name, ref, path, range="bytes=0-0"))

    def write(self, branch: str, path: str, data: bytes) -> Entry:
        """Stage a small object."""
        api = self.sdk.objects_api.upload_object
        return _entry(
            self.call(f"write {path} on {branch}", api, self.name, branch, path, content=data)
        )

    def delete(self, branch: str, paths: Sequence[str]) -> None:
        """Stage the removal of objects; those that are not there are passed over."""
        for start in range(0, len(paths), BULK):
            some = list(paths[start : start + BULK])
            what = f"delete {len(some)} objects on {branch}"
            body = self.make(what, "PathList", paths=some)
            reply = self.call(what, self.sdk.objects_api.delete_objects, self.name, branch, body)
            for fault in reply.errors or ():
                raise explain(
                    Reply(fault.status_code, fault.message),
                    what=f"delete {fault.path}",
                    endpoint=self.access.url,
                )

    def link(self, branch: str, path: str, address: str, *, sha256: str, size: int) -> None:
        """Stage an object whose bytes are at ``address`` in the block store; none is moved."""
        what, api = f"link {address} as {path}", self.sdk.staging_api.link_physical_address
        place = self.make(what, "StagingLocation", physical_address=address)
        body = self.make(what, "StagingMetadata", staging=place, checksum=sha256, size_bytes=size)
        self.call(what, api, self.name, branch, path, body)

    def changed(
        self, left: str, right: str, prefix: str = "", *, folders: bool = False
    ) -> Iterator[Change]:
        """What differs between two commits below ``prefix``, ascending; ``folders`` as in list."""
        found = self.pages(
            f"compare {left[:12]} and {right[:12]}",
            self.sdk.refs_api.diff_refs,
            self.name,
            left,
            right,
            prefix=prefix,
            delimiter="/" if folders else "",
            type="two_dot",
        )
        return (Change(diff.path, diff.type, diff.size_bytes or 0) for diff in found)

    def staged(
        self, branch: str, prefix: str = "", *, folders: bool = False, most: int | None = None
    ) -> Iterator[Change]:
        """As ``changed``, of what is not committed on ``branch``."""
        found = self.pages(
            f"list what is staged on {branch}",
            self.sdk.branches_api.diff_branch,
            self.name,
            branch,
            prefix=prefix,
            delimiter="/" if folders else "",
            most=most,
        )
        return (Change(diff.path, diff.type, diff.size_bytes or 0) for diff in found)


def _entry(stats: Any) -> Entry:
    return Entry(
        path=stats.path,
        size=stats.size_bytes or 0,
        checksum=stats.checksum,
        address=stats.physical_address,
        modified=stats.mtime,
        mime=stats.content_type or "application/octet-stream",
    )
