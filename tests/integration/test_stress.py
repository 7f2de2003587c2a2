"""64 threads, one manager, four servers and as many identities: in the end every count is exact.

Rules:

1. What a server does with a request is a function of the request's number alone: so whatever the
   threads' order, all that must come of it is known before.
2. What happened is what the servers recorded; what the manager tells must agree with it.
"""

from __future__ import annotations

import base64
import itertools
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from sleepwalker import (
    ANONYMOUS,
    BearerAuth,
    Connection,
    ConnectionError,
    ConnectionManager,
    DirectHook,
    HTTPError,
    Limit,
    Policy,
    Quota,
)
from sleepwalker.observability.events import (
    AttemptFinished,
    ManagerReset,
    PoolEvicted,
    PoolsChanged,
    RequestFinished,
    RequestStarted,
    RetryQuotaChanged,
    RetryScheduled,
)
from sleepwalker.testing import RecordingObserver
from tests.crew import at_once
from tests.servers import close_without_answer, respond

if TYPE_CHECKING:
    from tests.servers import MakeServer, Request, ScriptedServer
    from tests.servers.actions import Action

THREADS: Final = 64
HOSTS: Final = 4
EACH: Final = 12
"""Calls of each thread, while all is as usual."""
PATIENT: Final = 40.0
"""Seconds: what a test that runs on a busy machine must not hang on."""
CALLS: Final = 8
"""How many calls to a host may be in flight."""

QUOTA: Final = Quota(tokens=3_000)
POLICY: Final = Policy(
    quota=QUOTA,
    breaker=None,
    limit=Limit(calls=CALLS),
    deadline=PATIENT,
    connect_timeout=PATIENT,
    read_timeout=PATIENT,
)
DRAINING: Final = 60
"""Attempts of a host's first call, by which its ledger is so far from full and from empty that the
order of what follows makes no difference to it."""

AUTHS: Final = (
    (ANONYMOUS, None),
    (("alice", "planted"), "Basic " + base64.b64encode(b"alice:planted").decode()),
    (("bob", "planted"), "Basic " + base64.b64encode(b"bob:planted").decode()),
    (BearerAuth("planted-token"), "Bearer planted-token"),
)
"""Who calls, and what the server must see of it."""


class Fault(NamedTuple):
    """What the first attempts of a call meet, before one is answered."""

    name: str
    attempts: int
    """How many meet it."""
    weight: int
    status: int | None = 503
    """What is answered before anything is processed; `None`: processed, and closed unanswered."""

    @property
    def cost(self) -> int:
        """Tokens that a retry after it costs."""
        return QUOTA.throttled if self.status == 429 else QUOTA.transient

    @property
    def reason(self) -> str:
        """The word for it in what is told of a retry."""
        return {503: "status", 429: "throttled", None: "protocol"}[self.status]


FAULTS: Final = (
    Fault("none", 0, 70),
    Fault("503 once", 1, 9),
    Fault("503 twice", 2, 4),
    Fault("503 always", 3, 3),
    Fault("429 once", 1, 4, 429),
    Fault("lost once", 1, 7, None),
    Fault("lost always", 3, 3, None),
)
METHODS: Final = ("GET", "PUT", "POST with a key", "POST")


class Call(NamedTuple):
    """One call, and by its number all that must come of it."""

    number: int
    host: int
    auth: int
    kind: str
    fault: Fault

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.kind.split()[0]

    @property
    def body(self) -> str:
        """What is sent, and in an answer sent back."""
        return "" if self.method == "GET" else f"body of {self.number}"

    @property
    def key(self) -> str | None:
        """The idempotency key."""
        return f"key-{self.number}" if self.kind == "POST with a key" else None

    @property
    def attempts(self) -> int:
        """How often it is sent."""
        return 1 if self.kind == "POST" else min(self.fault.attempts + 1, POLICY.attempts)

    @property
    def succeeds(self) -> bool:
        """Whether its caller gets an answer."""
        return self.attempts > self.fault.attempts

    @property
    def outcome(self) -> str:
        """The word for how it ends."""
        if self.succeeds:
            return "success"
        return "error" if self.kind == "POST" else "exhausted"

    @property
    def unknown(self) -> bool:
        """Whether it must be reported that the server may have changed something."""
        return not self.succeeds and self.fault.status is None and self.method != "GET"

    @property
    def arrived(self) -> int:
        """How many of its attempts the server began to process."""
        return self.attempts if self.fault.status is None else int(self.succeeds)

    @property
    def earned(self) -> int:
        """What it leaves in its host's ledger: tokens more or (below 0) less than before."""
        spent = (self.attempts - 1) * self.fault.cost
        if not self.succeeds:
            return -spent
        return self.fault.cost - spent if spent else QUOTA.success


def calls() -> list[Call]:
    """All calls, the same in every run."""
    dice = random.Random(64)  # noqa: S311 - a test's dice
    weights = [fault.weight for fault in FAULTS]
    return [
        Call(
            number,
            dice.randrange(HOSTS),
            dice.randrange(len(AUTHS)),
            dice.choice(METHODS),
            dice.choices(FAULTS, weights)[0],
        )
        for number in range(THREADS * EACH)
    ]


@dataclass
class Host:
    """What a server does, and what it knows by then."""

    calls: dict[int, Call]
    lock: threading.Lock = field(default_factory=threading.Lock)
    met: threading.Event = field(default_factory=threading.Event)
    """Set when all threads stand before the servers."""
    sent: Counter[int] = field(default_factory=Counter)
    arrived: Counter[int] = field(default_factory=Counter)
    done: Counter[int] = field(default_factory=Counter)
    """How often each was really done: once for each key, however often it arrived."""
    inside: int = 0
    most: int = 0
    down: bool = False

    def __call__(self, request: Request) -> Action:
        """Answer."""
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            return self.answer(request)
        finally:
            with self.lock:
                self.inside -= 1

    def answer(self, request: Request) -> Action:
        """Answer, as the number says."""
        _, what, told = request.path.split("/")
        if what == "meet":
            assert self.met.wait(PATIENT)
            return respond(json={"number": told})
        if what == "drain" or self.down:
            return respond(503)
        call = self.calls[int(told)]
        with self.lock:
            self.sent[call.number] += 1
            fails = self.sent[call.number] <= call.fault.attempts
            if fails and call.fault.status is not None:
                return respond(call.fault.status)
            self.arrived[call.number] += 1
            first_of_key = call.key is None or not self.done[call.number]
            self.done[call.number] += first_of_key
        if fails:
            return close_without_answer()
        return respond(json={"number": told, "body": request.text})


@dataclass
class Told:
    """How a call ended for who made it."""

    call: Call
    answer: Any = None
    error: HTTPError | ConnectionError | None = None


class Storm:
    """The manager and its servers, and how many finds there were."""

    def __init__(self, make_server: MakeServer) -> None:
        self.todo = calls()
        self.hosts = [
            Host({call.number: call for call in self.todo if call.host == n}) for n in range(HOSTS)
        ]
        self.servers = [make_server(host) for host in self.hosts]
        self.told, self.registry = RecordingObserver(), CollectorRegistry()
        self.manager = ConnectionManager(
            hooks=[DirectHook(allow_plaintext=True, random=lambda: 0.0)],
            policy=POLICY,
            max_pools=10,
            registry=self.registry,
            tracer_provider=False,
            logger=False,
            observers=[self.told],
        )
        self._finds = itertools.count()

    def find(self, host: int, auth: int) -> Connection:
        """Find, and count it."""
        next(self._finds)
        conn: Connection = self.manager.find(self.servers[host].url, AUTHS[auth][0])
        return conn

    @property
    def finds(self) -> int:
        """How many finds there were; asked once."""
        return next(self._finds)

    @property
    def sent(self) -> int:
        """How many requests the servers have read."""
        return sum(server.count() for server in self.servers)

    def make(self, call: Call) -> Told:
        """Make a call."""
        told = Told(call)
        data = None if call.method == "GET" else call.body
        try:
            response = self.find(call.host, call.auth).request(
                call.method, f"/call/{call.number}", data=data, idempotency_key=call.key
            )
        except (HTTPError, ConnectionError) as error:
            told.error = error
        else:
            told.answer = response.json()
        return told

    def work(self, thread: int) -> list[Told]:
        """What one thread does: meet the others, then its calls, with resets in between."""
        conn = self.find(thread % HOSTS, thread // HOSTS % len(AUTHS))
        assert conn.json_request("GET", f"/meet/{thread}") == {"number": str(thread)}
        dice = random.Random(thread)  # noqa: S311 - a test's dice
        told = []
        for call in self.todo[thread * EACH : (thread + 1) * EACH]:
            told.append(self.make(call))
            roll = dice.randrange(20)
            if roll < 2:
                self.manager.reset(idle=0 if roll else None)
        return told

    def meet(self) -> None:
        """Wait until 16 threads call each server, no more than the limit of them inside."""
        crowd = f"{CALLS}/{CALLS} in flight, {THREADS // HOSTS - CALLS} waiting"
        end = time.monotonic() + PATIENT
        while (
            any(host.inside < CALLS for host in self.hosts)
            or repr(self.manager).count(crowd) < HOSTS
        ):
            assert time.monotonic() < end, self.manager
            time.sleep(0.005)
        for host in self.hosts:
            host.met.set()

    def drain(self) -> None:
        """Take so much from each ledger that a clean call earns something."""
        policy = replace(POLICY, attempts=DRAINING)
        for host in range(HOSTS):
            self.find(host, 0).request("GET", "/drain/0", policy=policy, raise_for_status=False)
        assert [server.count() for server in self.servers] == [DRAINING] * HOSTS

    def tokens(self, host: int) -> int:
        """What a host's ledger has after one more clean call, which is the last to be told of."""
        clean = next(c for c in self.hosts[host].calls.values() if c.succeeds and c.key is None)
        assert self.make(clean).error is None
        return self.told.all(RetryQuotaChanged, host=self.servers[host].url)[-1].tokens

    def outage(self, host: int, each: int) -> list[Told]:
        """Have all threads call a host that is down, so many times each."""
        down = next(c for c in self.hosts[host].calls.values() if c.kind == "GET")
        self.hosts[host].down = True
        jobs = at_once([lambda: [self.make(down) for _ in range(each)]] * THREADS)
        told = [each for job in jobs for each in job.result(PATIENT)]
        self.hosts[host].down = False
        return told


@pytest.mark.timeout(120)
def test_64_threads_end_with_exact_counts(make_server: MakeServer) -> None:
    storm = Storm(make_server)
    storm.drain()

    jobs = at_once([partial(storm.work, thread) for thread in range(THREADS)])
    storm.meet()
    told = [each for job in jobs for each in job.result(PATIENT)]

    assert [each.call for each in told] == storm.todo
    for each in told:
        check_caller(each)
    for host, server in zip(storm.hosts, storm.servers, strict=True):
        check_server(host, server)
        assert host.most == CALLS
    check_events(storm)
    tokens = check_ledgers(storm)
    check_outage(storm, tokens)
    storm.manager.close()
    check_nothing_is_left(storm)


def check_caller(told: Told) -> None:
    """A caller got the answer to his own call, or was told what is so."""
    call = told.call
    if call.succeeds:
        assert told.answer == {"number": str(call.number), "body": call.body}, call
        return
    assert told.error is not None, call
    assert told.error.attempts == call.attempts, call
    assert told.error.outcome_unknown == call.unknown, call
    if call.fault.status is not None:
        assert told.error.response is not None, call
        assert told.error.response.status_code == call.fault.status, call


def check_server(host: Host, server: ScriptedServer) -> None:
    """A server has seen of each call what it should, and nothing else."""
    mine = host.calls.values()
    assert host.sent == {c.number: c.attempts for c in mine}
    assert host.arrived == {c.number: c.arrived for c in mine if c.arrived}
    # Twice is as once for those that are idempotent; all others are done once, or not at all.
    assert all(times == 1 or host.calls[n].kind in {"GET", "PUT"} for n, times in host.done.items())
    for request in server.requests:
        _, what, told = request.path.split("/")
        if what == "call":
            call = host.calls[int(told)]
            assert request.method == call.method
            assert request.headers.get("Authorization") == AUTHS[call.auth][1]
            assert request.headers.get("Idempotency-Key") == call.key
            assert request.text == call.body


def check_events(storm: Storm) -> None:
    """What was told agrees with what must have come of the calls, and with the servers."""
    todo, told = storm.todo, storm.told
    finished = told.all(RequestFinished)
    outcomes = Counter(call.outcome for call in todo)
    outcomes += Counter(success=THREADS, exhausted=HOSTS)
    assert Counter(event.outcome for event in finished) == outcomes
    attempts = HOSTS * DRAINING + THREADS + sum(call.attempts for call in todo)
    assert sum(event.attempts for event in finished) == attempts
    assert told.count(AttemptFinished) == attempts == storm.sent
    assert sum(event.outcome_unknown for event in finished) == sum(call.unknown for call in todo)
    retries = Counter(status=HOSTS * (DRAINING - 1))
    for call in todo:
        if call.attempts > 1:
            retries[call.fault.reason] += call.attempts - 1
    assert Counter(event.reason for event in told.all(RetryScheduled)) == retries


def check_ledgers(storm: Storm) -> list[int]:
    """Each ledger has what is left of it after all that was spent, given back and earned."""
    tokens = [QUOTA.tokens - (DRAINING - 1) * QUOTA.transient + QUOTA.success] * HOSTS
    for host in range(HOSTS):
        # Besides, each thread's first call was a clean one.
        tokens[host] += THREADS // HOSTS * QUOTA.success
        tokens[host] += sum(c.earned for c in storm.hosts[host].calls.values())
        assert storm.tokens(host) == tokens[host] < QUOTA.tokens
    return tokens


def check_outage(storm: Storm, tokens: list[int]) -> None:
    """In an outage a ledger pays for so many retries and no more, whoever comes first."""
    paid, left = divmod(tokens[0], QUOTA.transient)
    each = paid // (2 * THREADS) + 1
    before = storm.sent
    errors = [told.error for told in storm.outage(0, each)]
    assert storm.sent - before == THREADS * each + paid
    assert sum(error.attempts for error in errors if error is not None) == THREADS * each + paid
    assert {error.not_retried for error in errors if error is not None} == {
        "exhausted",
        "retry quota",
    }
    assert len(errors) == THREADS * each == sum(isinstance(error, HTTPError) for error in errors)
    assert storm.tokens(0) == left + QUOTA.success


def check_nothing_is_left(storm: Storm) -> None:
    """Whatever began has ended, in the metrics, the events and on the wire."""
    told = storm.told
    totals: Counter[str] = Counter()
    for family in storm.registry.collect():
        for sample in family.samples:
            totals[sample.name] += int(sample.value)
    assert told.count(RequestStarted) == told.count(RequestFinished)
    assert totals["sleepwalker_requests_in_flight"] == 0
    assert totals["sleepwalker_attempts_total"] == told.count(AttemptFinished) == storm.sent
    assert totals["sleepwalker_retries_total"] == told.count(RetryScheduled)
    assert totals["sleepwalker_pool_lookups_total"] == storm.finds
    assert totals["sleepwalker_telemetry_errors_total"] == 0
    # Every pool that was made is gone, and was told to be.
    assert totals["sleepwalker_pools"] == len(storm.manager.conns) == 0
    made = sum(event.by for event in told.all(PoolsChanged) if event.by > 0)
    assert totals["sleepwalker_pool_evictions_total"] == told.count(PoolEvicted) == made
    assert told.count(PoolEvicted, reason="max_pools") > 0
    closed = sum(told.count(PoolEvicted, reason=reason) for reason in ("reset", "closed"))
    assert sum(sum(event) for event in told.all(ManagerReset)) == closed
    assert "in flight" not in repr(storm.manager), "it shows what is not at rest"
    for server in storm.servers:
        server.wait_for(partial(all_closed, server), PATIENT)


def all_closed(server: ScriptedServer) -> bool:
    """Whether no socket to a server is left."""
    return all(connection.closed_at for connection in server.connections)
