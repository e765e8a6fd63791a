"""Precedents: the decided rows of a campaign that are most like the one that QA or an expert has in hand.

They are for whoever has a QA or Expert task in hand, and for managers. A person who works in the campaign and is shown
one is shown what others said of that row: it is written down, and should the row be opened again, others answer it. So
nobody is shown a row that they alone could still review. Left out are also rows with known answers, and rows with the
very same texts: whoever asks the same question twice wants two answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from django.db.models import Q
from django.utils import timezone
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from tasks.models import Annotation

from label_studio_quorum.campaign.reconcile import DecidedRow
from ls_plugin.access.call import Call, call_of
from ls_plugin.access.parameters import named_ids
from ls_plugin.models import Campaign, Grant, Member, RowVector, Slot, Stage
from ls_plugin.pages.callers import caller, managed_campaign
from ls_plugin.pages.threads import notes_of
from ls_plugin.pages.told_rows import decide_rows, expose_rows, kept_back, person_of, tells_of_others
from ls_plugin.people.standings import can_work, has_left, to_person
from ls_plugin.queue import embedding
from ls_plugin.queue.embedding import EncoderAwayError
from ls_plugin.queue.seats import next_step
from ls_plugin.store.exposures import exposed_accounts
from ls_plugin.store.refusals import Refused
from ls_plugin.store.row_texts import content_of, texts_of
from ls_plugin.store.row_vectors import SimilarRow, index_of, read_vector
from ls_plugin.store.slots import slots_of
from review_rules import FinalValue, Origin, Person, State, may_take

SHOWN: Final = 5
"""Precedents of a row that are shown at most."""
LEAST_ALIKE: Final = 0.3
"""Similarity below which a row is no precedent: seeing it tells nothing and costs a person who could review it."""
LOOKED_THROUGH: Final = 1000
"""Rows near the open one that are looked through at most for some that may be shown."""
_DECIDED_AT_MOST: Final = 20
EXCERPT: Final = 240
"""Characters of a row that stand beside its values."""
_CHANGED: Final[Mapping[Origin, str]] = {Origin.QA: "QA", Origin.EXPERT: "an expert"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Precedent:
    """A decided row that is like an open one.

    Attributes:
        row_id: the row.
        similarity: how like the open one it is, up to 1.
        state: FINAL or DISCARDED.
        values: field → final value; nothing for a discarded row.
        reason: what QA or an expert wrote beside their decision, without names; empty where they wrote nothing.
        cause: why it was decided as it was, in a sentence: whether the answers agreed, and who changed or settled what.
        domain: of the row; empty for none.
        excerpt: the beginning of its texts.
    """

    row_id: str
    similarity: float
    state: str
    values: Mapping[str, Any]
    reason: str
    cause: str
    domain: str
    excerpt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Precedents:
    """The precedents of a row.

    ``waits_for``: why there may be more than these; empty if these are all.
    """

    row_id: str
    precedents: tuple[Precedent, ...] = ()
    waits_for: str = ""

    def to_json(self) -> dict[str, Any]:
        """The answer of ``GET /quorum/api/precedents``."""
        return asdict(self) | {"precedents": [asdict(precedent) for precedent in self.precedents]}


class PrecedentsView(APIView):
    """Shows the precedents of a row to whoever has its QA or Expert task in hand."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """The precedents of the row of `?task=`, which the caller has in hand."""
        call = call_of(request)
        if call is None or call.place is None:
            raise Refused("not_yours")
        campaign, slot = Campaign.objects.get(pk=call.place.campaign_id), _in_hand(call, request)
        return Response(precedents_of(campaign, slot.row_id, call.signed_in.user_id).to_json())


class RowPrecedentsView(APIView):
    """Shows the precedents of any row to a manager of its campaign."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """The precedents of the row of `?row_id=` in the campaign of `?name=`."""
        standing, asked = caller(request), request.query_params
        campaign = managed_campaign(standing, asked.get("name"))
        viewer = standing.user_id if standing.works_in_campaign(campaign.pk) else None
        return Response(precedents_of(campaign, asked.get("row_id", ""), viewer).to_json())


def _in_hand(call: Call, request: Request) -> Slot:
    """The slot of the QA or Expert task that is named, which the caller has in hand.

    Raises:
        Refused: ``not_yours`` for everything else, whether there is such a task or not.
    """
    tasks = named_ids(request, "task")
    if call.place is None or call.place.stage is Stage.PASS or len(tasks) != 1:
        raise Refused("not_yours")
    person = call.signed_in.person(call.place.campaign_id)
    hand_out = Grant.objects.filter(
        task_id__in=tasks, user_id=call.signed_in.user_id, project_id=call.place.project_id, live=True
    )
    slot: Slot | None = (
        Slot.objects.filter(task_id__in=hand_out.values("task_id"), open=True).exclude(row_id="").first()
    )
    if slot is None or person is None or not can_work(person, call.place.stage):
        raise Refused("not_yours")
    return slot


def precedents_of(campaign: Campaign, row_id: str, viewer: int | None) -> Precedents:
    """The precedents of a row, of which the viewer is told from now on.

    Args:
        campaign: the campaign.
        row_id: the open row.
        viewer: the account that is shown them, if it works in the campaign; it is exposed to them.

    Raises:
        Refused: ``not_yours`` if there is no such row.
    """
    slot = slots_of(campaign.pk, [row_id]).filter(stage=Stage.PASS).first()
    if slot is None:
        raise Refused("not_yours")
    try:
        vector = embedding.place_now(campaign.pk, slot)
    except EncoderAwayError as error:
        return Precedents(row_id=row_id, waits_for=f"{error}; precedents come when it does")
    if vector is None:
        return Precedents(row_id=row_id, waits_for="the row has no text that could be compared")
    chosen = _choose(campaign, vector, viewer)
    if viewer is not None:
        expose_rows(campaign, viewer, [row.row_id for _, row, is_new in chosen if is_new])
    slots = slots_of(campaign.pk, [row.row_id for _, row, _ in chosen]).filter(stage=Stage.PASS)
    domains = dict(slots.values_list("row_id", "domain"))
    shown = (_precedent(alike, row, domains.get(row.row_id, "")) for alike, row, _ in chosen)
    return Precedents(row_id=row_id, precedents=tuple(shown))


def _choose(campaign: Campaign, open_row: RowVector, viewer: int | None) -> list[tuple[SimilarRow, DecidedRow, bool]]:
    """The rows most like the open one that the viewer may be told of, and whether it tells them something new."""
    me = person_of(campaign, viewer) if viewer is not None else None
    alike, chosen = _alike(campaign, open_row), list[tuple[SimilarRow, DecidedRow, bool]]()
    for _ in range(_DECIDED_AT_MOST // SHOWN):
        part = list(islice(alike, SHOWN))
        rows = decide_rows(campaign, [each.row_id for each in part])
        decided = [
            row
            for row in rows.values()
            if row.decision.state.is_decided and content_of(_texts(row)) != open_row.content
        ]
        new = {row.row_id for row in decided if viewer is not None and tells_of_others(row, me)}
        needed = _needed_for(campaign, new, viewer) if viewer is not None and new else set()
        there = {row.row_id for row in decided} - needed
        chosen += [(each, rows[each.row_id], each.row_id in new) for each in part if each.row_id in there]
        if len(part) < SHOWN or len(chosen) >= SHOWN:
            break
    return chosen[:SHOWN]


def _alike(campaign: Campaign, open_row: RowVector) -> Iterator[SimilarRow]:
    """The decided rows most like the open one, the nearest first."""
    known_answers = kept_back(campaign)
    for part in index_of(campaign.pk, open_row.version).nearest(read_vector(open_row), LOOKED_THROUGH):
        near = [each for each in part if each.similarity >= LEAST_ALIKE and each.row_id != open_row.row_id]
        decided = _decided(campaign, [each.row_id for each in near]) - known_answers
        yield from (each for each in near if each.row_id in decided)
        if not near:
            return


def _decided(campaign: Campaign, row_ids: Sequence[str]) -> set[str]:
    """Those of the rows that were decided when they were reconciled last."""
    slots = slots_of(campaign.pk, row_ids).filter(stage=Stage.PASS, state__in=embedding.DECIDED)
    return set(slots.values_list("row_id", flat=True))


def _texts(row: DecidedRow) -> list[str]:
    return texts_of(next((task.data for tasks in row.tasks.values() for task in tasks), {}))


def _needed_for(campaign: Campaign, row_ids: Iterable[str], viewer: int) -> set[str]:
    """Those of the rows that nobody could review but the viewer, should they be opened again and they had seen them.

    A row that was opened again is reviewed by nobody who passed it or was shown it, and by no expert who did its QA.
    """
    slots = list(slots_of(campaign.pk, row_ids))
    exposed = exposed_accounts({slot.task_id: slot.row_id for slot in slots})
    answers = Annotation.objects.filter(task_id__in=[slot.task_id for slot in slots], was_cancelled=False)
    authors = defaultdict[int, set[int]](set)
    for task, user in answers.exclude(completed_by_id=None).values_list("task_id", "completed_by_id"):
        authors[task].add(user)
    parts = defaultdict[tuple[str, int], set[int]](set)
    for slot in slots:
        parts[slot.row_id, slot.stage] |= authors[slot.task_id]
    team, needed = _people(campaign), set[str]()
    for slot in slots:
        passed = parts[slot.row_id, Stage.PASS] | exposed[slot.row_id]
        could = {user for user, person in team.items() if may_take(person, next_step(Stage.QA, ""))} - passed
        experts = {user for user, person in team.items() if may_take(person, next_step(Stage.EXPERT, slot.domain))}
        experts -= passed | parts[slot.row_id, Stage.QA]
        groups = [could, experts] if slot.wants_expert else [could]
        if any(group == {viewer} for group in groups):
            needed.add(slot.row_id)
    return needed


def _people(campaign: Campaign) -> dict[int, Person]:
    now = timezone.now()
    members = Member.objects.filter(Q(user_id__isnull=False), campaign=campaign)
    return {member.user_id: to_person(member) for member in members if member.user_id and not has_left(member, now)}


def _precedent(alike: SimilarRow, row: DecidedRow, domain: str) -> Precedent:
    final: Mapping[str, FinalValue] = row.decision.final or {}
    return Precedent(
        row_id=alike.row_id,
        similarity=round(alike.similarity, 3),
        state=row.decision.state.value,
        values={name: value.value for name, value in final.items()},
        reason="\n".join(note.text for note in notes_of(row, named=False)),
        cause=_cause(row),
        domain=domain,
        excerpt=_excerpt(_texts(row)),
    )


def _cause(row: DecidedRow) -> str:
    """Why a row was decided as it was, by roles.

    A field on which the answers differed was settled; one on which they agreed and that has another value was changed.
    """
    if row.decision.state is State.DISCARDED:
        return "Discarded at the review."
    differed = [name for name, compared in row.decision.comparison.items() if not compared.agreed]
    sentences = [f"The answers differed on {_listed(differed)}." if differed else "The answers agreed."]
    for origin, who in _CHANGED.items():
        decided = [name for name, value in (row.decision.final or {}).items() if value.origin is origin]
        if decided:
            sentences.append(f"{who[0].upper()}{who[1:]} decided {_listed(decided)}.")
    return " ".join(sentences)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def _excerpt(texts: Sequence[str]) -> str:
    """The beginnings of a row's texts, of each as much as of the others."""
    each = EXCERPT // max(1, len(texts))
    parts = (" ".join(text.split()) for text in texts)
    return " · ".join(part if len(part) <= each else f"{part[: each - 1]}…" for part in parts if part)[:EXCERPT]
