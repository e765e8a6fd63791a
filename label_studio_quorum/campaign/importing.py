"""Rows in: check a whole file, then bring its rows into the Pass project, each once and pre-labelled.

A row's id is the key. What is on the server already is left out, so an import that was cut off is finished by running
it again; the server takes each request whole or not at all, and a request that was cut off is found done or not done.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from label_studio_quorum.adapters.ml_backend import ModelAnswer
from label_studio_quorum.campaign.projects import Campaign
from label_studio_quorum.campaign.row_task import RowNote, note_of, row_task, task_data
from label_studio_quorum.campaign.served_version import serve
from label_studio_quorum.intake import KINDS, Options, Row, RowFault, is_hash_of, read_rows
from label_studio_quorum.intake.checked_rows import StoredRows
from label_studio_quorum.intake.rejects import Rejects
from label_studio_quorum.port import Json, LabelStudio, NewTask, Task
from ls_config.interface import Interface
from review_rules import Policy, Stage, withheld
from review_rules.errors import PublicError

CHUNK: Final = 500
"""Rows in one request; with fewer the server spends more on each, with many more it runs slower again."""


class PrelabelSource(Protocol):
    """Whatever gives pre-annotations and domains: an ML backend by HTTP."""

    def predict(self, data: Sequence[Json]) -> list[ModelAnswer]:
        """One answer for each task's data, in order."""
        ...


_NO_ANSWER: Final = ModelAnswer()
_UNFIT_EXAMPLES: Final = 3
_OF_A_CELL: Final = ("QD.E014", "QD.E015")
"""Faults of the file of which a row may have several; the first of them carries the row."""


class ImportRefused(PublicError):
    """An import cannot be undone any more; the message says why."""


@dataclass
class CheckedFile:
    """A file that was read to its end: its good rows and its rejected ones (kept on disk, not in memory) and all its
    faults.

    Use it as a context manager; the rows are gone afterwards.
    """

    rows: int = 0
    faults: list[RowFault] = field(default_factory=list)
    rejects: Rejects = field(default_factory=Rejects)
    stored: StoredRows = field(default_factory=StoredRows)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        interface: Interface,
        policy: Policy,
        mapping: dict[str, str] | None = None,
        options: Options | None = None,
    ) -> CheckedFile:
        """Read and check the whole file."""
        checked = cls()
        try:
            checked_rows = read_rows(
                path,
                interface=interface,
                mapping=mapping,
                policy=policy,
                options=options or Options(),
                rejects=checked.rejects,
            )
            for entry in checked_rows:
                if isinstance(entry, RowFault):
                    checked.faults.append(entry)
                else:
                    checked.stored.add(entry)
                    checked.rows += 1
        except BaseException:  # a file that cannot be read, a full disk, Ctrl-C: nobody gets the rows
            checked.close()
            raise
        return checked

    def __enter__(self) -> CheckedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the rows from the disk."""
        try:
            self.rejects.close()
        finally:
            self.stored.close()

    @property
    def errors(self) -> list[RowFault]:
        """The faults that keep rows out; the others are warnings."""
        return [fault for fault in self.faults if fault.severity == "error"]

    @property
    def unread(self) -> list[RowFault]:
        """The errors after which rows of the file were not read, so that nobody can hand them back to be mended."""
        of_file = (fault for fault in self.errors if KINDS[fault.id].scope == "file")
        return [fault for fault in of_file if fault.raw is None and fault.id not in _OF_A_CELL]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.stored)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What an import did (or, in a dry run, would do)."""

    import_id: str
    imported: int
    known: int
    prelabelled: int
    withheld: int
    bare: int
    taken_back: int = 0
    """Rows that another import at the same time had brought before: this one's were taken back."""
    unfit: int = 0
    """Answers of the model that did not fit the interface, whole or in part."""
    unfit_examples: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """The object that `quorum import --json` prints."""
        return {
            "import_id": self.import_id,
            "imported": self.imported,
            "already_there": self.known,
            "prelabelled": self.prelabelled,
            "withheld": self.withheld,
            "without_prelabel": self.bare,
            "taken_back": self.taken_back,
            "model_answers_unfit": self.unfit,
            "unfit_examples": list(self.unfit_examples),
        }


def known_rows(port: LabelStudio, campaign: Campaign) -> dict[str, str]:
    """Row id → content hash of every row that the Pass project holds."""
    notes = port.notes(campaign.project(Stage.PASS))
    return {row_id: RowNote.read(meta).content_hash or "" for row_id, meta in notes if row_id}


def imports_of(port: LabelStudio, campaign: Campaign) -> dict[str, int]:
    """Import id → rows, in order of time."""
    rows = Counter(RowNote.read(meta).import_id for _, meta in port.notes(campaign.project(Stage.PASS)))
    return {import_id: rows[import_id] for import_id in sorted(filter(None, rows))}


def new_import_id(now: datetime | None = None) -> str:
    """An id for one import: when, and something random."""
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{secrets.token_hex(3)}"


def import_rows(
    port: LabelStudio,
    campaign: Campaign,
    rows: Iterable[Row],
    *,
    predictor: PrelabelSource | None = None,
    import_id: str | None = None,
    known: dict[str, str] | None = None,
    dry_run: bool = False,
    is_alone: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda done: None,
) -> ImportReport:
    """Bring rows in that are not there yet.

    Two imports at once may both miss a row and bring it twice: each looks at its end and takes back what came second.

    Args:
        port: The server.
        campaign: Where they go.
        rows: Checked rows.
        predictor: Asked for rows without an auto-label, and for the domain of rows that name none.
        import_id: Written on each row; made up where None.
        known: What `known_rows` said; asked where None.
        dry_run: Count and do nothing.
        is_alone: Whether a lock kept other imports away until now, so that none has to be looked for.
        progress: Called with the number of rows handled so far.

    Raises:
        ServerError, PrelabelError: What was imported until then stays; run again to go on.
    """
    there = set(known_rows(port, campaign) if known is None else known)
    with _Import(port, campaign, predictor, import_id or new_import_id(), dry_run) as run:
        chunk: list[Row] = []
        for done, row in enumerate(rows, start=1):
            if row.row_id in there:
                # The server has it, or the file gives it twice: the first one stays.
                run.known += 1
            else:
                there.add(row.row_id)
                chunk.append(row)
            if len(chunk) == CHUNK:
                run.send(chunk)
                chunk = []
                progress(done)
        run.send(chunk)
        run.wait()
        if run.imported and not dry_run:
            if not is_alone():
                run.take_back_doubles()
            serve(port, Stage.PASS, campaign.project(Stage.PASS))
        return run.report()


class _Import:
    """Counts and sends: while the server stores one chunk, the next is made ready."""

    def __init__(
        self, port: LabelStudio, campaign: Campaign, predictor: PrelabelSource | None, import_id: str, dry_run: bool
    ) -> None:
        self._port, self._campaign, self._predictor, self._dry = port, campaign, predictor, dry_run
        self._id = import_id
        self.imported = self.known = self.prelabelled = self.withheld = self.unfit = self.taken_back = 0
        self._unfit_examples: list[str] = []
        self._sender = ThreadPoolExecutor(1, "quorum-import")
        self._sent: Future[None] | None = None

    def __enter__(self) -> _Import:
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.shutdown()

    def wait(self) -> None:
        """Until the server has stored what was sent."""
        if self._sent is not None:
            self._sent.result()

    def send(self, rows: Sequence[Row]) -> None:
        """Make these rows' tasks ready, and hand them to the server once it has stored those before."""
        if not rows:
            return
        withheld_ids = {row.row_id for row in rows if withheld(row.row_id, self._campaign.policy)}
        answers = self._ask(
            [row for row in rows if row.domain is None or (not row.auto_label and row.row_id not in withheld_ids)]
        )
        tasks = [
            self._task(row, answers.get(row.row_id, _NO_ANSWER), pre_filled=row.row_id not in withheld_ids)
            for row in rows
        ]
        # One request at a time: rows stand on the server in the order of the file.
        self.wait()
        if not self._dry:
            self._sent = self._sender.submit(self._port.add_tasks, self._campaign.project(Stage.PASS), tasks)
        self.imported += len(tasks)
        self.withheld += len(withheld_ids)
        self.prelabelled += sum(bool(task.predictions) for task in tasks)

    def _ask(self, rows: Sequence[Row]) -> dict[str, ModelAnswer]:
        """What the ML backend says of these rows, by row id; nothing where none is asked."""
        if self._predictor is None or self._dry or not rows:
            return {}
        answers = self._predictor.predict([task_data(row) for row in rows])
        return {row.row_id: answer for row, answer in zip(rows, answers, strict=True)}

    def _count_unfit(self, row: Row, answer: ModelAnswer) -> None:
        """Count an answer that people will not see as the model gave it."""
        if answer.problems:
            self.unfit += 1
            if len(self._unfit_examples) < _UNFIT_EXAMPLES:
                self._unfit_examples.append(f"row {row.row_id}: {answer.problems[0]}")

    def _task(self, row: Row, answer: ModelAnswer, *, pre_filled: bool) -> NewTask:
        used = pre_filled and not row.auto_label
        # Of a row that has its own auto-label, or none is shown with, only the domain was asked.
        if used:
            self._count_unfit(row, answer)
        return row_task(
            row,
            import_id=self._id,
            interface=self._campaign.interface,
            pre_filled=pre_filled,
            # A backend that was asked for the domain alone gives a pre-annotation too: the row's own comes first.
            model=answer.prediction if used else None,
            domain=answer.domain if row.domain is None else None,
        )

    def take_back_doubles(self) -> None:
        """Take back what another import brought before this one; whoever brought a row first keeps it."""
        project = self._campaign.project(Stage.PASS)
        counts = Counter(row_id for row_id, _ in self._port.notes(project))
        doubled = sorted(row_id for row_id, count in counts.items() if row_id and count > 1)
        if not doubled:
            return
        first: dict[str, Task] = {}
        late: list[Task] = []
        for task in sorted(self._port.tasks(project, row_ids=doubled), key=lambda task: task.id):
            is_late = first.setdefault(task.row_id, task) is not task and note_of(task).import_id == self._id
            # Somebody may have answered it by now: it stays, and the rules count both tasks as one queue.
            if is_late and not task.submitted:
                late.append(task)
        if not late:
            return
        self._port.withdraw(project, [task.id for task in late])
        self.taken_back = len(late)
        self.imported -= len(late)
        self.known += len(late)
        self.prelabelled -= sum(bool(task.predictions) for task in late)
        self.withheld -= sum(withheld(task.row_id, self._campaign.policy) for task in late)

    def report(self) -> ImportReport:
        return ImportReport(
            import_id=self._id,
            imported=self.imported,
            known=self.known,
            prelabelled=self.prelabelled,
            withheld=self.withheld,
            bare=self.imported - self.prelabelled - self.withheld,
            taken_back=self.taken_back,
            unfit=self.unfit,
            unfit_examples=tuple(self._unfit_examples),
        )


def withdraw_changed(
    port: LabelStudio, campaign: Campaign, rows: Iterable[Row], known: dict[str, str], *, dry_run: bool = False
) -> set[str]:
    """Take rows whose content has changed off the server, so that they can be imported anew; their ids.

    Raises:
        ImportRefused: Work on one of them began; nothing was taken off.
    """
    changed = {row.row_id for row in rows if row.row_id in known and not is_hash_of(known[row.row_id], row)}
    if not changed:
        return changed
    project = campaign.project(Stage.PASS)
    tasks = list(port.tasks(project, row_ids=sorted(changed)))
    begun = sorted({task.row_id for task in tasks if task.annotations})
    # People must not find other words under a label that they gave.
    if begun:
        examples = ", ".join(begun[:5]) + (", …" if len(begun) > 5 else "")
        raise ImportRefused(
            f"work on {len(begun)} of {len(changed)} changed rows began ({examples}); give them new ids"
        )
    if not dry_run and port.withdraw(project, [task.id for task in tasks]) != len(tasks):
        raise ImportRefused("work on some of the changed rows began meanwhile; those stay as they are, run again")
    return changed


def undo_import(port: LabelStudio, campaign: Campaign, import_id: str) -> int:
    """Take an import's rows off the server again; how many.

    Raises:
        ImportRefused: Work on one of its rows began, or there is no such import.
    """
    project = campaign.project(Stage.PASS)
    tasks = [task for task in port.tasks(project) if note_of(task).import_id == import_id]
    if not tasks:
        raise ImportRefused(f"no row of import {import_id!r} is on the server; quorum status --imports lists imports")
    begun = sum(bool(task.annotations) for task in tasks)
    if begun:
        raise ImportRefused(f"work on {begun} of the {len(tasks)} rows of import {import_id} began; it stays")
    return port.withdraw(project, [task.id for task in tasks])
