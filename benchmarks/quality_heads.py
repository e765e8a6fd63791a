"""What a head learns from other people's gold: every public data set with adjudicated labels, cross-validated.

    python -m benchmarks.quality_heads --data ../shared/data

These questions are not Quorum's own (sentiment, preference, a code grade …): the heads are trained from nothing but
the gold, as `quorum models train` does for a team's own field, and measured beside the most frequent label.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ml_backend.config import DEFAULT_MODELS, read_models
from ml_backend.models import Loader
from ml_backend.runtimes import default_threads
from ml_backend.settings import graph_cache
from ml_backend.training import encode, recipes
from ml_backend.training.data import Example, read_lines

Row = dict[str, Any]


def _texts(row: Row) -> dict[str, Any]:
    """The item as a row: two responses to compare stand as question and response."""
    if "response_1" in row:
        context = "\n\n".join(part for part in (row.get("context"), row.get("query")) if part)
        return {"context": context, "query": row["response_1"], "response": row["response_2"]}
    return {
        "context": row.get("context") or "", "query": row.get("query") or "",
        "response": row.get("response") or row.get("text") or "",
    }  # fmt: skip


DOCUMENTS: dict[str, Callable[[str], str]] = {
    "multi_choice_premo": lambda item: item,
    "multi_choice_pandalm": lambda item: item,
    "multi_choice_xsumfact": lambda item: item.rsplit("-", 1)[0],
    "multi_rating_conala": lambda item: "-".join(item.split("-")[:2]),
}
"""Data set with gold → the document of an item, by its id."""


def examples(path: Path, name: str) -> Iterator[Example]:
    """The items with gold."""
    for row in read_lines(path / f"{name}_items_dev.jsonl"):
        if row.get("gold") is not None:
            yield Example(
                id=row["item_id"], group=DOCUMENTS[name](row["item_id"]), source=name, **_texts(row),
                values={name: row["gold"]}, domain=row.get("domain"),
            )  # fmt: skip


def measure(loader: Loader, name: str, found: list[Example]) -> Row:
    """Cross-validated figures of a head on one data set."""
    recipe = recipes.recipe_for(name, [one.values[name] for one in found])
    if recipe is None:
        raise ValueError(f"{name}: nothing that a head could learn")
    model, sha256 = loader.encoder("minilm")
    known = encode.vectors(model, {text for e in found for text in (e.context, e.query, e.response)} | {""})
    trained = recipes.train(recipe, found, known, {}, sha256)
    figures: Row = recipes.figures(recipe, trained)["all"]
    return {"data": name, "documents": len({e.group for e in found}), **figures}


def main() -> None:
    """Print one line of JSON a data set."""
    parser = argparse.ArgumentParser()
    root = Path(__file__).resolve().parent.parent
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("QUORUM_SHARED_DATA") or root.parent / "shared" / "data")
    )
    args = parser.parse_args()
    loader = Loader(read_models(DEFAULT_MODELS), graph_cache(os.environ), default_threads())
    for name in DOCUMENTS:
        print(json.dumps(measure(loader, name, list(examples(args.data, name)))), flush=True)


if __name__ == "__main__":
    main()
