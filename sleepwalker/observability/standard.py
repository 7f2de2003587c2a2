"""The standard HTTP client metric, through OpenTelemetry's metrics API alone.

Rules:

1. It is what the instrumentations of `requests` and `urllib3` would record: those are silent about
   our attempts, so that none is counted twice.
2. No global provider is ever set; without an SDK nothing is recorded.
3. As bounded as our own metrics: beyond the labelled pools, the address is ``_other``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

from sleepwalker.observability import events, names

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from sleepwalker.observability.events import Event


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

    def record(self, event: Event) -> None:
        """Record an event, if it is the end of an attempt."""
        if not isinstance(event, events.AttemptFinished):
            return
        labelled = event.pool.series[0] != names.OVERFLOW
        attributes: dict[str, Any] = {
            names.ATTR_METHOD: names.known_method(event.method),
            names.ATTR_SERVER_ADDRESS: event.address if labelled else names.OVERFLOW,
        }
        if labelled and event.port is not None:
            attributes[names.ATTR_SERVER_PORT] = event.port
        if event.protocol is not None:
            attributes[names.ATTR_PROTOCOL_VERSION] = event.protocol
        error = None if event.error_type == "none" else event.error_type
        if event.status is not None:
            attributes[names.ATTR_STATUS] = event.status
            if event.status >= 400:
                error = str(event.status)
        if error is not None:
            attributes[names.ATTR_ERROR_TYPE] = error
        self._duration.record(event.duration, attributes)
