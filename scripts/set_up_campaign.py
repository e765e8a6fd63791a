"""Set up three projects: Pass hands each row to two people (overlap 2), QA reviews what they said, Expert settles.

    python scripts/set_up_campaign.py NAME policy.yaml team.yaml [LABEL_TYPE]

The server and its token come from QUORUM_URL and QUORUM_API_KEY, as in the other programs here.
"""

from __future__ import annotations

import sys

from label_studio_quorum.sdk import (
    CampaignSpec,
    LabelStudio,
    load_interface,
    read_rules,
    server_of_environment,
    setup_campaign,
)


def set_up(server: LabelStudio, name: str, policy: str, team: str, label_type: str = "response_review") -> list[str]:
    """Create the projects, or mend what differs from the files; what was changed. A second run changes nothing."""
    rules, people = read_rules(policy, team)
    spec = CampaignSpec(name=name, interface=load_interface(label_type), policy=rules, team=people)
    return list(setup_campaign(server, spec).changes)


if __name__ == "__main__":
    print(*set_up(server_of_environment(), *sys.argv[1:]), sep="\n")
