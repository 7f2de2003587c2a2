"""A resource: what a service gave, the links in it, and how to go on from there.

Rules:

1. A resource is what came of one request and never changes: to refresh or send gives another.
2. Where a link leads and as whom we go there is `_crossing`'s decision; what is sent where it
   leads is sent from here, and from nowhere else.
3. Of a chain of links the services on its way are known: back to one of them we go as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict

from sleepwalker import auth as _auth
from sleepwalker.connection import _headers, _urls
from sleepwalker.connection._document import Found, span_of
from sleepwalker.connection._following import Destination
from sleepwalker.exceptions import (
    ConfigurationError,
    FormError,
    LinkError,
    TemplateError,
    TooManyHopsError,
    URLError,
)

from ._exchange import DEFAULT, NO_CONTENT, Answer, Content, Settings, exchange, json_content
from ._format import Document, MediaType
from ._forms import filled
from ._link import NOTHING, Link, Links
from ._pages import items, pages
from ._telling import no_secret_told

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from sleepwalker.connection._urls import Origin
    from sleepwalker.resilience.policy import Policy

    from ._exchange import TimeoutLike
    from ._format import Embedded, LinkFormat
    from ._service import Service

OK, CREATED, NOT_MODIFIED = 200, 201, 304
NO_SERVICES: Mapping[Origin, Service] = MappingProxyType({})
UNKNOWN = "https://host.invalid/"
"""What a document is taken for of which only the connection knows where it is."""
_OF_ONE_REQUEST = ("content-", "expect", "idempotency-key", "if-", "range")
"""How the headers begin that are about one request and not about what comes after it."""


class Trail(NamedTuple):
    """What goes along from one resource to the next."""

    headers: Mapping[str, Any]
    """The caller's own, as far as they may go where we are."""
    formats: tuple[LinkFormat, ...] | None = None
    """Chosen by the caller; `None`: the manager's, by what documents say they are."""
    hops: int = 0
    services: Mapping[Origin, Service] = NO_SERVICES
    """Those of other origins on the way."""
    unvouched: frozenset[Origin] = frozenset()
    """Origins on the way that nobody vouched for: by a netrc entry, or anonymous as we were."""


class Step(NamedTuple):
    """A link that may be followed: where it leads, and what is needed to go there."""

    url: str
    service: Service
    headers: CaseInsensitiveDict[Any]
    """Of this request."""
    trail: Trail
    origin: Origin | None
    """`None`: only the connection knows where that is."""


class Part(NamedTuple):
    """What is known of a resource that stands in the document of another."""

    url: str | None
    """Where it says that it is; `None`: nowhere."""
    form: LinkFormat
    """Which read it."""
    media_type: MediaType
    found: Found
    """Of the document."""
    within: str | None
    """What its relative URLs are relative to, if its format knows."""


class Resource:
    """What a service gave for one URL; got from `Service.get`, or by following a link.

    ::

        book = library.get("/books/7")
        author = book.follow("author")
        for page in author.follow("books").pages():
            ...

    :ivar service: which gave it
    :ivar url: where it is: where it was found, after redirects; what a 201 created is where its
        `Location` says; an embedded one is where it says itself, or where it was found
    :ivar response: the `requests.Response`; `None` from a connection that is none of ours, and of
        an embedded resource
    """

    def __init__(
        self, service: Service, answer: Answer, trail: Trail, part: Part | None = None
    ) -> None:
        self.service = service
        self.response: requests.Response | None = answer.response
        self._base = answer.url.partition("#")[0]
        """What its links are resolved against."""
        self._method = answer.method
        self._data, self._trouble = answer.data, answer.trouble
        self._trail, self._part = trail, part
        self._links: Links | None = None
        self.url = self._own_url()

    def _own_url(self) -> str:
        if self._part is not None:
            return self._part.url or self._base
        location = self.location
        if location is None or self.status != CREATED:
            return self._base
        # What the answer says, its entity tag too, it says of what was created (RFC 9110, 15.3.2).
        try:
            return location.url()
        except LinkError:
            return location.href

    # --- what it is --------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """What its JSON says; `None` where there is no body, or one that doesn't say it is JSON.

        :raises DecodeError: when it says that it is JSON and isn't; it carries the response
        """
        if self._trouble is not None:
            # Without the places where it was raised before.
            raise self._trouble.with_traceback(None)
        return self._data

    @property
    def links(self) -> Links:
        """Its links, by relation.

        :raises DecodeError: as `data`
        :raises LinkFormatError: when a format that it says it has can't be understood
        """
        links = self._links
        if links is None:
            document = self._document()
            found = [link for form in self._formats(document) for link in form.links(document)]
            links = self._links = Links(found, context=document.url)
        return links

    def links_by(self, *formats: LinkFormat) -> Links:
        """Its links as other formats read them.

        :raises LinkFormatError: when they can't be understood
        """
        document = self._document()
        return Links(
            [link for form in formats for link in form.links(document)], context=document.url
        )

    @property
    def status(self) -> int | None:
        """The status of the answer; `None` from a connection that doesn't tell."""
        return None if self.response is None else self.response.status_code

    @property
    def etag(self) -> str | None:
        """Its entity tag (RFC 9110), or what its format has for one; `None` if it has none."""
        if self.response is not None and (tag := self.response.headers.get("ETag")):
            return str(tag)
        if self._trouble is not None:
            return None
        document = self._document()
        return next((tag for f in self._formats(document) if (tag := f.etag(document))), None)

    @property
    def location(self) -> Link | None:
        """Where its `Location` header points: to what a 201 created, or to what came of a 202."""
        where = None if self.response is None else self.response.headers.get("Location")
        return None if not where else Link(rel="location", href=where, base=self._base)

    def items(self, rel: str = "next", *, max_pages: int | None = None) -> Iterator[Any]:
        """What is on this page of a collection and on those behind it, lazily.

        What a format calls items, the members of a JSON array, or the links of the relation
        ``item``. After an error the iterator may be asked again, as that of `pages`.

        :raises LinkError: when it is no collection
        :raises SleepwalkerException: as `pages`; the arguments are as there
        """
        return items(self, rel, max_pages)

    def pages(self, rel: str = "next", *, max_pages: int | None = None) -> Iterator[Resource]:
        """This page and those behind it, each got when it is asked for.

        An error doesn't end the iterator: asked again, it tries the same page again.

        :param rel: the relation that leads to the next page
        :param max_pages: how many at most; `None`: the manager's `max_pages`
        :raises LinkLoopError: when a page leads back to one that was there already
        :raises TooManyHopsError: when there are more
        :raises SleepwalkerException: as `follow`
        """
        return pages(self, rel, max_pages)

    def embedded(self, rel: str) -> list[Resource]:
        """The resources under a relation whose representations stand in this one; none is got.

        What stands there may be a part of what following the relation would give.
        """
        document = self._document()
        key = self.links._key
        return [
            self._within(form, document, each)
            for form in self._formats(document)
            for relation, those in form.embedded(document).items()
            if key(relation) == key(rel)
            for each in those
        ]

    def _within(self, form: LinkFormat, document: Document, each: Embedded) -> Resource:
        answer = Answer(self._base, None, each.data, method=None)
        found = self.found()
        part = Part(
            self._place(each.url), each.format or form, document.media_type, found, each.within
        )
        return Resource(self.service, answer, self._trail, part)

    def _place(self, url: str | None) -> str | None:
        """Where something embedded is, if it says so and that can be gone to."""
        if url is None:
            return None
        try:
            place = Link(rel="self", href=url, base=self._base).url()
            if not _is_relative(place):
                self.service.services.crossing.origin(place)
        except (LinkError, URLError):
            return None
        return place

    def _document(self) -> Document:
        response = self.response
        if response is None:
            part = self._part
            if part is None:
                return Document(self._base, data=self.data)
            return Document(self.url, part.media_type, data=self.data, within=part.within)
        several: list[str] = []
        if one := response.headers.get("Link"):
            raw: Any = getattr(response.raw, "headers", None)
            several = (raw.getlist("Link") if hasattr(raw, "getlist") else []) or [one]
        return Document(
            self._base,
            MediaType.of(response.headers.get("Content-Type")),
            response.headers,
            self.data,
            tuple(several),
        )

    def _formats(self, document: Document) -> list[LinkFormat]:
        if self._part is not None:
            return [self._part.form]
        if self._trail.formats is not None:
            return list(self._trail.formats)
        return [form for form in self.service.services.formats if form.recognizes(document)]

    # --- following ---------------------------------------------------------------------------

    def link(self, rel: str, *, name: str | None = None) -> Link:
        """The link of a relation, or the one of them with that name.

        :raises RelationError: when there is none, naming the relations there are, or several
        """
        with no_secret_told(self.service, self._trail.headers):
            return self.links.one(rel, name=name)

    def follow(self, rel: str | Link, /, **variables: Any) -> Resource:
        """Follow a link to wherever it leads.

        :param rel: its relation, or the link itself
        :param variables: for its template (RFC 6570)
        :raises RelationError: when there is no such link, or several
        :raises FormError: when it may change something (a POST), or its form requires a field
        :raises TemplateError: for a variable that the template doesn't have
        :raises CrossingError: when a rule about where links may lead forbids it
        :raises SleepwalkerException: as `ConnectionManager.find` and `Connection.request`
        """
        return self.follow_link(rel, variables)

    def follow_link(
        self,
        rel: str | Link,
        variables: Mapping[str, Any] = NOTHING,
        *,
        name: str | None = None,
        headers: Mapping[str, Any] | None = None,
        auth: Any = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        template: str | None = None,
    ) -> Resource:
        """As `follow`, with more to say about it.

        :param variables: for its template
        :param name: of the link, where several have the relation
        :param headers: of this request, whatever its origin, and from there on
        :param auth: who we are where it leads; `None`: as `credentials` say
        :param template: what telemetry calls the URL (`name=` of `Connection.request`)
        :raises SleepwalkerException: as `follow`; the other arguments are as in
            `Connection.request`
        """
        link = self._chosen(rel, name)
        if link.method.upper() not in {"GET", "HEAD"}:
            msg = f"the link {link.rel!r} is a {link.method}, which may change something: use act()"
            raise FormError(msg)
        settings = Settings(timeout, deadline, policy, name=template)
        # A form that only asks has its defaults.
        params = filled(link, None, link.method).params
        return self._go(
            link, variables, settings=settings, params=params, headers=headers, auth=auth
        )

    def act(
        self,
        rel: str | Link,
        value: Any = None,
        /,
        *,
        variables: Mapping[str, Any] = NOTHING,
        name: str | None = None,
        method: str | None = None,
        headers: Mapping[str, Any] | None = None,
        auth: Any = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        idempotency_key: str | bool | None = None,
        idempotent: bool | None = None,
        template: str | None = None,
    ) -> Resource:
        """Do what a link says can be done: with its own method, sending its form.

        What is sent goes to another origin only where credentials are registered for it (or
        `ANONYMOUS` is), or `auth` is given.

        :param rel: its relation (for a Siren action, its name), or the link itself
        :param value: the form's fields by name; for a link without fields, whatever is to be sent
        :param method: instead of the link's own
        :raises FormError: for fields that the form doesn't have, that are missing, or that can't
            be sent as it says
        :raises SleepwalkerException: as `follow`; the other arguments are as in `follow_link` and
            `Connection.request`
        """
        link = self._chosen(rel, name)
        method = _headers.checked_method(method or link.submits or link.method)
        form = filled(link, value, method)
        settings = Settings(timeout, deadline, policy, idempotency_key, idempotent, template)
        return self._go(
            link,
            variables,
            settings=settings,
            method=method,
            params=form.params,
            content=form.content,
            headers=headers,
            auth=auth,
        )

    def _chosen(self, rel: str | Link, name: str | None) -> Link:
        return rel if isinstance(rel, Link) else self.link(rel, name=name)

    def _go(
        self,
        link: Link,
        variables: Mapping[str, Any],
        *,
        settings: Settings,
        method: str | None = None,
        params: Any = None,
        content: Content = NO_CONTENT,
        headers: Mapping[str, Any] | None = None,
        auth: Any = None,
    ) -> Resource:
        return followed(
            self.found(),
            self.service,
            self._trail,
            link,
            _checked_variables(variables),
            settings=settings,
            method=method,
            params=params,
            content=content,
            headers=headers,
            auth=auth,
        )

    def found(self) -> Found:
        """Where its links were found, for when it is not at hand any more."""
        if self._part is not None:
            return self._part.found
        # What only its connection can complete is told by its service's name.
        host = (
            "" if _urls.is_url_like(self._base) else self.service.services.shown(self.service.host)
        )
        return Found(self._base, span_of(self.response), host)

    # --- sending what was changed ------------------------------------------------------------

    def refresh(
        self,
        *,
        headers: Mapping[str, Any] | None = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        name: str | None = None,
    ) -> Resource:
        """Get it again, if it has changed: this very resource when it hasn't.

        The answer to a change is no representation of it that could still be good, nor is what
        can't be understood: then it is got in any case.

        :raises SleepwalkerException: as `Connection.request`; the arguments are as there
        """
        condition = {}
        if self.response is not None and self._is_representation():
            if (tag := self.etag) is not None:
                condition["If-None-Match"] = tag
            elif (at := self.response.headers.get("Last-Modified")) is not None:
                condition["If-Modified-Since"] = at
        settings = Settings(timeout, deadline, policy, name=name)
        made = self._send("GET", NO_CONTENT, condition, headers, settings)
        if not condition or made.status != NOT_MODIFIED:
            return made
        if made.response is None or not made.response.history:
            return self
        # What it was redirected to has the tag of this one, but is another resource: tags tell only
        # representations of one resource from each other (RFC 9110, section 8.8.3).
        return self._send("GET", NO_CONTENT, {}, headers, settings)

    def _is_representation(self) -> bool:
        """Whether it is what was got, whole and understood: what need not be got again."""
        return self._method == "GET" and self.status == OK and self._trouble is None

    def put(
        self,
        json: Any,
        *,
        if_match: bool | str = True,
        headers: Mapping[str, Any] | None = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        idempotency_key: str | bool | None = None,
        idempotent: bool | None = None,
        name: str | None = None,
    ) -> Resource:
        """Replace it by a value, if nobody has changed it meanwhile.

        A weak entity tag goes along as well; a server that compares tags as RFC 9110 says will then
        refuse the change.

        :param if_match: `True`: its own entity tag goes along as `If-Match`, or if it has none, the
            time of its last change as `If-Unmodified-Since`; a text: that entity tag; `False`:
            whatever is there is overwritten
        :raises HTTPPreconditionFailed: when somebody has changed it; with `outcome_unknown` it may
            have been an earlier attempt of this very call, whose answer was lost
        :raises SleepwalkerException: as `Connection.request`; the other arguments are as there
        """
        settings = Settings(timeout, deadline, policy, idempotency_key, idempotent, name)
        condition = self._condition(if_match=if_match)
        return self._send("PUT", json_content(json), condition, headers, settings)

    def patch(
        self,
        json: Any,
        *,
        media_type: str = "application/merge-patch+json",
        if_match: bool | str = True,
        headers: Mapping[str, Any] | None = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        idempotency_key: str | bool | None = None,
        idempotent: bool | None = None,
        name: str | None = None,
    ) -> Resource:
        """Change a part of it, if nobody has changed it meanwhile.

        :param media_type: what kind of patch it is
        :raises SleepwalkerException: as `put`; the other arguments are as there
        """
        settings = Settings(timeout, deadline, policy, idempotency_key, idempotent, name)
        condition = self._condition(if_match=if_match)
        return self._send("PATCH", json_content(json, media_type), condition, headers, settings)

    def delete(
        self,
        *,
        if_match: bool | str = True,
        headers: Mapping[str, Any] | None = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        idempotency_key: str | bool | None = None,
        idempotent: bool | None = None,
        name: str | None = None,
    ) -> Resource:
        """Delete it, if nobody has changed it meanwhile.

        :raises SleepwalkerException: as `put`; the arguments are as there
        """
        settings = Settings(timeout, deadline, policy, idempotency_key, idempotent, name)
        condition = self._condition(if_match=if_match)
        return self._send("DELETE", NO_CONTENT, condition, headers, settings)

    def post(
        self,
        json: Any = None,
        *,
        headers: Mapping[str, Any] | None = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        idempotency_key: str | bool | None = None,
        idempotent: bool | None = None,
        name: str | None = None,
    ) -> Resource:
        """Send a value to it, to be processed as it sees fit; if that creates a resource, it is it.

        :param json: `None`: no body
        :raises SleepwalkerException: as `Connection.request`; the other arguments are as there
        """
        content = NO_CONTENT if json is None else json_content(json)
        settings = Settings(timeout, deadline, policy, idempotency_key, idempotent, name)
        return self._send("POST", content, {}, headers, settings)

    def _condition(self, *, if_match: bool | str) -> dict[str, str]:
        """The header by which a change is made only if nobody else has made one."""
        if not isinstance(if_match, bool | str) or if_match == "":
            msg = "if_match must be True, False or an entity tag"
            raise ConfigurationError(msg)
        if if_match is False:
            return {}
        tag = self.etag if if_match is True else if_match
        if tag is not None:
            return {"If-Match": tag}
        at = None if self.response is None else self.response.headers.get("Last-Modified")
        return {} if at is None else {"If-Unmodified-Since": at}

    def _send(
        self,
        method: str,
        content: Content,
        condition: Mapping[str, Any],
        headers: Mapping[str, Any] | None,
        settings: Settings,
    ) -> Resource:
        """Send a request to this very resource.

        It goes to where the resource is, by the rules for links: a redirect or a `Location` may
        have led to another origin.
        """
        if self._part is not None and self._part.url is None:
            msg = (
                "this embedded resource doesn't say where it is; only its document could be sent to"
            )
            raise LinkError(msg)
        link = Link(rel="self", href=self.url, base=self._base)
        # To stay where one is is no further hop.
        trail = self._trail._replace(hops=self._trail.hops - 1)
        sent = CaseInsensitiveDict(condition)
        sent.update(_headers.checked(headers))
        with no_secret_told(self.service, self._trail.headers):
            step = stepped(
                self.service,
                trail,
                link,
                self._base,
                sends=content is not NO_CONTENT,
                headers=sent,
            )
        answer = exchange(
            step.service.conn,
            method,
            step.url,
            content=content,
            headers=step.headers,
            settings=settings,
            guarded=self.service.services.guard is not None,
        )
        return Resource(step.service, answer, step.trail)

    def __repr__(self) -> str:
        status = "" if self.status is None else f" {self.status}"
        return f"<Resource {self._shown(self.url)}{status}>"

    def _shown(self, url: str) -> str:
        """A URL as it may be shown."""
        return self.service.services.connections._telemetry.redaction.url(url)


def _checked_variables(variables: object) -> Mapping[str, Any]:
    if isinstance(variables, Mapping) and all(isinstance(name, str) for name in variables):
        return variables
    msg = "variables must be a mapping of the names in the link's template to their values"
    raise TemplateError(msg)


def lasting(headers: Mapping[str, Any]) -> CaseInsensitiveDict[Any]:
    """What of a request's headers goes along to what is got after it."""
    return CaseInsensitiveDict(
        {
            name: value
            for name, value in headers.items()
            if not name.lower().startswith(_OF_ONE_REQUEST)
        }
    )


def stepped(
    service: Service,
    trail: Trail,
    link: Link,
    source: str,
    variables: Mapping[str, Any] = NOTHING,
    *,
    sends: bool = False,
    headers: Mapping[str, Any] | None = None,
    auth: Any = None,
) -> Step:
    """Where a link leads, as whom, and with what.

    :param service: which gave the document with the link
    :param source: the URL of the document
    :param sends: whether something is sent there: a body, or what a form has as a query
    :param headers: of this request, wherever it leads
    :raises CrossingError: when a rule forbids it
    """
    services = service.services
    crossing = services.crossing
    hops = trail.hops + 1
    if hops > services.max_hops:
        msg = (
            f"{hops} links were followed one after the other; "
            "ServiceManager(max_hops=...) allows more"
        )
        raise TooManyHopsError(msg)
    here = service.origin()

    def step(
        url: str,
        origin: Origin | None,
        there: Service,
        way: Mapping[Origin, Service],
        unvouched: frozenset[Origin] = trail.unvouched,
    ) -> Step:
        passed = going_on = crossing.headers(trail.headers, same_origin=origin == here)
        if headers:
            passed.update(_headers.checked(headers))
            going_on = lasting(passed)
        gone = Trail(going_on, trail.formats, hops, way, unvouched)
        return Step(url, there, passed, gone, origin)

    if here is None and auth is None and _is_relative(url := link.url(**variables)):
        # Only the connection knows where it is: there.
        return step(url, None, service, trail.services)
    known_source = source if _urls.is_url_like(source) else UNKNOWN
    target = crossing.target(link, known_source, variables, service=here)
    own = target.origin == here
    there, vouched = _at(target.origin, service, trail, auth, own=own, sends=sends)
    way, unvouched = trail.services, trail.unvouched
    if not own and here is not None:
        way = {**way, here: service}
    if not vouched:
        unvouched |= {target.origin}
    return step(target.url, target.origin, there, way, unvouched)


def _at(
    origin: Origin, service: Service, trail: Trail, auth: Any, *, own: bool, sends: bool
) -> tuple[Service, bool]:
    """The service at an origin that a link leads to, and whether somebody vouched for it.

    :param own: whether it is that of the service which gave the document
    """
    services = service.services
    vouched = origin not in trail.unvouched
    if auth is not None:
        there = services.service(str(origin), auth)
        return (service if own and services.same(there.auth, service.auth) else there), True
    if own:
        return service, vouched
    known = trail.services.get(origin)
    if known is not None and (vouched or not sends):
        return known, vouched
    anonymous = service.auth is _auth.ANONYMOUS
    who, vouched = services.crossing.auth(origin, anonymous=anonymous, sends=sends)
    return services.service(str(origin), who), vouched


def _is_relative(url: str) -> bool:
    return not url.startswith("//") and not urlsplit(url).scheme


def followed(
    found: Found,
    service: Service,
    trail: Trail,
    link: Link,
    variables: Mapping[str, Any] = NOTHING,
    *,
    settings: Settings = DEFAULT,
    method: str | None = None,
    params: Any = None,
    content: Content = NO_CONTENT,
    headers: Mapping[str, Any] | None = None,
    auth: Any = None,
) -> Resource:
    """Follow a link: the span, the decision, the connection, the request."""
    services = service.services
    steps: list[Step] = []

    def decide() -> Destination:
        with no_secret_told(service, trail.headers):
            step = stepped(
                service,
                trail,
                link,
                found.url,
                variables,
                sends=bool(params) or content is not NO_CONTENT,
                headers=headers,
                auth=auth,
            )
        steps.append(step)
        return Destination(step.origin or found.host, step.service.host, step.service.auth)

    following = services.connections._follow(
        link.rel,
        decide,
        found,
        pool=(service.host, service.auth),
        deprecated=link.deprecation is not None,
    )
    with following as conn:
        (step,) = steps
        answer = exchange(
            conn,
            method or link.method,
            step.url,
            params=params,
            content=content,
            headers=step.headers,
            settings=settings,
            guarded=services.guard is not None,
        )
    return Resource(step.service, answer, step.trail)
