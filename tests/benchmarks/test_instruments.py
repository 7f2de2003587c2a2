"""Each instrument that is measured is on, alone; and the page has what the command measures."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.conditions import ConditionsError, check_client
from benchmarks.instrumented import BARE, INSTRUMENTED, NOTHING, ON
from benchmarks.instruments import COMMAND, HEADS, options
from benchmarks.measuring import Evidence
from benchmarks.server import Server
from benchmarks.written import END, begin, parts, write
from sleepwalker.observability import telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = begin(COMMAND)
ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "observability.md"
OFF: dict[str, Any] = {
    "registry": False,
    "tracer_provider": False,
    "meter_provider": False,
    "logger": False,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


def cells(section: str) -> list[list[str]]:
    """The table in a page's section."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("name", INSTRUMENTED)
def test_every_subject_records_what_it_is_named_for(name: str, server: Server) -> None:
    with ExitStack() as stack:
        subject = INSTRUMENTED[name](server.url, stack)

        assert subject.name == name
        check_client(subject, server)


@pytest.mark.parametrize("name", ON)
def test_what_is_not_on_is_switched_off_and_not_left_to_the_defaults(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(telemetry, "Telemetry", lambda **options: given.update(options))
    with ExitStack() as stack:
        INSTRUMENTED[name](server.url, stack)

    on = ON[name]
    assert {option: given[option] is not False for option in OFF} == {
        "registry": on.metrics,
        "tracer_provider": on.spans is not None,
        "meter_provider": on.standard,
        "logger": on.logs is not None,
    }
    assert [option for option in OFF if given[option] is None] == []


def test_each_instrument_is_alone_and_all_are_on_together() -> None:
    metrics, spans, samples, written = (
        Evidence(requests=1),
        Evidence(spans=2),
        Evidence(samples=1),
        Evidence(unwritten=1),
    )
    *each, everything = [on.each for on in ON.values()]

    assert each == [
        Evidence(),
        metrics,
        written,
        Evidence(lines=1),
        Evidence(unsampled=2),
        spans,
        samples,
    ]
    assert everything == Evidence(*map(sum, zip(metrics, spans, samples, written, strict=True)))


@pytest.mark.parametrize("name", [name for name in ON if name != NOTHING])
def test_an_instrument_that_is_off_is_refused(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = telemetry.Telemetry
    monkeypatch.setattr(telemetry, "Telemetry", lambda **given: made(**{**given, **OFF}))
    with ExitStack() as stack:
        subject = INSTRUMENTED[name](server.url, stack)

        with pytest.raises(ConditionsError, match="what its instruments have recorded"):
            check_client(subject, server)


def test_a_run_tells_every_subject_and_writes_the_page(tmp_path: Path) -> None:
    page, written = tmp_path / "page.md", tmp_path / "report.json"
    page.write_text(f"# Before\n\n{BEGIN}old\n{END}\n## Behind\n", encoding="utf-8")
    size = ("--rounds", "1", "--requests", "2")

    ran = subprocess.run(
        [sys.executable, *COMMAND.split()[1:], *size, "--write", page, "--json", written],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert [
        name for name in INSTRUMENTED if sum(ln.startswith(f"{name}  ") for ln in lines) != 1
    ] == []
    before, inside, behind = parts(page, COMMAND)
    assert (before, behind) == ("# Before\n\n", "\n## Behind\n")
    assert "old" not in inside
    heads, _, *rows = cells(inside)
    assert heads == [*HEADS]
    assert [row[0] for row in rows] == [*INSTRUMENTED]
    assert "1 rounds of 2 calls each" in inside
    subjects = json.loads(written.read_text(encoding="utf-8"))["table"]["subjects"]
    for row in rows:
        name, ratios = row[0], subjects[row[0]]["ratios"]
        told = [None if cell == "-" else float(cell.split()[0]) for cell in row[1:3]]
        assert told == [
            None if name == bare else round(ratios[bare]["process"]["median"], 2) for bare in BARE
        ]
        assert (row[3] == "-") is (name in {*BARE, NOTHING})


def test_the_page_of_the_docs_has_the_rows_that_are_measured() -> None:
    heads, aligned, *rows = cells(parts(PAGE, COMMAND)[1])

    assert heads == [*HEADS]
    assert aligned == ["---", *["--:"] * (len(HEADS) - 1)]
    assert [row[0] for row in rows] == [*INSTRUMENTED]
    assert COMMAND in parts(PAGE, COMMAND)[0]


def test_what_is_written_again_is_as_if_it_was_written_once(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}", encoding="utf-8")

    write(page, COMMAND, "a table\n")
    once = page.read_text(encoding="utf-8")
    write(page, COMMAND, "a table\n")

    assert page.read_text(encoding="utf-8") == once


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_page_without_a_place_for_the_table_is_refused_before_anything_is_measured(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")

    with pytest.raises(SystemExit) as ended:
        options(["--write", str(page)])

    assert ended.value.code == 2
    assert "has no line <!-- written by" in capsys.readouterr().err


def test_a_page_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        options(["--write", str(tmp_path / "page.md")])
