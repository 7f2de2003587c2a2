"""What the commands that measure have in common: options, and telling how far they are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROUNDS, QUICK_ROUNDS = 60, 8
REQUESTS = 100


def common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command; `understood` reads them."""
    parser.add_argument("--rounds", type=positive, metavar="N", help=f"rounds; {ROUNDS} by default")
    parser.add_argument(
        "--requests",
        type=positive,
        default=REQUESTS,
        metavar="N",
        help="requests that each client sends in a round; %(default)s by default",
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds: a first impression"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the order within rounds"
    )
    parser.add_argument(
        "--cpus",
        choices=("one", "all"),
        default="one",
        help="what client and server run on; %(default)s by default, which is steadier",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything here")


def understood(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """Understand the command line; `None` for the program's own."""
    made = parser.parse_args(arguments)
    if made.rounds is None:
        made.rounds = QUICK_ROUNDS if made.quick else ROUNDS
    return made


def progress(what: str, rounds: int) -> Callable[[int], None]:
    """Tell a person who waits how far it is."""

    def begun(number: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if number == rounds else ""
            print(f"\r{what}: round {number} of {rounds}", end=end, file=sys.stderr, flush=True)

    return begun


def part_of(number: int, part: float) -> int:
    """That part of a number, but at least 1: of rounds or requests that cost more than others."""
    return max(round(number * part), 1)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text} is not 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
