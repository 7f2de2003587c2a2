"""The subjects that get one JSON document: ours, and the clients beside it.

Rules:

1. Each gets the same document over a connection that it keeps alive, and decodes it.
2. Each has telemetry of its own, so that none pays for another's.
3. Bare clients are bare: as their own first page shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import requests
import urllib3
from prometheus_client import CollectorRegistry

from benchmarks.by_hand import ByHand
from benchmarks.measuring import Evidence, Subject
from benchmarks.server import PATH
from benchmarks.telemetry import Spans, total
from sleepwalker import ANONYMOUS, Connection
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack


def _urllib3(url: str, stack: ExitStack) -> Subject:
    pools = stack.enter_context(urllib3.PoolManager())
    target = url + PATH
    return Subject("urllib3", lambda: pools.request("GET", target).json())


def _requests(url: str, stack: ExitStack) -> Subject:
    session = stack.enter_context(requests.Session())
    target = url + PATH
    return Subject("requests", lambda: session.get(target).json())


def _httpx(url: str, stack: ExitStack) -> Subject:
    client = stack.enter_context(httpx.Client())
    target = url + PATH
    return Subject("httpx", lambda: client.get(target).json())


def _by_hand(url: str, stack: ExitStack) -> Subject:
    spans = Spans()
    stack.callback(spans.close)
    made = ByHand(url, spans)
    stack.callback(made.close)
    return Subject(
        "by-hand",
        lambda: made.get_json(PATH),
        each=Evidence(spans=2, requests=1),
        evidence=lambda: Evidence(spans.exported, made.recorded),
        settle=spans.flush,
    )


def _sleepwalker(url: str, stack: ExitStack) -> Subject:
    spans, registry = Spans(), CollectorRegistry()
    stack.callback(spans.close)
    conn = stack.enter_context(
        Connection(url, ANONYMOUS, registry=registry, tracer_provider=spans.provider)
    )
    return Subject(
        "sleepwalker",
        lambda: conn.json_request("GET", PATH),
        each=Evidence(spans=2, requests=1),
        evidence=lambda: Evidence(spans.exported, recorded(registry)),
        settle=spans.flush,
    )


def _sleepwalker_no_sdk(url: str, stack: ExitStack) -> Subject:
    registry = CollectorRegistry()
    conn = stack.enter_context(Connection(url, ANONYMOUS, registry=registry))
    return Subject(
        "sleepwalker-no-sdk",
        lambda: conn.json_request("GET", PATH),
        each=Evidence(requests=1),
        evidence=lambda: Evidence(requests=recorded(registry)),
    )


def recorded(registry: CollectorRegistry) -> int:
    """How many requests our metrics know of."""
    return total(registry, f"{names.REQUEST_DURATION}_count")


CLIENTS: Mapping[str, Callable[[str, ExitStack], Subject]] = {
    "urllib3": _urllib3,
    "requests": _requests,
    "httpx": _httpx,
    "by-hand": _by_hand,
    "sleepwalker": _sleepwalker,
    "sleepwalker-no-sdk": _sleepwalker_no_sdk,
}
"""What makes each subject for a server's origin; the stack closes it."""
