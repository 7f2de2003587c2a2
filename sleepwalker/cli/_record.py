"""What `walk` writes of each visit, and how a later one goes on from it: JSON, one line each.

Rules:

1. A line has all that is needed to go on from it: where it was, how it was come by, and the links
   to be followed from it.
2. What was visited is not visited again; what failed is.
3. The last line of a file may be cut off, and any that can't be understood is passed over, and
   counted: its resource is asked for again.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker.cli import _links
from sleepwalker.cli._failures import UsageError, telling
from sleepwalker.cli._text import without_userinfo
from sleepwalker.links import Known
from sleepwalker.links._link import goes_by_itself
from sleepwalker.links._urls import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sleepwalker.links import Link, Resource, Visit


def line(visit: Visit, rels: Sequence[str], *, data: bool) -> bytes:
    """A visit as a line.

    :param rels: the relations that are followed
    :param data: whether what the resource says is part of it
    """
    record: dict[str, Any] = {"url": without_userinfo(visit.url)}
    if visit.ok and canonical(visit.url) != visit.requested:
        record["requested"] = visit.requested
    record |= {"depth": visit.depth, "rel": visit.rel, "source": visit.source}
    if visit.resource is not None:
        record |= _of_resource(visit.resource, rels)
        if data:
            record["data"] = visit.resource.data
    if visit.error is not None:
        error = telling(visit.error)
        answer = getattr(error, "response", None)
        taken = getattr(error, "elapsed", None)
        if answer is not None:
            record["status"] = answer.status_code
            taken = answer.elapsed.total_seconds() if taken is None else taken
        record["seconds"] = _rounded(taken)
        record["error"] = {"type": type(error).__name__, "message": str(error)}
    return json.dumps(record).encode() + b"\n"


def _of_resource(resource: Resource, rels: Sequence[str]) -> dict[str, Any]:
    taken = None if resource.response is None else resource.response.elapsed.total_seconds()
    return {
        "status": resource.status,
        "seconds": _rounded(taken),
        "links": {rel: [_links.written(link) for link in followed(resource, rel)] for rel in rels},
    }


def followed(resource: Resource, rel: str) -> list[Link]:
    """The links of a relation that a traversal follows."""
    return [link for link in resource.links.all(rel) if goes_by_itself(link)]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


_BEGINNING = b'{"url": "'
"""How every line begins."""


class Earlier:
    """What earlier walks wrote; goes through their files each time it is gone through.

    :param paths: of the files, in the order in which they were written
    :param url: where the walk starts
    :param rels: the relations that are followed
    :ivar visited: how many lines tell of a resource
    :ivar passed_over: how many could not be understood
    :raises UsageError: for a file that can't be read, or is of another walk
    """

    def __init__(self, paths: Sequence[str], url: str, rels: Sequence[str]) -> None:
        self._paths = paths
        self._url = canonical(url)
        self._rels = rels
        self.visited = self.passed_over = 0
        understood = 0
        for where, written in self._lines():
            if written is None:
                self.passed_over += 1
                continue
            understood += 1
            self._check(written, where)
            self.visited += written.links is not None
        # But for a walk that was cut off in its very first line.
        if self.passed_over > 1 and not understood:
            raise UsageError(f"--resume: nothing in {', '.join(paths)} is of a walk")

    def __iter__(self) -> Iterator[Known]:
        for _where, written in self._lines():
            if written is None or written.links is None:
                continue
            links = [
                _links.read(rel, each, written.url)
                for rel in self._rels
                for each in written.links[rel]
            ]
            yield Known(
                written.url, written.depth, written.rel, written.source, written.requested, links
            )

    def _lines(self) -> Iterator[tuple[str, _Written | None]]:
        """Each line of each file: where it is, and what it says if it can be understood."""
        for path in self._paths:
            try:
                with open(path, "rb") as file:  # noqa: PTH123 - as it was given, for messages
                    for number, text in enumerate(file, 1):
                        if text.strip():
                            yield f"{path}, line {number}", _understood(text)
            except OSError as error:
                raise UsageError(f"--resume: {path} can't be read: {error.strerror}") from None

    def _check(self, written: _Written, where: str) -> None:
        """Refuse what another walk wrote."""
        if written.source is None and canonical(written.requested) != self._url:
            raise UsageError(f"--resume: {where}: this is of a walk from elsewhere")
        if written.links is None:
            return
        for rel in self._rels:
            if rel not in written.links:
                raise UsageError(
                    f"--resume: {where}: --rel {rel} was not followed then, so that its links "
                    "are not known"
                )


class _Written(NamedTuple):
    """What a line says."""

    url: str
    depth: int
    rel: str | None
    source: str | None
    requested: str
    links: dict[str, list[Any]] | None
    """By relation, each as `_links` writes it; `None`: it could not be had."""


def _understood(text: bytes) -> _Written | None:
    try:
        record = json.loads(text)
        url = record["url"]
        links = None if "error" in record else record["links"]
        made = _Written(
            url,
            record["depth"],
            record["rel"],
            record["source"],
            record.get("requested", url),
            links,
        )
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None
    plain = (
        isinstance(url, str)
        and isinstance(made.depth, int)
        and isinstance(made.rel, str | None)
        and isinstance(made.source, str | None)
        and isinstance(made.requested, str)
    )
    return made if plain and (links is None or _are_links(links)) else None


def _are_links(links: Any) -> bool:
    return isinstance(links, dict) and all(
        isinstance(those, list) and all(map(_links.is_written, those)) for those in links.values()
    )


def is_begun(path: str, at: int) -> bool:
    """Whether what a file has from somewhere on is the beginning of a line of ours."""
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        file.seek(at)
        text = file.read(len(_BEGINNING))
    return _BEGINNING.startswith(text)


def cut_off(path: str) -> int | None:
    """Where a file's last line begins, if it has no end; else `None`."""
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        end = file.seek(0, os.SEEK_END)
        begins = end
        # Backwards, since a line may be long and the file much longer.
        while begins:
            size = min(begins, 65_536)
            file.seek(begins - size)
            newline = file.read(size).rfind(b"\n")
            if newline >= 0:
                begins = begins - size + newline + 1
                break
            begins -= size
    return None if begins == end else begins
