"""Handlers that ask for credentials or set cookies, and record what was shown to them.

Rule 1: whatever a client shows is recorded before it is judged, `None` for nothing.
Rule 2: they may serve many threads, and several servers, at once.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Final, Literal
from urllib.request import parse_http_list, parse_keqv_list

from tests.servers.actions import Action, Answer, decide, echo, respond

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.servers.wire import Request

DigestAlgorithm = Literal["MD5", "SHA-256"]

_HASHES: Final[Mapping[str, Callable[[bytes], str]]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}


class _Guard:
    """Answers 401 with a challenge, or `then` to those who are let in."""

    def __init__(self, then: Answer | None) -> None:
        self._then: Answer = echo() if then is None else then
        self._lock = threading.Lock()
        self._seen: list[str | None] = []

    @property
    def seen(self) -> list[str | None]:
        """The `Authorization` of every request, in order; `None` where there was none."""
        with self._lock:
            return list(self._seen)

    def __call__(self, request: Request) -> Action:
        """Judge one request."""
        shown = request.headers.get("Authorization")
        with self._lock:
            self._seen.append(shown)
            challenge = self._challenge(request, *credentials(shown))
        if challenge is None:
            return decide(self._then, request)
        return respond(401, {"WWW-Authenticate": challenge}, b"who are you?")

    def _challenge(self, request: Request, scheme: str, value: str) -> str | None:
        """Give the challenge, or `None` to let in."""
        raise NotImplementedError


class RequireBasic(_Guard):
    """Lets in one user with Basic authentication."""

    def __init__(self, user: str, password: str, then: Answer | None = None) -> None:
        """Answer `then` (an echo, unless given) to this user."""
        super().__init__(then)
        self._wanted = basic_value(user, password)

    def _challenge(self, request: Request, scheme: str, value: str) -> str | None:
        del request
        if (scheme, value) == ("basic", self._wanted):
            return None
        return 'Basic realm="test", charset="UTF-8"'


class RequireBearer(_Guard):
    """Lets in the bearers of tokens, which can be accepted and revoked at any time."""

    def __init__(self, *tokens: str, then: Answer | None = None) -> None:
        """Answer `then` (an echo, unless given) to the bearers of these tokens."""
        super().__init__(then)
        self._tokens = set(tokens)

    def accept(self, *tokens: str) -> None:
        """Let in the bearers of these tokens too."""
        with self._lock:
            self._tokens.update(tokens)

    def revoke(self, *tokens: str) -> None:
        """Let in the bearers of these tokens no longer."""
        with self._lock:
            self._tokens.difference_update(tokens)

    def _challenge(self, request: Request, scheme: str, value: str) -> str | None:
        del request
        if scheme == "bearer" and value in self._tokens:
            return None
        return 'Bearer realm="test"' + (', error="invalid_token"' if scheme == "bearer" else "")


class RequireDigest(_Guard):
    """Lets in one user with Digest authentication (RFC 7616, `qop=auth`).

    A nonce's count may not be used again.
    """

    def __init__(
        self,
        user: str,
        password: str,
        algorithm: DigestAlgorithm = "MD5",
        then: Answer | None = None,
        realm: str = "test",
    ) -> None:
        """Answer `then` (an echo, unless given) to this user."""
        super().__init__(then)
        self._user = user
        self._password = password
        self._algorithm: DigestAlgorithm = algorithm
        self._realm = realm
        self._opaque = secrets.token_hex(8)
        self._counts: dict[str, int] = {}  # by nonce

    def forget(self) -> None:
        """Take every nonce so far for a stale one."""
        with self._lock:
            self._counts.clear()

    def _challenge(self, request: Request, scheme: str, value: str) -> str | None:
        fields = parse_keqv_list(parse_http_list(value)) if scheme == "digest" else {}
        nonce = fields.get("nonce", "")
        fresh = nonce in self._counts
        if fresh and self._right(request, fields):
            self._counts[nonce] = int(fields["nc"], 16)
            return None
        new = secrets.token_urlsafe(16)
        self._counts[new] = 0
        stale = ", stale=true" if fields and not fresh else ""
        return (
            f'Digest realm="{self._realm}", qop="auth", algorithm={self._algorithm},'
            f' nonce="{new}", opaque="{self._opaque}"{stale}'
        )

    def _right(self, request: Request, fields: Mapping[str, str]) -> bool:
        expected = {
            "username": self._user,
            "realm": self._realm,
            "uri": request.target,
            "algorithm": self._algorithm,
            "opaque": self._opaque,
            "qop": "auth",
        }
        if any(fields.get(name) != value for name, value in expected.items()):
            return False
        nc, cnonce = fields.get("nc", "0"), fields.get("cnonce", "")
        if int(nc, 16) <= self._counts[fields["nonce"]]:
            return False
        return fields.get("response") == digest_response(
            self._algorithm,
            user=self._user,
            realm=self._realm,
            password=self._password,
            method=request.method,
            uri=request.target,
            nonce=fields["nonce"],
            nc=nc,
            cnonce=cnonce,
        )


class SetCookies:
    """Sets cookies with every answer, and records those that clients send back."""

    def __init__(self, cookies: Mapping[str, str], attributes: str = "Path=/") -> None:
        """Set these, each with these attributes (`Path=/; Secure`)."""
        self._lines = [f"{name}={value}; {attributes}" for name, value in cookies.items()]
        self._lock = threading.Lock()
        self._seen: list[dict[str, str]] = []

    @property
    def seen(self) -> list[dict[str, str]]:
        """The cookies of every request, in order."""
        with self._lock:
            return list(self._seen)

    def __call__(self, request: Request) -> Action:
        """Answer with JSON of the cookies that came."""
        jar = SimpleCookie("; ".join(request.headers.get_all("Cookie")))
        cookies = {name: morsel.value for name, morsel in jar.items()}
        with self._lock:
            self._seen.append(cookies)
        return respond(200, [("Set-Cookie", line) for line in self._lines], json=cookies)


def digest_response(
    algorithm: DigestAlgorithm,
    *,
    user: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    nc: str,
    cnonce: str,
) -> str:
    """Compute what a client proves its password with (RFC 7616, section 3.4.1, `qop=auth`)."""

    def digest(*parts: str) -> str:
        return _HASHES[algorithm](":".join(parts).encode())

    a1 = digest(user, realm, password)
    a2 = digest(method, uri)
    return digest(a1, nonce, nc, cnonce, "auth", a2)


def credentials(header: str | None) -> tuple[str, str]:
    """Split an `Authorization` or its like into the scheme, in lower case, and the rest."""
    scheme, _, value = (header or "").partition(" ")
    return scheme.lower(), value


def basic_value(user: str, password: str) -> str:
    """Encode a user and password for Basic authentication."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()
