"""Export the rows that are provably final; `quorum verify` proves each of them again from its own history.

python scripts/export_gold.py NAME policy.yaml team.yaml gold.jsonl
"""

from __future__ import annotations

import sys

from label_studio_quorum.sdk import LabelStudio, export_lines, open_campaign, read_rules, server_of_environment, write


def export(server: LabelStudio, name: str, policy: str, team: str, out: str) -> int:
    """Write the gold rows, whole file or none; how many. The format goes by the ending: .jsonl, .csv, .xlsx, …"""
    rules, people = read_rules(policy, team)
    campaign = open_campaign(server, name, policy=rules, team=people)
    return write(export_lines(server, campaign), out, interface=campaign.interface).rows


if __name__ == "__main__":
    print(export(server_of_environment(), *sys.argv[1:]), "gold rows")
