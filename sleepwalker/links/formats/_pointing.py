"""JSON Pointers (RFC 6901), and the relative ones that JSON Hyper-Schema has beside them.

`jsonpointer` reads their syntax. It is not asked to follow them: of the releases that we run with
some go into texts as if they were arrays, and all write the whole document into the error about
what isn't there.

Rules:

1. What is no pointer is the caller's mistake, and told when it is given.
2. What a pointer doesn't find is `MISSING`: no error, and not null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from jsonpointer import JsonPointer, JsonPointerException

from sleepwalker.exceptions import ConfigurationError


class _Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What a pointer finds where there is nothing."""

Path = tuple[str | int, ...]
"""The way from a document's root to a value: names of members, and indexes."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")
_RELATIVE = re.compile(r"(0|[1-9][0-9]{0,8})(#|(?:/.*)?)", re.DOTALL)


class Pointer(NamedTuple):
    """A pointer that is understood.

    :ivar parts: the names that it goes through, without their escapes
    :ivar up: how many levels it goes up first; `None`: it starts at the root
    :ivar names: whether it stands for the name or index of the place rather than for its value
    """

    parts: tuple[str, ...]
    up: int | None = None
    names: bool = False

    def found(self, document: Any, at: Path = ()) -> Any:
        """What it leads to, or `MISSING`.

        :param at: where a relative one starts
        """
        path = self._start(at)
        if path is None:
            return MISSING
        if self.names:
            return path[-1] if path else MISSING
        value = value_at(document, path)
        for part in self.parts:
            value = member(value, part)
        return value

    def path(self, document: Any, at: Path = ()) -> Path | None:
        """The way to what it leads to; `None` where there is nothing."""
        path = self._start(at)
        if path is None or self.names:
            return None
        value = value_at(document, path)
        for part in self.parts:
            step = part if isinstance(value, Mapping) else _index(part)
            value = member(value, part)
            if value is MISSING or step is None:
                return None
            path = (*path, step)
        return path

    def _start(self, at: Path) -> Path | None:
        if self.up is None:
            return ()
        return at[: len(at) - self.up] if self.up <= len(at) else None


def pointer(text: Any, where: str) -> Pointer:
    """Understand a JSON Pointer.

    :param where: it stands, for the error
    :raises ConfigurationError: when it is none
    """
    if isinstance(text, str):
        try:
            return Pointer(tuple(JsonPointer(text).parts))
        except JsonPointerException:
            pass
    msg = f"{where} must be a JSON Pointer such as '/author/href', not {text!r}"
    raise ConfigurationError(msg)


def pointer_or_relative(text: Any, where: str) -> Pointer:
    """Understand a JSON Pointer, or a relative one (draft-handrews-relative-json-pointer-02).

    :raises ConfigurationError: when it is neither
    """
    relative = _RELATIVE.fullmatch(text) if isinstance(text, str) else None
    if relative is None:
        return pointer(text, where)
    up, rest = relative.groups()
    if rest == "#":
        return Pointer((), int(up), names=True)
    return pointer(rest, where)._replace(up=int(up))


def written(path: Path) -> str:
    """A path as a JSON Pointer."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def value_at(document: Any, path: Path) -> Any:
    """What a path leads to, or `MISSING`."""
    for part in path:
        document = member(document, str(part))
    return document


def member(value: Any, part: str) -> Any:
    """What one part of a pointer leads to, or `MISSING`."""
    if isinstance(value, Mapping):
        return value.get(part, MISSING)
    index = _index(part)
    # "-" is the element behind the last one, which is never there.
    if index is not None and is_array(value) and index < len(value):
        return value[index]
    return MISSING


def _index(part: str) -> int | None:
    return int(part) if _INDEX.fullmatch(part) else None


def is_array(value: Any) -> bool:
    """Whether a value is what JSON calls an array."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
