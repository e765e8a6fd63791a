"""Entity formats: CoNLL with IOB2 tags, and spaCy's DocBin."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from workflow.formats.spool import Spool

__all__ = ["Token", "iob2", "tokenize", "write_conll", "write_docbin"]

_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text with its half-open offsets in code points."""

    start: int
    end: int
    text: str


def tokenize(text: str, cuts: Iterable[int] = ()) -> list[Token]:
    """Words and single marks, cut also at every given offset, so that no span begins or ends inside a token.

    >>> [token.text for token in tokenize("isn't 5km", [7])]
    ['isn', "'", 't', '5', 'km']
    """
    places = sorted(set(cuts))
    tokens = []
    for found in _TOKEN.finditer(text):
        edges = [found.start(), *(cut for cut in places if found.start() < cut < found.end()), found.end()]
        tokens += [Token(first, last, text[first:last]) for first, last in pairwise(edges)]
    return tokens


def _flat(spans: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """Spans that do not overlap, longest first, and how many had to go."""
    kept: list[Mapping[str, Any]] = []
    dropped = 0
    for span in sorted(spans, key=lambda one: (one["start"] - one["end"], one["start"], one["label"])):
        if all(span["end"] <= other["start"] or other["end"] <= span["start"] for other in kept):
            kept.append(span)
        else:
            dropped += 1
    return sorted(kept, key=lambda one: int(one["start"])), dropped


def iob2(tokens: Sequence[Token], spans: Iterable[Mapping[str, Any]]) -> list[str]:
    """One IOB2 tag a token for spans that do not overlap."""
    tags = ["O"] * len(tokens)
    for span in spans:
        inside = [at for at, token in enumerate(tokens) if token.start < span["end"] and span["start"] < token.end]
        for place, at in enumerate(inside):
            tags[at] = ("B-" if place == 0 else "I-") + span["label"]
    return tags


def _span_fields(record: Mapping[str, Any], lints: Counter[str]) -> Iterator[tuple[str, str, list[Mapping[str, Any]]]]:
    """Field, its text and its final spans, for every spans field of a record that has a final label."""
    final = (record.get("final") or {}).get("values") or {}
    for name, about in (record.get("fields") or {}).items():
        if about.get("kind") == "spans" and final:
            spans, dropped = _flat((final.get(name) or {}).get("value") or ())
            if dropped:
                lints[f"overlapping spans of '{name}' left out (the longest is kept)"] += dropped
            yield name, str(about.get("text") or ""), spans


def write_conll(spool: Spool, path: Path, lints: Counter[str]) -> int:
    """Write tokens with offsets and one IOB2 column for each text's spans; returns how many texts were written.

    Fields on the same text share a block of lines. Each block begins with comments: row id, fields, and the text as
    JSON.
    """
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("# global.columns = FORM START END TAGS\n")
        for record in spool:
            texts: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
            for name, text, spans in _span_fields(record, lints):
                texts.setdefault(text, {})[name] = spans
            for text, fields in texts.items():
                written += 1
                file.writelines(_block(record["row_id"], text, fields))
    return written


def _block(row_id: str, text: str, fields: Mapping[str, list[Mapping[str, Any]]]) -> Iterator[str]:
    yield (
        f"\n# row_id = {json.dumps(row_id, ensure_ascii=False)}\n# fields = "
        f"{' '.join(fields)}\n# text = {json.dumps(text, ensure_ascii=False)}\n"
    )
    edges = [span[key] for spans in fields.values() for span in spans for key in ("start", "end")]
    tokens = tokenize(text, edges)
    columns = [iob2(tokens, spans) for spans in fields.values()]
    for token, *tags in zip(tokens, *columns, strict=True):
        yield "\t".join([token.text, str(token.start), str(token.end), *tags]) + "\n"


def write_docbin(spool: Spool, path: Path, lints: Counter[str]) -> int:
    """Write a spaCy DocBin: entities, span groups by field, and choices as categories; the documents are the texts
    that hold spans.

    Needs the extra `spacy`. A record without a spans field is a document of its response.
    """
    import spacy
    from spacy.tokens import Doc, DocBin

    vocab = spacy.blank("xx").vocab
    held = DocBin(attrs=["ORTH", "SPACY", "ENT_IOB", "ENT_TYPE"], store_user_data=True)
    written = 0
    for record in spool:
        final = (record.get("final") or {}).get("values") or {}
        if not final:
            continue
        by_text: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
        for name, text, spans in _span_fields(record, lints):
            by_text.setdefault(text, {})[name] = spans
        for text, fields in (by_text or {str(record["row"].get("response") or ""): {}}).items():
            edges = [span[key] for spans in fields.values() for span in spans for key in ("start", "end")]
            words, spaces = _words(text, edges)
            doc = Doc(vocab, words=words, spaces=spaces)
            _mark(doc, fields)
            doc.cats = _categories(record, final)
            doc.user_data["row_id"] = record["row_id"]
            held.add(doc)
            written += 1
    path.write_bytes(held.to_bytes())
    return written


def _words(text: str, edges: Sequence[int]) -> tuple[list[str], list[bool]]:
    """Words and following spaces such that their concatenation is the text; other white space is a token of its own."""
    words: list[str] = []
    spaces: list[bool] = []
    at = 0
    for token in [*tokenize(text, edges), Token(len(text), len(text), "")]:
        gap = text[at : token.start]
        if gap.startswith(" ") and words:
            spaces[-1], gap = True, gap[1:]
        if gap:
            words.append(gap)
            spaces.append(False)
        if token.text:
            words.append(token.text)
            spaces.append(False)
        at = token.end
    return words, spaces


def _mark(doc: Any, fields: Mapping[str, list[Mapping[str, Any]]]) -> None:
    groups = {
        name: [doc.char_span(one["start"], one["end"], label=one["label"]) for one in spans]
        for name, spans in fields.items()
    }
    for name, group in groups.items():
        doc.spans[name] = [span for span in group if span is not None]
    if groups:
        doc.ents = next(iter(doc.spans.values()))


def _categories(record: Mapping[str, Any], final: Mapping[str, Any]) -> dict[str, float]:
    made: dict[str, float] = {}
    for name, label in final.items():
        kind, value = (record["fields"].get(name) or {}).get("kind"), label.get("value")
        if kind == "choice" and value is not None:
            made[f"{name}={value}"] = 1.0
        elif kind == "choices":
            made |= {f"{name}={one}": 1.0 for one in value or ()}
    return made
