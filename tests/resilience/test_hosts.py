"""Which calls share a quota, a breaker and a limit, and for how long they are remembered."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace

import pytest

from sleepwalker import Breaker, CircuitOpenError, ConcurrencyLimitError, Limit, Policy, Quota
from sleepwalker.resilience import Result
from sleepwalker.resilience.hosts import MOST, SETTINGS, HostStates, Safeguards
from sleepwalker.testing import FakeClock

POLICY = Policy(breaker=Breaker(calls=1), limit=Limit(calls=2))


def states_of(most: int = 10) -> HostStates:
    """Give what remembers so many hosts."""
    return HostStates(clock=FakeClock(), random=lambda: 0.5, most=most)


def parts(guards: Safeguards) -> tuple[object, object, object]:
    """Give the three."""
    return guards.quota, guards.breaker, guards.limiter


def test_the_same_host_and_policy_have_the_same_three() -> None:
    states = states_of()

    first = states.of("https://a.example", POLICY)
    again = states.of("https://a.example", replace(POLICY, attempts=7, deadline=1.0))

    assert parts(first) == parts(again)
    assert None not in parts(first)


@pytest.mark.parametrize(
    ("host", "policy"),
    [
        pytest.param("https://b.example", POLICY, id="host"),
        pytest.param("https://a.example", replace(POLICY, scope="reports"), id="scope"),
    ],
)
def test_another_host_or_scope_shares_none_of_them(host: str, policy: Policy) -> None:
    states = states_of()

    mine, other = states.of("https://a.example", POLICY), states.of(host, policy)

    assert not set(parts(mine)) & set(parts(other))


def test_who_sets_other_figures_has_that_layer_alone_for_himself() -> None:
    states = states_of()

    mine = states.of("https://a.example", POLICY)
    other = states.of("https://a.example", replace(POLICY, quota=Quota(tokens=100)))

    assert other.quota is not mine.quota
    assert parts(other)[1:] == parts(mine)[1:]


def test_a_layer_that_is_off_is_none() -> None:
    off = replace(POLICY, quota=None, breaker=None, limit=None)

    guards = states_of().of("https://a.example", off)

    assert parts(guards) == (None, None, None)
    assert repr(guards) == "<Safeguards https://a.example: none>"


def test_only_the_hosts_used_last_are_remembered_when_nobody_uses_them() -> None:
    states = states_of(most=2)
    for host in ("a", "b"):
        spent = states.of(host, POLICY).quota
        assert spent is not None
        spent.spend(throttled=False)
    # It is used again, and so the other is the one to go.
    states.of("a", POLICY)
    del spent
    states.of("c", POLICY)
    gc.collect()

    assert len(states) == 2
    tokens = [quota.tokens for host in "ab" if (quota := states.of(host, POLICY).quota)]
    assert tokens == [486, 500]


def test_a_host_that_is_used_is_found_however_many_came_since() -> None:
    states = states_of(most=2)
    held = states.of("a", POLICY)

    for number in range(10):
        states.of(f"other {number}", POLICY)

    assert parts(states.of("a", POLICY)) == parts(held)


def test_it_tells_of_hosts_that_are_not_at_rest_the_last_used_first() -> None:
    states = states_of()
    for host in ("a", "b", "c"):
        states.of(host, POLICY)
    quota, breaker, limiter = (
        states.of("a", POLICY).quota,
        states.of("b", POLICY).breaker,
        states.of("a", POLICY).limiter,
    )
    assert quota is not None
    assert breaker is not None
    assert limiter is not None
    quota.spend(throttled=True)
    limiter.permit().acquire()
    failed = breaker.permit()
    failed.acquire()
    failed.end(Result.FAILURE)

    assert states.troubled() == [
        "a: quota 495/500 tokens, 1/2 in flight",
        "b: breaker open for 5.0 s",
    ]


def test_a_host_is_told_by_the_name_that_may_be_shown_and_its_scope() -> None:
    states = states_of()

    guards = states.of("https://a.example/secret", replace(POLICY, scope="x"), shown="a")

    assert guards.name == "a (x)"
    assert "secret" not in repr(guards)


def used(guards: Safeguards) -> None:
    """Spend a retry, open the breaker, and take both places."""
    assert guards.quota is not None
    assert guards.breaker is not None
    assert guards.limiter is not None
    guards.quota.spend(throttled=False)
    failed = guards.breaker.permit()
    failed.acquire()
    failed.end(Result.FAILURE)
    for _ in range(2):
        guards.limiter.permit().acquire()


def test_refusals_name_the_host_and_the_scope() -> None:
    guards = states_of().of("a", replace(POLICY, scope="x"))
    used(guards)
    assert guards.breaker is not None
    assert guards.limiter is not None

    with pytest.raises(CircuitOpenError, match=r"^a \(x\) fails too often"):
        guards.breaker.permit().acquire()
    with pytest.raises(ConcurrencyLimitError, match=r"^2 calls to a \(x\) are"):
        guards.limiter.permit().acquire()


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 4.0), (1.0, 6.0)])
def test_time_and_chance_are_those_that_were_given(chance: float, seconds: float) -> None:
    clock = FakeClock()
    states = HostStates(clock=clock, random=lambda: chance)
    guards = states.of("a", POLICY)
    used(guards)
    assert guards.breaker is not None

    assert guards.breaker.remaining() == seconds
    clock.advance(seconds)
    assert guards.breaker.state == "half-open"


def test_the_reprs_say_how_a_host_is() -> None:
    states = states_of()
    guards = states.of("a", POLICY)
    used(guards)

    told = "quota 486/500 tokens, breaker open for 5.0 s, 2/2 in flight"
    assert repr(guards) == f"<Safeguards a: {told}>"
    assert guards.told() == told
    assert states.troubled() == [f"a: {told}"]
    assert repr(states) == "<HostStates 1 hosts>"


def test_a_host_at_rest_is_not_told_of() -> None:
    states = states_of()
    states.of("a", POLICY)

    assert states.troubled() == []


def test_a_child_keeps_tokens_and_circuit_and_none_of_the_calls_in_flight() -> None:
    states = states_of()
    guards = states.of("a", POLICY)
    used(guards)

    states._renew_in_child()  # noqa: SLF001 - what a fork calls

    assert guards.told() == "quota 486/500 tokens, breaker open for 5.0 s, 0/2 in flight"
    assert parts(states.of("a", POLICY)) == parts(guards)


def test_a_child_does_not_wait_for_its_parents_threads() -> None:
    states = states_of()
    inside, done = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def hold() -> None:
        with states._lock:  # noqa: SLF001 - as it is in a child when the parent's thread was there
            inside.set()
            in_time.append(done.wait(5))

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(5)
    states._renew_in_child()  # noqa: SLF001 - what a fork calls
    assert states.troubled() == []
    done.set()
    holder.join()

    assert in_time == [True]


def test_16_settings_of_each_kind_are_remembered_for_a_host() -> None:
    assert SETTINGS == 16
    states = states_of()
    first = states.of("a", POLICY).limiter
    for number in range(3 * SETTINGS - 3):
        states.of("a", replace(POLICY, limit=Limit(calls=100 + number)))

    # The quota and the breaker of each were the same.
    assert states.of("a", POLICY).limiter is first

    for number in range(3 * SETTINGS - 2):
        states.of("a", replace(POLICY, limit=Limit(calls=500 + number)))

    # One more than that: who was used last longest ago has to go.
    assert states.of("a", POLICY).limiter is not first


def test_settings_that_are_used_are_remembered_however_many_others_there_are() -> None:
    states = states_of()
    limiter = states.of("a", POLICY).limiter

    for number in range(200):
        states.of("a", replace(POLICY, limit=Limit(calls=100 + number)))
        assert states.of("a", POLICY).limiter is limiter


def test_by_default_ten_thousand_hosts_are_remembered() -> None:
    states = HostStates(clock=FakeClock(), random=lambda: 0.5)
    off = replace(POLICY, quota=None, breaker=None, limit=None)

    for number in range(MOST + 1):
        states.of(str(number), off)

    assert len(states) == MOST == 10_000
