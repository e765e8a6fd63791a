"""`quorum export`: gold, with the history that proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.campaigns import (
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    PolicyOption,
    TeamOption,
    UrlOption,
    open_one,
    print_json,
    progress_bar,
    told,
)

app = typer.Typer(add_completion=False)


@app.command()
def command(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File or folder to write; it appears only when it is whole.")
    ],
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
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    policy: PolicyOption = None,
    team: TeamOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export the rows that are provably final; with --all every row. The same state gives the same bytes."""
    from workflow.export import Tally, export_records
    from workflow.formats import FORMATS, format_of, write

    if (form or format_of(out)) not in FORMATS:
        raise typer.BadParameter(f"which format? one of {', '.join(FORMATS)}", param_hint="--format")
    with told():
        opened = open_one(url, api_key, api_key_file, name, policy, team)
        campaign, tally = opened.campaign, Tally()
        try:
            with progress_bar("exporting") as (bar, row_bar):
                report = write(
                    export_records(
                        opened.port,
                        campaign,
                        gold_only=False,
                        tally=tally,
                        progress=lambda done: bar.update(row_bar, completed=done),
                    ),
                    out,
                    form,
                    interface=campaign.interface,
                    everything=everything,
                    card=card,
                    about={"name": campaign.name, "policy": campaign.policy.hash, "rules": campaign.policy},
                    guard=guard,
                )
        except OSError as error:
            typer.echo(f"{out}: {error.strerror}; choose another place for --out", err=True)
            raise typer.Exit(1) from None
        except ImportError as error:
            typer.echo(f"quorum: {error}", err=True)
            raise typer.Exit(1) from None
    for problem in tally.problems:
        typer.echo(f"quorum: {problem}", err=True)
    if as_json:
        print_json({"campaign": campaign.name, **report.to_json(), "problems": tally.problems})
    else:
        for lint, count in report.lints.items():
            typer.echo(f"note: {lint} ({count:,})", err=True)
        kind = "rows" if everything else "gold rows"
        typer.echo(f"{out}: {report.rows:,} {kind} as {report.format}, {report.left_out:,} left out")
    raise typer.Exit(1 if tally.problems else 0)
