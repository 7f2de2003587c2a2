"""Structured logs: one instrument that turns events into structlog lines.

Rules:

1. An event name and fields, no sentences; the names stand in `names`.
2. Silent until the application configures structlog or stdlib logging; we configure neither.
3. A clean success is DEBUG, a retry INFO, what somebody should look at WARNING, and warnings are
   limited in rate for each pool: the rest are counted in the next one's ``suppressed``.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import structlog
from opentelemetry import trace

from sleepwalker.observability import events, names

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.observability.events import Event, Pool

BURST = 5
"""How many warnings of one kind a pool may log in `WINDOW` seconds."""
WINDOW = 10.0
"""Seconds."""

_Level: TypeAlias = Literal["debug", "info"]
_LEVELS: dict[_Level, int] = {"debug": logging.DEBUG, "info": logging.INFO}

_STDLIB = logging.getLogger(names.INSTRUMENTATION)
# Without a handler of its own, logging would print our warnings in an unconfigured application.
_STDLIB.addHandler(logging.NullHandler())

_NOTHING: Any = structlog.make_filtering_bound_logger(logging.CRITICAL).debug
"""What structlog's loggers have in the place of a method at a level that is off."""


class Monotonic(Protocol):
    """What can tell the time."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""


class Logs:
    """Logs what happens.

    :param logger: a structlog logger, or one of stdlib logging; by default the application's
        structlog when it is configured, else the stdlib logger ``sleepwalker``
    :param clock: says what time it is, for the limit on warnings
    """

    def __init__(self, logger: Any = None, *, clock: Monotonic) -> None:
        self._given_stdlib = logger if isinstance(logger, logging.Logger) else None
        if isinstance(logger, logging.Logger | logging.LoggerAdapter):
            logger = _through_stdlib(logger)
        self._given = logger
        self._clock = clock
        self._lock = threading.RLock()
        self._windows: dict[tuple[object, ...], list[float]] = {}
        self._structlog: Any = None
        self._configuration: dict[str, Any] | None = None
        self._stdlib: Any = None
        self.handlers: dict[type, Callable[[Any], None]] = {
            events.RetryScheduled: self._retry_scheduled,
            events.Redirected: self._redirected,
            events.RequestFinished: self._request_finished,
            events.BreakerChanged: self._breaker_changed,
            events.HookCalled: self._hook_called,
            events.ConnectionEstablished: self._established,
            events.ConnectionFailed: self._connection_failed,
            events.PoolEvicted: self._evicted,
            events.CloseFailed: self._close_failed,
            events.ManagerReset: self._reset,
            events.LinkFollowed: self._link_followed,
            events.PlaintextAuth: self._plaintext_auth,
            events.EventLoopBlocked: self._event_loop_blocked,
        }

    def record(self, event: Event) -> None:
        """Log an event."""
        handle = self.handlers.get(type(event))
        if handle is not None:
            handle(event)

    def renew(self) -> None:
        """After a fork, in the child: no lock of ours may be held by a thread of the parent's."""
        self._lock = threading.RLock()

    def _logger(self) -> Any:
        if self._given is not None:
            return self._given
        if structlog.is_configured():
            # Bound once, and anew when the application has configured structlog anew.
            configuration = structlog.get_config()
            if configuration != self._configuration:
                self._structlog = structlog.get_logger(names.INSTRUMENTATION).bind()
                self._configuration = configuration
            return self._structlog
        if self._stdlib is None:
            self._stdlib = _through_stdlib(_STDLIB)
        return self._stdlib

    def _hears(self, level: _Level) -> bool:
        """Whether a line at this level may go anywhere.

        A logger of stdlib logging is asked, and one of structlog's is seen to do nothing; any other
        may hand the line to whoever captures it, whatever it says of its level.
        """
        asked = self._given_stdlib
        if self._given is None and not structlog.is_configured():
            asked = _STDLIB
        if asked is not None:
            return asked.isEnabledFor(_LEVELS[level])
        return getattr(type(self._logger()), level, None) is not _NOTHING

    def _log(self, level: str, event: str, pool: Pool | None, **fields: Any) -> None:
        if pool is not None:
            if level == "warning":
                suppressed = self._admit(event, pool)
                if suppressed is None:
                    return
                if suppressed:
                    fields["suppressed"] = suppressed
            fields = {"host": pool.host, "auth": pool.auth, **fields}
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            fields["trace_id"] = trace.format_trace_id(span.trace_id)
            fields["span_id"] = trace.format_span_id(span.span_id)
        getattr(self._logger(), level)(event, **fields)

    def _admit(self, event: str, pool: Pool) -> int | None:
        """How many warnings were held back before this one; `None` to hold this one back too."""
        now = self._clock.monotonic()
        with self._lock:
            window = self._windows.get((pool.series, event))
            if window is None or now - window[0] >= WINDOW:
                self._windows[pool.series, event] = [now, 1, 0]
                return int(window[2]) if window is not None else 0
            if window[1] >= BURST:
                window[2] += 1
                return None
            window[1] += 1
            return 0

    def _request_finished(self, event: events.RequestFinished) -> None:
        name, level = names.EVENT_REQUEST_FAILED, "warning"
        if event.outcome == "success":
            name, level = names.EVENT_REQUEST_COMPLETED, "debug"
            # Told so often, and mostly to nobody: then not even its fields are made.
            if not self._hears("debug"):
                return
        elif event.outcome == "exhausted":
            name = names.EVENT_RETRIES_EXHAUSTED
        elif event.outcome == "refused":
            name = names.EVENT_REQUEST_REFUSED
        elif event.outcome == "cancelled":
            name, level = names.EVENT_REQUEST_CANCELLED, "info"
        elif event.status is not None:
            level = "info"
        perhaps = {
            "waited": round(event.waited, 6) or None,
            "url_template": event.name,
            "status": event.status,
            "error_type": None if event.error_type == "none" else event.error_type,
            "outcome_unknown": event.outcome_unknown or None,
            "not_retried": None if event.not_retried == "final" else event.not_retried,
        }
        self._log(
            level,
            name,
            event.pool,
            method=event.method,
            outcome=event.outcome,
            attempts=event.attempts,
            duration=round(event.duration, 6),
            **{field: value for field, value in perhaps.items() if value is not None},
        )

    def _breaker_changed(self, event: events.BreakerChanged) -> None:
        level, name = _BREAKER[event.state]
        perhaps = {"remaining": round(event.remaining, 3)} if event.remaining else {}
        self._log(level, name, event.pool, breaker=event.host, **perhaps)

    def _retry_scheduled(self, event: events.RetryScheduled) -> None:
        self._log(
            "info",
            names.EVENT_RETRY_SCHEDULED,
            event.pool,
            method=event.method,
            attempt=event.attempt,
            reason=event.reason,
            wait=round(event.wait, 6),
            status=event.status,
            error_type=event.error_type,
        )

    def _redirected(self, event: events.Redirected) -> None:
        self._log(
            "info" if event.cross_origin else "debug",
            names.EVENT_REDIRECTED,
            event.pool,
            method=event.method,
            status=event.status,
            target=event.target,
            cross_origin=event.cross_origin,
        )

    def _hook_called(self, event: events.HookCalled) -> None:
        if event.outcome in {"failed", "timeout"}:
            self._log(
                "info",
                names.EVENT_HOOK_FAILED,
                event.pool,
                hook=event.hook,
                attempt=event.attempt,
                outcome=event.outcome,
                duration=round(event.duration, 6),
                error_type=event.error_type,
            )

    def _established(self, event: events.ConnectionEstablished) -> None:
        self._log(
            "info",
            names.EVENT_ESTABLISHED,
            event.pool,
            hook=event.hook,
            duration=round(event.duration, 6),
        )

    def _connection_failed(self, event: events.ConnectionFailed) -> None:
        self._log(
            "warning",
            names.EVENT_CONNECT_FAILED,
            event.pool,
            hooks=event.hooks,
            duration=round(event.duration, 6),
            error_type=event.error_type,
        )

    def hears_of_evicted(self, reason: str) -> bool:
        """Whether a line for an evicted pool may go anywhere: there may be very many at one go."""
        return self._hears(_level_of(reason))

    def _evicted(self, event: events.PoolEvicted) -> None:
        level = _level_of(event.reason)
        if self._hears(level):
            self._log(level, names.EVENT_EVICTED, event.pool, reason=event.reason)

    def _close_failed(self, event: events.CloseFailed) -> None:
        self._log("warning", names.EVENT_CLOSE_FAILED, event.pool, error_type=event.error_type)

    def _reset(self, event: events.ManagerReset) -> None:
        self._log("info", names.EVENT_RESET, None, **event._asdict())

    def _link_followed(self, event: events.LinkFollowed) -> None:
        if event.deprecated:
            self._log("warning", names.EVENT_LINK_DEPRECATED, event.pool, relation=event.relation)
        if event.cross_host:
            failed = event.outcome != "success"
            if not failed and not self._hears("debug"):
                return
            self._log(
                "info" if failed else "debug",
                names.EVENT_LINK_CROSS_HOST,
                event.pool,
                relation=event.relation,
                outcome=event.outcome,
                duration=round(event.duration, 6),
                **({"error_type": event.error_type} if failed else {}),
            )

    def _plaintext_auth(self, event: events.PlaintextAuth) -> None:
        self._log("warning", names.EVENT_PLAINTEXT_AUTH, event.pool)

    def _event_loop_blocked(self, event: events.EventLoopBlocked) -> None:
        self._log("warning", names.EVENT_BLOCKING, event.pool)


_BREAKER = {
    "open": ("warning", names.EVENT_BREAKER_OPENED),
    "half-open": ("info", names.EVENT_BREAKER_HALF_OPEN),
    "closed": ("info", names.EVENT_BREAKER_CLOSED),
}
"""What is told of a breaker, and how loud."""


def _level_of(reason: str) -> _Level:
    """How loud an evicted pool is told.

    A reset logs one event with counts; each of its pools is only worth a look in DEBUG.
    """
    return "debug" if reason in {"reset", "closed"} else "info"


def _through_stdlib(logger: Any) -> Any:
    """Structured lines through stdlib logging, for applications that use only that."""
    return structlog.wrap_logger(
        logger,
        processors=[
            # An adapter decides for itself, and hasn't all that this looks at.
            *([structlog.stdlib.filter_by_level] if isinstance(logger, logging.Logger) else []),
            structlog.processors.LogfmtRenderer(key_order=["event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
