"""The project agrees with itself: versions, pins, commands, and what may stand in a file.

Rules:

1. What is said twice (a version, a lower bound, a command) is compared here.
2. No file in git names a package index or a folder of somebody's machine.
3. Each exception to a rule of the linter or the type checker has its reason beside it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
HOME = Path.home()  # before a fixture gives the tests another one
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CODE = (".ci", "benchmarks", "dashboards", "docs", "sleepwalker", "tests")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def requirements(*groups: str) -> dict[str, str]:
    """Give the lower bounds of the named groups; the core's group is called `core`."""
    project = PROJECT["project"]
    bounds = {}
    for group in groups:
        listed = (
            project["dependencies"] if group == "core" else project["optional-dependencies"][group]
        )
        for requirement in listed:
            if requirement.startswith("sleepwalker["):
                continue
            name, bound, version = requirement.partition(">=")
            assert bound, f"{requirement} has no lower bound"
            bounds[name] = version
    return bounds


def pins(name: str) -> dict[str, set[str]]:
    """Read a file of pins: for each distribution its versions (one for each marker)."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"([a-z0-9-]+)==([0-9a-z.!]+)( ; [^;]+)?", line)
        assert match, f"requirements/{name}: not a version alone: {line}"
        found.setdefault(match[1], set()).add(match[2])
    return found


# Versions and pins


def test_the_version_is_the_same_in_the_project_the_package_and_its_metadata() -> None:
    import sleepwalker  # noqa: PLC0415 - the rest of this module needs no package

    assert sleepwalker.__version__ == PROJECT["project"]["version"]
    assert importlib.metadata.version("sleepwalker") == PROJECT["project"]["version"]


def test_the_changelog_has_a_section_for_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.search(
        rf"^## \[{re.escape(PROJECT['project']['version'])}\] - ", changelog, re.MULTILINE
    )


def test_the_lowest_pins_are_exactly_the_lower_bounds() -> None:
    lowest = pins("lowest.txt")

    bounds = requirements("core", "otel", "cli")

    assert {name: lowest[name] for name in bounds} == {name: {bounds[name]} for name in bounds}


def test_the_development_pins_cover_every_requirement() -> None:
    wanted = requirements("core", "otel", "cli", "dev", "pictures")

    assert wanted.keys() - pins("dev.txt").keys() == set()


def package_folder() -> Path:
    """Find the package that is tested: this checkout's, or an installed wheel's."""
    spec = importlib.util.find_spec("sleepwalker")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def distribution_of(module: str) -> str:
    """Name the distribution that brings a module."""
    for part in ("exporter.otlp.proto.http", "proto", "sdk"):
        if f"{module}.".startswith(f"opentelemetry.{part}."):
            return f"opentelemetry-{part.replace('.', '-')}"
    if module.startswith("opentelemetry"):
        return "opentelemetry-api"
    return module.split(".", maxsplit=1)[0].replace("_", "-")


def imports_of(path: Path) -> Iterator[str]:
    """Name the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def test_the_extra_cli_brings_all_that_the_command_imports() -> None:
    imported = {
        distribution_of(module)
        for path in (package_folder() / "cli").rglob("*.py")
        for module in imports_of(path)
        if module.split(".", maxsplit=1)[0] not in {*sys.stdlib_module_names, "sleepwalker"}
    }

    assert {"opentelemetry-proto", "opentelemetry-sdk", "rich", "trustme", "typer"} <= imported
    assert imported - requirements("core", "cli").keys() == set()


def test_the_package_says_that_it_is_typed() -> None:
    assert (package_folder() / "py.typed").is_file()


def test_the_console_script_can_be_called() -> None:
    [script] = importlib.metadata.entry_points(group="console_scripts", name="sleepwalker")

    assert callable(script.load())


# Commands


def targets() -> set[str]:
    """Name the targets that `make help` lists."""
    return set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))


def test_every_target_that_is_a_command_is_listed_by_help() -> None:
    [phony] = re.findall(r"^\.PHONY: (help .*)$", MAKEFILE, re.MULTILINE)

    assert set(phony.split()) == targets()


@pytest.mark.parametrize(
    "page",
    [
        page.relative_to(ROOT).as_posix()
        for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    ],
)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)

    named = {name for part in code for name in re.findall(r"\bmake ([a-z]+)\b", part)}

    assert named - targets() == set()


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "make demo" in readme
    assert "make test" in readme


# What may stand in a file


def indexes_and_folders_in(text: str) -> list[str]:
    """Find package index hosts, index options, and folders of somebody's machine."""
    index = r"\bpypi\.(?:org|io)\b|\bpythonhosted\.org\b|--(?:extra-)?index-url\b|--find[-]links\b"
    here = "|".join(re.escape(str(place)) for place in (ROOT, HOME) if place.name)
    folder = rf"/(?:home|Users)/\w+|(?<![\w.-])(?:{here})/"
    return [match[0] for match in re.finditer(f"{index}|{folder}", text)]


@pytest.mark.parametrize(
    "text",
    [
        "see https://" + "pypi" + ".org/project/sleepwalker",
        "files." + "pythonhosted" + ".org",
        "pip install --extra-" + "index-url https://mirror.example/simple",
        "cd /" + "home/somebody/code",
        f"{ROOT}/pyproject.toml",
        f"{HOME}/.netrc",
    ],
)
def test_an_index_or_a_folder_of_a_machine_is_found(text: str) -> None:
    assert len(indexes_and_folders_in(text)) == 1


@pytest.mark.parametrize(
    "text", ["~/.netrc", "/etc/ssl/certs", "https://books.example/home/", "pip install -e ."]
)
def test_paths_that_every_machine_has_are_not_found(text: str) -> None:
    assert indexes_and_folders_in(text) == []


def test_no_file_in_git_names_an_index_or_a_folder_of_a_machine() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a checkout of git")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert paths

    found = {
        path.relative_to(ROOT).as_posix(): named
        for path in paths
        if path.is_file()
        and (named := indexes_and_folders_in(path.read_text(encoding="utf-8", errors="replace")))
    }

    assert found == {}


def test_every_exception_to_a_rule_has_its_reason_beside_it() -> None:
    section = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[tool.ruff.lint]")[1]

    exceptions = re.findall(r'^ +"[A-Z]+[0-9]*",.*$', section, re.MULTILINE)

    assert exceptions
    assert [line for line in exceptions if not re.search(r", +# \w", line)] == []


def noqas_without_a_reason(text: str) -> list[int]:
    """Give the lines where a `noqa` doesn't name its rule, or not why it is excepted."""
    bare = re.compile(r"#[ ]noqa(?!: [A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)* - \S)")
    return [number for number, line in enumerate(text.splitlines(), 1) if bare.search(line)]


@pytest.mark.parametrize("comment", ["", ": S101", ": S101 -", " - because"])
def test_a_noqa_without_rule_or_reason_is_found(comment: str) -> None:
    assert noqas_without_a_reason(f"one\ntwo  # {'noqa'}{comment}\n") == [2]


def test_a_noqa_with_rules_and_reason_is_not_found() -> None:
    assert noqas_without_a_reason(f"one  # {'noqa'}: S101, SLF001 - a friend\n") == []


def test_every_noqa_names_its_rule_and_its_reason() -> None:
    code = [path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))]

    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in code
        if (lines := noqas_without_a_reason(path.read_text(encoding="utf-8")))
    }

    assert found == {}
