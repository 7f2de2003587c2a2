"""Methods and headers: checked before they are sent, with errors that never show a value."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from email.message import Message
from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import ConfigurationError, HeaderError

from ._wire import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DESCRIBING = ("content-", "date", "host", "transfer-encoding", "accept")
"""How headers begin that say nothing secret, whoever has put them there."""
SHORTEST = 8
"""Characters: shorter values, such as a version, would be found everywhere."""
_VALUE = re.compile(r"[^\x00\r\n]*")


def is_name(text: str) -> bool:
    """Whether a text can be the name of a header (RFC 9110, section 5.1)."""
    return _TOKEN.fullmatch(text) is not None


def checked_method(method: object) -> str:
    """The method in upper case.

    :raises ConfigurationError: when it is no HTTP method, or CONNECT, after which a socket carries
        requests no more
    """
    if not isinstance(method, str) or not _TOKEN.fullmatch(method):
        given = "text with other characters" if isinstance(method, str) else type(method).__name__
        msg = f"method must be a name such as 'GET', not {given}"
        raise ConfigurationError(msg)
    if method.upper() == "CONNECT":
        msg = "method CONNECT is for proxies, and made by itself: set them in session.proxies"
        raise ConfigurationError(msg)
    return method.upper()


def shown_method(method: object) -> str:
    """The method as telemetry shows it: nothing that is no method."""
    return method.upper() if isinstance(method, str) and _TOKEN.fullmatch(method) else "_OTHER"


def checked(headers: object, defaults: Mapping[str, str] | None = None) -> Fields:
    """A copy of the headers over defaults; a value of `None` removes one.

    :raises HeaderError: for what can't be sent
    """
    made = Fields(defaults)
    if headers is None:
        return made
    if not isinstance(headers, Mapping):
        msg = f"headers must be a mapping of names to values, not {type(headers).__name__}"
        raise HeaderError(msg)
    for name, value in headers.items():
        if isinstance(name, bytes):
            name = name.decode("latin-1")  # noqa: PLW2901 - the same name, as text
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            msg = "a header's name must be a token such as 'X-Request-Id'"
            raise HeaderError(msg)
        made[name] = None if value is None else checked_value(name, value)
    return made


def checked_value(name: str, value: object) -> str | bytes:
    """A header's value.

    :raises HeaderError: when it can't be sent: no text, a line break, leading space, not Latin-1
    """
    if isinstance(value, bytes):
        text = value.decode("latin-1")
    elif isinstance(value, str):
        text = value
    else:
        msg = f"the value of header {name} must be text, not {type(value).__name__}"
        raise HeaderError(msg)
    if not _VALUE.fullmatch(text) or text[:1] in {" ", "\t"}:
        raise error(f"the value of header {name}")
    if any(character > "\xff" for character in text):
        msg = f"the value of header {name} must be Latin-1 text; encode it as bytes or otherwise"
        raise HeaderError(msg)
    return value


def charset(headers: Mapping[str, str]) -> str | None:
    """The charset that a `Content-Type` names, if it names one."""
    kind = headers.get("Content-Type", "")
    return _charset(kind) if "charset" in kind.lower() else None


@functools.lru_cache(maxsize=256)
def _charset(kind: str) -> str | None:
    message = Message()
    message["Content-Type"] = kind
    named = message.get_content_charset()
    return named if isinstance(named, str) else None


def added(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The values that were put into headers, but for those that describe the request."""
    for name, value in after.items():
        if before.get(name) != value and not name.lower().startswith(_DESCRIBING):
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            # A scheme's name may stand before it.
            yield from (part for part in {text, *text.split()} if len(part) >= SHORTEST)


def error(what: str) -> HeaderError:
    """The error for a header that can't be sent."""
    return HeaderError(f"{what} must not have line breaks, NUL or leading space")
