"""Timeouts: which setting bounds what, whose wins, and what the error says about it.

Rule: a stall is a real one, and how long an attempt took is measured by its own event.
"""

from __future__ import annotations

import builtins
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sleepwalker import ANONYMOUS, Connection, Policy, deadline
from sleepwalker.exceptions import (
    ConnectTimeout,
    DeadlineExceeded,
    ReadTimeout,
    TimeoutError,
)
from sleepwalker.observability import events
from sleepwalker.testing import SkippingClock
from tests.servers import raw, respond, stall, stall_handshake, trickle, unanswered_port, wire

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority, MakeServer, ScriptedServer

ONCE = Policy(attempts=1)
SHORT, LONG = 0.12, 5.0
"""Seconds: the timeout that fires, and one that would fail the test by its length."""
MIDDLE = 0.3
"""Seconds: enough for an answer that comes, also on a busy machine."""
SLACK = 1.0
"""Seconds that a busy machine may add."""


class Attempts:
    """An observer that keeps how long each wire attempt took, in seconds."""

    def __init__(self) -> None:
        self.durations: list[float] = []

    def record(self, event: events.Event) -> None:
        if isinstance(event, events.AttemptFinished):
            self.durations.append(event.duration)

    def lasted(self, *seconds: float) -> bool:
        """Whether the attempts took these times, no less and hardly more."""
        return len(seconds) == len(self.durations) and all(
            expected <= took < expected + SLACK
            for expected, took in zip(seconds, self.durations, strict=True)
        )


# What a timeout bounds


def test_a_float_bounds_each_read(make_server: MakeServer) -> None:
    server, attempts = make_server(stall()), Attempts()
    with (
        Connection(server.url, ANONYMOUS, timeout=SHORT, policy=ONCE, observers=[attempts]) as conn,
        pytest.raises(ReadTimeout) as raised,
    ):
        conn.request("GET", "/")

    assert attempts.lasted(SHORT)
    assert isinstance(raised.value, requests.exceptions.ReadTimeout)
    assert isinstance(raised.value, requests.exceptions.Timeout)
    assert isinstance(raised.value, builtins.TimeoutError)
    assert isinstance(raised.value, builtins.ConnectionError)
    assert "read timeout of 0.12 s (timeout= of the connection)" in str(raised.value)
    assert "timeout=(connect, read) or Policy(read_timeout=...)" in str(raised.value)


def test_a_float_bounds_connecting() -> None:
    attempts = Attempts()
    with unanswered_port() as port:
        conn = Connection(
            f"http://127.0.0.1:{port}",
            ANONYMOUS,
            timeout=SHORT,
            policy=ONCE,
            observers=[attempts],
        )
        with conn, pytest.raises(ConnectTimeout) as raised:
            conn.request("GET", "/")

    assert attempts.lasted(SHORT)
    assert isinstance(raised.value, requests.exceptions.ConnectTimeout)
    assert isinstance(raised.value, requests.exceptions.Timeout)
    assert isinstance(raised.value, builtins.TimeoutError)
    assert "connect timeout of 0.12 s (timeout= of the connection)" in str(raised.value)
    assert "timeout=(connect, read) or Policy(connect_timeout=...)" in str(raised.value)


def test_a_tls_handshake_counts_as_connecting(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    attempts = Attempts()
    tls_server.default = stall_handshake()
    conn = Connection(
        tls_server.url,
        ANONYMOUS,
        verify=str(ca.bundle),
        timeout=(SHORT, LONG),
        policy=ONCE,
        observers=[attempts],
    )
    with conn, pytest.raises(ConnectTimeout, match=r"connect timeout of 0\.12 s"):
        conn.request("GET", "/")

    assert attempts.lasted(SHORT)
    assert tls_server.count() == 0


def test_a_pair_is_connect_and_read(make_server: MakeServer) -> None:
    server, attempts = make_server(stall()), Attempts()
    with (
        Connection(
            server.url, ANONYMOUS, timeout=(LONG, SHORT), policy=ONCE, observers=[attempts]
        ) as conn,
        pytest.raises(ReadTimeout, match=r"read timeout of 0\.12 s"),
    ):
        conn.request("GET", "/")
    with unanswered_port() as port:
        conn = Connection(
            f"http://127.0.0.1:{port}",
            ANONYMOUS,
            timeout=(SHORT, LONG),
            policy=ONCE,
            observers=[attempts],
        )
        with conn, pytest.raises(ConnectTimeout, match=r"connect timeout of 0\.12 s"):
            conn.request("GET", "/")

    assert attempts.lasted(SHORT, SHORT)


def test_a_body_that_keeps_coming_may_take_longer_than_one_read(make_server: MakeServer) -> None:
    server = make_server(trickle(wire(200, {"A": "b"}, b"12"), 0.01))
    with Connection(server.url, ANONYMOUS, timeout=(LONG, MIDDLE)) as conn:
        begun = time.monotonic()
        assert conn.request("GET", "/").content == b"12"

    assert time.monotonic() - begun > MIDDLE


def test_a_stall_in_the_middle_of_a_body_is_a_read_timeout_too(make_server: MakeServer) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"
    server = make_server(raw(half) + stall())
    with (
        Connection(server.url, ANONYMOUS, timeout=(LONG, SHORT), policy=ONCE) as conn,
        pytest.raises(ReadTimeout, match=r"read timeout of 0\.12 s"),
    ):
        conn.request("GET", "/")


def test_each_attempt_gets_the_timeout_as_given_never_halved(make_server: MakeServer) -> None:
    server, attempts = make_server(stall()), Attempts()
    conn = Connection(
        server.url,
        ANONYMOUS,
        timeout=SHORT,
        policy=Policy(attempts=3, backoff=None),
        observers=[attempts],
    )
    with conn, pytest.raises(ReadTimeout) as raised:
        conn.request("GET", "/")

    assert attempts.lasted(SHORT, SHORT, SHORT)
    assert raised.value.attempts == 3
    server.wait_for(lambda: server.count() == 3)


# Whose timeout wins


CALL, CONNECTION, POLICY = 0.08, 0.1, 0.15


@pytest.mark.parametrize(
    ("call", "connection", "fires", "words"),
    [
        (None, None, POLICY, r"read timeout of 0\.15 s \(read_timeout of the policy\)"),
        (None, CONNECTION, CONNECTION, r"read timeout of 0\.1 s \(timeout= of the connection\)"),
        (CALL, CONNECTION, CALL, r"read timeout of 0\.08 s \(timeout= of the call\)"),
        (CALL, None, CALL, r"read timeout of 0\.08 s \(timeout= of the call\)"),
        ((LONG, None), CONNECTION, CONNECTION, r"0\.1 s \(timeout= of the connection\)"),
        ((LONG, None), (LONG, None), POLICY, r"0\.15 s \(read_timeout of the policy\)"),
        ((None, CALL), (LONG, CONNECTION), CALL, r"0\.08 s \(timeout= of the call\)"),
        (None, (None, CONNECTION), CONNECTION, r"0\.1 s \(timeout= of the connection\)"),
        (POLICY, CALL, POLICY, r"0\.15 s \(timeout= of the call\)"),
    ],
)
def test_a_calls_timeout_beats_its_connections_and_that_the_policys(
    make_server: MakeServer, call: Any, connection: Any, fires: float, words: str
) -> None:
    server, attempts = make_server(stall()), Attempts()
    conn = Connection(
        server.url,
        ANONYMOUS,
        timeout=connection,
        policy=Policy(attempts=1, read_timeout=POLICY),
        observers=[attempts],
    )
    with conn, pytest.raises(ReadTimeout, match=words):
        conn.json_request("GET", "/", timeout=call)

    assert attempts.lasted(fires)


@pytest.mark.parametrize(
    ("call", "connection", "words"),
    [
        (None, (None, LONG), r"connect timeout of 0\.12 s \(connect_timeout of the policy\)"),
        ((None, LONG), None, r"connect timeout of 0\.12 s \(connect_timeout of the policy\)"),
        ((None, LONG), (SHORT, LONG), r"connect timeout of 0\.12 s \(timeout= of the connection\)"),
        ((SHORT, None), (LONG, LONG), r"connect timeout of 0\.12 s \(timeout= of the call\)"),
    ],
)
def test_a_part_that_is_none_leaves_it_to_the_next(call: Any, connection: Any, words: str) -> None:
    attempts = Attempts()
    with unanswered_port() as port:
        conn = Connection(
            f"http://127.0.0.1:{port}",
            ANONYMOUS,
            timeout=connection,
            policy=Policy(attempts=1, connect_timeout=SHORT),
            observers=[attempts],
        )
        with conn, pytest.raises(ConnectTimeout, match=words):
            conn.request("GET", "/", timeout=call)

    assert attempts.lasted(SHORT)


def test_no_timeout_means_the_default_policys_and_never_for_ever() -> None:
    conn = Connection("https://api.example.com", ANONYMOUS)

    assert conn.timeout == (None, None)
    assert (conn.policy.connect_timeout, conn.policy.read_timeout) == (3.0, 10.0)
    assert conn.policy.deadline == 30.0


def test_a_connection_tells_its_timeouts() -> None:
    assert Connection("https://api.example.com", ANONYMOUS, timeout=2).timeout == (2.0, 2.0)
    assert Connection("https://api.example.com", ANONYMOUS, timeout=(1, None)).timeout == (1, None)


# The total deadline


def test_the_calls_total_deadline_wins_over_its_timeouts(make_server: MakeServer) -> None:
    server = make_server(stall())
    with Connection(server.url, ANONYMOUS, timeout=LONG) as conn:
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded) as raised:
            conn.request("GET", "/", deadline=SHORT)
        took = time.monotonic() - begun

    assert SHORT <= took < SHORT + SLACK
    assert isinstance(raised.value, TimeoutError)
    assert isinstance(raised.value, requests.exceptions.Timeout)
    assert isinstance(raised.value, builtins.TimeoutError)
    assert "the total deadline of 0.12 s has passed" in str(raised.value)
    assert "deadline= or Policy(deadline=...)" in str(raised.value)
    assert raised.value.attempts == 1
    server.wait_for(lambda: server.count() == 1)


def test_the_total_deadline_wins_over_the_connect_timeout_too() -> None:
    with unanswered_port() as port:
        conn = Connection(f"http://127.0.0.1:{port}", ANONYMOUS, timeout=LONG)
        with conn, pytest.raises(DeadlineExceeded, match="while connecting"):
            conn.json_request("POST", "/", {}, deadline=SHORT)


def test_a_block_puts_all_its_calls_under_one_deadline(server: ScriptedServer) -> None:
    server.script(respond(204), stall())
    with Connection(server.url, ANONYMOUS, timeout=LONG) as conn, deadline(MIDDLE):
        begun = time.monotonic()
        conn.request("GET", "/")
        with pytest.raises(DeadlineExceeded):
            conn.request("GET", "/", deadline=LONG)

    assert MIDDLE <= time.monotonic() - begun < MIDDLE + SLACK


def test_a_shorter_timeout_fires_before_the_deadline(make_server: MakeServer) -> None:
    server = make_server(stall())
    with (
        Connection(server.url, ANONYMOUS, policy=ONCE, clock=SkippingClock()) as conn,
        pytest.raises(ReadTimeout, match=r"timeout= of the call"),
    ):
        conn.request("GET", "/", timeout=SHORT, deadline=LONG)
