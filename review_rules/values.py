"""The words of the rules as frozen values: who, which stage, which state, what was decided.

Everything here is plain data. Mappings inside are never changed after construction. What is made anew for every row is
a named tuple: as immutable as a frozen dataclass, and three times cheaper to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, NewType

from review_rules.findings import Finding
from review_rules.versions import CURRENT, RulesVersion

Json = Any
"""A value as it stands in JSON: str, int, float, bool, None, list or dict."""

RowId = NewType("RowId", str)
PersonId = NewType("PersonId", str)
Instant = NewType("Instant", int)
"""Nanoseconds since 1970-01-01T00:00:00Z."""

ANY_EXPERT = "*"
"""Stands in `requires` for "role expert, whatever the domain"."""

GENERAL = "general"
"""The one domain that is known without being an expert domain."""

UNSURE = "unsure"
BROKEN_ROW = "broken_row"
NEEDS_EXPERT = "needs_expert"
DOMAIN_FLAG = "domain:"


class Name(StrEnum):
    """A fixed set of words; hashed as the text it is, which is several times faster than hashing as a member."""

    __hash__ = str.__hash__


class Role(Name):
    """What a person may do."""

    ANNOTATOR = "annotator"
    QA = "qa"
    EXPERT = "expert"
    MANAGER = "manager"


class Stage(Name):
    """The three queues a row goes through.

    Every spelling of a stage is here: the value is its word in markers, files and answers; `key` is the name of its
    list in a history; `heading` is what people read; `work` is what they do there, as part of a sentence; `number` is
    its place in the line, which databases store. `roles` are those of which one is needed to take a step.

    >>> Stage.QA.key, sorted(Stage.QA.roles)
    ('qa', [<Role.EXPERT: 'expert'>, <Role.QA: 'qa'>])
    >>> [(stage.number, stage.heading, stage.work) for stage in Stage]
    [(0, 'Pass', 'the passes'), (1, 'QA', 'QA'), (2, 'Expert', 'expert review')]
    """

    key: str
    heading: str
    work: str
    number: int
    roles: frozenset[Role]

    def __new__(cls, word: str, key: str, heading: str, work: str, *roles: Role) -> Stage:
        stage = str.__new__(cls, word)
        stage._value_ = word
        stage.key = key
        stage.heading = heading
        stage.work = work
        stage.number = len(cls.__members__)
        stage.roles = frozenset(roles)
        return stage

    PASS = "pass", "passes", "Pass", "the passes", Role.ANNOTATOR
    QA = "qa", "qa", "QA", "QA", Role.QA, Role.EXPERT
    EXPERT = "expert", "expert", "Expert", "expert review", Role.EXPERT

    @classmethod
    def numbered(cls, number: int) -> Stage:
        """The stage that a database's number stands for."""
        return _STAGES[number]

    @classmethod
    def named(cls, word: str) -> Stage:
        """The stage of this word.

        Raises:
            KeyError: No stage has it.
        """
        return _STAGE_OF[word]


_STAGES = tuple(Stage)
_STAGE_OF = {stage.value: stage for stage in Stage}


class State(Name):
    """Where a row stands."""

    AWAITING_PASSES = "AWAITING_PASSES"
    AWAITING_QA = "AWAITING_QA"
    AWAITING_EXPERT = "AWAITING_EXPERT"
    FINAL = "FINAL"
    DISCARDED = "DISCARDED"
    BLOCKED = "BLOCKED"

    @property
    def is_decided(self) -> bool:
        """Whether the row has come to its end.

        >>> State.DISCARDED.is_decided, State.BLOCKED.is_decided
        (True, False)
        """
        return self in (State.FINAL, State.DISCARDED)


class Word(Name):
    """What a QA or expert review says about the row; only QA returns."""

    ACCEPT = "accept"
    CORRECT = "correct"
    ESCALATE = "escalate"
    DISCARD = "discard"
    RETURN = "return"


class VoteKind(Name):
    """What one vote is for the figures of agreement: one class, a set of classes, a number, or a set of spans."""

    CHOICE = "choice"
    CHOICES = "choices"
    RATING = "rating"
    SPANS = "spans"


class Kind(Name):
    """What a field's value is, and how it behaves.

    `ls_config` may not import this module and writes a kind as plain text; `Kind.of` is where the two meet, and a test
    holds both lists equal.

    Attributes:
        is_set: the value is a set of elements, so that an absent value means the empty set.
        votes_as: the kind of votes under which agreement over a whole file is measured; None if no figure suits.

    >>> [kind.value for kind in Kind if kind.is_set]
    ['choices', 'spans', 'boxes', 'segments']
    >>> Kind.NUMBER.votes_as, Kind.TEXT.votes_as
    (<VoteKind.RATING: 'rating'>, None)
    """

    is_set: bool
    votes_as: VoteKind | None

    def __new__(cls, word: str, is_set: bool, votes_as: VoteKind | None = None) -> Kind:
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.is_set = is_set
        kind.votes_as = votes_as
        return kind

    CHOICE = "choice", False, VoteKind.CHOICE
    CHOICES = "choices", True, VoteKind.CHOICES
    SPANS = "spans", True, VoteKind.SPANS
    RATING = "rating", False, VoteKind.RATING
    NUMBER = "number", False, VoteKind.RATING
    TEXT = "text", False
    BOXES = "boxes", True
    SEGMENTS = "segments", True

    @classmethod
    def of(cls, word: str) -> Kind:
        """The kind of a control of the label interface, which `ls_config` names by its word.

        Raises:
            KeyError: no kind has this word.
        """
        return cls[word.upper()]

    @property
    def has_elements_in_order(self) -> bool:
        """Whether the elements lie along a line (a text, a recording), so that a value lists them by place."""
        return self in (Kind.SPANS, Kind.SEGMENTS)

    @property
    def is_numeric(self) -> bool:
        """Whether the value is a number, which may have bounds."""
        return self in (Kind.RATING, Kind.NUMBER)


class Origin(Name):
    """The stage that last changed a value."""

    PASSES = "passes"
    MAJORITY = "majority"
    QA = "qa"
    EXPERT = "expert"


class Field(NamedTuple):
    """One field of the label interface, as a row sees it.

    `text` is the text that spans point into (None: unknown, so offsets cannot be checked against it);
    `low` and `high` bound a rating or number (None: no bound); `required` says that an answer has to give it a value.
    """

    name: str
    kind: Kind
    text: str | None = None
    low: float | None = None
    high: float | None = None
    required: bool = False


Form = Any
"""A value ready to compare: a set kind is a dict {element's key: element in JSON}, any other kind the JSON value.

The key of a choice is itself, of a span or segment (start, end, label), of a box (x, y, width, height, label)."""


def to_value(form: Form) -> Json:
    """The JSON value of a form.

    >>> to_value({(0, 2, "ORG"): {"start": 0, "end": 2, "label": "ORG"}})
    [{'start': 0, 'end': 2, 'label': 'ORG'}]
    >>> to_value("Supported")
    'Supported'
    """
    return list(form.values()) if isinstance(form, dict) else form


class Submission(NamedTuple):
    """One pass, QA or expert review as it was handed in, each part checked for its type.

    `place` is its index in the stage's list. `forms` holds the present values of known fields only; `fault` is the
    finding that says why the submission cannot count by itself (None: it can); `notes` are findings that hold only if
    it counts. `to` names the people whose passes a return gives back.
    """

    stage: Stage
    place: int
    by: PersonId
    at: Instant
    at_text: str
    forms: Mapping[str, Form]
    flags: tuple[str, ...]
    reason: str
    word: Word | None
    lead_time: float | None
    raw: Json
    fault: Finding | None = None
    notes: tuple[Finding, ...] = ()
    to: tuple[PersonId, ...] = ()

    @property
    def path(self) -> str:
        """Where the submission stands in its history, such as `passes[1]`."""
        return f"{self.stage.key}[{self.place}]"

    @property
    def values(self) -> dict[str, Json]:
        """The present values by field, as JSON."""
        return {name: to_value(form) for name, form in self.forms.items()}


class RowHistory(NamedTuple):
    """All that is known of one row: its fields, its domain, its auto-label and every submission in given order.

    `raw` is what the history says beside its row id and its submissions, as it stands in JSON; `reopened` is when the
    row was reopened last, None if it never was.
    """

    row_id: RowId
    domain: str | None
    predicted_domain: str | None
    fields: Mapping[str, Field]
    auto: Mapping[str, Form]
    passes: tuple[Submission, ...]
    qa: tuple[Submission, ...]
    expert: tuple[Submission, ...]
    findings: tuple[Finding, ...]
    raw: Mapping[str, Json]
    reopened: Instant | None = None

    def submissions(self, stage: Stage) -> tuple[Submission, ...]:
        """The submissions of a stage, in given order."""
        return (self.passes, self.qa, self.expert)[stage.number]

    def to_json(self) -> dict[str, Json]:
        """The history as in the contract's JSON; parsing it again gives this history."""
        stages = {stage.key: [each.raw for each in self.submissions(stage)] for stage in Stage}
        return {"row_id": self.row_id, **stages, **self.raw}

    @property
    def auto_label(self) -> dict[str, Json]:
        """The auto-label by field, as JSON."""
        return {name: to_value(form) for name, form in self.auto.items()}


@dataclass(frozen=True, slots=True)
class NextStep:
    """The step a row waits for: its stage, the expertise it asks for, and who may not take it.

    `returned` are the people whose passes were given back to them, each of whom has a place; `others` is how many
    people the step waits for beside them, and is read only where there are any.
    """

    stage: Stage
    requires: tuple[str, ...] = ()
    excluded: tuple[PersonId, ...] = ()
    returned: tuple[PersonId, ...] = ()
    others: int = 0

    def is_kept_from(self, person: PersonId) -> bool:
        """Whether the step is kept for people who had the row before, of whom this person is none."""
        return bool(self.returned) and not self.others and person not in self.returned

    def to_json(self) -> dict[str, Json]:
        """The step as in the contract's JSON."""
        out = {"stage": self.stage._value_, "requires": list(self.requires), "excluded": list(self.excluded)}
        return out | ({"returned": list(self.returned), "others": self.others} if self.returned else {})


class FieldComparison(NamedTuple):
    """How the counted passes compare on one field.

    `score` is in 0..1; `values` are the passes' values in line order (absent: None, for a set kind the empty list);
    `both` holds the elements of every pass, `only_first` and `only_second` those that no pass but the first or the
    second in line has (None unless the field is a set).
    """

    agreed: bool
    score: float
    values: tuple[Json, ...]
    both: tuple[Json, ...] | None = None
    only_first: tuple[Json, ...] | None = None
    only_second: tuple[Json, ...] | None = None

    def to_json(self) -> dict[str, Json]:
        """The comparison as in the contract's JSON."""
        out: dict[str, Json] = {"agreed": self.agreed, "score": self.score, "values": list(self.values)}
        if self.both is not None:
            out["both"] = list(self.both)
            out["only_first"] = list(self.only_first or ())
            out["only_second"] = list(self.only_second or ())
        return out


class Proposed(NamedTuple):
    """A value that pre-fills the next screen, and the stage it comes from."""

    value: Json
    origin: Origin

    def to_json(self) -> dict[str, Json]:
        """The proposed value as in the contract's JSON."""
        return {"value": self.value, "origin": self.origin._value_}


class FinalValue(NamedTuple):
    """A field's final value, who last changed it, and whether it differs from the auto-label (None: there was none).

    `element_origins` has one origin an element of a set, in the order of `value`; None for other kinds.
    """

    value: Json
    origin: Origin
    changed_from_auto: bool | None
    element_origins: tuple[Origin, ...] | None = None

    def to_json(self) -> dict[str, Json]:
        """The final value as in the contract's JSON."""
        return {"value": self.value, "origin": self.origin._value_, "changed_from_auto": self.changed_from_auto}


class VersionOfGuidelines(NamedTuple):
    """A version of a campaign's guidelines: its number, from 1, and the hash of its text."""

    number: int
    hash: str

    @classmethod
    def read(cls, raw: Json) -> VersionOfGuidelines | None:
        """The version that an answer names under `guidelines`; None if that is none.

        >>> VersionOfGuidelines.read({"number": 2, "hash": "sha256:0"}), VersionOfGuidelines.read({"number": True})
        (VersionOfGuidelines(number=2, hash='sha256:0'), None)
        """
        number, digest = (raw.get("number"), raw.get("hash")) if isinstance(raw, dict) else (None, None)
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(digest, str):
            return None
        return cls(number, digest)

    def to_json(self) -> dict[str, Json]:
        """The version as an answer and a certificate name it."""
        return {"number": self.number, "hash": self.hash}


class Certificate(NamedTuple):
    """Who stands behind a final label, under which policy and team, and when each of them submitted.

    `team` is None in decisions by the first version of the rules, which did not name it. `guidelines` are the versions
    under which the counted answers were given, as far as these say it.
    """

    passes: tuple[PersonId, ...]
    qa: PersonId | None
    expert: tuple[PersonId, ...]
    domains: Mapping[str, tuple[PersonId, ...]]
    policy: str
    pass_times: tuple[str, ...]
    qa_time: str | None
    expert_times: tuple[str, ...]
    team: str | None = None
    guidelines: tuple[VersionOfGuidelines, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The certificate as in the contract's JSON."""
        return {
            "passes": list(self.passes),
            "qa": self.qa,
            "expert": list(self.expert),
            "domains": {domain: list(people) for domain, people in self.domains.items()},
            "policy": self.policy,
            **({} if self.team is None else {"team": self.team}),
            **({"guidelines": [version.to_json() for version in self.guidelines]} if self.guidelines else {}),
            "times": {
                "passes": list(self.pass_times),
                "qa": self.qa_time,
                "expert": list(self.expert_times),
            },
        }


class Decision(NamedTuple):
    """What happens to a row, and why.

    `counted` gives, by stage, the indices of the counted submissions in the given history: passes in line order,
    expert reviews in order of time. `rules` is the version of the rules; the first did not say its number.
    `returns` gives the indices of the QA reviews that returned the row, in order of time.
    """

    row_id: RowId
    state: State
    next: NextStep | None
    comparison: Mapping[str, FieldComparison]
    proposal: Mapping[str, Proposed]
    findings: tuple[Finding, ...]
    final: Mapping[str, FinalValue] | None
    certificate: Certificate | None
    counted: Mapping[Stage, tuple[int, ...]] = MappingProxyType({})
    rules: RulesVersion = CURRENT
    returns: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The decision as in the contract's JSON."""
        return {
            "row_id": self.row_id,
            "state": self.state._value_,
            "next": None if self.next is None else self.next.to_json(),
            "comparison": {name: compared.to_json() for name, compared in self.comparison.items()},
            "proposal": {name: proposed.to_json() for name, proposed in self.proposal.items()},
            "findings": [noted.to_json() for noted in self.findings],
            "final": None if self.final is None else _final_json(self.final),
            "certificate": None if self.certificate is None else self.certificate.to_json(),
            **({"rules": self.rules.number} if self.rules.names_team else {}),
        }


def _final_json(final: Mapping[str, FinalValue]) -> dict[str, Json]:
    """Values by field and, for sets, who decided each element."""
    out: dict[str, Json] = {"values": {name: value.to_json() for name, value in final.items()}}
    elements = {
        name: [origin._value_ for origin in value.element_origins]
        for name, value in final.items()
        if value.element_origins is not None
    }
    if elements:
        out["elements"] = elements
    return out
