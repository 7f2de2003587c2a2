"""What establishes connections: the hook interface, the direct hook, and how hooks are tried.

Rules:

1. A hook answers a connection, or `None` to decline; what it raises means that it failed.
2. A hook is called again, under the manager's policy, only after what may pass: our transient
   errors, a status that is retried, an `OSError`. Never after 401 or 403 (accounts get locked) or
   a certificate error, whatever exception they were made into.
3. A hook runs in the caller's thread, under the find's deadline.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from sleepwalker import auth as _auth
from sleepwalker.exceptions import (
    ConfigurationError,
    HookError,
    SleepwalkerException,
)
from sleepwalker.observability import events, names
from sleepwalker.observability import telemetry as _telemetry
from sleepwalker.observability.redaction import causes
from sleepwalker.resilience.retry import FINAL, QUOTA, Failure, Repeatable, Verdict, decide

from . import _admission, _urls
from ._connection import Connection
from ._errors import is_final_tls
from ._retrying import retried

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span

    from sleepwalker.observability.telemetry import Telemetry
    from sleepwalker.resilience.clock import Clock
    from sleepwalker.resilience.deadline import Deadline
    from sleepwalker.resilience.hosts import HostStates, Safeguards
    from sleepwalker.resilience.policy import Policy
    from sleepwalker.resilience.quota import RetryQuota

    from ._pools import Naming

_NO_CONNECTIONS = (type, bool, int, float, str, bytes, Coroutine)
"""What is surely no connection, whatever a hook meant by it."""
REJECTED = frozenset({401, 403})
"""Statuses after which a hook is never called again."""


class ConnectionHook:
    """The interface for establishing connections; sub-class it and implement `connect`.

    Any other object with a `connect` method will do as well.
    """

    def connect(self, host: Any, auth: Any) -> Any:
        """Establish a connection to a host.

        It must not wait for a thread of its own, or for another manager's hook, that finds the
        very key it is asked for: unlike a find in its own thread, that is only ended by the
        deadline.

        :param host: as it was given to `ConnectionManager.find`, untouched
        :param auth: likewise
        :returns: a `Connection`, or something similar (no more than `json_request` is assumed of
            it), or `None` when this hook doesn't know how to connect to this host
        :raises Exception: when it should have worked and did not; the next hook is tried
        """
        msg = "implement connect(host, auth), or add a DirectHook, which connects directly"
        raise NotImplementedError(msg)


class DirectHook(ConnectionHook):
    """Connects directly to hosts that are URLs.

    :param pattern: which hosts; `auth.HostPattern` says what is understood (``*``,
        ``*.example.com``, ``https://api.example.com:8443``)
    :param connection_options: for every `Connection` it makes
    :raises ConfigurationError: for a pattern or an option that can't be understood
    """

    def __init__(self, pattern: str = "*", **connection_options: Any) -> None:
        self._pattern = _auth.HostPattern(pattern)
        known = inspect.signature(Connection).parameters
        unknown = sorted(set(connection_options) - (set(known) - {"hostname", "auth"}))
        if unknown:
            msg = f"DirectHook: {', '.join(unknown)} is no option of Connection"
            raise ConfigurationError(msg)
        self._options = connection_options
        # Made for its checks alone, which open nothing: a bad value is told here, not at a find.
        Connection("https://host.invalid", _auth.ANONYMOUS, **connection_options)

    def connect(self, host: Any, auth: Any) -> Connection | None:
        """A `Connection` to the host, or `None` if it is no URL or not one of the pattern's."""
        if not _urls.is_url_like(host):
            return None
        base = _urls.parse_base(host)
        if not self._pattern.matches(*base.origin):
            return None
        return Connection(host, auth, **self._options)

    def __repr__(self) -> str:
        # The options may hold credentials: their names say enough.
        options = "".join(f", {name}=..." for name in self._options)
        return f"DirectHook({self._pattern.text!r}{options})"


class HookOutcome(NamedTuple):
    """How a hook fared in one establishment."""

    hook: str
    """Its class's name."""
    outcome: str
    """connected, declined, failed or timeout."""
    attempts: int
    """How often it was called."""
    elapsed: float
    """Seconds, waits included."""
    error: Exception | None
    """What it raised last; in a pickle a text stands for it."""

    def portable(self) -> HookOutcome:
        """The outcome as a pickle may hold it: the type in the place of an error not of ours."""
        ours = SleepwalkerException.__module__
        if self.error is None or type(self.error).__module__ == ours:
            return self
        return self._replace(error=SleepwalkerException(type(self.error).__name__))


def checked(hook: Any) -> Any:
    """The hook, if it is one.

    :raises HookError: (a `TypeError`) when it has no `connect` method, or is a class
    """
    if isinstance(hook, type):
        msg = f"a connection hook must be an object, not the class: pass {hook.__name__}()"
        raise HookError(msg)
    if not callable(getattr(hook, "connect", None)):
        msg = f"a connection hook must have connect(host, auth); {type(hook).__name__} has none"
        raise HookError(msg)
    if inspect.iscoroutinefunction(hook.connect):
        msg = "a connection hook's connect must be a plain function, not a coroutine (async def)"
        raise HookError(msg)
    return hook


def name_of(hook: Any) -> str:
    """What telemetry calls a hook."""
    return type(hook).__name__


class HookRun:
    """One hook, tried within one establishment."""

    def __init__(
        self,
        hook: Any,
        host: Any,
        auth: Any,
        *,
        naming: Naming,
        telemetry: Telemetry,
        states: HostStates,
        policy: Policy,
        deadline: Deadline,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._hook, self._host, self._auth = hook, host, auth
        self._naming, self._telemetry = naming, telemetry
        self._policy, self._deadline = policy, deadline
        self._states = states
        self._clock, self._random = clock, random
        self._attempts = 0
        self._spent: tuple[RetryQuota, int] | None = None
        """What the last retry was paid from, and what it cost."""
        # What the caller of `find` was handling already is no cause of what a hook raises.
        self._outside = sys.exception()

    def run(self) -> tuple[Any, HookOutcome]:
        """Call the hook until it answers or has failed; the connection (or `None`), the outcome."""
        started = self._clock.monotonic()
        last = retried(self._call(), self._call, sleep=self._clock.sleep)
        elapsed = self._clock.monotonic() - started
        if self._spent is not None and last.connection is not None:
            quota, cost = self._spent
            quota.refund(cost)
            self._tell_quota(quota)
        return last.connection, HookOutcome(
            name_of(self._hook), last.outcome, self._attempts, elapsed, last.error
        )

    def broken(self, error: Exception) -> HookOutcome:
        """The outcome when `run` raised: over what the hook raised or gave, not by its contract."""
        return HookOutcome(name_of(self._hook), "failed", self._attempts, 0.0, error)

    def _call(self) -> _Answer:
        """Call the hook once."""
        self._attempts += 1
        name = name_of(self._hook)
        tracing = self._telemetry.tracing
        span = tracing.start(
            names.SPAN_HOOK,
            {
                names.ATTR_HOST: self._naming.host,
                names.ATTR_AUTH: self._naming.auth,
                names.ATTR_HOOK: name,
                names.ATTR_HOOK_ATTEMPT: self._attempts,
            },
        )
        token = tracing.enter(span)
        started = self._clock.monotonic()
        connection, error, outcome = None, None, "failed"
        try:
            with _telemetry.entered(self._telemetry), _admission.shared(self._states):
                connection = self._hook.connect(self._host, self._auth)
        except Exception as raised:  # noqa: BLE001 - whatever a hook raises means that it failed
            error = raised
        else:
            outcome = "declined" if connection is None else "connected"
            if inspect.iscoroutine(connection):
                connection.close()
            if isinstance(connection, _NO_CONNECTIONS):
                error = _no_connection(name, connection)
                connection, outcome = None, "failed"
            elif connection is not None:
                self._naming.settle(connection)
        finally:
            # Blocking that is not ours can't be interrupted; that it overran is told.
            if self._deadline.remaining() < 0:
                outcome = "timeout"
            failed = names.error_type_of(error) if error is not None else None
            if failed is None and outcome == "failed":
                failed = "other"  # an interrupt, on its way to the caller
            self._end(span, outcome, failed, self._clock.monotonic() - started)
            tracing.leave(token)
        verdict = self._decide(error) if error is not None else None
        return _Answer(connection, error, outcome, verdict)

    def _end(self, span: Span, outcome: str, failed: str | None, duration: float) -> None:
        if outcome == "timeout" and failed is None:
            failed = "deadline"
        pool = self._naming.pool
        attributes = {names.ATTR_OUTCOME: outcome, names.ATTR_AUTH: pool.auth}
        self._telemetry.tracing.end(span, attributes, error=failed)
        self._telemetry.record(
            events.HookCalled(
                pool,
                name_of(self._hook),
                self._attempts,
                outcome,
                duration,
                failed or "none",
            )
        )

    def _decide(self, error: Exception) -> Verdict:
        chain = list(causes(error, self._outside))
        if any(map(_is_rejection, chain)) or is_final_tls(chain):
            return Verdict(again=False, why=FINAL)
        is_ours = isinstance(error, SleepwalkerException)
        failure = Failure(
            number=self._attempts,
            reason="connect",
            sent=False,
            status=_status_of(error),
            transient=_is_transient(error),
            # An error of a class below ours that never called our constructor has none.
            retry_after=getattr(error, "retry_after", None) if is_ours else None,
        )
        # A hook that establishes a connection may be asked again by its very contract.
        verdict = decide(
            failure,
            Repeatable(method="GET", idempotent=True),
            self._policy,
            remaining=self._deadline.remaining(),
            random=self._random,
        )
        if not verdict.again or self._policy.quota is None:
            return verdict
        quota = self._guards().quota
        assert quota is not None  # noqa: S101 - the policy has one
        cost = quota.spend(throttled=verdict.why == "throttled")
        if cost is None:
            return Verdict(again=False, why=QUOTA)
        self._spent = quota, cost
        self._tell_quota(quota)
        return verdict

    def _guards(self) -> Safeguards:
        """Those of the host."""
        naming = self._naming
        return self._states.of(naming.key_of_host, self._policy, shown=naming.host)

    def _tell_quota(self, quota: RetryQuota) -> None:
        self._telemetry.record(
            events.RetryQuotaChanged(self._naming.pool, self._guards().name, quota.tokens)
        )


class _Answer(NamedTuple):
    """What one call of a hook gave."""

    connection: Any
    error: Exception | None
    outcome: str
    verdict: Verdict | None


def _status_of(error: Exception) -> int | None:
    """The status in an error of ours or of `requests`."""
    if not isinstance(error, requests.RequestException):
        return None
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def _is_rejection(error: BaseException) -> bool:
    """Whether an exception, ours or anybody's, says 401 or 403 in one of the usual ways."""
    told: list[object] = []
    for name in ("http_code", "status_code", "status", "code"):
        # What looks like an attribute may be the user's code.
        with suppress(Exception):
            told.append(getattr(error, name, None))
    with suppress(Exception):
        told.append(getattr(getattr(error, "response", None), "status_code", None))
    return any(isinstance(status, int) and status in REJECTED for status in told)


def _is_transient(error: Exception) -> bool:
    if isinstance(error, SleepwalkerException):
        return error.transient
    return isinstance(error, OSError)


def _no_connection(name: str, given: object) -> HookError:
    return HookError(f"hook {name} returned no connection but {type(given).__name__}")
