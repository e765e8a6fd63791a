"""Gives rows their vectors, by the ML backend that is connected to the campaign's Pass project.

A row gets one when it comes to QA or an expert, and again when it is decided: beside the work, never in the way of an
answer. What a process that died has left undone is done with the next row. Where no ML backend with an encoder is
connected, Quorum goes by the words of the rows (:mod:`ls_plugin.store.word_vectors`); where one is connected and does
not answer, rows wait for it.
"""

from __future__ import annotations

import base64
import binascii
import logging
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from core.redis import redis_connected, start_job_async_or_sync
from django.db import DatabaseError, connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django_rq import get_connection
from ml.api_connector import MLApi
from ml.models import MLBackend
from tasks.models import Task

from ls_plugin.models import CampaignProject, RowVector, Slot, Stage
from ls_plugin.store import row_vectors, word_vectors
from ls_plugin.store.row_texts import content_of, texts_of
from ls_plugin.store.row_vectors import PlacedRow, Vector
from review_rules import State

DECIDED: Final = [state.value for state in State if state.is_decided]
_log = logging.getLogger(__name__)
_REVIEWED: Final = [*DECIDED, State.AWAITING_QA.value, State.AWAITING_EXPERT.value]
_AT_ONCE: Final = 32
_TIMEOUT_S: Final = 60.0
_ONE_ROW_TIMEOUT_S: Final = 3.0
_ASKED_FOR_S: Final = 30
# What an ML backend answers that has no such address, or no encoder.
_WITHOUT_ENCODER: Final = frozenset({404, 405, 501})


class EncoderAwayError(Exception):
    """The ML backend that is connected gives no vectors now; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """Vectors and what made them."""

    version: str
    vectors: list[Vector]


def catch_up_soon(campaign_id: int) -> None:
    """Give rows that lack one their vector, beside what is going on: by the job queue, in a thread without Redis."""
    if redis_connected():
        # One job does all rows that wait when it begins; so many rows need no job each.
        if get_connection("low").set(_asked(campaign_id), 1, nx=True, ex=_ASKED_FOR_S):
            start_job_async_or_sync(catch_up, campaign_id, queue_name="low")
    elif not _threads.begin(campaign_id):
        threading.Thread(target=_catch_up_here, args=(campaign_id,), name="quorum-vectors", daemon=True).start()


def catch_up(campaign_id: int) -> int:
    """The job: give rows that lack one their vector, and say to how many."""
    if redis_connected():
        # Before the rows are looked up: one that comes later asks for a job of its own.
        get_connection("low").delete(_asked(campaign_id))
    done, tried = 0, set[tuple[str | None, str]]()
    try:
        while rows := _waiting(campaign_id, tried):
            done += _place(campaign_id, rows)
            # A row that another process deletes meanwhile must not keep this one at it for ever; one whose vector is
            # of an encoder that was replaced meanwhile is done again.
            version = version_of(campaign_id)
            tried.update((version, row.row_id) for row in rows)
    except EncoderAwayError as error:
        _log.warning("Quorum: rows of campaign %s get no vectors for precedents: %s", campaign_id, error)
    return done


def _asked(campaign_id: int) -> str:
    return f"quorum-vectors-{campaign_id}"


class _Threads:
    """Which campaigns a thread of this process works at, and whether it has to look once more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._again: dict[int, bool] = {}

    def begin(self, campaign_id: int) -> bool:
        """Whether a thread is at work already; it looks again when it is through."""
        with self._lock:
            at_work = campaign_id in self._again
            self._again[campaign_id] = at_work
            return at_work

    def looks_again(self, campaign_id: int) -> bool:
        """Whether the thread has to look once more; if not, it is at work no longer."""
        with self._lock:
            again = self._again.pop(campaign_id, False)
            if again:
                self._again[campaign_id] = False
            return again

    def end(self, campaign_id: int) -> None:
        """No thread is at work, whatever ended it."""
        with self._lock:
            self._again.pop(campaign_id, None)


_threads = _Threads()


def _catch_up_here(campaign_id: int) -> None:
    try:
        while True:
            catch_up(campaign_id)
            if not _threads.looks_again(campaign_id):
                return
    except DatabaseError as error:
        # The rows keep lacking their vectors, and the next row that is decided begins anew.
        _log.warning("Quorum: rows of campaign %s get no vectors for precedents now: %s", campaign_id, error)
    finally:
        _threads.end(campaign_id)
        connection.close()


# --- which rows ------------------------------------------------------------------------------------------------------


def version_of(campaign_id: int) -> str | None:
    """What made the newest vector of a campaign; None before there is one."""
    newest = RowVector.objects.filter(campaign_id=campaign_id).order_by("-pk")
    version: str | None = newest.values_list("version", flat=True).first()
    return version


def lacking(campaign_id: int) -> QuerySet[Slot]:
    """Pass slots of rows at QA, with an expert or decided that have no vector, or one of another making."""
    project = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    stored = RowVector.objects.filter(
        campaign_id=campaign_id, row_id=OuterRef("row_id"), version=version_of(campaign_id) or ""
    )
    unplaced = ~Exists(stored) | (Q(state__in=DECIDED) & ~Exists(stored.filter(decided=True)))
    return Slot.objects.filter(unplaced, project_id__in=project, state__in=_REVIEWED).exclude(row_id="")


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorFigures:
    """How many decided rows can be precedents, and by what they are compared.

    ``version``: what made the newest vector; None before there is one. ``backend``: the ML backend that is connected;
    empty for none.
    """

    placed: int
    decided: int
    version: str | None
    backend: str

    @property
    def is_by_words(self) -> bool:
        """Whether rows are compared by their words, for want of an encoder."""
        return self.version == word_vectors.VERSION


def vector_figures(campaign_id: int) -> VectorFigures:
    """The figures of a campaign; the ML backend is not asked."""
    version, backend = version_of(campaign_id), _backend_of(campaign_id)
    project = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    stored = RowVector.objects.filter(campaign_id=campaign_id, version=version or "", decided=True)
    return VectorFigures(
        placed=stored.count(),
        decided=Slot.objects.filter(project_id__in=project, state__in=DECIDED).exclude(row_id="").count(),
        version=version,
        backend=backend.title or f"number {backend.pk}" if backend is not None else "",
    )


def why_away(campaign_id: int) -> str:
    """Why the ML backend that is connected gives no vectors; empty where it does, and where none is connected."""
    if _backend_of(campaign_id) is None:
        return ""
    try:
        encode(campaign_id, [], timeout=_ONE_ROW_TIMEOUT_S)
    except EncoderAwayError as error:
        return str(error)
    return ""


def forget_gone(campaign_id: int) -> None:
    """Forget the vectors of rows that the campaign has no more."""
    project = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    there = Slot.objects.filter(project_id__in=project, row_id=OuterRef("row_id"))
    gone = RowVector.objects.filter(~Exists(there), campaign_id=campaign_id)
    row_vectors.forget(campaign_id, list(gone.values_list("row_id", flat=True)))


def _waiting(campaign_id: int, tried: set[tuple[str | None, str]]) -> list[Slot]:
    """The next of them; decided rows first, as they are what others are shown."""
    version = version_of(campaign_id)
    slots = lacking(campaign_id).order_by("-sealed", "task_id").iterator(chunk_size=_AT_ONCE)
    return list(islice((slot for slot in slots if (version, slot.row_id) not in tried), _AT_ONCE))


def _place(campaign_id: int, slots: Sequence[Slot]) -> int:
    """Store the vectors of these rows; those that only were decided since keep theirs."""
    texts = texts_by_task([slot.task_id for slot in slots])
    rows = [(slot, texts[slot.task_id]) for slot in slots if slot.task_id in texts]
    version = version_of(campaign_id)
    known = {
        stored.row_id: stored
        for stored in RowVector.objects.filter(
            campaign_id=campaign_id, version=version or "", row_id__in=[slot.row_id for slot, _ in rows]
        )
    }
    kept = [
        _placed(slot, content_of(row), row_vectors.read_vector(known[slot.row_id]))
        for slot, row in rows
        if slot.row_id in known and known[slot.row_id].content == content_of(row)
    ]
    if kept and version is not None:
        row_vectors.put(campaign_id, version, kept)
    there = {row.row_id for row in kept}
    new = [(slot, row) for slot, row in rows if slot.row_id not in there]
    if new:
        encoded = encode(campaign_id, [row for _, row in new])
        placed = [
            _placed(slot, content_of(row), vector) for (slot, row), vector in zip(new, encoded.vectors, strict=True)
        ]
        row_vectors.put(campaign_id, encoded.version, placed)
    return len(rows)


def _placed(slot: Slot, content: str, vector: Vector) -> PlacedRow:
    return PlacedRow(row_id=slot.row_id, content=content, vector=vector, decided=slot.state in DECIDED)


def place_now(campaign_id: int, slot: Slot) -> RowVector | None:
    """The vector of the row of this Pass slot, made now if it lacks one; None for a row without texts.

    Raises:
        EncoderAwayError: the ML backend does not answer.
    """
    texts = texts_by_task([slot.task_id]).get(slot.task_id, [])
    if not texts:
        return None
    mine = RowVector.objects.filter(campaign_id=campaign_id, row_id=slot.row_id)
    stored: RowVector | None = mine.filter(content=content_of(texts), version=version_of(campaign_id) or "").first()
    if stored is None:
        encoded = encode(campaign_id, [texts], timeout=_ONE_ROW_TIMEOUT_S)
        row_vectors.put(campaign_id, encoded.version, [_placed(slot, content_of(texts), encoded.vectors[0])])
        stored = mine.first()
    return stored


def texts_by_task(tasks: Sequence[int]) -> dict[int, list[str]]:
    """Task → the texts of its row's columns."""
    return {pk: texts_of(data) for pk, data in Task.objects.filter(pk__in=tasks).values_list("pk", "data")}


# --- the encoder -----------------------------------------------------------------------------------------------------


def encode(campaign_id: int, rows: Sequence[Sequence[str]], *, timeout: float = _TIMEOUT_S) -> Encoded:
    """The vectors of rows.

    Raises:
        EncoderAwayError: an ML backend is connected, and does not answer as it should.
    """
    backend = _backend_of(campaign_id)
    if backend is None:
        return _by_words(rows)
    api = MLApi(
        url=backend.url,
        auth_method=backend.auth_method,
        basic_auth_user=backend.basic_auth_user,
        basic_auth_pass=backend.basic_auth_pass,
    )
    with closing(api.http):
        answer = api._request("embed", {"rows": [list(texts) for texts in rows]}, timeout=timeout)
    if answer.is_error:
        if answer.status_code in _WITHOUT_ENCODER:
            return _by_words(rows)
        why = f"HTTP {answer.status_code}" if answer.status_code else "no answer"
        raise EncoderAwayError(f"the ML backend {backend.title or backend.pk} gives no vectors ({why})")
    return _read(answer.response, len(rows))


def _backend_of(campaign_id: int) -> MLBackend | None:
    """The ML backend that is connected to the Pass project; the first of several."""
    project = CampaignProject.objects.filter(campaign_id=campaign_id, stage=Stage.PASS).values("project_id")
    backend: MLBackend | None = MLBackend.objects.filter(project_id__in=project).order_by("pk").first()
    return backend


def _by_words(rows: Sequence[Sequence[str]]) -> Encoded:
    return Encoded(version=word_vectors.VERSION, vectors=[word_vectors.row_vector(texts) for texts in rows])


def _read(answer: Any, expected: int) -> Encoded:
    """The vectors in an answer.

    Raises:
        EncoderAwayError: they are not what was asked for; nothing of a strange answer is kept.
    """
    version = answer.get("model_version") if isinstance(answer, dict) else None
    written = answer.get("vectors") if isinstance(answer, dict) else None
    if not isinstance(version, str) or not isinstance(written, list) or len(written) != expected:
        raise EncoderAwayError("the ML backend answers otherwise than POST /embed should")
    try:
        vectors = [
            np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float32) for text in written
        ]
    except (binascii.Error, TypeError, ValueError):
        raise EncoderAwayError("the ML backend sent vectors that cannot be read") from None
    if len({len(vector) for vector in vectors}) > 1 or not all(np.isfinite(vector).all() for vector in vectors):
        raise EncoderAwayError("the ML backend sent vectors that do not fit together")
    return Encoded(version=version[:200], vectors=vectors)
