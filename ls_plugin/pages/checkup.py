"""What is wrong with a campaign in the database, whoever made it so, and the repair of what can be repaired.

People who may write to the database, servers that run without the plugin, and backups that were put back leave things
that no rule of the plugin saw happen: a project without its marker, a seat that is taken by an answer that is gone, a
task without a row. A look reads no answers, so that it can be had often.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from projects.models import Project
from tasks.models import Annotation, Task

from label_studio_quorum.campaign.differences import team_digest
from label_studio_quorum.campaign.projects import Marker, read_marker, write_marker
from label_studio_quorum.port import ServerFault
from ls_plugin.models import Campaign, CampaignProject, Excluded, Grant, Record, Slot, Stage
from ls_plugin.people import rulebook
from ls_plugin.people.standings import RULE_STAGE
from ls_plugin.queue import embedding, reconcile
from ls_plugin.store import triggers
from ls_plugin.store.slots import lock_in_order, project_ids
from review_rules import State

_AT_ONCE = 500
_NAMED = 5


_SYNC = "run quorum sync"


def find_faults(campaign: Campaign) -> list[ServerFault]:
    """Everything that is wrong with a campaign; nothing is changed."""
    projects = list(CampaignProject.objects.filter(campaign=campaign).order_by("stage"))
    checks: tuple[Iterable[ServerFault], ...] = (
        _projects(campaign, projects),
        _tasks(campaign),
        _answers(campaign),
        _queues(campaign),
    )
    return [fault for check in checks for fault in check]


def find_silence(campaign: Campaign) -> Iterator[ServerFault]:
    """What the ML backend has to be asked for, which takes a moment: whether precedents wait for it."""
    why = embedding.why_away(campaign.pk)
    if why:
        yield ServerFault(
            about="precedents",
            message=f"{why}; rows that are decided now are no precedents until it does",
            hint="see that the ML backend runs and takes the credentials that Label Studio has, then run quorum sync",
            mends=False,
            stops=False,
        )


def repair(campaign: Campaign) -> tuple[list[ServerFault], int]:
    """Set right what can be. Nothing that people said is changed.

    Returns:
        What was wrong and is no more, and how many rows were reconciled.
    """
    before = [fault for fault in find_faults(campaign) if fault.mends]
    with transaction.atomic():
        for project in CampaignProject.objects.filter(campaign=campaign):
            _restore_marker(campaign, project)
        _index_tasks(campaign)
        for slots in (_miscounted(campaign), _shut_out(campaign), _sealed(campaign), _unasked(campaign)):
            _free_seats(slots)
    reconciled = reconcile.drain(campaign.pk)
    embedding.forget_gone(campaign.pk)
    embedding.catch_up_soon(campaign.pk)
    left = {fault.about for fault in find_faults(campaign) if fault.mends}
    return [fault for fault in before if fault.about not in left], reconciled


# --- projects --------------------------------------------------------------------------------------------------------


def _projects(campaign: Campaign, projects: list[CampaignProject]) -> Iterator[ServerFault]:
    there = dict(Project.objects.filter(pk__in=[p.project_id for p in projects]).values_list("pk", "description"))
    for project in projects:
        stage = Stage(project.stage).label
        if project.project_id not in there:
            yield ServerFault(
                about="project",
                message=f"the {stage} project {project.project_id} is gone{_lost_with(project)}",
                hint="put a backup of the database back; quorum setup --repair makes a new one, without what is lost",
                mends=False,
            )
        elif not _is_marked(campaign, project, there[project.project_id]):
            yield ServerFault(
                about="marker",
                message=f"project {project.project_id} ({stage}) has lost the quorum: line of its description",
                hint=f"{_SYNC}, which restores it",
            )


def _lost_with(project: CampaignProject) -> str:
    slots = Slot.objects.filter(project_id=project.project_id).exclude(row_id="")
    answered = Record.objects.filter(task_id__in=slots.values("task_id"), kind="submitted").count()
    return f", with {slots.count():,} tasks and {answered:,} answers"


def _is_marked(campaign: Campaign, project: CampaignProject, description: str | None) -> bool:
    line = read_marker(description or "")
    return line is not None and (line.campaign, line.stage) == (campaign.name, RULE_STAGE[Stage(project.stage)])


def _restore_marker(campaign: Campaign, project: CampaignProject) -> None:
    for description in Project.objects.filter(pk=project.project_id).values_list("description", flat=True):
        if not _is_marked(campaign, project, description):
            stage = RULE_STAGE[Stage(project.stage)]
            line = Marker(
                campaign=campaign.name,
                stage=stage,
                task=campaign.task,
                policy=campaign.policy_hash,
                team=team_digest(rulebook.read_team(campaign.team_text)),
            )
            Project.objects.filter(pk=project.project_id).update(description=write_marker(description or "", line))


# --- tasks and their slots -------------------------------------------------------------------------------------------


def _slots(campaign: Campaign) -> QuerySet[Slot]:
    return Slot.objects.filter(project_id__in=project_ids(campaign.pk)).exclude(row_id="")


def _tasks(campaign: Campaign) -> Iterator[ServerFault]:
    gone = _gone(campaign)
    if gone.exists():
        yield ServerFault(
            about="tasks gone",
            message=f"{_count(gone, 'task')} that the campaign handed out are not in the database any more",
            hint=f"put a backup back, or {_SYNC} to go on without them",
        )
    unknown = Task.objects.filter(pk__in=_unknown(campaign)).count()
    if unknown:
        yield ServerFault(
            about="tasks unknown",
            message=f"{unknown:,} tasks came in past the plugin and are in no queue",
            hint=_SYNC,
        )
    strangers = Slot.objects.filter(project_id__in=project_ids(campaign.pk), row_id="")
    if strangers.exists():
        yield ServerFault(
            about="tasks without a row",
            message=f"{_listed(strangers, 'task_id')} came in otherwise than by quorum import: handed to nobody, and "
            "in no figure and no export",
            hint="delete them in the data manager, and bring their rows in by quorum import",
            mends=False,
            stops=False,
        )


def _gone(campaign: Campaign) -> QuerySet[Slot]:
    return _slots(campaign).filter(~Exists(Task.objects.filter(pk=OuterRef("task_id"))))


def _unknown(campaign: Campaign) -> QuerySet[Any]:
    tasks = Task.objects.filter(project_id__in=project_ids(campaign.pk))
    return tasks.filter(~Exists(Slot.objects.filter(task_id=OuterRef("pk")))).values("pk")


def _index_tasks(campaign: Campaign) -> None:
    """Forget tasks that are gone, and give those that came in past the plugin their slots."""
    gone = list(_gone(campaign).values_list("task_id", flat=True))
    rows = list(Slot.objects.filter(pk__in=gone).values_list("row_id", flat=True))
    for model in (Grant, Excluded, Slot):
        model.objects.filter(task_id__in=gone).delete()
    _slots(campaign).filter(row_id__in=rows).update(dirty=True)
    unknown = list(Task.objects.filter(pk__in=_unknown(campaign)).values_list("pk", flat=True))
    with connection.cursor() as cursor:
        for project in project_ids(campaign.pk):
            cursor.execute(triggers.existing_tasks_sql(connection.vendor), [project])
    Slot.objects.filter(pk__in=unknown).exclude(row_id="").update(dirty=True)


# --- answers, seats and hand-outs ------------------------------------------------------------------------------------


def _answers(campaign: Campaign) -> Iterator[ServerFault]:
    lost = _lost_answers(campaign)
    if lost:
        rows = sorted({row_id for row_id, _ in lost})
        named = ", ".join(map(repr, rows[:_NAMED])) + (" …" if len(rows) > _NAMED else "")
        yield ServerFault(
            about="answers gone",
            message=f"{len(lost):,} answers that people gave are not on the server any more (rows {named})",
            hint="put a backup of the database back; without one those rows are asked again",
            mends=False,
        )
    for about, slots, what in (
        ("seats", _miscounted(campaign), "have a seat that no answer holds, or an answer without a seat"),
        ("hand-outs", _shut_out(campaign), "are kept from somebody whose answer is gone"),
    ):
        if slots.exists():
            yield ServerFault(about=about, message=f"{_listed(slots, 'row_id')} {what}", hint=_SYNC)


def _lost_answers(campaign: Campaign) -> list[tuple[str, int]]:
    """Row and answer of every submission in the audit log that is not in the database."""
    lines = Record.objects.filter(campaign_id=campaign.pk, kind="submitted").order_by("seq")
    lost: list[tuple[str, int]] = []
    part: dict[int, str] = {}
    for row_id, body in lines.values_list("row_id", "body").iterator(chunk_size=_AT_ONCE):
        part[int(json.loads(body)["annotation"])] = row_id
        if len(part) == _AT_ONCE:
            lost += _without_answer(part)
            part = {}
    return lost + _without_answer(part)


def _without_answer(rows: dict[int, str]) -> list[tuple[str, int]]:
    there = set(Annotation.objects.filter(pk__in=list(rows)).values_list("pk", flat=True))
    return [(row_id, answer) for answer, row_id in rows.items() if answer not in there]


def _miscounted(campaign: Campaign) -> QuerySet[Slot]:
    """Slots whose number of taken seats is not that of the answers."""
    answers = Annotation.objects.filter(task_id=OuterRef("task_id"), was_cancelled=False).order_by()
    counted = Subquery(answers.values("task_id").annotate(count=Count("id")).values("count"))
    return _slots(campaign).alias(answers=Coalesce(counted, 0)).exclude(taken=F("answers"))


def _shut_out(campaign: Campaign) -> QuerySet[Slot]:
    """Slots that somebody was handed and has neither in hand nor answered, skipped or been excluded from."""
    return _slots(campaign).filter(Exists(_ended().filter(task_id=OuterRef("task_id"))))


def _ended() -> QuerySet[Grant]:
    """Hand-outs that ended with an answer which is not there."""
    theirs = {"task_id": OuterRef("task_id")}
    return Grant.objects.filter(live=False, skipped=False).filter(
        ~Exists(Annotation.objects.filter(**theirs, completed_by_id=OuterRef("user_id"))),
        ~Exists(Excluded.objects.filter(**theirs, user_id=OuterRef("user_id"))),
    )


def _free_seats(slots: QuerySet[Slot]) -> None:
    """Forget hand-outs whose answer is gone, and have the rows decided anew, which counts the seats."""
    lock_in_order(slots)
    tasks = list(slots.values_list("task_id", flat=True))
    _ended().filter(task_id__in=tasks).delete()
    Slot.objects.filter(task_id__in=tasks).update(dirty=True)


# --- queues ----------------------------------------------------------------------------------------------------------

_WAITS = {State.AWAITING_PASSES: Stage.PASS, State.AWAITING_QA: Stage.QA, State.AWAITING_EXPERT: Stage.EXPERT}


def _queues(campaign: Campaign) -> Iterator[ServerFault]:
    for about, slots, what in (
        ("seals", _sealed(campaign), "wait for an answer and are sealed against it"),
        ("queues", _unasked(campaign), "wait for somebody and are in no queue"),
    ):
        if slots.exists():
            yield ServerFault(about=about, message=f"{_listed(slots, 'row_id')} {what}", hint=_SYNC)


def _sealed(campaign: Campaign) -> QuerySet[Slot]:
    return _slots(campaign).filter(open=True, sealed=True)


def _unasked(campaign: Campaign) -> QuerySet[Slot]:
    """Pass slots of rows that wait for a stage at which they have no open task, and that no reconcile will see to."""
    queued = Slot.objects.filter(project_id__in=project_ids(campaign.pk), row_id=OuterRef("row_id"), open=True)
    waits = [("", Stage.PASS), *((state.value, stage) for state, stage in _WAITS.items())]
    unasked = reduce(or_, (Q(state=state) & ~Exists(queued.filter(stage=stage)) for state, stage in waits))
    marked = Slot.objects.filter(project_id__in=project_ids(campaign.pk), row_id=OuterRef("row_id"), dirty=True)
    return _slots(campaign).filter(stage=Stage.PASS).filter(unasked).filter(~Exists(marked))


def _count(slots: QuerySet[Slot], what: str) -> str:
    count = slots.count()
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _listed(slots: QuerySet[Slot], column: str) -> str:
    """How many, and the first of them by name: ``3 rows ('r1', 'r2', 'r3')``."""
    names = list(slots.order_by("task_id").values_list(column, flat=True)[:_NAMED])
    count = slots.count()
    word = "task" if column == "task_id" else "row"
    more = " …" if count > len(names) else ""
    return f"{_count(slots, word)} ({', '.join(map(repr, names))}{more})"
