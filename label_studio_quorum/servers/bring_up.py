"""From running servers to a campaign that people can work: accounts, projects, rows, queues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import label_studio_quorum
from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.adapters.ml_backend import MLBackendClient
from label_studio_quorum.campaign.accounts import apply_team
from label_studio_quorum.campaign.importing import CheckedFile, import_rows
from label_studio_quorum.campaign.local_memory import Remembered, remember
from label_studio_quorum.campaign.projects import STAGES, Campaign, find_all, marker_of
from label_studio_quorum.campaign.qualification import qualification_of
from label_studio_quorum.campaign.reconcile import reconcile
from label_studio_quorum.campaign.setup import CampaignSpec, WebhookTarget, setup_campaign
from label_studio_quorum.campaign.status import Status, campaign_status
from label_studio_quorum.intake import UnreadableError
from label_studio_quorum.port import Json, MLConnection
from label_studio_quorum.servers.board import Board
from label_studio_quorum.servers.stack import Stack
from ls_config import interface as loader
from ls_config.interface import Interface, InterfaceError
from review_rules import FaultsError, Person, Policy, Role, Team, load_policy, load_team

PEOPLE, CAMPAIGN = "People", "Campaign"
NOBODYS_EMAIL = "manager@quorum.localhost"


class PlanError(Exception):
    """A campaign's files can't be used; one line a fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a campaign.

    Args:
        rows: Rows in any format that `quorum import` reads.
        team: The team file.
        policy: The policy file.
        task: A label type by name, or a folder with a `label.xml`.
        name: The campaign's name.
    """

    rows: Path
    team: Path
    policy: Path
    task: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A campaign whose files were read and found good."""

    name: str
    files: Files
    interface: Interface
    policy: Policy
    team: Team
    team_text: str
    policy_text: str
    qualification: Json
    rows: CheckedFile

    @property
    def owner_email(self) -> str:
        """The email of the server's owner: the team's manager, if it has one."""
        managers = [person.email for person in self.team.people.values() if Role.MANAGER in person.roles]
        return managers[0] if managers else NOBODYS_EMAIL


@dataclass(frozen=True)
class Account:
    """A person of the team and how they log in; the password is None if only they know it."""

    person: Person
    password: str | None


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A campaign that people can work."""

    campaign: Campaign
    accounts: list[Account]
    status: Status
    notes: list[str]


def example(file: str) -> Path:
    """A file of the campaign that comes with Quorum.

    Raises:
        PlanError: This installation lacks it.
    """
    package = Path(label_studio_quorum.__file__).parent
    # A wheel carries the files inside the package; a checkout has them at its top.
    for folder in (package / "examples", package.parent / "examples"):
        if (folder / file).is_file():
            return folder / file
    raise PlanError(["examples: not installed here; name your own files with --rows, --team and --policy"])


@contextmanager
def read_plan(files: Files) -> Iterator[Plan]:
    """Read and check every file before anything starts.

    Raises:
        PlanError: All faults of all files.
    """
    faults: list[str] = []
    policy_text, team_text = _text(files.policy, faults), _text(files.team, faults)
    policy = team = interface = None
    try:
        policy = load_policy(policy_text, name=str(files.policy)) if policy_text is not None else None
    except FaultsError as error:
        faults += map(str, error.faults)
    try:
        team = load_team(team_text, name=str(files.team)) if team_text is not None else None
    except FaultsError as error:
        faults += map(str, error.faults)
    try:
        interface = loader.load(files.task)
    except InterfaceError as error:
        faults += error.faults
    qualification: Json = {}
    if policy is not None and interface is not None:
        try:
            qualification = qualification_of(policy, files.policy.parent, interface)
        except FaultsError as error:
            faults += map(str, error.faults)
    if faults or policy is None or team is None or interface is None or team_text is None or policy_text is None:
        raise PlanError(faults)
    with _rows(files.rows, interface, policy) as rows:
        yield Plan(
            name=files.name,
            files=files,
            interface=interface,
            policy=policy,
            team=team,
            team_text=team_text,
            policy_text=policy_text,
            qualification=qualification,
            rows=rows,
        )


def _text(file: Path, faults: list[str]) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        faults.append(f"{file}: can't be read: {error.strerror}")
    except UnicodeDecodeError as error:
        faults.append(f"{file}: not UTF-8 (byte {error.start}); save it as UTF-8")
    return None


def _rows(file: Path, interface: Interface, policy: Policy) -> CheckedFile:
    try:
        checked = CheckedFile.read(file, interface=interface, policy=policy)
    except OSError as error:
        raise PlanError([f"{file}: can't be read: {error.strerror}"]) from None
    except UnreadableError as error:
        raise PlanError(str(error).splitlines()) from None
    if checked.errors:
        raise PlanError([str(fault) for fault in checked.errors])
    return checked


def fill(stack: Stack, port: HttpLabelStudio, plan: Plan, board: Board, webhook: WebhookTarget | None = None) -> Ready:
    """Make accounts, projects, rows and queues match the plan; what is there already stays.

    Raises:
        ServerError, CampaignError, PrelabelError, VisitError: A step was refused; running again goes on from there.
    """
    board.say(PEOPLE, "making their accounts")
    apply_team(port, stack.url, plan.team, stack.folder.passwords)
    accounts = [_account(stack, person) for person in plan.team.people.values()]
    board.done(PEOPLE, f"{len(accounts)} accounts")
    ml = MLConnection(url=stack.ml_url, user=stack.secrets.ml_user, password=stack.secrets.ml_password)
    spec = CampaignSpec(
        name=plan.name, interface=plan.interface, policy=plan.policy, team=plan.team, ml=ml, webhook=webhook
    )
    board.say(CAMPAIGN, "setting its projects up")
    made = setup_campaign(port, spec)
    if made.campaign is None:
        raise AssertionError("a set-up that is no dry run makes the campaign")
    _remember(stack, plan.files)
    notes = list(made.notes) if made.changes else []
    if stack.settings.plugin:
        projects = {stage.value: project.id for stage, project in made.campaign.projects.items()}
        task = plan.interface.name
        port.tell_plugin(
            plan.name,
            task=task,
            policy=plan.policy_text,
            team=plan.team_text,
            projects=projects,
            qualification=plan.qualification,
        )
    _import(stack, port, made.campaign, plan, board, ml)
    board.say(CAMPAIGN, "filling the queues")
    report = reconcile(port, made.campaign)
    status = campaign_status(port, made.campaign)
    board.done(CAMPAIGN, f"{plan.name}: {status.rows} rows, {status.prelabelled} of them pre-labelled")
    return Ready(campaign=made.campaign, accounts=accounts, status=status, notes=[*notes, *report.problems])


def _remember(stack: Stack, files: Files) -> None:
    """Write down where the campaign is, so that `quorum status`, `export` and the others need not be told."""
    own = Path(files.task)
    task = str(own.absolute()) if own.exists() else files.task
    paths = {"policy": str(files.policy.absolute()), "team": str(files.team.absolute())}
    remember(Remembered(name=files.name, url=stack.url, task=task, **paths), stack.folder.path)


def _account(stack: Stack, person: Person) -> Account:
    owner = stack.secrets.owner
    if person.email == owner.email:
        return Account(person, owner.password)
    return Account(person, stack.folder.passwords.known(person.email))


def _import(
    stack: Stack, port: HttpLabelStudio, campaign: Campaign, plan: Plan, board: Board, ml: MLConnection
) -> None:
    def progress(done: int) -> None:
        board.say(CAMPAIGN, f"importing and pre-labelling rows: {done} of {plan.rows.rows}")

    progress(0)
    with MLBackendClient(ml, campaign.interface, campaign.project(STAGES[0])) as predictor:
        import_rows(port, campaign, plan.rows, predictor=predictor, progress=progress)


def access(stack: Stack, port: HttpLabelStudio, ready: Ready) -> dict[str, Any]:
    """The content of `access.json`: how scripts reach the servers, the people and every campaign there."""
    owner = stack.secrets.owner
    return {
        "url": stack.url,
        "ml_url": stack.ml_url,
        "manager": {"email": owner.email, "password": owner.password, "token": owner.token},
        "people": [
            {
                "id": str(account.person.id),
                "email": account.person.email,
                "password": account.password,
                "roles": sorted(role.value for role in account.person.roles),
                "expertise": sorted(account.person.expertise),
            }
            for account in ready.accounts
        ],
        "campaigns": _campaigns(port, ready),
    }


def _campaigns(port: HttpLabelStudio, ready: Ready) -> list[dict[str, Any]]:
    """This campaign first, then the others that the server holds."""
    found = find_all(port.projects())
    names = [ready.campaign.name, *sorted(found.keys() - {ready.campaign.name})]
    listed = []
    for name in names:
        stages = found[name]
        if any(stage not in stages for stage in STAGES):
            continue
        projects = {stage.value: stages[stage][0].id for stage in STAGES}
        first = stages[STAGES[0]][0]
        rows = len({row_id for row_id, _ in port.notes(first.id) if row_id})
        listed.append({"name": name, "task": marker_of(first).task, "rows": rows, "projects": projects})
    return listed
