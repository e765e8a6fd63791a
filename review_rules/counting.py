"""Which submissions of a row count. What does not count is never dropped silently: it leaves a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from review_rules.canonical import is_blank
from review_rules.canonical_json import json_text
from review_rules.fields import NOTHING_COMPARED, PassesCompared
from review_rules.findings import Finding, finding
from review_rules.parts import SETTLING, Parts
from review_rules.staffing import listed
from review_rules.values import Form, Instant, PersonId, RowHistory, Submission, Word


class _Line(NamedTuple):
    """The latest pass of each person, as far as it can count, in the order in which people came first.

    `standing` are those that count; `surplus` those of people further down the line; `given_back` those that QA gave
    back and that have not come in again; `asked_again` the people of these who keep their place.
    """

    standing: list[Submission]
    surplus: list[Submission]
    given_back: list[Submission]
    asked_again: list[PersonId]

    @classmethod
    def of(cls, passes: Sequence[Submission], back: Mapping[PersonId, Instant], parts: Parts) -> _Line:
        """The line of these passes, given in order of time; `back` says when each person's was given back last."""
        latest = {submission.by: submission for submission in passes}
        given_back = [entry for entry in latest.values() if entry.by in back and entry.at <= back[entry.by]]
        # Whoever has left is asked for nothing more, so that their place falls to the next in line.
        gone = [entry for entry in given_back if parts.people[entry.by].left is not None]
        line = [entry for entry in latest.values() if entry not in gone]
        head, surplus = line[: parts.policy.passes], line[parts.policy.passes :]
        return cls(
            [entry for entry in head if entry not in given_back],
            [entry for entry in surplus if entry not in given_back],
            given_back,
            [entry.by for entry in head if entry in given_back],
        )


class Counting:
    """Fills a row's `Parts`, first with the passes, then with the reviews, and notes why the others do not count."""

    __slots__ = ("_compared", "_history", "_parts", "_required", "findings")

    def __init__(self, history: RowHistory, parts: Parts, findings: list[Finding]) -> None:
        self._history = history
        self._parts = parts
        self._compared = NOTHING_COMPARED
        heeded = history.fields.values() if parts.rules.heeds_required else ()
        self._required = [field for field in heeded if field.required]
        self.findings = findings

    def count_passes(self) -> bool:
        """Count the latest pass of each person, in the order in which people came first; say whether all are there."""
        admitted = [entry for entry in self._history.passes if self._admits(entry) and not self._lacks_value(entry)]
        able = in_order(admitted)
        returns = in_order([review for review in self._history.qa if self._is_return(review)])
        back = self._count_returns(returns, able) if returns else {}
        if back:
            able = self._blind(able)
        latest = {submission.by: submission for submission in able}
        for submission in able:
            if latest[submission.by] is not submission:
                self._note("QR.W026", submission)
        line, parts = _Line.of(able, back, self._parts), self._parts
        for submission in line.surplus:
            self._note("QR.W027", submission, passes=parts.policy.passes)
        for submission in line.given_back:
            self._note("QR.W060", submission)
        parts.passes, parts.asked_again = line.standing, line.asked_again
        return len(line.standing) >= parts.policy.passes

    def _count_returns(self, returns: Sequence[Submission], passes: Sequence[Submission]) -> dict[PersonId, Instant]:
        """Count the returns, given in order of time, and say when each person's pass was given back last."""
        back: dict[PersonId, Instant] = {}
        for review in returns:
            earlier = [entry for entry in passes if entry.at < review.at and not self._is_by_returner(entry)]
            before = _Line.of(earlier, back, self._parts)
            if self._admits(review) and self._may_return(review, before.standing):
                back |= dict.fromkeys(review.to, review.at)
                self._parts.returns.append(review)
        return back

    def _may_return(self, review: Submission, passes: Sequence[Submission]) -> bool:
        """Whether a return of these passes, which stood at its time, counts."""
        parts, named = self._parts, listed(review.to) if review.to else "nobody"
        if len(parts.returns) >= parts.policy.returns.most:
            self._note("QR.W061", review, most=parts.policy.returns.most, count=len(parts.returns))
        elif len(passes) < parts.policy.passes:
            self._note("QR.W028", review)
        elif self._is_self_review(review, passes) or self._predates_reopening(review) or self._lacks_reason(review):
            return False
        elif not review.to or not {entry.by for entry in passes}.issuperset(review.to):
            self._note("QR.W062", review, named=named)
        else:
            return True
        return False

    def _blind(self, passes: Sequence[Submission]) -> list[Submission]:
        """The passes without those of people who had returned the row before: they have read the others."""
        for submission in passes:
            if self._is_by_returner(submission):
                self._note("QR.W030", submission, part="a return")
        return [submission for submission in passes if not self._is_by_returner(submission)]

    def _is_by_returner(self, submission: Submission) -> bool:
        """Whether a pass is by somebody whose return of the row counts, and no earlier than that."""
        return any(review.by == submission.by and review.at <= submission.at for review in self._parts.returns)

    def _is_return(self, submission: Submission) -> bool:
        return submission.word is Word.RETURN and self._parts.rules.heeds_returns

    def count_reviews(self, compared: PassesCompared) -> None:
        """Count QA and expert reviews of a row whose passes are complete.

        Args:
            compared: what the passes come to: a review has to give a value to what they leave open.
        """
        self._compared = compared
        self._parts.qa = self._count_qa(max(entry.at for entry in self._parts.passes))
        self._count_experts()

    def refuse_reviews(self) -> None:
        """Count no review, because passes are missing."""
        for submission in (*self._history.qa, *self._history.expert):
            if not self._is_return(submission) and self._admits(submission):
                self._note("QR.W028", submission)

    def _count_qa(self, complete_at: Instant) -> Submission | None:
        """The latest QA by anybody who may do it."""
        able: list[Submission] = []
        returns = self._parts.returns
        for submission in self._history.qa:
            if self._is_return(submission) or not self._admits(submission):
                continue
            if self._is_self_review(submission, self._parts.passes):
                continue
            if submission.at <= complete_at:
                self._note("QR.W029", submission, what="the last pass")
            elif returns and submission.at <= returns[-1].at:
                self._note("QR.W029", submission, what="the return of the row")
            elif self._predates_reopening(submission) or self._lacks_reason(submission):
                continue
            elif not self._leaves_open(submission):
                able.append(submission)
        latest = self._latest_each(in_order(able))
        for submission in latest[:-1]:
            self._note("QR.W034", submission)
        return latest[-1] if latest else None

    def _count_experts(self) -> None:
        """The latest expert review of each person, in order of time, as long as one is due."""
        able: list[Submission] = []
        qa = self._parts.qa
        for submission in self._history.expert:
            if not self._admits(submission):
                continue
            if qa is None:
                self._note("QR.W037", submission)
            elif self._is_self_review(submission, [*self._parts.passes, qa]):
                continue
            elif submission.at <= qa.at:
                self._note("QR.W029", submission, what="the counted QA")
            elif not self._predates_reopening(submission) and not self._lacks_reason(submission):
                able.append(submission)
        able = in_order(able)
        while (rejected := self._walk_experts(able)) is not None:
            # What does not count must not stand in the way of an earlier version by the same person.
            able = [submission for submission in able if submission is not rejected]
        self._latest_each(able)

    def _walk_experts(self, able: Sequence[Submission]) -> Submission | None:
        """Count reviews in order of time; stop at one that would leave a conflict open, and return it."""
        parts = self._parts
        latest = {submission.by: submission for submission in able}
        parts.experts = []
        # Noted only once the walk goes through: a walk that stops is made again without the review it stopped at.
        refused: list[tuple[str, Submission, dict[str, object]]] = []
        for submission in able:
            if latest[submission.by] is not submission:
                continue
            missed = parts.missed_domains()
            if not parts.is_expert_due():
                refused.append(("QR.W035", submission, {}))
            elif missed and parts.people[submission.by].expertise.isdisjoint(missed):
                refused.append(("QR.W036", submission, {"domains": listed(missed)}))
            elif self._leaves_open(submission):
                return submission
            else:
                parts.experts.append(submission)
        for rule_id, submission, details in refused:
            self._note(rule_id, submission, **details)
        return None

    def _latest_each(self, ordered: Sequence[Submission]) -> list[Submission]:
        """The latest submission of each person, in order of time."""
        latest = {submission.by: submission for submission in ordered}
        for submission in ordered:
            if latest[submission.by] is not submission:
                self._note("QR.W026", submission)
        return [submission for submission in ordered if latest[submission.by] is submission]

    def _admits(self, submission: Submission) -> bool:
        """Whether a submission is whole and its person was there and had a role for it."""
        if submission.fault is not None:
            self.findings.append(submission.fault)
            return False
        if submission.word is Word.RETURN and not self._parts.rules.heeds_returns:
            self._note("QR.W031", submission)
            return False
        person = self._parts.people.get(submission.by)
        if person is None:
            self._note("QR.W023", submission)
        elif person.roles.isdisjoint(submission.stage.roles):
            self._note("QR.W024", submission, roles=" or ".join(sorted(submission.stage.roles)))
        elif person.left is not None and submission.at >= person.left:
            self._note("QR.W025", submission)
        else:
            return True
        return False

    def _is_self_review(self, submission: Submission, earlier: Sequence[Submission]) -> bool:
        for own in earlier:
            if own.by == submission.by:
                self._note("QR.W030", submission, part="the QA" if own is self._parts.qa else "a pass")
                return True
        return False

    def _predates_reopening(self, submission: Submission) -> bool:
        reopened = self._history.reopened if self._parts.rules.heeds_reopening else None
        if reopened is None or submission.at > reopened:
            return False
        self._note("QR.W050", submission)
        return True

    def _lacks_reason(self, submission: Submission) -> bool:
        if submission.word in SETTLING or submission.reason.strip():
            return False
        self._note("QR.W032", submission, word=submission.word)
        return True

    def _lacks_value(self, submission: Submission) -> bool:
        """Whether a pass gives a required field no value."""
        lacking = [field.name for field in self._required if is_blank(field, submission.forms.get(field.name))]
        if lacking:
            self._note("QR.W038", submission, fields=listed(lacking))
        return bool(lacking)

    def _leaves_open(self, submission: Submission) -> bool:
        """Whether an accept or correct leaves a field without a value that has to have one."""
        open_fields = self._compared.open_fields
        if not (open_fields or self._required) or submission.word not in SETTLING:
            return False
        reviews = [*self._parts.shaping, submission]
        still_open = [name for name in open_fields if not any(name in review.forms for review in reviews)]
        if still_open:
            self._note("QR.W033", submission, word=submission.word, fields=listed(still_open))
            return True
        blank = [field.name for field in self._required if is_blank(field, self._value_after(reviews, field.name))]
        if blank:
            self._note("QR.W039", submission, word=submission.word, fields=listed(blank))
        return bool(blank)

    def _value_after(self, reviews: Sequence[Submission], name: str) -> Form | None:
        """The value that a field has after these reviews, given in order of time."""
        for review in reversed(reviews):
            if name in review.forms:
                return review.forms[name]
        proposed = self._compared.proposal.get(name)
        return None if proposed is None else proposed[0]

    def _note(self, rule_id: str, submission: Submission, **details: object) -> None:
        """Add a finding about a whole submission: why it does not count."""
        self.findings.append(finding(rule_id, submission.path, person=submission.by, **details))


def in_order(submissions: Sequence[Submission]) -> list[Submission]:
    """Submissions in order of time; ties by person id, one person's by their JSON text."""
    if len(submissions) < 2:
        return list(submissions)
    ordered = sorted(submissions, key=_moment)
    if any([first.at == second.at and first.by == second.by for first, second in pairwise(ordered)]):  # noqa: C419
        # JSON text is dear to make, and one person's submissions of one instant are rare.
        ordered.sort(key=lambda submission: (*_moment(submission), json_text(submission.raw)))
    return ordered


def _moment(submission: Submission) -> tuple[Instant, PersonId]:
    return submission.at, submission.by
