"""How long connecting and reading may take in one attempt, and what to say when they took longer.

Rules:

1. An attempt gets its timeouts as the caller gave them, never more than the deadline leaves.
2. The connect timeout bounds all of connecting, the read timeout each read and each write; the
   deadline is looked at anew for each of them.
3. An error names the setting that fired, and how to change it.
"""

from __future__ import annotations

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
    """The timeouts of one attempt: the pace that sockets keep (`_wire.Pace`).

    :ivar connect: what connecting may take, for those who ask nobody later (a mounted adapter)
    :ivar read: what one read may take, likewise
    """

    __slots__ = (
        "_by_deadline",
        "_connect",
        "_connect_until",
        "_given_by",
        "_read",
        "_released",
        "_writing",
        "connect",
        "deadline",
        "read",
    )

    def __init__(self, call: Timeout, conn: Timeout, policy: Policy, deadline: Deadline) -> None:
        self._given_by = (call, conn, policy)
        connect = call.connect or conn.connect or policy.connect_timeout
        read = call.read or conn.read or policy.read_timeout
        left = max(deadline.remaining(), 0.001)
        # Of whatever was asked for last: that is what fires.
        self._by_deadline = {"connect": left < connect, "read": left < read}
        self._writing = False
        self._connect, self._read = min(connect, LONGEST), min(read, LONGEST)
        self._connect_until: float | None = None
        self._released = False
        self.connect = min(self._connect, left)
        self.read = min(self._read, left)
        self.deadline = deadline

    def release(self) -> None:
        """The deadline has done its part: what is read of a stream from now on is not under it."""
        self._released = True
        self._by_deadline = {"connect": False, "read": False}

    def begin_connecting(self) -> None:
        """Connecting begins, which the connect timeout bounds as a whole."""
        self._connect_until = self.deadline.clock.monotonic() + self._connect

    def to_connect(self) -> float:
        """What is left for connecting, in seconds."""
        until, seconds = self._connect_until, self._connect
        if until is not None:
            seconds = until - self.deadline.clock.monotonic()
        return self._bounded("connect", seconds)

    def to_write(self) -> float:
        """What a write may take, in seconds."""
        self._writing = True
        return self._bounded("read", self._read)

    def to_read(self) -> float:
        """What a read may take, in seconds."""
        self._writing = False
        return self._bounded("read", self._read)

    def _bounded(self, kind: str, seconds: float) -> float:
        """So many seconds, or what the deadline leaves."""
        left = math.inf if self._released else self.deadline.remaining()
        by_deadline = self._by_deadline[kind] = left < seconds
        return left if by_deadline else seconds

    def connect_error(self, what: str) -> TimeoutError:
        """The error for connecting that took too long."""
        if self._by_deadline["connect"]:
            return deadline_error(self.deadline, f"{what}: while connecting")
        setting = _setting("connect", *self._given_by)
        return ConnectTimeout(
            f"{what}: connecting took longer than the {setting} allows; "
            "change it with timeout=(connect, read) or Policy(connect_timeout=...)"
        )

    def read_error(self, what: str) -> TimeoutError:
        """The error for a server that sent nothing, or took nothing, for too long."""
        if self._by_deadline["read"]:
            doing = "sending the request" if self._writing else "waiting for the answer"
            return deadline_error(self.deadline, f"{what}: while {doing}")
        did = "took nothing of the request" if self._writing else "sent nothing"
        setting = _setting("read", *self._given_by)
        return ReadTimeout(
            f"{what}: the server {did} for longer than the {setting} allows; "
            "change it with timeout=(connect, read) or Policy(read_timeout=...)"
        )


def _setting(kind: str, call: Timeout, conn: Timeout, policy: Policy) -> str:
    """A timeout in words: how long it is, and where it comes from."""
    for source, timeout in (("call", call), ("connection", conn)):
        seconds: float | None = getattr(timeout, kind)
        if seconds is not None:
            return f"{kind} timeout of {seconds:g} s (timeout= of the {source})"
    seconds = getattr(policy, f"{kind}_timeout")
    return f"{kind} timeout of {seconds:g} s ({kind}_timeout of the policy)"


def deadline_error(deadline: Deadline, what: str) -> DeadlineExceeded:
    """The error for a call whose total deadline has passed."""
    span = (
        "" if deadline.seconds is None or math.isinf(deadline.at) else f" of {deadline.seconds:g} s"
    )
    return DeadlineExceeded(
        f"{what}: the total deadline{span} has passed; change it with {deadline.setting}"
    )
