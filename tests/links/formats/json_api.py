"""JSON:API 1.1 as data: the examples of its specification, and what its rules say.

Rule: a document of the specification stands here as it is there, but for what it leaves out of
attributes. Where it shows a part of one, the part stands in a document.
"""

from __future__ import annotations

from typing import Any, Final

from tests.links.formats.specification import Example, link

SITE: Final = "http://example.com"
ARTICLE: Final[dict[str, Any]] = {
    "type": "articles",
    "id": "1",
    "attributes": {"title": "Rails is Omakase"},
    "relationships": {
        "author": {
            "links": {
                "self": "http://example.com/articles/1/relationships/author",
                "related": "http://example.com/articles/1/author",
            },
            "data": {"type": "people", "id": "9"},
        }
    },
    "links": {"self": "http://example.com/articles/1"},
}
"""7.2.2.2, Resource Linkage."""
DAN: Final[dict[str, Any]] = {
    "type": "people",
    "id": "9",
    "attributes": {"firstName": "Dan", "lastName": "Gebhardt", "twitter": "dgeb"},
    "links": {"self": "http://example.com/people/9"},
}
FIRST: Final[dict[str, Any]] = {
    "type": "comments",
    "id": "5",
    "attributes": {"body": "First!"},
    "relationships": {"author": {"data": {"type": "people", "id": "2"}}},
    "links": {"self": "http://example.com/comments/5"},
}
SECOND: Final[dict[str, Any]] = {
    "type": "comments",
    "id": "12",
    "attributes": {"body": "I like XML better"},
    "relationships": {"author": {"data": {"type": "people", "id": "9"}}},
    "links": {"self": "http://example.com/comments/12"},
}
BIKESHED: Final[dict[str, Any]] = {
    "type": "articles",
    "id": "1",
    "attributes": {"title": "JSON:API paints my bikeshed!"},
    "links": {"self": "http://example.com/articles/1"},
    "relationships": {
        "author": {
            "links": {
                "self": "http://example.com/articles/1/relationships/author",
                "related": "http://example.com/articles/1/author",
            },
            "data": {"type": "people", "id": "9"},
        },
        "comments": {
            "links": {
                "self": "http://example.com/articles/1/relationships/comments",
                "related": "http://example.com/articles/1/comments",
            },
            "data": [{"type": "comments", "id": "5"}, {"type": "comments", "id": "12"}],
        },
    },
}
INCLUDED: Final = [DAN, FIRST, SECOND]
COMPOUND: Final[dict[str, Any]] = {"data": [BIKESHED], "included": INCLUDED}
"""Compound Documents."""


def alone(resource: Any, included: Any = None) -> dict[str, Any]:
    """Give the document that a resource is embedded as."""
    return {"data": resource} if included is None else {"data": resource, "included": included}


EXAMPLES: Final = (
    Example(
        section="Document Structure, Resource Objects: relative references",
        url=f"{SITE}/articles/1",
        data={
            "data": {
                "type": "articles",
                "id": "1",
                "attributes": {"title": "Rails is Omakase"},
                "relationships": {
                    "author": {
                        "links": {
                            "self": "/articles/1/relationships/author",
                            "related": "/articles/1/author",
                        },
                        "data": {"type": "people", "id": "9"},
                    }
                },
            }
        },
        links=(
            link("relationships/author", f"{SITE}/articles/1/relationships/author"),
            link("author", f"{SITE}/articles/1/author", also=("relationships/author/related",)),
        ),
        embedded={},
    ),
    Example(
        section="Document Structure, Resource Linkage",
        url=f"{SITE}/articles/1",
        data={"data": ARTICLE},
        links=(
            link("self", f"{SITE}/articles/1", also=("data/self",)),
            link("relationships/author", f"{SITE}/articles/1/relationships/author"),
            link("author", f"{SITE}/articles/1/author", also=("relationships/author/related",)),
        ),
        embedded={},
    ),
    Example(
        section="Document Structure, Resource Links",
        url=f"{SITE}/articles/1",
        data={
            "data": {
                "type": "articles",
                "id": "1",
                "attributes": {"title": "Rails is Omakase"},
                "links": {"self": "http://example.com/articles/1"},
            }
        },
        links=(link("self", f"{SITE}/articles/1", also=("data/self",)),),
        embedded={},
    ),
    Example(
        section="Document Structure, Compound Documents",
        url=f"{SITE}/articles",
        data=COMPOUND,
        links=(link("item", f"{SITE}/articles/1", data=alone(BIKESHED, INCLUDED)),),
        embedded={"item": [f"{SITE}/articles/1"]},
        items=[BIKESHED],
    ),
    Example(
        section="Document Structure, Compound Documents: its article by itself",
        url=f"{SITE}/articles/1",
        data=alone(BIKESHED, INCLUDED),
        links=(
            link("self", f"{SITE}/articles/1", also=("data/self",)),
            link("relationships/author", f"{SITE}/articles/1/relationships/author"),
            link(
                "author",
                f"{SITE}/articles/1/author",
                also=("relationships/author/related",),
                data=alone(DAN, INCLUDED),
            ),
            link("relationships/comments", f"{SITE}/articles/1/relationships/comments"),
            link(
                "comments",
                f"{SITE}/articles/1/comments",
                also=("relationships/comments/related",),
            ),
        ),
        embedded={
            "author": [f"{SITE}/people/9"],
            "comments": [f"{SITE}/comments/5", f"{SITE}/comments/12"],
        },
    ),
    Example(
        section="Document Structure, Compound Documents: a comment without a related link",
        url=f"{SITE}/comments/12",
        data=alone(SECOND, INCLUDED),
        links=(
            link("self", f"{SITE}/comments/12", also=("data/self",)),
            link(
                "author",
                f"{SITE}/people/9",
                also=("relationships/author/related",),
                data=alone(DAN, INCLUDED),
            ),
        ),
        embedded={"author": [f"{SITE}/people/9"]},
    ),
    Example(
        section="Document Structure, Links (1.1): a link object",
        url=f"{SITE}/articles/1/relationships/comments",
        data={
            "links": {
                "self": "http://example.com/articles/1/relationships/comments",
                "related": {
                    "href": "http://example.com/articles/1/comments",
                    "title": "Comments",
                    "describedby": "http://example.com/schemas/article-comments",
                    "meta": {"count": 10},
                },
            }
        },
        links=(
            link("self", f"{SITE}/articles/1/relationships/comments"),
            link(
                "related",
                f"{SITE}/articles/1/comments",
                title="Comments",
                attributes={
                    "describedby": "http://example.com/schemas/article-comments",
                    "meta": {"count": 10},
                },
            ),
        ),
        embedded={},
    ),
    Example(
        section="Document Structure, Links (1.0): a link object",
        url=f"{SITE}/articles/1",
        data={
            "links": {
                "self": "http://example.com/articles/1",
                "related": {
                    "href": "http://example.com/articles/1/comments",
                    "meta": {"count": 10},
                },
            }
        },
        links=(
            link("self", f"{SITE}/articles/1"),
            link("related", f"{SITE}/articles/1/comments", attributes={"meta": {"count": 10}}),
        ),
        embedded={},
    ),
    Example(
        section="Fetching Resources: a collection whose members don't say where they are",
        url=f"{SITE}/articles",
        data={
            "links": {"self": "http://example.com/articles"},
            "data": [
                {
                    "type": "articles",
                    "id": "1",
                    "attributes": {"title": "JSON:API paints my bikeshed!"},
                },
                {"type": "articles", "id": "2", "attributes": {"title": "Rails is Omakase"}},
            ],
        },
        links=(link("self", f"{SITE}/articles"),),
        embedded={"item": [None, None]},
        items=[
            {
                "type": "articles",
                "id": "1",
                "attributes": {"title": "JSON:API paints my bikeshed!"},
            },
            {"type": "articles", "id": "2", "attributes": {"title": "Rails is Omakase"}},
        ],
    ),
    Example(
        section="Fetching Resources: an empty collection",
        url=f"{SITE}/articles",
        data={"links": {"self": "http://example.com/articles"}, "data": []},
        links=(link("self", f"{SITE}/articles"),),
        embedded={},
        items=[],
    ),
    Example(
        section="Fetching Resources: one article",
        url=f"{SITE}/articles/1",
        data={
            "links": {"self": "http://example.com/articles/1"},
            "data": {
                "type": "articles",
                "id": "1",
                "attributes": {"title": "JSON:API paints my bikeshed!"},
                "relationships": {
                    "author": {"links": {"related": "http://example.com/articles/1/author"}}
                },
            },
        },
        links=(
            link("self", f"{SITE}/articles/1"),
            link("author", f"{SITE}/articles/1/author", also=("relationships/author/related",)),
        ),
        embedded={},
    ),
    Example(
        section="Fetching Resources: an author that is missing",
        url=f"{SITE}/articles/1/author",
        data={"links": {"self": "http://example.com/articles/1/author"}, "data": None},
        links=(link("self", f"{SITE}/articles/1/author"),),
        embedded={},
    ),
    Example(
        section="Fetching Relationships: to one",
        url=f"{SITE}/articles/1/relationships/author",
        data={
            "links": {"self": "/articles/1/relationships/author", "related": "/articles/1/author"},
            "data": {"type": "people", "id": "12"},
        },
        links=(
            link("self", f"{SITE}/articles/1/relationships/author"),
            link("related", f"{SITE}/articles/1/author"),
        ),
        embedded={},
    ),
    Example(
        section="Fetching Relationships: to many",
        url=f"{SITE}/articles/1/relationships/tags",
        data={
            "links": {"self": "/articles/1/relationships/tags", "related": "/articles/1/tags"},
            "data": [{"type": "tags", "id": "2"}, {"type": "tags", "id": "3"}],
        },
        links=(
            link("self", f"{SITE}/articles/1/relationships/tags"),
            link("related", f"{SITE}/articles/1/tags"),
        ),
        embedded={},
        items=[{"type": "tags", "id": "2"}, {"type": "tags", "id": "3"}],
    ),
    Example(
        section="Creating Resources, 201 Created",
        url=f"{SITE}/photos",
        data={
            "data": {
                "type": "photos",
                "id": "550e8400-e29b-41d4-a716-446655440000",
                "attributes": {
                    "title": "Ember Hamster",
                    "src": "http://example.com/images/productivity.png",
                },
                "links": {"self": f"{SITE}/photos/550e8400-e29b-41d4-a716-446655440000"},
            }
        },
        links=(
            link(
                "self",
                f"{SITE}/photos/550e8400-e29b-41d4-a716-446655440000",
                also=("data/self",),
            ),
        ),
        embedded={},
    ),
    Example(
        section="Examples, Sparse Fieldsets",
        url=f"{SITE}/articles?include=author&fields[articles]=title,body,author",
        data={
            "data": [
                {
                    "type": "articles",
                    "id": "1",
                    "attributes": {
                        "title": "JSON API paints my bikeshed!",
                        "body": "The shortest article. Ever.",
                    },
                    "relationships": {"author": {"data": {"id": "42", "type": "people"}}},
                }
            ],
            "included": [{"type": "people", "id": "42", "attributes": {"name": "John"}}],
        },
        links=(),
        embedded={"item": [None]},
        items=[
            {
                "type": "articles",
                "id": "1",
                "attributes": {
                    "title": "JSON API paints my bikeshed!",
                    "body": "The shortest article. Ever.",
                },
                "relationships": {"author": {"data": {"id": "42", "type": "people"}}},
            }
        ],
    ),
    Example(
        section="Examples, Pagination Links",
        url=f"{SITE}/articles?page[number]=3&page[size]=1",
        data={
            "meta": {"totalPages": 13},
            "data": [
                {
                    "type": "articles",
                    "id": "3",
                    "attributes": {"title": "JSON:API paints my bikeshed!"},
                }
            ],
            "links": {
                "self": "http://example.com/articles?page[number]=3&page[size]=1",
                "first": "http://example.com/articles?page[number]=1&page[size]=1",
                "prev": "http://example.com/articles?page[number]=2&page[size]=1",
                "next": "http://example.com/articles?page[number]=4&page[size]=1",
                "last": "http://example.com/articles?page[number]=13&page[size]=1",
            },
        },
        links=(
            link("self", f"{SITE}/articles?page[number]=3&page[size]=1"),
            link("first", f"{SITE}/articles?page[number]=1&page[size]=1"),
            link("prev", f"{SITE}/articles?page[number]=2&page[size]=1"),
            link("next", f"{SITE}/articles?page[number]=4&page[size]=1"),
            link("last", f"{SITE}/articles?page[number]=13&page[size]=1"),
        ),
        embedded={"item": [None]},
        items=[
            {
                "type": "articles",
                "id": "3",
                "attributes": {"title": "JSON:API paints my bikeshed!"},
            }
        ],
    ),
)
"""As the specification writes them, by its headings: it has no numbers."""

ODD_ONES: Final[list[Any]] = [
    {"type": "drafts", "id": "a", "links": {"self": "/not/this"}},
    {"type": "drafts", "lid": "a", "links": {"self": "/drafts/a"}},
    {"attributes": {"not": "this"}},
    "nothing",
]
PINNED: Final[dict[str, Any]] = {
    "type": "comments",
    "id": "1",
    "links": {"self": {"href": "/comments/1", "rel": "bookmark", "title": "First"}},
}

RULES: Final = (
    Example(
        section="Top Level: self with its media type, describedby",
        url=f"{SITE}/articles/1",
        data={
            "links": {
                "self": {
                    "href": "?fields[articles]=title",
                    "type": 'application/vnd.api+json;profile="http://example.com/p"',
                },
                "describedby": "/openapi.json",
            },
            "meta": {},
        },
        links=(
            link(
                "self",
                f"{SITE}/articles/1?fields[articles]=title",
                type='application/vnd.api+json;profile="http://example.com/p"',
            ),
            link("describedby", f"{SITE}/openapi.json"),
        ),
        embedded={},
    ),
    Example(
        section="Links: null is no link, and so is what is neither a link nor null",
        url=f"{SITE}/articles",
        data={
            "links": {
                "self": "/articles",
                "prev": None,
                "next": None,
                "last": {"href": None},
                "first": {"title": "First"},
                "related": 7,
                "describedby": ["/a"],
            },
            "data": [],
        },
        links=(link("self", f"{SITE}/articles"),),
        embedded={},
        items=[],
    ),
    Example(
        section="Links: the relation of a link object, and its name; languages",
        url=f"{SITE}/articles/1",
        data={
            "links": {
                "german": {
                    "href": "/de",
                    "rel": "alternate",
                    "title": "Deutsch",
                    "type": "text/html",
                    "hreflang": "de",
                },
                "others": {"href": "/others", "rel": "alternate", "hreflang": ["fr", "it"]},
                "self": {"href": "/articles/1", "rel": "self"},
            }
        },
        links=(
            link(
                "alternate",
                f"{SITE}/de",
                name="german",
                title="Deutsch",
                type="text/html",
                attributes={"hreflang": "de"},
            ),
            link(
                "alternate",
                f"{SITE}/others",
                name="others",
                attributes={"hreflang": ["fr", "it"]},
            ),
            link("self", f"{SITE}/articles/1", name="self"),
        ),
        embedded={},
    ),
    Example(
        section="Links: the same relation at the top and in the resource",
        url=f"{SITE}/articles/1/author?include=articles",
        data={
            "links": {"self": "/articles/1/author?include=articles"},
            "data": {
                "type": "people",
                "id": "9",
                "links": {"self": "/people/9", "alternate": "/people/9.html"},
            },
        },
        links=(
            link("self", f"{SITE}/articles/1/author?include=articles"),
            link("data/self", f"{SITE}/people/9"),
            link("alternate", f"{SITE}/people/9.html", also=("data/alternate",)),
        ),
        embedded={},
    ),
    Example(
        section="Relationships: one whose name a link has already; those of nothing",
        url=f"{SITE}/articles/1",
        data={
            "links": {"next": "/articles/2"},
            "data": {
                "type": "articles",
                "id": "1",
                "links": {"Self": "/articles/1"},
                "relationships": {
                    "next": {"links": {"related": "/articles/1/sequel"}},
                    "self": {"links": {"related": "/articles/1/itself"}},
                    "editor": {"data": None},
                    "tags": {"meta": {}, "links": {"related": None}},
                    "odd": ["no relationship"],
                },
            },
        },
        links=(
            link("next", f"{SITE}/articles/2"),
            link("Self", f"{SITE}/articles/1", also=("data/Self",)),
            link("relationships/next/related", f"{SITE}/articles/1/sequel"),
            link("relationships/self/related", f"{SITE}/articles/1/itself"),
        ),
        embedded={},
    ),
    Example(
        section="Fetching, Pagination: of a relationship",
        url=f"{SITE}/articles/1",
        data={
            "data": {
                "type": "articles",
                "id": "1",
                "relationships": {
                    "comments": {
                        "links": {
                            "self": "/articles/1/relationships/comments",
                            "first": "/articles/1/relationships/comments?page=1",
                            "prev": None,
                            "next": "/articles/1/relationships/comments?page=2",
                        }
                    }
                },
            }
        },
        links=(
            link("relationships/comments", f"{SITE}/articles/1/relationships/comments"),
            link(
                "relationships/comments/first",
                f"{SITE}/articles/1/relationships/comments?page=1",
            ),
            link(
                "relationships/comments/next",
                f"{SITE}/articles/1/relationships/comments?page=2",
            ),
        ),
        embedded={},
    ),
    Example(
        section="Inclusion: of what a relationship's own document identifies",
        url=f"{SITE}/articles/1/relationships/comments?include=comments",
        data={
            "links": {"related": "/articles/1/comments"},
            "data": [
                {"type": "comments", "id": "5"},
                {"type": "comments", "id": "404"},
                {"type": "comments", "id": "12", "meta": {"pinned": True}},
            ],
            "included": INCLUDED,
        },
        links=(
            link("related", f"{SITE}/articles/1/comments"),
            link("item", f"{SITE}/comments/5", data=alone(FIRST, INCLUDED)),
            link("item", f"{SITE}/comments/12", data=alone(SECOND, INCLUDED)),
        ),
        embedded={"item": [f"{SITE}/comments/5", f"{SITE}/comments/12"]},
        items=[
            {"type": "comments", "id": "5"},
            {"type": "comments", "id": "404"},
            {"type": "comments", "id": "12", "meta": {"pinned": True}},
        ],
    ),
    Example(
        section="Compound Documents: one included that doesn't say where it is, and linked by lid",
        url=f"{SITE}/articles/1",
        data={
            "data": {
                "type": "articles",
                "id": "1",
                "relationships": {
                    "author": {
                        "links": {"related": "/articles/1/author"},
                        "data": {"type": "people", "id": "9"},
                    },
                    "reviewers": {"data": [{"type": "people", "id": "9"}]},
                    "draft": {"data": {"type": "drafts", "lid": "a", "@x": 1}},
                    "gone": {"data": {"type": "drafts", "lid": "b"}},
                    "whole": {"data": {"type": "articles", "id": "1"}},
                    "odd": {"data": {"id": "9"}},
                },
            },
            "included": [
                {"type": "people", "id": "9", "attributes": {}},
                *ODD_ONES,
            ],
        },
        links=(
            link(
                "author",
                f"{SITE}/articles/1/author",
                also=("relationships/author/related",),
                data=alone(
                    {"type": "people", "id": "9", "attributes": {}},
                    [
                        {"type": "people", "id": "9", "attributes": {}},
                        *ODD_ONES,
                    ],
                ),
            ),
            link(
                "draft",
                f"{SITE}/drafts/a",
                also=("relationships/draft/related",),
                data=alone(
                    ODD_ONES[1],
                    [
                        {"type": "people", "id": "9", "attributes": {}},
                        *ODD_ONES,
                    ],
                ),
            ),
        ),
        # What the related link of one leads to is that one.
        embedded={
            "author": [f"{SITE}/articles/1/author"],
            "draft": [f"{SITE}/drafts/a"],
            "reviewers": [None],
            "whole": [None],
        },
    ),
    Example(
        section="Member Names: @-members are nobody's; extension members are links like others",
        url=f"{SITE}/articles/1",
        data={
            "links": {"@context": "https://schema.example/", "version:history": "/articles/1/v"},
            "data": {
                "@id": "x",
                "type": "articles",
                "id": "1",
                "relationships": {"@author": {"links": {"related": "/x"}}},
            },
        },
        links=(link("version:history", f"{SITE}/articles/1/v"),),
        embedded={},
    ),
    Example(
        section="Links: of a member, the relation of a link object is told",
        url=f"{SITE}/comments",
        data={"data": [PINNED]},
        links=(
            link(
                "item",
                f"{SITE}/comments/1",
                title="First",
                attributes={"rel": "bookmark"},
                data=alone(PINNED),
            ),
        ),
        embedded={"item": [f"{SITE}/comments/1"]},
        items=[PINNED],
    ),
    Example(
        section="Links: of a relationship, the relation of a link object is told",
        url=f"{SITE}/articles/1",
        data={
            "data": {
                "type": "articles",
                "id": "1",
                "relationships": {
                    "author": {
                        "data": {"type": "people", "id": "9"},
                        "links": {
                            "self": {"href": "/r", "rel": "edit"},
                            "related": {"href": "/a", "rel": "author"},
                        },
                    },
                    "pinned": {"data": [{"type": "comments", "id": "1"}]},
                    "others": {"data": {"type": "people", "id": "9"}},
                },
            },
            "included": [PINNED, {"type": "people", "id": "9", "attributes": {}}],
        },
        links=(
            link("relationships/author", f"{SITE}/r", attributes={"rel": "edit"}),
            link(
                "author",
                f"{SITE}/a",
                also=("relationships/author/related",),
                attributes={"rel": "author"},
                data=alone(
                    {"type": "people", "id": "9", "attributes": {}},
                    [PINNED, {"type": "people", "id": "9", "attributes": {}}],
                ),
            ),
            link(
                "pinned",
                f"{SITE}/comments/1",
                also=("relationships/pinned/related",),
                title="First",
                attributes={"rel": "bookmark"},
                data=alone(PINNED, [PINNED, {"type": "people", "id": "9", "attributes": {}}]),
            ),
        ),
        embedded={"author": [f"{SITE}/a"], "pinned": [f"{SITE}/comments/1"], "others": [None]},
    ),
    Example(
        section="Errors: have none",
        url=f"{SITE}/articles/1",
        data={"errors": [{"links": {"about": "/errors/1", "type": "/errors"}}]},
        links=(),
        embedded={},
    ),
)
"""What the rules say of documents of ours."""
