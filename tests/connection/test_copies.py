"""What may be pickled and copied, and what says that it may not.

Rule 1: what has sockets, locks or requests under way is shared, never copied.
Rule 2: a copy works; it shares no lock with its original.
"""

from __future__ import annotations

import copy
import pickle
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ANONYMOUS, BearerAuth, Connection, ConnectionManager
from sleepwalker.testing import SkippingClock

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from tests.servers import ScriptedServer

COPYING: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),  # noqa: S301 - just pickled
}
EVERY_WAY = pytest.mark.parametrize("way", COPYING.values(), ids=list(COPYING))


@EVERY_WAY
def test_a_connection_is_shared_and_not_copied(way: Callable[[Any], Any]) -> None:
    with (
        Connection("https://host.example", ANONYMOUS) as conn,
        pytest.raises(TypeError, match=r"^a Connection has sockets and locks: share it"),
    ):
        way(conn)


@EVERY_WAY
def test_a_manager_is_shared_and_not_copied(way: Callable[[Any], Any]) -> None:
    with (
        ConnectionManager() as manager,
        pytest.raises(TypeError, match=r"^a ConnectionManager has connections and locks: share it"),
    ):
        way(manager)


@pytest.mark.parametrize("way", [COPYING["deepcopy"], COPYING["pickle"]])
def test_a_copied_session_sends_what_its_original_would(
    server: ScriptedServer, way: Callable[[Any], Any]
) -> None:
    with Connection(server.url, ("user", "secret"), allow_plaintext=True) as conn:
        conn.add_headers({"X-Tenant": "pond"})
        conn.session.cookies.set("name", "value")
        conn.request("GET", "/")
        copied: requests.Session = way(conn.session)

    with copied:
        assert copied.get(server.url + "/").status_code == 200

    one, other = server.requests
    for name in ("Authorization", "X-Tenant", "Cookie", "User-Agent"):
        assert one.headers.get(name) is not None
        assert other.headers.get(name) == one.headers.get(name)
    assert one.connection != other.connection


def test_a_session_whose_context_decides_tls_says_that_it_cannot_be_pickled() -> None:
    context = ssl.create_default_context()
    with (
        Connection("https://host.example", ANONYMOUS, ssl_context=context) as conn,
        pytest.raises(TypeError, match="an adapter with an ssl_context can't be pickled or copied"),
    ):
        pickle.dumps(conn.session)


def provide() -> str:
    """Be a provider that can be pickled."""
    return "provided"


def sent(auth: BearerAuth) -> str:
    request: Any = type("Request", (), {"headers": {}})()
    auth(request)
    return str(request.headers["Authorization"])


@EVERY_WAY
@pytest.mark.parametrize(
    ("auth", "header"),
    [(BearerAuth("fixed"), "Bearer fixed"), (BearerAuth(provide), "Bearer provided")],
    ids=["fixed", "provider"],
)
def test_a_bearer_may_be_copied_and_is_the_same_to_a_manager(
    auth: BearerAuth, header: str, way: Callable[[Any], Any]
) -> None:
    copied = way(auth)

    assert copied is not auth
    assert copied == auth
    assert sent(copied) == sent(auth) == header


def test_a_copied_bearer_asks_its_provider_itself() -> None:
    asked: list[str] = []

    def counting() -> str:
        asked.append("token")
        return f"token{len(asked)}"

    auth = BearerAuth(counting, clock=SkippingClock())
    assert sent(auth) == "Bearer token1"

    copied = copy.copy(auth)

    assert sent(copied) == "Bearer token2"
    assert sent(auth) == "Bearer token1"
