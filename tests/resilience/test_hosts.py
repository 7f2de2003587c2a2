"""Who shares a quota, a breaker and a limit, for how long, and what is told of them.

Rule 1: two share when what they have is the same object; figures only show what it is used for.
"""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker.exceptions import CircuitOpenError, ConcurrencyLimitError
from sleepwalker.resilience import hosts as module
from sleepwalker.resilience import limiter as limiter_module
from sleepwalker.resilience.breaker import CLOSED, HALF_OPEN, OPEN, CircuitBreaker
from sleepwalker.resilience.hosts import HostStates, Safeguards, at_rest, told_of
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.limiter import ConcurrencyLimiter
from sleepwalker.resilience.policy import AdaptiveLimit, Breaker, Limit, Policy, Quota
from sleepwalker.resilience.quota import RetryQuota
from tests.crew import Job, SteppedClock, at_once, wait_for
from tests.resilience.turns import MOMENT, interrupted, meanwhile

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.resilience.breaker import BreakerPermit
    from sleepwalker.resilience.limiter import LimiterPermit

API, OTHER = "https://api.example", "https://other.example"
EASILY = Policy(breaker=Breaker(calls=1), limit=Limit(calls=1))
"""Opens at the first failure, and lets one call in at a time."""
NOTHING = Policy(quota=None, breaker=None, limit=None)


def known(*, most: int | None = None, clock: SteppedClock | None = None) -> HostStates:
    """Make a memory of hosts; `most` is how many it keeps unused."""
    options: dict[str, Any] = {} if most is None else {"most": most}
    clock = SteppedClock() if clock is None else clock
    return HostStates(clock=clock, random=lambda: 0.5, **options)


def shared(one: Safeguards, other: Safeguards) -> tuple[bool, bool, bool]:
    """Give whether they share their quota, breaker and limit."""
    return (
        one.quota is other.quota,
        one.breaker is other.breaker,
        one.limiter is other.limiter,
    )


def spend(safeguards: Safeguards) -> None:
    """Pay for a retry, so that this host's quota is known from a new one."""
    assert safeguards.quota is not None
    assert safeguards.quota.spend(throttled=False) is not None


def tokens(safeguards: Safeguards) -> int:
    """Give what is left in the quota."""
    assert safeguards.quota is not None
    return safeguards.quota.tokens


def begun(safeguards: Safeguards) -> tuple[BreakerPermit, LimiterPermit]:
    """Begin a call."""
    assert safeguards.breaker is not None
    assert safeguards.limiter is not None
    through, place = safeguards.breaker.permit(), safeguards.limiter.permit()
    through.acquire()
    place.acquire()
    return through, place


def fail(safeguards: Safeguards) -> None:
    """Make a call that fails."""
    for permit in begun(safeguards):
        permit.end(Result.FAILURE)


# Who shares


@pytest.mark.parametrize("scope", [None, "search"])
def test_all_calls_to_one_host_in_one_scope_share_what_has_the_same_settings(
    scope: str | None,
) -> None:
    states = known()

    one = states.of(API, Policy(scope=scope))
    other = states.of(API, Policy(scope=scope, attempts=7, deadline=None, backoff=None))

    assert shared(one, other) == (True, True, True)
    assert len(states) == 1


def test_another_host_shares_nothing() -> None:
    states = known()

    assert shared(states.of(API, Policy()), states.of(OTHER, Policy())) == (False, False, False)


@pytest.mark.parametrize("scope", [None, "search"])
def test_another_scope_shares_nothing(scope: str | None) -> None:
    states = known()

    one, other = states.of(API, Policy(scope=scope)), states.of(API, Policy(scope="orders"))

    assert shared(one, other) == (False, False, False)
    assert len(states) == 2


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Policy(quota=Quota(tokens=499)), (False, True, True)),
        (Policy(breaker=Breaker(calls=21)), (True, False, True)),
        (Policy(limit=Limit(calls=65)), (True, True, False)),
        (Policy(limit=AdaptiveLimit()), (True, True, False)),
    ],
)
def test_who_sets_other_figures_shares_the_rest(
    other: Policy, expected: tuple[bool, bool, bool]
) -> None:
    states = known()

    assert shared(states.of(API, Policy()), states.of(API, other)) == expected


def test_what_is_made_is_as_the_policy_says() -> None:
    policy = Policy(
        quota=Quota(tokens=50), breaker=Breaker(calls=2, open_for=7.0), limit=AdaptiveLimit(start=9)
    )

    safeguards = known().of(API, policy)

    assert tokens(safeguards) == 50
    assert safeguards.limiter is not None
    assert safeguards.limiter.limit == 9
    fail(safeguards)
    fail(safeguards)
    assert safeguards.breaker is not None
    assert safeguards.breaker.remaining() == 7.0


@pytest.mark.parametrize("name", ["quota", "breaker", "limit"])
def test_what_is_off_is_none_and_the_rest_is_there(name: str) -> None:
    states = known()

    off: dict[str, Any] = {name: None}
    safeguards = states.of(API, Policy(**off))

    made = {
        "quota": safeguards.quota,
        "breaker": safeguards.breaker,
        "limit": safeguards.limiter,
    }
    assert [each for each in made if made[each] is None] == [name]


def test_breakers_go_by_the_clock_and_the_chance_that_were_given() -> None:
    clock = SteppedClock()
    chances = iter([0.0, 1.0])
    states = HostStates(clock=clock, random=lambda: next(chances))
    one, other = states.of(API, EASILY), states.of(OTHER, EASILY)

    fail(one)
    fail(other)
    clock.now += 1.0

    assert one.breaker is not None
    assert other.breaker is not None
    assert one.breaker.remaining() == pytest.approx(3.0)
    assert other.breaker.remaining() == pytest.approx(5.0)


# Names


@pytest.mark.parametrize(
    ("scope", "shown", "name"),
    [
        (None, None, API),
        ("search", None, f"{API} (search)"),
        (None, "the API", "the API"),
        (None, "", ""),
        ("search", "the API", "the API (search)"),
    ],
)
def test_a_host_is_named_as_it_may_be_shown_with_its_scope(
    scope: str | None, shown: str | None, name: str
) -> None:
    safeguards = known().of(API, replace(EASILY, scope=scope), shown=shown)
    assert safeguards.breaker is not None
    assert safeguards.limiter is not None

    assert safeguards.name == name
    assert repr(safeguards).startswith(f"<Safeguards {name}: ")
    begun(safeguards)
    with pytest.raises(ConcurrencyLimitError) as limited:
        safeguards.limiter.permit().acquire()
    through = safeguards.breaker.permit()
    through.acquire()
    through.end(Result.FAILURE)
    with pytest.raises(CircuitOpenError) as refused:
        safeguards.breaker.permit().acquire()

    assert str(limited.value).startswith(f"1 calls to {name} are in flight")
    assert str(refused.value).startswith(f"{name} fails too often")


def test_a_host_keeps_the_name_that_it_was_shown_by_first() -> None:
    states = known()
    states.of(API, Policy(), shown="the API")

    assert states.of(API, Policy(), shown="another").name == "the API"


# How long it is remembered


def test_a_host_is_found_as_it_was_left_though_nobody_has_used_it_since() -> None:
    states = known()
    spend(states.of(API, Policy()))
    gc.collect()

    assert tokens(states.of(API, Policy())) == 486


@pytest.mark.parametrize("again", [False, True])
def test_of_the_hosts_that_nobody_uses_those_used_last_are_remembered(*, again: bool) -> None:
    states = known(most=2)
    spend(states.of("a", Policy()))
    spend(states.of("b", Policy()))
    if again:
        states.of("a", NOTHING)

    spend(states.of("c", Policy()))
    gc.collect()

    assert len(states) == 2
    assert tokens(states.of("c", Policy())) == 486
    remembered, forgotten = ("a", "b") if again else ("b", "a")
    assert tokens(states.of(remembered, Policy())) == 486
    assert tokens(states.of(forgotten, Policy())) == 500


def test_scopes_count_as_hosts() -> None:
    states = known(most=1)
    spend(states.of(API, Policy(scope="a")))

    states.of(API, Policy(scope="b"))
    gc.collect()

    assert tokens(states.of(API, Policy(scope="a"))) == 500


def test_ten_thousand_hosts_are_remembered_and_no_more() -> None:
    states = known()
    spend(states.of("first", Policy()))
    spend(states.of("second", Policy()))

    for number in range(9_998):
        states.of(str(number), NOTHING)
    assert len(states) == 10_000
    states.of("one more", NOTHING)

    gc.collect()
    assert len(states) == 10_000
    assert tokens(states.of("second", Policy())) == 486
    assert tokens(states.of("first", Policy())) == 500


def test_a_host_in_use_is_found_however_many_were_used_since() -> None:
    states = known(most=1)
    used = states.of(API, Policy())
    for host in ("a", "b", "c"):
        states.of(host, Policy())
    gc.collect()

    again = states.of(API, Policy())

    assert shared(used, again) == (True, True, True)
    assert len(states) == 1


def test_a_host_in_use_that_was_found_again_is_one_of_those_used_last() -> None:
    states = known(most=1)
    used = states.of(API, Policy())
    states.of(OTHER, Policy())
    states.of(API, Policy())
    spend(used)

    del used
    gc.collect()

    assert tokens(states.of(API, Policy())) == 486


def test_a_host_is_forgotten_for_good_when_the_last_who_used_it_is_gone() -> None:
    states = known(most=1)
    used = states.of(API, Policy())
    spend(used)
    states.of(OTHER, Policy())

    del used
    gc.collect()

    assert tokens(states.of(API, Policy())) == 500


def numbered(number: int) -> Policy:
    """Make a policy whose settings no other has."""
    return Policy(
        quota=Quota(tokens=100 + number),
        breaker=Breaker(calls=100 + number),
        limit=Limit(calls=100 + number),
    )


def test_sixteen_settings_of_each_kind_are_remembered_for_a_host() -> None:
    states = known()
    made = [states.of(API, numbered(number)) for number in range(16)]

    again = [states.of(API, numbered(number)) for number in range(16)]

    assert [shared(*pair) for pair in zip(made, again, strict=True)] == [(True, True, True)] * 16


def test_of_more_settings_for_a_host_those_used_last_are_remembered() -> None:
    states = known()
    made = [states.of(API, numbered(number)) for number in range(16)]
    states.of(API, numbered(0))

    for kind in ("quota", "breaker", "limit"):
        states.of(API, replace(NOTHING, **{kind: getattr(numbered(16), kind)}))

    assert shared(made[0], states.of(API, numbered(0))) == (True, True, True)
    assert shared(made[2], states.of(API, numbered(2))) == (True, True, True)
    assert shared(made[15], states.of(API, numbered(15))) == (True, True, True)
    assert shared(made[1], states.of(API, numbered(1))) == (False, False, False)


def test_settings_that_are_used_are_remembered_however_many_others_there_are() -> None:
    states = known()
    limiter = states.of(API, Policy()).limiter

    for number in range(200):
        states.of(API, Policy(limit=Limit(calls=100 + number)))
        assert states.of(API, Policy()).limiter is limiter


def test_one_setting_more_forgets_one() -> None:
    states = known()
    made = [states.of(API, numbered(number)) for number in range(16)]

    states.of(API, replace(NOTHING, quota=Quota(tokens=99)))

    assert shared(made[1], states.of(API, numbered(1))) == (True, True, True)
    assert made[0].quota is not states.of(API, numbered(0)).quota


# What is told


def test_quota_breaker_and_limit_are_told_in_words() -> None:
    made = known().of(API, Policy())

    assert made.told() == "quota 500/500 tokens, breaker closed, 0/64 in flight"
    assert repr(made) == f"<Safeguards {API}: {made.told()}>"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (Policy(quota=None), "breaker closed, 0/64 in flight"),
        (Policy(breaker=None), "quota 500/500 tokens, 0/64 in flight"),
        (Policy(limit=None), "quota 500/500 tokens, breaker closed"),
    ],
)
def test_what_is_off_is_not_told_of(policy: Policy, told: str) -> None:
    assert known().of(API, policy).told() == told


def test_where_all_is_off_there_is_nothing_to_tell() -> None:
    made = known().of(API, NOTHING)

    assert made.told() == told_of() == ""
    assert repr(made) == f"<Safeguards {API}: none>"


def test_hosts_are_counted_in_their_repr() -> None:
    states = known()
    assert repr(states) == "<HostStates 0 hosts>"

    made = states.of(API, Policy())
    states.of(OTHER, Policy())

    assert repr(states) == "<HostStates 2 hosts>"
    assert repr(made._state) == f"<HostState {API}>"  # noqa: SLF001 - nobody else is given one


def test_a_quota_is_at_rest_when_it_is_full() -> None:
    quota = RetryQuota(Quota())
    assert at_rest(quota)

    cost = quota.spend(throttled=False)
    assert not at_rest(quota)

    assert cost is not None
    quota.refund(cost - 1)
    assert not at_rest(quota)
    quota.refund(1)
    assert at_rest(quota)


def test_a_breaker_is_at_rest_when_it_is_closed() -> None:
    clock = SteppedClock()
    breaker = CircuitBreaker(Breaker(calls=1), clock=clock, random=lambda: 0.5)
    found = [(breaker.state, at_rest(breaker))]

    for result, later in ((Result.FAILURE, 0.0), (Result.SUCCESS, 5.0)):
        clock.now += later
        permit = breaker.permit()
        permit.acquire()
        found.append((breaker.state, at_rest(breaker)))
        permit.end(result)
        found.append((breaker.state, at_rest(breaker)))

    assert found == [
        (CLOSED, True),
        (CLOSED, True),
        (OPEN, False),
        (HALF_OPEN, False),
        (CLOSED, True),
    ]


def test_a_limit_is_at_rest_when_nobody_is_in_flight() -> None:
    limiter = ConcurrencyLimiter(Limit(calls=2))
    permit = limiter.permit()
    assert at_rest(limiter)

    permit.acquire()
    assert not at_rest(limiter)

    permit.end(Result.SUCCESS)
    assert at_rest(limiter)


def test_a_limit_is_not_at_rest_while_somebody_waits_though_nobody_is_in_flight() -> None:
    left_waiting = 0
    number, came = 0, True
    while came:
        limiter = ConcurrencyLimiter(Limit(calls=1))
        holder, waits = limiter.permit(), limiter.permit()
        assert holder.request(lambda: None)
        assert not waits.request(lambda: None)

        came = interrupted(number, lambda: holder.end(Result.SUCCESS), limiter_module)  # noqa: B023 - called at once
        number += 1

        assert not at_rest(limiter)
        left_waiting += (limiter.in_flight, limiter.waiting) == (0, 1)

    assert left_waiting > 0


def test_only_what_is_not_at_rest_is_troubled_and_the_host_used_last_comes_first() -> None:
    states = known()
    holds = [states.of(host, EASILY) for host in ("a", "b", "c", "d")]
    a, b, c, d = holds
    assert states.troubled() == []

    spend(a)
    fail(b)
    begun(c)
    spend(c)

    assert states.troubled() == [
        "c: quota 486/500 tokens, 1/1 in flight",
        "b: breaker open for 5.0 s",
        "a: quota 486/500 tokens",
    ]
    states.of("a", EASILY)
    assert [told[0] for told in states.troubled()] == ["a", "c", "b"]
    assert d.told() == "quota 500/500 tokens, breaker closed, 0/1 in flight"


def test_trouble_is_told_of_for_each_of_a_hosts_settings_and_under_the_name_that_may_be_shown() -> (
    None
):
    states = known()
    for number in (0, 1):
        spend(states.of(API, numbered(number), shown="the API"))

    assert states.troubled() == ["the API: quota 86/100 tokens, quota 87/101 tokens"]


# In a child made by fork


def test_a_child_keeps_a_circuit_open() -> None:
    states = known()
    made = states.of(API, EASILY)
    fail(made)

    states._renew_in_child()  # noqa: SLF001 - as it is called in a child

    assert made.told() == "quota 500/500 tokens, breaker open for 5.0 s, 0/1 in flight"


def test_a_child_knows_what_its_parent_knew_with_nothing_under_way() -> None:
    states = known(most=1)
    made = [states.of(host, EASILY) for host in (API, OTHER)]
    for each in made:
        spend(each)
        begun(each)

    states._renew_in_child()  # noqa: SLF001 - as it is called in a child

    assert [each.told() for each in made] == [
        "quota 486/500 tokens, breaker closed, 0/1 in flight"
    ] * 2
    assert [shared(each, states.of(each.name, EASILY)) for each in made] == [(True,) * 3] * 2


def test_a_child_does_not_wait_for_its_parents_threads() -> None:
    states = known()
    made = states.of(API, Policy())
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        # As it is in a child when threads of the parent's were there.
        assert made.quota is not None
        with states._lock, made.quota._lock:  # noqa: SLF001 - the locks are what this is about
            inside.set()
            wait_for(leave)

    holder = Job(hold)
    wait_for(inside)
    states._renew_in_child()  # noqa: SLF001 - as it is called in a child
    Job(lambda: spend(states.of(API, Policy()))).result()
    told = Job(states.troubled).result()
    leave.set()
    holder.result()

    assert told == [f"{API}: quota 486/500 tokens"]


# Threads


def test_two_threads_that_come_to_a_new_host_share_it_wherever_the_second_gets_its_turn() -> None:
    number, came = 0, True
    while came:
        states = known()
        found: list[Safeguards] = []

        def come() -> None:
            found.append(states.of(API, Policy()))  # noqa: B023 - ended before the next turn

        came = meanwhile(number, come, come, module)
        number += 1

        assert len(found) == 1 + came
        assert shared(found[0], found[-1]) == (True, True, True)
        assert len(states) == 1

    assert number > 10


def test_threads_that_come_at_once_share_a_host_and_their_number_is_counted_once() -> None:
    states = known()

    jobs = at_once([lambda: states.of(API, Policy())] * 8)
    first, *others = [job.result() for job in jobs]

    assert [shared(first, other) for other in others] == [(True, True, True)] * 7
    assert len(states) == 1


class Turn:
    """Another thread's, which comes once, in the middle of hashing a key: where that is Python."""

    task: Callable[[], object] | None = None
    taken: list[Job[object]]

    @classmethod
    def come(cls) -> None:
        """Let the other begin its work, and end it unless a lock keeps it from that."""
        task, cls.task = cls.task, None
        if task is not None:
            ended = threading.Event()

            def work() -> object:
                try:
                    return task()
                finally:
                    ended.set()

            cls.taken.append(Job(work))
            ended.wait(MOMENT)


class YieldingLimit(Limit):
    """Settings during whose hash another thread gets its turn, as it may with any settings."""

    def __eq__(self, other: object) -> bool:
        """Each is its own."""
        return self is other

    def __hash__(self) -> int:
        """Let the other go first."""
        Turn.come()
        return 1


class YieldingName(str):
    """A host's name that is no `str` of C's, with the same consequence."""

    __slots__ = ()

    def __hash__(self) -> int:
        """Let the other go first."""
        Turn.come()
        return super().__hash__()


@pytest.mark.parametrize(
    ("host", "limit", "other"),
    [
        (API, YieldingLimit(calls=1), (API, Policy(limit=Limit(calls=7)))),
        (YieldingName(API), Limit(calls=1), ("https://new.example", Policy())),
    ],
    ids=["with other settings", "to another host"],
)
def test_trouble_is_told_of_while_another_thread_comes(
    host: str, limit: Limit, other: tuple[str, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    states = known()
    states.of(OTHER, Policy())
    safeguards = states.of(host, Policy(limit=limit))
    spend(safeguards)
    begun(safeguards)

    monkeypatch.setattr(Turn, "taken", [], raising=False)
    monkeypatch.setattr(Turn, "task", lambda: states.of(*other))
    told = states.troubled()
    for job in Turn.taken:
        job.result()

    assert told == [f"{API}: quota 486/500 tokens, 1/1 in flight"]
