"""What a manager keeps, gives and forgets, as one thread sees it.

Rule: what it says of itself (reports, metrics, logs) is compared with what was really done.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import ItemsView, ValuesView
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import CapturingLogger

from sleepwalker import (
    ANONYMOUS,
    ClosedError,
    ConfigurationError,
    Connection,
    ConnectionError,
    ConnectionManager,
    DirectHook,
    EstablishmentError,
    HookError,
    Policy,
    URLError,
)
from sleepwalker.connection import ResetReport
from sleepwalker.observability.events import ManagerReset, PoolEvicted
from tests.crew import Closable, Maker, Plain, SteppedClock, Witness, quiet

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://api.example.com"
AUTH = ("user", "planted-password")


class Bad(Plain):
    """Its `close` raises."""

    def close(self) -> None:
        raise RuntimeError("can't")


class Unruly(Plain):
    """It raises already when somebody looks for a `close`."""

    @property
    def close(self) -> None:
        raise RuntimeError("don't look")


class Empty(Closable):
    """As false as an empty list is."""

    def __len__(self) -> int:
        return 0


def is_closed(conn: Connection) -> bool:
    return "closed" in repr(conn)


def evictions(registry: CollectorRegistry, reason: str, host: str, auth: str = "basic") -> float:
    labels = {"host": host, "auth": auth, "reason": reason}
    return registry.get_sample_value("sleepwalker_pool_evictions_total", labels) or 0.0


def lookups(registry: CollectorRegistry, result: str, host: str, auth: str = "basic") -> float:
    labels = {"host": host, "auth": auth, "result": result}
    return registry.get_sample_value("sleepwalker_pool_lookups_total", labels) or 0.0


# --- the reference signatures ------------------------------------------------------------


def test_the_constructor_has_the_reference_signature() -> None:
    parameters = inspect.signature(ConnectionManager).parameters
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters.values())
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    expected = {"hooks": (), "policy": None, "idle": None, "max_pools": 10_000}
    instruments = dict.fromkeys(("registry", "tracer_provider", "logger"))
    assert expected | instruments == {k: defaults[k] for k in expected | instruments}


def test_the_methods_have_the_reference_signatures() -> None:
    def names(method: Any) -> list[str]:
        return list(inspect.signature(method).parameters)[1:]

    assert names(ConnectionManager.add) == ["host", "auth", "conn"]
    assert names(ConnectionManager.add_conn_hook) == ["hook"]
    assert names(ConnectionManager.clear_hooks) == []
    assert names(ConnectionManager.find) == ["host", "auth"]
    assert names(ConnectionManager.reset) == ["idle"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_pools": -1},
        {"max_pools": 1.5},
        {"max_pools": True},
        {"max_pools": None},
        {"max_pools": "10"},
        {"idle": -1},
        {"idle": 0},
        {"idle": float("nan")},
        {"idle": float("inf")},
        {"idle": "60"},
        {"policy": {"attempts": 3}},
        {"policy": 3},
    ],
    ids=str,
)
def test_a_setting_that_can_never_work_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        quiet(**wrong)
    assert next(iter(wrong)) in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("hook", [None, object(), "hook", Maker, lambda _host, _auth: None])
def test_an_object_that_is_no_hook_is_refused_by_constructor_and_method(hook: Any) -> None:
    manager = quiet()
    with pytest.raises(HookError) as by_method:
        manager.add_conn_hook(hook)
    with pytest.raises(HookError):
        quiet(hook)
    assert isinstance(by_method.value, TypeError)
    with pytest.raises(EstablishmentError, match="no hook is registered"):
        manager.find(URL, AUTH)


def test_one_hook_in_the_place_of_a_list_of_hooks_is_refused_with_a_word_about_it() -> None:
    with pytest.raises(HookError):
        ConnectionManager(hooks=Maker())  # type: ignore[arg-type]


# --- adding and finding ------------------------------------------------------------------


def test_what_add_put_in_is_what_find_gives_and_no_hook_is_asked() -> None:
    hook = Maker()
    manager, conn = quiet(hook), Plain()
    manager.add("books", AUTH, conn)
    assert manager.find("books", AUTH) is conn
    assert hook.asked == []


def test_find_gives_the_hooks_own_object_and_asks_once() -> None:
    hook = Maker()
    manager = quiet(hook)
    first = manager.find("books", AUTH)
    assert first is hook.made[0]
    assert manager.find("books", AUTH) is first
    assert hook.asked == [("books", AUTH)]


def test_find_without_an_auth_means_none() -> None:
    hook = Maker()
    manager = quiet(hook)
    assert manager.find("books") is manager.find("books", None)
    assert hook.asked == [("books", None)]


def test_an_object_that_counts_as_false_is_a_connection_like_any_other() -> None:
    hook = Maker(lambda _host, _auth: Empty())
    manager = quiet(hook)
    conn = manager.find("books", AUTH)
    assert isinstance(conn, Empty)
    assert manager.find("books", AUTH) is conn
    assert len(hook.asked) == 1


def test_hosts_and_auths_are_told_apart() -> None:
    hook = Maker()
    manager = quiet(hook)
    pairs = [(host, auth) for host in ("books", "authors", URL) for auth in (None, AUTH, ANONYMOUS)]
    conns = {id(manager.find(host, auth)) for host, auth in pairs}
    assert len(conns) == len(pairs) == len(manager.conns)
    assert hook.asked == pairs


def test_a_connection_already_present_is_replaced_by_add() -> None:
    manager = quiet(Maker())
    found, added = manager.find("books", AUTH), Plain()
    manager.add("books", AUTH, added)
    assert manager.find("books", AUTH) is added is not found
    assert len(manager.conns) == 1


def test_a_replaced_connection_of_ours_is_closed_and_a_foreign_object_only_forgotten() -> None:
    manager, ours, foreign = quiet(), Connection(URL, AUTH), Closable()
    manager.add(URL, AUTH, ours)
    manager.add(URL, AUTH, foreign)
    assert is_closed(ours)
    manager.add(URL, AUTH, Plain())
    assert foreign.closed == 0


def test_adding_the_very_connection_that_is_there_does_not_close_it() -> None:
    witness = Witness()
    manager, conn = quiet(observers=[witness]), Connection(URL, AUTH)
    manager.add(URL, AUTH, conn)
    manager.add(f"{URL}/", AUTH, conn)
    assert not is_closed(conn)
    assert witness.of(PoolEvicted) == []
    assert len(manager.conns) == 1


def test_nothing_can_be_added_in_the_place_of_a_connection() -> None:
    manager = quiet()
    with pytest.raises(ConfigurationError, match="conn"):
        manager.add("books", AUTH, None)
    assert len(manager.conns) == 0


@pytest.mark.parametrize(
    "host",
    ["https://", "https://user:planted-password@h", "http://h?x=1", "http://h#x", "https://h:0"],
)
def test_a_url_that_can_not_be_used_is_refused_before_any_hook_is_asked(host: str) -> None:
    hook = Maker()
    manager = quiet(hook)
    for refused in (lambda: manager.find(host, None), lambda: manager.add(host, None, Plain())):
        with pytest.raises(URLError) as caught:
            refused()
        assert "planted-password" not in str(caught.value)
    assert hook.asked == []


def test_an_unhashable_host_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="hashable"):
        quiet(Maker()).find(["books"], AUTH)


def test_clear_hooks_drops_all_hooks_and_keeps_the_connections() -> None:
    hook = Maker()
    manager = quiet(hook, Maker())
    conn = manager.find("books", AUTH)
    manager.clear_hooks()
    assert manager.find("books", AUTH) is conn
    with pytest.raises(ConnectionError):
        manager.find("authors", AUTH)
    assert hook.asked == [("books", AUTH)]


def test_no_hook_registered_is_a_connection_error_that_says_what_to_do() -> None:
    with pytest.raises(EstablishmentError, match="add_conn_hook") as caught:
        quiet().find(URL, AUTH)
    error = caught.value
    assert isinstance(error, builtins.ConnectionError)
    assert isinstance(error, ConnectionError)
    assert error.outcomes == ()
    assert error.attempts == 0
    assert error.__cause__ is None
    assert "planted-password" not in str(error)


def test_a_connection_takes_its_managers_policy_unless_it_has_its_own() -> None:
    policy, own = Policy(attempts=7), Policy(attempts=2)
    manager = quiet(DirectHook(), policy=policy)
    added = Connection(URL, AUTH, policy=own)
    manager.add("https://other.example.com", AUTH, added)
    assert manager.policy == policy
    assert manager.find(URL, AUTH).policy == policy
    assert added.policy == own


def test_a_manager_without_a_policy_gives_none() -> None:
    manager = quiet(DirectHook())
    assert manager.policy == Policy()
    assert manager.find(URL, AUTH).policy == Policy()


def test_a_connection_that_a_closed_manager_refused_is_as_it_was_and_free_for_another() -> None:
    refusing, other, witness = quiet(), quiet(policy=Policy(attempts=1)), Witness()
    refusing.close()
    conn = Connection(URL, AUTH, observers=[witness])
    conn.close()
    with pytest.raises(ClosedError):
        refusing.add(URL, AUTH, conn)
    assert is_closed(conn)
    assert conn.policy == Policy()
    other.add(URL, AUTH, conn)
    assert not is_closed(conn)
    assert conn.policy == Policy(attempts=1)


# --- reset -------------------------------------------------------------------------------


def test_reset_closes_and_forgets_everything_and_says_what_it_did() -> None:
    manager, ours, foreign = quiet(), Connection(URL, AUTH), Closable()
    manager.add(URL, AUTH, ours)
    manager.add("foreign", None, foreign)
    manager.add("plain", None, Plain())
    manager.add("bad", None, Bad())
    assert manager.reset() == ResetReport(closed=2, draining=0, forgotten=1, failed=1)
    assert is_closed(ours)
    assert foreign.closed == 1
    assert len(manager.conns) == 0
    with pytest.raises(ConnectionError):
        manager.find("plain", None)


def test_reset_of_nothing_does_nothing() -> None:
    assert quiet().reset() == ResetReport(closed=0, draining=0, forgotten=0, failed=0)


def test_a_connection_whose_close_raises_does_not_keep_the_others_open() -> None:
    for misbehaving in (Bad, Unruly):
        manager = quiet()
        before, after = Closable(), Closable()
        manager.add("a", None, before)
        manager.add("b", None, misbehaving())
        manager.add("c", None, after)
        report = manager.reset()
        assert (report.closed, report.failed) == (2, 1), misbehaving
        assert before.closed == after.closed == 1
        assert len(manager.conns) == 0


def test_reset_closes_an_object_that_several_pools_hold_once() -> None:
    manager, shared = quiet(), Closable()
    manager.add("a", None, shared)
    manager.add("b", None, shared)
    assert manager.reset() == ResetReport(closed=1, draining=0, forgotten=1, failed=0)
    assert shared.closed == 1


def test_reset_with_an_age_leaves_an_object_open_that_another_pool_still_holds() -> None:
    clock, shared = SteppedClock(), Closable()
    manager = quiet(clock=clock)
    manager.add("old", None, shared)
    clock.now += 10
    manager.add("young", None, shared)
    assert manager.reset(idle=5) == ResetReport(closed=0, draining=0, forgotten=1, failed=0)
    assert shared.closed == 0
    assert manager.reset() == ResetReport(closed=1, draining=0, forgotten=0, failed=0)
    assert shared.closed == 1


def test_two_objects_that_are_equal_are_both_closed() -> None:
    class Equal(Closable):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Equal)

        __hash__ = None  # type: ignore[assignment]

    manager, one, other = quiet(), Equal(), Equal()
    manager.add("a", None, one)
    manager.add("b", None, other)
    assert manager.reset().closed == 2
    assert (one.closed, other.closed) == (1, 1)


def test_reset_is_one_log_event_with_counts() -> None:
    log = CapturingLogger()
    manager = quiet(logger=log)
    manager.add(URL, AUTH, Connection(URL, AUTH))
    manager.add("foreign", None, Closable())
    manager.add("plain", None, Plain())
    manager.reset()
    resets = [call for call in log.calls if call.args == ("manager.reset",)]
    assert [call.method_name for call in resets] == ["info"]
    assert resets[0].kwargs == {"closed": 2, "draining": 0, "forgotten": 1, "failed": 0}
    assert not [c for c in log.calls if c.method_name != "debug" and c not in resets]


def test_a_close_that_raises_is_logged_as_a_warning_without_its_words() -> None:
    class Leaky(Plain):
        def close(self) -> None:
            raise RuntimeError("password=planted-password")

    log = CapturingLogger()
    manager = quiet(logger=log)
    manager.add("leaky", AUTH, Leaky())
    manager.reset()
    assert [c.args for c in log.calls if c.method_name == "warning"] == [("pool.close_failed",)]
    assert "planted-password" not in repr(log.calls)


def test_reset_is_counted_pool_by_pool() -> None:
    registry = CollectorRegistry()
    manager = quiet(registry=registry)
    manager.add(URL, AUTH, Connection(URL, AUTH))
    manager.add("foreign", AUTH, Closable())
    assert registry.get_sample_value("sleepwalker_pools") == 2
    manager.reset()
    assert registry.get_sample_value("sleepwalker_pools") == 0
    assert evictions(registry, "reset", URL) == 1
    assert evictions(registry, "reset", "foreign") == 1


def test_reset_with_an_age_takes_only_what_was_idle_for_at_least_that_long() -> None:
    clock = SteppedClock()
    manager = quiet(Maker(lambda _host, _auth: Closable()), clock=clock)
    old = manager.find("old", None)
    clock.now += 1
    exact = manager.find("exact", None)
    clock.now += 1
    young = manager.find("young", None)
    clock.now += 9
    assert manager.reset(idle=10.5) == ResetReport(closed=1, draining=0, forgotten=0, failed=0)
    assert manager.reset(idle=10) == ResetReport(closed=1, draining=0, forgotten=0, failed=0)
    assert [old.closed, exact.closed, young.closed] == [1, 1, 0]
    assert manager.find("young", None) is young


def test_a_find_makes_a_pool_young_again() -> None:
    clock = SteppedClock()
    manager = quiet(Maker(), clock=clock)
    manager.find("books", None)
    clock.now += 100
    manager.find("books", None)
    clock.now += 5
    assert manager.reset(idle=6).forgotten == 0
    assert manager.reset(idle=5).forgotten == 1


def test_reset_with_an_age_takes_what_add_put_in_as_well() -> None:
    clock = SteppedClock()
    manager = quiet(clock=clock)
    manager.add("books", None, Closable())
    clock.now += 10
    assert manager.reset(idle=10).closed == 1


def test_an_age_of_zero_takes_all_that_is_idle_now() -> None:
    manager = quiet(clock=SteppedClock())
    manager.add("books", None, Plain())
    assert manager.reset(idle=0).forgotten == 1


@pytest.mark.parametrize("idle", [-1, float("nan"), float("inf"), "10", True])
def test_an_age_that_is_none_is_refused_and_nothing_is_forgotten(idle: Any) -> None:
    manager = quiet()
    manager.add("books", None, Plain())
    with pytest.raises(ConfigurationError, match="idle"):
        manager.reset(idle=idle)
    assert len(manager.conns) == 1
    assert manager.reset().forgotten == 1


def test_after_a_reset_the_hooks_are_asked_again() -> None:
    hook = Maker()
    manager = quiet(hook)
    first = manager.find("books", AUTH)
    manager.reset()
    assert manager.find("books", AUTH) is not first
    assert len(hook.asked) == 2


def test_whoever_still_holds_a_connection_that_was_reset_has_the_object_untouched() -> None:
    manager = quiet(DirectHook())
    conn = manager.find(URL, AUTH)
    manager.reset()
    assert conn.hostname == URL
    assert conn.get_url("/x") == f"{URL}/x"


# --- close -------------------------------------------------------------------------------


def test_close_refuses_new_finds_and_adds_and_closes_everything() -> None:
    manager, ours, foreign = quiet(Maker()), Connection(URL, AUTH), Closable()
    manager.add(URL, AUTH, ours)
    manager.add("foreign", None, foreign)
    assert manager.close() == ResetReport(closed=2, draining=0, forgotten=0, failed=0)
    assert is_closed(ours)
    assert foreign.closed == 1
    for refused in (
        lambda: manager.find(URL, AUTH),
        lambda: manager.find("new", None),
        lambda: manager.add("new", None, Plain()),
    ):
        with pytest.raises(ClosedError, match="closed"):
            refused()
    assert len(manager.conns) == 0


def test_close_may_be_called_again_and_reset_after_it() -> None:
    manager, foreign = quiet(), Closable()
    manager.add("foreign", None, foreign)
    manager.close()
    nothing = ResetReport(closed=0, draining=0, forgotten=0, failed=0)
    assert manager.close() == nothing
    assert manager.reset() == nothing
    assert foreign.closed == 1


def test_a_manager_is_a_context_manager_that_closes() -> None:
    foreign = Closable()
    with quiet() as manager:
        manager.add("foreign", None, foreign)
        assert manager.find("foreign", None) is foreign
    assert foreign.closed == 1
    with pytest.raises(ClosedError):
        manager.find("foreign", None)


def test_an_exception_leaves_the_with_block_as_it_is_and_the_manager_closed() -> None:
    foreign, error, manager = Closable(), RuntimeError("mine"), quiet()
    manager.add("foreign", None, foreign)
    with pytest.raises(RuntimeError) as caught, manager:
        raise error
    assert caught.value is error
    assert foreign.closed == 1


def test_close_is_counted_and_logged_as_such() -> None:
    registry, witness = CollectorRegistry(), Witness()
    manager = quiet(registry=registry, observers=[witness])
    manager.add(URL, AUTH, Connection(URL, AUTH))
    manager.close()
    assert evictions(registry, "closed", URL) == 1
    assert registry.get_sample_value("sleepwalker_pools") == 0
    assert witness.of(ManagerReset) == [ManagerReset(closed=1, draining=0, forgotten=0, failed=0)]


# --- conns -------------------------------------------------------------------------------


def test_conns_is_indexed_by_host_and_auth_however_they_are_spelled() -> None:
    manager = quiet(Maker())
    conn = manager.find(URL, AUTH)
    assert manager.conns[URL, AUTH] is conn
    assert manager.conns["HTTPS://API.example.com:443/", AUTH] is conn
    assert (URL, AUTH) in manager.conns
    assert (URL, None) not in manager.conns
    assert manager.conns.get((URL, None)) is None
    assert [tuple(pair) for pair in manager.conns] == [(URL, AUTH)]
    assert list(manager.conns.values()) == [conn]
    assert [(tuple(pair), c) for pair, c in manager.conns.items()] == [((URL, AUTH), conn)]


@pytest.mark.parametrize("index", ["books", ("books",), ("books", None, 1), None, 5])
def test_conns_knows_nothing_but_pairs(index: Any) -> None:
    manager = quiet()
    manager.add("books", None, Plain())
    with pytest.raises(KeyError):
        manager.conns[index]
    assert index not in manager.conns


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("https://user:planted-password@h", None), "userinfo"),
        (("https://h?token=planted-password", None), "query"),
        ((["planted-password"], None), "hashable"),
    ],
    ids=["userinfo", "query", "unhashable"],
)
def test_conns_has_nothing_under_a_host_that_can_not_be_used(pair: Any, said: str) -> None:
    conns = quiet().conns
    assert pair not in conns
    assert conns.get(pair) is None
    with pytest.raises(KeyError, match=said) as caught:
        conns[pair]
    assert "planted-password" not in repr(caught.value)
    assert "planted-password" not in repr(caught.value.__context__)


def test_conns_has_the_views_that_every_mapping_has() -> None:
    manager, conn = quiet(), Plain()
    manager.add(URL, AUTH, conn)
    items, values = manager.conns.items(), manager.conns.values()
    assert isinstance(items, ItemsView)
    assert isinstance(values, ValuesView)
    assert ((f"{URL}/", AUTH), conn) in items
    assert ((f"{URL}/", AUTH), Plain()) not in items
    assert conn in values
    assert Plain() not in values
    assert manager.conns == dict.fromkeys(manager.conns, conn)
    manager.add("books", None, Plain())
    assert len(items) == len(values) == len(list(items)) == len(list(values)) == 2


def test_conns_can_not_be_written() -> None:
    manager = quiet()
    manager.add("books", None, Plain())
    conns: Any = manager.conns
    with pytest.raises(TypeError):
        conns["books", None] = Plain()
    with pytest.raises(TypeError):
        del conns["books", None]
    for name in ("pop", "popitem", "clear", "update", "setdefault"):
        assert not hasattr(conns, name)
    with pytest.raises(AttributeError):
        manager.conns = {}  # type: ignore[misc]


def test_conns_shows_what_is_there_now_and_looking_is_no_find() -> None:
    witness = Witness()
    manager = quiet(Maker(), observers=[witness])
    conns = manager.conns
    assert len(conns) == 0
    manager.find("books", None)
    assert len(conns) == 1
    assert conns["books", None]
    manager.reset()
    assert list(conns) == []
    assert witness.lookups() == {"miss": 1}


def test_conns_can_be_gone_through_while_connections_are_forgotten() -> None:
    manager = quiet(Maker())
    for host in ("a", "b", "c"):
        manager.find(host, None)
    for through in (manager.conns, manager.conns.items(), manager.conns.values()):
        manager.find("a", None)
        rest = iter(through)
        next(rest)
        manager.reset()
        list(rest)
        for host in ("a", "b", "c"):
            manager.find(host, None)


def test_no_repr_shows_a_secret() -> None:
    manager = quiet(Maker())
    manager.find(URL, AUTH)
    manager.find("db://user:planted-password@h/x?token=planted-password", ("u", "planted-password"))
    manager.find("user:planted-password@h", "planted-password")
    shown = [
        manager,
        manager.conns,
        list(manager.conns),
        manager.conns.keys(),
        manager.conns.items(),
    ]
    assert "planted-password" not in repr(shown)
    with pytest.raises(KeyError) as caught:
        manager.conns["other", AUTH]
    assert "planted-password" not in repr(caught.value)


def test_the_managers_repr_tells_its_state() -> None:
    manager = quiet(Maker())
    manager.find("books", None)
    assert repr(manager) == "<ConnectionManager 1 pools, 1 hooks>"
    manager.close()
    assert repr(manager) == "<ConnectionManager closed>"


# --- what is counted ---------------------------------------------------------------------


def test_every_find_is_counted_once_as_what_it_was() -> None:
    witness = Witness()
    manager = quiet(Maker(), observers=[witness])
    for host in ("a", "b", "a", "a", "b"):
        manager.find(host, None)
    manager.reset()
    assert witness.lookups() == {"miss": 2, "hit": 3}


def test_hits_are_published_at_the_next_miss() -> None:
    registry = CollectorRegistry()
    manager = quiet(Maker(), registry=registry, clock=SteppedClock())
    for _ in range(4):
        manager.find(URL, AUTH)
    manager.find("other", None)
    assert lookups(registry, "hit", URL) == 3
    assert lookups(registry, "miss", URL) == 1


def test_hits_of_a_manager_that_only_hits_are_published_within_a_second() -> None:
    registry, clock = CollectorRegistry(), SteppedClock()
    manager = quiet(Maker(), registry=registry, clock=clock)
    manager.find(URL, AUTH)
    for _ in range(3):
        manager.find(URL, AUTH)
    clock.now += 1.0
    manager.find(URL, AUTH)
    assert lookups(registry, "hit", URL) == 4


def test_hits_of_an_unhashable_auth_are_published_within_a_second_too() -> None:
    registry, clock = CollectorRegistry(), SteppedClock()
    manager = quiet(Maker(), registry=registry, clock=clock)
    auth: list[str] = []
    for _ in range(4):
        manager.find(URL, auth)
    clock.now += 1.0
    manager.find(URL, auth)
    assert lookups(registry, "hit", URL, "list") == 4


def test_hits_are_published_when_their_pool_is_pruned_reset_or_closed() -> None:
    ways: list[Callable[[ConnectionManager], object]] = [
        lambda manager: manager.reset(),
        lambda manager: manager.reset(idle=0),
        lambda manager: manager.close(),
        lambda manager: manager.add(URL, AUTH, Plain()),
    ]
    for forget in ways:
        registry = CollectorRegistry()
        manager = quiet(Maker(), registry=registry, clock=SteppedClock())
        for _ in range(6):
            manager.find(URL, AUTH)
        forget(manager)
        assert lookups(registry, "hit", URL) == 5


def test_hits_are_not_lost_when_the_same_connection_is_added_again() -> None:
    witness = Witness()
    manager = quiet(Maker(), observers=[witness], clock=SteppedClock())
    conn = Plain()
    manager.add("books", None, conn)
    for _ in range(3):
        manager.find("books", None)
    manager.add("books", None, conn)
    manager.find("books", None)
    manager.find("authors", None)
    assert witness.lookups() == {"hit": 4, "miss": 1}


def test_finds_by_several_spellings_are_counted_on_one_pool() -> None:
    registry = CollectorRegistry()
    manager = quiet(Maker(), registry=registry)
    for spelling in (URL, f"{URL}/", f"{URL}:443", "HTTPS://api.EXAMPLE.com"):
        manager.find(spelling, AUTH)
        manager.find(spelling, AUTH)
    manager.reset()
    assert lookups(registry, "miss", URL) == 1
    assert lookups(registry, "hit", URL) == 7


def test_a_find_that_fails_is_a_miss_and_a_failure() -> None:
    registry = CollectorRegistry()
    manager = quiet(registry=registry)
    with pytest.raises(ConnectionError):
        manager.find(URL, AUTH)
    assert lookups(registry, "miss", URL) == 1
    failures = {"host": URL, "auth": "basic", "error_type": "establishment"}
    assert registry.get_sample_value("sleepwalker_connect_failures_total", failures) == 1
    assert not registry.get_sample_value("sleepwalker_pools")


def test_a_second_identity_on_a_host_has_series_of_its_own() -> None:
    registry = CollectorRegistry()
    manager = quiet(Maker(), registry=registry)
    manager.find(URL, ("one", "planted-password"))
    manager.find(URL, ("two", "planted-password"))
    assert lookups(registry, "miss", URL, "basic") == 1
    assert lookups(registry, "miss", URL, "basic#2") == 1


def test_every_instrument_can_be_switched_off_and_one_that_fails_fails_nothing() -> None:
    class Broken:
        def record(self, _event: object) -> None:
            raise RuntimeError("broken")

    registry = CollectorRegistry()
    manager = quiet(Maker(), registry=registry, observers=[Broken()])
    conn = manager.find(URL, AUTH)
    assert manager.find(URL, AUTH) is conn
    assert manager.reset().forgotten == 1
    assert (registry.get_sample_value("sleepwalker_telemetry_errors_total") or 0) > 0
    off = quiet(Maker())
    off.find(URL, AUTH)
    off.close()


def test_a_find_is_under_no_hidden_global_state() -> None:
    """Two managers share nothing: what one holds, the other has to establish."""
    hook = Maker()
    one, other = quiet(hook), quiet(hook)
    assert one.find(URL, AUTH) is not other.find(URL, AUTH)
    one.close()
    assert other.find(URL, AUTH) is hook.made[1]
