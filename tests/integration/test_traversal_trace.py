"""A traversal is one trace, on the wire too, and its links lead back to where they were found."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind

from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook, Policy
from sleepwalker.links import ServiceManager
from sleepwalker.observability import names
from tests.integration.walking import Site, document
from tests.servers import redirect, respond, stall
from tests.telemetry import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.servers import MakeServer
    from tests.telemetry import Node

ITEM = ["item"]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@contextmanager
def services_of(watched: Watched, **options: Any) -> Iterator[ServiceManager]:
    with (
        ConnectionManager(
            hooks=[DirectHook()], clock=watched.clock, **watched.instruments, **options
        ) as connections,
        ServiceManager(connections, credentials={"*": ANONYMOUS}) as services,
    ):
        yield services


def once(*answers: Any) -> Any:
    """Answer with each of these in turn."""
    left = iter(answers)
    return lambda _: next(left)


def received(*sites: Site) -> list[tuple[str, str]]:
    """The trace and span identifiers that arrived, in order."""
    parents = [request.headers["traceparent"] for site in sites for request in site.server.requests]
    return [(parent.split("-")[1], parent.split("-")[2]) for parent in parents]


def ids(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def outline(node: Node) -> Any:
    """The names of a tree of spans."""
    return (node.name, *map(outline, node.children)) if node.children else node.name


CONNECT = ("sleepwalker.connect", "sleepwalker.hook")


def test_a_traversal_with_a_retry_new_connections_and_a_redirect_is_one_trace(
    make_server: MakeServer, watched: Watched
) -> None:
    one, two, three = (Site(make_server) for _ in range(3))
    one.pages = {"/": [two.url("/busy"), three.url("/moved"), "/gone"], "/here": ()}
    two.pages = {"/busy": once(respond(503), document())}
    three.pages = {"/moved": redirect(302, one.url("/here"))}

    with services_of(watched) as services:
        visits = list(services.traverse(one.url(), ITEM, order="breadth", concurrency=1))

    assert [visit.ok for visit in visits] == [True, True, True, False]
    [tree] = watched.forest()
    assert outline(tree) == (
        "sleepwalker.traverse",
        CONNECT,
        ("sleepwalker.request", "GET"),
        ("sleepwalker.follow", CONNECT, ("sleepwalker.request", "GET", "GET")),
        ("sleepwalker.follow", CONNECT, ("sleepwalker.request", "GET", "GET")),
        ("sleepwalker.follow", ("sleepwalker.request", "GET")),
    )
    assert tree.attributes == {
        names.ATTR_VISITED: 3,
        names.ATTR_FAILED: 1,
        names.ATTR_LEFT_OUT: 0,
    }
    follows = [child for child in tree.children if child.name == names.SPAN_FOLLOW]
    targets = [two.server.url, three.server.url, one.server.url]
    outcomes = ["success", "success", "error"]
    for follow, target, outcome in zip(follows, targets, outcomes, strict=True):
        failed = {"error.type": "status"} if outcome == "error" else {}
        assert follow.attributes == {
            names.ATTR_RELATION: "item",
            names.ATTR_SOURCE_HOST: one.server.url,
            names.ATTR_TARGET_HOST: target,
            names.ATTR_CROSS_HOST: target != one.server.url,
            names.ATTR_OUTCOME: outcome,
            **failed,
        }
    # On the wire: every request belongs to the trace, and to the attempt that sent it.
    attempts = [span for span in watched.spans if span.kind is SpanKind.CLIENT]
    assert sorted(received(one, two, three)) == sorted(map(ids, attempts))
    assert len({trace for trace, _ in received(one, two, three)}) == 1


def test_every_link_of_a_traversal_leads_back_to_the_document_that_it_stood_in(
    make_server: MakeServer, watched: Watched
) -> None:
    one, two = Site(make_server), Site(make_server)
    one.pages = {"/": [two.url("/a")]}
    two.pages = {"/a": [one.url("/b")]}
    one.pages["/b"] = ()

    with services_of(watched) as services:
        assert len(list(services.traverse(one.url(), ITEM))) == 3

    requests = watched.named(names.SPAN_REQUEST)
    follows = watched.named(names.SPAN_FOLLOW)
    assert [[link.context for link in follow.links] for follow in follows] == [
        [request.context] for request in requests[:2]
    ]


def test_many_at_once_are_one_trace_below_the_span_that_is_there(
    make_server: MakeServer, watched: Watched
) -> None:
    sites = [Site(make_server) for _ in range(3)]
    sites[0].pages = {"/": [site.url(f"/{n}") for n in range(8) for site in sites]}
    for site in sites:
        site.pages |= {f"/{n}": () for n in range(8)}
    tracer = watched.provider.get_tracer("test")

    with services_of(watched) as services:
        with tracer.start_as_current_span("the caller's"):
            found = services.traverse(sites[0].url(), ITEM, per_host=8)
            next(found)
        with tracer.start_as_current_span("another"):
            # What is asked for later is of the traversal all the same, and this is not.
            assert len(list(found)) == 24

    caller, another = watched.named("the caller's")[0], watched.named("another")[0]
    [traverse] = watched.named(names.SPAN_TRAVERSE)
    assert traverse.parent == caller.context
    rest = [span for span in watched.spans if span is not another]
    assert {span.context.trace_id for span in rest} == {caller.context.trace_id}
    assert {trace for trace, _ in received(*sites)} == {ids(caller)[0]}
    assert [span.name for span in watched.spans if span.parent == another.context] == []
    follows = watched.named(names.SPAN_FOLLOW)
    assert [span.parent for span in follows] == [traverse.context] * 24


def test_a_link_that_is_followed_later_under_another_trace_leads_back_to_its_document(
    make_server: MakeServer, watched: Watched
) -> None:
    one, two = Site(make_server), Site(make_server)
    one.pages = {"/": [two.url("/a")]}
    two.pages = {"/a": ()}
    tracer = watched.provider.get_tracer("test")

    with services_of(watched) as services:
        with tracer.start_as_current_span("earlier") as earlier:
            document = services.get(one.url())
        with tracer.start_as_current_span("later") as later:
            document.follow("item")
        with tracer.start_as_current_span("much later") as much_later:
            assert len(list(services.traverse(document, ITEM))) == 2

    found_in = watched.named(names.SPAN_REQUEST)[0].context
    assert found_in.trace_id == earlier.get_span_context().trace_id
    one_by_hand, traversed = watched.named(names.SPAN_FOLLOW)
    for follow, under in ((one_by_hand, later), (traversed, much_later)):
        assert [link.context for link in follow.links] == [found_in]
        assert follow.context.trace_id == under.get_span_context().trace_id
        assert follow.context.trace_id != found_in.trace_id


def test_what_a_rule_forbids_is_told_as_refused(make_server: MakeServer, watched: Watched) -> None:
    site = Site(make_server)
    site.pages = {"/": ["mailto:s3cr3t@host.example"]}

    with services_of(watched) as services:
        assert [visit.ok for visit in services.traverse(site.url(), ITEM)] == [True, False]

    [follow] = watched.named(names.SPAN_FOLLOW)
    attributes = dict(follow.attributes or {})
    assert attributes[names.ATTR_OUTCOME] == "refused"
    assert names.ATTR_TARGET_HOST not in attributes
    assert "s3cr3t" not in str([span.to_json() for span in watched.spans])
    assert "s3cr3t" not in str(watched.lines)


def test_a_traversal_that_is_left_has_its_span_all_the_same(
    make_server: MakeServer, watched: Watched
) -> None:
    site = Site(make_server)
    site.pages = {"/": ["/a", "/b"], "/a": stall(), "/b": stall()}

    with services_of(watched, policy=Policy(attempts=1)) as services:
        with services.traverse(site.url(), ITEM, per_host=1) as found:
            next(found)
            site.server.wait_for(lambda: site.server.count() == 2)
        [traverse] = watched.named(names.SPAN_TRAVERSE)
        [follow] = watched.named(names.SPAN_FOLLOW)

    assert dict(traverse.attributes or {}) == {
        names.ATTR_VISITED: 1,
        names.ATTR_FAILED: 0,
        names.ATTR_LEFT_OUT: 1,
    }
    assert dict(follow.attributes or {})[names.ATTR_OUTCOME] == "cancelled"
    assert traverse.parent is None


def test_one_that_never_began_has_none(make_server: MakeServer, watched: Watched) -> None:
    site = Site(make_server)
    with services_of(watched) as services:
        services.traverse(site.url(), ITEM).close()
        assert list(services.traverse([], ITEM)) == []

    assert [span.name for span in watched.spans] == [names.SPAN_TRAVERSE]
