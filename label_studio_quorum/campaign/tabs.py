"""The data-manager tabs of each project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from label_studio_quorum.port import Json
from review_rules import Stage

# Columns that would show one annotator what another did, or that say nothing here.
_HIDDEN: Final = (
    "tasks:annotations_results",
    "tasks:annotators",
    "tasks:annotations_ids",
    "tasks:predictions_score",
    "tasks:predictions_results",
    "tasks:predictions_model_versions",
    "tasks:updated_by",
    "tasks:avg_lead_time",
    "tasks:file_upload",
    "tasks:storage_filename",
    "tasks:draft_exists",
    "tasks:comment_count",
    "tasks:unresolved_comment_count",
    "tasks:comment_authors",
    "tasks:last_comment_updated_at",
)


def views_for(stage: Stage, expert_domains: Sequence[str]) -> Iterator[Json]:
    """The tabs of a stage's project: what is open, what needs whose expertise, what is done."""
    yield _view("To do", [_where("total_annotations", "equal", "Number", 0)])
    if stage is not Stage.PASS:
        for domain in expert_domains:
            needs = _where("data.requires", "contains", "String", domain)
            yield _view(f"To do: {domain}", [needs, _where("total_annotations", "equal", "Number", 0)])
    yield _view("Done", [_where("total_annotations", "greater", "Number", 0)])
    yield _view("Skipped", [_where("cancelled_annotations", "greater", "Number", 0)])


def _where(column: str, operator: str, kind: str, value: Any) -> Json:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _view(title: str, items: list[Json]) -> Json:
    return {
        "title": title,
        "type": "list",
        "target": "tasks",
        "filters": {"conjunction": "and", "items": items},
        "ordering": ["tasks:id"],
        "hiddenColumns": {"explore": list(_HIDDEN), "labeling": list(_HIDDEN)},
    }
