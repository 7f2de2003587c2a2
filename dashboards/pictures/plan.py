"""Which pictures there are, what each of them shows, and what its panels ask.

Rules:

1. Pure: the committed dashboards go in, and queries without variables come out.
2. Every row of the dashboards is in one picture, and in no other.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Json = dict[str, Any]

ROOT: Final = Path(__file__).parents[2]
GRAFANA: Final = ROOT / "dashboards" / "grafana"
IMAGES: Final = ROOT / "docs" / "images"

OVERVIEW: Final = "sleepwalker-overview"
POOL: Final = "sleepwalker-pool"


class Picture(NamedTuple):
    """Some rows of a dashboard, one below the other."""

    name: str
    board: str
    rows: tuple[str, ...]


PICTURES: Final = (
    Picture("overview-requests", OVERVIEW, ("At a glance", "Requests by host")),
    Picture("overview-latency", OVERVIEW, ("Latency",)),
    Picture("overview-retries", OVERVIEW, ("Attempts and retries",)),
    Picture("overview-pools", OVERVIEW, ("Pools",)),
    Picture("overview-hooks", OVERVIEW, ("Hooks", "Links")),
    Picture("overview-health", OVERVIEW, ("The library's own health",)),
    Picture("pool-requests", POOL, ("This pool", "Requests")),
    Picture("pool-attempts", POOL, ("Attempts",)),
    Picture("pool-retries", POOL, ("Retries, quota and breaker",)),
    Picture("pool-connections", POOL, ("Connections and lookups", "Hooks", "Links")),
)
TRACE: Final = "trace"
"""The picture of the trace."""

FILES: Final = (*(f"{picture.name}.png" for picture in PICTURES), f"{TRACE}.png")
"""All that is made, below `docs/images`."""


class Drawn(NamedTuple):
    """One series of a panel.

    :ivar letter: which of the panel's queries gave it
    :ivar points: seconds since the epoch, and values
    """

    letter: str
    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        """The last value."""
        return self.points[-1][1]


class Dot(NamedTuple):
    """An exemplar: one attempt, that has a trace."""

    when: float
    value: float


class Filled(NamedTuple):
    """A panel with what it was answered."""

    panel: Json
    series: Sequence[Drawn] = ()
    dots: Sequence[Dot] = ()


class Span(NamedTuple):
    """The time that is shown, in seconds since the epoch, and the steps in it."""

    start: float
    end: float
    step: float


def board(uid: str) -> Json:
    """Read a dashboard as it is committed."""
    read: Json = json.loads((GRAFANA / f"{uid}.json").read_text(encoding="utf-8"))
    return read


def of_picture(picture: Picture, filled: Sequence[Filled]) -> list[Filled]:
    """Give a picture's rows with their panels, each row's head before its panels.

    :param filled: all of its dashboard
    :raises ValueError: for a row that the dashboard doesn't have
    """
    found: dict[str, list[Filled]] = {}
    row: list[Filled] = []
    for each in filled:
        if each.panel["type"] == "row":
            row = found.setdefault(each.panel["title"], [])
        row.append(each)
    if missing := [title for title in picture.rows if title not in found]:
        raise ValueError(f"{picture.board} has no row {', '.join(missing)}")
    return [each for title in picture.rows for each in found[title]]


def variables_of(board: Json, chosen: Mapping[str, str], rate_interval: str) -> dict[str, str]:
    """Give what stands in queries for each of a dashboard's variables: what is chosen, or All."""
    return {
        "__rate_interval": rate_interval,
        **{
            variable["name"]: escaped(chosen[variable["name"]])
            if variable["name"] in chosen
            else variable["allValue"]
            for variable in board["templating"]["list"]
            if variable["type"] == "query"
        },
    }


def escaped(value: str) -> str:
    """A value within a regular expression within a string, as Grafana puts one there."""
    return re.sub(r"[$^*{}\[\]'+?.()|\\]", r"\\\\\g<0>", value)


def filled(expr: str, variables: Mapping[str, str]) -> str:
    """A query without variables.

    :raises KeyError: for a variable that there isn't
    """
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], expr)


def named(legend: str | None, labels: Mapping[str, str]) -> str:
    """The name of a series, by the legend of its query; without one, there is none."""
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend or "")


def ranked(values: Iterable[tuple[Mapping[str, str], float]], *labels: str) -> list[dict[str, str]]:
    """The labels of values, the highest value first; of equals, the first by name."""
    ordered = sorted((-value, [given[label] for label in labels]) for given, value in values)
    return [dict(zip(labels, given, strict=True)) for _, given in ordered]


def sampled(dots: Iterable[Dot], step: float) -> list[Dot]:
    """Those exemplars that Grafana shows: of one step, those that are far from each other.

    Far is twice the standard deviation of them all.
    """
    every = sorted(set(dots))
    if not every:
        return []
    mean = sum(dot.value for dot in every) / len(every)
    far = 2 * (sum((dot.value - mean) ** 2 for dot in every) / len(every)) ** 0.5
    kept: dict[int, list[Dot]] = {}
    for dot in sorted(every, key=lambda dot: -dot.value):
        of_step = kept.setdefault(int(dot.when // step), [])
        if not of_step or of_step[-1].value - dot.value >= far:
            of_step.append(dot)
    return sorted(dot for of_step in kept.values() for dot in of_step)
