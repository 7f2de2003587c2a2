"""What the demo shows: the live view in its space, plain lines, the trace's tree, the verdict."""

from __future__ import annotations

import io
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from prometheus_client import CollectorRegistry
from rich.console import Console

from sleepwalker.cli import _tree
from sleepwalker.cli.demo import summary
from sleepwalker.cli.demo.apis import NAMES, Books
from sleepwalker.cli.demo.client import DirectoryHook, HostHook
from sleepwalker.cli.demo.faults import Script
from sleepwalker.cli.demo.hosts import Host
from sleepwalker.cli.demo.ledger import HostCounts, Ledger
from sleepwalker.cli.demo.live import Live
from sleepwalker.cli.demo.logs import Log
from sleepwalker.cli.demo.meeting import Matches, Meeting
from sleepwalker.cli.demo.metrics import Metrics
from sleepwalker.cli.demo.plain import Plain
from sleepwalker.cli.demo.planted import COOKIE, Planted
from sleepwalker.cli.demo.proof import ClientCounts, Evidence, Promise, promises
from sleepwalker.cli.demo.run import view_for
from sleepwalker.cli.demo.scene import Scene, counted, milliseconds
from sleepwalker.cli.demo.tours import Toured
from sleepwalker.cli.demo.traces import Traces, interest
from sleepwalker.cli.demo.watch import Watch, percentile
from sleepwalker.cli.demo.workload import TRAVERSAL, Workload, template
from sleepwalker.connection import ConnectionManager
from sleepwalker.links import ServiceManager
from sleepwalker.observability import events

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL = events.Pool("https://127.0.0.1:4711", "basic", ("https://127.0.0.1:4711", "basic"))
MS = 1_000_000


def console(
    width: int = 100, height: int = 30, *, terminal: bool = True, term: str = "xterm"
) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=width,
        height=height,
        highlight=False,
        _environ={"TERM": term},
    )


def printed(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A scene in which something has happened."""
    planted = Planted(*NAMES)
    hosts = []
    for name in NAMES:
        api = Books({}, planted, stranger="https://127.0.0.5:1")
        api.name = name
        hosts.append(
            Host(
                api,
                "127.0.0.1",
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
                script=Script(1, name),
                ledger=Ledger(name, planted, lambda _: None),
                planted=planted,
            )
        )
    log = Log(planted)
    for number in range(50):
        log.logger.info(
            "request.retry_scheduled",
            host=hosts[0].url,
            auth="basic",
            method="GET",
            attempt=number,
            reason="protocol",
            wait=0.0123456,
            status=None,
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        )
    log.note("books: restarts")
    watch = Watch()
    watch.record(events.RequestStarted(POOL, "GET"))
    manager = ConnectionManager(registry=False, tracer_provider=False, logger=False)
    workload = Workload(
        ServiceManager(manager),
        {"books": "https://127.0.0.1:1"},
        {"https://127.0.0.1:1": "card"},
        threads=8,
        seed=1,
        tracer=TracerProvider(shutdown_on_exit=False).get_tracer("test"),
    )
    yield Scene(
        threads=8,
        seconds=20,
        faults=True,
        seed=1,
        metrics_url="http://127.0.0.1:40000/metrics",
        hosts=hosts,
        watch=watch,
        log=log,
        workload=workload,
    )
    for host in hosts:
        host.stop()
    manager.close()


# The live view


@pytest.mark.parametrize(("width", "height"), [(100, 30), (80, 24), (200, 60)])
def test_the_live_view_fills_the_terminal_and_no_more(
    scene: Scene, width: int, height: int
) -> None:
    on = console(width, height)
    lines = on.render_lines(Live(on, scene).drawn(), pad=False)
    text = ["".join(segment.text for segment in line) for line in lines]

    assert len(lines) == height - 1
    assert max(len(line) for line in text) <= width
    assert [line for line in text if "> books: restarts" in line] == text[-1:]


def test_the_live_view_shows_hosts_pools_numbers_and_the_log(scene: Scene) -> None:
    on = console()
    on.print(Live(on, scene).drawn())
    text = printed(on)

    for name in (
        *NAMES,
        "in flight",
        "p95",
        "retries",
        "a second",
        "reviews",
        "tours",
        scene.metrics_url,
    ):
        assert name in text
    assert "books basic GET attempt=49 reason=protocol wait=0.012" in text
    assert "4bf92f3577b34da6a3ce929d0e0e4736" not in text


@pytest.mark.parametrize("width", [100, 80, 60, 40])
def test_the_live_view_shows_the_metrics_url_and_each_count_whole_at_any_width(
    scene: Scene, width: int
) -> None:
    for _ in range(1234):
        scene.hosts[0].ledger.opened()
    on = console(width, terminal=False)
    on.print(Live(on, scene).drawn())
    text = printed(on)

    assert scene.metrics_url in text
    assert " down " in text
    assert " 1234 " in text


def test_the_settings_are_told_in_words(scene: Scene) -> None:
    assert scene.settings == "8 threads, faults on, seed 1"
    assert replace(scene, threads=1, faults=False).settings == "1 thread, faults off, seed 1"


def test_lines_are_shown_where_there_is_no_terminal_or_a_dumb_one(scene: Scene) -> None:
    assert isinstance(view_for(console(), scene), Live)
    assert isinstance(view_for(console(terminal=False), scene), Plain)
    assert isinstance(view_for(console(term="dumb"), scene), Plain)


def test_what_happened_to_a_host_is_a_plain_line_once(scene: Scene) -> None:
    on = console(terminal=False)
    with Plain(on, scene) as view:
        view.refresh()
        view.refresh()
        scene.log.note("authors: restarts")
    text = printed(on)

    assert text.count("books: restarts") == 1
    assert text.count("authors: restarts") == 1


# What is watched


def test_percentiles_are_values_that_so_great_a_part_does_not_exceed() -> None:
    assert percentile([], 0.95) is None
    assert percentile([3.0], 0.95) == 3.0
    assert percentile([float(n) for n in range(100, 0, -1)], 0.95) == 96.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0


def test_the_watch_counts_calls_retries_and_attempts_that_were_never_sent() -> None:
    watch = Watch()

    def retry(reason: str, error_type: str) -> None:
        watch.record(events.RetryScheduled(POOL, "GET", 1, reason, 0.1, None, error_type))

    def finished(outcome: str, error_type: str) -> None:
        watch.record(events.RequestStarted(POOL, "GET"))
        watch.record(
            events.RequestFinished(
                POOL,
                "GET",
                name=None,
                outcome=outcome,
                duration=0.25,
                attempts=1,
                waited=0.0,
                status=None,
                error_type=error_type,
                outcome_unknown=False,
            )
        )

    retry("connect", "reset")
    retry("timeout", "connect_timeout")
    retry("timeout", "read_timeout")
    retry("protocol", "reset")
    finished("success", "none")
    finished("exhausted", "refused_connection")
    watch.record(events.RequestStarted(POOL, "GET"))
    moment = watch.moment()
    [pool] = moment.pools

    assert (moment.calls, moment.succeeded, moment.in_flight, moment.unsent) == (2, 1, 1, 3)
    assert moment.retries == {"connect": 1, "timeout": 2, "protocol": 1}
    assert (pool.calls, pool.retries, pool.in_flight, pool.p95) == (2, 4, 1, 0.25)


def test_a_log_line_with_a_secret_is_counted_and_levels_below_info_are_not_shown() -> None:
    planted = Planted(*NAMES)
    log = Log(planted)
    log.logger.debug("request.completed", host="h", auth="a")
    log.logger.warning("request.failed", cookie=planted.new("books", COOKIE))

    assert (log.count, log.with_secrets) == (2, 1)
    assert [line.event for line in log.last(10)] == ["request.failed"]


def test_ids_are_matched_whichever_side_tells_first_and_only_once() -> None:
    meeting = Meeting()
    meeting.read("a")
    meeting.attempted("a")
    meeting.attempted("b")
    meeting.read("b")
    meeting.attempted("reset")
    assert meeting.matches() == Matches(matched=2, read_only=0, attempts_only=1)

    meeting.read("a")
    meeting.read("stranger")
    meeting.read("stranger")
    meeting.read(None)
    assert meeting.matches() == Matches(matched=2, read_only=4, attempts_only=1)


def test_the_name_of_a_request_is_its_path_without_numbers() -> None:
    assert template("https://127.0.0.1:4711/books/12/author?x=3") == "/books/{id}/author"
    assert template("https://127.0.0.1:4711/reviews?author=3") == "/reviews"


def test_durations_and_counts_in_words() -> None:
    assert milliseconds(None) == "-"
    assert milliseconds(1.2345) == "1,234 ms"
    assert counted({"b": 2, "a": 1234, "c": 0}, ("a",)) == "a 1,234, b 2"


# The trace


class Recorder:
    """Makes spans of known times."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._tracer = provider.get_tracer("test")

    def span(
        self,
        name: str,
        begins: int,
        ends: int,
        *inner: tuple[str, int, int, dict[str, str | int | float]],
        **attributes: str | float,
    ) -> list[ReadableSpan]:
        """A span with children, times in milliseconds; all spans so far."""
        root = self._tracer.start_span(name, start_time=begins * MS)
        root.set_attributes({key.replace("_", "."): value for key, value in attributes.items()})
        for child, child_begins, child_ends, told in inner:
            kind = SpanKind.CLIENT if child == "GET" else SpanKind.INTERNAL
            span = self._tracer.start_span(
                child, set_span_in_context(root), kind, start_time=child_begins * MS
            )
            span.set_attributes(told)
            if "error.type" in told:
                span.set_status(Status(StatusCode.ERROR))
            span.end(child_ends * MS)
        root.end(ends * MS)
        return list(self._exporter.get_finished_spans())


HOSTS = {4711: "books"}
FAILED: dict[str, str | int | float] = {"server.port": 4711, "error.type": "read_timeout"}
ANSWERED: dict[str, str | int | float] = {"server.port": 4711, "http.response.status_code": 200}


def a_trace() -> list[ReadableSpan]:
    return Recorder().span(
        TRAVERSAL,
        1000,
        1400,
        ("GET", 1300, 1400, ANSWERED),
        ("GET", 1000, 1200, FAILED),
        demo_title="Emma",
    )


def test_a_trace_is_a_tree_in_the_order_of_time_with_timings() -> None:
    rows = _tree.rows(a_trace(), HOSTS)

    assert [(row.branches, row.name, row.detail, row.failed) for row in rows] == [
        ("", TRAVERSAL, "", False),
        ("├─ ", "GET", "books read_timeout", True),
        ("└─ ", "GET", "books 200", False),
    ]
    assert [(row.begins, row.lasts) for row in rows] == [(0, 400), (0, 200), (300, 100)]


@pytest.mark.parametrize(
    ("name", "attributes", "detail"),
    [
        (
            "sleepwalker.connect",
            {"sleepwalker.host": "https://127.0.0.1:4711", "sleepwalker.auth": "basic"},
            "books basic",
        ),
        (
            "sleepwalker.connect",
            {"sleepwalker.auth": "basic", "sleepwalker.lookup": "coalesced"},
            "basic (another thread's)",
        ),
        (
            "sleepwalker.hook",
            {"sleepwalker.hook.name": "ReadyHook", "sleepwalker.outcome": "failed"},
            "ReadyHook failed",
        ),
        (
            "sleepwalker.follow",
            {
                "sleepwalker.link.relation": "author",
                "sleepwalker.link.source_host": "https://127.0.0.2:1",
                "sleepwalker.link.target_host": "https://127.0.0.1:4711",
            },
            "author at books",
        ),
        (
            "sleepwalker.request",
            {"sleepwalker.host": "https://127.0.0.1:4711", "sleepwalker.waited": 1.25},
            "books waited 1250 ms",
        ),
    ],
)
def test_a_row_says_in_few_words_what_its_span_was_about(
    name: str, attributes: dict[str, str | int | float], detail: str
) -> None:
    rows = _tree.rows(Recorder().span("root", 0, 9, (name, 0, 1, attributes)), HOSTS)

    assert rows[1].detail == detail


def test_a_drawn_trace_has_a_bar_where_and_as_long_as_each_span_was() -> None:
    on = console(100, terminal=False)
    on.print(summary.trace(a_trace(), {"books": "https://127.0.0.1:4711"}, MARKS, 100))
    lines = [line.rstrip() for line in printed(on).splitlines()]

    assert [" ".join(line.partition(" ms ")[0].split()) for line in lines[-3:]] == [
        "traversal Emma: book, author, reviews, a new review 400.0",
        "├─ GET books read_timeout 200.0",
        "└─ GET books 200 100.0",
    ]
    assert [line.partition(" ms ")[2] for line in lines[-3:]] == [
        "━" * 22,
        "━" * 11,
        " " * 16 + "━" * 6,
    ]


def test_a_drawn_trace_has_no_bars_where_there_is_no_room_but_all_else() -> None:
    on = console(40, terminal=False)
    on.print(summary.trace(a_trace(), {"books": "https://127.0.0.1:4711"}, MARKS, 40))

    assert [" ".join(line.split()) for line in printed(on).splitlines()[-4:]] == [
        "traversal Emma: book, author, 400.0 ms",
        "reviews, a new review",
        "├─ GET books read_timeout 200.0 ms",
        "└─ GET books 200 100.0 ms",
    ]


def test_a_run_without_a_traversal_says_so() -> None:
    on = console(60, terminal=False)
    on.print(summary.trace([], {}, MARKS, 60))

    assert "No traversal was finished" in printed(on)


def test_the_trace_that_shows_most_is_kept_and_every_span_searched_and_matched() -> None:
    planted, meeting = Planted(*NAMES), Meeting()
    traces = Traces(planted, meeting)
    tracer = traces.provider.get_tracer("test")

    def traverse(*errors: str, root: str = TRAVERSAL) -> None:
        with tracer.start_as_current_span(root):
            for error in errors:
                with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT) as span:
                    span.set_attribute("error.type", error)

    traverse("reset")
    traverse("reset", "timeout")
    traverse("reset")
    traverse("reset", "timeout", "closed", root="something else")
    with tracer.start_as_current_span("alone") as span:
        span.set_attribute("url.full", f"https://x/?{planted.new('books', COOKIE)}")
    traces.provider.shutdown()

    assert [span.name for span in traces.best()] == ["GET", "GET", TRAVERSAL]
    assert (traces.count, traces.with_secrets) == (12, 1)
    assert meeting.matches().attempts_only == 7


def test_a_trace_with_hooks_is_more_interesting_and_one_too_long_is_not() -> None:
    plain = Recorder().span(TRAVERSAL, 0, 9)
    hooked = Recorder().span(TRAVERSAL, 0, 9, ("sleepwalker.hook", 0, 1, {}))
    long = Recorder().span(TRAVERSAL, 0, 9, *[("sleepwalker.hook", 0, 1, {})] * 40)

    assert interest(hooked) > interest(plain) > interest(long) == 0.0


# The verdict


MARKS = summary.Marks.for_encoding("utf-8")
KEPT = Promise("Kept", True, "1 of 1")  # noqa: FBT003 - the one thing it is about
BROKEN = Promise("Broken", False, "0 of 1")  # noqa: FBT003 - as above
UNTRIED = Promise("Not tried", None, "0 of 0")


@pytest.mark.parametrize(
    ("promised", "lines"),
    [
        ([KEPT], ["✓ Kept 1 of 1", "All 1 promises were kept, in 3 s"]),
        ([KEPT, BROKEN], ["✗ Broken 0 of 1", "1 promise was BROKEN, in 3 s"]),
        ([BROKEN, BROKEN], ["2 promises were BROKEN, in 3 s"]),
        (
            [KEPT, UNTRIED],
            [
                "? Not tried 0 of 0",
                "but 1 promise was not tried, in 3 s: run it longer, or with more threads",
            ],
        ),
    ],
)
def test_the_verdict_marks_each_promise_and_ends_with_the_result(
    promised: list[Promise], lines: list[str]
) -> None:
    on = console(terminal=False)
    evidence = Evidence(client=ClientCounts(), hosts=())
    on.print(summary.verdict(promised, evidence, "in 3 s", MARKS, 100))
    text = " ".join(printed(on).split())

    assert [line for line in lines if line not in text] == []


@pytest.mark.parametrize("width", [100, 80, 40])
def test_the_verdict_has_every_sign_and_number_at_any_width(width: int) -> None:
    on = console(width, terminal=False)
    promised = promises(Evidence(client=ClientCounts(calls=1_234_567), hosts=()))
    evidence = Evidence(client=ClientCounts(), hosts=())
    on.print(summary.verdict(promised, evidence, "in 3 s", MARKS, width))
    lines = printed(on).splitlines()

    assert [line[0] for line in lines if line[:1] in set("✓✗?")] == [
        {True: "✓", False: "✗", None: "?"}[promise.kept] for promise in promised
    ]
    assert "1,234,567 calls" in printed(on)
    assert "…" not in "".join(lines[2:])


@pytest.mark.parametrize("width", [100, 80, 40])
def test_the_pools_are_shown_with_what_became_of_every_hook_at_any_width(width: int) -> None:
    url, registry = "https://127.0.0.1:4711", CollectorRegistry()
    with ConnectionManager(
        hooks=[DirectoryHook(), HostHook("*", {url: "reader"}, registry=False)],
        registry=registry,
        tracer_provider=False,
        logger=False,
    ) as manager:
        manager.find(url, ("user", "password"))
    on = console(width, terminal=False)
    on.print(summary.pools(Metrics(registry), {"books": url}))
    _, _, head, *rows = printed(on).splitlines()
    cells = "".join(row[head.index("hooks") :] for row in rows)

    assert cells.replace(" ", "") == "DirectoryHookdeclined1;HostHookconnected1"


@pytest.mark.parametrize("width", [100, 40])
def test_tours_are_told_with_each_kind_of_refusal_and_what_it_says(width: int) -> None:
    toured = Toured(
        1,
        32,
        {"seller: LinkCredentialsError": 12},
        {"seller: LinkCredentialsError": "no credentials for https://127.0.0.5:1"},
    )
    host = HostCounts(name="books", url="u")
    on = console(width, terminal=False)
    on.print(summary.tours(toured, Evidence(client=ClientCounts(), hosts=(host, host, host))))
    text = " ".join(printed(on).split())

    assert "1 tour over 3 hosts: 32 resources visited, 12 links refused" in text
    assert "seller: LinkCredentialsError (12) no credentials for https://127.0.0.5:1" in text


def test_the_verdict_tells_the_errors_there_were() -> None:
    on = console(terminal=False)
    evidence = Evidence(
        client=ClientCounts(failures=("HTTPNotFound: no such book",)),
        hosts=(HostCounts(name="books", url="u", errors=("books: KeyError: 'id'",)),),
    )
    on.print(summary.verdict([BROKEN], evidence, "in 3 s", MARKS, 100))

    assert "HTTPNotFound: no such book" in printed(on)
    assert "books: KeyError: 'id'" in printed(on)


def test_an_output_without_fine_signs_gets_plain_ones() -> None:
    marks = summary.Marks.for_encoding("ascii")

    assert (marks.kept, marks.broken, marks.untried) == ("ok", "NO", "?")
    assert summary.Marks.for_encoding("no such encoding") == marks
