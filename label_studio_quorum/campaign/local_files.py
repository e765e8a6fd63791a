"""The policy and team files of this machine beside what the server goes by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from label_studio_quorum.campaign.differences import differing_policy, differing_team
from label_studio_quorum.campaign.launch import CampaignPlan
from label_studio_quorum.campaign.local_memory import FileKind, Remembered, text_digest
from label_studio_quorum.campaign.projects import PUTS, CampaignError, kept_rules
from label_studio_quorum.campaign.qualification import practice_of, qualification_of
from label_studio_quorum.files import write_text
from label_studio_quorum.port import KeptFiles
from review_rules import FaultsError, Policy, Team, load_policy, load_team

__all__ = ["LocalFile", "compare", "plan_in_step", "read_file", "refuse_stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file of this machine beside what the server keeps.

    Attributes:
        kind: Which file it is.
        path: The file.
        text: What stands in it; None if it is not there.
        kept: What the server keeps.
        differences: In what the two differ, for one line; empty if they say the same, however they are written.
        unedited: True if the file is as it was when it last was the server's, word for word.
        unchanged: True if the server keeps what it kept then.
    """

    kind: FileKind
    path: Path
    text: str | None
    kept: str
    differences: str
    unedited: bool
    unchanged: bool

    @property
    def behind(self) -> str:
        """What to say of a file that is as it was while the server's was changed from elsewhere."""
        return f"the server's {self.kind} was changed from elsewhere, and {self.path} was not: {self.differences}"

    @property
    def apart(self) -> str:
        """What to say of a file that was edited and is not what the server goes by."""
        return (
            f"{self.path} is not the server's {self.kind}, which counts here: {self.differences}; "
            f"quorum {self.kind} pull takes the server's, {PUTS[self.kind]} has the server go by the file"
        )


def compare(kind: FileKind, path: Path, kept: KeptFiles, known: Remembered | None) -> LocalFile:
    """Compare a file with what the server keeps; a file with faults differs by them.

    Raises:
        CampaignError: The file cannot be read.
    """
    wanted = kept.policy if kind is FileKind.POLICY else kept.team
    text, before = read_file(path), None if known is None else known.in_step(kind)
    return LocalFile(
        kind=kind,
        path=path,
        text=text,
        kept=wanted,
        differences="it is not there" if text is None else _differences(kind, path, text, *kept_rules(kept)),
        unedited=text is not None and before == text_digest(text),
        unchanged=before == text_digest(wanted),
    )


def read_file(path: Path) -> str | None:
    """A file's text; None where there is no such file.

    Raises:
        CampaignError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CampaignError(f"{path} cannot be read: {reason}", "give the path of a readable file") from error


def _differences(kind: FileKind, path: Path, text: str, policy: Policy, team: Team) -> str:
    try:
        if kind is FileKind.POLICY:
            return differing_policy(load_policy(text, name=str(path)), policy)
        return differing_team(load_team(text, name=str(path)), team)
    except FaultsError as error:
        return f"it has faults, the first in line {error.faults[0].line}"


def _of_plan(plan: CampaignPlan, kept: KeptFiles, known: Remembered | None) -> list[LocalFile]:
    """The files of a plan that say otherwise than the server."""
    files = ((FileKind.POLICY, plan.policy_file), (FileKind.TEAM, plan.team_file))
    return [local for kind, path in files if (local := compare(kind, path, kept, known)).differences]


def refuse_stale(plan: CampaignPlan, kept: KeptFiles, known: Remembered | None) -> None:
    """Refuse to set a campaign up from a file that fell behind the server: it would undo what somebody changed there.

    Raises:
        CampaignError: A file is as it was, and the server's was changed since.
    """
    stale = [local for local in _of_plan(plan, kept, known) if local.unedited]
    if stale:
        cures = "; ".join(f"run quorum {local.kind} pull, then change the file where it has to be" for local in stale)
        raise CampaignError("; ".join(local.behind for local in stale), cures)


def plan_in_step(
    plan: CampaignPlan, kept: KeptFiles, known: Remembered | None, say: Callable[[str], None]
) -> CampaignPlan:
    """The plan with the server's policy and team, where its files do not follow from them.

    A file that was edited since it was the server's counts, if the server still goes by what it went by then. Where
    the server's was changed from elsewhere, that counts: a file that nobody edited is replaced by it, and one that was
    edited stays and is told.
    """
    texts = {FileKind.POLICY: plan.policy_text, FileKind.TEAM: plan.team_text}
    for local in _of_plan(plan, kept, known):
        if local.unchanged:
            continue
        texts[local.kind] = local.kept
        say(f"{local.behind}; it is taken into the file" if local.unedited else local.apart)
        if local.unedited:
            write_text(local.path, local.kept)
    policy = load_policy(texts[FileKind.POLICY], name=str(plan.policy_file))
    return replace(
        plan,
        policy_text=texts[FileKind.POLICY],
        policy=policy,
        team_text=texts[FileKind.TEAM],
        team=load_team(texts[FileKind.TEAM], name=str(plan.team_file)),
        qualification=qualification_of(policy, plan.policy_file.parent, plan.interface),
        practice=practice_of(policy, plan.policy_file.parent, plan.interface),
    )
