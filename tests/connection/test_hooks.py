"""How hooks are asked: in order, how often, under which deadline, and what is told of it.

Rule: a hook is never called more often than its contract allows; every test counts the calls.
"""

from __future__ import annotations

import base64
import builtins
import pickle
import socket
import ssl
import traceback
import urllib.error
from email.message import Message
from typing import TYPE_CHECKING, Any

import pytest
import requests
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from requests.auth import HTTPBasicAuth, HTTPDigestAuth
from structlog.testing import CapturingLogger

from sleepwalker import (
    ANONYMOUS,
    Backoff,
    BearerAuth,
    CertificateError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    Connection,
    ConnectionError,
    ConnectionHook,
    CredentialsError,
    DeadlineExceeded,
    DirectHook,
    EstablishmentError,
    HookError,
    HTTPError,
    HTTPForbidden,
    HTTPUnauthorized,
    PlaintextError,
    Policy,
    ReadTimeout,
    ReentrantFindError,
    SleepwalkerException,
    URLError,
    deadline,
)
from sleepwalker.auth import label
from sleepwalker.connection import HookOutcome
from sleepwalker.observability.events import (
    ConnectionEstablished,
    ConnectionFailed,
    HookCalled,
)
from tests.crew import Maker, Plain, SteppedClock, Witness, quiet
from tests.servers import respond, stall

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.servers import CertificateAuthority, ScriptedServer

URL = "https://api.example.com"
PASSWORD = "planted-password"
AUTH = ("user", PASSWORD)


class Scripted:
    """A hook that answers or raises what it is given, in order, then again the last."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.calls = 0

    def connect(self, host: Any, auth: Any) -> Any:
        del host, auth
        self.calls += 1
        answer = self._answers[min(self.calls, len(self._answers)) - 1]
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class LimitedError(OSError):
    """An error of somebody else's, that says in its own way when to come again."""

    def __init__(self, retry_after: Any) -> None:
        super().__init__("limited")
        self.retry_after = retry_after


class First(Scripted):
    pass


class Second(Scripted):
    pass


class Third(Scripted):
    pass


def answer(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    return response


def ours(status: int, **context: Any) -> HTTPError:
    return HTTPError.class_for(status)(answer(status), **context)


def theirs(status: int) -> requests.HTTPError:
    return requests.HTTPError(f"{status}", response=answer(status))


def failure(manager: Any, host: Any = URL, auth: Any = AUTH) -> EstablishmentError:
    with pytest.raises(EstablishmentError) as caught:
        manager.find(host, auth)
    error: EstablishmentError = caught.value
    return error


def fates(error: EstablishmentError) -> list[tuple[str, str, int]]:
    return [(o.hook, o.outcome, o.attempts) for o in error.outcomes]


def everything_about(error: BaseException) -> list[str]:
    """Give all that can be seen of an error: its traceback, and the chain behind it."""
    shown, pending = traceback.format_exception(error), [error]
    while pending:
        link = pending.pop()
        shown += [repr(link), repr(vars(link))]
        pending += [e for e in (link.__cause__, link.__context__) if e is not None]
    return shown


# --- the interface -----------------------------------------------------------------------


def test_the_base_hook_must_be_sub_classed() -> None:
    with pytest.raises(NotImplementedError):
        ConnectionHook().connect(URL, AUTH)


def test_a_sub_class_that_forgot_connect_fails_like_any_failing_hook() -> None:
    class Forgetful(ConnectionHook):
        pass

    error = failure(quiet(Forgetful()))
    assert fates(error) == [("Forgetful", "failed", 1)]
    assert isinstance(error.__cause__, NotImplementedError)


def test_a_hook_need_be_no_sub_class_and_may_be_an_object_of_any_kind() -> None:
    class Module:
        @staticmethod
        def connect(host: Any, auth: Any) -> Any:
            return (host, auth)

    assert quiet(Module()).find("books", 5) == ("books", 5)


def test_a_hook_added_later_is_asked_later() -> None:
    first, second = First(None), Second(Plain())
    manager = quiet(first)
    manager.add_conn_hook(second)
    manager.find(URL, AUTH)
    assert (first.calls, second.calls) == (1, 1)


def test_a_hook_added_while_hooks_are_asked_is_asked_from_the_next_find_on() -> None:
    manager = quiet()
    late = Third(Plain())

    def add_late() -> None:
        manager.add_conn_hook(late)

    manager.add_conn_hook(First(add_late))
    assert fates(failure(manager)) == [("First", "declined", 1)]
    assert manager.find(URL, AUTH)
    assert late.calls == 1


# --- order -------------------------------------------------------------------------------


def test_hooks_are_asked_in_the_order_added_until_one_gives_a_connection() -> None:
    conn = Plain()
    asked: list[str] = []

    def noting(name: str, given: Any) -> Callable[[], Any]:
        def note() -> Any:
            asked.append(name)
            return given

        return note

    first, second = First(noting("first", None)), Second(noting("second", conn))
    third = Third(noting("third", Plain()))
    assert quiet(first, second, third).find(URL, AUTH) is conn
    assert asked == ["first", "second"]


def test_a_hook_that_raises_has_failed_and_the_next_is_asked() -> None:
    conn = Plain()
    first, second = First(RuntimeError("no")), Second(conn)
    assert quiet(first, second).find(URL, AUTH) is conn
    assert (first.calls, second.calls) == (1, 1)


@pytest.mark.parametrize(
    "odd", ["30", "soon", -1, float("nan"), float("inf"), True, object(), None, 10**400]
)
def test_what_a_foreign_error_says_of_when_to_come_again_counts_for_nothing(odd: Any) -> None:
    limited, good = Scripted(LimitedError(odd)), Plain()
    clock = SteppedClock()
    manager = quiet(limited, Maker(lambda *_: good), clock=clock, random=lambda: 0.0)

    assert manager.find(URL, AUTH) is good
    assert limited.calls == 3

    error = failure(quiet(Scripted(LimitedError(odd)), clock=clock, random=lambda: 0.0))
    assert fates(error) == [("Scripted", "failed", 3)]


def test_when_none_succeeds_the_error_has_every_outcome_and_is_chained_from_the_last_failure() -> (
    None
):
    early, late = ValueError("early"), KeyError("late")
    error = failure(quiet(First(early), Second(None), Third(late), Maker(lambda *_: None)))
    assert fates(error) == [
        ("First", "failed", 1),
        ("Second", "declined", 1),
        ("Third", "failed", 1),
        ("Maker", "declined", 1),
    ]
    assert [o.error for o in error.outcomes] == [early, None, late, None]
    assert all(o.elapsed >= 0 for o in error.outcomes)
    assert error.__cause__ is late
    assert isinstance(error, ConnectionError)
    assert isinstance(error, builtins.ConnectionError)
    assert error.elapsed is not None
    for word in ("First", "failed", "ValueError", "Second", "declined", "Third", "KeyError"):
        assert word in str(error)


def test_when_all_decline_there_is_nothing_to_be_chained_from() -> None:
    error = failure(quiet(First(None), Second(None)))
    assert error.__cause__ is None
    assert fates(error) == [("First", "declined", 1), ("Second", "declined", 1)]


def test_a_failure_is_not_kept_and_the_hooks_are_asked_again_at_the_next_find() -> None:
    conn = Plain()
    hook = First(RuntimeError("not yet"), conn)
    manager = quiet(hook)
    failure(manager)
    assert len(manager.conns) == 0
    assert manager.find(URL, AUTH) is conn


@pytest.mark.parametrize("given", [True, False, 0, 5, 1.5, "conn", b"conn", Connection])
def test_what_is_plainly_no_connection_is_a_failure_of_the_hook(given: Any) -> None:
    first, second = First(lambda: given), Second(None)
    error = failure(quiet(first, second))
    assert fates(error) == [("First", "failed", 1), ("Second", "declined", 1)]
    assert isinstance(error.__cause__, HookError)
    assert type(given).__name__ in str(error.__cause__)


# --- being called again ------------------------------------------------------------------

TRANSIENT: list[Callable[[], Exception]] = [
    lambda: ConnectError("refused"),
    lambda: ReadTimeout("slow"),
    lambda: ours(503),
    lambda: ours(429),
    lambda: theirs(503),
    lambda: OSError("network"),
    lambda: builtins.ConnectionResetError("reset"),
    lambda: socket.gaierror("dns"),
    lambda: builtins.TimeoutError("slow"),
    lambda: requests.ConnectionError("network"),
    lambda: requests.Timeout("slow"),
]


def named(make: Callable[[], Exception]) -> str:
    error = make()
    status = getattr(getattr(error, "response", None), "status_code", "")
    return f"{type(error).__module__}.{type(error).__name__} {status}".strip()


@pytest.mark.parametrize("make", TRANSIENT, ids=named)
def test_a_transient_error_has_the_hook_called_again(make: Callable[[], Exception]) -> None:
    conn, clock = Plain(), SteppedClock()
    first, second = First(make(), make(), conn), Second(Plain())
    manager = quiet(first, second, clock=clock, random=lambda: 1.0)
    assert manager.find(URL, AUTH) is conn
    assert (first.calls, second.calls) == (3, 0)
    assert len(clock.slept) == 2


@pytest.mark.parametrize("make", TRANSIENT, ids=named)
def test_a_hook_is_called_as_often_as_the_managers_policy_says(
    make: Callable[[], Exception],
) -> None:
    for attempts in (1, 2, 5):
        first, second = First(make()), Second(None)
        manager = quiet(first, second, clock=SteppedClock(), policy=Policy(attempts=attempts))
        error = failure(manager)
        assert fates(error) == [("First", "failed", attempts), ("Second", "declined", 1)]
        assert first.calls == attempts


class Vendor(Exception):  # noqa: N818 - what vendors call theirs
    """Neither ours nor an `OSError`, although it carries a response."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status}")
        self.response = answer(status)


FINAL: list[Callable[[], Exception]] = [
    lambda: ours(401),
    lambda: ours(403),
    lambda: theirs(401),
    lambda: theirs(403),
    lambda: ours(400),
    lambda: ours(404),
    lambda: ValueError("bad"),
    lambda: RuntimeError("bad"),
    lambda: KeyError("bad"),
    lambda: AssertionError("bad"),
    lambda: NotImplementedError("bad"),
    lambda: ConfigurationError("bad"),
    lambda: CredentialsError("none"),
    lambda: PlaintextError("http"),
    lambda: URLError("bad"),
    lambda: DeadlineExceeded("over"),
    lambda: Vendor(401),
    lambda: Vendor(503),
]


@pytest.mark.parametrize("make", FINAL, ids=named)
def test_any_other_error_fails_a_hook_at_its_first_call(make: Callable[[], Exception]) -> None:
    conn, clock = Plain(), SteppedClock()
    first, second = First(make()), Second(conn)
    manager = quiet(first, second, clock=clock, policy=Policy(attempts=5))
    assert manager.find(URL, AUTH) is conn
    assert (first.calls, clock.slept) == (1, [])


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("make", [ours, theirs])
def test_401_and_403_are_never_tried_again_whatever_the_policy_says(
    make: Callable[[int], Exception], status: int
) -> None:
    hook = First(make(status))
    policy = Policy(attempts=5, retry_statuses=frozenset({401, 403, 503}))
    error = failure(quiet(hook, clock=SteppedClock(), policy=policy))
    assert hook.calls == 1
    assert fates(error) == [("First", "failed", 1)]


def raised_from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def raised_while_handling(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


class CodedError(OSError):
    """A vendor's, that says its status in its own way."""

    def __init__(self, **told: Any) -> None:
        super().__init__("rejected")
        vars(self).update(told)


REJECTED: dict[str, Callable[[], BaseException]] = {
    "urllib's": lambda: urllib.error.HTTPError(URL, 401, "Unauthorized", Message(), None),
    "made of requests'": lambda: raised_from(builtins.ConnectionError("login"), theirs(401)),
    "made of ours": lambda: raised_from(OSError("login"), ours(403)),
    "raised while handling ours": lambda: raised_while_handling(OSError("login"), ours(403)),
    "two links away": lambda: raised_from(OSError("x"), raised_from(ValueError("y"), theirs(403))),
    "in its arguments": lambda: OSError("login", theirs(401)),
    "an OSError with a response": lambda: CodedError(response=answer(401)),
    "an OSError with a code": lambda: CodedError(code=403),
    "an OSError with a status": lambda: CodedError(status=401),
    "an OSError with a status_code": lambda: CodedError(status_code=401),
}


@pytest.mark.parametrize("make", REJECTED.values(), ids=REJECTED)
def test_401_and_403_are_never_tried_again_whatever_they_were_made_into(
    make: Callable[[], BaseException],
) -> None:
    hook = First(make())
    error = failure(quiet(hook, clock=SteppedClock(), policy=Policy(attempts=5)))
    assert fates(error) == [("First", "failed", 1)]
    assert hook.calls == 1


@pytest.mark.parametrize("told", [{"code": "401"}, {"code": 404}, {"status": None}], ids=str)
def test_an_os_error_that_tells_of_something_else_is_tried_again(told: dict[str, Any]) -> None:
    hook = First(CodedError(**told))
    assert fates(failure(quiet(hook, clock=SteppedClock()))) == [("First", "failed", 3)]


def test_an_error_whose_attributes_raise_is_tried_again_like_any_other() -> None:
    class UnrulyError(OSError):
        @property
        def code(self) -> int:
            raise RuntimeError

        response = status = code

    assert fates(failure(quiet(First(UnrulyError("x")), clock=SteppedClock())))[0][2] == 3


class UnseenError(Exception):
    """An error that holds something which can't be shown."""

    def __init__(self, *held: object) -> None:
        super().__init__("no login")
        self.held = held


class UnshowableThing:
    def __repr__(self) -> str:
        raise RuntimeError


class UnaskableError(Exception):
    """Even to ask for an attribute raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class UnopenableError(Exception):
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError


class HalfMadeError(SleepwalkerException):
    def __init__(self) -> None:
        pass


class ClasslessThing:
    """As a proxy of a lost object is: it can't even say what it is."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError


UNSEEN = {
    "no repr": lambda: UnseenError(UnshowableThing()),
    "no repr in its arguments": lambda: ValueError(UnshowableThing()),
    "no class": lambda: UnseenError(ClasslessThing()),
    "no attributes": lambda: UnaskableError("no"),
    "no vars": lambda: UnopenableError("no"),
    "half made": HalfMadeError,
}


@pytest.mark.parametrize("make", UNSEEN.values(), ids=UNSEEN)
def test_an_error_that_can_not_be_looked_at_fails_its_hook_and_no_more(
    make: Callable[[], Exception],
) -> None:
    hooks = First(make()), Second(make())
    error = failure(quiet(*hooks, clock=SteppedClock()))
    assert fates(error) == [("First", "failed", 1), ("Second", "failed", 1)]
    assert [hook.calls for hook in hooks] == [1, 1]
    assert type(make()).__name__ in repr(error.__cause__)


def test_a_thing_that_can_not_be_looked_at_is_a_failure_that_tells_types_alone() -> None:
    witness, raised = Witness(), ValueError(f"not with {PASSWORD}")
    hooks = First(raised), Maker(lambda *_: ClasslessThing()), Third(Plain())
    error = failure(quiet(*hooks, observers=[witness]))
    assert fates(error) == [("First", "failed", 1), ("Maker", "failed", 1)]
    assert hooks[2].calls == 0
    assert [repr(o.error) for o in error.outcomes] == [
        "LowerError('builtins.ValueError')",
        "LowerError('builtins.RuntimeError')",
    ]
    assert "RuntimeError while the hooks were asked" in str(error)
    assert len(witness.of(ConnectionFailed)) == 1
    assert PASSWORD not in "".join(everything_about(error))


@pytest.mark.parametrize("auth", [AUTH, HTTPBasicAuth(*AUTH), HTTPDigestAuth(*AUTH)], ids=label)
def test_a_name_and_password_are_taken_out_as_basic_writes_them(auth: Any) -> None:
    pair = base64.b64encode(":".join(AUTH).encode()).decode()
    error = failure(quiet(First(RuntimeError(f"sent Authorization: Basic {pair}"))), auth=auth)
    assert "Basic REDACTED" in repr(error.__cause__)
    assert pair[:20] not in "".join(everything_about(error))


@pytest.mark.parametrize("auth", [("user", "a/b+c-hunter22"), BearerAuth("a/b+c-hunter22")])
def test_what_a_hook_tells_of_a_key_has_no_secret_however_it_is_written(auth: Any) -> None:
    for written in ("a%2Fb%2Bc-hunter22", "a\\/b+c-hunter22", "YS9iK2MtaHVudGVyMjI="):
        error = failure(quiet(First(RuntimeError(f"login failed: {written}"))), auth=auth)
        assert "login failed: REDACTED" in repr(error.__cause__)


def test_a_401_that_the_caller_was_handling_already_is_no_answer_to_the_hook() -> None:
    """As when a rejected token makes an application find the login service."""
    conn = Plain()
    hook = First(lambda: OSError("network"), conn)
    manager = quiet(hook, clock=SteppedClock())
    try:
        raise ours(401)
    except HTTPUnauthorized:
        assert manager.find(URL, AUTH) is conn
    assert hook.calls == 2


UNTRUSTED: dict[str, Callable[[], BaseException]] = {
    "ssl's": lambda: ssl.SSLCertVerificationError(1, "certificate verify failed"),
    "requests'": lambda: requests.exceptions.SSLError(
        ssl.SSLCertVerificationError(1, "certificate verify failed")
    ),
    "ours": lambda: CertificateError("not trusted"),
    "made of ours": lambda: raised_from(OSError("login"), CertificateError("not trusted")),
}


@pytest.mark.parametrize("make", UNTRUSTED.values(), ids=UNTRUSTED)
def test_a_hook_is_never_called_again_after_a_certificate_error(
    make: Callable[[], BaseException],
) -> None:
    hook = First(make())
    error = failure(quiet(hook, clock=SteppedClock(), policy=Policy(attempts=5)))
    assert fates(error) == [("First", "failed", 1)]


def test_a_transient_error_that_turns_into_a_401_ends_there() -> None:
    hook = First(OSError("network"), ours(401), Plain())
    error = failure(quiet(hook, clock=SteppedClock(), policy=Policy(attempts=5)))
    assert fates(error) == [("First", "failed", 2)]
    assert isinstance(error.__cause__, HTTPUnauthorized)


def test_a_hook_called_again_may_decline() -> None:
    first, second = First(OSError("network"), None), Second(None)
    error = failure(quiet(first, second, clock=SteppedClock()))
    assert fates(error) == [("First", "declined", 2), ("Second", "declined", 1)]


def test_every_hook_has_all_its_attempts() -> None:
    first, second = First(OSError("a")), Second(OSError("b"))
    error = failure(quiet(first, second, clock=SteppedClock(), policy=Policy(attempts=2)))
    assert fates(error) == [("First", "failed", 2), ("Second", "failed", 2)]
    assert "2 calls" in str(error)


def test_the_waits_between_calls_are_the_policys_full_jitter() -> None:
    clock, drawn = SteppedClock(), iter((0.5, 1.0, 0.0))
    policy = Policy(attempts=4, backoff=Backoff(base=0.2, cap=0.3))
    manager = quiet(First(OSError("x")), clock=clock, policy=policy, random=lambda: next(drawn))
    failure(manager)
    assert clock.slept == pytest.approx([0.1, 0.3, 0.0])


def test_without_a_backoff_nothing_is_waited_for() -> None:
    clock = SteppedClock()
    failure(quiet(First(OSError("x")), clock=clock, policy=Policy(attempts=3, backoff=None)))
    assert sum(clock.slept) == 0


def test_a_throttled_hook_waits_as_long_as_the_server_asked() -> None:
    clock = SteppedClock()
    error = ours(429, retry_after=7.0)
    manager = quiet(First(error, Plain()), clock=clock, random=lambda: 0.0)
    manager.find(URL, AUTH)
    assert clock.slept == [7.0]


def test_a_retry_after_above_the_ceiling_fails_the_hook_at_once() -> None:
    clock = SteppedClock()
    hook = First(ours(503, retry_after=61.0))
    failure(quiet(hook, clock=clock, policy=Policy(deadline=None)))
    assert (hook.calls, clock.slept) == (1, [])


def test_an_interrupt_in_a_hook_reaches_the_caller_as_it_is() -> None:
    hook = First(KeyboardInterrupt(), Plain())
    manager = quiet(hook, Second(Plain()))
    with pytest.raises(KeyboardInterrupt):
        manager.find(URL, AUTH)
    assert manager.find(URL, AUTH)
    assert hook.calls == 2


def test_an_interrupt_in_a_hook_is_told_as_a_failure() -> None:
    spans, witness = InMemorySpanExporter(), Witness()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    manager = quiet(First(KeyboardInterrupt()), observers=[witness], tracer_provider=provider)
    with pytest.raises(KeyboardInterrupt):
        manager.find(URL, AUTH)
    called = [(e.outcome, e.error_type) for e in witness.of(HookCalled)]
    assert called == [("failed", "other")]
    (hook,) = [s for s in spans.get_finished_spans() if s.name == "sleepwalker.hook"]
    assert hook.status.status_code.name == "ERROR"
    assert (hook.attributes or {})["error.type"] == "other"


# --- deadlines ---------------------------------------------------------------------------


def test_no_wait_between_calls_passes_the_deadline() -> None:
    clock = SteppedClock()
    policy = Policy(attempts=9, deadline=1.0, backoff=Backoff(base=0.4, cap=0.4))
    hook = First(OSError("x"))
    failure(quiet(hook, clock=clock, policy=policy, random=lambda: 1.0))
    assert clock.slept == pytest.approx([0.4, 0.4])
    assert hook.calls == 3


def test_a_hook_that_overran_is_reported_as_timeout_and_no_other_is_asked() -> None:
    clock, witness = SteppedClock(), Witness()

    def overrun() -> None:
        clock.now += 31
        raise OSError("at last")

    first, second = First(overrun), Second(Plain())
    error = failure(quiet(first, second, clock=clock, observers=[witness]))
    assert fates(error) == [("First", "timeout", 1)]
    assert (first.calls, second.calls) == (1, 0)
    assert [(e.hook, e.outcome) for e in witness.of(HookCalled)] == [("First", "timeout")]


def test_a_hook_that_overran_and_then_declined_is_reported_as_timeout_too() -> None:
    clock = SteppedClock()

    def overrun() -> None:
        clock.now += 31

    second = Second(Plain())
    error = failure(quiet(First(overrun), second, clock=clock))
    assert fates(error) == [("First", "timeout", 1)]
    assert second.calls == 0


def test_a_hook_that_connected_too_late_fails_this_find_and_serves_the_next() -> None:
    clock, witness, conn = SteppedClock(), Witness(), Plain()

    def overrun() -> Plain:
        clock.now += 31
        return conn

    hook = First(overrun)
    manager = quiet(hook, clock=clock, observers=[witness])
    with pytest.raises(DeadlineExceeded, match="deadline"):
        manager.find(URL, AUTH)
    assert [e.outcome for e in witness.of(HookCalled)] == ["timeout"]
    assert manager.find(URL, AUTH) is conn
    assert hook.calls == 1


def test_an_outer_deadline_that_is_earlier_bounds_the_find() -> None:
    hook = First(OSError("x"))
    manager = quiet(hook, policy=Policy(attempts=50, backoff=Backoff(base=0.05, cap=0.05)))
    with deadline(0.2), pytest.raises(ConnectionError):
        manager.find(URL, AUTH)
    assert 1 < hook.calls < 50


def test_a_find_whose_time_is_over_already_asks_no_hook() -> None:
    clock = SteppedClock()
    manager = quiet(clock=clock)
    inner = Second(Plain())

    def overrun() -> None:
        clock.now += 31
        manager.find("other", None)

    first = First(overrun)
    manager.add_conn_hook(first)
    manager.add_conn_hook(inner)
    with pytest.raises(ConnectionError):
        manager.find(URL, AUTH)
    assert (first.calls, inner.calls) == (1, 0)


def test_a_request_inside_a_hook_obeys_the_finds_deadline(server: ScriptedServer) -> None:
    server.default = stall()
    seen: list[BaseException] = []

    class LoggingIn:
        def connect(self, host: Any, auth: Any) -> Any:
            del host
            with Connection(server.url, auth, timeout=20) as conn:
                try:
                    return conn.json_request("GET", "/login")
                except BaseException as error:
                    seen.append(error)
                    raise

    manager = quiet(LoggingIn(), policy=Policy(deadline=0.3))
    error = failure(manager, "books", ANONYMOUS)
    assert isinstance(seen[0], DeadlineExceeded)
    assert error.__cause__ is seen[0]
    assert server.count() == 1
    assert fates(error)[0][2] == 1
    assert error.elapsed is not None
    assert 0.28 <= error.elapsed < 0.3 + 0.5


def test_a_request_inside_a_hook_may_have_an_earlier_deadline_of_its_own(
    server: ScriptedServer,
) -> None:
    server.default = stall()

    class LoggingIn:
        def connect(self, host: Any, auth: Any) -> Any:
            del host
            with Connection(server.url, auth) as conn:
                return conn.json_request("GET", "/login", deadline=0.2)

    conn = Plain()
    assert quiet(LoggingIn(), Second(conn)).find("books", ANONYMOUS) is conn


def test_a_hook_that_logs_in_over_http_is_called_again_after_a_503(server: ScriptedServer) -> None:
    server.script(respond(503), respond(503), respond(503), respond(200, json={"id": 1}))

    class LoggingIn:
        def connect(self, host: Any, auth: Any) -> Any:
            del host
            conn = Connection(server.url, auth, policy=Policy(attempts=3, backoff=None))
            conn.json_request("POST", "/login", idempotent=True)
            return conn

    manager = quiet(LoggingIn(), clock=SteppedClock())
    manager.find("books", ANONYMOUS)
    manager.close()
    assert server.count(method="POST", target="/login") == 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_hook_whose_login_is_rejected_logs_in_once(server: ScriptedServer, status: int) -> None:
    server.default = respond(status)

    class LoggingIn:
        def connect(self, host: Any, auth: Any) -> Any:
            del host
            with Connection(server.url, auth) as conn:
                return conn.json_request("POST", "/login")

    error = failure(quiet(LoggingIn()), "books", ANONYMOUS)
    assert server.count() == 1
    assert isinstance(error.__cause__, HTTPUnauthorized | HTTPForbidden)


# --- hooks that find ---------------------------------------------------------------------


def test_a_hook_that_finds_its_own_key_gets_an_error() -> None:
    manager = quiet()
    caught: list[BaseException] = []

    def find_myself() -> Any:
        try:
            return manager.find("HTTPS://api.example.com:443/", AUTH)
        except ReentrantFindError as error:
            caught.append(error)
            raise

    hook = First(find_myself)
    manager.add_conn_hook(hook)
    error = failure(manager)
    assert hook.calls == 1
    assert error.__cause__ is caught[0]
    assert PASSWORD not in str(caught[0])
    assert "api.example.com" in str(caught[0])


@pytest.mark.parametrize("chain", [{"a": "a"}, {"a": "b", "b": "a"}], ids=["itself", "another"])
def test_a_hook_that_finds_its_own_key_after_a_reset_gets_an_error_too(
    chain: dict[str, str],
) -> None:
    class Renewing:
        calls = 0

        def connect(self, host: Any, auth: Any) -> Any:
            self.calls += 1
            manager.reset()
            return manager.find(chain[host], auth)

    hook = Renewing()
    manager = quiet(hook)
    error: BaseException = failure(manager, "a", None)
    while error.__cause__ is not None:
        error = error.__cause__
    assert isinstance(error, ReentrantFindError)
    assert hook.calls == len(chain)
    assert manager._led == {}  # noqa: SLF001 - nothing may be left of an establishment


def test_a_hook_that_catches_that_error_can_go_on() -> None:
    manager, conn = quiet(), Plain()

    def find_myself() -> Any:
        with pytest.raises(ReentrantFindError):
            manager.find(URL, AUTH)
        return conn

    manager.add_conn_hook(First(find_myself))
    assert manager.find(URL, AUTH) is conn


def test_a_hook_may_find_other_keys() -> None:
    conns = {"a": Plain(), "b": Plain(), "c": Plain()}

    class Chained:
        def connect(self, host: Any, auth: Any) -> Any:
            following = {"a": "b", "b": "c"}.get(host)
            if following is not None:
                assert manager.find(following, auth) is conns[following]
            return conns[host]

    manager = quiet(Chained())
    assert manager.find("a", None) is conns["a"]
    assert manager.find("c", None) is conns["c"]
    assert len(manager.conns) == 3


def test_a_cycle_of_keys_in_one_thread_is_an_error_and_no_recursion() -> None:
    class Cycle:
        calls = 0

        def connect(self, host: Any, auth: Any) -> Any:
            self.calls += 1
            return manager.find({"a": "b", "b": "c", "c": "a"}[host], auth)

    hook = Cycle()
    manager = quiet(hook)
    error: BaseException | None = failure(manager, "a", None)
    assert hook.calls == 3
    chain = []
    while error is not None:
        chain.append(type(error))
        error = error.__cause__
    assert chain == [EstablishmentError] * 3 + [ReentrantFindError]


def test_what_a_hook_adds_for_its_own_key_wins_over_what_it_returns() -> None:
    manager, added = quiet(), Plain()

    def add() -> Any:
        manager.add(URL, AUTH, added)
        return Plain()

    manager.add_conn_hook(First(add))
    assert manager.find(URL, AUTH) is added
    assert manager.find(URL, AUTH) is added


def test_a_hook_that_adds_its_connection_itself_and_returns_it_has_it_in_one_pool() -> None:
    """As a 2.0 script may do; its sockets are closed like any others."""
    manager, witness = quiet(), Witness()
    conn = Connection(URL, AUTH, registry=False, observers=[witness])

    def add() -> Any:
        manager.add(URL, AUTH, conn)
        return conn

    manager.add_conn_hook(First(add))
    assert manager.find(URL, AUTH) is conn
    assert len(manager.conns) == 1
    assert manager.reset()._asdict() == {"closed": 1, "draining": 0, "forgotten": 0, "failed": 0}
    assert "closed" in repr(conn)


def test_what_a_hook_adds_for_its_own_key_wins_also_when_it_declines_or_fails() -> None:
    for then in (None, RuntimeError("after all")):
        manager, added = quiet(), Plain()

        def add(manager: Any = manager, added: Any = added, then: Any = then) -> Any:
            manager.add(URL, AUTH, added)
            if then is not None:
                raise then

        manager.add_conn_hook(First(add))
        assert manager.find(URL, AUTH) is added, then


def test_a_hook_may_reset_the_manager_and_its_result_is_not_kept() -> None:
    manager, conn = quiet(), Plain()

    def reset() -> Any:
        manager.reset()
        return conn

    hook = First(reset)
    manager.add_conn_hook(hook)
    assert manager.find(URL, AUTH) is conn
    assert len(manager.conns) == 0
    assert manager.find(URL, AUTH) is conn
    assert hook.calls == 2


# --- what is told ------------------------------------------------------------------------


def test_metrics_and_events_tell_of_every_call_of_a_hook() -> None:
    registry, witness, clock = CollectorRegistry(), Witness(), SteppedClock()
    manager = quiet(
        First(None),
        Second(OSError("x"), RuntimeError("y")),
        Third(Plain()),
        registry=registry,
        observers=[witness],
        clock=clock,
    )
    manager.find(URL, AUTH)
    called = [(e.hook, e.attempt, e.outcome, e.error_type) for e in witness.of(HookCalled)]
    assert called == [
        ("First", 1, "declined", "none"),
        ("Second", 1, "failed", "other"),
        ("Second", 2, "failed", "other"),
        ("Third", 1, "connected", "none"),
    ]
    for hook, outcome, times in (
        ("First", "declined", 1),
        ("Second", "failed", 2),
        ("Third", "connected", 1),
    ):
        labels = {"host": URL, "auth": "basic", "hook": hook, "outcome": outcome}
        name = "sleepwalker_hook_duration_seconds_count"
        assert registry.get_sample_value(name, labels) == times
    assert [e.hook for e in witness.of(ConnectionEstablished)] == ["Third"]


def test_a_failed_establishment_is_one_event_with_the_last_failures_type() -> None:
    witness = Witness()
    first, second = First(ConnectError("x")), Second(None)
    failure(quiet(first, second, observers=[witness], policy=Policy(attempts=1)))
    (event,) = witness.of(ConnectionFailed)
    assert (event.hooks, event.error_type) == (2, "connect")
    assert witness.of(ConnectionEstablished) == []


def test_logs_tell_of_failed_calls_and_the_establishment() -> None:
    log = CapturingLogger()
    manager = quiet(First(ours(401)), Second(Plain()), logger=log)
    manager.find(URL, AUTH)
    told = [(call.method_name, call.args[0], call.kwargs.get("hook")) for call in log.calls]
    assert told == [
        ("info", "hook.attempt.failed", "First"),
        ("info", "connection.established", "Second"),
    ]


def test_spans_tell_of_the_find_and_of_every_call() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    manager = quiet(First(None), Second(ours(401)), Third(Plain()), tracer_provider=provider)
    manager.find(URL, AUTH)
    manager.find(URL, AUTH)
    hooks: list[ReadableSpan] = [s for s in spans.get_finished_spans() if "hook" in s.name]
    (connect,) = [s for s in spans.get_finished_spans() if s.name == "sleepwalker.connect"]
    assert connect.context is not None
    assert [s.parent.span_id for s in hooks if s.parent] == [connect.context.span_id] * 3
    told = [
        (
            (s.attributes or {})["sleepwalker.hook.name"],
            (s.attributes or {})["sleepwalker.outcome"],
            s.status.status_code.name,
        )
        for s in hooks
    ]
    assert told == [
        ("First", "declined", "UNSET"),
        ("Second", "failed", "ERROR"),
        ("Third", "connected", "UNSET"),
    ]
    assert connect.status.status_code.name == "UNSET"


def test_nothing_that_is_told_of_a_failure_holds_a_secret() -> None:
    log, witness = CapturingLogger(), Witness()
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    request = requests.Request("GET", f"https://u:{PASSWORD}@h/?token={PASSWORD}").prepare()
    hooks = [
        First(
            RuntimeError(f"rejected {PASSWORD} for https://user:{PASSWORD}@h/?api_key={PASSWORD}")
        ),
        Second(requests.ConnectionError(f"{PASSWORD}", request=request)),
        Third(KeyError(PASSWORD)),
    ]
    manager = quiet(
        *hooks, logger=log, observers=[witness], tracer_provider=provider, clock=SteppedClock()
    )
    error = failure(manager)
    shown = [repr(error), str(error), repr(error.outcomes), repr(log.calls)]
    shown += [repr(e) for e in witness.of(HookCalled) + witness.of(ConnectionFailed)]
    shown += [span.to_json() for span in spans.get_finished_spans()]
    shown += everything_about(error)
    assert PASSWORD not in "\n".join(shown)
    assert PASSWORD.encode() not in pickle.dumps(error)


def test_no_error_of_a_find_has_the_auth_behind_it() -> None:
    def raised(manager: Any, host: Any = URL) -> BaseException:
        with pytest.raises(SleepwalkerException) as caught:
            manager.find(host, AUTH)
        return caught.value

    clock = SteppedClock()

    def overrun() -> Plain:
        clock.sleep(31)
        return Plain()

    late = quiet(First(overrun), clock=clock)
    closed = quiet()
    closed.close()
    itself = quiet()
    inner: list[BaseException] = []
    itself.add_conn_hook(First(lambda: inner.append(raised(itself))))
    errors = [
        raised(quiet()),
        raised(quiet(First(None))),
        raised(quiet(First(ValueError("x")))),
        raised(quiet(), "https://h:0"),
        raised(late),
        raised(closed),
        raised(itself),
        *inner,
    ]
    assert [type(e) for e in errors[3:]] == [
        URLError,
        DeadlineExceeded,
        ClosedError,
        EstablishmentError,
        ReentrantFindError,
    ]
    for error in errors:
        assert PASSWORD not in "\n".join(everything_about(error)), error
    with pytest.raises(KeyError) as caught:
        quiet().conns[URL, AUTH]
    assert PASSWORD not in "\n".join(everything_about(caught.value))


def test_the_error_pickles_with_its_outcomes() -> None:
    class UnpicklableError(RuntimeError):
        def __reduce__(self) -> Any:
            raise TypeError

    error = failure(quiet(First(UnpicklableError("x")), Second(ours(401)), Third(None)))
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own pickle
    assert type(copy) is EstablishmentError
    assert fates(copy) == fates(error)
    assert str(copy) == str(error)
    assert isinstance(copy.outcomes[1], HookOutcome)


# --- the direct hook ---------------------------------------------------------------------


def test_the_direct_hook_connects_to_urls_and_declines_opaque_names() -> None:
    hook = DirectHook()
    conn = hook.connect("https://h.example/api", AUTH)
    assert isinstance(conn, Connection)
    assert conn.hostname == "https://h.example/api"
    for opaque in ("books", "h.example", "ftp://h", "//h", 5, None, ("https://h", 1)):
        assert hook.connect(opaque, AUTH) is None


def test_the_direct_hook_hands_its_options_to_every_connection() -> None:
    policy = Policy(attempts=7)
    hook = DirectHook(timeout=(1, 2), policy=policy, allow_plaintext=True, auth_label="robot")
    manager = quiet(hook)
    one, other = manager.find("http://a", AUTH), manager.find("http://b", AUTH)
    assert one.timeout == other.timeout == (1, 2)
    assert one.policy is other.policy is policy
    assert one.allow_plaintext
    assert "robot" in repr(one)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*", "https://a http://b:8080/x", ""),
        (
            "*.example.com",
            "https://a.example.com http://b.c.example.com:81",
            "https://example.com https://example.com.evil https://a.example.com.evil",
        ),
        ("https://*", "https://a https://b:8443", "http://a"),
        (
            "https://api.example.com",
            "https://API.example.com:443/v1",
            "https://api.example.com:8443 http://api.example.com",
        ),
        (
            "https://api.example.com:8443",
            "https://api.example.com:8443",
            "https://api.example.com",
        ),
        (
            "api.example.com:*",
            "https://api.example.com:8443 http://api.example.com",
            "https://b.example.com",
        ),
        ("[::1]", "https://[::1]:8443", "https://[::2]"),
    ],
)
def test_the_direct_hooks_pattern_says_which_hosts(pattern: str, yes: str, no: str) -> None:
    hook = DirectHook(pattern)
    assert [host for host in yes.split() if hook.connect(host, ANONYMOUS) is None] == []
    assert [host for host in no.split() if hook.connect(host, ANONYMOUS) is not None] == []


def test_direct_hooks_by_pattern_divide_the_hosts_among_them() -> None:
    manager = quiet(DirectHook("*.internal", timeout=1), DirectHook(timeout=5))
    assert manager.find("https://a.internal", ANONYMOUS).timeout == (1, 1)
    assert manager.find("https://a.example", ANONYMOUS).timeout == (5, 5)


@pytest.mark.parametrize(
    "pattern", ["", None, 5, "ftp://h", "https://h/path", "h?x", "h:port", "u@h"]
)
def test_a_pattern_that_can_not_be_understood_is_refused_at_once(pattern: Any) -> None:
    with pytest.raises(ConfigurationError):
        DirectHook(pattern)


@pytest.mark.parametrize(
    "options",
    [
        {"timeouts": 5},
        {"hostname": "https://h"},
        {"auth": AUTH},
        {"verfy": False},
    ],
    ids=str,
)
def test_an_option_that_is_none_of_a_connections_is_refused_at_once(options: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DirectHook(**options)
    assert next(iter(options)) in str(caught.value)


def test_the_direct_hook_refuses_a_password_over_plain_http_and_is_not_called_again() -> None:
    witness = Witness()
    manager = quiet(DirectHook(), observers=[witness])
    error = failure(manager, "http://h", AUTH)
    assert isinstance(error.__cause__, PlaintextError)
    assert len(witness.of(HookCalled)) == 1
    assert PASSWORD not in str(error)
    assert str(error).startswith("no connection to http://h (auth: basic): DirectHook failed ")
    assert "(PlaintextError): refusing to send a password" in str(error)
    assert "allow_plaintext=True" in str(error)


def test_the_direct_hooks_repr_shows_no_secret() -> None:
    hook = DirectHook("*.example.com", credentials={"https://o.example": AUTH}, timeout=5)
    assert PASSWORD not in repr(hook)
    assert "*.example.com" in repr(hook)


def test_the_direct_hook_works_against_a_real_server(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    with quiet(DirectHook(verify=str(ca.bundle))) as manager:
        conn = manager.find(tls_server.url, AUTH)
        seen = conn.json_request("GET", "/x")
        assert seen["headers"]["authorization"].startswith("Basic ")
        assert manager.find(tls_server.url + "/", AUTH) is conn
    tls_server.wait_for(lambda: tls_server.connections[0].closed_by == "client")
