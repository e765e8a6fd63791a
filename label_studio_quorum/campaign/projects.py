"""A campaign: three projects on a Label Studio server that find each other by a line in their descriptions.

The line is the only thing that ties them together, so that any machine with a key can go on where another stopped.
People may rename the projects and write into their descriptions; they may not remove the line.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

from label_studio_quorum.port import LabelStudio, Project, RowPort, User
from ls_config import interface as loader
from ls_config.interface import Interface
from review_rules import Person, Policy, Stage, Team
from review_rules.errors import PublicError

PREFIX: Final = "quorum:"
STAGES: Final = tuple(Stage)
AUTO_LABEL: Final = "auto-label"
"""`model_version` that pre-fills the Pass project; Label Studio serves one version a project."""
PROPOSAL: Final = "quorum-proposal"
"""`model_version` that pre-fills the QA and Expert projects."""
SERVED: Final = {Stage.PASS: AUTO_LABEL, Stage.QA: PROPOSAL, Stage.EXPERT: PROPOSAL}
"""The one version that each stage's forms are filled from."""
_STRANGER: Final = "user:"


class CampaignError(PublicError):
    """A campaign cannot be found or used; the message says why, the hint what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


@dataclass(frozen=True, kw_only=True, slots=True)
class Marker:
    """What the line in a project's description says."""

    campaign: str
    stage: Stage
    task: str
    policy: str

    def line(self) -> str:
        """The line itself.

        >>> Marker(campaign="c", stage=Stage.QA, task="ner", policy="sha256:0").line()
        'quorum:{"campaign": "c", "stage": "qa", "task": "ner", "policy": "sha256:0"}'
        """
        return PREFIX + json.dumps(asdict(self) | {"stage": self.stage.value}, ensure_ascii=False)


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
    """

    name: str
    interface: Interface
    policy: Policy
    team: Team
    projects: Mapping[Stage, Project]
    users: tuple[User, ...]

    @cached_property
    def people(self) -> dict[int, str]:
        """User id → person id; an account that the team file does not know is `user:<email>`."""
        # Lower case, not case-folded: that would make one of addresses that are two.
        by_email = {person.email.lower(): str(person.id) for person in self.team.people.values() if person.email}
        return {user.id: by_email.get(user.email.lower(), _STRANGER + user.email) for user in self.users}

    def person(self, user: int | None) -> Person | None:
        """The team's person behind an account, None if there is none."""
        if user is None:
            return None
        return {str(person.id): person for person in self.team.people.values()}.get(self.people.get(user, ""))

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


def open_campaign(port: LabelStudio, name: str | None, *, policy: Policy, team: Team) -> Campaign:
    """Find a campaign on the server.

    Args:
        port: The server.
        name: The campaign; None if the server holds just one.
        policy: Must be the one that the campaign was set up with.
        team: The people.

    Raises:
        CampaignError: There is no such campaign, it is incomplete, or it runs under another policy.
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
    first = marker_of(projects[Stage.PASS])
    if first.policy != policy.hash:
        raise CampaignError(
            f"campaign {name!r} runs under policy {first.policy[:19]}…, the file given is {policy.hash[:19]}…",
            "give the policy file of the campaign, or run quorum setup to change its policy",
        )
    return assemble(name, projects, policy=policy, team=team, port=port)


def assemble(name: str, projects: Mapping[Stage, Project], *, policy: Policy, team: Team, port: RowPort) -> Campaign:
    """A campaign from projects already found."""
    pass_project = projects[Stage.PASS]
    return Campaign(
        name=name,
        interface=interface_of(pass_project.label_config, marker_of(pass_project).task),
        policy=policy,
        team=team,
        projects=dict(projects),
        users=tuple(port.users()),
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
