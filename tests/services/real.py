"""Real parts that tests need: where one is missing, say so; where all are required, fail.

Every message has the form ``needs <part>: <command>``; the end of the test session lists them.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

missing: dict[str, str] = {}  # part -> the command that installs it


def need(part: str, command: str) -> NoReturn:
    """Skip the test because ``part`` is not on this machine; under TRAINSET_REQUIRE_REAL=1, fail.

    Args:
        command: what a person runs to install the part.
    """
    missing[part] = command
    message = f"needs {part}: {command}"
    if required():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def required() -> bool:
    return os.environ.get("TRAINSET_REQUIRE_REAL") == "1"


def has_programs(*names: str) -> bool:
    return all(shutil.which(name) for name in names)
