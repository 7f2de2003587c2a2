"""The mutator makes the faults that it says, runs tests against them, and knows what survives."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import mutation
from tests.mutation import EQUIVALENT, ROOT, TESTS, mutants, mutated, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

MODULES = sorted(path.stem for path in path_of("quota").parent.glob("[!_]*.py"))


def changes(source: str) -> list[str]:
    """Give what each mutant of a source changes."""
    return [mutant.change for mutant in mutants("it", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a < b  →  a <= b", "a < b  →  a >= b"]),
        ("a is b", ["a is b  →  a is not b"]),
        ("a + b", ["a + b  →  a - b"]),
        ("a += b", ["a += b  →  a -= b"]),
        ("a and b", ["a and b  →  a or b", "a and b  →  b", "a and b  →  a"]),
        ("not a", ["not a  →  a"]),
        ("a if b else c", ["a if b else c  →  c if b else a"]),
        ("f(7)", ["7  →  8", "7  →  6"]),
        ("f(True)", ["True  →  False"]),
        ("f('a')", ["'a'  →  'XXa'"]),
        ("f(a=b)", ["f(a=b)  →  f()"]),
        ("max(a)", ["max  →  min"]),
        ("a.popleft()", ["popleft  →  pop"]),
        ("a.strip()", ["a.strip()  →  a"]),
        ("{a, b}", ["{a, b}  →  {b}", "{a, b}  →  {a}"]),
        ("if a: b", ["if a:  →  if not a:"]),
        ("[a for a in b if c]", ["if c  →  if not c"]),
        ("def f():\n    return a", ["return a  →  pass"]),
        ("def f():\n    with a:\n        pass", ["with a:  →  if True:"]),
    ],
)
def test_each_kind_of_fault_is_made(source: str, expected: list[str]) -> None:
    told = [each.replace("a.popleft  →  a.pop", "popleft  →  pop") for each in changes(source)]

    assert told == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "import a.b",
        "__all__ = ['a']",
        "class A:\n    __slots__ = ('a',)",
        "a: Literal['b']",
        "@a('b')\ndef f(c: 'd') -> 'e':\n    ...",
        "if TYPE_CHECKING:\n    a = 1 + 2",
    ],
)
def test_what_is_for_readers_and_checkers_is_not_mutated(source: str) -> None:
    assert changes(source) == []


def test_a_default_is_mutated_and_a_line_of_a_nested_function_dropped() -> None:
    assert changes("def f(a=1):\n    def g():\n        h()") == [
        "1  →  2",
        "1  →  0",
        "h()  →  pass",
    ]


@pytest.mark.parametrize("module", MODULES)
def test_each_mutant_is_the_module_with_one_fault(module: str) -> None:
    source = path_of(module).read_text(encoding="utf-8")
    whole = ast.dump(ast.parse(source))

    made = mutants(module, source)

    assert made
    # Some of each module's; each costs the parsing of the whole.
    for mutant in made[:: len(made) // 5 + 1]:
        tree = mutated(source, mutant.number)
        assert ast.dump(tree) != whole, mutant
        compile(tree, "mutant", "exec")


def test_what_is_called_equivalent_is_a_mutant_that_there_is() -> None:
    def all_mutants() -> Iterable[tuple[str, str, str]]:
        for module in MODULES:
            source = path_of(module).read_text(encoding="utf-8")
            yield from ((module, each.source, each.change) for each in mutants(module, source))

    assert EQUIVALENT.keys() - set(all_mutants()) == set()


def test_a_module_is_tested_by_the_file_of_its_name_or_by_those_that_are_named() -> None:
    assert mutation.tests_of("quota") == ["tests/resilience/test_quota.py"]
    assert TESTS.keys() - set(MODULES) == set()
    for module in TESTS:
        assert [name for name in mutation.tests_of(module) if not (ROOT / name).is_file()] == []


def test_a_module_without_tests_has_no_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutation._report("no_such") == 1  # noqa: SLF001 - all but the running of tests
    assert "no_such: has no tests" in capsys.readouterr().out


@pytest.mark.timeout(180)  # it imports everything anew, and runs tests twice
def test_the_command_tells_the_score_of_a_line() -> None:
    lines = path_of("clock").read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines, 1) if "if previous is not" in line)

    ran = subprocess.run(
        [sys.executable, "-m", "tests.mutation", f"clock:{number}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "clock: 1 of 1 killed (100.0%), 0 equivalent" in ran.stdout


def test_a_mutant_that_no_test_fails_for_is_told_of_and_the_command_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mutants("quota", path_of("quota").read_text(encoding="utf-8"))
    alive = made[0], next(each for each in made if each.equivalence)
    monkeypatch.setattr(mutation, "_passes", lambda _: True)
    monkeypatch.setattr(mutation, "survivors", lambda _: list(alive))

    assert mutation._report("quota") == 1  # noqa: SLF001 - all but the running of tests
    assert f"{len(made) - 2} of {len(made) - 1} killed" in capsys.readouterr().out
    monkeypatch.setattr(mutation, "survivors", lambda _: [alive[1]])
    assert mutation._report("quota") == 0  # noqa: SLF001 - the same


def test_tests_that_fail_without_any_mutant_are_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation, "_passes", lambda _: False)

    assert mutation._report("quota") == 1  # noqa: SLF001 - all but the running of tests
