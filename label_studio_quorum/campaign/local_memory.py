"""What a machine remembers of the campaigns it set up, so that later commands need not be told again.

A convenience only: everything in it can be given on the command line instead, and no secret is in it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from label_studio_quorum.files import private_folder, write_json

DATA_DIR: Final = "QUORUM_DATA_DIR"
DEFAULT_DATA_DIR: Final = ".quorum"


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """One campaign: where it runs, and the absolute paths of its files; `task` is a label type or a folder.

    `policy_in_step` and `team_in_step` are the digests of the files' texts when file and server last said the same word
    for word: a file that still has it was not edited since. A path is empty where no file is known.
    """

    name: str
    url: str
    task: str
    policy: str
    team: str
    policy_in_step: str = ""
    team_in_step: str = ""

    def file(self, kind: str) -> str:
        """The path of the file of a kind, `policy` or `team`."""
        return self.policy if kind == "policy" else self.team

    def in_step(self, kind: str) -> str:
        """The digest of the text of that file when it last was the server's."""
        return self.policy_in_step if kind == "policy" else self.team_in_step

    def with_file(self, kind: str, path: str, in_step: str) -> Remembered:
        """The same with another file of a kind."""
        if kind == "policy":
            return replace(self, policy=path, policy_in_step=in_step)
        return replace(self, team=path, team_in_step=in_step)


def data_dir() -> Path:
    """The data folder, `.quorum` unless `QUORUM_DATA_DIR` says otherwise."""
    return Path(os.environ.get(DATA_DIR) or DEFAULT_DATA_DIR)


def remember(campaign: Remembered, folder: Path | None = None) -> Path:
    """Write the campaign down; returns the file."""
    place = private_folder((folder or data_dir()) / "campaigns")
    file = place / f"{_slug(campaign.name)}.json"
    write_json(file, asdict(campaign))
    return file


def remembered(folder: Path | None = None) -> list[Remembered]:
    """Every campaign that was written down, by name; a damaged file counts as not there."""
    campaigns = []
    for file in sorted(((folder or data_dir()) / "campaigns").glob("*.json")):
        try:
            campaigns.append(Remembered(**json.loads(file.read_text(encoding="utf-8"))))
        except (ValueError, TypeError, OSError):
            continue  # whoever wrote into it can be asked; the other campaigns are still known
    return sorted(campaigns, key=lambda campaign: campaign.name)


def text_digest(text: str) -> str:
    """The digest of a file's text, as `Remembered.in_step` holds it."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _slug(name: str) -> str:
    """A file name for any campaign name; the code of each character that is not plain keeps names apart.

    >>> _slug("May · round 2")
    'May-20-b7-20round-202'
    """
    return re.sub(r"[^A-Za-z0-9_]", lambda odd: f"-{ord(odd.group()):x}", name)
