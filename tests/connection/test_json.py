"""JSON as it goes out: what each type becomes, and errors that name the type and where it sits."""

from __future__ import annotations

import codecs
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import inspect
import io
import json
import pathlib
import sys
import threading
import uuid
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker import Connection
from sleepwalker.connection._json import JsonEncoder, decode, encode
from sleepwalker.exceptions import EncodeError
from tests.planting import everything_in, found, new_secret

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Kind(enum.StrEnum):
    BOOK = "book"


class Flags(enum.Flag):
    ON = 4


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Book:
    title: str
    tags: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    number: int
    inner: Any = None


class Plain:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class ToDict(Plain):
    def to_dict(self) -> dict[str, Any]:
        return {"made": vars(self).get("x", 0)}


@dataclasses.dataclass
class ToDictToo:
    x: int

    def to_dict(self) -> dict[str, Any]:
        return {"made": self.x}


class OwnDict(collections.UserDict[str, int]):
    """A mapping that is no dict."""


class Slots:
    __slots__ = ("x",)


class Place:
    def __fspath__(self) -> str:
        return "/a/place"


# What each type becomes


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # json's own, as json has them
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (1.5, "1.5"),
        ("é\n", '"\\u00e9\\n"'),
        ([1, (2, 3)], "[1, [2, 3]]"),
        ({"a": {"b": None}}, '{"a": {"b": null}}'),
        (Point(1, 2), "[1, 2]"),
        (collections.OrderedDict(b=1, a=2), '{"b": 1, "a": 2}'),
        # to_dict() before all else
        (ToDict(x=7), '{"made": 7}'),
        (ToDictToo(7), '{"made": 7}'),
        # dataclasses
        (Book("x", {"b", "a"}), '{"title": "x", "tags": ["a", "b"]}'),
        (Slotted(1, Slotted(2)), '{"number": 1, "inner": {"number": 2, "inner": null}}'),
        # enums
        (Colour.RED, '"red"'),
        (Colour.PAIR, "[1, 2]"),
        (Level.LOW, "1"),
        (Kind.BOOK, '"book"'),
        (Flags.ON, "4"),
        # dates and times
        (dt.date(2024, 2, 29), '"2024-02-29"'),
        (dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC), '"2024-02-29T01:02:03+00:00"'),
        (dt.datetime(2024, 2, 29, 1, 2, 3, 4), '"2024-02-29T01:02:03.000004"'),  # noqa: DTZ001 - a user's own may be naive
        (dt.time(1, 2, 3), '"01:02:03"'),
        # UUID, Decimal, paths
        (uuid.UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
        (decimal.Decimal("0.10"), '"0.10"'),
        (decimal.Decimal("1E+400"), '"1E+400"'),
        (pathlib.PurePosixPath("/a/b"), '"/a/b"'),
        (Place(), '"/a/place"'),
        # bytes
        (b"caf\xc3\xa9", '"caf\\u00e9"'),
        (bytearray(b"x"), '"x"'),
        # sets and mappings
        ({3, 1, 2}, "[1, 2, 3]"),
        (frozenset({"b", "a"}), '["a", "b"]'),
        ({1: None}.keys(), "[1]"),
        ({"a": 1}.items(), '[["a", 1]]'),
        (MappingProxyType({"a": 1}), '{"a": 1}'),
        (OwnDict(a=1), '{"a": 1}'),
        (collections.ChainMap({"a": 1}, {"a": 2}), '{"a": 1}'),
        # then __dict__
        (Plain(a=1, b=Plain(c=2)), '{"a": 1, "b": {"c": 2}}'),
        (SimpleNamespace(a=1), '{"a": 1}'),
        (Plain(), "{}"),
        # anywhere within
        ([{"at": [Colour.RED, Book("x")]}], '[{"at": ["red", {"title": "x", "tags": []}]}]'),
    ],
)
def test_a_value_has_this_form(value: Any, text: str) -> None:
    assert JsonEncoder().encode(value) == text
    assert "".join(JsonEncoder().iterencode(value)) == text
    assert json.dumps(value, cls=JsonEncoder) == text
    file = io.StringIO()
    json.dump(value, file, cls=JsonEncoder)
    assert file.getvalue() == text


def test_a_set_that_cannot_be_sorted_is_a_list_all_the_same() -> None:
    assert sorted(json.loads(JsonEncoder().encode({1, "a"})), key=str) == [1, "a"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_what_json_can_encode_by_itself_is_encoded_as_json_does(value: Any) -> None:
    assert JsonEncoder().encode(value) == json.dumps(value)


# Its parameters


def test_its_parameters_are_those_of_the_reference() -> None:
    names = [
        f"{name}={parameter.default!r}"
        for name, parameter in inspect.signature(JsonEncoder).parameters.items()
    ]

    assert names == [
        "skipkeys=False",
        "ensure_ascii=True",
        "check_circular=True",
        "allow_nan=True",
        "sort_keys=False",
        "indent=None",
        "separators=None",
        "encoding='utf-8'",
        "default=None",
    ]
    assert issubclass(JsonEncoder, json.JSONEncoder)
    assert Connection.JsonEncoder is JsonEncoder


@pytest.mark.parametrize(
    ("parameters", "value", "text"),
    [
        ({"skipkeys": True}, {(1, 2): 3, "a": 1}, '{"a": 1}'),
        ({"ensure_ascii": False}, "é", '"é"'),
        ({"allow_nan": True}, float("nan"), "NaN"),
        ({"sort_keys": True}, Plain(b=1, a=2), '{"a": 2, "b": 1}'),
        ({"indent": 1}, Plain(a=1), '{\n "a": 1\n}'),
        ({"indent": "\t"}, [1], "[\n\t1\n]"),
        ({"separators": (",", ":")}, Plain(a=[1, 2]), '{"a":[1,2]}'),
        ({"encoding": "latin-1"}, b"caf\xe9", '"caf\\u00e9"'),
        ({"default": lambda _: "mine"}, Plain(a=1), '"mine"'),
        ({"default": lambda o: o.name}, Colour.RED, '"RED"'),
    ],
)
def test_a_parameter_means_what_it_says(parameters: dict[str, Any], value: Any, text: str) -> None:
    assert JsonEncoder(**parameters).encode(value) == text
    assert json.dumps(value, cls=JsonEncoder, **parameters) == text


def test_a_default_that_does_not_know_a_type_leaves_it_to_us() -> None:
    def default(o: Any) -> Any:
        if isinstance(o, Plain):
            return "mine"
        raise TypeError(o)

    assert JsonEncoder(default=default).encode([Plain(), Colour.RED]) == '["mine", "red"]'


def test_a_default_that_goes_on_for_ever_is_an_error_of_ours() -> None:
    # Whatever it gives is asked about again: json's own rule.
    encoder = JsonEncoder(default=lambda _: Plain(a=1), check_circular=False)

    with pytest.raises(EncodeError, match="nested too deeply"):
        encoder.encode(Plain())


def test_what_a_users_method_raises_is_the_users() -> None:
    class Broken:
        def to_dict(self) -> Any:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        JsonEncoder().encode([Broken()])


# What can't be encoded


def circle() -> Any:
    """Make a list in itself."""
    value: dict[str, Any] = {"a": []}
    value["a"].append(value)
    return value


def ring() -> Plain:
    """Make an object in itself."""
    value = Plain()
    value.self = value  # type: ignore[attr-defined]
    return value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "an object of type object at $"),
        ({"a": [1, {"b": object()}]}, "an object of type object at $.a[1].b"),
        (Plain(items=[Slots()]), "an object of type Slots at $.items[0]"),
        (Book("x", tags={1j}), "an object of type complex at $.tags[0]"),  # type: ignore[arg-type]
        ([threading.Lock()], "an object of type lock at $[0]"),
        ((n for n in "ab"), "an object of type generator at $"),
        ([lambda: 1], "an object of type function at $[0]"),
        ([len], "an object of type builtin_function_or_method at $[0]"),
        ([[].append], "an object of type builtin_function_or_method at $[0]"),
        ([ToDict().to_dict], "an object of type method at $[0]"),
        ([functools.partial(len)], "an object of type partial at $[0]"),
        ([json], "an object of type module at $[0]"),
        ([Book], "an object of type type at $[0]"),
        ([ToDict], "an object of type type at $[0]"),
        ([b"\xff"], "an object of type bytes at $[0]"),
        ([memoryview(b"x")], "an object of type memoryview at $[0]"),
        ([dt.timedelta(1)], "an object of type timedelta at $[0]"),
        ([...], "an object of type ellipsis at $[0]"),
        ({"a": {(1, 2): 3}}, "a key of type tuple at $.a"),
        ({b"a": 1}, "a key of type bytes at $"),
        ({Colour.RED: 1}, "a key of type Colour at $"),
        (Plain(a={uuid.UUID(int=1): 1}), "a key of type UUID at $.a"),
        (circle(), "a circular reference to dict at $.a[0]"),
        (ring(), "a circular reference to "),
        ([10**5000], "an integer of thousands of digits at $[0]"),
    ],
)
def test_what_cannot_be_encoded_is_an_error_that_names_its_type_and_place(
    value: Any, told: str
) -> None:
    for attempt in (JsonEncoder().encode, lambda v: json.dumps(v, cls=JsonEncoder), encode):
        with pytest.raises(EncodeError) as raised:
            attempt(value)
        assert str(raised.value).startswith(told)
        assert str(raised.value).endswith("can't be encoded as JSON")
        assert isinstance(raised.value, TypeError)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [float("nan")]}, "the number nan at $.a[0]"),
        ([float("inf")], "the number inf at $[0]"),
        (-float("inf"), "the number -inf at $"),
        ({"a": {float("nan"): 1}}, "the key nan at $.a"),
    ],
)
def test_a_number_that_is_no_json_is_an_error_in_a_request(value: Any, told: str) -> None:
    with pytest.raises(EncodeError) as raised:
        encode(value)

    assert str(raised.value) == f"{told} can't be encoded as JSON"
    assert JsonEncoder().encode(value)


def test_keys_that_cannot_be_sorted_are_an_error_that_says_where() -> None:
    with pytest.raises(EncodeError, match=r"^a dict with keys of several types .* at \$\.a\[0\] "):
        JsonEncoder(sort_keys=True).encode({"a": [{1: 2, "b": 3}]})


@pytest.mark.parametrize("value", [[1j], "text"])
def test_a_place_is_found_below_tuples_and_numbers(value: Any) -> None:
    with pytest.raises(EncodeError, match=r"^an object of type object at \$\.a\[1\]\[0\] "):
        encode({"a": (1.5, [object(), value])})


def test_a_key_that_is_skipped_is_not_what_is_blamed() -> None:
    with pytest.raises(EncodeError, match=r"^an object of type object at \$\.b "):
        JsonEncoder(skipkeys=True).encode({(1, 2): 3, "b": object()})


@pytest.mark.parametrize("depth", [900, 990, 1000, 1100, 5000, 100_000])
@pytest.mark.parametrize("leaf", [None, object()], ids=["a good leaf", "a bad leaf"])
def test_a_value_nested_however_deep_is_encoded_or_an_error_of_ours(depth: int, leaf: Any) -> None:
    value = leaf
    for _ in range(depth):
        value = [value]

    try:
        text = JsonEncoder().encode(value)
    except EncodeError as error:
        assert "nested" in str(error) or "an object of type object at $" in str(error)  # noqa: PT017 - either is right: interpreters differ in how deep they go
    else:
        assert leaf is None
        assert text == "[" * depth + "null" + "]" * depth


def test_an_object_that_becomes_a_new_one_for_ever_is_an_error_of_ours() -> None:
    class Endless:
        def to_dict(self) -> Any:
            return {"next": Endless()}

    with pytest.raises(EncodeError, match="nested too deeply"):
        JsonEncoder().encode(Endless())


def test_an_error_quotes_no_value() -> None:
    secret = new_secret()

    class Holder:
        __slots__ = ("token",)

        def __init__(self) -> None:
            self.token = secret

        def __repr__(self) -> str:
            return secret

    for value in (
        {"password": secret, "holder": Holder()},
        [secret, secret.encode() + b"\xff"],
        {(secret,): 1},
    ):
        with pytest.raises(EncodeError) as raised:
            encode(value)
        assert [text for text in everything_in(raised.value) if found(secret, text)] == []


# Bodies of requests


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({}, b"{}"),
        ([], b"[]"),
        ("", b'""'),
        (0, b"0"),
        (False, b"false"),
        ({"é": "\N{GRINNING FACE}"}, b'{"\\u00e9": "\\ud83d\\ude00"}'),
        ("\ud800", b'"\\ud800"'),
    ],
)
def test_a_body_is_ascii_whatever_is_in_it(value: Any, body: bytes) -> None:
    assert encode(value) == body


def test_encoding_leaves_no_trace_on_the_recursion_limit() -> None:
    before = sys.getrecursionlimit()
    with pytest.raises(EncodeError):
        encode(circle())
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize("make", [dict, list, Plain])
def test_a_value_may_stand_in_several_places(make: Callable[[], Any]) -> None:
    shared = make()

    assert JsonEncoder().encode([shared, {"a": shared}])


# By hand


@pytest.mark.parametrize("value", [object(), len, b"\xff"])
def test_the_default_of_an_encoder_names_the_type_that_it_does_not_know(value: Any) -> None:
    class Own(JsonEncoder):
        def default(self, o: Any) -> Any:
            return super().default(o)

    for encoder in (JsonEncoder(), Own()):
        with pytest.raises(EncodeError, match=f"an object of type {type(value).__name__} can't"):
            encoder.default(value)
    with pytest.raises(EncodeError, match=rf"type {type(value).__name__} at \$\[1\] can't"):
        Own().encode([1, value])


def test_a_slot_that_was_never_filled_is_named_by_its_object_and_place() -> None:
    @dataclasses.dataclass(slots=True)
    class Half:
        title: str

    half = object.__new__(Half)
    with pytest.raises(EncodeError, match=r"type Half at \$\.book can't be encoded"):
        JsonEncoder().encode({"book": half})


# What comes in


@pytest.mark.parametrize("charset", [None, "utf-8", "UTF-8", "no-such-charset"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_json_is_utf_8_with_a_byte_order_mark_or_without(charset: str | None, mark: bytes) -> None:
    assert decode(mark + '{"n": "Müller"}'.encode(), charset) == {"n": "Müller"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_other_unicode_encodings_are_seen_by_their_first_bytes(encoding: str) -> None:
    assert decode('{"n": "Müller"}'.encode(encoding)) == {"n": "Müller"}


def test_a_charset_that_is_named_is_taken_at_its_word() -> None:
    assert decode('{"n": "Müller"}'.encode("latin-1"), "iso-8859-1") == {"n": "Müller"}


def test_what_is_not_text_in_its_charset_is_not_json() -> None:
    for charset in (None, "utf-8"):
        with pytest.raises(UnicodeDecodeError):
            decode('{"n": "Müller"}'.encode("latin-1"), charset)
