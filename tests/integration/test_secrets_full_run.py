"""One run in which all goes well and all goes wrong: secrets everywhere, and nobody tells one.

Rules:

1. Each place has a secret of its own, made at run time, and shows that it was really there.
2. Each output has a marker, which is no secret and must be found: the output was really searched.
3. Servers tell what they were shown, in every letter case and encoding; what they tell is no
   business of anybody's but of the caller who reads the response.
4. How single errors and hooks tell is in `test_secrets`; here are the outputs of a whole process:
   every logger at DEBUG, both formats of the metrics, the standard metric, the other hosts.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import pickle
import re
import traceback
import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import prometheus_client.openmetrics.exposition as openmetrics
import pytest
import structlog
from opentelemetry import baggage, context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import generate_latest
from requests.auth import AuthBase, HTTPDigestAuth

from sleepwalker import (
    ANONYMOUS,
    BearerAuth,
    Breaker,
    CircuitOpenError,
    Connection,
    ConnectionHook,
    ConnectionManager,
    DecodeError,
    DirectHook,
    EstablishmentError,
    HTTPForbidden,
    HTTPNotFound,
    HTTPServiceUnavailable,
    HTTPUnprocessableContent,
    Policy,
    ProtocolError,
    ProxyError,
    Redaction,
    RedirectError,
    SleepwalkerException,
    TokenError,
)
from sleepwalker.observability.logs import Logs
from sleepwalker.testing import RecordingObserver, SkippingClock
from tests.planting import WRITTEN, everything_in, found, leaks, new_secret
from tests.servers import (
    ForwardProxy,
    RequireDigest,
    ScriptedServer,
    close_without_answer,
    raw,
    redirect,
    respond,
    truncated_body,
)
from tests.telemetry import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import requests

    from tests.servers import Action, CertificateAuthority

MARK: Final = "marker-of-this-run"
"""What is no secret and stands in every output."""
FOR_TARGET: Final = {
    "credential for the target",
    "signature of a Location",
    "fragment of a Location",
}
"""The places whose secrets the host that a redirect leads to may see."""

Conn = Connection
Arguments = dict[str, Any]


class BadgeAuth(AuthBase):
    """An auth of the user's own, which hides nothing."""

    def __init__(self, badge: str) -> None:
        self.badge = badge

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["X-Acme"] = self.badge
        return r

    def __repr__(self) -> str:
        return f"BadgeAuth({self.badge!r})"


class LoginError(Exception):
    """A hook's own error, which holds what it was doing."""

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.context = context


class Fails(ConnectionHook):
    """Fails for the host ``vault``, and says everything about it."""

    def __init__(self, cause: Exception) -> None:
        self._cause = cause

    def connect(self, host: Any, auth: Any) -> Any:
        if host == f"vault {MARK}":
            error = LoginError(f"{auth!r} is wrong", auth=auth, given=[auth.badge.encode()])
            error.add_note(f"tried https://reader:{auth.badge}@host.test/?token={auth.badge}")
            raise error from self._cause


def written(secrets: tuple[str, ...]) -> dict[str, list[str]]:
    """What a server tells of secrets."""
    return {how: [write(secret) for secret in secrets] for how, write in WRITTEN.items()}


def telling(status: int, *secrets: str, as_json: bool = True, **headers: str) -> Action:
    """An answer that tells secrets in its body, in headers and in its reason."""
    told = written(secrets)
    body = json.dumps({"error": "no", "told": [{"deep": told}]}) if as_json else f"<p>{told}"
    line = " ".join([f"{status} no", *(quote(secret, safe="") for secret in secrets)])
    given = {"X-Echo": told["percent-encoded"][0], "ETag": told["in base64"][0], **headers}
    head = [f"HTTP/1.1 {line}", *(f"{name}: {value}" for name, value in given.items())]
    data = body.encode()
    return raw("\r\n".join([*head, f"Content-Length: {len(data)}", "", ""]).encode() + data)


class Run:
    """The run: what was planted, what was done, and what came out.

    :ivar secrets: by place
    :ivar planted: where they must be found
    """

    def __init__(
        self, ca: CertificateAuthority, home: Path, environment: pytest.MonkeyPatch
    ) -> None:
        self.secrets: dict[str, str] = {}
        self.planted: list[str] = []
        self.errors: dict[str, BaseException] = {}
        self.second_host: list[str] = []
        self.outputs: dict[str, list[str]] = {}
        self._home, self._environment = home, environment
        self._bundle = str(ca.bundle)
        self._exits = ExitStack()
        self._servers = [
            self._exits.enter_context(ScriptedServer(tls=ca.server_context())) for _ in range(2)
        ]
        self.first, self.second = self._servers
        self._watched, self._recorder = Watched(), RecordingObserver()
        self._reader = InMemoryMetricReader()
        self._redaction = Redaction(
            headers=["X-Badge"],
            parameters=["iban"],
            path=lambda path: re.sub(r"/accounts/[^/;]+", "/accounts/-", path),
        )
        clock = SkippingClock()
        self._options: Arguments = {
            **self._watched.instruments,
            "meter_provider": MeterProvider([self._reader], shutdown_on_exit=False),
            "observers": (self._recorder, Logs(clock=clock)),
            "clock": clock,
            "redaction": self._redaction,
            "baggage_hosts": [self.first.url],
        }
        self._shown: list[object] = [self._redaction, self._recorder]

    def secret(self, place: str, shape: str = "base64") -> str:
        """A new secret."""
        return self.secrets.setdefault(place, new_secret(shape))

    def connection(self, auth: Any, **options: Any) -> Conn:
        """A watched connection to the first host."""
        given = {**self._options, "verify": self._bundle, "policy": Policy(attempts=2)}
        conn = self._exits.enter_context(
            Connection(self.first.url, auth, **{"auth_label": MARK, **given, **options})
        )
        self._shown += [conn, conn.session]
        return conn

    def fails(
        self, expected: type[BaseException], call: Callable[..., object], *args: Any, **kwargs: Any
    ) -> None:
        """Call what must raise."""
        with pytest.raises(expected) as caught:
            call(*args, **kwargs)
        self.errors[f"{len(self.errors)} {expected.__name__}"] = caught.value

    # --- the run -----------------------------------------------------------------------------

    def play(self) -> None:
        """Do everything, and gather what came out."""
        printed = io.StringIO()
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(record=True) as warned,
            every_logger() as lines,
            self._exits,
        ):
            warnings.simplefilter("always")
            print(MARK)  # noqa: T201 - it is what is to be seen
            token = context.attach(baggage.set_baggage("who", self.secret("baggage", "token")))
            try:
                for step in (
                    self.sends_everything,
                    self.retries_and_gives_up,
                    self.is_redirected,
                    self.follows_a_link,
                    self.has_hooks_that_fail,
                    self.has_proxies,
                    self.finds_netrc,
                    self.answers_digest,
                    self.meets_an_open_breaker,
                    self.gets_what_cannot_be_read,
                    self.sends_forms,
                    self.has_no_token,
                ):
                    step()
            finally:
                context.detach(token)
            self._expose()
        for server in self._servers:
            for request in server.requests:
                seen = [request.target, *(v for _, v in request.headers.raw), request.text]
                self.planted += seen
                if server is self.second:
                    self.second_host += [repr(request), *seen]
        console, plain = (
            structlog.dev.ConsoleRenderer(colors=False),
            structlog.processors.JSONRenderer(),
        )
        errors = self.errors.values()
        self.outputs |= {
            "spans": [f"{span.name} {span.to_json()}" for span in self._watched.spans],
            "structlog lines": [
                f"{plain(None, '', dict(line))!r} {console(None, '', dict(line))} {line!r}"
                for line in self._watched.lines
            ],
            "every stdlib logger": lines,
            "events": [f"{event!r} {[*everything_in(*event)]}" for event in self._recorder.events],
            "errors": [text for error in errors for text in everything_in(error)],
            "tracebacks": [text for error in errors for text in traceback.format_exception(error)],
            "pickles": [
                data.decode("latin-1")
                for error in errors
                for data in (pickle.dumps(error, 0), pickle.dumps(error))
            ],
            "unpickled errors": [
                text
                for error in errors
                for text in everything_in(pickle.loads(pickle.dumps(error)))  # noqa: S301 - ours
            ],
            "copied errors": [text for e in errors for text in everything_in(copy.copy(e))],
            "warnings": [f"{one.message} {one.source!r} {one!r}" for one in warned],
            "printed": [printed.getvalue()],
        }

    def _expose(self) -> None:
        registry = self._watched.registry
        metrics = self._reader.get_metrics_data()
        assert metrics is not None
        self.outputs |= {
            "metrics": [generate_latest(registry).decode()],
            "OpenMetrics with exemplars": [
                openmetrics.generate_latest(registry).decode()  # type: ignore[no-untyped-call]
            ],
            "OpenTelemetry's metrics": [metrics.to_json()],
            "reprs": [f"{shown!r} {shown}" for shown in self._shown],
        }

    # --- its steps ---------------------------------------------------------------------------

    def sends_everything(self) -> None:
        """All that a request can carry, and all of it told."""
        jwt = f"eyJhbGciOiJub25lIn0.eyJ{self.secret('JWT in a path', 'token').replace('-', 'x')}.s"
        nested = f"https://x.test/?X-Amz-Signature={quote(self.secret('URL in a path'), safe='')}"
        pairs = {
            "access_token": self.secret("query"),
            "%2573%2569G": self.secret("query under an encoded name", "awkward"),
            "login[pin]": self.secret("query under a compound name"),
            "IBAN": self.secret("parameter of the user's", "awkward"),
            "next": quote(f"https://reader:{self.secret('userinfo in a query', 'token')}@x.test/"),
            "where": json.dumps({"password": self.secret("JSON in a query", "token")}),
        }
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())
        uri = (
            f"/{MARK}/accounts/{self.secret('path of the user', 'token')}"
            f";sid={self.secret('matrix parameter', 'token')}/{jwt}/{quote(nested, safe='')}"
            f"?page=2;token={self.secret('query behind a semicolon', 'token')}&{query}"
            f"#access_token={self.secret('fragment', 'token')}"
        )
        self.planted.append(uri)  # a fragment isn't sent
        arguments: Arguments = {
            "headers": {
                "x-API-kEY": self.secret("header", "base64"),
                "X-AUTH-TOKEN": self.secret("header in bytes").encode(),
                "x-bADGE": self.secret("header of the user's"),
            },
            "cookies": {"theme": self.secret("cookie")},
            "params": {"sig": ["a", self.secret("list in params", "awkward")]},
            "name": f"/{MARK}",
        }
        conn = self.connection(BadgeAuth(self.secret("repr of an auth")))
        conn.add_headers({"Api_Key": self.secret("added header")})
        conn.session.cookies.set("id", self.secret("cookie of the session"))
        conn.request("GET", uri, **arguments)
        sent = tuple(
            secret
            for place, secret in self.secrets.items()
            # What only its form or the user's rewriter gives away is not known elsewhere.
            if place not in {"path of the user", "JWT in a path", "URL in a path", "baggage"}
            and place not in {"userinfo in a query", "JSON in a query", "fragment"}
        )
        self.first.default = telling(404, *sent)
        self.fails(HTTPNotFound, conn.request, "GET", uri, **arguments)
        assert conn.request("GET", uri, raise_for_status=False, **arguments).status_code == 404
        self.first.default = respond(200, body=b"{}")

    def retries_and_gives_up(self) -> None:
        """A cookie of one answer is told by the next, once and again."""
        cookie = self.secret("cookie that a server sets")
        conn = self.connection(BearerAuth(self.secret("bearer token", "token")))
        told = telling(503, cookie, self.secrets["bearer token"])
        sets = respond(200, {"Set-Cookie": f"seat={cookie}; Path=/elsewhere"}, b"{}")
        self.planted.append(cookie)
        self.first.script(sets, told, respond(200, body=b"{}"), told, told)
        for _ in range(2):
            conn.json_request("GET", f"/{MARK}")
        self.fails(HTTPServiceUnavailable, conn.json_request, "GET", f"/{MARK}")

    def is_redirected(self) -> None:
        """To another host, which tells; and to where no request goes."""
        signature, end = (
            self.secret("signature of a Location"),
            self.secret("fragment of a Location"),
        )
        own = self.secret("credential for the target", "awkward")
        self.second.default = telling(404, own, signature)
        target = f"{self.second.localhost_url}/{MARK}"
        to = f"{target}?X-aMz-sIGNATURE={quote(signature, safe='')}#{quote(end)}"
        self.planted += [end, own]
        self.first.script(redirect(302, to))
        auth = BearerAuth(self.secret("token that stays behind", "token"))
        registered = {self.second.localhost_url: ("reader", own.encode())}
        conn = self.connection(auth, credentials=registered)
        headers = {"X-Badge": self.secret("header that stays behind")}
        self.fails(HTTPNotFound, conn.request, "GET", "/", headers=headers)
        for number, location in enumerate(
            (
                "https://reader:{}@127.0.0.1/",
                "https://reader:a/{}@127.0.0.1/",
                "https://b\u00fccher:{}@b\u00fccher.test/",
            )
        ):
            there = location.format(self.secret(f"userinfo in a Location, {number}", "token"))
            self.planted.append(there)
            link = {"Link": f'<{there}>; rel="next"', "Refresh": f"0; url={there}"}
            self.first.script(respond(302, {"Location": there.encode().decode("latin-1"), **link}))
            self.fails(RedirectError, conn.request, "GET", f"/{MARK}")

    def follows_a_link(self) -> None:
        """To another host, with a credential for that."""
        own = self.secrets["credential for the target"]
        signature = self.secret("signature of a link", "token")
        self.second.default = telling(404, own, signature)
        url = f"{self.second.localhost_url}/{MARK}?sig={signature}"
        with self._manager() as manager:
            response = manager.find(self.first.url, ANONYMOUS).request("GET", f"/{MARK}")
            following = manager.following("next", url, ("reader", own.encode()), source=response)
            with following as conn:
                self.fails(HTTPNotFound, conn.request, "GET", url)

    def _manager(self, *hooks: Any, **options: Any) -> ConnectionManager:
        direct = DirectHook(verify=self._bundle, clock=self._options["clock"], auth_label=MARK)
        manager = ConnectionManager(hooks=[*hooks, direct], **{**self._options, **options})
        self._shown += [manager, *hooks, direct]
        return manager

    def has_hooks_that_fail(self) -> None:
        """With an error that tells the auth, and is made from one that tells another secret."""
        badge, cause = self.secret("auth of a hook"), self.secret("chain of a hook", "token")
        hook = Fails(OSError(5, f"https://reader:{cause}@host.test/?token={cause}: no"))
        self.planted += [badge, cause]
        with self._manager(hook) as manager:
            self.fails(EstablishmentError, manager.find, f"vault {MARK}", BadgeAuth(badge))
            self._shown += [manager.conns, *manager.conns, manager.reset()]

    def has_proxies(self) -> None:
        """One that tells what it was shown and fails, one that works."""
        password = self.secret("proxy")
        with ForwardProxy(user=("reader", password)) as proxy:
            url = f"http://reader:{quote(password, safe='')}@127.0.0.1:{proxy.port}"
            conn = self.connection(ANONYMOUS)
            conn.session.proxies = {"https": url}
            conn.request("GET", f"/{MARK}")
            self.planted += [v for r in proxy.requests for _, v in r.headers.raw]
            proxy.default = telling(502, password)
            other = self.connection(ANONYMOUS)
            other.session.proxies = {"https": url}
            self.fails(ProxyError, other.request, "GET", f"/{MARK}")

    def finds_netrc(self) -> None:
        """In a file that the environment names."""
        path, password = self._home / "netrc", self.secret("netrc")
        path.touch(mode=0o600)
        path.write_text(f"machine 127.0.0.1 login reader password {password}\n")
        self._environment.setenv("NETRC", str(path))
        self.first.script(telling(403, password))
        self.fails(HTTPForbidden, self.connection(None).request, "GET", f"/{MARK}")

    def answers_digest(self) -> None:
        """With a replay, after which all is told."""
        password = self.secret("digest", "awkward")
        self.planted.append(password)  # it is proved without being sent
        self.first.default = RequireDigest("reader", password, then=telling(403, password))
        conn = self.connection(HTTPDigestAuth("reader", password))
        self.fails(HTTPForbidden, conn.request, "GET", f"/{MARK}")
        self.first.default = respond(200, body=b"{}")

    def meets_an_open_breaker(self) -> None:
        """After failures that tell."""
        token = self.secret("token before an open breaker", "token")
        policy = Policy(attempts=2, breaker=Breaker(calls=2))
        conn = self.connection(BearerAuth(token), policy=policy)
        self.first.script(*[telling(503, token)] * 2)
        self.fails(HTTPServiceUnavailable, conn.request, "GET", f"/{MARK}?sig={token}")
        self.fails(CircuitOpenError, conn.request, "GET", f"/{MARK}?sig={token}")

    def gets_what_cannot_be_read(self) -> None:
        """No JSON, half a body, a streamed error, headers that are none."""
        key, lost = self.secret("key behind all that can't be read"), self.secret("broken header")
        conn = self.connection(ANONYMOUS)
        conn.add_headers({"X-Api-Key": key})
        broken = (
            f"HTTP/1.1 404 No\r\nContent-Length: 0\r\nno header\r\nSet-Cookie: id={lost}\r\n\r\n"
        )
        self.planted.append(broken)
        once = Policy(attempts=1)
        self.first.script(
            telling(200, key, as_json=False),
            telling(404, key),
            truncated_body(f"{written((key,))}".encode()),
            raw(f"{key} {MARK}\r\n\r\n".encode()) + close_without_answer(),
            raw(broken.encode()),
            truncated_body(f"{written((key,))}".encode()),
        )
        self.fails(DecodeError, conn.json_request, "GET", f"/{MARK}")
        self.fails(HTTPNotFound, conn.request, "GET", f"/{MARK}", stream=True)
        self.fails(ProtocolError, conn.request, "GET", f"/{MARK}", policy=once)
        self.fails(ProtocolError, conn.request, "GET", f"/{MARK}", policy=once)
        self.fails(HTTPNotFound, conn.request, "GET", f"/{MARK}")
        streamed = conn.request("GET", f"/{MARK}", stream=True)
        self.fails(ProtocolError, lambda: streamed.content)

    def sends_forms(self) -> None:
        """Passwords in bodies, which come back in the errors."""
        for what, kind in (("JSON", "json"), ("form", "data"), ("form in parts", "files")):
            password = self.secret(f"password in a {what}", "awkward")
            given: Any = {"new_password": (None, password) if kind == "files" else password}
            self.first.script(telling(422, password))
            conn = self.connection(ANONYMOUS)
            self.fails(HTTPUnprocessableContent, conn.request, "POST", f"/{MARK}", **{kind: given})
        self.planted += [self.secrets["password in a JSON"], self.secrets["password in a form"]]

    def has_no_token(self) -> None:
        """Because the provider of it fails, and says why."""
        client = self.secret("token provider")
        self.planted.append(client)

        def provide() -> str:
            raise LoginError(f"https://x.test/?client_secret={client}: refused", secret=client)

        conn = self.connection(BearerAuth(provide))
        self.fails(TokenError, conn.request, "GET", f"/{MARK}")
        unverified = self.connection(ANONYMOUS, verify=False)
        unverified.request("GET", f"/{MARK}?sig={client}")


@contextlib.contextmanager
def every_logger() -> Iterator[list[str]]:
    """All that reaches the root logger, everything at DEBUG, as it is and as it is formatted."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name}: {self.format(record)} {record.__dict__!r}")

    root, ours, handler = logging.getLogger(), logging.getLogger("sleepwalker"), Keep()
    levels = root.level, ours.level
    root.addHandler(handler)
    for logger in (root, ours):
        logger.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        for logger, level in zip((root, ours), levels, strict=True):
            logger.setLevel(level)


# --- the tests -----------------------------------------------------------------------------------

_played: list[Run] = []


@pytest.fixture
def run(ca: CertificateAuthority, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give the one run, which the first test plays."""
    assert not structlog.is_configured(), "a test before this one left structlog configured"
    if not _played:
        made = Run(ca, isolation, monkeypatch)
        made.play()
        _played.append(made)
    return _played[0]


MARKERS: Final = {
    "spans": MARK,
    "structlog lines": f"/{MARK}",
    "every stdlib logger": f'"GET /{MARK}',
    "events": MARK,
    "errors": MARK,
    "tracebacks": MARK,
    "pickles": MARK,
    "unpickled errors": MARK,
    "copied errors": MARK,
    "warnings": "certificate verification is strongly advised",
    "printed": MARK,
    "metrics": f'auth="{MARK}"',
    "OpenMetrics with exemplars": "# {span_id=",
    "OpenTelemetry's metrics": "http.client.request.duration",
    "reprs": MARK,
}
"""What is found in each output, if it is searched at all."""


def test_no_secret_of_any_place_is_in_any_output(run: Run) -> None:
    told = [
        f"in {output}: {leak}"
        for output, texts in run.outputs.items()
        for leak in leaks(run.secrets, texts)
    ]

    assert not told, "\n".join(["", *told])


def test_every_output_was_really_searched(run: Run) -> None:
    missing = [name for name, mark in MARKERS.items() if mark not in "\n".join(run.outputs[name])]

    assert missing == []
    assert set(MARKERS) == set(run.outputs)
    stdlib = {line.partition(":")[0] for line in run.outputs["every stdlib logger"]}
    assert {"sleepwalker", "urllib3.connection", "urllib3.connectionpool"} <= stdlib


def test_a_secret_in_any_output_would_be_found_with_its_place() -> None:
    for shape in ("token", "base64", "awkward"):
        secret = new_secret(shape)
        for how, write in WRITTEN.items():
            [leak] = leaks({"a place": secret, "another": new_secret(shape)}, ["", write(secret)])
            assert leak.startswith("a place: "), how


def test_every_secret_was_really_there(run: Run) -> None:
    planted = "\n".join(run.planted)

    assert [place for place, secret in run.secrets.items() if not found(secret, planted)] == []


def test_another_host_saw_nothing_but_what_is_for_it(run: Run) -> None:
    seen = {leak.partition(":")[0] for leak in leaks(run.secrets, run.second_host)}

    assert seen == {*FOR_TARGET, "signature of a link"} - {"fragment of a Location"}
    assert MARK in "\n".join(run.second_host)
    assert "traceparent" in "\n".join(run.second_host)


def test_the_first_host_saw_the_baggage_that_is_for_it(run: Run) -> None:
    assert f"who={run.secrets['baggage']}" in run.first.requests[0].headers["baggage"]


def test_all_that_was_to_go_wrong_did(run: Run) -> None:
    errors = list(run.errors.values())

    assert all(isinstance(error, SleepwalkerException) for error in errors)
    assert {type(error).__name__ for error in errors} >= {
        "CircuitOpenError",
        "DecodeError",
        "EstablishmentError",
        "HTTPServiceUnavailable",
        "ProtocolError",
        "ProxyError",
        "RedirectError",
        "TokenError",
    }
    assert run.first.count() + run.second.count() == TOTAL


TOTAL: Final = 31
