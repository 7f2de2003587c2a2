"""What the pictures of the docs are made from: which there are, what is asked, which trace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import promql_parser as promql
import pytest

from dashboards.pictures import plan, waterfall, words
from dashboards.pictures.plan import Dot, Drawn, Filled
from dashboards.pictures.tables import table_of
from dashboards.pictures.words import Word
from dashboards.source import rules
from sleepwalker.observability import names
from tests.dashboards.reading import NAMES, board, panels_of
from tests.docs.pages import ROOT, rows_below, text_of
from tests.servers import ReceivedSpan

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE: Final = "docs/observability.md"


# Which pictures there are


def test_every_row_of_the_dashboards_is_in_one_picture() -> None:
    shown = [(picture.board, row) for picture in plan.PICTURES for row in picture.rows]
    rows = [
        (name, panel["title"])
        for name in NAMES
        for panel in board(name)["panels"]
        if panel["type"] == "row"
    ]

    assert sorted(shown) == sorted(rows)


def test_the_images_are_those_that_the_script_makes() -> None:
    assert {path.name for path in plan.IMAGES.glob("*.png")} == set(plan.FILES)
    assert {path.stat().st_size < 250_000 for path in plan.IMAGES.glob("*.png")} == {True}


def test_the_page_shows_every_picture_with_words_for_who_can_not_see_it() -> None:
    pictures = re.findall(r"!\[([^\]]*)\]\(images/([^)]+)\)", text_of(PAGE))

    assert [name for _, name in pictures] == list(plan.FILES)
    assert [name for words_, name in pictures if len(words_.split()) < 5] == []


def test_what_any_page_shows_is_there() -> None:
    pages = ["README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
    missing = [
        (page, target)
        for page in pages
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text_of(page))
        if not ((ROOT / page).parent / target).is_file()
    ]

    assert missing == []


def test_a_picture_has_its_rows_with_all_their_panels() -> None:
    filled = [Filled(panel) for panel in board("sleepwalker-overview")["panels"]]
    titles = {
        picture.rows: [each.panel["title"] for each in plan.of_picture(picture, filled)]
        for picture in plan.PICTURES
        if picture.board == "sleepwalker-overview"
    }

    assert titles["Latency",] == [
        "Latency",
        "Durations of attempts",
        "Attempt duration",
        "Request duration",
    ]
    assert sum(map(len, titles.values())) == len(filled)
    with pytest.raises(ValueError, match="has no row Nonsense"):
        plan.of_picture(plan.Picture("one", "board", ("Latency", "Nonsense")), filled)


def test_the_page_lists_every_alert_with_its_severity_and_runbook() -> None:
    listed = [
        (name, severity.strip("`"), link)
        for name, severity, _, link in rows_below(PAGE, "Who is called")
    ]

    assert listed == [
        (alert.name, alert.severity, f"[{alert.runbook}](runbooks/{alert.runbook}.md)")
        for alert in rules.alerts()
    ]


# What is asked


@pytest.mark.parametrize("name", NAMES)
def test_no_variable_is_left_in_any_query(name: str) -> None:
    chosen = {names.LABEL_HOST: "https://books.example:8443/v1", names.LABEL_AUTH: "basic#2"}
    read = board(name)
    variables = plan.variables_of(read, chosen, "4s")
    exprs = [
        plan.filled(target["expr"], variables)
        for panel in panels_of(read)
        for target in panel["targets"]
    ]

    assert len(exprs) > 30
    for expr in exprs:
        assert "$" not in expr
        promql.parse(expr)
    assert any(r"https://books\\.example:8443/v1" in expr and "[4s]" in expr for expr in exprs)


def test_a_variable_that_nothing_is_known_of_is_an_error() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        plan.filled("up{job=~'$nonsense'}", {"job": ".+"})


@pytest.mark.parametrize("value", ["https://[::1]:8443/a?b", "basic#2", r"a\b", "a+b(c)|d$"])
def test_what_is_chosen_matches_itself_and_nothing_else(value: str) -> None:
    pattern = plan.escaped(value).replace(r"\\", "\\")

    assert re.fullmatch(pattern, value)
    assert not re.fullmatch(pattern, value.replace("a", "x").replace("b", "y").replace(":", "z"))


def test_a_series_is_called_as_its_query_says() -> None:
    assert plan.named("{{host}} · {{reason}}", {"host": "books", "reason": "status"}) == (
        "books · status"
    )
    assert plan.named("p95", {}) == "p95"
    assert plan.named("{{host}}", {}) == plan.named(None, {"host": "books"}) == ""


def test_the_highest_comes_first_and_of_equals_the_first_by_name() -> None:
    values = [
        ({"host": "c", "auth": "basic", "job": "shop"}, 3.0),
        ({"host": "b", "auth": "none", "job": "shop"}, 7.0),
        ({"host": "b", "auth": "basic", "job": "shop"}, 7.0),
    ]

    assert plan.ranked(values, "host", "auth") == [
        {"host": "b", "auth": "basic"},
        {"host": "b", "auth": "none"},
        {"host": "c", "auth": "basic"},
    ]


def test_of_exemplars_of_one_step_those_are_shown_that_are_far_from_each_other() -> None:
    dots = [Dot(10.1, 0.1), Dot(10.2, 0.1001), Dot(10.3, 9.0), Dot(11.1, 0.1), Dot(11.1, 0.1)]

    assert plan.sampled(dots, 1.0) == [Dot(10.2, 0.1001), Dot(10.3, 9.0), Dot(11.1, 0.1)]
    assert plan.sampled([], 1.0) == []


# Figures


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0 s"),
        (0.0000932, "s", "93.2 µs"),
        (0.0944, "s", "94.4 ms"),
        (1.0, "s", "1 s"),
        (1.284, "s", "1.28 s"),
        (60.0, "s", "1 min"),
        (0.05, "percentunit", "5%"),
        (1.0, "percentunit", "100%"),
        (0.00123, "percentunit", "0.123%"),
        (114.2, "reqps", "114 req/s"),
        (0.3333, "reqps", "0.333 req/s"),
        (12_345.0, "ops", "12.3 K ops/s"),
        (8.0, "short", "8"),
        (100.0, "short", "100"),
        (1.284, "none", "1.28"),
        (float("nan"), "s", ""),
    ],
)
def test_figures_are_written_as_grafana_writes_them(value: float, unit: str, text: str) -> None:
    assert words.written(value, unit) == text


def test_a_figure_has_the_colour_of_its_threshold_or_the_word_that_it_stands_for() -> None:
    steps = [{"value": None, "color": "green"}, {"value": 0.05, "color": "red"}]
    ratio = {"unit": "percentunit", "thresholds": {"steps": steps}}
    state = {"mappings": [{"type": "value", "options": {"2": {"text": "open", "color": "red"}}}]}

    assert words.told(0.049, ratio) == Word("4.9%", "green")
    assert words.told(0.05, ratio) == Word("5%", "red")
    assert words.told(2.0, state) == Word("open", "red")
    assert words.told(1.0, state) == Word("1")
    assert words.told(1.0, {"decimals": 2}) == Word("1.00")


def test_the_table_has_a_row_for_each_pool_the_worst_first() -> None:
    [panel] = [panel for panel in panels_of(board(NAMES[0])) if panel["type"] == "table"]

    def of(letter: str, host: str, value: float) -> Drawn:
        return Drawn(letter, "", {"host": host, "auth": "basic"}, [(0.0, 9.0), (1.0, value)])

    table = table_of(
        Filled(panel, [of("A", "a", 1.5), of("A", "b", 3), of("B", "b", 0.25), of("D", "a", 1)])
    )

    assert [column.head for column in table.labels] == ["auth", "host"]
    assert [column.linked for column in table.labels] == [False, True]
    assert [column.head for column in table.figures if column.sorted] == ["Error ratio"]
    assert [(list(labels), cells[:2], cells[3]) for labels, cells in table.rows] == [
        (["basic", "b"], [Word("3 req/s"), Word("25%", "red")], Word("—")),
        (["basic", "a"], [Word("1.5 req/s"), Word("—")], Word("1", "green")),
    ]


# The trace

BOOKS, REVIEWS = "https://127.0.0.1:8001", "https://127.0.0.3:8003"


def span(
    trace: str, number: int, parent: int, name: str, times: tuple[int, int], **attributes: Any
) -> ReceivedSpan:
    """A span; times are in milliseconds, and underscores of attributes stand for dots."""
    failed = "error_type" in attributes
    links = attributes.pop("links", ())
    return ReceivedSpan(
        service="demo",
        scope="sleepwalker",
        trace_id=trace,
        span_id=f"{trace}{number}",
        parent_id=f"{trace}{parent}" if parent else "",
        name=name,
        kind="INTERNAL",
        status="ERROR" if failed else "UNSET",
        begins=times[0] * 1_000_000,
        ends=times[1] * 1_000_000,
        attributes={LONG.get(key, key): value for key, value in attributes.items()},
        links=tuple((trace, f"{trace}{to}") for to in links),
    )


LONG: Final = {
    "error_type": names.ATTR_ERROR_TYPE,
    "status": names.ATTR_STATUS,
    "resent": names.ATTR_RESEND_COUNT,
    "address": names.ATTR_SERVER_ADDRESS,
    "port": names.ATTR_SERVER_PORT,
    "host": names.ATTR_HOST,
    "auth": names.ATTR_AUTH,
    "waited": names.ATTR_WAITED,
    "hook": names.ATTR_HOOK,
    "outcome": names.ATTR_OUTCOME,
    "relation": names.ATTR_RELATION,
    "target": names.ATTR_TARGET_HOST,
}


def traversal(trace: str, *, lasts: int = 100, redirected: bool = False) -> list[ReceivedSpan]:
    """A book that is asked for twice, and a link from it that needs a hook."""
    books = {"address": "127.0.0.1", "port": 8001}
    return [
        span(trace, 6, 5, names.SPAN_HOOK, (41, 49), hook="Login", outcome="connected"),
        span(trace, 1, 0, "traversal", (0, lasts)),
        span(trace, 2, 1, names.SPAN_REQUEST, (0, 40), host=BOOKS, auth="basic", waited=0.02),
        span(trace, 3, 2, "GET /books/{id}", (1, 9), **books, error_type="503", status=503),
        span(
            trace, 4, 2, "GET /books/{id}", (30, 39), **books, status=307 if redirected else 200,
            resent=1,
        ),
        span(
            trace, 5, 1, names.SPAN_FOLLOW, (40, lasts), relation="reviews", target=REVIEWS,
            links=[2],
        ),
    ]  # fmt: skip


def test_the_trace_with_most_to_show_is_drawn_and_of_equals_the_quickest() -> None:
    plain = [span("p", 1, 0, "traversal", (0, 1))]
    slow, quick = traversal("s"), traversal("q", lasts=90)
    richer = traversal("r", lasts=500, redirected=True)
    parts = traversal("x", redirected=True)[:-1]
    torn = [each for each in traversal("t", redirected=True) if each.span_id != "t2"]

    def id_of(*traces: Sequence[ReceivedSpan]) -> str:
        return waterfall.chosen(each for trace in traces for each in trace)[0].trace_id

    assert id_of(plain, slow, quick, torn) == "q"
    assert id_of(plain, slow, richer, quick, parts) == "r"
    assert "a redirect" in waterfall.shows(richer)
    with pytest.raises(ValueError, match="no trace is whole"):
        waterfall.chosen(torn)


def test_a_trace_that_is_too_long_is_not_drawn() -> None:
    long = [*traversal("l"), *(span("l", n, 1, "GET", (n, n)) for n in range(10, 50))]

    assert waterfall.chosen([*long, span("p", 1, 0, "traversal", (0, 1))])[0].trace_id == "p"


def test_the_rows_are_a_tree_in_the_order_of_time() -> None:
    rows = waterfall.rows(traversal("t"), {BOOKS: "books"})

    assert [(row.depth, row.name.rpartition(".")[2], row.detail, row.host) for row in rows] == [
        (0, "traversal", "", ""),
        (1, "request", "basic · waited 20 ms", "books"),
        (2, "GET /books/{id}", "503", "books"),
        (2, "GET /books/{id}", "200 · resent 1", "books"),
        (1, "follow", "reviews", REVIEWS),
        (2, "hook", "Login · connected", ""),
    ]
    assert [(row.begins, row.lasts) for row in rows][2:4] == [(1.0, 8.0), (30.0, 9.0)]
    assert [row.failed for row in rows] == [False, False, True, False, False, False]
    assert [row.wire for row in rows] == [False, False, True, True, False, False]
    assert [row.linked for row in rows] == [None, None, None, None, 1, None]
