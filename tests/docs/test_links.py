"""Every link between pages leads somewhere, and every page is reached."""

from __future__ import annotations

import pytest

from tests.docs.pages import PAGES, ROOT, anchors_of, file_of, links_of

EVERYWHERE = [*PAGES, "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]


@pytest.mark.parametrize("page", EVERYWHERE)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: str) -> None:
    broken = []
    for link in links_of(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path if path else ROOT / page).resolve()
        place = target.relative_to(ROOT.resolve()).as_posix()
        if not file_of(place).exists() or (anchor and anchor not in anchors_of(place)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_every_page_is_in_the_index(page: str) -> None:
    listed = {(ROOT / "docs" / link).resolve() for link in links_of("docs/README.md")}

    assert page == "docs/README.md" or (ROOT / page).resolve() in listed
