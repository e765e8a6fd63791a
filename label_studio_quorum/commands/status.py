"""`quorum status`: where every row of a campaign stands."""

from __future__ import annotations

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
    remembered,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from label_studio_quorum.campaign.learners import Learner
    from label_studio_quorum.campaign.status import Status

app = typer.Typer(add_completion=False)


@app.command()
def command(
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    policy: PolicyOption = None,
    team: TeamOption = None,
    imports: Annotated[bool, typer.Option("--imports", help="List the imports instead, with their rows.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Count rows by state and work by stage; with --json one object a campaign. Changes nothing."""
    from label_studio_quorum.campaign.importing import imports_of
    from label_studio_quorum.campaign.learners import learners_of
    from label_studio_quorum.campaign.returned import stock_lines
    from label_studio_quorum.campaign.served_version import serving_faults
    from label_studio_quorum.campaign.status import campaign_status

    names: list[str | None] = [name]
    # Without a name every campaign that this machine remembers is shown.
    if name is None and policy is None and team is None:
        names = [each.name for each in remembered() if url is None or each.url == url] or [None]
    for each in names:
        opened = open_one(url, api_key, api_key_file, each, policy, team)
        if imports:
            _show_imports(opened.campaign.name, imports_of(opened.port, opened.campaign), as_json)
            continue
        status = campaign_status(opened.port, opened.campaign)
        wrong = [str(fault) for fault in opened.port.server_faults(opened.campaign.name) if fault.stops]
        for warning in (*wrong, *status.without_row, *status.warnings):
            typer.echo(f"warning: {opened.campaign.name}: {warning}", err=True)
        if status.returned and opened.port.plugin_version() is None:
            for line in stock_lines(status.returned):
                typer.echo(f"warning: {opened.campaign.name}: {line}", err=True)
        for say, count in sorted(status.violating.items()):
            rows = "final row violates" if count == 1 else "final rows violate"
            typer.echo(f"finding: {opened.campaign.name}: {count:,} {rows} a check: {say}", err=True)
        for fault, cure in serving_faults(opened.port, opened.campaign):
            typer.echo(f"warning: {opened.campaign.name}: {fault}; {cure}", err=True)
        learners = learners_of(opened.port.plugin_status(opened.campaign.name))
        if as_json:
            more = {"people": [learner.to_json() for learner in learners]} if learners else {}
            print_json(status.to_json() | more)
        else:
            _show(status, learners)


def _show_imports(name: str, imports: dict[str, int], as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "imports": imports})
        return
    for import_id, rows in imports.items():
        typer.echo(f"{name}  {import_id}  {rows:>9,} rows")


def _show(status: Status, learners: Sequence[Learner]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console()
    done = sum(count for state, count in status.states.items() if state.value in ("FINAL", "DISCARDED"))
    share = f"{done / status.rows:.0%} done, " if status.rows else ""
    console.print(Text(f"{status.name}: {status.rows:,} rows, {share}{status.prelabelled:,} pre-labelled"))
    states = Table("state", Column("rows", justify="right"))
    for state, count in status.states.items():
        states.add_row(state.value, f"{count:,}")
    stages = Table("stage", Column("open", justify="right"), Column("submitted", justify="right"))
    for stage, work in status.stages.items():
        stages.add_row(stage.value, f"{work.open:,}", f"{work.submitted:,}")
    console.print(states)
    console.print(stages)
    if status.returned:
        rows = "1 row is" if len(status.returned) == 1 else f"{len(status.returned):,} rows are"
        people = ", ".join(sorted({person for row in status.returned for person in row.to}))
        console.print(Text(f"{rows} back with {people}, whom QA asked to look again"))
    if learners:
        numbers = (Column(title, justify="right") for title in ("practised", "practice hours"))
        standing = Table("person", "qualified for", *numbers)
        for learner in learners:
            practised = f"{learner.practised:,}", f"{learner.practice_hours:.2f}"
            standing.add_row(learner.id, learner.stands or "–", *practised)
        console.print(standing)
