"""Who follows a request to the wire, and what is known of it there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import requests

    from sleepwalker.observability.open_connections import OpenConnection
    from sleepwalker.resilience.clock import Clock
    from sleepwalker.resilience.policy import ResponseLimits

    from ._socket_pools import Pool


class Exchange:
    """What is known of one exchange on the wire.

    :ivar reached: whether our own sockets were asked at all (not a mounted or mocked adapter)
    :ivar sent: whether we had begun to write the request
    :ivar pool: where it goes on, when it was begun by the short way and turned out to be unusual
    """

    __slots__ = ("pool", "reached", "sent")

    def __init__(self) -> None:
        self.reached = False
        self.sent = False
        self.pool: Pool | None = None

    @property
    def maybe_sent(self) -> bool:
        """Whether the request may have been sent: surely not only when our sockets know it."""
        return self.sent or not self.reached


class Pace(Protocol):
    """How long the next operation on a socket may take, from now on.

    All in seconds; 0 or less: there is no time left. It goes on being asked for a streamed body,
    when the call has returned.
    """

    def begin_connecting(self) -> None:
        """Connecting begins, which is bounded as a whole."""

    def to_connect(self) -> float:
        """What is left for connecting."""

    def to_write(self) -> float:
        """What a write may take."""

    def to_read(self) -> float:
        """What a read may take."""


class Watch(Protocol):
    """Who follows a request of ours to the wire: the call that it belongs to."""

    @property
    def exchange(self) -> Exchange:
        """What is known of the exchange under way."""

    @property
    def clock(self) -> Clock:
        """What time it is for the call, and how it waits."""

    @property
    def pace(self) -> Pace:
        """What bounds the exchange under way."""

    @property
    def response_limits(self) -> ResponseLimits | None:
        """What the server can make us take in; `None`: whatever http.client takes."""

    def sends(self, request: requests.PreparedRequest) -> bool:
        """Whether this is the request that the call is sending."""

    def before_exchange(self, request: requests.PreparedRequest, timeout: Any) -> Any:
        """A request goes to the wire, maybe again (a Digest replay); returns its timeout."""

    def after_exchange(self, response: requests.Response) -> None:
        """The headers of an answer are here."""

    def silence(self) -> None:
        """The exchange goes through layers that others may have instrumented."""

    def uses(self, sock: Any) -> None:
        """The exchange under way goes through this socket: shutting it ends the waiting."""

    def leaves(self) -> None:
        """The exchange under way is done with its socket."""

    def opened(self) -> OpenConnection | None:
        """A connection was opened for the request; whoever has it tells what becomes of it."""

    def begins(self) -> None:
        """A connection begins to write the request."""

    def aside(self) -> AbstractContextManager[None]:
        """While code of the caller's runs within the exchange."""

    def body_failed(self, error: Exception) -> None:
        """The caller's body could not be read while it was sent."""

    @property
    def answered(self) -> bool:
        """Whether the answer is here already: what is done now is done by response hooks."""

    def shown(self, texts: list[str]) -> list[str]:
        """What may be shown of texts of a lower layer: URLs, paths with a query, free text."""


class Here(threading.local):
    """The call that is being sent by this thread."""

    watch: Watch | None = None


here = Here()


def current() -> Watch | None:
    """The call that is being sent by this thread, or `None`."""
    return here.watch


class watching:  # noqa: N801 - reads as the verb that it is: `with watching(call):`
    """Put the wire under a call's eyes inside a ``with`` block."""

    __slots__ = ("_previous", "_watch")

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        self._previous = here.watch
        here.watch = self._watch

    def __exit__(self, *_: object) -> None:
        here.watch = self._previous
