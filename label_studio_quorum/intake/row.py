"""A row as a campaign takes it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from label_studio_quorum.intake.faults import Place
from review_rules import verify

__all__ = ["FIELDS", "Row", "is_hash_of", "row_hash"]

FIELDS = ("id", "context", "query", "response", "domain", "auto_label")


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One checked row: texts as they were, the auto-label keyed by control, and every further column under `extra`."""

    row_id: str
    context: str
    query: str
    response: str
    domain: str | None = None
    auto_label: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    place: Place | None = field(default=None, compare=False)

    def columns(self) -> dict[str, Any]:
        """All columns as they came in, by the names of the row contract; absent domain and auto-label are left out."""
        row: dict[str, Any] = {
            "id": self.row_id,
            "context": self.context,
            "query": self.query,
            "response": self.response,
        }
        if self.domain is not None:
            row["domain"] = self.domain
        if self.auto_label is not None:
            row["auto_label"] = dict(self.auto_label)
        return row | dict(self.extra)


def row_hash(row: Row) -> str:
    """Hash of a row's content (not of its place in the file), `sha256:…`; equal for equal rows whatever the format
    they came in, and however it writes numbers.

    >>> row_hash(Row(row_id="r1", context="", query="q", response="r"))[:14]
    'sha256:43dae9a'
    """
    return verify.row_hash(row.columns())


def is_hash_of(content_hash: str, row: Row) -> bool:
    """Whether a hash is the row's, also where 0.1.0 made it."""
    return verify.is_hash_of(content_hash, row.columns())
