"""A Label Studio in memory that speaks the port, for laws about reconcile: it can die before or after any write."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from label_studio_quorum.port import (
    Annotation,
    Json,
    KeptFiles,
    MLBackend,
    NewPrediction,
    NewTask,
    Prediction,
    PrefillSources,
    Project,
    Repair,
    Result,
    ServerError,
    ServerFault,
    Task,
    User,
    View,
    Webhook,
)


class Killed(BaseException):
    """The process died; like the real thing, no `except Exception` sees it."""


class FakeLabelStudio:
    """Projects, tasks and annotations with the rules of a stock server: overlap closes a task, and nothing else does.

    Args:
        emails: Accounts, in order; their ids start at 1.
    """

    def __init__(self, emails: Sequence[str] = ()) -> None:
        self._users = [User(id=index, email=email) for index, email in enumerate(emails, start=1)]
        self._projects: dict[int, Project] = {}
        self._tasks: dict[int, Task] = {}
        self._views: dict[int, list[View]] = {}
        self._webhooks: dict[int, list[Webhook]] = {}
        self._backends: dict[int, list[MLBackend]] = {}
        self._next_id = 1
        self._now = datetime(2026, 1, 5, 9, tzinfo=UTC)
        self.writes = 0
        self.dies_at: int | None = None
        self.kept: dict[str, KeptFiles] = {}
        self.versions: tuple[Any, ...] = ()

    # --- time, ids, death

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def tick(self) -> datetime:
        """A later moment each time."""
        self._now += timedelta(seconds=30)
        return self._now

    def set_clock(self, now: datetime) -> None:
        """Let the server's clock go on from here."""
        self._now = now

    def _write(self) -> None:
        """Count a write; die before it where told so."""
        if self.dies_at is not None and self.writes >= self.dies_at:
            raise Killed
        self.writes += 1

    # --- the port

    def version(self) -> str:
        return "1.23.2"

    def server_faults(self, campaign: str | None) -> list[ServerFault]:
        return []

    def mend_server(self, campaign: str | None) -> Repair:
        return Repair()

    def users(self) -> list[User]:
        return list(self._users)

    def links(self, campaign: str) -> dict[int, str] | None:
        return None

    def notes(self, project: int) -> Iterator[tuple[str, Json]]:
        return ((task.row_id, copy.deepcopy(task.meta)) for task in self.tasks(project))

    def tasks(
        self, project: int, *, since: datetime | None = None, row_ids: Sequence[str] | None = None
    ) -> Iterator[Task]:
        for task in sorted(self._tasks.values(), key=lambda one: one.id):
            wanted = row_ids is None or task.row_id in row_ids
            if task.project == project and wanted and (since is None or task.updated_at >= since):
                yield copy.deepcopy(task)

    def add_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        self._write()
        now = self.tick()
        for new in tasks:
            made = Task(
                id=self._id(),
                project=project,
                data=copy.deepcopy(new.data),
                meta=copy.deepcopy(new.meta),
                overlap=int(self._projects[project].settings["maximum_annotations"]),
                is_labeled=False,
                created_at=now,
                updated_at=now,
                predictions=tuple(self._prediction(one) for one in new.predictions),
            )
            self._tasks[made.id] = made
        last = [one.model_version for new in tasks for one in new.predictions][-1:]
        if last and not self._projects[project].settings.get("model_version"):
            self._set(project, {"model_version": last[0]})

    def _prediction(self, new: NewPrediction) -> Prediction:
        return Prediction(
            id=self._id(), model_version=new.model_version, result=copy.deepcopy(new.result), score=new.score
        )

    def add_predictions(self, project: int, predictions: Sequence[tuple[int, NewPrediction]]) -> None:
        self._write()
        for task, new in predictions:
            held = self._tasks[task]
            self._tasks[task] = replace(held, predictions=(*held.predictions, self._prediction(new)))

    def set_queue(self, task: int, *, overlap: int, is_labeled: bool) -> None:
        self._write()
        self._tasks[task] = replace(self._tasks[task], overlap=overlap, is_labeled=is_labeled, updated_at=self.tick())

    def withdraw(self, project: int, tasks: Sequence[int]) -> int:
        gone = 0
        for task in tasks:
            if task in self._tasks and not self._tasks[task].submitted:
                self._write()
                del self._tasks[task]
                gone += 1
        return gone

    def projects(self) -> list[Project]:
        return list(self._projects.values())

    def project(self, project: int) -> Project:
        return self._projects[project]

    def create_project(self, settings: Mapping[str, Any]) -> Project:
        self._write()
        made = self._as_project(self._id(), settings)
        self._projects[made.id] = made
        return made

    def change_project(self, project: int, settings: Mapping[str, Any]) -> Project:
        self._write()
        version = settings.get("model_version", "")
        sources = self.prefill_sources(project)
        known = sources.stored | sources.backends | {"", self._projects[project].settings.get("model_version")}
        if version not in known:
            raise ServerError("Model version doesn't exist either as live model or as static predictions.", status=400)
        return self._set(project, settings)

    def delete_project(self, project: int) -> None:
        self._write()
        del self._projects[project]
        self._tasks = {pk: task for pk, task in self._tasks.items() if task.project != project}

    def _set(self, project: int, settings: Mapping[str, Any]) -> Project:
        self._projects[project] = self._as_project(project, {**self._projects[project].settings, **settings})
        return self._projects[project]

    def _as_project(self, number: int, settings: Mapping[str, Any]) -> Project:
        return Project(
            id=number,
            title=settings["title"],
            description=settings["description"],
            label_config=settings["label_config"],
            settings=dict(settings),
        )

    def views(self, project: int) -> list[View]:
        return list(self._views.get(project, []))

    def save_view(self, project: int, data: Json, *, view: int | None = None) -> None:
        self._write()
        kept = [one for one in self._views.get(project, []) if one.id != view]
        self._views[project] = [*kept, View(id=view or self._id(), title=data["title"], data=data)]

    def delete_view(self, view: int) -> None:
        self._write()
        self._views = {project: [kept for kept in views if kept.id != view] for project, views in self._views.items()}

    def webhooks(self, project: int) -> list[Webhook]:
        return list(self._webhooks.get(project, []))

    def save_webhook(self, project: int, settings: Mapping[str, Any], *, webhook: int | None = None) -> None:
        self._write()
        kept = [one for one in self._webhooks.get(project, []) if one.id != webhook]
        made = Webhook(
            id=webhook or self._id(),
            url=settings["url"],
            actions=frozenset(settings["actions"]),
            active=settings["is_active"],
            headers=settings["headers"],
        )
        self._webhooks[project] = [*kept, made]

    def ml_backends(self, project: int) -> list[MLBackend]:
        return list(self._backends.get(project, []))

    def save_ml_backend(self, project: int, settings: Mapping[str, Any], *, backend: int | None = None) -> None:
        self._write()
        held = self._backends.get(project, [])
        before = [one.title for one in held if one.id == backend]
        made = MLBackend(id=backend or self._id(), url=settings["url"], title=settings["title"], state="Connected")
        self._backends[project] = [*(one for one in held if one.id != backend), made]
        # As Label Studio does: the backend's answers are served where nothing was, and follow its title.
        if (self._projects[project].settings.get("model_version") or "") in (before or [""]):
            self._set(project, {"model_version": made.title})

    def remove_ml_backend(self, project: int, backend: int) -> None:
        """Disconnect an ML backend; what was served from it is no more."""
        gone = next(one for one in self._backends[project] if one.id == backend)
        self._backends[project].remove(gone)
        if self._projects[project].settings.get("model_version") == gone.title:
            self._set(project, {"model_version": ""})

    def prefill_sources(self, project: int) -> PrefillSources:
        stored = {one.model_version for task in self.tasks(project) for one in task.predictions}
        titles = {one.title for one in self._backends.get(project, ())}
        return PrefillSources(stored=frozenset(stored), backends=frozenset(titles))

    def guideline_versions(self, campaign: str) -> tuple[Any, ...]:
        return self.versions

    def kept_files(self, campaign: str) -> KeptFiles | None:
        return self.kept.get(campaign)

    def invite_link(self) -> str:
        return "/user/signup/?token=fake"

    def lock_campaign(self, name: str, *, token: str, doing: str, seconds: int) -> Json | None:
        """A stock server keeps no locks."""
        return None

    # --- what people do

    def open_tasks(self, project: int, user: int) -> list[Task]:
        """What the label stream could hand this person: open tasks that they have not answered."""
        return [
            task for task in self.tasks(project) if not task.is_labeled and user not in {a.by for a in task.annotations}
        ]

    def submit(self, task: int, user: int, result: Result, *, cancelled: bool = False) -> int:
        """Answer or skip a task; returns the annotation's id."""
        now = self.tick()
        made = Annotation(
            id=self._id(),
            by=user,
            edited_by=user,
            created_at=now,
            updated_at=now,
            lead_time=10.0,
            cancelled=cancelled,
            result=copy.deepcopy(result),
            parent_prediction=self._filling(task),
        )
        self._settle(task, (*self._tasks[task].annotations, made))
        return made.id

    def _filling(self, task: int) -> int | None:
        """The prediction that the project fills this task's form from, as the screen names it with an answer."""
        served = self._projects[self._tasks[task].project].settings.get("model_version")
        filling = [one.id for one in self._tasks[task].predictions if one.model_version == served]
        return filling[-1] if filling else None

    def edit(self, task: int, annotation: int, user: int, result: Result) -> None:
        """Save an annotation again, as its author or as somebody else."""
        now = self.tick()
        changed = tuple(
            replace(one, result=copy.deepcopy(result), edited_by=user, updated_at=now) if one.id == annotation else one
            for one in self._tasks[task].annotations
        )
        self._settle(task, changed)

    def remove(self, task: int, annotation: int) -> None:
        """Delete an annotation."""
        self._settle(task, tuple(one for one in self._tasks[task].annotations if one.id != annotation))

    def delete_task(self, task: int) -> None:
        """Delete a task with all it has."""
        del self._tasks[task]

    def _settle(self, task: int, annotations: tuple[Annotation, ...]) -> None:
        changed = replace(self._tasks[task], annotations=annotations, updated_at=self.tick())
        self._tasks[task] = replace(changed, is_labeled=len(changed.annotators) >= changed.overlap)

    def copy(self) -> FakeLabelStudio:
        """The same server again, to see what would have happened otherwise."""
        return copy.deepcopy(self)
