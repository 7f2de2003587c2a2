"""``python -m benchmarks``: a tiny run from end to end, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import benchmarks.__main__ as command
from benchmarks import environment
from benchmarks.__main__ import options
from benchmarks.budgets import BUDGETS, named
from benchmarks.clients import CLIENTS
from benchmarks.command import QUICK_ROUNDS, REQUESTS, ROUNDS
from benchmarks.deadlines import CALLERS
from benchmarks.finds import FINDS
from benchmarks.instrumented import INSTRUMENTED
from benchmarks.instruments import NAME
from benchmarks.parts import DEFAULT, PARTS
from benchmarks.traversal import NAME as TRAVERSAL
from benchmarks.traversal import RESOURCES
from benchmarks.traversers import TRAVERSERS

if TYPE_CHECKING:
    import argparse

    from benchmarks.report import Report

ROOT = Path(__file__).parent.parent.parent
SHORT = [name for name in DEFAULT if name not in {"wire", "threads", "pools", "storm"}]
"""Whose tests are elsewhere: at their smallest they take seconds."""
JUDGED = {"request", "no-sdk", "find", "stampede", "deadline", "traversal"}
"""The budgets of these."""
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

    # On all CPUs: the one that a run keeps to may be that of another test's run.
    size = ("--rounds", "1", "--requests", "3", "--resources", "40", "--cpus", "all")

    ran = bench(*size, "--only", ",".join(SHORT), "--no-apart", "--json", str(written))

    assert (ran.returncode, ran.stderr) == (0, "")
    report = json.loads(written.read_text(encoding="utf-8"))
    assert {"rounds": 1, "requests": 3, "seed": 0}.items() <= report["settings"].items()
    assert report["machine"]["environment variables"] == 36
    assert report["machine"]["cpus used"] == CPUS
    tables = {table["operation"]: table["subjects"] for table in report["tables"]}
    assert {name: list(subjects) for name, subjects in tables.items()} == {
        "one JSON GET": list(CLIENTS),
        **{f"encode {body}": ["json.dumps", "sleepwalker"] for body in ("small", "100 KB")},
        "encode unusual": ["json.dumps", "sleepwalker"],
        **{f"decode {body}": ["json.loads", "sleepwalker"] for body in ("small", "100 KB")},
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
    assert {name.split(".")[0] for name, met in judged.items() if met is not None} == JUDGED

    lines = ran.stdout.splitlines()
    firsts = [line.split("  ")[0] for line in lines]
    measured = [*CLIENTS, *["sleepwalker"] * 5, *INSTRUMENTED, *FINDS, *TRAVERSERS]
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
    ran = bench("--rounds", "1", "--requests", "2", "--only", "urllib3")

    assert (ran.returncode, ran.stderr) == (0, "")
    used = 1 if hasattr(os, "sched_setaffinity") else CPUS
    assert f"cpus used {used}," in ran.stdout
    assert ran.stdout.count("not measured") == len(BUDGETS)
    assert "find that hits  CPU" not in ran.stdout


def test_a_run_that_is_interrupted_says_so_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: argparse.Namespace) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    monkeypatch.setattr(environment, "enter", lambda: None)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--no-apart"])

    assert command.main() == 130
    assert capsys.readouterr() == ("", "Interrupted.\n")


def test_the_defaults_measure_everything() -> None:
    settings = options([])

    assert (settings.rounds, settings.requests, settings.seed) == (ROUNDS, REQUESTS, 0)
    assert settings.resources == RESOURCES
    assert (settings.pools, settings.million) == (100_000, 1_000_000)
    assert settings.only == [part.name for part in PARTS if part.name != "memory"]
    assert settings.apart is not None


def test_whole_means_what_takes_many_minutes_too() -> None:
    assert options(["--whole"]).only == [part.name for part in PARTS]


def test_only_and_whole_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(["--whole", "--only", "find"])

    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("less", [["--only", "finds"], ["--pools", "100"]])
def test_the_page_is_not_written_from_a_part(
    less: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options(["--write", *less])

    assert "--write needs all parts" in capsys.readouterr().err
    assert options(["--write"]).write is options(["--write", "--whole"]).write is True


def test_a_part_is_chosen_by_its_name_or_by_those_of_its_subjects() -> None:
    clients, *_ = PARTS

    assert clients.chosen(["clients"]) == [*clients.subjects]
    assert clients.chosen(["urllib3", "find"]) == ["urllib3"]
    assert clients.chosen(["finds"]) == []


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
