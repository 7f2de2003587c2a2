"""`sleepwalker get`: get a resource, follow links from it, show what is there.

Rules:

1. What is piped is what came: JSON set out anew, or the very bytes. Colours and what is readable
   are for terminals.
2. What a server sent can't steer the terminal, and headers that are secret are not shown.
3. The trace is drawn whether all went well or not.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from sleepwalker.cli import _links
from sleepwalker.cli._extras import needed
from sleepwalker.cli._failures import Exit, UsageError
from sleepwalker.cli._text import harmless, one_line
from sleepwalker.exceptions import HTTPError, RelationError, TemplateError
from sleepwalker.links import MediaType
from sleepwalker.observability.redaction import DEFAULT as REDACTION
from sleepwalker.resilience.deadline import deadline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import requests

    from sleepwalker.cli._commands import Command
    from sleepwalker.cli._services import Client, Options
    from sleepwalker.links import Link, Links, Resource

HIGHLIGHTED = 500_000
"""Characters: JSON of more is shown without colours, which would take seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command is told, beside what `Options` says."""

    options: Options
    follow: Sequence[str] = ()
    variables: Sequence[str] = ()
    raw: bool = False
    include: bool = False
    links: bool = False
    trace: bool = False


class Step(NamedTuple):
    """A link to follow: ``REL``, or ``REL[WHICH]`` where there are several."""

    rel: str
    which: str | None

    @classmethod
    def of(cls, text: str) -> Step:
        """Understand what the command line says."""
        found = re.fullmatch(r"(.+)\[([^\[\]]+)\]", text)
        return cls(text, None) if found is None else cls(found[1], found[2])

    def chosen(self, links: Links) -> Link:
        """The link that is meant.

        :raises RelationError: when there is none, or several
        """
        there = links.all(self.rel)
        if self.which is None or not there:
            return links.one(self.rel)
        named = [link for link in there if link.name == self.which]
        if len(named) == 1:
            return named[0]
        if not named and self.which.isdecimal() and 0 < int(self.which) <= len(there):
            return there[int(self.which) - 1]
        msg = f"of {len(there)} links {self.rel!r} " + (
            f"{len(named)} have the name {self.which!r}"
            if named
            else f"none has the name or number {self.which!r}"
        )
        raise RelationError(msg, relations=tuple(links))


def run(request: Request, command: Command) -> int:
    """Do what the command says; the exit code.

    :raises UsageError: for what can't be used
    :raises SleepwalkerException: for what can't be had
    """
    steps = [Step.of(text) for text in request.follow]
    variables = variables_of(request.variables)
    if variables and not steps:
        raise UsageError("--var is for the templates of links: there is no --follow")
    with ExitStack() as stack:
        provider: Any = False
        if request.trace:
            with needed("opentelemetry.sdk"):
                from sleepwalker.cli._trace import Trace  # noqa: PLC0415 - an extra
            trace = Trace()
            provider = trace.provider
        client = stack.enter_context(command.client(request.options, tracer_provider=provider))
        if request.trace:
            stack.callback(trace.draw, command.errors)
            stack.enter_context(trace.root("sleepwalker get"))
        if request.options.deadline is not None:
            stack.enter_context(deadline(request.options.deadline))
        try:
            resource = reached(client, steps, variables)
        except HTTPError as error:
            if request.include and error.response is not None:
                _show_head(error.response, command)
                _show_body(error.response, None, command, raw=request.raw)
            raise
        _show(resource, request, command)
    return Exit.DONE


def variables_of(texts: Sequence[str]) -> dict[str, Any]:
    """Variables as the command line has them: ``NAME=VALUE``; one that comes again is a list.

    :raises UsageError: for what is none
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError("--var takes NAME=VALUE")
        found.setdefault(name, []).append(value)
    return {name: values if values[1:] else values[0] for name, values in found.items()}


def reached(client: Client, steps: Sequence[Step], variables: Mapping[str, Any]) -> Resource:
    """The resource that the links lead to.

    A variable goes to each template that has it.

    :raises TemplateError: for a variable that none has, before the last link is followed
    :raises SleepwalkerException: as `ServiceManager.get` and `Resource.follow`
    """
    resource = client.services.get(client.url, headers=client.headers, formats=client.formats)
    unused = set(variables)
    for number, step in enumerate(steps, 1):
        link = step.chosen(resource.links)
        put_in = {name: variables[name] for name in link.wants if name in variables}
        unused -= set(put_in)
        if unused and number == len(steps):
            wants = ", ".join(link.wants) or "none"
            msg = f"no template has the variable {', '.join(sorted(unused))}; the last has {wants}"
            raise TemplateError(msg)
        resource = resource.follow_link(link, put_in)
    return resource


# --- showing it -----------------------------------------------------------------------------


def _show(resource: Resource, request: Request, command: Command) -> None:
    response = resource.response
    if response is None:  # pragma: no cover - of connections that aren't ours
        command.out.write_bytes(_as_json(resource.data).encode())
        return
    if request.include:
        _show_head(response, command)
    if request.links:
        _show_links(resource.links, command)
    elif request.raw:
        _show_body(response, None, command, raw=True)
    else:
        _show_body(response, resource.data, command)


def _show_head(response: requests.Response, command: Command) -> None:
    """Status and headers, as they came but for secrets."""
    version = {9: "0.9", 10: "1.0", 11: "1.1"}.get(getattr(response.raw, "version", 0) or 0, "1.1")
    lines = [f"HTTP/{version} {response.status_code} {response.reason or ''}".rstrip()]
    lines += [f"{name}: {value}" for name, value in _headers(response)]
    text = "".join(f"{one_line(line)}\n" for line in lines) + "\n"
    command.out.write_bytes(text.encode(errors="replace"))


def _headers(response: requests.Response) -> Iterator[tuple[str, str]]:
    several: Any = getattr(response.raw, "headers", None)
    pairs = several.items() if hasattr(several, "getlist") else response.headers.items()
    for name, value in pairs:
        yield from REDACTION.headers({name: value}).items()


def _show_body(
    response: requests.Response, data: Any, command: Command, *, raw: bool = False
) -> None:
    body: bytes = response.content
    kind = MediaType.of(response.headers.get("Content-Type"))
    if raw or not body:
        command.out.write_bytes(body)
        return
    is_json = kind.is_json or data is not None
    if is_json and data is not None:
        try:
            text = _as_json(data)
        except ValueError:
            # Infinities, which no JSON has, and Python's reader takes: as it came, then.
            is_json, text = False, ""
    elif is_json:
        text = body.decode(errors="replace")
    else:
        text = ""
    if not command.to_terminal:
        command.out.write_bytes(text.encode("utf-8", "surrogatepass") if text else body)
        return
    if not text:
        found = _as_text(body, kind)
        if found is None:
            name = kind.name or "an unknown type"
            command.say(f"({len(body):,} bytes of {name}: --raw, or a pipe, writes them)")
            return
        text = found
    shown = Text(harmless(text.rstrip("\n")))
    if is_json and len(text) <= HIGHLIGHTED:
        JSONHighlighter().highlight(shown)
    command.console.print(shown, soft_wrap=True)


def _as_json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _as_text(body: bytes, kind: MediaType) -> str | None:
    """The body as text; `None` if it is none."""
    charset = kind.parameters.get("charset", "utf-8")
    if b"\0" in body:
        return None
    try:
        return body.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return body.decode("latin-1") if kind.name.startswith("text/") else None


def _show_links(links: Links, command: Command) -> None:
    told = [_links.told(link) for link in (*links.flat(), *links.elsewhere)]
    if not command.to_terminal:
        lines = "".join(f"{json.dumps(each)}\n" for each in told)
        command.out.write_bytes(lines.encode())
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("relation", overflow="fold")
    table.add_column("leads to", overflow="fold")
    table.add_column("more", overflow="fold")
    for each in told:
        rel, to = each.pop("rel"), each.pop("url", None) or each.pop("template")
        more = ", ".join(f"{name}: {value}" for name, value in each.items())
        table.add_row(*(Text(one_line(str(cell))) for cell in (rel, to, more)))
    command.console.print(table if told else "There are no links.")
