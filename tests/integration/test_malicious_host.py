"""A malicious host is tried: whatever it says, nothing leaks, and each trick gets its error.

`evil` is a service that we have credentials for; it knows these, and whatever else it was sent, and
tells them back. `good` and `third` are other services, `clear` one without TLS. All of a module's
tricks are played upon one `ServiceManager`, whose telemetry is searched when they are over.

Rules:

1. Each trick has its own error, whose message says the rule and, where it can be, how to allow it.
2. What a trick was to reach has got no request; `clear` not even a connection.
3. A secret is made at run time, and is in no error, pickle, span, metric, log line, event or repr.
"""

from __future__ import annotations

import itertools
import json
import pickle
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client import generate_latest

from sleepwalker import (
    ANONYMOUS,
    ConnectionManager,
    DirectHook,
    DowngradeError,
    HTTPNotFound,
    LinkCredentialsError,
    LinkError,
    LinkLoopError,
    LinkURLError,
    PrivateAddressError,
    RedirectError,
    RelationError,
    SleepwalkerException,
    TemplateError,
    TemplateHostError,
    TooManyHopsError,
    TooManyRedirects,
)
from sleepwalker.connection import AddressGuard
from sleepwalker.links import Link, Resource, ServiceManager
from sleepwalker.observability import names
from tests.planting import everything_in, leaks, new_secret
from tests.resolver import Resolver
from tests.servers import (
    Action,
    CertificateAuthority,
    Request,
    ScriptedServer,
    redirect,
    respond,
)
from tests.telemetry import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

HAL: Final = "application/hal+json"
OWN: Final = frozenset({"host", "connection", "accept-encoding", "traceparent"})
"""The headers that every request has by itself."""


class World:
    """The hosts, the secrets, and the services under test."""

    def __init__(self, ca: CertificateAuthority, exits: ExitStack) -> None:
        self.good, self.evil, self.third = (
            exits.enter_context(ScriptedServer(tls=ca.server_context())) for _ in range(3)
        )
        self.clear = exits.enter_context(ScriptedServer())
        self.secrets = {
            place: new_secret() for place in ("password", "api key", "cookie", "good's", "third's")
        }
        self.watched = Watched()
        self.auths = {
            self.evil.localhost_url: ("mallory", self.secrets["password"]),
            self.good.url: ("ann", self.secrets["good's"]),
            # `third` is known by its address alone: links to it by name have no credentials.
            self.third.url: ("cyd", self.secrets["third's"]),
        }
        self.guard = AddressGuard(allow=["127.0.0.1/32"])
        hook = DirectHook(credentials=self.auths, verify=str(ca.bundle), guard=self.guard)
        self.connections = exits.enter_context(
            ConnectionManager(hooks=[hook], **self.watched.instruments)
        )
        self.services = self.manager()
        self.shown: list[object] = [self.services, self.connections, self.guard]
        self.told: list[str] = []
        """What errors have told."""

    def manager(self, **options: Any) -> ServiceManager:
        """Services over the same connections."""
        given = {"credentials": self.auths, "guard": self.guard, **options}
        return ServiceManager(self.connections, **given)

    def at_evil(self, answer: Action, services: ServiceManager | None = None) -> Resource:
        """A document of `evil`, which gets to know secrets, and sets one as a cookie."""
        self.evil.script(answer)
        found = (services or self.services).get(
            f"{self.evil.localhost_url}/1", headers={"X-Api-Key": self.secrets["api key"]}
        )
        self.shown.append(found)
        return found

    def filled(self, text: str) -> str:
        """A text with names of hosts, and with a secret that is told back."""
        hosts = {
            "EVIL": self.evil.localhost_url,
            "GOOD": self.good.url,
            "THIRD": self.third.localhost_url,
            "CLEAR": self.clear.url,
            "THIRDS_PORT": str(self.third.port),
            "PASSWORD": self.secrets["password"],
        }
        for name in sorted(hosts, key=len, reverse=True):
            text = text.replace(f"<{name}>", hosts[name])
        return text

    def others(self) -> list[int]:
        """How much the others have seen, and `clear` of connections."""
        seen = [len(server.requests) for server in (self.good, self.third, self.clear)]
        return [*seen, len(self.clear.connections)]

    def refused(self, kind: type[SleepwalkerException], act: Any) -> SleepwalkerException:
        """Do what must not work, and reach nobody by it; the error, which tells no secret."""
        before, to_evil = self.others(), len(self.evil.requests)
        with pytest.raises(SleepwalkerException) as caught:
            act()
        assert type(caught.value) is kind
        assert self.others() == before
        assert len(self.evil.requests) == to_evil
        return self.tells_nothing(caught.value)

    def tells_nothing(self, error: SleepwalkerException) -> SleepwalkerException:
        """Look through an error, and keep what it tells."""
        pickled = pickle.dumps(error).decode("latin-1")
        texts = [str(error), repr(error), pickled, *everything_in(error)]
        assert leaks(self.secrets, texts) == []
        assert len(str(error)) < 20_000
        self.told.append(str(error))
        return error

    def outputs(self) -> dict[str, list[str]]:
        """All that telemetry and reprs tell."""
        watched = self.watched
        return {
            "spans": [span.to_json() for span in watched.spans],
            "metrics": [generate_latest(watched.registry).decode()],
            "log lines": [*map(repr, watched.lines)],
            "events": [*map(repr, watched.events)],
            "reprs": [*map(repr, self.shown)],
        }


def hal(links: dict[str, Any], **more: Any) -> Action:
    """A document of HAL with these links."""
    made = {rel: {"href": link} if isinstance(link, str) else link for rel, link in links.items()}
    return respond(200, {"Content-Type": HAL}, json.dumps({"_links": made, **more}).encode())


def headers(request: Request) -> set[str]:
    """The names of a request's headers, but for those that every request has."""
    return {name.lower() for name in request.headers} - OWN


@pytest.fixture(scope="module")
def world(ca: CertificateAuthority) -> Iterator[World]:
    with ExitStack() as exits:
        made = World(ca, exits)
        made.evil.default = respond(404)
        # So that there is a cookie too, which later requests to `evil` take along.
        cookie = {"Set-Cookie": f"session={made.secrets['cookie']}; Secure"}
        made.at_evil(respond(204, cookie))
        yield made
        for kind, texts in made.outputs().items():
            assert leaks(made.secrets, texts) == [], kind
            assert made.evil.localhost_url in "".join(texts), kind
        # The secrets were really there to be told.
        seen = repr([dict(request.headers) for request in made.evil.requests])
        assert all(made.secrets[place] in seen for place in ("api key", "cookie"))


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    made = Resolver(monkeypatch)
    made.knows("localhost", "127.0.0.1")
    return made


pytestmark = pytest.mark.usefixtures("resolver")


# --- links that are none ------------------------------------------------------------------------

NO_LINKS: Final = {
    "file": "file:///etc/passwd",
    "ftp": "ftp://<THIRD>/x",
    "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "javascript": "JaVaScRiPt:alert(1)",
    "javascript behind spaces": "   javascript:alert(1)",
    "data": "data:application/json,{}",
    "mailto": "mailto:ann@good.example",
    "websocket": "wss://127.0.0.1/x",
    "a secret as a scheme": "x<PASSWORD>:alert(1)",
    "a secret that is told back": "x-<PASSWORD>:",
    "http without slashes": "http:good.example",
    "userinfo": "https://ann:<PASSWORD>@localhost:<THIRDS_PORT>/",
    "a user": "//ann@localhost:<THIRDS_PORT>/",
    "userinfo like a host": "https://127.0.0.1@localhost:<THIRDS_PORT>/",
    "userinfo like a port": "https://localhost:443@127.0.0.1:<THIRDS_PORT>/",
    "a line break": "/2\r\nX-Evil: 1\r\n\r\nGET /3 HTTP/1.1",
    "a line break in the host": "https://local\nhost:<THIRDS_PORT>/",
    "a tab in the scheme": "h\tttps://localhost:<THIRDS_PORT>/",
    "a tab before it": "\thttps://localhost:<THIRDS_PORT>/",
    "NUL": "/2\x00",
    "DEL": "/2\x7f",
    "backslashes for slashes": "\\\\localhost:<THIRDS_PORT>\\2",
    "a slash and a backslash": "/\\localhost:<THIRDS_PORT>/2",
    "a backslash before an at": "https://localhost:<THIRDS_PORT>\\@127.0.0.1/",
    "a space in the host": "https://local host:<THIRDS_PORT>/",
    "half an address": "https://[::1",
    "an address and more": "https://[::1].evil.example/",
    "a port that is none": "https://localhost:port/",
    "a port too high": "https://localhost:99999/",
    "port 0": "https://localhost:0/",
    "no host": "https://:443/",
    "a dot for a host": "https://.example/",
    "a star for a host": "https://*.example/",
    "a host that Unicode makes into two": "https://good.example\u2100.evil.example/",
    "a host that Unicode makes into userinfo": "https://good.example\uff20evil.example/",
    "an at that is encoded in userinfo": "https://ann%40x:<PASSWORD>@localhost:<THIRDS_PORT>/",
    "a dot that is encoded": "https://127%2e0%2e0%2e1:<THIRDS_PORT>/",
    "a letter that is encoded": "https://local%68ost:<THIRDS_PORT>/",
    "a slash that is encoded in the host": "https://good.example%2f.evil.example/",
    "an at that is encoded in the host": "https://good.example%40evil.example/",
    "what no name has": "https://good^example/",
    "a long host": "https://" + "a" * 256 + "/",
    "a long path": "/" + "a" * 70_000,
    "a long query with a secret": "/?token=<PASSWORD>&x=" + "<PASSWORD>" * 3000,
}


@pytest.mark.parametrize("trick", NO_LINKS)
def test_what_is_no_http_url_without_userinfo_is_not_followed(trick: str, world: World) -> None:
    found = world.at_evil(hal({"next": world.filled(NO_LINKS[trick])}))

    error = world.refused(LinkURLError, lambda: found.follow("next"))

    assert error.message.startswith("the link 'next' ")
    assert error.error_type == "url"


@pytest.mark.parametrize(
    ("href", "target"),
    [
        ("https:", "/1"),
        ("https:2", "/2"),
        ("///localhost:1/2", "/localhost:1/2"),
        ("////localhost:1/2", "//localhost:1/2"),
        ("/../../2", "/2"),
        ("/2?next=https://localhost:1/", "/2?next=https://localhost:1/"),
        ("/https://localhost:1/", "/https://localhost:1/"),
        ("/2#https://localhost:1/", "/2"),
        ("  /2  ", "/2"),
    ],
)
def test_what_only_looks_like_another_host_is_a_path_of_the_documents(
    href: str, target: str, world: World
) -> None:
    found, before = world.at_evil(hal({"next": href})), world.others()
    world.evil.script(respond(204))

    found.follow("next")

    # How many slashes it begins with depends on the version of the layers below.
    assert world.evil.requests[-1].target.lstrip("/") == target.lstrip("/")
    assert world.others() == before


# --- where they lead ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "href",
    [
        "<THIRD>/2",
        "//localhost:<THIRDS_PORT>/2",
        "HTTPS://LOCALHOST:<THIRDS_PORT>/2",
        "https://localhost.:<THIRDS_PORT>/2",
        "https://127.1:<THIRDS_PORT>/2",
        "https://2130706433:<THIRDS_PORT>/2",
        "https://x<PASSWORD>.example/",
        "https://xn--80ak6aa92e.example/",
        "https://\u0430pple.example/",
    ],
)
def test_a_link_to_a_host_without_credentials_is_not_followed(href: str, world: World) -> None:
    found = world.at_evil(hal({"next": world.filled(href)}))

    error = world.refused(LinkCredentialsError, lambda: found.follow("next"))

    assert "credentials={'https://" in error.message
    assert "ANONYMOUS" in error.message


@pytest.mark.parametrize(
    "href", ["<CLEAR>/2", "http://localhost:<THIRDS_PORT>/2", "HTTP://x.example"]
)
def test_https_never_becomes_http(href: str, world: World) -> None:
    found = world.at_evil(hal({"next": world.filled(href)}))
    anybody = world.manager(credentials={"*": ANONYMOUS})
    other = world.at_evil(hal({"next": world.filled(href)}), anybody)

    for act in (
        lambda: found.follow("next"),
        lambda: found.act("next"),
        lambda: found.follow_link("next", auth=ANONYMOUS),
        lambda: other.follow("next"),
    ):
        error = world.refused(DowngradeError, act)
        assert "https to plain http" in error.message


def test_what_is_embedded_can_not_say_that_it_came_by_http(world: World) -> None:
    """It is a part of the document, which did not."""
    clear = world.clear.url
    inside = {"_links": {"self": {"href": f"{clear}/x"}, "next": {"href": f"{clear}/2"}}}
    found = world.at_evil(hal({}, _embedded={"item": inside}))
    (item,) = found.embedded("item")
    assert item.url == f"{world.clear.url}/x"

    world.refused(DowngradeError, lambda: item.follow("next"))
    world.refused(DowngradeError, item.refresh)
    world.refused(DowngradeError, lambda: item.put({"title": "x"}))
    world.refused(DowngradeError, lambda: found.follow("item"))


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "ftp://x.example/", "https://[::1", "https://ann:pw@x.example/"]
)
def test_what_is_embedded_nowhere_is_where_it_stands(href: str, world: World) -> None:
    inside = {"_links": {"self": {"href": href}, "next": {"href": "/2"}}}
    found = world.at_evil(hal({}, _embedded={"item": inside}))
    (item,) = found.embedded("item")
    world.evil.script(respond(204))

    item.follow("next")

    assert item.url == found.url
    assert world.evil.requests[-1].target == "/2"


def test_a_document_that_says_it_is_anothers_is_still_of_who_gave_it(world: World) -> None:
    """Its own headers don't follow to where `self` and `anchor` say that it is."""
    good, before = world.good.url, len(world.good.requests)
    anchored = {"Link": f'</secret>; rel="next"; anchor="{good}/x"', "Content-Type": HAL}
    body = json.dumps({"_links": {"self": {"href": f"{good}/x"}, "2": {"href": f"{good}/2"}}})
    found = world.at_evil(respond(200, anchored, body.encode()))
    world.shown += found.links.flat()

    assert found.url == f"{world.evil.localhost_url}/1"
    world.refused(RelationError, lambda: found.follow("next"))
    found.follow("2")

    (request,) = world.good.requests[before:]
    assert headers(request) == {"authorization", "accept", "user-agent"}
    assert world.secrets["password"] not in repr(dict(request.headers))


FORMATS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "HAL": (HAL, {"_links": {"next": {"href": "<URL>"}}}),
    "HAL, embedded": (HAL, {"_embedded": {"next": {"_links": {"self": {"href": "<URL>"}}}}}),
    "JSON:API": ("application/vnd.api+json", {"data": [], "links": {"next": "<URL>"}}),
    "Siren": ("application/vnd.siren+json", {"links": [{"rel": ["next"], "href": "<URL>"}]}),
    "OData": ("application/json;odata.metadata=minimal", {"value": [], "@odata.nextLink": "<URL>"}),
    "Link header": ("text/plain", {}),
}


@pytest.mark.parametrize("form", FORMATS)
def test_the_rules_are_the_same_whatever_the_format(form: str, world: World) -> None:
    kind, document = FORMATS[form]
    tricks: dict[str, type[SleepwalkerException]] = {
        f"{world.third.localhost_url}/2": LinkCredentialsError,
        f"//localhost:{world.third.port}/2": LinkCredentialsError,
        f"{world.clear.url}/2": DowngradeError,
        f"https://ann@localhost:{world.third.port}/2": LinkURLError,
        "javascript:alert(1)": LinkURLError,
    }
    for url, error in tricks.items():
        body = json.dumps(document).replace("<URL>", url).encode()
        link = {"Link": f'<{url}>; rel="next"'} if form == "Link header" else {}
        found = world.at_evil(respond(200, {"Content-Type": kind, **link}, body))

        world.refused(error, lambda: found.follow("next"))  # noqa: B023 - at once


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.2", "127.0.0.2"),
        ("[::1]", "::1"),
        ("0", "0.0.0.0"),  # noqa: S104 - nobody listens there
        ("2852039166", "169.254.169.254"),
        ("0xa9.0xfe.0xa9.0xfe", "169.254.169.254"),
        ("0251.0376.0251.0376", "169.254.169.254"),
        ("[::ffff:a9fe:a9fe]", "::ffff:169.254.169.254"),
        ("[64:ff9b::a9fe:a9fe]", "64:ff9b::a9fe:a9fe"),
        ("[2002:a9fe:a9fe::1]", "2002:a9fe:a9fe::1"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
        ("168.63.129.16", "168.63.129.16"),
        ("100.100.100.200", "100.100.100.200"),
        ("192.0.0.192", "192.0.0.192"),
        ("metadata.example", "169.254.169.254"),
        ("mixed.example", "10.0.0.7"),
    ],
)
def test_no_link_leads_inside_though_all_hosts_are_trusted(
    host: str, address: str, world: World, resolver: Resolver
) -> None:
    resolver.knows("metadata.example", "169.254.169.254")
    resolver.knows("mixed.example", ("127.0.0.1", "10.0.0.7"))
    found = world.at_evil(
        hal({"next": f"https://{host}/latest/meta-data/"}),
        world.manager(credentials={"*": ANONYMOUS}),
    )

    error = world.refused(PrivateAddressError, lambda: found.follow("next"))

    said = str(error).replace("::ffff:a9fe:a9fe", "::ffff:169.254.169.254")
    assert f"{address}, which is not global unicast" in said
    assert "AddressGuard(allow=[" in said


def test_an_answer_of_the_resolver_that_changes_reaches_nobody(
    world: World, resolver: Resolver
) -> None:
    """Between check and use it can't, since it is asked once; after that it is checked anew."""
    resolver.knows("localhost", "127.0.0.1")
    found = world.at_evil(hal({"next": f"{world.third.localhost_url}/2"}))
    resolver.knows("localhost", "127.0.0.1", "10.0.0.7")
    asked, before = len(resolver.asked), len(world.third.requests)
    third = found.follow_link("next", auth=ANONYMOUS)
    assert len(resolver.asked) - asked == 1

    third.service.conn.close()
    third.service.conn.session.close()
    with pytest.raises(PrivateAddressError) as caught:
        third.refresh()

    world.tells_nothing(caught.value)
    assert len(world.third.requests) - before == 1


# --- templates ----------------------------------------------------------------------------------

TEMPLATES: Final[dict[str, tuple[str, dict[str, Any], type[SleepwalkerException]]]] = {
    "all of it": ("{+url}", {"url": "<THIRD>/2"}, TemplateHostError),
    "all of it, without a scheme": ("{+url}", {"url": "//x.example/"}, TemplateHostError),
    "two halves": ("{+a}{+b}", {"a": "https:", "b": "//x.example"}, TemplateHostError),
    "the host": ("https://{host}/2", {"host": "x.example"}, TemplateHostError),
    "the host and port": ("https://{+host}/2", {"host": "x.example:8443"}, TemplateHostError),
    "the host, without a scheme": ("//{host}/2", {"host": "x.example"}, TemplateHostError),
    "a part of the host": ("https://{tenant}.example/", {"tenant": "x"}, TemplateHostError),
    "a label": ("https://api{.tenant}/", {"tenant": "example"}, TemplateHostError),
    "a list of labels": ("https://api{.a*}/", {"a": ["x", "example"]}, TemplateHostError),
    "the host's end": ("https://good.example{+rest}", {"rest": ".evil.example"}, TemplateHostError),
    "the port": ("https://good.example{+rest}", {"rest": ":8443/"}, TemplateHostError),
    "a digit of the port": ("https://good.example:844{p}/", {"p": "3"}, TemplateHostError),
    "the port's begin": ("https://good.example:{p}/", {"p": "8443"}, TemplateHostError),
    "the scheme": ("{scheme}://good.example/", {"scheme": "https"}, TemplateHostError),
    "slashes": ("/{+path}", {"path": "/x.example/2"}, TemplateHostError),
    "slashes out of nothing": ("{/a,b}", {"a": "", "b": "x.example"}, TemplateHostError),
    "slashes out of a list": ("{/a*}", {"a": ["", "x.example"]}, TemplateHostError),
    "a parameter of the host": ("https://good.example{;x}", {"x": "1"}, TemplateHostError),
    "a query without its mark": ("https://good.example{&x}", {"x": "1"}, TemplateHostError),
    "of two, the second": ("https://good{/a}{b}/", {"b": ".example"}, TemplateHostError),
    "downwards": ("{+url}", {"url": "<CLEAR>/"}, TemplateHostError),
    "userinfo": ("https://good.example{+rest}", {"rest": "@x.example/"}, LinkURLError),
    "userinfo with a secret": ("https://{+u}@x.example/", {"u": "a:<PASSWORD>"}, LinkURLError),
    "userinfo before": ("https://good.example:{+p}@x.example/", {"p": "443"}, LinkURLError),
    "another scheme": ("{+url}", {"url": "file:///etc/passwd"}, LinkURLError),
    "a secret as a scheme": ("{+url}", {"url": "x<PASSWORD>:y"}, LinkURLError),
    "a part of a scheme": ("https{+x}", {"x": "+unix:///x.sock"}, LinkURLError),
    "a malformed host": ("https://{+host}/", {"host": "[::1"}, LinkURLError),
    "what it doesn't have": ("/{a}", {"b": "x"}, TemplateError),
    "what is malformed": ("/{a:x}", {"a": "x"}, TemplateError),
}


@pytest.mark.parametrize("trick", TEMPLATES)
def test_what_is_put_into_a_template_decides_on_no_host(trick: str, world: World) -> None:
    template, variables, kind = TEMPLATES[trick]
    filled = {
        name: world.filled(value) if isinstance(value, str) else value
        for name, value in variables.items()
    }
    link = {"href": template, "templated": True}
    anybody = world.manager(credentials={**world.auths, "*": ANONYMOUS})

    for services in (world.services, anybody):
        found = world.at_evil(hal({"find": link}), services)
        error = world.refused(kind, lambda: found.follow("find", **filled))  # noqa: B023 - at once

    if kind is TemplateHostError:
        assert "template_hosts=['http" in error.message


@pytest.mark.parametrize(
    ("template", "variables", "target"),
    [
        ("{+path}", {"path": "/2"}, "/2"),
        ("/{self}", {"self": "2"}, "/2"),
        ("{+url}", {"url": "<EVIL>/2"}, "/2"),
        ("/{path}", {"path": "//x.example/"}, "/%2F%2Fx.example%2F"),
        ("/x{/path}", {"path": "https://x.example"}, "/x/https%3A%2F%2Fx.example"),
        ("/go?to=https://{host}", {"host": "x.example"}, "/go?to=https://x.example"),
        ("/{+path}", {"path": "\r\nX-Evil: 1"}, "/%0D%0AX-Evil:%201"),
        ("/{+path}", {"path": "\\\\x.example"}, "/%5C%5Cx.example"),
        ("<EVIL>{/path}{?q}", {"q": "@x.example"}, "/?q=%40x.example"),
        ("<EVIL>{+path}", {"path": "/2"}, "/2"),
        ("/2{;x}", {"x": "//x.example"}, "/2;x=%2F%2Fx.example"),
        ("/2?a=1{&x}", {"x": "@x.example"}, "/2?a=1&x=%40x.example"),
        ("/2{.x}", {"x": "//x.example"}, "/2.%2F%2Fx.example"),
        ("<EVIL>{#x}", {"x": "@x.example"}, "/"),
    ],
)
def test_a_template_that_stays_where_it_was_is_followed(
    template: str, variables: dict[str, str], target: str, world: World
) -> None:
    link = {"href": world.filled(template), "templated": True}
    found, before = world.at_evil(hal({"find": link})), world.others()
    world.evil.script(respond(204))

    found.follow("find", **{name: world.filled(value) for name, value in variables.items()})

    assert world.evil.requests[-1].target == target
    assert world.others() == before


def test_where_variables_may_decide_the_other_rules_hold(world: World) -> None:
    link = {"href": "{+url}", "templated": True}
    services = world.manager(template_hosts=["127.0.0.1", "localhost"])
    found = world.at_evil(hal({"find": link}), services)
    before = len(world.third.requests)

    found.follow("find", url=f"{world.third.url}/2")
    world.refused(DowngradeError, lambda: found.follow("find", url=f"{world.clear.url}/"))
    world.refused(
        LinkCredentialsError, lambda: found.follow("find", url=f"{world.third.localhost_url}/")
    )
    world.refused(TemplateHostError, lambda: found.follow("find", url="https://x.example/"))

    assert [request.target for request in world.third.requests[before:]] == ["/2"]


def test_what_the_document_itself_puts_into_its_template_is_its_own_word(world: World) -> None:
    found = world.at_evil(hal({}))
    link = Link(
        rel="find",
        href="{+base}/books{?q}",
        base=found.url,
        templated=True,
        variables={"base": world.good.url},
    )

    found.follow(link, q="x")
    world.refused(TemplateHostError, lambda: found.follow(link, base="https://x.example"))

    assert world.good.requests[-1].target == "/books?q=x"


# --- for ever -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling", ["/1", "", "#top", "./1", "/x/../1", "<EVIL>/1", "HTTPS://LOCALHOST:<PORT>/1"]
)
def test_pages_that_lead_back_to_one_of_them_end(spelling: str, world: World) -> None:
    href = world.filled(spelling).replace("<PORT>", str(world.evil.port))
    found = world.at_evil(hal({"next": href}))
    got: list[Resource] = []

    error = world.refused(LinkLoopError, lambda: got.extend(found.pages()))

    assert len(got) == 1
    assert "leads by 'next' back to" in error.message


def test_pages_that_lead_back_after_a_while_end_as_well(world: World) -> None:
    first = world.at_evil(hal({"next": "/2"}))
    world.evil.script(hal({"next": "/3"}), hal({"next": "/2"}))
    got: list[Resource] = []

    with pytest.raises(LinkLoopError) as caught:
        got.extend(first.pages())

    world.tells_nothing(caught.value)
    assert [page.url.rpartition("/")[2] for page in got] == ["1", "2", "3"]


def test_pages_that_a_redirect_has_led_to_are_known_by_where_they_are(world: World) -> None:
    first = world.at_evil(hal({"next": "/2"}))
    world.evil.script(redirect(302, "/3"), hal({"next": "/3"}))
    got: list[Resource] = []

    with pytest.raises(LinkLoopError):
        got.extend(first.pages())

    assert [page.url.rpartition("/")[2] for page in got] == ["1", "3"]


def endless(request: Request) -> Action:
    """A page, and one more."""
    number = int(request.target.rpartition("/")[2] or 0)
    return hal({"next": f"/pages/{number + 1}"})


def test_a_million_pages_end_where_the_limit_is(world: World) -> None:
    world.evil.default, before = endless, len(world.evil.requests)
    try:
        first = world.services.get(f"{world.evil.localhost_url}/pages/0")
        pages = first.pages(max_pages=30)
        got = sum(1 for _ in itertools.islice(pages, 30))
        with pytest.raises(TooManyHopsError, match=r"max_pages=") as caught:
            next(pages)
    finally:
        world.evil.default = respond(404)

    world.tells_nothing(caught.value)
    assert (got, len(world.evil.requests) - before) == (30, 30)


def test_links_for_ever_end_where_the_limit_is(world: World) -> None:
    world.evil.default, before = endless, len(world.evil.requests)
    services = world.manager(max_hops=20)
    try:
        found = services.get(f"{world.evil.localhost_url}/pages/0")
        for _ in range(20):
            found = found.follow("next")
        with pytest.raises(TooManyHopsError, match=r"ServiceManager\(max_hops=") as caught:
            found.follow("next")
    finally:
        world.evil.default = respond(404)

    world.tells_nothing(caught.value)
    assert len(world.evil.requests) - before == 21


def test_a_redirect_to_itself_for_ever_ends(world: World) -> None:
    found = world.at_evil(hal({"next": "/round"}))
    world.evil.default, before = redirect(302, "/round"), len(world.evil.requests)
    try:
        with pytest.raises(TooManyRedirects, match="in a loop") as caught:
            found.follow("next")
    finally:
        world.evil.default = respond(404)

    world.tells_nothing(caught.value)
    assert len(world.evil.requests) - before == 11


# --- redirects ----------------------------------------------------------------------------------


def test_a_redirect_that_crosses_twice_takes_along_nothing_of_anybody(world: World) -> None:
    found = world.at_evil(hal({"next": "/away"}))
    before = len(world.good.requests), len(world.third.requests)
    world.evil.script(redirect(302, f"{world.third.url}/there"))
    cookie = ("Set-Cookie", f"given={new_secret()}; Secure")
    world.third.script(
        respond(302, [("Location", f"{world.good.url}/back"), cookie, ("X-Evil", "1")])
    )

    assert found.follow("next").url == f"{world.good.url}/back"

    (at_good,), (at_third,) = world.good.requests[before[0] :], world.third.requests[before[1] :]
    known = {world.good: at_good, world.third: at_third}
    for server, request in known.items():
        assert headers(request) == {"authorization", "accept", "user-agent"}
        others = {**world.secrets}
        others.pop("good's" if server is world.good else "third's")
        assert leaks(others, [f"{request.target} {dict(request.headers)}"]) == []


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("<CLEAR>/2", "https to http"),
        ("<THIRD>/2", "no credentials"),
        ("file:///etc/passwd", "the scheme must be"),
        ("https://ann:<PASSWORD>@localhost/", "userinfo"),
        ("https://x<PASSWORD>.example/", "no credentials"),
        ("https://" + "a" * 256, "more than 255"),
    ],
)
def test_a_redirect_behind_a_link_is_under_the_same_rules(
    location: str, message: str, world: World
) -> None:
    found, before = world.at_evil(hal({"next": "/away"})), world.others()
    world.evil.script(redirect(302, world.filled(location)))

    with pytest.raises(RedirectError, match=message) as caught:
        found.follow("next")

    world.tells_nothing(caught.value)
    assert world.others() == before


def test_a_redirect_inside_is_met_by_the_guard(world: World, ca: CertificateAuthority) -> None:
    hook = DirectHook(credentials={"*": ANONYMOUS}, verify=str(ca.bundle), guard=world.guard)
    with ConnectionManager(hooks=[hook], **world.watched.instruments) as connections:
        services = ServiceManager(connections, credentials=world.auths, guard=world.guard)
        found = world.at_evil(hal({"next": "/away"}), services)
        world.evil.script(redirect(302, "https://169.254.169.254/latest/meta-data/"))

        with pytest.raises(RedirectError, match="it was redirected there") as caught:
            found.follow("next")

    assert isinstance(caught.value.__cause__, PrivateAddressError)
    world.tells_nothing(caught.value)


# --- too much, and what it tells back -----------------------------------------------------------


def test_an_error_lists_no_more_relations_than_a_reader_may_want(world: World) -> None:
    many = {f"r{number}-{'x' * 200}": "/2" for number in range(2000)}
    found = world.at_evil(hal({"a": "/2", **many}))

    error = world.refused(RelationError, lambda: found.follow("next"))

    assert "'a'" in error.message
    assert "and 1901 more" in error.message


def test_telemetry_shows_only_the_beginning_of_a_long_relation(world: World) -> None:
    found = world.at_evil(hal({"x" * 5000: "/2"}))
    world.evil.script(respond(204))

    found.follow(found.links.flat()[0])

    span = world.watched.named(names.SPAN_FOLLOW)[-1]
    assert (span.attributes or {})[names.ATTR_RELATION] == "x" * 200


def test_a_secret_that_is_told_back_as_a_relation_is_not_in_the_error(world: World) -> None:
    secrets = [world.secrets[place] for place in ("password", "api key", "cookie")]
    found = world.at_evil(hal({secret: f"{secret}:x" for secret in secrets}))

    error = world.refused(RelationError, lambda: found.follow("next"))

    assert error.message.count("REDACTED") == 3
    assert isinstance(error, RelationError)
    assert error.relations == ("REDACTED",) * 3


def test_headers_full_of_links_are_read_and_lead_nowhere_by_themselves(world: World) -> None:
    many = ", ".join(f'<https://x{n}.example/>; rel="r{n} item"' for n in range(600))
    before = world.others()
    lines = [("Link", many)] * 6 + [("Link", "<" * 20_000), ("Link", ";," * 10_000)]
    found = world.at_evil(respond(200, lines))

    assert len(found.links.all("item")) == 3600
    assert world.others() == before
    world.refused(LinkCredentialsError, lambda: found.follow(found.links.all("item")[0]))


def test_a_status_of_the_malicious_host_is_an_error_like_any_other(world: World) -> None:
    found = world.at_evil(hal({"next": "/2?token=abcdefgh"}))

    with pytest.raises(HTTPNotFound) as caught:
        found.follow("next")

    world.tells_nothing(caught.value)
    assert not isinstance(caught.value, LinkError)
