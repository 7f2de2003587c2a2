"""Texts that others wrote, made fit to be shown: nothing in them steers the terminal."""

from __future__ import annotations

import re

from sleepwalker.observability.redaction import REDACTED

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]"
)
"""Control characters but for tab and newline, and those that turn the direction of writing."""


_USERINFO = re.compile(
    r"^(\s*(?:(?:[a-z][a-z0-9+.-]*:)?[/\\]{2,}|https?:[/\\]?))[^/?#]*@", re.IGNORECASE
)
"""The user name and password of a URL, however badly it is written."""


def has_userinfo(url: str) -> bool:
    """Whether there is a user name or password in a URL."""
    return _USERINFO.search(url) is not None


def without_userinfo(url: str) -> str:
    """The URL without user name and password."""
    return _USERINFO.sub(rf"\1{REDACTED}@", url)


def harmless(text: str) -> str:
    """The text with what steers a terminal written out, as JSON writes it."""
    return _STEERING.sub(lambda found: f"\\u{ord(found.group()):04x}", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same on one line."""
    return harmless(" ".join(text.split()))
