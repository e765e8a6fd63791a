"""Guidelines by paragraph: addresses, differences, and which labels and fields a change is about."""

from __future__ import annotations

import pytest

from ls_config.guidelines import to_page
from ls_config.interface import load
from ls_config.paragraphs import guidelines_hash, paragraph_changes, paragraphs
from ls_config.subjects import GuidelineSubject, subjects_of, subjects_of_change

TEXT = "# Guide\n\nRead.\n\n## Issues (all)\n\n| a |\n|---|\n| **Code error** `h` |\n\n```\n# no heading\n```\n"


def test_headings_are_addresses() -> None:
    """What stands in code is no heading; a second heading of the same words has another address."""
    parts = paragraphs(TEXT + "## Issues, all\n\nx\n")
    assert [(part.address, part.title) for part in parts] == [
        ("guide", "Guide"),
        ("issues-all", "Issues (all)"),
        ("issues-all-2", "Issues, all"),
    ]
    assert '<h2 id="issues-all-2">' in to_page(TEXT + "## Issues, all\n\nx\n")


@pytest.mark.parametrize("label_type", ["classification", "ner", "rating", "response_review"])
def test_the_guidelines_that_come_with_quorum_speak_of_their_fields(label_type: str) -> None:
    """Each field is the subject of some paragraph, by itself or by its labels."""
    interface = load(label_type)
    found = {each.field for part in paragraphs(interface.guidelines) for each in subjects_of(part, interface.controls)}
    assert {control.name for control in interface.controls} <= found
    assert paragraph_changes(interface.guidelines, interface.guidelines) == ()


def test_a_change_is_about_the_labels_in_its_lines_else_about_its_field() -> None:
    """Keys of the form, which stand in code too, are no labels."""
    controls, guide = load("classification").controls, load("classification").guidelines
    (line,) = [line for line in guide.splitlines() if line.startswith("| **Code error**")]
    (change,) = paragraph_changes(guide, guide.replace(line, line.replace("fails", "breaks")))
    assert (change.title, change.what) == ("Issues (all that apply; none for a clean response)", "changed")
    assert [(each.field, bool(each.label)) for each in subjects_of_change(change, controls)] == [("issues", True)]
    (change,) = paragraph_changes(guide, guide.replace("A clumsy right answer", "An ugly right answer"))
    assert {each.field for each in subjects_of_change(change, controls)} == {"verdict"}
    (change,) = paragraph_changes("# Verdict\n\nLook.", "# Verdict\n\nLook well.")
    assert subjects_of_change(change, controls) == (GuidelineSubject("verdict"),)
    (change,) = paragraph_changes("", "# Pay\n\nMore.")
    assert (change.what, subjects_of_change(change, controls)) == ("added", ())


def test_what_came_and_went() -> None:
    """A heading without a word under it is a paragraph; white space at the edges and line ends are no change."""
    assert paragraph_changes(TEXT, TEXT.replace("\n", "\r\n") + "\n\n") == ()
    assert guidelines_hash(TEXT) == guidelines_hash(TEXT.replace("\n", "\r"))
    assert [(each.what, each.title) for each in paragraph_changes("# A\n", "# B\n")] == [
        ("added", "B"),
        ("removed", "A"),
    ]
    (change,) = paragraph_changes("# A\n\none\ntwo\n", "# A\n\none\nthree\n")
    assert [(line.kind.value, line.text) for line in change.lines] == [
        ("same", "one"),
        ("removed", "two"),
        ("added", "three"),
    ]


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ("entities.MONEY", GuidelineSubject("entities", "MONEY")),
        ("response_type", GuidelineSubject("response_type")),
        ("entities.NOTHING", GuidelineSubject("verdict")),
    ],
)
def test_a_heading_may_say_what_it_is_about(about: str, expected: GuidelineSubject) -> None:
    """That counts, and not what its words are like; a label that there is not says nothing."""
    controls = load("response_review").controls
    (part,) = paragraphs(f"## Verdict on amounts {{#{about}}}\n\nLook well.\n")
    assert subjects_of(part, controls) == (expected,)
    (change,) = paragraph_changes("", f"## Verdict on amounts {{#{about}}}\n\nLook well.\n")
    assert subjects_of_change(change, controls) == (expected,)
