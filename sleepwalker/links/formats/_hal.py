"""HAL, the JSON Hypertext Application Language (draft-kelly-json-hal-11)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import TemplateError
from sleepwalker.links._format import Embedded, LinkFormat
from sleepwalker.links._link import NOTHING, Link
from sleepwalker.links._templates import expanded

from ._reading import members, resolved, several, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sleepwalker.links._format import Document

MEDIA_TYPES = frozenset({"application/hal+json", "application/vnd.hal+json"})
_KNOWN = frozenset({"href", "templated", "type", "deprecation", "name", "title"})


class HAL(LinkFormat):
    """The links in ``_links``, and those to what stands in ``_embedded`` (draft-kelly-json-hal-11).

    A relation that is a CURIE is found as it is written and by the URI that it stands for. What is
    embedded is a link to where it says that it is, unless there is one already, which has it as its
    `data` then; `Resource.embedded` gives it as it stands there. Of a link whose ``deprecation`` is
    no URL, `deprecation` is an empty text. Not read: the media type's parameter ``profile``.

    :param curies: templates by name, for CURIEs that the document doesn't define itself
    """

    def __init__(self, curies: Mapping[str, str] = NOTHING) -> None:
        self._curies = curies

    def recognizes(self, document: Document) -> bool:
        """By its media type; a suffix for a media type of one's own is not registered."""
        return document.media_type.name in MEDIA_TYPES

    def links(self, document: Document) -> Iterable[Link]:
        """The links of a document, and of what is embedded in it (section 4.1)."""
        curies = self._known(document.data)
        held: dict[tuple[str, str | None], Any] = {}
        for rel, those in self.embedded(document).items():
            for one in those:
                if one.url is not None:
                    held.setdefault((rel, one.url), one.data)
        left = dict(held)
        for rel, value in members(document.data, "_links"):
            for each in several(value):
                link = _link(rel, each, document.base, curies)
                if link is None:
                    continue
                data = None
                if held:
                    key = rel, None if link.templated else resolved(document.base, link.href)
                    left.pop(key, None)
                    data = held.get(key)
                yield link if data is None else replace(link, data=data)
        for (rel, url), data in left.items():
            yield Link(
                rel=rel,
                href=url or "",
                base=document.base,
                also=_written_out(rel, curies),
                data=data,
            )

    def embedded(self, document: Document) -> Mapping[str, list[Embedded]]:
        """What stands in ``_embedded`` (section 4.1.2)."""
        # What is embedded may use the CURIEs of what it is embedded in.
        form = copy(self)
        form._curies = self._known(document.data)
        return {
            rel: [
                Embedded(_self(each, document.base), each, document.base, form)
                for each in several(value)
                if isinstance(each, Mapping)
            ]
            for rel, value in members(document.data, "_embedded")
        }

    def items(self, document: Document) -> Iterable[Any] | None:
        """What is embedded under ``item``, or under the one relation that there is.

        Whether a document without ``_embedded`` is a collection nobody knows; with an empty one it
        is an empty collection.
        """
        if not isinstance(document.data, Mapping) or "_embedded" not in document.data:
            return None
        there = dict(members(document.data, "_embedded"))
        if "item" in there or not there:
            return several(there.get("item"))
        linked = dict(members(document.data, "_links"))
        return several(*there.values()) if len(there) == 1 and "item" not in linked else None

    def _known(self, data: Any) -> Mapping[str, str]:
        """The templates of the CURIEs that a document may use, its own before others, by name."""
        own = {
            name: href
            for each in several(dict(members(data, "_links")).get("curies"))
            if (name := text(each, "name")) is not None and (href := text(each, "href")) is not None
        }
        return {**self._curies, **own} if own else self._curies


def _self(data: Any, base: str) -> str | None:
    """Where what is embedded says that it is."""
    for each in several(dict(members(data, "_links")).get("self")):
        href = text(each, "href")
        if href is not None and each.get("templated") is not True:
            return resolved(base, href)
    return None


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
        deprecation=_deprecation(value),
        attributes={key: item for key, item in value.items() if key not in _KNOWN},
    )


def _deprecation(value: Mapping[str, Any]) -> str | None:
    """Where the end of a link is announced; that the property is there is enough (section 5.4)."""
    said = value.get("deprecation")
    if said is None or said is False:
        return None
    return said if isinstance(said, str) else ""


def _written_out(rel: str, curies: Mapping[str, str]) -> tuple[str, ...]:
    """The URI that a CURIE stands for."""
    name, colon, reference = rel.partition(":")
    if not colon or name not in curies:
        return ()
    try:
        return (expanded(curies[name], {"rel": reference}),)
    except TemplateError:
        return ()
