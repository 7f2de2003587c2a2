"""`Link` headers, by the algorithms that RFC 8288 gives in its appendix B.

Ours, because no package that is looked after does it: `requests.utils.parse_header_links` splits at
commas within URLs and quoted texts, and others give up on the whole header over a link that they
don't like.

Rules:

1. Of a parameter that may stand there once, the first counts, as the RFC says.
2. A link without `rel` is none; what comes behind what can't be read is left out, as it says too.
3. No header takes more than a time in proportion to its length.
"""

from __future__ import annotations

import re
from email.utils import decode_rfc2231
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin

from sleepwalker.links._format import LinkFormat
from sleepwalker.links._link import Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sleepwalker.links._format import Document

_BLANK = " \t"
_FOLD = re.compile(r"\r?\n[ \t]+")
"""Where a header goes on in the next line (RFC 9112, 5.2)."""
_KNOWN = frozenset({"rel", "rev", "anchor", "title", "type"})
"""The parameters that a link has attributes of its own for, or that aren't read."""
_CHARSETS = frozenset({"utf-8", "iso-8859-1"})
"""Of extended values: that of RFC 8187, and the other one of RFC 5987 before it."""


class LinkHeader(LinkFormat):
    """The links in `Link` headers (RFC 8288), several in each, and several of them.

    `media`, `hreflang` and extension parameters are among a link's `attributes`: a text, or a tuple
    of texts where one stands there several times; of `name` and `name*`, the latter counts if it
    can be decoded (RFC 8187). A link with an `anchor` is about what that names, and so among
    `Links.elsewhere`.

    Not read: ``rev``, as the RFC advises, and the language that an extended value is said to be in.
    """

    def recognizes(self, document: Document) -> bool:
        """Any document may have them."""
        return bool(document.link_headers)

    def links(self, document: Document) -> Iterable[Link]:
        """The links in its headers, in their order."""
        for value in document.link_headers:
            for target, parameters in _parsed(_text(value)):
                yield from _links(target, parameters, document.url)


def _text(value: str) -> str:
    """The header in one line; UTF-8, if that is what was sent, which `http.client` can't know."""
    value = _FOLD.sub(" ", value)
    if not value.isascii():
        try:
            return value.encode("latin-1").decode("utf-8")
        except UnicodeError:
            pass
    return value


def _links(target: str, parameters: list[tuple[str, str]], url: str) -> Iterator[Link]:
    first: dict[str, str] = {}
    for name, value in parameters:
        first.setdefault(name, value)
    relations = [rel for rel in first.get("rel", "").replace("\t", " ").split(" ") if rel]
    anchor = first.get("anchor")
    try:
        context = None if anchor is None else urljoin(url, anchor)
    except ValueError:
        # It is about nobody knows what.
        return
    title = _decoded(first.get("title*"))
    attributes = _attributes(parameters)
    for rel in dict.fromkeys(relations):
        yield Link(
            rel=rel,
            href=target,
            base=url,
            context=context,
            title=first.get("title") if title is None else title,
            type=first.get("type"),
            attributes=attributes,
        )


def _attributes(parameters: list[tuple[str, str]]) -> dict[str, Any]:
    """The parameters that a link has no attributes of its own for."""
    plain: dict[str, list[str]] = {}
    extended: dict[str, list[str]] = {}
    for name, value in parameters:
        base = name.removesuffix("*")
        if base in _KNOWN:
            continue
        if base == name:
            plain.setdefault(base, []).append(value)
        elif (decoded := _decoded(value)) is not None:
            extended.setdefault(base, []).append(decoded)
    if "media" in plain:
        del plain["media"][1:]
    return {
        name: values[0] if len(values) == 1 else tuple(values)
        for name, values in {**plain, **extended}.items()
    }


def _decoded(value: str | None) -> str | None:
    """The text of an extended value (RFC 8187); `None` when it is none."""
    if value is None:
        return None
    charset, _, text = decode_rfc2231(value)
    if charset is None or charset.lower() not in _CHARSETS:
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
        if char == "\\":
            at += 1
            char = text[at : at + 1]
        parts.append(char)
        at += 1
    return "".join(parts), end


def _past_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at
