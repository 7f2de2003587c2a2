"""Rules, and where a `FaultAdapter` stands: which requests get which fault, and what is counted."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter

from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook, Policy, exceptions
from sleepwalker.exceptions import ConfigurationError
from sleepwalker.testing import (
    FakeClock,
    Fault,
    FaultAdapter,
    RecordingObserver,
    SentRequest,
    faults,
    no_wait,
)
from tests.integration.retrying import Client, lines
from tests.servers import (
    CertificateAuthority,
    MakeServer,
    ScriptedServer,
    refused_port,
    respond,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ONCE = Policy(attempts=1, quota=None, breaker=None, limit=None)
GOOD = Fault.status(200, json="good")


def mounted(*hosts: str, **options: Any) -> tuple[FaultAdapter, list[Client]]:
    """Give an adapter that answers by itself, mounted on connections that try once."""
    adapter = FaultAdapter(answer=GOOD, **options)
    clients = [Client(host, policy=ONCE) for host in hosts or ["https://books.example"]]
    for client in clients:
        adapter.mount_on(client.conn)
    return adapter, clients


def status(client: Client, method: str = "GET", uri: str = "/books") -> int:
    """Give the status of one answer."""
    return client.conn.request(method, uri, raise_for_status=False).status_code


# --- rules ----------------------------------------------------------------------------------------


def test_the_next_requests_fail_and_no_more() -> None:
    adapter, [client] = mounted()
    adapter.fail_next(2, Fault.status(503))

    assert [status(client) for _ in range(4)] == [503, 503, 200, 200]


def test_rules_are_asked_in_the_order_in_which_they_were_made() -> None:
    adapter, [client] = mounted()
    adapter.fail_next(1, Fault.status(503))
    adapter.fail_next(2, Fault.status(502))
    adapter.fail_at(1.0, Fault.status(500))

    assert [status(client) for _ in range(5)] == [503, 502, 502, 500, 500]


@pytest.mark.parametrize(
    ("rule", "failing"),
    [
        ({"method": "POST"}, ["POST /books"]),
        ({"method": "post"}, ["POST /books"]),
        ({"method": ["POST", "PUT"]}, ["POST /books", "PUT /books/1"]),
        ({"path": "/books/*"}, ["GET /books/1", "PUT /books/1", "GET /books/2?page=/books"]),
        ({"path": "/books"}, ["GET /books", "POST /books"]),
        ({"path": "*2"}, ["GET /books/2?page=/books"]),
        ({"method": "GET", "path": "*/1"}, ["GET /books/1"]),
        ({"host": "other.example"}, []),
    ],
)
def test_a_rule_is_for_the_requests_that_it_names(rule: dict[str, Any], failing: list[str]) -> None:
    adapter, [client] = mounted()
    adapter.fail_at(1.0, Fault.status(503), **rule)

    sent = [
        ("GET", "/books"),
        ("GET", "/books/1"),
        ("POST", "/books"),
        ("PUT", "/books/1"),
        ("GET", "/books/2?page=/books"),
    ]
    failed = [" ".join(line) for line in sent if status(client, *line) == 503]

    assert failed == failing


@pytest.mark.parametrize(
    ("pattern", "failing"),
    [
        ("*", [0, 1, 2, 3]),
        ("books.example", [0, 1]),
        ("books.example:8443", [1]),
        ("https://books.example", [0]),
        ("*.example", [0, 1, 2]),
        ("http://*", [2, 3]),
        ("[::1]", [3]),
    ],
)
def test_a_rule_is_for_the_hosts_that_its_pattern_names(pattern: str, failing: list[int]) -> None:
    adapter, clients = mounted(
        "https://books.example",
        "https://books.example:8443",
        "http://films.example",
        "http://[::1]:8080",
    )
    adapter.fail_at(1.0, Fault.status(503), host=pattern)

    assert [n for n, client in enumerate(clients) if status(client) == 503] == failing


def test_what_a_rule_is_not_for_uses_nothing_of_it() -> None:
    adapter, [client] = mounted()
    adapter.fail_next(1, Fault.status(503), method="POST")

    assert [status(client) for _ in range(3)] == [200, 200, 200]
    assert status(client, "POST") == 503


def drawn(seed: int, rate: float = 0.3, between: int = 0) -> list[int]:
    adapter, [client] = mounted()
    adapter.fail_at(rate, Fault.status(503), seed=seed, method="GET")
    found = []
    for _ in range(60):
        found.append(status(client))
        for _ in range(between):
            status(client, "PUT")
    return found


def test_chance_is_the_same_for_the_same_seed_whatever_else_is_sent() -> None:
    first = drawn(7)

    assert drawn(7) == drawn(7, between=1) == first
    assert drawn(8) != first
    assert 5 < first.count(503) < 35


def test_a_rate_of_none_and_of_all() -> None:
    assert set(drawn(7, 0.0)) == {200}
    assert set(drawn(7, 1)) == {503}


def test_rules_can_be_forgotten_and_what_was_done_is_kept() -> None:
    adapter, [client] = mounted()
    adapter.fail_next(5, Fault.status(503))
    adapter.fail_at(1.0, Fault.status(500))
    status(client)
    adapter.clear()

    assert (status(client), adapter.pending) == (200, 0)
    assert (len(adapter.requests), len(adapter.injected)) == (2, 1)


def test_each_wire_attempt_is_one_request() -> None:
    client = Client("https://books.example", random=1.0)
    adapter = FaultAdapter(answer=GOOD)
    adapter.mount_on(client.conn)
    adapter.fail_next(2, Fault.refused())

    assert client.conn.json_request("POST", "/books", {}) == "good"
    assert [sent.fault for sent in adapter.requests] == [Fault.refused(), Fault.refused(), None]
    assert client.wire_attempts == 3
    assert client.slept == [0.05, 0.1]


def test_what_was_sent_can_be_looked_at() -> None:
    adapter, [client] = mounted()
    adapter.fail_next(1, Fault.status(503))
    for page in (1, 2):
        client.conn.request(
            "PUT", "/books", params={"page": page}, json=page, raise_for_status=False
        )

    first, second = adapter.requests
    assert isinstance(first, SentRequest)
    assert adapter.injected == (first,)
    assert (first.request.method, first.request.url) == (
        "PUT",
        "https://books.example/books?page=1",
    )
    assert (second.request.body, second.fault) == (b"2", None)


def test_its_repr_tells_what_it_did_and_what_is_to_come() -> None:
    adapter, [client] = mounted()
    adapter.fail_next(3, Fault.status(503))
    status(client)

    assert repr(adapter) == "<FaultAdapter 1 requests, 1 injected, 2 pending>"


def test_threads_share_one_plan_exactly() -> None:
    adapter, clients = mounted(*[f"https://books{n}.example" for n in range(8)])
    adapter.fail_next(50, Fault.status(503))
    found: Counter[int] = Counter()
    lock = threading.Lock()

    def work(client: Client) -> None:
        mine = Counter(status(client) for _ in range(15))
        with lock:
            found.update(mine)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {503: 50, 200: 70}
    assert (len(adapter.requests), len(adapter.injected), adapter.pending) == (120, 50, 0)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda adapter: adapter.fail_next(0, GOOD),
        lambda adapter: adapter.fail_next(-1, GOOD),
        lambda adapter: adapter.fail_next(True, GOOD),  # noqa: FBT003 - it is no number
        lambda adapter: adapter.fail_next(1.0, GOOD),
        lambda adapter: adapter.fail_next(1, 503),
        lambda adapter: adapter.fail_next(1, Fault.reset),
        lambda adapter: adapter.fail_next(1, GOOD, host=""),
        lambda adapter: adapter.fail_next(1, GOOD, host=None),
        lambda adapter: adapter.fail_next(1, GOOD, host="https://books.example/books"),
        lambda adapter: adapter.fail_next(1, GOOD, method="G T"),
        lambda adapter: adapter.fail_next(1, GOOD, method=[]),
        lambda adapter: adapter.fail_next(1, GOOD, method=7),
        lambda adapter: adapter.fail_next(1, GOOD, path="books"),
        lambda adapter: adapter.fail_next(1, GOOD, path=None),
        lambda adapter: adapter.fail_at(1.1, GOOD),
        lambda adapter: adapter.fail_at(-0.1, GOOD),
        lambda adapter: adapter.fail_at(float("nan"), GOOD),
        lambda adapter: adapter.fail_at("1", GOOD),
        lambda adapter: adapter.fail_at(True, GOOD),  # noqa: FBT003 - it is no number
        lambda adapter: adapter.fail_at(0.5, None),
        lambda adapter: adapter.fail_at(0.5, GOOD, seed=None),
        lambda adapter: adapter.mount_on("https://books.example"),
        lambda _: FaultAdapter(answer=Fault.reset()),
        lambda _: FaultAdapter(answer=200),  # type: ignore[arg-type]
        lambda _: FaultAdapter(wraps="https://"),  # type: ignore[arg-type]
        lambda _: FaultAdapter(clock=FakeClock),  # type: ignore[arg-type]
        lambda _: faults(answer=Fault.reset()).__enter__(),
    ],
)
def test_what_can_be_no_rule_is_an_error_at_once_and_leaves_nothing(
    misuse: Callable[[Any], Any],
) -> None:
    adapter, [client] = mounted()

    with pytest.raises(ConfigurationError):
        misuse(adapter)
    assert (status(client), adapter.pending) == (200, 0)


# --- where it stands ------------------------------------------------------------------------------


def test_mounted_by_hand_it_sends_as_a_connection_does(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    client = Client(tls_server, ca, random=1.0)
    adapter = FaultAdapter()
    client.conn.session.mount("https://", adapter)
    adapter.fail_next(1, Fault.reset())

    client.conn.request("GET", "/books")

    assert lines(tls_server) == ["GET /books"]
    assert client.slept == [0.05]


def test_what_our_sockets_know_is_known_behind_it_too() -> None:
    with refused_port() as port:
        client = Client(f"http://127.0.0.1:{port}")
        FaultAdapter().mount_on(client.conn)
        with pytest.raises(exceptions.ConnectError) as caught:
            client.conn.request("POST", "/books")

    assert caught.value.attempts == 3
    assert client.retries == {"connect": 2}


def test_it_stands_before_whatever_is_mounted_and_only_once(server: ScriptedServer) -> None:
    class Marking(HTTPAdapter):
        def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
            request.headers["X-Mark"] = "here"

    client = Client(server)
    client.conn.session.mount(server.url, Marking())
    adapter = FaultAdapter()
    adapter.mount_on(client.conn)
    adapter.mount_on(client.conn)
    adapter.fail_next(1, Fault.status(503))

    client.conn.request("GET", "/books")

    assert [request.headers["X-Mark"] for request in server.requests] == ["here"]
    assert len(adapter.requests) == 2


def test_a_session_of_requests_takes_it_too(server: ScriptedServer) -> None:
    adapter = FaultAdapter(clock=FakeClock())
    with requests.Session() as session:
        adapter.mount_on(session)
        adapter.fail_next(1, Fault.read_timeout())
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{server.url}/books", timeout=60.0)
        assert session.get(f"{server.url}/books", timeout=5.0).status_code == 200
    assert server.count() == 1


def test_a_fault_that_never_ends_needs_a_timeout() -> None:
    adapter = FaultAdapter(clock=FakeClock())
    with requests.Session() as session:
        adapter.mount_on(session)
        adapter.fail_next(1, Fault.read_timeout())
        with pytest.raises(ConfigurationError, match="needs a timeout"):
            session.get("https://books.example/books")


def test_closing_a_connection_closes_the_adapter_beneath(server: ScriptedServer) -> None:
    client = Client(server)
    FaultAdapter().mount_on(client.conn)
    client.conn.request("GET", "/books")
    client.conn.close()

    server.wait_for(lambda: [record.closed_by for record in server.connections] == ["client"])


def test_sockets_that_were_idle_for_long_are_closed_beneath_it(server: ScriptedServer) -> None:
    with no_wait() as clock:
        client = Client(server, clock=clock)
        FaultAdapter().mount_on(client.conn)
        client.conn.request("GET", "/books")
        clock.advance(31.0)
        client.conn.session.drop_stale()
        server.wait_for(lambda: [record.closed_by for record in server.connections] == ["client"])


def test_another_origin_gets_no_client_certificate_through_it(
    ca: CertificateAuthority, make_server: MakeServer
) -> None:
    here = make_server(tls=ca.server_context(require_client_cert=True))
    there = make_server(tls=ca.server_context())
    here.default = respond(302, {"Location": f"{there.url}/there"})
    context = ca.client_context(ca.client_certificate())
    client = Client(here, ssl_context=context)
    adapter = FaultAdapter()
    adapter.mount_on(client.conn)

    client.conn.request("GET", "/here")

    assert [request.client_name for request in here.requests] == ["client"]
    assert [request.client_name for request in there.requests] == [None]
    assert len(adapter.requests) == 2


# --- before every connection ----------------------------------------------------------------------


def test_inside_faults_every_connection_of_a_manager_is_reached() -> None:
    observer = RecordingObserver()
    options: dict[str, Any] = {"registry": False, "tracer_provider": False, "logger": False}
    with ConnectionManager(hooks=[DirectHook()], observers=[observer], **options) as manager:
        early = manager.find("https://books.example", ANONYMOUS)
        with no_wait(), faults(answer=GOOD) as adapter:
            late = manager.find("https://films.example", ANONYMOUS)
            adapter.fail_next(1, Fault.refused(), host="books.example")
            adapter.fail_next(1, Fault.closed(), host="films.example")

            assert early.json_request("POST", "/", {}) == "good"
            with pytest.raises(exceptions.ProtocolError):
                late.json_request("POST", "/", {})

        assert adapter.pending == 0
        assert [sent.fault for sent in adapter.requests] == [Fault.refused(), None, Fault.closed()]


def test_after_the_block_nothing_is_left_of_it(server: ScriptedServer) -> None:
    client = Client(server)
    with faults() as adapter:
        adapter.fail_next(1, Fault.status(404))
        with pytest.raises(exceptions.HTTPNotFound):
            client.conn.request("GET", "/books")
        adapter.fail_at(1.0, Fault.status(404))
    client.conn.request("GET", "/books")

    assert (server.count(), len(adapter.requests)) == (1, 1)


def test_an_error_in_the_block_ends_it_too(server: ScriptedServer) -> None:
    with pytest.raises(KeyError), faults(answer=Fault.status(404)):
        raise KeyError
    Client(server).conn.request("GET", "/books")

    assert server.count() == 1


def test_blocks_nest_and_the_inner_one_is_asked_first(server: ScriptedServer) -> None:
    client = Client(server, policy=ONCE)
    with faults() as outer, faults() as inner:
        outer.fail_next(1, Fault.status(503))
        inner.fail_next(1, Fault.status(502))
        found = [status(client) for _ in range(3)]

    assert found == [502, 503, 200]
    assert (len(outer.requests), len(inner.requests)) == (2, 3)


def test_connections_on_which_the_adapter_is_mounted_too_ask_it_once(
    server: ScriptedServer,
) -> None:
    client = Client(server)
    with faults() as adapter:
        adapter.mount_on(client.conn)
        client.conn.request("GET", "/books")

    assert len(adapter.requests) == 1


def test_redirects_to_other_origins_are_reached(make_server: MakeServer) -> None:
    there = make_server()
    here = make_server(respond(302, {"Location": f"{there.url}/there"}))
    with faults() as adapter:
        adapter.fail_next(1, Fault.refused(), path="/there")
        Client(here).conn.request("GET", "/here")

    assert [sent.fault for sent in adapter.requests] == [None, Fault.refused(), None]
    assert lines(there) == ["GET /there"]


# --- beside mocks ---------------------------------------------------------------------------------


@responses.activate
def test_beside_responses_faults_come_first_and_the_mock_answers_the_rest() -> None:
    mock = responses.post("https://books.example/books", json={"number": 1}, status=201)
    client = Client("https://books.example")
    with faults() as adapter:
        adapter.fail_next(2, Fault.refused())
        answer = client.conn.json_request("POST", "/books", {})

    assert answer == {"number": 1}
    assert (mock.call_count, len(adapter.injected)) == (1, 2)


@responses.activate
@pytest.mark.parametrize("body", ['{"title": "Solaris"}', ""])
def test_a_mocks_answer_can_be_lost_or_late(body: str) -> None:
    mock = responses.get("https://books.example/books", body=body, headers={"X-Shelf": "7"})
    clock = FakeClock()
    client = Client("https://books.example", clock=clock)
    with faults() as adapter:
        adapter.fail_next(1, Fault.truncated(processed=True))
        adapter.fail_next(1, Fault.reset(processed=True))
        adapter.fail_next(1, Fault.stall(2.0))
        response = client.conn.request("GET", "/books")

    assert (response.text, response.headers["X-Shelf"]) == (body, "7")
    assert (mock.call_count, clock.monotonic()) == (3, 2.0)
    assert client.retries == {"protocol": 2}
    assert client.wire_attempts == 3
