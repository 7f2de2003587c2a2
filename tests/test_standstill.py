"""A process that was stopped knows for how long, so that its tests can leave that out."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Final

import pytest

STOPPED: Final = 0.3  # seconds
PROGRAM: Final = """
import time
from tests.standstill import Standstill

begun = time.monotonic()
with Standstill() as machine:
    print(flush=True)
    input()
print(machine.longest, machine.total, time.monotonic() - begun)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process")
def test_a_process_that_was_stopped_twice_knows_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(2):
            process.send_signal(signal.SIGSTOP)
            time.sleep(STOPPED)
            process.send_signal(signal.SIGCONT)
            time.sleep(STOPPED / 10)
        out, _ = process.communicate("\n", timeout=10)
    longest, total, elapsed = map(float, out.split())
    assert longest >= STOPPED * 0.9
    assert total >= 2 * STOPPED * 0.9
    assert longest <= total <= elapsed
