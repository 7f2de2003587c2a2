"""What users may rely on, pinned: a public name comes or goes only with `public_names.txt`.

Rules:

1. Each line of `public_names.txt` is one public name, with its module: what its `__all__` says.
2. Every module at the top of the package says in `__all__` what it promises (`[]`: nothing); what
   is further inside is our own and may move.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import sleepwalker

PINNED_IN = Path(__file__).with_name("public_names.txt")


def pinned() -> list[str]:
    """Read the pinned names, leaving out comments and empty lines."""
    lines = PINNED_IN.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def top_modules() -> list[str]:
    """Name the façade and each module directly in it, but for those that begin with `_`."""
    inside = (module.name for module in pkgutil.iter_modules(sleepwalker.__path__))
    return [
        "sleepwalker",
        *(f"sleepwalker.{name}" for name in inside if not name.startswith("_")),
    ]


def exported() -> list[str]:
    """Name what the top modules export."""
    return [
        f"{module}.{name}"
        for module in top_modules()
        for name in importlib.import_module(module).__all__
    ]


def test_the_public_names_are_exactly_those_pinned() -> None:
    assert sorted(exported()) == sorted(pinned())


def test_the_pinned_names_are_sorted_and_stand_there_once() -> None:
    assert pinned() == sorted(set(pinned()))


@pytest.mark.parametrize("module", top_modules())
def test_every_exported_name_exists_and_no_module_exports_one_twice(module: str) -> None:
    names = importlib.import_module(module).__all__

    missing = [name for name in names if not hasattr(importlib.import_module(module), name)]

    assert missing == []
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["Connection", "ConnectionHook", "ConnectionManager"])
def test_the_facade_exports_the_connection_modules_own_objects(name: str) -> None:
    inner = importlib.import_module("sleepwalker.connection")

    assert getattr(sleepwalker, name) is getattr(inner, name)
