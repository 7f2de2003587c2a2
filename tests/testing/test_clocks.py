"""Clocks on which nobody waits: what moves them, by how much, and whom they reach."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from sleepwalker import ANONYMOUS, Connection, Policy, deadline, exceptions
from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience import Clock
from sleepwalker.testing import FakeClock, Fault, FaultAdapter, SkippingClock, faults, no_wait
from tests.integration.retrying import Client


@pytest.mark.parametrize("clock", [SkippingClock(), FakeClock()])
def test_they_are_clocks(clock: object) -> None:
    assert isinstance(clock, Clock)
    assert isinstance(clock, SkippingClock)


def test_a_fake_clock_stands_still() -> None:
    clock = FakeClock(1000.0)
    before = clock.monotonic(), clock.time()
    time.sleep(0.002)

    assert (clock.monotonic(), clock.time()) == before == (0.0, 1000.0)


def test_by_default_a_fake_clock_begins_with_2026() -> None:
    assert time.gmtime(FakeClock().time())[:6] == (2026, 1, 1, 0, 0, 0)


def test_sleeping_moves_a_fake_clock_by_exactly_that() -> None:
    clock = FakeClock(1000.0)
    clock.sleep(3600.0)
    clock.sleep(0.5)

    assert (clock.monotonic(), clock.time()) == (3600.5, 4600.5)
    assert clock.slept == [3600.0, 0.5]


@pytest.mark.parametrize("clock", [SkippingClock(), FakeClock()])
def test_what_is_advanced_was_not_slept(clock: SkippingClock) -> None:
    before = clock.monotonic(), clock.time()
    clock.advance(60)
    clock.advance(0)

    assert 60.0 <= clock.monotonic() - before[0] < 65.0
    assert 60.0 <= clock.time() - before[1] < 65.0
    assert clock.slept == []


def test_threads_that_sleep_are_all_counted() -> None:
    clock = FakeClock()

    def work() -> None:
        for _ in range(500):
            clock.sleep(0.25)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (clock.monotonic(), len(clock.slept)) == (1000.0, 4000)


def test_a_clocks_repr_tells_how_far_it_is() -> None:
    clock = FakeClock()
    clock.sleep(1.5)
    clock.advance(1)

    assert repr(clock) == "<FakeClock 2.5 s ahead, 1 waits>"


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: FakeClock("2026"),  # type: ignore[arg-type]
        lambda: FakeClock(-1.0),
        lambda: FakeClock(float("nan")),
        lambda: FakeClock().advance(-1.0),
        lambda: FakeClock().advance(float("inf")),
        lambda: FakeClock().advance(None),  # type: ignore[arg-type]
        lambda: FakeClock().advance(True),  # noqa: FBT003 - it is no number
        lambda: no_wait(FakeClock).__enter__(),  # type: ignore[call-overload]
        lambda: no_wait(7).__enter__(),  # type: ignore[call-overload]
    ],
)
def test_what_is_no_time_is_an_error(misuse: Any) -> None:
    with pytest.raises(ConfigurationError):
        misuse()


def test_backoff_is_exact_on_a_fake_clock() -> None:
    clock = FakeClock()
    client = Client("https://books.example", clock=clock, random=1.0, policy=Policy(attempts=5))
    adapter = FaultAdapter(answer=Fault.status(200))
    adapter.mount_on(client.conn)
    adapter.fail_next(4, Fault.status(500))

    client.conn.request("GET", "/books")

    assert clock.slept == [0.05, 0.1, 0.2, 0.4]
    assert clock.monotonic() == sum(clock.slept)


def test_a_retry_after_date_is_counted_from_the_clocks_time() -> None:
    clock = FakeClock()
    client = Client("https://books.example", clock=clock)
    adapter = FaultAdapter(answer=Fault.status(200))
    adapter.mount_on(client.conn)
    date = "Thu, 01 Jan 2026 00:00:07 GMT"
    adapter.fail_next(1, Fault.status(503, {"Retry-After": date}))

    client.conn.request("GET", "/books")

    assert clock.slept == [7.0]


def test_a_deadline_passes_when_the_clock_is_moved() -> None:
    class Late(FakeClock):
        """Something else takes long while a call waits."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.advance(60.0)

    client = Client("https://books.example", clock=Late())
    adapter = FaultAdapter(answer=Fault.status(200))
    adapter.mount_on(client.conn)
    adapter.fail_next(1, Fault.status(503))
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("GET", "/books")

    assert (caught.value.elapsed, caught.value.attempts) == (60.0, 1)


# --- for everybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", [SkippingClock(), FakeClock()])
def test_no_wait_puts_a_clock_of_ones_own_before_everybody(clock: SkippingClock) -> None:
    options: dict[str, Any] = {"registry": False, "tracer_provider": False, "logger": False}
    with (
        Connection("https://books.example", ANONYMOUS, random=lambda: 1.0, **options) as conn,
        no_wait(clock) as installed,
        faults(answer=Fault.status(200)) as adapter,
    ):
        adapter.fail_next(1, Fault.status(503))
        adapter.fail_next(1, Fault.stall(4.0))
        conn.request("GET", "/books")

    assert installed is clock
    assert clock.slept == [0.05]  # the stall was none of our waits


def test_a_block_of_one_deadline_passes_on_it_too() -> None:
    options: dict[str, Any] = {"registry": False, "tracer_provider": False, "logger": False}
    with (
        Connection("https://books.example", ANONYMOUS, **options) as conn,
        no_wait(FakeClock()) as clock,
        faults(answer=Fault.status(200)),
        deadline(5.0),
    ):
        conn.request("GET", "/books")
        clock.advance(5.0)
        with pytest.raises(exceptions.DeadlineExceeded):
            conn.request("GET", "/books")
