"""The sentences of faults: each kind has one, each is used, and each says what is wrong and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from label_studio_quorum.intake.faults import KINDS, Place, fault
from label_studio_quorum.intake.sentences import SENTENCES

PACKAGE = Path(__file__).parents[4] / "label_studio_quorum"
READERS = [*(PACKAGE / "intake").rglob("*.py"), PACKAGE / "gold" / "formats" / "reading.py"]
WITHOUT_HINT = {"QD.E046.type"}


def test_every_kind_has_a_sentence() -> None:
    """No kind is left without text, and no text belongs to a kind that is not registered."""
    assert {key[:7] for key in SENTENCES} == set(KINDS)


def test_every_sentence_is_said_somewhere() -> None:
    """A sentence that no check names any more is gone from the page too, and no check names one that is not there."""
    code = "\n".join(file.read_text("utf-8") for file in READERS if file.name not in ("sentences.py", "faults.py"))
    named = set(re.findall(r'"(QD\.[EW]\d{3}(?:\.\w+)?)"', code))
    assert set(SENTENCES) - named == set()
    assert {key for key in named if "." in key[3:]} <= set(SENTENCES)


@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_is_a_sentence(key: str) -> None:
    """What is wrong ends with a full stop or is filled in whole; the hint says what to do, in one line."""
    message, hint = SENTENCES[key]
    assert message.endswith(".") or message in ("{error}", "{wrong}")
    assert key in WITHOUT_HINT or hint.endswith((".", "?"))
    assert "\n" not in message + hint
    parts = [name for text in (message, hint) for _, name, _, _ in Formatter().parse(text)]
    assert all(name is None or name.isidentifier() for name in parts)


def test_braces_of_what_fills_a_sentence_stay() -> None:
    """A column's name is people's text and no template."""
    made = fault("QD.E011", Place("rows.csv", 1), name="{key}", field="{key}")
    assert made.message == "Two columns are named '{key}'."


def test_a_sentence_that_lacks_a_part_is_a_mistake_of_ours() -> None:
    """A check that forgets a part of its sentence fails at once, and tells nobody half a sentence."""
    with pytest.raises(KeyError):
        fault("QD.E011", Place("rows.csv", 1))
    with pytest.raises(KeyError):
        fault("QD.E999", Place("rows.csv", 1))
