"""The committed files are those that the source makes, and `--check` tells when they aren't."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from dashboards.source import forms
from dashboards.source.__main__ import main
from tests.dashboards.reading import NAMES, ROOT, board

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OVERVIEW = "grafana/sleepwalker-overview.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the committed files."""
    copy = tmp_path / "dashboards"
    shutil.copytree(ROOT / "dashboards", copy, ignore=shutil.ignore_patterns("source", "__*"))
    return copy


def test_what_is_committed_is_what_the_source_makes(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--check"])

    assert (capsys.readouterr().out, code) == ("", 0)


def changed(folder: Path) -> None:
    path = folder / OVERVIEW
    path.write_text(path.read_text(encoding="utf-8").replace("now-1h", "now-2h"), encoding="utf-8")


def missing(folder: Path) -> None:
    (folder / OVERVIEW).unlink()


def left_over(folder: Path) -> None:
    shutil.copy(folder / OVERVIEW, folder / "grafana" / "sleepwalker-old.json")


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (changed, f"dashboards/{OVERVIEW} differs\n"),
        (missing, f"dashboards/{OVERVIEW} is missing\n"),
        (left_over, "dashboards/grafana/sleepwalker-old.json is not generated any more\n"),
    ],
)
def test_check_says_what_is_not_as_it_would_be_written_and_writes_nothing(
    plant: Callable[[Path], None], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}

    assert main(["--check"], folder) == 1

    assert capsys.readouterr().out == said
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before


def test_the_command_writes_every_file_anew(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(folder)

    assert main([], folder) == 0

    written = {f"dashboards/{path.relative_to(folder)}" for path in folder.rglob("*.*")}
    assert set(capsys.readouterr().out.split()) == written
    assert main(["--check"], folder) == 0


# The two forms


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_are_the_same_but_for_what_the_import_page_asks(name: str) -> None:
    provisioned, imported = board(name), board(name, "import")

    asked = {key: imported.pop(key) for key in ("__elements", "__inputs", "__requires")}
    source = imported["templating"]["list"][0]

    assert source.pop("current") == {
        "selected": True,
        "text": "${DS_PROMETHEUS}",
        "value": "${DS_PROMETHEUS}",
    }
    assert imported == provisioned
    assert [entry["name"] for entry in asked["__inputs"]] == ["DS_PROMETHEUS"]
    assert asked["__inputs"][0]["type"] == "datasource"
    assert asked["__inputs"][0]["pluginId"] == "prometheus"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_imported_requires_every_kind_of_panel_that_it_has(name: str) -> None:
    imported = board(name, "import")

    required = {(entry["type"], entry["id"]) for entry in imported["__requires"]}

    kinds = {panel["type"] for panel in imported["panels"]} - {"row"}
    assert required == {
        ("grafana", "grafana"),
        ("datasource", "prometheus"),
        *(("panel", kind) for kind in kinds),
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_provisioned_form_asks_for_nothing_and_names_no_data_source(name: str) -> None:
    provisioned = board(name)

    assert [key for key in provisioned if key.startswith("__")] == []
    assert "current" not in provisioned["templating"]["list"][0]
    assert "id" not in provisioned


def test_the_oldest_grafana_is_that_of_the_sdk() -> None:
    pins = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    (pinned,) = (line for line in pins if line.startswith("grafana-foundation-sdk=="))

    assert pinned.partition("!")[2] == forms.GRAFANA
