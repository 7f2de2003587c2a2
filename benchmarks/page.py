"""Writes the page of the benchmarks, and its picture, from the data of a run.

Rules:

1. Everything comes from the data, which lies beside the page: a test makes both anew from it, so
   that no figure is anybody's but the suite's.
2. What is missed, and what was left out or not measured, stands there like everything else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import encoding, finds, many_pools, single, threads, traversal, wire, written
from benchmarks.bars import Bar, drawn
from benchmarks.budgets import TIMES, figure, named
from benchmarks.process import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).parent.parent
SHOWN: Final = "docs/benchmarks.md"
PAGE: Final = ROOT / SHOWN
DATA: Final = PAGE.with_suffix(".json")
PICTURE: Final = PAGE.parent / "images" / "benchmarks.svg"
COMMAND: Final = "python -m benchmarks --write"
OURS: Final = ("sleepwalker", "sleepwalker-no-sdk")
NAMES: Final = {
    "sleepwalker": "sleepwalker, all on",
    "sleepwalker-no-sdk": "sleepwalker, no SDK",
    "by-hand": "the same by hand",
    "sleepwalker-2.0": "sleepwalker 2.0",
    "find-2.0": "2.0's find, rebuilt here",
    "find-2.0-itself": "2.0's find itself",
}
"""What people call the subjects whose names are for the command line."""
_VERDICTS: Final = {True: "met", False: "missed", None: "not measured"}
_DIGITS: Final = 5
"""Of every number in the data: more is noise."""


def write(data: dict[str, Any]) -> None:
    """Write the data of a run, the page's section and the picture."""
    kept = shortened(data)
    DATA.write_text(lines_of(kept), encoding="utf-8")
    written.write(PAGE, COMMAND, section(kept))
    PICTURE.write_text(picture(kept), encoding="utf-8")


def lines_of(data: dict[str, Any]) -> str:
    """As JSON, with a line for each table, budget and whatever else there are several of."""
    parts = []
    for key, value in data.items():
        if isinstance(value, list):
            items = ",\n".join(json.dumps(item) for item in value)
            parts.append(f"{json.dumps(key)}: [\n{items}\n]" if items else f"{json.dumps(key)}: []")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def shortened(data: Any) -> Any:
    """The same without what nobody reads: digits that say nothing, one thread's part of a cost."""
    if isinstance(data, float):
        return float(f"{data:.{_DIGITS}g}")
    if isinstance(data, dict):
        return {key: shortened(value) for key, value in data.items() if key != "thread"}
    return [shortened(value) for value in data] if isinstance(data, list | tuple) else data


def section(data: dict[str, Any]) -> str:
    """What stands between the comments of the page."""
    return "\n\n".join(
        [
            "",
            _about(data),
            "## The budgets",
            written.table(_budgets(data)),
            _in_short(data),
            *_parts(data),
            "",
        ]
    )


def _parts(data: dict[str, Any]) -> Iterator[str]:
    yield "## One request"
    yield f"![CPU of one JSON GET, by client](images/{PICTURE.name})"
    yield written.table(_clients(data))
    yield "## Bodies, schemes and connections"
    yield "CPU of one request, as a multiple of `requests`' for the same."
    yield written.table(_matrix(data, wire.NAME, "requests"))
    yield "## Many at once"
    yield "Requests a second:"
    yield written.table(_rates(data))
    yield "CPU of one request, in µs:"
    yield written.table(_matrix(data, threads.NAME, None))
    yield "## JSON"
    yield written.table(_pairs(data, encoding.NAME))
    yield "## Finds"
    yield written.table(_finds(data))
    yield "## Traversal"
    yield written.table(_traversal(data))
    yield "## Deadlines"
    yield written.table(_deadlines(data))
    if data["memory"]:
        yield "## Memory"
        yield written.table(_memory(data))


def picture(data: dict[str, Any]) -> str:
    """CPU of one request, by client."""
    [table] = _tables(data, single.NAME)
    bars = []
    for name, subject in table["subjects"].items():
        median, low, high = (cost * 1e6 for cost in _spread(subject["process"]))
        bars.append(Bar(_name(name), median, low, high, name in OURS))
    return drawn("CPU of one JSON GET over a connection that is kept", "µs", bars)


def _about(data: dict[str, Any]) -> str:
    machine, settings = data["machine"], data["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    return (
        f"Measured on {settings['date']} with {machine['python']} on {machine['system']}, "
        f"{machine['processor']}, {machine['cpus used']} of {machine['cpus']} CPUs, "
        f"{machine['environment variables']} environment variables; {settings['rounds']} rounds of "
        f"{settings['requests']} requests.\n\n{versions}."
    )


def _budgets(data: dict[str, Any]) -> list[list[str]]:
    rows = [["what", "budget", "measured", ""]]
    for found in data["budgets"]:
        budget, measured = named(found["name"]), found["measured"]
        told = "-"
        if measured is not None:
            median, low, high = _spread(measured)
            told = figure(median, budget.unit)
            if low != high:
                ends = [figure(end, budget.unit).split()[0] for end in (low, high)]
                told = f"{told} ({ends[0]}-{ends[1]})"
        rows.append([budget.what, str(budget), told, _verdict(found["met"])])
    return rows


def _verdict(met: bool | None) -> str:  # noqa: FBT001 - what JSON has
    return f"**{_VERDICTS[met]}**" if met is False else _VERDICTS[met]


def _in_short(data: dict[str, Any]) -> str:
    verdicts = [found["met"] for found in data["budgets"]]
    counts = ((verdicts.count(met), what) for met, what in _VERDICTS.items())
    told = [", ".join(f"{count} {what}" for count, what in counts if count) + "."]
    told += [f"{_name(name)} was left out: {why}." for name, why in data["left out"].items()]
    return "\n\n".join(told)


def _clients(data: dict[str, Any]) -> list[list[str]]:
    [table] = _tables(data, single.NAME)
    rows = [["client", "CPU, µs", "wall, µs"]]
    rows[0] += [f"CPU {TIMES} {_name(name)}" for name in single.BASELINES]
    for name, subject in table["subjects"].items():
        costs = (f"{subject[clock]['median'] * 1e6:.0f}" for clock in ("process", "wall"))
        ratios = (_ratio(subject, name, baseline) for baseline in single.BASELINES)
        rows.append([_name(name), *costs, *ratios])
    return rows


def _matrix(data: dict[str, Any], part: str, baseline: str | None) -> list[list[str]]:
    """CPU by client and scenario: in µs, or as multiples where there is a baseline."""
    tables = _tables(data, part)
    rows = [["client", *(table["operation"] for table in tables)]]
    for name in tables[0]["subjects"]:
        subjects = [table["subjects"][name] for table in tables]
        if baseline is None or name == baseline:
            unit = "" if baseline is None else " µs"
            cells = [f"{each['process']['median'] * 1e6:.0f}{unit}" for each in subjects]
        else:
            cells = [f"{each['ratios'][baseline]['process']['median']:.2f}" for each in subjects]
        rows.append([_name(name), *cells])
    return rows


def _rates(data: dict[str, Any]) -> list[list[str]]:
    tables = _tables(data, threads.NAME)
    rows = [["client", *(table["operation"] for table in tables)]]
    for name in tables[0]["subjects"]:
        walls = (table["subjects"][name]["wall"]["median"] for table in tables)
        rows.append([_name(name), *(f"{1 / wall:,.0f}" for wall in walls)])
    return rows


def _pairs(data: dict[str, Any], part: str) -> list[list[str]]:
    """Two who are compared, in each table."""
    rows = [["what", "json, µs", "sleepwalker, µs", TIMES]]
    for table in _tables(data, part):
        plain, ours = table["subjects"]
        costs = [
            f"{table['subjects'][name]['process']['median'] * 1e6:.1f}" for name in (plain, ours)
        ]
        rows.append([table["operation"], *costs, _ratio(table["subjects"][ours], ours, plain)])
    return rows


def _finds(data: dict[str, Any]) -> list[list[str]]:
    rows = [["find", "CPU, ns", TIMES]]
    for part in (finds.NAME, many_pools.NAME):
        for table in _tables(data, part):
            for name, subject in table["subjects"].items():
                [baseline] = subject["ratios"]
                ratio = _ratio(subject, name, baseline)
                cost = f"{subject['process']['median'] * 1e9:.0f}"
                shown = "-" if ratio == "-" else f"{ratio} of {_name(baseline)}"
                rows.append([_name(name), cost, shown])
    return rows


def _traversal(data: dict[str, Any]) -> list[list[str]]:
    [table] = _tables(data, traversal.NAME)
    rows = [["client", "resources/s", "CPU, µs"]]
    rows[0] += [f"time {TIMES} {name}" for name in traversal.BASELINES]
    for name, subject in table["subjects"].items():
        ratios = (_ratio(subject, name, each, "wall") for each in traversal.BASELINES)
        rate = f"{1 / subject['wall']['median']:,.0f}"
        rows.append([name, rate, f"{subject['process']['median'] * 1e6:.0f}", *ratios])
    return rows


def _deadlines(data: dict[str, Any]) -> list[list[str]]:
    found = data["deadlines"]["overshoots"]
    heads = ["server", "client", "overshoot, ms: median", "worst"]
    return [heads] + [
        [
            each["scenario"],
            each["subject"],
            *(f"{each[which] * 1e3:.1f}" for which in ("median", "worst")),
        ]
        for each in found
    ]


def _memory(data: dict[str, Any]) -> list[list[str]]:
    heads = ["requests", "resident, MiB", "blocks", "in cycles", "open files"]
    return [heads] + [
        [
            f"{each['requests']:,}",
            f"{each['resident'] / MIB:.1f}",
            *(f"{each[what]:,}" for what in ("blocks", "cycles", "files")),
        ]
        for each in data["memory"]
    ]


def _tables(data: dict[str, Any], part: str) -> list[dict[str, Any]]:
    return [table for table in data["tables"] if table["part"] == part]


def _name(name: str) -> str:
    return NAMES.get(name, name)


def _spread(spread: dict[str, float | None]) -> Sequence[float]:
    """Median and quartiles; what JSON has no number for is never."""
    return [float("inf") if value is None else value for value in spread.values()]


def _ratio(subject: dict[str, Any], name: str, baseline: str, clock: str = "process") -> str:
    found = subject["ratios"][baseline][clock]
    return "-" if name == baseline or found is None else f"{found['median']:.2f}"
