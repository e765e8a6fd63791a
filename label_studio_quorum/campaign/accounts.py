"""People's accounts on a stock server: which are missing, and how they are made.

Label Studio's API makes accounts that cannot log in, so people join the way anybody does: through the organisation's
invite link and the sign-up form. A password is written down, for its owner to be told once, before the account is made:
a run that is cut off loses none.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from label_studio_quorum.adapters.web_session import Visitor
from label_studio_quorum.campaign.local_memory import LocalFileError, read_local
from label_studio_quorum.files import private_folder, write_json
from label_studio_quorum.port import LabelStudio, User
from review_rules import Person, Team

PASSWORD_BYTES: Final = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class TeamCheck:
    """How a team file compares with a server's accounts.

    Attributes:
        there: People with an account.
        missing: People who need one.
        without_email: People who cannot have one.
        left: People who left and still have an account.
        strangers: Emails of accounts that no person of the team has; what they submit never counts.
    """

    there: tuple[Person, ...]
    missing: tuple[Person, ...]
    without_email: tuple[Person, ...]
    left: tuple[Person, ...]
    strangers: tuple[str, ...]


def check_team(team: Team, users: list[User], links: Mapping[int, str] | None = None) -> TeamCheck:
    """Compare a team with the accounts of a server.

    Args:
        team: The team.
        users: The accounts.
        links: User id → person id, where the server keeps whose an account is whatever its address.
    """
    emails = {user.email.lower() for user in users}
    people = sorted(team.people.values(), key=lambda person: person.id)
    known = {email for person in people for email in person.addresses}
    linked = {(links or {}).get(user.id) for user in users}
    has_account = {p.id for p in people if p.email and (p.id in linked or not emails.isdisjoint(p.addresses))}
    is_known = {user.id for user in users if user.email.lower() in known or user.id in (links or {})}
    return TeamCheck(
        there=tuple(p for p in people if p.id in has_account and p.left is None),
        missing=tuple(p for p in people if p.email and p.id not in has_account and p.left is None),
        without_email=tuple(p for p in people if not p.email and p.left is None),
        left=tuple(p for p in people if p.id in has_account and p.left is not None),
        strangers=tuple(sorted(user.email for user in users if user.id not in is_known)),
    )


_PASSWORDS_LOSS: Final = (
    "first passwords that nobody was told yet are lost with it, and nothing else; restore a backup, or move it away: "
    "people go on with the passwords they know"
)


class PasswordFile:
    """One-time passwords by email, in a file that only its owner can read.

    Raises:
        LocalFileError: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_email: dict[str, str] = read_local(path, _PASSWORDS_LOSS) or {}
        if not all(isinstance(password, str) for password in self._by_email.values()):
            raise LocalFileError(path, "not passwords by email", _PASSWORDS_LOSS)

    def password_of(self, email: str) -> str:
        """The password for this person, made and written down on first use."""
        if email not in self._by_email:
            self._by_email[email] = secrets.token_urlsafe(PASSWORD_BYTES)
            self._write()
        return self._by_email[email]

    def known(self, email: str) -> str | None:
        """The password written down for this person, if any."""
        return self._by_email.get(email)

    def keep(self, passwords: Mapping[str, str]) -> None:
        """Write down passwords that the server made."""
        if passwords:
            self._by_email |= passwords
            self._write()

    def _write(self) -> None:
        private_folder(self.path.parent)
        write_json(self.path, self._by_email, private=True)


def keep_passwords(passwords: PasswordFile, applied: Mapping[str, Any]) -> None:
    """Write down the passwords of accounts that the plugin made, and those of people who have another address now."""
    passwords.keep({account["email"]: account["password"] for account in applied["created"]})
    # An older plugin gives no account another address.
    moved = {person["to"]: passwords.known(person["from"]) for person in applied.get("readdressed", ())}
    passwords.keep({address: password for address, password in moved.items() if password is not None})


def password_file(url: str, folder: Path) -> PasswordFile:
    """The password file for a server in a data folder."""
    host = urlsplit(url).netloc.replace(":", "-")
    return PasswordFile(folder / "passwords" / f"{host}.json")


def apply_team(
    port: LabelStudio,
    url: str,
    team: Team,
    passwords: PasswordFile,
    *,
    made: Callable[[Person], None] = lambda person: None,
) -> TeamCheck:
    """Make an account for everybody who lacks one; returns how things were before.

    Raises:
        VisitError: The server refused a sign-up; those made until then stay.
        ServerError: The server did not answer.
    """
    before = check_team(team, port.users())
    invite = port.invite_link().removeprefix(url) if before.missing else ""
    for person in before.missing:
        # The password is on the disk before the account is made: see `password_of`.
        with Visitor(url, person.email, passwords.password_of(person.email)) as visitor:
            visitor.sign_up(invite)
        made(person)
    return before


def to_json(check: TeamCheck) -> Mapping[str, list[str]]:
    """The check as `quorum team check --json` prints it."""
    return {
        "there": [str(person.id) for person in check.there],
        "missing": [str(person.id) for person in check.missing],
        "without_email": [str(person.id) for person in check.without_email],
        "left": [str(person.id) for person in check.left],
        "strangers": list(check.strangers),
    }
