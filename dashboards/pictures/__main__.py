"""Make every picture of the docs anew, from a run of the demo.

    python -m dashboards.pictures [--seconds N] [--into FOLDER]

It says what the trace of this run lacks: another run may have one with more to show. Few traces call
a hook, and which those are is left to chance.

Exit code: 0; 1 if the demo, Prometheus or the collector failed, or there was nothing to draw.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dashboards.pictures import panels, plan, run, trace, waterfall

SECONDS = 80
"""How long the demo runs: four rounds of what happens to its hosts."""


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
    chosen = waterfall.chosen(seen.spans)
    lacks = ", ".join(sorted(waterfall.WANTED - waterfall.kinds(chosen)))
    print(f"the trace has {len(chosen)} spans{f', and lacks {lacks}' if lacks else ''}", flush=True)
    rows = waterfall.rows(chosen, seen.hosts)
    title = "One trace over three hosts: a book, its author, its reviews, a new review"
    made[f"{plan.TRACE}.png"] = trace.drawn(rows, title)
    return {name: sheet.png() for name, sheet in made.items()}


if __name__ == "__main__":
    sys.exit(main())
