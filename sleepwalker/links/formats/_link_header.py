"""`Link` headers, by the algorithms that RFC 8288 gives in its appendix B.

Ours, because no package that is looked after does it: `requests.utils.parse_header_links` splits at
commas within URLs and quoted texts, and others give up on the whole header over a link that they
don't like.

Rules:

1. Of a parameter that stands there several times, the first counts, as the RFC says.
2. A link without `rel` is none; what comes behind what can't be read is left out, as it says too.
"""

from __future__ import annotations

from email.utils import decode_rfc2231
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin

from sleepwalker.links._format import LinkFormat
from sleepwalker.links._link import Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sleepwalker.links._format import Document

_BLANK = " \t"
_KNOWN = frozenset({"rel", "rev", "anchor", "title", "title*", "type"})
"""The parameters that a link has attributes of its own for."""


class LinkHeader(LinkFormat):
    """The links in `Link` headers (RFC 8288), several in each, and several of them.

    Extension parameters, `media` and `hreflang` are among a link's `attributes`; ``rev`` isn't
    read, as the RFC advises.
    """

    def recognizes(self, document: Document) -> bool:
        """Any document may have them."""
        return bool(document.link_headers)

    def links(self, document: Document) -> Iterable[Link]:
        """The links in its headers, in their order."""
        for value in document.link_headers:
            for target, parameters in _parsed(value):
                yield from _links(target, parameters, document.url)


def _links(target: str, parameters: list[tuple[str, str]], url: str) -> Iterator[Link]:
    first: dict[str, str] = {}
    for name, value in parameters:
        first.setdefault(name, value)
    anchor = first.get("anchor")
    attributes: dict[str, Any] = {}
    for name, value in parameters:
        if name not in _KNOWN:
            _add(attributes, name, value)
    for rel in dict.fromkeys(first.get("rel", "").split()):
        try:
            context = None if anchor is None else urljoin(url, anchor)
        except ValueError:
            # It is about nobody knows what.
            return
        yield Link(
            rel=rel,
            href=target,
            base=url,
            context=context,
            title=_decoded(first.get("title*")) or first.get("title"),
            type=first.get("type"),
            attributes=attributes,
        )


def _add(attributes: dict[str, Any], name: str, value: str) -> None:
    """Add a parameter: `name*`, which says more, wins over `name`; `hreflang` may be several."""
    if name.endswith("*"):
        decoded = _decoded(value)
        if decoded is not None:
            attributes[name[:-1]] = decoded
    elif name == "hreflang" and name in attributes:
        before = attributes[name]
        attributes[name] = (*(before if isinstance(before, tuple) else (before,)), value)
    else:
        attributes.setdefault(name, value)


def _decoded(value: str | None) -> str | None:
    """The text of an extended value (RFC 8187); `None` when it is none."""
    if value is None:
        return None
    charset, language, text = decode_rfc2231(value)
    if charset is None or language is None or charset.lower() not in {"utf-8", "iso-8859-1"}:
        return None
    try:
        return unquote(text, encoding=charset, errors="strict")
    except UnicodeDecodeError:
        return None


def _parsed(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The targets in a header's value, with their parameters (RFC 8288, B.2)."""
    at, end = 0, len(text)
    while at < end:
        # Empty elements of a list are allowed (RFC 9110, 5.6.1).
        while at < end and text[at] in " \t,":
            at += 1
        closing = text.find(">", at)
        if at >= end or text[at] != "<" or closing < 0:
            return
        target = text[at + 1 : closing]
        parameters, at = _parameters(text, closing + 1)
        yield target, parameters
        while at < end and text[at] in _BLANK:
            at += 1
        if at < end and text[at] != ",":
            return


def _parameters(text: str, at: int) -> tuple[list[tuple[str, str]], int]:
    """The parameters from there on, and where they end (B.3)."""
    found: list[tuple[str, str]] = []
    end = len(text)
    while True:
        at = _past_blanks(text, at)
        if at >= end or text[at] != ";":
            return found, at
        at = _past_blanks(text, at + 1)
        begin = at
        while at < end and text[at] not in " \t=;,":
            at += 1
        name = text[begin:at].lower()
        at = _past_blanks(text, at)
        value = ""
        if at < end and text[at] == "=":
            at = _past_blanks(text, at + 1)
            if at < end and text[at] == '"':
                value, at = _quoted(text, at + 1)
            else:
                begin = at
                while at < end and text[at] not in ";,":
                    at += 1
                value = text[begin:at].rstrip(_BLANK)
        if name:
            found.append((name, value))


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The quoted text from there on, and where it ends (B.4)."""
    parts: list[str] = []
    end = len(text)
    while at < end:
        char = text[at]
        if char == '"':
            return "".join(parts), at + 1
        if char == "\\" and at + 1 < end:
            at += 1
            char = text[at]
        parts.append(char)
        at += 1
    return "".join(parts), at


def _past_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at
