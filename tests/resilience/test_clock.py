"""Clocks: the machine's unless another is installed, for everyone at once, and put back after."""

from __future__ import annotations

import time

import pytest

from sleepwalker.resilience.clock import SYSTEM, Clock, RealClock, SystemClock
from sleepwalker.testing import SkippingClock
from tests.crew import SteppedClock


@pytest.mark.parametrize("clock", [SYSTEM, RealClock(), SystemClock(), SkippingClock()])
def test_our_clocks_are_clocks(clock: object) -> None:
    assert isinstance(clock, Clock)


def test_what_cannot_sleep_is_no_clock() -> None:
    class Sundial:
        def monotonic(self) -> float:
            return 0.0

        def time(self) -> float:
            return 0.0

    assert not isinstance(Sundial(), Clock)


@pytest.mark.parametrize("clock", [RealClock(), SystemClock()])
def test_the_real_clock_tells_the_machines_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = time.monotonic(), time.time()
    told = clock.monotonic(), clock.time()
    after = time.monotonic(), time.time()

    assert before[0] <= told[0] <= after[0]
    assert before[1] <= told[1] <= after[1]

    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    RealClock().sleep(0.25)
    assert slept == [0.25]


def test_the_system_clock_waits_as_the_machine_does() -> None:
    assert SystemClock().sleep is time.sleep


def test_an_installed_clock_stands_in_for_the_machines_inside_the_block() -> None:
    system, other = SystemClock(), SteppedClock(5.0)

    with system.installed(other):
        system.sleep(2.0)
        inside = system.monotonic(), system.time()

    assert (inside, other.slept) == ((7.0, 1.7e9 + 7.0), [2.0])
    assert system.monotonic is time.monotonic
    assert system.time is time.time
    assert system.sleep is time.sleep


def test_blocks_nest_and_the_outer_clock_is_back_after_the_inner_one() -> None:
    system = SystemClock()

    with system.installed(SteppedClock(5.0)):
        with system.installed(SteppedClock(9.0)):
            inner = system.monotonic()
        outer = system.monotonic()

    assert (inner, outer) == (9.0, 5.0)


def test_an_error_in_the_block_puts_the_machines_clock_back() -> None:
    system = SystemClock()

    with pytest.raises(KeyError), system.installed(SteppedClock()):
        raise KeyError

    assert system.monotonic is time.monotonic


def test_a_skipping_clock_is_later_by_what_it_skipped() -> None:
    clock = SkippingClock()
    before = clock.monotonic(), clock.time()

    clock.sleep(3600.0)
    clock.sleep(0.5)

    assert clock.slept == [3600.0, 0.5]
    assert 3600.5 <= clock.monotonic() - before[0] < 3605.0
    assert 3600.5 <= clock.time() - before[1] < 3605.0
