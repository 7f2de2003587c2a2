"""`ConnectionManager`: one connection for each (host, auth) pair, established once, shared by all.

How a find goes::

    find ─ hit: one look into a dict, no lock
         └ miss ─ _join ┬─ lead: _establish: the hooks, in order, in this thread
                        └─ wait: for another thread's establishment, its result or its failure

Rules:

1. A hit takes no lock. The lock guards the map, and is never held while user code or I/O runs.
2. Concurrent finds of one key are one establishment; finds of different keys never wait for each
   other.
3. An `add` during an establishment wins; what arrives after a `reset` is not kept.
4. What is forgotten is closed outside the lock, and never breaks a request in flight.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from sleepwalker import auth as _auth
from sleepwalker.exceptions import (
    AuthError,
    ClosedError,
    ConfigurationError,
    EstablishmentError,
    HookError,
    PlaintextError,
    ReentrantFindError,
    SleepwalkerException,
)
from sleepwalker.observability import events, names
from sleepwalker.observability import telemetry as _telemetry
from sleepwalker.observability.redaction import all_forms, stand_in_by_type
from sleepwalker.resilience import deadline as _deadline
from sleepwalker.resilience.deadline import Deadline, seconds_of
from sleepwalker.resilience.hosts import HostStates

from . import _forks, _hook, _urls
from ._connection import (
    DEFAULT_POLICY,
    Connection,
    _checked_policy,
    checked_clock,
    checked_random,
    is_ours,
)
from ._following import Destination, Following, origin_of
from ._pools import Entry, Hashed, Naming, PoolKey, Pools, Tally, View
from ._timeouts import deadline_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    import requests
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import SpanContext, TracerProvider
    from prometheus_client import CollectorRegistry

    from sleepwalker.observability.events import Instrument, Pool
    from sleepwalker.observability.redaction import Redaction
    from sleepwalker.resilience.clock import Clock
    from sleepwalker.resilience.policy import Policy

SWEPT = 256
"""Connections: how many are looked at for idle sockets at a time."""
PUBLISH = 1.0
"""Seconds: hits are counted at once and told at least this often while there are finds."""
SHOWN = 5
"""Hosts whose quota, breaker or limit is not at rest: how many a `repr` shows."""
FEW = 64
"""Pools: as many are pruned one by one, before it is looked through all of them for more."""
PRUNINGS = 4
"""How often, at least, pools are looked at in the time after which they count as idle."""
_TOLD_IN_FULL = frozenset({AuthError, PlaintextError})
"""What a hook fails with for what its caller said: the message says what to say instead."""


class ResetReport(NamedTuple):
    """What a `reset` (or `close`) did."""

    closed: int
    """Connections closed at once."""
    draining: int
    """Connections that close when their last request in flight ends."""
    forgotten: int
    """Objects just forgotten: without a `close`, or in another pool as well."""
    failed: int
    """Connections whose `close` raised."""


class _Establishment:
    """One establishing of a connection, and what all who wait for it get."""

    __slots__ = ("conn", "done", "failure", "generation", "leader", "naming", "span")

    def __init__(self, generation: int, naming: Naming) -> None:
        self.naming = naming
        self.leader = threading.get_ident()
        self.generation = generation
        self.done = threading.Event()
        self.conn: Any = None
        self.failure: EstablishmentError | None = None
        self.span: SpanContext | None = None


class ConnectionManager:
    """Holds one connection for each (host, auth) pair, and asks hooks for those it doesn't have.

    ::

        manager = ConnectionManager(hooks=[DirectHook()])
        conn = manager.find("https://api.example.com", ANONYMOUS)

    :param hooks: connection hooks, asked in order
    :param policy: for establishing, and for connections that have none of their own
    :param idle: seconds after which an unused pool is pruned; `None`: never
    :param max_pools: beyond this number the least recently used pool is pruned, one with requests
        in flight like any other; 0: no limit
    :param registry: where metrics go: `None`: prometheus-client's default; `False`: nowhere
    :param tracer_provider: makes spans: `None`: OpenTelemetry's global one; `False`: no spans
    :param meter_provider: takes the standard `http.client.request.duration`: `None`:
        OpenTelemetry's global one; `False`: it isn't recorded
    :param baggage_hosts: patterns of hosts, as those of `DirectHook`, that OpenTelemetry's baggage
        is sent to; it is sent to no other
    :param logger: a structlog or stdlib logger: `None`: the application's; `False`: no logs
    :param observers: further instruments
    :param redaction: what is secret beside what always is
    :param buckets: of the histograms, in seconds
    :param clock: what time it is and how to wait (for tests)
    :param random: gives numbers from 0 to 1 for the backoff's jitter (for tests)
    :raises ConfigurationError: for a setting that can't be used
    :raises HookError: for a hook that is none

    Pruning is done as the manager is used, without a thread of its own, and never takes (nor
    counts) what was put in by `add`.
    """

    def __init__(
        self,
        *,
        hooks: Iterable[Any] = (),
        policy: Policy | None = None,
        idle: float | None = None,
        max_pools: int = 10_000,
        registry: CollectorRegistry | Literal[False] | None = None,
        tracer_provider: TracerProvider | Literal[False] | None = None,
        meter_provider: MeterProvider | Literal[False] | None = None,
        logger: Any = None,
        baggage_hosts: Iterable[str] = (),
        observers: Iterable[Instrument] = (),
        redaction: Redaction | None = None,
        buckets: Sequence[float] | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] | None = None,
    ) -> None:
        if not isinstance(hooks, Iterable):
            msg = f"hooks must be a list of connection hooks, not a single {type(hooks).__name__}"
            raise HookError(msg)
        self._hooks: tuple[Any, ...] = tuple(_hook.checked(hook) for hook in hooks)
        self._given_policy = _checked_policy(policy)
        self._idle = None if idle is None else seconds_of(idle, "idle")
        if isinstance(max_pools, bool) or not isinstance(max_pools, int) or max_pools < 0:
            msg = f"max_pools must be a whole number, 0 for no limit, not {max_pools!r}"
            raise ConfigurationError(msg)
        self._max_pools = max_pools
        self._clock: Clock = checked_clock(clock)
        self._random = checked_random(random)
        self._own_telemetry = _telemetry.Telemetry(
            registry=registry,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger=logger,
            baggage_hosts=_auth.host_patterns("baggage_hosts", baggage_hosts),
            observers=observers,
            redaction=redaction,
            buckets=buckets,
            clock=self._clock,
        )
        self._states = HostStates(clock=self._clock, random=self._random)
        """The quotas, breakers and limits of hosts, which outlive the pools."""
        # Re-entrant: a signal handler that makes a call may run in the middle of a locked section.
        self._lock = threading.RLock()
        self._housekeeping = False
        # Weakly, since connections outlive their manager in the hands of those who found them.
        self._weakly = weakref.ref(self)
        self._pools = Pools()
        self._establishing: dict[Hashed, _Establishment] = {}
        self._led: dict[tuple[int, Hashed], _Establishment] = {}
        """Which keys each thread leads, those that a reset forgot too, to see hooks that find
        their own."""
        self._waiting: dict[int, _Establishment] = {}
        """Which establishment a thread waits for, to see hooks that wait for each other."""
        self._generation = 0
        self._closed = False
        self._interval = PUBLISH if self._idle is None else min(PUBLISH, self._idle / PRUNINGS)
        self._expires = math.inf
        """When the next pool may have been idle for too long; before, none has to be looked at."""
        self._publish_at = self._clock.monotonic() + self._interval
        """When to tell of hits and to prune: no later than the next pool is idle for too long."""
        self._sweep_at = self._clock.monotonic() + PUBLISH
        self._unswept: OrderedDict[int, Connection] = OrderedDict()
        """Connections that were used and may have idle sockets, by identity: none that is closed,
        for that keeps no socket, and must not be kept itself."""
        self._tallies: dict[tuple[str, str], Tally] = {}
        """By series, of which there are few: the labelled ones and one more."""
        self._dirty: list[Tally] = []
        """Those of pools that were hit since hits were told last."""
        _forks.enlist(self)
        _forks.enlist(self._states)

    # --- hooks and connections ---------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """The policy for establishing, and of connections that have none of their own."""
        return self._given_policy or DEFAULT_POLICY

    def add_conn_hook(self, hook: Any) -> None:
        """Add a connection hook, behind those that are there.

        :raises HookError: when it is none
        """
        checked = _hook.checked(hook)
        with self._lock:
            self._hooks = (*self._hooks, checked)

    def clear_hooks(self) -> None:
        """Drop all connection hooks."""
        with self._lock:
            self._hooks = ()

    @property
    def conns(self) -> Mapping[Any, Any]:
        """The connections: a read-only mapping, indexed by ``(host, auth)``, however spelled.

        It can be gone through while others change it.
        """
        return View(self._pools, self._telemetry.redaction)

    def add(self, host: Any, auth: Any, conn: Any) -> None:
        """Add a connection by hand; one already there is replaced (and closed when it is ours).

        :param host: a URL, or any hashable name
        :param auth: who we are to it
        :param conn: a `Connection`, or something similar
        :raises ClosedError: when the manager is closed
        """
        if conn is None:
            msg = "conn must be a connection, not None"
            raise ConfigurationError(msg)
        key = PoolKey(host, auth, self._telemetry.redaction)
        name = Naming(self._telemetry, key).settle(conn)
        entry = self._entry(key, conn, name, added=True)
        with self._lock:
            self._refuse_if_closed()
            # Not before it is sure to be kept, and before others can find or reset it.
            self._adopted(entry)
            replaced = self._pools.put(entry)
        if replaced is None:
            self._telemetry.record(events.PoolsChanged(1))
        elif replaced.conn is not conn:
            self._evicted([replaced], "replaced")
        elif is_ours(conn):
            conn._released()
        self._housekeep(self._clock.monotonic())

    def find(self, host: Any, auth: Any = None) -> Any:
        """Find the connection to a host, or have the hooks establish it.

        :param host: a URL, or any hashable name that the hooks know
        :param auth: who we are to it
        :returns: what the hook (or `add`) gave, never a wrapper
        :raises EstablishmentError: (a `ConnectionError`) when no hook gave a connection; it carries
            every hook's outcome
        :raises DeadlineExceeded: when the deadline passed first
        :raises ReentrantFindError: when a hook finds, in its own thread or by way of others, the
            key that it is being asked for. A hook that has another thread do so and joins it, and
            hooks of two managers that find each other's keys, are not seen: they wait until their
            deadlines.
        :raises ClosedError: when the manager is closed
        """
        # Not by a KeyError, which would stand, password and all, behind every error from here on.
        try:
            entry = self._pools.by_alias.get((host, auth))
        except TypeError:  # of an auth that has no hash
            entry = None
        if entry is None:
            return self._find(host, auth)
        now = self._clock.monotonic()
        if now >= self._publish_at:
            # There is something to be told or pruned first: this very pool, maybe.
            return self._find(host, auth)
        # As `_hit`, written out: this is what nearly every find does, and all that it does.
        tally = entry.tally
        next(tally.hits)
        if not tally.dirty:
            self._soil(entry)
        entry.touched = now
        return entry.conn

    def following(
        self,
        relation: str,
        target: str,
        auth: Any = None,
        *,
        source: str | requests.Response,
        host: Any = None,
    ) -> AbstractContextManager[Any]:
        """Follow a link by hand: a context manager that finds the connection it leads to.

        ::

            with manager.following("author", url, auth, source=response) as conn:
                author = conn.json_request("GET", url)

        What is done in the block is told as the following of the link, with a span of its own and
        its outcome. Nothing is sent to the target but what the block sends: no credential goes
        along with a link.

        :param relation: what the target is to the document with the link
        :param target: the absolute URL that the link leads to
        :param auth: who we are to the target, as in `find`
        :param source: the response with the document that has the link, to whose span the new one
            is linked; or its URL
        :param host: as in `find`; `None`: the target's origin
        :raises URLError: when the source or the target is no absolute http or https URL
        :raises ConfigurationError: for a relation or source that is none
        :raises SleepwalkerException: as `find`, on entering the block
        """
        origin = origin_of("target", target, self._telemetry.redaction)
        there = Destination(origin, str(origin) if host is None else host, auth)
        return self._follow(relation, lambda: there, source)

    def _follow(
        self,
        relation: str,
        decide: Callable[[], Destination],
        source: object,
        *,
        pool: tuple[Any, Any] | None = None,
        deprecated: bool = False,
    ) -> AbstractContextManager[Any]:
        """As `following`, where it leads being decided within it.

        :param pool: the (host, auth) pair of the document
        """
        return Following(
            self,
            self._telemetry,
            relation,
            decide,
            source=source,
            pool=pool,
            deprecated=deprecated,
        ).run()

    def _name_of(self, host: Any, auth: Any) -> Pool | None:
        """What telemetry calls a pool, if it was found in this spelling before."""
        try:
            entry = self._pools.by_alias.get((host, auth))
        except TypeError:  # of an auth that has no hash
            return None
        return None if entry is None else entry.name

    def _hit(self, entry: Entry, *, told: bool = False) -> Any:
        """A find that found.

        :param told: whether this find was counted already, as one that waited
        """
        if not told:
            next(entry.tally.hits)
            if not entry.tally.dirty:
                self._soil(entry)
        now = entry.touched = self._clock.monotonic()
        if now >= self._publish_at:
            self._housekeep(now)
        return entry.conn

    def _soil(self, entry: Entry) -> None:
        """Note that there are hits to be told, this one the first of its series."""
        tally = entry.tally
        tally.name = entry.name
        tally.dirty = True
        self._dirty.append(tally)

    def _find(self, host: Any, auth: Any) -> Any:
        """A find that is no plain hit: another spelling, a miss, or at a time to look after all."""
        key = PoolKey(host, auth, self._telemetry.redaction)
        known = self._pools.by_key.get(key.canonical)
        if known is not None and not self._closed and not self._expired(known):
            if self._lock.acquire(blocking=False):
                # So that this spelling is a plain hit from now on, if that costs no waiting.
                try:
                    if known.alive:
                        self._pools.alias(known, key.spelled)
                finally:
                    self._lock.release()
            return self._hit(known)
        deadline = Deadline.after(self.policy.deadline, self._clock).earlier(_deadline.ambient())
        if deadline.remaining() < 0:
            raise deadline_error(deadline, f"find {key}")
        told = False
        mine = _Establishment(self._generation, Naming(self._telemetry, key))
        try:
            while True:
                entry, establishment = self._join(key, mine)
                if entry is not None:
                    return self._hit(entry, told=told)
                assert establishment is not None  # noqa: S101 - _join gives one or the other
                if establishment is mine:
                    return self._lead(key, mine, deadline, told=told)
                conn = self._wait(key, establishment, deadline, told=told)
                if conn is not None:
                    return conn
                # The leader was interrupted: somebody else has to lead.
                told = True
        finally:
            # Wherever an interrupt came: nobody is left waiting for what will not come.
            self._publish(key, mine)
            self._waiting.pop(mine.leader, None)

    def _join(
        self, key: PoolKey, mine: _Establishment
    ) -> tuple[Entry | None, _Establishment | None]:
        """The pool; or the establishment to wait for, or to lead: `mine` (the lock's decision)."""
        me = mine.leader
        with self._lock:
            self._refuse_if_closed()
            entry = self._pools.by_key.get(key.canonical)
            if entry is not None:
                self._pools.alias(entry, key.spelled)
                return entry, None
            # Not by who establishes it now alone: after a reset, that is somebody else or nobody.
            mine_already = (me, key.canonical) in self._led
            establishment = self._establishing.get(key.canonical)
            if establishment is None and not mine_already:
                mine.generation = self._generation
                self._led[me, key.canonical] = mine
                self._establishing[key.canonical] = mine
                return None, mine
            # Whom would I wait for, in the end? If that is me, nobody would ever be done.
            last = establishment
            while last is not None and last.leader != me:
                last = self._waiting.get(last.leader)
                if last is not None and last.done.is_set():
                    last = None  # it has what it waited for, and only not gone on yet
            if mine_already or last is not None:
                raise ReentrantFindError(
                    f"a hook, while establishing a connection, asked for {key}, which waits "
                    "for that very hook"
                )
            assert establishment is not None  # noqa: S101 - else it would be mine
            self._waiting[me] = establishment
            return None, establishment

    # --- establishing ------------------------------------------------------------------------

    def _lead(
        self,
        key: PoolKey,
        establishment: _Establishment,
        deadline: Deadline,
        *,
        told: bool,
    ) -> Any:
        """Establish the connection; everyone who waits gets what comes of it."""
        tracing, naming = self._telemetry.tracing, establishment.naming
        span, token = None, None
        failed: str | None = "other"
        pruned: dict[str, list[Entry]] = {}
        try:
            span = tracing.start(
                names.SPAN_CONNECT,
                {
                    names.ATTR_HOST: naming.host,
                    names.ATTR_AUTH: naming.auth,
                    names.ATTR_LOOKUP: "miss",
                },
            )
            establishment.span = tracing.context_of(span)
            token = tracing.enter(span)
            with _deadline.entered(deadline):
                conn, failure = self._establish(key, naming, deadline)
            if failure is None:
                conn, pruned = self._keep(key, conn, establishment)
            else:
                conn = self._settle(key, establishment, failure)
            if conn is None:
                assert failure is not None  # noqa: S101 - _settle says so
                failed = failure.error_type
                raise failure
            failed = None
            if deadline.remaining() < 0:
                failed = "deadline"
                # It is there for the next find; this one's time is over.
                raise deadline_error(deadline, f"find {key}")
            return conn
        finally:
            # Whatever happened (an interrupt too), nobody is left waiting.
            self._publish(key, establishment)
            if not told:
                self._telemetry.record(events.LookedUp(naming.pool, "miss", 1))
            tracing.leave(token)
            if span is not None:
                tracing.end(span, {names.ATTR_AUTH: naming.auth}, error=failed)
            self._pruned(pruned)
            self._housekeep(self._clock.monotonic())

    def _establish(
        self, key: PoolKey, naming: Naming, deadline: Deadline
    ) -> tuple[Any, EstablishmentError | None]:
        """Ask the hooks in order; the connection, or the failure that tells of all of them."""
        started = self._clock.monotonic()
        outcomes: list[_hook.HookOutcome] = []
        try:
            conn = self._ask(key, naming, deadline, outcomes)
            if conn is not None:
                duration = self._clock.monotonic() - started
                self._telemetry.record(
                    events.ConnectionEstablished(naming.pool, outcomes[-1].hook, duration)
                )
                return conn, None
            failure = self._failure(key, outcomes, self._clock.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - those who wait must not ask the hooks again
            failure = self._broken(key, outcomes, error)
        self._telemetry.record(
            events.ConnectionFailed(
                naming.pool, len(outcomes), failure.elapsed or 0.0, _last_error_type(outcomes)
            )
        )
        return None, failure

    def _ask(
        self,
        key: PoolKey,
        naming: Naming,
        deadline: Deadline,
        outcomes: list[_hook.HookOutcome],
    ) -> Any:
        """What the first hook that has a connection gives, or `None`; what became of each."""
        for hook in self._hooks:
            run = _hook.HookRun(
                hook,
                key.host,
                key.auth,
                naming=naming,
                telemetry=self._telemetry,
                states=self._states,
                policy=self.policy,
                deadline=deadline,
                clock=self._clock,
                random=self._random,
            )
            try:
                conn, outcome = run.run()
            except Exception as error:
                outcomes.append(run.broken(error))
                raise
            outcomes.append(outcome)
            if conn is not None or not deadline.allows_attempt():
                return conn
        return None

    def _broken(
        self, key: PoolKey, outcomes: list[_hook.HookOutcome], error: Exception
    ) -> EstablishmentError:
        """The failure when what a hook raised or gave can't even be looked at: types alone."""
        shown = [
            o if o.error is None else o._replace(error=stand_in_by_type(o.error)) for o in outcomes
        ]
        failure = EstablishmentError(
            f"no connection to {key}: {type(error).__name__} while the hooks were asked",
            outcomes=shown,
        )
        failure.__cause__ = stand_in_by_type(error)
        return failure

    def _failure(
        self, key: PoolKey, outcomes: list[_hook.HookOutcome], elapsed: float
    ) -> EstablishmentError:
        redaction, secrets = self._telemetry.redaction, all_forms(_auth.secrets_of(key.auth))
        if isinstance(key.host, str) and key.shown_host != key.host and "@" in key.host:
            secrets = (key.host, *secrets)
        if not outcomes:
            told = "no hook is registered (add one: add_conn_hook(DirectHook()))"
        else:
            told = ", ".join(
                f"{o.hook} {o.outcome}"
                + (f" after {o.attempts} calls" if o.attempts > 1 else "")
                + (f" ({type(o.error).__name__})" if o.error is not None else "")
                for o in outcomes
            )
        if isinstance(key.host, str) and all(o.outcome == "declined" for o in outcomes):
            told += _urls.hint_for_name(key.host)
        shown = [
            o if o.error is None else o._replace(error=_shown(o.error, redaction, secrets))
            for o in outcomes
        ]
        cause = next((o.error for o in reversed(shown) if o.error is not None), None)
        if type(cause) in _TOLD_IN_FULL:
            told += f": {cause}"
        failure = EstablishmentError(
            f"no connection to {key}: {told}", outcomes=shown, elapsed=elapsed
        )
        last = outcomes[-1].error if outcomes else None
        if isinstance(last, SleepwalkerException):
            # One of a class below ours that never called our constructor has none.
            failure.retry_after = getattr(last, "retry_after", None)
        failure.__cause__ = cause
        return failure

    def _keep(
        self, key: PoolKey, conn: Any, establishment: _Establishment
    ) -> tuple[Any, dict[str, list[Entry]]]:
        """Put what a hook gave into the map, unless something newer is there.

        :returns: what everyone gets; and the pools that were pruned for it, still to be closed
        """
        naming = establishment.naming
        entry = self._entry(key, conn, naming.pool, added=False)
        self._adopted(entry)
        pruned: dict[str, list[Entry]] = {}
        with self._lock:
            newer = self._pools.by_key.get(key.canonical)
            stale = establishment.generation != self._generation or self._closed
            if newer is not None and stale and not newer.added:
                # Established anew after a reset: that is for those who came after it.
                newer = None
            if newer is None and not stale:
                self._pools.put(entry)
                # At once, so that nobody else has to choose between this one and those it replaces.
                pruned = self._prune(entry.touched, fresh=entry)
        if newer is not None:
            newer.touched = self._clock.monotonic()  # it was found just now
            # An `add` won: everyone gets that one, and the hook's, if it is ours, is closed if
            # nobody else has it.
            naming.become(newer.name)
            if is_ours(conn) and newer.conn is not conn:
                self._close(entry)
            elif is_ours(conn):
                conn._released()
        elif stale:
            # It goes to those who wait, and closes its sockets whenever it is idle.
            if is_ours(conn):
                self._close(entry)
        else:
            self._telemetry.record(events.PoolsChanged(1))
        conn = entry.conn if newer is None else newer.conn
        self._publish(key, establishment, conn=conn)
        return conn, pruned

    def _settle(
        self, key: PoolKey, establishment: _Establishment, failure: EstablishmentError
    ) -> Any:
        """After a failure: the connection that was added meanwhile, if there is one."""
        with self._lock:
            added = self._pools.by_key.get(key.canonical)
        if added is not None:
            added.touched = self._clock.monotonic()  # it was found just now
            establishment.naming.become(added.name)
            self._publish(key, establishment, conn=added.conn)
            return added.conn
        self._publish(key, establishment, failure=failure)
        return None

    def _publish(
        self,
        key: PoolKey,
        establishment: _Establishment,
        *,
        conn: Any = None,
        failure: EstablishmentError | None = None,
    ) -> None:
        """Tell those who wait; only the first word counts."""
        with self._lock:
            if establishment.done.is_set():
                return
            establishment.conn, establishment.failure = conn, failure
            if self._establishing.get(key.canonical) is establishment:
                self._establishing.pop(key.canonical, None)
            if self._led.get(led := (establishment.leader, key.canonical)) is establishment:
                self._led.pop(led, None)
            establishment.done.set()

    def _wait(
        self,
        key: PoolKey,
        establishment: _Establishment,
        deadline: Deadline,
        *,
        told: bool,
    ) -> Any:
        """Wait for another thread's establishment; `None` when its leader was interrupted."""
        telemetry, naming = self._telemetry, establishment.naming
        started = self._clock.monotonic()
        span = None
        failed: str | None = "other"
        try:
            if not told:
                telemetry.record(events.LookedUp(naming.pool, "coalesced", 1))
            links = (establishment.span,) if establishment.span is not None else ()
            span = telemetry.tracing.start(
                names.SPAN_CONNECT,
                {
                    names.ATTR_HOST: naming.host,
                    names.ATTR_AUTH: naming.auth,
                    names.ATTR_LOOKUP: "coalesced",
                },
                links=links,
            )
            patience = max(deadline.remaining(), 0.0)
            if not establishment.done.wait(min(patience, threading.TIMEOUT_MAX)):
                failed = "deadline"
                raise deadline_error(
                    deadline, f"find {key}: while another thread establishes the connection"
                )
            if not links and establishment.span is not None:
                # The leader had not begun its span when we came.
                telemetry.tracing.link(span, establishment.span)
            failed = None
            if establishment.failure is not None:
                failed = establishment.failure.error_type
                raise _copy(establishment.failure)
            return establishment.conn
        finally:
            with self._lock:
                self._waiting.pop(threading.get_ident(), None)
            waited = self._clock.monotonic() - started
            telemetry.record(events.EstablishmentAwaited(naming.pool, waited))
            if span is not None:
                telemetry.tracing.end(span, {names.ATTR_AUTH: naming.auth}, error=failed)

    # --- forgetting and closing --------------------------------------------------------------

    def reset(self, idle: float | None = None) -> ResetReport:
        """Close and forget connections.

        A request in flight on a `Connection` is never broken: the connection is forgotten now, and
        closes its sockets when its last request ends. Whoever holds it may go on using it.

        :param idle: seconds: only connections idle for at least that long; `None`: all
        :returns: what was done
        """
        with self._lock:
            if idle is None:
                self._generation += 1
                self._establishing.clear()
                entries = self._pools.clear()
            else:
                now, age = self._clock.monotonic(), _seconds(idle, "idle")
                entries = [
                    entry
                    for entry in list(self._pools.by_key.values())
                    if now - entry.last_used() >= age and not entry.busy()
                ]
                entries = self._pools.remove_all(entries)
        report = self._evicted(entries, "reset", foreign=True)
        self._telemetry.record(events.ManagerReset(*report))
        return report

    def close(self, timeout: float | None = None) -> ResetReport:
        """Refuse new finds, wait for the requests in flight, then close all connections.

        :param timeout: seconds to wait at most; `None`: the policy's deadline. What is still in
            flight then closes its sockets when it ends.
        :returns: what was done
        """
        with self._lock:
            self._closed = True
            self._generation += 1
            entries = self._pools.clear()
        seconds = self.policy.deadline if timeout is None else _seconds(timeout, "timeout")
        deadline = Deadline.after(seconds, self._clock)
        for entry in entries:
            if is_ours(entry.conn):
                remaining = deadline.remaining()
                entry.conn.drained(min(max(remaining, 0.0), threading.TIMEOUT_MAX))
        report = self._evicted(entries, "closed", foreign=True)
        if entries:
            self._telemetry.record(events.ManagerReset(*report))
        return report

    def __reduce__(self) -> str:
        msg = "a ConnectionManager has connections and locks: share it; it can't be copied"
        raise TypeError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _evicted(self, entries: list[Entry], reason: str, *, foreign: bool = False) -> ResetReport:
        """Close pools that are forgotten already, and tell of it.

        :param foreign: whether objects that are not ours are closed too: once, and none that a
            pool which stays has as well
        """
        done = {"closed": 0, "draining": 0, "forgotten": 0, "failed": 0}
        telemetry = self._telemetry
        with self._lock:
            counted = self._new_hits()
        for looked_up in counted:
            telemetry.record(looked_up)
        # Ours know themselves how many pools hold them.
        held = set(map(id, self._pools.conns())) if foreign else set()
        for entry in entries:
            if entry.ours:
                done[self._close(entry)] += 1
            elif foreign and id(entry.conn) not in held:
                done[self._close(entry)] += 1
                held.add(id(entry.conn))
            else:
                done["forgotten"] += 1
        telemetry.evicted([entry.name for entry in entries], reason)
        if entries and reason != "replaced":
            telemetry.record(events.PoolsChanged(-len(entries)))
        return ResetReport(**done)

    def _close(self, entry: Entry) -> str:
        """Close a connection, ours or not; what became of it."""
        if entry.ours:
            if not entry.conn._released():
                return "forgotten"  # another pool has it
            self._unswept.pop(id(entry.conn), None)
            entry.conn._listed = False
        try:
            close = getattr(entry.conn, "close", None)
            if not callable(close):
                return "forgotten"
            close()
        except Exception as error:  # noqa: BLE001 - one bad connection must not keep the others open
            self._telemetry.record(events.CloseFailed(entry.name, names.error_type_of(error)))
            return "failed"
        return "draining" if entry.busy() else "closed"

    def _request_ended(self, conn: Connection) -> None:
        """A request on one of our connections has ended: a time to tell what was counted."""
        if not conn._listed and not conn._retired:
            conn._listed = True
            self._unswept[id(conn)] = conn
        now = self._clock.monotonic()
        if self._dirty or now >= self._publish_at:
            self._housekeep(now)

    def _housekeep(self, now: float) -> None:
        """Tell what was counted and prune, if nobody else is at it."""
        if self._housekeeping or not self._lock.acquire(blocking=False):
            return
        try:
            self._housekeeping = True
            evicted = self._prune(now)
            self._publish_at = min(now + self._interval, self._expires)
            counted = self._new_hits()
            sweep = now >= self._sweep_at
            if sweep:
                self._sweep_at = now + PUBLISH
        finally:
            self._housekeeping = False
            self._lock.release()
        if sweep:
            self._sweep()
        for looked_up in counted:
            self._telemetry.record(looked_up)
        self._pruned(evicted)

    def _new_hits(self) -> list[events.LookedUp]:
        """The hits to be told now (under the lock)."""
        dirty, self._dirty = self._dirty, []
        counted = []
        for tally in dirty:
            # First this, then the count: a hit counts first and looks at this then, so that it is
            # either counted here or lists its tally anew.
            tally.dirty = False
            if hits := tally.new_hits():
                counted.append(events.LookedUp(tally.name, "hit", hits))
        return counted

    def _sweep(self) -> None:
        """Have connections that nobody uses any more close their idle sockets."""
        for _ in range(min(len(self._unswept), SWEPT)):
            try:
                _, conn = self._unswept.popitem(last=False)
            except KeyError:  # another thread is at it too
                return
            conn._listed = not conn._sweep() and not conn._retired
            if conn._listed:
                self._unswept[id(conn)] = conn

    def _prune(self, now: float, fresh: Entry | None = None) -> dict[str, list[Entry]]:
        """Forget what is idle for too long or too much (under the lock); closing comes after.

        :param fresh: a pool just established, which stays, whatever was used since
        :returns: the pools, by the reason
        """
        pools = self._pools
        evicted: dict[str, list[Entry]] = {}
        if fresh is not None and self._idle is not None:
            self._expires = min(self._expires, fresh.touched + self._idle)
        excess = self._excess()
        if now < self._expires and not excess:
            pools.let_go()
            return evicted
        expires = math.inf
        taken: list[Entry] = []
        seen = 0
        try:
            while self._take_more(taken, seen, now):
                entry = taken[seen]
                seen += 1
                if excess and entry is not fresh:
                    reason = "max_pools"
                    excess -= 1
                elif self._is_idle(entry, now):
                    reason = "idle"
                else:
                    busy = self._idle is not None and entry.busy()
                    if self._idle is not None:
                        expires = min(expires, (now if busy else entry.last_used()) + self._idle)
                    if entry is fresh or busy:
                        # It stays, but those behind it may have to go.
                        continue
                    break
                evicted.setdefault(reason, []).append(entry)
            self._expires = expires
            return {reason: pools.remove_all(gone) for reason, gone in evicted.items()}
        finally:
            for entry in taken:
                if entry.alive:
                    pools.enqueue(entry)

    def _take_more(self, taken: list[Entry], seen: int, now: float) -> bool:
        """Take who was not used for the longest time, once all that were taken are seen.

        :returns: whether one is there to be seen
        """
        if seen == FEW == len(taken) and self._idle is not None:
            taken += self._pools.take_unused(now - self._idle)
        if seen == len(taken) and (least := self._pools.take_least_recently_used()) is not None:
            taken.append(least)
        return seen < len(taken)

    def _excess(self) -> int:
        """How many pools there are more than there may be.

        One that hooks made has room, however many were put in by hand: it would be established anew
        at every find.
        """
        pools = self._pools
        if not 0 < self._max_pools < len(pools):
            return 0
        return max(0, min(len(pools) - self._max_pools, pools.prunable - 1))

    def _pruned(self, evicted: dict[str, list[Entry]]) -> None:
        """Close what was pruned, and tell of it."""
        for reason, entries in evicted.items():
            self._evicted(entries, reason)

    def _is_idle(self, entry: Entry, now: float) -> bool:
        """Whether a pool is to be pruned for its age."""
        return (
            self._idle is not None
            and not entry.added
            and now - entry.last_used() >= self._idle
            and not entry.busy()
        )

    def _expired(self, entry: Entry) -> bool:
        """Whether a pool that was found has to be established anew; it is forgotten then."""
        now = self._clock.monotonic()
        if not self._is_idle(entry, now):
            return False
        with self._lock:
            # Somebody may have found it, or pruned it, before we had the lock.
            expired, mine = self._is_idle(entry, now), entry.alive
            if expired and mine:
                self._pools.remove(entry)
        if expired and mine:
            self._evicted([entry], "idle")
        return expired

    # --- small things ------------------------------------------------------------------------

    @property
    def _telemetry(self) -> _telemetry.Telemetry:
        return self._own_telemetry.heard

    def _refuse_if_closed(self) -> None:
        if self._closed:
            msg = "this ConnectionManager is closed; it takes no new finds"
            raise ClosedError(msg)

    def _entry(self, key: PoolKey, conn: Any, name: Pool, *, added: bool) -> Entry:
        tally = self._tallies.get(name.series)
        if tally is None:
            tally = self._tallies.setdefault(name.series, Tally(name))
        return Entry(key, conn, name, tally, added=added, now=self._clock.monotonic())

    def _adopted(self, entry: Entry) -> None:
        if is_ours(entry.conn):
            entry.conn._adopt(
                self._telemetry,
                self._given_policy,
                entry.name,
                self._states,
                self._weakly,
            )

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._pools)} pools, {len(self._hooks)} hooks"
        troubled = self._states.troubled()
        told = "".join(f"; {each}" for each in troubled[:SHOWN])
        if len(troubled) > SHOWN:
            told += f"; and {len(troubled) - SHOWN} hosts more"
        return f"<ConnectionManager {state}{told}>"

    def _renew_in_child(self) -> None:
        """For `_forks`: new locks, and nothing under way: its threads are not in the child."""
        self._lock = threading.RLock()
        self._housekeeping = False
        # But for those that the forking thread itself leads, which go on in the child.
        me = threading.get_ident()
        self._establishing = {k: e for k, e in self._establishing.items() if e.leader == me}
        self._led = {k: e for k, e in self._led.items() if e.leader == me}
        for establishment in self._led.values():
            establishment.done = threading.Event()
        self._waiting = {}
        # What was hit in the parent and not told yet is the parent's to tell.
        self._dirty = []
        for tally in self._tallies.values():
            tally.dirty = False
            tally.new_hits()
        self._telemetry.inherit(len(self._pools))


def _seconds(value: float, name: str) -> float:
    """A span of time in seconds, 0 included."""
    return 0.0 if value == 0 and not isinstance(value, bool) else seconds_of(value, name)


def _copy(failure: EstablishmentError) -> EstablishmentError:
    """A failure for one more thread: an exception that several raise would mix their tracebacks."""
    copy = type(failure)(failure.message, outcomes=failure.outcomes, elapsed=failure.elapsed)
    copy.__cause__ = failure.__cause__
    return copy


def _shown(error: Exception, redaction: Redaction, secrets: tuple[str, ...]) -> Exception:
    shown = redaction.cause(error, secrets)
    return shown if isinstance(shown, Exception) else error


def _last_error_type(outcomes: list[_hook.HookOutcome]) -> str:
    errors = [o.error for o in outcomes if o.error is not None]
    return names.error_type_of(errors[-1]) if errors else "establishment"
