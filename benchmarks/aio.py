"""The subject that gets documents with aiohttp, which fits where a loop is there already.

Rules:

1. One call is many requests in one run of a loop that is kept: entering it for each would cost what
   nobody pays who writes for asyncio.
2. As many tasks ask at once as another subject has threads; each asks again when it has its answer.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from benchmarks import crew
from benchmarks.measuring import Subject

if TYPE_CHECKING:
    from contextlib import ExitStack

    from benchmarks.target import Target

NAME: Final = "aiohttp"
REQUESTS: Final = 20
"""Of one call, where one asks at a time."""


def subject(target: Target, stack: ExitStack) -> Subject:
    """Make it for a target."""
    runner = stack.enter_context(asyncio.Runner())
    session = runner.run(_opened(target))
    stack.callback(lambda: runner.run(session.close()))
    requests = REQUESTS if target.threads == 1 else crew.REQUESTS
    share = requests // target.threads

    async def work() -> Any:
        got: Any = None
        for _ in range(share):
            async with session.get(target.url) as response:
                got = await response.json()
        return got

    async def all_of_them() -> Any:
        return (await asyncio.gather(*(work() for _ in range(target.threads))))[-1]

    return Subject(NAME, lambda: runner.run(all_of_them()), batch=requests, warmup=crew.WARMUP)


async def _opened(target: Target) -> aiohttp.ClientSession:
    context: ssl.SSLContext | bool = True
    if target.bundle:
        context = ssl.create_default_context(cafile=target.bundle)
    connector = aiohttp.TCPConnector(ssl=context, force_close=target.fresh)
    return aiohttp.ClientSession(connector=connector, headers=target.headers)
