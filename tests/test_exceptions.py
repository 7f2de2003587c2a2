"""The error tree: drawn as it is, caught as its counterparts, pickled without a credential.

Rules:

1. The drawing in `sleepwalker.exceptions` is read here and compared with the classes, both ways.
2. What holds for every error is tested with every error; a new one is in these tests by itself.
3. Secrets are planted in raw requests and responses: what the layers above redact is not trusted.
"""

from __future__ import annotations

import builtins
import json
import pickle
import re
import threading
from typing import Any, NamedTuple
from unittest import mock

import pytest
import requests
import requests.exceptions

import sleepwalker
from sleepwalker import exceptions
from sleepwalker.connection import HookOutcome
from sleepwalker.exceptions import (
    CertificateError,
    ClientHTTPError,
    ConfigurationError,
    ConnectError,
    ConnectTimeout,
    CredentialsError,
    CrossOriginError,
    DeadlineExceeded,
    DecodeError,
    EncodeError,
    EstablishmentError,
    HeaderError,
    HookError,
    HTTPError,
    HTTPNotFound,
    PlaintextError,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    ReentrantFindError,
    RefusedError,
    ResponseTooLarge,
    ServerHTTPError,
    SleepwalkerException,
    TLSError,
    TooManyRedirects,
    TransportError,
    URLError,
)
from tests.planting import everything_in, found, new_secret

ERRORS: list[type[SleepwalkerException]] = [getattr(exceptions, n) for n in exceptions.__all__]
STATUS_ERRORS = sorted(HTTPError.code_map.items())


def answer(
    status: int = 500, body: bytes = b"{}", content_type: str = "application/json"
) -> requests.Response:
    """Make a response as `requests` makes it."""
    response = requests.Response()
    response.status_code = status
    response.reason = "Reason"
    response.url = "https://api.example/books"
    response.headers["Content-Type"] = content_type
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response._content = body  # noqa: SLF001 - `requests` has no public way to give a response its body
    return response


def make(cls: type[SleepwalkerException], **context: Any) -> SleepwalkerException:
    """Make an error of any class."""
    if issubclass(cls, HTTPError):
        return cls(context.pop("response", answer()), **context)
    return cls("it failed", **context)


# The tree as it is drawn


class Drawn(NamedTuple):
    """What the drawing says."""

    edges: set[tuple[str, str]]
    """(class, base) pairs."""
    foreign: dict[str, set[str]]
    """The foreign bases of each class, as ``builtin X`` or ``requests X``."""


def drawn() -> Drawn:
    """Read the tree in the module's docstring."""
    edges: set[tuple[str, str]] = set()
    foreign: dict[str, set[str]] = {}
    above: list[str] = []
    for line in (exceptions.__doc__ or "").partition("::\n\n")[2].splitlines():
        match = re.fullmatch(r"    ((?:[│├└ ][─ ]{3})*)((?:\w+, )*\w+)?(?: .*|\[.*)?", line)
        assert match, line
        if match[2]:
            depth, names = len(match[1]) // 4, match[2].split(", ")
            del above[depth:]
            edges.update((name, above[-1]) for name in names if above)
            above.append(names[0])
        brackets = re.search(r"\[(.*)\]", line)
        if brackets:
            foreign[above[-1]] = {
                part if " " in part else f"builtin {part}" for part in brackets[1].split(", ")
            }
    return Drawn(edges, foreign)


def is_ours(cls: type) -> bool:
    return issubclass(cls, SleepwalkerException)


MODULES = {"builtins": "builtin", "requests.exceptions": "requests"}
"""What the drawing calls the modules that foreign bases are from."""

DRAWN_APART = {cls.__name__ for _, cls in STATUS_ERRORS}
"""One class for each status: the drawing only says what they hang from."""


def test_the_tree_is_drawn_as_it_is() -> None:
    edges = {
        (cls.__name__, base.__name__)
        for cls in ERRORS
        for base in cls.__bases__
        if is_ours(base) and cls.__name__ not in DRAWN_APART
    }

    assert drawn().edges == edges


def test_the_foreign_bases_are_drawn_as_they_are() -> None:
    foreign = {
        cls.__name__: {
            f"{MODULES[base.__module__]} {base.__name__}"
            for base in cls.__bases__
            if not is_ours(base)
        }
        for cls in ERRORS
        if cls is not SleepwalkerException
    }

    assert drawn().foreign == {name: bases for name, bases in foreign.items() if bases}


def test_the_classes_for_statuses_hang_from_the_client_and_server_errors() -> None:
    bases = {status: cls.__bases__ for status, cls in STATUS_ERRORS}

    assert bases == {
        status: ((ClientHTTPError,) if status < 500 else (ServerHTTPError,)) for status in bases
    }


def test_every_error_of_the_module_is_exported_there_and_by_the_facade() -> None:
    defined = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }

    assert defined == set(exceptions.__all__)
    assert [
        n for n in exceptions.__all__ if getattr(sleepwalker, n) is not vars(exceptions)[n]
    ] == []


def test_every_error_says_what_it_means() -> None:
    assert [cls.__name__ for cls in ERRORS if not cls.__doc__] == []


# Counterparts


@pytest.mark.parametrize(
    ("ours", "counterpart"),
    [
        (exceptions.ConnectionError, builtins.ConnectionError),
        (TransportError, builtins.ConnectionError),
        (TransportError, requests.exceptions.ConnectionError),
        (ConnectError, requests.exceptions.ConnectionError),
        (ProtocolError, requests.exceptions.ConnectionError),
        (ProtocolError, requests.exceptions.ChunkedEncodingError),
        (ResponseTooLarge, requests.exceptions.ConnectionError),
        (ProxyError, requests.exceptions.ProxyError),
        (TLSError, requests.exceptions.SSLError),
        (CertificateError, requests.exceptions.SSLError),
        (exceptions.TimeoutError, builtins.TimeoutError),
        (exceptions.TimeoutError, builtins.ConnectionError),
        (exceptions.TimeoutError, requests.exceptions.Timeout),
        (ConnectTimeout, requests.exceptions.ConnectTimeout),
        (ConnectTimeout, requests.exceptions.ConnectionError),
        (ReadTimeout, requests.exceptions.ReadTimeout),
        (DeadlineExceeded, requests.exceptions.Timeout),
        (HTTPError, requests.exceptions.HTTPError),
        (TooManyRedirects, requests.exceptions.TooManyRedirects),
        (DecodeError, requests.exceptions.JSONDecodeError),
        (DecodeError, ValueError),
        (EncodeError, TypeError),
        (EncodeError, ValueError),
        (URLError, requests.exceptions.InvalidURL),
        (URLError, builtins.ConnectionError),
        (EstablishmentError, builtins.ConnectionError),
        (ConfigurationError, ValueError),
        (HookError, TypeError),
        (HeaderError, requests.exceptions.InvalidHeader),
        (CrossOriginError, RefusedError),
        (ReentrantFindError, RefusedError),
        (CredentialsError, RefusedError),
        (PlaintextError, RefusedError),
    ],
)
def test_an_error_is_caught_as_its_counterpart(
    ours: type[SleepwalkerException], counterpart: type[BaseException]
) -> None:
    with pytest.raises(counterpart):
        raise make(ours)


@pytest.mark.parametrize(
    "refusal", [cls for cls in ERRORS if issubclass(cls, RefusedError)], ids=lambda c: c.__name__
)
def test_a_refusal_is_no_error_of_the_wire(refusal: type[SleepwalkerException]) -> None:
    assert not issubclass(refusal, TransportError | exceptions.TimeoutError | HTTPError)


# What every error carries


@pytest.mark.parametrize("cls", ERRORS, ids=lambda c: c.__name__)
def test_an_error_without_context_says_so(cls: type[SleepwalkerException]) -> None:
    error = make(cls)

    assert (error.request, error.attempts, error.elapsed) == (None, 0, None)
    assert (error.retry_after, error.outcome_unknown) == (None, False)
    assert (error.response is None) == (not issubclass(cls, HTTPError))


@pytest.mark.parametrize("cls", ERRORS, ids=lambda c: c.__name__)
def test_an_error_carries_what_it_was_given(cls: type[SleepwalkerException]) -> None:
    request, response = requests.PreparedRequest(), answer()

    error = make(
        cls,
        request=request,
        response=response,
        attempts=3,
        elapsed=1.5,
        retry_after=7.0,
        outcome_unknown=True,
        error_type="proxy",
    )

    assert error.request is request
    assert error.response is response
    assert (error.attempts, error.elapsed, error.retry_after) == (3, 1.5, 7.0)
    assert (error.outcome_unknown, error.error_type) == (True, "proxy")


def test_the_text_of_an_error_tells_attempts_time_and_an_unknown_outcome() -> None:
    error = ProtocolError("POST /reviews: reset", attempts=2, elapsed=0.25, outcome_unknown=True)

    assert error.message == "POST /reviews: reset"
    assert str(error) == (
        "POST /reviews: reset (outcome unknown: the request may have been processed; "
        "attempts: 2; elapsed: 0.250 s)"
    )
    assert repr(error) == "ProtocolError('POST /reviews: reset')"


def test_the_text_of_an_error_before_any_attempt_is_its_message_alone() -> None:
    assert str(URLError("no host name", elapsed=0.25)) == "no host name"


def test_the_text_of_a_status_error_tells_what_was_asked_and_when_to_try_again() -> None:
    request = requests.Request("GET", "https://api.example/books").prepare()

    error = HTTPError(answer(503), request=request, attempts=3, elapsed=2.0, retry_after=120.0)

    assert str(error) == (
        "HTTP 503 Reason for GET https://api.example/books, to be tried again after 120 s "
        "(attempts: 3; elapsed: 2.000 s)"
    )


# Pickles

SECRETS = {
    place: new_secret()
    for place in (
        "authorization",
        "request cookie",
        "api key",
        "a header that nobody thought of",
        "request userinfo",
        "request query",
        "request fragment",
        "request body",
        "set-cookie",
        "location",
        "response userinfo",
        "response query",
        "cause",
    )
}


def raw_request() -> requests.PreparedRequest:
    """Make a request full of secrets."""
    return requests.Request(
        "POST",
        f"https://{SECRETS['request userinfo']}:pw@api.example/books"
        f"?sig={SECRETS['request query']}&page=2#{SECRETS['request fragment']}",
        headers={
            "Authorization": f"Bearer {SECRETS['authorization']}",
            "Cookie": f"sid={SECRETS['request cookie']}",
            "X-Api-Key": SECRETS["api key"],
            "X-Whatever": SECRETS["a header that nobody thought of"],
            "Content-Type": "text/plain",
        },
        data=SECRETS["request body"],
    ).prepare()


def raw_response() -> requests.Response:
    """Make a response full of secrets."""
    response = answer(503, b'{"error_text": "busy", "hint": 7}')
    response.request = raw_request()
    response.url = (
        f"https://user:{SECRETS['response userinfo']}@api.example/books"
        f"?token={SECRETS['response query']}"
    )
    response.headers.update(
        {
            "Set-Cookie": f"sid={SECRETS['set-cookie']}",
            "Location": f"https://api.example/?token={SECRETS['location']}",
            "Retry-After": "7",
        }
    )
    response.cookies.set("sid", SECRETS["set-cookie"])
    response.history = [answer(302)]
    response.history[0].headers["Set-Cookie"] = SECRETS["set-cookie"]
    return response


def raw_error(cls: type[SleepwalkerException]) -> SleepwalkerException:
    """Make an error of any class from what nobody redacted."""
    error = make(
        cls,
        request=raw_request(),
        response=raw_response(),
        attempts=3,
        elapsed=1.5,
        retry_after=7.0,
        outcome_unknown=True,
    )
    error.__cause__ = OSError(SECRETS["cause"])
    return error


@pytest.mark.parametrize("cls", ERRORS, ids=lambda c: c.__name__)
def test_every_error_pickles_with_what_it_tells(cls: type[SleepwalkerException]) -> None:
    error = raw_error(cls)

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made two lines above

    assert type(again) is cls
    assert (again.message, repr(again), again.args) == (error.message, repr(error), error.args)
    assert (again.attempts, again.elapsed, again.retry_after) == (3, 1.5, 7.0)
    assert (again.outcome_unknown, again.error_type) == (True, error.error_type)
    assert (again.request.method, again.request.url) == ("POST", "https://api.example/books")
    assert dict(again.request.headers) == {"Content-Type": "text/plain", "Content-Length": "29"}
    assert (again.response.status_code, again.response.reason) == (503, "Reason")
    assert again.response.url == "https://api.example/books"
    assert dict(again.response.headers) == {"Content-Type": "application/json", "Retry-After": "7"}
    assert again.response.json() == {"error_text": "busy", "hint": 7}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_pickles_under_every_protocol(protocol: int) -> None:
    error = HTTPNotFound(answer(404), attempts=1)

    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - made here

    assert (type(again), str(again)) == (HTTPNotFound, str(error))


@pytest.mark.parametrize("cls", ERRORS, ids=lambda c: c.__name__)
def test_no_pickle_holds_a_credential_though_nobody_redacted(
    cls: type[SleepwalkerException],
) -> None:
    pickled = pickle.dumps(raw_error(cls))

    told = "\n".join([pickled.decode("latin-1"), *everything_in(pickle.loads(pickled))])  # noqa: S301 - as above

    assert [place for place, secret in SECRETS.items() if found(secret, told)] == []


@pytest.mark.parametrize("cls", ERRORS, ids=lambda c: c.__name__)
def test_no_repr_shows_a_credential_though_nobody_redacted(cls: type[SleepwalkerException]) -> None:
    assert [place for place, secret in SECRETS.items() if found(secret, repr(raw_error(cls)))] == []


@pytest.mark.parametrize("cls", [cls for _, cls in STATUS_ERRORS], ids=lambda c: c.__name__)
def test_a_status_error_pickles_with_what_20_gave_it(cls: type[HTTPError]) -> None:
    again = pickle.loads(pickle.dumps(raw_error(cls)))  # noqa: S301 - made here

    assert (again.http_code, again.json_data, again.text) == (
        503,
        {"error_text": "busy", "hint": 7},
        None,
    )
    assert dict(again.headers) == {"Content-Type": "application/json", "Retry-After": "7"}


def test_a_pickle_keeps_the_first_64_kib_of_a_body() -> None:
    error = DecodeError("no JSON", response=answer(200, b"x" * 70_000))

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here

    assert again.response.content == b"x" * 65_536


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error_text": "no " * 40_000, "rows": [*range(20_000)]}).encode(),
        json.dumps([{"id": number, "name": new_secret()} for number in range(20_000)]).encode(),
        b"x" * 300_000,
        "é".encode() * 300_000,
        "é".encode("latin-1") * 300_000,
    ],
    ids=["a message", "rows", "text", "UTF-8", "Latin-1"],
)
def test_no_part_of_a_pickle_keeps_more_than_64_kib_of_a_body(body: bytes) -> None:
    error = HTTPNotFound(answer(404, body))

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here

    assert again.response.content == body[:65_536]
    assert again.json_data is None
    assert len((again.text or "").encode()) <= 65_536
    assert (error.text or "").startswith(again.text or "")
    assert len(again.message.encode()) <= 65_536
    assert error.message.startswith(again.message)


def test_the_response_in_a_pickle_can_be_closed() -> None:
    state = HTTPNotFound(answer(404))._portable_state()  # noqa: SLF001 - before it is pickled

    with state["response"] as response:
        assert response.content == b"{}"


def test_a_stream_that_nobody_read_is_not_read_for_a_pickle() -> None:
    response = answer(200)
    response._content = False  # noqa: SLF001 - as `requests` marks what is not read yet
    response.raw = mock.Mock(spec=[])  # any use of it is an AttributeError

    again = pickle.loads(pickle.dumps(ReadTimeout("stalled", response=response)))  # noqa: S301 - made here

    assert again.response.content == b""


def test_a_url_that_nobody_can_parse_is_not_in_the_pickle() -> None:
    secret = new_secret()
    request = requests.PreparedRequest()
    request.url = f"https://[::1/?token={secret}"

    again = pickle.loads(pickle.dumps(URLError("no URL", request=request)))  # noqa: S301 - made here

    assert again.request.url is None


def test_a_decode_error_pickles_with_its_place() -> None:
    error = DecodeError("not JSON", msg="Expecting value", pos=7, lineno=2, colno=3)

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here

    assert (again.msg, again.pos, again.lineno, again.colno, again.doc) == (
        "Expecting value",
        7,
        2,
        3,
        "",
    )


def test_a_note_stays_with_a_pickled_error() -> None:
    error = ProtocolError("reset")
    error.add_note("The body can't be rewound.")

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here

    assert again.__notes__ == ["The body can't be rewound."]


class LoginError(exceptions.ConnectionError):
    """An error of a user's, with a constructor of its own."""

    def __init__(self, account: str) -> None:
        super().__init__(f"account {account} is locked")
        self.account = account


def test_a_users_own_member_pickles_though_its_constructor_wants_something_else() -> None:
    again = pickle.loads(pickle.dumps(LoginError("books")))  # noqa: S301 - made here

    assert type(again) is LoginError
    assert (str(again), again.account) == ("account books is locked", "books")


class StubbornError(Exception):
    """What a hook may raise: holds a secret, and can't be pickled."""

    def __init__(self, secret: str) -> None:
        super().__init__(f"login with {secret} failed")
        self.lock = threading.Lock()


@pytest.mark.parametrize("cls", ERRORS)
def test_what_others_put_on_an_error_stays_at_home(cls: type[SleepwalkerException]) -> None:
    secret, error = new_secret(), make(cls)
    before = vars(pickle.loads(pickle.dumps(error)))  # noqa: S301 - made here
    error.__dict__.update(lock=threading.Lock(), password=secret)

    pickled = pickle.dumps(error)
    again = pickle.loads(pickled)  # noqa: S301 - made here

    assert vars(again).keys() == before.keys() == vars(make(cls)).keys()
    assert found(secret, pickled.decode("latin-1")) is None


def test_a_users_own_member_pickles_with_what_is_plain() -> None:
    error = LoginError("books")
    error.__dict__.update(lock=threading.Lock(), tries=3)

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here

    assert (again.account, again.tries) == ("books", 3)
    assert not hasattr(again, "lock")


@pytest.mark.parametrize("cls", [EstablishmentError, ReentrantFindError])
def test_the_outcomes_of_hooks_pickle_whatever_the_hooks_raised(
    cls: type[EstablishmentError],
) -> None:
    secret = new_secret()
    error = cls(
        "no connection",
        outcomes=[
            HookOutcome("Vault", "failed", 2, 0.5, StubbornError(secret)),
            HookOutcome("Direct", "failed", 1, 0.25, raw_error(HTTPNotFound)),
            HookOutcome("Login", "failed", 1, 0.5, LoginError(secret)),
            HookOutcome("Local", "declined", 1, 0.0, None),
        ],
    )

    pickled = pickle.dumps(error)
    vault, direct, login, local = pickle.loads(pickled).outcomes  # noqa: S301 - made here

    assert vault[:4] == ("Vault", "failed", 2, 0.5)
    assert repr(vault.error) == "SleepwalkerException('StubbornError')"
    assert repr(login.error) == "SleepwalkerException('LoginError')"
    assert direct[:4] == ("Direct", "failed", 1, 0.25)
    assert type(direct.error) is HTTPNotFound
    assert direct.error.http_code == 503
    assert local == HookOutcome("Local", "declined", 1, 0.0, None)
    told = pickled.decode("latin-1")
    assert [s for s in (secret, *SECRETS.values()) if found(s, told)] == []


# Statuses, and what 2.0 promises of `HTTPError`


def foreign_response(**attributes: Any) -> mock.Mock:
    """Make a stand-in for a response that has nothing but what is given."""
    response = mock.Mock(requests.Response)
    response.configure_mock(
        status_code=400, headers={"content-type": "application/json"}, **attributes
    )
    return response


def test_the_servers_own_error_text_is_the_message() -> None:
    data = {"error_id": "REQUEST_INVALID_INPUT", "error_text": "Malformed input structure"}
    response = foreign_response(reason="Bad Request", json=mock.Mock(return_value=data))

    error = HTTPError(response)

    assert str(error) == "Malformed input structure"
    assert repr(error) == "HTTPError('Malformed input structure')"
    assert (error.http_code, error.json_data, error.text) == (400, data, None)
    assert error.headers is response.headers
    assert error.response is response


@pytest.mark.parametrize("data", [None, {}, {"error": "x"}, ["error_text"], "error_text", 7, True])
def test_without_the_servers_own_text_the_reason_is_the_message(data: Any) -> None:
    error = HTTPError(foreign_response(reason="Bad Request", json=mock.Mock(return_value=data)))

    assert str(error) == "Bad Request"
    assert repr(error) == "HTTPError('Bad Request')"


def test_a_body_that_is_no_json_is_kept_as_text() -> None:
    error = HTTPError(answer(502, b"<h1>Bad Gateway</h1>", "text/html"))

    assert (error.json_data, error.text) == (None, "<h1>Bad Gateway</h1>")


@pytest.mark.parametrize("missing", ["status_code", "headers", "reason"])
def test_an_object_that_is_no_whole_response_is_an_attribute_error(missing: str) -> None:
    response = foreign_response(reason="Bad Request", json=mock.Mock(return_value=None))
    delattr(response, missing)

    with pytest.raises(AttributeError):
        HTTPError(response)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000], ids=["lists", "objects"])
def test_a_body_nested_too_deeply_to_decode_is_kept_as_text(body: bytes) -> None:
    error = HTTPError(answer(500, body))

    assert (str(error), error.json_data, error.text) == ("Reason", None, body.decode())


@pytest.mark.parametrize("charset", ["undefined", "idna", "hex", "a\0b", "no-such", "utf-16"])
def test_a_charset_that_does_not_decode_leaves_the_status_error_whole(charset: str) -> None:
    error = HTTPError(answer(500, b"\xff\xfe<h1>no", f"text/html; charset={charset}"))

    assert (str(error), error.http_code, error.json_data) == ("Reason", 500, None)
    assert isinstance(error.text, str)


def test_the_code_map_has_each_class_once_and_no_base() -> None:
    classes = list(HTTPError.code_map.values())

    assert {HTTPError, ClientHTTPError, ServerHTTPError}.isdisjoint(classes)
    assert len(set(classes)) == len(classes)


STATUSES_OF_20 = {
    400: "HTTPBadRequest",
    401: "HTTPUnauthorized",
    402: "HTTPPaymentRequired",
    403: "HTTPForbidden",
    404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed",
    406: "HTTPNotAcceptable",
    407: "HTTPProxyAuthenticationRequired",
    408: "HTTPRequestTimeout",
    409: "HTTPConflict",
    410: "HTTPGone",
    411: "HTTPLengthRequired",
    412: "HTTPPreconditionFailed",
    413: "HTTPRequestEntityTooLarge",
    414: "HTTPRequestURITooLong",
    415: "HTTPUnsupportedMediaType",
    416: "HTTPRequestedRangeNotSatisfiable",
    417: "HTTPExpectationFailed",
    418: "HTTPImATeapot",
    426: "HTTPUpgradeRequired",
    428: "HTTPPreconditionRequired",
    429: "HTTPTooManyRequests",
    431: "HTTPRequestHeaderFieldsTooLarge",
    500: "HTTPInternalServerError",
    501: "HTTPNotImplemented",
    502: "HTTPBadGateway",
    503: "HTTPServiceUnavailable",
    504: "HTTPGatewayTimeout",
    505: "HTTPVersionNotSupported",
    506: "HTTPVariantAlsoNegotiates",
    510: "HTTPNotExtended",
    511: "HTTPNetworkAuthenticationRequired",
}


@pytest.mark.parametrize(("status", "name"), STATUSES_OF_20.items())
def test_a_status_that_20_had_a_class_for_has_it_still(status: int, name: str) -> None:
    assert HTTPError.code_map[status] is getattr(sleepwalker, name)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *STATUS_ERRORS,
        (399, HTTPError),
        (419, ClientHTTPError),
        (499, ClientHTTPError),
        (509, ServerHTTPError),
        (599, ServerHTTPError),
        (600, HTTPError),
        (999, HTTPError),
    ],
)
def test_the_class_that_stands_for_a_status_is_raised(
    status: int, expected: type[HTTPError]
) -> None:
    with pytest.raises(HTTPError) as raised:
        HTTPError.raise_by_status(answer(status))

    assert type(raised.value) is expected
    assert raised.value.http_code == status


def test_the_classes_for_a_kind_of_statuses_raise_by_status_as_the_base_does() -> None:
    with pytest.raises(HTTPNotFound):
        ServerHTTPError.raise_by_status(answer(404))
