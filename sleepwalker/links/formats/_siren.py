"""Siren, a hypermedia format for entities and the actions that they allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sleepwalker.links._format import Embedded, LinkFormat
from sleepwalker.links._link import Field, Link, same_relation

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
    """The links, sub-entities and actions of an entity (Siren 0.6.2).

    An action is a link under its name, with its method and its form: `Resource.act` does it. A
    sub-entity is a link where it says where it is, and `Resource.embedded` gives those whose
    representations stand there. A field for choosing (``radio``, ``checkbox``) has the values that
    are selected, and `options` to choose from. Not read: classes and titles of anything but links
    and actions, and classes of fields.
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
            if _is_embedded(each):
                yield from _links(each, _self(each), document.base, embedded=True)
            else:
                yield from _links(each, text(each, "href"), document.base)
        for each in several(data.get("actions")):
            action = _action(each, document.base)
            if action is not None:
                yield action

    def embedded(self, document: Document) -> Mapping[str, list[Embedded]]:
        """The sub-entities whose representations stand in the entity."""
        found: dict[str, list[Embedded]] = {}
        data = document.data if isinstance(document.data, Mapping) else {}
        for each in several(data.get("entities")):
            if _is_embedded(each):
                one = Embedded(resolved(document.base, _self(each)), each, document.base)
                for rel in dict.fromkeys(_relations(each)):
                    found.setdefault(rel, []).append(one)
        return found

    def items(self, document: Document) -> Iterable[Any] | None:
        """The sub-entities of a collection."""
        data = document.data if isinstance(document.data, Mapping) else {}
        there = data.get("entities")
        return there if isinstance(there, list) else None


def _is_embedded(entity: Any) -> bool:
    """Whether a sub-entity is a representation, and no link to one."""
    return isinstance(entity, Mapping) and entity.get("href") is None


def _relations(value: Any) -> list[str]:
    there = value.get("rel") if isinstance(value, Mapping) else None
    return [rel for rel in several(there) if isinstance(rel, str)]


def _self(entity: Any) -> str | None:
    """Where an embedded representation says that it is."""
    links = entity.get("links") if isinstance(entity, Mapping) else None
    mine = (
        each
        for each in several(links)
        if any(same_relation(rel, "self") for rel in _relations(each))
    )
    return next((href for each in mine if (href := text(each, "href"))), None)


def _links(value: Any, href: str | None, base: str, *, embedded: bool = False) -> Iterator[Link]:
    if href is None:
        return
    attributes = _classes(value)
    for rel in dict.fromkeys(_relations(value)):
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
    if name is None or href is None:
        return None
    # What is there and can't be understood isn't taken for a GET.
    method = "GET" if value.get("method") is None else (text(value, "method") or "").upper()
    if method not in METHODS:
        return None
    fields = tuple(
        _field(each, field)
        for each in several(value.get("fields"))
        if (field := text(each, "name")) is not None
    )
    has_form = value.get("fields") is not None
    kind = text(value, "type") or (URLENCODED if has_form else None)
    return Link(
        rel=name,
        href=href,
        base=base,
        name=name,
        method=method,
        title=text(value, "title"),
        fields=fields,
        sends=kind,
        attributes=_classes(value),
    )


def _field(value: Mapping[str, Any], name: str) -> Field:
    kind = text(value, "type") or "text"
    given = value.get("value")
    choices = [each for each in several(given) if isinstance(each, Mapping) and "value" in each]
    if choices:
        selected = [each["value"] for each in choices if each.get("selected") is True]
        # Of the others than checkboxes one at most can be selected.
        given = (selected if kind == "checkbox" else next(iter(selected), None)) or None
    elif isinstance(given, list | Mapping):
        # No value that a field may have, nor any to choose from.
        given = None
    return Field(
        name,
        given,
        kind,
        text(value, "title"),
        options=tuple(each["value"] for each in choices),
    )


def _classes(value: Mapping[str, Any]) -> dict[str, Any]:
    classes = tuple(each for each in several(value.get("class")) if isinstance(each, str))
    return {"class": classes} if classes else {}
