"""The project that a call is about: where a rule says that it is named, and how a thing names its project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from data_import.models import FileUpload
from data_manager.models import View
from django.conf import settings
from django.db.models import Model
from labels_manager.models import LabelLink
from ml.models import MLBackend
from projects.models import Project
from tasks.models import Annotation, AnnotationDraft, Prediction, Task
from webhooks.models import Webhook

from ls_plugin.access.parameters import named_ids
from ls_plugin.store.refusals import Refused

# Data-manager tabs that exist only on an ordinary person's screen have this number plus their project's.
OWN_VIEW = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ThingKind:
    """How a thing names its project.

    Attributes:
        model: its model.
        project: the column that holds its project.
        key: the column that it is looked up by.
    """

    model: type[Model]
    project: str = "project_id"
    key: str = "pk"

    def project_of(self, name: Any) -> int | None:
        """The project that something of this kind belongs to; None for what belongs to none.

        Raises:
            Refused: ``not_yours`` if there is no such thing.
        """
        if self.model is View and str(name).isdecimal() and int(name) > OWN_VIEW:
            return int(name) - OWN_VIEW  # a tab that is stored nowhere
        if self.model is FileUpload and self.key == "file":
            name = f"{settings.UPLOAD_DIR}/{name}"
        try:
            projects = list(self.model._default_manager.filter(**{self.key: name}).values_list(self.project)[:1])
        except (ValueError, OverflowError):  # an id that no database column can hold
            projects = []
        if not projects:
            raise Refused("not_yours")
        project: int | None = projects[0][0]
        return project


PROJECT = ThingKind(Project, project="pk")
TASK = ThingKind(Task)
ANNOTATION = ThingKind(Annotation, project="task__project_id")
DRAFT = ThingKind(AnnotationDraft, project="task__project_id")
PREDICTION = ThingKind(Prediction, project="task__project_id")
VIEW = ThingKind(View)
UPLOAD = ThingKind(FileUpload)
FILE = ThingKind(FileUpload, key="file")
WEBHOOK = ThingKind(Webhook)
MODEL_SERVER = ThingKind(MLBackend)
LABEL_LINK = ThingKind(LabelLink)

# The names that an address may give to a kind.
ENTITIES: Mapping[str, ThingKind] = MappingProxyType(
    {
        "project": PROJECT,
        "task": TASK,
        "annotation": ANNOTATION,
        "draft": DRAFT,
        "prediction": PREDICTION,
        "view": VIEW,
        "upload": UPLOAD,
        "file": FILE,
        "webhook": WEBHOOK,
        "ml": MODEL_SERVER,
        "link": LABEL_LINK,
    }
)


class Way(Protocol):
    """A place where a request may name its project."""

    def projects(self, request: Any, kwargs: Mapping[str, Any]) -> set[int | None]:
        """The projects that are named there.

        Args:
            request: the request, Django's or REST framework's.
            kwargs: what the route found in the address.
        """
        ...


@dataclass(frozen=True, slots=True)
class InQuery:
    """The project is named by the parameters ``project`` and ``view``, which are read for every rule."""

    def projects(self, request: Any, kwargs: Mapping[str, Any]) -> set[int | None]:
        """None beyond these parameters."""
        return set()


@dataclass(frozen=True, slots=True)
class InPath:
    """The address holds the project's id."""

    key: str

    def projects(self, request: Any, kwargs: Mapping[str, Any]) -> set[int | None]:
        """The id, where this route has one."""
        return {int(kwargs[self.key])} if self.key in kwargs else set()


@dataclass(frozen=True, slots=True)
class ThingInPath:
    """The address names a thing that belongs to the project."""

    kind: ThingKind
    key: str = "pk"

    def projects(self, request: Any, kwargs: Mapping[str, Any]) -> set[int | None]:
        """The thing's project, where this route names one."""
        return {self.kind.project_of(kwargs[self.key])} if self.key in kwargs else set()


@dataclass(frozen=True, slots=True)
class Named:
    """Query or body name things that belong to the project."""

    kind: ThingKind
    key: str

    def projects(self, request: Any, kwargs: Mapping[str, Any]) -> set[int | None]:
        """The projects of all of them."""
        return {self.kind.project_of(name) for name in named_ids(request, self.key)}


@dataclass(frozen=True, slots=True)
class EntityInPath:
    """The address holds a kind's name and an id."""

    def projects(self, request: Any, kwargs: Mapping[str, Any]) -> set[int | None]:
        """The entity's project; a kind that is not known is refused."""
        if kwargs["entity_name"] not in ENTITIES:
            raise Refused("not_yours")
        return {ENTITIES[kwargs["entity_name"]].project_of(kwargs["entity_id"])}


def projects_of(
    ways: Sequence[Way], request: Any, kwargs: Mapping[str, Any], *, rows: bool
) -> tuple[set[int | None], set[int]]:
    """The projects that a call is addressed to, by the path and by things named anywhere, and those it just mentions.

    Args:
        ways: where the rule says that the project is named; none for a rule that knows no project.
        request: the request, Django's or REST framework's.
        kwargs: what the route found in the address.
        rows: whether the body holds rows, whose columns may bear any name.

    Raises:
        Refused: ``not_yours`` where something that is named is not there.
    """
    if not ways:
        return set(), set()
    addressed: set[int | None] = {VIEW.project_of(view) for view in named_ids(request, "view", rows=rows)}
    for way in ways:
        addressed |= way.projects(request, kwargs)
    return addressed, set(named_ids(request, "project", rows=rows))
