"""What a process has: memory that is resident, objects, and files that are open."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
_STATM: Final = Path("/proc/self/statm")
_FILES: Final = Path("/dev/fd")


def resident() -> int:
    """Bytes of memory that are resident; the most that ever were, where no system tells more."""
    with suppress(OSError):
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak()


def peak() -> int:
    """The most bytes of memory that this process has had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return most if sys.platform == "darwin" else most * 1024


def open_files() -> int:
    """Files and sockets that are open."""
    # Less the one that lists them.
    return sum(1 for _ in _FILES.iterdir()) - 1


def allow_open_files(most: int = 10_000) -> None:
    """Have this process, and those that it starts, open as many files, if the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def blocks() -> int:
    """Blocks of memory that objects have."""
    return sys.getallocatedblocks()
