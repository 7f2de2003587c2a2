"""``python -m benchmarks``: a tiny run from end to end, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import SUBJECTS, options
from benchmarks.budgets import BUDGETS, named
from benchmarks.clients import CLIENTS
from benchmarks.command import QUICK_ROUNDS, REQUESTS, ROUNDS
from benchmarks.deadlines import CALLERS
from benchmarks.finds import FINDS
from benchmarks.instrumented import INSTRUMENTED
from benchmarks.instruments import NAME
from benchmarks.traversal import NAME as TRAVERSAL
from benchmarks.traversal import RESOURCES
from benchmarks.traversers import TRAVERSERS

ROOT = Path(__file__).parent.parent.parent
# What this command doesn't measure yet.
NOT_MEASURED = {
    budget.name
    for budget in BUDGETS
    if budget.name.split(".")[0] in {"stampede", "pools", "outage", "failures", "recovery"}
}
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell that has proxies and many variables."""
    shell = os.environ | {"HTTP_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    shell |= {f"OF_THE_SHELL_{number}": "x" for number in range(100)}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=shell,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_tiny_run_tells_every_ratio_and_every_budget(tmp_path: Path) -> None:
    written = tmp_path / "report.json"

    ran = bench("--rounds", "1", "--requests", "3", "--resources", "40", "--json", str(written))

    assert (ran.returncode, ran.stderr) == (0, "")
    report = json.loads(written.read_text(encoding="utf-8"))
    assert report["settings"] == {"rounds": 1, "requests": 3, "seed": 0}
    assert report["machine"]["environment variables"] == 36
    assert report["machine"]["cpus used"] == (1 if hasattr(os, "sched_setaffinity") else CPUS)
    tables = {table["operation"]: table["subjects"] for table in report["tables"]}
    assert {name: list(subjects) for name, subjects in tables.items()} == {
        "one JSON GET": list(CLIENTS),
        NAME: list(INSTRUMENTED),
        "find that hits": list(FINDS),
        TRAVERSAL: list(TRAVERSERS),
    }
    for subjects in tables.values():
        for name, subject in subjects.items():
            assert len(subject["rounds"]) == 1
            for ratios in subject["ratios"].values():
                for clock, ratio in ratios.items():
                    assert ratio["median"] > 0, f"{name}, {clock}"
    overshoots = report["deadlines"]["overshoots"]
    assert len(overshoots) == 4 * len(CALLERS)
    assert {found["subject"] for found in overshoots} == set(CALLERS)
    assert [budget["limit"] for budget in report["budgets"]] == [b.limit for b in BUDGETS]
    judged = {budget["name"]: budget["met"] for budget in report["budgets"]}
    assert {name for name, met in judged.items() if met is None} == NOT_MEASURED

    lines = ran.stdout.splitlines()
    firsts = [line.split("  ")[0] for line in lines]
    measured = [*CLIENTS, *INSTRUMENTED, *FINDS, *TRAVERSERS]
    assert [name for name in measured if firsts.count(name) != measured.count(name)] == []
    for budget in report["budgets"]:
        told = str(named(budget["name"]))
        [line] = [line for line in lines if told in line and line.startswith(budget["what"])]
        said = {True: "met", False: "missed", None: "not measured"}[budget["met"]]
        assert line.endswith(f" {said}")
    for name in CALLERS:
        rows = [line for line in lines if name in line]
        assert len(rows) == 4
        assert all(row.split()[-1] in {"met", "missed"} for row in rows)
    assert str(ROOT) not in ran.stdout


def test_a_run_of_one_subject_says_what_it_did_not_measure() -> None:
    ran = bench("--rounds", "1", "--requests", "2", "--only", "urllib3", "--cpus", "all")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"cpus used {CPUS}," in ran.stdout
    assert ran.stdout.count("not measured") == len(BUDGETS)
    assert "find that hits  CPU" not in ran.stdout


def test_the_defaults_measure_everything() -> None:
    settings = options([])

    assert (settings.rounds, settings.requests, settings.seed) == (ROUNDS, REQUESTS, 0)
    assert settings.resources == RESOURCES
    assert settings.only == [*SUBJECTS] == [*CLIENTS, NAME, *FINDS, TRAVERSAL, *CALLERS]


def test_quick_means_fewer_rounds_unless_their_number_is_given() -> None:
    assert options(["--quick"]).rounds == QUICK_ROUNDS
    assert options(["--quick", "--rounds", "3"]).rounds == 3


def test_only_takes_names_between_commas() -> None:
    assert options(["--only", "find, urllib3"]).only == ["find", "urllib3"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "curl"], "no such subject: curl"),
        (["--rounds", "0"], "0 is not 1 or more"),
        (["--requests", "many"], "many is not 1 or more"),
    ],
)
def test_a_wrong_option_is_explained(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options(arguments)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err
