"""The subjects that traverse linked resources: ours, and what people write by hand instead.

Rules:

1. Each does the same in one call: it makes its client, gets every resource once by following
   links, `CONCURRENCY` at a time and `PER_HOST` of one origin, reads its JSON, and closes its
   client.
2. A peer's client has the pools with which it is fastest here: `requests` as many as there are
   hosts, as with the 10 of its default it opens a connection for most requests; `httpx` its default
   of 20 idle connections with threads, though it opens one for every fourth request, since it looks
   at all of them at each; and what all hosts need with asyncio.
3. By hand nothing is bounded but what is under way, nothing is retried, and nothing is told.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpx
import requests
from prometheus_client import CollectorRegistry
from requests.adapters import HTTPAdapter

from benchmarks.clients import recorded
from benchmarks.measuring import Evidence, Subject
from benchmarks.telemetry import Lines, Spans
from benchmarks.web import REL
from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook
from sleepwalker.links import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import ExitStack

    from benchmarks.web import Web

CONCURRENCY = 16
PER_HOST = 4


def _subject(name: str, traverse: Callable[[], int], web: Web, **more: Any) -> Subject:
    return Subject(name, traverse, batch=web.resources, warmup=0, **more)


def _links(url: str, document: Any) -> Iterator[str]:
    """Where a document leads, as people read it by hand."""
    for link in document["_links"].get(REL, ()):
        yield urljoin(url, link["href"])


def _in_threads(start: str, get: Callable[[str], Any]) -> int:
    """Traverse with a pool of threads; gives the sum of the resources' numbers."""
    limits: defaultdict[str, threading.Semaphore] = defaultdict(
        lambda: threading.Semaphore(PER_HOST)
    )
    done: queue.SimpleQueue[Future[tuple[str, Any]]] = queue.SimpleQueue()

    def fetch(url: str, limit: threading.Semaphore) -> tuple[str, Any]:
        with limit:
            return url, get(url)

    waiting, seen = [start], {start}
    under_way = total = 0
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        while waiting or under_way:
            while waiting and under_way < CONCURRENCY:
                url = waiting.pop()
                limit = limits[urlsplit(url).netloc]
                pool.submit(fetch, url, limit).add_done_callback(done.put)
                under_way += 1
            url, document = done.get().result()
            under_way -= 1
            total += document["number"]
            for link in _links(url, document):
                if link not in seen:
                    seen.add(link)
                    waiting.append(link)
    return total


def _requests(web: Web, stack: ExitStack) -> Subject:
    """One session for all threads, which is faster here than one for each."""
    del stack

    def traverse() -> int:
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(pool_connections=len(web.origins)))

            def get(url: str) -> Any:
                response = session.get(url, timeout=10)
                response.raise_for_status()
                return response.json()

            return _in_threads(web.start, get)

    return _subject("requests, threads", traverse, web)


def _httpx(web: Web, stack: ExitStack) -> Subject:
    del stack

    def traverse() -> int:
        with httpx.Client(timeout=10) as client:

            def get(url: str) -> Any:
                response = client.get(url)
                response.raise_for_status()
                return response.json()

            return _in_threads(web.start, get)

    return _subject("httpx, threads", traverse, web)


async def _in_tasks(web: Web) -> int:
    total = 0
    seen = {web.start}
    most = PER_HOST * len(web.origins)
    pools = httpx.Limits(max_connections=most, max_keepalive_connections=most)
    everywhere = asyncio.Semaphore(CONCURRENCY)
    limits: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PER_HOST))

    async def visit(url: str) -> None:
        nonlocal total
        async with limits[urlsplit(url).netloc], everywhere:
            response = await client.get(url)
        response.raise_for_status()
        document = response.json()
        total += document["number"]
        for link in _links(url, document):
            if link not in seen:
                seen.add(link)
                group.create_task(visit(link))

    async with (
        httpx.AsyncClient(limits=pools, timeout=10) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(visit(web.start))
    return total


def _httpx_async(web: Web, stack: ExitStack) -> Subject:
    del stack
    return _subject("httpx, asyncio", lambda: asyncio.run(_in_tasks(web)), web)


def _ours(
    web: Web, *, registry: Any = False, tracer_provider: Any = False, logger: Any = False
) -> int:
    with (
        ConnectionManager(
            hooks=[DirectHook()],
            registry=registry,
            tracer_provider=tracer_provider,
            logger=logger,
        ) as connections,
        ServiceManager(connections, credentials={"*": ANONYMOUS}) as services,
        services.traverse(
            web.start, [REL], concurrency=CONCURRENCY, per_host=PER_HOST, max_resources=None
        ) as found,
    ):
        total = 0
        for visit in found:
            if visit.resource is None:
                msg = f"no resource: {visit.url}"
                raise RuntimeError(msg) from visit.error
            total += visit.resource.data["number"]
        return total


def _all_on(web: Web, stack: ExitStack) -> Subject:
    registry, spans, lines = CollectorRegistry(), Spans(), Lines(logging.INFO)
    stack.callback(lines.close)
    stack.callback(spans.close)

    def traverse() -> int:
        return _ours(web, registry=registry, tracer_provider=spans.provider, logger=lines.logger)

    return _subject(
        "sleepwalker, all on",
        traverse,
        web,
        # The following, the request and the attempt.
        each=Evidence(spans=3, requests=1),
        evidence=lambda: Evidence(spans.exported, recorded(registry)),
        settle=spans.flush,
    )


def _all_off(web: Web, stack: ExitStack) -> Subject:
    del stack
    return _subject("sleepwalker, all off", lambda: _ours(web), web)


TRAVERSERS: Mapping[str, Callable[[Web, ExitStack], Subject]] = {
    "requests, threads": _requests,
    "httpx, threads": _httpx,
    "httpx, asyncio": _httpx_async,
    "sleepwalker, all on": _all_on,
    "sleepwalker, all off": _all_off,
}
"""What makes each subject; the stack closes it."""
