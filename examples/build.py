"""Build the example campaign: `python -m examples.build` makes rows.jsonl and truth.jsonl of the sources.

The sources mark entities inside the response as ``[[text|LABEL]]``, or list their names by label under ``m``, of which
every mention outside of code blocks and formulas is marked, so that offsets are counted by a program and never by hand.
Planted faults of the auto-label are stated beside each row; truth.jsonl says what a careful person would answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
DOMAINS = ("general", "technical", "financial")
VERDICTS = {"ok": "Correct", "part": "Partly correct", "bad": "Incorrect", "cant": "Cannot judge"}
ISSUES = {
    "fact": "Factual error",
    "contra": "Contradicts context",
    "unsupported": "Unsupported claim",
    "incomplete": "Missing information",
    "calc": "Calculation or logic error",
    "code": "Code error",
    "instruction": "Instruction not followed",
    "unclear": "Unclear or badly written",
    "unsafe": "Unsafe or non-compliant",
}
TYPES = {
    "answer": "Direct answer",
    "explanation": "Explanation",
    "howto": "Instructions",
    "code": "Code",
    "calc": "Calculation",
    "summary": "Summary",
    "refusal": "Refusal",
    "writing": "Other",
}
RATINGS = ("correctness", "completeness", "helpfulness", "tone")
MARK = re.compile(r"\[\[([^\[\]|]+)\|([A-Z]+)\]\]")
QUIET = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$(?=[A-Za-z\\({])[^$\n]+\$|\]\([^)\n]*\)|^ {4}.*?$", re.DOTALL | re.MULTILINE
)
"""Code blocks, formulas and addresses of links, in which no name is marked."""


def unmark(marked: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the plain text and its spans, half-open in code points.

    >>> unmark("[[Ana|PERSON]] left")
    ('Ana left', [{'start': 0, 'end': 3, 'label': 'PERSON', 'text': 'Ana'}])
    """
    text, spans, at = "", [], 0
    for found in MARK.finditer(marked):
        text += marked[at : found.start()]
        spans.append({"start": len(text), "end": len(text) + len(found[1]), "label": found[2], "text": found[1]})
        text += found[1]
        at = found.end()
    return text + marked[at:], spans


def mentions(text: str, names: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return a span for every mention of a name outside of code blocks and formulas, of two readings the longer.

    >>> [s["text"] for s in mentions("Go `go test`, not `Go`:\\n```go\\nGo\\n```", {"TECH": ["Go", "go test"]})]
    ['Go', 'go test', 'Go']
    """
    quiet = QUIET.sub(lambda code: "\0" * len(code[0]), text)
    labels = {name: label for label, listed in names.items() for name in listed}
    longest_first = sorted(labels, key=len, reverse=True)
    found = list(re.finditer("|".join(map(_whole, longest_first)), quiet))
    missing = labels.keys() - {name[0] for name in found}
    if missing:
        raise ValueError(f"not in the response: {', '.join(sorted(missing))}")
    return [{"start": n.start(), "end": n.end(), "label": labels[n[0]], "text": n[0]} for n in found]


def _whole(name: str) -> str:
    """The pattern of a name that is no part of a longer word; other scripts may write words without spaces."""
    before = rf"(?<!{_LATIN})" if re.match(_LATIN, name) else ""
    after = rf"(?!{_LATIN})" if re.match(_LATIN, name[-1]) else ""
    return f"{before}{re.escape(name)}{after}"


_LATIN = "[A-Za-z0-9À-ɏ]"


def truth_of(source: dict[str, Any], spans: list[dict[str, Any]]) -> dict[str, Any]:
    """The values a careful person gives."""
    verdict, issues, kind, *ratings = source["t"]
    return {
        "verdict": VERDICTS[verdict],
        "issues": sorted(ISSUES[issue] for issue in issues),
        "response_type": TYPES[kind],
        **dict(zip(RATINGS, ratings, strict=True)),
        "entities": spans,
    }


def auto_of(truth: dict[str, Any], wrong: dict[str, Any]) -> dict[str, Any]:
    """The auto-label: the truth with the planted faults."""
    auto = dict(truth)
    for key, value in wrong.items():
        match key:
            case "drop":
                auto["entities"] = [s for s in auto["entities"] if s["text"] not in value]
            case "relabel":
                auto["entities"] = [{**s, "label": value.get(s["text"], s["label"])} for s in auto["entities"]]
            case "verdict":
                auto[key] = VERDICTS[value]
            case "issues":
                auto[key] = sorted(ISSUES[issue] for issue in value)
            case "correctness" | "completeness" | "helpfulness" | "tone":
                auto[key] = value
            case _:
                raise ValueError(f"{key}: no such planted fault")
    return auto


def changed_fields(truth: dict[str, Any], auto: dict[str, Any]) -> list[str]:
    """The fields in which the auto-label is wrong."""
    return sorted(field for field in truth if auto[field] != truth[field])


def build_row(source: dict[str, Any], domain: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """One source entry as a row for import and a line of truth."""
    response, spans = unmark(source["r"])
    if "m" in source:
        spans = mentions(response, source["m"])
    truth = truth_of(source, spans)
    context = source["c"]
    if context.startswith("LONG-CONTEXT-"):
        context = (HERE / "source" / f"long-{context[-1]}.txt").read_text(encoding="utf-8").rstrip("\n")
    row = {"id": source["id"], "context": context, "query": source["q"], "response": response, "domain": domain}
    planted: list[str] = []
    if source.get("auto") != "none":
        auto = auto_of(truth, source.get("w", {}))
        planted = changed_fields(truth, auto)
        if source.get("w") and not planted:
            raise ValueError(f"{source['id']}: the planted fault changes nothing")
        row["auto_label"] = auto
    line = {"row_id": source["id"], "values": truth, "auto_label_wrong_in": planted, "hard": source.get("hard")}
    return row, line


def _file(name: str) -> Path:
    return HERE / "source" / f"{name}.yaml"


def build() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every row of the example campaign with its truth, domains interleaved as in real life."""
    yaml = YAML(typ="safe")
    per_domain = [
        [build_row(source, domain) for part in ("", "-long") for source in yaml.load(_file(f"{domain}{part}"))]
        for domain in DOMAINS
    ]
    for position in range(max(map(len, per_domain))):
        for rows in per_domain:
            if position < len(rows):
                yield rows[position]


def main() -> None:
    """Write rows.jsonl and truth.jsonl beside this file."""
    pairs = list(build())
    for name, part in (("rows.jsonl", 0), ("truth.jsonl", 1)):
        lines = (json.dumps(pair[part], ensure_ascii=False) for pair in pairs)
        (HERE / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with_auto = [line for row, line in pairs if "auto_label" in row]
    wrong = sum(bool(line["auto_label_wrong_in"]) for line in with_auto)
    share = wrong / len(with_auto)
    print(f"{len(pairs)} rows, {len(with_auto)} with an auto-label, {wrong} of them wrong ({share:.0%})")


if __name__ == "__main__":
    main()
