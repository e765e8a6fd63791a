"""The accounts of a campaign's people on a server that Quorum runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from review_rules import Person
from workflow.running.folder import Secrets
from workflow.running.label_studio import Owner
from workflow.running.people import Visitor, invite_link


@dataclass(frozen=True)
class Account:
    """A person of the team and how they log in.

    Args:
        person: As the team file says.
        password: None if they made their account themselves, so that only they know it.
    """

    person: Person
    password: str | None


def ensure_accounts(
    url: str, secrets: Secrets, people: Iterable[Person], keep: Callable[[Secrets], None]
) -> list[Account]:
    """Make the accounts that are missing, by the invite link and the sign-up form.

    Args:
        url: Label Studio's address.
        secrets: Where the passwords are; new ones are added.
        people: The team.
        keep: Stores the secrets; called before the first account is made, so that no crash loses a password.

    Raises:
        VisitError: The server refused.
    """
    team = list(people)
    held = _emails(url, secrets.owner)
    missing = [person for person in team if person.email.casefold() not in held]
    passwords = {person.email: secrets.password_of(person.email) for person in missing}
    keep(secrets)
    invite = invite_link(url, secrets.owner.token) if missing else ""
    for email, password in passwords.items():
        with Visitor(url, email, password) as visitor:
            visitor.sign_up(invite)
    known = {secrets.owner.email: secrets.owner.password, **secrets.people}
    return [Account(person, known.get(person.email)) for person in team]


def _emails(url: str, owner: Owner) -> set[str]:
    with Visitor(url, owner.email, owner.password) as visitor:
        visitor.log_in()
        answer = visitor.get("/api/users")
        answer.raise_for_status()
        return {str(user["email"]).casefold() for user in answer.json()}
