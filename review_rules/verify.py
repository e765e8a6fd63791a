"""Prove an export: decide every record again from its own history and say whatever does not follow.

A record is a row's history as `quorum decide` reads it, with the decision that was made, and the row as imported under
`row` (with its hash under `row_hash`). Nothing in a record is believed but the history itself. What stands beside the
history is bound by the record's digest, and the rows of a file by their places (`seals`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from review_rules.canonical_json import canonical_text, digest_text, is_same, json_text
from review_rules.decide import decide
from review_rules.files.policy import Policy, withheld
from review_rules.files.team import Team
from review_rules.findings import Finding, finding
from review_rules.guideline_versions import GuidelinesCheck
from review_rules.parse import HistoryError, parse_history
from review_rules.seals import DIGEST, Digest, Places, changed_parts
from review_rules.values import Decision, Json, Kind, RowHistory, Stage, State
from review_rules.versions import CURRENT, version_of

_LISTS = tuple(stage.key for stage in Stage)
_CLAIMS = ("next", "comparison", "proposal")
_LEFT_OUT = frozenset({"QR.W003", "QR.W004", "QR.W005"})


def row_hash(row: Mapping[str, Json]) -> str:
    """The hash of a row's columns as imported, `sha256:…`; equal numbers are equal, however they are written.

    >>> row_hash({"id": "r1", "response": "r"})[:14]
    'sha256:62f4255'
    """
    return _hash(digest_text(row))


def is_hash_of(claimed: Json, row: Mapping[str, Json]) -> bool:
    """Whether a hash is a row's, also where it is of 0.1.0, which told 1.0 and 1 apart.

    >>> is_hash_of(row_hash({"n": 1.0}), {"n": 1}), is_hash_of(row_hash({"n": 1}), {"n": 2})
    (True, False)
    """
    return bool(claimed == row_hash(row) or claimed == _hash(canonical_text(row)))


def _hash(text: str) -> str:
    return "sha256:" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Verifier:
    """Checks the records of one export, in the order of the file; remembers row ids to find a row that comes twice.

    Attributes:
        team: The team that the export was made under.
        policy: Its policy.
        places: Checks that the file holds the rows of the export, all and in their order.
        seen: Row id → line.
        versions: The versions of the rules that records were decided by.
        guidelines: Checks the versions of the guidelines that answers name.
    """

    team: Team
    policy: Policy
    places: Places = field(default_factory=Places)
    seen: dict[str, int] = field(default_factory=dict)
    versions: set[int] = field(default_factory=set)
    guidelines: GuidelinesCheck = field(default_factory=GuidelinesCheck)

    def check(self, record: Json, line: int) -> list[Finding]:
        """Everything in one record that does not follow; an empty list proves it.

        Args:
            record: one record, as `json.loads` returns it.
            line: its line in the file, from 1.

        >>> from review_rules import load_policy, load_team
        >>> verifier = Verifier(load_team("people: []"), load_policy("passes: 1"))
        >>> [unproven.id for unproven in verifier.check({"row_id": "r1", "fields": {}}, 1)]
        ['QR.E103', 'QR.E103', 'QR.E103']
        """
        bound = list(self._bound(record)) if isinstance(record, dict) else []
        try:
            history = parse_history(record)
        except HistoryError as error:
            return [finding("QR.E101", "", reason=str(error)), *bound]
        unproven: list[Finding] = []
        first = self.seen.setdefault(history.row_id, line)
        if first != line:
            unproven.append(finding("QR.E102", "row_id", row=history.row_id, line=first))
        missing = [key for key in _LISTS if not isinstance(record.get(key), list)]
        if missing:
            return unproven + [finding("QR.E103", key, part=key) for key in missing] + bound
        rules = version_of(record.get("rules"))
        # Whoever takes the version away asks for rules that no record with a digest was decided by.
        if rules is None or (DIGEST in record and record.get("rules") is None):
            claimed = json_text(record.get("rules"))[:80]
            return [*unproven, finding("QR.E115", "rules", claimed=claimed, known=CURRENT.number), *bound]
        self.versions.add(rules.number)
        # From here on nothing in the record is believed but its history, which is decided again.
        decision = decide(history, self.team, self.policy, rules)
        unproven += _texts(record, history)
        unproven += _copies(record, decision, self.policy)
        unproven += _quorum(record, decision)
        unproven += _claims(record, decision)
        unproven += _certificate(record, decision, self.policy, self.team)
        if rules.names_guidelines:
            unproven += self.guidelines.check(record)
        return unproven + bound

    def _bound(self, record: Mapping[str, Json]) -> Iterator[Finding]:
        """What was changed of all that the digest binds, and a record that is not in its place."""
        digest = Digest.of(record)
        if DIGEST in record:
            yield from changed_parts(record, digest)
        yield from self.places.check(record, digest)

    def finish(self) -> list[Finding]:
        """What is wrong with the file as a whole, once all its records were checked."""
        return list(self.places.finish())


def _claims_final(record: Mapping[str, Json]) -> bool:
    return record.get("state") == State.FINAL or record.get("final") is not None or record.get("gold") is True


def _texts(record: Mapping[str, Json], history: RowHistory) -> Iterator[Finding]:
    """Texts that are not what was imported, and final spans that do not fit theirs."""
    row = record.get("row")
    if isinstance(row, dict):
        columns = {value for value in row.values() if isinstance(value, str)}
        for name, known in history.fields.items():
            if known.text is not None and known.text not in columns:
                yield finding("QR.E108", f"fields.{name}.text", what=f"the text of {name}")
        claimed = record.get("row_hash")
        if claimed is not None and not is_hash_of(claimed, row):
            yield finding("QR.E108", "row", what="the row")
        if claimed is None and DIGEST not in record:
            yield finding("QR.E125", "row_hash")
    for name, value in _final_values(record).items():
        spec = history.fields.get(name)
        if spec is not None and spec.kind is Kind.SPANS and spec.text is not None:
            for number, span in enumerate(value if isinstance(value, list) else ()):
                if not _fits(span, spec.text):
                    yield finding("QR.E109", f"final.values.{name}.value[{number}]", field=name)


def _fits(span: Json, text: str) -> bool:
    if not isinstance(span, dict):
        return False
    start, end, carried = span.get("start"), span.get("end"), span.get("text")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        return False
    # A span need not carry its text; one that does must carry the right one.
    return carried is None or bool(carried == text[start:end])


def _final_values(record: Mapping[str, Json]) -> dict[str, Json]:
    """The claimed final values by field; what has no such shape is no value."""
    final = record.get("final")
    values = final.get("values") if isinstance(final, dict) else None
    if not isinstance(values, dict):
        return {}
    return {name: entry.get("value") for name, entry in values.items() if isinstance(entry, dict)}


def _copies(record: Mapping[str, Json], decision: Decision, policy: Policy) -> Iterator[Finding]:
    """What a record says twice, or by itself though it follows from other parts."""
    row = record.get("row")
    if isinstance(row, dict):
        if "id" in row and row["id"] != record["row_id"]:
            yield finding("QR.E123", "row_id", part="row_id", source="the id of its row")
        if (row.get("domain") or None) != (record.get("domain") or None):
            yield finding("QR.E123", "domain", part="domain", source="that of its row")
        auto_label = record.get("auto_label")
        # What is no auto-label for this interface stays a column of the row, and the record has none.
        if "auto_label" in row and auto_label and not is_same(row["auto_label"], auto_label):
            yield finding("QR.E123", "auto_label", part="auto_label", source="that of its row")
    is_gold = decision.state is State.FINAL and (not isinstance(row, dict) or _is_as_imported(record, row))
    # Gold that is no gold has a finding of its own, which says why.
    if "gold" in record and record["gold"] is not is_gold and not (record["gold"] is True and not is_gold):
        yield finding("QR.E123", "gold", part="gold", source="what its state and its row say")
    if "withheld" in record and record["withheld"] is not withheld(str(record["row_id"]), policy):
        yield finding("QR.E123", "withheld", part="withheld", source="what the policy says of this row")


def _is_as_imported(record: Mapping[str, Json], row: Mapping[str, Json]) -> bool:
    claimed = record.get("row_hash")
    return claimed is None or is_hash_of(claimed, row)


def _quorum(record: Mapping[str, Json], decision: Decision) -> Iterator[Finding]:
    """A final label that the history does not bear out, and why."""
    if _claims_final(record) and decision.state is not State.FINAL:
        yield finding("QR.E105", "final", reason=_standing(decision))
        for noted in decision.findings:
            if noted.id in ("QR.W030", "QR.W029"):
                rule_id = "QR.E106" if noted.id == "QR.W030" else "QR.E107"
                yield finding(rule_id, noted.path, person=_person_at(record, noted.path))
    certificate = record.get("certificate")
    if isinstance(certificate, dict):
        for person in _twice(certificate):
            yield finding("QR.E106", "certificate", person=person)


def _standing(decision: Decision) -> str:
    """Where the row really stands."""
    if decision.next is None:
        return f"it is {decision.state}"
    requires = f" by somebody who holds {', '.join(decision.next.requires)}" if decision.next.requires else ""
    return f"it is {decision.state} and lacks a counted {decision.next.stage}{requires}"


def _person_at(record: Mapping[str, Json], path: str) -> str:
    """Who made the submission that a path such as `qa[0]` points at."""
    stage, _, rest = path.partition("[")
    return str(record[stage][int(rest.rstrip("]"))]["by"])


def _twice(certificate: Mapping[str, Json]) -> list[str]:
    """People whom a certificate names for more than one part."""
    people: list[Any] = []
    for key in ("passes", "expert"):
        people += certificate[key] if isinstance(certificate.get(key), list) else []
    people.append(certificate.get("qa"))
    named = [person for person in people if isinstance(person, str)]
    return sorted({person for person in named if named.count(person) > 1})


def _claims(record: Mapping[str, Json], decision: Decision) -> Iterator[Finding]:
    """Every other part of the record against the decision made anew."""
    decided = decision.to_json()
    claimed_state = record.get("state")
    if claimed_state != decision.state:
        yield finding("QR.E104", "state", claimed=_shown(claimed_state), decided=decision.state)
    for name in _final_differences(record.get("final"), decided["final"]):
        yield finding("QR.E110", f"final.values.{name}" if name else "final", field=name or "the row")
    for part in _CLAIMS:
        if part in record and not is_same(record[part], decided[part]):
            yield finding("QR.E113", part, part=part)
    yield from _finding_differences(record, decision)


def _shown(claimed: Json) -> str:
    return claimed if isinstance(claimed, str) and claimed in list(State) else "something that is no state"


def _final_differences(claimed: Json, decided: Json) -> list[str]:
    """The fields whose final value differs; "" is the label as a whole."""
    if is_same(claimed, decided):
        return []
    if decided is None or not isinstance(claimed, dict) or not isinstance(claimed.get("values"), dict):
        return [""]
    ours, theirs = decided["values"], claimed["values"]
    names = [*ours, *[name for name in theirs if name not in ours]]
    differing = [name for name in names if not is_same(ours.get(name), theirs.get(name))]
    return differing or [""]


def _finding_differences(record: Mapping[str, Json], decision: Decision) -> Iterator[Finding]:
    """Findings that the record hides or makes up; hidden ones about spans are told as such."""
    claimed = record.get("findings")
    entries = [entry for entry in claimed if isinstance(entry, dict)] if isinstance(claimed, list) else []
    claims = {(str(entry.get("id")), str(entry.get("path"))) for entry in entries}
    made = {(noted.id, noted.path) for noted in decision.findings}
    for noted in decision.findings:
        if noted.id in _LEFT_OUT and (noted.id, noted.path) not in claims:
            field_name = noted.path.split(".")[-1].split("[")[0]
            yield finding("QR.E109", noted.path, field=field_name)
    if "findings" in record and claims != made:
        yield finding("QR.E113", "findings", part="list of findings")


def _certificate(record: Mapping[str, Json], decision: Decision, policy: Policy, team: Team) -> Iterator[Finding]:
    """The certificate part by part; without one, a final label has nothing to show."""
    claimed = record.get("certificate")
    decided = None if decision.certificate is None else decision.certificate.to_json()
    if isinstance(claimed, dict) and claimed.get("policy") != policy.hash:
        yield finding("QR.E111", "certificate.policy", claimed=str(claimed.get("policy"))[:80], given=policy.hash)
    names_team = decision.rules.names_team
    if isinstance(claimed, dict) and names_team and claimed.get("team") != team.hash:
        yield finding("QR.E114", "certificate.team", claimed=str(claimed.get("team"))[:80], given=team.hash)
    if is_same(claimed, decided):
        return
    if decided is None or not isinstance(claimed, dict):
        if claimed is not None or decided is not None:
            yield finding("QR.E112", "certificate", part="presence" if decided is None else "absence")
        return
    # These two have a finding of their own, above.
    compared = {"policy", "team"} if names_team else {"policy"}
    for part in sorted({*claimed, *decided} - compared):
        if part not in claimed or part not in decided or not is_same(claimed[part], decided[part]):
            yield finding("QR.E112", f"certificate.{part}", part=part)
