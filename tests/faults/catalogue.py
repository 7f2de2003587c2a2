"""The faults, in the order of the way that a request takes.

Rules:

1. A fault happens once, to the first attempt that gets so far, and all is well afterwards; unless
   its name ends with "always", or says of something that it can't be otherwise (a certificate).
2. Answers are spoilt from the good one, so that a part of it is known as such.
"""

from __future__ import annotations

import gzip
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.faults.clients import LARGEST, Times
from tests.faults.kinds import answer_to
from tests.faults.scene import good
from tests.servers import (
    Action,
    Answer,
    CertificateKind,
    close_in_handshake,
    close_without_answer,
    cut,
    flood,
    hang_up,
    informational,
    raw,
    read_slowly,
    refuse_body,
    reset_after_reading,
    reset_before_reading,
    reset_in_handshake,
    respond,
    restart,
    signal,
    stall,
    stall_before_reading,
    stall_handshake,
    trickle,
    trickle_handshake,
    wire,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.scene import Scene
    from tests.servers import Handler, Request

PLENTY: Final = Times(connect=5.0, read=5.0, deadline=10.0)
"""Where nothing stalls, and no timeout is meant to fire however slow the machine."""
STALLING: Final = Times(connect=0.5, read=0.5, deadline=3.0)
"""Where a timeout fires, three times at most, and the deadline does not."""
SLOW: Final = Times(connect=2.0, read=0.5, deadline=1.0)
"""Where no timeout fires, and only the deadline ends it."""
ROOMY: Final = Times(connect=2.0, read=2.0, deadline=1.0)
"""The same where a system tells of room in its buffers in steps so large that writing pauses."""
_INTERVAL: Final = 0.05
"""Seconds between the bytes of a trickle."""
_HUGE: Final = 16 * 2**20
"""Bytes: an upload that no socket buffer takes whole."""

_PATIENCE: Final = 5.0
"""Seconds to wait for what comes for sure."""


@dataclass(frozen=True)
class Fault:
    """One fault."""

    name: str
    story: str
    """What happens, in a sentence."""
    arrange: Callable[[Scene], None]
    times: Times = PLENTY
    primed: bool = False
    """Whether a good request goes before, so that the connection is an idle one."""
    size: int = 4096
    """Bytes of the bodies that are sent."""
    heals: bool = True
    """Whether the scene can be healed, so that the next request must succeed."""


@dataclass(frozen=True)
class Group:
    """Faults of one layer."""

    title: str
    faults: tuple[Fault, ...]


# How a scene is built


def once(*answers: Answer, tls: bool = False) -> Callable[[Scene], None]:
    """A server that does this at the first requests, and answers well ever after."""

    def arrange(scene: Scene) -> None:
        scene.serve(*answers, tls=tls)

    return arrange


def always(answer: Answer, *, tls: bool = False) -> Callable[[Scene], None]:
    """A server that does this at every request."""

    def arrange(scene: Scene) -> None:
        scene.serve(default=answer, tls=tls)

    return arrange


def certified(kind: CertificateKind) -> Callable[[Scene], None]:
    """A server with a certificate of this kind."""

    def arrange(scene: Scene) -> None:
        scene.serve(tls=scene.authority.server_context(kind))

    return arrange


def proxied(*answers: Answer, default: Answer | None = None) -> Callable[[Scene], None]:
    """A proxy that answers CONNECT so at first, or always by default."""

    def arrange(scene: Scene) -> None:
        scene.behind_proxy(*answers, default=default)

    return arrange


def resolved(
    lookups: Callable[[Scene], Sequence[Sequence[int] | OSError | threading.Event]],
) -> Callable[[Scene], None]:
    """A server whose name resolves so."""

    def arrange(scene: Scene) -> None:
        scene.named(*lookups(scene))

    return arrange


def idle(*after: Action, then: Answer | None = None) -> Callable[[Scene], None]:
    """A server that does `after` behind its first answer, and `then` at the next request."""

    def arrange(scene: Scene) -> None:
        done = threading.Event()

        def first(request: Request) -> Sequence[Action]:
            closes = [action for action in after if action == close_without_answer()]
            sends = [action for action in after if action not in closes]
            return [good(request), *sends, signal(done), *closes]

        server = scene.serve(first, *([] if then is None else [then]))

        def settled() -> None:
            assert done.wait(_PATIENCE)
            if close_without_answer() in after:
                server.wait_for(lambda: server.connections[0].closed_at is not None)

        scene.settled = settled

    return arrange


def restarted_while_idle(scene: Scene) -> None:
    """A server that restarts behind its first answer."""
    server = scene.serve()
    scene.settled = server.restart


def port_closed(scene: Scene) -> None:
    """Nobody listens."""
    scene.url = f"http://127.0.0.1:{scene.refused()}"


def port_silent(scene: Scene) -> None:
    """Nobody answers."""
    scene.url = f"http://127.0.0.1:{scene.blackholed()}"


def proxys_port_closed(scene: Scene) -> None:
    """There is no proxy where one is said to be."""
    scene.serve(tls=True)
    scene.proxy_url = f"http://127.0.0.1:{scene.refused()}"


def plain_where_tls_is_due(scene: Scene) -> None:
    """A server without TLS, whose URL says https: it complains, as they do."""
    complaint = hang_up(wire(400, {"Connection": "close"}, b"what is this?"))
    scene.serve(default=complaint, scheme="https")


def tls_where_plain_is_due(scene: Scene) -> None:
    """A server with TLS, whose URL says http."""
    scene.serve(tls=True, scheme="http")


def certificate_wanted(scene: Scene) -> None:
    """A server that wants a client certificate, of a client that has none."""
    scene.serve(tls=scene.authority.server_context(require_client_cert=True))


# How an answer is spoilt


def spoilt(spoil: Callable[[bytes], bytes | Action], *then: Action) -> Handler:
    """Give an answer whose bytes are made of the good answer's body; then do more."""

    def answer(request: Request) -> Sequence[Action]:
        made = spoil(answer_to(request))
        return [raw(made) if isinstance(made, bytes) else made, *then]

    return answer


def framed(body: bytes, length: int | str | None = None) -> bytes:
    """Give an answer with a length that may be wrong."""
    return wire(200, {"Content-Length": str(len(body) if length is None else length)}, body)


def headed(*lines: bytes, body: bytes = b"") -> bytes:
    """Give an answer of a good status line, these header lines as they are, and a body."""
    return b"".join([b"HTTP/1.1 200 OK\r\n", *(line + b"\r\n" for line in lines), b"\r\n", body])


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Give a chunked answer, with a wrong end maybe."""
    parts = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return headed(b"Transfer-Encoding: chunked", body=parts + end)


def gzipped(data: bytes) -> bytes:
    """Give an answer that says it is gzip."""
    return wire(200, {"Content-Encoding": "gzip"}, data)


def halved(data: bytes) -> bytes:
    """Give the first half."""
    return data[: len(data) // 2]


def informed(status: int, times: int = 1) -> Handler:
    """Answer well, after so many interim answers."""
    return lambda request: [*[informational(status, {"Link": "</a>"})] * times, good(request)]


def status(code: int, retry_after: str | None = None) -> Action:
    """Answer with an error."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return respond(code, headers, json={"error_text": "not now"})


_CLOSE: Final = close_without_answer()
_RESET: Final = reset_after_reading()
_UNKNOWN: Final = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
_TRY_AGAIN: Final = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
_SETTINGS: Final = b"\x00\x00\x12\x04" + bytes(23)
"""The first frame of a server that speaks HTTP/2."""

_BOMB: Final = gzip.compress(b" " * 16 * LARGEST)

NAMES: Final = Group(
    "Name resolution",
    (
        Fault(
            "name unknown, always",
            "The host name does not exist.",
            resolved(lambda _: [_UNKNOWN]),
        ),
        Fault(
            "name server fails",
            "Resolution fails (`EAI_AGAIN`).",
            resolved(lambda scene: [_TRY_AGAIN, [scene.port]]),
        ),
        Fault(
            "resolution stalls",
            "The name server does not answer.",
            resolved(lambda scene: [scene.over, [scene.port]]),
            STALLING,
        ),
        Fault(
            "resolution stalls, always",
            "The name server never answers.",
            resolved(lambda scene: [scene.over]),
            STALLING,
        ),
        Fault(
            "first address refuses",
            "The name has two addresses; the first refuses connections.",
            resolved(lambda scene: [[scene.refused(), scene.port]]),
        ),
        Fault(
            "first two addresses dead",
            "The name has three addresses; the first two answer nothing.",
            resolved(lambda scene: [[scene.blackholed(), scene.blackholed(), scene.port]]),
            STALLING,
        ),
        Fault(
            "six addresses dead, always",
            "The name has six addresses; none of them answers anything.",
            resolved(lambda scene: [[scene.blackholed()] * 6]),
            SLOW,
        ),
    ),
)

TCP: Final = Group(
    "TCP",
    (
        Fault("refused, always", "Nobody listens on the port.", port_closed, heals=False),
        Fault(
            "refused",
            "The port refuses the connection.",
            resolved(lambda scene: [[scene.refused()], [scene.port]]),
        ),
        Fault(
            "blackholed, always",
            "Packets to the port are dropped.",
            port_silent,
            STALLING,
            heals=False,
        ),
        Fault(
            "blackholed",
            "The packets that should connect are dropped.",
            resolved(lambda scene: [[scene.blackholed()], [scene.port]]),
            STALLING,
        ),
        Fault(
            "reset at the first byte",
            "The connection is reset when the request begins to come.",
            once(reset_before_reading()),
        ),
        Fault(
            "reset after the head",
            "The connection is reset when the request's head was read.",
            once(reset_before_reading(head=True)),
        ),
        Fault(
            "reset after the request",
            "The server reads the whole request; then the connection is reset.",
            once(_RESET),
        ),
        Fault(
            "reset after the request, always",
            "The same, at every attempt.",
            always(_RESET),
        ),
        Fault(
            "reset in the answer's head",
            "The connection is reset within the answer's headers.",
            once(raw(b"HTTP/1.1 200 OK\r\nContent-Le") + _RESET),
        ),
        Fault(
            "reset in the answer's body",
            "The connection is reset in the middle of the answer's body.",
            once(spoilt(lambda body: halved(framed(body)), _RESET)),
        ),
        Fault(
            "closed after the request",
            "The server reads the whole request and closes without an answer.",
            once(_CLOSE),
        ),
        Fault(
            "restart mid-flight",
            "The server reads the whole request, and is restarted.",
            once(restart()),
        ),
    ),
)

TLS: Final = Group(
    "TLS",
    (
        Fault(
            "certificate expired",
            "The server's certificate has expired.",
            certified("expired"),
            heals=False,
        ),
        Fault(
            "certificate of another name",
            "The server's certificate is for another host.",
            certified("wrong name"),
            heals=False,
        ),
        Fault(
            "authority unknown",
            "Nobody we know has signed the server's certificate.",
            certified("unknown authority"),
            heals=False,
        ),
        Fault(
            "client certificate missing",
            "The server wants a client certificate, and there is none.",
            certificate_wanted,
            heals=False,
        ),
        Fault(
            "plain HTTP on the TLS port",
            "The server speaks http where the URL says https.",
            plain_where_tls_is_due,
            heals=False,
        ),
        Fault(
            "TLS on the plain port",
            "The server speaks https where the URL says http.",
            tls_where_plain_is_due,
            heals=False,
        ),
        Fault(
            "handshake stalls",
            "The server accepts the connection and does not answer the TLS hello.",
            once(stall_handshake(), tls=True),
            STALLING,
        ),
        Fault(
            "handshake stalls, always",
            "The same, at every attempt.",
            always(stall_handshake(), tls=True),
            STALLING,
        ),
        Fault(
            "handshake trickles, always",
            "The server sends its part of the handshake byte by byte, one every "
            f"{_INTERVAL * 1000:.0f} ms.",
            always(trickle_handshake(_INTERVAL), tls=True),
            SLOW,
        ),
        Fault(
            "handshake closed",
            "The server closes in the TLS handshake.",
            once(close_in_handshake(), tls=True),
        ),
        Fault(
            "handshake reset",
            "The connection is reset in the TLS handshake.",
            once(reset_in_handshake(), tls=True),
        ),
        Fault(
            "reset after the request, TLS",
            "The server reads the whole request; then the connection is reset.",
            once(_RESET, tls=True),
        ),
        Fault(
            "answer cut off, TLS",
            "An answer that lasts until the connection is closed is cut off in its middle, "
            "which only the missing good-bye of TLS tells.",
            once(spoilt(lambda body: headed(body=halved(body)), cut()), tls=True),
        ),
    ),
)

PROXY: Final = Group(
    "Proxy",
    (
        Fault(
            "proxy refuses connections, always",
            "Nobody listens on the proxy's port.",
            proxys_port_closed,
            heals=False,
        ),
        Fault("CONNECT refused", "The proxy answers 502.", proxied(respond(502, close=True))),
        Fault(
            "CONNECT unauthorised, always",
            "The proxy answers 407.",
            proxied(default=respond(407, {"Proxy-Authenticate": 'Basic realm="p"'}, close=True)),
        ),
        Fault("CONNECT stalls", "The proxy answers nothing.", proxied(stall()), STALLING),
        Fault(
            "CONNECT trickles, always",
            f"The proxy sends its answer byte by byte, one every {_INTERVAL * 1000:.0f} ms.",
            proxied(
                default=trickle(b"HTTP/1.1 200 Established\r\nX-Slow: " + b"." * 800, _INTERVAL)
            ),
            SLOW,
        ),
        Fault("CONNECT reset", "The proxy resets the connection.", proxied(_RESET)),
        Fault(
            "CONNECT answered with garbage",
            "The proxy answers what is not HTTP.",
            proxied(raw(b"\x00?!\r\n\r\n") + _CLOSE),
        ),
        Fault(
            "tunnel collapses",
            "The proxy says that the tunnel stands, and closes.",
            proxied(raw(b"HTTP/1.1 200 Established\r\n\r\n") + _CLOSE),
        ),
    ),
)

FRAMING: Final = Group(
    "HTTP framing: heads",
    (
        Fault(
            "garbage for a status line",
            "The answer's first line is binary garbage.",
            once(raw(b"\x00?! this is not a status line\r\n\r\n") + _CLOSE),
        ),
        Fault(
            "another protocol",
            "The answer is the banner of an SSH server.",
            once(raw(b"SSH-2.0-OpenSSH_9.9\r\n") + _CLOSE),
        ),
        Fault(
            "HTTP/2 for an answer",
            "The answer is a frame of HTTP/2.",
            once(raw(_SETTINGS) + _CLOSE),
        ),
        Fault(
            "status that is no number",
            "The status line says `HTTP/1.1 OK 200`.",
            once(spoilt(lambda body: framed(body).replace(b"200 OK", b"OK 200"), _CLOSE)),
        ),
        Fault(
            "no final line break, closed",
            "The head lacks its last empty line, and the connection is closed.",
            once(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n") + _CLOSE),
        ),
        Fault(
            "no final line break, silence",
            "The head lacks its last empty line, and nothing more comes.",
            once(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n") + stall()),
            STALLING,
        ),
        Fault(
            "300 headers",
            "The answer has 300 headers.",
            once(spoilt(lambda body: headed(*[b"X-Flood: 1"] * 300, body=body), _CLOSE)),
        ),
        Fault(
            "header of 1 MiB",
            "The answer has one header of 1 MiB.",
            once(spoilt(lambda body: headed(b"X-Flood: " + b"1" * 2**20, body=body), _CLOSE)),
        ),
        Fault(
            "headers without end",
            "The answer's headers never end.",
            once(raw(b"HTTP/1.1 200 OK\r\n") + flood(b"X-Flood: 1\r\n")),
        ),
        Fault(
            "header that hides the length",
            "A header line without a colon stands before Content-Length, and the body is cut.",
            once(
                spoilt(
                    lambda body: headed(
                        b"this is no header", b"Content-Length: %d" % len(body), body=halved(body)
                    ),
                    _CLOSE,
                )
            ),
        ),
        Fault("100 unasked for", "100 Continue comes before the answer.", once(informed(100))),
        Fault("102 unasked for", "102 Processing comes before the answer.", once(informed(102))),
        Fault("103 unasked for", "103 Early Hints comes before the answer.", once(informed(103))),
        Fault("16 interim answers", "16 times 103 before the answer.", once(informed(103, 16))),
        Fault("17 interim answers", "17 times 103 before the answer.", once(informed(103, 17))),
    ),
)

BODIES: Final = Group(
    "HTTP framing: bodies",
    (
        Fault(
            "body shorter than its length",
            "The connection is closed in the middle of the body.",
            once(spoilt(lambda body: framed(halved(body), len(body)), _CLOSE)),
        ),
        Fault(
            "body longer than its length",
            "Stray bytes follow the body.",
            once(spoilt(lambda body: framed(body) + b"stray bytes")),
        ),
        Fault(
            "second answer smuggled in",
            "A second, whole answer follows the first at once.",
            once(spoilt(lambda body: framed(body) + framed(b'{"mark": "smuggled"}'))),
        ),
        Fault(
            "two lengths",
            "The head has two Content-Lengths that differ.",
            once(
                spoilt(
                    lambda body: headed(
                        b"Content-Length: %d" % (len(body) // 2),
                        b"Content-Length: %d" % len(body),
                        body=body,
                    ),
                    _CLOSE,
                )
            ),
        ),
        Fault(
            "length that is no number",
            "The Content-Length is `many`, and the body is cut.",
            once(spoilt(lambda body: framed(halved(body), "many"), _CLOSE)),
        ),
        Fault(
            "negative length",
            "The Content-Length is `-1`, and the body is cut.",
            once(spoilt(lambda body: framed(halved(body), -1), _CLOSE)),
        ),
        Fault(
            "length beside chunks",
            "A chunked body has a Content-Length too, of half of it.",
            once(
                spoilt(
                    lambda body: chunked(body).replace(
                        b"\r\n", b"\r\nContent-Length: %d\r\n" % (len(body) // 2), 1
                    )
                )
            ),
        ),
        Fault(
            "chunk size that is no number",
            "The second chunk's size is not hexadecimal.",
            once(spoilt(lambda body: chunked(halved(body), end=b"some\r\nmore\r\n"), _CLOSE)),
        ),
        Fault(
            "chunk shorter than its size",
            "A chunk ends before its size is reached.",
            once(spoilt(lambda body: chunked(body).replace(body, halved(body)), _CLOSE)),
        ),
        Fault(
            "chunk longer than its size",
            "A chunk goes on behind its size.",
            once(spoilt(lambda body: chunked(body).replace(body, body * 2), _CLOSE)),
        ),
        Fault(
            "last chunk missing, closed",
            "The connection is closed before the last chunk.",
            once(spoilt(lambda body: chunked(halved(body), end=b""), _CLOSE)),
        ),
        Fault(
            "last chunk missing, silence",
            "Nothing comes where the last chunk should.",
            once(spoilt(lambda body: chunked(body, end=b""), stall())),
            STALLING,
        ),
        Fault(
            "gzip cut short",
            "The compressed body lacks its end, and has the right length otherwise.",
            once(spoilt(lambda body: gzipped(halved(gzip.compress(body))))),
        ),
        Fault(
            "gzip that is none",
            "The body is not compressed as its head says.",
            once(spoilt(gzipped)),
        ),
        Fault(
            "gzip bomb",
            "A compressed body of 16 KiB is 16 MiB long.",
            once(spoilt(lambda body: gzipped(gzip.compress(body) + _BOMB))),
        ),
        Fault(
            "body of 8 MiB",
            f"The body is larger than our limit, here {LARGEST // 2**20} MiB.",
            once(spoilt(lambda body: framed(body + b" " * 8 * LARGEST))),
        ),
        Fault(
            "close-delimited body",
            "The body lasts until the connection is closed: no fault, and no length.",
            once(spoilt(lambda body: headed(body=body), _CLOSE)),
        ),
        Fault(
            "close-delimited body, reset",
            "The same, and the connection is reset in the middle of it.",
            once(spoilt(lambda body: headed(body=halved(body)), _RESET)),
        ),
    ),
)

SLOWNESS: Final = Group(
    "Slowness",
    (
        Fault("silence", "The server reads the request and is silent.", once(stall()), STALLING),
        Fault("silence, always", "The same, at every attempt.", always(stall()), STALLING),
        Fault(
            "silence in the body",
            "The server falls silent in the middle of the body.",
            once(spoilt(lambda body: halved(framed(body)), stall())),
            STALLING,
        ),
        Fault(
            "head trickles, always",
            f"The answer's head comes byte by byte, one every {_INTERVAL * 1000:.0f} ms.",
            always(spoilt(lambda body: trickle(framed(body), _INTERVAL))),
            SLOW,
        ),
        Fault(
            "body trickles, always",
            f"The answer's body comes byte by byte, one every {_INTERVAL * 1000:.0f} ms.",
            always(spoilt(lambda body: raw(framed(body)[: -len(body)]) + trickle(body, _INTERVAL))),
            SLOW,
        ),
        Fault(
            "chunks trickle, always",
            f"Chunks of one byte come byte by byte, one every {_INTERVAL * 1000:.0f} ms.",
            always(
                spoilt(
                    lambda body: (
                        raw(chunked(end=b"")) + trickle(b"1\r\n \r\n" * len(body), _INTERVAL)
                    )
                )
            ),
            SLOW,
        ),
        Fault(
            "interim answers trickle, always",
            f"103 comes byte by byte, one every {_INTERVAL * 1000:.0f} ms.",
            always(trickle(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20, _INTERVAL)),
            SLOW,
        ),
        Fault(
            "upload read slowly, always",
            f"64 KiB of an upload of 16 MiB are read every {_INTERVAL * 1000:.0f} ms, and what "
            "has no body gets no answer; here a read, or a write, may take 2 s.",
            always(read_slowly(_INTERVAL)),
            ROOMY,
            size=_HUGE,
        ),
    ),
)

STATUSES: Final = Group(
    "Statuses",
    (
        Fault("408", "408 Request Timeout.", once(status(408))),
        Fault("425", "425 Too Early.", once(status(425))),
        Fault("429", "429 Too Many Requests.", once(status(429))),
        Fault("429, Retry-After 1", "The same, with `Retry-After: 1`.", once(status(429, "1"))),
        Fault(
            "429, Retry-After absurd",
            "The same, with `Retry-After: 9999999999`.",
            once(status(429, "9999999999")),
        ),
        Fault(
            "429, Retry-After a minute",
            "The same, with `Retry-After: 60`, which is longer than the deadline.",
            once(status(429, "60")),
        ),
        Fault("500", "500 Internal Server Error.", once(status(500))),
        Fault("502", "502 Bad Gateway.", once(status(502))),
        Fault("503", "503 Service Unavailable.", once(status(503))),
        Fault("503, always", "The same, at every attempt.", always(status(503))),
        Fault("503, Retry-After 1", "503 with `Retry-After: 1`.", once(status(503, "1"))),
        Fault(
            "503, Retry-After past",
            "503 with a date that is past.",
            once(status(503, "Sun, 06 Nov 1994 08:49:37 GMT")),
        ),
        Fault(
            "503, Retry-After negative",
            "503 with `Retry-After: -5`.",
            once(status(503, "-5")),
        ),
        Fault(
            "503, Retry-After garbage",
            "503 with `Retry-After: soon`.",
            once(status(503, "soon")),
        ),
        Fault("504", "504 Gateway Timeout.", once(status(504))),
        Fault(
            "413 before the body",
            "413 as soon as the head is read; the body is read and thrown away.",
            once(refuse_body()),
        ),
        Fault(
            "413 to a large upload, closed",
            "413 when the head is read, and the connection is closed with 16 MiB on the way.",
            once(refuse_body(rest="close")),
            size=_HUGE,
        ),
        Fault(
            "413 to a large upload, unread",
            "413 when the head is read, and no byte of the 16 MiB is read.",
            once(refuse_body(rest="stall")),
            STALLING,
            size=_HUGE,
        ),
    ),
)

IDLE: Final = Group(
    "Idle connections",
    (
        Fault(
            "closed while idle",
            "The server has closed the idle connection before we send.",
            idle(_CLOSE),
            primed=True,
        ),
        Fault(
            "closed as we send",
            "The server closes the idle connection just as the request comes.",
            idle(then=reset_before_reading()),
            primed=True,
        ),
        Fault(
            "dropped in silence while idle",
            "A NAT has forgotten the idle connection and drops what is sent.",
            idle(then=stall_before_reading()),
            STALLING,
            primed=True,
        ),
        Fault(
            "restarted while idle",
            "The server was restarted since the last request.",
            restarted_while_idle,
            primed=True,
        ),
        Fault(
            "stray bytes while idle",
            "Bytes that nobody asked for have come on the idle connection.",
            idle(raw(b"stray bytes")),
            primed=True,
        ),
        Fault(
            "408 while idle",
            "The server has sent 408 on the idle connection, and closed it.",
            idle(status(408), _CLOSE),
            primed=True,
        ),
        Fault(
            "another's answer while idle",
            "A whole answer that nobody asked for has come on the idle connection.",
            idle(raw(framed(b'{"mark": "smuggled"}'))),
            primed=True,
        ),
    ),
)

GROUPS: Final = (NAMES, TCP, TLS, PROXY, FRAMING, BODIES, SLOWNESS, STATUSES, IDLE)
FAULTS: Final = {fault.name: fault for group in GROUPS for fault in group.faults}
"""Every fault by its name."""
