"""One logical call, from the caller's arguments to the answer or the error.

How a call goes::

    run ─ prepared ─ _step ┬─ (fails, may go again) ─ retried: tenacity around _step
                           └─ _conclude: the response, or the error

    _step: attempts until one is an answer or a failure:
           redirects and a renewed bearer token are further attempts, but no retries

    deadline ▸ retry with quota ▸ breaker ▸ limit ▸ attempt

Rules:

1. All state of a call is here; nothing on the connection is written but the last response.
2. tenacity is entered only when the first attempt has failed, with a `Retrying` of this call's own.
3. What may be sent again is decided by `resilience.retry`; here are only the facts.
4. What costs something only after a failure (tenacity, redirects) is made only then.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import requests
from requests.auth import HTTPBasicAuth

from sleepwalker import auth as _auth
from sleepwalker.exceptions import (
    CancelledError,
    CertificateError,
    ConfigurationError,
    HTTPError,
    PrivateAddressError,
    RedirectError,
    RefusedError,
    ResponseTooLarge,
    SleepwalkerException,
    TimeoutError,
    UnguardedError,
    URLError,
)
from sleepwalker.observability import events, names
from sleepwalker.observability.redaction import cookies_of
from sleepwalker.resilience import cancellation as _cancellation
from sleepwalker.resilience import deadline as _deadline
from sleepwalker.resilience.deadline import Deadline
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.retry import (
    CIRCUIT_OPEN,
    DEADLINE,
    EXHAUSTED,
    LIMIT,
    NOT_REPEATABLE,
    NOT_REWINDABLE,
    QUOTA,
    RETRY_AFTER_TOO_LONG,
    SAFE,
    Failure,
    Repeatable,
    Verdict,
    decide,
)
from sleepwalker.resilience.retry_after import retry_after

from . import _callers, _deadline_header, _headers, _wire
from ._admission import Admission, NotAdmitted, result_of
from ._attempt import Attempt
from ._document import note_document
from ._errors import translate
from ._late import Late, Secrets
from ._preparing import prepared
from ._redirects import STATUSES as REDIRECTING
from ._redirects import Redirects
from ._retrying import retried
from ._timeouts import Timeout, Timeouts, deadline_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.trace import Span

    from sleepwalker.observability.open_connections import OpenConnection
    from sleepwalker.resilience.clock import Clock
    from sleepwalker.resilience.hosts import Safeguards
    from sleepwalker.resilience.policy import Policy, ResponseLimits
    from sleepwalker.resilience.quota import RetryQuota

    from ._connection import Connection
    from ._hop import Hop

UNAUTHORIZED = 401
SAME_AGAIN = frozenset({307, 308})
"""Redirects by which a server asks for the very same request elsewhere: it has not done it."""
LONGEST_URL = 500
"""Characters: how much of a URL a message shows."""
ERROR_BODY = 64 * 1024
"""Bytes: how much of a streamed error's body is kept for its error."""
LONGEST_SECRET = 8 * 1024
"""Bytes: how much of it is looked through beyond that."""


Made = TypeVar("Made")


class Options(NamedTuple):
    """What a caller says about one call."""

    timeout: Timeout = Timeout()
    deadline: float | None = None
    policy: Policy | None = None
    idempotency_key: str | bool | None = None
    idempotent: bool | None = None
    name: str | None = None
    stream: bool = False
    raise_for_status: bool = True
    allow_redirects: bool = True


class Outcome(NamedTuple):
    """How an attempt (with its redirects) ended, and what is to be done about it."""

    response: requests.Response | None
    error: SleepwalkerException | None
    verdict: Verdict | None
    """`None` for success."""
    failure: Failure | None = None


class _StopReplay(Exception):  # noqa: N818 - no error: it stops an auth's replay
    """A replay must not go out; the answer before it is the answer."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.answer = answer


class Call:
    """One logical call.

    :param conn: the connection it is made through
    :param method: the HTTP method
    :param uri: as `Base.url` takes it
    :param arguments: those of `requests.Request` (params, data, files, headers, cookies, hooks)
    :param options: everything else
    """

    _paid: tuple[RetryQuota, int] | None = None
    """What a retry that is yet to be made was paid from, and what it cost."""
    _spent: tuple[RetryQuota, int] | None = None
    """The same of the last retry that was made."""
    _failed_before: Outcome | None = None
    """How the attempt ended after which the one under way is made."""
    _replaying = False
    """Whether a hook of the auth is sending the request once more."""
    _kept: requests.Response | None = None
    """The answer in it, as long as it may have to stand."""
    _silenced: Any = None
    """What ends that other instrumentations are silent, once they are."""

    def __init__(
        self,
        conn: Connection,
        method: str,
        uri: str,
        arguments: dict[str, Any],
        options: Options,
    ) -> None:
        self._conn = conn
        self._method = method
        self._uri = uri
        self._arguments = arguments
        self._options = options
        self._policy: Policy = options.policy or conn.policy
        self._clock = conn._clock
        self._telemetry = conn._telemetry
        self._tracing = self._telemetry.tracing
        self._redaction = self._telemetry.redaction
        self._started = self._clock.monotonic()
        seconds = options.deadline if options.deadline is not None else self._policy.deadline
        self._deadline = Deadline.after(seconds, self._clock).earlier(_deadline.ambient())
        self._cancellation = _cancellation.ambient()
        self._outside = sys.exception()
        self.remembered = True
        """Whether the response is the last one of the calling thread."""
        self.counted = False
        """Whether the connection counts this call among those under way."""
        self._begun = False
        """Whether it was told that this call has begun."""
        self._attempts = 0
        self._failures = 0
        self._waited = 0.0
        self._renewed = False
        self._lost = False
        """Whether an attempt that may have changed something at the server went unanswered."""
        outer = _wire.current()
        self._outer = outer.admission if isinstance(outer, Call) else None
        """The attempt within which this call is made, by a response hook for instance."""
        self.admission: Admission | None = None
        """The way of the attempt under way through what stands around it."""
        self._guards: Safeguards
        """What stands around the attempts to the current hop's host."""
        self._redirects: Redirects | None = None
        self._history: list[requests.Response] = []
        self._attempt: Attempt | None = None
        self._sending: requests.PreparedRequest | None = None
        self._callers_own: Exception | None = None
        """What the caller's own code (a response hook, an iterator) raised while we sent."""
        self._answered: requests.Response | None = None
        """The answer that a response hook's `raise_for_status` was about."""
        self._from_auth: tuple[str, ...] = ()
        """What an auth of the caller's own kind has put into the request: secret by what it is."""
        self._in_query: tuple[str, ...] = ()
        """That of it which stands in the query."""
        self._shown_method: str
        self._span: Span
        self._hop: Hop

    # --- from start to end -------------------------------------------------------------------

    def run(self, finish: Callable[[Call, requests.Response], Made]) -> Made:
        """Make the call.

        :param finish: makes the caller's result of the response; its errors are the call's
        :raises SleepwalkerException: whatever of the tree applies
        """
        try:
            self._conn._entered(self)
            return self._run(finish)
        finally:
            try:
                if self._cancellation is not None:
                    self._cancellation.let_go(self)
                if self._paid is not None or self._kept is not None:
                    self._give_back()
            finally:
                try:
                    self._conn._left(self)
                except BaseException:
                    # An interrupt has come, perhaps before it was done.
                    self._conn._left(self)
                    raise

    def _run(self, finish: Callable[[Call, requests.Response], Made]) -> Made:
        conn = self._conn
        response, error, outcome = None, None, "cancelled"
        result: Any = None
        token = None
        try:
            try:
                self._begin()
                token = self._tracing.enter(self._span)
                self._hop = prepared(
                    conn,
                    self._method,
                    self._uri,
                    self._arguments,
                    idempotency_key=self._options.idempotency_key,
                    key_header=self._policy.idempotency_header,
                    caller_failed=self.body_failed,
                )
                first = self._step()
                last = first if first.verdict is None else self._retried(first)
                response, error, outcome = self._conclude(last)
                if response is not None:
                    self._refuse_if_cut(response)
                    if self._options.stream:
                        self._hand_over(response)
                        self._release_stream()
                    if self.remembered:
                        conn.response = response
                    note_document(response, self._tracing.context_of(self._span))
                    if error is None:
                        result = finish(self, response)
            except SleepwalkerException as raised:
                error, outcome = self._with_context(raised), outcome_of(raised)
            except Exception:
                # Not ours: an error of the user's own callbacks.
                outcome = "error"
                raise
            finally:
                try:
                    self._finished(outcome, response, error)
                finally:
                    self._tracing.leave(token)
            if error is not None:
                # What it was made from, as far as that may be shown, is its cause; what else was
                # being handled within this call is nobody's business.
                error.__context__ = None
                raise error
            made: Made = result
            return made
        finally:
            # No cycle from the error through its traceback to this frame.
            error = None

    def _begin(self) -> None:
        pool = self._conn._pool
        method = self._shown_method = _headers.shown_method(self._method)
        self._begun = True
        self._telemetry.record(events.RequestStarted(pool, method))
        self._span = self._tracing.start_request(pool, method, self._options.name)

    @property
    def attempts(self) -> int:
        """How many wire attempts were made."""
        return self._attempts

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self._clock.monotonic() - self._started

    def _conclude(
        self, last: Outcome
    ) -> tuple[requests.Response | None, SleepwalkerException | None, str]:
        """The answer or the error of a call whose attempts are over, and the outcome's name."""
        response, error, verdict = last.response, last.error, last.verdict
        why = verdict.why if verdict is not None else ""
        exhausted = why == EXHAUSTED and self._policy.attempts > 1
        if response is not None:
            response.history = [*self._history, *response.history]
            if verdict is None:
                self._succeeded()
                return response, None, "success"
            outcome = "exhausted" if exhausted else "error"
            if not self._options.raise_for_status:
                return response, None, outcome
            return response, self._status_error(response, last.failure, why), outcome
        assert error is not None  # noqa: S101 - an outcome is one or the other
        _note(error, why)
        return None, self._with_context(error), "exhausted" if exhausted else outcome_of(error)

    def _refuse_if_cut(self, response: requests.Response) -> None:
        """Raise when the call was cancelled: what ended with its socket may be half an answer."""
        if self._cancellation is not None and self._cancellation.cancelled:
            self._lost |= self._hop.method not in SAFE
            response.close()
            self._cancellation.refuse(self._what())

    def _with_context(self, error: SleepwalkerException) -> SleepwalkerException:
        """The error with what the call knows: request, attempts, elapsed."""
        if error.elapsed is not None:
            # That of another call, which the caller's own code made within this one.
            return error
        if error.request is None and hasattr(self, "_hop"):
            sent = self._attempt.request if self._attempt is not None else None
            error.request = self._redaction.request(sent or self._hop.prepared, self.secrets())
        error.outcome_unknown = self._lost
        error.attempts = self._attempts
        error.elapsed = self.elapsed
        return error

    def _status_error(
        self, response: requests.Response, failure: Failure | None, why: str
    ) -> HTTPError:
        """The error for a status, made from a copy of the response that may be shown."""
        if self._options.stream and not isinstance(response._content, bytes):
            _read_some(response)
        shown = self._redaction.response(response, self.secrets())
        assert shown is not None  # noqa: S101 - None comes only from None
        if self._options.stream and isinstance(shown._content, bytes):
            shown._content = shown._content[:ERROR_BODY]
        error = HTTPError.class_for(response.status_code)(shown)
        error.retry_after = failure.retry_after if failure is not None else None
        _note(error, why)
        self._with_context(error)
        return error

    def _finished(
        self,
        outcome: str,
        response: requests.Response | None,
        error: SleepwalkerException | None,
    ) -> None:
        if not self._begun:
            return
        status = response.status_code if response is not None else None
        error_type = names.error_type_of(error) if error is not None else "none"
        if error is None and outcome in {"error", "exhausted"}:
            error_type = "status" if status is not None else "other"
        attributes: dict[str, Any] = {
            names.ATTR_OUTCOME: outcome,
            names.ATTR_ATTEMPTS: self._attempts,
        }
        if self._waited:
            attributes[names.ATTR_WAITED] = self._waited
        if status is not None:
            attributes[names.ATTR_STATUS] = status
        failed = None if outcome == "success" else error_type
        if outcome == "cancelled":
            failed = "other"
        if failed == "status" and status is not None:
            failed = str(status)
        try:
            if hasattr(self, "_span"):
                self._tracing.end(self._span, attributes, error=failed)
        finally:
            # Also when an interrupt comes in an exporter: what has begun in the metrics ends there.
            self._telemetry.record(
                events.RequestFinished(
                    self._conn._pool,
                    self._shown_method,
                    self._options.name,
                    outcome,
                    self._clock.monotonic() - self._started,
                    self._attempts,
                    self._waited,
                    status,
                    error_type,
                    error is not None and error.outcome_unknown,
                    error.not_retried if error is not None else None,
                )
            )

    # --- attempts ----------------------------------------------------------------------------

    def _step(self) -> Outcome:
        """Attempts until one is an answer or a failure."""
        while True:
            try:
                response, error = self._send()
            except NotAdmitted as refused:
                return self._refused(refused)
            if response is None:
                assert error is not None  # noqa: S101 - _send gives one or the other
                return self._failed(error)
            if response.status_code == UNAUTHORIZED and self._renew_token():
                self._keep(Outcome(response, None, None))
            elif (
                response.status_code in REDIRECTING
                and self._options.allow_redirects
                and self._follow(response)
            ):
                continue
            elif response.status_code >= 400:
                return self._answered_with_error(response)
            else:
                return Outcome(response, None, None)

    def _send(self) -> tuple[requests.Response | None, SleepwalkerException | None]:
        """Send the current hop's request once.

        :raises NotAdmitted: when it must not be sent now
        """
        hop = self._hop
        self._refuse_if_late(f"before attempt {self._attempts + 1}")
        request = hop.prepared.copy()
        # `copy` shares the hooks, to which auth objects add theirs.
        request.hooks = {
            event: [*map(self._callers_hook, hooks)] for event, hooks in hop.prepared.hooks.items()
        }
        if hop.sent:
            hop.body.rewind()
        hop.sent += 1
        self._callers_own = self._answered = None
        if hop.auth is not _auth.ANONYMOUS:
            self._authenticate(request)
            # A token may have taken its time.
            self._refuse_if_late(f"before attempt {self._attempts + 1}")
        self._guards = self._conn._safeguards(hop, self._policy)
        return self._admitted(request)

    def _admitted(
        self, request: requests.PreparedRequest
    ) -> tuple[requests.Response | None, SleepwalkerException | None]:
        """Send a request once it is let through what stands around its host.

        :raises NotAdmitted: when it isn't
        """
        admission = Admission(self._guards, self._outer)
        result = Result.UNKNOWN
        try:
            changed = admission.enter(self._deadline, self._read_timeout())
            if changed is not None:
                self._tell_breaker(changed)
            if self._paid is not None or self._kept is not None:
                self._goes_on()
            self.admission = admission
            response, error = self._exchanged(request)
            result = result_of(response, error)
        except NotAdmitted:
            if self._cancellation is not None:
                self._cancellation.refuse(f"{self._what()}: waiting its turn")
            raise
        except BaseException:
            # By the caller's own code perhaps, or an interrupt; the host may have answered.
            if self.admission is admission and self._attempt is not None:
                result = result_of(self._attempt.response, None)
            raise
        finally:
            self.admission = None
            try:
                changed = admission.leave(result)
            except BaseException:
                # An interrupt has come in the middle of it.
                admission.leave(result)
                raise
            if changed is not None:
                self._tell_breaker(changed)
        return response, error

    def _read_timeout(self) -> float:
        """The seconds that a read may take, whatever the deadline leaves."""
        call, conn = self._options.timeout, self._conn._timeout
        return call.read or conn.read or self._policy.read_timeout

    def _exchanged(
        self, request: requests.PreparedRequest
    ) -> tuple[requests.Response | None, SleepwalkerException | None]:
        """Send a request once, and end its attempt."""
        hop = self._hop
        self._sending = request
        attempt = self._begin_attempt(request)
        response, error = None, None
        try:
            try:
                with _wire.watching(self):
                    response = hop.session.send(
                        request,
                        timeout=(attempt.timeouts.connect, attempt.timeouts.read),
                        allow_redirects=False,
                        **{**hop.settings, "stream": self._options.stream},
                    )
            finally:
                silenced, self._silenced = self._silenced, None
                self._tracing.leave(silenced)
        except _StopReplay as stopped:
            response, error = self._whole(stopped.answer)
        except Exception as raised:
            answer = self._answer_in(raised)
            if answer is not None:
                response, error = self._whole(answer)
            else:
                error = None if self._is_callers_own(raised) else self._translated(raised)
            if response is None and error is None:
                self._abandon_attempt()
                if self._callers_own is not None and raised is not self._callers_own:
                    # As it was raised, whatever the layers between have made of it.
                    raise self._callers_own from None
                raise
        except BaseException:
            self._abandon_attempt()
            raise
        # A replay (Digest) may have begun another attempt meanwhile: the last one ends here.
        current = self._attempt
        assert current is not None  # noqa: S101 - _begin_attempt set it
        current.response = response
        self._end_attempt(names.error_type_of(error) if error is not None else "none")
        return response, error

    def _refused(self, refused: NotAdmitted) -> Outcome:
        """What to do about an attempt that was not let through: the failure before it stands.

        :raises RefusedError: when nothing was sent before it
        :raises RedirectError: when it was to go where another host has redirected it
        """
        refusal, before = refused.refusal, self._failed_before
        self._give_back(but=before.response if before is not None else None)
        if before is not None:
            return before._replace(verdict=Verdict(again=False, why=refused.why))
        message = f"{self._what()}: {refusal.message}"
        if self._history:
            error = RedirectError(f"{message}; it was redirected there")
            error.retry_after = refusal.retry_after
            raise error
        refusal.args = (message,)
        raise refusal

    def _kept_out(
        self, refusal: PrivateAddressError | UnguardedError
    ) -> PrivateAddressError | UnguardedError | RedirectError:
        """The error for what the address guard refused, with where it was to go."""
        message = f"{self._what()}: {self._without_secrets(refusal.message)}"
        refusal.args = (message,)
        if not self._history:
            return refusal
        error = RedirectError(f"{message}; it was redirected there")
        error.response = self._redaction.response(self._history[-1], self.secrets())
        error.__cause__ = refusal
        return error

    def _tell_breaker(self, state: str) -> None:
        """Tell what the breaker became."""
        breaker = self._guards.breaker
        if breaker is not None:
            self._telemetry.record(
                events.BreakerChanged(self._hop.pool, self._guards.name, state, breaker.remaining())
            )

    def _tell_quota(self, quota: RetryQuota) -> None:
        self._telemetry.record(
            events.RetryQuotaChanged(self._hop.pool, self._guards.name, quota.tokens)
        )

    def _succeeded(self) -> None:
        """Tell the ledger of a success."""
        if self._spent is not None:
            quota, cost = self._spent
            quota.refund(cost)
            self._tell_quota(quota)
        elif (own := self._guards.quota) is not None and own.reward():
            self._tell_quota(own)

    def _refuse_if_late(self, when: str) -> None:
        """Raise when the deadline leaves no time for an attempt, or the call was cancelled."""
        if self._cancellation is not None:
            self._cancellation.refuse(f"{self._what()}: {when}")
        if not self._deadline.allows_attempt():
            raise deadline_error(self._deadline, f"{self._what()}: {when}")

    def _authenticate(self, request: requests.PreparedRequest) -> None:
        auth = self._hop.auth
        known = isinstance(auth, HTTPBasicAuth | _auth.BearerAuth)
        headers, url = None if known else request.headers.copy(), request.url
        try:
            with _deadline.entered(self._deadline):
                request.prepare_auth(_callers.applied(auth), request.url or "")
        except OSError:
            # An auth that wants to know where a body begins that has no beginning (a pipe).
            if self._hop.body.rewindable or not hasattr(request.body, "tell"):
                raise
            msg = f"{type(auth).__name__} needs a body that can be rewound"
            raise ConfigurationError(msg) from None
        if headers is not None:
            _headers.checked(request.headers)
            if request.url != url:
                self._in_query += _callers.added_to_query(url, request.url)
            self._from_auth += (*_headers.added(headers, request.headers), *self._in_query)
            request.hooks = {
                event: [self._auths_hook(hook) for hook in hooks]
                for event, hooks in request.hooks.items()
            }

    def _begin_attempt(self, request: requests.PreparedRequest) -> Attempt:
        hop, header = self._hop, self._policy.deadline_header
        if header is not None:
            _deadline_header.tell(
                header, self._deadline, hop, request, self._arguments.get("headers")
            )
        self._attempts += 1
        self._replaying = False
        attempt = self._attempt = Attempt(
            hop,
            request,
            self._attempts,
            Timeouts(self._options.timeout, self._conn._timeout, self._policy, self._deadline),
            telemetry=self._telemetry,
            clock=self._clock,
        )
        attempt.begin(
            self._span,
            url=self._shown_url(request.url),
            name=self._options.name if hop.own else None,
        )
        return attempt

    def _end_attempt(self, error_type: str) -> None:
        assert self._attempt is not None  # noqa: S101 - there is one, or nothing would end
        self._attempt.end(error_type)

    def _abandon_attempt(self) -> None:
        """End an attempt whose answer, if there is one, nobody will read."""
        self._end_attempt("other")
        if self._attempt is not None and self._attempt.response is not None:
            self._attempt.response.close()

    def _callers_hook(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """A response hook whose errors are known as the caller's own."""

        def called(response: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return hook(response, *args, **kwargs)
            except Exception as error:
                # Nor is a body that doesn't come an error of the hook that asks for it.
                of_answer = _callers.says_status_of(error, response)
                if not (of_answer or _callers.is_of_reading(error, response)):
                    self._callers_own = error
                raise

        return self._auths_hook(called)

    def _auths_hook(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """A response hook of which it is known what its `raise_for_status` was about."""

        def called(response: Any, *args: Any, **kwargs: Any) -> Any:
            token = self._tracing.lift()
            try:
                return hook(response, *args, **kwargs)
            except Exception as error:
                if _callers.says_status_of(error, response):
                    self._answered = response
                raise
            finally:
                self._tracing.leave(token)

        return called

    def _answer_in(self, raised: Exception) -> requests.Response | None:
        """The answer that an exception stands for; `None` when it stands for something else.

        A response hook may call `raise_for_status` on what it was given, and `requests`' own auth
        classes trip over challenges that they don't understand: the 401 is the answer then.
        """
        attempt = self._attempt
        assert attempt is not None  # noqa: S101 - it was sent
        if self._callers_own is not None:
            return None
        if _callers.says_status_of(raised, self._answered):
            return self._answered
        return attempt.response if _callers.is_of_requests_auth(raised) else None

    def _is_callers_own(self, raised: Exception) -> bool:
        """Whether an exception is none of the wire's: the caller's code raised it."""
        if self._callers_own is not None:
            return True
        if isinstance(raised, SleepwalkerException) and raised.elapsed is not None:
            # Of another call, which an auth made within this one.
            return True
        # An answer is here, and this error is about another: that of an auth's own request.
        answered = self._attempt is not None and self._attempt.response is not None
        return answered and isinstance(raised, requests.exceptions.HTTPError)

    def _hand_over(self, response: requests.Response) -> None:
        """Let the errors of a body that is read later be what they would be within the call."""
        attempt = self._attempt
        if attempt is None or not hasattr(response.raw, "stream"):
            # It is no answer of the wire's: a hook's own, or an adapter's of the user.
            return
        if not isinstance(response.raw, _wire.Content):
            response.raw = _wire.Content(response.raw, pace=attempt.timeouts)
        clock, started = self._clock, self._started
        late = Late(
            self._what(),
            attempt.request,
            self._attempts,
            lambda: clock.monotonic() - started,
            attempt.timeouts,
            self._where_secrets_are(),
        )
        response.raw.hand_over(late)

    def _whole(
        self, response: requests.Response
    ) -> tuple[requests.Response | None, SleepwalkerException | None]:
        """An answer with its body, which `requests` would have read had nothing been raised."""
        if not self._options.stream:
            try:
                _ = response.content
            except (requests.exceptions.RequestException, _wire.TooMuch) as error:
                return None, self._translated(error)
            except RuntimeError:
                # A hook has gone through it piece by piece: there is nothing left.
                pass
        return response, None

    def _translated(self, raised: Exception) -> SleepwalkerException | None:
        attempt = self._attempt
        assert attempt is not None  # noqa: S101 - it was sent
        secrets = self.secrets()
        error = translate(
            raised,
            what=self._what(),
            timeouts=attempt.timeouts,
            maybe_sent=attempt.exchange.maybe_sent,
            redaction=self._redaction,
            secrets=secrets,
            outside=self._outside,
        )
        if isinstance(error, ResponseTooLarge) and error.response is None:
            error.response = self._redaction.response(attempt.response, secrets)
        return error

    def _what(self) -> str:
        """The method and URL of the current hop, for messages."""
        # Cut when it is redacted: half a secret could not be found any more.
        return f"{self._hop.method} {self._shown_url(self._hop.prepared.url)[:LONGEST_URL]}"

    def _shown_url(self, url: str | None) -> str:
        """A URL as it may be shown; one that a server gave may hold what an earlier one had."""
        shown = self._redaction.url(url or "")
        if self._history:
            return self._redaction.text(shown, self.secrets(), rewritten=True)
        if self._in_query:
            return self._redaction.text(shown, self._in_query, rewritten=True)
        return shown

    def _without_secrets(self, text: str) -> str:
        return self._redaction.text(text, self.secrets())

    def secrets(self) -> tuple[str, ...]:
        """The secret texts of this call, on all its hops: looked for only when something failed."""
        if not hasattr(self, "_hop"):
            return ()
        return self._where_secrets_are().found()

    def _where_secrets_are(self) -> Secrets:
        hop, attempt = self._hop, self._attempt
        last = (attempt and attempt.request) or hop.prepared
        return Secrets(
            self._redaction,
            (*(response.request for response in self._history), last),
            tuple(hop.settings["proxies"].values()),
            hop.auth,
            self._from_auth,
            cookies_of(self._conn.session.cookies),
        )

    # --- the wire's view of this call (`_wire.Watch`) ----------------------------------------

    @property
    def exchange(self) -> _wire.Exchange:
        """What is known of the exchange under way."""
        assert self._attempt is not None  # noqa: S101 - the wire is watched within attempts only
        return self._attempt.exchange

    def sends(self, request: requests.PreparedRequest) -> bool:
        """Whether this is the request that is being sent."""
        return request is self._sending

    def before_exchange(self, request: requests.PreparedRequest, timeout: Any) -> Any:
        """A request goes to the wire: the attempt's own, or a replay, which is an attempt more."""
        attempt = self._attempt
        assert attempt is not None  # noqa: S101 - as above
        if attempt.response is None:
            return timeout
        if not self._hop.body.rewindable:
            # It would go out empty, and the server would take it for the whole.
            raise _StopReplay(attempt.response)
        if not _callers.answers_challenge(self._hop.auth, request, attempt.request):
            raise _StopReplay(attempt.response)
        self._record_auth_retry(attempt)
        self._end_attempt("none")
        self._refuse_if_late("before the replay")
        self._hop.body.rewind()
        replay = self._begin_attempt(request)
        # Until the hook of the auth that sends it has ended, which lifts it.
        self._tracing.suppress()
        self._replaying = True
        return (replay.timeouts.connect, replay.timeouts.read)

    @property
    def clock(self) -> Clock:
        """What time it is for the call, and how it waits."""
        return self._clock

    @property
    def pace(self) -> _wire.Pace:
        """What bounds the exchange under way."""
        assert self._attempt is not None  # noqa: S101 - as above
        return self._attempt.timeouts

    @property
    def response_limits(self) -> ResponseLimits | None:
        """What the server can make us take in."""
        return self._policy.response_limits

    def after_exchange(self, response: requests.Response) -> None:
        """The headers of an answer are here."""
        assert self._attempt is not None  # noqa: S101 - as above
        self._attempt.response = response
        if not isinstance(response, _wire.Reply):
            limits = self._policy.response_limits
            limit = None if limits is None or self._options.stream else limits.body
            response.raw = _wire.bounded(response.raw, limit, self.pace)
        if self._replaying:
            self._replaying = False
            self._tracing.lift()
        if self._options.stream and response.status_code < 400:
            # Of an error's body it is this call that reads some.
            self._release_stream()

    def _release_stream(self) -> None:
        """A streamed body is under the deadline that the call itself gave, and under no other."""
        if self._options.deadline is None and self._attempt is not None:
            self._attempt.timeouts.release()

    def silence(self) -> None:
        """What others may have put into the layers below says nothing of the exchange under way."""
        if self._silenced is None:
            self._silenced = self._tracing.suppress()

    def uses(self, sock: Any) -> None:
        """The exchange under way goes through this socket."""
        if self._cancellation is not None:
            self._cancellation.uses(self, sock)

    def leaves(self) -> None:
        """The exchange under way is done with its socket."""
        if self._cancellation is not None:
            self._cancellation.let_go(self)

    def opened(self) -> OpenConnection | None:
        """A connection was opened for the exchange under way."""
        return self._telemetry.opened(self._hop.pool)

    def begins(self) -> None:
        """A connection begins to write the request of the exchange under way."""
        self._telemetry.tell_connections()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While code of the caller's runs within the exchange: what it does is its own."""
        token = self._tracing.lift()
        try:
            yield
        finally:
            self._tracing.leave(token)

    def body_failed(self, error: Exception) -> None:
        """What the caller's own body raised."""
        self._callers_own = error

    @property
    def answered(self) -> bool:
        """Whether the answer to the attempt under way is here."""
        return self._attempt is not None and self._attempt.response is not None

    def shown(self, texts: list[str]) -> list[str]:
        """What may be shown of texts of a lower layer."""
        secrets = self.secrets()
        return [self._shown_text(text, secrets) for text in texts]

    def _shown_text(self, text: str, secrets: tuple[str, ...]) -> str:
        if not text.startswith(("/", "http://", "https://")):
            return self._redaction.text(text, secrets)
        # A path with its query as well: what rewrites paths is to get it.
        return self._redaction.text(self._redaction.url(text), secrets, rewritten=True)

    # --- redirects ---------------------------------------------------------------------------

    def _follow(self, response: requests.Response) -> bool:
        """Make the next hop of a redirect the current one; whether there is one."""
        if self._redirects is None:
            self._redirects = Redirects(
                self._conn,
                self._policy,
                self._arguments.get("cookies"),
                self._history,
                self._without_secrets,
            )
        reached = self._hop.reached
        try:
            location = self._redirects.location(self._hop, response, self._what())
            if location is None:
                return False
            self._hop = self._redirects.follow(self._hop, response, location, self._what())
            # What goes on from here is no retry of what failed before.
            self._failed_before = None
        except SleepwalkerException as refused:
            refused.response = self._redaction.response(response, self.secrets())
            self._discard(response)
            raise
        self._discard(response)
        if response.status_code in SAME_AGAIN:
            # What an earlier attempt under the same key left there may be in the way here.
            self._hop.reached = reached
        else:
            # The server has answered: what may have been lost before is not what this goes on from.
            self._lost = False
        return True

    # --- failures ----------------------------------------------------------------------------

    def _failed(self, error: SleepwalkerException) -> Outcome:
        """What to do about an attempt without an answer."""
        attempt = self._attempt
        assert attempt is not None  # noqa: S101 - it was sent
        if isinstance(error, PrivateAddressError | UnguardedError):
            error = self._kept_out(error)
        reason = "protocol"
        if isinstance(error, TimeoutError):
            reason = "timeout"
        elif not attempt.exchange.maybe_sent:
            reason = "connect"
        # Who refuses our certificate has read nothing of what we wrote.
        sent = attempt.exchange.maybe_sent and not isinstance(error, CertificateError)
        # What is too large to be taken in is an answer all the same, if its headers are here.
        answered = error.response is not None
        failure = Failure(
            number=self._failures + 1,
            reason=reason,
            sent=sent,
            resend=self._hop.reached,
            transient=error.transient,
        )
        self._lost |= (
            sent
            and not answered
            and (self._hop.method not in SAFE or self._options.idempotent is False)
        )
        if self._cancellation is not None:
            # Its socket was shut under it, and the error is only about that.
            self._cancellation.refuse(self._what())
        return Outcome(None, error, self._decide(failure), failure)

    def _answered_with_error(self, response: requests.Response) -> Outcome:
        """What to do about a status of 400 or more."""
        value = response.headers.get("Retry-After")
        failure = Failure(
            number=self._failures + 1,
            reason="status",
            sent=True,
            resend=self._hop.reached,
            status=response.status_code,
            retry_after=retry_after(value, self._clock.time()) if value is not None else None,
        )
        return Outcome(response, None, self._decide(failure), failure)

    def _decide(self, failure: Failure) -> Verdict:
        self._failures += 1
        self._hop.reached |= failure.sent
        request = Repeatable(
            method=self._hop.method,
            idempotent=self._options.idempotent,
            key=self._hop.keyed,
            body=self._hop.body.rewindable,
        )
        verdict = decide(
            failure,
            request,
            self._policy,
            remaining=self._deadline.remaining(),
            random=self._conn._random,
        )
        return self._afforded(verdict) if verdict.again else verdict

    def _afforded(self, verdict: Verdict) -> Verdict:
        """The verdict to go again, if the host may be asked by then and the quota pays for it."""
        breaker, quota = self._guards.breaker, self._guards.quota
        if breaker is not None and breaker.remaining() > verdict.wait:
            return Verdict(again=False, why=CIRCUIT_OPEN)
        if quota is None:
            return verdict
        cost = quota.spend(throttled=verdict.why == "throttled")
        if cost is None:
            return Verdict(again=False, why=QUOTA)
        self._paid = quota, cost
        self._tell_quota(quota)
        return verdict

    def _retried(self, first: Outcome) -> Outcome:
        """Go on after a first failure, until an attempt is not to be repeated."""
        return retried(first, self._step, sleep=self._sleep, before_sleep=self._before_sleep)

    def _sleep(self, seconds: float) -> None:
        """Wait before another attempt."""
        if self._cancellation is None:
            self._clock.sleep(seconds)
        else:
            self._cancellation.sleep(seconds, self._clock, self._what())

    def _before_sleep(self, outcome: Outcome) -> None:
        verdict = outcome.verdict
        assert verdict is not None  # noqa: S101 - it says to go again
        self._keep(outcome)
        self._waited += verdict.wait
        self._telemetry.record(
            events.RetryScheduled(
                self._hop.pool,
                self._hop.method,
                self._attempts,
                verdict.why,
                verdict.wait,
                outcome.response.status_code if outcome.response is not None else None,
                names.error_type_of(outcome.error) if outcome.error is not None else "status",
            )
        )

    def _keep(self, outcome: Outcome) -> None:
        """Keep how an attempt ended until the next one is let through: it stands if that isn't."""
        self._failed_before, self._kept = outcome, outcome.response

    def _goes_on(self) -> None:
        """Another attempt is let through: what pays for it is spent, the answer before useless."""
        if self._paid is not None:
            self._spent, self._paid = self._paid, None
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._discard(kept)

    def _give_back(self, *, but: requests.Response | None = None) -> None:
        """No attempt follows any more: give back what one was paid with, and let go of the answer.

        :param but: the answer that stands, and isn't let go of
        """
        if self._paid is not None:
            # Side by side: no interrupt comes between, and nothing is given back twice.
            (quota, cost), self._paid = self._paid, None
            quota.refund(cost)
            self._tell_quota(quota)
        if self._kept is not None:
            kept, self._kept = self._kept, None
            if kept is not but:
                self._discard(kept)

    def _discard(self, response: requests.Response) -> None:
        """Let go of a response that nobody will read."""
        response.close()

    # --- bearer tokens -----------------------------------------------------------------------

    def _renew_token(self) -> bool:
        """After a 401: whether there is a new token, and the request can be sent again with it."""
        hop, attempt = self._hop, self._attempt
        auth = hop.auth
        if not isinstance(auth, _auth.BearerAuth) or not auth.renewable or self._renewed:
            return False
        if not hop.body.rewindable:
            return False
        assert attempt is not None  # noqa: S101 - it got a 401
        assert attempt.request is not None  # noqa: S101 - as above
        sent = str(attempt.request.headers.get("Authorization", "")).partition(" ")[2]
        self._renewed = True
        try:
            with _deadline.entered(self._deadline):
                auth.renewed(sent)
        except BaseException:
            if attempt.response is not None:
                self._discard(attempt.response)
            raise
        self._record_auth_retry(attempt)
        return True

    def _record_auth_retry(self, attempt: Attempt) -> None:
        status = attempt.response.status_code if attempt.response is not None else None
        self._telemetry.record(
            events.RetryScheduled(
                self._hop.pool, self._hop.method, attempt.number, "auth", 0.0, status, "status"
            )
        )


_NOTES = {
    NOT_REWINDABLE: "Not sent again, because its body can't be rewound.",
    NOT_REPEATABLE: (
        "Not sent again, because it may have been processed, and is not known to be repeatable: "
        "give it an idempotency_key, or say idempotent=True if it may be repeated."
    ),
    DEADLINE: "Not sent again, because the deadline leaves no time (deadline=, Policy(deadline=)).",
    RETRY_AFTER_TOO_LONG: (
        "Not sent again, because the server asks to wait longer than max_retry_after or the "
        "deadline allow."
    ),
    QUOTA: (
        "Not sent again, because the retry quota of this host is used up: too much fails "
        "(Policy(quota=...))."
    ),
    CIRCUIT_OPEN: (
        "Not sent again, because the circuit of this host is open: too much fails "
        "(Policy(breaker=...))."
    ),
    LIMIT: (
        "Not sent again, because as many calls to this host as may be were in flight until the "
        "deadline (Policy(limit=...))."
    ),
}
"""Why a request was not sent again, where that is not plain from the error."""


def _note(error: SleepwalkerException, why: str) -> None:
    error.not_retried = why or None
    if why in _NOTES:
        error.add_note(_NOTES[why])


def outcome_of(error: Exception) -> str:
    """The outcome of a call that ended with an error, retries aside."""
    if isinstance(error, CancelledError):
        return "cancelled"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, RefusedError | ConfigurationError | URLError):
        return "refused"
    return "error"


def _read_some(response: requests.Response) -> None:
    """Read the beginning of a streamed error's body, and let go of the rest.

    Somewhat more than is kept: half a secret at the end could not be found.
    """
    try:
        body = next(response.iter_content(ERROR_BODY + LONGEST_SECRET), b"")
    except requests.exceptions.RequestException:
        body = b""
    finally:
        response.close()
    response._content = body
