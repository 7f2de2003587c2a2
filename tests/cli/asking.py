"""How `get` and `walk` are run here: in this process, in one of their own, or at a terminal.

run("get", url)                      in this process, with no terminal: code, out, err
with commands.started("walk", ...)   a real process: its pid, its streams, how it ended
Terminal()                           one that a process is started at, and what it showed
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self
from unittest.mock import patch

import pytest
import typer
import typer.main

from sleepwalker.cli._app import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
"""Seconds until something that doesn't come is a failed test."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def run(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """Run a command here."""
    kept = [io.BytesIO(), io.BytesIO()]
    # Named, since they close what they write to when they go.
    out, err = (io.TextIOWrapper(each, encoding="utf-8", write_through=True) for each in kept)
    with (
        patch.dict(os.environ, environ or {}),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        _command().main(list(arguments), prog_name="sleepwalker")
    said = (stream.getvalue().decode(errors="surrogateescape") for stream in kept)
    return Ended(int(ended.value.code or 0), *said)


@cache
def _command() -> Any:
    """The command, made once, which takes longer than most of what is tested."""
    return typer.main.get_command(app)


def lines_of(out: str) -> list[dict[str, Any]]:
    """The records in an output of JSON lines."""
    return [json.loads(line) for line in out.splitlines()]


class Process:
    """A command in a process of its own."""

    def __init__(self, pid: int, at: socket.socket) -> None:
        self.pid = pid
        self._at = at
        self._code: int | None = None

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def insist(self, ask: Callable[[], None]) -> int:
        """Ask it to end, and wait for that; its exit code.

        A signal that comes just before Python waits for a lock is only seen when another one comes.
        """
        for _ in range(4):
            ask()
            if select.select([self._at], [], [], PATIENCE / 4)[0]:
                break
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit code, negative for a signal."""
        if self._code is None:
            self._code = json.loads(self._at.recv(1 << 16))
        return self._code


class Commands:
    """Starts commands; one at a time."""

    def __init__(self) -> None:
        self._at, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._at.settimeout(PATIENCE)
        self._starter = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", "tests.cli.starter"),
                str(theirs.fileno()),
            ],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def close(self) -> None:
        """Start no more."""
        self._at.close()
        self._starter.wait(PATIENCE)

    @contextmanager
    def started(
        self,
        *arguments: str,
        out: IO[bytes] | int = subprocess.DEVNULL,
        err: IO[bytes] | int = subprocess.DEVNULL,
        terminal: Terminal | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Iterator[Process]:
        """Start one; it is ended with the block.

        :param out: a file, or a descriptor
        :param terminal: what all streams are that aren't given
        """
        with open(os.devnull, "r+b", buffering=0) as nowhere:  # noqa: PTH123 - a device
            rest = nowhere.fileno() if terminal is None else terminal.fd
            streams = [
                rest,
                *(rest if each == subprocess.DEVNULL else _number(each) for each in (out, err)),
            ]
            message = json.dumps([arguments, {**os.environ, **(environ or {})}])
            socket.send_fds(self._at, [message.encode()], streams)
        process = Process(json.loads(self._at.recv(1 << 16)), self._at)
        try:
            yield process
        finally:
            if process._code is None:  # noqa: SLF001 - of this module
                with suppress(ProcessLookupError):
                    process.send(9)
                process.wait()


def _number(stream: IO[bytes] | int) -> int:
    return stream if isinstance(stream, int) else stream.fileno()


class Terminal:
    """A terminal, 100 columns wide; a context manager.

    :ivar fd: what a process is started at
    """

    def __init__(self) -> None:
        self._controller, self.fd = pty.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._shown = bytearray()
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        os.close(self._controller)

    def end(self) -> None:
        """Have all read that was shown."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self._reader.join(PATIENCE)

    def _read(self) -> None:
        # A terminal whose last user has gone gives an error (Linux) or nothing (others).
        with suppress(OSError):
            while data := os.read(self._controller, 65536):
                with self._changed:
                    self._shown += data
                    self._changed.notify_all()

    @property
    def raw(self) -> str:
        """All that was shown."""
        with self._changed:
            return self._shown.decode()

    @property
    def text(self) -> str:
        """The same without colours and the like."""
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def wait_for(self, what: Callable[[str], bool]) -> None:
        """Wait until what was shown is as it should be."""
        with self._changed:
            if not self._changed.wait_for(lambda: what(self.text), PATIENCE):
                raise AssertionError(self.text)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._controller, text.encode())
