"""Who we are to a host: identity and label, bearer tokens, the plaintext rule, netrc, credentials.

Rules:

1. Threads meet by events and by an ambient deadline that counts who is about to wait, not by time.
2. A secret is made for each test and looked for in everything that can be shown.
"""

from __future__ import annotations

import base64
import copy
import functools
import math
import os
import pickle
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth

from sleepwalker import auth as _auth
from sleepwalker.auth import ANONYMOUS, BearerAuth, Credentials, HostPattern
from sleepwalker.connection._urls import parse_origin
from sleepwalker.exceptions import (
    AuthError,
    ConfigurationError,
    CredentialsError,
    DeadlineExceeded,
    PlaintextError,
    TokenError,
)
from sleepwalker.resilience.clock import SYSTEM
from sleepwalker.resilience.deadline import Deadline, deadline, entered
from tests.crew import Job, SteppedClock, at_once, wait_for
from tests.planting import everything_in, found, new_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

THREADS = 64


class OwnAuth(AuthBase):
    """An auth class of a user's; equal to itself alone."""

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


class OwnBasic(HTTPBasicAuth):
    """A user's sub-class of one of `requests`' own."""


class Keyed(AuthBase):
    """An auth that says itself what it is equal to."""

    def __init__(self, account: str) -> None:
        self.account = account

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyed) and self.account == other.account

    def __hash__(self) -> int:
        return hash(self.account)


class Unhashable(Keyed):
    """One that is equal to others and can't be a key."""

    __hash__ = None  # type: ignore[assignment]


def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Be an auth that is a plain function."""
    return request


def give() -> str:
    """Be a provider that is a plain function."""
    return "token"


# Identity


@pytest.mark.parametrize(
    "make",
    [
        lambda: ("user", "password"),
        lambda: HTTPBasicAuth("user", "password"),
        lambda: HTTPDigestAuth("user", "password"),
        lambda: HTTPProxyAuth("user", "password"),
        lambda: Keyed("user"),
        lambda: BearerAuth("token"),
        lambda: BearerAuth(give),
        lambda: sign,
        lambda: ANONYMOUS,
        lambda: None,
        lambda: "an opaque name",
    ],
)
def test_auths_that_mean_the_same_are_one_identity(make: Callable[[], Any]) -> None:
    one, other = _auth.identity(make()), _auth.identity(make())

    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    "make",
    [OwnAuth, lambda: OwnBasic("user", "password"), lambda: Unhashable("user"), lambda: ["opaque"]],
)
def test_any_other_object_is_equal_to_itself_alone(make: Callable[[], Any]) -> None:
    auth, twin = make(), make()

    assert _auth.identity(auth) == _auth.identity(auth)
    assert hash(_auth.identity(auth)) == hash(_auth.identity(auth))
    assert _auth.identity(auth) != _auth.identity(twin)


def test_auths_that_differ_are_different_identities() -> None:
    different: list[Any] = [
        ("user", "password"),
        ("user", "other"),
        ("other", "password"),
        HTTPBasicAuth("user", "password"),
        HTTPBasicAuth("user", "other"),
        HTTPProxyAuth("user", "password"),
        HTTPDigestAuth("user", "password"),
        OwnBasic("user", "password"),
        BearerAuth("token"),
        BearerAuth("other"),
        BearerAuth(give),
        BearerAuth(lambda: "token"),
        Keyed("user"),
        Unhashable("user"),
        ANONYMOUS,
        None,
    ]

    assert len({_auth.identity(auth) for auth in different}) == len(different)


def test_an_object_that_is_a_key_by_itself_stays_alive_with_its_key() -> None:
    keys = {_auth.identity(Unhashable(str(number))) for number in range(100)}

    assert len(keys) == 100


def test_a_bearers_identity_is_its_provider_and_not_the_token_it_has_now() -> None:
    tokens = iter(["one", "two"])
    auth = BearerAuth(lambda: next(tokens))
    before = _auth.identity(auth)

    assert (auth.token(), auth.renewed("one")) == ("one", "two")

    assert _auth.identity(auth) == before


class AlikeProvider:
    """A provider of tokens that is no key, and equal to every other."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AlikeProvider)

    __hash__ = None  # type: ignore[assignment]

    def __call__(self) -> str:
        return "token"


def test_a_bearer_whose_provider_has_no_hash_is_known_by_that_very_provider() -> None:
    provider = AlikeProvider()
    auth, same, other = BearerAuth(provider), BearerAuth(provider), BearerAuth(AlikeProvider())

    assert auth == same != other
    assert len({auth, same, other}) == 2
    assert _auth.identity(auth) == _auth.identity(same) != _auth.identity(other)


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda secret: ("bob", secret), "<tuple>"),
        (lambda secret: HTTPBasicAuth("bob", secret), "<HTTPBasicAuth>"),
        (lambda secret: HTTPDigestAuth("bob", secret), "<HTTPDigestAuth>"),
        (lambda secret: secret, "<str>"),
        (lambda secret: secret.encode(), "<bytes>"),
    ],
)
def test_an_identity_shows_no_secret(make: Callable[[str], Any], shown: str) -> None:
    assert repr(_auth.identity(make(new_secret()))) == shown


def test_the_identity_of_a_pair_is_that_pair_as_a_key() -> None:
    known = _auth.identity(("bob", "password"))

    assert known == ("bob", "password")
    assert {known: 1}["bob", "password"] == 1


def test_an_identity_that_is_kept_as_a_key_shows_no_secret_of_an_unhashable_auth() -> None:
    assert repr(_auth.identity(Unhashable(new_secret()))) == "<Unhashable>"


class Changeable:
    """A user that is no key."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


@pytest.mark.parametrize("user", [["user"], {"user": 1}, bytearray(b"user"), Changeable("user")])
@pytest.mark.parametrize("kind", [HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth])
def test_an_auth_of_requests_whose_user_is_no_key_is_equal_to_itself_alone(
    kind: type[Any], user: Any
) -> None:
    auth, twin = kind(user, "password"), kind(user, "password")

    assert _auth.identity(auth) == _auth.identity(auth)
    assert hash(_auth.identity(auth)) == hash(_auth.identity(auth))
    assert _auth.identity(auth) != _auth.identity(twin)
    assert "password" not in repr(_auth.identity(auth))


# Labels


class CallableAuth:
    """A callable object."""

    def __call__(self, r: Any) -> Any:
        return r

    def method(self, r: Any) -> Any:
        return r


@pytest.mark.parametrize(
    ("auth", "label"),
    [
        (ANONYMOUS, "none"),
        (None, "none"),
        (("user", "password"), "basic"),
        (HTTPBasicAuth("user", "password"), "basic"),
        (HTTPDigestAuth("user", "password"), "digest"),
        (BearerAuth("token"), "bearer"),
        (BearerAuth(lambda: "token"), "bearer"),
        (HTTPProxyAuth("user", "password"), "HTTPProxyAuth"),
        (OwnBasic("user", "password"), "OwnBasic"),
        (OwnAuth(), "OwnAuth"),
        (CallableAuth(), "CallableAuth"),
        (sign, "sign"),
        (functools.partial(sign), "partial"),
        ("an opaque name", "str"),
    ],
)
def test_an_auth_is_called_by_its_scheme_or_class(auth: Any, label: str) -> None:
    assert _auth.label(auth) == label


@pytest.mark.parametrize(
    "make",
    [
        lambda s: (s, s),
        lambda s: HTTPBasicAuth(s, s),
        lambda s: HTTPDigestAuth(s, s),
        BearerAuth,
        lambda s: BearerAuth(lambda: s),
        Keyed,
        lambda s: s,
        lambda s: functools.partial(sign, s),
    ],
)
def test_no_label_is_made_from_a_secret(make: Callable[[str], Any]) -> None:
    secret = new_secret()

    assert found(secret, _auth.label(make(secret))) is None


# What can be an auth


def test_a_pair_is_a_shortcut_for_basic() -> None:
    auth = _auth.checked(("user", "password"))

    assert type(auth) is HTTPBasicAuth
    assert (auth.username, auth.password) == ("user", "password")


class Login(NamedTuple):
    """A pair with names."""

    user: str
    password: str


@pytest.mark.parametrize("pair", [("user", b"bytes"), (b"user", "x"), Login("u", "p"), ("", "")])
def test_any_pair_of_texts_is_a_pair(pair: tuple[Any, Any]) -> None:
    assert _auth.checked(pair) == HTTPBasicAuth(*pair)


@pytest.mark.parametrize(
    "auth", [HTTPDigestAuth("u", "p"), BearerAuth("t"), ANONYMOUS, OwnAuth(), sign, None]
)
def test_any_callable_or_none_is_taken_as_it_is(auth: Any) -> None:
    assert _auth.checked(auth) is auth


@pytest.mark.parametrize(
    ("auth", "told"),
    [
        ((), "pair"),
        (("user",), "pair"),
        (("user", "password", "more"), "pair"),
        (("user", None), "pair"),
        ((1, 2), "pair"),
        (["user", "password"], "list"),
        ("user:password", "str"),
        ({"user": "password"}, "dict"),
        (7, "int"),
        (OwnAuth, "class OwnAuth"),
        (HTTPBasicAuth, "class HTTPBasicAuth"),
        (("user", "пароль"), "Latin-1"),
        (HTTPBasicAuth("пользователь", "x"), "Latin-1"),
    ],
)
def test_anything_else_is_an_error_that_says_what_would_do(auth: Any, told: str) -> None:
    with pytest.raises(AuthError, match=told):
        _auth.checked(auth)


@pytest.mark.parametrize("make", [lambda s: (s, None), lambda s: [s, s], lambda s: (f"ж{s}", s)])
def test_an_auth_that_cannot_be_used_is_not_shown(make: Callable[[str], Any]) -> None:
    secret = new_secret()

    with pytest.raises(AuthError) as raised:
        _auth.checked(make(secret))

    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


# Anonymous


def test_there_is_one_anonymous_however_it_is_copied() -> None:
    copies = [
        copy.copy(ANONYMOUS),
        copy.deepcopy(ANONYMOUS),
        pickle.loads(pickle.dumps(ANONYMOUS)),  # noqa: S301 - made here
    ]

    assert [one for one in copies if one is not ANONYMOUS] == []
    assert repr(ANONYMOUS) == "ANONYMOUS"


def test_anonymous_adds_nothing_to_a_request() -> None:
    request = requests.Request("GET", "https://host.example/", auth=ANONYMOUS).prepare()

    assert dict(request.headers) == {}


# Bearer tokens


class Provider:
    """Gives tokens `t1`, `t2`, ... (or what it is told to), and counts how often it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.calls = 0
        self._answers = answers

    def __call__(self) -> Any:
        self.calls += 1
        if self.calls > len(self._answers):
            return f"t{self.calls}"
        answer = self._answers[self.calls - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def authorization(auth: BearerAuth) -> str | bytes | None:
    """Give the header that a request under this auth carries."""
    request = requests.Request("GET", "https://host.example/", auth=auth).prepare()
    return request.headers.get("Authorization")


def test_a_token_is_sent_as_a_bearer() -> None:
    assert authorization(BearerAuth("abc.def-ghi")) == "Bearer abc.def-ghi"
    assert authorization(BearerAuth(lambda: "abc")) == "Bearer abc"
    assert authorization(BearerAuth("!~+/==")) == "Bearer !~+/=="


def test_a_token_of_its_own_wins_over_a_header_of_that_name() -> None:
    request = requests.Request(
        "GET",
        "https://host.example/",
        headers={"Authorization": "Basic x"},
        auth=BearerAuth("abc"),
    ).prepare()

    assert request.headers["Authorization"] == "Bearer abc"


def test_a_provider_is_not_asked_before_a_token_is_needed_and_then_once() -> None:
    provider = Provider()
    auth = BearerAuth(provider)
    assert (provider.calls, auth.known_tokens()) == (0, ())

    tokens = [auth.token() for _ in range(3)]

    assert (tokens, provider.calls, auth.known_tokens()) == (["t1"] * 3, 1, ("t1",))


def test_only_a_provider_can_give_another_token() -> None:
    assert BearerAuth(Provider()).renewable
    assert not BearerAuth("abc").renewable


@pytest.mark.parametrize(
    "token",
    ["", "two words", "tab\there", "line\r\nbreak", "nul\0", "tökén", b"bytes", 7, None, ()],
)
def test_what_no_header_can_hold_is_no_token(token: Any) -> None:
    with pytest.raises(AuthError, match="bearer token"):
        BearerAuth(token)


@pytest.mark.parametrize(
    "answer",
    [None, "", "two words", "line\r\nX: y", b"bytes", 7, ("t", 60, "more"), ("", 60), (None, 60)],
)
def test_a_provider_that_gives_no_token_is_an_error(answer: Any) -> None:
    with pytest.raises(TokenError, match="must return a token"):
        BearerAuth(Provider(answer)).token()


@pytest.mark.parametrize(
    "expiry",
    [
        "3600",
        True,
        [60],
        1j,
        datetime(2030, 1, 1),  # noqa: DTZ001 - it is the error that is tested
        math.nan,
        10**400,
    ],
)
def test_an_expiry_that_says_no_time_is_an_error(expiry: Any) -> None:
    with pytest.raises(TokenError, match="expiry"):
        BearerAuth(Provider(("t1", expiry))).token()


def test_an_error_about_a_token_shows_none() -> None:
    secret = new_secret()
    answers = [(secret, "soon"), f"{secret} x", [secret], {"access_token": secret}]

    for answer in answers:
        with pytest.raises(TokenError) as raised:
            BearerAuth(Provider(answer)).token()
        assert [text for text in everything_in(raised.value) if found(secret, text)] == []


def test_a_provider_that_fails_is_an_error_that_names_its_own_and_quotes_nothing_of_it() -> None:
    secret = new_secret()

    with pytest.raises(TokenError, match=r"failed with KeyError$") as raised:
        BearerAuth(Provider(KeyError(f"no token for {secret}"))).token()

    cause = raised.value.__cause__
    assert str(cause) == "builtins.KeyError (its text is not shown)"
    assert cause is not None
    assert cause.__traceback__ is not None
    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


def test_after_a_failure_the_provider_is_asked_again_by_the_next_who_needs_a_token() -> None:
    provider = Provider(KeyError(), OSError(), "good")
    auth = BearerAuth(provider)

    for _ in range(2):
        with pytest.raises(TokenError):
            auth.token()

    assert (auth.token(), auth.token(), provider.calls) == ("good", "good", 3)


# Expiry


def in_seconds(seconds: float) -> float:
    return seconds


def as_datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(SteppedClock().time() + seconds, UTC)


def as_epoch(seconds: float) -> float:
    return SteppedClock().time() + seconds


def in_another_zone(seconds: float) -> datetime:
    zone = datetime.fromtimestamp(0).astimezone().tzinfo
    return as_datetime(seconds).astimezone(zone) + timedelta()


FORMS = pytest.mark.parametrize("form", [in_seconds, as_datetime, as_epoch, in_another_zone])


@FORMS
@pytest.mark.parametrize(
    ("life", "renewed_after"), [(100.0, 90.0), (600.0, 540.0), (3600.0, 3540.0), (86400.0, 86340.0)]
)
def test_a_token_is_renewed_when_a_tenth_of_its_life_or_a_minute_is_left(
    form: Callable[[float], Any], life: float, renewed_after: float
) -> None:
    clock, provider = SteppedClock(), Provider(("t1", form(life)))
    auth = BearerAuth(provider, clock=clock)
    assert auth.token() == "t1"

    clock.now += renewed_after - 0.01
    just_before = auth.token()
    clock.now += 0.02
    just_after = auth.token()

    assert (just_before, just_after, provider.calls) == ("t1", "t2", 2)


@FORMS
@pytest.mark.parametrize("life", [-60.0, -0.5, 0.0])
def test_a_token_that_has_expired_already_is_used_once(
    form: Callable[[float], Any], life: float
) -> None:
    provider = Provider(("t1", form(life)), ("t2", form(life)))
    auth = BearerAuth(provider, clock=SteppedClock())

    assert [auth.token() for _ in range(3)] == ["t1", "t2", "t3"]


@pytest.mark.parametrize("expiry", [None, math.inf])
def test_a_token_without_an_expiry_is_kept(expiry: float | None) -> None:
    clock, provider = SteppedClock(), Provider(("t1", expiry))
    auth = BearerAuth(provider, clock=clock)

    tokens = [auth.token()]
    clock.now += 1e9
    tokens.append(auth.token())

    assert (tokens, provider.calls) == (["t1", "t1"], 1)


def test_a_bearer_without_a_clock_goes_by_the_one_that_is_installed() -> None:
    clock, provider = SteppedClock(), Provider(("t1", 100.0), ("t2", 100.0))
    auth = BearerAuth(provider)

    with SYSTEM.installed(clock):
        before = auth.token()
        clock.now += 91.0
        after = auth.token()

    assert (before, after) == ("t1", "t2")


# A token that was rejected


def test_a_rejected_token_is_renewed() -> None:
    provider = Provider()
    auth = BearerAuth(provider)

    assert (auth.token(), auth.renewed("t1"), auth.token(), provider.calls) == ("t1", "t2", "t2", 2)


def test_a_token_that_was_replaced_already_is_not_renewed_again() -> None:
    provider = Provider()
    auth = BearerAuth(provider)
    auth.token()
    auth.renewed("t1")

    assert (auth.renewed("t1"), provider.calls) == ("t2", 2)


def test_a_token_that_replaced_the_rejected_one_and_expired_since_is_renewed() -> None:
    clock = SteppedClock()
    provider = Provider(("t1", 100.0), ("t2", 100.0), ("t3", 100.0))
    auth = BearerAuth(provider, clock=clock)
    auth.token()
    auth.renewed("t1")

    clock.now += 1000.0

    assert (auth.renewed("t1"), provider.calls) == ("t3", 3)


def test_a_provider_may_give_the_rejected_token_again() -> None:
    provider = Provider("same", "same", "same")
    auth = BearerAuth(provider)
    auth.token()

    assert (auth.renewed("same"), provider.calls) == ("same", 2)


# Many threads


class Turnstile:
    """A clock for ambient deadlines that counts who is about to wait, and never gets later."""

    def __init__(self) -> None:
        self._seen = threading.Semaphore(0)

    def monotonic(self) -> float:
        self._seen.release()
        return 0.0

    def time(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def await_others(self, others: int) -> None:
        """Wait until so many threads have come by."""
        for _ in range(others):
            assert self._seen.acquire(timeout=10.0)


class Crowd:
    """Threads that all want a token while the first of them is asking the provider."""

    def __init__(self, answers: Sequence[Any], size: int = THREADS) -> None:
        self._size = size
        self._turnstile = Turnstile()
        self.provider = Provider(*answers)
        self.asked_by: list[int] = []
        self.auth = BearerAuth(self._ask)

    def _ask(self) -> Any:
        self.asked_by.append(threading.get_ident())
        if len(self.asked_by) == 1:
            # Our own look at the deadline is one of them.
            self._turnstile.await_others(self._size)
        return self.provider()

    def jobs(self) -> list[Job[str]]:
        """Start them."""

        def task() -> str:
            with entered(Deadline(10.0, self._turnstile, 10.0)):
                return self.auth.token()

        return at_once([task] * self._size)


def test_a_provider_is_asked_once_for_all_threads() -> None:
    crowd = Crowd(["shared"])

    tokens = [job.result() for job in crowd.jobs()]

    assert (Counter(tokens), crowd.provider.calls) == ({"shared": THREADS}, 1)


def test_a_failure_is_shared_by_all_threads_and_the_provider_asked_once() -> None:
    crowd = Crowd([OSError("identity provider down")])

    errors = [job.error() for job in crowd.jobs()]

    assert {type(error) for error in errors} == {TokenError}
    assert len({id(error) for error in errors}) == THREADS
    assert {str(error) for error in errors} == {"the provider of a BearerAuth failed with OSError"}
    assert len({error.__cause__ for error in errors if error is not None}) == 1
    assert crowd.provider.calls == 1


def test_an_interrupted_provider_leaves_the_next_thread_to_ask() -> None:
    crowd = Crowd([KeyboardInterrupt(), "good"])

    jobs = crowd.jobs()
    ends = Counter(type(error).__name__ if (error := job.error()) else job.result() for job in jobs)

    assert ends == {"KeyboardInterrupt": 1, "good": THREADS - 1}
    assert crowd.provider.calls == 2


def test_an_interrupted_renewal_hands_nobody_the_token_that_was_to_be_replaced() -> None:
    clock, turnstile = SteppedClock(), Turnstile()
    answers = iter([("old", 100.0), KeyboardInterrupt(), ("new", 100.0)])
    waiting = threading.Event()

    def provider() -> Any:
        answer = next(answers)
        if isinstance(answer, KeyboardInterrupt):
            waiting.set()
            turnstile.await_others(1)
            raise answer
        return answer

    auth = BearerAuth(provider, clock=clock)
    assert auth.token() == "old"
    clock.now += 1000.0
    interrupted = Job(auth.token)
    wait_for(waiting)

    def late() -> str:
        with entered(Deadline(10.0, turnstile, 10.0)):
            return auth.token()

    waiter = Job(late)

    assert isinstance(interrupted.error(), KeyboardInterrupt)
    assert waiter.result() == "new"


def test_an_earlier_failure_is_not_told_to_those_who_wait_for_a_later_answer() -> None:
    turnstile, waiting = Turnstile(), threading.Event()
    answers: Iterator[BaseException | str] = iter([OSError(), KeyboardInterrupt(), "good"])

    def provider() -> str:
        answer = next(answers)
        if isinstance(answer, KeyboardInterrupt):
            waiting.set()
            turnstile.await_others(1)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    auth = BearerAuth(provider)
    with pytest.raises(TokenError):
        auth.token()
    interrupted = Job(auth.token)
    wait_for(waiting)

    def late() -> str:
        with entered(Deadline(10.0, turnstile, 10.0)):
            return auth.token()

    waiter = Job(late)

    assert isinstance(interrupted.error(), KeyboardInterrupt)
    assert waiter.result() == "good"


class Overtaken(float):
    """A time; whoever compares it is overtaken by another thread before acting on the answer."""

    overtake: Callable[[], object]

    def __lt__(self, other: float) -> bool:
        answer = float(self) < other
        self.overtake()
        return answer


def test_who_is_overtaken_after_seeing_an_expired_token_does_not_ask_again() -> None:
    provider = Provider(("t1", 100.0), ("t2", 100.0), ("t3", 100.0))
    clock = SteppedClock()
    auth = BearerAuth(provider, clock=clock)
    auth.token()
    clock.now += 1000.0
    overtaken: list[str] = []

    def other_thread() -> None:
        if not overtaken:
            clock.now = float(clock.now)
            overtaken.append("")
            overtaken[0] = Job(auth.token).result()

    now = Overtaken(clock.now)
    now.overtake = other_thread
    clock.now = now

    assert auth.token() == "t2"
    assert (overtaken, provider.calls) == (["t2"], 2)


def test_64_threads_whose_token_was_rejected_ask_for_one_new_token() -> None:
    provider = Provider()
    auth = BearerAuth(provider)
    auth.token()

    jobs = at_once([functools.partial(auth.renewed, "t1")] * THREADS)

    assert Counter(job.result() for job in jobs) == {"t2": THREADS}
    assert provider.calls == 2


def test_threads_wait_no_longer_than_their_deadlines() -> None:
    asked, released = threading.Event(), threading.Event()

    def provider() -> str:
        asked.set()
        wait_for(released)
        return "late"

    auth = BearerAuth(provider)
    leader = Job(auth.token)
    wait_for(asked)

    with deadline(0.05), pytest.raises(DeadlineExceeded, match="bearer token"):
        auth.token()

    released.set()
    assert leader.result() == "late"
    assert auth.token() == "late"


def test_who_waits_under_a_deadline_that_has_passed_does_not_wait() -> None:
    asked, released = threading.Event(), threading.Event()

    def provider() -> str:
        asked.set()
        wait_for(released)
        return "late"

    auth = BearerAuth(provider)
    leader = Job(auth.token)
    wait_for(asked)

    with entered(Deadline(-1.0, SteppedClock(0.0), 1.0)), pytest.raises(DeadlineExceeded):
        auth.token()

    released.set()
    assert leader.result() == "late"


def test_a_provider_that_needs_its_own_token_is_an_error_and_no_deadlock() -> None:
    def provider() -> str:
        return auth.token()

    auth = BearerAuth(provider)

    error = Job(auth.token).error()

    assert isinstance(error, TokenError)
    assert str(error) == "the provider of a BearerAuth failed with TokenError"


def test_a_provider_may_use_another_bearer() -> None:
    outer = BearerAuth(lambda: f"{inner.token()}-exchanged")
    inner = BearerAuth(lambda: "first")

    assert outer.token() == "first-exchanged"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # 3.12 warns; it is what is tested
def test_a_child_forked_while_a_thread_asks_gets_a_token_by_itself() -> None:
    asked, released = threading.Event(), threading.Event()
    parent = os.getpid()

    def provider() -> str:
        if os.getpid() != parent:
            return "childs"
        asked.set()
        wait_for(released)
        return "parents"

    auth = BearerAuth(provider)
    leader = Job(auth.token)
    wait_for(asked)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with deadline(5.0):
                os.write(writing, auth.token().encode())
        finally:
            os._exit(0)
    os.close(writing)
    released.set()

    with os.fdopen(reading) as told:
        assert told.read() == "childs"
    os.waitpid(child, 0)
    assert leader.result() == "parents"


# What a bearer shows, and to what it is equal


def test_a_bearer_shows_nothing_of_its_token_or_provider() -> None:
    secret = new_secret()
    renewed = BearerAuth(functools.partial(str, secret))
    renewed.token()

    assert repr(BearerAuth(secret)) == "BearerAuth(<token>)"
    assert repr(renewed) == "BearerAuth(<provider>)"


def test_bearers_are_equal_by_provider_or_fixed_token() -> None:
    provider = Provider()

    assert BearerAuth(provider) == BearerAuth(provider)
    assert BearerAuth("abc") == BearerAuth("abc")
    assert len({BearerAuth("abc"), BearerAuth("abc"), BearerAuth(provider)}) == 2
    assert BearerAuth("abc") != BearerAuth("abd")
    assert BearerAuth(provider) != BearerAuth(Provider())
    assert BearerAuth("abc") != "abc"


@pytest.mark.parametrize(
    ("auth", "secrets"),
    [
        (("somebody", "hunter22"), {"somebody", "hunter22", "somebody:hunter22"}),
        ((b"somebody", b"hunter22"), {"somebody", "hunter22", "somebody:hunter22"}),
        (HTTPBasicAuth("somebody", "hunter22"), {"somebody", "hunter22", "somebody:hunter22"}),
        (HTTPDigestAuth("somebody", "hunter22"), {"somebody", "hunter22", "somebody:hunter22"}),
        (("me", "x"), {"me:x"}),
        (("you", "four"), {"four", "you:four"}),
        (("somebody", 7), {"somebody"}),
        (("somebody", "hunter22", "abcd"), {"somebody", "hunter22", "abcd"}),
        (BearerAuth("abcdef"), {"abcdef"}),
        (BearerAuth(Provider()), set()),
        (Keyed("somebody"), {"somebody"}),
        ({"user": "somebody", "password": "hunter22"}, {"somebody", "hunter22"}),
        ("an opaque name", {"an opaque name"}),
        (OwnAuth(), set()),
        (sign, set()),
        (ANONYMOUS, set()),
        (None, set()),
    ],
)
def test_the_texts_in_an_auth_that_may_be_secret_are_known(auth: Any, secrets: set[str]) -> None:
    assert set(_auth.secrets_of(auth)) == secrets


def test_of_the_texts_in_an_auth_the_longest_come_first() -> None:
    assert _auth.secrets_of(("abcd", "abcdefgh")) == ("abcd:abcdefgh", "abcdefgh", "abcd")


# The plaintext rule


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        (("user", "password"), True),
        (HTTPBasicAuth("user", "password"), True),
        (OwnBasic("user", "password"), True),
        (BearerAuth("abc"), True),
        (BearerAuth(Provider()), True),
        (HTTPDigestAuth("user", "password"), False),
        (OwnAuth(), False),
        (sign, False),
        (ANONYMOUS, False),
        (None, False),
    ],
)
def test_basic_and_bearer_are_secrets_that_anyone_can_read(auth: Any, *, secret: bool) -> None:
    assert _auth.is_plain_secret(auth) is secret


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("Basic dXNlcjpw", True),
        ("basic dXNlcjpw", True),
        ("BEARER abc", True),
        (" Bearer abc", True),
        ("Bearer  abc", True),
        ("Bearer\tabc", True),
        ("Basic\tdXNlcjpw", True),
        ("Bearer", True),
        (b"Bearer abc", True),
        (b"bAsIc \xff", True),
        ("Digest username=x", False),
        ("Basically no", False),
        ("AWS4-HMAC-SHA256 Credential=x", False),
        ("", False),
        (None, False),
    ],
)
def test_a_header_is_known_for_a_basic_or_bearer_credential(
    value: str | bytes | None, *, secret: bool
) -> None:
    assert _auth.is_plain_secret_header(value) is secret


def test_the_refusal_says_both_ways_out() -> None:
    with pytest.raises(
        PlaintextError,
        match=r"to http://host\.example over plain http; use https, or say allow_plaintext=True",
    ):
        _auth.refuse_plaintext("http://host.example")


def test_the_error_for_no_credentials_names_the_ways_out() -> None:
    error = _auth.no_credentials("https://host.example")

    assert isinstance(error, CredentialsError)
    assert [
        w for w in ("https://host.example", "auth=", "netrc", "ANONYMOUS") if w not in str(error)
    ] == []


# netrc


@pytest.fixture
def netrc(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], Path]:
    """Write a netrc file as it stands and let `NETRC` name it."""

    def write(content: str | bytes) -> Path:
        path = isolation / "my-netrc"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setenv("NETRC", str(path))
        return path

    return write


def pair(auth: HTTPBasicAuth | None) -> tuple[Any, Any] | None:
    """Give user and password."""
    return None if auth is None else (auth.username, auth.password)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("machine host.example login bob password x1", ("bob", "x1")),
        ("machine\n host.example\n login bob\n password x1", ("bob", "x1")),
        ("machine host.example login bob account acc password x1", ("bob", "x1")),
        ("machine host.example account acc password x1", ("acc", "x1")),
        ("machine host.example password x1", ("", "x1")),
        ("machine host.example login bob", ("bob", "")),
        ('machine host.example login "bob b" password "x 1"', ("bob b", "x 1")),
        ("# a comment\nmachine host.example login bob password x1", ("bob", "x1")),
        ("machine host.example login bob password pässwort", ("bob", "pässwort")),
        ("machine other.example login eve password x2", None),
        ("machine host.example.evil login eve password x2", None),
        ("machine example login eve password x2", None),
        ("machine host.example", None),
        ("", None),
        (
            "machine other.example login eve password x2 default login any password x3",
            ("any", "x3"),
        ),
        ("machine host.example login bob password x1 default login any password x3", ("bob", "x1")),
    ],
)
def test_a_hosts_entry_is_found_in_the_file(
    netrc: Callable[[str], Path], content: str, expected: tuple[str, str] | None
) -> None:
    netrc(f"{content}\n")

    assert pair(_auth.from_netrc("host.example", use_default=True)) == expected


@pytest.mark.parametrize("host", ["host.example", "default", "other.example"])
def test_the_default_entry_is_never_for_a_host_that_was_learned_from_a_redirect(
    netrc: Callable[[str], Path], host: str
) -> None:
    netrc("default login any password x3\n")

    assert _auth.from_netrc(host, use_default=False) is None
    assert pair(_auth.from_netrc(host, use_default=True)) == ("any", "x3")


@pytest.mark.parametrize(
    "content",
    [
        "{secret}",
        "machine host.example login bob pasword {secret}",
        "machine host.example login bob password x {secret}",
        "host.example:bob:{secret}",
        '{{"password": "{secret}"}}',
        "machine host.example login bob password {secret} extra",
    ],
)
def test_a_file_that_is_not_understood_is_an_error_that_never_quotes_it(
    netrc: Callable[[str], Path], content: str
) -> None:
    secret = new_secret()
    path = netrc(f"# one line\n{content.format(secret=secret)}\n")

    with pytest.raises(CredentialsError, match=r"not understood at line [12]$") as raised:
        _auth.from_netrc("host.example", use_default=True)

    assert str(path) in str(raised.value)
    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


def test_a_file_that_is_no_text_is_an_error_that_never_quotes_it(
    netrc: Callable[[bytes], Path],
) -> None:
    secret = new_secret()
    netrc(b"machine host.example login bob password " + secret.encode() + b"\xff\xfe\n")

    with pytest.raises(CredentialsError, match=r"can't be read \(UnicodeDecodeError\)$") as raised:
        _auth.from_netrc("host.example", use_default=True)

    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


def test_a_file_that_is_missing_or_no_file_has_no_entry(
    isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (isolation / "missing", isolation, ""):
        monkeypatch.setenv("NETRC", str(place))
        assert _auth.from_netrc("host.example", use_default=True) is None


def test_a_file_that_cannot_be_looked_for_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NETRC", "/" + "x" * 5000)

    with pytest.raises(CredentialsError, match=r"can't be read \(OSError\)$"):
        _auth.from_netrc("host.example", use_default=True)


def test_a_password_that_is_not_latin_1_is_sent_as_the_file_has_it(
    netrc: Callable[[str], Path],
) -> None:
    netrc("machine host.example login bob password пароль\n")

    auth = _auth.from_netrc("host.example", use_default=True)

    assert auth is not None
    assert (auth.username, auth.password) == ("bob", "пароль".encode())
    request = requests.Request("GET", "https://host.example/", auth=auth).prepare()
    assert (
        request.headers["Authorization"]
        == "Basic " + base64.b64encode("bob:пароль".encode()).decode()
    )


@pytest.mark.parametrize(
    ("machine", "host"),
    [
        ("HOST.Example", "host.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "bücher.example"),
    ],
)
def test_a_machine_is_the_same_host_in_whatever_case_and_form(
    netrc: Callable[[str], Path], machine: str, host: str
) -> None:
    netrc(
        f"machine h\u00fc..example login eve password x2\nmachine {machine} login bob password x1\n"
    )

    assert pair(_auth.from_netrc(host, use_default=True)) == ("bob", "x1")


def test_a_machine_that_is_written_like_the_host_goes_before_its_like(
    netrc: Callable[[str], Path],
) -> None:
    netrc("machine HOST login eve password x2\nmachine host login bob password x1\n")

    assert pair(_auth.from_netrc("host", use_default=True)) == ("bob", "x1")


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_without_netrc_in_the_environment_the_file_is_in_the_home(
    isolation: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("NETRC")
    home = isolation / name
    home.touch(mode=0o600)
    home.write_text("machine host.example login bob password x1\n")

    assert pair(_auth.from_netrc("host.example", use_default=True)) == ("bob", "x1")


def test_netrc_in_the_environment_wins_over_the_home(
    isolation: Path, netrc: Callable[[str], Path]
) -> None:
    (isolation / ".netrc").write_text("machine host.example login home password x1\n")
    netrc("machine host.example login named password x2\n")

    assert pair(_auth.from_netrc("host.example", use_default=True)) == ("named", "x2")


def test_without_a_home_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETRC")

    def homeless(path: Path) -> Path:
        raise RuntimeError(path)

    monkeypatch.setattr(Path, "expanduser", homeless)

    assert _auth.from_netrc("host.example", use_default=True) is None


# Host patterns

MATCHES = {
    "*": [
        "https://host.example",
        "http://host.example",
        "https://host.example:8443",
        "https://[::1]:8443",
        "https://127.0.0.1",
    ],
    "host.example": [
        "https://host.example",
        "http://host.example",
        "https://host.example:8443",
        "https://HOST.example",
    ],
    "HOST.Example": ["https://host.example"],
    "host.example:8443": ["https://host.example:8443", "http://host.example:8443"],
    "host.example:*": ["https://host.example", "https://host.example:8443"],
    "https://host.example": ["https://host.example", "https://host.example:443"],
    "https://host.example/": ["https://host.example"],
    "HTTPS://HOST.EXAMPLE": ["https://host.example"],
    "https://host.example:443": ["https://host.example"],
    "https://host.example:0443": ["https://host.example"],
    "https://host.example:8443": ["https://host.example:8443"],
    "https://host.example:*": ["https://host.example", "https://host.example:8443"],
    "http://host.example": ["http://host.example", "http://host.example:80"],
    "https://*": ["https://host.example", "https://host.example:8443", "https://[::1]:1"],
    "*.example.com": [
        "https://api.example.com",
        "https://a.b.example.com",
        "https://evil.com.example.com",
        "http://api.example.com:8080",
    ],
    "https://*.example.com": ["https://api.example.com"],
    "https://api-*.example.com:8443": ["https://api-7.example.com:8443"],
    "https://[::1]": ["https://[::1]"],
    "[::1]": ["https://[::1]", "http://[::1]:8080"],
    "https://[::1]:8443": ["https://[::1]:8443"],
    "https://[::1]:*": ["https://[::1]", "https://[::1]:8443"],
    "[2001:DB8::1]": ["https://[2001:db8::1]"],
    "[2001:db8:*]": ["https://[2001:db8::1]"],
    "https://bücher.example": ["https://bücher.example", "https://xn--bcher-kva.example"],
    "https://xn--bcher-kva.example": ["https://bücher.example"],
}
MATCHES_NOT = {
    "host.example": [
        "https://example",
        "https://myhost.example",
        "https://host.example.evil",
        "https://hostxexample",
        "https://host.example.",
    ],
    "host.example:8443": ["https://host.example", "https://host.example:18443"],
    "https://host.example": ["http://host.example", "https://host.example:8443"],
    "http://host.example": ["https://host.example", "http://host.example:8080"],
    "https://host.example:8443": ["https://host.example", "http://host.example:8443"],
    "https://*": ["http://host.example"],
    "*.example.com": [
        "https://example.com",
        "https://example.com.evil.com",
        "https://api.example.com.evil.com",
        "https://evilexample.com",
        "https://api.examplexcom",
    ],
    "https://*.example.com": [
        "http://api.example.com",
        "https://api.example.com:8443",
        "https://example.com",
    ],
    "[::1]": ["https://[::2]", "https://[::11]", "https://[1::1]", "https://1"],
    "https://[::1]": ["https://[::1]:8443", "http://[::1]"],
    "[2001:db8:*]": ["https://[2001:db9::1]"],
    "[ab]": ["https://a", "https://b"],
}


def pairs(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(pattern, url) for pattern, urls in table.items() for url in urls]


@pytest.mark.parametrize(("pattern", "url"), pairs(MATCHES))
def test_a_pattern_means_these_origins(pattern: str, url: str) -> None:
    assert HostPattern(pattern).matches(*parse_origin(url)[0])


@pytest.mark.parametrize(("pattern", "url"), pairs(MATCHES_NOT))
def test_a_pattern_does_not_mean_these_origins(pattern: str, url: str) -> None:
    assert not HostPattern(pattern).matches(*parse_origin(url)[0])


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        None,
        b"host.example",
        7,
        "ftp://host.example",
        "://host.example",
        "https://",
        "https:///path",
        "host.example/path",
        "https://host.example/v1",
        "https://host.example?x=1",
        "https://host.example#x",
        "user@host.example",
        "https://host.example:",
        "host.example:http",
        "host.example:-1",
        "https://a://b",
        "::1",
        "2001:db8::1",
        "[::1",
        "[::1]x",
        "host?.example",
        "https://host.example https://other.example",
    ],
)
def test_a_pattern_that_is_not_understood_is_an_error(pattern: Any) -> None:
    with pytest.raises(ConfigurationError, match="host pattern"):
        HostPattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "https://user:{secret}@host.example",
        "user:{secret}@host.example",
        "https://host.example?api_key={secret}",
        "ftp://user:{secret}@host.example",
        "https://host.example/#access_token={secret}",
        "host.example:{secret}",
        "https://host.example:{secret}",
        ":{secret}",
        "[::1]:{secret}",
    ],
)
@pytest.mark.parametrize("make", [HostPattern, lambda p: Credentials({p: None})])
def test_an_error_about_a_pattern_shows_no_secret_in_it(
    make: Callable[[str], Any], pattern: str
) -> None:
    secret = new_secret()

    with pytest.raises(ConfigurationError) as raised:
        make(pattern.format(secret=secret))

    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


def test_a_pattern_shows_its_text() -> None:
    assert repr(HostPattern("https://*.Example.com")) == "HostPattern('https://*.Example.com')"


# Credentials


def test_the_first_pattern_that_matches_decides() -> None:
    special, general, last = OwnAuth(), OwnAuth(), OwnAuth()
    credentials = Credentials(
        {"https://api.example.com": special, "*.example.com": general, "*": last}
    )

    chosen = [
        credentials.find(*parse_origin(url)[0])
        for url in ("https://api.example.com", "https://b.example.com", "https://evil.com")
    ]

    assert chosen == [special, general, last]


def test_the_order_is_that_of_the_mapping_and_not_of_how_special_a_pattern_is() -> None:
    general, special = OwnAuth(), OwnAuth()
    credentials = Credentials({"*": general, "https://api.example.com": special})

    assert credentials.find("https", "api.example.com", 443) is general


def test_a_host_that_no_pattern_means_has_no_credentials() -> None:
    credentials = Credentials({"https://api.example.com": OwnAuth()})

    assert credentials.find("https", "evil.com", 443) is None
    assert credentials.find("http", "api.example.com", 443) is None
    assert credentials.find("https", "api.example.com", 8443) is None
    assert Credentials().find("https", "api.example.com", 443) is None


def test_credentials_may_say_that_none_are_needed() -> None:
    credentials = Credentials({"public.example": ANONYMOUS, "*": ("user", "password")})

    assert credentials.find("https", "public.example", 443) is ANONYMOUS
    assert credentials.find("https", "other.example", 443) == HTTPBasicAuth("user", "password")


def test_credentials_tell_their_patterns_and_nothing_else() -> None:
    secret = new_secret()
    credentials = Credentials({"https://a.example": (secret, secret), "*": BearerAuth(secret)})

    assert list(credentials) == ["https://a.example", "*"]
    assert len(credentials) == 2
    assert repr(credentials) == "<Credentials for https://a.example, *>"
    assert repr(Credentials()) == "<Credentials for no host>"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"https://a.example": None}, AuthError),
        ({"https://a.example": "token"}, AuthError),
        ({"https://a.example": OwnAuth}, AuthError),
        ({"https://a.example/path": ANONYMOUS}, ConfigurationError),
        ({7: ANONYMOUS}, ConfigurationError),
        ([("https://a.example", ANONYMOUS)], ConfigurationError),
        ("https://a.example", ConfigurationError),
    ],
)
def test_credentials_that_cannot_be_used_are_an_error(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Credentials(given)


def test_what_basic_sends_is_what_rfc_7617_says() -> None:
    request = requests.Request(
        "GET", "https://host.example/", auth=_auth.checked(("Aladdin", "open sesame"))
    ).prepare()

    assert request.headers["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert base64.b64decode("QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == b"Aladdin:open sesame"
