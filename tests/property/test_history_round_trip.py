"""A history that was parsed is given back whole: parsing its JSON again gives the same history, faults and all."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from label_studio_quorum.campaign.projects import STAGES
from label_studio_quorum.campaign.reconcile import decide_rows
from label_studio_quorum.campaign.snapshot import Snapshot
from review_rules import Stage, parse_history
from tests.property.test_decide_laws import wild_histories
from tests.property.test_reconcile import HISTORIES, run
from tests.support.laws import examples


@settings(max_examples=examples(300), deadline=None)
@given(wild_histories)
def test_any_history_comes_back(history: dict[str, Any]) -> None:
    """Whatever JSON holds, nothing of it that a rule looks at is lost on the way out."""
    if not isinstance(history["fields"], dict):
        history["fields"] = {}
    parsed = parse_history(history)
    # NaN is not equal to itself, so histories are compared by what Python writes of them.
    assert repr(parse_history(parsed.to_json())) == repr(parsed)


@settings(max_examples=examples(60), deadline=None)
@given(HISTORIES)
def test_what_is_read_from_a_server_is_what_its_json_says(events: list[tuple[Any, ...]]) -> None:
    """The history that is built from tasks equals the one that anybody parses from a record's JSON."""
    world = run(events)
    with Snapshot.read(world.server, world.campaign) as snapshot:
        for row in decide_rows(world.campaign, snapshot, snapshot.row_ids):
            history = row.record.history
            assert parse_history(history.to_json()) == history
            for stage in STAGES:
                assert len(history.submissions(stage)) == len(row.record.sources[stage])


def test_every_spelling_of_a_stage_names_the_same_stage() -> None:
    """Word, number and place in the line lead back to the stage; lists in a history are found by its key."""
    history = parse_history({"row_id": "r", "fields": {}, "passes": [{}], "qa": [{}, {}], "expert": [{}, {}, {}]})
    for place, stage in enumerate(Stage):
        assert (Stage.named(stage.value), Stage.numbered(place), stage.number) == (stage, stage, place)
        assert len(history.submissions(stage)) == place + 1 == len(history.to_json()[stage.key])
