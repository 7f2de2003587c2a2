"""The one place that touches `requests`' adapters and `urllib3`'s pools and sockets.

- `_watch`: who follows a request to the wire, and what is known of it there
- `_originals`: whether what is gone past is what `requests` and urllib3 have made
- `_fields`: headers
- `_making`: requests of the usual kind
- `_shortcut`: the usual exchange, straight through a socket that stands
- `_message`, `_reading`, `_reply`: what it writes, what it reads, and the response made of that
- `_environment`: whether it names a proxy
- `_answer`: an answer's status line and headers
- `_limits`: how much of them there may be
- `_content`: an answer's body: bounded, and with errors of our tree
- `_inflating`: gzip and deflate, undone to their end
- `_resolving`: the addresses of a host
- `_pacing`, `_writing`: reading and writing in the time that is left
- `_sockets`: one connection: connecting, sending, age, forks
- `_socket_pools`: the idle ones of a host
- `_adapter`: what `requests` sends through
- `_session`, `_jar`: the `requests.Session` over it, and its cookies
- `_logs`: what urllib3 logs of a request of ours
- `_between`: what a test puts between the two

Rules:

1. urllib3 retries nothing: exactly one layer does, and it is not this one.
2. Whether we had begun to write a request is a fact that is recorded here, at the first byte.
3. A socket that was idle for `IDLE` seconds, or is older than about `AGE`, is not used again, so
   that changes in DNS are seen.
4. Only public seams: adapter methods made for overriding, `pool_classes_by_scheme`,
   `ConnectionCls`, `QueueCls`, `response_class`, a connection's `sock`, `host`, `port`, `timeout`,
   `ssl_context` and `is_connected`, a context's `sslsocket_class`, a TLS socket's
   `suppress_ragged_eofs`, and the queue of idle sockets. Three that are not: the jar that a
   `PreparedRequest` and the body that a `Response` keeps, which tests compare with what `requests`
   puts there, and the names in `os.environ` as the system has them, with a longer way where they
   are not there. What is only looked at (`_originals`) may have any name.
5. Nothing waits longer than the call's pace says: not the resolver, an address, a handshake, a
   read or a write.
6. After a fork, the child can't read or write its parent's sockets, and has new queues.
"""

from ._adapter import Adapter
from ._between import between
from ._content import Content, bounded
from ._fields import Fields
from ._limits import TooMuch
from ._reply import Reply, version_of
from ._session import Session
from ._socket_pools import PlainPool, TLSPool
from ._sockets import IDLE, PlainSocket, TLSSocket
from ._watch import Exchange, Pace, Watch, current, watching

__all__ = [
    "IDLE",
    "Adapter",
    "Content",
    "Exchange",
    "Fields",
    "Pace",
    "PlainPool",
    "PlainSocket",
    "Reply",
    "Session",
    "TLSPool",
    "TLSSocket",
    "TooMuch",
    "Watch",
    "between",
    "bounded",
    "current",
    "version_of",
    "watching",
]
