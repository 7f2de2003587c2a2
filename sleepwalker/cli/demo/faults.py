"""The script of misbehaviour: which exchange of a host meets which fault.

Rules:

1. The script is made from a seed: the nth exchange of a host meets the same fault in every run.
2. Faults are dealt from shuffled decks, not thrown like dice: a short run meets every kind, and
   none comes in heaps that no policy could survive.
"""

from __future__ import annotations

import random
import threading
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Fault(StrEnum):
    """What a host does instead of answering as it should."""

    UNAVAILABLE = "503 with Retry-After"
    RESET_UNREAD = "reset before the request is read"
    RESET_PROCESSED = "reset after the request is processed"
    STALL = "stall longer than the read timeout"


DECK_SIZE = 60
DECK = (
    Fault.UNAVAILABLE,
    Fault.RESET_UNREAD,
    Fault.RESET_UNREAD,
    Fault.RESET_PROCESSED,
    Fault.RESET_PROCESSED,
    Fault.STALL,
)
"""The faults in each `DECK_SIZE` exchanges of a host."""

FIRST_DECK_SIZE = 30
"""The first deck is shorter, so that there is something to see at once."""


class Script:
    """Deals the faults of one host, to all its threads.

    :param seed: makes the script
    :param host: the host's name: each has a script of its own
    :param on: whether there are any faults
    """

    def __init__(self, seed: int, host: str, *, on: bool = True) -> None:
        self._faults = _deal(random.Random(f"{seed}:{host}")) if on else None  # noqa: S311 - a script, no secret
        self._lock = threading.Lock()

    def next(self) -> Fault | None:
        """The fault that the next exchange meets, or `None`."""
        if self._faults is None:
            return None
        with self._lock:
            return next(self._faults)


def _deal(chance: random.Random) -> Iterator[Fault | None]:
    size = FIRST_DECK_SIZE
    while True:
        deck: list[Fault | None] = [*DECK, *[None] * (size - len(DECK))]
        chance.shuffle(deck)
        yield from deck
        size = DECK_SIZE
