"""The client's spans: searched, handed on to be matched, and the best trace kept to be shown.

Rules:

1. Every span is searched for planted secrets as it ends.
2. Only one whole trace is kept, so that a long run needs no more memory than a short one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, format_span_id

from sleepwalker.cli.demo.workload import TRAVERSAL
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.resources import Resource

    from sleepwalker.cli.demo.meeting import Meeting
    from sleepwalker.cli.demo.planted import Planted

SPANS_SHOWN = 37
"""A trace of more spans than this is no pleasure to read."""


class Traces(SpanExporter):
    """Takes the spans of a tracer provider of the demo's own.

    :param resource: what the spans say of who made them
    :ivar provider: what to pass as `tracer_provider` to a manager
    """

    def __init__(
        self, planted: Planted, meeting: Meeting, resource: Resource | None = None
    ) -> None:
        self._planted = planted
        self._meeting = meeting
        self._lock = threading.Lock()
        self._open: dict[int, list[ReadableSpan]] = {}
        self._best: tuple[float, list[ReadableSpan]] = (0.0, [])
        self.count = 0
        """How many spans there were."""
        self.with_secrets = 0
        """In how many of them there was a planted secret."""
        self.provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take spans that have ended."""
        for span in spans:
            context = span.get_span_context()
            if context is None:
                continue
            secret = bool(self._planted.found_in(_text_of(span)))
            if span.kind is SpanKind.CLIENT:
                self._meeting.attempted(format_span_id(context.span_id))
            with self._lock:
                self.count += 1
                self.with_secrets += secret
                trace = self._open.setdefault(context.trace_id, [])
                trace.append(span)
                if span.parent is None:
                    del self._open[context.trace_id]
                    score = interest(trace)
                    if score > self._best[0]:
                        self._best = (score, trace)
        return SpanExportResult.SUCCESS

    def best(self) -> list[ReadableSpan]:
        """The spans of the trace that has most to show; empty when no traversal has ended."""
        with self._lock:
            return list(self._best[1])


def interest(trace: Sequence[ReadableSpan]) -> float:
    """How much a trace has to show: hooks, kinds of failures survived, all other kinds."""
    if not any(span.name == TRAVERSAL for span in trace) or len(trace) > SPANS_SHOWN:
        return 0.0
    failures: set[Any] = set()
    others: set[Any] = set()
    for span in trace:
        attributes = span.attributes or {}
        failures.add((span.name, attributes.get(names.ATTR_ERROR_TYPE)))
        others.add(("host", attributes.get(names.ATTR_SERVER_PORT)))
        others.add(("status", attributes.get(names.ATTR_STATUS)))
        others.add((span.name, attributes.get(names.ATTR_HOST), attributes.get(names.ATTR_LOOKUP)))
    hooks = {
        span.status.is_ok or span.status.is_unset for span in trace if span.name == names.SPAN_HOOK
    }
    return 5.0 * len(hooks) + 2.0 * len(failures) + len(others)


def _text_of(span: ReadableSpan) -> str:
    """All that a span says, as one text."""
    events = [(event.name, dict(event.attributes or {})) for event in span.events]
    links = [dict(link.attributes or {}) for link in span.links]
    return f"{span.name} {dict(span.attributes or {})} {span.status.description} {events} {links}"
