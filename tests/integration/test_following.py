"""Following a link by hand: what is found, what is told, and how it ends."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, Final

import pytest
from opentelemetry import context

from sleepwalker import (
    ANONYMOUS,
    ConfigurationError,
    Connection,
    ConnectionManager,
    DirectHook,
    DowngradeError,
    EstablishmentError,
    HTTPNotFound,
    ReadTimeout,
    URLError,
)
from sleepwalker.links import ServiceManager
from sleepwalker.observability import names
from sleepwalker.observability.events import LinkFollowed
from tests.servers import CertificateAuthority, ScriptedServer, respond
from tests.telemetry import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.observability.events import Event


@pytest.fixture
def watched(ca: CertificateAuthority) -> Watched:
    """Give instruments of this test's own."""
    return Watched(ca)


@pytest.fixture
def manager(watched: Watched, ca: CertificateAuthority) -> Iterator[ConnectionManager]:
    """Give a manager that connects to everything."""
    hook = DirectHook(verify=str(ca.bundle), clock=watched.clock)
    with ConnectionManager(hooks=[hook], clock=watched.clock, **watched.instruments) as made:
        yield made


def follows(watched: Watched, cross_host: str, outcome: str, host: str) -> float | None:
    """How many followings were counted."""
    return watched.value(
        names.LINK_FOLLOWS, host=host, auth="none", cross_host=cross_host, outcome=outcome
    )


def test_a_link_to_another_host_is_followed_with_the_connection_to_it(
    manager: ConnectionManager,
    watched: Watched,
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer],
) -> None:
    books, authors = two_tls_hosts
    authors.default = respond(json={"name": "Lem"})
    response = manager.find(books.url, ANONYMOUS).request("GET", "/books/1")
    link = f"{authors.url}/authors/7?token=abcdefgh"

    with manager.following("author", link, ANONYMOUS, source=response) as conn:
        assert conn.json_request("GET", link) == {"name": "Lem"}

    assert conn is manager.find(authors.url, ANONYMOUS)
    (follow,) = watched.named("sleepwalker.follow")
    document, request = watched.named("sleepwalker.request")
    assert dict(follow.attributes or {}) == {
        "sleepwalker.link.relation": "author",
        "sleepwalker.link.source_host": books.url,
        "sleepwalker.link.target_host": authors.url,
        "sleepwalker.link.cross_host": True,
        "sleepwalker.outcome": "success",
    }
    assert [link.context for link in follow.links] == [document.context]
    assert follow.context is not None
    assert {s.name for s in watched.spans if s.parent == follow.context} == {
        "sleepwalker.connect",
        "sleepwalker.request",
    }
    assert request.parent == follow.context
    assert follows(watched, "true", "success", authors.url) == 1
    (line,) = (line for line in watched.lines if line["event"] == "link.cross_host")
    assert (line["level"], line["relation"], line["host"]) == ("debug", "author", authors.url)
    assert line["span_id"] == format(follow.context.span_id, "016x")


def test_one_on_the_same_host_is_told_as_such(
    manager: ConnectionManager, watched: Watched, tls_server: ScriptedServer
) -> None:
    link = f"{tls_server.url}/2"
    with manager.following("next", link, ANONYMOUS, source=f"{tls_server.url}/1") as conn:
        conn.json_request("GET", link)

    (follow,) = watched.named("sleepwalker.follow")
    assert follow.attributes is not None
    assert follow.attributes["sleepwalker.link.cross_host"] is False
    assert not follow.links
    assert follows(watched, "false", "success", tls_server.url) == 1
    assert all(line["event"] != "link.cross_host" for line in watched.lines)


ENDINGS: Final[dict[str, tuple[BaseException | None, type[BaseException], str]]] = {
    "status": (None, HTTPNotFound, "error"),
    "url": (URLError("no"), URLError, "refused"),
    "read_timeout": (ReadTimeout("slow"), ReadTimeout, "timeout"),
    "other": (KeyError("of the user's"), KeyError, "error"),
    "interrupt": (KeyboardInterrupt(), KeyboardInterrupt, "cancelled"),
}


@pytest.mark.parametrize("error_type", ENDINGS)
def test_how_it_ended_is_told(
    error_type: str, manager: ConnectionManager, watched: Watched, tls_server: ScriptedServer
) -> None:
    raised, kind, outcome = ENDINGS[error_type]
    tls_server.default = respond(404)
    following = manager.following("up", tls_server.url, ANONYMOUS, source="https://a.example")

    def follow() -> None:
        with following as conn:
            if raised is not None:
                raise raised
            conn.json_request("GET", "/")

    with pytest.raises(kind):
        follow()

    (span,) = watched.named("sleepwalker.follow")
    assert span.attributes is not None
    assert span.attributes["sleepwalker.outcome"] == outcome
    assert span.attributes["error.type"] == {"interrupt": "other"}.get(error_type, error_type)
    assert follows(watched, "true", outcome, tls_server.url) == 1


def test_a_host_that_cannot_be_reached_is_told_too(watched: Watched) -> None:
    with ConnectionManager(**watched.instruments) as manager:
        following = manager.following(
            "up", "https://b.example/", ANONYMOUS, source="https://a.example"
        )
        with pytest.raises(EstablishmentError), following:
            raise AssertionError("there is no connection")

    assert follows(watched, "true", "error", "https://b.example") == 1
    (line,) = (line for line in watched.lines if line["event"] == "link.cross_host")
    assert (line["level"], line["error_type"]) == ("info", "establishment")


def test_a_host_may_be_known_by_a_name_of_its_own(
    watched: Watched, tls_server: ScriptedServer, manager: ConnectionManager
) -> None:
    own = watched.connection(tls_server.url, auth_label="reader")
    manager.add("books", ANONYMOUS, own)

    link = f"{tls_server.url}/"
    following = manager.following("item", link, ANONYMOUS, source=link, host="books")
    with following as conn:
        assert conn is own

    assert watched.value(
        names.LINK_FOLLOWS, host="books", auth="reader", cross_host="false", outcome="success"
    )


def test_an_interrupt_in_an_instrument_leaves_the_callers_context(
    watched: Watched, tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    class Interrupts:
        def record(self, event: Event) -> None:
            if isinstance(event, LinkFollowed):
                raise KeyboardInterrupt

    hook = DirectHook(verify=str(ca.bundle), clock=watched.clock)
    instruments = {**watched.instruments, "observers": (Interrupts(),)}
    before = context.get_current()
    with ConnectionManager(hooks=[hook], clock=watched.clock, **instruments) as manager:
        link = tls_server.url
        following = manager.following("next", link, ANONYMOUS, source=link)
        with pytest.raises(KeyboardInterrupt), following as conn:
            conn.json_request("GET", "/")

    assert context.get_current() == before
    assert len(watched.named("sleepwalker.follow")) == 1


@pytest.mark.parametrize(
    ("relation", "target", "source", "error"),
    [
        ("", "https://b.example", "https://a.example", ConfigurationError),
        (None, "https://b.example", "https://a.example", ConfigurationError),
        ("up", "/relative", "https://a.example", URLError),
        ("up", "ftp://b.example", "https://a.example", URLError),
        ("up", "https://user:secretly@b.example", "https://a.example", URLError),
        ("up", "https://b.example", None, URLError),
        ("up", 7, "https://a.example", URLError),
    ],
)
def test_what_can_not_be_followed_is_refused_at_once(
    relation: Any, target: Any, source: Any, error: type[Exception], manager: ConnectionManager
) -> None:
    with pytest.raises(error) as caught:
        manager.following(relation, target, ANONYMOUS, source=source)

    assert "secretly" not in str(caught.value)


def test_a_pickled_response_has_forgotten_its_span(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    response = watched.connection(tls_server.url).request("GET", "/")

    assert "sleepwalker_span" in vars(response)
    assert "sleepwalker_span" not in vars(pickle.loads(pickle.dumps(response)))  # noqa: S301 - our own


def test_without_spans_a_response_knows_none(tls_server: ScriptedServer, watched: Watched) -> None:
    conn: Connection = watched.connection(tls_server.url, tracer_provider=False)

    assert "sleepwalker_span" not in vars(conn.request("GET", "/"))


def test_that_a_link_is_deprecated_is_told_whenever_it_is_followed(
    manager: ConnectionManager, watched: Watched, tls_server: ScriptedServer
) -> None:
    tls_server.script(
        respond(
            json={
                "_links": {
                    "old": {"href": "/old", "deprecation": "https://docs.example/?key=s3cret99"},
                    "new": {"href": "/new"},
                }
            },
            headers={"Content-Type": "application/hal+json"},
        ),
        respond(json={}),
        respond(json={}),
    )
    with ServiceManager(manager) as services:
        document = services.get(f"{tls_server.url}/", ANONYMOUS)
        document.follow("new")
        document.follow("old")

    (line,) = [line for line in watched.lines if line["event"] == names.EVENT_LINK_DEPRECATED]
    assert (line["level"], line["relation"]) == ("warning", "old")
    assert "s3cret99" not in str(watched.lines)


def test_a_link_that_is_refused_is_told_of_the_pool_that_gave_the_document(
    manager: ConnectionManager, watched: Watched, tls_server: ScriptedServer
) -> None:
    tls_server.script(
        respond(
            json={"_links": {"plain": {"href": "http://127.0.0.1:9/"}}},
            headers={"Content-Type": "application/hal+json"},
        )
    )
    with ServiceManager(manager) as services:
        document = services.get(f"{tls_server.url}/", ("ann", "secret-of-ann"))
        with pytest.raises(DowngradeError):
            document.follow("plain")

    (counted,) = (s for s in watched.samples() if s.startswith(names.LINK_FOLLOWS))
    assert 'auth="basic"' in counted
    assert 'outcome="refused"' in counted
