"""Forms are filled in, checked and encoded as their links say."""

from __future__ import annotations

from typing import Any

import pytest

from sleepwalker.exceptions import FormError
from sleepwalker.links import Field, Link
from sleepwalker.links._forms import filled

FORM = "application/x-www-form-urlencoded"


def link(**said: Any) -> Link:
    """Make a link to a form."""
    return Link(
        **{"rel": "do", "href": "/do", "base": "https://a.example/", "method": "POST", **said}
    )


@pytest.mark.parametrize(
    ("sends", "sent"),
    [
        (FORM, {"a": "true", "b": "0", "c": ["1", "false"], "d": "x"}),
        ("multipart/form-data", None),
    ],
)
def test_values_in_forms_are_text(sends: str, sent: Any) -> None:
    fields = tuple(Field(name) for name in "abcde")
    value = {"a": True, "b": 0, "c": [1, False], "d": "x", "e": None}

    content = filled(link(fields=fields, sends=sends), value).content

    if sent is None:
        parts = [("a", "true"), ("b", "0"), ("c", "1"), ("c", "false"), ("d", "x")]
        assert content.files == [(name, (None, text)) for name, text in parts]
    else:
        assert content.data == sent


def test_files_are_sent_as_requests_takes_them() -> None:
    with open(__file__, "rb") as file:  # noqa: PTH123 - as callers do
        value = {"one": file, "two": ("name.txt", b"text", "text/plain")}

        assert filled(link(sends="multipart/form-data"), value).content.files == list(value.items())


def test_none_is_null_in_json_and_leaves_a_field_out_elsewhere() -> None:
    fields = (Field("a", "1"), Field("b", "2"), Field("c"))
    value = {"a": None, "c": None}

    as_json = filled(link(fields=fields, sends="application/json"), value).content.json
    as_form = filled(link(fields=fields, sends=FORM), value).content.data

    assert as_json == {"a": None, "b": "2", "c": None}
    assert as_form == {"b": "2"}
    assert filled(link(fields=fields, method="GET"), value).params == {"b": "2"}


def test_what_is_required_is_not_left_out() -> None:
    form = link(fields=(Field("a", required=True),), sends=FORM)

    for value in ({}, {"a": None}, None):
        with pytest.raises(FormError, match="requires a"):
            filled(form, value)


def test_a_form_may_take_fields_that_it_does_not_name() -> None:
    fields = (Field("a"),)

    with pytest.raises(FormError, match="has no field b; it has a"):
        filled(link(fields=fields), {"b": 1})
    data = filled(link(fields=fields, any_field=True), {"b": 1}).content.json
    assert data == {"b": 1}


@pytest.mark.parametrize("method", ["PUT", "put", "PATCH"])
def test_a_form_that_is_submitted_says_nothing_of_other_methods(method: str) -> None:
    submitted = link(
        method="GET", submits="POST", fields=(Field("a", required=True),), sends="text/csv"
    )

    content = filled(submitted, {"b": 1}, method).content

    assert (content.json, content.media_type) == ({"b": 1}, "application/json")


def test_a_link_that_is_followed_by_get_submits_its_form_by_its_own_method() -> None:
    submitted = link(method="GET", submits="POST", fields=(Field("a"),), sends="application/json")

    for method in (None, "POST"):
        made = filled(submitted, {"a": 1}, method)
        assert (made.params, made.content.json) == (None, {"a": 1})
    assert filled(submitted, {"b": True}, "GET").params == {"b": "true"}


def test_another_method_than_the_links_own_sends_a_body_all_the_same() -> None:
    made = filled(link(method="GET"), {"a": 1}, "PUT")

    assert (made.params, made.content.json) == (None, {"a": 1})


@pytest.mark.parametrize(
    ("said", "value", "says"),
    [
        ({"sends": FORM}, 7, "fields by name, not int"),
        ({"sends": "text/csv"}, {"a": 1}, "send text or bytes"),
        ({"method": "GET"}, [1], "fields by name, not list"),
        ({"fields": (Field("a"),)}, [1], "fields by name, not list"),
    ],
)
def test_a_value_that_a_form_can_not_send_is_an_error(
    said: dict[str, Any], value: Any, says: str
) -> None:
    with pytest.raises(FormError, match=says):
        filled(link(**said), value)


@pytest.mark.parametrize("value", ["a;b", b"a;b"])
def test_text_and_bytes_are_sent_as_they_are(value: Any) -> None:
    content = filled(link(sends="text/csv"), value).content

    assert (content.data, content.media_type) == (value, "text/csv")
