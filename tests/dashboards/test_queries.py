"""What the dashboards' queries give, asked of promtool for series that are made up.

Rule: all cases are one file, which promtool evaluates once. A case passes when promtool has nothing
to say about it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from dashboards.source import queries, rules
from sleepwalker.observability import names
from tests.dashboards.prometheus import promtool

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES = Path(__file__).parents[2] / "dashboards" / "prometheus" / "sleepwalker.rules.yml"

COUNT = f"{names.REQUEST_DURATION}_count"
BUCKET = f"{names.REQUEST_DURATION}_bucket"
HOOKS = f"{names.HOOK_DURATION}_count"

IDLE = "600x30"
"""A counter that stands still."""
SECONDLY = "0+60x30"
"""One that counts once a second."""
HALF = "0+30x30"
QUARTER = "0+15x30"

NEW = "_ _ _ _ _ _ _ _ _ _ 3x20"
"""One that begins in the eleventh minute, with three."""
GROWN = "_ _ _ _ _ _ _ _ _ _ 3+0x2 5x20"


WRONG = "a case that is wrong"


class Case(NamedTuple):
    """A query and what it gives."""

    expr: str
    series: Mapping[str, str]
    """For each the values, a minute apart."""
    gives: Mapping[str, float]
    """For the labels of each series that is to come, its value."""
    minute: int = 12


def pool(metric: str, **labels: str) -> str:
    """Name a series of a pool."""
    given = {"job": "shop", "instance": "a", "host": "h", "auth": "basic"} | labels
    inside = ", ".join(f'{label}="{value}"' for label, value in given.items())
    return f"{metric}{{{inside}}}"


def total(outcome: str, **labels: str) -> str:
    return pool(COUNT, outcome=outcome, **labels)


MIXED = {
    total("success"): SECONDLY,
    total("exhausted"): QUARTER,
    total("refused"): QUARTER,
    total("timeout"): QUARTER,
    total("cancelled"): QUARTER,
    total("error"): SECONDLY,
    pool(names.ATTEMPTS, code="200", error_type="none"): SECONDLY,
    pool(names.ATTEMPTS, code="503", error_type="none"): SECONDLY,
    pool(names.ATTEMPTS, code="404", error_type="none"): HALF,
    pool(names.ATTEMPTS, code="403", error_type="none"): HALF,
}
"""Three calls a second; 0.75 fail for good, one ends with an error, half of which is a 404."""

BY_HOST = (names.LABEL_HOST,)

CASES = {
    # ratios
    "an idle host has no error ratio": Case(
        queries.error_ratio(by=BY_HOST), {total("success"): IDLE, total("error"): IDLE}, {}
    ),
    "an idle host has no amplification": Case(
        queries.amplification(),
        {total("success"): IDLE, pool(names.ATTEMPTS, code="200"): IDLE},
        {},
    ),
    "nothing at all has no ratio": Case(queries.error_ratio(), {}, {}),
    "a host that never failed has an error ratio of zero": Case(
        queries.error_ratio(by=BY_HOST), {total("success"): SECONDLY}, {'{host="h"}': 0}
    ),
    "refused calls alone make no attempts": Case(
        queries.amplification(), {total("refused"): SECONDLY}, {"{}": 0}
    ),
    "failures are counted without the answers that programs ask for": Case(
        queries.error_ratio(), MIXED, {"{}": 1.25 / 3}
    ),
    "the rules count the very same": Case(
        rules.FAILURE_RATIO,
        MIXED,
        {f'{rules.FAILURE_RATIO}{{job="shop", host="h", auth="basic"}}': 1.25 / 3},
    ),
    "answers of attempts that were repeated don't make failures less": Case(
        queries.error_ratio(),
        {
            total("success"): SECONDLY,
            total("exhausted"): SECONDLY,
            pool(names.ATTEMPTS, code="409", error_type="none"): SECONDLY,
        },
        {"{}": 0.5},
    ),
    "attempts are counted for each request": Case(queries.amplification(), MIXED, {"{}": 1}),
    "each host has a ratio of its own": Case(
        queries.error_ratio(by=BY_HOST),
        {
            total("success"): SECONDLY,
            total("success", host="other"): HALF,
            total("timeout", host="other"): HALF,
        },
        {'{host="h"}': 0, '{host="other"}': 0.5},
    ),
    "all finds but the misses are hits": Case(
        queries.hit_ratio(),
        {
            pool(names.POOL_LOOKUPS, result="hit"): SECONDLY,
            pool(names.POOL_LOOKUPS, result="miss"): QUARTER,
            pool(names.POOL_LOOKUPS, result="coalesced"): QUARTER,
        },
        {"{}": 2 / 3},
    ),
    "misses alone are no hits": Case(
        queries.hit_ratio(), {pool(names.POOL_LOOKUPS, result="miss"): SECONDLY}, {"{}": 0}
    ),
    # quantiles
    "the quantile of nothing is not shown": Case(
        queries.request_quantile(0.5),
        {pool(BUCKET, outcome="success", le=le): IDLE for le in ("1", "+Inf")},
        {},
    ),
    "a quantile leaves out what was refused and what was cancelled": Case(
        queries.request_quantile(0.5),
        {pool(BUCKET, outcome="success", le=le): SECONDLY for le in ("1", "+Inf")}
        | {pool(BUCKET, outcome=o, le="+Inf"): SECONDLY for o in ("refused", "cancelled")},
        {"{}": 0.5},
    ),
    # what is rare
    "the count with which a series begins is counted": Case(
        queries.count(names.HOOK_DURATION, suffix="_count", by=(names.LABEL_HOOK,)),
        {pool(HOOKS, hook="Login"): NEW},
        {'{hook="Login"}': 3},
    ),
    "what was counted since is added": Case(
        queries.count(names.HOOK_DURATION, suffix="_count"),
        {pool(HOOKS, hook="Login"): GROWN},
        {"{}": 5},
        minute=13,
    ),
    "a series is new for one interval only": Case(
        queries.count(names.HOOK_DURATION, suffix="_count"),
        {pool(HOOKS, hook="Login"): NEW},
        {"{}": 0},
        minute=20,
    ),
    "an old series that counts on is counted as ever": Case(
        queries.count(names.POOL_EVICTIONS), {pool(names.POOL_EVICTIONS): SECONDLY}, {"{}": 300}
    ),
    "a series that a scrape missed is not new": Case(
        queries.count(names.POOL_EVICTIONS),
        {pool(names.POOL_EVICTIONS): "7 7 7 7 7 _ _ _ _ _ _ _ _ _ 7 7 7 7"},
        {"{}": 0},
        minute=17,
    ),
    "how long the first login took is known": Case(
        queries.quantile_of_rare(0.5, names.HOOK_DURATION),
        {pool(f"{names.HOOK_DURATION}_bucket", le=le): NEW for le in ("1", "+Inf")},
        {"{}": 0.5},
    ),
    # gauges
    "no breaker is open where none has ever changed": Case(queries.open_breakers(), {}, {"{}": 0}),
    "a host is counted once, however many processes have its breaker open": Case(
        queries.open_breakers(),
        {
            pool(names.BREAKER_STATE): "2x30",
            pool(names.BREAKER_STATE, instance="b"): "2x30",
            pool(names.BREAKER_STATE, host="half-open"): "1x30",
            pool(names.BREAKER_STATE, host="closed"): "0x30",
        },
        {"{}": 1},
    ),
    "saturation is that of the fullest process, with all pools of the host in it": Case(
        queries.saturation(),
        {
            pool(names.IN_FLIGHT): "10x30",
            pool(names.IN_FLIGHT, auth="bearer"): "6x30",
            pool(names.IN_FLIGHT, instance="b"): "12x30",
        },
        {'{host="h"}': 16 / 64},
    ),
}


def filled(expr: str) -> str:
    """Put values in the place of Grafana's variables."""
    return re.sub(r"\$(job|instance|host|auth)\b", ".*", expr.replace("$__rate_interval", "5m"))


def as_promtool_wants(name: str, case: Case) -> dict[str, Any]:
    """Write a case as a test of promtool's."""
    samples = [{"labels": labels, "value": value} for labels, value in case.gives.items()]
    return {
        "interval": "1m",
        "input_series": [{"series": s, "values": values} for s, values in case.series.items()],
        "promql_expr_test": [
            {
                # A comment, since what promtool says of an expression has all of it.
                "expr": f"{filled(case.expr)} # {name}",
                "eval_time": f"{case.minute}m",
                "exp_samples": samples,
            }
        ],
    }


@pytest.fixture(scope="module")
def promtool_says(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give what promtool says to all the cases and, last, to one that is wrong."""
    cases = CASES | {WRONG: Case("vector(1)", {}, {"{}": 2})}
    written = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [as_promtool_wants(name, case) for name, case in cases.items()],
    }
    file = tmp_path_factory.mktemp("queries") / "test.yml"
    file.write_text(yaml.safe_dump(written), encoding="utf-8")
    return promtool("test", "rules", file).stdout


@pytest.mark.parametrize("name", CASES)
def test_a_query_gives_what_it_says(name: str, promtool_says: str) -> None:
    assert f"# {WRONG}" in promtool_says  # so it has come to the end
    assert f"# {name}" not in promtool_says, promtool_says
