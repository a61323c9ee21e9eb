"""What a bucket's own settings mean: Object Lock, encryption, lifecycle rules, access log. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainset.model import Protection
from trainset.stores.s3_probe import BucketFacts
from trainset.transfer.finding import CAPABILITIES, Finding, Mode


def judge_settings(facts: BucketFacts, protection: Protection, mode: Mode) -> Iterator[Finding]:
    """Findings about each setting that matters for what is asked."""
    yield from _object_lock(facts, protection)
    yield from _encryption(facts, protection)
    yield from _lifecycle(facts, protection, mode)
    yield from _access_log(facts)


def _object_lock(facts: BucketFacts, protection: Protection) -> Iterator[Finding]:
    lock, asked = facts.settings.lock, protection.locks
    if lock is None:
        if asked:
            yield Finding(
                name="object lock",
                state="warn",
                found="this key may not read whether the bucket has Object Lock",
                mend="give the key readBucketRetentions, or look at the bucket's page",
                capability="readBucketRetentions",
            )
        return
    if not lock.enabled:
        if asked:
            yield Finding(
                name="object lock",
                state="fail",
                found="the bucket has no Object Lock, and the spec protects with it",
                mend="switch it on at the bucket's page (or make a bucket with it), "
                "or take `protect` out of the spec",
                capability="readBucketRetentions",
            )
        return
    default = (
        f"on; by default {lock.default_mode} for {lock.default_days} days"
        if lock.default_days
        else "on; no default: only what is sent with a lock is kept"
    )
    if facts.locked_probe:
        default += f"; {facts.locked_probe} took a governance lock of a day"
    elif asked:
        default += "; whether the key may lock was not tried (doctor --probe-lock does)"
    yield Finding(name="object lock", state="ok", found=default, capability=lock_needs(protection))


def lock_needs(protection: Protection) -> str | None:
    needs = ["writeFileRetentions"] if protection.lock else []
    needs += ["writeFileLegalHolds"] if protection.legal_hold else []
    return " and ".join(needs) or None


def _encryption(facts: BucketFacts, protection: Protection) -> Iterator[Finding]:
    if protection.encryption == "customer":
        yield _customer(facts)
        return
    default = facts.settings.encryption
    if default is None and protection.encryption is None:
        yield Finding(
            name="encryption",
            state="warn",
            found="this key may not read the bucket's default",
            mend="look at the bucket's page, or set `protect: {encryption: b2}`",
            capability=CAPABILITIES["encryption"],
        )
    else:
        said = f"the bucket's default is {default}" if default else "the default is not readable"
        if protection.encryption == "b2":
            said = f"asked for each object (SSE-B2); {said}"
        yield Finding(name="encryption", state="ok", found=said)


def _customer(facts: BucketFacts) -> Finding:
    if facts.customer_key != "good":
        return Finding(
            name="encryption",
            state="fail",
            found="SSE-C is asked, and there is no customer key"
            if facts.customer_key == "none"
            else "the customer key for SSE-C is not 32 bytes in base64",
            mend="set TRAINSET_SSE_C_KEY, or customer_key of the credentials block, to the output "
            "of: openssl rand -base64 32; keep it safe, without it the objects cannot be read",
        )
    if not facts.endpoint.startswith("https://"):
        return Finding(
            name="encryption",
            state="fail",
            found=f"SSE-C would send the customer key unencrypted to {facts.endpoint}",
            mend="use an endpoint with https",
        )
    return Finding(name="encryption", state="ok", found="SSE-C with the customer's key, over https")


def _lifecycle(facts: BucketFacts, protection: Protection, mode: Mode) -> Iterator[Finding]:
    settings = facts.settings
    if facts.expiring is None:
        yield Finding(
            name="lifecycle",
            state="warn",
            found="the rules are not readable with this key",
            mend="look at the bucket's page that no rule hides or deletes files here",
            capability=CAPABILITIES["lifecycle"],
        )
        return
    old = _hits(settings.expiring_old, facts.prefix)
    if hit := _hits(facts.expiring, facts.prefix):
        yield Finding(
            name="lifecycle",
            state="fail",
            found=f"objects below {hit[0]!r} expire",
            mend="remove the rule, or keep the home outside its prefix: it deletes pinned media",
        )
    elif old and mode == "reference":
        yield Finding(
            name="lifecycle",
            state="fail",
            found=f"older versions below {old[0]!r} expire, and commits pin versions",
            mend="remove the rule (B2: 'keep all versions'), or copy these media into the home",
        )
    elif old and protection.locks:
        yield Finding(
            name="lifecycle",
            state="warn",
            found=f"older versions below {old[0]!r} expire once their lock has ended",
            mend="remove the rule where they must stay longer",
        )
    elif facts.keeps_old and facts.versioning == "on":
        said = "old versions are kept for ever (and paid for)"
        yield Finding(name="lifecycle", state="ok", found=said)
    else:
        yield Finding(name="lifecycle", state="ok", found="no rule removes current objects")
    if settings.cancelling is not None and mode != "reference":
        yield _unfinished(_hits(settings.cancelling, facts.prefix))


def _unfinished(cancelling: Sequence[str]) -> Finding:
    if cancelling:
        said = f"a rule cancels those below {cancelling[0]!r}"
        return Finding(name="unfinished uploads", state="ok", found=said)
    return Finding(
        name="unfinished uploads",
        state="warn",
        found="no rule cancels them, and their parts are billed",
        mend="add a rule with AbortIncompleteMultipartUpload, e.g. after 7 days "
        "(longer than a run may rest)",
    )


def _hits(prefixes: Sequence[str] | None, prefix: str) -> list[str]:
    """Those that share keys with the place."""
    root = f"{prefix}/" if prefix else ""
    return [p for p in prefixes or () if root.startswith(p) or p.startswith(root)]


def _access_log(facts: BucketFacts) -> Iterator[Finding]:
    log = facts.settings.access_log
    if log is not None:
        yield Finding(name="access log", state="ok", found=f"to {log}" if log else "off")
    elif "access_log" in facts.settings.unread:
        yield Finding(
            name="access log",
            state="warn",
            found="this key may not read whether the bucket writes one",
            mend="give the key readBucketLogging, where an access log is asked for",
            capability=CAPABILITIES["access_log"],
        )
