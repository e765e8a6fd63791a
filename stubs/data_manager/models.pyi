from typing import Any

from django.db.models import Model

class View(Model):
    pk: int
    project_id: int

class PrepareParams:
    def __init__(
        self,
        *,
        project: int | list[int],
        ordering: list[str] = ...,
        selectedItems: dict[str, Any] | None = ...,
        data: dict[str, Any] | None = ...,
        request: object | None = ...,
    ) -> None: ...
