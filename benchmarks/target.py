"""What is asked for, and how: the same for every client, in whatever process it is."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Self

from benchmarks.server import PATH


class Target(NamedTuple):
    """A document, the connections that it comes by, and how many ask for it at once."""

    origin: str
    path: str = PATH
    bundle: str | None = None
    """The file of the authority to trust, for https."""
    fresh: bool = False
    """Whether each request opens a connection."""
    threads: int = 1
    """How many ask at once."""

    @property
    def url(self) -> str:
        """The document's."""
        return self.origin + self.path

    @property
    def headers(self) -> dict[str, str]:
        """What each request says beside what its client says anyway."""
        return {"Connection": "close"} if self.fresh else {}

    @property
    def verify(self) -> str | bool:
        """What clients like `requests` take as `verify=`."""
        return self.bundle or True

    def line(self) -> str:
        """It, as text for another process."""
        return json.dumps(self)

    @classmethod
    def of_line(cls, line: str) -> Self:
        """It, from such a text."""
        return cls(*json.loads(line))


def dress(session: Any, target: Target) -> None:
    """Give a session (of `requests`, or one that is like it) what the target asks for."""
    session.headers.update(target.headers)
    session.verify = target.verify
