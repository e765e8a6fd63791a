"""Tells a server with Quorum's plugin about a campaign: from then on the server itself holds people to the rules."""

from __future__ import annotations

import requests

from workflow.campaign import Campaign
from workflow.port import ServerError


def register(url: str, token: str, campaign: Campaign, *, policy: str, team: str) -> None:
    """Create the campaign in the plugin, or change its policy, team and projects.

    Args:
        url: The server's address.
        token: A manager's API token.
        campaign: The campaign, set up.
        policy: The text of the policy file.
        team: The text of the team file.

    Raises:
        ServerError: The plugin refused.
    """
    body = {
        "name": campaign.name,
        "task": campaign.interface.name,
        "policy": policy,
        "team": team,
        "projects": {stage.value: project.id for stage, project in campaign.projects.items()},
    }
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": f"Token {token}"}
        answer = session.put(f"{url}/quorum/api/campaign", json=body, headers=headers, timeout=600)
    if answer.status_code != 200:
        raise ServerError(
            f"{url}: the plugin did not take campaign {campaign.name!r}: {answer.text[:300]}",
            status=answer.status_code,
        )
