"""The `sleepwalker` command.

- `_app`: options and help; each command's work is in a package or module of its own
- `_extras`: what to say when an extra is missing
- `_output`, `_streams`: standard output and error, and what becomes of output that can't be written
- `demo`: `sleepwalker demo`
- `get`, `walk`: `sleepwalker get` and `sleepwalker walk`
    - `_asking`: their options and help; `_commands`: how they run and end
    - `_services`, `_credentials`: what their options make; `_failures`: exit codes
    - `_links`, `_record`, `_interrupts`, `_progress`: what `walk` writes, reads and shows
    - `_logs`, `_text`: what else is shown
- `_trace`, `_tree`, `_drawing`: a trace as a tree with timings
- `dashboards`: `sleepwalker dashboards export`

Importing this needs nothing but the library; the extras are imported when the command runs.
"""

from __future__ import annotations

import signal

from sleepwalker.cli._extras import needed

__all__ = ["main"]


def main() -> None:
    """Run the `sleepwalker` command with the process's arguments."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until a command has something to bring to its end, Ctrl-C just ends the process.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    with needed("rich", "typer"):
        from sleepwalker.cli._app import app  # noqa: PLC0415 - extras
    app()
