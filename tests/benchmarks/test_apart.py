"""Peers in environments of their own: built by pip, measured by a worker, or left out and told."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.apart.environments import Environments
from benchmarks.apart.peers import PEERS
from benchmarks.apart.remote import Worker, WorkerError, subjects
from benchmarks.conditions import rounds_of_requests
from benchmarks.finds import BATCH
from benchmarks.measuring import interleaved
from benchmarks.server import Server
from benchmarks.target import Target

STAND_IN = "from requests import Session\n"
"""What is called niquests here, which nobody has to fetch."""


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    """Where pip finds nothing but what a test puts there."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return Environments(tmp_path / "apart")


def offer_niquests(folder: Path) -> None:
    """Put a wheel there that has the stand-in, and what that needs."""
    about = "niquests-9.9.dist-info"
    ours = sysconfig.get_path("purelib")
    with zipfile.ZipFile(folder / "niquests-9.9-py3-none-any.whl", "w") as wheel:
        wheel.writestr("niquests.py", STAND_IN)
        wheel.writestr("ours.pth", ours)
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: niquests\nVersion: 9.9\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")


def test_a_peer_is_installed_once_and_gets_the_document_within_the_rounds(
    environments: Environments, tmp_path: Path
) -> None:
    offer_niquests(tmp_path)
    environments.build(["niquests"])
    (tmp_path / "niquests-9.9-py3-none-any.whl").unlink()
    environments.build(["niquests"])

    assert environments.version("niquests") == "9.9"
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        found = subjects(["niquests", "urllib3"], Target(server.url), stack, environments)
        rounds = rounds_of_requests(found, server, rounds=2, operations=3, seed=0)

    assert [*rounds] == ["niquests"]
    assert all(cost.process > 0 and cost.wall > 0 for cost in rounds["niquests"])


def test_an_environment_whose_python_is_gone_is_none(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    monkeypatch.setattr(environments, "_folder", lambda _: gone)
    gone.mkdir()
    (gone / "ready").write_text("9.9", encoding="utf-8")

    assert (environments.version("niquests"), environments.python("niquests")) == (None, None)
    (gone / "bin").mkdir()
    (gone / "bin" / "python").touch()
    assert (environments.version("niquests"), environments.python("niquests")) == (
        "9.9",
        gone / "bin" / "python",
    )


def test_who_cannot_be_installed_is_left_out_and_why_is_told(
    environments: Environments, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "WARNING: a\nERROR: first\nERROR: No matching distribution found\nWARNING: b\n"
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", said)
    )

    environments.build(["niquests"])

    why = environments.why_not("niquests")
    assert why == "niquests could not be installed (No matching distribution found)"
    assert why in capsys.readouterr().err
    assert (environments.version("niquests"), environments.python("niquests")) == (None, None)
    with ExitStack() as stack:
        assert subjects(["niquests"], Target(""), stack, environments) == []


def test_what_was_never_built_is_left_out(environments: Environments) -> None:
    assert environments.why_not("niquests") == "its environment was not built"
    with ExitStack() as stack:
        assert subjects([*PEERS], Target(""), stack, environments) == []
        assert subjects([*PEERS], Target(""), stack, None) == []


def test_a_worker_measures_what_it_is_told_to_and_ends() -> None:
    # Here the package of that name is ours, whose find does the same.
    worker = Worker("find-2.0-itself", Path(sys.executable), Target(""))
    try:
        subject = worker.subject()
        assert (subject.name, subject.batch) == ("find-2.0-itself", BATCH)
        [cost] = interleaved([subject], rounds=1, operations=BATCH, seed=0)[subject.name]
        assert 0 < cost.process < 1e-3
    finally:
        worker.close()


def test_a_worker_that_ends_is_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WorkerError, match="the worker of nobody ended"):
        Worker("nobody", Path(sys.executable), Target(""))

    assert "KeyError: 'nobody'" in capfd.readouterr().err


def test_what_runs_there_needs_nothing_that_is_only_here() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import benchmarks.apart.peers;"
        "print(sorted({'requests', 'urllib3', 'httpx', 'sleepwalker', 'opentelemetry'}"
        " & sys.modules.keys()))"
    )
    root = Path(__file__).parent.parent.parent

    ran = subprocess.run(
        [sys.executable, "-I", "-c", code, root], capture_output=True, text=True, check=True
    )

    assert ran.stdout == "[]\n"
