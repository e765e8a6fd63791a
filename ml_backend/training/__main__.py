"""`python -m ml_backend.training`: train heads, measure them by grouped cross-validation, write them with their cards."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_backend.config import read_models
from ml_backend.errors import ConfigError, LoadError
from ml_backend.heads import save_head
from ml_backend.models import Loader
from ml_backend.runtimes import default_threads
from ml_backend.settings import graph_cache
from ml_backend.training import cards, encode, recipes
from ml_backend.training.data import (
    DataError,
    Example,
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
        examples = _examples(args)
        config = read_models(args.models)
        loader = Loader(config, graph_cache(os.environ), args.threads or default_threads())
        train(loader, args.encoder, examples, args.only or list(recipes.RECIPES), args.out)
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
    parser.add_argument("--only", nargs="*", choices=list(recipes.RECIPES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int)
    return parser.parse_args(argv)


def _examples(args: argparse.Namespace) -> list[Example]:
    found: list[Example] = []
    if args.gold:
        found += read_gold(args.gold)
    if args.examples:
        found += read_examples(args.examples)
    if args.data:
        found += public(args.data)
    if not found:
        raise DataError("no data: give --gold, --examples or --data")
    return found


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


def train(loader: Loader, encoder: str, examples: Sequence[Example], controls: Sequence[str], out: Path) -> None:
    """Train and write one head and one card a control."""
    model, sha256 = loader.encoder(encoder)
    texts = {text for e in examples if set(e.values) - {"entities"} for text in (e.context, e.query, e.response)} | {""}
    known = encode.vectors(model, sorted(texts)) if set(controls) - {"entities"} else {}
    tagged = (
        list(dict.fromkeys(e.response for e in examples if "entities" in e.values)) if "entities" in controls else []
    )
    tokens = dict(zip(tagged, encode.tokens(model, tagged), strict=True))
    out.mkdir(parents=True, exist_ok=True)
    for control in controls:
        recipe = recipes.RECIPES[control]
        if not any(control in one.values for one in examples):
            print(f"{control}: no data, no head", file=sys.stderr)
            continue
        trained = recipes.train(recipe, examples, known, tokens, sha256)
        table = recipes.figures(recipe, trained)
        save_head(out / f"{control}.head", trained.head.meta, trained.head.arrays)
        (out / f"{control}.md").write_text(cards.card(recipe, trained, table), encoding="utf-8")
        print(
            json.dumps({"control": control, "strength": trained.strength, "missing": trained.missing, **table["all"]})
        )


if __name__ == "__main__":
    sys.exit(main())
