"""Ctrl-C and SIGTERM, which end a walk between two results, so that what it wrote is whole.

Rules:

1. The first signal ends it as soon as it only waits; the second one at once.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALLED = 128
"""Added to the signal's number, as shells do: 130 after Ctrl-C."""


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end."""


class Interrupts:
    """Takes signals while it is entered.

    :ivar signal: which one asked for the end
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._waiting = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for which in (signal.SIGINT, signal.SIGTERM):
                self._previous[which] = signal.signal(which, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for which, handler in self._previous.items():
            signal.signal(which, handler)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Where the end may come.

        :raises Interrupted: when it was asked for
        """
        self._waiting = True
        try:
            if self.signal is not None:
                raise Interrupted
            yield
        finally:
            self._waiting = False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(SIGNALLED + number)
        self.signal = signal.Signals(number)
        if self._waiting:
            raise Interrupted
