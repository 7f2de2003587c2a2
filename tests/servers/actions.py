"""What a server can do at a request: answers and faults, as values that add up.

Rule 1: an action is a frozen value; what it works on comes with the call. One serves any number.
Rule 2: `a + b` does `a`, then `b`, at the same request. Steps come in the order of their stages.
Rule 3: what ends the connection ends the sum; nothing after it is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from tests.servers.wire import (
    NO_JSON,
    HeaderPairs,
    Request,
    Response,
    encode_head,
    make_response,
    pairs,
)

if TYPE_CHECKING:
    import threading

    from tests.servers.channel import Exchange


class Stage(IntEnum):
    """When a step is taken."""

    HANDSHAKE = 0
    """The connection is accepted, and TLS not begun."""
    UNREAD = 1
    """A request's first byte is there, and nothing of the request counts as read."""
    HEAD = 2
    """The head is read and the body is not; a client that expects 100 is still waiting for it."""
    READ = 3
    """The request is read completely and recorded."""


class Action(ABC):
    """Something to do at one request."""

    @property
    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """The steps it consists of, in order."""

    def __add__(self, other: Action) -> Action:
        """Do this, then the other, at the same request."""
        return in_turn([self, other])


class Step(Action):
    """An action of one piece."""

    stage: Stage = Stage.READ

    @property
    def steps(self) -> tuple[Step, ...]:
        """Itself."""
        return (self,)

    @abstractmethod
    def perform(self, exchange: Exchange) -> None:
        """Do it.

        Raises:
            OSError: the client has gone, or the server stops.
        """


Handler = Callable[[Request], "Action | Sequence[Action]"]
"""Decides at a request that was read; called from many threads at once."""

Answer = Action | Sequence[Action] | Handler
"""Whatever can answer one request."""


@dataclass(frozen=True)
class InTurn(Action):
    """Steps, one after another."""

    parts: tuple[Step, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The parts."""
        return self.parts


def in_turn(actions: Action | Sequence[Action]) -> Action:
    """Make one action of many.

    Raises:
        ValueError: a step would come after its time, such as a failed handshake after an answer.
    """
    if isinstance(actions, Action):
        return actions
    steps = tuple(step for action in actions for step in action.steps)
    if not steps:
        raise ValueError("no action at all")
    stages = [step.stage for step in steps]
    if stages != sorted(stages):
        raise ValueError(f"{steps!r}: a step comes too late")
    return InTurn(steps)


def decide(answer: Answer, request: Request) -> Action:
    """Give the action for a request, asking the handler if there is one."""
    if not isinstance(answer, Action | Sequence):
        answer = answer(request)
    return in_turn(answer)


# Answers


@dataclass(frozen=True)
class _Respond(Step):
    response: Response

    def perform(self, exchange: Exchange) -> None:
        exchange.channel.send(self.response.encode(exchange.read().method))


def respond(
    status: int = 200,
    headers: HeaderPairs = (),
    body: bytes = b"",
    *,
    json: object = NO_JSON,
    close: bool = False,
) -> Action:
    """Answer; with `close` say so in a header, and close the connection."""
    if not close:
        return _Respond(make_response(status, headers, body, json=json))
    headers = (*pairs(headers), ("Connection", "close"))
    return _Respond(make_response(status, headers, body, json=json)) + close_without_answer()


def redirect(status: int, location: str) -> Action:
    """Answer with this status and `Location`."""
    return respond(status, {"Location": location})


@dataclass(frozen=True)
class _Echo(Step):
    status: int

    def perform(self, exchange: Exchange) -> None:
        request = exchange.read()
        seen = {
            "method": request.method,
            "target": request.target,
            "headers": dict(request.headers),
            "body": request.text,
        }
        respond(self.status, json=seen).steps[0].perform(exchange)


def echo(status: int = 200) -> Action:
    """Answer with JSON of the request: `method`, `target`, `headers` (in lower case) and `body`."""
    return _Echo(status)


# Bytes as they are


@dataclass(frozen=True)
class _Send(Step):
    data: bytes

    def perform(self, exchange: Exchange) -> None:
        exchange.channel.send(self.data)


def raw(data: bytes) -> Action:
    """Send these bytes and leave the connection open."""
    return _Send(data)


def informational(status: int = 100, headers: HeaderPairs = ()) -> Action:
    """Send a 1xx answer; what follows is added: `informational(103) + respond(200)`."""
    return _Send(encode_head(status, headers))


def garbage_status_line() -> Action:
    """Answer with a line that is not HTTP, and close."""
    return raw(b"\x00?! this is not a status line\r\n\r\n") + close_without_answer()


def truncated_body(
    body: bytes = b"half",
    length: int | None = None,
    status: int = 200,
    headers: HeaderPairs = (),
) -> Action:
    """Announce `length` bytes (by default twice the body's), send `body`, close."""
    length = 2 * len(body) if length is None else length
    head = encode_head(status, (*pairs(headers), ("Content-Length", str(length))))
    return raw(head + body) + close_without_answer()


def truncated_chunked(
    body: bytes = b"half", status: int = 200, headers: HeaderPairs = ()
) -> Action:
    """Send `body` as one whole chunk and close without the last, empty one."""
    head = encode_head(status, (*pairs(headers), ("Transfer-Encoding", "chunked")))
    return raw(head + b"%x\r\n%b\r\n" % (len(body), body)) + close_without_answer()


@dataclass(frozen=True)
class _Trickle(Step):
    data: bytes
    interval: float
    stage: Stage = Stage.READ

    def perform(self, exchange: Exchange) -> None:
        for byte in self.data:
            if not exchange.channel.wait(seconds=self.interval):
                return
            exchange.channel.send(bytes([byte]))


def trickle(data: bytes, interval: float) -> Action:
    """Send a byte after every `interval` seconds, and leave the connection open."""
    return _Trickle(data, interval)


@dataclass(frozen=True)
class _Flood(Step):
    data: bytes

    def perform(self, exchange: Exchange) -> None:
        while True:
            exchange.channel.send(self.data)


def flood(data: bytes) -> Action:
    """Send these bytes again and again, as fast as the client reads, until it leaves."""
    return _Flood(data)


Rest = Literal["read", "close", "stall"]


@dataclass(frozen=True)
class _RefuseBody(Step):
    answer: bytes
    rest: Rest
    stage: Stage = Stage.HEAD

    def perform(self, exchange: Exchange) -> None:
        exchange.channel.send(self.answer)
        if self.rest == "stall":
            exchange.channel.wait()
        else:
            exchange.channel.finish(linger=self.rest == "read")


def refuse_body(status: int = 413, headers: HeaderPairs = (), *, rest: Rest = "read") -> Action:
    """Answer when the head is read, before the body is, and then take no more requests.

    The body is read and thrown away (`rest="read"`), or the connection is closed on it, which
    resets it if bytes are unread ("close"), or left open and unread ("stall").
    """
    headers = (*pairs(headers), ("Connection", "close"))
    return _RefuseBody(make_response(status, headers, b"no").encode(), rest)


@dataclass(frozen=True)
class _Signal(Step):
    event: threading.Event

    def perform(self, exchange: Exchange) -> None:
        del exchange
        self.event.set()


def signal(event: threading.Event) -> Action:
    """Set this event: what stands before it in a sum is done."""
    return _Signal(event)


_LONG_RECORD = b"\x16\x03\x03\x3f\xff" + bytes(0x3FFF)
"""A record of a TLS handshake, of which nothing can be made before all of it is there."""


def trickle_handshake(interval: float) -> Action:
    """Send a byte of a TLS handshake after every `interval` seconds, which won't ever be done."""
    return _Trickle(_LONG_RECORD, interval, Stage.HANDSHAKE)


# Before the body is read


@dataclass(frozen=True)
class _BeforeBody(Step):
    parts: tuple[Step, ...]
    stage: Stage = Stage.HEAD

    def perform(self, exchange: Exchange) -> None:
        for step in self.parts:
            if not exchange.channel.ended():
                step.perform(exchange)


def before_body(action: Action) -> Action:
    """Do this once a request's head is read; then read the body, unless that ended it.

    There is no request yet that it could depend on: `before_body(raw(wire(413, ())) + stall())`.
    """
    return _BeforeBody(action.steps)


@dataclass(frozen=True)
class _ReadSlowly(Step):
    interval: float
    stage: Stage = Stage.HEAD

    def perform(self, exchange: Exchange) -> None:
        while exchange.channel.wait(seconds=self.interval):
            if not exchange.channel.receive():
                exchange.channel.finish("client")
                return


def read_slowly(interval: float) -> Action:
    """Read at most 64 KiB of the body after every `interval` seconds, and never answer."""
    return _ReadSlowly(interval)


# Waiting


@dataclass(frozen=True)
class _Stall(Step):
    until: threading.Event | None
    stage: Stage = Stage.READ

    def perform(self, exchange: Exchange) -> None:
        exchange.channel.wait(until=self.until)


def stall(until: threading.Event | None = None) -> Action:
    """Read the request and do nothing until the event is set; `None`: for ever.

    The client's leaving and the server's closing end it. Afterwards comes what is added:
    `stall(event) + respond(200)`.
    """
    return _Stall(until)


def stall_before_reading(until: threading.Event | None = None) -> Action:
    """Leave what comes unread until the event is set; `None`: for ever.

    To the client it is as if the way to the server was lost in silence.
    """
    return _Stall(until, Stage.UNREAD)


def stall_handshake(until: threading.Event | None = None) -> Action:
    """Accept the connection and keep TLS waiting until the event is set; `None`: for ever.

    Then the handshake goes on. What is added answers the connection's first request, else the
    script does.
    """
    return _Stall(until, Stage.HANDSHAKE)


# Endings


@dataclass(frozen=True)
class _Close(Step):
    def perform(self, exchange: Exchange) -> None:
        exchange.channel.finish()


def close_without_answer() -> Action:
    """Read the request and close; added to something that was sent, just close."""
    return _Close()


@dataclass(frozen=True)
class _CloseInHandshake(Step):
    stage: Stage = Stage.HANDSHAKE

    def perform(self, exchange: Exchange) -> None:
        exchange.channel.discard()  # left unread, the hello would make a reset of the closing
        exchange.channel.finish()


def close_in_handshake() -> Action:
    """Close when the client has begun the TLS handshake."""
    return _CloseInHandshake()


@dataclass(frozen=True)
class _HangUp(Step):
    data: bytes
    stage: Stage = Stage.UNREAD

    def perform(self, exchange: Exchange) -> None:
        exchange.channel.send(self.data)
        exchange.channel.finish()


def hang_up(data: bytes) -> Action:
    """At a request's first byte send these bytes and close: whatever that byte begins."""
    return _HangUp(data)


@dataclass(frozen=True)
class _Cut(Step):
    def perform(self, exchange: Exchange) -> None:
        exchange.channel.finish(farewell=False)


def cut() -> Action:
    """Read the request and close without TLS's good-bye, which alone tells an end from a cut."""
    return _Cut()


@dataclass(frozen=True)
class _Reset(Step):
    stage: Stage = Stage.READ

    def perform(self, exchange: Exchange) -> None:
        exchange.channel.reset()


def reset_after_reading() -> Action:
    """Read the request and reset the connection; added to something that was sent, just reset."""
    return _Reset()


def reset_before_reading(*, head: bool = False) -> Action:
    """Reset the connection when a request's first byte arrives, or when its `head` is read."""
    return _Reset(Stage.HEAD if head else Stage.UNREAD)


@dataclass(frozen=True)
class _ResetInHandshake(Step):
    stage: Stage = Stage.HANDSHAKE

    def perform(self, exchange: Exchange) -> None:
        exchange.channel.discard()  # so that the client has begun
        exchange.channel.reset()


def reset_in_handshake() -> Action:
    """Reset the connection when the client has begun the TLS handshake."""
    return _ResetInHandshake()


@dataclass(frozen=True)
class _Restart(Step):
    def perform(self, exchange: Exchange) -> None:
        exchange.restart()


def restart() -> Action:
    """Read the request, close every connection and the port, and listen again on the same port."""
    return _Restart()
