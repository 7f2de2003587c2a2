"""The page on errors is the tree of the code: classes, parents, foreign parents, statuses."""

from __future__ import annotations

import builtins
import re

import requests.exceptions

import sleepwalker
from sleepwalker import exceptions
from tests.docs.pages import blocks_of, rows_below

PAGE = "docs/guides/errors.md"
STATUSES = {error.__name__ for error in exceptions.HTTPError.code_map.values()}


def tree() -> dict[str, tuple[str | None, list[str]]]:
    """Give the tree on the page: each error's parent, and what else it is."""
    drawing = next(block.text for block in blocks_of(PAGE) if "├──" in block.text)
    found: dict[str, tuple[str | None, list[str]]] = {}
    above: list[str] = []
    for line in drawing.splitlines():
        match = re.fullmatch(r"((?:[│ ] {3}|[├└]── )*)(\w+)(?: +(?:and (\w+)|\[(.*)\]))?", line)
        assert match, line
        depth = len(match[1]) // 4
        del above[depth:]
        others = [match[3]] if match[3] else re.findall(r"[\w.]+", match[4] or "")
        found[match[2]] = (above[-1] if above else None, others)
        above.append(match[2])
    return found


def named(name: str) -> type:
    """Give the exception of a name on the page."""
    owner, _, last = name.rpartition(".")
    modules = {"requests.exceptions": requests.exceptions, "builtins": builtins}
    ours = exceptions if hasattr(exceptions, last) else builtins
    exception: type = getattr(modules.get(owner, ours), last)
    return exception


def test_the_tree_has_every_error_but_those_of_single_statuses() -> None:
    assert set(tree()) == set(exceptions.__all__) - STATUSES


def test_every_error_of_the_tree_has_exactly_the_parents_that_are_drawn() -> None:
    drawn = {
        name: {named(parent) for parent in ([above] if above else []) + others}
        for name, (above, others) in tree().items()
    }

    assert {name: set(named(name).__bases__) for name in drawn} == drawn | {
        "SleepwalkerException": {Exception}
    }


def test_every_error_is_explained() -> None:
    explained = [row[0].strip("`") for row in rows_below(PAGE, "One by one")]

    assert explained == list(tree())


def test_the_statuses_are_those_of_the_code() -> None:
    documented = {int(status): name.strip("`") for status, name in rows_below(PAGE, "Statuses")}

    assert documented == {
        status: error.__name__ for status, error in exceptions.HTTPError.code_map.items()
    }


def test_what_every_error_carries_is_there() -> None:
    error = exceptions.SleepwalkerException("told")

    documented = {row[0].strip("`") for row in rows_below(PAGE, "What every error carries")}

    assert documented == {
        name
        for name in dir(error)
        if not name.startswith("_") and not hasattr(Exception("told"), name)
    }


def test_all_errors_are_in_the_facade_too() -> None:
    assert set(exceptions.__all__) <= set(sleepwalker.__all__)
