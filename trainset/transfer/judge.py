"""What the facts of a bucket mean for a transfer. Pure: decides by what the probe saw."""

from __future__ import annotations

from collections.abc import Iterator

from trainset.model import Protection
from trainset.stores.s3_probe import BucketFacts
from trainset.transfer.finding import CAPABILITIES, Finding, Mode
from trainset.transfer.judge_settings import judge_settings, lock_needs

SKEW_S = 300.0  # S3 servers refuse requests that are 15 minutes off


def judge(facts: BucketFacts, protection: Protection, mode: Mode = "copy") -> list[Finding]:
    """What the facts mean. Where the bucket cannot be used at all, only that is told.

    Args:
        protection: what objects shall get here.
    """
    if facts.refused:
        return [_refusal(facts, what, said) for what, said in facts.refused.items()]
    return [
        _reached(facts, mode),
        *_clock(facts),
        *_writes(facts, mode),
        _versions(facts, mode),
        *judge_settings(facts, protection, mode),
        *_rights(facts, protection),
    ]


def _refusal(facts: BucketFacts, what: str, said: str) -> Finding:
    text, _, mend = said.rpartition("; ")
    mend = mend if text else "mend what it names and run again"
    need = CAPABILITIES.get(what)
    if need and "refuses" in said:
        mend = f"give the key {need} for this bucket, or use the endpoint of its region"
    if what == "list":
        mend += f" (this endpoint's region: {facts.region})"
    return Finding(name="bucket", state="fail", found=text or said, mend=mend, capability=need)


def _reached(facts: BucketFacts, mode: Mode) -> Finding:
    name = facts.bucket or "it"
    if why := facts.not_tried.get("put"):
        if mode == "reference":
            return Finding(name="bucket", state="ok", found=f"{name}: list and get work")
        return Finding(
            name="bucket",
            state="warn",
            found=f"{name}: list works; put was not tried: {why}",
            mend="watch that the first files arrive; nothing else tells whether the key may write",
            capability="writeFiles",
        )
    return Finding(name="bucket", state="ok", found=f"{name}: list, put, get and delete work")


def _clock(facts: BucketFacts) -> Iterator[Finding]:
    skew = facts.clock_skew_s
    if skew is not None:
        off = abs(skew) > SKEW_S
        yield Finding(
            name="clock",
            state="fail" if off else "ok",
            found=f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's",
            mend="set the clock, e.g.: sudo timedatectl set-ntp true" if off else "",
        )


def _writes(facts: BucketFacts, mode: Mode) -> Iterator[Finding]:
    """How a PUT is checked, and what else it may say."""
    if facts.conditional_put == "ignored":
        yield Finding(
            name="conditional PUT",
            state="warn",
            found="accepted and ignored",
            mend="use a store that refuses what it does not know; two runs at once could lose one",
        )
    elif mode == "copy":
        said = f"{facts.conditional_put}; not needed"
        yield Finding(name="conditional PUT", state="ok", found=said)
    if facts.checks_sha256 is not None:
        said = "compared by the server with what arrives"
        if not facts.checks_sha256:
            said = (
                "not compared by the server: each file is hashed once more, and goes with its MD5"
            )
        yield Finding(name="sha256", state="ok", found=said)
    if facts.checksum_headers is not None:
        said = "taken" if facts.checksum_headers else "refused; none are sent"
        yield Finding(name="checksum headers", state="ok", found=said)


def _versions(facts: BucketFacts, mode: Mode) -> Finding:
    if facts.versioning == "on":
        return Finding(name="versions", state="ok", found="on")
    if facts.versioning == "unknown":
        return Finding(
            name="versions",
            state="warn",
            found="this key may not read the setting",
            mend="see on the bucket's page that it keeps versions; a key with readBuckets can tell",
            capability=CAPABILITIES["versioning"],
        )
    return Finding(
        name="versions",
        state="fail" if mode == "reference" else "warn",
        found="off: what is overwritten is lost to the commits that refer to it"
        if mode == "reference"
        else "off: two machines could lose a commit",
        mend="switch versioning on (B2's 'keep all versions')"
        + (", or copy its media" if mode == "reference" else ", or run on one machine only"),
    )


def _rights(facts: BucketFacts, protection: Protection) -> Iterator[Finding]:
    """More than is needed; seen by what deleting our own probe object took."""
    if facts.deletes_versions and protection.locks:
        yield Finding(
            name="key",
            state="warn",
            found="it may delete versions for good (deleteFiles), which no transfer needs",
            mend="make a key with listBuckets, listFiles, readFiles, writeFiles and "
            f"{lock_needs(protection)} only",
            capability="deleteFiles",
        )
    elif "versions" in facts.not_tried and facts.versioning != "off":
        yield Finding(
            name="key",
            state="warn",
            found="it may not list versions; those of the probe object stay, hidden",
            mend="give the key listFiles for this bucket: commits and L2 look at versions",
            capability="listFiles",
        )
    elif facts.deletes_versions is False:
        said = "it cannot delete versions for good"
        if facts.left_behind:
            said += f"; {facts.left_behind} hidden versions of the probe object stay"
        yield Finding(name="key", state="ok", found=said)
