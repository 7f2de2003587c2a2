"""The pytest fixtures, in a pytest of their own where warnings are errors."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
import sleepwalker.testing  # before pytest does

pytest_plugins = ["sleepwalker.testing"]
"""

TESTS = """
import pytest
from sleepwalker import ANONYMOUS, Connection, ConnectionError
from sleepwalker.testing import Fault

conn = Connection("https://books.example", ANONYMOUS, random=lambda: 1.0)


def test_faults(sleepwalker_faults, sleepwalker_fake_clock):
    sleepwalker_faults.fail_next(2, Fault.connect_timeout())
    sleepwalker_faults.fail_next(1, Fault.status(200, json="good"))
    assert conn.json_request("POST", "/books", {}) == "good"
    assert sleepwalker_fake_clock.slept == [0.05, 0.1]
    assert sleepwalker_fake_clock.monotonic() == pytest.approx(6.15)
    assert sleepwalker_faults.pending == 0


def test_no_rule_is_left_of_another_test(sleepwalker_faults, sleepwalker_no_wait):
    assert sleepwalker_faults.requests == ()
    sleepwalker_faults.fail_at(1.0, Fault.reset())
    with pytest.raises(ConnectionError):
        conn.request("GET", "/books")
    assert sleepwalker_no_wait.slept == [0.05, 0.1]
    conn.close()
"""

MOCKED_BEFORE = """
import responses, sleepwalker

with responses.mock:
    import sleepwalker.testing
try:
    sleepwalker.testing.FaultAdapter()
except sleepwalker.ConfigurationError as error:
    print(error)
"""


def test_the_fixtures_work_where_warnings_are_errors(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)

    ran = pytester.runpytest_subprocess("-q", "-W", "error", "-p", "no:cacheprovider")

    ran.assert_outcomes(passed=2)
    listed = pytester.runpytest_subprocess("--fixtures", "-q", "-p", "no:cacheprovider")
    listed.stdout.fnmatch_lines_random(
        ["sleepwalker_fake_clock*", "sleepwalker_faults*", "sleepwalker_no_wait*"]
    )


def test_a_first_import_in_the_middle_of_a_mock_is_told() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", MOCKED_BEFORE],
        capture_output=True,
        check=False,
        text=True,
    )

    assert "before requests is mocked" in ran.stdout + ran.stderr
    assert ran.returncode == 0
