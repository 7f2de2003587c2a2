"""Response hooks and auth objects that act on answers: what they raise, and what they send again.

The server's own records say how often a request came: a hook's error is no failure of the wire.
"""

from __future__ import annotations

import io
import mmap
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests_mock
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPDigestAuth

from sleepwalker import (
    AuthError,
    BearerAuth,
    ConfigurationError,
    Connection,
    DeadlineExceeded,
    HTTPNotFound,
    HTTPServiceUnavailable,
    ProtocolError,
)
from tests.integration.retrying import Client, bodies
from tests.servers import (
    CertificateAuthority,
    RequireDigest,
    ScriptedServer,
    raw,
    redirect,
    reset_after_reading,
    respond,
    stall,
    truncated_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import MakeServer


def asks(url: str) -> Callable[..., None]:
    """Make a hook that asks another server, and wants a good answer."""

    def hook(*_: Any, **__: Any) -> None:
        requests.get(url, timeout=5).raise_for_status()

    return hook


def demands(response: requests.Response, *_: Any, **__: Any) -> None:
    """Want a good answer."""
    response.raise_for_status()


def complains(_: requests.Response, **__: Any) -> None:
    """Raise an error of the application's, which happens to be one of requests'."""
    raise requests.HTTPError("no good")


def complains_of_it(response: requests.Response, **__: Any) -> None:
    """Raise it about an answer that is no error."""
    raise requests.HTTPError("no good", response=response)


def answered(error: requests.HTTPError) -> str:
    """The URL whose answer an error is about."""
    assert error.response is not None
    return error.response.url


class Renews(AuthBase):
    """Sends a token that the server takes only the second time."""

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["X-Token"] = "old"
        r.register_hook("response", self.answered)
        return r

    def answered(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        if response.status_code != 401:
            return response
        _ = response.content
        response.close()
        again = response.request.copy()
        again.headers["X-Token"] = "new"
        return response.connection.send(again, **kwargs)


@pytest.mark.parametrize("hook", [complains, complains_of_it])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_what_a_hook_raises_comes_up_as_it_is_and_nothing_is_sent_again(
    server: ScriptedServer, hook: Callable[..., None], method: str
) -> None:
    client = Client(server)
    with pytest.raises(requests.HTTPError, match="no good") as caught:
        client.conn.request(method, "/", data=b"x", idempotency_key="k", hooks={"response": hook})

    assert type(caught.value) is requests.HTTPError
    assert server.count() == 1
    assert client.conn.in_flight == 0


@pytest.mark.parametrize("raise_for_status", [True, False])
def test_an_error_of_another_hosts_answer_is_never_taken_for_ours(
    server: ScriptedServer, make_server: MakeServer, *, raise_for_status: bool
) -> None:
    other = make_server(respond(503))
    client = Client(server)
    with pytest.raises(requests.HTTPError) as caught:
        client.conn.request(
            "PUT",
            "/",
            data=b"x",
            raise_for_status=raise_for_status,
            hooks={"response": asks(other.url)},
        )

    assert answered(caught.value) == other.url + "/"
    assert (server.count(), other.count()) == (1, 1)


def test_an_auth_that_fails_to_get_a_token_fails_the_call_with_its_own_error(
    server: ScriptedServer, make_server: MakeServer
) -> None:
    tokens = make_server(respond(503))

    class Asks(Renews):
        def answered(self, response: requests.Response, **kwargs: Any) -> requests.Response:
            asks(tokens.url)()
            return super().answered(response, **kwargs)

    server.default = respond(401)
    client = Client(server, auth=Asks())
    with pytest.raises(requests.HTTPError) as caught:
        client.conn.request("PUT", "/", data=b"x")

    assert answered(caught.value) == tokens.url + "/"
    assert (server.count(), tokens.count()) == (1, 1)


def test_a_hook_that_demands_a_good_status_leaves_the_retries_to_us(server: ScriptedServer) -> None:
    server.script(respond(503), respond(503), respond(200))
    assert Client(server).conn.request("GET", "/", hooks={"response": demands}).ok
    server.script(respond(503))
    with pytest.raises(HTTPServiceUnavailable):
        Client(server).conn.request("POST", "/", hooks={"response": demands})

    assert server.count(method="GET") == 3
    assert server.count(method="POST") == 1


def test_a_body_that_is_cut_short_is_no_error_of_the_hook_that_reads_it(
    server: ScriptedServer,
) -> None:
    def reads(response: requests.Response, **_: Any) -> None:
        lengths.append(len(response.content))

    lengths: list[int] = []
    server.script(truncated_body(b"four"), respond(200, body=b"whole"))
    client = Client(server)
    assert client.conn.request("GET", "/", hooks={"response": reads}).content == b"whole"

    server.script(truncated_body(b"four"))
    with pytest.raises(ProtocolError, match="outcome unknown"):
        client.conn.request("POST", "/", data=b"x", hooks={"response": reads})

    assert lengths == [5]
    assert server.count(method="GET") == 2
    assert server.count(method="POST") == 1


def test_a_replay_of_an_auth_sends_a_file_from_where_it_was(server: ScriptedServer) -> None:
    server.script(respond(401), respond(200))
    file = io.BytesIO(b"..abcdef")
    file.seek(2)
    Client(server, auth=Renews()).conn.request("POST", "/", data=file)

    assert bodies(server) == [b"abcdef", b"abcdef"]


def test_a_replay_through_a_users_own_adapter_never_sends_an_iterator_empty(
    make_server: MakeServer,
) -> None:
    server = make_server(RequireDigest("user", "secret"))
    with Connection(server.url, HTTPDigestAuth("user", "secret"), registry=False) as conn:
        conn.session.mount("http://", HTTPAdapter())
        with pytest.raises(ConfigurationError, match="sent already"):
            conn.request("POST", "/", data=iter([b"abc"]))

    assert bodies(server) == [b"abc"]


def test_a_memory_map_is_sent_again_whole(server: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"abc" * 1000)
    server.script(respond(503), redirect(307, "/new"), respond(200))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        Client(server).conn.request("PUT", "/", data=mapped)

    assert bodies(server) == [b"abc" * 1000] * 3


def test_an_auth_that_returns_nothing_is_an_error_that_says_so(server: ScriptedServer) -> None:
    def forgetful(_: requests.PreparedRequest) -> None:
        """Forget to return the request."""

    with pytest.raises(AuthError, match="forgetful must return the request, not NoneType"):
        Client(server, auth=forgetful).conn.request("GET", "/")

    assert server.count() == 0


def test_nothing_is_sent_when_getting_a_token_took_all_the_time(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    def slow() -> tuple[str, float]:
        client.clock.jump(1.0)
        return "token", 0.0

    client = Client(tls_server, ca, auth=BearerAuth(slow))
    with pytest.raises(DeadlineExceeded) as caught:
        client.conn.request("POST", "/", deadline=0.5)

    assert (caught.value.attempts, caught.value.outcome_unknown) == (0, False)
    assert tls_server.count() == 0


def test_what_was_lost_before_the_same_is_asked_for_elsewhere_stays_lost(
    server: ScriptedServer,
) -> None:
    server.script(reset_after_reading(), redirect(307, "/new"), respond(404))
    with pytest.raises(requests.HTTPError, match="outcome unknown"):
        Client(server).conn.request("POST", "/", idempotency_key="k")
    server.script(reset_after_reading(), redirect(303, "/new"), respond(404))
    with pytest.raises(requests.HTTPError) as caught:
        Client(server).conn.request("POST", "/", idempotency_key="k")

    assert "outcome unknown" not in str(caught.value)


def test_a_key_is_made_only_where_the_caller_has_none(server: ScriptedServer) -> None:
    conn = Client(server).conn
    conn.request("POST", "/", headers={"idempotency-key": "mine"}, idempotency_key=True)
    conn.request("POST", "/", headers={"idempotency-key": "mine"}, idempotency_key="other")
    conn.request("POST", "/", idempotency_key=True)

    sent = [request.headers["Idempotency-Key"] for request in server.requests]
    assert sent[:2] == ["mine", "other"]
    assert len(sent[2]) == 36


def test_a_part_of_a_body_that_is_neither_text_nor_bytes_is_an_error(
    server: ScriptedServer,
) -> None:
    conn = Client(server).conn
    with pytest.raises(ConfigurationError, match="a part of the body must be text or bytes, not i"):
        conn.request("PUT", "/", data=iter(["ok", 5]))

    assert server.count() == 0
    assert conn.in_flight == 0


def test_a_hook_sees_an_answer_before_its_body_is_read(server: ScriptedServer) -> None:
    def refuses(response: requests.Response, **_: Any) -> None:
        if int(response.headers["Content-Length"]) > 9:
            response.close()
            raise ValueError("too big")

    def reads_raw(response: requests.Response, **_: Any) -> None:
        seen.append(response.raw.read())

    seen: list[bytes] = []
    # The rest of the body would never come.
    server.script(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst") + stall())
    conn = Client(server).conn
    with pytest.raises(ValueError, match="too big"):
        conn.request("POST", "/", hooks={"response": refuses})
    server.script(respond(200, body=b"payload"))
    conn.request("GET", "/", hooks={"response": reads_raw})

    assert seen == [b"payload"]
    assert server.count(method="POST") == 1


def test_an_auth_that_demands_a_good_status_works_with_every_adapter() -> None:
    class Demands(AuthBase):
        def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
            r.register_hook("response", demands)
            return r

    client = Client("https://api.example.com", auth=Demands())
    with requests_mock.Mocker() as mocker:
        mocker.get("https://api.example.com/", status_code=404)
        with pytest.raises(HTTPNotFound):
            client.conn.request("GET", "/")
        answer = client.conn.request("GET", "/", raise_for_status=False)

    assert answer.status_code == 404
    assert client.outcomes == {"error": 2}


def test_an_auth_may_go_through_an_answer_piece_by_piece_and_demand_a_good_status(
    server: ScriptedServer,
) -> None:
    def reads(response: requests.Response, **_: Any) -> None:
        pieces.append(b"".join(response.iter_content(3)))
        response.raise_for_status()

    class Reads(AuthBase):
        def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
            r.register_hook("response", reads)
            return r

    pieces: list[bytes] = []
    server.script(respond(404, body=b"no such book"))
    client = Client(server, auth=Reads())
    with pytest.raises(HTTPNotFound):
        client.conn.request("GET", "/")

    assert pieces == [b"no such book"]
    assert client.wire_attempts == len(client.wire_spans) == 1
