"""`decide`: the only place where it is decided what happens to a row. Pure and total; the rules are docs/rules.md.

The way of a row: `counting` says which submissions count, `fields` how the passes compare and what they come to,
`parts` which experts are needed; here it is said where the row stands, and who may take it further.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from review_rules.counting import Counting
from review_rules.fields import (
    NOTHING_COMPARED,
    PassesCompared,
    compare_passes,
    final_values,
    is_auto_label_changed,
    measures_of,
    next_proposal,
)
from review_rules.files.expressions import Facts, holds
from review_rules.files.policy import Policy, QaWhen
from review_rules.files.team import Team, can_do, may_take
from review_rules.findings import Finding, finding
from review_rules.parts import Parts
from review_rules.sampling import in_share
from review_rules.staffing import listed, step_text, ways_out
from review_rules.values import (
    ANY_EXPERT,
    BROKEN_ROW,
    DOMAIN_FLAG,
    Certificate,
    Decision,
    NextStep,
    RowHistory,
    Stage,
    State,
    Submission,
    VersionOfGuidelines,
    Word,
)
from review_rules.versions import CURRENT, RulesVersion


def decide(history: RowHistory, team: Team, policy: Policy, rules: RulesVersion = CURRENT) -> Decision:
    """What happens to a row: its state, the next step, and, once it is final, its label and who stands behind it.

    Args:
        history: the row and every submission, in any order.
        team: who may do what.
        policy: how many look at a row, and when QA and experts are due.
        rules: the version of the rules; an earlier one only to prove what was decided by it.

    >>> from review_rules import load_policy, load_team, parse_history
    >>> team = load_team("people: [{id: ana, roles: [annotator]}, {id: ben, roles: [annotator]}]")
    >>> row = parse_history({"row_id": "r1", "fields": {}})
    >>> decide(row, team, load_policy("passes: 2")).state
    <State.AWAITING_PASSES: 'AWAITING_PASSES'>
    """
    findings = list(history.findings)
    parts = Parts(team.people, policy, rules, _row_domain(history, policy, findings))
    counting = Counting(history, parts, findings)
    complete = counting.count_passes()
    measures = measures_of(history, policy, findings)
    compared = NOTHING_COMPARED
    if complete:
        compared = compare_passes(history, parts, measures)
        parts.escalated = _is_escalated(history, parts, compared, findings)
        counting.count_reviews(compared)
    else:
        counting.refuse_reviews()
    _note_counted(parts, findings)
    state, step = _state(history, parts, compared, findings) if complete else _await_passes(parts, findings)
    final = state is State.FINAL
    return Decision(
        history.row_id,
        state,
        step,
        compared.comparison,
        next_proposal(history, parts, compared),
        tuple(sorted(findings, key=_finding_order)) if findings else (),
        final_values(history, parts, compared) if final else None,
        _certificate(parts, team) if final else None,
        {
            Stage.PASS: tuple([submission.place for submission in parts.passes]),
            Stage.QA: () if parts.qa is None else (parts.qa.place,),
            Stage.EXPERT: tuple([submission.place for submission in parts.experts]),
        },
        rules,
        tuple([submission.place for submission in parts.returns]),
    )


def _row_domain(history: RowHistory, policy: Policy, findings: list[Finding]) -> str | None:
    """The given, else the predicted domain; unknown ones are ignored, which is a finding."""
    known: str | None = None
    for key, domain in (("predicted_domain", history.predicted_domain), ("domain", history.domain)):
        if domain is None:
            continue
        if domain in policy.known_domains:
            known = domain
        else:
            findings.append(finding("QR.W007", key, domain=domain))
    return known


def _note_counted(parts: Parts, findings: list[Finding]) -> None:
    """Add the findings inside the submissions that count."""
    for submission in parts.counted:
        findings += submission.notes
        for number, flag in enumerate(submission.flags):
            domain = flag[len(DOMAIN_FLAG) :] if flag.startswith(DOMAIN_FLAG) else None
            if domain is not None and domain not in parts.policy.known_domains:
                findings.append(finding("QR.W007", f"{submission.path}.flags[{number}]", domain=domain))


# Escalation by expressions of the policy.


def _is_escalated(history: RowHistory, parts: Parts, compared: PassesCompared, findings: list[Finding]) -> bool:
    """Whether an `escalate_when` expression is true of the row; one that fails counts as true, with a finding."""
    sources = parts.policy.escalate_when
    if not sources:
        return False
    facts = Facts(
        parts.domain or "",
        tuple([flag for submission in parts.passes for flag in submission.flags]),
        tuple([name for name, comparison in compared.comparison.items() if not comparison.agreed]),
        tuple([(name, comparison.score) for name, comparison in compared.comparison.items()]),
        is_auto_label_changed(history, compared),
    )
    outcomes = [holds(source, facts) for source in sources]
    for number, (source, (_, error)) in enumerate(zip(sources, outcomes, strict=True)):
        if error is not None:
            findings.append(finding("QR.W040", f"escalate_when[{number}]", expression=source, error=error))
    return any(true for true, _ in outcomes)


# Where the row stands.

_Standing = tuple[State, NextStep | None]


def _await_passes(parts: Parts, findings: list[Finding]) -> _Standing:
    return _ask(State.AWAITING_PASSES, Stage.PASS, (), parts, findings)


def _state(history: RowHistory, parts: Parts, compared: PassesCompared, findings: list[Finding]) -> _Standing:
    """The first state that applies to a row whose passes are complete, and the step it waits for."""
    for submission in parts.experts:
        if submission.word is Word.ESCALATE:
            details = {"person": submission.by, "reason": submission.reason}
            findings.append(finding("QR.E002", submission.path, **details))
            return State.BLOCKED, None
    last = parts.experts[-1] if parts.experts else parts.qa
    if last is not None and last.word is Word.DISCARD:
        return State.DISCARDED, None
    if parts.qa is None and _is_qa_due(history, parts, compared):
        return _ask(State.AWAITING_QA, Stage.QA, _qa_requires(parts), parts, findings)
    if parts.is_expert_due():
        requires = parts.missed_domains() or parts.effective_domains() or [ANY_EXPERT]
        return _ask(State.AWAITING_EXPERT, Stage.EXPERT, requires, parts, findings)
    return State.FINAL, None


def _is_qa_due(history: RowHistory, parts: Parts, compared: PassesCompared) -> bool:
    """Whether the policy asks for QA of this row."""
    qa = parts.policy.qa
    if qa.when is QaWhen.ALL or _needs_qa(parts, compared):
        return True
    if (parts.rules.heeds_reopening and history.reopened is not None) or parts.returns:
        return True
    return qa.when is QaWhen.SAMPLE and in_share(history.row_id, qa.share, "qa")


def _needs_qa(parts: Parts, compared: PassesCompared) -> bool:
    """Whether something about the row asks for QA, whatever the sample."""
    return (
        parts.escalated
        or any(not comparison.agreed for comparison in compared.comparison.values())
        or bool(compared.blank_fields)
        or any(not parts.policy.asking_flags.isdisjoint(submission.flags) for submission in parts.passes)
        or (parts.rules.heeds_broken_rows and any(BROKEN_ROW in submission.flags for submission in parts.passes))
        or bool(parts.missed_domains())
    )


def _qa_requires(parts: Parts) -> list[str]:
    if parts.wants_expert():
        return parts.effective_domains() or [ANY_EXPERT]
    return parts.missed_domains()


def _ask(
    state: State, stage: Stage, requires: Sequence[str], parts: Parts, findings: list[Finding]
) -> tuple[State, NextStep]:
    """The step, asking for less if nobody has all it asks for; BLOCKED if nobody may take it even so."""
    excluded = tuple(sorted([submission.by for submission in parts.counted]))
    step = NextStep(stage, tuple(requires), excluded)
    if stage is Stage.PASS and parts.returns:
        # Whoever gave a pass back has read the others.
        excluded = tuple(sorted({*excluded, *(review.by for review in parts.returns)}))
        others = parts.policy.passes - len(parts.passes) - len(parts.asked_again)
        step = NextStep(stage, step.requires, excluded, tuple(sorted(parts.asked_again)), others)
    team = parts.people.values()
    if any(may_take(person, step) for person in team):
        return state, step
    able = [person for person in team if can_do(person, step)]
    for requirement in sorted(requires):
        # Somebody who holds a part of it takes the row further; the rest falls to a later expert review.
        if any(person.holds(requirement) for person in able):
            return state, NextStep(stage, (requirement,), excluded)
    findings.append(finding("QR.E001", "next", step=step_text(step), cure=_cure(step, parts)))
    return State.BLOCKED, step


def _cure(step: NextStep, parts: Parts) -> str:
    """Who could take a step that nobody may take, and what they lack."""
    free = [person for person in parts.people.values() if person.left is None and person.id not in step.excluded]
    hint = f"In the team file, {ways_out(step, free)}."
    return hint + (f" It cannot be {listed(step.excluded, 'or')}, who took part already." if step.excluded else "")


def _certificate(parts: Parts, team: Team) -> Certificate:
    counted = parts.counted
    return Certificate(
        tuple([submission.by for submission in parts.passes]),
        None if parts.qa is None else parts.qa.by,
        tuple([submission.by for submission in parts.experts]),
        {
            domain: tuple([s.by for s in counted if domain in parts.people[s.by].expertise])
            for domain in parts.effective_domains()
        },
        parts.policy.hash,
        tuple([submission.at_text for submission in parts.passes]),
        None if parts.qa is None else parts.qa.at_text,
        tuple([submission.at_text for submission in parts.experts]),
        team.hash if parts.rules.names_team else None,
        _guidelines(counted) if parts.rules.names_guidelines else (),
    )


def _guidelines(counted: Iterable[Submission]) -> tuple[VersionOfGuidelines, ...]:
    """The versions of the guidelines that answers name, each once, by number."""
    named = (VersionOfGuidelines.read(submission.raw.get("guidelines")) for submission in counted)
    return tuple(sorted({version for version in named if version is not None}))


def _finding_order(noted: Finding) -> tuple[str, str, str]:
    """By id and message first: neither depends on the order in which submissions stand in the history."""
    return noted.id, noted.message, noted.path
