"""What `ssl` itself leaves open, on the Pythons that do (gh-113280).

There a socket whose peer is gone before the handshake is dropped, not closed. Whoever plays hosts
that go away must not take that for a socket of ours.
"""

from __future__ import annotations

import sys
from typing import Final

_DOES: Final = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)

LEFT_OPEN_BY_SSL: Final = tuple(
    f"ignore:unclosed <{kind}:ResourceWarning"
    for kind in ("ssl.SSLSocket", "sleepwalker.connection._wire._sockets._Handshaking")
    if _DOES
)
"""Filters of warnings, as Python's `-W` and pytest take them."""
