"""What a machine remembers of the campaigns it set up, so that later commands need not be told again.

A convenience only: everything in it can be given on the command line instead, and no secret is in it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from label_studio_quorum.files import private_folder, write_json
from review_rules.errors import PublicError

DATA_DIR: Final = "QUORUM_DATA_DIR"
DEFAULT_DATA_DIR: Final = ".quorum"


class FileKind(StrEnum):
    """A file that a campaign goes by."""

    POLICY = "policy"
    TEAM = "team"
    INTERFACE = "interface"
    GUIDELINES = "guidelines"
    CHECKS = "checks"


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """One campaign: where it runs, and the absolute paths of its files; `task` is a label type or a folder.

    What ends with `_in_step` is the digest of a file's text when file and server last said the same word for word: a
    file that still has it was not edited since. A path is empty where no file is known.
    """

    name: str
    url: str
    task: str
    policy: str
    team: str
    policy_in_step: str = ""
    team_in_step: str = ""
    interface_in_step: str = ""
    guidelines_in_step: str = ""
    checks_in_step: str = ""

    def file(self, kind: FileKind) -> str:
        """Where the file of a kind lies; for interface, guidelines and checks the folder that holds them."""
        paths = {FileKind.POLICY: self.policy, FileKind.TEAM: self.team}
        own = Path(self.task).is_absolute()
        return paths.get(kind, self.task if own else "")

    def in_step(self, kind: FileKind) -> str:
        """The digest of the text of that file when it last was the server's."""
        return str(getattr(self, f"{kind.value}_in_step"))

    def with_file(self, kind: FileKind, path: str, in_step: str) -> Remembered:
        """The same with another file of a kind, or another folder."""
        place = kind.value if kind in (FileKind.POLICY, FileKind.TEAM) else "task"
        return replace(self, **{place: path, f"{kind.value}_in_step": in_step})


class LocalFileError(PublicError):
    """A file of the data folder cannot be used; the line says what is lost with it and what to do."""

    def __init__(self, file: Path, reason: str, loss: str) -> None:
        super().__init__(f"{file}: damaged ({reason}); {loss}")
        self.file = file


def read_local(file: Path, loss: str) -> dict[str, Any] | None:
    """The JSON object in a file of the data folder; None where there is no such file.

    Args:
        file: The file.
        loss: What is lost with it, and what to do.

    Raises:
        LocalFileError: It holds no JSON object, or cannot be read.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalFileError(file, str(error.strerror), loss) from None
    except UnicodeDecodeError:
        raise LocalFileError(file, "not UTF-8", loss) from None
    except (ValueError, RecursionError):
        raise LocalFileError(file, "no JSON" if file.stat().st_size else "empty", loss) from None
    if not isinstance(value, dict):
        raise LocalFileError(file, "no JSON object", loss)
    return value


_ACCESS_LOSS: Final = (
    "nothing is lost: quorum up writes it anew when it starts; stop it and start it again, or name the server with "
    "--url and --api-key-file"
)


def read_access(folder: Path) -> dict[str, Any] | None:
    """The access file of the `quorum up` that runs with this data folder; None where none runs.

    Raises:
        LocalFileError: It is damaged.
    """
    file = folder / "access.json"
    access = read_local(file, _ACCESS_LOSS)
    if access is None:
        return None
    lacking = [key for key, kind in _ACCESS_PARTS.items() if not isinstance(access.get(key), kind)]
    if not lacking and not isinstance(access["manager"].get("token"), str):
        lacking = ["manager"]
    if lacking:
        raise LocalFileError(file, f"without {', '.join(lacking)}", _ACCESS_LOSS)
    return access


_ACCESS_PARTS: Final[Mapping[str, type]] = {
    "url": str,
    "ml_url": str,
    "manager": dict,
    "people": list,
    "campaigns": list,
}


def data_dir() -> Path:
    """The data folder, `.quorum` unless `QUORUM_DATA_DIR` says otherwise."""
    return Path(os.environ.get(DATA_DIR) or DEFAULT_DATA_DIR)


def remember(campaign: Remembered, folder: Path | None = None) -> Path:
    """Write the campaign down; returns the file."""
    place = private_folder((folder or data_dir()) / "campaigns")
    file = place / f"{_slug(campaign.name)}.json"
    write_json(file, asdict(campaign))
    return file


def remembered(folder: Path | None = None, *, complain: Callable[[str], None] = lambda line: None) -> list[Remembered]:
    """Every campaign that was written down, by name.

    Args:
        folder: The data folder; the usual one where None.
        complain: Told of each damaged file; the other campaigns are still known.
    """
    campaigns = []
    for file in sorted(((folder or data_dir()) / "campaigns").glob("*.json")):
        try:
            campaigns.append(_read(file))
        except LocalFileError as error:
            complain(str(error))
    return sorted(campaigns, key=lambda campaign: campaign.name)


_APPLIED_LOSS: Final = "what the next change of the campaign costs cannot be said; move the file away and run it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class AppliedFiles:
    """The texts of policy and team that a campaign of a stock server goes by, which keeps no such files itself."""

    url: str
    policy: str | None = None
    team: str | None = None


def note_applied(name: str, files: AppliedFiles, folder: Path | None = None) -> None:
    """Write down what a campaign goes by from now on; what is None stays as it was written down."""
    known = applied_files(name, files.url, folder)
    kept = AppliedFiles(url=files.url, policy=files.policy or known.policy, team=files.team or known.team)
    place = private_folder((folder or data_dir()) / "applied")
    write_json(place / f"{_slug(name)}.json", asdict(kept), private=True)


def applied_files(name: str, url: str, folder: Path | None = None) -> AppliedFiles:
    """What was written down of a campaign on this server.

    Raises:
        LocalFileError: The file is damaged.
    """
    file = (folder or data_dir()) / "applied" / f"{_slug(name)}.json"
    parts = read_local(file, _APPLIED_LOSS)
    if parts is None or parts.get("url") != url:
        return AppliedFiles(url=url)  # whoever asks says what cannot be known without it
    texts = {key: parts.get(key) for key in ("policy", "team")}
    if not all(text is None or isinstance(text, str) for text in texts.values()):
        raise LocalFileError(file, "a part is no text", _APPLIED_LOSS)
    return AppliedFiles(url=url, **texts)


_MEMORY_LOSS: Final = "its campaign is not remembered here; run quorum setup again, or name it by options"


def _read(file: Path) -> Remembered:
    parts = read_local(file, _MEMORY_LOSS) or {}
    if not all(isinstance(part, str) for part in parts.values()):
        raise LocalFileError(file, "a part is no text", _MEMORY_LOSS)
    try:
        return Remembered(**parts)
    except TypeError:
        raise LocalFileError(file, "parts missing or unknown", _MEMORY_LOSS) from None


def text_digest(text: str) -> str:
    """The digest of a file's text, as `Remembered.in_step` holds it."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _slug(name: str) -> str:
    """A file name for any campaign name; the code of each character that is not plain keeps names apart.

    >>> _slug("May · round 2")
    'May-20-b7-20round-202'
    """
    return re.sub(r"[^A-Za-z0-9_]", lambda odd: f"-{ord(odd.group()):x}", name)
