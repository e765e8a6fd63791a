# The columns and methods of Label Studio's tasks that Quorum touches.
from datetime import datetime
from typing import Any, ClassVar

from data_manager.models import PrepareParams
from django.db.models import Model, QuerySet
from django.db.models.fields.related_descriptors import RelatedManager
from projects.models import Project
from users.models import User

class PreparedTasks:
    def only_filtered(self, prepare_params: PrepareParams) -> QuerySet[Task]: ...

class Task(Model):
    prepared: ClassVar[PreparedTasks]
    pk: int
    id: int
    project_id: int
    project: Project
    data: dict[str, Any]
    meta: dict[str, Any] | None
    overlap: int
    is_labeled: bool
    inner_id: int
    created_at: datetime
    updated_at: datetime
    predictions: RelatedManager[Prediction]

class Annotation(Model):
    pk: int
    id: int
    task_id: int
    task: Task
    project_id: int
    completed_by_id: int | None
    completed_by: User | None
    result: list[dict[str, Any]]
    was_cancelled: bool
    lead_time: float | None
    created_at: datetime
    updated_at: datetime

class AnnotationDraft(Model):
    pk: int
    id: int
    task_id: int
    user_id: int
    was_postponed: bool

class Prediction(Model):
    pk: int
    id: int
    task_id: int
    project_id: int
    model_version: str | None
    result: list[dict[str, Any]]
    score: float | None
