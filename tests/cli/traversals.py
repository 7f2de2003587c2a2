"""What the demo's traces must look like, as rules: which spans are below which, and how they agree.

There are two kinds: a reader's way from a book to a review, and a tour of all that the hosts have.

Rule 1: a span that no rule allows where it stands is a mistake, and so is one that is not there.
Rule 2: a rule looks at what arrived at a collector, and at nothing else.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.servers import ReceivedSpan

CONNECT: Final = "sleepwalker.connect"
HOOK: Final = "sleepwalker.hook"
REQUEST: Final = "sleepwalker.request"
FOLLOW: Final = "sleepwalker.follow"
TRAVERSE: Final = "sleepwalker.traverse"

RELATIONS: Final = ["author", "reviews", "create"]
"""The links that a traversal follows, in order."""
ASKED: Final = (
    {"GET /books/{id}"},
    {"GET /authors/{id}", "GET /books/{id}/author"},
    {"GET /reviews"},
    {"POST /reviews"},
)
"""The call at the start of a traversal, and below each link."""
LISTS: Final = ["GET /books", "GET /authors", "GET /reviews"]
"""The calls at the start of a tour."""
TOURED: Final = Counter(
    {
        ("next", "success", None): 3,
        ("item or book", "success", None): 19,
        ("reviews", "success", None): 7,
        ("preview", "refused", "downgrade"): 12,
        ("seller", "refused", "credentials"): 12,
    }
)
"""The links of a tour: relation, outcome and error. A book is an item of a list and a book of its
author's: it is come to by whichever link is there first."""
DIRECTLY: Final = [
    ("DirectoryHook", 1, "declined"),
    ("ReadyHook", 1, "declined"),
    ("HostHook", 1, "connected"),
]
"""The hook calls of an establishment; for the host of reviews, `ReadyHook` is the one."""


class Trace:
    """All spans of one trace.

    :ivar root: the one at the top
    :ivar elsewhere: the spans of all traces, by id
    """

    def __init__(self, spans: Sequence[ReceivedSpan], elsewhere: dict[str, ReceivedSpan]) -> None:
        """Take these spans for a trace."""
        self.spans = spans
        self.elsewhere = elsewhere
        self._below: dict[str, list[ReceivedSpan]] = defaultdict(list)
        for span in sorted(spans, key=lambda span: span.begins):
            self._below[span.parent_id].append(span)
        self.root = self._below[""][0]

    def below(self, span: ReceivedSpan) -> list[ReceivedSpan]:
        """The spans just below one, in the order of time."""
        return self._below[span.span_id]

    @property
    def follows(self) -> list[ReceivedSpan]:
        """The links that were followed."""
        return [span for span in self.below(self.root) if span.name == FOLLOW]

    @property
    def is_tour(self) -> bool:
        """Whether it is of a tour."""
        return self.root.name == "tour"

    @property
    def whole(self) -> bool:
        """Whether a reader went all the way."""
        return [told(span, "link.relation") for span in self.follows] == RELATIONS

    def outline(self, span: ReceivedSpan) -> list[str]:
        """A span and all below it, a line each."""
        attributes = span.attributes
        parts = [
            span.name,
            *(told(span, key) for key in ("hook.name", "lookup", "outcome") if told(span, key)),
            attributes.get("http.response.status_code") or attributes.get("error.type"),
            f"#{attributes['http.request.resend_count']}"
            if "http.request.resend_count" in attributes
            else None,
        ]
        line = " ".join(str(part) for part in parts if part is not None)
        return [
            line,
            *(f"  {inner}" for child in self.below(span) for inner in self.outline(child)),
        ]


def traces(spans: Iterable[ReceivedSpan]) -> list[Trace]:
    """Give the traces that these spans are of, the first first."""
    by_trace: dict[str, list[ReceivedSpan]] = defaultdict(list)
    by_id = {}
    for span in sorted(spans, key=lambda span: span.begins):
        by_trace[span.trace_id].append(span)
        by_id[span.span_id] = span
    return [Trace(trace, by_id) for trace in by_trace.values()]


def told(span: ReceivedSpan, key: str) -> Any:
    """Give what a span says under a name of ours, `None` for nothing."""
    return span.attributes.get(f"sleepwalker.{key}")


def asked(request: ReceivedSpan) -> str:
    """Give what a call asked for, as its attempts are named."""
    return f"{request.attributes['http.request.method']} {request.attributes['url.template']}"


def mistakes(trace: Trace) -> list[str]:
    """Say what is wrong with a trace: of a tour, or of a reader's way, stopped or not."""
    ids = {span.span_id for span in trace.spans}
    torn = [
        f"{span.name} has a parent that is not in its trace"
        for span in trace.spans
        if span is not trace.root and span.parent_id not in ids
    ]
    return [*torn, *(_of_tour if trace.is_tour else _of_way)(trace)]


def _of_tour(trace: Trace) -> Iterator[str]:
    """The lists and their pages one by one, then all that is linked from there at once."""
    *first, traverse = trace.below(trace.root)
    lists = [asked(span) for span in first if span.name == REQUEST]
    if lists != LISTS:
        yield f"began with {lists}"
    if traverse.name != TRAVERSE:
        yield f"went on with {traverse.name}"
    links = trace.below(traverse)
    # One after the other, and at once: so each has its own.
    for follow in [*trace.follows, *links]:
        yield from _of_toured(follow, trace)
    followed = Counter(
        (
            re.sub("^(item|book)$", "item or book", told(span, "link.relation")),
            told(span, "outcome"),
            span.attributes.get("error.type"),
        )
        for span in [*trace.follows, *links]
    )
    if followed != TOURED:
        yield f"followed {dict(followed)}"
    told_of = {key: told(traverse, f"traverse.{key}") for key in ("visited", "failed", "left_out")}
    refused = sum(count for (_, outcome, _), count in TOURED.items() if outcome == "refused")
    # The pages are there already, and count as visited as well.
    visited = len(links) - refused + len(lists) + len(trace.follows)
    if told_of != {"visited": visited, "failed": refused, "left_out": 0}:
        yield f"told of {told_of}"


def _of_toured(follow: ReceivedSpan, trace: Trace) -> Iterator[str]:
    """A link that is followed has its call below it, one that is refused has nothing."""
    inner = trace.below(follow)
    sources = [each for each in trace.spans if (each.trace_id, each.span_id) in follow.links]
    if follow.name != FOLLOW or [span.name for span in sources] != [REQUEST]:
        yield f"{follow.name} from {[span.name for span in sources]}"
        return
    told_of = [told(follow, f"link.{key}") for key in ("source_host", "target_host", "cross_host")]
    source = _host(trace.below(sources[0])[-1])
    if told(follow, "outcome") == "refused":
        if inner or told_of != [source, None, None]:
            yield f"a refused link, {told_of}, with {[span.name for span in inner]}"
        return
    if [span.name for span in inner] != [REQUEST]:
        yield f"a followed link with {[span.name for span in inner]}"
        return
    target = _host(next(span for span in trace.below(inner[0]) if span.kind == "CLIENT"))
    if told_of != [source, target, source != target]:
        yield f"a link from {source} to {target}, {told_of}"
    # A traversal has no name for what it asks for.
    yield from _of_attempts(trace, inner[0], name="GET")


def _of_way(trace: Trace) -> Iterator[str]:
    if (trace.root.name, trace.root.kind) != ("traversal", "INTERNAL"):
        yield f"the root is {trace.root.name}"
    relations = [told(span, "link.relation") for span in trace.follows]
    if relations != RELATIONS[: len(relations)]:
        yield f"followed {relations}"
    first = [span for span in trace.below(trace.root) if span.name != FOLLOW]
    steps = [first, *(trace.below(follow) for follow in trace.follows)]
    page = None
    for follow, step, calls in zip([None, *trace.follows], steps, ASKED, strict=False):
        if follow is None and not step:
            return  # stopped before it had begun
        if [span.name for span in step] not in ([REQUEST], [CONNECT, REQUEST]):
            yield f"a step of {[span.name for span in step]}"
            return
        request = step[-1]
        if asked(request) not in calls:
            yield f"asked for {asked(request)} where {calls} belongs"
        if follow is not None and page is not None:
            yield from _of_follow(follow, page, request, trace)
        for span in step:
            yield from (_of_connect if span is not request else _of_request)(trace, span)
        page = request


def _of_follow(
    follow: ReceivedSpan, page: ReceivedSpan, request: ReceivedSpan, trace: Trace
) -> Iterator[str]:
    """A link leads from where its document came from in the end to where the call begins."""
    source, target = _host(trace.below(page)[-1]), _host(trace.below(request)[0])
    expected = {
        "sleepwalker.link.relation": told(follow, "link.relation"),
        "sleepwalker.link.source_host": source,
        "sleepwalker.link.target_host": target,
        "sleepwalker.link.cross_host": source != target,
        "sleepwalker.outcome": "success",
    }
    if follow.attributes != expected:
        yield f"{dict(follow.attributes)} where {expected} belongs"
    if follow.links != ((page.trace_id, page.span_id),):
        yield f"a link is followed from {follow.links}"


def _of_connect(trace: Trace, connect: ReceivedSpan) -> Iterator[str]:
    """An establishment has its hooks below it, and who waits for it has a link to it instead."""
    hooks = trace.below(connect)
    if told(connect, "lookup") == "coalesced":
        [(trace_id, span_id)] = connect.links
        other = trace.elsewhere[span_id]
        same = [told(span, key) for span in (connect, other) for key in ("host", "auth")]
        if (other.trace_id, other.name, told(other, "lookup")) != (trace_id, CONNECT, "miss"):
            yield "a find waited for what is no establishment"
        if hooks or same[:2] != same[2:]:
            yield "a find waited for another's establishment"
        return
    called = [(told(h, "hook.name"), told(h, "hook.attempt"), told(h, "outcome")) for h in hooks]
    tries = len(hooks) - 1
    ready = [
        DIRECTLY[0],
        *(("ReadyHook", number, "failed") for number in range(1, tries)),
        ("ReadyHook", tries, "connected"),
    ]
    if called not in (DIRECTLY, ready):
        yield f"hooks {called}"
    for hook in hooks:
        inner = trace.below(hook)
        names = [f"{span.name} {asked(span)}" for span in inner]
        tried = told(hook, "hook.name") == "ReadyHook" and called == ready
        if hook.name != HOOK or names != ([f"{REQUEST} GET /ready"] if tried else []):
            yield f"{hook.name} with {names}"
        for request in inner:
            yield from _of_request(trace, request)
            if (request.status == "ERROR") != (told(hook, "outcome") == "failed"):
                yield "a hook fared otherwise than its call"


def _of_request(trace: Trace, request: ReceivedSpan) -> Iterator[str]:
    """A call has its attempts below it, and what it needs to get a token for its author."""
    yield from _of_attempts(trace, request)
    others = [span for span in trace.below(request) if span.kind != "CLIENT"]
    if others and asked(request) not in ASKED[1]:
        yield f"{asked(request)} with {[span.name for span in others]}"
    for span in others:
        if span.name == CONNECT:
            yield from _of_connect(trace, span)
        elif (span.name, asked(span)) == (REQUEST, "POST /token"):
            yield from _of_request(trace, span)
        else:
            yield f"{asked(request)} with {span.name}"


def _of_attempts(trace: Trace, request: ReceivedSpan, *, name: str | None = None) -> Iterator[str]:
    """Each attempt but the last has failed or is redirected; the last is as its call.

    :param name: what the attempts are called; `None`: as what was asked for
    """
    attempts = [span for span in trace.below(request) if span.kind == "CLIENT"]
    if told(request, "attempts") != len(attempts) or not attempts:
        yield f"{told(request, 'attempts')} attempts told, {len(attempts)} seen"
        return
    resends = [span.attributes.get("http.request.resend_count") for span in attempts]
    if resends != [None, *range(1, len(attempts))]:
        yield f"resend counts {resends}"
    statuses = [span.attributes.get("http.response.status_code") for span in attempts]
    if statuses[-1] != request.attributes.get("http.response.status_code"):
        yield f"statuses {statuses} of a call with {dict(request.attributes)}"
    failed = [span.status == "ERROR" for span in attempts]
    if failed != [*(status != 307 for status in statuses[:-1]), request.status == "ERROR"]:
        yield f"failed {failed} with {statuses}"
    # Where a redirect leads has no name of the caller's.
    name = name or asked(request)
    named = {name} if 307 not in statuses else {name, "GET"}
    if {span.name for span in attempts} != named:
        yield f"attempts {[span.name for span in attempts]} of {name}"
    if any(trace.below(span) for span in attempts):
        yield "an attempt with something below it"


def _host(attempt: ReceivedSpan) -> str:
    return f"https://{attempt.attributes['server.address']}:{attempt.attributes['server.port']}"
