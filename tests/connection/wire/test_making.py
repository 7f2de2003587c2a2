"""Requests of the usual kind: made the short way, they are those that `requests` would make."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth, HTTPDigestAuth
from requests.structures import CaseInsensitiveDict

from sleepwalker import ANONYMOUS
from sleepwalker.connection._wire import Fields, Session
from sleepwalker.connection._wire._jar import Jar
from sleepwalker.connection._wire._making import usual

if TYPE_CHECKING:
    from collections.abc import Callable

URL: Final = "https://api.example.com/v1/books?page=2"

Facts = dict[str, Any]


def facts(made: requests.PreparedRequest) -> Facts:
    """Give all that a request is, the order of its headers and its types included."""
    state = {name: getattr(made, name) for name in {*vars(made), *vars(requests.PreparedRequest())}}
    types = {name: type(value) for name, value in state.items() if name != "headers"}
    assert isinstance(made.headers, CaseInsensitiveDict)
    state["headers"] = list(made.headers.items())
    # Cookies are not equal to their like.
    return {**state, "_cookies": repr(list(state["_cookies"] or ())), "types": types}


def by_requests(session: Session, method: str, url: str, headers: Any, *body_and_query: Any) -> Any:
    """Give what `requests` makes of it, or the type of its error."""
    data, query = (*body_and_query, None)[:2]
    request = requests.Request(
        method, url, headers=headers, data=data, auth=ANONYMOUS, params=query
    )
    try:
        return facts(session.prepare_request(request))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return type(error)


def ours(session: Session, method: str, url: str, headers: Any, *body_and_query: Any) -> Any:
    """Give what we make of it, whichever way."""
    data, query = (*body_and_query, None)[:2]
    try:
        return facts(session.prepared(method, url, headers, data=data, params=query))
    except Exception as error:  # noqa: BLE001 - as above
        return type(error)


# Whatever it is made of

PLAIN: Final = "abcXYZ019_~!$&'()*+,;=:@-."
ODD: Final = '/?#% %2F%7e"<>[]\\^`{|}éß\n\t'
NAMES: Final = ("Accept", "accept", "X-Name", "Content-Length", "Content-Type", "Cookie", "Host")

parts = st.text(PLAIN, max_size=6) | st.sampled_from((".", "..", "", ".a", "a..b", "%41", "%7E"))
paths = st.lists(parts, max_size=4).map("/".join) | st.text(PLAIN + ODD, max_size=12)
queries = st.one_of(
    st.just(""),
    st.text(PLAIN + "/?", max_size=8).map("?{}".format),
    st.text(PLAIN + ODD, max_size=8).map("?{}".format),
)
places = st.sampled_from(
    (
        *(
            "http://example.com",
            "https://example.com",
            "https://a-b.example.com.",
            "http://10.0.0.1",
        ),
        *("http://example.com:80", "https://example.com:8443", "http://example.com:64999"),
        *("http://example.com:65535", "http://example.com:65536", "http://example.com:0"),
        *(
            "HTTP://example.com",
            "http://Example.com",
            "http://[::1]:80",
            "http://b\xfccher.example",
        ),
        *("http://user@example.com", "http://xn--bcher-kva.example", "http://1", "http://a..b"),
        *("http://-a.example", "http://a_b.example", "ftp://example.com", "http://"),
    )
)
odd_urls = st.builds("{}{}{}{}".format, places, st.sampled_from(("/", "", "//")), paths, queries)
plain_parts = st.text(PLAIN.replace(".", ""), min_size=1, max_size=6)
plain_urls = st.builds(
    "{}/{}{}".format,
    st.sampled_from(("http://example.com", "https://example.com:8443")),
    st.lists(plain_parts | st.just("a..b.c."), max_size=4).map("/".join),
    st.just("") | st.text(PLAIN + "/?", min_size=1, max_size=8).map("?{}".format),
)
urls = plain_urls | plain_urls | odd_urls
values = st.none() | st.sampled_from(("", "text", "3", b"bytes", "caf\xe9"))
headers = st.dictionaries(st.sampled_from(NAMES), values, max_size=4).map(Fields)
usual_bodies = st.sampled_from((None, b"", b"bytes"))
odd_bodies = st.sampled_from(("", "text", {"a": "1"}, [("a", "1")], bytearray(b"x")))
bodies = usual_bodies | usual_bodies | odd_bodies
methods = st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X-OWN"))


texts = st.text(PLAIN + ODD + " +;", max_size=5)
plain_values = (
    st.none() | texts | st.integers() | st.lists(st.none() | texts | st.integers(), max_size=3)
)
odd_values = st.sampled_from((1.5, True, b"bytes", ("a", "b"), {"a": "1"}, [[]], [True]))
usual_params = st.none() | st.dictionaries(texts, plain_values, max_size=3)
odd_params = st.sampled_from(("a=1&b=%41", b"a=1", [("a", "1")], {1: "a"}, {b"a": "1"}))
params = usual_params | usual_params | st.dictionaries(texts, odd_values, max_size=2) | odd_params
cookies = st.lists(
    st.tuples(st.sampled_from("ab"), texts, st.sampled_from(("", "example.com", ".example.com"))),
    max_size=2,
)


def short(session: Session, *asked: Any) -> Any:
    """Give what is made the short way, and of a copy of it; `None` if nothing is."""
    try:
        made = usual(session, *asked)
    except Exception as error:  # noqa: BLE001 - as above
        return [type(error)] * 2
    return None if made is None else [facts(made), facts(made.copy())]


@examples(max_examples=150)
@given(st.tuples(methods, urls, headers, bodies, params), headers, cookies)
def test_what_is_made_the_short_way_is_what_requests_makes(
    asked: Any, common: Any, jar: list[tuple[str, str, str]]
) -> None:
    session = Session()
    session.headers.update(common)
    for name, value, domain in jar:
        session.cookies.set(name, value, domain=domain)

    expected = by_requests(session, *asked)

    assert short(session, *asked) in (None, [expected, expected])
    assert ours(session, *asked) == expected


@pytest.mark.parametrize(
    ("url", "query"),
    [
        (URL, {"q": "a b&c", "n": 3, "none": None}),
        ("https://api.example.com/v1/a%20b/caf%C3%A9%2F", None),
        ("https://api.example.com/", {"ids": [1, 2, "\xe9~"]}),
        ("https://api.example.com/", {}),
    ],
)
def test_parameters_and_what_is_encoded_are_usual(url: str, query: Any) -> None:
    session = Session()
    session.cookies.set("a", "1")

    made = usual(session, "GET", url, Fields(), None, query)

    assert made is not None
    assert facts(made) == by_requests(session, "GET", url, {}, None, query)


@pytest.mark.parametrize("url", [URL, "http://localhost:8000/", "https://a.b/c/d.json?x=1&y=/?"])
@pytest.mark.parametrize(("method", "data"), [("GET", None), ("POST", b"{}"), ("DELETE", None)])
def test_what_is_usual_is_made_the_short_way(url: str, method: str, data: bytes | None) -> None:
    session, own = Session(), Fields({"Accept": "application/json", "x": None})

    made = usual(session, method, url, own, data)

    assert made is not None
    assert facts(made) == by_requests(session, method, url, own, data)


@pytest.mark.parametrize(
    "auth", [HTTPBasicAuth("user", "secret"), HTTPDigestAuth("user", "secret")]
)
def test_an_auth_does_the_same_to_it(auth: Any) -> None:
    session = Session()
    short = usual(session, "PUT", URL, Fields(), b"body")
    long = session.prepare_request(requests.Request("PUT", URL, data=b"body", auth=ANONYMOUS))

    assert short is not None
    for made in (short, long):
        made.prepare_auth(auth, URL)
    assert [len(made.hooks["response"]) for made in (short, long)] == [
        2 * isinstance(auth, HTTPDigestAuth)
    ] * 2
    # The hooks are methods of whichever request they are for.
    assert {**facts(short), "hooks": ()} == {**facts(long), "hooks": ()}


def test_each_has_headers_hooks_and_cookies_of_its_own() -> None:
    session = Session()
    one, other = (usual(session, "GET", URL, Fields(), None) for _ in range(2))

    assert one is not None
    assert other is not None
    one.headers["X"] = "1"
    one.register_hook("response", print)
    getattr(one, "_cookies").set("a", "b")  # noqa: B009 - it is theirs
    assert facts(other) == by_requests(session, "GET", URL, {}, None)


# Whatever the session was made


class OwnJar(CookieJar):
    """A jar of the user's own kind, which has no cookies."""

    is_empty = True

    def __iter__(self) -> Any:
        return iter(Jar())


def cookie(session: Session) -> None:
    session.cookies.set("a", "1")


def late(**attributes: Any) -> Callable[[Session], None]:
    """Set attributes of a session."""

    def change(session: Session) -> None:
        for name, value in attributes.items():
            setattr(session, name, value)

    return change


def another_prepare_request(_: requests.Request) -> requests.PreparedRequest:
    return requests.Request("PATCH", "https://elsewhere.example.com/").prepare()


CHANGES: Final = {
    "a cookie": cookie,
    "cookies in a dict": late(cookies={"a": "1"}),
    "no cookies, in a dict": late(cookies={}),
    "a plain jar": late(cookies=CookieJar()),
    "a jar of one's own": late(cookies=OwnJar()),
    "headers in a dict": late(headers={"accept": "x", "Accept": "y", "X-None": None}),
    "a header that is None": late(headers=Fields({"Accept": None, "X": "1"})),
    "a header that is a number": late(headers=CaseInsensitiveDict({"X": 1})),
    "headers in a list": late(headers=[("X", "1")]),
    "no headers": late(headers=None),
    "params": late(params={"a": "1"}),
    "params of None": late(params=None),
    "a hook": late(hooks={"response": [facts]}),
    "a hook that is not in a list": late(hooks={"response": facts}),
    "a hook of no known event": late(hooks={"request": [facts]}),
    "hooks that are empty": late(hooks={}),
    "hooks in a tuple": late(hooks={"response": ()}),
    "hooks of None": late(hooks=None),
    "auth": late(auth=("user", "secret")),
    "no trust": late(trust_env=False),
    "another prepare_request": late(prepare_request=another_prepare_request),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("own", [{}, {"Accept": None, "x": "2"}])
def test_what_a_session_was_made_later_counts(what: str, own: dict[str, Any]) -> None:
    session, own_headers = Session(), Fields(own)
    before = ours(session, "POST", URL, own_headers, b"{}")
    CHANGES[what](session)

    after = ours(session, "POST", URL, own_headers, b"{}")

    assert before == by_requests(Session(), "POST", URL, own_headers, b"{}")
    assert after == by_requests(session, "POST", URL, own_headers, b"{}")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (requests.Session, "prepare_request"),
        (requests.PreparedRequest, "prepare"),
        (requests.PreparedRequest, "prepare_method"),
        (requests.PreparedRequest, "prepare_url"),
        (requests.PreparedRequest, "prepare_headers"),
        (requests.PreparedRequest, "prepare_cookies"),
        (requests.PreparedRequest, "prepare_body"),
        (requests.PreparedRequest, "prepare_content_length"),
        (requests.PreparedRequest, "prepare_auth"),
        (requests.PreparedRequest, "prepare_hooks"),
    ],
)
def test_who_patches_what_makes_requests_is_called_until_it_is_put_back(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    called: list[str] = []
    original = getattr(owner, name)

    def patched(*args: Any, **kwargs: Any) -> Any:
        called.append(name)
        return original(*args, **kwargs)

    session = Session()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, patched)
        session.prepared("GET", URL, Fields())
    assert set(called) == {name}
    called.clear()
    session.prepared("GET", URL, Fields())

    assert called == []


@pytest.mark.parametrize(
    "unusual",
    [
        {"params": {"a": "1"}},
        {"params": {}},
        {"params": b"a=1"},
        {"cookies": {"a": "1"}},
        {"cookies": Jar()},
        {"files": {"f": b"x"}},
        {"hooks": {"response": [facts]}},
        {"hooks": {}},
    ],
)
def test_what_else_a_request_has_is_in_it(unusual: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("requests.models.encode_multipart_formdata", lambda _: (b"parts", "form"))
    session = Session()
    request = requests.Request("POST", URL, auth=ANONYMOUS, **unusual)

    made = session.prepared("POST", URL, Fields(), **unusual)

    assert facts(made) == facts(session.prepare_request(request))
