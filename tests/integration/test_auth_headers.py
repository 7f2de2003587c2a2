"""A call's own `Authorization` header: it beats the connection's auth, and `None` takes that away.

Rule: what was sent is read from the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ANONYMOUS, BearerAuth, Connection

if TYPE_CHECKING:
    from tests.servers import NetrcFile, ScriptedServer

MINE = "Bearer mine"
AUTHS: list[Any] = [("user", "secret"), BearerAuth("token"), ANONYMOUS]


def sent(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests]


@pytest.mark.parametrize("auth", AUTHS, ids=["basic", "bearer", "anonymous"])
@pytest.mark.parametrize("name", ["Authorization", "authorization"])
@pytest.mark.parametrize("value", [MINE, None])
def test_a_calls_own_header_beats_the_connections_auth(
    server: ScriptedServer, auth: Any, name: str, value: str | None
) -> None:
    with Connection(server.url, auth, allow_plaintext=True) as conn:
        conn.json_request("GET", "/", extra_headers={name: value})
        conn.request("GET", "/", headers={name: value})

    assert sent(server) == [value, value]


@pytest.mark.parametrize("value", [MINE, None])
def test_a_calls_own_header_beats_netrc(
    server: ScriptedServer, netrc_file: NetrcFile, value: str | None
) -> None:
    netrc_file({"127.0.0.1": ("user", "secret")})
    with Connection(server.url, allow_plaintext=True) as conn:
        conn.request("GET", "/", headers={"Authorization": value})

    assert sent(server) == [value]


def test_the_call_after_it_has_the_connections_auth_again(server: ScriptedServer) -> None:
    with Connection(server.url, BearerAuth("token"), allow_plaintext=True) as conn:
        conn.request("GET", "/", headers={"Authorization": MINE})
        conn.request("GET", "/", headers={"X-Id": "7"})
        conn.request("GET", "/", headers={"Authorization": None})
        conn.request("GET", "/")

    assert sent(server) == [MINE, "Bearer token", None, "Bearer token"]


def test_a_calls_own_auth_beats_its_own_header(server: ScriptedServer) -> None:
    with Connection(server.url, ANONYMOUS, allow_plaintext=True) as conn:
        conn.request("GET", "/", headers={"Authorization": MINE}, auth=BearerAuth("token"))

    assert sent(server) == ["Bearer token"]
