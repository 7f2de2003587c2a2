"""Writing a request: all of it, in time, or until the server has answered."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.connection._wire._writing import AHEAD, Writer, _is_final

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 4 * 1024 * 1024
"""Bytes: more than the buffers of a pair of sockets hold."""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_fits_is_written_whole(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    writer = Writer(ours, lambda: 1.0)
    writer.write(b"")
    writer.write(bytearray(b"one "))
    writer.write(memoryview(b"two"))

    assert theirs.recv(100) == b"one two"
    assert writer.ahead == b""


def test_a_peer_that_takes_nothing_is_late(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    with pytest.raises(TimeoutError):
        Writer(ours, lambda: 0.02).write(bytes(LARGE))


@pytest.mark.parametrize("left", [0.0, -1.0])
def test_no_time_is_no_wait(pair: tuple[socket.socket, socket.socket], left: float) -> None:
    ours, _ = pair
    with pytest.raises(TimeoutError):
        Writer(ours, lambda: left).write(bytes(LARGE))


def test_an_answer_that_is_there_stops_only_a_write_that_stalls(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall(b"HTTP/1.1 413 Too Large\r\n\r\n")
    writer = Writer(ours, lambda: 5.0)
    writer.write(b"small")
    assert writer.ahead == b""

    with pytest.raises(BrokenPipeError, match="answered"):
        writer.write(bytes(LARGE))
    assert writer.ahead == b"HTTP/1.1 413 Too Large\r\n\r\n"


def test_the_peers_end_stops_a_write_that_stalls(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(BrokenPipeError):
        Writer(ours, lambda: 5.0).write(bytes(LARGE))


def test_a_flood_of_interim_answers_is_not_kept_without_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.settimeout(0)
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    theirs.send(hint * (AHEAD // len(hint) + 1))
    writer = Writer(ours, lambda: 5.0)
    with pytest.raises(BrokenPipeError):
        writer.write(bytes(LARGE))
    assert AHEAD <= len(writer.ahead) <= 2 * AHEAD


STATUSES = st.integers(min_value=200, max_value=599).map(lambda s: b"HTTP/1.1 %d OK\r\n" % s)
INTERIM = st.integers(min_value=100, max_value=199).map(
    lambda s: b"HTTP/1.1 %d Hints\r\nLink: x\r\n\r\n" % s
)


@given(st.lists(INTERIM, max_size=4), STATUSES)
def test_an_answer_is_final_as_soon_as_its_status_is_known(
    interim: list[bytes], answer: bytes
) -> None:
    before = b"".join(interim)
    assert not any(_is_final((before + answer)[:end]) for end in range(len(before) + 10))
    assert _is_final((before + answer)[: len(before) + 10])


@given(st.binary(min_size=10).filter(lambda data: not data.startswith(b"HTTP/1.")))
def test_what_is_no_http_is_for_the_reader_to_refuse(data: bytes) -> None:
    assert _is_final(data)
