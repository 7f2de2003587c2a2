"""The retry quota: a ledger that adds up, whatever happens and however many threads write in it.

Rules:

1. The examples are the ledger of the design: 500 tokens, 14 or 5 for a retry, 1 for a success.
2. The laws hold for any settings and any sequence.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience import quota as module
from sleepwalker.resilience.policy import Policy, Quota
from sleepwalker.resilience.quota import RetryQuota
from tests.crew import Job, at_once
from tests.resilience.turns import at_point, meanwhile

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = Quota()


def emptied(settings: Quota, *, to: int = 0) -> RetryQuota:
    """Make a quota that has so many tokens left."""
    quota = RetryQuota(Quota(tokens=settings.tokens, transient=settings.tokens - to))
    assert quota.spend(throttled=False) == settings.tokens - to
    quota.settings = settings
    return quota


# The design's ledger


def test_a_new_quota_is_full() -> None:
    assert RetryQuota(DEFAULT).tokens == 500


@pytest.mark.parametrize(("throttled", "cost"), [(False, 14), (True, 5)])
def test_a_retry_costs_more_when_the_host_has_not_just_asked_to_slow_down(
    *, throttled: bool, cost: int
) -> None:
    quota = RetryQuota(DEFAULT)

    assert quota.spend(throttled=throttled) == cost
    assert quota.tokens == 500 - cost


@pytest.mark.parametrize(("throttled", "retries", "left"), [(False, 35, 10), (True, 100, 0)])
def test_ten_thousand_calls_that_fail_retry_as_often_as_the_tokens_pay_for(
    *, throttled: bool, retries: int, left: int
) -> None:
    quota = RetryQuota(DEFAULT)

    paid = [quota.spend(throttled=throttled) for _ in range(10_000)]

    assert Counter(cost is not None for cost in paid) == {True: retries, False: 10_000 - retries}
    assert quota.tokens == left


@pytest.mark.parametrize(("tokens", "cost", "left"), [(13, None, 13), (14, 14, 0), (15, 14, 1)])
def test_who_cannot_pay_the_whole_price_pays_nothing(
    tokens: int, cost: int | None, left: int
) -> None:
    quota = emptied(DEFAULT, to=tokens)

    assert quota.spend(throttled=False) == cost
    assert quota.tokens == left


def test_a_quota_too_empty_for_one_kind_of_retry_still_pays_for_the_cheaper_kind() -> None:
    quota = emptied(DEFAULT, to=13)

    assert quota.spend(throttled=False) is None
    assert quota.spend(throttled=True) == 5


def test_a_retry_that_succeeds_has_its_cost_back_and_no_more() -> None:
    quota = emptied(DEFAULT, to=100)

    cost = quota.spend(throttled=False)
    assert cost is not None
    quota.refund(cost)

    assert quota.tokens == 100


def test_a_call_that_succeeds_at_once_earns_one_token() -> None:
    quota = emptied(DEFAULT, to=100)

    assert quota.reward() is True
    assert quota.tokens == 101


def test_a_success_may_earn_more_or_nothing() -> None:
    assert (emptied(Quota(success=7)).reward(), emptied(Quota(success=0)).reward()) == (True, True)
    generous, strict = emptied(Quota(success=7)), emptied(Quota(success=0))

    generous.reward()
    strict.reward()

    assert (generous.tokens, strict.tokens) == (7, 0)


def test_a_full_quota_earns_nothing_and_says_so() -> None:
    quota = RetryQuota(DEFAULT)

    assert quota.reward() is False
    assert quota.tokens == 500


def test_what_is_earned_or_given_back_beyond_the_maximum_is_lost() -> None:
    almost, given_back = emptied(Quota(success=7), to=495), emptied(DEFAULT, to=495)

    assert almost.reward() is True
    given_back.refund(14)

    assert (almost.tokens, given_back.tokens) == (500, 500)


def test_one_token_below_the_maximum_is_not_full() -> None:
    quota = emptied(DEFAULT, to=499)

    assert quota.reward() is True
    assert quota.tokens == 500


def test_a_quota_says_what_it_has() -> None:
    quota = RetryQuota(DEFAULT)
    quota.spend(throttled=False)

    assert repr(quota) == "<RetryQuota 486/500 tokens>"
    assert quota.settings is DEFAULT


# The laws

SETTINGS = st.integers(1, 60).flatmap(
    lambda tokens: st.builds(
        Quota,
        tokens=st.just(tokens),
        transient=st.integers(1, tokens),
        throttled=st.integers(1, tokens),
        success=st.integers(0, 9),
    )
)
STEPS = st.lists(st.sampled_from(["transient", "throttled", "refund", "reward"]), max_size=200)


@given(SETTINGS, STEPS)
def test_whatever_happens_the_ledger_adds_up(settings: Quota, steps: list[str]) -> None:
    quota = RetryQuota(settings)
    spent = earned = clipped = 0
    to_give_back: list[int] = []
    for step in steps:
        before, comes = quota.tokens, 0
        if step == "reward":
            comes = settings.success
            assert quota.reward() is (before < settings.tokens)
        elif step == "refund":
            comes = to_give_back.pop() if to_give_back else 0
            quota.refund(comes)
        else:
            price = getattr(settings, step)
            paid = quota.spend(throttled=step == "throttled")
            assert paid == (price if before >= price else None)
            if paid is not None:
                to_give_back.append(paid)
                spent += paid
                before -= paid
        assert quota.tokens == min(before + comes, settings.tokens)
        earned += comes
        clipped += max(before + comes - settings.tokens, 0)
        assert 0 <= quota.tokens <= settings.tokens
        assert quota.tokens == settings.tokens - spent + earned - clipped


@given(SETTINGS, st.booleans(), st.integers(1, 300))
def test_in_an_outage_there_are_as_many_retries_as_tokens_divided_by_their_price(
    settings: Quota,
    throttled: bool,  # noqa: FBT001 - hypothesis gives it
    calls: int,
) -> None:
    quota = RetryQuota(settings)
    price = settings.throttled if throttled else settings.transient

    retried = sum(quota.spend(throttled=throttled) is not None for _ in range(calls))

    assert retried == min(calls, settings.tokens // price)


# Threads, signals, children


def test_sixty_four_threads_spend_exactly_what_there_is() -> None:
    quota = RetryQuota(Quota(tokens=10_000, transient=7))

    jobs = at_once([lambda: [quota.spend(throttled=False) for _ in range(50)]] * 64)
    paid = Counter(cost for job in jobs for cost in job.result())

    assert paid == {7: 1428, None: 64 * 50 - 1428}
    assert quota.tokens == 10_000 - 7 * 1428


def test_sixty_four_threads_that_spend_earn_and_give_back_end_with_the_exact_sum() -> None:
    quota = emptied(Quota(tokens=100_000, transient=3, throttled=2, success=1), to=50_000)

    def work() -> None:
        for _ in range(50):
            cost = quota.spend(throttled=False)
            assert cost is not None
            quota.refund(cost)
            assert quota.spend(throttled=True) == 2
            quota.reward()

    for job in at_once([work] * 64):
        job.result()

    assert quota.tokens == 50_000 - 64 * 50


OPERATIONS: dict[str, tuple[Callable[[RetryQuota], object], int]] = {
    "spend": (partial(RetryQuota.spend, throttled=False), -14),
    "refund": (lambda quota: quota.refund(14), 14),
    "reward": (RetryQuota.reward, 1),
}
PAIRS = [
    pytest.param(*OPERATIONS[one], *OPERATIONS[other], id=f"{one}, {other}")
    for one in OPERATIONS
    for other in OPERATIONS
]


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(meanwhile, id="in another thread"),
        pytest.param(at_point, id="in a signal handler"),
    ],
)
@pytest.mark.parametrize(("one", "ones", "other", "others"), PAIRS)
def test_two_changes_at_once_leave_the_sum_of_both(
    one: Callable[[RetryQuota], object],
    ones: int,
    other: Callable[[RetryQuota], object],
    others: int,
    at: Callable[..., bool],
) -> None:
    point = 0
    while True:
        quota = emptied(DEFAULT, to=100)
        came = at(point, partial(other, quota), partial(one, quota), module)
        if not came:
            break
        assert quota.tokens == 100 + ones + others, point
        point += 1
    assert point > 0


@pytest.mark.parametrize("operation", ["spend", "refund"])
def test_a_change_waits_for_the_one_that_another_thread_is_in(operation: str) -> None:
    change, amount = OPERATIONS[operation]
    quota = emptied(DEFAULT, to=100)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with quota._lock:  # noqa: SLF001 - a section that lasts as long as a test wants
            inside.set()
            assert leave.wait(10)

    holder = Job(hold)
    assert inside.wait(10)
    changer = Job(lambda: change(quota))
    with pytest.raises(AssertionError, match="not finished"):
        changer.wait(0.05)
    before = quota.tokens
    leave.set()
    holder.result()
    changer.result()

    assert (before, quota.tokens) == (100, 100 + amount)


def test_a_child_keeps_the_tokens_and_does_not_wait_for_its_parents_threads() -> None:
    quota = emptied(DEFAULT, to=100)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with quota._lock:  # noqa: SLF001 - as it is in a child when the parent's thread was there
            inside.set()
            assert leave.wait(10)

    holder = Job(hold)
    assert inside.wait(10)
    quota.renew()
    cost = Job(lambda: quota.spend(throttled=False)).result()
    leave.set()
    holder.result()

    assert (cost, quota.tokens) == (14, 86)


@pytest.mark.parametrize("settings", [None, 5, "adaptive", Policy()])
def test_it_says_what_it_is_made_with(settings: Any) -> None:
    told = f"^a RetryQuota is made with a Quota, not {type(settings).__name__}$"
    with pytest.raises(ConfigurationError, match=told):
        RetryQuota(settings)
