"""A resource: what a service gave, the links in it, and how to go on from there.

Rules:

1. A resource is what came of one request and never changes: to refresh or send gives another.
2. Where a link leads and as whom we go there is `_crossing`'s decision; what is sent where it
   leads is sent from here, and from nowhere else.
3. Of a chain of links the services on its way are known: back to one of them we go as before.
"""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker import auth as _auth
from sleepwalker.connection._document import Found, span_of
from sleepwalker.connection._following import Destination
from sleepwalker.exceptions import FormError, TooManyHopsError, URLError

from ._exchange import DEFAULT, NO_CONTENT, Answer, Content, Settings, exchange, json_content
from ._format import Document, Embedded, MediaType
from ._forms import filled
from ._link import NOTHING, Link, Links, same_relation
from ._pages import items, pages
from ._telling import no_secret_told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from sleepwalker.connection._urls import Origin

    from ._format import LinkFormat
    from ._service import Service

NOT_MODIFIED = 304


NO_SERVICES: Mapping[Origin, Service] = MappingProxyType({})


class Trail(NamedTuple):
    """What goes along from one resource to the next."""

    headers: Mapping[str, Any]
    """The caller's own, as far as they may go where we are."""
    formats: tuple[LinkFormat, ...] | None = None
    """Chosen by the caller; `None`: the manager's, by what documents say they are."""
    hops: int = 0
    services: Mapping[Origin, Service] = NO_SERVICES
    """Those of other origins on the way."""


class Step(NamedTuple):
    """A link that may be followed: where it leads, and what is needed to go there."""

    url: str
    service: Service
    trail: Trail


class Resource:
    """What a service gave for one URL; got from `Service.get`, or by following a link.

    ::

        book = library.get("/books/7")
        author = book.follow("author")
        for page in author.follow("books").pages():
            ...

    :ivar service: which gave it
    :ivar url: where it was found, after redirects
    :ivar response: the `requests.Response`; `None` from a connection that is none of ours
    """

    def __init__(self, service: Service, answer: Answer, trail: Trail) -> None:
        self.service = service
        self.url = answer.url
        self.response: requests.Response | None = answer.response
        self._data, self._trouble = answer.data, answer.trouble
        self._trail = trail
        self._links: Links | None = None
        self._media_type = MediaType("", {})
        """Of the document that it stands in, if it was not got by itself."""
        self._within_url: str | None = None
        """What that document's relative URLs are relative to."""
        self._own_format: LinkFormat | None = None
        """That of the document that it stands in; what it leads to may have another."""

    # --- what it is --------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """What its JSON says; `None` where there is no body, or one that doesn't say it is JSON.

        :raises DecodeError: when it says that it is JSON and isn't; it carries the response
        """
        if self._trouble is not None:
            raise self._trouble
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

    def items(self) -> Iterator[Any]:
        """What is on this page of a collection and on those behind it, lazily.

        What a format calls items, the members of a JSON array, or the links of the relation
        ``item``.

        :raises LinkError: when it is no collection, or as `pages`
        """
        return items(self)

    def pages(self, rel: str = "next", *, max_pages: int | None = None) -> Iterator[Resource]:
        """This page and those behind it, each got when it is asked for.

        :param rel: the relation that leads to the next page
        :param max_pages: how many at most; `None`: the manager's `max_pages`
        :raises LinkLoopError: when a page leads back to one that was there already
        :raises TooManyHopsError: when there are more
        """
        return pages(self, rel, max_pages)

    def embedded(self, rel: str) -> list[Resource]:
        """The resources under a relation whose representations stand in this one; none is got.

        What stands there may be a part of what following the relation would give.
        """
        document = self._document()
        made = []
        for form in self._formats(document):
            for relation, those in form.embedded(document).items():
                if same_relation(relation, rel):
                    made += [self._within(form, document, each) for each in those]
        return made

    def _within(self, form: LinkFormat, document: Document, each: Embedded) -> Resource:
        there = self.url
        if each.url is not None:
            # What says that it is where nothing can be is where it stands.
            with suppress(URLError):
                self.service.services.crossing.origin(each.url)
                there = each.url
        answer = Answer(there, None, each.data)
        made = Resource(self.service, answer, self._trail)
        made._media_type, made._within_url = document.media_type, each.within
        made._own_format = each.format or form
        return made

    def _document(self) -> Document:
        response = self.response
        if response is None:
            return Document(self.url, self._media_type, data=self.data, within=self._within_url)
        raw: Any = getattr(response.raw, "headers", None)
        several = raw.getlist("Link") if hasattr(raw, "getlist") else []
        if not several and (one := response.headers.get("Link")):
            several = [one]
        return Document(
            self.url,
            MediaType.of(response.headers.get("Content-Type")),
            response.headers,
            self.data,
            tuple(several),
        )

    def _formats(self, document: Document) -> list[LinkFormat]:
        if self._own_format is not None:
            return [self._own_format]
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
        timeout: Any = None,
        deadline: float | None = None,
        policy: Any = None,
        template: str | None = None,
    ) -> Resource:
        """As `follow`, with more to say about it.

        :param name: of the link, where several have the relation
        :param headers: of this request, whatever its origin, and from there on
        :param auth: who we are where it leads; `None`: as `credentials` say
        :param template: what telemetry calls the URL (`name=` of `Connection.request`)
        """
        link = self._chosen(rel, name)
        if link.method not in {"GET", "HEAD"}:
            msg = f"the link {link.rel!r} is a {link.method}, which may change something: use act()"
            raise FormError(msg)
        settings = Settings(timeout, deadline, policy, name=template)
        return self._go(link, variables, settings=settings, headers=headers, auth=auth)

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
        timeout: Any = None,
        deadline: float | None = None,
        policy: Any = None,
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
        :raises FormError: for fields that the form doesn't have, or that are missing
        :raises SleepwalkerException: as `follow`; the other arguments are as in `follow_link` and
            `Connection.request`
        """
        link = self._chosen(rel, name)
        form = filled(link, value, method)
        settings = Settings(timeout, deadline, policy, idempotency_key, idempotent, template)
        return self._go(
            link,
            variables,
            settings=settings,
            method=method or link.submits,
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
            variables,
            settings=settings,
            method=method,
            params=params,
            content=content,
            headers=headers,
            auth=auth,
        )

    def found(self) -> Found:
        """Where its links were found, for when it is not at hand any more."""
        return Found(self.url, span_of(self.response))

    # --- sending what was changed ------------------------------------------------------------

    def refresh(self, **settings: Any) -> Resource:
        """Get it again, if it has changed: this very resource when it hasn't.

        :param settings: timeout, deadline, policy and name, as in `Connection.request`
        :raises SleepwalkerException: as `Service.get`
        """
        condition = {}
        if (tag := self.etag) is not None:
            condition["If-None-Match"] = tag
        elif self.response is not None and (at := self.response.headers.get("Last-Modified")):
            condition["If-Modified-Since"] = at
        made = self._send("GET", NO_CONTENT, condition, None, Settings(**settings))
        return self if made.status == NOT_MODIFIED else made

    def put(self, json: Any, *, if_match: bool | str = True, **settings: Any) -> Resource:
        """Replace it by a value, if nobody has changed it meanwhile (`If-Match`).

        :param if_match: `True`: its own entity tag, if it has one; a text: that one; `False`:
            whatever is there is overwritten
        :param settings: headers, timeout, deadline, policy, idempotency_key, idempotent and name,
            as in `Connection.request`
        :raises HTTPPreconditionFailed: when somebody has changed it
        :raises SleepwalkerException: as `Connection.request`
        """
        return self._change("PUT", json_content(json), if_match=if_match, settings=settings)

    def patch(
        self,
        json: Any,
        *,
        media_type: str = "application/merge-patch+json",
        if_match: bool | str = True,
        **settings: Any,
    ) -> Resource:
        """Change a part of it, if nobody has changed it meanwhile; arguments as `put` has them.

        :param media_type: what kind of patch it is
        """
        return self._change(
            "PATCH", json_content(json, media_type), if_match=if_match, settings=settings
        )

    def delete(self, *, if_match: bool | str = True, **settings: Any) -> Resource:
        """Delete it, if nobody has changed it meanwhile; arguments as `put` has them."""
        return self._change("DELETE", NO_CONTENT, if_match=if_match, settings=settings)

    def post(self, json: Any = None, **settings: Any) -> Resource:
        """Send a value to it, to be processed as it sees fit; settings as `put` has them."""
        content = NO_CONTENT if json is None else json_content(json)
        return self._change("POST", content, if_match=False, settings=settings)

    def _change(
        self, method: str, content: Content, *, if_match: bool | str, settings: dict[str, Any]
    ) -> Resource:
        condition = {}
        tag = self.etag if if_match is True else if_match
        if tag:
            condition["If-Match"] = tag
        headers = settings.pop("headers", None)
        return self._send(method, content, condition, headers, Settings(**settings))

    def _send(
        self,
        method: str,
        content: Content,
        condition: Mapping[str, Any],
        headers: Mapping[str, Any] | None,
        settings: Settings,
    ) -> Resource:
        """Send a request to this very resource.

        It goes to where the resource was found, by the rules for links: a redirect may have led
        to another origin.
        """
        link = Link(rel="self", href=self.url, base=self.url, method=method)
        with no_secret_told(self.service, self._trail.headers):
            step = stepped(
                self.service, self._trail, link, self.url, NOTHING, sends=content is not NO_CONTENT
            )
        sent = {**step.trail.headers, **condition, **(headers or {})}
        answer = exchange(
            step.service.conn,
            method,
            step.url,
            content=content,
            headers=sent,
            settings=settings,
            guarded=self.service.services.guard is not None,
        )
        return Resource(step.service, answer, step.trail._replace(hops=self._trail.hops))

    def __repr__(self) -> str:
        return f"<Resource {self.service.services.shown(self.url)} {self.status or ''}>"


def stepped(
    service: Service,
    trail: Trail,
    link: Link,
    source: str,
    variables: Mapping[str, Any],
    *,
    sends: bool = False,
    headers: Mapping[str, Any] | None = None,
    auth: Any = None,
) -> Step:
    """Where a link leads, as whom, and with what.

    :param service: which gave the document with the link
    :param source: the URL of the document
    :param sends: whether something is sent there: a body, or what a form has as a query
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
    target = crossing.target(link, source, variables, service=here)
    own = target.origin == here
    if auth is not None:
        there = services.service(str(target.origin), auth)
        if own and services.same(there.auth, service.auth):
            there = service
    elif own:
        there = service
    elif (known := trail.services.get(target.origin)) is not None:
        there = known
    else:
        anonymous = service.auth is _auth.ANONYMOUS
        there = services.service(
            str(target.origin), crossing.auth(target.origin, anonymous=anonymous, sends=sends)
        )
    passed = {**crossing.headers(trail.headers, same_origin=own), **(headers or {})}
    way = trail.services
    if not own and here is not None:
        way = {**way, here: service}
    return Step(target.url, there, Trail(passed, trail.formats, hops, way))


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
        return Destination(services.crossing.origin(step.url), step.service.host, step.service.auth)

    with services.connections._follow(link.rel, decide, found) as conn:
        (step,) = steps
        answer = exchange(
            conn,
            method or link.method,
            step.url,
            params=params,
            content=content,
            headers=step.trail.headers,
            settings=settings,
            guarded=services.guard is not None,
        )
    return Resource(step.service, answer, step.trail)
