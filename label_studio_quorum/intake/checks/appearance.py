"""Texts that are valid and still look wrong: empty, long, wrongly decoded, cut off, with characters nobody sees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from label_studio_quorum.intake.checks.record_faults import Limits, RecordFaults

__all__ = ["check_texts"]

_LONG = 20_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MOJIBAKE = re.compile("\ufffd|Ã[\u0080-\u00bf©¨¢ª«®´¶¼]|â€[™œ\u009d“”˜¦]|Â[\u00a0£©®°·»«]")
_EMPTY_WORDS = frozenset({"nan", "null", "none", "n/a", "#n/a", "undefined"})
_ROUND_LENGTHS = frozenset({256, 500, 512, 1000, 1024, 2000, 2048, 4000, 4096, 8000, 8192})
_A_SENTENCE = 20
"""Characters from which a response that equals another text is no coincidence, as "Yes" would be."""


def check_texts(texts: Mapping[str, str], limits: Limits, faults: RecordFaults) -> None:
    """Look at the texts of a row that has no error so far."""
    total = sum(map(len, texts.values()))
    if total > limits.row_chars:
        faults.add("QD.E025", characters=total, limit=limits.row_chars)
    for name, text in texts.items():
        for key, about in _looks(name, text):
            faults.add(key, field=name, **about)
    response = texts["response"].strip()
    for other in ("query", "context"):
        if len(response) > _A_SENTENCE and response == texts[other].strip():
            faults.add("QD.W027", field="response", other=other)


def _looks(name: str, text: str) -> Iterator[tuple[str, dict[str, object]]]:
    """The sentences that a text gives reason for, each with what fills it."""
    if not text.strip():
        # A row without a context is usual, so that only the other two are told.
        if name == "response":
            yield "QD.W020", {}
        elif name == "query":
            yield "QD.W021", {}
        return
    if len(text) > _LONG:
        yield "QD.W022", {"name": name, "characters": len(text)}
    if text.strip().casefold() in _EMPTY_WORDS:
        yield "QD.W028", {"name": name, "word": text.strip()}
    if match := _CONTROL.search(text):
        yield "QD.W024", _character(match)
    if not text.isascii():
        if match := _MOJIBAKE.search(text):
            yield "QD.W025", _character(match)
        if match := _BIDI.search(text):
            yield "QD.W026", _character(match)
    if name == "response" and _is_cut_off(text):
        yield "QD.W029", {}


def _character(match: re.Match[str]) -> dict[str, object]:
    return {"character": match.start(), "code": ord(match.group()[0])}


def _is_cut_off(text: str) -> bool:
    """Whether a code fence stays open, or a text of a length that programs cut at ends in mid-word."""
    return text.count("```") % 2 == 1 or (len(text) in _ROUND_LENGTHS and text[-1].isalnum())
