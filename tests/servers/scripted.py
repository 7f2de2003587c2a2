"""The server that integration tests talk to: real sockets on loopback, answers from a script.

Rule 1: it listens from construction on, and after `close()` no thread and no socket of it is left.
Rule 2: a request is recorded before it is answered, and only when it was read completely.
Rule 3: a mistake in the script or a handler is an error of the test, never a quiet 500: leaving the
    `with` raises it.
Rule 4: locks guard the script and the records; reading, writing and handlers run outside them.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from tests.servers.actions import Action, Answer, Stage, Step, decide, echo
from tests.servers.channel import Channel, ConnectionRecord, Exchange
from tests.servers.listening import Listener
from tests.servers.script import Script
from tests.servers.wire import (
    CONTINUE,
    BadRequestError,
    Head,
    IncompleteRequestError,
    Reader,
    Request,
    wire,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import TracebackType

_PATIENCE: Final = 5.0  # seconds until a wait is a failed test, and a thread that won't end a bug


class ScriptedServer:
    """An HTTP/1.1 server on loopback, one thread a connection, that does as it is told."""

    def __init__(
        self,
        default: Answer | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """Listen on a free port of `host`; `default` (an echo) answers what no script does.

        Raises:
            ValueError: `default` acts in a TLS handshake that there is none of.
        """
        self._tls: Final = tls
        self._host: Final = host
        self._changed = threading.Condition()  # re-entrant, so `wait_for` may ask the properties
        self._script = Script(tls=tls is not None)
        self._requests: list[Request] = []
        self._connections: list[ConnectionRecord] = []
        self._errors: list[Exception] = []
        self._channels: set[Channel] = set()
        self._workers: set[threading.Thread] = set()
        self._lifecycle = threading.Lock()
        self._listener: Listener | None = None
        self._port = 0
        self._starts = 0
        self._default = self._script.checked(echo() if default is None else default)
        self.start()
        _alive.add(self)

    # What it does

    def script(self, *answers: Answer) -> None:
        """Add answers, each for one request.

        They are used in order, whatever connection the requests come on; then the default is. An
        answer that acts in the TLS handshake waits for the next new connection; requests on older
        ones pass it by.

        Raises:
            ValueError: an answer's steps are in an impossible order, or it acts in a TLS handshake
                that there is none of.
        """
        checked = [self._script.checked(answer) for answer in answers]
        with self._changed:
            self._script.extend(checked)

    @property
    def default(self) -> Answer:
        """What answers when the script is used up; may be set at any time."""
        return self._default

    @default.setter
    def default(self, answer: Answer) -> None:
        self._default = self._script.checked(answer)

    # Where it is

    @property
    def port(self) -> int:
        """The port, the same for life."""
        return self._port

    @property
    def url(self) -> str:
        """The origin by address: `https://127.0.0.1:port`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self._port}"

    @property
    def localhost_url(self) -> str:
        """The same by name: for clients another origin, and another host in a netrc file."""
        return f"{self._scheme}://localhost:{self._port}"

    @property
    def _scheme(self) -> str:
        return "http" if self._tls is None else "https"

    # What it saw

    @property
    def requests(self) -> list[Request]:
        """Every request read completely, in order."""
        with self._changed:
            return list(self._requests)

    @property
    def connections(self) -> list[ConnectionRecord]:
        """Every connection accepted, in order; the records of open ones go on changing."""
        with self._changed:
            return list(self._connections)

    @property
    def starts(self) -> int:
        """How often it began to listen: 1, and one more for each restart that is complete."""
        return self._starts

    def count(self, *, method: str | None = None, target: str | None = None) -> int:
        """Count the requests read completely, of this method and this exact target if given."""
        return sum(
            method in {None, request.method} and target in {None, request.target}
            for request in self.requests
        )

    def wait_for(self, predicate: Callable[[], bool], timeout: float = _PATIENCE) -> None:
        """Wait until this holds; it is asked again after every change of the server's records.

        Raises:
            AssertionError: it does not within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise AssertionError(f"not within {timeout} s: {self!r}")

    def __repr__(self) -> str:
        """Tell where it is and what it saw."""
        with self._changed:
            return (
                f"<ScriptedServer {self.url} connections={len(self._connections)}"
                f" requests={len(self._requests)} script={len(self._script)}>"
            )

    # Its life

    def start(self) -> None:
        """Listen again after `stop()`, on the same port.

        Raises:
            RuntimeError: it is listening.
        """
        with self._lifecycle:
            self._start()

    def stop(self) -> None:
        """Close the port, then every connection; connecting is refused until `start()`.

        Records and script stay.

        Raises:
            AssertionError: a handler does not return.
        """
        with self._lifecycle:
            self._stop()

    def restart(self) -> None:
        """Stop and start again on the same port."""
        with self._lifecycle:
            self._stop(again=True)
            if self._listener is None:
                self._start()

    def close(self) -> None:
        """Stop for good; may be called again.

        Raises:
            AssertionError: a handler does not return.
        """
        self.stop()

    def check(self) -> None:
        """Raise the first mistake that the script or a handler made, if there was one."""
        with self._changed:
            if self._errors:
                raise self._errors[0]

    def __enter__(self) -> Self:
        """Give itself; it listens already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, and raise what the script or a handler did wrong, unless the test has failed."""
        self.close()
        if error is None:
            self.check()

    def _start(self) -> None:
        if self._listener is not None:
            raise RuntimeError(f"{self!r} is listening")
        self._listener = Listener((self._host, self._port), self._accept)
        with self._changed:
            self._port = self._listener.port
            self._starts += 1
            self._changed.notify_all()

    def _stop(self, *, again: bool = False) -> None:
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        with self._changed:
            channels, workers = set(self._channels), set(self._workers)
        if again:
            # Before the connections end: who sees that may connect again at once.
            self._start()
        for channel in channels:
            channel.interrupt()
        # A worker that restarts the server can't wait for itself: the next stop does.
        workers.discard(threading.current_thread())
        end = time.monotonic() + _PATIENCE
        for worker in workers:
            worker.join(max(0.0, end - time.monotonic()))
            if worker.is_alive():
                raise AssertionError(f"{worker.name} does not return: {self!r}")
        with self._changed:
            self._workers -= workers

    def _restart_from_worker(self) -> None:
        # Not waiting: who holds the lock is stopping this server, and waits for this very thread.
        if self._lifecycle.acquire(blocking=False):
            try:
                self._stop(again=True)
                if self._listener is None:
                    self._start()
            finally:
                self._lifecycle.release()

    # One connection

    def _accept(self, sock: socket.socket) -> None:
        with self._changed:
            record = ConnectionRecord(len(self._connections) + 1, time.monotonic())
            channel = Channel(sock, record, self._notify)
            self._connections.append(record)
            self._channels.add(channel)
            worker = threading.Thread(
                target=self._work,
                args=(channel,),
                name=f"{self.url} connection {record.number}",
                daemon=True,
            )
            self._workers.add(worker)
            self._changed.notify_all()
        worker.start()

    def _work(self, channel: Channel) -> None:
        try:
            self._serve(_Visit(channel))
        except BadRequestError as error:
            self._fail(channel, 400, error)
        except (OSError, IncompleteRequestError) as error:
            channel.record.error = error
            rejected = isinstance(error, ssl.SSLError) and _we_refused(error)
            # The alert that says why must get through: an early close would become a reset.
            channel.finish("server" if rejected else channel.gone, linger=rejected)
        except Exception as error:  # noqa: BLE001 - kept, and raised in the test's own thread
            with self._changed:
                self._errors.append(error)
            self._fail(channel, 500, error)
        finally:
            channel.finish(channel.gone)
            with self._changed:
                self._channels.discard(channel)
                self._changed.notify_all()

    def _fail(self, channel: Channel, status: int, error: Exception) -> None:
        channel.record.error = error
        try:
            channel.send(wire(status, {"Connection": "close"}, repr(error).encode()))
        except OSError:
            channel.finish(channel.gone)
        else:
            channel.finish(linger=True)

    def _serve(self, visit: _Visit) -> None:
        channel = visit.channel
        if self._tls is not None:
            self._act(visit, Stage.HANDSHAKE)
            if channel.ended():
                return
            channel.start_tls(self._tls)
        reader = Reader(channel.receive)
        while not channel.ended():
            if not reader.buffered and not channel.await_bytes():
                return
            self._act(visit, Stage.UNREAD)
            if channel.ended() or (head := reader.head()) is None:
                return
            self._act(visit, Stage.HEAD)
            if channel.ended():
                return
            if head.expects_continue:
                channel.send(CONTINUE)
            request = self._record(head, reader.body(head), channel)
            self._act(visit, Stage.READ, request)
            self._notify()  # what a handler recorded may be waited for, too
            if head.last and not channel.ended():
                channel.finish()

    def _record(self, head: Head, body: bytes, channel: Channel) -> Request:
        with self._changed:
            request = Request(
                number=len(self._requests) + 1,
                connection=channel.record.number,
                received_at=time.monotonic(),
                method=head.method,
                target=head.target,
                version=head.version,
                headers=head.headers,
                body=body,
                client_cert=channel.client_cert,
            )
            self._requests.append(request)
            channel.record.requests += 1
            self._changed.notify_all()
        return request

    def _act(self, visit: _Visit, stage: Stage, request: Request | None = None) -> None:
        """Take the steps whose time is now, from a new answer if none is under way."""
        if not visit.owed:
            visit.owed.extend(self._next(stage, request))
        while visit.owed and visit.owed[0].stage is stage and not visit.channel.ended():
            step = visit.owed.popleft()
            step.perform(Exchange(visit.channel, request, self._restart_from_worker))

    def _next(self, stage: Stage, request: Request | None) -> tuple[Step, ...]:
        with self._changed:
            answer = self._script.take(stage, self._default)
        if answer is None:
            return ()
        if request is None:
            assert isinstance(answer, Action)
            return answer.steps
        steps = decide(answer, request).steps
        if steps[0].stage is not Stage.READ:
            raise ValueError(f"{steps!r}: too late, the request was read")
        return steps

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _abandon(self) -> None:
        """Drop every descriptor in a forked child, so that what the parent closes is closed."""
        if self._listener is not None:
            self._listener.abandon()
            self._listener = None
        for channel in self._channels:
            channel.abandon()


@dataclass(frozen=True)
class _Visit:
    """A connection, and the steps owed on it by an answer that began before its request."""

    channel: Channel
    owed: deque[Step] = field(default_factory=deque)


def _we_refused(error: ssl.SSLError) -> bool:
    """Whether a handshake failed at our end: the client's certificate is missing or bad."""
    return isinstance(error, ssl.SSLCertVerificationError) or (
        error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    )


_alive: Final[weakref.WeakSet[ScriptedServer]] = weakref.WeakSet()


def _abandon_all() -> None:
    for server in list(_alive):
        server._abandon()  # noqa: SLF001 - this module's own


os.register_at_fork(after_in_child=_abandon_all)
