"""The demo, run for real as a process of its own: what it prints, serves, proves, and how it ends.

Rule: the process is told apart from its promises: what it says of itself is checked against what
can be seen from outside (its exit code, `/metrics`, the bytes it printed).
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families

from sleepwalker.cli._app import demo
from sleepwalker.cli.demo.ratings import ADDRESS
from sleepwalker.observability import names
from tests.cli.traversals import mistakes, traces
from tests.left_open import LEFT_OPEN_BY_SSL
from tests.servers import OtlpCollector, ReceivedSpan, ScriptedServer, refused_port, respond, stall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.samples import Sample

PROMISES = 15
STATUS = "http.response.status_code"
FULL = Path("/dev/full")
NUMBERS = re.compile(r"^ *\d+\.\d s  [\d,]+ calls \(", re.MULTILINE)
"""A plain line with numbers."""
BUSY = re.compile(r"[1-9]\d+ reviews")
"""A plain line once every host has had its share."""

RUN = "from sleepwalker.cli import main; main()"

TELL_ALL = f"""
import json, os, re
from pathlib import Path
from sleepwalker.cli.demo import ledger, metrics, planted
told = Path(os.environ["TOLD"])
class TellingPlanted(planted.Planted):
    def new_pair(self, owner):
        pair = super().new_pair(owner)
        told.joinpath("needles").write_text(json.dumps(self.needles), encoding="utf-8")
        return pair
class TellingLedger(ledger.Ledger):
    def read(self, text, span_id):
        super().read(text, span_id)
        for parent in re.findall("(?im)^traceparent: 00-(.+)-(.+)-..$", text):
            with told.joinpath("read").open("a", encoding="utf-8") as file:
                print(*parent, file=file)
class TellingMetrics(metrics.Metrics):
    def __init__(self, registry, **options):
        super().__init__(registry, **options)
        told.joinpath("metrics").write_text(self.text, encoding="utf-8")
planted.Planted, ledger.Ledger, metrics.Metrics = TellingPlanted, TellingLedger, TellingMetrics
{RUN}
"""
"""The demo, which also writes down what its secrets can be told by, the trace and span of each
request that a host read, and its metrics at the end."""

LEAK = f"""
from sleepwalker.cli.demo import client
from sleepwalker.cli.demo.apis import ERRAND
from sleepwalker.links._crossing import Crossing
class Leaking(client.HostHook):
    def connect(self, host, auth):
        conn = super().connect(host, auth)
        if conn is not None:
            conn.add_headers({{"X-Others": " ".join(self._readers.values())}})
        return conn
client.HostHook = Leaking
def headers(self, headers, *, same_origin):
    return {{name: value for name, value in headers.items() if same_origin or name != ERRAND}}
def auth(self, origin, *, anonymous, sends):
    others = self.origin(next(iter(self.by_pattern)))
    return self.registered(origin) or self.registered(others), True
Crossing.headers, Crossing.auth = headers, auth
{RUN}
"""
"""The demo with a client that tells each host the others' header, takes along over links just what
it should not, and shows a stranger who it is to another host."""

INTERRUPTED_IMPORTS = f"""
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "sleepwalker.cli.demo.run":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
{RUN}
"""
"""The demo with a Ctrl-C before it has begun."""

TAKE_AWAY = """
import sys
class Away:
    def find_spec(self, name, path=None, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Away())
{run}
"""
"""The demo where a module is not installed."""

WARNINGS = ["-W", "always::ResourceWarning"]
"""What is told of files and sockets that are left open."""
for each in LEFT_OPEN_BY_SSL:
    WARNINGS += ["-W", each]


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str


@contextmanager
def started(
    *options: str,
    code: str = RUN,
    out: int | IO[bytes] = subprocess.PIPE,
    environ: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start the demo; end it at the latest with the block."""
    process = subprocess.Popen(
        [sys.executable, *WARNINGS, "-c", code, "demo", *options],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "", "LINES": "", **(environ or {})},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ran(*options: str, code: str = RUN) -> Ended:
    """Run the demo to its end."""
    with started(*options, code=code) as process:
        return ended(process)


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a run."""
    out, err = process.communicate(timeout=50)
    return Ended(process.returncode, out, err)


def read_until(process: subprocess.Popen[str], pattern: re.Pattern[str]) -> str:
    """Read lines until one matches; all that was read."""
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if pattern.search(line):
            return read
    pytest.fail(f"ended before {pattern.pattern!r}: {read}")


def kept(out: str) -> int:
    """How many promises have a tick."""
    return len(re.findall(r"^✓ ", out, re.MULTILINE))


# One run, seen from all sides

SEED, THREADS = 701_569, 6
"""With these, the first book of every thread is one whose author is a redirect away, and the first
request that the authors' host gets, which is for a token, is reset: one traversal has all of it."""


class Told(NamedTuple):
    """A run that told all: to its terminal, on `/metrics`, to a collector, and on the side."""

    code: int
    out: str
    err: str
    scraped: str
    """What `/metrics` served meanwhile."""
    collector: OtlpCollector
    url: str
    """The collector's."""
    needles: list[str]
    read: list[tuple[str, ...]]
    """The trace and span of each request that a host read."""
    metrics: list[Sample]

    @property
    def attempts(self) -> list[ReceivedSpan]:
        """The spans of attempts."""
        return [span for span in self.collector.spans if span.kind == "CLIENT"]

    def numbers(self, pattern: str) -> list[int]:
        """The numbers in the one place of the output that matches."""
        [found] = re.findall(pattern.replace("#", r"([\d,]+)"), self.out)
        return [int(number.replace(",", "")) for number in found]

    def counted(self, name: str, *labels: str) -> Counter[tuple[str, ...]]:
        """The metric of this name, summed by these labels, but for the host beside the proof."""
        counts: Counter[tuple[str, ...]] = Counter()
        for sample in self.metrics:
            if sample.name == name and sample.value and ADDRESS not in sample.labels["host"]:
                counts[tuple(sample.labels[label] for label in labels)] += int(sample.value)
        return counts


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A run of four seconds."""
    folder = tmp_path_factory.mktemp("told")
    collector = OtlpCollector()
    options = ("--seconds", "4", "--seed", str(SEED), "--threads", str(THREADS))
    with (
        ScriptedServer(collector) as server,
        started(
            *options, "--otlp", server.url, code=TELL_ALL, environ={"TOLD": str(folder)}
        ) as process,
    ):
        out = read_until(process, NUMBERS)
        [url] = re.findall(r"^  metrics  (http://127\.0\.0\.1:\d+/metrics)$", out, re.MULTILINE)
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - loopback, plain http
            scraped = response.read().decode()
        rest, err = process.communicate(timeout=50)
        return Told(
            code=process.returncode,
            out=out + rest,
            err=err,
            scraped=scraped,
            collector=collector,
            url=server.url,
            needles=json.loads((folder / "needles").read_text(encoding="utf-8")),
            read=[tuple(line.split()) for line in (folder / "read").read_text().splitlines()],
            metrics=[
                sample
                for family in text_string_to_metric_families((folder / "metrics").read_text())
                for sample in family.samples
            ],
        )


def test_without_a_terminal_it_prints_plain_lines_and_proves_every_promise(told: Told) -> None:
    out = told.out

    assert (told.code, told.err) == (0, "")
    assert kept(out) == PROMISES
    assert f"All {PROMISES} promises were kept" in out
    assert "\x1b" not in out
    assert len(NUMBERS.findall(out)) >= 4
    assert re.findall(r"s  (\w+): restarts$", out, re.MULTILINE) == ["books", "authors", "reviews"]
    for reason in ("timeout", "connect", "protocol", "throttled", "auth"):
        assert re.search(rf"\b{reason} [1-9]", out), reason
    assert len(re.findall(r"s  ratings: goes away for a while$", out, re.MULTILINE)) == 1
    assert re.search(r"^ratings at .*: \d+ calls \(answered [1-9]", out, re.MULTILINE)
    assert re.search(r"^traversal .*ms", out, re.MULTILINE)
    assert re.search(r"ReadyHook\s+failed\s+\d+,\s+connected\s+1\b", out)
    assert re.search(r"^sleepwalker_attempts_total\{.*\} \d", told.scraped, re.MULTILINE)


def test_no_secret_is_told_to_the_terminal_the_metrics_or_the_collector(told: Told) -> None:
    everything = f"{told.out}{told.scraped}{told.collector.spans}{told.collector.points}"

    assert len(told.needles) == 4 * 4 + 2
    assert [needle for needle in told.needles if needle in everything] == []


def test_all_spans_and_metrics_arrive_at_the_collector(told: Told) -> None:
    spans, points = told.collector.spans, sum(len(points) for points in told.collector.points)

    assert f"\nOTLP to {told.url}: {len(spans):,} of {len(spans):,} spans, " in told.out
    assert told.numbers("# of # metric points") == [points, points]
    assert told.collector.mistakes == []
    assert {span.service for span in spans} == {"sleepwalker-demo"}
    assert {span.scope for span in spans} == {"sleepwalker", "sleepwalker.demo"}
    assert len({span.span_id for span in spans}) == len(spans)


def test_every_span_hangs_where_it_belongs_in_the_trace_of_a_traversal(told: Told) -> None:
    arrived = traces(told.collector.spans)

    assert [(trace.outline(trace.root), m) for trace in arrived if (m := mistakes(trace))] == []
    asked, created, _ = told.numbers("# asked, # created, # sent again")
    assert sum(trace.whole for trace in arrived) == asked == created
    [tours, *_] = told.numbers(r"# tours?, # visits, # resources asked for")
    assert sum(trace.is_tour for trace in arrived) == tours > 0
    assert len(arrived) <= asked + THREADS + tours


def test_one_trace_goes_from_book_through_author_to_reviews_with_all_that_happened(
    told: Told,
) -> None:
    spans = {span.span_id: span for span in told.collector.spans}
    arrived = traces(spans.values())
    token = min((s for s in spans.values() if s.name == "POST /token"), key=lambda s: s.begins)

    [trace] = [trace for trace in arrived if trace.root.trace_id == token.trace_id]

    assert trace.whole
    assert mistakes(trace) == []
    ports = [
        attempt.attributes["server.port"] for attempt in trace.spans if attempt.kind == "CLIENT"
    ]
    assert len(set(ports)) == 3
    author = trace.below(trace.follows[0])[-1]
    [redirect] = [s for s in trace.below(author) if s.attributes.get(STATUS) == 307]
    assert redirect.name == "GET /books/{id}/author"
    establishment, call = [s for s in trace.below(author) if s.name != "GET" and s is not redirect]
    assert trace.outline(establishment) == [
        "sleepwalker.connect miss",
        "  sleepwalker.hook DirectoryHook declined",
        "  sleepwalker.hook ReadyHook declined",
        "  sleepwalker.hook HostHook connected",
    ]
    # A host that drops a request unread resets its connection, or closes it, as it comes.
    assert [line.replace("reset", "closed") for line in trace.outline(call)] == [
        "sleepwalker.request success 200",
        "  POST /token closed",
        "  POST /token 200 #1",
    ]


def test_every_request_that_a_host_read_carried_the_ids_of_a_span_that_arrived(told: Told) -> None:
    attempts = {(span.trace_id, span.span_id) for span in told.attempts}

    total, read, unread, unsent = told.numbers(r"# = # read \+ # unread \+ # never sent")
    assert len(told.read) == len(set(told.read)) == read
    assert set(told.read) - attempts == set()
    assert len(attempts) == total == read + unread + unsent


def test_the_standard_metric_agrees_with_the_spans_and_with_ours(told: Told) -> None:
    points = told.collector.points[-1]
    standard: Counter[tuple[str, ...]] = Counter()
    for point in points:
        standard[_wire(point.attributes)] += point.count

    assert {(point.name, point.unit, point.service) for point in points} == {
        ("http.client.request.duration", "s", "sleepwalker-demo")
    }
    assert {point.bounds for point in points} == {names.CLIENT_DURATION_BUCKETS}
    assert standard == Counter(_wire(span.attributes) for span in told.attempts)
    assert standard == told.counted("sleepwalker_attempts_total", "host", "method", "code")
    known = {span.trace_id for span in told.collector.spans}
    assert {trace_id for point in points for trace_id, _ in point.exemplars} - known == set()


def test_retries_hooks_and_links_are_as_many_spans_as_the_metrics_count(told: Told) -> None:
    spans = told.collector.spans

    calls, retries, redirects = told.numbers(r"# calls \+ # retries \+ # redirects")
    resent = [span for span in told.attempts if "http.request.resend_count" in span.attributes]
    assert len(resent) == retries + redirects
    assert sum(span.name == "sleepwalker.request" for span in spans) == calls
    assert Counter(
        (span.attributes["sleepwalker.hook.name"], span.attributes["sleepwalker.outcome"])
        for span in spans
        if span.name == "sleepwalker.hook"
    ) == told.counted("sleepwalker_hook_duration_seconds_count", "hook", "outcome")
    assert Counter(
        (
            # What is refused leads nowhere.
            str(span.attributes.get("sleepwalker.link.cross_host", False)).lower(),
            span.attributes["sleepwalker.outcome"],
        )
        for span in spans
        if span.name == "sleepwalker.follow"
    ) == told.counted("sleepwalker_link_follows_total", "cross_host", "outcome")


def _wire(attributes: Mapping[str, Any]) -> tuple[str, str, str]:
    """The host, method and code of an attempt."""
    return (
        f"https://{attributes['server.address']}:{attributes['server.port']}",
        attributes["http.request.method"],
        str(attributes.get(STATUS, "none")),
    )


# A collector that is none


def test_a_collector_that_is_none_changes_neither_the_exit_code_nor_what_else_is_told() -> None:
    options = ("--seconds", "1", "--faults", "off", "--threads", "3")
    with (
        refused_port() as port,
        ScriptedServer(respond(500)) as failing,
        ScriptedServer(stall()) as stalling,
        ExitStack() as stack,
    ):
        down = f"http://user:t0ken@127.0.0.1:{port}"
        runs = [
            stack.enter_context(started(*options, "--otlp", url))
            for url in (down, failing.url, stalling.url)
        ]
        ends = [ended(run) for run in runs]

    told = [re.findall(r"^OTLP to (.+): 0 of .+; (.+?) *$", end.out, re.MULTILINE) for end in ends]
    assert told == [
        [(f"http://127.0.0.1:{port}", "no connection")],
        [(failing.url, "status 500")],
        [(stalling.url, "no answer in time")],
    ]
    for end in ends:
        # On a machine that is busy, too little may happen in a second for a promise to be tried.
        code = 0 if f"All {PROMISES} promises were kept" in end.out else 1
        assert (end.code, end.err) == (code, "")
        assert re.findall(r"^✗ ", end.out, re.MULTILINE) == []
        assert "t0ken" not in end.out
        [took] = re.findall(r" in ([\d.]+) s(?:: run it longer.*)?$", end.out, re.MULTILINE)
        assert float(took) < 15


# How it ends


def test_without_faults_nothing_is_retried_and_every_promise_is_kept() -> None:
    end = ran("--seconds", "1", "--faults", "off", "--threads", "3", "--seed", "5")

    assert (end.code, end.err) == (0, "")
    assert kept(end.out) == PROMISES
    assert "3 threads, faults off, seed 5" in end.out
    assert "retries: none" in end.out
    assert re.search(r"([\d,]+) = \1 read \+ 0 unread \+ 0 never sent", end.out)
    assert "DirectoryHook" in end.out


def test_ctrl_c_ends_it_early_with_the_summary() -> None:
    with started("--seconds", "3600") as process:
        read_until(process, BUSY)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (130, "")
    assert kept(out) == PROMISES
    assert "cut short by SIGINT" in out


def test_being_terminated_ends_it_early_with_the_summary() -> None:
    with started("--seconds", "3600", "--faults", "off") as process:
        read_until(process, BUSY)
        process.terminate()
        out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (143, "")
    assert kept(out) == PROMISES
    assert "cut short by SIGTERM" in out


def test_being_hung_up_on_ends_it_early_with_the_summary(tmp_path: Path) -> None:
    environ = {"TMPDIR": str(tmp_path)}
    # Under nohup, tests and all that they start would not be hung up on.
    heard = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); {RUN}"
    options = ("--seconds", "3600", "--faults", "off")
    with started(*options, environ=environ, code=heard) as process:
        read_until(process, BUSY)
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (129, "")
    assert kept(out) == PROMISES
    assert "cut short by SIGHUP" in out
    assert list(tmp_path.iterdir()) == []


def test_with_nohup_being_hung_up_on_changes_nothing() -> None:
    nohup = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); {RUN}"
    with started("--seconds", "2", "--faults", "off", code=nohup) as process:
        read_until(process, NUMBERS)
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (0, "")
    assert f"All {PROMISES} promises were kept" in out


def test_ctrl_c_before_it_has_begun_ends_it_without_a_word() -> None:
    end = ran(code=INTERRUPTED_IMPORTS)

    assert end == (-signal.SIGINT, "", "")


def test_a_second_ctrl_c_ends_it_at_once_and_leaves_no_files(tmp_path: Path) -> None:
    with started("--seconds", "3600", environ={"TMPDIR": str(tmp_path)}) as process:
        read_until(process, NUMBERS)
        files = list(tmp_path.glob("sleepwalker-demo-*/*"))
        # Stopped meanwhile, it finds both signals when it goes on: one of each kind is kept.
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=10)

    assert process.returncode in {130, 143}
    assert err == ""
    assert "promises" not in out
    assert [path.name for path in files] == ["authority.pem"]
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_draws_in_place_and_then_proves_every_promise() -> None:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    shown = bytearray()

    def read() -> None:
        # A terminal whose last user has gone gives an error (Linux) or nothing (others).
        try:
            while data := os.read(controller, 65536):
                shown.extend(data)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()
    with (
        os.fdopen(terminal, "wb") as out,
        started("--seconds", "2", out=out, environ={"TERM": "xterm-256color"}) as process,
    ):
        _, err = process.communicate(timeout=50)
    reader.join(10)
    os.close(controller)
    text = shown.decode()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")

    assert (process.returncode, err) == (0, "")
    assert "\x1b[?25l" in text  # the cursor goes
    assert text.count("\x1b[1A") > 30  # it is drawn again and again
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # and is back in the end
    assert "in flight" in plain
    assert "request.retry_scheduled" in plain
    assert "https://127.0.0.3:" in plain
    assert kept(plain) == PROMISES
    assert plain.rstrip().splitlines()[-1].startswith(f"All {PROMISES} promises were kept")
    assert max(len(line) for line in plain.splitlines()) <= 100


def test_it_ends_when_its_terminal_has_gone_and_leaves_no_files(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    environ = {"TERM": "xterm-256color", "TMPDIR": str(tmp_path)}
    with (
        os.fdopen(terminal, "wb") as out,
        started("--seconds", "3600", out=out, environ=environ) as process,
    ):
        shown = os.read(controller, 1)
        out.close()
        os.close(controller)
        _, err = process.communicate(timeout=50)

    assert shown == b"\x1b"
    assert process.returncode == 129
    assert err == "sleepwalker: the output can't be written: Input/output error\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_an_output_that_can_not_be_written_is_told_in_one_line() -> None:
    with FULL.open("wb") as full, started("--seconds", "3600", out=full) as process:
        _, err = process.communicate(timeout=50)

    assert process.returncode == 74
    assert err == "sleepwalker: the output can't be written: No space left on device\n"


def test_a_client_that_breaks_promises_is_found_out_by_each_that_it_breaks() -> None:
    end = ran("--seconds", "1", "--faults", "off", code=LEAK)

    assert (end.code, end.err) == (1, "")
    assert re.findall(r"^✗ (.+?)  +\d", end.out, re.MULTILINE) == [
        "Every tour visited each resource once",
        "No credential reached the wrong host",
        "No custom header reached the wrong host",
        "No caller's header reached the wrong host",
        "The one header that may cross came along",
        "Links that must not be followed were refused",
    ]
    assert kept(end.out) == PROMISES - 6
    assert "6 promises were BROKEN" in end.out


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        end = ran("--port", str(port))

    assert (end.code, end.out) == (2, "")
    assert re.fullmatch(rf"sleepwalker: port {port} for /metrics can't be had: .+\n", end.err)


def test_it_ends_quietly_when_nobody_reads_its_output() -> None:
    with started("--seconds", "3600", "--faults", "off") as process:
        read_until(process, re.compile("metrics"))
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=20)
        assert process.stderr is not None
        err = process.stderr.read()

    assert (process.returncode, err) == (1, "")


def test_without_a_standard_output_it_proves_the_same() -> None:
    end = ran("--seconds", "1", "--faults", "off", code=f"import sys; sys.stdout = None; {RUN}")

    assert end == (0, "", "")


def test_the_help_tells_every_exit_code_and_what_it_means() -> None:
    end = ran("--help")
    text = " ".join(end.out.split())

    assert (end.code, end.err) == (0, "")
    for told in (
        "0 if every promise was kept",
        "1 if one was broken, or not tried",
        "130 if none was broken",
        "143 after SIGTERM",
        "129 after SIGHUP",
        "2 for options that can't be used",
        "74 if the output can't be written",
    ):
        assert told in text


def test_a_collectors_url_that_can_not_be_used_is_an_error_that_does_not_repeat_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as raised:
        demo(otlp="127.0.0.1:4318/t0ken")

    assert raised.value.exit_code == 2
    assert capsys.readouterr() == (
        "",
        "sleepwalker: --otlp takes the base URL of a collector, like http://127.0.0.1:4318\n",
    )


def test_an_option_that_can_not_be_used_is_an_error_that_names_it() -> None:
    end = ran("--faults", "maybe")

    assert end.code == 2
    assert "--faults" in end.err
    assert "Traceback" not in end.err


@pytest.mark.parametrize(
    "missing", ["typer", "rich", "trustme", "opentelemetry.sdk", "opentelemetry.exporter"]
)
def test_without_an_extra_it_says_in_one_line_what_to_install(missing: str) -> None:
    end = ran("--otlp", "http://127.0.0.1:4318", code=TAKE_AWAY.format(missing=missing, run=RUN))

    assert (end.code, end.out) == (1, "")
    assert end.err == (
        f"sleepwalker: {missing} is not installed; in a checkout, run: pip install '.[cli]'\n"
    )
