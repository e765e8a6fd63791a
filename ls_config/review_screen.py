"""Makes the QA and Expert interfaces out of any label interface."""

from __future__ import annotations

from functools import cache
from typing import Final

from lxml import etree

from ls_config.interface import HERE, RESERVED, RETURN, Control, InterfaceError, elements, parse_all, parse_xml

__all__ = ["PANEL_KEYS", "STAGES", "compose_review", "decision_controls"]

STAGES: Final = ("qa", "expert")
PANEL_KEYS: Final = ("panel",)
"""Task data keys that the review panel shows; `label_studio_quorum.campaign.review_panel.panel_data` fills them."""


MOST_RETURNABLE: Final = 26
"""Passes that a form can name for a return: the panel has a letter for each of so many."""


def compose_review(xml: str, stage: str, returnable: int = 0) -> str:
    """Compose the interface of the QA or Expert project: `label.xml` between the review panel and the decision.

    Args:
        xml: A label interface that `parse` accepts.
        stage: qa or expert.
        returnable: How many passes QA can give back to their people; 0 where the policy allows no return.

    Returns:
        XML in which every field of `xml` is as it was, so that the same values fit both, and none is required: who
        escalates or discards gives a reason and nothing else, and the browser cannot tell these from the others.
        An accept that leaves a required field empty does not count by the rules.

    Raises:
        InterfaceError: The interface is faulty, already has a decision, or uses a name of the panel.
        ValueError: An unknown stage.
    """
    if stage not in STAGES:
        raise ValueError(f"stage must be qa or expert, not {stage!r}")
    parse_all(xml)
    root = parse_xml(xml)
    panel = parse_xml((HERE / "review_panel.xml").read_text(encoding="utf-8"))
    if returnable and stage == "qa":
        _offer_returns(panel, returnable)
    clashes = {element.get("name") for element in elements(panel)} & {element.get("name") for element in elements(root)}
    clashes.discard(None)
    if clashes:
        names = ", ".join(sorted(map(str, clashes)))
        raise InterfaceError([f"line 1: the review panel needs the names {names}; rename"])
    slot = next(element for element in elements(panel) if element.get("className") == "q-slot")
    for element in elements(root):
        for setting in ("required", "requiredMessage"):
            if setting in element.attrib and element.get("name") not in RESERVED:
                del element.attrib[setting]
    slot.append(root)
    panel.set("className", f"q-stage q-{stage}")
    return etree.tostring(panel, encoding="unicode")


def _offer_returns(panel: etree._Element, passes: int) -> None:
    """Add to the decision that QA gives passes back, and which."""
    named = {element.get("name"): element for element in elements(panel)}
    hint = "The people whose answers you choose are asked again, with your reason; then QA is."
    etree.SubElement(named["decision"], "Choice", value="Return", alias=RETURN, hotkey="shift+r", hint=hint)
    for element in elements(panel):
        if element.get("whenTagName") == "decision":
            element.set("whenChoiceValue", f"{element.get('whenChoiceValue')},{RETURN}")
    why = next(element for element in elements(panel) if element.get("className") == "q-why")
    view = etree.SubElement(why, "View", visibleWhen="choice-selected", whenTagName="decision", whenChoiceValue=RETURN)
    choices = etree.SubElement(
        view, "Choices", name="decision_to", toName="panel", choice="multiple", layout="inline", required="true",
        requiredMessage="Choose whose answer goes back.",
    )  # fmt: skip
    for place in range(min(passes, MOST_RETURNABLE)):
        letter = chr(ord("A") + place)
        etree.SubElement(choices, "Choice", value=f"Decision {letter}", alias=letter)


@cache
def decision_controls() -> tuple[Control, ...]:
    """What `compose_review` asks for beside the fields: which row it is about, the decision and its words.

    >>> [control.name for control in decision_controls()]
    ['review_of', 'decision', 'decision_reason', 'decision_note', 'decision_to']
    """
    least = '<View><Text name="t" value="$t"/><Rating name="r" toName="t"/></View>'
    controls = parse_all(compose_review(least, "qa", MOST_RETURNABLE))
    return tuple(control for control in controls if control.name in RESERVED)
