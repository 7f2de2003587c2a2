"""Which (host, auth) pairs are one pool, and which pools are pruned, in which order.

Rule: the law of pruning is a model of a few lines, against which hypothesis plays the manager.
"""

from __future__ import annotations

import dataclasses
import enum
import pickle
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from prometheus_client import CollectorRegistry
from requests.adapters import BaseAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth

from sleepwalker import ANONYMOUS, BearerAuth, Connection, DirectHook
from sleepwalker.connection import ResetReport
from sleepwalker.observability.events import PoolEvicted, PoolsChanged
from tests.crew import Closable, Maker, Plain, SteppedClock, Witness, quiet

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "planted-password"


def same_pool(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Whether two pairs share a pool."""
    hook = Maker()
    manager = quiet(hook)
    shared = manager.find(*one) is manager.find(*other)
    assert len(hook.asked) == len(manager.conns) == (1 if shared else 2)
    assert (manager.conns[one] is manager.conns[other]) is shared
    return shared


# --- hosts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling",
    [
        "https://h.example/",
        "https://h.example:443",
        "https://h.example:443/",
        "HTTPS://h.example",
        "https://H.EXAMPLE",
        "Https://H.Example:443/",
    ],
)
def test_spellings_of_one_origin_share_a_pool(spelling: str) -> None:
    assert same_pool(("https://h.example", None), (spelling, None))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://h", "http://h:80/"),
        ("http://h:8080", "HTTP://H:8080/"),
        ("https://h/api", "https://h/api/"),
        ("https://h/api/v1", "https://H:443/api/v1/"),
        ("https://[::1]", "https://[::1]:443/"),
        ("https://[FE80::1]:8443", "https://[fe80::1]:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_other_spellings_of_one_origin_and_base_path_share_a_pool(one: str, other: str) -> None:
    assert same_pool((one, None), (other, None))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://h", "http://h"),
        ("https://h", "https://h:8443"),
        ("https://h:80", "http://h"),
        ("https://h", "https://h.example"),
        ("https://h", "https://h/api"),
        ("https://h/api", "https://h/API"),
        ("https://h/api", "https://h/api/v1"),
        ("https://127.0.0.1", "https://localhost"),
    ],
)
def test_other_origins_and_base_paths_have_pools_of_their_own(one: str, other: str) -> None:
    assert not same_pool((one, None), (other, None))


class Shelf(enum.Enum):
    BOOKS = "books"
    AUTHORS = "authors"


@pytest.mark.parametrize(
    "host",
    ["books", "h.example", "h.example:443", "//h", "ftp://h", "", Shelf.BOOKS, ("a", 1), 7, None],
    ids=repr,
)
def test_a_host_that_is_no_url_is_an_opaque_key_and_passed_on_untouched(host: Any) -> None:
    hook = Maker()
    manager = quiet(hook)
    conn = manager.find(host, None)
    assert hook.asked[0][0] is host
    assert manager.find(host, None) is conn
    assert manager.conns[host, None] is conn


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("books", "BOOKS"),
        ("books", "books/"),
        ("h.example", "https://h.example"),
        ("h.example", "h.example:443"),
        (Shelf.BOOKS, Shelf.AUTHORS),
        (Shelf.BOOKS, "books"),
    ],
)
def test_opaque_keys_are_compared_as_they_are(one: Any, other: Any) -> None:
    assert not same_pool((one, None), (other, None))


def test_a_url_is_passed_to_hooks_as_it_was_spelled_first() -> None:
    hook = Maker()
    manager = quiet(hook)
    manager.find("HTTPS://H.example:443/api/", None)
    manager.find("https://h.example/api", None)
    assert hook.asked == [("HTTPS://H.example:443/api/", None)]


def test_what_add_got_under_one_spelling_is_found_and_replaced_under_another() -> None:
    manager, first, second = quiet(), Plain(), Plain()
    manager.add("https://h/", None, first)
    assert manager.find("https://H:443", None) is first
    manager.add("HTTPS://h", None, second)
    assert manager.find("https://h/", None) is second
    assert len(manager.conns) == 1


def test_many_spellings_of_one_key_are_still_one_pool_after_it_is_forgotten() -> None:
    hook = Maker()
    manager = quiet(hook)
    letters = "abcdefghijkl"
    spellings = [f"https://{letters[:n].upper()}{letters[n:]}" for n in range(len(letters) + 1)]
    for _ in range(2):
        assert len({id(manager.find(spelling, None)) for spelling in spellings}) == 1
        manager.reset()
        assert len(manager.conns) == 0
    assert len(hook.asked) == 2


# --- auths -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ByEquality:
    token: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Unhashable(AuthBase):
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, token: str) -> None:
        self.token = token

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable) and self.token == other.token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


AN_UNHASHABLE = Unhashable(PASSWORD)


class OwnBasicAuth(HTTPBasicAuth):
    """Inherits `__eq__`, and with it that it can't be hashed."""


def provider() -> str:
    return PASSWORD


@pytest.mark.parametrize(
    "make",
    [
        lambda: ("user", PASSWORD),
        lambda: ByEquality(PASSWORD),
        lambda: HTTPBasicAuth("user", PASSWORD),
        lambda: HTTPDigestAuth("user", PASSWORD),
        lambda: HTTPProxyAuth("user", PASSWORD),
        lambda: BearerAuth(PASSWORD),
        lambda: BearerAuth(provider),
        lambda: ANONYMOUS,
        lambda: None,
        lambda: pickle.loads(pickle.dumps(ANONYMOUS)),  # noqa: S301 - our own pickle
    ],
)
def test_equal_auths_share_a_pool(make: Callable[[], Any]) -> None:
    assert same_pool(("https://h", make()), ("https://h", make()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("user", PASSWORD), ("user", "other")),
        (("user", PASSWORD), HTTPBasicAuth("user", PASSWORD)),
        (HTTPBasicAuth("user", PASSWORD), HTTPBasicAuth("user", "other")),
        (HTTPBasicAuth("user", PASSWORD), HTTPBasicAuth("other", PASSWORD)),
        (HTTPBasicAuth("user", PASSWORD), HTTPDigestAuth("user", PASSWORD)),
        (HTTPBasicAuth("user", PASSWORD), HTTPProxyAuth("user", PASSWORD)),
        (HTTPBasicAuth("user", PASSWORD), (HTTPBasicAuth, "user", "other")),
        (ByEquality(PASSWORD), ByEquality("other")),
        (BearerAuth(PASSWORD), BearerAuth("other")),
        (BearerAuth(PASSWORD), BearerAuth(provider)),
        (None, ANONYMOUS),
    ],
    ids=lambda auth: type(auth).__name__,
)
def test_other_auths_have_pools_of_their_own(one: Any, other: Any) -> None:
    assert not same_pool(("https://h", one), ("https://h", other))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Unhashable(PASSWORD),
        lambda: OwnBasicAuth("user", PASSWORD),
        lambda: ["user", PASSWORD],
        lambda: {"user": PASSWORD},
    ],
)
def test_any_other_auth_is_known_by_identity(make: Callable[[], Any]) -> None:
    one, equal = make(), make()
    assert one == equal
    assert not same_pool(("https://h", one), ("https://h", equal))
    assert same_pool(("https://h", one), ("https://h", one))


def test_an_auth_known_by_identity_lives_as_long_as_its_pool() -> None:
    """Else a new object at the old one's address would be taken for it."""
    hook = Maker()
    manager = quiet(hook)
    for _ in range(50):
        manager.find("https://h", ["user", PASSWORD])
    assert len(manager.conns) == len(hook.asked) == 50


def test_a_bearer_auth_keeps_its_pool_when_its_token_is_renewed() -> None:
    tokens = iter(("one", "two"))
    auth = BearerAuth(lambda: next(tokens))
    manager = quiet(Maker())
    before = manager.find("https://h", auth)
    assert auth.token() == "one"
    assert auth.renewed("one") == "two"
    assert manager.find("https://h", auth) is before


def test_the_auth_is_passed_to_hooks_untouched() -> None:
    hook = Maker()
    auth = HTTPBasicAuth("user", PASSWORD)
    quiet(hook).find("https://h", auth)
    assert hook.asked[0][1] is auth


@given(st.text(), st.text())
def test_auths_of_requests_share_a_pool_just_when_they_are_equal(one: str, other: str) -> None:
    for cls in (HTTPBasicAuth, HTTPDigestAuth):
        shared = same_pool(("h", cls("user", one)), ("h", cls("user", other)))
        assert shared is (one == other)


# --- keys as values ----------------------------------------------------------------------


def keys_of(*pairs: tuple[Any, Any]) -> list[Any]:
    manager = quiet()
    for host, auth in pairs:
        manager.add(host, auth, Plain())
    return list(manager.conns)


def test_a_key_is_a_pair_as_it_was_first_given() -> None:
    (key,) = keys_of(("HTTPS://h/", ("user", PASSWORD)))
    host, auth = key
    assert (host, auth) == (key[0], key[1]) == ("HTTPS://h/", ("user", PASSWORD))
    assert len(key) == 2


def test_equal_keys_have_equal_hashes() -> None:
    (one,) = keys_of(("https://h", HTTPBasicAuth("user", PASSWORD)))
    (other,) = keys_of(("HTTPS://H:443/", HTTPBasicAuth("user", PASSWORD)))
    (third,) = keys_of(("https://h", HTTPBasicAuth("user", "other")))
    assert one == other
    assert hash(one) == hash(other)
    assert one != third
    assert len({one, other, third}) == 2


def test_a_plain_pair_that_is_in_a_set_of_keys_is_found_in_it() -> None:
    """A 2.0 script may have done so with `dict(manager.conns)`."""
    pair = ("https://h", ("user", PASSWORD))
    (key,) = keys_of(pair)
    assert key == pair
    assert pair in set(keys_of(pair, ("other", None)))
    assert pair in keys_of(pair, ("other", None))
    assert key != ("https://h", None)


@pytest.mark.parametrize(
    ("kept", "spelled"),
    [
        (("https://h", ANONYMOUS), ("HTTPS://H:443/", ANONYMOUS)),
        (("https://H/", ANONYMOUS), ("https://h", ANONYMOUS)),
        (("op", HTTPBasicAuth("user", PASSWORD)), ("op", HTTPBasicAuth("user", PASSWORD))),
        (("op", AN_UNHASHABLE), ("op", AN_UNHASHABLE)),
    ],
)
def test_a_key_equals_every_pair_that_spells_it(
    kept: tuple[Any, Any], spelled: tuple[Any, Any]
) -> None:
    manager = quiet()
    manager.add(*kept, Plain())
    (key,) = manager.conns
    assert key == spelled == key
    assert spelled in list(manager.conns)
    assert spelled in manager.conns.keys()  # noqa: SIM118 - it is the view that is asked
    assert (spelled, manager.conns[spelled]) in manager.conns.items()


def test_a_key_has_the_hash_of_its_canonical_spelling() -> None:
    (key,) = keys_of(("HTTPS://H:443/", ("a", "b")))
    assert hash(key) == hash(("https://h", ("a", "b")))
    # Equal all the same, but a dict looks where its hash says.
    assert ("HTTPS://H:443/", ("a", "b")) not in dict.fromkeys([key])


@pytest.mark.parametrize(
    "other", [None, 5, "https://h", ("https://", None), ("a", "b", "c"), (["h"], None), []]
)
def test_comparing_a_key_with_anything_else_says_no(other: Any) -> None:
    (key,) = keys_of(("https://h", None))
    assert key != other
    assert other != key


@pytest.mark.parametrize(
    "auth",
    [
        ("user", PASSWORD),
        (PASSWORD, ""),
        HTTPBasicAuth("user", PASSWORD),
        HTTPDigestAuth("user", PASSWORD),
        BearerAuth(PASSWORD),
        Unhashable(PASSWORD),
        ByEquality(PASSWORD),
        PASSWORD,
        [PASSWORD],
        {"user": PASSWORD},
    ],
    ids=lambda auth: type(auth).__name__,
)
def test_no_repr_of_a_key_shows_a_secret(auth: Any) -> None:
    (key,) = keys_of((f"https://h/{'x'}", auth))
    shown = f"{key!r} {key!s} {[key]!r} { ({key: 1})!r}"
    assert PASSWORD not in shown
    assert "https://h" in shown


@pytest.mark.parametrize(
    "host",
    [
        f"user:{PASSWORD}@h",
        f"{PASSWORD}@h",
        f"db://user:{PASSWORD}@h/x",
        f"db://h/x?password={PASSWORD}",
        f"db:?token={PASSWORD}",
        ("h", PASSWORD),
    ],
    ids=str,
)
def test_no_repr_of_an_opaque_host_shows_its_userinfo_or_a_secret_parameter(host: Any) -> None:
    (key,) = keys_of((host, None))
    assert PASSWORD not in repr(key)


# --- pruning -----------------------------------------------------------------------------


def reasons(witness: Witness) -> list[tuple[str, str]]:
    return [(evicted.pool.host, evicted.reason) for evicted in witness.of(PoolEvicted)]


def test_by_default_no_pool_is_ever_idle_for_too_long() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(Maker(), clock=clock, observers=[witness])
    manager.find("a", None)
    clock.now += 1e9
    manager.find("b", None)
    assert reasons(witness) == []
    assert len(manager.conns) == 2


def test_a_pool_idle_for_that_long_is_pruned_when_the_manager_is_used() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(Maker(), idle=60, clock=clock, observers=[witness])
    manager.find("a", None)
    clock.now += 1
    manager.find("b", None)
    clock.now += 58.5
    manager.find("c", None)
    assert reasons(witness) == []
    clock.now += 0.5
    manager.find("d", None)
    assert reasons(witness) == [("a", "idle")]
    clock.now += 1
    manager.find("e", None)
    assert reasons(witness) == [("a", "idle"), ("b", "idle")]


@pytest.mark.parametrize("auth", [None, []], ids=["hashable", "unhashable"])
def test_a_manager_that_only_hits_prunes_too(auth: Any) -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(Maker(), idle=60, clock=clock, observers=[witness])
    manager.find("idle", None)
    manager.find("busy", auth)
    for _ in range(7):
        clock.now += 10
        manager.find("busy", auth)
    assert reasons(witness) == [("idle", "idle")]


def test_what_add_put_in_is_never_pruned() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(Maker(), idle=60, max_pools=2, clock=clock, observers=[witness])
    added = Closable()
    manager.add("added", None, added)
    clock.now += 1000
    for host in "abcd":
        clock.now += 1
        manager.find(host, None)
    assert ("added", None) in manager.conns
    assert added.closed == 0
    assert len(manager.conns) == 2
    assert reasons(witness) == [("a", "max_pools"), ("b", "max_pools"), ("c", "max_pools")]


def test_one_that_a_hook_made_has_room_however_many_add_put_in() -> None:
    hook, clock, witness = Maker(), SteppedClock(), Witness()
    manager = quiet(hook, max_pools=1, clock=clock, observers=[witness])
    for host in "abc":
        manager.add(host, None, Plain())
    for _ in range(3):
        clock.now += 10
        manager.find("d", None)
    assert len(hook.asked) == 1
    assert len(manager.conns) == 4
    clock.now += 10
    manager.find("e", None)
    assert reasons(witness) == [("d", "max_pools")]


@pytest.mark.parametrize("stay", [10, 400], ids=["most go", "most stay"])
def test_of_very_many_pools_just_those_are_pruned_that_are_idle(stay: int) -> None:
    hook, clock, witness = Maker(), SteppedClock(0.0), Witness()
    manager = quiet(hook, idle=60, max_pools=0, clock=clock, observers=[witness])
    manager.add("added", None, Plain())
    for number in range(200 + stay):
        clock.now += 0.01
        manager.find(str(number), None)
    clock.now = 50.0
    # In an order of their own: who was used since is not idle, whoever came before.
    for number in reversed(range(200, 200 + stay)):
        manager.find(str(number), None)
    clock.now = 75.0
    manager.find("200", None)
    assert reasons(witness) == [(str(number), "idle") for number in range(200)]
    kept = {host for host, _ in manager.conns}
    assert kept == {"added", *map(str, range(200, 200 + stay))}
    established = len(hook.asked)
    for host in kept:
        manager.find(host, None)
    assert len(hook.asked) == established
    clock.now = 1000.0
    manager.find("added", None)
    assert len(manager.conns) == 1


def test_an_add_prunes_too() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(Maker(), idle=60, clock=clock, observers=[witness])
    manager.find("a", None)
    clock.now += 60
    manager.add("added", None, Plain())
    assert reasons(witness) == [("a", "idle")]


@pytest.mark.parametrize("idle", [0.1, 60.0])
@pytest.mark.parametrize("auth", [None, []], ids=["hashable", "unhashable"])
def test_a_find_of_a_pool_that_is_idle_for_too_long_establishes_it_anew(
    auth: Any, idle: float
) -> None:
    clock, witness, hook = SteppedClock(now=0.0), Witness(), Maker()
    manager = quiet(hook, idle=idle, clock=clock, observers=[witness])
    old = manager.find("a", auth)
    clock.now += idle * 0.75
    assert manager.find("a", auth) is old
    clock.now += idle
    assert manager.find("a", auth) is not old
    assert reasons(witness) == [("a", "idle")]
    manager.reset()
    assert witness.lookups() == {"miss": 2, "hit": 1}
    assert len(hook.asked) == 2


def test_a_hit_prunes_what_is_idle_to_the_moment() -> None:
    clock, witness = SteppedClock(now=0.0), Witness()
    manager = quiet(Maker(), idle=0.5, clock=clock, observers=[witness])
    manager.find("busy", None)
    manager.find("a", None)
    for _ in range(7):
        clock.now += 0.0625
        manager.find("busy", None)
    assert reasons(witness) == []
    clock.now += 0.0625
    manager.find("busy", None)
    assert reasons(witness) == [("a", "idle")]


def test_a_find_of_what_add_put_in_is_a_hit_however_long_it_was_idle() -> None:
    clock, hook, added = SteppedClock(), Maker(), Plain()
    manager = quiet(hook, idle=60, clock=clock)
    manager.add("a", None, added)
    clock.now += 1000
    assert manager.find("a", None) is added
    assert hook.asked == []


def test_pools_that_were_replaced_are_not_kept_alive_by_one_that_stays() -> None:
    class Forgetful:
        def connect(self, host: Any, auth: Any) -> Any:
            del host, auth
            return Plain()

    manager = quiet(Forgetful())
    manager.find("stays", None)
    replaced = []
    for number in range(100):
        replaced.append(weakref.ref(manager.find(number, None)))
        manager.add(number, None, Plain())
    assert sum(ref() is not None for ref in replaced) <= 20


def test_what_a_hook_made_is_never_pruned_once_add_has_put_it_in() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(Maker(), idle=60, clock=clock, observers=[witness])
    manager.add("a", None, manager.find("a", None))
    clock.now += 1000
    manager.find("b", None)
    assert reasons(witness) == []


def test_beyond_max_pools_the_least_recently_used_goes_first() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(Maker(), max_pools=3, clock=clock, observers=[witness])
    for host in ("a", "b", "c", "a", "b", "d", "a", "e", "f"):
        clock.now += 1
        manager.find(host, None)
    assert reasons(witness) == [("c", "max_pools"), ("b", "max_pools"), ("d", "max_pools")]
    assert {host for host, _ in manager.conns} == {"a", "e", "f"}


def test_a_max_pools_of_zero_is_no_limit() -> None:
    manager = quiet(Maker(), max_pools=0)
    for number in range(300):
        manager.find(f"h{number}", None)
    assert len(manager.conns) == 300


def test_a_prune_is_counted_and_the_pools_are() -> None:
    registry, clock = CollectorRegistry(), SteppedClock()
    manager = quiet(Maker(), max_pools=1, idle=10, registry=registry, clock=clock)
    manager.find("a", ("user", PASSWORD))
    manager.find("b", ("user", PASSWORD))
    clock.now += 10
    manager.find("c", ("user", PASSWORD))
    count = registry.get_sample_value
    labels = {"auth": "basic"}
    name = "sleepwalker_pool_evictions_total"
    assert count(name, labels | {"host": "a", "reason": "max_pools"}) == 1
    assert count(name, labels | {"host": "b", "reason": "max_pools"}) == 1
    assert not count(name, labels | {"host": "b", "reason": "idle"})
    assert count("sleepwalker_pools") == 1


def test_a_pruned_connection_of_ours_is_closed_and_a_foreign_object_only_forgotten() -> None:
    clock, foreign = SteppedClock(), Closable()
    ours = Connection("https://h", ANONYMOUS, clock=clock)
    made = {"ours": ours, "foreign": foreign, "c": Plain(), "d": Plain()}
    manager = quiet(Maker(lambda host, _auth: made[host]), max_pools=1, clock=clock)
    for host in made:
        clock.now += 1
        manager.find(host, None)
    assert "closed" in repr(ours)
    assert foreign.closed == 0
    assert len(manager.conns) == 1


class Answers(BaseAdapter):
    """Answers at once, without a socket, after having moved the clock."""

    def __init__(self, clock: SteppedClock, takes: float) -> None:
        super().__init__()
        self._clock, self._takes = clock, takes

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self._clock.now += self._takes
        response = requests.Response()
        response.status_code, response.request, response.url = 204, request, request.url or ""
        response.raw = None
        return response

    def close(self) -> None:
        pass


def answering(clock: SteppedClock, takes: float = 0.0) -> DirectHook:
    """Give a hook whose connections answer all by themselves."""

    class Hook(DirectHook):
        def connect(self, host: Any, auth: Any) -> Connection | None:
            conn = super().connect(host, auth)
            assert conn is not None
            conn.session.mount("https://", Answers(clock, takes))
            return conn

    return Hook(clock=clock)


def test_a_connection_that_is_used_without_being_found_is_not_idle() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(answering(clock), idle=60, max_pools=2, clock=clock, observers=[witness])
    held = manager.find("https://held", ANONYMOUS)
    clock.now += 1
    manager.find("https://other", ANONYMOUS)
    clock.now += 58
    held.request("GET", "/")
    clock.now += 1
    manager.find("https://third", ANONYMOUS)
    assert reasons(witness) == [("https://other", "max_pools")]
    clock.now += 59
    manager.find("https://third", ANONYMOUS)
    assert reasons(witness)[1:] == [("https://held", "idle")]


def test_a_request_in_flight_keeps_its_pool_from_being_idle_and_not_the_pools_behind_it() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(answering(clock), idle=60, clock=clock, observers=[witness])
    busy = manager.find("https://busy", ANONYMOUS)
    clock.now += 1
    manager.find("https://behind", ANONYMOUS)

    def meanwhile(response: requests.Response, **_: Any) -> None:
        del response
        clock.now += 100
        manager.find("https://third", ANONYMOUS)

    busy.request("GET", "/", hooks={"response": meanwhile})
    assert reasons(witness) == [("https://behind", "idle")]
    assert ("https://busy", ANONYMOUS) in manager.conns
    assert manager.reset(idle=60) == ResetReport(closed=0, draining=0, forgotten=0, failed=0)


def test_a_pool_with_a_request_in_flight_was_used_when_that_began() -> None:
    clock, witness = SteppedClock(), Witness()
    manager = quiet(answering(clock), max_pools=2, clock=clock, observers=[witness])
    busy = manager.find("https://busy", ANONYMOUS)
    clock.now += 1
    manager.find("https://younger", ANONYMOUS)
    clock.now += 1

    def meanwhile(response: requests.Response, **_: Any) -> None:
        del response
        for host in ("https://youngest", "https://last"):
            clock.now += 1
            manager.find(host, ANONYMOUS)

    busy.request("GET", "/", hooks={"response": meanwhile})
    assert reasons(witness) == [("https://younger", "max_pools"), ("https://busy", "max_pools")]


def test_a_pool_just_established_stays_although_all_others_are_in_use() -> None:
    """Else every later find would run the hook, and with it maybe a log-in, again."""
    clock, witness = SteppedClock(), Witness()
    hook = answering(clock)
    manager = quiet(hook, max_pools=1, clock=clock, observers=[witness])
    busy = manager.find("https://a", ANONYMOUS)
    found: list[Any] = []

    def meanwhile(response: requests.Response, **_: Any) -> None:
        del response
        clock.now += 1
        found.extend(manager.find("https://b", ANONYMOUS) for _ in range(2))

    assert busy.request("GET", "/", hooks={"response": meanwhile}).status_code == 204
    assert found[0] is found[1] is manager.find("https://b", ANONYMOUS)
    assert reasons(witness) == [("https://a", "max_pools")]
    assert "closed" in repr(busy)
    assert "closed" not in repr(found[0])


def test_a_pool_just_established_stays_although_another_was_used_since() -> None:
    clock, witness = SteppedClock(), Witness()

    class Meanwhile:
        """A request on the other pool, before this find is through."""

        def record(self, event: object) -> None:
            if event == PoolsChanged(1) and witness.lookups():
                clock.now += 1
                manager.conns["https://a", ANONYMOUS].request("GET", "/")

    manager = quiet(answering(clock), max_pools=1, clock=clock, observers=[witness, Meanwhile()])
    manager.find("https://a", ANONYMOUS)
    manager.find("https://b", ANONYMOUS)
    assert reasons(witness) == [("https://a", "max_pools")]


# --- the law of pruning ------------------------------------------------------------------


@pytest.mark.parametrize("moment", range(1, 9))
@pytest.mark.parametrize("finds", [True, False])
def test_a_call_in_the_middle_of_pruning_finds_and_leaves_it_whole(
    moment: int, *, finds: bool
) -> None:
    class Interrupted(Connection):
        """Where it is asked when it was used, a signal handler comes by, once."""

        @property
        def last_used(self) -> float:
            asked.append(1)
            if len(asked) == moment:
                manager.reset()
                if finds:
                    manager.find("https://handler", ANONYMOUS)
            return super().last_used

    asked: list[int] = []
    hook = Maker(lambda host, auth: Interrupted(host, auth, registry=False))
    manager = quiet(hook, max_pools=2, idle=60)
    for number in range(4):
        manager.find(f"https://h{number}", ANONYMOUS)
    assert len(asked) >= moment
    manager.find("https://last", ANONYMOUS)
    assert ("https://last", ANONYMOUS) in manager.conns
    assert len(manager.conns) <= 2


HOSTS = [f"https://h{n}" for n in range(6)]


class Pruning(RuleBasedStateMachine):
    """The manager beside a model: pools in the order of their last use, those of `add` apart.

    Every step happens at a time of its own. What is evicted must be the model's first, for a reason
    that holds; after a miss or an `add` nothing is left that should have been evicted. Who is found
    after having been idle for too long is evicted before all others, and established anew.
    """

    @initialize(
        idle=st.sampled_from([None, 5.0, 20.0]),
        most=st.sampled_from([0, 1, 2, 3, 5]),
        more=st.booleans(),
    )
    def begin(self, idle: float | None, most: int, more: bool) -> None:  # noqa: FBT001 - hypothesis hands it over by name
        self.clock, self.idle, self.most = SteppedClock(), idle, most
        self.witness = Witness()
        self.told = 0
        hook: Any = answering(self.clock, takes=0.25) if more else Maker()
        self.manager = quiet(
            hook, idle=idle, max_pools=most, clock=self.clock, observers=[self.witness]
        )
        self.pools: OrderedDict[str, float] = OrderedDict()
        self.added: set[str] = set()
        self.ours = more

    def touch(self, host: str) -> None:
        self.pools[host] = self.clock.now
        self.pools.move_to_end(host)

    def first(self) -> tuple[str, str] | None:
        """What should go next, and why."""
        for host, used in self.pools.items():
            if host not in self.added:
                made = self.pools.keys() - self.added
                if 0 < self.most < len(self.pools) and len(made) > 1:
                    return host, "max_pools"
                if self.idle is not None and self.clock.now - used >= self.idle:
                    return host, "idle"
                return None
        return None

    def follow(self) -> None:
        """Do in the model what the manager says it did."""
        evicted = self.witness.of(PoolEvicted)
        for event in evicted[self.told :]:
            assert (event.pool.host, event.reason) == self.first()
            del self.pools[event.pool.host]
        self.told = len(evicted)

    @rule(host=st.sampled_from(HOSTS), pause=st.sampled_from([0.125, 1.0, 4.0, 30.0]))
    def find(self, host: str, pause: float) -> None:
        self.clock.now += pause
        miss = host not in self.pools
        if not miss and host not in self.added and self.idle is not None:
            miss = self.clock.now - self.pools[host] >= self.idle
        self.manager.find(host, ANONYMOUS)
        if miss and host in self.pools:
            gone = self.witness.of(PoolEvicted)[self.told]
            assert (gone.pool.host, gone.reason) == (host, "idle")
            del self.pools[host]
            self.told += 1
        self.touch(host)
        self.follow()
        if miss:
            assert self.first() is None

    @rule(host=st.sampled_from(HOSTS))
    def add(self, host: str) -> None:
        self.clock.now += 0.125
        replaced = [(host, "replaced")] if host in self.pools else []
        self.manager.add(host, ANONYMOUS, Plain())
        told = self.witness.of(PoolEvicted)[self.told :][: len(replaced)]
        assert [(event.pool.host, event.reason) for event in told] == replaced
        self.told += len(told)
        self.touch(host)
        self.added.add(host)
        self.follow()
        assert self.first() is None

    @precondition(lambda self: self.ours)
    @rule(host=st.sampled_from(HOSTS))
    def use(self, host: str) -> None:
        if host in self.pools and host not in self.added:
            self.clock.now += 0.125
            self.manager.conns[host, ANONYMOUS].request("GET", "/")
            self.touch(host)
            self.follow()

    @rule(age=st.sampled_from([0.125, 5.0, 20.0]))
    def reset_idle(self, age: float) -> None:
        self.clock.now += 0.125
        self.follow()
        gone = [host for host, used in self.pools.items() if self.clock.now - used >= age]
        report = self.manager.reset(idle=age)
        assert sum(report) == len(gone)
        self.forget(gone)

    @rule()
    def reset(self) -> None:
        self.clock.now += 0.125
        assert sum(self.manager.reset()) == len(self.pools)
        self.forget(list(self.pools))

    def forget(self, gone: list[str]) -> None:
        for host in gone:
            del self.pools[host]
            self.added.discard(host)
        self.told = len(self.witness.of(PoolEvicted))

    @invariant()
    def the_same_pools_are_there(self) -> None:
        if hasattr(self, "pools"):
            assert {host for host, _ in self.manager.conns} == set(self.pools)


TestTheLawOfPruning = Pruning.TestCase
TestTheLawOfPruning.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
