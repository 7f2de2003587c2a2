"""The demo, run for real as a process of its own: what it prints, serves, proves, and how it ends.

Rule: the process is told apart from its promises: what it says of itself is checked against what
can be seen from outside (its exit code, `/metrics`, the bytes it printed).
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROMISES = 11
FULL = Path("/dev/full")
NUMBERS = re.compile(r"^ *\d+\.\d s  [\d,]+ calls \(", re.MULTILINE)
"""A plain line with numbers."""
BUSY = re.compile(r"[1-9]\d+ reviews")
"""A plain line once every host has had its share."""

RUN = "from sleepwalker.cli import main; main()"

TELL_SECRETS = f"""
import json, os
from sleepwalker.cli.demo import planted
class Telling(planted.Planted):
    def new_pair(self, owner):
        pair = super().new_pair(owner)
        with open(os.environ["SECRETS"], "w") as file:
            json.dump(self.needles, file)
        return pair
planted.Planted = Telling
{RUN}
"""
"""The demo, which also writes down what its secrets can be told by."""

LEAK_A_HEADER = f"""
from sleepwalker.cli.demo import client
class Leaking(client.HostHook):
    def connect(self, host, auth):
        conn = super().connect(host, auth)
        if conn is not None:
            conn.add_headers({{"X-Others": " ".join(self._readers.values())}})
        return conn
client.HostHook = Leaking
{RUN}
"""
"""The demo with a client that tells each host the others' header."""

INTERRUPTED_IMPORTS = f"""
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "sleepwalker.cli.demo.run":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
{RUN}
"""
"""The demo with a Ctrl-C before it has begun."""

TAKE_AWAY = """
import sys
class Away:
    def find_spec(self, name, path=None, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Away())
{run}
"""
"""The demo where a module is not installed."""

WARNINGS = ["-W", "always::ResourceWarning"]
"""What is told of files and sockets that are left open."""
if sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2):
    # gh-113280: there `ssl` itself leaves a socket open whose peer is gone before the handshake.
    WARNINGS += ["-W", "ignore:unclosed <ssl.SSLSocket:ResourceWarning"]


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str


@contextmanager
def started(
    *options: str,
    code: str = RUN,
    out: int | IO[bytes] = subprocess.PIPE,
    environ: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start the demo; end it at the latest with the block."""
    process = subprocess.Popen(
        [sys.executable, *WARNINGS, "-c", code, "demo", *options],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "", "LINES": "", **(environ or {})},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ran(*options: str, code: str = RUN) -> Ended:
    """Run the demo to its end."""
    with started(*options, code=code) as process:
        out, err = process.communicate(timeout=50)
        return Ended(process.returncode, out, err)


def read_until(process: subprocess.Popen[str], pattern: re.Pattern[str]) -> str:
    """Read lines until one matches; all that was read."""
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if pattern.search(line):
            return read
    pytest.fail(f"ended before {pattern.pattern!r}: {read}")


def kept(out: str) -> int:
    """How many promises have a tick."""
    return len(re.findall(r"^✓ ", out, re.MULTILINE))


def test_without_a_terminal_it_prints_plain_lines_and_proves_every_promise(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    with started("--seconds", "4", code=TELL_SECRETS, environ={"SECRETS": str(secrets)}) as process:
        out = read_until(process, NUMBERS)
        [url] = re.findall(r"^  metrics  (http://127\.0\.0\.1:\d+/metrics)$", out, re.MULTILINE)
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - loopback, plain http
            metrics = response.read().decode()
        rest, err = process.communicate(timeout=50)
    out += rest
    needles = json.loads(secrets.read_text(encoding="utf-8"))

    assert (process.returncode, err) == (0, "")
    assert kept(out) == PROMISES
    assert f"All {PROMISES} promises were kept" in out
    assert "\x1b" not in out
    assert len(NUMBERS.findall(out)) >= 4
    assert re.findall(r"s  (\w+): restarts$", out, re.MULTILINE) == ["books", "authors", "reviews"]
    for reason in ("timeout", "connect", "protocol", "throttled", "auth"):
        assert re.search(rf"\b{reason} [1-9]", out), reason
    assert re.search(r"^traversal .*ms", out, re.MULTILINE)
    assert re.search(r"ReadyHook\s+failed\s+\d+,\s+connected\s+1\b", out)
    assert re.search(r"^sleepwalker_attempts_total\{.*\} \d", metrics, re.MULTILINE)
    assert len(needles) == 11
    assert [needle for needle in needles if needle in out + metrics] == []


def test_without_faults_nothing_is_retried_and_every_promise_is_kept() -> None:
    end = ran("--seconds", "1", "--faults", "off", "--threads", "3", "--seed", "5")

    assert (end.code, end.err) == (0, "")
    assert kept(end.out) == PROMISES
    assert "3 threads, faults off, seed 5" in end.out
    assert "retries: none" in end.out
    assert re.search(r"([\d,]+) = \1 read \+ 0 unread \+ 0 never sent", end.out)
    assert "DirectoryHook" in end.out


def test_ctrl_c_ends_it_early_with_the_summary() -> None:
    with started("--seconds", "3600") as process:
        read_until(process, BUSY)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (130, "")
    assert kept(out) == PROMISES
    assert "cut short by SIGINT" in out


def test_being_terminated_ends_it_early_with_the_summary() -> None:
    with started("--seconds", "3600", "--faults", "off") as process:
        read_until(process, BUSY)
        process.terminate()
        out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (143, "")
    assert kept(out) == PROMISES
    assert "cut short by SIGTERM" in out


def test_being_hung_up_on_ends_it_early_with_the_summary(tmp_path: Path) -> None:
    environ = {"TMPDIR": str(tmp_path)}
    with started("--seconds", "3600", "--faults", "off", environ=environ) as process:
        read_until(process, BUSY)
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (129, "")
    assert kept(out) == PROMISES
    assert "cut short by SIGHUP" in out
    assert list(tmp_path.iterdir()) == []


def test_with_nohup_being_hung_up_on_changes_nothing() -> None:
    nohup = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); {RUN}"
    with started("--seconds", "2", "--faults", "off", code=nohup) as process:
        read_until(process, NUMBERS)
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=50)

    assert (process.returncode, err) == (0, "")
    assert f"All {PROMISES} promises were kept" in out


def test_ctrl_c_before_it_has_begun_ends_it_without_a_word() -> None:
    end = ran(code=INTERRUPTED_IMPORTS)

    assert end == (-signal.SIGINT, "", "")


def test_a_second_ctrl_c_ends_it_at_once_and_leaves_no_files(tmp_path: Path) -> None:
    with started("--seconds", "3600", environ={"TMPDIR": str(tmp_path)}) as process:
        read_until(process, NUMBERS)
        files = list(tmp_path.glob("sleepwalker-demo-*/*"))
        # Stopped meanwhile, it finds both signals when it goes on: one of each kind is kept.
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=10)

    assert process.returncode in {130, 143}
    assert err == ""
    assert "promises" not in out
    assert [path.name for path in files] == ["authority.pem"]
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_draws_in_place_and_then_proves_every_promise() -> None:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    shown = bytearray()

    def read() -> None:
        # A terminal whose last user has gone gives an error (Linux) or nothing (others).
        try:
            while data := os.read(controller, 65536):
                shown.extend(data)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()
    with (
        os.fdopen(terminal, "wb") as out,
        started("--seconds", "2", out=out, environ={"TERM": "xterm-256color"}) as process,
    ):
        _, err = process.communicate(timeout=50)
    reader.join(10)
    os.close(controller)
    text = shown.decode()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")

    assert (process.returncode, err) == (0, "")
    assert "\x1b[?25l" in text  # the cursor goes
    assert text.count("\x1b[1A") > 30  # it is drawn again and again
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # and is back in the end
    assert "in flight" in plain
    assert "request.retry_scheduled" in plain
    assert "https://127.0.0.3:" in plain
    assert kept(plain) == PROMISES
    assert plain.rstrip().splitlines()[-1].startswith(f"All {PROMISES} promises were kept")
    assert max(len(line) for line in plain.splitlines()) <= 100


def test_it_ends_when_its_terminal_has_gone_and_leaves_no_files(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    environ = {"TERM": "xterm-256color", "TMPDIR": str(tmp_path)}
    with (
        os.fdopen(terminal, "wb") as out,
        started("--seconds", "3600", out=out, environ=environ) as process,
    ):
        shown = os.read(controller, 1)
        out.close()
        os.close(controller)
        _, err = process.communicate(timeout=50)

    assert shown == b"\x1b"
    assert process.returncode == 129
    assert err == "sleepwalker: the output can't be written: Input/output error\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_an_output_that_can_not_be_written_is_told_in_one_line() -> None:
    with FULL.open("wb") as full, started("--seconds", "3600", out=full) as process:
        _, err = process.communicate(timeout=50)

    assert process.returncode == 74
    assert err == "sleepwalker: the output can't be written: No space left on device\n"


def test_a_client_that_breaks_a_promise_is_found_out() -> None:
    end = ran("--seconds", "1", "--faults", "off", code=LEAK_A_HEADER)

    assert (end.code, end.err) == (1, "")
    assert re.findall(r"^✗ (.+?)  +\d", end.out, re.MULTILINE) == [
        "No custom header reached the wrong host"
    ]
    assert kept(end.out) == PROMISES - 1
    assert "1 promise was BROKEN" in end.out


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        end = ran("--port", str(port))

    assert (end.code, end.out) == (2, "")
    assert re.fullmatch(rf"sleepwalker: port {port} for /metrics can't be had: .+\n", end.err)


def test_it_ends_quietly_when_nobody_reads_its_output() -> None:
    with started("--seconds", "3600", "--faults", "off") as process:
        read_until(process, re.compile("metrics"))
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=20)
        assert process.stderr is not None
        err = process.stderr.read()

    assert (process.returncode, err) == (1, "")


def test_without_a_standard_output_it_proves_the_same() -> None:
    end = ran("--seconds", "1", "--faults", "off", code=f"import sys; sys.stdout = None; {RUN}")

    assert end == (0, "", "")


def test_the_help_tells_every_exit_code_and_what_it_means() -> None:
    end = ran("--help")
    text = " ".join(end.out.split())

    assert (end.code, end.err) == (0, "")
    for told in (
        "0 if every promise was kept",
        "1 if one was broken, or not tried",
        "130 if none was broken",
        "143 after SIGTERM",
        "129 after SIGHUP",
        "2 for options that can't be used",
        "74 if the output can't be written",
    ):
        assert told in text


def test_an_option_that_can_not_be_used_is_an_error_that_names_it() -> None:
    end = ran("--faults", "maybe")

    assert end.code == 2
    assert "--faults" in end.err
    assert "Traceback" not in end.err


@pytest.mark.parametrize("missing", ["typer", "rich", "trustme", "opentelemetry.sdk"])
def test_without_an_extra_it_says_in_one_line_what_to_install(missing: str) -> None:
    end = ran(code=TAKE_AWAY.format(missing=missing, run=RUN))

    assert (end.code, end.out) == (1, "")
    assert end.err == (
        f"sleepwalker: {missing} is not installed; in a checkout, run: pip install '.[cli]'\n"
    )
