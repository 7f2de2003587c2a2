"""The subjects that get one JSON document: ours, and the clients beside it.

Rules:

1. Each gets the same document, over a connection that it keeps alive or over a fresh one each, as
   the target says, and decodes it.
2. Each has telemetry of its own, so that none pays for another's.
3. Bare clients are bare: as their own first page shows them, with as many connections as there are
   threads.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx
import requests
import urllib3
from prometheus_client import CollectorRegistry

from benchmarks import aio, crew
from benchmarks.by_hand import ByHand
from benchmarks.measuring import Evidence, Subject
from benchmarks.sessions import requests_session
from benchmarks.telemetry import Spans, total
from sleepwalker import ANONYMOUS, Connection
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack

    from benchmarks.target import Target


def _urllib3(target: Target, stack: ExitStack) -> Subject:
    pools = stack.enter_context(
        urllib3.PoolManager(
            maxsize=target.threads, headers=target.headers or None, ca_certs=target.bundle
        )
    )
    return crew.subject("urllib3", lambda: pools.request("GET", target.url).json(), target, stack)


def _requests(target: Target, stack: ExitStack) -> Subject:
    session = stack.enter_context(requests_session(target, requests.Session()))
    return crew.subject("requests", lambda: session.get(target.url).json(), target, stack)


def _httpx(target: Target, stack: ExitStack) -> Subject:
    more: dict[str, Any] = {}
    if target.bundle:
        more["verify"] = ssl.create_default_context(cafile=target.bundle)
    if target.threads > 1:
        more["limits"] = httpx.Limits(max_keepalive_connections=target.threads)
    client = stack.enter_context(httpx.Client(headers=target.headers, **more))
    return crew.subject("httpx", lambda: client.get(target.url).json(), target, stack)


def _by_hand(target: Target, stack: ExitStack) -> Subject:
    spans = Spans()
    stack.callback(spans.close)
    made = ByHand(target, spans)
    stack.callback(made.close)
    return crew.subject(
        "by-hand",
        lambda: made.get_json(target.path),
        target,
        stack,
        each=Evidence(spans=2, requests=1),
        evidence=lambda: Evidence(spans.exported, made.recorded),
        settle=spans.flush,
    )


def _sleepwalker(target: Target, stack: ExitStack) -> Subject:
    spans = Spans()
    stack.callback(spans.close)
    return _ours(
        "sleepwalker",
        target,
        stack,
        Evidence(spans=2, requests=1),
        spans=spans,
        tracer_provider=spans.provider,
    )


def _sleepwalker_no_sdk(target: Target, stack: ExitStack) -> Subject:
    return _ours("sleepwalker-no-sdk", target, stack, Evidence(requests=1), spans=None)


def _ours(
    name: str,
    target: Target,
    stack: ExitStack,
    each: Evidence,
    *,
    spans: Spans | None,
    **options: Any,
) -> Subject:
    registry = CollectorRegistry()
    conn = stack.enter_context(
        Connection(target.origin, ANONYMOUS, verify=target.verify, registry=registry, **options)
    )
    conn.add_headers(target.headers)

    def evidence() -> Evidence:
        return Evidence(spans.exported if spans else 0, recorded(registry))

    more = {"settle": spans.flush} if spans else {}
    return crew.subject(
        name,
        lambda: conn.json_request("GET", target.path),
        target,
        stack,
        each=each,
        evidence=evidence,
        **more,
    )


def recorded(registry: CollectorRegistry) -> int:
    """How many requests our metrics know of."""
    return total(registry, f"{names.REQUEST_DURATION}_count")


CLIENTS: Mapping[str, Callable[[Target, ExitStack], Subject]] = {
    "urllib3": _urllib3,
    "requests": _requests,
    "httpx": _httpx,
    "aiohttp": aio.subject,
    "by-hand": _by_hand,
    "sleepwalker": _sleepwalker,
    "sleepwalker-no-sdk": _sleepwalker_no_sdk,
}
"""What makes each subject for a target; the stack closes it."""
