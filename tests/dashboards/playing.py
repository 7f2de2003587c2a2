"""The demo, played once with its faults while a real Prometheus scrapes it; and asking it.

Rules:

1. Prometheus gathers its targets before the demo begins: every count of the demo's is one that it
   can have seen.
2. Variables are filled in as Grafana does it: regular expressions, escaped where a value is chosen.
3. The whole run is asked for as of its end, in two ways that need no guess of PromQL's. A rate is
   taken away from around its counter, which began at zero with the run. What the dashboards count
   themselves, the first count included, they count in an interval longer than the run.
"""

from __future__ import annotations

import io
import re
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console

from sleepwalker.cli.demo import run
from sleepwalker.cli.demo.otlp import Collector
from sleepwalker.observability import names
from tests.dashboards.prometheus import Target
from tests.dashboards.reading import board, panels_of
from tests.servers import OtlpCollector, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sleepwalker.cli.demo.ledger import HostCounts
    from sleepwalker.cli.demo.proof import Evidence
    from sleepwalker.cli.demo.ratings import Aside
    from tests.dashboards.conftest import StartPrometheus
    from tests.dashboards.prometheus import Exemplar, Prometheus, Sample, Series

JOB: Final = "shop"
THREADS: Final = 4
SECONDS: Final = 6.0
INTERVAL: Final = "500ms"
STEP: Final = 0.5
"""Seconds between two points of a graph."""
SOME_SCRAPES: Final = "2s"
"""`$__rate_interval`: what Grafana takes for this interval, four scrapes."""
LONG: Final = 600.0
"""Seconds: an interval longer than the run."""

RATE = re.compile(r"rate\((\w+\{[^}]*\})\[\$__rate_interval\]\)")
SPECIAL = re.compile(r"([$^*{}\[\]'+?.()|])")
"""What Grafana escapes in a chosen value."""


class Played(NamedTuple):
    """A run of the demo's, and the Prometheus that saw it."""

    prometheus: Prometheus
    code: int
    instance: str
    evidence: Evidence
    aside: Aside
    traces: frozenset[str]
    """The ids of all traces, as a collector received them."""
    waited: float
    """Seconds that calls waited between attempts, as their spans say."""
    began: float
    ended: float
    """Seconds since the epoch; by the end, all that was counted has been scraped."""

    @property
    def hosts(self) -> Sequence[HostCounts]:
        """What each host has counted."""
        return (*self.evidence.hosts, self.aside.host)

    def now(self, expr: str, **chosen: str) -> list[Sample]:
        """What an expression gave in the middle of the run, over some scrapes."""
        return self.prometheus.query(filled(expr, SOME_SCRAPES, chosen), self.began + SECONDS / 2)

    def graph(self, expr: str, **chosen: str) -> list[Series]:
        """What an expression gave all through the run, over some scrapes."""
        written = filled(expr, SOME_SCRAPES, chosen)
        return self.prometheus.query_range(written, self.began, self.ended, STEP)

    def whole(self, expr: str, **chosen: str) -> list[Sample]:
        """What an expression gives for the whole run (rule 3)."""
        counted = filled(RATE.sub(r"\1", expr), f"{LONG:g}s", chosen)
        return self.prometheus.query(counted, self.ended)

    def risen(self, expr: str) -> float:
        """What an expression's rates come to over the whole run, as far as PromQL can know."""
        return LONG * self._sum(filled(expr, f"{LONG:g}s", {}))

    def first(self, expr: str) -> float:
        """What the counters in an expression of rates had at first: their least."""
        return self._sum(
            filled(RATE.sub(r"min_over_time(\1[$__rate_interval])", expr), f"{LONG:g}s", {})
        )

    def _sum(self, written: str) -> float:
        return sum(sample.value for sample in self.prometheus.query(written, self.ended))

    def exemplars(self, expr: str) -> list[Exemplar]:
        """The exemplars of an expression."""
        return self.prometheus.exemplars(filled(expr, SOME_SCRAPES, {}))

    def label_values(self, series: str, label: str, **chosen: str) -> set[str]:
        """What a variable offers."""
        return self.prometheus.label_values(filled(series, SOME_SCRAPES, chosen), label)


def filled(expr: str, interval: str, chosen: dict[str, str]) -> str:
    """Put values in the place of Grafana's variables: those chosen, and All."""
    expr = expr.replace("$__rate_interval", interval)
    for name, every in (("job", ".+"), ("instance", ".+"), ("host", ".*"), ("auth", ".*")):
        value = SPECIAL.sub(r"\\\\\1", chosen[name]) if name in chosen else every
        expr = expr.replace(f"${name}", value)
    assert "$" not in expr, expr
    return expr


class Panel(NamedTuple):
    """A panel, and what it asks."""

    board: str
    title: str
    targets: tuple[dict[str, object], ...]

    @property
    def exprs(self) -> list[str]:
        """Its queries."""
        return [str(target["expr"]) for target in self.targets]


def panels(name: str) -> list[Panel]:
    """Give every panel of a committed dashboard."""
    return [
        Panel(name, each["title"], tuple(each.get("targets", ())))
        for each in panels_of(board(name))
    ]


def played(start: StartPrometheus, rules: Sequence[Path]) -> Played:
    """Play the demo, scraped by a Prometheus that has these rules."""
    collector = OtlpCollector()
    seen: list[tuple[Evidence, Aside, float]] = []

    def ended(evidence: Evidence, aside: Aside) -> None:
        prometheus.wait_for_scrape()
        seen.append((evidence, aside, time.time()))

    with kept_port() as port, ScriptedServer(collector) as server:
        target = Target(JOB, f"http://127.0.0.1:{port}/metrics")
        prometheus = start(target, rules=rules, interval=INTERVAL)
        prometheus.wait_for("up")
        options = run.Options(
            seconds=SECONDS,
            threads=THREADS,
            faults=True,
            port=port,
            seed=1,
            collector=Collector.at(server.url),
        )
        began = time.time()
        code = run.run(options, Console(file=io.StringIO(), width=100), ended)
    [(evidence, aside, end)] = seen
    return Played(
        prometheus=prometheus,
        code=code,
        instance=f"127.0.0.1:{port}",
        evidence=evidence,
        aside=aside,
        traces=frozenset(span.trace_id for span in collector.spans),
        waited=sum(span.attributes.get(names.ATTR_WAITED, 0.0) for span in collector.spans),
        began=began,
        ended=end,
    )


@contextmanager
def kept_port() -> Iterator[int]:
    """Give a port that only a server that reuses addresses can have: nothing gets it by chance."""
    with socket.socket() as placeholder:
        placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        placeholder.bind(("127.0.0.1", 0))
        port: int = placeholder.getsockname()[1]
        yield port
