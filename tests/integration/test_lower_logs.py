"""What urllib3 logs of our requests shows no secret, and what it logs of anybody else's is theirs.

Rule: of every claim that something is not shown, a request that is none of ours shows that it would
have been.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3.util import Retry

from sleepwalker import ANONYMOUS, Connection, Policy, Redaction, SleepwalkerException
from sleepwalker.connection import _wire
from sleepwalker.connection._wire import _logs
from sleepwalker.observability.redaction import REDACTED
from tests.planting import found, new_secret
from tests.servers import ForwardProxy, RequireDigest, close_without_answer, raw, redirect, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ScriptedServer


class Kept(logging.Handler):
    """All that reaches the root logger, as it is and as a formatter writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.format(record)

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    @property
    def told(self) -> str:
        return "\n".join(f"{r.getMessage()} {r.__dict__!r} {self.format(r)}" for r in self.records)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Log everything, as an application does that wants to know."""
    root, handler = logging.getLogger(), Kept()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def connected(server: ScriptedServer, **options: Any) -> Connection:
    """Make a connection that tells nothing by itself."""
    quiet = {"logger": False, "tracer_provider": False, "registry": False}
    return Connection(server.url, **{"auth": ANONYMOUS, **quiet, **options})


def test_the_line_of_a_request_is_there_without_its_secrets(
    server: ScriptedServer, kept: Kept
) -> None:
    secret = new_secret()
    server.default = respond(200, {}, b"{}")
    with connected(server, redaction=Redaction(path=lambda p: p.replace("4711", "-"))) as conn:
        conn.request("GET", f"/accounts/4711?page=2&token={secret}")

    line = f'{server.url} "GET /accounts/-?page=2&token={REDACTED} HTTP/1.1" 200 2'
    assert kept.messages == [f"Starting new HTTP connection (1): 127.0.0.1:{server.port}", line]
    assert kept.records[-1].msg == '%s://%s:%s "%s %s %s" %s %s'
    assert server.requests[0].target == f"/accounts/4711?page=2&token={secret}"
    assert found(secret, kept.told) is None


def test_the_line_of_a_request_that_is_none_of_ours_stays_as_it_is(
    server: ScriptedServer, kept: Kept
) -> None:
    secret = new_secret()
    with connected(server) as conn:
        conn.request("GET", "/")
        conn.session.get(f"{server.url}/a?token={secret}", timeout=5)
    requests.get(f"{server.url}/b?token={secret}", timeout=5)

    lines = [message for message in kept.messages if secret in message]
    assert [line.split()[2] for line in lines] == [f"/{name}?token={secret}" for name in "ab"]


def test_the_lines_of_a_response_hooks_own_requests_stay_and_those_of_its_replay_do_not(
    server: ScriptedServer, kept: Kept
) -> None:
    secret = new_secret()
    server.default = RequireDigest("reader", new_secret())

    def asks(_: requests.Response, **__: Any) -> None:
        requests.get(f"{server.url}/hook?token={secret}", timeout=5)

    auth = HTTPDigestAuth("reader", new_secret())
    with connected(server, auth=auth) as conn:
        conn.request("GET", f"/?token={secret}", hooks={"response": asks}, raise_for_status=False)

    lines = [message.split()[2] for message in kept.messages if '"GET' in message]
    ours, theirs = f"/?token={REDACTED}", f"/hook?token={secret}"
    assert sorted(lines) == sorted([ours, ours, theirs])


def test_what_only_the_call_knows_to_be_secret_is_not_shown_in_the_line_of_a_redirect(
    server: ScriptedServer, kept: Kept
) -> None:
    secret = new_secret()
    server.script(redirect(302, f"/end/{secret}"))
    with connected(server) as conn:
        conn.request("GET", "/", headers={"X-Api-Key": secret})

    assert server.requests[1].target == f"/end/{secret}"
    assert f"/end/{REDACTED} " in kept.told
    assert found(secret, kept.told) is None


def test_the_line_of_a_request_forwarded_by_a_proxy_shows_no_secret(
    server: ScriptedServer, kept: Kept
) -> None:
    secret, password = new_secret(), new_secret()
    with ForwardProxy(user=("reader", password)) as proxy, connected(server) as conn:
        conn.session.proxies = {"http": f"http://reader:{password}@127.0.0.1:{proxy.port}"}
        conn.request("GET", f"/books?sig={secret}")

    assert proxy.count() == 1
    assert f'"GET {server.url}/books?sig={REDACTED} HTTP/1.1"' in kept.told
    assert found(secret, kept.told) is None
    assert found(password, kept.told) is None


BROKEN = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nno header\r\nSet-Cookie: id={}\r\n\r\n"
"""An answer of which urllib3 warns, quoting what comes behind the line that is no header."""


def test_a_warning_of_headers_that_are_none_does_not_quote_them(
    server: ScriptedServer, kept: Kept
) -> None:
    secret, cookie = new_secret(), new_secret()
    server.default = raw(BROKEN.format(cookie).encode())
    with connected(server) as conn, contextlib.suppress(SleepwalkerException):
        conn.request("GET", f"/?token={secret}", raise_for_status=False)

    [warning] = [record for record in kept.records if record.levelno == logging.WARNING]
    assert warning.getMessage() == (
        f"Failed to parse headers (url={server.url}/?token={REDACTED}): "
        "urllib3.exceptions.HeaderParsingError"
    )
    assert (warning.exc_info, warning.exc_text) == (None, None)
    assert found(secret, kept.told) is None
    assert found(cookie, kept.told) is None
    requests.get(f"{server.url}/?token={secret}", timeout=5)
    assert found(secret, kept.told) is not None
    assert found(cookie, kept.told) is not None


def test_retries_of_an_adapter_of_the_users_show_no_secret(
    server: ScriptedServer, kept: Kept
) -> None:
    secret = new_secret()
    server.script(close_without_answer(), redirect(303, "/again"), respond(200))
    with connected(server, policy=Policy(attempts=1)) as conn:
        conn.session.mount("http://", HTTPAdapter(max_retries=Retry(total=2, backoff_factor=0)))
        conn.request("GET", f"/?token={secret}")

    assert [request.target for request in server.requests] == [f"/?token={secret}"] * 2 + ["/again"]
    assert any(message.startswith("Incremented Retry for") for message in kept.messages)
    [warning] = [record for record in kept.records if record.levelno == logging.WARNING]
    assert warning.getMessage() == (
        "Retrying (Retry(total=1, connect=None, read=None, redirect=None, status=None)) after "
        f"connection broken by 'http.client.RemoteDisconnected': /?token={REDACTED}"
    )
    assert found(secret, kept.told) is None


class Watching:
    """A call that is on the wire, as far as the filter asks for it."""

    answered = False

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure

    def shown(self, texts: list[str]) -> list[str]:
        if self._failure is not None:
            raise self._failure
        logging.getLogger(_logs.LOGGERS[0]).debug("from within: %s", "abc")
        return [text.replace("abc", "xyz") for text in texts]


class Unshowable:
    """An object whose `repr` fails."""

    def __repr__(self) -> str:
        raise ValueError("abc")


@pytest.mark.parametrize("name", _logs.LOGGERS)
@pytest.mark.parametrize(
    ("message", "args", "told"),
    [
        ("it is abc", (), "it is xyz"),
        ("%s and %d, %.1f, %s", ("abc", 1, 2.0, None), "xyz and 1, 2.0, None"),
        ("%(a)s %(b)03d", ({"a": "abc", "b": 7},), "xyz 007"),
        ("%r %s", (["abc"], KeyError("abc")), "['xyz'] builtins.KeyError"),
        (["abc"], (), "['xyz']"),
        ("%s", (Unshowable(),), _logs.UNTOLD),
    ],
)
def test_a_record_of_a_call_of_ours_keeps_its_form(
    name: str, message: Any, args: Any, told: str, kept: Kept
) -> None:
    assert Connection("https://host.test", ANONYMOUS)  # puts the filter there
    watch: Any = Watching()
    with _wire.watching(watch):
        logging.getLogger(name).info(message, *args)
        assert _wire.current() is watch

    record = kept.records[-1]
    assert (record.levelname, record.name) == ("INFO", name)
    assert record.getMessage() == told
    assert "abc" not in f"{record.msg!r} {record.args!r}"


def test_a_call_that_cannot_say_what_may_be_shown_has_nothing_shown(kept: Kept) -> None:
    assert Connection("https://host.test", ANONYMOUS)
    watch: Any = Watching(ValueError("abc"))
    with _wire.watching(watch):
        logging.getLogger(_logs.LOGGERS[0]).warning("it is %s", "abc", exc_info=watch)

    [record] = kept.records
    assert record.getMessage() == _logs.UNTOLD
    assert "abc" not in kept.told


def test_the_filter_is_there_once(server: ScriptedServer) -> None:
    for _ in range(3):
        with connected(server) as conn:
            conn.request("GET", "/")

    for name in _logs.LOGGERS:
        filters = logging.getLogger(name).filters
        assert [type(one) for one in filters].count(_logs.Filter) == 1
        assert logging.getLogger(name).level == logging.NOTSET
        assert logging.getLogger(name).handlers == []
