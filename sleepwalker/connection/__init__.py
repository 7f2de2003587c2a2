"""Connections to remote machines, and the manager that holds one for each (host, auth) pair.

`Connection` handles authentication and communication to one remote machine; `ConnectionManager`
calls registered `ConnectionHook`s to establish one for each (host, auth) pair.
"""

# The errors stand here too because sleepwalker 2.0's `connection` module had them.
from sleepwalker.exceptions import ConnectionError as ConnectionError
from sleepwalker.exceptions import HTTPError as HTTPError
from sleepwalker.exceptions import URLError as URLError

from ._connection import Connection
from ._guard import AddressGuard
from ._hook import ConnectionHook, DirectHook, HookOutcome
from ._manager import ConnectionManager, ResetReport

__all__ = [
    "AddressGuard",
    "Connection",
    "ConnectionHook",
    "ConnectionManager",
    "DirectHook",
    "HookOutcome",
    "ResetReport",
]
