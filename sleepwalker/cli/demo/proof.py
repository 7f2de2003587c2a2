"""The promises, held against the counts: pure functions, so that each can be tried broken.

Rules:

1. What the hosts counted is never computed from what the client counted, nor the other way round.
2. A promise is kept exactly or broken: no tolerance.
3. A promise that had no occasion to be broken was not kept either: it was not tried.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sleepwalker.cli.demo.apis import PREVIEW, RESOURCES, SELLER, SHELF, STRANGER
from sleepwalker.cli.demo.ledger import HostCounts
from sleepwalker.cli.demo.meeting import Matches
from sleepwalker.cli.demo.planted import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


REFUSED = (f"{PREVIEW}: DowngradeError", f"{SELLER}: LinkCredentialsError")
"""What becomes of the links of each book that must not be followed: relation and error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCounts:
    """What the client counted, all of it from its metrics but where it says otherwise."""

    calls: int = 0
    succeeded: int = 0
    attempts: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    redirects: int = 0
    """Redirects that were followed (answers of 3xx)."""
    unsent: int = 0
    """Attempts that ended before anything was sent (from the events)."""
    pools: int = 0
    lookups: Mapping[str, int] = field(default_factory=dict)
    """Finds, by result."""
    connected: int = 0
    """Hook calls that gave a connection."""
    hook_failures: int = 0
    """Hook calls that failed; the demo's hooks fail only when a call of theirs has."""
    in_flight: int = 0
    telemetry_errors: int = 0
    asked: frozenset[int] = frozenset()
    """The numbers of the reviews that the workload asked for."""
    refused: int = 0
    """Links that were refused."""
    tours: int = 0
    """Tours that ended (the workload's own count, as the two below)."""
    visited: int = 0
    """Resources that they visited."""
    unfollowed: Mapping[str, int] = field(default_factory=dict)
    """Links that they could not follow, by relation and name of the error."""
    failed: int = 0
    """Traversals that ended in an error (the workload's own count)."""
    failures: tuple[str, ...] = ()
    """The first of those errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What was searched for planted secrets."""

    what: str
    """In the plural: log lines."""
    count: int
    with_secrets: int
    expected: bool = True
    """Whether there is some in every run: if none was searched, something was not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that the promises are held against."""

    client: ClientCounts
    hosts: Sequence[HostCounts]
    stranger: HostCounts = field(default_factory=lambda: HostCounts(name=STRANGER, url=""))
    """The host that nobody should go to."""
    matches: Matches = field(default_factory=Matches)
    searched: Sequence[Searched] = ()
    joined: bool = True
    """Whether every thread of the workload has ended."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise, whether it was kept, and by what numbers that can be seen."""

    text: str
    kept: bool | None
    """`None`: it was not tried."""
    numbers: str


def promises(evidence: Evidence) -> list[Promise]:
    """All promises, in the order in which they are shown."""
    return [
        every_call_succeeded(evidence),
        every_attempt_was_seen(evidence),
        every_request_is_a_span(evidence),
        every_retry_has_a_reason(evidence),
        every_review_was_created_once(evidence),
        every_tour_saw_all_there_is_once(evidence),
        *nothing_reached_the_wrong_host(evidence),
        the_header_that_may_cross_came_along(evidence),
        no_link_led_to_the_stranger(evidence),
        no_secret_was_told(evidence),
        one_establishment_a_pool(evidence),
        nothing_is_left(evidence),
    ]


def every_call_succeeded(evidence: Evidence) -> Promise:
    """Whatever the hosts did, the callers got their answers.

    The one exception: a call within a hook that says so by failing is answered by calling the hook
    again.
    """
    client = evidence.client
    missing = client.calls - client.succeeded - client.hook_failures
    in_hooks = f", {client.hook_failures:,} more in hooks" if client.hook_failures else ""
    return Promise(
        "Every call was answered",
        kept=_kept(missing == 0 and client.failed == 0 and evidence.joined, tried=client.calls > 0),
        numbers=f"{_many(client.calls - client.hook_failures, 'calls')},"
        f" {client.succeeded:,} answered{in_hooks}",
    )


def every_attempt_was_seen(evidence: Evidence) -> Promise:
    """The metrics' attempts are those that reached the hosts, and those that never left."""
    client = evidence.client
    read, unread = _read(evidence), _unread(evidence)
    return Promise(
        "Hosts and /metrics count the same attempts",
        kept=_kept(client.attempts == read + unread + client.unsent, tried=client.attempts > 0),
        numbers=f"{client.attempts:,} = {read:,} read + {unread:,} unread"
        f" + {client.unsent:,} never sent",
    )


def every_request_is_a_span(evidence: Evidence) -> Promise:
    """One for one, by the id that travels in `traceparent`."""
    matches, read = evidence.matches, _read(evidence)
    return Promise(
        "Every request read has a span of its own",
        kept=_kept(
            matches.matched == read
            and matches.read_only == 0
            and matches.attempts_only == _unread(evidence) + evidence.client.unsent,
            tried=read > 0,
        ),
        numbers=f"{_many(matches.matched, 'pairs')}, {matches.read_only:,} without",
    )


def every_retry_has_a_reason(evidence: Evidence) -> Promise:
    """Attempts are the calls, their retries and the redirects they followed, and nothing else."""
    client = evidence.client
    retries = sum(client.retries.values())
    return Promise(
        "Every attempt beyond the first has a reason",
        kept=_kept(
            client.attempts == client.calls + retries + client.redirects, tried=client.calls > 0
        ),
        numbers=f"{_many(client.calls, 'calls')} + {_many(retries, 'retries')}"
        f" + {_many(client.redirects, 'redirects')}",
    )


def every_review_was_created_once(evidence: Evidence) -> Promise:
    """What was asked for is what was created, and nothing was created twice."""
    created = Counter(number for host in evidence.hosts for number in host.created)
    twice = sum(times > 1 for times in created.values())
    resent = sum(host.resent for host in evidence.hosts)
    return Promise(
        "Every review asked for was created, none twice",
        kept=_kept(
            created.keys() == evidence.client.asked and twice == 0,
            tried=bool(evidence.client.asked),
        ),
        numbers=f"{len(evidence.client.asked):,} asked, {created.total():,} created,"
        f" {resent:,} sent again",
    )


def every_tour_saw_all_there_is_once(evidence: Evidence) -> Promise:
    """However many links lead to a resource, on whichever page or host they stand."""
    client = evidence.client
    toured = sum(host.toured for host in evidence.hosts)
    return Promise(
        "Every tour visited each resource once",
        kept=_kept(
            client.visited == toured
            and all(host.toured == client.tours * RESOURCES[host.name] for host in evidence.hosts),
            tried=client.tours > 0,
        ),
        numbers=f"{_many(client.tours, 'tours')}, {_many(client.visited, 'visits')},"
        f" {_many(toured, 'resources')} asked for",
    )


def nothing_reached_the_wrong_host(evidence: Evidence) -> list[Promise]:
    """No host saw another's secret, though each saw its own."""
    made = []
    for kind in KINDS:
        own = [host.own.get(kind, 0) for host in evidence.hosts]
        leaked = sum(host.leaked.get(kind, 0) for host in _everywhere(evidence))
        made.append(
            Promise(
                f"No {kind} reached the wrong host",
                # A host that never saw its own proves nothing about others'.
                kept=_kept(leaked == 0, tried=bool(own) and all(own)),
                numbers=f"{sum(own):,} at their own host, {leaked:,} at another",
            )
        )
    return made


def the_header_that_may_cross_came_along(evidence: Evidence) -> Promise:
    """A review is created three links and two hosts after the header was given."""
    created = sum(len(host.created) for host in evidence.hosts)
    accompanied = sum(host.accompanied for host in evidence.hosts)
    return Promise(
        "The one header that may cross came along",
        kept=_kept(accompanied == created, tried=created > 0),
        numbers=f"{accompanied:,} of {_many(created, 'reviews')} came with it",
    )


def no_link_led_to_the_stranger(evidence: Evidence) -> Promise:
    """Each was refused, with the error that says why, and not even a connection was made."""
    client, arrived = evidence.client, evidence.stranger.arrived
    expected = {each: client.tours * len(SHELF) for each in REFUSED} if client.tours else {}
    return Promise(
        "Links that must not be followed were refused",
        kept=_kept(
            arrived == 0
            and client.unfollowed == expected
            and client.refused == sum(expected.values()),
            tried=client.tours > 0,
        ),
        numbers=f"{client.refused:,} refused, {_many(arrived, 'connections')} at their host",
    )


def no_secret_was_told(evidence: Evidence) -> Promise:
    """Logs, metrics, spans and errors were searched for every planted secret."""
    found = sum(searched.with_secrets for searched in evidence.searched)
    places = ", ".join(_many(s.count, s.what) for s in evidence.searched if s.count)
    return Promise(
        "No planted secret was told",
        kept=_kept(
            found == 0,
            tried=bool(evidence.searched)
            and all(searched.count for searched in evidence.searched if searched.expected),
        ),
        numbers=f"{found:,} in {places or 'nothing'}",
    )


def one_establishment_a_pool(evidence: Evidence) -> Promise:
    """However many threads asked at once, each pool was established once."""
    client = evidence.client
    finds = sum(client.lookups.values())
    waited = client.lookups.get("coalesced", 0)
    return Promise(
        "Every pool was established once",
        kept=_kept(
            client.pools == client.lookups.get("miss", 0) == client.connected,
            tried=client.pools > 0,
        ),
        numbers=f"{_many(client.pools, 'pools')}, {_many(finds, 'finds')},"
        f" {waited:,} waited for another's",
    )


def nothing_is_left(evidence: Evidence) -> Promise:
    """When it is over, it is over."""
    client = evidence.client
    sockets = sum(host.open for host in _everywhere(evidence))
    errors = client.telemetry_errors + sum(len(host.errors) for host in _everywhere(evidence))
    return Promise(
        "Nothing is left open, nothing failed unseen",
        kept=client.in_flight == 0 and sockets == 0 and errors == 0 and evidence.joined,
        numbers=f"{_many(client.in_flight, 'calls')} in flight, {_many(sockets, 'sockets')},"
        f" {_many(errors, 'errors')}",
    )


def _many(count: int, what: str) -> str:
    """A count and what it is of: ``1 call``, ``1,234 calls``."""
    one = what.removesuffix("ies") + "y" if what.endswith("ies") else what.removesuffix("s")
    return f"{count:,} {one if count == 1 else what}"


def _everywhere(evidence: Evidence) -> list[HostCounts]:
    return [*evidence.hosts, evidence.stranger]


def _read(evidence: Evidence) -> int:
    return sum(host.read for host in _everywhere(evidence))


def _unread(evidence: Evidence) -> int:
    return sum(host.unread for host in _everywhere(evidence))


def _kept(holds: bool, *, tried: bool) -> bool | None:  # noqa: FBT001 - the one thing it is about
    """What to say of a promise: one that doesn't hold is broken, however little was tried."""
    if not holds:
        return False
    return True if tried else None
