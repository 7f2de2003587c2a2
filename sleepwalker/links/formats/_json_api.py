"""JSON:API, a format for resources, their relationships and what is related to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker.links._format import Embedded, LinkFormat
from sleepwalker.links._link import Link, folded

from ._reading import members, resolved, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sleepwalker.links._format import Document

MEDIA_TYPE = "application/vnd.api+json"
_KNOWN = frozenset({"href", "title", "type"})
"""The members of a link object that a link has attributes of its own for."""
_IDENTIFIER = frozenset({"type", "id", "lid", "meta"})
"""What a resource identifier may have; a resource has more."""


class JSONAPI(LinkFormat):
    """The links of a JSON:API document (version 1.1, which reads 1.0 too).

    A link is found under

    - its own name, for those at the top of the document: ``self``, ``related``, ``describedby``,
      ``first``, ``prev``, ``next``, ``last``. A link object's ``rel`` counts instead of the name,
      which then is the link's `name`.
    - its own name, for those of the primary resource, and under ``data/self`` (or what its name
      is). Where the top of the document has a link of that name, the document's own wins, and the
      resource's is found under ``data/self`` only: ``self`` is what the answer came from, query
      and all.
    - the name of a relationship, for what is related: ``author`` leads to the author. The
      relationship itself, by which it is changed, is ``relationships/author``; its pages are
      ``relationships/author/next`` and so on. What is related is ``relationships/author/related``
      too, and only that where a link above has the relationship's name.
    - ``item``, for the members of a collection that say where they are.

    A relationship without a related link leads to where the resources included for it say that
    they are. `Resource.embedded` gives these as documents of their own, as following the link
    would, under the relationship's name, and the members of a collection under ``item``.

    Names of relationships that differ in nothing but their case are one to `Links`. Not read: links
    of errors, of the ``jsonapi`` object, and of what is included but isn't linked to.
    """

    def recognizes(self, document: Document) -> bool:
        """By its media type, whatever extensions and profiles it names."""
        return document.media_type.name == MEDIA_TYPE

    def links(self, document: Document) -> Iterable[Link]:
        """Those of the document, then of the primary resource, then of its relationships."""
        base, there = document.base, _Included(document.data)
        taken: set[str] = set()
        own: set[str] = set()
        for name, value in _links_of(document.data):
            link = _link(name, value, base)
            if link is not None:
                taken.add(folded(link.rel))
                yield link
        primary = there.primary
        if isinstance(primary, list):
            for each in there.found(primary):
                link = _link("item", _self(each), base, data=there.document(each), renamed=False)
                if link is not None:
                    yield link
            return
        for name, value in _links_of(primary):
            link = _link(name, value, base)
            if link is not None:
                own.add(folded(link.rel))
                path = f"data/{name}"
                mine = {"rel": path} if folded(link.rel) in taken else {"also": (path,)}
                yield replace(link, **mine)
        for name, relationship in _relationships(primary):
            yield from _relationship(name, relationship, base, there, taken | own)

    def embedded(self, document: Document) -> Mapping[str, list[Embedded]]:
        """What is included for the relationships, or the members of a collection."""
        there = _Included(document.data)
        primary, base = there.primary, document.base
        if isinstance(primary, list):
            return {"item": [_embedded(each, there, base) for each in there.found(primary)]}
        found = {}
        for name, relationship in _relationships(primary):
            data = relationship.get("data")
            url = None
            if isinstance(data, Mapping):
                # What the related link of one leads to is that one.
                related = _link("", dict(_links_of(relationship)).get("related"), base)
                url = None if related is None else resolved(base, related.href)
            found[name] = [_embedded(each, there, base, url) for each in there.found(data)]
        return found

    def items(self, document: Document) -> Iterable[Any] | None:
        """The primary data of a collection: resources, or what identifies them."""
        primary = _member(document.data, "data")
        return primary if isinstance(primary, list) else None


class _Key(NamedTuple):
    """What tells a resource from all others in a document."""

    type: str
    id: str
    local: bool


class _Included:
    """The resources in a document, by what they are identified by."""

    def __init__(self, data: Any) -> None:
        self.primary = _member(data, "data")
        self._included = _member(data, "included")
        self._by_key: dict[_Key, Any] = {}
        for group in (self._included, self.primary):
            for each in group if isinstance(group, list) else [group]:
                key = _key(each)
                if key is not None and _is_resource(each):
                    self._by_key.setdefault(key, each)

    def found(self, linkage: Any) -> list[Any]:
        """The resources that stand in the document, of those that are or identify some."""
        found = []
        for each in linkage if isinstance(linkage, list) else [linkage]:
            key = _key(each)
            if _is_resource(each):
                found.append(each)
            elif key is not None and key in self._by_key:
                found.append(self._by_key[key])
        return found

    def document(self, resource: Any) -> dict[str, Any]:
        """A resource as a document of its own, which can tell what is related to it."""
        made = {"data": resource}
        if self._included is not None:
            made["included"] = self._included
        return made


def _relationship(
    name: str, value: Mapping[str, Any], base: str, there: _Included, taken: set[str]
) -> Iterator[Link]:
    path = f"relationships/{name}"
    related = f"{path}/related"
    rel, also = (related, None) if folded(name) in taken else (name, related)
    data = value.get("data")
    found = there.found(data)
    held = there.document(found[0]) if found and isinstance(data, Mapping) else None
    leads = False
    for key, each in _links_of(value):
        if key == "related":
            link = _link(rel, each, base, path=also, data=held, renamed=False)
            leads = link is not None
        else:
            link = _link(path if key == "self" else f"{path}/{key}", each, base, renamed=False)
        if link is not None:
            yield link
    if not leads:
        for each in found:
            link = _link(
                rel, _self(each), base, path=also, data=there.document(each), renamed=False
            )
            if link is not None:
                yield link


def _link(
    rel: str,
    value: Any,
    base: str,
    *,
    path: str | None = None,
    data: Any = None,
    renamed: bool = True,
) -> Link | None:
    """The link that a URL or a link object says; `None` for null, or what is neither.

    :param path: another spelling of its relation
    :param renamed: whether its own ``rel`` counts instead
    """
    href = value if isinstance(value, str) else text(value, "href")
    if href is None:
        return None
    name, own = None, text(value, "rel") if renamed else None
    if own:
        rel, name = own, rel
    known = _KNOWN | {"rel"} if own else _KNOWN
    more = value.items() if isinstance(value, Mapping) else ()
    return Link(
        rel=rel,
        href=href,
        base=base,
        also=() if path is None else (path,),
        name=name,
        title=text(value, "title"),
        type=text(value, "type"),
        attributes={key: item for key, item in more if key not in known},
        data=data,
    )


def _embedded(each: Any, there: _Included, base: str, url: str | None = None) -> Embedded:
    link = _link("self", _self(each), base)
    own = None if link is None else resolved(base, link.href)
    return Embedded(own or url, there.document(each), base)


def _links_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The links of an object by name; those that begin with @ are none of the format's."""
    return ((name, link) for name, link in members(value, "links") if name[:1] != "@")


def _relationships(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return (
        (name, relationship)
        for name, relationship in members(value, "relationships")
        if name[:1] != "@" and isinstance(relationship, Mapping)
    )


def _self(resource: Any) -> Any:
    return dict(_links_of(resource)).get("self")


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _key(value: Any) -> _Key | None:
    kind = text(value, "type")
    if kind is None:
        return None
    if (own := text(value, "id")) is not None:
        return _Key(kind, own, local=False)
    own = text(value, "lid")
    return None if own is None else _Key(kind, own, local=True)


def _is_resource(value: Any) -> bool:
    """Whether it is a resource, and doesn't only identify one."""
    return isinstance(value, Mapping) and any(
        name not in _IDENTIFIER and name[:1] != "@" for name in value
    )
