"""Whether functions of lower layers are still theirs, whoever wraps them, and whenever."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest
import requests

from sleepwalker.connection._wire._originals import Originals


class Wrapper:
    """Passes for what it wraps, as wrapt's do."""

    def __init__(self, wrapped: Any) -> None:
        vars(self)["_wrapped"] = wrapped

    @property  # type: ignore[misc] # that is the trick
    def __class__(self) -> Any:
        return type(vars(self)["_wrapped"])

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_wrapped"], name)

    def __eq__(self, other: object) -> bool:
        return bool(vars(self)["_wrapped"] == other)

    def __hash__(self) -> int:
        return hash(vars(self)["_wrapped"])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return vars(self)["_wrapped"](*args, **kwargs)


def wrapped(function: Any) -> Any:
    """Wrap it as most do."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return called


@pytest.mark.parametrize("wrap", [Wrapper, wrapped, functools.partial, lambda _: None])
def test_who_is_there_before_or_after_is_seen(wrap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Originals((requests.Session, "send"), (requests.utils, "get_environ_proxies"))
    assert first.are_there()
    for owner, name in ((requests.Session, "send"), (requests.utils, "get_environ_proxies")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, wrap(getattr(owner, name)))
            assert not first.are_there()
            late = Originals((owner, name))
            assert not late.are_there()
        assert first.are_there()
        # What was never seen can't be known.
        assert not late.are_there()


def test_what_is_not_there_at_all_is_not_there() -> None:
    assert not Originals((requests.Session, "no_such_method")).are_there()


PATCHED_FIRST = """
import functools
import requests

def watch(name):
    original = getattr(requests.Session, name)

    @functools.wraps(original)
    def called(*args, **kwargs):
        print(name)
        return original(*args, **kwargs)

    setattr(requests.Session, name, called)

for name in ("prepare_request", "merge_environment_settings", "send"):
    watch(name)

from sleepwalker import ANONYMOUS, Connection

class Adapter(requests.adapters.BaseAdapter):
    def send(self, request, **kwargs):
        response = requests.Response()
        response.status_code, response.raw = 204, None
        response.request, response.url = request, request.url
        return response

    def close(self):
        pass

with Connection("https://api.example.com", ANONYMOUS) as conn:
    conn.session.mount("https://", Adapter())
    conn.request("GET", "/")
"""


def test_who_has_patched_a_session_before_we_are_imported_is_called_too() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PATCHED_FIRST],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == ["prepare_request", "merge_environment_settings", "send"], (
        done.stderr
    )
