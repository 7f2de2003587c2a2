"""How long the machine stood still meanwhile: what a test of real times may leave out.

Rule: it is told by a thread that does nothing but sleep. Who keeps that from waking in the same
process (C code that holds the interpreter's lock) looks like the machine, so no such code may hide
behind this.
"""

from __future__ import annotations

import threading
import time
from typing import Final, Self

NOTICED: Final = 0.005
"""Seconds: a thread that is woken so late was not the only one that waited."""
_NAP: Final = 0.002


class Standstill:
    """A thread that only sleeps, and sees how late it is woken; a context manager."""

    def __init__(self) -> None:
        self.total = 0.0
        """Seconds of all standstills together."""
        self.longest = 0.0
        """Seconds of the longest one."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.is_set():
            due = time.monotonic() + _NAP
            self._over.wait(_NAP)
            late = time.monotonic() - due
            if late > NOTICED:
                self.total += late
                self.longest = max(self.longest, late)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
