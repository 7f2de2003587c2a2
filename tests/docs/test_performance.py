"""What the page on performance says of the code holds: its functions, and the long way."""

from __future__ import annotations

import ast
import gzip
import io
import logging
import re
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from requests.structures import CaseInsensitiveDict
from urllib3.util import Retry

from sleepwalker import ANONYMOUS, Connection, Policy
from sleepwalker.connection._wire import PlainSocket, TLSSocket
from sleepwalker.exceptions import ProtocolError
from tests.docs.pages import file_of, rows_below, text_of
from tests.servers import (
    RequireDigest,
    SetCookies,
    close_without_answer,
    echo,
    informational,
    raw,
    respond,
    truncated_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.servers import Answer, CertificateAuthority, MakeServer

PAGE = "docs/performance.md"


def functions_of(file: str) -> set[str]:
    """Give the functions, methods and classes of a module."""
    found = set()
    for node in ast.parse(file_of(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (each for each in node.body if isinstance(each, ast.FunctionDef))
            found |= {f"{node.name}.{each.name}" for each in inner}
    return found


def test_every_function_that_the_page_names_is_where_it_says() -> None:
    named = re.findall(r"\[`([\w.]+)`\]\(\.\./(sleepwalker/[\w/]+\.py)\)", text_of(PAGE))

    assert len(named) > 20
    assert [(name, file) for name, file in named if name not in functions_of(file)] == []


# The way that a request goes

SHORT, MADE, SENT, READ = "the shortcut", "made, sent", "sent", "read"


class Case(NamedTuple):
    """A request, and what it meets."""

    call: Callable[[Connection, pytest.MonkeyPatch], Any]
    answer: Answer | None = None
    """What the server answers; an echo by default."""
    options: Mapping[str, Any] = {}
    """Of the connection."""
    tls: bool = False
    fresh: bool = False
    """Whether no request comes before it."""
    host: str = "127.0.0.1"
    """How the connection names the server's host."""


def get(uri: str = "/", **options: Any) -> Case:
    return Case(lambda conn, _: conn.request("GET", uri, **options))


def post(data: Any, **options: Any) -> Case:
    return Case(lambda conn, _: conn.request("POST", "/", data=data, **options))


def changed(change: Callable[[requests.Session], object], **more: Any) -> Case:
    """A session was changed."""

    def call(conn: Connection, _: pytest.MonkeyPatch) -> Any:
        change(conn.session)
        return conn.request("GET", "/")

    return Case(call, **more)


def patched(owner: Any, name: str) -> Case:
    """Somebody has wrapped a function."""
    original = getattr(owner, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    def call(conn: Connection, patch: pytest.MonkeyPatch) -> Any:
        patch.setattr(owner, name, wrapper)
        return conn.request("GET", "/")

    return Case(call)


def answered(answer: Answer, **options: Any) -> Case:
    """The server's answer is unusual."""
    return Case(lambda conn, _: conn.request("GET", "/"), answer, options)


def at_debug(conn: Connection, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(logging.getLogger("urllib3.connectionpool"), "isEnabledFor", lambda _: True)
    return conn.request("GET", "/")


def streamed(conn: Connection, _: pytest.MonkeyPatch) -> Any:
    with conn.request("GET", "/", stream=True) as response:
        return response


def refused(conn: Connection, _: pytest.MonkeyPatch) -> Any:
    with pytest.raises(ProtocolError):
        conn.request("GET", "/")


def adapter_of(session: requests.Session) -> Any:
    return session.get_adapter("http://books.example")


def ignored(response: requests.Response, **_: Any) -> None:
    """Do nothing, as a response hook."""


LARGE: Final = b"x" * (2**20 + 1)
CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG_WAY: dict[str, tuple[str, list[Case]]] = {
    "`params=` that is no dict of texts and whole numbers, or lists of them; `files=`, `cookies=`,"
    " `hooks=`": (
        MADE,
        [
            get(params=[("edition", "2")]),
            get(params={"price": 1.5}),
            get(params="edition=2"),
            post(None, files={"cover": b"..."}),
            get(cookies={"a": "b"}),
            get(hooks={"response": ignored}),
        ],
    ),
    "a body of `request` that is not bytes: a dict, a text, an iterator, a file": (
        MADE,
        [post({"a": "b"}), post("text"), post(iter([b"part"])), post(io.BytesIO(b"file"))],
    ),
    "a URL with something to encode or resolve: a space, a letter beyond ASCII, `..`": (
        MADE,
        [get("/a b"), get("/łąka"), get("/a/../b")],
    ),
    "a host given in capitals or as an IPv6 address, a port above 64999": (
        MADE,
        [get()._replace(host="LOCALHOST"), get()._replace(host="[::ffff:127.0.0.1]")],
    ),
    "`session.params`, `session.hooks`, another mapping in the place of `session.headers`": (
        MADE,
        [
            changed(lambda session: session.params.update(a="b")),
            changed(lambda session: session.hooks["response"].append(ignored)),
            changed(lambda session: setattr(session, "headers", CaseInsensitiveDict())),
        ],
    ),
    "an auth that adds a response hook: Digest": (
        SENT,
        [
            Case(
                lambda conn, _: conn.request("GET", "/", auth=HTTPDigestAuth("a", "b")),
                RequireDigest("a", "b"),
                fresh=True,
            )
        ],
    ),
    "`stream=True`": (SENT, [Case(streamed)]),
    "a proxy for the URL, or any entry in `session.proxies`": (
        SENT,
        [changed(lambda session: session.proxies.update(ftp="http://proxy.example"))],
    ),
    "an adapter that you have mounted, or whose functions or `max_retries` you have set": (
        SENT,
        [
            changed(lambda session: session.mount("http://", HTTPAdapter())),
            changed(lambda session: vars(adapter_of(session)).update(max_retries=Retry(1))),
            changed(
                lambda session: vars(adapter_of(session)).update(send=adapter_of(session).send)
            ),
        ],
    ),
    "a patched function: instrumentation of `requests` or urllib3, `responses`, `requests-mock`": (
        "sent (and made, if it is one that makes requests)",
        [
            patched(requests.Session, "send"),
            patched(HTTPAdapter, "send"),
            patched(urllib3.HTTPConnectionPool, "urlopen"),
        ],
    ),
    "the logger `urllib3.connectionpool` at DEBUG": (SENT, [Case(at_debug)]),
    "`verify=False` over TLS": (
        SENT,
        [Case(lambda conn, _: conn.request("GET", "/"), options={"verify": False}, tls=True)],
    ),
    "a request of more than 16 KiB, headers and body": (SENT, [post(b"x" * 16 * 1024)]),
    "a method other than GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS": (
        SENT,
        [Case(lambda conn, _: conn.request("PROPFIND", "/"))],
    ),
    "no connection that stands: the first request, and each after one was closed": (
        SENT,
        [get()._replace(fresh=True), changed(lambda session: session.close())],
    ),
    "HTTP/1.0, an interim answer (1xx), a header folded or with an odd character, more than 64"
    " of them": (
        READ,
        [
            answered(raw(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")),
            answered(informational(103) + echo()),
            answered(raw(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n")),
            answered(raw(b"HTTP/1.1 200 OK\r\nA: \x01\r\nContent-Length: 0\r\n\r\n")),
            answered(respond(headers=[(f"X-{number}", "") for number in range(64)])),
        ],
    ),
    "a body that ends with the connection, trailers, extensions of chunks": (
        READ,
        [
            answered(raw(b"HTTP/1.1 200 OK\r\n\r\nall") + close_without_answer()),
            answered(raw(CHUNKED + b"1\r\na\r\n0\r\nTrailer: b\r\n\r\n")),
            answered(raw(CHUNKED + b"1;b=c\r\na\r\n0\r\n\r\n")),
        ],
    ),
    "an answer of more than 1 MiB, before or after decompression": (
        READ,
        [
            answered(respond(body=LARGE)),
            answered(respond(body=gzip.compress(LARGE), headers=[("Content-Encoding", "gzip")])),
        ],
    ),
    "a coding other than gzip and deflate": (
        READ,
        [answered(respond(body=b"as it is", headers=[("Content-Encoding", "identity")]))],
    ),
    "anything that goes wrong": (
        "read: the lower layers raise what is to be raised",
        [Case(refused, truncated_body(), {"policy": Policy(attempts=1)})],
    ),
}
"""Each row of the table, and requests that it is about."""
SHORTCUT: Final = {
    "nothing": get(),
    "parameters": get(params={"edition": 2, "tags": ["new", "łąka"], "none": None}),
    "a path that is encoded": get("/a%20b"),
    "a cookie": changed(lambda session: session.cookies.set("a", "b")),
    "a cookie that the server has set": answered(SetCookies({"a": "b"})),
    "a query in the URI": get("/books?" + urlencode({"edition": 2, "language": "pl"})),
    "a body of bytes": post(b"x" * 15 * 1024),
    "a body of JSON": Case(lambda conn, _: conn.request("POST", "/", json={"a": [1, 2]})),
    "headers": get(headers={"Accept": "text/plain"}),
    "a default header": changed(lambda session: session.headers.update(Accept="text/plain")),
    "all that a call may say": get(
        timeout=3.0, deadline=5.0, idempotency_key=True, name="/", policy=Policy(limit=None)
    ),
    "TLS": get()._replace(tls=True),
    "an error": get("/", raise_for_status=False)._replace(answer=respond(404)),
    "a large answer": answered(respond(body=LARGE[1:])),
    "chunks": answered(raw(CHUNKED + b"1\r\na\r\n0\r\n\r\n")),
    "gzip": answered(respond(body=gzip.compress(b"{}"), headers=[("Content-Encoding", "gzip")])),
    "cookies that nobody wants": changed(
        lambda session: session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[])),
        answer=SetCookies({"a": "b"}),
    ),
}
"""Requests that take it, what the page advises among them."""


def way_of(case: Case, make_server: MakeServer, bundle: Path, patch: pytest.MonkeyPatch) -> str:
    """Make a request, and tell which way it went."""
    written: list[bytes] = []
    for kind in (PlainSocket, TLSSocket):
        original = kind.exchange

        def exchange(
            self: Any, message: bytes, *args: Any, original: Any = original, **more: Any
        ) -> Any:
            written.append(message)
            return original(self, message, *args, **more)

        patch.setattr(kind, "exchange", exchange)
    server = make_server(tls=case.tls)
    trust = {"verify": str(bundle)} if case.tls else {}
    url = server.url.replace("127.0.0.1", case.host)
    with Connection(url, ANONYMOUS, **{**trust, **case.options}) as conn:
        if not case.fresh:
            conn.request("GET", "/")
        if case.answer is not None:
            server.default = case.answer
        for _ in range(2 if isinstance(case.answer, SetCookies) else 1):
            written.clear()
            response = case.call(conn, patch)
    if type(response) not in {requests.Response, type(None)}:
        return SHORT
    if written:
        return READ
    return MADE if type(response.request) is requests.PreparedRequest else SENT


def test_the_page_has_each_reason_for_the_long_way() -> None:
    assert dict(rows_below(PAGE, "The long way")) == {
        reason: way for reason, (way, _) in LONG_WAY.items()
    }


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(
    ("reason", "case"),
    [
        pytest.param(reason, case, id=f"{reason[:40]} {number}")
        for reason, (_, cases) in LONG_WAY.items()
        for number, case in enumerate(cases, 1)
    ],
)
def test_the_long_way_is_taken_for_that_reason(
    reason: str,
    case: Case,
    make_server: MakeServer,
    ca: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = way_of(case, make_server, ca.bundle, monkeypatch)

    said = LONG_WAY[reason][0]
    assert way == (MADE if said == MADE else said[:4])


@pytest.mark.parametrize("case", SHORTCUT.values(), ids=SHORTCUT)
def test_the_shortcut_is_taken_where_nothing_is_unusual(
    case: Case,
    make_server: MakeServer,
    ca: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert way_of(case, make_server, ca.bundle, monkeypatch) == SHORT
