"""The usual exchange, straight through a socket that stands.

Between a session and its sockets lie `requests`' adapter, urllib3's pool and http.client, each with
what unusual requests and answers need, at every request. Here is the way past them.

Rules:

1. It is taken only as long as all that it goes past is what `requests`, urllib3 and http.client
   have made: whoever patches, mounts or mocks any of it is called.
2. What is written is byte for byte what they would write; what is made of the answer is what they
   would make.
3. What turns out to be unusual, or goes wrong, is handed over to them with what was written and
   read so far: the request is not written twice, and they raise what is to be raised.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from sleepwalker.resilience.clock import SYSTEM

from ._adapter import Adapter
from ._fields import Fields
from ._message import message
from ._originals import Originals
from ._reply import Reply
from ._socket_pools import Held
from ._watch import here

_PASSED = Originals(
    (HTTPAdapter, "send"),
    (HTTPAdapter, "cert_verify"),
    (HTTPAdapter, "add_headers"),
    (HTTPAdapter, "build_response"),
    (HTTPAdapter, "request_url"),
    (requests.adapters, "extract_cookies_to_jar"),
    (requests.adapters, "get_encoding_from_headers"),
    (requests.Response, "__init__"),
    (urllib3.HTTPConnectionPool, "urlopen"),
    (urllib3.HTTPConnectionPool, "_make_request"),
    (urllib3.HTTPConnectionPool, "_get_conn"),
    (urllib3.HTTPConnectionPool, "_put_conn"),
    (urllib3.HTTPConnectionPool, "_validate_conn"),
    (urllib3.HTTPSConnectionPool, "_validate_conn"),
    (urllib3.HTTPResponse, "__init__"),
    (urllib3.HTTPResponse, "read"),
    (urllib3.HTTPResponse, "stream"),
    (urllib3.HTTPResponse, "read_chunked"),
    (urllib3.HTTPResponse, "release_conn"),
    (urllib3.connection.HTTPConnection, "request"),
    (urllib3.connection.HTTPConnection, "putrequest"),
    (urllib3.connection.HTTPConnection, "putheader"),
    (urllib3.connection.HTTPConnection, "endheaders"),
    (urllib3.connection.HTTPConnection, "send"),
    (urllib3.connection.HTTPConnection, "getresponse"),
    (http.client.HTTPConnection, "putrequest"),
    (http.client.HTTPConnection, "putheader"),
    (http.client.HTTPConnection, "getresponse"),
    (http.client.HTTPResponse, "__init__"),
    (http.client.HTTPResponse, "begin"),
    (http.client.HTTPResponse, "read"),
    (http.client, "parse_headers"),
    (socket.socket, "makefile"),
    (socket.socket, "recv_into"),
    (ssl.SSLSocket, "recv_into"),
)
_ADAPTERS = (
    *("send", "cert_verify", "add_headers", "build_response", "request_url"),
    "get_connection_with_tls_context",
)
"""What an adapter may have a function of its own for."""
_log = logging.getLogger("urllib3.connectionpool")
"""Tells of each request, at DEBUG."""


def sent(
    adapter: Any, request: requests.PreparedRequest, *, stream: bool, **settings: Any
) -> requests.Response:
    """What `adapter.send` gives.

    :param settings: what else it takes
    """
    pool = None if stream else _pool(adapter, request, **settings)
    text = None if pool is None else message(request, pool.host_line)
    made = None if text is None else _exchanged(pool, text, adapter, request)
    if isinstance(made, Reply):
        return made
    if made is not None:
        return _handed_over(made, adapter, request, stream=stream, **settings)
    if here.watch is not None:
        here.watch.silence()
    return adapter.send(request, stream=stream, **settings)  # type: ignore[no-any-return]


def _pool(
    adapter: Any,
    request: requests.PreparedRequest,
    *,
    verify: Any,
    cert: Any,
    proxies: Any,
    **_: Any,
) -> Any:
    """The pool for a usual request; `None` if it is none."""
    usual = (
        type(adapter) is Adapter
        and not proxies
        and not any(request.hooks.values())
        and type(request.headers) is Fields
        and here.watch is not None
        and vars(adapter).keys().isdisjoint(_ADAPTERS)
        and adapter.retries_nothing
        and not _log.isEnabledFor(logging.DEBUG)
        and _PASSED.are_there()
    )
    pool = adapter.known(request, verify, cert) if usual else None
    return None if pool is None or "urlopen" in vars(pool) else pool


def _exchanged(
    pool: Any, text: bytes, adapter: Any, request: requests.PreparedRequest
) -> Reply | Held | None:
    """The answer, or where the request goes on by the long way; `None`: it was not begun."""
    watch, begun, connection = here.watch, SYSTEM.monotonic(), None
    assert watch is not None  # noqa: S101 - there would be no pool without
    try:
        connection = pool.take()
        if connection is None:
            return None
        watch.exchange.reached = True
        read = connection.exchange(text, watch, to_head=request.method == "HEAD")
        if read is None:
            return Held(pool, connection, begun)
    except BaseException:
        if connection is not None:
            connection.close()
            pool.give_back(None)
        raise
    pool.num_requests += 1
    pool.give_back(connection)
    head, body = read
    reply = Reply(head, body, request, adapter)
    watch.after_exchange(reply)
    return reply


def _handed_over(held: Held, adapter: Any, *args: Any, **kwargs: Any) -> requests.Response:
    """What `adapter.send` makes of a request that is written, and of what came so far."""
    watch = here.watch
    assert watch is not None  # noqa: S101 - it was begun under one
    exchange = watch.exchange
    exchange.pool = held.pool()
    try:
        watch.silence()
        return adapter.send(*args, **kwargs)  # type: ignore[no-any-return]
    finally:
        exchange.pool = None
        # Something may have come in between, so that nobody took it.
        held.lose()
