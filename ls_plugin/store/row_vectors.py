"""Vectors of rows: in a table, and those of decided rows also in the memory of each process that was asked for some.

Similarity is one product of a matrix and a vector. At 100,000 rows that takes a few hundredths of a second on one core,
which no index of near neighbours beats by enough to pay for building it; see docs/benchmarks.md.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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
_AT_ONCE: Final = 2000
_BYTES: Final = np.dtype("<f2").itemsize


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
            recent = stored.filter(pk__gt=self._newest - _LATE, pk__lte=self._newest).values_list("pk", flat=True)
            late = [number for number in recent if number not in self._numbers]
            coming = stored.filter(pk__gt=self._newest)
            for rows in (coming, stored.filter(pk__in=late)) if late else (coming,):
                lines = rows.order_by("pk").values_list("pk", "row_id", "vector").iterator(chunk_size=_AT_ONCE)
                while part := list(islice(lines, _AT_ONCE)):
                    self._take_in([(number, row_id, bytes(vector)) for number, row_id, vector in part])

    def _take_in(self, rows: Sequence[tuple[int, str, bytes]]) -> None:
        """Keep these vectors; a row without texts is like no other, and vectors of two widths do not compare."""
        self._numbers.update(number for number, _, _ in rows)
        self._newest = max(self._newest, *(number for number, _, _ in rows))
        size = _BYTES * self._matrix.shape[1] or next((len(vector) for _, _, vector in rows if vector), 0)
        fitting = [(row_id, vector) for _, row_id, vector in rows if vector and len(vector) == size]
        if not fitting:
            return
        start, end = len(self._rows), len(self._rows) + len(fitting)
        if end > len(self._matrix):
            self._grow(end, size // _BYTES)
        together = np.frombuffer(b"".join(vector for _, vector in fitting), dtype=_STORED)
        self._matrix[start:end] = together.reshape(len(fitting), -1)
        for place, (row_id, _) in enumerate(fitting, start):
            before = self._places.get(row_id)
            if before is not None:
                self._matrix[before] = 0
            self._places[row_id] = place
            self._rows.append(row_id)

    def _grow(self, needed: int, width: int) -> None:
        # A new array and not a longer one: a search in another thread goes on with the one that it has.
        room = max(needed, 3 * len(self._matrix) // 2, 64)
        matrix = np.zeros((room, width), dtype=np.float32)
        matrix[: len(self._rows)] = self._matrix[: len(self._rows)].reshape(-1, width)
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
