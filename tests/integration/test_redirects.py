"""Redirects: methods and bodies, what stays at home, whose credentials, and when it ends.

Two hosts with TLS: `here` is the connection's own, by address; `there` is another, by name. What
goes along is read from the requests that `there` got, and from those that it did not get.
"""

from __future__ import annotations

import base64
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import requests
from requests.auth import HTTPDigestAuth

from sleepwalker import ANONYMOUS, BearerAuth, Policy, exceptions
from sleepwalker.observability.events import Redirected
from tests.integration.retrying import STALLED, Client, bodies, header_names, keys, lines
from tests.servers import (
    CertificateAuthority,
    MakeServer,
    NetrcFile,
    Request,
    RequireBasic,
    RequireBearer,
    RequireDigest,
    ScriptedServer,
    SetCookies,
    close_in_handshake,
    raw,
    redirect,
    reset_after_reading,
    respond,
    stall,
)

if TYPE_CHECKING:
    from tests.servers import Action

BODY: Final = b'{"title": "Ulysses"}'
ALLOWED: Final = {"host", "accept", "user-agent", "traceparent"}
"""All the headers of a request that crossed (`Host` is HTTP's own)."""
FRAMING: Final = {"content-length", "content-type"}


class Hosts(NamedTuple):
    """Two hosts, and whom they let in."""

    here: ScriptedServer
    there: ScriptedServer
    ca: CertificateAuthority

    def client(self, auth: Any = ANONYMOUS, **options: Any) -> Client:
        """A client of `here`."""
        return Client(self.here, self.ca, auth=auth, **options)

    def to_there(self, path: str = "/there", status: int = 302) -> Action:
        """Redirect there."""
        return redirect(status, self.there.localhost_url + path)

    def to_here(self, path: str = "/here", status: int = 302) -> Action:
        """Redirect here."""
        return redirect(status, self.here.url + path)


@pytest.fixture
def hosts(two_tls_hosts: tuple[ScriptedServer, ScriptedServer], ca: CertificateAuthority) -> Hosts:
    return Hosts(*two_tls_hosts, ca)


def basic(user: str, password: str) -> str:
    """The header of Basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# --- within one origin ----------------------------------------------------------------------------

FOLLOWED: Final = {
    (301, "GET"): "GET",
    (301, "HEAD"): "HEAD",
    (301, "POST"): "GET",
    (301, "PUT"): "PUT",
    (301, "PATCH"): "PATCH",
    (301, "DELETE"): "DELETE",
    (301, "OPTIONS"): "OPTIONS",
    (301, "PURGE"): "PURGE",
    (302, "GET"): "GET",
    (302, "HEAD"): "HEAD",
    (302, "POST"): "GET",
    (302, "PUT"): "GET",
    (302, "PATCH"): "GET",
    (302, "DELETE"): "GET",
    (302, "OPTIONS"): "GET",
    (302, "PURGE"): "GET",
    (303, "GET"): "GET",
    (303, "HEAD"): "HEAD",
    (303, "POST"): "GET",
    (303, "PUT"): "GET",
    (303, "PATCH"): "GET",
    (303, "DELETE"): "GET",
    (303, "OPTIONS"): "GET",
    (303, "PURGE"): "GET",
    (307, "GET"): "GET",
    (307, "HEAD"): "HEAD",
    (307, "POST"): "POST",
    (307, "PUT"): "PUT",
    (307, "PATCH"): "PATCH",
    (307, "DELETE"): "DELETE",
    (307, "OPTIONS"): "OPTIONS",
    (307, "PURGE"): "PURGE",
    (308, "GET"): "GET",
    (308, "HEAD"): "HEAD",
    (308, "POST"): "POST",
    (308, "PUT"): "PUT",
    (308, "PATCH"): "PATCH",
    (308, "DELETE"): "DELETE",
    (308, "OPTIONS"): "OPTIONS",
    (308, "PURGE"): "PURGE",
}


@pytest.mark.parametrize(("status", "method"), FOLLOWED, ids=str)
def test_methods_and_bodies_change_as_they_do_in_requests(
    server: ScriptedServer, status: int, method: str
) -> None:
    meant = BODY if method in {"POST", "PUT", "PATCH"} else None
    server.script(redirect(status, "/new"), respond(200), redirect(status, "/new"), respond(200))
    client = Client(server)
    headers = {"Content-Type": "text/x"}
    client.conn.request(method, "/old", data=meant, headers=headers)
    requests.request(method, f"{server.url}/old", data=meant, headers=headers, timeout=5)
    _, ours, _, theirs = server.requests
    assert (ours.method, ours.target) == (FOLLOWED[status, method], "/new")
    assert ours.method == theirs.method
    # A method that is kept keeps its body: requests would send an emptied PUT after a 301.
    kept = ours.method == method
    assert ours.body == (BODY if kept and meant else b"")
    if not kept:
        assert header_names(ours).isdisjoint(FRAMING)
        assert header_names(theirs).isdisjoint(FRAMING)
    elif status != 301:
        assert theirs.body == ours.body
    assert client.retries == {}


@pytest.mark.parametrize("status", sorted({status for status, _ in FOLLOWED}))
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("idempotent", [True, None])
def test_a_key_goes_with_the_request_that_it_was_given_to_and_no_other(
    server: ScriptedServer, status: int, method: str, *, idempotent: bool | None
) -> None:
    # A server that keeps answers by key would answer the other request with this redirect.
    server.script(redirect(status, "/new"))
    Client(server).conn.request(
        method, "/old", data=BODY, idempotency_key="k", idempotent=idempotent
    )
    kept = FOLLOWED[status, method] == method
    assert keys(server) == ["k", "k" if kept else None]


@pytest.mark.parametrize("status", [307, 308])
def test_a_conflict_behind_a_redirect_is_of_a_resend_when_what_was_lost_came_before(
    server: ScriptedServer, status: int
) -> None:
    server.script(reset_after_reading(), redirect(status, "/new"), respond(409))
    client = Client(server)
    client.conn.request("POST", "/old", data=BODY, idempotency_key="k")
    assert lines(server) == ["POST /old", "POST /old", "POST /new", "POST /new"]
    assert keys(server) == ["k"] * 4
    assert client.retries == {"protocol": 1, "throttled": 1}


def test_a_conflict_behind_a_redirect_is_at_first_when_nothing_was_lost(
    server: ScriptedServer,
) -> None:
    server.script(redirect(307, "/new"), respond(409))
    with pytest.raises(exceptions.HTTPConflict):
        Client(server).conn.request("POST", "/old", data=BODY, idempotency_key="k")
    assert server.count() == 2


def test_a_retry_after_beside_a_location_is_not_waited_for(server: ScriptedServer) -> None:
    server.script(respond(301, {"Location": "/new", "Retry-After": "9999999999"}))
    client = Client(server)
    client.conn.request("GET", "/old")
    assert lines(server) == ["GET /old", "GET /new"]
    assert client.slept == []


def test_one_origin_keeps_headers_credentials_and_cookies(hosts: Hosts) -> None:
    hosts.here.script(
        respond(200, {"Set-Cookie": "session=own; Path=/"}),
        redirect(307, "/new?page=2"),
    )
    client = hosts.client(auth=("reader", "secret"))
    client.conn.add_headers({"X-Common": "common"})
    client.conn.request("GET", "/login")
    client.conn.request(
        "POST",
        "/old",
        data=BODY,
        headers={"X-Own": "own", "Accept": "text/x", "Content-Type": "text/x"},
        cookies={"one": "time"},
        idempotency_key="k",
    )
    _, old, new = hosts.here.requests
    assert new.target == "/new?page=2"
    assert new.headers["Authorization"] == basic("reader", "secret")
    assert new.headers["Cookie"] in {"session=own; one=time", "one=time; session=own"}
    ignored = {"traceparent", "cookie"}
    assert {n: v for n, v in new.headers.items() if n not in ignored} == {
        n: v for n, v in old.headers.items() if n not in ignored
    }
    assert new.body == old.body == BODY
    assert keys(hosts.here) == [None, "k", "k"]


def test_a_cookie_that_came_with_a_redirect_goes_to_its_own_origin(hosts: Hosts) -> None:
    hosts.here.script(respond(302, {"Location": "/new", "Set-Cookie": "fresh=1; Path=/"}))
    hosts.client().conn.request("GET", "/old")
    assert hosts.here.requests[1].headers["Cookie"] == "fresh=1"


def test_a_cookie_that_a_redirect_deleted_does_not_go_on(hosts: Hosts) -> None:
    hosts.here.script(
        respond(200, {"Set-Cookie": "fresh=1; Path=/"}),
        respond(302, {"Location": "/new", "Set-Cookie": "fresh=; Path=/; Max-Age=0"}),
    )
    client = hosts.client()
    client.conn.request("GET", "/login")
    client.conn.request("GET", "/old")
    assert "Cookie" not in hosts.here.requests[2].headers


def test_a_bearer_token_is_renewed_behind_a_redirect(hosts: Hosts) -> None:
    hosts.here.script(redirect(302, "/new"))
    hosts.here.default = RequireBearer("new")
    tokens = iter(["old", "new"])
    client = hosts.client(auth=BearerAuth(lambda: next(tokens)))
    client.conn.request("GET", "/old")
    assert lines(hosts.here) == ["GET /old", "GET /new", "GET /new"]
    assert client.resend_counts() == [None, 1, 2]


def test_digest_goes_on_behind_a_redirect(hosts: Hosts) -> None:
    hosts.here.script(redirect(302, "/new"))
    hosts.here.default = RequireDigest("reader", "secret")
    client = hosts.client(auth=HTTPDigestAuth("reader", "secret"))
    assert client.conn.json_request("GET", "/old")["target"] == "/new"


LOCATIONS: Final = {
    "/new": "/new",
    "new": "/api/v1/new",
    "../new": "/api/new",
    "?page=2": "/api/v1/old?page=2",
    "./a b": "/api/v1/a%20b",
    "/a%20b": "/a%20b",
    "/new#part": "/new",
}


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_relative_location_is_relative_to_where_it_came_from(
    tls_server: ScriptedServer, ca: CertificateAuthority, location: str
) -> None:
    tls_server.script(redirect(302, location))
    client = Client(tls_server.url + "/api/v1", ca)
    client.conn.request("GET", "/old")
    assert tls_server.requests[1].target == LOCATIONS[location]


SPELLINGS: Final = [
    "/new",
    "new#there",
    "/new?page=2#there",
    "/a b",
    "/a%20b%7e",
    "/b\u00fccher",
    "/%zz",
    "?q=1&q=2",
    "//{host}/new",
    "https://{host}",
    "HTTPS://{host}/new",
    "https://{host}/a/../b",
]


@pytest.mark.parametrize("location", SPELLINGS)
def test_an_answers_url_is_what_requests_makes_of_the_location(hosts: Hosts, location: str) -> None:
    host = hosts.here.url.removeprefix("https://")
    answer = redirect(302, location.format(host=host).encode().decode("latin-1"))
    hosts.here.script(answer, respond(200), answer, respond(200))
    ours = hosts.client().conn.request("GET", "/api/old?a=1#part")
    theirs = requests.get(
        f"{hosts.here.url}/api/old?a=1#part", verify=str(hosts.ca.bundle), timeout=5
    )
    assert ours.url == theirs.url
    _, our_new, _, their_new = hosts.here.requests
    assert our_new.target == their_new.target


@pytest.mark.parametrize("spelling", ["//{}/new", "HTTPS://{}/new", "https://{}/new"])
def test_another_spelling_of_the_same_origin_is_the_same_origin(
    hosts: Hosts, spelling: str
) -> None:
    host = hosts.here.localhost_url.removeprefix("https://").replace("localhost", "LocalHost")
    hosts.here.script(redirect(302, spelling.format(host)))
    client = Client(hosts.here.localhost_url, hosts.ca, auth=("reader", "secret"))
    client.conn.request("GET", "/old", headers={"X-Own": "own"})
    assert hosts.here.requests[1].headers["X-Own"] == "own"
    assert hosts.here.requests[1].headers["Authorization"] == basic("reader", "secret")


def test_an_answer_has_its_history(hosts: Hosts) -> None:
    hosts.here.script(redirect(301, "/2"), redirect(302, "/3"), hosts.to_there())
    client = hosts.client()
    response = client.conn.request("GET", "/1")
    assert [r.status_code for r in response.history] == [301, 302, 302]
    assert [r.url.removeprefix(hosts.here.url) for r in response.history] == ["/1", "/2", "/3"]
    assert response.url == f"{hosts.there.localhost_url}/there"
    assert response.request.url == response.url
    assert client.conn.response is response


def test_a_redirect_does_not_outlive_its_call(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there(status=308))
    client = hosts.client()
    client.conn.request("GET", "/old")
    client.conn.request("GET", "/old")
    assert lines(hosts.here) == ["GET /old", "GET /old"]
    assert hosts.there.count() == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_that_are_not_allowed_are_the_answer(server: ScriptedServer, status: int) -> None:
    server.default = redirect(status, "/new")
    client = Client(server)
    response = client.conn.request("POST", "/old", data=BODY, allow_redirects=False)
    assert response.status_code == status
    assert response.headers["Location"] == "/new"
    assert response.history == []
    assert server.count() == 1
    assert client.outcomes == {"success": 1}


@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_other_statuses_of_the_300s_are_answers(server: ScriptedServer, status: int) -> None:
    server.default = redirect(status, "/new")
    assert Client(server).conn.request("GET", "/old").status_code == status
    assert server.count() == 1


@pytest.mark.parametrize("headers", [{}, {"Location": ""}], ids=["none", "empty"])
@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_without_a_location_is_the_answer(
    server: ScriptedServer, status: int, headers: dict[str, str]
) -> None:
    server.default = respond(status, headers)
    response = Client(server).conn.request("POST", "/old", data=BODY)
    assert response.status_code == status
    assert lines(server) == ["POST /old"]


# --- how many -------------------------------------------------------------------------------------


def test_ten_redirects_are_followed(server: ScriptedServer) -> None:
    server.script(*[redirect(302, f"/{n}") for n in range(10)])
    response = Client(server).conn.request("GET", "/")
    assert server.count() == 11
    assert len(response.history) == 10


def test_an_eleventh_redirect_is_an_error(server: ScriptedServer) -> None:
    server.default = redirect(302, "/")
    client = Client(server)
    with pytest.raises(exceptions.TooManyRedirects) as caught:
        client.conn.request("GET", "/")
    assert isinstance(caught.value, requests.TooManyRedirects)
    assert caught.value.attempts == server.count() == 11
    assert caught.value.response.status_code == 302
    assert "10" in str(caught.value)
    assert "Policy(redirects=" in str(caught.value)
    assert client.in_flight == 0


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_the_limit_is_the_policys(server: ScriptedServer, limit: int) -> None:
    server.default = redirect(307, "/")
    with pytest.raises(exceptions.TooManyRedirects):
        Client(server, policy=Policy(redirects=limit)).conn.request("POST", "/", data=BODY)
    assert server.count() == limit + 1


def test_redirects_between_hosts_count_together(hosts: Hosts) -> None:
    hosts.here.default = hosts.to_there()
    hosts.there.default = hosts.to_here()
    with pytest.raises(exceptions.TooManyRedirects):
        hosts.client().conn.request("GET", "/")
    assert (hosts.here.count(), hosts.there.count()) == (6, 5)


# --- across origins: what goes along --------------------------------------------------------------


def test_only_the_allowed_headers_cross(hosts: Hosts) -> None:
    hosts.here.script(respond(200, {"Set-Cookie": "session=planted; Path=/"}), hosts.to_there())
    client = hosts.client(credentials={hosts.there.localhost_url: ANONYMOUS})
    client.conn.add_headers({"X-Common": "planted", "User-Agent": "books/1"})
    client.conn.session.cookies.set("everywhere", "planted")
    client.conn.session.params = {"api_key": "planted"}
    client.conn.request("GET", "/login")
    client.conn.request(
        "GET",
        "/old",
        headers={
            "Accept": "text/x",
            "Accept-Language": "planted",
            "Authorization": "planted",
            "Baggage": "user=planted",
            "Cookie": "own=planted",
            "If-None-Match": "planted",
            "Proxy-Authorization": "planted",
            "Referer": "https://planted.test",
            "X-Api-Key": "planted",
        },
        cookies={"one": "planted"},
        idempotency_key="planted",
    )
    (request,) = hosts.there.requests
    assert header_names(request) == ALLOWED
    assert request.headers["Accept"] == "text/x"
    assert request.headers["User-Agent"] == "books/1"
    assert request.target == "/there"
    assert "planted" not in repr(request)


def test_trace_context_crosses_each_attempt_with_its_own_span(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    hosts.there.script(respond(503))
    client = hosts.client()
    client.conn.request("GET", "/old")
    sent = [r.headers["traceparent"] for r in (*hosts.here.requests, *hosts.there.requests)]
    spans = [span.context for span in client.wire_spans if span.context is not None]
    assert [int(value.split("-")[2], 16) for value in sent] == [span.span_id for span in spans]
    assert {int(value.split("-")[1], 16) for value in sent} == {spans[0].trace_id}


def test_a_callers_own_trace_context_crosses_untouched(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"Traceparent": own, "Tracestate": "vendor=1"}
    hosts.client().conn.request("GET", "/old", headers=headers)
    (request,) = hosts.there.requests
    assert request.headers["traceparent"] == own
    assert request.headers["tracestate"] == "vendor=1"


def test_two_ports_of_one_host_are_two_origins(hosts: Hosts) -> None:
    # Cookies know no ports: only the origin keeps them apart.
    hosts.here.script(
        respond(200, {"Set-Cookie": "session=planted; Path=/"}),
        redirect(302, hosts.there.url + "/there"),
    )
    client = hosts.client(auth=("reader", "planted"), credentials={hosts.there.url: ANONYMOUS})
    client.conn.request("GET", "/login")
    client.conn.request("GET", "/old", headers={"X-Own": "planted"}, cookies={"one": "planted"})
    assert header_names(hosts.there.requests[0]) == ALLOWED


def test_cookies_that_another_host_sets_stay_there(hosts: Hosts) -> None:
    jar = SetCookies({"there": "1"})
    hosts.there.default = jar
    hosts.here.script(redirect(302, hosts.there.url + "/there"))
    client = hosts.client()
    client.conn.request("GET", "/old")
    client.conn.request("GET", "/again")
    assert [r.headers.get("Cookie") for r in hosts.here.requests] == [None, None]
    assert list(client.conn.session.cookies) == []


def test_there_and_back_again(hosts: Hosts) -> None:
    hosts.here.script(respond(200, {"Set-Cookie": "session=own; Path=/"}), hosts.to_there("/there"))
    hosts.there.script(
        respond(
            302,
            {"Location": hosts.here.url + "/back", "Set-Cookie": "there=planted; Path=/"},
        )
    )
    client = hosts.client(
        auth=("reader", "secret"), credentials={hosts.there.localhost_url: ("guest", "there")}
    )
    client.conn.request("GET", "/login")
    client.conn.request("GET", "/old", headers={"X-Own": "planted"})
    (there,) = hosts.there.requests
    back = hosts.here.requests[2]
    assert there.headers["Authorization"] == basic("guest", "there")
    # Its own origin's credentials are those for it; what stayed behind at the border stays there.
    assert back.headers["Authorization"] == basic("reader", "secret")
    assert header_names(back) == ALLOWED | {"authorization"}
    assert "planted" not in repr(back)


def test_there_and_back_again_with_credentials_from_netrc(
    hosts: Hosts, netrc_file: NetrcFile
) -> None:
    netrc_file({"127.0.0.1": ("reader", "secret"), "localhost": ("guest", "there")})
    hosts.here.script(hosts.to_there())
    hosts.there.script(hosts.to_here("/back"))
    hosts.client(auth=None).conn.request("GET", "/old")
    assert hosts.there.requests[0].headers["Authorization"] == basic("guest", "there")
    assert hosts.here.requests[1].headers["Authorization"] == basic("reader", "secret")


def test_a_client_certificate_is_not_shown_to_another_host(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    asking = ca.server_context(require_client_cert=True)
    curious = ca.server_context(require_client_cert=True)
    curious.verify_mode = ssl.CERT_OPTIONAL
    here, there = make_server(tls=asking), make_server(tls=curious)
    here.script(redirect(302, there.localhost_url + "/there"))
    cert = ca.client_certificate("reader")
    client = Client(here, ca, cert=tuple(cert))
    client.conn.request("GET", "/old")
    assert here.requests[0].client_name == "reader"
    assert there.requests[0].client_name is None


def test_a_client_certificate_in_a_context_is_not_shown_to_another_host(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    asking = ca.server_context(require_client_cert=True)
    curious = ca.server_context(require_client_cert=True)
    curious.verify_mode = ssl.CERT_OPTIONAL
    here, there = make_server(tls=asking), make_server(tls=curious)
    here.script(redirect(302, there.localhost_url + "/there"))
    context = ca.client_context(ca.client_certificate("reader"))
    client = Client(here, ssl_context=context)
    try:
        client.conn.request("GET", "/old")
    except exceptions.RedirectError:
        assert there.requests == []
    else:
        assert there.requests[0].client_name is None
    assert here.requests[0].client_name == "reader"


def test_query_and_path_of_the_first_request_stay_at_home(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there("/there"))
    client = Client(hosts.here.url + "/base", hosts.ca)
    client.conn.request("GET", "/old", params={"token": "planted"})
    assert lines(hosts.there) == ["GET /there"]


# --- across origins: whose credentials ------------------------------------------------------------


def mine() -> dict[str, Any]:
    """Every way to have credentials for `here`."""
    return {
        "a pair": {"auth": ("reader", "planted")},
        "a token": {"auth": BearerAuth("planted")},
        "a callable": {"auth": lambda request: request},
        "digest": {"auth": HTTPDigestAuth("reader", "planted")},
    }


each_of_mine = pytest.mark.parametrize("options", mine().values(), ids=mine())


def refused(client: Client, uri: str = "/old", **options: Any) -> exceptions.RedirectError:
    """The error of a redirect that is not followed."""
    method = options.pop("method", "GET")
    with pytest.raises(exceptions.RedirectError) as caught:
        client.conn.request(method, uri, **options)
    error = caught.value
    # What was redirected was sent, and maybe processed.
    assert not isinstance(error, exceptions.RefusedError)
    assert error.attempts == 1
    assert not error.outcome_unknown
    assert error.request is not None
    assert error.response is not None
    assert error.response.status_code in {301, 302, 303, 307, 308}
    assert client.outcomes == {"error": 1}
    assert client.in_flight == 0
    return error


@each_of_mine
def test_without_credentials_for_it_another_host_sees_nothing(
    hosts: Hosts, options: dict[str, Any]
) -> None:
    hosts.here.script(hosts.to_there("/there?signature=planted"))
    error = refused(hosts.client(**options))
    assert hosts.there.connections == []
    assert "credentials=" in str(error)
    assert hosts.there.localhost_url in str(error)
    assert "planted" not in str(error)


@each_of_mine
def test_credentials_registered_for_the_target_are_used(
    hosts: Hosts, options: dict[str, Any]
) -> None:
    hosts.here.script(hosts.to_there())
    guard = RequireBasic("guest", "there")
    hosts.there.default = guard
    credentials = {hosts.there.localhost_url: ("guest", "there")}
    hosts.client(credentials=credentials, **options).conn.request("GET", "/old")
    assert guard.seen == [basic("guest", "there")]


def test_credentials_of_another_host_or_port_are_not_used(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    credentials = {
        "https://localhost": ("guest", "planted"),
        "https://*.test": ("guest", "planted"),
        hosts.there.localhost_url.replace("https", "http"): ("guest", "planted"),
        hosts.there.url: ("guest", "planted"),
    }
    refused(hosts.client(auth=("reader", "secret"), credentials=credentials))
    assert hosts.there.connections == []


def test_a_renewable_token_registered_for_the_target_is_renewed(hosts: Hosts) -> None:
    guard = RequireBearer("new")
    hosts.there.default = guard
    hosts.here.script(hosts.to_there())
    tokens = iter(["old", "new"])
    client = hosts.client(
        auth=("reader", "secret"),
        credentials={hosts.there.localhost_url: BearerAuth(lambda: next(tokens))},
    )
    client.conn.request("GET", "/old")
    assert guard.seen == ["Bearer old", "Bearer new"]
    assert hosts.here.count() == 1


def test_a_netrc_entry_for_the_target_is_used(hosts: Hosts, netrc_file: NetrcFile) -> None:
    netrc_file({"localhost": ("guest", "there")})
    hosts.here.script(hosts.to_there())
    hosts.client(auth=("reader", "secret")).conn.request("GET", "/old")
    assert hosts.there.requests[0].headers["Authorization"] == basic("guest", "there")


def test_netrcs_default_entry_is_never_used_for_a_redirect(
    hosts: Hosts, netrc_file: NetrcFile
) -> None:
    netrc_file({"default": ("reader", "planted")})
    hosts.here.script(hosts.to_there())
    refused(hosts.client(auth=None))
    assert hosts.here.requests[0].headers["Authorization"] == basic("reader", "planted")
    assert hosts.there.connections == []


def test_registered_credentials_win_over_netrc(hosts: Hosts, netrc_file: NetrcFile) -> None:
    netrc_file({"localhost": ("guest", "planted")})
    hosts.here.script(hosts.to_there())
    credentials = {hosts.there.localhost_url: ANONYMOUS}
    hosts.client(auth=("reader", "secret"), credentials=credentials).conn.request("GET", "/old")
    assert "Authorization" not in hosts.there.requests[0].headers


def test_an_anonymous_connection_stays_anonymous(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    hosts.client().conn.request("GET", "/old")
    assert header_names(hosts.there.requests[0]) == ALLOWED


def test_credentials_of_one_call_are_for_its_own_origin(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    client = hosts.client(credentials={hosts.there.localhost_url: ANONYMOUS})
    client.conn.request("GET", "/old", auth=("reader", "planted"))
    assert "Authorization" not in hosts.there.requests[0].headers


def test_an_authorization_header_does_not_make_a_connection_anonymous(hosts: Hosts) -> None:
    # Without `auth`, the caller's own header is the credential of this origin, and of no other.
    hosts.here.script(hosts.to_there())
    refused(hosts.client(auth=None), headers={"Authorization": "Token planted"})
    assert hosts.there.connections == []


def test_credentials_set_on_the_session_later_do_not_cross(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    client = hosts.client()
    client.conn.session.auth = ("reader", "planted")
    refused(client)
    assert hosts.there.connections == []


# --- across origins: bodies and keys --------------------------------------------------------------


@pytest.mark.parametrize(("status", "method"), FOLLOWED, ids=str)
def test_methods_and_bodies_change_across_origins_as_they_do_within_one(
    hosts: Hosts, status: int, method: str
) -> None:
    meant = BODY if method in {"POST", "PUT", "PATCH"} else None
    hosts.here.script(hosts.to_there(status=status))
    client = hosts.client(credentials={hosts.there.localhost_url: ANONYMOUS})
    client.conn.request(method, "/old", data=meant)
    (request,) = hosts.there.requests
    assert request.method == FOLLOWED[status, method]
    assert request.body == (BODY if request.method == method and meant else b"")


@pytest.mark.parametrize(("status", "method"), FOLLOWED, ids=str)
def test_a_stream_crosses_nowhere_and_is_sent_once(hosts: Hosts, status: int, method: str) -> None:
    hosts.here.script(hosts.to_there(status=status))
    client = hosts.client(credentials={hosts.there.localhost_url: ANONYMOUS})
    kept = FOLLOWED[status, method] == method
    expected = pytest.raises(exceptions.RedirectError, match="rewound") if kept else nullcontext()
    with expected:
        client.conn.request(method, "/old", data=iter([BODY]))
    assert bodies(hosts.here) == [BODY]
    assert bodies(hosts.there) == ([] if kept else [b""])


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_crosses_only_where_credentials_are_registered(
    hosts: Hosts, netrc_file: NetrcFile, status: int, method: str
) -> None:
    netrc_file({"localhost": ("guest", "there")})
    hosts.here.script(hosts.to_there(status=status))
    refused(hosts.client(), method=method, data=BODY)
    assert hosts.there.connections == []
    hosts.here.script(hosts.to_there(status=status))
    client = hosts.client(credentials={hosts.there.localhost_url: ("guest", "there")})
    client.conn.request(method, "/old", data=BODY, headers={"Content-Type": "text/x"})
    (request,) = hosts.there.requests
    assert (request.method, request.body) == (method, BODY)
    assert header_names(request) == ALLOWED | FRAMING | {"authorization"}


def test_a_redirect_that_drops_the_body_crosses_without_its_headers(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there(status=303))
    hosts.client().conn.request("POST", "/old", json={"secret": "planted"})
    (request,) = hosts.there.requests
    assert (request.method, request.body) == ("GET", b"")
    assert header_names(request) == ALLOWED


def test_a_key_does_not_cross_and_so_makes_nothing_repeatable_there(hosts: Hosts) -> None:
    # The other host sees no key: what it processed and did not answer must not go there twice.
    hosts.here.script(hosts.to_there(status=307))
    hosts.there.default = reset_after_reading()
    client = hosts.client(credentials={hosts.there.localhost_url: ANONYMOUS})
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("POST", "/old", data=BODY, idempotency_key="planted")
    assert bodies(hosts.there) == [BODY]
    assert keys(hosts.there) == [None]
    assert hosts.here.count() == 1
    assert caught.value.outcome_unknown


def test_a_conflict_there_is_no_conflict_of_a_key_that_stayed_here(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there(status=307))
    hosts.there.script(respond(503), respond(409))
    client = hosts.client(credentials={hosts.there.localhost_url: ANONYMOUS})
    with pytest.raises(exceptions.HTTPServiceUnavailable):
        client.conn.request("POST", "/old", data=BODY, idempotency_key="k")
    assert hosts.there.count() == 1


def test_the_callers_word_that_it_is_idempotent_holds_there_too(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there(status=307))
    hosts.there.script(reset_after_reading())
    client = hosts.client(credentials={hosts.there.localhost_url: ANONYMOUS})
    client.conn.request("POST", "/old", data=BODY, idempotent=True)
    assert bodies(hosts.there) == [BODY, BODY]
    assert hosts.here.count() == 1


def test_what_was_never_sent_there_is_sent_again_there_and_only_there(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there(status=307))
    hosts.there.script(close_in_handshake(), close_in_handshake())
    client = hosts.client(credentials={hosts.there.localhost_url: ANONYMOUS})
    client.conn.request("POST", "/old", data=BODY)
    assert bodies(hosts.here) == bodies(hosts.there) == [BODY]
    assert client.retries == {"connect": 2}


# --- where a redirect never goes ------------------------------------------------------------------


def test_https_never_becomes_http(hosts: Hosts, server: ScriptedServer) -> None:
    for status in (301, 302, 303, 307, 308):
        hosts.here.script(redirect(status, server.url + "/plain"))
        error = refused(hosts.client(credentials={"*": ANONYMOUS}, allow_plaintext=True))
        assert "http" in str(error)
    assert server.connections == []


def test_https_never_becomes_http_by_a_detour(hosts: Hosts, server: ScriptedServer) -> None:
    hosts.here.script(hosts.to_there())
    hosts.there.script(redirect(302, server.url + "/plain"))
    client = hosts.client(credentials={"*": ANONYMOUS})
    with pytest.raises(exceptions.RedirectError) as caught:
        client.conn.request("GET", "/old")
    assert caught.value.attempts == 2
    assert server.connections == []


def test_http_may_become_https_as_another_origin(
    server: ScriptedServer, tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    server.script(redirect(301, tls_server.url + "/"))
    credentials = {tls_server.url: ("reader", "secret")}
    client = Client(server, ca, credentials=credentials)
    client.conn.request("GET", "/", headers={"X-Own": "planted"})
    (request,) = tls_server.requests
    assert header_names(request) == ALLOWED | {"authorization"}


def test_credentials_for_a_plain_target_are_refused(
    server: ScriptedServer, make_server: MakeServer
) -> None:
    other = make_server()
    server.default = redirect(302, other.localhost_url + "/")
    credentials = {other.localhost_url: ("guest", "planted")}
    with pytest.raises(exceptions.RedirectError, match="in the clear"):
        Client(server, credentials=credentials).conn.request("GET", "/")
    assert other.connections == []
    Client(server, credentials=credentials, allow_plaintext=True).conn.request("GET", "/")
    assert other.count() == 1


NOWHERE: Final = {
    "userinfo": "https://planted:planted@localhost:{port}/",
    "a user alone": "https://planted@localhost:{port}/",
    "userinfo without a scheme": "//planted:planted@localhost:{port}/",
    "ftp": "ftp://localhost:{port}/",
    "file": "file:///etc/hosts",
    "javascript": "javascript:alert()",
    "data": "data:text/plain,book",
    "a port that is none": "https://localhost:99999/",
    "a bracket that never closes": "https://[::1/",
    "an address that is none": "https://[book]/",
}


@pytest.mark.parametrize("location", NOWHERE.values(), ids=NOWHERE)
def test_a_location_that_can_not_be_gone_to_is_refused(hosts: Hosts, location: str) -> None:
    hosts.here.script(redirect(302, location.format(port=hosts.there.port)))
    error = refused(hosts.client(auth=("reader", "secret"), credentials={"*": ANONYMOUS}))
    assert "planted" not in f"{error}"
    assert hosts.there.connections == []
    assert hosts.here.count() == 1


@pytest.mark.parametrize("location", [b"\xff\xfe://planted", b"https://[\xe9\xff]/planted"])
def test_a_location_that_is_no_text_is_refused(hosts: Hosts, location: bytes) -> None:
    hosts.here.script(
        raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")
    )
    error = refused(hosts.client(auth=("reader", "secret"), credentials={"*": ANONYMOUS}))
    assert isinstance(error, exceptions.RedirectError)
    assert "planted" not in f"{error}"
    assert error.response is not None
    assert error.response.status_code == 302
    assert hosts.here.count() == 1
    assert hosts.there.connections == []


@pytest.mark.parametrize(
    "locations", [("/new", "/newer"), ("/new", "/new"), ("{there}/", "/new"), ("/new", "{there}/")]
)
def test_several_locations_are_none(hosts: Hosts, locations: tuple[str, ...]) -> None:
    headers = [("Location", each.format(there=hosts.there.localhost_url)) for each in locations]
    hosts.here.script(respond(302, headers))
    error = refused(hosts.client(credentials={"*": ANONYMOUS}))
    assert "several places" in str(error)
    assert hosts.here.count() == 1
    assert hosts.there.connections == []


@pytest.mark.parametrize("location", ["/\\localhost:{port}/", "\\\\localhost:{port}/"])
def test_a_location_with_backslashes_is_no_way_out(hosts: Hosts, location: str) -> None:
    hosts.here.script(redirect(302, location.format(port=hosts.there.port)))
    client = hosts.client(auth=("reader", "secret"), credentials={"*": ANONYMOUS})
    try:
        client.conn.request("GET", "/old")
    except exceptions.SleepwalkerException:
        assert hosts.here.count() == 1
    assert hosts.there.connections == []


@pytest.mark.parametrize("why", ["no credentials", "plain http", "userinfo", "too many"])
def test_a_streamed_redirect_that_is_refused_holds_no_socket(
    hosts: Hosts, server: ScriptedServer, why: str
) -> None:
    location = {
        "no credentials": hosts.there.localhost_url + "/",
        "plain http": server.url,
        "userinfo": "https://a:b@localhost/",
        "too many": "/",
    }[why]
    hosts.here.default = respond(302, {"Location": location}, b"x" * 500_000)
    client = hosts.client(auth=("reader", "secret"))
    with pytest.raises(exceptions.SleepwalkerException) as caught:
        client.conn.request("GET", "/old", stream=True)
    client.conn.close()
    hosts.here.wait_for(lambda: all(record.closed_by for record in hosts.here.connections), 1.0)
    del caught


# --- retries on the way ---------------------------------------------------------------------------


def test_only_the_hop_that_failed_is_sent_again(server: ScriptedServer) -> None:
    server.script(redirect(303, "/made"), respond(503), reset_after_reading(), respond(200))
    client = Client(server)
    response = client.conn.request("POST", "/books", data=BODY)
    assert lines(server) == ["POST /books", "GET /made", "GET /made", "GET /made"]
    assert [r.status_code for r in response.history] == [303]
    assert client.resend_counts() == [None, 1, 2, 3]
    assert client.retries == {"status": 1, "protocol": 1}


def test_a_post_that_was_answered_is_not_made_again_when_its_redirect_fails(
    server: ScriptedServer,
) -> None:
    server.script(redirect(303, "/made"))
    server.default = respond(503)
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        Client(server).conn.request("POST", "/books", data=BODY, idempotency_key="k")
    assert lines(server) == ["POST /books", *["GET /made"] * 3]
    assert caught.value.attempts == 4
    assert not caught.value.outcome_unknown


def test_a_post_whose_redirect_was_lost_is_unknown_and_made_once(server: ScriptedServer) -> None:
    server.script(reset_after_reading(), redirect(303, "/made"))
    with pytest.raises(exceptions.ProtocolError) as caught:
        Client(server).conn.request("POST", "/books", data=BODY)
    assert lines(server) == ["POST /books"]
    assert caught.value.outcome_unknown


def test_a_post_kept_by_307_and_lost_is_unknown_and_made_once(server: ScriptedServer) -> None:
    server.script(redirect(307, "/v2/books"), reset_after_reading())
    with pytest.raises(exceptions.ProtocolError) as caught:
        Client(server).conn.request("POST", "/books", data=BODY)
    assert lines(server) == ["POST /books", "POST /v2/books"]
    assert caught.value.outcome_unknown


def test_a_post_with_a_key_kept_by_307_has_the_same_key_on_every_attempt(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), redirect(307, "/v2/books"), reset_after_reading())
    Client(server).conn.request("POST", "/books", data=BODY, idempotency_key=True)
    assert lines(server) == ["POST /books", "POST /books", "POST /v2/books", "POST /v2/books"]
    assert len(set(keys(server))) == 1
    assert bodies(server) == [BODY] * 4


def test_a_hop_to_another_host_is_retried_there_with_its_credentials(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    hosts.there.script(respond(503), reset_after_reading())
    credentials = {hosts.there.localhost_url: ("guest", "there")}
    client = hosts.client(auth=("reader", "secret"), credentials=credentials)
    client.conn.request("GET", "/old", headers={"X-Own": "planted"})
    assert hosts.here.count() == 1
    assert hosts.there.count() == 3
    for request in hosts.there.requests:
        assert header_names(request) == ALLOWED | {"authorization"}
        assert request.headers["Authorization"] == basic("guest", "there")


def test_attempts_are_counted_over_all_hops_but_redirects_use_up_none(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), redirect(302, "/2"), respond(503), redirect(302, "/3"))
    server.default = respond(503)
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        Client(server).conn.request("GET", "/1")
    assert lines(server) == ["GET /1", "GET /1", "GET /2", "GET /2", "GET /3"]
    assert caught.value.attempts == 5


def test_a_stalled_target_is_bounded_by_the_calls_timeout(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    hosts.there.default = stall()
    client = hosts.client(policy=Policy(attempts=1))
    with pytest.raises(exceptions.ReadTimeout) as caught:
        client.conn.request("GET", "/old", timeout=STALLED)
    assert caught.value.request.url == f"{hosts.there.localhost_url}/there"
    assert not caught.value.outcome_unknown


def test_the_targets_certificate_is_checked(
    hosts: Hosts, make_server: MakeServer, ca: CertificateAuthority
) -> None:
    impostor = make_server(tls=ca.server_context("unknown authority"))
    hosts.here.script(redirect(302, impostor.localhost_url + "/"))
    client = hosts.client(credentials={impostor.localhost_url: ("guest", "there")})
    with pytest.raises(exceptions.CertificateError):
        client.conn.request("GET", "/old")
    assert len(impostor.connections) == 1
    assert impostor.count() == 0


# --- what is told ---------------------------------------------------------------------------------


def test_every_hop_is_a_span_and_counts_under_its_own_host(hosts: Hosts) -> None:
    hosts.here.script(redirect(302, "/2"), hosts.to_there("/there?token=planted"))
    hosts.there.script(respond(503))
    client = hosts.client()
    client.conn.request("GET", "/1", name="/{n}")
    assert client.resend_counts() == [None, 1, 2, 3]
    told = [span.attributes or {} for span in client.wire_spans]
    assert [each["server.address"] for each in told] == ["127.0.0.1"] * 2 + ["localhost"] * 2
    assert [each["server.port"] for each in told] == [hosts.here.port] * 2 + [hosts.there.port] * 2
    assert [each["http.response.status_code"] for each in told] == [302, 302, 503, 200]
    assert "planted" not in str(told)
    # The template is the caller's name for its own host's URLs.
    assert [span.name for span in client.wire_spans] == ["GET /{n}"] * 2 + ["GET"] * 2
    assert client.attempts_by_host() == {hosts.here.url: 2, hosts.there.localhost_url: 2}
    assert client.outcomes == {"success": 1}
    crossed = [event.cross_origin for event in client.told.all(Redirected)]
    assert crossed == [False, True]


def test_a_redirect_that_is_refused_is_not_told_as_followed(hosts: Hosts) -> None:
    hosts.here.script(hosts.to_there())
    client = hosts.client(auth=("reader", "secret"))
    refused(client)
    assert client.told.all(Redirected) == []


def test_response_hooks_see_every_hop_as_in_requests(hosts: Hosts) -> None:
    seen = []

    def hook(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)

    hosts.here.script(redirect(302, "/2"), hosts.to_there())
    hosts.client().conn.request("GET", "/1", hooks={"response": hook})
    assert seen == [302, 302, 200]


def test_a_redirects_body_is_left_behind_and_its_socket_used_again(hosts: Hosts) -> None:
    hosts.here.script(respond(302, {"Location": "/2"}, b"x" * 100_000))
    hosts.client().conn.request("GET", "/1")
    assert [record.requests for record in hosts.here.connections] == [2]


def test_a_streamed_answer_behind_redirects_can_be_read(hosts: Hosts) -> None:
    hosts.here.script(respond(302, {"Location": "/2"}, b"x" * 500_000), hosts.to_there())
    hosts.there.script(respond(200, body=b"abc"))
    client = hosts.client()
    with client.conn.request("GET", "/1", stream=True) as response:
        assert b"".join(response.iter_content(2)) == b"abc"
    client.conn.close()
    hosts.here.wait_for(lambda: all(record.closed_by for record in hosts.here.connections))
    hosts.there.wait_for(lambda: all(record.closed_by for record in hosts.there.connections))


def test_threads_that_are_redirected_at_once_get_their_own_answers(hosts: Hosts) -> None:
    def away(request: Request) -> Action:
        return redirect(302, hosts.there.localhost_url + request.target)

    hosts.here.default = away
    client = hosts.client(auth=("reader", "planted"), credentials={"*": ANONYMOUS})
    targets = [f"/book/{n}" for n in range(40)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda uri: client.conn.json_request("GET", uri), targets))
    assert [answer["target"] for answer in answers] == targets
    assert all(header_names(request) == ALLOWED for request in hosts.there.requests)
