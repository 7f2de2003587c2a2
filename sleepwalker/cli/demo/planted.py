"""The secrets planted in the demo, and finding them where they don't belong.

Rules:

1. Every secret belongs to one host and is of one kind: a credential, a cookie, a custom header of
   each request, or a header that a caller gives for one call.
2. Every secret holds its host's and kind's marker, so that looking for a few markers finds all of
   them, those too that are made while the demo runs (tokens, cookies).
3. A pair of user and password is looked for in its Basic form too, which hides the markers.
"""

from __future__ import annotations

import base64
import secrets
import threading
from typing import NamedTuple

CREDENTIAL = "credential"
COOKIE = "cookie"
HEADER = "custom header"
"""One that goes with all that a connection sends."""
CALLERS = "caller's header"
"""One that a caller gives for a call, and that goes along when links are followed from there."""

KINDS = (CREDENTIAL, COOKIE, HEADER, CALLERS)


class Owned(NamedTuple):
    """Whose secret, and of which kind."""

    owner: str
    kind: str


class Planted:
    """All secrets of one run.

    :param owners: the hosts' names
    """

    def __init__(self, *owners: str) -> None:
        self._lock = threading.Lock()
        self._needles: dict[str, Owned] = {}
        self._markers: dict[Owned, str] = {}
        for owner in owners:
            for kind in KINDS:
                marker = f"{owner[:2]}{kind[:2]}{secrets.token_hex(8)}"
                self._markers[Owned(owner, kind)] = marker
                self._needles[marker] = Owned(owner, kind)

    def new(self, owner: str, kind: str) -> str:
        """A new secret of a host's, safe in a header, a cookie and a URL."""
        return f"{self._markers[Owned(owner, kind)]}{secrets.token_hex(4)}"

    def new_pair(self, owner: str) -> tuple[str, str]:
        """A new user and password of a host's; the user name is as secret as the password."""
        user, password = self.new(owner, CREDENTIAL), self.new(owner, CREDENTIAL)
        with self._lock:
            needles = dict(self._needles)
            needles[basic(user, password)] = Owned(owner, CREDENTIAL)
            self._needles = needles
        return user, password

    def found_in(self, text: str) -> set[Owned]:
        """Whose secrets of which kinds stand in a text."""
        return {owned for needle, owned in self._needles.items() if needle in text}

    @property
    def needles(self) -> tuple[str, ...]:
        """The texts that are looked for; one of them is in every secret."""
        return tuple(self._needles)


def basic(user: str, password: str) -> str:
    """A user and password as Basic authentication sends them."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()
