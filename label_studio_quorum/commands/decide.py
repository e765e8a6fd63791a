"""`quorum decide`: row histories in, decisions out, one JSON line each."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Annotated

import typer

from label_studio_quorum.commands.json_lines import BadLine, dumps, loads, numbered_lines
from label_studio_quorum.commands.rule_files import load_rules
from review_rules import HistoryError, Policy, Team, decide, parse_history

app = typer.Typer(add_completion=False)


@app.command()
def command(
    policy: Annotated[Path, typer.Option(help="The policy file.", exists=True, dir_okay=False)],
    team: Annotated[Path, typer.Option(help="The team file.", exists=True, dir_okay=False)],
    file: Annotated[
        Path | None,
        typer.Argument(help="Histories, one JSON object a line; without it, or with -, standard input."),
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Nothing changes: the output is always JSON lines.")
    ] = False,
) -> None:
    """Decide row histories: what happens to each row next, and why.

    Findings inside the decisions leave exit 0. A line that is no history is one line on stderr and makes exit 1; the
    other lines are decided.
    """
    rules = load_rules(policy, team)
    # A pipe can't be told from no input, so that standard input is what is read when no file is named.
    if file is None or str(file) == "-":
        source: AbstractContextManager[IO[bytes]] = nullcontext(sys.stdin.buffer)
    elif file.is_dir() or not file.exists():
        raise typer.BadParameter(f"there is no file {file}")
    else:
        source = file.open("rb")
    try:
        with source as stream:
            refused = decide_lines(stream, sys.stdout.buffer, str(file or "-"), *rules)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads the output has had enough; without this, Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    if refused:
        raise typer.Exit(1)


def decide_lines(stream: IO[bytes], out: IO[bytes], name: str, policy: Policy, team: Team) -> int:
    """Decide each line of a stream; how many were refused."""
    # A decided row is freed by its reference count; looking for cycles every few rows takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000)
    refused = 0
    for number, line in numbered_lines(stream):
        try:
            history = parse_history(loads(line))
        except (BadLine, HistoryError) as error:
            refused += 1
            typer.echo(f"{name}:{number}: {error}. Write one history a line, as docs/rules.md shows.", err=True)
            continue
        out.write(dumps(decide(history, team, policy).to_json()))
    return refused
