"""The address guard at real sockets: what is checked is connected to, and nothing goes past.

The servers listen on loopback, so that guards have to allow just that address. What a guard refused
is read from the servers: nobody has connected to them.
"""

from __future__ import annotations

import copy
import pickle
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3.util import connection as urllib3_connection

from sleepwalker import (
    ANONYMOUS,
    Breaker,
    CertificateError,
    ConfigurationError,
    ConnectError,
    Connection,
    ConnectionHook,
    ConnectionManager,
    DirectHook,
    EstablishmentError,
    Policy,
    PrivateAddressError,
    RedirectError,
    UnguardedError,
)
from sleepwalker.connection import AddressGuard
from sleepwalker.links import ServiceManager
from sleepwalker.observability import names
from sleepwalker.observability.events import AttemptFinished
from tests.integration.retrying import Client
from tests.resolver import Resolver
from tests.servers import (
    CertificateAuthority,
    ForwardProxy,
    RequireDigest,
    ScriptedServer,
    redirect,
    respond,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

LOOPBACK: Final = "127.0.0.1"
INSIDE: Final = "10.1.2.3"
"""An address that no server of ours has: whoever connects to it waits for long."""


def loopback() -> AddressGuard:
    """A guard that lets through where our servers are, and nothing else that is not global."""
    return AddressGuard(allow=[f"{LOOPBACK}/32"])


class Seen:
    """What a server that others use too has seen since."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._requests, self._connections = len(server.requests), len(server.connections)

    @property
    def targets(self) -> list[str]:
        """The targets of the requests."""
        return [request.target for request in self._server.requests[self._requests :]]

    @property
    def connections(self) -> int:
        """How many have connected."""
        return len(self._server.connections) - self._connections


@pytest.fixture(scope="module")
def names_seen() -> list[str | None]:
    """The names that TLS clients have asked the servers for (SNI)."""
    return []


@pytest.fixture(scope="module")
def servers(
    ca: CertificateAuthority, names_seen: list[str | None]
) -> Iterator[tuple[ScriptedServer, ScriptedServer]]:
    """A server with TLS, whose certificate is for `localhost` and its address, and one without."""

    def asked(_: object, name: str | None, __: object) -> None:
        names_seen.append(name)

    context: ssl.SSLContext = ca.server_context()
    context.sni_callback = asked
    with ExitStack() as running:
        yield (
            running.enter_context(ScriptedServer(tls=context)),
            running.enter_context(ScriptedServer()),
        )


@pytest.fixture
def secure(servers: tuple[ScriptedServer, ScriptedServer]) -> ScriptedServer:
    return servers[0]


@pytest.fixture
def plain(servers: tuple[ScriptedServer, ScriptedServer]) -> ScriptedServer:
    return servers[1]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


# --- what is connected to -----------------------------------------------------------------------


def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(
    secure: ScriptedServer,
    ca: CertificateAuthority,
    resolver: Resolver,
    names_seen: list[str | None],
) -> None:
    resolver.knows("localhost", LOOPBACK, INSIDE)
    seen, before = Seen(secure), len(names_seen)
    client = Client(secure.localhost_url, ca, guard=loopback())

    assert client.conn.request("GET", "/1").status_code == 200
    assert client.conn.request("GET", "/2").status_code == 200

    assert resolver.asked == ["localhost"]
    assert (seen.targets, seen.connections) == (["/1", "/2"], 1)
    assert names_seen[before:] == ["localhost"]
    assert secure.requests[-1].headers["Host"] == f"localhost:{secure.port}"
    assert client.conn.guard is not None


def test_an_answer_that_has_changed_counts_from_the_next_connection_on(
    secure: ScriptedServer, ca: CertificateAuthority, resolver: Resolver
) -> None:
    resolver.knows("localhost", LOOPBACK, INSIDE)
    seen = Seen(secure)
    client = Client(secure.localhost_url, ca, guard=loopback())
    client.conn.request("GET", "/1")
    client.conn.close()

    with pytest.raises(PrivateAddressError, match=f"localhost is at {INSIDE}"):
        client.conn.request("GET", "/2")

    assert resolver.asked == ["localhost", "localhost"]
    assert (seen.targets, seen.connections) == (["/1"], 1)


@pytest.mark.parametrize("answer", [(LOOPBACK, INSIDE), (INSIDE, LOOPBACK), (LOOPBACK, "::1")])
def test_one_refused_address_of_a_name_refuses_the_name(
    answer: tuple[str, ...], plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("mixed.example", answer)
    seen = Seen(plain)

    with pytest.raises(PrivateAddressError, match=r"mixed\.example is at"):
        Client(f"http://mixed.example:{plain.port}", guard=loopback()).conn.request("GET", "/")

    assert seen.connections == 0


def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer(
    plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("two.example", ("127.0.0.9", LOOPBACK))
    seen = Seen(plain)
    guard = AddressGuard(allow=["127.0.0.0/8"])

    Client(f"http://two.example:{plain.port}", guard=guard).conn.request("GET", "/1")

    assert (seen.targets, seen.connections) == (["/1"], 1)


def test_a_certificate_for_another_name_is_refused_as_without_a_guard(
    secure: ScriptedServer, ca: CertificateAuthority, resolver: Resolver
) -> None:
    resolver.knows("other.example", LOOPBACK)
    seen = Seen(secure)

    with pytest.raises(CertificateError, match=r"other\.example"):
        Client(f"https://other.example:{secure.port}", ca, guard=loopback()).conn.request(
            "GET", "/"
        )

    assert (seen.targets, seen.connections) == ([], 1)


def test_a_server_is_reached_by_its_address_too(
    secure: ScriptedServer, ca: CertificateAuthority, names_seen: list[str | None]
) -> None:
    before = len(names_seen)

    assert Client(secure, ca, guard=loopback()).conn.request("GET", "/").status_code == 200

    assert names_seen[before:] == [None]


@pytest.mark.parametrize("elsewhere", ["connects", "pretends"])
def test_what_connects_to_another_address_than_the_checked_one_is_refused(
    elsewhere: str,
    plain: ScriptedServer,
    resolver: Resolver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody's own `create_connection`, as tunnels and debugging tools put there."""
    resolver.knows("here.example", "127.0.0.5")
    seen, opened = Seen(plain), []

    class Pretends(socket.socket):
        def getpeername(self) -> Any:
            raise OSError("unknown")

    def create_connection(_: Any, *__: Any, **___: Any) -> socket.socket:
        made = Pretends() if elsewhere == "pretends" else socket.socket()
        opened.append(made)
        made.connect((LOOPBACK, plain.port))
        return made

    monkeypatch.setattr(urllib3_connection, "create_connection", create_connection)
    guard = AddressGuard(allow=["127.0.0.0/8"])

    with pytest.raises(UnguardedError, match="connected to another"):
        Client(f"http://here.example:{plain.port}", guard=guard).conn.request("GET", "/")

    # Before the next test begins to count.
    plain.wait_for(lambda: seen.connections == 1)
    assert seen.targets == []
    assert [sock.fileno() for sock in opened] == [-1]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("0", "0.0.0.0"),  # noqa: S104 - nobody listens there
        ("[::1]", "::1"),
        ("[::]", "::"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[::127.0.0.1]", "::127.0.0.1"),
        ("[64:ff9b::7f00:1]", "64:ff9b::7f00:1"),
        ("[2002:7f00:1::]", "2002:7f00:1::"),
        ("169.254.169.254", "169.254.169.254"),
        ("[::ffff:169.254.169.254]", "::ffff:169.254.169.254"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
        ("168.63.129.16", "168.63.129.16"),
    ],
)
def test_no_spelling_of_an_address_gets_past_the_guard(
    host: str, address: str, plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("localhost", LOOPBACK)
    seen = Seen(plain)

    with pytest.raises(PrivateAddressError) as caught:
        Client(f"http://{host}:{plain.port}", guard=AddressGuard()).conn.request("GET", "/")

    assert f"{address}, which is not global unicast" in str(caught.value)
    assert seen.connections == 0


def test_a_name_that_can_be_none_is_the_same_error_with_a_guard_and_without() -> None:
    told = []
    for guard in (None, AddressGuard()):
        with pytest.raises(ConnectError) as caught:
            Client(f"https://{'a' * 64}.example", guard=guard).conn.request("GET", "/")
        told.append(caught.value.message)

    assert told[0] == told[1]


# --- what is told of a refusal ------------------------------------------------------------------


def test_a_refusal_is_told_and_never_sent_again(plain: ScriptedServer, resolver: Resolver) -> None:
    resolver.knows("inside.example", INSIDE)
    url = f"http://inside.example:{plain.port}"
    client = Client(url, guard=AddressGuard())

    with pytest.raises(PrivateAddressError) as caught:
        client.conn.request("POST", "/orders?token=abcdefgh", json={})

    error = caught.value
    assert error.message == (
        f"POST {url}/orders?token=REDACTED: inside.example is at {INSIDE}, which is not global "
        "unicast (private use, RFC 1918): the address guard refuses it; "
        f"if it is meant, say AddressGuard(allow=['{INSIDE}'])"
    )
    assert (error.attempts, error.outcome_unknown) == (1, False)
    assert error.request.url == f"{url}/orders?token=REDACTED"
    assert (client.slept, client.retries, client.outcomes) == ([], {}, {"refused": 1})
    labels = {"host": url, "auth": "none", "method": "POST", "code": "none"}
    counted = client.registry.get_sample_value(
        names.ATTEMPTS, {**labels, "error_type": "private_address"}
    )
    assert counted == 1
    spans = [*client.wire_spans, *client.call_spans]
    told = [dict(span.attributes or {}).get("error.type") for span in spans]
    assert told == ["private_address", "private_address"]


def test_a_refusal_says_nothing_of_the_hosts_health(
    plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("host.example", INSIDE)
    policy = Policy(breaker=Breaker(calls=1))
    client = Client(f"http://host.example:{plain.port}", guard=loopback(), policy=policy)
    for _ in range(3):
        with pytest.raises(PrivateAddressError):
            client.conn.request("GET", "/")

    resolver.knows("host.example", LOOPBACK)

    assert client.conn.request("GET", "/").status_code == 200


def test_a_refused_probe_leaves_an_open_circuit_to_the_next_one(
    plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("host.example", LOOPBACK)
    policy = Policy(attempts=1, breaker=Breaker(calls=1))
    client = Client(f"http://host.example:{plain.port}", guard=loopback(), policy=policy)
    plain.script(respond(503))
    client.conn.request("GET", "/", raise_for_status=False)
    client.conn.close()
    client.clock.jump(30)

    resolver.knows("host.example", INSIDE)
    with pytest.raises(PrivateAddressError):
        client.conn.request("GET", "/")
    resolver.knows("host.example", LOOPBACK)

    assert client.conn.request("GET", "/").status_code == 200


def test_a_hook_whose_login_the_guard_refuses_is_not_asked_again(
    plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("login.example", INSIDE)
    asked = []

    class LogsIn(ConnectionHook):
        def connect(self, host: Any, auth: Any) -> Connection:
            asked.append(host)
            conn = Connection(host, auth, guard=AddressGuard())
            conn.request("POST", "/login")
            return conn

    with (
        ConnectionManager(hooks=[LogsIn()]) as manager,
        pytest.raises(EstablishmentError) as caught,
    ):
        manager.find(f"http://login.example:{plain.port}", ANONYMOUS)

    assert len(asked) == 1
    assert isinstance(caught.value.__cause__, PrivateAddressError)


# --- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [INSIDE, "inside.example", "2130706434", "169.254.169.254"])
def test_a_redirect_inside_is_refused_as_every_redirect_that_must_not_be_followed(
    host: str, plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("inside.example", INSIDE)
    seen = Seen(plain)
    plain.script(redirect(302, f"http://{host}/latest?token=abcdefgh"))
    client = Client(plain, guard=loopback())

    with pytest.raises(RedirectError) as caught:
        client.conn.request("GET", "/1")

    error = caught.value
    assert error.message.startswith(f"GET http://{host}/latest?token=REDACTED: ")
    assert error.message.endswith("]); it was redirected there")
    assert isinstance(error.__cause__, PrivateAddressError)
    assert (error.attempts, error.response.status_code) == (2, 302)
    assert (client.slept, client.outcomes) == ([], {"error": 1})
    assert seen.targets == ["/1"]
    assert [event.error_type for event in client.told.all(AttemptFinished)] == [
        "none",
        "private_address",
    ]
    assert error.error_type == "redirect"


def test_a_redirect_to_where_the_guard_lets_through_is_followed(
    plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("there.example", LOOPBACK, INSIDE)
    seen = Seen(plain)
    plain.script(redirect(302, f"http://there.example:{plain.port}/2"))

    Client(plain, guard=loopback()).conn.request("GET", "/1")

    assert seen.targets == ["/1", "/2"]
    assert resolver.asked == ["there.example"]


def test_a_secret_that_a_redirect_tells_back_is_not_in_the_refusal(
    secure: ScriptedServer, ca: CertificateAuthority, resolver: Resolver
) -> None:
    password = "hunter-of-lions"
    resolver.knows(f"{password}.example", INSIDE)
    secure.script(redirect(302, f"https://{password}.example/"))
    target = {"https://*.example": ANONYMOUS}
    client = Client(secure, ca, auth=("reader", password), guard=loopback(), credentials=target)

    with pytest.raises(RedirectError) as caught:
        client.conn.request("GET", "/")

    assert password not in f"{caught.value} {caught.value.__cause__}"


# --- what would go past it ----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["environment", "session"])
def test_a_proxy_is_refused_and_sees_nothing(
    how: str, plain: ScriptedServer, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(plain)
    client = Client(plain, guard=loopback())
    if how == "environment":
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
    else:
        client.conn.session.proxies["http"] = proxy.url

    with pytest.raises(UnguardedError, match=r"POST .*/orders: a proxy .*NO_PROXY") as caught:
        client.conn.request("POST", "/orders", json={})

    assert (caught.value.outcome_unknown, caught.value.error_type) == (False, "unguarded")
    assert (client.slept, client.outcomes) == ([], {"refused": 1})
    assert (proxy.connections, seen.connections) == ([], 0)
    if how == "environment":
        monkeypatch.setenv("NO_PROXY", LOOPBACK)
        assert client.conn.request("GET", "/").status_code == 200


def test_a_proxy_of_one_request_past_the_connection_is_refused_too(
    plain: ScriptedServer, proxy: ForwardProxy
) -> None:
    client = Client(plain, guard=loopback())

    with pytest.raises(UnguardedError):
        client.conn.session.get(plain.url, proxies={"http": proxy.url}, timeout=5)

    assert proxy.connections == []


def test_a_proxy_for_where_a_redirect_leads_is_refused_as_a_redirect(
    plain: ScriptedServer, proxy: ForwardProxy, resolver: Resolver
) -> None:
    resolver.knows("there.example", LOOPBACK)
    client = Client(plain, guard=loopback())
    client.conn.session.proxies["http://there.example"] = proxy.url
    plain.script(redirect(302, f"http://there.example:{plain.port}/2"))

    with pytest.raises(RedirectError, match="a proxy would connect") as caught:
        client.conn.request("GET", "/1")

    assert isinstance(caught.value.__cause__, UnguardedError)
    assert proxy.connections == []


@pytest.mark.parametrize("prefix", ["http://", f"http://{LOOPBACK}"])
def test_a_mounted_adapter_is_refused(prefix: str, plain: ScriptedServer) -> None:
    seen = Seen(plain)
    client = Client(plain, guard=loopback(), policy=Policy(breaker=Breaker(calls=1)))
    client.conn.session.mount(prefix, HTTPAdapter())

    for _ in range(2):
        with pytest.raises(UnguardedError, match="mounted") as caught:
            client.conn.request("POST", "/orders", json={})

        assert not caught.value.outcome_unknown

    assert seen.connections == 0


def test_an_adapter_mounted_for_where_a_redirect_leads_is_refused_too(
    plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("there.example", LOOPBACK)
    seen = Seen(plain)
    client = Client(plain, guard=loopback())
    client.conn.session.mount("http://there.example", HTTPAdapter())
    plain.script(redirect(302, f"http://there.example:{plain.port}/2"))

    with pytest.raises(RedirectError, match="mounted"):
        client.conn.request("GET", "/1")

    assert seen.targets == ["/1"]


@pytest.mark.parametrize("timeout", [None, 5])
def test_who_uses_the_session_past_the_connection_is_guarded_as_well(
    timeout: float | None, plain: ScriptedServer, resolver: Resolver
) -> None:
    resolver.knows("inside.example", INSIDE)
    seen = Seen(plain)
    session = Client(plain, guard=loopback()).conn.session
    assert session.get(f"{plain.url}/1", timeout=timeout).status_code == 200

    plain.script(redirect(302, f"http://inside.example:{plain.port}/3"))
    with pytest.raises(PrivateAddressError):
        session.get(f"{plain.url}/2", timeout=timeout)

    assert seen.targets == ["/1", "/2"]


def pickled(session: Any) -> Any:
    return pickle.loads(pickle.dumps(session))  # noqa: S301 - our own


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_of_the_session_is_guarded_as_well(
    copied: Callable[[Any], Any], plain: ScriptedServer
) -> None:
    session = copied(Client(plain, guard=loopback()).conn.session)

    with session:
        assert session.get(plain.url, timeout=5).status_code == 200
        with pytest.raises(PrivateAddressError):
            session.get(f"http://{INSIDE}", timeout=5)


def test_a_digest_replay_goes_under_the_guard(plain: ScriptedServer, resolver: Resolver) -> None:
    resolver.knows("digest.example", LOOPBACK, INSIDE)
    digest = RequireDigest("reader", "pw", then=respond(204))
    plain.script(digest, digest)
    url = f"http://digest.example:{plain.port}"

    client = Client(url, auth=HTTPDigestAuth("reader", "pw"), guard=loopback())

    assert client.conn.request("GET", "/").status_code == 204
    assert resolver.asked == ["digest.example"]


# --- services -----------------------------------------------------------------------------------


class OnlyJson:
    """A connection that is none of ours."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def json_request(self, *args: Any) -> Any:
        self.asked.append(args)
        return {}


def test_services_of_their_own_connections_are_guarded(plain: ScriptedServer) -> None:
    seen = Seen(plain)
    with ServiceManager(guard=True) as services, pytest.raises(PrivateAddressError):
        services.get(f"{plain.url}/1", ANONYMOUS)
    with ServiceManager(guard=loopback()) as services:
        assert services.get(f"{plain.url}/2", ANONYMOUS).status == 200

    assert seen.targets == ["/2"]


def test_a_hook_that_makes_connections_without_a_guard_is_refused(plain: ScriptedServer) -> None:
    seen = Seen(plain)
    with ConnectionManager(hooks=[DirectHook()]) as connections:
        services = ServiceManager(connections, guard=loopback())

        with pytest.raises(UnguardedError, match=r"DirectHook\(guard=\.\.\.\)"):
            services.get(plain.url, ANONYMOUS)

    assert seen.connections == 0


def test_a_connection_that_is_none_of_ours_is_refused_where_a_guard_is_wanted() -> None:
    given = OnlyJson()
    with ConnectionManager() as connections:
        connections.add("vault", ANONYMOUS, given)
        services = ServiceManager(connections, guard=True)

        with pytest.raises(UnguardedError):
            services.service("vault", ANONYMOUS).get("/")

    assert given.asked == []


@pytest.mark.parametrize("guard", ["yes", 1, AddressGuard])
def test_the_guard_of_services_is_one_or_a_yes_or_no(guard: Any) -> None:
    with pytest.raises(ConfigurationError, match="guard must be an AddressGuard"):
        ServiceManager(guard=guard)


def test_a_hook_that_makes_guarded_connections_will_do(plain: ScriptedServer) -> None:
    hook = DirectHook(guard=loopback())
    with ConnectionManager(hooks=[hook]) as connections:
        services = ServiceManager(connections, guard=True)

        assert services.get(plain.url, ANONYMOUS).status == 200
