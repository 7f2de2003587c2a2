"""The spans of one command, kept in the process, to be drawn when it has ended."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from sleepwalker.cli import _tree
from sleepwalker.cli._drawing import Signs, table
from sleepwalker.cli._text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console


class Trace(SpanExporter):
    """Keeps spans.

    :ivar provider: what to pass as `tracer_provider` to a manager
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[ReadableSpan] = []
        self.provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take spans that have ended."""
        with self._lock:
            self._spans += spans
        return SpanExportResult.SUCCESS

    @contextmanager
    def root(self, name: str) -> Iterator[None]:
        """The span above all others."""
        with self.provider.get_tracer(__name__).start_as_current_span(name, record_exception=False):
            yield

    def draw(self, console: Console) -> None:
        """Draw the tree with timings."""
        signs = Signs.for_encoding(console.encoding)
        rows = [
            row._replace(detail=one_line(f"{row.detail} {signs.failed if row.failed else ''}"))
            for row in _tree.rows(self._spans)
        ]
        if not rows:
            # The one thing that can silence a provider of one's own.
            console.print("There is no trace: OTEL_SDK_DISABLED is set.")
            return
        console.print(table(rows, signs, console.width, fold=True))
