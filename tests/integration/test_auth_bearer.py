"""`BearerAuth`: asked once for all threads, again before expiry, and once after a 401.

Rule: how often a provider was asked is counted by the provider, what was sent by the server.
"""

from __future__ import annotations

import io
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ANONYMOUS, BearerAuth, Connection, ConnectionManager, DirectHook, Policy
from sleepwalker.exceptions import (
    AuthError,
    CredentialsError,
    DeadlineExceeded,
    HTTPUnauthorized,
    TokenError,
)
from sleepwalker.testing import SkippingClock
from tests.servers import RequireBearer, respond, stall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import CertificateAuthority, MakeServer, Request, ScriptedServer

PATIENCE = 5.0  # seconds
THREADS = 16
EPOCH = 1_800_000_000.0


class Provider:
    """Gives the tokens `t1`, `t2`, ... and counts."""

    def __init__(self, *, life: Any = None) -> None:
        self.asked = 0
        self._life = life
        self.before: Callable[[], object] = lambda: None

    def __call__(self) -> Any:
        self.before()
        self.asked += 1
        token = f"t{self.asked}"
        return token if self._life is None else (token, self._life)


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return EPOCH + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def guard() -> RequireBearer:
    """Lets in all tokens that a test's provider gives first; the test revokes them."""
    return RequireBearer("t1", "t2", "t3", "t4")


@pytest.fixture
def guarded(make_server: MakeServer, guard: RequireBearer) -> ScriptedServer:
    return make_server(guard, tls=True)


def in_threads(work: Callable[[int], Any]) -> list[Any]:
    """Do it in 16 threads at once; what came of it."""
    together = threading.Barrier(THREADS)

    def begin(number: int) -> Any:
        together.wait(PATIENCE)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


# A fixed token


def test_a_fixed_token_is_sent(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    with Connection(guarded.url, BearerAuth("t1"), verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        conn.json_request("POST", "/", {})

    assert guard.seen == ["Bearer t1", "Bearer t1"]


def test_a_fixed_token_that_is_rejected_is_not_sent_again(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    with (
        Connection(guarded.url, BearerAuth("wrong"), verify=str(ca.bundle)) as conn,
        pytest.raises(HTTPUnauthorized) as raised,
    ):
        conn.request("GET", "/")

    assert guard.seen == ["Bearer wrong"]
    assert raised.value.attempts == 1


def test_what_a_bearer_auth_is_shows_in_no_text() -> None:
    assert repr(BearerAuth("planted-token")) == "BearerAuth(<token>)"
    assert repr(BearerAuth(lambda: "planted-token")) == "BearerAuth(<provider>)"


# Asked once


def test_a_provider_is_asked_once_for_16_threads(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    provider = Provider()
    with Connection(guarded.url, BearerAuth(provider), verify=str(ca.bundle)) as conn:
        in_threads(lambda number: conn.request("GET", f"/{number}"))
        conn.request("GET", "/later")

    assert provider.asked == 1
    assert guard.seen == ["Bearer t1"] * (THREADS + 1)


def test_a_provider_is_asked_at_the_first_request_and_not_before(
    guarded: ScriptedServer, ca: CertificateAuthority
) -> None:
    provider = Provider()
    with Connection(guarded.url, BearerAuth(provider), verify=str(ca.bundle)) as conn:
        repr(conn)
        assert provider.asked == 0
        conn.request("GET", "/")

    assert provider.asked == 1


def test_a_401_of_16_threads_asks_once_more_and_each_is_sent_again_once(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    guard, provider = RequireBearer("t2"), Provider()
    together = threading.Barrier(THREADS)

    def handler(request: Request) -> Any:
        if request.headers["Authorization"] == "Bearer t1":
            together.wait(PATIENCE)  # all have sent the old token before one learns of it
        return guard(request)

    server = make_server(handler, tls=True)
    with Connection(server.url, BearerAuth(provider), verify=str(ca.bundle)) as conn:
        in_threads(lambda number: conn.json_request("POST", f"/{number}", {"id": number}))

    assert provider.asked == 2
    assert sorted(map(str, guard.seen)) == ["Bearer t1"] * THREADS + ["Bearer t2"] * THREADS
    assert all(server.count(method="POST", target=f"/{n}") == 2 for n in range(THREADS))


# Expiry


AHEAD = datetime.fromtimestamp(EPOCH + 1000, UTC)


@pytest.mark.parametrize(
    ("life", "renew_at"),
    [
        (100, 90.0),
        (100.0, 90.0),
        (3600, 3540.0),
        (AHEAD, 940.0),
        (EPOCH + 1000, 940.0),
        (600, 540.0),
    ],
)
def test_a_provider_is_asked_again_before_its_token_expires(
    guarded: ScriptedServer,
    guard: RequireBearer,
    ca: CertificateAuthority,
    life: Any,
    renew_at: float,
) -> None:
    provider, clock = Provider(life=life), FakeClock()
    auth = BearerAuth(provider, clock=clock)
    with Connection(guarded.url, auth, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        clock.now = renew_at - 0.1
        conn.request("GET", "/")
        assert provider.asked == 1
        clock.now = renew_at
        conn.request("GET", "/")

    assert guard.seen == ["Bearer t1", "Bearer t1", "Bearer t2"]


def test_expiry_asks_once_for_16_threads(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    provider, clock = Provider(life=100), FakeClock()
    auth = BearerAuth(provider, clock=clock)
    with Connection(guarded.url, auth, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        clock.now = 95.0
        in_threads(lambda number: conn.request("GET", f"/{number}"))

    assert provider.asked == 2
    assert guard.seen == ["Bearer t1"] + ["Bearer t2"] * THREADS


@pytest.mark.parametrize("answer", ["t1", ("t1", None), ("t1", float("inf"))])
def test_a_token_without_an_expiry_is_kept(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority, answer: Any
) -> None:
    asked, clock = [], FakeClock()

    def provider() -> Any:
        asked.append(clock.now)
        return answer

    auth = BearerAuth(provider, clock=clock)
    with Connection(guarded.url, auth, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        clock.now = 1e8
        conn.request("GET", "/")

    assert asked == [0.0]
    assert guard.seen == ["Bearer t1"] * 2


def test_a_token_that_has_expired_already_is_used_once(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    provider = Provider(life=0)
    with Connection(guarded.url, BearerAuth(provider), verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        conn.request("GET", "/")

    assert guard.seen == ["Bearer t1", "Bearer t2"]


# A 401


def chunks() -> Iterator[bytes]:
    yield b"once"


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("policy", [Policy(), Policy(attempts=1)])
def test_after_a_401_a_request_of_any_method_is_sent_again_once(
    guarded: ScriptedServer,
    guard: RequireBearer,
    ca: CertificateAuthority,
    method: str,
    policy: Policy,
) -> None:
    guard.revoke("t1")
    provider, clock = Provider(), SkippingClock()
    conn = Connection(
        guarded.url, BearerAuth(provider), verify=str(ca.bundle), policy=policy, clock=clock
    )
    with conn:
        response = conn.request(method, "/books", json={"id": 1})
        conn.request(method, "/books")

    assert response.status_code == 200
    assert guard.seen == ["Bearer t1", "Bearer t2", "Bearer t2"]
    assert [r.body for r in guarded.requests][:2] == [b'{"id": 1}'] * 2
    assert provider.asked == 2
    assert clock.slept == []


def test_a_second_401_raises(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    guard.revoke("t1", "t2")
    provider = Provider()
    with Connection(guarded.url, BearerAuth(provider), verify=str(ca.bundle)) as conn:
        with pytest.raises(HTTPUnauthorized) as raised:
            conn.json_request("POST", "/", {"id": 1})
        assert raised.value.attempts == 2
        assert conn.json_request("GET", "/")  # the next call has its own second chance

    assert guard.seen == ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"]
    assert provider.asked == 3


def test_a_401_among_retries_is_no_retry(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    guard.revoke("t1")
    guarded.script(respond(503), guard, respond(503), guard)
    conn = Connection(
        guarded.url, BearerAuth(Provider()), verify=str(ca.bundle), clock=SkippingClock()
    )
    with conn:
        response = conn.request("GET", "/")

    assert response.status_code == 200
    sent = [request.headers["Authorization"] for request in guarded.requests]
    assert sent == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"]


def test_a_file_is_wound_back_to_where_it_was(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    guard.revoke("t1")
    body = io.BytesIO(b"skipped,sent")
    body.seek(8)
    with Connection(guarded.url, BearerAuth(Provider()), verify=str(ca.bundle)) as conn:
        conn.request("POST", "/", data=body)

    assert [request.body for request in guarded.requests] == [b"sent", b"sent"]


def test_a_body_that_can_not_be_wound_back_is_not_sent_again(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    guard.revoke("t1")
    with (
        Connection(guarded.url, BearerAuth(Provider()), verify=str(ca.bundle)) as conn,
        pytest.raises(HTTPUnauthorized),
    ):
        conn.request("POST", "/", data=chunks())

    assert [request.body for request in guarded.requests] == [b"once"]


def test_a_stream_is_sent_again_too(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    guard.revoke("t1")
    with (
        Connection(guarded.url, BearerAuth(Provider()), verify=str(ca.bundle)) as conn,
        conn.request("GET", "/", stream=True) as response,
    ):
        assert response.json()["target"] == "/"

    assert len(guarded.connections) <= 2
    assert guard.seen == ["Bearer t1", "Bearer t2"]


# Providers that fail


def test_a_provider_that_fails_is_a_typed_error_and_nothing_is_sent(
    guarded: ScriptedServer, ca: CertificateAuthority
) -> None:
    asked = []

    def provider() -> str:
        asked.append(1)
        words = "planted" + "-word"  # not as it stands in a traceback's line of code
        raise LookupError(words)

    with Connection(guarded.url, BearerAuth(provider), verify=str(ca.bundle)) as conn:
        with pytest.raises(TokenError, match="failed with LookupError") as raised:
            conn.request("GET", "/")
        assert isinstance(raised.value, CredentialsError)
        assert "LookupError" in repr(raised.value.__cause__)
        assert raised.value.attempts == 0
        assert "planted" not in "".join(traceback.format_exception(raised.value))

    assert len(asked) == 1
    assert guarded.connections == []


def test_a_provider_that_fails_after_a_401_is_a_typed_error(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    guard.revoke("t1")
    provider = Provider()

    def fails_later() -> Any:
        if provider.asked:
            raise OSError("the token service is down")
        return provider()

    with (
        Connection(guarded.url, BearerAuth(fails_later), verify=str(ca.bundle)) as conn,
        pytest.raises(TokenError),
    ):
        conn.request("GET", "/")

    assert guard.seen == ["Bearer t1"]


def test_a_failure_is_not_remembered(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    answers: list[Any] = [None, "", "two words", "new\nline", 7, b"t1", ["t1"], "t1"]
    auth = BearerAuth(lambda: answers.pop(0))
    with Connection(guarded.url, auth, verify=str(ca.bundle)) as conn:
        while len(answers) > 1:
            with pytest.raises(TokenError, match="must return a token"):
                conn.request("GET", "/")
        conn.request("GET", "/")

    assert guard.seen == ["Bearer t1"]


@pytest.mark.parametrize(
    "expiry",
    ["tomorrow", True, datetime(2030, 1, 1), float("nan"), (1,), {}],  # noqa: DTZ001 - what is wrong with it
)
def test_an_expiry_that_is_none_is_an_error(
    guarded: ScriptedServer, ca: CertificateAuthority, expiry: Any
) -> None:
    auth = BearerAuth(lambda: ("t1", expiry))
    with (
        Connection(guarded.url, auth, verify=str(ca.bundle)) as conn,
        pytest.raises(TokenError, match="expiry of a bearer token must be"),
    ):
        conn.request("GET", "/")

    assert guarded.connections == []


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "caf\u00e9", None, b"t1", 7])
def test_a_fixed_token_that_no_header_can_hold_is_refused(token: Any) -> None:
    with pytest.raises(AuthError, match="visible ASCII text without spaces"):
        BearerAuth(token)


def test_a_provider_that_needs_the_token_itself_gets_an_error_and_no_deadlock(
    guarded: ScriptedServer, ca: CertificateAuthority
) -> None:
    def provider() -> str:
        return str(conn.request("GET", "/token").text)

    auth = BearerAuth(provider)
    with Connection(guarded.url, auth, verify=str(ca.bundle)) as conn, pytest.raises(TokenError):
        conn.request("GET", "/")

    assert guarded.connections == []


# Waiting


def test_waiting_for_another_threads_token_ends_with_ones_own_deadline(
    guarded: ScriptedServer, ca: CertificateAuthority
) -> None:
    begun, go_on, provider = threading.Event(), threading.Event(), Provider()

    def wait() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    provider.before = wait
    with (
        Connection(guarded.url, BearerAuth(provider), verify=str(ca.bundle)) as conn,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(conn.request, "GET", "/first")
        assert begun.wait(PATIENCE)
        with pytest.raises(DeadlineExceeded, match="bearer token"):
            conn.request("GET", "/second", deadline=0.2)
        go_on.set()
        assert asked.result(PATIENCE).status_code == 200

    assert provider.asked == 1
    assert [request.target for request in guarded.requests] == ["/first"]


def test_a_providers_own_calls_are_under_the_calls_deadline(
    guarded: ScriptedServer, make_server: MakeServer, ca: CertificateAuthority
) -> None:
    tokens = make_server(stall(), tls=True)
    with (
        Connection(tokens.url, ANONYMOUS, verify=str(ca.bundle)) as inner,
        Connection(
            guarded.url,
            BearerAuth(lambda: inner.json_request("GET", "/token")),
            verify=str(ca.bundle),
        ) as conn,
        pytest.raises(TokenError) as raised,
    ):
        conn.request("GET", "/", deadline=0.4)

    assert "DeadlineExceeded" in f"{raised.value} {raised.value.__cause__!r}"
    assert (tokens.count(), guarded.connections) == (1, [])


def test_a_provider_may_get_its_token_through_a_connection(
    guarded: ScriptedServer,
    guard: RequireBearer,
    make_server: MakeServer,
    ca: CertificateAuthority,
) -> None:
    tokens = make_server(respond(json={"access_token": "t1", "expires_in": 60}), tls=True)

    def provider() -> tuple[str, float]:
        answer = inner.json_request("POST", "/token", {"grant": "client_credentials"})
        return answer["access_token"], answer["expires_in"]

    with (
        Connection(tokens.url, ("client", "secret"), verify=str(ca.bundle)) as inner,
        Connection(guarded.url, BearerAuth(provider), verify=str(ca.bundle)) as conn,
    ):
        in_threads(lambda number: conn.request("GET", f"/{number}"))

    assert tokens.count() == 1
    assert guard.seen == ["Bearer t1"] * THREADS


# Identity


def test_the_identity_is_the_provider_and_not_the_token() -> None:
    provider, other = Provider(), Provider()

    assert BearerAuth(provider) == BearerAuth(provider)
    assert hash(BearerAuth(provider)) == hash(BearerAuth(provider))
    assert BearerAuth(provider) != BearerAuth(other)
    assert BearerAuth("t1") == BearerAuth("t1")
    assert BearerAuth("t1") != BearerAuth("t2")
    assert BearerAuth("t1") != "t1"


def test_a_renewed_token_keeps_its_pool(
    guarded: ScriptedServer, guard: RequireBearer, ca: CertificateAuthority
) -> None:
    guard.revoke("t1")
    provider = Provider()
    with ConnectionManager(hooks=[DirectHook(verify=str(ca.bundle))]) as manager:
        conn = manager.find(guarded.url, BearerAuth(provider))
        conn.request("GET", "/")
        assert manager.find(guarded.url, BearerAuth(provider)) is conn
        assert len(manager.conns) == 1

    assert provider.asked == 2
