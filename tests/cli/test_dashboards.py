"""`sleepwalker dashboards export`: what it writes, what it keeps, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sleepwalker.cli._app import app
from sleepwalker.cli.dashboards import SHIPPED, shipped

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")


def export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["dashboards", "export", *map(str, arguments)])


def contents_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_the_installed_package_exports_is_what_the_repository_holds(tmp_path: Path) -> None:
    assert export(tmp_path).exit_code == 0

    held = contents_of(ROOT / "dashboards")
    of_source = {path for path in held if path.startswith(("source/", "pictures/", "__"))}
    assert contents_of(tmp_path) == {
        path: content for path, content in held.items() if path not in of_source
    }
    assert {path.split("/")[0] for path in contents_of(tmp_path)} == set(SHIPPED)


def test_it_says_each_file_that_it_wrote_and_how_many(tmp_path: Path) -> None:
    result = export(tmp_path / "new" / "folder")

    *lines, summary = result.stdout.splitlines()
    assert lines == [f"wrote {tmp_path / 'new' / 'folder' / path}" for path in shipped()]
    assert summary == f"{len(lines)} files written to {tmp_path / 'new' / 'folder'}"
    assert result.stderr == ""


def test_a_second_time_it_writes_nothing(tmp_path: Path) -> None:
    export(tmp_path)

    result = export(tmp_path)

    assert result.exit_code == 0
    there = len(shipped())
    assert result.stdout == f"0 files written to {tmp_path}, {there} files there already\n"


def test_files_that_differ_are_kept_and_nothing_at_all_is_written(tmp_path: Path) -> None:
    changed, *_ = shipped()
    (tmp_path / changed).parent.mkdir(parents=True)
    (tmp_path / changed).write_text("mine", encoding="utf-8")

    result = export(tmp_path)

    assert result.exit_code == 1
    assert contents_of(tmp_path) == {changed: b"mine"}
    assert result.stdout == ""
    assert result.stderr == (
        f"{tmp_path / changed} differs\n"
        "sleepwalker: 1 file there already and different;"
        " nothing was written; --force overwrites\n"
    )


def test_with_force_only_the_files_that_differ_are_overwritten(tmp_path: Path) -> None:
    export(tmp_path)
    changed, kept, *_ = shipped()
    (tmp_path / changed).write_text("mine", encoding="utf-8")
    (tmp_path / kept).chmod(0o444)
    (tmp_path / "notes.txt").write_text("mine too", encoding="utf-8")

    result = export(tmp_path, "--force")

    assert result.exit_code == 0
    assert contents_of(tmp_path) == shipped() | {"notes.txt": b"mine too"}
    assert result.stdout == (
        f"wrote {tmp_path / changed}\n"
        f"1 file written to {tmp_path}, {len(shipped()) - 1} files there already\n"
    )


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        result = export(folder)

        assert result.exit_code == 2
        assert result.stderr == f"sleepwalker: {tmp_path / 'file'} is not a folder\n"
        assert result.stdout == ""


def test_a_folder_in_the_place_of_a_file_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    *_, last = shipped()
    (tmp_path / last).mkdir(parents=True)

    result = export(tmp_path, "--force")

    assert result.exit_code == 2
    assert result.stderr == f"sleepwalker: {tmp_path / last} is not a file\n"
    assert contents_of(tmp_path) == {}


def test_a_place_that_cannot_be_looked_at_is_said(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 100)

    result = export(folder)

    assert result.exit_code == 2
    assert "File name too long" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_empty_name_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = export("")

    assert result.exit_code == 2
    assert result.stderr == "sleepwalker: DIR is empty; the folder that you are in is .\n"
    assert contents_of(tmp_path) == {}


@pytest.mark.skipif(not FULL.exists(), reason="a disk that is full is a device of Linux")
def test_a_file_that_cannot_be_written_is_said_after_those_that_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = (tmp_path / path for path in shipped())
    write = Path.write_bytes

    def write_until_full(path: Path, content: bytes) -> int:
        return write(FULL if path == second else path, content)

    monkeypatch.setattr(Path, "write_bytes", write_until_full)

    result = export(tmp_path)

    assert result.exit_code == 74
    assert result.stdout == f"wrote {first}\n"
    assert result.stderr == f"sleepwalker: {second} can't be written: No space left on device\n"


@pytest.mark.skipif(not FULL.exists(), reason="a disk that is full is a device of Linux")
def test_output_that_cannot_be_written_is_said_too(tmp_path: Path) -> None:
    program = "from sleepwalker.cli import main; main()"
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, "dashboards", "export", tmp_path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 74
    assert done.stderr == "sleepwalker: the output can't be written: No space left on device\n"


def test_without_a_folder_it_is_a_wrong_use() -> None:
    assert export().exit_code == 2


def test_exporting_needs_nothing_of_what_builds_the_dashboards() -> None:
    program = (
        "import sys; from sleepwalker.cli import dashboards; dashboards.shipped();"
        "print({m.split('.')[0] for m in sys.modules}"
        " & {'dashboards', 'grafana_foundation_sdk', 'promql_parser', 'yaml'})"
    )

    out = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    ).stdout

    assert out == "set()\n"
