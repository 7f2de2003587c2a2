"""The help of the commands, and what it promises."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main

from sleepwalker.cli._app import app
from sleepwalker.cli._failures import Exit
from tests.cli.asking import run
from tests.docs.pages import rows_below, text_of

PAGE = "docs/command-line.md"
WIDE = {"COLUMNS": "160", "TERM": "dumb"}


def help_of(*command: str) -> str:
    done = run(*command, "--help", environ=WIDE)
    assert (done.code, done.err) == (0, "")
    return done.out


def options_of(name: str) -> set[str]:
    group: Any = typer.main.get_command(app)
    parameters = group.commands[name].params
    return {opt for each in parameters for opt in each.opts if opt.startswith("--")}


def test_the_help_lists_the_commands() -> None:
    listed = re.findall(r"^│ (\w+) {2,}\w", help_of(), re.MULTILINE)

    assert listed == ["demo", "get", "walk", "dashboards"]


@pytest.mark.parametrize("command", ["get", "walk"])
def test_the_help_has_examples_of_options_that_there_are_and_each_exit_code(command: str) -> None:
    text = help_of(command)
    examples = re.findall(rf"^ +(sleepwalker {command} .*)$", text, re.MULTILINE)

    assert len(examples) >= 3
    used = {option for example in examples for option in re.findall(r"--[a-z-]+", example)}
    assert used <= options_of(command)
    told = {int(code) for code in re.findall(r"\b(\d{1,3}) ", text.partition("Exit code:")[2])}
    only_of = {"get": {Exit.INCOMPLETE}, "walk": {Exit.NO_LINK}}[command]
    assert told >= set(Exit) - only_of - {Exit.INTERNAL}


def test_the_page_has_every_option_and_every_exit_code() -> None:
    text = text_of(PAGE)
    codes = [int(code) for code, _ in rows_below(PAGE, "Exit codes")]

    assert codes == [int(code) for code in Exit]
    options = options_of("get") | options_of("walk") | {"--help"}
    missing = {option for option in options - {"--verbose"} if f"`{option}" not in text}
    assert missing == set()
    unknown = set(re.findall(r"--[a-z][a-z-]+", text)) - options
    assert unknown == set()
