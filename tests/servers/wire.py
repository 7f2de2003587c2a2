"""HTTP/1.1 as the test servers read and write it.

One job: bytes from a socket become a `Request`; the parts of an answer become bytes.

Rule 1: strict about what is read. A malformed request is the client's bug: `BadRequestError`.
Rule 2: never strict about what is written. Faults are made of wrong bytes.
Rule 3: no sockets. Bytes come from the callable that a `Reader` is given.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

NO_JSON: Final = object()
"""Stands for "no JSON body given", since `None` is a JSON value."""

type_of_json: Final = ("Content-Type", "application/json")

HeaderPairs = Mapping[str, str] | Sequence[tuple[str, str]]
"""What an answer's headers may be given as; pairs allow a name twice."""


class BadRequestError(Exception):
    """The client sent something that is not an HTTP/1.1 request."""


class IncompleteRequestError(Exception):
    """The client went away in the middle of a request."""


class Headers(Mapping[str, str]):
    """A request's headers: a case-insensitive mapping that forgets neither order nor repetition."""

    def __init__(self, raw: Sequence[tuple[str, str]] = ()) -> None:
        self.raw: Final = tuple(raw)
        """The (name, value) pairs as they came, spelling included."""

    def get_all(self, name: str) -> list[str]:
        """Every value sent under this name, in order."""
        return [value for key, value in self.raw if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        """Give the values under this name, joined by a comma."""
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        """Walk the distinct names, in lower case."""
        return iter(dict.fromkeys(name.lower() for name, _ in self.raw))

    def __len__(self) -> int:
        """Count the distinct names."""
        return len({name.lower() for name, _ in self.raw})

    def __repr__(self) -> str:
        """Show the pairs as they came."""
        return f"Headers({list(self.raw)!r})"


@dataclass(frozen=True)
class Head:
    """A request up to its empty line."""

    method: str
    target: str
    version: str
    headers: Headers

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a 100 before it sends the body."""
        return self.headers.get("Expect", "").lower() == "100-continue"

    @property
    def last(self) -> bool:
        """Whether the connection ends after the answer to this request."""
        tokens = {token.strip().lower() for token in self.headers.get("Connection", "").split(",")}
        return "close" in tokens or (self.version == "HTTP/1.0" and "keep-alive" not in tokens)


@dataclass(frozen=True)
class Request:
    """A request that the server has read completely."""

    number: int
    """Which request of the server's life this is, from 1."""
    connection: int
    """The number of the connection that it came on, from 1."""
    received_at: float
    """When its last byte was read, by `time.monotonic()`, in seconds."""
    method: str
    target: str
    """As on the request line: path and query, or an absolute URL at a proxy."""
    version: str
    headers: Headers
    body: bytes
    client_cert: Mapping[str, object] | None
    """The client's TLS certificate as `SSLSocket.getpeercert()` gives it, or `None`."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def text(self) -> str:
        """The body as UTF-8, with anything else replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> object:
        """Decode the body as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return json_module.loads(self.body)

    @property
    def client_name(self) -> str | None:
        """The common name in the client's certificate."""
        subject = (self.client_cert or {}).get("subject", ())
        assert isinstance(subject, tuple)
        return next((value for rdn in subject for key, value in rdn if key == "commonName"), None)


class Reader:
    """Reads requests from a stream of bytes, one after another."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        """Read by calling `receive`, which gives `b""` when the client has closed."""
        self._receive = receive
        self._buffer = bytearray()

    @property
    def buffered(self) -> bool:
        """Whether bytes were received that no request has used yet."""
        return bool(self._buffer)

    def head(self) -> Head | None:
        """Read a request's head; `None` if the client closed before its first byte.

        Raises:
            BadRequestError: it is malformed.
            IncompleteRequestError: the client closed in the middle of it.
        """
        if not self._buffer and not self._fill():
            return None
        lines = self._through(b"\r\n\r\n").decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not all(parts) or not parts[2].startswith("HTTP/1."):
            raise BadRequestError(f"not a request line: {lines[0]!r}")
        return Head(parts[0], parts[1], parts[2], Headers([_header(line) for line in lines[1:]]))

    def body(self, head: Head) -> bytes:
        """Read the body that goes with this head, de-chunked.

        Raises:
            BadRequestError: its framing is malformed or ambiguous.
            IncompleteRequestError: the client closed in the middle of it.
        """
        lengths = set(head.headers.get_all("Content-Length"))
        coding = head.headers.get("Transfer-Encoding")
        if coding is not None:
            if lengths or coding.lower() != "chunked":
                raise BadRequestError(f"ambiguous length: {coding!r} and {sorted(lengths)}")
            return b"".join(self._chunks())
        if not lengths:
            return b""
        if len(lengths) > 1 or not (length := lengths.pop()).isdecimal():
            raise BadRequestError("not one Content-Length")
        return self._exactly(int(length))

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._through(b"\r\n").partition(b";")[0]
            try:
                size = int(line, 16)
            except ValueError:
                raise BadRequestError(f"not a chunk size: {line!r}") from None
            if size == 0:
                while self._through(b"\r\n"):  # trailers, which nobody asked for
                    pass
                return
            yield self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise BadRequestError("a chunk is longer than its size")

    def _through(self, mark: bytes) -> bytes:
        """Read up to and including `mark`, and give what stands before it."""
        searched = 0
        while (end := self._buffer.find(mark, searched)) < 0:
            searched = max(0, len(self._buffer) - len(mark))
            self._need()
        found = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._need()
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    def _need(self) -> None:
        if not self._fill():
            raise IncompleteRequestError(f"the client closed after {bytes(self._buffer[:80])!r}")

    def _fill(self) -> bool:
        data = self._receive()
        self._buffer += data
        return bool(data)


@dataclass(frozen=True)
class Response:
    """An answer, as the values it is made of."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def encode(self, method: str = "GET") -> bytes:
        """Give the bytes on the wire; the answer to HEAD has its head only."""
        return encode_head(self.status, self.headers) + (b"" if method == "HEAD" else self.body)


def make_response(
    status: int = 200,
    headers: HeaderPairs = (),
    body: bytes = b"",
    *,
    json: object = NO_JSON,
) -> Response:
    """Build a well-framed answer.

    The length is added unless `headers` frame the body themselves or the status has none; so is the
    content type of JSON.

    Raises:
        ValueError: both `body` and `json` were given.
    """
    given = pairs(headers)
    names = {name.lower() for name, _ in given}
    if json is not NO_JSON:
        if body:
            raise ValueError("an answer has a body or JSON, not both")
        body = json_module.dumps(json).encode()
        if "content-type" not in names:
            given = (*given, type_of_json)
    bodiless = status < HTTPStatus.OK or status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
    if not bodiless and not names & {"content-length", "transfer-encoding"}:
        given = (*given, ("Content-Length", str(len(body))))
    return Response(status, given, body)


def wire(
    status: int = 200,
    headers: HeaderPairs = (),
    body: bytes = b"",
    *,
    json: object = NO_JSON,
) -> bytes:
    """Give the bytes of a well-framed answer, for `raw` and `trickle` to send, whole or spoilt."""
    return make_response(status, headers, body, json=json).encode()


def encode_head(status: int, headers: HeaderPairs = ()) -> bytes:
    """Give the bytes of a status line, these headers and no others, and the empty line."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in pairs(headers))]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def pairs(headers: HeaderPairs) -> tuple[tuple[str, str], ...]:
    """Give headers as pairs, however they came."""
    return tuple(headers.items()) if isinstance(headers, Mapping) else tuple(headers)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip() or any(end in line for end in "\r\n\0"):
        raise BadRequestError(f"not a header: {line!r}")
    return name, value.strip(" \t")
