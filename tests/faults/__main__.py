"""Runs the whole matrix with every client, and writes `docs/fault-matrix.md` of it.

Rule: the page is written whatever came of it; where one of our cells is not as the table says, that
is told, and the end is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.crew import at_once
from tests.faults.catalogue import FAULTS
from tests.faults.clients import OTHERS, Ours
from tests.faults.names import Resolver
from tests.faults.page import ALL, PAGE, page
from tests.faults.running import Seen, Tools, run_fault, run_timed
from tests.faults.verdict import complaints, lateness
from tests.servers import CertificateAuthority


def main() -> int:
    """Run, write, and say what is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", help="faults with this in their names; no page")
    only = parser.parse_args().only
    faults = [fault for name, fault in FAULTS.items() if only is None or only in name]
    run: dict[str, dict[str, list[Seen]]] = {client.name: {} for client in ALL}
    wrong = []
    with tempfile.TemporaryDirectory() as folder, Resolver() as resolver:
        tools = Tools(CertificateAuthority(Path(folder)), resolver)
        for fault in faults:
            every, last = run_timed(fault, Ours, tools)
            run[Ours.name][fault.name] = last
            wrong += [f"{fault.name}: {each}" for s in every for each in complaints(fault, s)]
            late = [seen for seen in every if "late" in seen.flaws]
            wrong += [f"{fault.name}: late: {lateness(fault, seen)}" for seen in late]
            others = at_once([partial(run_fault, fault, other, tools) for other in OTHERS])
            for other, job in zip(OTHERS, others, strict=True):
                run[other.name][fault.name] = job.result(60)
            for client in ALL:
                cells = run[client.name][fault.name]
                flaws = sorted({flaw for seen in cells for flaw in seen.flaws})
                told = " ".join([*(f"{seen.cell:6}" for seen in cells), *flaws])
                print(f"{fault.name:36}{client.name:22}{told}", flush=True)
    print(*wrong, sep="\n")
    if only is None:
        PAGE.write_text(page(run), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    code = main()
    # Calls of other clients that nothing can end would keep the process.
    sys.stdout.flush()
    os._exit(code)
