"""The audit: what the record proves, and what in it cannot be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ls_plugin.access import exposure_log
from ls_plugin.models import Campaign, Record, project_ids
from ls_plugin.queue import reconcile
from ls_plugin.store import audit_log
from ls_plugin.store.audit_log import Fault
from ls_plugin.store.refusals import Refused

CHUNK = 500
_SAID = frozenset({"submitted", "changed", "skipped"})


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        campaign: its name.
        lines: lines of the record of the whole server.
        head: number and hash of the last one; note it, and give it to a later audit.
        kinds: how many lines of each kind this campaign has.
        answers: answers that the server holds for this campaign, each found in the record.
        faults: everything that cannot be; none means proven.
    """

    campaign: str
    lines: int
    head: tuple[int, str]
    kinds: dict[str, int]
    answers: int
    faults: tuple[Fault, ...]

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
    """The end of a record as it was noted: ``<number>:<hash>``."""
    if not text:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != len(audit_log.START):
        raise Refused("bad_request", "`head` is <number>:<hash>, as an earlier audit printed it.")
    return int(number), digest


def run(campaign: Campaign, kept: tuple[int, str] | None = None) -> Audit:
    """Check the record of the server, and with it what this campaign's people were shown and said.

    Four things are checked: the chain is whole; nobody was served another's answer to a row before their own answer to
    it; nobody answered what they were not given; and the answers on the server are those that the record says. The
    record is read once, a few lines at a time, while people go on working.
    """
    look, before = _Look(campaign), audit_log.head()
    lines = look.each(Record.objects.order_by("seq").iterator(chunk_size=CHUNK))
    chain = list(audit_log.check_chain(lines, before, kept))
    answers = _answers(campaign, look)
    return Audit(
        campaign=campaign.name,
        lines=look.lines,
        head=look.end,
        kinds=dict(sorted(look.kinds.items())),
        answers=answers,
        faults=(*chain, *look.faults),
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What the record says of an answer: the line that said it last, whose it is, and whether it began as a skip."""

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
    faults: list[Fault] = field(default_factory=list)
    said: dict[int, _Said] = field(default_factory=dict)
    _given: set[tuple[int | None, int | None]] = field(default_factory=set)
    _saw: dict[tuple[int | None, str], int] = field(default_factory=dict)

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
            self._given.add(person)
        elif line.kind in exposure_log.KINDS:
            if exposure_log.tells(line.body):
                self._saw.setdefault(of_row, line.seq)
        elif line.kind == "taken_back":
            self.said.pop(json.loads(line.body)["annotation"], None)
        elif line.kind in _SAID:
            self._answered(line, person, of_row)

    def _answered(self, line: Record, person: tuple[int | None, int | None], of_row: tuple[int | None, str]) -> None:
        if of_row in self._saw:
            what = f"account {line.user_id} answered row {line.row_id}"
            why = f"line {self._saw[of_row]} had shown it others' answers"
            self.faults.append(Fault(line.seq, "not_blind", f"{what}; {why}"))
        if person not in self._given:
            text = f"account {line.user_id} answered task {line.task_id}, never given to it"
            self.faults.append(Fault(line.seq, "not_given", text))
        body = json.loads(line.body)
        before = self.said.get(body["annotation"])
        skip = line.kind == "skipped" or (before is not None and before.skip)
        self.said[body["annotation"]] = _Said(line.seq, line.user_id, line.task_id, body["digest"], skip)


def _answers(campaign: Campaign, look: _Look) -> int:
    """The answers on the server are those of the record: same author, same content, none more and none less."""
    from tasks.models import Annotation

    projects = project_ids(campaign.pk)
    count, left = 0, dict(look.said)
    for one in Annotation.objects.filter(project_id__in=projects).iterator(chunk_size=CHUNK):
        count += 1
        left.pop(one.pk, None)
        if _differs(one, look.said.get(one.pk)):
            # Somebody may have said it while the record was read: its newest line on this task decides.
            later = _Look(campaign)
            list(later.each(Record.objects.filter(task_id=one.task_id, kind__in=_SAID).order_by("seq")))
            look.faults.extend(filter(None, [_differs(one, later.said.get(one.pk))]))
    for pk, said in left.items():
        if not said.skip and not Annotation.objects.filter(pk=pk).exists():
            text = f"answer {pk} of task {said.task_id}, submitted by line {said.seq}, is not on the server any more"
            look.faults.append(Fault(said.seq, "gone", text))
    return count


def _differs(one: Any, said: _Said | None) -> Fault | None:
    """What an answer on the server has against what the record says of it."""
    if said is None:
        return Fault(0, "unrecorded", f"answer {one.pk} of task {one.task_id} is not in the record")
    if (said.user_id, said.task_id) != (one.completed_by_id, one.task_id):
        return Fault(said.seq, "author", f"answer {one.pk} has another author or task than line {said.seq} says")
    if said.digest != reconcile.digest(one.result):
        return Fault(said.seq, "content", f"answer {one.pk} is not what line {said.seq} says was submitted")
    return None
