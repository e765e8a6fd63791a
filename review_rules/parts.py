"""Who takes part in a row: the submissions that count, and which experts the row still needs after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from review_rules.files.policy import Policy
from review_rules.files.team import Person
from review_rules.values import ANY_EXPERT, DOMAIN_FLAG, NEEDS_EXPERT, PersonId, Submission, Word
from review_rules.versions import RulesVersion

SETTLING = frozenset({Word.ACCEPT, Word.CORRECT})
"""The words of a review that stands by a label."""


@dataclass(slots=True)
class Parts:
    """The counted submissions of one row, filled stage by stage.

    Attributes:
        people: the team.
        policy: what the campaign asks for.
        rules: the version of the rules that decides.
        domain: the row's own domain, None if it has none that the policy knows.
        escalated: whether an `escalate_when` expression is true of the row.
        passes: in line order.
        qa: the counted QA, if any.
        experts: in order of time.
        returns: the QA reviews that gave passes back, in order of time; they have no other part in the row.
        asked_again: the people whose passes were given back and have not come in again.
    """

    people: Mapping[PersonId, Person]
    policy: Policy
    rules: RulesVersion
    domain: str | None
    escalated: bool = False
    passes: list[Submission] = field(default_factory=list)
    qa: Submission | None = None
    experts: list[Submission] = field(default_factory=list)
    returns: list[Submission] = field(default_factory=list)
    asked_again: list[PersonId] = field(default_factory=list)

    @property
    def shaping(self) -> list[Submission]:
        """The counted reviews whose values enter the label, QA first.

        What a review says that escalates or discards is an opinion for whoever comes next.
        """
        reviews = self.experts if self.qa is None else [self.qa, *self.experts]
        return [review for review in reviews if self.rules.hears_opinions or review.word in SETTLING]

    @property
    def counted(self) -> list[Submission]:
        """Every counted submission, passes first."""
        return self.passes + self.experts if self.qa is None else [*self.passes, self.qa, *self.experts]

    def effective_domains(self) -> list[str]:
        """The expert domains of the row, by its own domain or a flag of any counted submission."""
        named = {self.domain}
        for submission in self.counted:
            for flag in submission.flags:
                if flag.startswith(DOMAIN_FLAG):
                    named.add(flag[len(DOMAIN_FLAG) :])
        return [domain for domain in self.policy.expert_domains if domain in named]

    def missed_domains(self) -> list[str]:
        """The effective domains that have too few experts among the people whose submissions count."""
        effective = self.effective_domains()
        if not effective:
            return effective
        expertise = [self.people[submission.by].expertise for submission in self.counted]
        quorum = self.policy.expert_quorum
        return [domain for domain in effective if sum([domain in known for known in expertise]) < quorum]

    def wants_expert(self) -> bool:
        """Whether a `needs_expert` flag of a counted submission is unmet."""
        counted = self.counted
        for submission in counted:
            if NEEDS_EXPERT in submission.flags:
                # Nobody can be the expert that they themselves ask for.
                others = [self.people[other.by] for other in counted if other is not submission]
                needed = self.effective_domains() or [ANY_EXPERT]
                if not all(any(other.holds(domain) for other in others) for domain in needed):
                    return True
        return False

    def is_expert_due(self) -> bool:
        """Whether an expert review is due after the submissions counted so far."""
        if self.qa is None:
            return False
        # A discard ends the row, and an expert who escalates blocks it: nobody is asked after either.
        if self.qa.word is Word.DISCARD:
            return False
        for review in self.experts:
            if review.word is Word.DISCARD or review.word is Word.ESCALATE:
                return False
        asked = self.escalated or self.qa.word is Word.ESCALATE
        return (asked and not self.experts) or bool(self.missed_domains()) or self.wants_expert()
