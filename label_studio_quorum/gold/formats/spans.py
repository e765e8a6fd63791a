"""Entity formats: CoNLL with IOB2 tags, and spaCy's DocBin."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from label_studio_quorum.gold.spool import Spool

__all__ = ["Token", "iob2", "tokenize", "write_conll", "write_docbin", "write_docbins"]

_TOKEN = re.compile(r"\w+|[^\w\s]")
_IN_ONE_BIN = 10_000


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
    for match in _TOKEN.finditer(text):
        # A span may begin inside a word: the word becomes two tokens, so that its tag says exactly what was labelled.
        edges = [match.start(), *(cut for cut in places if match.start() < cut < match.end()), match.end()]
        tokens += [Token(first, last, text[first:last]) for first, last in pairwise(edges)]
    return tokens


def _flat(spans: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """Spans that do not overlap, longest first, and how many had to go."""
    kept: list[Mapping[str, Any]] = []
    dropped = 0
    for span in sorted(spans, key=lambda each: (each["start"] - each["end"], each["start"], each["label"])):
        # IOB2 has one tag a token. The longest span says the most, and what goes is counted for the datasheet.
        if all(span["end"] <= other["start"] or other["end"] <= span["start"] for other in kept):
            kept.append(span)
        else:
            dropped += 1
    return sorted(kept, key=lambda each: int(each["start"])), dropped


def iob2(tokens: Sequence[Token], spans: Iterable[Mapping[str, Any]]) -> list[str]:
    """One IOB2 tag a token for spans that do not overlap."""
    tags = ["O"] * len(tokens)
    for span in spans:
        # By overlap and not by containment: a span that ends in white space has no token there.
        inside = [at for at, token in enumerate(tokens) if token.start < span["end"] and span["start"] < token.end]
        for place, at in enumerate(inside):
            tags[at] = ("B-" if place == 0 else "I-") + span["label"]
    return tags


def _texts(record: Mapping[str, Any]) -> dict[str, dict[str, list[Mapping[str, Any]]]]:
    """Text → spans field → its final spans, of a record that has a final label."""
    final = (record.get("final") or {}).get("values") or {}
    texts: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for name, about in (record.get("fields") or {}).items():
        if about.get("kind") == "spans" and final:
            spans = list((final.get(name) or {}).get("value") or ())
            texts.setdefault(str(about.get("text") or ""), {})[name] = spans
    return texts


def write_conll(spool: Spool, path: Path, lints: Counter[str]) -> int:
    """Write tokens with offsets and one IOB2 column for each text's spans; returns how many texts were written.

    Fields on the same text share a block of lines. Each block begins with comments: row id, fields, and the text as
    JSON.
    """
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("# global.columns = FORM START END TAGS\n")
        for record in spool:
            for text, fields in _texts(record).items():
                written += 1
                flat = {name: _flat(spans) for name, spans in fields.items()}
                for name, (_, dropped) in flat.items():
                    if dropped:
                        lints[f"overlapping spans of '{name}' left out (the longest is kept)"] += dropped
                file.writelines(_block(record["row_id"], text, {name: kept for name, (kept, _) in flat.items()}))
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
    """Write a spaCy DocBin; returns how many documents. spaCy writes it from one object in memory.

    Needs the extra `spacy`. The documents are the texts that hold spans, or the response of a record without a spans
    field: span groups by field with every span, the longest of overlapping ones as entities, choices as categories.
    """
    return _write_bin(_documents(spool), path, lints)


def write_docbins(spool: Spool, folder: Path, lints: Counter[str]) -> int:
    """Write the same as a folder of DocBins of at most 10,000 documents, which spaCy's `Corpus` and `spacy train` read
    as one, at flat memory."""
    documents = _documents(spool)
    written = number = 0
    while some := list(islice(documents, _IN_ONE_BIN)):
        number += 1
        written += _write_bin(some, folder / f"part-{number:05}.spacy", lints)
    return written


_Document = tuple[Mapping[str, Any], str, dict[str, list[Mapping[str, Any]]]]


def _documents(spool: Spool) -> Iterator[_Document]:
    for record in spool:
        if not ((record.get("final") or {}).get("values") or {}):
            continue
        # The whole record of ten thousand rows would stay in memory until the file is written.
        slim = {name: record[name] for name in ("row_id", "fields", "final")}
        for text, fields in (_texts(record) or {str(record["row"].get("response") or ""): {}}).items():
            yield slim, text, fields


def _write_bin(documents: Iterable[_Document], path: Path, lints: Counter[str]) -> int:
    import spacy
    from spacy.tokens import Doc, DocBin

    # Of no language: our tokens are given, and rules of a language would cut them anew.
    vocab = spacy.blank("xx").vocab
    docs = DocBin(attrs=["ORTH", "SPACY", "ENT_IOB", "ENT_TYPE"], store_user_data=True)
    for record, text, fields in documents:
        edges = [span[key] for spans in fields.values() for span in spans for key in ("start", "end")]
        words, spaces = _words(text, edges)
        doc = Doc(vocab, words=words, spaces=spaces)
        _mark(doc, fields, lints)
        doc.cats = _categories(record, record["final"]["values"])
        doc.user_data["row_id"] = record["row_id"]
        docs.add(doc)
    path.write_bytes(docs.to_bytes())
    return len(docs)


def _words(text: str, edges: Sequence[int]) -> tuple[list[str], list[bool]]:
    """Words and following spaces such that their concatenation is the text; other white space is a token of its own."""
    words: list[str] = []
    spaces: list[bool] = []
    at = 0
    for token in [*tokenize(text, edges), Token(len(text), len(text), "")]:
        gap = text[at : token.start]
        # spaCy keeps one space with the word before it; any other white space is a word of its own.
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


def _mark(doc: Any, fields: Mapping[str, list[Mapping[str, Any]]], lints: Counter[str]) -> None:
    def marked(spans: Iterable[Mapping[str, Any]]) -> list[Any]:
        return [doc.char_span(span["start"], span["end"], label=span["label"]) for span in spans]  # tokens end at spans

    for name, spans in fields.items():
        doc.spans[name] = marked(spans)
    if not fields:
        return
    # A document has one set of entities and any number of span groups: the first field's are the entities.
    name, spans = next(iter(fields.items()))
    kept, dropped = _flat(spans)
    doc.ents = marked(kept)
    if dropped:
        lints[f"overlapping spans of '{name}' left out of the entities (the span group has them)"] += dropped


def _categories(record: Mapping[str, Any], final: Mapping[str, Any]) -> dict[str, float]:
    made: dict[str, float] = {}
    for name, label in final.items():
        kind, value = (record["fields"].get(name) or {}).get("kind"), label.get("value")
        if kind == "choice" and value is not None:
            made[f"{name}={value}"] = 1.0
        elif kind == "choices":
            made |= {f"{name}={label}": 1.0 for label in value or ()}
    return made
