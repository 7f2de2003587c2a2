"""Who they are, and what makes their subjects, within their own environments."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import crew
from benchmarks.measuring import Subject
from benchmarks.target import dress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack

    from benchmarks.target import Target

POOLS: Final = 10
BATCH: Final = 1000
"""The pools that are held, and the finds of one call: those of `benchmarks.finds`."""
DEFAULT_POOL: Final = 10
"""The connections that a session of these clients keeps."""


class Peer(NamedTuple):
    """Somebody with an environment of their own."""

    distribution: str
    requirement: str
    """What is installed."""
    make: Callable[[Target, ExitStack], Subject]
    """Makes the subject."""
    reason: str
    """Why they can't be where the others are."""


def _niquests(target: Target, stack: ExitStack) -> Subject:
    niquests: Any = import_module("niquests")
    more = {"pool_maxsize": target.threads} if target.threads > DEFAULT_POOL else {}
    session = stack.enter_context(niquests.Session(**more))
    dress(session, target)
    return crew.subject("niquests", lambda: session.get(target.url).json(), target, stack)


def _sleepwalker_20(target: Target, stack: ExitStack) -> Subject:
    connection: Any = import_module("sleepwalker.connection")
    conn = connection.Connection(target.origin, verify=target.verify)
    stack.callback(conn.conn.close)
    conn.add_headers(target.headers)
    if target.threads > DEFAULT_POOL:
        adapters: Any = import_module("requests.adapters")
        conn.conn.mount("http://", adapters.HTTPAdapter(pool_maxsize=target.threads))
    return crew.subject(
        "sleepwalker-2.0", lambda: conn.json_request("GET", target.path), target, stack
    )


def _find_20(target: Target, stack: ExitStack) -> Subject:
    """Finds of pools that are there; the target is not asked for anything."""
    del target, stack
    connection: Any = import_module("sleepwalker.connection")
    manager = connection.ConnectionManager()
    pairs = [
        (f"https://books-{number}.example", (f"reader {number}", "password"))
        for number in range(POOLS)
    ]
    for host, auth in pairs:
        manager.add(host, auth, connection.Connection(host, auth))
    find, asked = manager.find, pairs * (BATCH // POOLS)

    def sweep() -> None:
        for host, auth in asked:
            find(host, auth)

    return Subject("find-2.0-itself", sweep, batch=BATCH)


_SHADOWS: Final = "it brings a urllib3 of its own, which takes the place of urllib3"
_OUR_NAME: Final = "it has our package's name"

PEERS: Final[Mapping[str, Peer]] = {
    "niquests": Peer("niquests", "niquests", _niquests, _SHADOWS),
    "sleepwalker-2.0": Peer("sleepwalker", "sleepwalker==2.0", _sleepwalker_20, _OUR_NAME),
    "find-2.0-itself": Peer("sleepwalker", "sleepwalker==2.0", _find_20, _OUR_NAME),
}
"""By the names of their subjects."""
