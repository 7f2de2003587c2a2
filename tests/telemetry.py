"""What a test sees of one run's telemetry: spans, metric samples, log lines, events.

Rule 1: `Watched` has a registry, a tracer provider, a logger and a clock of its own, so that every
    count and duration is exact; nothing global is touched.
Rule 2: hooks that stand here do one thing each, and no I/O.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from prometheus_client import CollectorRegistry

from sleepwalker import ANONYMOUS, ConnectError, Connection, ConnectionHook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    from sleepwalker.observability.events import Event
    from tests.servers import CertificateAuthority


class FrozenClock:
    """A clock that stands still but for the waits, so that durations can be told exactly."""

    def __init__(self) -> None:
        self.now = 1024.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Seconds: what was slept."""
        return self.now

    def time(self) -> float:
        """Seconds since the epoch: the same."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Be so many seconds later, at once."""
        self.slept.append(seconds)
        self.now += seconds


class Node(NamedTuple):
    """A span with what hangs below it, in a form that compares and reads well."""

    name: str
    kind: str
    status: str
    attributes: dict[str, Any]
    children: list[Node]


def node(
    name: str,
    attributes: Mapping[str, Any],
    *children: Node,
    kind: str = "INTERNAL",
    status: str = "UNSET",
) -> Node:
    """Give the node that a test expects."""
    return Node(name, kind, status, dict(attributes), list(children))


class Watched:
    """The instruments of one run, and what they got."""

    def __init__(self, ca: CertificateAuthority | None = None) -> None:
        """Trust the servers of this authority, if one is given."""
        self._verify = True if ca is None else str(ca.bundle)
        self.clock = FrozenClock()
        self.registry = CollectorRegistry()
        self.provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.lines: list[dict[str, Any]] = []
        """The log lines: event, level and fields."""
        self.logger = capturing_logger(self.lines)
        self.events: list[Event] = []
        self._changed = threading.Condition()

    @property
    def instruments(self) -> dict[str, Any]:
        """The options of a `Connection` or `ConnectionManager` that is watched."""
        return {
            "registry": self.registry,
            "tracer_provider": self.provider,
            "logger": self.logger,
            "observers": (self,),
        }

    def connection(self, url: str, auth: Any = ANONYMOUS, **options: Any) -> Connection:
        """Give a watched connection that doesn't wait."""
        given: dict[str, Any] = {
            **self.instruments,
            "verify": self._verify,
            "clock": self.clock,
            "random": lambda: HALF,
        }
        return Connection(url, auth, **{**given, **options})

    def record(self, event: Event) -> None:
        """Take an event, as an instrument."""
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, predicate: Callable[[Event], bool]) -> None:
        """Wait for an event.

        Raises:
            AssertionError: it does not come within 5 seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: any(map(predicate, self.events)), 5.0):
                raise AssertionError(f"not among {self.events!r}")

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order of their starts."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of this name, in the order of their starts."""
        return [span for span in self.spans if span.name == name]

    def forest(self) -> list[Node]:
        """The spans as trees, roots and children in the order of their starts."""
        spans = self.spans
        known = {span.context.span_id for span in spans if span.context is not None}

        def below(parent: int | None) -> list[Node]:
            return [
                Node(
                    span.name,
                    span.kind.name,
                    span.status.status_code.name,
                    dict(span.attributes or {}),
                    below(span.context.span_id if span.context is not None else -1),
                )
                for span in spans
                if parent
                == (span.parent.span_id if span.parent and span.parent.span_id in known else None)
            ]

        return below(None)

    def samples(self) -> dict[str, float]:
        """Every sample of the registry but buckets and times of creation, by `sample`."""
        return samples(self.registry)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample's value."""
        return self.registry.get_sample_value(name, labels)


class Meters:
    """A meter provider, and what it was given."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def metrics(self) -> list[Any]:
        """The metrics, by instrumentation scope."""
        data = self._reader.get_metrics_data()
        return [
            (scope.scope, metric)
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def points(self) -> list[tuple[dict[str, Any], int, float]]:
        """Attributes, count and sum of each series."""
        return [
            (dict(point.attributes), point.count, point.sum)
            for _, metric in self.metrics()
            for point in metric.data.data_points
        ]


def capturing_logger(lines: list[dict[str, Any]]) -> Any:
    """Give a structlog logger that appends what it gets, down to DEBUG, to a list."""

    def capture(_: object, method: str, line: Any) -> Any:
        lines.append({"level": method, **line})
        raise structlog.DropEvent

    return structlog.wrap_logger(
        structlog.testing.ReturnLogger(),
        processors=[capture],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        context_class=dict,
    )


def sample(name: str, **labels: str) -> str:
    """The name of a sample as `samples` gives it."""
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


def samples(registry: CollectorRegistry) -> dict[str, float]:
    """Every sample of a registry but buckets and times of creation."""
    return {
        sample(one.name, **one.labels): one.value
        for family in registry.collect()
        for one in family.samples
        if not one.name.endswith(("_bucket", "_created"))
    }


# --- hooks that are watched ---------------------------------------------------------------------

HALF: Final = 0.5
"""What chance always gives here: every backoff is half of its widest."""


class Declines(ConnectionHook):
    """Knows no host."""

    def connect(self, _host: Any, _auth: Any) -> None:
        return None


class Flaky(ConnectionHook):
    """Fails at its first call, then connects to URLs; keeps the second host waiting."""

    def __init__(self, ca: CertificateAuthority, clock: FrozenClock, slow: str) -> None:
        self._options: dict[str, Any] = {
            "verify": str(ca.bundle),
            "clock": clock,
            "random": lambda: HALF,
        }
        self._slow = slow
        self.failures = 1
        self.go_on = threading.Event()

    def connect(self, host: Any, auth: Any) -> Connection | None:
        if not str(host).startswith("https://"):
            return None
        if self.failures:
            self.failures -= 1
            raise ConnectError("nobody there yet")
        if host == self._slow:
            assert self.go_on.wait(5.0)
        return Connection(host, auth, **self._options)


class Given:
    """A connection of a user's own, whose closing may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def json_request(self) -> None: ...

    def close(self) -> None:
        if self._error is not None:
            raise self._error


class Gives(ConnectionHook):
    """Gives a new `Given` for every host."""

    def connect(self, _host: Any, _auth: Any) -> Given:
        return Given()


def traceparent(of: SpanContext | None) -> str:
    """The header that stands for a sampled span."""
    assert of is not None
    return f"00-{of.trace_id:032x}-{of.span_id:016x}-{of.trace_flags:02x}"
