"""From running servers to a campaign that people can work: accounts, projects, rows, queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import label_studio_quorum
from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.adapters.ml_backend import MLBackendClient
from label_studio_quorum.campaign.accounts import apply_team, keep_passwords
from label_studio_quorum.campaign.campaign_lock import locked
from label_studio_quorum.campaign.importing import CheckedFile, import_rows
from label_studio_quorum.campaign.launch import CampaignPlan, go_on, launch, plan_launch
from label_studio_quorum.campaign.local_files import plan_in_step
from label_studio_quorum.campaign.local_memory import remembered
from label_studio_quorum.campaign.planned_change import PlannedChange
from label_studio_quorum.campaign.projects import STAGES, Campaign, find_all, marker_of
from label_studio_quorum.campaign.qualification import practice_of, qualification_of
from label_studio_quorum.campaign.reconcile import reconcile
from label_studio_quorum.campaign.setup import NOT_CONNECTED
from label_studio_quorum.campaign.status import Status, campaign_status
from label_studio_quorum.files import FULL
from label_studio_quorum.intake import Options, UnreadableError
from label_studio_quorum.port import Json, MLConnection
from label_studio_quorum.servers.board import Board
from label_studio_quorum.servers.stack import Stack
from ls_config import interface as loader
from ls_config.interface import Interface, InterfaceError
from review_rules import FaultsError, Person, Policy, Role, Stage, load_policy, load_team
from review_rules.errors import PublicError

PEOPLE, CAMPAIGN = "People", "Campaign"
NOBODYS_EMAIL = "manager@quorum.localhost"


class PlanError(PublicError):
    """A campaign's files can't be used; one line a fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a campaign.

    Args:
        rows: Rows in any format that `quorum import` reads.
        team: The team file.
        policy: The policy file.
        task: A label type by name, or a folder with a `label.xml`.
        name: The campaign's name.
        mapping: Which column of the rows is taken for which field.
        reading: How the rows are read.
        renames: Field → label of until now → label of the interface that its answers are read as.
        repair: Whether projects that were lost are marked again, or made anew.
    """

    rows: Path
    team: Path
    policy: Path
    task: str
    name: str
    mapping: dict[str, str] | None = None
    reading: Options | None = None
    repair: bool = False
    renames: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """What `quorum up` brings up: a campaign, and the rows that go into it."""

    campaign: CampaignPlan
    rows: CheckedFile

    @property
    def owner_email(self) -> str:
        """The email of the server's owner: the team's manager, if it has one."""
        people = self.campaign.team.people.values()
        return next((person.email for person in people if Role.MANAGER in person.roles), NOBODYS_EMAIL)


@dataclass(frozen=True)
class Login:
    """A person of the team and how they log in; the password is None if only they know it."""

    person: Person
    password: str | None


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A campaign that people can work."""

    campaign: Campaign
    logins: list[Login]
    status: Status
    notes: list[str]
    planned: PlannedChange


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
def read_plan(files: Files) -> Iterator[StackPlan]:
    """Read and check every file before anything starts.

    Raises:
        PlanError: All faults of all files.
    """
    campaign = _read_campaign(files)
    with _rows(files, campaign.interface, campaign.policy) as rows:
        yield StackPlan(campaign=campaign, rows=rows)


def _read_campaign(files: Files) -> CampaignPlan:
    faults: list[str] = []
    policy_text, team_text = _text(files.policy, faults), _text(files.team, faults)
    policy = team = interface = None
    # Each file is read even where another is bad: whoever mends them wants to see all faults at once.
    with _collected(faults):
        policy = load_policy(policy_text, name=str(files.policy)) if policy_text is not None else None
    with _collected(faults):
        team = load_team(team_text, name=str(files.team)) if team_text is not None else None
    with _collected(faults):
        interface = loader.load(files.task)
    qualification: Json = {}
    practice: Json = {}
    if policy is not None and interface is not None:
        with _collected(faults):
            qualification = qualification_of(policy, files.policy.parent, interface)
        with _collected(faults):
            practice = practice_of(policy, files.policy.parent, interface)
    if faults or policy is None or team is None or interface is None or team_text is None or policy_text is None:
        raise PlanError(faults)
    return CampaignPlan(
        name=files.name,
        task=files.task,
        interface=interface,
        policy_file=files.policy,
        policy_text=policy_text,
        policy=policy,
        team_file=files.team,
        team_text=team_text,
        team=team,
        qualification=qualification,
        practice=practice,
        renames=files.renames,
        repair=files.repair,
    )


@contextmanager
def _collected(faults: list[str]) -> Iterator[None]:
    """Add the faults of a bad file to the list and go on."""
    try:
        yield
    except (FaultsError, InterfaceError) as error:
        faults += map(str, error.faults)


def _text(file: Path, faults: list[str]) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        faults.append(f"{file}: can't be read: {error.strerror}")
    except UnicodeDecodeError as error:
        faults.append(f"{file}: not UTF-8 (byte {error.start}); save it as UTF-8")
    return None


def _rows(files: Files, interface: Interface, policy: Policy) -> CheckedFile:
    try:
        checked = CheckedFile.read(
            files.rows, interface=interface, policy=policy, mapping=files.mapping, options=files.reading
        )
    except OSError as error:
        # The rows are stored on the disk while they are checked: the file itself can be read.
        if error.errno in FULL:
            raise
        raise PlanError([f"{files.rows}: can't be read: {error.strerror}"]) from None
    except UnreadableError as error:
        raise PlanError(str(error).splitlines()) from None
    if checked.errors:
        checked.close()
        raise PlanError([str(fault) for fault in checked.errors])
    return checked


def fill(
    stack: Stack,
    port: HttpLabelStudio,
    plan: StackPlan,
    board: Board,
    confirm: Callable[[PlannedChange], None] = go_on,
) -> Ready:
    """Make accounts, projects, rows and queues match the plan; what is there already stays.

    Args:
        stack: The running servers.
        port: Label Studio.
        plan: The campaign and its rows.
        board: Shows how far it has come.
        confirm: Told what changes in a campaign that is there, before anything does; raises to stop it.

    Raises:
        ServerError, CampaignError, PrelabelError, VisitError: A step was refused; running again goes on from there.
    """
    ml = MLConnection(url=stack.ml_url, user=stack.secrets.ml_user, password=stack.secrets.ml_password)
    memory = stack.folder.path
    campaign, apart = _in_step(port, plan.campaign, memory)

    def progress(done: int, total: int | None) -> None:
        board.say(CAMPAIGN, f"what the change of its files does: {done} of {total or '?'} rows")

    def ask(planned: PlannedChange) -> None:
        with board.paused():
            confirm(planned)

    is_known = port.plugin_campaign(campaign.name) is not None
    if not is_known:
        # Somebody whose address in the team file is new keeps the account on a server that knows them; here nobody is
        # known, so what a campaign that is there loses is said before any account is made.
        ask(plan_launch(port, campaign, memory=memory, progress=progress))
        board.say(PEOPLE, "making their accounts")
        apply_team(port, stack.url, campaign.team, stack.folder.passwords)
    board.say(CAMPAIGN, "setting its projects up")
    launched = launch(
        port,
        campaign,
        ml=ml,
        memory=memory,
        confirm=ask if is_known else go_on,
        progress=progress,
        say=lambda line: board.say(CAMPAIGN, line),
    )
    if is_known:
        keep_passwords(stack.folder.passwords, port.apply_team(campaign.name, campaign.team_text))
        port.settle(campaign.name)
    logins = [_login(stack, person) for person in campaign.team.people.values()]
    board.done(PEOPLE, f"{len(logins)} accounts")
    if launched.campaign is None:
        raise AssertionError("a launch that is no dry run makes the campaign")
    # A campaign that was there as it should be needs no word: whoever set it up has read the notes.
    # Nobody asked `quorum up` for a connection, and the rows get their pre-annotations below.
    notes = [note for note in launched.notes if note != NOT_CONNECTED] if launched.changes else []
    _import(port, launched.campaign, plan.rows, board, ml)
    board.say(CAMPAIGN, "filling the queues")
    report = reconcile(port, launched.campaign)
    status = campaign_status(port, launched.campaign)
    # What is gone is said at each start, also where nothing had to be changed.
    lost = [str(fault) for fault in port.server_faults(status.name) if fault.stops]
    board.done(CAMPAIGN, f"{status.name}: {status.rows} rows, {status.prelabelled} of them pre-labelled")
    return Ready(
        campaign=launched.campaign,
        logins=logins,
        status=status,
        notes=list(dict.fromkeys([*apart, *launched.apart, *notes, *lost, *report.problems])),
        planned=launched.planned,
    )


def _in_step(port: HttpLabelStudio, plan: CampaignPlan, folder: Path) -> tuple[CampaignPlan, list[str]]:
    """The plan by what the server goes by, if that was changed from elsewhere, and what to say of it."""
    kept, notes = port.kept_files(plan.name), list[str]()
    if kept is None:
        return plan, notes
    known = next((each for each in remembered(folder) if each.name == plan.name), None)
    return plan_in_step(plan, kept, known, notes.append), notes


def _login(stack: Stack, person: Person) -> Login:
    owner = stack.secrets.owner
    # The owner's account was made with the database, before there was a password file.
    if person.email == owner.email:
        return Login(person, owner.password or None)
    return Login(person, stack.folder.passwords.known(person.email))


def _import(port: HttpLabelStudio, campaign: Campaign, rows: CheckedFile, board: Board, ml: MLConnection) -> None:
    def progress(done: int) -> None:
        board.say(CAMPAIGN, f"importing and pre-labelling rows: {done} of {rows.rows}")

    progress(0)
    with (
        MLBackendClient(ml, campaign.interface, campaign.project(Stage.PASS)) as predictor,
        locked(port, campaign.name, "import", say=lambda line: board.say(CAMPAIGN, line)) as hold,
    ):
        import_rows(port, campaign, rows, predictor=predictor, is_alone=lambda: hold.is_alone, progress=progress)


def access(stack: Stack, port: HttpLabelStudio, ready: Ready) -> dict[str, Any]:
    """The content of `access.json`: how scripts reach the servers, the people and every campaign there."""
    owner = stack.secrets.owner
    return {
        "url": stack.url,
        "ml_url": stack.ml_url,
        "manager": {"email": owner.email, "password": owner.password, "token": owner.token},
        "people": [
            {
                "id": str(login.person.id),
                "email": login.person.email,
                "password": login.password,
                "roles": sorted(role.value for role in login.person.roles),
                "expertise": sorted(login.person.expertise),
            }
            for login in ready.logins
        ],
        "campaigns": _campaigns(port, ready),
    }


def _campaigns(port: HttpLabelStudio, ready: Ready) -> list[dict[str, Any]]:
    """This campaign first, then the others that the server holds."""
    campaigns = find_all(port.projects())
    names = [ready.campaign.name, *sorted(campaigns.keys() - {ready.campaign.name})]
    listed = []
    for name in names:
        stages = campaigns[name]
        # A campaign that lost a project cannot be worked until it is set up again.
        if any(stage not in stages for stage in STAGES):
            continue
        projects = {stage.value: stages[stage][0].id for stage in STAGES}
        pass_project = stages[Stage.PASS][0]
        rows = len({row_id for row_id, _ in port.notes(pass_project.id) if row_id})
        listed.append({"name": name, "task": marker_of(pass_project).task, "rows": rows, "projects": projects})
    return listed
