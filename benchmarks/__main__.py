"""The command: ``python -m benchmarks``, or ``make bench``."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from typing import TYPE_CHECKING

from benchmarks import environment, growth, many_pools, page, parts, traversal
from benchmarks.apart.environments import FOLDER, Environments
from benchmarks.apart.peers import PEERS
from benchmarks.command import common_options, positive, understood
from benchmarks.conditions import ConditionsError, check_environment
from benchmarks.report import Report
from benchmarks.tables import Findings
from benchmarks.telemetry import logs_at_info

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
"""The exit code of a run that Ctrl-C ended."""
CHOSEN_OUT = "--no-apart"
SIZES = {
    "resources": (traversal.RESOURCES, "resources of each traversal"),
    "pools": (many_pools.POOLS, "pools that are very many"),
    "million": (growth.REQUESTS, "requests over which memory is watched"),
}
"""Options for what the budgets have a number of, that number, and what of."""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Understand the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What Sleepwalker costs, as ratios beside other clients, from one run.",
    )
    common_options(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--only",
        type=_names,
        metavar="NAME,...",
        default=[*parts.DEFAULT],
        help=f"measure only these of: {', '.join(parts.NAMES)}",
    )
    what.add_argument(
        "--whole",
        dest="only",
        action="store_const",
        const=[*parts.WHOLE],
        help="also what takes many minutes: a million requests",
    )
    parser.add_argument(
        "--write", action="store_true", help=f"write {page.SHOWN}, its data and its picture anew"
    )
    parser.add_argument(
        "--no-apart",
        dest="apart",
        action="store_const",
        const=None,
        default=Environments(FOLDER),
        help="leave out peers that need an environment of their own, which pip has to build once",
    )
    for option, (default, of) in SIZES.items():
        parser.add_argument(
            f"--{option}",
            type=positive,
            default=default,
            metavar="N",
            help=f"{of}; %(default)s by default",
        )
    settings = understood(parser, arguments)
    whole = all(getattr(settings, option) == default for option, (default, _) in SIZES.items())
    if settings.write and not (whole and {*parts.DEFAULT} <= {*settings.only}):
        parser.error("--write needs all parts in their full size: the page has them")
    return settings


def run(settings: argparse.Namespace) -> Report:
    """Check the conditions, measure, and say what was measured.

    :raises ConditionsError: when the conditions don't hold
    """
    check_environment()
    if settings.cpus == "one":
        environment.keep_to_one_cpu()
    findings = Findings()
    with logs_at_info():
        for found in parts.measured(settings.only, settings):
            findings.add(found)
    left_out, versions = _apart(settings)
    findings.left_out.update(left_out)
    sizes = ("rounds", "requests", *SIZES, "seed")
    return Report(
        {"date": dt.datetime.now(tz=dt.UTC).date().isoformat()}
        | {name: getattr(settings, name) for name in sizes},
        environment.machine(),
        environment.versions() | versions,
        findings,
    )


def _apart(settings: argparse.Namespace) -> tuple[dict[str, str], dict[str, str]]:
    """Which of the chosen peers were left out, and why; the versions of the others."""
    left_out, versions = {}, {}
    for name in _chosen_apart(settings):
        if settings.apart is None:
            left_out[name] = f"left out by {CHOSEN_OUT}"
        elif (version := settings.apart.version(name)) is None:
            left_out[name] = settings.apart.why_not(name)
        else:
            distribution = PEERS[name].distribution
            shown = f"{distribution} (2.0)" if distribution == "sleepwalker" else distribution
            versions[shown] = version
    return left_out, versions


def _chosen_apart(settings: argparse.Namespace) -> list[str]:
    """The peers with an environment of their own that are to be measured."""
    chosen = [name for part in parts.PARTS for name in part.chosen(settings.only)]
    return [name for name in PEERS if name in chosen or {"wire", "threads"} & set(chosen)]


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in parts.NAMES]
    if unknown:
        msg = f"no such subject: {', '.join(unknown)}"
        raise argparse.ArgumentTypeError(msg)
    return names


def main() -> int:
    """Run the benchmarks and print the report."""
    settings = options()
    if not environment.entered() and settings.apart is not None:
        settings.apart.build(_chosen_apart(settings))
    environment.enter()
    try:
        report = run(settings)
    except ConditionsError as error:
        print(f"The conditions of a run don't hold: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Every server and worker has ended on the way here.
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    print(report.text())
    if settings.json is not None:
        settings.json.write_text(json.dumps(report.data(), indent=2) + "\n", encoding="utf-8")
    if settings.write:
        page.write(report.data(rounds=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
