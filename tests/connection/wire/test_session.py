"""What a session sends of a call: the short way does what `requests.Session.send` does.

Rule: each test holds on both ways, and on the long one because somebody has patched `send`.
"""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests_mock
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from requests.cookies import RequestsCookieJar

from sleepwalker import ANONYMOUS, Connection
from tests.servers import SetCookies, raw, respond, stall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Action, Request, ScriptedServer

SEND = requests.Session.send


@pytest.fixture(params=["short", "long"], autouse=True)
def sent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Go one way or the other; what went the long one."""
    seen: list[str] = []

    def send(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        seen.append(request.url or "")
        return SEND(self, request, **kwargs)

    if request.param == "long":
        monkeypatch.setattr(requests.Session, "send", send)
    return seen


@pytest.fixture
def conn(server: ScriptedServer) -> Iterator[Connection]:
    with Connection(server.url, ANONYMOUS) as made:
        yield made


def cookies(conn: Connection) -> dict[str, str]:
    """Give the session's cookies."""
    return {cookie.name: cookie.value or "" for cookie in conn.session.cookies}


# Cookies


def test_cookies_of_an_answer_are_kept_sent_and_taken_back(
    server: ScriptedServer, conn: Connection
) -> None:
    handler = server.default = SetCookies({"a": "1", "b": "2"})
    conn.request("GET", "/")
    conn.request("GET", "/")
    assert cookies(conn) == {"a": "1", "b": "2"}

    server.default = SetCookies({"a": "1"}, "Path=/; Max-Age=0")
    conn.request("GET", "/")

    assert cookies(conn) == {"b": "2"}
    assert handler.seen == [{}, {"a": "1", "b": "2"}]


def test_cookies_of_an_error_and_of_a_redirect_are_kept(
    server: ScriptedServer, conn: Connection
) -> None:
    server.script(
        respond(302, {"Location": "/b", "Set-Cookie": "a=1"}), respond(404, {"set-cookie": "b=2"})
    )
    conn.request("GET", "/a", raise_for_status=False)

    assert cookies(conn) == {"a": "1", "b": "2"}
    assert server.requests[1].headers["Cookie"] == "a=1"


def test_cookies_of_a_digest_challenge_are_kept(server: ScriptedServer) -> None:
    challenge = 'Digest realm="test", nonce="1", qop="auth"'
    server.script(
        respond(401, {"WWW-Authenticate": challenge, "Set-Cookie": "before=1"}),
        respond(200, {"Set-Cookie": "after=2"}),
    )
    with Connection(server.url, HTTPDigestAuth("user", "secret")) as conn:
        response = conn.request("GET", "/")
        assert cookies(conn) == {"before": "1", "after": "2"}

    assert [each.status_code for each in response.history] == [401]
    assert server.requests[1].headers["Cookie"] == "before=1"


def lower_case(response: requests.Response, *_: Any, **__: Any) -> None:
    response.headers = {name.lower(): value for name, value in response.headers.items()}  # type: ignore[assignment]


def forgetful(response: requests.Response, *_: Any, **__: Any) -> None:
    response.headers.clear()


def another(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    made = requests.Response()
    made.status_code, made.raw = 202, response.raw
    made.request, made.url = response.request, response.url
    return made


@pytest.mark.parametrize("hook", [lower_case, forgetful, another])
def test_a_hook_that_changes_an_answer_takes_no_cookie_away(
    server: ScriptedServer, conn: Connection, hook: Any
) -> None:
    server.default = SetCookies({"a": "1"})

    conn.request("GET", "/", hooks={"response": hook})

    assert cookies(conn) == {"a": "1"}


class Counting(RequestsCookieJar):
    """A jar of the user's own, which is told of every answer."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def extract_cookies(self, response: Any, request: Any) -> None:
        self.told.append(request.get_full_url())
        super().extract_cookies(response, request)


def test_a_jar_of_ones_own_is_told_of_every_answer(
    server: ScriptedServer, conn: Connection
) -> None:
    jar = conn.session.cookies = Counting()
    conn.request("GET", "/1")
    conn.request("GET", "/2")

    assert jar.told == [server.url + "/1", server.url + "/2"]


def test_a_plain_jar_keeps_cookies_and_a_policy_holds(
    server: ScriptedServer, conn: Connection
) -> None:
    server.default = SetCookies({"a": "1"})
    conn.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    conn.request("GET", "/")
    assert cookies(conn) == {}

    conn.session.cookies = CookieJar()  # type: ignore[assignment] # requests takes any
    conn.request("GET", "/")
    conn.request("GET", "/")

    assert cookies(conn) == {"a": "1"}
    assert [request.headers.get("Cookie") for request in server.requests] == [None, None, "a=1"]


class Asked(DefaultCookiePolicy):
    """A policy that takes no cookie, and knows which it was asked about."""

    def __init__(self) -> None:
        super().__init__(rfc2965=True)
        self.about: list[str] = []

    def set_ok(self, cookie: Any, request: Any) -> bool:
        assert request.get_full_url()
        self.about.append(cookie.name)
        return False


def test_cookies_after_the_older_standard_are_for_the_policy(
    server: ScriptedServer, conn: Connection
) -> None:
    server.default = respond(200, {"Set-Cookie2": 'a="1"; Version=1'})
    policy = Asked()
    conn.session.cookies.set_policy(policy)

    conn.request("GET", "/")

    assert policy.about == ["a"]


class Hiding(HTTPAdapter):
    """An adapter of the user's own, which shows no headers."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        response = super().send(*args, **kwargs)
        response.headers.clear()
        return response


def test_cookies_of_a_mounted_adapter_are_kept(server: ScriptedServer, conn: Connection) -> None:
    server.default = SetCookies({"a": "1"})
    conn.session.mount("http://", Hiding())

    conn.request("GET", "/")

    assert cookies(conn) == {"a": "1"}


# Hooks


def test_hooks_are_told_what_requests_tells_and_see_the_answer_in_order(
    server: ScriptedServer, conn: Connection
) -> None:
    told: list[Any] = []

    def first(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        told.append((response.elapsed > timedelta(0), args, sorted(kwargs), kwargs["stream"]))

    conn.session.hooks["response"] = [first, another]
    conn.session.hooks["response"].append(lambda response, **_: told.append(response.status_code))
    response = conn.request("GET", "/")

    keywords = ["cert", "proxies", "stream", "timeout", "verify"]
    assert told == [(True, (), keywords, False), 202]
    assert response.status_code == 202
    assert server.count() == 1


def test_cookies_of_the_answers_before_that_of_a_hook_are_kept(
    server: ScriptedServer, conn: Connection
) -> None:
    server.script(*(respond(200, {"Set-Cookie": f"{name}=1"}) for name in "abc"))

    def chain(response: requests.Response, **_: Any) -> requests.Response:
        if response.history or response.request.url != server.url + "/chained":
            return response
        last = requests.get(server.url + "/behind", timeout=5)
        last.history = [response]
        assert response.content == b""
        return last

    response = conn.request("GET", "/chained", hooks={"response": chain})

    assert response.url == server.url + "/behind"
    assert cookies(conn) == {"a": "1", "b": "1"}


def test_hooks_that_are_taken_away_while_it_is_sent_are_called(
    server: ScriptedServer, conn: Connection
) -> None:
    called: list[int] = []

    class Forgetting(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
            request.hooks = {}
            return super().send(request, *args, **kwargs)

    conn.session.mount("http://", Forgetting())
    conn.request(
        "GET", "/", hooks={"response": lambda response, **_: called.append(response.status_code)}
    )

    assert called == [200]
    assert server.count() == 1


# Bodies and time


def test_a_body_is_read_or_left_as_was_asked(server: ScriptedServer, conn: Connection) -> None:
    more = threading.Event()
    server.script(
        respond(200, body=b"whole"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst") + stall(more) + raw(b"later"),
    )
    assert conn.request("GET", "/").content == b"whole"

    with conn.request("GET", "/", stream=True) as response:
        first = response.raw.read(5)
        more.set()
        assert (first, response.raw.read(5)) == (b"first", b"later")


def test_elapsed_is_the_time_until_the_headers(server: ScriptedServer, conn: Connection) -> None:
    def late(_: Request) -> list[Action]:
        return [stall(gone), respond(200)]

    gone = threading.Event()
    timer = threading.Timer(0.05, gone.set)
    server.default = late
    timer.start()
    response = conn.request("GET", "/")
    timer.join()

    assert timedelta(seconds=0.03) < response.elapsed < timedelta(seconds=5)


# Who watches


def test_only_what_is_patched_is_called_and_only_as_long(
    server: ScriptedServer, conn: Connection, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = requests.Session.send is not SEND
    conn.request("GET", "/1")
    monkeypatch.setattr(requests.Session, "send", SEND)
    conn.request("GET", "/2")

    assert sent == [server.url + "/1"] * long
    assert server.count() == 2


def test_who_patches_a_session_itself_is_called(
    server: ScriptedServer, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    own, adapter = conn.session.send, conn.session.get_adapter

    def send(request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        seen.append("send")
        return own(request, **kwargs)

    def get_adapter(url: str) -> Any:
        seen.append("get_adapter")
        return adapter(url)

    monkeypatch.setattr(conn.session, "send", send)
    monkeypatch.setattr(conn.session, "get_adapter", get_adapter)
    conn.request("GET", "/")

    assert seen == ["send", "get_adapter"]
    assert server.count() == 1


def test_who_patches_get_adapter_of_all_sessions_is_asked(
    server: ScriptedServer, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.request("GET", "/")
    with closing(HTTPAdapter()) as adapter:
        monkeypatch.setattr(requests.Session, "get_adapter", lambda *_: adapter)
        conn.request("GET", "/")

    assert (server.count(), len(server.connections)) == (2, 2)


def test_requests_mock_is_asked_as_long_as_it_is_there(
    server: ScriptedServer, conn: Connection
) -> None:
    with requests_mock.Mocker() as mock:
        mock.get(server.url + "/", text="mocked")
        assert conn.request("GET", "/").text == "mocked"
    conn.request("GET", "/")

    assert (mock.call_count, server.count()) == (1, 1)
