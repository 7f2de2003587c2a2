"""What our own review found, each with the test that would have caught it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import (
    ANONYMOUS,
    BearerAuth,
    Connection,
    ConnectionManager,
    DirectHook,
    EstablishmentError,
    HookError,
    HTTPNotFound,
    TokenError,
)
from sleepwalker.connection import _forks
from tests.servers import ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import CertificateAuthority


class Asynchronous:
    """A hook of somebody who took us for an asynchronous library."""

    async def connect(self, host: Any, auth: Any) -> Any:
        """Give what was asked for."""
        return host, auth


def test_a_hook_that_is_a_coroutine_is_an_error_at_once() -> None:
    with pytest.raises(HookError, match="plain function, not a coroutine"):
        ConnectionManager(hooks=[Asynchronous()])


def test_a_hook_that_answers_a_coroutine_has_failed() -> None:
    class Sly:
        def connect(self, host: Any, auth: Any) -> Any:
            return Asynchronous().connect(host, auth)

    with pytest.raises(EstablishmentError) as caught:
        ConnectionManager(hooks=[Sly()]).find("books", ANONYMOUS)
    assert [outcome.outcome for outcome in caught.value.outcomes] == ["failed"]


def test_who_forgot_the_scheme_is_told() -> None:
    manager = ConnectionManager(hooks=[DirectHook()])
    with pytest.raises(EstablishmentError, match=r"did you mean https://api\.example\.com\?"):
        manager.find("api.example.com", ANONYMOUS)
    with pytest.raises(EstablishmentError) as caught:
        manager.find("books", ANONYMOUS)
    assert "did you mean" not in str(caught.value)


def test_a_status_error_of_a_text_says_what_it_takes() -> None:
    with pytest.raises(TypeError, match=r"HTTPNotFound takes a requests\.Response, not str"):
        HTTPNotFound("no such book")  # type: ignore[arg-type]


def test_a_streamed_401_is_closed_when_no_new_token_can_be_had(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tokens: Iterator[str] = iter(["token-1"])
    auth = BearerAuth(lambda: next(tokens))
    tls_server.default = respond(401, body=b"x" * 100_000)
    with Connection(tls_server.url, auth, verify=str(ca.bundle)) as conn:
        with pytest.raises(TokenError) as caught:
            conn.request("GET", "/", stream=True)
        tls_server.wait_for(lambda: tls_server.connections[0].closed_by == "client")
    assert caught.value.attempts == 1


def test_the_answer_of_a_hook_that_raises_another_calls_status_is_closed_at_once(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = lambda request: respond(404 if request.path == "/inner" else 200)
    with Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:

        def hook(_: Any, **__: Any) -> None:
            conn.request("GET", "/inner")

        with pytest.raises(HTTPNotFound) as caught:
            conn.request("GET", "/outer", hooks={"response": hook}, stream=True)
        # Its error is still held, and with it all its frames.
        tls_server.wait_for(lambda: tls_server.connections[0].closed_by == "client")
    assert caught.value.http_code == 404


def test_a_weak_set_that_changes_meanwhile_is_listed_all_the_same() -> None:
    class Restless(weakref.WeakSet[Any]):
        tries = 0

        def __iter__(self) -> Iterator[Any]:
            self.tries += 1
            if self.tries == 1:
                msg = "Set changed size during iteration"
                raise RuntimeError(msg)
            return super().__iter__()

    things = Restless([ANONYMOUS])
    assert _forks.listed(things) == [ANONYMOUS]
