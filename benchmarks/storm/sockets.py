"""The storm over real sockets: the library's `Connection` and its peers against real servers.

Rules:

1. It is a smaller world than the simulation's, since a machine has to play all of it; its figures
   are the machine's, and are no budget's.
2. Each subject has servers of its own, which count what reaches them.
3. Peers are as their users have them: `requests` with urllib3's `Retry(total=3)`, and tenacity with
   stamina's defaults. In an outage the latter's waits are cut to a thousandth, or it would take
   hours; in a stall it would need a larger machine, so that it is left to the simulation.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import requests
import tenacity
from prometheus_client import CollectorRegistry
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from benchmarks.storm.scenarios import ENOUGH, Counted
from benchmarks.storm.socket_server import PATH, StormServer
from benchmarks.storm.subjects import DEFAULT, QUOTA_AIMD, STAMINA, URLLIB3, stamina_wait
from sleepwalker import ANONYMOUS, Connection
from sleepwalker.exceptions import SleepwalkerException
from sleepwalker.resilience.policy import RETRY_STATUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.storm.subjects import Subject

SUBJECTS = (URLLIB3, STAMINA, QUOTA_AIMD, DEFAULT)
STALLED = (URLLIB3, QUOTA_AIMD, DEFAULT)
SOCKETS: Final = 64
"""How many sockets a process keeps."""
HURRY: Final = 1000
"""By how much stamina's waits are shortened where every call fails."""


@dataclass(frozen=True, kw_only=True)
class SmallWorld:
    """What is played over sockets.

    :ivar calls: how many in an outage, and how many of which a tenth fails
    :ivar processes: how many clients share nothing
    :ivar rate: calls a second by each of them
    :ivar workers: how many requests the server works on at once
    :ivar service: seconds that one takes
    :ivar timeout: seconds for one attempt
    :ivar patience: seconds after which a caller has no use for an answer
    :ivar warm: seconds before the stall
    :ivar stall: seconds of it
    :ivar watched: seconds after it
    """

    calls: int = 100
    processes: int = 2
    rate: float = 10.0
    workers: int = 5
    service: float = 0.2
    timeout: float = 0.75
    patience: float = 2.25
    warm: float = 3.0
    stall: float = 4.0
    watched: float = 8.0


@dataclass(frozen=True)
class Aftermath:
    """What came of a stall.

    :ivar load: requests that reached the server, for each call
    :ivar answered: which part of the callers after it had their answer in time
    :ivar recovered: seconds after it from which on, second by second, enough of the callers who
        came then had their answer in time; `None`: not in the time watched
    """

    load: float
    answered: float
    recovered: float | None


@dataclass(frozen=True)
class Measured:
    """What came of one subject."""

    name: str
    outage: Counted
    failures: Counted
    stall: Aftermath | None


class Caller(Protocol):
    """One process."""

    def call(self) -> bool:
        """Make a call; whether it was answered well."""

    def close(self) -> None:
        """Make no more."""


class Sleepwalker:
    """Ours, with a policy."""

    def __init__(self, subject: Subject, url: str, world: SmallWorld) -> None:
        policy = replace(
            subject.policy,
            connect_timeout=world.timeout,
            read_timeout=world.timeout,
            deadline=world.patience,
        )
        self._conn = Connection(url, ANONYMOUS, policy=policy, registry=CollectorRegistry())

    def call(self) -> bool:
        """Make a call."""
        try:
            self._conn.json_request("GET", PATH)
        except SleepwalkerException:
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()


class Peer:
    """`requests`, with urllib3's retries or tenacity around it.

    :param hurry: by how much tenacity's waits are shortened
    """

    def __init__(self, subject: Subject, url: str, world: SmallWorld, hurry: float = 1.0) -> None:
        self._target, self._timeout, self._hurry = url + PATH, world.timeout, hurry
        self._closed = threading.Event()
        self._session = requests.Session()
        retries = Retry(total=0)
        if subject is URLLIB3:
            retries = Retry(total=3, status_forcelist=RETRY_STATUSES, raise_on_status=False)
        self._session.mount("http://", HTTPAdapter(pool_maxsize=SOCKETS, max_retries=retries))
        self._persistent = subject is STAMINA

    def call(self) -> bool:
        """Make a call."""
        try:
            if self._persistent:
                self._retrying()(self._once)
            else:
                self._once()
        except requests.RequestException:
            return False
        return True

    def _once(self) -> None:
        self._session.get(self._target, timeout=self._timeout).raise_for_status()

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(requests.RequestException),
            wait=lambda state: stamina_wait(state.attempt_number, random.random()),  # noqa: S311 - jitter
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(10),
                tenacity.stop_after_delay(45.0),
                tenacity.stop_when_event_set(self._closed),
            ),
            sleep=self._wait,
            reraise=True,
        )

    def _wait(self, seconds: float) -> None:
        self._closed.wait(seconds / self._hurry)

    def close(self) -> None:
        """Close the session, and retry no more."""
        self._closed.set()
        self._session.close()


def _caller(subject: Subject, url: str, world: SmallWorld, hurry: float = 1.0) -> Caller:
    if subject in {URLLIB3, STAMINA}:
        return Peer(subject, url, world, hurry)
    return Sleepwalker(subject, url, world)


def counted(subject: Subject, world: SmallWorld, failing: float) -> Counted:
    """Let one caller make its calls one after the other while a part of the answers are errors."""
    with ExitStack() as stack:
        server = stack.enter_context(StormServer(workers=world.workers, service=0.0))
        server.fail(failing)
        caller = _caller(subject, server.url, world, HURRY)
        stack.callback(caller.close)
        good = sum(caller.call() for _ in range(world.calls))
        return Counted(world.calls, server.received(), good)


class Stalled:
    """One subject's processes, before, in and after a stall of their server.

    :param arrivals: when callers come, in seconds from the beginning
    """

    def __init__(self, subject: Subject, world: SmallWorld, arrivals: Sequence[float]) -> None:
        self._subject, self._world, self._arrivals = subject, world, arrivals
        self._good: list[float] = []
        """When those came who had their answer in time."""

    def run(self) -> Aftermath:
        """Play it."""
        world = self._world
        with ExitStack() as stack:
            server = stack.enter_context(StormServer(workers=world.workers, service=world.service))
            callers = [_caller(self._subject, server.url, world) for _ in range(world.processes)]
            # Calls that wait are threads that wait, however many.
            threads = stack.enter_context(ThreadPoolExecutor(len(self._arrivals)))
            for caller in callers:
                stack.callback(caller.close)
            stall = threading.Timer(world.warm, server.stall, (world.stall,))
            begun = time.monotonic()
            stall.start()
            calls = []
            for number, arrival in enumerate(self._arrivals):
                time.sleep(max(begun + arrival - time.monotonic(), 0.0))
                caller = callers[number % len(callers)]
                calls.append(threads.submit(self._call, caller, begun, arrival))
            # Once all have ended nothing more is sent, and nobody's answer is in time any more.
            wait(calls, timeout=world.patience)
            stall.join()
            return self._told(server.received())

    def _call(self, caller: Caller, begun: float, arrival: float) -> None:
        if caller.call() and time.monotonic() <= begun + arrival + self._world.patience:
            self._good.append(arrival)

    def _told(self, sent: int) -> Aftermath:
        ended, recovered = self._world.warm + self._world.stall, None
        for second in reversed(range(int(self._world.watched))):
            if self._answered(ended + second, ended + second + 1) < ENOUGH:
                break
            recovered = float(second)
        return Aftermath(
            sent / len(self._arrivals),
            self._answered(ended, ended + self._world.watched),
            recovered,
        )

    def _answered(self, first: float, last: float) -> float:
        """Which part of the callers of a time had their answer in time."""
        came = sum(first <= arrival < last for arrival in self._arrivals)
        return sum(first <= arrival < last for arrival in self._good) / came if came else 1.0


def _arrivals(world: SmallWorld) -> list[float]:
    """When callers come: a Poisson process."""
    stream = random.Random("arrivals")  # noqa: S311 - a simulation, no secret
    total = world.warm + world.stall + world.watched
    times = [0.0]
    while times[-1] < total:
        times.append(times[-1] + stream.expovariate(world.processes * world.rate))
    return times[1:-1]


def measured(world: SmallWorld | None = None) -> list[Measured]:
    """Let every subject meet an outage, failures of a tenth, and (all at once) a stall."""
    world = world or SmallWorld()
    outages = [counted(subject, world, 1.0) for subject in SUBJECTS]
    failures = [counted(subject, world, 0.1) for subject in SUBJECTS]
    arrivals = _arrivals(world)
    with ThreadPoolExecutor(len(STALLED)) as threads:
        runs = threads.map(lambda subject: Stalled(subject, world, arrivals).run(), STALLED)
        stalls = dict(zip(STALLED, runs, strict=True))
    return [
        Measured(subject.name, outage, failed, stalls.get(subject))
        for subject, outage, failed in zip(SUBJECTS, outages, failures, strict=True)
    ]
