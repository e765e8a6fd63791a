"""The team file: who is there, what each may do, and what each is an expert of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType

from review_rules.canonical_json import canonical_text
from review_rules.files.faults import Fault, FaultsError
from review_rules.files.located import Located, did_you_mean, read_yaml
from review_rules.files.policy import Policy
from review_rules.instants import parse_instant
from review_rules.values import ANY_EXPERT, Instant, Json, NextStep, PersonId, Role

EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
"""What an address must look like; whether it exists is for the invitation to find out."""


@dataclass(frozen=True, slots=True)
class Person:
    """One member of the team.

    `left` is the instant from which on they are gone (None: they are there). `former_emails` are addresses under which
    accounts of theirs were made before `email` was theirs.
    """

    id: PersonId
    email: str = ""
    roles: frozenset[Role] = frozenset()
    expertise: frozenset[str] = frozenset()
    left: Instant | None = None
    hours_per_week: float | None = None
    rate_per_hour: float | None = None
    former_emails: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address by which an account is theirs, that of now first, as accounts are told apart by them."""
        # Lower case, not case-folded: that would make one of addresses that are two.
        return tuple(email.lower() for email in (self.email, *self.former_emails) if email)

    def holds(self, requirement: str) -> bool:
        """Whether the person meets one entry of `requires`: a domain, or `*` for any expert."""
        return Role.EXPERT in self.roles if requirement == ANY_EXPERT else requirement in self.expertise

    def to_json(self) -> dict[str, Json]:
        """What decisions rest on, in one form for equal content; the leaving time in nanoseconds since 1970."""
        return {
            "id": self.id,
            "roles": sorted(self.roles),
            "expertise": sorted(self.expertise),
            "left": self.left,
        }


@dataclass(frozen=True, slots=True)
class Team:
    """The team by person id; `warnings` are doubts about the file that do not stop anything.

    `hash` is made of what decisions rest on: each person's id, roles, expertise and leaving time. Addresses, hours and
    rates are left out, so that an export can be proved with a team file that does not tell them.
    """

    people: Mapping[PersonId, Person]
    warnings: tuple[Fault, ...] = ()
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        text = canonical_text([self.people[person].to_json() for person in sorted(self.people)])
        object.__setattr__(self, "hash", "sha256:" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def can_do(person: Person, step: NextStep, at: Instant | None = None) -> bool:
    """Whether a person has a role for a step, is not excluded and has not left (or left later than `at`)."""
    gone = person.left is not None and (at is None or at >= person.left)
    if gone or person.id in step.excluded or step.is_kept_from(person.id):
        return False
    return not person.roles.isdisjoint(step.stage.roles)


def may_take(person: Person, step: NextStep, at: Instant | None = None) -> bool:
    """Whether a person may take a step: role, exclusion, expertise.

    Args:
        person: a member of the team.
        step: the step a row waits for.
        at: the instant at which they would take it. Without one, whoever has a leaving time is asked for nothing.

    >>> from review_rules.values import NextStep, Role, Stage
    >>> dag = Person(PersonId("dag"), roles=frozenset({Role.EXPERT}), expertise=frozenset({"legal"}))
    >>> may_take(dag, NextStep(Stage.QA, requires=("legal",)))
    True
    >>> may_take(dag, NextStep(Stage.QA, requires=("legal",), excluded=(PersonId("dag"),)))
    False
    """
    return can_do(person, step, at) and all(map(person.holds, step.requires))


def load_team(text: str, *, name: str = "team.yaml", policy: Policy | None = None) -> Team:
    """Read a team file.

    Args:
        text: the file's content, YAML or JSON.
        name: what faults call the file.
        policy: with it, domains of expertise that it does not know become warnings.

    Raises:
        FaultsError: the file has faults; all of them, with line and column.

    >>> load_team("people: [{id: ana, roles: [annotator]}]").people["ana"].roles
    frozenset({<Role.ANNOTATOR: 'annotator'>})
    """
    root = read_yaml(text, name)
    reader = _Reader(policy)
    keys = root.known(("people",), required=("people",))
    for place in keys["people"].items() if "people" in keys else ():
        reader.read(place)
    if root.faults:
        raise FaultsError(tuple(sorted(root.faults, key=lambda fault: (fault.line, fault.column))))
    return Team(MappingProxyType(reader.people), tuple(reader.warnings))


_PERSON = ("id", "email", "roles", "expertise", "left", "hours_per_week", "rate_per_hour", "former_emails")


class _Reader:
    """Reads people one by one and remembers who was there already."""

    def __init__(self, policy: Policy | None) -> None:
        self.policy = policy
        self.people: dict[PersonId, Person] = {}
        self.emails: dict[str, int] = {}
        self.warnings: list[Fault] = []

    def read(self, place: Located) -> None:
        keys = place.known(_PERSON, required=("id", "roles"))
        written = {name: value for name, value in keys.items() if not (value.is_null and name in _PERSON[3:])}
        person = Person(
            id=PersonId((written["id"].text() if "id" in written else None) or ""),
            email=self._email(written["email"]) if "email" in written else "",
            roles=_roles(written["roles"]) if "roles" in written else frozenset(),
            expertise=self._expertise(written["expertise"]) if "expertise" in written else frozenset(),
            left=_left(written["left"]) if "left" in written else None,
            hours_per_week=written["hours_per_week"].number(0, 168) if "hours_per_week" in written else None,
            rate_per_hour=written["rate_per_hour"].number(0) if "rate_per_hour" in written else None,
            former_emails=self._former(written["former_emails"]) if "former_emails" in written else (),
        )
        if person.id in self.people:
            written["id"].fault(f"the person `{person.id}` stands in the file twice", "Give each person one entry.")
        if person.id:
            self.people[person.id] = person

    def _email(self, place: Located) -> str:
        email = place.text() or ""
        if email and not EMAIL.fullmatch(email):
            place.fault(f"`{email}` is no email address", "Write it as name@example.com.")
        first = self.emails.setdefault(email.lower(), place.line)
        if email and (first != place.line or any(email.lower() in person.addresses for person in self.people.values())):
            place.fault(f"the address `{email}` stands in the file twice", f"The first is on line {first}.")
        return email

    def _former(self, place: Located) -> tuple[str, ...]:
        return tuple(email for item in place.items() if (email := self._email(item)))

    def _expertise(self, place: Located) -> frozenset[str]:
        known = None if self.policy is None else self.policy.known_domains
        domains = set()
        for item in place.items():
            domain = item.text()
            if domain is None:
                continue
            if domain == ANY_EXPERT:
                item.fault("`*` is no domain", "Name the domains one by one.")
            domains.add(domain)
            if known is not None and domain not in known:
                message = f"the policy does not know the domain `{domain}`"
                hint = did_you_mean(domain, sorted(known)) + " It may be meant for another campaign."
                self.warnings.append(Fault(item.file, item.line, item.column, item.path, message, hint))
        return frozenset(domains)


def _roles(place: Located) -> frozenset[Role]:
    words = (item.one_of(Role, "role") for item in place.items())
    return frozenset(word for word in words if word is not None)


def _left(place: Located) -> Instant | None:
    instant = parse_instant(str(place.node.value)) if isinstance(place.node.value, str) else None
    if instant is None:
        place.fault("this is no time with an offset", "Write it as 2026-01-31T17:00:00Z.")
    return instant
