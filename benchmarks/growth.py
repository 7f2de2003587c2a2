"""Whether a process grows that makes a million requests: ``python -m benchmarks.growth``.

Rules:

1. Everything is on: recorded spans, metrics, logs at INFO.
2. It is measured in a process of its own, which does nothing else, at even intervals.
3. What is there after the first interval was made once, cycles too; judged is by how much the last
   differs.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.clients import CLIENTS
from benchmarks.command import positive, progress
from benchmarks.conditions import ConditionsError
from benchmarks.environment import ROOT
from benchmarks.process import MIB, blocks, open_files, resident
from benchmarks.ratios import Spread
from benchmarks.server import Server
from benchmarks.tables import Findings
from benchmarks.target import Target
from benchmarks.telemetry import logs_at_info

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME: Final = "memory"
REQUESTS: Final = 1_000_000
INTERVALS: Final = 10


class Sample(NamedTuple):
    """What the process had after so many requests."""

    requests: int
    resident: int
    """Bytes of memory."""
    blocks: int
    """Of memory, that objects have."""
    cycles: int
    """Objects that the collector found in cycles, with everything that hung from them."""
    files: int
    """That were open."""


def samples(requests: int) -> Iterator[Sample]:
    """Make so many requests, and look at the process after each interval."""
    with logs_at_info(), ExitStack() as stack:
        server = stack.enter_context(Server())
        subject = CLIENTS["sleepwalker"](Target(server.url), stack)
        call, done = subject.call, 0
        for number in range(1, INTERVALS + 1):
            goal = requests * number // INTERVALS
            # Who leaves cycles behind is seen by how many there are, not by when they are found.
            gc.disable()
            for _ in range(min(goal - done, 1000)):
                call()
            subject.settle()
            cycles = gc.collect()
            gc.enable()
            for _ in range(goal - done - 1000):
                call()
            done = goal
            subject.settle()
            gc.collect()
            yield Sample(done, resident(), blocks(), cycles, open_files())


def figures(found: Sequence[Sample]) -> dict[str, Spread]:
    """By how much it grew, by the budgets' names and in their units."""
    first, last = found[0], found[-1]
    grown = {
        "memory.resident": (last.resident - first.resident) / MIB,
        "memory.blocks": last.blocks - first.blocks,
        "memory.files": last.files - first.files,
    }
    return {name: Spread.of([value]) for name, value in grown.items()}


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Measure in a process of its own.

    :raises ConditionsError: when it doesn't come to the end
    """
    del names  # a part that is measured as a whole
    begun = progress(NAME, INTERVALS)
    begun(1)
    with subprocess.Popen(  # noqa: S603 - this very module
        [sys.executable, "-m", __name__, "--requests", str(settings.million)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        found = []
        try:
            for line in process.stdout:
                found.append(Sample(*json.loads(line)))
                begun(min(len(found) + 1, INTERVALS))
        finally:
            process.kill()  # where nobody waits for the rest
    if len(found) != INTERVALS:
        msg = f"the process that was to make {settings.million} requests ended"
        raise ConditionsError(msg)
    return Findings(figures=figures(found), memory=found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and tell each sample as a line of JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description="What a process has that makes a million requests.",
    )
    parser.add_argument("--requests", type=positive, default=REQUESTS, metavar="N")
    settings = parser.parse_args(arguments)
    with suppress(KeyboardInterrupt):
        for sample in samples(settings.requests):
            print(json.dumps(sample), flush=True)


if __name__ == "__main__":
    main()
