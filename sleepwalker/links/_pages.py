"""Going through the pages of a collection, and through what is on them.

Rules:

1. Nothing is got before it is asked for, and no page is kept once the one behind it is there.
2. Pages end: a page that leads back to one that was there, and more of them than may be, are
   errors, not an end.
3. Nor is any other error: who asks again after it gets what would have come, and not silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from sleepwalker.exceptions import (
    LinkError,
    LinkLoopError,
    TooManyHopsError,
)
from sleepwalker.resilience.policy import check_whole

from ._telling import no_secret_told
from ._urls import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._resource import Resource


def pages(first: Resource, rel: str, most: int | None) -> Iterator[Resource]:
    """A page and those behind it."""
    most = first.service.services.max_pages if most is None else most
    check_whole(most, "max_pages")
    return _Pages(first, rel, most)


def items(first: Resource, rel: str, most: int | None) -> Iterator[Any]:
    """What is on a page and on those behind it."""
    return _Items(pages(first, rel, most))


class _Pages(Iterator["Resource"]):
    """One after the other."""

    def __init__(self, first: Resource, rel: str, most: int) -> None:
        self._rel, self._most = rel, most
        self._page: Resource | None = first
        """The last one that was given, or the first; `None`: there is none behind it."""
        self._given = 0
        self._been = {canonical(first.url)}

    def __next__(self) -> Resource:
        page = self._page
        if page is not None and self._given:
            page = self._page = self._behind(page)
        if page is None:
            raise StopIteration
        self._given += 1
        return page

    def _behind(self, page: Resource) -> Resource | None:
        if self._rel not in page.links:
            return None
        if self._given == self._most:
            msg = f"there are more than {self._most} pages; pages(max_pages=...) allows more"
            raise TooManyHopsError(msg)
        link = page.link(self._rel)
        target = canonical(link.url())
        if target in self._been:
            self._raise_loop(page, target)
        found = page.follow(link)
        there = canonical(found.url)
        if there != target and there in self._been:
            self._raise_loop(page, there)
        self._been |= {target, there}
        # Pages have a limit of their own.
        found._trail = found._trail._replace(hops=page._trail.hops)
        return found

    def _raise_loop(self, page: Resource, target: str) -> NoReturn:
        msg = (
            f"page {self._given} leads by {self._rel!r} back to {page._shown(target)}, "
            "which was there already, and no page is given twice; follow the link itself if it is "
            "meant"
        )
        with no_secret_told(page.service, page._trail.headers):
            raise LinkLoopError(msg)


class _Items(Iterator[Any]):
    """What is on pages, each got once all of the one before it was given."""

    def __init__(self, pages: Iterator[Resource]) -> None:
        self._pages = pages
        self._page: Resource | None = None
        """One that was got, and whose items are yet to be found."""
        self._items: Iterator[Any] = iter(())

    def __next__(self) -> Any:
        while True:
            for item in self._items:
                return item
            if self._page is None:
                self._page = next(self._pages)
            self._items = iter(_on(self._page))
            self._page = None


def _on(page: Resource) -> Iterable[Any]:
    document = page._document()
    for form in page._formats(document):
        found = form.items(document)
        if found is not None:
            return found
    data = page.data
    if isinstance(data, list):
        return data
    if "item" in page.links:
        return page.links.all("item")
    what = "object" if isinstance(data, Mapping) else type(data).__name__
    msg = (
        f"{page._shown(page.url)} is no collection that can be told ({what}): "
        "go through pages() and take the items from data"
    )
    raise LinkError(msg)
