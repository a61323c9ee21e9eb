"""``LakeFSVersions``: the version store of a home whose commits a lakeFS server keeps."""

from __future__ import annotations

from collections.abc import Mapping

from trainset.errors import InputError
from trainset.model import Commit
from trainset.versions.base import MAIN
from trainset.versions.lakefs.errors import Taken
from trainset.versions.lakefs.merging import merge_branch, roll_back
from trainset.versions.lakefs.names import RUN, check_tag, decode_name, encode_name
from trainset.versions.lakefs.runs import RunBranches
from trainset.versions.refs import check_name


class LakeFSVersions(RunBranches):
    """See ``VersionStore``."""

    def branches(self) -> Mapping[str, str]:
        found = self.repository.branches()
        if self.head() is None:
            return {}
        return {decode_name(n): c for n, c in sorted(found.items()) if not n.startswith(RUN)}

    def tags(self) -> Mapping[str, str]:
        return dict(sorted(self.repository.tags().items()))

    def create_branch(self, name: str, at: str = MAIN) -> None:
        if check_name("branch", name).split("/")[0] in (MAIN, "run") or name.startswith(RUN):
            raise InputError(f"{name!r} is kept for trainset itself; choose another branch name")
        try:
            self.repository.create_branch(encode_name(name), self.resolve(at).id)
        except Taken as err:
            raise InputError(f"branch {name!r} exists; choose another name or delete it") from err

    def delete_branch(self, name: str) -> None:
        if name == MAIN:
            raise InputError("main cannot be deleted; roll it back to an older commit instead")
        if name not in self.branches():
            raise self.unknown_ref(name)
        branch = encode_name(name)
        known = self.repository.branch(branch) is not None
        self.repository.delete_branch(branch if known else name)

    def tag(self, name: str, ref: str = MAIN) -> str:
        """See ``VersionStore.tag``. A name that is on this very commit already is used again."""
        commit, used, number = self.resolve(ref).id, check_tag(name), 1
        while True:
            try:
                self.repository.create_tag(used, commit)
            except Taken:
                if self.repository.tag(used) == commit:
                    return used
                number += 1
                used = f"{name}.{number}"
            else:
                return used

    def merge(self, source: str, into: str = MAIN, *, message: str = "") -> Commit:
        return merge_branch(self, source, into, message=message)

    def rollback(self, ref: str, *, message: str = "") -> Commit:
        return roll_back(self, ref, message=message)
