"""A link, and the links of a document under their relations.

Rules:

1. A link is a value: what a document said, and where it is resolved from. It fetches nothing.
2. Relations compare as RFC 8288 says (2.1.1, 2.1.2): registered ones and extension ones (URIs)
   alike, character by character, whatever the case of ASCII letters.
3. Nothing of a target but its origin is shown in a `repr`: its query may hold a key. Nor is the
   value of a field.
4. A link has a hash, and pickles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from sleepwalker.exceptions import LinkURLError, RelationError, TemplateError
from sleepwalker.observability.redaction import DEFAULT as REDACTION

from ._templates import expanded, variables_of
from ._urls import canonical, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
"""What no URL has; a backslash is a slash to some readers only."""
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
LONGEST = 64 * 1024
"""Characters of a URL: as much as a `Location` could have, and more than servers take."""
_LONGEST_SHOWN = 500
"""Characters of a URL in a `repr`."""
_SHOWN = 100
"""How many characters of a name, and how many names, an error shows of those in a document."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a link's form.

    :ivar name: under which its value is sent
    :ivar value: what is sent when nothing else is given; `None`: nothing
    :ivar type: what kind of value it takes, in the format's own words
    :ivar title: what it is called before people
    :ivar required: whether it must be given
    :ivar options: the values to choose from, where the format says which
    """

    name: str
    value: Any = field(default=None, repr=False, hash=False)
    type: str = "text"
    title: str | None = None
    required: bool = False
    options: tuple[Any, ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Link:
    """A link from a document to another resource.

    :ivar rel: its relation type, as the document writes it
    :ivar also: other spellings of the relation, under which it is found too (a CURIE written out)
    :ivar href: the URI reference, or the URI template when `templated`
    :ivar base: the absolute URL that `href` is resolved against
    :ivar context: the absolute URL of what the link is about, if that isn't the document (RFC 8288
        ``anchor``)
    :ivar templated: whether `href` is a URI template (RFC 6570)
    :ivar variables: what the document itself puts into the template
    :ivar inputs: what whoever follows it may put into the template; `None`: any of its variables
    :ivar bases: URI templates between `base` and `href`, the outermost first, where whoever follows
        it has a say in these too
    :ivar method: the HTTP method it is followed with
    :ivar name: what tells it from others of its relation (HAL), or an action's name (Siren)
    :ivar title: what it is called before people
    :ivar type: the media type that its target is said to have
    :ivar fields: of its form, where it has one
    :ivar any_field: whether its form takes fields that it doesn't name
    :ivar sends: the media type that its form is sent as; `None`: it has no form
    :ivar submits: the HTTP method that its form is sent with, where that isn't `method`
    :ivar deprecation: where its end is announced; `None`: it isn't deprecated. Following it is
        told as a warning, ``link.deprecated``.
    :ivar attributes: whatever else the format says of it
    :ivar data: the target's representation, where the document holds it already
    """

    rel: str
    href: str
    base: str
    also: tuple[str, ...] = ()
    context: str | None = None
    templated: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict, hash=False)
    inputs: tuple[Field, ...] | None = None
    bases: tuple[str, ...] = ()
    method: str = "GET"
    name: str | None = None
    title: str | None = None
    type: str | None = None
    fields: tuple[Field, ...] = ()
    any_field: bool = False
    sends: str | None = None
    submits: str | None = None
    deprecation: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    data: Any = field(default=None, hash=False)

    @property
    def wants(self) -> tuple[str, ...]:
        """The variables that are yet to be put into its template.

        :raises TemplateError: when it is none
        """
        if not self.templated:
            return ()
        if self.inputs is not None:
            names: Iterable[str] = (each.name for each in self.inputs)
        else:
            names = variables_of(self.href)
        return tuple(name for name in names if name not in self.variables)

    def url(self, /, **variables: Any) -> str:
        """The URL that it leads to, absolute as its base is, without a fragment.

        :param variables: for its template; those not given are left out, as RFC 6570 has it
        :raises TemplateError: for a variable that the template doesn't have, or that the link
            requires and isn't given
        :raises LinkURLError: when no URL comes of it
        """
        return self._resolved(self._references(variables))

    def own_url(self) -> str:
        """Where it leads with what the document itself puts into its template, and nothing else.

        :raises TemplateError: when it is no template
        :raises LinkURLError: when no absolute URL comes of it
        """
        return self._resolved(self._filled(self.variables))

    def _resolved(self, references: list[str]) -> str:
        if any(map(CONTROL.search, references)):
            # `urllib` would leave some of them out, and so read another URL than the next reader.
            msg = f"the link {shown_name(self.rel)} has control characters or backslashes in it"
            raise LinkURLError(msg)
        if sum(map(len, references)) > LONGEST:
            msg = f"the link {shown_name(self.rel)} is a URL of more than {LONGEST} characters"
            raise LinkURLError(msg)
        url = self.base
        try:
            for reference in references:
                url = joined(url, reference.strip(" "))
        except ValueError:
            msg = f"the link {shown_name(self.rel)} leads to what is no URL"
        else:
            return url
        raise LinkURLError(msg)

    def _references(self, variables: Mapping[str, Any]) -> list[str]:
        """What is resolved against the base, one after the other."""
        if not self.templated:
            if variables:
                # An error with the names in it, as for a template without any.
                expanded("", variables)
            return [self.href]
        given = {**self.variables, **variables}
        if self.inputs is not None:
            self._check_inputs(variables, given)
        return self._filled(given)

    def _check_inputs(self, variables: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        names = {each.name for each in self.inputs or ()}
        if unknown := sorted(set(variables) - names):
            msg = (
                f"the link {shown_name(self.rel)} takes no variable {', '.join(unknown)}; "
                f"it takes {_listed(sorted(names))}"
            )
            raise TemplateError(msg)
        missing = [e.name for e in self.inputs or () if e.required and given.get(e.name) is None]
        if missing:
            msg = f"the link {shown_name(self.rel)} requires the variable {_listed(missing)}"
            raise TemplateError(msg)

    def _filled(self, given: Mapping[str, Any]) -> list[str]:
        if not self.templated:
            return [self.href]
        if self.inputs is None:
            return [expanded(self.href, given)]
        return [
            expanded(each, {name: given[name] for name in variables_of(each) if name in given})
            for each in (*self.bases, self.href)
        ]

    def __repr__(self) -> str:
        more = "" if self.method == "GET" else f" {self.method}"
        more += "" if self.name is None else f" name={shown_name(self.name)}"
        return f"<Link {shown_name(self.rel)}{more} to {self._shown_target()}>"

    def _shown_target(self) -> str:
        """The origin that it leads to, as far as the document says it."""
        url = self.base
        for reference in (*self.bases, self.href):
            start, expression = reference[:LONGEST], ""
            if self.templated:
                start, _, expression = start.partition("{")
            if expression and _is_open(start, expression[0]):
                return "where its variables say"
            try:
                url = urljoin(url, start)
                target = urlsplit(url)
            except ValueError:
                return "no URL"
        if not target.scheme:
            return "its own service"
        host = target.netloc.rpartition("@")[2]
        shown = REDACTION.text(f"{target.scheme}://{host}" if host else f"{target.scheme}:")
        # No document has a say in what a terminal does.
        return repr(shown[:_LONGEST_SHOWN])[1:-1]


def same_relation(one: str, other: str) -> bool:
    """Whether two relation types are the same (RFC 8288, section 2.1)."""
    return folded(one) == folded(other)


def folded(relation: str) -> str:
    """One text for all spellings of a relation type."""
    relation = relation.strip()
    # Relation types are ASCII; formats that take other names for them mean just those.
    return relation.lower() if relation.isascii() else relation.translate(_LOWER)


def goes_by_itself(link: Link) -> bool:
    """Whether a link may be followed by who only goes through all of them.

    What may change something may not, nor what is to be filled in: somebody has to mean it.
    """
    return link.method.upper() in {"GET", "HEAD"} and not link.fields


class Links(Mapping[str, "Link | list[Link]"]):
    """The links of a document by relation: a `Link`, or a list where there are several.

    ::

        resource.links["author"]            # a Link, or a list of them
        resource.links.one("author")        # always a Link, or an error
        for link in resource.links.all("item"): ...

    :param links: in the document's order
    :param context: the URL of the document; what says that it is about something else is not
        among these
    """

    __slots__ = ("_by_relation", "_spellings", "elsewhere")

    def __init__(self, links: Iterable[Link] = (), *, context: str = "") -> None:
        self._by_relation: dict[str, list[Link]] = {}
        self._spellings: dict[str, str] = {}
        """Each spelling of a relation, by which of them its links are kept."""
        elsewhere = []
        here = context.partition("#")[0]
        for link in links:
            if link.context not in {None, context} and not _same_url(link.context or "", here):
                elsewhere.append(link)
                continue
            relation = folded(link.rel)
            if link.also:
                others = [folded(spelling) for spelling in link.also]
                known = (self._spellings.get(each) for each in (relation, *others))
                relation = next(filter(None, known), relation)
                for spelling in others:
                    self._spellings.setdefault(spelling, relation)
                self._spellings.setdefault(folded(link.rel), relation)
            relation = self._spellings.setdefault(relation, relation)
            self._by_relation.setdefault(relation, []).append(link)
        self.elsewhere: tuple[Link, ...] = tuple(elsewhere)
        """The links that are about something else than this document (``anchor``)."""

    def all(self, relation: str) -> list[Link]:
        """The links of a relation: none, one or several."""
        key = self._key(relation)
        return [] if key is None else list(self._by_relation.get(key, ()))

    def _key(self, relation: object) -> str | None:
        """One text for all spellings of a relation; `None` for what is none."""
        if not isinstance(relation, str):
            return None
        spelling = folded(relation)
        return self._spellings.get(spelling, spelling)

    def one(self, relation: str, *, name: str | None = None) -> Link:
        """The link of a relation, or the one with that name.

        A link that a document gives twice, as in a `Link` header and in its body, is one.

        :raises RelationError: when there is none, naming the relations there are, or several
        """
        there = self.all(relation)
        found = there if name is None else [link for link in there if link.name == name]
        if found and all(_same_link(link, found[0]) for link in found[1:]):
            return found[0]
        raise self._trouble(relation, name, there, found)

    def _trouble(
        self, relation: str, name: str | None, there: list[Link], found: list[Link]
    ) -> RelationError:
        relations = tuple(self)
        if found:
            names = [link.name for link in found if link.name is not None and name is None]
            how = f"name=, one of {_listed(names)}" if names else "links.all(...)"
            msg = f"there are {len(found)} links {relation!r}; choose one by {how}"
        elif there:
            names = [link.name for link in there if link.name is not None]
            msg = f"no link {relation!r} is named {name!r}; there are {_listed(names)}"
        else:
            msg = f"there is no link {relation!r}; there are {_listed(relations)}"
        return RelationError(msg, relations=relations)

    def __getitem__(self, relation: str) -> Link | list[Link]:
        there = self.all(relation)
        if not there:
            raise self._trouble(relation, None, there, there)
        return there[0] if len(there) == 1 else there

    def __contains__(self, relation: object) -> bool:
        return self._key(relation) in self._by_relation

    def __iter__(self) -> Iterator[str]:
        return (links[0].rel for links in self._by_relation.values())

    def __len__(self) -> int:
        return len(self._by_relation)

    def flat(self) -> list[Link]:
        """All links, relation by relation."""
        return [link for links in self._by_relation.values() for link in links]

    def __repr__(self) -> str:
        there = list(self._by_relation.values())
        counts = [f"{shown_name(links[0].rel)}: {len(links)}" for links in there[:_SHOWN]]
        more = [] if len(there) <= _SHOWN else [f"... {len(there) - _SHOWN} more"]
        return f"<Links {{{', '.join(counts + more)}}}>"


def _same_url(one: str, other: str) -> bool:
    # An anchor that is a part of the document is something else than the document.
    return (canonical(one), one.partition("#")[2]) == (canonical(other), other.partition("#")[2])


def _same_link(one: Link, other: Link) -> bool:
    """Whether two links of a relation lead to the same by the same request."""
    if one.href == other.href and one.base == other.base:
        same = True
    elif one.templated or other.templated:
        return False
    else:
        try:
            same = canonical(one.url()) == canonical(other.url())
        except LinkURLError:
            return False
    return same and _asked(one) == _asked(other)


def _asked(link: Link) -> tuple[Any, ...]:
    """What a link says of the request that follows it, beside where that goes."""
    form = link.fields, link.any_field, link.sends, link.submits
    return link.method, link.templated, link.variables, link.inputs, link.bases, *form


def _is_open(start: str, operator: str) -> bool:
    """Whether what a template begins with leaves it to its variables to say the host.

    :param operator: the first character of the expression that comes next
    """
    authority = start.partition("//")[2] if "//" in start else ""
    begun = "//" in start and not any(mark in authority for mark in "/?#")
    return (not start or begun) and operator not in {"/", "?", "#"}


def shown_name(name: str) -> str:
    """A name that a document gave, as an error shows it: whole, since half a secret is one too."""
    return repr(name) if len(name) <= _SHOWN else f"({len(name)} characters)"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(map(shown_name, names[:_SHOWN])) or "none") + more
