"""The frozen values that say how resilient a call is. No behaviour but checking itself.

Rules:

1. A policy is a value: frozen, hashable, picklable, comparable, with a `repr` worth reading.
2. A setting that can never work is an error when the policy is made, not when it is used.
3. Defaults are those of the design, each with where it comes from.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience.deadline import seconds_of

RETRY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""The statuses that are sent again by default."""

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

    def __post_init__(self) -> None:
        _whole(self.attempts, "attempts", least=1)
        _whole(self.redirects, "redirects", least=0)
        if self.backoff is not None and not isinstance(self.backoff, Backoff):
            msg = f"backoff must be a Backoff or None, not {type(self.backoff).__name__}"
            raise ConfigurationError(msg)
        for name in ("connect_timeout", "read_timeout", "deadline", "max_retry_after"):
            value = getattr(self, name)
            if not (name == "deadline" and value is None):
                object.__setattr__(self, name, seconds_of(value, name))
        object.__setattr__(self, "retry_statuses", _statuses(self.retry_statuses))
        header = self.idempotency_header
        if not (isinstance(header, str) and header and _TOKEN.issuperset(header)):
            msg = f"idempotency_header must be the name of a header, not {header!r}"
            raise ConfigurationError(msg)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Make a policy from configuration: field names to values, `backoff` a mapping or `None`.

        ::

            Policy.from_mapping({"attempts": 5, "backoff": {"base": 0.1}, "deadline": None})

        :raises ConfigurationError: for an unknown key, or a value that can never work
        """
        if not isinstance(settings, Mapping):
            msg = f"a policy is made from a mapping of settings, not {type(settings).__name__}"
            raise ConfigurationError(msg)
        values = dict(settings)
        _refuse_unknown(values, cls, "policy")
        backoff = values.get("backoff")
        if isinstance(backoff, Mapping):
            _refuse_unknown(backoff, Backoff, "backoff")
            values["backoff"] = Backoff(**backoff)
        return cls(**values)

    @classmethod
    def from_env(
        cls, prefix: str = "SLEEPWALKER_", environ: Mapping[str, str] | None = None
    ) -> Self:
        """Make a policy from environment variables such as ``SLEEPWALKER_ATTEMPTS=5``.

        The names are the fields' in upper case behind the prefix, those of the backoff behind
        ``BACKOFF_``; ``none`` switches a layer off; statuses are separated by commas.

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


def _settings_in(environ: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """The settings in environment variables, as `Policy.from_mapping` takes them."""
    settings: dict[str, Any] = {}
    backoff: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(prefix):
            continue
        name = variable.removeprefix(prefix).lower()
        # Names are looked at before values: an unknown one may be somebody's password.
        if name.startswith("backoff_"):
            name = name.removeprefix("backoff_")
            _refuse_unknown({name: text}, Backoff, "backoff")
            backoff[name] = _value_from_text(text, name)
        else:
            _refuse_unknown({name: text}, Policy, "policy")
            settings[name] = _value_from_text(text, name)
    if backoff and "backoff" in settings:
        msg = "BACKOFF and BACKOFF_* exclude each other"
        raise ConfigurationError(msg)
    return settings | ({"backoff": backoff} if backoff else {})


def _whole(value: object, name: str, *, least: int) -> None:
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


def _refuse_unknown(settings: Mapping[str, Any], cls: type, what: str) -> None:
    known = [f.name for f in dataclasses.fields(cls)]
    unknown = sorted((name for name in settings if name not in known), key=str)
    if unknown:
        msg = f"unknown {what} setting {', '.join(map(repr, unknown))}; known: {', '.join(known)}"
        raise ConfigurationError(msg)


def _value_from_text(text: str, name: str) -> Any:
    text = text.strip()
    if text.lower() == "none":
        return None
    if name == "retry_statuses":
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if all(part.isdecimal() and len(part) < 9 for part in parts):
            return frozenset(map(int, parts))
    elif name == "idempotency_header":
        return text
    try:
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        msg = f"{name} must be a number or none"
        raise ConfigurationError(msg) from None
