"""A trace drawn as a tree with timings: the spans, when each began, how long it took.

Rules:

1. A pure function from spans to rows; what prints them is elsewhere.
2. Spans go by their own names, so that what is read here is found again in a tracing backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace import StatusCode

from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

LINES = "├─└│"
"""What the branches are drawn with."""
MILLISECOND = 1_000_000
"""In nanoseconds, which spans count in."""


class Row(NamedTuple):
    """A span in the tree."""

    branches: str
    """The lines that lead to it."""
    name: str
    detail: str
    """What its attributes say, in few words."""
    failed: bool
    begins: float
    """Milliseconds after the trace's first span."""
    lasts: float
    """Milliseconds."""


Hosts = Mapping[int, str] | None
"""The hosts' names by port; `None`: hosts go by their URLs."""


def rows(trace: Sequence[ReadableSpan], hosts: Hosts = None) -> list[Row]:
    """The rows of a trace, from top to bottom."""
    ids = {span.context.span_id for span in trace if span.context is not None}
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in sorted(trace, key=lambda s: s.start_time or 0):
        parent = span.parent.span_id if span.parent is not None else None
        children.setdefault(parent if parent in ids else None, []).append(span)
    first = min((span.start_time or 0 for span in trace), default=0)

    def below(parent: int | None, lead: str) -> Iterator[Row]:
        siblings = children.get(parent, [])
        for index, span in enumerate(siblings):
            last = index == len(siblings) - 1
            own, inner = ("└─ ", "   ") if last else ("├─ ", "│  ")
            if parent is None:
                own = inner = ""
            yield _row(span, lead + own, first, hosts)
            if span.context is not None:
                yield from below(span.context.span_id, lead + inner)

    return list(below(None, ""))


def _row(span: ReadableSpan, branches: str, first: int, hosts: Hosts) -> Row:
    begins, ends = span.start_time or first, span.end_time or first
    return Row(
        branches,
        span.name,
        _detail(span.name, span.attributes or {}, hosts),
        span.status.status_code is StatusCode.ERROR,
        (begins - first) / MILLISECOND,
        (ends - begins) / MILLISECOND,
    )


def _detail(name: str, attributes: Mapping[str, Any], hosts: Hosts) -> str:
    def told(key: str) -> str:
        return str(attributes.get(key, ""))

    host = _host(attributes, hosts, told(names.ATTR_TARGET_HOST) or told(names.ATTR_HOST))
    error = told(names.ATTR_ERROR_TYPE)
    match name:
        case names.SPAN_CONNECT:
            waited = " (another thread's)" if told(names.ATTR_LOOKUP) == "coalesced" else ""
            parts = [host, told(names.ATTR_AUTH) + waited, error]
        case names.SPAN_HOOK:
            parts = [told(names.ATTR_HOOK), told(names.ATTR_OUTCOME), error]
        case names.SPAN_REQUEST:
            parts = [host, told(names.ATTR_AUTH), error, _waited(attributes)]
        case names.SPAN_FOLLOW:
            parts = [told(names.ATTR_RELATION), f"at {host}" if host else "", error]
        case _:
            status = told(names.ATTR_STATUS)
            parts = [host, status or error]
    return " ".join(part for part in parts if part)


def _host(attributes: Mapping[str, Any], hosts: Hosts, url: str) -> str:
    """Where a span went: the host's name, by the port in whichever attribute has it; or its URL."""
    if hosts is None:
        return str(attributes.get(names.ATTR_URL, url))
    port = attributes.get(names.ATTR_SERVER_PORT)
    if port is None:
        port = url.rpartition(":")[2]
    return hosts.get(int(port), str(port)) if str(port).isdecimal() else ""


def _waited(attributes: Mapping[str, Any]) -> str:
    waited = attributes.get(names.ATTR_WAITED)
    return f"waited {float(waited) * 1000:.0f} ms" if waited else ""
