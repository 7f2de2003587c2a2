"""Taking secrets out before anything is shown: URLs, headers, requests, responses, free text.

Rules:

1. Redaction happens at the source: no instrument, error or `repr` ever gets the unredacted thing.
2. What may hold a secret is decided by name, in any letter case and however it is encoded; by its
   form only where that can't be mistaken: userinfo, a JSON Web Token, what stands behind `Bearer`.
3. What went out as a secret with a request is also taken out *by value* of every text that came
   back or was made from it: messages of other libraries, bodies of errors.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import inspect
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import (
    SplitResult,
    quote,
    quote_plus,
    unquote,
    unquote_plus,
    urlsplit,
    urlunsplit,
)

import requests
from requests.structures import CaseInsensitiveDict

from sleepwalker import _nesting
from sleepwalker.exceptions import ConfigurationError, SleepwalkerException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REDACTED = "REDACTED"
"""What stands in a secret's place (the word of OpenTelemetry's semantic conventions)."""

HEADERS = frozenset(
    {
        "auth",
        "authorization",
        "proxy-authorization",
        "authentication-info",
        "proxy-authentication-info",
        "baggage",
        "cookie",
        "cookie2",
        "set-cookie",
        "set-cookie2",
        "dpop",
        "x-amz-security-token",
        "x-auth",
        "x-forwarded-access-token",
        "x-github-otp",
        "x-goog-iam-authorization-token",
        "x-otp",
        "x-pass",
        "x-pin",
        "x-pwd",
        "x-sig",
    }
)
"""Headers that are secret whatever stands in them."""

PARAMETERS = frozenset(
    {
        "appid",
        "assertion",
        "auth",
        "awsaccesskeyid",
        "bearer",
        "clientassertion",
        "code",
        "codeverifier",
        "devicecode",
        "googleaccessid",
        "hmac",
        "jwt",
        "key",
        "oauthverifier",
        "otp",
        "pass",
        "passcode",
        "pin",
        "pw",
        "pwd",
        "samlrequest",
        "samlresponse",
        "sid",
        "sig",
        "ticket",
    }
)
"""Query and path parameters that are secret, beside those whose names contain one of `WORDS`."""

WORDS = (
    "accesskey",
    "apikey",
    "authorization",
    "authtoken",
    "bearer",
    "cookie",
    "credential",
    "csrf",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "session",
    "signature",
    "signingkey",
    "token",
    "jwt",
    "xsrf",
)
"""Parts of a name (without ``-``, ``_`` and ``.``) that make a header or parameter secret."""

MEMBERS = frozenset({"assertion", "hmac", "otp", "pass", "passcode", "pin", "pw", "pwd"})
"""Members of a request's body whose values are secret, beside those with one of `WORDS`.

Fewer than the parameters: a `code` or a `key` in a document is seldom a secret, and an error that
quotes it shall stay readable.
"""

_SEPARATORS = str.maketrans("", "", "-_. []\t\0")
_COMPOUND = re.compile(r"[\[\].]+")
"""What divides a name that is made of several: ``login[pin]``, ``login.pin``."""
_NESTED = 3
"""How often a value is percent-decoded to look for a URL in it."""
_ENDLESS = 16
"""Links: no chain of causes is followed further."""
_SHORTEST = 4
"""Characters: a shorter value is not looked for in texts; it would be found everywhere."""
_DISTINCTIVE = 8
"""Characters: a value of so many is taken out wherever it stands, a shorter one as a word only."""
# Quotes and brackets are legal in userinfo and query, and requests leaves them as they are: better
# to swallow one too many than to leave the rest of a password.
# Schemes and names are bounded: hostile texts must not make these slow.
_URL = re.compile(r"""\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s"<>]+""")
_QUERY = re.compile(r"""(?:(?<=[?&;])|^)([^\s=?&;"<>]{1,200})=([^\s&;"<>]+)""")
_WORD_BEGINS = (
    r"(?:(?<![A-Za-z0-9])|(?<=\\[abfnrtv])|(?<=\\u[0-9a-fA-F]{4})|(?<=\\x[0-9a-fA-F]{2})"
    r"|(?<=%[0-9a-fA-F]{2}))"
)
"""Where a word may begin: behind no letter or digit but those of an escape."""
_ESCAPE = re.compile("%[0-9A-F]{2}")
_USERINFO = re.compile(r"""(//|\bhttps?:/?)[^\s/?#"<>@]{1,400}@""", re.IGNORECASE)
_MEMBER = re.compile(r'"([^"\\]{1,200})"\s*:')
"""The name of a member in JSON."""
_JWT = re.compile(
    r"(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2}))eyJ[\w-]{6,}\.eyJ[\w-]{6,}\.[\w-]*", re.ASCII
)
"""A JSON Web Token: header and claims are JSON, whose ``{"`` is ``eyJ`` in base64."""
_SCHEME = re.compile(
    r"\b(bearer|basic|negotiate)(\s+|%20)(?=[^\s,;]{0,200}[\d=])[\w.~+/-]{12,}=*",
    re.ASCII | re.IGNORECASE,
)
"""Credentials behind the name of their scheme. Words have no digit in them, nor padding behind."""
_NOBODY = rf"\1{REDACTED}:{REDACTED}@"
"""What stands in the place of userinfo."""
_PAIRS = re.compile(r"([?&;])")
_MATRIX = re.compile(r"((?:;|%3[Bb])([^/;=]{1,200})=)([^/;]+)")
"""A parameter in a path: ``;jsessionid=...``."""
_ADDRESSES: Mapping[str, re.Pattern[str]] = {
    "location": re.compile(r"^()(.+)$", re.DOTALL),
    "content-location": re.compile(r"^()(.+)$", re.DOTALL),
    "link": re.compile(r"""(<|anchor=")([^<>"]+)"""),
    "refresh": re.compile(r"""(url\s*=\s*["']?)([^"']+)""", re.IGNORECASE),
}
"""Where URLs stand in headers, with or without a host of their own."""
_COOKIE_ATTRIBUTES = frozenset(
    {"domain", "expires", "max-age", "path", "priority", "samesite", "version"}
)
"""What stands in a Set-Cookie beside the cookie, and is no secret."""
_MOST_GIVEN = 100
"""Secrets: how many of those that a response gives, or a URL has, are looked for."""
_LARGEST_BODY = 16 * 1024
"""Bytes: a larger body of a request is no login, and not looked through."""
_PART = re.compile(
    r'\bname="?([^";\r\n]{1,200})"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--', re.DOTALL
)
"""A part of a form in several parts: its name and what is in it."""
_MOST_PARTS = 1000
"""Parts of an exception's arguments and attributes: one that has more is not looked through."""
_LITERALS = frozenset({"true", "false", "null"})
_HTML_QUOTES = (("&#x27;", "&quot;"), ("&#39;", "&#34;"), ("&#39;", "&quot;"), ("&#039;", "&quot;"))
"""How the apostrophe and the quote are written in HTML."""
_UNSAFE_IN_HTML = re.compile("[&<>]")
_UNSAFE_FOR_DOTNET = re.compile(r"[&<>+'\"`]|[^\x00-\x7f]")
_JSON_TOKEN = re.compile(r"""("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[^\s\[\]{}:,"]+""", re.DOTALL)

_HARMLESS = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/-]*)?")
"""A URL of a host and a path of plain characters: no place for a secret but a JWT."""


class Redaction:
    """What is secret, and how it is taken out.

    :param headers: names of further headers that are secret
    :param parameters: names of further query parameters that are secret
    :param path: rewrites the path of every URL that is shown, for account numbers and the like
    :raises ConfigurationError: for what is no list of names, or no function
    """

    def __init__(
        self,
        *,
        headers: Iterable[str] = (),
        parameters: Iterable[str] = (),
        path: Callable[[str], str] | None = None,
    ) -> None:
        self._headers = HEADERS | {name.lower() for name in _names("headers", headers)}
        self._parameters = PARAMETERS | {_plain(n) for n in _names("parameters", parameters)}
        self._members = MEMBERS | (self._parameters - PARAMETERS)
        if path is not None and not callable(path):
            msg = f"path must be a function of a path, not {type(path).__name__}"
            raise ConfigurationError(msg)
        self._path = path

    def __repr__(self) -> str:
        more = len(self._headers - HEADERS), len(self._parameters - PARAMETERS)
        return f"<Redaction {more[0]} headers and {more[1]} parameters of the user's>"

    def secret_header(self, name: str | bytes) -> bool:
        """Whether the header of this name is secret."""
        lower = name.decode("latin-1").lower() if isinstance(name, bytes) else name.lower()
        plain = lower.translate(_SEPARATORS)
        return lower in self._headers or plain.endswith("key") or any(w in plain for w in WORDS)

    def secret_parameter(self, name: str) -> bool:
        """Whether the query parameter of this (percent-encoded) name is secret."""
        decoded = _decoded(name)
        plain = decoded.translate(_SEPARATORS)
        if plain in self._parameters or plain.endswith("key") or any(w in plain for w in WORDS):
            return True
        parts = _COMPOUND.split(decoded) if "[" in decoded or "." in decoded else ()
        return any(part.translate(_SEPARATORS) in self._parameters for part in parts)

    def _secret_member(self, name: str) -> bool:
        """Whether the member of this name of a request's body is secret."""
        lower = name.lower()
        plain = lower.translate(_SEPARATORS)
        if plain in self._members or any(word in plain for word in WORDS):
            return True
        return any(part.translate(_SEPARATORS) in self._members for part in _COMPOUND.split(lower))

    def url(self, url: str) -> str:
        """The URL without userinfo and fragment, its secret parameters' values replaced."""
        if self._path is None and _HARMLESS.fullmatch(url) is not None and "eyJ" not in url:
            return url
        return self._url(url, rewrite=True)

    def _address(self, url: str, secrets: Iterable[str]) -> str:
        """The same, and without known secrets."""
        return self.text(self.url(url), secrets, rewritten=True)

    def _url(self, url: str, *, rewrite: bool) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            return REDACTED
        netloc = parts.netloc
        if "@" in netloc:
            netloc = f"{REDACTED}:{REDACTED}@{netloc.rpartition('@')[2]}"
        elif "@" in url and _is_cut_userinfo(parts):
            return f"{parts.scheme}:{'//' * bool(netloc)}{REDACTED}"
        path = parts.path
        if self._path is not None and rewrite:
            try:
                path = str(self._path(path))
            except Exception:  # noqa: BLE001 - a rewriter that fails must not fail the request
                path = f"/{REDACTED}"
        path = _MATRIX.sub(self._parameter, path)
        if "%" in path:
            segments = path.split("/")
            path = "/".join(REDACTED if self._hides(segment) else segment for segment in segments)
        query = self._query(parts.query) if parts.query else ""
        shown = urlunsplit((parts.scheme, netloc, path, query, ""))
        if "@" in path and "//" in path:
            # A whole URL in it.
            shown = _USERINFO.sub(_NOBODY, shown)
        return _JWT.sub(REDACTED, shown) if "eyJ" in shown else shown

    def _parameter(self, match: re.Match[str]) -> str:
        secret = self.secret_parameter(match.group(2)) or self._hides(match.group(3))
        return f"{match.group(1)}{REDACTED}" if secret else match.group()

    def _query(self, query: str) -> str:
        kept = []
        # Separators stand between the pairs: "&", the old ";", and the "?" of a URL in a value.
        for pair in _PAIRS.split(query):
            name, equals, value = pair.partition("=")
            if not equals:
                kept.append(REDACTED if "%" in pair and self._hides(pair) else pair)
                continue
            secret = self.secret_parameter(name) or self._hides(value)
            kept.append(f"{name}={REDACTED}" if secret else pair)
        return "".join(kept)

    def _hides(self, value: str) -> bool:
        """Whether a value is a URL, query or JSON with a secret in it, however percent-encoded."""
        for _ in range(_NESTED + 1):
            if self._has_named(value):
                return True
            if "%" not in value:
                return False
            value = unquote(value)
        return False

    def _has_named(self, text: str) -> bool:
        """Whether a secret stands in a text by its name."""
        # With the patterns alone: a URL nested in itself must not be gone through again and again.
        names = []
        if "=" in text:
            pairs = (match.groups() for match in _QUERY.finditer(text))
            names += [name for name, value in pairs if not value.startswith(REDACTED)]
        if '"' in text:
            names += _MEMBER.findall(text)
        if any(map(self.secret_parameter, names)):
            return True
        return ":" in text and "@" in text and _USERINFO.search(text) is not None

    def headers(
        self, headers: Mapping[str, Any] | None, secrets: Iterable[str] = ()
    ) -> CaseInsensitiveDict[str]:
        """A copy in which secret headers' values, and secrets in other headers, are replaced.

        :param secrets: texts to be taken out wherever they stand
        """
        shown: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for name, value in (headers or {}).items():
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            name = name.decode("latin-1") if isinstance(name, bytes) else name  # noqa: PLW2901 - the same name
            shown[name] = REDACTED if self.secret_header(name) else self._value(name, text, secrets)
        return shown

    def _value(self, name: str, value: str, secrets: Iterable[str]) -> str:
        addresses = _ADDRESSES.get(name.lower())
        if addresses is None:
            return self.text(value, secrets)
        shown = addresses.sub(lambda match: match.group(1) + self.url(match.group(2)), value)
        return self.text(shown, secrets, rewritten=True)

    def request(
        self, request: Any, secrets: tuple[str, ...] = ()
    ) -> requests.PreparedRequest | None:
        """A copy of a prepared request that may be shown: no body, no hooks, no secrets.

        :param secrets: texts to be taken out wherever they stand
        """
        if request is None:
            return None
        shown = requests.PreparedRequest()
        shown.method = getattr(request, "method", None)
        url = getattr(request, "url", None)
        shown.url = self._address(url, secrets) if isinstance(url, str) else None
        shown.headers = self.headers(getattr(request, "headers", None), secrets)  # type: ignore[assignment]
        return shown

    def response(
        self, response: requests.Response | None, secrets: tuple[str, ...] = ()
    ) -> requests.Response | None:
        """A copy of a response that may be shown.

        Secrets that the request had, or that the response gives, are taken out of the body too;
        what was not read of a stream is left out.

        :param secrets: more texts to be taken out wherever they stand
        """
        if response is None:
            return None
        secrets = (*secrets, *self.secrets(getattr(response, "request", None)))
        for answer in (*response.history, response):
            secrets += self._secrets_given(answer)
        secrets = _longest_first(secrets)
        shown = requests.Response()
        shown.status_code = response.status_code
        shown.reason = self.text(response.reason or "", secrets)
        shown.url = self._address(response.url, secrets) if response.url else ""
        shown.headers = self.headers(response.headers, secrets)
        shown.encoding = response.encoding
        shown.elapsed = response.elapsed
        past = (self.response(earlier, secrets) for earlier in response.history)
        shown.history = [earlier for earlier in past if earlier is not None]
        shown.request = self.request(getattr(response, "request", None), secrets)  # type: ignore[assignment]
        body = getattr(response, "_content", None)
        charset = response.encoding if isinstance(response.encoding, str) else None
        shown._content = self._body(body, charset, secrets) if isinstance(body, bytes) else b""  # noqa: SLF001 - `requests` gives a response no public way to be given its body
        shown._content_consumed = True  # noqa: SLF001 - as above: nothing is left to read or to close
        return shown

    def _body(self, body: bytes, charset: str | None, secrets: tuple[str, ...]) -> bytes:
        """A body without secrets, in each encoding that somebody may read it in."""
        if not secrets:
            return body
        for encoding in _encodings(body, charset):
            try:
                # What isn't UTF-8 is not to be changed by being read so.
                text = body.decode(encoding, "strict" if encoding == "utf-8" else "replace")
            except (LookupError, ValueError):
                continue
            shown = self._told_back(text, secrets)
            if shown != text:
                body = shown.encode(encoding, "replace")
        # Byte for byte, whatever it is.
        text = body.decode("latin-1")
        known = dict.fromkeys(form for s in secrets for form in (_utf8(s).decode("latin-1"), s))
        return self._told_back(text, known).encode("latin-1")

    def _told_back(self, text: str, secrets: Iterable[str]) -> str:
        """The text of a body without secrets; one that is JSON stays so, if it can."""
        tokens = _tokens_decoded(text) if "\\" in text else ""
        # Only those that are there: there may be many, and many tokens.
        folded = f"{text}\0{tokens}".lower()
        known = [secret for secret in secrets if secret.lower() in folded]
        if not known:
            return text
        if _is_json(text):
            text = _JSON_TOKEN.sub(lambda match: self._token(match, known), text)
            # What is left spans several tokens.
            known = [secret for secret in known if len(secret) >= _DISTINCTIVE]
        return self._without(text, known)

    def _token(self, match: re.Match[str], secrets: list[str]) -> str:
        """A text or number of a JSON document, so that it stays one."""
        token, quoted, colon = match.group(0, 1, 2)
        if token in _LITERALS:
            return token
        if quoted is None:
            return token if self._without(token, secrets) == token else f'"{REDACTED}"'
        if colon:
            # A name: a short secret, a user name such as "errors", is no reason to change it.
            secrets = [secret for secret in secrets if len(secret) >= _DISTINCTIVE]
        plain = json.loads(quoted)
        shown = self._without(plain, secrets)
        return token if shown == plain else json.dumps(shown) + (colon or "")

    def secrets(self, request: Any, *urls: str) -> tuple[str, ...]:
        """The secret values in a prepared request, each in the forms that it may come back in.

        :param urls: further URLs whose secrets count, a proxy's for instance
        """
        if request is None:
            return ()
        found: set[str] = set()
        for name, value in (getattr(request, "headers", None) or {}).items():
            if self.secret_header(name):
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                found.update(_credentials_in(name, text))
        for url in (getattr(request, "url", None), *urls):
            found |= self._secrets_in(url)
        found.update(itertools.islice(self._secrets_sent(request), _MOST_GIVEN))
        return all_forms(found)

    def _secrets_sent(self, request: Any) -> Iterator[str]:
        """The secrets in a request's body, if it is a form or JSON, by their names."""
        body = getattr(request, "body", None)
        if not body or not isinstance(body, bytes | str) or len(body) > _LARGEST_BODY:
            return
        text = body if isinstance(body, str) else body.decode(errors="replace")
        for name, value in _members(text, str(request.headers.get("Content-Type"))):
            if self._secret_member(name):
                yield value

    def _secrets_given(self, response: requests.Response) -> tuple[str, ...]:
        """The secret values that a response gives, in all forms: its cookies, where it leads to.

        A short one is a word of the language more often than a secret; and of what a server sends
        there is a limit to what is worth the caller's time.
        """
        found: list[str] = []
        for name in ("Set-Cookie", "Set-Cookie2"):
            found += _cookies_in(response.headers.get(name) or "")
        found += sorted(self._secrets_in(response.headers.get("Location")))
        distinctive = (value for value in dict.fromkeys(found) if len(value) >= _DISTINCTIVE)
        return all_forms(itertools.islice(distinctive, _MOST_GIVEN))

    def _secrets_in(self, url: Any) -> set[str]:
        """The secrets in a URL: its userinfo, and the values of its secret parameters."""
        try:
            parts = urlsplit(url) if isinstance(url, str) else None
        except ValueError:
            parts = None
        if parts is None:
            return set()
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        found = {parts.username or "", parts.password or "", user, password}
        if user:
            found.add(base64.b64encode(f"{user}:{password}".encode()).decode())
        pairs = [pair.partition("=")[::2] for pair in _PAIRS.split(parts.query)]
        pairs += [match.group(2, 3) for match in _MATRIX.finditer(parts.path)]
        secret = (value for name, value in pairs if self.secret_parameter(name))
        for value in itertools.islice(secret, _MOST_GIVEN):
            found.update((value, unquote_plus(value)))
        return found

    def text(self, text: str, secrets: Iterable[str] = (), *, rewritten: bool = False) -> str:
        """Free text without secrets: URLs and queries in it redacted, known secrets taken out.

        :param rewritten: whether it comes from `url`, so that the paths in it are rewritten already
        """
        if "://" in text:
            text = _URL.sub(lambda match: self._url(match.group(), rewrite=not rewritten), text)
        if ":" in text and "@" in text:
            text = _USERINFO.sub(_NOBODY, text)
        if "=" in text:
            text = _QUERY.sub(self._pair, text)
        if "eyJ" in text:
            text = _JWT.sub(REDACTED, text)
        text = _SCHEME.sub(rf"\1\2{REDACTED}", text)
        return self._without(text, secrets)

    def _pair(self, match: re.Match[str]) -> str:
        name, value = match.groups()
        # What goes on behind it is a path whose parameter was taken out.
        done = value.startswith(f"{REDACTED}/")
        return f"{name}={REDACTED}" if self.secret_parameter(name) and not done else match.group()

    def _without(self, text: str, secrets: Iterable[str]) -> str:
        folded = text.lower()
        for secret in secrets:
            if secret.lower() not in folded:
                continue
            if len(secret) >= _DISTINCTIVE:
                text = re.sub(re.escape(secret), REDACTED, text, flags=re.IGNORECASE)
            else:
                # A word of its own only, and as it was given: a user name "test" is no reason to
                # cut up "latest", or a sentence that begins with "Test".
                word = rf"{_WORD_BEGINS}{re.escape(secret)}(?![A-Za-z0-9])"
                text = re.sub(word, REDACTED, text)
            folded = text.lower()
        return text

    def cause(
        self,
        error: BaseException,
        secrets: tuple[str, ...],
        outside: BaseException | None = None,
    ) -> BaseException:
        """The exception itself if nothing in it or behind it is secret, else a stand-in.

        An error of `requests` has one of its own class, with what may be shown of its request and
        response; any other has a `LowerError`. Neither has a cause or context.

        :param outside: what was being handled when all this began: no cause of it
        """
        links = list(causes(error, outside))
        for link in links:
            secrets += self._sent_with(link)
        secrets = _longest_first(secrets)
        # What lies behind the last link that is followed, nobody has looked at.
        whole = len(links) < _ENDLESS
        if whole and all(self._is_clean(link, secrets) for link in links):
            return error
        clean = self.text(_told(error), secrets)
        stand_in: BaseException = LowerError(f"{_type_of(error)}: {clean}")
        if type(error).__module__ == requests.exceptions.__name__:
            # An error whose request or response can't be looked at has none of them.
            with suppress(Exception):
                stand_in = self._like(error, clean, secrets)
        return stand_in.with_traceback(error.__traceback__)

    def _sent_with(self, link: BaseException) -> tuple[str, ...]:
        """The secrets in the requests that an exception holds, of those that can be looked at."""
        found: tuple[str, ...] = ()
        with suppress(Exception):
            for request in _requests_of(link):
                found += self.secrets(request)
        return found

    def _is_clean(self, link: BaseException, secrets: tuple[str, ...]) -> bool:
        """Whether an exception may be shown as it is; one that can't be looked at may not."""
        try:
            return not (self._shows(link, secrets) or self._carries(link))
        except Exception:  # noqa: BLE001 - a `repr` or an attribute is the user's code
            return False

    def _like(self, error: Any, clean: str, secrets: tuple[str, ...]) -> BaseException:
        """A new error of the same class of `requests`' own."""
        # Without its constructor: not all of them take a text.
        cls: type[requests.RequestException] = type(error)
        like: requests.RequestException = cls.__new__(cls)
        like.args = (clean,)
        like.request = self.request(getattr(error, "request", None), secrets)
        given = getattr(error, "response", None)
        like.response = self.response(given, secrets) if isinstance(given, _ANSWER) else None
        if isinstance(like, requests.exceptions.JSONDecodeError):
            like.msg, like.doc = self.text(str(error.msg), secrets), ""
            like.pos, like.lineno, like.colno = error.pos, error.lineno, error.colno
        return like

    def _carries(self, link: BaseException) -> bool:
        """Whether an exception holds a request or response, or tells a secret by its name."""
        ours = isinstance(link, SleepwalkerException)
        # What a call of ours told has its paths rewritten.
        rewritten = ours and bool(getattr(link, "attempts", 0))
        texts = [_told(link), *getattr(link, "__notes__", ())]
        for thing in _held_by(link):
            if isinstance(thing, str):
                # The body of an answer is in our errors as it came, but for what was sent.
                texts += () if ours else (thing,)
            elif _is_exchanged(thing) and not (ours and self._is_shown(thing)):
                return True
        return any(self.text(text, rewritten=rewritten) != text for text in texts)

    def _shows(self, link: BaseException, secrets: tuple[str, ...]) -> bool:
        """Whether an exception's text, arguments or attributes show one of these secrets."""
        if not secrets:
            return False
        held = itertools.chain(_parts_of(link.args, 3), _parts_of(vars(link), 3))
        parts = list(itertools.islice(held, _MOST_PARTS + 1))
        if len(parts) > _MOST_PARTS:
            # What is too much to be looked through may hold anything.
            return True
        # An auth object hides what it holds, but not what hangs on it.
        texts = itertools.chain((_told(link),), map(repr, parts))
        return any(self._without(text, secrets) != text for text in texts)

    def _is_shown(self, thing: Any) -> bool:
        """Whether it is a request or response as `request` and `response` make them."""
        if isinstance(thing, _ANSWER):
            whole = thing.raw is None and (thing.request is None or self._is_shown(thing.request))
        else:
            whole = isinstance(thing, requests.PreparedRequest) and thing.body is None
        return (
            whole
            and self.text(thing.url or "", rewritten=True) == (thing.url or "")
            and all(
                value == REDACTED
                for name, value in (thing.headers or {}).items()
                if self.secret_header(name)
            )
        )


_ANSWER = requests.Response
_EXCHANGED = (requests.PreparedRequest, requests.Request, requests.Response)


class LowerError(Exception):
    """Stands in a chain of causes for an exception that may hold a credential.

    Says the type and the redacted text of that exception of a lower layer, or of the user's code.
    """


def causes(error: BaseException, outside: BaseException | None = None) -> Iterator[BaseException]:
    """The error and all that it was made from, outermost first.

    :param outside: what was being handled when all this began: no cause of it
    """
    seen: set[int] = {id(outside)}
    pending: list[Any] = [error]
    while pending and len(seen) <= _ENDLESS:
        link = pending.pop(0)
        # By its type: `isinstance` may run a user's code.
        if not issubclass(type(link), BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        # What looks like an attribute may be the user's code.
        with suppress(Exception):
            pending.append(getattr(link, "reason", None))
        with suppress(Exception):
            pending += link.args
        pending += [link.__cause__, link.__context__]
        pending += link.exceptions if isinstance(link, BaseExceptionGroup) else ()


def stand_in_by_type(error: BaseException) -> LowerError:
    """What stands for an exception of which nothing but its type can be told."""
    return LowerError(_type_of(error)).with_traceback(error.__traceback__)


def _type_of(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def all_forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """Secrets in each of the forms that they may come back in, in the order to take them out."""
    # What was redacted already has no secret left.
    known = (secret for secret in secrets if len(secret) >= _SHORTEST and secret != REDACTED)
    forms = (_forms(secret) for secret in known)
    return _longest_first(itertools.chain.from_iterable(forms))


def _longest_first(secrets: Iterable[str]) -> tuple[str, ...]:
    """In the order to take them out, so that no part of one is left when another is part of it."""
    return tuple(sorted(set(secrets), key=len, reverse=True))


def _told(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error of the user's that can't tell its own text
        return ""


def _held_by(error: BaseException) -> Iterator[Any]:
    """What an exception has in its arguments and attributes, also in a list or mapping there."""
    for held in (*error.args, *vars(error).values()):
        if isinstance(held, Mapping):
            yield from held.values()
        elif isinstance(held, list | tuple):
            yield from held
        else:
            yield held


def _is_exchanged(thing: object) -> bool:
    """Whether it is a request or response, of `requests` or of a library like it."""
    # Statically: no code of a user's object runs because we look at it.
    return isinstance(thing, _EXCHANGED) or any(
        inspect.getattr_static(thing, name, None) is not None for name in ("headers", "request")
    )


def _requests_of(error: BaseException) -> Iterator[Any]:
    """The requests of `requests` in an exception, those of its responses too."""
    for thing in _held_by(error):
        if isinstance(thing, _EXCHANGED):
            yield getattr(thing, "request", thing)


def _parts_of(thing: Any, depth: int) -> Iterator[Any]:
    """A thing and what hangs on it."""
    yield thing
    if not depth:
        return
    parts: Iterable[Any] = getattr(thing, "__dict__", {}).values()
    if isinstance(thing, Mapping):
        parts = thing.values()
    elif isinstance(thing, list | tuple | set | frozenset):
        parts = thing
    for part in list(parts):
        yield from _parts_of(part, depth - 1)


def _forms(secret: str) -> set[str]:
    """A secret as it may come back: as it is, or as a URL, JSON, HTML, Python or Basic have it."""
    percent = {
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote(secret, safe="", encoding="latin-1", errors="replace"),
        quote_plus(secret, errors="replace"),
    }
    percent |= {quote(form, safe="") for form in percent}
    quoted = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    # A document that is a text in another.
    quoted |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in quoted}
    # As Go and Rails write JSON, and .NET.
    quoted |= {_UNSAFE_IN_HTML.sub(lambda match: _escape(match, "x"), form) for form in quoted}
    quoted.add(_as_dotnet(secret))
    escaped = html.escape(secret)
    return {
        secret,
        *percent,
        *(_ESCAPE.sub(lambda match: match.group().lower(), form) for form in percent),
        *quoted,
        *(form.replace("/", "\\/") for form in quoted),
        # Without its padding: one that goes on behind has none.
        base64.b64encode(_utf8(secret)).decode().rstrip("="),
        base64.urlsafe_b64encode(_utf8(secret)).decode().rstrip("="),
        # As `requests` writes a Basic pair.
        base64.b64encode(secret.encode("latin-1", "replace")).decode().rstrip("="),
        *_within_base64(_utf8(secret)),
        _utf8(secret).hex(),
        *(escaped.replace("&#x27;", a).replace("&quot;", q) for a, q in _HTML_QUOTES),
        escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;").replace("+", "&#43;"),
        repr(secret)[1:-1],
        repr(_utf8(secret))[2:-1],
        repr(secret.encode("latin-1", "replace"))[2:-1],
    }


def _within_base64(data: bytes) -> Iterator[str]:
    """What is sure to be there of a secret in the base64 of a longer text."""
    for offset in range(3):
        # What stands before and behind it changes the characters at both ends.
        text = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        middle = text[(0, 2, 3)[offset] : len(text) - bool((offset + len(data)) % 3)]
        if len(middle) >= _DISTINCTIVE:
            yield from (middle, middle.replace("+", "-").replace("/", "_"))


def _utf8(secret: str) -> bytes:
    # What the environment gives may have surrogates, for bytes that are none.
    return secret.encode(errors="replace")


def _escape(match: re.Match[str], case: Literal["x", "X"]) -> str:
    return rf"\u{ord(match.group()):04{case}}"


def _as_dotnet(secret: str) -> str:
    """A secret as .NET writes it in JSON, but for what is beyond the first plane."""
    plain = secret.replace("\\", "\\\\")
    return _UNSAFE_FOR_DOTNET.sub(lambda match: _escape(match, "X"), plain)


def _encodings(body: bytes, charset: str | None) -> list[str]:
    """The encodings, each by one name, that a body may be read in: guessed, declared, UTF-8."""
    names = []
    for name in (json.detect_encoding(body), charset, "utf-8"):
        with suppress(LookupError, ValueError):
            names.append(codecs.lookup(name).name if name else "utf-8")
    return list(dict.fromkeys(names))


def _is_json(text: str) -> bool:
    if _nesting.is_deeper(_utf8(text), _nesting.DEEPEST):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _tokens_decoded(text: str) -> str:
    """The texts of a JSON document that have escapes in them, decoded; of any other, nothing."""
    if not _is_json(text):
        return ""
    quoted = (match.group(1) for match in _JSON_TOKEN.finditer(text))
    return "\0".join(json.loads(token) for token in quoted if token and "\\" in token)


def _names(what: str, names: Any) -> tuple[str, ...]:
    """The names that a user adds.

    :raises ConfigurationError: when they are none
    """
    given = () if isinstance(names, str | bytes) or not isinstance(names, Iterable) else names
    chosen = tuple(given)
    if given is not names or not all(isinstance(name, str) for name in chosen):
        msg = f"{what} must be a list of names, such as ['X-Account']"
        raise ConfigurationError(msg)
    return chosen


def _plain(name: str) -> str:
    """A parameter's name as it is compared: decoded, lower case, without separators."""
    return _decoded(name).translate(_SEPARATORS)


def _decoded(name: str) -> str:
    """A parameter's name, percent-decoded and in lower case."""
    for _ in range(_NESTED):
        if "%" not in name and "+" not in name:
            break
        name = unquote_plus(name)
    return name.lower()


def _is_cut_userinfo(parts: SplitResult) -> bool:
    """Whether a URL with an ``@`` behind its host has userinfo that a parser cuts in two.

    A ``/``, ``?`` or ``#`` in a password does that, or a missing slash before it.
    """
    if not parts.netloc:
        return bool(parts.scheme)
    port = parts.netloc.rpartition(":")[2] if ":" in parts.netloc else ""
    return bool(port) and not port.isdecimal() and not port.endswith("]")


def _members(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """The names and values in a form, or those of texts and numbers in JSON."""
    kind = kind.lower()
    if "json" in kind:
        yield from _members_of_json(json.loads(text) if _is_json(text) else None)
    elif "form-urlencoded" in kind:
        for pair in text.split("&"):
            name, _, value = pair.partition("=")
            yield unquote_plus(name), unquote_plus(value)
    elif "multipart/" in kind:
        yield from (match.groups() for match in _PART.finditer(text))  # type: ignore[misc] # two


def _members_of_json(document: Any) -> Iterator[tuple[str, str]]:
    pending = [("", document)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, dict):
            pending += value.items()
        elif isinstance(value, list):
            # What stands in a list goes by the list's name.
            pending += [(name, item) for item in value]
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield name, str(value)


def cookies_of(jar: Iterable[Any]) -> tuple[str, ...]:
    """The values of a jar's cookies that are worth looking for, a hundred at most."""
    values: list[str] = []
    # A jar of the user's may be anything.
    with suppress(Exception):
        for cookie in itertools.islice(jar, _MOST_GIVEN):
            values += {cookie.value, cookie.value.strip('"')}
    return tuple(value for value in values if len(value) >= _DISTINCTIVE)


def _cookies_in(header: str) -> list[str]:
    """The values in a Set-Cookie header, or in several that `requests` has joined by commas."""
    found: list[str] = []
    for part in re.split("[;,]", header):
        name, _, value = part.partition("=")
        if name.strip().lower() not in _COOKIE_ATTRIBUTES:
            found += (value.strip(), value.strip().strip('"'), unquote(value.strip()))
    return found


def _credentials_in(name: str, value: str) -> set[str]:
    """The secrets in a header's value: the whole, the part behind a scheme, the decoded pair."""
    found = {value}
    if "cookie" in name.lower():
        found.update(pair.partition("=")[2].strip() for pair in value.split(";"))
        return found
    scheme, _, rest = value.partition(" ")
    if rest:
        found.add(rest.strip())
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(rest.strip(), validate=True)
        except (binascii.Error, ValueError):
            return found
        for encoding in ("utf-8", "latin-1"):
            try:
                pair = decoded.decode(encoding)
            except UnicodeDecodeError:
                continue
            found.update((pair, *pair.split(":", 1)))
    return found


DEFAULT = Redaction()
"""What is redacted when the user adds nothing."""


def checked(redaction: Any) -> Redaction:
    """The redaction that a user gives, or the default.

    :raises ConfigurationError: when it is none
    """
    if redaction is not None and not isinstance(redaction, Redaction):
        msg = f"redaction must be a Redaction, not {type(redaction).__name__}"
        raise ConfigurationError(msg)
    return DEFAULT if redaction is None else redaction
