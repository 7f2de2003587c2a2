"""All instruments of one manager or connection behind one door.

Rules:

1. An instrument that fails never fails a request; it is counted.
2. `None` takes the default (global tracer and meter provider, default registry, the application's
   logging), `False` switches an instrument off.
3. Within the requests of an exporter nothing is told (`suppression`), but that the state of what
   outlives them has changed, and what had been done before and is told late.
"""

from __future__ import annotations

import os
import weakref
from collections import Counter
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Protocol

from opentelemetry.trace import NoOpTracerProvider

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.observability import events, suppression
from sleepwalker.observability import redaction as _redaction
from sleepwalker.observability.in_turn import ModuleLock
from sleepwalker.observability.labels import LabelSpace
from sleepwalker.observability.logs import Logs
from sleepwalker.observability.metrics import Metrics
from sleepwalker.observability.standard import StandardMetrics
from sleepwalker.observability.tracing import SilentTracing, Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry

    from sleepwalker.observability.events import Event, Instrument, Pool
    from sleepwalker.observability.logs import Monotonic
    from sleepwalker.observability.open_connections import OpenConnection
    from sleepwalker.observability.redaction import Redaction


class Hosts(Protocol):
    """Hosts that a setting is for."""

    def matches(self, scheme: str, host: str, port: int) -> bool:
        """Whether an origin is one of them."""


class Telemetry:
    """What a manager or connection tells the world, and how.

    :param registry: where metrics go; `None`: prometheus-client's default; `False`: nowhere
    :param tracer_provider: makes spans; `None`: OpenTelemetry's global one; `False`: no spans
    :param meter_provider: takes the standard HTTP metric; `None`: OpenTelemetry's global one;
        `False`: not recorded
    :param logger: takes log events; `None`: the application's; `False`: no logs
    :param baggage_hosts: where OpenTelemetry's baggage may be sent
    :param observers: further instruments
    :param redaction: what is secret beside what always is
    :param buckets: of the histograms, in seconds; those of a registry's first user hold
    :param clock: says what time it is, for the limit on warnings
    :raises ConfigurationError: for what is no such thing
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry | Literal[False] | None = None,
        tracer_provider: TracerProvider | Literal[False] | None = None,
        meter_provider: MeterProvider | Literal[False] | None = None,
        logger: Any = None,
        baggage_hosts: Sequence[Hosts] = (),
        observers: Iterable[Instrument] = (),
        redaction: Redaction | None = None,
        buckets: Sequence[float] | None = None,
        clock: Monotonic,
    ) -> None:
        _check("registry", "a CollectorRegistry", registry, "register")
        _check("tracer_provider", "a TracerProvider", tracer_provider, "get_tracer")
        _check("meter_provider", "a MeterProvider", meter_provider, "get_meter")
        _check("logger", "a structlog or stdlib logger", logger, *_LOGGER)
        observers = _checked_observers(observers)
        self.redaction = _redaction.checked(redaction)
        self._metrics = None if registry is False else _metrics_on(registry, buckets)
        self._labels = LabelSpace() if self._metrics is None else self._metrics.labels
        self._logs = None if logger is False else Logs(logger, clock=clock)
        self._baggage_hosts = tuple(baggage_hosts)
        self._silent: Telemetry | None = None
        self._standard: StandardMetrics | None = None
        if meter_provider is not False:
            try:
                self._standard = StandardMetrics.of(meter_provider)
            except Exception:  # noqa: BLE001 - rule 1
                self._count_error()
        self._observers = observers
        self._handlers = _handlers_of(self._metrics, self._standard, self._logs)
        self.tracing = Tracing(
            NoOpTracerProvider() if tracer_provider is False else tracer_provider,
            failed=self._count_error,
        )
        _all.add(self)

    @property
    def heard(self) -> Telemetry:
        """This telemetry; within the requests of an exporter, one that tells nothing (rule 3)."""
        if not suppression.by_others():
            return self
        if self._silent is None:
            self._silent = _Silent(self, self._metrics, self._labels)
        return self._silent

    @property
    def own(self) -> Telemetry:
        """What `heard` gives where nothing is suppressed: to be kept for later."""
        return self

    def pool(self, host: str, auth: str, identity: Hashable) -> Pool:
        """The name of a pool, the same for the same (host, auth) pair."""
        return self._labels.pool(host, auth, identity)

    def opened(self, pool: Pool) -> OpenConnection | None:
        """A connection of a pool is open now; whoever has it tells what becomes of it."""
        return None if self._metrics is None else self._metrics.connections.opened(pool.series)

    def tell_connections(self) -> None:
        """Have it told now which connections are in use, where that isn't asked for later."""
        if self._metrics is not None:
            try:
                self._metrics.tell_connections()
            except Exception:  # noqa: BLE001 - rule 1
                self._count_error()

    def takes_baggage(self, scheme: str, host: str, port: int) -> bool:
        """Whether baggage may be sent to an origin."""
        hosts = self._baggage_hosts
        return bool(hosts) and any(each.matches(scheme, host, port) for each in hosts)

    def evicted(self, pools: list[Pool], reason: str) -> None:
        """Tell that pools were forgotten: very many, maybe, and counted at one go.

        No event is made of what nobody but the metrics would hear.
        """
        if self._metrics is not None:
            try:
                self._metrics.pools_evicted(Counter(pool.series for pool in pools), reason)
            except Exception:  # noqa: BLE001 - rule 1
                self._count_error()
        logs = self._logs
        try:
            heard = bool(self._observers) or (logs is not None and logs.hears_of_evicted(reason))
        except Exception:  # noqa: BLE001 - rule 1, by the event itself
            heard = True
        instruments = self._observers if logs is None else (logs, *self._observers)
        for pool in pools if heard else ():
            event = events.PoolEvicted(pool, reason)
            for instrument in instruments:
                try:
                    instrument.record(event)
                except Exception:  # noqa: BLE001 - rule 1
                    self._count_error()

    def record(self, event: Event, *within: Context | None) -> None:
        """Hand an event to every instrument.

        :param within: with the end of an attempt the context under its span, if it is at hand: else
            it is made anew of what the event says
        """
        for handle in self._handlers.get(type(event), ()):
            try:
                handle(event, *within)
            except Exception:  # noqa: BLE001 - rule 1
                self._count_error()
        for observer in self._observers:
            try:
                observer.record(event)
            except Exception:  # noqa: BLE001 - rule 1
                self._count_error()

    def record_once(self, event: Event) -> None:
        """Hand an event of a kind that is told once for the process to every instrument.

        Who has but metrics, which don't count it, leaves it to the next.
        """
        if self._handlers.get(type(event)) or self._observers:
            # At one go: another thread may be about to tell the same.
            me = object()
            if _told.setdefault(type(event), me) is me:
                self.record(event)

    def _count_error(self) -> None:
        if self._metrics is not None:
            # There is nobody left to tell.
            with suppress(Exception):
                self._metrics.telemetry_error()

    def inherit(self, pools: int) -> None:
        """After a fork, in the child: a manager has so many of the parent's pools."""
        if self._metrics is not None:
            self._metrics.inherit(pools)

    def renew(self) -> None:
        """After a fork, in the child."""
        self._labels.renew_lock()
        if self._logs is not None:
            self._logs.renew()


_STATE = (
    events.BreakerChanged,
    events.RetryQuotaChanged,
    events.PoolsChanged,
    events.PoolEvicted,
)
"""Events of what outlives a request: left out, a gauge would be wrong from then on."""


def _is_of_all(event: Event) -> bool:
    """Whether an event is about more than the request in which it is told."""
    # Hits are told together, by who happens to come then, whoever's they were.
    hits = isinstance(event, events.LookedUp) and event.result == "hit"
    return hits or isinstance(event, _STATE)


class _Silent(Telemetry):
    """Tells nothing of the requests within which it is asked; of all else, only the metrics."""

    def __init__(self, own: Telemetry, metrics: Metrics | None, labels: LabelSpace) -> None:
        self._own = own
        self._metrics, self._labels, self._logs, self._standard = metrics, labels, None, None
        self._observers, self._handlers = (), _handlers_of(metrics)
        self._baggage_hosts = ()
        self.redaction = own.redaction
        self.tracing = SilentTracing()

    @property
    def heard(self) -> Telemetry:
        return self

    @property
    def own(self) -> Telemetry:
        return self._own

    def record(self, event: Event, *within: Context | None) -> None:
        del within
        if _is_of_all(event):
            super().record(event)

    def record_once(self, event: Event) -> None:
        """Nothing: it is told another time."""


def _handlers_of(
    *instruments: Metrics | StandardMetrics | Logs | None,
) -> dict[type, tuple[Callable[..., object], ...]]:
    """What of our own instruments takes each kind of event, in their order."""
    chosen = [instrument.handlers for instrument in instruments if instrument is not None]
    return {
        kind: tuple(handlers[kind] for handlers in chosen if kind in handlers)
        for kind in events.KINDS
    }


def _metrics_on(
    registry: CollectorRegistry | None, buckets: Sequence[float] | None
) -> Metrics | None:
    """The metrics on a registry; `None` where there is no place to count (rule 1).

    :raises ConfigurationError: for buckets that can't be used
    """
    try:
        return Metrics.on(registry, buckets)
    except OSError:  # prometheus-client counts in files in prefork, and their folder is not there
        return None


def _check(name: str, what: str, given: object, *methods: str) -> None:
    """Make sure that an instrument's parameter is one.

    :raises ConfigurationError: when it is none
    """
    if given is None or given is False or _has_methods(given, methods):
        return
    msg = f"{name} must be {what}, None (default) or False, not {_described(given)}"
    raise ConfigurationError(msg)


_LOGGER = ("debug", "info", "warning")
"""What a logger has."""


def _has_methods(given: object, methods: tuple[str, ...]) -> bool:
    if isinstance(given, type):
        return False
    # A lazy logger of structlog's is not to be bound before the application has configured it.
    if methods == _LOGGER and hasattr(type(given), "bind"):
        return True
    try:
        return all(callable(getattr(given, name, None)) for name in methods)
    except Exception:  # noqa: BLE001 - an instrument that fails, which is counted when it is used
        return True


def _described(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def _checked_observers(observers: Any) -> tuple[Instrument, ...]:
    """The instruments that a user adds.

    :raises ConfigurationError: when they are none
    """
    chosen = tuple(observers) if isinstance(observers, Iterable) else ()
    if not isinstance(observers, Iterable) or not all(
        callable(getattr(observer, "record", None)) for observer in chosen
    ):
        msg = "observers must be a list of objects with a record(event) method"
        raise ConfigurationError(msg)
    return chosen


_told: dict[type, object] = {}
"""The kinds of event that were told once for the process, and a mark of who told each."""


def told(kind: type) -> bool:
    """Whether an event of a kind that is told once was told already."""
    return kind in _told


_making = ModuleLock()
_default: Telemetry | None = None
_all: weakref.WeakSet[Telemetry] = weakref.WeakSet()


_ambient: ContextVar[Telemetry | None] = ContextVar("sleepwalker_telemetry", default=None)


@contextmanager
def entered(telemetry: Telemetry) -> Iterator[None]:
    """Let those who configure nothing take this telemetry inside a ``with`` block.

    So that what a hook does with a connection that it makes (a login) is told by its manager.
    """
    token = _ambient.set(telemetry.own)
    try:
        yield
    finally:
        _ambient.reset(token)


def default(clock: Monotonic) -> Telemetry:
    """The telemetry of those who configure nothing.

    That of the manager for which a hook runs just now; else one with all instruments at their
    defaults.
    """
    ambient = _ambient.get()
    return ambient if ambient is not None else _of_the_process(clock)


def _of_the_process(clock: Monotonic) -> Telemetry:
    global _default  # noqa: PLW0603 - made once for the process, at the first use
    if _default is None:
        with _making:
            if _default is None:
                _default = Telemetry(clock=clock)
    return _default


@contextmanager
def fresh_default() -> Iterator[None]:
    """Let those who configure nothing start anew inside a ``with`` block (for tests)."""
    global _default, _told
    previous, _default = _default, None
    previously_told, _told = _told, {}
    try:
        yield
    finally:
        _default, _told = previous, previously_told


def _after_fork_in_child() -> None:
    for telemetry in list(_all):
        telemetry.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
