"""What Sleepwalker tells the world: events, metrics, spans, logs, all without secrets.

Knows nothing of connections: they hand events to a `Telemetry`, which hands them to instruments.

- `names`: every public name, once
- `events`: what happened, as values; the `Instrument` protocol
- `labels`: which pools have metric series of their own
- `metrics`, `logs`, `tracing`: the instruments
- `redaction`: taking secrets out
- `telemetry`: all of it behind one door
"""

from sleepwalker.observability import events, names
from sleepwalker.observability.events import Instrument, Pool
from sleepwalker.observability.redaction import Redaction

__all__ = ["Instrument", "Pool", "Redaction", "events", "names"]
