"""The pools of a manager: which (host, auth) pairs are one, and what is known of each.

Rules:

1. URL-like hosts that mean the same origin and base path are one; any other host is an opaque key.
2. Reading takes no lock; every change is made under the manager's lock, by the manager.
3. What a user gave as host or auth is hashed when a key is made, never under that lock.
4. The least recently used pool is found without looking at all of them.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sleepwalker import auth as _auth
from sleepwalker.exceptions import ConfigurationError, URLError
from sleepwalker.observability.redaction import DEFAULT as REDACTION

from . import _urls
from ._connection import is_ours, label_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sleepwalker.observability.events import Pool
    from sleepwalker.observability.redaction import Redaction
    from sleepwalker.observability.telemetry import Telemetry

ALIASES = 8
"""How many spellings of its key a pool remembers, beside the canonical one."""
SPARE = 16
"""How many forgotten pools may stand in the queue in any case."""


class Hashed(tuple[Any, Any]):  # noqa: SLOT001 - a sub-class of tuple can't have any slots
    """A pair that knows its hash: equal to the plain pair, and hashed once, when it is made.

    :raises TypeError: when a part of it has no hash
    """

    def __init__(self, _: tuple[Any, Any]) -> None:
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


class PoolKey:
    """A (host, auth) pair, equal to every other spelling of it; its `repr` shows no secret.

    It has the hash of the pair in its canonical spelling: by others it is found in a list, and in
    `ConnectionManager.conns`, but not in a set or dict of keys.
    """

    __slots__ = ("auth", "canonical", "host", "shown_host", "spelled")

    def __init__(self, host: Any, auth: Any, redaction: Redaction = REDACTION) -> None:
        self.host = host
        self.auth = auth
        self.shown_host, key = _host_key(host, redaction)
        identity = _auth.identity(auth)
        self.canonical = Hashed((key, identity))
        self.spelled: Hashed | None
        """As it was given; `None` when that has no hash."""
        try:
            plain = key is host and identity is auth
            self.spelled = self.canonical if plain else Hashed((host, auth))
        except TypeError:
            self.spelled = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.host, self.auth))

    def __getitem__(self, index: int) -> Any:
        return (self.host, self.auth)[index]

    def __len__(self) -> int:
        return 2

    def __eq__(self, other: object) -> bool:
        key = _key_of(other)
        return isinstance(key, PoolKey) and self.canonical == key.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __str__(self) -> str:
        return f"{self.shown_host} (auth: {_auth.label(self.auth)})"

    def __repr__(self) -> str:
        return f"PoolKey({self.shown_host!r}, auth={_auth.label(self.auth)})"


def _key_of(pair: object, redaction: Redaction = REDACTION) -> PoolKey | str:
    """The key that something is or spells; else why it is none, to be shown."""
    if isinstance(pair, PoolKey):
        return pair
    if not isinstance(pair, tuple) or len(pair) != 2:
        return "not a (host, auth) pair"
    try:
        return PoolKey(*pair, redaction)
    except (URLError, ConfigurationError) as error:
        return error.message


def _host_key(host: Any, redaction: Redaction) -> tuple[str, Hashable]:
    """The host as shown, and as compared.

    :raises URLError: for a URL that can't be used
    """
    if _urls.is_url_like(host):
        base = _urls.parse_base(host, redaction=redaction)
        canonical = base.canonical
        if type(host) is str and host == canonical:
            canonical = host  # one text, and one pair for both spellings, is enough
        shown = base.shown(redaction)
        return (canonical if shown == canonical else shown), canonical
    try:
        hash(host)
    except TypeError:
        msg = f"a host must be a text, or at least hashable, not {type(host).__name__}"
        raise ConfigurationError(msg) from None
    # An opaque name may be anything, an object with secrets in it too: only text is shown.
    shown = _urls.shown_name(host, redaction) if isinstance(host, str) else type(host).__name__
    return shown, host


class Naming:
    """What telemetry calls a pool, while that has no connection yet which may know better.

    A name is one of the few that are labelled: none is taken before something is told under it.
    """

    __slots__ = ("_key", "_name", "_telemetry")

    def __init__(self, telemetry: Telemetry, key: PoolKey) -> None:
        self._telemetry, self._key = telemetry, key
        self._name: Pool | None = None

    @property
    def host(self) -> str:
        """The host as shown."""
        return self._key.shown_host

    @property
    def key_of_host(self) -> str:
        """A text by which the host is told from others."""
        host = self._key.canonical[0]
        return host if isinstance(host, str) else f"{type(host).__name__} {hash(host):x}"

    @property
    def auth(self) -> str:
        """The auth's label, as far as it is known."""
        return label_of(self._key.auth) if self._name is None else self._name.auth

    @property
    def pool(self) -> Pool:
        """The name as it is now."""
        if self._name is None:
            identity = self._key.canonical[1]
            self._name = self._telemetry.pool(self.host, label_of(self._key.auth), identity)
        return self._name

    def settle(self, conn: Any) -> Pool:
        """The name that the pool has with this connection."""
        key = self._key
        if is_ours(conn) and (conn._auth_label is not None or key.auth is None):
            # Who asks without an auth leaves it to the hook; the connection knows which it took.
            identity = conn._identity if key.auth is None else key.canonical[1]
            self._name = self._telemetry.pool(self.host, conn._label, identity)
        return self.pool

    def become(self, name: Pool) -> None:
        """Take the name of the pool that was there first."""
        self._name = name


class Tally:
    """Counts the hits of one series: a pool's own, or that of all beyond the labelled ones.

    There are few of them, however many pools there are: that is what makes telling the hits of all,
    and a hit on one of very many, cheap.
    """

    __slots__ = ("dirty", "hits", "name", "told")

    def __init__(self, name: Pool) -> None:
        self.name = name
        """Of the pool that was hit first since hits were told last."""
        # Counting with `next` is atomic; each reading of the count uses up one number.
        self.hits = itertools.count()
        self.told = 0
        self.dirty = False
        """Whether it stands in the manager's list of those with hits to be told."""

    def new_hits(self) -> int:
        """The hits since the last call."""
        count = next(self.hits)
        new = count - self.told
        self.told = count + 1
        return new


class Hit:
    """What a find that hits has to do with of a pool, side by side in memory."""

    __slots__ = ("conn", "tally", "touched")

    conn: Any
    tally: Tally
    touched: float
    """When it was last found, or established."""


class Entry(Hit):
    """A pool: the connection of one (host, auth) pair, and how it was used."""

    __slots__ = ("added", "aliases", "alive", "key", "name", "ours")

    def __init__(
        self, key: PoolKey, conn: Any, name: Pool, tally: Tally, *, added: bool, now: float
    ) -> None:
        self.key = key
        self.conn = conn
        self.name = name
        self.tally = tally
        self.ours = is_ours(conn)
        self.added = added
        """Put in by hand: never pruned."""
        self.touched = now
        self.alive = True
        self.aliases: tuple[Hashed, ...] = ()

    def last_used(self) -> float:
        """When it was last found, or a request on its connection last began or ended."""
        if self.ours:
            used: float = self.conn.last_used
            if used > self.touched:
                return used
        return self.touched

    def busy(self) -> bool:
        """Whether a request is in flight on it, as far as that can be known."""
        return self.ours and self.conn.in_flight > 0


class Pools:
    """All pools of a manager."""

    def __init__(self) -> None:
        self.by_key: dict[Hashed, Entry] = {}
        self.by_alias: dict[Any, Entry] = {}
        """Pairs as callers spell them: what makes a hit one look into a dict."""
        self.prunable = 0
        """How many were not put in by hand."""
        self._queue: list[tuple[float, int, Entry]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self.by_key)

    def put(self, entry: Entry) -> Entry | None:
        """Add a pool; return the one that it replaces."""
        replaced = self.by_key.get(entry.key.canonical)
        if replaced is not None:
            self.remove(replaced)
        self.by_key[entry.key.canonical] = entry
        self.alias(entry, entry.key.spelled)
        if not entry.added:
            self.prunable += 1
            self.enqueue(entry)
        return replaced

    def alias(self, entry: Entry, spelled: Hashed | None) -> None:
        """Remember a spelling of a pool's key, if it is hashable and there aren't too many."""
        if spelled is None or spelled in self.by_alias or len(entry.aliases) >= ALIASES:
            return
        self.by_alias[spelled] = entry
        entry.aliases += (spelled,)

    def remove(self, entry: Entry) -> None:
        """Forget a pool."""
        self.remove_all([entry])

    def remove_all(self, entries: list[Entry]) -> list[Entry]:
        """Forget these pools; return those that weren't forgotten already."""
        gone = []
        for entry in entries:
            # A signal handler's call may have been here in between.
            if entry.alive:
                entry.alive = False
                self.prunable -= not entry.added
                gone.append(entry)
        if len(gone) > SPARE and len(gone) * 2 >= len(self.by_key):
            self._keep_those_alive()
        else:
            for entry in gone:
                self._unlist(entry)
        return gone

    def _keep_those_alive(self) -> None:
        """Make all anew of what stays, which is less work than to take out what goes."""
        while True:
            # To go through a dict that a signal handler's call changes meanwhile is an error.
            with suppress(RuntimeError):
                self.by_alias = {pair: e for pair, e in self.by_alias.items() if e.alive}
                self.by_key = {pair: e for pair, e in self.by_key.items() if e.alive}
                break
        self._tidy()

    def _unlist(self, entry: Entry) -> None:
        # pop, not del: a signal handler's call may have been here in between.
        if self.by_key.get(entry.key.canonical) is entry:
            self.by_key.pop(entry.key.canonical, None)
        for pair in entry.aliases:
            if self.by_alias.get(pair) is entry:
                self.by_alias.pop(pair, None)
        entry.aliases = ()

    def conns(self) -> list[Any]:
        """The connections as they are now."""
        return [entry.conn for entry in list(self.by_key.values())]

    def clear(self) -> list[Entry]:
        """Forget all pools; return them."""
        entries = list(self.by_key.values())
        for entry in entries:
            entry.alive = False
            entry.aliases = ()
        self.by_key, self.by_alias, self.prunable, self._queue = {}, {}, 0, []
        return entries

    def enqueue(self, entry: Entry) -> None:
        """Put a pool among those that are pruned one day, at the time of its last use."""
        if len(self._queue) > 2 * self.prunable + SPARE:
            # Most are forgotten: those must not be kept alive by one before them that stays.
            self._tidy()
        heapq.heappush(self._queue, (entry.last_used(), next(self._numbers), entry))

    def _tidy(self) -> None:
        """Have only those in the queue that are not forgotten."""
        self._queue = [queued for queued in self._queue if queued[2].alive]
        heapq.heapify(self._queue)

    def let_go(self) -> None:
        """Keep no pool that is forgotten, if it was used before all that stay."""
        with suppress(IndexError):
            while not self._queue[0][2].alive:
                first = heapq.heappop(self._queue)
                if first[2].alive:  # a signal handler's call has changed the queue meanwhile
                    heapq.heappush(self._queue, first)

    def take_least_recently_used(self) -> Entry | None:
        """The pool (none put in by hand) that was not used for the longest time.

        It is out of the queue then, and has to be put back if it stays. The queue has each pool at
        the time that was known when it was put there. Who comes first but was used since goes back
        with its new time; so the first who was not is the one.
        """
        # Taken out before it is looked at: a signal handler's call may change the queue meanwhile.
        while self._queue:
            try:
                since, _, entry = heapq.heappop(self._queue)
            except IndexError:
                return None
            if not entry.alive:
                continue
            if entry.last_used() <= since:
                return entry
            self.enqueue(entry)
        return None

    def take_unused(self, until: float) -> list[Entry]:
        """The pools that were not used after a time, the least recently used first.

        They are out of the queue likewise. It looks at all, for where very many have to go.
        """
        due = [queued for queued in self._queue if queued[0] <= until]
        self._queue = [queued for queued in self._queue if queued[0] > until]
        heapq.heapify(self._queue)
        unused = []
        for _, number, entry in due:
            if not entry.alive:
                continue
            if (used := entry.last_used()) > until:
                self.enqueue(entry)
            else:
                unused.append((used, number, entry))
        unused.sort()
        return [entry for _, _, entry in unused]


class View(Mapping[Any, Any]):
    """`ConnectionManager.conns`: a read-only mapping of (host, auth) pairs to connections."""

    def __init__(self, pools: Pools, redaction: Redaction) -> None:
        self._pools = pools
        self._redaction = redaction

    def __getitem__(self, pair: Any) -> Any:
        key = _key_of(pair, self._redaction)
        if isinstance(key, str):
            raise KeyError(key)
        # Not by a KeyError of the dict's own, which would show the key as it is, password and all.
        entry = self._pools.by_key.get(key.canonical)
        if entry is None:
            raise KeyError(repr(key))
        return entry.conn

    def entries(self) -> list[Entry]:
        """The pools as they are now: others may change them while somebody goes through these."""
        return list(self._pools.by_key.values())

    def __iter__(self) -> Iterator[PoolKey]:
        return iter([entry.key for entry in self.entries()])

    def items(self) -> ItemsView[PoolKey, Any]:
        """The pairs and their connections."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """The connections."""
        return _Values(self)

    def __len__(self) -> int:
        return len(self._pools)

    def __repr__(self) -> str:
        return f"<{len(self)} connections: {', '.join(map(repr, self))}>"


class _Items(ItemsView[PoolKey, Any]):
    """The items of a `View`: gone through as they are when that begins, whoever changes them."""

    __slots__ = ()
    _mapping: View

    def __iter__(self) -> Iterator[tuple[PoolKey, Any]]:
        return iter([(entry.key, entry.conn) for entry in self._mapping.entries()])


class _Values(ValuesView[Any]):
    """The values of a `View`, likewise."""

    __slots__ = ()
    _mapping: View

    def __iter__(self) -> Iterator[Any]:
        return iter([entry.conn for entry in self._mapping.entries()])

    def __contains__(self, conn: object) -> bool:
        return any(known is conn or known == conn for known in self)
