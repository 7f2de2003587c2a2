"""What the layers around an attempt have in common: a permit that is taken, and what it learns.

A layer lets a call through or refuses it, and learns from how it ended. Each works alone, and in
any order with others::

    permit = breaker.permit()
    try:
        permit.acquire()
        result = Result.SUCCESS if work() else Result.FAILURE
    finally:
        permit.end(result)

Rules:

1. A permit is made before it is acquired, and ended whatever happened; ending one that was never
   acquired, or was ended, does nothing. So no interrupt, wherever it comes, keeps one for ever.
2. A layer's lock guards a decision and is never held while anybody works or waits.
"""

from __future__ import annotations

import enum
from typing import Protocol


class Result(enum.Enum):
    """How a call that was let through ended, as far as its host is to be judged by it."""

    SUCCESS = "success"
    """The host did what it was asked."""
    REJECTED = "rejected"
    """The host is well and says that the request is at fault (4xx)."""
    THROTTLED = "throttled"
    """The host asks to slow down (429)."""
    FAILURE = "failure"
    """The host failed, or could not be reached (5xx, resets, refused connections)."""
    TIMEOUT = "timeout"
    """The host took too long."""
    UNKNOWN = "unknown"
    """Nothing was learnt of the host: the call was cancelled, or could not be sent."""

    # As each is itself alone; an enum's own hash is that of its name, made anew each time.
    __hash__ = object.__hash__


class Permit(Protocol):
    """One call's way through one layer."""

    def acquire(self, patience: float = 0.0) -> None:
        """Be let through.

        :param patience: seconds to wait for it at most
        :raises RefusedError: when the layer refuses
        """

    def end(self, result: Result) -> None:
        """The call has ended so; or was never let through, which changes nothing."""


class Layer(Protocol):
    """What lets calls through, or refuses them."""

    def permit(self) -> Permit:
        """A permit for one call, still to be acquired."""
