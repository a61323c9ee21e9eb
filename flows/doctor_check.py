"""One line of the doctor's report, and the report as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """What was looked at and found; ``fix`` says what to do, and is empty when all is well."""

    name: str
    state: State
    found: str
    fix: str = ""


def failed(name: str, error: Exception, otherwise: str) -> Check:
    """An error as a line: our errors end with the next step, which becomes the fix."""
    text, _, fix = str(error).rpartition("; ")
    return Check(name, "fail", text or str(error), fix if text else otherwise)


def as_table(checks: Sequence[Check]) -> str:
    """The report for people: one line a check, its fix below."""
    width = max(len(check.name) for check in checks)
    marks = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}
    lines = []
    for check in checks:
        lines.append(f"{marks[check.state]}  {check.name:<{width}}  {check.found}")
        if check.fix:
            lines.append(f"      {'':<{width}}  -> {check.fix}")
    bad = sum(check.state == "fail" for check in checks)
    lines.append(f"\n{bad} to mend" if bad else "\nall is well")
    return "\n".join(lines)
