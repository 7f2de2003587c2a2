"""The head of an answer: read the short way it is what http.client reads, and leaves the same."""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sleepwalker.connection._wire._answer import Answer
from sleepwalker.connection._wire._limits import LINE, TooMuch
from sleepwalker.connection._wire._reading import USUAL
from sleepwalker.connection._wire._watch import watching
from sleepwalker.resilience.policy import ResponseLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY: Final = b"3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 next\r\n\r\n"
"""What comes behind the head, whatever that says of it; there is more than one way to read it."""


class Limited:
    """A watch of which only the limits are asked."""

    def __init__(self, limits: ResponseLimits | None) -> None:
        self.response_limits = limits


class Bytes:
    """A socket that has these bytes, and is at its end."""

    def __init__(self, data: bytes) -> None:
        self.stream = io.BytesIO(data)

    def makefile(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return self.stream


class Long(Answer):
    """An answer that is never read the short way."""

    def _begun_as_usual(self) -> bool:
        return False


class Read(NamedTuple):
    """What is known of an answer, or what was raised instead, and what is left in the stream."""

    known: Any
    left: bytes
    body: Any


def read(
    kind: type[Answer], data: bytes, method: str = "GET", limits: ResponseLimits | None = None
) -> Read:
    """Read an answer."""
    sock = Bytes(data)
    answer: Any = kind(sock, method=method)
    with watching(Limited(limits)):  # type: ignore[arg-type] # nothing else is asked of it
        try:
            answer.begin()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            closed = sock.stream.closed
            return Read((type(error), str(error)), b"" if closed else sock.stream.read(), None)
    known = {
        name: getattr(answer, name)
        for name in (
            *("status", "code", "reason", "version", "length"),
            *("chunked", "chunk_left", "will_close", "debuglevel"),
        )
    }
    known["types"] = {name: type(value) for name, value in known.items()}
    known["headers"] = answer.getheaders()
    known["shared"] = answer.headers is answer.msg
    known["asked"] = [answer.getheader(name) for name in ("CONTENT-LENGTH", "x-a", "none")]
    at = sock.stream.tell()
    left = sock.stream.read()
    sock.stream.seek(at)
    return Read(known, left, _body_of(answer))


def _body_of(answer: Answer) -> Any:
    try:
        return answer.read(), answer.isclosed()
    except Exception as error:  # noqa: BLE001 - as above
        return type(error), str(error)


def same(data: bytes, method: str = "GET", limits: ResponseLimits | None = None) -> Read:
    """Read an answer both ways, and give what was read."""
    short, long = (read(kind, data, method, limits) for kind in (Answer, Long))
    assert short == long
    return short


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """Give a head of these headers, and what is behind it."""
    return b"".join(line + b"\r\n" for line in (status, *lines, b"")) + BODY


@pytest.fixture
def long_ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often http.client read a head."""
    taken: list[str] = []
    original = vars(Answer)["_begun_as_usual"]

    def begun(answer: Answer) -> bool:
        done: bool = original(answer)
        if not done:
            taken.append("long")
        return done

    monkeypatch.setattr(Answer, "_begun_as_usual", begun)
    return taken


STATUSES: Final = (
    *(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 204 No Content"),
    *(b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 599 x", b"HTTP/1.1 302 a  b ", b"HTTP/1.1 500 \xe9"),
    *(b"HTTP/1.1 200", b"HTTP/1.1  200 OK", b"HTTP/1.1 200  OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1"),
    *(b"HTTP/1.0 200 OK", b"HTTP/1.2 200 OK", b"HTTP/2 200 OK", b"http/1.1 200 OK", b"ICY 200 OK"),
    *(b"HTTP/1.1 099 x", b"HTTP/1.1 600 x", b"HTTP/1.1 999 x", b"HTTP/1.1 1000 x", b"", b" "),
    *(b"HTTP/1.1 +20 x", b"HTTP/1.1 2_0 x", b"HTTP/1.1 abc x", b"HTTP/1.1 200 \x01", b"\x00"),
    *(b"HTTP/1.1 101 Switching", b"HTTP/1.1 200 a\tb", b"HTTP/1.1 200 a\rb", b"HTTP/1.1 200 \x7f"),
)
HEADERS: Final = (
    *(b"Content-Length: 3", b"Content-Length: 0", b"content-length:3", b"Content-Length:\t3 "),
    *(b"Content-Length: 3, 3", b"Content-Length: 3, 4", b"Content-Length: +3", b"Content-Length:"),
    *(b"Content-Length: -3", b"Content-Length: 1_0", b"Content-Length: 0x3", b"Content-Length: 3;"),
    *(b"Content-Length: 00000000000000000003", b"Content-Length: \xb3", b"Content-Length: 3\x0b"),
    *(b"Content-Length: 9999999999999999999", b"Content-Length: 99999999999999999999"),
    *(b"Transfer-Encoding: chunked", b"transfer-encoding: Chunked", b"Transfer-Encoding: gzip"),
    *(b"Transfer-Encoding: chunked ", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding:"),
    *(b"Connection: close", b"Connection: Keep-Alive, Close", b"connection: keep-alive"),
    *(b"Connection: enclosed", b"Connection:", b"Keep-Alive: timeout=5", b"Proxy-Connection: x"),
    *(b"X-A: 1", b"x-a: 2", b"X-A:", b"X-A: ", b"X-A: caf\xe9", b"X-A: \xa0\x85", b"X-A:\t a \t "),
    *(b"X-A: a: b", b"X-A: a\tb", b"!#$%&'*+-.^_`|~: token", b"From: a", b"From a", b"From  a: b"),
    *(b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2", b'Link: <a>; rel="b"', b'ETag: W/"x"'),
    *(b"Content-Type: text/html; charset=utf-8", b"Content-Type: multipart/mixed; boundary=x"),
    *(b"Content-Type: multipart/mixed", b"Content-Type: message/rfc822", b" folded", b"\tfolded"),
    *(b"no colon", b": no name", b"X A: space", b"X-A : space", b"X\xe9: 1", b"X-A: \x00", b"\x00"),
    *(
        b"X-A: a\rb",
        b"X-A: a\r",
        b"X-A: \x1f",
        b"X-A: \x7f",
        b"X-A: a\nX-B: b",
        b"\rX-A: a",
        b"\x0b",
    ),
    *(
        b"X-A: a\x0b",
        b"X-A: a\x0c",
        b"X-A: a\x1cb",
        b"X-A: a\x85b",
        b"X-A: \xc2\x85",
        b"=?utf-8?q?=41?=",
    ),
    b"X-A: =?utf-8?q?=41?=",
)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_status_line_is_read_the_same(method: str) -> None:
    for status in STATUSES:
        for lines in ((), (b"Content-Length: 3",), (b"Transfer-Encoding: chunked",)):
            same(head(*lines, status=status), method)


def test_every_header_is_read_the_same_alone_and_beside_others() -> None:
    for line in HEADERS:
        same(head(line))
        same(head(line, b"Content-Length: 3"))
        same(head(b"Content-Length: 3", line))
        same(head(b"X-B: 1", line, b"X-C: 2"), "HEAD")
        same(head(b"Transfer-Encoding: chunked", line))


def test_bare_line_feeds_are_read_the_same() -> None:
    whole = head(b"X-A: 1", b"Content-Length: 3", status=b"HTTP/1.1 200 OK")
    breaks = [at for at in range(len(whole)) if whole.startswith(b"\r\n", at)][:4]
    for at in breaks:
        same(whole[:at] + whole[at + 1 :])
    same(whole.replace(b"\r\n", b"\n", 4))
    same(whole.replace(b"\r\n", b"\r", 1))
    same(whole.replace(b"\r\n", b"\r\r\n", 2))


def test_a_head_that_is_cut_anywhere_is_read_the_same() -> None:
    whole = head(b"X-A: 1", b"Content-Length: 3")
    for end in range(len(whole) + 1):
        same(whole[:end])
    assert same(whole[: -len(BODY) - 2]).known[0] is http.client.IncompleteRead


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_answers_behind_interim_ones_are_read_the_same(status: bytes) -> None:
    interim = b"HTTP/1.1 " + status + b"\r\nLink: <a>\r\n\r\n"
    for number in (1, 2, 16, 17):
        same(interim * number + head(b"Content-Length: 3"))
        same(interim * number + head(b"odd", b"Content-Length: 3"))
        same(interim * number)


@pytest.mark.parametrize("number", [USUAL - 2, USUAL - 1, USUAL, USUAL + 1, 99, 100, 101, 200])
def test_however_many_headers_there_are_they_are_read_the_same(number: int) -> None:
    made = head(*(b"X-%d: %d" % (each, each) for each in range(number)))
    found = same(made)
    same(made, limits=ResponseLimits())

    assert (number < 100) == isinstance(found.known, dict)


@pytest.mark.parametrize("size", [*range(LINE - 16, LINE - 4), LINE, LINE + 1, 2 * LINE])
def test_however_long_a_line_is_it_is_read_the_same(size: int) -> None:
    same(head(b"X-A: " + b"a" * size))
    same(head(status=b"HTTP/1.1 200 " + b"a" * size))


def test_whoever_has_http_client_take_longer_lines_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("http.client._MAXLINE", 4 * LINE)
    # Where the line would be cut for the first time, and around it.
    for size in (*range(LINE - 10, LINE + 4), 3 * LINE):
        found = same(head(b"X-A: " + b"a" * size, b"Content-Length: 3"))
        assert found.known["headers"][0] == ("X-A", "a" * size)
        assert found.known["length"] == 3
        # As the last one, before the line that ends them; and each byte counts once.
        whole = head(b"Content-Length: 3", b"X-A: " + b"a" * size)
        for missing in (0, 1):
            most = ResponseLimits(header_bytes=len(whole) - len(BODY) - missing)
            assert isinstance(same(whole, limits=most).known, dict) != missing


@pytest.mark.parametrize("line", [b"X-A: 1", b"odd:\x01", b"Content-Length: 3 "])
@pytest.mark.parametrize("interim", [0, 2])
def test_each_byte_of_a_head_counts_once(line: bytes, interim: int) -> None:
    before = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * interim
    whole = before + head(b"X-B: 1", line, b"Content-Length: 3")
    size = len(whole) - len(BODY)

    enough, too_few = (ResponseLimits(header_bytes=most) for most in (size, size - 1))

    assert isinstance(same(whole, limits=enough).known, dict)
    assert same(whole, limits=too_few).known[0] is TooMuch


@pytest.mark.parametrize("line", [b"X-A: 1", b"odd:\x01", b"Content-Length: 3 "])
def test_each_header_counts_once(line: bytes) -> None:
    whole = head(b"X-B: 1", line, b"Content-Length: 3")

    assert isinstance(same(whole, limits=ResponseLimits(headers=3)).known, dict)
    assert same(whole, limits=ResponseLimits(headers=2)).known[0] is TooMuch


lines = st.lists(
    st.one_of(
        st.sampled_from(HEADERS),
        st.builds(
            lambda name, value: name + b":" + value,
            st.sampled_from((b"Content-Length", b"Connection", b"Transfer-Encoding", b"X-A")),
            st.binary(max_size=8),
        ),
    ),
    max_size=6,
)
ends = st.sampled_from((b"\r\n",) * 8 + (b"\n", b"\r", b""))
limited = st.none() | st.builds(
    ResponseLimits,
    headers=st.integers(1, 6),
    header_bytes=st.none() | st.integers(1, 200),
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Draw an answer, maybe one that was cut in its head."""
    parts = [draw(st.sampled_from(STATUSES[:8] + STATUSES)), *draw(lines), b""]
    whole = b"".join(part + draw(ends) for part in parts)
    interim = draw(st.sampled_from((b"", b"", b"HTTP/1.1 103 x\r\nX-A: 1\r\n\r\n")))
    cut = draw(st.none() | st.integers(0, len(whole)))
    return interim + whole[:cut] + (BODY if cut is None else b"")


@examples(max_examples=100)
@given(heads(), st.sampled_from(("GET", "HEAD")), limited)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 3 \r\n\r\n" + BODY, "GET", None)
def test_whatever_comes_is_read_the_same(
    data: bytes, method: str, limits: ResponseLimits | None
) -> None:
    same(data, method, limits)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 3", b"Content-Type: application/json", b"Date: now", b"X-A:"),
        (b"Transfer-Encoding: chunked", b"Connection: keep-alive"),
        (b"Content-Type: text/html", b"Connection: close", b"X-A: caf\xe9 \t"),
    ],
)
def test_what_is_usual_is_read_the_short_way(
    lines: tuple[bytes, ...], long_ways: list[str]
) -> None:
    for status in STATUSES[:7]:
        same(head(*lines, status=status))

    # Those of the comparison.
    assert long_ways == []


@pytest.fixture(params=["http.client.parse_headers", "http.client.HTTPResponse.begin"])
def patched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Put something before what reads heads in http.client; how often it was called."""
    called: list[str] = []
    original = (
        http.client.parse_headers
        if request.param.endswith("parse_headers")
        else http.client.HTTPResponse.begin
    )

    def reading(*args: Any, **kwargs: Any) -> Any:
        called.append(request.param)
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(request.param, reading)
        yield called


def test_who_patches_what_reads_heads_is_called(patched: list[str]) -> None:
    read(Answer, head(b"Content-Length: 3"))

    assert len(patched) == 1


def test_an_answer_that_has_begun_does_not_begin_again() -> None:
    sock = Bytes(head(b"Content-Length: 3"))
    answer = Answer(sock, method="GET")
    answer.begin()
    answer.begin()

    assert (answer.length, answer.read()) == (3, BODY[:3])


def test_whoever_turns_on_debugging_sees_the_headers(capsys: pytest.CaptureFixture[str]) -> None:
    Answer(Bytes(head(b"Content-Length: 3")), debuglevel=1, method="GET").begin()

    assert "header: Content-Length: 3" in capsys.readouterr().out
