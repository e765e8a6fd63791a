"""Quorum for programs: what a program of your own needs, from one module whose names stay. `scripts/` shows how."""

from __future__ import annotations

import os
from pathlib import Path

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.campaign.importing import CheckedFile, import_rows
from label_studio_quorum.campaign.projects import Campaign, CampaignError, open_campaign
from label_studio_quorum.campaign.reconcile import reconcile
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.gold.formats import write
from label_studio_quorum.gold.records import export_lines
from label_studio_quorum.port import LabelStudio
from ls_config import load as load_interface
from review_rules import Policy, Team, load_policy, load_team
from review_rules.errors import PublicError

__all__ = [
    "Campaign",
    "CampaignError",
    "CampaignSpec",
    "CheckedFile",
    "HttpLabelStudio",
    "LabelStudio",
    "PublicError",
    "export_lines",
    "import_rows",
    "load_interface",
    "open_campaign",
    "read_rules",
    "reconcile",
    "server_of_environment",
    "setup_campaign",
    "write",
]


def server_of_environment() -> HttpLabelStudio:
    """The Label Studio at `QUORUM_URL`, asked with the manager's token in `QUORUM_API_KEY`.

    Raises:
        CampaignError: One of the two variables is not set.
    """
    for name in ("QUORUM_URL", "QUORUM_API_KEY"):
        if not os.environ.get(name):
            raise CampaignError(f"{name} is not set", "set QUORUM_URL and QUORUM_API_KEY to the server and its token")
    return HttpLabelStudio(os.environ["QUORUM_URL"], os.environ["QUORUM_API_KEY"])


def read_rules(policy: str | Path, team: str | Path) -> tuple[Policy, Team]:
    """The policy and the team that two files describe.

    Raises:
        FaultsError: All faults of the first file that has any, each with its line.
        OSError: A file cannot be read.
    """
    rules = load_policy(Path(policy).read_text(encoding="utf-8"), name=str(policy))
    return rules, load_team(Path(team).read_text(encoding="utf-8"), name=str(team), policy=rules)
