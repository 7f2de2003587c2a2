"""Builds the environments of those who need one of their own, with the packages' own tools.

Rules:

1. It is done before the fixed environment of a run is entered: what a user has set for pip, an
   index or a proxy, is in theirs.
2. One that was built is kept, and built again when what it needs has changed.
3. What couldn't be built is told, never raised: the benchmarks go on without it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.apart.peers import PEERS

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER: Final = Path(__file__).parent.parent.parent / ".venv" / "apart"
"""Where they are kept: `make clean` removes it with everything else that was built."""
_PIP: Final = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
_READY: Final = "ready"
_WHY_NOT: Final = "why-not"


class Environments:
    """The environments in a folder, one for each requirement.

    :param folder: where they are, or are to be
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(self, names: Iterable[str]) -> None:
        """Build what these peers need and don't have yet."""
        missing = {PEERS[name].requirement for name in names if self.version(name) is None}
        for requirement in sorted(missing):
            self._build(requirement)

    def python(self, name: str) -> Path | None:
        """The Python of a peer's environment; `None` when there is none."""
        return None if self.version(name) is None else self._python(PEERS[name].requirement)

    def version(self, name: str) -> str | None:
        """The peer's version; `None` when it has no environment."""
        requirement = PEERS[name].requirement
        # The Python that it was made with may be gone.
        return self._state(requirement, _READY) if self._python(requirement).exists() else None

    def why_not(self, name: str) -> str:
        """Why there is none."""
        told = self._state(PEERS[name].requirement, _WHY_NOT)
        return told or "its environment was not built"

    def _build(self, requirement: str) -> None:
        folder = self._folder(requirement)
        shutil.rmtree(folder, ignore_errors=True)
        print(f"Installing {requirement} into an environment of its own ...", file=sys.stderr)
        for command in (
            (sys.executable, "-m", "venv", "--without-pip", str(folder)),
            (*_PIP, "--python", str(self._python(requirement)), "install", requirement),
        ):
            ran = subprocess.run(  # noqa: S603 - our own Python, and requirements that stand here
                command, capture_output=True, text=True, check=False
            )
            if ran.returncode:
                # pip warns before and behind, of folders that are nobody else's business.
                said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR: ")]
                why = f"{requirement} could not be installed"
                why += f" ({said[-1].removeprefix('ERROR: ')})" if said else ""
                folder.mkdir(parents=True, exist_ok=True)
                (folder / _WHY_NOT).write_text(why, encoding="utf-8")
                print(why, file=sys.stderr)
                return
        [version] = {
            found.version
            for peer in PEERS.values()
            if peer.requirement == requirement
            for site in folder.glob("lib/*/site-packages")
            for found in metadata.distributions(name=peer.distribution, path=[str(site)])
        }
        (folder / _READY).write_text(version, encoding="utf-8")

    def _folder(self, requirement: str) -> Path:
        # Another Python has environments of its own.
        python = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"
        return self.folder / python / requirement.replace("==", "-")

    def _python(self, requirement: str) -> Path:
        return self._folder(requirement) / "bin" / "python"

    def _state(self, requirement: str, what: str) -> str | None:
        file = self._folder(requirement) / what
        return file.read_text(encoding="utf-8") if file.is_file() else None
