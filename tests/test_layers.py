"""The house holds: each layer imports only the layers above it, and the core only what it declares.

Rules:

1. `HOUSE` is the one list of layers. A file of the package that has no place in it is an error.
2. Every import counts, wherever it stands: in a function, under ``TYPE_CHECKING``, relative, or by
   name through `importlib`.
3. The checker is tried on planted violations first, so that its silence means something.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent

HOUSE = (
    "_nesting",
    "exceptions",
    "observability",
    "resilience",
    "auth",
    "connection",
    "links",
    "testing",
    "cli",
    "__init__",
)
"""The layers, from the top: each may import those before it, and itself. The façade is the last, so
that nobody inside may import from it."""

IMPORT_NAMES = {
    "jsonpointer": "jsonpointer",
    "opentelemetry-api": "opentelemetry",
    "prometheus-client": "prometheus_client",
    "requests": "requests",
    "structlog": "structlog",
    "tenacity": "tenacity",
    "uritemplate": "uritemplate",
    "urllib3": "urllib3",
}
"""What each core dependency is called in an ``import``."""

NOT_THE_API = frozenset({"exporter", "instrumentation", "proto", "sdk", "semconv"})
"""The parts of the `opentelemetry` namespace that `opentelemetry-api` does not bring."""


@dataclass(frozen=True)
class Module:
    """One file of a package and what it imports."""

    name: str
    path: Path
    is_package: bool

    def tree(self) -> ast.Module:
        """Parse the file."""
        return ast.parse(self.path.read_text(encoding="utf-8"), str(self.path))

    def imports(self) -> Iterator[tuple[int, str, str | None]]:
        """Every import: its line, the module named, and the name taken from it if there is one."""
        for node in ast.walk(self.tree()):
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        yield node.lineno, alias.name, None
                case ast.ImportFrom(module=module, names=names, level=level):
                    source = self._resolve(module, level)
                    for alias in names:
                        yield node.lineno, source, alias.name
                case ast.Call(
                    func=ast.Name(id="__import__" | "import_module" as function)
                    | ast.Attribute(attr="import_module" as function),
                    args=[ast.Constant(value=str(target)), *_],
                ):
                    assert not target.startswith("."), f"{self.name}: relative {function}"
                    yield node.lineno, target, None

    def _resolve(self, module: str | None, level: int) -> str:
        """Give the absolute name of what ``from <level dots><module> import`` names."""
        if level == 0:
            assert module is not None
            return module
        parts = self.name.split(".")
        base = parts[: len(parts) - level + (1 if self.is_package else 0)]
        return ".".join([*base, *([module] if module else [])])


def modules_of(package: Path) -> dict[str, Module]:
    """Find every module of the package in this folder, by its full name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = Module(name, path, is_package)
    return found


def layer_of(name: str) -> str:
    """Give the layer of a module's full name: its first part below the package."""
    _, _, below = name.partition(".")
    return below.split(".")[0] if below else "__init__"


def violations(package: Path, house: tuple[str, ...] = HOUSE) -> list[str]:
    """List every import that goes up, as ``file:line: what is wrong``."""
    modules = modules_of(package)
    found = []
    for module in modules.values():
        layer = layer_of(module.name)
        place = module.path.relative_to(package.parent).as_posix()
        if layer not in house:
            found.append(f"{place}: no place in the house for {layer}")
            continue
        for line, source, name in module.imports():
            if source.split(".")[0] != package.name:
                continue
            whole = f"{source}.{name}" if name else source
            target = layer_of(whole if whole in modules else source)
            if target not in house:
                found.append(f"{place}:{line}: imports {whole}, which has no place in the house")
            elif house.index(target) > house.index(layer):
                found.append(f"{place}:{line}: {layer} imports {whole}, of {target} below it")
    return found


def foreign_imports(modules: Iterable[Module]) -> list[str]:
    """List imports of anything but the standard library and the declared core dependencies."""
    allowed = {*sys.stdlib_module_names, *IMPORT_NAMES.values(), "sleepwalker"}
    found = []
    for module in modules:
        for line, source, name in module.imports():
            top, *rest = [*source.split("."), *([name] if name else [])]
            if top not in allowed or (top == "opentelemetry" and NOT_THE_API.intersection(rest)):
                found.append(f"{module.name}:{line}: imports {source}")
    return found


def package_folder() -> Path:
    """Find the package that is tested: this checkout's, or an installed wheel's."""
    spec = importlib.util.find_spec("sleepwalker")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own, which has imported nothing yet."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


# The checker, on planted packages


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """Give a package of three layers without a violation."""
    package = tmp_path / "planted"
    for path, text in {
        "__init__.py": "from planted.lower import thing\nfrom planted.upper.one import two\n",
        "upper/__init__.py": "",
        "upper/one.py": "two = 2\n",
        "upper/three.py": "from . import one\nfrom planted.upper.one import two\nimport os\n",
        "lower.py": "import planted.upper.one\nfrom .upper import one\nthing = 1\n",
    }.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text, encoding="utf-8")
    return package


PLANTED_HOUSE = ("upper", "lower", "__init__")


def test_a_package_whose_imports_all_go_down_has_no_violations(plant: Path) -> None:
    assert violations(plant, PLANTED_HOUSE) == []


@pytest.mark.parametrize(
    "line",
    [
        "import planted.lower",
        "import planted.lower as other",
        "from planted.lower import thing",
        "from planted import lower",
        "from ..lower import thing",
        "from .. import lower",
        "from .. import thing",
        "import planted",
        "from planted import thing",
        "def late():\n    from planted.lower import thing",
        "if TYPE_CHECKING:\n    from planted.lower import thing",
        "try:\n    import planted.lower\nexcept ImportError:\n    pass",
        "importlib.import_module('planted.lower')",
        "import_module('planted.lower')",
        "__import__('planted.lower')",
        "from planted.attic import thing",
    ],
)
def test_an_import_that_goes_up_is_found_however_it_is_written(plant: Path, line: str) -> None:
    (plant / "upper/one.py").write_text(f"{line}\n", encoding="utf-8")

    found = violations(plant, PLANTED_HOUSE)

    assert len(found) == 1
    assert found[0].startswith("planted/upper/one.py:")


def test_a_relative_import_in_a_package_of_its_own_counts_from_that_package(plant: Path) -> None:
    (plant / "upper/__init__.py").write_text("from .one import two\n", encoding="utf-8")
    assert violations(plant, PLANTED_HOUSE) == []

    (plant / "upper/__init__.py").write_text("from ..lower import thing\n", encoding="utf-8")
    assert violations(plant, PLANTED_HOUSE) == [
        "planted/upper/__init__.py:1: upper imports planted.lower.thing, of lower below it"
    ]


def test_a_file_without_a_place_in_the_house_is_found(plant: Path) -> None:
    (plant / "attic.py").write_text("", encoding="utf-8")

    assert violations(plant, PLANTED_HOUSE) == ["planted/attic.py: no place in the house for attic"]


@pytest.mark.parametrize(
    "line",
    [
        "import rich",
        "from rich.console import Console",
        "import opentelemetry.sdk.trace",
        "from opentelemetry.sdk.trace import TracerProvider",
        "from opentelemetry import sdk",
        "if TYPE_CHECKING:\n    import trustme",
        "def late():\n    import certifi",
    ],
)
def test_an_undeclared_import_is_found_however_it_is_written(plant: Path, line: str) -> None:
    (plant / "lower.py").write_text(f"{line}\n", encoding="utf-8")

    found = foreign_imports([modules_of(plant)["planted.lower"]])

    assert len(found) == 1


def test_declared_and_standard_imports_are_not_found(plant: Path) -> None:
    (plant / "lower.py").write_text(
        "import requests.adapters, os.path\nfrom opentelemetry import trace\n", encoding="utf-8"
    )

    assert foreign_imports([modules_of(plant)["planted.lower"]]) == []


# Sleepwalker itself


def test_no_module_imports_a_layer_below_its_own() -> None:
    assert violations(package_folder()) == []


def test_every_module_begins_by_saying_what_it_is_for() -> None:
    silent = [
        module.name
        for module in modules_of(package_folder()).values()
        if not ast.get_docstring(module.tree())
    ]

    assert silent == []


def test_the_core_imports_only_its_declared_dependencies() -> None:
    apart = {"cli", "testing"}
    core = [m for m in modules_of(package_folder()).values() if layer_of(m.name) not in apart]

    assert foreign_imports(core) == []


def test_every_core_dependency_has_its_import_name_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {requirement.split(">=")[0] for requirement in project["dependencies"]}

    assert declared == set(IMPORT_NAMES)


def test_importing_the_library_imports_no_extra() -> None:
    ran = run_python(
        # structlog takes rich by itself where it is installed.
        "import sys, structlog\n"
        "before = set(sys.modules)\n"
        "import sleepwalker, sleepwalker.connection\n"
        "extras = {'click', 'opentelemetry.sdk', 'pytest', 'rich', 'trustme', 'typer'}\n"
        "print(sorted(extras & (set(sys.modules) - before)))"
    )

    assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_the_testing_module_works_where_pytest_is_not_installed() -> None:
    ran = run_python(
        "import sys\n"
        "sys.modules['pytest'] = None\n"
        "import sleepwalker.testing\n"
        "print(sleepwalker.testing.no_wait.__name__)"
    )

    assert (ran.stdout, ran.stderr) == ("no_wait\n", "")


def test_the_facade_only_imports_and_lists_what_it_exports_in_order() -> None:
    facade = modules_of(package_folder())["sleepwalker"].tree()
    exported: list[str] = []
    logic = []
    for node in facade.body[1:]:
        match node:
            case ast.ImportFrom():
                pass
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() as names):
                exported = ast.literal_eval(names)
            case ast.Assign(targets=[ast.Name(id="__version__")]):
                pass
            case _:
                logic.append(ast.unparse(node))

    assert logic == []
    assert exported
    assert exported == sorted(exported, key=in_the_order_of_all)


def in_the_order_of_all(name: str) -> tuple[int, str]:
    """Sort as the linter does: constants, classes, the rest; each in the alphabet's order."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)
