"""Whether a team can finish rows under a policy: how many people are missing, at which stage, with which expertise.

This is the one place that says who is missing. It answers before anybody has labelled anything; what `decide` says of
a row on its way (`BLOCKED`, with a cure in a finding) is worded here too, so that both say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from review_rules.files.expressions import Facts, holds
from review_rules.files.policy import Policy, QaWhen
from review_rules.files.team import Person, Team, may_take
from review_rules.values import ANY_EXPERT, GENERAL, Json, NextStep, PersonId, Stage

_MOST_NAMED = 5
"""People that a cure names; a team may have thousands."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """People whom a team lacks at one stage, so that some rows cannot become FINAL.

    Attributes:
        stage: where they are missing.
        domain: the expertise that they need; None if none is asked for.
        people: how many are missing.
        rows: the domains of the rows that cannot be finished, "" for rows without a domain.
        cure: what to change in the team file, as sentences.
    """

    stage: Stage
    domain: str | None
    people: int
    rows: tuple[str, ...]
    cure: str

    @property
    def message(self) -> str:
        """What is wrong, without the cure.

        >>> Shortage(Stage.QA, "legal", 1, ("legal",), "").message
        'rows of the domain legal cannot become final: 1 person is missing for QA, with the expertise legal'
        """
        named = [domain for domain in self.rows if domain]
        kinds = [f"of the domain {listed(named, 'or')}"] if named else []
        rows = f"rows {' and rows '.join(kinds + (['without a domain'] if '' in self.rows else []))}"
        missing = "1 person is missing" if self.people == 1 else f"{self.people} people are missing"
        skill = "" if self.domain is None else f", with the expertise {self.domain}"
        return f"{rows} cannot become final: {missing} for {self.stage.work}{skill}"

    def __str__(self) -> str:
        return f"{self.message}. {self.cure}"

    def to_json(self) -> dict[str, Json]:
        """The shortage as commands print it with `--json`."""
        return {
            "stage": self.stage.value,
            "domain": self.domain,
            "people": self.people,
            "rows": list(self.rows),
            "message": self.message,
            "hint": self.cure,
        }


class _Seat(NamedTuple):
    """One part in a row's way: who may take it, as `NextStep.requires` says it.

    `without` is an expertise that its holder must not have: such a person would fill a seat of another kind.
    """

    stage: Stage
    requires: tuple[str, ...] = ()
    without: str | None = None

    def fits(self, person: Person) -> bool:
        """Whether a person may take the seat, if they have no other part in the row."""
        return may_take(person, NextStep(self.stage, self.requires)) and self.without not in person.expertise


class _Seating(NamedTuple):
    """Who takes which seat, and the seats for which there is nobody."""

    taken: dict[int, Person]
    empty: list[_Seat]


def shortages(team: Team, policy: Policy, domains: Iterable[str] | None = None) -> tuple[Shortage, ...]:
    """Say who is missing for rows of these domains to become FINAL; nothing if the team can finish them.

    A row can be finished if there is a sequence of people, each allowed to take the step that `decide` asks for next,
    after which the row is FINAL. What they submit is the plainest of all: passes that agree, carry no flag and differ
    from no auto-label, and reviews that accept. A conflict, a flag or an escalation may ask for more people than that;
    such a row is BLOCKED once it comes to it, and `decide` says who could cure it. With `qa.when: sample` and a share
    above zero, the rows in the sample are meant.

    Of the ways in which the seats of a row can be filled, the one with the fewest empty seats is told, and adding just
    the people that it names is enough.

    Args:
        team: the team; whoever has a leaving time is asked for nothing.
        policy: how many look at a row, and which domains need experts.
        domains: the domains of the rows, "" for none; every domain that the policy knows, if not given.

    >>> from review_rules import load_policy, load_team
    >>> team = load_team("people: [{id: ana, roles: [annotator]}, {id: ben, roles: [annotator]}]")
    >>> [(lack.stage.value, lack.domain, lack.people) for lack in shortages(team, load_policy("{}"), ["technical"])]
    [('qa', 'technical', 1)]
    """
    wanted = ("", GENERAL, *policy.expert_domains) if domains is None else tuple(dict.fromkeys(domains))
    there = [person for person in team.people.values() if person.left is None]
    people: dict[tuple[Stage, str | None], int] = {}
    rows: dict[tuple[Stage, str | None], list[str]] = {}
    cures: dict[tuple[Stage, str | None], str] = {}
    for domain in wanted:
        seating = min((_seat(seats, there) for seats in _ways(policy, domain)), key=_burden)
        for seat, count in Counter(seat._replace(without=None) for seat in seating.empty).items():
            lack = (seat.stage, seat.requires[0] if seat.requires and seat.requires[0] != ANY_EXPERT else None)
            rows.setdefault(lack, []).append(domain)
            # People who are missing for one row are there for the next: the largest number is enough for all.
            if count > people.get(lack, 0):
                people[lack], cures[lack] = count, _cure(seat, count, seating, there)
    order = list(Stage)
    return tuple(
        Shortage(stage, domain, people[stage, domain], tuple(rows[stage, domain]), cures[stage, domain])
        for stage, domain in sorted(people, key=lambda lack: (order.index(lack[0]), lack[1] or ""))
    )


def _burden(seating: _Seating) -> tuple[int, int]:
    """How much is asked of a team that lacks people: their number first, then the expertise that they need."""
    return len(seating.empty), sum(len(seat.requires) for seat in seating.empty)


def _ways(policy: Policy, domain: str) -> Iterator[list[_Seat]]:
    """The seats of a row of this domain, once for each number of its experts that may be among the passes."""
    expertise = (domain,) if domain in policy.expert_domains else ()
    quorum = policy.expert_quorum if expertise else 0
    escalated = _escalates(policy, domain)
    sampled = policy.qa.when is QaWhen.SAMPLE and policy.qa.share > 0
    for holders in range(policy.passes + 1 if expertise else 1):
        seats = [_Seat(Stage.PASS, expertise)] * holders
        seats += [_Seat(Stage.PASS, (), domain if expertise else None)] * (policy.passes - holders)
        missed = holders < quorum
        if missed or escalated or sampled or policy.qa.when is QaWhen.ALL:
            # A quorum that the passes missed makes `decide` ask for an expert of the domain at QA already.
            seats.append(_Seat(Stage.QA, expertise if missed else ()))
        later = max(quorum - holders - 1, int(escalated))
        seats += [_Seat(Stage.EXPERT, expertise or (ANY_EXPERT,))] * later
        yield seats


def _escalates(policy: Policy, domain: str) -> bool:
    """Whether an `escalate_when` expression is true of a plain row of this domain, or fails on it."""
    known = domain if domain in policy.known_domains else ""
    facts = Facts(known, (), (), tuple((name, 1.0) for name in policy.fields), False)
    return any(holds(source, facts)[0] for source in policy.escalate_when)


def _seat(seats: Sequence[_Seat], people: Sequence[Person]) -> _Seating:
    """Fill as many seats as possible, each with a person of its own (Kuhn 1955: augmenting paths, seat by seat)."""
    seat_of: dict[PersonId, int] = {}
    empty = [seat for place, seat in enumerate(seats) if not _fill(place, seats, people, seat_of, set())]
    by_id = {person.id: person for person in people}
    return _Seating({place: by_id[person_id] for person_id, place in seat_of.items()}, empty)


def _fill(
    place: int, seats: Sequence[_Seat], people: Sequence[Person], seat_of: dict[PersonId, int], tried: set[PersonId]
) -> bool:
    """Find somebody for a seat; whoever sits elsewhere moves, if another can sit there."""
    for person in people:
        if person.id in tried or not seats[place].fits(person):
            continue
        tried.add(person.id)
        if person.id not in seat_of or _fill(seat_of[person.id], seats, people, seat_of, tried):
            seat_of[person.id] = place
            return True
    return False


def _cure(seat: _Seat, count: int, seating: _Seating, people: Sequence[Person]) -> str:
    seated = {person.id for person in seating.taken.values()}
    free = [person for person in people if person.id not in seated]
    each = "" if count == 1 else f"for each of the {count}, "
    return f"In the team file, {each}{ways_out(NextStep(seat.stage, seat.requires), free, most=_MOST_NAMED)}."


def ways_out(step: NextStep, people: Iterable[Person], *, most: int | None = None) -> str:
    """What would let somebody take a step that nobody of these people may take, as part of a sentence.

    Args:
        step: the step; `excluded` is not looked at.
        people: who could be given what they lack.
        most: the number of people to name; everybody, if not given.

    >>> ways_out(NextStep(Stage.QA, ("legal",)), [Person(PersonId("max"), expertise=frozenset({"legal"}))])
    'give the role `expert` or `qa` to max; or add somebody with the role `expert` or `qa` and the expertise legal'
    """
    roles = " or ".join(f"`{role}`" for role in sorted(step.stage.roles))
    ordered = sorted(people, key=lambda person: person.id)
    skilled = [person.id for person in ordered if all(map(person.holds, step.requires))]
    placed = [person.id for person in ordered if not person.roles.isdisjoint(step.stage.roles)]
    ways = [f"give the role {roles} to {_named(skilled, most)}"] if skilled else []
    if placed:
        ways.append(f"give {requirement_text(step.requires)} to {_named(placed, most)}, if they have it")
    skill = f" and {requirement_text(step.requires)}" if step.requires else ""
    ways.append(f"add somebody with the role {roles}{skill}")
    return "; or ".join(ways)


def step_text(step: NextStep) -> str:
    """A step as part of a sentence.

    >>> step_text(NextStep(Stage.EXPERT, ("legal",)))
    'expert review by somebody with the expertise legal'
    """
    if not step.requires:
        return f"the next {step.stage}"
    return f"{step.stage} review by somebody with {requirement_text(step.requires)}"


def requirement_text(requires: Sequence[str]) -> str:
    """What a step asks for, as part of a sentence.

    >>> requirement_text(["*"]), requirement_text(["legal", "technical"])
    ('the role `expert`', 'the expertise legal and technical')
    """
    return "the role `expert`" if tuple(requires) == (ANY_EXPERT,) else f"the expertise {listed(requires)}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words for a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _named(people: Sequence[str], most: int | None) -> str:
    if most is None or len(people) <= most:
        return listed(people, "or")
    return f"{', '.join(people[:most])} or {len(people) - most} more"
