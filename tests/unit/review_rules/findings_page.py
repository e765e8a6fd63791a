"""docs/findings.md, written from the registry, so that it lists every finding and nothing else."""

from __future__ import annotations

import re

from review_rules.findings import RULES

_HEAD = """\
# Findings

What a decision or `quorum verify` says when something is not as it should be. Every finding has an id that stays, a
message, a hint and the path of what it is about; words in italics are filled in. This page is written from the registry
(`python -m tests.unit.review_rules.findings_page > docs/findings.md`), and a test holds the two together.
"""
_GROUPS = (
    (
        "QR.W00",
        "Warnings about the row",
        "The part is ignored, left out or compared exactly; the rest of the row counts.",
    ),
    ("QR.W01", "", ""),
    ("QR.W02", "Submissions that do not count", "One finding each, at the path of the submission."),
    ("QR.W03", "", ""),
    ("QR.W04", "Warnings about the policy", ""),
    ("QR.W05", "Reopened rows", ""),
    ("QR.W06", "Returned rows", ""),
    ("QR.E00", "Errors of a decision", "A person has to step in."),
    ("QR.E1", "What `quorum verify` finds", "An export claims something that its own history does not bear out."),
)


def render() -> str:
    """The page.

    >>> render().count("| `QR.") == len(RULES)
    True
    """
    parts = [_HEAD]
    for prefix, title, note in _GROUPS:
        if title:
            parts.append(f"\n## {title}\n\n" + (f"{note}\n\n" if note else ""))
            parts.append("| id | what | message | what to do |\n|---|---|---|---|\n")
        for rule_id in sorted(RULES):
            if rule_id.startswith(prefix):
                rule = RULES[rule_id]
                parts.append(f"| `{rule_id}` | {rule.title} | {_cell(rule.message)} | {_cell(rule.hint)} |\n")
    return "".join(parts)


def _cell(template: str) -> str:
    """A template as text of a table: pieces to be filled in as *words*, doubled braces as single ones."""
    plain = template.replace("{{", "\0").replace("}}", "\1")
    marked = re.sub(r"\{(\w+)\}", r"*\1*", plain)
    return marked.replace("\0", "{").replace("\1", "}").replace("|", "\\|")


if __name__ == "__main__":
    print(render(), end="")
