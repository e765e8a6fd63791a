"""The profile of a file of rows: what is in it, in numbers, as a JSON object and as one HTML page that needs no
network."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from label_studio_quorum.intake.faults import KINDS, RowFault
from label_studio_quorum.intake.row import Row

__all__ = ["Profile", "html_page"]

TEXTS = ("context", "query", "response")
_BINS = (0, 1, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600)


@dataclass(slots=True)
class Profile:
    """Grows row by row; holds numbers only."""

    rows: int = 0
    lengths: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in TEXTS})
    columns: Counter[str] = field(default_factory=Counter)
    with_auto_label: int = 0
    spans: list[int] = field(default_factory=list)

    def see(self, row: Row) -> None:
        """Take a row into account."""
        self.rows += 1
        for name in TEXTS:
            self.lengths[name].append(len(getattr(row, name)))
        self.columns.update(list(row.extra))
        self.with_auto_label += row.auto_label is not None

    def to_json(
        self,
        file: str,
        source: str,
        faults: Sequence[RowFault],
        *,
        domains: Mapping[str, int],
        languages: Mapping[str, int],
        labels: Mapping[str, Mapping[str, int]],
    ) -> dict[str, Any]:
        """The profile as a JSON object; counts are sorted, most first."""
        kinds = Counter(fault.id for fault in faults)
        return {
            "file": file,
            "source": source,
            "rows": self.rows,
            "with_auto_label": self.with_auto_label,
            "faults": {"error": _of(faults, "error"), "warning": _of(faults, "warning")},
            "anomalies": [
                {"id": kind, "severity": KINDS[kind].severity, "title": KINDS[kind].title, "count": count}
                for kind, count in sorted(kinds.items(), key=lambda entry: (-entry[1], entry[0]))
            ],
            "lengths": {name: _lengths(values) for name, values in self.lengths.items()},
            "domains": _sorted({name or "(none)": count for name, count in domains.items()}),
            "languages": _sorted(languages),
            "labels": {name: _sorted(counts) for name, counts in labels.items()},
            "columns": _sorted(self.columns),
        }


def _of(faults: Iterable[RowFault], severity: str) -> int:
    return sum(fault.severity == severity for fault in faults)


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _lengths(values: Sequence[int]) -> dict[str, Any]:
    """Characters: least, median, 95th percentile, most; and how many lie in each range (from, below the next)."""
    # A file without a good row still has a profile, of its faults.
    if not values:
        return {"least": None, "median": None, "p95": None, "most": None, "ranges": []}
    ordered = sorted(values)
    counts = [
        sum(low <= value < high for value in ordered) for low, high in zip(_BINS, (*_BINS[1:], 1 << 60), strict=True)
    ]
    return {
        "least": ordered[0],
        "median": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))],
        "most": ordered[-1],
        "ranges": [{"from": low, "rows": count} for low, count in zip(_BINS, counts, strict=True)],
    }


def html_page(profile: Mapping[str, Any], faults: Sequence[RowFault]) -> str:
    """The profile as one HTML page; everything from the file is escaped. Needs the extra `report` (Jinja2)."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    shown = list(faults[:500])
    return environment.get_template("profile.html.j2").render(
        profile=profile, faults=shown, more=len(faults) - len(shown)
    )
