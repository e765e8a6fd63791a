"""The checks of a file as a whole: in the background of an import they find what `quorum check` finds, and their
short cuts change nothing."""

from __future__ import annotations

import importlib
import json
import os
import signal
from pathlib import Path

import openpyxl
import pytest

from label_studio_quorum.campaign.importing import CheckedFile
from label_studio_quorum.intake.background_check import BackgroundCheck, BackgroundCheckError
from label_studio_quorum.intake.checks.language import identify
from label_studio_quorum.intake.checks.personal_data import Finder
from label_studio_quorum.intake.checks.similar import NearDuplicates
from label_studio_quorum.intake.faults import KINDS
from label_studio_quorum.intake.file_check import check_rows
from ls_config import load
from review_rules import load_policy

REVIEW = load("response_review")
POLICY = load_policy("version: 1\n")
TONGUES = [
    "The quick brown fox jumps over the lazy dog while the cat watches from the old garden wall.",
    "Der schnelle braune Fuchs springt über den faulen Hund, während die Katze von der Mauer zusieht.",
    "LE RENARD BRUN RAPIDE SAUTE PAR-DESSUS LE CHIEN PARESSEUX PENDANT QUE LE CHAT REGARDE.",
    "Быстрая коричневая лиса прыгает через ленивую собаку, а кошка смотрит с садовой стены.",
    "Брза смеђа лисица прескаче лењог пса док мачка гледа са старог баштенског зида.",
    "素早い茶色の狐がのろまな犬を飛び越え、猫は古い庭の塀から見ている。",
    "e\u0301te\u0301 apre\u0300s e\u0301te\u0301",
    "a half \ud83d",
    "12 345",
    "",
]


def rows_file(folder: Path) -> Path:
    """Rows with a duplicate, a near-duplicate, a leak, another language and an e-mail address."""
    words = TONGUES[0].split() * 2
    texts = [" ".join(words[(number * 7 + at * (number + 3)) % len(words)] for at in range(30)) for number in range(20)]
    texts += [texts[3], texts[4] + " also", "It is so. verdict: Correct", TONGUES[1] * 2, "Write to ana@example.com."]
    path = folder / "rows.jsonl"
    rows = [{"id": f"r{n}", "context": "", "query": f"Why {n % 23}?", "response": text} for n, text in enumerate(texts)]
    for copy, first in ((20, 3), (21, 4)):
        rows[copy]["query"] = rows[first]["query"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_checks_beside_an_import_find_what_a_check_finds(tmp_path: Path) -> None:
    """The process that looks at the stored rows says of the whole file what `quorum check` says, line by line."""
    path = rows_file(tmp_path)
    wanted = check_rows(path, interface=REVIEW, policy=POLICY, finder=Finder.if_installed()).faults
    with BackgroundCheck() as background, CheckedFile.read(path, interface=REVIEW, policy=POLICY) as checked:
        background.begin(checked.stored.path(), str(path), REVIEW)
        found = background.finish()
    assert [str(one) for one in found] == [str(one) for one in wanted if KINDS[one.id].scope == "table"]
    assert {"QD.W060", "QD.W061", "QD.W062", "QD.W063", "QD.W071"} <= {one.id for one in found}


@pytest.mark.slow
def test_warnings_about_a_whole_workbook_name_sheet_and_cell(tmp_path: Path) -> None:
    """A copy of a row on another sheet and personal data in a mapped column are found by sheet and row, or by cell."""
    pytest.importorskip("presidio_analyzer", reason="needs the extra `pii`")
    book = openpyxl.Workbook()
    text = "It is a good answer, so write to ana.lopez@example.com."
    for sheet, key in ((book.active, "a"), (book.create_sheet("second"), "b")):
        sheet.append(["id", "notes", "context", "query", "Answer"])
        sheet.append([key, "", "", "What is it?", text])
    book.save(tmp_path / "a.xlsx")
    path, mapping = tmp_path / "a.xlsx", {"response": "Answer"}
    faults = check_rows(path, interface=REVIEW, policy=POLICY, mapping=mapping, finder=Finder.if_installed()).faults
    cells = {(one.id, one.cell) for one in faults if one.id in ("QD.W060", "QD.W064")}
    assert cells == {("QD.W060", "second!2:2"), ("QD.W064", "Sheet!E2"), ("QD.W064", "second!E2")}
    read = CheckedFile.read(path, interface=REVIEW, policy=POLICY, mapping=mapping)
    with BackgroundCheck() as background, read as checked:
        background.begin(checked.stored.path(), str(path), REVIEW)
        assert {(one.id, one.cell) for one in background.finish()} >= cells


def test_checks_that_nobody_waits_for_end_at_once() -> None:
    """An import that is refused does not wait for the process to load what it needs."""
    with BackgroundCheck() as background:
        process = background._process
    assert process.exitcode is not None


def test_a_library_that_is_not_there_is_told_before_a_row_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`begin`, which an import calls before it sends its first row, raises what the process could not load."""
    (tmp_path / "py3langid").mkdir()
    stub = "raise ModuleNotFoundError(\"No module named 'py3langid'\", name='py3langid')\n"
    (tmp_path / "py3langid" / "__init__.py").write_text(stub, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    path = rows_file(tmp_path)
    with (
        BackgroundCheck() as background,
        CheckedFile.read(path, interface=REVIEW, policy=POLICY) as checked,
        pytest.raises(ModuleNotFoundError, match="py3langid"),
    ):
        background.begin(checked.stored.path(), str(path), REVIEW)


def test_checks_that_break_off_are_said(tmp_path: Path) -> None:
    """A process that was killed is no silence that reads like "nothing found"."""
    path = rows_file(tmp_path)
    with BackgroundCheck() as background, CheckedFile.read(path, interface=REVIEW, policy=POLICY) as checked:
        assert background._process.pid is not None
        os.kill(background._process.pid, signal.SIGKILL)
        background.begin(checked.stored.path(), str(path), REVIEW)
        with pytest.raises(BackgroundCheckError, match="quorum check"):
            background.finish()


def test_languages_told_together_are_those_told_one_by_one() -> None:
    """Walking many texts at once gives the library's own answer for each, with the same certainty."""
    langid = importlib.import_module("py3langid.langid")
    model = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    found = identify(TONGUES)
    assert [tongue for tongue, _ in found] == [model.classify(text)[0] for text in TONGUES]
    assert [sure for _, sure in found] == pytest.approx([model.classify(text)[1] for text in TONGUES], abs=1e-4)


@pytest.mark.parametrize(("changed", "alike"), [(0, True), (1, True), (12, False)])
def test_near_duplicates_are_those_that_share_most_word_triples(changed: int, alike: bool) -> None:
    """One word changed in a hundred leaves 97 of 101 triples (96 %); twelve leave less than half."""
    words = [f"word{at}" for at in range(100)]
    other = [f"{word}!x" if at % 8 == 4 and at // 8 < changed else word for at, word in enumerate(words)]
    known = NearDuplicates(0.85)
    assert known.add("first", " ".join(words)) is None
    found = known.add("second", " ".join(other))
    assert (found is not None and found[0] == "first") is alike
