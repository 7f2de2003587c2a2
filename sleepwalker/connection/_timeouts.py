"""How long connecting and reading may take in one attempt, and what to say when they took longer.

Rules:

1. An attempt gets its timeouts as the caller gave them, never more than the deadline leaves.
2. An error names the setting that fired, and how to change it.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, NamedTuple

from sleepwalker.exceptions import (
    ConfigurationError,
    ConnectTimeout,
    DeadlineExceeded,
    ReadTimeout,
    TimeoutError,
)
from sleepwalker.resilience.deadline import seconds_of

if TYPE_CHECKING:
    from sleepwalker.resilience.deadline import Deadline
    from sleepwalker.resilience.policy import Policy


LONGEST = 2_000_000.0
"""Seconds (23 days): sockets count milliseconds in 31 bits, and refuse to wait for longer."""


class Timeout(NamedTuple):
    """A caller's `timeout`: seconds for connecting and for each read; `None`: the policy's own."""

    connect: float | None = None
    read: float | None = None

    @classmethod
    def of(cls, value: object) -> Timeout:
        """Understand a `timeout` argument: a number, a pair, or `None`.

        :raises ConfigurationError: (a `ValueError`) for anything else
        """
        if value is None:
            return cls()
        if isinstance(value, tuple | list):
            if len(value) != 2:
                msg = f"timeout as a tuple must be (connect, read), not {len(value)} values"
                raise ConfigurationError(msg)
            connect, read = value
            return cls(
                None if connect is None else seconds_of(connect, "connect timeout"),
                None if read is None else seconds_of(read, "read timeout"),
            )
        seconds = seconds_of(value, "timeout")
        return cls(seconds, seconds)


class Timeouts:
    """The timeouts of one attempt."""

    __slots__ = ("_by_deadline", "_given", "connect", "deadline", "read", "read_of_body")

    def __init__(self, call: Timeout, conn: Timeout, policy: Policy, deadline: Deadline) -> None:
        given, connect = _setting("connect", call, conn, policy)
        self._given = {"connect": given}
        self._given["read"], read = _setting("read", call, conn, policy)
        left = max(deadline.remaining(), 0.001)
        self._by_deadline = {"connect": left < connect, "read": left < read}
        self.connect = min(connect, left, LONGEST)
        self.read = min(read, left, LONGEST)
        self.read_of_body = min(read, LONGEST)
        self.deadline = deadline

    def of_body(self) -> Timeouts:
        """These, for reading a body that no deadline bounds."""
        timeouts = copy.copy(self)
        timeouts._by_deadline = {"connect": False, "read": False}
        return timeouts

    def connect_error(self, what: str) -> TimeoutError:
        """The error for connecting that took too long."""
        if self._by_deadline["connect"]:
            return deadline_error(self.deadline, f"{what}: while connecting")
        return ConnectTimeout(
            f"{what}: connecting took longer than the {self._given['connect']} allows; "
            "change it with timeout=(connect, read) or Policy(connect_timeout=...)"
        )

    def read_error(self, what: str) -> TimeoutError:
        """The error for a server that sent nothing for too long."""
        if self._by_deadline["read"]:
            return deadline_error(self.deadline, f"{what}: while waiting for the answer")
        return ReadTimeout(
            f"{what}: the server sent nothing for longer than the {self._given['read']} allows; "
            "change it with timeout=(connect, read) or Policy(read_timeout=...)"
        )


def _setting(kind: str, call: Timeout, conn: Timeout, policy: Policy) -> tuple[str, float]:
    """Where a timeout comes from, in words, and its seconds."""
    for source, timeout in (("call", call), ("connection", conn)):
        seconds: float | None = getattr(timeout, kind)
        if seconds is not None:
            return f"{kind} timeout of {seconds:g} s (timeout= of the {source})", seconds
    seconds = getattr(policy, f"{kind}_timeout")
    return f"{kind} timeout of {seconds:g} s ({kind}_timeout of the policy)", seconds


def deadline_error(deadline: Deadline, what: str) -> DeadlineExceeded:
    """The error for a call whose total deadline has passed."""
    span = (
        "" if deadline.seconds is None or math.isinf(deadline.at) else f" of {deadline.seconds:g} s"
    )
    return DeadlineExceeded(
        f"{what}: the total deadline{span} has passed; "
        "change it with deadline= or Policy(deadline=...)"
    )
