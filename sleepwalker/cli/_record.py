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
from typing import TYPE_CHECKING, Any

from sleepwalker.cli import _links
from sleepwalker.cli._failures import UsageError, telling
from sleepwalker.cli._text import without_userinfo
from sleepwalker.exceptions import HTTPError
from sleepwalker.links import Known
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
        if isinstance(error, HTTPError):
            record["status"] = error.http_code
        record["seconds"] = _rounded(getattr(error, "elapsed", None))
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
    return [link for link in resource.links.all(rel) if link.method in {"GET", "HEAD"}]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


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
        for path, number, record in self._records():
            if record is None:
                self.passed_over += 1
                continue
            try:
                self._check(record, f"{path}, line {number}")
                self.visited += "error" not in record
            except (TypeError, KeyError, AttributeError):
                self.passed_over += 1

    def __iter__(self) -> Iterator[Known]:
        for _path, _number, record in self._records():
            if record is None or "error" in record:
                continue
            try:
                yield self._known(record)
            except (TypeError, KeyError, AttributeError):
                continue

    def _records(self) -> Iterator[tuple[str, int, dict[str, Any] | None]]:
        """Each line of each file, understood; `None` where it can't be."""
        for path in self._paths:
            try:
                with open(path, "rb") as file:  # noqa: PTH123 - as it was given, for messages
                    for number, text in enumerate(file, 1):
                        if text.strip():
                            yield path, number, _understood(text)
            except OSError as error:
                raise UsageError(f"--resume: {path} can't be read: {error.strerror}") from None

    def _check(self, record: dict[str, Any], where: str) -> None:
        """Refuse what another walk wrote.

        :raises TypeError, KeyError, AttributeError: for a line that no walk wrote
        """
        if record["source"] is None:
            start = canonical(str(record.get("requested", record["url"])))
            if start != self._url:
                raise UsageError(f"--resume: {where}: this is of a walk from elsewhere")
        if "error" in record:
            return
        for rel in self._rels:
            if rel not in record["links"]:
                raise UsageError(
                    f"--resume: {where}: --rel {rel} was not followed then, so that its links "
                    "are not known"
                )
        self._known(record)

    def _known(self, record: dict[str, Any]) -> Known:
        url, source, rel, depth = (record[name] for name in ("url", "source", "rel", "depth"))
        if not isinstance(url, str) or not isinstance(depth, int):
            raise TypeError
        links = [_links.read(rel, each, url) for rel in self._rels for each in record["links"][rel]]
        return Known(url, depth, rel, source, str(record.get("requested", url)), links)


def _understood(text: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "url" in record else None


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
