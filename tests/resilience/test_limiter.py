"""The concurrency limiter: never more in flight than may be, first come first served, nothing lost.

Rules:

1. Most tests ask for a place without waiting (`request`), so that no thread is needed.
2. A machine runs random interleavings against a model in which a limiter is two lists.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sleepwalker.exceptions import ConcurrencyLimitError, ConfigurationError, RefusedError
from sleepwalker.resilience import limiter as module
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.limiter import ConcurrencyLimiter, LimiterPermit
from sleepwalker.resilience.policy import AdaptiveLimit, Limit, Policy
from tests.crew import PATIENCE, Job, at_once, until, wait_for
from tests.resilience.turns import at_point, interrupted, meanwhile

if TYPE_CHECKING:
    from collections.abc import Callable

SUCCESS = Result.SUCCESS


def limited(calls: int) -> ConcurrencyLimiter:
    """Make a fixed limiter."""
    return ConcurrencyLimiter(Limit(calls=calls))


def adaptive(**options: Any) -> ConcurrencyLimiter:
    """Make one that finds its size."""
    return ConcurrencyLimiter(AdaptiveLimit(**options))


class Caller:
    """One call that asks for a place and doesn't wait for it."""

    def __init__(self, limiter: ConcurrencyLimiter) -> None:
        """Ask."""
        self.woken = 0
        self.permit = limiter.permit()
        self.through = self.permit.request(self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def end(self, result: Result = SUCCESS) -> None:
        """End."""
        self.permit.end(result)

    @property
    def state(self) -> str:
        """Say where it is, as far as it was told."""
        if self.through:
            return "at once" if not self.woken else "told twice"
        return {0: "waits", 1: "woken"}.get(self.woken, "told twice")


def callers(limiter: ConcurrencyLimiter, number: int) -> list[Caller]:
    """Make so many calls that ask, one behind the other."""
    return [Caller(limiter) for _ in range(number)]


def states(calls: list[Caller]) -> list[str]:
    """Say where they are."""
    return [call.state for call in calls]


def counted(limiter: ConcurrencyLimiter) -> tuple[int, int, int]:
    """Give how many are in flight, of how many, and how many wait."""
    return limiter.in_flight, limiter.limit, limiter.waiting


# A fixed limit


def test_as_many_as_the_limit_are_let_through_at_once() -> None:
    limiter = limited(2)

    assert states(callers(limiter, 3)) == ["at once", "at once", "waits"]
    assert counted(limiter) == (2, 2, 1)


def test_a_place_that_becomes_free_goes_to_who_came_first() -> None:
    limiter = limited(1)
    first, second, third = callers(limiter, 3)

    first.end()
    assert states([second, third]) == ["woken", "waits"]
    second.end()
    assert states([second, third]) == ["woken", "woken"]
    third.end()

    assert counted(limiter) == (0, 1, 0)


def test_who_comes_while_others_wait_goes_behind_them() -> None:
    limiter = limited(1)
    first, second = callers(limiter, 2)
    first.end()

    late = Caller(limiter)

    assert states([second, late]) == ["woken", "waits"]


def test_who_gives_up_leaves_the_queue_and_takes_no_place() -> None:
    limiter = limited(1)
    first, second, third = callers(limiter, 3)

    second.end(Result.UNKNOWN)
    assert counted(limiter) == (1, 1, 1)
    first.end()

    assert states([second, third]) == ["waits", "woken"]
    assert counted(limiter) == (1, 1, 0)


def test_who_was_handed_a_place_and_does_not_want_it_hands_it_on() -> None:
    limiter = limited(1)
    first, second, third = callers(limiter, 3)
    first.end()

    second.end(Result.UNKNOWN)

    assert states([third]) == ["woken"]
    assert counted(limiter) == (1, 1, 0)


@pytest.mark.parametrize("times", [2, 3])
def test_ending_twice_frees_one_place(times: int) -> None:
    limiter = limited(2)
    first, _ = callers(limiter, 2)

    for _ in range(times):
        first.end()

    assert counted(limiter) == (1, 2, 0)


def test_ending_what_was_never_acquired_changes_nothing() -> None:
    limiter = limited(2)
    Caller(limiter)

    limiter.permit().end(SUCCESS)

    assert counted(limiter) == (1, 2, 0)


def test_a_permit_says_whether_it_has_a_place() -> None:
    limiter = limited(1)
    fresh, (first, second) = limiter.permit(), callers(limiter, 2)

    assert (fresh.held, first.permit.held, second.permit.held) == (False, True, False)
    first.end()
    assert (first.permit.held, second.permit.held) == (False, True)


@pytest.mark.parametrize("result", Result)
def test_a_fixed_limit_stays_whatever_calls_come_to(result: Result) -> None:
    limiter = limited(3)

    for call in callers(limiter, 3):
        call.end(result)

    assert counted(limiter) == (0, 3, 0)


def test_a_limiter_says_what_is_in_flight_and_who_waits() -> None:
    limiter = limited(2)
    assert repr(limiter) == "<ConcurrencyLimiter 0/2 in flight>"

    callers(limiter, 5)

    assert repr(limiter) == "<ConcurrencyLimiter 2/2 in flight, 3 waiting>"


# Waiting


def test_who_is_let_through_at_once_does_not_wait() -> None:
    limiter = limited(1)

    limiter.permit().acquire()

    assert counted(limiter) == (1, 1, 0)


@pytest.mark.parametrize("patience", [0.0, -1.0, 0.0123])
def test_who_has_no_patience_is_refused_and_leaves_nothing_behind(patience: float) -> None:
    limiter = ConcurrencyLimiter(Limit(calls=2), name="api.example")
    callers(limiter, 2)
    permit = limiter.permit()

    with pytest.raises(ConcurrencyLimitError) as refused:
        permit.acquire(patience)

    assert refused.value.message == (
        "2 calls to api.example are in flight, and this one's turn did not come within "
        f"{patience:g} s "
        "(Policy(limit=...))"
    )
    assert isinstance(refused.value, RefusedError)
    assert refused.value.retry_after is None
    assert counted(limiter) == (2, 2, 0)
    permit.end(Result.UNKNOWN)
    assert counted(limiter) == (2, 2, 0)


def test_who_says_nothing_of_patience_has_none() -> None:
    limiter = limited(1)
    Caller(limiter)

    with pytest.raises(ConcurrencyLimitError, match=r"calls to the host are.* within 0 s"):
        limiter.permit().acquire()


@pytest.mark.parametrize("patience", [PATIENCE, 1e300])
def test_who_waits_goes_on_when_a_place_is_handed_over(patience: float) -> None:
    limiter = limited(1)
    first = Caller(limiter)
    permit = limiter.permit()
    waiter = Job(lambda: permit.acquire(patience))
    until(lambda: limiter.waiting == 1)

    first.end()
    waiter.result()

    assert permit.held
    assert counted(limiter) == (1, 1, 0)


def test_no_lock_is_held_while_anybody_waits() -> None:
    limiter = limited(1)
    first = Caller(limiter)

    def call() -> None:
        permit = limiter.permit()
        try:
            permit.acquire(PATIENCE)
        finally:
            permit.end(SUCCESS)

    waiters = [Job(call) for _ in range(3)]
    until(lambda: limiter.waiting == 3)

    told = Job(lambda: (repr(limiter), Caller(limiter).state)).result()
    first.end()
    for waiter in waiters:
        waiter.result()

    assert told == ("<ConcurrencyLimiter 1/1 in flight, 3 waiting>", "waits")
    assert counted(limiter) == (1, 1, 0)


def test_who_is_woken_is_woken_outside_the_lock() -> None:
    limiter = limited(1)
    first, told = Caller(limiter), list[tuple[int, int, int]]()
    permit = limiter.permit()
    # Another thread can do what it wants with the limiter meanwhile.
    permit.request(lambda: told.append(Job(lambda: counted_with_one_more(limiter)).result()))

    first.end()

    assert told == [(1, 1, 1)]


def counted_with_one_more(limiter: ConcurrencyLimiter) -> tuple[int, int, int]:
    """Ask for a place, and count."""
    Caller(limiter)
    return counted(limiter)


def test_a_place_handed_over_at_the_last_moment_is_taken_or_given_back_never_lost() -> None:
    point, outcomes = 0, Counter[str]()
    while True:
        limiter = limited(1)
        first, permit, outcome = Caller(limiter), limiter.permit(), "taken"

        def wait(permit: LimiterPermit = permit) -> None:
            nonlocal outcome
            try:
                permit.acquire(0.0)
            except ConcurrencyLimitError:
                outcome = "refused"

        if not at_point(point, first.end, wait, module):
            break
        assert permit.held is (outcome == "taken"), point
        assert counted(limiter) == (int(permit.held), 1, 0), point
        permit.end(SUCCESS)
        assert counted(limiter) == (0, 1, 0), point
        outcomes[outcome] += 1
        point += 1
    # Before it asks, or in time: taken. When it has given up already: refused.
    assert outcomes.keys() == {"taken", "refused"}


def test_an_interrupt_at_any_point_of_acquiring_keeps_no_place() -> None:
    point = 0
    while True:
        limiter = limited(1)
        permit = limiter.permit()

        def call(permit: LimiterPermit = permit) -> None:
            try:
                permit.acquire()
            finally:
                permit.end(Result.UNKNOWN)

        came = interrupted(point, call, module)
        permit.end(Result.UNKNOWN)
        assert counted(limiter) == (0, 1, 0), point
        if not came:
            break
        point += 1
    assert point > 10


def test_an_interrupt_at_any_point_of_waiting_keeps_no_place_in_the_queue() -> None:
    point = 0
    while True:
        limiter = limited(1)
        first, permit = Caller(limiter), limiter.permit()

        def call(permit: LimiterPermit = permit) -> None:
            try:
                permit.acquire()
            except ConcurrencyLimitError:
                pass
            finally:
                permit.end(Result.UNKNOWN)

        came = interrupted(point, call, module)
        permit.end(Result.UNKNOWN)
        assert counted(limiter) == (1, 1, 0), point
        first.end()
        assert Caller(limiter).state == "at once", point
        if not came:
            break
        point += 1
    assert point > 10


def test_an_interrupt_at_any_point_of_ending_stops_nobody_for_ever() -> None:
    point = 0
    while True:
        limiter = limited(1)
        first, waiter = callers(limiter, 2)

        came = interrupted(point, first.end, module)
        first.end()
        late = Caller(limiter)

        # Whoever was interrupted may have told nobody; who asks or gives up next sees to it.
        assert waiter.permit.held, point
        assert counted(limiter) == (1, 1, 1), point
        waiter.end()
        assert late.state == "woken", point
        late.end()
        assert counted(limiter) == (0, 1, 0), point
        if not came:
            break
        point += 1
    assert point > 5


def test_who_asks_lets_those_in_whom_an_interrupt_has_kept_waiting() -> None:
    limiter = limited(2)
    first, second, third = callers(limiter, 3)
    limiter._limit = 1  # noqa: SLF001 - no room is found, as when it is not looked for
    first.end()
    limiter._limit = 3  # noqa: SLF001 - the same

    late, last = callers(limiter, 2)

    assert states([second, third, late, last]) == ["at once", "woken", "at once", "waits"]
    assert counted(limiter) == (3, 3, 1)


@pytest.mark.parametrize(("asks", "state"), [(True, (2, 2, 0)), (False, (1, 2, 0))])
def test_two_threads_at_once_are_both_counted(*, asks: bool, state: tuple[int, int, int]) -> None:
    point = 0
    while True:
        limiter = limited(2)
        earlier = Caller(limiter)
        other = (lambda e=limiter: Caller(e)) if asks else earlier.end
        if asks:
            earlier.end()
        if not meanwhile(point, other, lambda e=limiter: Caller(e), module):  # type: ignore[misc]
            break
        assert counted(limiter) == state, point
        point += 1
    assert point > 0


def test_two_threads_that_end_at_once_free_two_places() -> None:
    point = 0
    while True:
        limiter = limited(2)
        first, second, third, fourth = callers(limiter, 4)
        if not meanwhile(point, first.end, second.end, module):
            break
        assert states([third, fourth]) == ["woken", "woken"], point
        assert counted(limiter) == (2, 2, 0), point
        point += 1
    assert point > 0


def test_two_threads_that_end_at_once_teach_twice() -> None:
    point = 0
    while True:
        limiter = adaptive(start=20)
        first, second = callers(limiter, 2)
        came = meanwhile(
            point,
            lambda call=first: call.end(Result.TIMEOUT),  # type: ignore[misc]
            lambda call=second: call.end(Result.TIMEOUT),  # type: ignore[misc]
            module,
        )
        if not came:
            break
        assert counted(limiter) == (0, 16, 0), point
        point += 1
    assert point > 5


@pytest.mark.parametrize("what", ["ask", "give up", "end", "lose patience"])
def test_a_decision_waits_for_the_one_that_another_thread_is_in(what: str) -> None:
    limiter = limited(1)
    first, second = callers(limiter, 2)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with limiter._lock:  # noqa: SLF001 - a section that lasts as long as a test wants
            inside.set()
            wait_for(leave)

    acts: dict[str, Callable[[], object]] = {
        "ask": lambda: Caller(limiter),
        "give up": second.end,
        "end": first.end,
        # What is left to decide once the time is over.
        "lose patience": lambda: limiter._stays(second.permit),  # noqa: SLF001 - without the wait before
    }
    holder = Job(hold)
    wait_for(inside)
    acting = Job(acts[what])
    with pytest.raises(AssertionError, match="not finished"):
        acting.wait(0.05)
    before = counted(limiter)
    leave.set()
    holder.result()
    acting.result()

    assert before == (1, 1, 1)
    assert counted(limiter) == (1, 1, 2 if what == "ask" else 0)


def test_sixty_four_threads_are_never_more_at_once_than_may_be_and_all_get_through() -> None:
    limiter, lock = limited(5), threading.Lock()
    now = most = done = 0

    def work() -> None:
        nonlocal now, most, done
        for _ in range(20):
            permit = limiter.permit()
            try:
                permit.acquire(60.0)
                with lock:
                    now += 1
                    most = max(most, now)
                with lock:
                    now -= 1
                    done += 1
            finally:
                permit.end(SUCCESS)

    for job in at_once([work] * 64):
        job.result(60.0)

    assert (now, done) == (0, 64 * 20)
    assert 1 <= most <= 5
    assert counted(limiter) == (0, 5, 0)


def test_sixty_four_impatient_threads_are_let_through_or_refused_and_none_is_lost() -> None:
    limiter = limited(3)

    def work() -> Counter[str]:
        outcomes = Counter[str]()
        for _ in range(20):
            permit = limiter.permit()
            try:
                permit.acquire(0.0001)
                outcomes["through"] += 1
            except ConcurrencyLimitError:
                outcomes["refused"] += 1
            finally:
                permit.end(SUCCESS)
        return outcomes

    outcomes = sum((job.result(60.0) for job in at_once([work] * 64)), Counter[str]())

    assert outcomes.total() == 64 * 20
    assert outcomes["through"] >= 3
    assert counted(limiter) == (0, 3, 0)


# In a child made by fork


def test_a_child_has_nothing_in_flight_and_nobody_waiting() -> None:
    limiter = limited(2)
    callers(limiter, 4)

    limiter.renew()

    assert counted(limiter) == (0, 2, 0)
    assert states(callers(limiter, 3)) == ["at once", "at once", "waits"]


def test_the_call_that_forked_ends_in_the_child_too_and_frees_no_place_it_does_not_have() -> None:
    limiter = limited(2)
    first, second = callers(limiter, 2)
    limiter.renew()

    first.end()
    second.end()

    assert counted(limiter) == (0, 2, 0)
    assert states(callers(limiter, 3)) == ["at once", "at once", "waits"]


def test_a_child_does_not_wait_for_its_parents_threads() -> None:
    limiter = limited(2)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with limiter._lock:  # noqa: SLF001 - as it is in a child when the parent's thread was there
            inside.set()
            wait_for(leave)

    holder = Job(hold)
    wait_for(inside)
    limiter.renew()
    asked = Job(lambda: Caller(limiter).state).result()
    leave.set()
    holder.result()

    assert asked == "at once"


# A limit that finds its size


def test_an_adaptive_limit_starts_where_it_is_told() -> None:
    assert counted(adaptive()) == (0, 20, 0)
    assert adaptive(start=7, least=3, most=9).limit == 7


@pytest.mark.parametrize(
    ("result", "limit"),
    [
        (Result.SUCCESS, 20),
        (Result.REJECTED, 20),
        (Result.THROTTLED, 18),
        (Result.TIMEOUT, 18),
        (Result.FAILURE, 20),
        (Result.UNKNOWN, 20),
    ],
)
def test_one_answer_adds_nothing_an_overload_takes_a_tenth_and_a_failure_says_nothing(
    result: Result, limit: int
) -> None:
    limiter = adaptive()

    callers(limiter, 20)[0].end(result)

    assert limiter.limit == limit


def a_round(limiter: ConcurrencyLimiter, in_flight: int, *, less: int = 0) -> None:
    """Have as many calls succeed as the limit is large, with so many in flight at each one's end.

    :param less: so many fewer than that
    """
    for _ in range(limiter.limit - less):
        first, *others = callers(limiter, in_flight)
        first.end()
        for other in others:
            other.end(Result.UNKNOWN)


@pytest.mark.parametrize(
    ("start", "in_flight", "limit"),
    [(20, 9, 20), (20, 10, 21), (20, 11, 21), (5, 2, 5), (5, 3, 6), (1, 1, 2)],
)
def test_a_success_counts_when_half_of_the_limit_is_in_use(
    start: int, in_flight: int, limit: int
) -> None:
    limiter = adaptive(start=start)

    a_round(limiter, in_flight, less=1)
    assert limiter.limit == start
    first, *_ = callers(limiter, in_flight)
    first.end()

    assert limiter.limit == limit


def test_an_overload_counts_however_little_is_in_use() -> None:
    limiter = adaptive()

    Caller(limiter).end(Result.TIMEOUT)

    assert limiter.limit == 18


@pytest.mark.parametrize(
    ("start", "decrease", "limits"),
    [(20, 0.9, [18, 16, 14, 12, 10]), (20, 0.5, [10, 5, 2, 2, 2]), (3, 0.9, [2, 2, 2, 2, 2])],
)
def test_it_shrinks_in_whole_calls_and_never_below_its_least(
    start: int, decrease: float, limits: list[int]
) -> None:
    limiter, seen = adaptive(start=start, decrease=decrease, least=2), []

    for _ in range(5):
        Caller(limiter).end(Result.THROTTLED)
        seen.append(limiter.limit)

    assert seen == limits


def test_it_grows_never_above_its_most() -> None:
    limiter, seen = adaptive(start=2, most=4), []

    for _ in range(4):
        a_round(limiter, limiter.limit)
        seen.append(limiter.limit)

    assert seen == [3, 4, 4, 4]


def test_a_limit_that_grows_lets_in_as_many_as_there_is_room_for() -> None:
    limiter = adaptive(start=2)
    a_round(limiter, 2, less=1)
    first, second, third, fourth, fifth = callers(limiter, 5)

    first.end()

    assert states([second, third, fourth, fifth]) == ["at once", "woken", "woken", "waits"]
    assert counted(limiter) == (3, 3, 1)


def test_a_limit_that_shrinks_lets_nobody_in_until_there_is_room() -> None:
    limiter = adaptive(start=4, decrease=0.5)
    calls = callers(limiter, 5)

    calls[0].end(Result.TIMEOUT)
    assert (calls[4].state, counted(limiter)) == ("waits", (3, 2, 1))
    calls[1].end(Result.UNKNOWN)
    assert (calls[4].state, counted(limiter)) == ("waits", (2, 2, 1))
    calls[2].end(Result.UNKNOWN)
    assert (calls[4].state, counted(limiter)) == ("woken", (2, 2, 0))


def test_who_never_got_a_place_teaches_nothing() -> None:
    limiter = adaptive(start=1)
    _, second = callers(limiter, 2)

    second.end(Result.TIMEOUT)
    second.end(Result.SUCCESS)

    assert limiter.limit == 1


def test_ending_twice_teaches_once() -> None:
    limiter = adaptive(start=20)
    call = Caller(limiter)

    call.end(Result.TIMEOUT)
    call.end(Result.TIMEOUT)

    assert limiter.limit == 18


# The laws

ADAPTIVE = st.tuples(st.integers(1, 6), st.integers(0, 6), st.integers(0, 6)).flatmap(
    lambda sizes: st.builds(
        AdaptiveLimit,
        least=st.just(sizes[0]),
        start=st.just(sizes[0] + sizes[1]),
        most=st.just(sizes[0] + sizes[1] + sizes[2]),
        decrease=st.sampled_from([0.1, 0.5, 0.75, 0.9]),
    )
)
LIMITS = st.builds(Limit, calls=st.integers(1, 5)) | ADAPTIVE


@given(ADAPTIVE, st.lists(st.tuples(st.integers(1, 20), st.sampled_from(Result)), max_size=20))
def test_whatever_happens_the_limit_keeps_to_its_bounds(
    limit: AdaptiveLimit, ends: list[tuple[int, Result]]
) -> None:
    limiter = ConcurrencyLimiter(limit)
    for number, result in ends:
        calls = callers(limiter, number)
        assert limiter.in_flight == min(number, limiter.limit)
        calls[0].end(result)
        assert limit.least <= limiter.limit <= limit.most
        for call in reversed(calls):
            call.end(Result.UNKNOWN)
        assert limiter.in_flight == limiter.waiting == 0


class Limiting(RuleBasedStateMachine):
    """A limiter beside a model of it: who is in flight, and who waits, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.in_flight: list[Caller] = []
        self.queue: list[Caller] = []
        self.ended: list[Caller] = []
        self.answered = 0

    @initialize(limit=LIMITS)
    def begin(self, limit: Limit | AdaptiveLimit) -> None:
        self.settings = limit
        self.limiter = ConcurrencyLimiter(limit)
        self.size = limit.start if isinstance(limit, AdaptiveLimit) else limit.calls

    def let_in(self) -> None:
        while self.queue and len(self.in_flight) < self.size:
            self.in_flight.append(self.queue.pop(0))

    @rule()
    def ask(self) -> None:
        fits = len(self.in_flight) < self.size and not self.queue
        caller = Caller(self.limiter)
        assert caller.through is fits
        (self.in_flight if fits else self.queue).append(caller)
        assert len(self.in_flight) <= self.size or not fits

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), result=st.sampled_from(Result))
    def end(self, data: st.DataObject, result: Result) -> None:
        caller = data.draw(st.sampled_from(self.in_flight))
        caller.end(result)
        if isinstance(self.settings, AdaptiveLimit):
            if result in {Result.TIMEOUT, Result.THROTTLED}:
                self.size = max(int(self.size * self.settings.decrease), self.settings.least)
                self.answered = 0
            elif result in {Result.SUCCESS, Result.REJECTED}:
                self.answered += len(self.in_flight) / self.size >= 0.5
                if self.answered >= self.size:
                    self.size = min(self.size + 1, self.settings.most)
                    self.answered = 0
        self.in_flight.remove(caller)
        self.ended.append(caller)
        self.let_in()

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), result=st.sampled_from(Result))
    def give_up(self, data: st.DataObject, result: Result) -> None:
        caller = data.draw(st.sampled_from(self.queue))
        caller.end(result)
        self.queue.remove(caller)
        self.ended.append(caller)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), result=st.sampled_from(Result))
    def end_again(self, data: st.DataObject, result: Result) -> None:
        data.draw(st.sampled_from(self.ended)).end(result)

    @rule(result=st.sampled_from(Result))
    def end_what_never_asked(self, result: Result) -> None:
        self.limiter.permit().end(result)

    @rule()
    def ask_without_patience(self) -> None:
        permit = self.limiter.permit()
        if len(self.in_flight) < self.size and not self.queue:
            permit.acquire()
            permit.end(Result.UNKNOWN)
        else:
            with pytest.raises(ConcurrencyLimitError):
                permit.acquire()

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        assert counted(self.limiter) == (len(self.in_flight), self.size, len(self.queue))
        assert {call.state for call in self.in_flight} <= {"at once", "woken"}
        assert {call.state for call in self.queue} <= {"waits"}
        assert all(call.permit.held for call in self.in_flight)
        assert not any(call.permit.held for call in (*self.queue, *self.ended))

    @invariant()
    def nobody_waits_while_there_is_room(self) -> None:
        assert not self.queue or len(self.in_flight) >= self.size


TestLimiting = Limiting.TestCase
TestLimiting.settings = settings(max_examples=40, stateful_step_count=30)


@pytest.mark.parametrize("settings", [None, 5, "adaptive", Policy()])
def test_it_says_what_it_is_made_with(settings: Any) -> None:
    told = "a ConcurrencyLimiter is made with a Limit or an AdaptiveLimit, not "
    with pytest.raises(ConfigurationError, match=f"^{told}{type(settings).__name__}$"):
        ConcurrencyLimiter(settings)
