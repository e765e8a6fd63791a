"""`quorum demo`: a simulated team works the running campaign to the end."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any, NoReturn

import requests
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.campaign.local_memory import read_access, remembered
from label_studio_quorum.campaign.projects import Campaign, CampaignError, find_campaign, open_found
from label_studio_quorum.campaign.status import Status, campaign_status
from label_studio_quorum.commands import up
from label_studio_quorum.commands.shared_options import rule_files
from label_studio_quorum.commands.telling import told
from label_studio_quorum.gold.records import ExportTally, export_records
from label_studio_quorum.port import LabelStudio
from label_studio_quorum.servers.bring_up import example
from label_studio_quorum.servers.label_studio import is_up
from label_studio_quorum.servers.simulated_team import (
    DEFAULT_SKILL,
    Crew,
    Judge,
    Simulant,
    Values,
    load_truth,
)
from review_rules import State

app = typer.Typer(add_completion=False)

PATIENCE = 45.0  # seconds in which nobody is handed a task, after which open rows wait for somebody else
PAUSE = 1.0  # seconds between two looks
SPEAKER = "quorum demo"


@app.command()
def command(
    start: Annotated[
        bool, typer.Option("--start", help="Start quorum up if it isn't running, and keep running.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="The campaign (default: the first in access.json).")] = None,
    team: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its team file.")] = None,
    policy: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its policy file.")] = None,
    truth: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Right answers: JSON lines of row_id, values.")
    ] = None,
    skill: Annotated[list[str] | None, typer.Option(help="PERSON=SHARE of fields answered right; repeat.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another team.")] = 7,
    data_dir: Annotated[Path, typer.Option(envvar="QUORUM_DATA_DIR", help="Data folder of quorum up.")] = Path(
        ".quorum"
    ),
    ls_port: Annotated[int, typer.Option(envvar="QUORUM_LS_PORT", min=1, max=65535)] = 8080,
    ml_port: Annotated[int, typer.Option(envvar="QUORUM_ML_PORT", min=1, max=65535)] = 9090,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Work a campaign with simulated people of stated skill, by HTTP, until nothing is left to do.

    Each logs in with their own password, asks for tasks and submits forms as a browser does.
    """
    skills = _skills(skill or [])
    with told(SPEAKER):
        known = _truth(truth)

    def work(access: Mapping[str, Any]) -> None:
        with told(SPEAKER):  # inside `up.serve`, which would tell it as its own
            _work(access, name, team, policy, data_dir, Judge(known, seed), skills, as_json=as_json)

    running = _running(data_dir)
    try:
        if running is not None:
            work(running)
        elif start:
            up.serve(up.files(team=team, policy=policy, name=name), up.settings(ls_port, ml_port), data_dir, then=work)
        else:
            _fail(f"{data_dir}: nothing is running with this data folder; add --start, or start it with quorum up")
    except requests.RequestException as error:
        _fail(f"the server stopped answering ({type(error).__name__}); start it and run the demo again to go on")


def _skills(pairs: list[str]) -> dict[str, float]:
    """`["ana=0.8"]` → `{"ana": 0.8}`."""
    skills = {}
    for entry in pairs:
        person, _, share = entry.partition("=")
        try:
            skills[person] = float(share)
        except ValueError:
            raise typer.BadParameter(f"{entry}: write PERSON=SHARE, such as ana=0.85") from None
        # A share, not a percentage: 85 would be a person who is never wrong.
        if not 0 <= skills[person] <= 1:
            raise typer.BadParameter(f"{entry}: the share must be between 0 and 1")
    return skills


def _truth(file: Path | None) -> dict[str, Values]:
    """Right answers of the file given, else of the example."""
    file = file or example("truth.jsonl")
    return load_truth(file) if file.exists() else {}


def _running(data_dir: Path) -> dict[str, Any] | None:
    """What the access file says, if the server that it names answers."""
    with told(SPEAKER):
        # The file is there only while everything runs, unless the machine went down.
        access = read_access(data_dir)
    return access if access is not None and is_up(access["url"]) else None


def _work(
    access: Mapping[str, Any],
    name: str | None,
    team: Path | None,
    policy: Path | None,
    data_dir: Path,
    judge: Judge,
    skills: Mapping[str, float],
    *,
    as_json: bool,
) -> None:
    listed = {entry["name"]: entry for entry in access["campaigns"]}
    chosen = listed.get(name) if name else next(iter(listed.values()))
    if chosen is None:
        raise CampaignError(f"no campaign {name!r} in the access file (there: {', '.join(listed)})")
    port = HttpLabelStudio(access["url"], access["manager"]["token"])
    campaign = _campaign(port, chosen["name"], policy, team, data_dir)
    simulants = [_simulant(entry, skills) for entry in access["people"] if entry["password"]]
    began = monotonic()
    crew = Crew(access["url"], simulants, chosen["projects"], judge)
    status = _run(crew, port, campaign)
    _report(crew, port, campaign, status, monotonic() - began, as_json=as_json)


def _campaign(port: LabelStudio, name: str, policy: Path | None, team: Path | None, data_dir: Path) -> Campaign:
    """The campaign by the rules of its server; a stock one keeps none, so that they are read from the files."""
    place = find_campaign(port, name)
    if place.kept is None:
        known = next((each for each in remembered(data_dir) if each.name == name), None)
        policy = policy or (Path(known.policy) if known else example("policy.yaml"))
        team = team or (Path(known.team) if known else example("team.yaml"))
    return open_found(port, place, rule_files(policy, team))


def _simulant(account: Mapping[str, Any], skills: Mapping[str, float]) -> Simulant:
    """A person of the access file; without a stated skill, their best role's."""
    roles = frozenset(account["roles"])
    usual = max((share for role, share in DEFAULT_SKILL.items() if role in roles), default=0.0)
    return Simulant(
        id=account["id"],
        email=account["email"],
        password=account["password"],
        roles=roles,
        skill=skills.get(account["id"], usual),
    )


def _run(crew: Crew, port: LabelStudio, campaign: Campaign) -> Status:
    """Work round by round, until nothing is open, or nobody was handed anything for a while.

    What people submit opens tasks for others: at once with the plugin, some seconds later where `quorum sync --watch`
    or a job queue does it.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        line = progress.add_task("logging in")
        crew.log_in()
        latest = monotonic()
        while True:
            for _ in crew.work():
                progress.update(line, description=_so_far(crew.tally.submitted))
                latest = monotonic()
            status = campaign_status(port, campaign)
            # Rows may wait for somebody whom the team does not have; then nothing more comes.
            if not _open(status) or monotonic() - latest > PATIENCE:
                return status
            sleep(PAUSE)


def _open(status: Status) -> int:
    waiting = (State.AWAITING_PASSES, State.AWAITING_QA, State.AWAITING_EXPERT)
    return sum(status.states[state] for state in waiting)


def _so_far(submitted: Counter[str]) -> str:
    return "submitted: " + ", ".join(f"{submitted[stage]} {stage}" for stage in ("pass", "qa", "expert"))


def _report(
    crew: Crew,
    port: LabelStudio,
    campaign: Campaign,
    status: Status,
    seconds: float,
    *,
    as_json: bool,
) -> None:
    seen = ExportTally()
    changed = Counter(_changed_fields(list(export_records(port, campaign, tally=seen))))
    if as_json:
        result = {
            "campaign": campaign.name,
            "seconds": round(seconds, 1),
            "submitted": dict(crew.tally.submitted),
            "decisions": dict(crew.tally.decisions),
            "flags": dict(crew.tally.flags),
            "withdrawn": crew.tally.withdrawn,
            "status": status.to_json(),
            "gold": seen.gold,
            "changed_from_auto": dict(changed),
        }
        print(json.dumps(result), flush=True)
        return
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    table = Table("person", "roles", "stated skill", "submitted", box=None, pad_edge=False, title_justify="left")
    for person in crew.people:
        submitted = str(crew.tally.by_person[person.id])
        table.add_row(person.id, ", ".join(sorted(person.roles)), f"{person.skill:.3f}", submitted)
    out.print(f"\n{campaign.name}: worked in {seconds:.0f} s. {_so_far(crew.tally.submitted)}\n")
    out.print(table)
    out.print("\nrows: " + ", ".join(f"{count} {state.value}" for state, count in status.states.items() if count))
    out.print("review decisions: " + _counts(crew.tally.decisions) + "; flags: " + _counts(crew.tally.flags))
    if crew.tally.withdrawn:
        out.print(f"tasks withdrawn while somebody worked on them: {crew.tally.withdrawn}")
    out.print(f"gold: {seen.gold} of {seen.rows} rows; the auto-label was corrected in: " + _counts(changed))
    out.print("next: quorum status, quorum export, quorum report; the manager's page is at /quorum/\n")


def _changed_fields(records: list[dict[str, Any]]) -> list[str]:
    """The fields of gold rows whose final value is not the auto-label's, one entry a row and field."""
    return [
        field for record in records for field, value in record["final"]["values"].items() if value["changed_from_auto"]
    ]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counter.most_common()) or "none"


def _fail(text: str) -> NoReturn:
    for line in text.splitlines():
        print(f"quorum demo: {line}", file=sys.stderr)
    raise typer.Exit(1)
