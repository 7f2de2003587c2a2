"""The fixed environment of a run, and what can be said of the machine without saying whose it is.

Rules:

1. A run gets exactly `VARIABLES` environment variables, none a proxy's. `requests` reads them all
   at every request, so that a shell with many would measure the shell.
2. Client and server share one CPU unless told otherwise. A request that wakes its server on another
   CPU pays for that, more in some rounds than in others, as the scheduler likes; between machines
   nobody pays it.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import sleepwalker

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
"""Where a program is started that is a module of the benchmarks."""
VARIABLES = 36
"""How many environment variables there are."""

_MARK = "BENCHMARKS_ENVIRONMENT"
# What decides which Python runs, and which code it finds.
_KEPT = ("DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR")
_PACKAGES = (
    "requests",
    "urllib3",
    "httpx",
    "aiohttp",
    "tenacity",
    "structlog",
    "prometheus-client",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-requests",
)


def fixed(environ: Mapping[str, str]) -> dict[str, str]:
    """Make the environment of a run from the caller's."""
    made = {name: environ[name] for name in _KEPT if name in environ}
    made |= {
        _MARK: "fixed",
        "HOME": "/nonexistent",  # no netrc file of the user's
        "LANG": "C.UTF-8",
        "PYTHONCOERCECLOCALE": "0",  # or Python adds a variable of its own
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
    }
    # The rest is what services are given: settings.
    for number in range(1, VARIABLES - len(made) + 1):
        made[f"SERVICE_SETTING_{number:02}"] = f"value {number}"
    return made


def entered() -> bool:
    """Whether this program is in the fixed environment."""
    return os.environ.get(_MARK) == "fixed"


def enter() -> None:
    """Start this program anew in the fixed environment, unless it is in it."""
    if not entered():
        sys.stdout.flush()
        # The same program with the same arguments: nobody else's input decides what is run.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], fixed(os.environ))  # noqa: S606 - see above


def keep_to_one_cpu() -> None:
    """Use one CPU from here on, child processes included, where the system lets us say which."""
    if hasattr(os, "sched_setaffinity"):
        # The last: the first is where most systems handle their interrupts.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def faults(environ: Mapping[str, str]) -> list[str]:
    """Say what is wrong with the environment of a run."""
    found = []
    if len(environ) != VARIABLES:
        found.append(f"{len(environ)} environment variables instead of {VARIABLES}")
    proxies = sorted(name for name in environ if name.lower().endswith("_proxy"))
    if proxies:
        found.append(f"variables of proxies: {', '.join(proxies)}")
    return found


def machine() -> dict[str, str | int]:
    """Describe the machine: what a reader needs to compare, nothing that tells whose it is."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count() or 1,
        "cpus used": _cpus(),
        "environment variables": len(os.environ),
    }


def versions() -> dict[str, str]:
    """Give the versions of everything that is compared."""
    installed = {name: metadata.version(name) for name in _PACKAGES}
    return {"sleepwalker": sleepwalker.__version__, **installed}


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"
