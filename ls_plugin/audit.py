"""The audit: what the record proves, and what in it cannot be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ls_plugin import jobs, record
from ls_plugin.models import Campaign, CampaignProject, Record
from ls_plugin.record import Fault
from ls_plugin.refusal import Refused

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
    if not number.isdecimal() or len(digest) != len(record.START):
        raise Refused("bad_request", "`head` is <number>:<hash>, as an earlier audit printed it.")
    return int(number), digest


def run(campaign: Campaign, kept: tuple[int, str] | None = None) -> Audit:
    """Check the record of the server, and with it what this campaign's people were shown and said.

    Four things are checked: the chain is whole; nobody was served another's answer to a row before their own answer to
    it; nobody answered what they were not given; and the answers on the server are those that the record says.
    """
    lines = list(Record.objects.order_by("seq"))
    mine = [line for line in lines if line.campaign_id == campaign.pk]
    faults = [*record.check_chain(lines, record.head(), kept), *_blind(mine), *_given(mine)]
    answers, differing = _answers(campaign, mine)
    return Audit(
        campaign=campaign.name,
        lines=len(lines),
        head=record.head(),
        kinds=dict(sorted(Counter(line.kind for line in mine).items())),
        answers=answers,
        faults=(*faults, *differing),
    )


def _blind(lines: list[Record]) -> Iterator[Fault]:
    """Nobody was served somebody else's answer on a row and then answered that row."""
    saw: dict[tuple[int | None, str], Record] = {}
    for line in lines:
        key = (line.user_id, line.row_id)
        if line.kind == "shown" and json.loads(line.body).get("others"):
            saw.setdefault(key, line)
        elif line.kind in _SAID and key in saw:
            yield Fault(
                line.seq,
                "not_blind",
                f"account {line.user_id} answered row {line.row_id}; line {saw[key].seq} had shown it others' answers",
            )


def _given(lines: list[Record]) -> Iterator[Fault]:
    """Nobody answered a task that the server had not given them."""
    given: set[tuple[int | None, int | None]] = set()
    for line in lines:
        key = (line.user_id, line.task_id)
        if line.kind == "given":
            given.add(key)
        elif line.kind in _SAID and key not in given:
            yield Fault(
                line.seq, "not_given", f"account {line.user_id} answered task {line.task_id}, never given to it"
            )


def _answers(campaign: Campaign, lines: list[Record]) -> tuple[int, list[Fault]]:
    """The answers on the server are those of the record: same author, same content, none more."""
    from tasks.models import Annotation

    said: dict[int, Record] = {}
    for line in lines:
        if line.kind in _SAID:
            said[json.loads(line.body)["annotation"]] = line
    projects = list(CampaignProject.objects.filter(campaign=campaign).values_list("project_id", flat=True))
    faults, count = [], 0
    for one in Annotation.objects.filter(project_id__in=projects).iterator(chunk_size=500):
        count += 1
        found = said.get(one.pk)
        if found is None:
            faults.append(Fault(0, "unrecorded", f"answer {one.pk} of task {one.task_id} is not in the record"))
        elif found.user_id != one.completed_by_id or found.task_id != one.task_id:
            faults.append(
                Fault(found.seq, "author", f"answer {one.pk} has another author or task than line {found.seq} says")
            )
        elif json.loads(found.body)["digest"] != jobs.digest(one.result):
            faults.append(
                Fault(found.seq, "content", f"answer {one.pk} is not what line {found.seq} says was submitted")
            )
    return count, faults
