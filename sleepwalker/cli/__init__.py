"""The `sleepwalker` command.

- `_app`: options and help; each command's work is in a package or module of its own
- `_extras`: what to say when an extra is missing
- `demo`: `sleepwalker demo`

Importing this needs nothing but the library; the extras are imported when the command runs.
"""

from __future__ import annotations

from sleepwalker.cli._extras import needed

__all__ = ["main"]


def main() -> None:
    """Run the `sleepwalker` command with the process's arguments."""
    with needed("rich", "typer"):
        from sleepwalker.cli._app import app  # noqa: PLC0415 - extras
    app()
