"""HAL, the JSON Hypertext Application Language (draft-kelly-json-hal-11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import TemplateError
from sleepwalker.links._format import Embedded, LinkFormat
from sleepwalker.links._link import Link
from sleepwalker.links._templates import expanded

from ._reading import members, resolved, several, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sleepwalker.links._format import Document

MEDIA_TYPES = frozenset({"application/hal+json", "application/vnd.hal+json"})
_KNOWN = frozenset({"href", "templated", "type", "deprecation", "name", "title"})


class HAL(LinkFormat):
    """The links in ``_links``, and those to what stands in ``_embedded``.

    A relation that is a CURIE is found as it is written and by the URI that it stands for. What is
    embedded is a link to where it says that it is, unless there is one already, and
    `Resource.embedded` gives it as it stands there.
    """

    def recognizes(self, document: Document) -> bool:
        """By its media type; a suffix for a media type of one's own is not registered."""
        return document.media_type.name in MEDIA_TYPES

    def links(self, document: Document) -> Iterable[Link]:
        """The links of a document, and of what is embedded in it (section 4.1)."""
        curies = _curies(document.data)
        there = set()
        for rel, value in members(document.data, "_links"):
            for each in several(value):
                link = _link(rel, each, document.base, curies)
                if link is not None:
                    there.add((rel, link.href))
                    yield link
        for rel, those in self.embedded(document).items():
            for one in those:
                if one.url is not None and (rel, text(_self(one.data), "href")) not in there:
                    yield Link(
                        rel=rel,
                        href=one.url,
                        base=document.base,
                        also=_written_out(rel, curies),
                        data=one.data,
                    )

    def embedded(self, document: Document) -> Mapping[str, list[Embedded]]:
        """What stands in ``_embedded`` (section 4.1.2)."""
        return {
            rel: [
                Embedded(resolved(document.base, text(_self(each), "href")), each, document.base)
                for each in several(value)
                if isinstance(each, Mapping)
            ]
            for rel, value in members(document.data, "_embedded")
        }

    def items(self, document: Document) -> Iterable[Any] | None:
        """What is embedded under its one relation, or under ``item``."""
        there = dict(members(document.data, "_embedded"))
        if "item" in there:
            return several(there["item"])
        return several(next(iter(there.values()))) if len(there) == 1 else None


def _self(data: Any) -> Any:
    links = data.get("_links") if isinstance(data, Mapping) else None
    return next(iter(several(links.get("self"))), None) if isinstance(links, Mapping) else None


def _link(rel: str, value: Any, base: str, curies: Mapping[str, str]) -> Link | None:
    """The link that a link object says; `None` when it is none (section 5)."""
    href = text(value, "href")
    if href is None:
        return None
    return Link(
        rel=rel,
        href=href,
        base=base,
        also=_written_out(rel, curies),
        templated=value.get("templated") is True,
        name=text(value, "name"),
        title=text(value, "title"),
        type=text(value, "type"),
        deprecation=text(value, "deprecation"),
        attributes={key: item for key, item in value.items() if key not in _KNOWN},
    )


def _curies(data: Any) -> dict[str, str]:
    """The templates of a document's CURIEs by name (section 8.2)."""
    links = dict(members(data, "_links"))
    return {
        name: href
        for each in several(links.get("curies"))
        if (name := text(each, "name")) is not None and (href := text(each, "href")) is not None
    }


def _written_out(rel: str, curies: Mapping[str, str]) -> tuple[str, ...]:
    """The URI that a CURIE stands for."""
    name, colon, reference = rel.partition(":")
    if not colon or name not in curies:
        return ()
    try:
        return (expanded(curies[name], {"rel": reference}),)
    except TemplateError:
        return ()
