"""OpenTelemetry spans, through the API alone: the logical call, its wire attempts, the hooks.

Rules:

1. No global provider is ever set; without an SDK every span is a no-op.
2. A tracer that raises never fails a request: each call into it is guarded, and counted.
3. Context goes into a copy of the headers, attempt by attempt, never over a caller's own
   ``traceparent``; baggage goes to hosts that are named for it alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NoOpTracerProvider,
    SpanKind,
    Status,
    StatusCode,
)

from sleepwalker.observability import names, suppression
from sleepwalker.observability.events import TracePoint

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, MutableMapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider

    from sleepwalker.observability.events import Pool


_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_BAGGAGE = "baggage"
_TRACEPARENT = "traceparent"
_APART = frozenset({_BAGGAGE, "tracestate"})
"""Headers that say nothing of the trace by themselves."""
_AT_FIRST = propagate.get_global_textmap()
_OF_CONTEXT = _AT_FIRST if {_TRACEPARENT, *_APART}.issuperset(_AT_FIRST.fields) else None
"""The propagator that is there from the start, if it is the usual one: of an empty context it has
nothing to write. Another may have what it writes from elsewhere."""


class Tracing:
    """Starts and ends spans.

    :param provider: the tracer provider; `None` for the global one, looked up when it is set
    :param failed: called when the tracer raised
    """

    def __init__(
        self, provider: TracerProvider | None = None, *, failed: Callable[[], None]
    ) -> None:
        self._failed = failed
        self._couldnt_start = False
        """Whether a span that is none may be one that couldn't be started."""
        try:
            self._tracer = _tracer_of(provider)
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()
            self._tracer = _tracer_of(NoOpTracerProvider())

    def start(
        self,
        name: str,
        attributes: Mapping[str, Any],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        under: Span | None = None,
        links: tuple[SpanContext, ...] = (),
    ) -> Span:
        """Start a span; a no-op span when the tracer fails."""
        try:
            # Given, it isn't looked for again by the SDK's tracer, sampler and span in turn.
            around = context.get_current()
            if under is not None and trace.get_current_span(around) is not under:
                around = _with(under, around)
            return self._tracer.start_span(
                name,
                context=around,
                kind=kind,
                attributes=attributes,
                links=[Link(link) for link in links] if links else (),
            )
        except Exception:  # noqa: BLE001 - rule 2
            self._couldnt_start = True
            self._failed()
            return INVALID_SPAN

    def start_request(self, pool: Pool, method: str, name: str | None) -> Span:
        """Start the span of a logical call."""
        attributes = {
            names.ATTR_HOST: pool.host,
            names.ATTR_AUTH: pool.auth,
            names.ATTR_METHOD: names.known_method(method),
        }
        if name is not None:
            attributes[names.ATTR_URL_TEMPLATE] = name
        return self.start(names.SPAN_REQUEST, attributes)

    def start_attempt(
        self,
        call: Span,
        *,
        method: str,
        url: str,
        server: tuple[str, int],
        name: str | None,
        resend: int,
    ) -> Span:
        """Start the CLIENT span of one wire attempt.

        :param url: the URL, redacted
        :param server: the address and port of the target
        :param resend: how many wire attempts this call made before; 0 for the first
        """
        known = names.known_method(method)
        attributes: dict[str, Any] = {
            names.ATTR_METHOD: known,
            names.ATTR_URL: url,
            names.ATTR_SERVER_ADDRESS: server[0],
            names.ATTR_SERVER_PORT: server[1],
        }
        if known != method:
            attributes[names.ATTR_METHOD_ORIGINAL] = method
        if resend:
            attributes[names.ATTR_RESEND_COUNT] = resend
        if name is not None:
            attributes[names.ATTR_URL_TEMPLATE] = name
        shown = "HTTP" if known != method else method
        return self.start(
            f"{shown} {name}" if name is not None else shown,
            attributes,
            kind=SpanKind.CLIENT,
            under=call,
        )

    def begin_attempt(
        self,
        call: Span,
        headers: MutableMapping[str, Any],
        *,
        method: str,
        url: str,
        server: tuple[str, int],
        name: str | None,
        resend: int,
        given: Container[str] = (),
        with_baggage: bool = False,
    ) -> tuple[Span, Context | None]:
        """Start the span of one wire attempt, and put its context into the headers.

        Where the call's span is none, and not for a failure, there is no tracer to ask for another.

        :returns: the span, and the context under it, which goes to `Telemetry.record`
        """
        span = call
        if call is not INVALID_SPAN or self._couldnt_start:
            span = self.start_attempt(
                call, method=method, url=url, server=server, name=name, resend=resend
            )
        return span, self.inject(span, headers, given=given, with_baggage=with_baggage)

    def end(
        self,
        span: Span,
        attributes: Mapping[str, Any],
        *,
        error: str | None = None,
    ) -> None:
        """End a span.

        :param error: the `error.type`; `None` leaves the status unset
        """
        if span is INVALID_SPAN:
            return
        try:
            if span.is_recording():
                if error is not None:
                    attributes = {**attributes, names.ATTR_ERROR_TYPE: error}
                    span.set_status(Status(StatusCode.ERROR))
                span.set_attributes(attributes)
            span.end()
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()

    def link(self, span: Span, to: SpanContext) -> None:
        """Link a span that was started to another."""
        try:
            span.add_link(to)
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()

    def context_of(self, span: Span) -> SpanContext | None:
        """A span's context, for links to it; `None` if there is nothing to link to."""
        if span is INVALID_SPAN:
            return None
        try:
            found = span.get_span_context()
            is_valid = found.is_valid
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()
            return None
        return found if is_valid else None

    def point_of(self, span: Span) -> TracePoint | None:
        """Where a span is, for logs and exemplars; `None` if it isn't sampled."""
        if span is INVALID_SPAN:
            return None
        try:
            here = span.get_span_context()
            if not (here.is_valid and here.trace_flags.sampled):
                return None
            return TracePoint(f"{here.trace_id:032x}", f"{here.span_id:016x}")
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()
            return None

    def inject(
        self,
        span: Span,
        headers: MutableMapping[str, Any],
        *,
        given: Container[str] = (),
        with_baggage: bool = False,
    ) -> Context | None:
        """Put the span's context into the headers of one attempt.

        :param given: the headers that the caller has set, which stay as they are
        :param with_baggage: also the baggage that the application has set
        :returns: the context under the span; `None` if there is nothing to know of it
        """
        inside = None
        try:
            around = context.get_current()
            carried = inside = _with(span, around)
            if not inside and propagate.get_global_textmap() is _OF_CONTEXT:
                return inside
            # Where there is nothing but the span there is no baggage.
            if not with_baggage and len(inside) > (inside is not around):
                carried = baggage.clear(inside)
            carrier: dict[str, str] = {}
            propagate.inject(carrier, context=carried)
            if carrier and not _go_beside(given, carrier):
                carrier = self._beside(given, carrier)
            for name, value in carrier.items():
                headers[name] = value
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()
        return inside

    def _beside(self, given: Container[str], carrier: Mapping[str, str]) -> dict[str, str]:
        """What of a propagator's headers may be put beside those of the caller."""
        sound = [pair for pair in carrier.items() if _is_header(*pair)]
        if len(sound) < len(carrier):
            # Lower layers would refuse it, and the request with it.
            self._failed()
        found = [(name, value) for name, value in sound if name not in given]
        if _TRACEPARENT in given or any(
            name in given and name.lower() not in _APART for name, _ in sound
        ):
            # Ours, or the rest of it, beside the caller's own would be of two traces.
            found = [pair for pair in found if pair[0].lower() == _BAGGAGE]
        return dict(found)

    def enter(self, span: Span) -> Any:
        """Make a span the current one; the token goes to `leave`."""
        if span is INVALID_SPAN:
            return None
        try:
            around = context.get_current()
            inside = _with(span, around)
            return None if inside is around else context.attach(inside)
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()
            return None

    def suppress(self) -> Any:
        """Let other instrumentations be silent; the token goes to `leave`."""
        try:
            return suppression.begin()
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()
            return None

    def lift(self) -> Any:
        """Let them speak again, while the user's code runs; the token goes to `leave`."""
        try:
            return suppression.lift()
        except Exception:  # noqa: BLE001 - rule 2
            self._failed()
            return None

    def leave(self, token: Any) -> None:
        """Undo `enter`, `suppress` or `lift`."""
        if token is not None:
            try:
                context.detach(token)
            except Exception:  # noqa: BLE001 - rule 2
                self._failed()


class SilentTracing(Tracing):
    """Makes no spans, and leaves headers and context as they are."""

    def __init__(self) -> None:
        super().__init__(NoOpTracerProvider(), failed=lambda: None)

    def start(self, *_: Any, **__: Any) -> Span:
        """A span that is none."""
        return INVALID_SPAN

    def inject(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def enter(self, _: Span) -> None:
        """Nothing."""

    def suppress(self) -> None:
        """Nothing: it is so already."""

    def lift(self) -> None:
        """Nothing."""


def _tracer_of(provider: TracerProvider | None) -> Tracer:
    return trace.get_tracer(
        names.INSTRUMENTATION, tracer_provider=provider, schema_url=names.SCHEMA_URL
    )


def _go_beside(given: Container[str], carrier: Mapping[str, str]) -> bool:
    """Whether all of a propagator's headers may be put beside those of the caller, as is usual."""
    for name, value in carrier.items():
        if not _is_header(name, value) or name in given:
            return False
    return _TRACEPARENT in carrier or _TRACEPARENT not in given


def _is_header(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and _NAME.fullmatch(name) is not None
        and _VALUE.fullmatch(value) is not None
    )


def _with(span: Span, around: Context) -> Context:
    """The context under a span; the one around it when there is no such span.

    Without an SDK (or when spans are off) an older API's spans have no context of their own: what
    the application is in, a trace that came from elsewhere perhaps, goes on then.
    """
    if span is not INVALID_SPAN and span.get_span_context().is_valid:
        return trace.set_span_in_context(span, around)
    return around
