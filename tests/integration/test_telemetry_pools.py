"""What is told of pools: their lookups and evictions, and under which labels.

Rule 1: a label shows a scheme, a class or what a caller chose; never who somebody is.
Rule 2: pools that are told apart have series of their own, and there are never too many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from sleepwalker import (
    ANONYMOUS,
    BearerAuth,
    Connection,
    ConnectionManager,
    CrossOriginError,
    DirectHook,
    EstablishmentError,
)
from sleepwalker.observability import names
from sleepwalker.observability.events import LookedUp
from tests.telemetry import Given, Gives, Watched

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests
    from prometheus_client import CollectorRegistry

    from tests.servers import (
        CertificateAuthority,
        NetrcFile,
        ScriptedServer,
    )


@pytest.fixture
def watched(ca: CertificateAuthority) -> Watched:
    """Give instruments of this test's own."""
    return Watched(ca)


# --- pools ---------------------------------------------------------------------------------------


def evictions(watched: Watched) -> dict[str, float]:
    """How often pools were forgotten, by reason."""
    return {
        reason: value
        for reason in names.EVICTION_REASONS
        if (value := watched.value(names.POOL_EVICTIONS, host="a", auth="none", reason=reason))
    }


def test_each_way_of_forgetting_a_pool_is_counted(watched: Watched) -> None:
    options = {**watched.instruments, "clock": watched.clock}
    manager = ConnectionManager(hooks=[Gives()], idle=60.0, max_pools=1, **options)
    manager.find("a", ANONYMOUS)
    manager.find("b", ANONYMOUS)
    assert evictions(watched) == {"max_pools": 1}
    assert watched.value("sleepwalker_pools") == 1
    manager.find("a", ANONYMOUS)
    watched.clock.sleep(61.0)
    manager.find("b", ANONYMOUS)
    assert evictions(watched)["max_pools"] + evictions(watched).get("idle", 0) == 2
    manager.add("a", ANONYMOUS, Given())
    manager.add("a", ANONYMOUS, Given())
    assert evictions(watched)["replaced"] == 1
    manager.reset()
    assert evictions(watched)["reset"] == 1
    assert watched.value("sleepwalker_pools") == 0
    manager.add("a", ANONYMOUS, Given())
    manager.close()
    assert evictions(watched)["closed"] == 1
    assert watched.value("sleepwalker_pools") == 0


def test_a_pool_that_is_idle_is_forgotten_and_counted(watched: Watched) -> None:
    options = {**watched.instruments, "clock": watched.clock}
    manager = ConnectionManager(hooks=[Gives()], idle=60.0, **options)
    manager.find("a", ANONYMOUS)
    watched.clock.sleep(61.0)
    manager.find("b", ANONYMOUS)
    assert evictions(watched) == {"idle": 1}
    evicted = [line for line in watched.lines if line["event"] == "pool.evicted"]
    assert evicted == [
        {"level": "info", "event": "pool.evicted", "host": "a", "auth": "none", "reason": "idle"}
    ]
    assert watched.value("sleepwalker_pools") == 1


def test_a_close_that_fails_is_logged(watched: Watched) -> None:
    manager = ConnectionManager(**watched.instruments)
    manager.add("a", ANONYMOUS, Given(OSError("no")))
    assert manager.reset().failed == 1
    assert {
        "level": "warning",
        "event": "pool.close_failed",
        "host": "a",
        "auth": "none",
        "error_type": "other",
    } in watched.lines


def test_hits_are_published_while_there_are_only_hits(watched: Watched) -> None:
    manager = ConnectionManager(hooks=[Gives()], **watched.instruments, clock=watched.clock)
    for _ in range(4):
        manager.find("a", ANONYMOUS)
    watched.clock.sleep(10.0)
    manager.find("a", ANONYMOUS)
    assert watched.value(names.POOL_LOOKUPS, host="a", auth="none", result="hit") == 4


# --- labels --------------------------------------------------------------------------------------


class MyAuth(AuthBase):
    """A user's own auth."""

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


def signed(r: requests.PreparedRequest) -> requests.PreparedRequest:
    """A user's own auth that is a function."""
    return r


LABELS: Final[dict[str, Callable[[], Any]]] = {
    "none": lambda: ANONYMOUS,
    "basic": lambda: ("k3y", ""),
    "bearer": lambda: BearerAuth("t0ken"),
    "digest": lambda: HTTPDigestAuth("reader", "pw"),
    "MyAuth": MyAuth,
    "signed": lambda: signed,
}


@pytest.mark.parametrize("label", LABELS)
def test_an_auth_is_told_by_its_scheme_or_class(
    label: str, watched: Watched, tls_server: ScriptedServer
) -> None:
    with ConnectionManager(hooks=[DirectHook()], **watched.instruments) as manager:
        manager.find("https://host.test", LABELS[label]())
    watched.connection(tls_server.url, LABELS[label]()).request("GET", "/", raise_for_status=False)
    assert auths(watched) == {label}
    assert {line["auth"] for line in watched.lines if "auth" in line} == {label}
    told = {str((span.attributes or {}).get("sleepwalker.auth", label)) for span in watched.spans}
    assert told == {label}


def auths(watched: Watched, host: str | None = None) -> set[str]:
    """Every value of the label `auth`."""
    return {
        one.labels["auth"]
        for family in watched.registry.collect()
        for one in family.samples
        if "auth" in one.labels and host in {None, one.labels["host"]}
    }


def test_each_identity_on_a_host_has_series_of_its_own(watched: Watched) -> None:
    pairs = [("a", "1"), ("b", "2"), HTTPBasicAuth("c", "3"), BearerAuth("x"), BearerAuth("y")]
    with ConnectionManager(hooks=[DirectHook()], **watched.instruments) as manager:
        for auth in [*pairs, ("a", "1"), HTTPBasicAuth("c", "3")]:
            manager.find("https://one.test", auth)
        manager.find("https://two.test", ("b", "2"))
    assert auths(watched, "https://one.test") == {
        "basic",
        "basic#2",
        "basic#3",
        "bearer",
        "bearer#2",
    }
    assert auths(watched, "https://two.test") == {"basic"}


def test_two_managers_on_one_registry_call_a_pool_the_same(watched: Watched) -> None:
    for _ in range(2):
        with ConnectionManager(hooks=[DirectHook()], **watched.instruments) as manager:
            manager.find("https://host.test", ("a", "1"))
            manager.find("https://HOST.test:443/", ("b", "2"))
    assert auths(watched, "https://host.test") == {"basic", "basic#2"}
    assert (
        watched.value(names.POOL_LOOKUPS, host="https://host.test", auth="basic", result="miss")
        == 2
    )


@pytest.mark.parametrize("how", ["alone", "added", "hook"])
def test_the_label_that_a_caller_chose_is_told(
    how: str, watched: Watched, tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    auth = ("k3y", "")
    with ConnectionManager(**watched.instruments) as manager:
        if how == "alone":
            conn = watched.connection(tls_server.url, auth, auth_label="billing")
        elif how == "added":
            conn = Connection(tls_server.url, auth, verify=str(ca.bundle), auth_label="billing")
            manager.add(tls_server.url, auth, conn)
        else:
            manager.add_conn_hook(DirectHook(verify=str(ca.bundle), auth_label="billing"))
            conn = manager.find(tls_server.url, auth)
        conn.json_request("GET", "/")
    pool = {"host": tls_server.url, "auth": "billing"}
    assert watched.value("sleepwalker_requests_in_flight", **pool) == 0
    (call,) = [one for one in watched.forest() if one.name == "sleepwalker.request"]
    assert call.attributes["sleepwalker.auth"] == "billing"
    (line,) = [line for line in watched.lines if line["event"] == "request.completed"]
    assert line["auth"] == "billing"
    assert "billing" in repr(conn)


class LogsIn:
    """A hook that knows by itself who we are to a host."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def connect(self, host: Any, auth: Any) -> Connection:
        del auth
        return Connection(host, ("k3y", ""), **self._options)


@pytest.mark.parametrize("case", ["label", "netrc", "hook's", "hook's label"])
def test_all_that_is_told_of_a_pool_is_told_under_one_name(
    case: str,
    watched: Watched,
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    netrc_file: NetrcFile,
) -> None:
    netrc_file({"default": ("k3y", "password")})
    verify = str(ca.bundle)
    hook, auth, expected = {
        "label": (DirectHook(verify=verify, auth_label="svc"), ("k3y", ""), "svc"),
        "netrc": (DirectHook(verify=verify), None, "basic"),
        "hook's": (LogsIn(verify=verify), None, "basic"),
        "hook's label": (LogsIn(verify=verify, auth_label="svc"), None, "svc"),
    }[case]
    with ConnectionManager(hooks=[hook], **watched.instruments) as manager:
        for _ in range(2):
            manager.find(tls_server.url, auth).request("GET", "/")
    assert auths(watched, tls_server.url) == {expected}
    assert {line["auth"] for line in watched.lines if "auth" in line} == {expected}
    told = {str((s.attributes or {}).get("sleepwalker.auth", expected)) for s in watched.spans}
    assert told == {expected}
    # Nor was a name taken that nothing is told under: the next identity is the second.
    other = watched.connection(tls_server.url, ("other", ""), auth_label=expected)
    other.request("GET", "/")
    assert auths(watched, tls_server.url) == {expected, f"{expected}#2"}
    if expected != "basic":
        watched.connection(tls_server.url, ("third", "")).request("GET", "/")
        assert "basic" in auths(watched, tls_server.url)


def test_a_find_that_fails_without_an_auth_is_told_as_netrc_is(watched: Watched) -> None:
    with ConnectionManager(**watched.instruments) as manager, pytest.raises(EstablishmentError):
        manager.find("https://host.test")
    assert auths(watched) == {"basic"}


def test_the_span_of_an_establishment_has_the_name_of_the_pool_in_the_end(
    watched: Watched,
) -> None:
    with ConnectionManager(hooks=[DirectHook()], **watched.instruments) as manager:
        for user in "ab":
            manager.find("https://host.test", (user, ""))
        added = Connection("https://other.test", ("c", ""), auth_label="svc")

        class Adds:
            def connect(self, host: Any, auth: Any) -> None:
                manager.add(host, auth, added)

        manager.clear_hooks()
        manager.add_conn_hook(Adds())
        assert manager.find("https://other.test", ("c", "")) is added
    told = [
        (span.attributes or {})["sleepwalker.auth"]
        for span in watched.spans
        if span.name == names.SPAN_CONNECT
    ]
    assert told == ["basic", "basic#2", "svc"]


def test_a_chosen_label_never_shares_series_with_another_identity(watched: Watched) -> None:
    with ConnectionManager(**watched.instruments) as manager:
        for user, label in {"a": "basic", "b": None, "c": "basic#2", "d": None}.items():
            conn = Connection("https://host.test", (user, ""), auth_label=label)
            manager.add("https://host.test", (user, ""), conn)
            manager.find("https://host.test", (user, ""))
    assert len(auths(watched)) == 4
    assert {value for key, value in watched.samples().items() if 'result="hit"' in key} == {1}


def test_a_thousand_hosts_make_two_hundred_labels(watched: Watched) -> None:
    with ConnectionManager(hooks=[Gives()], **watched.instruments) as manager:
        for number in range(1000):
            manager.find(f"https://h{number}.test", ANONYMOUS)
        misses = [
            one
            for family in watched.registry.collect()
            for one in family.samples
            if one.name == names.POOL_LOOKUPS
        ]
        assert len(misses) == 201
        assert watched.value("sleepwalker_pools") == 1000
    other = {"host": "_other", "auth": "_other"}
    assert watched.value(names.POOL_LOOKUPS, **other, result="miss") == 800
    assert watched.value(names.LABEL_OVERFLOW) == 800
    hosts = {one.labels["host"] for one in misses}
    assert hosts == {"_other", *(f"https://h{number}.test" for number in range(200))}
    # Only metrics have to be few: logs and spans name the host.
    assert watched.lines[-2]["host"] == "https://h999.test"
    assert (watched.spans[-1].attributes or {})["sleepwalker.host"] == "https://h999.test"


def test_hits_of_pools_that_share_series_are_told_together(watched: Watched) -> None:
    options = {**watched.instruments, "clock": watched.clock}
    with ConnectionManager(hooks=[Gives()], **options) as manager:
        for _ in range(2):
            for number in range(300):
                manager.find(f"https://h{number}.test", ANONYMOUS)
        watched.clock.sleep(5.0)
        watched.events.clear()

        manager.find("https://h0.test", ANONYMOUS)

        told = [e for e in watched.events if isinstance(e, LookedUp) and e.result == "hit"]
        assert len(told) == 201
        assert sorted(e.times for e in told) == [*[1] * 199, 2, 100]
    other = {"host": "_other", "auth": "_other"}
    assert watched.value(names.POOL_LOOKUPS, **other, result="hit") == 100
    first = {"host": "https://h0.test", "auth": "none"}
    assert watched.value(names.POOL_LOOKUPS, **first, result="hit") == 2


def test_connections_without_a_manager_overflow_too(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    for number in range(202):
        with pytest.raises(CrossOriginError):
            watched.connection(f"https://h{number}.test").json_request("GET", "//elsewhere.test")
    watched.connection(tls_server.url).json_request("GET", "/")
    other = {"host": "_other", "auth": "_other", "method": "GET"}
    assert watched.value(f"{names.REQUEST_DURATION}_count", **other, outcome="refused") == 2
    assert watched.value(f"{names.REQUEST_DURATION}_count", **other, outcome="success") == 1
    assert watched.value(names.LABEL_OVERFLOW) == 3


def test_the_buckets_go_from_5_ms_to_60_s_unless_told_otherwise() -> None:
    def buckets(registry: CollectorRegistry) -> list[str]:
        return [
            one.labels["le"]
            for family in registry.collect()
            for one in family.samples
            if one.name == f"{names.HOOK_DURATION}_bucket"
        ]

    for given, expected in (
        (None, [*map(str, names.TIME_BUCKETS), "+Inf"]),
        ((0.1, 1.0), ["0.1", "1.0", "+Inf"]),
    ):
        seen = Watched()
        with ConnectionManager(hooks=[Gives()], **seen.instruments, buckets=given) as manager:
            manager.find("a", ANONYMOUS)
        assert buckets(seen.registry) == expected
    assert (names.TIME_BUCKETS[0], names.TIME_BUCKETS[-1]) == (0.005, 60.0)
