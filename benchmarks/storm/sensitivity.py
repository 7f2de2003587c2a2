"""How recovery from a stall depends on what was assumed: one assumption changed at a time.

Then how it depends on the breaker, and for each of these on chance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.storm.scenarios import World, stall, stalls
from benchmarks.storm.subjects import ADAPTIVE, DEFAULT, NONE, QUOTA_AIMD, Subject
from sleepwalker.resilience.policy import Breaker, Quota

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.storm.scenarios import Recoveries, Recovery

SUBJECTS = (NONE, DEFAULT, QUOTA_AIMD, ADAPTIVE)
WORLD = World(watched=20.0)
_CALLS = round(WORLD.arrivals)


def _with_rate(rate: int) -> World:
    """As many calls in all, by fewer or more processes."""
    return replace(WORLD, rate=float(rate), processes=_CALLS // rate)


WORLDS: dict[str, tuple[World, int]] = {
    "as assumed": (WORLD, 0),
    "another seed": (WORLD, 1),
    "a third seed": (WORLD, 2),
    "load 50 %": (replace(WORLD, load=0.5), 0),
    "load 90 %": (replace(WORLD, load=0.9), 0),
    "queue of 0.5 s of work": (replace(WORLD, queue=0.5), 0),
    "queue of 2 s of work": (replace(WORLD, queue=2.0), 0),
    "the dead are left out": (replace(WORLD, knows_the_dead=True), 0),
    "attempt 0.5 s": (replace(WORLD, timeout=0.5), 0),
    "attempt 2 s, patience 6 s": (replace(WORLD, timeout=2.0, patience=6.0), 0),
    "attempt 10 s, patience 30 s": (replace(WORLD, timeout=10.0, patience=30.0), 0),
    "800 processes, 1 call/s each": (_with_rate(1), 0),
    "160 processes, 5 calls/s each": (_with_rate(5), 0),
    "16 processes, 50 calls/s each": (_with_rate(50), 0),
    "320 processes, 10 calls/s each": (replace(WORLD, processes=320, watched=12.0), 0),
}
"""What is changed, and the seed."""

QUICKER = Subject(
    name=DEFAULT.name,
    policy=replace(DEFAULT.policy, quota=Quota(tokens=50), breaker=Breaker(calls=5, window=5.0)),
)
"""For processes that make few calls."""

BREAKERS = (
    Breaker(),
    Breaker(calls=20, window=10.0),
    Breaker(calls=20, window=3.0),
    Breaker(calls=15, window=3.0),
)
"""The default, what others use, one that looks back less far, and one for which less is enough."""
SEEDS = range(40)
"""With which each is tried."""


def recoveries() -> Iterator[tuple[str, dict[str, Recovery]]]:
    """What comes of each of these worlds, by the subject's name."""
    for name, (world, seed) in WORLDS.items():
        yield name, {subject.name: stall(world, subject, seed=seed) for subject in SUBJECTS}
    yield (
        "1 call/s each, with 50 tokens and a breaker of 5 calls in 5 s",
        {QUICKER.name: stall(_with_rate(1), QUICKER, seed=0)},
    )


def breakers() -> Iterator[tuple[str, Recoveries]]:
    """What comes of the default with each of these breakers."""
    for breaker in BREAKERS:
        subject = Subject(name=DEFAULT.name, policy=replace(DEFAULT.policy, breaker=breaker))
        # The window is full when the stall begins.
        world = replace(WORLD, warm=max(WORLD.warm, breaker.window))
        name = f"{breaker.calls} calls in {breaker.window:g} s"
        yield name, stalls(world, subject, seeds=SEEDS)
