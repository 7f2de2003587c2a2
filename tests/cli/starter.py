"""Starts the `sleepwalker` command in real processes that need not import it anew.

`python -m tests.cli.starter FD` waits at a socket for a command's arguments and environment, with
its standard streams, forks, and tells the process's id, and later how it ended.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import socket
import sys
import termios
from contextlib import suppress

MODULES = ("_app", "get", "walk", "_trace")
MOST = 1 << 16


def be_the_command(arguments: list[str], environ: dict[str, str], streams: list[int]) -> None:
    """Be the command, in a session of its own."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        mode = "w" if number else "r"
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as at the start of a process
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["sleepwalker", *arguments]
    importlib.import_module("sleepwalker.cli").main()


def serve(at: socket.socket) -> None:
    """Start one command after another."""
    for module in MODULES:
        importlib.import_module(f"sleepwalker.cli.{module}")
    while True:
        message, streams, _flags, _address = socket.recv_fds(at, MOST, 3)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            at.close()
            arguments, environ = json.loads(message)
            be_the_command(arguments, environ, streams)
            return
        for stream in streams:
            os.close(stream)
        with suppress(BrokenPipeError):
            at.send(json.dumps(pid).encode())
            at.send(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
