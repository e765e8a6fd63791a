"""`quorum check` as people call it: exit codes, JSON, the HTML page, and masking that can be undone."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from label_studio_quorum.commands.check import app

EVIL = "<script>alert(1)</script>"


def rows_file(folder: Path, *rows: dict[str, Any]) -> Path:
    """Rows as JSONL."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def row(name: str, **more: Any) -> dict[str, Any]:
    """A row that differs from others."""
    response = f"The answer for {name} is that it depends on the case."
    return {"id": name, "context": "", "query": f"What of {name}?", "response": response, "domain": "general"} | more


def check(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_good_file_ends_with_0(tmp_path: Path) -> None:
    """Without errors the exit code is 0, and the format that was found is said."""
    done = check(rows_file(tmp_path, row("a"), row("b")), "--pii", "off")
    assert done.exit_code == 0
    assert "rows.jsonl: jsonl, utf-8" in done.stdout
    assert "2 good rows, 0 errors, 0 warnings." in done.stdout


def test_errors_end_with_1_and_one_line_each(tmp_path: Path) -> None:
    """Each fault is one line on stderr with place, row, field, what and what to do; texts of rows are not in it."""
    done = check(rows_file(tmp_path, row("a"), row("b", auto_label={"verdict": "Wrong"})), "--pii", "off")
    assert done.exit_code == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error QD.E043 ")
    assert "rows.jsonl:2 [row b, field auto_label.verdict]: 'Wrong' is no label of 'verdict'." in line
    assert "it depends" not in done.output


def test_warnings_end_with_0_unless_strict(tmp_path: Path) -> None:
    """Warnings let a file pass; --strict does not."""
    path = rows_file(tmp_path, row("a"), row("b", response=""))
    assert check(path, "--pii", "off").exit_code == 0
    assert check(path, "--pii", "off", "--strict").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [("--offsets", "miles"), ("--pii", "perhaps"), ("--pii", "mask"), ("--task", "nothing"), ("--map", "response")],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """An option that cannot be is told apart from a faulty file."""
    done = check(rows_file(tmp_path, row("a")), *arguments)
    assert done.exit_code == 2
    assert done.stderr


def test_interface_that_requires_nothing_is_told(tmp_path: Path) -> None:
    """Under such an interface two empty answers make gold; one that requires something needs no note."""
    rows = rows_file(tmp_path, row("a"))
    choices = '<Choices name="v" toName="t"{required}><Choice value="A"/><Choice value="B"/></Choices>'
    xml = f'<View><Text name="t" value="$response"/>{choices}</View>'
    for required, notes in (("", 1), (' required="true"', 0)):
        (tmp_path / "label.xml").write_text(xml.format(required=required), encoding="utf-8")
        done = check(rows, "--pii", "off", "--task", tmp_path)
        assert done.exit_code == 0
        assert done.stderr.count("requires nothing, so two empty answers make a gold row") == notes


def test_json_is_one_object(tmp_path: Path) -> None:
    """--json prints one object with counts, faults and the profile."""
    done = check(rows_file(tmp_path, row("a"), row("a")), "--json", "--pii", "off")
    found = json.loads(done.stdout)
    assert (found["rows"], found["errors"], found["faults"][0]["id"]) == (1, 1, "QD.E021")
    assert found["profile"]["lengths"]["response"]["most"] == len(row("a")["response"])


def test_page_escapes_what_is_in_the_file(tmp_path: Path) -> None:
    """The profile page has nothing in it that a browser would run or fetch, whatever stands in the file."""
    evil = row(EVIL, domain=EVIL, response=f"The verdict: Correct {EVIL}" * 3, **{EVIL: 1})
    label = {"verdict": EVIL}
    path = rows_file(tmp_path, evil, row("b", auto_label=label), row(EVIL))
    check(path, "--html", tmp_path / "p.html", "--profile", tmp_path / "p.json", "--pii", "off")
    page = (tmp_path / "p.html").read_text("utf-8")
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("Content-Security-Policy", "").replace("http-equiv", "")
    assert json.loads((tmp_path / "p.json").read_text("utf-8"))["domains"][EVIL] == 1


def test_masking_can_be_undone_and_moves_spans(tmp_path: Path) -> None:
    """Masked rows hold no personal data, spans stay on their words, the map is for its owner only, and unmasking
    gives all back."""
    pytest.importorskip("presidio_analyzer", reason="needs the extra `pii`")
    text = "Write to ana.lopez@example.com, not ben@example.org, says ACME; again: ana.lopez@example.com."
    start = text.index("ACME")
    span = {"start": start, "end": start + 4, "label": "ORG", "text": "ACME"}
    given = [row("a", response=text, auto_label={"entities": [span]}), row("b")]
    masked, key, back = (tmp_path / name for name in ("masked.jsonl", "map.json", "back.jsonl"))
    path = rows_file(tmp_path, *given)
    assert check(path, "--pii", "mask", "--out", masked, "--pii-map", key).exit_code == 0
    first, second = map(json.loads, masked.read_text("utf-8").splitlines())
    assert "@" not in first["response"]
    assert first["response"].count("⟦EMAIL_ADDRESS-") == 3
    assert len(json.loads(key.read_text("utf-8"))) == 2
    [moved] = first["auto_label"]["entities"]
    assert first["response"][moved["start"] : moved["end"]] == "ACME"
    assert second == given[1]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert check(masked, "--pii", "unmask", "--out", back, "--pii-map", key).exit_code == 0
    assert [json.loads(line) for line in back.read_text("utf-8").splitlines()] == given
