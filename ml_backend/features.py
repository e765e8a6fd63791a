"""Computes what heads see beside the encoder's states: overlap of words and numbers, shapes of tokens, patterns."""

from __future__ import annotations

import re
import string
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_NAME = re.compile(r"\b[A-Z][\w-]+")
_NEGATION = re.compile(r"\b(?:no|not|never|none|neither|nor|without|cannot|\w+n't)\b", re.I)
# Signs that stand in code and hardly ever in prose, whatever the language of either.
_CODE = re.compile(
    r"```|\b(?:def|return|import|class|SELECT|FROM|lambda|var|const|function)\b|[{};]|\w\(|==|=>|->|\[\w*\]"
)
_STEPS = re.compile(r"(?m)^\s*(?:\d+[.)]|[-*•])\s")
_REFUSAL = re.compile(
    r"\b(?:I(?:'m| am) (?:sorry|unable|not able)|I (?:can(?:'|no)t|do(?: not|n't) (?:have|know))|as an AI"
    r"|no information)\b",
    re.I,
)
_HEDGE = re.compile(r"\b(?:may|might|could|perhaps|possibly|probably|generally|likely|seems?|suggests?)\b", re.I)
_ARITHMETIC = re.compile(r"\d\s*[-+*/×÷=]\s*\$?\d")
_WARM = re.compile(r"!|\b(?:great|happy|please|thank|hope|glad|sure|welcome)\b", re.I)
_RUDE = re.compile(r"\b(?:stupid|obviously|idiot|dumb|whatever|lol|just google|duh|read the)\b", re.I)

LEXICAL = (
    "log_response", "log_context", "log_query", "has_context", "ratio_context",
    "words_in_context", "words_in_query", "bigrams_in_context", "numbers", "numbers_missing", "any_number_missing",
    "names_missing", "negation_gap", "code", "code_in_query", "steps", "refusal", "hedges", "arithmetic", "warm",
    "rude",
    "questions", "capital_start", "ends_properly", "digits", "mean_word", "repeats", "lines",
)  # fmt: skip
"""Names of the lexical features, in order."""


def lexical(context: str, query: str, response: str) -> Floats:
    """Measure overlap and form of a row's three texts, shape (len(LEXICAL),).

    >>> lexical("Revenue was $5 million.", "Revenue?", "It was $7 million.")[LEXICAL.index("any_number_missing")]
    np.float32(1.0)
    """
    words, context_words, query_words = (_words(text) for text in (response, context, query))
    numbers, source_numbers = _numbers(response), _numbers(context) | _numbers(query)
    names = set(_NAME.findall(response))
    count, context_count = max(1, len(words)), max(1, len(context_words))
    missing = numbers - source_numbers
    vocabulary = {*context_words, *query_words}
    return np.asarray(
        [
            # Scaled to a few units and mostly bounded: a linear head must not follow one odd text.
            _log(response), _log(context), _log(query), bool(context), min(5.0, len(response) / max(1, len(context))),
            _share(words, set(context_words)), _share(words, set(query_words)),
            _share(_pairs(words), set(_pairs(context_words))),
            min(5.0, len(numbers) / 4), _ratio(missing, numbers), bool(missing and context),
            _ratio({name for name in names if name.lower() not in vocabulary}, names) if context else 0.0,
            bool(context) * 10 * abs(_rate(_NEGATION, response, count) - _rate(_NEGATION, context, context_count)),
            _rate(_CODE, response, count) * 5, _rate(_CODE, query, max(1, len(query_words))) * 5,
            min(3.0, len(_STEPS.findall(response)) / 3), bool(_REFUSAL.search(response)),
            _rate(_HEDGE, response, count) * 10, min(2, len(_ARITHMETIC.findall(response))),
            min(3, len(_WARM.findall(response))), bool(_RUDE.search(response)), min(3, response.count("?")),
            response[:1].isupper(), response.rstrip()[-1:] in {".", "!", ")", "`", "\"", "”", "。"},
            sum(map(str.isdigit, response)) / max(1, len(response)) * 5, sum(map(len, words)) / count / 5,
            1 - len(set(words)) / count, min(4.0, response.count("\n") / 5),
        ],
        dtype=np.float32,
    )  # fmt: skip


def _words(text: str) -> list[str]:
    # A bound, as a row may hold a book: the shape of a text is clear from its beginning.
    return [word.lower() for word in _WORD.findall(text[:20_000])]


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text[:20_000])}


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(pairwise(words))


def _share(parts: list[str] | list[tuple[str, str]], reference: set[str] | set[tuple[str, str]]) -> float:
    return sum(part in reference for part in parts) / max(1, len(parts))


def _ratio(part: set[str], whole: set[str]) -> float:
    return len(part) / len(whole) if whole else 0.0


def _rate(pattern: re.Pattern[str], text: str, words: int) -> float:
    return min(1.0, len(pattern.findall(text[:20_000])) / words)


def _log(text: str) -> float:
    return float(np.log1p(len(text)) / 5)


_CLASSES = ("upper", "lower", "digit", "space", "punct", "currency", "percent", "underscore", "other")


@lru_cache(maxsize=1)
def _class_table() -> Floats:
    """List the class of every character of the basic plane, shape (65536, len(_CLASSES)); all above are "other"."""
    # A table, as asking Python for every character of every token would be a loop over the whole text.
    table = np.zeros((65536, len(_CLASSES)), dtype=np.float32)
    for code in range(65536):
        table[code, _CLASSES.index(_class_of(chr(code)))] = 1
    return table


def _class_of(char: str) -> str:
    special = {"$": "currency", "€": "currency", "£": "currency", "¥": "currency", "%": "percent", "_": "underscore"}
    if char in special:
        return special[char]
    if char.isspace():
        return "space"
    if char.isupper():
        return "upper"
    if char.islower():
        return "lower"
    if char.isdigit():
        return "digit"
    return "punct" if char in string.punctuation else "other"


SHAPES = 2 * len(_CLASSES) + 5
"""Shape features of a token."""


def token_shapes(text: str, offsets: NDArray[np.int64]) -> Floats:
    """Describe how each token looks in the text as typed (the encoder may lower it), shape (tokens, SHAPES).

    Args:
        text: the text.
        offsets: half-open code point offsets of the tokens, shape (tokens, 2).
    """
    if not (text and len(offsets)):
        return np.zeros((len(offsets), SHAPES), dtype=np.float32)
    # Only what the tokens cover and a character around it, so that a window costs the same in a text of any length.
    base = max(0, int(offsets[:, 0].min()) - 1)
    text, offsets = text[base : int(offsets[:, 1].max()) + 1], offsets - base
    # Four bytes a character, so that a code point offset is an index; halves of a surrogate pair pass.
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    classes = _class_table()[np.minimum(codes, 65535)]
    # Sums from the left: the counts of every token are then one subtraction, however long the text.
    sums = np.vstack([np.zeros((1, len(_CLASSES)), dtype=np.float32), np.cumsum(classes, axis=0, dtype=np.float32)])
    start, end = offsets[:, 0], offsets[:, 1]
    counts = sums[end] - sums[start]
    width = np.maximum(1, end - start)[:, None]
    first = classes[np.minimum(start, len(codes) - 1)]
    before = classes[np.maximum(start - 1, 0)] * (start > 0)[:, None]
    glued = (start > 0) & (before[:, _CLASSES.index("space")] == 0)
    after = classes[np.minimum(end, len(codes) - 1)] * (end < len(codes))[:, None]
    extra = np.stack(
        [
            glued,
            (end < len(codes)) & (after[:, _CLASSES.index("space")] == 0),
            np.minimum(width[:, 0], 12) / 12,
            counts[:, _CLASSES.index("upper")] > 1,
            start == 0,
        ],
        axis=1,
    ).astype(np.float32)
    shapes: Floats = np.hstack([counts / width, first, extra]).astype(np.float32)
    return shapes


_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_NUM = r"\d(?:[\d,]*\d)?(?:\.\d+)?"
_SCALE = r"(?:\s?(?:thousand|million|billion|trillion|bn|mn|[kKMB](?!\w)))?"
_MONEY_SCALE = r"(?:\s?(?:thousand|million|billion|trillion)|\s?(?:bn|mn|tn|[kKmMbB])(?!\w))?"
_CURRENCY = r"(?:dollars?|euros?|pounds|yen|cents|USD|EUR|GBP|JPY|CHF)"
_UNIT = (
    r"(?:percent|percentage points|basis points|bps|[kKMGT]i?B|bytes|ms|s|seconds?|minutes?|hours?|days?|weeks?|months?"
    r"|years?|km|cm|mm|kg|grams?|g|mg|lb|lbs|miles?|meters?|metres?|feet|inches|°[CF]|degrees|times|x|shares|people|employees"
    r"|GHz|MHz|Hz|W|kW|V|points|tokens|rows|requests)"
)
_MONEY = (
    rf"(?:US|C|A|HK)?[$€£¥]\s?{_NUM}{_MONEY_SCALE}|\b{_NUM}{_MONEY_SCALE}\s?{_CURRENCY}\b"
    rf"|\b(?:USD|EUR|GBP|JPY|CHF)\s?{_NUM}{_MONEY_SCALE}"
)
_DATE = (
    rf"\b(?:{_MONTH}\s+{_DAY}(?:,?\s+\d{{4}})?|{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+\d{{4}})?|{_MONTH}\s+(?:of\s+)?\d{{4}}"
    r"|\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{2,4}|(?:fiscal(?: year)?|FY)\s?'?\d{2,4}"
    r"|[QH][1-4](?:\s+(?:of\s+)?(?:FY)?'?\d{2,4})?|(?:first|second|third|fourth)\s+quarter(?:\s+of\s+(?:fiscal\s+)?\d{4})?"
    r"|(?:1[5-9]|20)\d{2}s?|last (?:year|quarter|month|week)|yesterday|tomorrow|\d{1,2}(?:st|nd|rd|th) century"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?)\b"
)
_QUANTITY = (
    rf"(?<![\w.$€£])[−-]?(?:{_NUM}\s?%|{_NUM}{_SCALE}[\s-]?{_UNIT}(?!\w))"
    r"|\b(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve)\s(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b"
)
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("MONEY", re.compile(_MONEY)),
    ("DATE", re.compile(_DATE)),
    ("QUANTITY", re.compile(_QUANTITY)),
)
"""Entities that a pattern finds more surely than a small head: amounts, dates, quantities with a unit."""


def pattern_spans(text: str) -> list[tuple[int, int, str]]:
    """Find non-overlapping (start, end, label) of `PATTERNS`, earlier patterns first.

    >>> pattern_spans("Up 12 % to $3.2 million in Q3 2023")
    [(11, 23, 'MONEY'), (27, 34, 'DATE'), (3, 7, 'QUANTITY')]
    """
    spans: list[tuple[int, int, str]] = []
    for label, pattern in PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span()
            # The order of `PATTERNS` is their rank: an amount holds digits that could also be a quantity.
            if all(end <= span[0] or start >= span[1] for span in spans):
                spans.append((start, end, label))
    return spans
