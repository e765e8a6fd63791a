# The columns and methods of Label Studio's projects that Quorum touches.
from collections.abc import Sequence

from django.db.models import Model
from tasks.models import Annotation, Task

class ProjectSummary(Model):
    def update_data_columns(self, tasks: Sequence[Task]) -> None: ...
    def update_created_annotations_and_labels(self, annotations: Sequence[Annotation]) -> None: ...

class Project(Model):
    pk: int
    id: int
    title: str
    description: str | None
    label_config: str | None
    maximum_annotations: int
    model_version: str | None
    summary: ProjectSummary
