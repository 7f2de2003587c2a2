"""Addresses of a host: which, in what order, and how long each may be tried."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.connection._wire._resolving import (
    AT_ONCE,
    LEAST_SHARE,
    Address,
    addresses,
    share,
)


def found(*sockaddrs: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """What `getaddrinfo` gives."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", sockaddr) for sockaddr in sockaddrs]


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "fe80::1%lo", "2001:db8::7"])
def test_an_address_is_its_own_and_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)

    assert addresses(name, 80, 1.0) == [Address(name, 80)]


@pytest.mark.parametrize("name", ["x" * 64, "a..b"])
def test_what_is_no_name_is_left_to_urllib3(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)

    assert addresses(name, 80, 1.0) == [Address(name, 80)]


PATCHED_FIRST = """
import functools
from urllib3.util import connection

@functools.wraps(connection.create_connection)
def own(*args, **more):
    raise AssertionError

connection.create_connection = own
from sleepwalker.connection._wire._resolving import addresses
print(addresses("books.test", 80, 1.0) == [("books.test", 80)])
"""


def test_a_function_for_connecting_that_was_put_there_before_us_wants_names_too() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PATCHED_FIRST],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "True\n", done.stderr


def test_a_name_has_its_addresses_once_each_in_the_systems_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = found(("10.0.0.2", 80), ("10.0.0.1", 80), ("10.0.0.2", 80), ("::1", 80, 0, 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answer)

    assert addresses("books.test", 80, 1.0) == [("10.0.0.2", 80), ("10.0.0.1", 80), ("::1", 80)]


def test_a_link_local_address_keeps_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found(("fe80::1", 80, 0, 3)))

    assert addresses("books.test", 80, 1.0) == [("fe80::1%3", 80)]


def test_a_port_that_the_resolver_gives_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found(("10.0.0.1", 8080)))

    assert addresses("books.test", 80, 1.0) == [("10.0.0.1", 8080)]


def test_no_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])

    with pytest.raises(OSError, match="no address"):
        addresses("books.test", 80, 1.0)


def test_what_the_resolver_raises_comes_up_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    error = socket.gaierror(socket.EAI_NONAME, "unknown")

    def getaddrinfo(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(socket.gaierror) as raised:
        addresses("books.test", 80, 1.0)

    assert raised.value is error


@pytest.mark.parametrize("seconds", [0.01, 0.0, -1.0])
def test_a_resolver_that_stalls_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(20.0))
    before = set(threading.enumerate())

    with pytest.raises(TimeoutError):
        addresses("books.test", 80, seconds)

    (left,) = set(threading.enumerate()) - before
    assert left.daemon
    over.set()
    left.join()


def test_a_resolver_that_stalls_is_asked_by_no_more_than_so_many_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, asked = threading.Event(), []

    def getaddrinfo(name: str, *_: Any) -> Any:
        asked.append(name)
        if name == "stalls.test":
            over.wait(20.0)
        return found(("10.0.0.1", 80))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    before = set(threading.enumerate())
    for _ in range(AT_ONCE + 5):
        with pytest.raises(TimeoutError, match="not resolved in time"):
            addresses("stalls.test", 80, 0.001)
    left = set(threading.enumerate()) - before

    assert len(left) == AT_ONCE
    # Another name is none of this one's.
    assert addresses("books.test", 80, 1.0) == [("10.0.0.1", 80)]
    over.set()
    assert addresses("stalls.test", 80, 5.0) == [("10.0.0.1", 80)]
    assert asked == ["stalls.test"] * AT_ONCE + ["books.test", "stalls.test"]
    for each in left:
        each.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_wait_for_its_parents_resolutions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, parent = threading.Event(), os.getpid()

    def getaddrinfo(*_: Any) -> Any:
        if os.getpid() == parent:
            over.wait(20.0)
        return found(("10.0.0.1", 80))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    before = set(threading.enumerate())
    for _ in range(AT_ONCE):
        with pytest.raises(TimeoutError):
            addresses("books.test", 80, 0.001)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if addresses("books.test", 80, 5.0) else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    over.set()
    for each in set(threading.enumerate()) - before:
        each.join()

    assert os.waitstatus_to_exitcode(status) == 0


def test_where_no_thread_can_be_had_it_is_resolved_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(_: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found(("10.0.0.1", 80)))
    monkeypatch.setattr(threading.Thread, "start", start)

    assert addresses("books.test", 80, 1.0) == [("10.0.0.1", 80)]


SECONDS = st.floats(min_value=1e-6, max_value=1e6)


@given(SECONDS, st.integers(min_value=1, max_value=1000))
def test_no_share_is_more_than_is_left_or_less_than_its_part(seconds: float, count: int) -> None:
    made = share(seconds, count)

    assert seconds / count <= made <= seconds
    assert made >= min(LEAST_SHARE, seconds)


@given(SECONDS)
def test_the_last_one_has_all_that_is_left(seconds: float) -> None:
    assert share(seconds, 1) == seconds
