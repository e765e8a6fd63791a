"""Quality and productivity of a campaign: who did how much in how long, how well people agree, what QA overturned.

Figures are of the counted submissions unless they say otherwise. Hours are what Label Studio measured between opening
and submitting a form (`lead_time`), so they hold pauses too.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from label_studio_quorum.campaign.learners import Learner
from label_studio_quorum.campaign.projects import STAGES, Campaign
from label_studio_quorum.campaign.reconcile import DecidedRow
from label_studio_quorum.port import Json
from label_studio_quorum.quality.guideline_figures import GuidelineFigures
from review_rules import Kind, Person, Stage, State
from review_rules.canonical import same
from review_rules.statistics.agreement import agreement
from review_rules.statistics.votes import collect_votes
from review_rules.values import VoteKind

# The figure that speaks for a kind of votes.
_SPEAKS: Final = {
    VoteKind.CHOICE: "ac1",
    VoteKind.CHOICES: "alpha.masi",
    VoteKind.RATING: "ac2",
    VoteKind.SPANS: "span_f1.strict",
}


_Answer = tuple[str, Mapping[str, Any]]
"""Who passed, and their values by field."""


@dataclass
class _Work:
    """What one person did."""

    submitted: Counter[Stage] = field(default_factory=Counter)
    counted: Counter[Stage] = field(default_factory=Counter)
    seconds: float = 0.0
    fields: int = 0
    agreed: int = 0
    judged: int = 0
    right: int = 0
    returned: int = 0

    @property
    def hours(self) -> float:
        return self.seconds / 3600


def build(
    campaign: Campaign,
    rows: Iterable[DecidedRow],
    *,
    guidelines: str = "",
    questions: Iterable[str] = (),
    seed: int = 0,
    draws: int = 1000,
    learners: Sequence[Learner] = (),
) -> Json:
    """All figures as one JSON object.

    Args:
        campaign: The campaign.
        rows: All its rows, decided; read once.
        guidelines: The guidelines that hold now; empty where they are not known.
        questions: What people asked about rows.
        seed: Of the agreement intervals' bootstrap.
        draws: Resamples of the bootstrap.
        learners: Where people stand with qualification and practice; a person then also has `qualified`, `practised`
            and `practice_hours`, which `hours` leave out, and `cost` holds where the policy pays for them.

    Returns:
        `{"campaign", "policy", "rows", "states", "stages": {stage: {"submitted", "counted", "hours",
        "median_seconds"}}, "people": [{"id", "roles", "submitted", "counted", "hours", "rows_per_hour", "agreement",
        "accuracy", "cost", "returned"}], "fields": [{"field", "kind", "agreed", "overturned", "measure", "value",
        "low", "high", "reason"}], "returns": {"rows", "returns", "waiting"}, "findings": {id: count}, "targets": {…},
        "guidelines": {"versions": [{"versions": [numbers], "rows", "agreed", "final", "overturned"}], "paragraphs":
        [{"address", "title", "conflicts", "gaps", "questions"}]}}`, where a version's `agreed` and `overturned` are
        `{"share", "low", "high"}`; shares are in 0..1, null where nothing was done. A person's `returned` says how
        often QA gave a pass of theirs back.
    """
    gathered = _Gathered(campaign, {learner.id: learner for learner in learners}, guidelines)
    gathered.guidelines.add_questions(questions)
    for row in rows:
        gathered.add(row)
    return gathered.figures(seed, draws)


class _Gathered:
    """Sums over rows."""

    def __init__(self, campaign: Campaign, learners: Mapping[str, Learner], guidelines: str) -> None:
        self._campaign = campaign
        self._learners = learners
        self.guidelines = GuidelineFigures(campaign.interface.controls, guidelines)
        self._kinds = {control.name: Kind.of(control.kind) for control in campaign.interface.controls}
        self._people: dict[str, _Work] = defaultdict(_Work)
        self._states: Counter[State] = Counter()
        self._seconds: dict[Stage, list[float]] = {stage: [] for stage in STAGES}
        self._submitted: Counter[Stage] = Counter()
        self._counted: Counter[Stage] = Counter()
        self._findings: Counter[str] = Counter()
        self._returns: Counter[str] = Counter()
        self._compared: Counter[str] = Counter()
        self._agreed: Counter[str] = Counter()
        self._final: Counter[str] = Counter()
        self._overturned: Counter[str] = Counter()
        self._votes: dict[str, list[tuple[str, str, Any]]] = {name: [] for name in self._kinds}

    def add(self, row: DecidedRow) -> None:
        self._states[row.decision.state] += 1
        self._findings.update(str(finding.id) for finding in row.decision.findings)
        for stage in STAGES:
            self._add_stage(stage, row)
        self._add_returns(row)
        self._add_fields(row)
        self.guidelines.add(row)

    def _add_returns(self, row: DecidedRow) -> None:
        returns = [row.record.history.qa[place] for place in row.decision.returns]
        self._returns["rows"] += bool(returns)
        self._returns["returns"] += len(returns)
        self._returns["waiting"] += row.decision.next is not None and bool(row.decision.next.returned)
        for review in returns:
            for person in review.to:
                self._people[str(person)].returned += 1

    def _add_stage(self, stage: Stage, row: DecidedRow) -> None:
        counted = {*row.decision.counted.get(stage, ()), *(row.decision.returns if stage is Stage.QA else ())}
        for index, source in enumerate(row.record.sources[stage]):
            # A first version that a correction replaced is the same piece of work.
            if source.is_superseded:
                continue
            seconds = float(source.seconds or 0.0)
            self._submitted[stage] += 1
            self._seconds[stage].append(seconds)
            work = self._people[source.by or "unknown"]
            work.submitted[stage] += 1
            work.seconds += seconds
            if index in counted:
                self._counted[stage] += 1
                work.counted[stage] += 1

    def _add_fields(self, row: DecidedRow) -> None:
        passes = [row.record.history.passes[index] for index in row.decision.counted.get(Stage.PASS, ())]
        answers = [(str(passed.by), passed.values) for passed in passes]
        for name, compared in row.decision.comparison.items():
            self._compared[name] += 1
            self._agreed[name] += compared.agreed
            for who, _ in answers:
                self._people[who].fields += 1
                self._people[who].agreed += compared.agreed
        # Until the passes are complete nothing is compared, and a single vote agrees with nobody.
        if row.decision.comparison:
            self._add_votes(row.row_id, answers)
        for name, final in (row.decision.final or {}).items():
            self._judge(row, name, final.value, answers)

    def _add_votes(self, row_id: str, answers: Sequence[_Answer]) -> None:
        for name, kind in self._kinds.items():
            if kind.votes_as is None:
                continue
            # A set that nobody filled in is an answer, the empty set; any other value that is absent is no vote.
            self._votes[name] += [
                (row_id, who, values.get(name) or [] if kind.is_set else values[name])
                for who, values in answers
                if kind.is_set or values.get(name) is not None
            ]

    def _judge(self, row: DecidedRow, name: str, final: Json, answers: Sequence[_Answer]) -> None:
        """Count who had the final value of a field, and whether a review overturned what the passes agreed on."""
        kind = self._kinds.get(name, Kind.TEXT)
        kept = [same(kind, values.get(name), final) for _, values in answers]
        for (who, _), right in zip(answers, kept, strict=True):
            self._people[who].judged += 1
            self._people[who].right += right
        if name in row.decision.comparison and row.decision.comparison[name].agreed:
            self._final[name] += 1
            self._overturned[name] += not any(kept)

    def figures(self, seed: int, draws: int) -> Json:
        targets = self._campaign.policy.targets
        return {
            "campaign": self._campaign.name,
            "policy": self._campaign.policy.hash,
            "rows": self._states.total(),
            "states": {state.value: self._states[state] for state in State},
            "stages": {stage.value: self._stage(stage) for stage in STAGES},
            "people": [self._person(who, self._people[who]) for who in sorted({*self._people, *self._learners})],
            "fields": [self._field(name, kind, seed, draws) for name, kind in self._kinds.items()],
            "returns": {key: self._returns[key] for key in ("rows", "returns", "waiting")},
            "findings": dict(sorted(self._findings.items())),
            "targets": {
                "rows_per_hour": targets.rows_per_hour,
                "agreement": targets.agreement,
                "accuracy": targets.accuracy,
            },
            "guidelines": {"versions": self.guidelines.versions(), "paragraphs": self.guidelines.paragraphs()},
        }

    def _stage(self, stage: Stage) -> Json:
        seconds = self._seconds[stage]
        return {
            "submitted": self._submitted[stage],
            "counted": self._counted[stage],
            "hours": round(sum(seconds) / 3600, 3),
            "median_seconds": round(statistics.median(seconds), 1) if seconds else None,
        }

    def _person(self, who: str, work: _Work) -> Json:
        person = {str(member.id): member for member in self._campaign.team.people.values()}.get(who)
        learner = self._learners.get(who)
        paid_hours = work.hours + (learner.practice_hours if learner is not None and learner.is_paid else 0.0)
        more = {} if learner is None else {key: value for key, value in learner.to_json().items() if key != "id"}
        return more | {
            "id": who,
            "roles": sorted(role.value for role in person.roles) if person else [],
            "submitted": {stage.value: work.submitted[stage] for stage in STAGES},
            "counted": {stage.value: work.counted[stage] for stage in STAGES},
            "hours": round(work.hours, 3),
            "rows_per_hour": _share(work.submitted.total(), work.hours, 1),
            "agreement": _share(work.agreed, work.fields),
            "accuracy": _share(work.right, work.judged),
            "cost": _cost(person, paid_hours),
            "returned": work.returned,
        }

    def _field(self, name: str, kind: Kind, seed: int, draws: int) -> Json:
        figure: Mapping[str, Any] = {"value": None, "low": None, "high": None, "reason": f"no figure for {kind} fields"}
        measure = None
        if kind.votes_as is not None:
            measure = _SPEAKS[kind.votes_as]
            votes = collect_votes(self._votes[name], kind.votes_as)
            figure = agreement(votes, seed=seed, draws=draws).figures[measure].to_json()
        return {
            "field": name,
            "kind": kind,
            "agreed": _share(self._agreed[name], self._compared[name]),
            "overturned": _share(self._overturned[name], self._final[name]),
            "measure": measure,
            **figure,
        }


def _cost(person: Person | None, hours: float) -> float | None:
    rate = getattr(person, "rate_per_hour", None)
    return None if rate is None else round(rate * hours, 2)


def _share(part: float, whole: float, digits: int = 4) -> float | None:
    return round(part / whole, digits) if whole else None
