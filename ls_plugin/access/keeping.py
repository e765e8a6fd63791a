"""What a campaign keeps: tasks that somebody has answered, its projects, and the lines that make them its projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_manager.functions import get_prepare_params
from django.db.models import Q, QuerySet
from projects.models import Project
from tasks.models import Annotation, Task

from label_studio_quorum.campaign.projects import read_marker
from ls_plugin.access.call import Call
from ls_plugin.access.parameters import bodies
from ls_plugin.models import Campaign, CampaignProject, Slot, Stage
from ls_plugin.people.standings import CampaignPlace
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import project_ids


def answered_task(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A task is deleted only while nobody has answered it, nor any other task of its row."""
    if call.place is not None:
        _keep_answered(call.place, Slot.objects.filter(task_id=kwargs["pk"]))


def answered_tasks(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """All tasks of a project are deleted only while nobody has answered one."""
    if call.place is not None:
        _keep_answered(call.place, Slot.objects.filter(project_id=call.place.project_id))


def chosen_tasks(call: Call, request: Any, place: CampaignPlace) -> None:
    """Tasks that are chosen in the data manager are deleted only while nobody has answered one of them."""
    params = get_prepare_params(request, Project.objects.get(pk=place.project_id))
    chosen = Task.prepared.only_filtered(prepare_params=params).order_by().values("pk")
    _keep_answered(place, Slot.objects.filter(task_id__in=chosen))


def answered_project(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A project of a campaign is deleted only while the campaign has no answers."""
    if call.place is None:
        return
    answers = _submissions().filter(project_id__in=project_ids(call.place.campaign_id)).count()
    if answers:
        name = Campaign.objects.values_list("name", flat=True).get(pk=call.place.campaign_id)
        raise Refused(
            "answered",
            f"The campaign {name!r}, to which this project belongs, has {answers:,} answers, which would be lost for "
            "good: quorum export brings them out. A server that runs without the plugin deletes what it is told to.",
        )


def marker(call: Call, request: Any, kwargs: Mapping[str, Any]) -> None:
    """A project's description keeps the line that ties the project to its campaign, and no other gets that line."""
    for body in bodies(request):
        if body.get("description") is None:
            continue
        line = read_marker(str(body["description"]))
        if call.place is not None:
            name = Campaign.objects.values_list("name", flat=True).get(pk=call.place.campaign_id)
            if line is None or (line.campaign, line.stage.value) != (name, call.place.stage.label):
                raise Refused("marker")
        elif line is not None:
            stage = Stage[line.stage.name]
            owners = CampaignProject.objects.filter(campaign__name=line.campaign, stage=stage)
            if Project.objects.filter(pk__in=owners.values("project_id")).exists():
                raise Refused("keeps_projects")


def _keep_answered(place: CampaignPlace, slots: QuerySet[Slot]) -> None:
    """Refuse to delete tasks with answers, and Pass tasks whose row has answers at a later stage.

    Raises:
        Refused: ``answered``.
    """
    ours = slots.exclude(row_id="").order_by()
    rows = ours.filter(stage=Stage.PASS).values("row_id")
    of_rows = Slot.objects.filter(project_id__in=project_ids(place.campaign_id), row_id__in=rows)
    doomed = Q(task_id__in=of_rows.values("task_id")) | Q(task_id__in=ours.values("task_id"))
    first = _submissions().filter(doomed).order_by("task_id").values_list("task_id", flat=True).first()
    if first is not None:
        row_id = Slot.objects.values_list("row_id", flat=True).get(task_id=first)
        raise Refused(
            "answered",
            f"Row {row_id!r} has answers, which would be lost for good with its task: a review can discard the row, "
            "and quorum import --undo takes back rows that nobody has answered.",
        )


def _submissions() -> QuerySet[Annotation]:
    return Annotation.objects.filter(was_cancelled=False)
