"""Make every picture of the docs anew, from a run of the demo.

    python -m dashboards.pictures [--seconds N] [--into FOLDER]

The trace is of the same run, unless that has none with all that is wanted: few traces call a hook,
and which those are is left to chance. Then short runs follow, each with another script of faults.

Exit code: 0; 1 if the demo, Prometheus or the collector failed, or there was nothing to draw.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dashboards.pictures import panels, plan, run, trace, waterfall

SECONDS = 80
"""How long the demo runs: four rounds of what happens to its hosts."""
SECONDS_AGAIN = 5
TRIES = 6
"""How long a run for the trace alone is, and how many there are at most."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long the demo runs")
    parser.add_argument("--into", type=Path, default=plan.IMAGES, help="where to put them")
    options = parser.parse_args(arguments)
    print(f"the demo runs for {options.seconds} s ...", flush=True)
    try:
        made = pictures(options.seconds)
    except (run.RunError, ValueError) as error:
        print(f"dashboards.pictures: {error}", file=sys.stderr)
        return 1
    options.into.mkdir(parents=True, exist_ok=True)
    for name, picture in made.items():
        (options.into / name).write_bytes(picture)
        print(f"{name}  {len(picture) / 1000:.0f} kB")
    return 0


def pictures(seconds: int) -> dict[str, bytes]:
    """Every picture, by the name of its file."""
    with run.running(seconds) as seen:
        pool, of_pool = seen.pool(plan.board(plan.POOL))
        print(f"the pool is {' '.join(pool.values())}", flush=True)
        answered = {
            plan.OVERVIEW: seen.filled(plan.board(plan.OVERVIEW), {}),
            plan.POOL: of_pool,
        }
    made = {
        f"{picture.name}.png": panels.drawn(
            plan.of_picture(picture, answered[picture.board]), seen.shown
        )
        for picture in plan.PICTURES
    }
    rows = waterfall.rows(*_trace(seen.traced))
    title = "One trace over three hosts: a book, its author, its reviews, a new review"
    made[f"{plan.TRACE}.png"] = trace.drawn(rows, title)
    return {name: sheet.png() for name, sheet in made.items()}


def _trace(seen: run.Traced) -> tuple[list[waterfall.Span], dict[str, str]]:
    """The trace that is drawn, and its hosts' names."""
    best = waterfall.chosen(seen.spans), seen.hosts
    for seed in range(2, 2 + TRIES):
        lacking = ", ".join(sorted(waterfall.WANTED - waterfall.kinds(best[0])))
        if not lacking:
            break
        print(f"the trace lacks {lacking}: another run ...", flush=True)
        again = run.traced(SECONDS_AGAIN, seed)
        best = max(
            best,
            (waterfall.chosen(again.spans), again.hosts),
            key=lambda each: waterfall.worth(each[0]),
        )
    return best


if __name__ == "__main__":
    sys.exit(main())
