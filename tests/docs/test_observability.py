"""The names of telemetry on the pages are those of the code, all of them and no others."""

from __future__ import annotations

import importlib
import re
from typing import Any, get_args

import prometheus_client
import pytest
from structlog.testing import CapturingLogger

import sleepwalker.exceptions
import sleepwalker.testing
from sleepwalker.observability import events, labels, names
from sleepwalker.observability.logs import Logs
from sleepwalker.observability.metrics import Metrics
from sleepwalker.testing import SkippingClock
from tests.docs.pages import PAGES, prose_of, rows_below, text_of

PAGE = "docs/guides/observability.md"
POOL = events.Pool("https://books.example", "none", ("https://books.example", "none"))


def _why(outcome: str) -> str | None:
    """Why a call that ended so was not sent again."""
    return "exhausted" if outcome in {"error", "exhausted", "timeout"} else None


SAMPLES: dict[Any, list[Any]] = {
    events.RequestStarted: [events.RequestStarted(POOL, "GET")],
    events.AttemptFinished: [events.AttemptFinished(POOL, "GET", 1, 0.1, 200, "none")],
    events.RetryScheduled: [events.RetryScheduled(POOL, "GET", 1, "status", 0.1, 503, "status")],
    events.Redirected: [
        events.Redirected(POOL, "GET", 302, "https://books.example", crosses)
        for crosses in (True, False)
    ],
    events.RequestFinished: [
        events.RequestFinished(
            POOL, "GET", "/x", outcome, 1.0, 2, 0.5, status, kind, unknown, _why(outcome)
        )
        for outcome, status, kind, unknown in [
            ("success", 200, "none", False),
            ("error", 404, "status", False),
            ("error", None, "reset", True),
            ("timeout", None, "read_timeout", True),
            ("exhausted", 503, "status", True),
            ("refused", None, "credentials", False),
            ("cancelled", None, "none", False),
        ]
    ],
    events.BreakerChanged: [
        events.BreakerChanged(POOL, "https://books.example", state, remaining)
        for state, remaining in [("open", 5.0), ("half-open", 0.0), ("closed", 0.0)]
    ],
    events.RetryQuotaChanged: [events.RetryQuotaChanged(POOL, "https://books.example", 486)],
    events.LookedUp: [events.LookedUp(POOL, "hit", 1)],
    events.EstablishmentAwaited: [events.EstablishmentAwaited(POOL, 0.1)],
    events.HookCalled: [
        events.HookCalled(POOL, "DirectHook", 1, outcome, 0.1, kind)
        for outcome, kind in [("connected", "none"), ("failed", "other"), ("timeout", "deadline")]
    ],
    events.ConnectionEstablished: [events.ConnectionEstablished(POOL, "DirectHook", 0.1)],
    events.ConnectionFailed: [events.ConnectionFailed(POOL, 1, 0.1, "other")],
    events.PoolsChanged: [events.PoolsChanged(1)],
    events.PoolEvicted: [events.PoolEvicted(POOL, reason) for reason in names.EVICTION_REASONS],
    events.CloseFailed: [events.CloseFailed(POOL, "other")],
    events.ManagerReset: [events.ManagerReset(1, 2, 3, 4)],
    events.LinkFollowed: [
        events.LinkFollowed(POOL, "author", True, outcome, 0.1, kind)  # noqa: FBT003 - a tuple
        for outcome, kind in [("success", "none"), ("error", "status")]
    ]
    + [events.LinkFollowed(POOL, "author", False, "success", 0.1, "none", True)],  # noqa: FBT003 - as above
    events.PlaintextAuth: [events.PlaintextAuth(POOL)],
    events.EventLoopBlocked: [events.EventLoopBlocked(POOL)],
}
"""Every event, in every form that is told in another way."""


def code_in(cell: str) -> list[str]:
    """Give what stands between backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def test_there_is_a_sample_of_every_event() -> None:
    assert set(SAMPLES) == set(get_args(events.Event))


# Metrics


def families() -> dict[str, tuple[str, set[str]]]:
    """Give each metric's type and labels, as a registry shows them."""
    registry = prometheus_client.CollectorRegistry()
    metrics = Metrics(registry)
    opened = metrics.connections.opened(POOL.series)
    opened.idle()
    for samples in SAMPLES.values():
        for event in samples:
            metrics.record(event)
    found = {}
    for family in registry.collect():
        labels = {
            label
            for sample in family.samples
            for label in sample.labels
            if not sample.name.endswith("_created")
        }
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, labels - {"le"})
    return found


def test_the_metrics_on_the_page_are_those_of_the_code_with_type_and_labels() -> None:
    documented = {}
    for name, kind, cell, _ in rows_below(PAGE, "Metrics"):
        pool = set() if "no label" in cell or "alone" in cell else {"host", "auth"}
        documented[code_in(name)[0]] = (kind, pool | set(code_in(cell)))

    assert documented == families()


def test_every_metric_of_the_names_file_is_there() -> None:
    named = {
        value
        for value in vars(names).values()
        if isinstance(value, str) and value.startswith("sleepwalker_")
    }

    assert named == set(families())


def test_the_page_says_how_many_series_there_are() -> None:
    _, _, below = prose_of(PAGE).partition("### How many series")
    section = " ".join(below.partition("\n## ")[0].split())

    assert f"The first {names.LABELLED_POOLS} (host, auth) pairs" in section
    assert f"no more series than {names.LABELLED_POOLS + 1}." in section
    assert f"again only after {labels.REMEMBERED:,} others" in section
    assert names.LABEL_OVERFLOW in section
    assert f"beyond the first {names.LABELLED_POOLS}," in text_of(PAGE)


def test_the_closed_sets_of_labels_are_those_of_the_code() -> None:
    documented: dict[str, str] = {row[0]: row[1] for row in rows_below(PAGE, "Values of labels")}

    methods = documented["`method`"]
    assert set(re.findall(r"[A-Z]{3,}", methods.partition(";")[0])) == names.METHODS
    assert code_in(methods) == [names.OTHER_METHOD]
    assert code_in(documented["`status_class`"]) == list(names.STATUS_CLASSES)
    assert code_in(documented["`outcome` of a request"]) == list(names.REQUEST_OUTCOMES)
    assert code_in(documented["`outcome` of a hook"]) == list(names.HOOK_OUTCOMES)
    assert code_in(documented["`outcome` of a link"]) == list(names.FOLLOW_OUTCOMES)
    assert code_in(documented["`state`"]) == list(names.CONNECTION_STATES)
    assert code_in(documented["`cross_host`"]) == list(names.CROSS_HOST)
    assert code_in(documented["`reason` of a retry"]) == list(names.RETRY_REASONS)
    assert code_in(documented["`reason` of an eviction"]) == list(names.EVICTION_REASONS)
    assert code_in(documented["`result`"]) == list(names.LOOKUP_RESULTS)
    assert names.OVERFLOW in code_in(documented["`host`"])
    assert {cell for row in documented for cell in code_in(row)} == {
        value for name, value in vars(names).items() if name.startswith("LABEL_") and "_" in name
    } - {names.LABEL_OVERFLOW}


def test_every_error_type_is_there_beside_an_error_that_has_it() -> None:
    rows = [row for row in tables_of(PAGE) if len(row) == 3 and code_in(row[0])]
    head = next(i for i, row in enumerate(rows) if row[:2] == ["`error_type`", "error"])
    documented = {}
    for kind, error, _ in rows[head + 1 :]:
        if code_in(kind)[0] not in names.ERROR_TYPES:
            break
        documented[code_in(kind)[0]] = code_in(error)

    assert ["none", *documented] == list(names.ERROR_TYPES)
    by_class = {
        name: getattr(sleepwalker.exceptions, name).error_type
        for found in documented.values()
        for name in found
    }
    # Where an error is of several types, the code says more than the class.
    several = {"ConnectError", "ProtocolError"}
    assert {name: kind for kind, [*found] in documented.items() for name in found} | {
        name: by_class[name] for name in several
    } == by_class


def tables_of(page: str) -> list[list[str]]:
    """Give the cells of all rows of all tables."""
    rows = re.findall(r"^\|(.*)\|$", prose_of(page), re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows]


# Spans


def test_the_spans_on_the_page_are_those_of_the_code() -> None:
    documented = [code_in(row[0])[0] for row in rows_below(PAGE, "Spans")]

    assert documented == [
        *(names.SPAN_CONNECT, names.SPAN_HOOK, names.SPAN_REQUEST),
        *(names.SPAN_TRAVERSE, names.SPAN_FOLLOW),
        "{METHOD}",
    ]


def test_the_attributes_on_the_page_are_those_of_the_code() -> None:
    in_tables = {name for row in tables_of(PAGE) for name in code_in(row[0]) if len(row) == 3}

    for name in (value for key, value in vars(names).items() if key.startswith("ATTR_")):
        assert name in in_tables


# Logs


def logged() -> dict[tuple[str, str], set[str]]:
    """Give the fields of each log event at each level, as all samples show them."""
    found: dict[tuple[str, str], set[str]] = {}
    for samples in SAMPLES.values():
        for event in samples:
            logger = CapturingLogger()
            Logs(logger, clock=SkippingClock()).record(event)
            for call in logger.calls:
                fields = set(call.kwargs)
                if isinstance(getattr(event, "pool", None), events.Pool):
                    assert {"host", "auth"} <= fields
                found.setdefault((call.args[0], call.method_name), set()).update(
                    fields - {"host", "auth"}
                )
    return found


def test_the_log_events_on_the_page_are_those_of_the_code_with_level_and_fields() -> None:
    documented: dict[tuple[str, str], set[str]] = {}
    for event, level, _, fields in rows_below(PAGE, "Log events"):
        for one in re.findall(r"\b(?:debug|info|warning)\b", level):
            documented[code_in(event)[0], one] = set(re.findall(r"\w+", fields))

    assert documented == logged()


def test_every_log_event_of_the_names_file_is_there() -> None:
    assert {code_in(row[0])[0] for row in rows_below(PAGE, "Log events")} == names.LOG_EVENTS


# Events


def test_the_events_for_instruments_on_the_page_are_those_of_the_code() -> None:
    rows = rows_below(PAGE, "An instrument of your own")

    documented = {
        code_in(event)[0]: ([] if "no `pool`" in event else ["pool"]) + re.findall(r"\w+", fields)
        for event, fields in rows
    }
    assert documented == {kind.__name__: list(kind._fields) for kind in SAMPLES}


# All pages


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_that_a_page_names_exists(page: str) -> None:
    # Fixtures of pytest have a prefix too.
    known = set(families()) | set(sleepwalker.testing.__all__)
    known |= {
        f"{name}_{part}"
        for name, (kind, _) in families().items()
        if kind == "histogram"
        for part in ("bucket", "count", "sum")
    }

    assert set(re.findall(r"\bsleepwalker_\w+", text_of(page))) - known == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_dotted_name_that_a_page_gives_is_a_span_an_attribute_or_in_the_code(
    page: str,
) -> None:
    known = {
        value for key, value in vars(names).items() if key.startswith(("SPAN_", "ATTR_", "EVENT_"))
    }
    dotted = re.findall(r"(?<![\w/.-])sleepwalker(?:\.\w+)+(?![\w/-])", text_of(page))

    assert [name for name in dotted if name not in known and not in_the_code(name)] == []


def in_the_code(name: str) -> bool:
    """Tell whether a dotted name is a module or something in one."""
    first, *rest = name.split(".")
    found: Any = importlib.import_module(first)
    path = first
    for part in rest:
        path = f"{path}.{part}"
        if not hasattr(found, part):
            try:
                importlib.import_module(path)
            except ImportError:
                return False
        found = getattr(found, part)
    return True
