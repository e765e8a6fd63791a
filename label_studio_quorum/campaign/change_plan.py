"""What a change of team, policy or interface does to a campaign at work, reckoned before it is made.

Each row is read and decided twice, as things are and as they would be, by the same functions that decide it afterwards;
nothing here repeats a rule. A cost adds up over parts of a campaign, so that whoever reckons can read it in pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from label_studio_quorum.campaign.history import HistoryReader, RowRecord
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.reconcile import TasksByRow
from label_studio_quorum.campaign.violations import violated_by
from label_studio_quorum.port import Json
from ls_config.interface import Control, Interface
from review_rules import (
    Decision,
    FaultsError,
    Instant,
    PersonId,
    Policy,
    Stage,
    State,
    Submission,
    Team,
    decide,
    may_take,
)
from review_rules.canonical_json import json_text
from review_rules.files.checks import FieldCheck, load_checks
from review_rules.values import GENERAL

_EXAMPLES: Final = 5
_DECIDED: Final = frozenset({State.FINAL, State.DISCARDED})
_ANSWERS: Final = {Stage.PASS: "pass", Stage.QA: "QA review", Stage.EXPERT: "expert review"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """A place that is kept for somebody who has a task in hand; `person` is None for somebody of no team."""

    row_id: str
    stage: Stage
    person: str | None


@dataclass(kw_only=True)
class ChangeCost:
    """What a change does to the rows that were looked at.

    Attributes:
        rows: How many were looked at.
        before: How many are in which state.
        after: How many would be in which state.
        fallen: Final rows that would be final no more, by domain.
        undiscarded: Discarded rows that would be open again.
        risen: Rows that would become final.
        revalued: Final rows that stay final with another label.
        voided: Answers that would count no more, by person and stage.
        regained: Answers that would count and do not, by person and stage.
        seconds: What people spent on `voided`, as Label Studio measured it.
        seats: Tasks in hand that their people could not answer any more.
        unfit: Stored answers that the new interface cannot hold, by what is wrong with them.
        violating: Final rows that violate a check that is new, by its sentence; they stay as they are.
        examples: Some rows that fall.
    """

    rows: int = 0
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    fallen: Counter[str] = field(default_factory=Counter)
    undiscarded: int = 0
    risen: int = 0
    revalued: int = 0
    voided: Counter[tuple[str, str]] = field(default_factory=Counter)
    regained: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    seats: int = 0
    unfit: Counter[str] = field(default_factory=Counter)
    violating: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def falls(self) -> int:
        """How many decided rows would be open again."""
        return self.fallen.total() + self.undiscarded

    def add(self, other: ChangeCost) -> None:
        """Take in what the change does to other rows."""
        self.rows += other.rows
        self.undiscarded += other.undiscarded
        self.risen += other.risen
        self.revalued += other.revalued
        self.seconds += other.seconds
        self.seats += other.seats
        for mine, others in (
            (self.before, other.before),
            (self.after, other.after),
            (self.fallen, other.fallen),
            (self.unfit, other.unfit),
            (self.violating, other.violating),
        ):
            mine.update(others)
        self.voided.update(other.voided)
        self.regained.update(other.regained)
        self.examples = [*self.examples, *other.examples][:_EXAMPLES]

    def of_decided_rows(self) -> ChangeCost:
        """The cost without what it tells of open rows: whether their passes agree is not for everybody to know."""
        return replace(self, before=Counter(), after=Counter(), risen=0, revalued=0, regained=Counter())

    def to_json(self) -> Json:
        """The cost as commands print it and the server answers it."""
        return {
            "rows": self.rows,
            "states": {"before": _sorted(self.before), "after": _sorted(self.after)},
            "final_rows_that_fall": _sorted(self.fallen),
            "discarded_rows_that_reopen": self.undiscarded,
            "rows_that_become_final": self.risen,
            "final_rows_with_another_label": self.revalued,
            "answers_that_stop_counting": _by_person(self.voided),
            "answers_that_begin_to_count": _by_person(self.regained),
            "hours": round(self.seconds / 3600, 2),
            "seconds": self.seconds,
            "seats": self.seats,
            "answers_that_do_not_fit": _sorted(self.unfit),
            "final_rows_that_violate_a_check": _sorted(self.violating),
            "examples": list(self.examples),
        }

    @classmethod
    def from_json(cls, sent: Json) -> ChangeCost:
        """The cost that a server answered."""
        return cls(
            rows=sent["rows"],
            before=Counter(sent["states"]["before"]),
            after=Counter(sent["states"]["after"]),
            fallen=Counter(sent["final_rows_that_fall"]),
            undiscarded=sent["discarded_rows_that_reopen"],
            risen=sent["rows_that_become_final"],
            revalued=sent["final_rows_with_another_label"],
            voided=_from_person(sent["answers_that_stop_counting"]),
            regained=_from_person(sent["answers_that_begin_to_count"]),
            seconds=sent["seconds"],
            seats=sent["seats"],
            unfit=Counter(sent["answers_that_do_not_fit"]),
            violating=Counter(sent.get("final_rows_that_violate_a_check", {})),
            examples=list(sent["examples"]),
        )

    def sentences(self) -> list[str]:
        """What people are told, the most costly first; one sentence also where nothing happens to anybody."""
        lines = [*self._told_of_answers(), *self._told_of_rows()]
        lines += [
            f"{_count(count, 'final row')} will stay as {'it is' if count == 1 else 'they are'} and violate: {say}"
            for say, count in sorted(self.violating.items())
        ]
        if self.seats:
            lines.append(f"{_count(self.seats, 'task in hand', 'tasks in hand')} cannot be answered any more")
        return lines or [f"no decided row changes ({_count(self.rows, 'row')} looked at)"]

    def _told_of_answers(self) -> Iterable[str]:
        for people, what in ((self.voided, "will not count any more"), (self.regained, "will count again")):
            for stage in Stage:
                counts = {person: count for (person, word), count in people.items() if word == stage.value}
                if counts:
                    who = ", ".join(f"{count:,} of {person}" for person, count in sorted(counts.items()))
                    yield f"{_count(sum(counts.values()), _ANSWERS[stage])} {what}: {who}"
        if self.voided:
            yield f"{_duration(self.seconds)} of work will not count any more"

    def _told_of_rows(self) -> Iterable[str]:
        if self.fallen:
            counts = sorted(self.fallen.items(), key=lambda entry: (-entry[1], entry[0]))
            domains = ", ".join(f"{count:,} {domain}" for domain, count in counts if count)
            rows = ", ".join([*self.examples, *(["…"] if self.falls > len(self.examples) else [])])
            yield f"{_count(self.fallen.total(), 'final row')} will reopen: {domains} ({rows})"
        if self.undiscarded:
            yield f"{_count(self.undiscarded, 'discarded row')} will reopen"
        if self.revalued:
            yield f"{_count(self.revalued, 'final row')} will have another label"
        if self.risen:
            yield f"{_count(self.risen, 'row')} will become final"

    def refusals(self) -> list[str]:
        """Why the change cannot be made at all; empty where it can."""
        return [f"{_count(count, 'stored answer')} would be lost: {reason}" for reason, count in self.unfit.items()]


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {key: counts[key] for key in sorted(counts) if counts[key]}


def _by_person(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    people: dict[str, dict[str, int]] = {}
    for (person, stage), count in sorted(counts.items()):
        people.setdefault(person, {})[stage] = count
    return people


def _from_person(sent: Mapping[str, Mapping[str, int]]) -> Counter[tuple[str, str]]:
    return Counter({(person, stage): count for person, stages in sent.items() for stage, count in stages.items()})


def _count(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> _count(1, "pass"), _count(2, "pass"), _count(1000, "row")
    ('1 pass', '2 passes', '1,000 rows')
    """
    several = plural or noun + ("es" if noun.endswith("s") else "s")
    return f"{count:,} {noun if count == 1 else several}"


def _duration(seconds: float) -> str:
    """How long something took, in the unit that people would use.

    >>> _duration(20), _duration(1200), _duration(11520)
    ('20 seconds', '20 minutes', '3.2 hours')
    """
    for size, noun, limit in ((1, "second", 120), (60, "minute", 7200)):
        if seconds < limit:
            return _count(round(seconds / size), noun)
    return f"{seconds / 3600:,.1f} hours"


def plan_change(
    before: Campaign,
    after: Campaign,
    tasks: TasksByRow,
    row_ids: Iterable[str],
    seats: Iterable[Seat] = (),
    now: Instant | None = None,
) -> ChangeCost:
    """What a change does to these rows; nothing is asked of anybody and nothing is changed.

    Args:
        before: The campaign as it is.
        after: The campaign as it would be: another interface, policy, team, or account of somebody.
        tasks: The rows' tasks as the server holds them.
        row_ids: The rows.
        seats: Tasks of these rows that people have in hand.
        now: When these would be answered; without it nobody who has a leaving time answers anything.
    """
    cost, reading = ChangeCost(), _Reading(before, after)
    known = {check.when for check in before.checks.entries}
    waiting: dict[str, list[Seat]] = {}
    for seat in seats:
        waiting.setdefault(seat.row_id, []).append(seat)
    for row_id in row_ids:
        row_tasks = tasks.tasks(row_id)
        if row_tasks.get(Stage.PASS):
            old, new = reading.records(row_tasks)
            was, will = decide(old.history, before.team, before.policy), decide(new.history, after.team, after.policy)
            _add_row(cost, row_id, old, was, will)
            cost.violating.update(check.say for check in violated_by(after, will) if check.when not in known)
            _add_answers(cost, old, new, was, will)
            cost.seats += sum(not _is_answerable(seat, will, after.team, now) for seat in waiting.get(row_id, ()))
    return cost


class _Reading:
    """Reads a row as it is and as it would be; once where the change makes no difference to that."""

    def __init__(self, before: Campaign, after: Campaign) -> None:
        self._before, self._after = _reader(before), _reader(after)
        self._alike = self._before == self._after

    def records(self, tasks: Mapping[Stage, Sequence[object]]) -> tuple[RowRecord, RowRecord]:
        old = self._before.read(tasks)  # type: ignore[arg-type]
        return old, old if self._alike else self._after.read(tasks)  # type: ignore[arg-type]


def _reader(campaign: Campaign) -> HistoryReader:
    return HistoryReader(interface=campaign.interface, people=campaign.people, passes=campaign.policy.passes)


def _add_row(cost: ChangeCost, row_id: str, record: RowRecord, was: Decision, will: Decision) -> None:
    cost.rows += 1
    cost.before[was.state.value] += 1
    cost.after[will.state.value] += 1
    if was.state in _DECIDED and will.state not in _DECIDED:
        cost.examples = [*cost.examples, row_id][:_EXAMPLES]
    if was.state is State.FINAL and will.state is not State.FINAL:
        cost.fallen[record.history.domain or record.history.predicted_domain or GENERAL] += 1
    elif was.state is State.DISCARDED and will.state is not State.DISCARDED:
        cost.undiscarded += 1
    elif was.state is State.FINAL and _label(was) != _label(will):
        cost.revalued += 1
    if will.state is State.FINAL and was.state is not State.FINAL:
        cost.risen += 1


def _label(decision: Decision) -> str:
    return json_text({name: final.value for name, final in (decision.final or {}).items()})


def _add_answers(cost: ChangeCost, old: RowRecord, new: RowRecord, was: Decision, will: Decision) -> None:
    for stage in Stage:
        # By annotation, as a submission's place in its list may be another one afterwards.
        counted, would_count = _counted(stage, old, was), _counted(stage, new, will)
        for annotation in counted.keys() - would_count.keys():
            submission = counted[annotation]
            cost.voided[str(submission.by), stage.value] += 1
            cost.seconds += submission.lead_time or 0.0
        for annotation in would_count.keys() - counted.keys():
            cost.regained[str(would_count[annotation].by), stage.value] += 1
        if old is not new:
            _add_unfit(cost, stage, old, new)


def _counted(stage: Stage, record: RowRecord, decision: Decision) -> dict[int, Submission]:
    submissions, sources = record.history.submissions(stage), record.sources[stage]
    return {sources[place].annotation: submissions[place] for place in decision.counted.get(stage, ())}


def _add_unfit(cost: ChangeCost, stage: Stage, old: RowRecord, new: RowRecord) -> None:
    before, after = _problems(stage, old), _problems(stage, new)
    for annotation, problems in after.items():
        cost.unfit.update(problems - before.get(annotation, frozenset()))


def _problems(stage: Stage, record: RowRecord) -> dict[int, frozenset[str]]:
    """What does not fit the interface in each annotation, without where in its result that stands."""
    return {
        source.annotation: frozenset(text.partition(": ")[2] for text in submission.raw.get("problems", ()))
        for source, submission in zip(record.sources[stage], record.history.submissions(stage), strict=True)
        if not source.is_superseded
    }


def _is_answerable(seat: Seat, decision: Decision, team: Team, now: Instant | None) -> bool:
    person = team.people.get(PersonId(seat.person)) if seat.person else None
    step = decision.next
    return person is not None and step is not None and step.stage is seat.stage and may_take(person, step, now)


# --- what changes, in words ------------------------------------------------------------------------------------------


def changes_in_words(before: Campaign, after: Campaign) -> list[str]:
    """What is different afterwards, a line each; empty if nothing is."""
    return [
        *team_changes(before.team, after.team),
        *policy_changes(before.policy, after.policy),
        *interface_changes(before.interface, after.interface),
    ]


def team_changes(before: Team, after: Team) -> list[str]:
    """What changes for whom.

    >>> from review_rules import load_team
    >>> old = load_team("people: [{id: ana, roles: [annotator, qa]}, {id: ben, roles: [annotator]}]")
    >>> new = load_team("people: [{id: ana, roles: [qa], left: 2026-11-29T00:00:00Z}]")
    >>> team_changes(old, new)
    ['ana loses the role annotator', 'ana leaves as of 2026-11-29T00:00:00Z', 'ben is no more in the team']
    """
    lines: list[str] = []
    for pid in sorted({*before.people, *after.people}):
        old, new = before.people.get(pid), after.people.get(pid)
        if new is None:
            lines.append(f"{pid} is no more in the team")
        elif old is None:
            lines.append(f"{pid} joins")
        else:
            if old.email.lower() != new.email.lower():
                lines.append(f"{pid} has the address {new.email or '(none)'}, not {old.email or '(none)'}")
            lines += _gains_and_losses(pid, "role", old.roles, new.roles)
            lines += _gains_and_losses(pid, "expertise", old.expertise, new.expertise)
            if old.left != new.left:
                lines.append(f"{pid} stays" if new.left is None else f"{pid} leaves as of {_moment(new.left)}")
    return lines


def _gains_and_losses(pid: str, noun: str, old: frozenset[str], new: frozenset[str]) -> list[str]:
    lost, gained = (f"the {noun} {', '.join(sorted(words))}" if words else "" for words in (old - new, new - old))
    return [f"{pid} {verb} {words}" for verb, words in (("loses", lost), ("gains", gained)) if words]


def _moment(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1e9, UTC).isoformat().replace("+00:00", "Z")


def policy_changes(before: Policy, after: Policy) -> list[str]:
    """Which settings of a policy change.

    >>> from review_rules import load_policy
    >>> policy_changes(load_policy("passes: 2"), load_policy("passes: 3"))
    ['policy: passes 2 → 3']
    """
    old, new = before.to_json(), after.to_json()
    return [
        f"policy: {key} {json_text(old.get(key))} → {json_text(new.get(key))}"
        for key in sorted({*old, *new})
        if json_text(old.get(key)) != json_text(new.get(key))
    ]


def interface_changes(before: Interface, after: Interface) -> list[str]:
    """Which fields and labels of an interface change; how it looks is no change."""
    old = {control.name: control for control in before.all_controls}
    new = {control.name: control for control in after.all_controls}
    lines = [f"interface: the field {name} goes" for name in old if name not in new]
    lines += [f"interface: the field {name} is new" + _if_required(new[name]) for name in new if name not in old]
    for name in old:
        if name in new:
            lines += [f"interface: {name}: {change}" for change in _control_changes(old[name], new[name])]
    return [*lines, *_check_changes(_checks(before), _checks(after))]


def _checks(interface: Interface) -> dict[str, FieldCheck]:
    """The checks by their sentences; none where they have faults, which set-up refuses and doctor names."""
    try:
        return {check.say: check for check in load_checks(interface).entries}
    except FaultsError:
        return {}


def _check_changes(old: Mapping[str, FieldCheck], new: Mapping[str, FieldCheck]) -> Iterable[str]:
    yield from (f"checks: gone: {say}" for say in old if say not in new)
    yield from (f"checks: new ({check.level}): {say}" for say, check in new.items() if say not in old)
    yield from (
        f"checks: now {check.level}, when {check.when}: {say}"
        for say, check in new.items()
        if say in old and check != old[say]
    )


def _if_required(control: Control) -> str:
    return ", and required: a row without it is not final" if control.required else ""


def _control_changes(old: Control, new: Control) -> Iterable[str]:
    if old.kind != new.kind:
        yield f"{old.kind} becomes {new.kind}"
    renamed = {label: new.renamed[label] for label in old.labels if label in new.renamed}
    yield from (f"the label {label!r} is now {now!r}" for label, now in renamed.items())
    gone = [label for label in old.labels if label not in new.labels and label not in renamed]
    yield from (f"the label {label!r} goes" for label in gone)
    added = [label for label in new.labels if label not in old.labels and label not in renamed.values()]
    yield from (f"the label {label!r} is new" for label in added)
    if (old.min, old.max) != (new.min, new.max):
        yield f"from {old.min} to {old.max} becomes from {new.min} to {new.max}"
    if old.required != new.required:
        yield "is required now: an answer without it does not count" if new.required else "is no more required"
