"""Measures subjects in rounds that take turns.

Rules:

1. Each round measures every subject once, in an order that the seed shuffles, so that none is
   always the one behind the same neighbour.
2. The garbage collector is treated alike for all: what was there before the first round is out of
   its sight, it has run when a block begins, and it is on during the block, as it is in production.
3. What a subject leaves to a background thread (a batch of spans) is finished within its own block,
   and its CPU is in the process's time.
"""

from __future__ import annotations

import gc
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WARMUP = 5
"""Calls before each block that don't count: caches are as warm as they get."""


class Evidence(NamedTuple):
    """What a subject's instruments have recorded so far."""

    spans: int = 0
    """Spans that reached the exporter."""
    requests: int = 0
    """Requests that the metrics know of."""
    unsampled: int = 0
    """Spans that the sampler was asked about, and had not recorded."""
    samples: int = 0
    """Attempts that OpenTelemetry's metrics know of."""
    lines: int = 0
    """Lines that were logged."""
    unwritten: int = 0
    """What was to be logged, and is below the logger's level."""


NO_EVIDENCE = Evidence()
"""Of those who record nothing."""


def nothing(*_: object) -> None:
    """Do what has to be done where nothing has."""


@dataclass(frozen=True)
class Subject:
    """Something whose cost is measured.

    :ivar name: what the command line and the table call it
    :ivar call: one operation, or a batch of them
    :ivar batch: how many; more than one where calling would cost as much as what is called
    :ivar each: what one operation adds to the evidence
    :ivar evidence: reads what was recorded; spans only after `settle`
    :ivar settle: finishes what operations left to be done later
    :ivar warmup: calls before each block that don't count; none where a call is a run of its own
    :ivar measure: measures a block itself, for who is in another process
    """

    name: str
    call: Callable[[], object]
    batch: int = 1
    each: Evidence = NO_EVIDENCE
    evidence: Callable[[], Evidence] = Evidence
    settle: Callable[[], object] = nothing
    warmup: int = WARMUP
    measure: Callable[[int], Cost] | None = None

    def calls(self, operations: int) -> int:
        """How often it is called for so many operations: whole batches, at least one."""
        return max(operations // self.batch, 1)

    def operations(self, operations: int) -> int:
        """How many a block of so many does in all, with those that don't count."""
        return (self.warmup + self.calls(operations)) * self.batch


class Cost(NamedTuple):
    """What one operation cost, in seconds, on average over a block."""

    process: float
    """CPU of the whole process: the calling thread's, and what it left to others."""
    thread: float
    """CPU of the calling thread."""
    wall: float


Rounds = dict[str, list[Cost]]
"""The costs of each subject, by its name, in the order of the rounds."""


def block(subject: Subject, operations: int) -> Cost:
    """Measure so many operations in a row (whole batches of them, at least one)."""
    if subject.measure is not None:
        return subject.measure(operations)
    call, calls = subject.call, subject.calls(operations)
    operations = calls * subject.batch
    for _ in range(subject.warmup):
        call()
    subject.settle()
    gc.collect()
    process, thread, wall = time.process_time(), time.thread_time(), time.perf_counter()
    for _ in range(calls):
        call()
    wall = time.perf_counter() - wall
    thread = time.thread_time() - thread
    subject.settle()
    process = time.process_time() - process
    return Cost(process / operations, thread / operations, wall / operations)


def interleaved(
    subjects: Sequence[Subject],
    *,
    rounds: int,
    operations: int,
    seed: int,
    begun: Callable[[int], object] = nothing,
) -> Rounds:
    """Measure all subjects, round by round.

    :param begun: is told the number of each round, from 1
    """
    turns = random.Random(seed)  # noqa: S311 - an order, no secret
    costs: Rounds = {subject.name: [] for subject in subjects}
    order = list(subjects)
    with only_new_garbage():
        for number in range(1, rounds + 1):
            begun(number)
            turns.shuffle(order)
            for subject in order:
                costs[subject.name].append(block(subject, operations))
    return costs


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """What is there now is out of the collector's sight."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
