"""Writes model cards: what a head is, what it learned from, and how good it was measured to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ml_backend.training.recipes import Recipe, Trained

LICENCES: Mapping[str, str] = {
    "examples": "Quorum's own examples, Apache-2.0",
    "gold": "the team's own gold",
    "begin": "BEGIN, Google, CC-BY-4.0",
    "begin-knowledge": "BEGIN, Google, CC-BY-4.0",
    "begin-turn": "BEGIN, Google, CC-BY-4.0",
    "halueval-general": "HaluEval, MIT",
    "expertqa": "ExpertQA, MIT",
    "expertqa-question": "ExpertQA, MIT",
    "summedits-ectsum": "SummEdits, Salesforce, Apache-2.0",
    "summedits-scitldr": "SummEdits, Salesforce, Apache-2.0",
    "conala-codegen": "codegen-metrics, JetBrains Research, Apache-2.0; intents from Stack Overflow, CC-BY-SA",
    "conala-intent": "codegen-metrics, JetBrains Research, Apache-2.0; intents from Stack Overflow, CC-BY-SA",
    "factool-code": "FacTool, Apache-2.0",
    "factool-kbqa": "FacTool, Apache-2.0",
    "tatqa-tagop": "TAT-QA, CC-BY-4.0",
    "tatqa-paragraph": "TAT-QA, CC-BY-4.0",
    "tatqa-question": "TAT-QA, CC-BY-4.0",
    "ectsum-summary": "SummEdits, Salesforce, Apache-2.0",
    "premo": "PReMO, MIT",
    "stackoverflow": "StackOverflowNER, MIT; posts from Stack Overflow, CC-BY-SA",
    "ragchecker-query": "RAGChecker, Amazon, Apache-2.0",
    "llm-rubric-real": "LLM-Rubric, Microsoft, MIT",
    "squality": "SQuALITY, CC-BY-4.0",
    "squality-answer": "SQuALITY, CC-BY-4.0",
    "StackOverflowNER": "StackOverflowNER, MIT; posts from Stack Overflow, CC-BY-SA",
    "SEC-filings": "SEC filings NER (Salinas Alvarado et al.), CC-BY-3.0",
    "KPI-EDGAR": "KPI-EDGAR, MIT",
    "btc": "Broad Twitter Corpus, GATE, CC-BY-4.0",
}
"""Source of training rows → name and licence. A head holds weights learned from them, none of their text."""


def card(recipe: Recipe, trained: Trained, table: Mapping[str, Any], binding: str) -> str:
    """Write the card as Markdown.

    Args:
        binding: what to write into a models file.
    """
    meta = trained.head.meta
    sources = Counter(example.source for example in trained.examples)
    # A fine-tuned network keeps its weights in its own folder, so its head has none.
    frozen = bool(trained.head.arrays)
    blocks = f" from the blocks {', '.join(meta.blocks)}" if frozen else ", every weight of it fine-tuned"
    lines = [
        f"# {'Head' if frozen else 'Network'} `{recipe.control}`",
        "",
        f"Answers `{recipe.task}` on the {'frozen ' if frozen else ''}encoder `{meta.encoder[:12]}`{blocks}.",
        f"Labels: {', '.join(meta.labels)}."
        + (f" Found by patterns: {', '.join(meta.patterns)}." if meta.patterns else ""),
    ]
    if trained.missing:
        lines.append(f"Never answered, for want of examples: {', '.join(trained.missing)}.")
    lines += [
        f"Below score {meta.abstain} it gives no answer." if meta.abstain else "",
        "",
        f"In a models file: `{recipe.control}: {binding}`",
        "",
        "## Measured",
        "",
        "Five-fold cross-validation; rows of one document are never on both sides.",
        *_weak(recipe, table),
        "",
        *_table(recipe, table),
        "",
        "## Learned from",
        "",
        f"{len(trained.examples)} rows, data hash `{meta.trained_on[:16]}`.",
        "",
        *(f"- {LICENCES.get(source, source)}: {count} rows" for source, count in sorted(sources.items())),
        "",
    ]
    return "\n".join(lines)


def _weak(recipe: Recipe, table: Mapping[str, Any]) -> list[str]:
    """Name in one sentence the sources on which always giving the most frequent label is right more often."""
    if recipe.task != "choice":
        return []
    below = [name for name, figures in table.items() if figures["accuracy"] < figures["accuracy_of_majority"]]
    return [f"Right less often than always the most frequent label: {', '.join(below)}."] if below else []


def _table(recipe: Recipe, table: Mapping[str, Any]) -> list[str]:
    if recipe.task == "choices":
        rows = table["all"]["labels"]
        return ["| label | rows | F1 | accuracy | accuracy of never |", "|---|---|---|---|---|"] + [
            f"| {label} | {f['rows']} | {f['f1']:.3f} | {f['accuracy']:.3f} | {f['accuracy_of_never']:.3f} |"
            for label, f in rows.items()
        ]
    names = [name for name, value in table["all"].items() if isinstance(value, int | float)]
    lines = [f"| rows of | {' | '.join(name.replace('_', ' ') for name in names)} |", "|---" * (len(names) + 1) + "|"]
    for source, figures in table.items():
        lines.append(f"| {source} | {' | '.join(_number(figures[name]) for name in names)} |")
    if recipe.task == "spans":
        lines += [
            "",
            "F1 by label: "
            + ", ".join(f"{label} {value:.3f}" for label, value in table["all"]["labels"].items())
            + ".",
        ]
    return lines


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"
