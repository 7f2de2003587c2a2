"""Whoever stands in the way that the short one goes past is called, whenever they came there."""

from __future__ import annotations

import http.client
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
import urllib3
from prometheus_client import CollectorRegistry
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sleepwalker import ANONYMOUS, Connection, Policy
from sleepwalker.connection import _wire
from tests.servers import MakeServer, ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

ONCE: Final = Policy(attempts=1, breaker=None, quota=None)


@pytest.fixture
def conn(server: ScriptedServer) -> Iterator[Connection]:
    with Connection(server.url, ANONYMOUS, policy=ONCE, registry=CollectorRegistry()) as made:
        made.json_request("GET", "/first")
        yield made


def goes_short(conn: Connection) -> bool:
    """Whether a request goes the short way."""
    response = conn.request("POST", "/", json={"a": 1})
    assert response.json()["body"] == '{"a": 1}'
    return type(response) is _wire.Reply


def test_the_usual_request_goes_the_short_way(conn: Connection) -> None:
    assert goes_short(conn)


PASSED: Final = [
    (requests.Session, "send"),
    (requests.Session, "get_adapter"),
    (HTTPAdapter, "send"),
    (HTTPAdapter, "cert_verify"),
    (HTTPAdapter, "add_headers"),
    (HTTPAdapter, "build_response"),
    (HTTPAdapter, "request_url"),
    (HTTPAdapter, "get_connection_with_tls_context"),
    (HTTPAdapter, "build_connection_pool_key_attributes"),
    (requests.adapters, "get_encoding_from_headers"),
    (requests.adapters, "extract_cookies_to_jar"),
    (requests.Response, "__init__"),
    (urllib3.PoolManager, "connection_from_host"),
    (urllib3.HTTPConnectionPool, "urlopen"),
    (urllib3.HTTPResponse, "__init__"),
    (urllib3.HTTPResponse, "stream"),
    (urllib3.connection.HTTPConnection, "request"),
    (urllib3.connection.HTTPConnection, "putrequest"),
    (urllib3.connection.HTTPConnection, "putheader"),
    (urllib3.connection.HTTPConnection, "endheaders"),
    (urllib3.connection.HTTPConnection, "send"),
    (urllib3.connection.HTTPConnection, "getresponse"),
    (http.client.HTTPConnection, "putrequest"),
    (http.client.HTTPConnection, "putheader"),
    (http.client.HTTPConnection, "endheaders"),
    (http.client.HTTPConnection, "send"),
    (http.client.HTTPConnection, "getresponse"),
    (http.client.HTTPResponse, "__init__"),
    (http.client.HTTPResponse, "begin"),
    (http.client.HTTPResponse, "read"),
    (socket.socket, "makefile"),
    (socket.socket, "recv_into"),
    (socket.socket, "sendall"),
]


@pytest.mark.parametrize(
    ("owner", "name"), PASSED, ids=lambda each: getattr(each, "__name__", each)
)
def test_who_patches_what_is_gone_past_is_called_until_it_is_put_back(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    called: list[str] = []
    original = getattr(owner, name)

    def patched(*args: Any, **kwargs: Any) -> Any:
        called.append(name)
        return original(*args, **kwargs)

    assert goes_short(conn)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, patched)
        goes_short(conn)
    assert called
    called.clear()
    assert goes_short(conn)
    assert not called


@pytest.mark.parametrize(
    "name",
    [
        *("send", "build_response", "cert_verify", "add_headers", "request_url"),
        *("get_connection_with_tls_context", "build_connection_pool_key_attributes"),
    ],
)
def test_what_an_adapter_has_of_its_own_is_called(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    called: list[str] = []
    adapter: Any = conn.session.get_adapter(conn.hostname)
    original = getattr(adapter, name)

    def own(*args: Any, **kwargs: Any) -> Any:
        called.append(name)
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(adapter, name, own)
        assert not goes_short(conn)
    assert called == [name]
    assert goes_short(conn)


def test_what_a_pool_has_of_its_own_is_called(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    adapter: Any = conn.session.get_adapter(conn.hostname)
    request = requests.Request("GET", conn.get_url("/")).prepare()
    pool = adapter.get_connection_with_tls_context(request, verify=True)
    original = pool.urlopen

    def own(*args: Any, **kwargs: Any) -> Any:
        called.append("urlopen")
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "urlopen", own)
        assert not goes_short(conn)
    assert called == ["urlopen"]


class Mounted(HTTPAdapter):
    pass


def test_an_adapter_that_is_mounted_late_is_used(conn: Connection) -> None:
    assert goes_short(conn)
    conn.session.mount("http://", Mounted())
    assert not goes_short(conn)


def test_a_session_that_chooses_its_adapters_is_asked(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Mounted()
    monkeypatch.setattr(conn.session, "get_adapter", lambda *_, **__: mine)
    assert conn.request("GET", "/").connection is mine


def test_retries_that_somebody_set_are_made(server: ScriptedServer, conn: Connection) -> None:
    adapter: Any = conn.session.get_adapter(conn.hostname)
    adapter.max_retries = Retry(1, status_forcelist=[503], backoff_factor=0)
    server.script(respond(503), respond(json=1))
    assert conn.json_request("GET", "/") == 1


def test_urllib3_says_all_that_it_says(conn: Connection, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "urllib3"):
        goes_short(conn)
    assert '"POST / HTTP/1.1" 200' in caplog.text
    caplog.clear()
    assert goes_short(conn)


def test_http_client_prints_all_that_it_prints(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(http.client.HTTPConnection, "debuglevel", 1)
        goes_short(conn)
    printed = capsys.readouterr().out
    assert all(each in printed for each in ("send: b'POST /", "reply: 'HTTP/1.1", "header: "))
    assert goes_short(conn)
    assert not capsys.readouterr().out


@pytest.mark.filterwarnings("always::urllib3.exceptions.InsecureRequestWarning")
def test_each_request_without_verification_is_warned_of(make_server: MakeServer) -> None:
    server = make_server(tls=True)
    with Connection(
        server.url, ANONYMOUS, verify=False, policy=ONCE, registry=CollectorRegistry()
    ) as conn:
        for _ in range(3):
            with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
                conn.request("GET", "/")
    assert len(server.connections) == 1


class OwnSocket(socket.socket):
    """As those who record what is read and written make them."""

    __slots__ = ("read",)

    def recv_into(self, *args: Any) -> int:
        count = super().recv_into(*args)
        self.read = [*getattr(self, "read", ()), count]
        return count


def test_a_socket_of_somebody_elses_making_is_used_as_lower_layers_use_it(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[OwnSocket] = []
    original = urllib3.util.connection.create_connection

    def create(*args: Any, **kwargs: Any) -> Any:
        plain = original(*args, **kwargs)
        made.append(OwnSocket(plain.family, plain.type, plain.proto, plain.detach()))
        return made[-1]

    monkeypatch.setattr(urllib3.util.connection, "create_connection", create)
    with Connection(server.url, ANONYMOUS, policy=ONCE, registry=CollectorRegistry()) as conn:
        conn.request("GET", "/")
        before = len(made[0].read)
        conn.request("GET", "/")
    assert len(made) == 1
    assert len(made[0].read) > before
