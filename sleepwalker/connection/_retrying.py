"""The one place where tenacity is entered: once something has failed and may go again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import tenacity

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.resilience.retry import Verdict


class Judged(Protocol):
    """What came of an attempt, with the verdict on it."""

    @property
    def verdict(self) -> Verdict | None:
        """`None` for success."""


Outcome = TypeVar("Outcome", bound=Judged)


def goes_again(outcome: Judged) -> bool:
    """Whether another attempt follows."""
    return outcome.verdict is not None and outcome.verdict.again


def retried(
    first: Outcome,
    attempt: Callable[[], Outcome],
    *,
    sleep: Callable[[float], None],
    before_sleep: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Go on after a first outcome until one is not to be repeated; that one.

    :param attempt: makes another attempt
    :param sleep: waits so many seconds
    :param before_sleep: told each outcome that is followed by another
    """
    if not goes_again(first):
        return first
    pending = [first]

    def step() -> Outcome:
        return pending.pop() if pending else attempt()

    def tell(state: tenacity.RetryCallState) -> None:
        if before_sleep is not None and state.outcome is not None:
            before_sleep(state.outcome.result())

    # One of its own for each call: a shared one that is entered again from within loses results.
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(goes_again),
        wait=_wait,
        stop=tenacity.stop_never,
        sleep=sleep,
        before_sleep=tell,
    )
    try:
        last: Outcome = retrying(step)
    finally:
        # What it would do next refers to itself, and so would keep all of the call until the
        # garbage collector comes.
        retrying.iter_state.reset()
    return last


def _wait(state: tenacity.RetryCallState) -> float:
    """The seconds that the verdict says."""
    assert state.outcome is not None  # noqa: S101 - tenacity waits after an outcome
    return float(state.outcome.result().verdict.wait)
