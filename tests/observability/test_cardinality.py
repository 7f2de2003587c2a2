"""However many hosts a service talks to, its metrics stay as few as those of 200, and say so.

Rules:

1. What happens to pools happens to all that have series of their own, and to some that have none.
2. The bound is exact: what 201 hosts have made is all that there is after 10,000.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
from prometheus_client import CollectorRegistry
from requests.adapters import BaseAdapter

from sleepwalker import (
    ANONYMOUS,
    Breaker,
    CircuitOpenError,
    Connection,
    ConnectionHook,
    ConnectionManager,
    CredentialsError,
    EstablishmentError,
    HTTPServiceUnavailable,
    Policy,
)
from sleepwalker.observability import names
from sleepwalker.observability.events import AttemptFinished
from sleepwalker.observability.metrics import Metrics
from sleepwalker.testing import SkippingClock
from tests.telemetry import Given, Meters, sample, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.observability.events import Event

POOLS: Final = 10_000
OWN: Final = names.LABELLED_POOLS
TOLD_APART: Final = OWN + 1
"""Those with series of their own, and what all others share."""
POLICY: Final = Policy(attempts=2, breaker=Breaker(calls=2))
"""A host that fails has spent of its quota and is left alone after one call."""

OF_NO_POOL: Final = {names.POOLS, names.LABEL_OVERFLOW, names.TELEMETRY_ERRORS}
OF_THREADS: Final = {names.POOL_WAIT}
"""Here nobody waits for another thread."""


class Down(BaseAdapter):
    """Answers that the host is down, without a socket."""

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override] # all that ours takes
        response = requests.Response()
        response.status_code, response.request, response.url = 503, request, request.url or ""
        response.raw = None
        return response

    def close(self) -> None:
        """Nothing is open."""


class Vault(ConnectionHook):
    """Gives connections to hosts that are named so, at the second asking; else what has none."""

    def __init__(self, clock: SkippingClock) -> None:
        self._clock = clock
        self._asked: set[str] = set()

    def connect(self, host: Any, auth: Any) -> Any:
        if "real" not in host:
            return Given()
        if host not in self._asked:
            self._asked.add(host)
            raise CredentialsError("not yet")
        conn = Connection(host, auth, clock=self._clock)
        conn.session.trust_env = False
        conn.session.mount("https://", Down())
        return conn


class Service:
    """A service that talks to many hosts; those that are really asked are all down."""

    def __init__(self) -> None:
        clock, self.registry, self.meters = SkippingClock(), CollectorRegistry(), Meters()
        self.metrics = Metrics.on(self.registry)
        self.real = self.found = 0
        """How many hosts were really asked, and how many others were found by the hook."""
        self.manager = ConnectionManager(
            hooks=[Vault(clock)],
            policy=POLICY,
            clock=clock,
            observers=[self],
            registry=self.registry,
            meter_provider=self.meters.provider,
            tracer_provider=False,
            logger=False,
        )

    def record(self, event: Event) -> None:
        """Tell of a socket, as the wire does, wherever there might be one."""
        if isinstance(event, AttemptFinished):
            self.metrics.connections.opened(event.pool.series).closed()

    def live_through(self, number: int) -> None:
        """Let all happen to one host that can."""
        self.real += 1
        host = f"https://real-{number}.test"
        with suppress(EstablishmentError):
            self.manager.find(host, ANONYMOUS)
        conn = self.manager.find(host, ANONYMOUS)
        following = self.manager.following("item", host, ANONYMOUS, source="https://hub.test")
        with suppress(HTTPServiceUnavailable), following:
            conn.request("GET", "/")
        with suppress(CircuitOpenError):
            conn.request("GET", "/")
        self.manager.add(host, ANONYMOUS, Given())

    def meet(self, number: int) -> None:
        """Have a pool of one more host, most of them put in by hand, which is quicker."""
        host = f"https://h{number}.test"
        if number % 10:
            self.manager.add(host, ANONYMOUS, Given())
        else:
            self.found += 1
            self.manager.find(host, ANONYMOUS)

    def series(self) -> dict[str, Counter[str]]:
        """How many series each family has of each host, buckets included."""
        return {
            f"{family.name}_total" if family.type == "counter" else family.name: Counter(
                one.labels.get("host", "") for one in family.samples
            )
            for family in self.registry.collect()
        }


class Played:
    """The service after it has talked to all its hosts, and what there was after 201."""

    def __init__(self) -> None:
        self.service = Service()
        for number in range(TOLD_APART):
            self.service.live_through(number)
        self.first = self.service.series()
        for number in range(TOLD_APART, POOLS):
            if number % 500 == 0:
                self.service.live_through(number)
            else:
                self.service.meet(number)
        self.last = self.service.series()
        self.samples = samples(self.service.registry)
        self.points = self.service.meters.points()

    def value(self, name: str, **labels: str) -> float:
        """One sample's value."""
        return self.samples[sample(name, **labels)]

    def close(self) -> None:
        """End what was begun."""
        self.service.manager.close()
        self.service.meters.provider.shutdown()


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    """Let the service talk to all its hosts, once for all tests."""
    made = Played()
    yield made
    made.close()


def test_10_000_pools_leave_no_more_series_than_201(played: Played) -> None:
    assert played.value(names.POOLS) == POOLS
    assert played.last == played.first


def test_each_family_has_as_many_series_of_all_others_together_as_of_any_one(
    played: Played,
) -> None:
    hosts = {*(f"https://real-{number}.test" for number in range(OWN)), names.OVERFLOW}
    of_pools = {n: c for n, c in played.last.items() if n not in OF_NO_POOL | OF_THREADS}

    assert {name: set(counts) for name, counts in of_pools.items()} == dict.fromkeys(
        of_pools, hosts
    )
    assert {name: len(set(counts.values())) for name, counts in of_pools.items()} == (
        dict.fromkeys(of_pools, 1)
    )
    assert {name: list(played.last[name]) for name in OF_NO_POOL} == {
        name: [""] for name in OF_NO_POOL
    }
    assert set(played.last) == OF_NO_POOL | OF_THREADS | set(of_pools)


def test_how_many_pools_share_series_is_counted(played: Played) -> None:
    assert played.value(names.LABEL_OVERFLOW) == POOLS - OWN


def test_what_happens_to_them_is_counted_all_the_same(played: Played) -> None:
    real = played.service.real - OWN
    other = {"host": names.OVERFLOW, "auth": names.OVERFLOW}

    assert real > 1
    # Who is really asked is found at the second asking.
    found = 2 * real + played.service.found
    assert played.value(names.POOL_LOOKUPS, **other, result="miss") == found
    assert played.value(names.LINK_FOLLOWS, **other, cross_host="true", outcome="error") == real
    assert (
        played.value(names.ATTEMPTS, **other, method="GET", code="503", error_type="none")
        == POLICY.attempts * real
    )


def test_the_standard_metric_is_as_bounded(played: Played) -> None:
    addresses = Counter(of["server.address"] for of, _, _ in played.points)

    assert addresses == Counter([names.OVERFLOW, *(f"real-{n}.test" for n in range(OWN))])
    assert [of.get("server.port") for of, _, _ in played.points].count(None) == 1


def test_the_scopes_of_one_host_are_as_few() -> None:
    service = Service()
    conn = Connection(
        "https://real.test", ANONYMOUS, clock=SkippingClock(), registry=service.registry
    )
    conn.session.mount("https://", Down())

    for number in range(OWN + 50):
        with suppress(HTTPServiceUnavailable):
            conn.request("GET", "/", policy=replace(POLICY, scope=f"tenant {number}"))

    scopes = Counter([names.OVERFLOW, *(f"https://real.test (tenant {n})" for n in range(OWN))])
    series = service.series()
    assert series[names.BREAKER_STATE] == series[names.RETRY_QUOTA] == scopes
