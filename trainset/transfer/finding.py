"""``Finding``: one line about a destination, and the error when something must be mended first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from trainset.errors import InputError
from trainset.model import Frozen

# copy: the home takes media; destination: another bucket that a rule names; reference: media stay
# in this bucket, and the dataset pins their versions.
Mode = Literal["copy", "reference", "destination"]

# What a B2 application key needs for what was tried.
CAPABILITIES = {
    "list": "listFiles",
    "put": "writeFiles",
    "delete": "writeFiles",  # by name: it hides the object
    "get": "readFiles",
    "lock": "writeFileRetentions and readFileRetentions",
    "versioning": "readBuckets",
    "lifecycle": "readBuckets",
    "encryption": "readBucketEncryption",
    "access_log": "readBucketLogging",
}


class Finding(Frozen):
    """One thing that was looked at.

    Attributes:
        mend: what to do; empty when all is well.
        capability: of the application key: the one that was needed, or is missing.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    mend: str = ""
    capability: str | None = None


def require(findings: Sequence[Finding]) -> None:
    """Raise one InputError that lists every ``fail`` with its mend; else nothing."""
    bad = [f for f in findings if f.state == "fail"]
    if bad:
        raise InputError(
            "nothing was moved: "
            + "\n".join(f"{finding.name}: {finding.found}; {finding.mend}" for finding in bad)
        )
