"""What a connection's host name means: its origin, its base path, and the URL of a URI on it.

Rules:

1. An origin is (scheme, host, port) with the scheme's default port filled in, lower case, IDNA.
2. A URI never leads to another origin: an absolute URL of another one is refused, and so is
   anything that only a URL parser could take for an authority.
3. No error shows userinfo or a query.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sleepwalker.auth import DEFAULT_PORTS
from sleepwalker.exceptions import CrossOriginError, URLError
from sleepwalker.observability.redaction import DEFAULT as REDACTION
from sleepwalker.observability.redaction import REDACTED

_URL_LIKE = re.compile(r"https?://", re.IGNORECASE)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


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

    def url(self, uri: str) -> str:
        """The fully qualified URL for a URI.

        :raises CrossOriginError: for an absolute URL of another origin, or ``//host``
        :raises URLError: for what is no URI
        """
        if not isinstance(uri, str):
            msg = f"a URI must be text, not {type(uri).__name__}"
            raise URLError(msg)
        if uri.startswith(("//", "\\", "/\\")):
            msg = f"{_shown(uri)} names a host of its own; this connection is to {self.canonical}"
            raise CrossOriginError(msg)
        if _ABSOLUTE.match(uri.lstrip()):
            return self._absolute(uri.strip())
        if not uri or uri[0] in "?#":
            return f"{self.prefix}{self.path or '/'}{uri}"
        return f"{self.prefix}{self.path}{'' if uri[0] == '/' else '/'}{uri}"

    def _absolute(self, uri: str) -> str:
        if not _URL_LIKE.match(uri):
            msg = (
                f"{_shown(uri)} has a scheme of its own; this connection is to {self.canonical} "
                "(write ./a:b or /a:b for a path with a colon)"
            )
            raise CrossOriginError(msg)
        origin, _path = parse_origin(uri)
        if origin != self.origin:
            msg = (
                f"{_shown(uri)} is of another origin ({origin}) than this connection "
                f"({self.origin}); find a connection to that host instead"
            )
            raise CrossOriginError(msg)
        return uri


def is_url_like(host: object) -> bool:
    """Whether a host is meant as a URL (and not as an opaque name)."""
    return isinstance(host, str) and _URL_LIKE.match(host) is not None


def parse_origin(url: str) -> tuple[Origin, str]:
    """The origin and path of an http or https URL.

    :raises URLError: when it is none, or has userinfo in it
    """
    if _CONTROL.search(url) or "\\" in url:
        msg = f"{_shown(url)}: a URL can't have spaces, control characters or backslashes"
        raise URLError(msg)
    parsed = None
    with suppress(LocationParseError):
        parsed = parse_url(url)
    if parsed is None:
        msg = f"{_shown(url)} is no URL that can be understood (its host or port is malformed)"
        raise URLError(msg)
    scheme = (parsed.scheme or "").lower()
    if scheme not in DEFAULT_PORTS:
        msg = f"{_shown(url)}: the scheme must be https:// or http://"
        raise URLError(msg)
    if parsed.auth is not None:
        msg = f"{_shown(url)}: userinfo doesn't belong in a URL; pass it as auth=(user, password)"
        raise URLError(msg)
    host = parsed.host
    if not host or host.startswith((".", "*")) or host == "[]":
        msg = f"{_shown(url)}: there is no host name in it"
        raise URLError(msg)
    if parsed.port == 0:
        msg = f"{_shown(url)}: 0 is no port to connect to"
        raise URLError(msg)
    port = parsed.port if parsed.port is not None else DEFAULT_PORTS[scheme]
    return Origin(scheme, host.lower(), port), parsed.path or ""


def parse_base(hostname: object, port: object = None) -> Base:
    """Understand a host name as `Connection` takes it.

    :param hostname: scheme, host, maybe port and base path
    :param port: an int or a numeric text; must agree with one in `hostname`
    :raises URLError: when it can't be used, saying why
    """
    if not isinstance(hostname, str):
        msg = f"hostname must be text such as 'https://host.com', not {type(hostname).__name__}"
        raise URLError(msg)
    if not _ABSOLUTE.match(hostname) or "://" not in hostname:
        msg = f"{_shown(hostname)}: the scheme must be there, https:// or http://"
        raise URLError(msg)
    origin, path = parse_origin(hostname)
    rest = hostname.partition("://")[2]
    for mark, name in (("?", "a query"), ("#", "a fragment")):
        if mark in rest:
            msg = f"{_shown(hostname)}: {name} doesn't belong in a host name"
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
            msg = f"{_shown(hostname)} and port={number} disagree; give one of them"
            raise URLError(msg)
    return Base(text, origin, path.rstrip("/"), f"{hostname.partition('://')[0]}://{netloc}")


def _port(port: object) -> int:
    if isinstance(port, str) and port.isascii() and port.strip().isdecimal() and len(port) < 9:
        port = int(port)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        msg = f"port must be a number from 1 to 65535, not {str(port)[:20]!r}"
        raise URLError(msg)
    return port


def _shown(text: str) -> str:
    """A URL for an error's message: no userinfo, no secret in its query, no control characters."""
    # What stands before an @ may be userinfo, however broken the URL is around it; and everything
    # behind the ? goes: what can't be parsed can't be redacted by name either.
    head, separator, rest = text.partition("://")
    if "@" in text:
        head, rest = (head if separator else ""), f"{REDACTED}@{text.rpartition('@')[2]}"
    shown = f"{head}{separator}{rest}".partition("?")[0].partition("#")[0]
    return repr(REDACTION.text(shown))


def hint_for_name(name: str) -> str:
    """What to say of an opaque name that looks like a URL whose scheme was forgotten."""
    if "://" in name or not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?(/\S*)?", name):
        return ""
    return f"; without a scheme it is an opaque name: did you mean https://{name}?"


def shown_name(name: str) -> str:
    """An opaque host name as it may be shown: what stands before an @ is taken for userinfo."""
    if "://" not in name:
        name = name.rpartition("@")[2]
    return REDACTION.text(name)
