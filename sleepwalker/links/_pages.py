"""Going through the pages of a collection, and through what is on them.

Rules:

1. Nothing is got before it is asked for, and no page is kept once the next one is asked for.
2. Pages end: a page that leads back to one that was there, and more of them than may be, are
   errors, not an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import (
    ConfigurationError,
    LinkError,
    LinkLoopError,
    TooManyHopsError,
)

from ._urls import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._resource import Resource


def pages(first: Resource, rel: str, most: int | None) -> Iterator[Resource]:
    """A page and those behind it."""
    services = first.service.services
    most = services.max_pages if most is None else most
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        msg = f"max_pages must be a whole number of at least 1, not {most!r}"
        raise ConfigurationError(msg)
    return _pages(first, rel, most)


def _pages(page: Resource, rel: str, most: int) -> Iterator[Resource]:
    been = {canonical(page.url)}
    hops = page._trail.hops
    for number in range(1, most + 1):
        yield page
        if rel not in page.links:
            return
        link = page.links.one(rel)
        target = canonical(link.url())
        if target in been:
            raise _loop(page, number, rel, target)
        been.add(target)
        if number < most:
            following = page.follow(link)
            there = canonical(following.url)
            if there != target and there in been:
                raise _loop(page, number, rel, there)
            been.add(there)
            page = following
            # Pages have a limit of their own.
            page._trail = page._trail._replace(hops=hops)
            # Not kept beside it.
            del following
    msg = f"there are more than {most} pages; pages(max_pages=...) allows more"
    raise TooManyHopsError(msg)


def _loop(page: Resource, number: int, rel: str, target: str) -> LinkLoopError:
    shown = page.service.services.shown(target)
    return LinkLoopError(f"page {number} leads by {rel!r} back to {shown}, which was there already")


def items(first: Resource) -> Iterator[Any]:
    """What is on a page and on those behind it."""
    following = first.pages()
    del first
    for page in following:
        yield from _on(page)
        del page


def _on(page: Resource) -> Iterator[Any]:
    document = page._document()
    for form in page._formats(document):
        found = form.items(document)
        if found is not None:
            yield from found
            return
    data = page.data
    if isinstance(data, list):
        yield from data
    elif "item" in page.links:
        yield from page.links.all("item")
    else:
        what = "object" if isinstance(data, Mapping) else type(data).__name__
        msg = (
            f"{page.service.services.shown(page.url)} is no collection that can be told ({what}): "
            "go through pages() and take the items from data"
        )
        raise LinkError(msg)
