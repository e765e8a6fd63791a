"""Vectors of rows: in a table, and those of decided rows also in the memory of each process that was asked for some.

Similarity is one product of a matrix and a vector. At 100,000 rows that takes a few hundredths of a second on one core,
which no index of near neighbours beats by enough to pay for building it; see docs/benchmarks.md.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from ls_plugin.models import RowVector

Vector = NDArray[np.float32]

_STORED: Final = "<f2"
_KEPT: Final = 4
"""Campaigns whose vectors a process keeps; each takes 150 MB at 100,000 rows of 384 numbers."""
_LATE: Final = 2000
"""Numbers below the newest that are looked through again: a transaction may end after one that began later."""
_AT_ONCE: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedRow:
    """A row with its vector.

    Attributes:
        row_id: the row.
        content: the hash of its texts.
        vector: of length 1, or of zeros for a row without texts.
        decided: whether the row is decided.
    """

    row_id: str
    content: str
    vector: Vector
    decided: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarRow:
    """A row and how near it is, up to 1."""

    row_id: str
    similarity: float


def put(campaign_id: int, version: str, rows: list[PlacedRow]) -> None:
    """Store these rows' vectors in place of what was stored of them."""
    fresh = [
        RowVector(
            campaign_id=campaign_id,
            row_id=row.row_id,
            version=version,
            content=row.content,
            decided=row.decided,
            vector=row.vector.astype(_STORED).tobytes(),
        )
        for row in rows
    ]
    with transaction.atomic():
        RowVector.objects.filter(campaign_id=campaign_id, row_id__in=[row.row_id for row in rows]).delete()
        # Two processes may have made the same vector at once; either will do.
        RowVector.objects.bulk_create(fresh, ignore_conflicts=True)


def read_vector(stored: RowVector) -> Vector:
    """The vector of a stored row."""
    return np.frombuffer(bytes(stored.vector), dtype=_STORED).astype(np.float32)


class VectorIndex:
    """The decided rows of a campaign in memory; it grows with the campaign.

    A row that is not decided any more stays in it until it is put in anew: whoever tells of rows looks at their state.
    """

    def __init__(self, campaign_id: int, version: str) -> None:
        self._campaign_id, self._version = campaign_id, version
        self._rows: list[str] = []
        self._places: dict[str, int] = {}
        self._numbers: set[int] = set()
        self._newest = 0
        self._matrix: Vector = np.zeros((0, 0), dtype=np.float32)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def refresh(self) -> None:
        """Read what was put in since the last time."""
        with self._lock:
            stored = RowVector.objects.filter(campaign_id=self._campaign_id, version=self._version, decided=True)
            known = self._numbers
            numbers = stored.filter(pk__gt=self._newest - _LATE).order_by("pk").values_list("pk", flat=True)
            new = [number for number in numbers if number not in known]
            for start in range(0, len(new), _AT_ONCE):
                part = stored.filter(pk__in=new[start : start + _AT_ONCE]).values_list("pk", "row_id", "vector")
                self._take_in([(row_id, bytes(vector)) for _, row_id, vector in part], len(new) - start)
            self._numbers.update(new)
            self._newest = max([self._newest, *new])

    def _take_in(self, rows: list[tuple[str, bytes]], coming: int) -> None:
        for row_id, stored in rows:
            vector = np.frombuffer(stored, dtype=_STORED).astype(np.float32)
            if not len(vector):
                continue  # a row without texts is like no other
            if len(self._rows) == len(self._matrix):
                self._grow(len(vector), coming)
            before = self._places.get(row_id)
            if before is not None:
                self._matrix[before] = 0
            self._places[row_id] = len(self._rows)
            self._matrix[len(self._rows)] = vector
            self._rows.append(row_id)

    def _grow(self, width: int, coming: int) -> None:
        # A new array and not a longer one: a search in another thread goes on with the one that it has.
        room = len(self._rows) + max(coming, len(self._rows) // 2, 64)
        matrix = np.zeros((room, width), dtype=np.float32)
        matrix[: len(self._rows)] = self._matrix[:, :width] if len(self._rows) else 0
        self._matrix = matrix

    def nearest(self, vector: Vector, most: int) -> Iterator[list[SimilarRow]]:
        """The rows by similarity, the nearest first, in growing parts and `most` at most."""
        with self._lock:
            count, matrix, rows = len(self._rows), self._matrix, self._rows
        if not count or matrix.shape[1] != len(vector):
            return
        similarities = matrix[:count] @ vector
        start, end = 0, min(64, most, count)
        while start < end:
            # Chosen before sorted: most rows are never looked at.
            chosen = np.argpartition(-similarities, end - 1)[:end]
            order = chosen[np.argsort(-similarities[chosen], kind="stable")]
            yield [
                SimilarRow(row_id=rows[place], similarity=float(similarities[place]))
                for place in order[start:end]
                if self._places.get(rows[place]) == place
            ]
            start, end = end, min(4 * end, most, count)


_indexes: OrderedDict[tuple[int, str], VectorIndex] = OrderedDict()
_indexes_lock = threading.Lock()


def index_of(campaign_id: int, version: str) -> VectorIndex:
    """The index of a campaign in this process, with all that is stored by now."""
    with _indexes_lock:
        index = _indexes.setdefault((campaign_id, version), VectorIndex(campaign_id, version))
        _indexes.move_to_end((campaign_id, version))
        while len(_indexes) > _KEPT:
            _indexes.popitem(last=False)
    index.refresh()
    return index


def forget_indexes() -> None:
    """Keep no vectors in the memory of this process: another database stands behind it from now on."""
    with _indexes_lock:
        _indexes.clear()


def forget(campaign_id: int, row_ids: Iterable[str]) -> None:
    """Store nothing of these rows any more."""
    RowVector.objects.filter(campaign_id=campaign_id, row_id__in=list(row_ids)).delete()
