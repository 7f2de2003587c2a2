"""A `requests` adapter that injects faults, by rules, before those that real requests go through.

Rules:

1. Rules are asked in the order in which they were made; the first that is for the request and due
   decides. A fault that is due was used, whatever becomes of it.
2. Chance is each rule's own, and drawn once for each request that is its: the same seed gives the
   same faults, however many other requests there are.
3. The lock guards who gets which fault, and nothing more.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from requests.adapters import BaseAdapter

from sleepwalker.auth import DEFAULT_PORTS, HostPattern
from sleepwalker.connection import _headers, _wire
from sleepwalker.exceptions import ConfigurationError

from ._clocks import checked_clock
from ._faults import Fault, answer_of
from ._stage import play, refuse_mocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests import PreparedRequest, Response, Session

    from sleepwalker.connection import Connection
    from sleepwalker.resilience.clock import Clock


class SentRequest(NamedTuple):
    """A request that came to a `FaultAdapter`, and what became of it there."""

    request: PreparedRequest
    fault: Fault | None
    """What was injected; `None`: nothing."""


@dataclass(frozen=True)
class _Meant:
    """Which requests a rule is for."""

    host: HostPattern
    methods: frozenset[str] | None
    path: str

    @classmethod
    def of(cls, host: object, method: object, path: object) -> _Meant:
        methods = None
        if method is not None:
            several = isinstance(method, Iterable) and not isinstance(method, str | bytes)
            given = list(method) if several and isinstance(method, Iterable) else [method]
            methods = frozenset(map(_headers.checked_method, given))
            if not methods:
                msg = "method must be a method or several, not none at all"
                raise ConfigurationError(msg)
        if not isinstance(path, str) or not path.startswith(("/", "*")):
            msg = f"path must be a pattern such as '/books/*', not {path!r}"
            raise ConfigurationError(msg)
        # What it isn't, the pattern itself refuses.
        return cls(HostPattern(host if isinstance(host, str) else ""), methods, path)

    def matches(self, request: PreparedRequest) -> bool:
        url = urlsplit(request.url or "")
        scheme = url.scheme.lower()
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
        return (
            (self.methods is None or (request.method or "").upper() in self.methods)
            and fnmatchcase(url.path or "/", self.path)
            and self.host.matches(scheme, host, url.port or DEFAULT_PORTS.get(scheme, 0))
        )


class _Rule:
    """One rule: which fault, for which requests, and when it is due."""

    def __init__(self, fault: Fault, meant: _Meant, *, times: int = 0) -> None:
        self.fault = fault
        self.meant = meant
        self.times = times
        """How many faults are still to come."""

    def is_due(self) -> bool:
        """Whether the next request that is meant gets the fault; asking uses it."""
        if not self.times:
            return False
        self.times -= 1
        return True


class _ByChance(_Rule):
    def __init__(self, fault: Fault, meant: _Meant, rate: float, seed: int) -> None:
        super().__init__(fault, meant)
        self._rate = rate
        # Not for secrecy: the same faults every time.
        self._chance = random.Random(seed)  # noqa: S311 - as said

    def is_due(self) -> bool:
        return self._chance.random() < self._rate


class _Plan:
    """The rules, and what was done by them."""

    def __init__(self) -> None:
        # Re-entrant: a signal handler that makes a call may run in the middle of a locked section.
        self._lock = threading.RLock()
        self._rules: list[_Rule] = []
        self._sent: list[SentRequest] = []

    def add(self, rule: _Rule) -> None:
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def decide(self, request: PreparedRequest) -> Fault | None:
        """The fault that a request gets, if any."""
        with self._lock:
            due = (rule for rule in self._rules if rule.meant.matches(request) and rule.is_due())
            rule = next(due, None)
            fault = None if rule is None else rule.fault
            self._sent.append(SentRequest(request, fault))
        return fault

    @property
    def sent(self) -> tuple[SentRequest, ...]:
        with self._lock:
            return tuple(self._sent)

    @property
    def pending(self) -> int:
        with self._lock:
            return sum(rule.times for rule in self._rules)


class FaultAdapter(BaseAdapter):
    """A `requests` adapter that injects faults, and hands all other requests on.

    ::

        adapter = FaultAdapter()
        adapter.fail_next(2, Fault.refused(), host="books.example")
        adapter.fail_at(0.1, Fault.status(503), seed=7, method="GET")
        adapter.mount_on(conn)  # or conn.session.mount("https://", adapter)

    To Sleepwalker a fault is like the real one: the same errors, the same decisions about what may
    be sent again. Rules are asked in the order in which they were made, and each wire attempt is
    one request. May be shared by threads, and mounted on any `requests.Session`.

    :param wraps: the adapter that gets the other requests; `None`: one like that of a `Connection`
    :param answer: a `Fault.status(...)` that answers them in its place: nothing reaches a network
    :param clock: on which the time that faults take passes; `None`: the connection's
    :raises ConfigurationError: for what is no such thing
    """

    def __init__(
        self,
        wraps: BaseAdapter | None = None,
        *,
        answer: Fault | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        refuse_mocked()
        if wraps is not None and not callable(getattr(wraps, "send", None)):
            msg = f"wraps must be a requests adapter, not {type(wraps).__name__}"
            raise ConfigurationError(msg)
        self._wraps = wraps
        self._answer = answer
        self._canned = None if answer is None else answer_of(answer)
        self._clock = None if clock is None else checked_clock(clock)
        self._plan = _Plan()
        self._making = threading.RLock()

    # --- rules -------------------------------------------------------------------------------

    def fail_next(
        self,
        times: int,
        with_: Fault,
        *,
        host: str = "*",
        method: str | Iterable[str] | None = None,
        path: str = "*",
    ) -> None:
        """Let the next so many requests fail.

        :param with_: the fault
        :param host: whose: a pattern as `auth.HostPattern` understands it (``*.example.com``)
        :param method: which: a method, or several; `None`: all
        :param path: which: a pattern of the path, where ``*`` stands for any text
        :raises ConfigurationError: for a rule that can't be followed
        """
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            msg = f"times must be a whole number, 1 or more, not {times!r}"
            raise ConfigurationError(msg)
        meant = _Meant.of(host, method, path)
        self._plan.add(_Rule(_checked_fault(with_), meant, times=times))

    def fail_at(
        self,
        rate: float,
        with_: Fault,
        *,
        seed: int = 0,
        host: str = "*",
        method: str | Iterable[str] | None = None,
        path: str = "*",
    ) -> None:
        """Let a share of the requests fail, by chance; the same ones for the same seed.

        The other arguments are those of `fail_next`.

        :param rate: from 0 to 1, for all
        :param seed: of the chance; in threads, the order of requests decides who draws what
        :raises ConfigurationError: for a rule that can't be followed
        """
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            msg = f"rate must be a number from 0 to 1, not {rate!r}"
            raise ConfigurationError(msg)
        if isinstance(seed, bool) or not isinstance(seed, int):
            msg = f"seed must be a whole number, not {type(seed).__name__}"
            raise ConfigurationError(msg)
        meant = _Meant.of(host, method, path)
        self._plan.add(_ByChance(_checked_fault(with_), meant, rate, seed))

    def clear(self) -> None:
        """Forget all rules: what was done is kept, and nothing fails any more."""
        self._plan.clear()

    # --- what was done -----------------------------------------------------------------------

    @property
    def requests(self) -> tuple[SentRequest, ...]:
        """All requests that came here until now, in order."""
        return self._plan.sent

    @property
    def injected(self) -> tuple[SentRequest, ...]:
        """Those of them that got a fault."""
        return tuple(sent for sent in self._plan.sent if sent.fault is not None)

    @property
    def pending(self) -> int:
        """How many faults of `fail_next` are still to come."""
        return self._plan.pending

    def __repr__(self) -> str:
        counts = f"{len(self.requests)} requests, {len(self.injected)} injected"
        return f"<FaultAdapter {counts}, {self.pending} pending>"

    # --- where it stands ---------------------------------------------------------------------

    def mount_on(self, conn: Connection | Session) -> None:
        """Stand before the adapters that are mounted on a connection, or a session.

        :raises ConfigurationError: when it is none
        """
        session: Any = getattr(conn, "session", conn)
        if not isinstance(getattr(session, "adapters", None), dict):
            msg = f"conn must be a Connection or a requests.Session, not {type(conn).__name__}"
            raise ConfigurationError(msg)
        for prefix, adapter in list(session.adapters.items()):
            session.adapters[prefix] = self.around(adapter)

    def around(self, adapter: BaseAdapter) -> FaultAdapter:
        """One with the same rules, answer and counts as this, that wraps another adapter."""
        if isinstance(adapter, FaultAdapter) and adapter._plan is self._plan:  # noqa: SLF001 - one of us
            return adapter
        made = FaultAdapter(adapter, answer=self._answer, clock=self._clock)
        made._plan = self._plan
        return made

    def _wrapped(self) -> BaseAdapter:
        with self._making:
            if self._wraps is None:
                self._wraps = _wire.Adapter()
            return self._wraps

    # --- as requests and our sessions use it -------------------------------------------------

    def send(  # noqa: PLR0917 - as in requests
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - as in requests
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002 - as in requests
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        """Let the request fail, or hand it on; `requests` calls this."""
        options = {
            "stream": stream,
            "timeout": timeout,
            "verify": verify,
            "cert": cert,
            "proxies": proxies,
        }
        fault = self._plan.decide(request) or self._answer
        response: Any
        if fault is None:
            response = self._wrapped().send(request, **options)
        else:
            response = play(
                fault,
                request,
                options,
                wrapped=self._wrapped,
                canned=self._canned,
                clock=self._clock,
            )
        # So that what an auth sends once more (Digest) comes here too.
        response.connection = self
        sent: Response = response
        return sent

    def close(self) -> None:
        """Close the wrapped adapter; `requests` calls this."""
        if self._wraps is not None:
            self._wraps.close()

    def drop_stale(self) -> None:
        """Have the wrapped adapter close its stale sockets; our sessions call this."""
        drop_stale: Callable[[], None] | None = getattr(self._wraps, "drop_stale", None)
        if drop_stale is not None:
            drop_stale()

    def without_context(self) -> FaultAdapter:
        """One for other origins, as the wrapped adapter wants it; our sessions call this."""
        without_context: Any = getattr(self._wraps, "without_context", None)
        return self if without_context is None else self.around(without_context())


@contextmanager
def faults(*, answer: Fault | None = None, clock: Clock | None = None) -> Iterator[FaultAdapter]:
    """Put a `FaultAdapter` before every connection inside a ``with`` block.

    ::

        with faults() as adapter:
            adapter.fail_next(2, Fault.refused(), host="books.example")
            code_under_test(manager)
        assert adapter.pending == 0

    Reaches the connections that exist already and those that are made, of all managers and in all
    threads; each request that gets no fault goes to the adapter that is mounted there, or to
    whoever mocks it (`responses`).

    :param answer: as for `FaultAdapter`, and so is `clock`
    :raises ConfigurationError: for what is no such thing
    """
    adapter = FaultAdapter(answer=answer, clock=clock)
    with _wire.between(adapter.around):
        yield adapter


def _checked_fault(fault: object) -> Fault:
    if not isinstance(fault, Fault):
        msg = "with_ must be a fault, such as Fault.refused()"
        raise ConfigurationError(msg)
    return fault
