"""Relations that the caller maps by JSON Pointer (RFC 6901), for APIs with no format at all.

Rules:

1. What the caller got wrong is an error when the mapping is made; what a document doesn't have is
   no link.
2. What a document puts into a template stands in the link as text: only what the caller is to give
   is left open.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from sleepwalker import auth as _auth
from sleepwalker.connection import _urls
from sleepwalker.exceptions import ConfigurationError, LinkFormatError, TemplateError, URLError
from sleepwalker.links._format import LinkFormat, MediaType
from sleepwalker.links._link import Field, Link
from sleepwalker.links._templates import expanded, partly_expanded, variables_of

from ._pointing import MISSING, Pointer, is_array, pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.links._format import Document


@runtime_checkable
class Source(Protocol):
    """Where in a document the links of a relation are."""

    @abstractmethod
    def links(self, rel: str, data: Any, base: str) -> Iterator[Link]:
        """The links that a value has there."""
        raise NotImplementedError


class Pointers(LinkFormat):
    """Relations that the caller maps by JSON Pointer (RFC 6901).

    ::

        pages = Pointers(
            {
                "author": "/author/href",
                "next": "/paging/next",
                "item": Each("/results", "/url"),
                "owner": Template("/users/{id}", id="/owner_id"),
                "search": Template("/search{?q}"),
            },
            items="/results",
        )
        book = library.get("/books/7", formats=[pages])

    A pointer leads to a text, which is a URL reference, or to an array of them. Where there is
    something else, or nothing, or an empty text, there is no link.

    Pointers have no wildcards, and here they get none: `Each` is a pointer to an array with another
    one within its elements. Not read: pointers in the form of URI fragments (section 6).

    :param relations: relation types to pointers, `Each` or `Template`
    :param items: leads to what a page of a collection has on it, for `Resource.items`
    :param media_types: the documents that it is for, among the formats of a `ServiceManager`
    :param hosts: host patterns (as those of `DirectHook`) of these documents. Where neither is
        given, it is for those documents that the caller chooses it for, with ``formats=[...]``
    :raises ConfigurationError: for what is no pointer, or no URI template
    """

    def __init__(
        self,
        relations: Mapping[str, str | Source],
        *,
        items: str | None = None,
        media_types: Iterable[str] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        if not isinstance(relations, Mapping):
            msg = f"relations must map relations to pointers, not {type(relations).__name__}"
            raise ConfigurationError(msg)
        self._sources = {
            _relation(rel): _source(source, f"the relation {rel!r}")
            for rel, source in relations.items()
        }
        self._items = None if items is None else pointer(items, "items")
        if isinstance(media_types, str):
            msg = "media_types must be a list of media types"
            raise ConfigurationError(msg)
        self._media_types = frozenset(MediaType.of(each).name for each in media_types)
        if "" in self._media_types:
            msg = "media_types must be media types, such as 'application/json'"
            raise ConfigurationError(msg)
        self._hosts = _auth.host_patterns("hosts", hosts)

    def recognizes(self, document: Document) -> bool:
        """Whether it is one of those that the caller has named by media type or host."""
        if not self._media_types and not self._hosts:
            return False
        if self._media_types and document.media_type.name not in self._media_types:
            return False
        return not self._hosts or self._is_from_there(document.url)

    def _is_from_there(self, url: str) -> bool:
        try:
            origin = _urls.parse_origin(url)[0]
        except URLError:
            return False
        return any(each.matches(*origin) for each in self._hosts)

    def links(self, document: Document) -> Iterable[Link]:
        """The links of the relations, in the order of the mapping."""
        for rel, source in self._sources.items():
            yield from source.links(rel, document.data, document.base)

    def items(self, document: Document) -> Iterable[Any] | None:
        """What `items` leads to: an array, an object's values, or nothing in the place of null.

        :raises LinkFormatError: when it leads to something else, or nowhere
        """
        if self._items is None:
            return None
        there = self._items.found(document.data)
        if there is None:
            return []
        elements = _elements(there)
        if elements is None:
            what = "nothing" if there is MISSING else f"a {type(there).__name__}"
            msg = f"items= of Pointers leads to {what}, and not to an array"
            raise LinkFormatError(msg)
        return elements


class Each(Source):
    """In `Pointers`: a link in each element of an array, or in each value of an object.

    ::

        Each("/results", "/url")
        Each("/results", Template("/users/{id}", id="/id"))

    :param array: a pointer to the array
    :param source: a pointer within each element, a `Template` whose pointers are, or another `Each`
    :raises ConfigurationError: for what is no pointer
    """

    def __init__(self, array: str, source: str | Source = "", /) -> None:
        self._array = pointer(array, "the array of Each")
        self._source = _source(source, "the source of Each")

    def links(self, rel: str, data: Any, base: str) -> Iterator[Link]:
        """The links of the elements, in their order."""
        for element in _elements(self._array.found(data)) or ():
            yield from self._source.links(rel, element, base)


class Template(Source):
    """In `Pointers`: a URI template (RFC 6570) that is filled in from the document.

    ::

        Template("/users/{id}", id="/owner_id")
        Template("/users/{id}/posts{?q}", id="/owner_id")  # follow("posts", q="...")

    A variable without a pointer is for the caller to give. Where a pointer finds nothing, or null,
    there is no link.

    :param template: of the URL reference
    :param pointers: where the variables' values are
    :raises ConfigurationError: for what is no template or pointer, and for a variable that the
        template doesn't have
    """

    def __init__(self, template: str, /, **pointers: str) -> None:
        if not isinstance(template, str):
            msg = f"a template must be text, not {type(template).__name__}"
            raise ConfigurationError(msg)
        try:
            names = variables_of(template)
        except TemplateError as error:
            msg = f"{template!r} is no URI template: {error.message}"
            raise ConfigurationError(msg) from None
        if unknown := sorted(set(pointers) - set(names)):
            msg = f"the template {template!r} has no variable {', '.join(unknown)}"
            raise ConfigurationError(msg)
        self._template = template
        self._open = tuple(Field(name) for name in names if name not in pointers)
        self._pointers = {
            name: pointer(text, f"the variable {name} of {template!r}")
            for name, text in pointers.items()
        }

    def links(self, rel: str, data: Any, base: str) -> Iterator[Link]:
        """The link, if the document has all that belongs into it."""
        values = {name: each.found(data) for name, each in self._pointers.items()}
        if any(value is MISSING or value is None for value in values.values()):
            return
        try:
            href = (partly_expanded if self._open else expanded)(self._template, values)
        except TemplateError:
            # An array of arrays, or the like.
            return
        if self._open:
            left = set(variables_of(href))
            yield Link(
                rel=rel,
                href=href,
                base=base,
                templated=True,
                variables={name: value for name, value in values.items() if name in left},
                inputs=self._open,
            )
        else:
            yield Link(rel=rel, href=href, base=base)


class _Reference(Source):
    """A pointer to a URL reference, or to an array of them."""

    def __init__(self, where: Pointer) -> None:
        self._pointer = where

    def links(self, rel: str, data: Any, base: str) -> Iterator[Link]:
        found = self._pointer.found(data)
        for href in found if is_array(found) else [found]:
            if isinstance(href, str) and href:
                yield Link(rel=rel, href=href, base=base)


def _source(value: Any, where: str) -> Source:
    if isinstance(value, Source) and not isinstance(value, type):
        return value
    return _Reference(pointer(value, where))


def _relation(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    msg = f"a relation must be text, not {value!r}"
    raise ConfigurationError(msg)


def _elements(value: Any) -> Iterable[Any] | None:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if is_array(value) else None
