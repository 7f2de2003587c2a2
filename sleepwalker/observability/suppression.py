"""Manners among instrumentations: who is silent about whose requests.

The context key ``suppress_instrumentation`` says that what happens now is not to be told.

Rules:

1. We set it around the wire alone, so that whoever also instruments `requests` or `urllib3` has one
   CLIENT span an attempt. It is lifted while code of the user's runs in there.
2. Where somebody else has set it (OpenTelemetry's SDK does around its exporters), we tell nothing
   of our own: a span for each exported batch of spans would never end.
3. A call of ours within the wire of another call of ours is told: that is not what we set it for.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import context

KEY = "suppress_instrumentation"
"""The key, as every instrumentation reads it. OpenTelemetry's own setters use a name made from it,
with a hyphen and a number behind."""

_OURS = "by sleepwalker"
"""What we set it to: true, and not what others set."""


def by_others() -> bool:
    """Whether somebody else wants nothing to be told now."""
    for key, value in context.get_current().items():
        # By the key first: other values may be anything, and not even know whether they are true.
        if (
            key.startswith(KEY)
            and key[len(KEY) :][:1] in {"", "-"}
            and value
            and value is not _OURS
        ):
            return True
    return False


def begin() -> Any:
    """Let other instrumentations be silent from here on; the token goes to `end`."""
    return context.attach(context.set_value(KEY, _OURS))


def lift() -> Any:
    """Let them speak, within `begin`; the token goes to `end`."""
    return context.attach(context.set_value(KEY, None))


def end(token: Any) -> None:
    """Undo `begin` or `lift`."""
    context.detach(token)
