"""JSON by itself: what `json_request` does with a body, apart from sending it.

Rules:

1. Usual bodies have what JSON has; the unusual one has dates, identifiers, amounts and dataclasses,
   for which `json` alone needs a `default` that somebody writes by hand.
2. Beside both stands what people use without us: `json.dumps` and `json.loads`.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import asdict, dataclass, is_dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from benchmarks.command import progress
from benchmarks.conditions import ConditionsError
from benchmarks.measuring import Subject, interleaved
from benchmarks.server import DOCUMENT, LARGE
from benchmarks.tables import Findings, Table
from sleepwalker import ResponseLimits
from sleepwalker.connection import _json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

NAME: Final = "json"
DEPTH: Final = ResponseLimits().json_depth
"""How deep a document may be nested: what a policy allows by default."""


@dataclass(frozen=True)
class Loan:
    """A line of an unusual body."""

    number: uuid.UUID
    since: dt.datetime
    until: dt.date
    fee: Decimal
    readers: frozenset[str]


UNUSUAL: Final = {
    "loans": [
        Loan(
            uuid.UUID(int=number),
            dt.datetime(2026, 1, 1, 12, number, tzinfo=dt.UTC),
            dt.date(2026, 2, 1),
            Decimal("1.25"),
            frozenset({"reader"}),
        )
        for number in range(4)
    ]
}


def by_hand(value: Any) -> Any:
    """What somebody writes as `default` for such a body, and no more than it needs."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, uuid.UUID | Decimal):
        return str(value)
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(type(value).__name__)


def _decoding(name: str, document: Any, calls: int) -> tuple[str, int, list[Subject]]:
    body = json.dumps(document).encode()
    return _table(
        f"decode {name}",
        calls,
        lambda: json.loads(body),
        lambda: _json.decode(body, None, DEPTH),
        "json.loads",
    )


def _encoding(name: str, value: Any, calls: int) -> tuple[str, int, list[Subject]]:
    default = by_hand if value is UNUSUAL else None
    return _table(
        f"encode {name}",
        calls,
        lambda: json.dumps(value, default=default).encode(),
        lambda: _json.encode(value),
        "json.dumps",
    )


def _table(
    what: str, calls: int, plain: Callable[[], Any], ours: Callable[[], Any], name: str
) -> tuple[str, int, list[Subject]]:
    if plain() != ours():
        msg = f"{what}: not the same"
        raise ConditionsError(msg)
    return what, calls, [Subject(name, plain), Subject("sleepwalker", ours)]


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Measure, in as many calls as make a block long enough to be told by a clock.

    :raises ConditionsError: when the two don't make the same of it
    """
    del names  # a part that is measured as a whole
    few, many = settings.requests, 10 * settings.requests
    tables = []
    for what, calls, subjects in (
        _encoding("small", DOCUMENT, many),
        _encoding("100 KB", LARGE, max(few // 5, 1)),
        _encoding("unusual", UNUSUAL, few),
        _decoding("small", DOCUMENT, many),
        _decoding("100 KB", LARGE, max(few // 5, 1)),
    ):
        rounds = interleaved(
            subjects,
            rounds=settings.rounds,
            operations=calls,
            seed=settings.seed,
            begun=progress(what, settings.rounds),
        )
        plain = subjects[0].name
        tables.append(Table(what, calls, ("µs", 1e6), (plain,), rounds, part=NAME, judged=False))
    return Findings(tables)
