"""``trainset``: the reading side of a dataset on the command line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from trainset.cli.arguments import parse_arguments
from trainset.cli.output import Answer, print_answer
from trainset.errors import TrainsetError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    The answer goes to stdout, alone; messages and progress go to stderr.

    Returns:
        0 done, 1 failed, 3 an export left something out. Usage errors exit with 2.
    """
    options = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="trainset: %(message)s", stream=sys.stderr)
    logging.getLogger("trainset").setLevel(logging.INFO)
    try:
        answer: Answer = options.run(options)
        print_answer(answer, options.format)
    except TrainsetError as err:
        print(f"trainset: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("trainset: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return answer.status
