"""Real votes: how well their annotators agree, and how often each way of settling a label equals the gold.

    QUORUM_SHARED_DATA=… python benchmarks/real_votes.py [--json]

Ways: two passes and the proposal that `decide` makes of them (first two votes of an item, in the order of the file),
the same with the auto-label as a third opinion, three passes; the majority; Dawid-Skene; one-coin. Whatever a way
leaves open (a conflict, a tie) goes to QA: "settled" is the share it does not leave open, "equal" the share of these
that equals the gold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from review_rules import Policy, Team, decide, load_policy, load_team, parse_history
from review_rules.statistics.aggregation import Method, Opinion, aggregate
from review_rules.statistics.agreement import Agreement, Figure, agreement
from review_rules.statistics.votes import VoteKind, read_lengths, read_votes

DATA = Path(os.environ.get("QUORUM_SHARED_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data")


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


def lines(stem: str) -> list[dict[str, Any]]:
    """Read one file of the data folder."""
    with (DATA / f"multi_{stem}_dev.jsonl").open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def comparable(value: Any) -> Any:
    """Make values that mean the same equal: spans in any order, 4 and 4.0."""
    if isinstance(value, list):
        return frozenset((span["start"], span["end"], span["label"]) for span in value)
    return float(value) if isinstance(value, int) else value


def measure_agreement(source: Source, items: Iterable[Mapping[str, Any]]) -> Agreement:
    """All figures of a set."""
    texts = (json.dumps({"item_id": item["item_id"], "text": item["text"]}) for item in items if "text" in item)
    lengths, _ = read_lengths(texts)
    with (DATA / f"multi_{source.stem}_dev.jsonl").open("rb") as stream:
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
    found: list[tuple[str, list[str], Callable[[str], Any]]] = []
    for passes in (2, 3):
        voted = [item for item in gold if len(ballots[item]) >= passes]
        if voted:
            found.append((f"{passes} passes", voted, by_decide(source, ballots, items, passes, None)))
    for auto in ("auto_label", "auto_label_pandalm7b"):
        if any(auto in items[item] for item in gold):
            found.append((f"2 passes + {auto}", list(gold), by_decide(source, ballots, items, 2, auto)))
    if source.kind is VoteKind.SPANS:
        found.append(("majority of each span", list(gold), lambda item: majority_of_spans(ballots[item])))
    else:
        triples = [(item, who, comparable(value)) for item, votes in ballots.items() for who, value in votes]
        for method in Method:
            found.append((method.value, list(gold), _label(aggregate(triples, method).opinions)))
    out = []
    for name, voted, answer in found:
        settled = {item: value for item in voted if (value := answer(item)) is not None}
        equal = sum(comparable(value) == gold[item] for item, value in settled.items())
        out.append(Way(name, len(voted), len(settled), equal))
    return out


def settle(source: Source) -> tuple[Agreement, list[Way]]:
    """Measure one set."""
    items = {item["item_id"]: item for item in lines(f"{source.stem}_items")}
    ballots: dict[str, list[tuple[str, Any]]] = {item: [] for item in items}
    for vote in lines(source.stem):
        if all(str(vote[key]) == value for key, value in source.where):
            ballots[vote["item_id"]].append((vote["annotator"], vote["value"]))
    gold = {}
    if source.gold is not None:
        task = dict(source.where).get("task")
        for name, item in items.items():
            if item["gold"] is not None:
                value = item["gold"] if task is None else [span for span in item["gold"] if span["label"] == task]
                gold[name] = comparable(value)
    return measure_agreement(source, items.values()), ways(source, ballots, items, gold) if gold else []


def say(figure: Figure) -> str:
    """A figure with its interval."""
    return (
        "–"
        if figure.value is None or figure.low is None
        else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
    )


def main() -> None:
    """Measure every set and print two tables, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"no data at {DATA}: set QUORUM_SHARED_DATA to the folder of the real votes")
    results = {source: settle(source) for source in SOURCES}
    if given.json:
        for source, (measured, settled) in results.items():
            ways_out = [{"way": w.name, "items": w.items, "settled": w.settled, "equal": w.equal} for w in settled]
            out = measured.to_json()
            out.pop("kappa", None)
            print(json.dumps({"set": source.name, "gold": source.gold, "agreement": out, "ways": ways_out}))
        return
    console = Console(width=150)
    table = Table("set", "items", "people", "ratings", "figure", "value (95 % interval)")
    for source, (measured, _) in results.items():
        head = (source.name, f"{measured.items:,}", f"{measured.annotators:,}", f"{measured.ratings:,}")
        for place, (name, figure) in enumerate(measured.figures.items()):
            table.add_row(*(head if place == 0 else ("", "", "", "")), name, say(figure))
    console.print(table)
    columns = (Column(name, justify="right") for name in ("items", "settled", "equal to gold", "settled and equal"))
    table = Table("set", "gold", "way", *columns)
    for source, (_, settled) in results.items():
        for place, way in enumerate(settled):
            names = (source.name, source.gold or "") if place == 0 else ("", "")
            shares = (way.settled / way.items, way.equal / max(1, way.settled), way.equal / way.items)
            table.add_row(*names, way.name, f"{way.items:,}", *(f"{share:.1%}" for share in shares))
    console.print(table)


if __name__ == "__main__":
    main()
