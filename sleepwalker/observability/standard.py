"""The standard HTTP client metric, through OpenTelemetry's metrics API alone.

Rules:

1. It is what the instrumentations of `requests` and `urllib3` would record: those are silent about
   our attempts, so that none is counted twice.
2. No global provider is ever set; without an SDK nothing is recorded.
3. What is recorded is recorded in turn (`in_turn`): the SDK's locks are not re-entrant either.
4. As bounded as our own metrics: beyond the labelled pools, the address is ``_other``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from sleepwalker.observability import events, names
from sleepwalker.observability.in_turn import InTurn, ModuleLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider

    from sleepwalker.observability.events import Event, TracePoint


class StandardMetrics:
    """Records `http.client.request.duration`, once for each wire attempt.

    :param provider: the meter provider; `None`: OpenTelemetry's global one, whenever it is set
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        meter = metrics.get_meter(
            names.INSTRUMENTATION, meter_provider=provider, schema_url=names.SCHEMA_URL
        )
        self._duration = meter.create_histogram(
            names.CLIENT_DURATION,
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=names.CLIENT_DURATION_BUCKETS,
        )
        self._recording = InTurn()
        self.handlers: dict[type, Callable[..., None]] = {
            events.AttemptFinished: self._attempt_finished
        }

    @classmethod
    def of(cls, provider: MeterProvider | None) -> StandardMetrics:
        """Those of a provider; of the global one there is one for the process.

        So a child that was forked takes no lock of OpenTelemetry's, which a thread of its parent's
        may have held, to make its own.
        """
        global _of_the_process  # noqa: PLW0603 - made once for the process, at the first use
        if provider is not None:
            return cls(provider)
        with _making:
            if _of_the_process is None:
                _of_the_process = cls()
            return _of_the_process

    def record(self, event: Event) -> None:
        """Record an event, if it is the end of an attempt."""
        handle = self.handlers.get(type(event))
        if handle is not None:
            handle(event)

    def _attempt_finished(
        self, event: events.AttemptFinished, within: Context | None = None
    ) -> None:
        labelled = event.pool.series[0] != names.OVERFLOW
        attributes: dict[str, Any] = {
            names.ATTR_METHOD: names.known_method(event.method),
            names.ATTR_SERVER_ADDRESS: event.address if labelled else names.OVERFLOW,
        }
        if labelled and event.port is not None:
            attributes[names.ATTR_SERVER_PORT] = event.port
        if event.protocol is not None:
            attributes[names.ATTR_PROTOCOL_VERSION] = event.protocol
        if event.status is not None:
            attributes[names.ATTR_STATUS] = event.status
        error = names.failure_of(event.error_type, event.status)
        if error is not None:
            attributes[names.ATTR_ERROR_TYPE] = error
        if within is None:
            within = _context_at(event.trace)
        self._recording.do(self._duration.record, event.duration, attributes, within)


def _context_at(point: TracePoint | None) -> Context | None:
    """The context for an exemplar to show an attempt: what is current by then is its call."""
    if point is None:
        return None
    span = SpanContext(
        int(point.trace_id, 16),
        int(point.span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(span))


_making = ModuleLock()
_of_the_process: StandardMetrics | None = None
