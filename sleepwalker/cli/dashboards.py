"""`sleepwalker dashboards export`: write what an operator loads into a folder.

Rules:

1. Nothing is written where one file could not be, as far as that can be told before.
2. A file that is there and differs may be its owner's work: it is kept, unless asked for.
3. Needs nothing but the standard library.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

SHIPPED = ("grafana", "prometheus", "provisioning", "compose.yaml", "tempo.yaml")
"""What is shipped of `dashboards/`: folders with all that is in them, and files."""


class ExportError(Exception):
    """The folder can't be used; nothing was written."""


class DifferentError(ExportError):
    """Files are there that differ, and were not to be overwritten; nothing was written.

    :ivar paths: which
    """

    def __init__(self, paths: list[Path]) -> None:
        super().__init__(f"{counted(len(paths))} there already and different")
        self.paths = paths


class WriteError(Exception):
    """A file could not be written.

    :ivar written: those that were
    """

    def __init__(self, path: Path, error: OSError, written: list[Path]) -> None:
        super().__init__(f"{path} can't be written: {error.strerror}")
        self.written = written


class Exported(NamedTuple):
    """What was done.

    :ivar written: files that were not there, or are overwritten
    :ivar unchanged: files that were there already, just so
    """

    written: list[Path]
    unchanged: list[Path]


def counted(files: int) -> str:
    """How many files, in words."""
    return "1 file" if files == 1 else f"{files} files"


def shipped() -> dict[str, bytes]:
    """Give what is shipped: each file by its path, with slashes."""
    root = _root()
    return {path: text for name in SHIPPED for path, text in _files_of(root / name, name)}


def export(folder: Path, *, force: bool = False) -> Exported:
    """Write what is shipped.

    :param folder: made if it isn't there
    :param force: whether files that differ are overwritten
    :raises DifferentError: for files that differ, when not forced
    :raises ExportError: when the folder is a file, can't be read, or has something else where files
        or folders must be
    :raises WriteError: when a file can't be written
    """
    contents = {folder / path: content for path, content in shipped().items()}
    found = {path: _content_of(path) for path in contents}
    unchanged = [path for path, content in contents.items() if found[path] == content]
    to_write = [path for path in contents if path not in unchanged]
    different = [path for path in to_write if found[path] is not None]
    if different and not force:
        raise DifferentError(different)
    written: list[Path] = []
    for path in to_write:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents[path])
        except OSError as error:
            raise WriteError(path, error, written) from error
        written.append(path)
    return Exported(written, unchanged)


def _root() -> Traversable:
    """Where it is: packed in the wheel, or, in a checkout, in its folder."""
    packed = importlib.resources.files("sleepwalker.cli") / "_dashboards"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "dashboards"


def _files_of(entry: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    if entry.is_file():
        yield path, entry.read_bytes()
        return
    for inner in sorted(entry.iterdir(), key=lambda inner: inner.name):
        yield from _files_of(inner, f"{path}/{inner.name}")


def _content_of(path: Path) -> bytes | None:
    """What is in a file, or `None` where there is none and one can be made."""
    try:
        for above in path.parents:
            if above.exists() and not above.is_dir():
                msg = f"{above} is not a folder"
                raise ExportError(msg)
        if path.exists() and not path.is_file():
            msg = f"{path} is not a file"
            raise ExportError(msg)
        return path.read_bytes() if path.exists() else None
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror}"
        raise ExportError(msg) from error
