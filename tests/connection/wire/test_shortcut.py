"""The short way through a socket: what is written, and what is made of the answer, is the same."""

from __future__ import annotations

import gzip
import itertools
import os
import socket
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from requests.auth import HTTPDigestAuth

from sleepwalker import Policy
from sleepwalker.connection._wire import Reply
from sleepwalker.resilience.policy import ResponseLimits
from tests.connection.wire.scripted import connected, network, outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sleepwalker import Connection

TWICE: Final = Policy(attempts=2, breaker=None, quota=None)

# Whatever is answered

STATUS_LINES: Final = (
    b"HTTP/1.1 200 OK",
    *(b"HTTP/1.1 %d Something" % status for status in (201, 204, 304, 301, 401, 404, 503, 599)),
    *(b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 200  two  spaces ", b"HTTP/1.0 200 OK"),
    *(b"HTTP/1.1 600 No", b"HTTP/1.1 99 No", b"HTTP/2 200 OK", b"HTTP/1.1 200 caf\xe9", b""),
    *(b"HTTP/1.1 101 Switching", b"http/1.1 200 OK", b"HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK"),
)
INTERIM: Final = (b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\n")
LINES: Final = (
    *(b"Content-Type: text/html", b"content-type: text/plain; charset=utf-8", b"Content-Type:"),
    *(b"Content-Type: application/json", b"Content-Type: text/html; charset=nonsense"),
    *(
        b"Set-Cookie: a=1; Path=/",
        b"set-cookie: b=2; Expires=Wed, 01 Jan 2098 00:00:00 GMT",
        b"Set-Cookie2: c=3",
    ),
    *(b"Set-Cookie: d=4; Domain=elsewhere.example", b'Set-Cookie: e="5, 6"; HttpOnly'),
    *(b"Connection: close", b"Connection: keep-alive", b"connection: Close, x", b"Connection: x"),
    *(b"X-A: 1", b"x-a: 2", b"X-A:", b"X-A: \t padded \t ", b"X-A: caf\xe9", b"X-A: a\x85b"),
    *(b"X-A: folded\r\n more", b" : no name", b"no colon", b"X A: space", b"X-A : space", b":"),
    *(b"X-A: a\rb", b"X-A: a\nX-B: b", b"X-A: a\x00b", b"X-A: a\x7fb", b"X-A: \x1f", b"X\xe9: 1"),
    *(b"Location: /elsewhere", b'Link: </2>; rel="next"', b"Retry-After: 1", b"Date: today"),
    *(b"Keep-Alive: timeout=1", b"Trailer: X", b"Upgrade: h2c", b"Proxy-Connection: close"),
)
FRAMINGS: Final = (
    *("length", "length", "chunked", "chunked", "none", "both", "short", "long", "twice"),
    *("unlike", "listed", "odd", "zeros", "CHUNKED", "gzip, chunked", "chunked twice", "identity"),
    *("large chunks", "extension", "trailers", "bad size", "no end", "bad end", "bare newlines"),
)
BODIES: Final = (b"", b"ok", b'{"a": "caf\xc3\xa9"}', b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 3000)


def deflated(body: bytes, window: int) -> bytes:
    packer = zlib.compressobj(wbits=window)
    return packer.compress(body) + packer.flush()


CODINGS: Final[dict[str, Any]] = {
    "": lambda body: body,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": lambda body: deflated(body, -15),
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    "gzip ": lambda body: gzip.compress(body) + gzip.compress(b"more"),
    "gzip\t": lambda body: gzip.compress(body) + b"\0\0",
    "identity": lambda body: body,
    "unknown": lambda body: body,
    "gzip  ": lambda body: gzip.compress(body)[:-3],
    " gzip": lambda body: body,
    "deflate ": lambda body: zlib.compress(body)[:-1],
}


def chunks(body: bytes, size: int, extension: bytes = b"") -> bytes:
    made = b""
    for begin in range(0, len(body), size):
        part = body[begin : begin + size]
        made += b"%x%s\r\n%s\r\n" % (len(part), extension, part)
    return made + b"0\r\n\r\n"


def framed(framing: str, body: bytes) -> tuple[list[bytes], bytes]:
    """Give the headers that say where a body ends, and what comes behind the head."""
    length, chunked = b"Content-Length: %d", b"Transfer-Encoding: chunked"
    size = len(body)
    if framing in FRAMED:
        return [each.replace(b"%d", b"%d" % size) for each in FRAMED[framing]], body
    kinds = {
        "chunked": chunks(body, 5),
        "large chunks": chunks(body, 1 << 20),
        "CHUNKED": chunks(body, 7),
        "extension": chunks(body, 5, b";a=b"),
        "trailers": chunks(body, 5)[:-2] + b"X-Trailer: 1\r\n\r\n",
        "bad size": b"-1\r\n" + chunks(body, 5),
        "no end": chunks(body, 5)[:-2],
        "bad end": chunks(body, 5).replace(b"\r\n0", b"xx0"),
        "bare newlines": chunks(body, 5).replace(b"\r\n", b"\n"),
        "both": chunks(body, 5),
        "gzip, chunked": chunks(body, 5),
        "chunked twice": chunks(body, 5),
    }
    headers = {
        "CHUNKED": [b"transfer-encoding: CHUNKED"],
        "both": [length % size, chunked],
        "gzip, chunked": [b"Transfer-Encoding: gzip, chunked"],
        "chunked twice": [chunked, chunked],
    }
    return headers.get(framing, [chunked]), kinds[framing]


FRAMED: Final = {
    "length": [b"Content-Length: %d"],
    "none": [],
    "short": [b"Content-Length: 1"],
    "long": [b"Content-Length: 4000"],
    "twice": [b"Content-Length: %d", b"content-length: %d"],
    "unlike": [b"Content-Length: %d", b"Content-Length: 1"],
    "listed": [b"Content-Length: %d, %d"],
    "odd": [b"Content-Length: +2"],
    "zeros": [b"Content-Length: 0000%d"],
    "identity": [b"Transfer-Encoding: identity"],
}
BEHIND: Final = (
    b"",
    b"",
    b"",
    b"x",
    b"\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond",
)
TROUBLES: Final = (ConnectionResetError(104, "reset"), TimeoutError("timed out"), OSError(5, "odd"))
LIMITS: Final = (
    *(None, ResponseLimits(), ResponseLimits(), ResponseLimits(body=2), ResponseLimits(body=100)),
    *(ResponseLimits(headers=2), ResponseLimits(header_bytes=80)),
)


@st.composite
def answers(draw: st.DrawFn) -> list[Any]:
    """Give what comes of an answer, read by read."""

    def pick(options: Sequence[Any]) -> Any:
        return draw(st.sampled_from(options))

    body, framing, coding = pick(BODIES), pick(FRAMINGS), pick(("", "", *CODINGS))
    said, sent = framed(framing, CODINGS[coding](body))
    usual = draw(st.integers(0, 3))
    lines = [b"HTTP/1.1 200 OK" if usual else pick(STATUS_LINES), *said]
    if coding:
        lines.insert(draw(st.integers(1, len(lines))), b"Content-Encoding: " + coding.encode())
    for line in draw(st.lists(st.sampled_from(LINES), max_size=4)):
        lines.insert(draw(st.integers(1, len(lines))), line)
    whole = (b"" if usual else pick(INTERIM)) + b"\r\n".join(lines) + b"\r\n\r\n" + sent
    whole += pick(BEHIND)
    if draw(st.integers(0, 4)) == 0:
        whole = whole[: draw(st.integers(0, len(whole)))]
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces: list[Any] = [whole[begin:end] for begin, end in itertools.pairwise([0, *cuts, None])]
    pieces = [piece for piece in pieces if piece]
    if draw(st.integers(0, 4)) == 0:
        pieces.append(pick(TROUBLES))
    return pieces


def same_both_ways(pieces: list[Any], **request: Any) -> dict[str, Any]:
    """Hold the short way to the long one; give what is seen on both."""
    long = outcome(pieces, short=False, **request)
    short = outcome(pieces, short=True, **request)
    assert short == long
    return short


@examples(max_examples=100)
@given(answers(), st.sampled_from(("GET", "GET", "POST", "HEAD")), st.sampled_from(LIMITS))
def test_whatever_is_answered_comes_to_the_same(
    pieces: list[Any], method: str, limits: ResponseLimits | None
) -> None:
    policy = replace(TWICE, response_limits=limits)
    same_both_ways(pieces, method=method, policy=policy)


LAST_CLOSES: Final = (
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
)
LENGTHS_APART: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
CHUNKS_WITHOUT_BODY: Final = (
    b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
)
USUAL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\r\nx: b\r\n\r\nok"
CHUNKED: Final = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("method", "pieces"),
    [
        ("GET", [LAST_CLOSES]),
        ("HEAD", [LENGTHS_APART]),
        ("HEAD", [b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n"]),
        ("GET", [CHUNKS_WITHOUT_BODY]),
        ("GET", [CHUNKS_WITHOUT_BODY[:-8], TROUBLES[0]]),
        ("GET", [CHUNKED[:-7] + b"1" * 70_000]),
    ],
    ids=range(6),
)
def test_what_once_came_to_something_else_comes_to_the_same(method: str, pieces: list[Any]) -> None:
    same_both_ways(pieces, method=method, policy=TWICE)


@pytest.mark.parametrize("answer", [USUAL, CHUNKED])
@pytest.mark.parametrize("short", [False, True])
def test_either_way_is_gone_where_it_is_to_be(answer: bytes, *, short: bool) -> None:
    with network(short=short) as net, connected(TWICE) as conn:
        for _ in range(2):
            net.sockets[0].pieces = [answer]
            response = conn.request("POST", "/", data=b"body", headers={"X": b"\xff"})
            assert response.content == b"ok"
            assert (type(response) is Reply) == short


UNWRITTEN: Final = (
    *(BrokenPipeError(32, "broken"), ConnectionResetError(104, "reset"), OSError(91, "type")),
    *(TimeoutError("timed out"), OSError(5, "odd"), ConnectionAbortedError(103, "aborted")),
)


@pytest.mark.parametrize("trouble", UNWRITTEN, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("answer", [[USUAL], [USUAL[:-1]], [], [TROUBLES[0]]], ids=range(4))
def test_what_can_not_be_written_comes_to_the_same(
    trouble: OSError, method: str, answer: list[Any]
) -> None:
    found = same_both_ways(answer, method=method, unwritten=trouble, data=b"body", policy=TWICE)
    # Nothing was written to this one, whatever became of the request.
    assert found["asked"][0] == b""


@pytest.mark.parametrize("answer", [USUAL, CHUNKED], ids=["counted", "in chunks"])
def test_wherever_an_answer_is_cut_in_two_or_off_it_comes_to_the_same(answer: bytes) -> None:
    whole = outcome([answer], short=False, policy=TWICE)
    assert whole["content"] == b"ok"
    for cut in range(1, len(answer)):
        assert outcome([answer[:cut], answer[cut:]], short=True, policy=TWICE) == whole
        if cut % 2:
            cut_off = [answer[:cut], *([], [TROUBLES[0]], [TROUBLES[1]])[cut % 3]]
            same_both_ways(cut_off, method="POST", policy=TWICE)


# Whatever is asked

PATH: Final = "abcXYZ019-._~!$&'()*+,;=:@/"
targets = st.one_of(
    st.text(PATH, max_size=8),
    st.text(PATH + '?%[]<>"{}|\\^`# \xe9\u0142', max_size=8),
    st.sampled_from(("%41", "%7e", "%2F", "%zz", "a/../b", "./a", "a//b", "?", "?a?b", "?%2f=%C3")),
)
names = st.sampled_from(
    (
        *("Accept", "ACCEPT", "X-A", "x-a", "User-Agent", "Accept-Encoding", "Connection"),
        *("Host", "Cookie", "Content-Type", "Content-Length", "Transfer-Encoding", "Expect"),
    )
)
values = st.one_of(
    st.none(),
    st.text('a1 \t;,="caf\xe9\xff\x7f\x01', max_size=6),
    st.binary(max_size=4),
    st.sampled_from(("chunked", "0", "2", "close", "@@@SKIP_HEADER@@@", "a\rb", "a\nb", " ")),
)
bodies = st.one_of(
    st.none(),
    st.sampled_from((b"", b"ok", "text", {"a": "1"}, b"z" * 16_000, b"z" * 16_384, b"z" * 40_000)),
)


@examples(max_examples=80)
@given(
    targets,
    st.sampled_from(("GET", "HEAD", "POST", "put", "DELETE", "PATCH", "OPTIONS", "X-OWN", "TRACE")),
    st.dictionaries(names, values, max_size=4),
    bodies,
)
def test_whatever_is_asked_is_written_byte_for_byte_the_same(
    target: str, method: str, headers: dict[str, Any], data: Any
) -> None:
    same_both_ways(
        [USUAL], method=method, target="/" + target, headers=headers, data=data, policy=TWICE
    )


class Sets:
    """An auth that sets something of a request late, when nobody looks at it any more."""

    def __init__(self, **late: Any) -> None:
        self._late = late

    def __call__(self, request: Any) -> Any:
        for name, value in self._late.items():
            if name == "headers":
                request.headers.update(value)
            else:
                setattr(request, name, value)
        return request


@pytest.mark.parametrize(
    "late",
    [
        {"method": "GET /smuggled HTTP/1.1\r\nX: y"},
        {"method": "G\xc9T"},
        {"method": "GET /smuggled"},
        {"method": "get"},
        {"headers": {b"X-Bytes": b"\xff"}},
        {"headers": {"X-Bytes": b"\xff"}},
        {"headers": {"": "empty"}},
        {"headers": {"X Y": "space"}},
        {"headers": {"X:Y": "colon"}},
        {"headers": {"X": 3}},
        {"headers": {"X": None}},
        {"headers": {"X": ["a"]}},
        {"headers": {"Content-Length": "0"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"body": b"of another length"},
        {"body": "text"},
        {"body": bytearray(b"two")},
        {"url": "http://127.0.0.1:9/%7e/\xe9?a b#c"},
        {"url": "http://127.0.0.1:9//double"},
        {"url": "http://127.0.0.1:9"},
        {"url": "http://127.0.0.1:9?query"},
    ],
    ids=repr,
)
def test_what_an_auth_sets_late_is_written_the_same(late: dict[str, Any]) -> None:
    same_both_ways([USUAL], method="POST", data=b"ok", auth=Sets(**late), policy=TWICE)


# Whatever was changed before


def session(**attributes: Any) -> Callable[[Connection], None]:
    """Set attributes of the session."""

    def change(conn: Connection) -> None:
        for name, value in attributes.items():
            setattr(conn.session, name, value)

    return change


CHANGES: Final[dict[str, Callable[[Any], object]]] = {
    "a header": lambda conn: conn.session.headers.update({"X": "1"}),
    "a header of bytes": lambda conn: conn.session.headers.update({"X": b"\xff"}),
    "a header that is None": lambda conn: conn.session.headers.update({"Accept": None}),
    "no default": lambda conn: conn.session.headers.pop("User-Agent"),
    "no headers": lambda conn: conn.session.headers.clear(),
    "other headers": session(headers={"accept": "x", "Accept": "y"}),
    "a host": lambda conn: conn.session.headers.update({"Host": "elsewhere.example"}),
    "common headers": lambda conn: conn.add_headers({"X": "1", "accept": None}),
    "a cookie": lambda conn: conn.session.cookies.set("a", "1"),
    "cookies in a dict": session(cookies={"a": "1"}),
    "auth": session(auth=("user", "secret"), allow_plaintext=True),
    "params": session(params={"a": "1"}),
    "no trust": session(trust_env=False),
    "verify": session(verify=False),
    "a certificate that is not there": session(cert="/not/there.pem"),
    "a bundle that is not there": session(verify="/not/there.pem"),
    "a proxy": session(proxies={"http": "http://127.0.0.1:8"}),
    "a proxy for others": session(proxies={"http://elsewhere.example": "http://127.0.0.1:8"}),
    "a proxy in the environment": lambda _: os.environ.update(HTTP_PROXY="http://127.0.0.1:8"),
    "no proxy": lambda _: os.environ.update(HTTP_PROXY="http://127.0.0.1:8", NO_PROXY="127.0.0.1"),
    "a bundle in the environment": lambda _: os.environ.update(REQUESTS_CA_BUNDLE="/not/there"),
    "a hook": lambda conn: conn.session.hooks["response"].append(with_another_text),
    "stream": session(stream=True),
    "no redirects": session(max_redirects=0),
}


REDIRECT: Final = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /2\r\n\r\n"


def with_another_text(response: Any, **_: Any) -> Any:
    response.encoding = "utf-16"
    return response


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_is_changed_between_two_requests_counts_the_same(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    seen = []
    for short in (False, True):
        for name in ("HTTP_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        seen.append(outcome([REDIRECT, USUAL], short=short, change=CHANGES[what], policy=TWICE))
    assert seen[0] == seen[1]


def test_a_hook_of_the_request_is_called() -> None:
    found = same_both_ways([USUAL], hooks={"response": with_another_text}, policy=TWICE)
    assert found["encoding"][0] == "utf-16"


CHALLENGE: Final = (
    b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n"
    b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5\r\n\r\n'
)


def test_digest_answers_its_challenge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda size: b"0" * size)
    monkeypatch.setattr("time.ctime", lambda *_: "now")
    found = [
        outcome([CHALLENGE, USUAL], short=short, auth=HTTPDigestAuth("u", "p"), policy=TWICE)
        for short in (False, True)
    ]
    assert found[0] == found[1]
    assert found[0]["asked"][0].count(b"Authorization: Digest") == 1


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://127.0.0.1:443", "127.0.0.1:443"),
        ("http://[::1]", "[::1]"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://host.example.", "host.example"),
        ("http://HOST.example:8080/base", "host.example:8080"),
        ("http://b\xfccher.example", "xn--bcher-kva.example"),
        ("http://under_score.example", "under_score.example"),
    ],
)
def test_every_host_is_named_the_same(url: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(_: Any, port: Any, *__: Any, **___: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port or 0)))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    asked = same_both_ways([USUAL], url=url, policy=TWICE)["asked"][0]
    assert f"\r\nHost: {host}\r\n".encode() in asked


def test_what_is_done_to_an_answer_takes_no_cookie_away() -> None:
    for short in (False, True):
        with network(short=short) as net, connected(TWICE) as conn:
            net.sockets[0].pieces = [
                b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"
            ]
            response = conn.request("GET", "/")
            response.headers.clear()
            assert response.cookies.get_dict() == {"a": "1"}
            assert response.raw.headers.getlist("set-cookie") == ["a=1"]
