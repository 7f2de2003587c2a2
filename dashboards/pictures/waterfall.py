"""The one trace that is drawn: chosen from all that arrived, and put into rows.

Rule: pure, and told by nothing but the spans that a collector received.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST: Final = 34
"""A trace of more spans than this is no pleasure to look at."""
WANTED: Final = frozenset({"a hook", "a redirect", "a failed attempt"})
"""What the one that is drawn should have."""

_MILLISECOND: Final = 1_000_000
"""In nanoseconds, which spans count in."""


class Span(Protocol):
    """A span as a collector has it; times in nanoseconds."""

    @property
    def trace_id(self) -> str:
        """Of its trace."""

    @property
    def span_id(self) -> str:
        """Its own."""

    @property
    def parent_id(self) -> str:
        """Of the span above; empty for a root."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def status(self) -> str:
        """`ERROR`, or another."""

    @property
    def begins(self) -> int:
        """When."""

    @property
    def ends(self) -> int:
        """When."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What else it says."""

    @property
    def links(self) -> Sequence[tuple[str, str]]:
        """The traces and spans that it leads to."""


class Row(NamedTuple):
    """A span in the waterfall.

    :ivar host: the name of the host that it is about; empty for none
    :ivar begins: milliseconds after the first span's beginning
    :ivar lasts: milliseconds
    :ivar wire: whether it is an attempt
    :ivar linked: the row that it has a link to
    """

    depth: int
    name: str
    detail: str
    host: str
    begins: float
    lasts: float
    failed: bool
    wire: bool
    linked: int | None


def chosen(spans: Iterable[Span]) -> list[Span]:
    """The trace that has most to show, in the order of time; of equals, the quickest.

    :raises ValueError: when there is no trace that isn't too long
    """
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span.begins, span.span_id)):
        traces[span.trace_id].append(span)
    fitting = [trace for trace in traces.values() if len(trace) <= MOST and _whole(trace)]
    if not fitting:
        raise ValueError("no trace is whole and short enough to be drawn")
    return max(fitting, key=worth)


def worth(trace: Sequence[Span]) -> tuple[int, int, int, int, str]:
    """How much of what is wanted, how many kinds of things, and things, and how quickly."""
    found = kinds(trace)
    seen = shows(trace)
    return len(found & WANTED), len(found), len(seen), -_lasts(trace), trace[0].trace_id


def kinds(trace: Iterable[Span]) -> set[str]:
    """What kinds of things there are to see in a trace."""
    return {re.sub(r"^(a hook|host|the link) .*", r"\1", each) for each in shows(trace)}


def _whole(trace: Sequence[Span]) -> bool:
    """Whether it has one root, with all others below it."""
    ids = {span.span_id for span in trace}
    return sum(span.parent_id not in ids for span in trace) == 1 and any(
        not span.parent_id for span in trace
    )


def _lasts(trace: Sequence[Span]) -> int:
    return max(span.ends for span in trace) - min(span.begins for span in trace)


def shows(trace: Iterable[Span]) -> set[str]:
    """What there is to see in a trace, in words."""
    found = set()
    for span in trace:
        status = span.attributes.get(names.ATTR_STATUS, 0)
        if names.ATTR_SERVER_ADDRESS in span.attributes:
            found.add(f"host {_origin(span)}")
        if 300 <= status < 400:
            found.add("a redirect")
        if names.ATTR_SERVER_PORT in span.attributes and span.status == "ERROR":
            found.add("a failed attempt")
            found.add(f"{'an answer' if status else 'no answer'} that is sent again")
        if span.name == names.SPAN_HOOK:
            found.add(f"a hook that {span.attributes.get(names.ATTR_OUTCOME)}")
        if span.name == names.SPAN_FOLLOW:
            found.add(f"the link {span.attributes.get(names.ATTR_RELATION)}")
    return found


def rows(trace: Sequence[Span], hosts: Mapping[str, str]) -> list[Row]:
    """The rows of a trace, from top to bottom.

    :param hosts: the hosts' names, by their URLs
    """
    below: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(trace, key=lambda span: (span.begins, span.span_id)):
        below[span.parent_id].append(span)
    first = min(span.begins for span in trace)

    def walked(parent: str, depth: int) -> Iterator[tuple[Span, int]]:
        for span in below[parent]:
            yield span, depth
            yield from walked(span.span_id, depth + 1)

    ordered = list(walked("", 0))
    number_of = {span.span_id: number for number, (span, _) in enumerate(ordered)}
    return [
        Row(
            depth,
            span.name,
            _detail(span),
            hosts.get(_origin(span), _origin(span)),
            (span.begins - first) / _MILLISECOND,
            (span.ends - span.begins) / _MILLISECOND,
            span.status == "ERROR",
            names.ATTR_SERVER_PORT in span.attributes,
            next((number_of[to] for _, to in span.links if to in number_of), None),
        )
        for span, depth in ordered
    ]


def _origin(span: Span) -> str:
    """The URL of the host that a span is about; empty for none."""
    port = span.attributes.get(names.ATTR_SERVER_PORT)
    if port is not None:
        return f"https://{span.attributes[names.ATTR_SERVER_ADDRESS]}:{port}"
    given = span.attributes.get(names.ATTR_TARGET_HOST) or span.attributes.get(names.ATTR_HOST)
    return str(given or "")


def _detail(span: Span) -> str:
    """What is worth to be told beside its name."""

    def told(name: str) -> str:
        return str(span.attributes.get(name, ""))

    error = told(names.ATTR_ERROR_TYPE)
    match span.name:
        case names.SPAN_CONNECT:
            lookup = told(names.ATTR_LOOKUP)
            parts = [told(names.ATTR_AUTH), lookup if lookup == "coalesced" else "", error]
        case names.SPAN_HOOK:
            parts = [told(names.ATTR_HOOK), told(names.ATTR_OUTCOME)]
        case names.SPAN_REQUEST:
            waits = float(span.attributes.get(names.ATTR_WAITED) or 0)
            parts = [
                told(names.ATTR_AUTH),
                f"waited {waits * 1000:.0f} ms" if waits else "",
                error,
            ]
        case names.SPAN_FOLLOW:
            parts = [told(names.ATTR_RELATION), error]
        case _:
            resent = told(names.ATTR_RESEND_COUNT)
            parts = [told(names.ATTR_STATUS) or error, f"resent {resent}" if resent else ""]
    return " · ".join(part for part in parts if part)
