"""What stands below each command's options in its help: an example or two, and the variables that no option shows."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["EXAMPLES", "add_examples"]

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "up": ("quorum up", "quorum up --rows rows.jsonl --team team.yaml --policy policy.yaml --name May"),
    "demo": ("quorum demo", "quorum demo --start --skill ana=0.8"),
    "setup": (
        "quorum setup --name May --policy policy.yaml --team team.yaml",
        "quorum setup --name May --policy policy.yaml --team team.yaml --ml-url http://ml:9090 --dry-run",
    ),
    "check": (
        "quorum check rows.jsonl",
        "quorum check rows.csv --map response=answer --map context= --html profile.html",
    ),
    "import": ("quorum import rows.jsonl --dry-run", "quorum import rows.csv --name May --map response=answer"),
    "team check": ("quorum team check team.yaml --offline",),
    "team apply": ("quorum team apply team.yaml --dry-run", "quorum team apply team.yaml --name May"),
    "team pull": ("quorum team pull --dry-run", "quorum team pull team.yaml --name May"),
    "team password": ("quorum team password ana --name May",),
    "policy pull": ("quorum policy pull --dry-run", "quorum policy pull policy.yaml --name May"),
    "interface pull": ("quorum interface pull --dry-run", "quorum interface pull interface --name May"),
    "policy check": ("quorum policy check policy.yaml --team team.yaml",),
    "policy schema": ("quorum policy schema policy > policy.schema.json",),
    "sync": ("quorum sync --dry-run", "quorum sync --watch --every 5 --name May"),
    "status": ("quorum status", "quorum status --name May --json"),
    "threads answer": ('quorum threads answer 17 "Yes, in this case." --name May',),
    "threads tell": ('quorum threads tell "Guidelines 2 hold from today on."',),
    "threads reopen": ('quorum threads reopen r12 "The source was corrected; look at the date."',),
    "flags": ("quorum flags", "quorum flags --flag guideline_gap --name May --json"),
    "guidelines list": ("quorum guidelines list --name May",),
    "guidelines show": ("quorum guidelines show 2 > guidelines.md",),
    "guidelines diff": ("quorum guidelines diff", "quorum guidelines diff 3 --since 1 --name May"),
    "guidelines publish": (
        'quorum guidelines publish guidelines.md --note "Sarcasm is taken as it is meant." --acknowledge --dry-run',
        'quorum guidelines publish guidelines.md --note "Dates, with an example." --recheck 10 --yes',
    ),
    "precedents": ("quorum precedents r12", "quorum precedents r12 --name May --json"),
    "notify send": ("quorum notify send",),
    "notify test": ("quorum notify test --name May",),
    "report": ("quorum report --out report.html",),
    "export": ("quorum export gold.jsonl --card", "quorum export everything.csv --all --name May"),
    "verify": ("quorum verify gold.jsonl --policy policy.yaml --team team.yaml", "quorum verify gold.jsonl --name May"),
    "decide": ("quorum decide histories.jsonl --policy policy.yaml --team team.yaml > decisions.jsonl",),
    "agreement": (
        "quorum agreement votes.jsonl --kind choice",
        "quorum agreement votes.jsonl --kind rating --where criterion=helpfulness --json",
    ),
    "prelabel": (
        "quorum prelabel rows.jsonl --out prelabelled.jsonl --with-rows",
        "quorum prelabel --name May --dry-run",
    ),
    "models list": ("quorum models list", "quorum models list --models models.yaml"),
    "models check": ("quorum models check verdict-v2 --models models.yaml --rows rows.jsonl",),
    "models compare": ("quorum models compare default verdict-v2 --gold gold.jsonl --picture difference.svg",),
    "models activate": ("quorum models activate verdict-v2 --gold gold.jsonl",),
    "models rollback": ("quorum models rollback",),
    "models train": ("quorum models train --gold gold.jsonl --out heads --models models.yaml",),
    "audit": ("quorum audit --name May",),
    "doctor": ("quorum doctor", "quorum doctor --full --name May"),
}
"""The examples of each command, and of each command of a group."""

_FOLDER: Final = ("QUORUM_DATA_DIR", "the data folder of quorum up, where campaigns are remembered; else .quorum")
_CACHE: Final = ("QUORUM_ML_CACHE", "where graphs of networks are kept; else ~/.cache/quorum/graphs")
_SERVED: Final = (
    _FOLDER,
    ("QUORUM_ML_PORT", "the port of the ML backend of quorum up; else 9090"),
    ("QUORUM_ML_TOKEN, QUORUM_ML_BASIC", "its token, or user:password; _FILE behind either names a file"),
)
_STARTED: Final = (
    _CACHE,
    ("QUORUM_RESERVE_MINUTES", "how long a row stays with whom it was handed to; else 60"),
    ("QUORUM_INSIDE_HOSTS", "hosts inside your network that an ML backend or webhook may be at"),
    ("QUORUM_MAIL_HOST, QUORUM_MAIL_FROM", "where notifications are handed in as mails, and their sender"),
    ("QUORUM_MAIL_PORT, QUORUM_MAIL_SECURITY", "its port, and starttls (default), tls or none"),
    ("QUORUM_MAIL_USER, QUORUM_MAIL_PASSWORD", "the account there; _FILE behind the password names a file"),
    ("QUORUM_MAIL_DIGEST_MINUTES, QUORUM_MAIL_QUIET", "how long mails gather; when none goes"),
    ("QUORUM_NOTIFY_URL, QUORUM_NOTIFY_SECRET", "a webhook for notifications, and what signs its calls; or _FILE"),
    ("QUORUM_SLACK_URL", "a Slack-compatible webhook; _FILE behind it names a file"),
    ("QUORUM_ADDRESS", "the server's address as people reach it, for links in notifications"),
)
VARIABLES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "up": (("QUORUM_ML_MODELS", "a models file of your own"), *_STARTED),
    "demo": (("QUORUM_ML_MODELS", "with --start: a models file of your own"), *_STARTED),
    "setup": (
        _FOLDER,
        ("QUORUM_ML_USER, QUORUM_ML_PASSWORD", "with --ml-url: what the ML backend asks for"),
        ("QUORUM_WEBHOOK_SECRET", "with --webhook: the secret that it carries"),
    ),
    "import": (
        _FOLDER,
        ("QUORUM_ML_URL", "the ML backend to ask where none is connected"),
        ("QUORUM_ML_USER, QUORUM_ML_PASSWORD", "what the ML backend asks for"),
    ),
    "prelabel": (_FOLDER, _CACHE),
    "models list": _SERVED,
    "models check": (_CACHE,),
    "models compare": (_CACHE,),
    "models activate": _SERVED,
    "models rollback": _SERVED,
    "models train": (_CACHE,),
    **dict.fromkeys(
        ("team check", "team apply", "team pull", "team password", "policy pull", "interface pull"), (_FOLDER,)
    ),
    **dict.fromkeys(
        (
            "threads",
            "threads answer",
            "threads tell",
            "threads reopen",
            "flags",
            "notify",
            "notify send",
            "notify test",
        ),
        (_FOLDER,),
    ),
    **dict.fromkeys(("verify", "sync", "status", "report", "export", "audit", "doctor"), (_FOLDER,)),
}
"""The variables that a command reads beside those that stand with its options."""


def add_examples(command: Any, name: str) -> None:
    """Put examples and variables below the options of a command, or of each command of a group."""
    for part, inner in getattr(command, "commands", {}).items():
        add_examples(inner, f"{name} {part}")
    parts = []
    if name in EXAMPLES:
        parts.append("\n".join(["\b", "Examples:", *(f"  {example}" for example in EXAMPLES[name])]))
    if name in VARIABLES:
        lines = (f"  {variable}: {meaning}" for variable, meaning in VARIABLES[name])
        parts.append("\n".join(["\b", "Environment:", *lines]))
    # The mark \b keeps the lines of its paragraph as they are.
    command.epilog = "\n\n".join(parts) or None
