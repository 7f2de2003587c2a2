"""Request bodies that are sent again: byte for byte the same, or not at all.

Rule: no attempt ever carries a part of a body, or an empty one in the place of one that is used up.
"""

from __future__ import annotations

import array
import io
import os
import tempfile
import threading
from collections import deque
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


# --- a body that is not as long as it was to be ---------------------------------------------------


class Changing(io.BytesIO):
    """A file that is changed when it has been read so often."""

    def __init__(self, data: bytes, change: Callable[[io.BytesIO], object], *, at: int = 1) -> None:
        super().__init__(data)
        self._reads = 0
        self._change = change
        self._at = at

    def read(self, size: int | None = -1) -> bytes:
        """Read, and change before."""
        self._reads += 1
        if self._reads == self._at:
            self._change(self)
        return super().read(size)


def grow(file: io.BytesIO) -> None:
    """Write something at the end that looks like a request, as a log that is written to may."""
    position = file.tell()
    file.seek(0, io.SEEK_END)
    file.write(b"DELETE /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    file.seek(position)


def shrink(file: io.BytesIO) -> None:
    """Cut it off."""
    file.truncate(4321)


class Counted:
    """Parts, with a `len` that may be anything: that of its parts, for instance."""

    def __init__(self, length: int, *parts: Any) -> None:
        self._length = length
        self._parts = parts

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parts)


def text_file(text: str, encoding: str = "utf-8", newline: str | None = None) -> Any:
    """A file on the disk that is read as text."""
    file = tempfile.TemporaryFile("w+", encoding=encoding, newline="")  # noqa: SIM115 - as above
    file.write(text)
    file.seek(0)
    file.reconfigure(newline=newline)
    return file


MISCOUNTED: Final[dict[str, Callable[[], Any]]] = {
    "a file that grows": lambda: Changing(WHOLE, grow),
    "a large file that grows": lambda: Changing(LARGE, grow, at=5),
    "a file that shrinks": lambda: Changing(WHOLE, shrink),
    "a large file that shrinks": lambda: Changing(LARGE, lambda file: file.truncate(), at=5),
    "text in memory that is longer as bytes": lambda: io.StringIO("Bücher" * 100),
    "a deque": lambda: deque([b"abc", b"DELETE /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"]),
    "a len that is too small": lambda: Counted(2, b"abc", b"def"),
    "a len that is too large": lambda: Counted(7, b"abc", b"def"),
    "a len that is too large for nothing": lambda: Counted(7),
    "a len of text that is longer as bytes": lambda: Counted(6, "Büch", "er"),
}


@pytest.mark.parametrize("make", MISCOUNTED.values(), ids=list(MISCOUNTED))
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_body_that_is_not_as_long_as_announced_never_arrives_as_a_whole_one(
    server: ScriptedServer, make: Callable[[], Any], method: str
) -> None:
    client = Client(server)
    with pytest.raises(exceptions.ConfigurationError, match="bytes that it was to have") as caught:
        client.conn.request(method, "/books/1", data=make())
    assert caught.value.attempts == 1
    assert not caught.value.outcome_unknown
    # What was sent of it is no part of the next request, nor one of its own.
    client.conn.request("GET", "/next")
    assert lines(server) == ["GET /next"]
    assert len(server.connections) == 2
    assert client.retries == {}


@pytest.mark.filterwarnings("ignore::requests.exceptions.FileModeWarning")
@pytest.mark.parametrize(
    ("text", "encoding", "newline"),
    [("Bücher" * 100, "latin-1", ""), ("a\r\nb" * 100, "utf-8", None)],
    ids=["another encoding", "line ends that are translated"],
)
def test_a_text_file_whose_text_has_another_length_than_the_file_is_refused(
    server: ScriptedServer, text: str, encoding: str, newline: str | None
) -> None:
    client = Client(server)
    with (
        text_file(text, encoding, newline) as file,
        pytest.raises(exceptions.ConfigurationError, match="bytes that it was to have"),
    ):
        client.conn.request("PUT", "/books/1", data=file)
    client.conn.request("GET", "/next")
    assert lines(server) == ["GET /next"]


@pytest.mark.filterwarnings("ignore::requests.exceptions.FileModeWarning")
def test_text_of_the_same_length_is_sent_as_utf_8_every_time(server: ScriptedServer) -> None:
    server.script(respond(503), respond(503))
    client = Client(server)
    with text_file("Bücher") as file:
        client.conn.request("PUT", "/books/1", data=file)
    client.conn.request("PUT", "/books/2", data=io.StringIO("books"))
    assert bodies(server) == ["Bücher".encode()] * 3 + [b"books"]


@pytest.mark.parametrize("change", [grow, shrink])
def test_a_file_that_changes_its_length_between_attempts_is_not_sent_again(
    server: ScriptedServer, change: Callable[[io.BytesIO], None]
) -> None:
    server.script(reset_after_reading())
    file, client = at(0), Client(server)
    client.clock.at_next_sleep(lambda: change(file))
    with pytest.raises(exceptions.ConfigurationError) as caught:
        client.conn.request("PUT", "/books/1", data=file)
    client.conn.request("GET", "/next")
    assert lines(server) == ["PUT /books/1", "GET /next"]
    assert bodies(server)[0] == WHOLE
    assert caught.value.attempts == 2
    # That of the first attempt.
    assert caught.value.outcome_unknown


def test_memory_that_changes_its_length_between_attempts_is_not_sent_again(
    server: ScriptedServer,
) -> None:
    server.script(respond(503))
    body, client = bytearray(WHOLE), Client(server)
    client.clock.at_next_sleep(lambda: body.extend(b"more"))
    with pytest.raises(exceptions.ConfigurationError, match="it has grown"):
        client.conn.request("PUT", "/books/1", data=body)
    assert bodies(server) == [WHOLE]


def test_a_file_that_changes_while_it_is_sent_again_after_a_redirect_is_an_error(
    server: ScriptedServer,
) -> None:
    server.script(redirect(307, "/other"))
    client = Client(server)
    with pytest.raises(exceptions.ConfigurationError):
        client.conn.request("PUT", "/books/1", data=Changing(WHOLE, shrink, at=3))
    assert lines(server) == ["PUT /books/1"]


class Slowly(io.BytesIO):
    """A file that never gives as much as it is asked for."""

    def read(self, size: int | None = -1) -> bytes:
        """Read a few bytes."""
        return super().read(min(size or 7, 7) if (size or 0) >= 0 else 7)


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda: Slowly(WHOLE), WHOLE),
        (lambda: iter(()), b""),
        (lambda: iter([b"", b"abc", b""]), b"abc"),
        (lambda: Counted(6, b"abc", b"", b"def", b""), b"abcdef"),
        (lambda: Counted(9, "Büch", b"er", None, memoryview(b"!!")), b"B\xc3\xbccher!!"),
        (lambda: Counted(0, b"abc"), b"abc"),
    ],
    ids=["short reads", "no parts", "empty parts", "a true len", "a true len of all kinds", "none"],
)
def test_a_body_that_is_as_long_as_announced_arrives_whole(
    server: ScriptedServer, make: Callable[[], Any], meant: bytes
) -> None:
    client = Client(server)
    client.conn.request("PUT", "/books/1", data=make())
    client.conn.request("GET", "/next")
    assert lines(server) == ["PUT /books/1", "GET /next"]
    assert bodies(server) == [meant, b""]
    assert len(server.connections) == 1


def test_files_of_a_form_begin_where_they_are(server: ScriptedServer) -> None:
    server.script(reset_after_reading(), respond(503))
    Client(server).conn.request("PUT", "/books/1", files={"book": at(len(WHOLE) - 5)})
    first, *others = bodies(server)
    assert b"\r\n\r\n" + WHOLE[-5:] + b"\r\n--" in first
    assert others == [first, first]


@pytest.mark.parametrize("data", [b"0123456789", io.BytesIO(b"0123456789"), {"a": "b" * 8}])
def test_a_content_length_of_the_callers_gives_way_to_the_bodys(
    server: ScriptedServer, data: Any
) -> None:
    Client(server).conn.request("PUT", "/books/1", data=data, headers={"Content-Length": "5"})
    assert server.requests[0].headers.get_all("Content-Length") == ["10"]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("data", [None, b"", "", {}])
def test_a_content_length_for_no_body_is_refused(
    server: ScriptedServer, method: str, data: Any
) -> None:
    # The server would take the beginning of the next request for the body.
    with pytest.raises(exceptions.HeaderError, match="there is none"):
        Client(server).conn.request(method, "/", data=data, headers={"Content-Length": "5"})
    assert server.connections == []


def test_a_content_length_of_nothing_for_no_body_is_none_of_our_business(
    server: ScriptedServer,
) -> None:
    Client(server).conn.request("DELETE", "/", headers={"Content-Length": "0"})
    assert server.requests[0].headers.get_all("Content-Length") == ["0"]


# --- what the body itself raises ------------------------------------------------------------------


class Broken(io.BytesIO):
    """A file that can be read in part."""

    def __init__(self, error: Exception) -> None:
        super().__init__(WHOLE)
        self._error = error
        self._reads = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read, but only once."""
        del size
        self._reads += 1
        if self._reads > 1:
            raise self._error
        return super().read(100)


def broken_parts(error: Exception) -> Iterator[bytes]:
    """A generator that gives one part."""
    yield WHOLE[:100]
    raise error


@pytest.mark.parametrize("make", [Broken, broken_parts])
@pytest.mark.parametrize("mine", [OSError(5, "disk"), ConnectionResetError("mine"), KeyError("k")])
def test_a_body_that_raises_midway_is_the_callers_own_error_and_arrives_nowhere(
    server: ScriptedServer, make: Callable[[Exception], Any], mine: Exception
) -> None:
    client = Client(server)
    with pytest.raises(type(mine)) as caught:
        client.conn.request("PUT", "/books/1", data=make(mine))
    assert caught.value is mine
    client.conn.request("GET", "/next")
    assert lines(server) == ["GET /next"]
    assert client.retries == {}
    assert client.in_flight == 0


def test_a_pipe_that_does_not_wait_is_refused_rather_than_cut_off(server: ScriptedServer) -> None:
    # "Nothing yet" looks like the end to whoever does not know the difference.
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", buffering=0) as file, os.fdopen(writing, "wb") as end:
        end.write(b"half")
        end.flush()
        client = Client(server)
        with pytest.raises(exceptions.ConfigurationError, match="blocking"):
            client.conn.request("PUT", "/books/1", data=file)
    client.conn.request("GET", "/next")
    assert lines(server) == ["GET /next"]


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
