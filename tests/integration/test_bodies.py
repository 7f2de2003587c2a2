"""Request bodies that are sent again: byte for byte the same, or not at all.

Rule: no attempt ever carries a part of a body, or an empty one in the place of one that is used up.
"""

from __future__ import annotations

import array
import io
import os
import tempfile
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from requests.auth import HTTPDigestAuth

from sleepwalker import BearerAuth, Policy, exceptions
from tests.integration.retrying import Client, bodies, keys, lines
from tests.servers import (
    CertificateAuthority,
    RequireBearer,
    RequireDigest,
    ScriptedServer,
    close_in_handshake,
    redirect,
    reset_after_reading,
    reset_before_reading,
    respond,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WHOLE: Final = b"0123456789" * 1000
LARGE: Final = bytes(range(256)) * 16384
"""More than the buffers of a socket pair hold."""


class Given(NamedTuple):
    """A body as callers give it, and the bytes that are meant."""

    arguments: dict[str, Any]
    wire: bytes | None
    """`None`: whatever the first attempt sent, such as a boundary made by chance."""


def at(position: int, data: bytes = WHOLE) -> io.BytesIO:
    """A file in memory that was read up to there."""
    file = io.BytesIO(data)
    file.seek(position)
    return file


def real_file(position: int = 0) -> Any:
    """A file on the disk that was read up to there, gone when it is closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the test that gets it closes it
    file.write(WHOLE)
    file.seek(position)
    return file


REWINDABLE: Final[dict[str, Callable[[], Given]]] = {
    "no body": lambda: Given({}, b""),
    "bytes": lambda: Given({"data": WHOLE}, WHOLE),
    "bytes that can be changed": lambda: Given({"data": bytearray(WHOLE)}, WHOLE),
    "a view of memory": lambda: Given({"data": memoryview(WHOLE)[17:]}, WHOLE[17:]),
    "an array of bytes": lambda: Given({"data": array.array("B", WHOLE)}, WHOLE),
    "text": lambda: Given({"data": "Bücher 読書"}, "Bücher 読書".encode()),
    "a form": lambda: Given({"data": {"title": "Ulysses", "page": 2}}, b"title=Ulysses&page=2"),
    "JSON": lambda: Given({"json": {"title": "Ulysses"}}, b'{"title": "Ulysses"}'),
    "a multipart form": lambda: Given({"files": {"book": ("b.txt", at(0))}}, None),
    "a file in memory": lambda: Given({"data": at(0)}, WHOLE),
    "a file in memory, read in part": lambda: Given({"data": at(4321)}, WHOLE[4321:]),
    "a file in memory, read to its end": lambda: Given({"data": at(len(WHOLE))}, b""),
    "an empty file in memory": lambda: Given({"data": at(0, b"")}, b""),
    "a file": lambda: Given({"data": real_file()}, WHOLE),
    "a file, read in part": lambda: Given({"data": real_file(17)}, WHOLE[17:]),
}


@pytest.fixture(params=REWINDABLE.values(), ids=list(REWINDABLE))
def given(request: pytest.FixtureRequest) -> Iterator[Given]:
    made: Given = request.param()
    yield made
    if hasattr(made.arguments.get("data"), "close"):
        made.arguments["data"].close()


def test_a_body_that_can_be_wound_back_is_the_same_on_every_attempt(
    server: ScriptedServer, given: Given
) -> None:
    server.script(reset_after_reading(), respond(503), reset_before_reading(head=True))
    client = Client(server, policy=Policy(attempts=4))
    client.conn.request("PUT", "/books/1", **given.arguments)
    sent = bodies(server)
    assert len(sent) == 3
    assert set(sent) == {sent[0] if given.wire is None else given.wire}
    framing = {
        tuple(r.headers.get(name) for name in ("Content-Length", "Transfer-Encoding"))
        for r in server.requests
    }
    assert len(framing) == 1
    kinds = {request.headers.get("Content-Type") for request in server.requests}
    assert len(kinds) == 1
    assert client.wire_attempts == 4


def test_a_body_that_was_never_sent_arrives_whole(
    tls_server: ScriptedServer, ca: CertificateAuthority, given: Given
) -> None:
    tls_server.script(close_in_handshake(), close_in_handshake())
    Client(tls_server, ca).conn.request("POST", "/books", **given.arguments)
    assert tls_server.count() == 1
    if given.wire is not None:
        assert bodies(tls_server) == [given.wire]


@pytest.mark.parametrize("make", [lambda: LARGE, lambda: at(0, LARGE), lambda: at(999, LARGE)])
def test_a_body_that_was_sent_in_part_is_sent_again_whole(
    server: ScriptedServer, make: Callable[[], Any]
) -> None:
    server.script(reset_before_reading(head=True), reset_before_reading(head=True))
    body = make()
    meant = body if isinstance(body, bytes) else LARGE[body.tell() :]
    client = Client(server)
    client.conn.request("PUT", "/books/1", data=body)
    assert bodies(server) == [meant]
    assert client.wire_attempts == 3


def test_a_body_of_a_post_with_a_key_is_wound_back_too(server: ScriptedServer) -> None:
    server.script(reset_after_reading(), respond(502))
    Client(server).conn.request("POST", "/books", data=at(7), idempotency_key=True)
    assert bodies(server) == [WHOLE[7:]] * 3
    assert len(set(keys(server))) == 1


# --- what can't be wound back ---------------------------------------------------------------------


class ReadOnly:
    """Can be read and nothing else."""

    def __init__(self) -> None:
        self._file = io.BytesIO(WHOLE)

    def read(self, size: int = -1) -> bytes:
        """Read."""
        return self._file.read(size)

    def __iter__(self) -> Iterator[bytes]:
        """Read in chunks."""
        return iter(lambda: self.read(1024), b"")


class SaysUnseekable(io.BytesIO):
    """Has `seek` and `tell`, and says that they are of no use."""

    def seekable(self) -> bool:
        """Say so."""
        return False


def generator() -> Iterator[bytes]:
    """Give the whole in parts."""
    for start in range(0, len(WHOLE), 1024):
        yield WHOLE[start : start + 1024]


def pipe() -> Any:
    """The end of a pipe from which the whole can be read."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as end:
            end.write(WHOLE)

    threading.Thread(target=write).start()
    return os.fdopen(reading, "rb")


UNREWINDABLE: Final[dict[str, Callable[[], Any]]] = {
    "a generator": generator,
    "an iterator": lambda: iter([WHOLE[:10], WHOLE[10:]]),
    "a pipe": pipe,
    "something that can only be read": ReadOnly,
    "something that says that it can't seek": lambda: SaysUnseekable(WHOLE),
}


@pytest.fixture(params=UNREWINDABLE.values(), ids=list(UNREWINDABLE))
def stream(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    yield made
    if hasattr(made, "close"):
        made.close()


def test_a_stream_is_sent_whole(server: ScriptedServer, stream: Any) -> None:
    Client(server).conn.request("PUT", "/books/1", data=stream)
    assert bodies(server) == [WHOLE]


@pytest.mark.parametrize("key", [None, "k"], ids=["", "with a key"])
def test_a_stream_that_was_begun_is_never_sent_again(
    server: ScriptedServer, stream: Any, key: str | None
) -> None:
    server.script(reset_after_reading())
    client = Client(server)
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("PUT", "/books/1", data=stream, idempotency_key=key, idempotent=True)
    assert bodies(server) == [WHOLE]
    assert caught.value.attempts == 1
    assert caught.value.outcome_unknown
    assert "rewound" in " ".join(getattr(caught.value, "__notes__", []))
    assert client.retries == {}


@pytest.mark.parametrize("status", [429, 503])
def test_a_stream_that_was_answered_with_an_error_is_never_sent_again(
    server: ScriptedServer, stream: Any, status: int
) -> None:
    server.script(respond(status))
    with pytest.raises(exceptions.HTTPError) as caught:
        Client(server).conn.request("PUT", "/books/1", data=stream)
    assert caught.value.http_code == status
    assert bodies(server) == [WHOLE]


def test_a_stream_that_was_never_begun_is_sent_again_whole(
    tls_server: ScriptedServer, ca: CertificateAuthority, stream: Any
) -> None:
    tls_server.script(close_in_handshake(), close_in_handshake())
    client = Client(tls_server, ca)
    client.conn.request("POST", "/books", data=stream)
    assert bodies(tls_server) == [WHOLE]
    assert client.wire_attempts == 3


def test_an_answer_may_be_streamed_on_through_the_same_connection(
    server: ScriptedServer,
) -> None:
    server.script(respond(200, body=WHOLE), respond(201))
    client = Client(server)
    with client.conn.request("GET", "/from", stream=True) as response:
        client.conn.request("PUT", "/to", data=response.iter_content(1000))
    assert bodies(server) == [b"", WHOLE]


def test_a_body_may_be_made_of_calls_through_the_same_connection(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), respond(200, json=1), respond(200, json=2))
    client = Client(server)

    def parts() -> Iterator[bytes]:
        for uri in ("/1", "/2"):
            yield client.conn.request("GET", uri).content

    client.conn.request("POST", "/to", data=parts())
    assert lines(server) == ["GET /1", "GET /1", "GET /2", "POST /to"]
    assert bodies(server)[3] == b"12"
    assert client.outcomes == {"success": 3}


def test_a_generator_that_was_never_sent_is_not_begun(server: ScriptedServer) -> None:
    begun = []

    def body() -> Iterator[bytes]:
        begun.append(True)
        yield b"whole"

    stream = body()
    client = Client(server)
    server.stop()
    with pytest.raises(exceptions.ConnectError):
        client.conn.request("POST", "/books", data=stream)
    assert begun == []
    server.start()
    client.conn.request("POST", "/books", data=stream)
    assert bodies(server) == [b"whole"]


def test_a_stream_refused_for_its_token_is_not_sent_again_empty(
    tls_server: ScriptedServer, ca: CertificateAuthority, stream: Any
) -> None:
    tls_server.default = RequireBearer("new")
    tokens = iter(["old", "new"])
    client = Client(tls_server, ca, auth=BearerAuth(lambda: next(tokens)))
    with pytest.raises(exceptions.HTTPUnauthorized):
        client.conn.request("POST", "/books", data=stream)
    assert bodies(tls_server) == [WHOLE]


def test_a_stream_in_a_digest_dance_is_not_sent_again_empty(
    tls_server: ScriptedServer, ca: CertificateAuthority, stream: Any
) -> None:
    tls_server.default = RequireDigest("reader", "secret")
    client = Client(tls_server, ca, auth=HTTPDigestAuth("reader", "secret"))
    try:
        client.conn.request("POST", "/books", data=stream)
    except exceptions.SleepwalkerException:
        assert bodies(tls_server) in ([], [WHOLE])
    else:  # requests' own Digest doesn't ask a file whether it can seek
        assert bodies(tls_server) == [WHOLE, WHOLE]
    assert client.in_flight == 0


# --- replays and redirects ------------------------------------------------------------------------


def test_a_body_in_a_digest_dance_is_the_same_both_times(
    tls_server: ScriptedServer, ca: CertificateAuthority, given: Given
) -> None:
    tls_server.default = RequireDigest("reader", "secret")
    client = Client(tls_server, ca, auth=HTTPDigestAuth("reader", "secret"))
    client.conn.request("POST", "/books", **given.arguments)
    first, second = bodies(tls_server)
    assert first == second
    assert given.wire in {None, first}


def test_a_digest_dance_after_a_lost_answer_has_the_same_body_every_time(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    lost = iter([reset_after_reading()])
    guard = RequireDigest("reader", "secret", then=lambda _: next(lost, respond(201)))
    tls_server.default = guard
    client = Client(tls_server, ca, auth=HTTPDigestAuth("reader", "secret"))
    client.conn.request("PUT", "/books/1", data=at(5))
    assert set(bodies(tls_server)) == {WHOLE[5:]}
    assert client.wire_attempts == tls_server.count()


def test_a_body_whose_token_was_renewed_is_the_same_both_times(
    tls_server: ScriptedServer, ca: CertificateAuthority, given: Given
) -> None:
    tls_server.default = RequireBearer("new")
    tokens = iter(["old", "new"])
    client = Client(tls_server, ca, auth=BearerAuth(lambda: next(tokens)))
    client.conn.request("POST", "/books", **given.arguments)
    first, second = bodies(tls_server)
    assert first == second
    assert given.wire in {None, first}


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_body_sends_the_same_again(
    server: ScriptedServer, given: Given, status: int
) -> None:
    server.script(redirect(status, "/other"), respond(503))
    client = Client(server)
    client.conn.request("PUT", "/books/1", **given.arguments)
    assert lines(server) == ["PUT /books/1", "PUT /other", "PUT /other"]
    sent = bodies(server)
    assert set(sent) == {sent[0] if given.wire is None else given.wire}


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_needs_a_stream_again_is_an_error(
    server: ScriptedServer, stream: Any, status: int
) -> None:
    server.script(redirect(status, "/other"))
    with pytest.raises(exceptions.RedirectError) as caught:
        Client(server).conn.request("PUT", "/books/1", data=stream)
    assert "rewound" in str(caught.value)
    assert caught.value.response.status_code == status
    assert lines(server) == ["PUT /books/1"]
    assert bodies(server) == [WHOLE]


def test_a_redirect_that_drops_the_body_needs_no_stream_again(
    server: ScriptedServer, stream: Any
) -> None:
    server.script(redirect(303, "/made"), respond(503))
    Client(server).conn.request("POST", "/books", data=stream)
    assert lines(server) == ["POST /books", "GET /made", "GET /made"]
    assert bodies(server) == [WHOLE, b"", b""]


# --- what went wrong with the file ----------------------------------------------------------------


def test_a_file_that_was_closed_meanwhile_is_an_error_that_leaves_the_outcome_unknown(
    server: ScriptedServer,
) -> None:
    server.script(reset_after_reading())
    file = at(3)
    client = Client(server)
    client.clock.at_next_sleep(file.close)
    with pytest.raises(exceptions.SleepwalkerException) as caught:
        client.conn.request("PUT", "/books/1", data=file)
    assert bodies(server) == [WHOLE[3:]]
    assert caught.value.attempts == 1
    assert caught.value.outcome_unknown
    assert client.in_flight == 0


def test_a_file_that_can_not_be_wound_back_after_all_is_an_error(
    server: ScriptedServer,
) -> None:
    class Liar(io.BytesIO):
        def seek(self, position: int, whence: int = 0) -> int:
            if position == 3 and whence == 0 and self.armed:
                raise OSError("no")
            return super().seek(position, whence)

        armed = False

    file = Liar(WHOLE)
    file.seek(3)
    server.script(respond(503))
    client = Client(server)

    def arm() -> None:
        file.armed = True

    client.clock.at_next_sleep(arm)
    with pytest.raises(exceptions.SleepwalkerException) as caught:
        client.conn.request("PUT", "/books/1", data=file)
    assert bodies(server) == [WHOLE[3:]]
    assert caught.value.attempts == 1


def test_a_closed_file_is_refused_before_anything_is_sent(
    server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "book"
    path.write_bytes(WHOLE)
    with path.open("rb") as file:
        pass
    client = Client(server)
    with pytest.raises(ValueError, match="closed"):
        client.conn.request("PUT", "/books/1", data=file)
    assert server.count() == 0
    assert client.in_flight == 0
