"""QA and Expert interfaces composed from label interfaces."""

from __future__ import annotations

import pytest

from ls_config import Control, InterfaceError, compose_review, label_types, load, parse, parse_all
from ls_config.guidelines import to_html
from ls_config.interface import elements, parse_xml
from ls_config.review_screen import PANEL_KEYS, STAGES

TEAM_XML = """
<View>
  <Image name="picture" value="$url"/>
  <RectangleLabels name="logos" toName="picture"><Label value="Logo"/></RectangleLabels>
  <Choices name="safe" toName="picture"><Choice value="Yes &amp; sure"/><Choice value="No"/></Choices>
</View>
"""


def without_line(controls: tuple[Control, ...]) -> list[tuple[object, ...]]:
    return [(c.name, c.kind, c.to_name, c.value_key, c.labels, c.shown, c.min, c.max) for c in controls]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", label_types())
def test_the_fields_stay_as_they_were(name: str, stage: str) -> None:
    """The same values fit the pass form and the review form of every label type."""
    xml = load(name).xml
    assert without_line(parse(compose_review(xml, stage))) == without_line(parse(xml))


@pytest.mark.parametrize("stage", STAGES)
def test_a_team_gets_review_screens_for_its_own_interface(stage: str) -> None:
    """Any interface that can be read can be reviewed, whatever its tags, and its text is not changed."""
    composed = compose_review(TEAM_XML, stage)
    assert without_line(parse(composed)) == without_line(parse(TEAM_XML))
    assert "Yes &amp; sure" in composed


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", label_types())
def test_a_review_form_requires_no_field(name: str, stage: str) -> None:
    """Whoever escalates or discards gives a reason and need not invent an answer."""
    xml = load(name).xml
    assert any(control.required for control in parse(xml))
    assert not [control.name for control in parse(compose_review(xml, stage)) if control.required]


def test_a_review_asks_for_a_decision() -> None:
    """The decision is required and is one of four words; the reason is required where a decision needs one."""
    controls = {control.name: control for control in parse_all(compose_review(load("ner").xml, "qa"))}
    decision = controls["decision"]
    assert (decision.labels, decision.required) == (("accept", "correct", "escalate", "discard"), True)
    assert controls["decision_reason"].required
    assert not controls["decision_note"].required


@pytest.mark.parametrize("name", label_types())
def test_review_hotkeys_do_not_collide(name: str) -> None:
    """The decision's keys are free in every label type."""
    root = parse_xml(compose_review(load(name).xml, "qa"))
    keys = [element.get("hotkey") for element in elements(root) if element.get("hotkey")]
    assert len(keys) == len(set(keys))


def test_the_panel_shows_the_keys_that_are_filled() -> None:
    """Each key of the panel's data is shown by exactly one object tag."""
    root = parse_xml(compose_review(load("ner").xml, "expert"))
    shown = [element.get("value") for element in elements(root) if element.get("value", "").startswith("$")]
    assert all(shown.count(f"${key}") == 1 for key in PANEL_KEYS)


def test_a_review_of_a_review_is_refused() -> None:
    """Names of the panel that an interface already has are named, not overwritten."""
    with pytest.raises(InterfaceError, match="decision"):
        compose_review(compose_review(TEAM_XML, "qa"), "qa")


def test_an_unknown_stage_is_refused() -> None:
    """Only QA and Expert have a review screen."""
    with pytest.raises(ValueError, match="qa or expert"):
        compose_review(TEAM_XML, "pass")


@pytest.mark.parametrize(
    "typed",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        "[click](javascript:alert(1))",
        "```\n</code><script>alert(1)</script>\n```",
        "| a |\n|---|\n| <b onclick=alert(1)>x</b> |",
    ],
)
def test_html_in_guidelines_is_shown_not_run(typed: str) -> None:
    """Whatever a team writes into its guidelines, only Markdown's own elements come out."""
    root = parse_xml(f"<View>{to_html(typed)}</View>")
    allowed = {"View", "div", "style", "p", "pre", "code", "table", "thead", "tbody", "tr", "th", "td"}
    assert {str(element.tag) for element in elements(root)} <= allowed
    assert all(set(element.attrib) <= {"class"} for element in elements(root))
