"""What may be sent again, and when: the design's table as data, and laws that hold for all of it.

Rules:

1. `TABLE` says what the design says, case by case; it computes nothing.
2. The laws are properties: whatever failed, under whatever policy, with whatever luck.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.observability import names
from sleepwalker.resilience.deadline import LEAST_ATTEMPT
from sleepwalker.resilience.policy import Backoff, Policy
from sleepwalker.resilience.retry import (
    CIRCUIT_OPEN,
    DEADLINE,
    EXHAUSTED,
    FINAL,
    LIMIT,
    NOT_REPEATABLE,
    NOT_REWINDABLE,
    QUOTA,
    REASONS,
    RETRY_AFTER_TOO_LONG,
    SAFE,
    Failure,
    Repeatable,
    Verdict,
    decide,
    is_throttling,
)

PATIENT = Policy(attempts=1000)
IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE")
OTHER = ("POST", "PATCH", "CONNECT", "PURGE", "get")
"""Methods that RFC 9110 doesn't call idempotent; names of methods are case-sensitive."""


def decided(
    failure: Failure,
    request: Repeatable,
    policy: Policy = PATIENT,
    *,
    remaining: float = math.inf,
    chance: float = 0.5,
) -> Verdict:
    """Decide with a given number for chance."""
    return decide(failure, request, policy, remaining=remaining, random=lambda: chance)


def failed(
    reason: str = "protocol", *, number: int = 1, sent: bool = True, transient: bool = True
) -> Failure:
    """Make an attempt that got no answer."""
    return Failure(number=number, reason=reason, sent=sent, transient=transient)


def answered(
    status: int, *, number: int = 1, retry_after: float | None = None, resend: bool = False
) -> Failure:
    """Make an attempt that got a status."""
    return Failure(
        number=number,
        reason="status",
        sent=True,
        status=status,
        retry_after=retry_after,
        resend=resend,
    )


# The table


class Case(NamedTuple):
    """One line of it: what happened, and what becomes of which request."""

    what: str
    failure: Failure
    idempotent: str
    """The verdict for an idempotent method, or for a call that says so or carries a key."""
    other: str
    """The verdict for any other."""
    used_up: str = NOT_REWINDABLE
    """The verdict for a repeatable request whose body can't be rewound."""


TABLE = (
    # Certainly never sent: any method, whatever its body.
    Case("never sent, refused", failed("connect", sent=False), "connect", "connect", "connect"),
    Case("never sent, a stall", failed("timeout", sent=False), "timeout", "timeout", "timeout"),
    # Never: a certificate error, though nothing was sent.
    Case("certificate", failed("connect", sent=False, transient=False), FINAL, FINAL, FINAL),
    # Maybe sent: only what may be repeated.
    Case("reset", failed("protocol"), "protocol", NOT_REPEATABLE),
    Case("read timeout", failed("timeout"), "timeout", NOT_REPEATABLE),
    Case("deadline", failed("timeout", transient=False), FINAL, FINAL, FINAL),
    # Statuses, under the same rule: a bare 503 doesn't make a POST safe.
    Case("408", answered(408), "status", NOT_REPEATABLE),
    Case("429", answered(429), "throttled", NOT_REPEATABLE),
    Case("429 asking to wait", answered(429, retry_after=2.0), "throttled", NOT_REPEATABLE),
    Case("500", answered(500), "status", NOT_REPEATABLE),
    Case("502", answered(502), "status", NOT_REPEATABLE),
    Case("503", answered(503), "status", NOT_REPEATABLE),
    Case("503 asking to wait", answered(503, retry_after=2.0), "throttled", NOT_REPEATABLE),
    Case("504", answered(504), "status", NOT_REPEATABLE),
    # Only 429 and 503 say "slow down" by asking to wait; the wait is kept to all the same.
    Case("500 asking to wait", answered(500, retry_after=2.0), "status", NOT_REPEATABLE),
    # Never: any other 4xx, nor a 5xx that no second try will mend.
    *(
        Case(str(status), answered(status), FINAL, FINAL, FINAL)
        for status in (400, 401, 403, 404, 405, 409, 410, 412, 415, 422, 425, 428, 431, 451)
    ),
    *(Case(str(status), answered(status), FINAL, FINAL, FINAL) for status in (501, 505, 507, 511)),
)
EACH_CASE = pytest.mark.parametrize("case", TABLE, ids=[case.what for case in TABLE])


def by_method(
    case: Case, methods: tuple[str, ...], *, idempotent: bool | None = None, key: bool = False
) -> dict[str, str]:
    """Give the verdict for each method."""
    return {
        method: decided(case.failure, Repeatable(method=method, idempotent=idempotent, key=key)).why
        for method in methods
    }


@EACH_CASE
def test_an_idempotent_method_goes_again_as_the_table_says(case: Case) -> None:
    assert by_method(case, IDEMPOTENT) == dict.fromkeys(IDEMPOTENT, case.idempotent)


@EACH_CASE
def test_another_method_goes_again_only_when_it_was_never_sent(case: Case) -> None:
    assert by_method(case, OTHER) == dict.fromkeys(OTHER, case.other)


@EACH_CASE
@pytest.mark.parametrize(("idempotent", "key"), [(True, False), (None, True), (True, True)])
def test_the_callers_word_or_a_key_makes_any_method_repeatable(
    case: Case, *, idempotent: bool | None, key: bool
) -> None:
    verdicts = by_method(case, OTHER, idempotent=idempotent, key=key)

    assert verdicts == dict.fromkeys(OTHER, case.idempotent)


@EACH_CASE
def test_the_callers_word_makes_an_idempotent_method_unrepeatable(case: Case) -> None:
    verdicts = by_method(case, IDEMPOTENT, idempotent=False)

    assert verdicts == dict.fromkeys(IDEMPOTENT, case.other)


@EACH_CASE
def test_a_key_makes_a_request_repeatable_whatever_the_callers_word(case: Case) -> None:
    verdicts = by_method(case, OTHER, idempotent=False, key=True)

    assert verdicts == dict.fromkeys(OTHER, case.idempotent)


@EACH_CASE
def test_a_body_that_cannot_be_rewound_is_never_begun_again(case: Case) -> None:
    assert decided(case.failure, Repeatable(method="PUT", body=False)).why == case.used_up


@EACH_CASE
def test_the_last_attempt_is_not_followed_by_another(case: Case) -> None:
    goes_again = case.idempotent in names.RETRY_REASONS

    verdict = decided(case.failure, Repeatable(method="GET"), Policy(attempts=1))

    assert verdict == Verdict(again=False, why=EXHAUSTED if goes_again else FINAL)


@EACH_CASE
def test_a_verdict_to_go_again_names_a_reason_that_is_counted(case: Case) -> None:
    verdict = decided(case.failure, Repeatable(method="GET"))

    assert verdict.again is (verdict.why in names.RETRY_REASONS)


@pytest.mark.parametrize("status", [409, 425, 501, 599])
def test_the_policy_may_name_other_statuses(status: int) -> None:
    policy = Policy(retry_statuses=frozenset({status}))

    assert decided(answered(status), Repeatable(method="GET"), policy).why == "status"
    assert decided(answered(503), Repeatable(method="GET"), policy).why == FINAL


# What it is made of


def test_safe_are_the_methods_that_change_nothing() -> None:
    assert sorted(SAFE) == ["GET", "HEAD", "OPTIONS", "TRACE"]


def test_what_forbids_another_attempt_is_told_in_words_that_stay() -> None:
    words = {
        FINAL: "final",
        NOT_REPEATABLE: "not repeatable",
        NOT_REWINDABLE: "body can't be rewound",
        EXHAUSTED: "exhausted",
        RETRY_AFTER_TOO_LONG: "retry-after too long",
        DEADLINE: "deadline",
        QUOTA: "retry quota",
        CIRCUIT_OPEN: "circuit open",
        LIMIT: "concurrency limit",
    }

    assert list(words) == list(words.values()) == list(REASONS)


def test_an_attempt_is_the_first_to_reach_the_server_and_may_be_repeated_unless_it_says() -> None:
    failure = Failure(number=1, reason="status", sent=True)

    assert failure == replace(failure, resend=False, transient=True, status=None, retry_after=None)
    assert decided(failure, Repeatable(method="GET")).again


def test_a_request_carries_no_key_and_can_be_sent_again_unless_it_says() -> None:
    request = Repeatable(method="POST")

    assert request == replace(request, idempotent=None, key=False, body=True)


# A conflict


def test_a_conflict_on_a_resend_with_a_key_is_throttling() -> None:
    verdict = decided(
        answered(409, number=2, resend=True), Repeatable(method="POST", key=True), chance=1.0
    )

    assert verdict == Verdict(
        again=True, why="throttled", wait=Backoff().ceiling(2, throttled=True)
    )


@pytest.mark.parametrize(
    ("failure", "request_"),
    [
        (answered(409), Repeatable(method="POST", key=True)),
        (answered(409, number=2), Repeatable(method="POST", key=True)),
        (answered(409, number=2, resend=True), Repeatable(method="POST", idempotent=True)),
        (answered(409, number=2, resend=True), Repeatable(method="PUT")),
        (answered(422, number=2, resend=True), Repeatable(method="POST", key=True)),
    ],
    ids=[
        "first attempt",
        "the first was never sent",
        "no key",
        "no key, an idempotent method",
        "no conflict",
    ],
)
def test_any_other_conflict_and_any_other_4xx_is_an_answer(
    failure: Failure, request_: Repeatable
) -> None:
    assert decided(failure, request_).why == FINAL
    assert not is_throttling(failure, request_)


# How long to wait


@pytest.mark.parametrize(
    ("failure", "widest"),
    [
        (failed(number=1), 0.05),
        (failed(number=2), 0.1),
        (failed(number=3), 0.2),
        (answered(500, number=1), 0.05),
        (answered(503, number=2), 0.1),
        (answered(429, number=1), 1.0),
        (answered(429, number=2), 2.0),
        (answered(503, number=3, retry_after=0.0), 4.0),
        (answered(429, number=9), 20.0),
    ],
)
def test_the_wait_is_drawn_from_the_whole_width_of_the_backoff(
    failure: Failure, widest: float
) -> None:
    for chance in (0.0, 0.25, 0.999):
        verdict = decided(failure, Repeatable(method="GET"), chance=chance)
        assert verdict.wait == pytest.approx(chance * widest)


def test_without_a_backoff_there_is_no_wait() -> None:
    policy = Policy(backoff=None)

    assert decided(answered(429), Repeatable(method="GET"), policy, chance=0.9).wait == 0.0


def test_without_a_backoff_the_servers_own_wish_is_still_heard() -> None:
    policy = Policy(backoff=None)

    verdict = decided(answered(503, retry_after=7.0), Repeatable(method="GET"), policy)

    assert verdict.wait == 7.0


@pytest.mark.parametrize(
    ("asked", "chance", "waited"), [(0.0, 0.5, 0.5), (0.2, 0.5, 0.5), (7.0, 0.5, 7.0)]
)
def test_the_wait_is_the_longer_of_backoff_and_retry_after(
    asked: float, chance: float, waited: float
) -> None:
    verdict = decided(answered(429, retry_after=asked), Repeatable(method="GET"), chance=chance)

    assert verdict.wait == waited


@pytest.mark.parametrize(
    ("asked", "remaining", "expected"),
    [
        (60.0, math.inf, Verdict(again=True, why="throttled", wait=60.0)),
        (60.001, math.inf, Verdict(again=False, why=RETRY_AFTER_TOO_LONG)),
        (1e20, math.inf, Verdict(again=False, why=RETRY_AFTER_TOO_LONG)),
        (5.0, 30.0, Verdict(again=True, why="throttled", wait=5.0)),
        (30.0, 29.0, Verdict(again=False, why=RETRY_AFTER_TOO_LONG)),
        # It could be waited for, but then no time would be left for an attempt.
        (29.995, 30.0, Verdict(again=False, why=DEADLINE)),
    ],
)
def test_a_retry_after_beyond_its_ceiling_or_the_deadline_is_not_waited_for(
    asked: float, remaining: float, expected: Verdict
) -> None:
    verdict = decided(
        answered(429, retry_after=asked),
        Repeatable(method="GET"),
        remaining=remaining,
        chance=0.0,
    )

    assert verdict == expected


def test_the_policy_sets_the_ceiling_of_retry_after() -> None:
    failure, request = answered(503, retry_after=5.0), Repeatable(method="GET")

    assert decided(failure, request, Policy(max_retry_after=5.0)).again
    assert not decided(failure, request, Policy(max_retry_after=4.9)).again


def test_a_wait_that_leaves_just_enough_for_an_attempt_is_begun() -> None:
    verdict = decided(answered(429), Repeatable(method="GET"), remaining=1.0, chance=1.0 - 0.01)

    assert verdict.again
    assert 1.0 - verdict.wait >= LEAST_ATTEMPT


@pytest.mark.parametrize(
    ("remaining", "again"),
    [(1.0, True), (0.511, True), (0.509, False), (0.0, False), (-3.0, False)],
)
def test_a_wait_that_would_leave_no_time_for_an_attempt_is_not_begun(
    remaining: float, *, again: bool
) -> None:
    verdict = decided(answered(429), Repeatable(method="GET"), remaining=remaining, chance=0.5)

    assert (verdict.again, verdict.wait) == ((True, 0.5) if again else (False, 0.0))


# The laws

SECONDS = st.floats(min_value=0.001, max_value=1e5)
POLICIES = st.builds(
    Policy,
    attempts=st.integers(1, 8),
    backoff=st.none() | st.builds(Backoff, base=SECONDS, throttled=SECONDS, cap=SECONDS),
    max_retry_after=SECONDS,
    retry_statuses=st.frozensets(st.sampled_from([408, 409, 425, 429, 500, 503])),
)
FAILURES = st.builds(
    Failure,
    number=st.integers(1, 10),
    reason=st.sampled_from(["timeout", "connect", "protocol"]),
    sent=st.booleans(),
    transient=st.booleans(),
    resend=st.booleans(),
) | st.builds(
    Failure,
    number=st.integers(1, 10),
    reason=st.just("status"),
    sent=st.just(value=True),
    status=st.sampled_from([400, 401, 404, 408, 409, 425, 429, 500, 501, 503]),
    retry_after=st.none() | st.floats(min_value=0.0, max_value=1e6),
    resend=st.booleans(),
)
REQUESTS = st.builds(
    Repeatable,
    method=st.sampled_from([*IDEMPOTENT, *OTHER]),
    idempotent=st.none() | st.booleans(),
    key=st.booleans(),
    body=st.booleans(),
)
REMAINING = st.floats(min_value=-10.0, max_value=1e6) | st.just(math.inf)
CHANCE = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)


@given(FAILURES, REQUESTS, POLICIES, REMAINING, CHANCE)
def test_whatever_happens_a_wait_keeps_to_deadline_server_and_policy(
    failure: Failure, request: Repeatable, policy: Policy, remaining: float, chance: float
) -> None:
    verdict = decided(failure, request, policy, remaining=remaining, chance=chance)

    if not verdict.again:
        assert verdict.wait == 0.0
        return
    assert failure.number < policy.attempts
    assert 0.0 <= verdict.wait <= remaining - 0.01
    assert verdict.wait >= (failure.retry_after or 0.0)
    widest = 0.0
    if policy.backoff is not None:
        widest = policy.backoff.ceiling(failure.number, throttled=is_throttling(failure, request))
    assert verdict.wait <= max(widest, min(failure.retry_after or 0.0, policy.max_retry_after))


@given(FAILURES, REQUESTS, POLICIES, REMAINING, CHANCE)
def test_whatever_happens_what_may_have_been_processed_is_not_sent_twice_unasked(
    failure: Failure, request: Repeatable, policy: Policy, remaining: float, chance: float
) -> None:
    verdict = decided(failure, request, policy, remaining=remaining, chance=chance)

    if verdict.again and failure.sent:
        assert request.body
        assert request.key or (
            request.method in IDEMPOTENT if request.idempotent is None else request.idempotent
        )


@given(FAILURES, REQUESTS, POLICIES, CHANCE)
def test_without_a_deadline_chance_decides_how_long_and_never_whether(
    failure: Failure, request: Repeatable, policy: Policy, chance: float
) -> None:
    lucky = decided(failure, request, policy, chance=0.0)
    verdict = decided(failure, request, policy, chance=chance)

    assert (verdict.again, verdict.why) == (lucky.again, lucky.why)
    assert verdict.wait >= lucky.wait


@given(FAILURES, REQUESTS, POLICIES, st.lists(REMAINING, min_size=2, max_size=4), CHANCE)
def test_more_time_never_turns_a_yes_into_a_no(
    failure: Failure,
    request: Repeatable,
    policy: Policy,
    spans: list[float],
    chance: float,
) -> None:
    verdicts = [
        decided(failure, request, policy, remaining=span, chance=chance).again
        for span in sorted(spans)
    ]

    assert all(less <= more for less, more in pairwise(verdicts))


@pytest.mark.parametrize(("failure", "widest"), [(failed(number=3), 0.2), (answered(429), 1.0)])
def test_waits_are_spread_evenly_over_the_whole_width(failure: Failure, widest: float) -> None:
    chance = random.Random(20_240)  # noqa: S311 - seeded, so that the counts are the same each time
    waits = [
        decide(
            failure, Repeatable(method="GET"), PATIENT, remaining=math.inf, random=chance.random
        ).wait
        for _ in range(10_000)
    ]

    assert 0.0 <= min(waits) < 0.001 * widest
    assert 0.999 * widest < max(waits) < widest
    tenths = [0] * 10
    for wait in waits:
        tenths[int(wait / widest * 10)] += 1
    # Four standard deviations of a fair tenth of 10,000.
    assert all(880 <= count <= 1120 for count in tenths), tenths
