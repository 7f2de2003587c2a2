"""An interrupt at each place where one can come: by a signal, or from another thread."""

from __future__ import annotations

import sys
from typing import Any, Final

OF_A_CALL: Final = ("_call.py", "_connection.py", "_admission.py", "limiter.py", "breaker.py")


class Interrupter:
    """Interrupts a call at the nth place where an interrupt can come in what counts places.

    That is where our functions begin, and where those in C that they call have ended.
    """

    def __init__(self, number: int, files: tuple[str, ...] = OF_A_CALL) -> None:
        """Count the places in the files of these names."""
        self._left = number
        self._files = files
        self.came = False

    def __call__(self, frame: Any, event: str, _: Any) -> None:
        if event not in {"call", "c_return"}:
            return
        if not frame.f_code.co_filename.endswith(self._files):
            return
        self._left -= 1
        if not self._left:
            sys.setprofile(None)
            self.came = True
            raise KeyboardInterrupt
