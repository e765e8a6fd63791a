"""What the form of a qualification row opens with: a pre-annotation as on any other row, and often a wrong one.

Rows without one could be told by it, and whoever sends off unread what a form opens with must not pass. So half of the
rows, as drawn, open with another value in each known field of which another can be made; the others keep what
came with them. A row that came without a pre-annotation gets one where the campaign's rows have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Exists, OuterRef
from tasks.models import Prediction, Task

from label_studio_quorum.campaign.projects import AUTO_LABEL
from label_studio_quorum.campaign.wrong_values import other_value
from ls_config.interface import Interface
from ls_config.results import from_result, to_result
from ls_plugin.models import CampaignProject, Grant, Slot, Stage
from ls_plugin.queue.campaigns import read_campaign
from ls_plugin.queue.draws import draw
from review_rules import Kind, withheld
from review_rules.canonical import same

WRONG_SHARE = 0.5


def fill_forms(campaign_id: int, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Give the forms of qualification rows that nobody was handed yet what they open with.

    Args:
        campaign_id: the campaign.
        rows: row id → field → the known value.
    """
    project_id = CampaignProject.objects.get(campaign_id=campaign_id, stage=Stage.PASS).project_id
    slots = Slot.objects.filter(project_id=project_id, row_id__in=list(rows))
    handed_out = Grant.objects.filter(task_id=OuterRef("task_id"))
    tasks = dict(slots.filter(~Exists(handed_out)).values_list("task_id", "row_id"))
    if not tasks:
        return
    campaign = read_campaign(campaign_id)
    served = Prediction.objects.filter(task__project_id=project_id, model_version=AUTO_LABEL)
    is_usual = served.exclude(task_id__in=slots.values("task_id")).exists()
    for task in Task.objects.filter(pk__in=list(tasks)):
        row_id = tasks[task.pk]
        stored = task.predictions.filter(model_version=AUTO_LABEL).order_by("-pk").first()
        if stored is None and (not is_usual or withheld(row_id, campaign.policy)):
            continue
        result = _opens_with(row_id, rows[row_id], stored.result if stored else [], campaign.interface, task.data)
        if stored is None:
            Prediction.objects.create(task=task, project=task.project, model_version=AUTO_LABEL, result=result)
        elif result != stored.result:
            Prediction.objects.filter(pk=stored.pk).update(result=result)


def _opens_with(
    row_id: str, known: Mapping[str, Any], stored: list[Any], interface: Interface, data: Mapping[str, Any]
) -> list[Any]:
    """The result that a form opens with: what is stored, else what is known, with wrong values on a drawn row."""
    controls = {control.name: control for control in interface.controls}
    values = from_result(stored, interface.controls, data).values if stored else dict(known)
    wrong = draw("form", row_id) < WRONG_SHARE
    changed: dict[str, Any] = {} if stored else dict(values)
    for name, value in known.items():
        control = controls.get(name)
        if control is None or not wrong or not same(Kind.of(control.kind), values.get(name), value):
            continue
        if (other := other_value(control, value)) is not None:
            changed[name] = other
    kept = [item for item in stored if item.get("from_name") not in changed]
    return [*kept, *to_result(changed, [controls[name] for name in changed if name in controls], data)]
