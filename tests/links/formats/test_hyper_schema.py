"""Documents are read as hyper-schemas say, and as the draft says of these."""

from __future__ import annotations

from typing import Any

import pytest

from sleepwalker.links import HyperSchema
from tests.links.formats.hyper_schema import EXAMPLES, OTHERS
from tests.links.formats.specification import Example, all_read


@pytest.mark.parametrize(
    ("schema", "example"), EXAMPLES, ids=[example.section for _, example in EXAMPLES]
)
def test_a_document_has_the_links_that_the_draft_says(schema: Any, example: Example) -> None:
    form = HyperSchema(schema, schemas=OTHERS)
    document = example.document("application/json")

    assert all_read(form, document, example.given) == example.links
    assert form.items(document) == example.items
