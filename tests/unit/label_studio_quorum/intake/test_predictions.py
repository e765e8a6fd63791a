"""Labels of other tools: what does not fit is told like the same mistake of an auto-label, and nothing is dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.intake import Row, RowFault, read_rows
from ls_config import load

REVIEW = load("response_review")
DATA = {"row_id": "t1", "context": "", "query": "Who won?", "response": "ACME won in Rome."}


def item(name: str, kind: str, **value: Any) -> dict[str, Any]:
    """One item of a result."""
    return {"id": "x", "from_name": name, "to_name": "response", "type": kind, "value": value}


def read(folder: Path, *predictions: dict[str, Any]) -> tuple[Any, list[RowFault]]:
    """The auto-label of a task with these predictions, and the faults; `None` where the row stays out."""
    (folder / "a.json").write_text(json.dumps([{"id": 1, "data": DATA, "predictions": predictions}]))
    outcome = list(read_rows(folder / "a.json", interface=REVIEW))
    labels = [entry.auto_label for entry in outcome if isinstance(entry, Row)]
    # What the interface requires beside the values of a case is not what the case is about.
    faults = [entry for entry in outcome if isinstance(entry, RowFault) and entry.id != "QD.W045"]
    return labels[0] if labels else None, faults


GOOD = [
    item("verdict", "choices", choices=["Correct"]),
    item("issues", "choices", choices=["Code error"]),
    item("tone", "rating", rating=4),
    item("entities", "labels", start=0, end=4, text="ACME", labels=["ORG"]),
]


def test_a_prediction_that_fits_becomes_the_auto_label(tmp_path: Path) -> None:
    """Every kind of value comes in, and nothing is told."""
    label, faults = read(tmp_path, {"model_version": "m", "result": GOOD})
    assert faults == []
    assert label == {
        "verdict": "Correct",
        "issues": ["Code error"],
        "tone": 4,
        "entities": [{"start": 0, "end": 4, "text": "ACME", "label": "ORG"}],
    }


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a control of another name": (item("verdicts", "choices", choices=["Correct"]), "QD.E041", "verdict"),
    "a label that is none": (item("verdict", "choices", choices=["Perfect"]), "QD.E043", "Known"),
    "a label in other letters": (item("verdict", "choices", choices=["correct"]), "QD.E043", "'Correct'"),
    "another type": (item("verdict", "rating", choices=["Correct"]), "QD.E059", "type"),
    "a rating out of range": (item("tone", "rating", rating=9), "QD.E044", "range"),
    "a rating that is a text": (item("tone", "rating", rating="4"), "QD.E042", "quotes"),
    "two choices where one is allowed": (
        item("verdict", "choices", choices=["Correct", "Incorrect"]),
        "QD.E042",
        "label itself",
    ),
    "a value by the wrong key": (item("tone", "rating", stars=4), "QD.E059", "'rating'"),
    "choices by the wrong key": (item("issues", "choices", labels=["Code error"]), "QD.E059", "'choices'"),
    "no value": ({"from_name": "tone", "type": "rating"}, "QD.E059", "from_name"),
    "a span without a label": (item("entities", "labels", start=0, end=4), "QD.E046", "label"),
    "a span outside of the text": (item("entities", "labels", start=0, end=99, labels=["ORG"]), "QD.E048", "Offsets"),
    "no object": ("Correct", "QD.E059", "from_name"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", WRONG)
def test_a_prediction_that_does_not_fit_is_an_error(case: str, tmp_path: Path) -> None:
    """The row stays out, and the fault says where in the file and what to do."""
    wrong, kind, cure = WRONG[case]
    label, faults = read(tmp_path, {"result": [*GOOD[1:2], wrong]})
    errors = [entry for entry in faults if entry.severity == "error"]
    assert (label, [entry.id for entry in errors]) == (None, [kind]), [str(entry) for entry in faults]
    assert errors[0].row_id == "t1"
    assert (errors[0].field or "").startswith("predictions[0]")
    assert cure in errors[0].hint


def test_a_text_by_the_wrong_key(tmp_path: Path) -> None:
    """A text area's words under another key are no text, and told."""
    from ls_config.interface import Interface, parse

    xml = (
        '<View><Text name="response" value="$response"/><TextArea name="remark" toName="response"/>'
        '<Choices name="verdict" toName="response"><Choice value="Yes"/></Choices></View>'
    )
    interface = Interface(name="remarks", xml=xml, controls=parse(xml))
    task = {"data": DATA, "predictions": [{"result": [item("remark", "textarea", textarea=["so"])]}]}
    (tmp_path / "a.json").write_text(json.dumps([task]))
    [told] = [entry for entry in read_rows(tmp_path / "a.json", interface=interface) if isinstance(entry, RowFault)]
    assert (told.id, "'text'" in told.hint) == ("QD.E059", True)


def test_a_prediction_for_another_interface_is_kept_as_a_column(tmp_path: Path) -> None:
    """It keeps no row out, as an auto-label for another interface does not, and is told."""
    _, faults = read(tmp_path, {"result": [item("sentiment", "choices", choices=["good"])]})
    assert [entry.id for entry in faults] == ["QD.W040"]


def verdict(word: str, **about: Any) -> dict[str, Any]:
    """A prediction of one verdict."""
    return {"result": [item("verdict", "choices", choices=[word])], **about}


CHOSEN: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "the latest of all": (
        [
            verdict("Correct", created_at="2024-03-02T00:00:00Z", score=0.1, model_version="new"),
            verdict("Incorrect", created_at="2024-03-01T23:00:00-03:00", score=0.9, model_version="newest"),
            verdict("Partly correct", created_at="2024-03-01T00:00:00Z", score=0.5),
        ],
        "Incorrect",
        "'newest' is taken: the latest",
    ),
    "the best score": (
        [verdict("Correct", score=0.9, model_version="b"), verdict("Incorrect", score=0.2, created_at="2024-01-01")],
        "Correct",
        "'b' is taken: the best score",
    ),
    "the last": ([verdict("Correct", score=0.9), verdict("Incorrect")], "Incorrect", "place 2 is taken: the last"),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_of_several_predictions_a_rule_takes_one(case: str, tmp_path: Path) -> None:
    """The rule and what it took are said; one without a result does not count."""
    predictions, word, said = CHOSEN[case]
    label, faults = read(tmp_path, *predictions)
    assert label == {"verdict": word}
    assert [said in entry.message for entry in faults if entry.id == "QD.W047"] == [True], [str(f) for f in faults]


def test_one_prediction_beside_empty_ones_needs_no_rule(tmp_path: Path) -> None:
    """A model that had nothing to say is no other version."""
    label, faults = read(tmp_path, {"result": []}, verdict("Correct"))
    assert (label, [entry.id for entry in faults]) == ({"verdict": "Correct"}, [])


def line(**attributes: tuple[str, str, str]) -> dict[str, Any]:
    """A manifest's line: attribute → type, class, date."""
    made: dict[str, Any] = {"source": DATA["response"], "query": "q"}
    for name, (kind, word, day) in attributes.items():
        plain = name.replace("_", "-")
        made[plain] = 0
        made[f"{plain}-metadata"] = {
            "type": f"groundtruth/{kind}",
            "class-name": word,
            "creation-date": f"2024-01-{day}T00:00:00",
        }
    return made


TEXT, CHECK = "text-classification", "label-verification"
MANIFESTS: dict[str, tuple[dict[str, Any], Any, list[str]]] = {
    "a rating by name": (line(tone=(TEXT, "4", "01")), {"tone": 4}, []),
    "a rating of a name that no control has": (line(stars=(TEXT, "4", "01")), None, ["QD.W046"]),
    "called bad": (line(verdict=(TEXT, "Correct", "01"), check=(CHECK, "bad", "02")), None, ["QD.W048"]),
    "called good": (line(verdict=(TEXT, "Correct", "01"), check=(CHECK, "Good", "02")), {"verdict": "Correct"}, []),
    "bad, then good": (
        line(verdict=(TEXT, "Correct", "01"), check_a=(CHECK, "bad", "02"), check_b=(CHECK, "good", "03")),
        {"verdict": "Correct"},
        [],
    ),
    "bad, and labelled again": (
        line(
            verdict=(TEXT, "Correct", "01"),
            check_verdict=(CHECK, "bad", "02"),
            adjusted_verdict=(TEXT, "Incorrect", "03"),
        ),
        {"verdict": "Incorrect"},
        ["QD.W048"],
    ),
    "only the other is bad": (
        line(verdict=(TEXT, "Correct", "01"), tone=(TEXT, "2", "01"), check_tone=(CHECK, "poor", "02")),
        {"verdict": "Correct"},
        ["QD.W048"],
    ),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_ratings_and_verifications_of_manifests(case: str, tmp_path: Path) -> None:
    """A rating is a class that is a number; a label that was not called good is shown to nobody, and that is said."""
    manifest, label, told = MANIFESTS[case]
    (tmp_path / "a.manifest").write_text(json.dumps(manifest) + "\n")
    outcome = list(read_rows(tmp_path / "a.manifest", interface=REVIEW))
    [row] = [entry for entry in outcome if isinstance(entry, Row)]
    assert row.auto_label == label
    assert [entry.id for entry in outcome if isinstance(entry, RowFault) and entry.id != "QD.W045"] == told


def test_a_manifest_label_without_a_class_is_told(tmp_path: Path) -> None:
    """What has no value to read stays a column, with a warning."""
    manifest = line(verdict=(TEXT, "Correct", "01"))
    del manifest["verdict-metadata"]["class-name"]
    (tmp_path / "a.manifest").write_text(json.dumps(manifest) + "\n")
    told = [entry for entry in read_rows(tmp_path / "a.manifest", interface=REVIEW) if isinstance(entry, RowFault)]
    assert not [entry for entry in told if entry.severity == "error"]
    assert [(entry.id, "class-name" in entry.message) for entry in told] == [("QD.W046", True)]
