"""OData, a protocol for entities, collections of them, and what can be done with them.

Rules:

1. Control information is read with its prefix (``@odata.nextLink``, version 4.0) and without
   (``@nextLink``, 4.01), whichever version an answer says it has.
2. A relative URL is relative to the context URL of its object, or of the next one around it that
   has one; else to where the document was found (OData JSON Format 4.01, section 4.3).
3. Nothing is made up: a link that the service leaves out, because a client that knows the model
   could compute it, is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker.links._format import Embedded, LinkFormat
from sleepwalker.links._link import Field, Link

from ._reading import resolved, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sleepwalker.links._format import Document

_PREFIX = "odata."
_METADATA = frozenset({"minimal", "full", "none"})
_CONTEXT = re.compile(r"\$metadata(?:[?#]|$)")
"""What a context URL has, and that of JSON-LD has not."""
_EXPANDED = re.compile(r"[(,]([^\W\d]\w*)\+?\(")
"""A name in the list of a context URL's fragment that has a list of its own: it is expanded."""
_WHERE = ("readLink", "editLink", "id")
"""What says where an entity is: one that can't be changed by its edit link has a read link too."""
_OWN = (*_WHERE, "mediaReadLink", "mediaEditLink")
"""What an entity says of itself, and a complex value doesn't."""
_NAVIGATION = frozenset({"navigationLink", "associationLink", "context"})
"""What is said of a navigation property, and of no other."""
_TOLD = {"count": "count", "etag": "etag", "type": "type"}
"""What more is said of a property, and under which name its links have it."""
_CHANGES = ("/$deletedEntity", "/$deletedLink", "/$link")
"""How the context URLs end of what version 4.0 says is gone, or was linked."""
_DEEPEST = 16
"""How deep complex values may stand within each other to be looked into."""


class OData(LinkFormat):
    """The links of an OData answer in JSON (versions 4.0 and 4.01).

    A link is found under its control information as it is written (``Orders@navigationLink``), and
    under

    - ``next`` and ``delta``, of a collection; ``self`` (the read link, else the edit link, else the
      entity's id) and ``edit`` (the edit link; the id, where there is neither); ``media`` and
      ``edit-media``, of a media entity
    - ``Orders``, a navigation property or a stream; ``Orders/$ref``, its association link;
      ``Orders/next``, what goes on with an expanded collection; ``Photo/edit-media``, where a
      stream is written. A navigation property without a link leads to where the entities and
      references that stand there say that they are. Within complex values the names are paths:
      ``Address/Country``.
    - ``Model.Approve``, an action: `Resource.act` does it, by POST. A function looks the same, and
      is asked by ``act(..., method="GET")``; one whose parameters are named,
      ``Model.Vacation(Year)``, is a GET with the field ``@Year``, whose value is written as in an
      OData URL (text in quotes).
    - ``item``, for the entities of a collection that say where they are
    - the names in a service document

    Expanded entities are embedded under the name of their property, those of a collection under
    ``item``; they are known by what they say of themselves, by what is said of their property, or
    by the context URL.

    With ``metadata=minimal``, which is the default of services, what a client could compute from
    the model is left out, and there is no link for it here: ask for ``metadata=full``
    (``odata.metadata=full`` in 4.0) in `Accept`. With ``metadata=none`` there is only ``next``. Not
    read: the model, annotations, links in deltas, and batches.
    """

    def recognizes(self, document: Document) -> bool:
        """By its media type's parameters, the version in its headers, or its control information.

        ``@context`` counts only where it is the URL of a model: JSON-LD has one too.
        """
        kind = document.media_type
        if kind.name not in {"", "application/json"}:
            return False
        said = kind.parameters.get(f"{_PREFIX}metadata", kind.parameters.get("metadata", ""))
        if said.lower() in _METADATA or document.headers.get("OData-Version", "")[:1] == "4":
            return True
        data = document.data
        if not isinstance(data, Mapping):
            return False
        context = text(data, "@context")
        return any(name.startswith(f"@{_PREFIX}") for name in data) or (
            context is not None and _CONTEXT.search(context) is not None
        )

    def links(self, document: Document) -> Iterable[Link]:
        """Those of the entity or collection, then of its operations and properties."""
        if isinstance(document.data, Mapping):
            value = _Object(document.data, document.base, is_whole=True)
            yield from _own_links(value)
            if value.is_service:
                yield from _entry_points(value)
            for each in value.members():
                yield from _where(each, "item")
            for path, inner in _structure(value):
                yield from _operations(path, inner)
                for name in inner.names:
                    yield from _property_links(path, inner, name)

    def embedded(self, document: Document) -> Mapping[str, list[Embedded]]:
        """The expanded entities, or those of a collection."""
        if not isinstance(document.data, Mapping):
            return {}
        value = _Object(document.data, document.base, is_whole=True)
        found = {"item": _embedded(value.members())}
        for path, inner in _structure(value):
            for name in inner.names:
                there = inner.expanded(name)
                # What the link of one leads to is that one.
                one = inner.first(name, "navigationLink") if inner.is_single(name) else None
                url = None if one is None else resolved(inner.base, one.value)
                if there:
                    found.setdefault(path + name, []).extend(_embedded(there, url))
        return found

    def items(self, document: Document) -> Iterable[Any] | None:
        """What a collection has in ``value``."""
        data = document.data
        if not isinstance(data, Mapping):
            return None
        return _Object(data, document.base, is_whole=True).collection

    def etag(self, document: Document) -> str | None:
        """The entity tag among the control information."""
        return text(document.data, f"@{_PREFIX}etag") or text(document.data, "@etag")


class _Said(NamedTuple):
    """A piece of control information."""

    what: str
    """Its name, without prefix."""
    member: str
    """The member with it, as it is written."""
    value: Any


class _Object:
    """A JSON object, with what is said of it and of its properties.

    :param base: what the URLs in it are relative to, unless it has a context URL of its own
    :param is_whole: whether it is the whole document, and may be a collection
    """

    def __init__(self, data: Mapping[str, Any], base: str, *, is_whole: bool = False) -> None:
        self.data = data
        self._is_whole = is_whole
        self.operations: list[str] = []
        self._said: dict[str, dict[str, _Said]] = {}
        names: dict[str, None] = {}
        for member, value in data.items():
            if "@" in member:
                name, _, what = member.rpartition("@")
                if "@" not in name:
                    what = what.removeprefix(_PREFIX)
                    self._said.setdefault(name, {})[what] = _Said(what, member, value)
                    names[name] = None
            elif "#" in member:
                self.operations.append(member)
            else:
                names[member] = None
        self.context = self._text("", "context") or ""
        self.base = base
        self._expanded: frozenset[str] = frozenset()
        if self.context:
            self.base = resolved(base, self.context) or base
            self._expanded = frozenset(_EXPANDED.findall(self.context.partition("#")[2]))
        names.pop("", None)
        if self.collection is not None:
            names.pop("value")
        self.is_reference = not names
        """Whether it says nothing but which entity it is (section 14)."""
        self.names = [
            name for name in names if name in self._said or isinstance(data[name], Mapping | list)
        ]
        """The properties that may have links."""
        self._inner: dict[str, list[_Object]] = {}

    @property
    def collection(self) -> list[Any] | None:
        """The members of a collection; `None`: it is something else."""
        value = self.data.get("value")
        if isinstance(value, list) and self._is_whole and not self.context.endswith("/$entity"):
            return value
        return None

    @property
    def is_service(self) -> bool:
        """Whether it is a service document (section 5): its context URL has no fragment."""
        return self.collection is not None and self.context.endswith("$metadata")

    @property
    def is_entity(self) -> bool:
        """Whether it says of itself what only an entity does."""
        return self.first("", *_OWN) is not None

    @property
    def is_change(self) -> bool:
        """Whether it says what is gone, or which links have come or gone (section 15)."""
        return "removed" in self._said.get("", ()) or self.context.endswith(_CHANGES)

    def _text(self, name: str, what: str) -> str | None:
        said = self._said.get(name, {}).get(what)
        return said.value if said is not None and isinstance(said.value, str) else None

    def first(self, name: str, *whats: str) -> _Said | None:
        """The first of some pieces that is there, and is text."""
        return next(
            (self._said[name][what] for what in whats if self._text(name, what) is not None), None
        )

    def told(self, name: str, whats: Mapping[str, str]) -> dict[str, Any]:
        """Further pieces that are there, under other names."""
        said = self._said.get(name, {})
        return {told: said[what].value for what, told in whats.items() if what in said}

    def within(self, name: str) -> list[_Object]:
        """The objects in the value of a property."""
        found = self._inner.get(name)
        if found is None:
            value = self.data.get(name)
            those = value if isinstance(value, list) else [value]
            found = [_Object(each, self.base) for each in those if isinstance(each, Mapping)]
            self._inner[name] = found
        return found

    def members(self) -> list[_Object]:
        """The entities and references of a collection, without what is gone."""
        if self.collection is None or self.is_service:
            return []
        return [each for each in self.within("value") if not each.is_change]

    def is_single(self, name: str) -> bool:
        """Whether a property's value is an object, and no array of them."""
        return isinstance(self.data.get(name), Mapping)

    def expanded(self, name: str) -> list[_Object]:
        """The entities and references that stand in a property; none, if it has other values."""
        those = self.within(name)
        said = self._said.get(name, ())
        if name in self._expanded or any(what in said for what in _NAVIGATION):
            return those
        return those if any(each.is_entity for each in those) else []


def _structure(value: _Object, path: str = "", depth: int = 0) -> Iterator[tuple[str, _Object]]:
    """An object and the complex values within it, with the path of each."""
    yield path, value
    if depth < _DEEPEST:
        for name in value.names:
            if not value.expanded(name):
                for each in value.within(name):
                    yield from _structure(each, f"{path}{name}/", depth + 1)


def _own_links(value: _Object) -> Iterator[Link]:
    """Those of an entity or a collection itself."""
    yield from _link(value, "next", "nextLink")
    yield from _link(value, "delta", "deltaLink")
    reads = value.first("", *_WHERE)
    if reads is not None:
        link = Link(rel="self", href=reads.value, base=value.base, also=(reads.member,))
        # What the service calls the edit link is the link `edit`.
        yield replace(link, also=()) if reads.what == "editLink" else link
        if reads.what == "id":
            yield replace(link, rel="edit", also=())
    yield from _link(value, "edit", "editLink")
    yield from _stream_links(value, "media", "edit-media")


def _entry_points(value: _Object) -> Iterator[Link]:
    """What a service document leads to, by name."""
    for each in value.within("value"):
        name, url = text(each.data, "name"), text(each.data, "url")
        if name is not None and url is not None:
            more = {"kind": kind} if (kind := text(each.data, "kind")) is not None else {}
            title = text(each.data, "title")
            yield Link(rel=name, href=url, base=each.base, title=title, attributes=more)


def _operations(path: str, value: _Object) -> Iterator[Link]:
    """Actions and functions that say where they are (sections 16 and 17)."""
    for member in value.operations:
        said = value.data[member]
        target = text(said, "target")
        if target is None:
            continue
        name, _, names = member.removeprefix("#").partition("(")
        rel = path + member.removeprefix("#")
        link = Link(
            rel=rel,
            href=target,
            base=value.base,
            also=(path + member,) if path + member != rel else (),
            name=path + name,
            title=text(said, "title"),
            attributes={key: item for key, item in said.items() if key not in {"target", "title"}},
        )
        if names:
            parameters = names.removesuffix(")").split(",")
            yield replace(link, fields=tuple(Field(f"@{each}") for each in parameters if each))
        else:
            yield replace(link, method="POST", sends="application/json")


def _property_links(path: str, value: _Object, name: str) -> Iterator[Link]:
    rel = path + name
    there = value.expanded(name)
    held = there[0].data if there and value.is_single(name) else None
    found = list(_link(value, rel, "navigationLink", name=name, path=path, data=held))
    if not found:
        for each in there:
            yield from _where(each, rel)
    yield from found
    yield from _link(value, f"{rel}/$ref", "associationLink", name=name, path=path)
    yield from _link(value, f"{rel}/next", "nextLink", name=name, path=path)
    yield from _link(value, f"{rel}/delta", "deltaLink", name=name, path=path)
    yield from _stream_links(value, rel, f"{rel}/edit-media", name, path)


def _stream_links(
    value: _Object, reads: str, writes: str, name: str = "", path: str = ""
) -> Iterator[Link]:
    """Where a stream is read, and where it is written (section 4.5.12)."""
    kind = value.told(name, {"mediaContentType": "type"}).get("type")
    kind = kind if isinstance(kind, str) else None
    more = value.told(name, {"mediaEtag": "etag"})
    written = list(_link(value, writes, "mediaEditLink", name=name, path=path))
    # Where no other is said, it is read where it is written.
    read = list(_link(value, reads, "mediaReadLink", name=name, path=path)) or [
        replace(link, rel=reads, also=()) for link in written
    ]
    for link in read:
        yield replace(link, type=kind, attributes=more)
    for link in written:
        yield replace(
            link, type=kind, attributes=more, method="PUT", sends=kind or "application/octet-stream"
        )


def _link(
    value: _Object, rel: str, what: str, *, name: str = "", path: str = "", data: Any = None
) -> Iterator[Link]:
    """The link that a piece of control information says, if it is there."""
    said = value.first(name, what)
    if said is not None:
        yield Link(
            rel=rel,
            href=said.value,
            base=value.base,
            also=(path + said.member,),
            attributes=value.told(name, _TOLD) if name else {},
            data=data,
        )


def _where(value: _Object, rel: str) -> Iterator[Link]:
    """Where an entity, or a reference to one, says that it is."""
    said = value.first("", *_WHERE)
    if said is not None:
        data = None if value.is_reference else value.data
        yield Link(rel=rel, href=said.value, base=value.base, data=data)


def _embedded(those: Iterable[_Object], url: str | None = None) -> list[Embedded]:
    """Entities as they stand there; references are none.

    :param url: of one that doesn't say where it is
    """
    made = []
    for each in those:
        if not each.is_reference:
            said = each.first("", *_WHERE)
            own = None if said is None else resolved(each.base, said.value)
            made.append(Embedded(own or url, each.data, each.base))
    return made
