"""`quorum report`: quality and productivity of a campaign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from label_studio_quorum.commands.shared_options import (
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    PolicyOption,
    TeamOption,
    UrlOption,
    open_one,
    print_json,
)

if TYPE_CHECKING:
    from label_studio_quorum.adapters.label_studio import HttpLabelStudio

app = typer.Typer(add_completion=False)


@app.command()
def command(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="HTML page to write; it needs no network.")] = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    policy: PolicyOption = None,
    team: TeamOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the intervals' bootstrap.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Per person rows, hours, agreement and accuracy; per field agreement with its interval and what QA overturned."""
    from label_studio_quorum.campaign.learners import learners_of
    from label_studio_quorum.campaign.reconcile import decide_rows
    from label_studio_quorum.campaign.snapshot import Snapshot
    from label_studio_quorum.files import new_file
    from label_studio_quorum.quality.report import build

    if out is None and not as_json:
        raise typer.BadParameter("name a page to write, or give --json", param_hint="--out")
    opened = open_one(url, api_key, api_key_file, name, policy, team)
    kept = opened.port.kept_files(opened.campaign.name)
    with Snapshot.read(opened.port, opened.campaign) as snapshot:
        figures = build(
            opened.campaign,
            decide_rows(opened.campaign, snapshot, snapshot.row_ids),
            guidelines="" if kept is None else kept.guidelines,
            questions=() if kept is None else _questions(opened.port, opened.campaign.name),
            learners=learners_of(opened.port.plugin_status(opened.campaign.name)),
            seed=seed,
        )
    if out is not None:
        try:
            from label_studio_quorum.quality.report_page import render

            page = render(figures)
            with new_file(out) as fresh:
                fresh.write_text(page, encoding="utf-8")
        except OSError as error:
            typer.echo(f"{out}: {error.strerror}; choose another place for --out", err=True)
            raise typer.Exit(1) from None
    if as_json:
        print_json(figures)
    elif out is not None:
        typer.echo(f"{out}: {figures['rows']:,} rows, {len(figures['people'])} people")


def _questions(port: HttpLabelStudio, name: str) -> list[str]:
    """What people asked about rows; how many threads the server left off is said."""
    listed = port.plugin_threads(name)
    if listed["left_off"]:
        typer.echo(f"note: {listed['left_off']:,} more threads are in no figure of the guidelines", err=True)
    return [
        message["text"]
        for thread in listed["threads"]
        for message in thread["messages"]
        if message["kind"] == "question"
    ]
