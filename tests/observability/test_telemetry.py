"""All instruments behind one door: on, off, replaced, broken, and forked."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import prometheus_client
import pytest
import structlog
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, NoOpTracerProvider
from prometheus_client import CollectorRegistry, Counter

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.observability import events, names, telemetry
from sleepwalker.observability.metrics import Metrics
from sleepwalker.observability.redaction import DEFAULT, Redaction
from sleepwalker.observability.telemetry import Telemetry
from sleepwalker.resilience.clock import SYSTEM
from sleepwalker.testing import no_wait
from tests.crew import SteppedClock, Witness
from tests.observability.examples import ONE_OF_EACH, POOL, a_pool, finished
from tests.observability.programs import run
from tests.telemetry import Watched, capturing_logger, sample, samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sleepwalker.observability.events import Event


class Broken:
    """An instrument, logger or tracer that raises whatever it is asked."""

    def __init__(self, error: Callable[[], BaseException] = RuntimeError) -> None:
        self._error = error
        self.asked = 0

    def record(self, _: Event) -> None:
        self.asked += 1
        raise self._error()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.asked += 1
        raise self._error()


class BrokenProvider(NoOpTracerProvider):
    """A provider of tracers that fail."""

    def get_tracer(self, *_: Any, **__: Any) -> Any:
        return Broken()


def errors(registry: CollectorRegistry) -> float | None:
    """Give the count of instruments' errors."""
    return registry.get_sample_value(names.TELEMETRY_ERRORS)


# On and off


def test_every_instrument_gets_every_event_in_order() -> None:
    watched, second = Watched(), Witness()
    made = Telemetry(
        **{**watched.instruments, "observers": iter([watched, second])}, clock=SteppedClock()
    )

    for event in ONE_OF_EACH:
        made.record(event)

    assert watched.events == list(ONE_OF_EACH)
    assert [type(e) for e in ONE_OF_EACH if second.of(type(e)) != [e]] == []
    assert len(watched.lines) == 13
    assert watched.value(names.POOLS) == 1.0


def test_instruments_can_be_off() -> None:
    witness = Witness()
    made = Telemetry(
        registry=False,
        tracer_provider=False,
        logger=False,
        observers=[witness],
        clock=SteppedClock(),
    )

    for event in ONE_OF_EACH:
        made.record(event)
    span = made.tracing.start_request(POOL, "GET", None)

    assert not span.is_recording()
    assert span.get_span_context() == INVALID_SPAN.get_span_context()
    assert [type(e) for e in ONE_OF_EACH if witness.of(type(e)) != [e]] == []


@pytest.mark.parametrize(
    ("instrument", "what"),
    [
        ("registry", "a CollectorRegistry"),
        ("tracer_provider", "a TracerProvider"),
        ("logger", "a structlog or stdlib logger"),
    ],
)
@pytest.mark.parametrize(
    ("given", "described"),
    [
        (True, "bool"),
        (0, "int"),
        (5, "int"),
        ("x", "str"),
        (object(), "object"),
        (CollectorRegistry, "the class CollectorRegistry"),
        (logging.Logger, "the class Logger"),
    ],
)
def test_what_is_no_such_instrument_is_an_error_at_once(
    instrument: str, what: str, given: Any, described: str
) -> None:
    options: dict[str, Any] = {instrument: given}

    with pytest.raises(ConfigurationError) as raised:
        Telemetry(**options, clock=SteppedClock())

    told = f"{instrument} must be {what}, None (default) or False, not {described}"
    assert str(raised.value) == told


@pytest.mark.parametrize("instrument", ["registry", "tracer_provider"])
def test_a_logger_is_no_other_instrument(instrument: str) -> None:
    options: dict[str, Any] = {instrument: structlog.get_logger()}

    with pytest.raises(ConfigurationError, match=f"{instrument} must be a .*, not BoundLoggerLazy"):
        Telemetry(**options, clock=SteppedClock())


def test_a_lazy_logger_of_structlogs_is_not_bound_before_it_is_used() -> None:
    structlog.configure(cache_logger_on_first_use=True)
    try:
        lazy = structlog.get_logger()
        Telemetry(registry=False, logger=lazy, clock=SteppedClock())

        assert "bind" not in vars(lazy)
    finally:
        structlog.reset_defaults()


def test_who_gives_nothing_takes_the_defaults(caplog: pytest.LogCaptureFixture) -> None:
    structlog.reset_defaults()
    made = Telemetry(clock=SteppedClock())
    labels = {"host": "https://only-here.example", "auth": "basic", "result": "hit"}
    pool = a_pool(labels["host"], "basic")

    with caplog.at_level("DEBUG", "sleepwalker"):
        made.record(events.LookedUp(pool, "hit", 1))
        made.record(finished(pool=pool))

    assert prometheus_client.REGISTRY.get_sample_value(names.POOL_LOOKUPS, labels) == 1.0
    assert [record.name for record in caplog.records] == ["sleepwalker"]
    assert made.redaction is DEFAULT
    assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"


def test_a_redaction_of_the_users_is_the_one_that_is_used() -> None:
    redaction = Redaction(headers=["X-Account"])

    assert Telemetry(registry=False, redaction=redaction, clock=SYSTEM).redaction is redaction


def test_pools_have_the_same_names_for_all_who_share_a_registry() -> None:
    registry = CollectorRegistry()
    one, other = (Telemetry(registry=registry, clock=SteppedClock()) for _ in range(2))

    series = [
        one.pool("h", "basic", "a"),
        other.pool("h", "basic", "b"),
        one.pool("h", "basic", "b"),
    ]

    assert [pool.auth for pool in series] == ["basic", "basic#2", "basic#2"]


def test_without_metrics_pools_have_names_all_the_same() -> None:
    made = Telemetry(registry=False, clock=SteppedClock())

    assert [made.pool("h", "basic", n).auth for n in range(3)] == ["basic", "basic#2", "basic#3"]


# Broken instruments


def test_a_broken_observer_keeps_nothing_from_the_others_and_is_counted() -> None:
    registry, broken, witness = CollectorRegistry(), Broken(), Witness()
    made = Telemetry(
        registry=registry, logger=False, observers=[broken, witness], clock=SteppedClock()
    )

    for event in ONE_OF_EACH:
        made.record(event)

    assert broken.asked == len(ONE_OF_EACH)
    assert [type(e) for e in ONE_OF_EACH if witness.of(type(e)) != [e]] == []
    assert errors(registry) == len(ONE_OF_EACH)
    assert registry.get_sample_value(names.POOLS) == 1.0


@pytest.mark.parametrize("observers", [[object()], [None], [Broken(), "log"], 7, None, Broken])
def test_what_is_no_instrument_is_an_error_at_once(observers: Any) -> None:
    with pytest.raises(ConfigurationError, match="observers must be"):
        Telemetry(registry=False, observers=observers, clock=SteppedClock())


@pytest.mark.parametrize("redaction", [False, "X-Account", Redaction])
def test_what_is_no_redaction_is_an_error_at_once(redaction: Any) -> None:
    with pytest.raises(ConfigurationError, match="redaction must be a Redaction, not"):
        Telemetry(registry=False, redaction=redaction, clock=SteppedClock())


def test_a_broken_logger_fails_nothing_and_is_counted() -> None:
    registry, witness = CollectorRegistry(), Witness()
    made = Telemetry(registry=registry, logger=Broken(), observers=[witness], clock=SteppedClock())

    made.record(finished())

    assert errors(registry) == 1.0
    assert witness.of(events.RequestFinished) == [finished()]


def test_a_metric_that_cannot_be_counted_fails_nothing_and_is_counted() -> None:
    registry, lines = CollectorRegistry(), list[dict[str, Any]]()
    made = Telemetry(registry=registry, logger=capturing_logger(lines), clock=SteppedClock())

    made.record(events.RetryScheduled(POOL, "GET", 1, "status", -1.0, 503, "status"))

    assert errors(registry) == 1.0
    assert [line["event"] for line in lines] == [names.EVENT_RETRY_SCHEDULED]


def test_connections_that_cannot_be_told_fail_nothing_and_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = CollectorRegistry()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    made = Telemetry(registry=registry, logger=False, clock=SteppedClock())
    kept = made.opened(POOL)

    def full(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(prometheus_client.Gauge, "set", full)
        made.tell_connections()

    assert kept is not None
    assert errors(registry) == 1.0


def test_a_broken_clock_fails_nothing_and_is_counted() -> None:
    registry = CollectorRegistry()
    made = Telemetry(registry=registry, logger=capturing_logger([]), clock=Broken())

    made.record(events.PlaintextAuth(POOL))

    assert errors(registry) == 1.0


def test_a_broken_tracer_fails_nothing_and_is_counted() -> None:
    registry = CollectorRegistry()
    made = Telemetry(
        registry=registry, tracer_provider=BrokenProvider(), logger=False, clock=SteppedClock()
    )

    span = made.tracing.start_request(POOL, "GET", None)
    made.tracing.end(span, {})

    assert span is INVALID_SPAN
    assert errors(registry) == 1.0


class RefusingRegistry(CollectorRegistry):
    """A registry that takes no collector."""

    def register(self, collector: Any) -> None:
        raise LookupError(collector)


class RefusingProvider(NoOpTracerProvider):
    """A provider without tracers."""

    def get_tracer(self, *_: Any, **__: Any) -> Any:
        raise LookupError


def test_a_provider_that_gives_no_tracer_fails_nothing_and_is_counted() -> None:
    registry = CollectorRegistry()
    made = Telemetry(
        registry=registry, tracer_provider=RefusingProvider(), logger=False, clock=SteppedClock()
    )

    assert not made.tracing.start_request(POOL, "GET", None).is_recording()
    assert errors(registry) == 1.0


class SlottedRegistry:
    """Something like a registry, to which there are no weak references."""

    __slots__ = ()

    def register(self, collector: Any) -> None:
        raise AssertionError(collector)


def test_a_registry_that_nobody_can_refer_to_weakly_fails_nothing() -> None:
    registry: Any = SlottedRegistry()

    Telemetry(registry=registry, logger=False, clock=SteppedClock()).record(finished())


def a_registry_with_such_a_name() -> CollectorRegistry:
    """Make the registry of an application that has a metric of one of our names."""
    registry = CollectorRegistry()
    Counter(names.POOLS, "Swimming pools.", registry=registry).inc(3)
    return registry


@pytest.mark.parametrize("make", [RefusingRegistry, a_registry_with_such_a_name])
def test_a_registry_that_refuses_our_metrics_fails_nothing(
    make: Callable[[], CollectorRegistry],
) -> None:
    registry = make()
    before = list(registry.collect())
    made = [Telemetry(registry=registry, logger=False, clock=SteppedClock()) for _ in range(2)]

    for event in ONE_OF_EACH:
        made[1].record(event)

    assert list(registry.collect()) == before
    counted = {s.name: s.value for m in Metrics.on(registry).collect() for s in m.samples}
    assert counted[names.TELEMETRY_ERRORS] == 1.0


def test_a_folder_of_prefork_that_is_not_there_fails_nothing(tmp_path: Path) -> None:
    told, problems = run(
        """
        from sleepwalker.observability import events
        from sleepwalker.observability.telemetry import Telemetry
        from sleepwalker.resilience.clock import SYSTEM

        for _ in range(2):
            made = Telemetry(clock=SYSTEM)
            made.record(events.LookedUp(made.pool("host", "basic", 0), "hit", 1))
            print(made.pool("host", "basic", 1).auth)
        """,
        {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "nowhere")},
    )

    assert (told.split(), problems) == (["basic#2", "basic#2"], "")


def test_an_instrument_that_fails_is_borne_where_nobody_counts() -> None:
    made = Telemetry(
        registry=False,
        tracer_provider=BrokenProvider(),
        logger=Broken(),
        observers=[Broken()],
        clock=SteppedClock(),
    )

    made.record(finished())

    assert made.tracing.start_request(POOL, "GET", None) is INVALID_SPAN


def test_a_count_of_errors_that_fails_itself_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Telemetry(
        registry=CollectorRegistry(), logger=False, observers=[Broken()], clock=SteppedClock()
    )

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(prometheus_client.Counter, "inc", full)
    made.record(events.PoolsChanged(1))


def test_an_interrupt_is_no_failure_of_an_instrument() -> None:
    registry = CollectorRegistry()
    made = Telemetry(
        registry=registry,
        logger=False,
        observers=[Broken(KeyboardInterrupt)],
        clock=SteppedClock(),
    )

    with pytest.raises(KeyboardInterrupt):
        made.record(finished())

    assert errors(registry) == 0.0


# The default


def test_those_who_configure_nothing_share_one_telemetry() -> None:
    assert telemetry.default(SYSTEM) is telemetry.default(SteppedClock())


def test_a_fresh_default_holds_inside_its_block_alone() -> None:
    before = telemetry.default(SYSTEM)

    with telemetry.fresh_default():
        inside = telemetry.default(SYSTEM)
        with telemetry.fresh_default():
            further = telemetry.default(SYSTEM)
        back = telemetry.default(SYSTEM)

    assert len({id(before), id(inside), id(further)}) == 3
    assert back is inside
    assert telemetry.default(SYSTEM) is before


class Interrupted(type):
    """The kind of an event; another thread tells of one whenever this is looked for."""

    meanwhile: list[Callable[[], None]]

    def __hash__(cls) -> int:
        if cls.meanwhile:
            cls.meanwhile.pop()()
        return type.__hash__(cls)


@pytest.mark.parametrize("looks", [1, 2])
def test_what_is_told_once_is_told_by_one_of_two_threads(looks: int) -> None:
    class Happened(metaclass=Interrupted):
        meanwhile: list[Callable[[], None]] = []  # noqa: RUF012 - as its metaclass has it

    witness = Witness()
    event: Any = Happened()
    with telemetry.fresh_default():
        made = Telemetry(registry=False, logger=False, observers=[witness], clock=SteppedClock())
        nothing: list[Callable[[], None]] = [lambda: None] * (looks - 1)
        Happened.meanwhile += [lambda: made.record_once(event), *nothing]
        made.record_once(event)

        assert telemetry.told(Happened)
    assert witness.of(Happened) == [event]


def test_a_fresh_default_leaves_nothing_told_behind() -> None:
    event = events.EventLoopBlocked(POOL)

    with telemetry.fresh_default():
        made = Telemetry(registry=False, logger=False, observers=[Witness()], clock=SteppedClock())
        with telemetry.fresh_default():
            made.record_once(event)
            inside = telemetry.told(type(event))

        assert (inside, telemetry.told(type(event))) == (True, False)


def test_warnings_that_were_held_back_outside_of_no_wait_are_not_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    structlog.reset_defaults()
    pool = a_pool("https://warned-of.example", "basic")

    with caplog.at_level("WARNING", "sleepwalker"):
        for _ in range(9):
            telemetry.default(SYSTEM).record(events.CloseFailed(pool, "other"))
        outside = len(caplog.records)
        with no_wait():
            telemetry.default(SYSTEM).record(events.CloseFailed(pool, "other"))

    assert (outside, len(caplog.records)) == (5, 6)


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_while_threads_record_can_record_itself() -> None:
    program = """
        import os, signal, threading
        from prometheus_client import CollectorRegistry
        from sleepwalker.observability import events
        from sleepwalker.observability.telemetry import Telemetry
        from sleepwalker.resilience.clock import SYSTEM

        made = Telemetry(registry=CollectorRegistry(), clock=SYSTEM)
        unmetered = Telemetry(registry=False, clock=SYSTEM)
        over = threading.Event()

        def record():
            number = 0
            while not over.is_set():
                number += 1
                for one in (made, unmetered):
                    pool = one.pool(f"host{number}", "basic", 0)
                    one.record(events.PlaintextAuth(pool))
                    one.record(events.LookedUp(pool, "hit", 1))

        threads = [threading.Thread(target=record) for _ in range(4)]
        for thread in threads:
            thread.start()
        codes = set()
        for _ in range(40):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                for one in (made, unmetered):
                    one.record(events.PlaintextAuth(one.pool("child", "basic", 0)))
                os._exit(0)
            codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        over.set()
        for thread in threads:
            thread.join()
        print(codes)
    """

    assert run(program) == ("{0}\n", "")


def test_a_watched_run_is_counted_on_its_own_registry_alone() -> None:
    one, other = Watched(), Watched()
    Telemetry(**one.instruments, clock=SteppedClock()).record(finished())
    Telemetry(**other.instruments, clock=SteppedClock())

    name = sample(
        f"{names.REQUEST_DURATION}_count",
        host=POOL.host,
        auth=POOL.auth,
        method="GET",
        outcome="success",
    )
    assert samples(one.registry)[name] == 1.0
    assert name not in samples(other.registry)
