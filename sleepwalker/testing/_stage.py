"""Where a fault is played: our adapter and urllib3's pools, over a socket that is none.

Rules:

1. Nothing above the socket is imitated: what a fault raises, and what is known of whether the
   request was sent, comes from the layers that real requests go through.
2. A stage serves one request. Its sockets are never used again.
3. Time that a fault takes passes on the clock in use, up to the timeout that the socket has.
"""

from __future__ import annotations

import io
import socket
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError
from requests.exceptions import ConnectionError as BrokenOff
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from sleepwalker.connection import _wire
from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience.clock import SYSTEM

from ._clocks import let_pass
from ._faults import Answer, Pause, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import requests
    from requests.adapters import BaseAdapter

    from sleepwalker.resilience.clock import Clock

    from ._faults import Fault, Step


def play(
    fault: Fault,
    request: requests.PreparedRequest,
    options: dict[str, Any],
    *,
    wrapped: Callable[[], BaseAdapter],
    canned: Answer | None,
    clock: Clock | None,
) -> requests.Response:
    """Play a fault to a request that is sent.

    :param options: the other arguments of `send`
    :param wrapped: gives the adapter that is asked when the request goes through
    :param canned: answers in its place, if there is one
    :param clock: `None`: the call's, or everybody's
    """
    watch = _wire.current()
    if clock is None:
        clock = SYSTEM if watch is None else watch.clock
    one: Any = None if watch is None else _OneExchange(watch, request, options["timeout"])
    answer, played = canned if fault.through else None, request
    if fault.through and canned is None:
        with _watching(one):
            answer = _whole(wrapped().send(request, **{**options, "stream": True}))
        # It has gone out, and may be one that can't be read again.
        played = request.copy()
        played.body = None
    if one is not None:
        one.answers = True
    stage = _Stage(fault, fault.steps(request.method or "GET", answer), clock)
    with _watching(one):
        response = stage.send(played, **{**options, "proxies": None})
    response.request = request
    return response


def _watching(watch: Any) -> AbstractContextManager[None]:
    return nullcontext() if watch is None else _wire.watching(watch)


class _OneExchange:
    """A call's watch, to which the wrapped adapter's exchange and the stage's are one.

    :ivar answers: whether what is answered now is the exchange's answer
    """

    def __init__(self, watch: _wire.Watch, request: requests.PreparedRequest, timeout: Any) -> None:
        self._watch = watch
        self._timeout = watch.before_exchange(request, timeout)
        self.answers = False

    def before_exchange(self, *_: Any) -> Any:
        return self._timeout

    def after_exchange(self, response: requests.Response) -> None:
        if self.answers:
            self._watch.after_exchange(response)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watch, name)


def _whole(response: requests.Response) -> Answer:
    """An adapter's answer, read to its end.

    :raises requests.RequestException: when it breaks off, as `requests` says it
    """
    raw = response.raw
    headers = getattr(raw, "headers", None) or response.headers
    try:
        with response:
            if isinstance(raw, BaseHTTPResponse):
                body = raw.read(decode_content=False)
            else:
                body = response.content if raw is None else raw.read()
    except ProtocolError as error:
        raise ChunkedEncodingError(error) from error
    except ReadTimeoutError as error:
        raise BrokenOff(error) from error
    status = response.status_code
    reason = response.reason or reason_of(status)
    return Answer(status, str(reason), tuple(headers.items()), body)


class _NotMocked(HTTPAdapter):
    """`HTTPAdapter` with its own `send`, also while `responses` has another in its place."""

    send = HTTPAdapter.send


def refuse_mocked() -> None:
    """Raise when `requests` was mocked already as this module was imported.

    :raises ConfigurationError: then faults could not be played
    """
    if _NotMocked.send.__module__ != HTTPAdapter.__module__:
        msg = "import sleepwalker.testing before requests is mocked, at the top of a file"
        raise ConfigurationError(msg)


class _Stage(_wire.Adapter, _NotMocked):
    """Our adapter, over sockets that play a fault."""

    def __init__(self, fault: Fault, steps: Iterable[Step], clock: Clock) -> None:
        self._play = partial(_Played, fault, steps, clock)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        pools: dict[str, Any] = {
            "http": partial(self._pool, _wire.PlainPool, _PlainSocket),
            "https": partial(self._pool, _wire.TLSPool, _TLSSocket),
        }
        self.poolmanager.pool_classes_by_scheme = pools

    def _pool(self, pool_class: Any, socket_class: Any, *args: Any, **kwargs: Any) -> Any:
        pool = pool_class(*args, **kwargs)
        pool.ConnectionCls = partial(socket_class, self._play)
        return pool


class _Played:
    """The socket: it takes all that is sent, and gives what the steps say."""

    def __init__(
        self, fault: Fault, steps: Iterable[Step], clock: Clock, timeout: float | None
    ) -> None:
        self._steps = deque(steps)
        self._clock = clock
        self._timeout = timeout
        failure = fault.connecting()
        if isinstance(failure, Pause):
            self._wait(failure)
        elif failure is not None:
            raise failure

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        return self._timeout

    def sendall(self, data: Any) -> None:
        """Nobody reads it."""

    def makefile(self, _mode: str, buffering: int = -1) -> io.RawIOBase | io.BufferedReader:
        raw = _Read(self)
        return raw if buffering == 0 else io.BufferedReader(raw)

    def fileno(self) -> int:
        return -1

    def detach(self) -> int:
        return -1

    def setsockopt(self, *_: Any) -> None:
        """There are no options."""

    def shutdown(self, _how: int) -> None:
        self._steps.clear()

    def close(self) -> None:
        """An answer may go on, as on a real socket of which there is a file."""

    def recv_into(self, buffer: Any) -> int:
        """Give what comes next.

        :raises OSError: when that is what comes, and `TimeoutError` when it takes too long
        """
        while self._steps:
            step = self._steps.popleft()
            if isinstance(step, Pause):
                self._wait(step)
            elif isinstance(step, OSError):
                raise step
            elif step:
                size = min(len(buffer), len(step))
                buffer[:size] = step[:size]
                if step[size:]:
                    self._steps.appendleft(step[size:])
                return size
        return 0

    def _wait(self, pause: Pause) -> None:
        if self._timeout is None and pause.seconds == float("inf"):
            msg = "this fault needs a timeout: without one, it would be waited for for ever"
            raise ConfigurationError(msg)
        if self._timeout is not None and self._timeout <= pause.seconds:
            let_pass(self._clock, self._timeout)
            raise TimeoutError("timed out")
        let_pass(self._clock, pause.seconds)


class _Read(io.RawIOBase):
    def __init__(self, played: _Played) -> None:
        super().__init__()
        self._played = played

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._played.recv_into(buffer)


class _Connecting:
    """What makes one of our connections play (a mixin)."""

    host: str
    timeout: Any

    def __init__(self, play: Callable[[float | None], _Played], *args: Any, **kwargs: Any) -> None:
        self._play = play
        super().__init__(*args, **kwargs)

    def connect(self) -> None:
        """Connect, or fail as urllib3 says it."""
        connection: Any = self
        try:
            self.sock: Any = self._play(self.timeout)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, connection, error) from error
        except TimeoutError as error:
            text = f"Connection to {self.host} timed out. (connect timeout={self.timeout})"
            raise ConnectTimeoutError(connection, text) from error
        except OSError as error:
            text = f"Failed to establish a new connection: {error}"
            raise NewConnectionError(connection, text) from error
        # Of https: there is no TLS here that could fail.
        self.is_verified = True

    @property
    def is_connected(self) -> bool:
        """Not any more, once an answer is read: each plays once."""
        return False


class _PlainSocket(_Connecting, _wire.PlainSocket):  # type: ignore[misc] # as in `_wire`
    pass


class _TLSSocket(_Connecting, _wire.TLSSocket):  # type: ignore[misc] # as above
    pass
