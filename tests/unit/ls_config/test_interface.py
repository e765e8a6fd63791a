"""What the loader reads from an interface, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from ls_config import Interface, InterfaceError, from_result, label_types, load, parse, parse_all, to_result
from ls_config.interface import CORE_FLAGS, RESERVED
from ls_config.stylesheets import stylesheets

ROOT = Path(__file__).parents[3]
ISSUES = (
    "Factual error",
    "Unsupported claim",
    "Contradicts context",
    "Missing information",
    "Calculation or logic error",
    "Code error",
    "Instruction not followed",
    "Unclear or badly written",
    "Unsafe or non-compliant",
)
# Keys that Label Studio's editor takes for itself on a text task.
EDITOR_KEYS = {"u", "escape", "backspace", "enter", "delete", "alt+r", "alt+h", "alt+l", "alt+m", "alt+."}


@pytest.fixture(params=label_types())
def interface(request: pytest.FixtureRequest) -> Interface:
    return load(str(request.param))


def text_view(*controls: str) -> str:
    return "\n".join(['<View><Text name="t" value="$t"/>', *controls, "</View>"])


def test_there_are_four_label_types() -> None:
    """Classification, entities, ratings, and all three on one screen."""
    assert label_types() == ("classification", "ner", "rating", "response_review")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("classification", {"verdict": "choice", "issues": "choices"}),
        ("ner", {"entities": "spans", "response_type": "choice"}),
        ("rating", dict.fromkeys(("correctness", "completeness", "helpfulness", "tone"), "rating")),
        (
            "response_review",
            {
                "verdict": "choice",
                "issues": "choices",
                "entities": "spans",
                "response_type": "choice",
                **dict.fromkeys(("correctness", "completeness", "helpfulness", "tone"), "rating"),
            },
        ),
    ],
)
def test_each_type_asks_for_its_fields(name: str, kinds: dict[str, str]) -> None:
    """Field names and kinds are what policies, models and rows are written against."""
    assert {control.name: control.kind for control in load(name).controls} == kinds


def test_a_field_means_the_same_in_every_type() -> None:
    """A control that two label types share has the same labels, bounds and object in both."""
    review = {control.name: control for control in load("response_review").controls}
    for name in label_types():
        for control in load(name).controls:
            other = review[control.name]
            assert (control.kind, control.labels, control.min, control.max, control.value_key, control.required) == (
                (other.kind, other.labels, other.min, other.max, other.value_key, other.required)
            )


def test_labels_are_the_published_ones() -> None:
    """The label sets that the guidelines define."""
    review = load("response_review")
    assert review.control("verdict").labels == ("Correct", "Partly correct", "Incorrect", "Cannot judge")
    assert review.control("issues").labels == ISSUES
    entities = ("PERSON", "ORG", "LOCATION", "DATE", "MONEY", "QUANTITY", "METRIC", "PRODUCT", "TECH")
    assert review.control("entities").labels == entities


def test_what_cannot_be_left_out_is_required(interface: Interface) -> None:
    """Single choices and ratings are required; sets may be empty."""
    for control in interface.controls:
        assert control.required is not control.is_set


def test_the_flags_block_is_on_every_screen(interface: Interface) -> None:
    """All flags with their stored values, and a reason; none of it is a field."""
    flags = interface.control("flags")
    assert set(flags.labels) == {*CORE_FLAGS, "domain:technical", "domain:financial"}
    assert flags.title("needs_expert") == "Needs an expert"
    assert interface.control("flag_reason").kind == "text"
    assert not RESERVED & {control.name for control in interface.controls}


def test_hotkeys_do_not_collide(interface: Interface) -> None:
    """Every choice and label has a key of its own, and none is a key of Label Studio's editor."""
    keys = [element.get("hotkey") for element in etree.fromstring(interface.xml).iter() if element.get("hotkey")]
    options = sum(len(control.labels) for control in interface.all_controls)
    ratings = sum(control.kind == "rating" for control in interface.controls)
    assert len(keys) == len(set(keys)) == options + ratings
    assert not EDITOR_KEYS & set(keys)


def test_every_option_says_what_it_means(interface: Interface) -> None:
    """Each choice and label carries a hint; each point of a scale is described on the screen."""
    root = etree.fromstring(interface.xml)
    assert all(option.get("hint") for option in [*root.iter("Choice"), *root.iter("Label")])
    style = "".join(element.text or "" for element in root.iter("Style"))
    for control in interface.controls:
        if control.kind == "rating":
            for point in range(1, 6):
                assert f".q-{control.name} li:nth-child({point}) div[role='radio']::after" in style


def test_all_types_share_one_look() -> None:
    """The rules that interfaces share stand in one file; no label.xml repeats a line of them."""
    shared = {line for sheet in stylesheets() for line in sheet_lines(sheet)}
    for name in label_types():
        written = (ROOT / "ls_config" / name / "label.xml").read_text(encoding="utf-8")
        assert '<Style use="page"/>' in written
        assert not shared & {line.strip() for line in written.splitlines()}
        composed = {line.strip() for line in load(name).xml.splitlines()}
        assert set(sheet_lines("page")) <= composed


def sheet_lines(name: str) -> list[str]:
    """The rules of a shared style sheet, without white space around."""
    text = (ROOT / "ls_config" / "styles" / f"{name}.css").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_a_style_sheet_stands_before_the_rules_of_its_own_tag(tmp_path: Path) -> None:
    """`use` may name several sheets; what the tag itself says comes after them and so wins."""
    xml = '<View><Style use="page scale">.mine { color: red; }</Style><Text name="t" value="$t"/>'
    xml += '<Rating name="tone" toName="t"/></View>'
    (tmp_path / "label.xml").write_text(xml, encoding="utf-8")
    composed = load(tmp_path).xml
    order = [composed.index(part) for part in (".q-page {", ".q-scale {", ".mine {", "</Style>", "<Text")]
    assert order == sorted(order)
    assert "use=" not in composed


def test_an_unknown_style_sheet_is_a_fault_with_its_line(tmp_path: Path) -> None:
    """The fault names file, line, the wrong name and the names that there are."""
    xml = '<View>\n<Style use="pages"/>\n<Text name="t" value="$t"/><Rating name="tone" toName="t"/></View>'
    (tmp_path / "label.xml").write_text(xml, encoding="utf-8")
    with pytest.raises(InterfaceError) as caught:
        load(tmp_path)
    where = tmp_path / "label.xml"
    assert caught.value.faults == (f"{where}: line 2: <Style use='pages'>: no such style sheet; use page, scale",)


def test_guidelines_name_every_label(interface: Interface) -> None:
    """People find each label, flag and scale of their screen in the guidelines."""
    for control in interface.controls:
        for label in control.shown or (control.name.capitalize(),):
            assert f"**{label}**" in interface.guidelines
    for label in interface.control("flags").shown:
        assert f"**{label}**" in interface.guidelines


def test_samples_fit_the_interface(interface: Interface) -> None:
    """The sample prediction answers every field of the sample task, and is what `to_result` writes."""
    data = interface.sample_task["data"]
    parsed = from_result(interface.sample_prediction["result"], interface.controls, data)
    assert parsed.problems == ()
    assert set(parsed.values) == {control.name for control in interface.controls}
    assert to_result(parsed.values, interface.controls, data) == interface.sample_prediction["result"]


def test_fields_carry_the_text_of_spans() -> None:
    """The history's fields: kind, text for spans, bounds for ratings; a row without the text has an empty one."""
    fields = load("response_review").fields({"response": "Paris."})
    assert fields["entities"] == {"kind": "spans", "text": "Paris."}
    assert fields["tone"] == {"kind": "rating", "min": 1, "max": 5, "required": True}
    assert fields["verdict"] == {"kind": "choice", "required": True}
    assert fields["issues"] == {"kind": "choices"}
    assert load("ner").fields({"response": None})["entities"]["text"] == ""


def test_a_team_loads_its_own_folder(tmp_path: Path) -> None:
    """A folder with only label.xml is enough; the file's path works too; samples come with it."""
    (tmp_path / "label.xml").write_text(text_view('<Rating name="r" toName="t" maxRating="3"/>'), encoding="utf-8")
    (tmp_path / "sample_task.json").write_text('{"data": {"t": "x"}}', encoding="utf-8")
    for where in (tmp_path, str(tmp_path), tmp_path / "label.xml"):
        interface = load(where)
        assert [(control.name, control.max) for control in interface.controls] == [("r", 3)]
        assert interface.sample_task == {"data": {"t": "x"}}
        assert (interface.name, interface.guidelines, interface.guidelines_html) == (tmp_path.name, "", "")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no such label type or folder"),
        ({"label.xml": b"<View>"}, "not well-formed"),
        ({"label.xml": b"\xff\xfe"}, "UTF-8"),
        (
            {"label.xml": text_view('<Rating name="r" toName="t"/>').encode(), "sample_task.json": b"{"},
            "line 1: not JSON",
        ),
        (
            {"label.xml": text_view('<Rating name="r" toName="t"/>').encode(), "sample_task.json": b"[]"},
            "one JSON object",
        ),
    ],
)
def test_a_broken_folder_is_named(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    """The fault names the file and what is wrong with it."""
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InterfaceError, match=said) as caught:
        load(tmp_path)
    assert all(str(tmp_path) in fault for fault in caught.value.faults)


CONTROLS = [
    ('<Choices name="c" toName="t"><Choice value="A" alias="a"/></Choices>', ("choice", ("a",), None, None)),
    ('<Choices name="c" toName="t" choice="multiple"><Choice value="A"/></Choices>', ("choices", ("A",), None, None)),
    ('<Labels name="c" toName="t"><Label value="A"/></Labels>', ("spans", ("A",), None, None)),
    ('<Rating name="c" toName="t"/>', ("rating", (), 1, 5)),
    ('<Number name="c" toName="t" min="-1" max="2.5"/>', ("number", (), -1, 2.5)),
    ('<Number name="c" toName="t"/>', ("number", (), None, None)),
    ('<TextArea name="c" toName="t"/>', ("text", (), None, None)),
    (
        '<Image name="i" value="$i"/><RectangleLabels name="c" toName="i"><Label value="A"/></RectangleLabels>',
        ("boxes", ("A",), None, None),
    ),
    (
        '<Audio name="s" value="$s"/><Labels name="c" toName="s"><Label value="A"/></Labels>',
        ("segments", ("A",), None, None),
    ),
    (
        '<TimeSeries name="s" value="$s"/><TimeSeriesLabels name="c" toName="s"><Label value="A"/></TimeSeriesLabels>',
        ("segments", ("A",), None, None),
    ),
]


@pytest.mark.parametrize(
    ("xml", "expected"), CONTROLS, ids=[expected[0] + str(n) for n, (_, expected) in enumerate(CONTROLS)]
)
def test_each_tag_has_its_kind(xml: str, expected: tuple[object, ...]) -> None:
    """Tag and object decide the kind; an alias is the stored value; bounds come from the tag."""
    (control,) = parse(text_view(xml))
    assert (control.kind, control.labels, control.min, control.max) == expected


R = '<Rating name="r" toName="t"/>'
FAULTS = [
    ("", "asks for nothing"),
    ('<Taxonomy name="c" toName="t"><Choice value="A"/></Taxonomy>', "Quorum cannot compare this tag"),
    ('<Choices name="c" toName="x"><Choice value="A"/></Choices>', "names no object tag"),
    ('<Choices name="c" toName="t"/>', "has no <Choice>"),
    ('<Choices name="c" toName="t" value="$options"><Choice value="A"/></Choices>', "options from the task"),
    ('<Choices name="c" toName="t" perRegion="true"><Choice value="A"/></Choices>', "perRegion"),
    ('<Choices name="c" toName="t"><Choice value="A"><Choice value="B"/></Choice></Choices>', "nested choices"),
    ('<Choices name="c" toName="t"><Choice value="A"/><Choice value="B" alias="A"/></Choices>', "stores 'A' for 2"),
    ('<Choices name="c" toName="t"><Choice/></Choices>', "without a value"),
    ('<HyperText name="h" value="$h"/><Labels name="c" toName="h"><Label value="A"/></Labels>', "use <Text>"),
    (
        '<Text name="u" value="$u" valueType="url"/><Labels name="c" toName="u"><Label value="A"/></Labels>',
        "behind a URL",
    ),
    ('<Text name="k" value="fixed"/><Labels name="c" toName="k"><Label value="A"/></Labels>', "constant text"),
    ('<Rating name="c" toName="t" maxRating="many"/>', "whole number"),
    ('<Number name="c" toName="t" min="low"/>', "must be numbers"),
    ('<Rating name="c" toName="t"/><Rating name="c" toName="t"/>', "used 2 times"),
    (R + '<Choices name="flags" toName="t"><Choice value="unsure"/></Choices>', "must be <Choices"),
    (R + '<Choices name="flags" toName="t" choice="multiple"><Choice value="odd"/></Choices>', "'odd'"),
    (R + '<Rating name="flag_reason" toName="t"/>', "must be a <TextArea>"),
    (R + '<Choices name="decision" toName="t"><Choice value="ok"/></Choices>', "must be single"),
]


@pytest.mark.parametrize(("xml", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_what_cannot_be_compared_is_refused(xml: str, said: str) -> None:
    """Each fault has its line, what is wrong, and what to do; nothing is dropped in silence."""
    with pytest.raises(InterfaceError) as caught:
        parse_all(text_view(xml))
    assert any(said in fault and fault.startswith("line ") for fault in caught.value.faults)


def test_all_faults_come_at_once() -> None:
    """Two broken controls on two lines are two faults with their lines."""
    xml = text_view(
        '<Choices name="a" toName="t"/>',
        '<Rating name="b" toName="t" maxRating="0"/>',
        '<TextArea name="c" toName="t"/>',
    )
    with pytest.raises(InterfaceError) as caught:
        parse(xml)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["line 2", "line 3"]


@pytest.mark.parametrize(
    "declared",
    [
        "<!DOCTYPE View>",
        '<!DOCTYPE View [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE View SYSTEM "file:///etc/hostname">',
    ],
)
def test_a_document_type_is_refused(declared: str) -> None:
    """No entities of one's own and no files from outside: such an interface is not read."""
    with pytest.raises(InterfaceError, match="document type"):
        parse(declared + text_view('<Rating name="r" toName="t"/>'))


def test_importing_it_is_light() -> None:
    """The ML backend and every command import it: no SDK, server or model comes with it."""
    code = "import sys, ls_config, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"label_studio_sdk", "label_studio", "django", "torch", "pandas", "numpy"} & set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ('<Relations><Relation value="causes"/></Relations>', "line 3: <Relations>: relations between"),
        ('<Chat name="chat" value="$messages"/>', "line 3: <Chat>: people can add and change messages"),
        ('<TextArea toName="t"/>', "line 3: <TextArea>: has no name, so that its answers would be lost"),
        ('<Rating name="tone"/>', "line 3: <Rating>: has no toName, so that its answers would be lost"),
    ],
)
def test_what_people_fill_in_is_kept_or_refused(tag: str, why: str) -> None:
    """An interface never asks for something that no answer of ours holds."""
    xml = f'<View>\n<Text name="t" value="$t"/><Rating name="right" toName="t"/>\n{tag}\n</View>'
    with pytest.raises(InterfaceError) as caught:
        parse(xml)
    assert [fault for fault in caught.value.faults if fault.startswith(why)]


def test_half_a_character_is_a_fault_with_its_line() -> None:
    """JSON can carry half a surrogate pair, and UTF-8 cannot: an interface that came by HTTP may hold one."""
    with pytest.raises(InterfaceError, match="line 3: half a character"):
        parse(text_view('\n<Choices name="c" toName="t"><Choice value="a\ud83d"/></Choices>'))
