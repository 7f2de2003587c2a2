"""Each promise of the demo breaks when the counts that it rests on are doctored, and only then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sleepwalker.cli.demo.apis import RESOURCES
from sleepwalker.cli.demo.ledger import HostCounts
from sleepwalker.cli.demo.meeting import Matches
from sleepwalker.cli.demo.proof import ClientCounts, Evidence, Searched, promises

OWN = {"credential": 3, "cookie": 2, "custom header": 3, "caller's header": 1}
NONE = dict.fromkeys(OWN, 0)

BOOKS = HostCounts(
    name="books",
    url="https://127.0.0.1:1",
    read=3,
    unread=1,
    own=OWN,
    leaked=NONE,
    toured=2 * RESOURCES["books"],
)
REVIEWS = HostCounts(
    name="reviews",
    url="https://127.0.0.3:3",
    read=4,
    unread=0,
    own=OWN,
    leaked=NONE,
    created=(1, 2),
    accompanied=2,
    resent=1,
    toured=2 * RESOURCES["reviews"],
)
UNFOLLOWED = {"preview: DowngradeError": 24, "seller: LinkCredentialsError": 24}
GOOD = Evidence(
    client=ClientCounts(
        calls=5,
        succeeded=4,
        attempts=10,
        retries={"protocol": 2, "connect": 2},
        redirects=1,
        unsent=2,
        pools=2,
        lookups={"miss": 2, "coalesced": 1, "hit": 4},
        connected=2,
        hook_failures=1,
        asked=frozenset({1, 2}),
        refused=48,
        tours=2,
        visited=BOOKS.toured + REVIEWS.toured,
        unfollowed=UNFOLLOWED,
    ),
    hosts=(BOOKS, REVIEWS),
    matches=Matches(matched=7, read_only=0, attempts_only=3),
    searched=(
        Searched(what="log lines", count=20, with_secrets=0),
        Searched(what="errors", count=0, with_secrets=0, expected=False),
    ),
)

CALLS = "Every call was answered"
ATTEMPTS = "Hosts and /metrics count the same attempts"
SPANS = "Every request read has a span of its own"
REASONS = "Every attempt beyond the first has a reason"
REVIEWS_ONCE = "Every review asked for was created, none twice"
CREDENTIAL = "No credential reached the wrong host"
COOKIE = "No cookie reached the wrong host"
HEADER = "No custom header reached the wrong host"
CALLERS = "No caller's header reached the wrong host"
MAY_CROSS = "The one header that may cross came along"
TOURS = "Every tour visited each resource once"
REFUSED = "Links that must not be followed were refused"
SECRETS = "No planted secret was told"
POOLS = "Every pool was established once"
LEFT = "Nothing is left open, nothing failed unseen"


def client(**changes: Any) -> Evidence:
    return replace(GOOD, client=replace(GOOD.client, **changes))


def books(**changes: Any) -> Evidence:
    return replace(GOOD, hosts=(replace(BOOKS, **changes), REVIEWS))


def reviews(**changes: Any) -> Evidence:
    return replace(GOOD, hosts=(BOOKS, replace(REVIEWS, **changes)))


def stranger(**changes: Any) -> Evidence:
    return replace(GOOD, stranger=replace(GOOD.stranger, **changes))


def with_kept(evidence: Evidence, *, kept: bool | None) -> set[str]:
    """The promises of which this is said."""
    return {promise.text for promise in promises(evidence) if promise.kept is kept}


def test_counts_that_agree_keep_every_promise() -> None:
    assert with_kept(GOOD, kept=True) == {
        CALLS,
        ATTEMPTS,
        SPANS,
        REASONS,
        REVIEWS_ONCE,
        TOURS,
        CREDENTIAL,
        COOKIE,
        HEADER,
        CALLERS,
        MAY_CROSS,
        REFUSED,
        SECRETS,
        POOLS,
        LEFT,
    }
    assert len(promises(GOOD)) == 15


@pytest.mark.parametrize(
    ("evidence", "broken"),
    [
        pytest.param(client(succeeded=3), {CALLS}, id="a call without an answer"),
        pytest.param(client(hook_failures=0), {CALLS}, id="a failure that no hook explains"),
        pytest.param(client(failed=1), {CALLS}, id="a traversal that failed"),
        pytest.param(replace(GOOD, joined=False), {CALLS, LEFT}, id="a thread that never ended"),
        pytest.param(
            client(attempts=11), {ATTEMPTS, REASONS}, id="an attempt that nobody saw, or explains"
        ),
        pytest.param(client(unsent=1), {ATTEMPTS, SPANS}, id="an attempt that got lost"),
        pytest.param(books(read=4), {ATTEMPTS, SPANS}, id="a request that nobody sent"),
        pytest.param(books(unread=0), {ATTEMPTS, SPANS}, id="a reset that nobody made"),
        pytest.param(
            replace(GOOD, matches=Matches(matched=6, read_only=1, attempts_only=4)),
            {SPANS},
            id="a request whose span has another id",
        ),
        pytest.param(
            replace(GOOD, matches=Matches(matched=7, read_only=1, attempts_only=3)),
            {SPANS},
            id="a request read twice",
        ),
        pytest.param(
            replace(GOOD, matches=Matches(matched=7, read_only=0, attempts_only=4)),
            {SPANS},
            id="a span of no attempt",
        ),
        pytest.param(client(retries={"protocol": 3}), {REASONS}, id="a retry without a reason"),
        pytest.param(client(redirects=0), {REASONS}, id="a redirect that was not followed"),
        pytest.param(
            reviews(created=(1,), accompanied=1), {REVIEWS_ONCE}, id="a review that was lost"
        ),
        pytest.param(
            reviews(created=(1, 2, 2), accompanied=3), {REVIEWS_ONCE}, id="a review created twice"
        ),
        pytest.param(
            reviews(created=(1, 2, 3), accompanied=3), {REVIEWS_ONCE}, id="a review of nobody's"
        ),
        pytest.param(reviews(accompanied=1), {MAY_CROSS}, id="a header that was left behind"),
        pytest.param(client(visited=45), {TOURS}, id="a resource that was visited twice"),
        pytest.param(books(toured=29), {TOURS}, id="a resource that was not asked for"),
        pytest.param(
            replace(client(visited=45), hosts=(replace(BOOKS, toured=29), REVIEWS)),
            {TOURS},
            id="a resource that no tour found",
        ),
        pytest.param(client(tours=1), {TOURS, REFUSED}, id="a tour that never ended"),
        pytest.param(books(leaked={**NONE, "credential": 1}), {CREDENTIAL}, id="a credential"),
        pytest.param(reviews(leaked={**NONE, "cookie": 1}), {COOKIE}, id="a cookie"),
        pytest.param(books(leaked={**NONE, "custom header": 1}), {HEADER}, id="a custom header"),
        pytest.param(
            reviews(leaked={**NONE, "caller's header": 1}), {CALLERS}, id="a caller's header"
        ),
        pytest.param(stranger(arrived=1), {REFUSED}, id="a connection to a stranger"),
        pytest.param(
            stranger(arrived=1, read=1, leaked={**NONE, "credential": 1}),
            {REFUSED, CREDENTIAL, ATTEMPTS, SPANS},
            id="a credential that a stranger got",
        ),
        pytest.param(client(refused=49), {REFUSED}, id="a refusal that nobody heard of"),
        pytest.param(
            client(unfollowed={"preview: DowngradeError": 48}), {REFUSED}, id="another refusal"
        ),
        pytest.param(
            client(refused=47, unfollowed={**UNFOLLOWED, "seller: LinkCredentialsError": 23}),
            {REFUSED},
            id="a link that was followed",
        ),
        pytest.param(
            replace(GOOD, searched=(Searched(what="spans", count=9, with_secrets=1),)),
            {SECRETS},
            id="a secret in a span",
        ),
        pytest.param(
            client(lookups={"miss": 3, "hit": 4}), {POOLS}, id="a pool that was missed twice"
        ),
        pytest.param(client(connected=3), {POOLS}, id="a pool that was established twice"),
        pytest.param(client(in_flight=1), {LEFT}, id="a call in flight"),
        pytest.param(client(telemetry_errors=1), {LEFT}, id="an instrument that failed"),
        pytest.param(books(open=1), {LEFT}, id="an open socket"),
        pytest.param(reviews(errors=("KeyError: 'id'",)), {LEFT}, id="a host's own error"),
    ],
)
def test_counts_that_disagree_break_the_promise_they_are_about(
    evidence: Evidence, broken: set[str]
) -> None:
    assert with_kept(evidence, kept=False) == broken


def test_promises_that_had_no_occasion_are_neither_kept_nor_broken() -> None:
    nothing = Evidence(
        client=ClientCounts(), hosts=(HostCounts(name="books", url="https://127.0.0.1:1"),)
    )

    assert with_kept(nothing, kept=False) == set()
    assert with_kept(nothing, kept=True) == {LEFT}


def test_a_host_that_never_saw_its_own_secret_proves_nothing_of_others() -> None:
    assert with_kept(books(own={**OWN, "cookie": 0}), kept=None) == {COOKIE}


@pytest.mark.parametrize("lines", [0, 20])
def test_a_place_that_was_not_searched_proves_nothing_of_secrets(lines: int) -> None:
    evidence = replace(
        GOOD,
        searched=(
            Searched(what="log lines", count=lines, with_secrets=0),
            Searched(what="spans", count=20 - lines, with_secrets=0),
        ),
    )

    assert with_kept(evidence, kept=None) == {SECRETS}


def test_a_leak_is_a_leak_also_where_a_host_never_saw_its_own() -> None:
    evidence = books(own=NONE, leaked={**NONE, "cookie": 1})

    assert with_kept(evidence, kept=False) == {COOKIE}


@pytest.mark.parametrize(
    ("evidence", "numbers"),
    [
        (GOOD, "10 = 7 read + 1 unread + 2 never sent"),
        (GOOD, "5 calls + 4 retries + 1 redirect"),
        (GOOD, "2 asked, 2 created, 1 sent again"),
        (GOOD, "6 at their own host, 0 at another"),
        (GOOD, "2 tours, 46 visits, 46 resources asked for"),
        (GOOD, "2 of 2 reviews came with it"),
        (GOOD, "48 refused, 0 connections at their host"),
        (stranger(arrived=1), "48 refused, 1 connection at their host"),
        (GOOD, "0 in 20 log lines"),
        (GOOD, "4 calls, 4 answered, 1 more in hooks"),
        (client(in_flight=1), "1 call in flight, 0 sockets, 0 errors"),
        (client(pools=1), "1 pool, 7 finds, 1 waited for another's"),
    ],
)
def test_a_promise_shows_the_numbers_that_it_rests_on(evidence: Evidence, numbers: str) -> None:
    assert numbers in [promise.numbers for promise in promises(evidence)]
