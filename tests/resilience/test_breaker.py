"""The circuit breaker: when it opens, for how long, what closes it, and what it takes no notice of.

Rules:

1. Time and chance are given by the test.
2. A machine runs random interleavings against a model written as plainly as the rules are.
"""

from __future__ import annotations

import random as chances
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sleepwalker.exceptions import CircuitOpenError, ConfigurationError, RefusedError
from sleepwalker.resilience import breaker as module
from sleepwalker.resilience.breaker import CLOSED, HALF_OPEN, OPEN, STATES, CircuitBreaker
from sleepwalker.resilience.clock import SYSTEM
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.policy import Breaker, Policy
from tests.crew import Job, SteppedClock, at_once, wait_for
from tests.resilience.turns import at_point, interrupted, meanwhile

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.resilience.breaker import BreakerPermit

SUCCESS, REJECTED, THROTTLED = Result.SUCCESS, Result.REJECTED, Result.THROTTLED
FAILURE, TIMEOUT, UNKNOWN = Result.FAILURE, Result.TIMEOUT, Result.UNKNOWN
REFUSED = "refused"


class Watched(SteppedClock):
    """A clock at whose next look something happens."""

    at_look: Callable[[], object] | None = None

    def monotonic(self) -> float:
        """Seconds."""
        act, self.at_look = self.at_look, None
        if act is not None:
            act()
        return super().monotonic()


class Bench:
    """A breaker with a clock and a chance that the test moves."""

    def __init__(self, *, chance: float = 0.5, now: float = 1000.0, **options: Any) -> None:
        """Begin closed; `chance` 0.5 opens it for exactly as long as it says."""
        self.clock, self.chance = Watched(now), chance
        self.breaker = CircuitBreaker(
            Breaker(**options), clock=self.clock, random=lambda: self.chance, name="api.example"
        )

    def begin(self) -> BreakerPermit:
        """Let a call through, or raise."""
        permit = self.breaker.permit()
        permit.acquire()
        return permit

    def call(self, *results: Result) -> str | None:
        """Make calls that end so; give what the last has changed, or that it was refused."""
        changed: str | None = None
        for result in results:
            try:
                permit = self.begin()
            except CircuitOpenError:
                changed = REFUSED
            else:
                permit.end(result)
                changed = permit.changed
        return changed

    def opened(self) -> Bench:
        """Let it open."""
        settings = self.breaker._settings  # noqa: SLF001 - the test gave them
        assert self.call(*[FAILURE] * settings.calls) == OPEN
        return self

    def half_opened(self) -> Bench:
        """Let it open, and its time be over."""
        self.opened()
        self.clock.now += self.breaker.remaining()
        return self

    @property
    def state(self) -> str:
        """What the breaker is."""
        return self.breaker.state


# Closed


def test_a_new_breaker_is_closed_and_lets_all_through() -> None:
    bench = Bench()

    assert (bench.state, bench.breaker.remaining()) == (CLOSED, 0.0)
    assert bench.begin().generation == 0
    assert len([bench.begin() for _ in range(100)]) == 100
    assert STATES == ("closed", "half-open", "open")


def test_twenty_failures_open_it_and_nineteen_do_not() -> None:
    bench = Bench()

    assert bench.call(*[FAILURE] * 19) is None
    assert bench.state == CLOSED
    assert bench.call(FAILURE) == OPEN
    assert bench.state == OPEN


@pytest.mark.parametrize(
    ("successes", "failures", "state"),
    [(10, 10, OPEN), (11, 10, CLOSED), (9, 11, OPEN), (99, 99, OPEN), (100, 99, CLOSED)],
)
def test_it_opens_when_half_of_the_calls_have_failed(
    successes: int, failures: int, state: str
) -> None:
    bench = Bench(calls=successes + failures)

    bench.call(*[SUCCESS] * successes, *[FAILURE] * failures)

    assert bench.state == state


@pytest.mark.parametrize(
    ("ratio", "results", "state"),
    [
        (1.0, [FAILURE] * 4, OPEN),
        (1.0, [SUCCESS, FAILURE, FAILURE, FAILURE], CLOSED),
        (0.25, [SUCCESS, SUCCESS, SUCCESS, FAILURE], OPEN),
        (0.26, [SUCCESS, SUCCESS, SUCCESS, FAILURE], CLOSED),
    ],
)
def test_the_ratio_is_a_setting(ratio: float, results: list[Result], state: str) -> None:
    bench = Bench(calls=4, failure_ratio=ratio)

    bench.call(*results)

    assert bench.state == state


def test_only_the_end_of_a_call_that_failed_or_succeeded_opens_it() -> None:
    bench = Bench(calls=2)

    assert bench.call(FAILURE, REJECTED, THROTTLED, UNKNOWN) is None
    assert bench.call(SUCCESS) == OPEN


@pytest.mark.parametrize("result", [FAILURE, TIMEOUT])
def test_failures_and_timeouts_count_as_failed(result: Result) -> None:
    assert Bench(calls=3).call(*[result] * 3) == OPEN


@pytest.mark.parametrize("result", [REJECTED, THROTTLED, UNKNOWN])
def test_what_says_nothing_of_the_host_is_not_counted(result: Result) -> None:
    bench = Bench(calls=2)

    bench.call(*[result] * 50, FAILURE, *[result] * 50)

    assert bench.state == CLOSED
    assert bench.call(FAILURE) == OPEN


# The window


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        # A slice is a tenth of the window: a call counts in its own and the nine that follow.
        (1000.0, 1009.99, OPEN),
        (1000.0, 1010.0, CLOSED),
        (1000.99, 1009.99, OPEN),
        (1001.0, 1010.5, OPEN),
        (1000.99, 1010.0, CLOSED),
        (1000.99, 1010.99, CLOSED),
        (1000.0, 1019.5, CLOSED),
        (1000.0, 9000.0, CLOSED),
    ],
)
def test_a_call_counts_for_the_time_of_the_window(first: float, second: float, state: str) -> None:
    bench = Bench(calls=2, window=10.0)

    bench.clock.now = first
    bench.call(FAILURE)
    bench.clock.now = second
    bench.call(FAILURE)

    assert bench.state == state


@pytest.mark.parametrize(("window", "later", "state"), [(2.0, 1.9, OPEN), (2.0, 2.0, CLOSED)])
def test_the_window_is_a_setting(window: float, later: float, state: str) -> None:
    bench = Bench(calls=2, window=window)

    bench.call(FAILURE)
    bench.clock.now += later
    bench.call(FAILURE)

    assert bench.state == state


def test_successes_are_forgotten_with_the_failures_of_their_time() -> None:
    bench = Bench(calls=4, window=10.0)
    bench.call(*[SUCCESS] * 50, FAILURE)
    bench.clock.now += 5.0
    bench.call(*[FAILURE] * 3)
    assert bench.state == CLOSED

    bench.clock.now += 5.0

    assert bench.call(FAILURE) == OPEN


def test_what_fails_at_a_steady_low_rate_never_opens_it() -> None:
    bench = Bench(calls=20, window=10.0)

    for _ in range(1000):
        bench.call(FAILURE)
        bench.clock.now += 0.6

    assert bench.state == CLOSED


def test_what_fails_at_a_steady_high_rate_opens_it() -> None:
    bench = Bench(calls=20, window=10.0)

    results = []
    for _ in range(20):
        results.append(bench.call(FAILURE))
        bench.clock.now += 0.5

    assert results == [*[None] * 19, OPEN]


# Open


def test_open_it_refuses_and_says_for_how_long() -> None:
    bench = Bench(open_for=5.0).opened()
    bench.clock.now += 1.5

    with pytest.raises(CircuitOpenError) as refused:
        bench.begin()

    assert refused.value.retry_after == 3.5
    assert isinstance(refused.value, RefusedError)
    assert refused.value.message == (
        "api.example fails too often: its circuit is open for 3.5 s yet (Policy(breaker=...))"
    )


@pytest.mark.parametrize(
    ("chance", "seconds"), [(0.0, 4.0), (0.25, 4.5), (0.5, 5.0), (0.75, 5.5), (1.0, 6.0)]
)
def test_it_is_open_for_its_time_give_or_take_a_fifth(chance: float, seconds: float) -> None:
    bench = Bench(chance=chance, open_for=5.0).opened()

    assert bench.breaker.remaining() == pytest.approx(seconds)
    bench.clock.now += seconds - 0.01
    assert (bench.state, bench.call(SUCCESS)) == (OPEN, REFUSED)
    bench.clock.now += 0.01 + 1e-9
    assert (bench.state, bench.breaker.remaining()) == (HALF_OPEN, 0.0)
    assert bench.call(SUCCESS) == CLOSED


def test_the_last_moment_is_not_open_any_more() -> None:
    bench = Bench(open_for=5.0).opened()

    bench.clock.now += 5.0

    assert bench.state == HALF_OPEN
    assert bench.call(SUCCESS) == CLOSED


def test_clients_that_were_opened_at_once_probe_at_times_spread_evenly() -> None:
    chance = chances.Random(7)  # noqa: S311 - seeded, so that the counts are the same each time
    times = []
    for _ in range(2000):
        bench = Bench(calls=1, open_for=10.0, chance=chance.random()).opened()
        times.append(bench.breaker.remaining())

    assert 8.0 <= min(times) < 8.02
    assert 11.98 < max(times) <= 12.0
    quarters = Counter(int(time - 8.0) for time in times)
    # Four standard deviations of a fair quarter of 2,000.
    assert all(422 <= quarters[each] <= 578 for each in range(4)), quarters


def test_refusals_are_not_counted_and_do_not_lengthen_it() -> None:
    bench = Bench(open_for=5.0).opened()
    bench.clock.now += 4.0

    assert bench.call(*[FAILURE] * 50) == REFUSED

    assert bench.breaker.remaining() == 1.0


@pytest.mark.parametrize("result", Result)
def test_ending_what_was_refused_changes_nothing(result: Result) -> None:
    bench = Bench(calls=1).half_opened()
    probe, refused = bench.begin(), bench.breaker.permit()
    with pytest.raises(CircuitOpenError):
        refused.acquire()

    refused.end(result)

    assert (bench.state, refused.changed) == (HALF_OPEN, None)
    probe.end(SUCCESS)
    assert bench.state == CLOSED


@pytest.mark.parametrize("result", Result)
def test_ending_what_was_refused_while_it_is_open_changes_nothing(result: Result) -> None:
    bench = Bench(calls=1, open_for=5.0).opened()
    refused = bench.breaker.permit()
    with pytest.raises(CircuitOpenError):
        refused.acquire()
    bench.clock.now += 1.0

    refused.end(result)

    assert (bench.state, bench.breaker.remaining(), refused.changed) == (OPEN, 4.0, None)


# Half-open


def test_the_first_call_after_its_time_is_a_probe_and_the_others_are_refused() -> None:
    bench = Bench().half_opened()

    probe = bench.begin()

    assert (probe.probe, probe.changed) == (True, HALF_OPEN)
    with pytest.raises(CircuitOpenError) as refused:
        bench.begin()
    assert refused.value.retry_after is None
    assert refused.value.message == (
        "api.example fails too often: its circuit is open until a call that probes it has ended "
        "(Policy(breaker=...))"
    )


@pytest.mark.parametrize("result", [SUCCESS, REJECTED, THROTTLED])
def test_a_probe_that_is_answered_closes_it(result: Result) -> None:
    bench = Bench().half_opened()

    assert bench.call(result) == CLOSED
    assert (bench.state, repr(bench.breaker)) == (CLOSED, "<CircuitBreaker closed>")


@pytest.mark.parametrize("result", [FAILURE, TIMEOUT])
def test_a_probe_that_fails_opens_it_again_for_its_whole_time(result: Result) -> None:
    bench = Bench(open_for=5.0).half_opened()

    assert bench.call(result) == OPEN
    assert (bench.state, bench.breaker.remaining()) == (OPEN, 5.0)


def test_a_probe_that_shows_nothing_makes_room_for_another() -> None:
    bench = Bench().half_opened()

    assert bench.call(UNKNOWN) == HALF_OPEN
    assert bench.state == HALF_OPEN
    assert bench.call(SUCCESS) == CLOSED


def test_it_closes_when_as_many_probes_as_it_wants_have_succeeded() -> None:
    bench = Bench(probes=3).half_opened()

    assert bench.call(SUCCESS) == HALF_OPEN
    assert bench.call(UNKNOWN) is None
    assert bench.call(REJECTED) is None
    assert bench.state == HALF_OPEN
    assert bench.call(SUCCESS) == CLOSED


def test_as_many_probes_as_are_still_wanted_are_under_way_at_once() -> None:
    bench = Bench(probes=3).half_opened()
    first, second, third = [bench.begin() for _ in range(3)]
    assert bench.call(SUCCESS) == REFUSED

    first.end(SUCCESS)
    assert bench.call(SUCCESS) == REFUSED
    second.end(UNKNOWN)
    fourth = bench.begin()
    assert bench.call(SUCCESS) == REFUSED
    fourth.end(SUCCESS)
    third.end(SUCCESS)

    assert bench.state == CLOSED


def test_one_of_several_probes_that_fails_opens_it_and_the_others_are_not_heard() -> None:
    bench = Bench(probes=3).half_opened()
    first, second, third = [bench.begin() for _ in range(3)]

    first.end(SUCCESS)
    second.end(FAILURE)
    third.end(SUCCESS)

    assert (second.changed, third.changed, bench.state) == (OPEN, None, OPEN)


def test_successes_of_an_earlier_probing_do_not_count_in_a_later() -> None:
    bench = Bench(probes=2).half_opened()
    bench.call(SUCCESS, FAILURE)
    bench.clock.now += 5.0

    assert bench.call(SUCCESS) == HALF_OPEN
    assert bench.call(SUCCESS) == CLOSED


def test_a_probe_that_does_not_end_is_waited_for_as_long_as_it_would_be_open() -> None:
    bench = Bench(open_for=5.0).half_opened()
    stuck = bench.begin()
    bench.clock.now += 4.99
    assert bench.call(SUCCESS) == REFUSED

    bench.clock.now += 0.01
    other = bench.begin()

    assert bench.call(SUCCESS) == REFUSED
    other.end(SUCCESS)
    assert bench.state == CLOSED
    stuck.end(FAILURE)
    assert bench.state == CLOSED


def test_a_second_probe_that_does_not_end_is_not_waited_for_either() -> None:
    bench = Bench(open_for=5.0).half_opened()

    for _ in range(4):
        bench.begin()
        assert bench.call(SUCCESS) == REFUSED
        bench.clock.now += 5.0

    assert bench.call(SUCCESS) == CLOSED


@pytest.mark.parametrize(("result", "state"), [(SUCCESS, CLOSED), (FAILURE, OPEN)])
def test_a_stuck_probe_is_heard_though_another_goes_meanwhile(result: Result, state: str) -> None:
    bench = Bench(open_for=5.0).half_opened()
    stuck = bench.begin()
    bench.clock.now += 5.0
    other = bench.begin()

    stuck.end(result)

    assert (bench.state, stuck.changed, other.changed) == (state, state, None)


def test_after_a_stuck_probe_only_one_other_goes_at_a_time() -> None:
    bench = Bench(open_for=5.0).half_opened()
    stuck = bench.begin()
    bench.clock.now += 5.0
    bench.begin()

    stuck.end(UNKNOWN)

    assert bench.call(SUCCESS) == REFUSED


@pytest.mark.parametrize(("result", "state"), [(SUCCESS, CLOSED), (FAILURE, OPEN)])
def test_a_probe_that_ends_late_is_heard_all_the_same(result: Result, state: str) -> None:
    bench = Bench(open_for=5.0).half_opened()
    stuck = bench.begin()
    bench.clock.now += 60.0

    stuck.end(result)

    assert bench.state == state


# What is from before it changed


@pytest.mark.parametrize("result", Result)
def test_calls_from_before_it_opened_do_not_judge_what_it_is_now(result: Result) -> None:
    bench = Bench(open_for=5.0)
    late = [bench.begin() for _ in range(40)]
    bench.opened()

    for permit in late[:20]:
        permit.end(result)
    assert (bench.state, bench.breaker.remaining()) == (OPEN, 5.0)
    bench.clock.now += 5.0
    for permit in late[20:30]:
        permit.end(result)
    assert bench.state == HALF_OPEN
    assert bench.call(SUCCESS) == CLOSED
    for permit in late[30:]:
        permit.end(result)

    assert bench.state == CLOSED
    assert {permit.changed for permit in late} == {None}


def test_what_failed_before_it_opened_is_forgotten_when_it_closes() -> None:
    bench = Bench(calls=2, window=1000.0).half_opened()
    assert bench.call(SUCCESS) == CLOSED

    assert bench.call(SUCCESS, SUCCESS, SUCCESS) is None
    assert bench.call(FAILURE, FAILURE) is None
    assert bench.call(FAILURE) == OPEN


def test_a_breaker_of_the_first_seconds_of_a_clock_has_counted_nothing_yet() -> None:
    assert Bench(now=0.0, calls=2).call(SUCCESS, SUCCESS) is None
    assert Bench(now=0.0, calls=2).call(FAILURE) is None
    assert Bench(now=0.0, calls=2).call(FAILURE, FAILURE) == OPEN


# Permits


@pytest.mark.parametrize("result", Result)
def test_ending_what_was_never_acquired_changes_nothing(result: Result) -> None:
    bench = Bench(calls=1)

    for _ in range(3):
        bench.breaker.permit().end(result)
        assert bench.state == CLOSED
        bench.breaker.renew()


def test_ending_twice_counts_once() -> None:
    bench = Bench(calls=2)
    permit = bench.begin()

    permit.end(FAILURE)
    permit.end(FAILURE)

    assert bench.state == CLOSED
    assert bench.call(FAILURE) == OPEN


def test_what_has_ended_is_not_counted_in_a_child_either() -> None:
    bench = Bench(calls=2)
    permit = bench.begin()
    permit.end(FAILURE)
    bench.breaker.renew()

    permit.end(FAILURE)

    assert bench.state == CLOSED
    assert bench.call(FAILURE) == OPEN


def test_a_probe_that_ends_twice_is_one_probe() -> None:
    bench = Bench(probes=2).half_opened()
    probe = bench.begin()

    probe.end(SUCCESS)
    probe.end(SUCCESS)

    assert bench.state == HALF_OPEN
    # And made room once: one more is wanted, not two.
    bench.begin()
    assert bench.call(SUCCESS) == REFUSED


def test_patience_is_nothing_to_a_breaker() -> None:
    bench = Bench().opened()

    with pytest.raises(CircuitOpenError):
        bench.breaker.permit().acquire(60.0)

    assert bench.clock.slept == []


def test_a_breaker_says_what_it_is_and_for_how_long() -> None:
    bench = Bench(open_for=5.0)
    shown = [repr(bench.breaker)]
    bench.opened()
    bench.clock.now += 0.75
    shown.append(repr(bench.breaker))
    bench.clock.now += 5.0
    shown.append(repr(bench.breaker))

    assert shown == [
        "<CircuitBreaker closed>",
        "<CircuitBreaker open for 4.2 s>",
        "<CircuitBreaker half-open>",
    ]


def test_a_breaker_that_is_told_nothing_else_uses_the_systems_clock_and_names_no_host() -> None:
    clock = SteppedClock()
    with SYSTEM.installed(clock):
        breaker = CircuitBreaker(Breaker(calls=1, open_for=10.0))
        permit = breaker.permit()
        permit.acquire()
        permit.end(FAILURE)

        assert 8.0 <= breaker.remaining() <= 12.0
        with pytest.raises(CircuitOpenError, match=r"^the host fails too often"):
            breaker.permit().acquire()
        clock.now += 12.0
        assert breaker.state == HALF_OPEN


# Threads, interrupts, children


def test_sixty_four_threads_that_fail_open_it_once() -> None:
    bench = Bench(calls=64 * 20)

    def work() -> list[str | None]:
        return [bench.call(FAILURE) for _ in range(20)]

    changes = Counter(each for job in at_once([work] * 64) for each in job.result())

    assert changes == {None: 64 * 20 - 1, OPEN: 1}
    assert bench.state == OPEN


def test_of_sixty_four_threads_that_come_after_its_time_as_many_probe_as_are_wanted() -> None:
    bench = Bench(probes=3).half_opened()

    def work() -> BreakerPermit | None:
        try:
            return bench.begin()
        except CircuitOpenError:
            return None

    permits = [job.result() for job in at_once([work] * 64)]
    probes = [permit for permit in permits if permit is not None]
    assert len(probes) == 3
    assert Counter(permit.changed for permit in probes) == {HALF_OPEN: 1, None: 2}
    for permit in probes:
        permit.end(SUCCESS)

    assert bench.state == CLOSED


def test_two_threads_that_probe_at_once_are_both_counted() -> None:
    point = 0
    while True:
        bench = Bench(probes=2).half_opened()
        one, other = bench.breaker.permit(), bench.breaker.permit()
        if not meanwhile(point, other.acquire, one.acquire, module):
            break
        assert Counter([one.changed, other.changed]) == {HALF_OPEN: 1, None: 1}, point
        assert bench.call(SUCCESS) == REFUSED, point
        point += 1
    assert point > 5


def test_two_threads_that_end_at_once_are_both_counted() -> None:
    point = 0
    while True:
        bench = Bench(calls=3)
        one, other = bench.begin(), bench.begin()
        if not meanwhile(
            point,
            lambda permit=other: permit.end(FAILURE),  # type: ignore[misc]
            lambda permit=one: permit.end(FAILURE),  # type: ignore[misc]
            module,
        ):
            break
        assert bench.call(FAILURE) == OPEN, point
        point += 1
    assert point > 5


def test_a_call_that_begins_as_it_opens_is_from_before_or_refused() -> None:
    point, seen = 0, Counter[str]()
    while True:
        bench = Bench(calls=1, open_for=5.0)
        failing, permit, outcome = bench.begin(), bench.breaker.permit(), "from before"

        def begin(permit: BreakerPermit = permit) -> None:
            nonlocal outcome
            try:
                permit.acquire()
            except CircuitOpenError:
                outcome = REFUSED

        def fail(permit: BreakerPermit = failing) -> None:
            permit.end(FAILURE)

        if not at_point(point, fail, begin, module, anywhere=True):
            break
        permit.end(FAILURE)
        permit.end(SUCCESS)
        assert (bench.state, bench.breaker.remaining(), permit.changed) == (OPEN, 5.0, None), point
        seen[outcome] += 1
        point += 1
    assert seen.keys() == {"from before", REFUSED}


@pytest.mark.parametrize(("result", "state"), [(SUCCESS, CLOSED), (FAILURE, OPEN)])
def test_a_call_that_begins_as_it_closes_is_a_call_like_any(result: Result, state: str) -> None:
    bench = Bench(calls=1).half_opened()
    probe, permit = bench.begin(), bench.breaker.permit()
    # As a signal handler might come in the middle of it.
    bench.clock.at_look = lambda: probe.end(SUCCESS)
    permit.acquire()
    assert (bench.state, permit.probe, permit.changed) == (CLOSED, False, None)
    permit.end(result)

    assert bench.state == state


@pytest.mark.parametrize("probing", [False, True])
def test_an_interrupt_at_any_point_of_a_call_stops_no_probe(*, probing: bool) -> None:
    point = 0
    while True:
        bench = Bench(calls=100)
        if probing:
            bench = Bench().half_opened()
        permit = bench.breaker.permit()

        def call(permit: BreakerPermit = permit) -> None:
            try:
                permit.acquire()
            finally:
                permit.end(UNKNOWN)

        came = interrupted(point, call, module)
        permit.end(UNKNOWN)
        # Room for a probe, or still closed.
        assert bench.begin().probe is probing, point
        if not came:
            break
        point += 1
    assert point > (10 if probing else 3)


@pytest.mark.parametrize("what", ["acquire", "end"])
def test_a_decision_waits_for_the_one_that_another_thread_is_in(what: str) -> None:
    bench = Bench(probes=2).half_opened()
    probe, other = bench.begin(), bench.breaker.permit()
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with bench.breaker._lock:  # noqa: SLF001 - a section that lasts as long as a test wants
            inside.set()
            wait_for(leave)

    holder = Job(hold)
    wait_for(inside)
    acting = Job(other.acquire if what == "acquire" else lambda: probe.end(FAILURE))
    with pytest.raises(AssertionError, match="not finished"):
        acting.wait(0.05)
    before = other.probe, bench.state
    leave.set()
    holder.result()
    acting.result()

    assert before == (False, HALF_OPEN)
    assert (other.probe, bench.state) == ((True, HALF_OPEN) if what == "acquire" else (False, OPEN))


def test_a_closed_breaker_takes_no_lock_to_let_a_call_through() -> None:
    bench = Bench()

    with bench.breaker._lock:  # noqa: SLF001 - that others may hold
        permit = Job(bench.begin).result()

    assert permit.generation == 0


def test_a_child_is_what_its_parent_was_and_waits_for_no_probe_of_its() -> None:
    bench = Bench(probes=2).half_opened()
    bench.call(SUCCESS)
    bench.begin()
    assert bench.call(SUCCESS) == REFUSED

    bench.breaker.renew()

    assert bench.state == HALF_OPEN
    assert bench.call(SUCCESS) == CLOSED


@pytest.mark.parametrize("result", Result)
def test_the_probe_that_forked_ends_in_the_child_too_and_makes_no_room_there(
    result: Result,
) -> None:
    bench = Bench().half_opened()
    forking = bench.begin()
    bench.breaker.renew()
    bench.begin()

    forking.end(result)

    assert (bench.state, forking.changed) == (HALF_OPEN, HALF_OPEN)
    assert bench.call(SUCCESS) == REFUSED


def test_a_child_does_not_wait_for_its_parents_threads() -> None:
    bench = Bench(calls=1)
    permit = bench.begin()
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with bench.breaker._lock:  # noqa: SLF001 - as it is in a child when the parent's thread was there
            inside.set()
            wait_for(leave)

    holder = Job(hold)
    wait_for(inside)
    bench.breaker.renew()
    changed = Job(lambda: bench.call(FAILURE)).result()
    leave.set()
    holder.result()

    assert changed == OPEN
    permit.end(SUCCESS)
    assert bench.state == OPEN


# The laws


class Judged:
    """A call of the model, beside its permit."""

    def __init__(self, permit: BreakerPermit, era: int, *, probe: bool) -> None:
        """Keep what it was let through as."""
        self.permit, self.era, self.probe = permit, era, probe


class Breaking(RuleBasedStateMachine):
    """A breaker beside a model of it, in which every call that counts stands in a list."""

    OPEN_FOR = {0.0: 4.0, 0.25: 4.5, 0.5: 5.0, 0.75: 5.5, 1.0: 6.0}  # noqa: RUF012 - a table
    """How long it is open, by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.era, self.until = CLOSED, 0, 0.0
        self.counted: list[tuple[int, bool]] = []
        """The second of each call that counts, and whether it failed."""
        self.probing: list[Judged] = []
        self.succeeded = 0
        self.under_way: list[Judged] = []
        self.ended: list[Judged] = []

    @initialize(
        calls=st.integers(1, 6),
        ratio=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
        probes=st.integers(1, 3),
    )
    def begin(self, calls: int, ratio: float, probes: int) -> None:
        self.calls, self.ratio, self.probes = calls, ratio, probes
        self.bench = Bench(
            calls=calls, failure_ratio=ratio, probes=probes, window=10.0, open_for=5.0
        )

    @property
    def now(self) -> float:
        return self.bench.clock.now

    def become(self, state: str) -> None:
        self.state, self.era = state, self.era + 1
        self.counted, self.probing, self.succeeded = [], [], 0

    def open(self) -> None:
        self.become(OPEN)
        self.until = self.now + self.OPEN_FOR[self.bench.chance]

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 1.25, 4.0, 5.0, 9.75, 10.0, 25.0]))
    def wait(self, seconds: float) -> None:
        self.bench.clock.now += seconds

    @rule(chance=st.sampled_from(sorted(OPEN_FOR)))
    def luck(self, chance: float) -> None:
        self.bench.chance = chance

    @rule()
    def acquire(self) -> None:
        permit, changed = self.bench.breaker.permit(), None
        if self.state == OPEN and self.now >= self.until:
            self.become(HALF_OPEN)
            changed = HALF_OPEN
        if self.state == CLOSED:
            permit.acquire()
            self.under_way.append(Judged(permit, self.era, probe=False))
        elif self.state == HALF_OPEN and (
            len(self.probing) + self.succeeded < self.probes or self.now >= self.until
        ):
            permit.acquire()
            self.until = self.now + 5.0
            self.under_way.append(Judged(permit, self.era, probe=True))
            self.probing.append(self.under_way[-1])
        else:
            with pytest.raises(CircuitOpenError) as refused:
                permit.acquire()
            left = self.until - self.now if self.state == OPEN else None
            assert refused.value.retry_after == (left and pytest.approx(left))
        assert permit.changed == changed

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), result=st.sampled_from(Result))
    def end(self, data: st.DataObject, result: Result) -> None:
        call = data.draw(st.sampled_from(self.under_way))
        was = call.permit.changed
        self.under_way.remove(call)
        self.ended.append(call)
        call.permit.end(result)
        before = self.state
        if call.era == self.era:
            self.learn(call, result)
        assert call.permit.changed == (self.state if self.state != before else was)

    def learn(self, call: Judged, result: Result) -> None:
        failed = result in {FAILURE, TIMEOUT}
        if call.probe:
            self.probing.remove(call)
            if failed:
                self.open()
            elif result is not UNKNOWN:
                self.succeeded += 1
                if self.succeeded == self.probes:
                    self.become(CLOSED)
        elif failed or result is SUCCESS:
            second = int(self.now)
            self.counted.append((second, failed))
            recent = [each for then, each in self.counted if second - then < 10]
            if len(recent) >= self.calls and sum(recent) / len(recent) >= self.ratio:
                self.open()

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), result=st.sampled_from(Result))
    def end_again(self, data: st.DataObject, result: Result) -> None:
        data.draw(st.sampled_from(self.ended)).permit.end(result)

    @rule(result=st.sampled_from(Result))
    def end_what_was_never_acquired(self, result: Result) -> None:
        self.bench.breaker.permit().end(result)

    @rule()
    def fork(self) -> None:
        self.bench.breaker.renew()
        self.era += 1
        self.probing = []

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        over = self.state == OPEN and self.now >= self.until
        left = self.until - self.now if self.state == OPEN and not over else 0.0
        assert self.bench.state == (HALF_OPEN if over else self.state)
        assert self.bench.breaker.remaining() == pytest.approx(left)


TestBreaking = Breaking.TestCase
TestBreaking.settings = settings(max_examples=60, stateful_step_count=40)


@given(st.lists(st.sampled_from([FAILURE, TIMEOUT]), min_size=1, max_size=60), st.integers(1, 40))
def test_in_a_total_outage_no_more_calls_go_than_it_takes_to_open(
    results: list[Result], calls: int
) -> None:
    bench = Bench(calls=calls)

    outcomes = [bench.call(result) for result in results]

    assert sum(each != REFUSED for each in outcomes) == min(len(results), calls)


@pytest.mark.parametrize("settings", [None, 5, "adaptive", Policy()])
def test_it_says_what_it_is_made_with(settings: Any) -> None:
    told = f"^a CircuitBreaker is made with a Breaker, not {type(settings).__name__}$"
    with pytest.raises(ConfigurationError, match=told):
        CircuitBreaker(settings)


def test_a_permit_knows_that_the_breaker_has_changed_and_another_is_asked_anew() -> None:
    breaker = CircuitBreaker(Breaker(calls=1))
    first, second = breaker.permit(), breaker.permit()
    first.acquire()
    second.acquire()
    assert not second.is_outdated

    first.end(Result.FAILURE)

    assert second.is_outdated
    again = second.renewed()
    with pytest.raises(CircuitOpenError):
        again.acquire()
