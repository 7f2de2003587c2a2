"""JSON Hyper-Schema 2019-09 (draft-handrews-json-schema-hyperschema-02).

Rules:

1. The schema is the caller's: what is wrong in it is an error when it is given. The instance is a
   server's: what it lacks costs the links concerned.
2. What comes from the instance stands in a link as text, so that the document has decided on it;
   only what `hrefSchema` accepts from whoever follows the link is left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from sleepwalker.exceptions import ConfigurationError, LinkError, TemplateError
from sleepwalker.links._format import LinkFormat
from sleepwalker.links._link import NOTHING, Field, Link, same_relation
from sleepwalker.links._templates import expanded, partly_expanded, variables_of

from ._json_schema import Located, Schema, Schemas, texts
from ._link_header import LinkHeader
from ._pointing import (
    MISSING,
    Path,
    Pointer,
    is_array,
    member,
    pointer_or_relative,
    value_at,
    written,
)
from ._reading import several, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sleepwalker.links._format import Document

JSON = "application/json"
_OWN = frozenset(
    {
        "rel",
        "href",
        "title",
        "anchor",
        "anchorPointer",
        "templatePointers",
        "templateRequired",
        "targetMediaType",
    }
)
"""The keywords that a link has attributes of its own for, or that only make its URLs."""
_CLOSING = ("additionalProperties", "unevaluatedProperties")
"""The keywords that may keep other members out."""


class HyperSchema(LinkFormat):
    """The links that a hyper-schema finds in JSON documents (JSON Hyper-Schema 2019-09).

    ::

        things = HyperSchema(schema, schemas={"https://schema.example.com/thing": thing})
        page = api.get("/things", formats=[things])
        page.follow("item")

    A link whose template takes input (`hrefSchema`) has `inputs`, those values among them that the
    instance has; whoever follows it may give these variables and no others. ``submissionSchema`` is
    the link's form, which `Resource.act` sends with POST, while `Resource.follow` gets the target,
    unless ``targetHints`` don't allow that. All other keywords are in a link's `attributes` as they
    stand in the schema; ``contextPointer`` and ``attachmentPointer`` there say which part of the
    instance it is about, and which part it was found at. A link that is about a part of the
    document, and not the whole, is in `Links.elsewhere`.

    Which schemas apply where is decided without validating: `$ref`, `allOf`, `dependentSchemas`,
    `properties`, `patternProperties`, `additionalProperties`, `items`, `additionalItems` and
    `prefixItems` always do; of `anyOf` and `oneOf` those that `type`, `const`, `enum`, `required`
    and `properties` don't rule out. Not read: `if`, `then`, `else`, `not`, `contains`,
    `propertyNames`, `unevaluatedItems`, `unevaluatedProperties` and `$recursiveRef`. Input is not
    validated beyond what may be given and what must be: the server does that.

    :param schema: of the documents
    :param schemas: what it refers to, by URL; nothing is fetched
    :raises ConfigurationError: for what is no hyper-schema, and for a `$ref` that leads nowhere
    """

    def __init__(self, schema: Any, *, schemas: Mapping[str, Any] = NOTHING) -> None:
        self._schemas = Schemas(schema, schemas)
        self._links = {
            each: tuple(
                _Description(self._schemas, each, link, f"{each.where}/links/{index}")
                for index, link in enumerate(_links_of(each))
            )
            for each in self._schemas.all
        }
        self._bases = {each: _base_of(each) for each in self._schemas.all}
        leading = _leading(self._schemas.all, self._links)
        for each in self._schemas.all:
            each.keep(leading.__contains__)
        self._has_items = any(link.is_item for links in self._links.values() for link in links)

    def recognizes(self, document: Document) -> bool:
        """Whether it says that it is described by the schema, by the schema's ``$id``.

        In a ``describedby`` link in its headers, or in the parameter ``schema`` or ``profile`` of
        its media type.
        """
        url = self._schemas.url
        if not url or not document.media_type.is_json:
            return False
        for name in ("schema", "profile"):
            said = document.media_type.parameters.get(name, "").split()
            if any(each.partition("#")[0] == url for each in said):
                return True
        return any(
            same_relation(link.rel, "describedby") and _url_of(link) == url
            for link in LinkHeader().links(document)
        )

    def links(self, document: Document) -> Iterable[Link]:
        """The links of the document and of its parts, from the outside to the inside."""
        for place in self._places(document.data):
            for link in self._links[place.schema]:
                yield from link.links(document, place)

    def items(self, document: Document) -> Iterable[Any] | None:
        """The parts that say of what they link to that it is an ``item`` of the whole."""
        if not self._has_items:
            return None
        found = {
            place.path: place.value
            for place in self._places(document.data)
            if place.path and any(link.is_item for link in self._links[place.schema])
        }
        return list(found.values())

    def _places(self, data: Any) -> Iterator[_Place]:
        """All parts of a document, each with each schema that is for it."""
        todo = [_Place(self._schemas.root, (), data, ())]
        done: set[tuple[Schema, Path]] = set()
        while todo:
            schema, path, value, bases = todo.pop()
            if (schema, path) in done or schema not in self._links:
                continue
            done.add((schema, path))
            base = self._bases[schema]
            if base is not None:
                bases = (*bases, _Base(base, path))
            place = _Place(schema, path, value, bases)
            yield place
            todo += reversed(
                [
                    _Place(
                        part.schema,
                        path if part.step is None else (*path, part.step),
                        part.value,
                        bases,
                    )
                    for part in schema.parts(value, self._schemas)
                ]
            )


class _Base(NamedTuple):
    """What links are resolved against (section 5.1): a template, and the place of its schema."""

    template: str
    path: Path


class _Place(NamedTuple):
    """A part of an instance, and a schema that is for it.

    :ivar bases: of its links, the outermost first
    """

    schema: Schema
    path: Path
    value: Any
    bases: tuple[_Base, ...]


@dataclass(frozen=True, slots=True)
class _Input:
    """What `hrefSchema` says (section 6.6.1)."""

    takes_others: bool
    fields: Mapping[str, Field | None]
    """`None`: it isn't accepted."""
    required: frozenset[str]

    def field(self, name: str) -> Field | None:
        """How a variable may be given; `None`: not at all."""
        if name in self.fields:
            return self.fields[name]
        return Field(name, type="any") if self.takes_others else None


class _Description:
    """A Link Description Object (section 6).

    :param where: it stands, for errors
    """

    def __init__(self, schemas: Schemas, schema: Schema, raw: Any, where: str) -> None:
        if not isinstance(raw, Mapping):
            msg = f"at {where} there must be a link description, not a {type(raw).__name__}"
            raise ConfigurationError(msg)
        self.relations = tuple(dict.fromkeys(texts(raw.get("rel"))))
        self.href = _template(raw.get("href"), f"{where}/href")
        if not self.relations:
            msg = f"at {where} there must be a rel: a relation, or a list of them"
            raise ConfigurationError(msg)
        self.anchor = _template(raw["anchor"], f"{where}/anchor") if "anchor" in raw else None
        self.anchor_pointer = (
            pointer_or_relative(raw["anchorPointer"], f"{where}/anchorPointer")
            if "anchorPointer" in raw
            else None
        )
        pointers = raw.get("templatePointers", {})
        if not isinstance(pointers, Mapping):
            msg = f"{where}/templatePointers must map variables to JSON Pointers"
            raise ConfigurationError(msg)
        self.pointers: dict[str, Pointer] = {
            name: pointer_or_relative(value, f"{where}/templatePointers/{name}")
            for name, value in pointers.items()
        }
        self.required = texts(raw.get("templateRequired"))
        self.is_item = (
            self.anchor is None
            and self.anchor_pointer == Pointer(())
            and any(same_relation(rel, "item") for rel in self.relations)
        )
        self._input = _input(schemas, Located(raw.get("hrefSchema", False), schema.base))
        self._attributes = {name: value for name, value in raw.items() if name not in _OWN}
        self._about: dict[str, Any] = {
            "title": text(raw, "title"),
            "type": text(raw, "targetMediaType"),
            **_form(schemas, schema, raw),
        }

    def links(self, document: Document, place: _Place) -> Iterator[Link]:
        """The links that it makes at a place, if it has there what it needs (section 7.2)."""
        templates = (*(base.template for base in place.bases), self.href)
        names = list(dict.fromkeys(name for each in templates for name in variables_of(each)))
        fields = {name: self._input.field(unquote(name)) for name in names}
        values = self._values(document.data, place, names)
        open_to_all = {unquote(name) for name, field in fields.items() if field is not None}
        for name in self.required:
            if name not in open_to_all and self._value(document.data, place, name) is MISSING:
                return
        about = self._context(document, place)
        if about is None:
            return
        context, where = about
        try:
            target = self._target(document.base, templates, values, fields)
        except TemplateError:
            # An array of arrays, or the like.
            return
        if target is None:
            return
        for rel in self.relations:
            yield Link(
                rel=rel,
                **target,
                context=context,
                attributes={
                    **self._attributes,
                    "contextPointer": where,
                    "attachmentPointer": written(place.path),
                },
                **self._about,
            )

    def _target(
        self,
        url: str,
        templates: tuple[str, ...],
        values: Mapping[str, Any],
        fields: Mapping[str, Field | None],
    ) -> dict[str, Any] | None:
        """Where it leads, as a link has it; `None`: to what is no URL.

        :param templates: those of its bases, and its own
        :param values: what the instance has for their variables
        :param fields: how these may be given by whoever follows the link
        :raises TemplateError: for values that don't go into a template
        """
        fixed = {name: value for name, value in values.items() if fields[name] is None}
        base: str | None = url
        open_bases: list[str] = []
        for template in templates[:-1]:
            names = variables_of(template)
            if open_bases or any(fields[name] is not None for name in names):
                open_bases.append(partly_expanded(template, fixed))
            elif base is not None:
                base = _resolved(base, _filled(template, fixed))
        if base is None:
            return None
        inputs = [(name, field) for name, field in fields.items() if field is not None]
        if not inputs:
            return {"href": _filled(self.href, fixed), "base": base}
        for template in templates:
            _filled(template, values)
        return {
            "href": partly_expanded(self.href, fixed),
            "base": base,
            "bases": tuple(open_bases),
            "templated": True,
            "variables": values,
            "inputs": tuple(
                Field(
                    name,
                    values.get(name),
                    field.type,
                    field.title,
                    required=unquote(name) in self._input.required
                    or unquote(name) in self.required,
                    options=field.options,
                )
                for name, field in inputs
            ),
        }

    def _context(self, document: Document, place: _Place) -> tuple[str | None, str] | None:
        """What it is about (section 6.1): a URL, as a link has it, and where in the document there.

        `None`: nothing that there is.
        """
        path: Path | None = place.path if self.anchor is None else ()
        if self.anchor_pointer is not None:
            path = self.anchor_pointer.path(document.data, place.path)
        if path is None:
            return None
        url: str | None = document.url
        if self.anchor is not None:
            url = document.base
            for template in (*(base.template for base in place.bases), self.anchor):
                values = self._values(document.data, place, variables_of(template))
                try:
                    url = None if url is None else _resolved(url, _filled(template, values))
                except TemplateError:
                    return None
        if url is None:
            return None
        where = written(path)
        fragment = quote(where, safe="/~!$&'()*+,;=:@?")
        if where:
            return f"{url}#{fragment}", where
        return None if url == document.url else url, where

    def _values(self, data: Any, place: _Place, names: Iterable[str]) -> dict[str, Any]:
        """What the instance has for variables (section 7.2.1)."""
        found = {name: self._value(data, place, unquote(name)) for name in names}
        for base in reversed(place.bases):
            # The link's own place decides (section 6.4), but then section 9.4 has a base with a
            # variable that is only found where the base stands.
            for name in variables_of(base.template):
                if found.get(name) is MISSING:
                    outer = value_at(data, base.path)
                    if isinstance(outer, Mapping):
                        found[name] = member(outer, unquote(name))
        return {
            # Section 7.2.3, which knows null as a value.
            name: "null" if value is None else value
            for name, value in found.items()
            if value is not MISSING
        }

    def _value(self, data: Any, place: _Place, name: str) -> Any:
        pointer = self.pointers.get(name)
        if pointer is not None:
            return pointer.found(data, place.path)
        return member(place.value, name) if isinstance(place.value, Mapping) else MISSING


def _filled(template: str, values: Mapping[str, Any]) -> str:
    return expanded(
        template, {name: values[name] for name in variables_of(template) if name in values}
    )


def _resolved(base: str, reference: str) -> str | None:
    """A reference against a base, by the rules of links; `None`: it is no URL."""
    return _url_of(Link(rel="base", href=reference, base=base))


def _url_of(link: Link) -> str | None:
    try:
        return link.url()
    except LinkError:
        return None


def _links_of(schema: Schema) -> list[Any]:
    links = schema.raw.get("links", [])
    if is_array(links):
        return list(links)
    msg = f"{schema.where}/links must be a list of link descriptions"
    raise ConfigurationError(msg)


def _base_of(schema: Schema) -> str | None:
    base = schema.raw.get("base")
    return None if base is None else _template(base, f"{schema.where}/base")


def _template(value: Any, where: str) -> str:
    if isinstance(value, str):
        try:
            variables_of(value)
        except TemplateError:
            pass
        else:
            return value
    msg = f"{where} must be a URI template, not {value!r}"
    raise ConfigurationError(msg)


def _leading(
    schemas: Iterable[Schema], links: Mapping[Schema, tuple[_Description, ...]]
) -> set[Schema]:
    """The schemas that have links, or lead to some that have: the others need not be looked at."""
    outer: dict[Schema, list[Schema]] = {}
    for schema in schemas:
        for each in schema.inner():
            outer.setdefault(each, []).append(schema)
    todo = [schema for schema, those in links.items() if those]
    found = set(todo)
    while todo:
        for schema in outer.get(todo.pop(), ()):
            if schema not in found:
                found.add(schema)
                todo.append(schema)
    return found


def _input(schemas: Schemas, schema: Located) -> _Input:
    """What `hrefSchema` accepts; its absence is the same as false (section 6.6.1)."""
    fields, required, takes_others = _object(schemas, schema)
    return _Input(takes_others, fields, frozenset(required))


def _form(schemas: Schemas, schema: Schema, raw: Mapping[str, Any]) -> dict[str, Any]:
    """How a link is followed, and how something is submitted to it (sections 6.6.4 and 8.3)."""
    submission = raw.get("submissionSchema", MISSING)
    submits = submission is not MISSING or "submissionMediaType" in raw
    hints = raw.get("targetHints")
    allowed = [
        method.upper()
        for method in texts(hints.get("allow") if isinstance(hints, Mapping) else None)
        if method.isascii() and method.isalpha()
    ]
    made: dict[str, Any] = {}
    if allowed and not {"GET", "HEAD"} & set(allowed):
        made["method"] = "POST" if submits and "POST" in allowed else allowed[0]
    if not submits:
        return made
    made["sends"] = text(raw, "submissionMediaType") or JSON
    if made.get("method", "GET") != "POST":
        made["submits"] = "POST"
    if submission is not MISSING:
        fields, required, any_field = _object(schemas, Located(submission, schema.base))
        made["fields"] = tuple(
            Field(name, field.value, field.type, field.title, name in required, field.options)
            for name, field in fields.items()
            if field is not None
        )
        made["any_field"] = any_field
    return made


def _object(schemas: Schemas, schema: Located) -> tuple[dict[str, Field | None], list[str], bool]:
    """What a schema says of an object: its members, those required, whether others may be there.

    Of a member that can't be there the field is `None`.
    """
    members: dict[str, list[Located]] = {}
    required: list[str] = []
    others = True
    for raw, base in schemas.layers(schema):
        if raw is False:
            return {}, [], False
        if not isinstance(raw, Mapping):
            continue
        required += texts(raw.get("required"))
        inner = raw.get("properties")
        if isinstance(inner, Mapping):
            for name, each in inner.items():
                members.setdefault(name, []).append(Located(each, base))
        if any(raw.get(each) is False for each in _CLOSING):
            others = False
    fields = {
        name: _field(name, [layer.raw for each in those for layer in schemas.layers(each)])
        for name, those in members.items()
    }
    return fields, required, others


def _field(name: str, layers: list[Any]) -> Field | None:
    """What a schema says of a member; `None`: it may not be there."""
    if any(raw is False for raw in layers):
        return None
    said = [raw for raw in layers if isinstance(raw, Mapping)]
    kinds = [kind for key in ("format", "type") for raw in said if (kind := text(raw, key))]
    titles = [title for raw in said if (title := text(raw, "title"))]
    return Field(
        name,
        next((raw["const"] for raw in said if "const" in raw), None),
        next(iter(kinds), "any"),
        next(iter(titles), None),
        options=next((tuple(several(raw["enum"])) for raw in said if "enum" in raw), ()),
    )
