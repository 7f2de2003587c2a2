"""The manager beside a plain model, while threads find, wait, add, reset and close.

Rules:

1. Every find has a thread of its own. It stops wherever a hook is asked, and does there what it is
   ordered to: answer, fail, or use the manager from within the hook. So hypothesis chooses who is
   in the middle of what, and nothing hangs on timing.
2. One order is one step, at a time of its own. A step is over when everyone is at rest again: asked
   something, waiting for another's establishment, or done.
3. The model says what must come of a step, to whom; then it is compared with all that the manager
   shows and tells.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from prometheus_client import CollectorRegistry
from requests.auth import HTTPBasicAuth

from sleepwalker import (
    ANONYMOUS,
    ClosedError,
    Connection,
    EstablishmentError,
    Policy,
    ReentrantFindError,
)
from sleepwalker.connection import ResetReport
from sleepwalker.observability.events import (
    CloseFailed,
    ConnectionEstablished,
    ConnectionFailed,
    EstablishmentAwaited,
    HookCalled,
    LookedUp,
    ManagerReset,
    PoolEvicted,
    PoolsChanged,
)
from sleepwalker.testing import FakeClock, RecordingObserver
from tests.crew import PATIENCE, Closable, Job, Plain, quiet

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker import ConnectionManager
    from sleepwalker.observability.events import Event

ATTEMPTS: Final = 2
"""How often a hook is called before what may pass has failed it."""
ACTORS: Final = 4
"""How many finds may be under way at once."""


class Key(NamedTuple):
    """A pool, as it is told of, and how callers may spell it."""

    host: str
    spellings: tuple[tuple[Any, Any], ...]


KEYS: Final = (
    Key(
        "https://a.example",
        (
            ("https://a.example", ("u", "planted")),
            ("https://A.example/", ("u", "planted")),
            ("HTTPS://a.example:443", ("u", "planted")),
        ),
    ),
    Key(
        "https://a.example",
        (
            # Which can't be hashed, and are equal.
            ("https://a.example", HTTPBasicAuth("u", "planted")),
            ("https://a.example/", HTTPBasicAuth("u", "planted")),
        ),
    ),
    Key(
        "https://a.example/v1",
        (("https://a.example/v1", ANONYMOUS), ("https://a.example:443/v1/", ANONYMOUS)),
    ),
    Key("books", (("books", ANONYMOUS),)),
)


class Bad(Plain):
    """Its `close` raises."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
        raise RuntimeError("can't")


# --- who finds -----------------------------------------------------------------------------

Found: TypeAlias = tuple[Any, ...]
"""What came of a find: ``("conn", it)``, ``("failed", outcomes)`` or what refused it."""
Notice: TypeAlias = tuple[Any, ...]
"""Where somebody is: ``("asked", hook, attempt)``, ``("waits",)``, ``("found", Found)`` or, when
he did something else, ``("did", result)``."""

HERE: Final = threading.local()
"""The actor whose thread this is."""


class Actor:
    """A find in a thread of its own, and what it does in the hooks that it asks."""

    def __init__(self, number: int, stage: Stage, key: Key, spelling: int) -> None:
        self.number, self._stage = number, stage
        self._orders: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self.job = Job(lambda: self._begin(key, spelling))

    def order(self, order: Callable[[], Any]) -> None:
        """Have the hook that is asked now do something; `Answer`, raised by it, ends the hook."""
        self._orders.put(order)

    def find(self, key: Key, spelling: int) -> None:
        """Find, and tell what came of it."""
        pair = key.spellings[spelling % len(key.spellings)]
        self._stage.pairs.setdefault(self.number, []).append(pair)
        found: Found
        try:
            found = "conn", self._stage.manager.find(*pair)
        except ClosedError:
            found = ("closed",)
        except ReentrantFindError:
            found = ("reentrant",)
        except EstablishmentError as error:
            found = "failed", tuple((o.hook, o.outcome, o.attempts) for o in error.outcomes)
            self._stage.failures.append(error)
        self._stage.pairs[self.number].pop()
        self.tell("found", found)

    def asked(self, hook: str, host: Any, auth: Any) -> Any:
        """Be in a hook: do as ordered until it is to answer."""
        asked_for = self._stage.pairs[self.number][-1]
        assert (host, auth) == asked_for, "a hook gets what was given to find, untouched"
        assert auth is asked_for[1]
        self.tell("asked", hook)
        while True:
            try:
                self._orders.get(timeout=60)()
            except Answer as answer:
                if isinstance(answer.conn, Exception):
                    raise answer.conn from None
                return answer.conn

    def tell(self, *notice: Any) -> None:
        """Say where one is."""
        self._stage.notices.put((self.number, notice))

    def _begin(self, key: Key, spelling: int) -> None:
        HERE.actor = self
        self.find(key, spelling)


class Answer(Exception):  # noqa: N818 - no error: it ends a hook
    """What a hook is to answer: a connection, `None`, or an exception to be raised."""

    def __init__(self, conn: Any) -> None:
        super().__init__()
        self.conn = conn

    def give(self) -> None:
        """Be raised."""
        raise self


class Stage:
    """Where actors play: the manager, and what they tell. An observer of the manager as well."""

    manager: ConnectionManager

    def __init__(self) -> None:
        self.notices: queue.SimpleQueue[tuple[int, Notice]] = queue.SimpleQueue()
        self.pairs: dict[int, list[tuple[Any, Any]]] = {}
        """What each actor finds, the innermost last."""
        self.failures: list[EstablishmentError] = []

    def record(self, event: Event) -> None:
        """Note who begins to wait for another's establishment."""
        if isinstance(event, LookedUp) and event.result == "coalesced":
            HERE.actor.tell("waits")

    def hook(self, number: int) -> Any:
        """A hook under a name of its own: whatever it is asked, the actor that asks it answers."""

        def connect(_: Any, host: Any, auth: Any) -> Any:
            return HERE.actor.asked(f"Hook{number}", host, auth)

        return type(f"Hook{number}", (), {"connect": connect})()


# --- the model -----------------------------------------------------------------------------


@dataclass(eq=False)
class Pool:
    """A connection that is there."""

    conn: Any
    used: float
    added: bool = False


@dataclass(eq=False)
class Establishment:
    """A find that asks the hooks, and who waits for what comes of it."""

    key: int
    leader: int
    generation: int
    hooks: tuple[str, ...]
    asked: int = 0
    attempt: int = 1
    outcomes: tuple[tuple[str, str, int], ...] = ()
    waiting: list[int] = field(default_factory=list)


Expected: TypeAlias = dict[int, Notice]


class Model:
    """What the manager must do, as one reads it in its documentation. One thread, no locks."""

    def __init__(self, idle: float | None, most: int, hooks: int) -> None:
        self.idle, self.most, self.now = idle, most, 0.0
        self.hooks = tuple(f"Hook{number}" for number in range(hooks))
        self.pools: dict[int, Pool] = {}
        self.generation, self.closed = 0, False
        self.establishing: dict[int, Establishment] = {}
        """Those that finds wait for: none from before a reset."""
        self.leads: dict[int, list[Establishment]] = {}
        """By actor, the innermost last."""
        self.waits: dict[int, Establishment] = {}
        self.may_prune = False
        """Whether the manager may, but need not, have pruned in this step."""
        # What is told and counted.
        self.lookups: Counter[str] = Counter()
        self.calls: Counter[tuple[str, int, str]] = Counter()
        self.evicted: list[tuple[str, str]] = []
        self.established = self.failed = self.awaited = self.close_failed = 0
        self.reports: list[ResetReport] = []
        # What became of the objects, by identity.
        self.holders: Counter[int] = Counter()
        self.shut: set[int] = set()
        """Connections of ours that nobody holds any more."""
        self.closes: Counter[int] = Counter()
        """How often others were closed."""

    # Finding

    def find(self, me: int, key: int) -> Expected:
        """An actor finds."""
        pool = self.pools.get(key)
        if pool is not None and self.is_idle(pool):
            self.evict(key, "idle")
            pool = None
        if pool is not None:
            self.lookups["hit"] += 1
            pool.used = self.now
            self.prune()
            return {me: ("found", ("conn", pool.conn))}
        if self.closed:
            return {me: ("found", ("closed",))}
        other = self.establishing.get(key)
        if any(mine.key == key for mine in self.leads.get(me, ())) or self.waits_for_me(me, other):
            return {me: ("found", ("reentrant",))}
        if other is not None:
            self.lookups["coalesced"] += 1
            self.waits[me] = other
            other.waiting.append(me)
            return {me: ("waits",)}
        mine = Establishment(key, me, self.generation, self.hooks)
        self.establishing[key] = mine
        self.leads.setdefault(me, []).append(mine)
        return self.ask(mine)

    def waits_for_me(self, me: int, other: Establishment | None) -> bool:
        """Whether an establishment would be over only when I am."""
        while other is not None and other.leader != me:
            other = self.waits.get(other.leader)
        return other is not None

    def ask(self, mine: Establishment) -> Expected:
        """Go on with the next hook, if there is one."""
        if mine.asked < len(mine.hooks):
            return {mine.leader: ("asked", mine.hooks[mine.asked])}
        self.failed += 1
        there = self.pools.get(mine.key)
        if there is None:
            return self.end(mine, ("failed", mine.outcomes))
        there.used = self.now
        return self.end(mine, ("conn", there.conn))

    def answer(self, me: int, answer: Any) -> Expected:
        """The hook that an actor asks answers: a connection, `None`, or an exception."""
        mine = self.leads[me][-1]
        hook, attempt = mine.hooks[mine.asked], mine.attempt
        failed = isinstance(answer, Exception)
        outcome = "failed" if failed else "declined" if answer is None else "connected"
        self.calls[hook, attempt, outcome] += 1
        if outcome == "connected":
            self.established += 1
            return self.end(mine, ("conn", self.keep(mine, answer)))
        if isinstance(answer, OSError) and attempt < ATTEMPTS:
            mine.attempt += 1
        else:
            mine.outcomes += ((hook, outcome, attempt),)
            mine.asked, mine.attempt = mine.asked + 1, 1
        return self.ask(mine)

    def keep(self, mine: Establishment, conn: Any) -> Any:
        """What everyone gets for what a hook gave."""
        stale = self.closed or mine.generation != self.generation
        self.hold(conn)
        there = self.pools.get(mine.key)
        if there is not None and (there.added or not stale):
            self.release(conn)
            there.used = self.now
            return there.conn
        if stale:
            self.release(conn)
            return conn
        self.pools[mine.key] = Pool(conn, self.now)
        self.prune()
        return conn

    def end(self, mine: Establishment, found: Found) -> Expected:
        """Everyone gets the same."""
        assert self.leads[mine.leader].pop() is mine
        if self.establishing.get(mine.key) is mine:
            del self.establishing[mine.key]
        self.lookups["miss"] += 1
        for waiting in mine.waiting:
            assert self.waits.pop(waiting) is mine
            self.awaited += 1
        # Who waited for it goes on while the manager tidies up: that may be left to the next.
        self.may_prune = bool(mine.waiting)
        if not self.may_prune:
            self.prune()
        return dict.fromkeys([mine.leader, *mine.waiting], ("found", found))

    # Adding and forgetting

    def add(self, key: int, conn: Any) -> str | None:
        """The name of the error that it raises, or `None`."""
        if self.closed:
            return "ClosedError"
        self.hold(conn)
        there = self.pools.pop(key, None)
        self.pools[key] = Pool(conn, self.now, added=True)
        if there is not None and there.conn is conn:
            self.release(conn)
        elif there is not None:
            self.release(there.conn)
            self.evicted.append((KEYS[key].host, "replaced"))
        self.prune()
        return None

    def reset(self, age: float | None) -> ResetReport:
        """Forget what is not in use, all or by age."""
        if age is None:
            self.generation += 1
            self.establishing.clear()
        gone = [k for k, p in self.pools.items() if age is None or self.now - p.used >= age]
        return self.forget(gone, "reset")

    def close(self) -> ResetReport:
        """Forget everything, for good."""
        self.closed = True
        return self.forget(list(self.pools), "closed")

    def forget(self, keys: list[int], reason: str) -> ResetReport:
        """Forget pools, and close all that nobody else has."""
        gone = [(key, self.pools.pop(key)) for key in keys]
        kept = {id(pool.conn) for pool in self.pools.values()}
        done: Counter[str] = Counter()
        for key, pool in gone:
            conn, what = pool.conn, "forgotten"
            self.evicted.append((KEYS[key].host, reason))
            if isinstance(conn, Connection):
                what = "closed" if self.release(conn) else what
            elif id(conn) not in kept:
                kept.add(id(conn))
                if isinstance(conn, Closable | Bad):
                    self.closes[id(conn)] += 1
                    what = "closed" if isinstance(conn, Closable) else "failed"
            done[what] += 1
        self.close_failed += done["failed"]
        report = ResetReport(done["closed"], 0, done["forgotten"], done["failed"])
        if gone or reason == "reset":
            self.reports.append(report)
        return report

    def is_idle(self, pool: Pool) -> bool:
        """Whether a pool is to be pruned for its age."""
        return self.idle is not None and not pool.added and self.now - pool.used >= self.idle

    def due(self) -> tuple[int, str] | None:
        """Who is to be pruned next, and why."""
        made = [(p.used, key) for key, p in self.pools.items() if not p.added]
        if not made:
            return None
        _, key = min(made)
        if 0 < self.most < len(self.pools) and len(made) > 1:
            return key, "max_pools"
        return (key, "idle") if self.is_idle(self.pools[key]) else None

    def prune(self) -> None:
        """Forget what is idle for too long or too much."""
        while (due := self.due()) is not None:
            self.evict(*due)

    def evict(self, key: int, reason: str) -> None:
        """Forget a pool, closing it only if it is ours."""
        self.release(self.pools.pop(key).conn)
        self.evicted.append((KEYS[key].host, reason))

    def hold(self, conn: Any) -> None:
        """A pool takes a connection."""
        if isinstance(conn, Connection):
            self.holders[id(conn)] += 1
            self.shut.discard(id(conn))

    def release(self, conn: Any) -> bool:
        """A pool lets go of a connection; whether it is closed by that."""
        if not isinstance(conn, Connection):
            return False
        self.holders[id(conn)] -= 1
        if self.holders[id(conn)]:
            return False
        self.shut.add(id(conn))
        return True


# --- the two side by side ------------------------------------------------------------------

KEY: Final = st.sampled_from([0, 0, 0, 1, 2, 3])
SPELLING: Final = st.integers(0, 2)
WHO: Final = st.integers(0, ACTORS - 1)
PAUSE: Final = st.sampled_from([1.25, 4.0, 12.0])
"""Seconds: more than the one in which hits are told at the latest, so that every use prunes."""
CONN: Final = st.sampled_from(["ours", "plain", "closable", "bad", "the same", "our same"])
ANSWER: Final = st.sampled_from(["declines", "fails", "may pass"])


class Managing(RuleBasedStateMachine):
    """What is ordered of the manager, and asked of the model."""

    failed = True
    """Until a step is over and was found to be as it should."""

    @initialize(
        idle=st.sampled_from([None, 6.0, 20.0]),
        most=st.sampled_from([0, 1, 2, 3]),
        hooks=st.integers(1, 2),
    )
    def begin(self, idle: float | None, most: int, hooks: int) -> None:
        self.clock, self.told, self.stage = FakeClock(), RecordingObserver(), Stage()
        self.registry = CollectorRegistry()
        self.manager = quiet(
            *map(self.stage.hook, range(hooks)),
            idle=idle,
            max_pools=most,
            policy=Policy(attempts=ATTEMPTS, backoff=None, quota=None, deadline=None),
            clock=self.clock,
            observers=[self.told, self.stage],
            registry=self.registry,
        )
        self.stage.manager = self.manager
        self.model = Model(idle, most, hooks)
        self.actors: dict[int, Actor] = {}
        self.number = 0
        self.things: list[Any] = []
        self.shared = {"the same": Closable(), "our same": self.connection()}
        self.things += self.shared.values()

    # Steps

    @rule(key=KEY, spelling=SPELLING, pause=PAUSE)
    @precondition(lambda self: len(self.actors) < ACTORS)
    def find(self, key: int, spelling: int, pause: float) -> None:
        self.begin_find(key, spelling, pause)

    @rule(key=KEY, spelling=SPELLING, conn=CONN, pause=PAUSE)
    @precondition(lambda self: len(self.actors) < ACTORS)
    def find_and_connect(self, key: int, spelling: int, conn: str, pause: float) -> None:
        number = self.begin_find(key, spelling, pause)
        if self.model.leads.get(number):
            self.give(number, self.thing(conn))

    @rule(who=WHO, spelling=SPELLING, pause=PAUSE)
    @precondition(lambda self: self.model.establishing and len(self.actors) < ACTORS)
    def find_what_is_being_established(self, who: int, spelling: int, pause: float) -> None:
        keys = sorted(self.model.establishing)
        self.begin_find(keys[who % len(keys)], spelling, pause)

    @rule(who=WHO, conn=CONN, pause=PAUSE)
    @precondition(lambda self: self.asked())
    def connect(self, who: int, conn: str, pause: float) -> None:
        self.pass_time(pause)
        self.give(self.one_of(who), self.thing(conn))

    @rule(who=WHO, pause=PAUSE)
    @precondition(lambda self: self.asked())
    def connect_with_what_was_added(self, who: int, pause: float) -> None:
        number = self.one_of(who)
        there = self.model.pools.get(self.model.leads[number][-1].key)
        if there is not None:
            self.pass_time(pause)
            self.give(number, there.conn)

    @rule(who=WHO, answer=ANSWER, pause=PAUSE)
    @precondition(lambda self: self.asked())
    def decline_or_fail(self, who: int, answer: str, pause: float) -> None:
        errors = {"declines": None, "fails": ValueError("no"), "may pass": OSError("not now")}
        self.pass_time(pause)
        self.give(self.one_of(who), errors[answer])

    @rule(who=WHO, key=KEY, spelling=SPELLING, pause=PAUSE)
    @precondition(lambda self: self.asked())
    def find_in_a_hook(self, who: int, key: int, spelling: int, pause: float) -> None:
        number = self.one_of(who)
        self.pass_time(pause)
        actor = self.actors[number]
        actor.order(lambda: actor.find(KEYS[key], spelling))
        self.settle(self.model.find(number, key))

    @rule(who=WHO, other=WHO, spelling=SPELLING, pause=PAUSE)
    @precondition(lambda self: self.asked() and len(self.model.establishing) > 1)
    def find_what_others_establish_in_a_hook(
        self, who: int, other: int, spelling: int, pause: float
    ) -> None:
        me, establishing = self.one_of(who), self.model.establishing
        keys = sorted(key for key, each in establishing.items() if each.leader != me)
        if keys:
            self.find_in_a_hook(who, keys[other % len(keys)], spelling, pause)

    @rule(first=KEY, second=KEY, spelling=SPELLING, pause=PAUSE)
    @precondition(lambda self: len(self.actors) <= ACTORS - 2)
    def find_two_one_of_which_needs_the_other(
        self, first: int, second: int, spelling: int, pause: float
    ) -> None:
        number = self.begin_find(first, spelling, pause)
        self.begin_find(second, spelling, pause)
        if number in self.asked():
            self.find_in_a_hook(self.asked().index(number), second, spelling, pause)

    @rule(spelling=SPELLING, pause=PAUSE)
    @precondition(lambda self: self.circles())
    def find_what_waits_for_me_in_a_hook(self, spelling: int, pause: float) -> None:
        number, key = self.circles()[0]
        self.find_in_a_hook(self.asked().index(number), key, spelling, pause)

    @rule(who=WHO, conn=CONN, spelling=SPELLING, pause=PAUSE)
    @precondition(lambda self: self.asked())
    def add_own_key_in_a_hook(self, who: int, conn: str, spelling: int, pause: float) -> None:
        number = self.one_of(who)
        self.add_in(number, self.model.leads[number][-1].key, spelling, conn, pause)

    @rule(key=KEY, spelling=SPELLING, conn=CONN, pause=PAUSE)
    def add(self, key: int, spelling: int, conn: str, pause: float) -> None:
        self.add_in(None, key, spelling, conn, pause)

    @rule(who=WHO, spelling=SPELLING, conn=CONN, pause=PAUSE)
    @precondition(lambda self: self.model.establishing)
    def add_what_is_being_established(
        self, who: int, spelling: int, conn: str, pause: float
    ) -> None:
        keys = sorted(self.model.establishing)
        self.add_in(None, keys[who % len(keys)], spelling, conn, pause)

    @rule(pause=PAUSE)
    @precondition(lambda self: self.model.establishing)
    def forget_what_is_being_established(self, pause: float) -> None:
        self.pass_time(pause)
        assert self.manager.reset() == self.model.reset(None)

    @rule(age=st.sampled_from([None, 0, 2.0, 8.0, 20.0]), who=WHO, pause=PAUSE)
    @precondition(lambda self: self.model.pools or self.actors)
    def reset(self, age: float | None, who: int, pause: float) -> None:
        self.pass_time(pause)
        expected = self.model.reset(age)
        if who and self.asked():
            self.do_in(self.one_of(who), lambda: self.manager.reset(idle=age), expected)
        else:
            assert self.manager.reset(age) == expected

    @rule(number=st.sampled_from([0, 1, 2, 2]))
    @precondition(lambda self: self.number >= 3)
    def change_hooks(self, number: int) -> None:
        self.manager.clear_hooks()
        for each in range(number):
            self.manager.add_conn_hook(self.stage.hook(each))
        self.model.hooks = tuple(f"Hook{each}" for each in range(number))

    @rule(pause=PAUSE)
    @precondition(lambda self: self.number >= 10 and not self.model.closed)
    def close(self, pause: float) -> None:
        self.pass_time(pause)
        assert self.manager.close() == self.model.close()

    # How a step is made

    def pass_time(self, pause: float) -> None:
        self.clock.advance(pause)
        self.model.now = self.clock.monotonic()
        self.failed, self.model.may_prune = True, False

    def begin_find(self, key: int, spelling: int, pause: float) -> int:
        self.pass_time(pause)
        number, self.number = self.number, self.number + 1
        self.actors[number] = Actor(number, self.stage, KEYS[key], spelling)
        self.settle(self.model.find(number, key))
        return number

    def give(self, number: int, answer: Any) -> None:
        self.actors[number].order(Answer(answer).give)
        self.settle(self.model.answer(number, answer))

    def add_in(self, who: int | None, key: int, spelling: int, conn: str, pause: float) -> None:
        """Add in a hook that this actor asks, or (`None`) here."""
        self.pass_time(pause)
        spellings, thing = KEYS[key].spellings, self.thing(conn)

        def add() -> str | None:
            try:
                self.manager.add(*spellings[spelling % len(spellings)], thing)
            except ClosedError as error:
                return type(error).__name__
            return None

        expected = self.model.add(key, thing)
        if who is None:
            assert add() == expected
        else:
            self.do_in(who, add, expected)

    def do_in(self, number: int, do: Callable[[], Any], expected: Any) -> None:
        actor = self.actors[number]
        actor.order(lambda: actor.tell("did", do()))
        self.settle({number: ("did", expected)})

    def settle(self, expected: Expected) -> None:
        """Wait until all whom the model names are at rest, as it says they are."""
        came: Expected = {}
        for _ in expected:
            try:
                number, notice = self.stage.notices.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"{expected} should have come, but only {came} did") from None
            assert number not in came, (number, notice, came)
            came[number] = notice
        assert came == expected
        conns = [notice[1] for notice in came.values() if notice[0] == "found"]
        assert len({id(found[-1]) for found in conns if found[0] == "conn"}) <= 1
        for number, notice in came.items():
            if notice[0] == "found" and not self.model.leads.get(number):
                self.actors.pop(number).job.result()

    def asked(self) -> list[int]:
        """Who is in a hook and not waiting there."""
        leads = self.model.leads
        return [n for n in self.actors if leads.get(n) and n not in self.model.waits]

    def circles(self) -> list[tuple[int, int]]:
        """Who could find what would be there only when he is done: his number, and the key."""
        return [
            (number, key)
            for number in self.asked()
            for key, other in self.model.establishing.items()
            if other.leader != number and self.model.waits_for_me(number, other)
        ]

    def one_of(self, who: int) -> int:
        asked = self.asked()
        return asked[who % len(asked)]

    def connection(self) -> Connection:
        return Connection("https://z.example", ANONYMOUS, clock=self.clock, registry=False)

    def thing(self, kind: str) -> Any:
        if kind in self.shared:
            return self.shared[kind]
        made: dict[str, Callable[[], Any]] = {
            "ours": self.connection,
            "plain": Plain,
            "closable": Closable,
            "bad": Bad,
        }
        self.things.append(made[kind]())
        return self.things[-1]

    # What holds at rest

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        self.follow()
        self.pools_agree()
        self.objects_agree()
        self.events_agree()
        self.metrics_agree()
        assert self.stage.notices.empty()
        failures = self.stage.failures
        assert len(set(map(id, failures))) == len(failures), "each thread raises its own"
        self.failed = False

    def follow(self) -> None:
        """Prune in the model what the manager pruned, where that was left to it."""
        if self.model.may_prune and len(self.told.all(PoolEvicted)) > len(self.model.evicted):
            self.model.prune()
        self.model.may_prune = False

    def pools_agree(self) -> None:
        conns, pools = self.manager.conns, self.model.pools
        assert len(conns) == len(pools)
        for number, key in enumerate(KEYS):
            for pair in key.spellings:
                assert (pair in conns) == (number in pools)
                assert number not in pools or conns[pair] is pools[number].conn
        # In particular nothing that was put in by hand is ever pruned: the model does not.
        assert {id(conn) for conn in conns.values()} == {id(p.conn) for p in pools.values()}

    def objects_agree(self) -> None:
        model = self.model
        for thing in self.things:
            if isinstance(thing, Connection):
                assert thing._holders == model.holders[id(thing)]  # noqa: SLF001 - who holds it is shown nowhere
                assert ("closed" in repr(thing)) == (id(thing) in model.shut)
            elif isinstance(thing, Closable | Bad):
                assert thing.closed == model.closes[id(thing)]

    def events_agree(self) -> None:
        model, told = self.model, self.told
        evicted = [(event.pool.host, event.reason) for event in told.all(PoolEvicted)]
        assert evicted == model.evicted
        calls = Counter((e.hook, e.attempt, e.outcome) for e in told.all(HookCalled))
        assert calls == model.calls
        assert told.count(ConnectionEstablished) == model.established
        assert told.count(ConnectionFailed) == model.failed
        assert told.count(EstablishmentAwaited) == model.awaited
        assert told.count(CloseFailed) == model.close_failed
        assert [ResetReport(*event) for event in told.all(ManagerReset)] == model.reports
        assert sum(event.by for event in told.all(PoolsChanged)) == len(model.pools)

    def metrics_agree(self) -> None:
        lookups: Counter[str] = Counter()
        pools = 0.0
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == "sleepwalker_pool_lookups_total":
                    lookups[sample.labels["result"]] += int(sample.value)
                elif sample.name == "sleepwalker_pools":
                    pools = sample.value
        assert pools == len(self.model.pools)
        assert lookups["hit"] <= self.model.lookups["hit"]
        for result in ("miss", "coalesced"):
            assert lookups[result] == self.model.lookups[result]
        self.hits = lookups["hit"]

    def teardown(self) -> None:
        if self.failed:
            # Whoever stands in a hook is to leave it: the failure is what is told.
            for actor in getattr(self, "actors", {}).values():
                for _ in range(20):
                    actor.order(Answer(None).give)
            return
        while asked := self.asked():
            self.pass_time(1.25)
            self.give(asked[0], None)
            self.it_is_as_the_model_says()
        assert not self.actors
        self.close(1.25)
        self.it_is_as_the_model_says()
        assert self.hits == self.model.lookups["hit"]
        with suppress(ClosedError):
            raise AssertionError(self.manager.find("books", ANONYMOUS))


TestTheManagerBesideAModel = Managing.TestCase
# Not shrunk, for that takes minutes with threads that wait in vain: the steps of a failure are told
# as they were.
TestTheManagerBesideAModel.settings = settings(
    max_examples=80,
    stateful_step_count=30,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
