"""Who holds a claim, and whether it still lives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trainset.transfer.ledger import new_owner, owner_is_gone


def test_an_owner_names_host_process_and_batch_and_lives_while_it_runs() -> None:
    owner = new_owner("batch-7:thread-2")
    host, pid, started, batch = owner.split(":", 3)
    assert host
    assert int(pid) == os.getpid()
    assert started
    assert batch == "batch-7:thread-2"
    assert new_owner("batch-7:thread-2") == owner
    assert not owner_is_gone(owner)


def test_an_owner_is_gone_when_its_process_is_killed_even_before_anyone_waits_for_it() -> None:
    program = (
        "from trainset.transfer.ledger import new_owner\n"
        "print(new_owner('x'), flush=True)\n"
        "input()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    owner = child.stdout.readline().strip()
    assert not owner_is_gone(owner)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
    assert owner_is_gone(owner)
    child.wait()
    assert owner_is_gone(owner)


def test_a_pid_that_was_given_again_is_another_owner() -> None:
    host, pid, _, batch = new_owner("x").split(":", 3)
    assert owner_is_gone(f"{host}:{pid}:12345:{batch}")


@pytest.mark.parametrize("owner", ["", "x", "a:b:c:d", "elsewhere:1:2:x", ":::"])
def test_what_cannot_be_judged_here_is_not_gone(owner: str) -> None:
    assert not owner_is_gone(owner)
    host = new_owner("x").split(":")[0]
    assert not owner_is_gone(f"{host}:no-number:1:x")


def test_a_fork_is_another_owner() -> None:
    mine = new_owner("x")
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writer, new_owner("x").encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 1000).decode() != mine
    os.close(reader)
    os.close(writer)
