"""A campaign: three projects on a Label Studio server that find each other by a line in their descriptions.

The line is the only thing that ties them together, so that any machine with a key can go on where another stopped.
People may rename the projects and write into their descriptions; they may not remove the line.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Final

from label_studio_quorum.campaign.differences import (
    differing_policy,
    differing_team,
    interface_digest,
    short,
    team_digest,
)
from label_studio_quorum.port import Json, KeptFiles, LabelStudio, Project, User
from ls_config import interface as loader
from ls_config.interface import Interface
from review_rules import FaultsError, Person, Policy, Stage, Team, load_policy, load_team
from review_rules.errors import PublicError
from review_rules.files.checks import FieldChecks, load_checks

PREFIX: Final = "quorum:"
STAGES: Final = tuple(Stage)
AUTO_LABEL: Final = "auto-label"
"""`model_version` that pre-fills the Pass project; Label Studio serves one version a project."""
PROPOSAL: Final = "quorum-proposal"
"""`model_version` that pre-fills the QA and Expert projects."""
SERVED: Final = {Stage.PASS: AUTO_LABEL, Stage.QA: PROPOSAL, Stage.EXPERT: PROPOSAL}
"""The one version that each stage's forms are filled from."""
PUTS: Final = {
    "policy": "quorum setup",
    "team": "quorum team apply",
    "interface": "quorum setup",
    "guidelines": "quorum setup",
    "checks": "quorum setup",
}
"""What puts a file on the server, by kind."""
_STRANGER: Final = "user:"


class CampaignError(PublicError):
    """A campaign cannot be found or used; the message says why, the hint what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class OtherFileError(CampaignError):
    """A file that was named or remembered is not what the campaign's server goes by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Marker:
    """What the line in a project's description says.

    Attributes:
        campaign: The campaign's name.
        stage: The project's stage.
        task: The label type's name.
        policy: The policy's hash.
        team: The hash of all that the team file says; empty in a campaign of before there was this key.
        interface: The hash of interface and guidelines; empty in the same way.
    """

    campaign: str
    stage: Stage
    task: str
    policy: str
    team: str = ""
    interface: str = ""

    def line(self) -> str:
        """The line itself.

        >>> Marker(campaign="c", stage=Stage.QA, task="ner", policy="sha256:0").line()
        'quorum:{"campaign": "c", "stage": "qa", "task": "ner", "policy": "sha256:0"}'
        """
        parts = {key: value for key, value in asdict(self).items() if value or key not in ("team", "interface")}
        return PREFIX + json.dumps(parts | {"stage": self.stage.value}, ensure_ascii=False)


def read_marker(description: str) -> Marker | None:
    """The marker in a project's description, None if there is no valid one.

    >>> read_marker("Our notes.\\n" + Marker(campaign="c", stage=Stage.QA, task="ner", policy="p").line()).stage.value
    'qa'
    >>> read_marker("quorum:{broken") is None
    True
    """
    # The last line counts: people may have copied a marker into their notes above it.
    for line in reversed(description.splitlines()):
        if line.strip().startswith(PREFIX):
            try:
                parts = json.loads(line.strip().removeprefix(PREFIX))
                return Marker(
                    campaign=str(parts["campaign"]),
                    stage=Stage.named(parts["stage"]),
                    task=str(parts["task"]),
                    policy=str(parts["policy"]),
                    team=str(parts.get("team", "")),
                    interface=str(parts.get("interface", "")),
                )
            except (ValueError, KeyError, TypeError):
                # Somebody wrote into the line: as good as lost, and set-up names the project.
                return None
    return None


def write_marker(description: str, marker: Marker) -> str:
    """The description with this marker as its last line; what people wrote stays.

    >>> m = Marker(campaign="c", stage=Stage.QA, task="ner", policy="p")
    >>> write_marker(write_marker("Our notes.", m), m) == "Our notes.\\n" + m.line()
    True
    """
    kept = [line for line in description.splitlines() if not line.strip().startswith(PREFIX)]
    return "\n".join([*kept, marker.line()])


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Everything that deciding its rows needs.

    Attributes:
        name: As in the marker.
        interface: What people fill in: the label interface that the Pass project holds now.
        policy: The rules.
        team: The people.
        projects: The three projects.
        users: The server's accounts.
        links: User id → person id as the server's plugin keeps it, whatever the addresses; None where an account is
            found by its address, as on a stock server.
        guidelines: The versions of its guidelines, `{"number", "hash", "at"}` each, where an export has asked for them.
    """

    name: str
    interface: Interface
    policy: Policy
    team: Team
    projects: Mapping[Stage, Project]
    users: tuple[User, ...]
    links: Mapping[int, str] | None = None
    guidelines: tuple[Json, ...] = ()

    @cached_property
    def people(self) -> dict[int, str]:
        """User id → person id; an account that the team file does not know is `user:<email>`."""
        if self.links is not None:
            return {user.id: self.links.get(user.id, _STRANGER + user.email) for user in self.users}
        by_email = {email: str(person.id) for person in self.team.people.values() for email in person.addresses}
        return {user.id: by_email.get(user.email.lower(), _STRANGER + user.email) for user in self.users}

    def person(self, user: int | None) -> Person | None:
        """The team's person behind an account, None if there is none."""
        if user is None:
            return None
        return {str(person.id): person for person in self.team.people.values()}.get(self.people.get(user, ""))

    @cached_property
    def checks(self) -> FieldChecks:
        """The rules between fields; none where somebody broke them on the server, which doctor says."""
        try:
            return load_checks(self.interface)
        except FaultsError:
            return FieldChecks()

    def project(self, stage: Stage) -> int:
        """The id of a stage's project."""
        return self.projects[stage].id


def interface_of(xml: str, name: str) -> Interface:
    """The interface that a project's label config describes.

    Raises:
        InterfaceError: The XML cannot be used.
    """
    controls = loader.parse_all(xml)
    return Interface(
        name=name,
        xml=xml,
        controls=tuple(control for control in controls if control.name not in loader.RESERVED),
        reserved=tuple(control for control in controls if control.name in loader.RESERVED),
        checks=loader.carried_checks(xml),
        checks_file="checks.yaml on the server",
    )


def project_title(name: str, stage: Stage) -> str:
    """The title that set-up gives a stage's project; people may give it another."""
    return f"{name} · {stage.heading}"


def find_all(projects: Iterable[Project]) -> dict[str, dict[Stage, list[Project]]]:
    """Campaign name → stage → its projects, oldest first (more than one: two set-ups ran at once)."""
    campaigns: dict[str, dict[Stage, list[Project]]] = {}
    for project in sorted(projects, key=lambda each: each.id):
        marker = read_marker(project.description)
        if marker is not None:
            campaigns.setdefault(marker.campaign, {}).setdefault(marker.stage, []).append(project)
    return campaigns


def marker_of(project: Project) -> Marker:
    """The marker of a project that was found by it."""
    marker = read_marker(project.description)
    if marker is None:
        raise CampaignError(f"project {project.id} has lost its quorum: line", "run quorum setup again")
    return marker


@dataclass(frozen=True, kw_only=True, slots=True)
class CampaignOnServer:
    """A campaign as it was found on a server: its projects, and the files that the server keeps (None: it is stock)."""

    name: str
    projects: Mapping[Stage, Project]
    kept: KeptFiles | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleFiles:
    """The policy and the team that somebody gave (None: not given), each with the name of its file."""

    policy: Policy | None = None
    team: Team | None = None
    policy_file: str = "the policy given"
    team_file: str = "the team given"


def find_campaign(port: LabelStudio, name: str | None) -> CampaignOnServer:
    """Find a campaign on the server; with no name the only one there is.

    Raises:
        CampaignError: There is no such campaign, or it is incomplete.
    """
    campaigns = find_all(port.projects())
    name = the_one(campaigns, name)
    stages = campaigns[name]
    missing = [stage.value for stage in STAGES if stage not in stages]
    if missing:
        raise CampaignError(
            f"campaign {name!r} lacks its {', '.join(missing)} project, or that has lost its quorum: line",
            "run quorum doctor, which says what became of it",
        )
    projects = {stage: stages[stage][0] for stage in STAGES}
    return CampaignOnServer(name=name, projects=projects, kept=port.kept_files(name))


def kept_rules(kept: KeptFiles) -> tuple[Policy, Team]:
    """The policy and the team that the server itself goes by."""
    policy = load_policy(kept.policy, name="policy.yaml on the server")
    return policy, load_team(kept.team, name="team.yaml on the server")


def rules_of(place: CampaignOnServer, files: RuleFiles) -> tuple[Policy, Team]:
    """The policy and the team by which a campaign is decided: those of the server, and no others.

    Where the server keeps them they are taken from there. A stock server only knows their hashes, so that the files
    are needed there.

    Raises:
        CampaignError: A file that was given is not what the server goes by, or the server keeps none and none was
            given.
    """
    if place.kept is not None:
        policy, team = kept_rules(place.kept)
        _refuse(
            place.name,
            policy="" if files.policy is None else differing_policy(files.policy, policy),
            team="" if files.team is None else differing_team(files.team, team),
            files=files,
        )
        return policy, team
    if files.policy is None or files.team is None:
        raise CampaignError(
            f"this server keeps neither policy nor team of campaign {place.name!r}", "give the files of both"
        )
    marker = marker_of(place.projects[Stage.PASS])
    _refuse(
        place.name,
        policy=_other_hash(files.policy.hash, marker.policy),
        team=_other_hash(team_digest(files.team), marker.team),
        files=files,
        stock=True,
    )
    return files.policy, files.team


def goes_by(place: CampaignOnServer, policy: Policy, team: Team) -> bool:
    """Whether a stock server's marker bears the hashes of this policy and this team."""
    marker = marker_of(place.projects[Stage.PASS])
    return not (_other_hash(policy.hash, marker.policy) or _other_hash(team_digest(team), marker.team))


ANY_TEAM: Final = (
    "its projects do not say which team the campaign goes by, so that any team file is taken for the right one",
    "run quorum setup with the right one, which writes that down",
)
"""What is said of a stock server's campaign of before there was a team's hash in the marker, and what to do."""


def takes_any_team(projects: Mapping[Stage, Project]) -> bool:
    """Whether a campaign of a stock server names no team, so that none can be told to be another's."""
    return not marker_of(projects[Stage.PASS]).team


CHANGED_INTERFACE: Final = (
    "interface or guidelines of project {project} were changed on the server since set-up",
    "run quorum interface pull to take them, or quorum setup to put them back",
)
"""What is said of a Pass project that shows something else than the campaign was set up with, and what to do."""


def is_interface_changed(project: Project) -> bool:
    """Whether the Pass project shows another interface or other guidelines than its marker bears the hash of."""
    page = str(project.settings.get("expert_instruction") or "")
    return marker_of(project).interface not in ("", interface_digest(project.label_config, page))


def is_current(port: LabelStudio, campaign: Campaign) -> bool:
    """Whether the server still goes by the policy and the team that a campaign was opened with."""
    kept = port.kept_files(campaign.name)
    if kept is not None:
        policy, team = kept_rules(kept)
        return (policy.hash, team_digest(team)) == (campaign.policy.hash, team_digest(campaign.team))
    marker = read_marker(port.project(campaign.project(Stage.PASS)).description)
    return marker is not None and not (
        _other_hash(campaign.policy.hash, marker.policy) or _other_hash(team_digest(campaign.team), marker.team)
    )


def _other_hash(file: str, server: str) -> str:
    """Both hashes where a file's is not the marker's; a campaign of before markers bore this hash goes by any."""
    return f"file {short(file)}, server {short(server)}" if server not in ("", file) else ""


def _refuse(name: str, *, policy: str, team: str, files: RuleFiles, stock: bool = False) -> None:
    """Refuse files that are not the server's, in one line that says which, in what, and how to go on.

    Raises:
        CampaignError: There are differences.
    """
    parts = [(files.policy_file, "policy", policy), (files.team_file, "team", team)]
    parts = [part for part in parts if part[2]]
    if not parts:
        return
    what = "; ".join(f"{file} is not the {kind} of campaign {name!r}: {why}" for file, kind, why in parts)
    if stock:
        cures = (
            f"give the {kind} file that was applied, or run {PUTS[kind]} to have the campaign go by this one"
            for _, kind, _ in parts
        )
    else:
        cures = (
            f"run quorum {kind} pull to take the server's, or {PUTS[kind]} to have the server go by the file"
            for _, kind, _ in parts
        )
    raise OtherFileError(what, "; ".join(cures))


def mark_team(port: LabelStudio, place: CampaignOnServer, team: Team) -> bool:
    """Write the team's hash into the markers of a campaign; whether it was another before."""
    digest, changed = team_digest(team), False
    for project in place.projects.values():
        marker = marker_of(project)
        if marker.team != digest:
            changed = True
            description = write_marker(project.description, replace(marker, team=digest))
            port.change_project(project.id, {"description": description})
    return changed


def open_campaign(
    port: LabelStudio, name: str | None = None, *, policy: Policy | None = None, team: Team | None = None
) -> Campaign:
    """Find a campaign on the server and open it under the policy and team that the server goes by.

    Args:
        port: The server.
        name: The campaign; None if the server holds just one.
        policy: The policy file. A server with the plugin needs none; what is given must be the server's.
        team: The team file, in the same manner.

    Raises:
        CampaignError: There is no such campaign, it is incomplete, or it goes by another policy or team.
    """
    place = find_campaign(port, name)
    return open_found(port, place, RuleFiles(policy=policy, team=team))


def open_found(port: LabelStudio, place: CampaignOnServer, files: RuleFiles) -> Campaign:
    """Open a campaign that was found.

    Raises:
        CampaignError: A file that was given is not what the server goes by.
    """
    policy, team = rules_of(place, files)
    return assemble(place.name, place.projects, policy=policy, team=team, port=port)


def assemble(
    name: str, projects: Mapping[Stage, Project], *, policy: Policy, team: Team, port: LabelStudio
) -> Campaign:
    """A campaign from projects already found."""
    pass_project = projects[Stage.PASS]
    return Campaign(
        name=name,
        interface=interface_of(pass_project.label_config, marker_of(pass_project).task),
        policy=policy,
        team=team,
        projects=dict(projects),
        users=tuple(port.users()),
        links=port.links(name),
    )


def near(name: str, names: Iterable[str]) -> str:
    """The question that follows a name nobody knows; empty where no known one is like it.

    >>> near("exmple", ["Example", "May"])
    "; did you mean 'Example'?"
    """
    folded = {known.casefold(): known for known in names}
    alike = difflib.get_close_matches(name.casefold(), folded, 1)
    return f"; did you mean {folded[alike[0]]!r}?" if alike else ""


def the_one(campaigns: Mapping[str, object], name: str | None) -> str:
    """The campaign that is meant: the one named, or the only one there is.

    Raises:
        CampaignError: There is none of that name, or no name and not just one campaign.
    """
    if name is not None and name in campaigns:
        return name
    known = ", ".join(sorted(campaigns)) or "none"
    if name is not None:
        raise CampaignError(
            f"no campaign {name!r} on this server{near(name, campaigns)} (there: {known})",
            "run quorum setup for a new one",
        )
    if len(campaigns) != 1:
        raise CampaignError(f"which campaign? On this server: {known}", "name one with --name")
    return next(iter(campaigns))
