"""Answers that come before an upload is written: they are heard, and the connection is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from sleepwalker import Policy, exceptions
from tests.integration.retrying import Client
from tests.servers import (
    Action,
    CertificateAuthority,
    MakeServer,
    ScriptedServer,
    before_body,
    close_without_answer,
    raw,
    reset_after_reading,
    stall,
    wire,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE: Final = 16 * 1024 * 1024
"""Bytes: more than the buffers of both systems hold."""
REFUSAL: Final = raw(wire(413, {"X-Limit": "1"}, b"too large"))
HINTS: Final = raw(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
ONCE: Final = Policy(attempts=1)


def _parts() -> Iterator[bytes]:
    for _ in range(LARGE // 8192):
        yield bytes(8192)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("body", ["bytes", "iterator"])
@pytest.mark.parametrize(
    "answer", [REFUSAL, HINTS + REFUSAL, HINTS + HINTS + REFUSAL], ids=["alone", "103", "103 103"]
)
def test_a_server_that_answers_and_stops_reading_is_heard(
    make_server: MakeServer, ca: CertificateAuthority, answer: Action, body: str, *, tls: bool
) -> None:
    server = make_server(tls=tls)
    server.script(before_body(answer + stall()))
    data = bytes(LARGE) if body == "bytes" else _parts()
    with Client(server, ca if tls else None, policy=ONCE) as client:
        with pytest.raises(exceptions.HTTPError) as caught:
            # Long enough that only an answer that is heard at once passes the test.
            client.conn.request("POST", "/", data=data, timeout=20.0)
        assert caught.value.response.status_code == 413
        assert caught.value.response.headers["X-Limit"] == "1"
        assert caught.value.response.content == b"too large"
        assert caught.value.elapsed is not None
        assert caught.value.elapsed < 10.0
        # What was not written completely is not written upon.
        assert client.conn.request("GET", "/").status_code == 200
    assert [record.requests for record in server.connections] == [0, 1]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("parts", [1, 5])
def test_an_answer_in_parts_is_heard(
    make_server: MakeServer, ca: CertificateAuthority, parts: int, *, tls: bool
) -> None:
    whole = wire(413, {"Connection": "close"}, b"too large")
    pieces = [raw(whole[at : at + parts]) for at in range(0, 12, parts)]
    server = make_server(tls=tls)
    action = pieces[0]
    for piece in [*pieces[1:], raw(whole[len(pieces) * parts :])]:
        action += piece
    server.script(before_body(action + stall()))
    with (
        Client(server, ca if tls else None, policy=ONCE) as client,
        pytest.raises(exceptions.HTTPError) as caught,
    ):
        client.conn.request("POST", "/", data=bytes(LARGE), timeout=20.0)
    assert caught.value.response.content == b"too large"


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("end", [close_without_answer(), reset_after_reading()])
def test_a_server_that_answers_and_closes_or_resets_is_heard(
    make_server: MakeServer, ca: CertificateAuthority, end: Action, *, tls: bool
) -> None:
    server = make_server(tls=tls)
    server.script(before_body(REFUSAL + end))
    with Client(server, ca if tls else None, policy=ONCE) as client:
        with pytest.raises(exceptions.HTTPError) as caught:
            client.conn.request("POST", "/", data=bytes(LARGE), timeout=20.0)
        assert caught.value.response.status_code == 413
        assert caught.value.response.content == b"too large"
        assert client.conn.request("GET", "/").status_code == 200


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_server_that_gives_hints_and_reads_on_gets_the_whole_body(
    make_server: MakeServer, ca: CertificateAuthority, *, tls: bool
) -> None:
    server = make_server(tls=tls)
    server.script([before_body(HINTS), raw(wire(200, (), b"done"))])
    with Client(server, ca if tls else None, policy=ONCE) as client:
        answer = client.conn.request("PUT", "/", data=bytes(LARGE), timeout=20.0)
        assert answer.content == b"done"
        assert client.conn.request("GET", "/").status_code == 200
    assert [len(request.body) for request in server.requests] == [LARGE, 0]
    # It was written completely: the connection is used again.
    assert len(server.connections) == 1


def test_a_server_that_resets_an_upload_is_a_failure_of_the_wire(server: ScriptedServer) -> None:
    server.script(before_body(reset_after_reading()))
    with Client(server, policy=ONCE) as client:
        with pytest.raises(exceptions.ProtocolError) as caught:
            client.conn.request("POST", "/", data=bytes(LARGE), timeout=20.0)
        assert caught.value.outcome_unknown
        assert caught.value.error_type in {"closed", "reset"}
        assert client.conn.request("GET", "/").status_code == 200


def test_a_server_that_stops_reading_and_says_nothing_is_late(server: ScriptedServer) -> None:
    server.script(before_body(HINTS + stall()))
    with (
        Client(server, policy=ONCE) as client,
        pytest.raises(exceptions.ReadTimeout, match="took nothing"),
    ):
        client.conn.request("POST", "/", data=bytes(LARGE), timeout=(5.0, 0.2))
    assert client.outcomes == {"timeout": 1}


@pytest.mark.parametrize("data", [b"x" * 100, b"x" * 100_000, bytearray(b"x" * 100_000)])
def test_bodies_of_every_size_arrive_whole(server: ScriptedServer, data: Any) -> None:
    with Client(server, policy=ONCE) as client:
        for _ in range(2):
            assert client.conn.request("PUT", "/", data=data).json()["body"] == bytes(data).decode()
    assert len(server.connections) == 1
