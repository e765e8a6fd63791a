"""The pages hold together: links lead somewhere, files that are named exist, every refusal is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link to another page or heading finds it."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{page.name}: {target}"


def test_every_page_has_its_reader() -> None:
    """docs/README.md leads to every page."""
    listed = {target.partition("#")[0] for target in LINK.findall((ROOT / "docs" / "README.md").read_text("utf-8"))}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} <= listed


def test_files_that_the_developers_pages_name_exist() -> None:
    """A path in architecture.md or CONTRIBUTING.md is there: from the top, inside a room, or inside a folder of one."""
    rooms = [ROOT / room for room in ("label_studio_quorum", "review_rules", "ls_config", "ls_plugin", "ml_backend")]
    folders = [ROOT, *rooms, *(part for room in rooms for part in room.iterdir() if part.is_dir())]
    for page in (ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md"):
        for path in re.findall(r"`([\w/]+\.(?:py|toml|md)|[\w/]+/)`", page.read_text(encoding="utf-8")):
            assert any((folder / path).exists() for folder in folders), f"{page.name} names {path}"
