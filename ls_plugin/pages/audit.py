"""The audit: what the audit log proves, and what in it cannot be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from tasks.models import Annotation

from ls_config.paragraphs import guidelines_hash
from ls_plugin.models import Campaign, KnownAnswer, Message, Record
from ls_plugin.store import audit_log, exposures, guidelines, known_answers, messages, opened_forms
from ls_plugin.store.audit_log import AuditFault
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import project_ids

CHUNK = 500
_ANSWERING = frozenset({"submitted", "changed", "skipped"})


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome of an audit.

    Attributes:
        campaign: its name.
        lines: lines of the audit log of the whole server.
        head: number and hash of the last one; note it, and give it to a later audit.
        kinds: how many lines of each kind this campaign has.
        answers: answers that the server holds for this campaign, each looked up in the audit log.
        faults: everything that cannot be; none means proven.
    """

    campaign: str
    lines: int
    head: tuple[int, str]
    kinds: dict[str, int]
    answers: int
    faults: tuple[AuditFault, ...]

    def to_json(self) -> dict[str, Any]:
        """The answer of ``GET /quorum/api/audit``."""
        return {
            "campaign": self.campaign,
            "lines": self.lines,
            "head": f"{self.head[0]}:{self.head[1]}",
            "kinds": self.kinds,
            "answers": self.answers,
            "proven": not self.faults,
            "faults": [fault.to_json() for fault in self.faults],
        }


def parse_head(text: str | None) -> tuple[int, str] | None:
    """The end of an audit log as it was noted: ``<number>:<hash>``."""
    if not text:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != len(audit_log.START):
        raise Refused("bad_request", "`head` is <number>:<hash>, as an earlier audit printed it.")
    return int(number), digest


def run(campaign: Campaign, noted: tuple[int, str] | None = None) -> Audit:
    """Check the audit log of the server, and with it what this campaign's people were shown and submitted.

    Nine things are checked: the chain is whole; nobody was served another's answer to a row before their own answer to
    it, nor the known one, by practice; nobody answered what they were not given; what an answer's line says of the
    pre-annotation, and of the version of the guidelines, is what the person was served; nobody was handed a row before
    they acknowledged the guidelines that asked for it; the answers on the server are those that the log says; and so
    are what was said in threads, the versions of the guidelines, and what was answered in practice and qualification.
    The log is read once, a few lines at a time, while people go on working.
    """
    look, before = _Look(campaign), audit_log.head()
    lines = look.each(Record.objects.order_by("seq").iterator(chunk_size=CHUNK))
    chain = list(audit_log.check_chain(lines, before, noted))
    answers = _answers(campaign, look)
    look.faults.extend(_messages(campaign, look))
    look.faults.extend(look.other_guidelines())
    look.faults.extend(_known_answers(campaign, look))
    return Audit(
        campaign=campaign.name,
        lines=look.lines,
        head=look.end,
        kinds=dict(sorted(look.kinds.items())),
        answers=answers,
        faults=(*chain, *look.faults),
    )


@dataclass(frozen=True, slots=True)
class _Logged:
    """What the audit log says of an answer: its last line, whose it is, and whether it began as a skip."""

    seq: int
    user_id: int | None
    task_id: int | None
    digest: str
    skip: bool


@dataclass
class _Look:
    """What is kept of the lines while they go by: a few numbers for each answer, never the lines."""

    campaign: Campaign
    lines: int = 0
    end: tuple[int, str] = (0, audit_log.START)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[AuditFault] = field(default_factory=list)
    answers: dict[int, _Logged] = field(default_factory=dict)
    messages: dict[int, tuple[int, str]] = field(default_factory=dict)
    known: dict[int, tuple[int, str]] = field(default_factory=dict)
    _practised: dict[tuple[int | None, str], int] = field(default_factory=dict)
    _hand_outs: set[tuple[int | None, int | None]] = field(default_factory=set)
    _saw: dict[tuple[int | None, str], int] = field(default_factory=dict)
    _forms: dict[tuple[int | None, int | None], str] = field(default_factory=dict)
    _versions: dict[tuple[int | None, int | None], str] = field(default_factory=dict)
    _hashes: dict[int, str] = field(default_factory=dict)
    _asked: int = 0
    _acknowledged: dict[int | None, int] = field(default_factory=dict)

    def each(self, lines: Iterable[Record]) -> Iterator[Record]:
        """Pass the lines on, and look at those of the campaign."""
        for line in lines:
            self.lines, self.end = self.lines + 1, (line.seq, line.hash)
            if line.campaign_id == self.campaign.pk:
                self._look(line)
            yield line

    def _look(self, line: Record) -> None:
        self.kinds[line.kind] += 1
        person, of_row = (line.user_id, line.task_id), (line.user_id, line.row_id)
        if line.kind == "given":
            self._hand_outs.add(person)
            self._acknowledged_first(line)
        elif line.kind == guidelines.GUIDELINES:
            body = json.loads(line.body)
            self._hashes[body["number"]] = body["hash"]
            self._asked = body["number"] if body["acknowledge"] else self._asked
        elif line.kind == guidelines.ACKNOWLEDGED:
            self._acknowledged[line.user_id] = json.loads(line.body)["number"]
        elif line.kind in exposures.KINDS:
            if exposures.tells_of_others(line.body):
                self._saw.setdefault(of_row, line.seq)
            self._note_form(line, person)
        elif line.kind == "taken_back":
            self.answers.pop(json.loads(line.body)["annotation"], None)
        elif line.kind == "skip_returned":
            for annotation in json.loads(line.body)["annotations"]:
                self.answers.pop(annotation, None)
        elif line.kind == messages.AUDITED:
            body = json.loads(line.body)
            self.messages[body["message"]] = (line.seq, body["digest"])
        elif line.kind in list(known_answers.Kind):
            body = json.loads(line.body)
            self.known[body["known_answer"]] = (line.seq, body["digest"])
            if line.kind == known_answers.Kind.PRACTICE:
                self._practised.setdefault(of_row, line.seq)
        elif line.kind in _ANSWERING:
            self._answered(line, person, of_row)

    def other_guidelines(self) -> Iterator[AuditFault]:
        """What in the versions of the guidelines is not what the log says was published."""
        for version in guidelines.versions_of(self.campaign.pk):
            logged = self._hashes.get(version.number)
            # A version of before there were versions has no line, nor has one that came while the log was read.
            is_text = guidelines_hash(version.text) == version.hash
            if not is_text or (logged is not None and logged != version.hash):
                text = f"version {version.number} of the guidelines is not what was published"
                yield AuditFault(0, "guidelines", text)

    def _acknowledged_first(self, line: Record) -> None:
        """Nobody is handed a row before they acknowledge the guidelines that asked for it."""
        if self._acknowledged.get(line.user_id, 0) < self._asked:
            what = f"account {line.user_id} was handed task {line.task_id}"
            text = f"{what} before acknowledging version {self._asked} of the guidelines"
            self.faults.append(AuditFault(line.seq, "not_acknowledged", text))

    def _note_form(self, line: Record, person: tuple[int | None, int | None]) -> None:
        body = json.loads(line.body)
        form, version = body.get(opened_forms.FORM), body.get(guidelines.GUIDELINES)
        if version is not None:
            self._versions[person] = intern(json.dumps(version, sort_keys=True))
        if form is not None:
            # As text that all lines share: most forms open with nothing, or with the row's one auto-label.
            self._forms[person] = intern(json.dumps(form, sort_keys=True))

    def _answered(self, line: Record, person: tuple[int | None, int | None], of_row: tuple[int | None, str]) -> None:
        if of_row in self._saw:
            what = f"account {line.user_id} answered row {line.row_id}"
            why = f"line {self._saw[of_row]} had shown it others' answers"
            self.faults.append(AuditFault(line.seq, "not_blind", f"{what}; {why}"))
        if of_row in self._practised:
            text = f"account {line.user_id} answered row {line.row_id}"
            text += f"; line {self._practised[of_row]} had shown it the known answer, in practice"
            self.faults.append(AuditFault(line.seq, "practised", text))
        if person not in self._hand_outs:
            text = f"account {line.user_id} answered task {line.task_id}, never given to it"
            self.faults.append(AuditFault(line.seq, "not_given", text))
        body = json.loads(line.body)
        form = body.get(opened_forms.FORM)
        if form is not None and self._forms.get(person) != json.dumps(form, sort_keys=True):
            text = f"account {line.user_id} was served another pre-annotation of task {line.task_id} than its line says"
            self.faults.append(AuditFault(line.seq, "pre_annotation", text))
        version = body.get(guidelines.GUIDELINES)
        is_other = line.kind == "submitted" and self._versions.get(person) != json.dumps(version, sort_keys=True)
        if version is not None and is_other:
            text = f"account {line.user_id} read another version of the guidelines at task {line.task_id} than is said"
            self.faults.append(AuditFault(line.seq, "guidelines", text))
        before = self.answers.get(body["annotation"])
        skip = line.kind == "skipped" or (before is not None and before.skip)
        self.answers[body["annotation"]] = _Logged(line.seq, line.user_id, line.task_id, body["digest"], skip)


def _answers(campaign: Campaign, look: _Look) -> int:
    """The answers on the server are those of the audit log: same author, same content, none more and none less."""
    projects = project_ids(campaign.pk)
    count, left = 0, dict(look.answers)
    for answer in Annotation.objects.filter(project_id__in=projects).iterator(chunk_size=CHUNK):
        count += 1
        left.pop(answer.pk, None)
        if _differs(answer, look.answers.get(answer.pk)):
            # It may be of the time while the log was read: the newest line on this task decides.
            later = _Look(campaign)
            list(later.each(Record.objects.filter(task_id=answer.task_id, kind__in=_ANSWERING).order_by("seq")))
            look.faults.extend(filter(None, [_differs(answer, later.answers.get(answer.pk))]))
    for pk, logged in left.items():
        # A skip goes when its task is handed out again; every other answer stays.
        if not logged.skip and not Annotation.objects.filter(pk=pk).exists():
            text = (
                f"answer {pk} of task {logged.task_id}, submitted by line {logged.seq}, is not on the server any more"
            )
            look.faults.append(AuditFault(logged.seq, "gone", text))
    return count


def _differs(answer: Any, logged: _Logged | None) -> AuditFault | None:
    """What an answer on the server has against what the audit log says of it."""
    if logged is None:
        return AuditFault(0, "unrecorded", f"answer {answer.pk} of task {answer.task_id} is not in the record")
    if (logged.user_id, logged.task_id) != (answer.completed_by_id, answer.task_id):
        return AuditFault(
            logged.seq, "author", f"answer {answer.pk} has another author or task than line {logged.seq} says"
        )
    if logged.digest != audit_log.digest(answer.result):
        return AuditFault(logged.seq, "content", f"answer {answer.pk} is not what line {logged.seq} says was submitted")
    return None


def _messages(campaign: Campaign, look: _Look) -> Iterator[AuditFault]:
    """What in the threads of a campaign is not what the audit log says: another text, one more or one less."""
    logged, before = dict(look.messages), look.end[0]
    for message in Message.objects.filter(campaign_id=campaign.pk).order_by("pk").iterator(chunk_size=CHUNK):
        seq, digest = logged.pop(message.pk, (0, ""))
        # What was said while the log was read has its line behind the last one that was.
        if not seq and Record.objects.filter(seq__gt=before, kind=messages.AUDITED, user_id=message.user_id).exists():
            continue
        if not seq:
            yield AuditFault(0, "unrecorded", f"message {message.pk} is not in the record")
        elif digest != messages.digest_of(message):
            yield AuditFault(seq, "content", f"message {message.pk} is not what line {seq} says was written")
    for pk, (seq, _) in logged.items():
        yield AuditFault(seq, "gone", f"message {pk}, written by line {seq}, is not on the server any more")


def _known_answers(campaign: Campaign, look: _Look) -> Iterator[AuditFault]:
    """What in practice and qualification is not what the audit log says: another answer, one more or one less."""
    logged, before = dict(look.known), look.end[0]
    for answer in KnownAnswer.objects.filter(campaign_id=campaign.pk).order_by("pk").iterator(chunk_size=CHUNK):
        seq, digest = logged.pop(answer.pk, (0, ""))
        # What was answered while the log was read has its line behind the last one that was.
        if not seq and Record.objects.filter(seq__gt=before, kind=answer.kind, user_id=answer.user_id).exists():
            continue
        what = f"answer {answer.pk} of {answer.kind}"
        if not seq:
            yield AuditFault(0, "unrecorded", f"{what} is not in the record")
        elif digest != known_answers.digest(answer):
            yield AuditFault(seq, "content", f"{what} is not what line {seq} says was submitted")
    for pk, (seq, _) in logged.items():
        yield AuditFault(seq, "gone", f"answer {pk} of practice or qualification, by line {seq}, is not on the server")
