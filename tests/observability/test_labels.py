"""Names of pools: bounded in number, each identity its own, for the process's life."""

from __future__ import annotations

import weakref
from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.auth import identity
from sleepwalker.observability import labels
from sleepwalker.observability.labels import LabelSpace
from tests.crew import at_once
from tests.planting import found, new_secret

HOST = "https://host.example"
OTHER = ("_other", "_other")


def test_a_pool_is_called_by_its_host_and_auth() -> None:
    pool = LabelSpace().pool(HOST, "basic", "an identity")

    assert (pool.host, pool.auth, pool.series) == (HOST, "basic", (HOST, "basic"))
    assert repr(pool) == f"<Pool {HOST} basic>"


def test_further_identities_under_one_name_are_numbered_in_the_order_seen() -> None:
    space = LabelSpace()

    given_names = [space.pool(HOST, "basic", number).auth for number in (7, 3, 7, 5, 3)]

    assert given_names == ["basic", "basic#2", "basic", "basic#3", "basic#2"]


def test_the_numbers_are_counted_for_each_host_and_name_apart() -> None:
    space = LabelSpace()

    names = [
        space.pool(host, auth, number).auth
        for number, (host, auth) in enumerate(
            [("a", "basic"), ("a", "bearer"), ("b", "basic"), ("a", "basic"), ("b", "bearer")]
        )
    ]

    assert names == ["basic", "bearer", "basic", "basic#2", "bearer"]


@pytest.mark.parametrize("order", [("basic", "basic", "basic#2"), ("basic#2", "basic", "basic")])
def test_a_label_that_looks_like_a_number_of_ours_is_no_one_elses_series(
    order: tuple[str, ...],
) -> None:
    space = LabelSpace()

    series = [space.pool(HOST, auth, number).series for number, auth in enumerate(order)]

    assert len(set(series)) == 3


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "x#2", "x#3"]), st.integers(0, 5))
    )
)
def test_two_identities_never_share_a_series_and_one_never_changes_it(
    seen: list[tuple[str, str, int]],
) -> None:
    space = LabelSpace()

    series: dict[tuple[str, str, int], tuple[str, str]] = {}
    for key in seen:
        assert series.setdefault(key, space.pool(*key).series) == space.pool(*key).series

    assert len(set(series.values())) == len(series)
    assert space.overflowed == 0


def test_the_first_200_pairs_keep_their_names_and_the_rest_share_one() -> None:
    space = LabelSpace()

    series = [space.pool(f"https://{number}.example", "basic", 0).series for number in range(1000)]

    assert series[:200] == [(f"https://{number}.example", "basic") for number in range(200)]
    assert set(series[200:]) == {OTHER}
    assert space.overflowed == 800
    assert space.pool("https://0.example", "basic", 0).series == ("https://0.example", "basic")


def test_identities_on_one_host_count_towards_the_limit() -> None:
    space = LabelSpace(limit=2)

    assert [space.pool(HOST, "basic", number).series[1] for number in range(3)] == [
        "basic",
        "basic#2",
        "_other",
    ]


def test_a_pool_without_a_series_of_its_own_is_still_shown_in_full_elsewhere() -> None:
    pool = LabelSpace(limit=0).pool(HOST, "bearer", 0)

    assert (pool.host, pool.auth, pool.series) == (HOST, "bearer", OTHER)


def test_a_pool_without_a_series_of_its_own_is_counted_once_however_often_it_is_named() -> None:
    space = LabelSpace(limit=0)

    for number in (0, 1, 0, 1, 0):
        space.pool(HOST, "basic", number)

    assert space.overflowed == 2


def test_so_many_are_remembered_and_then_all_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labels, "REMEMBERED", 3)
    space = LabelSpace(limit=0)

    counted = []
    for number in (0, 1, 2, 0, 3, 3, 0, 0):
        space.pool(HOST, "basic", number)
        counted.append(space.overflowed)

    assert counted == [1, 2, 3, 3, 4, 4, 5, 5]


def test_to_count_a_pool_keeps_no_identity_alive() -> None:
    class Identity:
        pass

    space, identity = LabelSpace(limit=0), Identity()
    gone = weakref.ref(identity)
    space.pool(HOST, "basic", identity)

    del identity

    assert gone() is None


def test_64_threads_that_name_pools_agree_on_every_name() -> None:
    space = LabelSpace(limit=50)

    def name_all(first: int) -> list[tuple[int, tuple[str, str]]]:
        numbers = [(first + step) % 60 for step in range(60)]
        return [(number, space.pool(HOST, "basic", number).series) for number in numbers]

    jobs = at_once([partial(name_all, thread) for thread in range(64)])
    named = Counter(pair for job in jobs for pair in job.result())

    own = {number: series for number, series in named if series != OTHER}
    assert len(own) == 50
    assert set(own.values()) == {
        (HOST, "basic" if nth == 1 else f"basic#{nth}") for nth in range(1, 51)
    }
    assert set(named.values()) == {64}
    assert space.overflowed == 10


def test_no_name_is_made_from_a_secret_identity() -> None:
    secret, space = new_secret(), LabelSpace()

    pools = [space.pool(HOST, "basic", identity((user, secret))) for user in ("a", secret)]

    assert [p for p in pools if found(secret, f"{p!r} {p.series} {p.auth} {p.host}")] == []
    assert found(secret, repr(space)) is None
