"""What the formats have in common: reading JSON that may not be as it should."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sleepwalker.links._link import CONTROL
from sleepwalker.links._urls import absolute

if TYPE_CHECKING:
    from collections.abc import Iterator


OBJECT = (dict, Mapping)
"""What a JSON object is read as: nearly always the first, which is found sooner."""


def members(data: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The members of an object that is a member of another; none, if there is no such thing."""
    inner = data.get(name) if isinstance(data, OBJECT) else None
    if isinstance(inner, OBJECT):
        yield from inner.items()


def several(value: Any) -> list[Any]:
    """An array's values, or the value that stands in an array's place; nothing for null."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def text(value: Any, name: str) -> str | None:
    """A member of an object that is to be text; `None` where it isn't."""
    found = value.get(name) if isinstance(value, OBJECT) else None
    return found if isinstance(found, str) else None


def resolved(base: str, href: str | None) -> str | None:
    """The absolute URL of a reference; `None` where none comes of it."""
    if href is None or CONTROL.search(href):
        return None
    try:
        return absolute(base, href.strip(" "))
    except ValueError:
        return None
