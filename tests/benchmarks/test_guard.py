"""The guard counts the same twice, sees what is added, and says what to do about it."""

from __future__ import annotations

import os
import re
import select
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import ceilings, environment, guard, scenarios
from benchmarks.budgets import named
from benchmarks.ceilings import Ceilings
from benchmarks.counting import Counts, asks_the_system, called, counted
from benchmarks.measuring import Subject, nothing
from benchmarks.telemetry import logs_at_info

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRIBUTING = Path(__file__).parent.parent.parent / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def subjects() -> Iterator[dict[str, Subject]]:
    with logs_at_info(), guard.subjects() as found:
        yield {subject.name: subject for subject in found}


def adding(subject: Subject, work: Any) -> Subject:
    """The same subject, which does something more at each call."""

    def call() -> object:
        work()
        return subject.call()

    return replace(subject, call=call)


def missed(rows: list[guard.Row]) -> list[str]:
    return [row.what for row in rows if row.met is False]


# Counting


def test_two_runs_count_the_same(subjects: dict[str, Subject]) -> None:
    assert tuple(subjects) == scenarios.NAMES
    some = [subjects[name] for name in ("all on", "find that hits")]

    first, second = (guard.counts(some) for _ in range(2))

    for name, counts in first.items():
        assert counts._replace(peak=0) == second[name]._replace(peak=0), name
        assert counts.peak == pytest.approx(second[name].peak, abs=ceilings.BYTES), name
        assert (counts.kept, counts.cycles) == (0, 0), name
    assert first["find that hits"].system == 0


def test_what_is_added_to_a_call_is_counted_exactly(subjects: dict[str, Subject]) -> None:
    find, kept = subjects["find that hits"], []

    def one_more() -> None:
        os.getpid()
        cycle: list[Any] = []
        cycle.append(cycle)
        kept.append(bytearray(1000))

    before, after = counted(find), counted(adding(find, one_more))

    # `call` and `one_more`; `getpid` and two times `append`.
    assert (after.python - before.python, after.c - before.c) == (2, 3)
    assert (after.system - before.system, after.cycles) == (1, 1)
    assert after.kept >= 1
    assert after.peak - before.peak >= 1000


def test_a_list_of_what_is_called_has_every_call_that_is_counted(
    subjects: dict[str, Subject],
) -> None:
    for name in ("all off", "find that hits"):
        names, counts = called(subjects[name]), counted(subjects[name])

        assert sum(names.values()) == counts.python + counts.c
        assert sum(times for each, times in names.items() if each.endswith(" (C)")) == counts.c


def test_what_asks_the_system_is_told_from_what_does_not() -> None:
    with ExitStack() as stack:
        one, other = map(stack.enter_context, socket.socketpair())
        poll = select.poll()

        asking: tuple[Any, ...] = (
            os.getpid,
            select.select,
            poll.poll,
            one.send,
            other.recv,
            one.settimeout,
        )
        quiet: tuple[Any, ...] = (
            os.fspath,
            select.poll,
            poll.register,
            one.fileno,
            one.gettimeout,
            len,
            [].append,
        )

        assert [each.__qualname__ for each in asking if not asks_the_system(each)] == []
        assert [each.__qualname__ for each in quiet if asks_the_system(each)] == []


# Ceilings


def test_five_percent_more_calls_are_a_miss(subjects: dict[str, Subject], tmp_path: Path) -> None:
    subject, file = subjects["all off"], tmp_path / "ceilings.json"
    before = counted(subject)
    ceilings.write({subject.name: before}, file)
    known = ceilings.read(file)

    def five_percent() -> None:
        for _ in range(round(before.python * 0.05)):
            nothing()

    slower = guard.counts([adding(subject, five_percent)])

    assert missed(guard.rows_of_counts({subject.name: before}, known)) == []
    assert missed(guard.rows_of_counts(slower, known)) == ["all off: calls of Python"]


COUNTS = Counts(python=1000, c=500, system=5, peak=80_000, kept=0, cycles=0)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"python": 1020, "c": 510, "peak": 81_856}, []),
        ({"python": 1021}, ["calls of Python"]),
        ({"c": 511}, ["calls of C"]),
        ({"system": 6}, ["calls of the system"]),
        ({"peak": 81_857}, ["bytes at once"]),
        ({"kept": 1}, ["blocks left behind"]),
        ({"cycles": 1}, ["objects in cycles"]),
    ],
)
def test_each_count_has_its_slack_and_no_more(more: dict[str, int], what: list[str]) -> None:
    known = Ceilings({"all on": COUNTS})

    rows = guard.rows_of_counts({"all on": COUNTS._replace(**more)}, known)

    assert missed(rows) == [f"all on: {each}" for each in what]


def test_other_versions_get_more_slack_and_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ceilings.json"
    monkeypatch.setattr("platform.python_version_tuple", lambda: ("3", "12", "9"))
    ceilings.write({"all on": COUNTS}, file)
    monkeypatch.setattr("platform.python_version_tuple", lambda: ("3", "99", "0"))

    known = ceilings.read(file)

    assert known.others == ("Python 3.12 then, 3.99 here",)
    assert (known.limit("all on", "python"), known.limit("all on", "system")) == (1050, 5)
    assert "Python 3.12 then, 3.99 here" in guard.told([], known)


def test_writing_keeps_what_other_pythons_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ceilings.json"
    for minor, python in (("13", 700), ("12", 900)):
        monkeypatch.setattr("platform.python_version_tuple", lambda minor=minor: ("3", minor, "0"))
        ceilings.write({"all on": COUNTS._replace(python=python)}, file)

        assert ceilings.read(file).counts["all on"].python == python

    monkeypatch.setattr("platform.python_version_tuple", lambda: ("3", "13", "0"))
    assert ceilings.read(file).counts["all on"].python == 700


def test_a_scenario_without_a_ceiling_is_not_told_as_kept_to() -> None:
    rows = guard.rows_of_counts({"new": COUNTS}, Ceilings({}))

    assert {row.met for row in rows} == {None}
    assert "no ceiling" in guard.told(rows, Ceilings({}))


def test_the_file_has_every_scenario_for_each_of_its_pythons() -> None:
    assert tuple(ceilings.read().counts) == scenarios.NAMES


# Budgets


@pytest.mark.parametrize("name", guard.TOLERANCES)
def test_a_budget_may_be_missed_by_its_tolerance_and_no_more(name: str) -> None:
    limit = named(name).limit * (1 + guard.TOLERANCES[name])

    assert guard.row_of_budget(name, limit).met
    assert not guard.row_of_budget(name, limit * 1.001).met


def test_a_ratio_that_is_missed_is_measured_again_and_the_lower_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = iter(
        [{"find.hit": 2.0, "request.urllib3": 1.0}, {"find.hit": 0.7, "request.urllib3": 1.2}]
    )
    monkeypatch.setattr(guard, "ratios", lambda: next(runs))
    monkeypatch.setattr(guard, "alone", dict)

    assert guard.figures() == {"find.hit": 0.7, "request.urllib3": 1.0}


# The command


@pytest.mark.parametrize(
    ("measured", "status", "words"),
    [(0.7, 0, "Nothing is missed."), (2.0, 1, "MISSED: find that hits\n")],
)
def test_the_command_fails_when_something_is_missed_and_says_what_to_do(
    measured: float,
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(guard, "check_environment", lambda: None)
    monkeypatch.setattr(environment, "keep_to_one_cpu", lambda: None)
    monkeypatch.setattr(guard, "counts", lambda _: {})
    monkeypatch.setattr(guard, "figures", lambda: {"find.hit": measured})

    assert guard.main([]) == status

    printed = capsys.readouterr().out
    assert words in printed
    assert (guard.ADVICE in printed) is bool(status)


def test_the_documentation_has_the_slack_and_the_tolerances_that_the_guard_has() -> None:
    _, _, section = CONTRIBUTING.read_text(encoding="utf-8").partition("## The guard\n")
    section = section.partition("\n## ")[0]

    rows = dict(re.findall(r"^\| `([\w.-]+)` \| .* \| (\d+ %|none) \|$", section, re.MULTILINE))

    assert rows == {
        name: f"{part * 100:.0f} %" if part else "none" for name, part in guard.TOLERANCES.items()
    }
    for part in (ceilings.SLACK, ceilings.SLACK_ELSEWHERE):
        assert f"{part * 100:.0f} %" in section
