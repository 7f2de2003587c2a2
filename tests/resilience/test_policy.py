"""Policies: values with the design's defaults, which say no to what can never work."""

from __future__ import annotations

import dataclasses
import math
import os
import pickle
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience.policy import Backoff, Policy
from tests.planting import new_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = st.floats(min_value=0.001, max_value=1e6)
BACKOFFS = st.builds(Backoff, base=SECONDS, throttled=SECONDS, cap=SECONDS)
POLICIES = st.builds(
    Policy,
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
    }


@pytest.mark.parametrize("value", [Policy(), Backoff()])
def test_a_policy_does_not_change(value: Policy | Backoff) -> None:
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, 1)
    with pytest.raises((AttributeError, TypeError)):
        value.new = 1  # type: ignore[union-attr]


@given(POLICIES)
def test_a_policy_comes_back_whole_from_its_pickle(policy: Policy) -> None:
    again = pickle.loads(pickle.dumps(policy))  # noqa: S301 - made here

    assert again == policy
    assert hash(again) == hash(policy)


@given(POLICIES)
def test_the_repr_of_a_policy_makes_it_again(policy: Policy) -> None:
    assert eval(repr(policy), {"Policy": Policy, "Backoff": Backoff}) == policy  # noqa: S307 - what repr promises


def test_the_repr_of_a_policy_names_each_setting() -> None:
    text = repr(Policy(retry_statuses=frozenset({503})))

    assert text == (
        "Policy(attempts=3, backoff=Backoff(base=0.05, throttled=1.0, cap=20.0), "
        "connect_timeout=3.0, read_timeout=10.0, deadline=30.0, max_retry_after=60.0, "
        "retry_statuses=frozenset({503}), idempotency_header='Idempotency-Key', redirects=10)"
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
    ("settings", "told"),
    [
        ({"atempts": 5}, "unknown policy setting 'atempts'; known: attempts, backoff, connect_"),
        ({"b": 1, "a": 1, "attempts": 5}, "unknown policy setting 'a', 'b'; known: "),
        ({"backoff": {"bas": 1}}, "unknown backoff setting 'bas'; known: base, throttled, cap"),
        ({"Attempts": 5}, "unknown policy setting 'Attempts'"),
        ({1: 2}, "unknown policy setting 1"),
        ({1: 2, "x": 3}, "unknown policy setting "),
    ],
)
def test_an_unknown_key_is_an_error_that_names_it_and_those_there_are(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{told}"):
        Policy.from_mapping(settings)


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
    ],
)
def test_a_text_means_what_it_says(variable: str, text: str, expected: Policy) -> None:
    assert Policy.from_env(environ={f"SLEEPWALKER_{variable}": text}) == expected


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"ATEMPTS": "5"}, "ATEMPTS"),
        ({"BACKOFF_BAS": "5"}, "BAS"),
        ({"LOG_LEVEL": "debug"}, "unknown .*LOG_LEVEL"),
        ({"ATTEMPTS": "three"}, "ATTEMPTS"),
        ({"ATTEMPTS": "3.5"}, "attempts"),
        ({"ATTEMPTS": "none"}, "attempts"),
        ({"ATTEMPTS": ""}, "ATTEMPTS"),
        ({"ATTEMPTS": "+-5"}, "ATTEMPTS"),
        ({"DEADLINE": "nan"}, "deadline"),
        ({"DEADLINE": "9" * 400}, "deadline"),
        ({"DEADLINE": "9" * 5000}, "DEADLINE"),
        ({"DEADLINE": "-1"}, "deadline"),
        ({"RETRY_STATUSES": "5xx"}, "RETRY_STATUSES"),
        ({"RETRY_STATUSES": "9" * 5000}, "retry_statuses"),
        ({"RETRY_STATUSES": "200"}, "retry_statuses"),
        ({"RETRY_STATUSES": "none"}, "retry_statuses"),
        ({"IDEMPOTENCY_HEADER": "a key"}, "idempotency_header"),
        ({"BACKOFF": "5"}, "backoff"),
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


@pytest.mark.parametrize("backoff", ["none", "5"])
def test_a_backoff_that_is_off_and_has_settings_is_an_error_in_either_order(backoff: str) -> None:
    off, base = ("SLEEPWALKER_BACKOFF", backoff), ("SLEEPWALKER_BACKOFF_BASE", "1")

    for order in ([off, base], [base, off]):
        with pytest.raises(ConfigurationError, match="BACKOFF"):
            Policy.from_env(environ=dict(order))


@pytest.mark.parametrize("name", ["PASSWORD", "API_KEY", "BACKOFF_TOKEN"])
def test_the_value_of_a_variable_that_is_no_setting_is_not_shown(name: str) -> None:
    secret = new_secret()

    with pytest.raises(ConfigurationError) as raised:
        Policy.from_env(environ={f"SLEEPWALKER_{name}": secret})

    assert secret not in f"{raised.value} {raised.value!r} {raised.value.__cause__}"
