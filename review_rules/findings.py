"""Every finding the rules can make: stable id, message, hint. Documented in docs/findings.md.

`QR.W…` are warnings of a decision, `QR.E0…` errors of a decision, `QR.E1…` what `quorum verify` finds in an export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: what (`message`), where (`path`), what to do (`hint`)."""

    id: str
    message: str
    hint: str
    path: str

    @property
    def severity(self) -> str:
        """`error` or `warning`.

        >>> finding("QR.W026", "passes[0]", person="ana").severity
        'warning'
        """
        return "error" if self.id[3] == "E" else "warning"

    def to_json(self) -> dict[str, Any]:
        """The finding as in the contract's JSON."""
        return {
            "id": self.id,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
            "path": self.path,
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """What a finding id means: a title for the documentation, and the templates of message and hint."""

    title: str
    message: str
    hint: str


RULES: dict[str, Rule] = {
    # The row itself.
    "QR.W001": Rule(
        "Field without a measure",
        "the policy has no measure for the field {field}; it is compared exactly",
        "Add {field} under `fields` in the policy, for example `{field}: {{agree: exact}}`.",
    ),
    "QR.W002": Rule(
        "Measure that does not suit the field",
        "the measure {measure} does not suit the field {field} of kind {kind}; it is compared exactly",
        "Choose a measure that suits {kind}: {suitable}.",
    ),
    "QR.W003": Rule(
        "Span outside the text",
        "the span {start}..{end} of {field} lies outside the text of {length} characters and is left out",
        "Check how its offsets were counted: half-open, in Unicode code points, from 0.",
    ),
    "QR.W004": Rule(
        "Empty or reversed span",
        "the element {start}..{end} of {field} does not end after it starts and is left out",
        "An end lies behind the last character; mark the element again.",
    ),
    "QR.W005": Rule(
        "Span whose text differs",
        "the span {start}..{end} of {field} carries another text than its offsets point at and is left out",
        "The text was changed or the offsets were counted in other units; mark the span again.",
    ),
    "QR.W006": Rule(
        "Field of unknown kind",
        "the field {field} has no kind that is known here and is ignored",
        "Use one of choice, choices, spans, rating, number, text, boxes, segments.",
    ),
    "QR.W007": Rule(
        "Unknown domain",
        "the domain {domain} is neither general nor one of the policy's expert_domains and is ignored",
        "Correct the spelling, or add it to `expert_domains` in the policy.",
    ),
    "QR.W008": Rule(
        "Part of the row with a wrong type",
        "{part} should be {expected} and is ignored",
        "Correct it where the history is written.",
    ),
    "QR.W009": Rule(
        "Auto-label with a wrong type",
        "the auto-label of {field} is not a value of kind {kind} and is ignored",
        "Correct the column `auto_label` of the row: {expected}.",
    ),
    "QR.W010": Rule(
        "Box without an area",
        "a box of {field} has no width or no height and is left out",
        "Draw the box again.",
    ),
    "QR.W011": Rule(
        "Value out of range",
        "the value of {field} lies outside {low}..{high}; it counts as it is",
        "Ask whoever submitted it to correct it; check min and max of the field.",
    ),
    # Submissions that do not count.
    "QR.W020": Rule(
        "Submission with a part of the wrong type",
        "this submission does not count: {part} should be {expected}",
        "Have it submitted again; if it came from a file, correct the file.",
    ),
    "QR.W021": Rule(
        "Submission without a person",
        "this submission does not count: it does not say who made it",
        "Give `by` the person's id in the team file.",
    ),
    "QR.W022": Rule(
        "Submission without a time",
        "this submission does not count: it has no time with an offset",
        "Give `at` an ISO 8601 time with an offset, such as 2026-01-05T10:00:00Z.",
    ),
    "QR.W023": Rule(
        "Submission by somebody unknown",
        "this submission does not count: {person} is not in the team",
        "Add {person} to the team file, or have somebody of the team take the step.",
    ),
    "QR.W024": Rule(
        "Submission without the role",
        "this submission does not count: {person} lacks the role {roles}",
        "Give {person} the role in the team file, or have somebody who has it take the step.",
    ),
    "QR.W025": Rule(
        "Submission after leaving",
        "this submission does not count: {person} had left the team",
        "If {person} is back, correct `left` in the team file.",
    ),
    "QR.W026": Rule(
        "Superseded submission",
        "this submission does not count: {person} submitted a later version",
        "Nothing to do; the later version stands in its place.",
    ),
    "QR.W027": Rule(
        "Surplus pass",
        "this submission does not count: the row already has its {passes} passes and {person} is further down the line",
        "Nothing to do; hand out no more passes of a row than the policy asks for.",
    ),
    "QR.W028": Rule(
        "Review before the passes were complete",
        "this submission does not count: the passes of the row are not complete",
        "It is asked for again when they are.",
    ),
    "QR.W029": Rule(
        "Review of a stale input",
        "this submission does not count: it is not later than {what}, so {person} has not reviewed what stands now",
        "The row goes round again; have it reviewed as it stands now.",
    ),
    "QR.W030": Rule(
        "Self-review",
        "this submission does not count: {person} made {part} of this row",
        "Have somebody review it who took no earlier part in the row.",
    ),
    "QR.W031": Rule(
        "Decision without a word",
        "this submission does not count: its decision is not accept, correct, escalate, discard or, at QA, return",
        "Have it submitted again with a decision.",
    ),
    "QR.W032": Rule(
        "Decision without a reason",
        "this submission does not count: {word} needs a reason",
        "Ask {person} to submit it again with a reason.",
    ),
    "QR.W033": Rule(
        "Conflict left open",
        "this submission does not count: {word} would leave {fields} in conflict without a value",
        "Ask {person} to give {fields} a value, or to escalate with a reason.",
    ),
    "QR.W034": Rule(
        "QA overtaken by somebody's later QA",
        "this submission does not count: another person did QA later than {person}",
        "Nothing to do; ask one person only for QA of a row.",
    ),
    "QR.W035": Rule(
        "Expert review that was not due",
        "this submission does not count: no expert review was due when {person} submitted it",
        "Nothing to do; the row had what it needed.",
    ),
    "QR.W036": Rule(
        "Expert of another domain",
        "this submission does not count: {person} holds none of the domains that lack an expert: {domains}",
        "Have an expert of {domains} review the row.",
    ),
    "QR.W037": Rule(
        "Expert review without QA",
        "this submission does not count: the row has no counted QA that it could follow",
        "It is asked for again after QA, if it is due then.",
    ),
    "QR.W038": Rule(
        "Pass without a required value",
        "this submission does not count: it gives no value to {fields}, which the interface requires",
        "Ask {person} to fill in {fields} and submit the pass again.",
    ),
    "QR.W039": Rule(
        "Review that leaves a required field empty",
        "this submission does not count: {word} would leave {fields} without a value, which the interface requires",
        "Ask {person} to give {fields} a value, or to escalate with a reason.",
    ),
    # What decisions rest on.
    "QR.W040": Rule(
        "Escalation rule that failed",
        "the expression {expression} failed and counts as true: {error}",
        "Correct it in `escalate_when` of the policy; test for a key with `has(...)` before you use it.",
    ),
    # Reopened rows.
    "QR.W050": Rule(
        "Review from before the row was reopened",
        "this submission does not count: the row was reopened after it",
        "Nothing to do; the row is asked for again.",
    ),
    # Returned rows.
    "QR.W060": Rule(
        "Pass that was given back",
        "this submission does not count: QA returned the row to {person} after it",
        "Nothing to do; {person} is asked for it again, or somebody else where {person} has left.",
    ),
    "QR.W061": Rule(
        "Return that the policy does not allow",
        "this submission does not count: the policy lets a row be returned {most} times, and it was {count} times",
        "Have {person} correct or escalate the row, or raise `most` under `returns` in the policy.",
    ),
    "QR.W062": Rule(
        "Return to nobody",
        "this submission does not count: a return names people whose passes count, and this one names {named}",
        "Ask {person} to say whose pass to give back.",
    ),
    "QR.E001": Rule(
        "Nobody may take the next step",
        "nobody in the team may take the next step: {step}",
        "{cure}",
    ),
    "QR.E002": Rule(
        "An expert could not decide",
        "{person} escalated as an expert: {reason}",
        "Settle the question with {person}, mend the guidelines, and have {person} submit the review again.",
    ),
    # What an export claims and its own history does not bear out (`quorum verify`).
    "QR.E101": Rule(
        "Line that is no record",
        "this line is no record of a row: {reason}",
        "Export again, and verify the file as it was written.",
    ),
    "QR.E102": Rule(
        "Row twice",
        "the row {row} stands in the file more than once, first on line {line}",
        "Keep one of the records; two may count twice in training or in figures.",
    ),
    "QR.E103": Rule(
        "History missing",
        "the record has no list {part}, so nothing can be proved from it",
        "Export full records (JSON lines), not a table of labels.",
    ),
    "QR.E104": Rule(
        "State that does not follow",
        "the record says {claimed}, but its history says {decided}",
        "Do not use the row; sync the campaign and export again.",
    ),
    "QR.E105": Rule(
        "Final label without quorum",
        "the record has a final label, but its history is not final: {reason}",
        "Do not use the row as gold; sync the campaign, so that it goes to whoever is missing.",
    ),
    "QR.E106": Rule(
        "Self-review in a final label",
        "{person} reviewed work of this row that {person} had a part in",
        "Do not use the row as gold; have it reviewed by somebody who took no earlier part.",
    ),
    "QR.E107": Rule(
        "Final label on a stale input",
        "the review by {person} is not later than what it reviews, which was changed afterwards",
        "Do not use the row as gold; have it reviewed as it stands now.",
    ),
    "QR.E108": Rule(
        "Changed text",
        "{what} is not the text that was imported",
        "Do not use the row; its labels were given on another text. Import it again.",
    ),
    "QR.E109": Rule(
        "Span that does not fit its text",
        "the offsets of this span of {field} do not point at the text it carries",
        "Do not use the row; the text or the offsets were changed after the labelling.",
    ),
    "QR.E110": Rule(
        "Final value that does not follow",
        "the final value of {field} is not the one that its history gives",
        "Do not use the row; it was changed after the decision. Export again.",
    ),
    "QR.E111": Rule(
        "Another policy",
        "the certificate names the policy {claimed}, but the policy given is {given}",
        "Verify with the policy that the export was made under, or export again under this one.",
    ),
    "QR.E112": Rule(
        "Certificate that does not follow",
        "the certificate's {part} is not what the history gives",
        "Do not use the row; the certificate was changed, or belongs to another history. Export again.",
    ),
    "QR.E113": Rule(
        "Claim that does not follow",
        "the record's {part} is not what the history gives",
        "Export again; the record was changed, or another version of the rules wrote it.",
    ),
    "QR.E114": Rule(
        "Another team",
        "the certificate names the team {claimed}, but the team file given is {given}",
        "Verify with the team file that the export was made under, or export again under this one.",
    ),
    "QR.E115": Rule(
        "Unknown version of the rules",
        "the record says that version {claimed} of the rules decided it; the versions known here are 1 to {known}",
        "Update Quorum and verify again; if the record was changed, export again.",
    ),
    "QR.E116": Rule(
        "Part changed after the export",
        "the record's {part} is not what was exported",
        "Do not use the row; take it from the file as it was exported, or export again.",
    ),
    "QR.E117": Rule(
        "Record without a digest",
        "{what} no digest, so nothing binds what stands beside the history",
        "Take the file as it was exported; exports of Quorum 0.1.0 have no digests: export again.",
    ),
    "QR.E118": Rule(
        "File without records",
        "the file holds no record of a row, so there is nothing to prove",
        "Check that it is the right file, and that the export had rows.",
    ),
    "QR.E119": Rule(
        "Rows missing",
        "the export had {of} rows, of which {count} are not in the file: {numbers}",
        "Take the file as it was exported; for a part of an export give --part.",
    ),
    "QR.E120": Rule(
        "Row out of its place",
        "the row stands {where} in the order of the export",
        "Take the file as it was exported; for rows in another order give --part.",
    ),
    "QR.E121": Rule(
        "Row of another export",
        "the record's place in its export is taken, or is that of another export",
        "Verify each export by itself; if rows were added or changed, take the file as it was exported.",
    ),
    "QR.E122": Rule(
        "Another seal",
        "the seal of these records is {seal}, and the one given is {expected}",
        "The file is another export or was changed; ask for the file that the seal was printed for.",
    ),
    "QR.E123": Rule(
        "Copy that differs",
        "the record's {part} is not {source}",
        "Do not use the row; it was changed after the export. Export again.",
    ),
    "QR.E124": Rule(
        "Shown otherwise than recorded",
        "{what}",
        "Take the record's value, or export again; somebody or some program changed the file after the export.",
    ),
    "QR.E125": Rule(
        "Row without its hash",
        "the record has no hash of its row, so nothing shows that the row is the one imported",
        "Do not use the row; take it from the file as it was exported.",
    ),
    "QR.E126": Rule(
        "Number that lost digits",
        "the record's {part} is not what was exported; it holds the number {number}, which may have been rounded",
        "jq 1.6, JavaScript and data frames round long numbers: take the file as it was exported.",
    ),
    "QR.E127": Rule(
        "Unknown version of the guidelines",
        "{claimed} is no version of the guidelines that the record lists; it lists {known}",
        "Do not use the row; it was changed after the export. Export again.",
    ),
    "QR.E128": Rule(
        "Version of the guidelines that contradicts another",
        "version {number} of the guidelines {what}",
        "Do not use the row; it was changed after the export, or joined from two campaigns. Export again.",
    ),
}


def finding(rule_id: str, path: str, **details: object) -> Finding:
    """The finding `rule_id` at `path`, its templates filled with `details`.

    >>> finding("QR.W006", "fields.mood", field="mood").message
    'the field mood has no kind that is known here and is ignored'
    """
    rule = RULES[rule_id]
    return Finding(rule_id, rule.message.format(**details), rule.hint.format(**details), path)
