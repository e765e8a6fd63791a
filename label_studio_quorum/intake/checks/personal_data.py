"""Personal data in rows: found by Presidio's regular expressions, reported, or masked with a map that is kept
elsewhere.

Needs the extra `pii`. No language model runs and nothing leaves the machine; Presidio's own e-mail recogniser would
fetch a list of domains from the network on first use, hence the subclass.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.row import Row
from ls_config import Interface

__all__ = ["Finder", "Masker", "Piece", "unmask"]

TEXTS = ("context", "query", "response")
_SURE = 0.4
_DIGITS = 7
"""Fewest digits of a telephone number; in some countries nearly every shorter number could be one."""
_NUMBER = re.compile(rf"\d(?:[ ().+/\-–\u2011\u00a0]{{0,3}}\d){{{_DIGITS - 1}}}")
_ADDRESS = re.compile(r"\.\d{1,3}\.\d|:(?::|(?:[0-9A-Fa-f]{1,4}:){6})")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2}")
_WALLET = re.compile(r"[13][A-Za-z0-9]{25}")
_MODELS = ("torch", "transformers", "stanza", "tensorflow", "cupy")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of personal data: half-open offsets in code points, and what it is (`EMAIL_ADDRESS`, …)."""

    start: int
    end: int
    kind: str


class Finder:
    """Finds e-mail addresses, telephone numbers, payment cards, IBANs, IP addresses, US social security and crypto
    wallet numbers.

    Raises ModuleNotFoundError where the extra `pii` is not installed.
    """

    def __init__(self) -> None:
        self._recognizers = _recognizers()

    @classmethod
    def if_installed(cls) -> Finder | None:
        """A finder, or None without the extra."""
        try:
            return cls()
        except ModuleNotFoundError:
            return None

    def find(self, text: str) -> list[Piece]:
        """The pieces of a text, in order, without overlap: the surer, then the longer of two wins."""
        hits = [
            hit
            for needed, recognizers in self._recognizers
            if needed.search(text)
            for recognizer in recognizers
            for hit in recognizer.analyze(text, recognizer.supported_entities, None)
            if hit.entity_type != "PHONE_NUMBER" or sum(map(str.isdigit, text[hit.start : hit.end])) >= _DIGITS
        ]
        kept: list[Piece] = []
        for hit in sorted(hits, key=lambda hit: (-hit.score, hit.start - hit.end, hit.start, hit.entity_type)):
            # The surest and longest comes first, so that a card number inside an IBAN is not told twice.
            if hit.score >= _SURE and all(hit.end <= other.start or other.end <= hit.start for other in kept):
                kept.append(Piece(hit.start, hit.end, hit.entity_type))
        return sorted(kept, key=lambda piece: piece.start)

    def faults(self, row: Row, file: str) -> Iterator[RowFault]:
        """One warning a field, with kinds and numbers and never the data itself."""
        for name in TEXTS:
            # Kinds and numbers only: a list of warnings is mailed around, and must not carry the data itself.
            kinds = Counter(piece.kind for piece in self.find(getattr(row, name)))
            if kinds:
                listed = ", ".join(f"{kind} ×{times}" for kind, times in sorted(kinds.items()))
                yield fault("QD.W064", row.place or Place(file), name=name, kinds=listed, row_id=row.row_id, field=name)


def _recognizers() -> list[tuple[re.Pattern[str], list[Any]]]:
    """Recognisers, and what a text must hold for them to be worth asking: some cost more than all other checks."""
    import phonenumbers
    import tldextract

    with _without_models():
        from presidio_analyzer import RecognizerResult
        from presidio_analyzer import predefined_recognizers as known

    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Email(known.EmailRecognizer):  # type: ignore[misc]
        """Checks domains against the list that comes with tldextract, not one from the network."""

        def validate_result(self, pattern_text: str) -> bool:
            return bool(offline(pattern_text).suffix)

    class Phone(known.PhoneRecognizer):  # type: ignore[misc]
        """Passes over years and prices: what has too few characters has too few digits, and there are many of them."""

        def analyze(self, text: str, entities: Any, nlp_artifacts: Any = None) -> list[Any]:
            places = {
                (match.start, match.end)
                for region in self.supported_regions
                for match in phonenumbers.PhoneNumberMatcher(
                    text, region, leniency=self.leniency, min_candidate_length=_DIGITS
                )
            }
            return [RecognizerResult("PHONE_NUMBER", start, end, self.SCORE) for start, end in places]

    return [
        (re.compile("@"), [Email()]),
        (_NUMBER, [Phone(), known.CreditCardRecognizer(), known.UsSsnRecognizer()]),
        (_ADDRESS, [known.IpRecognizer()]),
        (_IBAN, [known.IbanRecognizer()]),
        (_WALLET, [known.CryptoRecognizer()]),
    ]


@contextmanager
def _without_models() -> Iterator[None]:
    """Keep Presidio from loading the libraries of language models, which take five times as long as all else here and
    which its regular expressions never use."""
    kept_out = [name for name in _MODELS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(kept_out))  # type: ignore[arg-type] # None: "cannot be imported"
    try:
        yield
    finally:
        for name in kept_out:
            sys.modules.pop(name, None)


# --- masking -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Masker:
    """Replaces personal data by tokens, the same data by the same token throughout a file; spans of auto-labels move
    along.

    `values` maps tokens to what they stand for: whoever holds it can undo the masking, so it is kept apart from the
    rows.
    """

    finder: Finder
    salt: str
    interface: Interface | None = None
    values: dict[str, str] = field(default_factory=dict)
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    _numbers: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def salt_of(content: bytes) -> str:
        """Four hex digits of a file's hash, so that tokens of two files are told apart."""
        return hashlib.sha256(content).hexdigest()[:4]

    def mask(self, row: Row) -> Row:
        """The row with tokens in place of personal data."""
        changed: dict[str, Any] = {}
        label = dict(row.auto_label or {})
        for name in TEXTS:
            text = getattr(row, name)
            pieces = self.finder.find(text)
            if pieces:
                made, moves = self._replaced(text, pieces)
                changed[name] = made
                self._move(label, name, moves, made)
        return replace(row, **changed, auto_label=label if row.auto_label is not None else None) if changed else row

    def _replaced(self, text: str, pieces: list[Piece]) -> tuple[str, list[tuple[int, int, int]]]:
        """The masked text, and per piece its old start, old end and the length of its token."""
        parts: list[str] = []
        moves = []
        at = 0
        for piece in pieces:
            token = self._token(piece.kind, text[piece.start : piece.end])
            parts += [text[at : piece.start], token]
            moves.append((piece.start, piece.end, len(token)))
            at = piece.end
        return "".join([*parts, text[at:]]), moves

    def _token(self, kind: str, value: str) -> str:
        key = (kind, value)
        # The same value has the same token in every row, so that duplicates and references stay visible.
        if key not in self._tokens:
            self._numbers[kind] += 1
            self._tokens[key] = f"⟦{kind}-{self.salt}-{self._numbers[kind]}⟧"
            self.values[self._tokens[key]] = value
        return self._tokens[key]

    def _move(self, label: dict[str, Any], name: str, moves: list[tuple[int, int, int]], made: str) -> None:
        """Spans on a masked text: what touched a masked piece covers its whole token."""
        for control in self.interface.controls if self.interface else ():
            if control.kind == "spans" and control.value_key == name and control.name in label:
                label[control.name] = [_moved(span, moves, made) for span in label[control.name]]


def _moved(span: Mapping[str, Any], moves: list[tuple[int, int, int]], text: str) -> dict[str, Any]:
    start, end = _shift(span["start"], moves, last=False), _shift(span["end"], moves, last=True)
    return {**span, "start": start, "end": end} | ({"text": text[start:end]} if "text" in span else {})


def _shift(at: int, moves: list[tuple[int, int, int]], *, last: bool) -> int:
    shift = 0
    for start, end, length in moves:
        # An end inside a masked piece moves to the token's end, a start to its start: the span covers the whole token.
        if at >= end:
            shift += length - (end - start)
        elif at > start:
            return start + shift + (length if last else 0)
    return at + shift


def unmask(row: Row, values: Mapping[str, str], interface: Interface | None) -> Row:
    """The row with tokens replaced by what they stand for; spans move back along."""
    changed: dict[str, Any] = {}
    label = dict(row.auto_label or {})
    for name in TEXTS:
        text = getattr(row, name)
        pieces = sorted((at, token) for token in values for at in _all(text, token))
        if not pieces:
            continue
        made, back, place = "", [], 0
        for at, token in pieces:
            made += text[place:at] + values[token]
            back.append((at, at + len(token), len(values[token])))
            place = at + len(token)
        made += text[place:]
        changed[name] = made
        for control in interface.controls if interface else ():
            if control.kind == "spans" and control.value_key == name and control.name in label:
                label[control.name] = [_moved(span, back, made) for span in label[control.name]]
    return replace(row, **changed, auto_label=label if row.auto_label is not None else None) if changed else row


def _all(text: str, token: str) -> Iterator[int]:
    at = text.find(token)
    while at >= 0:
        yield at
        at = text.find(token, at + len(token))
