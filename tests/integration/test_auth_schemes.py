"""Every other kind of auth: pairs, Digest's dance, and whatever else is a `requests` auth object.

Rule: what went over the wire is read from the server; spans and counts must agree with it.
"""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from sleepwalker import ANONYMOUS, Connection, Policy
from sleepwalker.exceptions import HTTPUnauthorized, ReadTimeout
from sleepwalker.testing import SkippingClock
from tests.servers import RequireBasic, RequireDigest, reset_after_reading, respond, stall

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests
    from opentelemetry.sdk.trace import ReadableSpan

    from tests.servers import (
        CertificateAuthority,
        DigestAlgorithm,
        MakeServer,
        Request,
        ScriptedServer,
    )

PATIENCE = 5.0  # seconds


def client_spans(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer_provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


# Pairs


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (("user", "secret"), "Basic dXNlcjpzZWNyZXQ="),
        (("user", ""), "Basic dXNlcjo="),
        (("user", "a:b"), "Basic dXNlcjphOmI="),
        ((b"user", b"secret"), "Basic dXNlcjpzZWNyZXQ="),
        (("us\u00e9r", "secret"), "Basic dXPpcjpzZWNyZXQ="),
        (("us\u00e9r".encode(), b"secret"), "Basic dXPDqXI6c2VjcmV0"),
        (HTTPBasicAuth("user", "secret"), "Basic dXNlcjpzZWNyZXQ="),
    ],
)
def test_a_pair_is_a_shortcut_for_basic(
    tls_server: ScriptedServer, ca: CertificateAuthority, auth: Any, header: str
) -> None:
    with Connection(tls_server.url, auth, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        assert isinstance(conn.session.auth, HTTPBasicAuth)

    assert tls_server.requests[0].headers["Authorization"] == header


def test_a_wrong_password_is_told_and_sent_once(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    guard = RequireBasic("user", "secret")
    server = make_server(guard, tls=True)
    with (
        Connection(server.url, ("user", "wrong"), verify=str(ca.bundle)) as conn,
        pytest.raises(HTTPUnauthorized) as raised,
    ):
        conn.request("GET", "/")

    assert raised.value.attempts == len(guard.seen) == 1


def test_the_sessions_auth_can_be_set_later(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    with Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        conn.session.auth = ("user", "secret")
        conn.request("GET", "/")
        conn.session.auth = HTTPBasicAuth("other", "pw")
        conn.request("GET", "/")

    assert [request.headers.get("Authorization") for request in tls_server.requests] == [
        None,
        "Basic dXNlcjpzZWNyZXQ=",
        "Basic b3RoZXI6cHc=",
    ]


def test_a_calls_own_auth_beats_the_connections(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    with Connection(tls_server.url, ("user", "secret"), verify=str(ca.bundle)) as conn:
        conn.request("GET", "/", auth=("other", "pw"))
        conn.request("GET", "/")

    assert [request.headers["Authorization"] for request in tls_server.requests] == [
        "Basic b3RoZXI6cHc=",
        "Basic dXNlcjpzZWNyZXQ=",
    ]


# Digest


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_digest_dances_once_and_then_knows_the_way(
    make_server: MakeServer, ca: CertificateAuthority, algorithm: DigestAlgorithm
) -> None:
    guard = RequireDigest("user", "secret", algorithm)
    server = make_server(guard, tls=True)
    auth = HTTPDigestAuth("user", "secret")
    with Connection(server.url + "/api", auth, verify=str(ca.bundle)) as conn:
        assert conn.json_request("GET", "/a?b=c")["target"] == "/api/a?b=c"
        assert conn.json_request("GET", "/d")["target"] == "/api/d"

    assert [value is None for value in guard.seen] == [True, False, False]


@pytest.mark.parametrize("make", [lambda: b"the body", lambda: io.BytesIO(b"the body")])
def test_digest_sends_a_posts_body_again(
    make_server: MakeServer, ca: CertificateAuthority, make: Any
) -> None:
    guard = RequireDigest("user", "secret")
    server = make_server(guard, tls=True)
    conn = Connection(server.url, HTTPDigestAuth("user", "secret"), verify=str(ca.bundle))
    with conn:
        response = conn.request("POST", "/", data=make())

    assert response.json()["body"] == "the body"
    assert [request.body for request in server.requests] == [b"the body", b"the body"]
    assert [value is None for value in guard.seen] == [True, False]


def test_digests_replay_is_an_attempt_with_a_span_of_its_own(
    make_server: MakeServer,
    ca: CertificateAuthority,
    exporter: InMemorySpanExporter,
    tracer_provider: TracerProvider,
) -> None:
    registry = CollectorRegistry()
    server = make_server(RequireDigest("user", "secret"), tls=True)
    conn = Connection(
        server.url,
        HTTPDigestAuth("user", "secret"),
        verify=str(ca.bundle),
        tracer_provider=tracer_provider,
        registry=registry,
    )
    with conn:
        conn.json_request("POST", "/", {"id": 1})

    challenge, replay = client_spans(exporter)
    [call] = [span for span in exporter.get_finished_spans() if span.name == "sleepwalker.request"]
    assert challenge.attributes is not None
    assert replay.attributes is not None
    assert call.attributes is not None
    assert challenge.name == replay.name == "POST"
    assert challenge.attributes["http.response.status_code"] == 401
    assert replay.attributes["http.response.status_code"] == 200
    assert "http.request.resend_count" not in challenge.attributes
    assert replay.attributes["http.request.resend_count"] == 1
    assert call.attributes["sleepwalker.attempts"] == 2
    for span in (challenge, replay):
        assert span.parent is not None
        assert span.parent.span_id == call.context.span_id
    parents = [request.headers["traceparent"].split("-")[2] for request in server.requests]
    assert parents == [format(span.context.span_id, "016x") for span in (challenge, replay)]
    pool = {"host": server.url, "auth": "digest"}
    attempts = "sleepwalker_attempts_total"
    for code in ("401", "200"):
        labels = {**pool, "method": "POST", "code": code, "error_type": "none"}
        assert registry.get_sample_value(attempts, labels) == 1
    retries = {**pool, "reason": "auth"}
    assert registry.get_sample_value("sleepwalker_retries_total", retries) == 1


def test_two_threads_dance_each_for_itself(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    guard, together = RequireDigest("user", "secret"), threading.Barrier(2)

    def handler(request: Request) -> Any:
        if "Authorization" not in request.headers:
            together.wait(PATIENCE)  # both are challenged before one has answered
        return guard(request)

    server = make_server(handler, tls=True)
    auth = HTTPDigestAuth("user", "secret")
    with (
        Connection(server.url, auth, verify=str(ca.bundle)) as conn,
        ThreadPoolExecutor(2) as pool,
    ):
        answers = list(
            pool.map(lambda body: conn.json_request("POST", "/", body)["body"], ["one", "two"])
        )

    assert answers == ['"one"', '"two"']
    assert [value is None for value in guard.seen].count(True) == 2
    assert server.count() == 4
    assert sorted(request.body for request in server.requests) == [b'"one"'] * 2 + [b'"two"'] * 2


def test_a_wrong_digest_is_told_after_one_dance(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    guard = RequireDigest("user", "secret")
    server = make_server(guard, tls=True)
    conn = Connection(server.url, HTTPDigestAuth("user", "wrong"), verify=str(ca.bundle))
    with conn, pytest.raises(HTTPUnauthorized) as raised:
        conn.request("GET", "/")

    assert raised.value.attempts == len(guard.seen) == 2


def test_digest_dances_again_when_its_request_is_retried(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    guard = RequireDigest("user", "secret")
    server = make_server(guard, tls=True)
    server.script(respond(503), guard, respond(503), guard)
    conn = Connection(
        server.url,
        HTTPDigestAuth("user", "secret"),
        verify=str(ca.bundle),
        clock=SkippingClock(),
    )
    with conn:
        response = conn.request("PUT", "/", data=b"x")

    # 503; 401 and its replay, which gets a 503; then the nonce is known
    assert response.status_code == 200
    assert [request.body for request in server.requests] == [b"x"] * 4
    assert ["Authorization" in r.headers for r in server.requests] == [False, False, True, True]


def test_a_replay_has_timeouts_of_its_own(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    guard = RequireDigest("user", "secret")
    server = make_server(guard, tls=True)
    server.script(guard, stall())
    conn = Connection(
        server.url,
        HTTPDigestAuth("user", "secret"),
        verify=str(ca.bundle),
        timeout=0.4,
        policy=Policy(attempts=1),
    )
    with conn, pytest.raises(ReadTimeout) as raised:
        conn.request("POST", "/", data=b"x")

    assert raised.value.attempts == server.count() == 2
    assert raised.value.outcome_unknown


def chunks() -> Iterator[bytes]:
    yield b"one,"
    yield b"two"


def test_digest_never_sends_a_body_in_part(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(RequireDigest("user", "secret"), tls=True)
    conn = Connection(server.url, HTTPDigestAuth("user", "secret"), verify=str(ca.bundle))
    with conn, pytest.raises(HTTPUnauthorized):
        conn.request("POST", "/", data=chunks())

    assert [request.body for request in server.requests] == [b"one,two"]


# Any other requests auth


class Signed(AuthBase):
    """Signs what it is given: method, URL and body."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        assert isinstance(request.body, bytes)
        request.headers["X-Signature"] = f"{request.method} {request.path_url} {len(request.body)}"
        return request


class Rewriting(AuthBase):
    """Puts its key into the URL, as some APIs want it."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.prepare_url(request.url or "", {"api_key": "k1"})
        return request


class Watching(AuthBase):
    """Registers a response hook, as Digest and Kerberos do."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.register_hook("response", self._response)
        return request

    def _response(self, response: requests.Response, **_: Any) -> None:
        self.seen.append(response.status_code)


def numbered() -> Any:
    numbers = iter(range(1, 100))

    def auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Number"] = str(next(numbers))
        return request

    return auth


def test_a_custom_class_sees_the_request_as_it_goes_out(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    with Connection(tls_server.url + "/api", Signed(), verify=str(ca.bundle)) as conn:
        conn.json_request("POST", "/books", {"id": 1}, params={"a": "b"})

    assert tls_server.requests[0].headers["X-Signature"] == "POST /api/books?a=b 9"


def test_a_custom_class_may_change_the_url(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(respond(503))
    conn = Connection(tls_server.url, Rewriting(), verify=str(ca.bundle), clock=SkippingClock())
    with conn:
        conn.request("GET", "/books?a=b")

    assert [r.target for r in tls_server.requests] == ["/books?a=b&api_key=k1"] * 2


def test_auth_is_asked_anew_for_each_attempt(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(respond(503), respond(503))
    with Connection(
        tls_server.url, numbered(), verify=str(ca.bundle), clock=SkippingClock()
    ) as conn:
        conn.request("GET", "/")

    assert [request.headers["X-Number"] for request in tls_server.requests] == ["1", "2", "3"]


def test_an_auths_response_hook_is_called_once_for_each_attempt(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(respond(503), respond(503))
    auth = Watching()
    with Connection(tls_server.url, auth, verify=str(ca.bundle), clock=SkippingClock()) as conn:
        conn.request("GET", "/")
        conn.request("GET", "/")

    assert auth.seen == [503, 503, 200, 200]


def test_what_a_custom_auth_raises_comes_up_as_it_is(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    def broken(_: requests.PreparedRequest) -> requests.PreparedRequest:
        raise LookupError("no key in the vault")

    with Connection(tls_server.url, broken, verify=str(ca.bundle)) as conn:
        with pytest.raises(LookupError, match="no key in the vault"):
            conn.request("GET", "/")
        assert conn.in_flight == 0

    assert tls_server.connections == []


@pytest.mark.parametrize(
    "challenge",
    [
        "Digest",
        'Digest nonce="7"',
        'Digest realm="books"',
        'Digest realm="books", nonce="7", algorithm=ROT13',
        'Digest realm="books", nonce="7", qop="auth-int"',
        'Digest realm="books", nonce="7", qop="auth-int", stale=true',
        'Digest "',
        "Negotiate",
        'Basic realm="books"',
        'Bearer error="invalid_token"',
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_digest_challenge_that_cannot_be_met_is_the_answer(
    tls_server: ScriptedServer, ca: CertificateAuthority, challenge: str, *, stream: bool
) -> None:
    tls_server.default = respond(401, {"WWW-Authenticate": challenge}, b"who?")
    auth = HTTPDigestAuth("user", "secret")
    with Connection(tls_server.url, auth, verify=str(ca.bundle), registry=False) as conn:
        with pytest.raises(HTTPUnauthorized) as caught:
            conn.request("GET", "/", stream=stream)
        assert caught.value.text == "who?"
        response = conn.request("GET", "/", raise_for_status=False, stream=stream)
        with response:
            assert (response.status_code, response.text) == (401, "who?")
        assert conn.in_flight == 0
    # None was sent again without an answer to its challenge.
    assert [r.headers.get("Authorization") for r in tls_server.requests] == [None, None]


@pytest.mark.parametrize(
    "challenges",
    [
        ['Digest realm="test", nonce="7", qop="auth,auth-int"'],
        ['Basic realm="books", Digest realm="test", nonce="7", qop="auth"'],
        ['Digest realm="test", nonce="7", qop="auth", Basic realm="books"'],
        ['Basic realm="books"', 'Digest realm="test", nonce="7", qop="auth"'],
        ['Digest realm="test", nonce="7", qop="auth"', "Negotiate", 'Basic realm="books"'],
    ],
)
def test_digest_finds_its_challenge_among_several(
    tls_server: ScriptedServer, ca: CertificateAuthority, challenges: list[str]
) -> None:
    tls_server.script(respond(401, [("WWW-Authenticate", each) for each in challenges]))
    auth = HTTPDigestAuth("user", "secret")
    with Connection(tls_server.url, auth, verify=str(ca.bundle), registry=False) as conn:
        conn.request("POST", "/", data=b"x")
    first, second = (request.headers.get("Authorization") for request in tls_server.requests)
    assert first is None
    assert second is not None
    assert second.startswith('Digest username="user", realm="test", nonce="7"')
    assert "Basic" not in second


@pytest.mark.parametrize("lost_first", [False, True])
def test_a_stale_nonce_costs_one_dance_also_on_a_resend(
    make_server: MakeServer, ca: CertificateAuthority, *, lost_first: bool
) -> None:
    guard = RequireDigest("user", "secret")
    server = make_server(guard, tls=True)
    auth = HTTPDigestAuth("user", "secret")
    with Connection(server.url, auth, verify=str(ca.bundle), clock=SkippingClock()) as conn:
        conn.request("PUT", "/", data=b"x")
        if lost_first:
            server.script(reset_after_reading())
        guard.forget()
        conn.request("PUT", "/", data=io.BytesIO(b"xyz"))
    # A dance, a request with a nonce that was forgotten, maybe twice, and its replay.
    assert [r.body for r in server.requests] == [b"x"] * 2 + [b"xyz"] * (3 if lost_first else 2)
    assert len({r.headers["Authorization"] for r in server.requests[2:]}) == server.count() - 2


def test_a_stale_nonce_is_no_reason_to_send_a_stream_again(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    guard = RequireDigest("user", "secret")
    server = make_server(guard, tls=True)
    auth = HTTPDigestAuth("user", "secret")
    with Connection(server.url, auth, verify=str(ca.bundle)) as conn:
        conn.request("PUT", "/")
        conn.request("PUT", "/", data=chunks())
        guard.forget()
        with pytest.raises(HTTPUnauthorized):
            conn.request("PUT", "/", data=chunks())
    assert [r.body for r in server.requests] == [b"", b"", b"one,two", b"one,two"]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_401_on_a_resend_is_told_and_ends_it(
    tls_server: ScriptedServer, ca: CertificateAuthority, method: str
) -> None:
    tls_server.script(reset_after_reading(), respond(401, {"WWW-Authenticate": 'Basic realm="r"'}))
    with (
        Connection(
            tls_server.url, ("user", "secret"), verify=str(ca.bundle), clock=SkippingClock()
        ) as conn,
        pytest.raises(HTTPUnauthorized) as caught,
    ):
        conn.request(method, "/")
    assert caught.value.attempts == tls_server.count() == 2
    assert caught.value.outcome_unknown == (method == "PUT")


def test_what_a_callers_own_auth_raises_at_a_challenge_comes_up_as_it_is(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    class Broken(HTTPDigestAuth):
        def build_digest_header(self, _method: str, _url: str) -> str:
            raise KeyError("realm")

    tls_server.default = respond(401, {"WWW-Authenticate": 'Digest realm="a", nonce="7"'})
    auth = Broken("user", "secret")
    with (
        Connection(tls_server.url, auth, verify=str(ca.bundle), registry=False) as conn,
        pytest.raises(KeyError),
    ):
        conn.request("GET", "/")
