"""The demo from start to end: hosts, client, workload, views, and the proof.

Rules:

1. What was started is stopped, in the reverse order, however the demo ends.
2. The first Ctrl-C (or SIGTERM, or SIGHUP unless it is ignored, as by `nohup`) ends the run early:
   calls that were begun end, and the summary follows. The second one ends it at once.
3. Nothing of this machine's settings (proxies, netrc, OpenTelemetry's variables) counts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import prometheus_client
import trustme
from opentelemetry import propagate
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sleepwalker.cli.demo import ratings, summary
from sleepwalker.cli.demo.apis import (
    NAMES,
    REVIEWS,
    STRANGER,
    Authors,
    Books,
    Reviews,
    Stranger,
)
from sleepwalker.cli.demo.client import Client
from sleepwalker.cli.demo.faults import Script
from sleepwalker.cli.demo.hosts import Host
from sleepwalker.cli.demo.ledger import Ledger
from sleepwalker.cli.demo.live import Live
from sleepwalker.cli.demo.logs import Log
from sleepwalker.cli.demo.meeting import Meeting
from sleepwalker.cli.demo.metrics import Metrics
from sleepwalker.cli.demo.plain import Plain
from sleepwalker.cli.demo.planted import Planted
from sleepwalker.cli.demo.proof import ClientCounts, Evidence, Searched, promises
from sleepwalker.cli.demo.scene import Scene
from sleepwalker.cli.demo.timetable import Happening, Timetable
from sleepwalker.cli.demo.traces import Traces
from sleepwalker.cli.demo.watch import Watch
from sleepwalker.cli.demo.workload import Workload
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from rich.console import Console

    from sleepwalker.cli.demo.apis import Api
    from sleepwalker.cli.demo.otlp import Collector, Exported, Exporting
    from sleepwalker.cli.demo.tours import Toured

SERVICE = "sleepwalker-demo"
"""The name under which a tracing backend has the demo."""
ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
STRANGE_ADDRESS = "127.0.0.5"
PATIENCE = 20.0
"""Seconds that the calls under way get to end: more than the policy's deadline."""
SOCKETS_CLOSE = 3.0
"""Seconds that hosts get to see that the client has closed its sockets."""

KEPT, BROKEN = 0, 1
SIGNALLED = 128
"""Added to the signal's number, as shells do: 130 after Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    seconds: float
    threads: int
    faults: bool
    port: int
    seed: int
    collector: Collector | None = None
    """Where traces and metrics go besides."""


class PortInUseError(Exception):
    """The port for /metrics can't be had."""


def run(
    options: Options,
    console: Console,
    ended: Callable[[Evidence, ratings.Aside], None] | None = None,
) -> int:
    """Run the demo.

    :param ended: called with what all sides have counted, when all is over and `/metrics` is still
        served
    :returns: the exit code: 0 when every promise was kept, 1 when one was broken (or, in a run that
        was not cut short, not tried), 128 + the signal's number when the run was cut short
    :raises PortInUseError: when the port for /metrics can't be had
    :raises OutputError: when the console can't be written to; what was started is stopped then too
    """
    began = time.monotonic()
    with _Interrupts() as interrupts, contextlib.ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="sleepwalker-demo-", ignore_cleanup_errors=True)
        stack.callback(folder.cleanup)
        interrupts.urgent.callback(folder.cleanup)
        interrupts.urgent.callback(console.show_cursor)
        stage = _Stage(options, Path(folder.name), stack)
        stage.play(console, interrupts)
        (evidence, metrics), aside = stage.evidence(), stage.side.counts()
        if ended is not None:
            ended(evidence, aside)
        marks = summary.Marks.for_encoding(console.encoding)
        promised = promises(evidence)
        took = f"in {time.monotonic() - began:.1f} s"
        if interrupts.signal is not None:
            took += f", cut short by {interrupts.signal.name}"
        console.print(
            summary.trace(stage.traces.best(), stage.urls, marks, console.width),
            summary.counts(evidence),
            summary.pools(metrics, stage.urls),
            summary.tours(stage.toured(), evidence),
            summary.beside(aside),
            *([] if (exported := stage.exported()) is None else [summary.exported(exported)]),
            summary.verdict(promised, evidence, took, marks, console.width),
        )
    if any(promise.kept is False for promise in promised):
        return BROKEN
    if interrupts.signal is not None:
        return SIGNALLED + interrupts.signal
    return KEPT if all(promise.kept for promise in promised) else BROKEN


def view_for(console: Console, scene: Scene) -> Plain | Live:
    """What shows the scene: lines where there is no terminal, or one that can't move its cursor."""
    plain = not console.is_terminal or console.is_dumb_terminal
    return Plain(console, scene) if plain else Live(console, scene)


class _Interrupts:
    """The first signal sets an event, the second ends the process.

    :ivar urgent: what is done even then
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.event = threading.Event()
        self.urgent = contextlib.ExitStack()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if which is signal.SIGHUP and signal.getsignal(which) is signal.SIG_IGN:
                    continue
                self._previous[which] = signal.signal(which, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for which, handler in self._previous.items():
            signal.signal(which, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            try:
                self.urgent.close()
            finally:
                os._exit(SIGNALLED + number)
        self.signal = signal.Signals(number)
        self.event.set()


@contextlib.contextmanager
def _own_opentelemetry() -> Iterator[None]:
    """Let no variable of this machine's switch the SDK off, or choose other headers."""
    variables = {key: value for key, value in os.environ.items() if key.startswith("OTEL_")}
    propagator = propagate.get_global_textmap()
    for key in variables:
        del os.environ[key]
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    try:
        yield
    finally:
        propagate.set_global_textmap(propagator)
        os.environ.update(variables)


def _tls(file: Path) -> ssl.SSLContext:
    """All hosts' context; the certificate authority goes into the file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*ADDRESSES, ratings.ADDRESS, STRANGE_ADDRESS).configure_cert(context)
    return context


class _Urls(Mapping[str, str]):
    """The hosts' URLs by name, which their APIs are given before there are hosts."""

    def __init__(self) -> None:
        self._hosts: dict[str, Host] = {}

    def add(self, host: Host) -> None:
        self._hosts[host.name] = host

    def __getitem__(self, name: str) -> str:
        return self._hosts[name].url

    def __iter__(self) -> Iterator[str]:
        return iter(self._hosts)

    def __len__(self) -> int:
        return len(self._hosts)


class _Stage:
    """Everything that takes part in one run.

    :param folder: where files may be put
    :param stack: stops what is started
    """

    def __init__(self, options: Options, folder: Path, stack: contextlib.ExitStack) -> None:
        self._options = options
        self._stack = stack
        self._planted = Planted(*NAMES, STRANGER)
        self._meeting = Meeting()
        self.urls = _Urls()
        self._registry = prometheus_client.CollectorRegistry()
        self._metrics_url = self._serve_metrics()
        authority, self._tls = folder / "authority.pem", _tls(folder / "authority.pem")
        self._ledgers = {
            name: Ledger(name, self._planted, self._meeting.read) for name in (*NAMES, STRANGER)
        }
        self._stranger = self._host(Stranger(), STRANGE_ADDRESS, faults=False)
        books = Books(self.urls, self._planted, stranger=self._stranger.url)
        authors = Authors(self.urls, self._planted)
        reviews = Reviews(self.urls, self._planted, self._ledgers[REVIEWS], warm=not options.faults)
        apis: Sequence[Api] = (books, authors, reviews)
        self.hosts = [
            self._host(api, address, faults=options.faults)
            for api, address in zip(apis, ADDRESSES, strict=True)
        ]
        for host in self.hosts:
            self.urls.add(host)
        for host in (*self.hosts, self._stranger):
            host.start()
        stack.enter_context(_own_opentelemetry())
        self.watch = Watch()
        self.log = Log(self._planted)
        resource = Resource.create({SERVICE_NAME: SERVICE})
        self.traces = Traces(self._planted, self._meeting, resource)
        self._exporting = self._export(resource)
        self._client = Client(
            self.urls,
            (books, authors, reviews),
            authority,
            self._planted,
            {
                "registry": self._registry,
                "tracer_provider": self.traces.provider,
                "meter_provider": self._exporting is not None and self._exporting.meter_provider,
                "logger": self.log.logger,
                "observers": (self.watch,),
            },
        )
        self._workload = Workload(
            self._client.services,
            self.urls,
            self._client.cards,
            threads=options.threads,
            seed=options.seed,
            tracer=self.traces.provider.get_tracer("sleepwalker.demo"),
        )
        self.side = ratings.Side(
            self._tls,
            authority,
            self._registry,
            seconds=options.seconds,
            away=options.faults,
            told=self.log.note,
        )
        stack.callback(self.side.stop)
        self._joined = True

    def _export(self, resource: Resource) -> Exporting | None:
        if self._options.collector is None:
            return None
        exporting = self._options.collector.exporting(resource)
        self._stack.callback(exporting.close)
        self.traces.provider.add_span_processor(exporting.processor)
        return exporting

    def _serve_metrics(self) -> str:
        port = self._options.port
        try:
            server, thread = prometheus_client.start_http_server(
                port, addr=ADDRESSES[0], registry=self._registry
            )
        except OSError as error:
            msg = f"port {port} for /metrics can't be had: {error.strerror}"
            raise PortInUseError(msg) from error

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stack.callback(stop)
        return f"http://{ADDRESSES[0]}:{server.server_port}/metrics"

    def _host(self, api: Api, address: str, *, faults: bool) -> Host:
        """A host, which is stopped in the end; it has its URL already, and is yet to be started."""
        host = Host(
            api,
            address,
            self._tls,
            script=Script(self._options.seed, api.name, on=faults),
            ledger=self._ledgers[api.name],
            planted=self._planted,
        )
        self._stack.callback(host.stop)
        return host

    def play(self, console: Console, interrupts: _Interrupts) -> None:
        """Let it all run, for as long as it should or until a signal comes."""
        options = self._options
        scene = Scene(
            threads=options.threads,
            seconds=options.seconds,
            faults=options.faults,
            seed=options.seed,
            metrics_url=self._metrics_url,
            hosts=self.hosts,
            watch=self.watch,
            log=self.log,
            workload=self._workload,
        )
        timetable = Timetable({host.name: host for host in self.hosts}, options.seconds, self._tell)
        view = view_for(console, scene)
        try:
            with view:
                self._workload.start()
                self.side.start()
                if options.faults:
                    timetable.start()
                while (
                    scene.elapsed < options.seconds
                    and self._workload.working
                    and not interrupts.event.is_set()
                ):
                    interrupts.event.wait(view.every)
                    view.refresh()
                self._workload.stop()
                self.side.stop()
                timetable.stop()
                until = time.monotonic() + PATIENCE
                while not self._workload.join(view.every) and time.monotonic() < until:
                    view.refresh()
        finally:
            self._workload.stop()
            self._joined = self._workload.join(PATIENCE)
            self.side.stop()
            timetable.stop()
            self._client.manager.close(timeout=PATIENCE)
            self._await_closed_sockets()
            if self._exporting is not None:
                self._exporting.close()

    def _tell(self, happening: Happening) -> None:
        self.log.note(f"{happening.host}: {happening.what}")

    def _await_closed_sockets(self) -> None:
        """Let the hosts see that the client has closed its sockets."""
        until = time.monotonic() + SOCKETS_CLOSE
        hosts = (*self.hosts, self._stranger)
        while any(host.ledger.counts().open for host in hosts) and time.monotonic() < until:
            time.sleep(0.01)

    def toured(self) -> Toured:
        """What came of the tours."""
        return self._workload.tours.toured()

    def exported(self) -> Exported | None:
        """What was exported, if anything was to be."""
        return None if self._exporting is None else self._exporting.exported(self.traces.count)

    def evidence(self) -> tuple[Evidence, Metrics]:
        """All counts, from both sides, and the metrics that the client's are from."""
        metrics = Metrics(self._registry, beside=self.side.url)
        workload, moment, toured = self._workload, self.watch.moment(), self.toured()
        client = ClientCounts(
            calls=metrics.total(f"{names.REQUEST_DURATION}_count"),
            succeeded=metrics.total(f"{names.REQUEST_DURATION}_count", outcome="success"),
            attempts=metrics.total(names.ATTEMPTS),
            retries=metrics.by(names.LABEL_REASON, names.RETRIES),
            redirects=sum(
                count
                for code, count in metrics.by(names.LABEL_CODE, names.ATTEMPTS).items()
                if code.startswith("3")
            ),
            unsent=moment.unsent,
            pools=metrics.series(names.POOL_LOOKUPS, names.LABEL_HOST, names.LABEL_AUTH),
            lookups=metrics.by(names.LABEL_RESULT, names.POOL_LOOKUPS),
            connected=metrics.total(f"{names.HOOK_DURATION}_count", outcome="connected"),
            hook_failures=metrics.total(f"{names.HOOK_DURATION}_count", outcome="failed"),
            in_flight=metrics.total(names.IN_FLIGHT),
            telemetry_errors=metrics.total(names.TELEMETRY_ERRORS),
            asked=frozenset(workload.asked),
            refused=metrics.total(names.LINK_FOLLOWS, outcome="refused"),
            tours=toured.tours,
            visited=toured.visited,
            unfollowed=toured.unfollowed,
            failed=workload.failed,
            failures=workload.failures,
        )
        searched = (
            Searched(what="log lines", count=self.log.count, with_secrets=self.log.with_secrets),
            self._searched("metrics", metrics.text.splitlines()),
            Searched(what="spans", count=self.traces.count, with_secrets=self.traces.with_secrets),
            self._searched("refusals", list(toured.reasons.values()), expected=False),
            self._searched("errors", workload.failures, expected=False),
        )
        evidence = Evidence(
            client=client,
            hosts=[host.ledger.counts() for host in self.hosts],
            stranger=self._stranger.ledger.counts(),
            matches=self._meeting.matches(),
            searched=searched,
            joined=self._joined,
        )
        return evidence, metrics

    def _searched(self, what: str, texts: Sequence[str], *, expected: bool = True) -> Searched:
        found = sum(bool(self._planted.found_in(text)) for text in texts)
        return Searched(what=what, count=len(texts), with_secrets=found, expected=expected)
