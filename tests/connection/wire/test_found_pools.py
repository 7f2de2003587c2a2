"""The pool that an adapter keeps: always the one that urllib3 would find, and nobody else's."""

from __future__ import annotations

import itertools
import ssl
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from sleepwalker import ANONYMOUS, Connection
from sleepwalker.connection._wire import Adapter, TLSPool
from sleepwalker.connection._wire._adapter import POOL_SIZE, Found
from sleepwalker.exceptions import TLSError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import CertificateAuthority, MakeServer, ScriptedServer

A: Final = "https://a.example.com/x?y=1"
B: Final = "https://b.example.com/x"
PROXIES: Final = {"https": "http://proxy.example.com:3128"}


@pytest.fixture
def adapter() -> Iterator[Adapter]:
    made = Adapter()
    yield made
    made.close()


def asked(adapter: HTTPAdapter, url: str, *given: Any) -> Any:
    """Give the pool for a request; what may be given is `verify`, `proxies` and `cert`."""
    request = requests.Request("GET", url).prepare()
    return adapter.get_connection_with_tls_context(request, *(given or (True,)))


def of_urllib3(adapter: Adapter, url: str, *given: Any) -> Any:
    """Give the pool that there is for a request without what is kept."""
    request = requests.Request("GET", url).prepare()
    return HTTPAdapter.get_connection_with_tls_context(adapter, request, *(given or (True,)))


def test_whatever_was_asked_for_before_it_is_the_pool_of_urllib3(adapter: Adapter) -> None:
    asks: tuple[tuple[Any, ...], ...] = (
        *((A,), (B,), (A, False), (A, 0), (A, 1), (A, None), (A, "/bundle.pem")),
        *((A, "/other.pem"), (A, True, PROXIES), (A, True, {}), (A, True, None, "/cert.pem")),
        *((A, True, None, ("/cert.pem", "/key.pem")), ("https://a.example.com:443/",)),
        *(("http://a.example.com/",), ("https://A.example.com/",), ("https://a.example.com:8/",)),
    )
    for one, other in itertools.product(asks, repeat=2):
        for ask in (one, one, other, one):
            assert asked(adapter, *ask) is of_urllib3(adapter, *ask), (one, other)


def test_a_pool_is_looked_for_once_as_long_as_the_same_is_asked_for(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    original = Adapter.build_connection_pool_key_attributes

    def build(self: Adapter, request: Any, *args: Any) -> Any:
        looked.append(request.url)
        return original(self, request, *args)

    monkeypatch.setattr(Adapter, "build_connection_pool_key_attributes", build)
    for url in (A, A, A + "&z", B, B, A, A):
        asked(adapter, url)

    assert looked == [A, B, A]


def test_a_closed_adapter_has_a_new_pool(adapter: Adapter) -> None:
    before = asked(adapter, A)
    adapter.close()

    after = asked(adapter, A)

    assert before.pool is None
    assert after.pool is not None
    assert after is of_urllib3(adapter, A)


def test_a_closed_pool_is_not_given_again_when_its_manager_has_forgotten_it(
    adapter: Adapter,
) -> None:
    before = asked(adapter, A)
    adapter.poolmanager.clear()

    after = asked(adapter, A)

    assert after is not before
    assert after is of_urllib3(adapter, A)


def test_a_pool_that_was_evicted_is_made_anew(adapter: Adapter) -> None:
    before = asked(adapter, A)
    for number in range(10):
        asked(adapter, f"https://{number}.example.com/")

    after = asked(adapter, A)

    assert after is not before
    assert after is of_urllib3(adapter, A)


def another_manager(adapter: Adapter) -> None:
    adapter.init_poolmanager(10, POOL_SIZE)


def a_manager_of_ones_own(adapter: Adapter) -> None:
    adapter.poolmanager = type("Own", (urllib3.PoolManager,), {})()


def settings(adapter: Adapter) -> None:
    adapter.poolmanager.connection_pool_kw["assert_hostname"] = "other.example.com"


@pytest.mark.parametrize("change", [another_manager, a_manager_of_ones_own, settings])
def test_a_manager_that_was_changed_later_counts(adapter: Adapter, change: Any) -> None:
    before = asked(adapter, A)
    change(adapter)
    adapter.poolmanager.connection_from_url(B)

    after = asked(adapter, A)

    assert after is not before
    assert after is of_urllib3(adapter, A)


def test_a_manager_of_ones_own_is_asked_each_time(adapter: Adapter) -> None:
    asked_for: list[str] = []

    class Own(urllib3.PoolManager):
        def connection_from_host(self, host: Any, *args: Any, **kwargs: Any) -> Any:
            asked_for.append(host)
            return super().connection_from_host(host, *args, **kwargs)

    adapter.poolmanager = Own()
    adapter.poolmanager.pool_classes_by_scheme = {"https": TLSPool}
    for _ in range(2):
        asked(adapter, A)

    assert asked_for == ["a.example.com"] * 2


def test_a_pool_that_somebody_has_closed_is_not_what_a_manager_would_give(
    adapter: Adapter,
) -> None:
    pool, manager = asked(adapter, A), adapter.poolmanager
    found = Found(A, (), manager, dict(manager.connection_pool_kw), pool)
    assert found.is_what_it_has(manager, A, ())

    pool.close()

    assert not found.is_what_it_has(manager, A, ())


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (HTTPAdapter, "get_connection_with_tls_context"),
        (HTTPAdapter, "build_connection_pool_key_attributes"),
        (urllib3.PoolManager, "connection_from_host"),
        (urllib3.PoolManager, "connection_from_context"),
        (urllib3.PoolManager, "connection_from_pool_key"),
    ],
)
def test_who_patches_what_finds_pools_is_called_until_it_is_put_back(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    called: list[str] = []
    original = getattr(owner, name)

    def patched(*args: Any, **kwargs: Any) -> Any:
        called.append(name)
        return original(*args, **kwargs)

    asked(adapter, A)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, patched)
        asked(adapter, A)
    asked(adapter, A)

    assert called == [name]


def test_who_patches_what_names_a_target_is_called(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requests.Request("GET", A).prepare()
    monkeypatch.setattr(HTTPAdapter, "request_url", lambda *_: "/patched")

    assert adapter.request_url(request, {}) == "/patched"


@pytest.mark.parametrize("path", ["", "/", "//x", "///x//y", "/x?y=//z", "/%2F", "/x#y", "?y"])
def test_a_target_is_that_of_requests(adapter: Adapter, path: str) -> None:
    request = requests.Request("GET", A).prepare()
    request.url = "https://a.example.com" + path

    for proxies in ({}, None, PROXIES, {"no": "x"}):
        assert adapter.request_url(request, proxies) == HTTPAdapter().request_url(request, proxies)


# Threads


class Interrupting(str):
    """A path; while it is compared, somebody else comes first."""

    __slots__ = ("meanwhile",)

    meanwhile: list[Callable[[], object]]

    def __eq__(self, other: object) -> bool:
        for each in [self.meanwhile.pop() for _ in getattr(self, "meanwhile", ())]:
            each()
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_nobody_is_given_the_pool_that_another_has_asked_for_meanwhile(adapter: Adapter) -> None:
    path = Interrupting("/bundle.pem")
    expected = asked(adapter, A, path)
    path.meanwhile = [lambda: asked(adapter, B)]

    found = asked(adapter, A, Interrupting("/bundle.pem"))

    assert path.meanwhile == []
    assert (found.host, found) == ("a.example.com", expected)


def test_threads_that_alternate_have_each_their_own(adapter: Adapter) -> None:
    wrong: list[str] = []
    begin = threading.Barrier(4)

    def ask(name: str) -> None:
        begin.wait()
        for _ in range(300):
            found = asked(adapter, f"https://{name}.example.com/").host
            if found != f"{name}.example.com":
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abab"]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert wrong == []


# On the wire


def test_verification_that_is_changed_later_counts_at_the_next_request(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    with Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        conn.session.verify = True
        with pytest.raises(TLSError):
            conn.request("GET", "/")
        conn.session.verify = False
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            conn.request("GET", "/")
        conn.session.verify = True
        with pytest.raises(TLSError):
            conn.request("GET", "/")
        conn.session.verify = str(ca.bundle)
        conn.request("GET", "/")

    assert tls_server.count() == 3


def test_a_certificate_of_ones_own_that_is_given_later_is_shown(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    context = ca.server_context()
    context.load_verify_locations(ca.bundle)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = make_server(tls=context)
    with Connection(server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        conn.session.cert = ca.client_certificate("late")
        conn.request("GET", "/")
        conn.session.cert = None
        conn.request("GET", "/")

    assert [request.client_name for request in server.requests] == [None, "late", None]


def test_an_adapter_that_was_closed_or_mounted_later_sends_on(server: ScriptedServer) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/1")
        conn.session.close()
        conn.request("GET", "/2")
        conn.session.mount("http://", HTTPAdapter())
        conn.request("GET", "/3")
        conn.session.get_adapter(server.url).close()

    assert [request.target for request in server.requests] == ["/1", "/2", "/3"]
    assert len(server.connections) == 3
