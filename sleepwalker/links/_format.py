"""What a format of links is: how the links of a document are read.

Rules:

1. A format reads a document and says which links it has; it sends nothing and follows nothing.
2. What a document should not be like, but is, costs the links concerned and no others; what can't
   be read at all is a `LinkFormatError`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from email.message import Message
from email.utils import collapse_rfc2231_value
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._link import Link


_LONGEST = 4096
"""What is read of a `Content-Type`, in characters."""


class MediaType(NamedTuple):
    """A media type with its parameters, names in lower case."""

    name: str
    parameters: Mapping[str, str]

    @staticmethod
    def of(text: str | None) -> MediaType:
        """Understand a `Content-Type`; the name of one that can't be understood is empty."""
        # The standard library takes a time that grows with the square of the length.
        return _understood((text or "")[:_LONGEST])

    @property
    def is_json(self) -> bool:
        """Whether it says that the body is JSON."""
        return self.name in {"application/json", "text/json"} or self.name.endswith("+json")


@lru_cache(maxsize=256)
def _understood(text: str) -> MediaType:
    message = Message()
    # Lone surrogates are taken ill.
    text = text.encode("utf-8", "replace").decode()
    message["Content-Type"] = text.replace("\r", " ").replace("\n", " ")
    found = message.get_params() or [("", "")]
    name = found[0][0].strip().lower() if "/" in text else ""
    parameters = {key.lower(): _decoded(value) for key, value in found[1:]}
    return MediaType(name, MappingProxyType(parameters))


def _decoded(value: str | tuple[str, str, str]) -> str:
    """A parameter's value, of which the standard library gives three parts if it is extended."""
    return value if isinstance(value, str) else collapse_rfc2231_value(value)


NO_MEDIA_TYPE = MediaType("", {})
"""Of what doesn't say what it is."""


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """A document that may have links.

    :ivar url: where it was found, absolute
    :ivar media_type: what it says it is
    :ivar headers: of the answer with it
    :ivar data: what its JSON says; `None` where it has none
    :ivar link_headers: the values of its `Link` headers, one for each header
    :ivar within: of a document that stands in another one: what that one's relative URLs are
        relative to; `None`: it stands by itself
    """

    url: str
    media_type: MediaType = NO_MEDIA_TYPE
    headers: Mapping[str, str] = field(default_factory=CaseInsensitiveDict)
    data: Any = None
    link_headers: tuple[str, ...] = ()
    within: str | None = None

    @property
    def base(self) -> str:
        """What its relative URLs are relative to, unless its format knows better."""
        return self.within or self.url

    def __repr__(self) -> str:
        # Neither what it says nor its headers and its URL's query are for everyone.
        return f"<Document {self.media_type.name or 'of no media type'}>"


class Embedded(NamedTuple):
    """The representation of another resource within a document."""

    url: str | None
    """Where it says that it is; `None`: nowhere."""
    data: Any
    within: str | None = None
    """What the URLs in it are relative to; `None`: to where it is."""
    format: LinkFormat | None = None
    """Reads its links; `None`: the format of the document that it stands in."""

    def __repr__(self) -> str:
        return f"<Embedded {'without' if self.url is None else 'with'} a URL>"


@runtime_checkable
class LinkFormat(Protocol):
    """Reads the links of one kind of document. Sub-class it, or have the same methods.

    ::

        class Feed(LinkFormat):
            def recognizes(self, document):
                return document.media_type.name == "application/vnd.example.feed+json"

            def links(self, document):
                for url in document.data["see"]:
                    yield Link(rel="related", href=url, base=document.base)

        services = ServiceManager(connections, formats=[Feed(), *DEFAULT_FORMATS])
    """

    def recognizes(self, document: Document) -> bool:  # noqa: ARG002 - what there is to say for all formats
        """Whether a document says of itself that it has links of this format.

        It is not asked where the caller chooses the format.
        """
        return False

    @abstractmethod
    def links(self, document: Document) -> Iterable[Link]:
        """The links of a document, in its order.

        :raises LinkFormatError: when they can't be understood
        """
        raise NotImplementedError

    def items(self, document: Document) -> Iterable[Any] | None:  # noqa: ARG002 - what there is to say for all formats
        """What a page of a collection has on it; `None`: the format has no word for that."""
        return None

    def embedded(self, document: Document) -> Mapping[str, list[Embedded]]:  # noqa: ARG002 - what there is to say for all formats
        """The representations of other resources that stand in the document, by relation."""
        return {}

    def etag(self, document: Document) -> str | None:  # noqa: ARG002 - what there is to say for all formats
        """The entity tag that stands in the document itself, where the format has one."""
        return None
