"""An interrupt at each place where one can come: by a signal, or from another thread."""

from __future__ import annotations

import sys
from typing import Any


class Interrupter:
    """Interrupts a call at the nth place where an interrupt can come in what counts places.

    That is where our functions begin, and where those in C that they call have ended.
    """

    def __init__(self, number: int) -> None:
        self._left = number
        self.came = False

    def __call__(self, frame: Any, event: str, _: Any) -> None:
        if event not in {"call", "c_return"} or not frame.f_code.co_filename.endswith(
            ("_call.py", "_connection.py", "_admission.py", "limiter.py", "breaker.py")
        ):
            return
        self._left -= 1
        if not self._left:
            sys.setprofile(None)
            self.came = True
            raise KeyboardInterrupt
