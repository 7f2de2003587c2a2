"""Links as `get --links` lists them, and as `walk` writes and reads them.

Rules:

1. What a document said is told as it is, for it is data, and `walk` goes on from it; but the user
   name and password of a URL, which no link may have, are never repeated.
2. A link that is read again leads exactly where it led, by the same rules.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from sleepwalker.cli._text import without_userinfo
from sleepwalker.exceptions import SleepwalkerException
from sleepwalker.links import Link

if TYPE_CHECKING:
    from collections.abc import Mapping


def told(link: Link) -> dict[str, Any]:
    """What there is to say about a link."""
    made: dict[str, Any] = {"rel": link.rel}
    if link.templated:
        # Joined as text: what stands in braces is no URL yet.
        absolute = "://" in link.href.partition("{")[0]
        made["template"] = link.href if absolute else _joined(link)
    else:
        made["url"] = _url_of(link)
    for name in ("name", "title", "type", "deprecation"):
        if (value := getattr(link, name)) is not None:
            made[name] = value
    if link.method != "GET":
        made["method"] = link.method
    if link.fields:
        made["fields"] = [field.name for field in link.fields]
    if link.context is not None:
        made["about"] = without_userinfo(link.context)
    return made


def _joined(link: Link) -> str:
    literal, brace, rest = link.href.partition("{")
    try:
        return without_userinfo(urljoin(link.base, literal) + brace + rest)
    except ValueError:
        return without_userinfo(link.href)


def _url_of(link: Link) -> str:
    try:
        url = link.url()
    except SleepwalkerException:
        url = link.href
    return without_userinfo(url)


def written(link: Link) -> str | dict[str, Any]:
    """A link that `walk` may follow, as it stands in its output: mostly just a URL.

    A walk puts nothing into templates: where one leads, the document has said.
    """
    if link.method == "GET":
        with suppress(SleepwalkerException):
            return without_userinfo(link.url())
    # What leads nowhere is kept as it is, so that it has the same error again.
    made: dict[str, Any] = {"href": without_userinfo(link.href), "base": link.base}
    if link.templated:
        made["templated"] = True
        made["variables"] = dict(link.variables)
    if link.method != "GET":
        made["method"] = link.method
    return made


def is_written(value: Any) -> bool:
    """Whether a value is a link that was written."""
    if not isinstance(value, dict):
        return isinstance(value, str)
    return (
        isinstance(value.get("href"), str)
        and isinstance(value.get("base"), str)
        and isinstance(value.get("variables", {}), dict)
        and value.get("method", "GET") in {"GET", "HEAD"}
    )


def read(rel: str, value: str | Mapping[str, Any], base: str) -> Link:
    """The link again.

    :param value: one that `is_written`
    :param base: the URL of the document that it stood in
    """
    if isinstance(value, str):
        return Link(rel=rel, href=value, base=base)
    return Link(
        rel=rel,
        href=value["href"],
        base=value["base"],
        templated=bool(value.get("templated")),
        variables=dict(value.get("variables", {})),
        method=value.get("method", "GET"),
    )
