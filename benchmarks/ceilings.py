"""What calls may count: as many as were counted when ``ceilings.json`` was written, and some slack.

Rules:

1. The file has what was measured, by the version of Python; the slack stands here alone.
2. Few are held to the very number. Slack is for what a new patch of Python or of a dependency adds,
   not for what we add.
3. Where Python or a dependency has another version than when the file was written, there is more
   slack, and that is said; a Python that the file doesn't know is held to the nearest that it does.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import environment
from benchmarks.counting import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE: Final = Path(__file__).with_name("ceilings.json")
SLACK: Final = 0.02
"""The part by which calls and bytes may be more."""
SLACK_ELSEWHERE: Final = 0.05
"""The same with other versions than the file was written with."""
BYTES: Final = 256
"""By which memory may be more, too: what a list has in reserve."""
_EXACT: Final = frozenset({"system", "kept", "cycles"})
_VERSIONS: Final = (
    "opentelemetry-sdk",
    "prometheus-client",
    "requests",
    "structlog",
    "urllib3",
)
"""The dependencies whose calls are among those that are counted."""

Table = dict[str, Counts]
"""The counts of each scenario, by its name."""


@dataclass(frozen=True)
class Ceilings:
    """What the file has for a Python.

    :ivar counts: what was measured
    :ivar others: versions that were others then, each with both
    """

    counts: Table
    others: tuple[str, ...] = ()

    @property
    def slack(self) -> float:
        """The part by which counts that have any may be more."""
        return SLACK_ELSEWHERE if self.others else SLACK

    def slack_of(self, name: str) -> float:
        """The same, for one of `Counts`."""
        return 0.0 if name in _EXACT else self.slack

    def limit(self, scenario: str, name: str) -> int | None:
        """How many there may be; `None` of a scenario that the file doesn't know."""
        if scenario not in self.counts:
            return None
        then: int = getattr(self.counts[scenario], name)
        return int(then * (1 + self.slack_of(name))) + BYTES * (name == "peak")


def read(file: Path = FILE) -> Ceilings:
    """What the file has for this Python, or the one nearest to it."""
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    here = _versions()
    nearest = min(written, key=lambda python: abs(_minor(python) - _minor(_python())))
    found = written[nearest]
    then = {"Python": nearest, **found["versions"]}
    others = tuple(
        f"{name} {then.get(name)} then, {version} here"
        for name, version in {"Python": _python(), **here}.items()
        if then.get(name) != version
    )
    return Ceilings({name: Counts(**each) for name, each in found["counts"].items()}, others)


def write(table: Mapping[str, Counts], file: Path = FILE) -> None:
    """Put what was measured into the file, for this Python; the others' stay."""
    written = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    written[_python()] = {
        "versions": _versions(),
        "counts": {name: counts._asdict() for name, counts in table.items()},
    }
    text = json.dumps(dict(sorted(written.items(), key=lambda item: _minor(item[0]))), indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def _python() -> str:
    """As much of Python's version as counts hang on."""
    return ".".join(platform.python_version_tuple()[:2])


def _minor(python: str) -> int:
    return int(python.partition(".")[2])


def _versions() -> dict[str, str]:
    versions = environment.versions()
    return {name: versions[name] for name in _VERSIONS}
