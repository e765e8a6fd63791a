"""`quorum agreement`: how well annotators agree, over a whole file of votes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from review_rules.agreement import Agreement, Figure, Kappa, agreement
from review_rules.bootstrap import DRAWS
from review_rules.votes import Kind, VoteFault, read_lengths, read_votes

app = typer.Typer(add_completion=False)

MEANINGS = {
    "percent": "share of rater pairs that give the same answer",
    "alpha.nominal": "Krippendorff's alpha: agreement beyond chance; 1 perfect, 0 chance",
    "alpha.ordinal": "Krippendorff's alpha, where near ranks count as near",
    "alpha.interval": "Krippendorff's alpha, where near numbers count as near",
    "alpha.masi": "Krippendorff's alpha, where sets that overlap count as near",
    "alpha.characters": "Krippendorff's alpha, each character a unit",
    "ac1": "Gwet's AC1: like alpha, steadier when one answer is frequent",
    "ac2": "Gwet's AC2: AC1 with partial credit for near ratings",
    "span_f1.strict": "spans with the same start, end and label",
    "span_f1.overlap": "spans of one label, by how much of them overlaps",
}
MOST_PAIRS = 20


@app.command()
def command(
    file: Annotated[
        str, typer.Argument(help="Votes, one JSON object a line: item_id, annotator, value. '-' is stdin.")
    ],
    kind: Annotated[Kind, typer.Option(help="What a value is.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    value_key: Annotated[str, typer.Option(help="The key that holds the vote.")] = "value",
    where: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE: only lines that have it; may be repeated.")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Items with their text (item_id, text), for alpha on characters."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    draws: Annotated[int, typer.Option(min=100, help="Resamples of the bootstrap.")] = DRAWS,
) -> None:
    """Measure inter-annotator agreement, each figure with its 95 % interval.

    Lines that cannot be read are named on stderr; the others count, and the exit code is 1.
    """
    lengths, bad_texts = _lengths(texts)
    with _lines(file) as lines:
        votes, faults = read_votes(lines, kind, value_key=value_key, where=_conditions(where), lengths=lengths)
    _tell(texts, bad_texts)
    _tell(file, faults)
    found = agreement(votes, seed=seed, draws=draws)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _show(found, seed=seed, draws=draws)
    raise typer.Exit(1 if faults or bad_texts else 0)


@contextmanager
def _lines(file: str) -> Iterator[Iterable[bytes]]:
    """Open a file of lines; '-' is stdin."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(file, "rb")  # noqa: SIM115 - the with below closes it; only opening may fail here
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}: name a file of votes", param_hint="FILE") from None
    with stream:
        yield stream


def _lengths(texts: Path | None) -> tuple[dict[str, int], tuple[VoteFault, ...]]:
    if texts is None:
        return {}, ()
    with _lines(str(texts)) as lines:
        return read_lengths(lines)


def _conditions(where: list[str] | None) -> dict[str, str]:
    pairs = [condition.partition("=") for condition in where or ()]
    if any(not key or not equals for key, equals, _ in pairs):
        raise typer.BadParameter("write KEY=VALUE, such as criterion=usefulness", param_hint="--where")
    return {key: value for key, _, value in pairs}


def _tell(file: str | Path | None, faults: tuple[VoteFault, ...]) -> None:
    for fault in faults:
        typer.echo(f"{'stdin' if file == '-' else file}: {fault}", err=True)


def _show(found: Agreement, *, seed: int, draws: int) -> None:
    console = Console()
    console.print(f"{found.items:,} items, {found.annotators:,} annotators, {found.ratings:,} ratings")
    table = Table("figure", Column("value", justify="right"), "95 % interval", "what it says")
    for name, figure in found.figures.items():
        table.add_row(name, *_cells(figure), MEANINGS[name])
    console.print(table)
    if found.kappa:
        _show_kappa(console, found.kappa)
    console.print(f"Intervals: percentile bootstrap over items, {draws:,} resamples, seed {seed}.", style="dim")


def _show_kappa(console: Console, kappa: tuple[Kappa, ...]) -> None:
    shared = sorted((pair for pair in kappa if pair.n), key=lambda pair: (pair.figure.value is None, pair.figure.value))
    table = Table(
        "annotators", Column("shared items", justify="right"), Column("kappa", justify="right"), "95 % interval"
    )
    for pair in shared[:MOST_PAIRS]:
        table.add_row(Text(f"{pair.a} – {pair.b}"), f"{pair.n:,}", *_cells(pair.figure))
    console.print(table)
    left = len(shared) - MOST_PAIRS
    apart = len(kappa) - len(shared)
    if left > 0:
        console.print(f"{left:,} pairs that agree more are left out (all with --json)", style="dim")
    if apart:
        console.print(f"{apart:,} pairs share no item", style="dim")


def _cells(figure: Figure) -> tuple[str, str]:
    if figure.value is None:
        return "–", str(figure.reason)
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}", str(figure.reason)
    return f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}"
