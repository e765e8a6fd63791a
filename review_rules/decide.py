"""`decide`: the only place where it is decided what happens to a row. Pure and total; the rules are docs/rules.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from review_rules.canonical import same_forms
from review_rules.canonical_json import json_text
from review_rules.compare import compare
from review_rules.files.expressions import Facts, holds
from review_rules.files.policy import EXACT, Measure, Policy, ProposalFrom, QaWhen, suitable_measures
from review_rules.files.team import Team, can_do, may_take
from review_rules.findings import Finding, finding
from review_rules.propose import propose
from review_rules.sampling import in_share
from review_rules.values import (
    ANY_EXPERT,
    DOMAIN_FLAG,
    NEEDS_EXPERT,
    Certificate,
    Decision,
    Field,
    FieldComparison,
    FinalValue,
    Form,
    Instant,
    NextStep,
    Origin,
    PersonId,
    Proposed,
    RowHistory,
    Stage,
    State,
    Submission,
    Word,
    to_value,
)

_NOTHING: Mapping[object, object] = {}


def decide(history: RowHistory, team: Team, policy: Policy) -> Decision:
    """What happens to a row: its state, the next step, and, once it is final, its label and who stands behind it.

    Args:
        history: the row and every submission, in any order.
        team: who may do what.
        policy: how many look at a row, and when QA and experts are due.

    >>> from review_rules import load_policy, load_team, parse_history
    >>> team = load_team("people: [{id: ana, roles: [annotator]}, {id: ben, roles: [annotator]}]")
    >>> row = parse_history({"row_id": "r1", "fields": {}})
    >>> decide(row, team, load_policy("passes: 2")).state
    <State.AWAITING_PASSES: 'AWAITING_PASSES'>
    """
    return _Case(history, team, policy).decide()


class _Case:
    """One row on its way through the rules. Counted submissions are fixed in the order passes, QA, expert reviews."""

    def __init__(self, history: RowHistory, team: Team, policy: Policy) -> None:
        self.history = history
        self.people = team.people
        self.policy = policy
        self.found: list[Finding] = list(history.findings)
        self.passes: list[Submission] = []
        self.qa: Submission | None = None
        self.experts: list[Submission] = []
        self.comparison: dict[str, FieldComparison] = {}
        self.proposal: dict[str, tuple[Form, Origin]] = {}
        self.open_fields: list[str] = []
        self.escalated = False
        self.domain = self._row_domain()

    def decide(self) -> Decision:
        self.passes = self._count_passes()
        complete = len(self.passes) == self.policy.passes
        if complete:
            self._compare(self._measures())
            self.escalated = self._escalation()
            self.qa = self._count_qa(max(s.at for s in self.passes))
            self.experts = self._count_experts()
        else:
            self._measures()
            self._refuse_reviews()
        self._note_counted()
        state, step = self._state(complete)
        final = state is State.FINAL
        return Decision(
            self.history.row_id,
            state,
            step,
            self.comparison,
            self._proposed(),
            tuple(sorted(self.found, key=_finding_order)) if self.found else (),
            self._final() if final else None,
            self._certificate() if final else None,
            {
                Stage.PASS: tuple([s.place for s in self.passes]),
                Stage.QA: () if self.qa is None else (self.qa.place,),
                Stage.EXPERT: tuple([s.place for s in self.experts]),
            },
        )

    # Who counts.

    def _count_passes(self) -> list[Submission]:
        """The latest pass of each person, in the order in which people came first, up to `passes`."""
        line: dict[PersonId, Submission] = {}
        for submission in in_order([s for s in self.history.passes if self._admits(s)]):
            earlier = line.get(submission.by)
            if earlier is not None:
                self._tell("QR.W026", earlier)
            line[submission.by] = submission
        queue = list(line.values())
        for submission in queue[self.policy.passes :]:
            self._tell("QR.W027", submission, passes=self.policy.passes)
        return queue[: self.policy.passes]

    def _count_qa(self, complete_at: Instant) -> Submission | None:
        """The latest QA by anybody who may do it."""
        able: list[Submission] = []
        for submission in self.history.qa:
            if not self._admits(submission) or self._is_self_review(submission, self.passes):
                continue
            if submission.at <= complete_at:
                self._tell("QR.W029", submission, what="the last pass")
            elif not self._lacks_reason(submission) and not self._leaves_open(submission, []):
                able.append(submission)
        latest = self._latest_each(in_order(able))
        for submission in latest[:-1]:
            self._tell("QR.W034", submission)
        return latest[-1] if latest else None

    def _latest_each(self, ordered: Sequence[Submission]) -> list[Submission]:
        """The latest submission of each person, in order of time."""
        latest = {submission.by: submission for submission in ordered}
        for submission in ordered:
            if latest[submission.by] is not submission:
                self._tell("QR.W026", submission)
        return [submission for submission in ordered if latest[submission.by] is submission]

    def _count_experts(self) -> list[Submission]:
        """The latest expert review of each person, in order of time, as long as one is due."""
        able: list[Submission] = []
        for submission in self.history.expert:
            if not self._admits(submission):
                continue
            if self.qa is None:
                self._tell("QR.W037", submission)
            elif self._is_self_review(submission, [*self.passes, self.qa]):
                continue
            elif submission.at <= self.qa.at:
                self._tell("QR.W029", submission, what="the counted QA")
            elif not self._lacks_reason(submission):
                able.append(submission)
        able = in_order(able)
        while (rejected := self._walk_experts(able)) is not None:
            # What does not count must not stand in the way of an earlier version by the same person.
            able = [submission for submission in able if submission is not rejected]
        self._latest_each(able)
        return self.experts

    def _walk_experts(self, able: Sequence[Submission]) -> Submission | None:
        """Count reviews in order of time; stop at one that would leave a conflict open, and return it."""
        latest = {submission.by: submission for submission in able}
        self.experts = []
        refused: list[tuple[str, Submission, dict[str, object]]] = []
        for submission in able:
            if latest[submission.by] is not submission:
                continue
            missed = self._missed()
            if not self._expert_due():
                refused.append(("QR.W035", submission, {}))
            elif missed and self.people[submission.by].expertise.isdisjoint(missed):
                refused.append(("QR.W036", submission, {"domains": _listed(missed)}))
            elif self._leaves_open(submission, self.experts):
                return submission
            else:
                self.experts.append(submission)
        for rule_id, submission, details in refused:
            self._tell(rule_id, submission, **details)
        return None

    def _refuse_reviews(self) -> None:
        """No review counts while passes are missing."""
        for submission in (*self.history.qa, *self.history.expert):
            if self._admits(submission):
                self._tell("QR.W028", submission)

    def _admits(self, submission: Submission) -> bool:
        """Whether a submission is whole and its person was there and had a role for it."""
        if submission.fault is not None:
            self.found.append(submission.fault)
            return False
        person = self.people.get(submission.by)
        if person is None:
            self._tell("QR.W023", submission)
        elif person.roles.isdisjoint(submission.stage.roles):
            self._tell("QR.W024", submission, roles=" or ".join(sorted(submission.stage.roles)))
        elif person.left is not None and submission.at >= person.left:
            self._tell("QR.W025", submission)
        else:
            return True
        return False

    def _is_self_review(self, submission: Submission, earlier: Sequence[Submission]) -> bool:
        for own in earlier:
            if own.by == submission.by:
                self._tell("QR.W030", submission, part="the QA" if own is self.qa else "a pass")
                return True
        return False

    def _lacks_reason(self, submission: Submission) -> bool:
        if submission.word not in (Word.ESCALATE, Word.DISCARD) or submission.reason.strip():
            return False
        self._tell("QR.W032", submission, word=submission.word)
        return True

    def _leaves_open(self, submission: Submission, before: Sequence[Submission]) -> bool:
        """Whether an accept or correct leaves a field in conflict to which nobody so far gave a value."""
        if not self.open_fields or submission.word not in (Word.ACCEPT, Word.CORRECT):
            return False
        reviews = [submission, *before] + ([self.qa] if self.qa is not None else [])
        left = [name for name in self.open_fields if not any(name in review.forms for review in reviews)]
        if left:
            self._tell("QR.W033", submission, word=submission.word, fields=_listed(left))
        return bool(left)

    def _tell(self, rule_id: str, submission: Submission, **details: object) -> None:
        """A finding about a whole submission, mostly the one that says why it does not count."""
        self.found.append(finding(rule_id, submission.path, person=submission.by, **details))

    def _counted(self) -> list[Submission]:
        """Every counted submission, passes first."""
        return self.passes + self.experts if self.qa is None else [*self.passes, self.qa, *self.experts]

    # Which domain.

    def _row_domain(self) -> str | None:
        """The given, else the predicted domain; unknown ones are ignored."""
        known: str | None = None
        for key, domain in (("predicted_domain", self.history.predicted_domain), ("domain", self.history.domain)):
            if domain is None:
                continue
            if domain in self.policy.known_domains:
                known = domain
            else:
                self.found.append(finding("QR.W007", key, domain=domain))
        return known

    def _effective(self) -> list[str]:
        """The expert domains of the row, by its own domain or a flag of any counted submission."""
        named = {self.domain}
        for submission in self._counted():
            for flag in submission.flags:
                if flag.startswith(DOMAIN_FLAG):
                    named.add(flag[len(DOMAIN_FLAG) :])
        return [domain for domain in self.policy.expert_domains if domain in named]

    def _missed(self) -> list[str]:
        """The effective domains that have too few experts among the people whose submissions count."""
        effective = self._effective()
        if not effective:
            return effective
        expertise = [self.people[submission.by].expertise for submission in self._counted()]
        quorum = self.policy.expert_quorum
        return [domain for domain in effective if sum([domain in held for held in expertise]) < quorum]

    def _expert_wanted(self) -> bool:
        """Whether a `needs_expert` flag of a counted submission is unmet."""
        counted = self._counted()
        for submission in counted:
            if NEEDS_EXPERT in submission.flags:
                others = [self.people[s.by] for s in counted if s is not submission]
                needed = self._effective() or [ANY_EXPERT]
                if not all(any(other.holds(domain) for other in others) for domain in needed):
                    return True
        return False

    def _note_counted(self) -> None:
        """Findings inside the submissions that count."""
        for submission in self._counted():
            self.found += submission.notes
            for number, flag in enumerate(submission.flags):
                domain = flag[len(DOMAIN_FLAG) :] if flag.startswith(DOMAIN_FLAG) else None
                if domain is not None and domain not in self.policy.known_domains:
                    self.found.append(finding("QR.W007", f"{submission.path}.flags[{number}]", domain=domain))

    # Comparison and proposal.

    def _measures(self) -> dict[str, Measure]:
        """The measure of each field; without one that suits it, a field is compared exactly."""
        measures: dict[str, Measure] = {}
        for name, field in self.history.fields.items():
            measure = self.policy.fields.get(name)
            if measure is None:
                self.found.append(finding("QR.W001", f"fields.{name}", field=name))
            elif field.kind not in measure.agree.kinds:
                suitable = ", ".join(suitable_measures(field.kind))
                details = {"field": name, "kind": field.kind, "measure": measure.agree, "suitable": suitable}
                self.found.append(finding("QR.W002", f"fields.{name}", **details))
                measure = None
            measures[name] = EXACT if measure is None else measure
        return measures

    def _compare(self, measures: Mapping[str, Measure]) -> None:
        """Fill `comparison`, `proposal` and `open_fields` from the counted passes."""
        may_use_auto = self.policy.proposal is ProposalFrom.PASSES_AUTO
        given = [submission.forms for submission in self.passes]
        for name, field in self.history.fields.items():
            forms = [form.get(name) for form in given]
            absent = forms.count(None)
            if absent and field.kind.is_set:
                forms = [_NOTHING if form is None else form for form in forms]
            compared = compare(forms, field, measures[name])
            self.comparison[name] = compared
            proposed = None
            if absent < len(forms):
                auto = self.history.auto.get(name) if may_use_auto else None
                proposed = propose(forms, field, measures[name], compared.agreed, auto)
            if proposed is not None:
                self.proposal[name] = proposed
            elif not compared.agreed:
                self.open_fields.append(name)

    def _proposed(self) -> dict[str, Proposed]:
        """The proposal as it pre-fills the next screen: after QA with what QA gave."""
        given = {} if self.qa is None else self.qa.forms
        proposal: dict[str, Proposed] = {}
        for name in self.history.fields:
            if name in given:
                proposal[name] = Proposed(to_value(given[name]), Origin.QA)
            elif name in self.proposal:
                form, origin = self.proposal[name]
                proposal[name] = Proposed(to_value(form), origin)
        return proposal

    def _escalation(self) -> bool:
        """Whether an `escalate_when` expression is true of the row; one that fails counts as true."""
        if not self.policy.escalate_when:
            return False
        facts = self._facts()
        outcomes = [holds(source, facts) for source in self.policy.escalate_when]
        for number, (source, (_, error)) in enumerate(zip(self.policy.escalate_when, outcomes, strict=True)):
            if error is not None:
                self.found.append(finding("QR.W040", f"escalate_when[{number}]", expression=source, error=error))
        return any(true for true, _ in outcomes)

    def _facts(self) -> Facts:
        return Facts(
            self.domain or "",
            tuple([flag for submission in self.passes for flag in submission.flags]),
            tuple([name for name, compared in self.comparison.items() if not compared.agreed]),
            tuple([(name, compared.score) for name, compared in self.comparison.items()]),
            self._auto_label_changed(),
        )

    def _auto_label_changed(self) -> bool:
        """Whether a value that the passes agree on differs from the auto-label."""
        for name, auto in self.history.auto.items():
            if not self.comparison[name].agreed:
                continue
            kind = self.history.fields[name].kind
            agreed = self.proposal[name][0] if name in self.proposal else _NOTHING if kind.is_set else None
            if agreed is not None and not same_forms(kind, agreed, auto):
                return True
        return False

    # States.

    def _state(self, complete: bool) -> tuple[State, NextStep | None]:
        """The first state that applies, and the step the row waits for."""
        for submission in self.experts:
            if submission.word is Word.ESCALATE:
                self._tell("QR.E002", submission, reason=submission.reason)
                return State.BLOCKED, None
        last = self.experts[-1] if self.experts else self.qa
        if last is not None and last.word is Word.DISCARD:
            return State.DISCARDED, None
        if not complete:
            return self._ask(State.AWAITING_PASSES, Stage.PASS, [])
        if self.qa is None and self._qa_due():
            return self._ask(State.AWAITING_QA, Stage.QA, self._qa_requires())
        if self._expert_due():
            requires = self._missed() or self._effective() or [ANY_EXPERT]
            return self._ask(State.AWAITING_EXPERT, Stage.EXPERT, requires)
        return State.FINAL, None

    def _qa_due(self) -> bool:
        """Whether the policy asks for QA of this row."""
        qa = self.policy.qa
        if qa.when is QaWhen.ALL or self._qa_needed():
            return True
        return qa.when is QaWhen.SAMPLE and in_share(self.history.row_id, qa.share, "qa")

    def _qa_needed(self) -> bool:
        """Whether something about the row asks for QA, whatever the sample."""
        return (
            self.escalated
            or any(not compared.agreed for compared in self.comparison.values())
            or any(not self.policy.asking_flags.isdisjoint(submission.flags) for submission in self.passes)
            or bool(self._missed())
        )

    def _qa_requires(self) -> list[str]:
        if self._expert_wanted():
            return self._effective() or [ANY_EXPERT]
        return self._missed()

    def _expert_due(self) -> bool:
        """Whether an expert review is due after the submissions counted so far."""
        if self.qa is None:
            return False
        reviews = [self.qa, *self.experts]
        if any(review.word is Word.DISCARD for review in reviews):
            return False
        if any(review.word is Word.ESCALATE for review in self.experts):
            return False
        asked = self.escalated or self.qa.word is Word.ESCALATE
        return (asked and not self.experts) or bool(self._missed()) or self._expert_wanted()

    def _ask(self, state: State, stage: Stage, requires: Sequence[str]) -> tuple[State, NextStep]:
        """The step, asking for less if nobody has all it asks for; BLOCKED if nobody may take it even so."""
        excluded = tuple(sorted([submission.by for submission in self._counted()]))
        step = NextStep(stage, tuple(requires), excluded)
        if any(may_take(person, step) for person in self.people.values()):
            return state, step
        able = [person for person in self.people.values() if can_do(person, step)]
        for requirement in sorted(requires):
            if any(person.holds(requirement) for person in able):
                return state, NextStep(stage, (requirement,), excluded)
        self.found.append(finding("QR.E001", "next", step=_step_text(step), cure=self._cure(step)))
        return State.BLOCKED, step

    def _cure(self, step: NextStep) -> str:
        """Who could take a step that nobody may take, and what they lack."""
        roles = " or ".join(f"`{role}`" for role in sorted(step.stage.roles))
        here = [p for p in self.people.values() if p.left is None and p.id not in step.excluded]
        skilled = sorted(p.id for p in here if all(map(p.holds, step.requires)))
        placed = sorted(p.id for p in here if not p.roles.isdisjoint(step.stage.roles))
        ways = [f"give the role {roles} to {_listed(skilled, 'or')}"] if skilled else []
        if placed:
            ways.append(f"give {_requirement_text(step.requires)} to {_listed(placed, 'or')}, if they have it")
        ways.append(f"add somebody with {_whole_text(roles, step.requires)}")
        hint = f"In the team file, {'; or '.join(ways)}."
        return hint + (f" It cannot be {_listed(step.excluded, 'or')}, who took part already." if step.excluded else "")

    # Final.

    def _final(self) -> dict[str, FinalValue]:
        """The proposal, overlaid by the values of QA and then of the experts in order of time."""
        final: dict[str, FinalValue] = {}
        reviews = [] if self.qa is None else [(self.qa, Origin.QA)]
        reviews += [(submission, Origin.EXPERT) for submission in self.experts]
        for name, field in self.history.fields.items():
            layers = [(review.forms[name], origin) for review, origin in reviews if name in review.forms]
            if name in self.proposal:
                layers.insert(0, self.proposal[name])
            if layers:
                final[name] = _overlay(field, layers, self.history.auto.get(name))
        return final

    def _certificate(self) -> Certificate:
        counted = self._counted()
        return Certificate(
            tuple([s.by for s in self.passes]),
            None if self.qa is None else self.qa.by,
            tuple([s.by for s in self.experts]),
            {
                domain: tuple([s.by for s in counted if domain in self.people[s.by].expertise])
                for domain in self._effective()
            },
            self.policy.hash,
            tuple([s.at_text for s in self.passes]),
            None if self.qa is None else self.qa.at_text,
            tuple([s.at_text for s in self.experts]),
        )


def _overlay(field: Field, layers: Sequence[tuple[Form, Origin]], auto: Form | None) -> FinalValue:
    """The uppermost value; its origin is the last layer that changed it, and so for each element of a set."""
    value, origin = layers[0]
    is_set = field.kind.is_set
    elements = dict.fromkeys(value, origin) if is_set else {}
    for form, stage in layers[1:]:
        if not same_forms(field.kind, value, form):
            origin = stage
        if is_set:
            elements = {key: elements.get(key, stage) for key in form}
        value = form
    changed = None if auto is None else not same_forms(field.kind, value, auto)
    return FinalValue(to_value(value), origin, changed, tuple(elements.values()) if is_set else None)


def in_order(submissions: Sequence[Submission]) -> list[Submission]:
    """Submissions in order of time; ties by person id, one person's by their JSON text."""
    if len(submissions) < 2:
        return list(submissions)
    ordered = sorted(submissions, key=_moment)
    if any([one.at == other.at and one.by == other.by for one, other in pairwise(ordered)]):  # noqa: C419
        ordered.sort(key=lambda submission: (*_moment(submission), json_text(submission.raw)))
    return ordered


def _moment(submission: Submission) -> tuple[Instant, PersonId]:
    return submission.at, submission.by


def _finding_order(found: Finding) -> tuple[str, str, str]:
    """By id and message first: neither depends on the order in which submissions stand in the history."""
    return found.id, found.message, found.path


def _listed(words: Sequence[str], last: str = "and") -> str:
    """Words for a sentence.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _step_text(step: NextStep) -> str:
    if not step.requires:
        return f"the next {step.stage}"
    return f"{step.stage} review by somebody with {_requirement_text(step.requires)}"


def _requirement_text(requires: Sequence[str]) -> str:
    return "the role `expert`" if tuple(requires) == (ANY_EXPERT,) else f"the expertise {_listed(requires)}"


def _whole_text(roles: str, requires: Sequence[str]) -> str:
    return f"the role {roles}" + (f" and {_requirement_text(requires)}" if requires else "")
