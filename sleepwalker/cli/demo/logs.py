"""The client's log: a structlog logger of the demo's own, whose lines are kept and searched.

Rules:

1. Every line is rendered as an application would, and searched for planted secrets as it comes.
2. Only the last lines are kept, so that a long run needs no more memory than a short one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from sleepwalker.cli.demo.planted import Planted

KEPT = 200
SHOWN_FROM = logging.INFO
"""The level from which lines are kept for showing: a success is DEBUG, and there are too many."""


class Line(NamedTuple):
    """A log line, for showing."""

    at: float
    """Seconds since the epoch."""
    level: str
    event: str
    fields: dict[str, Any]


class Log:
    """What the logger wrote.

    :ivar logger: what to pass as `logger` to a manager
    """

    def __init__(self, planted: Planted) -> None:
        self._planted = planted
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque(maxlen=KEPT)
        self._notes: list[tuple[float, str]] = []
        self._render = structlog.processors.JSONRenderer()
        self.count = 0
        """How many lines there were."""
        self.with_secrets = 0
        """In how many of them there was a planted secret."""
        self.logger: Any = structlog.wrap_logger(
            structlog.ReturnLogger(),  # of `None` structlog makes one that needs a standard output
            processors=[structlog.processors.add_log_level, self._take],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
            context_class=dict,
            cache_logger_on_first_use=True,
        )

    def _take(self, _logger: Any, _method: str, fields: MutableMapping[str, Any]) -> NoReturn:
        """The last processor: keep the line; nothing is written anywhere."""
        text = str(self._render(None, "", dict(fields)))
        secret = bool(self._planted.found_in(text))
        kept = dict(fields)
        level, event = str(kept.pop("level")), str(kept.pop("event"))
        with self._lock:
            self.count += 1
            self.with_secrets += secret
            if getattr(logging, level.upper(), logging.INFO) >= SHOWN_FROM:
                self._lines.append(Line(time.time(), level, event, kept))
        raise structlog.DropEvent

    def note(self, text: str) -> None:
        """Put a line among the others that no logger wrote: what happened to a host."""
        with self._lock:
            self._notes.append((time.monotonic(), text))
            self._lines.append(Line(time.time(), "host", text, {}))

    def notes_since(self, told: int) -> list[tuple[float, str]]:
        """The notes but for the first so many, each with its time on the monotonic clock."""
        with self._lock:
            return self._notes[told:]

    def last(self, count: int) -> list[Line]:
        """The last lines, the newest at the end."""
        with self._lock:
            return list(self._lines)[-count:] if count > 0 else []
