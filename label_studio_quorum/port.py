"""What Quorum asks of a Label Studio server, as one small Protocol.

Two adapters speak it: `label_studio_quorum.adapters.label_studio.HttpLabelStudio` (any server by URL and key) and
`ls_plugin.queue.server_port` (inside the server). `RowPort` is all that reconciling a row needs; `LabelStudio`
adds what setting up a campaign needs. Every method either does the whole of what it says or raises
`ServerError`; none retries a write that may have happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from review_rules.errors import PublicError

Json = dict[str, Any]
Result = list[Json]


class ServerError(PublicError):
    """The server did not do what was asked.

    Args:
        message: What failed, without task text or secrets.
        hint: What a person can do about it.
        status: The HTTP status, or None when no answer came.
    """

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.status = message, hint, status

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


@dataclass(frozen=True, kw_only=True, slots=True)
class MLConnection:
    """An ML backend to connect to the Pass project."""

    url: str
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"MLConnection({self.url!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """One person's answer to a task, as the server stores it (only the last version is kept there).

    `by` and `edited_by` are user ids; `edited_by` is whoever saved it last. Times carry an offset.
    `parent_prediction` is the prediction that the form was filled from, where the screen told it. `shown` is what the
    server wrote down of that as it handed the task out, `{"version", "hash"}`; None where it writes down nothing.
    `guidelines` is the version of the guidelines that its author went by, `{"number", "hash"}`; None likewise.
    """

    id: int
    by: int | None
    edited_by: int | None
    created_at: datetime
    updated_at: datetime
    lead_time: float | None
    cancelled: bool
    result: Result
    parent_prediction: int | None = None
    shown: Json | None = None
    guidelines: Json | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """A stored pre-annotation."""

    id: int
    model_version: str
    result: Result
    score: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task with all its annotations (cancelled ones too) and predictions."""

    id: int
    project: int
    data: Json
    meta: Json
    overlap: int
    is_labeled: bool
    created_at: datetime
    updated_at: datetime
    annotations: tuple[Annotation, ...] = ()
    predictions: tuple[Prediction, ...] = ()

    @property
    def row_id(self) -> str:
        """The row this task asks about (`""` for a task that Quorum did not make)."""
        return str(self.data.get("row_id", ""))

    @property
    def submitted(self) -> tuple[Annotation, ...]:
        """Annotations that were submitted, not skipped."""
        return tuple(a for a in self.annotations if not a.cancelled)

    @property
    def annotators(self) -> frozenset[int | None]:
        """Who submitted; Label Studio compares their number with `overlap`."""
        return frozenset(a.by for a in self.submitted)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewPrediction:
    """A pre-annotation to store."""

    model_version: str
    result: Result
    score: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewTask:
    """A task to create together with its predictions."""

    data: Json
    meta: Json
    predictions: tuple[NewPrediction, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A project and the settings that Quorum sets."""

    id: int
    title: str
    description: str
    label_config: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """An account on the server."""

    id: int
    email: str


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A data-manager tab."""

    id: int
    title: str
    data: Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """A webhook of a project."""

    id: int
    url: str
    actions: frozenset[str]
    active: bool
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class MLBackend:
    """An ML backend connected to a project; `state` is Label Studio's word for its health."""

    id: int
    url: str
    title: str
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptFiles:
    """A campaign's files as a server with the plugin keeps them: the texts that it goes by.

    Attributes:
        policy: The text of the policy file.
        team: The text of the team file.
        guidelines: The guidelines in Markdown; empty if there are none, or the server was never told them.
    """

    policy: str
    team: str
    guidelines: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrefillSources:
    """What a project's `model_version` may name: versions of its stored predictions, and titles of its ML backends.

    Label Studio takes a name that is both for the ML backend's, and asks that whenever a task is opened.
    """

    stored: frozenset[str]
    backends: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerFault:
    """Something that the plugin found wrong with a campaign in its database.

    Attributes:
        about: What it concerns, in a word.
        message: What is wrong, with how much is lost by it.
        hint: What to do.
        mends: Whether a repair sets it right.
        stops: Whether work stops for it or something is lost; else it is only to be known.
    """

    about: str
    message: str
    hint: str
    mends: bool = True
    stops: bool = True

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """What a repair inside the server set right, and what is left."""

    mended: tuple[ServerFault, ...] = ()
    left: tuple[ServerFault, ...] = ()


class RowPort(Protocol):
    """What reconciling rows needs."""

    def users(self) -> list[User]:
        """Every account that may have annotated."""
        ...

    def tasks(
        self, project: int, *, since: datetime | None = None, row_ids: Sequence[str] | None = None
    ) -> Iterator[Task]:
        """The project's tasks by id; only those updated at or after `since`, or of these rows, where given."""
        ...

    def guideline_versions(self, campaign: str) -> tuple[Json, ...]:
        """The versions of a campaign's guidelines, `{"number", "hash", "at"}` each; none on a stock server."""
        ...

    def add_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        """Create all of them with their predictions, or none."""
        ...

    def add_predictions(self, project: int, predictions: Sequence[tuple[int, NewPrediction]]) -> None:
        """Store a prediction for each task id."""
        ...

    def set_queue(self, task: int, *, overlap: int, is_labeled: bool) -> None:
        """Set how many people a task asks for, and whether it has them."""
        ...

    def withdraw(self, project: int, tasks: Sequence[int]) -> int:
        """Delete those of the tasks that still have no submission at this moment; how many went."""
        ...


class LabelStudio(RowPort, Protocol):
    """What setting up, importing and looking after a campaign needs besides."""

    def version(self) -> str:
        """Label Studio's release, such as `1.23.2`."""
        ...

    def links(self, campaign: str) -> Mapping[int, str] | None:
        """User id → person id, as the server keeps it for a campaign; None where it keeps nothing of the kind."""
        ...

    def notes(self, project: int) -> Iterator[tuple[str, Json]]:
        """Row id and meta of every task, without its annotations and predictions."""
        ...

    def projects(self) -> list[Project]:
        """Every project of the account's organisation; ones without a Quorum marker may lack `label_config`."""
        ...

    def project(self, project: int) -> Project:
        """One project as it is now."""
        ...

    def create_project(self, settings: Mapping[str, Any]) -> Project:
        """Create a project from Label Studio's own setting names."""
        ...

    def change_project(self, project: int, settings: Mapping[str, Any]) -> Project:
        """Change these settings and leave the others."""
        ...

    def delete_project(self, project: int) -> None:
        """Delete a project with all that it holds."""
        ...

    def views(self, project: int) -> list[View]:
        """The project's data-manager tabs."""
        ...

    def save_view(self, project: int, data: Json, *, view: int | None = None) -> None:
        """Create a tab, or change the one given."""
        ...

    def delete_view(self, view: int) -> None:
        """Delete a tab; nothing where it is gone already."""
        ...

    def webhooks(self, project: int) -> list[Webhook]:
        """The project's webhooks."""
        ...

    def save_webhook(self, project: int, settings: Mapping[str, Any], *, webhook: int | None = None) -> None:
        """Create a webhook, or change the one given."""
        ...

    def ml_backends(self, project: int) -> list[MLBackend]:
        """The project's ML backends."""
        ...

    def save_ml_backend(self, project: int, settings: Mapping[str, Any], *, backend: int | None = None) -> None:
        """Connect an ML backend (the server calls its `/health` and `/setup`), or change the one given."""
        ...

    def prefill_sources(self, project: int) -> PrefillSources:
        """What the project's forms can be filled from; asks no ML backend."""
        ...

    def kept_files(self, campaign: str) -> KeptFiles | None:
        """What the server itself keeps of a campaign; None on a stock server, which keeps no files."""
        ...

    def invite_link(self) -> str:
        """The address where a person signs up into the organisation."""
        ...
