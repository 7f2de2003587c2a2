"""No credential shows in anything that Sleepwalker tells: secrets are planted and searched for.

A place is a way for a secret to come in: a credential that is sent to a server which gives it back
in every way that a server can, a URL, a proxy, a hook's error. After its run every output is
searched: spans, metrics, logs, events, errors with all that hangs on them, pickles, reprs.

Rule 1: a secret is made at run time, so that no line of this file, which tracebacks quote, has it.
Rule 2: each place shows that its secret was really there: sent to a server, or in what was raised.
Rule 3: a canary shows of each output that a secret in it would be found.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import logging
import pickle
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote_plus, urlsplit

import prometheus_client.openmetrics.exposition as openmetrics
import pytest
import requests
import structlog
from prometheus_client import generate_latest
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from sleepwalker import (
    ANONYMOUS,
    AuthError,
    BearerAuth,
    CertificateError,
    ConfigurationError,
    ConnectError,
    Connection,
    ConnectionError,
    ConnectionHook,
    ConnectionManager,
    CredentialsError,
    CrossOriginError,
    DeadlineExceeded,
    DecodeError,
    DirectHook,
    EncodeError,
    EstablishmentError,
    HeaderError,
    HTTPBadRequest,
    HTTPForbidden,
    HTTPNotFound,
    HTTPServiceUnavailable,
    HTTPUnauthorized,
    PlaintextError,
    Policy,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    Redaction,
    RedirectError,
    ReentrantFindError,
    SleepwalkerException,
    TLSError,
    TokenError,
    TooManyRedirects,
    TransportError,
    URLError,
)
from sleepwalker.connection import HookOutcome, ResetReport
from sleepwalker.observability.logs import Logs
from sleepwalker.testing import SkippingClock
from tests.planting import everything_in, found, leaks, new_secret
from tests.servers import (
    Action,
    Answer,
    CertificateAuthority,
    ForwardProxy,
    Request,
    RequireDigest,
    ScriptedServer,
    close_in_handshake,
    close_without_answer,
    raw,
    redirect,
    refused_port,
    reset_after_reading,
    respond,
    stall,
    truncated_body,
)
from tests.telemetry import Watched

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

OUTPUTS: Final = (
    "spans",
    "metrics",
    "structlog lines",
    "stdlib lines",
    "events",
    "errors",
    "tracebacks",
    "pickles",
    "reprs",
    "printed",
)

Errors = type[BaseException] | tuple[type[BaseException], ...]

# --- one run and what it shows -------------------------------------------------------------------


class Stage:
    """What a place plays on: watched connections and managers, and servers on loopback.

    :ivar secrets: what must not be found
    :ivar planted: where they must be found: what servers saw and said, what was raised
    :ivar goes_past_us: whether the place sends requests of its own, which others log as they like
    """

    goes_past_us = False

    def __init__(
        self, ca: CertificateAuthority, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ca, self.home, self.monkeypatch = ca, home, monkeypatch
        self.clock = SkippingClock()
        self.watched = Watched()
        self.secrets: list[str] = []
        self.planted: list[str] = []
        self.errors: list[tuple[str, BaseException]] = []
        self.shown: list[object] = []
        self._servers: list[ScriptedServer] = []
        self._exits = ExitStack()

    def secret(self, shape: str = "token") -> str:
        """A new secret."""
        made = new_secret(shape)
        self.secrets.append(made)
        return made

    def plant(self, *texts: str) -> None:
        """Take note of texts in which secrets are planted."""
        self.planted += texts

    def server(
        self, default: Answer | None = None, *, tls: ssl.SSLContext | bool = True
    ) -> ScriptedServer:
        """A server that ends with the run; https unless said otherwise."""
        context = (self.ca.server_context() if tls else None) if isinstance(tls, bool) else tls
        server = self._exits.enter_context(ScriptedServer(default, tls=context))
        self._servers.append(server)
        return server

    def proxy(self, *, user: tuple[str, str] | None = None) -> ForwardProxy:
        """A forward proxy that ends with the run."""
        server = self._exits.enter_context(ForwardProxy(user=user))
        self._servers.append(server)
        return server

    def refused(self) -> int:
        """A port that refuses connections."""
        return self._exits.enter_context(refused_port())

    @property
    def instruments(self) -> dict[str, Any]:
        """All instruments, a stdlib logger's lines among them."""
        stdlib = Logs(clock=self.clock)
        return {**self.watched.instruments, "observers": (self.watched, stdlib)}

    def connection(self, url: str, auth: Any = None, **options: Any) -> Connection:
        """A watched connection that trusts the servers and doesn't wait."""
        given = {
            **self.instruments,
            "verify": str(self.ca.bundle),
            "clock": self.clock,
            "policy": Policy(attempts=2, breaker=None),
        }
        conn = Connection(url, auth, **{**given, **options})
        self._exits.callback(conn.close)
        self.shown.append(conn)
        return conn

    def manager(self, *hooks: Any, **options: Any) -> ConnectionManager:
        """A watched manager that doesn't wait."""
        given = {**self.instruments, "hooks": hooks, "clock": self.clock, **options}
        manager = self._exits.enter_context(ConnectionManager(**given))
        self.shown += [manager, *hooks]
        return manager

    def direct(self, **options: Any) -> DirectHook:
        """A hook whose connections trust the servers."""
        return DirectHook(verify=str(self.ca.bundle), clock=self.clock, **options)

    def fails(
        self,
        label: str,
        expected: Errors,
        call: Callable[..., object],
        *arguments: Any,
        **keywords: Any,
    ) -> BaseException:
        """Call what must raise, and keep the error."""
        with pytest.raises(expected) as caught:
            call(*arguments, **keywords)
        self.errors.append((label, caught.value))
        return caught.value

    def absent(self, label: str, conns: Mapping[Any, Any], key: object) -> None:
        """Look for what isn't there; the key in the error is the caller's own but for its repr."""
        with pytest.raises((KeyError, URLError)) as caught:
            conns[key]
        if isinstance(caught.value, KeyError):
            caught.value.args = tuple(map(repr, caught.value.args))
        self.errors.append((label, caught.value))

    def run(self, place: Callable[[Stage], None]) -> Evidence:
        """Play a place, and gather what it showed."""
        assert not structlog.is_configured(), "a test before this one left structlog configured"
        printed = io.StringIO()
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            _stdlib_lines() as lines,
            self._exits,
        ):
            place(self)
            for shown in self.shown:
                if isinstance(shown, ConnectionManager):
                    self.shown += [shown.conns, *shown.conns, *map(repr, shown.conns.values())]
                    self.shown += [shown.reset(), shown.policy]
        for server in self._servers:
            for request in server.requests:
                self.plant(request.target, *(value for _, value in request.headers.raw))
        outputs = {
            "spans": [span.to_json() for span in self.watched.spans],
            "metrics": [
                generate_latest(self.watched.registry).decode(),
                openmetrics.generate_latest(self.watched.registry).decode(),  # type: ignore[no-untyped-call]
            ],
            "structlog lines": _rendered(self.watched.lines),
            "stdlib lines": [
                line
                for name, line in lines
                if name.startswith("sleepwalker") or not self.goes_past_us
            ],
            "events": [
                f"{event!r} {[text for part in event for text in everything_in(part)]}"
                for event in self.watched.events
            ],
            "errors": [_labelled(label, *everything_in(error)) for label, error in self.errors],
            "tracebacks": [
                _labelled(label, *traceback.format_exception(error)) for label, error in self.errors
            ],
            "pickles": [
                _labelled(label, *_pickled(error))
                for label, error in self.errors
                if isinstance(error, SleepwalkerException)
            ],
            "reprs": [f"{shown!r} {shown}" for shown in self.shown],
            "printed": [printed.getvalue()],
        }
        return Evidence(self.secrets, "\n".join(self.planted), outputs)


@dataclass(frozen=True)
class Evidence:
    """What a run was given and what it showed."""

    secrets: list[str]
    planted: str
    outputs: dict[str, list[str]]

    def leaks(self, output: str) -> list[str]:
        """Where secrets stand in an output, and in which form."""
        numbered = {f"secret {number}": secret for number, secret in enumerate(self.secrets)}
        return leaks(numbered, self.outputs[output])


def _labelled(label: str, *texts: str) -> str:
    return "\n".join([f"[{label}]", *texts])


@contextlib.contextmanager
def _stdlib_lines() -> Iterator[list[tuple[str, str]]]:
    """All that goes through any stdlib logger, down to DEBUG, by the logger's name."""
    lines: list[tuple[str, str]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.name, f"{self.format(record)} {record.__dict__!r}"))

    root, handler = logging.getLogger(), Keep()
    loggers = (root, logging.getLogger("sleepwalker"))
    levels = [logger.level for logger in loggers]
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _rendered(lines: list[dict[str, Any]]) -> list[str]:
    """Log lines as structlog's renderers write them."""
    console = structlog.dev.ConsoleRenderer(colors=False)
    plain = structlog.processors.JSONRenderer()
    return [
        f"{plain(None, '', dict(line))!r} {console(None, '', dict(line))} {line!r}"
        for line in lines
    ]


def _pickled(error: SleepwalkerException) -> Iterator[str]:
    """Its pickles, and what can be read in the error that comes out of one."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(error, protocol)
        yield data.decode("latin-1")
    again = pickle.loads(data)  # noqa: S301 - our own
    assert type(again) is type(error)
    yield from everything_in(again)


# --- places --------------------------------------------------------------------------------------

PLACES: Final[dict[str, Callable[[Stage], None]]] = {}

_Place = Callable[[Stage], None]


def place(name: str) -> Callable[[_Place], _Place]:
    """Register a place."""

    def register(function: _Place) -> _Place:
        assert name not in PLACES
        PLACES[name] = function
        return function

    return register


# --- places: credentials that are sent -----------------------------------------------------------


@dataclass(frozen=True)
class Using:
    """How a credential is given: to the connection, or with each request."""

    auth: Any = ANONYMOUS
    options: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    """Keywords of `Connection.request`."""
    query: str = ""
    prepare: Callable[[Connection], object] = lambda _: None


def password(stage: Stage) -> Using:
    return Using(auth=("reader", stage.secret()))


def short_password(stage: Stage) -> Using:
    return Using(auth=("reader", stage.secret("short")))


def password_that_encodings_change(stage: Stage) -> Using:
    return Using(auth=("reader", stage.secret("awkward")))


def password_in_bytes(stage: Stage) -> Using:
    return Using(auth=HTTPBasicAuth(b"reader", stage.secret("awkward").encode()))


def api_key_as_user_name(stage: Stage) -> Using:
    return Using(auth=(stage.secret(), ""))


def password_set_on_the_session(stage: Stage) -> Using:
    secret = stage.secret()
    return Using(prepare=lambda conn: setattr(conn.session, "auth", ("reader", secret)))


def password_of_one_call(stage: Stage) -> Using:
    return Using(arguments={"auth": ("reader", stage.secret())})


def password_from_netrc(stage: Stage) -> Using:
    path = stage.home / "netrc"
    path.touch(mode=0o600)
    path.write_text(f"machine 127.0.0.1 login reader password {stage.secret()}\n")
    stage.monkeypatch.setenv("NETRC", str(path))
    return Using(auth=None)


def bearer_token(stage: Stage) -> Using:
    return Using(auth=BearerAuth(stage.secret("base64")))


def bearer_token_from_a_provider(stage: Stage) -> Using:
    return Using(auth=BearerAuth(lambda: (stage.secret("base64"), 3600)))


def token_of_another_scheme(stage: Stage) -> Using:
    return Using(arguments={"headers": {"Authorization": f"Token {stage.secret()}"}})


class KeyAuth(AuthBase):
    """A user's own auth, which hides nothing."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["X-Api-Key"] = self.key
        return r

    def __repr__(self) -> str:
        return f"KeyAuth(key={self.key!r})"


def auth_whose_repr_shows_it(stage: Stage) -> Using:
    return Using(auth=KeyAuth(stage.secret()))


def auth_that_signs_the_query(stage: Stage) -> Using:
    secret = stage.secret()

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.prepare_url(request.url or "", {"X-Signature": secret})
        return request

    return Using(auth=sign)


def cookie_of_one_call(stage: Stage) -> Using:
    return Using(arguments={"cookies": {"id": stage.secret()}})


def cookie_of_the_session(stage: Stage) -> Using:
    secret = stage.secret()
    return Using(prepare=lambda conn: conn.session.cookies.set("id", secret))


def cookie_in_a_header(stage: Stage) -> Using:
    return Using(arguments={"headers": {"Cookie": f"theme=dark; id={stage.secret()}"}})


def key_in_added_headers(stage: Stage) -> Using:
    secret = stage.secret()
    return Using(prepare=lambda conn: conn.add_headers({"X-Api-Key": secret}))


def key_in_bytes(stage: Stage) -> Using:
    return Using(arguments={"headers": {"x-api-key": stage.secret().encode()}})


def keys_in_headers_of_one_call(stage: Stage) -> Using:
    names = (
        "X-API-KEY",
        "X-Auth-Token",
        "Ocp-Apim-Subscription-Key",
        "X-Amz-Security-Token",
        "Api_Key",
        "X-CSRF-Token",
        "X-Client-Secret",
        "Proxy-Authorization",
    )
    return Using(arguments={"headers": {name: stage.secret() for name in names}})


def header_that_the_user_calls_secret(stage: Stage) -> Using:
    return Using(
        options={"redaction": Redaction(headers=["X-Badge"])},
        arguments={"headers": {"x-badge": stage.secret()}},
    )


def parameter_that_the_user_calls_secret(stage: Stage) -> Using:
    return Using(
        options={"redaction": Redaction(parameters=["badge"])},
        arguments={"params": {"Badge": stage.secret("base64")}},
    )


def signature_in_params(stage: Stage) -> Using:
    names = ("X-Amz-Signature", "X-Amz-Credential", "X-Goog-Signature", "sig", "AWSAccessKeyId")
    return Using(arguments={"params": {"page": 2, **{n: stage.secret("base64") for n in names}}})


def signature_in_a_list_of_params(stage: Stage) -> Using:
    return Using(arguments={"params": [("a", "b"), (b"SIG", stage.secret("base64").encode())]})


def signature_in_the_uri(stage: Stage) -> Using:
    names = ("token", "access_token", "API-KEY", "x-aMz-sIGnature", "client_secret", "Password")
    pairs = [f"{name}={quote(stage.secret('base64'), safe='')}" for name in names]
    return Using(query="&".join(["page=2", *pairs]))


def signature_under_encoded_names(stage: Stage) -> Using:
    names = ("%73ig", "X%2DAmz%2dSignature", "%74%6F%6b%65%6E", "api%5Fkey", "auth%5Btoken%5D")
    return Using(query="&".join(f"{name}={quote(stage.secret())}" for name in names))


def signature_in_the_fragment(stage: Stage) -> Using:
    # A fragment isn't sent; so that it counts as planted, the query has it too.
    secret = stage.secret()
    return Using(query=f"sig={secret}#access_token={secret}")


CREDENTIALS: Final = (
    password,
    short_password,
    password_that_encodings_change,
    password_in_bytes,
    api_key_as_user_name,
    password_set_on_the_session,
    password_of_one_call,
    password_from_netrc,
    bearer_token,
    bearer_token_from_a_provider,
    token_of_another_scheme,
    auth_whose_repr_shows_it,
    auth_that_signs_the_query,
    cookie_of_one_call,
    cookie_of_the_session,
    cookie_in_a_header,
    key_in_added_headers,
    key_in_bytes,
    keys_in_headers_of_one_call,
    header_that_the_user_calls_secret,
    parameter_that_the_user_calls_secret,
    signature_in_params,
    signature_in_a_list_of_params,
    signature_in_the_uri,
    signature_under_encoded_names,
    signature_in_the_fragment,
)

_HARMLESS: Final = {
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "connection",
    "content-type",
    "content-length",
    "traceparent",
}


_TOLD_COOKIE: Final = "told"
"""The cookie that servers tell in; it is not told again, or answers would grow without end."""


def shown_to(request: Request) -> list[str]:
    """What a server can give back of a request: its credentials, as sent and as understood."""
    values: list[str] = []
    for name, value in request.headers.raw:
        if name.lower() in _HARMLESS:
            continue
        if name.lower() == "cookie":
            jar = SimpleCookie(value)
            jar.pop(_TOLD_COOKIE, None)
            values += [f"{key}={morsel.value}" for key, morsel in jar.items()]
            values += [morsel.value for morsel in jar.values()]
            continue
        scheme, _, rest = value.partition(" ")
        values += [value, rest]
        if scheme == "Basic":
            data = base64.b64decode(rest)
            try:
                pair = data.decode()
            except UnicodeDecodeError:
                pair = data.decode("latin-1")
            values += [pair, *pair.split(":", 1)]
    for pair in urlsplit(request.target).query.split("&"):
        value = pair.partition("=")[2]
        values += [value, unquote_plus(value)]
    return list(dict.fromkeys(value for value in values if len(value) > 4))


def told_in_json(request: Request) -> bytes:
    values = shown_to(request)
    told = {
        "error_text": f"no access for {', '.join(values)}",
        "headers": dict(request.headers),
        "query": parse_qsl(urlsplit(request.target).query),
        "target": request.target,
        "trace": "refused:\n" + "\n".join(values) + "\tby the gate",
        "again": [f"/login?next={quote(value, safe='')}" for value in values],
    }
    return json.dumps(told).encode()


def told_in_html(request: Request) -> bytes:
    values = shown_to(request)
    items = [f"<b>{html.escape(value)}</b> {value} {quote(value, safe='')}" for value in values]
    return f"<h1>{html.escape(request.target)}</h1>{''.join(items)}".encode()


def told_in_a_line(request: Request) -> str:
    return " ".join(shown_to(request))


def told_in_headers(request: Request, status: int, line: str) -> Action:
    """An answer with all that was shown in its headers, and a reason of its own."""
    told = told_in_a_line(request)
    location = f"/login?next={quote(f'https://127.0.0.1{request.target}', safe='')}&who=" + quote(
        told, safe=""
    )
    names = ("Retry-After", "ETag", "Server", "X-Request-Id", "X-Echo", "Warning", "Link")
    head = [
        f"HTTP/1.1 {status} {line}",
        f"Content-Type: text/{told}",
        f"Location: {location}",
        f'WWW-Authenticate: Other realm="{told}"',
        f"Set-Cookie: {_TOLD_COOKIE}={quote(told, safe='')}",
        *(f"{name}: {told}" for name in names),
        "Content-Length: 7",
    ]
    return raw("\r\n".join([*head, "", "nothing"]).encode("latin-1", "replace"))


def looping(request: Request) -> Action:
    """A redirect to a path that has, encoded, what was asked for, and all that was shown."""
    if request.path.startswith("/again/"):
        return redirect(302, request.target)
    back = quote(f"https://127.0.0.1{request.target}", safe="")
    told = quote(told_in_a_line(request), safe="")
    return redirect(302, f"/again/{told}?return_to={back}&who={told}")


def to_plain_http(request: Request) -> Action:
    told = quote(told_in_a_line(request), safe="")
    return redirect(302, f"http://{told}:{told}@127.0.0.1/{told}?sig={told}&x={told}")


Answers = Callable[[Request], Action]

ANSWERS: Final[dict[str, tuple[Answers, type[BaseException]]]] = {
    "told in JSON": (lambda r: respond(404, {}, told_in_json(r)), HTTPNotFound),
    "told in HTML": (lambda r: respond(404, {}, told_in_html(r)), HTTPNotFound),
    "told at a 401": (lambda r: respond(401, {}, told_in_json(r)), HTTPUnauthorized),
    "told at a 503": (
        lambda r: respond(503, {"Retry-After": told_in_a_line(r)}, told_in_json(r)),
        HTTPServiceUnavailable,
    ),
    "told in headers": (lambda r: told_in_headers(r, 400, "Bad Request"), HTTPBadRequest),
    "told in the reason": (
        lambda r: told_in_headers(r, 400, f"{told_in_a_line(r)} is bad"),
        HTTPBadRequest,
    ),
    "told in a Location": (looping, TooManyRedirects),
    "told in a Location on http": (to_plain_http, RedirectError),
    "told in a status line": (
        lambda r: (
            raw(f"{told_in_a_line(r)}\r\n\r\n".encode("latin-1", "replace"))
            + close_without_answer()
        ),
        ProtocolError,
    ),
    "told in half a body": (lambda r: truncated_body(told_in_json(r)), ProtocolError),
    "told in a chunk's size": (
        lambda r: (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            + raw(f"{told_in_a_line(r)}\r\n".encode("latin-1", "replace"))
            + close_without_answer()
        ),
        ProtocolError,
    ),
    "told in a broken encoding": (
        lambda r: respond(200, {"Content-Encoding": "gzip"}, told_in_json(r)),
        ProtocolError,
    ),
    "closed": (lambda _: close_without_answer(), ProtocolError),
    "reset": (lambda _: reset_after_reading(), TransportError),
}


class Caller:
    """Sends requests with one credential, to any server."""

    def __init__(self, stage: Stage, using: Using) -> None:
        self._stage, self._using = stage, using
        self._conns: dict[str, Connection] = {}

    def connection(self, url: str) -> Connection:
        if url not in self._conns:
            conn = self._stage.connection(url, self._using.auth, **self._using.options)
            self._using.prepare(conn)
            self._conns[url] = conn
        return self._conns[url]

    def uri(self, path: str) -> str:
        return f"{path}?{self._using.query}" if self._using.query else path

    def request(self, url: str, path: str, **more: Any) -> Callable[[], requests.Response]:
        """A request, to be called."""
        arguments = {**self._using.arguments, **more}
        conn = self.connection(url)
        return lambda: conn.request("GET", self.uri(path), **arguments)

    def json(self, url: str, path: str) -> Callable[[], object]:
        """The same by `json_request`, as far as that takes what is to be given."""
        given = self._using.arguments
        conn = self.connection(url)
        return lambda: conn.json_request(
            "GET", self.uri(path), params=given.get("params"), extra_headers=given.get("headers")
        )


def sent(credential: Callable[[Stage], Using]) -> _Place:
    """The place of a credential that is sent to servers that tell and fail in every way."""

    def play(stage: Stage) -> None:
        using = credential(stage)
        caller = Caller(stage, using)
        server = stage.server()
        caller.request(server.url, "/books")()
        server.default = lambda r: respond(404, {}, told_in_json(r))
        # What was told is in the response that the caller gets, and nowhere else.
        caller.request(server.url, "/books", raise_for_status=False)()
        for label, (answer, expected) in ANSWERS.items():
            server.default = answer
            policy = Policy(attempts=2, redirects=2, breaker=None)
            stage.fails(label, expected, caller.request(server.url, "/books", policy=policy))
        server.default = lambda r: respond(404, {}, told_in_json(r))
        stage.fails("streamed", HTTPNotFound, caller.request(server.url, "/books", stream=True))
        server.default = lambda r: told_in_headers(r, 200, "OK")
        if not {"cookies", "auth"} & set(using.arguments):
            stage.fails("no JSON", DecodeError, caller.json(server.url, "/books"))
        server.default = stall()
        once = Policy(attempts=1, read_timeout=0.03, breaker=None)
        stage.fails("stalled", ReadTimeout, caller.request(server.url, "/books", policy=once))
        stage.fails("late", DeadlineExceeded, caller.request(server.url, "/books", deadline=0.03))
        _without_an_exchange(stage, caller)

    return play


def _without_an_exchange(stage: Stage, caller: Caller) -> None:
    """What fails before the request is sent."""
    refused = f"https://127.0.0.1:{stage.refused()}"
    stage.fails("refused", ConnectError, caller.request(refused, "/books"))
    wrong = stage.server(tls=stage.ca.server_context("wrong name")).url
    stage.fails("wrong name", CertificateError, caller.request(wrong, "/books"))
    closing = stage.server(close_in_handshake()).url
    stage.fails("no handshake", TLSError, caller.request(closing, "/books"))
    for label, header in {"broken": "a\r\nb", "not Latin-1": "\u20ac"}.items():
        stage.fails(
            f"{label} header",
            HeaderError,
            caller.connection(refused).request,
            "GET",
            caller.uri("/"),
            headers={"X-Note": header},
        )


for _credential in CREDENTIALS:
    place(_credential.__name__.replace("_", " "))(sent(_credential))


@place("digest password")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)  # Digest proves it without sending it
    guard = RequireDigest("reader", secret)
    server = stage.server(guard)
    conn = stage.connection(server.url, HTTPDigestAuth("reader", secret))
    conn.json_request("GET", "/books")
    server.default = lambda r: respond(404, {}, told_in_json(r))
    stage.fails("told in JSON", HTTPNotFound, conn.json_request, "GET", "/books")
    proofs = [value for value in guard.seen if value is not None]
    stage.secrets += [match for proof in proofs for match in re.findall(r'response="(\w+)"', proof)]
    server.default = RequireDigest("reader", "another")
    stage.fails("wrong", HTTPUnauthorized, conn.json_request, "GET", "/books")


@place("cookie that the server sets")
def _(stage: Stage) -> None:
    secret = stage.secret()
    head = {"Set-Cookie": f"id={secret}; Path=/"}
    stage.plant(*head.values())
    server = stage.server()
    conn = stage.connection(server.url, ANONYMOUS)
    for status, expected in ((404, HTTPNotFound), (503, HTTPServiceUnavailable)):
        server.script(*[respond(status, head)] * (2 if status == 503 else 1))
        stage.fails(str(status), expected, conn.json_request, "GET", "/")
    server.script(respond(200, head, b"<html>"))
    stage.fails("no JSON", DecodeError, conn.json_request, "GET", "/")
    server.default = respond(302, {**head, "Location": "/"})
    stage.fails("looping", TooManyRedirects, conn.json_request, "GET", "/")
    server.default = lambda r: respond(404, {}, told_in_json(r))
    stage.fails("told", HTTPNotFound, conn.json_request, "GET", "/")
    told = f"session {secret} is locked".encode()
    for status, locked in ((403, HTTPForbidden), (200, DecodeError)):
        server.default = respond(status, head, told)
        fresh = stage.connection(server.url, ANONYMOUS)
        stage.fails(f"locked, {status}", locked, fresh.json_request, "GET", "/")


@place("path that the user rewrites")
def _(stage: Stage) -> None:
    secret = stage.secret()
    redaction = Redaction(path=lambda path: re.sub(r"/accounts/[^/]+", "/accounts/...", path))
    server = stage.server(respond(404))
    conn = stage.connection(server.url, ANONYMOUS, redaction=redaction)
    below = stage.connection(f"{server.url}/accounts/{secret}", ANONYMOUS, redaction=redaction)
    manager = stage.manager(stage.direct(), redaction=redaction)
    found_below = manager.find(f"{server.url}/accounts/{secret}/books", ANONYMOUS)

    def ask() -> object:
        return conn.json_request("GET", f"/accounts/{secret}/books")

    stage.fails("404", HTTPNotFound, ask)
    stage.fails("404 below a base path", HTTPNotFound, below.json_request, "GET", "/books")
    stage.fails("404 in a pool", HTTPNotFound, found_below.json_request, "GET", "/books")
    for uri in (
        f"https://other.test/accounts/{secret}/x",
        f"//x/accounts/{secret}",
        "mailto:books",
    ):
        stage.fails(uri[:8], CrossOriginError, below.get_url, uri)
    stage.absent("other path", manager.conns, (f"{server.url}/accounts/{secret}/films", ANONYMOUS))
    names = ("Location", "Content-Location", "Link", "Refresh")
    forms = ("/accounts/{}", "/accounts/{}", "</accounts/{}>; rel=next", "5; url=/accounts/{}/a")
    head = {name: form.format(secret) for name, form in zip(names, forms, strict=True)}
    server.script(respond(404, head))
    stage.fails("told in headers", HTTPNotFound, conn.json_request, "GET", "/")
    server.default = redirect(302, f"{server.url}/accounts/{secret}/again")
    stage.fails("looping", TooManyRedirects, ask)
    server.default = close_without_answer()
    stage.fails("closed", ProtocolError, ask)


@place("credentials for the target of a redirect")
def _(stage: Stage) -> None:
    here, there = stage.secret(), stage.secret()
    target = stage.server(lambda r: respond(404, {}, told_in_json(r)))
    server = stage.server(redirect(302, f"{target.localhost_url}/elsewhere"))
    registered = {target.localhost_url: ("reader", there)}
    conn = stage.connection(server.url, BearerAuth(here), credentials=registered)
    stage.fails("told", HTTPNotFound, conn.json_request, "GET", "/books")
    assert (server.count(), target.count()) == (1, 1)
    other = stage.connection(server.url, BearerAuth(here))
    stage.fails("none", RedirectError, other.json_request, "GET", "/books")


@place("signed Location")
def _(stage: Stage) -> None:
    secret = stage.secret("base64")
    server, other = stage.server(), stage.server(respond(403))
    signed = f"?X-Amz-Expires=60&x-amz-signature={quote(secret, safe='')}#{secret}"
    conn = stage.connection(server.url, ANONYMOUS)
    server.script(redirect(307, f"/store{signed}"), respond(404))
    stage.fails("followed", HTTPNotFound, conn.json_request, "GET", "/")
    server.script(redirect(307, f"{other.localhost_url}/store{signed}"))
    stage.fails("followed elsewhere", HTTPForbidden, conn.json_request, "GET", "/")
    server.default = redirect(307, f"/store{signed}")
    stage.fails("looping", TooManyRedirects, conn.json_request, "GET", "/")
    server.default = redirect(307, f"http://127.0.0.1/store{signed}")
    stage.fails("to http", RedirectError, conn.json_request, "GET", "/")
    server.default = redirect(307, f"{other.localhost_url}/store{signed}")
    stage.fails("with a body", RedirectError, conn.json_request, "PUT", "/", {"a": 1})


@place("userinfo in a Location")
def _(stage: Stage) -> None:
    secret = stage.secret()
    server = stage.server()
    conn = stage.connection(server.url, ANONYMOUS)
    # User names that no name says are secret, in whatever the parser makes of them.
    locations = (
        f"https://reader:{secret}@127.0.0.1:{server.port}/",
        f"https://{secret}@127.0.0.1:{server.port}/",
        f"//reader:{secret}@localhost/",
        f"ftp://reader:{secret}@127.0.0.1/",
        f"https://reader:{secret}@127.0.0.1:99999/",
        f"http://reader:{secret}@127.0.0.1/",
    )
    for number, location in enumerate(locations):
        stage.plant(location)
        server.script(redirect(302, location))
        stage.fails(str(number), RedirectError, conn.request, "GET", "/")


@place("userinfo in a Location that is no URL")
def _(stage: Stage) -> None:
    location = f"https://reader:{stage.secret()}@[::1/"
    stage.plant(location)
    server = stage.server(redirect(302, location))
    conn = stage.connection(server.url, ANONYMOUS)
    stage.fails("malformed", RedirectError, conn.request, "GET", "/")


# --- places: secrets where they don't belong -----------------------------------------------------


def misplaced(secret: str) -> dict[str, str]:
    """URLs with a secret in them, none of which is a host name."""
    return {
        "userinfo": f"https://reader:{secret}@host.test",
        "user": f"https://{secret}@host.test/base",
        "bad port": f"https://reader:{secret}@host.test:99999",
        "no port": f"https://reader:{secret}@host.test:x",
        "bad address": f"https://reader:{secret}@[::1",
        "no scheme": f"reader:{secret}@host.test",
        "other scheme": f"ftp://reader:{secret}@host.test",
        "no slashes": f"https:reader:{secret}@host.test",
        "backslash": f"https://reader:{secret}\\@host.test",
        "line break": f"https://reader:{secret}\n@host.test",
        "two at signs": f"https://reader:{secret}@x@host.test",
        "query": f"https://host.test?token={secret}",
        "query in a path": f"https://host.test/base?Sig={secret}",
        "fragment": f"https://host.test#access_token={secret}",
        "opaque": f"db://reader:{secret}@host.test/books",
        "opaque query": f"books?password={secret}",
        "settings": f"Server=books;User=reader;Password={secret}",
    }


@place("misplaced in a host name")
def _(stage: Stage) -> None:
    for label, host in misplaced(stage.secret()).items():
        stage.plant(host)
        stage.fails(label, URLError, Connection, host, ANONYMOUS)
        stage.fails(f"{label}, port", URLError, Connection, host, ANONYMOUS, 1)


@place("misplaced in a host that is looked for")
def _(stage: Stage) -> None:
    class Gone(ConnectionHook):
        def connect(self, host: Any, _auth: Any) -> Any:
            raise ConnectionResetError(104, f"no way to {host}")

    class Ours:
        def json_request(self) -> None: ...

    asked, given = stage.manager(stage.direct(), Gone()), stage.manager()
    for label, host in misplaced(stage.secret()).items():
        stage.plant(host)
        stage.fails(label, ConnectionError, asked.find, host, ANONYMOUS)
        stage.absent(f"{label}, absent", given.conns, (host, ANONYMOUS))
        with contextlib.suppress(URLError):
            given.add(host, ANONYMOUS, Ours())
    given.add(("books", stage.secret()), ANONYMOUS, Ours())
    stage.plant(*stage.secrets)
    stage.shown += [*given.conns, given.conns]


@place("misplaced in a URI")
def _(stage: Stage) -> None:
    secret = stage.secret()
    server = stage.server()
    conn = stage.connection(server.url, ANONYMOUS)
    uris = {
        **misplaced(secret),
        "same origin": f"https://reader:{secret}@127.0.0.1:{server.port}/books",
        "no scheme, slashes": f"//reader:{secret}@127.0.0.1:{server.port}/books",
        "backslashes": f"\\\\reader:{secret}@127.0.0.1/books",
        "space": f" https://reader:{secret}@127.0.0.1/books",
        "mail": f"mailto:{secret}@host.test",
        "another origin": f"https://host.test/books?X-Amz-Signature={secret}",
    }
    for label in ("opaque query", "settings"):
        del uris[label]  # these are paths
    for label, uri in uris.items():
        stage.plant(uri)
        stage.fails(label, URLError, conn.get_url, uri)
        stage.fails(label, URLError, conn.json_request, "GET", uri)
    assert server.count() == 0


@place("misplaced in a pattern or a setting")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)
    pattern = f"https://reader:{secret}@host.test"
    stage.fails("hook", ConfigurationError, DirectHook, pattern)
    stage.fails(
        "credentials",
        ConfigurationError,
        Connection,
        "https://host.test",
        ANONYMOUS,
        credentials={pattern: ANONYMOUS},
    )
    for variable in ("SLEEPWALKER_API_KEY", "SLEEPWALKER_SECRET", "SLEEPWALKER_PASSWORDS"):
        environ = {"SLEEPWALKER_ATTEMPTS": "2", variable: secret}
        stage.fails(variable, ConfigurationError, Policy.from_env, environ=environ)
    stage.fails("policy", ConfigurationError, Policy.from_mapping, {"password": secret})


@place("auth that can't be used")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)
    for label, auth in {
        "text": secret,
        "bytes": secret.encode(),
        "list": ["reader", secret],
        "three": ("reader", "x", secret),
        "one": (secret,),
        "number": (secret, 5),
        "mapping": {"token": secret},
        "not Latin-1": ("reader", f"\u20ac{secret}"),
        "object": HTTPBasicAuth(f"\u20ac{secret}", secret),
    }.items():
        stage.fails(label, AuthError, Connection, "https://host.test", auth)
        stage.fails(
            f"{label}, hook",
            EstablishmentError,
            stage.manager(DirectHook()).find,
            "https://host.test",
            auth,
        )
    for label, token in {"spaces": f"a {secret}", "line break": f"{secret}\n"}.items():
        stage.fails(label, AuthError, BearerAuth, token)


@place("headers that can't be sent")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)
    server = stage.server()
    for label, headers in {
        "line break": {"X-Api-Key": f"{secret}\r\nX: y"},
        "bytes": {"X-Api-Key": f"{secret}\n".encode()},
        "no text": {"X-Api-Key": [secret]},
        "not Latin-1": {"X-Api-Key": f"{secret}\u20ac"},
        "leading space": {"Authorization": f" Bearer {secret}"},
        "as a name": {f"Bearer {secret}": "x"},
    }.items():
        conn = stage.connection(server.url, ANONYMOUS)
        bad: Any = headers
        stage.fails(label, HeaderError, conn.add_headers, bad)
        stage.fails(label, HeaderError, conn.request, "GET", "/", headers=bad)
        stage.fails(label, HeaderError, conn.json_request, "GET", "/", None, None, bad)
        if label in {"line break", "bytes", "no text", "leading space"}:
            conn.session.headers.update(bad)
            stage.fails(label, HeaderError, conn.request, "GET", "/")
    conn = stage.connection(server.url, ANONYMOUS)
    stage.fails("key", HeaderError, conn.request, "GET", "/", idempotency_key=f"{secret}\n")
    assert server.count() == 0


@place("arguments that can't be sent")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)
    server = stage.server()
    conn = stage.connection(server.url, ANONYMOUS)
    body = {"password": secret, "when": object.__new__(type("Slotted", (), {"__slots__": ()}))}
    stage.fails("body", EncodeError, conn.json_request, "POST", "/", body)
    stage.fails("method", ConfigurationError, conn.request, f"GET {secret}", "/")
    stage.fails("cookies", ConfigurationError, conn.request, "GET", "/", cookies=[secret, 1])
    stage.fails(
        "files", ConfigurationError, conn.request, "POST", "/", data=secret, files={"a": b""}
    )
    stage.fails("params", ConfigurationError, conn.request, "GET", "/", params=[secret, 1])
    assert server.count() == 0


# --- places: refused plaintext, netrc, tokens ----------------------------------------------------


@place("credentials over plain http")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)
    server = stage.server(tls=False)
    pairs: tuple[Any, ...] = (("reader", secret), HTTPBasicAuth(secret, ""), BearerAuth(secret))
    for auth in pairs:
        name = type(auth).__name__
        stage.fails(name, PlaintextError, Connection, server.url, auth)
        conn = stage.connection(server.url, ANONYMOUS)
        conn.session.auth = auth
        stage.fails(f"{name}, session", PlaintextError, conn.request, "GET", "/")
        stage.fails(f"{name}, past us", PlaintextError, conn.session.get, server.url)
    conn = stage.connection(server.url, ANONYMOUS)
    headers = {"Authorization": f"Bearer {secret}"}
    stage.fails("header", PlaintextError, conn.request, "GET", "/", headers=headers)
    stage.fails(
        "query, too", PlaintextError, conn.request, "GET", f"/?sig={secret}", headers=headers
    )
    stage.fails(
        "found",
        EstablishmentError,
        stage.manager(stage.direct()).find,
        server.url,
        ("reader", secret),
    )
    assert server.count() == 0


@place("password allowed over plain http")
def _(stage: Stage) -> None:
    secret = stage.secret()
    server = stage.server(lambda r: respond(404, {}, told_in_json(r)), tls=False)
    conn = stage.connection(server.url, ("reader", secret), allow_plaintext=True)
    stage.fails("told", HTTPNotFound, conn.json_request, "GET", "/")
    custom = stage.connection(server.url, KeyAuth(secret))
    stage.fails("custom", HTTPNotFound, custom.json_request, "GET", "/")


@place("netrc file that is garbage")
def _(stage: Stage) -> None:
    secret = stage.secret()
    path = stage.home / "netrc"
    path.touch(mode=0o600)
    stage.monkeypatch.setenv("NETRC", str(path))
    for label, text in {
        "top level": secret,
        "follower": f"machine 127.0.0.1 login reader {secret}",
        "unknown": f"machine 127.0.0.1 login reader password x secret {secret}",
        "macro": f"macdef {secret}",
    }.items():
        path.write_text(text)
        stage.plant(text)
        conn = stage.connection("https://127.0.0.1:9", None)
        stage.fails(label, CredentialsError, conn.request, "GET", "/")
    path.write_bytes(b"machine 127.0.0.1 login reader password \xff" + secret.encode())
    conn = stage.connection("https://127.0.0.1:9", None)
    stage.fails("no text", CredentialsError, conn.request, "GET", "/")


def caused(error: Exception, cause: Exception) -> Exception:
    """The error, raised from a cause."""
    error.__cause__ = cause
    return error


class ProviderError(Exception):
    """A token provider's own error, which holds what it was doing."""

    def __init__(self, message: str, **context: Any) -> None:
        super().__init__(message)
        self.context = context


@place("token provider that fails")
def _(stage: Stage) -> None:
    fresh, client = stage.secret(), stage.secret()
    stage.plant(fresh, client)
    server = stage.server(lambda r: respond(401, {}, told_in_json(r)))

    def failing(error: Exception) -> Callable[[], str]:
        def provide() -> str:
            raise error

        return provide

    for label, error in {
        "message": ValueError(f"token {fresh} is no good"),
        "attribute": ProviderError("no token", token=fresh),
        "URL": OSError(f"https://host.test/token?client_secret={client}: refused"),
        "userinfo": OSError(f"https://reader:{client}@host.test/token: refused"),
        "cause": caused(ValueError("no token"), ProviderError(f"client {client}")),
    }.items():
        for hooked in (False, True):
            auth = BearerAuth(failing(error))
            if hooked:
                host = f"https://127.0.0.1:{server.port}/{label}"
                conn = stage.manager(stage.direct()).find(host, auth)
            else:
                conn = stage.connection(server.url, auth)
            stage.fails(label, TokenError, conn.request, "GET", "/")
    assert server.count() == 0
    answers: dict[str, Any] = {"no token": (fresh, "x", client), "spaces": f"{fresh} {client}"}
    for label in answers:
        other = stage.connection(server.url, BearerAuth(partial(answers.__getitem__, label)))
        stage.fails(label, TokenError, other.request, "GET", "/")


@place("token provider that fails to renew")
def _(stage: Stage) -> None:
    old = stage.secret()
    tokens = iter([old])

    def provide() -> str:
        for token in tokens:
            return token
        raise ProviderError(f"{old} was revoked", token=old)

    server = stage.server(lambda r: respond(401, {}, told_in_json(r)))
    conn = stage.connection(server.url, BearerAuth(provide))
    stage.fails("first", TokenError, conn.request, "GET", "/")
    stage.fails("second", TokenError, conn.request, "GET", "/")
    assert server.count() == 2


# --- places: proxies -----------------------------------------------------------------------------


@place("proxy of the session")
def _(stage: Stage) -> None:
    secret = stage.secret("base64")
    user = ("reader", secret)
    proxy, server = (
        stage.proxy(user=user),
        stage.server(lambda r: respond(404, {}, told_in_json(r))),
    )

    def behind(url: str) -> Connection:
        conn = stage.connection(server.url, ANONYMOUS)
        conn.session.proxies = {"https": url, "http": url}
        return conn

    login = f"reader:{quote(secret, safe='')}"
    conn = behind(f"http://{login}@127.0.0.1:{proxy.port}")
    stage.fails("through it", HTTPNotFound, conn.request, "GET", "/")
    assert (proxy.count(method="CONNECT"), server.count()) == (1, 1)
    plain = stage.server(lambda r: respond(404, {}, told_in_json(r)), tls=False)
    through = stage.connection(plain.url, ANONYMOUS)
    through.session.proxies = {"http": f"http://{login}@127.0.0.1:{proxy.port}"}
    stage.fails("forwarded", HTTPNotFound, through.request, "GET", "/")
    for label, url in {
        "wrong password": f"http://{login}X@127.0.0.1:{proxy.port}",
        "refused": f"http://{login}@127.0.0.1:{stage.refused()}",
        "bad port": f"http://{login}@127.0.0.1:99999",
        "bad address": f"http://{login}@[::1",
        "bad scheme": f"ftp://{login}@127.0.0.1",
        "no socks": f"socks5://{login}@127.0.0.1:1",
    }.items():
        stage.fails(label, (ConnectionError, ConfigurationError), behind(url).request, "GET", "/")


@place("proxy without a host")
def _(stage: Stage) -> None:
    url = f"http://reader:{stage.secret()}@"
    stage.plant(url)
    conn = stage.connection("https://127.0.0.1", ANONYMOUS)
    conn.session.proxies = {"https": url}
    stage.fails("no host", (ConnectionError, ConfigurationError), conn.request, "GET", "/")


@place("proxy that tells")
def _(stage: Stage) -> None:
    secret = stage.secret("base64")
    server = stage.server()

    def told(request: Request) -> Action:
        stage.plant(told_in_a_line(request))
        return told_in_headers(request, 502, told_in_a_line(request))

    def garbage(request: Request) -> Action:
        return raw(f"{told_in_a_line(request)}\r\n\r\n".encode()) + close_without_answer()

    for label, answer in {"reason": told, "garbage": garbage}.items():
        proxy = stage.proxy(user=("reader", secret))
        proxy.default = answer
        conn = stage.connection(server.url, ANONYMOUS)
        url = f"http://reader:{quote(secret, safe='')}@127.0.0.1:{proxy.port}"
        conn.session.proxies = {"https": url}
        stage.fails(label, (ProxyError, ProtocolError), conn.request, "GET", "/?a=b")
    assert server.count() == 0


@place("proxy of the environment")
def _(stage: Stage) -> None:
    secret = stage.secret()
    server = stage.server(lambda r: respond(404, {}, told_in_json(r)))
    proxy = stage.proxy(user=("reader", secret))
    conn = stage.connection(server.url, ANONYMOUS)
    for label, port in {"through it": proxy.port, "refused": stage.refused()}.items():
        stage.monkeypatch.setenv("HTTPS_PROXY", f"http://reader:{secret}@127.0.0.1:{port}")
        stage.monkeypatch.setenv("https_proxy", f"http://reader:{secret}@127.0.0.1:{port}")
        expected = HTTPNotFound if label == "through it" else ConnectionError
        stage.fails(label, expected, conn.request, "GET", "/")
    assert (proxy.count(), server.count()) == (1, 1)


# --- places: hooks and what they raise -----------------------------------------------------------


class LoginError(Exception):
    """A hook's own error, which holds what it was doing."""

    def __init__(self, message: str = "no login", *args: object, **context: Any) -> None:
        super().__init__(message, *args)
        self.context: dict[Any, Any] = context


Raising = Callable[[Any, str], Exception]


def _noted(error: Exception, note: str) -> Exception:
    error.add_note(note)
    return error


def _requests_error(secret: str) -> Exception:
    """What a hook gets that uses `requests` itself."""
    request = requests.Request("GET", f"https://reader:{secret}@host.test/", auth=("x", secret))
    response = requests.Response()
    response.status_code, response._content = 403, secret.encode()  # noqa: SLF001 - as requests does
    response.request = request.prepare()
    return requests.HTTPError("403 Forbidden", response=response)


RAISED: Final[dict[str, Raising]] = {
    "message": lambda _, secret: LoginError(f"{secret} is wrong"),
    "message of an OSError": lambda _, secret: OSError(5, f"{secret} is wrong"),
    "file name": lambda _, secret: FileNotFoundError(2, "no such key", f"/keys/{secret}"),
    "repr of the auth": lambda auth, _: LoginError(f"{auth!r} {getattr(auth, '__dict__', '')!r}"),
    "args": lambda _, secret: LoginError("no login", secret),
    "args in a list": lambda _, secret: LoginError("no login", [{"password": [secret]}]),
    "attribute": lambda _, secret: LoginError(password=secret),
    "bytes": lambda _, secret: LoginError(password=secret.encode()),
    "auth as an attribute": lambda auth, _: LoginError(auth=auth),
    "object as an attribute": lambda _, secret: LoginError(auth=KeyAuth(secret)),
    "cause": lambda _, secret: caused(LoginError(), ValueError(f"{secret} is wrong")),
    "cause's attribute": lambda _, secret: caused(LoginError(), LoginError(password=secret)),
    "note": lambda _, secret: _noted(LoginError(), f"tried {secret}"),
    "our error": lambda _, secret: ConnectionError(f"{secret} is wrong"),
    "our transient error": lambda _, secret: TransportError(f"{secret} is wrong"),
    "our error's attribute": lambda _, secret: _with(ConnectionError("no"), password=secret),
    "our error's cause": lambda _, secret: caused(ConnectionError("no"), ValueError(secret)),
    "requests' error": lambda _, secret: _requests_error(secret),
    "group": lambda _, secret: ExceptionGroup("no login", [ValueError(f"{secret} is wrong")]),
}


def _with(error: Exception, **attributes: object) -> Exception:
    error.__dict__.update(attributes)
    return error


class Raises(ConnectionHook):
    """A hook that fails with an error that says too much."""

    def __init__(self, make: Callable[[Any, Any], Exception], secret: Any) -> None:
        self._make, self._secret = make, secret

    def connect(self, _host: Any, auth: Any) -> Any:
        raise self._make(auth, self._secret)


def hooked(auth_of: Callable[[str], Any], *labels: str) -> _Place:
    """The place of hooks that fail with the secret of the auth they were given."""

    def play(stage: Stage) -> None:
        secret = stage.secret()
        stage.plant(secret)
        for label in labels or RAISED:
            host = f"books of {label}"
            manager = stage.manager(Raises(RAISED[label], secret))
            auth = auth_of(secret)
            for _ in range(2):
                failure = stage.fails(label, EstablishmentError, manager.find, host, auth)
            assert isinstance(failure, EstablishmentError)
            assert [outcome.outcome for outcome in failure.outcomes] == ["failed"]
            assert isinstance(failure.outcomes[0], HookOutcome)
            assert failure.__cause__ is not None
            stage.shown += [failure.outcomes, *failure.outcomes]

    return play


place("hook that tells a password")(hooked(lambda secret: ("reader", secret)))
place("hook that tells a user name")(hooked(lambda secret: (secret, ""), "message", "attribute"))
place("hook that tells Basic's password")(hooked(lambda s: HTTPBasicAuth("reader", s)))
place("hook that tells Digest's password")(
    hooked(
        lambda s: HTTPDigestAuth("reader", s), "message", "args", "auth as an attribute", "cause"
    )
)
place("hook that tells a bearer token")(hooked(BearerAuth))
place("hook that tells a key of a user's own auth")(hooked(KeyAuth))
place("hook that tells an auth that is text")(hooked(lambda secret: secret))
place("hook that tells an auth that is a mapping")(hooked(lambda s: {"account": "a", "token": s}))
place("hook that tells an auth in bytes")(hooked(lambda s: ("reader", s.encode()), "message"))


@place("hook that tells a URL")
def _(stage: Stage) -> None:
    secret = stage.secret()
    for label, text in {
        "userinfo": f"can't open https://reader:{secret}@host.test/login, sorry",
        "database": f"postgres://reader:{secret}@host.test/books: refused",
        "query": f"/login?client_secret={secret}&x=y: 403",
        "signed": f"Max retries exceeded with url: /x?X-Amz-Signature={secret} (Caused by ...)",
    }.items():
        stage.plant(text)
        for make in (LoginError, OSError):
            hook = Raises(lambda _, error: error, make(text))
            manager = stage.manager(hook)
            stage.fails(label, EstablishmentError, manager.find, "books", ANONYMOUS)


@place("hook that logs in by a request")
def _(stage: Stage) -> None:
    stage.goes_past_us = True
    secret = stage.secret()
    server = stage.server(lambda r: respond(403, {}, told_in_json(r) + r.body))

    class Login(ConnectionHook):
        """Sends the password in a body, and shows it in its own error as well."""

        def connect(self, host: Any, auth: Any) -> Any:
            conn = stage.connection(host, ANONYMOUS)
            conn.json_request("POST", f"/login?password={auth[1]}", {"password": auth[1]})
            return conn

    class Past(ConnectionHook):
        """Goes past us."""

        def connect(self, host: Any, auth: Any) -> Any:
            requests.post(
                f"{host}/login",
                params={"password": auth[1]},
                json={"password": auth[1]},
                auth=auth,
                verify=str(stage.ca.bundle),
                timeout=5,
            ).raise_for_status()

    for hook in (Login(), Past()):
        manager = stage.manager(hook)
        name = type(hook).__name__
        failure = stage.fails(
            name, EstablishmentError, manager.find, server.url, ("reader", secret)
        )
        if isinstance(hook, Past):
            assert isinstance(failure.__cause__, requests.HTTPError)
            assert failure.__cause__.response is not None
            assert failure.__cause__.response.status_code == 403
    assert server.count() == 2
    stage.plant(*(request.text for request in server.requests))


@place("hook that tells of its own login by a request")
def _(stage: Stage) -> None:
    stage.goes_past_us = True
    secret = stage.secret()
    server = stage.server(lambda r: respond(403, {}, told_in_json(r)))
    refused = f"https://127.0.0.1:{stage.refused()}"
    stage.plant(secret)

    class Login(ConnectionHook):
        """Logs in with a password that only it knows, and says in its own words that it can't."""

        def __init__(self, error: LoginError, *, said: bool) -> None:
            self._error, self._said = error, said

        def connect(self, host: Any, auth: Any) -> Any:
            assert auth is ANONYMOUS
            try:
                requests.post(
                    f"{host}/login",
                    params={"token": secret},
                    auth=("svc", secret),
                    verify=str(stage.ca.bundle),
                    timeout=5,
                ).raise_for_status()
            except requests.RequestException as error:
                self._error.context["response"] = error.response
                self._error.__dict__["answer"] = error.response
                if self._said:
                    raise self._error from error
                raise self._error  # noqa: B904 - what is behind it is left unsaid

    for host in (server.url, refused):
        for said in (True, False):
            manager = stage.manager(Login(LoginError(), said=said))
            stage.fails(f"{said}", EstablishmentError, manager.find, host, ANONYMOUS)
    assert server.count() == 2


@place("hook that returns no connection")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)

    class Returns(ConnectionHook):
        def connect(self, _host: Any, _auth: Any) -> Any:
            return secret

    manager = stage.manager(Returns())
    stage.fails("text", EstablishmentError, manager.find, "books", ("reader", secret))


@place("finds that fail together")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)
    go_on = threading.Event()

    class Slow(ConnectionHook):
        def connect(self, _host: Any, auth: Any) -> Any:
            go_on.wait(5.0)
            raise LoginError(f"{auth[1]} is wrong")

    class Reentrant(ConnectionHook):
        def connect(self, host: Any, auth: Any) -> Any:
            return manager.find(host, auth)

    manager = stage.manager(Slow())
    auth = ("reader", secret)
    failures: list[BaseException] = []

    def find() -> None:
        try:
            manager.find("books", auth)
        except ConnectionError as error:
            failures.append(error)

    threads = [threading.Thread(target=find) for _ in range(3)]
    for thread in threads:
        thread.start()
    waiting = ("coalesced", "books")
    stage.watched.wait_for(
        lambda _: (
            sum(
                (getattr(e, "result", ""), getattr(getattr(e, "pool", None), "host", "")) == waiting
                for e in stage.watched.events
            )
            == 2
        )
    )
    go_on.set()
    for thread in threads:
        thread.join(5.0)
    assert len(failures) == 3
    stage.errors += [("together", failure) for failure in failures]
    manager.clear_hooks()
    manager.add_conn_hook(Reentrant())
    failure = stage.fails("reentrant", EstablishmentError, manager.find, "books", auth)
    assert isinstance(failure.__cause__, ReentrantFindError)


# --- places: what is not ours --------------------------------------------------------------------


@place("adapter that raises what it was given")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)

    class Telling(requests.adapters.BaseAdapter):
        def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
            told = f"{request.headers['Authorization']!r} {request.url} {secret}"
            raise requests.ConnectionError(told, request=request)

        def close(self) -> None: ...

    conn = stage.connection("https://host.test", BearerAuth(secret))
    conn.session.mount("https://", Telling())
    stage.fails("error", ConnectionError, conn.request, "GET", f"/?sig={secret}")


@place("response hook that raises")
def _(stage: Stage) -> None:
    secret = stage.secret()
    server = stage.server(lambda r: respond(404, {}, told_in_json(r)))
    conn = stage.connection(server.url, ("reader", secret))

    def check(response: requests.Response, **_: Any) -> None:
        response.raise_for_status()

    hooks = {"response": check}
    stage.fails("status", HTTPNotFound, conn.request, "GET", f"/?sig={secret}", hooks=hooks)


@place("reprs of all that holds credentials")
def _(stage: Stage) -> None:
    secret = stage.secret()
    stage.plant(secret)
    pair, host = ("reader", secret), "https://host.test"
    auths: list[Any] = [pair, (secret, ""), HTTPBasicAuth(secret, secret), BearerAuth(secret)]
    auths += [BearerAuth(lambda: secret), HTTPDigestAuth(secret, secret), KeyAuth(secret)]
    manager = stage.manager(DirectHook(credentials={host: pair}), policy=Policy(attempts=1))
    for auth in auths:
        conn = manager.find(host, auth)
        stage.shown += [conn, conn.policy, conn._credentials, conn.session]  # noqa: SLF001 - it has secrets
        stage.absent("absent", manager.conns, ("https://x.test", auth))
    # What users pass is theirs; a `BearerAuth` is ours.
    stage.shown += [auth for auth in auths if isinstance(auth, BearerAuth)]
    stage.shown += [*manager.conns, manager.conns, manager._hooks]  # noqa: SLF001 - as above
    stage.shown += [list(manager.conns.items()), ResetReport(0, 0, 0, 0)]
    assert len(manager.conns) == len(auths)


# --- the tests -----------------------------------------------------------------------------------

_played: dict[str, Evidence | BaseException] = {}


@pytest.fixture
def play(
    ca: CertificateAuthority, isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Evidence]:
    """Play a place once for all outputs."""

    def played(name: str) -> Evidence:
        if name not in _played:
            try:
                _played[name] = Stage(ca, isolation, monkeypatch).run(PLACES[name])
            except BaseException as error:
                _played[name] = error
                raise
        evidence = _played[name]
        if isinstance(evidence, BaseException):
            raise evidence
        return evidence

    return played


@pytest.mark.parametrize("name", PLACES)
def test_a_planted_secret_is_in_no_output(name: str, play: Callable[[str], Evidence]) -> None:
    evidence = play(name)
    told = [f"in {output}: {leak}" for output in OUTPUTS for leak in evidence.leaks(output)]
    assert not told, "\n".join([f"{name}:", *told[:20]])


@pytest.mark.parametrize("name", PLACES)
def test_the_secrets_of_a_place_were_really_there(
    name: str, play: Callable[[str], Evidence]
) -> None:
    evidence = play(name)
    assert evidence.secrets
    for secret in evidence.secrets:
        assert found(secret, evidence.planted), f"{name}: {secret}"


def _telling(stage: Stage) -> None:
    """A place that tells its secret everywhere: as a label that the user chose, and in an error."""
    secret = stage.secret()
    conn = stage.connection(stage.server().url, ANONYMOUS, auth_label=secret)
    conn.json_request("GET", "/")
    print(secret)  # noqa: T201 - it is what is to be seen

    def fail() -> None:
        raise ConnectionError(f"no {secret}")

    stage.fails("told", ConnectionError, fail)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_secret_that_is_told_is_found_in_every_output(
    output: str, ca: CertificateAuthority, isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Stage(ca, isolation, monkeypatch).run(_telling).leaks(output)


ENCODED: Final[dict[str, Callable[[str], str]]] = {
    "as it is": str,
    "in the middle of text": lambda secret: f"xx{secret}xx",
    "in other letters": str.upper,
    "cut short": lambda secret: secret[:-3],
    "without its beginning": lambda secret: secret[3:],
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded in small letters": lambda secret: quote(secret, safe="").lower(),
    "in JSON": json.dumps,
    "in a repr": repr,
    "in HTML": html.escape,
    "in a Basic header": lambda secret: base64.b64encode(f"reader:{secret}".encode()).decode(),
    "in a Basic header of a user": lambda secret: base64.b64encode(f"{secret}:".encode()).decode(),
    "in URL-safe base64": lambda s: base64.urlsafe_b64encode(f"me:{s}".encode()).decode(),
    "in a pickle": lambda secret: pickle.dumps({"password": secret}).decode("latin-1"),
    "in an old pickle": lambda secret: pickle.dumps([secret], 0).decode("latin-1"),
}


@pytest.mark.parametrize("shape", ["token", "base64", "awkward"])
@pytest.mark.parametrize("how", ENCODED)
def test_the_search_knows_a_secret(how: str, shape: str) -> None:
    secret = new_secret(shape)
    assert found(secret, ENCODED[how](secret))
    assert not found(new_secret(shape), ENCODED[how](secret))


def test_the_search_reaches_all_that_hangs_on_an_error() -> None:
    class Slotted:
        __slots__ = ("value",)

        def __init__(self, value: object) -> None:
            self.value = value

    note, attribute, slot, cause, context, argument, key = (new_secret() for _ in range(7))
    error = LoginError("no login", {"args": [Slotted(slot)]}, b"" + argument.encode())
    error.add_note(note)
    error.context = {("a", key): {"deep": (attribute,)}}
    error.__cause__ = ValueError(cause)
    error.__context__ = OSError(5, "no", context)
    texts = "\n".join(everything_in(error))
    for secret in (note, attribute, slot, cause, context, argument, key):
        assert found(secret, texts)
