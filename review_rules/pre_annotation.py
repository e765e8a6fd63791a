"""What a person's form opened with, and whether that was the row's auto-label.

A submission may say under `shown` what filled its form: `{"version", "hash"}` of the prediction, both null for a form
that opened empty. Where it says nothing it is not known.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from hashlib import sha256

from review_rules.canonical import key
from review_rules.canonical_json import canonical_text, json_text
from review_rules.values import Json, Kind


def values_hash(kinds: Mapping[str, Kind], values: Mapping[str, Json]) -> str:
    """The hash of what a form opens with, `sha256:…`: the same for values that mean the same.

    Args:
        kinds: the interface's fields; what no field has is left out.
        values: a value a field, as it stands in JSON.

    >>> kinds = {"topics": Kind.CHOICES, "score": Kind.NUMBER}
    >>> first = values_hash(kinds, {"topics": ["b", "a"], "score": 1.0})
    >>> first == values_hash(kinds, {"score": 1, "topics": ["a", "b"]}), first == values_hash(kinds, {})
    (True, False)
    """
    forms = {name: _plain(key(kind, values.get(name))) for name, kind in kinds.items()}
    present = {name: form for name, form in forms.items() if form not in (None, [], "")}
    return "sha256:" + sha256(canonical_text(present).encode("utf-8", "surrogatepass")).hexdigest()


def _plain(part: Hashable) -> Json:
    """A key as JSON; sets in one order, whole numbers without a point."""
    if isinstance(part, frozenset):
        return sorted((_plain(element) for element in part), key=json_text)
    if isinstance(part, tuple):
        return [_plain(element) for element in part]
    return int(part) if isinstance(part, float) and part.is_integer() else part


def saw_auto_label(kinds: Mapping[str, Kind], auto_label: Json, shown: Json) -> bool | None:
    """Whether a form opened with the row's auto-label; None where nothing is known of the form.

    Args:
        kinds: the interface's fields.
        auto_label: the row's, as it stands in its history.
        shown: what a submission says under `shown`.

    >>> saw_auto_label({"v": Kind.CHOICE}, {"v": "A"}, {"version": None, "hash": None})
    False
    """
    if not isinstance(shown, dict):
        return None
    claimed = shown.get("hash")
    if not (claimed is None or isinstance(claimed, str)):
        return None
    return claimed is not None and isinstance(auto_label, dict) and claimed == values_hash(kinds, auto_label)
