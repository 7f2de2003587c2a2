"""The reference has every public name, with the signature that it has in the code."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
import types
from typing import Any, Protocol

import pytest

import sleepwalker
import sleepwalker.auth
import sleepwalker.connection
import sleepwalker.links
import sleepwalker.observability
import sleepwalker.resilience
import sleepwalker.testing
from sleepwalker.links import LinkFormat
from tests.docs.pages import prose_of

MODULES = (
    sleepwalker,
    sleepwalker.auth,
    sleepwalker.connection,
    sleepwalker.links,
    sleepwalker.observability,
    sleepwalker.resilience,
    sleepwalker.testing,
)
ENTRY = re.compile(r"^- `([\w.]+)(?:\((.*?)\))?`:\s", re.MULTILINE)

ATTRIBUTES = {
    "Resource.response",
    "Resource.service",
    "Resource.url",
    "Service.auth",
    "Service.host",
    "Service.prefix",
    "Service.services",
    "ServiceManager.connections",
    "SkippingClock.slept",
}
"""What is set on the object, so that the class doesn't have it."""

GIVEN = {"Resource", "Service", "Traversal"}
"""What nobody makes but we."""

OURS = {
    "BearerAuth": {"known_tokens", "renewed"},
    "Each": {"links"},
    "Fault": {"connecting", "steps", "through"},
    "FaultAdapter": {"close", "drop_stale", "send", "without_context"},
    "HTTPError": {"error_type"},
    "HookOutcome": {"portable"},
    "Link": {"own_url"},
    "Redaction": {
        "cause",
        "headers",
        "request",
        "response",
        "secret_header",
        "secret_parameter",
        "secrets",
        "text",
        "url",
    },
    "Resource": {"found"},
    "Service": {"origin", "url"},
    "ServiceManager": {"checked_formats", "same", "shown"},
    "Template": {"links"},
}
"""Public to our other modules, and of no use to anyone else."""


def entries() -> list[tuple[str, str | None]]:
    """Give the names on the page, with their parameters."""
    found = ENTRY.findall(prose_of("docs/reference.md"))
    text = prose_of("docs/reference.md")
    assert len(found) == len(re.findall(r"^- ", text, re.MULTILINE))
    return [(name, given if f"`{name}(" in text else None) for name, given in found]


def found(name: str) -> Any:
    """Give what a name on the page stands for; of a class's member what stands in the class."""
    first, *rest = name.split(".")
    thing = next(vars(module)[first] for module in MODULES if first in vars(module))
    for part in rest:
        thing = inspect.getattr_static(thing, part)
    return thing


def parameters(thing: Any) -> list[tuple[str, Any, Any]]:
    """Give each parameter's name, kind and default."""
    if isinstance(thing, classmethod):
        thing = thing.__func__
    signature = inspect.signature(thing)
    made = {}
    if dataclasses.is_dataclass(thing):
        made = {
            field.name: field.default_factory()
            for field in dataclasses.fields(thing)
            if field.default_factory is not dataclasses.MISSING
        }
    return [
        (p.name, p.kind, made.get(p.name, p.default))
        for p in signature.parameters.values()
        if p.name not in {"self", "cls", "_cls"}
    ]


def written(given: str) -> list[tuple[str, Any, Any]]:
    """Give the parameters as the page has them."""
    code = ast.parse(f"def written({given}): ...")
    namespace: dict[str, Any] = {**vars(sleepwalker), **vars(sleepwalker.links)}
    exec(compile(code, "reference.md", "exec"), namespace)  # noqa: S102 - a signature of our own page, with nothing in its body
    return parameters(namespace["written"])


def members(name: str) -> set[str]:
    """Give the names of a class's public members, but for those that are ours alone.

    Fields are no members: they stand among the parameters.
    """
    cls = found(name)
    fields = set(getattr(cls, "_fields", ()))
    if dataclasses.is_dataclass(cls):
        fields = {field.name for field in dataclasses.fields(cls)}
    public = {member for member in vars(cls) if not member.startswith("_")}
    if LinkFormat in cls.__bases__:
        # What every format has stands with the protocol.
        public -= set(vars(LinkFormat))
    return public - fields - OURS.get(name, set())


@pytest.mark.parametrize(("name", "given"), entries())
def test_the_signature_on_the_page_is_that_of_the_code(name: str, given: str | None) -> None:
    if given is not None:
        assert written(given) == parameters(found(name))
    elif name not in ATTRIBUTES | GIVEN:
        thing = found(name)
        # A protocol is a class that nobody calls.
        called = isinstance(thing, type | types.FunctionType | classmethod)
        assert not called or Protocol in thing.__bases__ or issubclass(thing, enum.Enum)


def test_every_public_name_but_the_errors_is_on_the_page() -> None:
    public = {
        name
        for module in MODULES
        for name in module.__all__
        if name == "HTTPError"
        or not (isinstance(found(name), type) and issubclass(found(name), Exception))
    }

    listed = {name for name, _ in entries() if "." not in name}

    assert listed | {"HTTPError", "__version__"} == public


@pytest.mark.parametrize(
    "name",
    [name for name, _ in entries() if "." not in name and isinstance(found(name), type)],
)
def test_every_public_member_of_a_class_is_on_the_page(name: str) -> None:
    listed = {entry for entry, _ in entries() if entry.startswith(f"{name}.")}

    assert listed - ATTRIBUTES == {f"{name}.{member}" for member in members(name)}
