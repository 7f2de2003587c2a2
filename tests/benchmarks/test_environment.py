"""A run's environment doesn't depend on the shell, and its report doesn't tell whose it was."""

from __future__ import annotations

import platform

import pytest

from benchmarks import environment


@pytest.mark.parametrize("extra", [0, 1, 200])
def test_a_run_has_36_variables_none_a_proxys_whatever_the_shell_has(extra: int) -> None:
    shell = {"PATH": "/bin", "HTTPS_PROXY": "http://proxy.example", "no_proxy": "*"}
    shell |= {f"V{number}": "x" for number in range(extra)}

    made = environment.fixed(shell)

    assert environment.faults(made) == []
    assert len(made) == environment.VARIABLES == 36
    assert made["PATH"] == "/bin"
    assert made["HOME"] == "/nonexistent"
    assert not {"V0", "HTTPS_PROXY", "no_proxy"} & made.keys()


def test_the_environment_of_a_run_stays_as_it_is_when_it_is_made_again() -> None:
    made = environment.fixed({"PATH": "/bin"})

    assert environment.fixed(made) == made


def test_what_decides_which_code_runs_is_kept() -> None:
    made = environment.fixed({"PYTHONPATH": "here", "LD_LIBRARY_PATH": "there"})

    assert (made["PYTHONPATH"], made["LD_LIBRARY_PATH"]) == ("here", "there")
    assert environment.faults(made) == []


def test_a_proxy_or_another_number_of_variables_is_a_fault() -> None:
    made = environment.fixed({}) | {"HTTP_PROXY": "http://proxy.example"}

    assert environment.faults(made) == [
        "37 environment variables instead of 36",
        "variables of proxies: HTTP_PROXY",
    ]


def test_the_machine_is_described_without_a_name_or_a_path() -> None:
    told = f"{environment.machine()} {environment.versions()}"

    assert platform.python_version() in told
    assert platform.node() not in told or not platform.node()
    assert "/" not in told


def test_the_versions_are_those_of_everything_compared() -> None:
    versions = environment.versions()

    assert next(iter(versions)) == "sleepwalker"
    assert {"requests", "urllib3", "httpx", "tenacity", "structlog"} < versions.keys()
