"""Bring the QA and Expert queues in line with the rules: run it on a timer, or after each round of labelling.

python scripts/sync_queues.py NAME policy.yaml team.yaml
"""

from __future__ import annotations

import sys

from label_studio_quorum.sdk import LabelStudio, open_campaign, read_rules, reconcile, server_of_environment


def sync(server: LabelStudio, name: str, policy: str, team: str) -> dict[str, int]:
    """Create, renew and withdraw review tasks; how many rows are now in each state."""
    rules, people = read_rules(policy, team)
    return dict(reconcile(server, open_campaign(server, name, policy=rules, team=people)).states)


if __name__ == "__main__":
    for state, rows in sync(server_of_environment(), *sys.argv[1:]).items():
        print(state, rows)
