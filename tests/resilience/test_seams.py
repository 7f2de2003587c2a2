"""What quota, breaker and limiter owe to those who share them, in one process or two."""

from __future__ import annotations

import functools
import sys

import pytest

from sleepwalker import Breaker, CircuitOpenError, Limit
from sleepwalker.resilience import CircuitBreaker, ConcurrencyLimiter, Result
from sleepwalker.resilience.clock import SYSTEM
from tests.interrupting import Interrupter


def test_a_child_forked_within_a_probe_has_one_probe_of_its_own() -> None:
    breaker = CircuitBreaker(Breaker(calls=1, open_for=0.001))
    failed, probe = breaker.permit(), breaker.permit()
    failed.acquire()
    failed.end(Result.FAILURE)
    SYSTEM.sleep(0.002)
    probe.acquire()

    breaker.renew()
    probe.end(Result.UNKNOWN)
    breaker.permit().acquire()

    with pytest.raises(CircuitOpenError):
        breaker.permit().acquire()


def test_no_interrupt_in_the_middle_of_handing_on_keeps_a_place_from_who_comes_later() -> None:
    number, came = 0, True
    while came:
        number += 1
        interrupter = Interrupter(number)
        limiter = ConcurrencyLimiter(Limit(calls=1))
        holder, waits, later = limiter.permit(), limiter.permit(), limiter.permit()
        woken: list[str] = []
        holder.request(lambda: None)
        waits.request(functools.partial(woken.append, "waits"))
        try:
            sys.setprofile(interrupter)
            holder.end(Result.SUCCESS)
        except KeyboardInterrupt:
            holder.end(Result.SUCCESS)
        finally:
            sys.setprofile(None)
        came = interrupter.came
        waits.end(Result.UNKNOWN)

        assert limiter.in_flight == 0, f"place {number}"
        assert later.request(lambda: None), f"place {number}"
        assert woken or came

    assert number > 3
