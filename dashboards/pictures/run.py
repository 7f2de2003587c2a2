"""One run of the demo: what a Prometheus and a collector saw of it.

Rules:

1. What was started is ended, however it ends.
2. Prometheus is there before the demo, so that nothing of its beginning is missed.
3. A demo that broke a promise, or a collector that was sent nonsense, is no picture but an error.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from dashboards.pictures import plan
from sleepwalker.observability import names
from tests.dashboards.prometheus import Prometheus, Target, free_port
from tests.servers import OtlpCollector, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ReceivedSpan

JOB: Final = "bookshop"
STEP: Final = 1.0
"""Seconds between two scrapes, and between two points."""
RATE_INTERVAL: Final = "4s"
"""What Grafana makes of that: four scrapes."""

_DEMO: Final = "import sys; from sleepwalker.cli import main; sys.exit(main())"
_HOST: Final = re.compile(r"^  (\w+) +(https://\S+)$", re.MULTILINE)


class RunError(Exception):
    """The demo failed, or there is nothing to draw."""


class Traced(NamedTuple):
    """What the collector received of a run.

    :ivar hosts: the hosts' names, by their URLs
    """

    spans: list[ReceivedSpan]
    hosts: dict[str, str]


class Seen(NamedTuple):
    """What was seen of a run by both."""

    prometheus: Prometheus
    shown: plan.Span
    traced: Traced

    def filled(self, board: plan.Json, chosen: dict[str, str]) -> list[plan.Filled]:
        """Every panel of a dashboard with what it was answered, rows' heads among them."""
        variables = plan.variables_of(board, chosen, RATE_INTERVAL)
        return [self._panel(panel, variables) for panel in board["panels"]]

    def _panel(self, panel: plan.Json, variables: dict[str, str]) -> plan.Filled:
        series, dots = [], []
        for target in panel.get("targets", ()):
            expr = plan.filled(target["expr"], variables)
            start = self.shown.end if target["instant"] else self.shown.start
            series += [
                plan.Drawn(
                    target["refId"],
                    plan.named(target.get("legendFormat"), each.labels),
                    each.labels,
                    each.points,
                )
                for each in self.prometheus.query_range(expr, start, self.shown.end, STEP)
            ]
            if target["exemplar"]:
                dots += [
                    plan.Dot(each.when, each.value)
                    for each in self.prometheus.exemplars(expr)
                    if self.shown.start <= each.when <= self.shown.end
                ]
        return plan.Filled(panel, series, plan.sampled(dots, STEP))

    def pool(self, board: plan.Json) -> tuple[dict[str, str], list[plan.Filled]]:
        """The pool that has most to show on its dashboard, with its panels.

        Of equals, it is the one with the most retries.

        :raises RunError: when there is none
        """
        seconds = int(self.shown.end - self.shown.start)
        labels = (names.LABEL_HOST, names.LABEL_AUTH)
        expr = f"sum by ({', '.join(labels)}) (increase({names.RETRIES}[{seconds}s]))"
        end = self.shown.end
        found = self.prometheus.query_range(expr, end, end, STEP)
        ranked = plan.ranked(((each.labels, each.points[-1][1]) for each in found), *labels)
        if not ranked:
            raise RunError("there is no pool with a retry")
        answered = [(chosen, self.filled(board, chosen)) for chosen in ranked]
        return max(answered, key=lambda pool: sum(bool(each.series) for each in pool[1]))


@contextmanager
def running(seconds: int) -> Iterator[Seen]:
    """Run the demo to its end, with its faults; Prometheus is there for what is asked afterwards.

    :raises RunError: when the demo failed
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pictures-")))
        port = free_port()
        target = Target(JOB, f"http://127.0.0.1:{port}/metrics")
        prometheus = stack.enter_context(Prometheus(folder, [target], interval=f"{STEP:g}s"))
        prometheus.wait_for("up")
        began = int(time.time())
        seen = traced(seconds, port=port)
        # Whole seconds, so that points stand where scrapes do; and not the demo's closing.
        yield Seen(prometheus, plan.Span(float(began), float(began + seconds), STEP), seen)


def traced(seconds: int, seed: int = 1, *, port: int = 0) -> Traced:
    """Run the demo to its end, with its faults.

    :raises RunError: when it failed
    """
    collector = OtlpCollector()
    with ScriptedServer(collector) as server:
        options = {"seconds": seconds, "seed": seed, "port": port, "otlp": server.url}
        arguments = [f"--{name}={value}" for name, value in options.items()]
        command = [sys.executable, "-c", _DEMO, "demo", *arguments]
        demo = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own
    if demo.returncode:
        raise RunError(f"the demo ended with {demo.returncode}:\n{demo.stdout}{demo.stderr}")
    if collector.mistakes:
        raise RunError(f"the collector was sent what it can't read: {collector.mistakes}")
    return Traced(collector.spans, {url: name for name, url in _HOST.findall(demo.stdout)})
