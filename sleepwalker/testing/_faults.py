"""Faults, as values: what goes wrong with a request, from connecting to the last byte.

A fault says two things: what connecting does, and what is read from the socket afterwards, step by
step. `_stage` plays that to the real layers above the socket.
"""

from __future__ import annotations

import errno
import json as _json
import os
import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sleepwalker.connection import _headers
from sleepwalker.exceptions import ConfigurationError
from sleepwalker.observability.redaction import DEFAULT as REDACTION
from sleepwalker.resilience.deadline import seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_BODY = frozenset({204, 304})
"""Statuses of answers that have no body, whatever their headers say."""
PARTS = 10
"""Of how many pieces the body of a slow answer is."""
FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that say where a body ends."""


class Answer(NamedTuple):
    """An answer as it stands on the wire."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    """Not decoded."""

    def head(self, method: str, length: int | None = None) -> bytes:
        """Its status line and headers.

        :param length: what it says of its body's length; `None`: the truth
        """
        lines = [f"HTTP/1.1 {self.status} {self.reason}"]
        framed = [pair for pair in self.headers if pair[0].lower() not in FRAMING]
        if method == "HEAD":
            framed = list(self.headers)
        elif self.status not in NO_BODY:
            framed.append(("Content-Length", str(len(self.body) if length is None else length)))
        lines += [f"{name}: {value}" for name, value in framed]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def content(self, method: str) -> bytes:
        """The body as it is sent in answer to a request."""
        return b"" if method == "HEAD" or self.status in NO_BODY else self.body


class Pause(NamedTuple):
    """Nothing comes for so long."""

    seconds: float
    """May be infinite: then nothing comes any more."""


FOREVER = Pause(float("inf"))

Step: TypeAlias = bytes | Pause | OSError
"""What comes next from a socket; after the last step, it is closed."""


class Fault(ABC):
    """What goes wrong with a request: a value, made by one of the class methods.

    To Sleepwalker each is like the real one: faults are played below `requests` and urllib3, on a
    socket that is none. `processed` says that the server does what it is asked, and its answer is
    lost: the request goes to the adapter that is wrapped.
    """

    through: bool = False
    """Whether the wrapped adapter is asked first."""

    def connecting(self) -> OSError | Pause | None:
        """What goes wrong in connecting, if something does."""
        return None

    @abstractmethod
    def steps(self, method: str, answer: Answer | None) -> list[Step]:
        """What is read once the request was sent.

        :param answer: that of the wrapped adapter, if it was asked
        """

    @classmethod
    def refused(cls) -> Fault:
        """Nobody listens: the connection is refused, and nothing is sent."""
        return _InConnecting("refused")

    @classmethod
    def unresolved(cls) -> Fault:
        """The host's name can't be resolved, and nothing is sent."""
        return _InConnecting("unresolved")

    @classmethod
    def connect_timeout(cls) -> Fault:
        """Connecting takes longer than its timeout, which passes on the clock; nothing is sent."""
        return _InConnecting("connect_timeout")

    @classmethod
    def reset(cls, *, processed: bool = False) -> Fault:
        """The request is sent, and the connection is reset.

        :param processed: whether the wrapped adapter gets the request first
        """
        return _Lost("reset", through=_flag("processed", processed))

    @classmethod
    def closed(cls, *, processed: bool = False) -> Fault:
        """The request is sent, and the connection is closed without an answer.

        :param processed: whether the wrapped adapter gets the request first
        """
        return _Lost("closed", through=_flag("processed", processed))

    @classmethod
    def read_timeout(cls, *, processed: bool = False) -> Fault:
        """The request is sent, and nothing comes; the read timeout passes on the clock.

        :param processed: whether the wrapped adapter gets the request first
        """
        return _Lost("read_timeout", through=_flag("processed", processed))

    @classmethod
    def truncated(cls, *, processed: bool = False) -> Fault:
        """The answer breaks off in the middle of its body, or of its headers if it has none.

        :param processed: whether it is the wrapped adapter's answer, and not one of no meaning
        """
        return _Truncated(through=_flag("processed", processed))

    @classmethod
    def stall(cls, seconds: float) -> Fault:
        """The wrapped adapter's answer comes, but so many seconds later.

        They pass on the clock. When that is longer than the read timeout, that much passes, and it
        is a read timeout.
        """
        return _Delayed("stall", seconds_of(seconds, "seconds"))

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """The body of the wrapped adapter's answer comes in pieces, over so many seconds.

        They pass on the clock, a tenth of them before each piece: a read timeout that is longer
        than that sees nothing of it.
        """
        return _Delayed("slow", seconds_of(seconds, "seconds"))

    @classmethod
    def status(
        cls,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        *,
        json: Any = None,
    ) -> Fault:
        """An answer, which may also be a good one; the wrapped adapter is not asked.

        :param status: from 200 to 599
        :param headers: its headers, such as ``{"Retry-After": "7"}``
        :param body: its body; a text is sent as UTF-8
        :param json: what its body is the JSON of, if not `None`
        :raises ConfigurationError: for what is no such answer
        """
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
            msg = f"status must be a number from 200 to 599, not {status!r}"
            raise ConfigurationError(msg)
        if not isinstance(body, bytes | str):
            msg = f"body must be bytes or text, not {type(body).__name__}"
            raise ConfigurationError(msg)
        if json is not None and body:
            msg = "an answer has a body or json, not both"
            raise ConfigurationError(msg)
        defaults = {} if json is None else {"Content-Type": "application/json"}
        checked = _headers.checked(headers, defaults)
        pairs = tuple(
            (name, value.decode("latin-1") if isinstance(value, bytes) else value)
            for name, value in checked.items()
            if value is not None
        )
        content = body.encode() if isinstance(body, str) else body
        if json is not None:
            try:
                content = _json.dumps(json).encode()
            except (TypeError, ValueError) as error:
                msg = f"json can't be encoded: {error}"
                raise ConfigurationError(msg) from error
        return _Answered(Answer(status, reason_of(status), pairs, content))


@dataclass(frozen=True, repr=False)
class _InConnecting(Fault):
    name: str

    def connecting(self) -> OSError | Pause | None:
        if self.name == "refused":
            return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        if self.name == "unresolved":
            return socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return FOREVER

    def steps(self, method: str, answer: Answer | None) -> list[Step]:  # noqa: ARG002 - nothing is read
        return []

    def __repr__(self) -> str:
        return f"Fault.{self.name}()"


@dataclass(frozen=True, repr=False)
class _Lost(Fault):
    name: str
    through: bool = False

    def steps(self, method: str, answer: Answer | None) -> list[Step]:  # noqa: ARG002 - it is lost
        if self.name == "reset":
            return [ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))]
        return [] if self.name == "closed" else [FOREVER]

    def __repr__(self) -> str:
        return f"Fault.{self.name}({'processed=True' if self.through else ''})"


@dataclass(frozen=True, repr=False)
class _Truncated(Fault):
    through: bool = False

    def steps(self, method: str, answer: Answer | None) -> list[Step]:
        whole = answer or Answer(200, "OK", (), b"half of this")
        head, body = whole.head(method), whole.content(method)
        if not body:
            return [head[:-2]]
        return [head, body[: len(body) // 2]]

    def __repr__(self) -> str:
        return f"Fault.truncated({'processed=True' if self.through else ''})"


@dataclass(frozen=True, repr=False)
class _Delayed(Fault):
    name: str
    seconds: float
    through: bool = field(default=True, init=False)

    def steps(self, method: str, answer: Answer | None) -> list[Step]:
        whole = answer or Answer(200, "OK", (), b"")
        head, body = whole.head(method), whole.content(method)
        if self.name == "stall":
            return [Pause(self.seconds), head + body]
        begun, rest = (head, body) if body else (b"", head)
        ends = [len(rest) * part // PARTS for part in range(PARTS + 1)]
        made: list[Step] = [begun]
        for start, end in pairwise(ends):
            # A piece of no bytes is only waited for.
            made += [Pause(self.seconds / PARTS), rest[start:end]]
        return made

    def __repr__(self) -> str:
        return f"Fault.{self.name}({self.seconds:g})"


@dataclass(frozen=True, repr=False)
class _Answered(Fault):
    answer: Answer

    def steps(self, method: str, answer: Answer | None) -> list[Step]:  # noqa: ARG002 - it has its own
        return [self.answer.head(method) + self.answer.content(method)]

    def __repr__(self) -> str:
        parts = [str(self.answer.status)]
        if self.answer.headers:
            parts.append(repr(dict(REDACTION.headers(dict(self.answer.headers)))))
        if self.answer.body:
            parts.append(f"<{len(self.answer.body)} bytes>")
        return f"Fault.status({', '.join(parts)})"


def reason_of(status: int) -> str:
    """The phrase that goes with a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"{name} must be True or False, not {type(value).__name__}"
        raise ConfigurationError(msg)
    return value


def answer_of(fault: object) -> Answer:
    """The answer that a `Fault.status(...)` is.

    :raises ConfigurationError: when it is another fault, or none
    """
    if not isinstance(fault, _Answered):
        msg = "answer must be an answer, such as Fault.status(200, json={})"
        raise ConfigurationError(msg)
    return fault.answer
