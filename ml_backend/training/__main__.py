"""`python -m ml_backend.training` trains heads or whole networks, measures them, and writes them with cards."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ml_backend.config import read_models
from ml_backend.errors import ConfigError, LoadError
from ml_backend.heads import load_head, save_head
from ml_backend.models import Loader
from ml_backend.runtimes import default_threads
from ml_backend.settings import graph_cache
from ml_backend.sources import sha256_of
from ml_backend.training import PACKAGES, cards, encode, recipes
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
from review_rules import extras
from review_rules.errors import MissingExtra

NOTHING = "no values that could be learned"
DONE = "trained on this data already"


def main(argv: list[str] | None = None) -> int:
    """Train what the arguments name; exit 1 if data or encoder can't be used."""
    args = _arguments(argv)
    try:
        run(
            args.models, args.encoder, args.out, gold=args.gold, examples=args.examples, data=args.data, only=args.only,
            again=args.again, full=args.full, say=print, note=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
    except (ConfigError, LoadError, MissingExtra, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    from ml_backend.config import DEFAULT_MODELS

    parser = argparse.ArgumentParser(prog="python -m ml_backend.training")
    parser.add_argument("--models", type=Path, default=DEFAULT_MODELS, help="models file that names the encoder")
    parser.add_argument("--encoder", help="an encoder of the models file; else its only one")
    parser.add_argument("--gold", type=Path, help="gold export (JSON Lines)")
    parser.add_argument("--examples", type=Path, help="folder with rows.jsonl and truth.jsonl")
    parser.add_argument("--data", type=Path, help="folder with responses_dev.jsonl, domain_text_dev.jsonl, …")
    parser.add_argument("--only", nargs="*", help="controls to train")
    parser.add_argument("--again", action="store_true", help="train also what was trained on this data already")
    parser.add_argument("--full", action="store_true", help="fine-tune the whole encoder, one network a control")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def run(
    models: Path,
    encoder: str | None,
    out: Path,
    *,
    gold: Path | None,
    examples: Path | None,
    data: Path | None,
    only: Sequence[str] | None,
    again: bool,
    full: bool,
    say: Callable[[str], object],
    note: Callable[[str], object],
) -> None:
    """Train and write one head, or one fine-tuned network, and one card for each control that the data has values for.

    Args:
        models: models file that names `encoder`, or has one only.
        out: folder for heads and cards; what was trained there on the same data is kept, so that a run that was
            stopped goes on.
        again: train that too.
        full: fine-tune the whole encoder for each control, instead of a head on the frozen one.
        say: told one line of JSON a control.
        note: told how a long training gets on.

    Raises:
        MissingExtra: the packages that training needs are not installed; nothing was done.
        ConfigError, LoadError, DataError: the models file, the encoder or the data can't be used.
    """
    extras.require("training", *PACKAGES)
    rows = [
        *(read_gold(gold) if gold else []),
        *(read_examples(examples) if examples else []),
        *(public(data) if data else []),
    ]
    if not rows:
        raise DataError("no data: give --gold, --examples or --data")
    controls = list(only) if only else sorted({name for example in rows for name in example.values})
    loader = Loader(read_models(models), graph_cache(os.environ), default_threads())
    encoder = encoder or _only_encoder(loader)
    out.mkdir(parents=True, exist_ok=True)
    if full:
        train_full(loader, encoder, rows, controls, out, again=again, say=say, note=note)
    else:
        train(loader, encoder, rows, controls, out, again=again, say=say)


def _only_encoder(loader: Loader) -> str:
    names = list(loader.config.encoders)
    if len(names) != 1:
        choice = f"its encoders are {', '.join(names)}" if names else "it has none under `encoders`"
        raise LoadError(f"{loader.config.path}: which encoder is to be trained? {choice}; give --encoder")
    return names[0]


def public(folder: Path) -> list[Example]:
    """Read everything in a folder of public data that a label map exists for."""
    return [
        *read_responses(folder / "responses_dev.jsonl"),
        *read_squality(folder / "multi_rating_squality_items_dev.jsonl", folder / "multi_rating_squality_dev.jsonl"),
        *(
            example
            for name in ("domain_ner_technical_dev", "domain_ner_finance_dev", "multi_span_btc_items_dev")
            for example in read_entities(folder / f"{name}.jsonl")
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
    vectors = encode.vectors(model, sorted(texts)) if rows else {}
    spans = [recipe.control for recipe in todo if recipe.task == "spans"]
    # Token features are large: only the texts that a tagger learns from get them, each once.
    tagged = list(dict.fromkeys(e.response for e in examples if any(name in e.values for name in spans)))
    tokens = dict(zip(tagged, encode.tokens(model, tagged), strict=True))
    for recipe in todo:
        trained = recipes.train(recipe, examples, vectors, tokens, sha256)
        path = out / f"{recipe.control}.head"
        binding = f'{{predictor: encoder_head, encoder: {encoder}, head: "{_source(path, loader)}"}}'
        _tell(recipe, trained, out, binding, say)
        # After the card: a head that is there counts as trained, so a run that stops between the two writes both again.
        save_head(path, trained.head.meta, trained.head.arrays)


def train_full(
    loader: Loader,
    encoder: str,
    examples: Sequence[Example],
    controls: Sequence[str],
    out: Path,
    *,
    again: bool,
    say: Callable[[str], object],
    note: Callable[[str], object],
) -> None:
    """Fine-tune and write one network and one card a control; see `run`."""
    from ml_backend.training import finetune

    folder = loader.resolve(loader.config.encoders[encoder].source)
    plan = finetune.TrainingPlan()
    for control in controls:
        recipe = recipes.recipe_for(control, _values(control, examples))
        if recipe is None:
            say(json.dumps({"control": control, "skipped": NOTHING}))
            continue
        trained = finetune.finetune(
            recipe, examples, folder, sha256_of(folder), out / control, plan, again=again, note=note
        )
        if trained is None:
            say(json.dumps({"control": control, "skipped": DONE}))
        else:
            _tell(recipe, trained, out, finetune.binding(recipe, plan, _source(out / control, loader)), say)


def _tell(
    recipe: recipes.Recipe, trained: recipes.Trained, out: Path, binding: str, say: Callable[[str], object]
) -> None:
    """Write the card, and say the figures over all rows."""
    table = recipes.figures(recipe, trained)
    (out / f"{recipe.control}.md").write_text(cards.card(recipe, trained, table, binding), encoding="utf-8")
    about = {"control": recipe.control, "strength": trained.strength, "missing": trained.missing, "binding": binding}
    say(json.dumps(about | table["all"]))


def _source(path: Path, loader: Loader) -> str:
    """Return how a models file names the path: relative to itself where that is below it."""
    target, base = path.resolve(), loader.config.path.parent.resolve()
    # A relative source survives a move of the folder; one elsewhere can only be absolute.
    return f"path:{target.relative_to(base) if target.is_relative_to(base) else target}"


def _values(control: str, examples: Sequence[Example]) -> list[Any]:
    return [example.values[control] for example in examples if example.values.get(control) is not None]


def _todo(
    control: str, examples: Sequence[Example], encoder: str, out: Path, *, again: bool, say: Callable[[str], object]
) -> recipes.Recipe | None:
    """Return how to train a control; None if there is nothing to learn from, or it was learned already."""
    recipe = recipes.recipe_for(control, _values(control, examples))
    if recipe is None:
        say(json.dumps({"control": control, "skipped": NOTHING}))
        return None
    head = out / f"{control}.head"
    if not again and head.exists():
        meta = load_head(head).meta
        rows = [example for example in examples if example.values.get(control) is not None]
        # New gold or another encoder gives another head; equal ones would give the same again.
        if meta.encoder == encoder and meta.trained_on == data_hash(rows):
            say(json.dumps({"control": control, "skipped": DONE}))
            return None
    return recipe


if __name__ == "__main__":
    sys.exit(main())
