"""Policies: values with the design's defaults, which say no to what can never work."""

from __future__ import annotations

import dataclasses
import math
import os
import pickle
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience.policy import (
    AdaptiveLimit,
    Backoff,
    Breaker,
    DeadlineHeader,
    Limit,
    Policy,
    Quota,
    ResponseLimits,
)
from tests.planting import new_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = st.floats(min_value=0.001, max_value=1e6)
BACKOFFS = st.builds(Backoff, base=SECONDS, throttled=SECONDS, cap=SECONDS)
COUNTS = st.integers(1, 1000)
QUOTAS = st.builds(
    Quota,
    tokens=st.integers(100, 1000),
    transient=st.integers(1, 100),
    throttled=st.integers(1, 100),
    success=st.integers(0, 10),
)
BREAKERS = st.builds(
    Breaker,
    failure_ratio=st.floats(0.01, 1.0),
    calls=COUNTS,
    window=SECONDS,
    open_for=SECONDS,
    probes=COUNTS,
)
LIMITS = st.builds(Limit, calls=COUNTS) | st.builds(
    AdaptiveLimit,
    start=st.integers(10, 20),
    decrease=st.floats(0.1, 0.99),
    least=st.integers(1, 10),
    most=st.integers(20, 1000),
)
RESPONSE_LIMITS = st.builds(
    ResponseLimits,
    body=st.none() | COUNTS,
    headers=st.integers(1, 100),
    header_bytes=st.none() | COUNTS,
    json_depth=st.none() | COUNTS,
)
DEADLINE_HEADERS = st.builds(
    DeadlineHeader, name=st.just("X-Left"), hosts=st.just(("*.internal.example",))
)
VALUES = {
    cls.__name__: cls
    for cls in (
        AdaptiveLimit,
        Backoff,
        Breaker,
        DeadlineHeader,
        Limit,
        Policy,
        Quota,
        ResponseLimits,
    )
}
POLICIES = st.builds(
    Policy,
    quota=st.none() | QUOTAS,
    breaker=st.none() | BREAKERS,
    limit=st.none() | LIMITS,
    scope=st.none() | st.sampled_from(["search", "orders"]),
    response_limits=st.none() | RESPONSE_LIMITS,
    deadline_header=st.none() | DEADLINE_HEADERS,
    attempts=st.integers(1, 100),
    backoff=st.none() | BACKOFFS,
    connect_timeout=SECONDS,
    read_timeout=SECONDS,
    deadline=st.none() | SECONDS,
    max_retry_after=SECONDS,
    retry_statuses=st.frozensets(st.integers(400, 599), max_size=8),
    idempotency_header=st.sampled_from(["Idempotency-Key", "X-Request-Token"]),
    redirects=st.integers(0, 100),
)


# Values


def test_the_defaults_are_the_designs() -> None:
    policy = Policy()

    assert dataclasses.asdict(policy) == {
        "attempts": 3,
        "backoff": {"base": 0.05, "throttled": 1.0, "cap": 20.0},
        "connect_timeout": 3.0,
        "read_timeout": 10.0,
        "deadline": 30.0,
        "max_retry_after": 60.0,
        "retry_statuses": frozenset({408, 429, 500, 502, 503, 504}),
        "idempotency_header": "Idempotency-Key",
        "redirects": 10,
        "quota": {"tokens": 500, "transient": 14, "throttled": 5, "success": 1},
        "breaker": {
            "failure_ratio": 0.5,
            "calls": 20,
            "window": 3.5,
            "open_for": 5.0,
            "probes": 1,
        },
        "limit": {"calls": 64},
        "scope": None,
        "response_limits": {
            "body": 100 * 1024 * 1024,
            "headers": 100,
            "header_bytes": 256 * 1024,
            "json_depth": 500,
        },
        "deadline_header": None,
    }


def test_the_adaptive_limits_defaults_are_the_designs() -> None:
    assert dataclasses.asdict(AdaptiveLimit()) == {
        "start": 20,
        "decrease": 0.9,
        "least": 1,
        "most": 200,
    }


@pytest.mark.parametrize(
    "value",
    [
        *(cls() for name, cls in VALUES.items() if name != "DeadlineHeader"),
        DeadlineHeader(hosts=("*",)),
    ],
)
def test_a_policy_does_not_change(value: Any) -> None:
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, 1)
    with pytest.raises((AttributeError, TypeError)):
        value.new = 1


@given(POLICIES)
def test_a_policy_comes_back_whole_from_its_pickle(policy: Policy) -> None:
    again = pickle.loads(pickle.dumps(policy))  # noqa: S301 - made here

    assert again == policy
    assert hash(again) == hash(policy)


@given(POLICIES)
def test_the_repr_of_a_policy_makes_it_again(policy: Policy) -> None:
    assert eval(repr(policy), dict(VALUES)) == policy  # noqa: S307 - what repr promises


def test_the_repr_of_a_policy_names_each_setting() -> None:
    text = repr(Policy(retry_statuses=frozenset({503})))

    assert text == (
        "Policy(attempts=3, backoff=Backoff(base=0.05, throttled=1.0, cap=20.0), "
        "connect_timeout=3.0, read_timeout=10.0, deadline=30.0, max_retry_after=60.0, "
        "retry_statuses=frozenset({503}), idempotency_header='Idempotency-Key', redirects=10, "
        "quota=Quota(tokens=500, transient=14, throttled=5, success=1), "
        "breaker=Breaker(failure_ratio=0.5, calls=20, window=3.5, open_for=5.0, probes=1), "
        "limit=Limit(calls=64), scope=None, response_limits=ResponseLimits(body=104857600, "
        "headers=100, header_bytes=262144, json_depth=500), deadline_header=None)"
    )


@given(POLICIES, POLICIES)
def test_policies_are_equal_and_hash_alike_exactly_when_their_settings_are(
    one: Policy, other: Policy
) -> None:
    copy = dataclasses.replace(one)

    assert copy == one
    assert len({one, copy}) == 1
    assert (one == other) == (dataclasses.asdict(one) == dataclasses.asdict(other))


def test_whole_seconds_are_the_same_setting_as_a_float() -> None:
    assert Policy(deadline=30, backoff=Backoff(cap=20)) == Policy()
    assert repr(Policy(deadline=30)) == repr(Policy())


@pytest.mark.parametrize("half", [Fraction(1, 2), 0.5])
def test_any_real_number_is_the_same_setting_as_a_float(half: Any) -> None:
    values = [
        Breaker(failure_ratio=half, window=half),
        AdaptiveLimit(decrease=half),
        Backoff(base=half),
        Policy(deadline=half),
    ]

    assert "Fraction" not in repr(values)
    assert repr(Breaker(failure_ratio=1)) == repr(Breaker(failure_ratio=1.0))


@pytest.mark.parametrize(
    "settings",
    [
        {"attempts": 1},
        {"redirects": 0},
        {"retry_statuses": frozenset()},
        {"retry_statuses": frozenset({400, 599})},
        {"connect_timeout": 0.001, "read_timeout": 0.001, "deadline": 0.001},
        {"quota": Quota(tokens=1, transient=1, throttled=1, success=0)},
        {"quota": Quota(tokens=14, transient=14, throttled=14)},
        {"breaker": Breaker(failure_ratio=0.001, calls=1, probes=1)},
        {"breaker": Breaker(failure_ratio=1.0)},
        {"limit": Limit(calls=1)},
        {"limit": AdaptiveLimit(start=1, least=1, most=1)},
        {"response_limits": ResponseLimits(body=1, headers=1, header_bytes=1, json_depth=1)},
        {"response_limits": ResponseLimits(headers=100)},
        {"scope": "a"},
    ],
)
def test_what_lies_on_the_edge_of_what_can_work_works(settings: dict[str, Any]) -> None:
    policy = Policy(**settings)

    assert {name: getattr(policy, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("limit", "most"), [(Limit(calls=7), 7), (AdaptiveLimit(start=7, most=9), 9)]
)
def test_a_limit_knows_the_most_calls_that_it_can_ever_let_in(
    limit: Limit | AdaptiveLimit, most: int
) -> None:
    assert limit.most == most


def test_statuses_may_come_in_any_collection() -> None:
    assert Policy(retry_statuses=[503, 503, 429]) == Policy(  # type: ignore[arg-type]
        retry_statuses=frozenset({429, 503})
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"attempts": 0}, "attempts must be a whole number of at least 1, not 0"),
        ({"attempts": -1}, "attempts must be"),
        ({"attempts": 2.0}, "attempts must be"),
        ({"attempts": True}, "attempts must be"),
        ({"attempts": "3"}, "attempts must be"),
        ({"attempts": None}, "attempts must be"),
        ({"redirects": -1}, "redirects must be a whole number of at least 0, not -1"),
        ({"redirects": None}, "redirects must be"),
        ({"connect_timeout": 0}, "connect_timeout must be a positive"),
        ({"connect_timeout": None}, "connect_timeout must be a number"),
        ({"read_timeout": -1}, "read_timeout must be"),
        ({"read_timeout": math.nan}, "read_timeout must be"),
        ({"read_timeout": None}, "read_timeout must be"),
        ({"deadline": 0}, "deadline must be"),
        ({"deadline": math.inf}, "deadline must be"),
        ({"deadline": "30"}, "deadline must be"),
        ({"deadline": 10**400}, "deadline must be"),
        ({"max_retry_after": -60}, "max_retry_after must be"),
        ({"max_retry_after": None}, "max_retry_after must be"),
        ({"backoff": 0.5}, "backoff must be a Backoff or None, not float"),
        ({"backoff": Backoff}, "backoff must be a Backoff or None, not type"),
        ({"quota": 500}, "quota must be a Quota or None, not int"),
        ({"breaker": {}}, "breaker must be a Breaker or None, not dict"),
        ({"limit": 64}, "limit must be a Limit, an AdaptiveLimit or None, not int"),
        ({"scope": ""}, "scope must be"),
        ({"scope": 7}, "scope must be"),
        ({"response_limits": 7}, "response_limits must be a ResponseLimits or None, not int"),
        ({"deadline_header": "X-Left"}, "deadline_header must be a DeadlineHeader or None"),
        ({"retry_statuses": {200}}, "retry_statuses must be"),
        ({"retry_statuses": {600}}, "retry_statuses must be"),
        ({"retry_statuses": {399, 503}}, "retry_statuses must be"),
        ({"retry_statuses": {"503"}}, "retry_statuses must be"),
        ({"retry_statuses": "503"}, "retry_statuses must be"),
        ({"retry_statuses": {503.0}}, "retry_statuses must be"),
        ({"retry_statuses": 503}, "retry_statuses must be"),
        ({"retry_statuses": None}, "retry_statuses must be"),
        ({"retry_statuses": [[503]]}, "retry_statuses must be"),
        ({"idempotency_header": ""}, "idempotency_header must be"),
        ({"idempotency_header": "Key\r\nX"}, "idempotency_header must be"),
        ({"idempotency_header": "a key"}, "idempotency_header must be"),
        ({"idempotency_header": b"Key"}, "idempotency_header must be"),
        ({"idempotency_header": None}, "idempotency_header must be"),
        ({"idempotency_header": 7}, "idempotency_header must be"),
        ({"idempotency_header": ["K", "e", "y"]}, "idempotency_header must be"),
    ],
)
def test_a_setting_that_can_never_work_is_an_error_that_names_it(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{told}") as raised:
        Policy(**settings)

    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("name", ["base", "throttled", "cap"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "1", None, True])
def test_a_backoff_that_can_never_work_is_an_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^backoff {name} must be"):
        Backoff(**{name: value})


@pytest.mark.parametrize(
    ("cls", "settings", "told"),
    [
        (Quota, {"tokens": 0}, "quota tokens must be a whole number of at least 1"),
        (Quota, {"transient": 0}, "quota transient must be"),
        (Quota, {"throttled": 1.5}, "quota throttled must be"),
        (Quota, {"success": -1}, "quota success must be a whole number of at least 0"),
        (Quota, {"tokens": 13}, "quota transient must be at most the 13 tokens there are"),
        (Quota, {"throttled": 501}, "quota throttled must be at most the 500"),
        (Breaker, {"failure_ratio": 0}, "breaker failure_ratio must be more than 0"),
        (Breaker, {"failure_ratio": 1.01}, "breaker failure_ratio must be"),
        (Breaker, {"failure_ratio": math.nan}, "breaker failure_ratio must be"),
        (Breaker, {"failure_ratio": "half"}, "breaker failure_ratio must be a number, not str"),
        (Breaker, {"failure_ratio": True}, "breaker failure_ratio must be a number, not bool"),
        (Breaker, {"calls": 0}, "breaker calls must be"),
        (Breaker, {"window": 0}, "breaker window must be"),
        (Breaker, {"open_for": math.inf}, "breaker open_for must be"),
        (Breaker, {"probes": 0}, "breaker probes must be"),
        (Limit, {"calls": 0}, "limit calls must be"),
        (AdaptiveLimit, {"least": 0}, "limit least must be a whole number of at least 1"),
        (AdaptiveLimit, {"start": 20.0}, "limit start must be a whole number of at least 1"),
        (AdaptiveLimit, {"most": 200.0}, "limit most must be a whole number of at least 1"),
        (AdaptiveLimit, {"start": 201}, "limit must have least <= start <= most, not 1, 201, 200"),
        (AdaptiveLimit, {"least": 21}, "limit must have"),
        (AdaptiveLimit, {"decrease": 1}, "limit decrease must be between 0 and 1"),
        (AdaptiveLimit, {"decrease": 0}, "limit decrease must be between 0 and 1"),
        (AdaptiveLimit, {"decrease": None}, "limit decrease must be a number"),
        (ResponseLimits, {"body": 0}, "response limit body must be"),
        (ResponseLimits, {"headers": 0}, "response limit headers must be"),
        (ResponseLimits, {"headers": 101}, "response limit headers must be at most 100"),
        (ResponseLimits, {"header_bytes": 0}, "response limit header_bytes must be"),
        (ResponseLimits, {"json_depth": 0}, "response limit json_depth must be"),
        (ResponseLimits, {"header_bytes": 1.5}, "response limit header_bytes must be"),
        (ResponseLimits, {"json_depth": True}, "response limit json_depth must be"),
        (DeadlineHeader, {}, "deadline header's hosts must be host patterns"),
        (DeadlineHeader, {"hosts": 7}, "deadline header's hosts must be"),
        (DeadlineHeader, {"hosts": ("",)}, "deadline header's hosts must be"),
        (DeadlineHeader, {"hosts": ("*", 7)}, "deadline header's hosts must be"),
        (DeadlineHeader, {"name": "a b", "hosts": ("*",)}, "deadline header's name must be"),
    ],
)
def test_a_layers_setting_that_can_never_work_is_an_error_that_names_it(
    cls: type, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{told}"):
        cls(**settings)


def test_one_host_is_as_good_as_a_list_of_one() -> None:
    assert DeadlineHeader(hosts="*.a.example") == DeadlineHeader(hosts=("*.a.example",))  # type: ignore[arg-type]


def test_hosts_may_come_in_any_collection() -> None:
    header = DeadlineHeader(hosts=iter(["*.a.example", "b.example"]))  # type: ignore[arg-type]

    assert header.hosts == ("*.a.example", "b.example")
    assert header.name == "X-Request-Timeout-Ms"


@pytest.mark.parametrize(
    ("cls", "settings", "told"),
    [
        (
            Quota,
            {"tokens": 13},
            (
                "quota transient must be at most the 13 tokens there are, not 14: "
                "nothing would ever be retried (attempts=1 says so)"
            ),
        ),
        (
            Breaker,
            {"failure_ratio": 2},
            "breaker failure_ratio must be more than 0 and at most 1, not 2.0",
        ),
        (AdaptiveLimit, {"decrease": 1}, "limit decrease must be between 0 and 1, not 1.0"),
        (AdaptiveLimit, {"decrease": "a"}, "limit decrease must be a number, not str"),
        (ResponseLimits, {"headers": 101}, "response limit headers must be at most 100, not 101"),
        (
            DeadlineHeader,
            {},
            "deadline header's hosts must be host patterns such as '*.internal.example'",
        ),
        (
            DeadlineHeader,
            {"name": "a b", "hosts": ("*",)},
            "deadline header's name must be the name of a header, not 'a b'",
        ),
        (Policy, {"scope": ""}, "scope must be a text that is not empty, or None"),
        (
            Policy,
            {"retry_statuses": 503},
            "retry_statuses must be a set of statuses from 400 to 599, not 503",
        ),
        (
            Policy,
            {"idempotency_header": ""},
            "idempotency_header must be the name of a header, not ''",
        ),
        (Policy, {"limit": 7}, "limit must be a Limit, an AdaptiveLimit or None, not int"),
    ],
)
def test_an_error_says_what_would_work_and_what_was_given(
    cls: type, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        cls(**settings)

    assert str(raised.value) == told


# The ceiling of a wait


@pytest.mark.parametrize(
    ("retry", "transient", "throttled"),
    [
        (1, 0.05, 1.0),
        (2, 0.1, 2.0),
        (3, 0.2, 4.0),
        (5, 0.8, 16.0),
        (6, 1.6, 20.0),
        (10, 20.0, 20.0),
    ],
)
def test_the_ceiling_doubles_with_each_retry_up_to_the_cap(
    retry: int, transient: float, throttled: float
) -> None:
    backoff = Backoff()

    assert backoff.ceiling(retry) == pytest.approx(transient)
    assert backoff.ceiling(retry, throttled=True) == pytest.approx(throttled)


@given(BACKOFFS, st.integers(1, 10**9), st.booleans())
def test_the_ceiling_never_falls_and_never_passes_the_cap(
    backoff: Backoff,
    retry: int,
    throttled: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    ceiling = backoff.ceiling(retry, throttled=throttled)

    assert 0 < ceiling <= backoff.cap
    assert ceiling <= backoff.ceiling(retry + 1, throttled=throttled)


# From mappings


def test_a_policy_is_made_from_a_mapping() -> None:
    settings = MappingProxyType(
        {"attempts": 5, "backoff": {"base": 0.1}, "deadline": None, "retry_statuses": [503]}
    )

    assert Policy.from_mapping(settings) == Policy(
        attempts=5, backoff=Backoff(base=0.1), deadline=None, retry_statuses=frozenset({503})
    )


def test_an_empty_mapping_is_the_default_policy() -> None:
    assert Policy.from_mapping({}) == Policy()


@given(POLICIES)
def test_a_policy_comes_back_whole_from_its_mapping(policy: Policy) -> None:
    assert Policy.from_mapping(dataclasses.asdict(policy)) == policy


@pytest.mark.parametrize(
    "backoff", [None, Backoff(base=0.1), {"base": 0.1}, MappingProxyType({"base": 0.1})]
)
def test_a_backoff_in_a_mapping_is_a_mapping_a_backoff_or_none(
    backoff: Backoff | Mapping[str, float] | None,
) -> None:
    made = Policy.from_mapping({"backoff": backoff}).backoff

    assert made == (None if backoff is None else Backoff(base=0.1))


@pytest.mark.parametrize(
    ("limit", "made"),
    [
        (32, Limit(calls=32)),
        ("adaptive", AdaptiveLimit()),
        ({"calls": 32}, Limit(calls=32)),
        ({"start": 10, "most": 50}, AdaptiveLimit(start=10, most=50)),
        ({}, Limit()),
        (None, None),
    ],
)
def test_a_limit_in_a_mapping_is_known_by_what_it_says(limit: Any, made: Any) -> None:
    assert Policy.from_mapping({"limit": limit}).limit == made


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"atempts": 5}, "unknown policy setting 'atempts'; known: attempts, backoff, connect_"),
        ({"b": 1, "a": 1, "attempts": 5}, "unknown policy setting 'a', 'b'; known: "),
        ({"backoff": {"bas": 1}}, "unknown backoff setting 'bas'; known: base, throttled, cap"),
        ({"breaker": {"open": 1}}, "unknown breaker setting 'open'; known: failure_ratio, calls"),
        ({"limit": {"max": 1}}, "unknown limit setting 'max'; known: calls, start, decrease"),
        ({"limit": {"calls": 9, "start": 9}}, "the limit settings are those of one Limit or Adap"),
        ({"Attempts": 5}, "unknown policy setting 'Attempts'"),
        ({1: 2}, "unknown policy setting 1"),
        ({1: 2, "x": 3}, "unknown policy setting 1, 'x'; known: "),
    ],
)
def test_an_unknown_key_is_an_error_that_names_it_and_those_there_are(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{told}"):
        Policy.from_mapping(settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"backoff": {"b": 1, "a": 2}},
            "unknown backoff setting 'a', 'b'; known: base, throttled, cap",
        ),
        (
            {"limit": {"calls": 9, "start": 9}},
            "the limit settings are those of one Limit or AdaptiveLimit, not of several",
        ),
        ({"limit": True}, "limit must be a Limit, an AdaptiveLimit or None, not bool"),
        ({"limit": "fixed"}, "limit must be a Limit, an AdaptiveLimit or None, not str"),
        ({"breaker": "adaptive"}, "breaker must be a Breaker or None, not str"),
        ({"quota": 500}, "quota must be a Quota or None, not int"),
        ([("attempts", 5)], "a policy is made from a mapping of settings, not list"),
        (None, "a policy is made from a mapping of settings, not NoneType"),
    ],
)
def test_what_no_policy_is_made_of_is_an_error_that_says_what_one_is(
    settings: Any, told: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Policy.from_mapping(settings)

    assert str(raised.value) == told


@pytest.mark.parametrize(
    "settings", [{"attempts": "5"}, {"backoff": 1}, {"backoff": {"base": "1"}}, {"deadline": 0}]
)
def test_a_bad_value_in_a_mapping_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Policy.from_mapping(settings)


# From the environment


def test_a_policy_is_made_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os,
        "environ",
        {
            "SLEEPWALKER_ATTEMPTS": "5",
            "SLEEPWALKER_BACKOFF_BASE": "0.1",
            "SLEEPWALKER_BACKOFF_CAP": " 5 ",
            "SLEEPWALKER_READ_TIMEOUT": "1e1",
            "SLEEPWALKER_DEADLINE": "None",
            "SLEEPWALKER_RETRY_STATUSES": "503, 429,",
            "SLEEPWALKER_IDEMPOTENCY_HEADER": "X-Key",
            "SLEEPWALKER_REDIRECTS": "0",
            "PATH": "/bin",
            "OTHER_ATTEMPTS": "x",
        },
    )

    assert Policy.from_env() == Policy(
        attempts=5,
        backoff=Backoff(base=0.1, cap=5.0),
        read_timeout=10.0,
        deadline=None,
        retry_statuses=frozenset({429, 503}),
        idempotency_header="X-Key",
        redirects=0,
    )


def test_the_prefix_says_whose_settings_they_are() -> None:
    environ = {"BOOKS_ATTEMPTS": "5", "SLEEPWALKER_ATTEMPTS": "7", "BOOKS": "x"}

    assert Policy.from_env("BOOKS_", environ) == Policy(attempts=5)


def test_who_the_commands_are_is_no_setting() -> None:
    environ = dict.fromkeys(("SLEEPWALKER_USER", "SLEEPWALKER_PASSWORD", "SLEEPWALKER_TOKEN"), "x")

    assert Policy.from_env(environ=environ) == Policy()


@pytest.mark.parametrize(
    ("prefix", "variable"),
    [
        ("SLEEPWALKER_", "SLEEPWALKER_TOKENS"),
        ("SLEEPWALKER_", "SLEEPWALKER_token"),
        ("BOOKS_", "BOOKS_TOKEN"),
    ],
)
def test_what_is_spelt_like_it_is_still_an_unknown_setting(prefix: str, variable: str) -> None:
    with pytest.raises(ConfigurationError, match="unknown policy setting 'token"):
        Policy.from_env(prefix, {variable: "x"})


def test_an_environment_without_settings_is_the_default_policy() -> None:
    assert Policy.from_env(environ={"PATH": "/bin"}) == Policy()


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("BACKOFF", "none", Policy(backoff=None)),
        ("BACKOFF", "NONE", Policy(backoff=None)),
        ("RETRY_STATUSES", "", Policy(retry_statuses=frozenset())),
        ("RETRY_STATUSES", "500", Policy(retry_statuses=frozenset({500}))),
        ("DEADLINE", "+2", Policy(deadline=2.0)),
        ("QUOTA", "none", Policy(quota=None)),
        ("QUOTA_TOKENS", "100", Policy(quota=Quota(tokens=100))),
        ("BREAKER_OPEN_FOR", "2.5", Policy(breaker=Breaker(open_for=2.5))),
        ("LIMIT", "none", Policy(limit=None)),
        ("LIMIT", "32", Policy(limit=Limit(calls=32))),
        ("LIMIT", "adaptive", Policy(limit=AdaptiveLimit())),
        ("LIMIT", " Adaptive", Policy(limit=AdaptiveLimit())),
        ("LIMIT_CALLS", "32", Policy(limit=Limit(calls=32))),
        ("LIMIT_START", "10", Policy(limit=AdaptiveLimit(start=10))),
        ("SCOPE", "search", Policy(scope="search")),
        ("SCOPE", " 5 ", Policy(scope="5")),
        ("SCOPE", "none", Policy(scope=None)),
        ("MAX_RETRY_AFTER", "5", Policy(max_retry_after=5.0)),
        ("QUOTA_SUCCESS", "-0", Policy(quota=Quota(success=0))),
        ("BREAKER_FAILURE_RATIO", "1", Policy(breaker=Breaker(failure_ratio=1.0))),
        ("RESPONSE_LIMITS_BODY", "none", Policy(response_limits=ResponseLimits(body=None))),
        (
            "DEADLINE_HEADER_HOSTS",
            "*.a.example, , b.example,",
            Policy(deadline_header=DeadlineHeader(hosts=("*.a.example", "b.example"))),
        ),
    ],
)
def test_a_text_means_what_it_says(variable: str, text: str, expected: Policy) -> None:
    assert Policy.from_env(environ={f"SLEEPWALKER_{variable}": text}) == expected


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"ATEMPTS": "5"}, "ATEMPTS"),
        ({"BACKOFF_BAS": "5"}, "BAS"),
        ({"LOG_LEVEL": "debug"}, ": unknown policy setting 'LOG_LEVEL'; known: attempts, "),
        ({"ATTEMPTS": "three"}, "ATTEMPTS must be a number or none"),
        ({"ATTEMPTS": "3.5"}, "attempts"),
        ({"ATTEMPTS": "none"}, "attempts"),
        ({"ATTEMPTS": ""}, "ATTEMPTS"),
        ({"ATTEMPTS": "+-5"}, "ATTEMPTS"),
        ({"DEADLINE": "nan"}, "deadline"),
        ({"DEADLINE": "9" * 400}, "deadline"),
        ({"DEADLINE": "9" * 5000}, "DEADLINE"),
        ({"DEADLINE": "-1"}, "deadline"),
        ({"RETRY_STATUSES": "5xx"}, "RETRY_STATUSES must be statuses, separated by commas"),
        ({"RETRY_STATUSES": "9" * 5000}, "retry_statuses"),
        ({"RETRY_STATUSES": "200"}, "retry_statuses"),
        ({"RETRY_STATUSES": "none"}, "retry_statuses"),
        ({"IDEMPOTENCY_HEADER": "a key"}, "idempotency_header"),
        ({"BACKOFF": "5"}, "BACKOFF must be none; its settings .* BACKOFF_"),
        ({"BREAKER": "on"}, "BREAKER must be none; its settings .* BREAKER_"),
        ({"BREAKER_CALLS": "many"}, "BREAKER_CALLS must be a number or none"),
        ({"LIMIT": "adaptively"}, "LIMIT must be a number, adaptive or none"),
        ({"LIMIT": "0"}, "limit"),
        ({"LIMIT_CALLS": "9", "LIMIT_START": "9"}, "limit settings"),
        ({"BREAKER": "none", "BREAKER_CALLS": "9"}, "BREAKER and BREAKER_"),
        ({"DEADLINE_HEADER_NAME": "X-Left"}, "hosts"),
        ({"BACKOFF_BASE": "none"}, "backoff base"),
    ],
)
def test_a_variable_that_cannot_be_used_is_an_error_that_names_it(
    environ: dict[str, str], told: str
) -> None:
    given_ = {f"SLEEPWALKER_{name}": text for name, text in environ.items()}

    with pytest.raises(ConfigurationError, match=f"(?i){told}") as raised:
        Policy.from_env(environ=given_)

    assert "SLEEPWALKER_" in str(raised.value)


def test_a_header_in_the_environment_has_a_name_and_hosts() -> None:
    environ = {"BOOKS_DEADLINE_HEADER_NAME": "X-Left", "BOOKS_DEADLINE_HEADER_HOSTS": "*"}

    made = Policy.from_env("BOOKS_", environ).deadline_header

    assert made == DeadlineHeader(name="X-Left", hosts=("*",))


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"ATTEMPTS": "adaptive"}, "ATTEMPTS must be a number or none"),
        ({"LIMIT": "adaptively"}, "LIMIT must be a number, adaptive or none"),
        (
            {"BACKOFF": "5"},
            "BACKOFF must be none; its settings are variables of their own, BACKOFF_...",
        ),
        (
            {"RETRY_STATUSES": "500, 5xx"},
            "RETRY_STATUSES must be statuses, separated by commas",
        ),
        (
            {"RETRY_STATUSES": "999999999"},
            "RETRY_STATUSES must be statuses, separated by commas",
        ),
        (
            {"RETRY_STATUSES": "99999999"},
            "retry_statuses must be a set of statuses from 400 to 599, not frozenset({99999999})",
        ),
        ({"BREAKER": "none", "BREAKER_CALLS": "9"}, "BREAKER and BREAKER_* exclude each other"),
        ({"BACKOFF_BAS": "five"}, "unknown backoff setting 'bas'; known: base, throttled, cap"),
    ],
)
def test_an_error_says_which_variables_it_is_about(environ: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Policy.from_env("BOOKS_", {f"BOOKS_{name}": text for name, text in environ.items()})

    assert str(raised.value) == f"environment variables BOOKS_*: {told}"
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("backoff", ["none", "5"])
def test_a_backoff_that_is_off_and_has_settings_is_an_error_in_either_order(backoff: str) -> None:
    off, base = ("SLEEPWALKER_BACKOFF", backoff), ("SLEEPWALKER_BACKOFF_BASE", "1")

    for order in ([off, base], [base, off]):
        with pytest.raises(ConfigurationError, match="BACKOFF"):
            Policy.from_env(environ=dict(order))


@pytest.mark.parametrize("name", ["SECRET", "API_KEY", "BACKOFF_TOKEN"])
def test_the_value_of_a_variable_that_is_no_setting_is_not_shown(name: str) -> None:
    secret = new_secret()

    with pytest.raises(ConfigurationError) as raised:
        Policy.from_env(environ={f"SLEEPWALKER_{name}": secret})

    assert secret not in f"{raised.value} {raised.value!r} {raised.value.__cause__}"
