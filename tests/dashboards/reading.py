"""The committed dashboards, and the queries in them, as the tests read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import promql_parser as promql

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "dashboards" / "grafana"
NAMES = ("sleepwalker-overview", "sleepwalker-pool")

RATE_INTERVAL = "13h17m"
"""What stands for `$__rate_interval`: no query would have it of its own."""

Json = dict[str, Any]


def board(name: str, form: str = ".") -> Json:
    """Read a dashboard, in the form that is provisioned or in `import`."""
    read: Json = json.loads((GRAFANA / form / f"{name}.json").read_text(encoding="utf-8"))
    return read


def panels_of(board: Json) -> Iterator[Json]:
    """Give every panel that shows something, those of collapsed rows too."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panels_of(panel)
        else:
            yield panel


class Asked(NamedTuple):
    """One query of one panel."""

    panel: str
    expr: str

    def parse(self) -> promql.Expr:
        """Read it as PromQL.

        :raises ValueError: if it isn't
        """
        return parse(self.expr)


def asked_by(board: Json) -> Iterator[Asked]:
    """Give every query of a dashboard."""
    for panel in panels_of(board):
        for target in panel.get("targets", ()):
            yield Asked(panel["title"], target["expr"])


def parse(expr: str) -> promql.Expr:
    """Read PromQL in which Grafana's variables stand."""
    return promql.parse(expr.replace("$__rate_interval", RATE_INTERVAL))


def nodes_of(
    node: promql.Expr, parents: tuple[promql.Expr, ...] = ()
) -> Iterator[tuple[promql.Expr, tuple[promql.Expr, ...]]]:
    """Give every part of an expression, with what it is a part of (the outermost first)."""
    yield node, parents
    for child in _children_of(node):
        yield from nodes_of(child, (*parents, node))


def _children_of(node: promql.Expr) -> list[promql.Expr]:
    match node:
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.AggregateExpr():
            return [node.expr] if node.param is None else [node.expr, node.param]
        case promql.Call():
            return list(node.args)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [node.expr]
        case promql.MatrixSelector():
            return [node.vector_selector]
        case _:
            return []


class Selected(NamedTuple):
    """One selector of an expression."""

    metric: str
    matchers: dict[str, tuple[str, str]]
    """For each label, the operator and the value."""
    parents: tuple[promql.Expr, ...]


OPERATORS = (
    (promql.MatchOp.Equal, "="),
    (promql.MatchOp.NotEqual, "!="),
    (promql.MatchOp.Re, "=~"),
    (promql.MatchOp.NotRe, "!~"),
)


def selectors_of(expr: promql.Expr) -> Iterator[Selected]:
    """Give every selector of an expression."""
    for node, parents in nodes_of(expr):
        if isinstance(node, promql.VectorSelector):
            matchers = {
                matcher.name: (sign, matcher.value)
                for matcher in node.matchers.matchers
                for operator, sign in OPERATORS
                if matcher.op == operator
            }
            yield Selected(node.name or "", matchers, parents)
