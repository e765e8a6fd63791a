"""The policy file: how many people look at a row, when QA and experts are due, how answers are compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from types import MappingProxyType

from review_rules.files.expressions import VARIABLES, mistakes
from review_rules.files.faults import FaultsError
from review_rules.files.located import Located, did_you_mean, read_yaml
from review_rules.sampling import in_share
from review_rules.values import ANY_EXPERT, DOMAIN_FLAG, GENERAL, NEEDS_EXPERT, UNSURE, Json, Kind, Name


class QaWhen(Name):
    """Which rows get QA."""

    ALL = "all"
    CONFLICT = "conflict"
    SAMPLE = "sample"


class ProposalFrom(Name):
    """What a proposal may rest on."""

    PASSES = "passes"
    PASSES_AUTO = "passes+auto"


class Order(Name):
    """In which order rows of equal claim are handed out: drawn for each person anew, or as they were imported."""

    DRAWN = "drawn"
    IMPORTED = "imported"


class Acknowledge(Name):
    """Which versions of the guidelines people acknowledge before their next row: those that ask, or every one."""

    ASKED = "asked"
    ALWAYS = "always"


class Agree(Name):
    """How the answers of one field are compared: the kinds it suits, and the settings it has beside `agree`.

    >>> Agree.JACCARD.settings, sorted(Agree.TOLERANCE.kinds)
    (('threshold',), [<Kind.NUMBER: 'number'>, <Kind.RATING: 'rating'>])
    """

    kinds: frozenset[Kind]
    settings: tuple[str, ...]

    def __new__(cls, word: str, kinds: Iterable[Kind], *settings: str) -> Agree:
        agree = str.__new__(cls, word)
        agree._value_ = word
        agree.kinds = frozenset(kinds)
        agree.settings = settings
        return agree

    EXACT = "exact", Kind
    JACCARD = "jaccard", (Kind.CHOICES, Kind.SPANS, Kind.BOXES, Kind.SEGMENTS), "threshold"
    SPAN_F1 = "span_f1", (Kind.SPANS, Kind.SEGMENTS), "match", "threshold"
    TOLERANCE = "tolerance", (Kind.RATING, Kind.NUMBER), "tolerance"
    IOU_F1 = "iou_f1", (Kind.SPANS, Kind.BOXES, Kind.SEGMENTS), "iou", "threshold"


class Match(Name):
    """Which spans match: equal ones, or overlapping ones in part."""

    STRICT = "strict"
    OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Measure:
    """How one field is compared; settings that `agree` does not have keep their default and are never read.

    `threshold`, `iou`: 0..1; `tolerance`: at least 0, in units of the field; `kind`: the kind the policy expects the
    field to have (None: whatever the row says).
    """

    agree: Agree = Agree.EXACT
    match: Match = Match.STRICT
    threshold: float = 1.0
    iou: float = 0.5
    tolerance: float = 0
    kind: Kind | None = None

    @property
    def pairs_elements(self) -> bool:
        """Whether elements match in part, by pairs, rather than by being equal."""
        return self.agree is Agree.IOU_F1 or (self.agree is Agree.SPAN_F1 and self.match is Match.OVERLAP)

    def to_json(self) -> dict[str, Json]:
        """The measure as in the policy file, with every setting it has."""
        out: dict[str, Json] = {"agree": self.agree.value}
        if self.kind is not None:
            out["kind"] = self.kind.value
        for name in self.agree.settings:
            value = getattr(self, name)
            out[name] = value.value if isinstance(value, Match) else float(value)
        return out


EXACT = Measure()


@dataclass(frozen=True, slots=True)
class Qa:
    """When QA is due: `share` (0..1) is the sampled share and is read only with `sample`."""

    when: QaWhen = QaWhen.ALL
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Prelabel:
    """`withhold`: the share (0..1) of rows labelled without seeing the auto-label."""

    withhold: float = 0.0


@dataclass(frozen=True, slots=True)
class Qualification:
    """What people show before they get other rows.

    `rows`: a file of rows with known answers, relative to the policy file; `bar` (0..1): the share of the known fields
    that a person must get right; `stages`, `domains` and `fields`: further bars, for people of a review stage, for
    experts of a domain over its rows, and for one field; `weeks`: after how many it expires (None: never);
    `guidelines`: whether a change of the guidelines ends it.
    """

    rows: str
    bar: float
    stages: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    domains: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    fields: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    weeks: int | None = None
    guidelines: bool = False

    def to_json(self) -> dict[str, Json]:
        """The settings; those that were left out are not there, so that earlier policies keep their hash."""
        further: dict[str, Json] = {
            "stages": dict(sorted(self.stages.items())),
            "domains": dict(sorted(self.domains.items())),
            "fields": dict(sorted(self.fields.items())),
            "weeks": self.weeks,
            "guidelines": self.guidelines,
        }
        return {"rows": self.rows, "bar": self.bar} | {key: value for key, value in further.items() if value}


@dataclass(frozen=True, slots=True)
class Practice:
    """What people may practise on.

    `rows`: a file of rows with known answers, relative to the policy file; `paid`: whether the time counts for pay.
    """

    rows: str
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Skips:
    """What people may skip.

    `per_day`: rows that a person may skip within 24 hours (None: as many as they like); `reason`: whether a skip says
    why.
    """

    per_day: int | None = 20
    reason: bool = True


@dataclass(frozen=True, slots=True)
class Disputes:
    """Whether people may dispute what became of their answers.

    `days`: for how many days after the decision (None: as long as it stands; 0: never).
    """

    days: int | None = 7


@dataclass(frozen=True, slots=True)
class Returns:
    """Whether QA may give passes back to their people.

    `most`: how often a row may be returned (0: never).
    """

    most: int = 0


@dataclass(frozen=True, slots=True)
class Guidelines:
    """`acknowledge`: which versions of the guidelines people acknowledge before their next row."""

    acknowledge: Acknowledge = Acknowledge.ASKED


@dataclass(frozen=True, slots=True)
class ThreadTexts:
    """What becomes of what people say in threads.

    `texts_in_exports`: whether exports hold what was said, or only who said what kind of thing when.
    """

    texts_in_exports: bool = True


@dataclass(frozen=True, slots=True)
class Targets:
    """What the team aims at (None: nothing set): rows an hour, agreement 0..1, accuracy 0..1."""

    rows_per_hour: float | None = None
    agreement: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, every value present.

    `hash` names its content, however the file was written; `known_domains` are `general` and the expert domains;
    `asking_flags` are the flags of a pass that ask for QA.
    """

    passes: int = 2
    qa: Qa = Qa()
    expert_domains: tuple[str, ...] = ("financial", "technical")
    expert_quorum: int = 1
    escalate_when: tuple[str, ...] = ()
    proposal: ProposalFrom = ProposalFrom.PASSES
    fields: Mapping[str, Measure] = field(default_factory=lambda: MappingProxyType({}))
    prelabel: Prelabel = Prelabel()
    qualification: Qualification | None = None
    practice: Practice | None = None
    skips: Skips = Skips()
    order: Order = Order.DRAWN
    disputes: Disputes = Disputes()
    returns: Returns = Returns()
    guidelines: Guidelines = Guidelines()
    threads: ThreadTexts = ThreadTexts()
    targets: Targets = Targets()
    version: int = 1
    hash: str = field(init=False)
    known_domains: frozenset[str] = field(init=False, repr=False)
    asking_flags: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "expert_domains", tuple(sorted(self.expert_domains)))
        object.__setattr__(self, "known_domains", frozenset({GENERAL, *self.expert_domains}))
        flags = frozenset({UNSURE, NEEDS_EXPERT, *(DOMAIN_FLAG + domain for domain in self.expert_domains)})
        object.__setattr__(self, "asking_flags", flags)
        content = self.to_json()
        if self.qualification is None:
            del content["qualification"]  # certificates of before there was this key keep their policy's hash
        if self.practice is None:
            del content["practice"]
        if self.skips == Skips():
            del content["skips"]  # for the same reason
        if self.order is Order.DRAWN:
            del content["order"]
        if self.disputes == Disputes():
            del content["disputes"]
        if self.returns == Returns():
            del content["returns"]
        if self.guidelines == Guidelines():
            del content["guidelines"]
        if self.threads == ThreadTexts():
            del content["threads"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        object.__setattr__(self, "hash", "sha256:" + sha256(text.encode()).hexdigest())

    @property
    def returnable(self) -> int:
        """How many passes of a row QA can give back to their people at once."""
        return self.passes if self.returns.most else 0

    def to_json(self) -> dict[str, Json]:
        """The normalised content: every default filled in, sets sorted, numbers as they compare."""
        targets = self.targets
        return {
            "version": self.version,
            "passes": self.passes,
            "qa": {"when": self.qa.when.value} | ({"share": self.qa.share} if self.qa.when is QaWhen.SAMPLE else {}),
            "expert_domains": list(self.expert_domains),
            "expert_quorum": self.expert_quorum,
            "escalate_when": list(self.escalate_when),
            "proposal": self.proposal.value,
            "fields": {name: measure.to_json() for name, measure in sorted(self.fields.items())},
            "prelabel": {"withhold": self.prelabel.withhold},
            "qualification": self.qualification.to_json() if self.qualification else None,
            "practice": asdict(self.practice) if self.practice else None,
            "skips": asdict(self.skips),
            "order": self.order.value,
            "disputes": asdict(self.disputes),
            "returns": asdict(self.returns),
            "guidelines": {"acknowledge": self.guidelines.acknowledge.value},
            "threads": asdict(self.threads),
            "targets": {
                name: None if value is None else float(value)
                for name in ("rows_per_hour", "agreement", "accuracy")
                for value in (getattr(targets, name),)
            },
        }


def withheld(row_id: str, policy: Policy) -> bool:
    """Whether a row is labelled without seeing the auto-label, by a hash of the row id alone.

    >>> withheld("r1", Policy(prelabel=Prelabel(withhold=1.0)))
    True
    """
    return in_share(row_id, policy.prelabel.withhold, "withhold")


def load_policy(text: str, *, name: str = "policy.yaml") -> Policy:
    """Read a policy file; what it leaves out has the default of docs/rules.md.

    Args:
        text: the file's content, YAML or JSON.
        name: what faults call the file.

    Raises:
        FaultsError: the file has faults; all of them, with line and column.

    >>> load_policy("passes: 3").passes
    3
    >>> load_policy("passes: 0")
    Traceback (most recent call last):
    review_rules.files.faults.FaultsError: policy.yaml:1:9: passes: this should be a whole number, at least 1, but is \
0. Write 1 or more.
    """
    root = read_yaml(text, name)
    keys = root.known(_KEYS)
    settings = {key: _READERS[key](place) for key, place in keys.items() if not (place.is_null and key in _NULLABLE)}
    if root.faults:
        raise FaultsError(tuple(sorted(root.faults, key=lambda fault: (fault.line, fault.column))))
    return Policy(**settings)


def _version(place: Located) -> int:
    version = place.whole(1)
    if version is not None and version != 1:
        place.fault(f"version {version} of the policy is not known here", "Write `version: 1`, or update Quorum.")
    return 1


def _qa(place: Located) -> Qa:
    keys = place.known(("when", "share"), required=("when",))
    word = keys["when"].one_of(QaWhen, "time for QA") if "when" in keys else None
    share = keys["share"].number(0, 1) if "share" in keys else None
    if word is QaWhen.SAMPLE and "share" not in keys:
        place.fault("`when: sample` needs a share", "Add `share: 0.1` to look at a tenth of the rows.")
    if word in (QaWhen.ALL, QaWhen.CONFLICT) and "share" in keys:
        keys["share"].fault(f"`share` has no meaning with `when: {word}`", "Remove it, or write `when: sample`.")
    return Qa(word or QaWhen.ALL, float(share or 0))


def _expert_domains(place: Located) -> tuple[str, ...]:
    domains: list[str] = []
    for item in place.items():
        domain = item.text()
        if domain == GENERAL:
            item.fault("`general` needs no expert", "Remove it: general rows are those that need none.")
        elif domain == ANY_EXPERT:
            # In `next.requires` the star stands for the role alone, so that a domain of this name would name nobody.
            item.fault("`*` is no domain", "Name each domain that needs an expert.")
        elif domain in domains:
            item.fault(f"the domain `{domain}` stands here twice", "Remove one.")
        elif domain is not None:
            domains.append(domain)
    return tuple(domains)


def _escalate_when(place: Located) -> tuple[str, ...]:
    sources: list[str] = []
    for item in place.items():
        source = item.text()
        if source is None:
            continue
        for mistake in mistakes(source):
            allowed = VARIABLES if "name" in mistake.message else ()
            hint = did_you_mean(mistake.name or "", allowed) if allowed else "See escalate_when in docs/rules.md."
            item.fault(mistake.message, hint, shift=0 if item.inset is None else item.inset + mistake.offset)
        sources.append(source)
    return tuple(sources)


def _fields(place: Located) -> Mapping[str, Measure]:
    return MappingProxyType({name: _measure(value) for name, _, value in place.entries()})


def _measure(place: Located) -> Measure:
    keys = place.known(("agree", "kind", "match", "threshold", "iou", "tolerance"), required=("agree",))
    agree = keys["agree"].one_of(Agree, "measure") if "agree" in keys else None
    kind = keys["kind"].one_of(Kind, "kind") if "kind" in keys else None
    match = keys["match"].one_of(Match, "match") if "match" in keys else None
    numbers = {
        name: value
        for name, high in (("threshold", 1.0), ("iou", 1.0), ("tolerance", float("inf")))
        if name in keys and (value := keys[name].number(0, high)) is not None
    }
    # The unknown measure is a fault already; that its settings do not suit it would only confuse.
    if agree is None:
        return EXACT
    for name in ("match", "threshold", "iou", "tolerance"):
        if name in keys and name not in agree.settings:
            has = " and ".join(f"`{setting}`" for setting in agree.settings) or "no settings"
            keys[name].fault(f"the measure {agree} has no `{name}`", f"Remove it; {agree} has {has}.")
    if kind is not None and kind not in agree.kinds:
        suitable = ", ".join(suitable_measures(kind))
        keys["agree"].fault(f"the measure {agree} does not suit the kind {kind}", f"Use one of {suitable}.")
    return Measure(agree, match or Match.STRICT, kind=kind, **numbers)


def suitable_measures(kind: Kind) -> list[str]:
    """The measures that suit a kind of field.

    >>> suitable_measures(Kind.CHOICES)
    ['exact', 'jaccard']
    """
    return [agree.value for agree in Agree if kind in agree.kinds]


def _prelabel(place: Located) -> Prelabel:
    keys = place.known(("withhold",))
    share = keys["withhold"].number(0, 1) if "withhold" in keys else None
    return Prelabel(float(share or 0))


def _qualification(place: Located) -> Qualification | None:
    further = ("stages", "domains", "fields", "weeks", "guidelines")
    keys = place.known(("rows", "bar", *further), required=("rows", "bar"))
    rows = keys["rows"].text() if "rows" in keys else None
    bar = keys["bar"].number(0, 1) if "bar" in keys else None
    stages, domains, fields = (_bars(keys[key]) if key in keys else {} for key in further[:3])
    for stage in sorted(set(stages) - set(_REVIEW_STAGES)):
        hint = "Name qa or expert; the bar of the passes is `bar`."
        keys["stages"].fault(f"there is no review stage `{stage}`", hint)
    weeks = keys["weeks"].whole(1) if "weeks" in keys and not keys["weeks"].is_null else None
    guidelines = bool("guidelines" in keys and keys["guidelines"].flag())
    if rows is None or bar is None:
        return None
    return Qualification(rows, float(bar), stages, domains, fields, weeks, guidelines)


def _bars(place: Located) -> Mapping[str, float]:
    """A share for each name."""
    shares = {name: value.number(0, 1) for name, _, value in place.entries()}
    return MappingProxyType({name: float(share) for name, share in shares.items() if share is not None})


def _practice(place: Located) -> Practice | None:
    keys = place.known(("rows", "paid"), required=("rows",))
    rows = keys["rows"].text() if "rows" in keys else None
    paid = bool("paid" in keys and keys["paid"].flag())
    return None if rows is None else Practice(rows, paid)


def _skips(place: Located) -> Skips:
    keys = place.known(("per_day", "reason"))
    default = Skips()
    per_day = default.per_day
    if "per_day" in keys:
        per_day = None if keys["per_day"].is_null else keys["per_day"].whole(0)
    reason = keys["reason"].flag() if "reason" in keys else None
    return Skips(per_day, default.reason if reason is None else reason)


def _disputes(place: Located) -> Disputes:
    keys = place.known(("days",))
    if "days" not in keys:
        return Disputes()
    return Disputes(None if keys["days"].is_null else keys["days"].whole(0))


def _returns(place: Located) -> Returns:
    keys = place.known(("most",), required=("most",))
    return Returns(keys["most"].whole(0) or 0) if "most" in keys else Returns()


def _guidelines(place: Located) -> Guidelines:
    keys = place.known(("acknowledge",))
    word = keys["acknowledge"].one_of(Acknowledge, "word") if "acknowledge" in keys else None
    return Guidelines(word or Acknowledge.ASKED)


def _threads(place: Located) -> ThreadTexts:
    keys = place.known(("texts_in_exports",))
    texts = keys["texts_in_exports"].flag() if "texts_in_exports" in keys else None
    return ThreadTexts() if texts is None else ThreadTexts(texts)


def _targets(place: Located) -> Targets:
    highest = {"rows_per_hour": float("inf"), "agreement": 1.0, "accuracy": 1.0}
    keys = place.known(highest)
    return Targets(**{name: value.number(0, highest[name]) for name, value in keys.items() if not value.is_null})


_READERS: dict[str, Json] = {
    "version": _version,
    "passes": lambda place: place.whole(1) or 2,
    "qa": _qa,
    "expert_domains": _expert_domains,
    "expert_quorum": lambda place: place.whole(1) or 1,
    "escalate_when": _escalate_when,
    "proposal": lambda place: place.one_of(ProposalFrom, "proposal") or ProposalFrom.PASSES,
    "fields": _fields,
    "prelabel": _prelabel,
    "qualification": _qualification,
    "practice": _practice,
    "skips": _skips,
    "order": lambda place: place.one_of(Order, "order") or Order.DRAWN,
    "disputes": _disputes,
    "returns": _returns,
    "guidelines": _guidelines,
    "threads": _threads,
    "targets": _targets,
}
_KEYS = tuple(_READERS)
_REVIEW_STAGES = ("qa", "expert")
_NULLABLE = frozenset(
    {
        "escalate_when",
        "fields",
        "prelabel",
        "qualification",
        "practice",
        "skips",
        "disputes",
        "returns",
        "guidelines",
        "threads",
        "targets",
    }
)
