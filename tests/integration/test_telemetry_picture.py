"""One page of a shop, and all that an operator sees of it: each output as one whole picture.

A page asks three hosts: a book, by a link its author, by another link what was written about that.

Rule 1: a picture is compared whole: what is missing fails as surely as what is too much.
Rule 2: the clock stands still but for waits and for what is said to take time, so that every
    duration is exact.
Rule 3: ports and ids, which chance gives, have names here: a port that of its server, a span its
    number in the picture of the spans.
"""

from __future__ import annotations

import functools
import re
import textwrap
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from prometheus_client.openmetrics import exposition, parser

from sleepwalker import (
    ANONYMOUS,
    Backoff,
    Breaker,
    CircuitOpenError,
    ConnectionManager,
    EstablishmentError,
    HTTPServiceUnavailable,
    Policy,
)
from sleepwalker.observability import events, names
from tests.servers import CertificateAuthority, ScriptedServer, redirect, respond
from tests.telemetry import HALF, Declines, Flaky, FrozenClock, Meters, Watched, sample, traceparent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext
    from prometheus_client import Metric

    from sleepwalker import Connection
    from sleepwalker.observability.events import Event, Instrument
    from tests.servers import Action, Answer

POLICY: Final = Policy(
    backoff=Backoff(base=0.0625), breaker=Breaker(calls=3, failure_ratio=0.5, window=60.0)
)
"""Waits that add up without rounding, and a breaker that opens soon."""

HOSTS: Final = ("books", "authors", "reviews")


# --- the run -------------------------------------------------------------------------------------


class Vault(Flaky):
    """Knows every host, but fails at first; each login takes an eighth of a second."""

    def __init__(self, ca: CertificateAuthority, clock: FrozenClock, slow: str) -> None:
        super().__init__(ca, clock, slow)
        self._clock = clock

    def connect(self, host: Any, auth: Any) -> Connection | None:
        conn = super().connect(host, auth)
        if conn is not None:
            self._clock.now += 0.125
        return conn


class Listener:
    """An instrument of the user's, which knows who told what."""

    def __init__(self) -> None:
        self._made_in = threading.current_thread()
        self.heard: dict[str, list[Event]] = {}
        """The events of each thread, by its name: "page" where this was made."""

    def record(self, event: Event) -> None:
        """Take note of an event."""
        thread = threading.current_thread()
        name = "page" if thread is self._made_in else thread.name
        self.heard.setdefault(name, []).append(event)


class Run:
    """The page, played once, and what was told of it before the manager is closed."""

    def __init__(self, ca: CertificateAuthority) -> None:
        self.watched, self.meters, self.listener = Watched(), Meters(), Listener()
        self.clock = FrozenClock()
        observers: list[Instrument] = [self.watched, self.listener]
        tls = ca.server_context()
        with (
            ScriptedServer(tls=tls) as self.books,
            ScriptedServer(tls=tls) as self.authors,
            ScriptedServer(tls=tls) as self.reviews,
        ):
            self.vault = Vault(ca, self.clock, slow=self.authors.url)
            with ConnectionManager(
                hooks=[Declines(), self.vault],
                idle=60.0,
                policy=POLICY,
                clock=self.clock,
                random=lambda: HALF,
                **{**self.watched.instruments, "observers": observers},
                meter_provider=self.meters.provider,
            ) as self.manager:
                with self.watched.provider.get_tracer("shop").start_as_current_span("page"):
                    self._play_the_page()
                self._play_the_rest()
                self._take_the_pictures()
        self.meters.provider.shutdown()

    def _play_the_page(self) -> None:
        following = functools.partial(self.manager.following, auth=ANONYMOUS)
        books, authors, reviews = self.books, self.authors, self.reviews

        # A hook fails once, an attempt is throttled once.
        conn = self.manager.find(books.url, ANONYMOUS)
        books.script(
            self._after(0.25, respond(503, {"Retry-After": "2"})),
            self._after(0.5, respond(json={})),
        )
        book = conn.request("GET", "/books/1?token=t0ken", name="/books/{id}")

        # A link on the same host, redirected to another.
        books.script(redirect(307, f"{reviews.url}/covers/1"))
        with following("cover", f"{books.url}/covers/1", source=book) as conn:
            conn.request("GET", "/covers/1")

        # A link to another host, whose connection two others have just found together.
        self._find_together(authors.url)
        authors.script(self._after(0.0625, respond(json={"name": "Stanisław Lem"})))
        with following("author", f"{authors.url}/authors/7", source=book) as conn:
            author = conn.request("GET", "/authors/7")

        # From there a link to a third, which fails until its breaker opens.
        reviews.script(respond(503), respond(503))
        link = f"{reviews.url}/reviews?of=7"
        with pytest.raises(HTTPServiceUnavailable), following("reviews", link, source=author) as c:
            c.json_request("GET", link)
        with pytest.raises(CircuitOpenError):
            self.manager.find(reviews.url, ANONYMOUS).json_request("POST", "/reviews", {})

    def _play_the_rest(self) -> None:
        # An exporter's request, of which nothing is told but, with all hits, that a find was one.
        with suppress_instrumentation():
            self.manager.find(self.authors.url, ANONYMOUS).json_request("POST", "/spans", ["page"])
        # A name that no hook knows.
        with pytest.raises(EstablishmentError):
            self.manager.find("nowhere", ANONYMOUS)
        # Only the authors are asked for nothing in a minute.
        for hosts in ([self.books, self.reviews], [self.books]):
            self.clock.now += 40.0
            for host in hosts:
                self.manager.find(host.url, ANONYMOUS)

    def _after(self, seconds: float, action: Action) -> Answer:
        """Answer, after so much time."""

        def answer(_: object) -> Action:
            self.clock.now += seconds
            return action

        return answer

    def _find_together(self, url: str) -> None:
        def find(name: str) -> threading.Thread:
            thread = threading.Thread(target=self.manager.find, args=(url, ANONYMOUS), name=name)
            thread.start()
            return thread

        first = find("first")
        self.watched.wait_for(lambda e: isinstance(e, events.HookCalled) and e.pool.host == url)
        second = find("second")
        self.watched.wait_for(lambda e: isinstance(e, events.LookedUp) and e.result == "coalesced")
        self.vault.go_on.set()
        for thread in (first, second):
            thread.join(5.0)

    # --- what was told ---------------------------------------------------------------------------

    def _take_the_pictures(self) -> None:
        self._tree = list(tree(self.watched.spans))
        self._numbers = {span_id(span.context): n for n, (_, span) in enumerate(self._tree, 1)}
        self.lines = list(self.watched.lines)
        self.heard = {name: list(heard) for name, heard in self.listener.heard.items()}
        self.families = list(self.watched.registry.collect())
        generate: Any = exposition.generate_latest
        self.exposition: str = generate(self.watched.registry).decode()
        self.points = self.meters.points()

    def spans(self) -> str:
        """The spans as trees: number, name, kind and status, links; then the attributes."""
        told = []
        for number, (depth, span) in enumerate(self._tree, 1):
            links = "".join(f" -> {self._number(link.context)}" for link in span.links)
            inside = "".join(f" !{event.name}" for event in span.events)
            kind, status = span.kind.name, span.status.status_code.name
            indent = "   " * depth
            told += [
                f"{number:02} {indent}{span.name} {kind} {status}{links}{inside}",
                *self._fields(f"      {indent}", sorted((span.attributes or {}).items())),
            ]
        return picture(told)

    def metrics(self) -> str:
        """Each family with its labels; below, their values and what was measured."""
        told = []
        for family in self.families:
            series: dict[tuple[str, ...], list[str]] = {}
            labels: list[str] = []
            for one in family.samples:
                part = one.name.removeprefix(family.name)
                if part not in {"_bucket", "_created"}:
                    labels = list(one.labels)
                    number = f"{one.value:g}"
                    series.setdefault(tuple(map(self._named, one.labels.values())), []).append(
                        f"{part[1:]}={number}" if family.type == "histogram" else number
                    )
            total = "_total" if family.type == "counter" else ""
            told.append(" ".join([family.type, family.name + total, *labels]))
            told += [f"   {' '.join([*of, *n])}" for of, n in sorted(series.items())]
        return picture(told)

    def log(self) -> str:
        """The log lines: level and event, and in which span; then the fields in their order."""
        told = []
        for line in self.lines:
            fields = dict(line)
            head = f"{fields.pop('level')} {fields.pop('event')}"
            if "trace_id" in fields:
                assert list(fields)[-2:] == ["trace_id", "span_id"]
                head += f" in {self._span_of(fields.pop('trace_id'), fields.pop('span_id'))}"
            told += [head, *self._fields("   ", fields.items())]
        return picture(told)

    def heard_in(self, thread: str) -> str:
        """The events that an observer gets in a thread: the kind, then its values in order."""
        told = []
        for event in self.heard[thread]:
            words = [type(event).__name__]
            for value in event:
                if isinstance(value, events.Pool):
                    assert value.series == (value.host, value.auth)
                    words += [value.host, value.auth]
                elif isinstance(value, events.TracePoint):
                    words.append(f"in {self._span_of(*value)}")
                else:
                    words.append(f"{value}")
            told.append(self._named(" ".join(words)))
        return picture(told)

    def exemplars(self) -> str:
        """The exemplars in the exposition: of which series, what was measured, in which span."""
        told = []
        for family in self.exposed():
            for one in family.samples:
                if one.exemplar is not None:
                    assert len(one.exemplar.labels) == 2
                    span = self._span_of(**one.exemplar.labels)
                    assert one.name == f"{names.ATTEMPT_DURATION}_bucket"
                    host, method, status_class, upper = map(
                        one.labels.get, ("host", "method", "status_class", "le")
                    )
                    told.append(
                        self._named(f"{host} {method} {status_class}: ")
                        + f"{one.exemplar.value:g} of at most {upper} in {span}"
                    )
        return picture(sorted(told))

    def exposed(self) -> list[Metric]:
        """What is read out of the exposition, in the OpenMetrics format."""
        parse: Any = parser.text_string_to_metric_families
        return list(parse(self.exposition))

    def standard(self) -> str:
        """The standard metric's series: the attributes, then count and sum."""
        told = [
            "\n".join([*self._fields("", sorted(of.items())), f"   count={count} sum={total:g}"])
            for of, count, total in self.points
        ]
        return picture(sorted(told))

    def wire(self) -> str:
        """What the servers got: the request, and the span whose context came with it."""
        spans = {traceparent(s.context): self._number(s.context) for s in self.watched.spans}
        return picture(
            f"{name} {one.method} {one.target}"
            f" {[spans[header] for header in one.headers.get_all('traceparent')]}"
            for name in HOSTS
            for one in getattr(self, name).requests
        )

    # --- names for what chance gives -------------------------------------------------------------

    def _number(self, of: SpanContext | None) -> str:
        """A span's number in the picture."""
        return f"{self._numbers[span_id(of)]:02}"

    def _span_of(self, trace_id: str, span_id: str) -> str:
        """The number of a span of this run, which is in this trace."""
        number = self._numbers[span_id]
        (_, span) = self._tree[number - 1]
        assert f"{span.context.trace_id:032x}" == trace_id
        return f"{number:02}"

    def _named(self, text: str) -> str:
        """A text with the servers' names in the places of their ports."""
        for name in HOSTS:
            port = getattr(self, name).port
            text = text.replace(f"https://127.0.0.1:{port}", f"https://{name}")
            text = re.sub(rf"\b{port}\b", f"<{name}>", text)
        return text

    def _fields(self, indent: str, fields: Iterable[tuple[str, Any]]) -> list[str]:
        """Names and values in their order, in lines that are not too long."""
        return textwrap.wrap(
            self._named(" ".join(f"{name}={value!r}" for name, value in fields)),
            width=98,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )


def tree(spans: list[ReadableSpan], under: str = "", depth: int = 0) -> Iterator[tuple[int, Any]]:
    """The spans with their depths, each before those below it, in the order of their starts."""
    for span in spans:
        if (span_id(span.parent) if span.parent is not None else "") == under:
            yield depth, span
            yield from tree(spans, span_id(span.context), depth + 1)


def span_id(of: SpanContext | None) -> str:
    """A span's id, as logs and exemplars write it."""
    assert of is not None
    return f"{of.span_id:016x}"


def samples_of(family: Metric) -> dict[str, float]:
    """A family's samples."""
    return {sample(one.name, **one.labels): one.value for one in family.samples}


def picture(told: Iterable[str]) -> str:
    """Lines as one text, which stands in this file as it is."""
    return "\n" + "\n".join(told) + "\n"


_runs: list[Run] = []


@pytest.fixture
def run(ca: CertificateAuthority) -> Run:
    """Give the run, played at the first need."""
    if not _runs:
        _runs.append(Run(ca))
    return _runs[0]


# --- the pictures ---------------------------------------------------------------------------------

SPANS: Final = """
01 page INTERNAL UNSET
02    sleepwalker.connect INTERNAL UNSET
         sleepwalker.auth='none' sleepwalker.host='https://books' sleepwalker.lookup='miss'
03       sleepwalker.hook INTERNAL UNSET
            sleepwalker.auth='none' sleepwalker.hook.attempt=1 sleepwalker.hook.name='Declines'
            sleepwalker.host='https://books' sleepwalker.outcome='declined'
04       sleepwalker.hook INTERNAL ERROR
            error.type='connect' sleepwalker.auth='none' sleepwalker.hook.attempt=1
            sleepwalker.hook.name='Vault' sleepwalker.host='https://books'
            sleepwalker.outcome='failed'
05       sleepwalker.hook INTERNAL UNSET
            sleepwalker.auth='none' sleepwalker.hook.attempt=2 sleepwalker.hook.name='Vault'
            sleepwalker.host='https://books' sleepwalker.outcome='connected'
06    sleepwalker.request INTERNAL UNSET
         http.request.method='GET' http.response.status_code=200 sleepwalker.attempts=2
         sleepwalker.auth='none' sleepwalker.host='https://books' sleepwalker.outcome='success'
         sleepwalker.waited=2.0 url.template='/books/{id}'
07       GET /books/{id} CLIENT ERROR
            error.type='503' http.request.method='GET' http.response.status_code=503
            network.protocol.version='1.1' server.address='127.0.0.1' server.port=<books>
            url.full='https://books/books/1?token=REDACTED' url.template='/books/{id}'
08       GET /books/{id} CLIENT UNSET
            http.request.method='GET' http.request.resend_count=1 http.response.status_code=200
            network.protocol.version='1.1' server.address='127.0.0.1' server.port=<books>
            url.full='https://books/books/1?token=REDACTED' url.template='/books/{id}'
09    sleepwalker.follow INTERNAL UNSET -> 06
         sleepwalker.link.cross_host=False sleepwalker.link.relation='cover'
         sleepwalker.link.source_host='https://books' sleepwalker.link.target_host='https://books'
         sleepwalker.outcome='success'
10       sleepwalker.request INTERNAL UNSET
            http.request.method='GET' http.response.status_code=200 sleepwalker.attempts=2
            sleepwalker.auth='none' sleepwalker.host='https://books' sleepwalker.outcome='success'
11          GET CLIENT UNSET
               http.request.method='GET' http.response.status_code=307
               network.protocol.version='1.1' server.address='127.0.0.1' server.port=<books>
               url.full='https://books/covers/1'
12          GET CLIENT UNSET
               http.request.method='GET' http.request.resend_count=1 http.response.status_code=200
               network.protocol.version='1.1' server.address='127.0.0.1' server.port=<reviews>
               url.full='https://reviews/covers/1'
13    sleepwalker.follow INTERNAL UNSET -> 06
         sleepwalker.link.cross_host=True sleepwalker.link.relation='author'
         sleepwalker.link.source_host='https://books'
         sleepwalker.link.target_host='https://authors' sleepwalker.outcome='success'
14       sleepwalker.request INTERNAL UNSET
            http.request.method='GET' http.response.status_code=200 sleepwalker.attempts=1
            sleepwalker.auth='none' sleepwalker.host='https://authors'
            sleepwalker.outcome='success'
15          GET CLIENT UNSET
               http.request.method='GET' http.response.status_code=200
               network.protocol.version='1.1' server.address='127.0.0.1' server.port=<authors>
               url.full='https://authors/authors/7'
16    sleepwalker.follow INTERNAL ERROR -> 14
         error.type='status' sleepwalker.link.cross_host=True sleepwalker.link.relation='reviews'
         sleepwalker.link.source_host='https://authors'
         sleepwalker.link.target_host='https://reviews' sleepwalker.outcome='error'
17       sleepwalker.connect INTERNAL UNSET
            sleepwalker.auth='none' sleepwalker.host='https://reviews' sleepwalker.lookup='miss'
18          sleepwalker.hook INTERNAL UNSET
               sleepwalker.auth='none' sleepwalker.hook.attempt=1 sleepwalker.hook.name='Declines'
               sleepwalker.host='https://reviews' sleepwalker.outcome='declined'
19          sleepwalker.hook INTERNAL UNSET
               sleepwalker.auth='none' sleepwalker.hook.attempt=1 sleepwalker.hook.name='Vault'
               sleepwalker.host='https://reviews' sleepwalker.outcome='connected'
20       sleepwalker.request INTERNAL ERROR
            error.type='503' http.request.method='GET' http.response.status_code=503
            sleepwalker.attempts=2 sleepwalker.auth='none' sleepwalker.host='https://reviews'
            sleepwalker.outcome='error' sleepwalker.waited=0.03125
21          GET CLIENT ERROR
               error.type='503' http.request.method='GET' http.response.status_code=503
               network.protocol.version='1.1' server.address='127.0.0.1' server.port=<reviews>
               url.full='https://reviews/reviews?of=7'
22          GET CLIENT ERROR
               error.type='503' http.request.method='GET' http.request.resend_count=1
               http.response.status_code=503 network.protocol.version='1.1'
               server.address='127.0.0.1' server.port=<reviews>
               url.full='https://reviews/reviews?of=7'
23    sleepwalker.request INTERNAL ERROR
         error.type='circuit_open' http.request.method='POST' sleepwalker.attempts=0
         sleepwalker.auth='none' sleepwalker.host='https://reviews' sleepwalker.outcome='refused'
24 sleepwalker.connect INTERNAL UNSET
      sleepwalker.auth='none' sleepwalker.host='https://authors' sleepwalker.lookup='miss'
25    sleepwalker.hook INTERNAL UNSET
         sleepwalker.auth='none' sleepwalker.hook.attempt=1 sleepwalker.hook.name='Declines'
         sleepwalker.host='https://authors' sleepwalker.outcome='declined'
26    sleepwalker.hook INTERNAL UNSET
         sleepwalker.auth='none' sleepwalker.hook.attempt=1 sleepwalker.hook.name='Vault'
         sleepwalker.host='https://authors' sleepwalker.outcome='connected'
27 sleepwalker.connect INTERNAL UNSET -> 24
      sleepwalker.auth='none' sleepwalker.host='https://authors' sleepwalker.lookup='coalesced'
28 sleepwalker.connect INTERNAL ERROR
      error.type='establishment' sleepwalker.auth='none' sleepwalker.host='nowhere'
      sleepwalker.lookup='miss'
29    sleepwalker.hook INTERNAL UNSET
         sleepwalker.auth='none' sleepwalker.hook.attempt=1 sleepwalker.hook.name='Declines'
         sleepwalker.host='nowhere' sleepwalker.outcome='declined'
30    sleepwalker.hook INTERNAL UNSET
         sleepwalker.auth='none' sleepwalker.hook.attempt=1 sleepwalker.hook.name='Vault'
         sleepwalker.host='nowhere' sleepwalker.outcome='declined'
"""


def test_the_spans_are_these(run: Run) -> None:
    assert run.spans() == SPANS


WIRE: Final = """
books GET /books/1?token=t0ken ['07']
books GET /books/1?token=t0ken ['08']
books GET /covers/1 ['11']
authors GET /authors/7 ['15']
authors POST /spans []
reviews GET /covers/1 ['12']
reviews GET /reviews?of=7 ['21']
reviews GET /reviews?of=7 ['22']
"""


def test_every_attempt_takes_the_context_of_its_own_span_along(run: Run) -> None:
    assert run.wire() == WIRE


METRICS: Final = """
histogram sleepwalker_request_duration_seconds host auth method outcome
   https://authors none GET success count=1 sum=0.0625
   https://books none GET success count=2 sum=2.75
   https://reviews none GET error count=1 sum=0.03125
   https://reviews none POST refused count=1 sum=0
histogram sleepwalker_attempt_duration_seconds host auth method status_class
   https://authors none GET 2xx count=1 sum=0.0625
   https://books none GET 2xx count=1 sum=0.5
   https://books none GET 3xx count=1 sum=0
   https://books none GET 5xx count=1 sum=0.25
   https://reviews none GET 2xx count=1 sum=0
   https://reviews none GET 5xx count=2 sum=0
counter sleepwalker_attempts_total host auth method code error_type
   https://authors none GET 200 none 1
   https://books none GET 200 none 1
   https://books none GET 307 none 1
   https://books none GET 503 none 1
   https://reviews none GET 200 none 1
   https://reviews none GET 503 none 2
counter sleepwalker_retries_total host auth reason
   https://books none throttled 1
   https://reviews none status 1
counter sleepwalker_retry_wait_seconds_total host auth
   https://books none 2
   https://reviews none 0.03125
gauge sleepwalker_retry_quota_tokens host
   https://books 500
   https://reviews 486
gauge sleepwalker_breaker_state host
   https://reviews 2
gauge sleepwalker_requests_in_flight host auth
   https://authors none 0
   https://books none 0
   https://reviews none 0
gauge sleepwalker_pool_connections host auth state
   https://authors none active 0
   https://authors none idle 0
   https://books none active 0
   https://books none idle 1
   https://reviews none active 0
   https://reviews none idle 2
gauge sleepwalker_pools
   2
counter sleepwalker_pool_lookups_total host auth result
   https://authors none coalesced 1
   https://authors none hit 2
   https://authors none miss 1
   https://books none hit 3
   https://books none miss 1
   https://reviews none hit 2
   https://reviews none miss 1
   nowhere none miss 1
histogram sleepwalker_pool_wait_seconds host auth
   https://authors none count=1 sum=0.125
counter sleepwalker_pool_evictions_total host auth reason
   https://authors none idle 1
histogram sleepwalker_hook_duration_seconds host auth hook outcome
   https://authors none Declines declined count=1 sum=0
   https://authors none Vault connected count=1 sum=0.125
   https://books none Declines declined count=1 sum=0
   https://books none Vault connected count=1 sum=0.125
   https://books none Vault failed count=1 sum=0
   https://reviews none Declines declined count=1 sum=0
   https://reviews none Vault connected count=1 sum=0.125
   nowhere none Declines declined count=1 sum=0
   nowhere none Vault declined count=1 sum=0
counter sleepwalker_connect_failures_total host auth error_type
   nowhere none establishment 1
counter sleepwalker_link_follows_total host auth cross_host outcome
   https://authors none true success 1
   https://books none false success 1
   https://reviews none true error 1
counter sleepwalker_label_overflow_total
   0
counter sleepwalker_telemetry_errors_total
   0
"""


def test_the_metrics_are_these(run: Run) -> None:
    assert run.metrics() == METRICS


def test_every_family_that_has_a_name_is_among_them(run: Run) -> None:
    named = {v for v in vars(names).values() if isinstance(v, str) and v.startswith("sleepwalker_")}

    # Of each there is something to be seen: a page like this one meets with all that is counted.
    assert {line.split()[1] for line in METRICS.splitlines() if line[:1].strip()} == named
    assert [family.name for family in run.families if not family.samples] == []


EXEMPLARS: Final = """
https://authors GET 2xx: 0.0625 of at most 0.1 in 15
https://books GET 2xx: 0.5 of at most 0.5 in 08
https://books GET 3xx: 0 of at most 0.005 in 11
https://books GET 5xx: 0.25 of at most 0.25 in 07
https://reviews GET 2xx: 0 of at most 0.005 in 12
https://reviews GET 5xx: 0 of at most 0.005 in 22
"""


def test_the_exposition_leads_from_what_was_measured_to_the_attempt(run: Run) -> None:
    assert run.exemplars() == EXEMPLARS


def test_openmetrics_says_the_same_as_the_registry(run: Run) -> None:
    exposed = run.exposed()

    assert [(f.name, f.type, samples_of(f)) for f in exposed] == [
        (f.name, f.type, samples_of(f)) for f in run.families
    ]


STANDARD: Final = """
error.type='503' http.request.method='GET' http.response.status_code=503
network.protocol.version='1.1' server.address='127.0.0.1' server.port=<books>
   count=1 sum=0.25
error.type='503' http.request.method='GET' http.response.status_code=503
network.protocol.version='1.1' server.address='127.0.0.1' server.port=<reviews>
   count=2 sum=0
http.request.method='GET' http.response.status_code=200 network.protocol.version='1.1'
server.address='127.0.0.1' server.port=<authors>
   count=1 sum=0.0625
http.request.method='GET' http.response.status_code=200 network.protocol.version='1.1'
server.address='127.0.0.1' server.port=<books>
   count=1 sum=0.5
http.request.method='GET' http.response.status_code=200 network.protocol.version='1.1'
server.address='127.0.0.1' server.port=<reviews>
   count=1 sum=0
http.request.method='GET' http.response.status_code=307 network.protocol.version='1.1'
server.address='127.0.0.1' server.port=<books>
   count=1 sum=0
"""


def test_the_standard_metric_is_this(run: Run) -> None:
    assert run.standard() == STANDARD


LOG: Final = """
info hook.attempt.failed in 04
   host='https://books' auth='none' hook='Vault' attempt=1 outcome='failed' duration=0.0
   error_type='connect'
info connection.established in 02
   host='https://books' auth='none' hook='Vault' duration=0.15625
info request.retry_scheduled in 06
   host='https://books' auth='none' method='GET' attempt=1 reason='throttled' wait=2.0 status=503
   error_type='status'
debug request.completed in 06
   host='https://books' auth='none' method='GET' outcome='success' attempts=2 duration=2.75
   waited=2.0 url_template='/books/{id}' status=200
info request.redirected in 10
   host='https://books' auth='none' method='GET' status=307 target='https://reviews'
   cross_origin=True
debug request.completed in 10
   host='https://books' auth='none' method='GET' outcome='success' attempts=2 duration=0.0
   status=200
info connection.established in 24
   host='https://authors' auth='none' hook='Vault' duration=0.125
debug request.completed in 14
   host='https://authors' auth='none' method='GET' outcome='success' attempts=1 duration=0.0625
   status=200
debug link.cross_host in 13
   host='https://authors' auth='none' relation='author' outcome='success' duration=0.0625
info connection.established in 17
   host='https://reviews' auth='none' hook='Vault' duration=0.125
info request.retry_scheduled in 20
   host='https://reviews' auth='none' method='GET' attempt=1 reason='status' wait=0.03125
   status=503 error_type='status'
warning breaker.opened in 20
   host='https://reviews' auth='none' breaker='https://reviews' remaining=5.0
info request.failed in 20
   host='https://reviews' auth='none' method='GET' outcome='error' attempts=2 duration=0.03125
   waited=0.03125 status=503 error_type='status' not_retried='circuit open'
info link.cross_host in 16
   host='https://reviews' auth='none' relation='reviews' outcome='error' duration=0.15625
   error_type='status'
warning request.refused in 23
   host='https://reviews' auth='none' method='POST' outcome='refused' attempts=0 duration=0.0
   error_type='circuit_open'
warning connection.failed in 28
   host='nowhere' auth='none' hooks=2 duration=0.0 error_type='establishment'
info pool.evicted
   host='https://authors' auth='none' reason='idle'
"""


def test_the_log_is_this(run: Run) -> None:
    assert run.log() == LOG


EVENTS_OF_THE_PAGE: Final = """
HookCalled https://books none Declines 1 declined 0.0 none
HookCalled https://books none Vault 1 failed 0.0 connect
RetryQuotaChanged https://books none https://books 486
HookCalled https://books none Vault 2 connected 0.125 none
RetryQuotaChanged https://books none https://books 500
ConnectionEstablished https://books none Vault 0.15625
PoolsChanged 1
LookedUp https://books none miss 1
RequestStarted https://books none GET
AttemptFinished https://books none GET 1 0.25 503 none 127.0.0.1 <books> 1.1 in 07
RetryQuotaChanged https://books none https://books 495
RetryScheduled https://books none GET 1 throttled 2.0 503 status
AttemptFinished https://books none GET 2 0.5 200 none 127.0.0.1 <books> 1.1 in 08
RetryQuotaChanged https://books none https://books 500
RequestFinished https://books none GET /books/{id} success 2.75 2 2.0 200 none False None
RequestStarted https://books none GET
AttemptFinished https://books none GET 1 0.0 307 none 127.0.0.1 <books> 1.1 in 11
Redirected https://books none GET 307 https://reviews True
AttemptFinished https://reviews none GET 2 0.0 200 none 127.0.0.1 <reviews> 1.1 in 12
RequestFinished https://books none GET None success 0.0 2 0.0 200 none False None
LookedUp https://books none hit 1
LinkFollowed https://books none cover False success 0.0 none False
RequestStarted https://authors none GET
AttemptFinished https://authors none GET 1 0.0625 200 none 127.0.0.1 <authors> 1.1 in 15
RequestFinished https://authors none GET None success 0.0625 1 0.0 200 none False None
LookedUp https://authors none hit 1
LinkFollowed https://authors none author True success 0.0625 none False
HookCalled https://reviews none Declines 1 declined 0.0 none
HookCalled https://reviews none Vault 1 connected 0.125 none
ConnectionEstablished https://reviews none Vault 0.125
PoolsChanged 1
LookedUp https://reviews none miss 1
RequestStarted https://reviews none GET
AttemptFinished https://reviews none GET 1 0.0 503 none 127.0.0.1 <reviews> 1.1 in 21
RetryQuotaChanged https://reviews none https://reviews 486
RetryScheduled https://reviews none GET 1 status 0.03125 503 status
AttemptFinished https://reviews none GET 2 0.0 503 none 127.0.0.1 <reviews> 1.1 in 22
BreakerChanged https://reviews none https://reviews open 5.0
RequestFinished https://reviews none GET None error 0.03125 2 0.03125 503 status False circuit open
LinkFollowed https://reviews none reviews True error 0.15625 status False
RequestStarted https://reviews none POST
RequestFinished https://reviews none POST None refused 0.0 0 0.0 None circuit_open False None
LookedUp https://reviews none hit 1
HookCalled nowhere none Declines 1 declined 0.0 none
HookCalled nowhere none Vault 1 declined 0.0 none
ConnectionFailed nowhere none 2 0.0 establishment
LookedUp nowhere none miss 1
LookedUp https://books none hit 1
LookedUp https://reviews none hit 1
LookedUp https://books none hit 1
PoolEvicted https://authors none idle
PoolsChanged -1
"""
EVENTS_OF_THE_FIRST: Final = """
HookCalled https://authors none Declines 1 declined 0.0 none
HookCalled https://authors none Vault 1 connected 0.125 none
ConnectionEstablished https://authors none Vault 0.125
PoolsChanged 1
LookedUp https://authors none miss 1
"""
EVENTS_OF_THE_SECOND: Final = """
LookedUp https://authors none coalesced 1
EstablishmentAwaited https://authors none 0.125
"""


def test_an_observer_gets_these_events(run: Run) -> None:
    assert [*run.heard] == ["page", "first", "second"]
    assert run.heard_in("page") == EVENTS_OF_THE_PAGE
    assert run.heard_in("first") == EVENTS_OF_THE_FIRST
    assert run.heard_in("second") == EVENTS_OF_THE_SECOND
