"""Headers: whatever is done with them, they are as `requests`' own mapping."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict

from sleepwalker.connection._wire import Fields, Session

NAMES: Final = ("A", "a", "B", "b", "Content-Type", "content-type", "", "\u212a", b"A")
ODD: Final = (None, 3, ("A",))

names = st.sampled_from(NAMES)
values = st.sampled_from(("1", "2", "", None, b"3"))
mappings = st.dictionaries(names, values, max_size=3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("__setitem__"), names, values),
        st.tuples(st.sampled_from(("__getitem__", "__delitem__", "__contains__", "get")), names),
        st.tuples(st.sampled_from(("__getitem__", "__contains__", "get")), st.sampled_from(ODD)),
        st.tuples(st.sampled_from(("get", "setdefault", "pop")), names, values),
        st.tuples(st.just("pop"), names),
        st.tuples(st.just("update"), mappings),
        st.tuples(st.just("update"), mappings.map(lambda given: list(given.items()))),
        st.tuples(st.just("__eq__"), mappings),
        st.tuples(st.just("__eq__"), st.sampled_from((None, "a", [("A", "1")]))),
        st.tuples(st.just("__ne__"), mappings),
        st.tuples(st.sampled_from(("popitem", "clear", "copy", "__len__", "__bool__"))),
    ),
    max_size=12,
)


def done(mapping: Any, name: str, *args: Any) -> Any:
    """Give what a method gives, or raises."""
    try:
        if name == "__bool__":
            return bool(mapping)
        given = getattr(mapping, name)(*args)
    except (KeyError, AttributeError, TypeError) as error:
        return type(error), error.args if isinstance(error, KeyError) else ()
    return seen(given) if isinstance(given, CaseInsensitiveDict) else given


def seen(mapping: Any) -> Any:
    """Give all that can be seen of a mapping."""
    return (
        *(list(mapping.items()), list(mapping.keys()), list(mapping.values()), list(mapping)),
        *(list(mapping.lower_items()), len(mapping), repr(mapping), str(mapping), dict(mapping)),
    )


@examples(max_examples=80)
@given(mappings, steps)
def test_all_that_is_done_with_them_comes_to_the_same(
    begin: dict[Any, Any], steps: list[tuple[Any, ...]]
) -> None:
    ours, theirs = Fields(begin), CaseInsensitiveDict(begin)
    for name, *args in steps:
        assert done(ours, name, *args) == done(theirs, name, *args)
        assert seen(ours) == seen(theirs)
        assert ours == theirs
        assert theirs == ours
    for made in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):  # noqa: S301 - our own
        assert type(made) is CaseInsensitiveDict
        assert seen(made) == seen(theirs)
    other = ours.copy()
    other["A"] = "another"
    other.pop("b", None)
    assert seen(ours) == seen(theirs)
    assert [value for _, value in ours.pairs] == list(theirs.values())


@pytest.mark.parametrize(
    "given", [None, {}, {"A": "1"}, [("a", "1"), ("A", "2")], Fields({"A": 1})]
)
@pytest.mark.parametrize("more", [{}, {"A": "3", "b": "4"}])
def test_they_are_made_of_the_same(given: Any, more: Any) -> None:
    assert seen(Fields(given, **more)) == seen(CaseInsensitiveDict(given, **more))


@given(
    st.lists(st.tuples(st.sampled_from(("A", "a", "B", "set-cookie")), st.text("1,", max_size=2)))
)
def test_what_is_received_is_merged_the_same(pairs: list[tuple[str, str]]) -> None:
    assert seen(Fields.received(pairs)) == seen(CaseInsensitiveDict(HTTPHeaderDict(pairs)))


@pytest.mark.parametrize("change", ["set", "delete"])
def test_a_header_that_is_changed_while_another_thread_prepares_a_request_counts_for_the_next(
    change: str,
) -> None:
    own, url = Fields(), "http://example.com/"

    def prepared_meanwhile(frame: Any, *_: Any) -> Any:
        if frame.f_code.co_filename.endswith("/_fields.py"):
            sys.settrace(None)
            session.prepared("GET", url, own)
            sys.settrace(prepared_meanwhile)
            frame.f_trace = prepared_meanwhile
        return prepared_meanwhile

    session = Session()
    session.headers["X"] = "before"
    session.prepared("GET", url, own)
    before = sys.gettrace()
    sys.settrace(prepared_meanwhile)
    try:
        if change == "set":
            session.headers["X"] = "after"
        else:
            del session.headers["X"]
    finally:
        sys.settrace(before)

    expected = "after" if change == "set" else None
    assert session.prepared("GET", url, own).headers.get("X") == expected
