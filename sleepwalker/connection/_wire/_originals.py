"""Whether the functions that a shorter way goes past are still those of `requests` and below.

Rules:

1. Who has put another function in the place of one of theirs is called, whenever that was done:
   before we were imported too.
2. It is asked at every request, so that what is put back counts as well.
"""

from __future__ import annotations

from types import FunctionType, MethodDescriptorType
from typing import Any, Final

THEIRS: Final = frozenset({"requests", "urllib3", "http", "socket", "_socket", "ssl"})
"""Packages."""


class Originals:
    """Functions of theirs.

    :param places: what each is looked for in, and under which name
    """

    __slots__ = ("_places",)

    def __init__(self, *places: tuple[Any, str]) -> None:
        self._places = [(owner, name, _original(owner, name)) for owner, name in places]

    def are_there(self) -> bool:
        """Whether all of them are where they belong."""
        for owner, name, function in self._places:  # noqa: SIM110 - takes half the time of `all`
            if getattr(owner, name, None) is not function:
                return False
        return True


def _original(owner: Any, name: str) -> Any:
    """The function that is there; one of somebody else's is not found again."""
    found = getattr(owner, name, None)
    # What wraps another passes for it in all but its type and, if it is a function, its globals.
    if type(found) is FunctionType:
        home = str(found.__globals__.get("__name__"))
    elif type(found) is MethodDescriptorType:
        home = found.__objclass__.__module__
    else:
        home = ""
    if home.partition(".")[0] in THEIRS:
        return found
    return object()
