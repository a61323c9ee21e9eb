"""A lakeFS server for tests: the part of its API and S3 gateway that trainset leans on.

It passes ``lakefs/conformance`` of the shared folder. State is in memory, behind one lock a
repository; bytes are in a folder, or in a bucket on loopback. Files: ``tree`` (entries, pages),
``merging``, ``history`` (commits), ``names``, ``repository`` (the state), ``blocks`` (the bytes),
``imports``, ``lakefs`` (all of it), ``api*`` (routes), ``gateway*`` (S3), ``wire`` (HTTP).
"""

from services.lakefs_fake.server import KEY_ID, SECRET, LakeFSFake

__all__ = ["KEY_ID", "SECRET", "LakeFSFake"]
