"""Each file that a call goes through is in a layer, and the page has what the command measures."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import layers, written
from benchmarks.layers import (
    COMMAND,
    HEADS,
    HEADS_OF_WHOLE,
    LAYERS,
    SHARED,
    WHOLE,
    Sampler,
    layer_of,
    options,
    place_of,
    subjects,
)
from benchmarks.measuring import Subject
from benchmarks.server import Server
from sleepwalker.connection import Connection
from sleepwalker.resilience.deadline import Deadline
from tests.docs.pages import file_of

if TYPE_CHECKING:
    from types import CodeType, FrameType

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
OURS = "sleepwalker/"


def qualnames(code: CodeType) -> set[str]:
    """Give the names of a module's functions."""
    inner = [each for each in code.co_consts if hasattr(each, "co_qualname")]
    return {each.co_qualname for each in inner}.union(*map(qualnames, inner))


def tables(section: str) -> list[list[list[str]]]:
    """Give the cells of the tables in a page's section."""
    found: list[list[list[str]]] = [[]]
    for line in section.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_every_file_of_ours_that_a_call_goes_through_is_in_a_layer_or_shared() -> None:
    seen: set[CodeType] = set()

    def told(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    with ExitStack() as stack:
        server = stack.enter_context(Server())
        for subject in subjects(server.url, stack):
            for _ in range(2):  # the first opens the connection
                sys.setprofile(told)
                try:
                    subject.call()
                finally:
                    sys.setprofile(None)

    ours = [code for code in seen if place_of(code).startswith(OURS)]
    assert len({place_of(code) for code in ours}) > 20
    assert {
        place_of(code) for code in ours if layer_of(code) is None and place_of(code) not in SHARED
    } == set()


def test_no_place_is_in_two_layers_and_every_one_of_ours_is_there() -> None:
    places = [*SHARED, *(place for found in LAYERS.values() for place in found)]
    gone = []
    for place in places:
        file, _, function = place.partition(":")
        if file.startswith(OURS) and not file_of(file).exists():
            gone.append(place)
        elif file.startswith(OURS) and function:
            code = compile(file_of(file).read_text(encoding="utf-8"), file, "exec")
            if function not in qualnames(code):
                gone.append(place)

    assert [place for place, times in Counter(places).items() if times > 1] == []
    assert gone == []


def test_a_function_wins_over_its_file_and_a_file_over_its_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = "sleepwalker/connection/_connection.py"
    monkeypatch.setattr(
        layers,
        "LAYERS",
        {"one": (f"{file}:Connection.close",), "file": (file,), "folder": ("sleepwalker/",)},
    )
    layer_of.cache_clear()
    try:
        found = [
            layer_of(function.__code__)
            for function in (Connection.close, Connection.drained, Deadline.remaining, json.loads)
        ]
    finally:
        layer_of.cache_clear()

    assert found == ["one", "file", "folder", None]


def test_a_sample_is_of_the_layer_whose_function_has_called_what_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layers, "INTERVAL", 1000.0)
    sampler, before = Sampler(), signal.getsignal(signal.SIGPROF)

    def interrupt(_: object = None) -> None:
        signal.raise_signal(signal.SIGPROF)

    watched = sampler.watched(
        Subject("both", lambda: json.loads("{}", object_hook=interrupt), settle=interrupt)
    )
    with sampler:
        watched.call()
        watched.call()
        watched.settle()
        interrupt()

    assert sampler.samples == {"both": {"JSON": 2, layers.OTHERS: 1}}
    assert signal.getsignal(signal.SIGPROF) is before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_a_run_tells_every_layer_and_writes_the_page(tmp_path: Path) -> None:
    page, report = tmp_path / "page.md", tmp_path / "report.json"
    begin = written.begin(COMMAND)
    page.write_text(f"# Before\n\n{begin}old\n{written.END}\n## Behind\n", encoding="utf-8")
    size = ("--rounds", "1", "--requests", "2")

    ran = subprocess.run(
        [sys.executable, *COMMAND.split()[1:], *size, "--write", page, "--json", report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    before, inside, behind = written.parts(page, COMMAND)
    assert (before, behind) == ("# Before\n\n", "\n## Behind\n")
    whole, by_layers = tables(inside)
    assert [row[0] for row in whole] == [HEADS_OF_WHOLE[0], "---", *WHOLE.values()]
    assert [row[0] for row in by_layers] == [HEADS[0], "---", *LAYERS]
    assert "1 rounds of 2 calls each" in inside
    told = json.loads(report.read_text(encoding="utf-8"))["subjects"]
    assert [*told] == [*WHOLE.values()]
    for name, _, calls in whole[2:]:
        found = sum(layer["calls"] for layer in told[name]["layers"].values())
        assert calls == f"{found:.0f}"
    assert {row[0] for row in by_layers[2:] if row[3] != "-"} == {*told["all on"]["layers"]}


def test_the_page_of_the_docs_has_the_layers_that_are_measured() -> None:
    before, inside, _ = written.parts(PAGE, COMMAND)
    whole, by_layers = tables(inside)

    assert COMMAND in before
    for table, heads, names in (
        (whole, HEADS_OF_WHOLE, WHOLE.values()),
        (by_layers, HEADS, LAYERS),
    ):
        assert table[0] == [*heads]
        assert table[1] == ["---", *["--:"] * (len(heads) - 1)]
        assert [row[0] for row in table[2:]] == [*names]


def test_a_page_without_a_place_for_the_tables_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing\n", encoding="utf-8")

    with pytest.raises(SystemExit) as ended:
        options(["--write", str(page)])

    assert ended.value.code == 2
    assert f"has no line <!-- written by: {COMMAND} -->" in capsys.readouterr().err
