"""Each label type, its samples and its review screens against Label Studio: its SDK's checks and a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface

from label_studio_quorum.campaign.review_panel import panel_data
from ls_config import Control, Interface, compose_review, from_result, label_types, load, parse, parse_all, to_result
from review_rules import decide, load_policy, load_team, parse_history
from tests.support.screens import OwnerApi
from tests.support.servers import LabelStudioServer

pytestmark = pytest.mark.server

SCREENS = [(name, stage) for name in label_types() for stage in ("pass", "qa", "expert")]
HARD = [
    "😀 Acme 👨‍👩‍👧 opened in 東京.",
    "One\r\nAcme\r\n\r\nend\r\n",
    "e\u0301e\u0301 Acme \u202e reversed \u202c ",
    "<script>alert(1)</script> Acme &amp; \"Sons\" 'x'",
    "שלום Acme עולם",
    "    Acme\tindented\n\n\n| a | b |",
    "Acme " + "long " * 2000,
]
TEAM = load_team("""
people:
  - {id: ana, email: ana@example.com, roles: [annotator]}
  - {id: ben, email: ben@example.com, roles: [annotator]}
  - {id: cleo, email: cleo@example.com, roles: [qa]}
  - {id: dag, email: dag@example.com, roles: [expert], expertise: [financial, technical]}
""")
POLICY = load_policy("version: 1\npasses: 2\nqa: {when: all}\nexpert_domains: [technical, financial]\n")
ROWS = Path(__file__).parents[2] / "examples" / "rows.jsonl"


def screen(name: str, stage: str) -> str:
    xml = load(name).xml
    return xml if stage == "pass" else compose_review(xml, stage)


def task_data(interface: Interface, stage: str, data: dict[str, Any]) -> dict[str, Any]:
    """What a task of this stage shows; for a review, the panel of two passes and an escalating QA."""
    if stage == "pass":
        return data
    values = from_result(
        interface.sample_prediction["result"], interface.controls, interface.sample_task["data"]
    ).values
    history = parse_history(
        {
            "row_id": data["row_id"],
            "domain": data.get("domain"),
            "fields": interface.fields(data),
            "passes": [
                {
                    "by": "ana",
                    "at": "2026-01-05T10:00:00Z",
                    "values": values,
                    "flags": ["unsure"],
                    "reason": "<b>why</b>",
                },
                {"by": "ben", "at": "2026-01-05T11:00:00Z", "values": {}, "flags": [], "reason": None},
            ],
            "qa": [
                {"by": "cleo", "at": "2026-01-05T12:00:00Z", "decision": "escalate", "values": values, "reason": "x"}
            ],
        }
    )
    return data | panel_data(history, decide(history, TEAM, POLICY), interface, stage)


def answers(interface: Interface, stage: str) -> dict[str, Any]:
    """A whole form: the sample's fields, flags and, for a review, the decision."""
    data = interface.sample_task["data"]
    values = from_result(interface.sample_prediction["result"], interface.controls, data).values
    form = values | {"flags": ["domain:technical", "unsure"], "flag_reason": 'two\nlines <b>"&amp;'}
    return form if stage == "pass" else form | {"decision": "correct", "decision_note": "seen"}


@pytest.mark.parametrize(("name", "stage"), SCREENS)
def test_the_sdk_accepts_screen_and_samples(name: str, stage: str) -> None:
    """Label Studio's own library validates the interface, the sample task, the prediction and a whole annotation."""
    interface, xml = load(name), screen(name, stage)
    checked = LabelInterface(xml)
    checked.validate()
    data = task_data(interface, stage, interface.sample_task["data"])
    assert checked.validate_task({"data": data})
    assert checked.validate_prediction(dict(interface.sample_prediction), return_errors=True) == []
    result = to_result(answers(interface, stage), parse_all(xml), data)
    assert checked.validate_annotation({"result": result, "lead_time": 1.0})


@pytest.mark.parametrize(("name", "stage"), SCREENS)
def test_the_sdk_and_the_loader_see_the_same_controls(name: str, stage: str) -> None:
    """Names, objects and stored labels as Label Studio itself reads them."""
    xml = screen(name, stage)
    theirs = {control.name: control for control in LabelInterface(xml).controls}
    ours = {control.name: control for control in parse_all(xml)}
    assert set(ours) == set(theirs)
    for control in ours.values():
        assert theirs[control.name].to_name == [control.to_name]
        assert set(stored(theirs[control.name])) == set(control.labels)


def stored(control: Any) -> list[str]:
    """What Label Studio keeps for each option: the alias where there is one."""
    return [label.attr.get("alias") or label.value for label in (control.labels_attrs or {}).values()]


class Api(OwnerApi):
    """The server's API as the owner sees it."""

    def project(self, title: str, xml: str, tasks: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
        """Make a project with these tasks; the tasks as the server then gives them back, in order of import."""
        made = self.call("POST", "/api/projects", {"title": title[:50], "label_config": xml, **more})
        self.call("POST", f"/api/projects/{made['id']}/import", tasks)
        kept = self.call("GET", f"/api/projects/{made['id']}/export?exportType=JSON&download_all_tasks=true")
        found = [
            self.call("GET", f"/api/tasks/{task['id']}") for task in sorted(kept, key=lambda task: int(task["id"]))
        ]
        assert len(found) == len(tasks)
        return found


@pytest.fixture(scope="module")
def api(ls_server: LabelStudioServer) -> Api:
    return Api(ls_server)


@pytest.mark.parametrize(("name", "stage"), SCREENS)
def test_a_whole_form_comes_back_from_the_server(api: Api, name: str, stage: str) -> None:
    """values → result → server → result → values is the same, for predictions and for annotations."""
    interface, xml = load(name), screen(name, stage)
    data = task_data(interface, stage, interface.sample_task["data"])
    form = answers(interface, stage)
    result = to_result(form, parse_all(xml), data)
    task = {
        "data": data,
        "predictions": [{"model_version": "m", "result": to_result(fields(form, interface), interface.controls, data)}],
    }
    (kept,) = api.project(f"{name} {stage}", xml, [task], expert_instruction=interface.guidelines_html)
    assert kept["data"] == data
    (prediction,) = kept["predictions"]
    assert from_result(prediction["result"], interface.controls, data).values == fields(form, interface)
    api.call("POST", f"/api/tasks/{kept['id']}/annotations/", {"result": result, "lead_time": 3.5})
    (annotation,) = api.call("GET", f"/api/tasks/{kept['id']}")["annotations"]
    parsed = from_result(annotation["result"], interface.controls, data)
    assert parsed.problems == ()
    assert parsed.values == fields(form, interface)
    assert parsed.flags == ("domain:technical", "unsure")
    assert parsed.decision == (None if stage == "pass" else "correct")
    assert parsed.reason == ("" if stage == "pass" else "seen\n") + 'two\nlines <b>"&amp;'


def fields(form: dict[str, Any], interface: Interface) -> dict[str, Any]:
    names = [control.name for control in interface.controls]
    return {name: form[name] for name in names if name in form}


def test_hard_texts_come_back_from_the_server(api: Api) -> None:
    """Spans on emoji, CRLF, right-to-left, markup, tabs and long texts are the same after import; so is the text."""
    interface = load("ner")
    tasks, expected = [], []
    for number, text in enumerate(HARD):
        data = {"row_id": str(number), "context": "", "query": text, "response": text}
        start = text.index("Acme")
        values = {
            "entities": [{"start": start, "end": start + 4, "label": "ORG", "text": "Acme"}],
            "response_type": "Other",
        }
        tasks.append(
            {
                "data": data,
                "predictions": [{"model_version": "m", "result": to_result(values, interface.controls, data)}],
            }
        )
        expected.append(values)
    kept = api.project("hard texts", interface.xml, tasks)
    assert [task["data"] for task in kept] == [task["data"] for task in tasks]
    for task, values in zip(kept, expected, strict=True):
        assert from_result(task["predictions"][0]["result"], interface.controls, task["data"]).values == values


def test_the_example_rows_fit_the_review_screen(api: Api) -> None:
    """Every auto-label of the example campaign goes to the server as a prediction and comes back equal."""
    interface = load("response_review")
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row.get("auto_label")][:40]
    tasks = []
    for row in rows:
        data = {"row_id": row["id"], **{key: row[key] or "" for key in ("context", "query", "response")}}
        result = to_result(row["auto_label"], interface.controls, data)
        tasks.append({"data": data, "predictions": [{"model_version": "auto-label", "result": result}]})
    for task, row in zip(api.project("examples", interface.xml, tasks), rows, strict=True):
        parsed = from_result(task["predictions"][0]["result"], interface.controls, task["data"])
        assert parsed.problems == ()
        assert normal(parsed.values, interface.controls) == normal(row["auto_label"], interface.controls)


def normal(values: dict[str, Any], controls: tuple[Control, ...]) -> dict[str, Any]:
    """Values without empty sets (Label Studio has no item for them) and with spans as (start, end, label)."""
    out = {}
    for control in controls:
        value = values.get(control.name)
        if control.kind == "spans" and value:
            out[control.name] = [(span["start"], span["end"], span["label"]) for span in value]
        elif value not in (None, []):
            out[control.name] = value
    return out


TEAM_XML = """
<View>
  <Image name="picture" value="$picture"/><Text name="caption" value="$caption"/><Audio name="speech" value="$speech"/>
  <RectangleLabels name="logos" toName="picture"><Label value="Logo" alias="logo"/></RectangleLabels>
  <Labels name="turns" toName="speech"><Label value="Agent"/><Label value="Caller"/></Labels>
  <Number name="price" toName="caption" min="0"/>
  <TextArea name="remark" toName="caption"/>
  <Choices name="safe" toName="caption"><Choice value="Yes &amp; sure" alias="yes"/><Choice value="No"/></Choices>
</View>
"""


@pytest.mark.parametrize("stage", ["pass", "qa"])
def test_a_teams_own_interface_works_too(api: Api, stage: str) -> None:
    """Boxes, segments, numbers, texts and aliases of an interface that Quorum has never seen, and its review screen."""
    xml = TEAM_XML if stage == "pass" else compose_review(TEAM_XML, stage)
    data = {
        "row_id": "1",
        "picture": "/static/images/x.png",
        "caption": "A cup",
        "speech": "/x.wav",
        "panel": "<b>panel</b>",
    }
    values = {
        "logos": [{"x": 1.5, "y": 2, "width": 30, "height": 40.25, "label": "logo"}],
        "turns": [{"start": 0.5, "end": 2.25, "label": "Caller"}],
        "price": 12.5,
        "remark": "blue\ncup",
        "safe": "yes",
    }
    controls = parse(xml)
    (kept,) = api.project(f"own {stage}", xml, [{"data": data}])
    api.call("POST", f"/api/tasks/{kept['id']}/annotations/", {"result": to_result(values, controls, data)})
    (annotation,) = api.call("GET", f"/api/tasks/{kept['id']}")["annotations"]
    parsed = from_result(annotation["result"], controls, data)
    assert (parsed.values, parsed.problems) == (values, ())
