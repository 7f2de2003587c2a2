"""Examples of specifications as data: a document, and everything that is to be read in it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sleepwalker.links import Document, Link, LinkFormat, MediaType

if TYPE_CHECKING:
    from collections.abc import Mapping

Read = dict[str, Any]
"""A link as it was read: its relation, its absolute URL, and what more there is to say of it."""
_BY_URL = frozenset({"href", "base"})
_DEFAULTS = {
    field.name: getattr(Link(rel="", href="", base=""), field.name) for field in fields(Link)
}


@dataclass(frozen=True, kw_only=True)
class Example:
    """A document that a specification shows, or that one of its rules speaks of.

    :ivar section: where it stands in the specification; behind a colon, what is ours about it
    :ivar links: all that are to be found, in their order
    :ivar given: variables for the templates of links, by relation
    :ivar embedded: the URLs of what is embedded, by relation
    :ivar items: what is on it, if it is a page of a collection
    """

    section: str
    url: str
    links: tuple[Read, ...]
    data: Any = None
    headers: tuple[str, ...] = ()
    given: Mapping[str, Mapping[str, Any]] | None = None
    embedded: Mapping[str, list[str | None]] | None = None
    items: list[Any] | None = None
    etag: str | None = None

    def document(self, media_type: str = "") -> Document:
        """Give the document."""
        return Document(
            self.url, MediaType.of(media_type), data=self.data, link_headers=self.headers
        )


def link(rel: str, url: str, **more: Any) -> Read:
    """Say what is to be read."""
    return {"rel": rel, "url": url, **more}


def read(one: Link, given: Mapping[str, Mapping[str, Any]] | None = None) -> Read:
    """Say what was read, leaving out what is as it is by default.

    :param given: variables for the templates of links, by relation
    """
    found: Read = {"rel": one.rel, "url": one.url(**(given or {}).get(one.rel, {}))}
    for name, default in _DEFAULTS.items():
        value = getattr(one, name)
        if name not in {*_BY_URL, *found} and value != default:
            found[name] = value
    return found


def all_read(
    form: LinkFormat,
    document: Document,
    given: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Read, ...]:
    """Say which links a format reads."""
    return tuple(read(one, given) for one in form.links(document))


def embedded_in(form: LinkFormat, document: Document) -> dict[str, list[str | None]]:
    """Say where what is embedded says that it is."""
    return {
        rel: [one.url for one in those] for rel, those in form.embedded(document).items() if those
    }
