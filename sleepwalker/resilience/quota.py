"""The retry quota of a host: a ledger by which retries are paid for, so that none feed an outage.

Rules:

1. A retry is paid for before it is made; who can't pay doesn't retry.
2. A call that succeeds without a retry earns `Quota.success`; one that succeeds at a retry has its
   last cost back, no more.
3. There are never more than `Quota.tokens`, and never fewer than none.
"""

from __future__ import annotations

import threading

from sleepwalker.resilience.policy import Quota, settings_of


class RetryQuota:
    """The ledger; threads may share it.

    :param settings: what there is, and what retries cost
    :raises ConfigurationError: for other settings
    """

    __slots__ = ("_lock", "_tokens", "settings")

    def __init__(self, settings: Quota) -> None:
        settings_of(settings, "RetryQuota", Quota)
        self.settings = settings
        self._tokens = settings.tokens
        # Re-entrant: a signal handler that makes a call may run in the middle of a locked section.
        self._lock = threading.RLock()

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return self._tokens

    def spend(self, *, throttled: bool) -> int | None:
        """Pay for a retry.

        :param throttled: whether the host asked to slow down
        :returns: what it cost, to be given back by `refund`; `None` when there isn't enough
        """
        cost = self.settings.throttled if throttled else self.settings.transient
        with self._lock:
            if self._tokens < cost:
                return None
            self._tokens -= cost
            return cost

    def refund(self, cost: int) -> None:
        """Give back what the retry that succeeded did cost."""
        self._add(cost)

    def reward(self) -> bool:
        """A call has succeeded without a retry; whether that changed anything."""
        if self._tokens >= self.settings.tokens:
            return False
        self._add(self.settings.success)
        return True

    def _add(self, tokens: int) -> None:
        with self._lock:
            room = self.settings.tokens - self._tokens
            self._tokens += tokens if tokens < room else room  # noqa: FURB136 - behind a call of min a signal handler could come, and write too

    def renew(self) -> None:
        """In a child made by fork: a new lock."""
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<RetryQuota {self._tokens}/{self.settings.tokens} tokens>"
