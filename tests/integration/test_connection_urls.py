"""Where a `Connection` sends: host names, ports, base paths, and the origins that it refuses.

Rule: what was refused has opened no socket, on any server.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests

from sleepwalker import ANONYMOUS, Connection, ConnectionManager, DirectHook
from sleepwalker.exceptions import (
    ConnectionError,
    CrossOriginError,
    DecodeError,
    HTTPNotFound,
    RedirectError,
    RefusedError,
    SleepwalkerException,
    URLError,
)
from sleepwalker.testing import SkippingClock
from tests.servers import redirect, reset_after_reading, respond

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Action, CertificateAuthority, MakeServer, ScriptedServer

EXAMPLE = "https://api.example.com"


# Base paths


@pytest.mark.parametrize(
    ("base", "uri", "target"),
    [
        ("", "", "/"),
        ("", "/", "/"),
        ("", "books", "/books"),
        ("", "/books/1", "/books/1"),
        ("", "?page=2", "/?page=2"),
        ("/", "/books", "/books"),
        ("/api/v1", "", "/api/v1"),
        ("/api/v1", "/", "/api/v1/"),
        ("/api/v1", "/books", "/api/v1/books"),
        ("/api/v1", "books", "/api/v1/books"),
        ("/api/v1", "?page=2", "/api/v1?page=2"),
        ("/api/v1", "#top", "/api/v1"),
        ("/api/v1", "/books?page=2#top", "/api/v1/books?page=2"),
        ("/api/v1/", "/books", "/api/v1/books"),
        ("/api/v1/", "books", "/api/v1/books"),
        ("/API/V1", "/Books", "/API/V1/Books"),
    ],
)
def test_a_base_path_is_kept_and_prepended_to_every_uri(
    server: ScriptedServer, base: str, uri: str, target: str
) -> None:
    with Connection(server.url + base, ANONYMOUS) as conn:
        response = conn.request("GET", uri)

    assert [request.target for request in server.requests] == [target]
    assert response.request.url == server.url + target + ("#top" if "#top" in uri else "")


def test_a_base_path_is_part_of_the_url_of_json_requests_too(server: ScriptedServer) -> None:
    with Connection(server.url + "/api", ANONYMOUS) as conn:
        seen = conn.json_request("POST", "/books", {"id": 1}, params={"dry": "yes"})

    assert (seen["method"], seen["target"]) == ("POST", "/api/books?dry=yes")


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("/two words", "/two%20words"),
        ("/caf\u00e9", "/caf%C3%A9"),
        ("/a%2Fb", "/a%2Fb"),
        ("@evil.example/", "/@evil.example/"),
        (":80@evil.example/", "/:80@evil.example/"),
        (".evil.example/", "/.evil.example/"),
        ("./a:b", "/a:b"),
        ("/a:b", "/a:b"),
        ("/see/https://other.example/", "/see/https://other.example/"),
        ("/?next=https://other.example/", "/?next=https://other.example/"),
    ],
)
def test_a_uri_is_a_path_on_this_host_whatever_stands_in_it(
    server: ScriptedServer, uri: str, target: str
) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", uri)

    assert [request.target for request in server.requests] == [target]


def test_a_same_origin_absolute_url_passes_and_needs_no_base_path(server: ScriptedServer) -> None:
    with Connection(server.url + "/api", ANONYMOUS) as conn:
        conn.request("GET", server.url + "/elsewhere?a=b")
        conn.request("GET", server.url + "/api/books")
        conn.request("GET", server.url)
        conn.request("GET", server.url + "/two words")

    assert [request.target for request in server.requests] == [
        "/elsewhere?a=b",
        "/api/books",
        "/",
        "/two%20words",
    ]


@pytest.mark.parametrize("before", ["", "http://127.0.0.1:{port}"])
def test_a_uri_with_a_line_break_is_refused_with_a_host_and_without(
    server: ScriptedServer, before: str
) -> None:
    with Connection(server.url, ANONYMOUS) as conn, pytest.raises(URLError):
        conn.request("GET", before.format(port=server.port) + "/x\r\nInjected: yes")

    assert server.count() == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/x",
        "https://api.example.com:443/x",
        "https://API.Example.COM/x",
        "HTTPS://api.example.com/x",
    ],
)
def test_an_origin_is_the_same_in_every_spelling(url: str) -> None:
    assert Connection(EXAMPLE, ANONYMOUS).get_url(url) == url
    assert Connection("HTTPS://API.example.com:443/v1", ANONYMOUS).get_url(url) == url


def test_get_url_gives_the_fully_qualified_url() -> None:
    conn = Connection(EXAMPLE + "/v1", ANONYMOUS, port=8443)

    assert conn.get_url("/books?page=2") == EXAMPLE + ":8443/v1/books?page=2"
    assert conn.get_url(EXAMPLE + ":8443/books") == EXAMPLE + ":8443/books"


def test_pools_of_different_base_paths_are_different_and_a_last_slash_is_no_difference() -> None:
    with ConnectionManager(hooks=[DirectHook()]) as manager:
        first = manager.find(EXAMPLE + "/v1", ANONYMOUS)

        assert manager.find(EXAMPLE + "/v1/", ANONYMOUS) is first
        assert manager.find(EXAMPLE + "/v2", ANONYMOUS) is not first
        assert manager.find(EXAMPLE, ANONYMOUS) is not first
        assert len(manager.conns) == 3


# Host names and ports


@pytest.mark.parametrize(
    ("hostname", "port", "text"),
    [
        ("https://api.example.com", None, "https://api.example.com"),
        ("https://api.example.com/", None, "https://api.example.com/"),
        ("http://Api.Example.com", None, "http://Api.Example.com"),
        ("https://api.example.com:8443", None, "https://api.example.com:8443"),
        ("https://api.example.com:8443", 8443, "https://api.example.com:8443"),
        ("https://api.example.com:8443", "8443", "https://api.example.com:8443"),
        ("https://api.example.com", 8443, "https://api.example.com:8443"),
        ("https://api.example.com", "20483", "https://api.example.com:20483"),
        ("https://api.example.com", 443, "https://api.example.com:443"),
        ("https://api.example.com/", 8443, "https://api.example.com:8443/"),
        ("https://api.example.com/v1", 8443, "https://api.example.com:8443/v1"),
        ("https://[::1]/v1", 8443, "https://[::1]:8443/v1"),
    ],
)
def test_hostname_is_the_text_as_given_with_the_port_joined(
    hostname: str, port: int | str | None, text: str
) -> None:
    assert Connection(hostname, ANONYMOUS, port).hostname == text


@pytest.mark.parametrize("as_text", [False, True])
def test_a_port_of_its_own_is_connected_to(server: ScriptedServer, *, as_text: bool) -> None:
    port = str(server.port) if as_text else server.port
    with Connection("http://127.0.0.1/api", ANONYMOUS, port) as conn:
        conn.request("GET", "/books")

    assert [request.target for request in server.requests] == ["/api/books"]
    assert server.requests[0].headers["Host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("port", [8443, "8443", 80, 443])
def test_a_port_that_disagrees_is_refused(port: int | str) -> None:
    with pytest.raises(URLError, match=rf"port={port} disagree"):
        Connection("https://api.example.com:9443", ANONYMOUS, port)


def test_the_schemes_own_port_disagrees_too_when_it_is_written_down() -> None:
    with pytest.raises(URLError, match="disagree"):
        Connection("https://api.example.com:443", ANONYMOUS, 8443)


def test_an_ipv6_address_is_a_host(make_server: MakeServer) -> None:
    server = make_server(host="::1")
    with Connection(server.url + "/api", ANONYMOUS) as conn:
        conn.request("GET", "/books")

    assert server.requests[0].headers["Host"] == f"[::1]:{server.port}"
    assert server.requests[0].target == "/api/books"


def test_userinfo_is_refused_without_being_shown() -> None:
    with pytest.raises(URLError, match="auth=") as refused:
        Connection("https://planted-user:planted-secret@api.example.com", ANONYMOUS)

    assert "planted" not in f"{refused.value!r} {refused.value}"


# Other origins


def absolute(server: ScriptedServer) -> str:
    return server.url + "/books"


def network_path(server: ScriptedServer) -> str:
    return f"//127.0.0.1:{server.port}/books"


def by_name(server: ScriptedServer) -> str:
    return server.localhost_url + "/books"


def backslashes(server: ScriptedServer) -> str:
    return f"\\\\127.0.0.1:{server.port}/books"


def half_a_slash(server: ScriptedServer) -> str:
    return f"/\\127.0.0.1:{server.port}/books"


def with_spaces_before(server: ScriptedServer) -> str:
    return f"  {server.url}/books"


@pytest.mark.parametrize(
    "spell", [absolute, network_path, by_name, backslashes, half_a_slash, with_spaces_before]
)
def test_a_uri_of_another_origin_is_refused_before_anything_is_sent(
    make_server: MakeServer, spell: Callable[[ScriptedServer], str]
) -> None:
    ours, other = make_server(), make_server()
    uri = spell(other)
    with Connection(ours.url, ANONYMOUS) as conn:
        for ask in (
            lambda: conn.get_url(uri),
            lambda: conn.request("GET", uri),
            lambda: conn.request("POST", uri, json={"id": 1}, idempotency_key=True),
            lambda: conn.json_request("GET", uri),
        ):
            with pytest.raises(CrossOriginError) as refused:
                ask()
            assert isinstance(refused.value, URLError)
            assert isinstance(refused.value, RefusedError)
            assert isinstance(refused.value, requests.exceptions.InvalidURL)
            assert refused.value.attempts == 0

    assert ours.connections == []
    assert other.connections == []


def test_the_same_host_under_another_scheme_is_another_origin(server: ScriptedServer) -> None:
    with (
        Connection(server.url.replace("http:", "https:"), ANONYMOUS) as conn,
        pytest.raises(CrossOriginError, match="another origin"),
    ):
        conn.request("GET", server.url + "/books")

    assert server.connections == []


@pytest.mark.parametrize(
    "uri", ["ftp://api.example.com/x", "file:///etc/passwd", "mailto:a@b", "javascript:1"]
)
def test_a_scheme_of_its_own_is_refused(uri: str) -> None:
    with pytest.raises(CrossOriginError, match=re.escape(EXAMPLE)):
        Connection(EXAMPLE, ANONYMOUS).get_url(uri)


def test_the_refusal_names_the_way_out_and_shows_no_secret() -> None:
    conn = Connection(EXAMPLE, ANONYMOUS)

    with pytest.raises(CrossOriginError) as refused:
        conn.get_url("https://other.example/x?sig=planted-secret")

    assert "find a connection to that host" in str(refused.value)
    assert "planted-secret" not in f"{refused.value!r} {refused.value}"


def test_a_same_origin_url_with_userinfo_is_refused(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    uri = tls_server.url.replace("://", "://planted-user:planted-secret@") + "/books"
    with (
        Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn,
        pytest.raises(URLError, match="userinfo") as refused,
    ):
        conn.request("GET", uri)

    assert "planted" not in str(refused.value)
    assert tls_server.connections == []


# Long ones


@pytest.mark.parametrize("long", ["/" + "a" * 60_000, "/?q=" + "a" * 60_000])
def test_a_message_shows_no_more_than_the_beginning_of_a_url(
    server: ScriptedServer, long: str
) -> None:
    server.default = reset_after_reading()
    with (
        Connection(server.url, ANONYMOUS, clock=SkippingClock()) as conn,
        pytest.raises(ConnectionError) as caught,
    ):
        conn.request("GET", long)

    assert len(str(caught.value)) < 1000
    assert server.url in str(caught.value)
    assert server.requests[0].target == long


def test_a_secret_is_not_cut_in_two_so_that_half_of_it_is_shown(server: ScriptedServer) -> None:
    server.default = reset_after_reading()
    for length in range(440, 500, 7):
        with (
            Connection(server.url, ANONYMOUS, clock=SkippingClock()) as conn,
            pytest.raises(ConnectionError) as caught,
        ):
            conn.request("GET", "/" + "a" * length + "?token=planted-planted-planted")
        assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (respond(200, body=b"no JSON"), DecodeError),
        (respond(404), HTTPNotFound),
        (redirect(302, "https://other.example/" + "a" * 60_000), RedirectError),
    ],
)
def test_no_message_shows_more_than_the_beginning_of_a_url(
    server: ScriptedServer, answer: Action, kind: type[SleepwalkerException]
) -> None:
    server.default = answer
    with (
        Connection(server.url, ("user", "secret"), allow_plaintext=True) as conn,
        pytest.raises(kind) as caught,
    ):
        conn.json_request("GET", "/" + "a" * 60_000)

    assert len(str(caught.value)) < 2000
