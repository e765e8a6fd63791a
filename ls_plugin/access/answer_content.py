"""What an answer may say: what its form asks for, about the row that it is on.

The form is the project's own labelling interface, with the decision where people review. Anybody can send anything to
the address that the form sends to; what is stored counts towards gold, so it is read here as it will be read then.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from projects.models import Project
from tasks.models import Task

from label_studio_quorum.campaign.projects import interface_of
from label_studio_quorum.campaign.row_task import ReviewNote
from ls_config.interface import Control, InterfaceError, parse_all
from ls_config.results import ResultFault, from_result
from ls_config.review_screen import decision_controls
from ls_plugin.store.refusals import Refused
from review_rules import FaultsError, Stage
from review_rules.files.checks import CheckLevel, FieldCheck, FieldChecks, load_checks

# Where people say why: about the row itself, and about a decision.
_REASONS = frozenset({"flags", "flag_reason", "decision_reason", "decision_note"})


def require_fitting(result: Any, task_id: int) -> None:
    """Refuse an answer with a part that the form does not ask for or the row does not hold, or a flag without a reason.

    Args:
        result: The list of results as it would be stored.
        task_id: The task that it answers.

    Raises:
        Refused: ``bad_answer``, with the control's name and the reason; ``flag_reason``.
    """
    project_id, data = Task.objects.values_list("project_id", "data").get(pk=task_id)
    controls = controls_of(project_id)
    if controls is None:
        return
    parsed = from_result(result, controls, data, known_only=True)
    for fault in parsed.wrong:
        raise Refused("bad_answer", _sentence(fault))
    # A flag is work for somebody else, who has to know why; a form of one's own may have no place to say it.
    can_say = any(control.name == "flag_reason" for control in controls)
    if parsed.flags and can_say and not (parsed.reason or "").strip():
        raise Refused("flag_reason")


def controls_of(project_id: int) -> tuple[Control, ...] | None:
    """All that a project's form asks for; None for a form that cannot be read."""
    return _form(Project.objects.values_list("label_config", flat=True).get(pk=project_id))


def has_blocking_checks(project_id: int) -> bool:
    """Whether a project's form carries a check for which an answer is refused."""
    xml = Project.objects.values_list("label_config", flat=True).get(pk=project_id)
    return any(check.level is CheckLevel.BLOCK for check in _checks(xml).entries)


def violated_checks(result: Any, project_id: int) -> tuple[FieldCheck, ...]:
    """The checks that what stands in a form violates; nothing but what was sent is read.

    Args:
        result: the list of results as the form would send it.
        project_id: the project, of which the form is.
    """
    xml = Project.objects.values_list("label_config", flat=True).get(pk=project_id)
    checks, controls = _checks(xml), _form(xml)
    if not checks.entries or controls is None:
        return ()
    return checks.violated(from_result(result, controls, {}).values)


@lru_cache(maxsize=32)
def _checks(xml: str) -> FieldChecks:
    """The checks that a form carries; none where they or the form cannot be read."""
    try:
        return load_checks(interface_of(xml, ""))
    except (InterfaceError, FaultsError):
        return FieldChecks()


def require_own_form(result: Any, task_id: int, stage: Stage) -> None:
    """Refuse a review whose form showed another row, or this one before its passes or QA changed.

    Args:
        result: The list of results as it would be stored.
        task_id: The task that it answers.
        stage: Where the task stands.

    Raises:
        Refused: ``closed``.
    """
    if stage is Stage.PASS:
        return
    data, meta = Task.objects.values_list("data", "meta").get(pk=task_id)
    seal = from_result(result, decision_controls(), data).review_of
    # Other programs than the form send none.
    if seal not in (None, ReviewNote.read(meta).seal(str(data.get("row_id", "")), stage)):
        raise Refused("closed", _STALE)


_STALE = "The form that you had open shows another row, or this one before it changed: load the page again."


def require_reason(result: Any, task_id: int) -> None:
    """Refuse a skip without a flag or a reason, where the form has a place for either.

    Label Studio's screen asks for nothing when somebody skips, but sends along what stands in the form.

    Args:
        result: The list of results that came with the skip.
        task_id: The task that is skipped.

    Raises:
        Refused: ``skip_reason``.
    """
    project_id, data = Task.objects.values_list("project_id", "data").get(pk=task_id)
    controls = _form(Project.objects.values_list("label_config", flat=True).get(pk=project_id)) or ()
    if not any(control.name in _REASONS for control in controls):
        return
    parsed = from_result(result, controls, data, known_only=True)
    if not parsed.flags and not (parsed.reason or "").strip():
        raise Refused("skip_reason")


def _sentence(fault: ResultFault) -> str:
    about = f"The answer to {fault.control}" if fault.control else "The answer"
    return f"{about} cannot be stored: {fault.reason}."


# Reading an interface takes longer than storing an answer, and a project's XML hardly ever changes.
@lru_cache(maxsize=32)
def _form(xml: str) -> tuple[Control, ...] | None:
    """All that a form asks for; None for one that cannot be read.

    That one is for its manager to mend. What people send meanwhile is read once the form can be, and counts only then.
    """
    try:
        return parse_all(xml)
    except InterfaceError:
        return None
