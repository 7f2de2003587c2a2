"""Prometheus metrics: one instrument that turns events into counts.

Rules:

1. The families are made once for each registry: two managers that share a registry share them.
2. Events and scrapes are taken in turn (`in_turn`): no fork and no signal handler comes in between.
   The ends of attempts and calls are counted some at one go, and before a scrape: warm, one costs
   half as much. Not so in prefork, where files are read and nobody asks.
3. A label value is from a closed set, or bounded by `labels`.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
import os
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.observability import events, names
from sleepwalker.observability.in_turn import InTurn, ModuleLock
from sleepwalker.observability.labels import LabelSpace
from sleepwalker.observability.open_connections import OpenConnections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from prometheus_client import CollectorRegistry, Metric

    from sleepwalker.observability.events import Event

_POOL = (names.LABEL_HOST, names.LABEL_AUTH)
BATCH = 16
"""How many ends of attempts and calls are counted at one go, unless a scrape comes before."""
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable by which prometheus-client counts in files, for several processes."""


class Metrics:
    """The metrics of all pools whose managers and connections share one registry."""

    def __init__(
        self, registry: CollectorRegistry | None, buckets: Sequence[float] = names.TIME_BUCKETS
    ) -> None:
        self.labels = LabelSpace()
        self._buckets = tuple(buckets)
        self._counting = InTurn(after=self._after, renewed=self._renew)
        self._changes: deque[tuple[tuple[str, str], int]] = deque()
        """By how much calls under way changed in a series since they were added up."""
        self._told: deque[events.AttemptFinished | events.RequestFinished] = deque()
        """Ends of attempts and calls that aren't counted yet."""
        self._under_way: dict[tuple[str, str], int] = {}
        self._children: dict[tuple[object, ...], Any] = {}
        self._overflow_published = 0
        self._held = 0
        self._hosts: set[str] = set()
        """Hosts, with their scopes, whose quotas and breakers have series of their own."""
        self._levels: dict[tuple[Gauge, str], float] = {}
        """What was told last of each host's quota and breaker."""
        self.connections = OpenConnections()
        self._prefork = MULTIPROCESS in os.environ

        self._families: list[Counter | Gauge | Histogram] = []

        # Registered is this object, not each family: rule 2 holds for a scrape too.
        def counter(name: str, text: str, *labels: str) -> Counter:
            family = Counter(name, text, labels, registry=None)
            self._families.append(family)
            return family

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            family = Histogram(name, text, labels, registry=None, buckets=buckets)
            self._families.append(family)
            return family

        def gauge(name: str, text: str, *labels: str, mode: Any = "livesum") -> Gauge:
            family = Gauge(name, text, labels, registry=None, multiprocess_mode=mode)
            self._families.append(family)
            return family

        self._request_duration = histogram(
            names.REQUEST_DURATION,
            "Seconds that logical calls took, retries and waits included.",
            *_POOL,
            names.LABEL_METHOD,
            names.LABEL_OUTCOME,
        )
        self._attempt_duration = histogram(
            names.ATTEMPT_DURATION,
            "Seconds that single wire attempts took.",
            *_POOL,
            names.LABEL_METHOD,
            names.LABEL_STATUS_CLASS,
        )
        self._attempts = counter(
            names.ATTEMPTS,
            "Wire attempts.",
            *_POOL,
            names.LABEL_METHOD,
            names.LABEL_CODE,
            names.LABEL_ERROR_TYPE,
        )
        self._retries = counter(
            names.RETRIES, "Attempts that were followed by another.", *_POOL, names.LABEL_REASON
        )
        self._retry_wait = counter(
            names.RETRY_WAIT, "Seconds spent waiting between attempts.", *_POOL
        )
        self._retry_quota = gauge(
            names.RETRY_QUOTA,
            "Tokens that are left in the retry quota of a host.",
            names.LABEL_HOST,
            mode="livemin",
        )
        self._breaker_state = gauge(
            names.BREAKER_STATE,
            "The circuit breaker of a host: 0 closed, 1 half-open, 2 open.",
            names.LABEL_HOST,
            mode="livemax",
        )
        self._in_flight = gauge(names.IN_FLIGHT, "Logical calls under way.", *_POOL)
        self._connections = gauge(
            names.POOL_CONNECTIONS, "Connections that are open.", *_POOL, names.LABEL_STATE
        )
        self._pools = gauge(names.POOLS, "Pools that managers hold.")
        self._lookups = counter(names.POOL_LOOKUPS, "Finds.", *_POOL, names.LABEL_RESULT)
        self._wait = histogram(
            names.POOL_WAIT, "Seconds that finds waited for another thread's establishment.", *_POOL
        )
        self._evictions = counter(
            names.POOL_EVICTIONS, "Pools that were forgotten.", *_POOL, names.LABEL_REASON
        )
        self._hook_duration = histogram(
            names.HOOK_DURATION,
            "Seconds that calls of connection hooks took.",
            *_POOL,
            names.LABEL_HOOK,
            names.LABEL_OUTCOME,
        )
        self._connect_failures = counter(
            names.CONNECT_FAILURES,
            "Finds for which no hook gave a connection.",
            *_POOL,
            names.LABEL_ERROR_TYPE,
        )
        self._link_follows = counter(
            names.LINK_FOLLOWS,
            "Links that were followed from one document to another.",
            *_POOL,
            names.LABEL_CROSS_HOST,
            names.LABEL_OUTCOME,
        )
        self._overflow = counter(
            names.LABEL_OVERFLOW, "Pools that share the series _other, beyond the labelled ones."
        )
        self._telemetry_errors = counter(
            names.TELEMETRY_ERRORS, "Errors of instruments, none of which reached a caller."
        )
        self.handlers = self._handled()
        """What takes each kind of event."""
        if registry is not None:
            registry.register(self)

    def _handled(self) -> dict[type, Callable[..., None]]:
        counted: dict[type, Callable[..., None]] = {
            events.RequestStarted: self._request_started,
            events.AttemptFinished: self._attempt_finished,
            events.RetryScheduled: self._retry_scheduled,
            events.RequestFinished: self._request_finished,
            events.BreakerChanged: self._breaker_changed,
            events.RetryQuotaChanged: self._retry_quota_changed,
            events.LookedUp: self._looked_up,
            events.EstablishmentAwaited: self._establishment_awaited,
            events.HookCalled: self._hook_called,
            events.ConnectionFailed: self._connection_failed,
            events.PoolsChanged: self._pools_changed,
            events.PoolEvicted: self._pool_evicted,
            events.LinkFollowed: self._link_followed,
        }
        handlers: dict[type, Callable[..., None]] = {
            kind: functools.partial(self._counting.do, count) for kind, count in counted.items()
        }
        if not self._prefork:
            handlers[events.RequestStarted] = self._request_begun
            handlers[events.AttemptFinished] = self._attempt_told
            handlers[events.RequestFinished] = self._request_told
        return handlers

    @classmethod
    def on(
        cls,
        registry: CollectorRegistry | None = None,
        buckets: Sequence[float] | None = None,
    ) -> Metrics:
        """The metrics on a registry (the default one for `None`), made at the first call.

        The buckets are those of the first call. Where they can't be registered (the application has
        a metric of such a name), they count for nobody to see: no request fails for it.

        :raises ConfigurationError: for buckets that can't be used
        :raises OSError: in prefork, when there can be no files to count in
        """
        registry = prometheus_client.REGISTRY if registry is None else registry
        if buckets is not None and not _are_buckets(buckets):
            msg = "buckets must be ascending numbers of seconds"
            raise ConfigurationError(msg)
        with _making:
            buckets = buckets or names.TIME_BUCKETS
            try:
                made = _by_registry.get(registry)
                if made is None:
                    made = _by_registry[registry] = cls(registry, buckets)
            except Exception:  # noqa: BLE001 - an instrument that fails never fails a request
                made = cls(None, buckets)
                made.telemetry_error()
                with suppress(TypeError):  # where there are no weak references to the registry
                    _by_registry[registry] = made
            return made

    def describe(self) -> list[Metric]:
        """What is collected, by name, for prometheus-client."""
        return [metric for family in self._families for metric in family.describe()]

    def collect(self) -> list[Metric]:
        """What was counted, for prometheus-client."""
        collected: list[Metric] = []

        def collect() -> None:
            self._count_told()
            self._after()
            self._publish_connections()
            self._publish_in_flight()
            collected.extend(metric for family in self._families for metric in family.collect())

        self._counting.do(collect)
        return collected

    def record(self, event: Event) -> None:
        """Count an event."""
        handle = self.handlers.get(type(event))
        if handle is not None:
            handle(event)

    def _attempt_told(self, event: events.AttemptFinished, _: Context | None = None) -> None:
        self._tell(event)

    def _request_told(self, event: events.RequestFinished) -> None:
        self._changes.append((event.pool.series, -1))
        self._tell(event)

    def _tell(self, event: events.AttemptFinished | events.RequestFinished) -> None:
        """Take note of it, to be counted with others."""
        self._told.append(event)
        if len(self._told) >= BATCH:
            self._counting.do(self._count_told)

    def _count_told(self) -> None:
        """Count what was told since."""
        self._add_up_under_way()
        # One thread at a time is at it, and others only add to it.
        told = tuple(self._told)
        shown = {
            self._exemplar_of(event): event
            for event in told
            if isinstance(event, events.AttemptFinished) and event.trace is not None
        }
        for event in told:
            self._told.popleft()
            try:
                if isinstance(event, events.RequestFinished):
                    self._observe_request(event)
                else:
                    seen = event.trace is None or shown[self._exemplar_of(event)] is event
                    self._attempt_finished(event if seen else event._replace(trace=None))
            except Exception:  # noqa: BLE001 - an instrument that fails, and one event of many
                self._telemetry_errors.inc()

    def _exemplar_of(self, event: events.AttemptFinished) -> tuple[object, ...]:
        """What has one exemplar: of several attempts the last one's, as with prometheus-client."""
        bucket = bisect.bisect_left(self._buckets, event.duration)
        return event.pool.series, event.method, event.status, bucket

    def _after(self) -> None:
        """Whenever something was counted."""
        if self.labels.overflowed != self._overflow_published:
            self._publish_overflow()
        # A scrape does so too; but in prefork it reads files, and asks nobody.
        if self._prefork or self.connections.much:
            self._publish_connections()

    def tell_connections(self) -> None:
        """In prefork, where nobody asks: put into the files which connections are in use.

        Elsewhere only when there is much: within an exporter's requests no event may come to do it.
        """
        if self._prefork or self.connections.much:
            self._counting.do(self._publish_connections)

    def telemetry_error(self) -> None:
        """Count an error of an instrument."""
        self._counting.do(self._telemetry_errors.inc)

    def _renew(self) -> None:
        """After a fork, in the child."""
        self._add_up_under_way()
        had_calls, self._under_way = self._under_way, {}
        had_connections = self.connections.forget()
        # What the parent has not told yet is the parent's to tell.
        self._overflow_published = self.labels.overflowed
        # Managers tell theirs anew (`inherit`): a thread that had put in a pool, and not yet told
        # of it, is not here to do so.
        self._held = 0
        # With the first that is counted: children that count nothing need no file, and
        # prometheus-client's lock may be held by no one.
        self._counting.later(self._tell_inherited)
        if MULTIPROCESS not in os.environ:
            # What was in flight goes on in the parent.
            self._under_way = dict.fromkeys(had_calls, 0)
            for series in had_connections:
                self._set_connections(series, 0, 0)
        self.labels.renew_lock()

    def inherit(self, pools: int) -> None:
        """After a fork, in the child: a manager has so many of the parent's pools."""
        self._held += pools

    def _tell_inherited(self) -> None:
        """Tell what a child has of its parent's: for prometheus-client, in multiprocess mode, 0."""
        self._tell_pools()
        for (gauge, host), level in self._levels.items():
            self._child(gauge, (host,)).set(level)

    def _child(self, family: Any, series: tuple[str, ...], *values: str) -> Any:
        """The bound series of a family: looked up once, since `labels()` is the expensive part."""
        key = (family, series, values)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = family.labels(*series, *values)
        return child

    def _request_begun(self, event: events.RequestStarted) -> None:
        """Take note of it, to be added up with others."""
        self._changes.append((event.pool.series, 1))
        if len(self._changes) >= BATCH:
            self._counting.do(self._count_told)

    def _add_up_under_way(self) -> None:
        while self._changes:
            series, change = self._changes.popleft()
            # A call that a child was forked in ends there too, though it began elsewhere.
            self._under_way[series] = max(self._under_way.get(series, 0) + change, 0)

    def _publish_in_flight(self) -> None:
        self._add_up_under_way()
        for series, calls in self._under_way.items():
            self._child(self._in_flight, series).set(calls)

    def _set_in_flight(self, series: tuple[str, str], change: int) -> None:
        """What is in flight, at once."""
        self._changes.append((series, change))
        self._add_up_under_way()
        self._child(self._in_flight, series).set(self._under_way[series])

    def _request_started(self, event: events.RequestStarted) -> None:
        self._set_in_flight(event.pool.series, 1)

    def _request_finished(self, event: events.RequestFinished) -> None:
        self._set_in_flight(event.pool.series, -1)
        self._observe_request(event)

    def _observe_request(self, event: events.RequestFinished) -> None:
        series = event.pool.series
        self._child(
            self._request_duration, series, names.known_method(event.method), event.outcome
        ).observe(event.duration)

    def _attempt_finished(self, event: events.AttemptFinished, _: Context | None = None) -> None:
        series, method = event.pool.series, names.known_method(event.method)
        status = event.status
        status_class = f"{status // 100}xx" if status is not None else "none"
        if status_class not in names.STATUS_CLASSES:
            status_class = "none"
        code = str(status) if status_class != "none" else "none"
        self._child(self._attempts, series, method, code, event.error_type).inc()
        # Files have no place for exemplars. One that is too long is refused: last, so that all is
        # counted.
        trace = None if self._prefork or event.trace is None else event.trace._asdict()
        self._child(self._attempt_duration, series, method, status_class).observe(
            event.duration, trace
        )

    def _retry_scheduled(self, event: events.RetryScheduled) -> None:
        self._child(self._retries, event.pool.series, event.reason).inc()
        self._child(self._retry_wait, event.pool.series).inc(event.wait)

    def _breaker_changed(self, event: events.BreakerChanged) -> None:
        state = names.BREAKER_STATES.index(event.state)
        self._set_level(self._breaker_state, self._host_of(event), state)

    def _retry_quota_changed(self, event: events.RetryQuotaChanged) -> None:
        self._set_level(self._retry_quota, self._host_of(event), event.tokens)

    def _set_level(self, gauge: Gauge, host: str, level: float) -> None:
        self._levels[gauge, host] = level
        self._child(gauge, (host,)).set(level)

    def _host_of(self, event: events.BreakerChanged | events.RetryQuotaChanged) -> str:
        """The label of what all pools of a host share: with the scope, if the policy names one.

        Whichever of them tells it, one with series of its own or not; and as bounded as pools are:
        a scope may be a tenant's, of whom there are thousands.
        """
        if event.host not in self._hosts:
            if len(self._hosts) >= names.LABELLED_POOLS:
                return names.OVERFLOW
            self._hosts.add(event.host)
        return event.host

    def _looked_up(self, event: events.LookedUp) -> None:
        self._child(self._lookups, event.pool.series, event.result).inc(event.times)

    def _establishment_awaited(self, event: events.EstablishmentAwaited) -> None:
        self._child(self._wait, event.pool.series).observe(event.duration)

    def _hook_called(self, event: events.HookCalled) -> None:
        self._child(self._hook_duration, event.pool.series, event.hook, event.outcome).observe(
            event.duration
        )

    def _connection_failed(self, event: events.ConnectionFailed) -> None:
        self._child(self._connect_failures, event.pool.series, event.error_type).inc()

    def _pools_changed(self, event: events.PoolsChanged) -> None:
        self._held += event.by
        self._tell_pools()

    def _tell_pools(self) -> None:
        self._pools.set(self._held)

    def _publish_connections(self) -> None:
        for series, (active, idle) in self.connections.add_up():
            self._set_connections(series, active, idle)

    def _set_connections(self, series: tuple[str, str], active: int, idle: int) -> None:
        for state, count in zip(names.CONNECTION_STATES, (active, idle), strict=True):
            self._child(self._connections, series, state).set(count)

    def _link_followed(self, event: events.LinkFollowed) -> None:
        cross_host = names.CROSS_HOST[not event.cross_host]
        self._child(self._link_follows, event.pool.series, cross_host, event.outcome).inc()

    def _publish_overflow(self) -> None:
        new = self.labels.overflowed - self._overflow_published
        self._overflow.inc(new)
        self._overflow_published += new

    def _pool_evicted(self, event: events.PoolEvicted) -> None:
        self._pools_evicted({event.pool.series: 1}, event.reason)

    def pools_evicted(self, pools: Mapping[tuple[str, str], int], reason: str) -> None:
        """Count what was evicted at one go.

        :param pools: how many, by series
        """
        self._counting.do(self._pools_evicted, pools, reason)

    def _pools_evicted(self, pools: Mapping[tuple[str, str], int], reason: str) -> None:
        for series, count in pools.items():
            self._child(self._evictions, series, reason).inc(count)


def _are_buckets(buckets: object) -> bool:
    if not isinstance(buckets, Sequence) or isinstance(buckets, str) or not buckets:
        return False
    given = [b for b in buckets if isinstance(b, int | float) and not isinstance(b, bool)]
    try:
        numbers = [float(bucket) for bucket in given]
    except OverflowError:  # a whole number that is too large
        return False
    if len(numbers) < len(buckets) or not all(a < b for a, b in itertools.pairwise(numbers)):
        return False
    # Infinity may be the last, as in prometheus-client's own, but not the only one.
    return all(map(math.isfinite, numbers[:-1] or numbers))


_making = ModuleLock()
_by_registry: weakref.WeakKeyDictionary[CollectorRegistry, Metrics] = weakref.WeakKeyDictionary()
