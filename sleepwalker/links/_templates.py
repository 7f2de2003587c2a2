"""URI templates (RFC 6570): their variables, and what comes of them.

A variable that the template doesn't have is an error: it is a spelling mistake more often than it
is meant.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from uritemplate import URITemplate

from sleepwalker.exceptions import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping


def variables_of(template: str) -> tuple[str, ...]:
    """The names of a template's variables, in their order.

    :raises TemplateError: when it is no template
    """
    with suppress(ValueError):
        return tuple(URITemplate(template).variable_names)
    msg = "the link's template is malformed"
    raise TemplateError(msg)


def expanded(template: str, variables: Mapping[str, Any]) -> str:
    """The URI reference that a template makes of some variables; those not given are left out.

    :raises TemplateError: for one that the template doesn't have, or that can't be put in
    """
    known = variables_of(template)
    unknown = sorted(set(variables) - set(known))
    if unknown:
        has = ", ".join(known) if known else "none"
        msg = f"the link's template has no variable {', '.join(unknown)}; it has {has}"
        raise TemplateError(msg)
    given = {name: _checked(name, value) for name, value in variables.items() if value is not None}
    try:
        return URITemplate(template).expand(given)
    except (TypeError, ValueError, AttributeError) as error:
        msg = f"the link's template can't be expanded: {type(error).__name__}"
        raise TemplateError(msg) from None


def _checked(name: str, value: Any) -> Any:
    """A variable's value as RFC 6570 knows them: text, a list of texts, or pairs of texts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_checked(name, item) for item in value]
    if isinstance(value, dict):
        return {str(key): _checked(name, item) for key, item in value.items()}
    msg = f"the variable {name} must be text, a number, or a list or dict of them, not " + (
        type(value).__name__
    )
    raise TemplateError(msg)
