"""Write every generated file below `dashboards/`, or tell which are not as they would be written.

    python -m dashboards.source [--check]

Exit code: 0; with `--check`, 1 if a file differs, is missing or isn't generated any more.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dashboards.source import forms, rules

FOLDER = Path(__file__).parent.parent


def files() -> dict[str, str]:
    """Give the text of each generated file, by its path below `dashboards/`."""
    return forms.files() | rules.files()


def differences(folder: Path) -> list[str]:
    """Say what in a folder is not as it would be written."""
    made = files()
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        # Whole folders are generated; the others have files of their own too.
        if path.is_file() and path.is_relative_to(folder / "grafana")
    }
    missing = [f"{path} is missing" for path in made if not (folder / path).is_file()]
    stale = [
        f"{path} differs"
        for path, text in made.items()
        if (folder / path).is_file() and (folder / path).read_text(encoding="utf-8") != text
    ]
    left = [f"{path} is not generated any more" for path in found - made.keys()]
    return sorted(missing + stale + left)


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.source", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    if parser.parse_args(arguments).check:
        found = differences(folder)
        for difference in found:
            print(f"dashboards/{difference}")
        return 1 if found else 0
    for path, text in files().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"dashboards/{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
