"""The datasheet of an export: what is in it, how it came about, how far it can be trusted, and what is not known.

People appear under pseudonyms that are stable within one datasheet and tell nothing outside of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from label_studio_quorum.gold.spool import STAGES, Spool, is_returned, reopenings_after_final
from label_studio_quorum.gold.thread_records import THREAD, ThreadCounts
from ls_config import Interface
from review_rules import Submission, parse_history
from review_rules.canonical import key
from review_rules.pre_annotation import saw_auto_label
from review_rules.statistics.agreement import Agreement, agreement
from review_rules.statistics.intervals import Rate, newcombe
from review_rules.statistics.votes import collect_votes
from review_rules.values import Kind

__all__ = ["Card"]

_MOST_VOTED = 10_000
"""Rows whose votes are kept: the agreement of more is that of a sample, so that memory stays flat."""
_SHOWN = ("percent", "alpha.nominal", "alpha.masi", "alpha.ordinal", "ac1", "ac2", "span_f1.strict", "span_f1.overlap")


@dataclass(slots=True)
class _Counts:
    """All that one pass over the records counts."""

    states: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    origins: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    auto: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    single: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    agreed: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    anchoring: dict[bool, list[int]] = field(default_factory=lambda: {True: [0, 0], False: [0, 0]})
    """Whether forms opened with the auto-label, or empty → answers that gave its value, and all answers."""
    otherwise_shown: int = 0
    """Answers whose form opened with something else, or with nobody knows what."""
    people: Counter[tuple[str, str]] = field(default_factory=Counter)
    expert_rows: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""
    policies: set[str] = field(default_factory=set)
    violated: Counter[str] = field(default_factory=Counter)
    reopened: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    reopened_rows: int = 0
    returned_rows: int = 0
    threads: ThreadCounts = field(default_factory=ThreadCounts)
    sample: dict[str, list[tuple[str, str, Any]]] = field(default_factory=dict)
    """Row id → field, person, value of each vote on it."""

    @property
    def sampled(self) -> bool:
        """True if the votes of some rows were not kept."""
        return sum(self.states.values()) > _MOST_VOTED

    def keep(self, row_id: str, votes: list[tuple[str, str, Any]]) -> None:
        """Take a row's votes into the sample: the rows whose ids have the lowest hashes, whatever order they come
        in."""
        self.sample[row_id] = votes
        if len(self.sample) >= 2 * _MOST_VOTED:
            self.trim()

    def trim(self) -> None:
        """Leave no more rows in the sample than it may have."""
        kept = frozenset(sorted(self.sample, key=_hash)[:_MOST_VOTED])
        self.sample = {row_id: votes for row_id, votes in self.sample.items() if row_id in kept}


class Card:
    """The datasheet of one export. Nothing is counted before something asks for it."""

    def __init__(self, spool: Spool, interface: Interface, about: Mapping[str, Any]) -> None:
        self._spool, self._interface, self._about = spool, interface, about

    @classmethod
    def of(cls, spool: Spool, interface: Interface, about: Mapping[str, Any]) -> Card:
        """A datasheet over the spooled records."""
        return cls(spool, interface, about)

    @cached_property
    def _kinds(self) -> dict[str, Kind]:
        return {name: Kind.of(kind) for name, kind in self._spool.shape.fields.items()}

    @cached_property
    def _counts(self) -> _Counts:
        counts = _Counts()
        for record in self._spool:
            self._count(counts, record)
        counts.trim()
        return counts

    def _count(self, counts: _Counts, record: Mapping[str, Any]) -> None:
        counts.states[str(record.get("state"))] += 1
        counts.domains[record.get("domain") or record.get("predicted_domain") or "none given"] += 1
        counts.sources.update(
            [source] if isinstance(source := record["row"].get("license") or record["row"].get("source"), str) else []
        )
        certificate = record.get("certificate") or {}
        counts.policies.update([certificate["policy"]] if certificate.get("policy") else [])
        counts.expert_rows += any(certificate.get("domains", {}).values()) or bool(certificate.get("expert"))
        counts.threads.add(record.get(THREAD), record.get("reopened"))
        after_final = reopenings_after_final(record)
        counts.reopened.update({str(entry.get("role")) for entry in after_final})
        counts.reopened_rows += bool(after_final)
        counts.returned_rows += is_returned(record)
        counts.reasons.update(str(entry.get("reason") or "none given") for entry in after_final)
        counts.violated.update(str(check.get("say")) for check in record.get("checks") or ())
        for stage in STAGES:
            for submission in record.get(stage) or ():
                counts.people[str(submission.get("by")), stage] += 1
                at = str(submission.get("at") or "")
                counts.first = min(counts.first or at, at)
                counts.last = max(counts.last, at)
        self._count_fields(counts, record)

    def _count_fields(self, counts: _Counts, record: Mapping[str, Any]) -> None:
        final = (record.get("final") or {}).get("values") or {}
        counted = _counted_passes(record)
        forms = [self._is_anchored(record, passed.raw.get("shown")) for passed in counted]
        votes: list[tuple[str, str, Any]] = []
        for name, kind in self._kinds.items():
            for passed in counted:
                value = passed.values.get(name)
                value = [] if value is None and kind.is_set else value
                if value is not None:
                    votes.append((name, str(passed.by), value))
            if name in final:
                self._count_final(counts, record, name, kind, final[name], counted, forms)
        counts.keep(record["row_id"], votes)

    def _count_final(
        self,
        counts: _Counts,
        record: Mapping[str, Any],
        name: str,
        kind: Kind,
        label: Mapping[str, Any],
        counted: list[Submission],
        forms: list[bool | None],
    ) -> None:
        value = key(kind, label.get("value"))
        counts.origins[name][str(label.get("origin"))] += 1
        counts.labels[name].update(_names(kind, label.get("value")))
        changed = label.get("changed_from_auto")
        if changed is not None:
            _tick(counts.auto[name], bool(changed))
        keys = [key(kind, passed.values.get(name)) for passed in counted]
        for answer in keys:
            _tick(counts.single[name], answer != value)
        if len(keys) > 1 and all(answer == keys[0] for answer in keys):
            _tick(counts.agreed[name], keys[0] != value)
        auto = (record.get("auto_label") or {}).get(name)
        if auto is None:
            return
        for answer, saw in zip(keys, forms, strict=True):
            if saw is None:
                counts.otherwise_shown += 1
            else:
                _tick(counts.anchoring[saw], answer == key(kind, auto))

    def _is_anchored(self, record: Mapping[str, Any], shown: Any) -> bool | None:
        """Whether a form opened with the auto-label, and not empty.

        Returns:
            None for one that opened with what is not known, or with something else, which leads people too.
        """
        saw = saw_auto_label(self._kinds, record.get("auto_label"), shown)
        return None if saw is False and shown.get("hash") is not None else saw

    @cached_property
    def _agreements(self) -> dict[str, Agreement]:
        made = {}
        for name, kind in self._kinds.items():
            votes = [
                (row_id, who, value)
                for row_id, answers in self._counts.sample.items()
                for field_name, who, value in answers
                if field_name == name
            ]
            if kind.votes_as is not None and votes:
                made[name] = agreement(collect_votes(votes, kind.votes_as))
        return made

    @cached_property
    def agreement(self) -> list[dict[str, Any]]:
        """One object a field and measure: `{field, measure, value, low, high, reason, rows}`; `rows` says of which."""
        rows = sum(self._counts.states.values())
        of = f"{_MOST_VOTED:,} of {rows:,}, drawn by their ids" if self._counts.sampled else f"all {rows:,}"
        return [
            {"field": name, "measure": measure, **figure.to_json(), "rows": of}
            for name, figures in self._agreements.items()
            for measure, figure in figures.figures.items()
            if measure in _SHOWN
        ]

    # --- the text

    def text(self, hashes: Mapping[str, str] | None = None) -> str:
        """The datasheet as Markdown."""
        parts = [
            self._head(),
            self._contents(),
            self._making(),
            self._threads(),
            self._people(),
            self._trust(),
            self._gaps(),
            self._hashes(hashes or {}),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _head(self) -> str:
        name = self._about.get("name") or "Labelled rows"
        rows = self._spool.rows
        gold = self._counts.states.get("FINAL", 0)
        kind = "gold rows only" if gold == rows else f"{gold} gold rows and {rows - gold} that are not (column `gold`)"
        return (
            f"# {_plain(name)}\n\nDatasheet of an export by Quorum: {rows} rows, {kind}; "
            f"{self._spool.left_out} rows of the campaign are not final yet and not in the file."
        )

    def _contents(self) -> str:
        counts = self._counts
        lines = [_table(("domain", "rows"), sorted(counts.domains.items()))]
        if counts.sources:
            lines.append(
                "Sources and licences as the rows state them: "
                + "; ".join(f"{_plain(name)} ({n})" for name, n in counts.sources.most_common(12))
                + "."
            )
        for name in self._spool.shape.fields:
            if labels := counts.labels.get(name):
                lines.append(
                    _table(
                        (f"`{name}`", "spans" if self._kinds[name] is Kind.SPANS else "rows"),
                        sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))[:40],
                    )
                )
        return "## What is in it\n\n" + "\n\n".join(lines)

    def _making(self) -> str:
        counts = self._counts
        named = counts.policies | ({str(self._about["policy"])} if self._about.get("policy") else set())
        policies = ", ".join(f"`{policy}`" for policy in sorted(named)) or "none stated"
        origins = _table(
            ("field", "passes agreed", "majority", "QA decided", "expert decided"),
            [
                (f"`{name}`", by["passes"], by["majority"], by["qa"], by["expert"])
                for name, by in counts.origins.items()
            ],
        )
        text = (
            "## How it was made\n\nEach row was labelled by people who did not see each "
            "other's answer, then reviewed by a further person; "
            "rows of expert domains had an expert of the domain among them. Every row carries "
            "a certificate of who decided, which "
            f"`quorum verify` proves again from the row's own history.\n\nPolicy: {policies}. "
            f"Labelled from {counts.first[:10] or '–'} to {counts.last[:10] or '–'}. "
            f"An expert took part in {Rate(counts.expert_rows, self._spool.rows)} of the rows."
        )
        text += f"\n\n{self._reopened()}{self._returned()}{self._checks()}"
        return f"{text}\n\nWho decided the final value:\n\n{origins}" if counts.origins else text

    def _reopened(self) -> str:
        waiting = self._spool.left_out_after_final
        text = self._decided_anew()
        if not waiting:
            return text
        return f"{text} Opened again after they had been final, and not final yet, so not in the file: {waiting} rows."

    def _decided_anew(self) -> str:
        counts = self._counts
        if not counts.reopened_rows:
            return "No row of these was opened again after it had been final."
        roles = ", ".join(f"{_plain(role)} {rows}" for role, rows in sorted(counts.reopened.items()))
        reasons = sorted(counts.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
        return (
            f"Rows that were opened again after they had been final, and decided anew: {counts.reopened_rows} of "
            f"{self._spool.rows} (by {roles}). Reasons: "
            + "; ".join(f"{_plain(reason)} ({times})" for reason, times in reasons)
            + "."
        )

    def _returned(self) -> str:
        """How many rows QA gave back to their people, who answered them again knowing what QA had written."""
        rows = self._counts.returned_rows
        if not rows:
            return ""
        return f" Returned by QA to one or more of their annotators, with a reason, and answered again: {rows} rows."

    def _threads(self) -> str:
        """What was asked and disputed; nothing where nobody has said whether there are threads."""
        if "threads" not in self._about:
            return ""
        if self._about["threads"] is None:
            return "## Threads\n\nNone: they are kept by a server with Quorum's plugin, and this is a stock server."
        others = ThreadCounts()
        others.add(self._about["threads"])
        return (
            f"## Threads\n\nAbout the rows of this file: {self._counts.threads.sentence()}. About paragraphs of the "
            f"guidelines: {others.sentence()}. Announcements to everybody: {others.kinds['announcement']}."
        )

    def _checks(self) -> str:
        """Which rules between fields the interface had, and how many rows violate each."""
        if not self._about.get("checks"):
            return ""
        violated = sorted(self._counts.violated.items(), key=lambda pair: (-pair[1], pair[0]))
        counts = "; ".join(f"{_plain(say)} ({rows})" for say, rows in violated) or "none"
        return f"\n\nChecks between fields: `{self._about['checks']}`. Violated by final labels: {counts}."

    def _people(self) -> str:
        counts = self._counts
        work = {
            who: [counts.people[who, stage] for stage in STAGES] for who in sorted({who for who, _ in counts.people})
        }
        ordered = sorted(work.items(), key=lambda pair: (-sum(pair[1]), pair[0]))
        rows = [(f"P{at:02d}", *numbers) for at, (_, numbers) in enumerate(ordered, 1)]
        return (
            "## People\n\nPseudonyms, most work first.\n\n" + _table(("person", "passes", "QA", "expert reviews"), rows)
            if rows
            else ""
        )

    def _trust(self) -> str:
        counts = self._counts
        measured = _table(
            ("field", "measure", "value", "95 % interval"),
            [(f"`{figures['field']}`", figures["measure"], *_figure(figures)) for figures in self.agreement],
        )
        sample = f", in a sample of {_MOST_VOTED:,} rows drawn by their ids" if counts.sampled else ""
        rates = _table(
            ("field", "auto-label overturned", "a single pass was wrong", "two agreeing passes were overturned"),
            [
                (f"`{name}`", Rate(*counts.auto[name]), Rate(*counts.single[name]), Rate(*counts.agreed[name]))
                for name in self._spool.shape.fields
                if name in counts.origins
            ],
        )
        return (
            f"## How far to trust it\n\nAgreement of the blind "
            f"passes{sample}:\n\n{measured}\n\nMeasured against the final label, with 95 % Wilson "
            f"intervals:\n\n{rates}\n\n{self._anchoring()}"
        )

    def _anchoring(self) -> str:
        shown, hidden = (Rate(*self._counts.anchoring[saw]) for saw in (True, False))
        others = self._counts.otherwise_shown
        left_out = f" Left out: {others} answers whose form opened with something else, or with what is not known."
        if not hidden.of or not shown.of:
            which = "without" if shown.of else "with"
            return (
                f"Anchoring was not measured: no row was labelled {which} its auto-label (policy `prelabel.withhold`)."
                + left_out * bool(others)
            )
        low, high = newcombe(shown, hidden)
        return (
            f"Anchoring: people gave the auto-label's value in {shown} of answers where the form opened with it, and "
            f"in {hidden} where it opened empty. The difference, {shown.share - hidden.share:+.1%} "
            f"({low:+.1%} to {high:+.1%}), is what showing it does; a row's answers are not independent, so that the "
            "interval is rather too narrow." + left_out * bool(others)
        )

    def _gaps(self) -> str:
        counts = self._counts
        gaps = [
            "The error that remains in the final labels is not known: nobody judged them "
            "again. The overturn rates above bound it only in so far as QA finds what is wrong."
        ]
        if any(domain == "none given" for domain in counts.domains):
            gaps.append(f"{counts.domains['none given']} rows name no domain; expert rules cannot apply to them.")
        if self._spool.left_out:
            gaps.append(
                f"{self._spool.left_out} rows are not final; if they are the harder ones, the file is "
                f"easier than the campaign."
            )
        for name, kind in self._kinds.items():
            control = next((each for each in self._interface.controls if each.name == name), None)
            unseen = [
                label for label in (control.labels if control else ()) if label not in counts.labels.get(name, ())
            ]
            if unseen and counts.origins.get(name):
                gaps.append(f"`{name}` never has: {', '.join(unseen)}.")
            if kind.votes_as is None:
                gaps.append(f"No agreement figure is computed for `{name}` ({kind}).")
        return "## Known gaps\n\n" + "\n".join(f"- {gap}" for gap in gaps)

    def _hashes(self, hashes: Mapping[str, str]) -> str:
        lines = [f"- `{name}`: `sha256:{value}`" for name, value in sorted(hashes.items())]
        lines.append(f"- the seal of the records, which `quorum verify --seal` takes: `{self._spool.seal}`")
        return "## Hashes\n\n" + "\n".join(lines)


def _hash(row_id: str) -> bytes:
    return hashlib.blake2b(row_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _counted_passes(record: Mapping[str, Any]) -> list[Submission]:
    """The latest submission of each person whom the certificate names; without a certificate, of each person. As in
    decisions, an element that cannot stand where it lies is no part of an answer."""
    history = parse_history({"row_id": "", "fields": record.get("fields") or {}, "passes": record.get("passes")})
    latest = {passed.by: passed for passed in sorted(history.passes, key=lambda passed: passed.at) if passed.by}
    named = (record.get("certificate") or {}).get("passes") or list(latest)
    return [latest[who] for who in named if who in latest]


def _tick(pair: list[int], hit: bool) -> None:
    pair[0] += hit
    pair[1] += 1


def _names(kind: Kind, value: Any) -> Iterable[str]:
    if kind.is_set:
        return [element if isinstance(element, str) else str(element.get("label")) for element in value or ()]
    return [str(value)] if kind in (Kind.CHOICE, Kind.RATING) and value is not None else []


def _figure(figure: Mapping[str, Any]) -> tuple[str, str]:
    if figure["value"] is None:
        return "–", str(figure["reason"])
    low, high = figure["low"], figure["high"]
    return f"{figure['value']:.3f}", f"{low:.3f} to {high:.3f}" if low is not None else str(figure["reason"])


def _plain(text: Any) -> str:
    """Text of others within Markdown: one line, and nothing in it that a viewer would render."""
    one_line = " ".join(str(text).split())
    return "".join(f"&#{ord(char)};" if char in "<>&|`*_[]!#" else char for char in one_line)


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "&#124;").replace("\n", " ") for cell in row) + " |" for row in rows
    ]
    return "\n".join(lines)
