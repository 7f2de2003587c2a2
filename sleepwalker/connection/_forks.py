"""What a child made by fork must have new: everything of ours that another thread may have held.

Rules:

1. An object that has locks or sockets enlists itself when it is made, and is listed weakly.
2. In the child, `_renew_in_child` of each runs before any other code; it takes no lock that
   existed at the fork, and never writes to a socket.
3. Metrics are renewed before: managers tell them how many pools they have inherited.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

import sleepwalker.observability.in_turn  # noqa: F401 - rule 3: handlers run as they were registered

if TYPE_CHECKING:
    from collections.abc import Callable


Thing = TypeVar("Thing")


class Forkable(Protocol):
    """Something that has to be renewed in a child."""

    def _renew_in_child(self) -> None:
        """Take new locks, let go of the parent's sockets."""


_enlisted: weakref.WeakValueDictionary[int, Forkable] = weakref.WeakValueDictionary()
"""By identity, whatever equality or hash a sub-class of a user's has."""


def listed(things: weakref.WeakSet[Thing]) -> list[Thing]:
    """What is in a weak set now, whoever adds to it meanwhile."""
    while True:
        try:
            return list(things)
        except RuntimeError:  # its size changed as we went through it
            continue


def enlist(thing: Forkable) -> None:
    """See to it that a thing is renewed in every child."""
    _enlisted[id(thing)] = thing


_first: list[Callable[[], None]] = []


def first(renew: Callable[[], None]) -> None:
    """Have something done in every child before anything is renewed."""
    _first.append(renew)


def _renew_all() -> None:
    for renew in _first:
        renew()
    for thing in list(_enlisted.values()):
        # One that can't be renewed (a user's own cookie jar, say) must not keep the others back.
        with suppress(Exception):
            thing._renew_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
