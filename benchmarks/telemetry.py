"""The telemetry that a service in production would have configured, the same for all subjects.

Rules:

1. Nothing global but structlog's configuration, which goes when the run does: a subject that is to
   have no SDK must not find another's.
2. Spans go through a batch processor into an exporter that only counts them.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from prometheus_client import CollectorRegistry


class NullExporter(SpanExporter):
    """Counts spans and lets go of them.

    :ivar exported: how many there were
    """

    def __init__(self) -> None:
        self.exported = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Count a batch."""
        self.exported += len(spans)
        return SpanExportResult.SUCCESS


class Spans:
    """A tracer provider of its own for one subject.

    :ivar provider: records every span
    """

    def __init__(self) -> None:
        self._exporter = NullExporter()
        self.provider = TracerProvider(
            resource=Resource({"service.name": "benchmarks"}), shutdown_on_exit=False
        )
        self.provider.add_span_processor(BatchSpanProcessor(self._exporter))

    @property
    def exported(self) -> int:
        """How many spans reached the exporter."""
        return self._exporter.exported

    def flush(self) -> None:
        """Export what is waiting."""
        self.provider.force_flush()

    def close(self) -> None:
        """Export what is waiting, and end the processor's thread."""
        self.provider.shutdown()


@contextmanager
def logs_at_info() -> Iterator[None]:
    """Have structlog configured as in production: JSON lines from INFO on, here into nowhere."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.WriteLoggerFactory(file=nowhere),
            cache_logger_on_first_use=True,
        )
        try:
            yield
        finally:
            structlog.reset_defaults()


def total(registry: CollectorRegistry, sample: str) -> int:
    """Add up all series of a sample."""
    return sum(
        int(found.value)
        for family in registry.collect()
        for found in family.samples
        if found.name == sample
    )
