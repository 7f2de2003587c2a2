"""Runs one page of documentation: `python -m tests.docs docs/tutorial.md`.

Silent, and 0, when the page does as it says; else it raises with the page's own line.

    python -m tests.docs --program orders.py ...    what the page's `$ python orders.py` becomes
    python -m tests.docs --each                     runs the pages that its standard input names
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import json
import os
import runpy
import shlex
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any, Final

import sleepwalker.cli
import tests.servers
from tests.docs.hosts import Hosts, resolve_as_told
from tests.docs.pages import ROOT, Block, PageError, blocks_of

PROGRAM: Final = (sys.executable, "-W", "error", "-m", "tests.docs", "--program")
"""What a command line of a page is run by."""


class Page:
    """A page that is being run, in a folder of its own."""

    def __init__(self, folder: Path, hosts: Hosts, out: io.StringIO) -> None:
        self._folder = folder
        self._namespace: dict[str, Any] = {"__name__": "__main__"}
        self._stage: dict[str, Any] = {
            name: getattr(tests.servers, name) for name in tests.servers.__all__
        }
        self._stage |= {"host": hosts, "page": self._namespace, "folder": folder, "os": os}
        # One for the whole page: what logs or spans are written to stays open from block to block.
        self._out = out
        self._printed_by: Block | None = None

    def run(self, blocks: list[Block]) -> None:
        """Run the blocks in order.

        Raises:
            PageError: one did not do as the page says.
        """
        for block in blocks:
            if block.kind == "output":
                self._compare(block)
                continue
            if block.kind == "file":
                self._write(block)
                continue
            if block.kind == "not run" or block.language not in {"python", "console"}:
                continue
            if block.kind not in {"setup", "check"}:
                self._nothing_unshown()
            if block.language == "console":
                self._commands(block)
            else:
                self._python(block)
        self._nothing_unshown()

    def _write(self, block: Block) -> None:
        """Write a file, or change it as a diff says."""
        file = self._folder / block.argument
        if block.language != "diff":
            file.write_text(block.text, encoding="utf-8")
            return
        text = file.read_text(encoding="utf-8")
        for hunk in block.text.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] or line for line in lines if line[0] != "+")
            new = "".join(line[1:] or line for line in lines if line[0] != "-")
            if text.count(old) != 1:
                places = f"{block.argument} has {text.count(old)} places for"
                message = f"{block.where}: {places}\n{hunk}"
                raise PageError(message)
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")

    def _nothing_unshown(self) -> None:
        printed = self._taken()
        if printed and self._printed_by is not None:
            message = f"{self._printed_by.where}: printed, but not shown:\n{printed}"
            raise PageError(message)

    def _taken(self) -> str:
        """Give what was printed since the last time."""
        printed = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return printed

    def _python(self, block: Block) -> None:
        staged = block.kind in {"setup", "check"}
        # The lines before it are left empty, so that a traceback names the page's own line.
        code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
        try:
            exec(code, self._stage if staged else self._namespace)  # noqa: S102 - the documentation's own code, which is what is tested here
        except BaseException as error:
            if block.kind != "raises" or type(error).__name__ != block.argument:
                raise
            self._out.write(traceback.format_exception_only(error)[-1])
        else:
            if block.kind == "raises":
                message = f"{block.where}: did not raise {block.argument}"
                raise PageError(message)
        if not staged:
            self._printed_by = block

    def _commands(self, block: Block) -> None:
        """Run each line that begins with `$`; what stands below it is its output."""
        for part in f"\n{block.text}".split("\n$ ")[1:]:
            command, _, shown = part.partition("\n")
            done = subprocess.run(
                [*PROGRAM, *shlex.split(command)],
                cwd=self._folder,
                # A file that a page writes anew within a second looks unchanged to the cache.
                env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                check=False,
                text=True,
                timeout=50,
            )
            if done.returncode:
                told = f"{done.stdout}{done.stderr}"
                message = f"{block.where}: {command} gave {done.returncode}:\n{told}"
                raise PageError(message)
            _same(block, shown, done.stdout)

    def _compare(self, block: Block) -> None:
        _same(block, block.text, self._taken())


def _same(block: Block, shown: str, printed: str) -> None:
    shown, printed = (f"{text.rstrip()}\n" for text in (shown, printed))
    if not doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS):
        message = f"{block.where}: the page shows\n{shown}but this was printed:\n{printed}"
        raise PageError(message)


def run_page(page: str, text: str | None = None) -> None:
    """Run a page (or this text in its stead).

    Raises:
        PageError: it did not do as it says.
    """
    blocks = blocks_of(page, text)
    out = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as name,
        Hosts(Path(name)) as hosts,
        contextlib.chdir(name),
        contextlib.redirect_stdout(out),
    ):
        sys.path.insert(0, name)
        try:
            Page(Path(name), hosts, out).run(blocks)
        finally:
            sys.path.remove(name)


def run_program(command: list[str]) -> None:
    """Be the program that a page's command line starts: `python FILE`, `pytest` or ours."""
    resolve_as_told()
    name, *arguments = command
    sys.path[0] = str(Path.cwd())
    if name == "python":
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
    elif name == "pytest":
        # None is needed, and each takes its time.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        sys.argv = ["pytest", "-p", "no:cacheprovider", "--rootdir=.", *arguments]
        runpy.run_module("pytest", run_name="__main__")
    elif name == "sleepwalker":
        sys.argv = command
        sleepwalker.cli.main()
    else:
        message = f"the documentation runs python, pytest and sleepwalker, not {name}"
        raise PageError(message)


def run_strictly(page: str) -> None:
    """Run a page where warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_page(page)


def run_each() -> None:
    """Run pages, each in a process of its own that need not import the library anew.

    A line of standard input is a page's name and environment, a line of output its exit code and
    what it wrote to standard error. Both are JSON.
    """
    importlib.import_module("sleepwalker")
    for line in sys.stdin:
        page, environ = json.loads(line)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as told:
            pid = os.fork()
            if pid == 0:
                os.dup2(told.fileno(), sys.stderr.fileno())
                os.environ.clear()
                os.environ.update(environ)
                run_strictly(page)
                # This process ends as the page's own would, finalizers and all.
                return
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            told.seek(0)
            print(json.dumps([status, told.read()]), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    if sys.argv[1] == "--program":
        run_program(sys.argv[2:])
    elif sys.argv[1] == "--each":
        run_each()
    else:
        run_strictly(sys.argv[1])
