"""The subjects with one instrument each: our `json_request` with nothing, each, and all of it on.

Rules:

1. What is not said to be on is switched off, so that each is told by what it adds to nothing.
2. Every instrument leaves evidence that it was on, also where it is to record nothing: a sampler
   counts what it refuses, a logger what is below its level.
3. Loggers are injected and bound, one for each subject: structlog's configuration is one for all.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import CollectorRegistry

from benchmarks.clients import CLIENTS, recorded
from benchmarks.measuring import Evidence, Subject
from benchmarks.server import PATH
from benchmarks.target import Target
from benchmarks.telemetry import Lines, Samples, Spans
from sleepwalker import ANONYMOUS, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack


@dataclass(frozen=True)
class On:
    """Which instruments are on.

    :ivar metrics: Prometheus'
    :ivar standard: the metric of OpenTelemetry's semantic conventions, through its SDK
    :ivar logs: down to which level
    :ivar spans: made by the SDK, and what becomes of them
    """

    metrics: bool = False
    standard: bool = False
    logs: int | None = None
    spans: Literal["recorded", "unsampled"] | None = None

    @property
    def each(self) -> Evidence:
        """What one call must add to the evidence."""
        return Evidence(
            spans=2 * (self.spans == "recorded"),
            requests=int(self.metrics),
            unsampled=2 * (self.spans == "unsampled"),
            samples=int(self.standard),
            lines=int(self.logs == logging.DEBUG),
            unwritten=int(self.logs == logging.INFO),
        )


BARE = ("urllib3", "requests")
"""What is there without us."""
NOTHING = "none"
ON: Mapping[str, On] = {
    NOTHING: On(),
    "metrics": On(metrics=True),
    "logs, INFO: nothing is written": On(logs=logging.INFO),
    "logs, DEBUG: a line for each call": On(logs=logging.DEBUG),
    "spans, unsampled": On(spans="unsampled"),
    "spans, recorded": On(spans="recorded"),
    "standard metric": On(standard=True),
    "all: metrics, logs at INFO, recorded spans, standard metric": On(
        metrics=True, standard=True, logs=logging.INFO, spans="recorded"
    ),
}
"""Our subjects, by what the table calls them."""


def _subject(name: str, on: On, url: str, stack: ExitStack) -> Subject:
    spans = Spans(sampled=on.spans == "recorded")
    samples, lines = Samples(), Lines(on.logs if on.logs is not None else logging.INFO)
    registry = CollectorRegistry()
    for each in (spans, samples, lines):
        stack.callback(each.close)
    conn = stack.enter_context(
        Connection(
            url,
            ANONYMOUS,
            registry=registry if on.metrics else False,
            tracer_provider=spans.provider if on.spans else False,
            meter_provider=samples.provider if on.standard else False,
            logger=lines.logger if on.logs is not None else False,
        )
    )

    def call() -> Any:
        return conn.json_request("GET", PATH)

    def evidence() -> Evidence:
        return Evidence(
            spans.exported,
            recorded(registry),
            spans.unsampled,
            samples.recorded,
            lines.written,
            lines.unwritten,
        )

    return Subject(name, call, each=on.each, evidence=evidence, settle=spans.flush)


def _maker(name: str, on: On) -> Callable[[str, ExitStack], Subject]:
    return lambda url, stack: _subject(name, on, url, stack)


def _client(name: str) -> Callable[[str, ExitStack], Subject]:
    return lambda url, stack: CLIENTS[name](Target(url), stack)


INSTRUMENTED: Mapping[str, Callable[[str, ExitStack], Subject]] = {
    **{name: _client(name) for name in BARE},
    **{name: _maker(name, on) for name, on in ON.items()},
}
"""What makes each subject for a server's origin; the stack closes it."""
