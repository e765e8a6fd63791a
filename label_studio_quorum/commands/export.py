"""`quorum export`: gold, with the history that proves it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from label_studio_quorum.commands.shared_options import (
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    Opened,
    PolicyOption,
    TeamOption,
    UrlOption,
    open_one,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from label_studio_quorum.gold.formats import WriteReport
    from label_studio_quorum.gold.records import ExportTally

app = typer.Typer(add_completion=False)


OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="The same, as an option.")]


@app.command()
def command(
    file: Annotated[
        Path | None, typer.Argument(help="File or folder to write, whole or not at all; else JSONL to stdout.")
    ] = None,
    out: OutOption = None,
    form: Annotated[
        str | None, typer.Option("--format", help="jsonl, csv, xlsx, parquet, hf, …; else by the ending.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also rows that are not gold; each says whether it is.")
    ] = False,
    card: Annotated[bool, typer.Option("--card", help="Write a datasheet beside it.")] = False,
    guard: Annotated[
        bool, typer.Option("--guard", help="CSV: an apostrophe before what a spreadsheet would run.")
    ] = False,
    bom: Annotated[
        bool, typer.Option("--bom", help="CSV: begin with a byte order mark, so that Excel reads it as UTF-8.")
    ] = False,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    policy: PolicyOption = None,
    team: TeamOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export the rows that are provably final; with --all every row. The same state gives the same bytes."""
    if file is not None and out is not None:
        raise typer.BadParameter("name the file once", param_hint="--out")
    target = file or out
    # Standard output carries the rows, so nothing else can go there.
    if target is None and (as_json or card or form not in (None, "jsonl")):
        raise typer.BadParameter("only plain JSONL goes to stdout; name a file", param_hint="FILE")
    options = _Options(form=form, everything=everything, card=card, guard=guard, bom=bom)
    opened = open_one(url, api_key, api_key_file, name, policy, team)
    if target is not None:
        report, tally = _write(opened, target, options)
    else:
        # Whole or not at all holds for standard output too: nothing is printed before all rows are read.
        with TemporaryDirectory() as folder:
            whole = Path(folder) / "out.jsonl"
            report, tally = _write(opened, whole, options)
            with whole.open("rb") as lines:
                shutil.copyfileobj(lines, sys.stdout.buffer)
    problems, violating = tally.problems, dict(sorted(tally.violating.items()))
    for problem in problems:
        typer.echo(f"quorum: {problem}", err=True)
    from label_studio_quorum.gold.formats import CARRIES_HISTORY

    if as_json:
        about = {"checks": opened.campaign.checks.hash or None, "checks_violated": violating, "problems": problems}
        print_json({"campaign": opened.campaign.name, **report.to_json(), **about})
    else:
        for say, count in violating.items():
            rows = "final row violates" if count == 1 else "final rows violate"
            typer.echo(f"finding: {count:,} {rows} a check: {say}", err=True)
        for lint, count in report.lints.items():
            typer.echo(f"note: {lint} ({count:,})", err=True)
        kind = "rows" if everything else "gold rows"
        line = f"{target or 'stdout'}: {report.rows:,} {kind} as {report.format}, {report.left_out:,} left out"
        typer.echo(line, err=target is None)
        if report.format in CARRIES_HISTORY:
            typer.echo(f"seal: {report.seal} (note it elsewhere: quorum verify --seal)", err=target is None)
    raise typer.Exit(1 if problems else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    form: str | None
    everything: bool
    card: bool
    guard: bool
    bom: bool


def _write(opened: Opened, target: Path, options: _Options) -> tuple[WriteReport, ExportTally]:
    """Write the file; what it holds, and what is wrong with rows."""
    from label_studio_quorum.gold.formats import FORMATS, format_of, write
    from label_studio_quorum.gold.records import ExportTally, export_lines
    from label_studio_quorum.gold.thread_records import read_threads

    # Before the server is read, which may take minutes.
    if (options.form or format_of(target)) not in FORMATS:
        raise typer.BadParameter(f"which format? one of {', '.join(FORMATS)}", param_hint="--format")
    if options.bom and (options.form or format_of(target)) != "csv":
        raise typer.BadParameter("a byte order mark is for CSV alone", param_hint="--bom")
    campaign, tally = opened.campaign, ExportTally()
    threads = read_threads(opened.port, campaign.name, texts=campaign.policy.threads.texts_in_exports)
    if threads is None and options.card:
        typer.echo("note: a stock server keeps no threads, so none are in the records", err=True)
    about = {"name": campaign.name, "policy": campaign.policy.hash, "checks": campaign.checks.hash}
    try:
        with progress_bar("exporting") as (bar, row_bar):
            lines = export_lines(
                opened.port,
                campaign,
                tally=tally,
                progress=lambda done: bar.update(row_bar, completed=done),
                threads=threads.of_rows if threads else None,
            )
            report = write(
                lines,
                target,
                options.form,
                interface=campaign.interface,
                everything=options.everything,
                card=options.card,
                about=about | {"threads": threads.others if threads else None},
                guard=options.guard,
                bom=options.bom,
            )
    except OSError as error:
        typer.echo(f"{target}: {error.strerror}; choose another place", err=True)
        raise typer.Exit(1) from None
    return report, tally
