"""Where the CPU of one `json_request` goes, by layer: ``python -m benchmarks.layers``.

Rules:

1. A layer is the files that stand with it below. What runs in any other (Python's library, what
   several layers use) counts with the layer that called it.
2. Shares come from samples: the timer of the process's CPU interrupts the calling thread, and the
   layer that it is in is counted. A profiler that is told of each call, as cProfile is, makes many
   short calls look dear; one outside the process (py-spy) would be one more thing to install.
   Python takes an interrupt at the next call, or behind one into C: what stands right before a call
   counts as that.
3. How often functions are called, in Python and in C, is counted apart, where nobody looks at time.
4. Ratios are CPU's to bare `requests`, from the same rounds as the samples.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from benchmarks import environment, written
from benchmarks.budgets import TIMES
from benchmarks.clients import CLIENTS
from benchmarks.command import common_options, progress, understood
from benchmarks.conditions import ConditionsError, check_environment, rounds_of_requests
from benchmarks.instrumented import INSTRUMENTED, NOTHING
from benchmarks.measuring import Subject
from benchmarks.ratios import Spread, ratio
from benchmarks.report import aligned, listed, shown
from benchmarks.server import PATH, Server
from benchmarks.target import Target
from benchmarks.telemetry import logs_at_info
from sleepwalker import ANONYMOUS, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import CodeType, FrameType

COMMAND: Final = "python -m benchmarks.layers"
BARE: Final = "requests"
ALL_ON: Final = "sleepwalker"
PROFILED: Final = {ALL_ON: "all on", NOTHING: "all off", BARE: BARE}
"""What is told by layers, and what the table calls it."""
SENT, MADE_AND_SENT = "an adapter is mounted", "params= is a list"
WHOLE: Final = {
    **PROFILED,
    SENT: f"all off, and {SENT}: sent by the long way",
    MADE_AND_SENT: f"all off, and {MADE_AND_SENT}: made and sent by the long way",
}
"""What is told as a whole."""
INTERVAL: Final = 0.001
"""Seconds of CPU between two samples; the system may make it longer (four times, often)."""
COUNTED: Final = 16
"""Calls over which functions are counted: what is counted some at one go has its part in each."""
OTHERS: Final = "none"
"""What is in no layer: the benchmarks themselves, between two calls."""

_CONNECTION: Final = "sleepwalker/connection"
_WIRE: Final = f"{_CONNECTION}/_wire"
_OBSERVABILITY: Final = "sleepwalker/observability"
LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    "arguments, the request": (
        f"{_CONNECTION}/_connection.py",
        f"{_CONNECTION}/_headers.py",
        f"{_CONNECTION}/_urls.py",
        f"{_CONNECTION}/_preparing.py",
        f"{_CONNECTION}/_body.py",
        f"{_CONNECTION}/_hop.py",
        f"{_WIRE}/_making.py",
        "sleepwalker/auth.py",
    ),
    "the call, its policy": (
        f"{_CONNECTION}/_call.py",
        f"{_CONNECTION}/_admission.py",
        f"{_CONNECTION}/_timeouts.py",
        f"{_CONNECTION}/_document.py",
        "sleepwalker/resilience/",
    ),
    "spans: ours": (
        f"{_CONNECTION}/_attempt.py",
        f"{_OBSERVABILITY}/tracing.py",
        f"{_OBSERVABILITY}/suppression.py",
        f"{_OBSERVABILITY}/redaction.py",
        f"{_OBSERVABILITY}/names.py",
    ),
    "spans: OpenTelemetry's": ("opentelemetry/",),
    "events, to the instruments": (
        f"{_OBSERVABILITY}/telemetry.py",
        f"{_OBSERVABILITY}/events.py",
    ),
    "metrics": (
        f"{_OBSERVABILITY}/metrics.py",
        f"{_OBSERVABILITY}/in_turn.py",
        f"{_OBSERVABILITY}/labels.py",
        f"{_OBSERVABILITY}/open_connections.py",
        f"{_OBSERVABILITY}/standard.py",
        "prometheus_client/",
    ),
    "logs": (f"{_OBSERVABILITY}/logs.py", f"{_WIRE}/_logs.py", "structlog/", "logging/"),
    "session, shortcut, pool": (
        f"{_WIRE}/_session.py",
        f"{_WIRE}/_environment.py",
        f"{_WIRE}/_between.py",
        f"{_WIRE}/_jar.py",
        f"{_WIRE}/_shortcut.py",
        f"{_WIRE}/_adapter.py",
        f"{_WIRE}/_socket_pools.py",
        f"{_WIRE}/_sockets.py",
        f"{_WIRE}/_resolving.py",
        f"{_WIRE}/_watch.py",
    ),
    "message": (f"{_WIRE}/_message.py",),
    "system calls": (
        f"{_WIRE}/_reading.py:Reading._read",
        "http/client.py:HTTPConnection.send",
        "urllib3/util/wait.py",
        "socket.py",
    ),
    "reading, the response": (
        f"{_WIRE}/_reading.py",
        f"{_WIRE}/_pacing.py",
        f"{_WIRE}/_reply.py",
        f"{_WIRE}/_answer.py",
        f"{_WIRE}/_limits.py",
        f"{_WIRE}/_content.py",
    ),
    "JSON": (f"{_CONNECTION}/_json.py", "json/"),
    "requests, urllib3, http.client": ("requests/", "urllib3/", "http/", "email/"),
}
"""Files, folders (with a slash behind them), and single functions, which win over their file."""
SHARED: Final = (
    f"{_WIRE}/_fields.py",
    f"{_WIRE}/_originals.py",
    f"{_CONNECTION}/_forks.py",
    "sleepwalker/resilience/clock.py",
)
"""Files of ours that count with who calls them (rule 1)."""


def place_of(code: CodeType) -> str:
    """Where a function is, as `LAYERS` says it: relative to where modules are looked for."""
    return _relative(code.co_filename)


@cache
def _relative(file: str) -> str:
    found = [f"{Path(each)}/" for each in sys.path if each and file.startswith(f"{Path(each)}/")]
    return file.removeprefix(max(found, key=len, default=""))


@cache
def layer_of(code: CodeType) -> str | None:
    """The layer that a function belongs to; `None`: its caller's."""
    place = place_of(code)
    if place in SHARED:
        return None
    file, folder = None, None
    for name, places in LAYERS.items():
        if f"{place}:{code.co_qualname}" in places:
            return name
        if place in places:
            file = name
        if any(each.endswith("/") and place.startswith(each) for each in places):
            folder = name
    return file or folder


def layer_at(frame: FrameType | None) -> str:
    """The layer that is running in a frame."""
    while frame is not None:
        found = layer_of(frame.f_code)
        if found is not None:
            return found
        frame = frame.f_back
    return OTHERS


class Sampler:
    """Counts the layers that subjects are in, as their CPU goes by, inside a ``with`` block.

    It is the main thread that is looked at, in which the block has to be. What a thread in the
    background takes counts where the main thread stands.

    :ivar samples: for each subject's name
    """

    def __init__(self) -> None:
        self.samples: dict[str, Counter[str]] = {}
        self._now: Counter[str] | None = None
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)

    def watched(self, subject: Subject) -> Subject:
        """The same subject, whose calls are looked at."""
        mine = self.samples[subject.name] = Counter()

        def looked_at(function: Callable[[], object]) -> Callable[[], object]:
            def called() -> object:
                self._now = mine
                try:
                    return function()
                finally:
                    self._now = None

            return called

        return replace(subject, call=looked_at(subject.call), settle=looked_at(subject.settle))

    def _take(self, _: int, frame: FrameType | None) -> None:
        if self._now is not None:
            self._now[layer_at(frame)] += 1


def calls_of(subject: Subject) -> Counter[str]:
    """How often functions are called, by the layer that they are in, or that calls into C."""
    calls: Counter[str] = Counter()

    def told(frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "c_call"}:
            calls[layer_at(frame)] += 1

    # What `sys.setprofile` is told of itself is in no layer.
    for _ in range(COUNTED):
        sys.setprofile(told)
        try:
            subject.call()
        finally:
            sys.setprofile(None)
    return calls


class Part(NamedTuple):
    """What one layer takes of one subject."""

    share: float
    times: float
    """As a part of what bare `requests` takes."""
    calls: float


class Profile(NamedTuple):
    """One subject."""

    samples: int
    times: Spread | None
    """All of it; `None` for bare `requests` itself."""
    parts: dict[str, Part]

    @property
    def calls(self) -> float:
        """How many functions are called, in all layers."""
        return sum(part.calls for part in self.parts.values())


def _silent(url: str, stack: ExitStack) -> Connection:
    return stack.enter_context(
        Connection(
            url,
            ANONYMOUS,
            registry=False,
            tracer_provider=False,
            meter_provider=False,
            logger=False,
        )
    )


def _sent(url: str, stack: ExitStack) -> Subject:
    conn = _silent(url, stack)
    kind = type(conn.session.get_adapter(url))
    conn.session.mount(url, type("Mounted", (kind,), {})())
    return Subject(SENT, lambda: conn.json_request("GET", PATH))


def _made_and_sent(url: str, stack: ExitStack) -> Subject:
    conn = _silent(url, stack)
    return Subject(MADE_AND_SENT, lambda: conn.json_request("GET", PATH, params=[]))


def subjects(url: str, stack: ExitStack) -> list[Subject]:
    """Those that are measured, in the order of `WHOLE`."""
    return [
        CLIENTS[ALL_ON](Target(url), stack),
        INSTRUMENTED[NOTHING](url, stack),
        INSTRUMENTED[BARE](url, stack),
        _sent(url, stack),
        _made_and_sent(url, stack),
    ]


def profiles(settings: argparse.Namespace) -> dict[str, Profile]:
    """Measure.

    :raises ConditionsError: when a subject doesn't do what it is said to
    """
    with ExitStack() as stack:
        stack.enter_context(logs_at_info())
        server = stack.enter_context(Server())
        sampler = Sampler()
        measured = subjects(server.url, stack)
        watched = [sampler.watched(subject) for subject in measured]
        with sampler:
            rounds = rounds_of_requests(
                watched,
                server,
                rounds=settings.rounds,
                operations=settings.requests,
                seed=settings.seed,
                begun=progress("layers", settings.rounds),
            )
        calls = {subject.name: calls_of(subject) for subject in measured}
    return {
        name: _profile(
            samples,
            None if name == BARE else ratio(rounds, name, BARE, "process"),
            calls[name],
        )
        for name, samples in sampler.samples.items()
    }


def _profile(samples: Counter[str], times: Spread | None, calls: Counter[str]) -> Profile:
    taken = samples.total() - samples[OTHERS]
    all_of_it = 1.0 if times is None else times.median
    parts = {}
    for layer in LAYERS:
        if samples[layer] or calls[layer]:
            share = samples[layer] / taken if taken else 0.0
            parts[layer] = Part(share, share * all_of_it, calls[layer] / COUNTED)
    return Profile(taken, times, parts)


HEADS: Final = (
    "layer",
    *(
        f"{name}: {what}"
        for name in PROFILED.values()
        for what in ("share", f"{TIMES} {BARE}", "calls")
        if not (name == BARE and what.startswith(TIMES))
    ),
)
HEADS_OF_WHOLE: Final = ("one call", f"CPU {TIMES} {BARE}", "calls")


def whole(measured: Mapping[str, Profile]) -> list[list[str]]:
    """The table of all subjects: heads first."""
    told = ((WHOLE[name], measured[name]) for name in WHOLE)
    return [
        [*HEADS_OF_WHOLE],
        *([name, shown(profile.times), f"{profile.calls:.0f}"] for name, profile in told),
    ]


def by_layers(measured: Mapping[str, Profile]) -> list[list[str]]:
    """The table of the layers: heads first."""
    found = [[*HEADS]]
    for layer in LAYERS:
        row = [layer]
        for name in PROFILED:
            part = measured[name].parts.get(layer)
            if part is None:
                cells = ["-", "-", "-"]
            else:
                cells = [f"{part.share:.1%}", f"{part.times:.3f}", f"{part.calls:.0f}"]
            row += cells if name != BARE else [cells[0], cells[2]]
        found.append(row)
    return found


_MACHINE: Final = ("python", "system", "processor")
_VERSIONS: Final = (BARE, "urllib3", "prometheus-client", "opentelemetry-sdk")
"""What the page says of the machine and of what was measured on it."""


def section(measured: Mapping[str, Profile], settings: argparse.Namespace) -> str:
    """What stands between the comments of the page."""
    machine, versions = environment.machine(), environment.versions()
    taken = {name: measured[key].samples for key, name in PROFILED.items()}
    about = (
        f"Samples: {listed(taken)}. {settings.rounds} rounds of {settings.requests} calls each, "
        f"with {listed({name: versions[name] for name in _VERSIONS})}, on "
        f"{', '.join(str(machine[name]) for name in _MACHINE)}."
    )
    tables = (written.table(whole(measured)), written.table(by_layers(measured)))
    return "\n".join(["", "\n\n".join(tables), "", about, ""])


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Understand the command line."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Where the CPU of one json_request goes, by layer, beside bare requests.",
    )
    common_options(parser)
    written.option(parser, COMMAND)
    return understood(parser, arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print what came of it."""
    settings = options(arguments)
    try:
        check_environment()
        if settings.cpus == "one":
            environment.keep_to_one_cpu()
        measured = profiles(settings)
    except ConditionsError as error:
        print(f"The conditions of a run don't hold: {error}", file=sys.stderr)
        return 1
    machine, versions = environment.machine(), environment.versions()
    sizes = {"rounds": settings.rounds, "requests": settings.requests}
    tables = (aligned(whole(measured)), aligned(by_layers(measured)))
    print(listed(machine | sizes), listed(versions), *tables, sep="\n\n")
    if settings.json is not None:
        told = {"machine": machine, "versions": versions, "subjects": data_of(measured)}
        settings.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    if settings.write is not None:
        written.write(settings.write, COMMAND, section(measured, settings))
    return 0


def data_of(measured: Mapping[str, Profile]) -> dict[str, Any]:
    """Tell it to programs."""
    return {
        WHOLE[name]: {
            "samples": profile.samples,
            "times": None if profile.times is None else profile.times._asdict(),
            "layers": {layer: part._asdict() for layer, part in profile.parts.items()},
        }
        for name, profile in measured.items()
    }


if __name__ == "__main__":
    options()  # a wrong one is told before anything is begun
    environment.enter()
    sys.exit(main())
