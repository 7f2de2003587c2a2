"""Siren, a hypermedia format for entities and the actions that they allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sleepwalker.links._format import Embedded, LinkFormat
from sleepwalker.links._link import Field, Link

from ._reading import resolved, several, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sleepwalker.links._format import Document

MEDIA_TYPE = "application/vnd.siren+json"
METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH"})
"""Those that an action may have."""
URLENCODED = "application/x-www-form-urlencoded"
"""What an action sends that says nothing else."""


class Siren(LinkFormat):
    """The links, sub-entities and actions of an entity.

    An action is a link under its name, with its method and its form: `Resource.act` does it. A
    sub-entity is a link where it says where it is, and `Resource.embedded` gives those whose
    representations stand there.
    """

    def recognizes(self, document: Document) -> bool:
        """By its media type."""
        return document.media_type.name == MEDIA_TYPE

    def links(self, document: Document) -> Iterable[Link]:
        """The links, then the sub-entities, then the actions."""
        data = document.data if isinstance(document.data, Mapping) else {}
        for each in several(data.get("links")):
            yield from _links(each, text(each, "href"), document.base)
        for each in several(data.get("entities")):
            href = text(each, "href")
            yield from _links(each, href or _self(each), document.base, embedded=href is None)
        for each in several(data.get("actions")):
            action = _action(each, document.base)
            if action is not None:
                yield action

    def embedded(self, document: Document) -> Mapping[str, list[Embedded]]:
        """The sub-entities whose representations stand in the entity."""
        found: dict[str, list[Embedded]] = {}
        data = document.data if isinstance(document.data, Mapping) else {}
        for each in several(data.get("entities")):
            if isinstance(each, Mapping) and "href" not in each:
                one = Embedded(resolved(document.base, _self(each)), each, document.base)
                for rel in _relations(each):
                    found.setdefault(rel, []).append(one)
        return found

    def items(self, document: Document) -> Iterable[Any] | None:
        """The sub-entities of a collection."""
        data = document.data if isinstance(document.data, Mapping) else {}
        there = data.get("entities")
        return there if isinstance(there, list) else None


def _relations(value: Any) -> list[str]:
    there = value.get("rel") if isinstance(value, Mapping) else None
    return [rel for rel in several(there) if isinstance(rel, str)]


def _self(entity: Any) -> str | None:
    """Where an embedded representation says that it is."""
    links = entity.get("links") if isinstance(entity, Mapping) else None
    mine = (each for each in several(links) if "self" in _relations(each))
    return next((href for each in mine if (href := text(each, "href"))), None)


def _links(value: Any, href: str | None, base: str, *, embedded: bool = False) -> Iterator[Link]:
    if href is None:
        return
    attributes = {"class": tuple(several(value.get("class")))} if "class" in value else {}
    for rel in _relations(value):
        yield Link(
            rel=rel,
            href=href,
            base=base,
            title=text(value, "title"),
            type=text(value, "type"),
            attributes=attributes,
            data=value if embedded else None,
        )


def _action(value: Any, base: str) -> Link | None:
    name, href = text(value, "name"), text(value, "href")
    method = (text(value, "method") or "GET").upper()
    if name is None or href is None or method not in METHODS:
        return None
    fields = tuple(
        Field(field, each.get("value"), text(each, "type") or "text", text(each, "title"))
        for each in several(value.get("fields"))
        if (field := text(each, "name")) is not None
    )
    kind = text(value, "type") or (URLENCODED if fields else None)
    return Link(
        rel=name,
        href=href,
        base=base,
        name=name,
        method=method,
        title=text(value, "title"),
        fields=fields,
        sends=kind,
        attributes={"class": tuple(several(value.get("class")))} if "class" in value else {},
    )
