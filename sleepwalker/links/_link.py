"""A link, and the links of a document under their relations.

Rules:

1. A link is a value: what a document said, and where it is resolved from. It fetches nothing.
2. Relations compare as RFC 8288 says (2.1.1, 2.1.2): registered ones and extension ones (URIs)
   alike, character by character, whatever the case of ASCII letters.
3. Nothing of a target but its origin is shown in a `repr`: its query may hold a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import LinkURLError, RelationError
from sleepwalker.observability.redaction import DEFAULT as REDACTION

from ._templates import expanded, variables_of
from ._urls import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
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
    """

    name: str
    value: Any = None
    type: str = "text"
    title: str | None = None
    required: bool = False


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
    :ivar method: the HTTP method it is followed with
    :ivar name: what tells it from others of its relation (HAL), or an action's name (Siren)
    :ivar title: what it is called before people
    :ivar type: the media type that its target is said to have
    :ivar fields: of its form, where it has one
    :ivar sends: the media type that its form is sent as; `None`: it has no form
    :ivar deprecation: where its end is announced; `None`: it isn't deprecated
    :ivar attributes: whatever else the format says of it
    :ivar data: the target's representation, where the document holds it already
    """

    rel: str
    href: str
    base: str
    also: tuple[str, ...] = ()
    context: str | None = None
    templated: bool = False
    variables: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    method: str = "GET"
    name: str | None = None
    title: str | None = None
    type: str | None = None
    fields: tuple[Field, ...] = ()
    sends: str | None = None
    deprecation: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    data: Any = None

    @property
    def wants(self) -> tuple[str, ...]:
        """The variables that are yet to be put into its template."""
        if not self.templated:
            return ()
        return tuple(name for name in variables_of(self.href) if name not in self.variables)

    def url(self, /, **variables: Any) -> str:
        """The absolute URL that it leads to, without a fragment.

        :param variables: for its template; those not given are left out, as RFC 6570 has it
        :raises TemplateError: for a variable that the template doesn't have
        :raises LinkURLError: when no absolute URL comes of it
        """
        href = self.href
        if self.templated:
            href = expanded(self.href, {**self.variables, **variables})
        elif variables:
            # An error with the names in it, as for a template without any.
            expanded("", variables)
        if _CONTROL.search(href):
            # `urllib` would leave some of them out, and so read another URL than the next reader.
            msg = f"the link {shown_name(self.rel)} has control characters or backslashes in it"
            raise LinkURLError(msg)
        if len(href) > LONGEST:
            msg = f"the link {shown_name(self.rel)} is a URL of more than {LONGEST} characters"
            raise LinkURLError(msg)
        try:
            return joined(self.base, href.strip(" "))
        except ValueError:
            msg = f"the link {shown_name(self.rel)} leads to what is no URL"
        raise LinkURLError(msg)

    def __repr__(self) -> str:
        href = REDACTION.url(self.href[:LONGEST].partition("?")[0])[:_LONGEST_SHOWN]
        more = "" if self.method == "GET" else f" {self.method}"
        more += "" if self.name is None else f" name={self.name!r}"
        return f"<Link {self.rel!r}{more} {href}>"


def _target(link: Link) -> tuple[str, bool, str]:
    """Where a link leads, and how."""
    if not link.templated:
        try:
            return link.method, False, link.url()
        except LinkURLError:
            pass
    return link.method, link.templated, f"{link.base} {link.href}"


def same_relation(one: str, other: str) -> bool:
    """Whether two relation types are the same (RFC 8288, section 2.1)."""
    return folded(one) == folded(other)


def folded(relation: str) -> str:
    """One text for all spellings of a relation type."""
    relation = relation.strip()
    # Relation types are ASCII; formats that take other names for them mean just those.
    return relation.lower() if relation.isascii() else relation.translate(_LOWER)


class Links(Mapping[str, "Link | list[Link]"]):
    """The links of a document by relation: a `Link`, or a list where there are several.

    ::

        resource.links["author"].url()
        for link in resource.links.all("item"): ...

    :param links: in the document's order
    :param context: the URL of the document; what says that it is about something else is not
        among these
    """

    __slots__ = ("_by_relation", "_spellings", "elsewhere")

    def __init__(self, links: Iterable[Link] = (), *, context: str = "") -> None:
        self._by_relation: dict[str, list[Link]] = {}
        self._spellings: dict[str, str] = {}
        elsewhere = []
        here = {None, context, context.partition("#")[0]}
        for link in links:
            if link.context not in here:
                elsewhere.append(link)
            else:
                relation = folded(link.rel)
                relation = self._spellings.get(relation, relation)
                self._by_relation.setdefault(relation, []).append(link)
                for spelling in link.also:
                    self._spellings.setdefault(folded(spelling), relation)
        self.elsewhere: tuple[Link, ...] = tuple(elsewhere)
        """The links that are about something else than this document (``anchor``)."""

    def all(self, relation: str) -> list[Link]:
        """The links of a relation: none, one or several."""
        return list(self._by_relation.get(self._known(relation), ()))

    def _known(self, relation: str) -> str:
        relation = folded(relation)
        if relation in self._by_relation:
            return relation
        return self._spellings.get(relation, relation)

    def one(self, relation: str, *, name: str | None = None) -> Link:
        """The link of a relation, or the one with that name.

        A link that a document gives twice, as in a `Link` header and in its body, is one.

        :raises RelationError: when there is none, naming the relations there are, or several
        """
        there = self.all(relation)
        found = there if name is None else [link for link in there if link.name == name]
        if found and len({_target(link) for link in found}) == 1:
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
        return isinstance(relation, str) and self._known(relation) in self._by_relation

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


def shown_name(name: str) -> str:
    """A name that a document gave, as an error shows it: whole, since half a secret is one too."""
    return repr(name) if len(name) <= _SHOWN else f"({len(name)} characters)"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(map(shown_name, names[:_SHOWN])) or "none") + more
