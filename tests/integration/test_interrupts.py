"""Interrupts at any moment of a call: in instruments, before the request and after it.

Rule: whatever interrupts, the call is over: nothing is in flight, and nobody waits for it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from prometheus_client import CollectorRegistry

from sleepwalker import ANONYMOUS, Connection, ConnectionManager, DirectHook
from sleepwalker.observability.events import (
    AttemptFinished,
    Event,
    RequestFinished,
    RequestStarted,
)
from sleepwalker.testing import SkippingClock
from tests.servers import respond, stall

if TYPE_CHECKING:
    from tests.servers import ScriptedServer


class Interrupting:
    """An observer that is interrupted, once, at an event of one kind."""

    def __init__(self, kind: type[object]) -> None:
        self._kind = kind
        self.interrupted = 0

    def record(self, event: Event) -> None:
        if isinstance(event, self._kind) and not self.interrupted:
            self.interrupted += 1
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [RequestStarted, AttemptFinished, RequestFinished])
def test_an_interrupt_in_an_observer_leaves_nothing_in_flight(
    server: ScriptedServer, kind: type[object]
) -> None:
    observer = Interrupting(kind)
    conn = Connection(
        server.url,
        ANONYMOUS,
        observers=(observer,),
        registry=CollectorRegistry(),
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )

    with pytest.raises(KeyboardInterrupt):
        conn.request("GET", "/")

    assert observer.interrupted == 1
    assert conn.in_flight == 0
    assert conn.drained(0)
    assert not trace.get_current_span().get_span_context().is_valid
    assert conn.request("GET", "/").status_code == 200
    conn.close()
    server.wait_for(lambda: all(c.closed_by == "client" for c in server.connections))


@pytest.mark.parametrize("kind", [RequestStarted, RequestFinished])
def test_a_manager_does_not_wait_for_a_call_that_was_interrupted(
    server: ScriptedServer, kind: type[object]
) -> None:
    manager = ConnectionManager(
        hooks=[DirectHook()], observers=(Interrupting(kind),), registry=CollectorRegistry()
    )
    conn = manager.find(server.url, ANONYMOUS)
    with pytest.raises(KeyboardInterrupt):
        conn.request("GET", "/")

    report = manager.close(timeout=0)

    assert (report.closed, report.draining) == (1, 0)


def test_an_interrupt_while_an_answer_is_awaited_leaves_nothing_in_flight(
    server: ScriptedServer,
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    server.script(respond(json=[]))
    with Connection(server.url, ANONYMOUS, registry=CollectorRegistry()) as conn:
        with pytest.raises(KeyboardInterrupt):
            conn.request("GET", "/", hooks={"response": interrupt})

        assert conn.in_flight == 0
        assert conn.drained(0)


class InterruptedAtItsEnd(SpanProcessor):
    """An exporter that is interrupted, once, as the span of the call ends."""

    def __init__(self) -> None:
        self.interrupted = 0

    def on_end(self, span: ReadableSpan) -> None:
        if span.name == "sleepwalker.request" and not self.interrupted:
            self.interrupted += 1
            raise KeyboardInterrupt


def test_an_interrupt_in_an_exporter_leaves_the_metrics_right(server: ScriptedServer) -> None:
    registry, processor = CollectorRegistry(), InterruptedAtItsEnd()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    pool = {"host": server.url, "auth": "none"}
    with Connection(
        server.url, ANONYMOUS, registry=registry, tracer_provider=provider, logger=False
    ) as conn:
        with pytest.raises(KeyboardInterrupt):
            conn.request("GET", "/")

        assert processor.interrupted == 1
        assert registry.get_sample_value("sleepwalker_requests_in_flight", pool) == 0
        ended = {**pool, "method": "GET", "outcome": "success"}
        count = "sleepwalker_request_duration_seconds_count"
        assert registry.get_sample_value(count, ended) == 1


def test_an_interrupt_as_a_call_begins_leaves_the_metrics_right(server: ScriptedServer) -> None:
    registry = CollectorRegistry()
    observer = Interrupting(RequestStarted)
    pool = {"host": server.url, "auth": "none"}
    with Connection(server.url, ANONYMOUS, registry=registry, observers=(observer,)) as conn:
        with pytest.raises(KeyboardInterrupt):
            conn.request("GET", "/")

        assert registry.get_sample_value("sleepwalker_requests_in_flight", pool) == 0
        ended = {**pool, "method": "GET", "outcome": "cancelled"}
        count = "sleepwalker_request_duration_seconds_count"
        assert registry.get_sample_value(count, ended) == 1


def test_a_call_that_was_interrupted_before_it_was_counted_counts_no_other_down(
    server: ScriptedServer,
) -> None:
    class Interrupting(SkippingClock):
        """Interrupts at the moment that is said, once."""

        def __init__(self) -> None:
            super().__init__()
            self.until: int | None = None

        def monotonic(self) -> float:
            if self.until is not None:
                self.until -= 1
                if self.until < 0:
                    self.until = None
                    raise KeyboardInterrupt
            return super().monotonic()

    clock, registry, release = Interrupting(), CollectorRegistry(), threading.Event()
    pool = {"host": server.url, "auth": "none"}
    with Connection(server.url, ANONYMOUS, clock=clock, registry=registry) as conn:
        server.script(stall(release) + respond(200))
        other = threading.Thread(target=conn.request, args=("GET", "/"))
        other.start()
        server.wait_for(lambda: server.count() == 1)
        for moment in range(3):
            clock.until = moment
            with pytest.raises(KeyboardInterrupt):
                conn.request("GET", "/")
            assert conn.in_flight == 1
            assert registry.get_sample_value("sleepwalker_requests_in_flight", pool) == 1
        release.set()
        other.join()
        assert conn.in_flight == 0
        assert registry.get_sample_value("sleepwalker_requests_in_flight", pool) == 0
