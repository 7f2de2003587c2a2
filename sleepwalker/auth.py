"""Who we are to a host: auth objects, their identity and label, netrc, tokens, the plaintext rule.

Rules:

1. Nothing is ever sent unauthenticated by accident: it takes `ANONYMOUS` to say so.
2. A credential is for the host it was given for, and for nothing else.
3. Passwords and tokens don't travel over plain http unless the caller says ``allow_plaintext``.
4. No `repr`, key or label shows a secret, a user name (it can be an API key), or a hash of one.
"""

from __future__ import annotations

import math
import netrc
import os
import threading
import types
import weakref
from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sleepwalker.exceptions import (
    AuthError,
    ConfigurationError,
    CredentialsError,
    DeadlineExceeded,
    PlaintextError,
    TokenError,
)
from sleepwalker.observability.redaction import LowerError
from sleepwalker.resilience import deadline as _deadline
from sleepwalker.resilience.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    import requests

    from sleepwalker.resilience.clock import Clock

__all__ = ["ANONYMOUS", "BearerAuth", "Credentials", "HostPattern"]

DEFAULT_PORTS = {"http": 80, "https": 443}
"""The ports that a URL need not name."""


# --- auth objects ---------------------------------------------------------------------------


class Anonymous(AuthBase):
    """The type of `ANONYMOUS`."""

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return r

    def __repr__(self) -> str:
        return "ANONYMOUS"

    def __reduce__(self) -> str:
        # A pickle names the one object that there is; copies are that one too.
        return "ANONYMOUS"


ANONYMOUS = Anonymous()
"""Pass this as `auth` to say that requests go out unauthenticated on purpose."""


class BearerAuth(AuthBase):
    """Sends ``Authorization: Bearer <token>``.

    :param token: the token, or a callable that gives one. A callable returns the token, or a
        pair (token, expiry), where the expiry is an aware `datetime`, or a number: seconds from
        now (as in OAuth's ``expires_in``), or, above 1e9, seconds since the epoch.

    A callable is asked once for all threads, which wait for it no longer than their deadlines;
    again before the token expires (when 10 % of its life, at most 60 s, is left); and once after
    a 401, upon which the request is sent again once, whatever its method: a 401 was not processed.

    Two are equal when their providers are the same (or their fixed tokens equal): the identity is
    the provider, not the token, so a renewed token keeps its connection.

    :raises AuthError: when `token` is neither a text that a header can hold nor a callable
    """

    def __init__(
        self,
        token: str | Callable[[], str | tuple[str, float | datetime]],
        *,
        clock: Clock | None = None,
    ) -> None:
        if callable(token):
            self._provider: Callable[[], Any] | None = token
            self._fixed: str | None = None
        else:
            if not _is_token(token):
                msg = "a bearer token must be visible ASCII text without spaces, or a callable"
                raise AuthError(msg)
            self._provider, self._fixed = None, token
        self._clock: Clock = SYSTEM if clock is None else clock
        self._state = _TokenState()

    @property
    def renewable(self) -> bool:
        """Whether a new token can be had."""
        return self._provider is not None

    def known_tokens(self) -> tuple[str, ...]:
        """The token as far as it is known, without asking for one: to be taken out of texts."""
        token = self._fixed or self._state.token
        return (token,) if token else ()

    def token(self) -> str:
        """The token to send now.

        :raises TokenError: when the provider fails or returns what is no token
        """
        if self._fixed is not None:
            return self._fixed
        # The count first: who is overtaken by another's renewal sees that it has changed.
        generation, token = self._state.generation, self._state.token
        if token is not None and self._clock.monotonic() < self._state.renew_at:
            return token
        return self._renew(token, generation)

    def renewed(self, rejected: str) -> str:
        """A token other threads may already have got in the place of one that was rejected.

        :raises TokenError: when the provider fails or returns what is no token
        """
        generation, token = self._state.generation, self._state.token
        if token is not None and token != rejected:
            return self.token()
        return self._renew(rejected, generation)

    def _renew(self, old: str | None, generation: int) -> str:
        state = self._state
        if state.renewing == threading.get_ident():
            msg = "the provider of a BearerAuth needs the token that it is being asked for"
            raise TokenError(msg)
        ambient = _deadline.ambient()
        patience = threading.TIMEOUT_MAX if ambient is None else max(ambient.remaining(), 0.0)
        # This very lock is the one to be released, also in a child that is forked meanwhile.
        lock = state.lock
        if not lock.acquire(timeout=min(patience, threading.TIMEOUT_MAX)):
            msg = "the deadline passed while waiting for another thread to get a bearer token"
            raise DeadlineExceeded(msg)
        try:
            if state.generation != generation or state.token != old:
                # Another thread has asked meanwhile; its answer, or failure, is ours too.
                if state.failure is not None:
                    raise TokenError(state.failure.message) from state.failure.__cause__
                if state.token is not None:
                    return state.token
            return self._ask(state)
        finally:
            lock.release()

    def _ask(self, state: _TokenState) -> str:
        state.renewing = threading.get_ident()
        try:
            token, renew_at = self._from_provider()
        except TokenError as error:
            state.failure = error
            # Only what was finished counts: after an interrupt, whoever waits asks itself.
            state.generation += 1
            raise
        else:
            state.failure, state.token, state.renew_at = None, token, renew_at
            state.generation += 1
            return token
        finally:
            state.renewing = None

    def _from_provider(self) -> tuple[str, float]:
        assert self._provider is not None  # noqa: S101 - a fixed token is never renewed
        try:
            answer = self._provider()
        except Exception as error:  # noqa: BLE001 - whatever it raised means that there is no token
            msg = f"the provider of a BearerAuth failed with {type(error).__name__}"
            # Its text may quote what it got or sent, which only the provider knows for secrets.
            kind = type(error)
            cause = LowerError(f"{kind.__module__}.{kind.__qualname__} (its text is not shown)")
            cause = cause.with_traceback(error.__traceback__)
        else:
            return self._understood(answer)
        raise TokenError(msg) from cause

    def _understood(self, answer: Any) -> tuple[str, float]:
        """The token in a provider's answer, and when to ask again."""
        pair = isinstance(answer, tuple) and len(answer) == 2
        token, expiry = answer if pair else (answer, None)
        if not _is_token(token):
            msg = (
                "the provider of a BearerAuth must return a token, visible ASCII text without "
                f"spaces, or a pair (token, expiry); it returned {_described(token)}"
            )
            raise TokenError(msg)
        return token, self._renew_at(expiry)

    def _renew_at(self, expiry: object) -> float:
        """When to ask again, on the monotonic clock."""
        if expiry is None:
            return float("inf")
        if isinstance(expiry, datetime) and expiry.tzinfo is not None:
            life = expiry.timestamp() - self._clock.time()
        elif isinstance(expiry, Real) and not isinstance(expiry, bool):
            try:
                life = float(expiry)
            except OverflowError:
                life = math.nan
            if life > 1e9:
                life -= self._clock.time()
        else:
            msg = (
                "the expiry of a bearer token must be seconds or an aware datetime, "
                f"not {type(expiry).__name__}"
            )
            raise TokenError(msg)
        if math.isnan(life):
            msg = "the expiry of a bearer token must be a number of seconds that makes sense"
            raise TokenError(msg)
        return self._clock.monotonic() + life - min(60.0, max(life, 0.0) * 0.1)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token into the request's `Authorization` header."""
        r.headers["Authorization"] = f"Bearer {self.token()}"
        return r

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BearerAuth):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> Hashable:
        """The provider, by identity when it has no hash; else the fixed token."""
        try:
            hash(self._provider)
        except TypeError:
            return _Same(self._provider)
        return self._provider, self._fixed

    def __reduce__(self) -> tuple[Any, ...]:
        # Without what was asked for already, and without locks.
        clock = None if self._clock is SYSTEM else self._clock
        return _bearer, (self._provider or self._fixed, clock)

    def __repr__(self) -> str:
        return f"BearerAuth(<{'provider' if self.renewable else 'token'}>)"


def _bearer(token: Any, clock: Clock | None) -> BearerAuth:
    return BearerAuth(token, clock=clock)


class _TokenState:
    """What the threads that share a `BearerAuth` know.

    Apart from it so that it can be weakly listed by identity: equal auths are different objects
    with different locks.
    """

    __slots__ = (
        "__weakref__",
        "failure",
        "generation",
        "lock",
        "renew_at",
        "renewing",
        "token",
    )

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.token: str | None = None
        self.renew_at = 0.0
        self.generation = 0
        self.failure: TokenError | None = None
        self.renewing: int | None = None
        _token_states.add(self)


_token_states: weakref.WeakSet[_TokenState] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for state in list(_token_states):
        state.lock = threading.RLock()
        state.renewing = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _described(token: object) -> str:
    """What was given in a token's place, without showing it."""
    return "other text" if isinstance(token, str) else f"a {type(token).__name__}"


def _is_token(value: object) -> bool:
    return isinstance(value, str) and bool(value) and all("!" <= c <= "~" for c in value)


# --- what an auth is ------------------------------------------------------------------------


def checked(auth: object) -> Any:
    """The auth as `requests` takes it: a pair becomes `HTTPBasicAuth`; `None` stays `None`.

    :raises AuthError: when it is neither a pair, a callable nor `None`, or can't be encoded
    """
    if isinstance(auth, tuple):
        if len(auth) != 2 or not all(isinstance(part, str | bytes) for part in auth):
            msg = "auth as a tuple must be a pair of texts (user, password)"
            raise AuthError(msg)
        auth = HTTPBasicAuth(*auth)
    if isinstance(auth, HTTPBasicAuth):
        for part in (auth.username, auth.password):
            if not isinstance(part, str | bytes):
                msg = f"user and password must be text, not {type(part).__name__}"
                raise AuthError(msg)
            if isinstance(part, str) and not _is_latin1(part):
                msg = "user and password must be Latin-1 text; pass others as bytes (UTF-8)"
                raise AuthError(msg)
    elif isinstance(auth, type) or (auth is not None and not callable(auth)):
        given = f"the class {auth.__name__}" if isinstance(auth, type) else type(auth).__name__
        msg = (
            "auth must be a pair (user, password), a requests auth object, BearerAuth, ANONYMOUS "
            f"or None (netrc), not {given}"
        )
        raise AuthError(msg)
    return auth


def _is_latin1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


_BY_VALUE = (HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth)
"""`requests`' own classes, which define `__eq__` without `__hash__`."""


class _Same:
    """An unhashable object as a key: equal to itself alone. Keeps it alive, so its id stays its."""

    __slots__ = ("_auth",)

    def __init__(self, auth: object) -> None:
        self._auth = auth

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._auth is other._auth

    def __hash__(self) -> int:
        return id(self._auth)

    def __repr__(self) -> str:
        return f"<{type(self._auth).__name__}>"


class _Equal:
    """What an auth is compared by, as a key: equal to that and to its like, but not shown."""

    __slots__ = ("_key", "_type")

    def __init__(self, key: Hashable, kind: type) -> None:
        self._key, self._type = key, kind

    def __eq__(self, other: object) -> bool:
        return bool(self._key == (other._key if isinstance(other, _Equal) else other))

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"<{self._type.__name__}>"


def identity(auth: object) -> Hashable:
    """What tells one auth from another; its `repr` shows no secret.

    Hashable objects by equality, `requests`' own auth classes by type and value, anything else by
    identity.
    """
    known: Any = auth
    if type(auth) in _BY_VALUE:
        known = (type(auth), auth.username, auth.password)  # type: ignore[attr-defined]
    try:
        hash(known)
    except TypeError:
        return _Same(auth)
    # Others have a `repr` of their own, which is theirs to answer for.
    made: Hashable = _Equal(known, type(auth)) if isinstance(known, tuple | str | bytes) else known
    return made


def label(auth: object) -> str:
    """The scheme or class name of an auth, for telemetry: never a user name or a secret."""
    if auth is None or auth is ANONYMOUS:
        return "none"
    if isinstance(auth, tuple) or type(auth) is HTTPBasicAuth:
        return "basic"
    if isinstance(auth, BearerAuth):
        return "bearer"
    if type(auth) is HTTPDigestAuth:
        return "digest"
    if isinstance(auth, types.FunctionType):
        return auth.__name__
    return type(auth).__name__


def secrets_of(auth: object) -> tuple[str, ...]:
    """The texts in an auth that may be secret, to be taken out of messages made from it."""
    if isinstance(auth, BearerAuth):
        return auth.known_tokens()
    return tuple(sorted({*_texts_in(auth, 2), *_pair_in(auth)}, key=len, reverse=True))


def _pair_in(auth: object) -> Iterator[str]:
    """The name and password of an auth as Basic puts them together."""
    pair: tuple[object, ...] = auth if isinstance(auth, tuple) else ()
    if isinstance(auth, HTTPBasicAuth | HTTPDigestAuth):
        pair = (auth.username, auth.password)
    texts = [p.decode("latin-1") if isinstance(p, bytes) else p for p in pair]
    if len(texts) == 2 and all(isinstance(text, str) for text in texts):
        yield f"{texts[0]}:{texts[1]}"


def _texts_in(thing: Any, depth: int) -> Iterator[str]:
    """All texts in an auth: it, its parts, its attributes."""
    if isinstance(thing, bytes):
        thing = thing.decode("latin-1")
    if isinstance(thing, str):
        if len(thing) > 3:
            yield thing
    elif depth and not isinstance(thing, type | types.FunctionType | types.ModuleType):
        parts: Iterable[Any] = getattr(thing, "__dict__", {}).values()
        if isinstance(thing, Mapping):
            parts = thing.values()
        elif isinstance(thing, list | tuple | set | frozenset):
            parts = thing
        for part in list(parts):
            yield from _texts_in(part, depth - 1)


# --- the plaintext rule ---------------------------------------------------------------------


def is_plain_secret(auth: object) -> bool:
    """Whether an auth sends a secret that anyone on the way can read and use."""
    return isinstance(auth, tuple | HTTPBasicAuth | BearerAuth)


def is_plain_secret_header(value: str | bytes | None) -> bool:
    """Whether an `Authorization` header's value is a Basic or Bearer credential."""
    if value is None:
        return False
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.split(None, 1)[:1] != [] and text.split(None, 1)[0].lower() in {"basic", "bearer"}


def refuse_plaintext(shown_host: str) -> None:
    """Raise the error for a password or token that would travel over plain http.

    :raises PlaintextError: always
    """
    msg = (
        f"refusing to send a password or token to {shown_host} over plain http; "
        "use https, or say allow_plaintext=True if the network is trusted"
    )
    raise PlaintextError(msg)


# --- netrc ----------------------------------------------------------------------------------


def from_netrc(hostname: str, *, use_default: bool) -> HTTPBasicAuth | None:
    """The credentials that the user's netrc file has for a host.

    The file is the one that ``NETRC`` names, else ``~/.netrc`` or ``~/_netrc``.

    :param use_default: whether the file's ``default`` entry counts; never for a host that was
        learned from a link or a redirect
    :raises CredentialsError: when the file can't be read or understood
    """
    path = _netrc_path()
    if path is None:
        return None
    entries = None
    try:
        entries = netrc.netrc(str(path))
    except netrc.NetrcParseError as error:
        trouble = f"not understood at line {error.lineno}"
    except (OSError, UnicodeDecodeError) as error:
        trouble = f"can't be read ({type(error).__name__})"
    if entries is None:
        # Out here, so that the error has not that one behind it, which quotes the file.
        msg = f"netrc file {path}: {trouble}"
        raise CredentialsError(msg)
    # The default entry stands among the others under this name.
    entry = _entry_for(hostname, entries.hosts) if hostname != "default" else None
    if entry is None and use_default:
        entry = entries.hosts.get("default")
    if entry is None or not any(entry):
        return None
    login, account, password = entry
    # What is not Latin-1 is sent as the file has it.
    pair = (login or account or "", password or "")
    auth: HTTPBasicAuth = checked(tuple(t if _is_latin1(t) else t.encode() for t in pair))
    return auth


_Entries = Mapping[str, tuple[str, str, str]]


def _entry_for(hostname: str, entries: _Entries) -> tuple[str, str, str] | None:
    """The entry of a host, in whatever letter case and form its name is written."""
    if hostname in entries:
        return entries[hostname]
    others = (name for name in entries if name != "default")
    like = _host_of(hostname)
    return next((entries[name] for name in others if _host_of(name) == like), None)


def _host_of(name: str) -> str:
    """A host's name as origins have it: in lower case, IDNA."""
    if name.isascii():
        return name.lower()
    try:
        return parse_url(f"https://{name}").host or name
    except LocationParseError:
        return name


def _netrc_path() -> Path | None:
    named = os.environ.get("NETRC")
    candidates = (named,) if named is not None else ("~/.netrc", "~/_netrc")
    for candidate in candidates:
        try:
            path = Path(candidate).expanduser()
        except RuntimeError:  # there is no home to expand
            continue
        try:
            if path.is_file():
                return path
        except OSError as error:
            msg = f"netrc file {candidate}: can't be read ({type(error).__name__})"
            raise CredentialsError(msg) from None
    return None


def no_credentials(shown_host: str, *, netrc: bool = True) -> CredentialsError:
    """The error for a host that nobody gave credentials for; it names the ways out.

    :param netrc: whether the user's netrc file is asked
    """
    entry = " add an entry for it to your netrc file," if netrc else ""
    msg = (
        f"no credentials for {shown_host}: pass auth=,{entry} "
        "or pass auth=ANONYMOUS to send requests unauthenticated on purpose"
    )
    return CredentialsError(msg)


# --- per-host credentials -------------------------------------------------------------------


class HostPattern:
    """Which hosts a setting is for: ``*``, ``*.example.com``, ``https://api.example.com:8443``.

    A pattern with a scheme names origins (no port means the scheme's default, ``:*`` any; but
    ``https://*`` is every origin with that scheme); one without names hosts, under any scheme and,
    unless it gives one, any port. ``*`` stands for any
    run of characters of the host name, and never reaches beyond it.

    :raises ConfigurationError: when the pattern can't be understood
    """

    __slots__ = ("_host", "_port", "_scheme", "text")

    def __init__(self, pattern: str) -> None:
        if not isinstance(pattern, str) or not pattern:
            msg = "a host pattern must be text like '*.example.com' or 'https://host:8443'"
            raise ConfigurationError(msg)
        self.text = pattern
        scheme, separator, rest = pattern.rpartition("://")
        rest = rest.rstrip("/")
        if set(rest) & set("/?#@\\ "):
            # Not shown: there may be a password or a key in it.
            msg = "a host pattern is [scheme://]host[:port], without userinfo, path or query"
            raise ConfigurationError(msg)
        self._scheme = scheme.lower() if separator else None
        if separator and self._scheme not in DEFAULT_PORTS:
            msg = f"host pattern {pattern!r}: the scheme must be http or https"
            raise ConfigurationError(msg)
        host, port = _host_and_port(rest)
        if not host or host == "[]":
            # Not shown, nor what is no port: it may be a password too.
            msg = "a host pattern is [scheme://]host[:port]: there is no host in it"
            raise ConfigurationError(msg)
        if port not in {None, "*"}:
            if not (str(port).isascii() and str(port).isdecimal() and len(str(port)) < 9):
                msg = f"host pattern for {host!r}: the port must be a number or *"
                raise ConfigurationError(msg)
            port = str(int(str(port)))
        if not host.isascii():
            # Origins have their hosts in this form.
            host = _host_of(host)
        # IPv6 addresses stand in brackets, which fnmatch would take for a set of characters.
        self._host = host.lower().replace("[", "[[]")
        if port is None and self._scheme is not None and host != "*":
            port = str(DEFAULT_PORTS[self._scheme])
        self._port = None if port == "*" else port

    def matches(self, scheme: str, host: str, port: int) -> bool:
        """Whether an origin is meant."""
        return (
            self._scheme in {None, scheme}
            and self._port in {None, str(port)}
            and fnmatchcase(host.lower(), self._host)
        )

    def __repr__(self) -> str:
        return f"HostPattern({self.text!r})"


def _host_and_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, closing, port = text.partition("]")
        return (f"{host}]" if closing else ""), port.removeprefix(":") or None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def host_patterns(setting: str, patterns: Any) -> tuple[HostPattern, ...]:
    """The hosts that a setting names.

    :raises ConfigurationError: for what is no list, or a pattern that can't be understood
    """
    if isinstance(patterns, str | bytes) or not isinstance(patterns, Iterable):
        msg = f"{setting} must be a list of host patterns, such as ['*.example.com']"
        raise ConfigurationError(msg)
    return tuple(map(HostPattern, patterns))


class Credentials:
    """Which credentials are for which host; the first pattern that matches decides.

    :param by_pattern: `HostPattern` texts to auth objects; `ANONYMOUS` is a credential too, the
        one that says that none is needed
    :raises ConfigurationError: for a pattern or auth that can't be used
    """

    def __init__(self, by_pattern: Mapping[str, Any] | None = None) -> None:
        self._entries: list[tuple[HostPattern, Any]] = []
        if by_pattern is not None and not isinstance(by_pattern, Mapping):
            msg = f"credentials must map host patterns to auths, not {type(by_pattern).__name__}"
            raise ConfigurationError(msg)
        for pattern, auth in (by_pattern or {}).items():
            made = checked(auth)
            if made is None:
                msg = "credentials: None is no credential; leave it out or pass ANONYMOUS"
                raise AuthError(msg)
            self._entries.append((HostPattern(pattern), made))

    def find(self, scheme: str, host: str, port: int) -> Any:
        """The auth registered for an origin, or `None`."""
        for pattern, auth in self._entries:
            if pattern.matches(scheme, host, port):
                return auth
        return None

    def __iter__(self) -> Iterator[str]:
        return (pattern.text for pattern, _ in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Credentials for {', '.join(self) or 'no host'}>"
