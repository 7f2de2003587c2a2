"""Secrets that a server tells back where only the whole call knows that they are secrets.

What a request shows by name is searched for in `test_secrets`; here are those that stand in an
earlier hop, in what an auth of the user's own kind put there, or at the end of what is kept.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import pickle
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from requests.auth import AuthBase, HTTPDigestAuth

from sleepwalker import (
    ANONYMOUS,
    DecodeError,
    HTTPForbidden,
    HTTPNotFound,
    HTTPUnprocessableContent,
)
from sleepwalker.connection._call import ERROR_BODY
from tests.integration.retrying import Client
from tests.planting import everything_in, found, new_secret
from tests.servers import RequireDigest, redirect, respond

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from sleepwalker import SleepwalkerException
    from tests.servers import Request, ScriptedServer


def told(error: SleepwalkerException) -> str:
    """All that an error tells, by itself, in a traceback and to another process."""
    texts = [*everything_in(error), *traceback.format_exception(error)]
    pickled = pickle.dumps(error)
    texts += [pickled.decode("latin-1"), *everything_in(pickle.loads(pickled))]  # noqa: S301 - ours
    return "\n".join(texts)


def spans(client: Client) -> str:
    """All that the spans tell."""
    return "\n".join(str(s.attributes) for s in (*client.wire_spans, *client.call_spans))


def test_a_secret_of_the_first_hop_is_not_in_the_error_of_the_last(server: ScriptedServer) -> None:
    secret = new_secret()
    server.script(redirect(302, "/end"), respond(200, body=f"you had {secret}".encode()))
    with pytest.raises(DecodeError) as caught:
        Client(server).conn.json_request("GET", f"/start?sig={secret}")

    assert server.requests[0].target == f"/start?sig={secret}"
    assert found(secret, told(caught.value)) is None


def test_what_an_auth_of_the_users_own_puts_into_a_request_is_secret(
    server: ScriptedServer,
) -> None:
    in_header, behind_word, in_query = new_secret(), new_secret(), new_secret()

    def signs(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Acme"] = in_header
        request.headers["X-Other"] = f"Acme {behind_word}"
        request.url = f"{request.url}&acme={in_query}"
        return request

    def tells(request: Request) -> object:
        return respond(404, {"X-Seen": in_header}, f"{request.target} {behind_word}".encode())

    server.default = tells  # type: ignore[assignment]
    client = Client(server, auth=signs)
    with pytest.raises(HTTPNotFound) as caught:
        client.conn.request("GET", "/?page=7")

    for secret in (in_header, behind_word, in_query):
        assert secret in str(server.requests)
        assert found(secret, told(caught.value)) is None
        assert found(secret, spans(client)) is None
    assert "page=7" in told(caught.value)


def test_the_name_and_password_of_digest_are_secret_though_no_request_shows_them(
    server: ScriptedServer,
) -> None:
    name, password = new_secret(), new_secret()
    server.default = RequireDigest(
        name, password, then=respond(403, body=f"{name} with {password} may not".encode())
    )
    with pytest.raises(HTTPForbidden) as caught:
        Client(server, auth=HTTPDigestAuth(name, password)).conn.request("GET", "/")

    for secret in (name, password):
        assert found(secret, told(caught.value)) is None


@pytest.mark.parametrize("path", ["/login", "/"])
def test_a_cookie_that_one_answer_sets_is_not_in_the_error_of_another(
    server: ScriptedServer, path: str
) -> None:
    secret = new_secret()
    server.script(respond(200, {"Set-Cookie": f"id={secret}; Path={path}"}))
    server.default = respond(404, body=f"{secret} is no session".upper().encode())
    client = Client(server)
    client.conn.request("GET", "/login")
    with pytest.raises(HTTPNotFound) as caught:
        client.conn.request("GET", "/books")

    assert ("Cookie" in server.requests[1].headers) is (path == "/")
    assert found(secret, told(caught.value)) is None


SENT: dict[str, Callable[[str], dict[str, Any]]] = {
    "JSON": lambda secret: {"json": {"user": [{"new_password": secret}]}},
    "a form": lambda secret: {"data": {"client_secret": secret}},
    "a form in parts": lambda secret: {"files": {"password": (None, secret)}},
}


@pytest.mark.parametrize("what", SENT)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_password_in_a_body_is_not_in_the_error_that_quotes_it(
    server: ScriptedServer, what: str, encoding: str
) -> None:
    secret = new_secret("awkward")
    body = json.dumps({"errors": [{"password": {"given": secret, "is": "too long"}}]}).encode()
    packed = gzip.compress(body) if encoding == "gzip" else body
    server.default = respond(422, {"Content-Encoding": encoding}, packed)
    client = Client(server)
    with pytest.raises(HTTPUnprocessableContent) as caught:
        client.conn.request("POST", "/users", **SENT[what](secret))

    assert found(secret, told(caught.value)) is None
    assert "too long" in told(caught.value)


WRITTEN: dict[str, Callable[[str], str]] = {
    "in a URL": lambda secret: quote(secret, safe=""),
    "in JSON": lambda secret: json.dumps({"e": secret}).replace("/", "\\/"),
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in HTML": html.escape,
}


class Signing(AuthBase):
    """An auth of the user's own."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["X-Acme"] = self._key
        return r


@pytest.mark.parametrize("scheme", ["digest", "own"])
@pytest.mark.parametrize("how", WRITTEN)
def test_what_no_request_shows_by_name_is_taken_out_however_it_is_written(
    server: ScriptedServer, scheme: str, how: str
) -> None:
    secret = new_secret("awkward" if scheme == "digest" else "base64")
    body = respond(403, body=WRITTEN[how](secret).encode())
    own = scheme == "own"
    server.default = body if own else RequireDigest("somebody", secret, then=body)
    auth = Signing(secret) if own else HTTPDigestAuth("somebody", secret)
    with pytest.raises(HTTPForbidden) as caught:
        Client(server, auth=auth).conn.request("GET", "/")

    assert found(secret, told(caught.value)) is None


@pytest.mark.parametrize("before", [0, 5, 20, 40])
def test_no_half_of_a_secret_is_left_where_a_long_error_is_cut(
    server: ScriptedServer, before: int
) -> None:
    secret = new_secret()
    body = b"." * (ERROR_BODY - before) + secret.encode() + b"." * ERROR_BODY
    server.default = respond(404, body=body)
    client = Client(server, auth=ANONYMOUS)
    with pytest.raises(HTTPNotFound) as caught:
        client.conn.request("GET", "/", headers={"X-Api-Key": secret}, stream=True)

    kept = caught.value.response.content
    assert len(kept) == ERROR_BODY
    assert secret[:5].encode() not in kept


def test_a_short_value_that_an_auth_puts_into_a_request_is_no_secret(
    server: ScriptedServer,
) -> None:
    def versions(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Api-Version"] = "2"
        request.url = f"{request.url}&v=1"
        return request

    server.default = respond(404, body=b"no book 2 on 127.0.0.1")
    client = Client(server, auth=versions)
    with pytest.raises(HTTPNotFound) as caught:
        client.conn.request("GET", "/v2/books/2?page=2")

    [span] = client.wire_spans
    assert (span.attributes or {})["url.full"] == f"{server.url}/v2/books/2?page=2&v=1"
    assert caught.value.text == "no book 2 on 127.0.0.1"
