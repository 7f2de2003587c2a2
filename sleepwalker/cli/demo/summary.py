"""What is shown at the end: one trace, what hosts and client counted, and the promises.

Rules:

1. The verdict comes last: it is what is on the screen when all is over.
2. It fits 100 columns, with colours and without. In fewer, text is folded and bars go; no sign and
   no number does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from sleepwalker.cli import _tree
from sleepwalker.cli._drawing import WIDE, Signs, table
from sleepwalker.cli.demo import ratings
from sleepwalker.cli.demo.faults import Fault
from sleepwalker.cli.demo.hosts import RESTART
from sleepwalker.cli.demo.scene import counted
from sleepwalker.cli.demo.timetable import REVOKE
from sleepwalker.cli.demo.workload import TITLE, TRAVERSAL
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from rich.console import RenderableType

    from sleepwalker.cli.demo.metrics import Metrics
    from sleepwalker.cli.demo.otlp import Exported
    from sleepwalker.cli.demo.proof import Evidence, Promise
    from sleepwalker.cli.demo.ratings import Aside
    from sleepwalker.cli.demo.tours import Toured


class Marks(NamedTuple):
    """The signs in the summary."""

    kept: str
    broken: str
    untried: str
    bar: str
    lines: str
    """What the tree's lines are drawn with."""

    @classmethod
    def for_encoding(cls, encoding: str) -> Marks:
        """Signs that this encoding has."""
        fine = cls("✓", "✗", "?", "━", _tree.LINES)
        try:
            "".join(fine).encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return cls("ok", "NO", "?", "=", "|-`|")
        return fine


def trace(
    spans: Sequence[ReadableSpan], urls: Mapping[str, str], marks: Marks, width: int
) -> RenderableType:
    """One traversal as a tree, with timings; and with bars, if the output is wide enough."""
    rows = _tree.rows(spans, {int(url.rpartition(":")[2]): name for name, url in urls.items()})
    if not rows:
        return Group(_title("No traversal was finished"))
    told = _title_of(spans)
    named = [row._replace(detail=told) if row.name == TRAVERSAL else row for row in rows]
    signs = Signs(marks.lines, marks.bar, marks.broken)
    return Group(
        _title(f"One traversal of many, as its trace tells it ({len(rows)} spans)"),
        table(named, signs, width),
    )


def _title_of(spans: Sequence[ReadableSpan]) -> str:
    for span in spans:
        if span.attributes and TITLE in span.attributes:
            return str(span.attributes[TITLE]) + ": book, author, reviews, a new review"
    return ""


def counts(evidence: Evidence) -> RenderableType:
    """What the hosts did, and what the client made of it."""
    table = _table("the hosts", *(host.name for host in evidence.hosts), "the client's retries")
    retries = evidence.client.retries

    def reasons(*which: str) -> str:
        return counted({reason: retries.get(reason, 0) for reason in which})

    for fault, told in (
        (Fault.UNAVAILABLE, reasons("throttled")),
        (Fault.RESET_UNREAD, reasons("protocol") + " (both kinds of reset)"),
        (Fault.RESET_PROCESSED, ""),
        (Fault.STALL, reasons("timeout")),
        (RESTART, reasons("connect")),
        (REVOKE, reasons("auth")),
    ):
        figures = [host.faults.get(fault, 0) for host in evidence.hosts]
        if any(figures):
            table.add_row(fault, *(f"{n:,}" if n else "" for n in figures), told)
    table.add_row("requests read", *(f"{host.read:,}" for host in evidence.hosts), "")
    table.add_row("connections", *(f"{host.connections:,}" for host in evidence.hosts), "")
    return Group(_title("What the hosts counted"), table)


def pools(metrics: Metrics, urls: Mapping[str, str]) -> RenderableType:
    """Each pool's finds, calls, attempts and hook calls, from the metrics."""
    hook_calls = f"{names.HOOK_DURATION}_count"
    table = _table("pool", "finds", "calls", "attempts", "hooks")
    for name, url in urls.items():
        for auth in metrics.by(names.LABEL_AUTH, names.POOL_LOOKUPS, host=url):
            pool = {names.LABEL_HOST: url, names.LABEL_AUTH: auth}
            hooks = {
                hook: counted(metrics.by(names.LABEL_OUTCOME, hook_calls, hook=hook, **pool))
                for hook in metrics.by(names.LABEL_HOOK, hook_calls, **pool)
            }
            table.add_row(
                f"{name} {auth}",
                f"{metrics.total(names.POOL_LOOKUPS, **pool):,}",
                f"{metrics.total(f'{names.REQUEST_DURATION}_count', **pool):,}",
                f"{metrics.total(names.ATTEMPTS, **pool):,}",
                "; ".join(f"{hook} {fared}" for hook, fared in hooks.items()),
            )
    return Group(_title("What the client counted, and how its hooks fared"), table)


def tours(toured: Toured, evidence: Evidence) -> RenderableType:
    """What came of following all links there are, and why some were refused."""
    ended = "1 tour" if toured.tours == 1 else f"{toured.tours:,} tours"
    refused = sum(toured.unfollowed.values())
    told = (
        f"{ended} over {len(evidence.hosts)} hosts: {toured.visited:,} resources visited,"
        f" {refused:,} links refused"
    )
    lines = [
        Text.assemble((f"{which} ({count:,}) ", "bold"), toured.reasons[which])
        for which, count in toured.unfollowed.items()
    ]
    return Group(
        _title("All links there are, followed from page to page and host to host"),
        Text(told),
        *lines,
    )


def beside(aside: Aside) -> RenderableType:
    """What became of the calls to the host that takes no part in the proof, in one line."""
    calls, host = aside.calls, aside.host
    became = counted(calls, ratings.BECAME) or "none"
    text = (
        f"{host.name} at {host.url}: {sum(calls.values()):,} calls ({became}), {host.read:,} read"
    )
    return Group(_title("Beside the proof, a host that may fail"), Text(text))


def exported(told: Exported) -> RenderableType:
    """What of the spans and metrics a collector has taken, in one line."""
    text = (
        f"OTLP to {told.origin}: {told.spans_taken:,} of {told.spans:,} spans,"
        f" {told.points_taken:,} of {told.points:,} metric points"
    )
    whole = (told.spans_taken, told.points_taken) == (told.spans, told.points)
    if not whole and told.problem:
        text += f"; {told.problem}"
    return Group(_title("What was exported"), Text(text, "" if whole else "yellow"))


def verdict(
    promised: Sequence[Promise], evidence: Evidence, took: str, marks: Marks, width: int
) -> RenderableType:
    """The promises, each with its numbers, and whether all were kept."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    if width >= WIDE:
        table.add_column()
    table.add_column(ratio=1)
    signs = {
        True: Text(marks.kept, "bold green"),
        False: Text(marks.broken, "bold red"),
        None: Text(marks.untried, "bold yellow"),
    }
    for promise in promised:
        style = "bold red" if promise.kept is False else ""
        cells = Text(promise.text, style), Text(promise.numbers, "dim")
        table.add_row(signs[promise.kept], *(cells if width >= WIDE else [Group(*cells)]))
    errors = [*evidence.client.failures, *(e for host in evidence.hosts for e in host.errors)]
    return Group(
        _title("The promises"),
        table,
        *(Text(f"  {error}", "red") for error in errors),
        Text(""),
        _conclusion(promised, took),
    )


def _conclusion(promised: Sequence[Promise], took: str) -> Text:
    broken = sum(promise.kept is False for promise in promised)
    untried = sum(promise.kept is None for promise in promised)
    if broken:
        word = "promise was" if broken == 1 else "promises were"
        return Text(f"{broken} {word} BROKEN, {took}", "bold red")
    if untried:
        word = "promise was" if untried == 1 else "promises were"
        return Text(
            f"No promise was broken, but {untried} {word} not tried, {took}: run it longer,"
            " or with more threads",
            "bold yellow",
        )
    return Text(f"All {len(promised)} promises were kept, {took}", "bold green")


def _title(text: str) -> RenderableType:
    return Group(Text(""), Rule(Text(text, "bold"), align="left", style="dim"))


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, overflow="fold")
    for name in others[:-1]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(others[-1], overflow="fold")
    return table
