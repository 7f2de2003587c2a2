"""Which schemas are for which parts of an instance: as much of JSON Schema 2019-09 as links need.

Rules:

1. Nothing is fetched: a reference leads to what the caller gave, or is an error when it is given.
2. Nothing is validated. Where that would be needed to know whether a schema applies (`anyOf`,
   `oneOf`), those that a few plain keywords rule out don't; `if` and `not` are not looked at.
3. Schemas may refer to themselves, and instances may be as deep as JSON is allowed to be: no
   recursion over instances, and nothing is done twice at one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from sleepwalker.exceptions import ConfigurationError

from ._pointing import MISSING, is_array, member, pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NO_SCHEMAS = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values may look like schemas and are none."""
_DEEP = 4
"""How many levels of an instance are looked at to tell which schema is for it."""


class Located(NamedTuple):
    """A schema, and the URL that references in it are resolved against."""

    raw: Any
    base: str


class Part(NamedTuple):
    """A part of a value, and a schema that is for it."""

    schema: Schema
    step: str | int | None
    """From the value to the part; `None`: it is the value itself."""
    value: Any


class Schema:
    """A schema object, and where the schemas within it apply.

    :ivar raw: as it was given
    :ivar base: the URL that references in it are resolved against
    :ivar where: it stands, for errors
    """

    def __init__(self, raw: Mapping[str, Any], base: str, where: str) -> None:
        self.raw, self.base, self.where = raw, base, where
        self.here: list[Schema] = []
        """Those that apply wherever this one does."""
        self.choices: list[tuple[Located, Schema]] = []
        """Those that may."""
        self.dependent: dict[str, Schema] = {}
        """Those that apply to an object with such a member."""
        self.members: dict[str, Schema | None] = {}
        self.patterns: list[tuple[re.Pattern[str], Schema | None]] = []
        self.other_members: Schema | None = None
        self.elements: list[Schema | None] = []
        """Of the first elements of an array."""
        self.other_elements: Schema | None = None

    def inner(self) -> Iterator[Schema]:
        """All schemas within it, wherever they apply."""
        yield from self.here
        for _, schema in self.choices:
            yield schema
        yield from self.dependent.values()
        several = [*self.members.values(), *(schema for _, schema in self.patterns)]
        for each in (*several, self.other_members, *self.elements, self.other_elements):
            if each is not None:
                yield each

    def keep(self, wanted: Callable[[Schema], bool]) -> None:
        """Forget the schemas within it that aren't wanted."""

        def kept(schema: Schema | None) -> Schema | None:
            return schema if schema is not None and wanted(schema) else None

        self.here = [each for each in self.here if wanted(each)]
        self.choices = [each for each in self.choices if wanted(each[1])]
        self.dependent = {name: each for name, each in self.dependent.items() if wanted(each)}
        # A member that has a schema is none of the others, whatever the schema says.
        self.members = {name: kept(each) for name, each in self.members.items()}
        self.patterns = [(pattern, kept(each)) for pattern, each in self.patterns]
        self.other_members = kept(self.other_members)
        self.elements = [kept(each) for each in self.elements]
        self.other_elements = kept(self.other_elements)

    def parts(self, value: Any, schemas: Schemas) -> Iterator[Part]:
        """What the schemas within it are for."""
        for schema in self.here:
            yield Part(schema, None, value)
        for located, schema in self.choices:
            if schemas.may_hold(located, value):
                yield Part(schema, None, value)
        if isinstance(value, Mapping):
            for name, schema in self.dependent.items():
                if name in value:
                    yield Part(schema, None, value)
            yield from self._members(value)
        elif is_array(value):
            yield from self._elements(value)

    def _members(self, value: Mapping[str, Any]) -> Iterator[Part]:
        if not (self.patterns or self.other_members):
            # The usual case: an object may have many members that there are no links for.
            for name, schema in self.members.items():
                if schema is not None and name in value:
                    yield Part(schema, name, value[name])
            return
        for name, inner in value.items():
            found = [self.members[name]] if name in self.members else []
            found += [schema for pattern, schema in self.patterns if pattern.search(str(name))]
            for each in found or [self.other_members]:
                if each is not None:
                    yield Part(each, name, inner)

    def _elements(self, value: Iterable[Any]) -> Iterator[Part]:
        if not self.elements and self.other_elements is None:
            return
        for index, element in enumerate(value):
            known = index < len(self.elements)
            schema = self.elements[index] if known else self.other_elements
            if schema is not None:
                yield Part(schema, index, element)


class Schemas:
    """A schema with all that it refers to.

    :param root: the schema
    :param others: schemas that it refers to, by URL
    :raises ConfigurationError: for what is no schema, and for a reference that leads nowhere
    """

    def __init__(self, root: Any, others: Mapping[str, Any]) -> None:
        # Whoever gave them may change them later.
        root, others = deepcopy((root, dict(others)))
        self._resources: dict[str, Any] = {}
        self._anchors: dict[tuple[str, str], Located] = {}
        self._made: dict[tuple[int, str], Schema] = {}
        # By the ids of schemas, which live as long as this.
        self._layers: dict[tuple[int, str], list[Located]] = {}
        for url, each in others.items():
            self._index(each, urldefrag(url).url)
        self.url = self._index(root, "")
        """The URL of the schema; empty: it has none."""
        self.root = self._schema(Located(root, ""), "#")

    @property
    def all(self) -> list[Schema]:
        """All schemas that may apply to a part of an instance."""
        return list(self._made.values())

    def _index(self, root: Any, url: str) -> str:
        """Remember what references may name; the URL that the schema gives itself."""
        if isinstance(root, bool):
            self._resources[url] = root
            return url
        if not isinstance(root, Mapping):
            msg = f"a schema must be a dict, not {type(root).__name__}"
            raise ConfigurationError(msg)
        self._resources.setdefault(url, root)
        own = _base(root, url)
        todo: list[tuple[Any, str]] = [(root, url)]
        while todo:
            value, base = todo.pop()
            if isinstance(value, Mapping):
                own_base = _base(value, base)
                if own_base != base:
                    self._resources.setdefault(own_base, value)
                base = own_base
                if isinstance(name := value.get("$anchor"), str):
                    self._anchors[base, name] = Located(value, base)
                inner = [each for key, each in value.items() if key not in _NO_SCHEMAS]
                todo += [(each, base) for each in inner]
            elif is_array(value):
                todo += [(each, base) for each in value]
        return own

    def referred(self, reference: Any, base: str) -> Located | None:
        """What a reference leads to; `None` where it leads nowhere."""
        if not isinstance(reference, str):
            return None
        try:
            # urllib resolves fragments against URLs of some schemes only.
            url, fragment = urldefrag(
                base + reference if reference.startswith("#") else urljoin(base, reference)
            )
            fragment = unquote(fragment, errors="strict")
        except ValueError:
            return None
        if url not in self._resources:
            return None
        if fragment and not fragment.startswith("/"):
            return self._anchors.get((url, fragment))
        found = Located(self._resources[url], url)
        for part in pointer(fragment, f"the reference {reference!r}").parts:
            found = Located(member(found.raw, part), _base(found.raw, found.base))
        return None if found.raw is MISSING else found

    def _schema(self, located: Located, where: str) -> Schema:
        raw = located.raw
        if isinstance(raw, bool):
            raw = {}
        if not isinstance(raw, Mapping):
            msg = f"at {where} there must be a schema, not a {type(raw).__name__}"
            raise ConfigurationError(msg)
        key = id(located.raw), _base(raw, located.base)
        if not isinstance(located.raw, bool) and key in self._made:
            return self._made[key]
        made = Schema(raw, key[1], where)
        if not isinstance(located.raw, bool):
            self._made[key] = made
        self._fill(made)
        return made

    def _fill(self, made: Schema) -> None:
        """Find the schemas within a schema."""
        raw = made.raw

        def inner(value: Any, *path: str | int) -> Schema:
            return self._schema(Located(value, made.base), "/".join(map(str, (made.where, *path))))

        if "$ref" in raw:
            found = self.referred(raw["$ref"], made.base)
            if found is None:
                msg = (
                    f"the reference {raw['$ref']!r} at {made.where} leads nowhere; nothing is "
                    "fetched: give what it leads to in schemas={url: schema}"
                )
                raise ConfigurationError(msg)
            made.here.append(self._schema(found, str(raw["$ref"])))
        made.here += [
            inner(each, "allOf", index) for index, each in enumerate(_list(made, "allOf"))
        ]
        for keyword in ("anyOf", "oneOf"):
            made.choices += [
                (Located(each, made.base), inner(each, keyword, index))
                for index, each in enumerate(_list(made, keyword))
            ]
        for name, each in _map(made, "dependentSchemas").items():
            made.dependent[name] = inner(each, "dependentSchemas", name)
        for name, each in _map(made, "properties").items():
            made.members[name] = inner(each, "properties", name)
        for name, each in _map(made, "patternProperties").items():
            try:
                pattern = re.compile(name)
            except re.error:
                msg = f"at {made.where}/patternProperties, {name!r} is no regular expression"
                raise ConfigurationError(msg) from None
            made.patterns.append((pattern, inner(each, "patternProperties", name)))
        if "additionalProperties" in raw:
            made.other_members = inner(raw["additionalProperties"], "additionalProperties")
        self._fill_elements(made, inner)

    def _fill_elements(self, made: Schema, inner: Callable[..., Schema]) -> None:
        """`items`, one for each or one for all; and `prefixItems`, its name from 2020-12 on."""
        raw, rest = made.raw, "items"
        for keyword in ("prefixItems", "items"):
            if is_array(raw.get(keyword)):
                made.elements = [inner(each, keyword, n) for n, each in enumerate(raw[keyword])]
                rest = "items" if keyword == "prefixItems" else "additionalItems"
                break
        if rest in raw:
            made.other_elements = inner(raw[rest], rest)

    def layers(self, schema: Located) -> list[Located]:
        """A schema, and those that apply wherever it does; what leads nowhere is left out."""
        key = id(schema.raw), schema.base
        known = self._layers.get(key)
        if known is None:
            known = self._layers[key] = self._all_layers(schema)
        return known

    def _all_layers(self, schema: Located) -> list[Located]:
        found: list[Located] = []
        todo: list[Located | None] = [schema]
        while todo:
            each = todo.pop(0)
            if each is None or any(each.raw is other.raw for other in found):
                continue
            raw = each.raw
            if isinstance(raw, bool):
                found.append(each)
            elif isinstance(raw, Mapping):
                base = _base(raw, each.base)
                found.append(Located(raw, base))
                if "$ref" in raw:
                    todo.append(self.referred(raw["$ref"], base))
                if is_array(raw.get("allOf")):
                    todo += [Located(inner, base) for inner in raw["allOf"]]
        return found

    def may_hold(self, schema: Located, value: Any) -> bool:
        """Whether nothing that is plain to see keeps a value from being valid."""
        todo = [(schema, value, 0)]
        while todo:
            located, value, depth = todo.pop()
            for raw, base in self.layers(located):
                if raw is False:
                    return False
                if raw is True:
                    continue
                if not _is_plausible(raw, value):
                    return False
                inner = raw.get("properties")
                if isinstance(inner, Mapping) and isinstance(value, Mapping) and depth < _DEEP:
                    todo += [
                        (Located(inner[name], base), value[name], depth + 1)
                        for name in inner
                        if name in value
                    ]
        return True


def _is_plausible(raw: Mapping[str, Any], value: Any) -> bool:
    types = [_TYPES[name] for name in texts(raw.get("type")) if name in _TYPES]
    if types and not any(is_one(value) for is_one in types):
        return False
    if "const" in raw and not _same(raw["const"], value):
        return False
    options = raw.get("enum")
    if isinstance(options, list | tuple) and not any(_same(each, value) for each in options):
        return False
    return not isinstance(value, Mapping) or all(
        name in value for name in texts(raw.get("required"))
    )


def texts(value: Any) -> list[str]:
    """A text, or the texts in an array."""
    several = value if is_array(value) else [value]
    return [each for each in several if isinstance(each, str)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": is_array,
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == value // 1,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same to JSON, to which 1 is not true."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _base(raw: Any, base: str) -> str:
    """What references in a schema are resolved against."""
    own = raw.get("$id") if isinstance(raw, Mapping) else None
    if not isinstance(own, str) or own.startswith("#"):
        return base
    try:
        # Against no base, urllib takes anything for a URL.
        return urldefrag(urljoin(base, urlsplit(own).geturl())).url
    except ValueError:
        msg = f"the $id {own!r} of a schema is no URL"
    raise ConfigurationError(msg)


def _map(schema: Schema, keyword: str) -> Mapping[str, Any]:
    value = schema.raw.get(keyword, {})
    if isinstance(value, Mapping):
        return value
    msg = f"at {schema.where}/{keyword} there must be a dict of schemas"
    raise ConfigurationError(msg)


def _list(schema: Schema, keyword: str) -> list[Any]:
    value = schema.raw.get(keyword, [])
    if is_array(value):
        return list(value)
    msg = f"at {schema.where}/{keyword} there must be a list of schemas"
    raise ConfigurationError(msg)
