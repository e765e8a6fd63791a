"""Import rows into a campaign's Pass project, each once; a file with a fault is refused whole.

python scripts/import_rows.py NAME policy.yaml team.yaml rows.jsonl
"""

from __future__ import annotations

import sys

from label_studio_quorum.sdk import (
    CheckedFile,
    LabelStudio,
    import_rows,
    open_campaign,
    read_rules,
    server_of_environment,
)


def bring_in(server: LabelStudio, name: str, policy: str, team: str, rows: str) -> int:
    """Import the rows that are not there yet; how many. Every fault of the file is in the ValueError."""
    rules, people = read_rules(policy, team)
    campaign = open_campaign(server, name, policy=rules, team=people)
    with CheckedFile.read(rows, interface=campaign.interface, policy=rules) as checked:
        if checked.errors:
            raise ValueError("\n".join(map(str, checked.errors)))
        return import_rows(server, campaign, checked).imported


if __name__ == "__main__":
    print(bring_in(server_of_environment(), *sys.argv[1:]), "rows imported")
