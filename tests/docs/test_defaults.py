"""The tables of defaults are those of the code."""

from __future__ import annotations

import dataclasses
import re

import pytest

from sleepwalker import Policy
from sleepwalker.resilience.retry import IDEMPOTENT
from tests.docs.pages import rows_below

NO_DEFAULTS_TO_KNOW = {"idempotency_header", "scope", "deadline_header"}
"""A name, and what is off until somebody names something."""
UNITS = {"body": 2**20, "header_bytes": 2**10}
"""What bytes are told in: MiB, KiB."""

README = rows_below("README.md", "What happens if you say nothing")


def numbers(text: str) -> list[float]:
    """Give the numbers in a text."""
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize(
    "field",
    [field.name for field in dataclasses.fields(Policy) if field.name not in NO_DEFAULTS_TO_KNOW],
)
def test_the_readme_gives_the_default_of_each_setting_of_a_policy(field: str) -> None:
    default = getattr(Policy(), field)
    [(_, told, _)] = [row for row in README if f"Policy({field}=" in row[2]]

    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        settings = dataclasses.asdict(default)
        assert {v / UNITS.get(name, 1) for name, v in settings.items()} <= set(numbers(told))
    elif isinstance(default, frozenset):
        assert set(numbers(told)) == default
    else:
        assert numbers(told)[0] == default


def test_the_readme_names_the_methods_that_are_sent_again() -> None:
    [(_, told, _)] = [row for row in README if row[0] == "sent again"]

    assert set(re.findall(r"[A-Z]{3,}", told)) == IDEMPOTENT


def test_the_guide_to_retries_gives_the_same_times() -> None:
    rows = rows_below("docs/guides/retries.md", "How long")
    policy = Policy()

    told = {row[0].strip("`"): numbers(row[1]) for row in rows}

    assert told == {
        "connect_timeout": [policy.connect_timeout],
        "read_timeout": [policy.read_timeout],
        "deadline": [policy.deadline],
    }
