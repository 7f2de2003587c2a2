"""Proxies: set on the session or by the environment, forwarding http and tunnelling https.

Rule: a proxy's credentials go to the proxy and nowhere else.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
import requests

from sleepwalker import ANONYMOUS, Connection
from sleepwalker.exceptions import (
    ConnectError,
    HTTPProxyAuthenticationRequired,
    PlaintextError,
    ProxyError,
    URLError,
)
from sleepwalker.testing import SkippingClock
from tests.servers import ForwardProxy, refused_port, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import CertificateAuthority, ScriptedServer

USER, PASSWORD = "proxy-user", "planted-proxy-secret"
BASIC = "Basic cHJveHktdXNlcjpwbGFudGVkLXByb3h5LXNlY3JldA=="


@pytest.fixture
def guarded() -> Iterator[ForwardProxy]:
    """A proxy that asks for credentials."""
    with ForwardProxy(user=(USER, PASSWORD)) as running:
        yield running


def with_credentials(proxy: ForwardProxy) -> str:
    return proxy.url.replace("://", f"://{USER}:{PASSWORD}@")


# On the session


def test_http_requests_go_through_the_sessions_proxy(
    server: ScriptedServer, proxy: ForwardProxy
) -> None:
    with Connection(server.url + "/api", ANONYMOUS) as conn:
        conn.session.proxies = {"http": proxy.url}
        seen = conn.json_request("POST", "/books", {"id": 1})

    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/api/books", '{"id": 1}')
    assert [(r.method, r.target) for r in proxy.requests] == [("POST", server.url + "/api/books")]


def test_https_requests_go_through_a_tunnel_of_the_sessions_proxy(
    tls_server: ScriptedServer, proxy: ForwardProxy, ca: CertificateAuthority
) -> None:
    with Connection(tls_server.url, ("user", "secret"), verify=str(ca.bundle)) as conn:
        conn.session.proxies = {"https": proxy.url}
        conn.json_request("GET", "/books")
        conn.json_request("GET", "/books")

    assert [(r.method, r.target) for r in proxy.requests] == [
        ("CONNECT", f"127.0.0.1:{tls_server.port}")
    ]
    assert "Authorization" not in proxy.requests[0].headers
    assert [r.headers["Authorization"] for r in tls_server.requests] == [
        "Basic dXNlcjpzZWNyZXQ="
    ] * 2


def test_a_context_of_ones_own_holds_through_a_tunnel(
    tls_server: ScriptedServer, proxy: ForwardProxy, ca: CertificateAuthority
) -> None:
    context = ca.client_context()
    before = context.cert_store_stats()
    with Connection(tls_server.url, ANONYMOUS, ssl_context=context) as conn:
        conn.session.proxies = {"https": proxy.url}
        conn.request("GET", "/")

    assert context.cert_store_stats() == before
    assert (proxy.count(method="CONNECT"), tls_server.count()) == (1, 1)


# By the environment


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_the_environment_names_a_proxy_for_http(
    server: ScriptedServer, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/books")

    assert [r.target for r in proxy.requests] == [server.url + "/books"]
    assert server.count() == 1


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_the_environment_names_a_proxy_for_https(
    tls_server: ScriptedServer,
    proxy: ForwardProxy,
    ca: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    with Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/books")

    assert [r.method for r in proxy.requests] == ["CONNECT"]
    assert tls_server.count() == 1


def test_a_proxy_for_the_other_scheme_is_none_of_ours(
    server: ScriptedServer, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/")

    assert (proxy.count(), server.count()) == (0, 1)


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.com,127.0.0.0/8"])
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_exempts_a_host(
    server: ScriptedServer,
    proxy: ForwardProxy,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    exempt: str,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv(variable, exempt)
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/")

    assert (proxy.count(), server.count()) == (0, 1)


def test_a_session_that_trusts_no_environment_uses_no_proxy_of_it(
    server: ScriptedServer, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with Connection(server.url, ANONYMOUS) as conn:
        conn.session.trust_env = False
        conn.request("GET", "/")

    assert (proxy.count(), server.count()) == (0, 1)


def test_the_environments_proxy_is_seen_when_it_comes_later(
    server: ScriptedServer, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        conn.request("GET", "/")

    assert (proxy.count(), server.count()) == (1, 2)


# Credentials of the proxy


def test_a_forwarding_proxy_gets_its_credentials_and_the_server_does_not(
    server: ScriptedServer, guarded: ForwardProxy
) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.session.proxies = {"http": with_credentials(guarded)}
        conn.request("GET", "/")

    assert [r.headers["Proxy-Authorization"] for r in guarded.requests] == [BASIC]
    assert "Proxy-Authorization" not in server.requests[0].headers


def test_a_tunnelling_proxy_gets_its_credentials_and_the_server_does_not(
    tls_server: ScriptedServer,
    guarded: ForwardProxy,
    ca: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", with_credentials(guarded))
    with Connection(tls_server.url, ("user", "secret"), verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")

    assert [r.headers["Proxy-Authorization"] for r in guarded.requests] == [BASIC]
    assert "Proxy-Authorization" not in tls_server.requests[0].headers


def test_a_proxy_that_wants_other_credentials_answers_407(
    server: ScriptedServer, guarded: ForwardProxy
) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.session.proxies = {"http": guarded.url}
        with pytest.raises(HTTPProxyAuthenticationRequired):
            conn.request("GET", "/")

    assert (guarded.count(), server.connections) == (1, [])


def test_a_proxy_that_refuses_the_tunnel_is_a_proxy_error(
    tls_server: ScriptedServer, guarded: ForwardProxy, ca: CertificateAuthority
) -> None:
    wrong = with_credentials(guarded).replace(PASSWORD, "planted-wrong-secret")
    with Connection(
        tls_server.url, ANONYMOUS, verify=str(ca.bundle), clock=SkippingClock()
    ) as conn:
        conn.session.proxies = {"https": wrong}
        with pytest.raises(ProxyError) as raised:
            conn.json_request("POST", "/", {})

    error = raised.value
    assert isinstance(error, requests.exceptions.ProxyError)
    assert "407" in str(error)
    # Wrong again, they may lock the account.
    assert error.attempts == guarded.count() == 1
    assert not pickle.loads(pickle.dumps(error)).transient  # noqa: S301 - our own
    assert "planted" not in f"{error!r} {error} {error.__cause__!r} {error.__cause__}"
    assert not error.outcome_unknown
    assert tls_server.connections == []


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(400, 1), (403, 1), (405, 1), (408, 3), (429, 3), (500, 3), (502, 3), (503, 3), (504, 3)],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_tunnel_is_asked_for_again_only_where_that_may_help(
    tls_server: ScriptedServer, proxy: ForwardProxy, method: str, status: int, attempts: int
) -> None:
    proxy.default = respond(status, close=True)
    with Connection(tls_server.url, ANONYMOUS, clock=SkippingClock()) as conn:
        conn.session.proxies = {"https": proxy.url}
        with pytest.raises(ProxyError) as raised:
            conn.request(method, "/")

    assert raised.value.attempts == proxy.count() == attempts
    assert not raised.value.outcome_unknown
    assert tls_server.connections == []


def test_a_refused_tunnel_was_never_sent_and_a_post_goes_again(
    tls_server: ScriptedServer, proxy: ForwardProxy, ca: CertificateAuthority
) -> None:
    proxy.script(respond(502), respond(503))
    with Connection(
        tls_server.url, ANONYMOUS, verify=str(ca.bundle), clock=SkippingClock()
    ) as conn:
        conn.session.proxies = {"https": proxy.url}
        conn.json_request("POST", "/", {})

    assert proxy.count(method="CONNECT") == 3
    assert tls_server.count() == 1


def test_a_proxy_that_is_not_there_was_never_asked(
    server: ScriptedServer, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    for target in (server, tls_server):
        with (
            refused_port() as port,
            Connection(target.url, ANONYMOUS, verify=str(ca.bundle), clock=SkippingClock()) as conn,
        ):
            conn.session.proxies = dict.fromkeys(("http", "https"), f"http://127.0.0.1:{port}")
            with pytest.raises((ProxyError, ConnectError)) as raised:
                conn.json_request("POST", "/", {})
        assert raised.value.attempts == 3
        assert not raised.value.outcome_unknown
        assert target.connections == []


def test_a_password_is_refused_over_plain_http_by_way_of_a_proxy_too(
    server: ScriptedServer, proxy: ForwardProxy
) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.session.proxies = {"http": proxy.url}
        with pytest.raises(PlaintextError):
            conn.request("GET", "/", auth=("user", "secret"))

    assert (proxy.connections, server.connections) == ([], [])


# Proxies that can't be used


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("http://:8", "the URL, or that of the proxy, can't be used"),
        ("ftp://127.0.0.1:1", "the URL, or that of the proxy, can't be used"),
        ("http://127.0.0.1:99999", "the URL, or that of the proxy, can't be used"),
        (f"http://{USER}:{PASSWORD}[x@127.0.0.1:1", "the URL, or that of the proxy, can't be used"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_proxys_url_that_cannot_be_used_is_an_error_of_one_attempt_and_nothing_is_unknown(
    server: ScriptedServer, proxy: str, told: str, method: str
) -> None:
    with Connection(server.url, ANONYMOUS, clock=SkippingClock()) as conn:
        conn.session.proxies = {"http": proxy}
        with pytest.raises(URLError) as caught:
            conn.request(method, "/")

    assert told in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert (caught.value.attempts, caught.value.outcome_unknown) == (1, False)
    assert server.count() == 0


def test_a_socks_proxy_without_what_it_takes_says_what_is_missing(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")

    # As `requests` has it where PySocks is not installed, which it may be here.
    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", missing)
    with Connection(server.url, ANONYMOUS, clock=SkippingClock()) as conn:
        conn.session.proxies = {"http": "socks5://127.0.0.1:1"}
        with pytest.raises(URLError, match="Missing dependencies for SOCKS support") as caught:
            conn.request("POST", "/")

    assert (caught.value.attempts, caught.value.outcome_unknown) == (1, False)
