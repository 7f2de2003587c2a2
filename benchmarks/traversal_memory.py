"""The memory of a long traversal: ``python -m benchmarks.traversal_memory``.

Rules:

1. What is told is by how much the process's peak grew after the first resources, when every host
   had been met and everything that is made once was there.
2. Each resource is long enough that to keep them all would be plain.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from benchmarks.command import positive
from benchmarks.telemetry import Spans
from benchmarks.web import REL, Web
from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook
from sleepwalker.links import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTS = 100
RESOURCES = 10_000
PADDING = 20_000
"""Bytes of each resource."""
LIMIT_MIB = 16
"""By how much the peak may grow: for the links that are known and yet to be followed, of which
there are thousands, and for what is under way or waits to be taken."""


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def grown(hosts: int, resources: int) -> dict[str, float]:
    """Traverse so many resources, everything on."""
    spans = Spans()
    begun = time.perf_counter()
    count, before = 0, 0.0
    with (
        Web(hosts, resources, PADDING) as web,
        ConnectionManager(
            hooks=[DirectHook()], registry=CollectorRegistry(), tracer_provider=spans.provider
        ) as connections,
        ServiceManager(connections, credentials={"*": ANONYMOUS}) as services,
        services.traverse(web.start, [REL], max_resources=None) as found,
    ):
        for visit in found:
            if visit.resource is None or len(visit.resource.data["text"]) != PADDING:
                raise RuntimeError(visit.url) from visit.error
            count += 1
            if count == 4 * hosts:
                before = peak()
    spans.close()
    return {
        "hosts": hosts,
        "resources": count,
        "bytes": count * PADDING,
        "peak_mib": round(peak(), 1),
        "grown_mib": round(peak() - before, 1),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and tell it as one line of JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.traversal_memory",
        description="By how much a long traversal makes the process grow.",
    )
    parser.add_argument("--hosts", type=positive, default=HOSTS, metavar="N")
    parser.add_argument("--resources", type=positive, default=RESOURCES, metavar="N")
    settings = parser.parse_args(arguments)
    told = grown(settings.hosts, settings.resources)
    print(json.dumps(told))
    return 0 if told["grown_mib"] <= LIMIT_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
