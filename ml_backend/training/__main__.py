"""`python -m ml_backend.training`: train heads, measure them by grouped cross-validation, write them with cards."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ml_backend.config import read_models
from ml_backend.errors import ConfigError, LoadError
from ml_backend.heads import load_head, save_head
from ml_backend.models import Loader
from ml_backend.runtimes import default_threads
from ml_backend.settings import graph_cache
from ml_backend.training import cards, encode, recipes
from ml_backend.training.data import (
    DataError,
    Example,
    data_hash,
    read_domains,
    read_entities,
    read_examples,
    read_gold,
    read_responses,
    read_squality,
)


def main(argv: list[str] | None = None) -> int:
    """Train what the arguments name; exit 1 if data or encoder can't be used."""
    args = _arguments(argv)
    try:
        run(
            args.models, args.encoder, args.out, gold=args.gold, examples=args.examples, data=args.data, only=args.only,
            again=args.again, say=print,
        )  # fmt: skip
    except (ConfigError, LoadError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    from ml_backend.config import DEFAULT_MODELS

    parser = argparse.ArgumentParser(prog="python -m ml_backend.training")
    parser.add_argument("--models", type=Path, default=DEFAULT_MODELS, help="models file that names the encoder")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--gold", type=Path, help="gold export (JSON Lines)")
    parser.add_argument("--examples", type=Path, help="folder with rows.jsonl and truth.jsonl")
    parser.add_argument("--data", type=Path, help="folder with responses_dev.jsonl, domain_text_dev.jsonl, …")
    parser.add_argument("--only", nargs="*", help="controls to train")
    parser.add_argument("--again", action="store_true", help="train also what was trained on this data already")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def run(
    models: Path,
    encoder: str,
    out: Path,
    *,
    gold: Path | None,
    examples: Path | None,
    data: Path | None,
    only: Sequence[str] | None,
    again: bool,
    say: Callable[[str], object],
) -> None:
    """Train and write one head and one card for each control that the data has values for.

    Args:
        models: models file that names `encoder`.
        out: folder for heads and cards; a head there that was trained on the same data is kept, so that a run that
            was stopped goes on.
        again: train those too.
        say: told one line of JSON a head.

    Raises:
        ConfigError, LoadError, DataError: the models file, the encoder or the data can't be used.
    """
    found = [
        *(read_gold(gold) if gold else []),
        *(read_examples(examples) if examples else []),
        *(public(data) if data else []),
    ]
    if not found:
        raise DataError("no data: give --gold, --examples or --data")
    controls = list(only) if only else sorted({name for one in found for name in one.values})
    loader = Loader(read_models(models), graph_cache(os.environ), default_threads())
    train(loader, encoder, found, controls, out, again=again, say=say)


def public(folder: Path) -> list[Example]:
    """Everything in a folder of public data that a label map exists for."""
    return [
        *read_responses(folder / "responses_dev.jsonl"),
        *read_squality(folder / "multi_rating_squality_items_dev.jsonl", folder / "multi_rating_squality_dev.jsonl"),
        *(
            one
            for name in ("domain_ner_technical_dev", "domain_ner_finance_dev", "multi_span_btc_items_dev")
            for one in read_entities(folder / f"{name}.jsonl")
        ),
        *read_domains(folder / "domain_text_dev.jsonl"),
    ]


def train(
    loader: Loader,
    encoder: str,
    examples: Sequence[Example],
    controls: Sequence[str],
    out: Path,
    *,
    again: bool,
    say: Callable[[str], object],
) -> None:
    """Train and write one head and one card a control; see `run`."""
    model, sha256 = loader.encoder(encoder)
    todo = [
        recipe for name in controls if (recipe := _todo(name, examples, sha256, out, again=again, say=say)) is not None
    ]
    rows = any(recipe.task != "spans" for recipe in todo)
    texts = {text for e in examples if set(e.values) - {"entities"} for text in (e.context, e.query, e.response)} | {""}
    known = encode.vectors(model, sorted(texts)) if rows else {}
    spans = [recipe.control for recipe in todo if recipe.task == "spans"]
    tagged = list(dict.fromkeys(e.response for e in examples if any(name in e.values for name in spans)))
    tokens = dict(zip(tagged, encode.tokens(model, tagged), strict=True))
    out.mkdir(parents=True, exist_ok=True)
    for recipe in todo:
        trained = recipes.train(recipe, examples, known, tokens, sha256)
        table = recipes.figures(recipe, trained)
        (out / f"{recipe.control}.md").write_text(cards.card(recipe, trained, table), encoding="utf-8")
        save_head(out / f"{recipe.control}.head", trained.head.meta, trained.head.arrays)
        say(
            json.dumps(
                {"control": recipe.control, "strength": trained.strength, "missing": trained.missing, **table["all"]}
            )
        )


def _todo(
    control: str, examples: Sequence[Example], encoder: str, out: Path, *, again: bool, say: Callable[[str], object]
) -> recipes.Recipe | None:
    """How to train a control; None if there is nothing to learn from, or it was learned already."""
    values = [one.values[control] for one in examples if one.values.get(control) is not None]
    recipe = recipes.recipe_for(control, values)
    if recipe is None:
        say(json.dumps({"control": control, "skipped": "no values that a head could learn"}))
        return None
    head = out / f"{control}.head"
    if not again and head.exists():
        meta = load_head(head).meta
        used = [one for one in examples if one.values.get(control) is not None]
        if meta.encoder == encoder and meta.trained_on == data_hash(used):
            say(json.dumps({"control": control, "skipped": "trained on this data already"}))
            return None
    return recipe


if __name__ == "__main__":
    sys.exit(main())
