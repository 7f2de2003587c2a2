"""What the tests of retries, redirects, deadlines and bodies share.

One job: a `Connection` that waits for nobody, beside everything that it told while it worked.

Rule 1: waits are skipped and written down (`clock.slept`); only a stalled server takes real time.
Rule 2: what is asserted of the wire is asserted of the server's own records, never of the client's.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final, Self

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry

from sleepwalker import ANONYMOUS, Connection, Policy
from sleepwalker.observability.events import RequestFinished, RetryScheduled
from sleepwalker.testing import RecordingObserver, SkippingClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from sleepwalker.resilience import Clock as AnyClock
    from tests.servers import CertificateAuthority, Request, ScriptedServer

STALLED: Final = (0.5, 0.5)
"""Seconds: the timeouts where a server stalls for real."""


class Clock(SkippingClock):
    """Skips every wait, and does something at the next ones: the world changes between attempts."""

    def __init__(self) -> None:
        super().__init__()
        self._at_sleeps: deque[Callable[[], object]] = deque()

    def at_next_sleep(self, *actions: Callable[[], object]) -> None:
        """Do these, one at each of the next waits."""
        self._at_sleeps.extend(actions)

    def sleep(self, seconds: float) -> None:
        """Skip the wait, and do what is due."""
        super().sleep(seconds)
        if self._at_sleeps:
            self._at_sleeps.popleft()()

    def jump(self, seconds: float) -> None:
        """Be later without having slept: something else took so long."""
        self.advance(seconds)


class Frozen(Clock):
    """A clock that only sleeping and jumping move."""

    def monotonic(self) -> float:
        """Seconds."""
        return 1000.0 + self._ahead


MADE: list[Client] = []
"""The clients that the test under way has made."""


class Client:
    """A connection under test, and all that it told.

    `random=1.0` draws the longest wait of each backoff, 0.0 none at all.
    """

    def __init__(
        self,
        server: ScriptedServer | str,
        ca: CertificateAuthority | None = None,
        *,
        auth: Any = ANONYMOUS,
        random: float | Callable[[], float] = 0.0,
        clock: AnyClock | None = None,
        observers: tuple[Any, ...] = (),
        policy: Policy | None = None,
        **options: Any,
    ) -> None:
        if ca is not None:
            options.setdefault("verify", str(ca.bundle))
        self.clock = Clock()
        self.told = RecordingObserver()
        self.registry = CollectorRegistry()
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        MADE.append(self)
        self.conn = Connection(
            server if isinstance(server, str) else server.url,
            auth,
            policy=policy,
            clock=self.clock if clock is None else clock,
            random=random if callable(random) else lambda: random,
            registry=self.registry,
            tracer_provider=provider,
            logger=False,
            observers=(self.told, *observers),
            **options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.conn.close()

    @property
    def slept(self) -> list[float]:
        """The waits, in seconds, in order."""
        return self.clock.slept

    @property
    def retries(self) -> dict[str, int]:
        """How often it was sent again, by reason, as the events have it; metrics must agree."""
        told = Counter(event.reason for event in self.told.all(RetryScheduled))
        counted = self._counter("sleepwalker_retries_total", "reason")
        assert counted == dict(told)
        return counted

    @property
    def outcomes(self) -> dict[str, int]:
        """How many calls ended how, as the events have it; metrics must agree."""
        told = Counter(event.outcome for event in self.told.all(RequestFinished))
        counted = self._counter("sleepwalker_request_duration_seconds_count", "outcome")
        assert counted == dict(told)
        return counted

    @property
    def wire_attempts(self) -> int:
        """How many wire attempts the metrics counted."""
        return sum(self._counter("sleepwalker_attempts_total", "host").values())

    @property
    def in_flight(self) -> int:
        """The gauge of calls under way, over all pools."""
        return sum(self._counter("sleepwalker_requests_in_flight", "host").values())

    def attempts_by_host(self) -> dict[str, int]:
        """How many wire attempts the metrics counted, by the label `host`."""
        return self._counter("sleepwalker_attempts_total", "host")

    def _counter(self, sample: str, label: str) -> dict[str, int]:
        found: Counter[str] = Counter()
        for family in self.registry.collect():
            for each in family.samples:
                if each.name == sample:
                    found[each.labels[label]] += int(each.value)
        return dict(found)

    @property
    def wire_spans(self) -> list[ReadableSpan]:
        """The CLIENT spans, in the order in which they ended."""
        return [s for s in self._exporter.get_finished_spans() if s.kind is SpanKind.CLIENT]

    @property
    def call_spans(self) -> list[ReadableSpan]:
        """The spans of logical calls, in the order in which they ended."""
        return [s for s in self._exporter.get_finished_spans() if s.name == "sleepwalker.request"]

    def resend_counts(self) -> list[int | None]:
        """`http.request.resend_count` of each wire attempt; `None` where it is not set."""
        counts = [(s.attributes or {}).get("http.request.resend_count") for s in self.wire_spans]
        return [count if isinstance(count, int) else None for count in counts]


def bodies(server: ScriptedServer) -> list[bytes]:
    """The bodies that the server read completely, in order."""
    return [request.body for request in server.requests]


def keys(server: ScriptedServer, header: str = "Idempotency-Key") -> list[str | None]:
    """The idempotency key of each request that the server read, in order."""
    return [request.headers.get(header) for request in server.requests]


def lines(server: ScriptedServer) -> list[str]:
    """Method and target of each request that the server read, in order."""
    return [f"{request.method} {request.target}" for request in server.requests]


def header_names(request: Request) -> set[str]:
    """The names of the headers that came, in lower case."""
    return set(request.headers)
