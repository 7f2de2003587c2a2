"""Timeouts: what an argument means, whose setting holds, and errors that say which one fired."""

from __future__ import annotations

import math
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.connection._timeouts import LONGEST, Timeout, Timeouts, deadline_error
from sleepwalker.exceptions import (
    ConfigurationError,
    ConnectTimeout,
    DeadlineExceeded,
    ReadTimeout,
)
from sleepwalker.resilience.deadline import Deadline
from sleepwalker.resilience.policy import Policy
from tests.crew import SteppedClock

WHAT = "GET https://host.example/"


def timeouts(
    call: Any = None, conn: Any = None, policy: Policy | None = None, left: float | None = 30.0
) -> Timeouts:
    """Make the timeouts of an attempt, as long before its deadline as is said."""
    return Timeouts(
        Timeout.of(call),
        Timeout.of(conn),
        policy or Policy(),
        Deadline.after(left, SteppedClock(0.0)),
    )


# An argument


@pytest.mark.parametrize(
    ("value", "connect", "read"),
    [
        (None, None, None),
        (5, 5.0, 5.0),
        (0.25, 0.25, 0.25),
        ((1, 2), 1.0, 2.0),
        ([1, 2], 1.0, 2.0),
        ((None, 2), None, 2.0),
        ((1, None), 1.0, None),
        ((None, None), None, None),
    ],
)
def test_a_timeout_is_a_number_a_pair_or_none(
    value: Any, connect: float | None, read: float | None
) -> None:
    assert Timeout.of(value) == (connect, read)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-1, r"timeout must be a positive, finite number of seconds, not -1\.0"),
        (0, "timeout must be"),
        (math.nan, "timeout must be"),
        (math.inf, "timeout must be"),
        (10**400, "timeout must be"),
        ("5", "timeout must be a number of seconds, not str"),
        (b"5", "timeout must be"),
        (True, "timeout must be"),
        (5j, "timeout must be"),
        ({"connect": 1}, "timeout must be"),
        ((), r"timeout as a tuple must be \(connect, read\), not 0 values"),
        ((1,), "not 1 values"),
        ((1, 2, 3), "not 3 values"),
        ((-1, 2), "connect timeout must be"),
        ((1, -2), "read timeout must be"),
        ((math.nan, 2), "connect timeout must be"),
        ((1, "2"), "read timeout must be"),
        ((0, 2), "connect timeout must be"),
        ((1, math.inf), "read timeout must be"),
        (("1", "2"), "connect timeout must be"),
    ],
)
def test_anything_else_is_an_error_that_names_the_setting(value: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{told}") as raised:
        Timeout.of(value)

    assert isinstance(raised.value, ValueError)


# Whose setting holds


@pytest.mark.parametrize(
    ("call", "conn", "connect", "read"),
    [
        (None, None, 3.0, 10.0),
        (None, 5, 5.0, 5.0),
        (7, 5, 7.0, 7.0),
        ((1, 2), (4, 5), 1.0, 2.0),
        ((None, 2), (4, 5), 4.0, 2.0),
        ((1, None), (4, 5), 1.0, 5.0),
        ((None, 2), (None, 5), 3.0, 2.0),
        ((None, None), (4, None), 4.0, 10.0),
    ],
)
def test_the_calls_setting_wins_over_the_connections_and_that_over_the_policys(
    call: Any, conn: Any, connect: float, read: float
) -> None:
    made = timeouts(call, conn)

    assert (made.connect, made.read) == (connect, read)


def test_the_policys_settings_hold_where_nobody_says_otherwise() -> None:
    made = timeouts(policy=Policy(connect_timeout=0.5, read_timeout=0.75))

    assert (made.connect, made.read) == (0.5, 0.75)


SECONDS = st.floats(min_value=0.001, max_value=1e6)


@given(SECONDS, SECONDS, st.none() | st.floats(min_value=-10.0, max_value=1e6))
def test_an_attempt_gets_its_timeouts_as_given_and_never_more_than_is_left(
    connect: float, read: float, left: float | None
) -> None:
    made = timeouts((connect, read), left=left)

    most = math.inf if left is None else max(left, 0.001)
    assert (made.connect, made.read) == (min(connect, most), min(read, most))


# What an error says


@pytest.mark.parametrize(
    ("call", "conn", "source"),
    [
        (2.5, None, r"2\.5 s \(timeout= of the call\)"),
        ((2.5, 2.5), 5, r"2\.5 s \(timeout= of the call\)"),
        (None, 2.5, r"2\.5 s \(timeout= of the connection\)"),
        ((None, None), (2.5, 2.5), r"2\.5 s \(timeout= of the connection\)"),
    ],
)
def test_an_error_names_the_setting_that_fired_and_how_to_change_it(
    call: Any, conn: Any, source: str
) -> None:
    made = timeouts(call, conn)
    connect, read = made.connect_error(WHAT), made.read_error(WHAT)

    with pytest.raises(
        ConnectTimeout,
        match=rf"^{WHAT}: .* connect timeout of {source} allows; "
        r"change it with timeout=\(connect, read\) or Policy\(connect_timeout=\.\.\.\)$",
    ):
        raise connect
    with pytest.raises(
        ReadTimeout,
        match=rf"^{WHAT}: .* read timeout of {source} allows; "
        r"change it with timeout=\(connect, read\) or Policy\(read_timeout=\.\.\.\)$",
    ):
        raise read


def test_an_error_of_the_policys_settings_names_them() -> None:
    made = timeouts()

    assert "connect timeout of 3 s (connect_timeout of the policy)" in str(made.connect_error(WHAT))
    assert "read timeout of 10 s (read_timeout of the policy)" in str(made.read_error(WHAT))


def test_where_the_deadline_was_shorter_it_is_the_deadline_that_is_named() -> None:
    made = timeouts((2, 8), left=5.0)
    connect, read = made.connect_error(WHAT), made.read_error(WHAT)

    assert type(connect) is ConnectTimeout
    assert type(read) is DeadlineExceeded
    assert str(read) == (
        f"{WHAT}: while waiting for the answer: the total deadline of 5 s has passed; "
        "change it with deadline= or Policy(deadline=...)"
    )
    assert type(timeouts(left=1.0).connect_error(WHAT)) is DeadlineExceeded


def test_a_deadline_without_a_span_is_told_without_one() -> None:
    error = deadline_error(Deadline(5.0, SteppedClock()), WHAT)

    assert str(error).startswith(f"{WHAT}: the total deadline has passed; ")


def test_what_no_socket_can_wait_for_is_as_long_as_one_can() -> None:
    made = timeouts(call=1e300, left=None)
    with socket.socket() as waiting:
        waiting.settimeout(made.read)

    assert made.connect == made.read == made.to_connect() == made.to_read() == LONGEST
