"""`quorum agreement`: how well annotators agree, over a whole file of votes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from review_rules.statistics.aggregation import Method, second_opinion
from review_rules.statistics.agreement import FIGURES, Agreement, Figure, Kappa, agreement
from review_rules.statistics.bootstrap import DRAWS
from review_rules.statistics.stopping import Checks, RowsNeeded, read_reviewed, remaining_error, rows_needed
from review_rules.statistics.votes import VoteFault, VoteKind, Votes, read_lengths, read_votes

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
    kind: Annotated[VoteKind, typer.Option(help="What a value is.")],
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
    target_half_width: Annotated[
        float | None,
        typer.Option(help="Say how many more doubly labelled rows bring alpha's interval to ± this (0.05)."),
    ] = None,
    figure: Annotated[str | None, typer.Option(help="The figure for --target-half-width, if not alpha.")] = None,
    second: Annotated[
        Path | None,
        typer.Option(
            "--second-opinion",
            dir_okay=False,
            help="Write what majority, Dawid-Skene and one-coin make of each item; ties are for QA.",
        ),
    ] = None,
    reviewed: Annotated[
        Path | None,
        typer.Option(help="Decisions or an export (JSON lines): estimate the share of final labels still wrong."),
    ] = None,
    qa_checks: Annotated[
        str | None,
        typer.Option(metavar="MISSED/SEEN", help="Labels known to be wrong that QA was given, and let pass: 3/120."),
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
    measured = agreement(votes, seed=seed, draws=draws)
    rows = None if target_half_width is None else _rows_needed(votes, target_half_width, figure, seed=seed, draws=draws)
    errors, bad_decisions = _remaining_errors(reviewed, qa_checks, seed=seed)
    opinion = None if second is None else _second_opinion(votes, second)
    if as_json:
        more = {"stopping": rows and rows.to_json(), "remaining_error": errors, "second_opinion": opinion}
        typer.echo(json.dumps(measured.to_json() | {key: value for key, value in more.items() if value is not None}))
    else:
        _show(measured, seed=seed, draws=draws)
        _show_more(rows, errors, opinion)
    raise typer.Exit(1 if faults or bad_texts or bad_decisions else 0)


@contextmanager
def _lines(file: str) -> Iterator[Iterable[bytes]]:
    """Open a file of lines; '-' is stdin."""
    # Standard input is nobody's to close.
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


def _rows_needed(votes: Votes, target: float, figure: str | None, *, seed: int, draws: int) -> RowsNeeded:
    # Written so that NaN is refused too.
    if not target > 0:
        raise typer.BadParameter("a half width is above 0, such as 0.05", param_hint="--target-half-width")
    # Which figures there are depends on the kind of votes, so that no list of choices can say it.
    if figure is not None and figure not in FIGURES[votes.kind]:
        names = ", ".join(FIGURES[votes.kind])
        raise typer.BadParameter(f"{votes.kind} has {names}", param_hint="--figure")
    return rows_needed(votes, target, figure=figure, seed=seed, draws=draws)


def _remaining_errors(reviewed: Path | None, checks: str | None, *, seed: int) -> tuple[dict[str, Any] | None, bool]:
    """Estimate the errors left, by field; also say whether a line could not be read."""
    if reviewed is None:
        return None, False
    with _lines(str(reviewed)) as lines:
        counts, faults = read_reviewed(lines)
    _tell(reviewed, faults)
    known = _checks(checks)
    estimates = {name: remaining_error(count, known, seed=seed).to_json() for name, count in counts.items()}
    return estimates, bool(faults)


def _checks(text: str | None) -> Checks | None:
    if text is None:
        return None
    try:
        missed, seen = map(int, text.split("/"))
        return Checks(seen=seen, missed=missed)
    except ValueError:
        raise typer.BadParameter("write MISSED/SEEN, such as 3/120", param_hint="--qa-checks") from None


def _second_opinion(votes: Votes, out: Path) -> dict[str, Any]:
    """Write one JSON line an item; return the summary."""
    try:
        opinion = second_opinion(votes)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--second-opinion") from None
    rows = opinion.rows()
    try:
        out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}", param_hint="--second-opinion") from None
    to_qa = sum(row["to_qa"] is not None for row in rows)
    return {"file": str(out), "items": len(rows), "to_qa": to_qa, "annotators": opinion.annotators()}


def _show(measured: Agreement, *, seed: int, draws: int) -> None:
    console = Console()
    console.print(f"{measured.items:,} items, {measured.annotators:,} annotators, {measured.ratings:,} ratings")
    table = Table("figure", Column("value", justify="right"), "95 % interval", "what it says")
    for name, figure in measured.figures.items():
        table.add_row(name, *_cells(figure), MEANINGS[name])
    console.print(table)
    if measured.kappa:
        _show_kappa(console, measured.kappa)
    if measured.pairs_apart:
        console.print(f"{measured.pairs_apart:,} pairs share no item", style="dim")
    console.print(f"Intervals: percentile bootstrap over items, {draws:,} resamples, seed {seed}.", style="dim")


def _show_kappa(console: Console, kappa: tuple[Kappa, ...]) -> None:
    """Show the pairs that agree least, of those that share enough items to say so."""
    # Where no pair shares enough items for an interval, all are shown after all.
    telling = [pair for pair in kappa if pair.figure.low is not None] or list(kappa)
    # Pairs without a value last: they tell nothing.
    telling.sort(key=lambda pair: (pair.figure.value is None, pair.figure.value))
    table = Table(
        "annotators", Column("shared items", justify="right"), Column("kappa", justify="right"), "95 % interval"
    )
    for pair in telling[:MOST_PAIRS]:
        table.add_row(Text(f"{pair.a} – {pair.b}"), f"{pair.n:,}", *_cells(pair.figure))
    console.print(table)
    left = len(kappa) - min(len(telling), MOST_PAIRS)
    if left:
        console.print(f"{left:,} pairs that agree more or share few items are left out (all with --json)", style="dim")


def _show_more(rows: RowsNeeded | None, errors: dict[str, Any] | None, opinion: dict[str, Any] | None) -> None:
    console = Console()
    if rows is not None:
        console.print(_say_rows(rows))
    for name, error in (errors or {}).items():
        if error["value"] is None:
            text = f"not known: {error['reason']}"
        else:
            text = f"{error['value']:.2%} ({error['low']:.2%} to {error['high']:.2%}) of {error['rows']:,} final rows"
        console.print(Text(f"Still wrong in {name}, by {error['method']}: {text}"))
        console.print(Text(f"  if {error['assumes']}"), style="dim")
    if opinion is not None:
        console.print(
            Text(f"Second opinion in {opinion['file']}: {opinion['to_qa']:,} of {opinion['items']:,} items for QA")
        )
        table = Table("annotator", Column("votes", justify="right"), *(Column(m, justify="right") for m in Method))
        for person in opinion["annotators"]:
            accuracy = (f"{person['accuracy'][method]:.3f}" for method in Method)
            table.add_row(Text(str(person["annotator"])), f"{person['votes']:,}", *accuracy)
        console.print(table)
        console.print("Accuracy: expected share of right votes, if the method is right.", style="dim")


def _say_rows(rows: RowsNeeded) -> str:
    if rows.needed is None:
        return f"{rows.figure}: cannot say how many rows ± {rows.target:g} needs: {rows.reason}"
    now = f"{rows.figure} is known to ± {rows.half_width:.3f} from {rows.rows:,} rows with two ratings"
    more = f"; ± {rows.target:g} needs {rows.more:,} more" if rows.more else f", within ± {rows.target:g}"
    return now + more + (f" ({rows.reason})" if rows.reason else "")


def _cells(figure: Figure) -> tuple[str, str]:
    if figure.value is None:
        return "–", str(figure.reason)
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}", str(figure.reason)
    return f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}"
