"""One text for all spellings of a URL: what a traversal and pages know a resource by."""

from __future__ import annotations

from urllib.parse import urldefrag

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sleepwalker.auth import DEFAULT_PORTS


def canonical(url: str) -> str:
    """The URL without its fragment, normalised as RFC 3986 says (section 6.2.2 and 6.2.3).

    Case of scheme and host, default port, dot segments, empty path, case of percent-encodings; a
    query stays as it is.
    """
    plain = urldefrag(url).url
    try:
        parts = parse_url(plain)
    except LocationParseError:
        return plain
    scheme = (parts.scheme or "").lower()
    port = None if parts.port == DEFAULT_PORTS.get(scheme) else parts.port
    return parts._replace(
        scheme=scheme, host=(parts.host or "").lower(), port=port, path=parts.path or "/"
    ).url
