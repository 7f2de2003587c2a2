"""Crossing hosts: what goes along a link, who we are where it leads, and what a redirect there may.

Three origins with TLS: `a` by its address, `b` and `c` by name, on ports of their own. What went
along is read from the requests that they got.
"""

from __future__ import annotations

import base64
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sleepwalker import (
    ANONYMOUS,
    AuthError,
    BearerAuth,
    ConfigurationError,
    Connection,
    ConnectionManager,
    CredentialsError,
    CrossingError,
    DirectHook,
    LinkCredentialsError,
    RedirectError,
    RefusedError,
)
from sleepwalker.links import Link, Resource, ServiceManager
from sleepwalker.links._crossing import Crossing
from sleepwalker.observability.redaction import DEFAULT as REDACTION
from tests.servers import (
    Action,
    CertificateAuthority,
    NetrcFile,
    Request,
    ScriptedServer,
    redirect,
    respond,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OURS: Final = {
    "X-Api-Key": "key-of-a",
    "X-Tenant": "north",
    "Cookie": "session=of-a",
    "Accept": "application/hal+json",
    "User-Agent": "librarian/1",
}
"""What the caller sends along to `a`."""
BY_ALL: Final = {"host", "connection", "accept-encoding", "traceparent"}
"""The headers that every request has by itself."""


class Origin:
    """A server that other tests use too, and what it saw in this one."""

    def __init__(self, server: ScriptedServer, url: str) -> None:
        self._server, self.url = server, url
        self._before = len(server.requests)

    def answers(self, *answers: Action) -> None:
        """Give these answers, in order."""
        self._server.script(*answers)

    @property
    def requests(self) -> list[Request]:
        """What came."""
        return self._server.requests[self._before :]

    @property
    def users(self) -> list[str | None]:
        """Who came: the name and password, or the header as it is, or nobody."""
        return [_user(request.headers.get("Authorization")) for request in self.requests]


def _user(header: str | None) -> str | None:
    if header is None or not header.startswith("Basic "):
        return header
    return base64.b64decode(header.removeprefix("Basic ")).decode()


class Origins(NamedTuple):
    """Where links lead."""

    a: Origin
    b: Origin
    c: Origin


@pytest.fixture(scope="module")
def servers(ca: CertificateAuthority) -> Iterator[list[ScriptedServer]]:
    with ExitStack() as running:
        yield [
            running.enter_context(ScriptedServer(tls=ca.server_context())) for _ in Origins._fields
        ]


@pytest.fixture
def origins(
    servers: list[ScriptedServer], ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> Origins:
    """Give the three, trusted by everybody."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca.bundle))
    a, b, c = servers
    return Origins(Origin(a, a.url), Origin(b, b.localhost_url), Origin(c, c.localhost_url))


def linking(**links: Any) -> Action:
    """A document of HAL with these links: their targets, or link objects."""
    made = {rel: {"href": link} if isinstance(link, str) else link for rel, link in links.items()}
    body = json.dumps({"_links": made}).encode()
    return respond(200, {"Content-Type": "application/hal+json"}, body)


def form(target: str) -> Action:
    """A document of Siren with one action."""
    action = {"name": "order", "method": "POST", "href": target, "fields": [{"name": "title"}]}
    body = json.dumps({"actions": [{**action, "type": "application/json"}]}).encode()
    return respond(200, {"Content-Type": "application/vnd.siren+json"}, body)


def names(request: Request) -> set[str]:
    """The names of a request's headers, but for those that every request has."""
    return {name.lower() for name in request.headers} - BY_ALL


def started(
    services: ServiceManager, origins: Origins, auth: Any = ("ann", "pw-a"), **options: Any
) -> Resource:
    """A document of `a` with a link to `b`."""
    origins.a.answers(linking(next=f"{origins.b.url}/2"))
    return services.get(f"{origins.a.url}/1", auth, **options)


# --- where it leads -----------------------------------------------------------------------------

PIECES: Final = (
    *("a.example", "b.example", "127.0.0.1", "0x7f.1", "[::1]", "[", "]", "xn--", ".", ".."),
    *(":", "443", "8443", "@", "/", "\\", "?", "#", "&", ";", "*", " ", "\t", "\x00", "%"),
    *(
        "%2e",
        "%40",
        "%2f",
        "%00",
        "%61",
        "\u3002",
        "\uff0f",
        "\u2100",
        "\uff20",
        "é",
        "ß",
        "\u200d",
    ),
)
HERE: Final = "https://base.example/dir/"


@example("https://", ["%61", ".", "a.example"])
@settings(max_examples=100)
@given(
    st.sampled_from(["", "//", "https://", "https:", "/", "https://a.example", "//a.example"]),
    st.lists(st.sampled_from(PIECES), max_size=8),
)
def test_a_request_goes_to_the_origin_that_the_link_was_judged_by(
    begin: str, pieces: list[str]
) -> None:
    """Whoever reads the URL below us: `requests`, which prepares it, and the standard library."""
    rules = Crossing(
        credentials=None, netrc=False, headers=(), template_hosts=(), redaction=REDACTION
    )
    link = Link(rel="next", href=begin + "".join(pieces), base=HERE)
    try:
        target = rules.target(link, HERE, {})
        prepared = requests.Request("GET", target.url).prepare().url or ""
    except (CrossingError, requests.RequestException):
        return

    parts = urlsplit(prepared)
    read = parts.scheme.lower(), parts.hostname, parts.port or 443
    assert read == (target.origin.scheme, target.origin.host.strip("[]"), target.origin.port)


# --- headers ------------------------------------------------------------------------------------


def test_to_another_origin_goes_only_what_is_on_the_allow_list(origins: Origins) -> None:
    with ServiceManager(credentials={origins.b.url: ("bob", "pw-b")}) as services:
        started(services, origins, headers=OURS).follow("next")

    (request,) = origins.b.requests
    assert names(request) == {"authorization", "accept", "user-agent"}
    assert request.headers["Accept"] == OURS["Accept"]
    assert request.headers["User-Agent"] == OURS["User-Agent"]
    assert origins.b.users == ["bob:pw-b"]


def test_on_the_same_origin_the_callers_headers_go_along(origins: Origins) -> None:
    origins.a.answers(linking(next="/2"), linking(next=f"{origins.a.url}/3"))
    with ServiceManager() as services:
        services.get(f"{origins.a.url}/1", ("ann", "pw-a"), headers=OURS).follow("next").follow(
            "next"
        )

    sent = [{name: r.headers.get(name) for name in OURS} for r in origins.a.requests]
    assert sent == [dict(OURS)] * 3
    assert origins.a.users == ["ann:pw-a"] * 3


def test_a_header_that_may_cross_crosses_in_whatever_case(origins: Origins) -> None:
    with ServiceManager(crossing_headers=["x-TENANT"]) as services:
        started(services, origins, ANONYMOUS, headers=OURS).follow("next")

    assert names(origins.b.requests[0]) == {"accept", "user-agent", "x-tenant"}


def test_what_has_not_crossed_does_not_come_back(origins: Origins) -> None:
    """Whatever led back, it was not asked with these."""
    origins.b.answers(linking(back=f"{origins.a.url}/3"))
    with ServiceManager() as services:
        started(services, origins, ANONYMOUS, headers=OURS).follow("next").follow("back")

    assert names(origins.a.requests[1]) == {"accept", "user-agent"}


def test_headers_of_one_following_go_where_it_leads_and_on_from_there(origins: Origins) -> None:
    origins.b.answers(linking(next="/3", other=f"{origins.c.url}/4"))
    with ServiceManager() as services:
        second = started(services, origins, ANONYMOUS).follow_link(
            "next", headers={"X-Tenant": "south"}
        )
        second.follow("next")
        second.follow("other")

    assert [r.headers.get("X-Tenant") for r in origins.b.requests] == ["south", "south"]
    assert origins.c.requests[0].headers.get("X-Tenant") is None


def test_a_cookie_is_for_the_origin_that_set_it_whatever_it_says(origins: Origins) -> None:
    """Ports don't keep cookies apart (RFC 6265, section 8.5); connections do."""
    domains = ("Domain=localhost", "Path=/", "Domain=127.0.0.1", "Domain=.")
    cookies = [("Set-Cookie", f"s{n}=of-b; {given}") for n, given in enumerate(domains)]
    body = json.dumps({"_links": {"c": {"href": f"{origins.c.url}/3"}, "b": {"href": "/3"}}})
    kind = ("Content-Type", "application/hal+json")
    origins.b.answers(respond(200, [kind, *cookies], body.encode()))
    with ServiceManager() as services:
        second = started(services, origins, ANONYMOUS).follow("next")
        second.follow("c")
        second.follow("b")
        services.get(f"{origins.a.url}/4", ANONYMOUS)

    assert "s1=of-b" in (origins.b.requests[1].headers.get("Cookie") or "")
    assert [r.headers.get("Cookie") for o in (origins.a, origins.c) for r in o.requests] == [
        None
    ] * 3


@pytest.mark.parametrize("name", ["Authorization", "cookie", "HOST", "Proxy-Authorization"])
def test_what_says_who_we_are_can_not_be_let_cross(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"can't have {name}.*credentials="):
        ServiceManager(crossing_headers=["X-Tenant", name])


@pytest.mark.parametrize(
    "value", ["X-Tenant", b"X-Tenant", 5, None, [5], [None], ["X Tenant"], [""]]
)
def test_headers_that_may_cross_are_a_list_of_names(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="crossing_headers must be"):
        ServiceManager(crossing_headers=value)


# --- who we are ---------------------------------------------------------------------------------


def test_without_credentials_for_it_a_link_is_not_followed(origins: Origins) -> None:
    with ServiceManager() as services:
        first = started(services, origins)

        with pytest.raises(LinkCredentialsError) as caught:
            first.follow("next")

    error = caught.value
    assert all(isinstance(error, kind) for kind in (CrossingError, CredentialsError, RefusedError))
    assert error.message == (
        f"the link leads to {origins.b.url}, for which there are no credentials: register them, "
        f"credentials={{'{origins.b.url}': ...}}, ANONYMOUS if none are needed, or say auth=, or "
        "add an entry for it to your netrc file"
    )
    assert origins.b.requests == []


CREDENTIALS: Final[dict[str, Callable[[str], Any]]] = {
    "the origin": lambda url: {url: ("bob", "pw-b")},
    "its host": lambda _: {"localhost": ("bob", "pw-b")},
    "a pattern": lambda _: {"https://*host:*": ("bob", "pw-b")},
    "all": lambda _: {"*": ("bob", "pw-b")},
    "the first of several": lambda url: {url: ("bob", "pw-b"), "*": ("eve", "pw-e")},
    "a callable": lambda url: lambda origin: ("bob", "pw-b") if origin == url else None,
}


@pytest.mark.parametrize("how", CREDENTIALS)
def test_we_are_who_is_registered_for_the_target(how: str, origins: Origins) -> None:
    with ServiceManager(credentials=CREDENTIALS[how](origins.b.url)) as services:
        started(services, origins).follow("next")

    assert (origins.a.users, origins.b.users) == (["ann:pw-a"], ["bob:pw-b"])


@pytest.mark.parametrize(
    "pattern", ["https://localhost", "http://localhost:*", "local", "*.localhost"]
)
def test_credentials_for_another_origin_are_not_for_the_target(
    pattern: str, origins: Origins
) -> None:
    with ServiceManager(credentials={pattern: ("eve", "pw-e")}) as services:
        first = started(services, origins)
        with pytest.raises(LinkCredentialsError):
            first.follow("next")

    assert origins.b.requests == []


def test_a_callable_is_given_origins_and_nothing_else(origins: Origins) -> None:
    asked = []

    def credentials(origin: str) -> Any:
        asked.append(origin)
        return BearerAuth("token-of-all")

    with ServiceManager(credentials=credentials) as services:
        started(services, origins, None).follow("next")

    assert asked == [origins.a.url, origins.b.url]
    assert (origins.a.users, origins.b.users) == (["Bearer token-of-all"],) * 2


def test_what_a_callable_gives_must_be_an_auth(origins: Origins) -> None:
    with ServiceManager(credentials=lambda _: "sesame-open") as services:
        first = started(services, origins, ANONYMOUS)
        with pytest.raises(AuthError, match=f"credentials for {origins.b.url}") as caught:
            first.follow("next")

    assert "sesame" not in str(caught.value)
    assert origins.b.requests == []


def test_a_netrc_entry_for_the_target_is_a_credential(
    origins: Origins, netrc_file: NetrcFile
) -> None:
    netrc_file({"localhost": ("bob", "pw-b"), "default": ("eve", "pw-e")})
    with ServiceManager() as services:
        started(services, origins).follow("next")

    assert origins.b.users == ["bob:pw-b"]


def test_netrcs_default_entry_is_for_no_link(origins: Origins, netrc_file: NetrcFile) -> None:
    netrc_file({"127.0.0.1": ("ann", "pw-a"), "default": ("eve", "pw-e")})
    with ServiceManager() as services:
        first = started(services, origins, None)
        with pytest.raises(LinkCredentialsError):
            first.follow("next")

    assert (origins.a.users, origins.b.requests) == (["ann:pw-a"], [])


def test_without_netrc_it_is_asked_for_nobody(origins: Origins, netrc_file: NetrcFile) -> None:
    netrc_file(dict.fromkeys(("127.0.0.1", "localhost", "default"), ("eve", "pw-e")))
    origins.b.answers(redirect(302, f"{origins.c.url}/3"))
    with ServiceManager(netrc=False, credentials={origins.b.url: ("bob", "pw-b")}) as services:
        with pytest.raises(CredentialsError) as unknown:
            services.get(origins.a.url)
        with pytest.raises(RedirectError) as moved:
            services.get(f"{origins.b.url}/2")
        origins.a.answers(linking(next=f"{origins.c.url}/3"))
        first = services.get(origins.a.url, ("ann", "pw-a"))
        with pytest.raises(LinkCredentialsError) as caught:
            first.follow("next")

    assert "netrc" not in f"{unknown.value} {moved.value} {caught.value}"
    assert (origins.a.users, origins.b.users) == (["ann:pw-a"], ["bob:pw-b"])
    assert origins.c.requests == []


def test_whether_netrc_is_asked_is_a_yes_or_no() -> None:
    with pytest.raises(ConfigurationError, match="netrc must be True or False"):
        Connection("https://host.example", ANONYMOUS, netrc="no")  # type: ignore[arg-type]


def test_who_is_anonymous_on_purpose_stays_so(origins: Origins) -> None:
    origins.b.answers(linking(next=f"{origins.c.url}/3"))
    with ServiceManager() as services:
        started(services, origins, ANONYMOUS).follow("next").follow("next")

    assert [o.users for o in origins] == [[None], [None], [None]]


def test_but_for_where_credentials_are_registered(origins: Origins) -> None:
    origins.b.answers(linking(next=f"{origins.c.url}/3"))
    with ServiceManager(credentials={origins.b.url: ("bob", "pw-b")}) as services:
        second = started(services, origins, ANONYMOUS).follow("next")
        with pytest.raises(LinkCredentialsError):
            second.follow("next")

    assert [o.users for o in origins] == [[None], ["bob:pw-b"], []]


def test_back_to_a_service_on_the_way_we_are_who_we_were_there(origins: Origins) -> None:
    origins.b.answers(linking(next=f"{origins.c.url}/3"))
    origins.c.answers(linking(a=f"{origins.a.url}/4", b=f"{origins.b.url}/4"))
    with ServiceManager(credentials={origins.c.url: ("cyd", "pw-c")}) as services:
        second = started(services, origins).follow_link("next", auth=("bob", "pw-b"))
        third = second.follow("next")
        third.follow("a")
        third.follow("b")

    assert [o.users for o in origins] == [["ann:pw-a"] * 2, ["bob:pw-b"] * 2, ["cyd:pw-c"]]


def test_who_says_who_we_are_wins(origins: Origins) -> None:
    with ServiceManager(credentials={"*": ("eve", "pw-e")}) as services:
        first = started(services, origins)
        first.follow_link("next", auth=("bob", "pw-b"))
        first.follow_link("next", auth=ANONYMOUS)

    assert origins.b.users == ["bob:pw-b", None]


def test_credentials_in_a_header_of_the_callers_stay_at_home(origins: Origins) -> None:
    with ServiceManager() as services:
        first = started(
            services, origins, ANONYMOUS, headers={"Authorization": "Bearer token-of-a"}
        )
        first.follow("next")

    assert (origins.a.users, origins.b.users) == (["Bearer token-of-a"], [None])


# --- what is sent -------------------------------------------------------------------------------


def ordering(services: ServiceManager, origins: Origins, auth: Any) -> Resource:
    """A document of `a` with a form for `b`."""
    origins.a.answers(form(f"{origins.b.url}/orders"))
    return services.get(f"{origins.a.url}/1", auth)


def test_a_form_crosses_to_where_credentials_are_registered(origins: Origins) -> None:
    with ServiceManager(credentials={origins.b.url: ("bob", "pw-b")}) as services:
        ordering(services, origins, ("ann", "pw-a")).act("order", {"title": "Solaris"})

    (request,) = origins.b.requests
    assert (request.method, request.json()) == ("POST", {"title": "Solaris"})
    assert origins.b.users == ["bob:pw-b"]


@pytest.mark.parametrize("auth", [ANONYMOUS, ("ann", "pw-a")])
def test_a_form_crosses_to_nowhere_else(auth: Any, origins: Origins, netrc_file: NetrcFile) -> None:
    if auth is not ANONYMOUS:
        netrc_file({"localhost": ("bob", "pw-b")})
    with ServiceManager() as services:
        first = ordering(services, origins, auth)
        with pytest.raises(LinkCredentialsError, match="take there what is sent") as caught:
            first.act("order", {"title": "Solaris"})

    assert f"credentials={{'{origins.b.url}': ...}}" in str(caught.value)
    assert origins.b.requests == []


@pytest.mark.parametrize("auth", [ANONYMOUS, ("ann", "pw-a")])
def test_to_have_been_there_is_not_to_be_vouched_for(
    auth: Any, origins: Origins, netrc_file: NetrcFile
) -> None:
    if auth is not ANONYMOUS:
        netrc_file({"localhost": ("bob", "pw-b")})
    origins.b.answers(linking(back=f"{origins.a.url}/3"))
    with ServiceManager() as services:
        first = started(services, origins, auth)
        origins.a.answers(form(f"{origins.b.url}/orders"))
        back = first.follow("next").follow("back")
        with pytest.raises(LinkCredentialsError, match="take there what is sent"):
            back.act("order", {"title": "Solaris"})

    assert [r.method for r in origins.b.requests] == ["GET"]


def test_a_form_goes_back_to_a_service_that_the_caller_began_with(origins: Origins) -> None:
    origins.b.answers(form(f"{origins.a.url}/orders"))
    with ServiceManager(credentials={origins.b.url: ("bob", "pw-b")}) as services:
        started(services, origins).follow("next").act("order", {"title": "Solaris"})

    assert [(r.method, r.target) for r in origins.a.requests] == [
        ("GET", "/1"),
        ("POST", "/orders"),
    ]
    assert origins.a.users == ["ann:pw-a"] * 2


def test_a_form_crosses_to_where_the_caller_says_who_we_are(origins: Origins) -> None:
    with ServiceManager() as services:
        ordering(services, origins, ANONYMOUS).act("order", {"title": "x"}, auth=ANONYMOUS)

    assert [r.json() for r in origins.b.requests] == [{"title": "x"}]


def test_what_a_redirect_has_moved_is_changed_where_it_is_by_the_rules_for_links(
    origins: Origins,
) -> None:
    origins.a.answers(redirect(302, f"{origins.b.url}/2"))
    with ServiceManager() as services:
        moved = services.get(f"{origins.a.url}/1", ANONYMOUS)
        assert moved.url == f"{origins.b.url}/2"
        with pytest.raises(LinkCredentialsError):
            moved.put({"title": "Solaris"})
        moved.refresh()

    assert [(r.method, r.target) for r in origins.b.requests] == [("GET", "/2"), ("GET", "/2")]
    assert len(origins.a.requests) == 1


# --- redirects of what a link leads to ----------------------------------------------------------


def redirected(origins: Origins) -> None:
    """Let `b` redirect to `c`."""
    origins.b.answers(redirect(302, f"{origins.c.url}/3"))


def test_a_redirect_behind_a_link_takes_the_third_ones_credentials_and_nothing_else(
    origins: Origins,
) -> None:
    redirected(origins)
    credentials = {origins.b.url: ("bob", "pw-b"), origins.c.url: ("cyd", "pw-c")}
    with ServiceManager(credentials=credentials, crossing_headers=["X-Tenant"]) as services:
        found = started(services, origins, headers=OURS).follow("next")

    assert found.url == f"{origins.c.url}/3"
    assert [o.users for o in origins] == [["ann:pw-a"], ["bob:pw-b"], ["cyd:pw-c"]]
    assert names(origins.b.requests[0]) == {"authorization", "accept", "user-agent", "x-tenant"}
    # What may cross by a link is the manager's; by a redirect it is the connection's, and less.
    assert names(origins.c.requests[0]) == {"authorization", "accept", "user-agent"}


@pytest.mark.parametrize("kind", ["map", "callable"])
def test_a_redirect_to_where_there_are_no_credentials_is_not_followed(
    kind: str, origins: Origins
) -> None:
    redirected(origins)
    known = {origins.b.url: ("bob", "pw-b")}
    with ServiceManager(credentials=known if kind == "map" else known.get) as services:
        first = started(services, origins)
        with pytest.raises(RedirectError, match=f"redirected to another origin, {origins.c.url}"):
            first.follow("next")

    assert (origins.b.users, origins.c.requests) == (["bob:pw-b"], [])


def test_a_callable_is_not_asked_for_where_a_redirect_leads(origins: Origins) -> None:
    """The connections know a map; where only a callable knows, a redirect ends."""
    redirected(origins)
    asked = []

    def credentials(origin: str) -> Any:
        asked.append(origin)
        return ("all", "pw")

    with ServiceManager(credentials=credentials) as services:
        first = started(services, origins)
        with pytest.raises(RedirectError):
            first.follow("next")

    assert origins.c.url not in asked
    assert origins.c.requests == []


def test_an_anonymous_redirect_behind_a_link_stays_anonymous(origins: Origins) -> None:
    redirected(origins)
    with ServiceManager(credentials=lambda _: None) as services:
        started(services, origins, ANONYMOUS, headers=OURS).follow("next")

    assert origins.c.users == [None]
    assert names(origins.c.requests[0]) == {"accept", "user-agent"}


def test_with_the_callers_connections_it_is_their_hook_who_knows_of_redirects(
    origins: Origins,
) -> None:
    known = {origins.b.url: ("bob", "pw-b"), origins.c.url: ("cyd", "pw-c")}
    outcomes = []
    for hook in (DirectHook(), DirectHook(credentials=known)):
        redirected(origins)
        with ConnectionManager(hooks=[hook]) as connections:
            first = started(ServiceManager(connections, credentials=known), origins)
            try:
                outcomes.append(first.follow("next").url)
            except RedirectError:
                outcomes.append("refused")

    assert outcomes == ["refused", f"{origins.c.url}/3"]
    assert origins.c.users == ["cyd:pw-c"]


def test_a_document_that_a_redirect_led_to_links_by_its_own_url(origins: Origins) -> None:
    """`a` redirects to `b`, whose relative link leads to `b`: as whom is decided there."""
    origins.a.answers(redirect(302, f"{origins.b.url}/dir/2"))
    origins.b.answers(linking(next="3"), linking())
    credentials = {origins.a.url: ("ann", "pw-a"), origins.b.url: ("bob", "pw-b")}
    with ServiceManager(credentials=credentials) as services:
        services.get(f"{origins.a.url}/1", headers=OURS).follow("next")

    assert [(r.target, names(r)) for r in origins.b.requests] == [
        ("/dir/2", {"authorization", "accept", "user-agent"}),
        ("/dir/3", {"authorization", "accept", "user-agent"}),
    ]
    assert origins.b.users == ["bob:pw-b"] * 2
