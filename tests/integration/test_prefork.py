"""A real gunicorn with four workers that die: what it counts and traces is what has happened.

Rule 1: the configuration and the view of the metrics are those of `docs/guides/forking.md`.
Rule 2: what is expected is what the server behind has counted; whose it was, it reads in a header.
Rule 3: four requests that are held at once are with four workers, one each, for a worker here does
    one thing at a time. So a test knows without waiting who is there, and who has come anew.
Rule 4: a service lives once, with all that it goes through, and is looked at on the way (`Seen`).
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from sleepwalker.observability import names
from tests.docs.pages import blocks_of
from tests.servers import ScriptedServer, echo, respond, stall
from tests.telemetry import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Action, CertificateAuthority, Request

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.timeout(120),
]

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = "docs/guides/forking.md"
WORKERS: Final = 4
FRAGILE, INHERITED = "fragile", "inherited"  # the scopes of `prefork.py`
PATIENCE: Final = 20.0
"""Seconds until something that does not happen fails the test."""
BUSY_DEATHS: Final = 6
"""How many workers are replaced while threads of the master are busy."""
MASTERS_POOLS: Final = 2
"""How many pools the master has, where it has loaded the service."""


class Behind:
    """The https server behind: counts, fails where it is asked to, holds until it is let go."""

    def __init__(self, ca: CertificateAuthority) -> None:
        self._lock = threading.Lock()
        self._gates: list[threading.Event] = []
        self._flaky: set[str] = set()
        self.statuses: Counter[int] = Counter()
        """What it answered, by status."""
        self.server = ScriptedServer(self._answer, tls=ca.server_context())

    def _answer(self, request: Request) -> Action:
        _, kind, *rest = request.path.split("/")
        if kind == "meet":
            # Counted when it is let go: who has gone meanwhile has no answer.
            return stall(self._gates[int(rest[0])]) + echo()
        with self._lock:
            fails = kind == "down" or (kind == "flaky" and request.target not in self._flaky)
            self._flaky.add(request.target)
            self.statuses[503 if fails else 200] += 1
        return respond(503) if fails else echo()

    def new_gate(self) -> tuple[int, threading.Event]:
        """Give a gate that is shut, and its number."""
        self._gates.append(threading.Event())
        return len(self._gates) - 1, self._gates[-1]

    def met(self, gate: int) -> list[Request]:
        """The requests that came to a gate."""
        return [request for request in self.server.requests if request.path == f"/meet/{gate}"]


@dataclass(frozen=True)
class Seen:
    """What a scrape showed, and what had happened until then."""

    samples: dict[str, float]
    url: str
    ok: int
    """How many requests the server behind has answered well, and how many with an error."""
    failed: int
    logins: int
    connections: int
    """How many the server behind has open."""
    pools: int
    """How many pools those who are alive say they have."""

    def total(self, name: str, **labels: str) -> float:
        """Add up the samples of this name that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value
            for shown, value in self.samples.items()
            if shown.partition("{")[0] == name and all(pair in shown for pair in wanted)
        )

    def of(self, name: str, **labels: str) -> float:
        """Add up those of the server behind."""
        return self.total(name, host=self.url, **labels)

    def level(self, name: str, scope: str | None = None) -> float | None:
        """The sample of what is shared on the server behind."""
        return self.samples.get(sample(name, host=f"{self.url} ({scope})" if scope else self.url))


class Service:
    """A gunicorn, and how to deal with it."""

    def __init__(
        self,
        folder: Path,
        behind: Behind,
        plain: str,
        collector: str,
        bundle: str,
        *,
        preload: bool,
    ) -> None:
        for block in blocks_of(PAGE):
            if block.kind == "file" and block.argument in {"gunicorn.conf.py", "service.py"}:
                (folder / block.argument).write_text(block.text, encoding="utf-8")
        config = (folder / "gunicorn.conf.py").read_text(encoding="utf-8")
        assert f"workers = {WORKERS}" in config
        assert "preload_app = True" in config
        # The library itself is loaded once in either case: six times would take most of the time.
        config += f"\nimport sleepwalker\npreload_app = {preload}\n"
        (folder / "gunicorn.conf.py").write_text(config, encoding="utf-8")
        (folder / "metrics").mkdir()
        self.folder, self._behind = folder, behind
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._log = (folder / "log").open("wb")
        path = [str(folder), os.environ.get("PYTHONPATH", "")]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GUNICORN_"))}
        self.master = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "tests.integration.prefork:application"),
                *("--config", str(folder / "gunicorn.conf.py")),
                *("--bind", f"fd://{self._listener.fileno()}"),
            ],
            env=kept
            | {
                "HOME": str(folder),
                "NETRC": str(folder / "no-netrc"),
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
                "OTEL_BSP_SCHEDULE_DELAY": "50",
                "PREFORK_UPSTREAM": behind.server.url,
                "PREFORK_PLAIN": plain,
                "PREFORK_BUNDLE": bundle,
                "PREFORK_STOP": str(folder / "stop"),
                "PREFORK_PRELOADED": "yes" if preload else "",
            },
            cwd=ROOT,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[self._listener.fileno()],
            start_new_session=True,
        )

    @property
    def log(self) -> str:
        """What gunicorn has printed."""
        return (self.folder / "log").read_text()

    def get(self, path: str) -> bytes:
        """Get something from one of the workers.

        Raises:
            AssertionError: the answer is an error.
            OSError: the worker has died.
        """
        host, port = self._listener.getsockname()
        with closing(http.client.HTTPConnection(host, port, timeout=PATIENCE)) as conn:
            conn.request("GET", path)
            answer = conn.getresponse()
            body = answer.read()
        assert answer.status == 200, (path, self.log)
        return body

    def do(self, *steps: str) -> dict[str, int]:
        """Have one of the workers do something; it says who it is."""
        told: dict[str, int] = json.loads(self.get(f"/?{urlencode([('do', s) for s in steps])}"))
        return told

    def scrape(self) -> dict[str, float]:
        """Have one of the workers show the metrics."""
        families = text_string_to_metric_families(self.get("/metrics").decode())
        return {sample(s.name, **s.labels): s.value for f in families for s in f.samples}

    def end(self) -> int:
        """Have it end in order; its exit status."""
        self.master.terminate()
        return self.master.wait(PATIENCE)

    def close(self) -> None:
        """Leave nothing of it, whatever has happened."""
        if self.alive():
            os.killpg(self.master.pid, signal.SIGKILL)
        self.master.wait(PATIENCE)
        self._listener.close()
        self._log.close()

    def alive(self) -> bool:
        """Whether any process of it is there; its master is the leader of them all."""
        try:
            os.killpg(self.master.pid, 0)
        except ProcessLookupError:
            return False
        return True


class Life:
    """What one service goes through."""

    def __init__(
        self,
        service: Service,
        behind: Behind,
        plain: ScriptedServer,
        collector: ScriptedServer,
        *,
        preload: bool,
    ) -> None:
        self.preload = preload
        self.service, self.behind, self.plain = service, behind, plain
        self._collector = collector
        self.pools: dict[int, int] = {}
        """How many pools each living worker has, by the worker's id."""
        self.workers: set[int] = set()
        """All that there ever were."""
        self.busy: dict[str, int] = {"requests": 0, "hits": 0, "misses": 0}
        """What the master's threads did."""
        self.looks: dict[str, Seen] = {}
        self._exported: dict[str, int] = {}
        self._read = 0
        self._crew = ThreadPoolExecutor(8)
        with self._crew:
            self._live()
        self.status = service.end()
        self.left_behind = service.alive()

    def _live(self) -> None:
        self.meet()
        if self.preload:
            for _ in range(BUSY_DEATHS):
                self._all_spans_have_arrived()
                self.kill(max(self.pools), signal.SIGKILL)
                self.meet()
            self._stop_the_master_being_busy()
        targets = [f"call /{'fine' if n % 5 else 'flaky'}/{n}" for n in range(40)]
        list(self._crew.map(self.service.do, targets))
        self._look("loaded")

        self.worst, bad, *_ = self.meet(["exhaust 3", "trip"], ["mend", "exhaust 2"])
        self._look("in trouble")

        self._all_spans_have_arrived()
        jobs, gate = self._hold([[], [], [], []])
        self.kill(self.worst, signal.SIGKILL)
        # It is shown by one that has come anew, since all the others are held.
        self._look("one killed", in_flight=WORKERS - 1, lost=1)
        gate.set()
        self.failures = [job.exception() for job in jobs if job.exception() is not None]
        self.meet()
        self._look("replaced", lost=1)

        self.kill(bad, signal.SIGTERM)
        self.meet()
        self._look("one ended", lost=1)

    def meet(self, *steps: list[str]) -> list[int]:
        """Have each of the workers do these steps, one list each; give who did them."""
        jobs, gate = self._hold([*steps, *([] for _ in range(WORKERS - len(steps)))])
        gate.set()
        told = [job.result() for job in jobs]
        self.pools = {each["pid"]: each["pools"] for each in told}
        self.workers |= set(self.pools)
        assert len(self.pools) == WORKERS
        return [each["pid"] for each in told]

    def _hold(self, steps: list[list[str]]) -> tuple[list[Any], threading.Event]:
        """Give each of the workers something to do, which it begins when the gate is opened."""
        number, gate = self.behind.new_gate()
        do = self.service.do
        jobs = [self._crew.submit(partial(do, f"call /meet/{number}", *each)) for each in steps]
        try:
            self.behind.server.wait_for(lambda: len(self.behind.met(number)) == WORKERS, PATIENCE)
        except AssertionError:
            raise AssertionError(self.service.log) from None
        return jobs, gate

    def kill(self, worker: int, how: signal.Signals) -> None:
        """Have a worker die."""
        del self.pools[worker]
        os.kill(worker, how)

    def _look(self, when: str, in_flight: int = 0, lost: int = 0) -> None:
        """See what is shown, and what has happened.

        :param in_flight: how many requests are held just now
        :param lost: how many had no answer, for who had sent them was killed
        """
        samples = self.service.scrape()
        server, master = self.behind.server, int(self.preload)
        asked = Counter(request.path.split("/")[1] for request in server.requests)
        # One for each that has asked for something. Of one that was killed the server learns soon.
        connections = len(self.pools) + master
        server.wait_for(lambda: sum(not c.closed_at for c in server.connections) == connections)
        self.looks[when] = Seen(
            samples=samples,
            url=self.behind.server.url,
            ok=self.behind.statuses[200] + asked["meet"] - in_flight - lost,
            failed=self.behind.statuses[503],
            logins=asked["login"],
            connections=connections,
            pools=sum(self.pools.values()) + MASTERS_POOLS * master,
        )

    def _stop_the_master_being_busy(self) -> None:
        (self.service.folder / "stop").touch()
        told = self.service.folder / "stop.json"
        end = time.monotonic() + PATIENCE
        while not told.exists():
            assert time.monotonic() < end, "the master's threads do not end"
            time.sleep(0.005)
        self.busy = json.loads(told.read_text())

    def _all_spans_have_arrived(self) -> None:
        """What a killed worker had not sent would be lost."""
        self._collector.wait_for(lambda: set(self.spans()) >= set(self.traced()), PATIENCE)

    def traced(self) -> dict[str, int]:
        """The spans that the server behind was told of, and which process it was."""
        return {
            request.headers["traceparent"].split("-")[2]: int(request.headers["x-process"])
            for request in self.behind.server.requests
            if "traceparent" in request.headers
        }

    def spans(self) -> dict[str, int]:
        """The CLIENT spans that were exported, and by which process."""
        requests = self._collector.requests[self._read :]
        self._read += len(requests)
        for request in requests:
            assert request.path == "/v1/traces"
            for group in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                (pid,) = (a for a in group.resource.attributes if a.key == "process.pid")
                for span in (span for scope in group.scope_spans for span in scope.spans):
                    if span.kind == span.SPAN_KIND_CLIENT:
                        self._exported[span.span_id.hex()] = pid.value.int_value
        return self._exported


@pytest.fixture(scope="module", params=[False, True], ids=["by each", "preloaded"])
def life(
    request: pytest.FixtureRequest,
    ca: CertificateAuthority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Life]:
    """Let a service live, once."""
    behind = Behind(ca)
    with ExitStack() as stack:
        stack.enter_context(behind.server)
        plain, collector = (stack.enter_context(ScriptedServer(a)) for a in (echo(), respond(200)))
        service = Service(
            tmp_path_factory.mktemp("service"),
            behind,
            plain.url,
            collector.url,
            str(ca.bundle),
            preload=request.param,
        )
        stack.callback(service.close)
        yield Life(service, behind, plain, collector, preload=request.param)


def test_what_workers_count_adds_up_to_what_the_server_has_counted(life: Life) -> None:
    for when, seen in life.looks.items():
        assert seen.of(names.ATTEMPTS, code="200") == seen.ok, when
        assert seen.of(names.ATTEMPTS, code="503") == seen.failed, when
        assert seen.of(names.ATTEMPTS) == seen.ok + seen.failed, when
        assert seen.of(f"{names.ATTEMPT_DURATION}_count", status_class="2xx") == seen.ok, when
        assert seen.of(f"{names.ATTEMPT_DURATION}_bucket", le="+Inf") == seen.ok + seen.failed, when

        # Each call that ends well has one good answer, and each find is followed by a call.
        gave_up = (4 if when != "loaded" else 0) + (1 if life.preload else 0)
        assert seen.of(f"{names.REQUEST_DURATION}_count", outcome="success") == seen.ok, when
        assert seen.of(f"{names.REQUEST_DURATION}_count") == seen.ok + gave_up, when
        assert seen.of(names.RETRIES, reason="status") == seen.failed - gave_up, when
        assert seen.of(names.POOL_LOOKUPS) == seen.ok + gave_up - seen.logins, when


def test_hooks_are_counted_as_often_as_they_were_called(life: Life) -> None:
    logins = [seen.logins for seen in life.looks.values()]
    # The one that the master has made is every worker's.
    assert logins == ([1] * 5 if life.preload else [4, 4, 4, 5, 6])
    for when, seen in life.looks.items():
        assert seen.of(names.POOL_LOOKUPS, result="miss") == seen.logins, when
        assert seen.of(f"{names.HOOK_DURATION}_count", outcome="connected") == seen.logins, when
        assert seen.of(f"{names.HOOK_DURATION}_count") == seen.logins, when


def test_gauges_are_those_of_the_living(life: Life) -> None:
    for when, seen in life.looks.items():
        in_flight = WORKERS - 1 if when == "one killed" else 0
        assert seen.total(names.IN_FLIGHT) == seen.of(names.IN_FLIGHT) == in_flight, when
        assert seen.samples[names.POOLS] == seen.pools > 0, when


def test_connections_are_those_that_the_server_has_open_to_the_living(life: Life) -> None:
    for when, seen in life.looks.items():
        assert seen.of(names.POOL_CONNECTIONS) == seen.connections > 0, when
        held = WORKERS - 1 if when == "one killed" else 0
        assert seen.of(names.POOL_CONNECTIONS, state="active") == held, when
        shown = [v for k, v in seen.samples.items() if k.startswith(names.POOL_CONNECTIONS)]
        assert min(shown) >= 0, when


def test_a_breaker_shows_as_the_worst_and_a_quota_as_the_least_of_the_living(life: Life) -> None:
    looks = list(life.looks.values())
    breakers = [seen.level(names.BREAKER_STATE, FRAGILE) for seen in looks]
    assert breakers == [None, 2, 0, 0, None]
    quotas = [seen.level(names.RETRY_QUOTA, FRAGILE) for seen in looks]
    assert quotas == [None, 472, 486, 486, None]
    # Paid back, wherever it was spent.
    assert looks[0].level(names.RETRY_QUOTA) == 500
    # What the master has spent before it forked is spent in its children.
    inherited = [seen.level(names.RETRY_QUOTA, INHERITED) for seen in looks]
    assert inherited == [472 if life.preload else None] * len(looks)


def test_what_threads_of_the_master_count_while_it_forks_is_counted_once(life: Life) -> None:
    shown = life.looks["one ended"]
    requests, hits, misses = (life.busy[what] for what in ("requests", "hits", "misses"))
    plain, elsewhere = life.plain.url, f"{life.plain.url}/elsewhere"
    assert (requests > 0) is (misses > 0) is life.preload
    assert life.plain.count() == requests
    assert shown.total(names.ATTEMPTS, host=plain) == requests
    assert shown.total(f"{names.REQUEST_DURATION}_count", host=plain) == requests
    assert shown.total(names.POOL_LOOKUPS, host=plain, result="hit") == requests + hits
    assert shown.total(names.POOL_LOOKUPS, host=plain, result="miss") == (1 if misses else 0)
    assert shown.total(names.POOL_LOOKUPS, host=elsewhere) == misses
    assert shown.total(names.POOL_EVICTIONS, host=elsewhere, reason="reset") == misses


def test_nothing_shows_when_it_was_created_and_no_instrument_has_failed(life: Life) -> None:
    for when, seen in life.looks.items():
        families = {name.partition("{")[0] for name in seen.samples}
        assert [name for name in families if name.endswith("_created")] == [], when
        assert seen.samples[names.TELEMETRY_ERRORS] == 0, when
        assert seen.samples[names.LABEL_OVERFLOW] == 0, when


def test_spans_come_from_every_worker_and_what_is_on_the_wire_is_theirs(life: Life) -> None:
    traced, spans = life.traced(), life.spans()
    # All but the one that was under way when its worker was killed.
    (lost,) = set(traced) - set(spans)
    assert traced.pop(lost) == life.worst
    assert spans == traced
    assert set(spans.values()) == life.workers
    masters = [r for r in life.behind.server.requests if "traceparent" not in r.headers]
    assert [r.path for r in masters] == (
        ["/login", "/parent", "/down", "/down", "/down"] if life.preload else []
    )
    assert {int(r.headers["x-process"]) for r in masters} <= {life.service.master.pid}


def test_workers_that_die_are_replaced_and_all_end_in_the_end(life: Life) -> None:
    assert len(life.workers) == WORKERS + (BUSY_DEATHS if life.preload else 0) + 2
    # One client lost its worker.
    assert [type(failure) for failure in life.failures] == [http.client.RemoteDisconnected]
    assert life.status == 0
    assert not life.left_behind
    assert "Traceback" not in life.service.log
    for server in (life.behind.server, life.plain):
        server.wait_for(lambda server=server: all(c.closed_at for c in server.connections))  # type: ignore[misc]
