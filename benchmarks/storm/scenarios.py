"""What happens to the server, and what is told of how callers and server fared.

Rules:

1. Arrivals are open-loop: a Poisson process that takes no notice of how the server fares, spread
   evenly over the processes. Callers don't come more slowly because they are answered more slowly.
2. Load is what reached the server, over the calls that were made. Goodput is the answers that came
   within the callers' patience, over the calls that arrived, second by second.
3. Recovered is who stays so: from the time told on, goodput is at least 95 % in every second
   of what is observed.
4. How long that takes depends on the seed. What is judged is the median of several, and the worst
   is told beside it.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.storm.client import Client
from benchmarks.storm.events import Events
from benchmarks.storm.server import ServerSettings, SimulatedServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.storm.subjects import Subject

ENOUGH = 0.95
"""The goodput at which the server has recovered."""
SLICE = 0.1
"""Seconds: how finely load and goodput are kept."""
PER_SECOND = 10
"""Slices in a second."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What is assumed.

    :ivar processes: how many, each with a manager of its own
    :ivar rate: calls a second that each of them makes
    :ivar load: which part of the server's capacity these are
    :ivar service: seconds that the server works on a request, on average
    :ivar timeout: seconds for one attempt
    :ivar patience: seconds after which a caller has no use for an answer
    :ivar queue: how many seconds of work the server lets wait; `None`: any
    :ivar knows_the_dead: whether the server leaves out requests whose callers have given up
    :ivar warm: seconds before the stall
    :ivar stall: seconds of it
    :ivar watched: seconds after it
    """

    processes: int = 80
    rate: float = 10.0
    load: float = 0.8
    service: float = 0.05
    timeout: float = 1.0
    patience: float = 3.0
    queue: float | None = None
    knows_the_dead: bool = False
    warm: float = 5.0
    stall: float = 10.0
    watched: float = 45.0

    @property
    def arrivals(self) -> float:
        """Calls a second in all."""
        return self.processes * self.rate

    def server(self, failing: float = 0.0) -> ServerSettings:
        """A server of the size at which the calls are this load."""
        workers = max(round(self.arrivals / self.load * self.service), 1)
        return ServerSettings(
            workers=workers,
            service=self.service,
            queue=None if self.queue is None else round(self.queue * workers / self.service),
            failing=failing,
            knows_the_dead=self.knows_the_dead,
        )


@dataclass
class Story:
    """How it went, slice by slice."""

    arrived: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    good: list[int] = field(default_factory=list)

    def ratio(self, of: Sequence[int], first: int, slices: int = PER_SECOND) -> float:
        """How many there were for each call that arrived, in so many slices from the first."""
        arrived = sum(self.arrived[first : first + slices])
        return sum(of[first : first + slices]) / arrived if arrived else 0.0


class _Run:
    """One world with one subject in it."""

    def __init__(self, world: World, subject: Subject, seed: int, failing: float = 0.0) -> None:
        # A stream for each, so that how one subject retries changes nothing for the others.
        self._arrivals, service, jitter = (
            random.Random(f"{seed} {name}")  # noqa: S311 - a simulation, no secret
            for name in ("arrivals", "service", "jitter")
        )
        self.events = Events()
        self.server = SimulatedServer(world.server(failing), self.events, service)
        self.clients = [
            Client(
                subject,
                self.server,
                self.events,
                jitter,
                timeout=world.timeout,
                patience=world.patience,
            )
            for _ in range(world.processes)
        ]
        self._world = world
        self._left: float = float("inf")
        self.calls = self.good = 0

    def arrive(self) -> None:
        """Let a caller come, and plan the next."""
        if not self._left:
            return
        self._left -= 1
        self.calls += 1
        self.events.after(self._arrivals.expovariate(self._world.arrivals), self.arrive)
        client = self.clients[int(self._arrivals.random() * len(self.clients))]
        client.call(self._over)

    def _over(self, *, good: bool) -> None:
        self.good += good

    def calls_made(self, number: int) -> None:
        """Let so many callers come, and everything happen that follows."""
        self._left = number
        self.arrive()
        self.events.run_out()

    def told(self, seconds: float, story: Story) -> None:
        """Let time go by, and keep account of it."""
        for _ in range(round(seconds / SLICE)):
            calls, sent, good = self.calls, self.server.received, self.good
            self.events.run(self.events.now + SLICE)
            story.arrived.append(self.calls - calls)
            story.sent.append(self.server.received - sent)
            story.good.append(self.good - good)


@dataclass(frozen=True)
class Counted:
    """What so many calls came to."""

    calls: int
    sent: int
    good: int

    @property
    def load(self) -> float:
        """Requests for each call."""
        return self.sent / self.calls

    @property
    def success(self) -> float:
        """The part of the calls that were good."""
        return self.good / self.calls


def failures(world: World, subject: Subject, *, failing: float, calls: int, seed: int) -> Counted:
    """Make calls to a server that answers a part of the requests with an error."""
    run = _Run(world, subject, seed, failing)
    run.calls_made(calls)
    return Counted(run.calls, run.server.received, run.good)


def outage(subject: Subject, *, calls: int, seed: int) -> Counted:
    """Let one caller make its calls one after the other while every answer is an error."""
    world = World(processes=1)
    run = _Run(world, subject, seed, failing=1.0)
    [client] = run.clients
    left = calls

    def following(*, good: bool) -> None:
        nonlocal left
        run.good += good
        left -= 1
        if left:
            run.events.after(1 / world.rate, lambda: client.call(following))

    client.call(following)
    run.events.run_out()
    return Counted(calls, run.server.received, run.good)


@dataclass(frozen=True)
class Recovery:
    """What came of a stall.

    :ivar seconds: from the stall's end until goodput was enough and stayed so; `None`: not in the
        time watched
    :ivar peak: the most that reached the server in one second, for each call that arrived
    :ivar load: what reached the server from the stall's begin on, for each call that arrived
    :ivar story: all of it
    """

    seconds: float | None
    peak: float
    load: float
    story: Story


def stall(world: World, subject: Subject, *, seed: int) -> Recovery:
    """Stall the server in the middle of everything, and watch."""
    run, story = _Run(world, subject, seed), Story()
    run.arrive()
    run.told(world.warm, story)
    run.server.stall(world.stall)
    run.told(world.stall + world.watched, story)
    begun, ended = (round(t / SLICE) for t in (world.warm, world.warm + world.stall))
    last = len(story.arrived) - PER_SECOND
    bad = [n for n in range(ended, last + 1) if story.ratio(story.good, n) < ENOUGH]
    recovered = (
        None if bad and bad[-1] == last else ((bad[-1] + 1 - ended) / PER_SECOND if bad else 0.0)
    )
    return Recovery(
        recovered,
        max(story.ratio(story.sent, n) for n in range(begun, last + 1)),
        story.ratio(story.sent, begun, len(story.sent)),
        story,
    )


@dataclass(frozen=True)
class Recoveries:
    """How long it took with several seeds.

    :ivar seconds: of each, as in `Recovery`
    """

    seconds: tuple[float | None, ...]

    @property
    def median(self) -> float | None:
        """The seconds that half of them took at most; `None`: not in the time watched."""
        return _none_if_endless(statistics.median(map(_endless_if_none, self.seconds)))

    @property
    def worst(self) -> float | None:
        """The seconds that the slowest took; `None`: not in the time watched."""
        return _none_if_endless(max(map(_endless_if_none, self.seconds)))

    def within(self, limit: float) -> int:
        """How many took at most so many seconds."""
        return sum(_endless_if_none(seconds) <= limit for seconds in self.seconds)


def _endless_if_none(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


def _none_if_endless(seconds: float) -> float | None:
    return None if seconds == math.inf else seconds


def stalls(world: World, subject: Subject, *, seeds: Iterable[int]) -> Recoveries:
    """Stall the server with each of several seeds."""
    return Recoveries(tuple(stall(world, subject, seed=seed).seconds for seed in seeds))
