"""Logs: which event at which level with which fields, to whom, and how often.

Rules:

1. What an unconfigured application prints is shown by programs of their own.
2. structlog's configuration is put back after each test.
"""

from __future__ import annotations

import logging
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from structlog.testing import CapturingLoggerFactory

from sleepwalker.observability import events, names
from sleepwalker.observability.logs import BURST, WINDOW, Logs
from tests.crew import SteppedClock, at_once
from tests.observability.examples import ONE_OF_EACH, POOL, a_pool, finished
from tests.observability.programs import run
from tests.telemetry import capturing_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.observability.events import Event

WHERE = {"host": POOL.host, "auth": POOL.auth}


@pytest.fixture
def structlog_anew() -> Iterator[None]:
    """Put structlog's configuration back."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def logged(*recorded: Event, clock: SteppedClock | None = None) -> list[dict[str, Any]]:
    """Record events and give the lines."""
    lines: list[dict[str, Any]] = []
    logs = Logs(capturing_logger(lines), clock=clock or SteppedClock())
    for event in recorded:
        logs.record(event)
    return lines


# Which event, at which level, with which fields

LINES: dict[type, dict[str, Any] | None] = {
    events.RequestStarted: None,
    events.AttemptFinished: None,
    events.RetryScheduled: {
        "level": "info",
        "event": "request.retry_scheduled",
        **WHERE,
        "method": "GET",
        "attempt": 1,
        "reason": "throttled",
        "wait": 1.5,
        "status": 503,
        "error_type": "status",
    },
    events.Redirected: {
        "level": "info",
        "event": "request.redirected",
        **WHERE,
        "method": "GET",
        "status": 302,
        "target": "https://other.example",
        "cross_origin": True,
    },
    events.RequestFinished: {
        "level": "warning",
        "event": "request.retries_exhausted",
        **WHERE,
        "method": "GET",
        "outcome": "exhausted",
        "attempts": 3,
        "duration": 2.5,
        "waited": 1.5,
        "url_template": "/books/{id}",
        "status": 503,
        "error_type": "status",
    },
    events.BreakerChanged: {
        "level": "warning",
        "event": "breaker.opened",
        **WHERE,
        "breaker": "https://host.example",
        "remaining": 5.0,
    },
    events.RetryQuotaChanged: None,
    events.LookedUp: None,
    events.EstablishmentAwaited: None,
    events.HookCalled: {
        "level": "info",
        "event": "hook.attempt.failed",
        **WHERE,
        "hook": "Vault",
        "attempt": 1,
        "outcome": "failed",
        "duration": 0.5,
        "error_type": "connect",
    },
    events.ConnectionEstablished: {
        "level": "info",
        "event": "connection.established",
        **WHERE,
        "hook": "Vault",
        "duration": 0.75,
    },
    events.ConnectionFailed: {
        "level": "warning",
        "event": "connection.failed",
        **WHERE,
        "hooks": 2,
        "duration": 0.75,
        "error_type": "connect",
    },
    events.PoolsChanged: None,
    events.PoolEvicted: {"level": "info", "event": "pool.evicted", **WHERE, "reason": "idle"},
    events.CloseFailed: {
        "level": "warning",
        "event": "pool.close_failed",
        **WHERE,
        "error_type": "other",
    },
    events.ManagerReset: {
        "level": "info",
        "event": "manager.reset",
        "closed": 1,
        "draining": 2,
        "forgotten": 3,
        "failed": 4,
    },
    events.LinkFollowed: {
        "level": "debug",
        "event": "link.cross_host",
        **WHERE,
        "relation": "author",
        "outcome": "success",
        "duration": 0.5,
    },
    events.PlaintextAuth: {"level": "warning", "event": "auth.plaintext", **WHERE},
    events.EventLoopBlocked: {"level": "warning", "event": "request.blocks_event_loop", **WHERE},
}


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_an_event_is_one_line_or_none(event: Event) -> None:
    line = LINES[type(event)]

    assert logged(event) == ([] if line is None else [line])


def test_every_name_of_a_line_is_listed() -> None:
    outcomes = [finished(outcome) for outcome in names.REQUEST_OUTCOMES]

    breakers = [
        events.BreakerChanged(POOL, "https://host.example", state, 0.0)
        for state in names.BREAKER_STATES
    ]

    deprecated = events.LinkFollowed(
        POOL,
        "author",
        cross_host=False,
        outcome="success",
        duration=0.1,
        error_type="none",
        deprecated=True,
    )

    said = {line["event"] for line in logged(*ONE_OF_EACH, *outcomes, *breakers, deprecated)}

    assert said == names.LOG_EVENTS


@pytest.mark.parametrize(
    ("event", "level", "name"),
    [
        (finished(), "debug", "request.completed"),
        (finished(attempts=2, waited=0.5), "debug", "request.completed"),
        (
            finished("exhausted", status=503, error_type="status"),
            "warning",
            "request.retries_exhausted",
        ),
        (
            finished("exhausted", status=None, error_type="reset"),
            "warning",
            "request.retries_exhausted",
        ),
        (finished("error", status=404, error_type="status"), "info", "request.failed"),
        (finished("error", status=None, error_type="certificate"), "warning", "request.failed"),
        (finished("timeout", status=None, error_type="deadline"), "warning", "request.failed"),
        (finished("refused", status=None, error_type="plaintext"), "warning", "request.refused"),
        (finished("cancelled", status=None), "info", "request.cancelled"),
    ],
)
def test_the_level_of_a_calls_end_says_whether_somebody_should_look(
    event: Event, level: str, name: str
) -> None:
    [line] = logged(event)

    assert (line["level"], line["event"]) == (level, name)


def test_what_a_call_has_not_is_not_in_its_line() -> None:
    assert logged(finished(status=None)) == [
        {
            "level": "debug",
            "event": "request.completed",
            **WHERE,
            "method": "GET",
            "outcome": "success",
            "attempts": 1,
            "duration": 0.25,
        }
    ]


def test_an_unknown_outcome_is_said() -> None:
    [line] = logged(finished("error", status=None, error_type="reset", outcome_unknown=True))

    assert line["outcome_unknown"] is True


@pytest.mark.parametrize("outcome", ["connected", "declined"])
def test_a_hook_that_connected_or_declined_is_no_line_of_its_own(outcome: str) -> None:
    assert logged(events.HookCalled(POOL, "Vault", 1, outcome, 0.5, "none")) == []


def test_a_breaker_that_is_not_open_is_told_without_a_time() -> None:
    line, _ = logged(
        events.BreakerChanged(POOL, "https://host.example", "half-open", 0.0),
        events.BreakerChanged(POOL, "https://host.example", "closed", 0.0),
    )

    assert line == {
        "level": "info",
        "event": "breaker.half_open",
        **WHERE,
        "breaker": "https://host.example",
    }


def test_why_a_call_was_not_sent_again_is_told_where_that_was_a_question() -> None:
    asked = finished("error", status=503, error_type="status")

    quota, final = logged(
        asked._replace(not_retried="retry quota"), asked._replace(not_retried="final")
    )

    assert quota["not_retried"] == "retry quota"
    assert "not_retried" not in final


@pytest.mark.parametrize(
    ("reason", "level"),
    [
        ("idle", "info"),
        ("max_pools", "info"),
        ("replaced", "info"),
        ("reset", "debug"),
        ("closed", "debug"),
    ],
)
def test_a_pool_that_goes_with_many_is_told_in_debug(reason: str, level: str) -> None:
    [line] = logged(events.PoolEvicted(POOL, reason))

    assert (line["level"], line["reason"]) == (level, reason)


def test_a_redirect_to_the_same_origin_is_told_in_debug() -> None:
    [line] = logged(events.Redirected(POOL, "GET", 302, "https://host.example", cross_origin=False))

    assert line["level"] == "debug"


def test_seconds_are_told_to_the_microsecond() -> None:
    [line] = logged(finished()._replace(duration=0.123456789, waited=1.23456789))

    assert (line["duration"], line["waited"]) == (0.123457, 1.234568)


def test_a_line_names_the_trace_and_span_it_belongs_to() -> None:
    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))

    with trace.use_span(NonRecordingSpan(context)):
        [inside] = logged(finished())
    [outside] = logged(finished())

    assert inside["trace_id"] == "00000000000000000000000000000abc"
    assert inside["span_id"] == "0000000000000def"
    assert "trace_id" not in outside
    assert "span_id" not in outside


# The limit on warnings

WARNING = events.ConnectionFailed(POOL, 1, 0.5, "connect")


def test_warnings_beyond_a_burst_are_held_back_and_counted_in_the_next() -> None:
    clock, lines = SteppedClock(), list[dict[str, Any]]()
    logs = Logs(capturing_logger(lines), clock=clock)

    for _ in range(100):
        logs.record(WARNING)
    clock.now += WINDOW - 0.001
    logs.record(WARNING)
    assert (len(lines), [line for line in lines if "suppressed" in line]) == (BURST, [])

    clock.now += 0.001
    logs.record(WARNING)
    logs.record(WARNING)

    assert [line.get("suppressed") for line in lines[BURST:]] == [96, None]


def test_a_quiet_window_is_followed_by_a_fresh_burst() -> None:
    clock, lines = SteppedClock(), list[dict[str, Any]]()
    logs = Logs(capturing_logger(lines), clock=clock)

    for _ in range(3):
        for _ in range(BURST):
            logs.record(WARNING)
        clock.now += WINDOW

    assert len(lines) == 3 * BURST
    assert [line for line in lines if "suppressed" in line] == []


def test_each_pool_and_each_kind_of_warning_has_a_limit_of_its_own() -> None:
    other = a_pool("https://other.example", "basic")
    twin = a_pool(POOL.host, "basic#2")

    lines = logged(
        *[WARNING] * 20,
        *[WARNING._replace(pool=other)] * 20,
        *[WARNING._replace(pool=twin)] * 20,
        *[events.CloseFailed(POOL, "other")] * 20,
    )

    assert [(line["host"], line["auth"], line["event"]) for line in lines] == [
        *[(POOL.host, "basic", "connection.failed")] * BURST,
        *[(other.host, "basic", "connection.failed")] * BURST,
        *[(POOL.host, "basic#2", "connection.failed")] * BURST,
        *[(POOL.host, "basic", "pool.close_failed")] * BURST,
    ]


def test_what_is_no_warning_is_not_limited() -> None:
    retry = events.RetryScheduled(POOL, "GET", 1, "status", 0.1, 503, "status")

    assert len(logged(*[retry] * 50, *[finished()] * 50)) == 100


def test_64_threads_together_log_one_burst_and_lose_no_count() -> None:
    clock, lines = SteppedClock(), list[dict[str, Any]]()
    logs = Logs(capturing_logger(lines), clock=clock)

    for job in at_once([partial(logs.record, WARNING)] * 64):
        job.result()
    clock.now += WINDOW
    logs.record(WARNING)

    assert [line.get("suppressed") for line in lines] == [None] * BURST + [64 - BURST]


# To whom


@pytest.mark.usefixtures("structlog_anew")
def test_a_given_logger_gets_the_lines_whatever_is_configured() -> None:
    factory = CapturingLoggerFactory()
    structlog.configure(logger_factory=factory)

    assert len(logged(finished())) == 1
    assert factory.logger.calls == []


@pytest.mark.usefixtures("structlog_anew")
@pytest.mark.parametrize("adapted", [False, True])
def test_a_given_logger_of_stdlib_logging_gets_logfmt_lines(
    caplog: pytest.LogCaptureFixture, *, adapted: bool
) -> None:
    given = logging.getLogger("app")
    logs = Logs(logging.LoggerAdapter(given) if adapted else given, clock=SteppedClock())

    with caplog.at_level(logging.INFO, "app"):
        logs.record(events.PoolEvicted(a_pool("h", "basic"), "idle"))
        logs.record(finished())

    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("app", "INFO", "event=pool.evicted host=h auth=basic reason=idle")
    ]


@pytest.mark.usefixtures("structlog_anew")
def test_an_application_with_stdlib_logging_alone_gets_logfmt_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logs, pool = Logs(clock=SteppedClock()), a_pool("h", "basic")

    with caplog.at_level(logging.DEBUG, "sleepwalker"):
        logs.record(finished(pool=pool, name="/books/{id} %s"))
        logs.record(WARNING._replace(pool=pool))

    completed, failed = [(r.name, r.levelname, r.getMessage()) for r in caplog.records]
    text = (
        "event=request.completed host=h auth=basic method=GET outcome=success attempts=1 "
        'duration=0.25 url_template="/books/{id} %s" status=200'
    )
    assert completed == ("sleepwalker", "DEBUG", text)
    text = "event=connection.failed host=h auth=basic hooks=1 duration=0.5 error_type=connect"
    assert failed == ("sleepwalker", "WARNING", text)


@pytest.mark.usefixtures("structlog_anew")
def test_the_level_of_the_stdlib_logger_decides(caplog: pytest.LogCaptureFixture) -> None:
    logs = Logs(clock=SteppedClock())

    with caplog.at_level(logging.INFO, "sleepwalker"):
        logs.record(finished())
    with caplog.at_level(logging.DEBUG, "sleepwalker"):
        logs.record(finished(attempts=2))

    assert [record.levelname for record in caplog.records] == ["DEBUG"]


@pytest.mark.usefixtures("structlog_anew")
@pytest.mark.parametrize("adapted", [False, True])
def test_the_level_of_a_given_stdlib_logger_decides_and_not_that_of_ours(
    caplog: pytest.LogCaptureFixture, *, adapted: bool
) -> None:
    given = logging.getLogger("app")
    logs = Logs(logging.LoggerAdapter(given) if adapted else given, clock=SteppedClock())

    with caplog.at_level(logging.WARNING, "sleepwalker"), caplog.at_level(logging.DEBUG, "app"):
        logs.record(finished())
    with caplog.at_level(logging.DEBUG, "sleepwalker"), caplog.at_level(logging.INFO, "app"):
        logs.record(finished(attempts=2))

    assert [(r.name, "attempts=1" in r.getMessage()) for r in caplog.records] == [("app", True)]


class Telling(structlog.make_filtering_bound_logger(logging.INFO)):  # type: ignore[misc] # it is a class
    """Tells somebody of lines that are below its level."""

    def debug(self, event: str, **fields: Any) -> Any:
        return self.info(event, **fields)


@pytest.mark.usefixtures("structlog_anew")
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(
    ("wrapper", "heard"),
    [
        (structlog.BoundLogger, 2),
        (structlog.make_filtering_bound_logger(logging.DEBUG), 2),
        (structlog.make_filtering_bound_logger(logging.INFO), 0),
        (structlog.make_filtering_bound_logger(logging.CRITICAL), 0),
        # Its processors come before the level of what it wraps, which need not be of stdlib.
        (structlog.stdlib.BoundLogger, 2),
        (Telling, 2),
    ],
)
def test_whoever_may_take_a_line_at_debug_is_given_it(
    wrapper: Any, heard: int, *, given: bool
) -> None:
    factory = CapturingLoggerFactory()
    structlog.configure(processors=[], logger_factory=factory, wrapper_class=wrapper)
    lazy = structlog.get_logger("app")
    followed = next(event for event in ONE_OF_EACH if isinstance(event, events.LinkFollowed))
    for logger in (lazy, lazy.bind()) if given else (None,):
        factory.logger.calls.clear()
        logs = Logs(logger, clock=SteppedClock())
        logs.record(finished())
        logs.record(followed._replace(cross_host=True, outcome="success", error_type="none"))

        assert [call.kwargs["event"] for call in factory.logger.calls] == [
            names.EVENT_REQUEST_COMPLETED,
            names.EVENT_LINK_CROSS_HOST,
        ][:heard]


@pytest.mark.usefixtures("structlog_anew")
def test_structlog_that_is_configured_later_is_picked_up(caplog: pytest.LogCaptureFixture) -> None:
    logs = Logs(clock=SteppedClock())
    factory = CapturingLoggerFactory()

    with caplog.at_level(logging.DEBUG, "sleepwalker"):
        logs.record(finished(attempts=1))
        structlog.configure(
            processors=[], logger_factory=factory, wrapper_class=structlog.BoundLogger
        )
        logs.record(finished(attempts=2))

    assert ["attempts=1" in record.getMessage() for record in caplog.records] == [True]
    assert [call.kwargs["attempts"] for call in factory.logger.calls] == [2]
    assert factory.logger.calls[0].kwargs["event"] == "request.completed"


@pytest.mark.usefixtures("structlog_anew")
@pytest.mark.parametrize("cache", [False, True])
def test_structlog_that_is_configured_anew_is_picked_up(*, cache: bool) -> None:
    logs = Logs(clock=SteppedClock())
    factories = [CapturingLoggerFactory() for _ in range(3)]

    for factory in factories:
        structlog.configure(
            processors=[],
            logger_factory=factory,
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=cache,
        )
        logs.record(finished())
        logs.record(finished())

    assert [len(factory.logger.calls) for factory in factories] == [2, 2, 2]


@pytest.mark.usefixtures("structlog_anew")
def test_when_structlog_is_reset_stdlib_logging_is_used_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logs, factory = Logs(clock=SteppedClock()), CapturingLoggerFactory()
    structlog.configure(processors=[], logger_factory=factory, wrapper_class=structlog.BoundLogger)
    logs.record(finished())

    structlog.reset_defaults()
    with caplog.at_level(logging.DEBUG, "sleepwalker"):
        logs.record(finished())

    assert (len(factory.logger.calls), len(caplog.records)) == (1, 1)


@pytest.mark.usefixtures("structlog_anew")
def test_context_that_the_application_binds_is_in_the_lines() -> None:
    factory = CapturingLoggerFactory()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars],
        logger_factory=factory,
        wrapper_class=structlog.BoundLogger,
    )
    logs = Logs(clock=SteppedClock())

    with structlog.contextvars.bound_contextvars(job="nightly"):
        logs.record(finished())
    logs.record(finished())

    assert [call.kwargs.get("job") for call in factory.logger.calls] == ["nightly", None]


@pytest.mark.usefixtures("structlog_anew")
@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_fields_can_become_attributes_of_stdlib_records(
    event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logs = Logs(clock=SteppedClock())

    with caplog.at_level(logging.DEBUG, "sleepwalker"):
        logs.record(event)

    assert [record.name for record in caplog.records] == ["sleepwalker"] * (
        LINES[type(event)] is not None
    )


# Silence

EVERYTHING = """
    from sleepwalker import ANONYMOUS, Connection, ConnectionManager, DirectHook, Policy
    from sleepwalker.exceptions import SleepwalkerException
    from sleepwalker.observability.logs import Logs
    from sleepwalker.resilience.clock import SYSTEM
    from tests.observability.examples import ONE_OF_EACH

    logs = Logs(clock=SYSTEM)
    for event in ONE_OF_EACH:
        logs.record(event)
    policy = Policy(attempts=2, backoff=None)
    manager = ConnectionManager(hooks=[DirectHook(policy=policy)], policy=policy)
    for use in (
        lambda: manager.find("http://127.0.0.1:1", ANONYMOUS).json_request("GET", "/"),
        lambda: manager.find("an opaque name", None),
        lambda: Connection("http://127.0.0.1:1", ("user", "password")),
        manager.reset,
    ):
        try:
            use()
        except SleepwalkerException:
            pass
"""


def test_an_application_that_configures_nothing_prints_nothing() -> None:
    assert run(EVERYTHING) == ("", "")


def test_an_application_is_not_configured_behind_its_back() -> None:
    out, _ = run(
        EVERYTHING
        + """
    import logging, structlog
    print(structlog.is_configured(), logging.getLogger().handlers, logging.getLogger().level)
    print([type(h).__name__ for h in logging.getLogger("sleepwalker").handlers])
    print(logging.getLogger("sleepwalker").level, logging.getLogger("sleepwalker").propagate)
    """
    )

    assert out == "False [] 30\n['NullHandler']\n0 True\n"


def test_an_application_with_stdlib_logging_is_told_what_it_asks_for() -> None:
    _, err = run(
        "import logging\n"
        "logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')\n"
        + textwrap.dedent(EVERYTHING)
    )

    lines = [line.split(" host=")[0] for line in err.splitlines() if "event=" in line]
    assert "INFO event=request.retry_scheduled" in lines
    assert "WARNING event=request.retries_exhausted" in lines
    assert "WARNING event=connection.failed" in lines
    assert [line for line in lines if line.startswith("DEBUG")] == []
