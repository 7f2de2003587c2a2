"""What a connection's host name means: its origin, its base path, and the URL of a URI on it.

Rules:

1. An origin is (scheme, host, port) with the scheme's default port filled in, lower case, IDNA.
2. A URI never leads to another origin: an absolute URL of another one is refused, and so is
   anything that only a URL parser could take for an authority.
3. No error shows userinfo or a query, a path as it is where the user's redaction rewrites it, or
   what isn't a number in the place of a port.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sleepwalker.auth import DEFAULT_PORTS
from sleepwalker.exceptions import CrossOriginError, URLError
from sleepwalker.observability.redaction import DEFAULT as REDACTION
from sleepwalker.observability.redaction import REDACTED

if TYPE_CHECKING:
    from sleepwalker.observability.redaction import Redaction

_URL_LIKE = re.compile(r"https?://", re.IGNORECASE)
_START = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# No part of it may match what another does: hostile URLs must not make this slow.
_PORT = re.compile(
    r"((?:://|^(?![A-Za-z][A-Za-z0-9+.-]*://))(?:[^/\]]*\])?[^/\]:]*:)"
    r"(?!\d*(?:/|$))[^/\]]+(?=/|$)"
)
"""What stands in a port's place and is none, in a URL or in a name whose scheme was forgotten."""


_NAME = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=-]+")
"""What a host name is made of once IDNA has encoded it (RFC 3986, section 3.2.2, but for what is
percent-encoded)."""
LONGEST_NAME = 255
"""Characters of a host name (RFC 1035, section 2.3.4)."""


class Origin(NamedTuple):
    """Scheme, host and port: what a credential is for."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        if self.port == DEFAULT_PORTS[self.scheme]:
            return f"{self.scheme}://{self.host}"
        return f"{self.scheme}://{self.host}:{self.port}"


class Base(NamedTuple):
    """A host name as a connection uses it."""

    text: str
    """As given, with the port joined."""
    origin: Origin
    path: str
    """The base path, without a slash at its end: ``""`` or ``/api/v1``."""
    prefix: str
    """What stands before the path of every URL: the text up to there."""

    @property
    def canonical(self) -> str:
        """One text for all spellings of the same origin and base path."""
        return f"{self.origin}{self.path}"

    def shown(self, redaction: Redaction) -> str:
        """The same, as it may be shown."""
        return redaction.url(self.canonical)

    def url(self, uri: str, redaction: Redaction = REDACTION) -> str:
        """The fully qualified URL for a URI.

        :param redaction: for what an error shows
        :raises CrossOriginError: for an absolute URL of another origin, or ``//host``
        :raises URLError: for what is no URI
        """
        if not isinstance(uri, str):
            msg = f"a URI must be text, not {type(uri).__name__}"
            raise URLError(msg)
        if uri.startswith(("//", "\\", "/\\")):
            msg = (
                f"{_shown(uri, redaction)} names a host of its own; "
                f"this connection is to {self.shown(redaction)}"
            )
            raise CrossOriginError(msg)
        if _ABSOLUTE.match(uri.lstrip()):
            return self._absolute(uri.strip(), redaction)
        if _CONTROL.search(uri):
            msg = f"{_shown(uri, redaction)}: a URI can't have control characters"
            raise URLError(msg)
        if not uri or uri[0] in "?#":
            return f"{self.prefix}{self.path or '/'}{uri}"
        return f"{self.prefix}{self.path}{'' if uri[0] == '/' else '/'}{uri}"

    def _absolute(self, uri: str, redaction: Redaction) -> str:
        if not _URL_LIKE.match(uri):
            msg = (
                f"{_shown(uri, redaction)} has a scheme of its own; "
                f"this connection is to {self.shown(redaction)} "
                "(write ./a:b or /a:b for a path with a colon)"
            )
            raise CrossOriginError(msg)
        origin = origin_of(uri, redaction)
        if origin != self.origin:
            msg = (
                f"{_shown(uri, redaction)} is of another origin ({origin}) than this connection "
                f"({self.origin}); find a connection to that host instead"
            )
            raise CrossOriginError(msg)
        return uri


def is_url_like(host: object) -> bool:
    """Whether a host is meant as a URL (and not as an opaque name)."""
    return isinstance(host, str) and _URL_LIKE.match(host) is not None


def parse_origin(url: str, redaction: Redaction = REDACTION) -> tuple[Origin, str]:
    """The origin and path of an http or https URL.

    :param redaction: for what an error shows
    :raises URLError: when it is none, or has userinfo in it
    """
    # The path is whoever sends it to encode, as that of a URI without a host is.
    authority = re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if _CONTROL.search(url) or " " in authority or "\\" in authority:
        raise _unsafe(url, redaction)
    parsed = None
    with suppress(LocationParseError):
        parsed = parse_url(url)
    if parsed is None:
        msg = (
            f"{_shown(url, redaction)} is no URL that can be understood "
            "(its host or port is malformed)"
        )
        raise URLError(msg)
    scheme = (parsed.scheme or "").lower()
    if scheme not in DEFAULT_PORTS:
        msg = f"{_shown(url, redaction)}: the scheme must be https:// or http://"
        raise URLError(msg)
    if parsed.auth is not None or "@" in authority:
        msg = (
            f"{_shown(url, redaction)}: userinfo doesn't belong in a URL; "
            "pass it as auth=(user, password)"
        )
        raise URLError(msg)
    host = parsed.host
    if not host or host.startswith((".", "*")) or host == "[]":
        msg = f"{_shown(url, redaction)}: there is no host name in it"
        raise URLError(msg)
    if not host.startswith("[") and ("%" in authority or not _NAME.fullmatch(host)):
        # What is percent-encoded here is decoded by some layers below and not by others, each by
        # its version: it could be judged as one host and connected to as another.
        raise URLError(f"{_shown(url, redaction)}: a host name can't have such characters, nor %")
    if len(host) > LONGEST_NAME:
        msg = f"a host name of more than {LONGEST_NAME} characters is none"
        raise URLError(msg)
    if parsed.port == 0:
        msg = f"{_shown(url, redaction)}: 0 is no port to connect to"
        raise URLError(msg)
    port = parsed.port if parsed.port is not None else DEFAULT_PORTS[scheme]
    return Origin(scheme, host.lower(), port), parsed.path or ""


def origin_of(url: str, redaction: Redaction = REDACTION) -> Origin:
    """The origin of an http or https URL, of which few are asked for again and again.

    :param redaction: for what an error shows
    :raises URLError: when it is none, or has userinfo in it
    """
    start = _START.match(url)
    if start is None or _CONTROL.search(url):
        return parse_origin(url, redaction)[0]
    try:
        return _origin_at(start.group())
    except URLError:
        # The error is about the whole of it.
        return parse_origin(url, redaction)[0]


@lru_cache(maxsize=1024)
def _origin_at(start: str) -> Origin:
    return parse_origin(start)[0]


def parse_base(hostname: object, port: object = None, redaction: Redaction = REDACTION) -> Base:
    """Understand a host name as `Connection` takes it.

    :param hostname: scheme, host, maybe port and base path
    :param port: an int or a numeric text; must agree with one in `hostname`
    :param redaction: for what an error shows
    :raises URLError: when it can't be used, saying why
    """
    if port is not None or type(hostname) is not str:
        return _parse_base(hostname, port, redaction)
    try:
        return _base_of(hostname)
    except URLError:
        # With the asker's own redaction.
        return _parse_base(hostname, port, redaction)


@lru_cache(maxsize=1024)
def _base_of(hostname: str) -> Base:
    return _parse_base(hostname, None, REDACTION)


def _parse_base(hostname: object, port: object, redaction: Redaction) -> Base:
    if not isinstance(hostname, str):
        msg = f"hostname must be text such as 'https://host.com', not {type(hostname).__name__}"
        raise URLError(msg)
    if not _ABSOLUTE.match(hostname) or "://" not in hostname:
        msg = f"{_shown(hostname, redaction)}: the scheme must be there, https:// or http://"
        raise URLError(msg)
    if " " in hostname or "\\" in hostname:
        raise _unsafe(hostname, redaction)
    origin, path = parse_origin(hostname, redaction)
    rest = hostname.partition("://")[2]
    for mark, name in (("?", "a query"), ("#", "a fragment")):
        if mark in rest:
            msg = f"{_shown(hostname, redaction)}: {name} doesn't belong in a host name"
            raise URLError(msg)
    text = hostname
    netloc, slash, base = rest.partition("/")
    if port is not None:
        number = _port(port)
        explicit = urlsplit(hostname).port
        if explicit is None:
            netloc = f"{netloc.removesuffix(':')}:{number}"
            text = f"{hostname.partition('://')[0]}://{netloc}{slash}{base}"
            origin = origin._replace(port=number)
        elif explicit != number:
            msg = f"{_shown(hostname, redaction)} and port={number} disagree; give one of them"
            raise URLError(msg)
    return Base(text, origin, path.rstrip("/"), f"{hostname.partition('://')[0]}://{netloc}")


def _unsafe(url: str, redaction: Redaction) -> URLError:
    return URLError(
        f"{_shown(url, redaction)}: a URL can't have spaces, control characters or backslashes"
    )


def _port(port: object) -> int:
    if isinstance(port, str) and port.isascii() and port.strip().isdecimal() and len(port) < 9:
        port = int(port)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        # Other text is not shown: a password, given in the port's place.
        number = isinstance(port, int) or (isinstance(port, str) and port.isdecimal())
        given = repr(str(port)[:20]) if number else f"a {type(port).__name__}"
        msg = f"port must be a number from 1 to 65535, not {given}"
        raise URLError(msg)
    return port


def _shown(text: str, redaction: Redaction) -> str:
    """A URL for an error's message: no userinfo, no secret in its query, no control characters."""
    # What stands before an @ may be userinfo, however broken the URL is around it; and everything
    # behind the ? goes: what can't be parsed can't be redacted by name either.
    head, separator, rest = text.partition("://")
    if "@" in text:
        head, rest = (head if separator else ""), f"{REDACTED}@{text.rpartition('@')[2]}"
    shown = f"{head}{separator}{rest}".partition("?")[0].partition("#")[0]
    shown = _PORT.sub(rf"\g<1>{REDACTED}", shown)
    return repr(redaction.text(redaction.url(shown), rewritten=True))


def hint_for_name(name: str) -> str:
    """What to say of an opaque name that looks like a URL whose scheme was forgotten."""
    if "://" in name or not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?(/\S*)?", name):
        return ""
    return f"; without a scheme it is an opaque name: did you mean https://{name}?"


def shown_name(name: str, redaction: Redaction = REDACTION) -> str:
    """An opaque host name as it may be shown: what stands before an @ is taken for userinfo."""
    if "://" not in name:
        name = name.rpartition("@")[2]
    return redaction.text(name)
