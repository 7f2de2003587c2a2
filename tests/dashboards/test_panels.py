"""Every panel of both dashboards, asked of a real Prometheus that scraped the demo with its faults.

Rules:

1. Every query of every panel gives something, and nothing that is not a number.
2. What a panel counts is what the hosts counted, exactly: each panel has a check, by its title.
   Where no host can know, it is what the demo's threads counted for themselves.
3. Where PromQL guesses, `GUESSED` is the tolerance.
4. It is one test, since it is one run; it tells all that is wrong at once.
"""

from __future__ import annotations

import gc
import math
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from dashboards.source import rules, thresholds
from sleepwalker.cli.demo.apis import AUTHORS, BOOKS, RESOURCES, REVIEWS, SHELF
from sleepwalker.cli.demo.client import POLICY as PATIENT
from sleepwalker.cli.demo.faults import Fault
from sleepwalker.cli.demo.ratings import ANSWERED, FAILED, POLICY, RATERS, RATINGS, REFUSED
from sleepwalker.cli.demo.tours import AT_ONE_HOST
from sleepwalker.cli.demo.watch import UNSENT_ERRORS
from sleepwalker.observability import names
from tests.dashboards.playing import JOB, THREADS, Panel, Played, panels, played
from tests.dashboards.reading import NAMES, board
from tests.left_open import LEFT_OPEN_BY_SSL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sleepwalker.cli.demo.ledger import HostCounts
    from tests.dashboards.conftest import StartPrometheus
    from tests.dashboards.prometheus import Sample

RULES = Path(__file__).parents[2] / "dashboards" / "prometheus"
FILES = [RULES / "sleepwalker.rules.yml", RULES / "sleepwalker.alerts.yml"]

_, POOL = NAMES

MAIN: Final = (BOOKS, AUTHORS, REVIEWS)
AUTHS: Final = {BOOKS: {"basic"}, AUTHORS: {"basic", "bearer"}, REVIEWS: {"ApiKeyAuth"}}
POOLS: Final = {**AUTHS, RATINGS: {"none"}}

TIMEOUTS: Final = {"read_timeout", "timeout", "deadline"}
OPEN: Final = names.BREAKER_STATES.index("open")

AT_ONCE: Final = THREADS + AT_ONE_HOST
"""Calls to one host: one a thread, and those of a tour."""
MOST_IN_FLIGHT: Final = {BOOKS: AT_ONCE, AUTHORS: 2 * AT_ONCE, REVIEWS: AT_ONCE, RATINGS: RATERS}
"""A call to the authors may have one for a token under way."""

GUESSED: Final = (1.0, 1.5)
"""How much more than what it saw a rate says that there was: it guesses what came in the time of
half a scrape before the first one that had a series, and in that after the last."""

NEVER: Final = {"Telemetry errors", "Pools without series of their own"}
"""Panels that show nothing but zero, as long as all is well."""
OF_PROCESSES: Final = {*NEVER, "Pools held"}
"""Panels that are not of hosts."""
OF_HOSTS: Final = {"Breaker", "Circuit breakers", "Open breakers", "Retry quota"}
"""Panels that are of hosts, whatever the auth."""
RATIOS: Final = {
    *("Amplification", "Amplification by host", "Amplification over time"),
    *("Error ratio", "Error ratio by host", "Error ratio over time"),
    *("Lookup hit ratio", "Saturation by host", "Pools, the worst first"),
}
"""Panels whose numbers can't be added up."""
ONCE_CHANGED: Final = {"Breaker"}
"""Panels that show nothing until something has changed."""

PLAIN_RATE: Final = re.compile(r"sum(?: by \([^()]*\) )?\(rate\([^()]*\)\)")
LABEL_VALUES: Final = re.compile(r"label_values\((.+), (\w+)\)")

Compared = tuple[str, Any, Any]
"""What is compared, what it is, what it should be."""


class Run:
    """A run, and what follows from the hosts' counts. Hosts go by their names here.

    :ivar calls: what became of the calls to ratings, as those who made them know it
    :ivar errors: the client's attempts that had no answer, by host and by error
    :ivar connects: how often the client sent again what had not been sent, by host
    """

    def __init__(self, seen: Played) -> None:
        """Ask once for what is needed again and again."""
        self.seen = seen
        self.hosts: Mapping[str, HostCounts] = {host.name: host for host in seen.hosts}
        self.urls = {name: host.url for name, host in self.hosts.items()}
        self.calls = Counter(seen.aside.calls)
        failed = Asked.of(self, POOL, "Attempts that failed, by error")
        self.errors = {name: failed.by(names.LABEL_ERROR_TYPE, host=name) for name in self.hosts}
        again = Asked.of(self, POOL, "Retries by reason")
        self.connects = {
            name: again.by(names.LABEL_REASON, host=name)["connect"] for name in self.hosts
        }

    def name_of(self, url: str) -> str:
        """Give a host's name by its URL."""
        [name] = [name for name, its in self.urls.items() if its == url]
        return name

    def attempts(self, *which: str) -> float:
        """Add up what hosts read, what they reset unread, and what never reached them."""
        hosts = [self.hosts[name] for name in which]
        return sum(host.read + host.unread + self.unsent(host.name) for host in hosts)

    def unsent(self, *which: str) -> float:
        """Add up the attempts that never left the client.

        Told by their errors, or, where a host went away in the middle of a handshake, which is a
        reset like any other, by why they were sent again.
        """
        return sum(
            max(sum(self.errors[name][error] for error in UNSENT_ERRORS), self.connects[name])
            for name in which
        )

    def timeouts(self, *which: str) -> float:
        """Add up the attempts that waited for too long."""
        return sum(self.errors[name][error] for name in which for error in TIMEOUTS)

    def fault(self, fault: str, *which: str) -> int:
        """Count how often hosts misbehaved so."""
        return sum(self.hosts[name].faults.get(fault, 0) for name in which)

    def answers(self, *which: str) -> Counter[int]:
        """Count the answers that hosts sent, by status."""
        sent: Counter[int] = Counter()
        for name in which:
            sent.update(self.hosts[name].statuses)
        return sent

    def late(self, *which: str) -> float:
        """Add up the answers that a host sent when the client had stopped waiting.

        There are some where the machine is busy: they are the timeouts beyond the hosts' stalls.
        """
        return sum(max(self.timeouts(n) - self.fault(Fault.STALL, n), 0) for n in which)

    def good(self, *which: str) -> float:
        """Count the answers that ended a call well."""
        sent = self.answers(*which).items()
        return sum(n for status, n in sent if 200 <= status < 300) - self.late(*which)

    def toured(self, *which: str) -> int:
        """Count the links that tours followed: all but where they begin, at each host."""
        tours = self.hosts[BOOKS].toured // RESOURCES[BOOKS]
        return sum(self.hosts[name].toured - tours for name in which)

    @property
    def refused(self) -> int:
        """Count the links that were refused: two of each book, in each tour."""
        return 2 * len(SHELF) * (self.hosts[BOOKS].toured // RESOURCES[BOOKS])

    @property
    def created(self) -> int:
        """The reviews that were created."""
        return len(set(self.hosts[REVIEWS].created))

    @property
    def readies(self) -> float:
        """How often the host of ratings said that it is ready."""
        return self.good(RATINGS) - self.calls[ANSWERED]


class Asked:
    """A panel that is asked for the whole run."""

    def __init__(self, run: Run, panel: Panel) -> None:
        """Ask this panel."""
        self.run = run
        self.panel = panel

    @classmethod
    def of(cls, run: Run, name: str, title: str) -> Asked:
        """Ask a panel of a dashboard, by its title."""
        [panel] = [each for each in panels(name) if each.title == title]
        return cls(run, panel)

    def beside(self, title: str) -> Asked:
        """Ask another panel of the same dashboard."""
        return Asked.of(self.run, self.panel.board, title)

    def by(self, *labels: str, query: int = 0, host: str | None = None) -> Counter[Any]:
        """Add its series up by labels."""
        sums: Counter[Any] = Counter()
        for sample in self._samples(query, host):
            key = tuple(sample.labels[label] for label in labels)
            sums[key if len(key) > 1 else key[0]] += sample.value  # type: ignore[assignment] # not only integers
        return sums

    def by_host(self, query: int = 0) -> dict[str, float]:
        """Add its series up by the hosts' names."""
        sums = self.by(names.LABEL_HOST, query=query)
        return {self.run.name_of(url): value for url, value in sums.items()}

    def all(self, query: int = 0, host: str | None = None) -> float:
        """Add all its series up."""
        return sum(sample.value for sample in self._samples(query, host))

    def one(self, query: int = 0, host: str | None = None) -> float:
        """Give the value of its only series."""
        [sample] = self._samples(query, host)
        return sample.value

    def points(self, query: int = 0, host: str | None = None) -> list[float]:
        """Give every value that it showed while the run went on."""
        series = self.run.seen.graph(self.panel.exprs[query], **self._chosen(host))
        return [value for each in series for _, value in each.points]

    def _samples(self, query: int, host: str | None) -> list[Sample]:
        return self.run.seen.whole(self.panel.exprs[query], **self._chosen(host))

    def _chosen(self, host: str | None) -> dict[str, str]:
        return {} if host is None else {names.LABEL_HOST: self.run.urls[host]}


# --- requests -----------------------------------------------------------------------------------


def request_rate(ask: Asked) -> Iterator[Compared]:
    of = {name: ask.one(host=name) for name in ask.run.hosts}
    yield "calls", sum(of[name] for name in MAIN), ask.run.seen.evidence.client.calls
    yield "all hosts'", ask.one(), sum(of.values())


def request_rates(ask: Asked) -> Iterator[Compared]:
    calls = ask.beside("Requests per second")
    yield "by host", ask.by_host(), {name: calls.one(host=name) for name in ask.run.hosts}


def outcomes(ask: Asked) -> Iterator[Compared]:
    run, label = ask.run, names.LABEL_OUTCOME
    of = {name: ask.by(label, host=name) for name in run.hosts}
    # What a redirect leads to another host is answered by that: so for all of them at once.
    yield "success", ask.by(label)["success"], run.good(*run.hosts)
    yield "success at ratings", of[RATINGS]["success"], run.good(RATINGS)
    yield "refused", ask.by(label)["refused"], run.calls[REFUSED]
    for name in MAIN:
        failed = run.seen.evidence.client.hook_failures if name == REVIEWS else 0
        yield f"failed at {name}", of[name].total() - of[name]["success"], failed


def methods_of_requests(ask: Asked) -> Iterator[Compared]:
    yield "reviews", ask.by(names.LABEL_METHOD, host=REVIEWS)["POST"], ask.run.created
    yield "all", ask.all(), ask.beside("Requests per second").one()


def error_ratio(ask: Asked) -> Iterator[Compared]:
    ratios = _error_ratios(ask)
    yield "by host", {name: ask.one(host=name) for name in ratios}, ratios


def error_ratios(ask: Asked) -> Iterator[Compared]:
    yield "by host", ask.by_host(), _error_ratios(ask)


def _error_ratios(ask: Asked) -> dict[str, float]:
    """Calls that had no good answer: hooks', and those to the host that may fail."""
    run, calls = ask.run, ask.beside("Requests per second")
    in_hooks = run.seen.evidence.client.hook_failures / calls.one(host=REVIEWS)
    at_ratings = 1 - run.good(RATINGS) / calls.one(host=RATINGS)
    return {BOOKS: 0.0, AUTHORS: 0.0, REVIEWS: in_hooks, RATINGS: at_ratings}


def amplification(ask: Asked) -> Iterator[Compared]:
    ratios = _amplifications(ask)
    yield "by host", {name: ask.one(host=name) for name in ratios}, ratios
    calls = ask.beside("Requests per second").one()
    yield "of all", ask.one(), ask.run.attempts(*ask.run.hosts) / calls


def amplifications(ask: Asked) -> Iterator[Compared]:
    yield "by host", ask.by_host(), _amplifications(ask)


def _amplifications(ask: Asked) -> dict[str, float]:
    run, calls = ask.run, ask.beside("Requests per second")
    return {name: run.attempts(name) / calls.one(host=name) for name in run.hosts}


def in_flight(ask: Asked) -> Iterator[Compared]:
    for name, most in MOST_IN_FLIGHT.items():
        yield f"{name}, at most", max(ask.points(host=name)) <= most, True
    yield "in the end", ask.one(), 0


def saturation(ask: Asked) -> Iterator[Compared]:
    for name, most in MOST_IN_FLIGHT.items():
        points = ask.points(host=name)
        yield f"{name}, at most", max(points) <= most / thresholds.POOL_LIMIT, True
    yield "in the end", ask.by_host(), dict.fromkeys(ask.run.hosts, 0)


def table(ask: Asked) -> Iterator[Compared]:
    run, labels = ask.run, (names.LABEL_HOST, names.LABEL_AUTH)
    columns = [ask.by(*labels, query=query) for query in range(len(ask.panel.exprs))]
    rows = {(run.urls[name], auth) for name, auths in POOLS.items() for auth in auths}
    for number, column in enumerate(columns):
        yield f"pools in column {number}", set(column), rows
    calls, ratios, slow, amplified, flying = columns
    yield "durations", dict(slow), quantiles(run, 0.95, names.REQUEST_DURATION, *labels)
    attempts = dict.fromkeys(run.hosts, 0.0)
    for row in calls:
        attempts[run.name_of(row[0])] += calls[row] * amplified[row]
    yield "attempts", attempts, {name: run.attempts(name) for name in run.hosts}
    yield "error ratio", ratios[run.urls[RATINGS], "none"], _error_ratios(ask)[RATINGS]
    yield "in flight", set(flying.values()), {0}


def seconds(ask: Asked) -> Iterator[Compared]:
    """What no host knows is reckoned from the buckets, whose sums hosts do know."""
    for query, (q, histogram, labels) in enumerate(QUANTILES[ask.panel.title]):
        found = ask.by(*labels, query=query) if labels else {(): ask.one(query)}
        yield f"query {query}", dict(found), quantiles(ask.run, q, histogram, *labels)
    yield "queries", len(ask.panel.exprs), len(QUANTILES[ask.panel.title])


def quantiles(run: Run, q: float, histogram: str, *labels: str) -> dict[Any, float]:
    """Give a quantile of a histogram over the whole run, by labels."""
    counted: dict[Any, Counter[float]] = {}
    for sample in run.seen.whole(f"{histogram}_bucket"):
        key = tuple(sample.labels[label] for label in labels)
        outcome = sample.labels.get(names.LABEL_OUTCOME)
        if names.LABEL_OUTCOME in labels or outcome not in {"refused", "cancelled"}:
            buckets = counted.setdefault(key[0] if len(key) == 1 else key, Counter())
            buckets[float(sample.labels["le"])] += sample.value  # type: ignore[assignment] # not only integers
    return {key: quantile(q, sorted(buckets.items())) for key, buckets in counted.items()}


def quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    """Give a quantile as Prometheus does: evenly between the bounds of the bucket that it is in."""
    rank = q * buckets[-1][1]
    below, before = 0.0, 0.0
    for bound, upto in buckets:
        if upto >= rank:
            inside = (rank - before) / (upto - before)
            return below if bound == math.inf else below + (bound - below) * inside
        below, before = bound, upto
    raise AssertionError(buckets)


# --- attempts -----------------------------------------------------------------------------------


def heat(ask: Asked) -> Iterator[Compared]:
    run, buckets = ask.run, ask.by("le")
    bounds = sorted(buckets, key=float)
    yield "bounds", [float(bound) for bound in bounds], [*names.TIME_BUCKETS, math.inf]
    yield "rising", [buckets[bound] for bound in bounds], sorted(buckets.values())
    yield "attempts", buckets["+Inf"], run.attempts(*run.hosts)
    assert PATIENT.read_timeout > 0.5
    slow = buckets["+Inf"] - buckets["0.5"]
    yield "those that timed out are slow", slow >= run.timeouts(*run.hosts), True


def codes(ask: Asked) -> Iterator[Compared]:
    run = ask.run
    for name in run.hosts:
        found = ask.by(names.LABEL_CODE, host=name)
        yield f"{name}: attempts", found.total(), run.attempts(name)
        del found["none"]
        sent = {str(status): n for status, n in run.answers(name).items()}
        yield f"{name}: answers", found.total(), sum(sent.values()) - run.late(name)
        if not run.late(name):
            yield f"{name}: by status", dict(found), sent


def errors(ask: Asked) -> Iterator[Compared]:
    run = ask.run
    for name, host in run.hosts.items():
        found = ask.by(names.LABEL_ERROR_TYPE, host=name).total()
        # A host that goes down ends its stalls, which are resets then.
        cut = max(run.fault(Fault.STALL, name) - run.timeouts(name), 0)
        resets = host.unread + run.fault(Fault.RESET_PROCESSED, name) + cut
        yield f"resets of {name}", found - run.unsent(name) - run.timeouts(name), resets
    yield "never sent", run.unsent(*MAIN), run.seen.evidence.client.unsent


def methods_of_attempts(ask: Asked) -> Iterator[Compared]:
    run = ask.run
    of = {name: ask.by(names.LABEL_METHOD, host=name) for name in run.hosts}
    for name, found in of.items():
        yield name, found.total(), run.attempts(name)
    processed = run.created + run.hosts[REVIEWS].resent
    yield "reviews", of[REVIEWS]["POST"] >= processed, True


# --- retries, quota and breaker -----------------------------------------------------------------


def retries(ask: Asked) -> Iterator[Compared]:
    run, client = ask.run, ask.run.seen.evidence.client
    of: Counter[str] = Counter()
    for name in MAIN:
        of.update(ask.by(names.LABEL_REASON, host=name))
    if not run.late(*MAIN):
        redirects = run.answers(*MAIN)[307]
        yield "all", of.total(), run.attempts(*MAIN) - client.calls - redirects
    # What a hook's own call met is answered by calling the hook again.
    throttled = run.fault(Fault.UNAVAILABLE, *MAIN)
    yield "throttled", throttled - client.hook_failures <= of["throttled"] <= throttled, True
    yield "auth", of["auth"], run.answers(AUTHORS)[401]
    yield "connect", of["connect"], run.unsent(*MAIN)


def waiting(ask: Asked) -> Iterator[Compared]:
    waited = sum(ask.all(host=name) for name in MAIN)
    yield "seconds", waited, ask.run.seen.waited
    yield "at ratings", ask.all(host=RATINGS) > 0, True


def quota(ask: Asked) -> Iterator[Compared]:
    assert POLICY.quota is not None
    left = ask.points()
    yield "hosts", set(ask.by_host()), {RATINGS}
    yield "tokens", 0 <= min(left) <= max(left) < POLICY.quota.tokens, True


def open_breakers(ask: Asked) -> Iterator[Compared]:
    yield "hosts", set(ask.points()), {0, ask.run.fault("restart", RATINGS)}
    yield "in the end", ask.one(), 0


def breaker(ask: Asked) -> Iterator[Compared]:
    yield "at most", max(ask.points(host=RATINGS)), OPEN
    yield "in the end", ask.one(host=RATINGS), 0
    yield "the others", [ask.points(host=name) for name in MAIN], [[]] * len(MAIN)


def breakers(ask: Asked) -> Iterator[Compared]:
    yield "at most", max(ask.points()), OPEN
    yield "in the end", ask.by_host(), {RATINGS: 0}


# --- pools and hooks ----------------------------------------------------------------------------


def connections(ask: Asked) -> Iterator[Compared]:
    run, label = ask.run, names.LABEL_STATE
    for name, host in run.hosts.items():
        # Each call has one, and has put it back by the time the next needs it.
        most = min(MOST_IN_FLIGHT[name], host.connections)
        yield f"{name}, at most", max(ask.points(host=name)) <= most, True
        yield f"{name}, in the end", ask.by(label, host=name).total(), host.open
    yield "states", set(ask.by(label)), set(names.CONNECTION_STATES)


def lookups(ask: Asked) -> Iterator[Compared]:
    run, label = ask.run, names.LABEL_RESULT
    yield "ratings", ask.by(label, host=RATINGS).total(), run.calls.total()
    found: Counter[str] = Counter()
    for name in MAIN:
        found.update(ask.by(label, host=name))
    yield "all others", dict(found), dict(run.seen.evidence.client.lookups)


def hit_ratio(ask: Asked) -> Iterator[Compared]:
    yield "ratings", ask.one(host=RATINGS), _lookups(ask)["hit"] / ask.run.calls.total()


def waited(ask: Asked) -> Iterator[Compared]:
    here = ask.run.seen.evidence.client.lookups.get("coalesced", 0)
    yield "finds", ask.all(), here + _lookups(ask)["coalesced"]


def _lookups(ask: Asked) -> Counter[str]:
    """The finds of ratings, by result."""
    lookups = Asked.of(ask.run, POOL, "Lookups by result")
    return lookups.by(names.LABEL_RESULT, host=RATINGS)


def evictions(ask: Asked) -> Iterator[Compared]:
    run, label = ask.run, names.LABEL_REASON
    given_up = run.seen.aside.given_up
    # In the end all are closed: that of ratings too, if there is one again.
    left = sum(map(len, AUTHS.values())) + run.readies - given_up
    yield "by reason", dict(ask.by(label)), {"reset": given_up, "closed": left}
    yield "at ratings", ask.by(label, host=RATINGS)["reset"], given_up


def pools_held(ask: Asked) -> Iterator[Compared]:
    yield "at most", max(ask.points()), sum(map(len, POOLS.values()))
    yield "in the end", dict(ask.by("job", "instance")), {(JOB, ask.run.seen.instance): 0}


def hooks(ask: Asked) -> Iterator[Compared]:
    run, client = ask.run, ask.run.seen.evidence.client
    of = {name: ask.by(names.LABEL_OUTCOME, host=name) for name in run.hosts}
    yield "connected", sum(of[name]["connected"] for name in MAIN), client.pools
    yield "failed", sum(of[name]["failed"] for name in MAIN), client.hook_failures
    yield "connected to ratings", of[RATINGS]["connected"], run.readies
    yield "failed at ratings", of[RATINGS]["failed"] > 0, True


def connect_failures(ask: Asked) -> Iterator[Compared]:
    run, label = ask.run, names.LABEL_ERROR_TYPE
    failed = ask.by(label, host=RATINGS)
    yield "ratings", failed.total(), _lookups(ask)["miss"] - run.readies
    yield "known to callers", failed.total() <= run.calls[FAILED], True
    yield "the others", [dict(ask.by(label, host=name)) for name in MAIN], [{}] * len(MAIN)


# --- links and the library itself ---------------------------------------------------------------


def follows(ask: Asked) -> Iterator[Compared]:
    # A review is created by a link of the reviews' own; authors link to the list of them.
    toured, refused = ask.run.toured(REVIEWS), ask.run.refused
    within, across = (ask.one(query, host=REVIEWS) for query in (0, 1))
    yield "to create", within, ask.run.created
    # A reader may be stopped on the way.
    yield "to the reviews", 0 <= across - toured - within <= THREADS, True
    # What is refused leads nowhere, and is told of where it stands.
    to_books = ask.all(0, host=BOOKS) + ask.all(1, host=BOOKS) - ask.run.toured(BOOKS) - refused
    to_authors = ask.one(1, host=AUTHORS) + to_books
    yield "to the authors", 0 <= to_authors - (across - toured) <= THREADS, True
    yield "within the authors", ask.one(0, host=AUTHORS), ask.run.toured(AUTHORS)


def followed(ask: Asked) -> Iterator[Compared]:
    found = ask.by(names.LABEL_OUTCOME)
    yield "outcomes", set(found), {"success", "refused"}
    by_readers = found["success"] - ask.run.toured(*MAIN)
    yield "followed", 0 <= by_readers - 3 * ask.run.created <= 2 * THREADS, True
    yield "refused", found["refused"], ask.run.refused


def nothing(ask: Asked) -> Iterator[Compared]:
    yield "ever", set(ask.points()), {0}


QUANTILES: Final[Mapping[str, list[tuple[float, str, tuple[str, ...]]]]] = {
    "Attempt duration": [(q, names.ATTEMPT_DURATION, ()) for q in (0.5, 0.95, 0.99)],
    "Attempt duration by class of status, p95": [
        (0.95, names.ATTEMPT_DURATION, (names.LABEL_STATUS_CLASS,))
    ],
    "Duration, p95": [(0.95, names.REQUEST_DURATION, ()), (0.95, names.ATTEMPT_DURATION, ())],
    "Hook duration, p95": [(0.95, names.HOOK_DURATION, (names.LABEL_HOOK,))],
    "Request duration": [(q, names.REQUEST_DURATION, ()) for q in (0.5, 0.95, 0.99)],
    "Request duration by host, p95": [(0.95, names.REQUEST_DURATION, (names.LABEL_HOST,))],
    "Request duration by outcome, p95": [(0.95, names.REQUEST_DURATION, (names.LABEL_OUTCOME,))],
    "Wait for a connection, p95": [(0.95, names.POOL_WAIT, ())],
}
"""For each query the quantile, of what, and by what."""

CHECKS: Final[Mapping[str, Callable[[Asked], Iterator[Compared]]]] = {
    "Amplification": amplification,
    "Amplification by host": amplifications,
    "Amplification over time": amplification,
    "Attempt duration": seconds,
    "Attempt duration by class of status, p95": seconds,
    "Attempts by method": methods_of_attempts,
    "Attempts by status": codes,
    "Attempts that failed, by error": errors,
    "Breaker": breaker,
    "Calls waiting for a retry": waiting,
    "Circuit breakers": breakers,
    "Connections by state": connections,
    "Duration, p95": seconds,
    "Durations of attempts": heat,
    "Error ratio": error_ratio,
    "Error ratio by host": error_ratios,
    "Error ratio over time": error_ratio,
    "Evictions by reason": evictions,
    "Finds that failed, by error": connect_failures,
    "Finds that waited": waited,
    "Finds that waited, by host": waited,
    "Hook calls by outcome": hooks,
    "Hook duration, p95": seconds,
    "Links followed": follows,
    "Links followed, by kind and outcome": followed,
    "Links followed, by outcome": followed,
    "Lookup hit ratio": hit_ratio,
    "Lookups by result": lookups,
    "Open breakers": open_breakers,
    "Pools held": pools_held,
    "Pools without series of their own": nothing,
    "Pools, the worst first": table,
    "Request duration": seconds,
    "Request duration by host, p95": seconds,
    "Request duration by outcome, p95": seconds,
    "Request rate by host": request_rates,
    "Requests by method": methods_of_requests,
    "Requests by outcome": outcomes,
    "Requests in flight": in_flight,
    "Requests in flight over time": in_flight,
    "Requests per second": request_rate,
    "Retries by reason": retries,
    "Retry quota": quota,
    "Saturation by host": saturation,
    "Telemetry errors": nothing,
    "Wait for a connection, p95": seconds,
}


# --- what holds for all of them -----------------------------------------------------------------


def shown(ask: Asked) -> Iterator[Compared]:
    """Each query gives something while the run goes on; its exemplars lead to traces."""
    seen, title = ask.run.seen, ask.panel.title
    for query, target in enumerate(ask.panel.targets):
        points = ask.points(query)
        yield f"query {query}, points", bool(points), True
        yield f"query {query}, not a number", any(map(math.isnan, points)), False
        yield f"query {query}, ever above zero", max(points, default=0) > 0, title not in NEVER
        if target["instant"] and title not in ONCE_CHANGED:
            yield f"query {query}, series", bool(seen.now(ask.panel.exprs[query])), True
        if target["exemplar"]:
            found = seen.exemplars(ask.panel.exprs[query])
            yield f"query {query}, exemplars", bool(found), True
            unknown = {exemplar.labels["trace_id"] for exemplar in found} - seen.traces
            yield f"query {query}, exemplars of no trace", unknown, set()


def chosen(ask: Asked) -> Iterator[Compared]:
    """Each variable counts: where nothing is what was chosen there is nothing, or zero."""
    of = ["job", "instance"]
    if ask.panel.title not in OF_PROCESSES:
        of += ["host"] if ask.panel.title in OF_HOSTS else ["host", "auth"]
    for query, expr in enumerate(ask.panel.exprs):
        for variable in of:
            graph = ask.run.seen.graph(expr, **{variable: "nothing"})
            found = {value for series in graph for _, value in series.points}
            yield f"query {query}, another {variable}", found <= {0}, True


def added(ask: Asked) -> Iterator[Compared]:
    """What is counted of all hosts is what is counted of each."""
    if ask.panel.title not in {*OF_PROCESSES, *OF_HOSTS, *RATIOS, *QUANTILES}:
        for query in range(len(ask.panel.exprs)):
            each = sum(ask.all(query, host=name) for name in ask.run.hosts)
            yield f"query {query}, of all hosts", ask.all(query), each


def risen(ask: Asked) -> Iterator[Compared]:
    """What is shown as a rate is by how much a counter rose from the first scrape to the last."""
    for query, expr in enumerate(ask.panel.exprs):
        if PLAIN_RATE.fullmatch(expr):
            guess = ask.run.seen.risen(expr) / (ask.all(query) - ask.run.seen.first(expr))
            yield f"query {query}, {guess:.3f}", GUESSED[0] <= guess + 1e-9 <= GUESSED[1], True


def variables(run: Run, name: str) -> Iterator[Compared]:
    """Each variable of a dashboard offers what there is, for all and for what is chosen."""
    seen, chosen = run.seen, {"job": JOB, "instance": run.seen.instance, "host": run.urls[AUTHORS]}
    asked = {}
    for variable in board(name)["templating"]["list"]:
        if match := LABEL_VALUES.fullmatch(variable["query"]):
            asked[variable["name"]] = [
                seen.label_values(*match.groups()),
                seen.label_values(*match.groups(), **chosen),
            ]
    yield (
        "what they offer",
        asked,
        {
            "job": [{JOB}, {JOB}],
            "instance": [{seen.instance}, {seen.instance}],
            "host": [set(run.urls.values()), set(run.urls.values())],
            "auth": [set().union(*POOLS.values()), AUTHS[AUTHORS]],
        },
    )


def evaluated(run: Run) -> Iterator[Compared]:
    """Every rule is evaluated; alerts wait for what there is, and for nothing else."""
    seen = run.seen
    yield "rules that fail", seen.prometheus.rule_errors(), {}
    recorded = {each.labels["__name__"] for each in seen.whole('{__name__=~"job_host.*"}')}
    yield "recorded", recorded, set(rules.recorded())
    pending: dict[str, set[str]] = {alert.name: set() for alert in rules.alerts()}
    for series in seen.graph("ALERTS"):
        labels = series.labels
        yield f"{labels['alertname']} is", labels["alertstate"], "pending"
        pending[labels["alertname"]].add(run.name_of(labels["host"]))
    # While a host restarts, many retries are made; how long all takes is the machine's affair.
    del pending["SleepwalkerRetryAmplification"], pending["SleepwalkerLatency"]
    expected = {name: set[str]() for name in pending} | {
        "SleepwalkerBreakerOpen": {RATINGS},
        "SleepwalkerConnectFailing": {RATINGS},
        "SleepwalkerErrorRatio": {RATINGS},
    }
    yield "pending", pending, expected


def differences(where: str, compared: Iterable[Compared]) -> list[str]:
    """Say what is not as it should be, and where there is too little to compare."""
    found = []
    try:
        for what, is_, should_be in compared:
            if not _same(is_, should_be):
                found.append(f"{where}: {what}: {is_!r}, should be {should_be!r}")
    except (ArithmeticError, LookupError, ValueError) as error:
        found.append(f"{where}: {error!r}")
    return found


def _same(is_: Any, should_be: Any) -> bool:
    """Tell whether they are equal but for what division does to numbers."""
    if isinstance(should_be, float):
        return math.isclose(is_, should_be, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(should_be, dict) and should_be.keys() == is_.keys():
        return all(_same(is_[key], value) for key, value in should_be.items())
    return bool(is_ == should_be)


@pytest.mark.filterwarnings(*LEFT_OPEN_BY_SSL)
def test_every_panel_shows_what_the_hosts_counted(start_prometheus: StartPrometheus) -> None:
    run = Run(played(start_prometheus, FILES))
    gc.collect()  # here, where what `ssl` has left open is known for what it is
    every = [panel for name in NAMES for panel in panels(name)]
    wrong = differences("rules", evaluated(run))
    for name in NAMES:
        wrong += differences(f"{name}, variables", variables(run, name))
    for panel in every:
        for check in (shown, chosen, added, risen, CHECKS[panel.title]):
            wrong += differences(f"{panel.board}, {panel.title}", check(Asked(run, panel)))

    assert not wrong, "\n".join(wrong)
    assert run.seen.code == 0, "the demo broke a promise"
    assert {panel.title for panel in every} == set(CHECKS)
