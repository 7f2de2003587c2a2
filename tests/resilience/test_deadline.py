"""Deadlines: points in time that nest, belong to their thread, and are never lengthened."""

from __future__ import annotations

import asyncio
import contextvars
import math
from contextlib import ExitStack
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sleepwalker
from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience.clock import SYSTEM
from sleepwalker.resilience.deadline import (
    LEAST_ATTEMPT,
    Deadline,
    ambient,
    deadline,
    entered,
    seconds_of,
)
from tests.crew import Job, SteppedClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SPANS = st.floats(min_value=0.001, max_value=1e6)


@pytest.fixture
def clock() -> Iterator[SteppedClock]:
    """Stand still, for everyone who was given no clock."""
    stepped = SteppedClock()
    with SYSTEM.installed(stepped):
        yield stepped


# One deadline


def test_a_deadline_stays_where_it_is_while_time_passes(clock: SteppedClock) -> None:
    made = Deadline.after(30.0, clock)
    at = made.at

    clock.now += 12.5

    assert made.at == at
    assert made.remaining() == 17.5


def test_what_is_left_is_negative_once_it_has_passed(clock: SteppedClock) -> None:
    made = Deadline.after(2.0, clock)

    clock.now += 5.0

    assert made.remaining() == -3.0


def test_without_a_deadline_there_is_always_time_left(clock: SteppedClock) -> None:
    made = Deadline.after(None, clock)

    clock.now += 1e9

    assert made.remaining() == math.inf
    assert made.allows_attempt()


@pytest.mark.parametrize(("left", "allowed"), [(0.011, True), (0.01, True), (0.009, False)])
def test_no_attempt_starts_with_less_than_ten_milliseconds_left(
    left: float, *, allowed: bool
) -> None:
    clock = SteppedClock(0.0)
    made = Deadline(left, clock, 30.0)

    assert LEAST_ATTEMPT == 0.01
    assert made.allows_attempt() is allowed


def test_a_deadline_says_what_is_left_of_what(clock: SteppedClock) -> None:
    made = Deadline.after(30.0, clock)
    clock.now += 0.5

    assert repr(made) == "<Deadline 29.500 s left of 30 s>"
    assert repr(Deadline.after(None, clock)) == "<Deadline none>"


def test_a_deadline_made_without_a_span_can_still_be_shown(clock: SteppedClock) -> None:
    assert repr(Deadline(clock.now + 2.0, clock)) == "<Deadline 2.000 s left>"


# Two deadlines


@given(one=SPANS, other=SPANS)
def test_the_earlier_of_two_is_the_one_with_less_left(one: float, other: float) -> None:
    clock = SteppedClock(0.0)
    first, second = Deadline.after(one, clock), Deadline.after(other, clock)

    assert first.earlier(second).remaining() == min(one, other)
    assert second.earlier(first).remaining() == min(one, other)


def test_any_deadline_is_earlier_than_none(clock: SteppedClock) -> None:
    some, none = Deadline.after(1e9, clock), Deadline.after(None, clock)

    assert some.earlier(None) is some
    assert some.earlier(none) is some
    assert none.earlier(some) is some


def test_deadlines_on_one_clock_are_compared_without_looking_at_it() -> None:
    class Running(SteppedClock):
        def monotonic(self) -> float:
            self.now += 1.0
            return self.now

    clock = Running()
    sooner, later = Deadline(2000.0, clock), Deadline(2000.5, clock)

    assert sooner.earlier(later) is later.earlier(sooner) is sooner
    assert clock.now == 1000.0


@given(here=SPANS, there=SPANS, offset=st.floats(min_value=-1e9, max_value=1e9))
def test_deadlines_on_different_clocks_are_compared_by_what_is_left(
    here: float, there: float, offset: float
) -> None:
    ours = Deadline.after(here, SteppedClock(0.0))
    theirs = Deadline.after(there, SteppedClock(offset))

    assert ours.earlier(theirs).remaining() == min(ours.remaining(), theirs.remaining())


# The deadline of a block


def test_a_deadline_says_what_sets_it(clock: SteppedClock) -> None:
    own, none = Deadline.after(2.0, clock), Deadline.after(None, clock)
    named = Deadline.after(2.0, clock, "a setting")

    assert own.setting == none.setting == "deadline= or Policy(deadline=...)"
    assert named.setting == "a setting"
    assert Deadline.after(None, clock, "a setting").setting == "a setting"
    with deadline(2.0) as block:
        assert block.setting == "the sleepwalker.deadline(...) around it"


def test_outside_of_any_block_there_is_no_deadline() -> None:
    assert ambient() is None


def test_a_block_is_under_its_deadline(clock: SteppedClock) -> None:
    with sleepwalker.deadline(2.0):
        clock.now += 0.5
        inside = ambient()

    assert inside is not None
    assert inside.remaining() == 1.5
    assert ambient() is None


@given(spans=st.lists(SPANS, min_size=1, max_size=6))
def test_nested_blocks_never_lengthen_what_an_outer_one_allows(spans: list[float]) -> None:
    clock = SteppedClock(0.0)
    with SYSTEM.installed(clock), ExitStack() as blocks:
        for depth, span in enumerate(spans, 1):
            blocks.enter_context(deadline(span))
            inside = ambient()
            assert inside is not None
            assert inside.remaining() == min(spans[:depth])


def test_the_value_of_a_block_is_the_deadline_that_holds_in_it(clock: SteppedClock) -> None:
    with deadline(1.0) as outer, deadline(50.0) as inner:
        assert ambient() is not None
        assert (outer.remaining(), inner.remaining()) == (1.0, 1.0)
    assert clock.slept == []


def test_a_connections_own_clock_does_not_get_it_out_of_an_outer_block(clock: SteppedClock) -> None:
    with deadline(2.0), entered(Deadline.after(30.0, SteppedClock(clock.now - 900.0))):
        inside = ambient()

    assert inside is not None
    assert inside.remaining() == 2.0


def test_the_outer_deadline_is_back_after_an_error_in_the_inner_block(clock: SteppedClock) -> None:
    with deadline(9.0) as outer:
        with pytest.raises(KeyError), deadline(1.0):
            raise KeyError
        after = ambient()
        assert after is not None
        assert after.at == outer.at == clock.now + 9.0


@pytest.mark.usefixtures("clock")
def test_a_thread_started_in_a_block_is_under_no_deadline_unless_it_is_handed_the_context() -> None:
    with deadline(2.0) as ours:
        context = contextvars.copy_context()
        alone, handed = Job(ambient).result(), Job(lambda: context.run(ambient)).result()

    assert alone is None
    assert handed is not None
    assert handed.at == ours.at


@pytest.mark.usefixtures("clock")
def test_tasks_of_one_event_loop_do_not_share_a_deadline() -> None:
    async def under(span: float) -> float:
        with deadline(span):
            await asyncio.sleep(0)
            inside = ambient()
            assert inside is not None
            return inside.remaining()

    async def both() -> tuple[float, float]:
        first, second = await asyncio.gather(under(2.0), under(7.0))
        return first, second

    assert asyncio.run(both()) == (2.0, 7.0)


# Spans of time


@pytest.mark.parametrize("seconds", [0.001, 1, 2.5, Fraction(1, 2)])
def test_a_positive_finite_number_is_a_span_of_time(seconds: float) -> None:
    made = seconds_of(seconds, "read_timeout")

    assert made == float(seconds)
    assert type(made) is float


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0.0"),
        (-1, "-1.0"),
        (-0.0, "-0.0"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (10**400, "inf"),
        (True, "bool"),
        ("2", "str"),
        (None, "NoneType"),
        ((1, 2), "tuple"),
        (Decimal(2), "Decimal"),
        (2j, "complex"),
    ],
)
def test_anything_else_is_an_error_that_names_the_setting(value: object, told: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^read_timeout must be .* not {told}$"):
        seconds_of(value, "read_timeout")


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, math.inf, "2", None])
def test_a_block_that_is_no_span_of_time_is_not_entered(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match=r"^deadline must be"), deadline(seconds):
        pytest.fail("entered")
    assert ambient() is None
