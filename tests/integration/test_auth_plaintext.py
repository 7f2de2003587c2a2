"""Passwords and tokens over plain http: refused before a byte is sent, however they came.

Rule: a refusal is proved by a server that saw no connection, an allowance by the header it saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth
from urllib3.exceptions import InsecureRequestWarning

from sleepwalker import ANONYMOUS, BearerAuth, Connection
from sleepwalker.exceptions import PlaintextError, RefusedError
from sleepwalker.observability import events
from tests.servers import RequireDigest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import CertificateAuthority, MakeServer, NetrcFile, ScriptedServer

SECRET = ("planted-user", "planted-secret")
BASIC = "Basic cGxhbnRlZC11c2VyOnBsYW50ZWQtc2VjcmV0"
BEARER = "Bearer planted-token"


class MyBasic(HTTPBasicAuth):
    """A user's own kind of Basic."""


class Signed(AuthBase):
    """Signs requests, with no secret that travels."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Signature"] = "signed"
        return request


def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The same as a function."""
    request.headers["X-Signature"] = "signed"
    return request


def never() -> str:
    raise AssertionError("a token was asked for that could not have been sent")


class Seen:
    """An observer that keeps warnings of plaintext auth."""

    def __init__(self) -> None:
        self.warnings: list[events.PlaintextAuth] = []

    def record(self, event: events.Event) -> None:
        if isinstance(event, events.PlaintextAuth):
            self.warnings.append(event)


# Known at construction


@pytest.mark.parametrize(
    "auth",
    [
        SECRET,
        (b"planted-user", b"planted-secret"),
        HTTPBasicAuth(*SECRET),
        HTTPProxyAuth(*SECRET),
        MyBasic(*SECRET),
        BearerAuth("planted-token"),
        BearerAuth(never),
    ],
    ids=lambda auth: type(auth).__name__,
)
def test_a_secret_is_refused_at_construction(server: ScriptedServer, auth: Any) -> None:
    with pytest.raises(PlaintextError) as refused:
        Connection(server.url, auth)

    error = refused.value
    assert isinstance(error, RefusedError)
    assert error.attempts == 0
    assert "use https" in str(error)
    assert "allow_plaintext=True" in str(error)
    assert "planted" not in f"{error!r} {error} {vars(error)}"
    assert server.connections == []


# Known later


def by_session_tuple(conn: Connection) -> Any:
    conn.session.auth = SECRET
    return conn.request("GET", "/")


def by_session_basic(conn: Connection) -> Any:
    conn.session.auth = HTTPBasicAuth(*SECRET)
    return conn.json_request("GET", "/")


def by_session_bearer(conn: Connection) -> Any:
    conn.session.auth = BearerAuth("planted-token")
    return conn.request("POST", "/", json={})


def by_conn_attribute(conn: Connection) -> Any:
    conn.conn.auth = SECRET
    return conn.request("GET", "/")


def by_call(conn: Connection) -> Any:
    return conn.request("GET", "/", auth=SECRET)


def by_bearer_call(conn: Connection) -> Any:
    return conn.request("GET", "/", auth=BearerAuth("planted-token"))


def by_add_headers(conn: Connection) -> Any:
    conn.add_headers({"Authorization": BASIC})
    return conn.request("GET", "/")


def by_add_headers_in_lower_case(conn: Connection) -> Any:
    conn.add_headers({"authorization": BEARER.replace("Bearer", "bearer")})
    return conn.json_request("GET", "/")


def by_session_headers(conn: Connection) -> Any:
    conn.session.headers["AUTHORIZATION"] = BASIC
    return conn.request("GET", "/")


def by_headers(conn: Connection) -> Any:
    return conn.request("GET", "/", headers={"Authorization": BEARER})


def by_headers_in_bytes(conn: Connection) -> Any:
    return conn.request("GET", "/", headers={"Authorization": BASIC.encode()})


def by_extra_headers(conn: Connection) -> Any:
    return conn.json_request("GET", "/", extra_headers={"authorization": BASIC})


def by_session_get_with_auth(conn: Connection) -> Any:
    return conn.session.get(conn.get_url("/"), auth=SECRET)


def by_session_get_with_bearer(conn: Connection) -> Any:
    return conn.session.get(conn.get_url("/"), auth=BearerAuth("planted-token"))


def by_session_get_with_header(conn: Connection) -> Any:
    return conn.session.get(conn.get_url("/"), headers={"Authorization": BEARER})


def by_session_get_with_header_in_bytes(conn: Connection) -> Any:
    return conn.session.get(conn.get_url("/"), headers={"Authorization": BEARER.encode()})


def by_session_auth_and_get(conn: Connection) -> Any:
    conn.session.auth = SECRET
    return conn.session.get(conn.get_url("/"))


def by_added_header_and_session_post(conn: Connection) -> Any:
    conn.add_headers({"Authorization": BASIC})
    return conn.session.post(conn.get_url("/"), json={})


def by_prepared_request(conn: Connection) -> Any:
    request = requests.Request("GET", conn.get_url("/"), auth=SECRET)
    return conn.session.send(request.prepare())


WAYS = [
    by_session_tuple,
    by_session_basic,
    by_session_bearer,
    by_conn_attribute,
    by_call,
    by_bearer_call,
    by_add_headers,
    by_add_headers_in_lower_case,
    by_session_headers,
    by_headers,
    by_headers_in_bytes,
    by_extra_headers,
    by_session_get_with_auth,
    by_session_get_with_bearer,
    by_session_get_with_header,
    by_session_get_with_header_in_bytes,
    by_session_auth_and_get,
    by_added_header_and_session_post,
    by_prepared_request,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "auth", [ANONYMOUS, HTTPDigestAuth("user", "secret")], ids=["anonymous", "digest"]
)
def test_a_secret_that_comes_later_is_refused_before_a_byte_is_sent(
    server: ScriptedServer, way: Callable[[Connection], Any], auth: Any
) -> None:
    with Connection(server.url, auth) as conn, pytest.raises(PlaintextError) as refused:
        way(conn)

    assert "planted" not in f"{refused.value!r} {refused.value}"
    assert server.connections == []


@pytest.mark.parametrize("way", WAYS)
def test_allow_plaintext_allows_it(
    server: ScriptedServer, way: Callable[[Connection], Any]
) -> None:
    with Connection(server.url, ANONYMOUS, allow_plaintext=True) as conn:
        way(conn)

    [sent] = server.requests
    scheme, _, value = sent.headers["Authorization"].partition(" ")
    assert f"{scheme.title()} {value}" in {BASIC, BEARER}


@pytest.mark.parametrize(
    "auth", [SECRET, BearerAuth("planted-token"), BearerAuth(lambda: "planted-token")]
)
def test_allow_plaintext_allows_it_at_construction(server: ScriptedServer, auth: Any) -> None:
    with Connection(server.url, auth, allow_plaintext=True) as conn:
        conn.request("GET", "/")

    assert server.requests[0].headers["Authorization"] in {BASIC, BEARER}


def test_a_netrc_entry_is_refused_over_plain_http(
    server: ScriptedServer, netrc_file: NetrcFile
) -> None:
    netrc_file({"127.0.0.1": SECRET})
    with Connection(server.url) as conn:
        for ask in (
            lambda: conn.request("GET", "/"),
            lambda: conn.json_request("GET", "/"),
            lambda: conn.session.get(server.url),
        ):
            with pytest.raises(PlaintextError):
                ask()

    assert server.connections == []


def test_a_netrc_entry_may_travel_where_plaintext_is_allowed(
    server: ScriptedServer, netrc_file: NetrcFile
) -> None:
    netrc_file({"127.0.0.1": SECRET})
    with Connection(server.url, allow_plaintext=True) as conn:
        conn.request("GET", "/")

    assert server.requests[0].headers["Authorization"] == BASIC


@pytest.mark.filterwarnings(f"ignore::{InsecureRequestWarning.__module__}.InsecureRequestWarning")
@pytest.mark.parametrize("auth", [SECRET, BearerAuth("planted-token")])
def test_over_https_certificate_verification_may_be_off(
    tls_server: ScriptedServer, auth: Any
) -> None:
    with Connection(tls_server.url, auth, verify=False) as conn:
        conn.request("GET", "/")

    assert tls_server.requests[0].headers["Authorization"] in {BASIC, BEARER}


def test_a_header_that_is_no_secret_of_basic_or_bearer_passes(server: ScriptedServer) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/", headers={"Authorization": "Signature keyId=7"})

    assert server.requests[0].headers["Authorization"] == "Signature keyId=7"


# Custom auth


@pytest.mark.parametrize("auth", [Signed(), signed], ids=["object", "function"])
def test_any_other_auth_works_over_http_with_one_warning_event(
    server: ScriptedServer, auth: Any
) -> None:
    seen = Seen()
    with Connection(server.url, auth, observers=[seen]) as conn:
        for _ in range(3):
            conn.request("GET", "/")
        conn.json_request("POST", "/", {})

    assert [request.headers["X-Signature"] for request in server.requests] == ["signed"] * 4
    assert [warning.pool.host for warning in seen.warnings] == [server.url]


def test_each_connection_warns_for_itself(server: ScriptedServer) -> None:
    seen = Seen()
    for _ in range(2):
        with Connection(server.url, Signed(), observers=[seen]) as conn:
            conn.request("GET", "/")

    assert len(seen.warnings) == 2


def test_the_warning_is_one_log_event_of_level_warning(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    with Connection(server.url, signed) as conn:
        conn.request("GET", "/")
        conn.request("GET", "/")

    warnings = [record for record in caplog.records if "event=auth.plaintext" in record.message]
    assert [record.levelname for record in warnings] == ["WARNING"]
    assert f"host={server.url} auth=signed" in warnings[0].message


def test_digest_works_over_http_with_one_warning_event(make_server: MakeServer) -> None:
    seen, server = Seen(), make_server(RequireDigest("user", "secret"))
    with Connection(server.url, HTTPDigestAuth("user", "secret"), observers=[seen]) as conn:
        conn.request("GET", "/")
        conn.request("GET", "/")

    assert len(seen.warnings) == 1
    assert server.count() == 3  # one challenge, and one answer to it reused


def test_a_custom_auth_of_ones_own_may_write_what_it_likes_over_http(
    server: ScriptedServer,
) -> None:
    def own(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = BASIC
        return request

    seen = Seen()
    with Connection(server.url, own, observers=[seen]) as conn:
        conn.request("GET", "/")

    assert server.requests[0].headers["Authorization"] == BASIC
    assert len(seen.warnings) == 1


@pytest.mark.parametrize("auth", [ANONYMOUS, Signed()])
def test_nothing_is_warned_of_where_nothing_is_exposed(
    server: ScriptedServer, tls_server: ScriptedServer, ca: CertificateAuthority, auth: Any
) -> None:
    seen = Seen()
    with Connection(server.url, ANONYMOUS, observers=[seen]) as conn:
        conn.request("GET", "/")
    with Connection(tls_server.url, auth, verify=str(ca.bundle), observers=[seen]) as conn:
        conn.request("GET", "/")
    with Connection(server.url, Signed(), allow_plaintext=True, observers=[seen]) as conn:
        conn.request("GET", "/")

    assert seen.warnings == []
