"""Resolving references, and one text for all spellings of a URL.

Rules:

1. What is plain already (no percent-encoding, no dot segment, nothing that is to be encoded) is
   told at a glance: a traversal asks several times for each of its URLs.
2. What isn't is left to the libraries, of which the short ways give the very results.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urldefrag, urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sleepwalker.auth import DEFAULT_PORTS

# Nothing that a reader of URLs changes: segments that are not empty and begin with no dot. No two
# parts may match the same text: hostile URLs must not make this slow.
_PATH = r"(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9_~!$&'()*+,=:@.-]*)*/?"
_QUERY = r"\?[A-Za-z0-9_~!$&'()*+,=:@./?;-]+"
_PLAIN = re.compile(rf"(https?://[A-Za-z0-9.-]+(?::[0-9]+)?)({_PATH}(?:{_QUERY})?)")
_PLAIN_PATH = re.compile(rf"{_PATH}(?:{_QUERY})?")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_START = re.compile(r"https?://[A-Za-z0-9.:-]+(?=[/?#]|\Z)")


def joined(base: str, reference: str) -> str:
    """The absolute URL of a reference, without a fragment (RFC 3986, section 5).

    :raises ValueError: when it can't be understood
    """
    url = absolute(base, reference)
    return urldefrag(url).url if "#" in url else url


def absolute(base: str, reference: str) -> str:
    """The absolute URL of a reference, with its fragment.

    :raises ValueError: when it can't be understood
    """
    if reference.startswith("/"):
        start = _START.match(base)
        if start is not None and _PLAIN_PATH.fullmatch(reference) is not None:
            return f"{start.group()}{reference}"
    elif _PLAIN.fullmatch(reference) is not None:
        return reference
    return urljoin(base, reference)


def canonical(url: str) -> str:
    """The URL without its fragment, normalised as RFC 3986 says (section 6.2.2 and 6.2.3).

    Case of scheme and host, default port, dot segments, empty path, and percent-encodings: their
    case, what needs none, and what does. What is no absolute URL only loses its fragment.
    """
    plain = _PLAIN.fullmatch(url)
    start = None if plain is None else _start(plain[1])
    if plain is None or start is None:
        try:
            without = urldefrag(url).url
        except ValueError:
            return url.partition("#")[0]
        return _normalised(without) or without
    rest = plain[2]
    return f"{start}{rest}" if rest.startswith("/") else f"{start}/{rest}"


@lru_cache(maxsize=1024)
def _start(start: str) -> str | None:
    found = _normalised(start)
    return None if found is None else found.removesuffix("/")


def _normalised(url: str) -> str | None:
    try:
        # First: what comes of it may be a dot.
        parts = parse_url(_ENCODED.sub(_decoded, url))
    except LocationParseError:
        return None
    if not parts.scheme or not parts.host:
        return None
    scheme = parts.scheme.lower()
    port = None if parts.port == DEFAULT_PORTS.get(scheme) else parts.port
    return parts._replace(
        scheme=scheme, host=parts.host.lower(), port=port, path=parts.path or "/"
    ).url


def _decoded(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char.isascii() and (char.isalnum() or char in "-._~") else match[0].upper()
