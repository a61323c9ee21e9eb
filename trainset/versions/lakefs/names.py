"""Our names of branches and runs as lakeFS's: it takes letters, digits, ``_`` and ``-`` only. Pure.

Any other character, and ``_`` itself, becomes ``_`` and two hex digits; so no two names meet.
"""

from __future__ import annotations

import re

from trainset.errors import InputError
from trainset.versions.refs import check_name

RUN = "run-"
INTERNAL = "internal-"  # run ids of merges, rollbacks and set-up: alive for minutes at most
SETUP_RUN = f"{RUN}{INTERNAL}setup-"
TRIAL = "_trial"  # no name of ours becomes this: after a ``_`` come two hex digits
_CODED = re.compile(r"_([0-9a-f]{2})")
_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")


def encode_name(name: str) -> str:
    """``exp/one.2`` becomes ``exp_2fone_2e2``."""
    return re.sub(r"[^A-Za-z0-9-]", lambda m: f"_{ord(m[0]):02x}", name)


def decode_name(branch: str) -> str:
    """The name that ``encode_name`` made ``branch`` of; ``branch`` itself when others named it."""
    name = _CODED.sub(lambda m: chr(int(m[1], 16)), branch)
    return name if encode_name(name) == branch else branch


def branch_of_run(run_id: str) -> str:
    """The branch of a run; raises InputError for an id that is no name."""
    return RUN + encode_name(check_name("run", run_id))


def run_of_branch(branch: str) -> str:
    return decode_name(branch.removeprefix(RUN))


def trial_of(branch: str) -> str:
    """A branch beside a run's, for what may break a listing; no run is ever called so."""
    return branch + TRIAL


def is_trial(branch: str) -> bool:
    return branch.endswith(TRIAL)


def is_helper(branch: str) -> bool:
    """Whether a branch that is named like a run's is none that a user began."""
    return is_trial(branch) or branch.startswith(SETUP_RUN)


def check_repository(name: str) -> str:
    """``name`` itself when a lakeFS repository may be called so."""
    if not _REPOSITORY.fullmatch(name):
        raise InputError(
            f"lakefs://{name} names no repository: 3 to 63 lower-case letters, digits and '-' are "
            "allowed, and the first is no '-'; choose another name"
        )
    return name


def check_tag(name: str) -> str:
    """``name`` itself when it may be a tag here."""
    if "/" in check_name("tag", name):
        raise InputError(f"lakeFS takes no '/' in a tag ({name!r}); write '-' instead")
    return name
