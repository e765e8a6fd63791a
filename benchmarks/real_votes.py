"""How well annotators agree, and how often each way of settling a label equals the gold.

With `--data`: the votes of real people in ten published sets. Without it: the rows, auto-labels and right answers of
the example campaign with votes drawn by the seed, which show that it runs and say nothing about people.

Ways: two passes and the proposal that `decide` makes of them (first two votes of an item, in the order of the file),
the same with the auto-label as a third opinion, three passes; the majority; Dawid-Skene; one-coin. Whatever a way
leaves open (a conflict, a tie) goes to QA: the figure is the share of all items that a way settles as the gold does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.harness import Arguments, Line, Report, read_lines, require, run, write_lines
from review_rules import Policy, Team, decide, load_policy, load_team, parse_history
from review_rules.statistics.aggregation import Method, Opinion, aggregate
from review_rules.statistics.agreement import Agreement, agreement
from review_rules.statistics.votes import VoteKind, read_lengths, read_votes

CLAIM = "two people who agree are nearly always right; what they leave open needs a third person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A set of votes: its files, what a value is, and where the gold comes from.

    Args:
        where: only lines with these values; `task` also keeps only the gold spans of that label.
        gold: what the gold is; None where there is none.
        measure: how decide compares, as in a policy file.
    """

    name: str
    stem: str
    kind: VoteKind
    where: tuple[tuple[str, str], ...] = ()
    gold: str | None = None
    measure: str = "{agree: exact}"


CRITERIA = {
    "ragchecker": ("correctness", "completeness", "overall"),
    "squality": ("correctness", "coverage", "overall"),
}
SPAN_F1 = "{agree: span_f1}"
PAPER = "the paper's aggregated grade"
NEAR = "{agree: tolerance, tolerance: 1}"


def rated(name: str, criterion: str) -> Source:
    """One criterion of a set of ratings."""
    return Source(
        name=f"{name}, {criterion}", stem=f"rating_{name}", kind=VoteKind.RATING, where=(("criterion", criterion),)
    )


def tagged(task: str) -> Source:
    """One label of the tweets, which were marked label by label."""
    return Source(
        name=f"btc, {task}",
        stem="span_btc",
        kind=VoteKind.SPANS,
        where=(("task", task),),
        gold="the released corpus",
        measure=SPAN_F1,
    )


EXAMPLES = (
    Source(name="example, verdict", stem="choice_verdict", kind=VoteKind.CHOICE, gold="the right answers"),
    Source(name="example, correctness", stem="rating_correctness", kind=VoteKind.RATING, gold="the right answers"),
    Source(
        name="example, entities",
        stem="span_entities",
        kind=VoteKind.SPANS,
        gold="the right answers",
        measure=SPAN_F1,
    ),
)
"""What is measured without `--data`."""

SOURCES = (
    Source(name="premo", stem="choice_premo", kind=VoteKind.CHOICE, gold="majority of a second pass, with context"),
    Source(name="pandalm", stem="choice_pandalm", kind=VoteKind.CHOICE, gold="majority of these votes"),
    Source(name="xsumfact", stem="choice_xsumfact", kind=VoteKind.CHOICE, gold="majority of these votes"),
    Source(name="conala", stem="rating_conala", kind=VoteKind.RATING, gold=PAPER),
    Source(name="conala, tolerance 1", stem="rating_conala", kind=VoteKind.RATING, gold=PAPER, measure=NEAR),
    *(rated(name, criterion) for name, criteria in CRITERIA.items() for criterion in criteria),
    *(tagged(task) for task in ("PER", "LOC", "ORG")),
    Source(name="kpiedgar", stem="span_kpiedgar", kind=VoteKind.SPANS, gold="annotator `manual`", measure=SPAN_F1),
    Source(name="xsum", stem="span_xsum", kind=VoteKind.SPANS),
    Source(name="squality spans", stem="span_squality", kind=VoteKind.SPANS),
)

Ballots = Mapping[str, list[tuple[str, Any]]]
"""By item, its votes in the order of the file: who, and what."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of settling a label: how many items it settles, and how many of these equal the gold."""

    name: str
    items: int
    settled: int
    equal: int


def file_of(folder: Path, stem: str) -> Path:
    """One file of the data folder."""
    return data.file_of(folder, f"multi_{stem}_dev.jsonl")


def write_examples(folder: Path, seed: int) -> None:
    """Write the example campaign in the form of the published sets, with votes drawn by the seed."""
    rows = {row["id"]: row for row in read_lines(data.EXAMPLES / "rows.jsonl")}
    for source in EXAMPLES:
        field = source.stem.partition("_")[2]
        items = [
            {
                "item_id": name,
                "text": rows[name]["response"],
                "gold": values[field],
                "auto_label": rows[name].get("auto_label", {}).get(field),
            }
            for name, values in data.truth().items()
        ]
        write_lines(folder / f"multi_{source.stem}_items_dev.jsonl", items)
        write_lines(folder / f"multi_{source.stem}_dev.jsonl", data.example_ballots(field, seed))


def comparable(value: Any) -> Any:
    """Make values that mean the same equal: spans in any order, 4 and 4.0."""
    if isinstance(value, list):
        return frozenset((span["start"], span["end"], span["label"]) for span in value)
    return float(value) if isinstance(value, int) else value


def measure_agreement(source: Source, folder: Path, items: Iterable[Mapping[str, Any]]) -> Agreement:
    """All figures of a set."""
    texts = (json.dumps({"item_id": item["item_id"], "text": item["text"]}) for item in items if "text" in item)
    lengths, _ = read_lengths(texts)
    with file_of(folder, source.stem).open("rb") as stream:
        votes, faults = read_votes(stream, source.kind, where=dict(source.where), lengths=lengths)
    assert not faults
    return agreement(votes)


def by_decide(
    source: Source, ballots: Ballots, items: Mapping[str, Mapping[str, Any]], passes: int, auto: str | None
) -> Callable[[str], Any]:
    """Return the proposal that `decide` makes of an item's first votes; None if it makes none."""
    people = sorted({who for votes in ballots.values() for who, _ in votes})
    team = load_team("people:\n" + "".join(f"  - {{id: {who}, roles: [annotator]}}\n" for who in [*people, "dag"]))
    policy = load_policy(
        f"passes: {passes}\nproposal: {'passes+auto' if auto else 'passes'}\nfields: {{label: {source.measure}}}\n"
    )

    def propose(item: str) -> Any:
        return _propose(source, items[item], ballots[item][:passes], auto, team, policy)

    return propose


def _propose(
    source: Source, item: Mapping[str, Any], votes: list[tuple[str, Any]], auto: str | None, team: Team, policy: Policy
) -> Any:
    field = {"kind": source.kind.value} | ({"text": item["text"]} if source.kind is VoteKind.SPANS else {})
    passes = [
        {"by": who, "at": f"2026-01-01T00:00:{second:02}Z", "values": {"label": value}}
        for second, (who, value) in enumerate(votes)
    ]
    history = {"row_id": item["item_id"], "fields": {"label": field}, "passes": passes}
    if auto and item.get(auto) is not None:
        history["auto_label"] = {"label": item[auto]}
    decision = decide(parse_history(history), team, policy)
    proposed, compared = decision.proposal.get("label"), decision.comparison["label"]
    # A conflict about a set still proposes what the passes share, for QA to complete: that settles nothing.
    return proposed.value if proposed and (compared.agreed or proposed.origin.value == "majority") else None


def majority_of_spans(votes: list[tuple[str, Any]]) -> frozenset[Any]:
    """The spans that more than half of the people marked."""
    marked = Counter(span for _, value in votes for span in comparable(value))
    return frozenset(span for span, number in marked.items() if number > len(votes) / 2)


def _label(opinions: Mapping[Any, Opinion]) -> Callable[[str], Any]:
    return lambda item: opinions[item].label


def ways(
    source: Source, ballots: Ballots, items: Mapping[str, Mapping[str, Any]], gold: Mapping[str, Any]
) -> list[Way]:
    """Settle every item that has gold in every way, and compare."""
    answers: list[tuple[str, list[str], Callable[[str], Any]]] = []
    for passes in (2, 3):
        voted = [item for item in gold if len(ballots[item]) >= passes]
        if voted:
            answers.append((f"{passes} passes", voted, by_decide(source, ballots, items, passes, None)))
    for auto in ("auto_label", "auto_label_pandalm7b"):
        if any(auto in items[item] for item in gold):
            answers.append((f"2 passes + {auto}", list(gold), by_decide(source, ballots, items, 2, auto)))
    if source.kind is VoteKind.SPANS:
        answers.append(("majority of each span", list(gold), lambda item: majority_of_spans(ballots[item])))
    else:
        triples = [(item, who, comparable(value)) for item, votes in ballots.items() for who, value in votes]
        for method in Method:
            answers.append((method.value, list(gold), _label(aggregate(triples, method).opinions)))
    out = []
    for name, voted, answer in answers:
        settled = {item: value for item in voted if (value := answer(item)) is not None}
        equal = sum(comparable(value) == gold[item] for item, value in settled.items())
        out.append(Way(name, len(voted), len(settled), equal))
    return out


def settle(source: Source, folder: Path) -> tuple[Agreement, list[Way]]:
    """Measure one set."""
    items = {item["item_id"]: item for item in read_lines(file_of(folder, f"{source.stem}_items"))}
    ballots: dict[str, list[tuple[str, Any]]] = {item: [] for item in items}
    for vote in read_lines(file_of(folder, source.stem)):
        if all(str(vote[key]) == value for key, value in source.where):
            ballots[vote["item_id"]].append((vote["annotator"], vote["value"]))
    gold = {}
    if source.gold is not None:
        task = dict(source.where).get("task")
        for name, item in items.items():
            if item["gold"] is not None:
                value = item["gold"] if task is None else [span for span in item["gold"] if span["label"] == task]
                gold[name] = comparable(value)
    return measure_agreement(source, folder, items.values()), ways(source, ballots, items, gold) if gold else []


def lines_of(source: Source, measured: Agreement, settled: list[Way]) -> Iterator[Line]:
    """The figures of a set, then its ways beside the majority, which is what most people would take."""
    people = f"{measured.items:,} items, {measured.annotators:,} people, {measured.ratings:,} votes"
    for name, figure in measured.figures.items():
        low, high = figure.low, figure.high
        interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}; "
        yield Line(what=f"{source.name}: {name}", measured=figure.value, note=interval + people)
    majority = next((way for way in settled if way.name.startswith("majority")), None)
    for way in settled:
        same = way is majority or majority is None or majority.items != way.items
        note = f"settles {way.settled / way.items:.1%}, of these {way.equal / max(1, way.settled):.1%} equal the gold"
        yield Line(
            what=f"{source.name}: {way.name}",
            measured=100 * way.equal / way.items,
            unit="% settled as the gold",
            instead="" if same or majority is None else majority.name,
            reference=None if same or majority is None else 100 * majority.equal / majority.items,
            note=f"{note} ({source.gold}); {way.items:,} items",
        )


def measure(options: argparse.Namespace) -> Report:
    """Measure every set."""
    require("stats", "crowdkit")
    with tempfile.TemporaryDirectory() as name:
        folder, sources = options.data, SOURCES
        described = "votes of real people, published sets of --data"
        if folder is None:
            folder, sources = Path(name), EXAMPLES
            write_examples(folder, options.seed)
            described = f"the example campaign with votes drawn by seed {options.seed}; for votes of people give --data"
        chosen = sources[:1] if options.quick else sources
        lines = [line for source in chosen for line in lines_of(source, *settle(source, folder))]
    return Report(claim=CLAIM, data=described, lines=lines)


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__, data="folder with multi_*_items_dev.jsonl and multi_*_dev.jsonl; else the example")
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
