"""URI templates (RFC 6570): their variables, and what comes of them.

A variable that the template doesn't have is an error: it is a spelling mistake more often than it
is meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from uritemplate import URITemplate

from sleepwalker.exceptions import TemplateError

_LONG = 500
"""From how many characters on a template is not kept."""
_EXPRESSION = re.compile(r"\{[^}]+\}")


def variables_of(template: str) -> tuple[str, ...]:
    """The names of a template's variables, in their order.

    :raises TemplateError: when it is no template
    """
    return tuple(_parsed(template).variable_names)


@lru_cache(maxsize=256)
def _known(template: str) -> URITemplate:
    """A template that is used often: that of the items of a collection, say."""
    return URITemplate(template)


def _parsed(template: str) -> URITemplate:
    try:
        return _known(template) if len(template) < _LONG else URITemplate(template)
    except ValueError:
        # A prefix that is no number, as in {id:x}.
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
    given: dict[str, Any] = {}
    for name, value in variables.items():
        checked = None if value is None else _checked(name, value)
        # An empty list or dict is as good as none (section 2.3), which uritemplate forgets here and
        # there.
        if checked or checked == "":
            given[name] = checked
    parsed = _parsed(template)
    try:
        return parsed.expand(given)
    except (TypeError, ValueError, AttributeError) as error:
        msg = f"the link's template can't be expanded: {type(error).__name__}"
    raise TemplateError(msg)


def partly_expanded(template: str, variables: Mapping[str, Any]) -> str:
    """The template with those expressions expanded that all variables are given for.

    :raises TemplateError: as `expanded`
    """

    def one(expression: re.Match[str]) -> str:
        names = variables_of(expression[0])
        if not all(name in variables for name in names):
            return expression[0]
        text = expanded(expression[0], {name: variables[name] for name in names})
        # Reserved expansion may let braces through: they would make an expression of the value's.
        return expression[0] if "{" in text else text

    return _EXPRESSION.sub(one, template)


def _checked(name: str, value: Any) -> str | list[str] | dict[str, str]:
    """A variable's value as RFC 6570 knows them: text, a list of texts, or pairs of texts."""
    if isinstance(value, list | tuple):
        return [_text(name, item) for item in value if item is not None]
    if isinstance(value, Mapping):
        return {str(key): _text(name, item) for key, item in value.items() if item is not None}
    return _text(name, value)


def _text(name: str, value: Any) -> str:
    """A value as the text that it is put in as: to uritemplate, the number 0 is nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    msg = (
        f"the variable {name} must be text, a number, or a list or dict of them, not "
        f"{type(value).__name__}"
    )
    raise TemplateError(msg)
