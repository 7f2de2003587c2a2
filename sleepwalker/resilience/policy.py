"""The frozen values that say how resilient a call is. No behaviour but checking itself.

Rules:

1. A policy is a value: frozen, hashable, picklable, comparable, with a `repr` worth reading.
2. A setting that can never work is an error when the policy is made, not when it is used.
3. Defaults are those of the design, each with where it comes from.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Self, TypeAlias

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience.deadline import seconds_of

RETRY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""The statuses that are sent again by default."""
PREFIX = "SLEEPWALKER_"
"""What the environment variables of a policy begin with by default."""
NO_SETTINGS = frozenset({"SLEEPWALKER_USER", "SLEEPWALKER_PASSWORD", "SLEEPWALKER_TOKEN"})
"""What the commands read of the same prefix: who they are, and nothing of a policy."""

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential backoff with full jitter: a wait drawn evenly from 0 to ``base * 2 ** n``.

    Full jitter and the figures are botocore's and the AWS SDKs' standard retry mode.
    """

    base: float = 0.05
    """Seconds: the widest first wait after a transient failure."""
    throttled: float = 1.0
    """Seconds: the widest first wait after being throttled (429, or 503 with Retry-After)."""
    cap: float = 20.0
    """Seconds: no wait is drawn from a wider range than this."""

    def __post_init__(self) -> None:
        for name in ("base", "throttled", "cap"):
            object.__setattr__(self, name, seconds_of(getattr(self, name), f"backoff {name}"))

    def ceiling(self, retry: int, *, throttled: bool = False) -> float:
        """The longest wait, in seconds, before the given retry (1 is the first)."""
        # The exponent is bounded: a policy with thousands of attempts must not overflow.
        base = self.throttled if throttled else self.base
        return min(self.cap, base * 2.0 ** min(retry - 1, 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The retry quota of a host: what retries cost, so that no storm of them meets an outage.

    The ledger is that of the AWS SDKs' standard retry mode (2026): a retry is paid for before it
    is made, a call that succeeds at once earns a little, one that succeeds at a retry has its last
    cost back.
    """

    tokens: int = 500
    """How many there are at first, and at most."""
    transient: int = 14
    """What a retry costs after a transient failure."""
    throttled: int = 5
    """What one costs after being throttled (429, or 503 with Retry-After)."""
    success: int = 1
    """What a call that succeeds without a retry earns."""

    def __post_init__(self) -> None:
        check_whole(self.tokens, "quota tokens", least=1)
        for name in ("transient", "throttled"):
            cost = getattr(self, name)
            check_whole(cost, f"quota {name}", least=1)
            if cost > self.tokens:
                msg = (
                    f"quota {name} must be at most the {self.tokens} tokens there are, not {cost}: "
                    "nothing would ever be retried (attempts=1 says so)"
                )
                raise ConfigurationError(msg)
        check_whole(self.success, "quota success", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The circuit breaker of a host: when it is not asked any more, and for how long.

    The figures are those that Hystrix had, but for the window: its 10 s open too late for a host
    that has merely stalled.
    """

    failure_ratio: float = 0.5
    """Opens when at least this part of the calls in the window have failed (up to 1: all)."""
    calls: int = 20
    """But not on fewer calls than this."""
    window: float = 3.5
    """Seconds: how far back calls count. A host that stalls has to fail for half of it before that
    shows; what is sent until then is what it works on first when it is back."""
    open_for: float = 5.0
    """Seconds that it stays open, give or take a fifth; then a probe is let through."""
    probes: int = 1
    """How many calls are let through then; it closes when they have succeeded."""

    def __post_init__(self) -> None:
        ratio = _number(self.failure_ratio, "breaker failure_ratio")
        if not 0 < ratio <= 1:
            msg = f"breaker failure_ratio must be more than 0 and at most 1, not {ratio!r}"
            raise ConfigurationError(msg)
        object.__setattr__(self, "failure_ratio", ratio)
        check_whole(self.calls, "breaker calls", least=1)
        for name in ("window", "open_for"):
            object.__setattr__(self, name, seconds_of(getattr(self, name), f"breaker {name}"))
        check_whole(self.probes, "breaker probes", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many calls to a host may be in flight at once; more wait, at most until the deadline."""

    calls: int = 64
    """As many as a connection keeps sockets."""

    def __post_init__(self) -> None:
        check_whole(self.calls, "limit calls", least=1)

    @property
    def most(self) -> int:
        """The most calls that can ever be in flight."""
        return self.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveLimit:
    """A `Limit` that finds its size: one more a round, a tenth less after an overload.

    Additive increase and multiplicative decrease, with the figures of Netflix's
    concurrency-limits. A round is as many successes as the limit is large. A timeout or a 429 is an
    overload; a success counts when at least half of the limit is in use.
    """

    start: int = 20
    """The limit at first."""
    decrease: float = 0.9
    """What it is multiplied with after an overload; between 0 and 1."""
    least: int = 1
    """It never goes below."""
    most: int = 200
    """It never goes above."""

    def __post_init__(self) -> None:
        for name in ("start", "least", "most"):
            check_whole(getattr(self, name), f"limit {name}", least=1)
        if not self.least <= self.start <= self.most:
            msg = (
                "limit must have least <= start <= most, not "
                f"{self.least}, {self.start}, {self.most}"
            )
            raise ConfigurationError(msg)
        decrease = _number(self.decrease, "limit decrease")
        if not 0 < decrease < 1:
            msg = f"limit decrease must be between 0 and 1, not {decrease!r}"
            raise ConfigurationError(msg)
        object.__setattr__(self, "decrease", decrease)


AnyLimit: TypeAlias = Limit | AdaptiveLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseLimits:
    """What a server can make us take in; beyond it the answer is an error. `None`: no limit."""

    body: int | None = 100 * 2**20
    """Bytes of a body after decompression, where we read it (not with ``stream=True``)."""
    headers: int = 100
    """How many headers an answer may have; http.client takes no more than these 100."""
    header_bytes: int | None = 256 * 2**10
    """Bytes of all its headers together (what Chrome takes)."""
    json_depth: int | None = 500
    """How deep lists and objects may be nested in a JSON document."""

    def __post_init__(self) -> None:
        for name in ("body", "header_bytes", "json_depth"):
            if getattr(self, name) is not None:
                check_whole(getattr(self, name), f"response limit {name}", least=1)
        check_whole(self.headers, "response limit headers", least=1)
        if self.headers > 100:
            msg = f"response limit headers must be at most 100, not {self.headers}"
            raise ConfigurationError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineHeader:
    """A header that tells a server how many milliseconds the call has left, if the host is named.

    A server that knows it can stop working for nobody.
    """

    name: str = "X-Request-Timeout-Ms"
    """The header's name."""
    hosts: tuple[str, ...] = ()
    """Host patterns such as ``*.internal.example``; no other host gets the header."""

    def __post_init__(self) -> None:
        _header(self.name, "deadline header's name")
        hosts = (self.hosts,) if isinstance(self.hosts, str) else self.hosts
        hosts = tuple(hosts) if isinstance(hosts, Iterable) else ()
        if not hosts or not all(isinstance(host, str) and host for host in hosts):
            msg = "deadline header's hosts must be host patterns such as '*.internal.example'"
            raise ConfigurationError(msg)
        object.__setattr__(self, "hosts", hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How resilient a call is; for a manager, a hook, a connection or one call.

    A layer that is `None` is off. The more special one wins as a whole: a call's over its
    connection's, that over its manager's. Use `dataclasses.replace` to derive one from another.

    :raises ConfigurationError: for a setting that can never work
    """

    attempts: int = 3
    """How often a request is sent at most (AWS SDKs' standard mode; Google SRE's cap). 1: never
    again."""
    backoff: Backoff | None = field(default_factory=Backoff)
    """How long to wait before sending again; `None`: not at all, but for Retry-After."""
    connect_timeout: float = 3.0
    """Seconds for connecting (Polly's and Microsoft's standard handlers use the like)."""
    read_timeout: float = 10.0
    """Seconds that one read may take."""
    deadline: float | None = 30.0
    """Seconds for the whole call, retries and waits included; `None`: no total deadline."""
    max_retry_after: float = 60.0
    """Seconds: a longer Retry-After is not waited for but raised at once."""
    retry_statuses: frozenset[int] = RETRY_STATUSES
    """The statuses that are sent again, as far as the request may be repeated at all."""
    idempotency_header: str = "Idempotency-Key"
    """The header that makes a request repeatable."""
    redirects: int = 10
    """How many redirects one call follows; 0: none, and a redirect is an error."""
    quota: Quota | None = field(default_factory=Quota)
    """What retries cost; `None`: nothing."""
    breaker: Breaker | None = field(default_factory=Breaker)
    """When a failing host is not asked any more; `None`: never."""
    limit: Limit | AdaptiveLimit | None = field(default_factory=Limit)
    """How many calls to a host may be in flight; `None`: any number."""
    scope: str | None = None
    """What has a quota, breaker and limit of its own on a host, such as a route that is known to
    be bad; `None`: all calls to the host that name no scope share theirs."""
    response_limits: ResponseLimits | None = field(default_factory=ResponseLimits)
    """What a server can make us take in; `None`: whatever http.client takes."""
    deadline_header: DeadlineHeader | None = None
    """Tells named hosts how long the call has left; `None`: nobody."""

    def __post_init__(self) -> None:
        check_whole(self.attempts, "attempts", least=1)
        check_whole(self.redirects, "redirects", least=0)
        for name, classes in NESTED.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, classes):
                wanted = ", ".join(map(_with_article, classes))
                msg = f"{name} must be {wanted} or None, not {type(value).__name__}"
                raise ConfigurationError(msg)
        if self.scope is not None and not (isinstance(self.scope, str) and self.scope):
            msg = "scope must be a text that is not empty, or None"
            raise ConfigurationError(msg)
        for name in ("connect_timeout", "read_timeout", "deadline", "max_retry_after"):
            value = getattr(self, name)
            if not (name == "deadline" and value is None):
                object.__setattr__(self, name, seconds_of(value, name))
        object.__setattr__(self, "retry_statuses", _statuses(self.retry_statuses))
        _header(self.idempotency_header, "idempotency_header")

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Make a policy from configuration: field names to values.

        What is a value of its own, such as `backoff`, is a mapping or `None`; `limit` may also be
        a number, or ``"adaptive"``. ::

            Policy.from_mapping({"attempts": 5, "backoff": {"base": 0.1}, "breaker": None})

        :raises ConfigurationError: for an unknown key, or a value that can never work
        """
        if not isinstance(settings, Mapping):
            msg = f"a policy is made from a mapping of settings, not {type(settings).__name__}"
            raise ConfigurationError(msg)
        values = dict(settings)
        _refuse_unknown(values, "policy", cls)
        for name, classes in NESTED.items():
            if name in values:
                values[name] = _nested(values[name], name, classes)
        return cls(**values)

    @classmethod
    def from_env(cls, prefix: str = PREFIX, environ: Mapping[str, str] | None = None) -> Self:
        """Make a policy from environment variables such as ``SLEEPWALKER_ATTEMPTS=5``.

        The names are the fields' in upper case behind the prefix, those of a value of its own
        behind its name too: ``BACKOFF_BASE``, ``BREAKER_OPEN_FOR``. ``none`` switches a layer off;
        statuses and hosts are separated by commas; ``LIMIT`` may be a number, or ``adaptive``.
        The default prefix is the commands' too: what they read, ``SLEEPWALKER_USER``,
        ``SLEEPWALKER_PASSWORD`` and ``SLEEPWALKER_TOKEN``, is passed over.

        :param prefix: what the variables begin with
        :param environ: where to look; `os.environ` by default
        :raises ConfigurationError: for an unknown name, or a value that can never work
        """
        try:
            return cls.from_mapping(
                _settings_in(os.environ if environ is None else environ, prefix)
            )
        except ConfigurationError as error:
            msg = f"environment variables {prefix}*: {error.message}"
            raise ConfigurationError(msg) from None


def _nested(value: Any, name: str, classes: tuple[type, ...]) -> Any:
    """A value of its own in a mapping of settings, made of what configuration has."""
    if name == "limit" and value == "adaptive":
        return AdaptiveLimit()
    if name == "limit" and isinstance(value, int) and not isinstance(value, bool):
        return Limit(calls=value)
    if not isinstance(value, Mapping):
        return value
    fitting = [c for c in classes if set(value) <= {f.name for f in dataclasses.fields(c)}]
    if not fitting:
        _refuse_unknown(value, name, *classes)
    return fitting[0](**value)


def _settings_in(environ: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """The settings in environment variables, as `Policy.from_mapping` takes them."""
    settings: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for variable, text in environ.items():
        if not variable.startswith(prefix) or (prefix == PREFIX and variable in NO_SETTINGS):
            continue
        shown = variable.removeprefix(prefix)
        name = shown.lower()
        # Names are looked at before values: an unknown one may be somebody's password.
        whole = next((n for n in NESTED if name.startswith(f"{n}_")), None)
        if whole is not None and name not in _FIELDS:
            name = name.removeprefix(f"{whole}_")
            _refuse_unknown({name: text}, whole, *NESTED[whole])
            nested.setdefault(whole, {})[name] = _value_from_text(text, name, shown)
        else:
            _refuse_unknown({name: text}, "policy", Policy)
            settings[name] = _value_from_text(text, name, shown)
    for name in nested.keys() & settings.keys():
        msg = f"{name.upper()} and {name.upper()}_* exclude each other"
        raise ConfigurationError(msg)
    return settings | nested


def check_whole(value: object, name: str, *, least: int = 1) -> None:
    """Make sure that a setting is a whole number.

    :raises ConfigurationError: when it is none, or less than it may be
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        msg = f"{name} must be a whole number of at least {least}, not {value!r}"
        raise ConfigurationError(msg)


def _statuses(value: object) -> frozenset[int]:
    try:
        statuses = frozenset(value)  # type: ignore[call-overload]
    except TypeError:
        statuses = frozenset({None})
    wrong = [s for s in statuses if isinstance(s, bool) or not isinstance(s, int)]
    if wrong or not all(400 <= s <= 599 for s in statuses):
        msg = f"retry_statuses must be a set of statuses from 400 to 599, not {value!r}"
        raise ConfigurationError(msg)
    checked: frozenset[int] = statuses
    return checked


def settings_of(value: Any, what: str, *classes: type) -> Any:
    """Check that the settings that something is made with are such.

    :param what: is made with them, for the message
    :raises ConfigurationError: when they are not
    """
    if not isinstance(value, classes):
        wanted = " or ".join(map(_with_article, classes))
        msg = f"a {what} is made with {wanted}, not {type(value).__name__}"
        raise ConfigurationError(msg)
    return value


def _with_article(cls: type) -> str:
    return f"{'an' if cls.__name__[0] in 'AEIO' else 'a'} {cls.__name__}"


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        msg = f"{name} must be a number, not {type(value).__name__}"
        raise ConfigurationError(msg)
    return float(value)


def _header(value: object, name: str) -> None:
    if not (isinstance(value, str) and value and _TOKEN.issuperset(value)):
        msg = f"{name} must be the name of a header, not {value!r}"
        raise ConfigurationError(msg)


def _refuse_unknown(settings: Mapping[str, Any], what: str, *classes: type) -> None:
    known = [f.name for cls in classes for f in dataclasses.fields(cls)]
    unknown = sorted((name for name in settings if name not in known), key=str)
    told = ", ".join(map(repr, unknown))
    if unknown:
        msg = f"unknown {what} setting {told}; known: {', '.join(known)}"
        raise ConfigurationError(msg)
    if len(classes) > 1 and len(settings) > 1:
        kinds = " or ".join(cls.__name__ for cls in classes)
        msg = f"the {what} settings are those of one {kinds}, not of several"
        raise ConfigurationError(msg)


_TEXTS = frozenset({"idempotency_header", "scope", "name"})
"""The settings that are text."""


def _value_from_text(text: str, name: str, shown: str) -> Any:
    """What a variable's text means.

    :param name: of the setting
    :param shown: of the variable, without the prefix
    """
    text = text.strip()
    if text.lower() == "none":
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wanted = "a number or none"
    if name == "hosts":
        return tuple(parts)
    if name in _TEXTS:
        return text
    if name == "retry_statuses":
        if all(part.isdecimal() and len(part) < 9 for part in parts):
            return frozenset(map(int, parts))
        wanted = "statuses, separated by commas"
    elif name == "limit" and text.lower() == "adaptive":
        return "adaptive"
    elif name in NESTED and name != "limit":
        wanted = f"none; its settings are variables of their own, {shown}_..."
    else:
        try:
            return int(text) if text.lstrip("+-").isdecimal() else float(text)
        except ValueError:
            if name == "limit":
                wanted = "a number, adaptive or none"
    msg = f"{shown} must be {wanted}"
    raise ConfigurationError(msg)


NESTED: dict[str, tuple[type, ...]] = {
    "backoff": (Backoff,),
    "quota": (Quota,),
    "breaker": (Breaker,),
    "limit": (Limit, AdaptiveLimit),
    "response_limits": (ResponseLimits,),
    "deadline_header": (DeadlineHeader,),
}
"""The settings of a policy that are values of their own, and the classes that they may have."""

_FIELDS = frozenset(f.name for f in dataclasses.fields(Policy))
