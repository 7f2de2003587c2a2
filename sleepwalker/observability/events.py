"""What happened, as plain values: the one thing that instruments get.

Rules:

1. An event is an immutable value about something that has happened; it holds no live object and
   no secret.
2. Every instrument, ours or a user's, implements `Instrument` and gets every event.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, get_args


class Pool(NamedTuple):
    """The name of one (host, auth) pool, as telemetry shows it."""

    host: str
    """The host in full."""
    auth: str
    """The auth's scheme or class name, or the label that a caller gave."""
    series: tuple[str, str]
    """(host, auth) as metric labels: bounded in number, so maybe ``_other``."""

    def __repr__(self) -> str:
        return f"<Pool {self.host} {self.auth}>"


class TracePoint(NamedTuple):
    """Where in which trace something happened, as logs and exemplars write it."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""


class RequestStarted(NamedTuple):
    """A logical call begins."""

    pool: Pool
    method: str


class AttemptFinished(NamedTuple):
    """One wire attempt ended, with an answer or without."""

    pool: Pool
    method: str
    number: int
    """1 is the call's first wire attempt."""
    duration: float
    """Seconds."""
    status: int | None
    error_type: str
    """``none`` when the server answered."""
    address: str = ""
    """The host that it was sent to, without scheme and port."""
    port: int | None = None
    protocol: str | None = None
    """The version of HTTP, such as ``1.1``, if there was an answer."""
    trace: TracePoint | None = None
    """Its span, if that is sampled."""


class RetryScheduled(NamedTuple):
    """An attempt failed and another will follow."""

    pool: Pool
    method: str
    attempt: int
    """The number of the attempt that failed."""
    reason: str
    wait: float
    """Seconds until the next attempt."""
    status: int | None
    error_type: str


class Redirected(NamedTuple):
    """A redirect is followed."""

    pool: Pool
    method: str
    status: int
    target: str
    """The origin it leads to."""
    cross_origin: bool


class RequestFinished(NamedTuple):
    """A logical call ended."""

    pool: Pool
    method: str
    name: str | None
    """The caller's URL template, if it gave one."""
    outcome: str
    duration: float
    """Seconds, waits included."""
    attempts: int
    waited: float
    """Seconds spent waiting between attempts."""
    status: int | None
    error_type: str
    outcome_unknown: bool
    not_retried: str | None = None
    """Why a call that failed was not sent again, if that was a question."""


class BreakerChanged(NamedTuple):
    """The circuit breaker of a host changed, by a call of this pool."""

    pool: Pool
    host: str
    """The host, and the scope if the policy names one."""
    state: str
    remaining: float
    """Seconds for which it is open."""


class RetryQuotaChanged(NamedTuple):
    """The retry quota of a host changed, by a call of this pool."""

    pool: Pool
    host: str
    """The host, and the scope if the policy names one."""
    tokens: int
    """How many are left."""


class LookedUp(NamedTuple):
    """Finds of a pool, counted since the last such event."""

    pool: Pool
    result: str
    times: int


class EstablishmentAwaited(NamedTuple):
    """A find waited for another thread's establishment."""

    pool: Pool
    duration: float


class HookCalled(NamedTuple):
    """A connection hook was called once."""

    pool: Pool
    hook: str
    attempt: int
    outcome: str
    duration: float
    error_type: str


class ConnectionEstablished(NamedTuple):
    """A hook gave a connection."""

    pool: Pool
    hook: str
    duration: float


class ConnectionFailed(NamedTuple):
    """No hook gave a connection."""

    pool: Pool
    hooks: int
    duration: float
    error_type: str


class PoolsChanged(NamedTuple):
    """The number of pools that a manager holds changed."""

    by: int


class PoolEvicted(NamedTuple):
    """A pool was forgotten."""

    pool: Pool
    reason: str


class CloseFailed(NamedTuple):
    """A connection's `close` raised."""

    pool: Pool
    error_type: str


class ManagerReset(NamedTuple):
    """A manager's `reset` or `close` is done."""

    closed: int
    draining: int
    forgotten: int
    failed: int


class LinkFollowed(NamedTuple):
    """A link from one document to the next was followed."""

    pool: Pool
    """That of the target."""
    relation: str
    cross_host: bool
    """Whether the target is at another origin than the document with the link."""
    outcome: str
    duration: float
    """Seconds, finding the connection and what was done with it included."""
    error_type: str
    deprecated: bool = False
    """Whether the document says that the link is going to go."""


class PlaintextAuth(NamedTuple):
    """A connection sends a custom auth over plain http (told once for each connection)."""

    pool: Pool


class EventLoopBlocked(NamedTuple):
    """A call blocks a running event loop (told once for each process)."""

    pool: Pool


Event = (
    RequestStarted
    | AttemptFinished
    | RetryScheduled
    | Redirected
    | RequestFinished
    | BreakerChanged
    | RetryQuotaChanged
    | LookedUp
    | EstablishmentAwaited
    | HookCalled
    | ConnectionEstablished
    | ConnectionFailed
    | PoolsChanged
    | PoolEvicted
    | CloseFailed
    | ManagerReset
    | LinkFollowed
    | PlaintextAuth
    | EventLoopBlocked
)
"""Any event."""
KINDS: tuple[type, ...] = get_args(Event)
"""Every kind of event."""


class Instrument(Protocol):
    """Something that watches: metrics, logs, or a user's own."""

    def record(self, event: Event) -> None:
        """Take note of an event. An exception is counted and goes no further."""
