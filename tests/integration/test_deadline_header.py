"""The header that tells named hosts how long the call has left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from requests.auth import HTTPDigestAuth

import sleepwalker
from sleepwalker import ANONYMOUS, Backoff, Policy, exceptions
from sleepwalker.resilience.policy import DeadlineHeader
from tests.integration.retrying import Client, Frozen
from tests.servers import CertificateAuthority, RequireDigest, redirect, respond

if TYPE_CHECKING:
    from tests.servers import ScriptedServer

NAME: Final = "X-Request-Timeout-Ms"


def told(server: ScriptedServer, name: str = NAME) -> list[str | None]:
    """What each request said."""
    return [request.headers.get(name) for request in server.requests]


def policy(*hosts: str, **settings: Any) -> Policy:
    """A policy that tells these hosts."""
    return Policy(deadline_header=DeadlineHeader(hosts=hosts), **settings)


def test_each_attempt_tells_the_whole_milliseconds_that_are_left_at_its_start(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), respond(503))
    backoff = Backoff(base=0.2504)
    client = Client(server, policy=policy("127.0.0.1", backoff=backoff), clock=Frozen(), random=1.0)
    client.conn.request("GET", "/", deadline=2.0)
    assert told(server) == ["2000", "1749", "1248"]


def test_an_outer_deadline_is_what_is_told(server: ScriptedServer) -> None:
    client = Client(server, policy=policy("*"))
    with sleepwalker.deadline(5.0):
        client.conn.request("GET", "/")
    (left,) = told(server)
    assert left is not None
    assert 4000 < int(left) <= 5000


@pytest.mark.parametrize("hosts", [("api.test",), ("https://127.0.0.1",), ("127.0.0.1:1",)])
def test_hosts_that_are_not_named_are_told_nothing(
    server: ScriptedServer, hosts: tuple[str, ...]
) -> None:
    Client(server, policy=policy(*hosts)).conn.request("GET", "/")
    assert told(server) == [None]


def test_nothing_is_told_without_a_header_in_the_policy_or_without_a_deadline(
    server: ScriptedServer,
) -> None:
    Client(server).conn.request("GET", "/")
    Client(server, policy=policy("*", deadline=None)).conn.request("GET", "/")
    assert told(server) == [None, None]


@pytest.mark.parametrize("name", [NAME, NAME.lower(), NAME.encode()])
@pytest.mark.parametrize(("own", "sent"), [("17", "17"), (None, None)])
def test_a_callers_own_header_stays_and_one_that_was_taken_away_stays_away(
    server: ScriptedServer, name: Any, own: str | None, sent: str | None
) -> None:
    client = Client(server, policy=policy("*"))
    client.conn.request("GET", "/", headers={name: own})
    assert told(server) == [sent]


def test_the_name_can_be_another(server: ScriptedServer) -> None:
    header = DeadlineHeader(name="Request-Timeout", hosts=("*",))
    client = Client(server, policy=Policy(deadline_header=header), clock=Frozen())
    client.conn.request("GET", "/", deadline=1.5)
    assert told(server, "Request-Timeout") == ["1500"]
    assert told(server) == [None]


def test_a_redirect_takes_it_to_no_host_that_is_not_named(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer], ca: CertificateAuthority
) -> None:
    here, there = two_tls_hosts
    here.script(redirect(302, f"{there.localhost_url}/"))
    Client(here, ca, policy=policy("127.0.0.1")).conn.request("GET", "/")
    assert [value is not None for value in told(here) + told(there)] == [True, False]


def test_a_redirect_to_a_host_that_is_named_tells_it_alone(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer], ca: CertificateAuthority
) -> None:
    here, there = two_tls_hosts
    here.script(redirect(302, f"{there.localhost_url}/"))
    Client(here, ca, policy=policy("localhost"), auth=ANONYMOUS).conn.request("GET", "/")
    assert [value is not None for value in told(here) + told(there)] == [False, True]


def test_a_digest_replay_tells_what_is_left_then(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    clock = Frozen()
    challenge = RequireDigest("reader", "secret")

    def slow(request: Any) -> Any:
        clock.jump(0.5)
        return challenge(request)

    tls_server.default = slow
    client = Client(
        tls_server,
        ca,
        auth=HTTPDigestAuth("reader", "secret"),
        clock=clock,
        policy=policy("127.0.0.1"),
    )
    client.conn.request("GET", "/", deadline=2.0)
    assert told(tls_server) == ["2000", "1500"]


def test_a_pattern_that_cant_be_understood_is_an_error_before_anything_is_sent(
    server: ScriptedServer,
) -> None:
    client = Client(server, policy=policy("http://user@host/"))
    with pytest.raises(exceptions.ConfigurationError, match="host pattern"):
        client.conn.request("GET", "/")
    assert server.connections == []
